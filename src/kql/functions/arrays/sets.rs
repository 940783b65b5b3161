//! Arrays as sets: each element counts once, in the order of its first place.

use std::collections::HashSet;

use super::{array, arrays, dynamic, same};
use crate::kql::functions::{Function, Naming, row};
use crate::kql::json::Json;
use crate::kql::value::Value;

pub(super) fn table() -> Vec<Function> {
    let unnamed = Naming::None;
    vec![
        row("set_union", "dynamic, dynamic+ -> dynamic", unnamed, |a| {
            dynamic(arrays(a).map(|all| distinct(all.into_iter().flatten())))
        }),
        row(
            "set_intersect",
            "dynamic, dynamic+ -> dynamic",
            unnamed,
            |a| {
                among_others(a, |element, others| {
                    others.iter().all(|set| set.contains(element))
                })
            },
        ),
        row(
            "set_difference",
            "dynamic, dynamic+ -> dynamic",
            unnamed,
            |a| {
                among_others(a, |element, others| {
                    !others.iter().any(|set| set.contains(element))
                })
            },
        ),
        row("set_equals", "dynamic, dynamic -> bool", unnamed, |a| {
            let sets = arrays(a).map(|all| all.iter().map(|items| keys(items)).collect::<Vec<_>>());
            sets.map(|sets| sets[0] == sets[1]).into()
        }),
        row("set_has_element", "dynamic, any -> bool", unnamed, |a| {
            let wanted = Json::from_value(&a[1]);
            array(&a[0])
                .map(|items| items.iter().any(|item| same(item, &wanted)))
                .into()
        }),
        row(
            "jaccard_index",
            "dynamic, dynamic -> dynamic",
            unnamed,
            jaccard_index,
        ),
    ]
}

/// A text that equal elements share: a whole number is the same as long and as real.
fn key(element: &Json) -> String {
    match element {
        Json::Real(v) if v.fract() == 0.0 && v.abs() < 9e15 => (*v as i64).to_string(),
        other => other.to_string(),
    }
}

fn keys(items: &[Json]) -> HashSet<String> {
    items.iter().map(key).collect()
}

fn distinct(items: impl IntoIterator<Item = Json>) -> Vec<Json> {
    let mut seen = HashSet::new();
    items
        .into_iter()
        .filter(|item| seen.insert(key(item)))
        .collect()
}

fn among_others<'a>(
    args: &[Value<'a>],
    keep: fn(&String, &[HashSet<String>]) -> bool,
) -> Value<'a> {
    dynamic(arrays(args).map(|mut all| {
        let first = all.remove(0);
        let others: Vec<_> = all.iter().map(|items| keys(items)).collect();
        distinct(first.into_iter().filter(|item| keep(&key(item), &others)))
    }))
}

fn jaccard_index<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Some(a), Some(b)) = (array(&args[0]), array(&args[1])) else {
        return Value::Null;
    };
    let (a, b) = (keys(&a), keys(&b));
    let index = a.intersection(&b).count() as f64 / a.union(&b).count() as f64;
    Json::Real(index).into_value()
}
