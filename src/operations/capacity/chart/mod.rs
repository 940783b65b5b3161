//! One chart: what was measured, what is forecast within its interval, and how much there is. Drawn as
//! SVG for pages and files, or as characters for a terminal. Pure; nothing in it is told by colour
//! alone.

mod svg;
mod terminal;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use super::forecast::Hour;

pub use svg::{STYLE, file, inline};
pub use terminal::terminal;

/// So much of what was is drawn.
const SHOWN: Duration = Duration::days(14);

/// A number of an axis with more decimals is told by powers of ten.
const MOST_DECIMALS: i32 = 4;

/// What a line across the chart stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// What there is.
    Current,
    /// What there may be at most, or is at least.
    Limit,
    /// What there should be.
    Recommended,
}

/// A line across the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    pub mark: Mark,
    pub value: f64,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub title: String,
    pub unit: String,
    /// Whose clock days are marked by.
    pub zone: Tz,
    /// Hour by hour, in order; `None` is a gap and is drawn as one.
    pub history: Vec<(DateTime<Utc>, Option<f64>)>,
    pub coming: Vec<Hour>,
    pub levels: Vec<Level>,
}

impl Chart {
    /// The newest part of what was, which is what is drawn.
    fn shown(&self) -> &[(DateTime<Utc>, Option<f64>)] {
        let Some((end, _)) = self.history.last() else {
            return &[];
        };
        let from = *end - SHOWN;
        let first = self.history.partition_point(|(at, _)| *at <= from);
        &self.history[first..]
    }

    /// From the first hour that is drawn to the end of the last; `None`: there is nothing to draw.
    fn span(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let shown = self.shown();
        let start = shown.first().map(|(at, _)| *at);
        let start = start.or(self.coming.first().map(|hour| hour.at))?;
        let end = self.coming.last().map(|hour| hour.at);
        let end = end.or(shown.last().map(|(at, _)| *at))?;
        Some((start, end + Duration::hours(1)))
    }

    /// The highest and the lowest of all that is drawn, and 0.
    fn reach(&self) -> (f64, f64) {
        let measured = self.shown().iter().filter_map(|(_, value)| *value);
        let coming = self
            .coming
            .iter()
            .flat_map(|h| [h.lower, h.forecast, h.upper]);
        let levels = self.levels.iter().map(|level| level.value);
        let all = measured.chain(coming).chain(levels);
        all.filter(|value| value.is_finite())
            .fold((0.0, 0.0), |(low, high), v| {
                (f64::min(low, v), f64::max(high, v))
            })
    }

    fn axis(&self) -> Axis {
        let (low, high) = self.reach();
        Axis::new(low, high)
    }

    /// All that the picture says, in words.
    fn words(&self) -> String {
        let unit = &self.unit;
        let time = |at: DateTime<Utc>| at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M %Z");
        let mut parts = Vec::new();
        let shown = self.shown();
        let most = shown.iter().filter_map(|(_, v)| *v).reduce(f64::max);
        match (shown.first(), most) {
            (Some((from, _)), Some(most)) => {
                let gaps = shown.iter().filter(|(_, value)| value.is_none()).count();
                let gaps = match gaps {
                    0 => String::new(),
                    gaps => format!(", {gaps} hours of it not told"),
                };
                let most = number(most);
                parts.push(format!(
                    "Measured from {}: at most {most} {unit}{gaps}.",
                    time(*from)
                ));
            }
            _ => parts.push("Nothing was measured.".into()),
        }
        let highest = self
            .coming
            .iter()
            .max_by(|a, b| a.forecast.total_cmp(&b.forecast));
        if let (Some(highest), Some(last)) = (highest, self.coming.last()) {
            let upper = self.coming.iter().map(|h| h.upper).fold(f64::MIN, f64::max);
            parts.push(format!(
                "Forecast until {}: at most {} {unit}, on {}; 95 % interval up to {} {unit}.",
                time(last.at + Duration::hours(1)),
                number(highest.forecast),
                time(highest.at),
                number(upper),
            ));
        }
        for level in &self.levels {
            let name = match level.mark {
                Mark::Current => "There are",
                Mark::Limit => "The limit is",
                Mark::Recommended => "Recommended are",
            };
            parts.push(format!("{name} {} {unit}.", number(level.value)));
        }
        parts.join(" ")
    }
}

/// The upright axis: from a round number to a round number in round steps.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    fn new(low: f64, high: f64) -> Self {
        let span = (high - low).max(1e-9);
        let rough = span / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|part| part * power)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * power);
        Self {
            low: (low / step).floor() * step,
            high: ((high / step).ceil() * step).max(step),
            step,
        }
    }

    fn ticks(self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count)
            .map(|tick| self.low + tick as f64 * self.step)
            .collect()
    }

    /// A tick in words: neighbours differ, so it has the decimals of the step.
    fn label(self, tick: f64) -> String {
        // A tick that should be 0 may be a little beside it.
        let tick = if tick.abs() < self.step / 2.0 {
            0.0
        } else {
            tick
        };
        if tick == 0.0 || tick.abs() >= 999.5 {
            return number(tick);
        }
        let decimals = (0..=MOST_DECIMALS).find(|decimals| {
            let steps = self.step * 10_f64.powi(*decimals);
            (steps - steps.round()).abs() < 1e-6 * steps
        });
        match decimals {
            Some(decimals) => format!("{tick:.*}", decimals as usize),
            None => format!("{tick:.1e}"),
        }
    }

    /// How far up a value is, 0 to 1.
    fn share(self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// A number as short as it can be read: `1,250`, `12.5k`, `0.4`.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 9_999_500.0 {
        return format!("{}M", trimmed(value / 1e6));
    }
    if size >= 9_999.5 {
        return format!("{}k", trimmed(value / 1e3));
    }
    if size >= 999.5 {
        let whole = value.round() as i64;
        return format!("{},{:03}", whole / 1000, (whole % 1000).abs());
    }
    trimmed(value)
}

/// With as many decimals as matter.
fn trimmed(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 0.095 || size == 0.0 => format!("{value:.1}"),
        size if size >= 1e-6 => {
            // Two digits.
            let decimals = 1 - size.log10().floor() as i32;
            format!("{value:.*}", decimals.max(2) as usize)
        }
        _ => format!("{value:.1e}"),
    };
    if !text.contains('.') || text.contains('e') {
        return text;
    }
    let plain = text.trim_end_matches('0').trim_end_matches('.');
    if plain == "-0" { "0" } else { plain }.to_owned()
}
