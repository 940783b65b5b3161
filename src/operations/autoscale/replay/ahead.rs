//! What the forecast knew at the time: made of what had come before, and nothing else.

use chrono::{DateTime, Duration, DurationRound as _, Timelike as _, Utc};
use chrono_tz::Tz;

use super::load::Load;
use crate::operations::capacity::forecast::{self, Hour};

/// A forecast is made each so many hours.
const EVERY: u32 = 6;
/// From so many days at most.
const DAYS: i64 = 30;
/// The busy minutes of an hour are learned from so many hours.
const HOURS: usize = 72;

pub(super) struct Forecaster<'a> {
    load: &'a Load,
    zone: Tz,
    /// Means of whole hours, with the 95th of a hundred of their minutes by their mean.
    hours: Vec<(DateTime<Utc>, f64, f64)>,
    made: Vec<Hour>,
    /// When it was made, and how much more busy minutes are than an hour's mean.
    last: Option<(DateTime<Utc>, f64)>,
}

impl<'a> Forecaster<'a> {
    pub(super) fn new(load: &'a Load, zone: Tz) -> Self {
        let into = load.from.minute() as usize;
        let skip = (60 - into) % 60;
        let whole = load.minutes.get(skip..).unwrap_or_default();
        let hours = whole
            .chunks_exact(60)
            .enumerate()
            .filter_map(|(hour, minutes)| {
                let mut known: Vec<f64> = minutes.iter().flatten().copied().collect();
                // An hour that was hardly measured is a gap.
                if known.len() < 30 {
                    return None;
                }
                let mean = known.iter().sum::<f64>() / known.len() as f64;
                known.sort_by(f64::total_cmp);
                let busy = known[known.len() * 95 / 100];
                let more = if mean > 0.0 { busy / mean } else { 1.0 };
                Some((load.at(skip + hour * 60), mean, more))
            });
        Self {
            load,
            zone,
            hours: hours.collect(),
            made: Vec::new(),
            last: None,
        }
    }

    /// The most RU/s that are expected in the busy minutes from `now` until `until`; `None` without
    /// enough of a past.
    pub(super) fn need(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> Option<f64> {
        let hour = now.duration_trunc(Duration::hours(1)).ok()?;
        let due = self
            .last
            .is_none_or(|(at, _)| hour >= at + Duration::hours(EVERY.into()));
        if due && hour > self.load.from {
            self.renew(hour);
        }
        let more = self.last?.1;
        let within = self
            .made
            .iter()
            .filter(|h| h.at + Duration::hours(1) > now && h.at < until);
        let most = within.map(|h| h.forecast).reduce(f64::max)?;
        Some(most * more)
    }

    fn renew(&mut self, hour: DateTime<Utc>) {
        let known = self.hours.partition_point(|(at, ..)| *at < hour);
        let past = &self.hours[..known];
        let points: Vec<(DateTime<Utc>, f64)> = past
            .iter()
            .filter(|(at, ..)| *at >= hour - Duration::days(DAYS))
            .map(|(at, mean, _)| (*at, *mean))
            .collect();
        let end = points.last().map(|(at, _)| *at + Duration::hours(1));
        // What comes after a gap at the end is as far ahead as the gap is long.
        let gap = end.map_or(0, |end| (hour - end).num_hours());
        let horizon = usize::try_from(gap).unwrap_or(0) + EVERY as usize + 25;
        self.made = forecast::forecast(&points, horizon.min(forecast::MOST_HORIZON), self.zone)
            .map(|made| made.hours)
            .unwrap_or_default();
        let mut more: Vec<f64> = past
            .iter()
            .rev()
            .take(HOURS)
            .map(|(.., more)| *more)
            .collect();
        more.sort_by(f64::total_cmp);
        let middle = more.get(more.len() / 2).copied().unwrap_or(1.0);
        self.last = Some((hour, middle));
    }
}
