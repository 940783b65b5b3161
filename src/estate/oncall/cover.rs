//! Whether somebody is reached at every hour: by sets, since what counts of a day is its weekday,
//! whether it is a holiday, and the dates that are closed by name.

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate, NaiveTime, Weekday};

use super::{Calendar, Hours, Level, OnCall};

/// A time at which nobody is on duty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// For people: `on sundays`, `on holidays`, `on 2026-12-31`.
    pub(super) when: String,
    pub(super) from: NaiveTime,
}

impl OnCall {
    /// The first time at which a level and those after it have nobody; `None` if there is none.
    pub(super) fn gap(&self, level: &str) -> Option<Gap> {
        let chain: Vec<&Level> = self.chain(level);
        if chain.iter().any(|level| level.hours == Hours::Always) {
            return None;
        }
        let calendars: Vec<&Calendar> = chain
            .iter()
            .filter_map(|level| match &level.hours {
                Hours::Calendar(name) => self.calendar(name),
                Hours::Always => None,
            })
            .collect();
        const WEEK: [Weekday; 7] = [
            Weekday::Mon,
            Weekday::Tue,
            Weekday::Wed,
            Weekday::Thu,
            Weekday::Fri,
            Weekday::Sat,
            Weekday::Sun,
        ];
        let gap = |when: String, open: &dyn Fn(&Calendar) -> bool| {
            let open: Vec<&Calendar> = calendars.iter().filter(|c| open(c)).copied().collect();
            first_uncovered(&open).map(|from| Gap { when, from })
        };
        let plain = WEEK
            .into_iter()
            .find_map(|day| gap(format!("on {day}"), &|c: &Calendar| c.days.contains(&day)));
        let on_holidays = || {
            WEEK.into_iter().find_map(|day| {
                gap(format!("on holidays that are {day}"), &|c: &Calendar| {
                    c.days.contains(&day) && !c.japanese_holidays
                })
            })
        };
        let on_closed = || {
            let closed: BTreeSet<NaiveDate> = calendars
                .iter()
                .flat_map(|c| c.closed.iter().copied())
                .collect();
            closed.into_iter().find_map(|date| {
                gap(
                    format!("on {date} ({})", date.weekday()),
                    &|c: &Calendar| c.is_business_day(date),
                )
            })
        };
        plain.or_else(on_holidays).or_else(on_closed)
    }
}

/// The first time of a day that none of these is open at.
fn first_uncovered(open: &[&Calendar]) -> Option<NaiveTime> {
    let mut at = NaiveTime::MIN;
    loop {
        let Some(calendar) = open.iter().find(|c| c.is_hour(at)) else {
            return Some(at);
        };
        if calendar.to == NaiveTime::MIN {
            return None;
        }
        at = calendar.to;
    }
}
