//! `optimize_cosmos_indexing`: what is proposed from the queries that were logged, made, read back
//! and taken back.

use std::time::Duration;

use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{Fault, FaultKind, LogsTable, Service};
use serde_json::{Value, json};

use crate::changes::{say, worked};
use crate::engine::evidence;
use crate::world::{OPERATOR, REVIEWER, World};

const RUNS: &str = "cosmos-agents-jpe/agents/runs";
const BY_STATUS: &str = "SELECT * FROM c WHERE c.tenantId = @t AND c.status = @s";
const BY_OWNER: &str =
    "SELECT c.id, c.status FROM c WHERE c.owner = @o ORDER BY c.status, c.createdAt DESC";
const PUT: &str = "PUT /subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe/sqlDatabases/agents/containers/runs";

/// A week in which a container answered these queries every day, and was written to.
fn week(queries: &[(&str, i64)]) -> LogsTable {
    let mut rows = Vec::new();
    for day in 0..7 {
        for (text, runs) in queries {
            rows.push(("query", *text, day, *runs, Some(*runs as f64 * 3.0)));
        }
        rows.push(("write", "", day, 500, Some(6000.0)));
    }
    evidence(&rows)
}

fn is_about(container: &str) -> String {
    format!("let container_ = \"{container}\";")
}

fn estate(estate: &str) -> String {
    estate.replacen("cooldown = \"1d\"", "cooldown = \"0m\"", 1)
}

async fn optimize(world: &World, base: &str) -> Value {
    let url = format!("{base}/api/maintenance/daily?task=optimize_cosmos_indexing");
    let (status, answer) = world.post(url, &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    worked(world, base, &answer).await
}

/// Findings about one container.
fn codes(run: &Value, about: &str) -> Vec<String> {
    let findings = run["tasks"][0]["findings"].as_array().expect("findings");
    let about = findings.iter().filter(|f| f["subject"] == about);
    about
        .map(|f| f["code"].as_str().expect("a code").to_owned())
        .collect()
}

async fn container(world: &World) -> Value {
    let token = world.token("https://management.azure.com").await;
    let url = format!(
        "{}{}?api-version=2024-08-15",
        world.simulator.url(),
        PUT.trim_start_matches("PUT ")
    );
    let answer = world.http.get(url).bearer_auth(token).send().await;
    answer.expect("an answer").json().await.expect("JSON")
}

/// Replaces the container's policy, as somebody else would.
async fn meddle(world: &World, policy: Value) {
    let token = world.token("https://management.azure.com").await;
    let mut body = container(world).await;
    let mut resource = body["properties"]["resource"].take();
    let fields = resource.as_object_mut().expect("a resource");
    fields.retain(|name, _| !name.starts_with('_'));
    fields.insert("indexingPolicy".into(), policy);
    let url = format!(
        "{}{}?api-version=2024-08-15",
        world.simulator.url(),
        PUT.trim_start_matches("PUT ")
    );
    let request = world.http.put(url).bearer_auth(token);
    let body = json!({ "location": "Japan East", "properties": { "resource": resource } });
    let answer = request.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 202);
    world.simulator.advance(Duration::from_secs(1));
}

#[tokio::test]
async fn an_index_is_proposed_with_its_evidence_approved_made_read_back_and_taken_back() {
    let world = World::start().await;
    let base = world
        .handler_with(world.settings_with_estate(estate), Clock::System)
        .await;
    world.answers.when(
        &is_about("runs"),
        Ok(week(&[(BY_STATUS, 900), (BY_OWNER, 100)])),
    );
    let before = container(&world).await;
    let run = optimize(&world, &base).await;
    let change = &run["changes"][0];
    assert_eq!(
        change["difference"],
        format!(
            "{RUNS}: index + included /owner/?, - included /legacyState/?, + composite (/status asc, /createdAt desc), - composite (/legacyState asc, /createdAt desc)"
        ),
        "{run}"
    );
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{run}");
    let told: Vec<&str> = change["what"]["evidence"]
        .as_array()
        .expect("evidence")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told[0].contains("700 queries in 7 days") && told[0].contains("2100 RU"),
        "{told:?}"
    );
    assert!(told[2].contains("at most 10500 RU"), "{told:?}");
    assert!(world.simulator.mutations().is_empty());
    let counts = &run["tasks"][0]["counts"];
    assert_eq!(
        (&counts["queries_seen"], &counts["containers"]),
        (&json!(7000), &json!(4))
    );

    // It waits, and is not proposed a second time.
    let again = optimize(&world, &base).await;
    assert_eq!(again["changes"], json!([]), "{again}");
    let id = change["id"].as_str().expect("an id");
    assert_eq!(codes(&again, id), ["change-waiting"]);

    let (status, answer) = say(&world, &base, OPERATOR, change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    assert_eq!(world.simulator.mutations(), [PUT]);
    assert_eq!(
        world.simulator.changes().await,
        [format!("{RUNS}: indexingPolicy changed")]
    );
    // All else of the container is as it was.
    let strip = |mut body: Value| {
        let resource = body["properties"]["resource"].as_object_mut();
        let resource = resource.expect("a resource");
        resource.retain(|name, _| name != "indexingPolicy" && name != "_ts" && name != "_etag");
        body
    };
    let after = container(&world).await;
    assert_eq!(strip(after.clone()), strip(before.clone()));
    let well = optimize(&world, &base).await;
    assert_eq!(well["changes"], json!([]), "it is as it should be: {well}");

    // Two days later, one query costs more than it did.
    let late = Clock::Fixed(chrono::Utc::now() + chrono::Duration::days(2));
    let later = world
        .handler_with(world.settings_with_estate(estate), late)
        .await;
    let mut dear = week(&[(BY_STATUS, 900), (BY_OWNER, 100)]);
    for row in &mut dear.rows {
        if row[1] == json!(BY_STATUS) && row[2] == json!(6) {
            row[5] = json!(9000.0);
        }
    }
    world.answers.when(&is_about("runs"), Ok(dear));
    let watched = optimize(&world, &later).await;
    assert_eq!(codes(&watched, RUNS), ["indexing-dearer"], "{watched}");
    assert!(
        watched.to_string().contains(&format!("changes undo {id}")),
        "{watched}"
    );

    let url = format!("{base}/api/changes/{id}/undo");
    let body = json!({ "reason": "slower than before" });
    let (status, answer) = world.post_as(REVIEWER, url, &body).await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&world, &base, &answer).await;
    let (_, answer) = say(&world, &base, OPERATOR, &run["changes"][0], "approve").await;
    let run = worked(&world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    let back = container(&world).await;
    let policy = |body: &Value| body["properties"]["resource"]["indexingPolicy"].clone();
    assert_eq!(policy(&back), policy(&before));
    assert_eq!(world.simulator.mutations().len(), 2);
}

#[tokio::test]
async fn what_is_not_known_takes_nothing_out() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let mut gap = week(&[(BY_STATUS, 900)]);
    gap.rows.retain(|row| row[2] != json!(3));
    for (name, evidence, expected) in [
        (
            "a query that cannot be read",
            week(&[(BY_STATUS, 900), ("SELECT * FROM c WHERE c[@by] = @v", 1)]),
            &["queries-not-understood", "indexing-kept"][..],
        ),
        ("a day without queries", gap, &["indexing-kept"]),
        ("few queries", week(&[(BY_STATUS, 100)]), &["indexing-kept"]),
        ("no queries", week(&[]), &["indexing-no-data"]),
    ] {
        world.answers.when(&is_about("runs"), Ok(evidence));
        let run = optimize(&world, &base).await;
        assert_eq!(run["changes"], json!([]), "{name}: {run}");
        assert_eq!(codes(&run, RUNS), expected, "{name}");
        assert_eq!(
            codes(&run, "cosmos-agents-jpe/agents/files"),
            ["indexing-no-data"]
        );
        assert_eq!(run["state"], "succeeded_with_findings", "{name}");
    }
    assert!(world.simulator.mutations().is_empty());
}

#[tokio::test]
async fn obfuscated_texts_are_no_evidence() {
    let world = World::start().await;
    let settings =
        world.settings_with_estate(|e| e.replacen("full_text = true", "full_text = false", 1));
    let base = world.handler_with(settings, Clock::System).await;
    world.answers.when(
        &is_about("runs"),
        Ok(week(&[(BY_STATUS, 900), (BY_OWNER, 100)])),
    );
    let run = optimize(&world, &base).await;
    assert_eq!(run["changes"], json!([]), "{run}");
    assert_eq!(codes(&run, "cosmos-agents-jpe"), ["indexing-no-data"]);
    assert!(world.answers.asked().is_empty());
}

#[tokio::test]
async fn an_index_that_somebody_else_changed_since_is_left_alone() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    world.answers.when(
        &is_about("runs"),
        Ok(week(&[(BY_STATUS, 900), (BY_OWNER, 100)])),
    );
    let run = optimize(&world, &base).await;
    let change = run["changes"][0].clone();
    meddle(&world, json!({ "includedPaths": [{ "path": "/*" }] })).await;
    let made = world.simulator.mutations().len();
    let (_, answer) = say(&world, &base, OPERATOR, &change, "approve").await;
    let run = worked(&world, &base, &answer).await;
    let hold = &run["changes"][0]["outcome"]["hold"];
    assert_eq!(hold["because"], "moved_on", "{run}");
    assert_eq!(run["state"], "held");
    assert_eq!(world.simulator.mutations().len(), made);
}

#[tokio::test]
async fn an_index_that_azure_did_not_change_is_never_told_as_changed() {
    for (kind, expected) in [
        (FaultKind::NoEffect, "not_verified"),
        (FaultKind::OperationFails, "failed"),
        (FaultKind::Denied, "failed"),
    ] {
        let world = World::start().await;
        let settings = world.settings_with_estate(crate::changes::acting("cosmos_indexing"));
        let base = world.handler_with(settings, Clock::System).await;
        world.answers.when(
            &is_about("runs"),
            Ok(week(&[(BY_STATUS, 900), (BY_OWNER, 100)])),
        );
        world.simulator.fault(Fault {
            kind,
            method: Some("PUT".into()),
            service: Some(Service::Arm),
            times: Some(1),
            ..Fault::default()
        });
        let run = optimize(&world, &base).await;
        assert_eq!(
            run["changes"][0]["outcome"]["is"], expected,
            "{kind:?}: {run}"
        );
        assert_eq!(run["state"], "failed", "{kind:?}");
        assert!(world.simulator.changes().await.is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_part_of_the_evidence_is_no_evidence() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    world.answers.when(
        &is_about("runs"),
        Ok(week(&[(BY_STATUS, 900), (BY_OWNER, 100)])),
    );
    world.simulator.fault(Fault {
        kind: FaultKind::PartialAnswer,
        service: Some(Service::Logs),
        ..Fault::default()
    });
    let run = optimize(&world, &base).await;
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    assert_eq!(run["changes"], json!([]));
    assert_eq!(codes(&run, RUNS), ["indexing-no-evidence"], "{run}");
    assert!(run.to_string().contains("answered in part only"), "{run}");
}
