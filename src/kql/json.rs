//! JSON as `dynamic` holds it: text in columns, a tree where it is taken apart.
//!
//! Bags keep the order of their keys, whole numbers stay whole, and text from outside is made
//! compact once, when it comes in, so that a member is found by running over bytes.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::types::Type;
use super::value::Value;

/// A JSON value. Datetimes, timespans, guids and decimals are strings in it, as Kusto prints them.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Long(i64),
    Real(f64),
    String(String),
    Array(Vec<Json>),
    /// Keys are unique: the last value of a repeated key stays.
    Bag(Vec<(String, Json)>),
}

impl Json {
    /// Reads JSON text. `None` when it is not JSON.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What a cell is inside a dynamic value.
    #[must_use]
    pub fn from_value(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(v) => Self::Bool(*v),
            Value::Int(v) => Self::Long(i64::from(*v)),
            Value::Long(v) => Self::Long(*v),
            Value::Real(v) => Self::Real(*v),
            Value::String(v) => Self::String(v.clone().into_owned()),
            Value::Dynamic(v) => Self::parse(v).unwrap_or(Self::Null),
            other => Self::String(super::convert::text(other).into_owned()),
        }
    }

    /// As a cell of type dynamic; JSON's null is a null.
    #[must_use]
    pub fn into_value(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            other => Value::Dynamic(Cow::Owned(other.to_string())),
        }
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Bag(members) => members
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Long(v) => Some(*v as f64),
            Self::Real(v) => Some(*v),
            _ => None,
        }
    }

    /// What `tostring` makes of it: strings without quotes, null as nothing, the rest as JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// Sets a member, in its place when it is there.
    pub fn set(members: &mut Vec<(String, Json)>, key: String, value: Json) {
        match members.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => members.push((key, value)),
        }
    }
}

/// Compact JSON text.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(v) => write!(f, "{v}"),
            Self::Long(v) => write!(f, "{v}"),
            Self::Real(v) if v.is_nan() => f.write_str("\"NaN\""),
            Self::Real(v) if v.is_infinite() => f.write_str(if *v > 0.0 {
                "\"Infinity\""
            } else {
                "\"-Infinity\""
            }),
            Self::Real(v) => f.write_str(&super::convert::real(*v)),
            Self::String(text) => quote(f, text),
            Self::Array(items) => {
                f.write_char('[')?;
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_char(',')?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_char(']')
            }
            Self::Bag(members) => {
                f.write_char('{')?;
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        f.write_char(',')?;
                    }
                    quote(f, key)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn quote(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).expect("text is always JSON"))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tree;
        impl<'de> Visitor<'de> for Tree {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, v: bool) -> Result<Json, E> {
                Ok(Json::Bool(v))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Json, E> {
                Ok(Json::Long(v))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Json, E> {
                Ok(i64::try_from(v).map_or(Json::Real(v as f64), Json::Long))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Json, E> {
                Ok(Json::Real(v))
            }
            fn visit_str<E>(self, v: &str) -> Result<Json, E> {
                Ok(Json::String(v.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Json>()? {
                    Json::set(&mut members, key, value);
                }
                Ok(Json::Bag(members))
            }
        }
        deserializer
            .deserialize_any(Tree)
            .map_err(de::Error::custom)
    }
}

/// JSON text made compact; `None` when it is not JSON.
#[must_use]
pub fn compact(text: &str) -> Option<String> {
    Json::parse(text).map(|json| json.to_string())
}

/// The raw text of a member of a bag, without building the tree. Takes any valid JSON; blanks
/// between tokens are allowed.
#[must_use]
pub fn member<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let bytes = json.as_bytes();
    let mut at = blanks(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at = blanks(bytes, at + 1);
    let mut found = None;
    while bytes.get(at) == Some(&b'"') {
        let end = skip(bytes, at)?;
        let name = &json[at..end];
        let value = blanks(bytes, end);
        if bytes.get(value) != Some(&b':') {
            return None;
        }
        let value = blanks(bytes, value + 1);
        let after = skip(bytes, value)?;
        // As in a tree, the last of a repeated key counts.
        if name[1..name.len() - 1] == *key || (name.contains('\\') && unquote(name) == key) {
            found = Some(&json[value..after]);
        }
        at = blanks(bytes, after);
        if bytes.get(at) == Some(&b',') {
            at = blanks(bytes, at + 1);
        }
    }
    found
}

/// Looks for one member in many bags.
pub(crate) struct Member<'k> {
    key: &'k str,
    /// Finds the key with its quotes and colon, when it is written without escapes.
    finder: memchr::memmem::Finder<'static>,
    length: usize,
}

impl<'k> Member<'k> {
    pub(crate) fn new(key: &'k str) -> Self {
        let written = format!(
            "{}:",
            serde_json::to_string(key).expect("text is always JSON")
        );
        let length = written.len();
        Self {
            key,
            finder: memchr::memmem::Finder::new(written.as_bytes()).into_owned(),
            length,
        }
    }

    /// As [`member`]. In compact JSON without escapes a quoted key with its colon can be nothing but a
    /// key, so that a search over bytes finds it; where that is not enough, the bag is walked.
    pub(crate) fn of<'a>(&self, json: &'a str) -> Option<&'a str> {
        let bytes = json.as_bytes();
        if bytes.first() != Some(&b'{') || memchr::memchr(b'\\', bytes).is_some() {
            return member(json, self.key);
        }
        let Some(at) = self.finder.find(bytes) else {
            // With blanks around its colon it would have been missed.
            return if bytes.iter().any(u8::is_ascii_whitespace) {
                member(json, self.key)
            } else {
                None
            };
        };
        let nested = memchr::memchr2(b'{', b'[', &bytes[1..at]).is_some();
        let value = blanks(bytes, at + self.length);
        let end = if nested { None } else { skip(bytes, value) };
        match end {
            Some(end) if self.finder.find(&bytes[end..]).is_none() => Some(&json[value..end]),
            _ => member(json, self.key),
        }
    }
}

/// The raw text of an element of an array; counts from the end when `index` is negative.
#[must_use]
pub fn element(json: &str, index: i64) -> Option<&str> {
    let items = elements(json)?;
    let index = if index < 0 {
        index + i64::try_from(items.len()).ok()?
    } else {
        index
    };
    items.get(usize::try_from(index).ok()?).copied()
}

/// The raw texts of an array's elements; `None` when it is no array.
#[must_use]
pub fn elements(json: &str) -> Option<Vec<&str>> {
    let bytes = json.as_bytes();
    let mut at = blanks(bytes, 0);
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    at = blanks(bytes, at + 1);
    let mut items = Vec::new();
    while at < bytes.len() && bytes[at] != b']' {
        let end = skip(bytes, at)?;
        items.push(&json[at..end]);
        at = blanks(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = blanks(bytes, at + 1);
        }
    }
    Some(items)
}

/// What a raw JSON text is as a string: strings lose their quotes, null is empty, the rest stays.
#[must_use]
pub fn unquote(raw: &str) -> Cow<'_, str> {
    if raw == "null" {
        return Cow::Borrowed("");
    }
    let Some(inner) = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Cow::Borrowed(raw);
    };
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}

/// A dynamic cell as a cell of another type: what `tolong(d)`, `tostring(d)`, `d to typeof(x)` do.
#[must_use]
pub fn cast<'a>(raw: &'a str, ty: Type) -> Value<'a> {
    if raw == "null" && ty != Type::String {
        return Value::Null;
    }
    match ty {
        Type::Dynamic => Value::dynamic(raw),
        Type::String => Value::String(unquote(raw)),
        // Arrays and bags are nothing else; the rest is read as its text is.
        _ if raw.starts_with(['[', '{']) => Value::Null,
        _ => super::convert::parse(&unquote(raw), ty).unwrap_or(Value::Null),
    }
}

fn blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the JSON value that starts at `at`.
fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string_end(bytes, at),
        b'{' | b'[' => {
            let mut depth = 0usize;
            while at < bytes.len() {
                match bytes[at] {
                    b'"' => {
                        at = string_end(bytes, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
            None
        }
        _ => {
            let start = at;
            while at < bytes.len()
                && !matches!(bytes[at], b',' | b'}' | b']' | b':')
                && !bytes[at].is_ascii_whitespace()
            {
                at += 1;
            }
            (at > start).then_some(at)
        }
    }
}

fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut i = at + 1;
    loop {
        i += memchr::memchr2(b'"', b'\\', bytes.get(i..)?)?;
        if bytes[i] == b'"' {
            return Some(i + 1);
        }
        i += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_without_a_tree() {
        let bag =
            r#"{"a":{"b":"x\"}"},"t":"con\u0074oso","n":-1.5,"l":[1,"]",{"k":null}],"t2":""}"#;
        for (key, expected) in [
            ("a", Some(r#"{"b":"x\"}"}"#)),
            ("t", Some(r#""con\u0074oso""#)),
            ("n", Some("-1.5")),
            ("l", Some(r#"[1,"]",{"k":null}]"#)),
            ("t2", Some(r#""""#)),
            ("b", None),
        ] {
            assert_eq!(member(bag, key), expected, "{key}");
            assert_eq!(Member::new(key).of(bag), expected, "{key}");
        }
        assert_eq!(unquote(member(bag, "t").expect("t")), "contoso");
        assert_eq!(element("[1, \"]\" ,3]", 1), Some("\"]\""));
        assert_eq!(element("[1,2,3]", -1), Some("3"));
        assert_eq!(element("[1,2,3]", 3), None);
        assert_eq!(member("{ \"a\" : 1 , \"a\" : 2 }", "a"), Some("2"));
    }

    #[test]
    fn a_search_over_bytes_finds_what_a_walk_finds() {
        for bag in [
            r#"{"t":"x","u":1}"#,
            r#"{"u":{"t":1},"t":2}"#,
            r#"{"u":"\"t\":","t":3}"#,
            r#"{"u":"{","t":[1,2]}"#,
            r#"{"t":1,"t":2}"#,
            r#"{"u":{"t":1}}"#,
            r#"{"t":{"t":1}}"#,
            r#"{"u" : 1, "t" : 2}"#,
            r#"{"t": 5}"#,
            r#"{"u":[{"t":1}]}"#,
            r#"["t:"]"#,
            "{}",
            "",
        ] {
            assert_eq!(Member::new("t").of(bag), member(bag, "t"), "{bag}");
        }
    }

    #[test]
    fn text_is_made_compact_and_keeps_its_order() {
        assert_eq!(
            compact("{ \"z\": 1.0, \"a\": [1, true, null] }").as_deref(),
            Some(r#"{"z":1.0,"a":[1,true,null]}"#)
        );
        assert_eq!(compact("{a}"), None);
    }
}
