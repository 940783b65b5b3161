//! Revisions of container apps: which are active, what share of the traffic each has, and how they
//! and their replicas are.

use axum::http::StatusCode;
use axum::response::Response;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::apps::{REPLICA, REVISION, all_replicas, replica, replicas, text};
use super::{Ask, empty, must_find};
use crate::local::storage::{Refusal, note};
use crate::local::world::troubles::{self, TroubleKind};
use crate::local::world::{self, Resource};

/// Whether several revisions of an app may be active.
pub(super) fn is_multiple(app: &Value) -> bool {
    let mode = &app["properties"]["configuration"]["activeRevisionsMode"];
    mode.as_str()
        .is_some_and(|mode| mode.eq_ignore_ascii_case("multiple"))
}

fn traffic(app: &Value) -> &Value {
    &app["properties"]["configuration"]["ingress"]["traffic"]
}

/// The share of an app's traffic that a revision has, in percent.
fn weight(app: &Value, revision: &str) -> i64 {
    let is_latest = app["properties"]["latestReadyRevisionName"] == revision;
    match traffic(app).as_array().filter(|_| is_multiple(app)) {
        None => i64::from(is_latest) * 100,
        Some(rules) => rules
            .iter()
            .filter(|rule| {
                rule["revisionName"] == revision || (rule["latestRevision"] == true && is_latest)
            })
            .filter_map(|rule| rule["weight"].as_i64())
            .sum(),
    }
}

/// Refuses traffic that does not add up, or that would go to a revision that does not run.
pub(super) fn check_traffic(db: &Connection, id: &str, app: &Value) -> Result<(), Refusal> {
    let bad = |why: String| Err(Refusal::new(400, "InvalidRequestContent", why));
    let Some(rules) = traffic(app).as_array().filter(|_| is_multiple(app)) else {
        return Ok(());
    };
    let mut sum = 0;
    for rule in rules {
        let weight = rule["weight"].as_i64().unwrap_or(-1);
        if !(0..=100).contains(&weight) {
            return bad("A traffic weight is a whole number from 0 to 100.".to_owned());
        }
        sum += weight;
        let name = text(&rule["revisionName"]);
        if rule["latestRevision"] == true && name.is_empty() {
            continue;
        }
        let revision = world::find(db, &format!("{id}/revisions/{name}"))?;
        if !revision.is_some_and(|r| r.body["properties"]["active"] == true) {
            return bad(format!(
                "The revision `{name}` of the traffic is not active."
            ));
        }
    }
    if sum != 100 {
        return bad(format!("The traffic weights are {sum} together, not 100."));
    }
    Ok(())
}

/// What a change of the settings changes, as a person says it.
pub(super) fn difference(old: &Value, new: &Value) -> String {
    let shown = |app: &Value| {
        let rules = traffic(app).as_array().into_iter().flatten();
        let shares: Vec<String> = rules
            .map(|rule| {
                let name = rule["revisionName"].as_str().unwrap_or("latest");
                format!("{name} {}%", rule["weight"])
            })
            .collect();
        shares.join(", ")
    };
    if traffic(old) == traffic(new) {
        "settings changed".to_owned()
    } else {
        format!("traffic {} -> {}", shown(old), shown(new))
    }
}

/// Puts away every revision that is active and not named here.
pub(super) fn put_away_but(
    db: &Connection,
    app: &str,
    stay: &[&str],
    now: i64,
    ends: i64,
) -> Result<(), Refusal> {
    for revision in world::children(db, &format!("{app}/revisions"), "", i64::MAX)? {
        let name = text(&revision.body["name"]);
        if revision.body["properties"]["active"] == true && !stay.contains(&name.as_str()) {
            put_away(db, revision, now, ends)?;
        }
    }
    Ok(())
}

fn put_away(db: &Connection, mut revision: Resource, now: i64, ends: i64) -> Result<(), Refusal> {
    let gone = &mut revision.body["properties"];
    gone["active"] = json!(false);
    gone["replicas"] = json!(0);
    gone["trafficWeight"] = json!(0);
    gone["runningState"] = json!("Stopped");
    world::operations::begin(db, &revision.key, &revision.body, now, ends)?;
    for replica in all_replicas(db, &revision.key)? {
        world::operations::begin(db, &replica.key, &Value::Null, now, ends)?;
    }
    Ok(())
}

/// Activate Revision and Deactivate Revision, of an app with several.
pub(super) async fn activate(ask: &Ask<'_>, active: bool) -> Result<Response, Refusal> {
    let path = ask.path.subject();
    ask.shared
        .world
        .run(move |db, now| {
            let mut revision = must_find(db, &path)?;
            let above = path
                .id
                .rsplit_once("/revisions/")
                .map_or("", |(app, _)| app);
            let app = world::find(db, above)?
                .map(|app| app.body)
                .unwrap_or_default();
            let name = text(&revision.body["name"]);
            let bad = |why: &str| Err(Refusal::new(400, "InvalidRequestContent", why));
            if !is_multiple(&app) {
                return bad("Only an app in multiple revision mode has its revisions activated.");
            }
            if (revision.body["properties"]["active"] == true) == active {
                return Ok(());
            }
            if !active {
                if weight(&app, &name) > 0 {
                    return bad("A revision that has traffic is not deactivated.");
                }
                note(db, &format!("{name}: deactivated"))?;
                return put_away(db, revision, now, now);
            }
            let (low, _) = replicas(&json!({ "properties": revision.body["properties"] }))?;
            let (id, count) = (text(&revision.body["id"]), low.max(1));
            let ready = &mut revision.body["properties"];
            ready["active"] = json!(true);
            ready["replicas"] = json!(count);
            ready["runningState"] = json!("Running");
            world::put(db, &revision.key, &revision.body)?;
            for _ in 0..count {
                let (id, replica) = replica(&id, &name, path.name(0), now);
                world::put(db, &id, &replica)?;
            }
            note(db, &format!("{name}: activated"))
        })
        .await?;
    Ok(empty(StatusCode::OK))
}

/// A revision or a replica as the platform sees it now: with the traffic that it has, and what is
/// wrong with its app.
pub(super) fn seen(db: &Connection, now: i64, resource: &mut Resource) -> Result<(), Refusal> {
    let kind = text(&resource.body["type"]);
    if kind != REVISION && kind != REPLICA {
        return Ok(());
    }
    let Some((app, rest)) = resource.key.split_once("/revisions/") else {
        return Ok(());
    };
    let revision = rest.split('/').next().unwrap_or_default();
    let revision = world::find(db, &format!("{app}/revisions/{revision}"))?;
    let (Some(app), Some(revision)) = (world::find(db, app)?, revision) else {
        return Ok(());
    };
    let runs = revision.body["properties"]["active"] == true
        && revision.body["properties"]["provisioningState"] == "Provisioned";
    let mut wrong = troubles::of(db, &app, now)?;
    wrong.retain(|kept| runs && kept.trouble.shows());
    let worst = wrong.first();
    let properties = &mut resource.body["properties"];
    if kind == REVISION {
        let name = text(&revision.body["name"]);
        let share = if runs { weight(&app.body, &name) } else { 0 };
        properties["trafficWeight"] = json!(share);
        if let Some(kept) = worst {
            properties["healthState"] = json!("Unhealthy");
            let hangs = kept.trouble.kind == TroubleKind::Hang;
            properties["runningState"] = json!(if hangs { "Degraded" } else { "Failed" });
        }
        return Ok(());
    }
    let Some(kept) = worst else {
        return Ok(());
    };
    let hangs = kept.trouble.kind == TroubleKind::Hang;
    let details = if hangs {
        "the readiness probe gets no answer"
    } else {
        "CrashLoopBackOff"
    };
    properties["runningStateDetails"] = json!(details);
    if !hangs {
        properties["runningState"] = json!("NotRunning");
    }
    for container in properties["containers"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        container["ready"] = json!(false);
        container["runningStateDetails"] = json!(details);
        if !hangs {
            container["started"] = json!(false);
            container["runningState"] = json!("Waiting");
            // It is started again ever more seldom, and at least every five minutes.
            container["restartCount"] = json!(1 + (now - kept.began).max(0) / 300_000);
        }
    }
    Ok(())
}
