//! Metrics of a Cosmos account: those of its containers, put together.

use rusqlite::Connection;
use serde_json::Value;

use super::series::Table;
use super::window::{Block, Window};
use crate::local::storage::Refusal;
use crate::local::world::loads::StampLoad;
use crate::local::world::past::{self, Held};
use crate::local::world::physics::Measured;
use crate::local::world::physics::container::{Container, Minute, Offer};
use crate::local::world::pressure::{Pressure, Pressures};
use crate::local::world::{self, Resource};

/// How Azure calls what an offer of a database is for.
const SHARED: &str = "__Empty";
const OPERATIONS: [(&str, &str); 4] = [
    ("Read", "200"),
    ("Query", "200"),
    ("Upsert", "201"),
    ("Delete", "204"),
];
/// How long each of them takes, relative to the mean.
const TAKES: [f64; 4] = [0.6, 1.5, 1.2, 1.1];
/// Of what is stored, the data; the rest are indexes.
const DATA: f64 = 0.8;
const GB: f64 = 1e9;

/// An account, as its metrics need it.
pub(super) struct Account {
    pub(super) id: String,
    pub(super) location: String,
    name: String,
    containers: Vec<One>,
    silent: Pressures,
}

struct One {
    database: String,
    name: String,
    /// Whether it lives on what its database has.
    shared: bool,
    offers: Vec<(i64, Offer, f64)>,
    pressures: Pressures,
}

impl Account {
    pub(super) fn read(
        db: &Connection,
        account: Resource,
        pressures: &[Pressure],
    ) -> Result<Self, Refusal> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let held = past::under(db, &account.key)?;
        let mut containers = Vec::new();
        let databases = format!("{}/sqldatabases", account.key);
        for database in world::children(db, &databases, "", i64::MAX)? {
            let own = offers(&held, &database.key);
            let list = format!("{}/containers", database.key);
            for container in world::children(db, &list, "", i64::MAX)? {
                let offers = offers(&held, &container.key);
                let shared = offers.is_empty();
                containers.push(One {
                    database: text(&database.body["name"]),
                    name: text(&container.body["name"]),
                    shared,
                    offers: if shared { own.clone() } else { offers },
                    pressures: Pressures::of(pressures, &container.key),
                });
            }
        }
        Ok(Self {
            silent: Pressures::of(pressures, &account.key),
            id: text(&account.body["id"]),
            location: text(&account.body["location"]),
            name: text(&account.body["name"]),
            containers,
        })
    }

    /// Adds what was measured of its containers to the tables.
    pub(super) fn measure(&self, load: StampLoad<'_>, window: &Window, tables: &mut [Table<'_>]) {
        let (from, until) = window.known;
        let loads = load.range(from, until);
        let blocks = window.blocks(&loads);
        let told = Told {
            loads: &loads,
            blocks: &blocks,
            from,
            coarse: window.is_coarse(),
            silent: &self.silent,
        };
        let region = ("Region", self.location.as_str());
        for one in &self.containers {
            let place = [
                ("DatabaseName", one.database.as_str()),
                ("CollectionName", one.name.as_str()),
                region,
            ];
            // What a database has is told of the database alone.
            let owner = [
                place[0],
                (
                    "CollectionName",
                    if one.shared { SHARED } else { &one.name },
                ),
                region,
            ];
            if !tables.iter().any(|t| t.lets(&place) || t.lets(&owner)) {
                continue;
            }
            let (designed, _) = world::throughput(&one.name);
            let container = Container::new(&self.name, &one.name, designed as f64, load.told);
            one.measure(&container, &told, |bucket, sum| {
                for table in tables.iter_mut() {
                    sum.tell(&container, table, bucket, &place, &owner);
                }
            });
        }
    }
}

/// The offers of a container or a database, with the minute from which each held, and GB stored.
fn offers(held: &[Held], of: &str) -> Vec<(i64, Offer, f64)> {
    let key = format!("{of}/throughputsettings/default");
    let ours = held.iter().filter(|one| one.id == key);
    ours.map(|one| {
        let number = |name: &str| one.body[name].as_f64().unwrap_or_default();
        let offer = Offer {
            ru: number("value"),
            autoscale: one.body["autoscale"] == true,
            partitions: world::partitions_serving(number("instant_maximum")),
        };
        (one.from, offer, number("storage_gb"))
    })
    .collect()
}

/// What was measured within a bucket, as long as the same partitions were there.
#[derive(Default)]
struct Sum {
    done: f64,
    refused: f64,
    latency: Measured,
    used: Vec<Measured>,
    provisioned: Measured,
    autoscale_most: Measured,
    partitions: Measured,
    stored: Measured,
}

/// What all containers of an account have in common while they are measured.
struct Told<'a> {
    /// Of each minute since `from`.
    loads: &'a [f64],
    blocks: &'a [Block],
    from: i64,
    /// Whether hours in which nothing happens are taken as a whole.
    coarse: bool,
    silent: &'a Pressures,
}

impl One {
    fn measure(&self, container: &Container, told: &Told<'_>, mut tell: impl FnMut(usize, &Sum)) {
        let (mut sum, mut open) = (Sum::default(), None);
        let mut out = Minute::default();
        for block in told.blocks {
            let steady = told.silent.steady(block.from, block.until)
                && self.pressures.steady(block.from, block.until)
                && self.held(block.from).map(|(since, ..)| since)
                    == self.held(block.until - 1).map(|(since, ..)| since);
            let step = if steady { block.until - block.from } else { 1 };
            let mut begins = block.from;
            while begins < block.until {
                let ends = begins + step;
                let silent = told.silent.silent(begins) || self.pressures.silent(begins);
                let held = self.held(begins).filter(|_| !silent);
                let Some((_, offer, stored)) = held else {
                    begins = ends;
                    continue;
                };
                let now = (block.bucket, offer.partitions);
                if open != Some(now) {
                    if let Some((bucket, _)) = open {
                        tell(bucket, &sum);
                    }
                    sum = Sum {
                        used: vec![Measured::NOTHING; offer.partitions],
                        ..Sum::default()
                    };
                    open = Some(now);
                }
                let hour = container.hour(begins.div_euclid(60), offer.partitions);
                let factor = self.pressures.factor(begins);
                let hot = self.pressures.hot(begins);
                let mut at = |load: f64| {
                    container.minute(load * factor, &hour, offer, hot, &mut out);
                    out.clone()
                };
                let busiest = at(block.most);
                if told.coarse && steady && busiest.refused <= 0.0 {
                    let minutes = (block.until - block.from) as f64;
                    let mean = at(block.sum / minutes);
                    sum.add_block(block, [&at(block.least), &mean, &busiest], offer, *stored);
                } else {
                    for minute in begins..ends {
                        let place = usize::try_from(minute - told.from).unwrap_or(0);
                        container.minute(told.loads[place] * factor, &hour, offer, hot, &mut out);
                        sum.add(minute, &out, offer, *stored);
                    }
                }
                begins = ends;
            }
        }
        if let Some((bucket, _)) = open {
            tell(bucket, &sum);
        }
    }

    /// What there was in a minute.
    fn held(&self, minute: i64) -> Option<&(i64, Offer, f64)> {
        let mut all = self.offers.iter().rev();
        all.find(|(since, ..)| *since <= minute)
    }
}

impl Sum {
    fn add(&mut self, minute: i64, now: &Minute, offer: &Offer, stored: f64) {
        self.done += now.done;
        self.refused += now.refused;
        self.latency.add(&Measured::many(now.latency_ms, now.done));
        for (used, percent) in self.used.iter_mut().zip(&now.used) {
            used.add(&Measured::one(*percent));
        }
        if minute % 5 == 0 {
            self.provisioned.add(&Measured::one(now.provisioned));
            if offer.autoscale {
                self.autoscale_most.add(&Measured::one(offer.ru));
            }
            self.partitions.add(&Measured::one(offer.partitions as f64));
            self.stored.add(&Measured::one(stored));
        }
    }

    /// Adds a block of minutes in which nothing was refused and nothing changed: by the least, the
    /// mean and the busiest of them.
    fn add_block(
        &mut self,
        block: &Block,
        [least, mean, busiest]: [&Minute; 3],
        offer: &Offer,
        stored: f64,
    ) {
        let minutes = (block.until - block.from) as f64;
        let done = mean.done * minutes;
        self.done += done;
        self.latency.add(&Measured::many(mean.latency_ms, done));
        for (place, used) in self.used.iter_mut().enumerate() {
            used.add(&Measured {
                total: mean.used[place] * minutes,
                count: minutes,
                least: least.used[place],
                most: busiest.used[place],
            });
        }
        let samples = (block.from..block.until).filter(|minute| minute % 5 == 0);
        let samples = samples.count() as f64;
        if samples > 0.0 {
            self.provisioned.add(&Measured {
                total: mean.provisioned * samples,
                count: samples,
                least: least.provisioned,
                most: busiest.provisioned,
            });
            if offer.autoscale {
                self.autoscale_most.add(&Measured::many(offer.ru, samples));
            }
            let partitions = offer.partitions as f64;
            self.partitions.add(&Measured::many(partitions, samples));
            self.stored.add(&Measured::many(stored, samples));
        }
    }

    fn tell(
        &self,
        container: &Container,
        table: &mut Table<'_>,
        bucket: usize,
        place: &[(&str, &str); 3],
        owner: &[(&str, &str); 3],
    ) {
        let part = |share: f64| Measured {
            total: self.stored.total * share * GB,
            count: self.stored.count,
            least: self.stored.least * share * GB,
            most: self.stored.most * share * GB,
        };
        match table.metric.name {
            "NormalizedRUConsumption" => {
                for (range, used) in self.used.iter().enumerate() {
                    let range = range.to_string();
                    let [a, b, c] = *owner;
                    table.add(&[a, b, c, ("PartitionKeyRangeId", &range)], bucket, used);
                }
            }
            "ProvisionedThroughput" => table.add(&owner[..2], bucket, &self.provisioned),
            "AutoscaleMaxThroughput" => table.add(&owner[..2], bucket, &self.autoscale_most),
            "PhysicalPartitionCount" => table.add(&owner[..2], bucket, &self.partitions),
            "DataUsage" => table.add(place, bucket, &part(DATA)),
            "IndexUsage" => table.add(place, bucket, &part(1.0 - DATA)),
            name => self.tell_calls(name, container, table, bucket, place),
        }
    }

    fn tell_calls(
        &self,
        name: &str,
        container: &Container,
        table: &mut Table<'_>,
        bucket: usize,
        place: &[(&str, &str); 3],
    ) {
        let kinds = container.kinds(self.done, self.refused);
        let [a, b, c] = *place;
        let takes: f64 = kinds.iter().zip(TAKES).map(|(k, t)| k.done * t).sum();
        for ((kind, (operation, code)), slower) in kinds.iter().zip(OPERATIONS).zip(TAKES) {
            let operation = ("OperationType", operation);
            if name == "ServerSideLatencyDirect" {
                if self.latency.is_empty() || takes <= 0.0 {
                    continue;
                }
                let ms = self.latency.mean() * slower * self.done / takes;
                let mode = ("ConnectionMode", "Direct");
                table.add(
                    &[a, b, c, mode, operation],
                    bucket,
                    &Measured::many(ms, kind.done),
                );
                continue;
            }
            for (code, status, calls, charge) in [
                (code, "Success", kind.done, kind.charge),
                (
                    "429",
                    "ClientThrottlingError",
                    kind.refused,
                    kind.refused_charge,
                ),
            ] {
                let measured = if name == "TotalRequests" {
                    Measured::many(1.0, calls)
                } else {
                    Measured::many(charge, calls)
                };
                let labels = [a, b, c, ("StatusCode", code), operation, ("Status", status)];
                table.add(&labels, bucket, &measured);
            }
        }
    }
}
