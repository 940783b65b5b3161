//! What is asked of the load and of metrics on demand: bursts, hot partitions, gaps, lag.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::physics::container::{Hot, spread};
use super::{children, of_kind};
use crate::local::storage::Refusal;

/// Minutes of which metrics tell nothing yet, unless something else was asked for.
const LAG_MINUTES: i64 = 2;

/// When something holds, in minutes since 1970: from `from` up to but not `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::local) struct Span {
    pub(in crate::local) from: i64,
    pub(in crate::local) until: i64,
}

impl Span {
    pub(in crate::local) fn holds(&self, minute: i64) -> bool {
        (self.from..self.until).contains(&minute)
    }
}

/// One thing that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::local) enum Pressure {
    /// So many times the load.
    Burst {
        resource: String,
        factor: f64,
        span: Span,
    },
    /// One tenant has so many percent of a container's load.
    Hot {
        container: String,
        tenant: String,
        percent: f64,
        span: Span,
    },
    /// Metrics have no value.
    Gap { resource: String, span: Span },
}

impl Pressure {
    fn kind(&self) -> &'static str {
        match self {
            Self::Burst { .. } => "burst",
            Self::Hot { .. } => "hot",
            Self::Gap { .. } => "gap",
        }
    }

    fn resource(&self) -> &str {
        match self {
            Self::Burst { resource, .. } | Self::Gap { resource, .. } => resource,
            Self::Hot { container, .. } => container,
        }
    }
}

/// Adds one. Errors: there is nothing that is called so, or it has no partitions that could be hot.
pub(in crate::local) fn add(db: &Connection, pressure: &Pressure) -> Result<(), Refusal> {
    let named = pressure.resource();
    let mut meant = all_ids(db)?;
    meant.retain(|id| fits(id, named));
    if meant.is_empty() {
        let why = format!("there is no account, container or container app `{named}`");
        return Err(Refusal::new(404, "ResourceNotFound", why));
    }
    let partitioned = |id: &String| id.contains("/microsoft.documentdb/");
    if matches!(pressure, Pressure::Hot { .. }) && !meant.iter().any(partitioned) {
        let why = format!("`{named}` is a container app: only Cosmos containers have partitions");
        return Err(Refusal::new(400, "InvalidInput", why));
    }
    let body = serde_json::to_string(pressure)
        .map_err(|e| Refusal::new(500, "InternalError", e.to_string()))?;
    db.execute(
        "INSERT INTO pressures (kind, body) VALUES (?1, ?2)",
        params![pressure.kind(), body],
    )?;
    Ok(())
}

/// All of a kind (`burst`, `hot`, `gap`), in order, or everything.
pub(in crate::local) fn all(db: &Connection, kind: Option<&str>) -> Result<Vec<Pressure>, Refusal> {
    let mut select = db.prepare_cached(
        "SELECT body FROM pressures WHERE ?1 IS NULL OR kind = ?1 ORDER BY number",
    )?;
    let rows = select.query_map([kind], |row| row.get::<_, String>(0))?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    rows.iter()
        .map(|body| {
            serde_json::from_str(body)
                .map_err(|e| Refusal::new(500, "InternalError", e.to_string()))
        })
        .collect()
}

/// Ends all of a kind that holds at a minute, and drops what would hold only later: what was so
/// before stays as it was.
pub(in crate::local) fn end(db: &Connection, kind: &str, minute: i64) -> Result<(), Refusal> {
    db.execute(
        "DELETE FROM pressures WHERE kind = ?1 AND json_extract(body, '$.span.from') >= ?2",
        params![kind, minute],
    )?;
    db.execute(
        "UPDATE pressures SET body = json_set(body, '$.span.until', ?2)
         WHERE kind = ?1 AND json_extract(body, '$.span.until') > ?2",
        params![kind, minute],
    )?;
    Ok(())
}

/// Takes back all of a kind, from all time.
pub(in crate::local) fn clear(db: &Connection, kind: &str) -> Result<(), Refusal> {
    db.execute("DELETE FROM pressures WHERE kind = ?1", [kind])?;
    Ok(())
}

/// Minutes of which metrics tell nothing yet.
pub(in crate::local) fn lag(db: &Connection) -> Result<i64, Refusal> {
    let kept: Option<i64> = db
        .query_row(
            "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'metrics_lag_minutes'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(kept.unwrap_or(LAG_MINUTES))
}

/// Sets it; `None`: as usual.
pub(in crate::local) fn set_lag(db: &Connection, minutes: Option<u32>) -> Result<(), Refusal> {
    match minutes {
        Some(minutes) => db.execute(
            "INSERT OR REPLACE INTO facts (name, value) VALUES ('metrics_lag_minutes', ?1)",
            [minutes.to_string()],
        )?,
        None => db.execute("DELETE FROM facts WHERE name = 'metrics_lag_minutes'", [])?,
    };
    Ok(())
}

/// What holds for one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::local) struct Pressures {
    bursts: Vec<(Span, f64)>,
    hots: Vec<(Span, Hot)>,
    gaps: Vec<Span>,
}

impl Pressures {
    /// Of the account, container or app with this id, lower case.
    pub(in crate::local) fn of(all: &[Pressure], id: &str) -> Self {
        let mut out = Self::default();
        for pressure in all.iter().filter(|one| fits(id, one.resource())) {
            match pressure {
                Pressure::Burst { factor, span, .. } => out.bursts.push((*span, *factor)),
                Pressure::Hot {
                    tenant,
                    percent,
                    span,
                    ..
                } => {
                    let hot = Hot {
                        share: percent / 100.0,
                        tenant: spread(tenant),
                    };
                    out.hots.push((*span, hot));
                }
                Pressure::Gap { span, .. } => out.gaps.push(*span),
            }
        }
        out
    }

    /// What the load is multiplied by in a minute.
    pub(in crate::local) fn factor(&self, minute: i64) -> f64 {
        let bursts = self.bursts.iter().filter(|(span, _)| span.holds(minute));
        bursts.map(|(_, factor)| factor).product()
    }

    /// Whether nothing begins or ends after the minute `from` and before `until`.
    pub(in crate::local) fn steady(&self, from: i64, until: i64) -> bool {
        let bursts = self.bursts.iter().map(|(span, _)| span);
        let spans = bursts.chain(self.hots.iter().map(|(span, _)| span));
        let mut all = spans.chain(&self.gaps);
        let inside = |minute: i64| from < minute && minute < until;
        !all.any(|span| inside(span.from) || inside(span.until))
    }

    /// The newest that holds.
    pub(in crate::local) fn hot(&self, minute: i64) -> Option<&Hot> {
        let mut hots = self.hots.iter().rev();
        hots.find(|(span, _)| span.holds(minute))
            .map(|(_, hot)| hot)
    }

    pub(in crate::local) fn silent(&self, minute: i64) -> bool {
        self.gaps.iter().any(|span| span.holds(minute))
    }
}

/// Whether a resource is meant: by its id, or one in which it lies; by its name; or, for a
/// container, as `account/database/container`.
fn fits(id: &str, named: &str) -> bool {
    let named = named.trim_matches('/').to_ascii_lowercase();
    let id = id.trim_matches('/');
    let inside = |outer: &str| {
        id.strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if named.starts_with("subscriptions/") {
        return inside(&named);
    }
    let place = id.rsplit_once("/providers/").map_or(id, |(_, place)| place);
    // Without namespace and types: only names are left.
    let names: Vec<&str> = place.split('/').skip(2).step_by(2).collect();
    let whole = names.join("/");
    whole == named
        || names.last() == Some(&named.as_str())
        || names.first() == Some(&named.as_str())
        || (names.len() == 3 && names[..2].join("/") == named)
}

/// Everything that has metrics: accounts, containers, apps; lower-case ids.
fn all_ids(db: &Connection) -> Result<Vec<String>, Refusal> {
    let mut out = Vec::new();
    for app in of_kind(db, "microsoft.app/containerapps")? {
        out.push(app.key);
    }
    for account in of_kind(db, "microsoft.documentdb/databaseaccounts")? {
        for database in children(db, &format!("{}/sqldatabases", account.key), "", i64::MAX)? {
            let containers = children(db, &format!("{}/containers", database.key), "", i64::MAX)?;
            out.extend(containers.into_iter().map(|container| container.key));
        }
        out.push(account.key);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_means() {
        let account =
            "/subscriptions/s/resourcegroups/g/providers/microsoft.documentdb/databaseaccounts/acc";
        let container = format!("{account}/sqldatabases/db/containers/threads");
        for (named, expected) in [
            ("threads", true),
            ("acc/db/threads", true),
            ("ACC/db/Threads", true),
            ("acc/db", true),
            ("acc", true),
            (account, true),
            (container.as_str(), true),
            ("db", false),
            ("thread", false),
            ("other/db/threads", false),
            ("/subscriptions/s/resourcegroups/g2", false),
        ] {
            assert_eq!(fits(&container, named), expected, "{named}");
        }
        assert!(!fits(account, "threads"));
    }

    #[test]
    fn bursts_multiply_while_they_hold() {
        let span = |from, until| Span { from, until };
        let burst = |resource: &str, factor, span| Pressure::Burst {
            resource: resource.into(),
            factor,
            span,
        };
        let all = [
            burst("threads", 3.0, span(10, 20)),
            burst("threads", 2.0, span(15, 20)),
            burst("files", 9.0, span(0, 99)),
        ];
        let id = "/subscriptions/s/providers/microsoft.documentdb/databaseaccounts/a/sqldatabases/d/containers/threads";
        let found = Pressures::of(&all, id);
        for (minute, expected) in [(9, 1.0), (10, 3.0), (15, 6.0), (20, 1.0)] {
            assert!((found.factor(minute) - expected).abs() < 1e-9, "{minute}");
        }
    }
}
