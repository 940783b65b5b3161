//! What a webhook is worth, and what is found out about it.

mod early;
mod long;
mod tenant;
mod unreadable;

use chrono::Utc;
use poolkeeper::app::Clock;
use poolkeeper::domain::{Alert, Condition, GroupKey, IncidentEvent, Trust};
use poolkeeper::local::simulator::{Fault, FaultKind, Service};
use poolkeeper::operations::incidents::{Target, corroborate, triage};
use serde_json::{Value, json};

use crate::engine::table;
use crate::world::World;

const APP: &str = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/Microsoft.App/containerApps/agent-api";
const GUID: &str = "66114d64-d9d9-478b-95c9-b789d6502100";

fn alert(id: &str, context: &Value) -> Alert {
    let payload = json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": { "essentials": {
            "alertId": id, "alertRule": "p95-too-high", "severity": "Sev2",
            "monitorCondition": "Fired", "monitoringService": "Platform",
            "firedDateTime": Utc::now(), "alertTargetIDs": [APP],
        }, "alertContext": context }
    });
    Alert::parse(payload.to_string().as_bytes()).expect("an alert")
}

fn targets() -> Vec<Target> {
    vec![Target {
        id: APP.into(),
        stamp: Some("jpe".into()),
    }]
}

#[tokio::test]
async fn a_forged_alert_is_denied_and_a_real_one_confirmed() {
    let world = World::start().await;
    world
        .simulator
        .raise(GUID, APP, "p95-too-high", "Sev2", "Fired")
        .await;
    let app = world.app(Clock::System);
    let real = format!("{APP}/providers/Microsoft.AlertsManagement/alerts/{GUID}");
    let forged = real.replace("66114d64", "00000000");
    let trust = async |id: &str| {
        let long_ago = chrono::DateTime::UNIX_EPOCH;
        let triage = triage(&app, &alert(id, &Value::Null), long_ago, &targets()).await;
        triage.expect("a triage").signal.trust
    };
    assert!(matches!(trust(&real).await, Trust::Confirmed { .. }));
    assert!(matches!(trust(&forged).await, Trust::Denied { .. }));
    // What cannot be asked is neither true nor false.
    world.simulator.fault(Fault {
        kind: FaultKind::Denied,
        service: Some(Service::Arm),
        ..Fault::default()
    });
    assert!(matches!(trust(&real).await, Trust::Unconfirmed { .. }));
}

#[tokio::test]
async fn an_alert_of_the_activity_log_is_held_against_the_log() {
    let world = World::start().await;
    let app = world.app(Clock::System);
    let id = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/microsoft.insights/activityLogAlerts/app-changed";
    let columns = [("CorrelationId", "string"), ("Target", "string")];
    let rows = vec![vec![json!("c-1"), json!(APP.to_lowercase())]];
    world
        .answers
        .when("resource_group_", Ok(table(&columns, rows)));
    for (name, context, confirmed) in [
        ("in the log", json!({ "correlationId": "c-1" }), true),
        ("not in the log", json!({ "correlationId": "c-2" }), false),
        ("nothing to look for", Value::Null, false),
    ] {
        let triage = triage(&app, &alert(id, &context), Utc::now(), &targets()).await;
        let trust = triage.expect("a triage").signal.trust;
        match trust {
            Trust::Confirmed { .. } => assert!(confirmed, "{name}"),
            Trust::Unconfirmed { .. } => assert!(!confirmed, "{name}"),
            Trust::Denied { why } => panic!("{name}: {why}"),
        }
    }
}

fn health_columns() -> [(&'static str, &'static str); 9] {
    [
        ("Target", "string"),
        ("CorrelationId", "string"),
        ("Newest", "datetime"),
        ("Status", "string"),
        ("HealthBefore", "string"),
        ("Health", "string"),
        ("Title", "string"),
        ("Kind", "string"),
        ("Cause", "string"),
    ]
}

#[tokio::test]
async fn the_log_has_to_hold_the_end_of_what_is_said_to_be_over() {
    let world = World::start().await;
    let app = world.app(Clock::System);
    let id = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/microsoft.insights/activityLogAlerts/unwell";
    let changes = [
        ("CorrelationId", "string"),
        ("Target", "string"),
        ("Status", "string"),
    ];
    let operation = vec![vec![
        json!("c-1"),
        json!(APP.to_lowercase()),
        json!("Success"),
    ]];
    world
        .answers
        .when("Administrative", Ok(table(&changes, operation)));
    let columns = [
        ("CorrelationId", "string"),
        ("Target", "string"),
        ("Status", "string"),
    ];
    let event = |correlation: &str, status: &str| {
        vec![json!(correlation), json!(APP.to_lowercase()), json!(status)]
    };
    let rows = vec![event("h-1", "Active"), event("h-2", "Resolved")];
    world
        .answers
        .when("ResourceHealth", Ok(table(&columns, rows)));
    for (service, correlation, condition, confirmed) in [
        ("Activity Log - Administrative", "c-1", "Fired", true),
        // That it was made is not that it is over.
        ("Activity Log - Administrative", "c-1", "Resolved", false),
        ("Resource Health", "c-1", "Fired", false),
        ("Resource Health", "h-1", "Fired", true),
        ("Resource Health", "h-1", "Resolved", false),
        ("Resource Health", "h-2", "Resolved", true),
    ] {
        let mut alert = alert(id, &json!({ "correlationId": correlation }));
        alert.service = service.into();
        if condition == "Resolved" {
            alert.condition = Condition::Resolved;
        }
        let triage = triage(&app, &alert, Utc::now(), &targets()).await;
        let trust = triage.expect("a triage").signal.trust;
        let is = matches!(trust, Trust::Confirmed { .. });
        assert_eq!(
            is, confirmed,
            "{service} {correlation} {condition}: {trust:?}"
        );
    }
}

#[tokio::test]
async fn what_is_found_out_is_told_and_so_is_what_is_not() {
    let world = World::start().await;
    let app = world.app(Clock::System);
    let errors = [
        ("Tenant", "string"),
        ("Requests", "long"),
        ("Failed", "long"),
    ];
    let rows = vec![
        vec![json!("tenant-a"), json!(200), json!(10)],
        vec![json!("tenant-b"), json!(999), json!(999)],
    ];
    world
        .answers
        .when("ErrorRatePercent", Ok(table(&errors, rows)));
    let times = [("Tenant", "string"), ("P95Ms", "real")];
    let rows = vec![vec![json!("tenant-a"), json!(3400.0)]];
    world.answers.when("P50Ms", Ok(table(&times, rows)));
    let health = |target: &str| {
        let texts = [
            "Available",
            "Degraded",
            "Slow",
            "Downtime",
            "PlatformInitiated",
        ];
        let mut row = vec![json!(target), json!("c-1"), json!("2026-03-02T06:00:00Z")];
        row.push(json!("Active"));
        row.extend(texts.iter().map(|text| json!(text)));
        row
    };
    let columns = health_columns();
    let rows = vec![
        health(&APP.replace("agent-api", "agent-worker").to_lowercase()),
        health(&APP.to_lowercase()),
    ];
    world
        .answers
        .when("ResourceHealth", Ok(table(&columns, rows)));
    let key = GroupKey {
        rule: "p95-too-high".into(),
        tenant: Some("tenant-a".into()),
        resource: Some(APP.into()),
    };
    let told: Vec<(String, String)> = corroborate(&app, &key, Utc::now())
        .await
        .into_iter()
        .map(|event| match event {
            IncidentEvent::Evidence { title, text, .. } => (title, text),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.len(), 4, "no boundary rule: {told:#?}");
    assert_eq!(
        told[0].1,
        "10 of 200 requests of tenant tenant-a failed (5.00 %); the p95 was 3.40 s."
    );
    assert!(told[1].1.starts_with("Nothing was changed"), "{told:#?}");
    assert_eq!(
        told[2].1,
        "Changes of health that Azure told of in the 6 hours before: 1 of agent-api, 1 beside it."
    );
    assert!(told[3].1.contains("no incident and no maintenance"));
}
