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
    /// The same of a container.
    pub(super) capacity: Option<Capacity>,
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
    /// Whether requests suffer, or will within minutes.
    pub(super) fn is_urgent(&self) -> bool {
        rank(self.because) <= 1
    }

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
        Supply::Dedicated => "nothing that is shared".into(),
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
    let capacity = match &facts.supply {
        Supply::Own(throughput) => Some(throughput.capacity),
        _ => None,
    };
    let facts = (change.is_some() || !decision.findings.is_empty()).then(|| kept(facts));
    Judged {
        resource: gathered.facts.resource.clone(),
        has,
        capacity,
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
    let is_settled = facts.replicas.is_ok() && !facts.rolling;
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
        capacity: None,
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

/// Puts what is most urgent first.
pub(super) fn sort(judged: &mut [Judged]) {
    judged.sort_by_key(|one| {
        #[expect(clippy::cast_possible_truncation, reason = "percent of a share")]
        let used = one.used.map_or(0, |used| (used * 1000.0) as i64);
        (rank(one.because), Reverse(used))
    });
}

/// How many changes of each kind one run may still make. The rest is left to a next run, and says so.
pub(super) struct Room<'e> {
    estate: &'e Estate,
    taken: BTreeMap<ChangeKind, u64>,
}

impl<'e> Room<'e> {
    pub(super) fn new(estate: &'e Estate) -> Self {
        Self {
            estate,
            taken: BTreeMap::new(),
        }
    }

    /// Whether there is a change that still has room; one that has none is left for later.
    pub(super) fn is_left(&self, one: &mut Judged) -> bool {
        let Some(change) = &one.change else {
            return false;
        };
        let kind = change.kind();
        let most = self.estate.policy(kind).most_per_run;
        if self.taken.get(&kind).copied().unwrap_or_default() < most {
            return true;
        }
        let message = format!(
            "{}: it is left to the next run, since one may change {most} (policy.{kind}.most_per_run)",
            change.difference()
        );
        let subject = one.resource.short();
        one.findings
            .push(Finding::new("scaling-later", subject, message));
        one.change = None;
        false
    }

    /// Counts the change, if there still is one.
    pub(super) fn take(&mut self, one: &Judged) {
        if let Some(change) = &one.change {
            *self.taken.entry(change.kind()).or_default() += 1;
        }
    }
}

/// What is urgent: what hurts now, then what will, then what costs.
fn rank(because: Because) -> u8 {
    match because {
        Because::Throttled | Because::Burst => 0,
        Because::NeededSoon => 1,
        Because::OutsideLimits => 2,
        Because::Calm | Because::BurstOver => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::cosmos::Throughput;
    use crate::estate::CosmosPrice;
    use crate::operations::autoscale::facts::Past;
    use serde_json::json;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_431_200, 0).expect("a time")
    }

    fn estate() -> Estate {
        Estate::parse(include_str!("../../../infra/estate.toml")).expect("the estate")
    }

    fn hot(name: &str, because: Because, used: f64) -> Judged {
        let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a");
        let resource = account.child("sqlDatabases", "d").child("containers", name);
        let mutation = Mutation::CosmosThroughput {
            from: Capacity::Manual(1000),
            to: Capacity::Manual(2000),
        };
        Judged {
            change: Some(Change::new(resource.clone(), mutation, "busy")),
            resource,
            has: "1000 RU/s".into(),
            capacity: None,
            used: Some(used),
            because,
            why: "busy".into(),
            findings: Vec::new(),
            facts: None,
        }
    }

    #[test]
    fn one_run_makes_so_many_changes_and_the_most_urgent_first() {
        let estate = estate();
        let mut judged = vec![
            hot("calm", Because::Calm, 3.0),
            hot("warm", Because::Throttled, 85.0),
            hot("soon", Because::NeededSoon, 40.0),
            hot("hottest", Because::Throttled, 100.0),
            hot("hot", Because::Throttled, 95.0),
        ];
        sort(&mut judged);
        let mut room = Room::new(&estate);
        for one in &mut judged {
            if room.is_left(one) {
                room.take(one);
            }
        }
        // policy.cosmos_throughput.most_per_run is 4.
        let left: Vec<_> = judged.iter().filter(|one| one.change.is_some()).collect();
        let names: Vec<_> = left.iter().map(|one| one.resource.name()).collect();
        assert_eq!(names, ["hottest", "hot", "warm", "soon"]);
        let last = judged.last().expect("five");
        assert_eq!(last.findings[0].code, "scaling-later");
        assert_eq!(last.to(), None);
    }

    #[test]
    fn what_is_outside_its_limits_is_judged_and_priced() {
        let mut estate = estate();
        estate.scaling.prices.cosmos = vec![CosmosPrice {
            region: "japaneast".into(),
            hundred_an_hour: Money::new(1_000_000, "JPY".parse().expect("a currency")),
        }];
        let of = |capacity, regions| GatheredContainer {
            facts: ContainerFacts {
                resource: hot("c", Because::Calm, 0.0).resource,
                supply: Supply::Own(Throughput {
                    capacity,
                    minimum: 400,
                    instant_maximum: Some(10_000),
                    pending: false,
                }),
                minutes: Vec::new(),
                ranges: Vec::new(),
                partitions: None,
                heaviest: None,
                storage_gb: None,
                ahead: None,
                past: Past::default(),
            },
            location: "Japan East".into(),
            regions,
        };
        let prices = &estate.scaling.prices;
        let manual = Capacity::Manual;
        for (name, from, to, regions, yen) in [
            ("manual", manual(1000), manual(2000), 1, 7300),
            ("two regions", manual(1000), manual(2000), 2, 14_600),
            ("less", manual(2000), manual(1000), 1, -7300),
            (
                "autoscale",
                Capacity::Autoscale(1000),
                Capacity::Autoscale(2000),
                1,
                10_950,
            ),
        ] {
            let gathered = of(from, regions);
            let money = throughput_monthly(prices, &gathered, from, to).expect("a price");
            assert_eq!(money.micros, yen * 1_000_000, "{name}");
        }
        let elsewhere = GatheredContainer {
            location: "West Europe".into(),
            ..of(manual(1000), 1)
        };
        let unknown = throughput_monthly(prices, &elsewhere, manual(1000), manual(2000));
        assert_eq!(unknown, None);
        let rules = ThroughputRules::default();
        let judged = container(&of(manual(1000), 1), &rules, prices, noon());
        assert_eq!(judged.because, Because::NoData);
        assert!(judged.change.is_none() && judged.facts.is_some());
    }

    #[test]
    fn scale_rules_become_those_of_the_estate_unless_people_wrote_others() {
        let rule = |kind: &str, by: &str, value: &str| {
            ScaleRule(json!({ "name": "r", "custom": { "type": kind,
                "metadata": { "type": by, "value": value } } }))
        };
        let rules = ReplicaRules::default();
        let (cpu, memory) = (
            rule("cpu", "Utilization", "70"),
            rule("memory", "Utilization", "80"),
        );
        let both = [cpu.clone(), memory.clone()];
        assert_eq!(scale_rules(&both, &rules), Ok(None));
        let found = scale_rules(&[memory], &rules);
        assert!(matches!(found, Ok(Some(Mutation::AppScaleRules { .. }))));
        let queue = ScaleRule(json!({ "name": "q", "azureQueue": { "queueLength": 5 } }));
        let found = scale_rules(&[cpu, queue], &rules);
        assert!(matches!(found, Ok(Some(Mutation::AppScaleRules { .. }))));
        let by_hand = [rule("cpu", "AverageValue", "500m")];
        assert!(scale_rules(&by_hand, &rules).is_err());
    }
}
