//! Throughput of Cosmos: what is taken, when it shows, and what is refused.

use std::time::Duration;

use reqwest::Method;

use super::{Azure, COSMOS, autoscale, manual, offer, send};

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
    assert_eq!(
        azure.offer("messages").await["instantMaximumThroughput"],
        "30000",
        "10000 for each of its partitions"
    );
    let answer = azure
        .write(Method::PUT, &path, COSMOS, &autoscale(40_000))
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
    assert_eq!(offer["autoscaleSettings"]["maxThroughput"], 40_000);
    assert_eq!(offer["offerReplacePending"], "false");
    assert_eq!(
        offer["instantMaximumThroughput"], "60000",
        "each partition has become two"
    );
    assert_eq!(
        offer["minimumThroughput"], "4000",
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
