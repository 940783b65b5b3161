//! Replicas and scale rules of apps, and who may change them.

use chrono::Duration;
use serde_json::json;

use super::{GROUP, Scaled, WORKER, three_replicas};
use crate::changes::{say, worked};
use crate::world::{OPERATOR, REVIEWER};

#[tokio::test]
async fn what_scaling_owns_others_only_propose_and_an_approved_proposal_is_carried_out() {
    let scaled = Scaled::start(|estate| crate::changes::acting("app_replicas")(estate)).await;
    let base = scaled.handler().await;
    let body = json!({
        "ask": { "kind": "app_replicas", "resource": WORKER, "to": { "least": 4, "most": 10 } },
        "why": "a campaign begins",
    });
    let url = format!("{base}/api/changes");
    let (status, answer) = scaled.world.post_as(REVIEWER, url, &body).await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    let change = &run["changes"][0];
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{run}");
    let why = change["outcome"]["why"].as_str().expect("a reason");
    assert!(why.starts_with("poolkeeper/autoscale scales this"), "{why}");
    assert!(scaled.sim().changes().await.is_empty());
    let (status, answer) = say(&scaled.world, &base, OPERATOR, change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    assert_eq!(scaled.sim().changes().await.len(), 1);
}

#[tokio::test]
async fn scale_rules_become_those_of_the_estate_and_can_be_taken_back() {
    let scaled = Scaled::start(|estate| estate.to_owned()).await;
    scaled.tick().await;
    let change = scaled.change(WORKER).await;
    assert_eq!(
        change["difference"],
        "agent-worker: scale rules cpu at 70 % -> cpu at 70 %, memory at 80 %"
    );
    let base = scaled.handler().await;
    let (status, answer) = say(&scaled.world, &base, OPERATOR, &change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    let outcome = &run["changes"][0]["outcome"];
    let seen = json!({ "is": "verified", "seen": "cpu at 70 %, memory at 80 %" });
    assert_eq!(*outcome, seen, "{run}");
    let id = change["id"].as_str().expect("an id");
    let url = format!("{base}/api/changes/{id}/undo");
    let body = json!({ "reason": "it grows too fast" });
    let (status, answer) = scaled.world.post_as(REVIEWER, url, &body).await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    assert_eq!(
        run["changes"][0]["difference"],
        "agent-worker: scale rules cpu at 70 %, memory at 80 % -> cpu at 70 %"
    );
}

#[tokio::test]
async fn a_burst_raises_the_least_replicas_for_a_while_and_a_later_process_takes_it_back() {
    let scaled = Scaled::start_at(5, 2, |estate| {
        crate::changes::acting("app_replicas")(estate)
    })
    .await;
    let (from, until) = (
        scaled.now() - Duration::minutes(4),
        scaled.now() + Duration::minutes(10),
    );
    scaled.sim().burst(WORKER, 4.0, from, until).await;
    scaled.tick().await;
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "burst", "{shown}");
    assert_eq!(shown["raised"]["from"]["least"], 2, "{shown}");
    let raised = shown["raised"]["to"]["least"].as_u64().expect("a number");
    assert!(raised > 2, "{shown}");
    scaled.later(15);
    scaled.tick().await;
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "steady", "{shown}");
    assert_eq!(shown["raised"]["to"]["least"], raised, "{shown}");
    scaled.later(25);
    scaled.tick().await;
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "burst-over", "{shown}");
    assert_eq!(
        shown["last"]["outcome"], "verified: 2-10 replicas",
        "{shown}"
    );
    assert_eq!(shown["raised"], json!(null), "{shown}");
    let told = scaled.changes().await;
    assert_eq!(
        told.iter().filter(|t| t.contains(WORKER)).count(),
        2,
        "{told:?}"
    );
}

/// Several revisions of the worker run beside each other, and one has the requests.
async fn with_several_revisions(scaled: &Scaled) {
    let token = scaled.world.token("https://management.azure.com").await;
    let url = format!(
        "{}{GROUP}/providers/Microsoft.App/containerApps/{WORKER}?api-version=2024-03-01",
        scaled.sim().url()
    );
    let traffic = json!([{ "revisionName": "agent-worker--a1b2c3", "weight": 100 }]);
    let body = json!({ "location": "japaneast", "properties": { "configuration": {
        "activeRevisionsMode": "Multiple", "ingress": { "traffic": traffic },
    } } });
    let request = scaled.world.http.patch(url).bearer_auth(token).json(&body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
    scaled.later(1);
}

#[tokio::test]
async fn with_several_revisions_requests_follow_to_the_new_one_also_after_an_approval() {
    let scaled = Scaled::start(three_replicas(&["app_traffic"])).await;
    with_several_revisions(&scaled).await;
    scaled.tick().await;
    let change = scaled.change(WORKER).await;
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{change}");
    let base = scaled.handler().await;
    let (_, answer) = say(&scaled.world, &base, OPERATOR, &change, "approve").await;
    let run = worked(&scaled.world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    scaled.later(5);
    scaled.tick().await;
    let changes = scaled.changes().await;
    let moved = "agent-worker: traffic agent-worker--a1b2c3 100% -> agent-worker--";
    assert!(
        changes.iter().any(|told| told.starts_with(moved)),
        "{changes:?}"
    );
    let run = scaled.run().await;
    let mut all = run["changes"].as_array().expect("changes").iter();
    let traffic = all.find(|change| change["what"]["kind"] == "app_traffic");
    assert_eq!(
        traffic.expect("a move")["outcome"]["is"],
        "verified",
        "{run}"
    );
    // Once is enough.
    scaled.later(5);
    scaled.tick().await;
    let told = scaled.changes().await;
    assert_eq!(
        told.iter().filter(|told| told.starts_with(moved)).count(),
        1,
        "{told:?}"
    );
}
