//! Alerts and rules that let scaling look at once.

use chrono::Duration;
use serde_json::json;

use super::{COSMOS, Scaled, acts};
use crate::changes::worked;
use crate::engine::table;

/// Azure fires an alert about the account, and posts it; the run that it began.
async fn alerted(scaled: &Scaled, base: &str) -> String {
    let guid = "66114d64-d9d9-478b-95c9-b789d6502100";
    scaled
        .sim()
        .raise(guid, COSMOS, "ru-too-high", "Sev2", "Fired")
        .await;
    let body = json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": { "essentials": {
            "alertId": format!("{COSMOS}/providers/Microsoft.AlertsManagement/alerts/{guid}"),
            "alertRule": "ru-too-high", "severity": "Sev2", "signalType": "Metric",
            "monitorCondition": "Fired", "monitoringService": "Platform",
            "firedDateTime": scaled.now(), "alertTargetIDs": [COSMOS],
        }, "alertContext": null }
    });
    let (status, answer) = scaled.world.post(format!("{base}/api/alerts"), &body).await;
    assert_eq!(status, 202, "{answer}");
    worked(&scaled.world, base, &answer).await;
    let runs = scaled.world.get(format!("{base}/api/runs")).await;
    let mut accepted = runs["accepted"].as_array().expect("runs").iter();
    let mine = accepted.find(|run| {
        run.as_str()
            .is_some_and(|r| r.starts_with("autoscale-alert-"))
    });
    mine.unwrap_or_else(|| panic!("{runs}"))
        .as_str()
        .expect("text")
        .to_owned()
}

#[tokio::test]
async fn an_alert_and_the_timer_at_once_make_one_change_and_the_incident_tells_of_it() {
    let scaled = Scaled::start_at(5, 2, |estate| {
        // Not even the cooldown is there to help.
        acts(estate).replacen("cooldown = \"10m\"", "cooldown = \"0m\"", 1)
    })
    .await;
    scaled.busy("threads", 3.0).await;
    let [one, two] = [scaled.handler().await, scaled.handler().await];
    let run = alerted(&scaled, &one).await;
    let (told, status) = tokio::join!(
        scaled.world.tick(&two, "autoscale-check"),
        scaled.world.deliver(&one, &run),
    );
    assert_eq!(status, 200, "{told}");
    let told = scaled.changes().await;
    assert_eq!(
        told,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 2000 RU/s"]
    );
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["past"]["changes"], 1, "{shown}");
    let run = scaled.world.get(format!("{one}/api/runs/{run}")).await;
    assert_eq!(run["work"]["cause"]["why"], "incident", "{run}");
    let incident = run["work"]["cause"]["incident"]
        .as_str()
        .expect("an incident");
    let incident = scaled
        .world
        .get(format!("{one}/api/incidents/{incident}"))
        .await;
    let text = incident["timeline"].to_string();
    assert!(text.contains("poolkeeper/autoscale"), "{incident}");
    // The same alert delivered once more begins nothing anew.
    let again = scaled.world.get(format!("{one}/api/runs")).await;
    assert_eq!(again["waiting"], 0, "{again}");
}

#[tokio::test]
async fn a_rule_that_answers_with_scaling_lets_it_look_at_once() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    let columns = [("TableName", "string"), ("AgeSeconds", "real")];
    let fresh = vec![vec![json!("AppRequests"), json!(60.0)]];
    let answers = &scaled.world.answers;
    answers.when("AgeSeconds", Ok(table(&columns, fresh)));
    let columns = [
        ("ResourceId", "string"),
        ("Time", "datetime"),
        ("MaxPercent", "real"),
        ("Records", "long"),
    ];
    let mut told = Vec::new();
    for _ in 0..3 {
        let at = scaled.now() - Duration::minutes(6);
        let row = vec![
            json!(COSMOS.to_lowercase()),
            json!(at.to_rfc3339()),
            json!(97.0),
            json!(5),
        ];
        answers.when("MaxPercent", Ok(table(&columns, vec![row])));
        let base = scaled.handler().await;
        told.push(scaled.world.tick(&base, "rules").await.to_string());
        scaled.later(5);
    }
    assert_eq!(scaled.changes().await, Vec::<String>::new(), "{told:?}");
    let base = scaled.handler().await;
    scaled.world.tick(&base, "minute-tick").await;
    let run = scaled.run().await;
    assert_eq!(run["work"]["cause"]["why"], "incident", "{run} {told:?}");
    assert_eq!(run["work"]["only"], COSMOS, "{run}");
    let changes = scaled.changes().await;
    assert_eq!(
        changes,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 2000 RU/s"]
    );
    let id = run["work"]["cause"]["incident"].as_str().expect("an id");
    let url = format!("{base}/api/incidents/{id}");
    let incident = scaled.world.get(url).await;
    let text = incident["timeline"].to_string();
    assert!(text.contains("scaling has proposed"), "{incident}");
}
