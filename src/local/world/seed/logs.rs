//! A Log Analytics workspace and how long its tables keep what they are told.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Documents, LOCATION};
use crate::estate::{Kind, Resource};

/// What the workspace keeps where a table says nothing.
const DEFAULT_DAYS: i64 = 30;

/// Name, plan, days of interactive retention, and days in all.
const TABLES: [(&str, &str, i64, i64); 12] = [
    ("AppRequests", "Analytics", 90, 90),
    ("AppDependencies", "Analytics", 90, 90),
    ("AppTraces", "Analytics", 30, 30),
    ("AppExceptions", "Analytics", 90, 180),
    ("AppMetrics", "Analytics", 30, 30),
    ("AppAvailabilityResults", "Analytics", 30, 30),
    ("CDBDataPlaneRequests", "Analytics", 30, 30),
    ("CDBPartitionKeyRUConsumption", "Analytics", 30, 30),
    ("AzureActivity", "Analytics", 90, 90),
    ("AzureMetrics", "Analytics", 30, 30),
    ("StorageBlobLogs", "Analytics", 30, 365),
    ("ContainerAppConsoleLogs_CL", "Analytics", 4, 4),
];

pub(super) fn workspace(
    workspace: &Resource,
    customer_id: Option<&str>,
    now: DateTime<Utc>,
) -> Documents {
    // The same at every start, and another one for each workspace.
    let own = Sha256::digest(workspace.id.as_str().to_ascii_lowercase());
    let own: [u8; 16] = std::array::from_fn(|at| own[at]);
    let customer_id = customer_id.map_or_else(
        || {
            uuid::Builder::from_random_bytes(own)
                .into_uuid()
                .to_string()
        },
        str::to_owned,
    );
    let created = (now - Duration::days(700)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut out = vec![(
        workspace.id.to_string(),
        json!({
            "id": workspace.id,
            "name": workspace.name,
            "type": Kind::Workspace.azure(),
            "location": LOCATION,
            "tags": {},
            "properties": {
                "customerId": customer_id,
                "provisioningState": "Succeeded",
                "sku": { "name": "PerGB2018" },
                "retentionInDays": DEFAULT_DAYS,
                "workspaceCapping": { "dailyQuotaGb": -1.0 },
                "createdDate": created,
            },
        }),
    )];
    for (name, plan, days, total) in TABLES {
        let id = format!("{}/tables/{name}", workspace.id);
        let own = if name.ends_with("_CL") {
            "CustomLog"
        } else {
            "Microsoft"
        };
        out.push((
            id.clone(),
            json!({
                "id": id,
                "name": name,
                "type": "Microsoft.OperationalInsights/workspaces/tables",
                "properties": {
                    "provisioningState": "Succeeded",
                    "plan": plan,
                    "retentionInDays": days,
                    "totalRetentionInDays": total,
                    "archiveRetentionInDays": total - days,
                    "retentionInDaysAsDefault": days == DEFAULT_DAYS,
                    "totalRetentionInDaysAsDefault": days == total,
                    "schema": { "name": name, "tableType": own },
                },
            }),
        ));
    }
    out
}
