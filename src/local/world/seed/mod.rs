//! Believable trouble for an estate that has just been made, the same at every first start.

mod apps;
mod cosmos;
mod identities;
mod logs;
mod redis;
mod storage;
mod vault;

pub(in crate::local) use cosmos::{PARTITION_SERVES, partitions, partitions_serving, throughput};
pub(in crate::local) use identities::APPLICATIONS;
pub(in crate::local) use vault::vault_folder;

use rusqlite::Connection;
use serde_json::Value;

use super::World;
use crate::estate::{Estate, Kind};
use crate::local::storage::Refusal;

/// Documents by their id. The first is the resource itself: where it is there already, nothing is
/// added, so that what was changed or deleted stays so.
type Documents = Vec<(String, Value)>;

const LOCATION: &str = "japaneast";

/// Makes the resources that the estate names, if they are not there yet.
pub(in crate::local) async fn seed(
    world: &World,
    estate: &Estate,
    address: &str,
) -> Result<(), Refusal> {
    let (estate, address) = (estate.clone(), address.to_owned());
    world
        .run(move |db, now| {
            let at = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
            add(db, identities::application(at))?;
            add(db, identities::calm(at))?;
            for stamp in &estate.stamps {
                add(db, apps::environment(stamp, at))?;
                if let Some(cosmos) = &stamp.cosmos {
                    add(db, cosmos::account(stamp, cosmos, at))?;
                }
            }
            for resource in estate.resources() {
                match resource.kind {
                    Kind::KeyVault => add(db, vault::vault(resource, &address, at))?,
                    Kind::ContainerApp => {
                        let stamp = estate.stamps.iter().find(|s| s.name == resource.stamp);
                        let made = stamp.map(|stamp| apps::app(stamp, resource, at));
                        add(db, made.unwrap_or_default())?;
                    }
                    Kind::Workspace => {
                        let stamp = estate.stamps.iter().find(|s| s.name == resource.stamp);
                        let known =
                            stamp.and_then(|s| s.workspace.as_ref()?.customer_id.as_deref());
                        add(db, logs::workspace(resource, known, at))?;
                    }
                    Kind::StorageAccount => {
                        add(db, storage::account(resource, at))?;
                        storage::blobs(db, &resource.name, at)?;
                    }
                    Kind::Redis => add(db, redis::cache(resource))?,
                    Kind::ResourceGroup
                    | Kind::CosmosAccount
                    | Kind::SearchService
                    | Kind::Registry => {}
                }
            }
            Ok(())
        })
        .await
}

fn add(db: &Connection, documents: Documents) -> Result<(), Refusal> {
    let Some((first, _)) = documents.first() else {
        return Ok(());
    };
    if super::find(db, first)?.is_some() {
        return Ok(());
    }
    for (id, body) in &documents {
        super::put(db, id, body)?;
    }
    // What there is at first has been so for ever.
    for (id, body) in &documents {
        super::past::note(db, id, body, 0)?;
    }
    Ok(())
}
