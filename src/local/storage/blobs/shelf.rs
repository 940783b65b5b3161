//! Blobs as the simulator itself puts and sees them: to make an estate, and for Resource Manager,
//! which shows containers too. Nothing here is noted as a change.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{containers, new_etag};
use crate::local::storage::wire::Refusal;

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Container {
    /// Without its account.
    pub(in crate::local) name: String,
    pub(in crate::local) etag: String,
    /// Milliseconds since 1970.
    pub(in crate::local) modified: i64,
    /// A JSON object of texts.
    pub(in crate::local) metadata: String,
    pub(in crate::local) legal_hold: bool,
    /// How long its blobs must be kept after they were made.
    pub(in crate::local) immutable_days: Option<i64>,
}

/// Makes a container as it is described, with a new etag; whether it was not there.
pub(in crate::local) fn add_container(
    db: &Connection,
    account: &str,
    container: &Container,
) -> Result<bool, Refusal> {
    let new = db
        .prepare_cached(
            "INSERT OR IGNORE INTO containers (name, etag, modified, metadata, legal_hold, immutable_days)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            key(account, &container.name),
            new_etag(),
            container.modified,
            container.metadata,
            container.legal_hold,
            container.immutable_days
        ])?;
    Ok(new > 0)
}

/// Puts a block blob that was last written at `at`, milliseconds since 1970.
pub(in crate::local) fn put(
    db: &Connection,
    account: &str,
    container: &str,
    name: &str,
    body: &[u8],
    at: i64,
) -> Result<(), Refusal> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO blobs (container, name, kind, body, etag, modified, created, content_type, metadata, tier)
         VALUES (?1, ?2, 'BlockBlob', ?3, ?4, ?5, ?5, 'text/plain', '{}', 'Hot')",
    )?
    .execute(params![key(account, container), name, body, new_etag(), at])?;
    Ok(())
}

/// Leases a blob for ever.
pub(in crate::local) fn lease(
    db: &Connection,
    account: &str,
    container: &str,
    name: &str,
) -> Result<(), Refusal> {
    db.execute(
        "UPDATE blobs SET lease = ?3, lease_seconds = -1 WHERE container = ?1 AND name = ?2",
        params![
            key(account, container),
            name,
            uuid::Uuid::new_v4().to_string()
        ],
    )?;
    Ok(())
}

/// Gives a blob a snapshot named `at`.
pub(in crate::local) fn snapshot(
    db: &Connection,
    account: &str,
    container: &str,
    name: &str,
    at: &str,
) -> Result<(), Refusal> {
    db.execute(
        "INSERT INTO snapshots (container, name, at, kind, body, etag, modified, created, content_type, metadata, tier, blocks)
         SELECT container, name, ?3, kind, body, etag, modified, created, content_type, metadata, tier, blocks
         FROM blobs WHERE container = ?1 AND name = ?2",
        params![key(account, container), name, at],
    )?;
    Ok(())
}

pub(in crate::local) fn has(
    db: &Connection,
    account: &str,
    container: &str,
    name: &str,
) -> Result<bool, Refusal> {
    Ok(db
        .query_row(
            "SELECT 1 FROM blobs WHERE container = ?1 AND name = ?2",
            params![key(account, container), name],
            |_| Ok(()),
        )
        .optional()?
        .is_some())
}

pub(in crate::local) fn container(
    db: &Connection,
    account: &str,
    name: &str,
) -> Result<Option<Container>, Refusal> {
    containers::find(db, &key(account, name))
}

/// Containers in order of name, after `after`, `most` at most.
pub(in crate::local) fn containers_after(
    db: &Connection,
    account: &str,
    after: &str,
    most: usize,
) -> Result<Vec<Container>, Refusal> {
    // The first name that can follow.
    let from = format!("{after}\u{1}");
    containers::page(db, account, "", &from, most)
}

fn key(account: &str, container: &str) -> String {
    if account == crate::local::storage::ACCOUNT {
        container.to_owned()
    } else {
        format!("{account}/{container}")
    }
}
