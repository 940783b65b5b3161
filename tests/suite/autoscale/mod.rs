//! Scaling through the front door: the timer, alerts and requests, on an estate whose throughput and
//! replicas answer.

mod alerts;
mod replicas;
mod request;
mod throughput;
mod timer;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Duration, Utc, Weekday};
use poolkeeper::app::Clock;
use poolkeeper::local::simulator::Simulator;
use serde_json::{Value, json};

use crate::changes::worked;
use crate::world::{REVIEWER, World};

const WORKER: &str = "agent-worker";
const GROUP: &str =
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe";
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
    /// At a time at which nothing is to be done about throughput: by day all of it is steady, and the
    /// half hour is none of the minutes in which less is looked for.
    async fn start(turn: impl FnOnce(&str) -> String) -> Self {
        Self::start_at(5, 30, turn).await
    }

    /// At a time of a Wednesday, in UTC: at 05:00 the day's load is near its top, at 18:00 it is night.
    async fn start_at(hour: u32, minute: u32, turn: impl FnOnce(&str) -> String) -> Self {
        let world = World::start().await;
        let settings = world.settings_with_estate(turn);
        let scaled = Self { world, settings };
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

    /// What became in the newest run of the one change of a resource.
    async fn change(&self, resource: &str) -> Value {
        let run = self.run().await;
        let all = run["changes"].as_array().into_iter().flatten();
        let of = |change: &&Value| {
            let id = change["what"]["resource"].as_str();
            id.is_some_and(|id| id.ends_with(resource))
        };
        let mut ours = all.filter(of);
        let change = ours.next().cloned();
        assert_eq!(ours.count(), 0, "{run}");
        change.unwrap_or_else(|| panic!("a change of {resource} in {run}"))
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
