//! Documents that somebody or something has damaged.

use chrono::{DateTime, Utc};
use poolkeeper::app::Clock;
use poolkeeper::domain::{Class, Condition, GroupKey, Priority, Signal, Trust};
use poolkeeper::local::simulator::{Fault, FaultKind};
use poolkeeper::operations::incidents::{self, Said};
use serde_json::json;

use crate::oncall::command;
use crate::world::{OPERATOR, World};

/// A Monday, 12:00 in Tokyo.
const NOON: &str = "2026-03-02T03:00:00Z";

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

fn slow(resource: &str) -> Signal {
    Signal {
        key: GroupKey {
            rule: "p95".into(),
            tenant: Some("tenant-a".into()),
            resource: Some(resource.into()),
        },
        condition: Condition::Fired,
        priority: Priority::High,
        class: Class::Operations,
        title: "tenant-a is slow".into(),
        text: String::new(),
        facts: Vec::new(),
        at: utc(NOON),
        occurrence: "a".into(),
        trust: Trust::Confirmed { how: "seen".into() },
    }
}

/// Silences and overrides of which nothing can be read, that would end in a year.
async fn damage(app: &poolkeeper::app::App) {
    let silence = |key: &str, value: &str| {
        (
            format!("quiet/silences/20270301t090000z-{key}.json"),
            value.to_owned(),
        )
    };
    let unknown = json!({
        "id": "20270301t090000z-00000000000000b2", "kind": "silence",
        "matcher": { "resource": "*", "novelty": 1 },
        "owner": "operator", "reason": "x", "from": NOON, "until": "2027-03-01T09:00:00Z", "added": NOON,
    });
    let over = json!({
        "id": "20270301t090000z-00000000000000c3", "level": "L2", "person": "l1-b",
        "from": NOON, "until": "half past nine", "by": "operator", "reason": "x", "added": NOON,
    });
    let store = app.store().expect("a store");
    for (path, text) in [
        silence("00000000000000a1", r#"{"id":"2027"#),
        silence("00000000000000b2", &unknown.to_string()),
        (
            "oncall/overrides/20270301t090000z-00000000000000c3.json".into(),
            over.to_string(),
        ),
    ] {
        store
            .create_bytes(&path, text.into())
            .await
            .expect("a document");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_or_an_override_that_cannot_be_read_keeps_nobody_from_being_told() {
    let world = World::start_unrecorded().await;
    let clock = Clock::Fixed(utc(NOON));
    let app = world.app(clock);
    let base = world.handler(clock).await;
    damage(&app).await;
    // What can be read holds all the same.
    let wish = json!({
        "matcher": { "resource": "known" }, "until": "2026-03-02T09:00:00Z", "reason": "known",
    });
    let (status, answer) = world
        .post_as(OPERATOR, format!("{base}/api/quiet"), &wish)
        .await;
    assert_eq!(status, 200, "{answer}");

    let mut told = Vec::new();
    for resource in ["new", "known"] {
        let taken = incidents::take(&app, &slow(resource)).await.expect("taken");
        let id = taken.incident.expect("an incident");
        let shown = incidents::show(&app, &id).await.expect("shown");
        told.push(shown.expect("an incident").told.len());
        incidents::say(&app, &id, &Said::Comment, "operator", "seen")
            .await
            .expect("said");
    }
    assert!(told[0] > 0 && told[1] == 0, "{told:?}");
    let ticked = world.tick(&base, "minute-tick").await.to_string();
    assert!(
        ticked.contains("3 silences or overrides cannot be read and do not hold"),
        "{ticked}"
    );

    let overview = world.get(format!("{base}/api/quiet")).await;
    let unread = overview["unread"].as_array().expect("findings");
    assert_eq!(unread.len(), 2, "{overview}");
    assert_eq!(unread[1]["code"], "document-unreadable");
    assert!(overview.to_string().contains("unknown field `novelty`"));
    let roster = world.get(format!("{base}/api/oncall")).await;
    assert_eq!(roster["unread"].as_array().map(Vec::len), Some(1));
    let (_, out, _) = command(&world, &["quiet", "list"]).await;
    assert!(out.contains("unread  quiet/silences/20270301t"), "{out}");
    let (_, out, _) = command(&world, &["oncall", "who"]).await;
    assert!(out.contains("unread  oncall/overrides/20270301t"), "{out}");
    let (code, out, err) = command(&world, &["oncall", "overrides"]).await;
    assert!(
        code == Some(0) && out.contains("no overrides") && err.contains("cannot be read"),
        "{out}{err}"
    );

    // That they cannot be listed at all is another thing.
    world.simulator.fault(Fault {
        kind: FaultKind::Denied,
        contains: Some("silences".into()),
        ..Fault::default()
    });
    assert!(incidents::take(&app, &slow("another")).await.is_err());
}

#[tokio::test]
async fn a_window_whose_record_is_damaged_stops_no_other() {
    let world = World::start_unrecorded().await;
    let app = |moment: &str| world.app(Clock::Fixed(utc(moment)));
    let store = app(NOON);
    let store = store.store().expect("a store");
    for path in [
        "quiet/ticked.json",
        "quiet/occasions/broken-20260301t000000z.json",
        "quiet/open/broken-20260301t000000z.json",
    ] {
        store
            .create_bytes(path, "{".into())
            .await
            .expect("a document");
    }
    let tick = async |moment: &str| {
        let turned = poolkeeper::operations::quiet::tick(&app(moment), &[]).await;
        turned.expect("a tick").len()
    };
    assert_eq!(tick("2026-03-07T16:59:00Z").await, 0);
    assert_eq!(tick("2026-03-07T17:01:00Z").await, 1, "it began");
    assert_eq!(tick("2026-03-07T19:01:00Z").await, 1, "it ended");
}
