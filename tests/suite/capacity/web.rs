//! What the page of capacity shows, and to whom.

use chrono::Duration;
use poolkeeper::app::Clock;
use poolkeeper::operations::capacity::{advise, keep};
use reqwest::header::ACCEPT;

use super::{now, renewed};
use crate::world::World;

async fn page(world: &World, url: String) -> (u16, reqwest::header::HeaderMap, String) {
    let request = world.http.get(url).header(ACCEPT, "text/html,*/*;q=0.8");
    let answer = request.send().await.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.text().await.expect("a text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_what_there_is_and_what_there_should_be_and_how_old_that_is() {
    let world = World::start().await;
    let at = now(&world);
    let base = world.handler(Clock::Fixed(at)).await;
    let (status, _, text) = page(&world, format!("{base}/api/capacity")).await;
    assert_eq!(status, 200);
    for part in [
        "Nothing is recommended yet: weekly maintenance does so.",
        "cosmos-agents-jpe: nothing is forecast yet",
        "There is nothing to show.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let app = world.app(Clock::Fixed(at));
    assert_eq!(renewed(&app).await.made, 2);
    let (_, _, text) = page(&world, format!("{base}/api/capacity")).await;
    assert!(text.contains("not judged yet"), "{text}");
    assert!(text.contains("class=\"forecast\""), "{text}");
    let advised = advise(&app).await.expect("recommendations");
    keep(&app, &advised).await.expect("kept");
    let (_, headers, text) = page(&world, format!("{base}/api/capacity")).await;
    let sections = text.matches("<section>").count();
    assert_eq!(sections, advised.recommendations.len(), "{text}");
    for part in [
        "<bdi>cosmos-agents-jpe/agents/threads</bdi>",
        "<bdi>agent-api</bdi>",
        "learned from 24 hours",
        "class=\"current\"",
        "CPU and memory",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // No script, no style in an element, nothing from elsewhere.
    let policy = headers["content-security-policy"].to_str().expect("text");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    for never in ["<script", " style=", "http://www.w3.org", "<image"] {
        assert!(!text.contains(never), "{never}");
    }
    let (_, _, one) = page(&world, format!("{base}/api/capacity?text=AGENT-API")).await;
    assert_eq!(one.matches("<section>").count(), 1, "{one}");
    let (_, _, none) = page(
        &world,
        format!("{base}/api/capacity?text=%22%3E%3Cscript%3E"),
    )
    .await;
    assert!(!none.contains("<script"), "{none}");
    let (status, _, odd) = page(&world, format!("{base}/api/capacity?from=x")).await;
    assert_eq!(status, 400);
    assert!(odd.contains("`from` is a number"), "{odd}");
    // Programs get the same things by the same query.
    let json = world.get(format!("{base}/api/capacity?from=2")).await;
    let count = |json: &serde_json::Value| {
        let recommended = json["recommended"]["recommendations"].as_array();
        recommended.expect("recommendations").len()
    };
    assert_eq!(
        (json["all"].as_u64(), json["from"].as_u64()),
        (Some(sections as u64), Some(2))
    );
    assert_eq!(
        (count(&json), &json["next"]),
        (sections - 2, &serde_json::Value::Null)
    );
    let address = world
        .get(format!("{base}/api/capacity?text=databaseAccounts"))
        .await;
    assert_eq!((address["all"].as_u64(), count(&address)), (Some(0), 0));
    // Half a day later it is old, and it says so.
    let later = world.handler(Clock::Fixed(at + Duration::hours(13))).await;
    let (_, _, text) = page(&world, format!("{later}/api/capacity")).await;
    assert!(text.contains("and was not renewed"), "{text}");
}

#[tokio::test]
async fn in_azure_nobody_sees_it_who_is_not_known() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.insert("POOLKEEPER_EASY_AUTH".into(), "true".into());
    settings.remove("POOLKEEPER_OPERATOR_KEYS");
    let base = world
        .handler_with(settings, Clock::Fixed(now(&world)))
        .await;
    let answer = world.http.get(format!("{base}/api/capacity")).send().await;
    assert_eq!(answer.expect("an answer").status(), 401);
    let (status, _, text) = page(&world, format!("{base}/api/capacity")).await;
    assert_eq!(status, 401);
    assert!(!text.contains("cosmos-agents"), "{text}");
    use base64::Engine as _;
    let principal = r#"{"auth_typ":"aad","claims":[{"typ":"oid","val":"1"}]}"#;
    let principal = base64::prelude::BASE64_STANDARD.encode(principal);
    let known = world
        .http
        .get(format!("{base}/api/capacity"))
        .header("x-ms-client-principal", principal);
    assert_eq!(known.send().await.expect("an answer").status(), 200);
}
