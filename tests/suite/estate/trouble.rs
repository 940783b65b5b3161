//! What is not understood, not allowed, too much, or broken.

use std::time::{Duration, Instant};

use poolkeeper::local::simulator::{Fault, FaultKind, Limit, Service};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ACCOUNT, APPS, Azure, COSMOS, GROUP, STORAGE, manual, offer, send};
use crate::world::World;

#[tokio::test]
async fn requests_that_resource_manager_does_not_understand_are_refused() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let app = "providers/Microsoft.App/containerApps/agent-api";
    let old = azure.get(app, "2023-05-01").await;
    assert_eq!(old.refusal(), (400, "InvalidApiVersionParameter".into()));
    let unknown = azure
        .get("providers/Microsoft.Nothing/things/x", APPS)
        .await;
    assert_eq!(unknown.refusal(), (404, "InvalidResourceType".into()));
    let delete = send(azure.request(Method::DELETE, app, APPS)).await;
    assert_eq!(delete.refusal(), (405, "MethodNotAllowed".into()));
    let both = json!({ "properties": { "resource": {
        "throughput": 400, "autoscaleSettings": { "maxThroughput": 1000 },
    } } });
    let both = azure
        .write(Method::PUT, &offer("runs"), COSMOS, &both)
        .await;
    assert_eq!(both.refusal(), (400, "BadRequest".into()));
    let no_json = azure.request(Method::PUT, &offer("runs"), COSMOS);
    let no_json = send(no_json.body(manual(500).to_string())).await;
    assert_eq!(no_json.refusal(), (415, "UnsupportedMediaType".into()));
    let url = format!(
        "{}{GROUP}/{app}?api-version={APPS}",
        azure.world.simulator.url()
    );
    let stranger = send(azure.world.http.get(url).bearer_auth(&azure.blob)).await;
    assert_eq!(
        stranger.refusal(),
        (401, "InvalidAuthenticationToken".into())
    );
    assert!(
        stranger
            .header("www-authenticate")
            .starts_with("Bearer authorization_uri=")
    );
    assert_eq!(azure.changes().await, [""; 0]);
}

#[tokio::test]
async fn what_is_asked_of_the_simulator_itself_can_be_asked_over_http() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let simulator = &azure.world.simulator;
    let sim = async |method: Method, what: &str, body: Value| {
        let url = format!("{}/_sim/{what}", simulator.url());
        let request = azure.world.http.request(method, url).json(&body);
        send(request.header("x-sim-key", simulator.sim_key())).await
    };
    for (what, body) in [
        ("clock", json!({ "advanceSeconds": -1 })),
        ("permissions", json!({ "none": [] })),
        ("operations", json!({})),
        ("limit", json!({ "per_minute": 3 })),
        ("alerts", json!({ "id": "a" })),
        ("faults", json!({ "kind": "error", "service": "moon" })),
    ] {
        let answer = sim(Method::POST, what, body).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text);
    }
    let alert = json!({
        "id": "a-1", "target": format!("{GROUP}/{ACCOUNT}"), "rule": "r", "severity": "Sev1",
        "condition": "Fired",
    });
    assert_eq!(sim(Method::POST, "alerts", alert).await.status, 204);
    let path = "providers/Microsoft.AlertsManagement/alerts/a-1";
    assert_eq!(azure.get(path, "2019-03-01").await.status, 200);
    let fault = json!({ "kind": "error", "service": "arm", "times": 1 });
    assert_eq!(sim(Method::POST, "faults", fault).await.status, 204);
    assert_eq!(azure.get(path, "2019-03-01").await.status, 500);
    let only = json!({ "only": ["*/write"] });
    assert_eq!(sim(Method::POST, "permissions", only).await.status, 204);
    assert_eq!(azure.get(ACCOUNT, STORAGE).await.status, 403);
    let takes = json!({ "takeMs": 0 });
    assert_eq!(sim(Method::POST, "operations", takes).await.status, 204);
    let put = azure
        .write(Method::PUT, &offer("runs"), COSMOS, &manual(500))
        .await;
    assert_eq!(put.status, 202);
    assert_eq!(
        sim(Method::DELETE, "permissions", json!(null)).await.status,
        204
    );
    assert_eq!(azure.offer("runs").await["throughput"], 500);
    let limit = json!({ "contains": "/storageAccounts/", "per_second": 0.001, "burst": 1 });
    assert_eq!(sim(Method::POST, "limit", limit).await.status, 204);
    assert_eq!(azure.get(ACCOUNT, STORAGE).await.status, 200);
    let refused = azure.get(ACCOUNT, STORAGE).await;
    assert_eq!(refused.refusal(), (429, "TooManyRequests".into()));
    let counts = sim(Method::GET, "limit", json!(null)).await.json();
    assert_eq!(
        (&counts["calls"], &counts["refused"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(sim(Method::DELETE, "limit", json!(null)).await.status, 204);
    assert_eq!(azure.get(ACCOUNT, STORAGE).await.status, 200);
    let changes = sim(Method::GET, "changes", json!(null)).await.json();
    assert_eq!(
        changes,
        json!(["cosmos-agents-jpe/agents/runs: throughput 400 -> 500 RU/s"])
    );
    let mutations = sim(Method::GET, "mutations", json!(null)).await.json();
    assert_eq!(mutations, json!([format!("PUT {GROUP}/{}", offer("runs"))]));
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let azure = Azure::start().await;
    let simulator = &azure.world.simulator;
    let read =
        "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/read";
    let restart = "Microsoft.App/containerApps/revisions/restart/action";
    let revision = "providers/Microsoft.App/containerApps/agent-api/revisions/agent-api--a1b2c3";
    simulator.grant_only(&[read]);
    assert_eq!(azure.get(&offer("threads"), COSMOS).await.status, 200);
    let write = azure
        .write(Method::PUT, &offer("threads"), COSMOS, &manual(1100))
        .await;
    let restarted = send(azure.request(Method::POST, &format!("{revision}/restart"), APPS)).await;
    let read_app = azure
        .get("providers/microsoft.app/containerapps/agent-api", APPS)
        .await;
    for (answer, action) in [
        (
            write,
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/write",
        ),
        (restarted, restart),
        (read_app, "Microsoft.App/containerApps/read"),
    ] {
        assert_eq!(answer.refusal(), (403, "AuthorizationFailed".into()));
        assert!(
            answer.text.contains(&format!("'{action}'")),
            "{}",
            answer.text
        );
    }
    let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";
    let list = "app-logs?restype=container&comp=list&maxresults=1";
    simulator.grant_only(&[&format!("{blobs}/read")]);
    assert_eq!(azure.blob("GET", list, &[]).await.status, 200);
    simulator.grant_only(&[&format!("{blobs}/delete")]);
    let denied = (403, "AuthorizationPermissionMismatch".to_owned());
    assert_eq!(azure.blob("GET", list, &[]).await.refusal(), denied);
    let gone = azure.blob("DELETE", "app-logs/none", &[]).await;
    assert_eq!(
        gone.refusal(),
        (404, "BlobNotFound".into()),
        "it was let in"
    );

    let vault = azure.world.token("https://vault.azure.net").await;
    let secrets = async || {
        let url = format!(
            "{}/vault/kv-agents-jpe/secrets?api-version=7.5",
            simulator.url()
        );
        send(azure.world.http.get(url).bearer_auth(&vault)).await
    };
    let refused = secrets().await;
    assert_eq!(refused.refusal(), (403, "Forbidden".into()));
    assert_eq!(
        refused.json()["error"]["innererror"]["code"],
        "ForbiddenByRbac"
    );
    assert!(
        refused
            .text
            .contains("Microsoft.KeyVault/vaults/secrets/readMetadata/action")
    );
    simulator.grant_only(&["Microsoft.KeyVault/*"]);
    assert_eq!(secrets().await.status, 200);
    assert_eq!(azure.changes().await, [""; 0]);
    simulator.grant_all();
    assert_eq!(azure.blob("GET", list, &[]).await.status, 200);
}

#[tokio::test]
async fn a_limit_lets_through_what_it_says_and_counts_the_rest() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let simulator = &azure.world.simulator;
    simulator.fill("stagentsjpe", "bulk-logs", 100, 40).await;
    let delete = async |number: usize| {
        let path = format!("bulk-logs/bulk/{number:06}.log");
        azure.blob("DELETE", &path, &[]).await
    };
    simulator.limit(Limit {
        contains: "/bulk-logs/".into(),
        per_second: 0.01,
        burst: 3.0,
        ..Limit::default()
    });
    for number in 1..=3 {
        assert_eq!(delete(number).await.status, 202);
    }
    let refused = delete(4).await;
    assert_eq!(refused.refusal(), (503, "ServerBusy".into()));
    let wait: u64 = refused
        .header("x-ms-retry-after-ms")
        .parse()
        .expect("a number");
    assert!((90_000..=100_000).contains(&wait), "{wait}");
    let seconds: u64 = refused.header("retry-after").parse().expect("a number");
    assert_eq!(seconds, wait.div_ceil(1000));
    let other = azure.blob("HEAD", "app-logs/none", &[]).await;
    assert_eq!(other.status, 404, "it does not fit the limit");
    let counts = simulator.counts();
    assert_eq!(
        (counts.calls, counts.done, counts.refused, counts.failed),
        (4, 3, 1, 0)
    );

    simulator.limit(Limit {
        contains: "/bulk-logs/".into(),
        fail_percent: 50,
        ..Limit::default()
    });
    let mut failed = Vec::new();
    for number in 11..=60 {
        let status = delete(number).await.status;
        let there = {
            let name = format!("bulk/{number:06}.log");
            simulator.has_blob("stagentsjpe", "bulk-logs", &name).await
        };
        assert_eq!(status >= 500, there, "{number}: what fails is not done");
        failed.extend((status >= 500).then_some(status));
    }
    let counts = simulator.counts();
    assert_eq!(counts.failed, failed.len() as u64);
    assert!((10..40).contains(&failed.len()), "{failed:?}");
    assert!(failed.contains(&500) && failed.contains(&503), "{failed:?}");

    simulator.limit(Limit {
        contains: "/bulk-logs/".into(),
        latency_ms: 300,
        most_in_flight: Some(2),
        ..Limit::default()
    });
    let begun = Instant::now();
    let answers = futures::future::join_all((71..=74).map(&delete)).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert_eq!(busy, 2);
    assert_eq!(simulator.counts().most_in_flight, 2);
}

#[tokio::test]
async fn faults_take_the_shape_of_the_service_they_meet() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let fault = |kind, service| {
        azure.world.simulator.fault(Fault {
            kind,
            service: Some(service),
            times: Some(1),
            ..Fault::default()
        });
    };
    let account = async || azure.get(ACCOUNT, STORAGE).await;
    let blob = async || azure.blob("GET", "reports?restype=container", &[]).await;
    for (kind, arm, storage) in [
        (
            FaultKind::Throttle,
            (429, "TooManyRequests"),
            (503, "ServerBusy"),
        ),
        (
            FaultKind::Error,
            (500, "InternalServerError"),
            (500, "InternalError"),
        ),
        (
            FaultKind::Unavailable,
            (503, "ServiceUnavailable"),
            (503, "ServerBusy"),
        ),
        (
            FaultKind::Denied,
            (403, "AuthorizationFailed"),
            (403, "AuthorizationPermissionMismatch"),
        ),
    ] {
        fault(kind, Service::Arm);
        assert_eq!(blob().await.status, 200, "{kind:?} is for another service");
        let answer = account().await;
        assert_eq!(answer.refusal(), (arm.0, arm.1.into()), "{kind:?}");
        let throttled = kind == FaultKind::Throttle;
        assert_eq!(answer.header("retry-after") == "1", throttled, "{kind:?}");
        fault(kind, Service::Blob);
        assert_eq!(
            account().await.status,
            200,
            "{kind:?} is for another service"
        );
        let answer = blob().await;
        assert_eq!(answer.refusal(), (storage.0, storage.1.into()), "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_accepted_can_fail_later_or_come_to_nothing() {
    let azure = Azure::start().await;
    let app = "providers/Microsoft.App/containerApps/agent-api";
    let scale = json!({ "location": "japaneast", "properties": { "template": { "scale": {
        "minReplicas": 4,
    } } } });
    let before = azure.get(app, APPS).await.text;
    for (kind, status, code) in [
        (FaultKind::OperationFails, "Failed", 409),
        (FaultKind::NoEffect, "Succeeded", 200),
    ] {
        for (method, path, version, body) in [
            (Method::PUT, offer("threads"), COSMOS, manual(1100)),
            (Method::PATCH, app.to_owned(), APPS, scale.clone()),
        ] {
            let fault = Fault {
                kind,
                method: Some(method.to_string()),
                times: Some(1),
                ..Fault::default()
            };
            azure.world.simulator.fault(fault);
            let answer = azure.write(method, &path, version, &body).await;
            assert_eq!(answer.status, 202, "{kind:?} {path}: {}", answer.text);
            azure.wait();
            let poll = async |name| {
                let url = azure.world.http.get(answer.header(name));
                send(url.bearer_auth(&azure.arm)).await
            };
            assert_eq!(poll("location").await.status, code, "{kind:?} {path}");
            if !answer.header("azure-asyncoperation").is_empty() {
                let told = poll("azure-asyncoperation").await.json();
                assert_eq!(told["status"], status, "{kind:?} {path}");
                assert_eq!(told["error"].is_null(), status == "Succeeded");
            }
        }
    }
    assert_eq!(azure.offer("threads").await["throughput"], 1000);
    assert_eq!(azure.get(app, APPS).await.text, before);
    assert_eq!(azure.changes().await, [""; 0], "nothing was changed");
    let refused = azure
        .write(Method::PUT, &offer("threads"), COSMOS, &manual(1150))
        .await;
    assert_eq!(refused.status, 400, "what is refused is refused");
    let done = azure
        .write(Method::PUT, &offer("threads"), COSMOS, &manual(1100))
        .await;
    assert_eq!(done.status, 202);
    azure.wait();
    assert_eq!(azure.offer("threads").await["throughput"], 1100);
}
