use chrono::{Duration, TimeZone as _};

use super::*;
use crate::estate::Estate;

const LAST: i64 = 2000;

fn estate() -> Estate {
    Estate::parse(include_str!("../../../../infra/estate.toml")).expect("the estate")
}

fn at(minute: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 10, 5, 3, 0, 0).unwrap() + Duration::minutes(minute)
}

fn burn(tenant: &str, requests: i64, failed: i64) -> Row {
    let rate = (requests > 0).then(|| failed as f64 / requests as f64 / 0.001);
    Row::Burn {
        tenant: Some(tenant.into()),
        requests,
        failed,
        long: rate,
        short: rate,
        short_requests: requests,
        short_failed: failed,
        enough: requests >= 100,
    }
}

fn errors(tenant: &str, requests: i64, failed: i64) -> Row {
    Row::Errors {
        tenant: Some(tenant.into()),
        requests,
        failed,
        percent: (requests > 0).then(|| 100.0 * failed as f64 / requests as f64),
        enough: requests >= 100,
    }
}

fn p95(tenant: &str, seconds: Option<f64>) -> Row {
    Row::Latency {
        tenant: Some(tenant.into()),
        requests: 500,
        p95_ms: seconds.map(|s| s * 1000.0),
        enough: true,
    }
}

fn units(percent: Option<f64>) -> Row {
    Row::Units {
        resource: "/subscriptions/s/providers/x/databaseAccounts/cosmos".into(),
        percent,
        at: at(0),
    }
}

fn newest(minutes: Option<f64>) -> Row {
    Row::Newest {
        seconds: minutes.map(|m| m * 60.0),
    }
}

fn violation(event: &str, tenant: &str) -> Row {
    Row::Violation {
        event: event.into(),
        tenant: Some(tenant.into()),
        at: at(0),
        operation: format!("op-{event}"),
    }
}

/// One rule of the estate that ships, through its evaluations.
struct Story {
    rule: Rule,
    memory: Memory,
    probes: Probes,
    inhibitions: Vec<Inhibition>,
    /// When the incident of everything that fires was ended, if it was.
    ended: Option<i64>,
    findings: Vec<Finding>,
    minute: i64,
}

impl Story {
    fn of(name: &str) -> Self {
        Self {
            rule: estate().rule(name).expect("a rule").clone(),
            memory: Memory::default(),
            probes: Probes::default(),
            inhibitions: Vec::new(),
            ended: None,
            findings: Vec::new(),
            minute: 0,
        }
    }

    /// A tick with the same answer for every level that is due.
    fn tick(&mut self, minute: i64, rows: &Result<Vec<Row>, String>) -> Vec<Signal> {
        self.minute = minute;
        let levels = self.rule.levels.iter();
        let heard: Vec<Heard> = levels
            .filter(|level| self.memory.is_due(level, at(minute)))
            .map(|level| Heard {
                stamp: "jpe".into(),
                level: level.priority,
                place: Some("/subscriptions/s/workspaces/log".into()),
                rows: rows.clone(),
            })
            .collect();
        let memory = self.memory.clone();
        let key = |series: &Series| GroupKey {
            rule: self.rule.name.clone(),
            tenant: series.tenant.clone(),
            resource: series.resource.clone(),
        };
        let ended = self.ended.into_iter();
        let around = Around {
            probes: self.probes,
            inhibitions: self.inhibitions.clone(),
            ended: ended
                .flat_map(|ended| memory.firing().map(move |series| (key(series), at(ended))))
                .collect(),
        };
        let decided = decide(&self.rule, &heard, &around, memory, at(minute));
        // What is remembered survives the store.
        let json = serde_json::to_string(&decided.memory).expect("JSON");
        self.memory = serde_json::from_str(&json).expect("a memory");
        assert_eq!(self.memory, decided.memory);
        self.findings = decided.findings;
        decided.signals
    }

    fn ticks(&mut self, count: i64, rows: Vec<Row>) -> Vec<Signal> {
        let rows = Ok(rows);
        let from = self.minute + 1;
        (from..from + count)
            .flat_map(|minute| self.tick(minute, &rows))
            .collect()
    }
}

fn told(signals: &[Signal]) -> Vec<(Condition, Priority, Option<&str>)> {
    let one = |s: &'_ Signal| (s.condition, s.priority);
    signals
        .iter()
        .map(|s| {
            let (condition, priority) = one(s);
            (condition, priority, s.key.tenant.as_deref())
        })
        .collect()
}

#[test]
fn what_fires_at_which_level() {
    use Priority::{Critical, High, Low, Medium};
    for (name, rule, minutes, rows, expected) in [
        (
            "A1: one failure in 2,000",
            "availability",
            10,
            vec![burn("a", LAST, 1)],
            vec![],
        ),
        (
            "one failure in a quiet hour",
            "availability",
            10,
            vec![burn("a", 100, 1)],
            vec![],
        ),
        (
            "A4: one of one",
            "availability",
            10,
            vec![burn("a", 1, 1)],
            vec![],
        ),
        (
            "A5: nothing of nothing",
            "availability",
            10,
            vec![burn("a", 0, 0)],
            vec![],
        ),
        (
            "a budget gone in two days",
            "availability",
            10,
            vec![burn("a", LAST, 30)],
            vec![Critical],
        ),
        (
            "at six times",
            "availability",
            10,
            vec![burn("a", LAST, 12)],
            vec![High],
        ),
        (
            "at three times",
            "availability",
            10,
            vec![burn("a", LAST, 6)],
            vec![Medium],
        ),
        (
            "as fast as it lasts",
            "availability",
            10,
            vec![burn("a", 3000, 3)],
            vec![Low],
        ),
        (
            "just below",
            "availability",
            10,
            vec![burn("a", 4000, 3)],
            vec![],
        ),
        (
            "A4: one tenant is enough",
            "error-rate",
            1,
            vec![errors("a", 200, 12)],
            vec![High],
        ),
        (
            "A4: one of one",
            "error-rate",
            5,
            vec![errors("a", 1, 1)],
            vec![],
        ),
        (
            "between 0.5 and 5 %",
            "error-rate",
            1,
            vec![errors("a", 1000, 6)],
            vec![Medium],
        ),
        (
            "two failures are chance",
            "error-rate",
            5,
            vec![errors("a", 100, 2)],
            vec![],
        ),
        (
            "exactly 5 %",
            "error-rate",
            1,
            vec![errors("a", 200, 10)],
            vec![Medium],
        ),
        ("0/0", "error-rate", 5, vec![errors("a", 0, 0)], vec![]),
        (
            "A6: 2.5 s twice",
            "response-time",
            2,
            vec![p95("a", Some(2.5))],
            vec![],
        ),
        (
            "A6: 2.5 s lasting",
            "response-time",
            3,
            vec![p95("a", Some(2.5))],
            vec![Medium],
        ),
        (
            "A6: 3.1 s at once, and told once",
            "response-time",
            9,
            vec![p95("a", Some(3.1))],
            vec![High],
        ),
        (
            "no time at all",
            "response-time",
            9,
            vec![p95("a", None)],
            vec![],
        ),
        (
            "exactly 2 s",
            "response-time",
            9,
            vec![p95("a", Some(2.0))],
            vec![],
        ),
        (
            "full once",
            "request-units",
            4,
            vec![units(Some(95.0))],
            vec![],
        ),
        (
            "full for long",
            "request-units",
            10,
            vec![units(Some(95.0))],
            vec![Medium],
        ),
        (
            "a metric without value",
            "request-units",
            10,
            vec![units(None)],
            vec![],
        ),
        (
            "A2: one violation",
            "tenant-boundary",
            1,
            vec![violation("e", "a")],
            vec![Critical],
        ),
        ("no violation", "tenant-boundary", 9, vec![], vec![]),
        (
            "silent for long",
            "telemetry-missing",
            3,
            vec![newest(Some(16.0))],
            vec![High],
        ),
        (
            "silent since ever",
            "telemetry-missing",
            3,
            vec![newest(None)],
            vec![High],
        ),
        (
            "late",
            "telemetry-missing",
            3,
            vec![newest(Some(14.0))],
            vec![],
        ),
    ] {
        let mut story = Story::of(rule);
        let signals = story.ticks(minutes, rows);
        let priorities: Vec<Priority> = signals.iter().map(|s| s.priority).collect();
        assert_eq!(priorities, expected, "{name}: {signals:#?}");
        assert!(
            signals.iter().all(|s| s.condition == Condition::Fired),
            "{name}"
        );
    }
}

#[test]
fn silence_with_failing_probes_is_critical() {
    let mut story = Story::of("telemetry-missing");
    story.probes = Probes {
        failing: 2,
        known: 3,
        since: Some(at(-5)),
    };
    let signals = story.ticks(5, vec![newest(Some(20.0))]);
    assert_eq!(
        told(&signals),
        [(Condition::Fired, Priority::Critical, None)]
    );
    assert!(
        signals[0]
            .text
            .contains("2 of 3 probes fail, the first since 02:55 UTC")
    );
    // Probes that stopped too are no good news.
    story.probes = Probes::default();
    assert_eq!(told(&story.ticks(30, vec![newest(Some(50.0))])), []);
    assert!(story.findings.iter().any(|f| f.code == "rule-silent"));
    // The service is back, and so is its telemetry.
    let signals = story.ticks(5, vec![newest(Some(1.0))]);
    assert_eq!(
        told(&signals),
        [(Condition::Resolved, Priority::Critical, None)]
    );
    assert!(story.memory.series.is_empty());
}

#[test]
fn silence_first_and_failing_probes_later_raise_it() {
    let mut story = Story::of("telemetry-missing");
    let first = story.ticks(2, vec![newest(None)]);
    assert_eq!(told(&first), [(Condition::Fired, Priority::High, None)]);
    assert!(
        first[0].title.contains("telemetry is missing"),
        "{}",
        first[0].title
    );
    story.probes = Probes {
        failing: 1,
        known: 1,
        since: None,
    };
    let second = story.ticks(3, vec![newest(None)]);
    assert_eq!(
        told(&second),
        [(Condition::Fired, Priority::Critical, None)]
    );
    assert_eq!(first[0].key, second[0].key);
    assert_ne!(first[0].occurrence, second[0].occurrence);
}

#[test]
fn it_ends_after_five_calm_evaluations_and_fires_anew_as_another_occurrence() {
    let mut story = Story::of("error-rate");
    let bad = || vec![errors("a", 1000, 100)];
    let good = || vec![errors("a", 1000, 0)];
    let first = story.ticks(3, bad());
    assert_eq!(
        told(&first),
        [(Condition::Fired, Priority::High, Some("a"))]
    );
    assert_eq!(told(&story.ticks(4, good())), []);
    assert_eq!(told(&story.ticks(1, bad())), [], "it goes on");
    let ended = story.ticks(9, good());
    assert_eq!(
        told(&ended),
        [(Condition::Resolved, Priority::High, Some("a"))]
    );
    assert_eq!(ended[0].occurrence, first[0].occurrence);
    assert_eq!(ended[0].at, at(1 + 2 + 4 + 1 + 5));
    let again = story.ticks(1, bad());
    assert_ne!(again[0].occurrence, first[0].occurrence);
}

#[test]
fn what_gets_better_by_a_level_fires_there_before_it_ends_above() {
    let mut story = Story::of("error-rate");
    story.ticks(1, vec![errors("a", 1000, 100)]);
    let signals = story.ticks(5, vec![errors("a", 1000, 10)]);
    assert_eq!(
        told(&signals),
        [
            (Condition::Fired, Priority::Medium, Some("a")),
            (Condition::Resolved, Priority::High, Some("a")),
        ]
    );
}

#[test]
fn no_data_is_never_calm() {
    for (name, rows) in [
        ("the query failed", Err("refused".to_owned())),
        ("no rows", Ok(vec![])),
        ("no row of it", Ok(vec![errors("b", 1000, 0)])),
        ("0/0", Ok(vec![errors("a", 0, 0)])),
        ("too few", Ok(vec![errors("a", 10, 0)])),
    ] {
        let mut story = Story::of("error-rate");
        story.ticks(1, vec![errors("a", 1000, 100)]);
        for minute in 2..60 {
            assert_eq!(told(&story.tick(minute, &rows)), [], "{name}");
        }
        let finding = story.findings.iter().find(|f| f.code == "rule-silent");
        let finding = finding.unwrap_or_else(|| panic!("{name}: {:?}", story.findings));
        assert!(
            finding
                .message
                .contains("no data since 2026-10-05 03:02 UTC"),
            "{name}"
        );
        assert_eq!(story.memory.firing().count(), 1, "{name}");
        story.minute = 60;
        let ended = story.ticks(5, vec![errors("a", 1000, 0)]);
        assert_eq!(
            told(&ended),
            [(Condition::Resolved, Priority::High, Some("a"))],
            "{name}"
        );
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_says_so_even_if_nothing_fires() {
    let mut story = Story::of("tenant-boundary");
    story.tick(1, &Err("workspace w was not found".into()));
    assert_eq!(story.findings.len(), 1);
    assert!(
        story.findings[0]
            .message
            .contains("workspace w was not found")
    );
}

#[test]
fn doubled_and_missed_ticks_neither_fire_twice_nor_forget() {
    let mut story = Story::of("response-time");
    let rows = Ok(vec![p95("a", Some(2.5))]);
    // The same minute twice counts once: three in a row are still three.
    for minute in [1, 1, 2, 2] {
        assert_eq!(told(&story.tick(minute, &rows)), [], "minute {minute}");
    }
    // Minute 3 is missed.
    let fired = story.tick(4, &rows);
    assert_eq!(
        told(&fired),
        [(Condition::Fired, Priority::Medium, Some("a"))]
    );
    for minute in [4, 5, 40, 39, 38] {
        assert_eq!(told(&story.tick(minute, &rows)), [], "minute {minute}");
    }
    assert_eq!(story.memory.firing().count(), 1);
    // A clock that was ahead by hours and is right again evaluates again.
    let mut story = Story::of("response-time");
    story.tick(300, &rows);
    for minute in 1..4 {
        story.tick(minute, &rows);
    }
    assert_eq!(story.memory.evaluated[&Priority::Medium], at(3));
}

#[test]
fn hits_long_apart_are_not_in_a_row() {
    let mut story = Story::of("response-time");
    let slow = Ok(vec![p95("a", Some(2.5))]);
    for minute in [1, 2] {
        story.tick(minute, &slow);
    }
    assert_eq!(told(&story.tick(60, &slow)), []);
    assert_eq!(told(&story.tick(61, &slow)), []);
    assert_eq!(told(&story.tick(62, &slow)).len(), 1);
}

#[test]
fn each_tenant_hears_of_itself_alone() {
    let mut story = Story::of("error-rate");
    let signals = story.ticks(
        1,
        vec![
            errors("tenant-a", 1000, 100),
            errors("tenant-b", 1000, 200),
            errors("tenant-c", 1000, 0),
        ],
    );
    assert_eq!(
        told(&signals),
        [
            (Condition::Fired, Priority::High, Some("tenant-a")),
            (Condition::Fired, Priority::High, Some("tenant-b")),
        ]
    );
    let text = serde_json::to_string(&signals[0]).expect("JSON");
    assert!(
        !text.contains("tenant-b") && !text.contains("tenant-c"),
        "{text}"
    );
    assert!(
        text.contains("error rate 10 %") && text.contains("above 5 % in 5 min"),
        "{text}"
    );

    let mut story = Story::of("tenant-boundary");
    let signals = story.ticks(
        1,
        vec![violation("1", "tenant-a"), violation("2", "tenant-b")],
    );
    assert_eq!(signals.len(), 2);
    let text = serde_json::to_string(&signals[0]).expect("JSON");
    assert!(
        !text.contains("\"tenant-b\"") && !text.contains("op-2"),
        "{text}"
    );
}

#[test]
fn a_violation_is_told_once_and_no_machine_ends_it() {
    let mut story = Story::of("tenant-boundary");
    let signals = story.ticks(1, vec![violation("1", "a")]);
    assert_eq!(signals[0].class, Class::Security);
    assert_eq!(signals[0].at, at(0));
    assert_eq!(told(&story.ticks(20, vec![violation("1", "a")])), []);
    let more = story.ticks(1, vec![violation("1", "a"), violation("2", "a")]);
    assert_eq!(
        told(&more),
        [(Condition::Fired, Priority::Critical, Some("a"))]
    );
    assert_ne!(more[0].occurrence, signals[0].occurrence);
    assert_eq!(told(&story.ticks(200, vec![])), [], "calm ends nothing");
    assert!(
        story.memory.seen.is_empty(),
        "what cannot come back is forgotten"
    );
}

#[test]
fn the_text_of_a_burn_rate_says_how_long_the_budget_lasts() {
    let mut story = Story::of("availability");
    let signals = story.ticks(1, vec![burn("tenant-a", LAST, 160)]);
    assert_eq!(
        signals[0].title,
        "tenant-a: error budget spent at 80x, 14.4x or more over 60 min and 5 min"
    );
    assert!(
        signals[0].text.ends_with(
            "160 of 2000 requests failed; at this rate the month's budget for 99.9 % is gone in 9 h."
        ),
        "{}",
        signals[0].text
    );
}

#[test]
fn a_level_or_a_stamp_that_is_gone_ends_what_fired_there() {
    let mut story = Story::of("error-rate");
    let fired = story.ticks(1, vec![errors("a", 1000, 100)]);
    story
        .rule
        .levels
        .retain(|level| level.priority != Priority::High);
    let signals = story.ticks(1, vec![errors("a", 1000, 100)]);
    assert!(
        signals
            .iter()
            .any(|s| s.condition == Condition::Resolved && s.occurrence == fired[0].occurrence),
        "{signals:?}"
    );

    let mut story = Story::of("error-rate");
    story.ticks(1, vec![errors("a", 1000, 100)]);
    let heard = [Heard {
        stamp: "jpw".into(),
        level: Priority::High,
        place: None,
        rows: Ok(vec![errors("a", 1000, 100)]),
    }];
    let decided = decide(&story.rule, &heard, &Around::default(), story.memory, at(2));
    let conditions: Vec<Condition> = decided.signals.iter().map(|s| s.condition).collect();
    assert_eq!(conditions, [Condition::Fired, Condition::Resolved]);
    assert_eq!(decided.signals[0].key, decided.signals[1].key);
}

#[test]
fn a_rule_that_is_switched_off_ends_what_it_fired_but_not_what_is_securitys() {
    for (class, expected) in [(Class::Operations, 1), (Class::Security, 0)] {
        let mut story = Story::of("error-rate");
        story.ticks(1, vec![errors("a", 1000, 100)]);
        let decided = retire("error-rate", class, story.memory, at(2));
        assert_eq!(decided.signals.len(), expected, "{class:?}");
        assert!(decided.memory.series.is_empty() && decided.memory.evaluated.is_empty());
    }
}

#[test]
fn the_service_is_in_trouble_when_no_tenant_alone_explains_it() {
    use Priority::{Critical, High, Medium};
    let bad = |tenant| burn(tenant, 200, 200);
    for (name, rule, rows, expected) in [
        ("nothing is asked", "service-availability", vec![], None),
        (
            "all fail",
            "service-availability",
            vec![bad("a"), bad("b"), bad("c")],
            Some(Critical),
        ),
        (
            "one of three fails",
            "service-availability",
            vec![bad("a"), burn("b", 200, 0), burn("c", 200, 0)],
            None,
        ),
        (
            "the largest fails",
            "service-availability",
            vec![burn("a", 90_000, 90_000), burn("b", 1000, 0)],
            None,
        ),
        (
            "there is one tenant",
            "service-availability",
            vec![bad("a")],
            None,
        ),
        (
            "each too small to be judged",
            "service-availability",
            (0..40).map(|_| burn("one of many", 5, 5)).collect(),
            Some(Critical),
        ),
        (
            "one failure each in a quiet hour",
            "service-availability",
            vec![burn("a", 100, 1), burn("b", 100, 1)],
            None,
        ),
        (
            "nobody asked for anything",
            "service-availability",
            vec![burn("a", 0, 0), burn("b", 0, 0)],
            None,
        ),
        (
            "six times as fast",
            "service-availability",
            vec![burn("a", 1000, 8), burn("b", 1000, 8)],
            Some(High),
        ),
        (
            "errors of all",
            "service-error-rate",
            vec![errors("a", 200, 100), errors("b", 200, 20)],
            Some(High),
        ),
        (
            "few errors of all",
            "service-error-rate",
            vec![errors("a", 1000, 8), errors("b", 1000, 7)],
            Some(Medium),
        ),
        (
            "errors of one",
            "service-error-rate",
            vec![errors("a", 200, 100), errors("b", 200, 0)],
            None,
        ),
    ] {
        let mut story = Story::of(rule);
        let signals = story.ticks(6, rows);
        let fired: Vec<_> = signals.iter().map(|s| s.priority).collect();
        assert_eq!(fired, Vec::from_iter(expected), "{name}: {signals:#?}");
        assert!(signals.iter().all(|s| s.key.tenant.is_none()), "{name}");
    }
    // Whom it hits most is said first.
    let mut story = Story::of("service-availability");
    let signals = story.ticks(1, vec![burn("a", 200, 150), burn("b", 300, 300)]);
    assert!(
        signals[0]
            .title
            .starts_with("the service at stamp jpe: error budget"),
        "{}",
        signals[0].title
    );
    let facts = &signals[0].facts;
    let named = facts.iter().filter(|(name, _)| name == "a" || name == "b");
    assert_eq!(
        named
            .map(|(name, text)| format!("{name}: {text}"))
            .collect::<Vec<_>>(),
        [
            "b: 300 of 300 requests failed",
            "a: 150 of 200 requests failed"
        ]
    );
}

#[test]
fn what_was_everybodys_trouble_and_is_one_tenants_now_is_not_calm_without_evidence() {
    let mut story = Story::of("service-error-rate");
    let fired = story.ticks(1, vec![errors("a", 500, 500), errors("b", 500, 500)]);
    assert_eq!(told(&fired).len(), 1);
    // The other one has gone away, and only one still tries: nothing is known of the service.
    let rows = vec![errors("a", 500, 500), errors("b", 0, 0)];
    assert_eq!(told(&story.ticks(30, rows)), []);
    assert!(story.findings.iter().any(|f| f.code == "rule-silent"));
    // It is served again, and the first one is not.
    let rows = vec![errors("a", 500, 500), errors("b", 500, 0)];
    assert_eq!(
        told(&story.ticks(5, rows)),
        [(Condition::Resolved, Priority::High, None)]
    );
}

#[test]
fn while_the_service_fires_its_tenants_are_told_of_nothing_that_is_no_more_urgent() {
    use Priority::{Critical, High, Medium};
    let bad = || vec![errors("a", 200, 100), errors("b", 200, 100)];
    let by = |stamp: &str, level| Inhibition {
        by: "service-availability".into(),
        stamp: stamp.into(),
        level,
    };
    for (name, inhibitions, fires) in [
        ("nothing fires", vec![], true),
        ("as urgent", vec![by("jpe", High)], false),
        ("more urgent", vec![by("jpe", Critical)], false),
        ("less urgent", vec![by("jpe", Medium)], true),
        ("at another stamp", vec![by("jpw", Critical)], true),
        (
            "one of two",
            vec![by("jpe", Medium), by("jpe", Critical)],
            false,
        ),
    ] {
        let mut story = Story::of("error-rate");
        story.inhibitions = inhibitions;
        let fired = story.ticks(3, bad());
        assert_eq!(fired.len(), if fires { 2 } else { 0 }, "{name}");
        let says = |f: &Finding| {
            f.code == "rule-inhibited" && f.message.starts_with("2 in trouble") && !fires
        };
        assert_eq!(story.findings.iter().any(says), !fires, "{name}");
        // What is there still when that ends is told then, once.
        story.inhibitions.clear();
        let fired = story.ticks(3, bad());
        assert_eq!(fired.len(), if fires { 0 } else { 2 }, "{name}");
    }
    // What ended with it is never told, and what was told before ends as ever.
    let mut story = Story::of("error-rate");
    let first = story.ticks(1, vec![errors("a", 200, 100)]);
    assert_eq!(first.len(), 1);
    story.inhibitions = vec![by("jpe", Critical)];
    assert_eq!(told(&story.ticks(5, bad())), []);
    let good = vec![errors("a", 200, 0), errors("b", 200, 0)];
    let ended = story.ticks(9, good.clone());
    assert_eq!(told(&ended), [(Condition::Resolved, High, Some("a"))]);
    story.inhibitions.clear();
    assert_eq!(told(&story.ticks(5, good)), []);
}

#[test]
fn what_fires_on_after_its_incident_was_ended_is_told_once_more() {
    let bad = || vec![errors("a", 1000, 100)];
    let mut story = Story::of("error-rate");
    let first = story.ticks(3, bad());
    story.ended = Some(3);
    assert_eq!(told(&story.ticks(2, bad())), []);
    let again = story.ticks(1, bad());
    assert_eq!(
        told(&again),
        [
            (Condition::Resolved, Priority::High, Some("a")),
            (Condition::Fired, Priority::High, Some("a"))
        ]
    );
    assert_eq!(again[0].occurrence, first[0].occurrence);
    assert_ne!(again[1].occurrence, first[0].occurrence);
    assert!(
        again[1]
            .text
            .contains("although its incident was ended at 2026-10-05 03:03 UTC")
    );
    // It is open again.
    story.ended = None;
    assert_eq!(told(&story.ticks(30, bad())), []);
    // Ended again, and this time rightly.
    story.ended = Some(36);
    assert_eq!(told(&story.ticks(2, bad())), []);
    let ended = story.ticks(9, vec![errors("a", 1000, 0)]);
    assert_eq!(
        told(&ended),
        [(Condition::Resolved, Priority::High, Some("a"))]
    );
    assert_eq!(ended[0].occurrence, again[1].occurrence);
    assert!(story.memory.series.is_empty());
}

#[test]
fn telemetry_that_nobody_can_read_is_missing_telemetry() {
    let refused = Err("refused".to_owned());
    for (name, failing, priority) in [
        ("probes are well", 0, Priority::High),
        ("probes fail", 2, Priority::Critical),
    ] {
        let mut story = Story::of("telemetry-missing");
        story.probes = Probes {
            failing,
            known: 2,
            since: None,
        };
        story.ticks(1, vec![newest(Some(2.0))]);
        for minute in 2..16 {
            assert_eq!(told(&story.tick(minute, &refused)), [], "{name} {minute}");
        }
        let signals = story.tick(16, &refused);
        assert_eq!(
            told(&signals),
            [(Condition::Fired, priority, None)],
            "{name}"
        );
        assert!(
            signals[0]
                .title
                .contains("telemetry cannot be read for 15 min"),
            "{}",
            signals[0].title
        );
        for minute in 17..40 {
            assert_eq!(told(&story.tick(minute, &refused)), [], "{name}");
        }
        let ended = story.ticks(5, vec![newest(Some(2.0))]);
        assert_eq!(
            told(&ended),
            [(Condition::Resolved, priority, None)],
            "{name}"
        );
    }
}

#[test]
fn violations_of_a_time_in_which_nobody_asked_are_looked_for_too() {
    use super::super::rows::Question;
    let rule = estate().rule("tenant-boundary").expect("a rule").clone();
    let asked = |heard: Option<i64>| match Question::since(
        rule.watch,
        &rule.levels[0],
        heard.map(at),
        at(0),
    ) {
        Question::Violations { window } => window.num_minutes(),
        other => panic!("{other:?}"),
    };
    for (name, heard, minutes) in [
        ("never", None, 30),
        ("a minute ago", Some(-1), 30),
        ("a tick was missed", Some(-2), 30),
        ("two hours ago", Some(-120), 30 + 121),
        ("by a clock that was ahead", Some(60), 30),
        ("a month ago", Some(-30 * 1440), 7 * 1440),
    ] {
        assert_eq!(asked(heard), minutes, "{name}");
    }
    // No answer is not heard.
    let mut story = Story::of("tenant-boundary");
    story.ticks(1, vec![]);
    for minute in 2..20 {
        story.tick(minute, &Err("refused".into()));
    }
    assert_eq!(story.memory.heard["jpe"], at(1));
}
