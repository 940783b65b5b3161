//! Instants: ticks of 100 ns since 0001-01-01 UTC, in the proleptic Gregorian calendar.

use super::{TICKS_PER_DAY, TICKS_PER_HOUR, TICKS_PER_MINUTE, TICKS_PER_SECOND, fraction_ticks};

/// 9999-12-31T23:59:59.9999999Z, the last instant; the first is zero.
pub const MAX: i64 = 3_652_059 * TICKS_PER_DAY - 1;
/// 1970-01-01T00:00:00Z
pub const UNIX_EPOCH: i64 = 719_162 * TICKS_PER_DAY;

/// An instant by calendar and clock, UTC. `ticks` are those past the second, below ten million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Civil {
    pub year: i32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub ticks: u32,
}

impl Civil {
    #[must_use]
    pub fn date(year: i32, month: u32, day: u32) -> Self {
        Self {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
            ticks: 0,
        }
    }
}

#[must_use]
pub fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month (1 to 12).
#[must_use]
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 0001-01-01 to the first of January of a year.
fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
}

/// The calendar's reading of an instant. Works beyond the range of `datetime` too.
#[must_use]
pub fn to_civil(ticks: i64) -> Civil {
    let days = ticks.div_euclid(TICKS_PER_DAY);
    let clock = ticks.rem_euclid(TICKS_PER_DAY);
    // An estimate that is never too high, and at most one too low.
    let mut year = days.div_euclid(366) + 1;
    year += (days - days_before_year(year)).div_euclid(366);
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut day = (days - days_before_year(year)) as u32;
    let year = year as i32;
    let mut month = 1;
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    Civil {
        year,
        month,
        day: day + 1,
        hour: (clock / TICKS_PER_HOUR) as u32,
        minute: (clock / TICKS_PER_MINUTE % 60) as u32,
        second: (clock / TICKS_PER_SECOND % 60) as u32,
        ticks: (clock % TICKS_PER_SECOND) as u32,
    }
}

/// The instant, or nothing when there is no such date or time (month 13, 30 February, year 0).
#[must_use]
pub fn from_civil(civil: Civil) -> Option<i64> {
    let exists = (1..=9999).contains(&civil.year)
        && (1..=12).contains(&civil.month)
        && (1..=days_in_month(civil.year, civil.month)).contains(&civil.day)
        && civil.hour < 24
        && civil.minute < 60
        && civil.second < 60
        && i64::from(civil.ticks) < TICKS_PER_SECOND;
    if !exists {
        return None;
    }
    let days = days_before_year(civil.year.into())
        + (1..civil.month)
            .map(|month| i64::from(days_in_month(civil.year, month)))
            .sum::<i64>()
        + i64::from(civil.day - 1);
    Some(
        days * TICKS_PER_DAY
            + i64::from(civil.hour) * TICKS_PER_HOUR
            + i64::from(civil.minute) * TICKS_PER_MINUTE
            + i64::from(civil.second) * TICKS_PER_SECOND
            + i64::from(civil.ticks),
    )
}

/// `2020-01-01T00:00:00.0000000Z`, always with seven digits, as Kusto prints it.
#[must_use]
pub fn format_datetime(ticks: i64) -> String {
    let c = to_civil(ticks);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
        c.year, c.month, c.day, c.hour, c.minute, c.second, c.ticks
    )
}

/// Reads an instant in the forms of `datetime(...)` and `todatetime()`:
///
/// - ISO 8601: `2014-05-25T08:20:03.123456Z`, with a space for the `T`, without seconds, time or zone, with
///   an offset (`+02:00`); also `2014-05`, `2014` and, with commas, `2014, 5, 25`;
/// - RFC 822: `Sat, 8 Nov 14 15:05:02 GMT`, and RFC 850: `Saturday, 08-Nov-14 15:05:02 UTC`, with or without
///   weekday, seconds and zone;
/// - month first: `11/8/2014 3:05:02 PM`, `11-08-2014`.
///
/// A time without a zone is UTC. A year of two digits is 2000 to 2029 or 1930 to 1999. Digits beyond the
/// seventh of a second are cut. `min` and `max` are the ends of the range.
#[must_use]
pub fn parse_datetime(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("min") {
        return Some(0);
    }
    if text.eq_ignore_ascii_case("max") {
        return Some(MAX);
    }
    let mut scan = Scan { rest: text };
    let civil = scan.date()?;
    let ticks = scan.time_and_zone(civil)?;
    (scan.rest.is_empty() && (0..=MAX).contains(&ticks)).then_some(ticks)
}

struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn spaces(&mut self) -> bool {
        !self.take_while(|c| c == ' ').is_empty()
    }

    fn digits(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_digit())
    }

    fn number(&mut self, widths: std::ops::RangeInclusive<usize>) -> Option<u32> {
        let digits = self.digits();
        widths
            .contains(&digits.len())
            .then(|| digits.parse().ok())?
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphabetic())
    }

    fn date(&mut self) -> Option<Civil> {
        if self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let day = self.word();
            if !is_weekday(day) || !self.eat(',') {
                return None;
            }
            self.spaces();
            return self.day_month_year();
        }
        let whole = self.rest;
        let digits = self.digits();
        if digits.len() == 4 {
            return self.year_first(digits);
        }
        let mut next = self.rest.chars();
        match (next.next(), next.next()) {
            (Some(separator @ '/'), _) | (Some(separator @ '-'), Some('0'..='9')) => {
                self.rest = whole;
                self.month_first(separator)
            }
            (Some(' ' | '-'), _) => {
                self.rest = whole;
                self.day_month_year()
            }
            _ => None,
        }
    }

    fn year_first(&mut self, year: &str) -> Option<Civil> {
        let year = year.parse().ok()?;
        let separator = match self.rest.chars().next() {
            None => return Some(Civil::date(year, 1, 1)),
            Some(c @ ('-' | '/' | '.' | ',')) => c,
            Some(_) => return None,
        };
        self.eat(separator);
        let loose = separator == ',';
        if loose {
            self.spaces();
        }
        let month = self.number(1..=2)?;
        if self.rest.is_empty() && !loose {
            return Some(Civil::date(year, month, 1));
        }
        if !self.eat(separator) {
            return None;
        }
        if loose {
            self.spaces();
        }
        Some(Civil::date(year, month, self.number(1..=2)?))
    }

    fn month_first(&mut self, separator: char) -> Option<Civil> {
        let month = self.number(1..=2)?;
        self.eat(separator);
        let day = self.number(1..=2)?;
        if !self.eat(separator) {
            return None;
        }
        Some(Civil::date(self.year()?, month, day))
    }

    fn day_month_year(&mut self) -> Option<Civil> {
        let day = self.number(1..=2)?;
        let separator = if self.eat('-') { '-' } else { ' ' };
        self.spaces();
        let month = month_of(self.word())?;
        if !self.eat(separator) {
            return None;
        }
        self.spaces();
        Some(Civil::date(self.year()?, month, day))
    }

    fn year(&mut self) -> Option<i32> {
        let digits = self.digits();
        let year: i32 = digits.parse().ok()?;
        match digits.len() {
            4 => Some(year),
            2 if year < 30 => Some(2000 + year),
            2 => Some(1900 + year),
            _ => None,
        }
    }

    /// What follows a date: nothing, or a time and perhaps a zone.
    fn time_and_zone(&mut self, mut civil: Civil) -> Option<i64> {
        let marked = self.eat('T') || self.eat('t');
        let spaced = !marked && self.spaces();
        if !marked && !spaced {
            let offset = self.zone()?;
            return from_civil(civil)?.checked_sub(offset);
        }
        if spaced && !self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let offset = self.zone()?;
            return from_civil(civil)?.checked_sub(offset);
        }
        civil.hour = self.number(1..=2)?;
        if !self.eat(':') {
            return None;
        }
        civil.minute = self.number(1..=2)?;
        if self.eat(':') {
            civil.second = self.number(1..=2)?;
            if self.eat('.') {
                civil.ticks = fraction_ticks(self.digits())? as u32;
            }
        }
        let before = self.rest;
        self.spaces();
        let half = self.rest.get(..2).map(str::to_ascii_lowercase);
        match half.as_deref() {
            Some("am" | "pm") if !(1..=12).contains(&civil.hour) => return None,
            Some("am") => civil.hour %= 12,
            Some("pm") => civil.hour = civil.hour % 12 + 12,
            _ => self.rest = before,
        }
        if self.rest.len() != before.len() {
            self.rest = &self.rest[2..];
        }
        let offset = self.zone()?;
        from_civil(civil)?.checked_sub(offset)
    }

    /// The zone's distance from UTC in ticks; nothing written is UTC.
    fn zone(&mut self) -> Option<i64> {
        self.spaces();
        let sign = match self.rest.chars().next() {
            None => return Some(0),
            Some('+') => 1,
            Some('-') => -1,
            Some(_) => {
                let zone = self.word();
                return ["z", "utc", "gmt"]
                    .iter()
                    .any(|known| zone.eq_ignore_ascii_case(known))
                    .then_some(0);
            }
        };
        self.rest = &self.rest[1..];
        let digits = self.digits();
        let (hours, minutes) = match digits.len() {
            1 | 2 if self.eat(':') => (digits, self.digits()),
            1 | 2 => (digits, "00"),
            4 => digits.split_at(2),
            _ => return None,
        };
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 14 && minutes < 60)
            .then(|| sign * (hours * TICKS_PER_HOUR + minutes * TICKS_PER_MINUTE))
    }
}

fn month_of(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    position_of(word, &MONTHS).map(|at| at as u32 + 1)
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = [
        "sunday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
    ];
    position_of(word, &DAYS).is_some()
}

/// A name in full or by its first three letters.
fn position_of(word: &str, names: &[&str]) -> Option<usize> {
    let word = word.to_ascii_lowercase();
    names
        .iter()
        .position(|name| *name == word || name[..3] == word)
}

/// 1970-01-01 in ticks.
pub const UNIX: i64 = 621_355_968_000_000_000;

/// Ticks of an instant of the clock.
#[must_use]
pub fn from_chrono(at: chrono::DateTime<chrono::Utc>) -> i64 {
    UNIX + at.timestamp() * super::TICKS_PER_SECOND + i64::from(at.timestamp_subsec_nanos() / 100)
}

/// The instant, if it is one that the clock can hold.
#[must_use]
pub fn to_chrono(ticks: i64) -> Option<chrono::DateTime<chrono::Utc>> {
    let since = ticks.checked_sub(UNIX)?;
    let nanos = u32::try_from(since.rem_euclid(super::TICKS_PER_SECOND) * 100).ok()?;
    chrono::DateTime::from_timestamp(since.div_euclid(super::TICKS_PER_SECOND), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_are_read_in_every_documented_form() {
        let cases = [
            (
                "2014-05-25T08:20:03.123456Z",
                "2014-05-25T08:20:03.1234560Z",
            ),
            ("2014-05-25T08:20:03.123456", "2014-05-25T08:20:03.1234560Z"),
            ("2014-05-25T08:20", "2014-05-25T08:20:00.0000000Z"),
            (
                "2014-11-08 15:55:55.123456Z",
                "2014-11-08T15:55:55.1234560Z",
            ),
            ("2014-11-08 15:55:55", "2014-11-08T15:55:55.0000000Z"),
            ("2014-11-08 15:55", "2014-11-08T15:55:00.0000000Z"),
            ("2014-11-08", "2014-11-08T00:00:00.0000000Z"),
            ("2014-11", "2014-11-01T00:00:00.0000000Z"),
            ("2014, 11, 8", "2014-11-08T00:00:00.0000000Z"),
            ("2014", "2014-01-01T00:00:00.0000000Z"),
            ("2015-12-31 23:59:59.9", "2015-12-31T23:59:59.9000000Z"),
            ("2015-12-31T23:59:59+02:00", "2015-12-31T21:59:59.0000000Z"),
            ("2015-12-31T23:59:59-0530", "2016-01-01T05:29:59.0000000Z"),
            ("2015-12-31 23:59:59 UTC", "2015-12-31T23:59:59.0000000Z"),
            ("Sat, 8 Nov 14 15:05:02 GMT", "2014-11-08T15:05:02.0000000Z"),
            ("Sat, 8 Nov 14 15:05", "2014-11-08T15:05:00.0000000Z"),
            ("8 Nov 14 15:05:02", "2014-11-08T15:05:02.0000000Z"),
            ("8 Nov 2014 15:05 GMT", "2014-11-08T15:05:00.0000000Z"),
            (
                "Saturday, 08-Nov-14 15:05:02 GMT",
                "2014-11-08T15:05:02.0000000Z",
            ),
            ("08-Nov-14 15:05", "2014-11-08T15:05:00.0000000Z"),
            ("12/31/2015", "2015-12-31T00:00:00.0000000Z"),
            ("12-02-2022", "2022-12-02T00:00:00.0000000Z"),
            ("12/31/2015 12:05:02 AM", "2015-12-31T00:05:02.0000000Z"),
            ("1/2/2015 3:05 pm", "2015-01-02T15:05:00.0000000Z"),
            (
                "2020-01-01T00:00:00.12345678999Z",
                "2020-01-01T00:00:00.1234567Z",
            ),
            ("min", "0001-01-01T00:00:00.0000000Z"),
            ("max", "9999-12-31T23:59:59.9999999Z"),
        ];
        for (text, expected) in cases {
            let read = parse_datetime(text).map(format_datetime);
            assert_eq!(read.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "x",
            "2014-13-01",
            "2014-02-30",
            "2014-01-01T25:00",
            "2014-01-01T10",
            "0000-01-01",
            "2014-01-01 10:00 XYZ",
            "2014-01-01x",
            "20140101",
            "31/12/2015",
            "2014-01-01T10:00:00.",
            "1/2/2015 13:05 pm",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "é",
        ] {
            assert_eq!(parse_datetime(text), None, "{text}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_are_where_kusto_has_them() {
        assert_eq!(from_civil(Civil::date(1970, 1, 1)), Some(UNIX_EPOCH));
        assert_eq!(
            from_civil(Civil::date(9999, 12, 31)),
            Some(MAX - TICKS_PER_DAY + 1)
        );
        assert_eq!(UNIX_EPOCH, 621_355_968_000_000_000);
    }

    proptest! {
        #[test]
        fn an_instant_comes_back_from_its_calendar_and_its_text(ticks in 0..=MAX) {
            prop_assert_eq!(from_civil(to_civil(ticks)), Some(ticks));
            prop_assert_eq!(parse_datetime(&format_datetime(ticks)), Some(ticks));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,24}") {
            let _ = parse_datetime(&text);
        }
    }
}
