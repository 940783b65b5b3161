//! Container apps: what they have, and what was measured of them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use futures::StreamExt as _;

use super::GatheredApp;
use crate::azure::container_apps::{self, App};
use crate::azure::metrics::{self, Aggregation, Interval, Metric, Query};
use crate::azure::{Azure, Error};
use crate::domain::{Finding, ResourceId, Weight};
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
    let failures: Vec<_> = apps
        .iter()
        .zip(&found)
        .map(|(id, app)| failed(azure, id, app.as_ref()))
        .collect();
    let failures: Vec<_> = futures::stream::iter(failures)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let found = apps.iter().zip(found).zip(failures);
    let gathered = found.map(|((id, app), failed)| {
        let minutes = measured.get(&id.as_str().to_ascii_lowercase());
        let minutes = minutes.map(minutes_of).unwrap_or_default();
        gathered(id, app, failed, minutes)
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

/// The newest revision of an app that will never run, and why nobody waits for it.
async fn failed(azure: &Azure, id: &ResourceId, app: Result<&App, &Error>) -> Option<String> {
    let newest = app
        .ok()
        .filter(|app| app.is_rolling())?
        .newest_revision
        .as_ref()?;
    // What cannot be read may still be on its way.
    let revisions = container_apps::revisions(azure, id).await.ok()?;
    let revision = revisions.into_iter().find(|one| one.name == *newest)?;
    revision.has_failed().then(|| match revision.error {
        Some(error) => format!("{newest} could not be provisioned: {error}"),
        None => format!("{newest} could not be provisioned"),
    })
}

/// Where the requests of an app go, if not all of them go to its newest revision.
fn split(app: &App) -> Option<String> {
    if !app.multiple || app.traffic.is_empty() {
        return None;
    }
    let follows = |part: &&Weight| {
        let newest = app.newest_revision.as_ref();
        part.revision.is_none() || part.revision.as_ref() == newest
    };
    let follow: u32 = app.traffic.iter().filter(follows).map(|w| w.percent).sum();
    let parts: Vec<String> = app.traffic.iter().map(ToString::to_string).collect();
    (follow < 100).then(|| parts.join(", "))
}

fn gathered(
    id: &ResourceId,
    app: Result<App, Error>,
    failed: Option<String>,
    minutes: Vec<AppMinute>,
) -> GatheredApp {
    let mut facts = AppFacts {
        app: id.clone(),
        replicas: Err(String::new()),
        rolling: false,
        failed: None,
        split: None,
        rules: Vec::new(),
        minutes,
        raised: None,
    };
    match app {
        Ok(app) => {
            facts.replicas = Ok(app.replicas);
            facts.rolling = app.is_rolling();
            facts.failed = failed;
            facts.split = split(&app);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Replicas;

    #[test]
    fn requests_are_split_where_a_next_revision_would_get_more_than_the_newest_has() {
        let weight = |revision: Option<&str>, percent| Weight {
            revision: revision.map(str::to_owned),
            percent,
        };
        for (name, multiple, traffic, expected) in [
            ("one at a time", false, vec![weight(Some("v1"), 100)], None),
            ("no ingress", true, vec![], None),
            ("all to the newest", true, vec![weight(None, 100)], None),
            (
                "all to it by name",
                true,
                vec![weight(Some("v2"), 100)],
                None,
            ),
            (
                "a staged one",
                true,
                vec![weight(Some("v1"), 100), weight(Some("v2"), 0)],
                Some("100% to v1, 0% to v2"),
            ),
            (
                "a canary",
                true,
                vec![weight(Some("v1"), 90), weight(None, 10)],
                Some("90% to v1, 10% to the newest"),
            ),
        ] {
            let app = App {
                location: "japaneast".into(),
                replicas: Replicas { least: 2, most: 10 },
                latest_revision: Some("v2".into()),
                newest_revision: Some("v2".into()),
                multiple,
                traffic,
                domains: Vec::new(),
                scale_rules: Vec::new(),
                vcpu: 0.5,
                gib: 1.0,
            };
            assert_eq!(split(&app).as_deref(), expected, "{name}");
        }
    }
}
