//! Lists, sets and bags.

use std::collections::HashSet;

use super::{Aggregate, Group, Shape, Slots, Spec};
use crate::kql::json::{self, Json};
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Aggregate> {
    let one = |prefix| Shape::One { prefix };
    let sized = "any, integer!? -> dynamic";
    let bag = "dynamic, integer!? -> dynamic";
    vec![
        Aggregate::new(
            "make_list",
            sized,
            one("list"),
            Slots::<List<false, MAX>>::boxed,
        )
        .or_if("make_list_if"),
        Aggregate::new(
            "makelist",
            sized,
            one("list"),
            Slots::<List<false, OLD>>::boxed,
        ),
        Aggregate::new(
            "make_list_with_nulls",
            "any -> dynamic",
            one("list"),
            Slots::<List<true, MAX>>::boxed,
        ),
        Aggregate::new("make_set", sized, one("set"), Slots::<Set<MAX>>::boxed)
            .or_if("make_set_if"),
        Aggregate::new("makeset", sized, one("set"), Slots::<Set<OLD>>::boxed),
        Aggregate::new("make_bag", bag, one("bag"), Slots::<Bag>::boxed).or_if("make_bag_if"),
        Aggregate::new(
            "make_dictionary",
            bag,
            one("dictionary"),
            Slots::<Bag>::boxed,
        ),
    ]
}

/// The most that a list or set ever holds, and what it holds when nothing is said.
const MAX: usize = 1_048_576;
/// What `makelist` and `makeset`, the old names, hold when nothing is said.
const OLD: usize = 128;

fn limit(spec: &Spec, default: usize) -> usize {
    match spec.constants.get(1) {
        Some(Some(value)) => value
            .as_long()
            .map_or(default, |v| usize::try_from(v).unwrap_or(0).min(MAX)),
        _ => default,
    }
}

fn raw(value: &Value<'_>) -> String {
    match value {
        Value::Dynamic(raw) => raw.to_string(),
        other => Json::from_value(other).to_string(),
    }
}

/// Values in the order of their rows, nulls only when `NULLS`.
#[derive(Default)]
struct List<const NULLS: bool, const DEFAULT: usize> {
    items: Vec<String>,
    bytes: usize,
}

impl<const NULLS: bool, const DEFAULT: usize> Group for List<NULLS, DEFAULT> {
    fn add(&mut self, spec: &Spec, args: &[Value<'_>]) {
        if (NULLS || !args[0].is_null()) && self.items.len() < limit(spec, DEFAULT) {
            let item = raw(&args[0]);
            self.bytes += item.len() + size_of::<String>();
            self.items.push(item);
        }
    }

    fn merge(&mut self, spec: &Spec, other: Self) {
        self.items.extend(other.items);
        self.items.truncate(limit(spec, DEFAULT));
        self.bytes += other.bytes;
    }

    fn finish(self, _: &Spec) -> Vec<Value<'static>> {
        vec![Value::dynamic(array(&self.items))]
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// Different values in the order in which they were first seen (Kusto leaves the order open). The
/// elements of an array are values each.
#[derive(Default)]
struct Set<const DEFAULT: usize> {
    items: Vec<String>,
    seen: HashSet<String>,
    bytes: usize,
}

impl<const DEFAULT: usize> Set<DEFAULT> {
    fn take(&mut self, limit: usize, item: &str) {
        if self.items.len() < limit && !self.seen.contains(item) {
            self.bytes += 2 * (item.len() + size_of::<String>());
            self.seen.insert(item.to_owned());
            self.items.push(item.to_owned());
        }
    }
}

impl<const DEFAULT: usize> Group for Set<DEFAULT> {
    fn add(&mut self, spec: &Spec, args: &[Value<'_>]) {
        let limit = limit(spec, DEFAULT);
        match &args[0] {
            Value::Null => {}
            Value::Dynamic(text) => match json::elements(text) {
                Some(items) => {
                    for item in items.into_iter().filter(|item| *item != "null") {
                        self.take(limit, item);
                    }
                }
                None => self.take(limit, text),
            },
            other => self.take(limit, &raw(other)),
        }
    }

    fn merge(&mut self, spec: &Spec, other: Self) {
        let limit = limit(spec, DEFAULT);
        for item in &other.items {
            self.take(limit, item);
        }
    }

    fn finish(self, _: &Spec) -> Vec<Value<'static>> {
        vec![Value::dynamic(array(&self.items))]
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The members of all bags. Of a key that comes again the first value stays (Kusto: any of them);
/// what is no bag is passed over.
#[derive(Default)]
struct Bag {
    members: Vec<(String, Json)>,
    keys: HashSet<String>,
    bytes: usize,
}

impl Bag {
    fn take(&mut self, limit: usize, members: Vec<(String, Json)>, bytes: usize) {
        for (key, value) in members {
            if self.members.len() < limit && !self.keys.contains(&key) {
                self.keys.insert(key.clone());
                self.members.push((key, value));
            }
        }
        self.bytes += bytes;
    }
}

impl Group for Bag {
    fn add(&mut self, spec: &Spec, args: &[Value<'_>]) {
        let text = args[0].text();
        if let Some(Json::Bag(members)) = Json::parse(text) {
            self.take(limit(spec, MAX), members, 2 * text.len());
        }
    }

    fn merge(&mut self, spec: &Spec, other: Self) {
        self.take(limit(spec, MAX), other.members, other.bytes);
    }

    fn finish(self, _: &Spec) -> Vec<Value<'static>> {
        vec![Value::dynamic(Json::Bag(self.members).to_string())]
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
