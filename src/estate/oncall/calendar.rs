use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike as _, LocalResult, NaiveDate, NaiveTime, TimeZone as _, Utc, Weekday,
};
use chrono_tz::Tz;

use crate::domain::{first_instant, japan};

/// How far ahead the next opening is looked for, days: more than any number of closed days in a
/// row that is not a mistake.
const FAR: usize = 400;

/// Hours of business, by the clock on the wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    pub name: String,
    pub days: Vec<Weekday>,
    pub from: NaiveTime,
    /// Midnight is the end of the day.
    pub to: NaiveTime,
    /// Closed on the national holidays of Japan.
    pub japanese_holidays: bool,
    pub closed: BTreeSet<NaiveDate>,
}

impl Calendar {
    /// Whether it has business hours on a date.
    #[must_use]
    pub fn is_business_day(&self, date: NaiveDate) -> bool {
        self.days.contains(&date.weekday())
            && !self.closed.contains(&date)
            && !(self.japanese_holidays && japan(date).is_some())
    }

    /// Whether a time of the day is within its hours.
    pub(super) fn is_hour(&self, time: NaiveTime) -> bool {
        self.from <= time && (time < self.to || self.to == NaiveTime::MIN)
    }

    /// Whether it is open, by what the clock on the wall shows.
    #[must_use]
    pub fn is_open(&self, at: DateTime<Utc>, zone: Tz) -> bool {
        let local = at.with_timezone(&zone);
        self.is_business_day(local.date_naive()) && self.is_hour(local.time())
    }

    /// When it opens next, `at` itself if it is open.
    ///
    /// `None` if it does not within more than a year.
    #[must_use]
    pub fn next_open(&self, at: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        if self.is_open(at, zone) {
            return Some(at);
        }
        let today = at.with_timezone(&zone).date_naive();
        let days = today.iter_days().take(FAR);
        days.filter(|date| self.is_business_day(*date))
            .find_map(|date| {
                let local = date.and_time(self.from);
                // A repeated hour may open it twice; the one that is left out opens it late.
                let mut times = match zone.from_local_datetime(&local) {
                    LocalResult::Ambiguous(first, second) => vec![first.to_utc(), second.to_utc()],
                    _ => first_instant(zone, local).into_iter().collect(),
                };
                times.retain(|time| *time > at && self.is_open(*time, zone));
                times.into_iter().min()
            })
    }
}
