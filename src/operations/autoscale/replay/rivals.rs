//! Who scales: the rules of an estate, and what they are held against.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Timelike as _, Utc};
use chrono_tz::Tz;

use super::ahead::Forecaster;
use super::load::Load;
use super::plant::{Measured, Plant};
use crate::domain::{Capacity, ResourceId};
use crate::estate::ThroughputRules;
use crate::operations::autoscale::decide::{self, Because};
use crate::operations::autoscale::facts::{ContainerFacts, Minute, Past, Range, Supply};

/// What a tick says.
pub(super) struct Said {
    /// RU/s.
    pub(super) to: u32,
    pub(super) because: Option<Because>,
    pub(super) why: String,
}

/// A minute as it was measured; `None` where the load was not.
pub(super) type Seen = (DateTime<Utc>, Option<Measured>, f64);

pub(super) trait Rival {
    /// Decides at `now` by what was measured before: `seen`, the newest last, with the load of each
    /// minute in RU/s.
    fn tick(
        &mut self,
        now: DateTime<Utc>,
        place: usize,
        plant: &Plant,
        seen: &[Seen],
    ) -> Option<Said>;

    /// How often what was held for which reason.
    fn held(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
}

/// Nobody.
pub(super) struct Nobody;

impl Rival for Nobody {
    fn tick(&mut self, _: DateTime<Utc>, _: usize, _: &Plant, _: &[Seen]) -> Option<Said> {
        None
    }
}

/// The rule of the specification: at each tick doubled above 80 % of the last five minutes, halved
/// below 20 %, between 400 and 20,000 RU/s.
///
/// Source: specification 6.1.1. What Azure would refuse is rounded up to what it takes, since the rule
/// would else stand still.
pub(super) struct Specified;

impl Rival for Specified {
    fn tick(&mut self, _: DateTime<Utc>, _: usize, plant: &Plant, seen: &[Seen]) -> Option<Said> {
        let recent = &seen[seen.len().saturating_sub(5)..];
        let known: Vec<f64> = recent
            .iter()
            .filter_map(|(_, m, _)| Some(m.as_ref()?.served))
            .collect();
        if known.is_empty() {
            return None;
        }
        let current = plant.current();
        let usage = known.iter().sum::<f64>() / known.len() as f64 / f64::from(current) * 100.0;
        let has = plant.throughput();
        let step = match has.capacity {
            Capacity::Manual(_) => 100,
            Capacity::Autoscale(_) => 1000,
        };
        let to = if usage > 80.0 {
            (current * 2).min(20_000)
        } else if usage < 20.0 && current > 400 {
            (current / 2).max(400)
        } else {
            return None;
        };
        let to = (to.div_ceil(step) * step).max(has.minimum);
        Some(Said {
            to,
            because: None,
            why: format!("usage is {usage:.0} %"),
        })
    }
}

/// Who knows the load and where it falls: for each hour that is charged, as little as refuses nothing.
/// Partitions are never split.
pub(super) struct Oracle<'a> {
    load: &'a Load,
    most: u32,
    /// The hour that was decided on last.
    hour: Option<i64>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(load: &'a Load, most: u32) -> Self {
        Self {
            load,
            most,
            hour: None,
        }
    }
}

impl Rival for Oracle<'_> {
    fn tick(
        &mut self,
        now: DateTime<Utc>,
        place: usize,
        plant: &Plant,
        _: &[Seen],
    ) -> Option<Said> {
        let this = now.timestamp().div_euclid(3600);
        if self.hour.replace(this) == Some(this) {
            return None;
        }
        let until = place + 60 - now.minute() as usize;
        let hour = &self.load.minutes[place..until.min(self.load.minutes.len())];
        // Of an hour that nobody measured nobody knows anything.
        let most = hour.iter().flatten().copied().reduce(f64::max)?;
        let need = most * plant.hottest_share() * f64::from(plant.partitions());
        let has = plant.throughput();
        let instant = has.instant_maximum.unwrap_or(self.most);
        let step = match has.capacity {
            Capacity::Manual(_) => 100,
            Capacity::Autoscale(_) => 1000,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it ends at the limits"
        )]
        let steps = (need / f64::from(step)).ceil() as u32;
        let to = steps
            .saturating_mul(step)
            .max(has.minimum)
            .min(self.most)
            .min(instant);
        Some(Said {
            to,
            because: None,
            why: format!("it will need {need:.0} RU/s"),
        })
    }
}

/// The rules of an estate, by the very function that decides live.
pub(super) struct Ours {
    rules: ThroughputRules,
    cooldown: Duration,
    /// Whether somebody approves what is asked first.
    approves: bool,
    forecaster: Forecaster,
    resource: ResourceId,
    changed: Vec<DateTime<Utc>>,
    past: Past,
    held: BTreeMap<&'static str, u64>,
}

impl Ours {
    pub(super) fn new(
        zone: Tz,
        rules: ThroughputRules,
        cooldown: Duration,
        approves: bool,
    ) -> Self {
        let account = ResourceId::new(
            "replay",
            "replay",
            "Microsoft.DocumentDB/databaseAccounts",
            "replay",
        );
        Self {
            rules,
            cooldown,
            approves,
            forecaster: Forecaster::new(zone),
            resource: account
                .child("sqlDatabases", "replay")
                .child("containers", "replay"),
            changed: Vec::new(),
            past: Past::default(),
            held: BTreeMap::new(),
        }
    }

    fn hold(&mut self, why: &'static str) {
        *self.held.entry(why).or_default() += 1;
    }
}

impl Rival for Ours {
    fn held(&self) -> BTreeMap<&'static str, u64> {
        self.held.clone()
    }

    fn tick(&mut self, now: DateTime<Utc>, _: usize, plant: &Plant, seen: &[Seen]) -> Option<Said> {
        let day = now - Duration::hours(24);
        self.changed.retain(|at| *at > day);
        self.past.changes = u32::try_from(self.changed.len()).unwrap_or(u32::MAX);
        let window = usize::try_from(self.rules.calm.num_minutes()).unwrap_or(60) + 10;
        let minutes = &seen[seen.len().saturating_sub(window)..];
        let facts = ContainerFacts {
            resource: self.resource.clone(),
            supply: Supply::Own(plant.throughput()),
            minutes: minutes.iter().filter_map(minute).collect(),
            ranges: ranges(minutes),
            partitions: Some(plant.partitions()),
            heaviest: None,
            storage_gb: None,
            ahead: self.forecaster.need(now, now + self.rules.ahead, seen),
            past: self.past.clone(),
        };
        let decision = decide::container(&facts, &self.rules, now);
        let Some(to) = decision.to else {
            self.hold(decision.because.as_str());
            return None;
        };
        if decision.ask_first.is_some() && !self.approves {
            self.hold("awaiting-approval");
            return None;
        }
        if self
            .changed
            .last()
            .is_some_and(|at| now - *at < self.cooldown)
        {
            self.hold("cooling-down");
            return None;
        }
        let (Capacity::Manual(to) | Capacity::Autoscale(to)) = to;
        self.changed.push(now);
        if to > plant.current() {
            self.past.up = Some(now);
        } else {
            self.past.down = Some(now);
        }
        Some(Said {
            to,
            because: Some(decision.because),
            why: decision.why,
        })
    }
}

fn minute((at, measured, load): &Seen) -> Option<Minute> {
    let measured = measured.as_ref()?;
    // As many requests as RU: only shares of them are judged.
    Some(Minute {
        at: *at,
        used: Some(measured.used),
        units: Some(measured.served * 60.0),
        requests: Some(load * 60.0),
        refused: Some(load * 60.0 * measured.refused),
        latency_ms: None,
    })
}

fn ranges(minutes: &[Seen]) -> Vec<Range> {
    let newest = &minutes[minutes.len().saturating_sub(5)..];
    let mut most: Vec<f64> = Vec::new();
    for (_, measured, _) in newest {
        for (place, used) in measured.iter().flat_map(|m| m.ranges.iter().enumerate()) {
            if place == most.len() {
                most.push(0.0);
            }
            most[place] = most[place].max(*used);
        }
    }
    let named = most.into_iter().enumerate();
    named
        .map(|(place, used)| Range {
            id: place.to_string(),
            used,
        })
        .collect()
}
