//! How long the tables of a workspace keep what they are told. Source: Log Analytics REST, "Tables".

use axum::response::Response;
use serde_json::{Value, json};

use super::{Ask, must_be_free, operations};
use crate::local::storage::{Refusal, note};
use crate::local::world;

pub(super) const WORKSPACE: &str = "Microsoft.OperationalInsights/workspaces";
pub(super) const TABLE: &str = "Microsoft.OperationalInsights/workspaces/tables";
const TABLE_VERSION: &str = "2022-10-01";

/// Days of interactive retention that are possible, and days in all.
const DAYS: std::ops::RangeInclusive<i64> = 4..=730;
const TOTAL_DAYS: std::ops::RangeInclusive<i64> = 4..=4383;

/// Update: how long the table keeps what it is told.
pub(super) async fn update(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let body = ask.json()?;
    let number = |name: &str, range: std::ops::RangeInclusive<i64>| {
        let value = &body["properties"][name];
        match value.as_i64() {
            Some(days) if range.contains(&days) => Ok(Some(days)),
            None if value.is_null() => Ok(None),
            _ => {
                let why = format!("'{name}' is {} to {} days", range.start(), range.end());
                Err(Refusal::new(400, "InvalidParameter", why))
            }
        }
    };
    let days = number("retentionInDays", DAYS)?;
    let total = number("totalRetentionInDays", TOTAL_DAYS)?;
    let (path, if_match, takes) = (ask.path.clone(), ask.if_match(), ask.takes());
    let id = ask
        .shared
        .world
        .change(ask.ending, move |db, now| {
            let found = must_be_free(db, &path, if_match.as_deref())?;
            let old = &found.body["properties"];
            let had = |name: &str| old[name].as_i64().unwrap_or_default();
            let (was, was_total) = (had("retentionInDays"), had("totalRetentionInDays"));
            let days = days.unwrap_or(was);
            let follows = old["totalRetentionInDaysAsDefault"] == true;
            let total = total.unwrap_or(if follows { days } else { was_total.max(days) });
            if total < days {
                let why = "'totalRetentionInDays' is not below 'retentionInDays'";
                return Err(Refusal::new(400, "InvalidParameter", why));
            }
            let mut lines = Vec::new();
            if days != was {
                lines.push(format!("retention {was} -> {days} days"));
            }
            if total != was_total && !(follows && total == days) {
                lines.push(format!("total retention {was_total} -> {total} days"));
            }
            if !lines.is_empty() {
                let line = format!("{}/{}: {}", path.name(0), path.name(1), lines.join(", "));
                note(db, &line)?;
            }
            let mut new = found.body.clone();
            set(&mut new["properties"], days, total);
            let mut under_way = found.body;
            under_way["properties"]["provisioningState"] = json!("Updating");
            world::put(db, &path.id, &under_way)?;
            world::operations::begin(db, &path.id, &new, now, now + takes)
        })
        .await?;
    let place = |kind| {
        let (address, path) = (&ask.shared.address, &ask.path);
        operations::place(
            address,
            path,
            "Microsoft.OperationalInsights",
            kind,
            &id,
            TABLE_VERSION,
        )
    };
    Ok(operations::accepted(vec![
        ("azure-asyncoperation", place("operationStatuses")),
        ("location", place("operationResults")),
    ]))
}

fn set(properties: &mut Value, days: i64, total: i64) {
    properties["retentionInDays"] = json!(days);
    properties["totalRetentionInDays"] = json!(total);
    properties["archiveRetentionInDays"] = json!(total - days);
    properties["retentionInDaysAsDefault"] = json!(false);
    properties["totalRetentionInDaysAsDefault"] = json!(total == days);
}
