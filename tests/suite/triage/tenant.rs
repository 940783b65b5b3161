//! Whose an alert is: only Azure's own word makes a tenant's people hear of it.

use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{Fault, FaultKind, Service};
use poolkeeper::operations::incidents::{Filter, Shown, list, show};
use serde_json::{Value, json};

use crate::alerts::alert;
use crate::world::World;

/// An alert that claims to be of tenant-a.
fn claiming(id: &str, condition: &str) -> Value {
    let mut body = alert(id, condition);
    body["data"]["alertContext"] = json!({
        "condition": { "allOf": [{ "dimensions": [{ "name": "tenantId", "value": "tenant-a" }] }] }
    });
    body
}

/// Makes Azure know of it, with the tenant that its own dimensions name.
async fn known(world: &World, body: &Value, tenant: Option<&str>) {
    let essentials = &body["data"]["essentials"];
    let text = |name: &str| essentials[name].as_str().expect("text");
    let id = text("alertId").rsplit('/').next().expect("a name");
    let target = essentials["alertTargetIDs"][0].as_str().expect("text");
    let simulator = &world.simulator;
    simulator
        .raise_of(tenant, id, target, "p95", "Sev1", text("monitorCondition"))
        .await;
}

/// An estate in which somebody of tenant-a is told of what is theirs.
fn with_contact(estate: &str) -> String {
    let (of, contact) = (
        "name = \"Tenant A\"\n",
        "contacts = [{ channel = \"mail\", to = \"operations@tenant-a.example\" }]\n",
    );
    assert!(estate.contains(of));
    estate.replace(of, &format!("{of}{contact}"))
}

async fn sent(world: &World, body: &Value) {
    let settings = world.settings_with_estate(with_contact);
    let base = world.handler_with(settings, Clock::System).await;
    let (status, answer) = world.post(format!("{base}/api/alerts"), body).await;
    assert_eq!(status, 202, "{answer}");
    let run = answer["run"].as_str().expect("a run");
    assert_eq!(world.deliver(&base, run).await, 200);
}

async fn incidents(world: &World) -> Vec<Shown> {
    let app = world.app(Clock::System);
    let page = list(&app, &Filter::default(), None, 50).await;
    let mut found = Vec::new();
    for one in page.expect("a page").incidents {
        let shown = show(&app, &one.id).await.expect("shown");
        found.push(shown.expect("an incident"));
    }
    found
}

#[tokio::test]
async fn a_tenant_that_only_the_webhook_names_is_a_claim_and_its_people_hear_nothing() {
    for (named, expected) in [(None, false), (Some("tenant-a"), true)] {
        let world = World::start_unrecorded().await;
        let body = claiming("a", "Fired");
        known(&world, &body, named).await;
        sent(&world, &body).await;
        let found = incidents(&world).await;
        let Shown { incident, told, .. } = &found[0];
        assert_eq!(incident.key.tenant.as_deref(), named);
        let claimed = ("claimed tenant".to_owned(), "tenant-a".to_owned());
        assert_eq!(!incident.facts.contains(&claimed), expected);
        let is_told = told.iter().any(|one| one.recipient == "tenant tenant-a");
        assert_eq!(is_told, expected, "{told:?}");
        assert!(!told.is_empty());
    }
}

#[tokio::test]
async fn an_end_belongs_to_its_beginning_although_more_is_known_by_then() {
    let world = World::start_unrecorded().await;
    world.simulator.fault(Fault {
        kind: FaultKind::Denied,
        service: Some(Service::Arm),
        ..Fault::default()
    });
    sent(&world, &claiming("a", "Fired")).await;
    assert_eq!(incidents(&world).await[0].incident.key.tenant, None);
    world.simulator.clear_faults();
    let body = claiming("a", "Resolved");
    known(&world, &body, Some("tenant-a")).await;
    sent(&world, &body).await;
    let found = incidents(&world).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].incident.resolved.is_some());
}
