//! What the forecast knew at the time: made of what had been served before, and nothing else, in the
//! same way as live.

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use chrono_tz::Tz;

use super::rivals::Seen;
use crate::operations::capacity::forecast;
use crate::operations::capacity::hourly::{Busy, Hourly};
use crate::operations::capacity::{Needs, RENEWED};

/// From so many days at most.
const DAYS: i64 = 30;
/// The busy minutes of an hour are learned from so many hours.
const HOURS: i64 = 24;

pub(super) struct Forecaster {
    zone: Tz,
    /// When one was last tried, and what it said.
    last: Option<(DateTime<Utc>, Option<Needs>)>,
}

impl Forecaster {
    pub(super) fn new(zone: Tz) -> Self {
        Self { zone, last: None }
    }

    /// The most RU/s that are expected in the busy minutes from `now` until `until`, by what was seen so
    /// far; `None` without enough of a past.
    pub(super) fn need(
        &mut self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        seen: &[Seen],
    ) -> Option<f64> {
        let due = self
            .last
            .as_ref()
            .is_none_or(|(at, _)| now >= *at + RENEWED);
        if due {
            // On the hour, so that a minute that was missed does not move all that come after.
            let hour = now.duration_trunc(Duration::hours(1)).ok()?;
            self.last = Some((hour, renewed(now, self.zone, seen)));
        }
        self.last.as_ref()?.1.as_ref()?.most(now, until)
    }
}

fn renewed(now: DateTime<Utc>, zone: Tz, seen: &[Seen]) -> Option<Needs> {
    let since = |ago: Duration| {
        let first = seen.partition_point(|(at, ..)| *at < now - ago);
        let known = seen[first..].iter();
        let served = known.filter_map(|(at, measured, _)| Some((*at, measured.as_ref()?.served)));
        served.collect::<Vec<(DateTime<Utc>, f64)>>()
    };
    let history = Hourly::new(&since(Duration::days(DAYS)), now)?;
    // As far as it is asked for before it is renewed, whatever is missing at the end.
    let end = history.start + Duration::hours(history.values.len() as i64);
    let hours = (now + RENEWED + Duration::hours(25) - end).num_hours();
    let horizon = usize::try_from(hours).ok()?.min(forecast::MOST_HORIZON);
    let made = forecast::forecast(&history.points(), horizon, zone).ok()?;
    let hours: Vec<f64> = made.hours.iter().map(|hour| hour.forecast).collect();
    let busy = Busy::learn(&since(Duration::hours(HOURS)));
    Some(Needs::new(made.hours.first()?.at, &hours, &busy))
}
