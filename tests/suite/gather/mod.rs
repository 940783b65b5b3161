//! What scaling is judged by, gathered from a cloud that does not always answer.

mod cloud;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone as _, Utc};
use cloud::{Account, Cloud, Container, autoscale, manual};
use poolkeeper::app::{App, Clock};
use poolkeeper::config::{Config, Identity};
use poolkeeper::domain::{Capacity, Finding, Replicas, ResourceId};
use poolkeeper::estate::{ReplicaRules, Scaling, ThroughputRules};
use poolkeeper::local::simulator::{LogsError, LogsErrorKind};
use poolkeeper::operations::autoscale::decide::{self, Because};
use poolkeeper::operations::autoscale::gather::{
    CALLS, Gathered, GatheredContainer, Scope, gather_of,
};
use poolkeeper::operations::autoscale::{Share, Supply};
use serde_json::json;

use crate::engine::table;
use crate::world::World;

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-555555555555";

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 9, 4, 30).unwrap()
}

fn account_id(subscription: &str, name: &str) -> ResourceId {
    let kind = "Microsoft.DocumentDB/databaseAccounts";
    ResourceId::new(subscription, "rg-agents-jpe", kind, name)
}

fn container_id(account: &str, name: &str) -> ResourceId {
    let database = account_id(SUBSCRIPTION, account).child("sqlDatabases", "agents");
    database.child("containers", name)
}

fn container(name: &str, offer: Option<serde_json::Value>, used: &[f64]) -> Container {
    Container {
        database: "agents",
        name: name.to_owned(),
        offer,
        used: used.to_vec(),
        requests: 600.0,
        refused: 0.0,
    }
}

fn owned(ids: &[ResourceId]) -> Scaling {
    let rules = ThroughputRules::default();
    Scaling {
        containers: ids.iter().map(|id| (id.clone(), rules)).collect(),
        ..Scaling::default()
    }
}

/// An app whose Azure is that cloud, and whose logs are the embedded estate's.
fn app(world: &World, arm: &str) -> App {
    let mut values = world.settings();
    values.insert("POOLKEEPER_ARM_ENDPOINT".into(), arm.into());
    let mut config = Config::read(|name| values.get(name).cloned()).expect("settings");
    config.azure.identity = Identity::Given(Arc::new(crate::world::SimulatedIdentity::of(world)));
    App::new(config, Clock::Fixed(now()))
}

/// One look at what is owned, of which nothing was looked at before.
async fn look(app: &App, scaling: &Scaling) -> Gathered {
    let azure = app.azure().expect("a handle");
    gather_of(azure, scaling, &Scope::default(), &BTreeMap::new(), now()).await
}

fn of<'g>(gathered: &'g Gathered, name: &str) -> &'g GatheredContainer {
    let mut all = gathered.containers.iter();
    let found = all.find(|one| one.facts.resource.short() == name);
    found.unwrap_or_else(|| panic!("{name} is not in {gathered:#?}"))
}

fn codes(findings: &[Finding]) -> Vec<(&str, &str)> {
    let mut codes: Vec<_> = findings.iter().map(|f| (&*f.code, &*f.subject)).collect();
    codes.sort_unstable();
    codes
}

#[tokio::test]
async fn throughput_is_found_in_its_four_modes() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    let account = Account {
        databases: BTreeMap::from([("agents", autoscale(4000))]),
        containers: vec![
            container("manual", Some(manual(600)), &[30.0]),
            container("auto", Some(autoscale(2000)), &[30.0]),
            container("shared-a", None, &[30.0]),
            container("shared-b", None, &[55.0]),
        ],
        ..Account::default()
    };
    let key = |name: &str| (SUBSCRIPTION.to_owned(), name.to_owned());
    cloud.accounts.insert(key("a"), account);
    let serverless = Account {
        serverless: true,
        containers: vec![container("free", None, &[])],
        ..Account::default()
    };
    cloud.accounts.insert(key("s"), serverless);
    let (url, cloud) = cloud.serve().await;
    let app = app(&world, &url);
    let scaling = owned(&[
        container_id("a", "manual"),
        container_id("a", "auto"),
        container_id("a", "shared-a"),
        container_id("s", "free"),
    ]);
    let gathered = look(&app, &scaling).await;
    assert_eq!(codes(&gathered.findings), []);
    assert_eq!(gathered.later, []);
    let capacity = |name: &str| match &of(&gathered, name).facts.supply {
        Supply::Own(throughput) => Some(throughput.capacity),
        _ => None,
    };
    assert_eq!(capacity("a/agents/manual"), Some(Capacity::Manual(600)));
    assert_eq!(capacity("a/agents/auto"), Some(Capacity::Autoscale(2000)));
    let supply = |name: &str| &of(&gathered, name).facts.supply;
    assert_eq!(supply("a/agents/shared-a"), &Supply::Shared);
    assert_eq!(supply("s/agents/free"), &Supply::Serverless);
    // What is shared is looked at as a resource of its own, with all that shares it, known or not,
    // and nothing that does not.
    assert_eq!(capacity("a/agents"), Some(Capacity::Autoscale(4000)));
    let newest = of(&gathered, "a/agents").facts.minutes.last().copied();
    let newest = newest.expect("a minute");
    assert_eq!((newest.used, newest.requests), (Some(55.0), Some(1200.0)));
    assert_eq!(gathered.containers.len(), 5);

    let manual = of(&gathered, "a/agents/manual");
    assert_eq!(manual.facts.minutes.len(), 66);
    assert_eq!(manual.facts.storage_gb, Some(5.0));
    assert_eq!((manual.facts.partitions, manual.regions), (Some(2), 1));
    assert_eq!(manual.location, "Japan East");
    // Two accounts, three containers and one database.
    assert_eq!(cloud.reads().len(), 6, "{:#?}", cloud.reads());
    // Nothing is calm or busy, so partitions and logs are not asked.
    let partitions = cloud
        .calls()
        .iter()
        .any(|c| c.contains("PartitionKeyRangeId"));
    assert!(!partitions && world.answers.asked().is_empty());
}

#[tokio::test]
async fn what_does_not_exist_is_not_taken_for_shared() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    let key = (SUBSCRIPTION.to_owned(), "a".to_owned());
    cloud.accounts.insert(key, Account::default());
    let (url, _) = cloud.serve().await;
    let scaling = owned(&[container_id("a", "gone")]);
    let gathered = look(&app(&world, &url), &scaling).await;
    let supply = &of(&gathered, "a/agents/gone").facts.supply;
    assert!(
        matches!(supply, Supply::Unread(why) if why.contains("does it exist")),
        "{supply:?}"
    );
    assert_eq!(gathered.containers.len(), 1);
}

#[tokio::test]
async fn without_data_nothing_is_changed() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    let account = Account {
        containers: vec![container("silent", Some(manual(2000)), &[])],
        ..Account::default()
    };
    let key = (SUBSCRIPTION.to_owned(), "a".to_owned());
    cloud.accounts.insert(key, account);
    let (url, _) = cloud.serve().await;
    let scaling = owned(&[container_id("a", "silent")]);
    let gathered = look(&app(&world, &url), &scaling).await;
    let facts = &of(&gathered, "a/agents/silent").facts;
    assert_eq!(facts.minutes, []);
    assert!(matches!(facts.supply, Supply::Own(_)));
    let decision = decide::container(facts, &ThroughputRules::default(), now());
    assert_eq!((decision.to, decision.because), (None, Because::NoData));
}

#[tokio::test]
async fn an_account_that_cannot_be_read_stops_no_other() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    let good = || Account {
        containers: vec![container("runs", Some(manual(600)), &[30.0])],
        ..Account::default()
    };
    let key = |name: &str| (SUBSCRIPTION.to_owned(), name.to_owned());
    for name in ["a", "b", "c", "d", "e"] {
        cloud.accounts.insert(key(name), good());
    }
    cloud.accounts.get_mut(&key("b")).expect("b").denied = true;
    cloud.accounts.get_mut(&key("c")).expect("c").metrics_denied = true;
    cloud.accounts.get_mut(&key("d")).expect("d").fails = Some("TotalRequests");
    let (url, _) = cloud.serve().await;
    let names = ["a", "b", "c", "d", "e", "none"];
    let scaling = owned(&names.map(|name| container_id(name, "runs")));
    let gathered = look(&app(&world, &url), &scaling).await;
    assert_eq!(
        codes(&gathered.findings),
        [
            ("account-unread", "b"),
            ("account-unread", "none"),
            ("metrics-unread", "c"),
            // Once for what is counted and once for what is refused.
            ("metrics-unread", "d"),
            ("metrics-unread", "d"),
        ]
    );
    let facts = |name: &str| &of(&gathered, &format!("{name}/agents/runs")).facts;
    for name in ["a", "e"] {
        let facts = facts(name);
        assert!(matches!(facts.supply, Supply::Own(_)), "{name}");
        let minute = facts.minutes.last().expect("a minute");
        assert_eq!(
            (minute.used, minute.requests, minute.refused),
            (Some(30.0), Some(600.0), Some(0.0))
        );
    }
    for name in ["b", "none"] {
        assert!(matches!(facts(name).supply, Supply::Unread(_)), "{name}");
        assert_eq!(facts(name).minutes, [], "{name}");
    }
    assert!(matches!(facts("c").supply, Supply::Own(_)));
    assert_eq!(facts("c").minutes, []);
    // Half of an answer: what was not told is not taken for none.
    let minute = facts("d").minutes.last().expect("a minute");
    assert_eq!(
        (minute.used, minute.requests, minute.refused),
        (Some(30.0), None, None)
    );
}

#[tokio::test]
async fn containers_that_an_answer_leaves_out_are_asked_for_by_name() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    // Those that scaling does not own come first and fill the answer.
    let mut containers: Vec<Container> = (0..200)
        .map(|at| container(&format!("other-{at}"), Some(manual(600)), &[10.0]))
        .collect();
    let names: Vec<String> = (0..30).map(|at| format!("own-{at}")).collect();
    for name in &names {
        containers.push(container(name, Some(manual(600)), &[30.0]));
    }
    let account = Account {
        containers,
        ..Account::default()
    };
    let key = (SUBSCRIPTION.to_owned(), "a".to_owned());
    cloud.accounts.insert(key, account);
    let (url, _) = cloud.serve().await;
    let ids: Vec<ResourceId> = names.iter().map(|name| container_id("a", name)).collect();
    let gathered = look(&app(&world, &url), &owned(&ids)).await;
    assert_eq!(codes(&gathered.findings), []);
    assert_eq!(gathered.containers.len(), 30);
    for one in &gathered.containers {
        let minute = one.facts.minutes.last().expect("a minute");
        assert_eq!((minute.used, minute.requests), (Some(30.0), Some(600.0)));
        assert_eq!(one.facts.storage_gb, Some(5.0));
    }
}

#[tokio::test]
async fn a_tick_reads_so_much_and_the_hottest_first() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    let hot = [7, 123, 255];
    let mut ids = Vec::new();
    cloud.minutes = Some(10);
    for account in 0..3 {
        let name = format!("a{account}");
        let containers = (0..100).map(|at| {
            let number = account * 100 + at;
            let used = if hot.contains(&number) { 97.0 } else { 40.0 };
            ids.push(container_id(&name, &format!("c{number}")));
            let offer = Some(manual(600));
            let mut one = container(&format!("c{number}"), offer, &[used, 20.0]);
            one.refused = if used > 80.0 { 60.0 } else { 0.0 };
            one
        });
        let account = Account {
            containers: containers.collect(),
            ..Account::default()
        };
        let key = (SUBSCRIPTION.to_owned(), name);
        cloud.accounts.insert(key, account);
    }
    let (url, cloud) = cloud.serve().await;
    let scaling = owned(&ids);
    let mut looked = BTreeMap::new();
    let mut at = now();
    for tick in 0..2 {
        // Five minutes later all calls are there again.
        let app = app(&world, &url);
        let azure = app.azure().expect("a handle");
        let gathered = gather_of(azure, &scaling, &Scope::default(), &looked, at).await;
        assert!(cloud.reads().len() <= CALLS, "{}", cloud.reads().len());
        cloud.forget_calls();
        let first: Vec<&str> = gathered.containers[..3]
            .iter()
            .map(|one| one.facts.resource.name())
            .collect();
        assert!(
            first
                .iter()
                .all(|name| { hot.iter().any(|number| *name == format!("c{number}")) })
        );
        assert_eq!(gathered.containers.len() + gathered.later.len(), 300);
        for one in &gathered.containers {
            let key = one.facts.resource.as_str().to_ascii_lowercase();
            looked.insert(key, at);
        }
        at += Duration::minutes(5);
        let done = looked.len() == 300;
        assert_eq!(done, tick == 1, "{} after tick {tick}", looked.len());
    }
}

#[tokio::test]
async fn a_busy_container_says_which_partition_is_busy_and_whose_load_it_is() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    let mut busy = container("runs", Some(manual(600)), &[99.0, 20.0, 15.0]);
    busy.refused = 60.0;
    let account = Account {
        containers: vec![busy, container("files", Some(manual(600)), &[30.0])],
        ..Account::default()
    };
    // Whose logs the embedded estate has.
    let name = "cosmos-agents-jpe";
    let key = (SUBSCRIPTION.to_owned(), name.to_owned());
    cloud.accounts.insert(key, account);
    let (url, _) = cloud.serve().await;
    let app = app(&world, &url);
    let scaling = owned(&[container_id(name, "runs"), container_id(name, "files")]);
    let columns = [
        ("DatabaseName", "string"),
        ("CollectionName", "string"),
        ("PartitionKey", "string"),
        ("FirstKey", "string"),
        ("RequestUnits", "real"),
        ("SharePercent", "real"),
        ("Records", "long"),
    ];
    let row = |tenant: &str, units: f64| {
        let key = format!("[\"{tenant}\"]");
        vec![
            json!("agents"),
            json!("runs"),
            json!(key),
            json!(tenant),
            json!(units),
            json!(units),
            json!(9),
        ]
    };
    let rows = vec![row("tenant-b", 80.0), row("tenant-a", 20.0)];
    world
        .answers
        .when("CDBPartitionKeyRUConsumption", Ok(table(&columns, rows)));
    let gathered = look(&app, &scaling).await;
    assert_eq!(gathered.findings, []);
    let facts = &of(&gathered, &format!("{name}/agents/runs")).facts;
    let used: Vec<f64> = facts.ranges.iter().map(|range| range.used).collect();
    assert_eq!(used, [99.0, 20.0, 15.0]);
    let share = Share {
        key: "tenant-b".into(),
        percent: 80.0,
    };
    assert_eq!(facts.heaviest, Some(share));
    // Nothing is bought for one partition, and the finding names the tenant.
    let decision = decide::container(facts, &ThroughputRules::default(), now());
    assert_eq!(decision.because, Because::HotPartition);
    assert!(decision.findings[0].message.contains("tenant-b"));
    let calm = &of(&gathered, &format!("{name}/agents/files")).facts;
    assert_eq!((calm.ranges.len(), &calm.heaviest), (0, &None));

    // Logs that do not answer leave the rest as it is.
    let broken = Err(LogsError {
        kind: LogsErrorKind::Semantic,
        message: "no such table".into(),
        place: None,
    });
    world.answers.when("CDBPartitionKeyRUConsumption", broken);
    let gathered = look(&app, &scaling).await;
    assert_eq!(codes(&gathered.findings), [("heaviest-unread", name)]);
    let facts = &of(&gathered, &format!("{name}/agents/runs")).facts;
    assert_eq!((facts.ranges.len(), &facts.heaviest), (3, &None));
}

#[tokio::test]
async fn apps_are_told_with_their_rules_and_what_a_replica_has() {
    let world = World::start_unrecorded().await;
    let mut cloud = Cloud::default();
    let rules = json!([
        { "name": "http", "http": { "metadata": { "concurrentRequests": "50" } } },
        { "name": "cpu", "custom": {
            "type": "cpu", "metadata": { "type": "Utilization", "value": "70" } } },
    ]);
    let api = json!({
        "location": "Japan East",
        "properties": {
            "latestReadyRevisionName": "api--1",
            "latestRevisionName": "api--2",
            "template": {
                "containers": [
                    { "resources": { "cpu": 0.5, "memory": "1Gi" } },
                    { "resources": { "cpu": 0.25, "memory": "512Mi" } },
                ],
                "scale": { "minReplicas": 2, "maxReplicas": 10, "rules": rules },
            },
        },
    });
    cloud.apps.insert("api".into(), api);
    let (url, _) = cloud.serve().await;
    let id = |name: &str| ResourceId::new(SUBSCRIPTION, "g", "Microsoft.App/containerApps", name);
    let scaling = Scaling {
        apps: [id("api"), id("gone")]
            .map(|id| (id, ReplicaRules::default()))
            .into(),
        ..Scaling::default()
    };
    let gathered = look(&app(&world, &url), &scaling).await;
    let [api, gone] = &gathered.apps[..] else {
        panic!("{gathered:#?}");
    };
    assert_eq!(api.facts.replicas, Ok(Replicas { least: 2, most: 10 }));
    assert!(api.facts.rolling);
    assert_eq!((api.vcpu, api.gib), (0.75, 1.5));
    let capped = &api.facts.rules;
    assert_eq!(capped.len(), 1);
    assert_eq!((&*capped[0].resource, capped[0].percent), ("cpu", 70));
    // The other rule is kept as it is.
    assert_eq!(api.scale_rules[0].0, rules[0]);
    let minute = api.facts.minutes.last().expect("a minute");
    assert_eq!(
        (minute.cpu, minute.memory, minute.requests, minute.replicas),
        (Some(91.0), Some(40.0), Some(1200.0), Some(3.0))
    );
    assert!(gone.facts.replicas.is_err());
    assert_eq!(gone.facts.minutes, []);
}

/// What the embedded estate measures, by its own physics.
mod embedded {
    use super::*;

    /// A world whose logs know of no partition key, with the same load at all hours.
    async fn world() -> World {
        let world = World::start().await;
        world.flat_load();
        let columns = [
            ("DatabaseName", "string"),
            ("CollectionName", "string"),
            ("PartitionKey", "string"),
            ("FirstKey", "string"),
            ("RequestUnits", "real"),
            ("SharePercent", "real"),
            ("Records", "long"),
        ];
        let answer = Ok(table(&columns, Vec::new()));
        world.answers.when("CDBPartitionKeyRUConsumption", answer);
        world
    }

    fn scaling() -> Scaling {
        let name = "cosmos-agents-jpe";
        let ids = ["threads", "messages", "runs", "leases"].map(|c| container_id(name, c));
        let apps = ["agent-api", "agent-worker"].map(|app| {
            let kind = "Microsoft.App/containerApps";
            let id = ResourceId::new(SUBSCRIPTION, "rg-agents-jpe", kind, app);
            (id, ReplicaRules::default())
        });
        Scaling {
            apps: apps.into(),
            ..owned(&ids)
        }
    }

    async fn look_now(world: &World) -> Gathered {
        let now = world.simulator.now();
        let app = world.app(Clock::Fixed(now));
        let azure = app.azure().expect("a handle");
        gather_of(azure, &scaling(), &Scope::default(), &BTreeMap::new(), now).await
    }

    fn decided(world: &World, one: &GatheredContainer) -> decide::Throughput {
        let rules = ThroughputRules::default();
        decide::container(&one.facts, &rules, world.simulator.now())
    }

    #[tokio::test]
    async fn all_that_is_owned_is_told_whole() {
        let world = world().await;
        let gathered = look_now(&world).await;
        assert_eq!(gathered.findings, []);
        assert_eq!(gathered.later, []);
        for name in ["threads", "messages", "runs"] {
            let one = of(&gathered, &format!("cosmos-agents-jpe/agents/{name}"));
            assert!(matches!(one.facts.supply, Supply::Own(_)), "{name}");
            // The newest minutes are not measured yet.
            assert_eq!(one.facts.minutes.len(), 64, "{name}");
            for minute in &one.facts.minutes {
                assert!(
                    minute.used.is_some() && minute.units.is_some(),
                    "{minute:?}"
                );
                assert!(minute.requests > Some(0.0) && minute.refused.is_some());
                assert!(minute.latency_ms.is_some(), "{minute:?}");
            }
            assert!(one.facts.storage_gb > Some(1.0), "{name}");
            assert!(one.facts.partitions.is_some(), "{name}");
        }
        // What leases share is their database's.
        let leases = of(&gathered, "cosmos-agents-jpe/agents/leases");
        assert_eq!(leases.facts.supply, Supply::Shared);
        let database = of(&gathered, "cosmos-agents-jpe/agents");
        assert!(matches!(database.facts.supply, Supply::Own(_)));
        let threads = of(&gathered, "cosmos-agents-jpe/agents/threads");
        let requests = |one: &GatheredContainer| one.facts.minutes[0].requests;
        assert!(database.facts.minutes[0].used.is_some());
        assert_eq!(requests(database), requests(leases));
        assert!(requests(database) < requests(threads));
        for app in &gathered.apps {
            assert!(app.facts.replicas.is_ok() && !app.facts.rolling);
            assert!(app.vcpu > 0.0 && app.gib > 0.0);
            assert!(!app.facts.minutes.is_empty());
        }
    }

    #[tokio::test]
    async fn a_burst_is_seen_and_answered_with_more() {
        let world = world().await;
        let now = world.simulator.now();
        let from = now - Duration::minutes(30);
        world.simulator.burst("messages", 12.0, from, now).await;
        let gathered = look_now(&world).await;
        let messages = of(&gathered, "cosmos-agents-jpe/agents/messages");
        let minute = messages.facts.minutes.last().expect("a minute");
        assert!(minute.used > Some(99.0), "{minute:?}");
        assert!(minute.refused > Some(0.0), "{minute:?}");
        assert_eq!(messages.facts.ranges.len(), 3);
        assert_eq!(decided(&world, messages).because, Because::Throttled);
        // The hottest is read first.
        assert_eq!(gathered.containers[0].facts.resource.name(), "agents");
        assert_eq!(gathered.containers[1].facts.resource.name(), "messages");
    }

    #[tokio::test]
    async fn few_refusals_are_real_where_calls_wait_long() {
        let world = world().await;
        let now = world.simulator.now();
        let from = now - Duration::minutes(30);
        let mut seen = Vec::new();
        // Chance makes an hour busier or calmer: the burst is found that refuses between 1 and 5 %.
        for step in 0..40 {
            let factor = 3.0 + 0.05 * f64::from(step);
            world.simulator.no_pressure().await;
            world.simulator.burst("threads", factor, from, now).await;
            let gathered = look_now(&world).await;
            let threads = of(&gathered, "cosmos-agents-jpe/agents/threads");
            let recent = threads.facts.minutes.iter().rev().take(5);
            let sum = recent.fold((0.0, 0.0, 0.0), |sum, minute| {
                let [refused, requests, ms] = [minute.refused, minute.requests, minute.latency_ms]
                    .map(|known| known.expect("it is measured"));
                (sum.0 + refused, sum.1 + requests, sum.2 + ms / 5.0)
            });
            let refused = sum.0 / sum.1 * 100.0;
            if (2.5..4.9).contains(&refused) {
                assert!(sum.2 > 100.0, "{refused} % refused, {} ms", sum.2);
                assert_eq!(decided(&world, threads).because, Because::Throttled);
                return;
            }
            seen.push((factor, refused));
        }
        panic!("no burst refuses few: {seen:?}");
    }

    #[tokio::test]
    async fn one_hot_partition_is_seen_as_that() {
        let world = world().await;
        let now = world.simulator.now();
        let from = now - Duration::minutes(30);
        let hot = world
            .simulator
            .hot_partition("messages", "tenant-a", 95.0, from, now);
        hot.await;
        world.simulator.burst("messages", 4.0, from, now).await;
        let gathered = look_now(&world).await;
        let messages = of(&gathered, "cosmos-agents-jpe/agents/messages");
        let busy = messages.facts.ranges.iter().filter(|r| r.used > 80.0);
        assert_eq!(busy.count(), 1, "{:?}", messages.facts.ranges);
        assert_eq!(decided(&world, messages).because, Because::HotPartition);
    }

    #[tokio::test]
    async fn a_gap_of_metrics_changes_nothing() {
        let world = world().await;
        let now = world.simulator.now();
        let from = now - Duration::minutes(90);
        world.simulator.metric_gap("messages", from, now).await;
        let gathered = look_now(&world).await;
        let messages = of(&gathered, "cosmos-agents-jpe/agents/messages");
        assert_eq!(messages.facts.minutes, []);
        let decision = decided(&world, messages);
        assert_eq!((decision.to, decision.because), (None, Because::NoData));
        let threads = of(&gathered, "cosmos-agents-jpe/agents/threads");
        assert_eq!(threads.facts.minutes.len(), 64);
    }
}
