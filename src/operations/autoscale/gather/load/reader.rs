//! Asks about accounts, as many at once as one call takes, and again about what was left out.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::StreamExt as _;

use super::question::What;
use super::{Loads, NAMESPACE, Place, failed, key, minute};
use crate::azure::Azure;
use crate::azure::metrics::{self, Query};
use crate::domain::{Finding, ResourceId};

/// So many containers are asked by one call.
const MOST_CONTAINERS: usize = 1_000;
/// So many names fit into a filter.
const MOST_NAMES: usize = 20;
/// Beside those that are known, an account may have so many containers before some are left out of
/// an answer, and then asked for by their names; more where all of a database's are wanted.
const STRANGERS: usize = 50;
const STRANGERS_OF_DATABASES: usize = 1_000;
const AT_ONCE: usize = 6;

/// An account to ask about.
#[derive(Debug, Clone)]
pub(in crate::operations::autoscale::gather) struct Asked {
    pub(in crate::operations::autoscale::gather) account: ResourceId,
    /// Its containers that are wanted, each with its name as it is written; a database that is
    /// wanted as a whole has no container's name.
    pub(in crate::operations::autoscale::gather) places: Vec<(Place, String)>,
    /// How many regions it has.
    pub(in crate::operations::autoscale::gather) regions: u32,
}

impl Asked {
    /// Whether a database is wanted as a whole.
    fn has_database(&self) -> bool {
        self.places.iter().any(|(_, name)| name.is_empty())
    }
}

/// Asks about these accounts, which lie in one subscription and region. Of an account that does not
/// answer there is nothing but a finding.
pub(in crate::operations::autoscale::gather) async fn read(
    azure: &Azure,
    region: &str,
    subscription: &str,
    asked: &[Asked],
    now: DateTime<Utc>,
) -> (HashMap<String, Loads>, Vec<Finding>) {
    let reader = Reader {
        azure,
        region,
        subscription,
        until: minute(now),
    };
    let parts = parts(asked);
    let parts: Vec<_> = parts.iter().map(|part| reader.part(part)).collect();
    let answers: Vec<_> = futures::stream::iter(parts)
        .buffered(2)
        .collect::<Vec<_>>()
        .await;
    let (mut loads, mut findings) = (HashMap::new(), Vec::new());
    for (part, found) in answers {
        loads.extend(part);
        findings.extend(found);
    }
    (loads, findings)
}

/// The accounts of each call: not too many, and not with too many containers.
pub(super) fn parts(asked: &[Asked]) -> Vec<Vec<&Asked>> {
    let mut parts: Vec<Vec<&Asked>> = Vec::new();
    let mut containers = usize::MAX;
    for one in asked {
        let more = one.places.len() + STRANGERS / 10;
        let full = parts
            .last()
            .is_none_or(|part| part.len() >= metrics::MOST_RESOURCES);
        if full || containers.saturating_add(more) > MOST_CONTAINERS {
            parts.push(Vec::new());
            containers = 0;
        }
        containers += more;
        if let Some(part) = parts.last_mut() {
            part.push(one);
        }
    }
    parts
}

struct Reader<'a> {
    azure: &'a Azure,
    region: &'a str,
    subscription: &'a str,
    until: DateTime<Utc>,
}

impl Reader<'_> {
    async fn part(&self, asked: &[&Asked]) -> (HashMap<String, Loads>, Vec<Finding>) {
        let mut loads: HashMap<String, Loads> = asked
            .iter()
            .map(|one| (key(&one.account), Loads::default()))
            .collect();
        let mut findings = self.note(What::Used, asked, &mut loads).await;
        // Whoever does not answer the first question is not asked the others.
        let answering: Vec<&Asked> = asked
            .iter()
            .copied()
            .filter(|one| !loads[&key(&one.account)].missing.contains(&What::Used))
            .collect();
        if answering.is_empty() {
            return (loads, findings);
        }
        let questions: Vec<_> = What::FURTHER
            .iter()
            .map(|what| async {
                let mut part: HashMap<String, Loads> = HashMap::new();
                let findings = self.note(*what, &answering, &mut part).await;
                (part, findings)
            })
            .collect();
        let answers: Vec<_> = futures::stream::iter(questions)
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (part, found) in answers {
            findings.extend(found);
            for (account, more) in part {
                loads.entry(account).or_default().merge(more);
            }
        }
        (loads, findings)
    }

    /// Asks one question about all accounts, and again about the containers that were left out.
    async fn note(
        &self,
        what: What,
        asked: &[&Asked],
        loads: &mut HashMap<String, Loads>,
    ) -> Vec<Finding> {
        let accounts: Vec<ResourceId> = asked.iter().map(|one| one.account.clone()).collect();
        let most = asked.iter().map(|one| one.places.len()).max().unwrap_or(0);
        let names = all_names(asked);
        let names: Option<Vec<&str>> = names.as_ref().map(|n| n.iter().map(|n| &**n).collect());
        let regions = asked.iter().map(|one| one.regions).max().unwrap_or(1);
        let each = if what == What::Stored { regions } else { 1 };
        let whole = asked.iter().any(|one| one.has_database());
        let strangers = if whole {
            STRANGERS_OF_DATABASES
        } else {
            STRANGERS
        };
        let top = u32::try_from(most + strangers).unwrap_or(u32::MAX) * each.max(1);
        let answers = self
            .ask(what, &accounts, what.filter(names.as_deref()), top)
            .await;
        let mut findings = Vec::new();
        for ((account, answer), one) in answers.into_iter().zip(asked) {
            let of = loads.entry(key(&account)).or_default();
            let metrics = match answer {
                Ok(metrics) => metrics,
                Err(error) => {
                    of.missing.insert(what);
                    findings.push(unread(&account, what, &error.to_string()));
                    continue;
                }
            };
            if let Some(why) = failed(&metrics) {
                of.missing.insert(what);
                findings.push(unread(&account, what, why));
                continue;
            }
            of.narrow |= names.is_some();
            of.take(what, &metrics, None);
            if metrics.iter().any(|metric| metric.cut) {
                let found = self.left_out(what, one, of, each).await;
                findings.extend(found);
            }
        }
        findings
    }

    /// Asks by name for the containers of an account that an answer left out.
    async fn left_out(
        &self,
        what: What,
        one: &Asked,
        of: &mut Loads,
        regions: u32,
    ) -> Option<Finding> {
        if one.has_database() {
            of.missing.insert(what);
            let why = "it has more containers than can be asked for at once";
            return Some(unread(&one.account, what, why));
        }
        let is_out = |place: &Place| !of.of.get(place).is_some_and(|load| load.has(what));
        let left: Vec<_> = one.places.iter().filter(|(p, _)| is_out(p)).collect();
        let out: HashSet<Place> = left.iter().map(|(place, _)| place.clone()).collect();
        let mut names: Vec<&str> = left.iter().map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let account = [one.account.clone()];
        for names in names.chunks(MOST_NAMES) {
            // The same name may be in many databases.
            let top = u32::try_from(one.places.len() + STRANGERS).unwrap_or(u32::MAX) * regions;
            let filter = what.filter(Some(names));
            let answers = self.ask(what, &account, filter, top).await;
            for (account, answer) in answers {
                let why = match &answer {
                    Err(error) => Some(error.to_string()),
                    Ok(metrics) if metrics.iter().any(|metric| metric.cut) => {
                        Some("it has too many containers of the same names".to_owned())
                    }
                    Ok(metrics) => failed(metrics).map(str::to_owned),
                };
                if let Some(why) = why {
                    of.missing.insert(what);
                    return Some(unread(&account, what, &why));
                }
                of.take(what, &answer.unwrap_or_default(), Some(&out));
            }
        }
        None
    }

    async fn ask(
        &self,
        what: What,
        accounts: &[ResourceId],
        filter: String,
        top: u32,
    ) -> Vec<metrics::Answered> {
        let query = Query {
            metrics: what.metrics(),
            aggregation: what.aggregation(),
            interval: what.interval(),
            from: what.from(self.until),
            until: self.until,
            filter: Some(filter),
            top,
        };
        metrics::batch(
            self.azure,
            self.region,
            self.subscription,
            NAMESPACE,
            accounts,
            &query,
        )
        .await
    }
}

/// The names of all containers, if they are few and no database is wanted as a whole.
pub(super) fn all_names(asked: &[&Asked]) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for one in asked {
        if one.has_database() {
            return None;
        }
        names.extend(one.places.iter().map(|(_, name)| name.clone()));
    }
    names.sort_unstable();
    names.dedup();
    (names.len() <= MOST_NAMES).then_some(names)
}

fn unread(account: &ResourceId, what: What, why: &str) -> Finding {
    let names = what.metrics().join(" and ");
    Finding::new(
        "metrics-unread",
        account.short(),
        format!("its metric {names} was not read: {why}"),
    )
}
