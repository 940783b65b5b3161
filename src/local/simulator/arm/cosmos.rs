//! Throughput of Cosmos containers and databases. Source: Cosmos DB REST, "SQL Resources".

use axum::response::Response;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::path::Path;
use super::{Ask, must_be_free, operations};
use crate::local::storage::{Refusal, note};
use crate::local::world;

pub(super) const VERSION: &str = "2024-08-15";
pub(super) const ACCOUNT: &str = "Microsoft.DocumentDB/databaseAccounts";
pub(super) const DATABASE: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases";
pub(super) const DATABASE_OFFER: &str =
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings";
pub(super) const CONTAINER: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers";
pub(super) const CONTAINER_OFFER: &str =
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings";

/// Nobody gets more without asking Azure first. RU/s.
const MOST: i64 = 1_000_000;
/// How long partitions take to split.
const SPLIT_MS: i64 = 4 * 3600 * 1000;

/// The throughput of a container or database, in RU/s.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Offer {
    /// With its own capitals.
    id: String,
    /// Throughput, or the most that it scales to by itself.
    value: i64,
    autoscale: bool,
    /// The most that there ever was: it sets the floor.
    highest: i64,
    /// Whether a change is under way.
    pending: bool,
    /// Above this, partitions must be split first.
    instant_maximum: i64,
    /// GB of data and index.
    storage_gb: f64,
}

impl Offer {
    fn read(body: &Value) -> Result<Self, Refusal> {
        serde_json::from_value(body.clone())
            .map_err(|e| Refusal::new(500, "InternalError", e.to_string()))
    }

    fn step(&self) -> i64 {
        if self.autoscale { 1000 } else { 100 }
    }

    /// What the service holds it at least at: by itself, by the most that there ever was, and by
    /// what is stored.
    fn minimum(&self) -> i64 {
        let (least, share, by_gb) = if self.autoscale {
            (1000, 10, 10.0)
        } else {
            (400, 100, 1.0)
        };
        let by_history = (self.highest + share - 1) / share;
        #[expect(clippy::cast_possible_truncation, reason = "a container holds some GB")]
        let by_storage = (self.storage_gb * by_gb).ceil() as i64;
        let needed = by_history.max(by_storage);
        least.max((needed + self.step() - 1) / self.step() * self.step())
    }

    /// What can be had at once when its partitions have been split until they serve this much.
    fn split_for(&self, value: i64) -> i64 {
        let mut serves = self.instant_maximum.max(world::PARTITION_SERVES);
        while serves < value {
            serves *= 2;
        }
        serves
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// An offer as Azure shows it: some numbers are texts.
pub(super) fn show(body: &Value, etag: &str) -> Value {
    let Ok(offer) = Offer::read(body) else {
        return Value::Null;
    };
    let mut resource = json!({
        "throughput": offer.value,
        "minimumThroughput": offer.minimum().to_string(),
        "offerReplacePending": offer.pending.to_string(),
        "instantMaximumThroughput": offer.instant_maximum.to_string(),
        "softAllowedMaximumThroughput": MOST.to_string(),
        "_etag": etag,
    });
    if offer.autoscale {
        // What it runs at while it rests: a tenth.
        resource["throughput"] = json!(offer.value / 10);
        resource["autoscaleSettings"] = json!({ "maxThroughput": offer.value });
    }
    let kind = if offer.id.contains("/containers/") {
        CONTAINER_OFFER
    } else {
        DATABASE_OFFER
    };
    json!({
        "id": offer.id,
        "name": "default",
        "type": kind,
        "location": "Japan East",
        "tags": {},
        "properties": { "resource": resource },
    })
}

pub(super) fn bad(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "BadRequest", why)
}

#[derive(Deserialize)]
struct Update {
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    resource: Wanted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    throughput: Option<i64>,
    autoscale_settings: Option<Autoscale>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Autoscale {
    max_throughput: i64,
}

/// Update Container Throughput, and the same for a database.
pub(super) async fn set(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let asked: Update = serde_json::from_value(ask.json()?)
        .map_err(|e| bad(format!("The request is invalid: {e}")))?;
    let wanted = asked.properties.resource;
    let (value, autoscale) = match (wanted.throughput, wanted.autoscale_settings) {
        (Some(value), None) => (value, false),
        (None, Some(settings)) => (settings.max_throughput, true),
        _ => {
            return Err(bad(
                "Exactly one of throughput and autoscaleSettings must be given.",
            ));
        }
    };
    let (path, if_match, takes) = (ask.path.clone(), ask.if_match(), ask.takes());
    let id = ask
        .shared
        .world
        .change(ask.ending, move |db, now| {
            let found = must_be_free(db, &path, if_match.as_deref())?;
            let offer = Offer::read(&found.body)?;
            check(&offer, value, autoscale)?;
            if value != offer.value {
                let what = if autoscale {
                    "autoscale maximum"
                } else {
                    "throughput"
                };
                let from = offer.value;
                note(
                    db,
                    &format!("{}: {what} {from} -> {value} RU/s", owner(&path)),
                )?;
            }
            let new = Offer {
                value,
                highest: offer.highest.max(value),
                ..offer.clone()
            };
            begin(db, &path, &offer, &new, now, takes)
        })
        .await?;
    Ok(follow(ask, &id))
}

fn check(offer: &Offer, value: i64, autoscale: bool) -> Result<(), Refusal> {
    if autoscale != offer.autoscale {
        return Err(bad(
            "The offer cannot change between manual and autoscale here: use migrateToAutoscale or migrateToManualThroughput.",
        ));
    }
    let (least, step) = (offer.minimum(), offer.step());
    if value % step != 0 {
        return Err(bad(format!(
            "The offer should have valid throughput values between {least} and {MOST} inclusive in increments of {step}."
        )));
    }
    if value < least {
        return Err(bad(format!(
            "The offer throughput {value} is below the minimum of {least}."
        )));
    }
    if value > MOST {
        return Err(bad(format!(
            "The offer throughput {value} is above the most that is allowed, {MOST}."
        )));
    }
    Ok(())
}

/// Begins a change. Above the instant maximum it is accepted soon, and there only when partitions
/// have split.
fn begin(
    db: &Connection,
    path: &Path,
    old: &Offer,
    new: &Offer,
    now: i64,
    takes: i64,
) -> Result<String, Refusal> {
    let waiting = Offer {
        pending: true,
        ..old.clone()
    };
    world::put(db, &path.id, &waiting.json())?;
    let soon = now + takes;
    if new.value <= old.instant_maximum {
        return world::operations::begin(db, &path.id, &new.json(), now, soon);
    }
    let split = Offer {
        instant_maximum: old.split_for(new.value),
        ..new.clone()
    };
    world::operations::begin(db, &path.id, &split.json(), now, now + SPLIT_MS)?;
    world::operations::begin(db, &path.id, &waiting.json(), now, soon)
}

/// Migrate Container To Autoscale or To Manual Throughput, and the same for a database.
pub(super) async fn migrate(ask: &Ask<'_>, autoscale: bool) -> Result<Response, Refusal> {
    let (path, if_match, takes) = (ask.path.subject(), ask.if_match(), ask.takes());
    let id = ask
        .shared
        .world
        .change(ask.ending, move |db, now| {
            let found = must_be_free(db, &path, if_match.as_deref())?;
            let old = Offer::read(&found.body)?;
            if old.autoscale == autoscale {
                return Err(bad("The offer is in this mode already."));
            }
            // The service chooses the value: what there was, in whole steps.
            let mut new = Offer {
                autoscale,
                ..old.clone()
            };
            let step = new.step();
            new.value = ((old.value + step - 1) / step * step).max(new.minimum());
            new.highest = new.highest.max(new.value);
            let name = |autoscale| if autoscale { "autoscale" } else { "manual" };
            note(
                db,
                &format!(
                    "{}: {} {} RU/s -> {} {} RU/s",
                    owner(&path),
                    name(old.autoscale),
                    old.value,
                    name(autoscale),
                    new.value
                ),
            )?;
            begin(db, &path, &old, &new, now, takes)
        })
        .await?;
    Ok(follow(ask, &id))
}

/// `account/database/container`, or without the container.
fn owner(path: &Path) -> String {
    let names = &path.names;
    names[..names.len().saturating_sub(1)].join("/")
}

pub(super) fn follow(ask: &Ask<'_>, id: &str) -> Response {
    let place = |kind| {
        let address = &ask.shared.address;
        operations::place(
            address,
            &ask.path,
            "Microsoft.DocumentDB",
            kind,
            id,
            VERSION,
        )
    };
    operations::accepted(vec![
        ("azure-asyncoperation", place("operationsStatus")),
        ("location", place("operationResults")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_offer_takes() {
        let offer = |highest, autoscale| Offer {
            id: String::new(),
            value: 1000,
            autoscale,
            highest,
            pending: false,
            instant_maximum: 10_000,
            storage_gb: 3.0,
        };
        let (manual, auto) = (offer(1000, false), offer(4000, true));
        for (name, offer, value, autoscale, taken) in [
            ("a step", &manual, 1100, false, true),
            ("the floor", &manual, 400, false, true),
            ("no step", &manual, 1150, false, false),
            ("below the floor", &manual, 300, false, false),
            ("too much", &manual, 1_000_100, false, false),
            ("another mode", &manual, 2000, true, false),
            (
                "history sets the floor",
                &offer(50_000, false),
                400,
                false,
                false,
            ),
            ("a thousand", &auto, 5000, true, true),
            ("not a thousand", &auto, 4500, true, false),
            ("the floor of autoscale", &auto, 1000, true, true),
            ("its history", &offer(50_000, true), 4000, true, false),
        ] {
            assert_eq!(check(offer, value, autoscale).is_ok(), taken, "{name}");
        }
    }
}
