//! Alerts, as the one who fired them knows them. Source: Alerts Management REST, "Alerts - Get By
//! Id".

use axum::response::Response;
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::json;

use super::{Ask, missing, shown};
use crate::local::storage::Refusal;
use crate::local::world::{self, World};

pub(super) const ALERT: &str = "Microsoft.AlertsManagement/alerts";
const FOLDER: &str = "/alerts";

/// The alert, at any scope that its target lies in.
pub(super) async fn one(ask: &Ask<'_>) -> Result<Response, Refusal> {
    let path = ask.path.clone();
    let found = ask
        .shared
        .world
        .run(move |db, _| {
            let found = world::find(db, &format!("{FOLDER}/{}", path.name(0)))?;
            let scope = path.scope.to_ascii_lowercase();
            found
                .filter(|alert| {
                    let target = alert.body["properties"]["essentials"]["targetResource"].as_str();
                    target.is_some_and(|target| {
                        let target = target.to_ascii_lowercase();
                        target == scope || target.starts_with(&format!("{scope}/"))
                    })
                })
                .ok_or_else(|| missing(&path.id))
        })
        .await?;
    Ok(shown(&ask.shared.address, found))
}

/// An alert, as whoever raises it says it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::local::simulator) struct Raised {
    pub id: String,
    /// The id of the resource that it is about.
    pub target: String,
    pub rule: String,
    /// `Sev0` to `Sev4`.
    pub severity: String,
    /// `Fired` or `Resolved`.
    pub condition: String,
    /// The tenant that its dimensions name.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// Puts an alert there, or changes it.
pub(in crate::local::simulator) async fn raise(
    world: &World,
    raised: Raised,
) -> Result<(), Refusal> {
    let at = world.clock().now();
    world.run(move |db, _| write_alert(db, at, &raised)).await
}

/// As [`raise`], in the middle of something.
pub(in crate::local::simulator) fn write_alert(
    db: &Connection,
    at: DateTime<Utc>,
    raised: &Raised,
) -> Result<(), Refusal> {
    let Raised {
        id,
        target,
        rule,
        severity,
        condition,
        tenant,
    } = raised;
    // Azure tells the context of an alert of logs within another one.
    let context = tenant.as_ref().map_or(json!({}), |tenant| {
        let dimensions = json!([{ "name": "tenantId", "value": tenant }]);
        json!({ "context": { "condition": { "allOf": [{ "dimensions": dimensions }] } } })
    });
    let segments: Vec<&str> = target.split('/').collect();
    let part = |index: usize| segments.get(index).copied().unwrap_or_default();
    let mut body = json!({
        "id": format!("{target}/providers/{ALERT}/{id}"),
        "type": ALERT,
        "name": rule,
        "properties": {
            "essentials": {
                "severity": severity,
                "signalType": "Metric",
                "alertState": "New",
                "monitorCondition": condition,
                "monitorService": "Platform",
                "targetResource": target,
                "targetResourceName": segments.last().copied().unwrap_or_default(),
                "targetResourceGroup": part(4),
                "targetResourceType": part(7),
                "alertRule": rule,
                "startDateTime": at,
                "lastModifiedDateTime": at,
                "lastModifiedUserName": "System",
                "actionStatus": { "isSuppressed": false },
            },
            "context": context,
            "egressConfig": {},
        },
    });
    if condition == "Resolved" {
        body["properties"]["essentials"]["monitorConditionResolvedDateTime"] = json!(at);
    }
    world::put(db, &format!("{FOLDER}/{id}"), &body)?;
    Ok(())
}
