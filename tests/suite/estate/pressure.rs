//! `/_sim`: what is asked of the load and of metrics on demand, as a person at the keyboard asks it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

async fn sim(world: &World, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/_sim/{path}", world.simulator.url());
    let request = world.http.request(method, url).json(body);
    let request = request.header("x-sim-key", world.simulator.sim_key());
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a text");
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}

async fn listed(world: &World, what: &str) -> Value {
    sim(world, Method::GET, what, &json!(null)).await.1
}

#[tokio::test]
async fn what_is_misspelt_or_makes_no_sense_is_refused_and_holds_never() {
    let world = World::start().await;
    for (path, body, status, told) in [
        (
            "load",
            json!({ "resource": "threads", "factor": 6, "minute": 30 }),
            400,
            "`minute`",
        ),
        (
            "partition",
            json!({ "container": "threads", "percent": 90, "minuts": 30 }),
            400,
            "`minuts`",
        ),
        (
            "gaps",
            json!({ "resource": "threads", "til": "2027-01-01T00:00:00Z" }),
            400,
            "`til`",
        ),
        (
            "partition",
            json!({ "container": "agent-api", "percent": 90 }),
            400,
            "container app",
        ),
        (
            "partition",
            json!({ "container": "thread", "percent": 90 }),
            404,
            "`thread`",
        ),
        (
            "partition",
            json!({ "container": "threads", "percent": 90, "tenant": "tenant-z" }),
            404,
            "no tenant `tenant-z`",
        ),
        (
            "load",
            json!({ "resource": "nothing", "factor": 2 }),
            404,
            "`nothing`",
        ),
        (
            "load",
            json!({ "resource": "threads", "factor": 2, "minutes": 3, "until": "2027-01-01T00:00:00Z" }),
            400,
            "ends after",
        ),
    ] {
        let (seen, answer) = sim(&world, Method::POST, path, &body).await;
        assert_eq!(seen, status, "{body}: {answer}");
        assert!(answer.to_string().contains(told), "{body}: {answer}");
        assert_eq!(listed(&world, path).await, json!([]), "{body}");
    }
    for container in ["messages", "cosmos-agents-jpe/agents", "cosmos-agents-jpe"] {
        let body = json!({ "container": container, "percent": 90, "minutes": 30 });
        let (status, answer) = sim(&world, Method::POST, "partition", &body).await;
        assert_eq!(status, 204, "{answer}");
    }
}

#[tokio::test]
async fn what_is_taken_back_ends_and_has_been_so_until_then() {
    let world = World::start().await;
    let now = world.simulator.now();
    let at = |minutes: i64| {
        let at = now + chrono::Duration::minutes(minutes);
        json!(at.format("%Y-%m-%dT%H:%M:00Z").to_string())
    };
    for (from, until) in [(at(-30), at(-20)), (at(-10), at(60)), (at(90), at(99))] {
        let body = json!({ "resource": "threads", "factor": 6, "from": from, "until": until });
        assert_eq!(sim(&world, Method::POST, "load", &body).await.0, 204);
    }
    world.simulator.advance(Duration::from_secs(300));
    let (status, answer) = sim(&world, Method::DELETE, "load", &json!(null)).await;
    assert_eq!(status, 204, "{answer}");
    let told = listed(&world, "load").await;
    let spans: Vec<[&Value; 2]> = told
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| [&one["from"], &one["until"]])
        .collect();
    // The minute may have turned in between.
    let ended = [at(5), at(6)];
    assert_eq!(spans.len(), 2, "{told}");
    assert_eq!(spans[0], [&at(-30), &at(-20)]);
    assert_eq!(spans[1][0], &at(-10));
    assert!(ended.contains(spans[1][1]), "{told}");
    // Once more changes nothing, and an unknown word is no permission to forget.
    assert_eq!(
        sim(&world, Method::DELETE, "load", &json!(null)).await.0,
        204
    );
    assert_eq!(
        sim(&world, Method::DELETE, "load?all=true", &json!(null))
            .await
            .0,
        400
    );
    assert_eq!(listed(&world, "load").await, told);
    assert_eq!(
        sim(&world, Method::DELETE, "load?past=true", &json!(null))
            .await
            .0,
        204
    );
    assert_eq!(listed(&world, "load").await, json!([]));
}
