//! The truth about the simulated estate: every resource, as Azure would show it.
//!
//! Resources are documents by their lower-case id, in the same SQLite file as storage.

pub(super) mod loads;
pub(super) mod operations;
pub(super) mod past;
pub(super) mod physics;
pub(super) mod pressure;
mod seed;
pub(super) mod troubles;

pub(super) use seed::{
    APPLICATIONS, PARTITION_SERVES, partitions, partitions_serving, seed, throughput, vault_folder,
};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::clock::Clock;
use super::storage::{Db, Refusal};

/// The resources of the simulated estate.
#[derive(Clone)]
pub(super) struct World {
    db: Db,
}

/// One resource as it stands.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// In lower case, as it is kept.
    pub(super) key: String,
    /// As it was written, with its own capitals.
    pub(super) body: Value,
    /// In quotes; new with every write.
    pub(super) etag: String,
}

impl World {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.db.clock
    }

    /// Runs `job` on the world as it stands at the time that `job` is given, in milliseconds: what
    /// takes time and has ended by then is done. An `Err` undoes the change.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, i64) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let clock = self.db.clock.clone();
        self.db
            .run(move |db| {
                let now = clock.now_ms();
                operations::settle(db, now)?;
                job(db, now)
            })
            .await
    }

    /// Runs `job`, which checks a change and begins it, and lets it end as it is told; the
    /// operation's id.
    pub(super) async fn change(
        &self,
        ending: operations::Ending,
        job: impl FnOnce(&Connection, i64) -> Result<String, Refusal> + Send + 'static,
    ) -> Result<String, Refusal> {
        self.run(move |db, now| operations::with_ending(db, ending, |db| job(db, now)))
            .await
    }

    /// What was changed, a line each, in order.
    pub(super) async fn changes(&self) -> Result<Vec<String>, Refusal> {
        self.db
            .run(|db| {
                let mut select = db.prepare_cached("SELECT line FROM changes ORDER BY number")?;
                let lines = select.query_map([], |row| row.get(0))?;
                Ok(lines.collect::<Result<Vec<_>, _>>()?)
            })
            .await
    }
}

/// The resource at `id`.
pub(super) fn find(db: &Connection, id: &str) -> Result<Option<Resource>, Refusal> {
    let key = key(id);
    let row: Option<(String, String)> = db
        .prepare_cached("SELECT body, etag FROM resources WHERE id = ?1")?
        .query_row([&key], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    row.map(|(body, etag)| read(key, &body, etag)).transpose()
}

/// What lies directly in `parent`, by name, after the key `after` and at most `most` of it.
pub(super) fn children(
    db: &Connection,
    parent: &str,
    after: &str,
    most: i64,
) -> Result<Vec<Resource>, Refusal> {
    let mut select = db.prepare_cached(
        "SELECT id, body, etag FROM resources WHERE parent = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let rows = select
        .query_map(params![key(parent), after, most], |r| {
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, String>(1)?,
                r.get::<_, String>(2)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    rows.into_iter()
        .map(|(key, body, etag)| read(key, &body, etag))
        .collect()
}

/// Every resource of a type, as `microsoft.operationalinsights/workspaces`: in lower case.
pub(super) fn of_kind(db: &Connection, kind: &str) -> Result<Vec<Resource>, Refusal> {
    let end = format!("/providers/{kind}");
    let mut select = db.prepare_cached(
        "SELECT id, body, etag FROM resources WHERE substr(parent, -length(?1)) = ?1 ORDER BY id",
    )?;
    let rows = select
        .query_map([end], |r| {
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, String>(1)?,
                r.get::<_, String>(2)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    rows.into_iter()
        .map(|(key, body, etag)| read(key, &body, etag))
        .collect()
}

/// Writes a resource, new or not; its new etag.
pub(super) fn put(db: &Connection, id: &str, body: &Value) -> Result<String, Refusal> {
    let key = key(id);
    let parent = key.rsplit_once('/').map_or("", |(parent, _)| parent);
    let etag = format!("\"{}\"", uuid::Uuid::new_v4());
    db.prepare_cached(
        "INSERT OR REPLACE INTO resources (id, parent, body, etag) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![key, parent, body.to_string(), etag])?;
    Ok(etag)
}

/// Removes what lies directly in `parent`.
pub(super) fn clear(db: &Connection, parent: &str) -> Result<(), Refusal> {
    db.execute("DELETE FROM resources WHERE parent = ?1", [key(parent)])?;
    Ok(())
}

fn key(id: &str) -> String {
    id.trim_end_matches('/').to_ascii_lowercase()
}

fn read(key: String, body: &str, etag: String) -> Result<Resource, Refusal> {
    let body = serde_json::from_str(body)
        .map_err(|e| Refusal::new(500, "InternalError", format!("a resource is no JSON: {e}")))?;
    Ok(Resource { key, body, etag })
}
