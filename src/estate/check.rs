//! What is wrong with the shape of an estate file: all of it, each with its line, an unknown key
//! with the nearest known one.

use std::fmt;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// From 1; `None` if no line can be blamed.
    pub line: Option<usize>,
    /// Path of the key, as `stamps[0].cosmos.account`.
    pub key: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A file that is TOML at least.
pub(super) struct Source<'a> {
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

impl<'a> Source<'a> {
    /// Errors: everything that keeps the text from being TOML.
    pub(super) fn read(text: &'a str) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let source = Self { text, table };
        if errors.is_empty() {
            return Ok(source);
        }
        Err(errors
            .iter()
            .map(|e| Problem {
                line: e.span().map(|span| source.line(span.start)),
                key: String::new(),
                message: format!("is not TOML: {}", e.message()),
            })
            .collect())
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    /// A problem with the value at `key`, or with the nearest thing around it that is there.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem {
            line: Some(self.line(self.find(key).0)),
            key: key.to_owned(),
            message: message.into(),
        }
    }

    /// Whether the file has a value there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).1
    }

    /// Where the value at `key` is, or the nearest thing around it, and whether it is itself there.
    fn find(&self, key: &str) -> (usize, bool) {
        let mut table = Some(self.table.get_ref());
        let mut found = 0;
        for step in key.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let Some((at, value)) = table.and_then(|t| t.get_key_value(name)) else {
                return (found, false);
            };
            found = at.span().start;
            let mut value = value;
            if let Some(index) = index {
                let Some(item) = value.get_ref().as_array().and_then(|a| a.get(index)) else {
                    return (found, false);
                };
                found = item.span().start;
                value = item;
            }
            table = value.get_ref().as_table();
        }
        (found, true)
    }

    /// Holds the file against its schema.
    pub(super) fn check(&self, schema: &Value) -> Vec<Problem> {
        let mut walk = Walk {
            source: self,
            schema,
            problems: Vec::new(),
        };
        walk.table(self.table.get_ref(), schema, "", 0);
        walk.problems
    }
}

struct Walk<'s> {
    source: &'s Source<'s>,
    schema: &'s Value,
    problems: Vec<Problem>,
}

impl<'s> Walk<'s> {
    fn tell(&mut self, at: usize, key: &str, message: String) {
        self.problems.push(Problem {
            line: Some(self.source.line(at)),
            key: key.to_owned(),
            message,
        });
    }

    fn table(&mut self, table: &DeTable<'_>, schema: &'s Value, path: &str, at: usize) {
        let schema = resolved(self.schema, schema);
        let known = schema["properties"].as_object();
        for (name, value) in table {
            let key = join(path, name.get_ref());
            match known.and_then(|k| k.get(name.get_ref().as_ref())) {
                Some(schema) => self.value(value, schema, &key, name.span().start),
                None => {
                    let names: Vec<&str> = known
                        .into_iter()
                        .flat_map(|k| k.keys().map(String::as_str))
                        .collect();
                    let message = unknown(name.get_ref(), &names);
                    self.tell(name.span().start, &key, message);
                }
            }
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if let Some(name) = name.as_str().filter(|n| !table.contains_key(*n)) {
                self.tell(at, &join(path, name), "is missing".into());
            }
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &'s Value, key: &str, at: usize) {
        let schema = resolved(self.schema, schema);
        let names = names_of(schema);
        if !names.is_empty() {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            match value.get_ref().as_str() {
                Some(text) if known.contains(&text) => {}
                Some(text) => {
                    let message = format!("is `{text}`: {} is possible", known.join(", "));
                    self.tell(at, key, message);
                }
                None => self.tell(at, key, "is not a text".into()),
            }
            return;
        }
        let types = types_of(schema);
        let found = value.get_ref();
        // Of several types, the others are plain and have no more to be looked at.
        let fits = |wanted: &&str| match *wanted {
            "string" => found.is_str(),
            "number" => found.is_float() || found.is_integer(),
            _ => false,
        };
        if types.len() > 1 && types.iter().any(fits) {
            return;
        }
        let wanted = types.first().copied().unwrap_or_default();
        match (wanted, found) {
            ("object", DeValue::Table(table)) => {
                self.table(table, schema, key, at);
            }
            ("array", DeValue::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let key = format!("{key}[{index}]");
                    self.value(item, &schema["items"], &key, item.span().start);
                }
            }
            ("string", DeValue::String(_))
            | ("boolean", DeValue::Boolean(_))
            | ("number", DeValue::Float(_) | DeValue::Integer(_))
            | ("", _) => {}
            ("integer", DeValue::Integer(number)) => {
                let least = schema["minimum"].as_i64();
                let fits = i64::from_str_radix(number.as_str(), number.radix())
                    .is_ok_and(|n| least.is_none_or(|least| n >= least));
                if !fits {
                    self.tell(at, key, format!("is {number}: not a number that fits"));
                }
            }
            (wanted, found) => {
                let wanted = match wanted {
                    "object" => "a table",
                    "array" => "a list",
                    "string" => "a text",
                    "boolean" => "true or false",
                    _ => "a number",
                };
                let message = format!("is {}, and should be {wanted}", found.type_str());
                self.tell(at, key, message);
            }
        }
    }
}

/// A schema without references, and without the `null` beside it.
fn resolved<'s>(whole: &'s Value, mut schema: &'s Value) -> &'s Value {
    loop {
        if let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|r| r.strip_prefix("#/$defs/"))
        {
            schema = &whole["$defs"][name];
        } else if let Some(choice) = schema["anyOf"]
            .as_array()
            .and_then(|all| all.iter().find(|s| s["type"] != "null"))
        {
            schema = choice;
        } else {
            return schema;
        }
    }
}

/// The types that a value may have, `null` aside.
fn types_of(schema: &Value) -> Vec<&str> {
    let types = match &schema["type"] {
        Value::Array(types) => types.as_slice(),
        one => std::slice::from_ref(one),
    };
    let types = types.iter().filter_map(Value::as_str);
    types.filter(|name| *name != "null").collect()
}

/// The texts that a closed list allows; none if it is no such list.
fn names_of(schema: &Value) -> Vec<String> {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let mut names = texts(&schema["enum"]);
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        names.extend(texts(&choice["enum"]));
        names.extend(choice["const"].as_str().map(str::to_owned));
    }
    names
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|k| (strsim::jaro_winkler(name, k), *k))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => format!("is unknown: is `{nearest}` meant?"),
        None => format!("is unknown: known are {}", known.join(", ")),
    }
}
