//! Caches of Azure Cache for Redis. Source: Redis REST 2024-11-01, "Redis - Flush Cache".

use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::{Ask, must_be_free, operations};
use crate::local::storage::{Refusal, note};
use crate::local::world;
use crate::local::world::troubles::{self, Heals};

pub(super) const VERSION: &str = "2024-11-01";
pub(super) const CACHE: &str = "Microsoft.Cache/redis";
const PROVIDER: &str = "Microsoft.Cache";

/// Flush Cache: everything in it is gone when the operation has ended, and with it what a flush
/// heals in the apps of its resource group.
pub(super) async fn flush(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let (path, takes) = (ask.path.subject(), ask.takes());
    let id = ask
        .shared
        .world
        .change(ask.ending, move |db, now| {
            let cache = must_be_free(db, &path, None)?;
            let ends = now + takes;
            let group = format!("{}/providers/microsoft.app/containerapps", path.scope);
            for app in world::children(db, &group, "", i64::MAX)? {
                let name = app.body["name"].as_str().unwrap_or_default();
                troubles::heal(db, name, Heals::Flush, now, ends)?;
            }
            note(db, &format!("{}: flushed", path.name(0)))?;
            world::operations::begin(db, &path.id, &cache.body, now, ends)
        })
        .await?;
    let place =
        |kind| operations::place(&ask.shared.address, &ask.path, PROVIDER, kind, &id, VERSION);
    Ok(operations::accepted(vec![
        ("location", place("operationResults")),
        ("azure-asyncoperation", place("asyncOperations")),
    ])
    .into_response())
}

/// How far an operation is, with the fields that this provider adds.
pub(super) fn status(
    subscription: &str,
    name: &str,
    mut body: serde_json::Value,
) -> serde_json::Value {
    let id =
        format!("{subscription}/providers/{PROVIDER}/locations/japaneast/asyncOperations/{name}");
    body["id"] = json!(id);
    body["percentComplete"] = if body["status"] == "InProgress" {
        json!(50)
    } else {
        json!(100)
    };
    body
}
