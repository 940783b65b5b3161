//! What takes time: a change that was accepted and shows when its time has come.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use crate::local::storage::Refusal;

/// A change under way, or done.
#[derive(Debug, Clone)]
pub(in crate::local) struct Operation {
    pub(in crate::local) resource: String,
    /// Milliseconds since 1970.
    pub(in crate::local) began: i64,
    pub(in crate::local) ends: i64,
    /// Whether it comes to nothing, and says so at its end.
    pub(in crate::local) failed: bool,
    /// What it says then, where that is not that nothing was done.
    pub(in crate::local) why: Option<String>,
}

/// What becomes of a change that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Ending {
    Done,
    /// It comes to nothing, and says so.
    Failed,
    /// It comes to nothing, and says that it was done.
    NoEffect,
}

/// Runs `job`, which checks a change and begins it. One that is to come to nothing is checked and
/// answered all the same; nothing else of it remains.
pub(super) fn with_ending(
    db: &Connection,
    ending: Ending,
    job: impl FnOnce(&Connection) -> Result<String, Refusal>,
) -> Result<String, Refusal> {
    if ending == Ending::Done {
        return job(db);
    }
    db.execute_batch("SAVEPOINT ending")?;
    let begun = job(db).and_then(|id| Ok((find(db, &id)?, id)));
    db.execute_batch("ROLLBACK TO ending; RELEASE ending")?;
    let (operation, id) = begun?;
    if let Some(operation) = operation {
        db.execute(
            "INSERT INTO operations (id, resource, body, began, ends, applied, failed)
             VALUES (?1, ?2, 'null', ?3, ?4, 1, ?5)",
            params![
                id,
                operation.resource,
                operation.began,
                operation.ends,
                ending == Ending::Failed
            ],
        )?;
    }
    Ok(id)
}

/// Begins a change of `resource`, which becomes `body` at `ends`, or goes if that is null; the
/// operation's id.
pub(in crate::local) fn begin(
    db: &Connection,
    resource: &str,
    body: &Value,
    began: i64,
    ends: i64,
) -> Result<String, Refusal> {
    let id = uuid::Uuid::new_v4().to_string();
    db.execute(
        "INSERT INTO operations (id, resource, body, began, ends) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, super::key(resource), body.to_string(), began, ends],
    )?;
    Ok(id)
}

/// As [`begin`], of a change that is done and yet ends in a failure, which says `why`.
pub(in crate::local) fn begin_failing(
    db: &Connection,
    resource: &str,
    body: &Value,
    began: i64,
    ends: i64,
    why: &str,
) -> Result<String, Refusal> {
    let id = begin(db, resource, body, began, ends)?;
    db.execute(
        "UPDATE operations SET failed = 1, why = ?2 WHERE id = ?1",
        [&id, why],
    )?;
    Ok(id)
}

/// Whether something is under way on `resource`.
pub(in crate::local) fn running(db: &Connection, resource: &str) -> Result<bool, Refusal> {
    Ok(db
        .query_row(
            "SELECT 1 FROM operations WHERE resource = ?1 AND applied = 0",
            [super::key(resource)],
            |_| Ok(()),
        )
        .optional()?
        .is_some())
}

pub(in crate::local) fn find(db: &Connection, id: &str) -> Result<Option<Operation>, Refusal> {
    Ok(db
        .query_row(
            "SELECT resource, began, ends, failed, why FROM operations WHERE id = ?1",
            [id],
            |row| {
                Ok(Operation {
                    resource: row.get(0)?,
                    began: row.get(1)?,
                    ends: row.get(2)?,
                    failed: row.get(3)?,
                    why: row.get(4)?,
                })
            },
        )
        .optional()?)
}

/// Does what has come to its end by `now`.
pub(super) fn settle(db: &Connection, now: i64) -> Result<(), Refusal> {
    let mut select = db.prepare_cached(
        "SELECT id, resource, body, ends FROM operations WHERE applied = 0 AND ends <= ?1 ORDER BY ends",
    )?;
    let due = select
        .query_map([now], |r| {
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, String>(1)?,
                r.get::<_, String>(2)?,
                r.get(3)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, resource, body, ended) in due {
        let new = super::read(resource, &body, String::new())?;
        if new.body.is_null() {
            db.execute("DELETE FROM resources WHERE id = ?1", [&new.key])?;
        } else {
            super::put(db, &new.key, &new.body)?;
            super::past::note(db, &new.key, &new.body, ended)?;
        }
        db.execute("UPDATE operations SET applied = 1 WHERE id = ?1", [id])?;
    }
    Ok(())
}
