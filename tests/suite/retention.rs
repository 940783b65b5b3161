//! `forget_old_incidents`: what has been over for long goes, and nothing else.

use chrono::{DateTime, Duration, Utc};
use poolkeeper::app::{App, Clock};
use poolkeeper::domain::{Class, Condition, GroupKey, IncidentId, Priority, Signal, Trust};
use poolkeeper::journal::verify_all;
use poolkeeper::operations::incidents::{Said, current, find, forget, say, take};
use serde_json::Value;

use crate::world::World;

fn start() -> DateTime<Utc> {
    "2026-03-02T03:00:00Z".parse().expect("a time")
}

fn day(days: i64) -> DateTime<Utc> {
    start() + Duration::days(days)
}

fn signal(rule: &str, at: DateTime<Utc>) -> Signal {
    Signal {
        key: GroupKey {
            rule: rule.into(),
            tenant: Some("tenant-a".into()),
            resource: None,
        },
        condition: Condition::Fired,
        priority: Priority::High,
        class: Class::Operations,
        title: "slow".into(),
        text: String::new(),
        facts: Vec::new(),
        at,
        occurrence: format!("{rule}-{}", at.timestamp()),
        trust: Trust::Confirmed { how: "seen".into() },
    }
}

async fn open(world: &World, rule: &str, at: DateTime<Utc>) -> IncidentId {
    let app = world.app(Clock::Fixed(at));
    let taken = take(&app, &signal(rule, at)).await.expect("taken");
    taken.incident.expect("an incident")
}

async fn resolve(world: &World, id: &IncidentId, at: DateTime<Utc>) {
    let app = world.app(Clock::Fixed(at));
    let done = say(&app, id, &Said::Resolve, "ann", "done").await;
    done.expect("resolved");
    poolkeeper::notify::drain(&app, std::time::Duration::from_secs(20))
        .await
        .expect("drained");
}

async fn names(app: &App, prefix: &str, id: &IncidentId) -> usize {
    let store = app.store().expect("a store");
    let names = store.list_all(prefix).await.expect("a list");
    names.iter().filter(|n| n.contains(id.as_str())).count()
}

/// Runs the task as a request does; gives its report.
async fn run(world: &World, at: DateTime<Utc>, query: &str) -> Value {
    let base = world.handler(Clock::Fixed(at)).await;
    let url = format!("{base}/api/maintenance/daily?task=forget_old_incidents{query}");
    let (status, answer) = world.post(url, &Value::Null).await;
    assert_eq!(status, 202, "{answer}");
    world.tick(&base, "minute-tick").await;
    let run = answer["run"].as_str().expect("a run");
    let run = world.get(format!("{base}/api/runs/{run}")).await;
    run["tasks"][0].clone()
}

#[tokio::test]
async fn what_has_been_over_for_long_is_forgotten_and_what_is_open_never_is() {
    let world = World::start().await;
    let over = open(&world, "over", day(0)).await;
    let late = open(&world, "late", day(0)).await;
    let never = open(&world, "never", day(0)).await;
    resolve(&world, &over, day(1)).await;
    resolve(&world, &late, day(30)).await;

    // After 35 days nobody needs to know any more who was told; the incident is there.
    let app = world.app(Clock::Fixed(day(40)));
    let before = names(&app, "outbox/notices/", &over).await;
    assert!(before > 0);
    let report = run(&world, day(40), "&dryRun=true").await;
    assert_eq!(report["counts"]["outboxes"], 1, "{report}");
    assert_eq!(names(&app, "outbox/notices/", &over).await, before);
    let report = run(&world, day(40), "").await;
    assert_eq!(report["counts"]["outboxes"], 1, "{report}");
    assert_eq!(report["counts"]["incidents"], 0, "{report}");
    assert_eq!(names(&app, "outbox/", &over).await, 0);
    for id in [&late, &never] {
        assert!(names(&app, "outbox/notices/", id).await > 0, "{id}");
    }
    assert!(find(&app, &over).await.expect("the store").is_some());

    // After 400 the incident goes as well, but not the one that is open, nor any chain.
    let report = run(&world, day(410), "").await;
    assert_eq!(report["counts"]["incidents"], 1, "{report}");
    assert_eq!(report["counts"]["outboxes"], 1, "{report}");
    let app = world.app(Clock::Fixed(day(410)));
    assert!(find(&app, &over).await.expect("the store").is_none());
    for id in [&late, &never] {
        assert!(find(&app, id).await.expect("the store").is_some(), "{id}");
    }
    assert!(names(&app, "outbox/notices/", &never).await > 0);
    assert_eq!(names(&app, "incidents-by-time/", &over).await, 0);
    assert_eq!(names(&app, "journal/", &over).await, 1);
    let verdict = verify_all(
        app.store().expect("a store"),
        app.anchors().expect("anchors"),
    )
    .await
    .expect("a verdict");
    assert_eq!(verdict.broken().count(), 0, "{verdict:?}");
    // Again: nothing is left to do.
    let report = run(&world, day(410) + Duration::minutes(1), "").await;
    assert_eq!(report["counts"]["incidents"], 0, "{report}");

    // The next of its kind is another one, with a chain of its own.
    let next = open(&world, "over", day(411)).await;
    assert_ne!(next, over);
    let app = world.app(Clock::Fixed(day(411)));
    let newest = current(&app, &signal("over", day(411)).key).await;
    assert_eq!(newest.expect("the store").expect("an incident").id, next);
}

#[tokio::test]
async fn whoever_was_killed_while_forgetting_is_followed_by_one_who_ends_it() {
    let world = World::start().await;
    let id = open(&world, "over", day(0)).await;
    resolve(&world, &id, day(1)).await;
    let app = world.app(Clock::Fixed(day(500)));
    let store = app.store().expect("a store");
    // The document went first, and nothing else.
    store
        .delete(&format!("incidents/{id}.json"))
        .await
        .expect("deleted");
    assert!(names(&app, "outbox/", &id).await > 0);
    let retention = app.estate().expect("an estate").retention;
    let done = forget(&app, &retention, false).await.expect("done");
    assert_eq!(done.incidents, 1, "{done:?}");
    for folder in ["outbox/", "incidents-by-time/"] {
        assert_eq!(names(&app, folder, &id).await, 0, "{folder}");
    }
}
