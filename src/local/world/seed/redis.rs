//! Caches of Azure Cache for Redis.

use serde_json::json;

use super::{Documents, LOCATION};
use crate::estate::Resource;

/// A small cache with a replica.
pub(super) fn cache(cache: &Resource) -> Documents {
    let body = json!({
        "id": cache.id,
        "name": cache.name,
        "type": "Microsoft.Cache/Redis",
        "location": LOCATION,
        "tags": {},
        "properties": {
            "provisioningState": "Succeeded",
            "redisVersion": "6.0",
            "sku": { "name": "Standard", "family": "C", "capacity": 1 },
            "enableNonSslPort": false,
            "minimumTlsVersion": "1.2",
            "redisConfiguration": { "maxmemory-policy": "volatile-lru" },
            "hostName": format!("{}.redis.cache.windows.net", cache.name),
            "sslPort": 6380,
            "instances": [
                { "sslPort": 15000, "isMaster": true, "isPrimary": true },
                { "sslPort": 15001, "isMaster": false, "isPrimary": false },
            ],
            "publicNetworkAccess": "Disabled",
        },
    });
    vec![(cache.id.to_string(), body)]
}
