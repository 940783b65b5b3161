//! What a tick of scaling gathers, of a thousand containers: how long it takes, and how it goes by
//! what Resource Manager lets be read of a subscription (250 at once, 25 a second).
//!
//! `cargo bench --bench scaling`: 10 accounts of 100 containers, each in a subscription of its own,
//! and then all in one, tick after tick until each was looked at. With another number of containers
//! in an account: `cargo bench --bench scaling -- 300`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use chrono::{DateTime, TimeDelta, Utc};
use poolkeeper::app::{App, Clock};
use poolkeeper::config::{Config, Identity};
use poolkeeper::domain::ResourceId;
use poolkeeper::estate::{Estate, Scaling, ThroughputRules};
use poolkeeper::local::simulator::{Limit, Options, Simulator};
use poolkeeper::operations::autoscale::Supply;
use poolkeeper::operations::autoscale::gather::{Gathered, Scope, gather_of};
use serde_json::{Value, json};

const ACCOUNTS: usize = 10;
/// How long each call takes, besides its work.
const LATENCY_MS: u64 = 20;
/// So many containers are busy, spread over the accounts.
const BUSY: usize = 20;
/// All must have been looked at by then.
const MOST_TICKS: usize = 12;

/// The managed identity of the simulator.
#[derive(Debug)]
struct SimulatedIdentity {
    url: String,
    header: String,
}

#[async_trait::async_trait]
impl TokenCredential for SimulatedIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let resource = scopes[0].trim_end_matches("/.default");
        let url = format!("{}?api-version=2019-08-01&resource={resource}", self.url);
        let request = reqwest::Client::new()
            .get(url)
            .header("x-identity-header", &self.header);
        let answer = request.send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        let lives = Duration::from_secs(3600);
        Ok(AccessToken::new(token, OffsetDateTime::now_utc() + lives))
    }
}

/// Which subscription an account is in.
fn subscription(account: usize, subscriptions: usize) -> String {
    format!("11111111-2222-4333-8444-{:012}", account % subscriptions)
}

fn container(account: usize, number: usize, subscriptions: usize) -> ResourceId {
    let kind = "Microsoft.DocumentDB/databaseAccounts";
    ResourceId::new(
        &subscription(account, subscriptions),
        &format!("rg-{account}"),
        kind,
        &format!("cosmos-{account}"),
    )
    .child("sqlDatabases", "agents")
    .child("containers", &format!("c{number:04}"))
}

fn estate(containers: usize, subscriptions: usize) -> String {
    let names: Vec<String> = (0..containers).map(|at| format!("'c{at:04}'")).collect();
    let names = names.join(", ");
    let stamp = |account: usize| {
        let subscription = subscription(account, subscriptions);
        format!(
            "[[stamps]]\nname = 's{account}'\nsubscription = '{subscription}'\n\
             resource_group = 'rg-{account}'\n[stamps.cosmos]\naccount = 'cosmos-{account}'\n\
             database = 'agents'\ncontainers = [{names}]\n"
        )
    };
    (0..ACCOUNTS).map(stamp).collect()
}

fn app(simulator: &Simulator, estate: &Path) -> App {
    let values = BTreeMap::from([
        ("POOLKEEPER_BLOB_ENDPOINT", simulator.blob_url()),
        ("POOLKEEPER_QUEUE_ENDPOINT", simulator.queue_url()),
        ("POOLKEEPER_ARM_ENDPOINT", simulator.url()),
        ("POOLKEEPER_LOGS_ENDPOINT", simulator.url()),
        ("IDENTITY_ENDPOINT", simulator.identity_url()),
        ("IDENTITY_HEADER", simulator.identity_header().to_owned()),
        ("POOLKEEPER_ESTATE", estate.display().to_string()),
    ]);
    let mut config = Config::read(|name| values.get(name).cloned()).expect("settings");
    config.azure.identity = Identity::Given(Arc::new(SimulatedIdentity {
        url: simulator.identity_url(),
        header: simulator.identity_header().to_owned(),
    }));
    App::new(config, Clock::System)
}

/// One tick, with all of its calls to be had, as there are five minutes after the one before.
async fn tick(
    simulator: &Simulator,
    estate: &Path,
    scaling: &Scaling,
    looked: &mut BTreeMap<String, DateTime<Utc>>,
    now: DateTime<Utc>,
) -> (Gathered, Value) {
    simulator.limit(Limit {
        latency_ms: LATENCY_MS,
        ..Limit::of_arm()
    });
    let app = app(simulator, estate);
    let azure = app.azure().expect("a handle");
    let started = Instant::now();
    let gathered = gather_of(azure, scaling, &Scope::default(), looked, now).await;
    let seconds = started.elapsed().as_secs_f64();
    for one in &gathered.containers {
        let key = one.facts.resource.as_str().to_ascii_lowercase();
        looked.insert(key, now);
    }
    let each: BTreeMap<String, Value> = simulator
        .counts_of_subscriptions()
        .into_iter()
        .map(|(id, counts)| {
            let refused = json!({ "calls": counts.calls, "refused": counts.refused });
            (id[id.len() - 4..].to_owned(), refused)
        })
        .collect();
    let counts = simulator.counts();
    let told = json!({
        "seconds": (seconds * 100.0).round() / 100.0,
        "looked_at": gathered.containers.len(),
        "later": gathered.later.len(),
        "findings": gathered.findings.len(),
        "arm_calls": counts.calls,
        "arm_refused": counts.refused,
        "subscriptions": each,
    });
    (gathered, told)
}

/// Of the busy ones, how many came before all others, and how many there are.
fn hottest_first(gathered: &Gathered, busy: &[ResourceId]) -> Value {
    let is_busy = |id: &ResourceId| busy.contains(id);
    let order = gathered.containers.iter().map(|one| &one.facts.resource);
    let first = order.clone().take_while(|id| is_busy(id)).count();
    json!({ "first": first, "looked_at": order.filter(|id| is_busy(id)).count(), "all": busy.len() })
}

async fn measure(containers: usize, subscriptions: usize) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("estate.toml");
    let text = estate(containers, subscriptions);
    std::fs::write(&path, &text).expect("the estate");
    let simulator = Simulator::start(Options {
        data: folder.path().join("data"),
        port: 0,
        record: None,
        estate: Some(Estate::parse(&text).expect("an estate")),
        engine: None,
    })
    .await
    .expect("a simulator");
    let all =
        (0..ACCOUNTS * containers).map(|at| container(at % ACCOUNTS, at / ACCOUNTS, subscriptions));
    let rules = ThroughputRules::default();
    let scaling = Scaling {
        containers: all.map(|id| (id, rules)).collect(),
        ..Scaling::default()
    };
    let start = simulator.now();
    let busy: Vec<ResourceId> = (0..BUSY)
        .map(|at| container(at % ACCOUNTS, (at * 7) % containers, subscriptions))
        .collect();
    for id in &busy {
        let (from, until) = (start - TimeDelta::hours(1), start + TimeDelta::hours(3));
        simulator.burst(id.as_str(), 40.0, from, until).await;
    }
    let (mut looked, mut ticks) = (BTreeMap::new(), Vec::new());
    let mut unread = 0;
    for number in 0..MOST_TICKS {
        if number > 0 {
            simulator.advance(Duration::from_secs(300));
        }
        let now = simulator.now();
        let (gathered, mut told) = tick(&simulator, &path, &scaling, &mut looked, now).await;
        told["hottest"] = hottest_first(&gathered, &busy);
        unread += gathered
            .containers
            .iter()
            .filter(|one| matches!(one.facts.supply, Supply::Unread(_)))
            .count();
        ticks.push(told);
        if looked.len() == scaling.containers.len() {
            break;
        }
    }
    json!({
        "containers": scaling.containers.len(),
        "subscriptions": subscriptions,
        "ticks_until_all_were_looked_at": ticks.len(),
        "never_looked_at": scaling.containers.len() - looked.len(),
        "unread": unread,
        "ticks": ticks,
    })
}

#[tokio::main]
async fn main() {
    let containers: usize = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(100);
    for subscriptions in [ACCOUNTS, 1] {
        println!("{:#}", measure(containers, subscriptions).await);
    }
}
