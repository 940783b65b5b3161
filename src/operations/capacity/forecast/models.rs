//! Candidates: each makes the coming hours of a series without holes.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::prelude::*;

use super::series::{levels, place, shape};
use super::{WEEK, mean, median};

/// How much of what was lately unlike the week's shape is left a day later.
const DAMPING: f64 = 0.8;

/// What a candidate is made of: what was measured, and the same without outliers.
#[derive(Debug, Clone, Copy)]
pub(super) struct History<'a> {
    pub(super) values: &'a [f64],
    pub(super) clean: &'a [f64],
}

impl<'a> History<'a> {
    /// What was known at an earlier hour.
    pub(super) fn until(&self, hour: usize) -> Self {
        Self {
            values: &self.values[..hour],
            clean: &self.clean[..hour],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

pub(super) type Model = fn(&History<'_>, usize) -> Option<Vec<f64>>;

/// All candidates. The order is that of reports.
pub(super) const MODELS: [(&str, Model); 5] = [
    ("last week", last_week),
    ("hour of the week", hour_of_week),
    ("shape and level, added", added),
    ("shape and level, multiplied", multiplied),
    ("MSTL with ETS", mstl),
];

fn last_week(history: &History<'_>, horizon: usize) -> Option<Vec<f64>> {
    let week = history.values.last_chunk::<WEEK>()?;
    Some((0..horizon).map(|hour| week[hour % WEEK]).collect())
}

fn hour_of_week(history: &History<'_>, horizon: usize) -> Option<Vec<f64>> {
    let shape = shape(history.values);
    Some((0..horizon).map(|hour| shape[hour % WEEK]).collect())
}

fn added(history: &History<'_>, horizon: usize) -> Option<Vec<f64>> {
    levelled(
        history,
        horizon,
        |value, level| value - level,
        |free, level| free + level,
    )
}

fn multiplied(history: &History<'_>, horizon: usize) -> Option<Vec<f64>> {
    if history.clean.iter().any(|value| *value < 0.0) {
        return None;
    }
    let free = |value: f64, level: f64| value / level.max(f64::MIN_POSITIVE);
    levelled(history, horizon, free, |free, level| free * level)
}

/// The shape of the week freed of its level, at the level of the last week; what the last day was
/// unlike it is left at first and fades.
fn levelled(
    history: &History<'_>,
    horizon: usize,
    free: impl Fn(f64, f64) -> f64,
    bound: impl Fn(f64, f64) -> f64,
) -> Option<Vec<f64>> {
    let count = history.len();
    let levels = levels(history.clean);
    let freed: Vec<f64> = history
        .values
        .iter()
        .zip(&levels)
        .map(|(value, level)| free(*value, *level))
        .collect();
    if freed.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let shape = shape(&freed);
    let level = *levels.last()?;
    let unlike = (count - 24..count)
        .map(|index| history.values[index] - bound(shape[place(index, count)], level))
        .collect();
    let unlike = median(unlike);
    let coming = (0..horizon).map(|hour| {
        let left = unlike * DAMPING.powf(hour as f64 / 24.0);
        bound(shape[hour % WEEK], level) + left
    });
    Some(coming.collect())
}

fn mstl(history: &History<'_>, horizon: usize) -> Option<Vec<f64>> {
    if history.len() < 2 * WEEK {
        return None;
    }
    let trend = AutoETS::non_seasonal().into_trend_model();
    let model = MSTLModel::new(vec![24, WEEK], trend);
    let fitted = model.fit(history.clean).ok()?;
    let points = fitted.predict(horizon, None).ok()?.point;
    let sane = points.iter().all(|value| value.is_finite());
    (sane && points.len() == horizon).then_some(points)
}

/// How far values are from what their hour of the week is like, smoothed over neighbours and mixed
/// with that of all hours: aligned as [`shape`].
pub(super) fn spread(history: &History<'_>) -> Vec<f64> {
    let (values, count) = (history.values, history.len());
    let shape = shape(values);
    let mut far = vec![Vec::new(); WEEK];
    for (index, value) in values.iter().enumerate() {
        let place = place(index, count);
        far[place].push((value - shape[place]).abs());
    }
    let own: Vec<f64> = (0..WEEK)
        .map(|hour| {
            let near = [hour + WEEK - 1, hour, hour + 1].map(|h| &far[h % WEEK]);
            mean(&near.into_iter().flatten().copied().collect::<Vec<_>>())
        })
        .collect();
    let all = mean(&own);
    // Hours that were always the same may still be another time.
    let least = 1e-9 + 1e-6 * mean(values).abs();
    own.iter().map(|own| (own + all) / 2.0 + least).collect()
}
