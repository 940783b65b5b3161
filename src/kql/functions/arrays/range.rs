//! `range`: an array of values at equal distances.

use super::dynamic;
use crate::kql::functions::{Function, Naming, row};
use crate::kql::json::Json;
use crate::kql::value::Value;

/// The most elements a generated array has; a longer one ends there.
pub(crate) const MOST: usize = 1 << 20;

const HOUR: i64 = 36_000_000_000;

pub(super) fn table() -> Vec<Function> {
    vec![row(
        "range",
        "integer, integer, integer? -> dynamic; real, real, real? -> dynamic; \
         datetime, datetime, timespan? -> dynamic; timespan, timespan, timespan? -> dynamic",
        Naming::None,
        range,
    )]
}

fn range<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (start, stop) = (&args[0], &args[1]);
    if let Value::Real(start) = start {
        let step = args.get(2).map_or(Some(1.0), Value::as_real);
        return match (stop.as_real(), step) {
            (Some(stop), Some(step)) => reals(*start, stop, step),
            _ => Value::Null,
        };
    }
    let default = if matches!(start, Value::DateTime(_) | Value::TimeSpan(_)) {
        HOUR
    } else {
        1
    };
    let step = args.get(2).map_or(Some(default), Value::as_long);
    let (Some(from), Some(to), Some(step)) = (start.as_long(), stop.as_long(), step) else {
        return Value::Null;
    };
    if step == 0 {
        return Value::Null;
    }
    let values = std::iter::successors(Some(from), |at| at.checked_add(step))
        .take_while(|at| if step > 0 { *at <= to } else { *at >= to })
        .take(MOST)
        .map(|at| match start {
            Value::DateTime(_) => Json::from_value(&Value::DateTime(at)),
            Value::TimeSpan(_) => Json::from_value(&Value::TimeSpan(at)),
            _ => Json::Long(at),
        });
    dynamic(Some(values.collect()))
}

fn reals(start: f64, stop: f64, step: f64) -> Value<'static> {
    if step == 0.0 || !start.is_finite() || step.is_nan() {
        return Value::Null;
    }
    let values = (0..MOST)
        .map(|index| start + index as f64 * step)
        .take_while(|at| if step > 0.0 { *at <= stop } else { *at >= stop })
        .map(Json::Real);
    dynamic(Some(values.collect()))
}
