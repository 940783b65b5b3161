//! Functions of text. Positions and lengths count characters (code points), not bytes.

mod encode;
mod parts;
mod patterns;
mod search;

use std::borrow::Cow;

use super::text_match::{Needle, has};
use super::{Function, Naming, nulls, row};
use crate::kql::convert;
use crate::kql::json::{self, Json};
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let none = Naming::None;
    let mut all = vec![
        row("strcat", "anytext+ -> string", none, |a| {
            joined(a, "").into()
        }),
        row("strcat_delim", "anytext, anytext+ -> string", none, |a| {
            joined(&a[1..], a[0].text()).into()
        }),
        row("strcmp", "anytext, anytext -> long", none, |a| {
            (a[0].text().cmp(a[1].text()) as i64).into()
        }),
        row("strrep", "anytext, long, anytext? -> string", none, strrep),
        row("strlen", "text -> long", Naming::Own, |a| {
            length(a[0].text()).into()
        }),
        row("string_size", "text -> long", Naming::Own, |a| {
            (a[0].text().len() as i64).into()
        }),
        row("toupper", "anytext -> string", none, |a| {
            a[0].text().to_uppercase().into()
        }),
        row("tolower", "anytext -> string", none, |a| {
            a[0].text().to_lowercase().into()
        }),
        row(
            "substring",
            "anytext, integer, integer? -> string",
            none,
            substring,
        ),
        row("reverse", "anytext -> string", none, |a| {
            a[0].text().chars().rev().collect::<String>().into()
        }),
        row(
            "split",
            "anytext, string, integer? -> dynamic",
            Naming::First,
            split,
        ),
        row(
            "translate",
            "string, string, string -> string",
            none,
            translate,
        ),
        row(
            "has_any_index",
            "text, dynamic -> long",
            none,
            has_any_index,
        ),
        row("isascii", "anytext -> bool", none, |a| {
            a[0].text().is_ascii().into()
        }),
        // Text is UTF-8 here, always.
        row("isutf8", "anytext -> bool", none, |_| true.into()),
        row(
            "tohex",
            "long, integer? -> string; int, integer? -> string",
            Naming::First,
            tohex,
        ),
        row(
            "format_bytes",
            "number, number?!, string?! -> string",
            Naming::First,
            format_bytes,
        )
        .checked(check_unit),
    ];
    for name in ["to_utf8", "unicode_codepoints_from_string"] {
        all.push(row(name, "anytext -> dynamic", none, |a| {
            let points = a[0]
                .text()
                .chars()
                .map(|c| Json::Long(i64::from(u32::from(c))));
            Json::Array(points.collect()).into_value()
        }));
    }
    for name in ["make_string", "unicode_codepoints_to_string"] {
        all.push(nulls(name, "any+ -> string", none, make_string));
    }
    all.extend(search::table());
    all.extend(patterns::table());
    all.extend(encode::table());
    all.extend(parts::table());
    all
}

/// The whole number in an argument that may be left out.
fn whole(args: &[Value<'_>], index: usize) -> Option<i64> {
    args.get(index).and_then(Value::as_long)
}

fn length(text: &str) -> i64 {
    let count = if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    };
    count as i64
}

/// Where the character at `index` starts; the end when there are not so many.
fn offset(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(at, _)| at)
}

fn joined(args: &[Value<'_>], between: &str) -> String {
    let mut all = String::new();
    for (i, value) in args.iter().enumerate() {
        if i > 0 {
            all.push_str(between);
        }
        all.push_str(value.text());
    }
    all
}

/// At most 1024 times, as Kusto.
fn strrep<'a>(args: &[Value<'a>]) -> Value<'a> {
    let times = whole(args, 1).unwrap_or(0).clamp(0, 1024) as usize;
    let between = args.get(2).map_or("", Value::text);
    vec![args[0].text(); times].join(between).into()
}

fn substring<'a>(args: &[Value<'a>]) -> Value<'a> {
    let text = args[0].text();
    let mut start = whole(args, 1).unwrap_or(0);
    if start < 0 {
        start = (start + length(text)).max(0);
    }
    let from = offset(text, start as usize);
    let to = match whole(args, 2) {
        None => text.len(),
        Some(count) => from + offset(&text[from..], count.max(0) as usize),
    };
    match &args[0] {
        Value::String(Cow::Borrowed(text)) => Value::from(&text[from..to]),
        _ => text[from..to].to_owned().into(),
    }
}

fn texts<'t>(items: impl Iterator<Item = &'t str>) -> Value<'static> {
    Json::Array(items.map(|item| Json::String(item.to_owned())).collect()).into_value()
}

fn split<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (text, delimiter) = (args[0].text(), args[1].text());
    let parts: Vec<&str> = if delimiter.is_empty() {
        vec![text]
    } else {
        text.split(delimiter).collect()
    };
    match args.get(2) {
        None => texts(parts.into_iter()),
        Some(_) => {
            let part = whole(args, 2)
                .and_then(|index| usize::try_from(index).ok())
                .and_then(|index| parts.get(index).copied());
            texts(part.into_iter())
        }
    }
}

/// The last replacement serves for all characters that have none of their own.
fn translate<'a>(args: &[Value<'a>]) -> Value<'a> {
    let wanted: Vec<char> = args[0].text().chars().collect();
    let replacements: Vec<char> = args[1].text().chars().collect();
    let translated =
        args[2]
            .text()
            .chars()
            .filter_map(|c| match wanted.iter().position(|w| *w == c) {
                None => Some(c),
                Some(at) => replacements.get(at).or(replacements.last()).copied(),
            });
    translated.collect::<String>().into()
}

/// The first of the array's values that the text has as a term, whatever its case; -1 for none.
fn has_any_index<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(items) = json::elements(args[1].text()) else {
        return Value::Null;
    };
    let found = items.iter().position(|item| {
        has(
            args[0].text(),
            &Needle::new(&json::unquote(item), false),
            true,
            true,
        )
    });
    found.map_or(-1, |at| at as i64).into()
}

/// Code points, or arrays of them. A number that is no character makes no text at all.
fn make_string<'a>(args: &[Value<'a>]) -> Value<'a> {
    fn push(text: &mut String, json: &Json) -> Option<()> {
        match json {
            Json::Long(point) => text.push(char::from_u32(u32::try_from(*point).ok()?)?),
            Json::Array(items) => items.iter().try_for_each(|item| push(text, item))?,
            Json::Null => {}
            _ => return None,
        }
        Some(())
    }
    let mut text = String::new();
    let made = args
        .iter()
        .try_for_each(|arg| push(&mut text, &Json::from_value(arg)));
    made.map_or(Value::Null, |()| text.into())
}

/// An int has 32 bits to show, a long 64.
fn tohex<'a>(args: &[Value<'a>]) -> Value<'a> {
    let width = whole(args, 1).unwrap_or(0).clamp(0, 64) as usize;
    match &args[0] {
        Value::Int(v) => format!("{v:0>width$x}").into(),
        Value::Long(v) => format!("{v:0>width$x}").into(),
        _ => Value::Null,
    }
}

const UNITS: [&str; 7] = ["Bytes", "KB", "MB", "GB", "TB", "PB", "EB"];

fn check_unit(args: &[Option<Value<'static>>]) -> Result<(), String> {
    match args.get(2) {
        Some(Some(unit)) if !unit.text().is_empty() && !UNITS.contains(&unit.text()) => Err(
            format!("`{}` is no unit: one of {}", unit.text(), UNITS.join(", ")),
        ),
        _ => Ok(()),
    }
}

/// Without a unit, the largest of which there is at least one.
fn format_bytes<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(size) = args[0].as_real() else {
        return Value::Null;
    };
    let digits = args
        .get(1)
        .and_then(Value::as_real)
        .unwrap_or(0.0)
        .clamp(0.0, 15.0);
    let asked = args.get(2).map_or("", Value::text);
    let power = UNITS
        .iter()
        .position(|unit| *unit == asked)
        .unwrap_or_else(|| {
            let fits = |power: &usize| size.abs() >= 1024f64.powi(*power as i32);
            (0..UNITS.len()).rev().find(fits).unwrap_or(0)
        });
    let scale = 10f64.powi(digits as i32);
    let amount = (size / 1024f64.powi(power as i32) * scale).round() / scale;
    let text = convert::real(amount);
    format!(
        "{} {}",
        text.strip_suffix(".0").unwrap_or(&text),
        UNITS[power]
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, long};
    use super::*;

    #[test]
    fn text_is_cut_joined_and_measured() {
        let json = |text: &'static str| Value::dynamic(text);
        for (name, args, expected) in [
            (
                "strcat",
                vec!["a".into(), "".into(), "b".into()],
                "ab".into(),
            ),
            (
                "strcat_delim",
                vec!["-".into(), "1".into(), "2".into()],
                "1-2".into(),
            ),
            ("strcmp", vec!["ABC".into(), "abc".into()], long(-1)),
            ("strcmp", vec!["abcde".into(), "abc".into()], long(1)),
            ("strrep", vec!["ABC".into(), long(2)], "ABCABC".into()),
            (
                "strrep",
                vec!["123".into(), long(3), ".".into()],
                "123.123.123".into(),
            ),
            ("strlen", vec!["⒦⒰⒮⒯⒪".into()], long(5)),
            ("string_size", vec!["⒦⒰⒮⒯⒪".into()], long(15)),
            ("toupper", vec!["hé".into()], "HÉ".into()),
            ("substring", vec!["123456".into(), long(1)], "23456".into()),
            (
                "substring",
                vec!["123456".into(), long(2), long(2)],
                "34".into(),
            ),
            (
                "substring",
                vec!["123456".into(), long(-2), long(2)],
                "56".into(),
            ),
            (
                "substring",
                vec!["héé".into(), long(1), long(9)],
                "éé".into(),
            ),
            ("substring", vec!["abc".into(), long(7)], "".into()),
            ("substring", vec!["abc".into(), Value::Null], "".into()),
            ("reverse", vec!["54.3".into()], "3.45".into()),
            (
                "split",
                vec!["aaa_bbb_ccc".into(), "_".into(), long(1)],
                json("[\"bbb\"]"),
            ),
            (
                "split",
                vec!["a__b".into(), "_".into()],
                json("[\"a\",\"\",\"b\"]"),
            ),
            ("split", vec!["".into(), "_".into()], json("[\"\"]")),
            (
                "translate",
                vec!["abc".into(), "x".into(), "abc".into()],
                "xxx".into(),
            ),
            (
                "translate",
                vec!["abc".into(), "".into(), "ab".into()],
                "".into(),
            ),
            (
                "translate",
                vec!["krasp".into(), "otsku".into(), "spark".into()],
                "kusto".into(),
            ),
            (
                "has_any_index",
                vec!["Example number 2".into(), json("[1,2,3]")],
                long(1),
            ),
            ("has_any_index", vec!["this".into(), json("[]")], long(-1)),
            (
                "make_string",
                vec![long(75), json("[117,115]")],
                "Kus".into(),
            ),
            ("to_utf8", vec!["Ku".into()], json("[75,117]")),
            ("isascii", vec!["é".into()], false.into()),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }

    #[test]
    fn numbers_are_written_as_hex_and_sizes() {
        for (name, args, expected) in [
            ("tohex", vec![long(-256)], "ffffffffffffff00"),
            ("tohex", vec![Value::Int(-256), long(8)], "ffffff00"),
            ("tohex", vec![long(256), long(8)], "00000100"),
            ("tohex", vec![long(256), long(2)], "100"),
            ("format_bytes", vec![long(564)], "564 Bytes"),
            ("format_bytes", vec![long(10332), long(1)], "10.1 KB"),
            ("format_bytes", vec![long(20_010_332)], "19 MB"),
            ("format_bytes", vec![long(20_010_332), long(2)], "19.08 MB"),
            (
                "format_bytes",
                vec![long(20_010_332), long(0), "KB".into()],
                "19541 KB",
            ),
        ] {
            assert_eq!(call(name, &args), expected.into(), "{name}{args:?}");
        }
    }
}
