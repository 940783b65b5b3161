//! Container apps, their revisions and replicas. Source: Container Apps REST.

use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Ask, empty, must_be_free, must_find, operations};
use crate::local::storage::{Refusal, note};
use crate::local::world::{self, Resource};

pub(super) const VERSION: &str = "2024-03-01";
pub(super) const APP: &str = "Microsoft.App/containerApps";
pub(super) const REVISION: &str = "Microsoft.App/containerApps/revisions";
pub(super) const REPLICA: &str = "Microsoft.App/containerApps/revisions/replicas";

/// Update: what is sent is merged in. A change of the template makes a new revision, which runs
/// when the operation has ended; the one before it is put away.
pub(super) async fn update(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let patch = ask.json()?;
    let (path, if_match, takes) = (ask.path.clone(), ask.if_match(), ask.takes());
    let id = ask
        .shared
        .world
        .change(ask.ending, move |db, now| {
            let found = must_be_free(db, &path, if_match.as_deref())?;
            let old = found.body;
            let mut new = old.clone();
            for part in ["properties", "tags"] {
                if let Some(patch) = patch.get(part) {
                    merge(&mut new[part], patch);
                }
            }
            let (low, high) = replicas(&new)?;
            let name = path.name(0);
            if old["properties"]["template"] == new["properties"]["template"] {
                if old != new {
                    note(db, &format!("{name}: settings changed"))?;
                }
            } else {
                let (was_low, was_high) = replicas(&old)?;
                if (was_low, was_high) == (low, high) {
                    note(db, &format!("{name}: template changed"))?;
                } else {
                    let line = format!("{name}: replicas {was_low}-{was_high} -> {low}-{high}");
                    note(db, &line)?;
                }
                revise(db, &path.id, &old, &mut new, now, now + takes)?;
            }
            let mut under_way = new.clone();
            under_way["properties"]["provisioningState"] = json!("InProgress");
            world::put(db, &path.id, &under_way)?;
            new["properties"]["latestReadyRevisionName"] =
                new["properties"]["latestRevisionName"].clone();
            world::operations::begin(db, &path.id, &new, now, now + takes)
        })
        .await?;
    let place = operations::place(
        &ask.shared.address,
        &ask.path,
        "Microsoft.App",
        "containerappOperationResults",
        &id,
        VERSION,
    );
    Ok(operations::accepted(vec![("location", place)]))
}

/// A merge patch: what is an object is merged, null removes, and the rest replaces.
///
/// Source: RFC 7396.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            if let Some(object) = into.as_object_mut() {
                object.remove(name);
            }
        } else {
            merge(&mut into[name], value);
        }
    }
}

/// The least and the most replicas, as far as Azure takes them.
fn replicas(app: &Value) -> Result<(i64, i64), Refusal> {
    let scale = &app["properties"]["template"]["scale"];
    let number = |name: &str, default| match &scale[name] {
        Value::Null => Some(default),
        value => value.as_i64(),
    };
    match (number("minReplicas", 0), number("maxReplicas", 10)) {
        (Some(low), Some(high)) if low >= 0 && high >= low.max(1) && high <= 1000 => {
            Ok((low, high))
        }
        _ => Err(Refusal::new(
            400,
            "InvalidParameterValueInContainerTemplate",
            "minReplicas is 0 or more, maxReplicas is 1 to 1000 and not below minReplicas",
        )),
    }
}

/// Makes the revision that `new` runs as, and puts away the one that runs.
fn revise(
    db: &Connection,
    app: &str,
    old: &Value,
    new: &mut Value,
    now: i64,
    ends: i64,
) -> Result<(), Refusal> {
    let before = text(&old["properties"]["latestRevisionName"]);
    let before_id = format!("{app}/revisions/{before}");
    let running = world::find(db, &before_id)?;
    let name = format!("{}--{}", text(&old["name"]), suffix());
    let fqdn = text(&old["properties"]["latestRevisionFqdn"]);
    let domain = fqdn.split_once('.').map_or("", |(_, domain)| domain);
    new["properties"]["latestRevisionName"] = json!(name);
    new["properties"]["latestRevisionFqdn"] = json!(format!("{name}.{domain}"));
    let (low, high) = replicas(new)?;
    let had = running
        .as_ref()
        .and_then(|r| r.body["properties"]["replicas"].as_i64());
    let count = had.unwrap_or(low).clamp(low, high);
    let id = format!("{}/revisions/{name}", text(&old["id"]));
    let mut revision = json!({
        "id": id,
        "name": name,
        "type": REVISION,
        "properties": {
            "createdTime": time(now),
            "active": true,
            "replicas": 0,
            "trafficWeight": 0,
            "healthState": "None",
            "provisioningState": "Provisioning",
            "runningState": "Processing",
            "template": new["properties"]["template"],
        },
    });
    world::put(db, &id, &revision)?;
    let ready = &mut revision["properties"];
    ready["replicas"] = json!(count);
    ready["trafficWeight"] = json!(100);
    ready["healthState"] = json!("Healthy");
    ready["provisioningState"] = json!("Provisioned");
    ready["runningState"] = json!("Running");
    world::operations::begin(db, &id, &revision, now, ends)?;
    for _ in 0..count {
        let (id, replica) = replica(&id, &name, &text(&old["name"]), ends);
        world::operations::begin(db, &id, &replica, now, ends)?;
    }
    if let Some(mut running) = running {
        let gone = &mut running.body["properties"];
        gone["active"] = json!(false);
        gone["replicas"] = json!(0);
        gone["trafficWeight"] = json!(0);
        gone["runningState"] = json!("Stopped");
        world::operations::begin(db, &running.key, &running.body, now, ends)?;
        for replica in all_replicas(db, &running.key)? {
            world::operations::begin(db, &replica.key, &Value::Null, now, ends)?;
        }
    }
    Ok(())
}

fn all_replicas(db: &Connection, revision: &str) -> Result<Vec<Resource>, Refusal> {
    world::children(db, &format!("{revision}/replicas"), "", i64::MAX)
}

/// A replica that began at `at`, with its id.
fn replica(revision: &str, name: &str, app: &str, at: i64) -> (String, Value) {
    let name = format!("{name}-{}-{}", suffix(), suffix());
    let id = format!("{revision}/replicas/{name}");
    let body = json!({
        "id": id,
        "name": name,
        "type": REPLICA,
        "properties": {
            "createdTime": time(at),
            "runningState": "Running",
            "containers": [{
                "name": app, "ready": true, "started": true, "restartCount": 0,
                "runningState": "Running",
            }],
        },
    });
    (id, body)
}

/// Restart Revision: all its replicas are new.
pub(super) async fn restart(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let path = ask.path.subject();
    ask.shared
        .world
        .run(move |db, now| {
            let revision = must_find(db, &path)?;
            if revision.body["properties"]["active"] != true {
                let why = format!("Revision `{}` is not active.", path.name(1));
                return Err(Refusal::new(400, "RevisionNotActive", why));
            }
            let count = all_replicas(db, &path.id)?.len();
            world::clear(db, &format!("{}/replicas", path.id))?;
            let (id, name) = (text(&revision.body["id"]), text(&revision.body["name"]));
            for _ in 0..count {
                let (id, replica) = replica(&id, &name, path.name(0), now);
                world::put(db, &id, &replica)?;
            }
            note(db, &format!("{name}: restarted"))
        })
        .await?;
    Ok(empty(StatusCode::OK))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn suffix() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id[..7].to_owned()
}

fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_patch_is_merged() {
        for (into, patch, expected) in [
            (
                json!({"a": 1, "b": 2}),
                json!({"b": 3}),
                json!({"a": 1, "b": 3}),
            ),
            (
                json!({"a": {"b": 1, "c": 2}}),
                json!({"a": {"b": 9}}),
                json!({"a": {"b": 9, "c": 2}}),
            ),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (json!({"a": 1, "b": 2}), json!({"a": null}), json!({"b": 2})),
            (json!(null), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
        ] {
            let mut merged = into.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, expected, "{into} and {patch}");
        }
    }
}
