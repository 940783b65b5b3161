//! Silences and windows of maintenance, through the front door.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use poolkeeper::app::Clock;
use poolkeeper::domain::{Class, GroupKey, IncidentId, Priority, Quiet};
use poolkeeper::local::simulator::{Fault, FaultKind};
use poolkeeper::operations::quiet::{Turned, in_force, tick};
use serde_json::{Value, json};

use crate::world::{OPERATOR, REVIEWER, World};

/// A Monday, 12:00 in Tokyo.
const NOON: &str = "2026-03-02T03:00:00Z";

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

fn at(text: &str) -> Clock {
    Clock::Fixed(utc(text))
}

fn key(tenant: &str) -> GroupKey {
    GroupKey {
        rule: "p95".into(),
        tenant: Some(tenant.into()),
        resource: None,
    }
}

fn wish(until: &str) -> Value {
    json!({
        "matcher": { "rule": "p95", "tenant": "tenant-a" },
        "until": until,
        "reason": "known, and being worked on",
    })
}

async fn quiet_at(world: &World, moment: &str) -> Vec<Quiet> {
    let app = world.app(at(moment));
    let heard = in_force(&app, utc(moment)).await.expect("what is quiet");
    assert_eq!(heard.unread, []);
    heard.what
}

#[tokio::test]
async fn a_silence_holds_for_what_it_names_until_it_is_over_or_ended() {
    let world = World::start().await;
    let base = world.handler(at(NOON)).await;
    let place = format!("{base}/api/quiet");
    let until = "2026-03-02T09:00:00Z";
    let (status, answer) = world.post_as(REVIEWER, place.clone(), &wish(until)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["what"]["owner"], "reviewer");

    let (high, operations) = (Priority::High, Class::Operations);
    for (name, moment, key, priority, class, expected) in [
        ("now", NOON, key("tenant-a"), high, operations, true),
        (
            "its last second",
            "2026-03-02T08:59:59Z",
            key("tenant-a"),
            high,
            operations,
            true,
        ),
        ("its end", until, key("tenant-a"), high, operations, false),
        (
            "before it",
            "2026-03-02T02:59:59Z",
            key("tenant-a"),
            high,
            operations,
            false,
        ),
        (
            "another tenant",
            NOON,
            key("tenant-b"),
            high,
            operations,
            false,
        ),
        (
            "critical",
            NOON,
            key("tenant-a"),
            Priority::Critical,
            operations,
            false,
        ),
        (
            "security",
            NOON,
            key("tenant-a"),
            high,
            Class::Security,
            false,
        ),
    ] {
        let found = quiet_at(&world, moment).await;
        let covered = found
            .iter()
            .any(|quiet| quiet.covers(&key, priority, class));
        assert_eq!(covered, expected, "{name}: {found:?}");
    }

    let later = world.handler(at("2026-03-02T04:00:00Z")).await;
    let id = answer["what"]["id"].as_str().expect("an id").to_owned();
    let place = format!("{later}/api/quiet/{id}/end");
    let reason = json!({ "reason": "repaired" });
    let (status, _) = world.post(place.clone(), &reason).await;
    assert_eq!(status, 401);
    let ended =
        join_all([OPERATOR, REVIEWER].map(|key| world.post_as(key, place.clone(), &reason))).await;
    let mut statuses: Vec<u16> = ended.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{ended:?}");
    assert_eq!(quiet_at(&world, "2026-03-02T04:00:00Z").await, []);
    assert_eq!(quiet_at(&world, "2026-03-02T03:59:59Z").await.len(), 1);
    let shown = world.get(format!("{later}/api/quiet/{id}")).await;
    assert_eq!(shown["ended"]["reason"], "repaired", "{shown}");
    let runs = world.get(format!("{later}/api/runs")).await;
    let mut kinds: Vec<&str> = runs["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .filter_map(|run| run["work"]["kind"].as_str())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["silence", "silence_end"]);
}

#[tokio::test]
async fn a_silence_that_says_too_much_or_too_little_is_refused() {
    let world = World::start().await;
    let base = world.handler(at(NOON)).await;
    let place = format!("{base}/api/quiet");
    let (status, _) = world
        .post(place.clone(), &wish("2026-03-03T00:00:00Z"))
        .await;
    assert_eq!(status, 401);
    for (name, field, value, part) in [
        ("past", "until", json!(NOON), "which is past"),
        (
            "too long",
            "until",
            json!("2026-04-01T03:00:01Z"),
            "longer than 30 days",
        ),
        (
            "nothing named",
            "matcher",
            json!({}),
            "names no rule, tenant or resource",
        ),
        (
            "an empty part",
            "matcher",
            json!({ "rule": "" }),
            "has an empty part",
        ),
        (
            "an unknown part",
            "matcher",
            json!({ "rules": "p95" }),
            "unknown field `rules`",
        ),
        ("no reason", "reason", json!(""), "a reason is wanted"),
        (
            "another owner",
            "owner",
            json!("reviewer"),
            "unknown field `owner`",
        ),
        (
            "an unknown kind",
            "kind",
            json!("holiday"),
            "unknown variant `holiday`",
        ),
    ] {
        let mut body = wish("2026-03-03T00:00:00Z");
        body[field] = value;
        let (status, answer) = world.post_as(OPERATOR, place.clone(), &body).await;
        assert_eq!(status, 400, "{name}: {answer}");
        let why = answer["error"].as_str().expect("a reason");
        assert!(why.contains(part), "{name}: {why}");
    }
    for (path, expected) in [
        ("/api/quiet/20260303t000000z-0123456789abcdef/end", 404),
        ("/api/quiet/..%2Fticked/end", 404),
        ("/api/quiet/20260303t000000z-0123456789abcdef/begin", 404),
    ] {
        let url = format!("{base}{path}");
        let (status, answer) = world
            .post_as(OPERATOR, url, &json!({ "reason": "x" }))
            .await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    let overview = world.get(place).await;
    assert_eq!(overview["silences"], json!([]), "{overview}");
}

fn incident(number: u32) -> IncidentId {
    IncidentId::new(&key("tenant-a"), number)
}

/// What a tick recorded, one line each.
async fn ticked(
    settings: &BTreeMap<String, String>,
    moment: &str,
    open: &[IncidentId],
) -> Vec<String> {
    let app = World::app_with(settings, at(moment));
    let turned = tick(&app, open).await.expect("a tick");
    turned
        .iter()
        .map(|turned| match turned {
            Turned::Began(o) => {
                let open: Vec<&str> = o.open.iter().map(IncidentId::as_str).collect();
                format!(
                    "{} began {} with {open:?}",
                    o.quiet.name,
                    o.quiet.from.to_rfc3339()
                )
            }
            Turned::Ended(o) => {
                let ended = o.ended.expect("an end").to_rfc3339();
                format!("{} ended {ended}", o.quiet.name)
            }
        })
        .collect()
}

#[tokio::test]
async fn the_begin_and_the_end_of_a_window_are_recorded_once_however_many_ticks_are_missed() {
    let world = World::start().await;
    let settings = world.settings();
    let open = [incident(1)];
    // Sundays 02:00 to 04:00 in Tokyo are Saturdays 17:00 to 19:00.
    for (moment, expected) in [
        ("2026-03-07T16:59:00Z", &[][..]),
        (
            "2026-03-07T17:00:00Z",
            &[r#"sunday-cosmos began 2026-03-07T17:00:00+00:00 with ["inc-0-1"]"#],
        ),
        ("2026-03-07T17:01:00Z", &[]),
        ("2026-03-07T18:59:59Z", &[]),
        (
            "2026-03-07T19:00:00Z",
            &["sunday-cosmos ended 2026-03-07T19:00:00+00:00"],
        ),
        ("2026-03-07T19:01:00Z", &[]),
        // The clock goes back, and nothing begins again.
        ("2026-03-07T18:00:00Z", &[]),
        // Two windows came and went while nothing ticked; a third is open.
        (
            "2026-03-28T18:00:00Z",
            &[
                r#"sunday-cosmos began 2026-03-14T17:00:00+00:00 with ["inc-0-1"]"#,
                r#"sunday-cosmos began 2026-03-21T17:00:00+00:00 with ["inc-0-1"]"#,
                r#"sunday-cosmos began 2026-03-28T17:00:00+00:00 with ["inc-0-1"]"#,
                "sunday-cosmos ended 2026-03-14T19:00:00+00:00",
                "sunday-cosmos ended 2026-03-21T19:00:00+00:00",
            ],
        ),
        // The next tick comes a week late.
        (
            "2026-04-03T00:00:00Z",
            &["sunday-cosmos ended 2026-03-28T19:00:00+00:00"],
        ),
    ] {
        let found: Vec<String> = ticked(&settings, moment, &open)
            .await
            .iter()
            .map(|line| line.replace(incident(1).as_str(), "inc-0-1"))
            .collect();
        assert_eq!(found, expected, "{moment}");
    }
}

#[tokio::test]
async fn a_tick_that_storage_stops_half_way_is_made_good_by_the_next() {
    let world = World::start().await;
    let settings = world.settings();
    let fault = |method: &str, contains: &str| {
        world.simulator.fault(Fault {
            kind: FaultKind::Denied,
            method: Some(method.into()),
            contains: Some(contains.into()),
            times: Some(1),
            ..Fault::default()
        });
    };
    ticked(&settings, "2026-03-07T16:59:00Z", &[]).await;
    // Marked, and not recorded.
    fault("PUT", "occasions");
    let app = World::app_with(&settings, at("2026-03-07T17:00:00Z"));
    assert!(tick(&app, &[]).await.is_err());
    let began = ticked(&settings, "2026-03-07T17:01:00Z", &[]).await;
    assert_eq!(
        began,
        ["sunday-cosmos began 2026-03-07T17:00:00+00:00 with []"]
    );
    // Over, and not recorded.
    fault("PUT", "occasions");
    let app = World::app_with(&settings, at("2026-03-07T19:00:00Z"));
    assert!(tick(&app, &[]).await.is_err());
    // Recorded, and the mark stays.
    fault("DELETE", "open");
    let ended = ticked(&settings, "2026-03-07T19:01:00Z", &[]).await;
    assert_eq!(ended, ["sunday-cosmos ended 2026-03-07T19:00:00+00:00"]);
    for moment in ["2026-03-07T19:02:00Z", "2026-03-07T19:03:00Z"] {
        assert_eq!(ticked(&settings, moment, &[]).await, [""; 0], "{moment}");
    }
    // Recorded, and then storage fails: what was recorded is told all the same.
    fault("PUT", "ticked");
    let began = ticked(&settings, "2026-03-14T17:00:00Z", &[]).await;
    assert_eq!(
        began,
        ["sunday-cosmos began 2026-03-14T17:00:00+00:00 with []"]
    );
    assert_eq!(
        ticked(&settings, "2026-03-14T17:01:00Z", &[]).await,
        [""; 0]
    );
}

#[tokio::test]
async fn processes_that_tick_at_once_record_a_window_once_between_them() {
    let world = World::start().await;
    let settings = world.settings();
    for (moment, word) in [
        ("2026-03-07T17:00:00Z", "began"),
        ("2026-03-07T19:00:00Z", "ended"),
    ] {
        let found = join_all((0..4).map(|_| ticked(&settings, moment, &[]))).await;
        let all: Vec<String> = found.into_iter().flatten().collect();
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].contains(word), "{all:?}");
    }
}

#[tokio::test]
async fn a_window_that_is_ended_by_hand_or_taken_out_of_the_estate_is_over() {
    let world = World::start().await;
    let settings = world.settings();
    let base = world.handler(at(NOON)).await;
    let body = json!({
        "kind": "window",
        "matcher": { "resource": "*", "highest": "critical" },
        "until": "2026-03-02T09:00:00Z",
        "reason": "the network is worked on",
    });
    let (status, answer) = world
        .post_as(OPERATOR, format!("{base}/api/quiet"), &body)
        .await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["what"]["id"].as_str().expect("an id").to_owned();
    let began = ticked(&settings, NOON, &[incident(2)]).await;
    let expected = format!(
        "{id} began 2026-03-02T03:00:00+00:00 with [\"{}\"]",
        incident(2)
    );
    assert_eq!(began, [expected]);
    let later = world.handler(at("2026-03-02T04:00:30Z")).await;
    let place = format!("{later}/api/quiet/{id}/end");
    let (status, _) = world
        .post_as(OPERATOR, place, &json!({ "reason": "done early" }))
        .await;
    assert_eq!(status, 200);
    let ended = ticked(&settings, "2026-03-02T04:01:00Z", &[]).await;
    assert_eq!(ended, [format!("{id} ended 2026-03-02T04:00:30+00:00")]);

    ticked(&settings, "2026-03-07T17:00:00Z", &[]).await;
    let without = world.settings_with_estate(|estate| {
        let last = "until = \"2027-12-31\"";
        assert!(estate.contains(last));
        estate.replace(last, "until = \"2026-03-01\"")
    });
    let ended = ticked(&without, "2026-03-07T17:30:00Z", &[]).await;
    assert_eq!(ended, ["sunday-cosmos ended 2026-03-07T17:30:00+00:00"]);
}

#[tokio::test]
async fn a_window_of_the_estate_is_quiet_while_it_is_open_and_the_next_one_is_shown() {
    let world = World::start().await;
    let key = GroupKey {
        rule: "throttled".into(),
        tenant: None,
        resource: Some("/subscriptions/1/resourceGroups/g/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe".into()),
    };
    let covers = |found: &[Quiet], priority| {
        found
            .iter()
            .any(|quiet| quiet.covers(&key, priority, Class::Operations))
    };
    let found = quiet_at(&world, "2026-03-07T17:00:00Z").await;
    assert_eq!(found[0].until, utc("2026-03-07T19:00:00Z"));
    assert!(covers(&found, Priority::High) && !covers(&found, Priority::Critical));
    assert_eq!(quiet_at(&world, "2026-03-07T19:00:00Z").await, []);
    // It ends with the last Sunday of 2027, which has to be wanted anew.
    assert_eq!(quiet_at(&world, "2027-12-25T17:00:00Z").await.len(), 1);
    assert_eq!(quiet_at(&world, "2028-01-01T17:00:00Z").await, []);
    let base = world.handler(at("2026-03-07T18:00:00Z")).await;
    let overview = world.get(format!("{base}/api/quiet")).await;
    assert_eq!(
        overview["inForce"][0]["name"], "sunday-cosmos",
        "{overview}"
    );
    assert_eq!(
        overview["nextWindows"][0]["from"], "2026-03-14T17:00:00Z",
        "{overview}"
    );
}
