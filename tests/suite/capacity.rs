//! Capacity: forecasts from metrics, recommendations, weekly maintenance, the page.

mod browser;
mod trends;
mod web;

use std::time::Duration as Wait;

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use poolkeeper::app::{App, Clock};
use poolkeeper::domain::{Finding, ResourceId};
use poolkeeper::operations::capacity::advise::{Advice, Urgency};
use poolkeeper::operations::capacity::hourly::Hourly;
use poolkeeper::operations::capacity::{
    Ahead, Document, Measure, Refreshed, advise, documents, keep, last, refresh,
};
use serde_json::{Value, json};

use crate::changes::worked;
use crate::world::World;

const LONG: Wait = Wait::from_secs(120);

fn database() -> ResourceId {
    ResourceId::new(
        "11111111-2222-4333-8444-555555555555",
        "rg-agents-jpe",
        "Microsoft.DocumentDB/databaseAccounts",
        "cosmos-agents-jpe",
    )
    .child("sqlDatabases", "agents")
}

fn container(name: &str) -> ResourceId {
    database().child("containers", name)
}

/// The estate's own hour, ten minutes after it began.
fn now(world: &World) -> DateTime<Utc> {
    let hour = world.simulator.now().duration_trunc(Duration::hours(1));
    hour.expect("an hour") + Duration::minutes(10) - Duration::hours(1)
}

fn app_at(world: &World, at: DateTime<Utc>) -> App {
    world.app(Clock::Fixed(at))
}

async fn renewed(app: &App) -> Refreshed {
    refresh(app, LONG).await.expect("a round")
}

/// Hours that were not told.
fn missing(history: &Hourly) -> usize {
    history.values.iter().filter(|hour| hour.is_none()).count()
}

async fn of_cosmos(app: &App) -> Document {
    let mut all = documents(app).await.expect("documents");
    all.remove(0).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_is_forecast_from_metrics_kept_and_renewed_when_it_is_old() {
    let world = World::start().await;
    let at = now(&world);
    let app = app_at(&world, at);
    let none = (Ahead::default(), Vec::new());
    assert_eq!(Ahead::read(&app).await.expect("none"), none);
    let first = renewed(&app).await;
    assert_eq!(
        (first.made, first.failed, first.left),
        (2, 0, 0),
        "{first:?}"
    );
    let all = documents(&app).await.expect("documents");
    let hour = at.duration_trunc(Duration::hours(1)).expect("an hour");
    for (place, document) in &all {
        assert_eq!(document.made, Some(at), "{}", place.name);
        for subject in &document.subjects {
            for kept in &subject.series {
                let of = format!("{} {:?}", subject.resource.short(), kept.measure);
                let history = kept.history.as_ref().expect(&of);
                assert_eq!((history.values.len(), missing(history)), (720, 0), "{of}");
                if kept.measure == Measure::Replicas {
                    assert_eq!(kept.coming, None);
                    continue;
                }
                let coming = kept.coming.as_ref().expect(&of);
                assert_eq!((coming.start, coming.forecast.len()), (hour, 168), "{of}");
                assert!(coming.trials > 0 && coming.error.is_some(), "{of}");
                for (forecast, (lower, upper)) in coming
                    .forecast
                    .iter()
                    .zip(coming.lower.iter().zip(&coming.upper))
                {
                    assert!(
                        *lower >= 0.0 && lower <= forecast && forecast <= upper,
                        "{of}"
                    );
                }
            }
        }
    }
    let names: Vec<String> = all[0]
        .1
        .subjects
        .iter()
        .map(|s| s.resource.short())
        .collect();
    assert_eq!(
        names.last().map(String::as_str),
        Some("cosmos-agents-jpe/agents"),
        "{names:?}"
    );
    // What the database shares is used by what has no throughput of its own, and by nothing else.
    let peak = |id: &ResourceId| {
        let kept = all[0].1.subject(id).and_then(|one| one.of(Measure::Units));
        let history = kept.expect("units").history.as_ref().expect("values");
        history.values.iter().flatten().copied().fold(0.0, f64::max)
    };
    assert!(peak(&database()) < peak(&container("messages")) / 4.0);
    let (ahead, _) = Ahead::read(&app).await.expect("what is ahead");
    let soon = |name: &str| ahead.need(&container(name), at, at + Duration::hours(2));
    let (threads, messages) = (soon("threads"), soon("messages"));
    let threads = threads.expect("forecast");
    assert!(threads > 10.0 && threads < 5000.0, "{threads}");
    assert!(messages.expect("forecast") > threads);
    assert_eq!(
        ahead.need(&container("threads"), at, at + Duration::days(8)),
        None
    );

    // Nothing is asked for again before it is old, and then all of it.
    assert_eq!(renewed(&app).await, Refreshed::default());
    let later = app_at(&world, at + Duration::hours(6));
    world.simulator.advance(Wait::from_secs(6 * 3600));
    assert_eq!(renewed(&later).await.made, 2);
    let document = of_cosmos(&later).await;
    assert_eq!(document.made, Some(at + Duration::hours(6)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forecast_that_cannot_be_read_is_told_and_made_anew() {
    let world = World::start().await;
    let at = now(&world);
    let app = app_at(&world, at);
    let first = renewed(&app).await;
    let store = app.store().expect("a store");
    let kept = store.list_all("capacity/forecasts/").await.expect("kept");
    for path in &kept {
        store.delete(path).await.expect("gone");
        let body = bytes::Bytes::from_static(b"{\"made\": 5}");
        store.create_bytes(path, body).await.expect("damaged");
    }
    let (ahead, findings) = Ahead::read(&app).await.expect("what is ahead");
    assert_eq!(ahead, Ahead::default());
    assert_eq!(findings[0].code, "forecast-unreadable", "{findings:?}");
    let again = renewed(&app).await;
    assert_eq!((again.made, again.findings.len()), (first.made, kept.len()));
    let (ahead, findings) = Ahead::read(&app).await.expect("what is ahead");
    assert!(ahead != Ahead::default() && findings.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_renew_each_place_once_and_time_that_is_over_is_kept() {
    let world = World::start().await;
    let at = now(&world);
    let apps: Vec<App> = (0..3).map(|_| app_at(&world, at)).collect();
    let (a, b, c) = tokio::join!(renewed(&apps[0]), renewed(&apps[1]), renewed(&apps[2]));
    assert_eq!(a.made + b.made + c.made, 2, "{a:?} {b:?} {c:?}");
    assert_eq!(a.failed + b.failed + c.failed, 0);
    let later = app_at(&world, at + Duration::hours(7));
    world.simulator.advance(Wait::from_secs(7 * 3600));
    let none = refresh(&later, Wait::ZERO).await.expect("a round");
    assert_eq!((none.made, none.left), (0, 2), "no time, nothing begun");
}

/// F1, F3: a gap is never nothing used, and too little is told as too little.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_stays_a_gap_and_too_short_a_history_is_told() {
    let world = World::start().await;
    let at = now(&world);
    let hour = at.duration_trunc(Duration::hours(1)).expect("an hour");
    let days = |days| hour - Duration::days(days);
    world
        .simulator
        .metric_gap("threads", days(5), days(4))
        .await;
    world.simulator.metric_gap("runs", days(40), days(3)).await;
    let app = app_at(&world, at);
    assert_eq!(renewed(&app).await.made, 2);
    let document = of_cosmos(&app).await;
    let units = |name: &str| {
        let subject = document.subject(&container(name)).expect("a subject");
        subject.of(Measure::Units).expect("units").clone()
    };
    let threads = units("threads");
    let history = threads.history.as_ref().expect("values");
    assert_eq!(missing(history), 24);
    assert_eq!(history.at(days(5) + Duration::hours(3)), None);
    let told: Vec<f64> = history.values.iter().flatten().copied().collect();
    assert!(
        told.iter().all(|value| *value > 0.0),
        "a gap became nothing used"
    );
    assert_eq!(threads.coming.as_ref().expect("forecast").missing, 24);
    let runs = units("runs");
    assert_eq!(runs.coming, None);
    assert_eq!(
        runs.why_not.as_deref(),
        Some("insufficient data: 72 hours, and at least 168 (7 days) are needed")
    );
    let (ahead, _) = Ahead::read(&app).await.expect("what is ahead");
    assert_eq!(ahead.need(&container("runs"), at, at), None);
    let advised = advise(&app).await.expect("recommendations");
    let of_runs = advised.of(&container("runs")).expect("a word");
    assert!(
        matches!(&of_runs.advice, Advice::Unknown { why, .. } if why.starts_with("insufficient data: 72")),
        "{of_runs:?}"
    );
    let findings = advised.findings();
    let told = findings.iter().find(|one| one.subject.ends_with("/runs"));
    assert_eq!(
        told.map(|one| one.code.as_str()),
        Some("capacity-unknown"),
        "{findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_permission_it_is_said_which_one_and_tried_again_later() {
    let world = World::start().await;
    let at = now(&world);
    let app = app_at(&world, at);
    world.simulator.grant_only(&[
        "Microsoft.DocumentDB/databaseAccounts/read",
        "Microsoft.App/containerApps/read",
    ]);
    let refused = renewed(&app).await;
    assert_eq!((refused.made, refused.failed), (0, 2), "{refused:?}");
    for finding in &refused.findings {
        assert_eq!(finding.code, "capacity-no-history");
        assert!(
            finding.message.contains("Microsoft.Insights/metrics/read"),
            "{finding:?}"
        );
    }
    let problem = of_cosmos(&app).await.problem.expect("why");
    assert!(
        problem.contains("Microsoft.Insights/metrics/read"),
        "{problem}"
    );
    world.simulator.grant_all();
    assert_eq!(renewed(&app).await, Refreshed::default(), "not at once");
    let later = app_at(&world, at + Duration::minutes(15));
    assert_eq!(renewed(&later).await.made, 2);
    assert_eq!(of_cosmos(&later).await.problem, None);
}

fn task<'a>(run: &'a Value, name: &str) -> &'a Value {
    let tasks = run["tasks"].as_array().expect("tasks");
    let found = tasks.iter().find(|task| task["task"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {run}"))
}

async fn weekly(world: &World, base: &str, query: &str) -> Value {
    let url = format!("{base}/api/maintenance/weekly?{query}");
    let (status, answer) = world.post(url, &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    worked(world, base, &answer).await
}

/// The estate that ships, without scaling of throughput: what people made stays.
fn unscaled(estate: &str) -> String {
    let owned = "[scaling.cosmos]\nown = true";
    assert!(estate.contains(owned), "{owned}");
    estate.replace(owned, "[scaling.cosmos]\nown = false")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weekly_maintenance_recommends_in_money_and_changes_nothing() {
    let world = World::start().await;
    let at = now(&world);
    // An app and a container that are much too small for what they have had for weeks.
    let long_ago = at - Duration::days(60);
    let ahead = at + Duration::days(60);
    world.simulator.burst("threads", 8.0, long_ago, ahead).await;
    let settings = world.settings_with_estate(unscaled);
    let base = world.handler_with(settings.clone(), Clock::Fixed(at)).await;
    let dry = weekly(
        &world,
        &base,
        "task=update_capacity_recommendations&dryRun=true",
    )
    .await;
    let report = task(&dry, "update_capacity_recommendations");
    assert!(report["counts"]["judged"].as_u64() >= Some(6), "{report}");
    let app = World::app_with(&settings, Clock::Fixed(at));
    assert_eq!(
        last(&app).await.expect("none"),
        None,
        "a dry run keeps nothing"
    );

    let run = weekly(&world, &base, "task=update_capacity_recommendations").await;
    let report = task(&run, "update_capacity_recommendations");
    let findings = report["findings"].as_array().expect("findings");
    let more = findings.iter().find(|one| {
        one["code"] == "capacity-more" && one["subject"] == "cosmos-agents-jpe/agents/threads"
    });
    let message = more.unwrap_or_else(|| panic!("{report}"))["message"]
        .as_str()
        .expect("text");
    assert!(message.contains("1000 RU/s -> "), "{message}");
    assert!(
        message.contains("over 80 % of what there is within a day"),
        "{message}"
    );
    assert!(message.contains("more a month"), "{message}");
    let advised = last(&app)
        .await
        .expect("the store")
        .expect("recommendations");
    let threads = advised.of(&container("threads")).expect("judged");
    let Advice::Resize { to, .. } = &threads.advice else {
        panic!("{threads:?}");
    };
    let evidence = threads.evidence.as_ref().expect("evidence");
    assert!(evidence.need > evidence.need_forecast, "{evidence:?}");
    assert_eq!(evidence.busy_hours, 24, "{evidence:?}");
    assert!(evidence.busy_factor > 1.0, "{evidence:?}");
    let asked = json!(to)["throughput"]["manual"].as_u64().expect("RU/s");
    assert_eq!(asked % 100, 0, "F4: {asked}");
    assert!(
        asked as f64 >= (evidence.need * 1.2).min(20_000.0),
        "{asked}: {evidence:?}"
    );
    // F5: what a replica takes was learned.
    let apps = advised
        .recommendations
        .iter()
        .filter_map(|one| one.per_replica.as_ref());
    assert!(apps.count() >= 1, "{advised:?}");
    assert_eq!(
        world.simulator.mutations(),
        Vec::<String>::new(),
        "it only says so"
    );

    let shown = world.get(format!("{base}/api/capacity?text=threads")).await;
    assert_eq!(
        shown["recommended"]["recommendations"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(shown["recommended"]["recommendations"][0], json!(threads));
    assert!(
        shown["monthly"]["micros"].as_i64().is_some(),
        "{}",
        shown["monthly"]
    );
    let places = shown["places"].as_array().expect("places");
    assert_eq!(places.len(), 2);
    let subjects = places[0]["forecasts"]["subjects"]
        .as_array()
        .expect("subjects");
    assert_eq!(subjects.len(), 1, "{subjects:?}");
}

/// At the moment it has much less than it will need, and within an hour of need it has that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_scaling_owns_is_told_by_its_limits_and_costs_nothing() {
    let world = World::start().await;
    let at = now(&world);
    let (long_ago, ahead) = (at - Duration::days(60), at + Duration::days(60));
    world.simulator.burst("threads", 8.0, long_ago, ahead).await;
    let app = app_at(&world, at);
    assert_eq!(renewed(&app).await.made, 2);
    let judged = |app: App| async move {
        let advised = advise(&app).await.expect("recommendations");
        let threads = advised.of(&container("threads")).expect("judged").clone();
        let findings = advised.findings().into_iter();
        let about = |one: &Finding| one.subject.ends_with("/threads");
        let codes: Vec<String> = findings.filter(about).map(|one| one.code).collect();
        (threads, codes)
    };
    let (wide, codes) = judged(app).await;
    assert!(matches!(wide.advice, Advice::Keep { .. }), "{wide:?}");
    assert_eq!((wide.urgency, wide.monthly), (Urgency::None, None));
    assert_eq!(codes, [""; 0]);
    assert!(wide.notes[0].contains("from 400 to 20000 RU/s"), "{wide:?}");
    let settings = world.settings_with_estate(|estate| {
        assert!(estate.contains("most = 20000"));
        estate.replace("most = 20000", "most = 1000")
    });
    let (narrow, codes) = judged(World::app_with(&settings, Clock::Fixed(at))).await;
    let Advice::Limits { now, to } = &narrow.advice else {
        panic!("{narrow:?}");
    };
    assert_eq!((now.most, now.least, to.least), (1000, 400, 400));
    let need = narrow.evidence.as_ref().expect("evidence").need;
    assert!(f64::from(to.most) >= need * 1.2, "{narrow:?}");
    assert_eq!((narrow.urgency, narrow.monthly), (Urgency::Now, None));
    assert_eq!(codes, ["capacity-limit"]);
}

/// Of two that are made at once the newer is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_recommendations_do_not_take_the_place_of_newer_ones() {
    let world = World::start().await;
    let at = now(&world);
    let app = app_at(&world, at);
    let newer = advise(&app).await.expect("recommendations");
    assert!(
        newer
            .recommendations
            .iter()
            .all(|one| matches!(one.advice, Advice::Unknown { .. })),
        "nothing was forecast"
    );
    keep(&app, &newer).await.expect("kept");
    let mut older = newer.clone();
    older.made = at - Duration::hours(1);
    older.recommendations.clear();
    keep(&app, &older).await.expect("kept");
    assert_eq!(last(&app).await.expect("the store"), Some(newer));
}
