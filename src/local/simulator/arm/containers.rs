//! Containers of Cosmos and their indexes. Source: Cosmos DB REST, "SQL Resources", and "Indexing
//! policies".

use std::collections::BTreeSet;

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::cosmos::{bad, follow};
use super::{Ask, must_be_free};
use crate::local::storage::{Refusal, note};
use crate::local::world;

/// What nobody may change once a container is there.
const FIXED: [&str; 4] = [
    "id",
    "partitionKey",
    "uniqueKeyPolicy",
    "conflictResolutionPolicy",
];
/// Excluded by Azure itself.
const ETAG: &str = "/\"_etag\"/?";

/// Create Or Update, of a container that is there: it becomes what is sent, and what is not sent is
/// gone.
pub(super) async fn set(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let body = ask.json()?;
    let Some(wanted) = body["properties"]["resource"].as_object().cloned() else {
        return Err(bad("The resource is missing."));
    };
    let options = body["properties"]["options"].as_object();
    if options.is_some_and(|options| !options.is_empty()) {
        return Err(bad(
            "Options are for a container that is made, and that is not simulated.",
        ));
    }
    let (path, if_match, takes) = (ask.path.clone(), ask.if_match(), ask.takes());
    let id = ask
        .shared
        .world
        .change(ask.ending, move |db, now| {
            let found = must_be_free(db, &path, if_match.as_deref())?;
            let old = found.body["properties"]["resource"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            let resource = made(&old, wanted, now)?;
            let names: BTreeSet<&String> = old.keys().chain(resource.keys()).collect();
            let changed: Vec<&str> = names
                .into_iter()
                .filter(|name| !name.starts_with('_') && old.get(*name) != resource.get(*name))
                .map(String::as_str)
                .collect();
            if !changed.is_empty() {
                let line = format!("{}: {} changed", path.names.join("/"), changed.join(", "));
                note(db, &line)?;
            }
            let mut new = found.body.clone();
            new["properties"]["resource"] = Value::Object(resource);
            world::operations::begin(db, &path.id, &new, now, now + takes)
        })
        .await?;
    Ok(follow(ask, &id))
}

fn made(
    old: &Map<String, Value>,
    mut wanted: Map<String, Value>,
    now: i64,
) -> Result<Map<String, Value>, Refusal> {
    for name in FIXED {
        if wanted.get(name) != old.get(name) {
            return Err(bad(format!(
                "The property '{name}' of a container cannot be changed."
            )));
        }
    }
    let policy = wanted.remove("indexingPolicy");
    let policy = policy.unwrap_or_else(|| json!({ "includedPaths": [{ "path": "/*" }] }));
    wanted.insert("indexingPolicy".into(), indexed(policy)?);
    wanted.insert("_rid".into(), old.get("_rid").cloned().unwrap_or_default());
    wanted.insert("_ts".into(), json!(now / 1000));
    Ok(wanted)
}

/// The policy as Azure keeps it, or why it does not take it.
fn indexed(mut policy: Value) -> Result<Value, Refusal> {
    if !policy.is_object() {
        return Err(bad("The indexing policy is no object."));
    }
    let mode = policy["indexingMode"].as_str().unwrap_or("consistent");
    policy["indexingMode"] = json!(mode.to_ascii_lowercase());
    if policy["automatic"].is_null() {
        policy["automatic"] = json!(true);
    }
    let mut seen = BTreeSet::new();
    for name in ["includedPaths", "excludedPaths"] {
        if policy[name].is_null() {
            policy[name] = json!([]);
        }
        for entry in policy[name].as_array().into_iter().flatten() {
            let path = entry["path"].as_str().unwrap_or_default();
            if !path.starts_with('/') || !(path.ends_with("/?") || path.ends_with("/*")) {
                return Err(bad(format!(
                    "The indexing path '{path}' could not be accepted, failed near position '0'."
                )));
            }
            if !seen.insert(path.to_owned()) {
                return Err(bad(format!(
                    "The indexing path '{path}' is specified more than once."
                )));
            }
        }
    }
    if policy["indexingMode"] != "none" && !seen.contains("/*") {
        return Err(bad(
            "The special mandatory indexing path \"/\" is not provided in any of the path type sets. Please provide this path in one of the sets.",
        ));
    }
    if !seen.contains(ETAG)
        && let Some(excluded) = policy["excludedPaths"].as_array_mut()
    {
        excluded.push(json!({ "path": ETAG }));
    }
    let mut composites = BTreeSet::new();
    let list = policy
        .get_mut("compositeIndexes")
        .and_then(Value::as_array_mut);
    for composite in list.into_iter().flatten() {
        let parts = composite.as_array_mut().filter(|parts| parts.len() > 1);
        let parts = parts.ok_or_else(|| bad("A composite index has at least two paths."))?;
        for part in parts.iter_mut() {
            let path = part["path"].as_str().unwrap_or_default();
            if !path.starts_with('/') || path.ends_with("/?") || path.ends_with("/*") {
                return Err(bad(format!("The composite path '{path}' is not valid.")));
            }
            if part["order"].is_null() {
                part["order"] = json!("ascending");
            }
        }
        if !composites.insert(composite.to_string()) {
            return Err(bad("A composite index is specified more than once."));
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_policies_are_taken() {
        let all = json!([{ "path": "/*" }]);
        for (name, policy, taken) in [
            ("everything", json!({ "includedPaths": all }), true),
            ("nothing", json!({ "excludedPaths": all }), true),
            ("no index", json!({ "indexingMode": "None" }), true),
            (
                "no root",
                json!({ "includedPaths": [{ "path": "/a/?" }] }),
                false,
            ),
            (
                "a path twice",
                json!({ "includedPaths": all, "excludedPaths": all }),
                false,
            ),
            (
                "a path without an end",
                json!({ "includedPaths": all, "excludedPaths": [{ "path": "/a" }] }),
                false,
            ),
            (
                "a composite of one",
                json!({ "includedPaths": all, "compositeIndexes": [[{ "path": "/a" }]] }),
                false,
            ),
            (
                "a composite with an end",
                json!({
                    "includedPaths": all,
                    "compositeIndexes": [[{ "path": "/a/?" }, { "path": "/b" }]],
                }),
                false,
            ),
        ] {
            assert_eq!(indexed(policy).is_ok(), taken, "{name}");
        }
        let kept = indexed(json!({
            "includedPaths": all,
            "compositeIndexes": [[{ "path": "/a" }, { "path": "/b", "order": "descending" }]],
        }));
        let kept = kept.expect("a policy");
        assert_eq!(kept["excludedPaths"], json!([{ "path": ETAG }]));
        assert_eq!(kept["compositeIndexes"][0][0]["order"], "ascending");
    }
}
