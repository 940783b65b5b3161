//! The truth about the simulated estate: every resource, as Azure would show it.
//!
//! Resources are documents by their lower-case id, in the same SQLite file as storage.

mod seed;

pub(super) use seed::{seed, vault_folder};

use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use super::storage::{Db, Refusal};

/// The resources of the simulated estate.
#[derive(Clone)]
pub(super) struct World {
    db: Db,
}

/// One resource as it stands.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// As it was written, with its own capitals.
    pub(super) body: Value,
}

impl World {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }

    /// The resource at `id`.
    pub(super) async fn get(&self, id: &str) -> Result<Option<Resource>, Refusal> {
        let id = key(id);
        self.db
            .run(move |db| {
                let body: Option<String> = db
                    .prepare_cached("SELECT body FROM resources WHERE id = ?1")?
                    .query_row([id], |r| r.get(0))
                    .optional()?;
                body.map(|body| read(&body)).transpose()
            })
            .await
    }

    /// What lies directly in `parent`, by name, after `after` and at most `most` of it.
    pub(super) async fn children(
        &self,
        parent: &str,
        after: &str,
        most: i64,
    ) -> Result<Vec<(String, Resource)>, Refusal> {
        let (parent, after) = (key(parent), after.to_owned());
        self.db
            .run(move |db| {
                let mut select = db.prepare_cached(
                    "SELECT id, body FROM resources WHERE parent = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                )?;
                let rows = select
                    .query_map(params![parent, after, most], |r| {
                        Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?))
                    })?
                    .collect::<Result<Vec<_>, _>>()?;
                rows.into_iter()
                    .map(|(id, body)| Ok((id, read(&body)?)))
                    .collect()
            })
            .await
    }

    /// Adds what is missing; what is there stays as it is.
    pub(super) async fn add(&self, resources: Vec<(String, Value)>) -> Result<(), Refusal> {
        self.db
            .run(move |db| {
                let mut insert = db.prepare_cached(
                    "INSERT OR IGNORE INTO resources (id, parent, body, etag) VALUES (?1, ?2, ?3, ?4)",
                )?;
                for (id, body) in resources {
                    let id = key(&id);
                    let parent = id.rsplit_once('/').map_or("", |(parent, _)| parent);
                    let etag = uuid::Uuid::new_v4().to_string();
                    insert.execute(params![id, parent, body.to_string(), etag])?;
                }
                Ok(())
            })
            .await
    }
}

fn key(id: &str) -> String {
    id.trim_end_matches('/').to_ascii_lowercase()
}

fn read(body: &str) -> Result<Resource, Refusal> {
    let body = serde_json::from_str(body)
        .map_err(|e| Refusal::new(500, "InternalError", format!("a resource is no JSON: {e}")))?;
    Ok(Resource { body })
}
