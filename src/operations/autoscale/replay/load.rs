//! A recorded load: what was asked in each minute.

use std::io::Read;

use anyhow::Context as _;
use chrono::{DateTime, Duration, DurationRound as _, NaiveDateTime, Utc};

/// The longest load that is replayed: 60 weeks.
const MOST_MINUTES: i64 = 60 * 7 * 24 * 60;

/// What was asked in each minute, in the unit of the file. A minute that the file leaves out was not
/// measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub from: DateTime<Utc>,
    pub minutes: Vec<Option<f64>>,
}

impl Load {
    /// Reads CSV with a heading and two columns, the time of a minute and what was asked in it, in any
    /// order; several lines of a minute are added up.
    ///
    /// Errors: a line is no such pair, and which; nothing was asked at all; more than 60 weeks.
    pub fn read(input: impl Read) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(input);
        let heading = reader.headers().context("read the load")?;
        let first = heading.get(0).unwrap_or_default();
        anyhow::ensure!(
            time(first).is_none(),
            "line 1: a heading is wanted, and `{first}` is a time"
        );
        let mut counts: Vec<(DateTime<Utc>, f64)> = Vec::new();
        for row in reader.records() {
            let row = row.context("read the load")?;
            let line = row.position().map_or(0, csv::Position::line);
            let (Some(at), Some(count)) = (row.get(0), row.get(1)) else {
                anyhow::bail!("line {line}: a time and a number are wanted");
            };
            if count.is_empty() {
                continue;
            }
            let time = time(at).with_context(|| format!("line {line}: `{at}` is no time"))?;
            let number: f64 = count
                .parse()
                .ok()
                .filter(|n: &f64| n.is_finite() && *n >= 0.0)
                .with_context(|| format!("line {line}: `{count}` is no number from 0 on"))?;
            counts.push((time.duration_trunc(Duration::minutes(1))?, number));
        }
        Self::of(&mut counts)
    }

    fn of(counts: &mut [(DateTime<Utc>, f64)]) -> anyhow::Result<Self> {
        counts.sort_by_key(|(at, _)| *at);
        let (Some((from, _)), Some((last, _))) = (counts.first(), counts.last()) else {
            anyhow::bail!("there is no minute in the load");
        };
        let from = *from;
        let minutes = (*last - from).num_minutes() + 1;
        anyhow::ensure!(
            minutes <= MOST_MINUTES,
            "the load spans {minutes} minutes: 60 weeks are the most"
        );
        let mut out = vec![None; usize::try_from(minutes)?];
        for (at, count) in counts.iter() {
            let place = usize::try_from((*at - from).num_minutes())?;
            *out[place].get_or_insert(0.0) += count;
        }
        let load = Self { from, minutes: out };
        anyhow::ensure!(load.mean() > 0.0, "nothing was asked in the whole load");
        Ok(load)
    }

    /// Of the minutes that were measured.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let known = self.minutes.iter().flatten();
        let (count, sum) = known.fold((0.0, 0.0), |(count, sum), m| (count + 1.0, sum + m));
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// All of it so many times as much.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        for minute in self.minutes.iter_mut().flatten() {
            *minute *= factor;
        }
        self
    }

    #[must_use]
    pub fn at(&self, place: usize) -> DateTime<Utc> {
        self.from + Duration::minutes(i64::try_from(place).unwrap_or(i64::MAX / 120))
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let text = text.trim_end_matches('Z').replace(' ', "T");
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let mut read = forms
        .iter()
        .filter_map(|form| NaiveDateTime::parse_from_str(&text, form).ok());
    Some(read.next()?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_read_or_the_line_is_named() {
        let text = "minute,count\n2026-11-01 00:03:10,4\n2026-11-01T00:00:00Z,2\n2026-11-01 00:00,1\n2026-11-01 00:01:00,\n";
        let load = Load::read(text.as_bytes()).expect("a load");
        assert_eq!(load.minutes, [Some(3.0), None, None, Some(4.0)]);
        assert_eq!(load.mean(), 3.5);
        assert_eq!(load.at(3).to_rfc3339(), "2026-11-01T00:03:00+00:00");
        for (text, expected) in [
            ("minute,count\n", "there is no minute"),
            ("minute,count\nsoon,1\n", "line 2: `soon` is no time"),
            (
                "minute,count\n2026-11-01 00:00,-1\n",
                "line 2: `-1` is no number",
            ),
            (
                "minute,count\n2026-11-01 00:00,NaN\n",
                "line 2: `NaN` is no number",
            ),
            ("minute,count\n2026-11-01 00:00,0\n", "nothing was asked"),
            (
                "minute,count\n2026-11-01 00:00,1\n2029-11-01 00:00,1\n",
                "the load spans",
            ),
        ] {
            let error = Load::read(text.as_bytes()).expect_err("no load");
            assert!(error.to_string().starts_with(expected), "{error:#}");
        }
    }
}
