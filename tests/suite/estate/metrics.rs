//! Azure Monitor's metrics: what is told, what is refused, and what they follow.

mod apps;

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike as _, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Azure, COSMOS, GROUP, manual, offer, send};
use crate::world::World;

const VERSION: &str = "2024-02-01";
const NAMESPACE: &str = "Microsoft.DocumentDB/databaseAccounts";
const COSMOS_ACCOUNT: &str = "providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe";
const APP: &str = "providers/Microsoft.App/containerApps/agent-api";
const SUBSCRIPTION: &str = "11111111-2222-4333-8444-555555555555";

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn encoded(query: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(query).finish()
}

/// Metrics, asked as their callers do.
struct Monitor {
    azure: Azure,
    token: String,
}

impl Monitor {
    async fn start() -> Self {
        Self::on(World::start().await).await
    }

    /// Under a load that is the same day and night, early in a minute: none turns while it is asked.
    async fn on(world: World) -> Self {
        world.flat_load();
        let second = world.simulator.now().second();
        let early = Duration::from_secs(u64::from(65 - second));
        world.simulator.advance(early);
        let token = world.token("https://metrics.monitor.azure.com").await;
        let azure = Azure::on(world).await;
        Self { azure, token }
    }

    fn now(&self) -> DateTime<Utc> {
        self.azure.world.simulator.now()
    }

    fn asks(&self, query: &[(&str, &str)], ids: &[&str], token: &str) -> reqwest::RequestBuilder {
        let url = format!(
            "{}/subscriptions/{SUBSCRIPTION}/metrics:getBatch?{}",
            self.azure.world.simulator.url(),
            encoded(query)
        );
        let request = self.azure.world.http.request(Method::POST, url);
        let request = request.bearer_auth(token);
        request.json(&json!({ "resourceids": ids }))
    }

    /// A batch over one account, from so many minutes ago on.
    async fn batch(&self, minutes: i64, query: &[(&str, &str)]) -> Answer {
        let end = self.now();
        let start = text(end - TimeDelta::minutes(minutes));
        let end = text(end);
        let mut all = vec![
            ("api-version", VERSION),
            ("metricnamespace", NAMESPACE),
            ("starttime", start.as_str()),
            ("endtime", end.as_str()),
        ];
        all.extend(query);
        let id = format!("{GROUP}/{COSMOS_ACCOUNT}");
        send(self.asks(&all, &[&id], &self.token)).await
    }

    /// The series of the one metric of [`Monitor::batch`]: values of dimensions, and points.
    async fn series(&self, minutes: i64, query: &[(&str, &str)]) -> Vec<(Vec<String>, Vec<Value>)> {
        let answer = self.batch(minutes, query).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        series(&answer.json()["values"][0]["value"][0])
    }

    async fn list(&self, of: &str, query: &[(&str, &str)]) -> Answer {
        let path = format!(
            "{of}/providers/Microsoft.Insights/metrics?{}",
            encoded(query)
        );
        self.azure.get(&path, VERSION).await
    }
}

fn series(metric: &Value) -> Vec<(Vec<String>, Vec<Value>)> {
    let all = metric["timeseries"].as_array().expect("series");
    let labels = |one: &Value| {
        let labels = one["metadatavalues"].as_array().expect("labels");
        let values = labels
            .iter()
            .map(|label| super::text(&label["value"]).to_owned());
        values.collect()
    };
    let each = all.iter().map(|one| {
        let points = one["data"].as_array().expect("points").clone();
        (labels(one), points)
    });
    each.collect()
}

fn numbers(points: &[Value], of: &str) -> Vec<Option<f64>> {
    points.iter().map(|point| point[of].as_f64()).collect()
}

fn known(points: &[Value], of: &str) -> Vec<f64> {
    numbers(points, of).into_iter().flatten().collect()
}

#[tokio::test]
async fn a_batch_tells_every_container_minute_by_minute_but_for_the_newest() {
    let monitor = Monitor::start().await;
    let asked = [
        (
            "metricnames",
            "NormalizedRUConsumption,TotalRequestUnits,TotalRequests",
        ),
        ("aggregation", "maximum,total,count"),
        ("interval", "PT1M"),
        ("top", "100"),
        ("filter", "DatabaseName eq '*' and CollectionName eq '*'"),
    ];
    let answer = monitor.batch(30, &asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let of_account = &body["values"][0];
    assert_eq!(of_account["resourceregion"], "japaneast");
    let [used, units, requests] = [0, 1, 2].map(|n| series(&of_account["value"][n]));
    for (name, told) in [("units", &units), ("requests", &requests)] {
        let containers: Vec<&str> = told.iter().map(|(of, _)| of[1].as_str()).collect();
        for expected in ["threads", "messages", "runs", "files", "leases"] {
            assert!(containers.contains(&expected), "{name}: {containers:?}");
        }
    }
    let shared: Vec<&str> = used.iter().map(|(of, _)| of[1].as_str()).collect();
    assert!(
        shared.contains(&"__Empty") && !shared.contains(&"leases"),
        "{shared:?}"
    );
    let (_, points) = &used[0];
    let values = numbers(points, "maximum");
    let told = values.iter().flatten().count();
    assert!((27..=29).contains(&told), "{values:?}");
    assert_eq!(
        values.last(),
        Some(&None),
        "the newest minutes are not told yet"
    );
    assert!(
        points[0]["total"].is_null(),
        "what this metric has not is left out"
    );
    let per_second = |name: &str| {
        let found = units.iter().find(|(of, _)| of[1] == name).expect("units");
        let total = known(&found.1, "total");
        total.iter().sum::<f64>() / total.len() as f64 / 60.0
    };
    // 31 % of 1000 RU/s in the busiest second at the mean load.
    assert!(
        (40.0..800.0).contains(&per_second("threads")),
        "{}",
        per_second("threads")
    );
    assert!(per_second("messages") > 2.0 * per_second("threads"));
}

#[tokio::test]
async fn series_are_split_selected_and_cut_as_asked() {
    let monitor = Monitor::start().await;
    let used = ("metricnames", "NormalizedRUConsumption");
    let ranges = (
        "filter",
        "CollectionName eq 'messages' and PartitionKeyRangeId eq '*'",
    );
    let told = monitor.series(10, &[used, ranges]).await;
    let mut named: Vec<Vec<String>> = told.iter().map(|(of, _)| of.clone()).collect();
    named.sort();
    assert_eq!(
        named,
        [["messages", "0"], ["messages", "1"], ["messages", "2"]]
    );

    let calls = ("metricnames", "TotalRequests");
    let split = "CollectionName eq 'threads' or CollectionName eq 'files' and StatusCode eq '*' and OperationType eq '*'";
    let told = monitor.series(10, &[calls, ("filter", split)]).await;
    assert_eq!(told.len(), 6, "what is not called has no series");
    let each = ("filter", "CollectionName eq '*' and OperationType eq '*'");
    let cut = monitor.series(10, &[calls, each]).await;
    assert_eq!(cut.len(), 10, "without `top` at most ten of fifteen");
    let refused = (
        "filter",
        "CollectionName eq 'threads' and StatusCode eq '429'",
    );
    assert_eq!(
        monitor.series(10, &[calls, refused]).await.len(),
        0,
        "nothing was refused"
    );

    let whole = monitor.series(10, &[calls]).await;
    assert_eq!(whole.len(), 1);
    let together: f64 = known(&whole[0].1, "count").iter().sum();
    let by_kind = monitor
        .series(10, &[calls, ("filter", "OperationType eq '*'")])
        .await;
    let parts: f64 = by_kind
        .iter()
        .flat_map(|(_, points)| known(points, "count"))
        .sum();
    assert!((together - parts).abs() < 1e-6 && together > 0.0);

    let hour = ("interval", "FULL");
    let one = monitor.series(180, &[calls, hour]).await;
    assert_eq!(one[0].1.len(), 1);
}

#[tokio::test]
async fn a_burst_is_met_with_refusals_until_more_is_bought() {
    let monitor = Monitor::start().await;
    let simulator = &monitor.azure.world.simulator;
    let now = monitor.now();
    let hour = TimeDelta::hours(1);
    simulator
        .burst("threads", 12.0, now - hour, now + hour * 48)
        .await;
    let used = [
        ("metricnames", "NormalizedRUConsumption"),
        ("filter", "CollectionName eq 'threads'"),
    ];
    let refused = [
        ("metricnames", "TotalRequests"),
        (
            "filter",
            "CollectionName eq 'threads' and StatusCode eq '429'",
        ),
    ];
    let full = known(&monitor.series(30, &used).await[0].1, "maximum");
    assert!(full.iter().all(|percent| *percent >= 100.0), "{full:?}");
    assert!(!known(&monitor.series(30, &refused).await[0].1, "count").is_empty());
    let taken = monitor
        .azure
        .write(Method::PUT, &offer("threads"), COSMOS, &manual(10_000))
        .await;
    assert_eq!(taken.status, 202);
    simulator.advance(Duration::from_secs(20 * 60));
    let calm = known(&monitor.series(15, &used).await[0].1, "maximum");
    assert!(calm.iter().all(|percent| *percent < 100.0), "{calm:?}");
    assert_eq!(monitor.series(15, &refused).await.len(), 0);
    let past = monitor.series(50, &refused).await;
    assert!(
        !known(&past[0].1, "count").is_empty(),
        "the past stays what it was"
    );
    let provisioned = [
        ("metricnames", "ProvisionedThroughput"),
        ("interval", "PT5M"),
        ("filter", "CollectionName eq 'threads'"),
    ];
    let provisioned = known(&monitor.series(60, &provisioned).await[0].1, "maximum");
    assert_eq!(provisioned.first(), Some(&1000.0));
    assert_eq!(provisioned.last(), Some(&10_000.0));
}

#[tokio::test]
async fn a_hot_partition_is_full_while_the_others_are_not() {
    let monitor = Monitor::start().await;
    let now = monitor.now();
    let hour = TimeDelta::hours(1);
    let simulator = &monitor.azure.world.simulator;
    simulator
        .burst("messages", 2.5, now - hour, now + hour)
        .await;
    simulator
        .hot_partition("messages", "tenant-b", 90.0, now - hour, now + hour)
        .await;
    let told = monitor
        .series(
            20,
            &[
                ("metricnames", "NormalizedRUConsumption"),
                (
                    "filter",
                    "CollectionName eq 'messages' and PartitionKeyRangeId eq '*'",
                ),
            ],
        )
        .await;
    let worst = |points: &[Value]| known(points, "maximum").into_iter().fold(0.0, f64::max);
    let mut all: Vec<f64> = told.iter().map(|(_, points)| worst(points)).collect();
    all.sort_by(f64::total_cmp);
    assert!(all[0] * 4.0 < all[2] && all[1] * 4.0 < all[2], "{all:?}");
}

#[tokio::test]
async fn a_gap_has_no_values_and_no_zeros() {
    let monitor = Monitor::start().await;
    let now = monitor.now();
    let ago = |minutes| now - TimeDelta::minutes(minutes);
    let simulator = &monitor.azure.world.simulator;
    simulator
        .metric_gap("cosmos-agents-jpe", ago(20), ago(10))
        .await;
    simulator.metrics_lag(Some(0)).await;
    let calls = [("metricnames", "TotalRequests")];
    let values = numbers(&monitor.series(40, &calls).await[0].1, "count");
    assert_eq!(
        values.iter().filter(|value| value.is_none()).count(),
        11,
        "{values:?}"
    );
    assert!(values.iter().flatten().all(|value| *value > 0.0));
    simulator.no_pressure().await;
    let values = numbers(&monitor.series(40, &calls).await[0].1, "count");
    assert_eq!(
        values.iter().filter(|value| value.is_none()).count(),
        1,
        "this minute"
    );
}

#[tokio::test]
async fn what_azure_would_not_answer_is_refused() {
    let monitor = Monitor::on(World::start_unrecorded().await).await;
    let simulator = &monitor.azure.world.simulator;
    let ours = format!("{GROUP}/{COSMOS_ACCOUNT}");
    let app = format!("{GROUP}/{APP}");
    let gone = format!("{GROUP}/providers/Microsoft.DocumentDB/databaseAccounts/gone");
    let elsewhere = ours.replace("1111", "2222");
    let many = vec![ours.as_str(); 51];
    let good = [
        ("api-version", VERSION),
        ("metricnamespace", NAMESPACE),
        ("metricnames", "TotalRequests"),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut query = good.to_vec();
        query.retain(|(known, _)| *known != name);
        query.push((name, value));
        query
    };
    for (name, query, ids, status) in [
        ("as it should be", good.to_vec(), vec![ours.as_str()], 200),
        (
            "another version",
            with("api-version", "2023-10-01"),
            vec![ours.as_str()],
            400,
        ),
        (
            "no such metric",
            with("metricnames", "Requests"),
            vec![ours.as_str()],
            400,
        ),
        (
            "no such aggregation",
            with("aggregation", "p95"),
            vec![ours.as_str()],
            400,
        ),
        (
            "no such dimension",
            with("filter", "Tenant eq '*'"),
            vec![ours.as_str()],
            400,
        ),
        (
            "told every five minutes",
            with("metricnames", "DataUsage"),
            vec![ours.as_str()],
            400,
        ),
        ("another type", good.to_vec(), vec![app.as_str()], 400),
        (
            "another subscription",
            good.to_vec(),
            vec![elsewhere.as_str()],
            400,
        ),
        ("nothing", good.to_vec(), vec![], 400),
        ("too many", good.to_vec(), many, 400),
        ("gone", good.to_vec(), vec![gone.as_str()], 404),
    ] {
        let answer = send(monitor.asks(&query, &ids, &monitor.token)).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        let told = answer.json()["error"]["message"].is_string();
        assert_eq!(told, status != 200, "{name}: {}", answer.text);
    }
    let arm = send(monitor.asks(&good, &[&ours], &monitor.azure.arm)).await;
    assert_eq!(arm.refusal(), (401, "InvalidAuthenticationToken".into()));
    let answer = monitor
        .list(COSMOS_ACCOUNT, &[("metricnames", "Nothing")])
        .await;
    assert_eq!(
        (answer.status, answer.json()["code"].clone()),
        (400, json!("BadRequest"))
    );
    simulator.grant_only(&["Microsoft.DocumentDB/*"]);
    let answer = send(monitor.asks(&good, &[&ours], &monitor.token)).await;
    assert_eq!(answer.refusal(), (403, "AuthorizationFailed".into()));
    let answer = monitor.list(COSMOS_ACCOUNT, &[]).await;
    assert_eq!(answer.refusal(), (403, "AuthorizationFailed".into()));
    assert_eq!(simulator.mutations(), [""; 0], "a batch changes nothing");
}

#[tokio::test]
async fn hours_are_the_sum_of_their_minutes() {
    let monitor = Monitor::start().await;
    let now = monitor.now();
    let ago = |minutes| now - TimeDelta::minutes(minutes);
    // Something happens in the second hour only.
    let simulator = &monitor.azure.world.simulator;
    simulator.burst("threads", 7.0, ago(150), ago(130)).await;
    for (metric, of) in [
        ("TotalRequestUnits", "total"),
        ("TotalRequests", "count"),
        ("NormalizedRUConsumption", "maximum"),
    ] {
        let asked = [
            ("metricnames", metric),
            ("filter", "CollectionName eq 'threads'"),
        ];
        let [by_minute, by_hour] = [("interval", "PT1M"), ("interval", "PT1H")];
        let minutes = monitor.series(240, &[asked[0], asked[1], by_minute]).await;
        let hours = monitor.series(240, &[asked[0], asked[1], by_hour]).await;
        let minutes = numbers(&minutes[0].1, of);
        for (hour, told) in known(&hours[0].1, of).into_iter().enumerate() {
            let inside = minutes[hour * 60..].iter().take(60).flatten().copied();
            let expected: f64 = if of == "maximum" {
                inside.fold(0.0, f64::max)
            } else {
                inside.sum()
            };
            let apart = (told / expected - 1.0).abs();
            assert!(
                apart < 0.005,
                "{metric}, hour {hour}: {told} and {expected}"
            );
        }
    }
}

#[tokio::test]
async fn a_month_of_hours_is_answered_soon() {
    let monitor = Monitor::start().await;
    let begun = Instant::now();
    let query = [
        ("metricnames", "TotalRequestUnits"),
        ("interval", "PT1H"),
        ("top", "1000"),
        ("filter", "CollectionName eq '*'"),
    ];
    let told = monitor.series(30 * 1440, &query).await;
    let took = begun.elapsed();
    assert_eq!(told.len(), 5);
    assert!(
        told.iter()
            .all(|(_, points)| known(points, "total").len() >= 720)
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
    eprintln!("a month of 5 containers: {took:?}");
}
