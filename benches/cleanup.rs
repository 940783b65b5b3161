//! A cleanup of many blobs against storage that is slow, limited and sometimes fails: how near it
//! comes to what the limits allow, and how often it is refused.
//!
//! `cargo bench --bench cleanup`, with other numbers `cargo bench --bench cleanup -- 5000`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use poolkeeper::estate::Estate;
use poolkeeper::local::simulator::{Limit, Options, Simulator};
use serde_json::{Value, json};

const ACCOUNT: &str = "stagentsjpe";
const PER_SECOND: f64 = 400.0;
const BURST: f64 = 100.0;
const LATENCY: Duration = Duration::from_millis(20);
const AT_ONCE: f64 = 32.0;
const FAIL_PERCENT: u32 = 5;

/// The estate that ships, with one container to clean without asking.
fn estate() -> String {
    let text = include_str!("../infra/estate.toml")
        .replace(
            "[policy.log_deletion]\nmode = \"propose\"",
            "[policy.log_deletion]\nmode = \"act\"",
        )
        .replace("most_per_run = 1000\n", "most_per_run = 1000000\n")
        .replace("most_share_percent = 50", "most_share_percent = 100");
    let (before, rest) = text.split_once("[[logs.containers]]").expect("containers");
    let (_, after) = rest.split_once("# Never cleaned").expect("what follows");
    format!(
        "{before}[[logs.containers]]\naccount = \"{ACCOUNT}\"\ncontainer = \"bulk\"\n\n# Never cleaned{after}"
    )
}

fn settings(simulator: &Simulator, estate: &std::path::Path) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("POOLKEEPER_BLOB_ENDPOINT", simulator.blob_url()),
        ("POOLKEEPER_QUEUE_ENDPOINT", simulator.queue_url()),
        ("POOLKEEPER_ARM_ENDPOINT", simulator.url()),
        ("IDENTITY_ENDPOINT", simulator.identity_url()),
        ("IDENTITY_HEADER", simulator.identity_header().to_owned()),
        ("POOLKEEPER_ESTATE", estate.display().to_string()),
    ])
}

#[tokio::main]
async fn main() {
    let count: usize = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(20_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("estate.toml");
    let text = estate();
    std::fs::write(&path, &text).expect("the estate");
    let simulator = Simulator::start(Options {
        data: folder.path().join("data"),
        port: 0,
        record: None,
        estate: Some(Estate::parse(&text).expect("an estate")),
        engine: None,
    })
    .await
    .expect("a simulator");
    simulator.fill(ACCOUNT, "bulk", count, 40).await;
    simulator.limit(Limit {
        contains: format!("/blob/{ACCOUNT}/"),
        per_second: PER_SECOND,
        burst: BURST,
        latency_ms: LATENCY.as_millis() as u64,
        most_in_flight: Some(AT_ONCE as u32),
        fail_percent: FAIL_PERCENT,
        ..Limit::default()
    });
    let started = Instant::now();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_poolkeeper"))
        .args([
            "run",
            "maintenance",
            "daily",
            "--task",
            "cleanup_old_logs",
            "--json",
        ])
        .current_dir(folder.path())
        .envs(settings(&simulator, &path))
        .stderr(std::process::Stdio::null())
        .output()
        .await
        .expect("a process");
    let took = started.elapsed();
    let run: Value = serde_json::from_slice(&output.stdout).expect("a run as JSON");
    let counts = simulator.counts();
    let deleted = simulator.changes().await.len();
    // Pages of the listing, deletions, and the one page that shows that nothing is left.
    let calls = (count.div_ceil(5000) + count + 1) as f64;
    let limit = (calls * LATENCY.as_secs_f64() / AT_ONCE).max((calls - BURST) / PER_SECOND) * 1.05;
    let refused = counts.refused as f64 / counts.calls as f64;
    let summary = json!({
        "blobs": count,
        "deleted": deleted,
        "outcome": run["changes"][0]["outcome"],
        "seconds": took.as_secs_f64(),
        "limit_seconds": limit,
        "efficiency": limit / took.as_secs_f64(),
        "calls": counts.calls,
        "refused": counts.refused,
        "refused_share": refused,
        "failed": counts.failed,
        "most_in_flight": counts.most_in_flight,
    });
    println!("{summary:#}");
}
