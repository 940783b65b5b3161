//! The line nearest to a series, by least squares over the places 0, 1, 2, ...

use super::{Function, Json, Naming, Value, array, dynamic, nothing, numbers, reals, row};

pub(super) fn table() -> Vec<Function> {
    vec![
        row("series_fit_line", "dynamic -> dynamic", Naming::None, |a| {
            dynamic(results(&a[0]).map(|all| all.into_iter().map(|(_, value)| value).collect()))
        }),
        row(
            "series_fit_line_dynamic",
            "dynamic -> dynamic",
            Naming::None,
            |a| {
                results(&a[0]).map_or(Value::Null, |all| {
                    let members = all
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value));
                    Json::Bag(members.collect()).into_value()
                })
            },
        ),
    ]
}

pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) interception: f64,
}

impl Line {
    /// A single element has a level line through it.
    pub(super) fn through(series: &[f64]) -> Self {
        let count = series.len() as f64;
        let (x, y) = ((count - 1.0) / 2.0, series.iter().sum::<f64>() / count);
        let (mut both, mut square) = (0.0, 0.0);
        for (at, value) in series.iter().enumerate() {
            let distance = at as f64 - x;
            both += distance * (value - y);
            square += distance * distance;
        }
        let slope = if square == 0.0 { 0.0 } else { both / square };
        Self {
            slope,
            interception: y - slope * x,
        }
    }

    pub(super) fn at(&self, index: usize) -> f64 {
        self.interception + self.slope * index as f64
    }
}

/// `None` for what is no array; nulls when an element is no number.
fn results(value: &Value<'_>) -> Option<[(&'static str, Json); 6]> {
    const NAMES: [&str; 6] = [
        "rsquare",
        "slope",
        "variance",
        "rvariance",
        "interception",
        "line_fit",
    ];
    let length = array(value)?.len();
    let values = match numbers(value).filter(|series| series.len() > 1) {
        Some(series) => {
            let line = Line::through(&series);
            let degrees = series.len() as f64 - 1.0;
            let mean = series.iter().sum::<f64>() / series.len() as f64;
            let variance = series.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / degrees;
            let residues = series
                .iter()
                .enumerate()
                .map(|(at, v)| (v - line.at(at)).powi(2));
            let rest = residues.sum::<f64>() / degrees;
            let square = if variance == 0.0 {
                1.0
            } else {
                1.0 - rest / variance
            };
            let fit = reals((0..series.len()).map(|at| line.at(at)));
            let [a, b, c, d, e] =
                [square, line.slope, variance, rest, line.interception].map(Json::Real);
            [a, b, c, d, e, fit]
        }
        None => {
            let [a, b, c, d, e] = [const { Json::Null }; 5];
            [a, b, c, d, e, nothing(length)]
        }
    };
    let mut values = values.into_iter();
    Some(NAMES.map(|name| (name, values.next().expect("as many as names"))))
}
