//! `format_datetime` and `format_timespan`.

use std::fmt::Write as _;

use crate::kql::text::datetime::{Civil, to_civil};
use crate::kql::text::{TICKS_PER_DAY, TICKS_PER_SECOND};
use crate::kql::value::Value;

/// Letters that repeat are one element; everything else must be a delimiter.
fn elements(format: &str) -> impl Iterator<Item = (char, usize)> {
    let mut rest = format;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let count = if first.is_ascii_alphabetic() {
            rest.chars().take_while(|c| *c == first).count()
        } else {
            1
        };
        rest = &rest[count * first.len_utf8()..];
        Some((first, count))
    })
}

fn check(
    constants: &[Option<Value<'static>>],
    known: impl Fn(char, usize) -> bool,
) -> Result<(), String> {
    let Some(Some(format)) = constants.get(1) else {
        return Ok(());
    };
    if format.text().is_empty() {
        return Err("the format must not be empty".to_owned());
    }
    for (letter, count) in elements(format.text()) {
        if !" /-:,._[]".contains(letter) && !known(letter, count) {
            let element: String = std::iter::repeat_n(letter, count).collect();
            return Err(format!("`{element}` is no element of a format"));
        }
    }
    Ok(())
}

pub(super) fn check_datetime(constants: &[Option<Value<'static>>]) -> Result<(), String> {
    check(constants, |letter, count| match letter {
        'd' | 'h' | 'H' | 'm' | 'M' | 's' => count <= 2,
        'f' | 'F' => count <= 7,
        'y' => matches!(count, 1 | 2 | 4),
        't' => count == 2,
        _ => false,
    })
}

pub(super) fn check_timespan(constants: &[Option<Value<'static>>]) -> Result<(), String> {
    check(constants, |letter, count| match letter {
        'd' => count <= 8,
        'h' | 'H' | 'm' | 's' => count <= 2,
        'f' | 'F' => count <= 7,
        _ => false,
    })
}

/// The first digits of a second's fraction; `trimmed` leaves out zeros at the end.
fn fraction(out: &mut String, ticks: u32, digits: usize, trimmed: bool) {
    let all = format!("{ticks:07}");
    let shown = &all[..digits.min(7)];
    out.push_str(if trimmed {
        shown.trim_end_matches('0')
    } else {
        shown
    });
}

fn padded(out: &mut String, v: u64, width: usize) {
    write!(out, "{v:0width$}").expect("strings take all text");
}

pub(super) fn datetime<'a>(args: &[Value<'a>]) -> Value<'a> {
    let [Value::DateTime(ticks), format] = args else {
        return Value::string("");
    };
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ticks,
    } = to_civil(*ticks);
    let mut out = String::new();
    for (letter, count) in elements(format.text()) {
        match letter {
            'y' if count == 4 => padded(&mut out, year as u64, 4),
            'y' => padded(&mut out, year as u64 % 100, count),
            'M' => padded(&mut out, month.into(), count),
            'd' => padded(&mut out, day.into(), count),
            'H' => padded(&mut out, hour.into(), count),
            'h' => padded(&mut out, ((hour + 11) % 12 + 1).into(), count),
            'm' => padded(&mut out, minute.into(), count),
            's' => padded(&mut out, second.into(), count),
            'f' | 'F' => fraction(&mut out, ticks, count, letter == 'F'),
            't' => out.push_str(if hour < 12 { "AM" } else { "PM" }),
            other => out.push(other),
        }
    }
    Value::from(out)
}

/// There is no element for the sign: a negative timespan reads as the positive one.
pub(super) fn timespan<'a>(args: &[Value<'a>]) -> Value<'a> {
    let [Value::TimeSpan(ticks), format] = args else {
        return Value::string("");
    };
    let ticks = ticks.unsigned_abs();
    let seconds = ticks / TICKS_PER_SECOND as u64;
    let mut out = String::new();
    for (letter, count) in elements(format.text()) {
        match letter {
            'd' => padded(&mut out, ticks / TICKS_PER_DAY as u64, count),
            'H' | 'h' => padded(&mut out, seconds / 3600 % 24, count),
            'm' => padded(&mut out, seconds / 60 % 60, count),
            's' => padded(&mut out, seconds % 60, count),
            'f' | 'F' => {
                let ticks = (ticks % TICKS_PER_SECOND as u64) as u32;
                fraction(&mut out, ticks, count, letter == 'F');
            }
            other => out.push(other),
        }
    }
    Value::from(out)
}
