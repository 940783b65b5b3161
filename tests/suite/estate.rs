//! The simulated estate, asked as Azure is asked: what it takes, what it refuses, what it keeps.

mod apps;
mod blobs;
mod containers;
mod metrics;
mod pressure;
mod resources;
mod stamps;
mod throughput;
mod trouble;

use std::time::Duration;

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
