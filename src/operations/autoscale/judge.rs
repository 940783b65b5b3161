//! From what was gathered to what is proposed, each with what it costs. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::decide::{self, Because};
use super::facts::{AppFacts, ContainerFacts, Supply};
use super::gather::{GatheredApp, GatheredContainer};
use crate::azure::container_apps::{self, ScaleRule};
use crate::domain::{
    Capacity, Change, ChangeKind, Finding, Money, Mutation, Replicas, ResourceId, Utilization,
    utilizations,
};
use crate::estate::{Estate, MONTH_HOURS, Prices, ReplicaRules, ThroughputRules};

/// What is shown as used was used within so many of the newest minutes.
const SHOWN: usize = 5;

/// One thing that was looked at, and what is to become of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) resource: ResourceId,
    /// What it has, for people.
    pub(super) has: String,
    /// The most that was used within the newest minutes, percent.
    pub(super) used: Option<f64>,
    pub(super) because: Because,
    pub(super) why: String,
    pub(super) change: Option<Change>,
    pub(super) findings: Vec<Finding>,
    /// What it was judged by, where something came of it.
    pub(super) facts: Option<serde_json::Value>,
}

impl Judged {
    /// What it is to be, for people.
    pub(super) fn to(&self) -> Option<String> {
        Some(match &self.change.as_ref()?.mutation {
            Mutation::CosmosThroughput { to, .. } => to.to_string(),
            Mutation::AppReplicas { to, .. } => to.to_string(),
            Mutation::AppScaleRules { to, .. } => utilizations(to),
            _ => return None,
        })
    }
}

/// Judges a container, or what a database shares.
pub(super) fn container(
    gathered: &GatheredContainer,
    rules: &ThroughputRules,
    prices: &Prices,
    now: DateTime<Utc>,
) -> Judged {
    let facts = &gathered.facts;
    let decision = decide::container(facts, rules, now);
    let has = match &facts.supply {
        Supply::Own(throughput) => throughput.capacity.to_string(),
        Supply::Shared => "what its database shares".into(),
        Supply::Serverless => "serverless".into(),
        Supply::Unread(_) => "unknown".into(),
    };
    let change = match (&facts.supply, decision.to) {
        (Supply::Own(throughput), Some(to)) => {
            let from = throughput.capacity;
            let mutation = Mutation::CosmosThroughput { from, to };
            Some(Change {
                monthly: throughput_monthly(prices, gathered, from, to),
                ask_first: decision.ask_first,
                ..Change::new(facts.resource.clone(), mutation, &decision.why)
            })
        }
        _ => None,
    };
    let newest = facts.minutes.iter().rev().take(SHOWN);
    let used = newest.filter_map(|minute| minute.used).reduce(f64::max);
    let facts = (change.is_some() || !decision.findings.is_empty()).then(|| kept(facts));
    Judged {
        resource: gathered.facts.resource.clone(),
        has,
        used,
        because: decision.because,
        why: decision.why,
        change,
        findings: decision.findings,
        facts,
    }
}

fn kept(facts: &ContainerFacts) -> serde_json::Value {
    serde_json::to_value(facts).expect("facts are plain data")
}

fn kept_of_app(facts: &AppFacts) -> serde_json::Value {
    serde_json::to_value(facts).expect("facts are plain data")
}

fn throughput_monthly(
    prices: &Prices,
    of: &GatheredContainer,
    from: Capacity,
    to: Capacity,
) -> Option<Money> {
    let hour = |capacity| prices.throughput_hour(&of.location, capacity, of.regions);
    Some(hour(to)?.minus(hour(from)?)?.times(MONTH_HOURS))
}

/// Judges an app: its replicas, and where they stay as they are, its rules by utilization. One
/// change at a time, since each makes another revision.
pub(super) fn app(
    gathered: &GatheredApp,
    rules: &ReplicaRules,
    prices: &Prices,
    now: DateTime<Utc>,
) -> Judged {
    let facts = &gathered.facts;
    let decision = decide::app(facts, rules, now);
    let mut findings = decision.findings;
    let mut why = decision.why;
    let is_settled = matches!(facts.replicas, Ok(_)) && !facts.rolling;
    let change = match (&facts.replicas, decision.to) {
        (Ok(from), Some(to)) => Some(Change {
            monthly: replicas_monthly(prices, gathered, *from, to),
            ask_first: decision.ask_first,
            ..Change::new(
                facts.app.clone(),
                Mutation::AppReplicas { from: *from, to },
                &why,
            )
        }),
        _ if is_settled => match scale_rules(&gathered.scale_rules, rules) {
            Ok(Some(mutation)) => {
                let text = "its rules by utilization are not those of the estate";
                why = format!("{why}; {text}");
                Some(Change::new(facts.app.clone(), mutation, text))
            }
            Ok(None) => None,
            Err(text) => {
                let subject = facts.app.short();
                findings.push(Finding::new("scale-rules-by-hand", subject, text));
                None
            }
        },
        _ => None,
    };
    let newest = facts.minutes.iter().rev().take(SHOWN);
    let used = newest.filter_map(|minute| minute.cpu).reduce(f64::max);
    let kept = (change.is_some() || !findings.is_empty()).then(|| kept_of_app(facts));
    Judged {
        resource: facts.app.clone(),
        has: match &facts.replicas {
            Ok(replicas) => replicas.to_string(),
            Err(_) => "unknown".into(),
        },
        used,
        because: decision.because,
        why,
        change,
        findings,
        facts: kept,
    }
}

/// What replicas cost that run whatever the load is; more than the least are charged as the
/// platform adds them.
fn replicas_monthly(
    prices: &Prices,
    of: &GatheredApp,
    from: Replicas,
    to: Replicas,
) -> Option<Money> {
    let hour = prices.replica_hour(&of.location, of.vcpu, of.gib)?;
    let more = f64::from(to.least) - f64::from(from.least);
    Some(hour.times(more * MONTH_HOURS))
}

/// What makes the rules by utilization those of the estate; `None` if they are.
///
/// Errors: a rule looks at the same resource in another way; which is wanted only people know.
fn scale_rules(found: &[ScaleRule], rules: &ReplicaRules) -> Result<Option<Mutation>, String> {
    let to = vec![
        Utilization {
            resource: "cpu".into(),
            percent: rules.cpu_percent,
        },
        Utilization {
            resource: "memory".into(),
            percent: rules.memory_percent,
        },
    ];
    let other = found.iter().find(|rule| {
        let kind = rule.0["custom"]["type"].as_str().unwrap_or_default();
        rule.utilization().is_none() && to.iter().any(|one| one.resource == kind)
    });
    if let Some(rule) = other {
        return Err(format!(
            "scale rule `{}` looks at its resource otherwise than by utilization: it is left to people",
            rule.name()
        ));
    }
    let from = container_apps::utilizations(found);
    Ok((from != to).then_some(Mutation::AppScaleRules { from, to }))
}

/// Takes so many changes of each kind as one run may make, the most urgent first. The rest is left
/// to a next run, and says so.
pub(super) fn choose(judged: &mut [Judged], estate: &Estate) {
    judged.sort_by_key(|one| {
        #[expect(clippy::cast_possible_truncation, reason = "percent of a share")]
        let used = one.used.map_or(0, |used| (used * 1000.0) as i64);
        (rank(one.because), Reverse(used))
    });
    let mut taken: BTreeMap<ChangeKind, u64> = BTreeMap::new();
    for one in judged.iter_mut() {
        let Some(change) = &one.change else { continue };
        let kind = change.kind();
        let count = taken.entry(kind).or_default();
        let most = estate.policy(kind).most_per_run;
        if *count >= most {
            let message = format!(
                "{}: it is left to the next run, since one may change {most} (policy.{kind}.most_per_run)",
                change.difference()
            );
            let subject = one.resource.short();
            one.findings
                .push(Finding::new("scaling-later", subject, message));
            one.change = None;
            continue;
        }
        *count += 1;
    }
}

/// What is urgent: what hurts now, then what will, then what costs.
fn rank(because: Because) -> u8 {
    match because {
        Because::Throttled | Because::Burst => 0,
        Because::ForecastNeeds => 1,
        Because::OutsideLimits => 2,
        Because::Calm | Because::BurstOver => 3,
        _ => 4,
    }
}
