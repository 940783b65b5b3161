//! Texts taken apart: addresses, paths, CSV, command lines, versions.

use rust_decimal::Decimal;

use crate::kql::functions::{Function, Naming, row};
use crate::kql::json::Json;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let none = Naming::None;
    let text = "string -> dynamic";
    vec![
        row("parse_url", text, none, |a| parse_url(a[0].text())),
        row("parseurl", text, none, |a| parse_url(a[0].text())),
        row("parse_urlquery", text, none, |a| {
            parse_urlquery(a[0].text())
        }),
        row("parseurlquery", text, none, |a| parse_urlquery(a[0].text())),
        row("parse_path", text, none, |a| parse_path(a[0].text())),
        row("parse_csv", "text -> dynamic", Naming::First, |a| {
            parse_csv(a[0].text())
        }),
        row(
            "parse_command_line",
            "anytext, string -> dynamic",
            none,
            |a| texts(command_line(a[0].text())),
        )
        .checked(check_parser),
        row("parse_version", "string -> decimal", none, |a| {
            parse_version(a[0].text()).map_or(Value::Null, Value::Decimal)
        }),
    ]
}

fn bag<'t>(members: impl IntoIterator<Item = (&'static str, &'t str)>) -> Vec<(String, Json)> {
    let own = |(name, text): (&str, &str)| (name.to_owned(), Json::String(text.to_owned()));
    members.into_iter().map(own).collect()
}

fn texts(items: Vec<String>) -> Value<'static> {
    Json::Array(items.into_iter().map(Json::String).collect()).into_value()
}

fn query(text: &str) -> Json {
    let mut members = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Json::set(&mut members, key.to_owned(), Json::String(value.to_owned()));
    }
    Json::Bag(members)
}

/// Only addresses with a scheme have parts.
fn parse_url(text: &str) -> Value<'static> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Value::Null;
    };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    // The colons inside the brackets of an IPv6 address are no port's.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (place, ""),
    };
    let mut members = bag([
        ("Scheme", scheme),
        ("Host", host),
        ("Port", port),
        ("Path", path),
        ("Username", user),
        ("Password", password),
    ]);
    members.push(("Query Parameters".into(), query(parameters)));
    members.extend(bag([("Fragment", fragment)]));
    Json::Bag(members).into_value()
}

fn parse_urlquery(text: &str) -> Value<'static> {
    let text = text.strip_prefix('?').unwrap_or(text);
    Json::Bag(vec![("Query Parameters".into(), query(text))]).into_value()
}

fn parse_path(text: &str) -> Value<'static> {
    let slash = |c: char| c == '/' || c == '\\';
    let (scheme, path) = match text.split_once("://") {
        Some((scheme, path)) => (scheme, path),
        None => ("", text),
    };
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    let root = if drive { &path[..2] } else { "" };
    let (directory, file) = match path.rfind(slash) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => ("", path),
    };
    let (file, stream) = file.split_once(':').unwrap_or((file, ""));
    let name = directory.rsplit(slash).next().unwrap_or("");
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    Json::Bag(bag([
        ("Scheme", scheme),
        ("RootPath", root),
        ("DirectoryPath", directory),
        ("DirectoryName", name),
        ("Filename", file),
        ("Extension", extension),
        ("AlternateDataStreamName", stream),
    ]))
    .into_value()
}

/// The first record only.
fn parse_csv(text: &str) -> Value<'static> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => texts(record.iter().map(str::to_owned).collect()),
        Ok(false) => texts(vec![String::new()]),
        Err(_) => Value::Null,
    }
}

fn check_parser(args: &[Option<Value<'static>>]) -> Result<(), String> {
    match args.get(1) {
        Some(Some(name)) if !name.text().eq_ignore_ascii_case("windows") => Err(format!(
            "no parser `{}`: `windows` is the only one",
            name.text()
        )),
        _ => Ok(()),
    }
}

/// As Windows splits a command line: before a quote two backslashes are one, and an odd one makes
/// the quote a character; two quotes inside quotes are one. The program's name knows no escapes.
fn command_line(text: &str) -> Vec<String> {
    let blank = |c: char| c == ' ' || c == '\t';
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    if let Some(quoted) = rest.strip_prefix('"') {
        let (program, after) = quoted.split_once('"').unwrap_or((quoted, ""));
        found.push(program.to_owned());
        rest = after;
    } else if !rest.is_empty() {
        let (program, after) = rest.split_at(rest.find(blank).unwrap_or(rest.len()));
        found.push(program.to_owned());
        rest = after;
    }
    loop {
        rest = rest.trim_start_matches(blank);
        if rest.is_empty() {
            return found;
        }
        let mut chars = rest.char_indices().peekable();
        let (mut argument, mut quoted, mut slashes, mut end) =
            (String::new(), false, 0, rest.len());
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                slashes += 1;
                continue;
            }
            let literal = if c == '"' { slashes / 2 } else { slashes };
            argument.extend(std::iter::repeat_n('\\', literal));
            let escaped = slashes % 2 == 1;
            slashes = 0;
            match c {
                '"' if escaped => argument.push('"'),
                '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    argument.push('"');
                    chars.next();
                }
                '"' => quoted = !quoted,
                c if blank(c) && !quoted => {
                    end = at;
                    break;
                }
                c => argument.push(c),
            }
        }
        argument.extend(std::iter::repeat_n('\\', slashes));
        found.push(argument);
        rest = &rest[end..];
    }
}

/// Four parts of up to eight digits each make one number of 32 digits. A first part above 79228
/// does not fit into a decimal here, and is null.
fn parse_version(text: &str) -> Option<Decimal> {
    let parts: Vec<&str> = text.split('.').collect();
    let digits =
        |part: &&str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() > 4 || !parts.iter().all(digits) {
        return None;
    }
    let mut number = 0i128;
    for index in 0..4 {
        number *= 100_000_000;
        number += parts
            .get(index)
            .map_or(Some(0), |part| part.parse::<i128>().ok())?;
    }
    Decimal::try_from_i128_with_scale(number, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::call;
    use super::*;

    #[test]
    fn addresses_and_lines_are_taken_apart() {
        let url = "scheme://username:password@host:1234/this/is/a/path?k1=v1&k2=v2#fragment";
        for (name, text, expected) in [
            (
                "parse_url",
                url,
                r#"{"Scheme":"scheme","Host":"host","Port":"1234","Path":"/this/is/a/path","Username":"username","Password":"password","Query Parameters":{"k1":"v1","k2":"v2"},"Fragment":"fragment"}"#,
            ),
            (
                "parse_urlquery",
                "k1=v1&k2=v2&k3",
                r#"{"Query Parameters":{"k1":"v1","k2":"v2","k3":""}}"#,
            ),
            ("parse_csv", "aa,\"b,\"\"c\",", r#"["aa","b,\"c",""]"#),
            ("parse_csv", "record1,a\nrecord2,x", r#"["record1","a"]"#),
        ] {
            assert_eq!(
                call(name, &[text.into()]),
                Value::dynamic(expected),
                "{name}({text})"
            );
        }
    }

    #[test]
    fn a_path_has_directory_file_and_stream() {
        for (path, parts) in [
            (
                r"C:\temp\file.txt",
                ["", "C:", r"C:\temp", "temp", "file.txt", "txt", ""],
            ),
            (
                r"temp\file.txt",
                ["", "", "temp", "temp", "file.txt", "txt", ""],
            ),
            (
                "file://C:/temp/file.txt:some.exe",
                [
                    "file", "C:", "C:/temp", "temp", "file.txt", "txt", "some.exe",
                ],
            ),
            (
                r"\\shared\users\temp\file.txt.gz",
                [
                    "",
                    "",
                    r"\\shared\users\temp",
                    "temp",
                    "file.txt.gz",
                    "gz",
                    "",
                ],
            ),
            (
                "/usr/lib/temp/file.txt",
                ["", "", "/usr/lib/temp", "temp", "file.txt", "txt", ""],
            ),
        ] {
            let Some(Json::Bag(members)) = Json::parse(parse_path(path).text()) else {
                panic!("`{path}` has no parts");
            };
            let found: Vec<_> = members.iter().map(|(_, part)| part.to_text()).collect();
            assert_eq!(found, parts, "{path}");
        }
    }

    #[test]
    fn command_lines_are_split_as_windows_does() {
        for (text, expected) in [
            (r#"echo "hello world!""#, vec!["echo", "hello world!"]),
            (r#""C:\a b\c.exe" x"#, vec![r"C:\a b\c.exe", "x"]),
            (r#"e a\\b d"e f"g h"#, vec!["e", r"a\\b", "de fg", "h"]),
            (r#"e a\\\"b c"#, vec!["e", r#"a\"b"#, "c"]),
            (r#"e "a\\" b\"#, vec!["e", r"a\", r"b\"]),
            ("", vec![]),
        ] {
            assert_eq!(command_line(text), expected, "{text}");
        }
        assert!(check_parser(&[None, Some("linux".into())]).is_err());
    }

    #[test]
    fn versions_are_numbers_that_compare() {
        for (text, expected) in [
            ("0.0.0.5", Some("5")),
            ("0.0.3", Some("300000000")),
            ("1.2.3.4", Some("1000000020000000300000004")),
            ("1", Some("1000000000000000000000000")),
            ("1.2.3.4.5", None),
            ("1.x", None),
            ("123456789", None),
            ("", None),
        ] {
            let version = parse_version(text).map(|v| v.to_string());
            assert_eq!(version.as_deref(), expected, "{text}");
        }
    }
}
