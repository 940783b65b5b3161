//! One number about a series or two.

use super::{Function, Json, Naming, Value, array, dynamic, numbers, row};

pub(super) fn table() -> Vec<Function> {
    let unnamed = Naming::None;
    let sum = |name| {
        row(name, "dynamic -> real", unnamed, |a| {
            numbers(&a[0]).map(|v| v.iter().sum::<f64>()).into()
        })
    };
    const TWO: &str = "dynamic, dynamic -> real; dynamic, number -> real; number, dynamic -> real";
    vec![
        sum("series_sum"),
        sum("array_sum"),
        row("series_product", "dynamic -> real", unnamed, |a| {
            numbers(&a[0]).map(|v| v.iter().product::<f64>()).into()
        }),
        row("series_magnitude", "dynamic -> real", unnamed, |a| {
            numbers(&a[0])
                .map(|v| v.iter().map(|v| v * v).sum::<f64>().sqrt())
                .into()
        }),
        row("series_dot_product", TWO, unnamed, |a| {
            shared(&a[0], &a[1])
                .map(|v| v.iter().map(|(x, y)| x * y).sum::<f64>())
                .into()
        }),
        row(
            "series_cosine_similarity",
            "dynamic, dynamic -> real; dynamic, dynamic, real, real -> real",
            unnamed,
            cosine_similarity,
        ),
        row(
            "series_pearson_correlation",
            "dynamic, dynamic -> real",
            unnamed,
            correlation,
        ),
        row("series_stats", "dynamic, bool?! -> dynamic", unnamed, |a| {
            dynamic(
                statistics(a).map(|all| all.into_iter().take(7).map(|(_, value)| value).collect()),
            )
        }),
        row(
            "series_stats_dynamic",
            "dynamic, bool?! -> dynamic",
            unnamed,
            |a| {
                statistics(a).map_or(Value::Null, |all| {
                    let members = all
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value));
                    Json::Bag(members.collect()).into_value()
                })
            },
        ),
    ]
}

/// Pairs as far as the shorter series goes, without those in which one is no number. A number in
/// place of a series stands for each element. `None` when a series is empty.
fn shared(a: &Value<'_>, b: &Value<'_>) -> Option<Vec<(f64, f64)>> {
    let side = |value: &Value<'_>, other: &Value<'_>| -> Option<Vec<Option<f64>>> {
        match value {
            Value::Dynamic(_) => Some(array(value)?.iter().map(Json::as_real).collect()),
            number => Some(vec![number.as_real(); array(other)?.len()]),
        }
    };
    let (a, b) = (side(a, b)?, side(b, a)?);
    if a.is_empty() || b.is_empty() {
        return None;
    }
    Some(
        a.into_iter()
            .zip(b)
            .filter_map(|(a, b)| Some((a?, b?)))
            .collect(),
    )
}

/// Magnitudes that the caller knows are taken as they are.
fn cosine_similarity<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(pairs) = shared(&args[0], &args[1]) else {
        return Value::Null;
    };
    let product: f64 = pairs.iter().map(|(x, y)| x * y).sum();
    let given = |index: usize| args.get(index).and_then(Value::as_real);
    let first = given(2).unwrap_or_else(|| pairs.iter().map(|(x, _)| x * x).sum::<f64>().sqrt());
    let second = given(3).unwrap_or_else(|| pairs.iter().map(|(_, y)| y * y).sum::<f64>().sqrt());
    Value::Real(product / (first * second))
}

fn correlation<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Some(a), Some(b)) = (numbers(&args[0]), numbers(&args[1])) else {
        return Value::Null;
    };
    if a.len() != b.len() || a.is_empty() {
        return Value::Null;
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (x, y) = (mean(&a), mean(&b));
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        both += (a - x) * (b - y);
        first += (a - x) * (a - x);
        second += (b - y) * (b - y);
    }
    Value::Real(both / (first * second).sqrt())
}

/// All null when an element is no finite number, unless such elements are to be ignored.
fn statistics(args: &[Value<'_>]) -> Option<Vec<(&'static str, Json)>> {
    const NAMES: [&str; 9] = [
        "min", "min_idx", "max", "max_idx", "avg", "stdev", "variance", "sum", "len",
    ];
    let items = array(&args[0])?;
    let ignore = args.get(1).and_then(Value::as_bool).unwrap_or(false);
    let finite: Vec<(usize, f64)> = items
        .iter()
        .enumerate()
        .filter_map(|(at, item)| Some((at, item.as_real().filter(|v| v.is_finite())?)))
        .collect();
    if finite.is_empty() || (finite.len() < items.len() && !ignore) {
        return Some(NAMES.map(|name| (name, Json::Null)).into());
    }
    let first = |better: fn(f64, f64) -> bool| {
        finite[1..].iter().fold(
            finite[0],
            |best, one| {
                if better(one.1, best.1) { *one } else { best }
            },
        )
    };
    let (low, high) = (first(|a, b| a < b), first(|a, b| a > b));
    let count = finite.len() as f64;
    let sum: f64 = finite.iter().map(|(_, v)| v).sum();
    let mean = sum / count;
    let squares: f64 = finite.iter().map(|(_, v)| (v - mean) * (v - mean)).sum();
    let variance = if finite.len() > 1 {
        squares / (count - 1.0)
    } else {
        0.0
    };
    let values = [
        Json::Real(low.1),
        Json::Long(low.0 as i64),
        Json::Real(high.1),
        Json::Long(high.0 as i64),
        Json::Real(mean),
        Json::Real(variance.sqrt()),
        Json::Real(variance),
        Json::Real(sum),
        Json::Long(finite.len() as i64),
    ];
    Some(NAMES.into_iter().zip(values).collect())
}
