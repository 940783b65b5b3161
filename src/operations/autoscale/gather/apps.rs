//! Container apps: what they have, and what was measured of them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use futures::StreamExt as _;

use super::GatheredApp;
use crate::azure::container_apps::{self, App};
use crate::azure::metrics::{self, Aggregation, Interval, Metric, Query};
use crate::azure::{Azure, Error};
use crate::domain::{Finding, ResourceId};
use crate::operations::autoscale::facts::{AppFacts, AppMinute, Capped};

const NAMESPACE: &str = "Microsoft.App/containerApps";
const LOOKS_BACK: Duration = Duration::minutes(66);
const AT_ONCE: usize = 8;

/// Questions about apps; each metric has the aggregation that says the most of it.
const ASKED: [(&[&str], Aggregation); 3] = [
    (&["CpuPercentage", "MemoryPercentage"], Aggregation::Average),
    (&["Requests"], Aggregation::Total),
    (&["Replicas"], Aggregation::Maximum),
];

/// By the metric, and then by the minute.
type Measured = HashMap<&'static str, BTreeMap<DateTime<Utc>, f64>>;

/// Looks at these apps of a subscription. One that cannot be read says so and stops no other.
pub(super) async fn read(
    azure: &Azure,
    subscription: &str,
    apps: &[ResourceId],
    now: DateTime<Utc>,
) -> (Vec<GatheredApp>, Vec<Finding>) {
    let reads: Vec<_> = apps
        .iter()
        .map(|id| container_apps::app(azure, id))
        .collect();
    let found: Vec<Result<App, Error>> = futures::stream::iter(reads)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut regions: BTreeMap<String, Vec<ResourceId>> = BTreeMap::new();
    for (id, app) in apps.iter().zip(&found) {
        if let Ok(app) = app {
            let region = super::plain(&app.location);
            regions.entry(region).or_default().push(id.clone());
        }
    }
    let mut questions = Vec::new();
    for (region, ids) in &regions {
        for (names, aggregation) in ASKED {
            questions.push(ask(
                azure,
                region,
                subscription,
                ids,
                names,
                aggregation,
                now,
            ));
        }
    }
    let answers: Vec<_> = futures::stream::iter(questions)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (mut measured, mut findings) = (HashMap::<String, Measured>::new(), Vec::new());
    for (id, answer) in answers.into_iter().flatten() {
        match answer {
            Ok(metrics) => note(&id, &metrics, &mut measured, &mut findings),
            Err(error) => findings.push(unread(&id, &error.to_string())),
        }
    }
    let gathered = apps.iter().zip(found).map(|(id, app)| {
        let minutes = measured.get(&id.as_str().to_ascii_lowercase());
        let minutes = minutes.map(minutes_of).unwrap_or_default();
        gathered(id, app, minutes)
    });
    (gathered.collect(), findings)
}

async fn ask(
    azure: &Azure,
    region: &str,
    subscription: &str,
    ids: &[ResourceId],
    names: &[&str],
    aggregation: Aggregation,
    now: DateTime<Utc>,
) -> Vec<metrics::Answered> {
    let until = now.duration_trunc(Duration::minutes(1)).unwrap_or(now);
    let query = Query {
        metrics: names,
        aggregation,
        interval: Interval::Minute,
        from: until - LOOKS_BACK,
        until,
        filter: None,
        top: 1,
    };
    metrics::batch(azure, region, subscription, NAMESPACE, ids, &query).await
}

fn note(
    id: &ResourceId,
    metrics: &[Metric],
    measured: &mut HashMap<String, Measured>,
    findings: &mut Vec<Finding>,
) {
    let of = measured
        .entry(id.as_str().to_ascii_lowercase())
        .or_default();
    let names = ASKED.iter().flat_map(|(names, _)| *names);
    for metric in metrics {
        if let Some(why) = &metric.failed {
            findings.push(unread(id, &format!("{}: {why}", metric.name)));
        }
        let Some(name) = names.clone().find(|name| **name == metric.name) else {
            continue;
        };
        let points = metric.series.iter().flat_map(|series| &series.points);
        let known = points.filter_map(|point| Some((point.at, point.value?)));
        of.entry(name).or_default().extend(known);
    }
}

fn unread(id: &ResourceId, why: &str) -> Finding {
    Finding::new(
        "metrics-unread",
        id.short(),
        format!("its metrics were not read: {why}"),
    )
}

fn minutes_of(measured: &Measured) -> Vec<AppMinute> {
    let mut minutes: BTreeMap<DateTime<Utc>, AppMinute> = BTreeMap::new();
    for (name, values) in measured {
        for (at, value) in values {
            let minute = minutes.entry(*at).or_insert(AppMinute {
                at: *at,
                cpu: None,
                memory: None,
                requests: None,
                replicas: None,
            });
            let slot = match *name {
                "CpuPercentage" => &mut minute.cpu,
                "MemoryPercentage" => &mut minute.memory,
                "Requests" => &mut minute.requests,
                _ => &mut minute.replicas,
            };
            *slot = Some(*value);
        }
    }
    minutes.into_values().collect()
}

fn gathered(id: &ResourceId, app: Result<App, Error>, minutes: Vec<AppMinute>) -> GatheredApp {
    let mut facts = AppFacts {
        app: id.clone(),
        replicas: Err(String::new()),
        rolling: false,
        rules: Vec::new(),
        minutes,
        raised: None,
    };
    match app {
        Ok(app) => {
            facts.replicas = Ok(app.replicas);
            facts.rolling = app.is_rolling();
            let capped = app.scale_rules.iter().filter_map(|rule| {
                let (resource, percent) = rule.utilization()?;
                Some(Capped {
                    resource: resource.to_owned(),
                    percent,
                })
            });
            facts.rules = capped.collect();
            GatheredApp {
                facts,
                location: app.location,
                vcpu: app.vcpu,
                gib: app.gib,
                scale_rules: app.scale_rules,
            }
        }
        Err(error) => {
            facts.replicas = Err(error.to_string());
            GatheredApp {
                facts,
                location: String::new(),
                vcpu: 0.0,
                gib: 0.0,
                scale_rules: Vec::new(),
            }
        }
    }
}
