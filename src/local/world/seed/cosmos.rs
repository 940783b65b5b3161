//! A Cosmos account, its database and containers, and what throughput they have.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Documents;
use crate::domain::ResourceId;
use crate::estate::{Cosmos, Kind, Stamp};

const LOCATION: &str = "Japan East";
/// RU/s that a physical partition serves at most.
pub(in crate::local) const PARTITION_SERVES: i64 = 10_000;

/// RU/s that a container begins with, and whether they scale by themselves.
pub(in crate::local) fn throughput(container: &str) -> (i64, bool) {
    match container {
        "threads" => (1000, false),
        "messages" => (4000, true),
        "files" => (2000, false),
        _ => (400, false),
    }
}

/// Physical partitions that a container begins with: those with most of the load have been split.
pub(in crate::local) fn partitions(container: &str) -> u32 {
    match container {
        "threads" => 2,
        "messages" => 3,
        _ => 1,
    }
}

/// Physical partitions of an offer that can have so many RU/s at once.
pub(in crate::local) fn partitions_serving(instant_maximum: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few partitions"
    )]
    let partitions = (instant_maximum / PARTITION_SERVES as f64) as usize;
    partitions.max(1)
}

/// GB of data and index that a container holds.
fn storage_gb(container: &str) -> f64 {
    match container {
        "threads" => 18.0,
        "messages" => 94.0,
        "files" => 31.0,
        "leases" => 0.1,
        _ => 6.0,
    }
}

/// What a container is, besides its throughput: most are as they were made, and one was tended by
/// hand once.
fn resource(name: &str) -> serde_json::Value {
    let everything = json!({
        "id": name,
        "partitionKey": { "paths": ["/tenantId"], "kind": "Hash", "version": 2 },
        "indexingPolicy": {
            "indexingMode": "consistent",
            "automatic": true,
            "includedPaths": [{ "path": "/*" }],
            "excludedPaths": [{ "path": "/\"_etag\"/?" }],
        },
    });
    if name != "runs" {
        return everything;
    }
    json!({
        "id": name,
        "partitionKey": { "paths": ["/tenantId"], "kind": "Hash", "version": 2 },
        "indexingPolicy": {
            "indexingMode": "consistent",
            "automatic": true,
            "includedPaths": [
                { "path": "/tenantId/?" },
                { "path": "/status/?" },
                { "path": "/createdAt/?" },
                { "path": "/legacyState/?" },
            ],
            "excludedPaths": [{ "path": "/*" }, { "path": "/\"_etag\"/?" }],
            "compositeIndexes": [[
                { "path": "/legacyState", "order": "ascending" },
                { "path": "/createdAt", "order": "descending" },
            ]],
        },
        "defaultTtl": 2_592_000,
        "uniqueKeyPolicy": { "uniqueKeys": [{ "paths": ["/threadId", "/number"] }] },
        "conflictResolutionPolicy": {
            "mode": "LastWriterWins", "conflictResolutionPath": "/_ts",
        },
        "computedProperties": [
            { "name": "lowerName", "query": "SELECT VALUE LOWER(c.name) FROM c" },
        ],
    })
}

pub(super) fn account(stamp: &Stamp, cosmos: &Cosmos, now: DateTime<Utc>) -> Documents {
    let id = ResourceId::new(
        &stamp.subscription,
        &stamp.resource_group,
        Kind::CosmosAccount.azure(),
        &cosmos.account,
    );
    let place = json!([{
        "id": format!("{}-japaneast", cosmos.account),
        "locationName": LOCATION,
        "documentEndpoint": format!("https://{}-japaneast.documents.azure.com:443/", cosmos.account),
        "provisioningState": "Succeeded",
        "failoverPriority": 0,
    }]);
    let mut out = vec![(
        id.to_string(),
        json!({
            "id": id,
            "name": cosmos.account,
            "type": Kind::CosmosAccount.azure(),
            "location": LOCATION,
            "kind": "GlobalDocumentDB",
            "tags": {},
            "properties": {
                "provisioningState": "Succeeded",
                "documentEndpoint": format!("https://{}.documents.azure.com:443/", cosmos.account),
                "databaseAccountOfferType": "Standard",
                "consistencyPolicy": { "defaultConsistencyLevel": "Session" },
                "writeLocations": place,
                "readLocations": place,
                "locations": place,
                "enableFreeTier": false,
                "backupPolicy": { "type": "Continuous" },
            },
        }),
    )];
    let database = format!("{id}/sqlDatabases/{}", cosmos.database);
    out.push((
        database.clone(),
        json!({
            "id": database,
            "name": cosmos.database,
            "type": "Microsoft.DocumentDB/databaseAccounts/sqlDatabases",
            "location": LOCATION,
            "tags": {},
            "properties": { "resource": {
                "id": cosmos.database, "_rid": "Kq1pAA==", "_ts": now.timestamp() - 86_400 * 700,
            } },
        }),
    ));
    out.push(offer(&database, "leases", 400, false));
    // Where the change feed keeps its place: it lives on what the database shares.
    let all = cosmos.containers.iter().map(String::as_str);
    for (number, name) in all.chain(["leases"]).enumerate() {
        let container = format!("{database}/containers/{name}");
        let mut resource = resource(name);
        resource["_rid"] = json!(format!("Kq1pAI{number}="));
        resource["_ts"] = json!(now.timestamp() - 86_400 * 600);
        out.push((
            container.clone(),
            json!({
                "id": container,
                "name": name,
                "type": "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers",
                "location": LOCATION,
                "tags": {},
                "properties": { "resource": resource },
            }),
        ));
        if name != "leases" {
            let (value, autoscale) = throughput(name);
            out.push(offer(&container, name, value, autoscale));
        }
    }
    out
}

/// The offer of a container, or of a database in which only `name` lives on it.
fn offer(of: &str, name: &str, value: i64, autoscale: bool) -> (String, serde_json::Value) {
    let id = format!("{of}/throughputSettings/default");
    (
        id.clone(),
        json!({
            "id": id,
            "value": value,
            "autoscale": autoscale,
            "highest": value,
            "pending": false,
            "instant_maximum": i64::from(partitions(name)) * PARTITION_SERVES,
            "storage_gb": storage_gb(name),
        }),
    )
}
