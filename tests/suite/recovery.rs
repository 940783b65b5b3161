//! Repairs through the front door: what fails is repaired step by step, and each step is looked at.

use std::time::Duration;

use poolkeeper::local::simulator::{Heals, Trouble, TroubleKind};
use serde_json::json;

use crate::changes::{say, worked};
use crate::health::{API, Minutes};
use crate::processes::{host, killed, run_by_hand, until};
use crate::world::{OPERATOR, REVIEWER};

fn act(estate: &str) -> String {
    estate.replace("mode = \"propose\"", "mode = \"act\"")
}

/// Only this may be tried.
fn only(repair: &str) -> impl Fn(&str) -> String {
    let to = format!("recovery = [\"{repair}\"]");
    move |estate| {
        let from = "recovery = [\"restart\", \"flush_cache\", \"scale_up\"]";
        assert!(estate.contains(from));
        act(estate).replace(from, &to)
    }
}

#[tokio::test]
async fn three_failures_restart_the_app_once_and_it_is_well() {
    let minutes = Minutes::start(act).await;
    minutes.fails("agent-api", Heals::Restart).await;
    minutes.ticks(0..=1).await;
    assert!(minutes.sim().mutations().is_empty());
    minutes.ticks(2..=5).await;
    let words = minutes.words(API).await;
    assert_eq!(
        words,
        ["fired", "restart verified, well", "mitigated", "cleared"]
    );
    let changes = minutes.sim().changes().await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].ends_with(": restarted"), "{changes:?}");
}

#[tokio::test]
async fn where_a_restart_does_not_help_the_cache_is_flushed() {
    let minutes = Minutes::start(act).await;
    minutes.fails("agent-api", Heals::Flush).await;
    minutes.ticks(0..=4).await;
    let words = minutes.words(API).await;
    assert_eq!(
        words,
        [
            "fired",
            "restart verified, not well",
            "flush_cache verified, well",
            "mitigated",
            "cleared"
        ]
    );
    assert_eq!(minutes.sim().changes().await.len(), 2);
}

#[tokio::test]
async fn a_scale_up_that_helped_is_taken_back_when_all_is_calm() {
    let minutes = Minutes::start(act).await;
    minutes
        .fails("agent-api", Heals::Scale { replicas: 4 })
        .await;
    minutes.ticks(0..=12).await;
    // Never together with a restart: the app is left alone for its cooldown first.
    let words = minutes.words(API).await;
    assert_eq!(
        words,
        [
            "fired",
            "restart verified, not well",
            "flush_cache verified, not well",
            "scale_up held",
            "escalated",
            "restart held",
            "flush_cache held",
            "scale_up verified, well",
            "mitigated"
        ]
    );
    minutes.ticks(13..=42).await;
    let is_scaled = |line: &&String| line.contains("replicas");
    let scaled = |changes: &[String]| changes.iter().filter(is_scaled).count();
    assert_eq!(scaled(&minutes.sim().changes().await), 1);
    // Well again, and it does not need them any more.
    minutes.sim().heal_app("agent-api").await;
    minutes.ticks(43..=45).await;
    let changes = minutes.sim().changes().await;
    assert_eq!(
        changes.iter().filter(is_scaled).collect::<Vec<_>>(),
        [
            "agent-api: replicas 2-10 -> 4-10",
            "agent-api: replicas 4-10 -> 2-10"
        ]
    );
    minutes.ticks(46..=50).await;
    assert_eq!(scaled(&minutes.sim().changes().await), 2);
    let words = minutes.words(API).await;
    assert_eq!(
        words.last().map(String::as_str),
        Some("scale_back verified, well")
    );
}

#[tokio::test]
async fn what_nothing_helps_is_escalated_and_tried_no_third_time_within_the_hour() {
    let minutes = Minutes::start(|e| {
        // Nothing but the limit of attempts holds anything back.
        act(e)
            .replace("cooldown = \"30m\"", "cooldown = \"0m\"")
            .replace("cooldown = \"1h\"", "cooldown = \"0m\"")
            .replace("cooldown = \"1m\"", "cooldown = \"0m\"")
    })
    .await;
    minutes.fails("agent-api", Heals::Never).await;
    minutes.ticks(0..=2).await;
    assert_eq!(
        minutes.words(API).await,
        [
            "fired",
            "restart verified, not well",
            "flush_cache verified, not well",
            "scale_up verified, not well",
            "escalated"
        ]
    );
    minutes.ticks(3..=11).await;
    assert_eq!(
        minutes.sim().changes().await.len(),
        3,
        "the app is given time"
    );
    minutes.ticks(12..=60).await;
    let changes = minutes.sim().changes().await;
    let restarts = changes
        .iter()
        .filter(|line| line.ends_with(": restarted"))
        .count();
    assert_eq!(restarts, 2, "{changes:?}");
    let words = minutes.words(API).await;
    assert_eq!(
        words.iter().filter(|word| *word == "escalated").count(),
        1,
        "{words:?}"
    );
    assert_eq!(
        words.iter().filter(|word| *word == "fired").count(),
        1,
        "{words:?}"
    );
}

#[tokio::test]
async fn a_repair_waits_for_its_approval_and_goes_on_after_it() {
    let minutes = Minutes::start(str::to_owned).await;
    minutes.fails("agent-api", Heals::Restart).await;
    let base = minutes.ticks(0..=4).await;
    let words = minutes.words(API).await;
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(
        words[1].starts_with("restart waits for an approval until"),
        "{words:?}"
    );
    assert!(minutes.sim().mutations().is_empty());
    let open = minutes
        .world
        .get(format!("{base}/api/changes?outcome=awaiting_approval"))
        .await;
    let change = &open["changes"][0];
    assert_eq!(change["by"], "poolkeeper/recovery", "{open}");
    let (status, answer) = say(&minutes.world, &base, OPERATOR, change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&minutes.world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    minutes.ticks(5..=6).await;
    let words = minutes.words(API).await;
    assert!(
        words.contains(&"restart verified, well".to_owned()),
        "{words:?}"
    );
    assert!(words.contains(&"mitigated".to_owned()), "{words:?}");
    assert_eq!(minutes.sim().changes().await.len(), 1);
}

#[tokio::test]
async fn a_proposal_is_withdrawn_when_its_app_is_well_without_it() {
    let minutes = Minutes::start(str::to_owned).await;
    minutes.fails("agent-api", Heals::Never).await;
    minutes.ticks(0..=2).await;
    minutes.sim().heal_app("agent-api").await;
    let base = minutes.ticks(3..=5).await;
    let all = minutes.world.get(format!("{base}/api/changes")).await;
    let change = &all["changes"][0];
    assert_eq!(change["outcome"]["is"], "rejected", "{all}");
    assert_eq!(change["outcome"]["by"], "poolkeeper/recovery");
    let (status, _) = say(&minutes.world, &base, REVIEWER, change, "approve").await;
    assert_eq!(status, 409);
    assert!(minutes.sim().mutations().is_empty());
    let words = minutes.words(API).await;
    assert!(
        words.contains(&"cleared".to_owned()) && !words.contains(&"mitigated".to_owned()),
        "{words:?}"
    );
}

#[tokio::test]
async fn what_the_guard_holds_is_told_with_its_reason_and_escalated() {
    let minutes = Minutes::start(act).await;
    let base = minutes.at(0).await;
    let url = format!("{base}/api/changes/kill-switch/on");
    let reason = json!({ "reason": "storm" });
    let (status, _) = minutes.world.post_as(OPERATOR, url, &reason).await;
    assert_eq!(status, 200);
    minutes.fails("agent-api", Heals::Restart).await;
    minutes.ticks(0..=3).await;
    let told = minutes.told("health", Some(API)).await;
    let repairs: Vec<_> = told.iter().filter(|e| e["what"] == "repair").collect();
    assert_eq!(repairs.len(), 3, "{told:?}");
    for repair in repairs {
        let outcome = repair["outcome"].as_str().unwrap_or_default();
        assert!(
            outcome.contains("kill switch is on, turned by operator: storm"),
            "{repair}"
        );
    }
    assert_eq!(told.last().map(|e| &e["what"]), Some(&json!("escalated")));
    assert!(minutes.sim().mutations().is_empty());
}

#[tokio::test]
async fn a_revision_that_cannot_be_provisioned_is_told_and_gets_no_requests() {
    let minutes = Minutes::start(only("scale_up")).await;
    let spoiled = Trouble::new(TroubleKind::Revision, Heals::Never);
    minutes.sim().app_trouble("agent-api", spoiled).await;
    minutes
        .fails("agent-api", Heals::Scale { replicas: 4 })
        .await;
    minutes.ticks(0..=2).await;
    let told = minutes.told("health", Some(API)).await;
    let outcome = told[1]["outcome"].as_str().unwrap_or_default();
    assert!(outcome.starts_with("not verified"), "{told:?}");
    assert!(outcome.contains("is not ready: Failed"), "{outcome}");
    assert_eq!(told[2]["what"], "escalated", "{told:?}");
    // A second attempt does not try another one.
    minutes.ticks(3..=14).await;
    let patches = minutes.sim().mutations();
    assert_eq!(
        patches.iter().filter(|m| m.starts_with("PATCH")).count(),
        1,
        "{patches:?}"
    );
}

/// Sets that several revisions of the app run beside each other, and which has the requests.
async fn with_several_revisions(minutes: &Minutes, revision: &str) {
    let token = minutes.world.token("https://management.azure.com").await;
    let url = format!(
        "{}/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/Microsoft.App/containerApps/agent-api?api-version=2024-03-01",
        minutes.sim().url()
    );
    let body = json!({ "location": "japaneast", "properties": { "configuration": {
        "activeRevisionsMode": "Multiple",
        "ingress": { "traffic": [{ "revisionName": revision, "weight": 100 }] },
    } } });
    let request = minutes
        .world
        .http
        .patch(&url)
        .bearer_auth(&token)
        .json(&body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
    minutes.sim().advance(Duration::from_secs(1));
}

#[tokio::test]
async fn with_several_revisions_requests_move_to_the_new_one_when_it_is_ready() {
    let minutes = Minutes::start(only("scale_up")).await;
    with_several_revisions(&minutes, "agent-api--a1b2c3").await;
    minutes
        .fails("agent-api", Heals::Scale { replicas: 4 })
        .await;
    minutes.ticks(0..=2).await;
    assert_eq!(
        minutes.words(API).await,
        ["fired", "scale_up verified, well", "mitigated"]
    );
    let changes = minutes.sim().changes().await;
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert_eq!(changes[1], "agent-api: replicas 2-10 -> 4-10");
    assert!(
        changes[2].starts_with("agent-api: traffic agent-api--a1b2c3 100% -> agent-api--"),
        "{changes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_whose_process_is_killed_goes_on_and_restarts_nothing_twice() {
    let minutes = Minutes::start(|e| {
        only("restart")(e).replace("timeout_seconds = 10", "timeout_seconds = 1")
    })
    .await;
    let hangs = Trouble::new(TroubleKind::Hang, Heals::Never);
    minutes.sim().app_trouble("agent-api", hangs).await;
    for minute in -2..=0 {
        let base = minutes.at(minute).await;
        minutes.world.tick(&base, "health-check").await;
    }
    let host = host(minutes.settings.clone()).await;
    let restarted = || async {
        let changes = minutes.sim().changes().await;
        (!changes.is_empty()).then_some(changes)
    };
    until("it is restarted", Duration::from_secs(60), restarted).await;
    // It looks whether the app is well, which takes its time.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    killed(&minutes.world, &host).await;
    minutes.sim().heal_app("agent-api").await;
    run_by_hand(&minutes.world, &host, "minute-tick").await;
    let words = until("it is told", Duration::from_secs(90), || async {
        let words = minutes.words(API).await;
        words.contains(&"mitigated".to_owned()).then_some(words)
    })
    .await;
    assert_eq!(words[1], "restart verified, well", "{words:?}");
    let restarts = minutes.sim().mutations();
    assert_eq!(
        restarts.iter().filter(|m| m.ends_with("/restart")).count(),
        1,
        "{restarts:?}"
    );
}
