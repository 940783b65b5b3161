//! Who is on duty, and overrides, through the front door.

use chrono::{DateTime, Utc};
use futures::future::join_all;
use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::world::{OPERATOR, REVIEWER, World};

/// A Monday, 12:00 in Tokyo: it is the week of `l1-c` at L1.
const NOON: &str = "2026-03-02T03:00:00Z";

fn at(text: &str) -> Clock {
    Clock::Fixed(utc(text))
}

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

fn wish(person: &str, until: &str) -> Value {
    json!({ "level": "L1", "person": person, "until": until, "reason": "a swap, agreed" })
}

/// Who is reached at L1.
async fn reached(world: &World, base: &str, query: &str) -> Value {
    let roster = world
        .get(format!("{base}/api/oncall?level=L1{query}"))
        .await;
    roster["levels"][0]["reached"]["person"].clone()
}

#[tokio::test]
async fn who_is_put_on_duty_is_told_until_it_is_over_or_taken_back_and_the_journal_says_by_whom() {
    let world = World::start().await;
    let base = world.handler(at(NOON)).await;
    assert_eq!(reached(&world, &base, "").await, "l1-c");

    let place = format!("{base}/api/oncall/override");
    let until = "2026-03-02T09:00:00Z";
    let (status, answer) = world.post_as(REVIEWER, place, &wish("l1-b", until)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["what"]["by"], "reviewer");
    assert_eq!(reached(&world, &base, "").await, "l1-b");
    assert_eq!(
        reached(&world, &base, "&at=2026-03-02T08:59:59Z").await,
        "l1-b"
    );
    assert_eq!(
        reached(&world, &base, "&at=2026-03-02T18:00:00%2B09:00").await,
        "l1-c"
    );
    assert_eq!(
        reached(&world, &base, "&at=2026-03-02T02:59:59Z").await,
        "l1-c"
    );
    let run = answer["run"].as_str().expect("a run");
    let run = world.get(format!("{base}/api/runs/{run}")).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["work"]["kind"], "override");
    assert_eq!(run["work"]["what"]["by"], "reviewer");
    assert_eq!(run["work"]["what"]["reason"], "a swap, agreed");

    // An hour later somebody takes it back.
    let later = world.handler(at("2026-03-02T04:00:00Z")).await;
    let id = answer["what"]["id"].clone();
    let remove = json!({ "id": id, "reason": "back already" });
    let place = format!("{later}/api/oncall/remove");
    let (status, answer) = world.post_as(OPERATOR, place.clone(), &remove).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["what"]["removed"]["by"], "operator");
    assert_eq!(reached(&world, &later, "").await, "l1-c");
    assert_eq!(
        reached(&world, &later, "&at=2026-03-02T03:30:00Z").await,
        "l1-b"
    );
    let (status, answer) = world.post_as(REVIEWER, place, &remove).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(answer["error"], "operator has removed it: back already");

    let roster = world.get(format!("{later}/api/oncall")).await;
    assert_eq!(roster["overrides"][0]["removed"]["reason"], "back already");
    let levels: Vec<&str> = roster["levels"]
        .as_array()
        .expect("levels")
        .iter()
        .filter_map(|level| level["level"].as_str())
        .collect();
    assert_eq!(
        levels,
        ["L1", "L2", "L3", "architect", "SRE", "Security", "CISO"]
    );
    assert!(!roster.to_string().contains("@example.com"), "{roster}");
}

#[tokio::test]
async fn an_override_that_makes_no_sense_or_is_nobodys_is_refused() {
    let world = World::start().await;
    let base = world.handler(at(NOON)).await;
    let place = format!("{base}/api/oncall/override");
    let (status, _) = world
        .post(place.clone(), &wish("l1-b", "2026-03-03T00:00:00Z"))
        .await;
    assert_eq!(status, 401);
    let (status, _) = world
        .post(
            format!("{base}/api/oncall/remove"),
            &json!({ "id": "x", "reason": "y" }),
        )
        .await;
    assert_eq!(status, 401);
    let changed = |change: Value| {
        let mut body = wish("l1-b", "2026-03-03T00:00:00Z");
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    };
    for (name, change, part) in [
        (
            "an end that is past",
            json!({ "until": NOON }),
            "which is past",
        ),
        (
            "too long",
            json!({ "until": "2026-04-02T03:00:01Z" }),
            "longer than 31 days",
        ),
        (
            "an end before its begin",
            json!({ "from": "2026-03-04T00:00:00Z" }),
            "before it begins",
        ),
        (
            "no such level",
            json!({ "level": "L9" }),
            "`L9` is no level: L1, L2",
        ),
        (
            "no such person",
            json!({ "person": "l9-a" }),
            "`l9-a` is nobody here: l1-a",
        ),
        ("no reason", json!({ "reason": " " }), "a reason is wanted"),
        (
            "somebody else's name",
            json!({ "by": "reviewer" }),
            "unknown field `by`",
        ),
        ("no time", json!({ "until": "tomorrow" }), "the body"),
    ] {
        let (status, answer) = world
            .post_as(OPERATOR, place.clone(), &changed(change))
            .await;
        assert_eq!(status, 400, "{name}: {answer}");
        let why = answer["error"].as_str().expect("a reason");
        assert!(why.contains(part), "{name}: {why}");
    }
    for id in [
        "20260303t000000z-0123456789abcdef",
        "../controls/kill-switch",
        "",
    ] {
        let body = json!({ "id": id, "reason": "gone" });
        let (status, answer) = world
            .post_as(OPERATOR, format!("{base}/api/oncall/remove"), &body)
            .await;
        assert_eq!(status, 404, "{id}: {answer}");
    }
    let (status, _) = world
        .post_as(OPERATOR, format!("{base}/api/oncall/other"), &json!({}))
        .await;
    assert_eq!(status, 404);
    for query in ["at=noon", "level=L9"] {
        let answer = world
            .http
            .get(format!("{base}/api/oncall?{query}"))
            .send()
            .await;
        let status = answer.expect("an answer").status().as_u16();
        assert!([400, 404].contains(&status), "{query}: {status}");
    }
    let roster = world.get(format!("{base}/api/oncall")).await;
    assert_eq!(roster["overrides"], json!([]));
    let runs = world.get(format!("{base}/api/runs")).await;
    assert_eq!(runs["runs"], json!([]), "{runs}");
}

#[tokio::test]
async fn of_two_people_who_override_at_once_both_are_kept_and_everybody_sees_the_same_one() {
    let world = World::start().await;
    let bases = [world.handler(at(NOON)).await, world.handler(at(NOON)).await];
    let until = "2026-03-02T09:00:00Z";
    let asked = join_all(
        [(OPERATOR, "l1-a", &bases[0]), (REVIEWER, "l1-b", &bases[1])].map(
            |(key, person, base)| {
                let place = format!("{base}/api/oncall/override");
                let world = &world;
                async move { world.post_as(key, place, &wish(person, until)).await }
            },
        ),
    )
    .await;
    for (status, answer) in &asked {
        assert_eq!(*status, 200, "{answer}");
    }
    let seen = join_all(bases.iter().map(|base| reached(&world, base, ""))).await;
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0] == "l1-a" || seen[0] == "l1-b", "{seen:?}");
    let roster = world.get(format!("{}/api/oncall", bases[0])).await;
    let mut by: Vec<&str> = roster["overrides"]
        .as_array()
        .expect("overrides")
        .iter()
        .filter_map(|o| o["by"].as_str())
        .collect();
    by.sort_unstable();
    assert_eq!(by, ["operator", "reviewer"]);

    // And both take the same one back: one of them did it.
    let id = roster["overrides"][0]["id"].clone();
    let removed = join_all(
        [(OPERATOR, &bases[0]), (REVIEWER, &bases[1])].map(|(key, base)| {
            let place = format!("{base}/api/oncall/remove");
            let body = json!({ "id": id, "reason": "not needed" });
            let world = &world;
            async move { world.post_as(key, place, &body).await }
        }),
    )
    .await;
    let mut statuses: Vec<u16> = removed.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{removed:?}");
}

#[tokio::test]
async fn an_override_that_was_sent_twice_is_one() {
    let world = World::start().await;
    let base = world.handler(at(NOON)).await;
    let mut answers = Vec::new();
    // The second one says something else under the same key: the first counts.
    for until in ["2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z"] {
        let answer = world
            .http
            .post(format!("{base}/api/oncall/override"))
            .header("x-poolkeeper-key", OPERATOR)
            .header("idempotency-key", "once")
            .json(&wish("l1-a", until))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        answers.push(answer.json::<Value>().await.expect("JSON"));
    }
    assert_eq!(answers[0], answers[1]);
    let roster = world.get(format!("{base}/api/oncall")).await;
    assert_eq!(roster["overrides"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_override_that_storage_did_not_take_at_once_holds_after_the_next_tick() {
    let world = World::start().await;
    let base = world.handler(at(NOON)).await;
    // The work is kept, and the override itself is not taken.
    world.simulator.fault(Fault {
        kind: FaultKind::Denied,
        method: Some("PUT".into()),
        contains: Some("overrides".into()),
        times: Some(1),
        ..Fault::default()
    });
    let place = format!("{base}/api/oncall/override");
    let body = wish("l1-a", "2026-03-02T09:00:00Z");
    let (status, answer) = world.post_as(OPERATOR, place, &body).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(reached(&world, &base, "").await, "l1-c");
    world.tick(&base, "minute-tick").await;
    assert_eq!(reached(&world, &base, "").await, "l1-a");
}

#[tokio::test]
async fn shifts_are_a_calendar_for_whoever_asks_for_one() {
    let world = World::start().await;
    let base = world.handler(at(NOON)).await;
    let until = "2026-03-02T09:00:00Z";
    let place = format!("{base}/api/oncall/override");
    let (status, _) = world.post_as(OPERATOR, place, &wish("l1-b", until)).await;
    assert_eq!(status, 200);
    let ask = async |path: &str, accept: &str| {
        let answer = world
            .http
            .get(format!("{base}{path}"))
            .header("accept", accept);
        let answer = answer.send().await.expect("an answer");
        let kind = answer.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        (
            answer.status().as_u16(),
            kind,
            answer.text().await.expect("text"),
        )
    };
    let (status, kind, page) = ask("/api/oncall/calendar?level=l1", "*/*").await;
    assert_eq!(
        (status, kind.as_str()),
        (200, "text/calendar; charset=utf-8")
    );
    let same = ask("/api/oncall?level=L1", "text/calendar").await;
    assert_eq!(same.2, page);
    let plain = page.replace("\r\n ", "");
    let events: Vec<&str> = plain.split("BEGIN:VEVENT\r\n").skip(1).collect();
    for expected in [
        [
            "DTSTART:20260302T030000Z",
            "DTEND:20260302T090000Z",
            "SUMMARY:L1: l1-b",
        ],
        // A week from Monday 09:00 in Tokyo until the next.
        [
            "DTSTART:20260309T000000Z",
            "DTEND:20260316T000000Z",
            "SUMMARY:L1: l1-a",
        ],
        // The week before began eight days ago, and is whole.
        [
            "DTSTART:20260223T000000Z",
            "DTEND:20260302T000000Z",
            "SUMMARY:L1: l1-b",
        ],
    ] {
        let found = events
            .iter()
            .any(|e| expected.iter().all(|line| e.contains(line)));
        assert!(found, "{expected:?}: {plain}");
    }
    let (status, _, _) = ask("/api/oncall/calendar?level=L9", "*/*").await;
    assert_eq!(status, 404);
    let (_, kind, page) = ask("/api/oncall", "text/html, */*").await;
    assert_eq!(kind, "text/html; charset=utf-8");
    assert!(page.contains("L1"), "{page}");
    let (_, kind, _) = ask("/api/oncall", "*/*").await;
    assert_eq!(kind, "application/json");
}

/// A command of the program: its exit code, and what it printed.
pub(crate) async fn command(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_poolkeeper"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .envs(world.settings())
        .output()
        .await
        .expect("a process");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_keyboard_somebody_is_put_on_duty_and_something_kept_quiet() {
    let world = World::start().await;
    let reason = ["--reason", "a swap, agreed"];
    let put = [
        "oncall", "override", "l2", "l1-b", "--until", "+2h", "--as", "reviewer", "--json",
    ];
    let (code, out, err) = command(&world, &[&put[..], &reason].concat()).await;
    assert_eq!(code, Some(0), "{err}");
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&said["what"]["level"], &said["what"]["by"]),
        (&json!("L2"), &json!("reviewer"))
    );

    let (_, out, _) = command(&world, &["oncall", "who", "--level", "L2"]).await;
    assert!(
        out.contains("L2  l1-b  (put there by reviewer until "),
        "{out}"
    );
    let tomorrow = ["oncall", "who", "--level", "L2", "--at", "+1d", "--json"];
    let (_, out, _) = command(&world, &tomorrow).await;
    assert!(!out.contains("l1-b"), "{out}");
    let (_, out, _) = command(&world, &["oncall", "overrides"]).await;
    assert!(
        out.contains("L2: l1-b from ") && out.ends_with("by reviewer: a swap, agreed\n"),
        "{out}"
    );
    let (code, out, _) = command(&world, &["oncall", "ical", "L2"]).await;
    assert!(
        code == Some(0) && out.contains("SUMMARY:L2: l1-b\r\n"),
        "{out}"
    );

    let id = said["what"]["id"].as_str().expect("an id");
    let remove = ["oncall", "remove", id, "--reason", "back already"];
    let (code, out, err) = command(&world, &remove).await;
    assert!(
        code == Some(0) && out.contains("by operator: back already"),
        "{out}{err}"
    );
    let (code, _, err) = command(&world, &remove).await;
    assert_eq!(code, Some(1));
    assert_eq!(err, "error: operator has removed it: back already\n");
    for (name, put, part) in [
        (
            "no such level",
            ["L9", "l1-b", "--until", "+2h"],
            "`L9` is no level",
        ),
        (
            "too long",
            ["L1", "l1-b", "--until", "+32d"],
            "longer than 31 days",
        ),
    ] {
        let put = [&["oncall", "override"][..], &put, &reason].concat();
        let (code, _, err) = command(&world, &put).await;
        assert!(code == Some(1) && err.contains(part), "{name}: {err}");
    }

    let add = [
        "quiet",
        "add",
        "--rule",
        "p95",
        "--highest",
        "critical",
        "--until",
        "+2h",
        "--json",
    ];
    let (code, out, err) = command(&world, &[&add[..], &reason].concat()).await;
    assert_eq!(code, Some(0), "{err}");
    let said: Value = serde_json::from_str(&out).expect("JSON");
    let id = said["what"]["id"].as_str().expect("an id");
    let (_, out, _) = command(&world, &["quiet", "list"]).await;
    let line = format!("now   {id}  silence (rule p95, operations, up to critical) from ");
    assert!(
        out.contains(&line) && out.contains("next  sunday-cosmos  window"),
        "{out}"
    );
    let (code, _, err) = command(&world, &["quiet", "end", id, "--reason", "repaired"]).await;
    assert_eq!(code, Some(0), "{err}");
    let (_, out, _) = command(&world, &["quiet", "list"]).await;
    assert!(
        out.contains("ended") && out.contains("by operator: repaired"),
        "{out}"
    );
    let (code, _, _) = command(
        &world,
        &[&["quiet", "add", "--until", "+2h"][..], &reason].concat(),
    )
    .await;
    assert_eq!(code, Some(2));
}
