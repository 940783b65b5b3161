//! What happens when storage fails, and how: throttled, broken, lost on the way, refused.

use std::time::{Duration, Instant};

use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::alerts::alert;
use crate::world::World;

fn fault(kind: FaultKind, method: &str, contains: &str, times: Option<u32>) -> Fault {
    Fault {
        kind,
        method: Some(method.to_owned()),
        contains: Some(contains.to_owned()),
        times,
        ..Fault::default()
    }
}

#[tokio::test]
async fn an_alert_is_taken_once_or_refused_however_storage_fails() {
    use FaultKind::{Denied, Error, HalfAnswer, Latency, LostAnswer, Throttle, Timeout};
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    // The first alert makes the container and the queue.
    let (status, _) = world
        .post(format!("{base}/api/alerts"), &alert("f-0", "Fired"))
        .await;
    assert_eq!(status, 202);
    let cases = [
        ("throttled", Throttle, "PUT", "inbox", Some(2), 202),
        ("a server error", Error, "PUT", "inbox", Some(2), 202),
        (
            "done, and the answer lost",
            LostAnswer,
            "PUT",
            "inbox",
            Some(1),
            202,
        ),
        (
            "done, and half an answer",
            HalfAnswer,
            "PUT",
            "inbox",
            Some(1),
            202,
        ),
        ("slow", Latency { ms: 300 }, "PUT", "inbox", Some(1), 202),
        ("no answer at first", Timeout, "PUT", "inbox", Some(1), 202),
        ("no message", Error, "POST", "messages", None, 202),
        ("throttled for long", Throttle, "PUT", "inbox", None, 503),
        ("refused", Denied, "PUT", "inbox", None, 503),
        ("no answer ever", Timeout, "PUT", "inbox", None, 503),
    ];
    let mut taken = 1;
    for (number, (name, kind, method, contains, times, expected)) in cases.into_iter().enumerate() {
        clear(&world).await;
        world.simulator.fault(fault(kind, method, contains, times));
        let body = alert(&format!("f-{}", number + 1), "Fired");
        let started = Instant::now();
        let (status, answer) = world.post(format!("{base}/api/alerts"), &body).await;
        assert_eq!(status, expected, "{name}: {answer}");
        // Action groups wait 10 seconds.
        assert!(started.elapsed() < Duration::from_secs(10), "{name}");
        if status == 202 {
            assert_eq!(
                answer["status"], "accepted",
                "{name}: it is new to its sender"
            );
            taken += 1;
        }
        clear(&world).await;
        let count = world.get(format!("{base}/api/runs?count=true")).await;
        assert_eq!(count["accepted"], taken, "{name}");
    }
    world.tick(&base, "minute-tick").await;
    let runs = world.get(format!("{base}/api/runs")).await;
    let states: Vec<&str> = runs["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .filter_map(|r| r["state"].as_str())
        .collect();
    // Azure knows nothing of these alerts, which is a finding.
    assert_eq!(states, vec!["succeeded_with_findings"; taken]);
    assert_eq!(runs["waiting"], 0);
}

/// Work goes on through passing faults of every kind, and its journal stays whole.
#[tokio::test]
async fn work_is_done_once_though_answers_are_lost() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let (status, answer) = world
        .post(format!("{base}/api/alerts"), &alert("w-1", "Fired"))
        .await;
    assert_eq!(status, 202);
    for kind in [
        FaultKind::LostAnswer,
        FaultKind::HalfAnswer,
        FaultKind::Throttle,
        FaultKind::Error,
    ] {
        for part in [
            "journal",
            "appendblock",
            "runs",
            "comp=lease",
            "by-time",
            "alerts",
        ] {
            world.simulator.fault(fault(kind, "PUT", part, Some(1)));
        }
        world.simulator.fault(fault(kind, "GET", "", Some(2)));
        world.simulator.fault(fault(kind, "DELETE", "", Some(1)));
    }
    // A tick may give up on a run; the next one goes on with it.
    let place = format!("{base}/api/runs/{}", answer["run"].as_str().expect("a run"));
    crate::processes::until("the run ends", Duration::from_secs(60), || async {
        let tick = json!({ "Data": { "tick": {} }, "Metadata": {} });
        let (status, _) = world.post(format!("{base}/minute-tick"), &tick).await;
        assert!(matches!(status, 200 | 500 | 503), "{status}");
        let run = world.get(place.clone()).await;
        (run["state"] == "succeeded_with_findings").then_some(())
    })
    .await;
    clear(&world).await;
    world.tick(&base, "minute-tick").await;
    let app = world.app(Clock::System);
    let verdict = poolkeeper::journal::verify_all(
        app.store().expect("a store"),
        app.anchors().expect("anchors"),
    );
    let verdict = verdict.await.expect("a verdict");
    assert_eq!(verdict.broken().count(), 0, "{verdict:?}");
    let run = world.get(place).await;
    assert_eq!(run["tasks"].as_array().map(Vec::len), Some(1), "{run}");
}

async fn clear(world: &World) {
    let answer = faults(world, reqwest::Method::DELETE, None).await;
    assert_eq!(answer.0, 204);
}

async fn faults(world: &World, method: reqwest::Method, body: Option<Value>) -> (u16, String) {
    let url = format!("{}/_sim/faults", world.simulator.url());
    let mut request = world
        .http
        .request(method, url)
        .header("x-sim-key", world.simulator.sim_key());
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn faults_are_asked_for_by_who_knows_the_key_and_nobody_else() {
    use reqwest::Method;
    let world = World::start().await;
    let fault = json!({ "kind": "throttle", "contains": "/blob/", "times": 1 });
    let (status, why) = faults(&world, Method::POST, Some(fault)).await;
    assert_eq!(status, 204, "{why}");
    let (status, list) = faults(&world, Method::GET, None).await;
    assert_eq!(status, 200);
    assert!(list.contains("throttle"), "{list}");
    let latency = json!({ "kind": { "latency": { "ms": 5 } } });
    assert_eq!(faults(&world, Method::POST, Some(latency)).await.0, 204);
    for wrong in [
        json!({ "kind": "explode" }),
        json!({ "kind": "error", "time": 1 }),
        json!([]),
    ] {
        let (status, _) = faults(&world, Method::POST, Some(wrong.clone())).await;
        assert_eq!(status, 400, "{wrong}");
    }
    let url = format!("{}/_sim/faults", world.simulator.url());
    let key = world.simulator.sim_key();
    for (name, request, status) in [
        ("no key", world.http.get(&url), 401),
        (
            "a wrong key",
            world.http.delete(&url).header("x-sim-key", "x"),
            401,
        ),
        (
            "a page",
            world
                .http
                .get(&url)
                .header("x-sim-key", key)
                .header("origin", "http://evil.example"),
            403,
        ),
        (
            "a rebound name",
            world
                .http
                .get(&url)
                .header("x-sim-key", key)
                .header("host", "evil.example"),
            403,
        ),
    ] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{name}");
    }
}

#[tokio::test]
async fn a_managed_identity_gets_tokens_that_are_good_for_what_they_name() {
    let world = World::start_unrecorded().await;
    world
        .app(Clock::System)
        .store()
        .expect("a store")
        .create("d.json", &json!(1))
        .await
        .expect("created");
    let ask = |header: String, query: &str| {
        let url = format!("{}?{query}", world.simulator.identity_url());
        let request = world.http.get(url).header("x-identity-header", header);
        async move {
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            (status, answer.json::<Value>().await.expect("JSON"))
        }
    };
    let header = world.simulator.identity_header().to_owned();
    let version = "api-version=2019-08-01";
    let storage = format!("{version}&resource=https://storage.azure.com/");
    assert_eq!(ask("wrong".into(), &storage).await.0, 401);
    assert_eq!(ask(header.clone(), version).await.0, 400);
    assert_eq!(ask(header.clone(), "resource=r").await.0, 400);
    let (status, good) = ask(header.clone(), &storage).await;
    assert_eq!(status, 200, "{good}");
    assert_eq!(good["token_type"], "Bearer");
    let vault = format!("{version}&resource=https://vault.azure.net");
    let (_, other) = ask(header, &vault).await;
    let url = world.simulator.blob_url();
    let (base, _) = url.split_once('?').expect("a signature");
    let good = good["access_token"].as_str().expect("a token").to_owned();
    let forged = format!("{good}x");
    for (name, token, status) in [
        ("its own", good.as_str(), 200),
        (
            "for a vault",
            other["access_token"].as_str().unwrap_or(""),
            401,
        ),
        ("forged", forged.as_str(), 401),
    ] {
        let answer = world
            .http
            .get(format!("{base}/poolkeeper/d.json"))
            .header("x-ms-version", "2025-11-05")
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{name}");
    }
}
