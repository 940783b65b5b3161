//! The simulated estate, asked as Azure is asked: what it takes, what it refuses, what it keeps.

use std::time::{Duration, Instant};

use poolkeeper::local::simulator::{Fault, FaultKind, Limit, Service};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::world::World;

const GROUP: &str =
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe";
const DATABASE: &str =
    "providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe/sqlDatabases/agents";
const COSMOS: &str = "2024-08-15";
const APPS: &str = "2024-03-01";
const STORAGE: &str = "2023-05-01";
const ACCOUNT: &str = "providers/Microsoft.Storage/storageAccounts/stagentsjpe";

/// The estate, and a caller with a token for each of its services.
struct Azure {
    world: World,
    arm: String,
    blob: String,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Status and error code, of whichever shape.
    fn refusal(&self) -> (u16, String) {
        let code = match self.headers.get("x-ms-error-code") {
            Some(code) => code.to_str().expect("text").to_owned(),
            None => self.json()["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        (self.status, code)
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|v| v.to_str().expect("text"));
        value.unwrap_or_default()
    }
}

async fn send(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.expect("an answer");
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        text: answer.text().await.expect("text"),
    }
}

impl Azure {
    async fn start() -> Self {
        Self::on(World::start().await).await
    }

    async fn on(world: World) -> Self {
        let arm = world.token("https://management.azure.com").await;
        let blob = world.token("https://storage.azure.com").await;
        Self { world, arm, blob }
    }

    fn request(&self, method: Method, path: &str, version: &str) -> reqwest::RequestBuilder {
        let mark = if path.contains('?') { '&' } else { '?' };
        let url = format!(
            "{}{GROUP}/{path}{mark}api-version={version}",
            self.world.simulator.url()
        );
        self.world.http.request(method, url).bearer_auth(&self.arm)
    }

    async fn get(&self, path: &str, version: &str) -> Answer {
        send(self.request(Method::GET, path, version)).await
    }

    async fn write(&self, method: Method, path: &str, version: &str, body: &Value) -> Answer {
        send(self.request(method, path, version).json(body)).await
    }

    /// `stagentsjpe/<path>`, with headers.
    async fn blob(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.blob_at("stagentsjpe", method, path, headers).await
    }

    async fn blob_at(
        &self,
        account: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}/blob/{account}/{path}", self.world.simulator.url());
        let mut request = self
            .world
            .http
            .request(method.clone(), url)
            .bearer_auth(&self.blob)
            .header("x-ms-version", "2025-11-05");
        if method == Method::PUT {
            request = request.header("content-length", 0);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    }

    /// Throughput of a container as Azure tells it.
    async fn offer(&self, container: &str) -> Value {
        let path = offer(container);
        self.get(&path, COSMOS).await.json()["properties"]["resource"].clone()
    }

    /// Lets what was accepted come to its end.
    fn wait(&self) {
        self.world.simulator.advance(Duration::from_secs(1));
    }

    async fn changes(&self) -> Vec<String> {
        self.world.simulator.changes().await
    }

    /// All names of a list, and over how many pages they came.
    async fn names(&self, path: &str, version: &str) -> (Vec<String>, usize) {
        let mut answer = self.get(path, version).await;
        let (mut names, mut pages) = (Vec::new(), 1);
        loop {
            assert_eq!(answer.status, 200, "{}", answer.text);
            let body = answer.json();
            let rows = body["value"].as_array().expect("a list");
            names.extend(rows.iter().map(|row| text(&row["name"]).to_owned()));
            let Some(next) = body["nextLink"].as_str() else {
                return (names, pages);
            };
            pages += 1;
            answer = send(self.world.http.get(next).bearer_auth(&self.arm)).await;
        }
    }
}

fn offer(container: &str) -> String {
    format!("{DATABASE}/containers/{container}/throughputSettings/default")
}

fn manual(value: i64) -> Value {
    json!({ "properties": { "resource": { "throughput": value } } })
}

fn autoscale(value: i64) -> Value {
    json!({ "properties": { "resource": { "autoscaleSettings": { "maxThroughput": value } } } })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn throughput_changes_when_its_operation_has_ended() {
    let azure = Azure::start().await;
    let simulator = &azure.world.simulator;
    simulator.operations_take(Duration::from_secs(60));
    assert_eq!(azure.offer("threads").await["throughput"], 1000);

    let answer = azure
        .write(Method::PUT, &offer("threads"), COSMOS, &manual(1200))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let poll = async |name: &str| {
        let url = answer.header(name);
        send(azure.world.http.get(url).bearer_auth(&azure.arm)).await
    };
    assert_eq!(
        poll("azure-asyncoperation").await.json()["status"],
        "InProgress"
    );
    let result = poll("location").await;
    assert_eq!(result.status, 202);
    assert!(!result.header("location").is_empty());
    let meanwhile = azure.offer("threads").await;
    assert_eq!(meanwhile["throughput"], 1000, "accepted is not done");
    assert_eq!(meanwhile["offerReplacePending"], "true");
    let second = azure
        .write(Method::PUT, &offer("threads"), COSMOS, &manual(1300))
        .await;
    assert_eq!(second.refusal(), (409, "Conflict".into()));

    simulator.advance(Duration::from_secs(61));
    assert_eq!(
        poll("azure-asyncoperation").await.json()["status"],
        "Succeeded"
    );
    let result = poll("location").await;
    assert_eq!(result.status, 200);
    assert_eq!(result.json()["properties"]["resource"]["throughput"], 1200);
    let done = azure.offer("threads").await;
    assert_eq!(done["throughput"], 1200);
    assert_eq!(done["offerReplacePending"], "false");
    assert_eq!(done["minimumThroughput"], "400");
    assert_eq!(
        azure.changes().await,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 1200 RU/s"]
    );
}

#[tokio::test]
async fn throughput_that_azure_would_not_take_is_refused() {
    let azure = Azure::start().await;
    for (name, container, body, status, code) in [
        ("no step of 100", "threads", manual(1150), 400, "BadRequest"),
        ("below the least", "threads", manual(300), 400, "BadRequest"),
        ("too much", "threads", manual(2_000_000), 400, "BadRequest"),
        (
            "autoscale of manual",
            "threads",
            autoscale(4000),
            400,
            "BadRequest",
        ),
        (
            "manual of autoscale",
            "messages",
            manual(4000),
            400,
            "BadRequest",
        ),
        (
            "no step of 1000",
            "messages",
            autoscale(4500),
            400,
            "BadRequest",
        ),
        ("of the database", "leases", manual(400), 404, "NotFound"),
        ("not there", "nothing", manual(400), 404, "NotFound"),
    ] {
        let path = offer(container);
        let answer = azure.write(Method::PUT, &path, COSMOS, &body).await;
        assert_eq!(answer.refusal(), (status, code.into()), "{name}");
    }
    assert_eq!(azure.get(&offer("leases"), COSMOS).await.status, 404);
    assert_eq!(azure.offer("threads").await["throughput"], 1000);
    assert_eq!(azure.changes().await, [""; 0]);
    assert_eq!(azure.world.simulator.mutations().len(), 8, "all were asked");
}

#[tokio::test]
async fn throughput_beyond_what_partitions_carry_comes_hours_later() {
    let azure = Azure::start().await;
    let path = offer("messages");
    let answer = azure
        .write(Method::PUT, &path, COSMOS, &autoscale(20_000))
        .await;
    assert_eq!(answer.status, 202);
    azure.wait();
    let status = azure
        .world
        .http
        .get(answer.header("azure-asyncoperation"))
        .bearer_auth(&azure.arm);
    assert_eq!(send(status).await.json()["status"], "Succeeded");
    let offer = azure.offer("messages").await;
    assert_eq!(offer["autoscaleSettings"]["maxThroughput"], 4000);
    assert_eq!(offer["offerReplacePending"], "true");
    azure.world.simulator.advance(Duration::from_secs(5 * 3600));
    let offer = azure.offer("messages").await;
    assert_eq!(offer["autoscaleSettings"]["maxThroughput"], 20_000);
    assert_eq!(offer["offerReplacePending"], "false");
    assert_eq!(
        offer["minimumThroughput"], "2000",
        "a tenth of the most ever"
    );
}

#[tokio::test]
async fn throughput_changes_its_mode_by_migration_only() {
    let azure = Azure::start().await;
    let migrate =
        |to: &str| azure.request(Method::POST, &format!("{}/{to}", offer("files")), COSMOS);
    let refused = send(migrate("migrateToManualThroughput")).await;
    assert_eq!(refused.refusal(), (400, "BadRequest".into()));
    assert_eq!(send(migrate("migrateToAutoscale")).await.status, 202);
    azure.wait();
    let offer = azure.offer("files").await;
    assert_eq!(offer["autoscaleSettings"]["maxThroughput"], 2000);
    assert_eq!(
        azure.changes().await,
        ["cosmos-agents-jpe/agents/files: manual 2000 RU/s -> autoscale 2000 RU/s"]
    );
}

#[tokio::test]
async fn a_change_of_what_somebody_else_changed_is_refused() {
    let azure = Azure::start().await;
    let seen = azure.get(&offer("runs"), COSMOS).await;
    let etag = seen.header("etag").to_owned();
    assert_eq!(
        seen.json()["properties"]["resource"]["_etag"],
        etag.as_str()
    );
    let put = async |value| {
        let request = azure.request(Method::PUT, &offer("runs"), COSMOS);
        send(request.header("if-match", &etag).json(&manual(value))).await
    };
    assert_eq!(put(500).await.status, 202);
    azure.wait();
    assert_eq!(put(600).await.refusal(), (412, "PreconditionFailed".into()));
    assert_eq!(azure.offer("runs").await["throughput"], 500);
    assert_eq!(azure.changes().await.len(), 1);
}

#[tokio::test]
async fn an_app_is_scaled_by_a_new_revision_and_restarted_by_new_replicas() {
    let azure = Azure::start().await;
    let app = "providers/Microsoft.App/containerApps/agent-api";
    let replicas = async |revision: &str| {
        let path = format!("{app}/revisions/{revision}/replicas");
        let (names, _) = azure.names(&path, APPS).await;
        names
    };
    let before = replicas("agent-api--a1b2c3").await;
    assert_eq!(before.len(), 2);
    let restart = format!("{app}/revisions/agent-api--a1b2c3/restart");
    let answer = send(azure.request(Method::POST, &restart, APPS)).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let after = replicas("agent-api--a1b2c3").await;
    assert_eq!(after.len(), 2);
    assert!(before.iter().all(|name| !after.contains(name)), "{after:?}");
    let old = format!("{app}/revisions/agent-api--0f9e8d/restart");
    assert_eq!(
        send(azure.request(Method::POST, &old, APPS)).await.status,
        400
    );

    let scale = |low: i64, high: i64| {
        json!({ "location": "japaneast", "properties": { "template": { "scale": {
            "minReplicas": low, "maxReplicas": high,
        } } } })
    };
    let refused = azure.write(Method::PATCH, app, APPS, &scale(5, 4)).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let answer = azure.write(Method::PATCH, app, APPS, &scale(3, 10)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let state = async || azure.get(app, APPS).await.json()["properties"].clone();
    assert_eq!(state().await["provisioningState"], "InProgress");
    azure.wait();
    let result = azure
        .world
        .http
        .get(answer.header("location"))
        .bearer_auth(&azure.arm);
    assert_eq!(send(result).await.status, 200);
    let now = state().await;
    assert_eq!(now["provisioningState"], "Succeeded");
    assert_eq!(now["template"]["scale"]["minReplicas"], 3);
    let rules = now["template"]["scale"]["rules"].as_array();
    assert_eq!(rules.map(Vec::len), Some(1), "what was not sent stays");
    let newest = text(&now["latestReadyRevisionName"]);
    assert_ne!(newest, "agent-api--a1b2c3");
    assert_eq!(replicas(newest).await.len(), 3);
    assert_eq!(replicas("agent-api--a1b2c3").await, [""; 0]);
    let gone = azure
        .get(&format!("{app}/revisions/agent-api--a1b2c3"), APPS)
        .await;
    assert_eq!(gone.json()["properties"]["active"], false);
    assert_eq!(
        azure.changes().await,
        [
            "agent-api--a1b2c3: restarted",
            "agent-api: replicas 2-10 -> 3-10"
        ]
    );
}

#[tokio::test]
async fn lists_come_page_by_page() {
    let azure = Azure::start().await;
    let revisions = "providers/Microsoft.App/containerApps/agent-api/revisions";
    let containers = format!("{ACCOUNT}/blobServices/default/containers");
    let tables = "providers/Microsoft.OperationalInsights/workspaces/log-agents-jpe/tables";
    for (path, version, count, pages) in [
        ("providers/Microsoft.App/containerApps", APPS, 2, 2),
        (revisions, APPS, 2, 2),
        (containers.as_str(), STORAGE, 7, 3),
        (&format!("{containers}?$maxpagesize=7"), STORAGE, 7, 1),
        (&format!("{DATABASE}/containers"), COSMOS, 5, 1),
        (tables, "2022-10-01", 12, 1),
    ] {
        let (mut names, came) = azure.names(path, version).await;
        names.sort();
        names.dedup();
        assert_eq!((names.len(), came), (count, pages), "{path}: {names:?}");
    }
    let missing = "providers/Microsoft.App/containerApps/none/revisions";
    let refused = azure.get(missing, APPS).await;
    assert_eq!(refused.refusal(), (404, "ResourceNotFound".into()));
}

#[tokio::test]
async fn every_resource_of_the_estate_is_shown_and_nothing_else() {
    let azure = Azure::start().await;
    let account = "providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe";
    let workspace = "providers/Microsoft.OperationalInsights/workspaces/log-agents-jpe";
    let database_offer = format!("{DATABASE}/throughputSettings/default");
    for (path, version, name) in [
        (account, COSMOS, "cosmos-agents-jpe"),
        (&format!("{DATABASE}/containers/runs"), COSMOS, "runs"),
        (&database_offer, COSMOS, "default"),
        (
            "providers/Microsoft.App/containerApps/agent-worker",
            APPS,
            "agent-worker",
        ),
        (
            "providers/Microsoft.App/managedEnvironments/cae-jpe",
            APPS,
            "cae-jpe",
        ),
        (ACCOUNT, STORAGE, "stagentsjpe"),
        (
            "providers/Microsoft.KeyVault/vaults/kv-agents-jpe",
            "2023-07-01",
            "kv-agents-jpe",
        ),
        (workspace, "2023-09-01", "log-agents-jpe"),
    ] {
        let answer = azure.get(path, version).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(text(&answer.json()["name"]), name);
        assert!(!answer.header("etag").is_empty(), "{path}");
        let other = path
            .replace("-jpe", "-jpx")
            .replace("/runs", "/walks")
            .replace("worker", "x")
            .replace("stagents", "stnobody");
        let other = azure.get(&other, version).await;
        assert_eq!(other.status, 404, "{path}: {}", other.text);
    }
}

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

/// What a list of blobs says of each, by name.
async fn blobs(azure: &Azure, container: &str, more: &str) -> Vec<(String, String)> {
    let path = format!("{container}?restype=container&comp=list{more}");
    let answer = azure.blob("GET", &path, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let blob = |part: &str| {
        let name = part.split_once("<Name>")?.1.split_once("</Name>")?.0;
        Some((name.to_owned(), part.to_owned()))
    };
    answer
        .text
        .split("<Blob>")
        .skip(1)
        .filter_map(blob)
        .collect()
}

#[tokio::test]
async fn logs_are_deleted_except_those_that_must_be_kept() {
    let azure = Azure::start().await;
    let listed = blobs(&azure, "app-logs", "&include=snapshots").await;
    let with = |mark: &str| {
        let found = listed.iter().find(|(_, xml)| xml.contains(mark));
        format!("app-logs/{}", found.expect(mark).0)
    };
    let (leased, snapped) = (with("<LeaseState>leased"), with("<Snapshot>"));
    let (audit, _) = &blobs(&azure, "audit-logs", "").await[0];
    let (access, _) = &blobs(&azure, "access-logs", "").await[0];
    let free = format!("app-logs/{}", listed[0].0);
    let before = [("if-unmodified-since", "Thu, 01 Jan 2026 00:00:00 GMT")];
    let etag = [("if-match", "\"0x1\"")];
    let none: [(&str, &str); 0] = [];
    for (name, path, headers, status, code) in [
        ("a lease", leased.as_str(), &none[..], 412, "LeaseIdMissing"),
        ("a snapshot", &snapped, &none, 409, "SnapshotsPresent"),
        (
            "a legal hold",
            &format!("audit-logs/{audit}"),
            &none,
            409,
            "BlobImmutableDueToLegalHold",
        ),
        (
            "a policy",
            &format!("access-logs/{access}"),
            &none,
            409,
            "BlobImmutableDueToPolicy",
        ),
        ("an old etag", &free, &etag, 412, "ConditionNotMet"),
        ("a write since", &free, &before, 412, "ConditionNotMet"),
        ("nothing there", "app-logs/none", &none, 404, "BlobNotFound"),
    ] {
        let answer = azure.blob("DELETE", path, headers).await;
        assert_eq!(answer.refusal(), (status, code.into()), "{name}");
    }
    let metadata = format!("audit-logs/{audit}?comp=metadata");
    let answer = azure
        .blob("PUT", &metadata, &[("x-ms-meta-kept", "no")])
        .await;
    assert_eq!(
        answer.refusal(),
        (409, "BlobImmutableDueToLegalHold".into())
    );
    assert_eq!(azure.changes().await, [""; 0], "nothing was changed");

    let answer = azure.blob("HEAD", &free, &[]).await;
    let seen = [("if-match", answer.header("etag"))];
    assert_eq!(azure.blob("DELETE", &free, &seen).await.status, 202);
    let with_snapshots = [("x-ms-delete-snapshots", "include")];
    assert_eq!(
        azure.blob("DELETE", &snapped, &with_snapshots).await.status,
        202
    );
    let simulator = &azure.world.simulator;
    // A policy ends with time, a legal hold does not.
    simulator.advance(Duration::from_secs(400 * 24 * 3600));
    let (audit, access) = (
        format!("audit-logs/{audit}"),
        format!("access-logs/{access}"),
    );
    assert_eq!(azure.blob("DELETE", &audit, &[]).await.status, 409);
    assert_eq!(azure.blob("DELETE", &access, &[]).await.status, 202);
    let lines: Vec<String> = [&free, &snapped, &access]
        .map(|path| format!("stagentsjpe/{}", path.replacen('/', ": deleted ", 1)))
        .into();
    assert_eq!(azure.changes().await, lines);
    assert_eq!(simulator.mutations().len(), 12);
}

#[tokio::test]
async fn a_blob_can_be_kept_by_itself_and_its_list_says_so() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let simulator = &azure.world.simulator;
    simulator
        .put_blob("stagentsjpe", "reports", "held.pdf", 50)
        .await;
    simulator
        .put_blob("stagentsjpe", "reports", "kept.pdf", 50)
        .await;
    let hold = [("x-ms-legal-hold", "true")];
    let answer = azure
        .blob("PUT", "reports/held.pdf?comp=legalhold", &hold)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let until = simulator.now() + chrono::Duration::days(3);
    let until = until.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let policy = [("x-ms-immutability-policy-until-date", until.as_str())];
    let path = "reports/kept.pdf?comp=immutabilityPolicies";
    assert_eq!(azure.blob("PUT", path, &policy).await.status, 200);
    let listed = blobs(&azure, "reports", "&include=immutabilitypolicy,legalhold").await;
    let xml = |name: &str| {
        &listed
            .iter()
            .find(|(known, _)| known == name)
            .expect(name)
            .1
    };
    assert!(xml("held.pdf").contains("<LegalHold>true</LegalHold>"));
    let told = format!("<ImmutabilityPolicyUntilDate>{until}</ImmutabilityPolicyUntilDate>");
    assert!(xml("kept.pdf").contains(&told), "{}", xml("kept.pdf"));
    let plain = blobs(&azure, "reports", "").await;
    assert!(plain.iter().all(|(_, xml)| !xml.contains("LegalHold")));
    for (path, code) in [
        ("reports/held.pdf", "BlobImmutableDueToLegalHold"),
        ("reports/kept.pdf", "BlobImmutableDueToPolicy"),
    ] {
        let overwrite = [("x-ms-blob-type", "BlockBlob")];
        let answer = azure.blob("PUT", path, &overwrite).await;
        assert_eq!(answer.refusal(), (409, code.into()), "{path}");
        let answer = azure.blob("DELETE", path, &[]).await;
        assert_eq!(answer.refusal(), (409, code.into()), "{path}");
    }
    simulator.advance(Duration::from_secs(4 * 24 * 3600));
    assert_eq!(
        azure.blob("DELETE", "reports/kept.pdf", &[]).await.status,
        202
    );
    assert!(
        !simulator
            .has_blob("stagentsjpe", "reports", "kept.pdf")
            .await
    );
    assert!(
        simulator
            .has_blob("stagentsjpe", "reports", "held.pdf")
            .await
    );
}

#[tokio::test]
async fn containers_tell_how_they_are_kept() {
    let azure = Azure::start().await;
    let all = azure
        .get(
            &format!("{ACCOUNT}/blobServices/default/containers?$maxpagesize=50"),
            STORAGE,
        )
        .await
        .json();
    let told: Vec<String> = all["value"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| {
            let properties = &row["properties"];
            format!(
                "{} hold={} policy={} {}",
                text(&row["name"]),
                properties["hasLegalHold"],
                properties["hasImmutabilityPolicy"],
                text(&properties["metadata"]["poolkeeper"])
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "access-logs hold=false policy=true ",
            "app-logs hold=false policy=false ",
            "audit-logs hold=true policy=false ",
            "evidence hold=false policy=false evidence",
            "gateway-logs hold=false policy=false ",
            "journal-copies hold=false policy=false journal",
            "reports hold=false policy=false report-source",
        ]
    );
    let path = format!("{ACCOUNT}/blobServices/default/containers/access-logs");
    let one = azure.get(&path, STORAGE).await.json();
    let policy = &one["properties"]["immutabilityPolicy"]["properties"];
    assert_eq!(policy["immutabilityPeriodSinceCreationInDays"], 365);
    let service = azure
        .get(&format!("{ACCOUNT}/blobServices/default"), STORAGE)
        .await;
    assert_eq!(service.status, 200);
    let account = azure.get(ACCOUNT, STORAGE).await.json();
    let blob = text(&account["properties"]["primaryEndpoints"]["blob"]);
    let listed = azure
        .world
        .http
        .get(format!("{blob}?comp=list"))
        .bearer_auth(&azure.blob);
    let listed = send(listed.header("x-ms-version", "2025-11-05")).await;
    assert!(
        listed.text.contains("<Name>audit-logs</Name>"),
        "{}",
        listed.text
    );
    assert!(!listed.text.contains("<Name>stagents"), "{}", listed.text);
}

#[tokio::test]
async fn a_lifecycle_policy_is_replaced_as_a_whole() {
    let azure = Azure::start().await;
    let path = format!("{ACCOUNT}/managementPolicies/default");
    let mut policy = azure.get(&path, STORAGE).await.json()["properties"]["policy"].clone();
    let rule = &policy["rules"][0]["definition"];
    assert_eq!(rule["filters"]["prefixMatch"], json!(["gateway-logs/"]));
    policy["rules"][0]["name"] = json!("gateway");
    let body = json!({ "properties": { "policy": policy } });
    let answer = azure.write(Method::PUT, &path, STORAGE, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let none = json!({ "properties": { "policy": { "rules": [] } } });
    assert_eq!(
        azure.write(Method::PUT, &path, STORAGE, &none).await.status,
        400
    );
    let after = azure.get(&path, STORAGE).await.json();
    assert_eq!(after["properties"]["policy"]["rules"][0]["name"], "gateway");
    assert_eq!(
        azure.changes().await,
        ["stagentsjpe: lifecycle rules gateway-logs-30-days -> gateway"]
    );
    let missing = format!("{ACCOUNT}/managementPolicies/other");
    let refused = azure.get(&missing, STORAGE).await;
    assert_eq!(refused.refusal(), (404, "ManagementPolicyNotFound".into()));
}

#[tokio::test]
async fn a_table_keeps_what_it_is_told_for_as_long_as_is_set() {
    let azure = Azure::start().await;
    let table =
        "providers/Microsoft.OperationalInsights/workspaces/log-agents-jpe/tables/AppTraces";
    let version = "2022-10-01";
    let set = |days: i64| json!({ "properties": { "retentionInDays": days } });
    let less = json!({ "properties": { "retentionInDays": 90, "totalRetentionInDays": 60 } });
    let refused = azure.write(Method::PATCH, table, version, &less).await;
    assert_eq!(refused.refusal(), (400, "InvalidParameter".into()));
    let answer = azure.write(Method::PATCH, table, version, &set(90)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let state = async || azure.get(table, version).await.json()["properties"].clone();
    assert_eq!(state().await["retentionInDays"], 30);
    azure.wait();
    let poll = answer.header("azure-asyncoperation");
    let poll = send(azure.world.http.get(poll).bearer_auth(&azure.arm)).await;
    assert_eq!(poll.json()["status"], "Succeeded");
    let now = state().await;
    assert_eq!(
        (&now["retentionInDays"], &now["totalRetentionInDays"]),
        (&json!(90), &json!(90))
    );
    assert_eq!(now["provisioningState"], "Succeeded");
    assert_eq!(
        azure.changes().await,
        ["log-agents-jpe/AppTraces: retention 30 -> 90 days"]
    );
}

#[tokio::test]
async fn an_alert_is_read_at_the_scope_of_its_target() {
    let azure = Azure::start().await;
    let target = format!("{GROUP}/providers/Microsoft.App/containerApps/agent-api");
    let id = "66114d64-d9d9-478b-95c9-b789d6502101";
    let raise = async |condition| {
        let simulator = &azure.world.simulator;
        simulator
            .raise(id, &target, "agent-api cpu", "Sev2", condition)
            .await;
    };
    let path = format!("providers/Microsoft.AlertsManagement/alerts/{id}");
    assert_eq!(azure.get(&path, "2019-03-01").await.status, 404);
    raise("Fired").await;
    let inside = format!("providers/Microsoft.App/containerApps/agent-api/{path}");
    for path in [&path, &inside] {
        let alert = azure.get(path, "2019-03-01").await.json();
        let essentials = &alert["properties"]["essentials"];
        assert_eq!(essentials["monitorCondition"], "Fired", "{path}");
        assert_eq!(text(&essentials["targetResource"]), target);
    }
    let other = format!("providers/Microsoft.App/containerApps/agent-worker/{path}");
    assert_eq!(azure.get(&other, "2019-03-01").await.status, 404);
    raise("Resolved").await;
    let alert = azure.get(&path, "2019-03-01").await.json();
    assert_eq!(
        alert["properties"]["essentials"]["monitorCondition"],
        "Resolved"
    );
}

#[tokio::test]
async fn registrations_are_found_by_their_app_id() {
    let azure = Azure::start().await;
    let token = azure.world.token("https://graph.microsoft.com").await;
    let ask = async |query: &str, token: &str| {
        let url = format!(
            "{}/graph/v1.0/applications{query}",
            azure.world.simulator.url()
        );
        send(azure.world.http.get(url).bearer_auth(token)).await
    };
    let filter = "?$filter=appId eq '00000000-aaaa-4bbb-8ccc-0000000000a1'&$select=appId,passwordCredentials";
    let found = ask(filter, &token).await.json();
    let application = &found["value"][0];
    let now = azure.world.simulator.now();
    let days: Vec<i64> = application["passwordCredentials"]
        .as_array()
        .expect("secrets")
        .iter()
        .map(|secret| {
            let end = text(&secret["endDateTime"]);
            let end: chrono::DateTime<chrono::Utc> = end.parse().expect("a time");
            (end - now).num_hours()
        })
        .collect();
    assert_eq!(days, [239, -48]);
    assert!(
        application["keyCredentials"].is_null(),
        "it was not asked for"
    );
    let none = ask("?$filter=appId eq 'none'", &token).await.json();
    assert_eq!(none["value"], json!([]));
    let first = ask("", &token).await.json();
    let next = text(&first["@odata.nextLink"]);
    let second = send(azure.world.http.get(next).bearer_auth(&token))
        .await
        .json();
    assert_ne!(first["value"][0]["appId"], second["value"][0]["appId"]);
    assert!(second["@odata.nextLink"].is_null());
    let refused = ask("", &azure.arm).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
}

#[tokio::test]
async fn the_certificate_of_a_domain_ends_soon() {
    let azure = Azure::start().await;
    let app = azure
        .get("providers/Microsoft.App/containerApps/agent-api", APPS)
        .await
        .json();
    let domain = &app["properties"]["configuration"]["ingress"]["customDomains"][0];
    let id = text(&domain["certificateId"]);
    let path = id.strip_prefix(&format!("{GROUP}/")).expect("in the group");
    let certificate = azure.get(path, APPS).await.json();
    let end = text(&certificate["properties"]["expirationDate"]);
    let end: chrono::DateTime<chrono::Utc> = end.parse().expect("a time");
    assert_eq!((end - azure.world.simulator.now()).num_days(), 19);
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
async fn time_that_is_moved_ahead_ends_a_lease_and_stays_so() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let path = "reports/leased.pdf";
    let simulator = &azure.world.simulator;
    simulator
        .put_blob("stagentsjpe", "reports", "leased.pdf", 1)
        .await;
    let lease = [
        ("x-ms-lease-action", "acquire"),
        ("x-ms-lease-duration", "15"),
    ];
    let acquire = format!("{path}?comp=lease");
    assert_eq!(azure.blob("PUT", &acquire, &lease).await.status, 201);
    assert_eq!(
        azure.blob("DELETE", path, &[]).await.refusal().1,
        "LeaseIdMissing"
    );
    simulator.advance(Duration::from_secs(14));
    assert_eq!(azure.blob("PUT", &acquire, &lease).await.status, 409);
    let ask = azure
        .world
        .http
        .post(format!("{}/_sim/clock", simulator.url()))
        .header("x-sim-key", simulator.sim_key());
    assert_eq!(
        send(ask.json(&json!({ "advanceSeconds": 2 }))).await.status,
        204
    );
    assert_eq!(azure.blob("DELETE", path, &[]).await.status, 202);
    let hour = blobs(&azure, "app-logs", "&maxresults=1").await[0]
        .0
        .clone();
    let deleted = azure.blob("DELETE", &format!("app-logs/{hour}"), &[]).await;
    assert_eq!(deleted.status, 202);
    let before = azure.world.simulator.now();
    let world = azure.world.restart_storage().await;
    let after = world.simulator.now();
    assert!(after >= before, "{after} is not before {before}");
    let lines = [
        "stagentsjpe/reports: deleted leased.pdf".to_owned(),
        format!("stagentsjpe/app-logs: deleted {hour}"),
    ];
    assert_eq!(world.simulator.changes().await, lines);
    let there = world
        .simulator
        .has_blob("stagentsjpe", "app-logs", &hour)
        .await;
    assert!(!there, "what was deleted is not made again");
}

#[tokio::test]
async fn our_own_account_is_no_part_of_the_estate_and_others_are_not_there() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let put = [("x-ms-blob-type", "BlockBlob")];
    let own = "poolkeeperlocal";
    let made = azure
        .blob_at(own, "PUT", "con?restype=container", &[])
        .await;
    assert_eq!(made.status, 201);
    assert_eq!(azure.blob_at(own, "PUT", "con/a", &put).await.status, 201);
    let listed = azure.blob_at(own, "GET", "?comp=list", &[]).await;
    assert!(listed.text.contains("<Name>con</Name>") && !listed.text.contains("app-logs"));
    let other = azure.blob_at("stranger", "GET", "?comp=list", &[]).await;
    assert_eq!(other.refusal(), (404, "ResourceNotFound".into()));
    assert_eq!(azure.changes().await, [""; 0]);
    assert_eq!(azure.world.simulator.mutations(), [""; 0]);
    // A signature is as good as a token, for its own account.
    let signed = async |account: &str| {
        let url = azure.world.simulator.blob_url_of("stagentsjpe");
        let (_, signature) = url.split_once('?').expect("a signature");
        let url = format!(
            "{}/blob/{account}/reports?restype=container&{signature}",
            azure.world.simulator.url()
        );
        send(
            azure
                .world
                .http
                .get(url)
                .header("x-ms-version", "2025-11-05"),
        )
        .await
    };
    assert_eq!(signed("stagentsjpe").await.status, 200);
    assert_eq!(
        signed(own).await.refusal(),
        (403, "AuthenticationFailed".into())
    );
    assert_eq!(azure.blob("PUT", "reports/a.pdf", &put).await.status, 201);
    assert_eq!(azure.changes().await, ["stagentsjpe/reports: wrote a.pdf"]);
    assert_eq!(
        azure.world.simulator.mutations(),
        ["PUT /blob/stagentsjpe/reports/a.pdf"]
    );
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
