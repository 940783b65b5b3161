//! What the stand-in for the Functions host does, held against the wire contract.

use std::path::Path;
use std::time::Duration;

use poolkeeper::local::host::{Host, Options};
use serde_json::{Value, json};

use crate::processes::{host, kill, until};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_is_closed_and_passes_requests_on_as_the_host_does() {
    let world = World::start().await;
    let host = host(world.settings()).await;
    let url = |path: &str| format!("{}{path}", host.url());
    let health = world.get(url("/api/health")).await;
    assert_eq!(health["ok"], true);
    let send = |request: reqwest::RequestBuilder| async move {
        request.send().await.expect("an answer").status().as_u16()
    };
    let http = &world.http;
    let chunks = futures::stream::iter([Ok::<_, std::io::Error>("{}")]);
    let admin = url("/admin/functions/minute-tick");
    let key = host.admin_key();
    for (name, request, status) in [
        (
            "a body without length is dropped",
            http.post(url("/api/alerts"))
                .body(reqwest::Body::wrap_stream(chunks)),
            411,
        ),
        ("wrong method", http.get(url("/api/alerts")), 405),
        ("no function", http.get(url("/api/nothing")), 404),
        (
            "another site",
            http.post(url("/api/maintenance/daily"))
                .header("origin", "https://evil.example"),
            403,
        ),
        (
            "a rebound name",
            http.get(url("/api/health")).header("host", "evil.example"),
            403,
        ),
        ("no key", http.post(&admin), 401),
        (
            "a wrong key",
            http.post(&admin).header("x-functions-key", "x"),
            401,
        ),
        (
            "a timer by hand",
            http.post(&admin).header("x-functions-key", key),
            202,
        ),
        (
            "an unknown function",
            http.post(url("/admin/functions/none"))
                .header("x-functions-key", key),
            404,
        ),
        (
            "an HTTP function by hand",
            http.post(url("/admin/functions/alerts"))
                .header("x-functions-key", key),
            400,
        ),
        (
            "repeated query keys are joined",
            http.post(url("/api/maintenance/daily?task=none&task=neither")),
            400,
        ),
    ] {
        assert_eq!(send(request).await, status, "{name}");
    }
    let (status, answer) = world
        .post(
            url("/api/maintenance/daily?task=anchor_journal&dryRun=true"),
            &json!({}),
        )
        .await;
    assert_eq!(status, 202, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_handler_is_restarted_and_one_that_exits_well_is_not() {
    let world = World::start().await;
    let restarted = host(world.settings()).await;
    let first = restarted.handler_pid().expect("a process");
    kill(first);
    until("a new process answers", Duration::from_secs(30), || async {
        restarted.handler_pid().filter(|pid| *pid != first)
    })
    .await;
    let health = world.get(format!("{}/api/health", restarted.url())).await;
    assert_eq!(health["ok"], true);

    let ended = Host::start(Options {
        told_its_url: None,
        app: crate::world::PROJECT.into(),
        port: 0,
        settings: world.settings(),
        executable: "/bin/true".into(),
    })
    .await
    .expect("a host");
    let error = ended
        .ready(Duration::from_secs(30))
        .await
        .expect_err("it has ended");
    assert!(error.to_string().contains("exited with 0"), "{error}");
}

/// A copy of the project's package whose failed messages come back at once.
fn impatient(folder: &Path) {
    let source = Path::new(crate::world::PROJECT);
    let text = std::fs::read_to_string(source.join("host.json")).expect("host.json");
    let mut host: Value = serde_json::from_str(&text).expect("JSON");
    host["extensions"]["queues"]["visibilityTimeout"] = json!("00:00:00");
    host["extensions"]["queues"]["maxPollingInterval"] = json!("00:00:01");
    // Under the host, `serve` is what it does without being told.
    host["customHandler"]["description"]["arguments"] = json!([]);
    std::fs::write(folder.join("host.json"), host.to_string()).expect("written");
    for name in ["work", "health"] {
        let to = folder.join(name);
        std::fs::create_dir_all(&to).expect("a folder");
        std::fs::copy(
            source.join("functions").join(name).join("function.json"),
            to.join("function.json"),
        )
        .expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_fails_five_times_lands_in_the_poison_queue() {
    let world = World::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    impatient(folder.path());
    let app = world.app(poolkeeper::app::Clock::System);
    app.store()
        .expect("a store")
        .send(&json!({ "no": "run" }), Duration::ZERO)
        .await
        .expect("sent");
    let _host = Host::start(Options {
        told_its_url: None,
        app: folder.path().to_owned(),
        port: 0,
        settings: world.settings(),
        executable: env!("CARGO_BIN_EXE_poolkeeper").into(),
    })
    .await
    .expect("a host");
    let queue = world.simulator.queue_url();
    let (base, sas) = queue.split_once('?').expect("a signature");
    let peek = |queue: &str| format!("{base}/{queue}/messages?peekonly=true&{sas}");
    let text = |url: String| async {
        let answer = world.http.get(url).send().await.expect("an answer");
        answer.text().await.expect("text")
    };
    until("the message is poison", Duration::from_secs(30), || async {
        text(peek("poolkeeper-work-poison"))
            .await
            .contains("<MessageText>")
            .then_some(())
    })
    .await;
    let left = text(peek("poolkeeper-work")).await;
    assert!(!left.contains("<MessageText>"), "{left}");
}
