//! What capacity should be, from what is forecast. Pure; nothing is changed by it: scaling owns the
//! throughput and the replicas, and people own its limits.
//!
//! Source: specification 7.1, with the corrections F1 to F5.

mod learn;
mod replicas;
#[cfg(test)]
mod tests;
mod throughput;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::hourly::quantile;
use super::kept::{Candidate, Coming, Kept, Measure, STALE};
use crate::domain::{Capacity, Money, Replicas, ResourceId};

pub use learn::{PerReplica, Usage};
pub use replicas::{AppInput, app};
pub use throughput::{ContainerInput, container};

/// More than this share of what there is, and there should be more.
pub const FULL: f64 = 0.8;
/// So much more than is needed there should be.
pub const BUFFER: f64 = 1.2;
/// Less than this share of what there is must do before less is recommended, so that a recommendation
/// that was followed is not taken back a week later.
const SPARE: f64 = 0.8;
/// Of the hours of a forecast, the share whose need must be met: one hour of a week is a spike.
const MET: f64 = 0.99;
/// With fewer hours of a forecast left (5 days) nothing is said of a week.
const LEAST_LEFT: usize = 120;
/// What differs by less is the same money.
const WORTH: f64 = 0.1;

/// How soon something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Within a day there is too little, or there already is.
    Now,
    /// In so many days.
    WithinDays(u32),
    /// It saves money, or nothing at all; nothing breaks without it.
    None,
}

/// What is recommended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Advice {
    /// As it is, it will do.
    Keep { now: Size },
    /// From one size to another.
    Resize { now: Size, to: Size },
    /// Scaling follows the load, and should be let go further, or less far.
    Limits { now: Limits, to: Limits },
    /// Nothing can be said, and why.
    Unknown { now: Option<Size>, why: String },
}

/// Between which scaling goes, RU/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub least: u32,
    pub most: u32,
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from {} to {} RU/s", self.least, self.most)
    }
}

/// How much there is, or should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    Throughput(Capacity),
    Replicas(Replicas),
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Throughput(capacity) => capacity.fmt(f),
            Self::Replicas(replicas) => replicas.fmt(f),
        }
    }
}

/// What a recommendation rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub measure: Measure,
    /// From which hour to which.
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// What is needed in the busy minute, with which all hours but the highest one in a hundred are met,
    /// at the upper end of the interval; and the same of the forecast itself.
    pub need: f64,
    pub need_forecast: f64,
    /// The same at the lower end.
    pub need_lower: f64,
    /// The first hour of the forecast, which is when it was made.
    pub forecast_begins: DateTime<Utc>,
    /// By how much the busy minute exceeds its hour, and from how many hours that was learned.
    pub busy_factor: f64,
    pub busy_hours: usize,
    /// When more than is good of what there is will be needed, or more than scaling is allowed, at the
    /// upper end; `None`: never.
    pub crosses: Option<DateTime<Utc>>,
    /// The hours behind the forecast, and how many of them were not told.
    pub hours: usize,
    pub missing: usize,
    pub trials: usize,
    pub error: Option<f64>,
    pub error_of_last_week: Option<f64>,
    pub candidates: Vec<Candidate>,
}

/// A recommendation for one container, database or app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    pub resource: ResourceId,
    pub advice: Advice,
    pub urgency: Urgency,
    /// What following it adds to the bill of a month; negative: it saves. `None` without a price.
    pub monthly: Option<Money>,
    /// Sentences: why, what limits it, and what else is to be known.
    pub notes: Vec<String>,
    pub evidence: Option<Evidence>,
    /// What the other way of paying would cost, where that is worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_mode: Option<OtherMode>,
    /// What was learned about a replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_replica: Option<PerReplica>,
}

/// Manual against autoscale, over the forecast week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherMode {
    pub to: Capacity,
    /// What it adds to the bill of a month, against the recommended size in the mode that there is.
    /// Without a price only the percentage is known.
    pub monthly: Option<Money>,
    /// Percent of what the mode that there is would cost.
    pub percent: u32,
}

impl OtherMode {
    /// `20 % less, JPY 1,200 a month`.
    #[must_use]
    pub fn differs(&self) -> String {
        let (much, word) = if self.percent < 100 {
            (100 - self.percent, "less")
        } else {
            (self.percent - 100, "more")
        };
        let money = self.monthly.map_or_else(String::new, |money| {
            let amount = if money.micros < 0 { -money } else { money };
            format!(", {amount} a month")
        });
        format!("{much} % {word}{money}")
    }
}

impl Recommendation {
    /// Whether there should be more.
    #[must_use]
    pub fn grows(&self) -> bool {
        match &self.advice {
            Advice::Resize { now, to } => match (now, to) {
                (Size::Throughput(now), Size::Throughput(to)) => to.ru() > now.ru(),
                (Size::Replicas(now), Size::Replicas(to)) => {
                    to.most > now.most || to.least > now.least
                }
                _ => false,
            },
            Advice::Limits { now, to } => to.most > now.most,
            Advice::Keep { .. } | Advice::Unknown { .. } => false,
        }
    }

    /// Beyond what the need is too much, after `over`.
    #[must_use]
    pub fn bound(&self) -> &'static str {
        match self.advice {
            Advice::Limits { .. } => "what scaling is allowed",
            _ => "80 % of what there is",
        }
    }

    /// How soon, seen from a later time than that at which it was made.
    #[must_use]
    pub fn urgency_at(&self, now: DateTime<Utc>) -> Urgency {
        let crosses = self.evidence.as_ref().and_then(|found| found.crosses);
        match self.urgency {
            Urgency::Now | Urgency::WithinDays(_) if crosses.is_some() => urgency(crosses, now),
            as_made => as_made,
        }
    }

    /// Why and how soon, for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if let Some(evidence) = &self.evidence {
            let unit = evidence.measure.unit();
            parts.push(format!(
                "the coming week needs up to {:.0} {unit} in a busy minute ({:.0} by the middle of the \
                 forecast)",
                evidence.need, evidence.need_forecast
            ));
            let bound = self.bound();
            match (self.urgency, evidence.crosses) {
                (Urgency::Now, _) => parts.push(format!("that is over {bound} within a day")),
                (Urgency::WithinDays(_), Some(at)) => {
                    parts.push(format!(
                        "over {bound} from {}",
                        at.format("%Y-%m-%d %H:%M UTC")
                    ));
                }
                _ => {}
            }
        }
        if let Some(monthly) = self.monthly {
            let (amount, word) = if monthly.micros < 0 {
                (-monthly, "less")
            } else {
                (monthly, "more")
            };
            parts.push(format!("{amount} {word} a month"));
        }
        parts.extend(self.notes.iter().cloned());
        parts.join("; ")
    }

    pub(super) fn unknown(
        resource: &ResourceId,
        now: Option<Size>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            resource: resource.clone(),
            advice: Advice::Unknown {
                now,
                why: why.into(),
            },
            urgency: Urgency::None,
            monthly: None,
            notes: Vec::new(),
            evidence: None,
            other_mode: None,
            per_replica: None,
        }
    }
}

/// Why there is no forecast of a measure, or the forecast.
fn coming(kept: Option<&Kept>) -> Result<(&Kept, &Coming), String> {
    let Some(kept) = kept else {
        return Err("it was not measured yet".into());
    };
    match (&kept.coming, &kept.why_not) {
        (Some(coming), _) => Ok((kept, coming)),
        (None, Some(why)) => Err(why.clone()),
        (None, None) => Err("nothing is forecast yet".into()),
    }
}

/// What is needed in the busy minute of the hours that are still to come.
struct Need {
    /// All hours but the highest, at the upper end of the interval, and of the forecast itself.
    upper: f64,
    middle: f64,
    lower: f64,
    /// Each hour, by the forecast.
    hours: Vec<f64>,
    uppers: Vec<(DateTime<Utc>, f64)>,
}

impl Need {
    /// Errors: a sentence why it is not known. The rest of a forecast is not the coming week: it may begin
    /// after the busiest day.
    fn of(kept: &Kept, coming: &Coming, now: DateTime<Utc>) -> Result<Self, String> {
        let factor = kept.busy.factor;
        let place = |place: usize| coming.hour(place) + Duration::hours(1) > now;
        let rest: Vec<usize> = (0..coming.forecast.len()).filter(|p| place(*p)).collect();
        if rest.is_empty() {
            return Err("its forecast is over, and was not renewed".into());
        }
        let begins = coming.start.format("%Y-%m-%d %H:%M UTC");
        if now - coming.start > STALE {
            return Err(format!(
                "its forecast begins at {begins}, and was not renewed for more than {} hours",
                STALE.num_hours()
            ));
        }
        if rest.len() < LEAST_LEFT {
            return Err(format!(
                "only {} hours are left of its forecast from {begins}, and at least {LEAST_LEFT} are needed",
                rest.len()
            ));
        }
        // Of an hour of the week that never was told nothing is known, its price least of all.
        let rest: Vec<usize> = rest
            .into_iter()
            .filter(|place| !coming.unknown.contains(place))
            .collect();
        let hours: Vec<f64> = rest.iter().map(|p| coming.forecast[*p] * factor).collect();
        let uppers: Vec<_> = rest
            .iter()
            .map(|p| (coming.hour(*p), coming.upper[*p] * factor))
            .collect();
        Ok(Self {
            upper: quantile(uppers.iter().map(|(_, upper)| *upper).collect(), MET),
            middle: quantile(hours.clone(), MET),
            lower: quantile(
                rest.iter().map(|p| coming.lower[*p] * factor).collect(),
                MET,
            ),
            hours,
            uppers,
        })
    }

    fn evidence(&self, kept: &Kept, coming: &Coming, limit: f64) -> Evidence {
        let crosses = self.uppers.iter().find(|(_, upper)| *upper > limit);
        Evidence {
            measure: kept.measure,
            from: self.uppers.first().map_or(coming.start, |(at, _)| *at),
            until: coming.end(),
            need: self.upper,
            need_forecast: self.middle,
            need_lower: self.lower,
            forecast_begins: coming.start,
            busy_factor: kept.busy.factor,
            busy_hours: kept.busy.hours,
            crosses: crosses.map(|(at, _)| *at),
            hours: coming.hours,
            missing: coming.missing,
            trials: coming.trials,
            error: coming.error,
            error_of_last_week: coming.error_of_last_week,
            candidates: coming.candidates.clone(),
        }
    }
}

/// How soon, if more is needed from then on.
fn urgency(crosses: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Urgency {
    let Some(at) = crosses else {
        return Urgency::None;
    };
    match (at - now).num_days() {
        ..1 => Urgency::Now,
        days => Urgency::WithinDays(u32::try_from(days).unwrap_or(u32::MAX)),
    }
}

/// Notes that belong to every forecast: how far it can be relied on.
fn reliance(kept: &Kept, coming: &Coming, notes: &mut Vec<String>) {
    if kept.busy.hours == 0 {
        notes.push(
            "how much more the busy minute needs than its hour is not known: too few minutes of the \
             last day were told"
                .into(),
        );
    }
    if coming.missing > 0 {
        notes.push(format!(
            "{} of {} hours of its history were not told",
            coming.missing, coming.hours
        ));
    }
    if !coming.unknown.is_empty() {
        notes.push(format!(
            "{} hours of the coming week are left out: no value was ever told of such an hour of the week",
            coming.unknown.len()
        ));
    }
    if let Some(shift) = &coming.shift {
        notes.push(format!(
            "it went to {:.2} times its level at {}",
            shift.ratio,
            shift.at.format("%Y-%m-%d %H:%M UTC")
        ));
    }
    if coming.trials == 0 {
        notes.push("its history is too short to try the forecast on earlier weeks".into());
    }
}

/// So much, in steps of `step`, rounded up; what is a multiple stays.
fn up_to_step(value: f64, step: u32) -> u32 {
    let steps = (value / f64::from(step) - 1e-9).ceil().max(0.0);
    (steps * f64::from(step)).min(f64::from(u32::MAX)) as u32
}
