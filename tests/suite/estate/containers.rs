//! A Cosmos container is replaced as a whole.

use poolkeeper::local::simulator::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Azure, COSMOS, DATABASE};

async fn resource(azure: &Azure, path: &str) -> Value {
    let mut body = azure.get(path, COSMOS).await.json();
    let mut resource = body["properties"]["resource"].take();
    let fields = resource.as_object_mut().expect("a resource");
    fields.retain(|name, _| !name.starts_with('_'));
    resource
}

fn body(resource: &Value) -> Value {
    json!({ "location": "Japan East", "properties": { "resource": resource, "options": {} } })
}

#[tokio::test]
async fn a_container_becomes_what_is_sent_when_its_operation_has_ended() {
    let azure = Azure::start().await;
    let takes = std::time::Duration::from_secs(60);
    azure.world.simulator.operations_take(takes);
    let path = format!("{DATABASE}/containers/runs");
    let before = resource(&azure, &path).await;
    let mut wanted = before.clone();
    wanted["indexingPolicy"] = json!({ "includedPaths": [{ "path": "/*" }] });
    // What is not sent is gone.
    wanted
        .as_object_mut()
        .expect("a resource")
        .remove("defaultTtl");
    let answer = azure
        .write(Method::PUT, &path, COSMOS, &body(&wanted))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(resource(&azure, &path).await, before, "it takes its time");
    let other = azure
        .write(Method::PUT, &path, COSMOS, &body(&wanted))
        .await;
    assert_eq!(other.refusal(), (409, "Conflict".into()));
    azure.world.simulator.advance(takes);
    let after = resource(&azure, &path).await;
    assert_eq!(
        after["indexingPolicy"],
        json!({
            "indexingMode": "consistent",
            "automatic": true,
            "includedPaths": [{ "path": "/*" }],
            "excludedPaths": [{ "path": "/\"_etag\"/?" }],
        })
    );
    assert_eq!(after["defaultTtl"], json!(null));
    assert_eq!(after["uniqueKeyPolicy"], before["uniqueKeyPolicy"]);
    assert_eq!(
        azure.changes().await,
        ["cosmos-agents-jpe/agents/runs: defaultTtl, indexingPolicy changed"]
    );
}

#[tokio::test]
async fn a_container_that_azure_would_not_take_is_refused() {
    let azure = Azure::start().await;
    let path = format!("{DATABASE}/containers/threads");
    let before = resource(&azure, &path).await;
    for (field, value) in [
        (
            "partitionKey",
            json!({ "paths": ["/other"], "kind": "Hash" }),
        ),
        ("id", json!("other")),
        (
            "uniqueKeyPolicy",
            json!({ "uniqueKeys": [{ "paths": ["/a"] }] }),
        ),
        (
            "indexingPolicy",
            json!({ "includedPaths": [{ "path": "/a/?" }] }),
        ),
    ] {
        let mut wanted = before.clone();
        wanted[field] = value;
        let answer = azure
            .write(Method::PUT, &path, COSMOS, &body(&wanted))
            .await;
        assert_eq!(answer.refusal(), (400, "BadRequest".into()), "{field}");
    }
    let missing = format!("{DATABASE}/containers/none");
    let answer = azure
        .write(Method::PUT, &missing, COSMOS, &body(&before))
        .await;
    assert_eq!(answer.refusal(), (404, "NotFound".into()));
    azure.world.simulator.fault(Fault {
        method: Some("PUT".into()),
        times: Some(1),
        ..Fault::default()
    });
    let answer = azure
        .write(Method::PUT, &path, COSMOS, &body(&before))
        .await;
    assert_eq!(answer.status, 500);
    assert_eq!(azure.changes().await, [""; 0]);
}
