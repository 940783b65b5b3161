//! Linear filters. Before its first element a series is taken to be zero.

use super::{Function, Naming, Value, numbers, reals, row};

pub(super) fn table() -> Vec<Function> {
    vec![
        row(
            "series_fir",
            "dynamic, dynamic, bool?, bool? -> dynamic",
            Naming::First,
            fir,
        ),
        row(
            "series_iir",
            "dynamic, dynamic, dynamic -> dynamic",
            Naming::First,
            iir,
        ),
    ]
}

/// Unless the caller says, a filter without negative coefficients is brought to the sum one.
fn fir<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Some(series), Some(mut filter)) = (numbers(&args[0]), numbers(&args[1])) else {
        return Value::Null;
    };
    let negative = filter.iter().any(|v| *v < 0.0);
    let normalize = args.get(2).and_then(Value::as_bool).unwrap_or(!negative);
    if normalize && negative {
        return Value::Null;
    }
    if normalize {
        let sum: f64 = filter.iter().sum();
        filter.iter_mut().for_each(|v| *v /= sum);
    }
    let center = args.get(3).and_then(Value::as_bool).unwrap_or(false);
    let ahead = if center { filter.len() / 2 } else { 0 };
    let filtered = (0..series.len()).map(|at| {
        let at = at + ahead;
        let terms = filter.iter().enumerate().take(at + 1);
        terms
            .filter_map(|(back, weight)| Some(weight * series.get(at - back)?))
            .sum()
    });
    reals(filtered).into_value()
}

fn iir<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Some(series), Some(numerators), Some(denominators)) =
        (numbers(&args[0]), numbers(&args[1]), numbers(&args[2]))
    else {
        return Value::Null;
    };
    let Some(scale) = denominators.first().filter(|v| **v != 0.0) else {
        return Value::Null;
    };
    let mut filtered: Vec<f64> = Vec::with_capacity(series.len());
    for at in 0..series.len() {
        let input = numerators.iter().take(at + 1).enumerate();
        let input: f64 = input.map(|(back, b)| b * series[at - back]).sum();
        let output = denominators.iter().enumerate().take(at + 1).skip(1);
        let output: f64 = output.map(|(back, a)| a * filtered[at - back]).sum();
        filtered.push((input - output) / scale);
    }
    reals(filtered).into_value()
}
