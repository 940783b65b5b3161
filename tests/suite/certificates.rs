use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::world::World;

async fn check(world: &World, base: &str) -> Value {
    let url = format!("{base}/api/maintenance/daily?task=check_certificate_expiry");
    let (status, answer) = world.post(url, &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    world.tick(base, "minute-tick").await;
    let run = answer["run"].as_str().expect("a run");
    world.get(format!("{base}/api/runs/{run}")).await
}

#[tokio::test]
async fn every_vault_is_read_and_each_kind_of_trouble_told() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let run = check(&world, &base).await;
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    let mut told: Vec<String> = run["tasks"][0]["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| {
            let text = |name: &str| f[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("code"), text("subject"))
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "disabled kv-agents-jpe/certificates/old-region",
            "expired agents-api/secrets/deployment (old)",
            "expired kv-agents-jpe/certificates/legacy-portal",
            "expired kv-agents-jpe/secrets/partner-api-key",
            "expires-within-14-days agents-api/secrets/deployment",
            "expires-within-14-days kv-agents-jpe/certificates/partner-mtls",
            "expires-within-30-days agent-api/certificates/agents.example.com",
            "expires-within-30-days kv-agents-jpe/certificates/webhooks",
            "expires-within-60-days kv-agents-jpe/certificates/portal",
            "expires-within-7-days kv-agents-jpe/certificates/search-proxy",
            "no-expiry kv-agents-jpe/keys/audit-signing",
            "no-expiry kv-agents-jpe/secrets/bootstrap-token",
            "not-yet-valid kv-agents-jpe/certificates/next-year",
        ]
    );
    let summary = run["tasks"][0]["summary"].as_str().expect("a summary");
    assert!(
        summary.starts_with("18 certificates, secrets and keys in 4 of 4 places, 1 of them vaults")
    );
}

#[tokio::test]
async fn a_place_that_may_not_be_read_is_told_with_the_permission_and_stops_no_other() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    world.simulator.grant_only(&[
        "Microsoft.KeyVault/vaults/read",
        "Microsoft.App/containerApps/read",
    ]);
    let run = check(&world, &base).await;
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    let findings = run["tasks"][0]["findings"].as_array().expect("findings");
    for (code, permission) in [
        ("vault-unreadable", "Microsoft.KeyVault/vaults/"),
        (
            "certificate-unreadable",
            "Microsoft.App/managedEnvironments/certificates/read",
        ),
        ("application-unreadable", "Application.Read.All"),
    ] {
        let told = findings.iter().find(|f| f["code"] == code);
        let message = told.and_then(|f| f["message"].as_str()).unwrap_or_default();
        assert!(
            message.contains(permission) && message.contains("is needed"),
            "{code}: {findings:?}"
        );
    }

    world.simulator.grant_only(&[]);
    let run = check(&world, &base).await;
    assert_eq!(run["state"], "failed", "{run}");
}

#[tokio::test]
async fn passing_trouble_is_waited_out() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    for kind in [
        FaultKind::Throttle,
        FaultKind::Error,
        FaultKind::HalfAnswer,
        FaultKind::LostAnswer,
    ] {
        for contains in ["/vault/", "/subscriptions/"] {
            world.simulator.fault(Fault {
                kind,
                method: None,
                contains: Some(contains.into()),
                times: Some(1),
                ..Fault::default()
            });
        }
    }
    let run = check(&world, &base).await;
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    assert_eq!(
        run["tasks"][0]["findings"].as_array().map(Vec::len),
        Some(13)
    );
}
