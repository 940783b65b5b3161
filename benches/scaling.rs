//! A run of scaling over a thousand containers, whole: it gathers, decides, proposes, and writes
//! journal and memory, by what Resource Manager lets be read of a subscription (250 at once, 25 a
//! second).
//!
//! `cargo bench --bench scaling`: 10 accounts of 100 containers, each in a subscription of its own,
//! and then all in one, run after run until each was looked at. With another number of containers
//! in an account: `cargo bench --bench scaling -- 300`. Exit code 1, and why, when a run takes a
//! minute, when more than a handful of calls are refused, when a container that is throttled waits
//! while a calm one is looked at, or when some are never looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use chrono::TimeDelta;
use poolkeeper::app::{App, Clock};
use poolkeeper::config::{Config, Identity};
use poolkeeper::domain::ResourceId;
use poolkeeper::estate::Estate;
use poolkeeper::journal::{Decided, Run, RunId, RunState, Wake, Work};
use poolkeeper::local::simulator::{Limit, Options, Simulator};
use poolkeeper::local::telemetry::Trace;
use poolkeeper::operations::autoscale::decisions;
use poolkeeper::operations::{accept, settle};
use serde_json::{Value, json};

const ACCOUNTS: usize = 10;
/// How long each call takes, besides its work.
const LATENCY_MS: u64 = 20;
/// So many containers are busy, spread over the accounts.
const BUSY: usize = 20;
/// All must have been looked at by then.
const MOST_TICKS: usize = 24;
/// No run may take as long, seconds: there are five minutes between two, and forecasts want the rest.
const MOST_SECONDS: f64 = 60.0;
/// So many calls may be refused in a run, and are made once more.
const MOST_REFUSED: u64 = 5;

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
    let stamps: String = (0..ACCOUNTS).map(stamp).collect();
    format!("{stamps}[scaling.cosmos]\nown = true\n")
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
    App::new(config, Clock::Fixed(simulator.now()))
}

/// One run, with all of its calls to be had, as there are five minutes after the one before: what
/// it decided, and what it took.
async fn tick(simulator: &Simulator, estate: &Path, number: usize) -> (Vec<Decided>, Value) {
    simulator.limit(Limit {
        latency_ms: LATENCY_MS,
        ..Limit::of_arm()
    });
    let app = app(simulator, estate);
    let id: RunId = format!("autoscale-bench-{number}").parse().expect("an id");
    let work = Work::Autoscale {
        only: None,
        cause: Wake::Schedule,
        dry_run: false,
    };
    let started = Instant::now();
    accept(&app, id.clone(), work).await.expect("it is taken");
    settle(&app, &id).await.expect("it is brought to its end");
    let seconds = started.elapsed().as_secs_f64();
    let store = app.store().expect("a store");
    let run = store.get::<Run>(&id.document()).await.expect("an answer");
    let run = run.expect("a run").value;
    let decided = decisions(&app, &id).await.expect("the journal");
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
        "looked_at": decided.len(),
        "counts": run.tasks.first().map(|task| &task.counts),
        "proposed": run.changes.len(),
        "succeeded": matches!(run.state, RunState::Succeeded | RunState::SucceededWithFindings),
        "arm_calls": counts.calls,
        "arm_refused": counts.refused,
        "subscriptions": each,
    });
    (decided, told)
}

/// What may not be of one run.
fn wrong(decided: &[Decided], told: &Value, busy: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let seconds = told["seconds"].as_f64().unwrap_or(f64::INFINITY);
    if seconds >= MOST_SECONDS {
        wrong.push(format!("it took {seconds} s"));
    }
    let refused = told["arm_refused"].as_u64().unwrap_or(u64::MAX);
    if refused > MOST_REFUSED {
        wrong.push(format!("{refused} calls were refused"));
    }
    if told["succeeded"] != true {
        wrong.push("it failed".to_owned());
    }
    let looked: BTreeSet<String> = decided.iter().map(|one| key(&one.resource)).collect();
    let left = busy.difference(&looked).count();
    let calm = looked.difference(busy).count();
    if left > 0 && calm > 0 {
        wrong.push(format!(
            "{left} that are throttled wait, and {calm} calm ones were looked at"
        ));
    }
    let seen = decided
        .iter()
        .filter(|one| busy.contains(&key(&one.resource)));
    let unseen = seen.filter(|one| one.because != "throttled").count();
    if unseen > 0 {
        wrong.push(format!("{unseen} are throttled, and it was not seen"));
    }
    let unread = decided.iter().filter(|one| one.because == "unread").count();
    if unread > 0 {
        wrong.push(format!("{unread} could not be read"));
    }
    wrong
}

fn key(resource: &ResourceId) -> String {
    resource.as_str().to_ascii_lowercase()
}

/// What was measured, and what may not be.
async fn measure(containers: usize, subscriptions: usize) -> (Value, Vec<String>) {
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
    // The same load at all hours, so that a burst is one whenever this is run.
    let flat = folder.path().join("flat.csv");
    std::fs::write(&flat, "2026-01-05 00:00:00,1\n").expect("a file");
    simulator.follow(Trace::read(&flat).expect("a trace"));
    let start = simulator.now();
    let mut busy = BTreeSet::new();
    for at in 0..BUSY {
        let id = container(at % ACCOUNTS, (at * 7) % containers, subscriptions);
        let (from, until) = (start - TimeDelta::hours(1), start + TimeDelta::hours(3));
        simulator.burst(id.as_str(), 40.0, from, until).await;
        busy.insert(key(&id));
    }
    let (mut looked, mut ticks, mut bad) = (BTreeSet::new(), Vec::new(), Vec::new());
    let all = ACCOUNTS * containers;
    for number in 0..MOST_TICKS {
        if number > 0 {
            simulator.advance(Duration::from_secs(300));
        }
        let (decided, told) = tick(&simulator, &path, number).await;
        let wrong = wrong(&decided, &told, &busy);
        bad.extend(
            wrong
                .into_iter()
                .map(|why| format!("{subscriptions} subscriptions, run {number}: {why}")),
        );
        // Databases are looked at besides.
        let keys = decided.iter().map(|one| key(&one.resource));
        looked.extend(keys.filter(|key| key.contains("/containers/")));
        ticks.push(told);
        if looked.len() >= all {
            break;
        }
    }
    let never = all.saturating_sub(looked.len());
    if never > 0 {
        bad.push(format!(
            "{subscriptions} subscriptions: {never} were never looked at"
        ));
    }
    let told = json!({
        "containers": all,
        "subscriptions": subscriptions,
        "ticks_until_all_were_looked_at": ticks.len(),
        "never_looked_at": never,
        "ticks": ticks,
    });
    (told, bad)
}

#[tokio::main]
async fn main() -> ExitCode {
    let containers: usize = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(100);
    let mut bad = Vec::new();
    for subscriptions in [ACCOUNTS, 1] {
        let (told, wrong) = measure(containers, subscriptions).await;
        println!("{told:#}");
        bad.extend(wrong);
    }
    for why in &bad {
        eprintln!("{why}");
    }
    if bad.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
