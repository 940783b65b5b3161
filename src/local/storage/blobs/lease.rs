//! Lease Blob: acquire, renew, change, release, break.

use axum::response::Response;
use rusqlite::{Connection, params};

use super::{Blob, blob_missing, must_have_container};
use crate::local::storage::db::Db;
use crate::local::storage::wire::{Call, Refusal, finish, reply, rfc1123_ms};

pub(super) async fn answer(db: &Db, call: Call) -> Result<Response, Refusal> {
    let now = call.now;
    let (status, id, etag, modified) = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let blob = Blob::find(db, &call)?.ok_or_else(blob_missing)?;
            let (status, id) = apply(db, &call, &blob, now)?;
            Ok((status, id, blob.etag, blob.modified))
        })
        .await?;
    let mut builder = reply(status)
        .header("etag", etag)
        .header("last-modified", rfc1123_ms(modified));
    builder = match id {
        Some(id) => builder.header("x-ms-lease-id", id),
        None => builder.header("x-ms-lease-time", "0"),
    };
    finish(builder, "")
}

fn apply(
    db: &Connection,
    call: &Call,
    blob: &Blob,
    now: i64,
) -> Result<(u16, Option<String>), Refusal> {
    let held = blob.held_by(now);
    let action = call.header("x-ms-lease-action").unwrap_or_default();
    let given = call.header("x-ms-lease-id");
    let mismatch = || {
        Refusal::new(
            409,
            "LeaseIdMismatchWithLeaseOperation",
            "the lease is not this one",
        )
    };
    let is_ours =
        |held: Option<&str>| held.is_some_and(|h| given.is_some_and(|g| g.eq_ignore_ascii_case(h)));
    let until = |seconds: i64| (seconds > 0).then(|| now + seconds * 1000);
    let set = |id: Option<&str>, seconds: Option<i64>| -> Result<(), Refusal> {
        db.prepare_cached(
            "UPDATE blobs SET lease = ?3, lease_until = ?4, lease_seconds = ?5 WHERE container = ?1 AND name = ?2",
        )?
        .execute(params![call.first, call.rest, id, seconds.and_then(until), seconds])?;
        Ok(())
    };
    match action {
        "acquire" => {
            let seconds: i64 = call
                .header("x-ms-lease-duration")
                .and_then(|s| s.parse().ok())
                .filter(|s| *s == -1 || (15..=60).contains(s))
                .ok_or_else(|| {
                    Refusal::new(
                        400,
                        "InvalidHeaderValue",
                        "a lease lasts 15 to 60 seconds, or -1",
                    )
                })?;
            let proposed = call.header("x-ms-proposed-lease-id");
            if let Some(held) = held
                && !proposed.is_some_and(|p| p.eq_ignore_ascii_case(held))
            {
                return Err(Refusal::new(
                    409,
                    "LeaseAlreadyPresent",
                    "the blob is leased",
                ));
            }
            let id = proposed.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
            set(Some(&id), Some(seconds))?;
            Ok((201, Some(id)))
        }
        // A lease that ran out may be renewed as long as nobody else took one.
        "renew" if is_ours(blob.lease.as_deref()) => {
            set(given, blob.lease_seconds)?;
            Ok((200, given.map(str::to_owned)))
        }
        "change" if is_ours(held) => {
            let id = call.header("x-ms-proposed-lease-id").ok_or_else(|| {
                Refusal::new(
                    400,
                    "MissingRequiredHeader",
                    "a proposed lease id is needed",
                )
            })?;
            set(Some(id), blob.lease_seconds)?;
            Ok((200, Some(id.to_owned())))
        }
        "release" if is_ours(blob.lease.as_deref()) => {
            set(None, None)?;
            Ok((200, given.map(str::to_owned)))
        }
        "break" => {
            if blob.lease.is_none() {
                return Err(Refusal::new(
                    409,
                    "LeaseNotPresentWithLeaseOperation",
                    "there is no lease",
                ));
            }
            set(None, None)?;
            Ok((202, None))
        }
        "renew" | "change" | "release" => Err(mismatch()),
        _ => Err(Refusal::new(
            400,
            "InvalidHeaderValue",
            "no such lease action",
        )),
    }
}
