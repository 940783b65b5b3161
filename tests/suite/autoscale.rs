//! Scaling through the front door: the timer, alerts and requests, on an estate whose throughput and
//! replicas answer.

use chrono::{DateTime, Duration, Utc};
use poolkeeper::app::Clock;
use poolkeeper::local::simulator::Simulator;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::changes::{say, worked};
use crate::world::{OPERATOR, REVIEWER, World};

const WORKER: &str = "agent-worker";

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
    // The same due time again, by another process: nothing is done twice.
    let told = scaled.tick().await;
    assert!(told.contains("was begun before"), "{told}");
    assert_eq!(scaled.sim().changes().await.len(), 1);
    let shown = scaled.shown(WORKER).await;
    assert_eq!(shown["last"]["because"], "outside-limits", "{shown}");
    assert_eq!(shown["last"]["outcome"], "verified: 3-10 replicas");
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
