//! What is asked of containers on demand shows in what is told of them.

use super::*;
use crate::local::world::pressure::{Pressure, Pressures, Span};

fn pressed(name: &str, pressure: Pressure) -> Conditions {
    let id = format!(
        "/a/b/c/d/e/providers/x/databaseaccounts/acc/sqldatabases/agents/containers/{name}"
    );
    Conditions {
        pressures: [(name.to_owned(), Pressures::of(&[pressure], &id))].into(),
        ..Conditions::default()
    }
}

const ALWAYS: Span = Span {
    from: 0,
    until: i64::MAX,
};

#[test]
fn a_burst_of_a_container_is_logged_and_refused_there_alone() {
    let model = model_of(small(20.0));
    let calm = model.range(noon(), noon() + 10, &Conditions::default()).0;
    let burst = Pressure::Burst {
        resource: "threads".into(),
        factor: 8.0,
        span: ALWAYS,
    };
    let (busy, _) = model.range(noon(), noon() + 10, &pressed("threads", burst));
    let calls =
        |batch: &Batch, name| with(&model, batch, Table::CosmosRequests, "CollectionName", name);
    assert!(calls(&busy, "threads") > 4 * calls(&calm, "threads"));
    assert!(calls(&busy, "messages") < 2 * calls(&calm, "messages"));
    let refused = |batch: &Batch| with(&model, batch, Table::CosmosRequests, "StatusCode", "429");
    assert_eq!(refused(&calm), 0);
    assert!(refused(&busy) > 20);
}

#[test]
fn a_hot_tenant_has_most_of_a_containers_charges() {
    let model = model_of(small(20.0));
    let hot = Pressure::Hot {
        container: "messages".into(),
        tenant: "tenant-b".into(),
        percent: 90.0,
        span: ALWAYS,
    };
    let (batch, _) = model.range(noon(), noon() + 10, &pressed("messages", hot));
    let rows = batch.rows(Table::PartitionCharges);
    let (mut ours, mut all) = (0.0, 0.0);
    for row in 0..rows.len() {
        let cell = |column: &str| rows.get(row, column);
        if text(&model, cell("CollectionName")) != "messages" {
            continue;
        }
        let charge = number(cell("RequestCharge"));
        all += charge;
        if text(&model, cell("PartitionKey")).contains("tenant-b") {
            ours += charge;
        }
    }
    assert!(ours > 0.85 * all, "{ours} of {all}");
    assert!(with(&model, &batch, Table::CosmosRequests, "StatusCode", "429") > 0);
}

#[test]
fn after_a_split_logs_name_the_new_partitions() {
    let model = model_of(small(40.0));
    let partitions = |count: Option<usize>| {
        let of = |count| ("threads".to_owned(), count);
        let conditions = Conditions {
            partitions: count.map(of).into_iter().collect(),
            ..Conditions::default()
        };
        let (batch, _) = model.range(noon(), noon() + 20, &conditions);
        let rows = batch.rows(Table::PartitionCharges);
        let ours = (0..rows.len())
            .filter(|row| text(&model, rows.get(*row, "CollectionName")) == "threads");
        let ranges = ours.map(|row| text(&model, rows.get(row, "PartitionKeyRangeId")).to_owned());
        ranges.collect::<std::collections::BTreeSet<_>>()
    };
    let two: Vec<String> = partitions(None).into_iter().collect();
    assert_eq!(two, ["0", "1"]);
    let split = partitions(Some(4));
    assert!(split.len() > 2, "{split:?}");
    assert!(split.iter().all(|range| "0123".contains(range.as_str())));
}

#[test]
fn calls_that_are_served_beyond_the_limit_take_long() {
    let model = model_of(small(20.0));
    let quickest = |factor: f64| {
        let burst = Pressure::Burst {
            resource: "threads".into(),
            factor,
            span: ALWAYS,
        };
        let (batch, _) = model.range(noon(), noon() + 10, &pressed("threads", burst));
        let rows = batch.rows(Table::CosmosRequests);
        let served = (0..rows.len()).filter(|row| {
            text(&model, rows.get(*row, "CollectionName")) == "threads"
                && number(rows.get(*row, "StatusCode")) < 300.0
        });
        let took = served.map(|row| number(rows.get(row, "DurationMs")));
        took.fold(f64::INFINITY, f64::min)
    };
    assert!(quickest(1.0) < 50.0);
    assert!(quickest(8.0) > 500.0);
}
