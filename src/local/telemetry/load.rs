//! How much is asked for in each minute, relative to the mean.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, NaiveDateTime, Offset as _, TimeZone as _, Timelike as _};
use chrono_tz::Tz;

use super::random::Random;

/// Minutes of a week.
const WEEK: i64 = 7 * 1440;
/// How much one minute differs from its neighbours.
const NOISE: f64 = 0.06;

/// The shape of the load: that of a working day and week in the estate's zone, or a recorded one.
#[derive(Debug, Clone)]
pub struct Load {
    zone: Tz,
    /// Mean of the unscaled shape.
    mean: f64,
    trace: Option<Trace>,
}

impl Load {
    #[must_use]
    pub fn new(zone: Tz, trace: Option<Trace>) -> Self {
        let week = (0..WEEK).map(|minute| working(minute / 1440, minute % 1440));
        let mean = week.sum::<f64>() / WEEK as f64;
        Self { zone, mean, trace }
    }

    /// The load at `minute` since 1970 as a multiple of the mean, without chance.
    #[must_use]
    pub fn at(&self, minute: i64) -> f64 {
        if let Some(trace) = &self.trace {
            return trace.at(minute);
        }
        let at = DateTime::from_timestamp(minute * 60, 0).unwrap_or_default();
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        let local = at.with_timezone(&offset);
        let day = i64::from(local.weekday().num_days_from_monday());
        working(day, i64::from(local.hour() * 60 + local.minute())) / self.mean
    }

    /// The loads after which all begins again: a week, or the length of what was recorded.
    pub(super) fn period(&self) -> impl Iterator<Item = f64> {
        let (from, minutes) = match &self.trace {
            Some(trace) => (trace.begins, trace.loads.len()),
            None => (0, 10_080),
        };
        (from..).take(minutes).map(|minute| self.at(minute))
    }

    /// The load with the chance of that minute.
    pub(in crate::local) fn with_chance(&self, seed: u64, minute: i64) -> f64 {
        self.at(minute) * Self::chance(seed, minute)
    }

    /// The chance of that minute: a factor whose mean, not median, is 1.
    pub(in crate::local) fn chance(seed: u64, minute: i64) -> f64 {
        let mut random = Random::of(&[seed, 0x10AD, minute.cast_unsigned()]);
        random.lognormal(NOISE) * (-NOISE * NOISE / 2.0).exp()
    }
}

/// Two humps, before and after lunch, over a quiet night; quieter on Saturday (5) and Sunday (6).
fn working(day: i64, minute: i64) -> f64 {
    let hump = |at: f64, wide: f64| (-((minute as f64 - at * 60.0) / (wide * 60.0)).powi(2)).exp();
    let shape = 0.25 + 0.9 * hump(10.5, 1.9) + hump(15.0, 2.4) + 0.35 * hump(20.5, 1.6);
    if day >= 5 { shape * 0.45 } else { shape }
}

/// A recorded load, repeated before and after, in step with the days of the week.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Minute since 1970 at which it begins.
    begins: i64,
    /// Relative to their mean.
    loads: Vec<f64>,
}

impl Trace {
    /// Reads lines `minute,count` (`1998-04-30 21:30:00,2`), gzip or not. A minute that is left out
    /// counts nothing. What goes beyond whole weeks is cut off, if there is at least one.
    ///
    /// Errors: the file cannot be read, a line is none, or there is nothing in it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("read the trace `{}`", path.display());
        let bytes = std::fs::read(path).with_context(named)?;
        let mut text = String::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut gz = flate2::read::MultiGzDecoder::new(bytes.as_slice());
            gz.read_to_string(&mut text).with_context(named)?;
        } else {
            text = String::from_utf8(bytes).with_context(named)?;
        }
        Self::parse(&text).with_context(named)
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut counts: Vec<(i64, f64)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || (number == 0 && line.starts_with("minute")) {
                continue;
            }
            let wrong = || format!("line {}: `{line}` is no `minute,count`", number + 1);
            let (at, count) = line.split_once(',').with_context(wrong)?;
            let at = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ"]
                .iter()
                .find_map(|form| NaiveDateTime::parse_from_str(at.trim(), form).ok())
                .with_context(wrong)?;
            let count: f64 = count.trim().parse().ok().with_context(wrong)?;
            anyhow::ensure!(count >= 0.0 && count.is_finite(), wrong());
            counts.push((at.and_utc().timestamp().div_euclid(60), count));
        }
        counts.sort_by_key(|(minute, _)| *minute);
        let begins = counts.first().context("there is no line in it")?.0;
        let minutes = counts.last().map_or(0, |(last, _)| last - begins + 1);
        anyhow::ensure!(minutes <= 60 * WEEK, "it is longer than 60 weeks");
        let whole = if minutes >= WEEK {
            minutes - minutes % WEEK
        } else {
            minutes
        };
        let mut loads = vec![0.0; usize::try_from(whole)?];
        for (minute, count) in counts {
            if let Some(load) = loads.get_mut(usize::try_from(minute - begins)?) {
                *load += count;
            }
        }
        let mean = loads.iter().sum::<f64>() / loads.len() as f64;
        anyhow::ensure!(mean > 0.0, "it counts nothing");
        loads.iter_mut().for_each(|load| *load /= mean);
        Ok(Self { begins, loads })
    }

    fn at(&self, minute: i64) -> f64 {
        let length = i64::try_from(self.loads.len()).unwrap_or(i64::MAX);
        let index = (minute - self.begins).rem_euclid(length);
        self.loads[usize::try_from(index).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(text: &str) -> i64 {
        let at = DateTime::parse_from_rfc3339(text).expect("a time");
        at.timestamp() / 60
    }

    #[test]
    fn the_day_is_busy_and_the_night_and_the_weekend_are_not() {
        let load = Load::new(chrono_tz::Asia::Tokyo, None);
        // Tuesday 15:00 in Tokyo, Tuesday 04:00, Sunday 15:00.
        let day = load.at(minute("2026-11-24T06:00:00Z"));
        let night = load.at(minute("2026-11-23T19:00:00Z"));
        let weekend = load.at(minute("2026-11-22T06:00:00Z"));
        assert!(day > 1.8 && night < 0.6, "{day} {night}");
        assert!((weekend / day - 0.45).abs() < 0.01);
        let from = minute("2026-11-01T00:00:00Z");
        let mean = (from..from + WEEK).map(|m| load.at(m)).sum::<f64>() / WEEK as f64;
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn a_trace_is_followed_and_repeated() {
        let trace = Trace::parse("minute,count\n1998-04-30 21:30:00,2\n1998-04-30 21:32:00,4\n");
        let trace = trace.expect("a trace");
        let from = minute("1998-04-30T21:30:00Z");
        let seen: Vec<f64> = (from - 3..from + 3).map(|m| trace.at(m)).collect();
        assert_eq!(seen, [1.0, 0.0, 2.0, 1.0, 0.0, 2.0]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let error = Trace::parse("minute,count\nsoon,4\n").expect_err("no time");
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(Trace::parse("").is_err());
    }
}
