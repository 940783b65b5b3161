//! How throughput and replicas follow the load, and what that costs.

pub(super) mod file;
mod read;

use chrono::Duration;

use crate::domain::{Capacity, Money, ResourceId};

/// Hours of a month, as Azure's prices count them.
pub const MONTH_HOURS: f64 = 730.0;

/// What scaling owns, and by which rules.
///
/// Source: specification 6.1, with the corrections S1 to S10.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scaling {
    /// The rules of each container that is owned, by its resource; whatever is not here is left to
    /// people.
    pub containers: Vec<(ResourceId, ThroughputRules)>,
    /// The same of container apps.
    pub apps: Vec<(ResourceId, ReplicaRules)>,
    pub prices: Prices,
}

/// How the throughput of a Cosmos container, or of what a database's containers share, follows the
/// load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThroughputRules {
    /// RU/s; beside what Azure allows.
    pub least: u32,
    pub most: u32,
    /// A minute is busy above so many percent of the fullest partition, and calm below so many.
    pub up_percent: u32,
    pub down_percent: u32,
    /// So many of the newest `of_samples` minutes must be busy.
    pub hot_samples: u32,
    pub of_samples: u32,
    /// Percent of requests refused with 429 above which throttling is real; at one percent and more
    /// it is real where requests also take longer than `good_latency_ms`.
    pub throttled_percent: u32,
    pub good_latency_ms: u32,
    /// Busy, and by the trend of the last minutes more than it has within this time: that is refused
    /// soon, and counts as if it were.
    pub foresee: Duration,
    /// How full it is to be after a change.
    pub target_percent: u32,
    /// Less is given only where it frees at least so many percent; what was calm for all of `calm` may
    /// free less.
    pub least_step_percent: u32,
    /// How long all must have been measured, and have needed little, before there is less, and how
    /// long there is no second step down.
    pub calm: Duration,
    pub between_downs: Duration,
    /// How far ahead the forecast is asked.
    pub ahead: Duration,
    pub most_changes_per_day: u32,
}

impl Default for ThroughputRules {
    fn default() -> Self {
        Self {
            least: 400,
            most: 20_000,
            up_percent: 80,
            down_percent: 20,
            hot_samples: 2,
            of_samples: 3,
            throttled_percent: 5,
            good_latency_ms: 50,
            foresee: Duration::minutes(3),
            target_percent: 80,
            least_step_percent: 42,
            calm: Duration::minutes(60),
            between_downs: Duration::hours(1),
            ahead: Duration::hours(2),
            most_changes_per_day: 12,
        }
    }
}

/// How the replicas of a container app follow the load: the platform does it by the scale rules, and
/// a burst that it is too slow for raises the least number for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaRules {
    pub least: u32,
    pub most: u32,
    /// Of the scale rules, and of what counts as busy.
    pub cpu_percent: u32,
    pub memory_percent: u32,
    pub hot_samples: u32,
    pub of_samples: u32,
    /// How long a raise lasts, and how long all must have been calm at its end.
    pub burst: Duration,
    pub calm: Duration,
}

impl Default for ReplicaRules {
    fn default() -> Self {
        Self {
            least: 2,
            most: 10,
            cpu_percent: 70,
            memory_percent: 80,
            hot_samples: 2,
            of_samples: 3,
            burst: Duration::minutes(30),
            calm: Duration::minutes(15),
        }
    }
}

/// What capacity costs, by region. Where a price is missing, no amount is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    pub cosmos: Vec<CosmosPrice>,
    pub apps: Vec<AppPrice>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosmosPrice {
    /// As Azure shows it, in lower case without spaces: `japaneast`.
    pub region: String,
    /// 100 RU/s of manual throughput for an hour, in one region that takes writes.
    pub hundred_an_hour: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPrice {
    pub region: String,
    /// A vCPU, and a GiB of memory, for an hour.
    pub vcpu_hour: Money,
    pub gib_hour: Money,
}

/// `Japan East` as prices have it.
fn plain(region: &str) -> String {
    region.replace(' ', "").to_ascii_lowercase()
}

impl Scaling {
    /// The rules of a container, or of what a database shares; `None` where scaling does not own it.
    #[must_use]
    pub fn throughput(&self, resource: &ResourceId) -> Option<&ThroughputRules> {
        let found = self.containers.iter().find(|(id, _)| id == resource);
        found.map(|(_, rules)| rules)
    }

    /// The rules of an app; `None` where scaling does not own it.
    #[must_use]
    pub fn replicas(&self, app: &ResourceId) -> Option<&ReplicaRules> {
        let found = self.apps.iter().find(|(id, _)| id == app);
        found.map(|(_, rules)| rules)
    }
}

impl Prices {
    /// What throughput costs an hour where it is used to the full; autoscale costs half as much
    /// again. Each region of the account has it; with several regions that take writes, each of
    /// them is charged like one of its own.
    #[must_use]
    pub fn throughput_hour(&self, region: &str, capacity: Capacity, regions: u32) -> Option<Money> {
        let region = plain(region);
        let price = self.cosmos.iter().find(|p| p.region == region)?;
        let (ru, factor) = match capacity {
            Capacity::Manual(ru) => (ru, 1.0),
            Capacity::Autoscale(ru) => (ru, 1.5),
        };
        let hundreds = f64::from(ru) / 100.0 * factor * f64::from(regions.max(1));
        Some(price.hundred_an_hour.times(hundreds))
    }

    /// What one more replica costs an hour, always running.
    #[must_use]
    pub fn replica_hour(&self, region: &str, vcpu: f64, gib: f64) -> Option<Money> {
        let region = plain(region);
        let price = self.apps.iter().find(|p| p.region == region)?;
        price.vcpu_hour.times(vcpu).plus(price.gib_hour.times(gib))
    }
}

#[cfg(test)]
mod tests;
