//! Shifts as other calendars read them.
//!
//! Source: RFC 5545, sections 3.1 (lines and their folding), 3.3.11 (text), 3.4 and 3.6.1.

use chrono::{DateTime, Utc};

use crate::estate::Shift;

/// The longest line, octets without its end.
const LINE: usize = 75;

/// An iCalendar stream with one event for each shift, in UTC, so that it needs no rules of zones.
#[must_use]
pub fn calendar(levels: &[(String, Vec<Shift>)], now: DateTime<Utc>) -> String {
    let mut out = String::new();
    for (name, value) in [
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//Poolkeeper//on-call//EN"),
        ("CALSCALE", "GREGORIAN"),
    ] {
        line(&mut out, name, value);
    }
    for (level, shifts) in levels {
        for shift in shifts {
            let uid = format!("{}-{}@poolkeeper", level, stamp(shift.from));
            line(&mut out, "BEGIN", "VEVENT");
            line(&mut out, "UID", &text(&uid));
            line(&mut out, "DTSTAMP", &stamp(now));
            line(&mut out, "DTSTART", &stamp(shift.from));
            line(&mut out, "DTEND", &stamp(shift.until));
            line(
                &mut out,
                "SUMMARY",
                &text(&format!("{level}: {}", shift.person)),
            );
            line(&mut out, "DESCRIPTION", &text(&shift.why));
            line(&mut out, "TRANSP", "TRANSPARENT");
            line(&mut out, "END", "VEVENT");
        }
    }
    line(&mut out, "END", "VCALENDAR");
    out
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// Text with what would end it written otherwise; control characters are left out.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// One line, folded between characters: what goes on begins with a space, which counts.
fn line(out: &mut String, name: &str, value: &str) {
    let mut length = 0;
    for c in format!("{name}:{value}").chars() {
        if length + c.len_utf8() > LINE {
            out.push_str("\r\n ");
            length = 1;
        }
        out.push(c);
        length += c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and values, unfolded and with escapes taken back.
    fn read(stream: &str) -> Vec<(String, String)> {
        assert!(stream.ends_with("\r\n"));
        for line in stream.split("\r\n") {
            assert!(line.len() <= LINE && !line.contains(['\n', '\r']), "{line}");
        }
        stream
            .replace("\r\n ", "")
            .split_terminator("\r\n")
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a name and a value");
                let mut plain = String::new();
                let mut chars = value.chars();
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => match chars.next().expect("what is escaped") {
                            'n' => plain.push('\n'),
                            c => plain.push(c),
                        },
                        c => plain.push(c),
                    }
                }
                (name.to_owned(), plain)
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let utc = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        let why = format!(
            "a swap, agreed;\nsee \\notes: {}\u{7}",
            "当番の交代 ".repeat(20)
        );
        let shift = Shift {
            from: utc("2026-03-02T00:00:00Z"),
            until: utc("2026-03-09T00:00:00Z"),
            person: "l1-a".into(),
            why: why.clone(),
        };
        let now = utc("2026-03-01T12:00:00Z");
        let stream = calendar(&[("L1".into(), vec![shift.clone(), shift])], now);
        let lines = read(&stream);
        let event = [
            ("BEGIN", "VEVENT"),
            ("UID", "L1-20260302T000000Z@poolkeeper"),
            ("DTSTAMP", "20260301T120000Z"),
            ("DTSTART", "20260302T000000Z"),
            ("DTEND", "20260309T000000Z"),
            ("SUMMARY", "L1: l1-a"),
            ("DESCRIPTION", why.trim_end_matches('\u{7}')),
            ("TRANSP", "TRANSPARENT"),
            ("END", "VEVENT"),
        ];
        let expected: Vec<(String, String)> = [
            ("BEGIN", "VCALENDAR"),
            ("VERSION", "2.0"),
            ("PRODID", "-//Poolkeeper//on-call//EN"),
            ("CALSCALE", "GREGORIAN"),
        ]
        .into_iter()
        .chain(event)
        .chain(event)
        .chain([("END", "VCALENDAR")])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        assert_eq!(lines, expected);
    }
}
