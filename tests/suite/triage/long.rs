//! Texts of strangers that are longer than anybody wants to read.

use poolkeeper::app::Clock;
use serde_json::json;

use crate::alerts::alert;
use crate::world::World;

#[tokio::test]
async fn what_a_webhook_names_at_length_is_told_in_brief() {
    let world = World::start_unrecorded().await;
    let base = world.handler(Clock::System).await;
    let mut body = alert("a", "Fired");
    let endless = "x\n".repeat(10_000);
    let essentials = &mut body["data"]["essentials"];
    for name in ["alertRule", "description", "monitoringService"] {
        essentials[name] = json!(endless);
    }
    let targets: Vec<String> = (0..50)
        .map(|n| format!("/{n}/{}", "x\n".repeat(1000)))
        .collect();
    essentials["alertTargetIDs"] = json!(targets);
    essentials["alertId"] = json!(format!("/subscriptions/s/{}", "y\n".repeat(1000)));
    body["data"]["alertContext"] = json!({
        "condition": { "allOf": [{ "dimensions": [{ "name": "tenantId", "value": "z\n".repeat(100) }] }] }
    });
    let (status, answer) = world.post(format!("{base}/api/alerts"), &body).await;
    assert_eq!(status, 202, "{answer}");
    let run = answer["run"].as_str().expect("a run");
    assert_eq!(world.deliver(&base, run).await, 200);

    for place in ["runs", &format!("runs/{run}"), "incidents"] {
        let shown = world.get(format!("{base}/api/{place}")).await.to_string();
        assert!(shown.len() < 30_000, "{place}: {} bytes", shown.len());
        assert!(!shown.contains("x\\nx"), "{place}");
        assert!(!shown.contains("y\\ny"), "{place}");
    }
    let run = world.get(format!("{base}/api/runs/{run}")).await;
    let findings = run["tasks"][0]["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 21, "{findings:?}");
}
