//! When maintenance is due: pure, so that every awkward night is a row in a table.
//!
//! Timers of the Functions host are UTC and may fire late, twice or not at all; so the schedule
//! lives here, in the estate's own time zone.

use chrono::{
    DateTime, Datelike, Days, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone,
    Utc, Weekday,
};
use chrono_tz::Tz;

use super::Cadence;

/// Up to this late an occurrence counts as on time: two ticks of the 15-minute timers.
const ON_TIME: Duration = Duration::minutes(30);

/// At most this many occurrences are looked at; older ones are left out.
const MOST: usize = 400;

/// When in its cadence, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rhythm {
    Daily {
        at: NaiveTime,
    },
    Weekly {
        weekday: Weekday,
        at: NaiveTime,
    },
    /// `day` is 1 to 31; in a shorter month it is the month's last day.
    Monthly {
        day: u32,
        at: NaiveTime,
    },
}

/// A rhythm in a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub rhythm: Rhythm,
    pub zone: Tz,
    /// How late an occurrence may still be started.
    pub catch_up: Duration,
}

/// One due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    pub cadence: Cadence,
    /// Local time on the schedule, which names the occurrence even where a clock change moves it.
    pub local: NaiveDateTime,
    pub due: DateTime<Utc>,
}

impl Occurrence {
    /// The run's name: `daily-2026-03-02-0200`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}-{}", self.cadence, self.local.format("%Y-%m-%d-%H%M"))
    }
}

/// What is to be done about an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Due,
    CatchUp {
        late: Duration,
    },
    /// Too late, or a newer occurrence takes its place.
    Missed {
        late: Duration,
        superseded: bool,
    },
    AlreadyDone,
}

impl Schedule {
    #[must_use]
    pub fn cadence(&self) -> Cadence {
        match self.rhythm {
            Rhythm::Daily { .. } => Cadence::Daily,
            Rhythm::Weekly { .. } => Cadence::Weekly,
            Rhythm::Monthly { .. } => Cadence::Monthly,
        }
    }

    /// Occurrences after `after` and not after `until`, in order; the newest 400 of them.
    #[must_use]
    pub fn occurrences(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Occurrence> {
        let mut found = Vec::new();
        // Two days of margin hold every offset from UTC and every clock change.
        let Some(mut date) = until
            .with_timezone(&self.zone)
            .date_naive()
            .checked_add_days(Days::new(2))
        else {
            return found;
        };
        let Some(first) = after
            .with_timezone(&self.zone)
            .date_naive()
            .checked_sub_days(Days::new(2))
        else {
            return found;
        };
        while date >= first && found.len() < MOST {
            if let Some(local) = self.on(date)
                && let Some(due) = first_instant(self.zone, local)
                && due > after
                && due <= until
            {
                found.push(Occurrence {
                    cadence: self.cadence(),
                    local,
                    due,
                });
            }
            let Some(before) = date.pred_opt() else { break };
            date = before;
        }
        found.reverse();
        found
    }

    /// The scheduled local time of a date, if the date has one.
    fn on(&self, date: NaiveDate) -> Option<NaiveDateTime> {
        match self.rhythm {
            Rhythm::Daily { at } => Some(date.and_time(at)),
            Rhythm::Weekly { weekday, at } => {
                (date.weekday() == weekday).then(|| date.and_time(at))
            }
            Rhythm::Monthly { day, at } => {
                let last = u32::from(date.num_days_in_month());
                (date.day() == day.min(last)).then(|| date.and_time(at))
            }
        }
    }

    /// Judges every occurrence after `since` up to `now`, in order.
    ///
    /// Only the newest one is ever started, so days of silence give misses and one catch-up. One
    /// that has a record is never started again. A clock that went backwards finds nothing due.
    #[must_use]
    pub fn decide(
        &self,
        since: DateTime<Utc>,
        recorded: impl Fn(&Occurrence) -> bool,
        now: DateTime<Utc>,
    ) -> Vec<(Occurrence, Verdict)> {
        let occurrences = self.occurrences(since, now);
        let newest = occurrences.last().copied();
        occurrences
            .into_iter()
            .map(|occurrence| {
                let late = now - occurrence.due;
                let superseded = Some(occurrence) != newest;
                let verdict = if recorded(&occurrence) {
                    Verdict::AlreadyDone
                } else if superseded || late > self.catch_up.max(ON_TIME) {
                    Verdict::Missed { late, superseded }
                } else if late <= ON_TIME {
                    Verdict::Due
                } else {
                    Verdict::CatchUp { late }
                };
                (occurrence, verdict)
            })
            .collect()
    }
}

/// The first instant at which the local clock shows `local` or, if it never does, later.
pub(crate) fn first_instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    let mut at = local;
    // A gap is rarely longer than an hour, and once was a whole day.
    for _ in 0..=(25 * 60) {
        match zone.from_local_datetime(&at) {
            LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => return Some(t.to_utc()),
            LocalResult::None => at = at.checked_add_signed(Duration::minutes(1))?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    fn at(hour: u32, minute: u32) -> NaiveTime {
        NaiveTime::from_hms_opt(hour, minute, 0).expect("a time of day")
    }

    fn schedule(rhythm: Rhythm, zone: Tz) -> Schedule {
        Schedule {
            rhythm,
            zone,
            catch_up: Duration::hours(20),
        }
    }

    const TOKYO: Tz = chrono_tz::Asia::Tokyo;

    #[test]
    fn local_due_times_in_utc() {
        let daily = |h, m| Rhythm::Daily { at: at(h, m) };
        let monthly = |day| Rhythm::Monthly { day, at: at(4, 0) };
        let new_york = chrono_tz::America::New_York;
        let cases = [
            (
                "02:00 in Tokyo is the evening before",
                daily(2, 0),
                TOKYO,
                "2026-03-01T00:00:00Z",
                "2026-03-01T17:00:00Z",
            ),
            (
                "Sunday in Tokyo is Saturday",
                Rhythm::Weekly {
                    weekday: Weekday::Sun,
                    at: at(3, 0),
                },
                TOKYO,
                "2026-03-02T00:00:00Z",
                "2026-03-07T18:00:00Z",
            ),
            (
                "the 1st in Tokyo is the last day before",
                monthly(1),
                TOKYO,
                "2026-02-10T00:00:00Z",
                "2026-02-28T19:00:00Z",
            ),
            (
                "the 31st of February is the 28th",
                monthly(31),
                chrono_tz::UTC,
                "2026-02-01T00:00:00Z",
                "2026-02-28T04:00:00Z",
            ),
            (
                "the 31st of a leap February is the 29th",
                monthly(31),
                chrono_tz::UTC,
                "2028-02-01T00:00:00Z",
                "2028-02-29T04:00:00Z",
            ),
            (
                "a time that the clock skips is the end of the gap",
                daily(2, 30),
                new_york,
                "2026-03-08T00:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            (
                "a time that comes twice is the first",
                daily(1, 30),
                new_york,
                "2026-11-01T00:00:00Z",
                "2026-11-01T05:30:00Z",
            ),
            (
                "half an hour of change",
                daily(2, 15),
                chrono_tz::Australia::Lord_Howe,
                "2026-10-03T00:00:00Z",
                "2026-10-03T15:30:00Z",
            ),
        ];
        for (name, rhythm, zone, after, expected) in cases {
            let found =
                schedule(rhythm, zone).occurrences(utc(after), utc(after) + Duration::days(40));
            assert_eq!(found[0].due, utc(expected), "{name}");
        }
    }

    #[test]
    fn what_is_due_missed_caught_up_and_done() {
        use Verdict::{AlreadyDone, CatchUp, Due, Missed};
        let daily = schedule(Rhythm::Daily { at: at(2, 0) }, TOKYO);
        let hours = Duration::hours;
        let missed = |h, superseded| Missed {
            late: hours(h),
            superseded,
        };
        type Case<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], Vec<Verdict>);
        let cases: [Case<'_>; 8] = [
            (
                "not yet",
                "2026-03-01T00:00:00Z",
                "2026-03-01T16:59:59Z",
                &[],
                vec![],
            ),
            (
                "on time",
                "2026-03-01T00:00:00Z",
                "2026-03-01T17:15:00Z",
                &[],
                vec![Due],
            ),
            (
                "replayed",
                "2026-03-01T00:00:00Z",
                "2026-03-01T17:15:00Z",
                &["daily-2026-03-02-0200"],
                vec![AlreadyDone],
            ),
            (
                "late",
                "2026-03-01T00:00:00Z",
                "2026-03-02T00:00:00Z",
                &[],
                vec![CatchUp { late: hours(7) }],
            ),
            (
                "at the limit",
                "2026-03-01T00:00:00Z",
                "2026-03-02T13:00:00Z",
                &[],
                vec![CatchUp { late: hours(20) }],
            ),
            (
                "beyond the limit",
                "2026-03-01T00:00:00Z",
                "2026-03-02T14:00:00Z",
                &[],
                vec![missed(21, false)],
            ),
            (
                "three dead days: misses and one catch-up",
                "2026-03-01T00:00:00Z",
                "2026-03-04T19:00:00Z",
                &[],
                vec![
                    missed(74, true),
                    missed(50, true),
                    missed(26, true),
                    CatchUp { late: hours(2) },
                ],
            ),
            (
                "the clock went backwards",
                "2026-03-04T00:00:00Z",
                "2026-03-01T00:00:00Z",
                &[],
                vec![],
            ),
        ];
        for (name, since, now, recorded, expected) in cases {
            let verdicts: Vec<Verdict> = daily
                .decide(
                    utc(since),
                    |o| recorded.contains(&o.key().as_str()),
                    utc(now),
                )
                .into_iter()
                .map(|(_, v)| v)
                .collect();
            assert_eq!(verdicts, expected, "{name}");
        }
    }

    #[test]
    fn over_two_years_of_ticks_each_date_is_started_once() {
        for zone in [
            TOKYO,
            chrono_tz::America::New_York,
            chrono_tz::Europe::London,
            chrono_tz::Australia::Lord_Howe,
        ] {
            for time in [at(1, 30), at(2, 30)] {
                let daily = schedule(Rhythm::Daily { at: time }, zone);
                let start = utc("2026-01-01T00:00:00Z");
                let mut done = std::collections::BTreeSet::new();
                for tick in 0..(730 * 24) {
                    let now = start + Duration::hours(tick);
                    for (occurrence, verdict) in
                        daily.decide(now - Duration::days(2), |o| done.contains(&o.key()), now)
                    {
                        if matches!(verdict, Verdict::Due | Verdict::CatchUp { .. }) {
                            assert!(done.insert(occurrence.key()), "{} twice", occurrence.key());
                        }
                    }
                }
                assert!((729..=732).contains(&done.len()), "{zone}: {}", done.len());
            }
        }
    }

    #[test]
    fn years_of_silence_end_in_a_bounded_list() {
        let daily = schedule(Rhythm::Daily { at: at(2, 0) }, TOKYO);
        assert_eq!(
            daily
                .occurrences(DateTime::UNIX_EPOCH, utc("2026-01-01T00:00:00Z"))
                .len(),
            MOST
        );
    }
}
