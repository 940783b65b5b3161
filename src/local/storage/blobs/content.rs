//! What a blob holds: put, append, get and delete.

use std::fmt::Write as _;

use axum::http::Method;
use axum::response::Response;
use rusqlite::{Connection, params};

use super::{
    Blob, blob_missing, may_write, metadata, must_have_container, must_not_be_kept, new_etag,
};
use crate::local::storage::db::Db;
use crate::local::storage::wire::{Call, Refusal, finish, reply, rfc1123_ms};

/// Put Blob, for block blobs and empty append blobs.
pub(super) async fn put(db: &Db, call: Call) -> Result<Response, Refusal> {
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
    let (etag, now) = (new_etag(), call.now);
    let row_etag = etag.clone();
    db.run(move |db| {
        must_have_container(db, &call)?;
        let blob = Blob::find(db, &call)?;
        may_write(&call, blob.as_ref(), now)?;
        if let Some(blob) = &blob {
            must_not_be_kept(db, &call, blob)?;
        }
        db.prepare_cached(
            "INSERT INTO blobs (container, name, kind, body, etag, modified, created, content_type, metadata, tier)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9)
             ON CONFLICT (container, name) DO UPDATE SET kind = ?3, body = ?4, etag = ?5, modified = ?6,
             content_type = ?7, metadata = ?8, tier = ?9, blocks = 0",
        )?
        .execute(params![call.first, call.rest, kind, &call.body[..], row_etag, now, content_type, metadata, tier])?;
        call.note(db, &format!("wrote {}", call.rest))
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
pub(super) async fn append(db: &Db, call: Call) -> Result<Response, Refusal> {
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
    let (etag, now) = (new_etag(), call.now);
    let row_etag = etag.clone();
    let (offset, blocks) = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
            if blob.kind != "AppendBlob" {
                return Err(Refusal::new(409, "InvalidBlobType", "the blob is not an append blob"));
            }
            may_write(&call, Some(&blob), now)?;
            must_not_be_kept(db, &call, &blob)?;
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
            call.note(db, &format!("appended to {}", call.rest))?;
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
pub(super) async fn get(db: &Db, call: Call) -> Result<Response, Refusal> {
    let (is_head, now) = (call.method == Method::HEAD, call.now);
    let range = call
        .header("x-ms-range")
        .or(call.header("range"))
        .map(str::to_owned);
    let none_match = call.header("if-none-match").map(str::to_owned);
    let if_match = call.header("if-match").map(str::to_owned);
    // Get Blob Metadata is Get Blob Properties with less in it.
    let head = is_head || call.param("comp") == Some("metadata");
    let (blob, body) = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
            if !head && blob.tier == "Archive" {
                return Err(Refusal::new(409, "BlobArchived", "the blob is archived"));
            }
            let body: Vec<u8> = if head { Vec::new() } else { body(db, &call)? };
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
    if let Some(duration) = blob.lease_duration(now) {
        builder = builder.header("x-ms-lease-duration", duration);
    }
    if blob.legal_hold {
        builder = builder.header("x-ms-legal-hold", "true");
    }
    if let Some(until) = blob.immutable_until {
        builder = builder
            .header("x-ms-immutability-policy-until-date", rfc1123_ms(until))
            .header("x-ms-immutability-policy-mode", "unlocked");
    }
    if blob.kind == "AppendBlob" {
        builder = builder.header("x-ms-blob-committed-block-count", blob.blocks);
    }
    let pairs: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&blob.metadata).unwrap_or_default();
    for (name, value) in pairs {
        builder = builder.header(format!("x-ms-meta-{name}"), value);
    }
    if is_head {
        return finish(builder.header("content-length", blob.length), "");
    }
    if head {
        return finish(builder, "");
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

/// The content of the blob, or of the snapshot that the call names.
fn body(db: &Connection, call: &Call) -> Result<Vec<u8>, Refusal> {
    let found = match call.param("snapshot") {
        Some(at) => db
            .prepare_cached(
                "SELECT body FROM snapshots WHERE container = ?1 AND name = ?2 AND at = ?3",
            )?
            .query_row([&call.first, &call.rest, at], |r| r.get(0))?,
        None => db
            .prepare_cached("SELECT body FROM blobs WHERE container = ?1 AND name = ?2")?
            .query_row([&call.first, &call.rest], |r| r.get(0))?,
    };
    Ok(found)
}

/// Delete Blob: one snapshot, the snapshots only, or the blob, which must have none left unless
/// they are to go with it.
pub(super) async fn delete(db: &Db, call: Call) -> Result<Response, Refusal> {
    let now = call.now;
    db.run(move |db| {
        must_have_container(db, &call)?;
        let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
        if let Some(at) = call.param("snapshot") {
            must_not_be_kept(db, &call, &blob)?;
            db.execute(
                "DELETE FROM snapshots WHERE container = ?1 AND name = ?2 AND at = ?3",
                [&call.first, &call.rest, at],
            )?;
            return call.note(db, &format!("deleted a snapshot of {}", call.rest));
        }
        may_write(&call, Some(&blob), now)?;
        must_not_be_kept(db, &call, &blob)?;
        let with = call.header("x-ms-delete-snapshots");
        if with.is_none() {
            let snapshots: i64 = db
                .prepare_cached(
                    "SELECT count(*) FROM snapshots WHERE container = ?1 AND name = ?2",
                )?
                .query_row([&call.first, &call.rest], |r| r.get(0))?;
            if snapshots > 0 {
                return Err(Refusal::new(
                    409,
                    "SnapshotsPresent",
                    "the blob has snapshots: say what becomes of them",
                ));
            }
        }
        if with.is_some() {
            db.execute(
                "DELETE FROM snapshots WHERE container = ?1 AND name = ?2",
                [&call.first, &call.rest],
            )?;
        }
        if with == Some("only") {
            call.note(db, &format!("deleted the snapshots of {}", call.rest))
        } else {
            db.prepare_cached("DELETE FROM blobs WHERE container = ?1 AND name = ?2")?
                .execute([&call.first, &call.rest])?;
            call.note(db, &format!("deleted {}", call.rest))
        }
    })
    .await?;
    finish(reply(202).header("x-ms-delete-type-permanent", "true"), "")
}
