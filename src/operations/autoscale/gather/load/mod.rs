//! What was measured of the containers of Cosmos accounts.
//!
//! All accounts of a subscription and region are asked at once. An answer holds a number for each
//! minute of each container, so it is kept small: the whole hour is asked by container, without the
//! partitions and without the codes of answers; the refused requests are asked by themselves, which
//! are few; and the partitions are asked for the newest minutes, and only where a container is busy.

mod partitions;
mod question;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Duration, DurationRound as _, Utc};

use crate::azure::metrics::{Metric, Series};
use crate::domain::ResourceId;
use crate::operations::autoscale::facts::Minute;
pub(super) use partitions::partitions;
use question::{LOOKS_BACK, What};
pub(super) use reader::{Asked, read};

const NAMESPACE: &str = "Microsoft.DocumentDB/databaseAccounts";

/// A container of an account, database first; in lower case, as resources are compared. Without a
/// container: what the database itself has, which its containers share.
pub(super) type Place = (String, String);

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

pub(super) fn key(account: &ResourceId) -> String {
    account.as_str().to_ascii_lowercase()
}

/// The minute that is under way.
fn minute(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(Duration::minutes(1)).unwrap_or(now)
}

fn failed(metrics: &[Metric]) -> Option<&str> {
    metrics.iter().find_map(|metric| metric.failed.as_deref())
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
