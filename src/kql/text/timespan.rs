//! Lengths of time: ticks of 100 ns.

use super::{TICKS_PER_DAY, TICKS_PER_HOUR, TICKS_PER_MINUTE, TICKS_PER_SECOND, fraction_ticks};

/// The ticks of a unit by any of the names a literal such as `5min` may end in.
#[must_use]
pub fn unit(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "d" | "day" | "days" => TICKS_PER_DAY as f64,
        "h" | "hr" | "hrs" | "hour" | "hours" => TICKS_PER_HOUR as f64,
        "m" | "min" | "minute" | "minutes" => TICKS_PER_MINUTE as f64,
        "s" | "sec" | "second" | "seconds" => TICKS_PER_SECOND as f64,
        "ms" | "milli" | "millis" | "millisec" | "millisecond" | "milliseconds" => 10_000.0,
        "micro" | "micros" | "microsec" | "microsecond" | "microseconds" => 10.0,
        "nano" | "nanos" | "nanosec" | "nanosecond" | "nanoseconds" => 0.01,
        "tick" | "ticks" => 1.0,
        _ => return None,
    })
}

/// Reads `1.02:03:04.5`, `02:03:04`, `02:03`, a count of days (`2`), and a number with a unit (`1.5h`,
/// `15 seconds`), each with a sign if wanted. Nothing when it is none of these or out of range.
#[must_use]
pub fn parse_timespan(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let ticks = if text.contains(':') {
        clock(text)?
    } else {
        counted(text)?
    };
    Some(if negative { -ticks } else { ticks })
}

fn number(digits: &str, widths: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let plain = widths.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// `[d.]hh:mm[:ss[.fffffff]]`, also `d:hh:mm:ss`.
fn clock(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let (days, hours, minutes, seconds) = match parts[..] {
        [first, minutes] => {
            let (days, hours) = first.split_once('.').unwrap_or(("0", first));
            (days, hours, minutes, "0")
        }
        [first, minutes, seconds] => {
            let (days, hours) = first.split_once('.').unwrap_or(("0", first));
            (days, hours, minutes, seconds)
        }
        [days, hours, minutes, seconds] => (days, hours, minutes, seconds),
        _ => return None,
    };
    let (seconds, fraction) = match seconds.split_once('.') {
        Some((seconds, fraction)) => (seconds, fraction_ticks(fraction)?),
        None => (seconds, 0),
    };
    let days = number(days, 1..=8)?;
    let (hours, minutes, seconds) = (
        number(hours, 1..=2)?,
        number(minutes, 1..=2)?,
        number(seconds, 1..=2)?,
    );
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    days.checked_mul(TICKS_PER_DAY)?.checked_add(
        hours * TICKS_PER_HOUR + minutes * TICKS_PER_MINUTE + seconds * TICKS_PER_SECOND + fraction,
    )
}

/// A number and its unit; days when there is none.
fn counted(text: &str) -> Option<i64> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let suffix = suffix.trim_start();
    let per = unit(if suffix.is_empty() { "d" } else { suffix })?;
    scaled(digits, per)
}

/// `digits` (plain, with a decimal point if wanted) times `per` ticks, exact while the number is whole.
#[must_use]
pub fn scaled(digits: &str, per: f64) -> Option<i64> {
    if let Ok(whole) = digits.parse::<i64>()
        && per >= 1.0
    {
        return whole.checked_mul(per as i64);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let ticks = digits.parse::<f64>().ok()? * per;
    // 0.1 s and the like are not exact in binary; a tick's fraction is none of the writer's.
    let ticks = (ticks + 1e-6 * ticks.abs().min(1.0)).trunc();
    (ticks.abs() < 9.2e18).then_some(ticks as i64)
}

/// `1.02:03:04.5000000`, `-00:00:01`: days only when there are some, seven digits only when not zero.
#[must_use]
pub fn format_timespan(ticks: i64) -> String {
    let sign = if ticks < 0 { "-" } else { "" };
    let ticks = i128::from(ticks).unsigned_abs() as u64;
    let (day, hour, minute, second) = (
        TICKS_PER_DAY as u64,
        TICKS_PER_HOUR as u64,
        TICKS_PER_MINUTE as u64,
        TICKS_PER_SECOND as u64,
    );
    let days = match ticks / day {
        0 => String::new(),
        days => format!("{days}."),
    };
    let fraction = match ticks % second {
        0 => String::new(),
        fraction => format!(".{fraction:07}"),
    };
    format!(
        "{sign}{days}{:02}:{:02}:{:02}{fraction}",
        ticks / hour % 24,
        ticks / minute % 60,
        ticks / second % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_time_are_read_in_every_documented_form() {
        let cases = [
            ("1.02:03:04.5", "1.02:03:04.5000000"),
            ("0.12:34:56.7", "12:34:56.7000000"),
            ("00:01:00", "00:01:00"),
            ("01:30", "01:30:00"),
            ("1.00:30", "1.00:30:00"),
            ("1:02:03:04", "1.02:03:04"),
            ("-00:00:01", "-00:00:01"),
            ("2", "2.00:00:00"),
            ("1.5h", "01:30:00"),
            ("15 seconds", "00:00:15"),
            ("0.1s", "00:00:00.1000000"),
            ("0.3s", "00:00:00.3000000"),
            ("100ms", "00:00:00.1000000"),
            ("5microseconds", "00:00:00.0000050"),
            ("250nanos", "00:00:00.0000002"),
            ("1tick", "00:00:00.0000001"),
            ("2days", "2.00:00:00"),
            ("-3hrs", "-03:00:00"),
        ];
        for (text, expected) in cases {
            let read = parse_timespan(text).map(format_timespan);
            assert_eq!(read.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "x",
            "1w",
            "25:00:00",
            "00:60",
            "1:2:3:4:5",
            "1..5h",
            "1h 2m",
            "h",
            ".",
        ] {
            assert_eq!(parse_timespan(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_and_the_shortest_print() {
        assert_eq!(format_timespan(i64::MIN), "-10675199.02:48:05.4775808");
        assert_eq!(format_timespan(0), "00:00:00");
    }

    proptest! {
        #[test]
        fn a_length_of_time_comes_back_from_its_text(ticks in -i64::MAX..=i64::MAX) {
            prop_assert_eq!(parse_timespan(&format_timespan(ticks)), Some(ticks));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,24}") {
            let _ = parse_timespan(&text);
        }
    }
}
