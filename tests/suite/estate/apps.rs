//! Apps that are in trouble: how callers and the platform see it, and what heals it.

use std::time::Duration;

use poolkeeper::local::simulator::{Fault, FaultKind, Heals, Trouble, TroubleKind};
use reqwest::Method;
use serde_json::{Value, json};

use super::{APPS, Azure, GROUP, send};

const APP: &str = "providers/Microsoft.App/containerApps/agent-api";
const REVISION: &str = "agent-api--a1b2c3";
const CACHE: &str = "providers/Microsoft.Cache/redis/redis-agents-jpe";
const REDIS: &str = "2024-11-01";

impl Azure {
    /// What a caller of the app gets: its status, or that there is no answer.
    async fn call(&self, host: &str, tenant: &str) -> Option<u16> {
        let url = format!("{}/outside/{host}/health/ready", self.world.simulator.url());
        let request = self.world.http.get(url).header("x-tenant-id", tenant);
        let answer = request.timeout(Duration::from_millis(400)).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    async fn api(&self) -> Option<u16> {
        self.call("agent-api.jpe.example", "tenant-a").await
    }

    async fn trouble(&self, kind: TroubleKind, heals: Heals) {
        let trouble = Trouble::new(kind, heals);
        self.world.simulator.app_trouble("agent-api", trouble).await;
    }

    async fn revision(&self, name: &str) -> Value {
        let answer = self.get(&format!("{APP}/revisions/{name}"), APPS).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["properties"].clone()
    }

    async fn patch(&self, properties: Value) -> u16 {
        let body = json!({ "location": "japaneast", "properties": properties });
        let answer = self.write(Method::PATCH, APP, APPS, &body).await;
        self.world.simulator.advance(Duration::from_secs(1));
        answer.status
    }

    async fn latest(&self) -> (String, String) {
        let app = self.get(APP, APPS).await.json();
        let name = |part: &str| {
            app["properties"][part]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (name("latestRevisionName"), name("latestReadyRevisionName"))
    }
}

#[tokio::test]
async fn an_app_answers_by_each_of_its_names_and_as_it_is() {
    let azure = Azure::start().await;
    let fqdn = "agent-api.calmsea-1a2b3c4d.japaneast.azurecontainerapps.io";
    for host in [
        "agent-api.jpe.example",
        fqdn,
        "agents.example.com",
        "AGENT-API.jpe.example",
    ] {
        assert_eq!(azure.call(host, "").await, Some(200), "{host}");
    }
    assert_eq!(azure.call("nothing.jpe.example", "").await, None);
    for (kind, caller, health, running) in [
        (TroubleKind::Hang, None, "Unhealthy", "Degraded"),
        (TroubleKind::Close, None, "Unhealthy", "Failed"),
        (TroubleKind::Crash, Some(503), "Unhealthy", "Failed"),
        (
            TroubleKind::Fail { status: 500 },
            Some(500),
            "Healthy",
            "Running",
        ),
        (TroubleKind::Slow { ms: 600 }, None, "Healthy", "Running"),
        (TroubleKind::Slow { ms: 1 }, Some(200), "Healthy", "Running"),
    ] {
        azure.trouble(kind, Heals::Never).await;
        assert_eq!(azure.api().await, caller, "{kind:?}");
        assert_eq!(azure.call("agent-worker.jpe.example", "").await, Some(200));
        let revision = azure.revision(REVISION).await;
        assert_eq!(revision["healthState"], health, "{kind:?}");
        assert_eq!(revision["runningState"], running, "{kind:?}");
        let replicas = azure
            .get(&format!("{APP}/revisions/{REVISION}/replicas"), APPS)
            .await
            .json();
        let container = &replicas["value"][0]["properties"]["containers"][0];
        assert_eq!(container["ready"], health == "Healthy", "{kind:?}");
        let crashed = running == "Failed";
        let state = if crashed { "Waiting" } else { "Running" };
        assert_eq!(container["runningState"], state, "{kind:?}");
        assert_eq!(
            container["runningStateDetails"] == "CrashLoopBackOff",
            crashed
        );
        azure.world.simulator.heal_app("agent-api").await;
        assert_eq!(azure.api().await, Some(200), "{kind:?}");
    }
}

#[tokio::test]
async fn a_trouble_of_one_tenant_is_no_other_tenants() {
    let azure = Azure::start().await;
    let trouble = Trouble {
        tenant: Some("tenant-b".to_owned()),
        ..Trouble::new(TroubleKind::Fail { status: 502 }, Heals::Never)
    };
    azure
        .world
        .simulator
        .app_trouble("agent-api", trouble)
        .await;
    let host = "agent-api.jpe.example";
    assert_eq!(azure.call(host, "tenant-b").await, Some(502));
    assert_eq!(azure.call(host, "tenant-a").await, Some(200));
    assert_eq!(azure.call(host, "").await, Some(200));
}

#[tokio::test]
async fn each_trouble_is_healed_by_what_heals_it_and_by_nothing_else() {
    let azure = Azure::start().await;
    let down = Some(503);
    let up = Some(200);
    for (name, heals) in [
        ("time", Heals::Time { minutes: 7 }),
        ("restart", Heals::Restart),
        ("flush", Heals::Flush),
        ("scale", Heals::Scale { replicas: 4 }),
        ("never", Heals::Never),
    ] {
        azure.trouble(TroubleKind::Crash, heals).await;
        assert_eq!(azure.api().await, down, "{name}");
        let is = |healer: &str| if name == healer { up } else { down };
        let flush = send(azure.request(Method::POST, &format!("{CACHE}/flush"), REDIS)).await;
        assert_eq!(flush.status, 202, "{}", flush.text);
        assert_eq!(azure.api().await, down, "the flush takes its time");
        azure.world.simulator.advance(Duration::from_secs(1));
        assert_eq!(azure.api().await, is("flush"), "flush for {name}");
        if name == "scale" {
            let scale = |least: u32| json!({ "template": { "scale": { "minReplicas": least } } });
            assert_eq!(azure.patch(scale(3)).await, 202);
            assert_eq!(azure.api().await, down, "three are too few");
            assert_eq!(azure.patch(scale(4)).await, 202);
            assert_eq!(azure.api().await, up);
            assert_eq!(azure.patch(scale(2)).await, 202);
            assert_eq!(azure.api().await, down, "it comes back with the load");
        }
        let (_, ready) = azure.latest().await;
        let restart = format!("{APP}/revisions/{ready}/restart");
        assert_eq!(
            send(azure.request(Method::POST, &restart, APPS))
                .await
                .status,
            200
        );
        let after_restart = if name == "flush" { up } else { is("restart") };
        assert_eq!(azure.api().await, after_restart, "restart for {name}");
        azure.world.simulator.advance(Duration::from_secs(5 * 60));
        assert_eq!(azure.api().await, after_restart, "five minutes for {name}");
        azure.world.simulator.advance(Duration::from_secs(3 * 60));
        let after_time = if matches!(name, "time" | "restart" | "flush") {
            up
        } else {
            down
        };
        assert_eq!(azure.api().await, after_time, "eight minutes for {name}");
        azure.world.simulator.heal_app("agent-api").await;
        assert_eq!(azure.api().await, up, "{name} by hand");
    }
}

#[tokio::test]
async fn a_flush_that_comes_to_nothing_heals_nothing() {
    let azure = Azure::start().await;
    azure.trouble(TroubleKind::Crash, Heals::Flush).await;
    for (kind, status) in [
        (FaultKind::OperationFails, "Failed"),
        (FaultKind::NoEffect, "Succeeded"),
    ] {
        azure.world.simulator.fault(Fault {
            kind,
            contains: Some("/flush".to_owned()),
            times: Some(1),
            ..Fault::default()
        });
        let flush = send(azure.request(Method::POST, &format!("{CACHE}/flush"), REDIS)).await;
        let follow = flush.header("azure-asyncoperation").to_owned();
        let result = flush.header("location").to_owned();
        let poll = async |url: &str| send(azure.world.http.get(url).bearer_auth(&azure.arm)).await;
        assert_eq!(poll(&follow).await.json()["status"], "InProgress");
        assert_eq!(poll(&result).await.status, 202);
        azure.world.simulator.advance(Duration::from_secs(1));
        assert_eq!(poll(&follow).await.json()["status"], status);
        let expected = if status == "Failed" { 409 } else { 200 };
        assert_eq!(poll(&result).await.status, expected);
        assert_eq!(azure.api().await, Some(503));
    }
    assert!(azure.world.simulator.changes().await.is_empty());
}

#[tokio::test]
async fn a_revision_that_cannot_be_provisioned_leaves_the_traffic_where_it_was() {
    let azure = Azure::start().await;
    azure.trouble(TroubleKind::Revision, Heals::Never).await;
    let body = json!({ "location": "japaneast", "properties": { "template": { "scale": { "minReplicas": 3 } } } });
    let answer = azure.write(Method::PATCH, APP, APPS, &body).await;
    assert_eq!(answer.status, 202);
    azure.world.simulator.advance(Duration::from_secs(1));
    let result = send(
        azure
            .world
            .http
            .get(answer.header("location"))
            .bearer_auth(&azure.arm),
    )
    .await;
    assert_eq!(
        result.refusal(),
        (409, "ContainerAppOperationError".to_owned())
    );
    let (latest, ready) = azure.latest().await;
    assert_ne!(latest, REVISION);
    assert_eq!(ready, REVISION);
    let failed = azure.revision(&latest).await;
    assert_eq!(failed["provisioningState"], "Failed");
    assert_eq!(failed["healthState"], "Unhealthy");
    assert_eq!(failed["trafficWeight"], 0);
    let runs = azure.revision(REVISION).await;
    assert_eq!(
        (&runs["trafficWeight"], &runs["active"]),
        (&json!(100), &json!(true))
    );
    assert_eq!(azure.api().await, Some(200));
    // The next change is a new attempt, and the old ones are put away.
    assert_eq!(
        azure
            .patch(json!({ "template": { "scale": { "minReplicas": 4 } } }))
            .await,
        202
    );
    let (newest, ready) = azure.latest().await;
    assert_eq!(newest, ready);
    assert_eq!(azure.revision(&newest).await["trafficWeight"], 100);
    for old in [latest.as_str(), REVISION] {
        assert_eq!(azure.revision(old).await["active"], false, "{old}");
    }
}

#[tokio::test]
async fn traffic_is_split_between_active_revisions_only() {
    let azure = Azure::start().await;
    let traffic = |first: &str, a: i64, second: &str, b: i64| {
        json!({ "configuration": { "ingress": { "traffic": [
            { "revisionName": first, "weight": a }, { "revisionName": second, "weight": b },
        ] } } })
    };
    let mode = json!({ "configuration": { "activeRevisionsMode": "Multiple" } });
    assert_eq!(azure.patch(mode).await, 202);
    assert_eq!(
        azure
            .patch(json!({ "template": { "revisionSuffix": "v2" } }))
            .await,
        202
    );
    let (new, _) = azure.latest().await;
    assert_eq!(azure.revision(REVISION).await["active"], true);
    assert_eq!(azure.patch(traffic(REVISION, 90, &new, 10)).await, 202);
    assert_eq!(azure.revision(REVISION).await["trafficWeight"], 90);
    assert_eq!(azure.revision(&new).await["trafficWeight"], 10);
    for (name, wrong) in [
        ("not all of it", traffic(REVISION, 50, &new, 10)),
        ("less than nothing", traffic(REVISION, 110, &new, -10)),
        (
            "one put away",
            traffic(REVISION, 50, "agent-api--0f9e8d", 50),
        ),
        (
            "one unknown",
            traffic(REVISION, 50, "agent-api--zzzzzz", 50),
        ),
    ] {
        assert_eq!(azure.patch(wrong).await, 400, "{name}");
    }
    let call = async |what: &str, of: &str| {
        let path = format!("{APP}/revisions/{of}/{what}");
        send(azure.request(Method::POST, &path, APPS)).await.status
    };
    assert_eq!(call("deactivate", &new).await, 400, "it has traffic");
    assert_eq!(call("activate", "agent-api--0f9e8d").await, 200);
    assert_eq!(
        azure
            .patch(traffic(REVISION, 60, "agent-api--0f9e8d", 40))
            .await,
        202
    );
    assert_eq!(call("deactivate", &new).await, 200);
    assert_eq!(azure.revision(&new).await["replicas"], 0);
    let line = format!("agent-api: traffic latest 100% -> {REVISION} 90%, {new} 10%");
    assert!(azure.world.simulator.changes().await.contains(&line));
}

#[tokio::test]
async fn trouble_is_asked_for_over_http_and_outlives_a_restart() {
    let azure = Azure::start().await;
    let simulator = &azure.world.simulator;
    let url = format!("{}/_sim/apps", simulator.url());
    let ask = |method: Method, query: &str, body: Value| {
        let url = format!("{url}{query}");
        let request = azure.world.http.request(method, url).json(&body);
        request.header("x-sim-key", azure.world.simulator.sim_key())
    };
    let crash =
        json!({ "app": "agent-api", "kind": "crash", "heals": { "time": { "minutes": 5 } } });
    assert_eq!(send(ask(Method::POST, "", crash)).await.status, 204);
    let slow =
        json!({ "app": "agent-worker", "kind": { "slow": { "ms": 1 } }, "tenant": "tenant-a" });
    assert_eq!(send(ask(Method::POST, "", slow)).await.status, 204);
    for (wrong, status) in [
        (json!({ "app": "nothing", "kind": "crash" }), 404),
        (json!({ "app": "agent-api", "kind": "burn" }), 400),
        (
            json!({ "app": "agent-api", "kind": "crash", "heal": "never" }),
            400,
        ),
    ] {
        assert_eq!(send(ask(Method::POST, "", wrong)).await.status, status);
    }
    let open = azure.world.http.get(&url);
    assert_eq!(send(open).await.status, 401);
    let azure = Azure::on(azure.world.restart_storage().await).await;
    assert_eq!(azure.api().await, Some(503));
    let url = format!("{}/_sim/apps", azure.world.simulator.url());
    let key = azure.world.simulator.sim_key().to_owned();
    let list = send(azure.world.http.get(&url).header("x-sim-key", &key))
        .await
        .json();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
    assert_eq!(list[0]["trouble"]["kind"], "crash");
    let gone = azure.world.http.delete(format!("{url}?app=agent-api"));
    assert_eq!(send(gone.header("x-sim-key", &key)).await.status, 204);
    assert_eq!(azure.api().await, Some(200));
    let list = send(azure.world.http.get(&url).header("x-sim-key", &key))
        .await
        .json();
    assert_eq!(list[0]["app"], "agent-worker");
}

#[tokio::test]
async fn caches_are_listed_and_flushed_only_with_permission() {
    let azure = Azure::start().await;
    let listed = azure
        .get("providers/Microsoft.Cache/redis", REDIS)
        .await
        .json();
    assert_eq!(listed["value"][0]["name"], "redis-agents-jpe");
    assert_eq!(listed["value"][0]["id"], format!("{GROUP}/{CACHE}"));
    azure
        .world
        .simulator
        .grant_only(&["Microsoft.Cache/redis/read"]);
    assert_eq!(
        azure.get(CACHE, REDIS).await.json()["properties"]["sku"]["name"],
        "Standard"
    );
    let flush = send(azure.request(Method::POST, &format!("{CACHE}/flush"), REDIS)).await;
    assert_eq!(flush.refusal(), (403, "AuthorizationFailed".to_owned()));
    azure.world.simulator.grant_all();
    let flush = send(azure.request(Method::POST, &format!("{CACHE}/flush"), REDIS)).await;
    assert_eq!(flush.status, 202);
    let again = send(azure.request(Method::POST, &format!("{CACHE}/flush"), REDIS)).await;
    assert_eq!(
        again.refusal(),
        (409, "Conflict".to_owned()),
        "one at a time"
    );
    assert_eq!(
        azure.world.simulator.changes().await,
        ["redis-agents-jpe: flushed"]
    );
}
