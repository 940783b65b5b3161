//! The action group: posts alerts, again where that may help, and is silent where nobody answers.
//!
//! Source: Azure Monitor, "Action groups", on the retries of webhooks.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::Value;

use super::{Shared, fact};
use crate::local::storage::Refusal;

/// Seconds before the second and every further attempt.
const DELAYS: [i64; 5] = [5, 20, 5, 40, 5];
/// How long nothing is posted when the last attempt has failed.
const SILENT_MS: i64 = 15 * 60 * 1000;
const SILENT: &str = "action_group_silent_until";
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn enqueue(db: &Connection, body: &Value, now: i64) -> Result<(), Refusal> {
    db.execute(
        "INSERT INTO alert_posts (body, tries, due) VALUES (?1, 0, ?2)",
        params![body.to_string(), now],
    )?;
    Ok(())
}

/// Posts what is due. What nobody takes is lost, as with Azure.
pub(super) async fn post_due(shared: &Arc<Shared>) -> Result<(), Refusal> {
    let url = {
        let url = shared.action_group.lock();
        url.unwrap_or_else(PoisonError::into_inner).clone()
    };
    let Some(url) = url else {
        return Ok(());
    };
    let due = shared.world.run(|db, now| {
        if fact(db, SILENT)?.is_some_and(|until| now < until) {
            let lost = db.execute("DELETE FROM alert_posts WHERE due <= ?1", [now])?;
            if lost > 0 {
                tracing::warn!(lost, "the action group is silent");
            }
        }
        let mut select = db.prepare_cached(
            "SELECT number, body, tries FROM alert_posts WHERE due <= ?1 ORDER BY number",
        )?;
        let rows = select.query_map([now], |r| {
            Ok((
                r.get::<_, i64>(0)?,
                r.get::<_, String>(1)?,
                r.get::<_, u32>(2)?,
            ))
        })?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    for (number, body, tries) in due.await? {
        let outcome = post(&url, body).await;
        shared
            .world
            .run(move |db, now| settle(db, number, tries, outcome, now))
            .await?;
    }
    Ok(())
}

/// The status, or that there is none.
async fn post(url: &str, body: String) -> Option<u16> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .build()
        .ok()?;
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await.ok()?;
    Some(answer.status().as_u16())
}

fn settle(
    db: &Connection,
    number: i64,
    tries: u32,
    outcome: Option<u16>,
    now: i64,
) -> Result<(), Refusal> {
    let again = matches!(outcome, None | Some(408 | 429 | 503 | 504));
    match DELAYS.get(tries as usize).filter(|_| again) {
        Some(delay) => {
            db.execute(
                "UPDATE alert_posts SET tries = ?2, due = ?3 WHERE number = ?1",
                params![number, tries + 1, now + delay * 1000],
            )?;
        }
        None => {
            db.execute("DELETE FROM alert_posts WHERE number = ?1", [number])?;
            if again {
                let until = (now + SILENT_MS).to_string();
                db.execute(
                    "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)",
                    params![SILENT, until],
                )?;
                tracing::warn!("nobody takes alerts: the action group is silent for 15 minutes");
            } else if !outcome.is_some_and(|status| (200..300).contains(&status)) {
                tracing::warn!(status = outcome, "an alert was not taken");
            }
        }
    }
    Ok(())
}
