//! A key vault, and what ends soon in it.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::{Documents, LOCATION};
use crate::estate::Resource;

/// One item of a vault: kind, name, whether it is enabled, and the days until it begins and ends.
type Item = (&'static str, &'static str, bool, i64, Option<i64>);

/// Something for each threshold, and for each way to be wrong.
const ITEMS: [Item; 14] = [
    ("certificates", "api-gateway", true, -300, Some(200)),
    ("certificates", "portal", true, -300, Some(58)),
    ("certificates", "webhooks", true, -340, Some(28)),
    ("certificates", "partner-mtls", true, -352, Some(12)),
    ("certificates", "search-proxy", true, -360, Some(5)),
    ("certificates", "legacy-portal", true, -400, Some(-3)),
    ("certificates", "old-region", false, -700, Some(-90)),
    ("certificates", "next-year", true, 20, Some(385)),
    ("secrets", "smtp-password", true, -100, Some(80)),
    ("secrets", "partner-api-key", true, -370, Some(-5)),
    ("secrets", "bootstrap-token", true, -900, None),
    ("secrets", "rotated-out", false, -200, Some(-20)),
    ("keys", "data-key", true, -200, Some(165)),
    ("keys", "audit-signing", true, -600, None),
];

/// Where a vault's contents lie in the world.
pub(in crate::local) fn vault_folder(name: &str) -> String {
    format!("/vaults/{name}")
}

pub(super) fn vault(vault: &Resource, address: &str, now: DateTime<Utc>) -> Documents {
    let mut out = vec![(
        vault.id.to_string(),
        json!({
            "id": vault.id,
            "name": vault.name,
            "type": "Microsoft.KeyVault/vaults",
            "location": LOCATION,
            "tags": {},
            "properties": {
                "sku": { "family": "A", "name": "standard" },
                "tenantId": "22222222-3333-4444-8555-666666666666",
                "enableRbacAuthorization": true,
                "enableSoftDelete": true,
                "provisioningState": "Succeeded",
                "publicNetworkAccess": "Enabled",
            },
        }),
    )];
    let folder = vault_folder(&vault.name);
    let seconds = |days: i64| (now + Duration::days(days)).timestamp();
    for (kind, name, enabled, begins, ends) in ITEMS {
        let id = format!("{address}/vault/{}/{kind}/{name}", vault.name);
        let mut attributes = json!({
            "enabled": enabled,
            "nbf": seconds(begins),
            "created": seconds(begins.min(-1)),
            "updated": seconds(begins.min(-1)),
            "recoveryLevel": "Recoverable+Purgeable",
        });
        if let Some(ends) = ends {
            attributes["exp"] = json!(seconds(ends));
        }
        let mut row = json!({ "attributes": attributes });
        row[if kind == "keys" { "kid" } else { "id" }] = json!(id);
        if kind == "certificates" {
            row["x5t"] = json!("fLi3U52HunIVNXubkEnf8tP6Wbo");
            // Each certificate has a secret and a key of its name behind it.
            for behind in ["secrets", "keys"] {
                let id = format!("{address}/vault/{}/{behind}/{name}", vault.name);
                let mut row = json!({ "attributes": row["attributes"], "managed": true });
                row[if behind == "keys" { "kid" } else { "id" }] = json!(id);
                out.push((format!("{folder}/{behind}/{name}"), row));
            }
        }
        out.push((format!("{folder}/{kind}/{name}"), row));
    }
    out
}
