//! `poolkeeper forecast`: a series in, the hours that come after it out.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::operations::capacity::chart::{self, Chart};
use crate::operations::capacity::forecast::{Forecast, forecast};
use crate::operations::capacity::hourly::Hourly;

const EXAMPLES: &str = "\
Examples:
  poolkeeper forecast --horizon 168 < requests.csv > coming.csv
  poolkeeper forecast cpu.csv --zone Asia/Tokyo --json
  poolkeeper query -q 'AppRequests | summarize value = count() by timestamp = bin(TimeGenerated, 1h)' --csv \\
    | poolkeeper forecast
  poolkeeper forecast cpu.csv --chart svg > cpu.svg

Input: CSV with the columns `timestamp` (RFC 3339, or UTC without a zone) and `value`, an hour each, in any
order; at least 7 days. An empty value is a gap. Output: CSV `timestamp,forecast,lower,upper`.

Exit codes: 0 forecast, 1 insufficient data, 2 usage, or the input is no such series.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The series; `-` is standard input.
    #[arg(default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// How many hours to forecast, 1 to 336.
    #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = clap::value_parser!(u16).range(1..=336))]
    horizon: u16,
    /// Whose clock people follow: its days and weeks are the shape, and its changes are kept.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: Tz,
    /// Print one JSON document: the hours, what candidates counted for how much and why, and what was
    /// done about gaps, outliers, levels and changes of the clock.
    #[arg(long)]
    json: bool,
    /// Draw what was and what comes, as a picture or with characters for a terminal.
    #[arg(long, value_name = "AS", conflicts_with = "json")]
    chart: Option<Drawing>,
    /// What the values are, for the chart: `RU/s`.
    #[arg(long, value_name = "UNIT", default_value = "", requires = "chart")]
    unit: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Drawing {
    Svg,
    Terminal,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let points = match points(arguments) {
        Ok(points) => points,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    match forecast(&points, usize::from(arguments.horizon), arguments.zone) {
        Ok(forecast) => match print(&forecast, &points, arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: write the forecast: {error}");
                ExitCode::from(3)
            }
        },
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(1)
        }
    }
}

#[derive(Deserialize)]
struct Row {
    timestamp: String,
    value: String,
}

fn points(arguments: &Arguments) -> anyhow::Result<Vec<(DateTime<Utc>, f64)>> {
    let input: Box<dyn Read> = if arguments.file.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            bail!("give a file, or the series on standard input: see `poolkeeper forecast --help`");
        }
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&arguments.file);
        Box::new(file.with_context(|| format!("open `{}`", arguments.file.display()))?)
    };
    read(input)
}

fn read(input: impl Read) -> anyhow::Result<Vec<(DateTime<Utc>, f64)>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(input);
    let mut points = Vec::new();
    for (index, row) in reader.deserialize::<Row>().enumerate() {
        let line = index + 2;
        let row = row.with_context(|| format!("line {line} is no `timestamp,value`"))?;
        let at = time(&row.timestamp)
            .with_context(|| format!("line {line}: `{}` is no time", row.timestamp))?;
        if row.value.is_empty() {
            continue;
        }
        let value: f64 = row
            .value
            .parse()
            .with_context(|| format!("line {line}: `{}` is no number", row.value))?;
        points.push((at, value));
    }
    Ok(points)
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let text = text.trim_end_matches('Z').replace(' ', "T");
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let naive = forms
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok());
    Some(naive?.and_utc())
}

fn print(
    forecast: &Forecast,
    points: &[(DateTime<Utc>, f64)],
    arguments: &Arguments,
) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if let Some(drawing) = arguments.chart {
        let chart = drawn(forecast, points, arguments);
        let text = match drawing {
            Drawing::Svg => chart::file(&chart),
            Drawing::Terminal => chart::terminal(&chart, columns()),
        };
        out.write_all(text.as_bytes())?;
    } else if arguments.json {
        serde_json::to_writer_pretty(&mut out, forecast)?;
        writeln!(out)?;
    } else {
        writeln!(out, "timestamp,forecast,lower,upper")?;
        for hour in &forecast.hours {
            let at = hour.at.format("%Y-%m-%dT%H:%M:%SZ");
            let (forecast, lower, upper) = (hour.forecast, hour.lower, hour.upper);
            writeln!(out, "{at},{forecast},{lower},{upper}")?;
        }
    }
    out.flush()
}

fn drawn(forecast: &Forecast, points: &[(DateTime<Utc>, f64)], arguments: &Arguments) -> Chart {
    // Whatever was given is over.
    let history = Hourly::new(points, DateTime::<Utc>::MAX_UTC);
    let name = arguments
        .file
        .file_stem()
        .map(|name| name.to_string_lossy());
    Chart {
        title: match name {
            Some(name) if name != "-" => name.into_owned(),
            _ => "forecast".into(),
        },
        unit: arguments.unit.clone(),
        zone: arguments.zone,
        history: history.map_or_else(Vec::new, |history| history.hours()),
        coming: forecast.hours.clone(),
        levels: Vec::new(),
    }
}

/// How wide the terminal says it is.
fn columns() -> usize {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    told.unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_values_are_read_or_the_line_is_named() {
        let good = "timestamp,value\n2026-11-01T00:00:00Z,1\n2026-11-01 01:00:00, 2.5\n2026-11-01T11:00:00+09:00,\n";
        let points = read(good.as_bytes()).expect("a series");
        let hours: Vec<_> = points.iter().map(|(at, v)| (at.to_rfc3339(), *v)).collect();
        assert_eq!(hours[1], ("2026-11-01T01:00:00+00:00".to_owned(), 2.5));
        assert_eq!(hours.len(), 2, "an empty value is a gap");
        for (text, expected) in [
            (
                "timestamp,value\nyesterday,1\n",
                "line 2: `yesterday` is no time",
            ),
            (
                "timestamp,value\n2026-11-01T00:00:00Z,many\n",
                "line 2: `many` is no number",
            ),
            (
                "time,count\n2026-11-01T00:00:00Z,1\n",
                "line 2 is no `timestamp,value`",
            ),
        ] {
            let error = read(text.as_bytes()).expect_err("no series");
            assert!(format!("{error:#}").starts_with(expected), "{error:#}");
        }
    }
}
