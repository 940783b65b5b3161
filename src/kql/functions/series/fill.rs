//! Missing elements: nulls, or the placeholder that the caller names.

use super::{Function, Json, Naming, Value, array, dynamic, nulls};
use crate::kql::functions::arrays::same;

pub(super) fn table() -> Vec<Function> {
    let first = Naming::First;
    vec![
        nulls(
            "series_fill_const",
            "dynamic, number, number? -> dynamic",
            first,
            |a| {
                filled(a, 2, |items, missing, a| {
                    let constant = Json::from_value(&a[1]);
                    for (item, _) in items
                        .iter_mut()
                        .zip(missing)
                        .filter(|(_, missing)| **missing)
                    {
                        *item = constant.clone();
                    }
                })
            },
        ),
        nulls(
            "series_fill_forward",
            "dynamic, number? -> dynamic",
            first,
            |a| {
                filled(a, 1, |items, missing, _| {
                    for at in 1..items.len() {
                        if missing[at] {
                            items[at] = items[at - 1].clone();
                        }
                    }
                })
            },
        ),
        nulls(
            "series_fill_backward",
            "dynamic, number? -> dynamic",
            first,
            |a| {
                filled(a, 1, |items, missing, _| {
                    for at in (1..items.len()).rev() {
                        if missing[at - 1] {
                            items[at - 1] = items[at].clone();
                        }
                    }
                })
            },
        ),
        nulls(
            "series_fill_linear",
            "dynamic, number?, bool?, number? -> dynamic",
            first,
            |a| filled(a, 1, fill_linear),
        ),
    ]
}

type Fill = for<'a> fn(&mut [Json], &[bool], &[Value<'a>]);

fn filled<'a>(args: &[Value<'a>], placeholder: usize, fill: Fill) -> Value<'a> {
    let placeholder = args.get(placeholder).map_or(Json::Null, Json::from_value);
    dynamic(array(&args[0]).map(|mut items| {
        let missing: Vec<bool> = items.iter().map(|item| same(item, &placeholder)).collect();
        fill(&mut items, &missing, args);
        items
    }))
}

/// Between two whole numbers of a series that has no others, the whole part is taken.
fn fill_linear(items: &mut [Json], missing: &[bool], args: &[Value<'_>]) {
    let edges = args.get(2).and_then(Value::as_bool).unwrap_or(true);
    let known: Vec<usize> = (0..items.len()).filter(|at| !missing[*at]).collect();
    let (Some(first), Some(last)) = (known.first().copied(), known.last().copied()) else {
        items.fill(args.get(3).map_or(Json::Real(0.0), Json::from_value));
        return;
    };
    let whole = known.iter().all(|at| matches!(items[*at], Json::Long(_)));
    for between in known.windows(2) {
        let (from, to) = (between[0], between[1]);
        let (Some(low), Some(high)) = (items[from].as_real(), items[to].as_real()) else {
            continue;
        };
        for (at, item) in items.iter_mut().enumerate().take(to).skip(from + 1) {
            let value = low + (high - low) * (at - from) as f64 / (to - from) as f64;
            *item = if whole {
                Json::Long(value as i64)
            } else {
                Json::Real(value)
            };
        }
    }
    if edges {
        let (head, tail) = (items[first].clone(), items[last].clone());
        items[..first].fill(head);
        items[last + 1..].fill(tail);
    }
}
