//! Plain text found and replaced.

use super::{length, offset, whole};
use crate::kql::functions::{Function, Naming, regexes, row};
use crate::kql::json::Json;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let none = Naming::None;
    let positions = "anytext, anytext, integer?, integer?, integer?! -> long";
    let patterns = "anytext, anytext!, integer?, integer?, integer?! -> long";
    vec![
        row("indexof", positions, none, indexof),
        row("indexof_regex", patterns, none, indexof_regex).checked(|a| regexes::check(a, 1)),
        row("countof", "string, string, string?! -> long", none, countof).checked(check_kind),
        row(
            "replace_string",
            "string, string, string -> string",
            none,
            |a| match a[1].text() {
                "" => a[0].clone(),
                lookup => a[0].text().replace(lookup, a[2].text()).into(),
            },
        ),
        row(
            "replace_strings",
            "string, dynamic, dynamic -> string",
            none,
            replace_strings,
        ),
    ]
}

/// Where the search begins and the part that is searched; `None` is what Kusto answers with null.
fn window<'t>(args: &[Value<'_>], text: &'t str, from_end: bool) -> Option<(i64, &'t str, i64)> {
    let mut start = whole(args, 2).unwrap_or(0);
    let count = whole(args, 3).unwrap_or(-1);
    let occurrence = whole(args, 4).unwrap_or(1);
    if start < 0 {
        if !from_end {
            return None;
        }
        start = (start + length(text)).max(0);
    }
    if count < -1 || occurrence < 0 {
        return None;
    }
    let rest = &text[offset(text, usize::try_from(start).ok()?)..];
    let part = match usize::try_from(count) {
        Ok(count) => &rest[..offset(rest, count)],
        Err(_) => rest,
    };
    Some((start, part, occurrence))
}

fn position(start: i64, part: &str, at: Option<usize>) -> Value<'static> {
    at.map_or(-1, |at| start + length(&part[..at])).into()
}

/// A negative start counts from the end. The whole match must lie inside the searched part.
fn indexof<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (text, wanted) = (args[0].text(), args[1].text());
    let Some((start, part, occurrence)) = window(args, text, true) else {
        return Value::Null;
    };
    let nth = usize::try_from(occurrence - 1).ok();
    let at = nth.and_then(|nth| part.match_indices(wanted).nth(nth));
    position(start, part, at.map(|(at, _)| at))
}

/// Other than `indexof`, a negative start is answered with null.
fn indexof_regex<'a>(args: &[Value<'a>]) -> Value<'a> {
    let found = window(args, args[0].text(), false).zip(regexes::compiled(args[1].text()));
    let Some(((start, part, occurrence), regex)) = found else {
        return Value::Null;
    };
    let nth = usize::try_from(occurrence - 1).ok();
    let at = nth.and_then(|nth| regex.find_iter(part).nth(nth));
    position(start, part, at.map(|found| found.start()))
}

fn check_kind(args: &[Option<Value<'static>>]) -> Result<(), String> {
    match args.get(2).and_then(Option::as_ref).map(Value::text) {
        None | Some("normal") => Ok(()),
        Some("regex") => regexes::check(args, 1),
        Some(other) => Err(format!("`{other}` is no kind: `normal` or `regex`")),
    }
}

/// Plain matches may overlap, those of a regular expression do not.
fn countof<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (text, wanted) = (args[0].text(), args[1].text());
    if args.get(2).is_some_and(|kind| kind.text() == "regex") {
        let count = regexes::compiled(wanted).map(|regex| regex.find_iter(text).count() as i64);
        return count.into();
    }
    let Some(first) = wanted.chars().next() else {
        return Value::Long(0);
    };
    let (mut rest, mut count) = (text, 0);
    while let Some(at) = rest.find(wanted) {
        count += 1;
        rest = &rest[at + first.len_utf8()..];
    }
    Value::Long(count)
}

/// All at once, so that what was put in is not looked at again. What is no string among the
/// lookups is not looked for; a match whose replacement is no string stays as it is.
fn replace_strings<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (lookups, rewrites) = (Json::parse(args[1].text()), Json::parse(args[2].text()));
    let (Some(Json::Array(lookups)), Some(Json::Array(rewrites))) = (lookups, rewrites) else {
        return Value::Null;
    };
    let pairs: Vec<(&str, Option<&str>)> = lookups
        .iter()
        .enumerate()
        .filter_map(|(i, lookup)| Some((lookup.as_str()?, rewrites.get(i)?.as_str())))
        .filter(|(lookup, _)| !lookup.is_empty())
        .collect();
    let mut rest = args[0].text();
    let mut result = String::with_capacity(rest.len());
    while let Some(c) = rest.chars().next() {
        let step = match pairs.iter().find(|(lookup, _)| rest.starts_with(lookup)) {
            Some((lookup, rewrite)) => {
                result.push_str(rewrite.unwrap_or(lookup));
                lookup.len()
            }
            None => {
                result.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[step..];
    }
    result.into()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{call, long};
    use super::*;

    #[test]
    fn positions_are_counted_from_the_start_of_the_text() {
        let (text, cde) = ("abcdefg", "cde");
        for (args, expected) in [
            (vec![text.into(), cde.into()], long(2)),
            (vec![text.into(), cde.into(), long(1), long(4)], long(2)),
            (vec![text.into(), cde.into(), long(1), long(2)], long(-1)),
            (vec![text.into(), cde.into(), long(3), long(4)], long(-1)),
            (vec![text.into(), cde.into(), long(-5)], long(2)),
            (
                vec!["1234567".into(), "5".into(), long(1), long(4)],
                long(4),
            ),
            (vec![text.into(), cde.into(), long(2), long(-1)], long(2)),
            (
                vec![
                    "abcdefgabcdefg".into(),
                    cde.into(),
                    long(1),
                    long(10),
                    long(2),
                ],
                long(-1),
            ),
            (
                vec![
                    "abcdefgabcdefg".into(),
                    cde.into(),
                    long(1),
                    long(-1),
                    long(2),
                ],
                long(9),
            ),
            (
                vec![text.into(), cde.into(), long(0), long(-2)],
                Value::Null,
            ),
            (vec!["ééa".into(), "a".into()], long(2)),
        ] {
            assert_eq!(call("indexof", &args), expected, "indexof{args:?}");
        }
        for (args, expected) in [
            (vec!["abcabc".into(), "a.c".into()], long(0)),
            (
                vec!["abcabcdefg".into(), "a.c".into(), long(0), long(9), long(2)],
                long(3),
            ),
            (
                vec!["ababaa".into(), "a.a".into(), long(0), long(-1), long(2)],
                long(-1),
            ),
            (vec!["abcabc".into(), "a|ab".into(), long(-1)], Value::Null),
        ] {
            assert_eq!(
                call("indexof_regex", &args),
                expected,
                "indexof_regex{args:?}"
            );
        }
    }

    #[test]
    fn matches_are_counted_and_replaced() {
        let json = |text: &'static str| Value::dynamic(text);
        for (name, args, expected) in [
            ("countof", vec!["aaaa".into(), "aa".into()], long(3)),
            (
                "countof",
                vec!["ababa".into(), "aba".into(), "normal".into()],
                long(2),
            ),
            (
                "countof",
                vec!["ababa".into(), "aba".into(), "regex".into()],
                long(1),
            ),
            (
                "countof",
                vec!["abcabc".into(), "a.c".into(), "regex".into()],
                long(2),
            ),
            (
                "replace_string",
                vec!["a cat".into(), "cat".into(), "hamster".into()],
                "a hamster".into(),
            ),
            (
                "replace_strings",
                vec![
                    "This is it".into(),
                    json("[\"This\",\"is\"]"),
                    json("[12345,\"was\"]"),
                ],
                "This was it".into(),
            ),
            (
                "replace_strings",
                vec![
                    "cat dog".into(),
                    json("[\"cat\",\"dog\"]"),
                    json("[\"dog\",\"\"]"),
                ],
                "dog ".into(),
            ),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }
}
