//! Throughput: what is bought, what is given back, and what is neither.

use chrono::Duration;
use poolkeeper::app::Clock;
use poolkeeper::journal::{Chain, Event};
use poolkeeper::operations::autoscale::decide;
use serde_json::json;

use super::{Scaled, acts};
use crate::changes::{say, worked};
use crate::world::{OPERATOR, REVIEWER, World};

/// From what the journal holds of a run, the same is decided once more.
async fn decided_again(scaled: &Scaled, run: &str) {
    let app = World::app_with(&scaled.settings, Clock::Fixed(scaled.now()));
    let log = app
        .store()
        .expect("a store")
        .log(&format!("journal/{run}.log"))
        .await;
    let log = log.expect("an answer").expect("a log");
    let chain = Chain::read(run, &log);
    let mut again = 0;
    for (_, record) in &chain.records {
        let Event::Scaling { decided, counts } = &record.event else {
            continue;
        };
        let known: u64 = counts.values().sum();
        assert_eq!(known, decided.len() as u64);
        for one in decided {
            let rules = app
                .estate()
                .expect("an estate")
                .scaling
                .throughput(&one.resource);
            if let (Some(facts), Some(rules)) = (&one.facts, rules) {
                let facts = serde_json::from_value(facts.clone()).expect("facts");
                let decision = decide::container(&facts, rules, record.at);
                assert_eq!(decision.because.as_str(), one.because);
                assert_eq!(decision.why, one.why);
                assert_eq!(decision.to.map(|to| to.to_string()), one.to);
                again += 1;
            }
        }
    }
    assert!(again > 0);
}

#[tokio::test]
async fn a_throttled_container_gets_more_which_is_read_back_priced_and_can_be_taken_back() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    scaled.tick().await;
    let run = scaled.run().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "throttled", "{shown}");
    assert_eq!(shown["last"]["outcome"], "verified: 2000 RU/s", "{shown}");
    assert_eq!(shown["past"]["changes"], 1, "{shown}");
    let mut all = run["changes"].as_array().expect("changes").iter();
    let change = all
        .find(|c| c["outcome"]["is"] == "verified")
        .expect("a change");
    let difference = change["difference"].as_str().expect("text");
    let plain = "cosmos-agents-jpe/agents/threads: 1000 RU/s -> 2000 RU/s (JPY +";
    assert!(difference.starts_with(plain), "{difference}");
    assert!(
        change["what"]["monthly"]["micros"].as_i64() > Some(0),
        "{change}"
    );
    let told = scaled.changes().await;
    assert_eq!(
        told,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 2000 RU/s"]
    );
    decided_again(&scaled, run["id"].as_str().expect("an id")).await;
    // What a person wants of it then, it waits for another one.
    let base = scaled.handler().await;
    let id = change["id"].as_str().expect("an id");
    let url = format!("{base}/api/changes/{id}/undo");
    let (_, answer) = scaled
        .world
        .post_as(REVIEWER, url, &json!({ "reason": "no" }))
        .await;
    let back = worked(&scaled.world, &base, &answer).await["changes"][0].clone();
    assert_eq!(back["outcome"]["is"], "awaiting_approval", "{back}");
    scaled.later(15);
    let base = scaled.handler().await;
    let (_, answer) = say(&scaled.world, &base, OPERATOR, &back, "approve").await;
    let run = worked(&scaled.world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["seen"], "1000 RU/s", "{run}");
}

#[tokio::test]
async fn a_hot_partition_buys_nothing_and_is_told() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    let (from, until) = (
        scaled.now() - Duration::minutes(30),
        scaled.now() + Duration::hours(1),
    );
    scaled
        .sim()
        .hot_partition("threads", "tenant-b", 95.0, from, until)
        .await;
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "hot-partition", "{shown}");
    let run = scaled.run().await;
    let findings = run["tasks"][0]["findings"].as_array().expect("findings");
    assert!(
        findings.iter().any(|f| f["code"] == "hot-partition"),
        "{run}"
    );
    assert_eq!(scaled.changes().await, Vec::<String>::new());
}

#[tokio::test]
async fn where_nothing_is_measured_all_stays_as_it_is() {
    let scaled = Scaled::start_at(18, 2, acts).await;
    let now = scaled.now();
    scaled
        .sim()
        .metric_gap(
            "threads",
            now - Duration::minutes(90),
            now + Duration::hours(1),
        )
        .await;
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "no-data", "{shown}");
    let mine = |told: &String| told.contains("/threads:");
    assert!(!scaled.changes().await.iter().any(mine));
}

#[tokio::test]
async fn what_is_calm_goes_down_at_the_beginning_of_an_hour_and_one_step_an_hour() {
    let scaled = Scaled::start_at(18, 20, acts).await;
    let mine = async || {
        let all = scaled.changes().await;
        all.into_iter()
            .filter(|told| told.contains("/threads:"))
            .collect::<Vec<_>>()
    };
    scaled.tick().await;
    assert_eq!(
        scaled.shown("threads").await["last"]["because"],
        "hour-charged"
    );
    assert_eq!(mine().await, Vec::<String>::new());
    scaled.later(41);
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "calm", "{shown}");
    let told = ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 500 RU/s"];
    assert_eq!(mine().await, told);
    scaled.later(5);
    scaled.tick().await;
    let because = scaled.shown("threads").await["last"]["because"].clone();
    assert_ne!(because, "calm");
    assert_eq!(mine().await, told);
}

#[tokio::test]
async fn a_pending_split_is_waited_for() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled
        .sim()
        .operations_take(std::time::Duration::from_secs(4 * 3600));
    scaled.put("threads", 1200).await;
    scaled.busy("threads", 5.0).await;
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "pending", "{shown}");
    let run = scaled.run().await;
    let codes = run["tasks"][0]["findings"].as_array().expect("findings");
    assert!(
        codes.iter().any(|f| f["code"] == "throughput-pending"),
        "{run}"
    );
}

#[tokio::test]
async fn beyond_what_is_there_at_once_somebody_is_asked_whatever_the_policy() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.put("runs", 10_000).await;
    scaled.later(10);
    scaled.busy("runs", 300.0).await;
    scaled.tick().await;
    let run = scaled.run().await;
    let mut all = run["changes"].as_array().expect("changes").iter();
    let mine = all.find(|c| {
        c["difference"]
            .as_str()
            .is_some_and(|d| d.contains("/runs:"))
    });
    let outcome = &mine.expect("a change of runs")["outcome"];
    assert_eq!(outcome["is"], "awaiting_approval", "{run}");
    let why = outcome["why"].as_str().expect("a reason");
    assert!(why.contains("partitions are split"), "{why}");
    assert_eq!(scaled.changes().await.len(), 1, "that of the beginning");
}

#[tokio::test]
async fn what_is_observed_proposed_or_stopped_is_not_made() {
    for (name, mode, stop, outcome) in [
        ("observe", "observe", false, "observed"),
        ("propose", "propose", false, "awaiting_approval"),
        ("the kill switch", "act", true, "held"),
    ] {
        let to = format!("[policy.cosmos_throughput]\nmode = \"{mode}\"");
        let from = "[policy.cosmos_throughput]\nmode = \"propose\"";
        let scaled = Scaled::start_at(5, 2, |estate| estate.replace(from, &to)).await;
        scaled.busy("threads", 3.0).await;
        if stop {
            let base = scaled.handler().await;
            let url = format!("{base}/api/changes/kill-switch/on");
            let body = json!({ "reason": "storm" });
            assert_eq!(scaled.world.post_as(OPERATOR, url, &body).await.0, 200);
        }
        scaled.tick().await;
        let run = scaled.run().await;
        let mut all = run["changes"].as_array().expect("changes").iter();
        let mine = all.find(|c| {
            c["difference"]
                .as_str()
                .is_some_and(|d| d.contains("/threads:"))
        });
        assert_eq!(mine.expect(name)["outcome"]["is"], outcome, "{name}: {run}");
        assert_eq!(scaled.changes().await, Vec::<String>::new(), "{name}");
    }
}
