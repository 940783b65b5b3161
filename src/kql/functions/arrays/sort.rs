//! `array_sort_asc` and `array_sort_desc`: several arrays in the order of the first.

use std::cmp::Ordering;

use super::{array, dynamic};
use crate::kql::functions::{Function, Naming, nulls};
use crate::kql::json::Json;
use crate::kql::text::timespan::{format_timespan, parse_timespan};
use crate::kql::value::{Value, order_reals};

/// One array gives one array. Several give an array of the sorted arrays, a result each.
const SORT: &str = "dynamic+ -> dynamic; dynamic+, bool! -> dynamic";

pub(super) fn table() -> Vec<Function> {
    vec![
        nulls("array_sort_asc", SORT, Naming::None, |a| sort(a, false)),
        nulls("array_sort_desc", SORT, Naming::None, |a| sort(a, true)),
    ]
}

/// The place of a kind of element among the others, in either direction.
fn kind(element: &Json) -> u8 {
    match element {
        Json::Long(_) | Json::Real(_) => 0,
        Json::String(text) if uuid::Uuid::try_parse(text).is_ok() && text.len() == 36 => 2,
        Json::String(_) => 1,
        _ => 3,
    }
}

fn sort<'a>(args: &[Value<'a>], descending: bool) -> Value<'a> {
    let (columns, nulls_last) = match args {
        [columns @ .., Value::Bool(nulls_last)] => (columns, *nulls_last),
        columns => (columns, true),
    };
    let Some(first) = columns.first().and_then(array) else {
        return Value::Null;
    };
    let spans = timespans(&first);
    let mut order: Vec<usize> = (0..first.len()).collect();
    order.sort_by(|&a, &b| {
        let nulls = (first[a] == Json::Null).cmp(&(first[b] == Json::Null));
        let nulls = if nulls_last { nulls } else { nulls.reverse() };
        let values = match &spans {
            Some(spans) => spans[a].cmp(&spans[b]),
            None => values(&first[a], &first[b]),
        };
        let values = if descending { values.reverse() } else { values };
        nulls
            .then(kind(&first[a]).cmp(&kind(&first[b])))
            .then(values)
    });
    let sorted = |items: &[Json]| {
        order
            .iter()
            .map(|&at| items[at].clone())
            .collect::<Vec<_>>()
    };
    if columns.len() == 1 {
        return dynamic(Some(sorted(&first)));
    }
    let results = columns.iter().map(|column| match array(column) {
        Some(items) if items.len() == first.len() => Json::Array(sorted(&items)),
        _ => Json::Null,
    });
    dynamic(Some(results.collect()))
}

fn values(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Long(a), Json::Long(b)) => a.cmp(b),
        (Json::String(a), Json::String(b)) => a.cmp(b),
        _ => match (a.as_real(), b.as_real()) {
            (Some(a), Some(b)) => order_reals(a, b),
            _ => Ordering::Equal,
        },
    }
}

/// Timespans are texts inside a dynamic value, and their texts do not sort as they do. An array
/// of nothing but timespans as Kusto writes them is one of timespans.
fn timespans(items: &[Json]) -> Option<Vec<Option<i64>>> {
    items
        .iter()
        .map(|item| match item {
            Json::Null => Some(None),
            Json::String(text) => {
                let ticks = parse_timespan(text)?;
                (format_timespan(ticks) == *text).then_some(Some(ticks))
            }
            _ => None,
        })
        .collect()
}
