//! Health through the front door: endpoints that fail minute by minute, what is told, and what the
//! probe itself is trusted with.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use poolkeeper::app::Clock;
use poolkeeper::domain::{GroupKey, IncidentId, Priority};
use poolkeeper::local::simulator::{Heals, Simulator, Trouble, TroubleKind};
use poolkeeper::operations::incidents::{self, Filter, Incident, Said, Status, show};
use serde_json::{Value, json};

use crate::world::World;

pub(crate) const API: &str = "agent-api-jpe";
pub(crate) const WORKER: &str = "agent-worker-jpe";

/// An embedded estate, minute by minute.
pub(crate) struct Minutes {
    pub(crate) world: World,
    pub(crate) settings: BTreeMap<String, String>,
    began: DateTime<Utc>,
}

impl Minutes {
    pub(crate) async fn start(turn: impl FnOnce(&str) -> String) -> Self {
        let world = World::start_unrecorded().await;
        let settings = world.settings_with_estate(turn);
        let began = world.simulator.now();
        Self {
            world,
            settings,
            began,
        }
    }

    pub(crate) fn sim(&self) -> &Simulator {
        &self.world.simulator
    }

    pub(crate) fn clock(&self, minute: i64) -> Clock {
        Clock::Fixed(self.began + Duration::minutes(minute))
    }

    /// A handler at a minute.
    pub(crate) async fn at(&self, minute: i64) -> String {
        self.world
            .handler_with(self.settings.clone(), self.clock(minute))
            .await
    }

    /// Probes at a minute, and works what follows from it.
    pub(crate) async fn tick(&self, minute: i64) -> String {
        let base = self.at(minute).await;
        self.world.tick(&base, "health-check").await;
        for _ in 0..12 {
            self.world.tick(&base, "minute-tick").await;
            if self.world.get(format!("{base}/api/runs")).await["waiting"] == 0 {
                return base;
            }
        }
        panic!("what was accepted is not finished");
    }

    pub(crate) async fn ticks(&self, minutes: std::ops::RangeInclusive<i64>) -> String {
        let mut base = String::new();
        for minute in minutes {
            base = self.tick(minute).await;
        }
        base
    }

    pub(crate) async fn document(&self, path: &str) -> Option<Value> {
        let app = World::app_with(&self.settings, self.clock(0));
        let store = app.store().expect("a store");
        let stored = store.get::<Value>(path).await.expect("an answer");
        stored.map(|stored| stored.value)
    }

    /// What happened to the incidents of a rule and endpoint, in order.
    pub(crate) async fn told(&self, rule: &str, endpoint: Option<&str>) -> Vec<Value> {
        let key = GroupKey {
            rule: rule.into(),
            tenant: None,
            resource: endpoint.map(str::to_owned),
        };
        let app = World::app_with(&self.settings, self.clock(0));
        let mut told = Vec::new();
        for number in 1.. {
            let id = IncidentId::new(&key, number);
            let Some(shown) = show(&app, &id).await.expect("an answer") else {
                break;
            };
            told.extend(shown.timeline.into_iter().map(|line| json!(line.event)));
        }
        // Who is told of it, and that it is over then, are the incident's own doing.
        told.retain(|event| {
            let what = event["what"].as_str().unwrap_or_default();
            !["telling", "posted", "resolved", "reopened", "evidence"].contains(&what)
        });
        told
    }

    /// The same in a word each.
    pub(crate) async fn words(&self, endpoint: &str) -> Vec<String> {
        let told = self.told("health", Some(endpoint)).await;
        told.iter()
            .map(|event| match event["what"].as_str().unwrap_or_default() {
                "repair" => {
                    let outcome = event["outcome"].as_str().unwrap_or_default();
                    let outcome = outcome.split([':', ',']).next().unwrap_or_default();
                    let well = match event["healthy"].as_bool() {
                        Some(true) => ", well",
                        Some(false) => ", not well",
                        None => "",
                    };
                    let action = event["action"].as_str().unwrap_or_default();
                    format!("{action} {outcome}{well}")
                }
                what => what.to_owned(),
            })
            .collect()
    }

    /// What is known of an endpoint says this instead.
    async fn knows(&self, endpoint: &str, field: &str, value: Value) {
        let app = World::app_with(&self.settings, self.clock(0));
        let (store, path) = (
            app.store().expect("a store"),
            format!("health/{endpoint}.json"),
        );
        let stored = store.get::<Value>(&path).await.expect("an answer");
        let mut stored = stored.expect("a record");
        stored.value[field] = value;
        let written = store.replace(&path, &stored.value, &stored.etag, None);
        written.await.expect("written");
    }

    /// All incidents of a rule, whatever they are about, the oldest first.
    pub(crate) async fn incidents(&self, rule: &str) -> Vec<Incident> {
        let app = World::app_with(&self.settings, self.clock(0));
        let page = incidents::list(&app, &Filter::default(), None, 100).await;
        let mut found = page.expect("a page").incidents;
        found.retain(|incident| incident.key.rule == rule);
        found.sort_by(|a, b| a.opened.cmp(&b.opened).then_with(|| a.id.cmp(&b.id)));
        found
    }

    /// Somebody ends the newest incident of a rule.
    pub(crate) async fn ends_by_hand(&self, rule: &str, minute: i64) {
        let app = World::app_with(&self.settings, self.clock(minute));
        let newest = self.incidents(rule).await.pop().expect("an incident");
        let said = incidents::say(
            &app,
            &newest.id,
            &Said::Resolve,
            "operator",
            "it looks well",
        );
        said.await.expect("ended");
    }

    pub(crate) async fn fails(&self, app: &str, heals: Heals) {
        let trouble = Trouble::new(TroubleKind::Fail { status: 503 }, heals);
        self.sim().app_trouble(app, trouble).await;
    }
}

#[tokio::test]
async fn a_failure_is_told_at_the_third_probe_and_ends_with_the_second_good_one() {
    // Nothing is repaired here.
    let minutes = Minutes::start(|e| {
        e.replace(
            "recovery = [\"restart\", \"flush_cache\", \"scale_up\"]",
            "recovery = []",
        )
    })
    .await;
    minutes.tick(0).await;
    minutes.fails("agent-api", Heals::Never).await;
    minutes.ticks(1..=2).await;
    // Twice in the same minute.
    minutes.tick(2).await;
    assert_eq!(minutes.words(API).await, Vec::<String>::new());
    minutes.tick(3).await;
    let told = minutes.told("health", Some(API)).await;
    let signal = &told[0]["signal"];
    assert_eq!(signal["priority"], "critical", "{signal}");
    assert_eq!(signal["title"], "agent-api-jpe is not well: status 503");
    let record = minutes.document("health/agent-api-jpe.json").await;
    let record = record.expect("a record");
    assert_eq!(
        (&record["failures"], &record["name"]),
        (&json!(3), &json!(API))
    );
    assert_eq!(record["trouble"]["kind"], "status", "{record}");
    minutes.ticks(4..=10).await;
    assert_eq!(minutes.words(API).await, ["fired"]);
    minutes.ticks(11..=12).await;
    assert_eq!(minutes.words(API).await, ["fired", "escalated"]);
    minutes.sim().heal_app("agent-api").await;
    minutes.tick(13).await;
    assert_eq!(minutes.words(API).await, ["fired", "escalated"]);
    minutes.tick(14).await;
    assert_eq!(minutes.words(API).await, ["fired", "escalated", "cleared"]);
    assert_eq!(minutes.words(WORKER).await, Vec::<String>::new());
    assert!(minutes.sim().mutations().is_empty());
}

#[tokio::test]
async fn when_everything_fails_at_once_the_probe_is_doubted_and_nothing_is_restarted() {
    let minutes = Minutes::start(|e| e.replace("mode = \"propose\"", "mode = \"act\"")).await;
    minutes.fails("agent-api", Heals::Restart).await;
    minutes.fails("agent-worker", Heals::Never).await;
    minutes.ticks(0..=5).await;
    let told = minutes.told("health-probe", None).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let signal = &told[0]["signal"];
    let text = signal["text"].as_str().expect("a text");
    assert!(
        text.starts_with(
            "Everything fails at once: the probe itself may be broken; nothing was restarted."
        ),
        "{text}"
    );
    assert_eq!(signal["trust"]["trust"], "unconfirmed");
    assert_eq!(minutes.words(API).await, Vec::<String>::new());
    assert!(minutes.sim().mutations().is_empty());
    // One of them is well again, so the other one is not the probe's fault.
    minutes.sim().heal_app("agent-worker").await;
    minutes.tick(6).await;
    let told = minutes.told("health-probe", None).await;
    assert_eq!(told[1]["what"], "cleared", "{told:?}");
    assert_eq!(
        minutes.words(API).await,
        ["fired", "restart verified, well", "mitigated"]
    );
}

#[tokio::test]
async fn a_probe_that_reaches_nothing_repairs_nothing() {
    // Nobody listens on that port of this machine.
    let minutes = Minutes::start(|e| {
        let e = e.replace("mode = \"propose\"", "mode = \"act\"");
        e.replace(
            "calm = \"30m\"",
            "calm = \"30m\"\nknown_good = \"http://127.0.0.1:9/\"",
        )
    })
    .await;
    minutes.fails("agent-api", Heals::Restart).await;
    minutes.ticks(0..=4).await;
    assert_eq!(minutes.told("health-probe", None).await.len(), 1);
    assert!(minutes.sim().mutations().is_empty());
}

#[tokio::test]
async fn what_the_estate_names_no_more_is_forgotten() {
    let mut minutes = Minutes::start(|e| {
        e.replace(
            "recovery = [\"restart\", \"flush_cache\", \"scale_up\"]",
            "recovery = []",
        )
    })
    .await;
    minutes.fails("agent-api", Heals::Never).await;
    minutes.ticks(0..=2).await;
    assert_eq!(minutes.words(API).await, ["fired"]);
    minutes.settings = minutes
        .world
        .settings_with_estate(|e| e.replace("name = \"agent-api-jpe\"", "name = \"front-jpe\""));
    minutes.tick(3).await;
    assert_eq!(minutes.words(API).await, ["fired", "cleared"]);
    assert_eq!(minutes.document("health/agent-api-jpe.json").await, None);
}

fn unrepaired(estate: &str) -> String {
    let repairs = "recovery = [\"restart\", \"flush_cache\", \"scale_up\"]";
    assert!(estate.contains(repairs));
    estate.replace(repairs, "recovery = []")
}

#[tokio::test]
async fn who_ends_what_still_fails_hears_once_that_it_does() {
    let minutes = Minutes::start(unrepaired).await;
    minutes.fails("agent-api", Heals::Never).await;
    minutes.ticks(0..=3).await;
    minutes.ends_by_hand("health", 3).await;
    minutes.ticks(4..=5).await;
    let found = minutes.incidents("health").await;
    assert_eq!(
        found[0].status,
        Status::Resolved,
        "three probes are waited for"
    );
    minutes.tick(6).await;
    let found = minutes.incidents("health").await;
    assert_eq!((found.len(), found[0].status), (1, Status::Open));
    let pages = |one: &Incident| {
        let told = one.told.iter();
        told.filter(|reason| reason.starts_with("page-")).count()
    };
    let once = pages(&found[0]);
    minutes.ticks(7..=14).await;
    let found = minutes.incidents("health").await;
    assert_eq!(
        (found.len(), found[0].fired),
        (1, 2),
        "once, and not each minute"
    );
    assert_eq!(pages(&found[0]), once);
    let words = minutes.words(API).await;
    assert_eq!(
        words,
        ["fired", "cleared", "fired"],
        "it was not escalated by its age"
    );
    let told = minutes.told("health", Some(API)).await;
    let text = told[2]["signal"]["text"].as_str().expect("a text");
    assert!(text.contains("although its incident was ended"), "{text}");
    // Wrong again, and long after: then it is a new incident.
    minutes.ends_by_hand("health", 14).await;
    minutes.ticks(100..=101).await;
    assert_eq!(minutes.incidents("health").await.len(), 1);
    minutes.tick(102).await;
    let found = minutes.incidents("health").await;
    assert_eq!((found.len(), found[1].status), (2, Status::Open));
    // All of it ends with the failure.
    minutes.sim().heal_app("agent-api").await;
    minutes.ticks(103..=104).await;
    let found = minutes.incidents("health").await;
    let is_over = |one: &Incident| one.status == Status::Resolved;
    assert!(found.iter().all(is_over), "{found:?}");
}

#[tokio::test]
async fn who_ends_the_doubt_of_the_probe_hears_once_that_it_is_still_there() {
    let minutes = Minutes::start(unrepaired).await;
    minutes.fails("agent-api", Heals::Never).await;
    minutes.fails("agent-worker", Heals::Never).await;
    minutes.ticks(0..=3).await;
    minutes.ends_by_hand("health-probe", 3).await;
    minutes.ticks(4..=5).await;
    let found = minutes.incidents("health-probe").await;
    assert_eq!((found.len(), found[0].status), (1, Status::Resolved));
    minutes.ticks(6..=12).await;
    let found = minutes.incidents("health-probe").await;
    assert_eq!(
        (found.len(), found[0].status, found[0].fired),
        (1, Status::Open, 2)
    );
    minutes.sim().heal_app("agent-api").await;
    minutes.sim().heal_app("agent-worker").await;
    minutes.ticks(13..=14).await;
    let found = minutes.incidents("health-probe").await;
    assert_eq!(found[0].status, Status::Resolved, "{found:?}");
}

#[tokio::test]
async fn two_hosts_that_probe_in_the_same_minute_count_tell_and_repair_once() {
    let minutes = Minutes::start(|e| e.replace("mode = \"propose\"", "mode = \"act\"")).await;
    minutes.fails("agent-api", Heals::Restart).await;
    for minute in 0..=2 {
        let (a, b) = (minutes.at(minute).await, minutes.at(minute).await);
        tokio::join!(
            minutes.world.tick(&a, "health-check"),
            minutes.world.tick(&b, "health-check")
        );
        let record = minutes.document("health/agent-api-jpe.json").await;
        let record = record.expect("a record");
        assert_eq!(record["failures"], json!(minute + 1), "{record}");
        for _ in 0..12 {
            tokio::join!(
                minutes.world.tick(&a, "minute-tick"),
                minutes.world.tick(&b, "minute-tick")
            );
            if minutes.world.get(format!("{a}/api/runs")).await["waiting"] == 0 {
                break;
            }
        }
    }
    assert_eq!(
        minutes.words(API).await,
        ["fired", "restart verified, well", "mitigated"]
    );
    let found = minutes.incidents("health").await;
    assert_eq!((found.len(), found[0].fired), (1, 1));
    let notices: Vec<_> = found[0].told.iter().collect();
    let changes = minutes.sim().changes().await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    // What was told is told once by whichever of them.
    let app = World::app_with(&minutes.settings, minutes.clock(2));
    let shown = show(&app, &found[0].id).await.expect("an answer");
    let shown = shown.expect("an incident");
    let posted = shown.timeline.iter().filter_map(|line| match &line.event {
        poolkeeper::domain::IncidentEvent::Telling { notices, .. } => Some(notices.clone()),
        _ => None,
    });
    let mut ids: Vec<String> = posted.flatten().map(|notice| notice.id).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{notices:?}");
}

#[tokio::test]
async fn a_certificate_is_told_when_it_gets_urgent_and_the_next_one_is_told_too() {
    let minutes = Minutes::start(str::to_owned).await;
    minutes.tick(0).await;
    let day = 24 * 60;
    let ends = |day: i64| json!(minutes.began + Duration::days(day));
    minutes.knows(API, "certificate_ends", ends(10)).await;
    minutes.ticks(1..=3).await;
    let found = minutes.incidents("health-certificate").await;
    assert_eq!((found.len(), found[0].fired), (1, 1));
    // Somebody ended it and did nothing about it.
    minutes.ends_by_hand("health-certificate", 4).await;
    minutes.ticks(8 * day..=8 * day + 1).await;
    let found = minutes.incidents("health-certificate").await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (found[1].status, found[1].priority),
        (Status::Open, Priority::High)
    );
    minutes.knows(API, "certificate_ends", ends(400)).await;
    minutes.tick(8 * day + 2).await;
    let found = minutes.incidents("health-certificate").await;
    assert_eq!(found[1].status, Status::Resolved);
    // A year later the next one is as old.
    minutes.tick(390 * day).await;
    let found = minutes.incidents("health-certificate").await;
    assert_eq!((found.len(), found[2].status), (3, Status::Open));
}
