use std::collections::BTreeSet;

use chrono::{DateTime, Days, Duration, LocalResult, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;

use super::{Hours, OnCall, Turns, week};
use crate::domain::{Override, first_instant};

/// A time over which the same person is on duty for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shift {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub person: String,
    pub why: String,
}

impl OnCall {
    /// The shifts of a level between two times, in order; what lies outside of them is cut off.
    /// Nothing if there is no such level.
    #[must_use]
    pub fn hands_over(
        &self,
        overrides: &[Override],
        level: &str,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        zone: Tz,
    ) -> Vec<Shift> {
        let mut edges = self.edges(overrides, level, from, until, zone);
        edges.retain(|edge| from <= *edge && *edge < until);
        edges.insert(from);
        let mut shifts: Vec<Shift> = Vec::new();
        let ends = edges.iter().copied().skip(1).chain([until]);
        for (begin, end) in edges.iter().copied().zip(ends) {
            let Some(duty) = self
                .duty(overrides, level, begin, zone)
                .filter(|_| begin < end)
            else {
                continue;
            };
            match shifts.last_mut() {
                Some(last)
                    if last.until == begin
                        && last.person == duty.person
                        && last.why == duty.why =>
                {
                    last.until = end;
                }
                _ => shifts.push(Shift {
                    from: begin,
                    until: end,
                    person: duty.person,
                    why: duty.why,
                }),
            }
        }
        shifts
    }

    /// Every moment at which who is on duty may change; more than those do no harm.
    fn edges(
        &self,
        overrides: &[Override],
        level: &str,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        zone: Tz,
    ) -> BTreeSet<DateTime<Utc>> {
        let mut edges = BTreeSet::new();
        for over in overrides {
            edges.extend([over.begins(), over.ends()]);
        }
        let Some(level) = self.level(level) else {
            return edges;
        };
        if let Turns::Weekly { starts, at, .. } = &level.turns {
            let mut now = from;
            while now <= until {
                let Some(this) = week(*starts, *at, now, zone) else {
                    break;
                };
                edges.insert(this.began);
                // Into the middle of the next week, whatever the clocks do.
                now = this.began + Duration::days(10);
                if let Some(next) = week(*starts, *at, now, zone) {
                    edges.insert(next.began);
                    now = next.began;
                }
            }
        }
        let Hours::Calendar(name) = &level.hours else {
            return edges;
        };
        let Some(calendar) = self.calendar(name) else {
            return edges;
        };
        let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
        let first = day(from)
            .checked_sub_days(Days::new(1))
            .unwrap_or(day(from));
        for date in first.iter_days().take_while(|date| *date <= day(until)) {
            for time in [NaiveTime::MIN, calendar.from, calendar.to] {
                edges.extend(first_instant(zone, date.and_time(time)));
                if let LocalResult::Ambiguous(_, second) =
                    zone.from_local_datetime(&date.and_time(time))
                {
                    edges.insert(second.to_utc());
                }
            }
            // The clocks are changed on this day: any of its minutes may be the one.
            let begin = first_instant(zone, date.and_time(NaiveTime::MIN));
            let end = date
                .succ_opt()
                .and_then(|next| first_instant(zone, next.and_time(NaiveTime::MIN)));
            if let (Some(begin), Some(end)) = (begin, end)
                && end - begin != Duration::days(1)
            {
                let minutes = (end - begin).num_minutes();
                edges.extend((0..minutes).map(|minute| begin + Duration::minutes(minute)));
            }
        }
        edges
    }
}
