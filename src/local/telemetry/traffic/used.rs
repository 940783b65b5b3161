use super::cosmos::partition;
use super::hundredths;
use crate::local::telemetry::model::{MINUTE, Model, Now};
use crate::local::telemetry::rows::{Batch, Table, Value};
use crate::local::telemetry::words::Word;

/// What a minute's requests used of the platform.
pub(in crate::local::telemetry) struct Used {
    /// Requests by app, weighted.
    pub(in crate::local::telemetry) requests: Vec<u64>,
    /// Request units and calls by container, and how many calls were refused.
    pub(in crate::local::telemetry) charge: Vec<f64>,
    pub(in crate::local::telemetry) calls: Vec<u64>,
    pub(in crate::local::telemetry) refused: Vec<u64>,
    pub(in crate::local::telemetry) searches: u64,
    pub(in crate::local::telemetry) blob_calls: u64,
    pub(super) tenants: Vec<UsedBy>,
    /// Request units by container and tenant.
    by_partition_key: Vec<Vec<f64>>,
}

/// What one tenant used.
#[derive(Clone)]
pub(super) struct UsedBy {
    charges: u32,
    sum: f64,
    least: f64,
    most: f64,
    pub(super) searches: u32,
    pub(super) blob_calls: u32,
}

impl Used {
    pub(super) fn new(model: &Model) -> Self {
        let (apps, containers) = (model.names.apps.len(), model.names.containers.len());
        let nothing = UsedBy {
            charges: 0,
            sum: 0.0,
            least: f64::MAX,
            most: 0.0,
            searches: 0,
            blob_calls: 0,
        };
        Self {
            requests: vec![0; apps],
            charge: vec![0.0; containers],
            calls: vec![0; containers],
            refused: vec![0; containers],
            searches: 0,
            blob_calls: 0,
            tenants: vec![nothing; model.tenants.len()],
            by_partition_key: vec![vec![0.0; model.tenants.len()]; containers],
        }
    }

    pub(super) fn charge(&mut self, tenant: usize, container: usize, charge: f64, refused: bool) {
        self.charge[container] += charge;
        self.calls[container] += 1;
        self.refused[container] += u64::from(refused);
        self.by_partition_key[container][tenant] += charge;
        let by = &mut self.tenants[tenant];
        by.charges += 1;
        by.sum += charge;
        by.least = by.least.min(charge);
        by.most = by.most.max(charge);
    }

    /// Writes what is counted before it is told: the application's metrics by tenant, and charges by
    /// partition key.
    pub(super) fn tell(&self, model: &Model, now: &Now, out: &mut Batch) {
        let (names, common) = (&model.names, &model.names.common);
        let at = now.begins() + MINUTE - 100;
        let app = names.app(0).map_or(common.empty, |(_, app)| app.name_word);
        let [charge, searches, blobs] = common.metrics;
        for (by, tenant) in self.tenants.iter().zip(&model.tenants) {
            let mut metric = |name: Word, count: u32, sum: f64, least: f64, most: f64| {
                if count > 0 {
                    out.of(Table::Metrics).push(
                        at,
                        [
                            Value::Word(name),
                            Value::Int(count.cast_signed()),
                            Value::Real(hundredths(sum)),
                            Value::Real(least),
                            Value::Real(most),
                            Value::Word(tenant.properties),
                            Value::Word(common.version),
                            Value::Word(app),
                        ],
                    );
                }
            };
            metric(charge, by.charges, by.sum, by.least, by.most);
            metric(searches, by.searches, f64::from(by.searches), 1.0, 1.0);
            metric(blobs, by.blob_calls, f64::from(by.blob_calls), 1.0, 1.0);
        }
        let containers = names.containers.iter().zip(&now.containers);
        for ((container, here), charges) in containers.zip(&self.by_partition_key) {
            let charged = charges
                .iter()
                .zip(&model.tenants)
                .filter(|(charge, _)| **charge > 0.0);
            for (charge, tenant) in charged {
                let (_, range) = partition(container, here, tenant);
                out.of(Table::PartitionCharges).push(
                    at,
                    [
                        Value::Word(names.account),
                        Value::Word(tenant.partition_key),
                        Value::Word(range),
                        Value::Word(common.region),
                        Value::Word(names.database),
                        Value::Word(container.word),
                        Value::Real(hundredths(*charge)),
                    ],
                );
            }
        }
    }
}
