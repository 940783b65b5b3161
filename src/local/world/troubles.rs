//! What goes wrong in container apps, and what heals it.

use std::ops::Range;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{Resource, find, of_kind};
use crate::local::storage::Refusal;

/// What is wrong with an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// It takes requests and answers none.
    Hang,
    /// No replica runs: the ingress answers 503.
    Crash,
    /// Connections are closed without an answer.
    Close,
    /// Each answer takes so long.
    Slow { ms: u64 },
    /// Each answer has this status, and the platform notices nothing.
    Fail { status: u16 },
    /// The next change of its template makes a revision that cannot be provisioned; what runs goes on.
    Revision,
}

/// What ends a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heals {
    /// So many minutes of the estate's clock.
    Time { minutes: u32 },
    /// New replicas, by a restart or by a new revision.
    Restart,
    /// A flush of a cache in the app's resource group.
    Flush,
    /// It is gone as long as the running revision has at least so many replicas.
    Scale { replicas: u32 },
    /// Nothing does, but who made it.
    #[default]
    Never,
}

/// One trouble of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    pub kind: TroubleKind,
    /// Only for this tenant, as requests name it in `x-tenant-id` or `?tenant=`.
    #[serde(default)]
    pub tenant: Option<String>,
    #[serde(default)]
    pub heals: Heals,
}

impl Trouble {
    /// For everybody, until `heals`.
    #[must_use]
    pub fn new(kind: TroubleKind, heals: Heals) -> Self {
        Self {
            kind,
            tenant: None,
            heals,
        }
    }

    /// Whether the platform's own probes notice it.
    pub(in crate::local) fn shows(&self) -> bool {
        let stops = matches!(
            self.kind,
            TroubleKind::Hang | TroubleKind::Crash | TroubleKind::Close
        );
        stops && self.tenant.is_none()
    }
}

/// A trouble that is on, or was.
#[derive(Debug, Clone)]
pub(in crate::local) struct Kept {
    pub(in crate::local) app: String,
    pub(in crate::local) trouble: Trouble,
    /// Milliseconds since 1970.
    pub(in crate::local) began: i64,
    /// When it ends, if that is known.
    pub(in crate::local) until: Option<i64>,
}

/// Begins a trouble of the app with this name.
///
/// Errors: there is no such app.
pub(in crate::local) fn begin(
    db: &Connection,
    app: &str,
    trouble: &Trouble,
    now: i64,
) -> Result<(), Refusal> {
    let apps = of_kind(db, "microsoft.app/containerapps")?;
    let found = apps
        .iter()
        .any(|found| found.body["name"].as_str() == Some(app));
    if !found {
        let why = format!("there is no container app `{app}`");
        return Err(Refusal::new(404, "ResourceNotFound", why));
    }
    let until = match trouble.heals {
        Heals::Time { minutes } => Some(now + i64::from(minutes) * 60_000),
        _ => None,
    };
    let text = serde_json::to_string(trouble)
        .map_err(|e| Refusal::new(500, "InternalError", e.to_string()))?;
    db.execute(
        "INSERT INTO app_troubles (app, trouble, began, until) VALUES (?1, ?2, ?3, ?4)",
        params![app, text, now, until],
    )?;
    Ok(())
}

/// Ends every trouble, or those of one app.
pub(in crate::local) fn end(db: &Connection, app: Option<&str>, now: i64) -> Result<(), Refusal> {
    db.execute(
        "UPDATE app_troubles SET until = ?2
         WHERE (?1 IS NULL OR app = ?1) AND (until IS NULL OR until > ?2)",
        params![app, now],
    )?;
    Ok(())
}

/// What has not ended by `now`, in order, those that only more replicas hold off among them.
pub(in crate::local) fn all(db: &Connection, now: i64) -> Result<Vec<Kept>, Refusal> {
    let mut select = db.prepare_cached(
        "SELECT app, trouble, began, until FROM app_troubles
         WHERE until IS NULL OR until > ?1 ORDER BY number",
    )?;
    let rows = select
        .query_map([now], |r| {
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, String>(1)?,
                r.get(2)?,
                r.get(3)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    rows.into_iter()
        .map(|(app, text, began, until)| {
            let trouble = serde_json::from_str(&text)
                .map_err(|e| Refusal::new(500, "InternalError", e.to_string()))?;
            Ok(Kept {
                app,
                trouble,
                began,
                until,
            })
        })
        .collect()
}

/// What is wrong with an app now.
pub(in crate::local) fn of(
    db: &Connection,
    app: &Resource,
    now: i64,
) -> Result<Vec<Kept>, Refusal> {
    let name = app.body["name"].as_str().unwrap_or_default();
    let ready = app.body["properties"]["latestReadyRevisionName"].as_str();
    let revision = find(
        db,
        &format!("{}/revisions/{}", app.key, ready.unwrap_or_default()),
    )?;
    let replicas = revision
        .and_then(|r| r.body["properties"]["template"]["scale"]["minReplicas"].as_u64())
        .unwrap_or_default();
    let mut found = all(db, now)?;
    found.retain(|kept| {
        let held_off = match kept.trouble.heals {
            Heals::Scale { replicas: enough } => replicas >= u64::from(enough),
            _ => false,
        };
        kept.app == name && !held_off
    });
    Ok(found)
}

/// What is or was wrong with an app for everybody, and in which minutes since 1970: from the first up
/// to but not the last. What lasted less than half a minute is not seen; what only more replicas hold
/// off is told while it is on, and not looked back for.
pub(in crate::local) fn told(
    db: &Connection,
    app: &Resource,
    now: i64,
) -> Result<Vec<(Range<i64>, TroubleKind)>, Refusal> {
    let name = app.body["name"].as_str().unwrap_or_default();
    let over = all(db, i64::MIN)?.into_iter().filter(|kept| {
        kept.app == name
            && kept.until.is_some_and(|until| until <= now)
            && !matches!(kept.trouble.heals, Heals::Scale { .. })
    });
    let mut found: Vec<Kept> = over.chain(of(db, app, now)?).collect();
    found.retain(|kept| kept.trouble.tenant.is_none());
    let minute = |ms: i64| (ms + 30_000).div_euclid(60_000);
    let each = found.iter().map(|kept| {
        let until = kept.until.map_or(i64::MAX, minute);
        (minute(kept.began)..until, kept.trouble.kind)
    });
    Ok(each.collect())
}

/// Ends at `at` what this heals in an app.
pub(in crate::local) fn heal(
    db: &Connection,
    app: &str,
    by: Heals,
    now: i64,
    at: i64,
) -> Result<(), Refusal> {
    end_where(db, now, at, |kept| {
        kept.app == app && kept.trouble.heals == by
    })
}

/// Uses up the app's trouble with its next revision; whether there was one.
pub(in crate::local) fn spoils_revision(
    db: &Connection,
    app: &str,
    now: i64,
) -> Result<bool, Refusal> {
    let spoils = |kept: &Kept| kept.app == app && kept.trouble.kind == TroubleKind::Revision;
    let found = all(db, now)?.iter().any(spoils);
    end_where(db, now, now, spoils)?;
    Ok(found)
}

fn end_where(
    db: &Connection,
    now: i64,
    at: i64,
    fits: impl Fn(&Kept) -> bool,
) -> Result<(), Refusal> {
    for kept in all(db, now)?.iter().filter(|kept| fits(kept)) {
        db.execute(
            "UPDATE app_troubles SET until = ?4
             WHERE app = ?1 AND began = ?2 AND trouble = ?3 AND (until IS NULL OR until > ?4)",
            params![
                kept.app,
                kept.began,
                serde_json::to_string(&kept.trouble).map_err(|e| Refusal::new(
                    500,
                    "InternalError",
                    e.to_string()
                ))?,
                at
            ],
        )?;
    }
    Ok(())
}
