//! Functions of property bags, and paths into dynamic values.

mod path;

use super::arrays::array;
use super::{Function, Naming, nulls, row};
use crate::kql::json::Json;
use crate::kql::value::Value;
use path::{Step, extract_json, path_check, path_of, tree_path};

type Members = Vec<(String, Json)>;

pub(crate) fn table() -> Vec<Function> {
    const PACK: &str = "string+, any+ -> dynamic";
    const EXTRACT: &str = "string, text, type? -> literal2";
    let unnamed = Naming::None;
    vec![
        row("bag_keys", "dynamic -> dynamic", unnamed, bag_keys),
        row(
            "bag_has_key",
            "dynamic, string -> bool",
            unnamed,
            bag_has_key,
        )
        .checked(|a| bag_path_check(a)),
        row(
            "bag_merge",
            "dynamic, dynamic+ -> dynamic",
            unnamed,
            bag_merge,
        ),
        nulls("bag_pack", PACK, unnamed, bag_pack),
        nulls("pack", PACK, unnamed, bag_pack),
        nulls("pack_dictionary", PACK, unnamed, bag_pack),
        row(
            "bag_remove_keys",
            "dynamic, dynamic -> dynamic",
            unnamed,
            bag_remove_keys,
        ),
        nulls(
            "bag_set_key",
            "dynamic, string!, any -> dynamic",
            unnamed,
            bag_set_key,
        )
        .checked(|a| bag_path_check(a)),
        nulls("bag_zip", "dynamic, dynamic -> dynamic", unnamed, bag_zip),
        row("extract_json", EXTRACT, unnamed, extract_json).checked(path_check),
        row("extractjson", EXTRACT, unnamed, extract_json).checked(path_check),
        row("treepath", "dynamic -> dynamic", Naming::Own, tree_path),
    ]
}

fn bag(value: &Value<'_>) -> Option<Members> {
    match value {
        Value::Dynamic(text) => match Json::parse(text) {
            Some(Json::Bag(members)) => Some(members),
            _ => None,
        },
        _ => None,
    }
}

fn dynamic(members: Option<Members>) -> Value<'static> {
    members.map_or(Value::Null, |members| Json::Bag(members).into_value())
}

/// The keys that a text names: a path if it starts with `$`, a key of the root otherwise.
fn bag_path(text: &str) -> Option<Vec<String>> {
    if !text.starts_with('$') {
        return Some(vec![text.to_owned()]);
    }
    let keys: Option<Vec<String>> = path_of(text)?
        .into_iter()
        .map(|step| match step {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        })
        .collect();
    keys.filter(|keys| !keys.is_empty())
}

fn bag_path_check(args: &[Option<Value<'static>>]) -> Result<(), String> {
    match args.get(1) {
        Some(Some(path)) if bag_path(path.text()).is_none() => {
            Err(format!("`{}` is not a path of keys", path.text()))
        }
        _ => Ok(()),
    }
}

fn bag_keys<'a>(args: &[Value<'a>]) -> Value<'a> {
    bag(&args[0]).map_or(Value::Null, |members| {
        let keys = members.into_iter().map(|(key, _)| Json::String(key));
        Json::Array(keys.collect()).into_value()
    })
}

fn bag_has_key<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Value::Dynamic(text), Some(path)) = (&args[0], bag_path(args[1].text())) else {
        return Value::Null;
    };
    let root = Json::parse(text).unwrap_or(Json::Null);
    let found = path.iter().try_fold(&root, |at, key| at.get(key));
    Value::Bool(found.is_some())
}

/// The bag further left keeps its value of a key that several have.
fn bag_merge<'a>(args: &[Value<'a>]) -> Value<'a> {
    let bags: Option<Vec<Members>> = args.iter().map(bag).collect();
    dynamic(bags.map(|bags| {
        let mut merged = Members::new();
        for (key, value) in bags.into_iter().flatten() {
            if !merged.iter().any(|(name, _)| *name == key) {
                merged.push((key, value));
            }
        }
        merged
    }))
}

fn bag_pack<'a>(args: &[Value<'a>]) -> Value<'a> {
    let mut members = Members::new();
    for pair in args.chunks_exact(2) {
        Json::set(
            &mut members,
            pair[0].text().to_owned(),
            Json::from_value(&pair[1]),
        );
    }
    dynamic(Some(members))
}

fn bag_remove_keys<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Some(mut members), Some(keys)) = (bag(&args[0]), array(&args[1])) else {
        return Value::Null;
    };
    for path in keys.iter().filter_map(|key| bag_path(key.as_str()?)) {
        remove(&mut members, &path);
    }
    dynamic(Some(members))
}

fn remove(members: &mut Members, path: &[String]) {
    match path {
        [] => {}
        [last] => members.retain(|(key, _)| key != last),
        [first, rest @ ..] => {
            for (_, value) in members.iter_mut().filter(|(key, _)| key == first) {
                if let Json::Bag(inner) = value {
                    remove(inner, rest);
                }
            }
        }
    }
}

fn bag_set_key<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Some(mut members), Some(path)) = (bag(&args[0]), bag_path(args[1].text())) else {
        return Value::Null;
    };
    set(&mut members, &path, Json::from_value(&args[2]));
    dynamic(Some(members))
}

/// Bags on the way that are missing are made; what is no bag there gives way to one.
fn set(members: &mut Members, path: &[String], value: Json) {
    match path {
        [] => {}
        [last] => Json::set(members, last.clone(), value),
        [first, rest @ ..] => {
            let mut inner = match members.iter_mut().find(|(key, _)| key == first) {
                Some((_, Json::Bag(inner))) => std::mem::take(inner),
                _ => Members::new(),
            };
            set(&mut inner, rest, value);
            Json::set(members, first.clone(), Json::Bag(inner));
        }
    }
}

/// Each key has the value at its own place; a key without one is null, and what is no text is no key.
fn bag_zip<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(keys) = array(&args[0]) else {
        return Value::Null;
    };
    let values = array(&args[1]).unwrap_or_default();
    let mut members = Members::new();
    for (index, key) in keys.into_iter().enumerate() {
        if let Json::String(key) = key {
            let value = values.get(index).cloned().unwrap_or(Json::Null);
            Json::set(&mut members, key, value);
        }
    }
    dynamic(Some(members))
}

#[cfg(test)]
mod tests {
    use crate::kql::functions::{Eval, find};
    use crate::kql::value::Value::{self, Bool, Long, Null};

    fn d(json: &'static str) -> Value<'static> {
        Value::dynamic(json)
    }

    fn s(text: &'static str) -> Value<'static> {
        Value::string(text)
    }

    #[test]
    fn bags_are_taken_apart_and_put_together() {
        let nested = || d(r#"{"k1":1,"k2":{"p1":1,"p2":"x"}}"#);
        let json = || s(r#"{ "a": [ {"c d": "x"}, 7 ], "n": null }"#);
        for (name, args, expected) in [
            (
                "bag_keys",
                vec![d(r#"{"a":"b","c":{"d":1}}"#)],
                d(r#"["a","c"]"#),
            ),
            ("bag_keys", vec![d("[]")], Null),
            ("bag_has_key", vec![nested(), s("k2")], Bool(true)),
            ("bag_has_key", vec![nested(), s("$.k2.p1")], Bool(true)),
            ("bag_has_key", vec![nested(), s("$.k2['p3']")], Bool(false)),
            (
                "bag_merge",
                vec![d(r#"{"a":1}"#), d(r#"{"b":2,"a":3}"#)],
                d(r#"{"a":1,"b":2}"#),
            ),
            (
                "bag_pack",
                vec![s("a"), Long(1), s("b"), Null],
                d(r#"{"a":1,"b":null}"#),
            ),
            (
                "bag_remove_keys",
                vec![nested(), d(r#"["k1","$.k2.p1","z"]"#)],
                d(r#"{"k2":{"p2":"x"}}"#),
            ),
            (
                "bag_set_key",
                vec![d(r#"{"a":1}"#), s("b"), Long(3)],
                d(r#"{"a":1,"b":3}"#),
            ),
            (
                "bag_set_key",
                vec![d(r#"{"a":1}"#), s("$.b.c"), s("x")],
                d(r#"{"a":1,"b":{"c":"x"}}"#),
            ),
            ("bag_set_key", vec![d("[1]"), s("b"), Long(3)], Null),
            (
                "bag_zip",
                vec![d(r#"["a",8,"b"]"#), d("[1,2,2.5]")],
                d(r#"{"a":1,"b":2.5}"#),
            ),
            (
                "bag_zip",
                vec![d(r#"["a","b"]"#), d("[1]")],
                d(r#"{"a":1,"b":null}"#),
            ),
            ("bag_zip", vec![d(r#""a""#), d("[1]")], Null),
            ("extract_json", vec![s("$.a[0]['c d']"), json()], s("x")),
            (
                "extract_json",
                vec![s("$.a[0]"), json()],
                s(r#"{"c d":"x"}"#),
            ),
            (
                "extract_json",
                vec![s("$.a[1]"), json(), s("int")],
                Value::Int(7),
            ),
            ("extract_json", vec![s("$.z"), json()], s("")),
            ("extract_json", vec![s("$.z"), json(), s("long")], Null),
            ("extract_json", vec![s("$.a"), s("{a")], s("")),
            (
                "treepath",
                vec![d(r#"{"l":[100,"a",{"x":"y"}],"p":1}"#)],
                d(r#"["['l']","['l'][0]","['l'][0]['x']","['p']"]"#),
            ),
        ] {
            let function = find(name).unwrap_or_else(|| panic!("no function {name}"));
            let (Eval::Row(f) | Eval::Nulls(f)) = function.eval else {
                panic!("{name} is a function of rows")
            };
            assert_eq!(f(&args), expected, "{name}{args:?}");
        }
    }

    #[test]
    fn a_path_that_is_not_understood_is_refused_when_the_query_is_bound() {
        for (name, path, right) in [
            ("extract_json", "$.a.b[0]['c']", true),
            ("extract_json", "$", true),
            ("extract_json", "$..a", false),
            ("extract_json", "$.a[*]", false),
            ("extract_json", "a.b", false),
            ("bag_set_key", "a.b", true),
        ] {
            let check = find(name).and_then(|f| f.check).expect("paths are checked");
            let args = match name {
                "extract_json" => [Some(s(path)), None],
                _ => [None, Some(s(path))],
            };
            assert_eq!(check(&args).is_ok(), right, "{name}: {path}");
        }
    }
}
