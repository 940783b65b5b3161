//! Regular expressions: extracted, replaced, trimmed.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::whole;
use crate::kql::convert;
use crate::kql::functions::{Function, Naming, regexes, row};
use crate::kql::json::Json;
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let none = Naming::None;
    let extraction = "string!, long, string -> string; string!, long, string, type -> literal3";
    let extractions = "string!, string -> dynamic; string!, dynamic, string -> dynamic";
    let first = |args: &[Option<Value<'static>>]| regexes::check(args, 0);
    let mut all = vec![
        row("extract", extraction, none, extract).checked(first),
        row(
            "replace_regex",
            "string, string!, string! -> string",
            none,
            |a| replace(a[0].text(), a[1].text(), a[2].text()),
        )
        .checked(|a| regexes::check(a, 1)),
        row("replace", "string!, string!, string -> string", none, |a| {
            replace(a[2].text(), a[0].text(), a[1].text())
        })
        .checked(first),
        row("regex_quote", "anytext -> string", none, |a| {
            regex::escape(a[0].text()).into()
        }),
        row("trim", "string!, string -> string", none, |a| {
            let regex = a[0].text();
            trimmed(
                &a[1],
                Some(&format!(r"\A(?:{regex})+")),
                Some(&format!(r"(?:{regex})+\z")),
            )
        })
        .checked(first),
        row("trim_start", "string!, string -> string", none, |a| {
            trimmed(&a[1], Some(&format!(r"\A(?:{})", a[0].text())), None)
        })
        .checked(first),
        row("trim_end", "string!, string -> string", none, |a| {
            trimmed(&a[1], None, Some(&format!(r"(?:{})\z", a[0].text())))
        })
        .checked(first),
    ];
    for name in ["extract_all", "extractall"] {
        all.push(row(name, extractions, none, extract_all).checked(check_groups));
    }
    all
}

/// Group 0 is the whole match.
fn extract<'a>(args: &[Value<'a>]) -> Value<'a> {
    let ty = args.get(3).and_then(|name| Type::from_name(name.text()));
    let found = regexes::compiled(args[0].text()).and_then(|regex| {
        let group = usize::try_from(whole(args, 1)?).ok()?;
        Some(regex.captures(args[2].text())?.get(group)?.range())
    });
    let (Some(range), text) = (found, &args[2]) else {
        return Value::Null;
    };
    match (ty, text) {
        (Some(ty), _) if ty != Type::String => {
            convert::cast(&Value::from(&text.text()[range]), ty).into_owned()
        }
        (_, Value::String(Cow::Borrowed(text))) => Value::from(&text[range]),
        _ => text.text()[range].to_owned().into(),
    }
}

fn check_groups(args: &[Option<Value<'static>>]) -> Result<(), String> {
    regexes::check(args, 0)?;
    let Some(pattern) = args[0].as_ref() else {
        return Ok(());
    };
    let groups = regexes::compiled(pattern.text()).map_or(0, |regex| regex.captures_len() - 1);
    if (1..=16).contains(&groups) {
        Ok(())
    } else {
        Err(format!(
            "the regular expression must have 1 to 16 capture groups, and has {groups}"
        ))
    }
}

/// One group gives an array of texts, more an array of arrays; no match gives null.
fn extract_all<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(regex) = regexes::compiled(args[0].text()) else {
        return Value::Null;
    };
    let (groups, text) = match args {
        [_, groups, text] => (chosen(&regex, groups.text()), text.text()),
        _ => (Some((1..regex.captures_len()).collect()), args[1].text()),
    };
    let Some(groups) = groups.filter(|groups| !groups.is_empty()) else {
        return Value::Null;
    };
    let one = |found: &Captures<'_>, group: usize| {
        Json::String(found.get(group).map_or("", |m| m.as_str()).to_owned())
    };
    let all: Vec<Json> = regex
        .captures_iter(text)
        .map(|found| match groups.as_slice() {
            [group] => one(&found, *group),
            groups => Json::Array(groups.iter().map(|group| one(&found, *group)).collect()),
        })
        .collect();
    if all.is_empty() {
        Value::Null
    } else {
        Json::Array(all).into_value()
    }
}

/// Groups by number or name; `None` when one of them is none of the expression's.
fn chosen(regex: &Regex, groups: &str) -> Option<Vec<usize>> {
    let Json::Array(groups) = Json::parse(groups)? else {
        return None;
    };
    groups
        .iter()
        .map(|group| match group {
            Json::Long(number) => usize::try_from(*number)
                .ok()
                .filter(|number| (1..regex.captures_len()).contains(number)),
            Json::String(wanted) => regex.capture_names().position(|name| name == Some(wanted)),
            _ => None,
        })
        .collect()
}

/// The rewrite names groups as `\1`, the whole match as `\0`.
fn replace(text: &str, pattern: &str, rewrite: &str) -> Value<'static> {
    let Some(regex) = regexes::compiled(pattern) else {
        return Value::Null;
    };
    let replaced = regex.replace_all(text, |found: &Captures<'_>| {
        let mut result = String::new();
        let mut chars = rewrite.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                result.push(c);
                continue;
            }
            match chars.next() {
                Some(next) => match next.to_digit(10) {
                    Some(group) => {
                        result.push_str(found.get(group as usize).map_or("", |m| m.as_str()));
                    }
                    None if next == '\\' => result.push('\\'),
                    None => result.extend(['\\', next]),
                },
                None => result.push('\\'),
            }
        }
        result
    });
    replaced.into_owned().into()
}

fn trimmed<'a>(source: &Value<'a>, start: Option<&str>, end: Option<&str>) -> Value<'a> {
    let text = source.text();
    let mut range = 0..text.len();
    if let Some(found) = start.and_then(regexes::compiled).and_then(|r| r.find(text)) {
        range.start = found.end();
    }
    let rest = &text[range.clone()];
    if let Some(found) = end.and_then(regexes::compiled).and_then(|r| r.find(rest)) {
        range.end = range.start + found.start();
    }
    match source {
        Value::String(Cow::Borrowed(text)) => Value::from(&text[range]),
        _ => text[range].to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{call, long};
    use super::*;

    #[test]
    fn matches_are_extracted_and_replaced() {
        let json = |text: &'static str| Value::dynamic(text);
        let named = r"(?P<first>\w)(?P<middle>\w+)(?P<last>\w)";
        for (name, args, expected) in [
            (
                "extract",
                vec![r"User: (\w+)".into(), long(1), "User: James".into()],
                "James".into(),
            ),
            (
                "extract",
                vec![r"\d+".into(), long(0), "Age: 29".into()],
                "29".into(),
            ),
            (
                "extract",
                vec!["x".into(), long(0), "abc".into()],
                "".into(),
            ),
            (
                "extract",
                vec![
                    r"-(\d{2})-".into(),
                    long(1),
                    "15-12-2024".into(),
                    "int".into(),
                ],
                Value::Int(12),
            ),
            (
                "extract_all",
                vec![r"([\da-f]{2})".into(), "82b8-d".into()],
                json("[\"82\",\"b8\"]"),
            ),
            (
                "extract_all",
                vec![named.into(), json("['first',3]").clone(), "abcd".into()],
                Value::Null,
            ),
            (
                "extract_all",
                vec![named.into(), json("[\"first\",3]"), "abcd-wxyz".into()],
                json("[[\"a\",\"d\"],[\"w\",\"z\"]]"),
            ),
            (
                "extract_all",
                vec![r"(\d)".into(), "abc".into()],
                Value::Null,
            ),
            (
                "replace_regex",
                vec![
                    "Number is 1".into(),
                    r"is (\d+)".into(),
                    r"was: \1$1".into(),
                ],
                "Number was: 1$1".into(),
            ),
            (
                "replace",
                vec!["b".into(), r"\0\0".into(), "abc".into()],
                "abbc".into(),
            ),
            (
                "regex_quote",
                vec!["(so$me.Te^xt)".into()],
                r"\(so\$me\.Te\^xt\)".into(),
            ),
            (
                "trim",
                vec!["--".into(), "----a--b----".into()],
                "a--b".into(),
            ),
            (
                "trim",
                vec![r"[^\w]+".into(), "-  Te st1// $".into()],
                "Te st1".into(),
            ),
            (
                "trim_end",
                vec![".com".into(), "bing.com".into()],
                "bing".into(),
            ),
            (
                "trim_start",
                vec!["https://".into(), "https://bing.com".into()],
                "bing.com".into(),
            ),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }

    #[test]
    fn an_extraction_of_all_needs_a_group() {
        assert!(check_groups(&[Some(r"\d".into()), None]).is_err());
        assert!(check_groups(&[Some(r"(\d)".into()), None]).is_ok());
    }
}
