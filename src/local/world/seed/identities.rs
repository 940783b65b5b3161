//! App registrations and their secrets.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::json;

use super::Documents;

/// Where app registrations lie in the world.
pub(in crate::local) const APPLICATIONS: &str = "/applications";

/// One with all that it needs for long.
pub(super) fn calm(now: DateTime<Utc>) -> Documents {
    let day = |days: i64| (now + Duration::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let app = "00000000-aaaa-4bbb-8ccc-0000000000a2";
    vec![(
        format!("{APPLICATIONS}/{app}"),
        json!({
            "id": "00000000-aaaa-4bbb-8ccc-0000000000f2",
            "appId": app,
            "displayName": "agents-portal",
            "passwordCredentials": [{
                "keyId": "00000000-aaaa-4bbb-8ccc-0000000000b3",
                "displayName": "portal",
                "startDateTime": day(-60),
                "endDateTime": day(300),
            }],
            "keyCredentials": [],
        }),
    )]
}

/// One with a secret that ends soon and one that has ended.
pub(super) fn application(now: DateTime<Utc>) -> Documents {
    let day = |days: i64| (now + Duration::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let app = "00000000-aaaa-4bbb-8ccc-0000000000a1";
    vec![(
        format!("{APPLICATIONS}/{app}"),
        json!({
            "id": "00000000-aaaa-4bbb-8ccc-0000000000f1",
            "appId": app,
            "displayName": "agents-api",
            "passwordCredentials": [
                {
                    "keyId": "00000000-aaaa-4bbb-8ccc-0000000000b1",
                    "displayName": "deployment",
                    "startDateTime": day(-170),
                    "endDateTime": day(10),
                },
                {
                    "keyId": "00000000-aaaa-4bbb-8ccc-0000000000b2",
                    "displayName": "deployment (old)",
                    "startDateTime": day(-367),
                    "endDateTime": day(-2),
                },
            ],
            "keyCredentials": [{
                "keyId": "00000000-aaaa-4bbb-8ccc-0000000000c1",
                "displayName": "CN=agents-api",
                "type": "AsymmetricX509Cert",
                "usage": "Verify",
                "startDateTime": day(-30),
                "endDateTime": day(335),
            }],
        }),
    )]
}
