//! Rules over telemetry, through the timer: each kind of trouble raises what it should, and nothing
//! else.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use poolkeeper::app::Clock;
use poolkeeper::kql::exec::Limits;
use poolkeeper::local::simulator::{LogsError, LogsErrorKind, LogsTable};
use poolkeeper::local::telemetry::{Conditions, Fault, Model, Plan, Telemetry, generate};
use poolkeeper::operations::slo::Memory;
use serde_json::{Value, json};

use crate::engine::table;
use crate::world::{World, estate};

const FROM: &str = "2026-10-05T00:00:00Z";
const UNTIL: &str = "2026-10-05T06:00:00Z";
/// Telemetry is five minutes late.
const NOW: &str = "2026-10-05T06:03:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// Six hours of a world with one fault.
async fn troubled(fault: &str) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = (!fault.is_empty()).then(|| fault.parse::<Fault>().expect("a fault"));
    let plan = Plan {
        tenants: 2,
        rows_per_minute: 60.0,
        faults: faults.into_iter().collect(),
        ..Plan::default()
    };
    let model = Model::new(plan, &estate());
    let (from, until) = (at(FROM).timestamp() / 60, at(UNTIL).timestamp() / 60);
    let conditions = Conditions::default();
    generate(folder.path(), &model, &conditions, from, until, &|_, _| {}).expect("telemetry");
    let engine = Telemetry::new(folder.path(), Limits::default());
    (World::start_with(Arc::new(engine)).await, folder)
}

async fn tick(world: &World, now: DateTime<Utc>) -> String {
    let base = world.handler(Clock::Fixed(now)).await;
    world.tick(&base, "rules").await.to_string()
}

/// What every rule remembers to be firing: rule, level, tenant.
async fn firing(world: &World) -> Vec<(String, String, String)> {
    let mut firing = Vec::new();
    for (rule, memory) in memories(world).await {
        for series in memory.firing() {
            let tenant = series.tenant.clone().unwrap_or_default();
            firing.push((rule.clone(), series.level.to_string(), tenant));
        }
        if !memory.seen.is_empty() {
            firing.push((rule.clone(), "seen".into(), memory.seen.len().to_string()));
        }
        assert!(memory.untold.is_empty(), "{rule}");
    }
    firing
}

async fn memories(world: &World) -> BTreeMap<String, Memory> {
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    let mut memories = BTreeMap::new();
    for path in store.list_all("rules/").await.expect("names") {
        let memory = store.get::<Memory>(&path).await.expect("an answer");
        let name = path.trim_start_matches("rules/").trim_end_matches(".json");
        memories.insert(name.to_owned(), memory.expect("a memory").value);
    }
    memories
}

async fn put(world: &World, path: &str, document: &Value) {
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    store.create(path, document).await.expect("written");
}

fn names(firing: &[(String, String, String)]) -> Vec<String> {
    let all = firing.iter();
    all.map(|(rule, level, tenant)| format!("{rule} {level} {tenant}").trim_end().to_owned())
        .collect()
}

#[tokio::test]
async fn each_fault_raises_what_it_should_and_nothing_else() {
    for (fault, expected) in [
        ("", &[][..]),
        (
            "outage,from=2026-10-05T05:30Z,for=30m",
            // All tenants at once are one incident.
            &["service-availability critical"],
        ),
        (
            "errors,tenant=tenant-a,share=0.3,from=2026-10-05T05:30Z,for=30m",
            &["availability critical tenant-a", "error-rate high tenant-a"],
        ),
        (
            "slow,tenant=tenant-a,factor=40,from=2026-10-05T05:30Z,for=30m",
            &["response-time high tenant-a"],
        ),
        (
            "silence,from=2026-10-05T05:40Z,for=20m",
            &["telemetry-missing high"],
        ),
        (
            "boundary,tenant=tenant-b,from=2026-10-05T05:50Z,for=1m",
            &["tenant-boundary seen 1"],
        ),
    ] {
        let (world, _folder) = troubled(fault).await;
        let told = tick(&world, at(NOW)).await;
        assert_eq!(names(&firing(&world).await), expected, "{fault}: {told}");
        // The same minute again, by another process, adds nothing.
        let again = tick(&world, at(NOW)).await;
        assert!(!again.contains("fired"), "{fault}: {again}");
    }
}

#[tokio::test]
async fn silence_with_failing_probes_is_critical() {
    let (world, _folder) = troubled("silence,from=2026-10-05T05:40Z,for=20m").await;
    let document = json!({
        "name": "api", "failures": 4, "first_failure": "2026-10-05T05:59:00Z",
        "checked": "2026-10-05T06:02:30Z"
    });
    put(&world, "health/api.json", &document).await;
    let told = tick(&world, at(NOW)).await;
    assert_eq!(
        names(&firing(&world).await),
        ["telemetry-missing critical"],
        "{told}"
    );
}

/// Rows of the error rate.
fn rates(failed: i64) -> LogsTable {
    let columns = [
        ("Tenant", "string"),
        ("Requests", "long"),
        ("Failed", "long"),
        ("ErrorRatePercent", "real"),
        ("Enough", "bool"),
        ("Records", "long"),
        ("Newest", "datetime"),
    ];
    let percent = failed as f64 / 10.0;
    let row = |tenant: &str, failed: i64, percent: f64| {
        vec![
            json!(tenant),
            json!(1000),
            json!(failed),
            json!(percent),
            json!(true),
            json!(1000),
            json!("2026-10-05T05:58:00Z"),
        ]
    };
    table(
        &columns,
        vec![row("tenant-a", failed, percent), row("tenant-b", 0, 0.0)],
    )
}

/// A world in which only the rule of error rates is there, and answers are given.
async fn given() -> (World, BTreeMap<String, String>) {
    let world = World::start().await;
    let settings = world.settings_with_estate(|text| {
        let (head, rest) = text.split_once("[[rules]]").expect("rules");
        let (_, tail) = rest
            .split_once("# What may be changed by itself")
            .expect("policies");
        let rule = "[[rules]]\nname = \"error-rate\"\nkind = \"error_rate\"\n";
        format!(
            "{head}{rule}{tail_mark}{tail}",
            tail_mark = "# What may be changed by itself"
        )
    });
    let fresh = table(
        &[("TableName", "string"), ("AgeSeconds", "real")],
        vec![vec![json!("AppRequests"), json!(60.0)]],
    );
    world.answers.when("AgeSeconds", Ok(fresh));
    (world, settings)
}

#[tokio::test]
async fn a_rule_fires_once_and_ends_once_whoever_evaluates_it() {
    let (world, settings) = given().await;
    let start = at(NOW);
    let mut told = Vec::new();
    for minute in 0..12 {
        world.answers.when(
            "ErrorRatePercent",
            Ok(rates(if minute < 3 { 100 } else { 0 })),
        );
        let now = start + Duration::minutes(minute);
        let one = world
            .handler_with(settings.clone(), Clock::Fixed(now))
            .await;
        let other = world
            .handler_with(settings.clone(), Clock::Fixed(now))
            .await;
        let (a, b) = tokio::join!(world.tick(&one, "rules"), world.tick(&other, "rules"));
        told.extend(
            [a.to_string(), b.to_string()]
                .into_iter()
                .map(|text| (minute, text)),
        );
    }
    let of = |what: &str| -> Vec<i64> {
        let holds = told.iter().filter(|(_, text)| text.contains(what));
        holds.map(|(minute, _)| *minute).collect()
    };
    assert_eq!(
        of("error-rate fired at high: tenant-a: error rate 10 %"),
        [0],
        "{told:?}"
    );
    assert_eq!(of("error-rate ended at high: tenant-a"), [7], "{told:?}");
    assert!(of("tenant-b").is_empty(), "{told:?}");
    // Windows end before now by the lag of the estate.
    let asked = world.answers.asked();
    let lagged = asked
        .iter()
        .filter(|query| query.text.contains("ErrorRatePercent"));
    assert!(lagged.clone().count() >= 12);
    assert!(
        lagged
            .into_iter()
            .all(|query| query.text.contains("let lag_ = time(300s);"))
    );
}

#[tokio::test]
async fn a_query_that_fails_ends_nothing_and_is_told() {
    let (world, settings) = given().await;
    world.answers.when("ErrorRatePercent", Ok(rates(100)));
    let now = at(NOW);
    let base = world
        .handler_with(settings.clone(), Clock::Fixed(now))
        .await;
    world.tick(&base, "rules").await;
    let refused = LogsError {
        kind: LogsErrorKind::Limit,
        message: "too much".into(),
        place: None,
    };
    world.answers.when("ErrorRatePercent", Err(refused));
    for minute in 1..10 {
        let now = now + Duration::minutes(minute);
        let base = world
            .handler_with(settings.clone(), Clock::Fixed(now))
            .await;
        let told = world.tick(&base, "rules").await.to_string();
        assert!(told.contains("could not be evaluated"), "{told}");
        assert!(told.contains("that is not taken for calm"), "{told}");
    }
    assert_eq!(names(&firing(&world).await), ["error-rate high tenant-a"]);
}

#[tokio::test]
async fn what_was_decided_and_not_told_is_told_by_the_next_tick() {
    let (world, settings) = given().await;
    world.answers.when("ErrorRatePercent", Ok(rates(100)));
    let now = at(NOW);
    let base = world
        .handler_with(settings.clone(), Clock::Fixed(now))
        .await;
    world.tick(&base, "rules").await;
    // As a process leaves it that was killed after it had decided.
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    let path = "rules/error-rate.json";
    let mut memory = store
        .get::<Memory>(path)
        .await
        .expect("an answer")
        .expect("a memory");
    let signal: poolkeeper::domain::Signal = serde_json::from_value(json!({
        "key": { "rule": "error-rate", "tenant": "tenant-b", "resource": null },
        "condition": "Fired", "priority": "high", "class": "operations", "title": "left over",
        "text": "", "facts": [], "at": NOW, "occurrence": "rules/error-rate/jpe/x",
        "trust": { "trust": "confirmed", "how": "telemetry" }
    }))
    .expect("a signal");
    memory.value.untold.push(signal);
    store
        .replace(path, &memory.value, &memory.etag, None)
        .await
        .expect("written");
    let later = world
        .handler_with(settings, Clock::Fixed(now + Duration::minutes(1)))
        .await;
    let told = world.tick(&later, "rules").await.to_string();
    assert!(
        told.contains("error-rate fired at high: left over"),
        "{told}"
    );
    assert!(memories(&world).await["error-rate"].untold.is_empty());
}

#[tokio::test]
async fn where_azure_evaluates_nothing_is_asked_and_what_fired_here_ends() {
    let (world, settings) = given().await;
    world.answers.when("ErrorRatePercent", Ok(rates(100)));
    let base = world.handler_with(settings, Clock::Fixed(at(NOW))).await;
    world.tick(&base, "rules").await;
    let asked = world.answers.asked().len();
    let settings =
        world.settings_with_estate(|text| text.replace("mode = \"always\"", "mode = \"never\""));
    let base = world
        .handler_with(settings, Clock::Fixed(at(NOW) + Duration::minutes(1)))
        .await;
    let told = world.tick(&base, "rules").await.to_string();
    assert!(told.contains("Azure evaluates the rules"), "{told}");
    assert!(told.contains("error-rate ended at high"), "{told}");
    assert_eq!(world.answers.asked().len(), asked);
}

/// Rows of the error rate, the same failures for both tenants.
fn both(failed: i64) -> LogsTable {
    let mut table = rates(failed);
    let row = table.rows[0].clone();
    table.rows[1] = row;
    table.rows[1][0] = json!("tenant-b");
    table
}

#[tokio::test]
async fn what_cannot_be_told_keeps_nothing_else_from_being_told() {
    let (world, settings) = given().await;
    world.answers.when("ErrorRatePercent", Ok(both(100)));
    // Of the first tenant's incidents nothing can be read.
    let key = poolkeeper::domain::GroupKey {
        rule: "error-rate".into(),
        tenant: Some("tenant-a".into()),
        resource: None,
    };
    let path = format!("incident-keys/{}.json", key.hash());
    put(&world, &path, &json!({ "number": "none" })).await;
    let tick = async |minute: i64| {
        let clock = Clock::Fixed(at(NOW) + Duration::minutes(minute));
        let base = world.handler_with(settings.clone(), clock).await;
        world.tick(&base, "rules").await.to_string()
    };
    let told = tick(0).await;
    assert!(
        told.contains("error-rate fired at high: tenant-b"),
        "{told}"
    );
    assert!(told.contains("error-rate failed: tell `tenant-a"), "{told}");
    // The rule goes on, and what is over meanwhile is told too.
    world.answers.when("ErrorRatePercent", Ok(rates(100)));
    let mut all = String::new();
    for minute in 1..=6 {
        all.push_str(&tick(minute).await);
    }
    assert!(all.contains("error-rate ended at high: tenant-b"), "{all}");
    assert_eq!(memories(&world).await["error-rate"].untold.len(), 1);
    // It can be read again.
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    store.delete(&path).await.expect("deleted");
    let told = tick(7).await;
    assert!(
        told.contains("error-rate fired at high: tenant-a"),
        "{told}"
    );
    assert!(memories(&world).await["error-rate"].untold.is_empty());
}

#[tokio::test]
async fn who_ends_the_incident_of_what_still_fires_hears_once_that_it_does() {
    use poolkeeper::operations::incidents::{self, Filter, Said, Status};
    let (world, settings) = given().await;
    world.answers.when("ErrorRatePercent", Ok(rates(100)));
    let now = |minute: i64| Clock::Fixed(at(NOW) + Duration::minutes(minute));
    let found = async |minute: i64| {
        let app = World::app_with(&settings, now(minute));
        let page = incidents::list(&app, &Filter::default(), None, 10).await;
        page.expect("a page").incidents
    };
    for minute in 0..=12 {
        let base = world.handler_with(settings.clone(), now(minute)).await;
        world.tick(&base, "rules").await;
        if minute == 2 {
            let app = World::app_with(&settings, now(minute));
            let id = found(minute).await[0].id.clone();
            let said = incidents::say(&app, &id, &Said::Resolve, "operator", "it looks well");
            said.await.expect("ended");
        }
        let found = found(minute).await;
        let expected = match minute {
            0..=1 => (1, Status::Open),
            2..=4 => (1, Status::Resolved),
            _ => (2, Status::Open),
        };
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].fired, found[0].status),
            expected,
            "minute {minute}"
        );
    }
    // All of it ends when the rule does.
    world.answers.when("ErrorRatePercent", Ok(rates(0)));
    for minute in 13..=17 {
        let base = world.handler_with(settings.clone(), now(minute)).await;
        world.tick(&base, "rules").await;
    }
    assert_eq!(found(17).await[0].status, Status::Resolved);
}

#[tokio::test]
async fn an_outage_of_all_tenants_is_one_incident_and_what_is_left_of_it_is_each_tenants() {
    use poolkeeper::operations::incidents::{self, Filter, Status};
    let world = World::start().await;
    let settings = world.settings_with_estate(|text| {
        let mut kept = String::new();
        for (index, part) in text.split("[[rules]]").enumerate() {
            let name = part.trim_start().lines().next().unwrap_or_default();
            if index == 0 {
                kept.push_str(part);
            } else if name.contains("error-rate") {
                kept.push_str(&format!("[[rules]]{part}"));
            } else if let Some(rest) = part.find("# What may be changed by itself") {
                kept.push_str(&part[rest..]);
            }
        }
        kept
    });
    let open = async |minute: i64| {
        let clock = Clock::Fixed(at(NOW) + Duration::minutes(minute));
        let base = world.handler_with(settings.clone(), clock).await;
        world.tick(&base, "rules").await;
        let app = World::app_with(&settings, clock);
        let page = incidents::list(&app, &Filter::default(), None, 50).await;
        let mut open = page.expect("a page").incidents;
        open.retain(|one| one.status != Status::Resolved);
        let of = |one: &incidents::Incident| {
            let tenant = one.key.tenant.clone().unwrap_or_default();
            format!("{} {tenant}", one.key.rule).trim_end().to_owned()
        };
        let mut names: Vec<String> = open.iter().map(of).collect();
        names.sort();
        names
    };
    world.answers.when("ErrorRatePercent", Ok(both(100)));
    for minute in 0..5 {
        assert_eq!(
            open(minute).await,
            ["service-error-rate"],
            "minute {minute}"
        );
    }
    // Only one tenant is not served yet: that is no trouble of the service.
    world.answers.when("ErrorRatePercent", Ok(rates(100)));
    for minute in 5..9 {
        assert_eq!(
            open(minute).await,
            ["service-error-rate"],
            "minute {minute}"
        );
    }
    assert_eq!(open(9).await, ["error-rate tenant-a"]);
    world.answers.when("ErrorRatePercent", Ok(rates(0)));
    for minute in 10..14 {
        assert_eq!(open(minute).await, ["error-rate tenant-a"]);
    }
    assert_eq!(open(14).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_memory_that_cannot_be_read_stops_no_other_rule() {
    let (world, settings) = given().await;
    world.answers.when("ErrorRatePercent", Ok(rates(100)));
    put(&world, "rules/gone.json", &json!({ "series": 5 })).await;
    let base = world.handler_with(settings, Clock::Fixed(at(NOW))).await;
    let told = world.tick(&base, "rules").await.to_string();
    assert!(
        told.contains("error-rate fired at high: tenant-a"),
        "{told}"
    );
    assert!(told.contains("gone failed"), "{told}");
}
