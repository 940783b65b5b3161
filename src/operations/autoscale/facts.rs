use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::azure::cosmos::Throughput;
use crate::domain::{Replicas, ResourceId};

/// Where a container's throughput comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supply {
    /// Its own, manual or autoscale.
    Own(Throughput),
    /// That of its database, which is looked at by itself.
    Shared,
    /// A database that has none: each of its containers has its own.
    Dedicated,
    /// Nothing is provisioned.
    Serverless,
    /// Azure did not say; why.
    Unread(String),
}

/// What was measured in a minute. What Azure did not tell is `None`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Minute {
    /// When it began.
    pub at: DateTime<Utc>,
    /// `NormalizedRUConsumption`: percent of its share that the fullest partition used in its
    /// busiest second.
    pub used: Option<f64>,
    /// RU in all of the minute.
    pub units: Option<f64>,
    pub requests: Option<f64>,
    /// Of them, with 429.
    pub refused: Option<f64>,
    /// Mean milliseconds at the server.
    pub latency_ms: Option<f64>,
}

/// One physical partition, by its key range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Range {
    pub id: String,
    /// The most that it used of its share within the newest five minutes, percent.
    pub used: f64,
}

/// The logical partition key, which is the tenant, that used the most, and its percent of all RU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub key: String,
    pub percent: f64,
}

/// What is remembered of earlier changes of a container's throughput.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Past {
    /// When it was last given more, and less, by scaling or, as far as that was seen, by others.
    pub up: Option<DateTime<Utc>>,
    pub down: Option<DateTime<Utc>>,
    /// Changes of scaling within the last 24 hours.
    pub changes: u32,
}

/// All that the throughput of a container, or of what a database shares, is judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerFacts {
    pub resource: ResourceId,
    pub supply: Supply,
    /// The newest 60 and some, in order of time; minutes that are missing were not told.
    pub minutes: Vec<Minute>,
    /// Its partitions; empty if that is not told, and not all of them if some were not.
    pub ranges: Vec<Range>,
    /// How many there are; `None` if Azure does not say.
    #[serde(default)]
    pub partitions: Option<u32>,
    /// Whose load it is; `None` if logs do not say.
    pub heaviest: Option<Share>,
    /// GB of data and index.
    pub storage_gb: Option<f64>,
    /// The most RU/s that are expected in the busy minutes within the time that the rules look ahead;
    /// `None` without a forecast.
    pub ahead: Option<f64>,
    pub past: Past,
}

/// What was measured of an app in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AppMinute {
    pub at: DateTime<Utc>,
    /// Percent of what its replicas have, the mean of all.
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
    pub requests: Option<f64>,
    pub replicas: Option<f64>,
}

/// A raise of the least number of replicas that scaling has made and not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    pub from: Replicas,
    pub to: Replicas,
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// A scale rule of an app that looks at a share of its replicas' resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capped {
    /// `cpu` or `memory`.
    pub resource: String,
    pub percent: u32,
}

/// All that the replicas of an app are judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppFacts {
    pub app: ResourceId,
    /// `Err`: Azure did not say; why.
    pub replicas: Result<Replicas, String>,
    /// Another revision is on its way: nothing is changed meanwhile.
    pub rolling: bool,
    /// It is not on its way any more, since it has failed: which, and as what.
    #[serde(default)]
    pub failed: Option<String>,
    /// Where requests go, if not all of them go to the newest revision: what is changed is made from
    /// that one's template, and would get them all.
    #[serde(default)]
    pub split: Option<String>,
    /// Its rules by utilization.
    pub rules: Vec<Capped>,
    pub minutes: Vec<AppMinute>,
    pub raised: Option<Raised>,
}
