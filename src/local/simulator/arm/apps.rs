//! Container apps, their revisions and replicas. Source: Container Apps REST.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Ask, empty, must_be_free, must_find, operations, revisions};
use crate::local::storage::{Refusal, note};
use crate::local::world::troubles::{self, Heals};
use crate::local::world::{self, Resource};

pub(super) const VERSION: &str = "2024-03-01";
pub(super) const APP: &str = "Microsoft.App/containerApps";
pub(super) const REVISION: &str = "Microsoft.App/containerApps/revisions";
pub(super) const REPLICA: &str = "Microsoft.App/containerApps/revisions/replicas";

/// Update: what is sent is merged in. A change of the template makes a new revision, which runs
/// when the operation has ended; with a single active revision, the others are put away then.
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
            check_rules(&new)?;
            let name = path.name(0);
            let ends = now + takes;
            let mut why = None;
            if old["properties"]["template"] == new["properties"]["template"] {
                revisions::check_traffic(db, &path.id, &new)?;
                if old != new {
                    note(
                        db,
                        &format!("{name}: {}", revisions::difference(&old, &new)),
                    )?;
                }
            } else {
                let (was_low, was_high) = replicas(&old)?;
                let (were, are) = (rules(&old), rules(&new));
                if were != are {
                    note(db, &format!("{name}: scale rules {were} -> {are}"))?;
                }
                if (was_low, was_high) == (low, high) {
                    if were == are {
                        note(db, &format!("{name}: template changed"))?;
                    }
                } else {
                    let line = format!("{name}: replicas {was_low}-{was_high} -> {low}-{high}");
                    note(db, &line)?;
                }
                why = revise(db, &path.id, &old, &mut new, now, ends)?;
            }
            let mut under_way = new.clone();
            let (was, is) = (&old["properties"], &mut under_way["properties"]);
            is["provisioningState"] = json!("InProgress");
            // What serves goes on serving until the operation has ended.
            is["latestReadyRevisionName"] = was["latestReadyRevisionName"].clone();
            is["configuration"]["activeRevisionsMode"] =
                was["configuration"]["activeRevisionsMode"].clone();
            if was["configuration"]["ingress"].is_object() {
                is["configuration"]["ingress"]["traffic"] =
                    was["configuration"]["ingress"]["traffic"].clone();
            }
            world::put(db, &path.id, &under_way)?;
            if !revisions::is_multiple(&new) {
                let ready = text(&new["properties"]["latestReadyRevisionName"]);
                let latest = text(&new["properties"]["latestRevisionName"]);
                revisions::put_away_but(db, &path.id, &[&ready, &latest], now, ends)?;
            }
            let state = &mut new["properties"]["provisioningState"];
            if let Some(why) = why {
                *state = json!("Failed");
                return world::operations::begin_failing(db, &path.id, &new, now, ends, &why);
            }
            *state = json!("Succeeded");
            world::operations::begin(db, &path.id, &new, now, ends)
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
pub(super) fn replicas(app: &Value) -> Result<(i64, i64), Refusal> {
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

/// Refuses rules of scaling that Azure would not take. Source: Container Apps, "Set scaling rules".
fn check_rules(app: &Value) -> Result<(), Refusal> {
    let bad = |why: &str| {
        let why = format!("The scale rule is invalid: {why}.");
        Err(Refusal::new(400, "ContainerAppScaleRuleInvalid", why))
    };
    let rules = &app["properties"]["template"]["scale"]["rules"];
    if !rules.is_null() && !rules.is_array() {
        return bad("rules are a list");
    }
    let mut names = BTreeSet::new();
    for rule in rules.as_array().into_iter().flatten() {
        let name = rule["name"].as_str().unwrap_or_default();
        if name.is_empty() || !names.insert(name) {
            return bad("each has a name of its own");
        }
        let kinds = ["custom", "http", "tcp", "azureQueue"];
        let mut given = kinds.into_iter().filter(|kind| rule[kind].is_object());
        let (Some(kind), None) = (given.next(), given.next()) else {
            return bad("it is one of custom, http, tcp and azureQueue");
        };
        let metadata = &rule[kind]["metadata"];
        let texts = metadata.as_object().into_iter().flatten();
        if !texts.into_iter().all(|(_, value)| value.is_string()) {
            return bad("metadata are texts");
        }
        if kind != "custom" {
            continue;
        }
        let Some(scaler) = rule["custom"]["type"].as_str() else {
            return bad("a custom rule has a type");
        };
        if !matches!(scaler, "cpu" | "memory") {
            continue;
        }
        let value = metadata["value"]
            .as_str()
            .and_then(|text| text.parse::<f64>().ok());
        let by = metadata["type"].as_str().unwrap_or_default();
        if !matches!(by, "Utilization" | "AverageValue") {
            return bad("its type is Utilization or AverageValue");
        }
        if by == "Utilization" && !value.is_some_and(|percent| percent > 0.0) {
            return bad("its value is a percentage above 0");
        }
    }
    Ok(())
}

/// The rules of scaling, as a person says them.
fn rules(app: &Value) -> String {
    let rules = app["properties"]["template"]["scale"]["rules"].as_array();
    let said: Vec<String> = rules
        .into_iter()
        .flatten()
        .map(|rule| {
            let custom = &rule["custom"];
            match (
                custom["type"].as_str(),
                custom["metadata"]["value"].as_str(),
            ) {
                (Some(kind @ ("cpu" | "memory")), Some(value)) => format!("{kind} {value}%"),
                _ => text(&rule["name"]),
            }
        })
        .collect();
    if said.is_empty() {
        "none".to_owned()
    } else {
        said.join(", ")
    }
}

/// Makes the revision that `new` runs as. Why it cannot be provisioned, if it cannot: then what ran
/// goes on.
fn revise(
    db: &Connection,
    app: &str,
    old: &Value,
    new: &mut Value,
    now: i64,
    ends: i64,
) -> Result<Option<String>, Refusal> {
    let app_name = text(&old["name"]);
    let before = text(&old["properties"]["latestReadyRevisionName"]);
    let running = world::find(db, &format!("{app}/revisions/{before}"))?;
    let name = format!("{app_name}--{}", suffix());
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
            "fqdn": format!("{name}.{domain}"),
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
    if troubles::spoils_revision(db, &app_name, now)? {
        let why = "the container did not start: its readiness probe failed";
        ready["healthState"] = json!("Unhealthy");
        ready["provisioningState"] = json!("Failed");
        ready["provisioningError"] = json!(why);
        ready["runningState"] = json!("Failed");
        world::operations::begin(db, &id, &revision, now, ends)?;
        return Ok(Some(format!(
            "Failed to provision revision for container app '{app_name}'. Error details: {why}"
        )));
    }
    ready["replicas"] = json!(count);
    ready["healthState"] = json!("Healthy");
    ready["provisioningState"] = json!("Provisioned");
    ready["runningState"] = json!("Running");
    world::operations::begin(db, &id, &revision, now, ends)?;
    for _ in 0..count {
        let (id, replica) = replica(&id, &name, &app_name, ends);
        world::operations::begin(db, &id, &replica, now, ends)?;
    }
    new["properties"]["latestReadyRevisionName"] = json!(name);
    // New replicas begin afresh, as after a restart.
    troubles::heal(db, &app_name, Heals::Restart, now, ends)?;
    Ok(None)
}

pub(super) fn all_replicas(db: &Connection, revision: &str) -> Result<Vec<Resource>, Refusal> {
    world::children(db, &format!("{revision}/replicas"), "", i64::MAX)
}

/// A replica that began at `at`, with its id.
pub(super) fn replica(revision: &str, name: &str, app: &str, at: i64) -> (String, Value) {
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
            troubles::heal(db, path.name(0), Heals::Restart, now, now)?;
            note(db, &format!("{name}: restarted"))
        })
        .await?;
    Ok(empty(StatusCode::OK))
}

pub(super) fn text(value: &Value) -> String {
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
    fn which_rules_of_scaling_are_taken() {
        let custom = |kind: &str, by: &str, value: Value| {
            json!([{ "name": "r", "custom": {
                "type": kind, "metadata": { "type": by, "value": value },
            } }])
        };
        for (name, rules, taken) in [
            ("none", json!(null), true),
            ("cpu", custom("cpu", "Utilization", json!("70")), true),
            ("memory", custom("memory", "Utilization", json!("80")), true),
            ("a number", custom("cpu", "Utilization", json!(70)), false),
            (
                "no percentage",
                custom("cpu", "Utilization", json!("much")),
                false,
            ),
            ("no such type", custom("cpu", "Share", json!("70")), false),
            (
                "another scaler",
                json!([{ "name": "q", "custom": { "type": "azure-servicebus" } }]),
                true,
            ),
            (
                "http",
                json!([{ "name": "h", "http": { "metadata": { "concurrentRequests": "50" } } }]),
                true,
            ),
            ("nothing", json!([{ "name": "n" }]), false),
            (
                "both",
                json!([{ "name": "n", "http": {}, "custom": { "type": "cpu" } }]),
                false,
            ),
            ("no name", json!([{ "http": {} }]), false),
            (
                "a name twice",
                json!([{ "name": "a", "http": {} }, { "name": "a", "tcp": {} }]),
                false,
            ),
            ("no list", json!({}), false),
        ] {
            let app = json!({ "properties": { "template": { "scale": { "rules": rules } } } });
            assert_eq!(check_rules(&app).is_ok(), taken, "{name}");
        }
    }

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
