//! Series as season, trend and rest, for a period that the caller names: how an unnamed one is
//! found is not published.

use super::fit::Line;
use super::{Function, Json, Naming, Value, dynamic, numbers, reals, row};

pub(super) fn table() -> Vec<Function> {
    vec![
        row(
            "series_seasonal",
            "dynamic, integer! -> dynamic",
            Naming::None,
            |a| {
                numbers(&a[0]).map_or(Value::Null, |series| {
                    let learned = series.len();
                    reals(season(&series, learned, a[1].as_long().unwrap_or(0))).into_value()
                })
            },
        )
        .checked(named_period),
        row(
            "series_decompose",
            "dynamic, integer!, string?!, integer? -> dynamic",
            Naming::None,
            decompose,
        )
        .checked(named_period),
    ]
}

fn named_period(args: &[Option<Value<'static>>]) -> Result<(), String> {
    let period = args.get(1).and_then(|period| period.as_ref()?.as_long());
    if period.is_some_and(|period| period < 0) {
        return Err("finding the period is not implemented: name one".to_owned());
    }
    match args.get(2) {
        Some(Some(trend)) if !["avg", "linefit", "none"].contains(&trend.text()) => Err(format!(
            "`{}` is not a trend: avg, linefit and none are",
            trend.text()
        )),
        _ => Ok(()),
    }
}

/// The median of all learned elements at the same place of the period; zeros without a period.
fn season(series: &[f64], learned: usize, period: i64) -> Vec<f64> {
    let Some(period) = usize::try_from(period).ok().filter(|period| *period > 0) else {
        return vec![0.0; series.len()];
    };
    let medians: Vec<f64> = (0..period.min(series.len()))
        .map(|phase| {
            let mut phased: Vec<f64> = series[..learned]
                .iter()
                .skip(phase)
                .step_by(period)
                .copied()
                .collect();
            phased.sort_by(f64::total_cmp);
            match phased.len() {
                0 => 0.0,
                count => (phased[(count - 1) / 2] + phased[count / 2]) / 2.0,
            }
        })
        .collect();
    (0..series.len()).map(|at| medians[at % period]).collect()
}

fn decompose<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(series) = numbers(&args[0]) else {
        return Value::Null;
    };
    let tested = args.get(3).and_then(Value::as_long).unwrap_or(0).max(0);
    let learned = series.len()
        - usize::try_from(tested)
            .unwrap_or(usize::MAX)
            .min(series.len());
    let seasonal = season(&series, learned, args[1].as_long().unwrap_or(0));
    let bare: Vec<f64> = series
        .iter()
        .zip(&seasonal)
        .map(|(v, season)| v - season)
        .collect();
    let trend: Vec<f64> = match args.get(2).map_or("avg", Value::text) {
        "linefit" if learned > 0 => {
            let line = Line::through(&bare[..learned]);
            (0..series.len()).map(|at| line.at(at)).collect()
        }
        "avg" if learned > 0 => {
            vec![bare[..learned].iter().sum::<f64>() / learned as f64; series.len()]
        }
        _ => vec![0.0; series.len()],
    };
    let baseline: Vec<f64> = seasonal.iter().zip(&trend).map(|(a, b)| a + b).collect();
    let rest: Vec<f64> = series
        .iter()
        .zip(&baseline)
        .map(|(v, base)| v - base)
        .collect();
    let all: Vec<Json> = [baseline, seasonal, trend, rest]
        .into_iter()
        .map(reals)
        .collect();
    dynamic(Some(all))
}
