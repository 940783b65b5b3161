//! Weekly maintenance tells what has become worse, and one of its tasks does not stop the other.

use std::sync::Arc;

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use poolkeeper::app::Clock;
use poolkeeper::kql::exec::Limits;
use poolkeeper::local::simulator::{LogsError, LogsErrorKind, LogsQuery, LogsTable, QueryEngine};
use poolkeeper::local::telemetry::{Conditions, Fault, Model, Plan, Telemetry, generate};
use serde_json::json;

use super::{now, task, weekly};
use crate::engine::table;
use crate::world::{World, estate};

/// Days of requests: subject, and a day's requests, failures and P95.
type Week = fn(i64) -> (i64, i64, f64);

fn trend(until: DateTime<Utc>, subjects: &[(&str, Week)]) -> LogsTable {
    let columns = [
        ("Subject", "string"),
        ("Time", "datetime"),
        ("Requests", "long"),
        ("Failed", "long"),
        ("P95Ms", "real"),
        ("Records", "long"),
    ];
    let last = until.duration_trunc(Duration::days(1)).expect("a day");
    let mut rows = Vec::new();
    for (subject, of_day) in subjects {
        for day in 0..28 {
            let (requests, failed, p95) = of_day(day);
            let time = (last - Duration::days(28 - day)).to_rfc3339();
            rows.push(vec![
                json!(subject),
                json!(time),
                json!(requests),
                json!(failed),
                json!(p95),
                json!(requests),
            ]);
        }
    }
    table(&columns, rows)
}

#[tokio::test]
async fn weekly_maintenance_tells_what_has_become_worse_by_operation_and_by_tenant() {
    let world = World::start().await;
    let at = now(&world);
    let steady: fn(i64) -> (i64, i64, f64) = |day| (5000, 1, 200.0 + (day % 3) as f64);
    let slower: fn(i64) -> (i64, i64, f64) = |day| {
        (
            1000,
            1,
            if day >= 21 {
                900.0
            } else if day % 2 == 0 {
                299.8
            } else {
                300.2
            },
        )
    };
    let failing: fn(i64) -> (i64, i64, f64) = |day| (2000, if day >= 21 { 60 } else { 2 }, 150.0);
    let operations = trend(at, &[("GET /threads", steady), ("POST /runs", slower)]);
    let tenants = trend(at, &[("tenant-a", steady), ("tenant-b", failing)]);
    world.answers.when("let by_tenant_ = false", Ok(operations));
    world.answers.when("let by_tenant_ = true", Ok(tenants));
    let base = world.handler(Clock::Fixed(at)).await;
    let run = weekly(&world, &base, "task=analyze_performance_trends").await;
    let report = task(&run, "analyze_performance_trends");
    let told: Vec<(&str, &str)> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|one| {
            (
                one["code"].as_str().expect("a code"),
                one["message"].as_str().expect("a message"),
            )
        })
        .collect();
    let since = (at.duration_trunc(Duration::days(1)).expect("a day") - Duration::days(7))
        .format("%Y-%m-%d");
    assert_eq!(
        told,
        [
            (
                "performance-worse",
                "operation POST /runs: 95 of 100 requests within 900 ms in the last 7 days (7000 requests, 7 \
                 days), 300 ms in the 21 days before"
            ),
            (
                "performance-changed",
                format!("operation POST /runs: 95 of 100 requests within 900 ms since {since} (UTC), 300 ms before that").as_str()
            ),
            (
                "performance-worse",
                "tenant tenant-b: failures of the service 3.00 % in the last 7 days (14000 requests, 7 days), \
                 0.10 % in the 21 days before"
            ),
            (
                "performance-changed",
                format!("tenant tenant-b: failures of the service 3.00 % since {since} (UTC), 0.10 % before that").as_str()
            ),
        ]
    );
    assert_eq!(report["counts"]["operations"], 2);
    let asked = world.answers.asked();
    assert_eq!(asked.len(), 2, "one question each");
}

#[tokio::test]
async fn a_workspace_that_says_nothing_or_cannot_be_asked_is_a_finding() {
    let world = World::start().await;
    let at = now(&world);
    let base = world.handler(Clock::Fixed(at)).await;
    world
        .answers
        .when("let by_tenant_ = false", Ok(trend(at, &[])));
    world.answers.when(
        "let by_tenant_ = true",
        Ok(table(&[("Other", "string")], vec![vec![json!("x")]])),
    );
    let run = weekly(&world, &base, "task=analyze_performance_trends").await;
    let report = task(&run, "analyze_performance_trends");
    let findings = report["findings"].as_array().expect("findings");
    assert_eq!(findings[0]["code"], "performance-no-data", "{report}");
    assert_eq!(
        findings[0]["message"],
        "no data: no request of an operation was logged in 28 days"
    );
    assert_eq!(findings[1]["code"], "performance-unread", "{report}");
    assert_eq!(report["state"], "succeeded_with_findings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_weekly_tasks_are_due_on_sunday_and_none_stops_the_other() {
    let world = World::start_with(Arc::new(Silent)).await;
    let at = now(&world);
    let base = world.handler(Clock::Fixed(at)).await;
    let run = weekly(&world, &base, "").await;
    let states: Vec<(&str, &str)> = [
        "analyze_performance_trends",
        "update_capacity_recommendations",
    ]
    .into_iter()
    .map(|name| (name, task(&run, name)["state"].as_str().expect("a state")))
    .collect();
    assert_eq!(
        states,
        [
            ("analyze_performance_trends", "succeeded_with_findings"),
            ("update_capacity_recommendations", "succeeded"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_weeks_of_telemetry_tell_who_has_become_slower_and_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let until: DateTime<Utc> = "2026-10-05T00:00:00Z".parse().expect("a time");
    let (from, last) = (until - Duration::days(28), until - Duration::days(7));
    let mut plan = Plan {
        tenants: 4,
        rows_per_minute: 1.5,
        ..Plan::default()
    };
    let victim = Model::new(plan.clone(), &estate())
        .tenants()
        .nth(1)
        .expect("tenants")
        .to_owned();
    let slow = format!("slow,for=7d,tenant={victim},factor=3");
    plan.faults = vec![Fault::beginning(&slow, last.timestamp() / 60).expect("a fault")];
    generate(
        folder.path(),
        &Model::new(plan, &estate()),
        &Conditions::default(),
        from.timestamp() / 60,
        until.timestamp() / 60 + 10,
        &|_, _| {},
    )
    .expect("telemetry");
    let engine = Telemetry::new(folder.path(), Limits::default());
    let world = World::start_with(Arc::new(engine)).await;
    let base = world
        .handler(Clock::Fixed(until + Duration::minutes(10)))
        .await;
    let run = weekly(&world, &base, "task=analyze_performance_trends").await;
    let report = task(&run, "analyze_performance_trends");
    let about: Vec<&str> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|one| one["code"] == "performance-worse")
        .filter_map(|one| one["message"].as_str())
        .filter(|message| message.starts_with("tenant "))
        .collect();
    assert_eq!(about.len(), 1, "{report}");
    assert!(
        about[0].starts_with(&format!("tenant {victim}: 95 of 100")),
        "{report}"
    );
    assert_eq!(report["counts"]["tenants"], 4, "{report}");
    let since = format!("since {}", last.format("%Y-%m-%d"));
    let findings = report["findings"].as_array().expect("findings").iter();
    let changed = findings.filter(|one| one["code"] == "performance-changed");
    let of_victim: Vec<&str> = changed
        .filter_map(|one| one["message"].as_str())
        .filter(|message| message.starts_with(&format!("tenant {victim}")))
        .collect();
    assert!(
        of_victim.len() == 1 && of_victim[0].contains(&since),
        "{report}"
    );
}

/// An engine that refuses every query.
struct Silent;

impl QueryEngine for Silent {
    fn run(&self, _query: &LogsQuery) -> Result<LogsTable, LogsError> {
        Err(LogsError {
            kind: LogsErrorKind::Limit,
            message: "not now".into(),
            place: None,
        })
    }
}
