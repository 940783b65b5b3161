//! What the probes see, as the health checks write it down: `health/<endpoint>.json`.

use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;

use crate::app::App;

/// Failures in a row after which a probe counts as failing; specification 6.2.
const FAILING: u32 = 3;
/// What is older says nothing of now.
const STALE: Duration = Duration::minutes(5);

/// What all probes together see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probes {
    pub failing: u32,
    /// Probes that were made lately.
    pub known: u32,
    /// The first failure of those that fail.
    pub since: Option<DateTime<Utc>>,
}

/// The part of an endpoint's document that matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    pub name: String,
    /// In a row.
    pub failures: u32,
    /// It failed often enough, by its own measure, and has not been well often enough since.
    #[serde(default)]
    pub failing: bool,
    pub first_failure: Option<DateTime<Utc>>,
    pub checked: Option<DateTime<Utc>>,
}

impl Probes {
    /// Sums up endpoints.
    #[must_use]
    pub fn of(endpoints: &[Endpoint], now: DateTime<Utc>) -> Self {
        let mut probes = Self::default();
        for endpoint in endpoints {
            let is_old = |at: DateTime<Utc>| (now - at).abs() > STALE;
            if endpoint.checked.is_none_or(is_old) {
                continue;
            }
            probes.known += 1;
            if endpoint.failing || endpoint.failures >= FAILING {
                probes.failing += 1;
                probes.since = match (probes.since, endpoint.first_failure) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        probes
    }
}

/// Reads what the health checks wrote last.
///
/// Errors: the store cannot be read.
pub(super) async fn probes(app: &App, now: DateTime<Utc>) -> anyhow::Result<Probes> {
    let store = app.store()?;
    let mut endpoints = Vec::new();
    for path in store.list_all("health/").await? {
        // Another kind of document in the folder is none of an endpoint.
        let document = store.get::<serde_json::Value>(&path).await?;
        let endpoint = document.and_then(|d| serde_json::from_value::<Endpoint>(d.value).ok());
        endpoints.extend(endpoint);
    }
    Ok(Probes::of(&endpoints, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_was_not_made_lately_says_nothing() {
        let now = DateTime::UNIX_EPOCH + Duration::hours(1);
        let one = |failures, minutes: i64| Endpoint {
            name: "e".into(),
            failures,
            failing: false,
            first_failure: (failures > 0).then_some(now - Duration::minutes(9)),
            checked: Some(now - Duration::minutes(minutes)),
        };
        for (name, endpoints, (failing, known)) in [
            ("none", vec![], (0, 0)),
            ("one that works", vec![one(0, 1)], (0, 1)),
            ("one that failed twice", vec![one(2, 1)], (0, 1)),
            ("one of two", vec![one(3, 1), one(0, 1)], (1, 2)),
            ("one long ago", vec![one(3, 6)], (0, 0)),
            ("by a clock that was ahead", vec![one(3, -60)], (0, 0)),
            (
                "one that was well once since",
                vec![Endpoint {
                    failing: true,
                    first_failure: Some(now),
                    ..one(0, 1)
                }],
                (1, 1),
            ),
        ] {
            let probes = Probes::of(&endpoints, now);
            assert_eq!((probes.failing, probes.known), (failing, known), "{name}");
            assert_eq!(probes.since.is_some(), failing > 0, "{name}");
        }
    }
}
