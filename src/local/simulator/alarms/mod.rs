//! Alert rules that fire: what is wrong in the estate is noticed, raised as an alert, and posted to an
//! action group.

mod group;
mod payload;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::{Shared, Told, arm};
use crate::local::storage::Refusal;
use crate::local::world::{find, of_kind, troubles};
pub use rules::{AlertRule, Crossing};

/// How often rules are looked at, in real time.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the rules and posts what is due, for ever. `Weak` ends it with the simulator.
pub(super) async fn watch(shared: std::sync::Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if let Err(refusal) = look(&shared).await {
            tracing::warn!(%refusal, "the alert rules were not looked at");
        }
        drop(shared);
        tokio::time::sleep(EVERY).await;
    }
}

/// Looks at the rules once and posts what is due.
pub(super) async fn look(shared: &Arc<Shared>) -> Result<(), Refusal> {
    let _alone = shared.looking.lock().await;
    let told: Vec<Told> = {
        let troubles = shared.troubles.lock();
        let troubles = troubles.unwrap_or_else(std::sync::PoisonError::into_inner);
        troubles.iter().map(|(_, told)| told.clone()).collect()
    };
    shared
        .world
        .run(move |db, now| judge_all(db, now, &told))
        .await?;
    group::post_due(shared).await
}

/// Adds a rule, or replaces the one of its name.
///
/// Errors: there is no such app.
pub(super) fn add(db: &Connection, rule: &AlertRule) -> Result<(), Refusal> {
    target(db, rule)?;
    let text = serde_json::to_string(rule).map_err(|e| broken(&e))?;
    db.execute(
        "INSERT INTO alert_rules (name, rule) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET rule = ?2",
        params![rule.name, text],
    )?;
    Ok(())
}

/// The rules, by name.
pub(super) fn list(db: &Connection) -> Result<Vec<AlertRule>, Refusal> {
    Ok(kept(db)?.into_iter().map(|kept| kept.rule).collect())
}

/// Removes every rule whose name begins so. What was raised stays.
pub(super) fn clear(db: &Connection, prefix: &str) -> Result<(), Refusal> {
    db.execute(
        "DELETE FROM alert_rules WHERE substr(name, 1, length(?1)) = ?1",
        [prefix],
    )?;
    Ok(())
}

fn broken(error: &serde_json::Error) -> Refusal {
    Refusal::new(500, "InternalError", error.to_string())
}

/// A rule, and how it stands.
struct Kept {
    rule: AlertRule,
    /// The alert that is open, and when it fired.
    alert: Option<(String, i64)>,
    /// Since when the estate is not as the alert says.
    since: Option<i64>,
}

fn kept(db: &Connection) -> Result<Vec<Kept>, Refusal> {
    let mut select =
        db.prepare_cached("SELECT rule, alert, fired, since FROM alert_rules ORDER BY name")?;
    let rows = select
        .query_map([], |r| {
            let alert: Option<String> = r.get(1)?;
            let fired: Option<i64> = r.get(2)?;
            Ok((r.get::<_, String>(0)?, alert.zip(fired), r.get(3)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    rows.into_iter()
        .map(|(text, alert, since)| {
            let rule = serde_json::from_str(&text).map_err(|e| broken(&e))?;
            Ok(Kept { rule, alert, since })
        })
        .collect()
}

/// The resource that a rule is about.
fn target(db: &Connection, rule: &AlertRule) -> Result<Value, Refusal> {
    let known = match &rule.target {
        Some(id) => find(db, id)?,
        None => of_kind(db, "microsoft.app/containerapps")?
            .into_iter()
            .find(|app| app.body["name"] == rule.app.as_str()),
    };
    known.map(|found| found.body["id"].clone()).ok_or_else(|| {
        let why = format!("the rule `{}` is about nothing that is there", rule.name);
        Refusal::new(404, "ResourceNotFound", why)
    })
}

fn judge_all(db: &Connection, now: i64, told: &[Told]) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    for app in of_kind(db, "microsoft.app/containerapps")? {
        wrong.extend(troubles::of(db, &app, now)?);
    }
    for kept in kept(db)? {
        let crossed = rules::crossed(&kept.rule, &wrong, told, now.div_euclid(60_000));
        let (since, turns) =
            rules::turns(&kept.rule, kept.alert.is_some(), crossed, kept.since, now);
        let mut alert = kept.alert.clone();
        if turns {
            let condition = if crossed { "Fired" } else { "Resolved" };
            let (id, fired) = kept
                .alert
                .unwrap_or_else(|| (uuid::Uuid::new_v4().to_string(), now));
            let target = target(db, &kept.rule)?;
            let target = target.as_str().unwrap_or_default();
            let at = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
            let rule = &kept.rule;
            let raised = arm::Raised {
                id: id.clone(),
                target: target.to_owned(),
                rule: rule.name.clone(),
                severity: rule.severity.clone(),
                condition: condition.to_owned(),
                tenant: rule.tenant.clone(),
            };
            arm::write_alert(db, at, &raised)?;
            let post = payload::common(rule, &id, target, fired, (!crossed).then_some(now));
            group::enqueue(db, &post, now)?;
            alert = crossed.then_some((id, fired));
        }
        let (id, fired) = alert.unzip();
        db.execute(
            "UPDATE alert_rules SET alert = ?2, fired = ?3, since = ?4 WHERE name = ?1",
            params![kept.rule.name, id, fired, since],
        )?;
    }
    Ok(())
}

/// One of the facts that outlive a start, in milliseconds.
fn fact(db: &Connection, name: &str) -> Result<Option<i64>, Refusal> {
    let sql = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = ?1";
    Ok(db.query_row(sql, [name], |row| row.get(0)).optional()?)
}
