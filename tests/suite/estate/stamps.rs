//! An estate of many stamps, each in a subscription of its own.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, TimeDelta};
use poolkeeper::estate::Estate;
use poolkeeper::local::simulator::Limit;
use serde_json::{Value, json};

use crate::world::World;

const STAMPS: usize = 10;
const CONTAINERS: usize = 100;

fn subscription(stamp: usize) -> String {
    format!("11111111-2222-4333-8444-{stamp:012}")
}

fn account(stamp: usize) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/rg-{stamp}/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-{stamp}",
        subscription(stamp)
    )
}

/// Ten stamps in ten subscriptions, with a hundred containers each.
fn many() -> Estate {
    let containers: Vec<String> = (0..CONTAINERS).map(|n| format!("\"c{n}\"")).collect();
    let mut text = String::from(
        "time_zone = \"Asia/Tokyo\"\n[maintenance.daily]\nat = \"02:00\"\ncatch_up = \"20h\"\n\
         [maintenance.weekly]\nweekday = \"sunday\"\nat = \"03:00\"\ncatch_up = \"3d\"\n\
         [maintenance.monthly]\nday = 1\nat = \"04:00\"\ncatch_up = \"5d\"\n",
    );
    for stamp in 0..STAMPS {
        write!(
            text,
            "[[stamps]]\nname = \"s{stamp}\"\nsubscription = \"{}\"\nresource_group = \"rg-{stamp}\"\n\
             container_apps = [\"app-{stamp}\"]\n[stamps.cosmos]\naccount = \"cosmos-{stamp}\"\n\
             database = \"db\"\ncontainers = [{}]\n",
            subscription(stamp),
            containers.join(", ")
        )
        .expect("a text");
    }
    Estate::parse(&text).expect("an estate")
}

/// Hourly request units of a month of all containers of a stamp: how long it took, and the answer.
async fn month(world: &World, token: &str, stamp: usize) -> (Duration, Value) {
    let end = world.simulator.now();
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("api-version", "2024-02-01")
        .append_pair("metricnamespace", "Microsoft.DocumentDB/databaseAccounts")
        .append_pair("metricnames", "TotalRequestUnits")
        .append_pair("starttime", &time(end - TimeDelta::days(30)))
        .append_pair("endtime", &time(end))
        .append_pair("interval", "PT1H")
        .append_pair("top", "1000")
        .append_pair("filter", "CollectionName eq '*'")
        .finish();
    let url = format!(
        "{}/subscriptions/{}/metrics:getBatch?{query}",
        world.simulator.url(),
        subscription(stamp)
    );
    let begun = Instant::now();
    let request = world.http.post(url).bearer_auth(token);
    let request = request.json(&json!({ "resourceids": [account(stamp)] }));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    (begun.elapsed(), answer)
}

#[tokio::test]
async fn each_stamp_has_a_load_of_its_own_and_a_month_of_it_is_told_soon() {
    let begun = Instant::now();
    let world = World::start_of(many()).await;
    eprintln!(
        "{STAMPS} stamps of {CONTAINERS} containers: {:?}",
        begun.elapsed()
    );
    let token = world.token("https://metrics.monitor.azure.com").await;
    let mut totals = Vec::new();
    for stamp in [0, 1, 2] {
        let (took, answer) = month(&world, &token, stamp).await;
        eprintln!("a month of {CONTAINERS} containers by the hour: {took:?}");
        assert!(took < Duration::from_secs(30), "{took:?}");
        let told = answer["values"][0]["value"][0]["timeseries"].as_array();
        let told = told.expect("series");
        // Beside the estate's own there is the one of the change feed.
        assert_eq!(told.len(), CONTAINERS + 1);
        let points = told
            .iter()
            .flat_map(|one| one["data"].as_array().expect("points"));
        totals.push(
            points
                .filter_map(|point| point["total"].as_f64())
                .sum::<f64>(),
        );
    }
    let apart = |a: f64, b: f64| (a / b - 1.0).abs() > 0.01;
    assert!(
        apart(totals[0], totals[1]) && apart(totals[1], totals[2]),
        "{totals:?}"
    );
}

#[tokio::test]
async fn resource_manager_counts_reads_by_subscription_and_refuses_too_many() {
    let world = World::start_of(many()).await;
    let token = world.token("https://management.azure.com").await;
    // No refill while this runs, so that what is refused does not hang on its pace.
    world.simulator.limit(Limit {
        burst: 3.0,
        per_second: 0.001,
        ..Limit::of_arm()
    });
    let read = async |stamp: usize| {
        let url = format!(
            "{}{}?api-version=2024-08-15",
            world.simulator.url(),
            account(stamp)
        );
        let answer = world.http.get(url).bearer_auth(&token).send().await;
        let answer = answer.expect("an answer");
        let wait = answer.headers().get("retry-after").cloned();
        (answer.status().as_u16(), wait)
    };
    for _ in 0..3 {
        assert_eq!(read(1).await.0, 200);
    }
    let (status, wait) = read(1).await;
    assert_eq!(status, 429);
    assert!(wait.is_some(), "it says when to come back");
    assert_eq!(
        read(2).await.0,
        200,
        "another subscription has a bucket of its own"
    );
    let counts = world.simulator.counts_of_subscriptions();
    let of = |stamp| counts[&subscription(stamp)];
    assert_eq!((of(1).calls, of(1).refused, of(2).refused), (4, 1, 0));
}
