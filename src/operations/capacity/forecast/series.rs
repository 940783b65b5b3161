//! A series made fit for forecasting: one value for each local hour, and what had to be done for it.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, DurationRound as _, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::{Insufficient, WEEK, mean, median};

/// A gap of at most so many hours is a straight line; a longer one is what other weeks had.
const SHORT_GAP: usize = 6;
/// So much of a series may be missing, percent.
const MOST_MISSING: usize = 40;
/// A value is an outlier that is further from what its hour is like than so many times the usual.
const OUTLIER: f64 = 5.0;
/// A level is another one when days are further from those before than so many times the usual.
const SHIFT: f64 = 6.0;

/// What was found in a series, and what was done about it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Preparation {
    /// From its first hour to its last, hours.
    pub hours: usize,
    /// Hours without a value, filled in.
    pub missing: usize,
    /// Hours of the week that never had a value: of them nothing is known but what all others are like.
    pub never_told: usize,
    /// Values that came for an hour that had one, averaged.
    pub doubled: usize,
    /// Hours far from what they are like, which the shape of the week does not follow.
    pub outliers: usize,
    /// When it went to another level, and how much higher that is, as a ratio.
    pub shift: Option<Shift>,
    /// Changes of the clock within it.
    pub clock_changes: usize,
}

/// A series that went to another level and stayed there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shift {
    pub at: DateTime<Utc>,
    pub ratio: f64,
}

/// A series by the hours of a clock on a wall, without holes.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// The local hour of the first value.
    pub(super) start: NaiveDateTime,
    /// What was measured, before a shift brought to the level after it.
    pub(super) values: Vec<f64>,
    /// The same without outliers.
    pub(super) clean: Vec<f64>,
    /// The hour after the last.
    pub(super) end: DateTime<Utc>,
    pub(super) never_negative: bool,
    /// Hours of the week that never had a value, aligned as [`shape`]: what fills them is invented.
    pub(super) unknown: Vec<bool>,
    pub(super) report: Preparation,
}

/// The hour of a clock on a wall in which an hour begins: whole, since some clocks move by half of one.
fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let local = at.with_timezone(&zone).naive_local();
    local.duration_trunc(Duration::hours(1)).unwrap_or(local)
}

/// The first hour that begins in an hour of the wall's clock; `None` where that is skipped.
fn first_in(hour: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let at = zone.from_local_datetime(&hour).earliest()?.to_utc();
    at.duration_round_up(Duration::hours(1)).ok()
}

impl Series {
    pub(super) fn new(points: &[(DateTime<Utc>, f64)], zone: Tz) -> Result<Self, Insufficient> {
        let mut hours: BTreeMap<DateTime<Utc>, (f64, usize)> = BTreeMap::new();
        for (at, value) in points.iter().filter(|(_, value)| value.is_finite()) {
            if let Ok(hour) = at.duration_trunc(Duration::hours(1)) {
                let (sum, count) = hours.entry(hour).or_default();
                *sum += value;
                *count += 1;
            }
        }
        let (Some(first), Some(last)) = (hours.keys().next(), hours.keys().next_back()) else {
            return Err(Insufficient::Empty);
        };
        let (first, last) = (*first, *last);
        let span = usize::try_from((last - first).num_hours()).unwrap_or(0) + 1;
        if span < WEEK {
            return Err(Insufficient::Short { hours: span });
        }
        if span > WEEK * 120 {
            return Err(Insufficient::Long { hours: span });
        }
        let missing = span - hours.len();
        if missing * 100 > span * MOST_MISSING {
            return Err(Insufficient::Gaps {
                missing,
                hours: span,
            });
        }
        let doubled = hours.values().map(|(_, count)| count - 1).sum();
        let mut by_clock: BTreeMap<NaiveDateTime, (f64, usize)> = BTreeMap::new();
        for (at, (sum, count)) in &hours {
            let (all, times) = by_clock.entry(local(*at, zone)).or_default();
            *all += sum / *count as f64;
            *times += 1;
        }
        let start = local(first, zone);
        let length = usize::try_from((local(last, zone) - start).num_hours()).unwrap_or(0) + 1;
        let holes = (0..length)
            .map(|hour| {
                let at = start + Duration::hours(hour as i64);
                let (sum, count) = by_clock.get(&at)?;
                Some(sum / *count as f64)
            })
            .collect::<Vec<_>>();
        let offsets = (0..span).map(|hour| {
            let at = first + Duration::hours(hour as i64);
            local(at, zone) - at.naive_utc()
        });
        let offsets: Vec<Duration> = offsets.collect();
        let clock_changes = offsets.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let mut report = Preparation {
            hours: span,
            missing,
            doubled,
            clock_changes,
            ..Preparation::default()
        };
        let mut unknown = vec![true; WEEK];
        for (index, _) in holes.iter().enumerate().filter(|(_, hole)| hole.is_some()) {
            unknown[place(index, holes.len())] = false;
        }
        report.never_told = unknown.iter().filter(|unknown| **unknown).count();
        let mut values = filled(&holes);
        let never_negative = hours.values().all(|(sum, _)| *sum >= 0.0);
        if let Some((hour, ratio)) = shift(&values) {
            for value in &mut values[..hour] {
                *value *= ratio;
            }
            let at = first_in(start + Duration::hours(hour as i64), zone);
            report.shift = at.map(|at| Shift { at, ratio });
        }
        let clean = without_outliers(&values, &mut report.outliers);
        Ok(Self {
            start,
            values,
            clean,
            end: last + Duration::hours(1),
            never_negative,
            unknown,
            report,
        })
    }

    /// How many hours of the wall's clock after the last one an hour is, from 0.
    pub(super) fn ahead(&self, at: DateTime<Utc>, zone: Tz) -> usize {
        let next = self.start + Duration::hours(self.values.len() as i64);
        usize::try_from((local(at, zone) - next).num_hours()).unwrap_or(0)
    }
}

/// Fills holes: short ones by a line, long ones by what the same hour of other weeks had.
fn filled(holes: &[Option<f64>]) -> Vec<f64> {
    let known = |index: usize| holes.get(index).copied().flatten();
    let mut values = Vec::with_capacity(holes.len());
    let mut index = 0;
    while index < holes.len() {
        if let Some(value) = holes[index] {
            values.push(value);
            index += 1;
            continue;
        }
        let end = (index..holes.len()).find(|i| holes[*i].is_some());
        let end = end.unwrap_or(holes.len());
        let (before, after) = (index.checked_sub(1).map(|i| values[i]), known(end));
        let length = end - index;
        for hour in index..end {
            let weeks = (hour % WEEK..holes.len()).step_by(WEEK);
            let others: Vec<f64> = weeks.filter_map(known).collect();
            let value = match (before, after) {
                (Some(before), Some(after)) if length <= SHORT_GAP || others.is_empty() => {
                    let share = (hour - index + 1) as f64 / (length + 1) as f64;
                    before + share * (after - before)
                }
                (before, after) if others.is_empty() => before.or(after).unwrap_or(0.0),
                _ => median(others),
            };
            values.push(value);
        }
        index = end;
    }
    values
}

/// The mean of the week around each hour.
pub(super) fn levels(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    let mut sum = 0.0;
    for value in values {
        sum += value;
        sums.push(sum);
    }
    let count = values.len();
    let width = WEEK.min(count);
    let mean = |index: usize| {
        let from = index.saturating_sub(WEEK / 2).min(count - width);
        (sums[from + width] - sums[from]) / width as f64
    };
    (0..count).map(mean).collect()
}

/// The hour from which on a series is at another level for good, and how much higher that is. A day
/// that is unlike is a holiday; two or more in a row until the end, and all alike, are a level.
fn shift(values: &[f64]) -> Option<(usize, f64)> {
    let count = values.len();
    if count < 2 * WEEK || values.iter().any(|value| *value < 0.0) {
        return None;
    }
    // Whole days, backwards from the end, against the same weekday before.
    let day = |back: usize| {
        let end = count - back * 24;
        values[end - 24..end].iter().sum::<f64>()
    };
    let days = count / 24;
    let ratio = |back: usize| {
        let same: Vec<f64> = (1..)
            .map(|k| back + 7 * k)
            .take_while(|b| *b < days)
            .map(day)
            .collect();
        let usual = median(same);
        (usual > 0.0 && day(back) > 0.0).then(|| (day(back) / usual).ln())
    };
    let ratios: Vec<f64> = (0..days.saturating_sub(7))
        .map(ratio)
        .collect::<Option<_>>()?;
    for length in (2..=6_usize.min(ratios.len() / 2)).rev() {
        let (newer, older) = ratios.split_at(length);
        let centre = median(older.to_vec());
        let spread = median(older.iter().map(|r| (r - centre).abs()).collect()) * 1.4826;
        let step = median(newer.to_vec());
        let far = |r: &f64| (r - centre) * step.signum() > SHIFT * spread.max(0.02);
        let alike = newer
            .iter()
            .all(|r| (r - step).abs() < 0.25 * (step - centre).abs());
        if newer.iter().all(far) && alike {
            return Some((count - length * 24, (step - centre).exp()));
        }
    }
    None
}

/// What hours of the week are like, aligned so that the first is the one after the last value.
pub(super) fn shape(values: &[f64]) -> Vec<f64> {
    let count = values.len();
    (0..WEEK)
        .map(|hour| {
            let backwards = (1..)
                .map(|week| week * WEEK)
                .take_while(|b| *b <= count + hour);
            let same = backwards.filter_map(|back| values.get(count + hour - back));
            median(same.copied().collect())
        })
        .collect()
}

/// Where in [`shape`] a value is.
pub(super) fn place(index: usize, count: usize) -> usize {
    (WEEK - (count - index) % WEEK) % WEEK
}

/// The level around each hour without the highest and lowest hours of its week, so that one wild hour
/// does not make a week of others look wild.
fn calm_levels(values: &[f64]) -> Vec<f64> {
    let count = values.len();
    let width = WEEK.min(count);
    let cut = width / 20;
    // In steps of six hours: a level has no haste.
    let of = |from: usize| {
        let mut week = values[from..from + width].to_vec();
        week.sort_by(f64::total_cmp);
        mean(&week[cut..width - cut])
    };
    let mut made: BTreeMap<usize, f64> = BTreeMap::new();
    (0..count)
        .map(|index| {
            let from = index.saturating_sub(WEEK / 2).min(count - width) / 6 * 6;
            *made.entry(from).or_insert_with(|| of(from))
        })
        .collect()
}

fn without_outliers(values: &[f64], found: &mut usize) -> Vec<f64> {
    let levels = calm_levels(values);
    let free: Vec<f64> = values.iter().zip(&levels).map(|(v, l)| v - l).collect();
    let shape = shape(&free);
    let usual = |index: usize| shape[place(index, values.len())];
    let far: Vec<f64> = free.iter().enumerate().map(|(i, v)| v - usual(i)).collect();
    let spread = median(far.iter().map(|v| v.abs()).collect()) * 1.4826;
    // Where all weeks are the same, a small change is no outlier.
    let spread = spread.max(0.01 * mean(values).abs());
    values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            if spread > 0.0 && far[index].abs() > OUTLIER * spread {
                *found += 1;
                value - far[index]
            } else {
                *value
            }
        })
        .collect()
}
