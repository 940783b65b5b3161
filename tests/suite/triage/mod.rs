//! What a webhook is worth, and what is found out about it.

mod early;
mod tenant;
mod unreadable;

use chrono::Utc;
use poolkeeper::app::Clock;
use poolkeeper::domain::{Alert, GroupKey, IncidentEvent, Trust};
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
    assert_eq!(told.len(), 3, "no boundary rule: {told:#?}");
    assert_eq!(
        told[0].1,
        "10 of 200 requests of tenant tenant-a failed (5.00 %); the p95 was 3.40 s."
    );
    assert!(told[1].1.starts_with("Nothing was changed"), "{told:#?}");
    assert!(told[2].1.contains("no incident and no maintenance"));
}
