//! Functions of arrays inside dynamic values.

mod range;
pub(crate) use range::MOST;
mod sets;
mod sort;

use super::{Function, Naming, nulls, row};
use crate::kql::json::Json;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let unnamed = Naming::None;
    let mut all = vec![
        nulls("pack_array", "any+ -> dynamic", unnamed, |args| {
            Json::Array(args.iter().map(Json::from_value).collect()).into_value()
        }),
        row("array_concat", "dynamic+ -> dynamic", unnamed, array_concat),
        nulls(
            "array_iff",
            "dynamic, any, any -> dynamic",
            unnamed,
            array_iff,
        ),
        nulls(
            "array_iif",
            "dynamic, any, any -> dynamic",
            unnamed,
            array_iff,
        ),
        row(
            "array_index_of",
            "dynamic, any, integer?, integer?, integer?! -> long",
            unnamed,
            array_index_of,
        ),
        row("array_length", "dynamic -> long", unnamed, array_length),
        row("arraylength", "dynamic -> long", unnamed, array_length),
        row("array_reverse", "dynamic -> dynamic", unnamed, |a| {
            on_array(a, |items, _| items.reverse())
        }),
        row(
            "array_rotate_left",
            "dynamic, integer -> dynamic",
            unnamed,
            |a| on_array(a, |items, a| rotate(items, whole(a, 1))),
        ),
        row(
            "array_rotate_right",
            "dynamic, integer -> dynamic",
            unnamed,
            |a| on_array(a, |items, a| rotate(items, whole(a, 1).saturating_neg())),
        ),
        nulls(
            "array_shift_left",
            "dynamic, integer, any? -> dynamic",
            unnamed,
            |a| shift(a, 1),
        ),
        nulls(
            "array_shift_right",
            "dynamic, integer, any? -> dynamic",
            unnamed,
            |a| shift(a, -1),
        ),
        row(
            "array_slice",
            "dynamic, integer, integer -> dynamic",
            unnamed,
            |a| {
                on_array(a, |items, a| {
                    *items = slice(items, whole(a, 1), whole(a, 2)).to_vec()
                })
            },
        ),
        row(
            "array_split",
            "dynamic, integer -> dynamic; dynamic, dynamic -> dynamic",
            unnamed,
            array_split,
        ),
        row(
            "strcat_array",
            "dynamic, anytext -> string",
            unnamed,
            strcat_array,
        ),
        row(
            "array_strcat",
            "dynamic, anytext -> string",
            unnamed,
            strcat_array,
        ),
        row("zip", "dynamic, dynamic+ -> dynamic", unnamed, zip),
        nulls("repeat", "any, long -> dynamic", Naming::Own, repeat),
    ];
    all.extend(range::table());
    all.extend(sets::table());
    all.extend(sort::table());
    all
}

/// The elements of an array; `None` for anything else.
pub(super) fn array(value: &Value<'_>) -> Option<Vec<Json>> {
    match value {
        Value::Dynamic(text) => match Json::parse(text) {
            Some(Json::Array(items)) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

/// Every argument as an array; `None` when one is none.
fn arrays(args: &[Value<'_>]) -> Option<Vec<Vec<Json>>> {
    args.iter().map(array).collect()
}

pub(super) fn dynamic(items: Option<Vec<Json>>) -> Value<'static> {
    items.map_or(Value::Null, |items| Json::Array(items).into_value())
}

/// Whether two elements are the same: numbers by value, everything else as it is.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Long(a), Json::Long(b)) => a == b,
        _ => match (a.as_real(), b.as_real()) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

fn on_array<'a>(args: &[Value<'a>], f: fn(&mut Vec<Json>, &[Value<'a>])) -> Value<'a> {
    dynamic(array(&args[0]).map(|mut items| {
        f(&mut items, args);
        items
    }))
}

fn whole(args: &[Value<'_>], index: usize) -> i64 {
    args.get(index).and_then(Value::as_long).unwrap_or(0)
}

fn array_concat<'a>(args: &[Value<'a>]) -> Value<'a> {
    dynamic(arrays(args).map(|all| all.into_iter().flatten().collect()))
}

/// Truth is a boolean or a number that is not zero; for any other condition there is no element.
fn array_iff<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(conditions) = array(&args[0]) else {
        return Value::Null;
    };
    // What is no array stands for each of its elements.
    let branches = [Json::from_value(&args[1]), Json::from_value(&args[2])];
    let element = |branch: &Json, index: usize| match branch {
        Json::Array(items) => items.get(index).cloned().unwrap_or(Json::Null),
        one => one.clone(),
    };
    let chosen = conditions.iter().enumerate().map(|(index, condition)| {
        let truth = match condition {
            Json::Bool(v) => Some(*v),
            other => other.as_real().map(|v| v != 0.0),
        };
        match truth {
            Some(true) => element(&branches[0], index),
            Some(false) => element(&branches[1], index),
            None => Json::Null,
        }
    });
    dynamic(Some(chosen.collect()))
}

/// -1 when it is not there; null for a search that cannot be meant.
fn array_index_of<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(items) = array(&args[0]) else {
        return Value::Null;
    };
    let wanted = Json::from_value(&args[1]);
    let count = items.len() as i64;
    let mut start = whole(args, 2);
    if start < 0 {
        start = start.saturating_add(count).max(0);
    }
    let length = args.get(3).and_then(Value::as_long).unwrap_or(-1);
    let occurrence = args.get(4).and_then(Value::as_long).unwrap_or(1);
    if length < -1 || occurrence < 1 {
        return Value::Null;
    }
    let end = if length == -1 {
        count
    } else {
        start.saturating_add(length).min(count)
    };
    let found = (start..end)
        .filter(|index| same(&items[*index as usize], &wanted))
        .nth(usize::try_from(occurrence - 1).unwrap_or(usize::MAX));
    Value::Long(found.unwrap_or(-1))
}

fn array_length<'a>(args: &[Value<'a>]) -> Value<'a> {
    crate::kql::json::elements(args[0].text())
        .map(|items| items.len() as i64)
        .into()
}

fn rotate(items: &mut [Json], left: i64) {
    if !items.is_empty() {
        items.rotate_left(left.rem_euclid(items.len() as i64) as usize);
    }
}

/// Places that become free hold the default; without one, null, or empty text among texts.
fn shift<'a>(args: &[Value<'a>], left: i64) -> Value<'a> {
    let (Some(items), Some(by)) = (array(&args[0]), args[1].as_long()) else {
        return Value::Null;
    };
    let free = match args.get(2) {
        Some(default) => Json::from_value(default),
        None if !items.is_empty() && items.iter().all(|item| item.as_str().is_some()) => {
            Json::String(String::new())
        }
        None => Json::Null,
    };
    let by = by.saturating_mul(left);
    let shifted = (0..items.len() as i64).map(|index| {
        let from = index
            .checked_add(by)
            .and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| items.get(from))
            .unwrap_or(&free)
            .clone()
    });
    dynamic(Some(shifted.collect()))
}

/// Both ends are inside; negative ones count from the end, and what lies outside is left out.
fn slice(items: &[Json], start: i64, end: i64) -> &[Json] {
    let count = items.len() as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(count) } else { at };
    let (start, end) = (place(start).max(0), place(end).min(count - 1));
    if start > end {
        return &[];
    }
    &items[start as usize..=end as usize]
}

fn array_split<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(items) = array(&args[0]) else {
        return Value::Null;
    };
    let cuts: Option<Vec<i64>> = match &args[1] {
        Value::Dynamic(_) => array(&args[1]).and_then(|cuts| {
            cuts.iter()
                .map(|cut| match cut {
                    Json::Long(cut) => Some(*cut),
                    _ => None,
                })
                .collect()
        }),
        one => one.as_long().map(|cut| vec![cut]),
    };
    let Some(cuts) = cuts else {
        return Value::Null;
    };
    let count = items.len() as i64;
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut from = 0;
    for cut in cuts {
        let cut = if cut < 0 {
            cut.saturating_add(count)
        } else {
            cut
        };
        let cut = cut.clamp(from, count);
        parts.push(Json::Array(items[from as usize..cut as usize].to_vec()));
        from = cut;
    }
    parts.push(Json::Array(items[from as usize..].to_vec()));
    dynamic(Some(parts))
}

fn strcat_array<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(items) = array(&args[0]) else {
        return Value::string("");
    };
    let texts: Vec<String> = items.iter().map(Json::to_text).collect();
    Value::from(texts.join(args[1].text()))
}

/// As long as the longest array; what is missing in the others is null.
fn zip<'a>(args: &[Value<'a>]) -> Value<'a> {
    dynamic(arrays(args).map(|all| {
        let longest = all.iter().map(Vec::len).max().unwrap_or(0);
        (0..longest)
            .map(|index| {
                let row = all
                    .iter()
                    .map(|items| items.get(index).cloned().unwrap_or(Json::Null));
                Json::Array(row.collect())
            })
            .collect()
    }))
}

fn repeat<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(count) = args[1]
        .as_long()
        .and_then(|count| usize::try_from(count).ok())
    else {
        return Value::Null;
    };
    let count = count.min(MOST);
    let item = Json::from_value(&args[0]).to_text();
    Value::dynamic(format!("[{}]", vec![item.as_str(); count].join(",")))
}

#[cfg(test)]
mod tests {
    use crate::kql::functions::{Eval, find};
    use crate::kql::value::Value::{self, Bool, DateTime, Long, Null, Real, TimeSpan};

    fn d(json: &'static str) -> Value<'static> {
        Value::dynamic(json)
    }

    fn s(text: &'static str) -> Value<'static> {
        Value::string(text)
    }

    #[test]
    fn arrays_are_taken_apart_and_put_together() {
        let words = || d(r#"["this","is","an","example","an","example"]"#);
        for (name, args, expected) in [
            (
                "pack_array",
                vec![Long(1), s("a"), Null],
                d(r#"[1,"a",null]"#),
            ),
            (
                "array_concat",
                vec![d("[1,2]"), d("[3]"), d("[]")],
                d("[1,2,3]"),
            ),
            ("array_concat", vec![d("[1,2]"), d("{}")], Null),
            (
                "array_iff",
                vec![d("[1,0,50]"), s("yes"), s("no")],
                d(r#"["yes","no","yes"]"#),
            ),
            (
                "array_iff",
                vec![d("[true,false,true]"), d("[1,2]"), d("[4,5]")],
                d("[1,5,null]"),
            ),
            (
                "array_iff",
                vec![d(r#"["x",null]"#), Long(1), Long(0)],
                d("[null,null]"),
            ),
            ("array_index_of", vec![words(), s("an")], Long(2)),
            (
                "array_index_of",
                vec![words(), s("example"), Long(1), Long(3)],
                Long(3),
            ),
            (
                "array_index_of",
                vec![words(), s("example"), Long(1), Long(2)],
                Long(-1),
            ),
            (
                "array_index_of",
                vec![words(), s("an"), Long(1), Long(-1), Long(2)],
                Long(4),
            ),
            ("array_index_of", vec![words(), s("an"), Long(-3)], Long(4)),
            ("array_index_of", vec![words(), s("is"), Long(-4)], Long(-1)),
            (
                "array_index_of",
                vec![words(), s("is"), Long(0), Long(-2)],
                Null,
            ),
            ("array_length", vec![d("[1,[2,3]]")], Long(2)),
            ("array_length", vec![d("{}")], Null),
            ("array_reverse", vec![d("[1,2]")], d("[2,1]")),
            (
                "array_rotate_left",
                vec![d("[1,2,3,4,5]"), Long(2)],
                d("[3,4,5,1,2]"),
            ),
            (
                "array_rotate_left",
                vec![d("[1,2,3,4,5]"), Long(-2)],
                d("[4,5,1,2,3]"),
            ),
            (
                "array_rotate_right",
                vec![d("[1,2,3,4,5]"), Long(2)],
                d("[4,5,1,2,3]"),
            ),
            (
                "array_shift_left",
                vec![d("[1,2,3]"), Long(2)],
                d("[3,null,null]"),
            ),
            (
                "array_shift_left",
                vec![d("[1,2,3]"), Long(-2), Long(-1)],
                d("[-1,-1,1]"),
            ),
            (
                "array_shift_right",
                vec![d(r#"["a","b"]"#), Long(1)],
                d(r#"["","a"]"#),
            ),
            (
                "array_slice",
                vec![d("[1,2,3,4,5]"), Long(2), Long(-1)],
                d("[3,4,5]"),
            ),
            (
                "array_slice",
                vec![d("[1,2,3,4,5]"), Long(-3), Long(-2)],
                d("[3,4]"),
            ),
            (
                "array_slice",
                vec![d("[1,2,3]"), Long(1), Long(9)],
                d("[2,3]"),
            ),
            ("array_slice", vec![d("[1,2,3]"), Long(2), Long(1)], d("[]")),
            (
                "array_split",
                vec![d("[1,2,3,4,5]"), Long(2)],
                d("[[1,2],[3,4,5]]"),
            ),
            (
                "array_split",
                vec![d("[1,2,3,4,5]"), d("[1,-2]")],
                d("[[1],[2,3],[4,5]]"),
            ),
            (
                "strcat_array",
                vec![d(r#"[1,"a",true]"#), s("->")],
                s("1->a->true"),
            ),
            (
                "zip",
                vec![d(r#"["A",1,1.5]"#), d(r#"[{},"B"]"#)],
                d(r#"[["A",{}],[1,"B"],[1.5,null]]"#),
            ),
            ("repeat", vec![Long(1), Long(3)], d("[1,1,1]")),
            ("repeat", vec![Long(1), Long(0)], d("[]")),
            ("repeat", vec![Long(1), Long(-1)], Null),
            ("range", vec![Long(1), Long(8), Long(3)], d("[1,4,7]")),
            ("range", vec![Long(1), Long(3)], d("[1,2,3]")),
            ("range", vec![Long(3), Long(1), Long(-1)], d("[3,2,1]")),
            ("range", vec![Long(3), Long(1)], d("[]")),
            (
                "range",
                vec![Real(0.0), Real(1.0), Real(0.5)],
                d("[0.0,0.5,1.0]"),
            ),
            (
                "range",
                vec![TimeSpan(36_000_000_000), TimeSpan(2 * 36_000_000_000)],
                d(r#"["01:00:00","02:00:00"]"#),
            ),
            (
                "range",
                vec![DateTime(0), DateTime(1), TimeSpan(1)],
                d(r#"["0001-01-01T00:00:00.0000000Z","0001-01-01T00:00:00.0000001Z"]"#),
            ),
            (
                "array_sort_asc",
                vec![d(r#"[2,null,"b",1,"a"]"#)],
                d(r#"[1,2,"a","b",null]"#),
            ),
            (
                "array_sort_desc",
                vec![d(r#"[null,"x","y"]"#), Bool(false)],
                d(r#"[null,"y","x"]"#),
            ),
            (
                "array_sort_asc",
                vec![d("[1,3,2]"), d(r#"["a","b","c"]"#), d("[1]")],
                d(r#"[[1,2,3],["a","c","b"],null]"#),
            ),
            (
                "array_sort_asc",
                vec![d(r#"["1.00:00:00","02:00:00"]"#)],
                d(r#"["02:00:00","1.00:00:00"]"#),
            ),
            (
                "set_union",
                vec![d("[1,2,1,4]"), d("[1,2]"), d("[8]")],
                d("[1,2,4,8]"),
            ),
            (
                "set_intersect",
                vec![d("[1,2,3,3]"), d("[3,2,5.0]"), d("[2,3]")],
                d("[2,3]"),
            ),
            (
                "set_difference",
                vec![d("[1,2,1,4]"), d("[1]"), d("[2]")],
                d("[4]"),
            ),
            ("set_equals", vec![d("[1,2]"), d("[2,1,1]")], Bool(true)),
            (
                "set_has_element",
                vec![d(r#"["a","b"]"#), s("b")],
                Bool(true),
            ),
            ("set_has_element", vec![d("[1]"), s("1")], Bool(false)),
            (
                "jaccard_index",
                vec![d("[1,2,3]"), d("[1,2,3,4]")],
                d("0.75"),
            ),
        ] {
            let function = find(name).unwrap_or_else(|| panic!("no function {name}"));
            let (Eval::Row(f) | Eval::Nulls(f)) = function.eval else {
                panic!("{name} is a function of rows")
            };
            assert_eq!(f(&args), expected, "{name}{args:?}");
        }
    }
}
