//! Storage accounts as Resource Manager shows them. Source: Storage REST, resource provider.

use axum::http::header::ETAG;
use axum::response::{IntoResponse, Json, Response};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::{Ask, missing, must_find, query, shown};
use crate::local::storage::shelf::{self, Container};
use crate::local::storage::{Refusal, note};
use crate::local::world;

pub(super) const VERSION: &str = "2023-05-01";
pub(super) const ACCOUNT: &str = "Microsoft.Storage/storageAccounts";
pub(super) const SERVICE: &str = "Microsoft.Storage/storageAccounts/blobServices";
pub(super) const CONTAINER: &str = "Microsoft.Storage/storageAccounts/blobServices/containers";
pub(super) const POLICY: &str = "Microsoft.Storage/storageAccounts/managementPolicies";

/// The account in which something lies.
fn account(path: &super::Path) -> super::Path {
    let mut id = path.id.split('/').take(9);
    super::Path::read(&id.by_ref().collect::<Vec<_>>().join("/"))
}

fn show(id: &str, container: &Container, whole: bool) -> Value {
    let metadata: Value = serde_json::from_str(&container.metadata).unwrap_or_default();
    let modified = DateTime::from_timestamp_millis(container.modified).unwrap_or_default();
    let mut properties = json!({
        "publicAccess": "None",
        "leaseStatus": "Unlocked",
        "leaseState": "Available",
        "lastModifiedTime": modified.to_rfc3339_opts(SecondsFormat::Secs, true),
        "hasImmutabilityPolicy": container.immutable_days.is_some(),
        "hasLegalHold": container.legal_hold,
    });
    // Lists leave out the metadata, and what a hold or a policy says.
    if whole {
        properties["metadata"] = metadata;
        let tags: Vec<Value> = if container.legal_hold {
            vec![json!({ "tag": "audit2026" })]
        } else {
            Vec::new()
        };
        properties["legalHold"] = json!({ "hasLegalHold": container.legal_hold, "tags": tags });
        if let Some(days) = container.immutable_days {
            properties["immutabilityPolicy"] = json!({
                "properties": { "immutabilityPeriodSinceCreationInDays": days, "state": "Locked" },
                "etag": container.etag,
            });
        }
    }
    json!({
        "id": id,
        "name": container.name,
        "type": CONTAINER,
        "etag": container.etag,
        "properties": properties,
    })
}

/// Blob Containers - List.
pub(super) async fn list(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let after = query(ask.parts, "$skiptoken").unwrap_or_default();
    let most = match query(ask.parts, "$maxpagesize") {
        None => ask.page.unwrap_or(usize::MAX / 2),
        Some(text) => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
            let why = "$maxpagesize is a whole number above 0";
            Refusal::new(400, "InvalidQueryParameterValue", why)
        })?,
    };
    let account = account(&ask.path);
    let mut rows = ask
        .shared
        .world
        .run(move |db, _| {
            must_find(db, &account)?;
            shelf::containers_after(db, account.name(0), &after, most.saturating_add(1))
        })
        .await?;
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().filter(|_| more).map(|last| last.name.clone());
    let value = rows
        .iter()
        .map(|row| show(&format!("{}/{}", ask.path.id, row.name), row, false))
        .collect();
    Ok(ask.page_of(value, next))
}

/// Blob Containers - Get.
pub(super) async fn container(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let (path, account) = (ask.path.clone(), account(&ask.path));
    let found = ask
        .shared
        .world
        .run(move |db, _| {
            must_find(db, &account)?;
            let name = path.name(2);
            shelf::container(db, account.name(0), name)?.ok_or_else(|| {
                let why = "The specified container does not exist.";
                Refusal::new(404, "ContainerNotFound", why)
            })
        })
        .await?;
    let body = Json(show(&ask.path.id, &found, true));
    Ok(([(ETAG, found.etag)], body).into_response())
}

/// Blob Services - Get Service Properties. What is deleted is gone at once here.
pub(super) async fn service(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let (path, account) = (ask.path.clone(), account(&ask.path));
    if path.name(1) != "default" {
        return Err(missing(&path.id));
    }
    ask.shared
        .world
        .run(move |db, _| must_find(db, &account))
        .await?;
    let body = json!({
        "id": ask.path.id,
        "name": "default",
        "type": SERVICE,
        "sku": { "name": "Standard_ZRS", "tier": "Standard" },
        "properties": {
            "cors": { "corsRules": [] },
            "deleteRetentionPolicy": { "enabled": false },
            "containerDeleteRetentionPolicy": { "enabled": false },
            "isVersioningEnabled": false,
        },
    });
    Ok(Json(body).into_response())
}

/// Management Policies - Create Or Update: the whole policy is replaced.
pub(super) async fn set_policy(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let body = ask.json()?;
    let policy = body["properties"]["policy"].clone();
    let names = rules(&policy).filter(|names| !names.is_empty());
    let Some(names) = names else {
        let why = "The policy needs rules, each with a name of its own.";
        return Err(Refusal::new(400, "InvalidRequestContent", why));
    };
    let (path, account, if_match) = (ask.path.clone(), account(&ask.path), ask.if_match());
    let found = ask
        .shared
        .world
        .run(move |db, now| {
            must_find(db, &account)?;
            let old = world::find(db, &path.id)?;
            let etag = old.as_ref().map(|old| old.etag.as_str());
            if if_match.is_some_and(|wanted| wanted != "*" && Some(wanted.as_str()) != etag) {
                let why = "The condition specified by the ETag is not satisfied.";
                return Err(Refusal::new(412, "PreconditionFailed", why));
            }
            let before = old.and_then(|old| rules(&old.body["properties"]["policy"]));
            let modified = DateTime::from_timestamp_millis(now).unwrap_or_default();
            let document = json!({
                "id": path.id,
                "name": "DefaultManagementPolicy",
                "type": POLICY,
                "properties": { "policy": policy, "lastModifiedTime": modified },
            });
            world::put(db, &path.id, &document)?;
            let list = |names: Vec<String>| match names.as_slice() {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            let (from, to) = (list(before.unwrap_or_default()), list(names));
            note(
                db,
                &format!("{}: lifecycle rules {from} -> {to}", path.name(0)),
            )?;
            must_find(db, &path)
        })
        .await?;
    Ok(shown(&ask.shared.address, found))
}

/// The names of the rules, if each has one of its own.
fn rules(policy: &Value) -> Option<Vec<String>> {
    let names: Option<Vec<String>> = policy["rules"]
        .as_array()?
        .iter()
        .map(|rule| Some(rule["name"].as_str()?.to_owned()))
        .collect();
    let names = names?;
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    (unique.len() == names.len()).then_some(names)
}
