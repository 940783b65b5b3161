//! What the platform measures of its resources, each minute.
//!
//! `AzureMetrics` has no dimensions: what Azure exports there is over all containers of an account
//! and all replicas of an app.

use super::model::{AppNow, ContainerNow, Model, Now};
use super::names::Metered;
use super::random::Random;
use super::rows::{Batch, Table, Value};
use super::traffic::Used;
use super::words::{Collector, Word};
use crate::estate::Kind;

/// Names and units of what is measured.
const METRICS: &[(&str, &str)] = &[
    ("NormalizedRUConsumption", "Percent"),
    ("TotalRequestUnits", "Count"),
    ("TotalRequests", "Count"),
    ("ServiceAvailability", "Percent"),
    ("UsageNanoCores", "NanoCores"),
    ("CpuPercentage", "Percent"),
    ("MemoryPercentage", "Percent"),
    ("Replicas", "Count"),
    ("Requests", "Count"),
    ("SearchLatency", "Seconds"),
    ("SearchQueriesPerSecond", "CountPerSecond"),
    ("ThrottledSearchQueriesPercentage", "Percent"),
    ("Availability", "Percent"),
    ("Transactions", "Count"),
    ("SuccessE2ELatency", "MilliSeconds"),
    ("serverLoad", "Percent"),
    ("usedmemorypercentage", "Percent"),
];

/// The words of [`METRICS`].
pub(super) struct MetricWords(Vec<(&'static str, Word, Word)>);

impl MetricWords {
    pub(super) fn new(words: &mut Collector) -> Self {
        let word = |(name, unit): &(&'static str, &'static str)| {
            (*name, words.word(*name), words.word(*unit))
        };
        Self(METRICS.iter().map(word).collect())
    }

    fn find(&self, metric: &str) -> (Word, Word) {
        let found = self.0.iter().find(|(name, _, _)| *name == metric);
        let (_, name, unit) = found.expect("METRICS names all that is measured");
        (*name, *unit)
    }
}

/// What was measured in a minute.
#[derive(Clone, Copy)]
struct Measure {
    total: f64,
    count: f64,
    most: f64,
    least: f64,
}

/// One sample, which is also the total.
fn one(value: f64) -> Measure {
    Measure {
        total: value,
        count: 1.0,
        most: value,
        least: value,
    }
}

/// A sum of `count` ones.
fn sum(count: u64) -> Measure {
    let some = if count > 0 { 1.0 } else { 0.0 };
    Measure {
        total: count as f64,
        count: count as f64,
        most: some,
        least: some,
    }
}

pub(super) fn metrics(model: &Model, now: &Now, used: &Used, out: &mut Batch) {
    let seed = model.plan.seed;
    let mut random = Random::of(&[seed, 0xA2, now.minute.cast_unsigned()]);
    let mut app = 0;
    for resource in &model.names.metered {
        let mut tell =
            |metric: &str, measure: Measure| row(model, now, resource, metric, measure, out);
        match resource.kind {
            Kind::CosmosAccount => cosmos(now, used, &mut random, &mut tell),
            Kind::ContainerApp => {
                if let (Some(copes), Some(requests)) = (now.apps.get(app), used.requests.get(app)) {
                    container_app(*copes, *requests, &mut random, &mut tell);
                }
                app += 1;
            }
            Kind::SearchService => {
                tell(
                    "SearchLatency",
                    one(0.06 * random.lognormal(0.2) * (1.0 + now.load * 0.2)),
                );
                tell("SearchQueriesPerSecond", one(used.searches as f64 / 60.0));
                tell("ThrottledSearchQueriesPercentage", one(0.0));
            }
            Kind::StorageAccount => {
                tell(
                    "Availability",
                    one(if random.chance(0.001) { 99.2 } else { 100.0 }),
                );
                tell("Transactions", sum(used.blob_calls));
                tell("SuccessE2ELatency", one(12.0 * random.lognormal(0.2)));
            }
            Kind::Redis => {
                tell(
                    "serverLoad",
                    one((9.0 * now.load * random.lognormal(0.1)).min(100.0)),
                );
                tell(
                    "usedmemorypercentage",
                    one(41.0 + 4.0 * random.normal().clamp(-2.0, 2.0)),
                );
            }
            Kind::ResourceGroup | Kind::KeyVault | Kind::Registry | Kind::Workspace => {}
        }
    }
    if now.minute.rem_euclid(60) == 0 {
        sizes(model, now, out);
    }
}

fn cosmos(now: &Now, used: &Used, random: &mut Random, tell: &mut impl FnMut(&str, Measure)) {
    let busiest = now.containers.iter().map(ContainerNow::fullest);
    let busiest = busiest.fold(0.0, f64::max);
    let (calls, refused) = (
        used.calls.iter().sum::<u64>(),
        used.refused.iter().sum::<u64>(),
    );
    // Refusals are there because a partition had nothing left.
    let throttled = refused * 200 > calls;
    let most = busiest * 100.0 * random.lognormal(0.08);
    let most = if throttled { 100.0 } else { most.min(100.0) }.round();
    tell(
        "NormalizedRUConsumption",
        Measure {
            total: most * 6.5,
            count: 10.0,
            most,
            least: (most * 0.35).round(),
        },
    );
    let charge: f64 = used.charge.iter().sum();
    tell(
        "TotalRequestUnits",
        Measure {
            total: (charge * 100.0).round() / 100.0,
            count: calls as f64,
            most: if calls > 0 { 28.0 } else { 0.0 },
            least: if calls > 0 { 0.38 } else { 0.0 },
        },
    );
    tell("TotalRequests", sum(calls));
    if now.minute.rem_euclid(60) == 0 {
        tell(
            "ServiceAvailability",
            one(if now.answers() { 100.0 } else { 97.5 }),
        );
    }
}

fn container_app(
    copes: AppNow,
    requests: u64,
    random: &mut Random,
    tell: &mut impl FnMut(&str, Measure),
) {
    let replicas = f64::from(copes.replicas);
    let cpu = (copes.busy * 100.0 * random.lognormal(0.05)).min(100.0);
    let most = (cpu * 1.12).min(100.0);
    let each = |percent: f64| Measure {
        total: percent * replicas,
        count: replicas,
        most: most.max(percent),
        least: percent * 0.9,
    };
    tell("CpuPercentage", each(cpu));
    // Half a core each.
    let nano = |percent: f64| percent / 100.0 * 5e8;
    tell(
        "UsageNanoCores",
        Measure {
            total: nano(cpu) * replicas,
            count: replicas,
            most: nano(most),
            least: nano(cpu * 0.9),
        },
    );
    let memory = 44.0 + 18.0 * copes.busy;
    tell(
        "MemoryPercentage",
        Measure {
            total: memory * replicas,
            count: replicas,
            most: memory * 1.05,
            least: memory * 0.95,
        },
    );
    tell("Replicas", one(replicas));
    tell("Requests", sum(requests));
}

fn row(model: &Model, now: &Now, of: &Metered, metric: &str, measure: Measure, out: &mut Batch) {
    let (name, unit) = model.names.metrics.find(metric);
    let mean = if measure.count > 0.0 {
        measure.total / measure.count
    } else {
        0.0
    };
    out.of(Table::AzureMetrics).push(
        now.begins(),
        [
            Value::Word(of.id),
            Value::Word(of.name),
            Value::Word(of.group),
            Value::Word(of.provider),
            Value::Word(name),
            Value::Real(measure.total),
            Value::Real(measure.count),
            Value::Real(measure.most),
            Value::Real(measure.least),
            Value::Real(mean),
            Value::Word(model.names.common.grain),
            Value::Word(unit),
            Value::Word(of.id),
        ],
    );
}

/// The three largest partition keys of each container, hourly, as Cosmos logs them.
fn sizes(model: &Model, now: &Now, out: &mut Batch) {
    let (names, common) = (&model.names, &model.names.common);
    let hours = now.minute / 60;
    for (place, container) in names.containers.iter().enumerate() {
        for (rank, tenant) in model.tenants.iter().take(3).enumerate() {
            let grows = 40 * (place as i64 + 1) / (rank as i64 + 1);
            // From 2020 on.
            let kilobytes = (hours - 438_288).max(0).saturating_mul(grows);
            out.of(Table::PartitionSizes).push(
                now.begins(),
                [
                    Value::Word(names.account),
                    Value::Word(common.region),
                    Value::Word(tenant.partition_key),
                    Value::Int(i32::try_from(kilobytes).unwrap_or(i32::MAX)),
                    Value::Word(names.database),
                    Value::Word(container.word),
                ],
            );
        }
    }
}
