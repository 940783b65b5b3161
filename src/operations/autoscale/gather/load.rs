//! What was measured of the containers of Cosmos accounts.
//!
//! All accounts of a subscription and region are asked at once. An answer holds a number for each
//! minute of each container, so it is kept small: the whole hour is asked by container, without the
//! partitions and without the codes of answers; the refused requests are asked by themselves, which
//! are few; and the partitions are asked for the newest minutes, and only where a container is busy.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use futures::StreamExt as _;

use crate::azure::Azure;
use crate::azure::metrics::{self, Aggregation, Interval, Metric, Query, Series, each, one_of};
use crate::domain::{Finding, ResourceId};
use crate::operations::autoscale::facts::{Minute, Range};

const NAMESPACE: &str = "Microsoft.DocumentDB/databaseAccounts";
/// How far back minutes are asked: an hour, and what is not measured yet.
const LOOKS_BACK: Duration = Duration::minutes(66);
/// Partitions are judged by so many of the newest minutes, which are found within some more.
const NEWEST: i64 = 5;
const LOOKS_BACK_AT_PARTITIONS: Duration = Duration::minutes(12);
/// What is stored is measured every five minutes.
const LOOKS_BACK_AT_STORAGE: Duration = Duration::minutes(30);
/// So many containers are asked by one call.
const MOST_CONTAINERS: usize = 1_000;
/// So many names fit into a filter.
const MOST_NAMES: usize = 20;
/// Beside those that are known, an account may have so many containers before some are left out of
/// an answer, and then asked for by their names; more where all of a database's are wanted.
const STRANGERS: usize = 50;
const STRANGERS_OF_DATABASES: usize = 1_000;
/// Of one account's partitions.
const MOST_PARTITIONS: u32 = 20_000;
const AT_ONCE: usize = 6;

/// A container of an account, database first; in lower case, as resources are compared. Without a
/// container: what the database itself has, which its containers share.
pub(super) type Place = (String, String);

/// An account to ask about.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) account: ResourceId,
    /// Its containers that are wanted, each with its name as it is written; a database that is
    /// wanted as a whole has no container's name.
    pub(super) places: Vec<(Place, String)>,
    /// How many regions it has.
    pub(super) regions: u32,
}

impl Asked {
    /// Whether a database is wanted as a whole.
    fn has_database(&self) -> bool {
        self.places.iter().any(|(_, name)| name.is_empty())
    }
}

/// What was measured of one container.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Load {
    values: [BTreeMap<DateTime<Utc>, f64>; 5],
    /// Bytes.
    pub(super) stored: Option<f64>,
    pub(super) partitions: Option<u32>,
}

/// What was measured of an account.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Loads {
    pub(super) of: HashMap<Place, Load>,
    /// What Azure did not tell.
    missing: HashSet<What>,
    /// Only containers of some names were asked for.
    pub(super) narrow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Used,
    Requests,
    Units,
    Refused,
    Latency,
    Stored,
    Partitions,
}

impl What {
    /// All but the first, which says whether an account answers at all.
    const FURTHER: [Self; 6] = [
        Self::Requests,
        Self::Units,
        Self::Refused,
        Self::Latency,
        Self::Stored,
        Self::Partitions,
    ];

    fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Used => &["NormalizedRUConsumption"],
            Self::Requests | Self::Refused => &["TotalRequests"],
            Self::Units => &["TotalRequestUnits"],
            Self::Latency => &["ServerSideLatencyDirect"],
            Self::Stored => &["DataUsage", "IndexUsage"],
            Self::Partitions => &["PhysicalPartitionCount"],
        }
    }

    fn aggregation(self) -> Aggregation {
        match self {
            Self::Used | Self::Partitions => Aggregation::Maximum,
            Self::Requests | Self::Refused => Aggregation::Count,
            Self::Units | Self::Stored => Aggregation::Total,
            Self::Latency => Aggregation::Average,
        }
    }

    /// Of the containers with these names, or of all.
    fn filter(self, names: Option<&[&str]>) -> String {
        let containers = match names {
            Some(names) => one_of("CollectionName", names),
            None => each(&["CollectionName"]),
        };
        let databases = each(&["DatabaseName"]);
        match self {
            // Each region keeps all of it.
            Self::Stored => format!("{databases} and {} and {containers}", each(&["Region"])),
            Self::Refused => {
                let refused = one_of("StatusCode", &["429"]);
                format!("{databases} and {refused} and {containers}")
            }
            _ => format!("{databases} and {containers}"),
        }
    }

    /// When the minutes of an answer begin.
    fn from(self, until: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Stored | Self::Partitions => until - LOOKS_BACK_AT_STORAGE,
            _ => until - LOOKS_BACK,
        }
    }

    fn interval(self) -> Interval {
        match self {
            Self::Stored | Self::Partitions => Interval::FiveMinutes,
            _ => Interval::Minute,
        }
    }
}

/// Asks about these accounts, which lie in one subscription and region. Of an account that does not
/// answer there is nothing but a finding.
pub(super) async fn read(
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
fn parts(asked: &[Asked]) -> Vec<Vec<&Asked>> {
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

/// The minute that is under way.
fn minute(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(Duration::minutes(1)).unwrap_or(now)
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
fn all_names(asked: &[&Asked]) -> Option<Vec<String>> {
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

pub(super) fn key(account: &ResourceId) -> String {
    account.as_str().to_ascii_lowercase()
}

fn failed(metrics: &[Metric]) -> Option<&str> {
    metrics.iter().find_map(|metric| metric.failed.as_deref())
}

fn unread(account: &ResourceId, what: What, why: &str) -> Finding {
    let names = what.metrics().join(" and ");
    Finding::new(
        "metrics-unread",
        account.short(),
        format!("its metric {names} was not read: {why}"),
    )
}

/// The database and the container that a series is about. What is shared is measured without a
/// container, which Azure writes as a name of its own.
fn place(series: &Series) -> Option<Place> {
    let lower = |name: &str| Some(series.dimension(name)?.to_ascii_lowercase());
    let mut container = lower("CollectionName")?;
    if matches!(container.as_str(), "__empty" | "<empty>") {
        container.clear();
    }
    Some((lower("DatabaseName")?, container))
}

/// The newest number of a series.
fn newest(series: &Series) -> Option<f64> {
    let known = series.points.iter().filter_map(|p| Some((p.at, p.value?)));
    known.max_by_key(|(at, _)| *at).map(|(_, value)| value)
}

impl Load {
    fn has(&self, what: What) -> bool {
        match what.slot() {
            Some(slot) => !self.values[slot].is_empty(),
            None if what == What::Stored => self.stored.is_some(),
            None => self.partitions.is_some(),
        }
    }

    fn value(&self, what: What, at: DateTime<Utc>) -> Option<f64> {
        self.values[what.slot()?].get(&at).copied()
    }
}

impl What {
    fn slot(self) -> Option<usize> {
        match self {
            Self::Used => Some(0),
            Self::Requests => Some(1),
            Self::Units => Some(2),
            Self::Refused => Some(3),
            Self::Latency => Some(4),
            Self::Stored | Self::Partitions => None,
        }
    }
}

impl Loads {
    fn merge(&mut self, more: Self) {
        self.missing.extend(more.missing);
        for (place, load) in more.of {
            let of = self.of.entry(place).or_default();
            for (to, from) in of.values.iter_mut().zip(load.values) {
                to.extend(from);
            }
            of.stored = load.stored.or(of.stored);
            of.partitions = load.partitions.or(of.partitions);
        }
    }

    /// Takes what an answer tells, of all containers or of these.
    fn take(&mut self, what: What, metrics: &[Metric], only: Option<&HashSet<Place>>) {
        let wanted = |place: &Place| only.is_none_or(|only| only.contains(place));
        if what == What::Stored {
            return self.take_stored(metrics, wanted);
        }
        for series in metrics.iter().flat_map(|metric| &metric.series) {
            let Some(place) = place(series).filter(&wanted) else {
                continue;
            };
            let load = self.of.entry(place).or_default();
            let Some(slot) = what.slot() else {
                if let Some(count) = newest(series).filter(|count| *count >= 1.0) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a count"
                    )]
                    let count = count as u32;
                    load.partitions = load.partitions.max(Some(count));
                }
                continue;
            };
            for point in &series.points {
                let Some(value) = point.value else { continue };
                let sums = matches!(what, What::Requests | What::Units | What::Refused);
                load.values[slot]
                    .entry(point.at)
                    .and_modify(|has| *has = if sums { *has + value } else { has.max(value) })
                    .or_insert(value);
            }
        }
    }

    /// Data and index together, of the region that has the most.
    fn take_stored(&mut self, metrics: &[Metric], wanted: impl Fn(&Place) -> bool) {
        let mut regions: HashMap<(Place, &str), f64> = HashMap::new();
        for series in metrics.iter().flat_map(|metric| &metric.series) {
            let place = place(series).filter(&wanted);
            if let (Some(place), Some(bytes)) = (place, newest(series)) {
                let region = series.dimension("Region").unwrap_or_default();
                *regions.entry((place, region)).or_default() += bytes;
            }
        }
        for ((place, _), bytes) in regions {
            let load = self.of.entry(place).or_default();
            load.stored = Some(load.stored.map_or(bytes, |has| has.max(bytes)));
        }
    }

    /// What a database has, and the containers that live on it: how full they are is measured of the
    /// database, and of each container that has something of its own. `own`: that have, as is known
    /// from elsewhere.
    pub(super) fn sharing(&self, database: &str, own: &HashSet<Place>) -> Vec<&Place> {
        let shares = |(place, load): &(&Place, &Load)| {
            let is_itself = place.1.is_empty();
            place.0 == database && (is_itself || !(load.has(What::Used) || own.contains(*place)))
        };
        let found = self.of.iter().filter(shares);
        let mut places: Vec<&Place> = found.map(|(place, _)| place).collect();
        places.sort_unstable();
        places
    }

    /// Whether a container lives on what its database has, as far as was measured.
    pub(super) fn shares(&self, place: &Place) -> bool {
        let used = |place: &Place| self.of.get(place).is_some_and(|load| load.has(What::Used));
        !used(place) && used(&(place.0.clone(), String::new()))
    }

    /// The minutes of these containers, taken together as if they were one. A minute of which
    /// nothing is known is left out.
    pub(super) fn minutes(&self, places: &[&Place], now: DateTime<Utc>) -> Vec<Minute> {
        let loads: Vec<&Load> = places.iter().filter_map(|p| self.of.get(*p)).collect();
        let until = minute(now);
        let count = LOOKS_BACK.num_minutes();
        let times = (0..count).map(|at| until - Duration::minutes(count - at));
        let known = |what: What| !self.missing.contains(&what);
        let mut minutes = Vec::new();
        for at in times {
            let values = |what: What| loads.iter().filter_map(move |load| load.value(what, at));
            let sum = |what: What| values(what).reduce(|a, b| a + b);
            let requests = sum(What::Requests);
            // Requests were counted, and none of them under this code.
            let refused = requests
                .filter(|_| known(What::Refused))
                .map(|_| sum(What::Refused).unwrap_or(0.0));
            let minute = Minute {
                at,
                used: values(What::Used).reduce(f64::max),
                units: sum(What::Units),
                requests,
                refused,
                latency_ms: mean(&loads, at),
            };
            let nothing = [
                minute.used,
                minute.units,
                minute.requests,
                minute.latency_ms,
            ];
            if nothing.iter().any(Option::is_some) {
                minutes.push(minute);
            }
        }
        minutes
    }

    /// GB of data and index of these containers.
    pub(super) fn storage_gb(&self, places: &[&Place]) -> Option<f64> {
        let loads = places.iter().filter_map(|place| self.of.get(*place));
        let bytes = loads.filter_map(|load| load.stored).reduce(|a, b| a + b)?;
        Some(bytes / 1e9)
    }

    pub(super) fn partitions(&self, places: &[&Place]) -> Option<u32> {
        let loads = places.iter().filter_map(|place| self.of.get(*place));
        loads.filter_map(|load| load.partitions).max()
    }
}

/// The mean latency, by how many requests had it.
fn mean(loads: &[&Load], at: DateTime<Utc>) -> Option<f64> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for load in loads {
        if let Some(latency) = load.value(What::Latency, at) {
            let requests = load.value(What::Requests, at).unwrap_or(1.0).max(1.0);
            sum += latency * requests;
            weight += requests;
        }
    }
    (weight > 0.0).then(|| sum / weight)
}

/// What the partitions of an account's containers used within the newest minutes.
///
/// Errors: why they are not told.
pub(super) async fn partitions(
    azure: &Azure,
    region: &str,
    account: &ResourceId,
    now: DateTime<Utc>,
) -> Result<HashMap<Place, Vec<Range>>, String> {
    let until = minute(now);
    let query = Query {
        metrics: What::Used.metrics(),
        aggregation: Aggregation::Maximum,
        interval: Interval::Minute,
        from: until - LOOKS_BACK_AT_PARTITIONS,
        until,
        filter: Some(each(&[
            "DatabaseName",
            "CollectionName",
            "PartitionKeyRangeId",
        ])),
        top: MOST_PARTITIONS,
    };
    let subscription = account.subscription().unwrap_or_default();
    let accounts = [account.clone()];
    let answers = metrics::batch(azure, region, subscription, NAMESPACE, &accounts, &query).await;
    let Some((_, answer)) = answers.into_iter().next() else {
        return Err("nothing was answered".into());
    };
    let metrics = answer.map_err(|error| error.to_string())?;
    if let Some(why) = failed(&metrics) {
        return Err(why.to_owned());
    }
    if metrics.iter().any(|metric| metric.cut) {
        return Err(format!("it has more than {MOST_PARTITIONS} of them"));
    }
    Ok(ranges(&metrics))
}

fn ranges(metrics: &[Metric]) -> HashMap<Place, Vec<Range>> {
    let mut found: HashMap<Place, BTreeMap<String, Vec<(DateTime<Utc>, f64)>>> = HashMap::new();
    for series in metrics.iter().flat_map(|metric| &metric.series) {
        let range = series.dimension("PartitionKeyRangeId");
        if let (Some(place), Some(range)) = (place(series), range) {
            let points = series.points.iter().filter_map(|p| Some((p.at, p.value?)));
            let of = found.entry(place).or_default();
            of.entry(range.to_owned()).or_default().extend(points);
        }
    }
    let of_container = |ranges: BTreeMap<String, Vec<(DateTime<Utc>, f64)>>| {
        let newest = ranges.values().flatten().map(|(at, _)| *at).max();
        let from = newest.map(|at| at - Duration::minutes(NEWEST));
        let range = |(id, points): (String, Vec<(DateTime<Utc>, f64)>)| {
            let recent = points.iter().filter(|(at, _)| Some(*at) > from);
            let used = recent.map(|(_, used)| *used).reduce(f64::max)?;
            Some(Range { id, used })
        };
        ranges.into_iter().filter_map(range).collect()
    };
    found
        .into_iter()
        .map(|(place, ranges)| (place, of_container(ranges)))
        .collect()
}

#[cfg(test)]
mod tests;
