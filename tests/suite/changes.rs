//! Changes through the front door: proposed, decided about, held back, made and read back.

use std::time::Duration;

use futures::future::join_all;
use poolkeeper::app::Clock;
use poolkeeper::local::host::Host;
use poolkeeper::local::simulator::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::processes::{ended, host, killed, run_by_hand, until};
use crate::world::{OPERATOR, REVIEWER, World};

const THREADS: &str = "cosmos-agents-jpe/agents/threads";

fn throughput(ru: u32) -> Value {
    json!({
        "ask": { "kind": "cosmos_throughput", "resource": THREADS, "to": { "manual": ru } },
        "why": "busy since noon",
    })
}

/// Makes one kind of change that is made without being asked.
pub(crate) fn acting(kind: &str) -> impl Fn(&str) -> String {
    let from = format!("[policy.{kind}]\nmode = \"propose\"");
    let to = format!("[policy.{kind}]\nmode = \"act\"");
    move |estate| {
        assert!(estate.contains(&from), "{from}");
        estate.replace(&from, &to)
    }
}

/// Throughput that people change is changed without asking: scaling does not own it.
fn unscaled(estate: &str) -> String {
    let owned = "[scaling.cosmos]\nown = true";
    assert!(estate.contains(owned));
    let estate = estate.replace(owned, "[scaling.cosmos]\nown = false");
    acting("cosmos_throughput")(&estate)
}

/// Proposes, and gives the run at its end.
async fn propose(world: &World, base: &str, key: &str, body: &Value) -> Value {
    let (status, answer) = world
        .post_as(key, format!("{base}/api/changes"), body)
        .await;
    assert_eq!(status, 202, "{answer}");
    worked(world, base, &answer).await
}

pub(crate) async fn worked(world: &World, base: &str, answer: &Value) -> Value {
    let run = answer["run"].as_str().expect("a run");
    world.deliver(base, run).await;
    world.get(format!("{base}/api/runs/{run}")).await
}

pub(crate) async fn say(
    world: &World,
    base: &str,
    key: &str,
    change: &Value,
    action: &str,
) -> (u16, Value) {
    let id = change["id"].as_str().expect("an id");
    let body = json!({ "hash": change["hash"], "reason": "looked at it" });
    world
        .post_as(key, format!("{base}/api/changes/{id}/{action}"), &body)
        .await
}

#[tokio::test]
async fn an_approved_change_is_made_once_read_back_and_can_be_taken_back() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let run = propose(&world, &base, REVIEWER, &throughput(1200)).await;
    let change = &run["changes"][0];
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{run}");
    assert_eq!(
        change["difference"],
        format!("{THREADS}: 1000 RU/s -> 1200 RU/s")
    );
    assert!(world.simulator.mutations().is_empty());

    let (status, answer) = say(&world, &base, OPERATOR, change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let (again, same) = say(&world, &base, OPERATOR, change, "approve").await;
    assert_eq!((again, &same["status"]), (202, &json!("duplicate")));
    let run = worked(&world, &base, &answer).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let outcome = &run["changes"][0]["outcome"];
    assert_eq!(outcome, &json!({ "is": "verified", "seen": "1200 RU/s" }));
    let told = world.simulator.changes().await;
    assert_eq!(told, [format!("{THREADS}: throughput 1000 -> 1200 RU/s")]);
    let id = change["id"].as_str().expect("an id");
    let record = world.get(format!("{base}/api/changes/{id}")).await;
    assert_eq!(record["outcome"]["is"], "verified");
    let (status, _) = say(&world, &base, OPERATOR, change, "approve").await;
    assert_eq!(status, 409, "it is not open any more");

    let url = format!("{base}/api/changes/{id}/undo");
    let (status, answer) = world
        .post_as(REVIEWER, url, &json!({ "reason": "calm again" }))
        .await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&world, &base, &answer).await;
    let back = &run["changes"][0];
    assert_eq!(
        back["difference"],
        format!("{THREADS}: 1200 RU/s -> 1000 RU/s")
    );
    let (_, answer) = say(&world, &base, OPERATOR, back, "approve").await;
    let run = worked(&world, &base, &answer).await;
    // The resource was changed a moment ago, and the proposal stays open.
    assert_eq!(
        run["changes"][0]["outcome"]["hold"]["because"],
        "cooling_down"
    );
    assert_eq!(run["state"], "held");
    let open = format!("{base}/api/changes?outcome=awaiting_approval");
    let open = world.get(open).await;
    assert_eq!(open["changes"][0]["id"], back["id"], "{open}");
    let (status, answer) = say(&world, &base, OPERATOR, back, "reject").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "rejected", "{run}");
    assert_eq!(world.simulator.changes().await.len(), 1);
}

#[tokio::test]
async fn only_a_verified_approver_who_did_not_propose_decides_about_what_they_saw() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let run = propose(&world, &base, OPERATOR, &throughput(1200)).await;
    let change = run["changes"][0].clone();
    let id = change["id"].as_str().expect("an id");
    let place = format!("{base}/api/changes/{id}/approve");
    let body = json!({ "hash": change["hash"], "reason": "looked at it" });

    // Headers that only the platform may write, written by anybody.
    let forged =
        r#"{"auth_typ":"aad","claims":[{"typ":"name","val":"reviewer"}],"name_typ":"name"}"#;
    let answer = world
        .http
        .post(&place)
        .header("x-ms-client-principal", base64(forged))
        .header("x-ms-client-principal-name", "reviewer")
        .json(&body)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 401);
    let cases = [
        (
            "a key of nobody",
            "no-such-key-0123456789",
            body.clone(),
            401,
        ),
        ("who proposed", OPERATOR, body.clone(), 403),
        (
            "another change than was seen",
            REVIEWER,
            json!({ "hash": "0".repeat(64), "reason": "r" }),
            409,
        ),
        (
            "no reason",
            REVIEWER,
            json!({ "hash": change["hash"], "reason": " " }),
            400,
        ),
        (
            "a name in the body",
            REVIEWER,
            json!({ "hash": change["hash"], "reason": "r", "by": "ann" }),
            400,
        ),
        ("no JSON", REVIEWER, json!("x"), 400),
    ];
    for (name, key, body, expected) in cases {
        let (status, answer) = world.post_as(key, place.clone(), &body).await;
        assert_eq!(status, expected, "{name}: {answer}");
    }
    let url = format!("{base}/api/changes/{}/approve", "0".repeat(20));
    assert_eq!(world.post_as(REVIEWER, url, &body).await.0, 404);
    world.tick(&base, "minute-tick").await;
    assert!(world.simulator.mutations().is_empty());

    // Where the platform vouches, its header counts, and the name in it is no approver.
    let mut settings = world.settings();
    settings.insert("POOLKEEPER_EASY_AUTH".into(), "true".into());
    let vouched = world.handler_with(settings, Clock::System).await;
    for (name, expected) in [("ann@example.com", 403), ("Reviewer", 202)] {
        let principal = json!({
            "auth_typ": "aad",
            "claims": [{ "typ": "name", "val": name }, { "typ": "oid", "val": "7" }],
            "name_typ": "name",
        });
        let answer = world
            .http
            .post(format!("{vouched}/api/changes/{id}/approve"))
            .header("x-ms-client-principal", base64(&principal.to_string()))
            .header("x-poolkeeper-key", OPERATOR)
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), expected, "{name}");
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn a_change_that_was_edited_after_its_approval_is_not_made() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    let run = propose(&world, &base, REVIEWER, &throughput(1200)).await;
    let change = run["changes"][0].clone();
    let (status, answer) = say(&world, &base, OPERATOR, &change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let path = format!("changes/{}.json", change["id"].as_str().expect("an id"));
    let stored = store.get::<Value>(&path).await.expect("an answer");
    let stored = stored.expect("a document");
    let mut edited = stored.value;
    edited["change"]["to"] = json!({ "manual": 9000 });
    store
        .replace(&path, &edited, &stored.etag, None)
        .await
        .expect("written");
    let run = worked(&world, &base, &answer).await;
    assert_eq!(run["state"], "held", "{run}");
    assert_eq!(run["changes"][0]["outcome"]["hold"]["because"], "edited");
    assert_eq!(run["findings"][0]["code"], "change-edited");

    // It is off the table, whatever hash of it is named now.
    let (status, told) = say(&world, &base, OPERATOR, &change, "approve").await;
    assert_eq!(status, 409, "{told}");
    assert!(world.simulator.mutations().is_empty());

    // One that is edited before anybody looks does not get made either.
    let run = propose(&world, &base, REVIEWER, &throughput(1300)).await;
    let id = run["changes"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("changes/{id}.json");
    let stored = store.get::<Value>(&path).await.expect("an answer");
    let stored = stored.expect("a document");
    let mut edited = stored.value;
    edited["change"]["to"] = json!({ "manual": 9000 });
    let written = store.replace(&path, &edited, &stored.etag, None).await;
    written.expect("written");
    let seen = json!({ "id": id, "hash": run["changes"][0]["hash"] });
    let (status, told) = say(&world, &base, OPERATOR, &seen, "approve").await;
    assert_eq!(status, 409, "{told}");
    let named = told["error"].as_str().expect("a reason");
    let seen = json!({ "id": id, "hash": named.rsplit(' ').next() });
    let (status, answer) = say(&world, &base, OPERATOR, &seen, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&world, &base, &answer).await;
    let hold = &run["changes"][0]["outcome"]["hold"];
    assert_eq!(hold["because"], "edited", "{run}");
    assert!(world.simulator.mutations().is_empty());
}

/// A record that was edited so that who proposed may approve, or may do so longer.
#[tokio::test]
async fn a_record_that_was_edited_opens_no_door() {
    for (field, value) in [
        ("by", json!("reviewer")),
        ("proposed", json!("2026-01-01T00:00:00Z")),
    ] {
        let world = World::start().await;
        let base = world.handler(Clock::System).await;
        let app = world.app(Clock::System);
        let store = app.store().expect("a store");
        let run = propose(&world, &base, OPERATOR, &throughput(1200)).await;
        let change = run["changes"][0].clone();
        let path = format!("changes/{}.json", change["id"].as_str().expect("an id"));
        let stored = store.get::<Value>(&path).await.expect("an answer");
        let stored = stored.expect("a document");
        let mut edited = stored.value;
        edited[field] = value;
        let written = store.replace(&path, &edited, &stored.etag, None).await;
        written.expect("written");
        let key = if field == "by" { OPERATOR } else { REVIEWER };
        let (status, answer) = say(&world, &base, key, &change, "approve").await;
        assert_eq!(status, 202, "{field}: {answer}");
        let run = worked(&world, &base, &answer).await;
        let hold = &run["changes"][0]["outcome"]["hold"];
        assert_eq!(hold["because"], "edited", "{field}: {run}");
        assert!(world.simulator.mutations().is_empty(), "{field}");
    }
}

/// What the front door shows when one belt of the guard holds a change that nothing else would.
#[tokio::test]
async fn each_belt_holds_a_change_that_would_be_made_otherwise() {
    type Turn = fn(&str) -> String;
    let act: fn(&str) -> String = unscaled;
    let cases: [(&str, Turn, Option<&str>, &str); 7] = [
        ("none", act, None, "verified"),
        ("propose", |e| e.to_owned(), None, "awaiting_approval"),
        (
            "observe",
            |e| {
                e.replacen(
                    "cosmos_throughput]\nmode = \"propose\"",
                    "cosmos_throughput]\nmode = \"observe\"",
                    1,
                )
            },
            None,
            "observed",
        ),
        ("ceiling", act, Some("observe"), "observed"),
        (
            "window",
            |e| {
                let at = chrono::Utc::now() + chrono::Duration::hours(12);
                let hour = at.with_timezone(&chrono_tz::Asia::Tokyo).format("%H");
                let window = format!("windows = [\"{hour}:00-{hour}:01\"]\ncooldown = \"10m\"");
                unscaled(e).replacen("cooldown = \"10m\"", &window, 1)
            },
            None,
            "outside_window",
        ),
        (
            "rate",
            |e| {
                unscaled(e)
                    .replace("most_per_hour = 10", "most_per_hour = 1")
                    .replacen("cooldown = \"10m\"", "cooldown = \"0m\"", 1)
            },
            None,
            "rate_limited",
        ),
        (
            "share",
            |e| unscaled(e).replace("most_per_hour = 10", "most_share_percent = 20"),
            None,
            "share",
        ),
    ];
    for (name, turn, ceiling, expected) in cases {
        let world = World::start().await;
        let mut settings = world.settings_with_estate(turn);
        if let Some(mode) = ceiling {
            settings.insert("POOLKEEPER_MODE".into(), mode.into());
        }
        let base = world.handler_with(settings, Clock::System).await;
        if name == "rate" {
            propose(&world, &base, OPERATOR, &throughput(1100)).await;
        }
        let before = world.simulator.changes().await.len();
        let run = propose(&world, &base, OPERATOR, &throughput(1200)).await;
        let outcome = &run["changes"][0]["outcome"];
        let came = outcome["hold"]["because"]
            .as_str()
            .or(outcome["is"].as_str());
        assert_eq!(came, Some(expected), "{name}: {run}");
        let made = world.simulator.changes().await.len() - before;
        assert_eq!(made, usize::from(name == "none"), "{name}");
    }
}

#[tokio::test]
async fn the_kill_switch_stops_every_instance_and_only_an_approver_turns_it_off() {
    let world = World::start().await;
    let settings = world.settings_with_estate(unscaled);
    let one = world.handler_with(settings.clone(), Clock::System).await;
    let other = world.handler_with(settings, Clock::System).await;
    let nobody =
        world.settings_with_estate(|e| e.replace("approvers = [\"operator\", \"reviewer\"]", ""));
    let nobody = world.handler_with(nobody, Clock::System).await;
    let switch = |base: &str, to: &str| format!("{base}/api/changes/kill-switch/{to}");
    let reason = json!({ "reason": "storm" });
    let (status, _) = world.post(switch(&one, "on"), &reason).await;
    assert_eq!(status, 401);
    let (status, _) = world
        .post_as(OPERATOR, switch(&one, "on"), &json!({ "reason": "" }))
        .await;
    assert_eq!(status, 400);
    let (status, told) = world.post_as(OPERATOR, switch(&one, "on"), &reason).await;
    assert_eq!(status, 200, "{told}");
    let run = propose(&world, &other, OPERATOR, &throughput(1200)).await;
    let hold = &run["changes"][0]["outcome"]["hold"];
    assert_eq!(
        hold,
        &json!({ "because": "kill_switch", "by": "operator", "reason": "storm" })
    );
    let shown = world.get(format!("{other}/api/changes/kill-switch")).await;
    assert_eq!(shown["on"], true);
    let (status, _) = world
        .post_as(OPERATOR, switch(&nobody, "off"), &reason)
        .await;
    assert_eq!(status, 403, "where no policy names them");
    let (status, _) = world
        .post_as(REVIEWER, switch(&other, "off"), &reason)
        .await;
    assert_eq!(status, 200);
    let run = propose(&world, &one, OPERATOR, &throughput(1300)).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    // Who turned it is in the journal.
    let runs = world.get(format!("{one}/api/runs")).await;
    let turned = runs["runs"].as_array().expect("runs").iter();
    assert_eq!(
        turned
            .filter(|r| r["work"]["kind"] == "kill_switch")
            .count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_proposals_for_one_resource_on_two_hosts_make_one_write() {
    let world = World::start().await;
    let settings = world.settings_with_estate(unscaled);
    let hosts = [host(settings.clone()).await, host(settings).await];
    let answers = join_all((0..20).map(|i| {
        let url = format!("{}/api/changes", hosts[i % 2].url());
        let body = throughput(1100 + 100 * (i as u32 % 5));
        let world = &world;
        async move { world.post_as(OPERATOR, url, &body).await }
    }))
    .await;
    let mut outcomes = Vec::new();
    for (status, answer) in answers {
        assert_eq!(status, 202, "{answer}");
        let run = answer["run"].as_str().expect("a run").to_owned();
        let place = format!("{}/api/runs/{run}", hosts[0].url());
        let run = until("the run ends", Duration::from_secs(90), || async {
            let run = world.get(place.clone()).await;
            (!run["finished"].is_null()).then_some(run)
        })
        .await;
        let outcome = &run["changes"][0]["outcome"];
        let came = outcome["hold"]["because"]
            .as_str()
            .or(outcome["is"].as_str());
        // Whoever came later may have found what it asked for, and proposed nothing.
        outcomes.push(came.unwrap_or("impossible").to_owned());
    }
    let made = outcomes.iter().filter(|o| *o == "verified").count();
    assert_eq!(made, 1, "{outcomes:?}");
    assert_eq!(world.simulator.changes().await.len(), 1);
    assert_eq!(world.simulator.mutations().len(), 1);
}

#[tokio::test]
async fn what_azure_accepts_and_does_not_do_is_no_success() {
    for (kind, expected) in [
        (FaultKind::OperationFails, "failed"),
        (FaultKind::NoEffect, "not_verified"),
        (FaultKind::Denied, "failed"),
        (FaultKind::Throttle, "verified"),
        (FaultKind::LostAnswer, "verified"),
    ] {
        let world = World::start().await;
        let settings = world.settings_with_estate(unscaled);
        let base = world.handler_with(settings, Clock::System).await;
        world.simulator.fault(Fault {
            kind,
            method: Some("PUT".into()),
            contains: Some("throughputSettings".into()),
            times: Some(1),
            ..Fault::default()
        });
        let run = propose(&world, &base, OPERATOR, &throughput(1200)).await;
        let outcome = &run["changes"][0]["outcome"];
        assert_eq!(outcome["is"], expected, "{kind:?}: {run}");
        let state = if expected == "verified" {
            "succeeded"
        } else {
            "failed"
        };
        assert_eq!(run["state"], state, "{kind:?}");
        let made = world.simulator.changes().await.len();
        assert_eq!(made, usize::from(expected == "verified"), "{kind:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_changed_is_told_and_nothing_is_called() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let outside = "/subscriptions/99999999-2222-4333-8444-555555555555/resourceGroups/g/providers/Microsoft.App/containerApps/agent-api";
    let restart = |resource: &str| json!({ "kind": "app_restart", "resource": resource });
    let throughput = |resource: &str, to: Value| json!({ "kind": "cosmos_throughput", "resource": resource, "to": to });
    let cases = [
        ("outside the estate", restart(outside), "not in the estate"),
        (
            "an address",
            restart("http://127.0.0.1:1/x"),
            "not in the estate",
        ),
        (
            "a way out",
            restart("agent-api/../../x"),
            "not in the estate",
        ),
        ("no such app", restart("agent"), "not in the estate"),
        (
            "a revision that leads away",
            json!({
                "kind": "app_restart",
                "resource": "agent-api",
                "revision": "../../other-app/revisions/r1",
            }),
            "not an address of Azure",
        ),
        (
            "an app's throughput",
            throughput("agent-api", json!({ "manual": 400 })),
            "not in the estate",
        ),
        (
            "no such container",
            throughput("cosmos-agents-jpe/agents/none", json!({ "manual": 400 })),
            "no throughput of its own",
        ),
        (
            "between steps",
            throughput(THREADS, json!({ "manual": 1250 })),
            "not a multiple of 100",
        ),
        (
            "below the least",
            throughput(THREADS, json!({ "manual": 100 })),
            "below 400 RU/s",
        ),
        (
            "another mode",
            throughput(THREADS, json!({ "autoscale": 4000 })),
            "another operation",
        ),
        (
            "an undo of nothing",
            json!({ "kind": "undo", "change": "0".repeat(20) }),
            "no such change",
        ),
    ];
    for (name, ask, words) in cases {
        let run = propose(&world, &base, OPERATOR, &json!({ "ask": ask, "why": "w" })).await;
        assert_eq!(run["state"], "succeeded_with_findings", "{name}: {run}");
        let message = run["findings"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{name}: {run}");
        assert_eq!(run["changes"], json!([]), "{name}");
    }
    for (name, body) in [
        (
            "no reason",
            json!({ "ask": restart("agent-api"), "why": "" }),
        ),
        (
            "no such kind",
            json!({ "ask": { "kind": "delete" }, "why": "w" }),
        ),
        ("no JSON", json!(null)),
    ] {
        let (status, answer) = world
            .post_as(OPERATOR, format!("{base}/api/changes"), &body)
            .await;
        assert_eq!(status, 400, "{name}: {answer}");
    }
    assert!(world.simulator.mutations().is_empty());
}

#[tokio::test]
async fn apps_are_scaled_and_restarted_and_a_dry_run_only_says_so() {
    let world = World::start().await;
    let settings =
        world.settings_with_estate(|e| acting("app_restart")(&acting("app_replicas")(e)));
    let base = world.handler_with(settings, Clock::System).await;
    let scale = json!({ "kind": "app_replicas", "resource": "agent-api", "to": { "least": 3, "most": 12 } });
    let body = json!({ "ask": scale, "why": "launch day", "dryRun": true });
    let run = propose(&world, &base, OPERATOR, &body).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "planned", "{run}");
    assert_eq!(
        run["changes"][0]["difference"],
        "agent-api: 2-10 replicas -> 3-12 replicas"
    );
    assert!(world.simulator.mutations().is_empty());
    let body = json!({ "ask": scale, "why": "launch day" });
    let run = propose(&world, &base, OPERATOR, &body).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    let restart =
        json!({ "ask": { "kind": "app_restart", "resource": "agent-worker" }, "why": "it hangs" });
    let run = propose(&world, &base, OPERATOR, &restart).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    let told = world.simulator.changes().await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("agent-api: replicas 2-10 -> 3-12"),
        "{told:?}"
    );
    assert!(told[1].ends_with(": restarted"), "{told:?}");
}

/// A handler that hangs in the middle of an approved change.
async fn hanging(world: &World) -> (Host, Value, String) {
    let host = host(world.settings()).await;
    let base = host.url();
    let (_, answer) = world
        .post_as(OPERATOR, format!("{base}/api/changes"), &throughput(1200))
        .await;
    let place = format!("{base}/api/runs/{}", answer["run"].as_str().expect("a run"));
    let run = ended(world, &place).await;
    world.simulator.fault(Fault {
        kind: FaultKind::Timeout,
        method: Some("PUT".into()),
        contains: Some("throughputSettings".into()),
        ..Fault::default()
    });
    let change = run["changes"][0].clone();
    let (status, answer) = say(world, &base, REVIEWER, &change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let place = format!("{base}/api/runs/{}", answer["run"].as_str().expect("a run"));
    until("it is begun", Duration::from_secs(30), || async {
        let log = format!("journal/{}.log", answer["run"].as_str().expect("a run"));
        let app = world.app(Clock::System);
        let log = app
            .store()
            .expect("a store")
            .log(&log)
            .await
            .expect("a log")?;
        String::from_utf8_lossy(&log)
            .contains("\"intent\"")
            .then_some(())
    })
    .await;
    (host, change, place)
}

/// Sets the throughput as somebody else would, past Poolkeeper.
async fn put_threads(world: &World, ru: u32) {
    let token = world.token("https://management.azure.com").await;
    let threads = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe/sqlDatabases/agents/containers/threads";
    let url = format!(
        "{}{threads}/throughputSettings/default?api-version=2024-08-15",
        world.simulator.url()
    );
    let body =
        json!({ "location": "Japan East", "properties": { "resource": { "throughput": ru } } });
    let request = world.http.put(&url).bearer_auth(&token).json(&body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
    // The operation takes its time on the clock of the estate.
    world.simulator.advance(Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_taken_up_again_does_not_undo_what_somebody_did_meanwhile() {
    let world = World::start_unrecorded().await;
    let (host, _, place) = hanging(&world).await;
    killed(&world, &host).await;
    world.simulator.clear_faults();
    put_threads(&world, 800).await;
    run_by_hand(&world, &host, "minute-tick").await;
    let run = ended(&world, &place).await;
    let outcome = &run["changes"][0]["outcome"];
    assert_eq!(outcome["is"], "not_verified", "{run}");
    assert!(
        outcome["seen"]
            .as_str()
            .is_some_and(|s| s.starts_with("800 RU/s")),
        "{run}"
    );
    let told = world.simulator.changes().await;
    assert_eq!(told, [format!("{THREADS}: throughput 1000 -> 800 RU/s")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_every_process_dies_over_is_given_up_and_blocks_nothing() {
    let world = World::start_unrecorded().await;
    let (host, change, place) = hanging(&world).await;
    for _ in 0..14 {
        let before = world.get(place.clone()).await;
        killed(&world, &host).await;
        if !before["finished"].is_null() {
            break;
        }
        run_by_hand(&world, &host, "minute-tick").await;
        until("it is begun again", Duration::from_secs(60), || async {
            let run = world.get(place.clone()).await;
            (run["fence"] != before["fence"] || !run["finished"].is_null()).then_some(())
        })
        .await;
    }
    let run = ended(&world, &place).await;
    assert_eq!(run["state"], "failed", "{run}");
    assert_eq!(run["findings"][0]["code"], "gave-up");
    let base = host.url();
    let id = change["id"].as_str().expect("an id");
    let record = world.get(format!("{base}/api/changes/{id}")).await;
    assert_eq!(record["outcome"]["is"], "failed", "{record}");
    assert_eq!(record["decisions"], 1);
    let (status, _) = say(&world, &base, REVIEWER, &change, "reject").await;
    assert_eq!(status, 409);
    assert!(world.simulator.changes().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_made_by_a_process_that_died_is_told_as_made_whatever_holds_it_now() {
    let world = World::start_unrecorded().await;
    let (host, _, place) = hanging(&world).await;
    killed(&world, &host).await;
    world.simulator.clear_faults();
    let url = format!("{}/api/changes/kill-switch/on", host.url());
    let (status, _) = world
        .post_as(OPERATOR, url, &json!({ "reason": "storm" }))
        .await;
    assert_eq!(status, 200);
    put_threads(&world, 1200).await;
    run_by_hand(&world, &host, "minute-tick").await;
    let run = ended(&world, &place).await;
    let outcome = &run["changes"][0]["outcome"];
    assert_eq!(outcome["is"], "verified", "{run}");
}
