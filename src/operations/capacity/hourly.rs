//! What was measured, an hour each, and how much higher the busy minute of an hour is. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use serde::{Deserialize, Serialize};

/// Metrics of an hour are complete so long after its end.
const SETTLED: Duration = Duration::minutes(5);
/// An hour says something of its busy minute if it has so many of them.
const LEAST_MINUTES: usize = 45;
/// With fewer hours a busy minute is not learned.
const LEAST_HOURS: usize = 6;
/// Beyond this an hour was no load but an accident.
const MOST_FACTOR: f64 = 4.0;

/// Values of whole hours in a row. An hour that was not told is `None`, never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hourly {
    pub start: DateTime<Utc>,
    pub values: Vec<Option<f64>>,
}

impl Hourly {
    /// The hours that are over at `now`; `None` if there is no value. Several values of an hour are
    /// averaged.
    #[must_use]
    pub fn new(points: &[(DateTime<Utc>, f64)], now: DateTime<Utc>) -> Option<Self> {
        let mut hours: BTreeMap<DateTime<Utc>, (f64, u32)> = BTreeMap::new();
        for (at, value) in points.iter().filter(|(_, value)| value.is_finite()) {
            let Ok(hour) = at.duration_trunc(Duration::hours(1)) else {
                continue;
            };
            if hour + Duration::hours(1) + SETTLED <= now {
                let (sum, count) = hours.entry(hour).or_default();
                *sum += value;
                *count += 1;
            }
        }
        let (start, end) = (*hours.keys().next()?, *hours.keys().next_back()?);
        let count = usize::try_from((end - start).num_hours()).ok()? + 1;
        let value = |hour: usize| {
            let at = start + Duration::hours(hour as i64);
            let (sum, count) = hours.get(&at)?;
            Some(rounded(sum / f64::from(*count)))
        };
        Some(Self {
            start,
            values: (0..count).map(value).collect(),
        })
    }

    /// Every hour, with what was told of it.
    #[must_use]
    pub fn hours(&self) -> Vec<(DateTime<Utc>, Option<f64>)> {
        let hours = self.values.iter().enumerate();
        hours
            .map(|(hour, value)| (self.start + Duration::hours(hour as i64), *value))
            .collect()
    }

    /// The hours that were told.
    #[must_use]
    pub fn points(&self) -> Vec<(DateTime<Utc>, f64)> {
        let hours = self.hours().into_iter();
        hours.filter_map(|(at, value)| Some((at, value?))).collect()
    }

    /// The value of the hour that begins then.
    #[must_use]
    pub fn at(&self, hour: DateTime<Utc>) -> Option<f64> {
        let place = usize::try_from((hour - self.start).num_hours()).ok()?;
        self.values.get(place).copied().flatten()
    }
}

/// To five digits: what is kept is small, and no metric is more exact.
#[must_use]
pub fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 4 - value.abs().log10().floor() as i32;
    // A power of ten below one is not exact: it is divided by its inverse.
    if digits >= 0 {
        let scale = 10_f64.powi(digits);
        (value * scale).round() / scale
    } else {
        let scale = 10_f64.powi(-digits);
        (value / scale).round() * scale
    }
}

/// How much more the busy minutes of an hour need than the hour's mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Busy {
    /// Of the busiest minute, in nine of ten busy hours: what capacity is planned by. 1 and more; 1 where
    /// nothing could be learned.
    pub factor: f64,
    /// Of the minute that 95 of 100 are not above, in the middle one of all hours: what a tick goes by,
    /// which can put right in minutes what it bought too little of.
    #[serde(default = "one")]
    pub usual: f64,
    /// The hours that it was learned from; 0: nothing could be learned.
    pub hours: usize,
}

fn one() -> f64 {
    1.0
}

impl Default for Busy {
    fn default() -> Self {
        Self {
            factor: 1.0,
            usual: 1.0,
            hours: 0,
        }
    }
}

impl Busy {
    /// Learns it from the minutes of the last day; its busiest minutes only from the busier half of its
    /// hours.
    ///
    /// Why from minutes and not from the hourly maximum of `NormalizedRUConsumption`: that is the
    /// fullest partition in its fullest second, so one hot key or one refused burst would be bought
    /// for every hour to come, and it ends at 100 %, where the need goes on.
    #[must_use]
    pub fn learn(minutes: &[(DateTime<Utc>, f64)]) -> Self {
        let mut hours: BTreeMap<DateTime<Utc>, Vec<f64>> = BTreeMap::new();
        for (at, value) in minutes.iter().filter(|(_, value)| value.is_finite()) {
            if let Ok(hour) = at.duration_trunc(Duration::hours(1)) {
                hours.entry(hour).or_default().push(*value);
            }
        }
        // The mean is that of the hour as it is told as a whole, minutes without a value included.
        let mut known: Vec<(f64, Vec<f64>)> = hours
            .into_values()
            .filter(|values| values.len() >= LEAST_MINUTES)
            .map(|values| (values.iter().sum::<f64>() / 60.0, values))
            .filter(|(mean, _)| *mean > 0.0)
            .collect();
        if known.len() < LEAST_HOURS {
            return Self::default();
        }
        known.sort_by(|a, b| b.0.total_cmp(&a.0));
        let ratios = |hours: &[(f64, Vec<f64>)], share: f64| -> Vec<f64> {
            let hours = hours.iter();
            hours
                .map(|(mean, values)| quantile(values.clone(), share) / mean)
                .collect()
        };
        let busy = ratios(&known[..known.len().div_ceil(2)], 1.0);
        let factor = |ratio: f64| rounded(ratio.clamp(1.0, MOST_FACTOR));
        Self {
            factor: factor(quantile(busy, 0.9)),
            usual: factor(median(ratios(&known, 0.95))),
            hours: known.len(),
        }
    }
}

/// The value that so much of all is not above, by nearest rank; 0 of none.
#[must_use]
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values
        .get(rank.clamp(1, values.len().max(1)) - 1)
        .copied()
        .unwrap_or(0.0)
}

/// The middle value; 0 of none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::minutes(minutes)
    }

    #[test]
    fn an_hour_without_a_value_stays_a_gap_and_one_that_is_not_over_is_left_out() {
        let points = [
            (at(0), 1.0),
            (at(120), 3.0),
            (at(180), f64::NAN),
            (at(240), 5.0),
        ];
        let hourly = Hourly::new(&points, at(304)).expect("values");
        assert_eq!(hourly.values, [Some(1.0), None, Some(3.0)]);
        assert_eq!(hourly.at(at(60)), None);
        assert_eq!(hourly.points(), [(at(0), 1.0), (at(120), 3.0)]);
        let later = Hourly::new(&points, at(305)).expect("values");
        assert_eq!(
            later.values,
            [Some(1.0), None, Some(3.0), None, Some(5.0)],
            "five minutes after its end an hour counts"
        );
        assert_eq!(Hourly::new(&[], at(0)), None);
    }

    #[test]
    fn numbers_are_kept_to_five_digits() {
        for (value, expected) in [
            (0.0, 0.0),
            (1234.5678, 1234.6),
            (0.000_123_456, 0.000_123_46),
            (9_876_543.0, 9_876_500.0),
            (-12.345_67, -12.346),
            (99_999.9, 100_000.0),
        ] {
            assert!((rounded(value) - expected).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn the_busy_minute_is_learned_from_busy_hours_and_not_from_one_accident() {
        // Minutes of an hour: so many per minute, and one that is higher.
        let hour = |hour: i64, usual: f64, most: f64| {
            (0..60).map(move |minute| {
                let value = if minute == 30 { most } else { usual };
                (at(hour * 60 + minute), value)
            })
        };
        let day = |most: &dyn Fn(i64) -> f64| -> Vec<_> {
            (0..24).flat_map(|h| hour(h, 100.0, most(h))).collect()
        };
        let even = Busy::learn(&day(&|_| 100.0));
        assert_eq!((even.factor, even.hours), (1.0, 24));
        let peaks = Busy::learn(&day(&|_| 200.0));
        assert!((peaks.factor - 200.0 / (6100.0 / 60.0)).abs() < 0.001);
        assert_eq!(peaks.usual, 1.0, "one minute of sixty is not usual");
        // One hour of twelve went wild: it is not bought for all others.
        let wild = Busy::learn(&day(&|h| if h == 5 { 3000.0 } else { 200.0 }));
        assert!((wild.factor - peaks.factor).abs() < 0.001, "{wild:?}");
        // The night, in which one request is a peak, says nothing.
        let nights: Vec<_> = (0..24)
            .flat_map(|h| {
                let night = h < 12;
                hour(
                    h,
                    if night { 0.1 } else { 100.0 },
                    if night { 50.0 } else { 150.0 },
                )
            })
            .collect();
        let by_day = Busy::learn(&nights);
        assert!(by_day.factor < 1.5, "{by_day:?}");
        let few: Vec<_> = (0..5).flat_map(|h| hour(h, 100.0, 300.0)).collect();
        assert_eq!(Busy::learn(&few), Busy::default(), "five hours are too few");
        let holes: Vec<_> = day(&|_| 300.0).into_iter().step_by(2).collect();
        assert_eq!(Busy::learn(&holes), Busy::default(), "half an hour is none");
    }
}
