//! A policy judged on recorded load, before it is allowed to act: the same function decides over the
//! load as it does live, and what it would have done is held against the specification's rule, against
//! no scaling, and against somebody who knew the load.
//!
//! The same input gives the same answer, to the last byte.

mod ahead;
mod load;
mod plant;
mod rivals;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Timelike as _, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::domain::{Capacity, Money};
use crate::estate::{Prices, ThroughputRules};
use plant::Plant;
use rivals::{Nobody, Oracle, Ours, Rival, Seen, Specified};

pub use load::Load;
pub use plant::Shape;

/// Minutes between two ticks, as the timer has them.
const TICK: u32 = 5;
/// From this share of its load on, a minute that is refused counts as throttled.
const THROTTLED: f64 = 0.01;

/// A policy that is judged.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How it is called in the report.
    pub name: String,
    pub rules: ThroughputRules,
    /// How long a container is left alone after a change.
    pub cooldown: Duration,
    pub zone: Tz,
    pub prices: Prices,
}

/// On what it is judged.
#[derive(Debug, Clone)]
pub struct Scene {
    /// RU/s in each minute.
    pub load: Load,
    pub shape: Shape,
    /// Metrics are there so many minutes late.
    pub lag: u32,
    /// Whether somebody approves what is asked first.
    pub approves: bool,
    /// Whose price counts.
    pub region: Option<String>,
}

/// One change that would have been made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Made {
    pub at: DateTime<Utc>,
    pub from: u32,
    pub to: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
    pub why: String,
}

/// What became of the load under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Result {
    pub name: String,
    pub changes: usize,
    pub ups: usize,
    pub downs: usize,
    /// How often a raise followed a reduction, or the other way round.
    pub direction_changes: usize,
    /// RU/s by hours that were provisioned.
    pub ru_hours: f64,
    /// The same as Azure charges it: each hour of the clock by the most that it had.
    pub ru_hours_charged: f64,
    /// What that costs; `None` where the policy has no price for the region.
    pub cost: Option<Money>,
    /// Minutes in which one percent of the load or more was refused.
    pub throttled_minutes: usize,
    /// Percent of all of the load.
    pub refused_percent: f64,
    pub highest: u32,
    /// Why nothing was changed, by ticks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<&'static str, u64>,
    pub made: Vec<Made>,
}

/// Everything that a replay comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub minutes: usize,
    /// Of them, not measured.
    pub missing: usize,
    pub mean_ru: f64,
    pub most_ru: f64,
    pub start: u32,
    pub partitions: u32,
    /// The policy, what it is compared with, then the others.
    pub results: Vec<Result>,
    pub verdict: Verdict,
    /// Against the specification's rule, where the policy is compared with another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specification: Option<Verdict>,
}

/// The policy held against what it is compared with, count by count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub against: String,
    /// No more throttled minutes, no more RU-hours charged, and no more changes of direction.
    pub passes: bool,
    pub counts: Vec<Count>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Count {
    pub of: &'static str,
    pub policy: f64,
    pub other: f64,
    /// `policy`, `other` or `neither`.
    pub better: &'static str,
}

/// Replays the load under `policy`, under `other` if there is one, and under the specification's
/// rule, nobody, and somebody who knows the load.
#[must_use]
pub fn replay(scene: &Scene, policy: &Policy, other: Option<&Policy>) -> Report {
    let ours = |policy: &Policy| {
        let rival = Ours::new(policy.zone, policy.rules, policy.cooldown, scene.approves);
        run(scene, &policy.name, policy, rival)
    };
    let most = policy.rules.most;
    let oracle = Oracle::new(&scene.load, most);
    let mut results = vec![ours(policy)];
    results.extend(other.map(ours));
    let specified = results.len();
    results.push(run(scene, "specification's rule", policy, Specified));
    results.push(run(scene, "no scaling", policy, Nobody));
    results.push(run(scene, "knows the load", policy, oracle));
    let known = scene.load.minutes.iter().flatten();
    Report {
        from: scene.load.from,
        until: scene.load.at(scene.load.minutes.len()),
        minutes: scene.load.minutes.len(),
        missing: scene.load.minutes.iter().filter(|m| m.is_none()).count(),
        mean_ru: round(scene.load.mean()),
        most_ru: round(known.copied().fold(0.0, f64::max)),
        start: scene.shape.start,
        partitions: Plant::new(scene.shape).partitions(),
        verdict: verdict(&results[0], &results[1]),
        specification: other.map(|_| verdict(&results[0], &results[specified])),
        results,
    }
}

fn verdict(policy: &Result, other: &Result) -> Verdict {
    let count = |of, policy: f64, other: f64| Count {
        of,
        policy,
        other,
        better: match policy.total_cmp(&other) {
            std::cmp::Ordering::Less => "policy",
            std::cmp::Ordering::Greater => "other",
            std::cmp::Ordering::Equal => "neither",
        },
    };
    let mut counts = vec![
        count(
            "throttled minutes",
            policy.throttled_minutes as f64,
            other.throttled_minutes as f64,
        ),
        count(
            "RU-hours charged",
            policy.ru_hours_charged,
            other.ru_hours_charged,
        ),
        count(
            "direction changes",
            policy.direction_changes as f64,
            other.direction_changes as f64,
        ),
        count("RU-hours provisioned", policy.ru_hours, other.ru_hours),
        count("changes", policy.changes as f64, other.changes as f64),
    ];
    if let (Some(ours), Some(theirs)) = (policy.cost, other.cost) {
        let whole = |money: Money| (money.micros as f64 / 1e6).round();
        counts.push(count("cost", whole(ours), whole(theirs)));
    }
    Verdict {
        against: other.name.clone(),
        passes: counts[..3].iter().all(|count| count.better != "other"),
        counts,
    }
}

fn run(scene: &Scene, name: &str, policy: &Policy, mut rival: impl Rival) -> Result {
    let (load, lag) = (&scene.load, scene.lag as usize);
    let mut plant = Plant::new(scene.shape);
    let mut seen: Vec<Seen> = Vec::with_capacity(load.minutes.len());
    let mut made: Vec<Made> = Vec::new();
    let (mut provisioned, mut throttled) = (0.0, 0);
    let (mut asked, mut refused) = (0.0, 0.0);
    let mut hours: Vec<(i64, f64)> = Vec::new();
    let mut highest = scene.shape.start;
    for (place, minute) in load.minutes.iter().enumerate() {
        let now = load.at(place);
        plant.settle(now);
        if now.minute() % TICK == 0 && place > 0 && !plant.throughput().pending {
            let known = &seen[..seen.len().saturating_sub(lag)];
            let from = plant.current();
            if let Some(said) = rival.tick(now, place, &plant, known)
                && said.to != from
            {
                plant.set(said.to, now);
                highest = highest.max(said.to);
                made.push(Made {
                    at: now,
                    from,
                    to: said.to,
                    because: said.because.map(super::decide::Because::as_str),
                    why: said.why,
                });
            }
        }
        let measured = minute.map(|load| plant.minute(load));
        if let (Some(measured), Some(load)) = (&measured, minute) {
            throttled += usize::from(measured.refused >= THROTTLED);
            asked += load;
            refused += load * measured.refused;
        }
        let charged = plant.charged(minute.unwrap_or(0.0));
        provisioned += charged / 60.0;
        let hour = now.timestamp().div_euclid(3600);
        match hours.last_mut() {
            Some((last, most)) if *last == hour => *most = most.max(charged),
            _ => hours.push((hour, charged)),
        }
        seen.push((now, measured, minute.unwrap_or(0.0)));
    }
    let charged: f64 = hours.iter().map(|(_, most)| most).sum();
    let ups = made.iter().filter(|m| m.to > m.from).count();
    let is_up: Vec<bool> = made.iter().map(|m| m.to > m.from).collect();
    Result {
        name: name.to_owned(),
        changes: made.len(),
        ups,
        downs: made.len() - ups,
        direction_changes: is_up.windows(2).filter(|pair| pair[0] != pair[1]).count(),
        ru_hours: round(provisioned),
        ru_hours_charged: round(charged),
        cost: cost(scene, policy, charged),
        throttled_minutes: throttled,
        refused_percent: if asked > 0.0 {
            (refused / asked * 1e6).round() / 1e4
        } else {
            0.0
        },
        highest,
        held: rival.held(),
        made,
    }
}

/// What so many RU-hours cost.
fn cost(scene: &Scene, policy: &Policy, hours: f64) -> Option<Money> {
    let hundred = if scene.shape.auto {
        Capacity::Autoscale(100)
    } else {
        Capacity::Manual(100)
    };
    let region = match &scene.region {
        Some(region) => region,
        None => &policy.prices.cosmos.first()?.region,
    };
    let price = policy.prices.throughput_hour(region, hundred, 1)?;
    Some(price.times(hours / 100.0))
}

/// To the hundredth, so that it is the same on every machine.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
