use chrono::{DateTime, Duration, Utc};
use futures::future::join_all;
use poolkeeper::app::Clock;
use poolkeeper::journal::verify_all;

use crate::world::World;

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

#[tokio::test]
async fn twenty_ticks_of_one_occurrence_start_one_run_and_three_dead_days_one_catch_up() {
    let world = World::start().await;
    let evening = utc("2026-03-01T16:00:00Z");
    let before = world.handler(Clock::Fixed(evening)).await;
    world.tick(&before, "daily-maintenance").await;
    let due = world
        .handler(Clock::Fixed(evening + Duration::minutes(75)))
        .await;
    join_all((0..20).map(|_| world.tick(&due, "daily-maintenance"))).await;
    world.tick(&due, "minute-tick").await;
    let later = world
        .handler(Clock::Fixed(evening + Duration::hours(75)))
        .await;
    world.tick(&later, "daily-maintenance").await;
    world.tick(&later, "minute-tick").await;
    let runs = world.get(format!("{later}/api/runs")).await;
    let mut told: Vec<String> = runs["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|r| {
            format!(
                "{} {}",
                r["id"].as_str().unwrap_or_default(),
                r["state"].as_str().unwrap_or_default()
            )
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "daily-2026-03-02-0200 succeeded_with_findings",
            "daily-2026-03-03-0200 missed",
            "daily-2026-03-04-0200 missed",
            "daily-2026-03-05-0200 succeeded_with_findings",
        ]
    );
    let app = world.app(Clock::System);
    let verdict = verify_all(
        app.store().expect("a store"),
        app.anchors().expect("anchors"),
    )
    .await
    .expect("a verdict");
    assert_eq!(verdict.broken().count(), 0, "{verdict:?}");
    assert_eq!(verdict.chains.len(), 4);
}

/// Somebody else's clock watcher: counts the calls it gets.
async fn watcher() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&count);
    let router = axum::Router::new().route(
        "/beat",
        axum::routing::get(move || async move {
            seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/beat", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, count)
}

#[tokio::test]
async fn each_tick_is_told_to_the_outside_and_a_deaf_outside_stops_nothing() {
    let world = World::start().await;
    let (url, count) = watcher().await;
    let mut settings = world.settings();
    settings.insert("POOLKEEPER_HEARTBEAT_URL".into(), url);
    let base = world.handler_with(settings, Clock::System).await;
    world.tick(&base, "minute-tick").await;
    world.tick(&base, "daily-maintenance").await;
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 2);
    let mut settings = world.settings();
    settings.insert(
        "POOLKEEPER_HEARTBEAT_URL".into(),
        "http://127.0.0.1:9/beat".into(),
    );
    let deaf = world.handler_with(settings, Clock::System).await;
    world.tick(&deaf, "minute-tick").await;
}
