//! The Blob service. Source: Blob Service REST API.

mod lease;
mod list;

use std::fmt::Write as _;

use axum::http::Method;
use axum::response::Response;
use chrono::Utc;
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

    fn find(db: &Connection, call: &Call) -> Result<Option<Self>, Refusal> {
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
            (&Method::GET, "list") if !call.first.is_empty() => list::answer(db, call).await,
            _ => Err(call.unsupported()),
        };
    }
    match (&call.method, comp.as_str()) {
        (&Method::PUT, "") => put(db, call).await,
        (&Method::PUT, "appendblock") => append(db, call).await,
        (&Method::PUT, "lease") => lease::answer(db, call).await,
        (&Method::GET | &Method::HEAD, "") => get(db, call).await,
        (&Method::DELETE, "") => delete(db, call).await,
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
    let (etag, now) = (new_etag(), Utc::now().timestamp_millis());
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

/// Put Blob, for block blobs and empty append blobs.
async fn put(db: &Db, call: Call) -> Result<Response, Refusal> {
    let kind = match call.header("x-ms-blob-type") {
        Some("BlockBlob") => "BlockBlob",
        Some("AppendBlob") if call.body.is_empty() => "AppendBlob",
        Some("AppendBlob") => {
            return Err(Refusal::new(
                400,
                "InvalidHeaderValue",
                "an append blob begins empty",
            ));
        }
        _ => return Err(call.unsupported()),
    };
    let content_type = call
        .header("x-ms-blob-content-type")
        .or(call.header("content-type"))
        .unwrap_or("application/octet-stream")
        .to_owned();
    let tier = call.header("x-ms-access-tier").unwrap_or("Hot").to_owned();
    let metadata = metadata(&call)?;
    let (etag, now) = (new_etag(), Utc::now().timestamp_millis());
    let row_etag = etag.clone();
    db.run(move |db| {
        must_have_container(db, &call)?;
        let blob = Blob::find(db, &call)?;
        may_write(&call, blob.as_ref(), now)?;
        db.prepare_cached(
            "INSERT INTO blobs (container, name, kind, body, etag, modified, created, content_type, metadata, tier)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9)
             ON CONFLICT (container, name) DO UPDATE SET kind = ?3, body = ?4, etag = ?5, modified = ?6,
             content_type = ?7, metadata = ?8, tier = ?9, blocks = 0",
        )?
        .execute(params![call.first, call.rest, kind, &call.body[..], row_etag, now, content_type, metadata, tier])?;
        Ok(())
    })
    .await?;
    finish(
        reply(201)
            .header("etag", etag)
            .header("last-modified", rfc1123_ms(now))
            .header("x-ms-request-server-encrypted", "true"),
        "",
    )
}

/// Append Block, where the caller may say at which length.
async fn append(db: &Db, call: Call) -> Result<Response, Refusal> {
    let position = match call.header("x-ms-blob-condition-appendpos") {
        None => None,
        Some(text) => Some(text.parse::<i64>().map_err(|_| {
            Refusal::new(
                400,
                "InvalidHeaderValue",
                "the append position is not a number",
            )
        })?),
    };
    let (etag, now) = (new_etag(), Utc::now().timestamp_millis());
    let row_etag = etag.clone();
    let (offset, blocks) = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
            if blob.kind != "AppendBlob" {
                return Err(Refusal::new(409, "InvalidBlobType", "the blob is not an append blob"));
            }
            may_write(&call, Some(&blob), now)?;
            if position.is_some_and(|p| p != blob.length) {
                return Err(Refusal::new(412, "AppendPositionConditionNotMet", "the blob ends elsewhere"));
            }
            let mut body: Vec<u8> = db
                .prepare_cached("SELECT body FROM blobs WHERE container = ?1 AND name = ?2")?
                .query_row([&call.first, &call.rest], |r| r.get(0))?;
            body.extend_from_slice(&call.body);
            db.prepare_cached(
                "UPDATE blobs SET body = ?3, etag = ?4, modified = ?5, blocks = blocks + 1 WHERE container = ?1 AND name = ?2",
            )?
            .execute(params![call.first, call.rest, body, row_etag, now])?;
            Ok((blob.length, blob.blocks + 1))
        })
        .await?;
    finish(
        reply(201)
            .header("etag", etag)
            .header("last-modified", rfc1123_ms(now))
            .header("x-ms-blob-append-offset", offset.to_string())
            .header("x-ms-blob-committed-block-count", blocks)
            .header("x-ms-request-server-encrypted", "true"),
        "",
    )
}

/// Get Blob with a range, and Get Blob Properties.
async fn get(db: &Db, call: Call) -> Result<Response, Refusal> {
    let head = call.method == Method::HEAD;
    let range = call
        .header("x-ms-range")
        .or(call.header("range"))
        .map(str::to_owned);
    let none_match = call.header("if-none-match").map(str::to_owned);
    let if_match = call.header("if-match").map(str::to_owned);
    let (blob, body) = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
            let body: Vec<u8> = if head {
                Vec::new()
            } else {
                db.prepare_cached("SELECT body FROM blobs WHERE container = ?1 AND name = ?2")?
                    .query_row([&call.first, &call.rest], |r| r.get(0))?
            };
            Ok((blob, body))
        })
        .await?;
    if none_match.is_some_and(|etag| etag == blob.etag) {
        return finish(reply(304), "");
    }
    if if_match.is_some_and(|etag| etag != "*" && etag != blob.etag) {
        return Err(Refusal::new(
            412,
            "ConditionNotMet",
            "the condition of the request is not met",
        ));
    }
    let now = Utc::now().timestamp_millis();
    let leased = blob.held_by(now).is_some();
    let mut builder = reply(200)
        .header("etag", &blob.etag)
        .header("last-modified", rfc1123_ms(blob.modified))
        .header("x-ms-creation-time", rfc1123_ms(blob.created))
        .header("x-ms-blob-type", &blob.kind)
        .header("x-ms-access-tier", &blob.tier)
        .header(
            "x-ms-lease-status",
            if leased { "locked" } else { "unlocked" },
        )
        .header(
            "x-ms-lease-state",
            if leased { "leased" } else { "available" },
        )
        .header("x-ms-server-encrypted", "true")
        .header("accept-ranges", "bytes")
        .header("content-type", &blob.content_type);
    if blob.kind == "AppendBlob" {
        builder = builder.header("x-ms-blob-committed-block-count", blob.blocks);
    }
    let pairs: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&blob.metadata).unwrap_or_default();
    for (name, value) in pairs {
        builder = builder.header(format!("x-ms-meta-{name}"), value);
    }
    if head {
        return finish(builder.header("content-length", blob.length), "");
    }
    match range {
        None => finish(builder, body),
        Some(range) => {
            let (from, to) = within(&range, body.len())?;
            let total = body.len();
            let mut content_range = String::new();
            let _ = write!(content_range, "bytes {from}-{}/{total}", to - 1);
            finish(
                builder.status(206).header("content-range", content_range),
                body[from..to].to_vec(),
            )
        }
    }
}

/// `bytes=from-` or `bytes=from-to` as a half-open range within the content.
fn within(range: &str, length: usize) -> Result<(usize, usize), Refusal> {
    let invalid = || Refusal::new(416, "InvalidRange", "the range lies outside the content");
    let (from, to) = range
        .strip_prefix("bytes=")
        .and_then(|r| r.split_once('-'))
        .ok_or_else(invalid)?;
    let from: usize = from.parse().map_err(|_| invalid())?;
    let to = if to.is_empty() {
        length
    } else {
        to.parse::<usize>()
            .map_err(|_| invalid())?
            .saturating_add(1)
            .min(length)
    };
    if from < to {
        Ok((from, to))
    } else {
        Err(invalid())
    }
}

async fn delete(db: &Db, call: Call) -> Result<Response, Refusal> {
    let now = Utc::now().timestamp_millis();
    db.run(move |db| {
        must_have_container(db, &call)?;
        let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
        may_write(&call, Some(&blob), now)?;
        Ok(db
            .prepare_cached("DELETE FROM blobs WHERE container = ?1 AND name = ?2")?
            .execute([&call.first, &call.rest])?)
    })
    .await?;
    finish(reply(202), "")
}
