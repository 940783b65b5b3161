//! Functions that go element by element. What is no number, or missing in one of two series, is null.

use super::{Function, Json, Naming, Value, array, dynamic, row};
use crate::kql::functions::RowFn;

pub(super) fn table() -> Vec<Function> {
    const TWO: &str =
        "dynamic, dynamic -> dynamic; dynamic, number -> dynamic; number, dynamic -> dynamic";
    let two: [(&'static str, RowFn); 11] = [
        ("series_add", |a| {
            pairs(a, |x, y| whole_or(x, y, i64::checked_add, |x, y| x + y))
        }),
        ("series_subtract", |a| {
            pairs(a, |x, y| whole_or(x, y, i64::checked_sub, |x, y| x - y))
        }),
        ("series_multiply", |a| {
            pairs(a, |x, y| whole_or(x, y, i64::checked_mul, |x, y| x * y))
        }),
        ("series_divide", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Real(x / y)))
        }),
        ("series_pow", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Real(x.powf(y))))
        }),
        ("series_greater", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Bool(x > y)))
        }),
        ("series_greater_equals", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Bool(x >= y)))
        }),
        ("series_less", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Bool(x < y)))
        }),
        ("series_less_equals", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Bool(x <= y)))
        }),
        ("series_equals", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Bool(x == y)))
        }),
        ("series_not_equals", |a| {
            pairs(a, |x, y| of_reals(x, y, |x, y| Json::Bool(x != y)))
        }),
    ];
    let one: [(&'static str, RowFn); 12] = [
        ("series_abs", |a| kept(a, i64::checked_abs, f64::abs)),
        ("series_ceiling", |a| kept(a, Some, f64::ceil)),
        ("series_sign", |a| {
            mapped(a, crate::kql::functions::math::sign)
        }),
        ("series_floor", |a| mapped(a, f64::floor)),
        ("series_exp", |a| mapped(a, f64::exp)),
        ("series_log", |a| mapped(a, f64::ln)),
        ("series_sin", |a| mapped(a, f64::sin)),
        ("series_cos", |a| mapped(a, f64::cos)),
        ("series_tan", |a| mapped(a, f64::tan)),
        ("series_asin", |a| mapped(a, f64::asin)),
        ("series_acos", |a| mapped(a, f64::acos)),
        ("series_atan", |a| mapped(a, f64::atan)),
    ];
    let two = two
        .into_iter()
        .map(|(name, f)| row(name, TWO, Naming::None, f));
    let one = one
        .into_iter()
        .map(|(name, f)| row(name, "dynamic -> dynamic", Naming::None, f));
    two.chain(one).collect()
}

/// A number in place of a series stands for each of its elements.
enum Side {
    Series(Vec<Json>),
    Number(Json),
}

impl Side {
    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Dynamic(_) => array(value).map(Self::Series),
            number => Some(Self::Number(match number {
                Value::Decimal(_) => Json::Real(number.as_real()?),
                other => Json::from_value(other),
            })),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Series(items) => items.len(),
            Self::Number(_) => 0,
        }
    }

    fn at(&self, index: usize) -> &Json {
        match self {
            Self::Series(items) => items.get(index).unwrap_or(&Json::Null),
            Self::Number(number) => number,
        }
    }
}

fn pairs<'a>(args: &[Value<'a>], f: fn(&Json, &Json) -> Json) -> Value<'a> {
    let (Some(a), Some(b)) = (Side::of(&args[0]), Side::of(&args[1])) else {
        return Value::Null;
    };
    let items = (0..a.len().max(b.len())).map(|index| f(a.at(index), b.at(index)));
    dynamic(Some(items.collect()))
}

fn of_reals(a: &Json, b: &Json, f: fn(f64, f64) -> Json) -> Json {
    match (a.as_real(), b.as_real()) {
        (Some(a), Some(b)) => f(a, b),
        _ => Json::Null,
    }
}

/// Whole numbers stay whole while they fit.
fn whole_or(
    a: &Json,
    b: &Json,
    whole: fn(i64, i64) -> Option<i64>,
    real: fn(f64, f64) -> f64,
) -> Json {
    if let (Json::Long(a), Json::Long(b)) = (a, b)
        && let Some(v) = whole(*a, *b)
    {
        return Json::Long(v);
    }
    match (a.as_real(), b.as_real()) {
        (Some(a), Some(b)) => Json::Real(real(a, b)),
        _ => Json::Null,
    }
}

fn mapped<'a>(args: &[Value<'a>], f: fn(f64) -> f64) -> Value<'a> {
    dynamic(array(&args[0]).map(|items| {
        let number = |item: &Json| item.as_real().map_or(Json::Null, |v| Json::Real(f(v)));
        items.iter().map(number).collect()
    }))
}

fn kept<'a>(args: &[Value<'a>], whole: fn(i64) -> Option<i64>, real: fn(f64) -> f64) -> Value<'a> {
    dynamic(array(&args[0]).map(|items| {
        let number = |item: &Json| match item {
            Json::Long(v) => whole(*v).map_or(Json::Null, Json::Long),
            other => other.as_real().map_or(Json::Null, |v| Json::Real(real(v))),
        };
        items.iter().map(number).collect()
    }))
}
