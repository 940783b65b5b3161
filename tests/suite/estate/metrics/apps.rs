//! Metrics of container apps: by replica and revision, and in trouble.

use poolkeeper::local::simulator::{Heals, Trouble, TroubleKind};

use super::super::APPS;
use super::*;

#[tokio::test]
async fn an_app_is_told_by_replica() {
    let monitor = Monitor::start().await;
    let query = [
        (
            "metricnames",
            "CpuPercentage,MemoryPercentage,Requests,Replicas",
        ),
        ("aggregation", "Average,Maximum,Total"),
        ("interval", "PT1M"),
    ];
    let answer = monitor.list(APP, &query).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["resourceregion"], "japaneast");
    let [cpu, _, requests, replicas] = [0, 1, 2, 3].map(|n| series(&body["value"][n]));
    let replicas = known(&replicas[0].1, "maximum");
    assert!(
        replicas.iter().all(|count| (2.0..=10.0).contains(count)),
        "{replicas:?}"
    );
    let cpu = known(&cpu[0].1, "average");
    assert!(
        cpu.iter().all(|percent| (5.0..=100.0).contains(percent)),
        "{cpu:?}"
    );
    assert!(
        known(&requests[0].1, "total")
            .iter()
            .all(|count| *count > 0.0)
    );
    let split = [
        ("metricnames", "CpuPercentage"),
        ("$filter", "podName eq '*'"),
        ("top", "50"),
    ];
    let by_pod = monitor.list(APP, &split).await.json();
    assert!(series(&by_pod["value"][0]).len() >= 2);
}

impl Monitor {
    /// Totals of requests of the last minutes, by the labels of a filter.
    async fn requests(&self, by: &str) -> Vec<(Vec<String>, f64)> {
        let query = [
            ("metricnames", "Requests"),
            ("aggregation", "Total"),
            ("interval", "PT1M"),
            ("$filter", by),
            ("top", "50"),
        ];
        let answer = self.list(APP, &query).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let all = series(&answer.json()["value"][0]).into_iter();
        let sums = all.map(|(of, points)| (of, known(&points, "total").iter().sum()));
        sums.collect()
    }

    async fn patch(&self, properties: Value) {
        let body = json!({ "location": "japaneast", "properties": properties });
        let answer = self.azure.write(Method::PATCH, APP, APPS, &body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        self.later(1);
    }

    fn later(&self, minutes: u64) {
        let simulator = &self.azure.world.simulator;
        simulator.advance(Duration::from_secs(minutes * 60));
    }
}

#[tokio::test]
async fn trouble_of_an_app_shows_in_what_its_requests_were_answered_with() {
    let monitor = Monitor::start().await;
    let simulator = &monitor.azure.world.simulator;
    simulator.metrics_lag(Some(0)).await;
    let by_status = "statusCode eq '*'";
    let codes = |told: Vec<(Vec<String>, f64)>| -> Vec<String> {
        let mut codes: Vec<String> = told.into_iter().map(|(of, _)| of[0].clone()).collect();
        codes.sort();
        codes
    };
    assert_eq!(codes(monitor.requests(by_status).await), ["200"]);
    let brief = Heals::Time { minutes: 3 };
    for (kind, expected) in [
        (TroubleKind::Hang, &["504"][..]),
        (TroubleKind::Fail { status: 500 }, &["500"]),
        (TroubleKind::Fail { status: 404 }, &["404"]),
        (TroubleKind::Crash, &[]),
    ] {
        monitor.later(60);
        simulator
            .app_trouble("agent-api", Trouble::new(kind, brief))
            .await;
        monitor.later(10);
        let told = codes(monitor.requests(by_status).await);
        let mut all = vec!["200"];
        all.extend(expected);
        assert_eq!(told, all, "{kind:?}");
        let requests = monitor.requests("podName eq '*'").await;
        assert!(!requests.is_empty());
    }
    // Only the minutes of the trouble are without requests.
    let query = [
        ("metricnames", "Requests"),
        ("aggregation", "Total"),
        ("interval", "PT1M"),
    ];
    let body = monitor.list(APP, &query).await.json();
    let totals = known(&series(&body["value"][0])[0].1, "total");
    assert!((56..=57).contains(&totals.len()), "{totals:?}");
}

#[tokio::test]
async fn revisions_of_an_app_with_several_are_asked_by_their_share() {
    let monitor = Monitor::start().await;
    let simulator = &monitor.azure.world.simulator;
    simulator.metrics_lag(Some(0)).await;
    let old = "agent-api--a1b2c3";
    let mode = json!({ "configuration": { "activeRevisionsMode": "Multiple" } });
    monitor.patch(mode).await;
    let template = json!({ "template": { "revisionSuffix": "v2" } });
    monitor.patch(template).await;
    let app = monitor.azure.get(APP, APPS).await.json();
    let new = app["properties"]["latestRevisionName"].as_str();
    let new = new.expect("a name");
    assert_ne!(new, old);
    let shares = json!({ "configuration": { "ingress": { "traffic": [
        { "revisionName": old, "weight": 75 },
        { "revisionName": new, "weight": 25 },
    ] } } });
    monitor.patch(shares).await;
    monitor.later(70);
    let told = monitor.requests("revisionName eq '*'").await;
    let of = |name: &str| -> f64 {
        let ours = told.iter().filter(|(of, _)| of[0] == name);
        ours.map(|(_, total)| total).sum()
    };
    let share = of(old) / (of(old) + of(new));
    assert!((0.72..0.78).contains(&share), "{share}: {told:?}");
}
