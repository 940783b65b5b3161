//! Health as the estate file has it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::Repair;

/// What is probed each minute, and how what fails is repaired.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct Health {
    /// Seconds that an answer is waited for, 30 at most.
    #[serde(default = "ten")]
    pub(super) timeout_seconds: u32,
    /// Failures in a row before people are told and a repair begins.
    #[serde(default = "three")]
    pub(super) failures: u32,
    /// Good probes in a row that end a failure.
    #[serde(default = "two")]
    pub(super) successes: u32,
    /// How long something may fail until it is escalated, as 10m.
    #[serde(default = "ten_minutes")]
    pub(super) escalate_after: String,
    /// What is tried, in this order: restart, flush_cache, scale_up. Nothing when empty.
    #[serde(default = "all")]
    pub(super) recovery: Vec<Repair>,
    /// The least number of replicas is never raised above this.
    #[serde(default = "ten")]
    pub(super) most_replicas: u32,
    /// How often one app may be repaired within an hour.
    #[serde(default = "two")]
    pub(super) most_attempts: u32,
    /// How long all must be well before a scale-up is taken back, as 30m.
    #[serde(default = "thirty_minutes")]
    pub(super) calm: String,
    /// An address that always answers, whatever it says: when it does not, the probe is what is
    /// broken. Azure Resource Manager unless it is named.
    pub(super) known_good: Option<String>,
    /// What is probed.
    #[serde(default)]
    pub(super) endpoints: Vec<Endpoint>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            timeout_seconds: ten(),
            failures: three(),
            successes: two(),
            escalate_after: ten_minutes(),
            recovery: all(),
            most_replicas: ten(),
            most_attempts: two(),
            calm: thirty_minutes(),
            known_good: None,
            endpoints: Vec::new(),
        }
    }
}

fn two() -> u32 {
    2
}

fn three() -> u32 {
    3
}

fn ten() -> u32 {
    10
}

fn ten_minutes() -> String {
    "10m".into()
}

fn thirty_minutes() -> String {
    "30m".into()
}

fn all() -> Vec<Repair> {
    Repair::ALL.to_vec()
}

/// One address that is probed. What is not said here is as it is for all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct Endpoint {
    /// Short name, as api-jpe: lower-case letters, digits and hyphens.
    pub(super) name: String,
    /// The whole address, with /health: https, or http on this machine only.
    pub(super) url: String,
    /// Short name of a container app of a stamp: what is repaired.
    pub(super) app: String,
    /// The tenant that it serves, if it serves one only.
    pub(super) tenant: Option<String>,
    /// The status of a good answer.
    #[serde(default = "ok")]
    pub(super) status: u16,
    /// What a good answer has in its body.
    pub(super) body: Option<String>,
    /// Short name of the cache that flush_cache empties.
    pub(super) redis: Option<String>,
    pub(super) timeout_seconds: Option<u32>,
    pub(super) failures: Option<u32>,
    pub(super) successes: Option<u32>,
    pub(super) escalate_after: Option<String>,
    pub(super) recovery: Option<Vec<Repair>>,
    pub(super) most_replicas: Option<u32>,
    pub(super) calm: Option<String>,
}

fn ok() -> u16 {
    200
}
