//! What is said about a blob: its tier, its metadata, its snapshots.

use axum::response::Response;
use chrono::{DateTime, SecondsFormat};
use rusqlite::params;

use super::{
    Blob, blob_missing, may_write, metadata, must_have_container, must_not_be_kept, new_etag,
};
use crate::local::storage::db::Db;
use crate::local::storage::wire::{Call, Refusal, finish, reply, rfc1123_ms};

const TIERS: [&str; 4] = ["Hot", "Cool", "Cold", "Archive"];

/// Set Blob Tier. A blob that leaves the archive is there at once, where Azure takes hours.
pub(super) async fn set_tier(db: &Db, call: Call) -> Result<Response, Refusal> {
    let tier = call
        .header("x-ms-access-tier")
        .and_then(|t| TIERS.into_iter().find(|known| *known == t))
        .ok_or_else(|| {
            Refusal::new(
                400,
                "InvalidHeaderValue",
                "x-ms-access-tier is Hot, Cool, Cold or Archive",
            )
        })?;
    let from_archive = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
            if blob.kind != "BlockBlob" {
                return Err(Refusal::new(
                    409,
                    "InvalidBlobType",
                    "only block blobs have tiers",
                ));
            }
            db.execute(
                "UPDATE blobs SET tier = ?3 WHERE container = ?1 AND name = ?2",
                params![call.first, call.rest, tier],
            )?;
            call.note(db, &format!("tier of {} is {tier}", call.rest))?;
            Ok(blob.tier == "Archive" && tier != "Archive")
        })
        .await?;
    finish(reply(if from_archive { 202 } else { 200 }), "")
}

/// Set Blob Metadata: all of it is replaced.
pub(super) async fn set_metadata(db: &Db, call: Call) -> Result<Response, Refusal> {
    let (etag, now) = (new_etag(), call.now);
    let (row_etag, pairs) = (etag.clone(), metadata(&call)?);
    db.run(move |db| {
        must_have_container(db, &call)?;
        let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
        may_write(&call, Some(&blob), now)?;
        must_not_be_kept(db, &call, &blob)?;
        db.execute(
            "UPDATE blobs SET metadata = ?3, etag = ?4, modified = ?5 WHERE container = ?1 AND name = ?2",
            params![call.first, call.rest, pairs, row_etag, now],
        )?;
        call.note(db, &format!("metadata of {} set", call.rest))
    })
    .await?;
    finish(
        reply(200)
            .header("etag", etag)
            .header("last-modified", rfc1123_ms(now))
            .header("x-ms-request-server-encrypted", "true"),
        "",
    )
}

/// Snapshot Blob: a copy that is named by its time.
pub(super) async fn snapshot(db: &Db, call: Call) -> Result<Response, Refusal> {
    let at = DateTime::from_timestamp_millis(call.now)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Nanos, true);
    // Seven digits, as storage has it.
    let at = format!("{}Z", &at[..at.len() - 3]);
    let name = at.clone();
    let blob = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
            db.execute(
                "INSERT INTO snapshots (container, name, at, kind, body, etag, modified, created, content_type, metadata, tier, blocks)
                 SELECT container, name, ?3, kind, body, etag, modified, created, content_type, metadata, tier, blocks
                 FROM blobs WHERE container = ?1 AND name = ?2",
                params![call.first, call.rest, name],
            )?;
            call.note(db, &format!("made a snapshot of {}", call.rest))?;
            Ok(blob)
        })
        .await?;
    finish(
        reply(201)
            .header("x-ms-snapshot", at)
            .header("etag", blob.etag)
            .header("last-modified", rfc1123_ms(blob.modified))
            .header("x-ms-request-server-encrypted", "true"),
        "",
    )
}

/// Set Blob Legal Hold.
pub(super) async fn set_legal_hold(db: &Db, call: Call) -> Result<Response, Refusal> {
    let hold = match call.header("x-ms-legal-hold") {
        Some("true") => true,
        Some("false") => false,
        _ => {
            let why = "x-ms-legal-hold is true or false";
            return Err(Refusal::new(400, "InvalidHeaderValue", why));
        }
    };
    keep(db, call, "legal_hold", i64::from(hold)).await?;
    finish(reply(200).header("x-ms-legal-hold", hold.to_string()), "")
}

/// Set Blob Immutability Policy, always unlocked here.
pub(super) async fn set_immutability(db: &Db, call: Call) -> Result<Response, Refusal> {
    let until = call
        .header("x-ms-immutability-policy-until-date")
        .and_then(|text| DateTime::parse_from_rfc2822(text).ok())
        .map(|until| until.timestamp_millis())
        .filter(|until| *until > call.now)
        .ok_or_else(|| {
            let why = "x-ms-immutability-policy-until-date is a time to come";
            Refusal::new(400, "InvalidHeaderValue", why)
        })?;
    keep(db, call, "immutable_until", until).await?;
    finish(
        reply(200)
            .header("x-ms-immutability-policy-until-date", rfc1123_ms(until))
            .header("x-ms-immutability-policy-mode", "unlocked"),
        "",
    )
}

/// Sets what keeps a blob from being changed.
async fn keep(db: &Db, call: Call, column: &'static str, value: i64) -> Result<(), Refusal> {
    db.run(move |db| {
        must_have_container(db, &call)?;
        Blob::find(db, &call)?.ok_or_else(blob_missing)?;
        db.execute(
            &format!("UPDATE blobs SET {column} = ?3 WHERE container = ?1 AND name = ?2"),
            params![call.first, call.rest, value],
        )?;
        call.note(db, &format!("{column} of {} set", call.rest))
    })
    .await
}
