//! The clock of an embedded estate, and who follows it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use poolkeeper::app::Clock;
use poolkeeper::config::Config;
use serde_json::{Value, json};

use crate::world::World;

fn clock(world: &World, arm: Option<&str>) -> Clock {
    let mut settings = world.settings();
    match arm {
        Some(url) => drop(settings.insert("POOLKEEPER_ARM_ENDPOINT".into(), url.into())),
        None => {
            for name in [
                "POOLKEEPER_ARM_ENDPOINT",
                "POOLKEEPER_LOGS_ENDPOINT",
                "POOLKEEPER_OUTSIDE_ENDPOINT",
                "POOLKEEPER_OPERATOR_KEYS",
            ] {
                settings.remove(name);
            }
        }
    }
    let config = Config::read(|name| settings.get(name).cloned()).expect("settings");
    Clock::of(&config)
}

fn hours_ahead(clock: &Clock) -> i64 {
    ((clock.now() - Utc::now()).num_minutes() + 1) / 60
}

#[tokio::test]
async fn the_handler_of_an_embedded_estate_goes_by_its_clock() {
    let world = World::start().await;
    let followed = clock(&world, Some(&world.simulator.url()));
    assert_eq!(hours_ahead(&followed), 0, "nobody was asked yet");
    world.simulator.advance(Duration::from_secs(5 * 3600));
    followed.catch_up().await;
    assert_eq!(hours_ahead(&followed), 5);
    // A second question within the second is not asked.
    world.simulator.advance(Duration::from_secs(3600));
    followed.catch_up().await;
    assert_eq!(hours_ahead(&followed), 5);
    let fresh = clock(&world, Some(&world.simulator.url()));
    fresh.catch_up().await;
    assert_eq!(hours_ahead(&fresh), 6);
}

#[tokio::test]
async fn who_says_no_time_turns_no_clock() {
    let world = World::start().await;
    let silent = clock(&world, Some("http://127.0.0.1:9"));
    silent.catch_up().await;
    assert_eq!(hours_ahead(&silent), 0);
    assert!(
        matches!(clock(&world, None), Clock::System),
        "Azure itself is never asked"
    );
}

#[tokio::test]
async fn what_a_request_does_bears_the_time_of_the_estate() {
    let world = World::start().await;
    world.simulator.advance(Duration::from_secs(30 * 24 * 3600));
    let base = world
        .handler(clock(&world, Some(&world.simulator.url())))
        .await;
    let url = format!("{base}/api/maintenance/daily");
    let (status, taken) = world.post(url, &json!({})).await;
    assert!(status < 300, "{taken}");
    world
        .deliver(&base, taken["run"].as_str().expect("a run"))
        .await;
    let runs = world.get(format!("{base}/api/runs")).await;
    let at = first_time(&runs).unwrap_or_else(|| panic!("a time in {runs}"));
    assert!((at - Utc::now()).num_days() >= 29, "{at}");
}

/// The first text in a document that is a time.
fn first_time(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Array(items) => items.iter().find_map(first_time),
        Value::Object(fields) => fields.values().find_map(first_time),
        _ => None,
    }
}
