//! From the acceptance of an alert to its first hand-over to a channel, through the real handler
//! under the stand-in for the Functions host; and a storm whose handler is killed again and again.
//!
//! `cargo bench --bench paging -- --rate 20 --seconds 60`
//! `cargo bench --bench paging -- --storm 5000 --kills 5`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use poolkeeper::app::{App, Clock};
use poolkeeper::config::Config;
use poolkeeper::estate::Estate;
use poolkeeper::local::host::{Host, Options as HostOptions};
use poolkeeper::local::simulator::{Options, Simulator};
use serde_json::{Value, json};

const GROUP: &str =
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe";

/// The estate that ships; for the measurement of single pages, no storm is ever on.
fn estate(storms: bool) -> String {
    let text = include_str!("../infra/estate.toml");
    if storms {
        text.to_owned()
    } else {
        text.replace("storm_incidents = 20", "storm_incidents = 1000")
    }
}

fn settings(simulator: &Simulator, estate: &Path) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = std::env::vars().collect();
    for (name, value) in [
        ("FUNCTIONS_WORKER_RUNTIME", "custom".to_owned()),
        ("AzureWebJobsStorage", simulator.connection_string()),
        ("POOLKEEPER_BLOB_ENDPOINT", simulator.blob_url()),
        ("POOLKEEPER_QUEUE_ENDPOINT", simulator.queue_url()),
        ("POOLKEEPER_QUEUE", "poolkeeper-work".into()),
        ("POOLKEEPER_ARM_ENDPOINT", simulator.url()),
        ("POOLKEEPER_LOGS_ENDPOINT", simulator.url()),
        ("POOLKEEPER_OUTSIDE_ENDPOINT", simulator.url()),
        (
            "POOLKEEPER_SECRET_PAGER",
            "0123456789abcdef0123456789abcdef".into(),
        ),
        ("POOLKEEPER_SECRET_TICKETS", "password".into()),
        (
            "POOLKEEPER_SECRET_CHAT",
            "https://chat.example/workflow".into(),
        ),
        ("POOLKEEPER_SECRET_MAIL", "password".into()),
        ("POOLKEEPER_LOG", "text".into()),
        ("POOLKEEPER_ESTATE", estate.display().to_string()),
        ("IDENTITY_ENDPOINT", simulator.identity_url()),
        ("IDENTITY_HEADER", simulator.identity_header().to_owned()),
    ] {
        settings.insert(name.into(), value);
    }
    settings
}

struct Field {
    simulator: Simulator,
    host: Host,
    /// Another process on the same store.
    app: App,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Field {
    async fn start(storms: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("estate.toml");
        let text = estate(storms);
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
        let values = settings(&simulator, &path);
        let config = Config::read(|name| values.get(name).cloned()).expect("settings");
        let app = App::new(config, Clock::System);
        let host = Host::start(HostOptions {
            app: env!("CARGO_MANIFEST_DIR").into(),
            port: 0,
            settings: values,
            executable: env!("CARGO_BIN_EXE_poolkeeper").into(),
            told_its_url: None,
        })
        .await
        .expect("a host");
        host.ready(Duration::from_secs(30))
            .await
            .expect("a handler");
        Self {
            simulator,
            host,
            app,
            http: reqwest::Client::new(),
            _folder: folder,
        }
    }

    /// Makes Azure know of an alert; the payload that its action group sends.
    async fn raise(&self, number: usize) -> Value {
        let guid = format!("{number:08}-0000-4000-8000-000000000000");
        let id = format!(
            "/subscriptions/11111111-2222-4333-8444-555555555555/providers/Microsoft.AlertsManagement/alerts/{guid}"
        );
        let target = format!("{GROUP}/providers/Microsoft.App/containerApps/agent-api");
        let rule = format!("rule-{number}");
        self.simulator
            .raise(&guid, &target, &rule, "Sev1", "Fired")
            .await;
        json!({
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": { "essentials": {
                "alertId": id, "alertRule": rule, "severity": "Sev1", "signalType": "Metric",
                "monitorCondition": "Fired", "monitoringService": "Platform",
                "firedDateTime": Utc::now().to_rfc3339(), "alertTargetIDs": [target]
            }, "alertContext": null }
        })
    }

    /// Sends until it is taken; the run.
    async fn send(&self, payload: &Value) -> String {
        loop {
            let answer = self
                .http
                .post(format!("{}/api/alerts", self.host.url()))
                .json(payload)
                .send()
                .await;
            if let Ok(answer) = answer
                && answer.status() == 202
            {
                let answer: Value = answer.json().await.expect("JSON");
                return answer["run"].as_str().expect("a run").to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The incident that a run took its alert into, once it has.
    async fn incident(&self, run: &str) -> Option<String> {
        let url = format!("{}/api/runs/{run}", self.host.url());
        let run: Value = self.http.get(url).send().await.ok()?.json().await.ok()?;
        let summary = run["tasks"][0]["summary"].as_str()?;
        let (_, incident) = summary.split_once("incident ")?;
        Some(incident.split(' ').next()?.to_owned())
    }

    async fn minute(&self) {
        let url = format!("{}/admin/functions/minute-tick", self.host.url());
        let _ = self
            .http
            .post(url)
            .header("x-functions-key", self.host.admin_key())
            .body("{}")
            .send()
            .await;
    }
}

fn number(name: &str) -> Option<u64> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1)?.parse().ok()
}

#[tokio::main]
async fn main() {
    match number("--storm") {
        Some(alerts) => storm(alerts as usize, number("--kills").unwrap_or(5)).await,
        None => {
            let (rate, seconds) = (
                number("--rate").unwrap_or(20),
                number("--seconds").unwrap_or(30),
            );
            pages(rate, seconds).await;
        }
    }
}

/// Alerts at an even rate, each of another rule.
async fn pages(rate: u64, seconds: u64) {
    let field = Arc::new(Field::start(false).await);
    let mut payloads = Vec::new();
    for n in 0..(rate * seconds) as usize {
        payloads.push(field.raise(n).await);
    }
    let mut every = tokio::time::interval(Duration::from_secs_f64(1.0 / rate as f64));
    let mut sending = Vec::new();
    for payload in payloads {
        every.tick().await;
        let field = Arc::clone(&field);
        sending.push(tokio::spawn(async move {
            let run = field.send(&payload).await;
            (run, Utc::now())
        }));
    }
    let mut accepted: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
    for one in sending {
        let (run, at) = one.await.expect("an answer");
        accepted.insert(run, at);
    }
    let began = Instant::now();
    let first = loop {
        let mut first: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
        for sent in field.simulator.sent().await {
            if sent.channel == "pagerduty" && sent.kind == "trigger" {
                first.entry(sent.to).or_insert(sent.at);
            }
        }
        if first.len() >= accepted.len() || began.elapsed() > Duration::from_secs(120) {
            break first;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let mut took = Vec::new();
    let mut missing = 0;
    for (run, at) in &accepted {
        let paged = match field.incident(run).await {
            Some(incident) => first.get(&incident).copied(),
            None => None,
        };
        match paged {
            // A page may be out before the sender has read its 202.
            Some(paged) => took.push((paged - *at).num_milliseconds().max(0)),
            None => missing += 1,
        }
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
    println!(
        "{} alerts at {rate}/s: {missing} not paged; from 202 to the first hand-over p50 {} ms, p95 {} ms, p99 {} ms, most {} ms",
        accepted.len(),
        at(0.50),
        at(0.95),
        at(0.99),
        at(1.0),
    );
}

/// Very many alerts at once, each tenth twice, while the handler is killed.
async fn storm(alerts: usize, kills: u64) {
    let field = Arc::new(Field::start(true).await);
    let mut payloads = Vec::new();
    for n in 0..alerts {
        payloads.push(field.raise(n).await);
    }
    let doubled: Vec<Value> = payloads.iter().step_by(10).cloned().collect();
    payloads.extend(doubled);
    let began = Instant::now();
    let killer = tokio::spawn({
        let field = Arc::clone(&field);
        async move {
            for _ in 0..kills {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if let Some(pid) = field.host.handler_pid() {
                    let _ = std::process::Command::new("kill")
                        .args(["-9", &pid.to_string()])
                        .status();
                }
            }
        }
    });
    let runs: BTreeSet<String> = stream::iter(payloads)
        .map(|payload| {
            let field = Arc::clone(&field);
            async move { field.send(&payload).await }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    println!(
        "{} alerts accepted in {:.1} s",
        runs.len(),
        began.elapsed().as_secs_f64()
    );
    killer.await.expect("the kills");
    let mut waiting: BTreeSet<String> = runs.clone();
    let mut incidents = BTreeSet::new();
    while !waiting.is_empty() && began.elapsed() < Duration::from_secs(900) {
        field.minute().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let looked: Vec<(String, Option<String>)> = stream::iter(waiting.clone())
            .map(|run| {
                let field = Arc::clone(&field);
                async move { (run.clone(), field.incident(&run).await) }
            })
            .buffer_unordered(8)
            .collect()
            .await;
        for (run, incident) in looked {
            if let Some(incident) = incident {
                waiting.remove(&run);
                incidents.insert(incident);
            }
        }
    }
    let pending = loop {
        field.minute().await;
        let (_, pending) = poolkeeper::notify::pending(&field.app)
            .await
            .expect("the outbox");
        if pending == 0 || began.elapsed() > Duration::from_secs(1200) {
            break pending;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    let tickets = field.simulator.tickets().await;
    let titles: BTreeSet<(String, String)> = tickets
        .iter()
        .filter(|ticket| ticket.system == "servicenow")
        .map(|t| (t.host.clone(), t.body["correlation_id"].to_string()))
        .collect();
    let made = tickets.iter().filter(|t| t.system == "servicenow").count();
    println!(
        "{} without an incident; {} incidents; {made} tickets, {} of them for another incident each; {pending} lanes of the outbox wait; all after {:.0} s and {kills} kills",
        waiting.len(),
        incidents.len(),
        titles.len(),
        began.elapsed().as_secs_f64(),
    );
}
