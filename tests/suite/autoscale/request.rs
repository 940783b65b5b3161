//! Scaling on request: by the web, and at the keyboard.

use serde_json::{Value, json};

use super::{Scaled, WORKER, acts, three_replicas};
use crate::world::OPERATOR;

#[tokio::test]
async fn a_dry_run_changes_and_remembers_nothing_and_only_what_is_owned_can_be_asked_for() {
    let scaled = Scaled::start(three_replicas(&["app_replicas"])).await;
    let (status, run) = scaled.ask("?resource=agent-worker&dryRun=true").await;
    assert_eq!(status, 202, "{run}");
    assert_eq!(run["changes"][0]["outcome"]["is"], "planned", "{run}");
    assert_eq!(run["work"]["cause"]["by"], "reviewer", "{run}");
    assert!(scaled.sim().changes().await.is_empty());
    assert_eq!(scaled.shown(WORKER).await["last"], json!(null));
    let (status, answer) = scaled.ask("?resource=agent-api").await;
    assert_eq!(status, 400, "{answer}");
    let (status, answer) = scaled.ask("?dryRun=perhaps").await;
    assert_eq!(status, 400, "{answer}");
    let base = scaled.handler().await;
    let url = format!("{base}/api/autoscale/run");
    let (status, answer) = scaled.world.post(url.clone(), &json!({})).await;
    assert_eq!(status, 401, "nobody: {answer}");
    let foreign = scaled.world.http.post(url);
    let foreign = foreign.header("origin", "https://evil.example");
    let foreign = foreign.header("x-poolkeeper-key", OPERATOR);
    let status = foreign.send().await.expect("an answer").status();
    assert_eq!(status, 403);
    let (status, run) = scaled.ask("?resource=agent-worker").await;
    assert_eq!(
        (status, &run["changes"][0]["outcome"]["is"]),
        (202, &json!("verified")),
        "{run}"
    );
}

/// A command of the program: its exit code, and what it printed.
async fn command(scaled: &Scaled, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let done = tokio::process::Command::new(crate::processes::HANDLER)
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .envs(scaled.settings.clone())
        .output()
        .await
        .expect("a process");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_keyboard_scaling_looks_and_shows_what_it_decided() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    let (code, out, err) = command(&scaled, &["autoscale", "show"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("agent-worker"), "{out}");
    assert!(out.contains("not looked at yet"), "{out}");
    let run = [
        "autoscale",
        "run",
        "--resource",
        "cosmos-agents-jpe/agents/threads",
    ];
    let dry = [&run[..], &["--dry-run", "--json"]].concat();
    let (code, out, err) = command(&scaled, &dry).await;
    assert_eq!(code, Some(0), "{err}");
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(said["decided"][0]["because"], "throttled", "{said}");
    assert_eq!(said["run"]["changes"][0]["outcome"]["is"], "planned");
    assert_eq!(scaled.changes().await, Vec::<String>::new());
    let (code, out, err) = command(&scaled, &run).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("1000 RU/s -> 2000 RU/s"), "{err}");
    assert!(out.contains("verified: 2000 RU/s"), "{out}");
    let (_, out, _) = command(&scaled, &["autoscale", "show"]).await;
    assert!(out.contains("1000 RU/s -> 2000 RU/s  throttled"), "{out}");
    let (code, _, err) = command(&scaled, &["autoscale", "run", "--resource", "other"]).await;
    assert_eq!(code, Some(2), "{err}");
}
