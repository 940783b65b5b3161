//! Functions of series: arrays of numbers at equal distances.
//!
//! Left out, since what is published does not determine their numbers: outliers, the search for
//! periods and all that rests on it (an automatic season, anomalies, forecasts), fits of two lines
//! and of polynomials, Fourier transforms.

mod elements;
mod fill;
mod filter;
mod fit;
mod seasons;
mod statistics;

use super::arrays::{array, dynamic};
use super::{Function, Naming, nulls, row};
use crate::kql::json::Json;
use crate::kql::types::Type;
use crate::kql::value::Value;

/// Functions that give several columns. The function itself returns one array with a value for
/// each, in this order; a column is called by the function, the argument's name and this word,
/// with underscores between (`series_stats_y_min`). Picking `[1]` from the call picks that result.
pub(crate) const RESULTS: &[(&str, &[(&str, Type)])] = &[
    (
        "series_stats",
        &[
            ("min", Type::Real),
            ("min_idx", Type::Long),
            ("max", Type::Real),
            ("max_idx", Type::Long),
            ("avg", Type::Real),
            ("stdev", Type::Real),
            ("variance", Type::Real),
        ],
    ),
    (
        "series_fit_line",
        &[
            ("rsquare", Type::Real),
            ("slope", Type::Real),
            ("variance", Type::Real),
            ("rvariance", Type::Real),
            ("interception", Type::Real),
            ("line_fit", Type::Dynamic),
        ],
    ),
    (
        "series_decompose",
        &[
            ("baseline", Type::Dynamic),
            ("seasonal", Type::Dynamic),
            ("trend", Type::Dynamic),
            ("residual", Type::Dynamic),
        ],
    ),
];

pub(crate) fn table() -> Vec<Function> {
    let mut all = elements::table();
    all.extend(fill::table());
    all.extend(filter::table());
    all.extend(fit::table());
    all.extend(seasons::table());
    all.extend(statistics::table());
    all
}

/// The numbers of a series; `None` when it is no array or an element is no number.
fn numbers(value: &Value<'_>) -> Option<Vec<f64>> {
    array(value)?.iter().map(Json::as_real).collect()
}

fn reals(values: impl IntoIterator<Item = f64>) -> Json {
    Json::Array(values.into_iter().map(Json::Real).collect())
}

/// A series without any number.
fn nothing(length: usize) -> Json {
    Json::Array(vec![Json::Null; length])
}

#[cfg(test)]
mod tests {
    use crate::kql::functions::{Eval, find};
    use crate::kql::json::Json;
    use crate::kql::value::Value::{self, Bool, Long, Null, Real};

    fn d(json: &'static str) -> Value<'static> {
        Value::dynamic(json)
    }

    fn call<'a>(name: &str, args: &[Value<'a>]) -> Value<'a> {
        let function = find(name).unwrap_or_else(|| panic!("no function {name}"));
        let (Eval::Row(f) | Eval::Nulls(f)) = function.eval else {
            panic!("{name} is a function of rows")
        };
        f(args)
    }

    #[test]
    fn series_go_element_by_element() {
        let holes = || d("[null,111,null,36,41,null,null,16,null]");
        for (name, args, expected) in [
            ("series_add", vec![d("[1,2,4]"), d("[4,2,1]")], d("[5,4,5]")),
            (
                "series_add",
                vec![d("[1,2.5,\"x\"]"), Long(1)],
                d("[2,3.5,null]"),
            ),
            (
                "series_subtract",
                vec![d("[1,2]"), d("[4]")],
                d("[-3,null]"),
            ),
            (
                "series_multiply",
                vec![Long(2), d("[1,null]")],
                d("[2,null]"),
            ),
            (
                "series_divide",
                vec![d("[1,2,4]"), d("[4,2,1]")],
                d("[0.25,1.0,4.0]"),
            ),
            (
                "series_pow",
                vec![d("[1,2,3,4]"), d("[1,2,3,0.5]")],
                d("[1.0,4.0,27.0,2.0]"),
            ),
            (
                "series_less",
                vec![d("[1,2,4]"), d("[4,2,1]")],
                d("[true,false,false]"),
            ),
            (
                "series_not_equals",
                vec![d("[1,2,4]"), d("[4,2,1]")],
                d("[true,false,true]"),
            ),
            ("series_abs", vec![d("[-6.5,0,-8]")], d("[6.5,0,8]")),
            ("series_floor", vec![d("[-1.5,1,2.5]")], d("[-2.0,1.0,2.0]")),
            ("series_acos", vec![d("[1]")], d("[0.0]")),
            ("series_sum", vec![d("[1,2,3,4]")], Real(10.0)),
            ("series_sum", vec![d("[1,null]")], Null),
            ("series_product", vec![d("[1,2,3,4]")], Real(24.0)),
            (
                "series_dot_product",
                vec![d("[1,2,4]"), d("[4,2,1]")],
                Real(12.0),
            ),
            ("series_dot_product", vec![d("[1,2,4]"), Long(1)], Real(7.0)),
            ("series_magnitude", vec![d("[3,4]")], Real(5.0)),
            (
                "series_pearson_correlation",
                vec![d("[1,2,3]"), d("[1,2]")],
                Null,
            ),
            (
                "series_fill_const",
                vec![d("[1,null]"), Real(0.0)],
                d("[1,0.0]"),
            ),
            (
                "series_fill_const",
                vec![d("[1,-1]"), Long(7), Long(-1)],
                d("[1,7]"),
            ),
            (
                "series_fill_forward",
                vec![holes()],
                d("[null,111,111,36,41,41,41,16,16]"),
            ),
            (
                "series_fill_backward",
                vec![holes()],
                d("[111,111,36,36,41,16,16,16,null]"),
            ),
            (
                "series_fill_linear",
                vec![holes()],
                d("[111,111,73,36,41,32,24,16,16]"),
            ),
            (
                "series_fill_linear",
                vec![holes(), Null, Bool(false)],
                d("[null,111,73,36,41,32,24,16,null]"),
            ),
            (
                "series_fill_linear",
                vec![d("[1.0,null,2.0]")],
                d("[1.0,1.5,2.0]"),
            ),
            ("series_fill_linear", vec![d("[null,null]")], d("[0.0,0.0]")),
            (
                "series_fill_linear",
                vec![d("[null]"), Null, Bool(true), Real(3.5)],
                d("[3.5]"),
            ),
            (
                "series_fir",
                vec![d("[0,0,6,0,0]"), d("[1,1,1]")],
                d("[0.0,0.0,2.0,2.0,2.0]"),
            ),
            (
                "series_fir",
                vec![d("[0,0,6,0,0]"), d("[1,1,1]"), Bool(true), Bool(true)],
                d("[0.0,2.0,2.0,2.0,0.0]"),
            ),
            (
                "series_fir",
                vec![d("[0,2,5]"), d("[1,-1]")],
                d("[0.0,2.0,3.0]"),
            ),
            (
                "series_fir",
                vec![d("[0,2,5]"), d("[1,-1]"), Bool(true)],
                Null,
            ),
            (
                "series_iir",
                vec![d("[1,2,3,4]"), d("[1]"), d("[1,-1]")],
                d("[1.0,3.0,6.0,10.0]"),
            ),
            (
                "series_seasonal",
                vec![d("[1,3,5,2,4,6,1,3,5,2,4,6]"), Long(3)],
                d("[1.5,3.5,5.5,1.5,3.5,5.5,1.5,3.5,5.5,1.5,3.5,5.5]"),
            ),
            (
                "series_decompose",
                vec![d("[1,3,2,4]"), Long(2)],
                d("[[1.5,3.5,1.5,3.5],[1.5,3.5,1.5,3.5],[0.0,0.0,0.0,0.0],[-0.5,-0.5,0.5,0.5]]"),
            ),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }

    #[test]
    fn a_line_is_fitted_and_measured() {
        let series = d("[2,5,6,8,11,15,17,18,25,26,30,30]");
        let fit = call("series_fit_line_dynamic", &[series]);
        let fit = Json::parse(fit.text()).expect("a bag");
        for (key, expected) in [
            ("rsquare", 0.982),
            ("slope", 2.730),
            ("variance", 98.628),
            ("rvariance", 1.686),
            ("interception", 1.064),
        ] {
            let got = fit.get(key).and_then(Json::as_real).expect(key);
            assert!((got - expected).abs() < 2e-3, "{key}: {got} for {expected}");
        }
    }

    #[test]
    fn statistics_tell_where_the_extremes_are() {
        let series = d("[23,46,23,87,4,8,3,75,2,56,13,75,32,16,29]");
        let stats = call("series_stats_dynamic", &[series]);
        let stats = Json::parse(stats.text()).expect("a bag");
        for (key, expected) in [
            ("min", 2.0),
            ("min_idx", 8.0),
            ("max", 87.0),
            ("max_idx", 3.0),
            ("avg", 32.8),
            ("stdev", 28.503_633_853_548_27),
            ("variance", 812.457_142_857_142_9),
            ("sum", 492.0),
            ("len", 15.0),
        ] {
            let got = stats.get(key).and_then(Json::as_real).expect(key);
            assert!((got - expected).abs() < 1e-9, "{key}: {got}");
        }
    }
}
