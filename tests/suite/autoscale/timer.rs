//! The timer: a due time is one run, whoever ticks and whoever dies.

use chrono::Duration;
use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{Fault, FaultKind};
use serde_json::{Value, json};

use super::{Scaled, WORKER, acts, three_replicas};
use crate::changes::{say, worked};
use crate::processes::{ended, host, killed, run_by_hand, until};
use crate::world::{OPERATOR, World};

#[tokio::test]
async fn a_due_time_is_one_run_that_makes_a_change_once_and_reads_it_back() {
    let scaled = Scaled::start(three_replicas(&["app_replicas"])).await;
    let told = scaled.tick().await;
    assert!(told.contains("autoscale-"), "{told}");
    let run = scaled.run().await;
    let mine: Vec<&Value> = run["changes"].as_array().expect("changes").iter().collect();
    assert_eq!(mine.len(), 1, "{run}");
    assert_eq!(mine[0]["outcome"]["is"], "verified", "{run}");
    assert_eq!(mine[0]["by"], "poolkeeper/autoscale");
    let difference = mine[0]["difference"].as_str().expect("text");
    assert!(
        difference.starts_with("agent-worker: 2-10 replicas -> 3-10 replicas (JPY +"),
        "{difference}"
    );
    let changes = scaled.sim().changes().await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    // The same due time again, by two other processes: nothing is done twice.
    let (one, two) = tokio::join!(scaled.tick(), scaled.tick());
    for told in [one, two] {
        assert!(told.contains("was begun before"), "{told}");
    }
    assert_eq!(scaled.sim().changes().await.len(), 1);
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "outside-limits", "{shown}");
    assert_eq!(shown["last"]["outcome"], "verified: 3-10 replicas");
}

#[tokio::test]
async fn a_tick_begins_nothing_beside_one_that_is_still_at_work() {
    let scaled = Scaled::start(three_replicas(&["app_replicas"])).await;
    let app = World::app_with(&scaled.settings, Clock::Fixed(scaled.now()));
    let store = app.store().expect("a store");
    let (before, path) = ("autoscale-2026-01-01-0000", "scaling-tick.json");
    let newest = json!({ "run": before, "at": scaled.now() - Duration::minutes(5) });
    store.create(path, &newest).await.expect("written");
    let inbox = format!("inbox/{before}.json");
    let work = json!({ "kind": "autoscale", "only": null, "cause": { "why": "schedule" }, "dry_run": false });
    let accepted = json!({ "run": before, "accepted": scaled.now(), "work": work });
    store.create(&inbox, &accepted).await.expect("written");
    let told = scaled.tick().await;
    assert!(
        told.contains("autoscale-2026-01-01-0000 is still at work"),
        "{told}"
    );
    assert_eq!(scaled.changes().await, Vec::<String>::new());
    // Whoever had it died: the minute tick takes it up, and the next tick begins its own.
    let base = scaled.handler().await;
    scaled.world.tick(&base, "minute-tick").await;
    assert_eq!(scaled.changes().await.len(), 1);
    let told = scaled.tick().await;
    assert!(!told.contains("still at work"), "{told}");
}

#[tokio::test]
async fn what_is_proposed_is_proposed_once_and_what_was_turned_down_is_left_alone() {
    let scaled = Scaled::start(three_replicas(&[])).await;
    scaled.tick().await;
    let change = scaled.change(WORKER).await;
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{change}");
    scaled.later(5);
    scaled.tick().await;
    let run = scaled.run().await;
    assert_eq!(run["changes"], json!([]), "{run}");
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["waiting"], json!([change["id"]]), "{shown}");
    let base = scaled.handler().await;
    let (status, answer) = say(&scaled.world, &base, OPERATOR, &change, "reject").await;
    assert_eq!(status, 202, "{answer}");
    worked(&scaled.world, &base, &answer).await;
    scaled.later(5);
    scaled.tick().await;
    let run = scaled.run().await;
    assert_eq!(run["changes"], json!([]), "{run}");
    assert!(scaled.sim().changes().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_in_the_middle_of_a_change_leaves_it_made_once_and_known() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    let host = host(scaled.settings.clone()).await;
    scaled.sim().fault(Fault {
        kind: FaultKind::Timeout,
        method: Some("PUT".into()),
        contains: Some("throughputSettings".into()),
        ..Fault::default()
    });
    assert_eq!(
        run_by_hand(&scaled.world, &host, "autoscale-check").await,
        202
    );
    let app = World::app_with(&scaled.settings, Clock::Fixed(scaled.now()));
    let limit = std::time::Duration::from_secs(30);
    let run = until("it is begun", limit, || async {
        let store = app.store().expect("a store");
        let logs = store.list_all("journal/autoscale-").await.expect("names");
        let path = logs.first()?;
        let log = store.log(path).await.expect("an answer")?;
        let begun = String::from_utf8_lossy(&log).contains("\"intent\"");
        let name = path.trim_start_matches("journal/").trim_end_matches(".log");
        begun.then(|| name.to_owned())
    })
    .await;
    killed(&scaled.world, &host).await;
    scaled.sim().clear_faults();
    run_by_hand(&scaled.world, &host, "minute-tick").await;
    let run = ended(&scaled.world, &format!("{}/api/runs/{run}", host.url())).await;
    assert_eq!(
        run["fence"].as_u64().map(|fence| fence > 1),
        Some(true),
        "{run}"
    );
    let mut all = run["changes"].as_array().expect("changes").iter();
    let mine = all.find(|c| {
        c["difference"]
            .as_str()
            .is_some_and(|d| d.contains("/threads:"))
    });
    assert_eq!(
        mine.expect("a change")["outcome"]["is"],
        "verified",
        "{run}"
    );
    let told = scaled.changes().await;
    assert_eq!(
        told,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 2000 RU/s"]
    );
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["past"]["changes"], 1, "{shown}");
    assert_eq!(shown["last"]["because"], "throttled", "{shown}");
}
