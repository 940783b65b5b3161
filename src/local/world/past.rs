//! What throughput and scale there was when: past minutes are judged by what held in them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

use super::find;
use crate::local::storage::Refusal;

/// What held from a time on, until the next one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::local) struct Held {
    /// Lower-case id of the offer or the app.
    pub(in crate::local) id: String,
    /// The first minute since 1970 in all of which it held.
    pub(in crate::local) from: i64,
    pub(in crate::local) body: Value,
}

/// Remembers what an offer or an app is from `at` on, in milliseconds, if that is new. Of other
/// resources nothing is remembered.
pub(super) fn note(db: &Connection, id: &str, body: &Value, at: i64) -> Result<(), Refusal> {
    let key = super::key(id);
    let kept = if key.ends_with("/throughputsettings/default") {
        json!({
            "value": body["value"],
            "autoscale": body["autoscale"],
            "instant_maximum": body["instant_maximum"],
            "storage_gb": body["storage_gb"],
        })
    } else if body["type"] == "Microsoft.App/containerApps" {
        let ready = body["properties"]["latestReadyRevisionName"].as_str();
        let ready = ready.unwrap_or_default();
        let revision = find(db, &format!("{key}/revisions/{ready}"))?;
        let template = revision.map(|found| found.body["properties"]["template"].clone());
        let template = template.unwrap_or_else(|| body["properties"]["template"].clone());
        json!({
            "revision": ready,
            "scale": template["scale"],
            "resources": template["containers"][0]["resources"],
            "served": served(db, &key, &body["properties"], ready)?,
        })
    } else {
        return Ok(());
    };
    let kept = kept.to_string();
    let newest: Option<String> = db
        .prepare_cached("SELECT body FROM past WHERE id = ?1 ORDER BY at DESC LIMIT 1")?
        .query_row([&key], |row| row.get(0))
        .optional()?;
    if newest.as_ref() != Some(&kept) {
        db.prepare_cached("INSERT OR REPLACE INTO past (id, at, body) VALUES (?1, ?2, ?3)")?
            .execute(params![key, at, kept])?;
    }
    Ok(())
}

/// The revisions that an app with several has requests for, each with its percent of them, and the
/// newest one, which runs at any rate. Null for an app with one.
fn served(db: &Connection, app: &str, properties: &Value, ready: &str) -> Result<Value, Refusal> {
    let configuration = &properties["configuration"];
    let mode = configuration["activeRevisionsMode"].as_str();
    let multiple = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("multiple"));
    let rules = configuration["ingress"]["traffic"].as_array();
    let Some(rules) = rules.filter(|_| multiple) else {
        return Ok(Value::Null);
    };
    let mut shares = BTreeMap::from([(ready, 0)]);
    for rule in rules {
        let name = rule["revisionName"].as_str().unwrap_or(ready);
        *shares.entry(name).or_default() += rule["weight"].as_i64().unwrap_or(0);
    }
    let mut out = Vec::new();
    for (name, percent) in shares {
        if percent <= 0 && name != ready {
            continue;
        }
        let Some(revision) = find(db, &format!("{app}/revisions/{name}"))? else {
            continue;
        };
        let template = &revision.body["properties"]["template"];
        out.push(json!({
            "revision": name,
            "percent": percent,
            "scale": template["scale"],
            "resources": template["containers"][0]["resources"],
        }));
    }
    Ok(json!(out))
}

/// What held of a resource and of all that lies in it, in order of id and time.
pub(in crate::local) fn under(db: &Connection, id: &str) -> Result<Vec<Held>, Refusal> {
    let key = super::key(id);
    let mut select = db.prepare_cached(
        "SELECT id, at, body FROM past WHERE id = ?1 OR (id > ?1 || '/' AND id < ?1 || '0')
         ORDER BY id, at",
    )?;
    let rows = select
        .query_map([key], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, String>(2)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    rows.into_iter()
        .map(|(id, at, body)| {
            let body = serde_json::from_str(&body)
                .map_err(|e| Refusal::new(500, "InternalError", e.to_string()))?;
            let from = at.div_euclid(60_000) + i64::from(at.rem_euclid(60_000) > 0);
            Ok(Held { id, from, body })
        })
        .collect()
}
