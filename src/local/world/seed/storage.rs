//! A storage account with logs of every kind of keeping, among them much that is old.

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use rusqlite::Connection;
use serde_json::json;

use super::{Documents, LOCATION};
use crate::estate::Resource;
use crate::local::storage::Refusal;
use crate::local::storage::shelf::{self, Container};

/// Name, metadata, legal hold, days that blobs must be kept, and how old its blobs are in days.
type Shelf = (
    &'static str,
    &'static str,
    bool,
    Option<i64>,
    &'static [i64],
);

const OLD: &[i64] = &[31, 35, 45, 60, 90];

/// Besides `app-logs` and `gateway-logs`, which are told below.
const SHELVES: [Shelf; 5] = [
    ("audit-logs", "{}", true, None, OLD),
    ("access-logs", "{}", false, Some(365), OLD),
    ("evidence", r#"{"poolkeeper":"evidence"}"#, false, None, OLD),
    (
        "journal-copies",
        r#"{"poolkeeper":"journal"}"#,
        false,
        None,
        OLD,
    ),
    (
        "reports",
        r#"{"poolkeeper":"report-source"}"#,
        false,
        None,
        OLD,
    ),
];

pub(super) fn account(account: &Resource, now: DateTime<Utc>) -> Documents {
    let policy = json!({
        "rules": [{
            "enabled": true,
            "name": "gateway-logs-30-days",
            "type": "Lifecycle",
            "definition": {
                "filters": { "blobTypes": ["blockBlob"], "prefixMatch": ["gateway-logs/"] },
                "actions": { "baseBlob": { "delete": { "daysAfterModificationGreaterThan": 30 } } },
            },
        }],
    });
    let policy_id = format!("{}/managementPolicies/default", account.id);
    vec![
        (
            account.id.to_string(),
            json!({
                "id": account.id,
                "name": account.name,
                "type": "Microsoft.Storage/storageAccounts",
                "location": LOCATION,
                "tags": {},
                "kind": "StorageV2",
                "sku": { "name": "Standard_ZRS", "tier": "Standard" },
                "properties": {
                    "provisioningState": "Succeeded",
                    "creationTime": now - Duration::days(700),
                    "primaryLocation": LOCATION,
                    "statusOfPrimary": "available",
                    "accessTier": "Hot",
                    "supportsHttpsTrafficOnly": true,
                    "allowBlobPublicAccess": false,
                },
            }),
        ),
        (
            policy_id.clone(),
            json!({
                "id": policy_id,
                "name": "DefaultManagementPolicy",
                "type": "Microsoft.Storage/storageAccounts/managementPolicies",
                "properties": { "policy": policy, "lastModifiedTime": now - Duration::days(200) },
            }),
        ),
    ]
}

/// Fills the containers that are not there yet.
pub(super) fn blobs(db: &Connection, account: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
    let hour = now.duration_trunc(Duration::hours(1)).unwrap_or(now);
    let made = now - Duration::days(400);
    let container = |name: &str| Container {
        name: name.to_owned(),
        etag: String::new(),
        modified: made.timestamp_millis(),
        metadata: "{}".to_owned(),
        legal_hold: false,
        immutable_days: None,
    };
    let put = |container: &str, format: &str, at: DateTime<Utc>| {
        let name = at.format(format).to_string();
        let body = lines(container, at);
        let at = at.timestamp_millis();
        shelf::put(db, account, container, &name, body.as_bytes(), at)?;
        Ok::<_, Refusal>(name)
    };
    let (hourly, daily) = ("%Y/%m/%d/%H.log", "%Y/%m/%d.log");
    if shelf::add_container(db, account, &container("app-logs"))? {
        for back in 1..=40 * 24 {
            let at = hour - Duration::hours(back);
            let name = put("app-logs", hourly, at)?;
            if back == 38 * 24 {
                shelf::lease(db, account, "app-logs", &name)?;
            }
            if back == 37 * 24 {
                let at = at.format("%Y-%m-%dT%H:%M:%S.0000000Z").to_string();
                shelf::snapshot(db, account, "app-logs", &name, &at)?;
            }
        }
    }
    if shelf::add_container(db, account, &container("gateway-logs"))? {
        for days in 1..=31 {
            put("gateway-logs", daily, hour - Duration::days(days))?;
        }
    }
    for (name, metadata, legal_hold, immutable_days, ages) in SHELVES {
        let container = Container {
            metadata: metadata.to_owned(),
            legal_hold,
            immutable_days,
            ..container(name)
        };
        if shelf::add_container(db, account, &container)? {
            for days in ages {
                put(name, daily, hour - Duration::days(*days))?;
            }
        }
    }
    Ok(())
}

/// A few lines of a log.
fn lines(container: &str, at: DateTime<Utc>) -> String {
    (0..4)
        .map(|line| {
            let at = at + Duration::minutes(line * 14 + 3);
            let tenant = if line % 2 == 0 {
                "tenant-a"
            } else {
                "tenant-b"
            };
            let took = 40 + (at.timestamp() / 60) % 160;
            format!(
                "{} {container} tenant={tenant} status=200 ms={took}\n",
                at.to_rfc3339()
            )
        })
        .collect()
}
