//! Scaling through the front door: the timer, alerts and requests, on an estate whose throughput and
//! replicas answer.

use chrono::{DateTime, Datelike as _, Duration, Utc, Weekday};
use poolkeeper::app::Clock;
use poolkeeper::journal::{Chain, Event};
use poolkeeper::local::simulator::{Fault, FaultKind, Simulator};
use poolkeeper::operations::autoscale::decide;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::changes::{say, worked};
use crate::processes::{ended, host, killed, run_by_hand, until};
use crate::world::{OPERATOR, REVIEWER, World};

const WORKER: &str = "agent-worker";
const COSMOS: &str = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe";

/// Throughput is changed without asking.
fn acts(estate: &str) -> String {
    crate::changes::acting("cosmos_throughput")(estate)
}

/// An estate at its own time, and handlers on it.
struct Scaled {
    world: World,
    settings: BTreeMap<String, String>,
}

impl Scaled {
    async fn start(turn: impl FnOnce(&str) -> String) -> Self {
        let world = World::start().await;
        let settings = world.settings_with_estate(turn);
        Self { world, settings }
    }

    /// At a time of a Wednesday in summer, in UTC: at 05:00 the day's load is near its top, at 18:00
    /// it is night.
    async fn start_at(hour: u32, minute: u32, turn: impl FnOnce(&str) -> String) -> Self {
        let scaled = Self::start(turn).await;
        let now = scaled.now();
        let days =
            (Weekday::Wed.num_days_from_monday() + 7 - now.weekday().num_days_from_monday()) % 7;
        let mut at = (now + Duration::days(i64::from(days)))
            .date_naive()
            .and_hms_opt(hour, minute, 10)
            .expect("a time")
            .and_utc();
        if at < now {
            at += Duration::days(7);
        }
        scaled
            .sim()
            .advance((at - now).to_std().expect("a time to come"));
        scaled
    }

    fn sim(&self) -> &Simulator {
        &self.world.simulator
    }

    fn now(&self) -> DateTime<Utc> {
        self.sim().now()
    }

    /// A handler at the time that the estate has now.
    async fn handler(&self) -> String {
        let clock = Clock::Fixed(self.now());
        self.world.handler_with(self.settings.clone(), clock).await
    }

    /// The timer, now; what it told.
    async fn tick(&self) -> String {
        let base = self.handler().await;
        self.world.tick(&base, "autoscale-check").await.to_string()
    }

    fn later(&self, minutes: i64) {
        self.sim()
            .advance(Duration::minutes(minutes).to_std().expect("a time"));
    }

    /// So many times the load of the last half hour, and of the hours to come.
    async fn busy(&self, resource: &str, factor: f64) {
        let (from, until) = (
            self.now() - Duration::minutes(30),
            self.now() + Duration::hours(3),
        );
        self.sim().burst(resource, factor, from, until).await;
    }

    /// What became of throughput and replicas, as the estate tells it.
    async fn changes(&self) -> Vec<String> {
        self.sim().changes().await
    }

    /// Sets throughput past scaling.
    async fn put(&self, container: &str, ru: u32) {
        let token = self.world.token("https://management.azure.com").await;
        let url = format!(
            "{}{COSMOS}/sqlDatabases/agents/containers/{container}/throughputSettings/default?api-version=2024-08-15",
            self.sim().url()
        );
        let body =
            json!({ "location": "Japan East", "properties": { "resource": { "throughput": ru } } });
        let answer = self.world.http.put(url).bearer_auth(token).json(&body);
        let status = answer.send().await.expect("an answer").status();
        assert_eq!(status, 202);
    }

    /// The newest run that scales.
    async fn run(&self) -> Value {
        let base = self.handler().await;
        let runs = self.world.get(format!("{base}/api/runs")).await;
        let all = runs["runs"].as_array().expect("runs");
        let mut scaling = all.iter().filter(|run| run["work"]["kind"] == "autoscale");
        scaling.next().cloned().unwrap_or_default()
    }

    /// What was decided last about one thing.
    async fn shown(&self, name: &str) -> Value {
        let base = self.handler().await;
        let shown = self.world.get(format!("{base}/api/autoscale")).await;
        let lists = ["containers", "apps"].map(|list| shown[list].as_array().cloned());
        let mut all = lists.into_iter().flatten().flatten();
        let found = all.find(|one| one["name"].as_str().is_some_and(|n| n.ends_with(name)));
        found.unwrap_or_else(|| panic!("{name} in {shown}"))
    }

    async fn ask(&self, query: &str) -> (u16, Value) {
        let base = self.handler().await;
        let url = format!("{base}/api/autoscale/run{query}");
        let (status, answer) = self.world.post_as(REVIEWER, url, &json!({})).await;
        if status != 202 {
            return (status, answer);
        }
        (status, worked(&self.world, &base, &answer).await)
    }
}

/// The worker is to have at least three replicas, and these kinds of changes are made.
fn three_replicas(kinds: &'static [&'static str]) -> impl Fn(&str) -> String {
    move |estate| {
        let apps = "[scaling.apps]\nown = true\nleast = 2";
        assert!(estate.contains(apps));
        let mut estate = estate.replace(apps, "[scaling.apps]\nown = true\nleast = 3");
        for kind in kinds {
            estate = crate::changes::acting(kind)(&estate);
        }
        estate
    }
}

#[tokio::test]
async fn a_due_time_is_one_run_that_makes_a_change_once_and_reads_it_back() {
    let scaled = Scaled::start(three_replicas(&["app_replicas"])).await;
    let told = scaled.tick().await;
    assert!(told.contains("autoscale-"), "{told}");
    let run = scaled.run().await;
    let mine: Vec<&Value> = run["changes"].as_array().expect("changes").iter().collect();
    assert_eq!(mine.len(), 1, "{run}");
    assert_eq!(mine[0]["outcome"]["is"], "verified", "{run}");
    assert_eq!(mine[0]["by"], "poolkeeper/autoscale");
    let difference = mine[0]["difference"].as_str().expect("text");
    assert!(
        difference.starts_with("agent-worker: 2-10 replicas -> 3-10 replicas (JPY +"),
        "{difference}"
    );
    let changes = scaled.sim().changes().await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    // The same due time again, by two other processes: nothing is done twice.
    let (one, two) = tokio::join!(scaled.tick(), scaled.tick());
    for told in [one, two] {
        assert!(told.contains("was begun before"), "{told}");
    }
    assert_eq!(scaled.sim().changes().await.len(), 1);
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "outside-limits", "{shown}");
    assert_eq!(shown["last"]["outcome"], "verified: 3-10 replicas");
}

#[tokio::test]
async fn a_tick_begins_nothing_beside_one_that_is_still_at_work() {
    let scaled = Scaled::start(three_replicas(&["app_replicas"])).await;
    let app = World::app_with(&scaled.settings, Clock::Fixed(scaled.now()));
    let store = app.store().expect("a store");
    let (before, path) = ("autoscale-2026-01-01-0000", "scaling-tick.json");
    let newest = json!({ "run": before, "at": scaled.now() - Duration::minutes(5) });
    store.create(path, &newest).await.expect("written");
    let inbox = format!("inbox/{before}.json");
    let work = json!({ "kind": "autoscale", "only": null, "cause": { "why": "schedule" }, "dry_run": false });
    let accepted = json!({ "run": before, "accepted": scaled.now(), "work": work });
    store.create(&inbox, &accepted).await.expect("written");
    let told = scaled.tick().await;
    assert!(
        told.contains("autoscale-2026-01-01-0000 is still at work"),
        "{told}"
    );
    assert_eq!(scaled.changes().await, Vec::<String>::new());
    // Whoever had it died: the minute tick takes it up, and the next tick begins its own.
    let base = scaled.handler().await;
    scaled.world.tick(&base, "minute-tick").await;
    assert_eq!(scaled.changes().await.len(), 1);
    let told = scaled.tick().await;
    assert!(!told.contains("still at work"), "{told}");
}

#[tokio::test]
async fn what_is_proposed_is_proposed_once_and_what_was_turned_down_is_left_alone() {
    let scaled = Scaled::start(three_replicas(&[])).await;
    scaled.tick().await;
    let run = scaled.run().await;
    let change = run["changes"][0].clone();
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{run}");
    scaled.later(5);
    scaled.tick().await;
    let run = scaled.run().await;
    assert_eq!(run["changes"], json!([]), "{run}");
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["waiting"], json!([change["id"]]), "{shown}");
    let base = scaled.handler().await;
    let (status, answer) = say(&scaled.world, &base, OPERATOR, &change, "reject").await;
    assert_eq!(status, 202, "{answer}");
    worked(&scaled.world, &base, &answer).await;
    scaled.later(5);
    scaled.tick().await;
    let run = scaled.run().await;
    assert_eq!(run["changes"], json!([]), "{run}");
    assert!(scaled.sim().changes().await.is_empty());
}

#[tokio::test]
async fn a_dry_run_changes_and_remembers_nothing_and_only_what_is_owned_can_be_asked_for() {
    let scaled = Scaled::start(three_replicas(&["app_replicas"])).await;
    let (status, run) = scaled.ask("?resource=agent-worker&dryRun=true").await;
    assert_eq!(status, 202, "{run}");
    assert_eq!(run["changes"][0]["outcome"]["is"], "planned", "{run}");
    assert_eq!(run["work"]["cause"]["by"], "reviewer", "{run}");
    assert!(scaled.sim().changes().await.is_empty());
    assert_eq!(scaled.shown(WORKER).await["last"], json!(null));
    let (status, answer) = scaled.ask("?resource=agent-api").await;
    assert_eq!(status, 400, "{answer}");
    let (status, answer) = scaled.ask("?dryRun=perhaps").await;
    assert_eq!(status, 400, "{answer}");
    let base = scaled.handler().await;
    let url = format!("{base}/api/autoscale/run");
    let (status, answer) = scaled.world.post(url.clone(), &json!({})).await;
    assert_eq!(status, 401, "nobody: {answer}");
    let foreign = scaled.world.http.post(url);
    let foreign = foreign.header("origin", "https://evil.example");
    let foreign = foreign.header("x-poolkeeper-key", OPERATOR);
    let status = foreign.send().await.expect("an answer").status();
    assert_eq!(status, 403);
    let (status, run) = scaled.ask("?resource=agent-worker").await;
    assert_eq!(
        (status, &run["changes"][0]["outcome"]["is"]),
        (202, &json!("verified")),
        "{run}"
    );
}

#[tokio::test]
async fn what_scaling_owns_others_only_propose_and_an_approved_proposal_is_carried_out() {
    let scaled = Scaled::start(|estate| crate::changes::acting("app_replicas")(estate)).await;
    let base = scaled.handler().await;
    let body = json!({
        "ask": { "kind": "app_replicas", "resource": WORKER, "to": { "least": 4, "most": 10 } },
        "why": "a campaign begins",
    });
    let url = format!("{base}/api/changes");
    let (status, answer) = scaled.world.post_as(REVIEWER, url, &body).await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    let change = &run["changes"][0];
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{run}");
    let why = change["outcome"]["why"].as_str().expect("a reason");
    assert!(why.starts_with("poolkeeper/autoscale scales this"), "{why}");
    assert!(scaled.sim().changes().await.is_empty());
    let (status, answer) = say(&scaled.world, &base, OPERATOR, change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    assert_eq!(scaled.sim().changes().await.len(), 1);
}

#[tokio::test]
async fn scale_rules_become_those_of_the_estate_and_can_be_taken_back() {
    let scaled = Scaled::start(|estate| estate.to_owned()).await;
    scaled.tick().await;
    let run = scaled.run().await;
    let change = run["changes"][0].clone();
    assert_eq!(
        change["difference"],
        "agent-worker: scale rules cpu at 70 % -> cpu at 70 %, memory at 80 %"
    );
    let base = scaled.handler().await;
    let (status, answer) = say(&scaled.world, &base, OPERATOR, &change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    let outcome = &run["changes"][0]["outcome"];
    let seen = json!({ "is": "verified", "seen": "cpu at 70 %, memory at 80 %" });
    assert_eq!(*outcome, seen, "{run}");
    let id = change["id"].as_str().expect("an id");
    let url = format!("{base}/api/changes/{id}/undo");
    let body = json!({ "reason": "it grows too fast" });
    let (status, answer) = scaled.world.post_as(REVIEWER, url, &body).await;
    assert_eq!(status, 202, "{answer}");
    let run = worked(&scaled.world, &base, &answer).await;
    assert_eq!(
        run["changes"][0]["difference"],
        "agent-worker: scale rules cpu at 70 %, memory at 80 % -> cpu at 70 %"
    );
}

#[tokio::test]
async fn a_throttled_container_gets_more_which_is_read_back_priced_and_can_be_taken_back() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    scaled.tick().await;
    let run = scaled.run().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "throttled", "{shown}");
    assert_eq!(shown["last"]["outcome"], "verified: 2000 RU/s", "{shown}");
    assert_eq!(shown["past"]["changes"], 1, "{shown}");
    let mut all = run["changes"].as_array().expect("changes").iter();
    let change = all
        .find(|c| c["outcome"]["is"] == "verified")
        .expect("a change");
    let difference = change["difference"].as_str().expect("text");
    let plain = "cosmos-agents-jpe/agents/threads: 1000 RU/s -> 2000 RU/s (JPY +";
    assert!(difference.starts_with(plain), "{difference}");
    assert!(
        change["what"]["monthly"]["micros"].as_i64() > Some(0),
        "{change}"
    );
    let told = scaled.changes().await;
    assert_eq!(
        told,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 2000 RU/s"]
    );
    decided_again(&scaled, run["id"].as_str().expect("an id")).await;
    // What a person wants of it then, it waits for another one.
    let base = scaled.handler().await;
    let id = change["id"].as_str().expect("an id");
    let url = format!("{base}/api/changes/{id}/undo");
    let (_, answer) = scaled
        .world
        .post_as(REVIEWER, url, &json!({ "reason": "no" }))
        .await;
    let back = worked(&scaled.world, &base, &answer).await["changes"][0].clone();
    assert_eq!(back["outcome"]["is"], "awaiting_approval", "{back}");
    scaled.later(15);
    let base = scaled.handler().await;
    let (_, answer) = say(&scaled.world, &base, OPERATOR, &back, "approve").await;
    let run = worked(&scaled.world, &base, &answer).await;
    assert_eq!(run["changes"][0]["outcome"]["seen"], "1000 RU/s", "{run}");
}

/// From what the journal holds of a run, the same is decided once more.
async fn decided_again(scaled: &Scaled, run: &str) {
    let app = World::app_with(&scaled.settings, Clock::Fixed(scaled.now()));
    let log = app
        .store()
        .expect("a store")
        .log(&format!("journal/{run}.log"))
        .await;
    let log = log.expect("an answer").expect("a log");
    let chain = Chain::read(run, &log);
    let mut again = 0;
    for (_, record) in &chain.records {
        let Event::Scaling { decided, counts } = &record.event else {
            continue;
        };
        let known: u64 = counts.values().sum();
        assert_eq!(known, decided.len() as u64);
        for one in decided {
            let rules = app
                .estate()
                .expect("an estate")
                .scaling
                .throughput(&one.resource);
            if let (Some(facts), Some(rules)) = (&one.facts, rules) {
                let facts = serde_json::from_value(facts.clone()).expect("facts");
                let decision = decide::container(&facts, rules, record.at);
                assert_eq!(decision.because.as_str(), one.because);
                assert_eq!(decision.why, one.why);
                assert_eq!(decision.to.map(|to| to.to_string()), one.to);
                again += 1;
            }
        }
    }
    assert!(again > 0);
}

#[tokio::test]
async fn a_hot_partition_buys_nothing_and_is_told() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    let (from, until) = (
        scaled.now() - Duration::minutes(30),
        scaled.now() + Duration::hours(1),
    );
    scaled
        .sim()
        .hot_partition("threads", "tenant-b", 95.0, from, until)
        .await;
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "hot-partition", "{shown}");
    let run = scaled.run().await;
    let findings = run["tasks"][0]["findings"].as_array().expect("findings");
    assert!(
        findings.iter().any(|f| f["code"] == "hot-partition"),
        "{run}"
    );
    assert_eq!(scaled.changes().await, Vec::<String>::new());
}

#[tokio::test]
async fn where_nothing_is_measured_all_stays_as_it_is() {
    let scaled = Scaled::start_at(18, 2, acts).await;
    let now = scaled.now();
    scaled
        .sim()
        .metric_gap(
            "threads",
            now - Duration::minutes(90),
            now + Duration::hours(1),
        )
        .await;
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "no-data", "{shown}");
    let mine = |told: &String| told.contains("/threads:");
    assert!(!scaled.changes().await.iter().any(mine));
}

#[tokio::test]
async fn what_is_calm_goes_down_at_the_beginning_of_an_hour_and_one_step_an_hour() {
    let scaled = Scaled::start_at(18, 20, acts).await;
    let mine = async || {
        let all = scaled.changes().await;
        all.into_iter()
            .filter(|told| told.contains("/threads:"))
            .collect::<Vec<_>>()
    };
    scaled.tick().await;
    assert_eq!(
        scaled.shown("threads").await["last"]["because"],
        "hour-charged"
    );
    assert_eq!(mine().await, Vec::<String>::new());
    scaled.later(41);
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "calm", "{shown}");
    let told = ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 500 RU/s"];
    assert_eq!(mine().await, told);
    scaled.later(5);
    scaled.tick().await;
    let because = scaled.shown("threads").await["last"]["because"].clone();
    assert_ne!(because, "calm");
    assert_eq!(mine().await, told);
}

#[tokio::test]
async fn a_pending_split_is_waited_for() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled
        .sim()
        .operations_take(std::time::Duration::from_secs(4 * 3600));
    scaled.put("threads", 1200).await;
    scaled.busy("threads", 5.0).await;
    scaled.tick().await;
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["last"]["because"], "pending", "{shown}");
    let run = scaled.run().await;
    let codes = run["tasks"][0]["findings"].as_array().expect("findings");
    assert!(
        codes.iter().any(|f| f["code"] == "throughput-pending"),
        "{run}"
    );
}

#[tokio::test]
async fn beyond_what_is_there_at_once_somebody_is_asked_whatever_the_policy() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.put("runs", 10_000).await;
    scaled.later(10);
    scaled.busy("runs", 300.0).await;
    scaled.tick().await;
    let run = scaled.run().await;
    let mut all = run["changes"].as_array().expect("changes").iter();
    let mine = all.find(|c| {
        c["difference"]
            .as_str()
            .is_some_and(|d| d.contains("/runs:"))
    });
    let outcome = &mine.expect("a change of runs")["outcome"];
    assert_eq!(outcome["is"], "awaiting_approval", "{run}");
    let why = outcome["why"].as_str().expect("a reason");
    assert!(why.contains("partitions are split"), "{why}");
    assert_eq!(scaled.changes().await.len(), 1, "that of the beginning");
}

#[tokio::test]
async fn what_is_observed_proposed_or_stopped_is_not_made() {
    for (name, mode, stop, outcome) in [
        ("observe", "observe", false, "observed"),
        ("propose", "propose", false, "awaiting_approval"),
        ("the kill switch", "act", true, "held"),
    ] {
        let to = format!("[policy.cosmos_throughput]\nmode = \"{mode}\"");
        let from = "[policy.cosmos_throughput]\nmode = \"propose\"";
        let scaled = Scaled::start_at(5, 2, |estate| estate.replace(from, &to)).await;
        scaled.busy("threads", 3.0).await;
        if stop {
            let base = scaled.handler().await;
            let url = format!("{base}/api/changes/kill-switch/on");
            let body = json!({ "reason": "storm" });
            assert_eq!(scaled.world.post_as(OPERATOR, url, &body).await.0, 200);
        }
        scaled.tick().await;
        let run = scaled.run().await;
        let mut all = run["changes"].as_array().expect("changes").iter();
        let mine = all.find(|c| {
            c["difference"]
                .as_str()
                .is_some_and(|d| d.contains("/threads:"))
        });
        assert_eq!(mine.expect(name)["outcome"]["is"], outcome, "{name}: {run}");
        assert_eq!(scaled.changes().await, Vec::<String>::new(), "{name}");
    }
}

/// Azure fires an alert about the account, and posts it; the run that it began.
async fn alerted(scaled: &Scaled, base: &str) -> String {
    let guid = "66114d64-d9d9-478b-95c9-b789d6502100";
    scaled
        .sim()
        .raise(guid, COSMOS, "ru-too-high", "Sev2", "Fired")
        .await;
    let body = json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": { "essentials": {
            "alertId": format!("{COSMOS}/providers/Microsoft.AlertsManagement/alerts/{guid}"),
            "alertRule": "ru-too-high", "severity": "Sev2", "signalType": "Metric",
            "monitorCondition": "Fired", "monitoringService": "Platform",
            "firedDateTime": scaled.now(), "alertTargetIDs": [COSMOS],
        }, "alertContext": null }
    });
    let (status, answer) = scaled.world.post(format!("{base}/api/alerts"), &body).await;
    assert_eq!(status, 202, "{answer}");
    worked(&scaled.world, base, &answer).await;
    let runs = scaled.world.get(format!("{base}/api/runs")).await;
    let mut accepted = runs["accepted"].as_array().expect("runs").iter();
    let mine = accepted.find(|run| {
        run.as_str()
            .is_some_and(|r| r.starts_with("autoscale-alert-"))
    });
    mine.unwrap_or_else(|| panic!("{runs}"))
        .as_str()
        .expect("text")
        .to_owned()
}

#[tokio::test]
async fn an_alert_and_the_timer_at_once_make_one_change_and_the_incident_tells_of_it() {
    let scaled = Scaled::start_at(5, 2, |estate| {
        // Not even the cooldown is there to help.
        acts(estate).replacen("cooldown = \"10m\"", "cooldown = \"0m\"", 1)
    })
    .await;
    scaled.busy("threads", 3.0).await;
    let [one, two] = [scaled.handler().await, scaled.handler().await];
    let run = alerted(&scaled, &one).await;
    let (told, status) = tokio::join!(
        scaled.world.tick(&two, "autoscale-check"),
        scaled.world.deliver(&one, &run),
    );
    assert_eq!(status, 200, "{told}");
    let told = scaled.changes().await;
    assert_eq!(
        told,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 2000 RU/s"]
    );
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["past"]["changes"], 1, "{shown}");
    let run = scaled.world.get(format!("{one}/api/runs/{run}")).await;
    assert_eq!(run["work"]["cause"]["why"], "incident", "{run}");
    let incident = run["work"]["cause"]["incident"]
        .as_str()
        .expect("an incident");
    let incident = scaled
        .world
        .get(format!("{one}/api/incidents/{incident}"))
        .await;
    let text = incident["timeline"].to_string();
    assert!(text.contains("poolkeeper/autoscale"), "{incident}");
    // The same alert delivered once more begins nothing anew.
    let again = scaled.world.get(format!("{one}/api/runs")).await;
    assert_eq!(again["waiting"], 0, "{again}");
}

#[tokio::test]
async fn a_burst_raises_the_least_replicas_for_a_while_and_a_later_process_takes_it_back() {
    let scaled = Scaled::start_at(5, 2, |estate| {
        crate::changes::acting("app_replicas")(estate)
    })
    .await;
    let (from, until) = (
        scaled.now() - Duration::minutes(4),
        scaled.now() + Duration::minutes(10),
    );
    scaled.sim().burst(WORKER, 4.0, from, until).await;
    scaled.tick().await;
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "burst", "{shown}");
    assert_eq!(shown["raised"]["from"]["least"], 2, "{shown}");
    let raised = shown["raised"]["to"]["least"].as_u64().expect("a number");
    assert!(raised > 2, "{shown}");
    scaled.later(15);
    scaled.tick().await;
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "steady", "{shown}");
    assert_eq!(shown["raised"]["to"]["least"], raised, "{shown}");
    scaled.later(25);
    scaled.tick().await;
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "burst-over", "{shown}");
    assert_eq!(
        shown["last"]["outcome"], "verified: 2-10 replicas",
        "{shown}"
    );
    assert_eq!(shown["raised"], json!(null), "{shown}");
    let told = scaled.changes().await;
    assert_eq!(
        told.iter().filter(|t| t.contains(WORKER)).count(),
        2,
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_in_the_middle_of_a_change_leaves_it_made_once_and_known() {
    let scaled = Scaled::start_at(5, 2, acts).await;
    scaled.busy("threads", 3.0).await;
    let host = host(scaled.settings.clone()).await;
    scaled.sim().fault(Fault {
        kind: FaultKind::Timeout,
        method: Some("PUT".into()),
        contains: Some("throughputSettings".into()),
        ..Fault::default()
    });
    assert_eq!(
        run_by_hand(&scaled.world, &host, "autoscale-check").await,
        202
    );
    let app = World::app_with(&scaled.settings, Clock::Fixed(scaled.now()));
    let limit = std::time::Duration::from_secs(30);
    let run = until("it is begun", limit, || async {
        let store = app.store().expect("a store");
        let logs = store.list_all("journal/autoscale-").await.expect("names");
        let path = logs.first()?;
        let log = store.log(path).await.expect("an answer")?;
        let begun = String::from_utf8_lossy(&log).contains("\"intent\"");
        let name = path.trim_start_matches("journal/").trim_end_matches(".log");
        begun.then(|| name.to_owned())
    })
    .await;
    killed(&scaled.world, &host).await;
    scaled.sim().clear_faults();
    run_by_hand(&scaled.world, &host, "minute-tick").await;
    let run = ended(&scaled.world, &format!("{}/api/runs/{run}", host.url())).await;
    assert_eq!(
        run["fence"].as_u64().map(|fence| fence > 1),
        Some(true),
        "{run}"
    );
    let mut all = run["changes"].as_array().expect("changes").iter();
    let mine = all.find(|c| {
        c["difference"]
            .as_str()
            .is_some_and(|d| d.contains("/threads:"))
    });
    assert_eq!(
        mine.expect("a change")["outcome"]["is"],
        "verified",
        "{run}"
    );
    let told = scaled.changes().await;
    assert_eq!(
        told,
        ["cosmos-agents-jpe/agents/threads: throughput 1000 -> 2000 RU/s"]
    );
    let shown = scaled.shown("threads").await;
    assert_eq!(shown["past"]["changes"], 1, "{shown}");
    assert_eq!(shown["last"]["because"], "throttled", "{shown}");
}
