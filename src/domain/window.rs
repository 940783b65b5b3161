use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;

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
