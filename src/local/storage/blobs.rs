//! The Blob service. Source: Blob Service REST API.

mod content;
mod lease;
mod list;
mod state;

use axum::http::Method;
use axum::response::Response;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::db::Db;
use super::wire::{Call, Refusal, finish, reply, rfc1123_ms};

/// One blob as it stands, without its content.
struct Blob {
    kind: String,
    etag: String,
    modified: i64,
    created: i64,
    content_type: String,
    metadata: String,
    tier: String,
    length: i64,
    blocks: i64,
    lease: Option<String>,
    lease_until: Option<i64>,
    lease_seconds: Option<i64>,
}

const COLUMNS: &str = "kind, etag, modified, created, content_type, metadata, tier, length(body), blocks, lease, lease_until, lease_seconds";

impl Blob {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            kind: row.get(0)?,
            etag: row.get(1)?,
            modified: row.get(2)?,
            created: row.get(3)?,
            content_type: row.get(4)?,
            metadata: row.get(5)?,
            tier: row.get(6)?,
            length: row.get(7)?,
            blocks: row.get(8)?,
            lease: row.get(9)?,
            lease_until: row.get(10)?,
            lease_seconds: row.get(11)?,
        })
    }

    /// The blob itself, or the snapshot that the call names.
    fn find(db: &Connection, call: &Call) -> Result<Option<Self>, Refusal> {
        if let Some(at) = call.param("snapshot") {
            return Ok(db
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM snapshots WHERE container = ?1 AND name = ?2 AND at = ?3"
                ))?
                .query_row([&call.first, &call.rest, at], Self::read)
                .optional()?);
        }
        Ok(db
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM blobs WHERE container = ?1 AND name = ?2"
            ))?
            .query_row([&call.first, &call.rest], Self::read)
            .optional()?)
    }

    /// The lease that holds now: one that has run out holds nothing.
    fn held_by(&self, now: i64) -> Option<&str> {
        self.lease
            .as_deref()
            .filter(|_| self.lease_until.is_none_or(|until| until > now))
    }
}

pub(super) async fn answer(db: &Db, call: Call) -> Result<Response, Refusal> {
    let comp = call.param("comp").unwrap_or_default().to_owned();
    if call.rest.is_empty() {
        return match (&call.method, comp.as_str()) {
            (&Method::PUT, "") => create_container(db, call).await,
            (&Method::DELETE, "") => delete_container(db, call).await,
            (&Method::GET | &Method::HEAD, "") => container_properties(db, call).await,
            (&Method::GET, "list") if call.first.is_empty() => list::containers(db, call).await,
            (&Method::GET, "list") => list::answer(db, call).await,
            _ => Err(call.unsupported()),
        };
    }
    match (&call.method, comp.as_str()) {
        (&Method::PUT, "") => content::put(db, call).await,
        (&Method::PUT, "appendblock") => content::append(db, call).await,
        (&Method::PUT, "lease") => lease::answer(db, call).await,
        (&Method::PUT, "tier") => state::set_tier(db, call).await,
        (&Method::PUT, "metadata") => state::set_metadata(db, call).await,
        (&Method::PUT, "snapshot") => state::snapshot(db, call).await,
        (&Method::GET | &Method::HEAD, "" | "metadata") => content::get(db, call).await,
        (&Method::DELETE, "") => content::delete(db, call).await,
        _ => Err(call.unsupported()),
    }
}

fn container_missing() -> Refusal {
    Refusal::new(404, "ContainerNotFound", "the container does not exist")
}

fn blob_missing() -> Refusal {
    Refusal::new(404, "BlobNotFound", "the blob does not exist")
}

fn must_have_container(db: &Connection, call: &Call) -> Result<(), Refusal> {
    db.prepare_cached("SELECT 1 FROM containers WHERE name = ?1")?
        .query_row([&call.first], |_| Ok(()))
        .optional()?
        .ok_or_else(container_missing)
}

fn new_etag() -> String {
    format!("\"0x{:X}\"", uuid::Uuid::new_v4().as_u128() >> 64)
}

async fn create_container(db: &Db, call: Call) -> Result<Response, Refusal> {
    if !(3..=63).contains(&call.first.len()) {
        return Err(Refusal::new(
            400,
            "OutOfRangeInput",
            "the name of a container has 3 to 63 characters",
        ));
    }
    let (etag, now) = (new_etag(), call.now);
    let row_etag = etag.clone();
    let new = db
        .run(move |db| {
            Ok(db.execute(
                "INSERT OR IGNORE INTO containers VALUES (?1, ?2, ?3)",
                params![call.first, row_etag, now],
            )?)
        })
        .await?;
    if new == 0 {
        return Err(Refusal::new(
            409,
            "ContainerAlreadyExists",
            "the container exists",
        ));
    }
    finish(
        reply(201)
            .header("etag", etag)
            .header("last-modified", rfc1123_ms(now)),
        "",
    )
}

async fn delete_container(db: &Db, call: Call) -> Result<Response, Refusal> {
    db.run(move |db| {
        must_have_container(db, &call)?;
        db.execute("DELETE FROM blobs WHERE container = ?1", [&call.first])?;
        db.execute("DELETE FROM snapshots WHERE container = ?1", [&call.first])?;
        Ok(db.execute("DELETE FROM containers WHERE name = ?1", [&call.first])?)
    })
    .await?;
    finish(reply(202), "")
}

async fn container_properties(db: &Db, call: Call) -> Result<Response, Refusal> {
    let (etag, modified) = db
        .run(move |db| {
            db.query_row(
                "SELECT etag, modified FROM containers WHERE name = ?1",
                [&call.first],
                |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)),
            )
            .optional()?
            .ok_or_else(container_missing)
        })
        .await?;
    finish(
        reply(200)
            .header("etag", etag)
            .header("last-modified", rfc1123_ms(modified)),
        "",
    )
}

/// The conditions of a write and its lease, in the order in which storage judges them.
fn may_write(call: &Call, blob: Option<&Blob>, now: i64) -> Result<(), Refusal> {
    let unmet = || {
        Refusal::new(
            412,
            "ConditionNotMet",
            "the condition of the request is not met",
        )
    };
    match (call.header("if-none-match"), blob) {
        (Some("*"), Some(_)) => {
            return Err(Refusal::new(409, "BlobAlreadyExists", "the blob exists"));
        }
        (Some(etag), Some(blob)) if etag == blob.etag => return Err(unmet()),
        _ => {}
    }
    if let Some(etag) = call.header("if-match") {
        match blob {
            Some(blob) if etag == "*" || etag == blob.etag => {}
            _ => return Err(unmet()),
        }
    }
    let held = blob.and_then(|b| b.held_by(now));
    match (held, call.header("x-ms-lease-id")) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refusal::new(412, "LeaseIdMissing", "the blob is leased")),
        (Some(held), Some(id)) if held.eq_ignore_ascii_case(id) => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::new(
            412,
            "LeaseIdMismatchWithBlobOperation",
            "the lease is somebody else's",
        )),
        (None, Some(_)) => Err(Refusal::new(
            412,
            "LeaseNotPresentWithBlobOperation",
            "the lease has run out",
        )),
    }
}

fn metadata(call: &Call) -> Result<String, Refusal> {
    let pairs: std::collections::BTreeMap<&str, &str> = call
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((
                name.as_str().strip_prefix("x-ms-meta-")?,
                value.to_str().ok()?,
            ))
        })
        .collect();
    serde_json::to_string(&pairs).map_err(|e| Refusal::new(400, "InvalidMetadata", e.to_string()))
}
