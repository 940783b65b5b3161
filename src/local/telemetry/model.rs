//! The world that telemetry tells of: who uses the service, how much, and how it copes.
//!
//! A minute is a function of the plan, the conditions and the minute alone, so it comes out the same
//! wherever a range of time is cut.

use std::collections::BTreeMap;

use super::counters::{Counters, Counting};
use super::faults::{Fault, FaultKind};
use super::load::{Load, Trace};
use super::names::{Container, MOST_PARTITIONS, Names};
use super::random::running_shares;
use super::rows::Batch;
use super::tenants::{Tenant, ZIPF, tenants};
use super::words::{Collector, Words};
use super::{platform, seldom, traffic};
use crate::estate::Estate;
use crate::local::world;
use crate::local::world::physics::app::{BEHIND, STAYS, Scale};
use crate::local::world::physics::container::USED_AT_MEAN;
use crate::local::world::pressure::Pressures;

/// What a world is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// How many tenants; those of the estate are the largest.
    pub tenants: usize,
    /// Rows of `AppRequests` a minute, over a week.
    pub rows_per_minute: f64,
    /// How many requests a row stands for (`ItemCount`) in minutes with more than
    /// [`SAMPLED_ABOVE`] times the mean load; in all others it is one.
    pub sampling: u32,
    pub faults: Vec<Fault>,
    /// A recorded load instead of that of a working week.
    pub trace: Option<Trace>,
}

/// Minutes with more than so many times the mean load are sampled.
pub const SAMPLED_ABOVE: f64 = 1.8;

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            tenants: 12,
            rows_per_minute: 20.0,
            sampling: 2,
            faults: Vec::new(),
            trace: None,
        }
    }
}

/// What holds in the estate at a time beyond the plan: what it offers, and what goes wrong. Changes
/// show in what is told afterwards.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    /// RU/s of a container relative to what its load was designed for. Without an entry: 1.
    pub throughput: BTreeMap<String, f64>,
    /// Physical partitions of a container. Without an entry: those that it begins with.
    pub partitions: BTreeMap<String, usize>,
    /// How an app scales. Without an entry: between 2 and 10 replicas, by [`CPU_TARGET`].
    pub(in crate::local) scales: BTreeMap<String, Scale>,
    /// What was asked of containers and apps on demand, by their names.
    pub(in crate::local) pressures: BTreeMap<String, Pressures>,
    /// Trouble besides that of the plan.
    pub faults: Vec<Fault>,
}

/// The generator of telemetry.
pub struct Model {
    pub(super) plan: Plan,
    pub(super) zone: chrono_tz::Tz,
    pub(super) load: Load,
    /// Requests a minute at the mean load.
    pub(super) requests: f64,
    pub(super) tenants: Vec<Tenant>,
    pub(super) tenant_shares: Vec<f64>,
    pub(super) names: Names,
    pub(super) words: Words,
}

/// What holds in one minute.
pub(super) struct Now<'a> {
    pub(super) minute: i64,
    /// Relative to the mean.
    pub(super) load: f64,
    /// Requests that a row stands for.
    pub(super) weight: u32,
    pub(super) faults: Vec<&'a Fault>,
    pub(super) containers: Vec<ContainerNow>,
    pub(super) apps: Vec<AppNow>,
}

/// What is asked of a container.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ContainerNow {
    /// Share of its throughput that is used in the busiest second, not cut off at 1, when all
    /// partitions have the same.
    used: f64,
    pub(super) partitions: usize,
    /// So many times the calls that the load brings.
    pub(super) factor: f64,
    /// The place of a tenant that has more of it than its share, and how much.
    pub(super) hot: Option<(usize, f64)>,
    hot_partition: usize,
}

impl ContainerNow {
    /// Share of its throughput that a partition uses.
    pub(super) fn used(&self, partition: usize) -> f64 {
        let Some((_, share)) = self.hot else {
            return self.used;
        };
        let own = if partition == self.hot_partition {
            share * self.partitions as f64
        } else {
            0.0
        };
        self.used * (1.0 - share + own)
    }

    /// That of the fullest.
    pub(super) fn fullest(&self) -> f64 {
        self.used(self.hot_partition)
    }
}

/// Share of their CPU at which apps get more replicas, where nothing else is said.
const CPU_TARGET: f64 = 0.7;

/// How an app copes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AppNow {
    pub(super) replicas: u32,
    /// Share of their CPU that is used, below 1.
    pub(super) busy: f64,
    /// So many times the requests that the load brings.
    pub(super) factor: f64,
}

impl Model {
    #[must_use]
    pub fn new(plan: Plan, estate: &Estate) -> Self {
        let mut words = Collector::default();
        let named: Vec<String> = estate.tenants.iter().map(|t| t.id.clone()).collect();
        let tenants = tenants(&named, plan.tenants.max(1), plan.seed, &mut words);
        let names = Names::new(estate, &mut words);
        let load = Load::new(estate.zone, plan.trace.clone());
        let requests = plan.rows_per_minute / rows_per_request(&load, plan.sampling);
        let weights = (1..=tenants.len()).map(|rank| (rank as f64).powf(-ZIPF));
        Self {
            zone: estate.zone,
            load,
            requests,
            tenant_shares: running_shares(weights),
            tenants,
            names,
            words: words.finish(),
            plan,
        }
    }

    /// Scales the load so that the minutes from `from` up to but not `until` bring so many rows of
    /// `AppRequests`, about; without faults hardly fewer.
    ///
    /// Errors: the recorded load is silent all that time.
    pub fn scale(&mut self, rows: f64, from: i64, until: i64) -> anyhow::Result<()> {
        let loads = (from..until).map(|minute| self.load.with_chance(self.plan.seed, minute));
        let (_, per_request) = volume(loads, self.plan.sampling);
        anyhow::ensure!(per_request > 0.0, "the trace counts nothing in that time");
        // Each minute rounds by chance: half a row, one way or the other.
        let chance = 1.5 * ((until - from) as f64).sqrt();
        self.requests = (rows + chance) / per_request;
        Ok(())
    }

    /// The ids of the tenants, the largest first; [`Counters`] know them by their place here.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.tenants.iter().map(|tenant| tenant.id.as_str())
    }

    /// The texts that rows share.
    #[must_use]
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// All rows of the minutes since 1970 from `from` up to but not `until`, sorted by time, and
    /// what was counted. Everything is held in memory.
    #[must_use]
    pub fn range(&self, from: i64, until: i64, conditions: &Conditions) -> (Batch, Counters) {
        let (mut all, mut minute) = (Batch::default(), Batch::default());
        let mut counting = Counting::new(self.tenants.len());
        for at in from..until {
            self.minute(at, conditions, &mut minute, &mut counting);
            all.take(&mut minute);
        }
        (all, counting.finish())
    }

    /// Adds the rows of one minute, each table's in any order.
    pub(super) fn minute(
        &self,
        minute: i64,
        conditions: &Conditions,
        out: &mut Batch,
        counting: &mut Counting,
    ) {
        let now = self.now(minute, conditions);
        let used = traffic::requests(self, &now, out, counting);
        platform::metrics(self, &now, &used, out);
        seldom::events(self, &now, conditions, out);
    }

    fn now<'a>(&'a self, minute: i64, conditions: &'a Conditions) -> Now<'a> {
        let load = self.load.with_chance(self.plan.seed, minute);
        let faults = self.plan.faults.iter().chain(&conditions.faults);
        let faults = faults.filter(|fault| fault.on(minute)).collect();
        let sampled = load > SAMPLED_ABOVE;
        Now {
            minute,
            load,
            weight: if sampled {
                self.plan.sampling.max(1)
            } else {
                1
            },
            containers: self
                .names
                .containers
                .iter()
                .map(|container| self.container_at(minute, load, container, conditions))
                .collect(),
            apps: (0..self.names.apps.len())
                .map(|app| self.app_at(minute, app, conditions))
                .collect(),
            faults,
        }
    }

    fn container_at(
        &self,
        minute: i64,
        load: f64,
        container: &Container,
        conditions: &Conditions,
    ) -> ContainerNow {
        let name = &container.name;
        let offered = conditions.throughput.get(name).copied().unwrap_or(1.0);
        let pressures = conditions.pressures.get(name);
        let factor = pressures.map_or(1.0, |all| all.factor(minute));
        let hot = pressures.and_then(|all| all.hot(minute)).and_then(|hot| {
            let is = |tenant: &Tenant| tenant.spread == hot.tenant;
            Some((self.tenants.iter().position(is)?, hot.share))
        });
        let began_with = || world::partitions(name) as usize;
        let partitions = conditions.partitions.get(name).copied();
        let partitions = partitions.unwrap_or_else(began_with);
        let partitions = partitions.clamp(1, MOST_PARTITIONS);
        ContainerNow {
            used: USED_AT_MEAN * load * factor / offered.max(1e-3),
            partitions,
            factor,
            hot,
            hot_partition: hot.map_or(0, |(tenant, _)| {
                self.tenants[tenant].partition_of(partitions)
            }),
        }
    }

    /// How an app copes at a minute: replicas follow the load of some minutes before.
    pub(super) fn app_at(&self, minute: i64, app: usize, conditions: &Conditions) -> AppNow {
        let name = self.names.apps.get(app).map_or("", |app| app.name.as_str());
        let pressures = conditions.pressures.get(name);
        let factor = |minute| pressures.map_or(1.0, |all| all.factor(minute));
        let load = |minute| factor(minute) * self.load.with_chance(self.plan.seed, minute);
        let by_default = Scale::by_cpu(2, 10, CPU_TARGET);
        let scale = conditions.scales.get(name).unwrap_or(&by_default);
        let before = minute - BEHIND - STAYS..=minute - BEHIND;
        let replicas = scale.replicas(before.map(load).fold(0.0, f64::max)).max(1);
        AppNow {
            replicas,
            busy: scale.copes(load(minute), replicas).busy.min(0.97),
            factor: factor(minute),
        }
    }
}

impl Now<'_> {
    /// Nanoseconds since 1970 at which the minute begins.
    pub(super) fn begins(&self) -> i64 {
        self.minute * MINUTE
    }

    /// Whether probes from outside are answered.
    pub(super) fn answers(&self) -> bool {
        !self.faults.iter().any(|fault| {
            fault.is_general() && matches!(fault.kind, FaultKind::Outage | FaultKind::Silence)
        })
    }
}

/// Nanoseconds of a minute.
pub(super) const MINUTE: i64 = 60_000_000_000;

/// How many rows come of a request, over the whole of the load's period.
fn rows_per_request(load: &Load, sampling: u32) -> f64 {
    let (requests, rows) = volume(load.period(), sampling);
    if requests > 0.0 { rows / requests } else { 1.0 }
}

/// Requests, and rows of them, that these minutes bring for each request at the mean load.
fn volume(loads: impl Iterator<Item = f64>, sampling: u32) -> (f64, f64) {
    let rows = |load: f64| {
        if load > SAMPLED_ABOVE {
            load / f64::from(sampling.max(1))
        } else {
            load
        }
    };
    loads.fold((0.0, 0.0), |(requests, all), load| {
        (requests + load, all + rows(load))
    })
}
