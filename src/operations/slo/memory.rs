//! What a rule remembers from one evaluation to the next: `rules/<name>.json`.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{Finding, Priority, Signal};
use crate::estate::Threshold;

/// A clock that is behind by more was ahead before, and is right now.
const JUMP: Duration = Duration::minutes(10);

/// The memory of one rule. A tick that was missed, or came twice, changes nothing in what it says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// When each level was evaluated last.
    #[serde(default)]
    pub evaluated: BTreeMap<Priority, DateTime<Utc>>,
    /// When each stamp answered last, or was asked first in vain.
    #[serde(default)]
    pub heard: BTreeMap<String, DateTime<Utc>>,
    /// What has been seen lately and what fires.
    #[serde(default)]
    pub series: Vec<Series>,
    /// Violations that have been told, by a hash of their names, with their times.
    #[serde(default)]
    pub seen: BTreeMap<String, DateTime<Utc>>,
    /// Signals that are decided and not taken yet.
    #[serde(default)]
    pub untold: Vec<Signal>,
    /// What was remarkable at the last evaluation.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// One tenant or resource at one level of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    pub stamp: String,
    pub level: Priority,
    pub tenant: Option<String>,
    pub resource: Option<String>,
    /// Evaluations in a row that saw it.
    pub hits: u32,
    /// When the first of them did.
    pub since: DateTime<Utc>,
    pub last_hit: DateTime<Utc>,
    pub firing: bool,
    /// Evaluations in a row that did not see it any more.
    pub calm: u32,
    /// Since when nothing is known.
    pub silent: Option<DateTime<Utc>>,
    /// As it was told when it fired.
    pub title: String,
    /// Its incident was ended, and it goes on.
    #[serde(default)]
    pub ended: Option<Ended>,
}

/// The end of an incident of what goes on firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub at: DateTime<Utc>,
    /// Evaluations in a row that saw it since.
    pub hits: u32,
}

impl Memory {
    /// Whether a level is due. Within one span of its rhythm it is evaluated once, by whomever.
    #[must_use]
    pub fn is_due(&self, level: &Threshold, now: DateTime<Utc>) -> bool {
        let Some(last) = self.evaluated.get(&level.priority) else {
            return true;
        };
        let every = level.every.num_seconds().max(1);
        let slot = |at: DateTime<Utc>| at.timestamp().div_euclid(every);
        slot(now) > slot(*last) || *last - now > JUMP.max(level.every)
    }

    /// What fires, for people and tests.
    pub fn firing(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| series.firing)
    }
}
