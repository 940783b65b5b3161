//! Hourly forecasts with intervals that hold: candidates are weighted by how they did at earlier
//! times of the same series, and the interval is what the mixture missed by then. Pure.

mod models;
mod series;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use models::{History, MODELS, spread};
use series::Series;

pub use series::{Preparation, Shift};

/// Hours of a week: the longest season that is looked for.
pub const WEEK: usize = 168;
/// The longest forecast, hours.
pub const MOST_HORIZON: usize = 2 * WEEK;
/// How sharply candidates are told apart by their errors.
const SHARPNESS: i32 = 4;
/// Of what was missed at earlier times, the share within the interval. More than 95 %: the errors of
/// a week that is to come are not quite those of weeks that were looked at.
const WITHIN: f64 = 0.98;

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Insufficient {
    #[error("insufficient data: there is no value")]
    Empty,
    #[error("insufficient data: {hours} hours, and at least 168 (7 days) are needed")]
    Short { hours: usize },
    #[error("the series spans {hours} hours: give at most the newest 20,160 (120 weeks)")]
    Long { hours: usize },
    #[error("insufficient data: {missing} of {hours} hours have no value")]
    Gaps { missing: usize, hours: usize },
    #[error("the horizon is {0} hours: 1 to 336 can be forecast")]
    Horizon(usize),
}

/// One hour that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hour {
    pub at: DateTime<Utc>,
    pub forecast: f64,
    /// The interval that is to hold 95 of 100 values.
    pub lower: f64,
    pub upper: f64,
}

impl Hour {
    /// From the lowest to the highest that any of these hours may have, for one of which nothing is known.
    fn widened(&mut self, known: &[Self]) {
        for hour in known {
            self.lower = self.lower.min(hour.lower);
            self.upper = self.upper.max(hour.upper);
        }
    }
}

/// How much a candidate counts, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub name: &'static str,
    /// 0 to 1, all together 1.
    pub weight: f64,
    /// The mean absolute error at earlier times, in the unit of the series; `None` if it could not be
    /// tried.
    pub error: Option<f64>,
}

/// A forecast, and what it is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    pub hours: Vec<Hour>,
    pub candidates: Vec<Candidate>,
    /// How many earlier times of the series were tried.
    pub trials: usize,
    /// The mean absolute error of the mixture at those, and of last week's values.
    pub error: Option<f64>,
    pub error_of_last_week: Option<f64>,
    /// Places in `hours` of those whose hour of the week never had a value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<usize>,
    pub preparation: Preparation,
}

/// Forecasts the hours after the last value. Values are taken by the hour, in any order; the shape of
/// the week follows the clock of `zone`.
///
/// Errors: [`Insufficient`], never a guess.
pub fn forecast(
    points: &[(DateTime<Utc>, f64)],
    horizon: usize,
    zone: Tz,
) -> Result<Forecast, Insufficient> {
    if horizon == 0 || horizon > MOST_HORIZON {
        return Err(Insufficient::Horizon(horizon));
    }
    let series = Series::new(points, zone)?;
    let history = History {
        values: &series.values,
        clean: &series.clean,
    };
    let trials = Trials::of(&history);
    // One hour more where the clock is set forward on the way.
    let ahead = horizon + 2;
    let made: Vec<Option<Vec<f64>>> = MODELS.iter().map(|(_, m)| m(&history, ahead)).collect();
    let weights = trials.weights(&made);
    let mut mixture = mixed(&made, &weights, ahead);
    raise_peak(&mut mixture, &history);
    let (below, above) = trials.margins(&weights, &history);
    let spread = spread(&history);
    let least = if series.never_negative { 0.0 } else { f64::MIN };
    let hours = (0..horizon).map(|hour| {
        let at = series.end + Duration::hours(hour as i64);
        let place = series.ahead(at, zone).min(ahead - 1);
        let wide = spread[place % WEEK] * ((place / WEEK + 1) as f64).sqrt();
        let value = mixture[place];
        Hour {
            at,
            forecast: value.max(least),
            lower: (value + below * wide).min(value).max(least),
            upper: (value + above * wide).max(value).max(least),
        }
    });
    let mut hours: Vec<Hour> = hours.collect();
    let unknown: Vec<usize> = (0..horizon)
        .filter(|hour| series.unknown[series.ahead(hours[*hour].at, zone) % WEEK])
        .collect();
    if !unknown.is_empty() {
        let known = (0..horizon).filter(|hour| !unknown.contains(hour));
        let known: Vec<Hour> = known.map(|hour| hours[hour]).collect();
        for hour in &unknown {
            hours[*hour].widened(&known);
        }
    }
    let candidates = MODELS
        .iter()
        .enumerate()
        .map(|(index, (name, _))| Candidate {
            name,
            weight: weights[index],
            error: trials.error_of(index),
        });
    Ok(Forecast {
        hours,
        candidates: candidates.collect(),
        trials: trials.made.len(),
        error: trials.error(&weights),
        error_of_last_week: trials.error_of(0),
        unknown,
        preparation: series.report,
    })
}

/// What candidates said at earlier times, and what came.
struct Trials<'a> {
    made: Vec<Trial<'a>>,
}

struct Trial<'a> {
    history: History<'a>,
    said: Vec<Option<Vec<f64>>>,
    came: &'a [f64],
}

impl<'a> Trials<'a> {
    /// A week each, begun on each day of the last two.
    fn of(history: &History<'a>) -> Self {
        let count = history.len();
        let backs = (0..7).map(|day| WEEK + 24 * day).chain([2 * WEEK]);
        let cuts = backs.filter_map(|back| count.checked_sub(back));
        let made = cuts.filter(|cut| *cut >= WEEK + 24).map(|cut| {
            let earlier = history.until(cut);
            Trial {
                history: earlier,
                said: MODELS.iter().map(|(_, m)| m(&earlier, WEEK)).collect(),
                came: &history.values[cut..cut + WEEK],
            }
        });
        Self {
            made: made.collect(),
        }
    }

    fn error_of(&self, model: usize) -> Option<f64> {
        let errors = self.made.iter().map(|trial| {
            let said = trial.said[model].as_ref()?;
            Some(apart(said, trial.came))
        });
        let errors: Vec<f64> = errors.collect::<Option<_>>()?;
        (!errors.is_empty()).then(|| mean(&errors))
    }

    fn error(&self, weights: &[f64]) -> Option<f64> {
        let errors = self.made.iter().map(|trial| {
            let said = mixed(&trial.said, weights, WEEK);
            apart(&said, trial.came)
        });
        let errors: Vec<f64> = errors.collect();
        (!errors.is_empty()).then(|| mean(&errors))
    }

    /// The better one was, the more it counts; all alike if nothing could be tried.
    fn weights(&self, now: &[Option<Vec<f64>>]) -> Vec<f64> {
        let errors: Vec<Option<f64>> = (0..MODELS.len())
            .map(|model| self.error_of(model).filter(|_| now[model].is_some()))
            .collect();
        let best = errors
            .iter()
            .flatten()
            .copied()
            .fold(f64::INFINITY, f64::min);
        let raw: Vec<f64> = errors
            .iter()
            .enumerate()
            .map(|(model, error)| match error {
                _ if now[model].is_none() => 0.0,
                Some(error) if *error <= best => 1.0,
                Some(error) => (best / error).powi(SHARPNESS),
                None if best.is_finite() => 0.0,
                None => 1.0,
            })
            .collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|one| one / sum).collect()
    }

    /// What the mixture missed by, in units of the spread: the lower and the upper end. What nobody
    /// could try is taken from how days differ from the days before.
    fn margins(&self, weights: &[f64], history: &History<'_>) -> (f64, f64) {
        let mut missed = Vec::new();
        for trial in &self.made {
            let said = mixed(&trial.said, weights, WEEK);
            let spread = spread(&trial.history);
            let each = (0..WEEK).map(|hour| (trial.came[hour] - said[hour]) / spread[hour]);
            missed.extend(each);
        }
        if missed.is_empty() {
            let spread = mean(&spread(history));
            let values = history.values;
            missed.extend((24..values.len()).map(|i| (values[i] - values[i - 24]) / spread));
        }
        let lower = quantile(&mut missed, 1.0 - WITHIN);
        (lower.min(0.0), quantile(&mut missed, WITHIN).max(0.0))
    }
}

fn mixed(said: &[Option<Vec<f64>>], weights: &[f64], horizon: usize) -> Vec<f64> {
    let mut mixture = vec![0.0; horizon];
    for (said, weight) in said.iter().zip(weights) {
        if let Some(said) = said {
            for (sum, value) in mixture.iter_mut().zip(said) {
                *sum += weight * value;
            }
        }
    }
    mixture
}

/// A shape that is the middle of many weeks is flatter than each of them. The highest hour of a week
/// is forecast by itself: as far above its week's mean as the highest hours of weeks were.
fn raise_peak(mixture: &mut [f64], history: &History<'_>) {
    let weeks: Vec<f64> = history
        .values
        .rchunks_exact(WEEK)
        .map(|week| week.iter().copied().fold(f64::MIN, f64::max) - mean(week))
        .collect();
    let above = median(weeks);
    for week in mixture
        .chunks_mut(WEEK)
        .filter(|week| week.len() > WEEK / 2)
    {
        let target = mean(week) + above;
        if let Some(peak) = week.iter_mut().max_by(|a, b| a.total_cmp(b)) {
            *peak = peak.max(target);
        }
    }
}

fn apart(said: &[f64], came: &[f64]) -> f64 {
    let each: Vec<f64> = said.iter().zip(came).map(|(a, b)| (a - b).abs()).collect();
    mean(&each)
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// The value that so much of all is not above, with the correction for few values that split
/// conformal prediction asks for.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = ((values.len() as f64 + 1.0) * share).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}
