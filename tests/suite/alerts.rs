use futures::future::join_all;
use poolkeeper::app::Clock;
use poolkeeper::operations::incidents::AlertRecord;
use serde_json::{Value, json};

use crate::world::World;

/// The resource group of the estate that ships.
const GROUP: &str =
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe";

/// The payload of an alert; `id` names it, and what Azure calls it is made of that.
pub(crate) fn alert(id: &str, condition: &str) -> Value {
    let hash = poolkeeper::journal::Hash::of(id.as_bytes());
    let hash = hash.as_str();
    let id = format!(
        "{}-{}-4{}-8{}-{}",
        &hash[..8],
        &hash[8..12],
        &hash[12..15],
        &hash[15..18],
        &hash[18..30]
    );
    json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": { "essentials": {
            "alertId": format!("/subscriptions/11111111-2222-4333-8444-555555555555/providers/Microsoft.AlertsManagement/alerts/{id}"),
            "alertRule": "p95", "severity": "Sev1", "signalType": "Metric", "monitorCondition": condition,
            "monitoringService": "Platform", "firedDateTime": "2026-03-02T06:00:00Z",
            "resolvedDateTime": if condition == "Resolved" { json!("2026-03-02T06:05:00Z") } else { Value::Null },
            "alertTargetIDs": [format!("{GROUP}/providers/Microsoft.App/containerApps/agent-api")]
        }, "alertContext": null }
    })
}

/// Makes Azure know of an alert as [`alert`] tells of it.
pub(crate) async fn known(world: &World, id: &str, condition: &str) {
    let body = alert(id, condition);
    let essentials = &body["data"]["essentials"];
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    world
        .simulator
        .raise(
            text(&essentials["alertId"])
                .rsplit('/')
                .next()
                .expect("a name"),
            &text(&essentials["alertTargetIDs"][0]),
            "p95",
            "Sev1",
            condition,
        )
        .await;
}

#[tokio::test]
async fn twenty_deliveries_of_one_alert_to_two_handlers_make_one_run() {
    let world = World::start().await;
    let handlers = [
        world.handler(Clock::System).await,
        world.handler(Clock::System).await,
    ];
    let body = alert("a-1", "Fired");
    known(&world, "a-1", "Fired").await;
    let answers =
        join_all((0..20).map(|i| world.post(format!("{}/api/alerts", handlers[i % 2]), &body)))
            .await;
    assert!(
        answers.iter().all(|(status, _)| *status == 202),
        "{answers:?}"
    );
    let run = answers[0].1["run"].as_str().expect("a run").to_owned();
    let new = answers
        .iter()
        .filter(|(_, a)| a["status"] == "accepted")
        .count();
    assert_eq!(new, 1);
    let statuses = join_all((0..20).map(|i| world.deliver(&handlers[i % 2], &run))).await;
    assert!(statuses.iter().all(|s| *s == 200), "{statuses:?}");
    world.tick(&handlers[0], "minute-tick").await;
    let runs = world.get(format!("{}/api/runs", handlers[0])).await;
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
    assert_eq!(runs["runs"][0]["state"], "succeeded");
    assert_eq!(runs["runs"][0]["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(runs["waiting"], 0);
}

#[tokio::test]
async fn an_alert_whose_message_is_lost_is_worked_by_the_minute_tick_and_paired() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    for condition in ["Fired", "Resolved"] {
        known(&world, "a-2", condition).await;
        let (status, answer) = world
            .post(format!("{base}/api/alerts"), &alert("a-2", condition))
            .await;
        assert_eq!(status, 202);
        let place = format!("{base}/api/runs/{}", answer["run"].as_str().expect("a run"));
        assert_eq!(world.get(place.clone()).await["state"], "accepted");
        world.tick(&base, "minute-tick").await;
        assert_eq!(world.get(place).await["state"], "succeeded");
    }
    let runs = world.get(format!("{base}/api/runs")).await;
    let summaries: Vec<&str> = runs["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .filter_map(|r| r["tasks"][0]["summary"].as_str())
        .collect();
    let paired = "p95: fired, and resolved after 5 minutes; incident inc-";
    assert!(
        summaries.iter().any(|said| said.starts_with(paired)),
        "{summaries:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_accepted() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let refused = world
        .post(format!("{base}/api/alerts"), &json!({ "hello": "world" }))
        .await;
    assert_eq!(refused.0, 400, "{refused:?}");
    let empty = world
        .http
        .post(format!("{base}/api/alerts"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(empty.status().as_u16(), 411);
    let big = json!({ "filler": "x".repeat(1024 * 1024) });
    assert_eq!(world.post(format!("{base}/api/alerts"), &big).await.0, 413);
    let World {
        simulator, http, ..
    } = world;
    drop(simulator);
    let answer = http
        .post(format!("{base}/api/alerts"))
        .json(&alert("a-3", "Fired"))
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 503);
}

#[tokio::test]
async fn a_target_outside_the_estate_is_recorded_as_such() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let mut body = alert("a-4", "Fired");
    let outside = "/subscriptions/99999999-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/Microsoft.App/containerApps/agent-api";
    body["data"]["essentials"]["alertTargetIDs"] = json!([
        format!("{GROUP}/providers/microsoft.documentdb/databaseaccounts/COSMOS-agents-jpe"),
        outside,
    ]);
    known(&world, "a-4", "Fired").await;
    let (status, answer) = world.post(format!("{base}/api/alerts"), &body).await;
    assert_eq!(status, 202);
    world.tick(&base, "minute-tick").await;
    let run = answer["run"].as_str().expect("a run");
    let run = world.get(format!("{base}/api/runs/{run}")).await;
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    let findings = run["tasks"][0]["findings"].as_array().expect("findings");
    // Azure names one target, the webhook two.
    assert_eq!(findings[0]["code"], "target-outside-estate");
    assert_eq!(findings[0]["subject"], outside);
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    let names = store.list_all("alerts/").await.expect("names");
    let record = store
        .get::<AlertRecord>(&names[0])
        .await
        .expect("an answer");
    let stamps: Vec<_> = record
        .expect("a record")
        .value
        .targets
        .into_iter()
        .map(|t| t.stamp)
        .collect();
    assert_eq!(stamps, [Some("jpe".to_owned()), None]);
}

/// One of each kind that Azure Monitor sends, in the official shape.
#[tokio::test]
async fn every_kind_of_alert_is_taken_worked_and_filed() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let folder = std::path::Path::new(crate::world::PROJECT).join("tests/fixtures/alerts");
    // File, severity as it is filed, targets in the estate and outside it.
    let cases = [
        ("activity-log-administrative", Some("Sev4"), 1, 0),
        ("autoscale", Some("Sev4"), 0, 1),
        ("availability-test", Some("Sev0"), 0, 2),
        ("budget-actual", None, 0, 0),
        ("budget-forecasted", None, 0, 0),
        ("log-v1", Some("Sev2"), 1, 0),
        ("log-v2", Some("Sev1"), 1, 0),
        ("metric-dynamic", Some("Sev2"), 1, 0),
        ("metric-fired", Some("Sev1"), 1, 0),
        ("metric-resolved", Some("Sev1"), 1, 0),
        ("prometheus", Some("Sev2"), 0, 1),
        ("resource-health", Some("Sev4"), 1, 0),
        ("security", Some("Sev1"), 1, 0),
        ("service-health", Some("Sev4"), 0, 1),
        ("smart-detection", Some("Sev3"), 0, 1),
    ];
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .expect("the fixtures")
        .map(|f| f.expect("a file").path())
        .filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned()))
        .collect();
    files.sort();
    assert_eq!(files, cases.map(|(name, ..)| name));
    let mut runs = std::collections::BTreeSet::new();
    for (name, severity, inside, outside) in cases {
        let payload = std::fs::read(folder.join(format!("{name}.json"))).expect("a fixture");
        let payload: Value = serde_json::from_slice(&payload).expect("JSON");
        let (status, answer) = world.post(format!("{base}/api/alerts"), &payload).await;
        assert_eq!(status, 202, "{name}: {answer}");
        let run = answer["run"].as_str().expect("a run").to_owned();
        world.tick(&base, "minute-tick").await;
        let shown = world.get(format!("{base}/api/runs/{run}")).await;
        let state = shown["state"].as_str().unwrap_or_default();
        assert!(state.starts_with("succeeded"), "{name}: {shown}");
        assert_eq!(shown["work"]["severity"].as_str(), severity, "{name}");
        let findings = shown["tasks"][0]["findings"].as_array().cloned();
        let findings = findings.unwrap_or_default();
        let elsewhere = findings
            .iter()
            .filter(|f| f["code"] == "target-outside-estate");
        assert_eq!(elsewhere.count(), outside, "{name}");
        let told = shown["tasks"][0]["summary"].as_str().unwrap_or_default();
        assert!(told.contains("; incident inc-"), "{name}: {told}");
        let targets = payload["data"]["essentials"]["alertTargetIDs"].as_array();
        assert_eq!(targets.map_or(0, Vec::len), inside + outside, "{name}");
        assert!(runs.insert(run), "{name} is taken for another");
    }
    // Fired and Resolved of one alert share a record.
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    let mut pairs = 0;
    for name in store.list_all("alerts/").await.expect("names") {
        let record = store.get::<AlertRecord>(&name).await.expect("an answer");
        let record = record.expect("a record").value;
        pairs += usize::from(record.fired.is_some() && record.resolved.is_some());
    }
    assert_eq!(pairs, 1);
}

#[tokio::test]
async fn a_run_that_ten_processes_died_over_is_given_up_and_told() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let (_, answer) = world
        .post(format!("{base}/api/alerts"), &alert("deadly", "Fired"))
        .await;
    let run: poolkeeper::journal::RunId = answer["run"]
        .as_str()
        .expect("a run")
        .parse()
        .expect("an id");
    // What ten processes leave that died at work: their number.
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    let accepted = poolkeeper::operations::runs::one(&app, &run).await;
    let mut left = accepted.expect("an answer").expect("a run");
    left.begun = 10;
    store.create(&run.document(), &left).await.expect("created");
    world.tick(&base, "minute-tick").await;
    let shown = world.get(format!("{base}/api/runs/{run}")).await;
    assert_eq!(shown["state"], "failed", "{shown}");
    assert_eq!(shown["findings"][0]["code"], "gave-up");
    let runs = world.get(format!("{base}/api/runs")).await;
    assert_eq!(runs["waiting"], 0);
    assert_eq!(runs["runs"][0]["id"], run.as_str());
}

#[tokio::test]
async fn a_body_that_nobody_wants_costs_nobody_the_answer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let address = base.trim_start_matches("http://");
    let body = vec![b'x'; 2 * 1024 * 1024];
    for page in ["health", "runs", "capacity", "no-such-page"].repeat(5) {
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("a connection");
        let head = format!(
            "GET /api/{page} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("the head");
        // All of it before the answer is looked at.
        stream.write_all(&body).await.expect("the body is taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the answer");
        assert!(answer.starts_with(b"HTTP/1.1 "), "{page}");
    }
}
