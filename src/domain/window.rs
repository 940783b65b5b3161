use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;

use super::first_instant;

/// A time of the day, perhaps of some days only, in which changes may be made.
///
/// A window that ends before it begins goes on into the next day, and belongs to the day on which
/// it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// All days when empty.
    days: Vec<Weekday>,
    from: NaiveTime,
    to: NaiveTime,
}

impl Window {
    /// Whether the window is open at `now`, by the clock on the wall in `zone`.
    #[must_use]
    pub fn holds(&self, now: DateTime<Utc>, zone: Tz) -> bool {
        let local = now.with_timezone(&zone);
        let (day, time) = (local.weekday(), local.time());
        let on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.from < self.to {
            on(day) && self.from <= time && time < self.to
        } else {
            (on(day) && time >= self.from) || (on(day.pred()) && time < self.to)
        }
    }

    /// Its occurrences that end after `after` and begin not after `until`, in order: begin and end,
    /// with the day on which each begins being the one that counts. A time of the day that the
    /// clocks leave out is the first one after it.
    #[must_use]
    pub fn occurrences(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        zone: Tz,
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut found = Vec::new();
        // An occurrence is a day long at most, and two days hold every offset and change of clocks.
        let Some(first) = (after.with_timezone(&zone).date_naive()).checked_sub_days(Days::new(2))
        else {
            return found;
        };
        for day in first.iter_days() {
            let begin = first_instant(zone, day.and_time(self.from));
            if begin.is_none_or(|begin| begin > until) {
                break;
            }
            if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
                continue;
            }
            let last = if self.from < self.to {
                Some(day)
            } else {
                day.succ_opt()
            };
            let end = last.and_then(|last| first_instant(zone, last.and_time(self.to)));
            if let (Some(begin), Some(end)) = (begin, end)
                && begin < end
                && end > after
            {
                found.push((begin, end));
            }
        }
        found
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("is `{text}`: `01:00-05:00` or `sat,sun 22:00-04:00` is possible");
        let (days, times) = match text.trim().rsplit_once(' ') {
            Some((days, times)) => (days, times),
            None => ("", text.trim()),
        };
        let days = days
            .split(',')
            .map(str::trim)
            .filter(|day| !day.is_empty())
            .map(|day| day.parse().map_err(|_| bad()))
            .collect::<Result<Vec<_>, _>>()?;
        let (from, to) = times.split_once('-').ok_or_else(bad)?;
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| bad());
        Ok(Self {
            days,
            from: time(from)?,
            to: time(to)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn occurrences_of_a_window_over_changes_of_the_clocks() {
        let utc = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        for (window, zone, after, until, expected) in [
            (
                "sun 02:00-04:00",
                chrono_tz::Asia::Tokyo,
                "2026-03-01T00:00:00Z",
                "2026-03-14T17:00:00Z",
                &[
                    ("2026-03-07T17:00:00Z", "2026-03-07T19:00:00Z"),
                    ("2026-03-14T17:00:00Z", "2026-03-14T19:00:00Z"),
                ][..],
            ),
            (
                "sat 22:00-04:00",
                chrono_tz::Asia::Tokyo,
                "2026-03-07T18:59:59Z",
                "2026-03-07T18:59:59Z",
                &[("2026-03-07T13:00:00Z", "2026-03-07T19:00:00Z")],
            ),
            (
                "sat 22:00-04:00",
                chrono_tz::Asia::Tokyo,
                "2026-03-07T19:00:00Z",
                "2026-03-08T19:00:00Z",
                &[],
            ),
            // The clocks go from 02:00 to 03:00: half of it is left out, or all of it.
            (
                "sun 02:00-04:00",
                chrono_tz::Europe::Berlin,
                "2026-03-29T00:00:00Z",
                "2026-03-29T12:00:00Z",
                &[("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")],
            ),
            (
                "sun 02:00-03:00",
                chrono_tz::Europe::Berlin,
                "2026-03-29T00:00:00Z",
                "2026-03-29T12:00:00Z",
                &[],
            ),
            // They go from 03:00 to 02:00: an hour more.
            (
                "sun 02:00-04:00",
                chrono_tz::Europe::Berlin,
                "2026-10-25T00:00:00Z",
                "2026-10-25T12:00:00Z",
                &[("2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z")],
            ),
        ] {
            let parsed: Window = window.parse().expect("a window");
            let found = parsed.occurrences(utc(after), utc(until), zone);
            let expected: Vec<_> = expected.iter().map(|(a, b)| (utc(a), utc(b))).collect();
            assert_eq!(found, expected, "{window} after {after}");
        }
    }

    #[test]
    fn when_a_window_is_open() {
        let zone = chrono_tz::Asia::Tokyo;
        // 2026-03-07 is a Saturday.
        let at = |day, hour, minute| {
            zone.with_ymd_and_hms(2026, 3, day, hour, minute, 0)
                .single()
                .expect("a time")
                .with_timezone(&Utc)
        };
        for (window, day, hour, minute, open) in [
            ("01:00-05:00", 7, 0, 59, false),
            ("01:00-05:00", 7, 1, 0, true),
            ("01:00-05:00", 7, 4, 59, true),
            ("01:00-05:00", 7, 5, 0, false),
            ("22:00-04:00", 7, 23, 0, true),
            ("22:00-04:00", 7, 3, 59, true),
            ("22:00-04:00", 7, 12, 0, false),
            ("sat 22:00-04:00", 7, 23, 0, true),
            ("sat 22:00-04:00", 8, 3, 0, true),
            ("sat 22:00-04:00", 8, 23, 0, false),
            ("sat 22:00-04:00", 7, 3, 0, false),
            ("sat,sun 00:00-00:00", 8, 12, 0, true),
            ("mon 00:00-00:00", 8, 12, 0, false),
        ] {
            let parsed: Window = window.parse().expect("a window");
            assert_eq!(
                parsed.holds(at(day, hour, minute), zone),
                open,
                "{window} on {day} at {hour}:{minute}"
            );
        }
        for text in ["", "01:00", "1-5", "someday 01:00-05:00", "25:00-26:00"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
