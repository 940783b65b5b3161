//! List Blobs, flat, with paging.

use std::fmt::Write as _;

use axum::response::Response;
use quick_xml::escape::escape;
use rusqlite::params;

use super::{Blob, COLUMNS, must_have_container};
use crate::local::storage::db::Db;
use crate::local::storage::wire::{Call, Refusal, finish, reply, rfc1123_ms};

pub(super) async fn answer(db: &Db, call: Call) -> Result<Response, Refusal> {
    if call.param("delimiter").is_some() {
        return Err(call.unsupported());
    }
    let most = call
        .number("maxresults", 5000, 1..=i64::from(i32::MAX))?
        .min(5000);
    let prefix = call.param("prefix").unwrap_or_default().to_owned();
    // The marker is the name at which the next page begins.
    let marker = call.param("marker").unwrap_or_default().to_owned();
    let container = call.first.clone();
    let search = prefix.clone();
    let mut rows = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let from = if marker > search { &marker } else { &search };
            let mut select = db.prepare_cached(&format!(
                "SELECT {COLUMNS}, name FROM blobs WHERE container = ?1 AND name >= ?2 AND substr(name, 1, length(?3)) = ?3 ORDER BY name LIMIT ?4"
            ))?;
            let rows = select
                .query_map(params![call.first, from, search, most + 1], |r| Ok((Blob::read(r)?, r.get::<_, String>(12)?)))?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(rows)
        })
        .await?;
    let next = if rows.len() as i64 > most {
        rows.pop().map(|(_, name)| name)
    } else {
        None
    };
    let mut xml = String::with_capacity(rows.len() * 512 + 256);
    let _ = write!(
        xml,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"{}\"><Prefix>{}</Prefix><MaxResults>{most}</MaxResults><Blobs>",
        escape(&container),
        escape(&prefix)
    );
    for (blob, name) in rows {
        let _ = write!(
            xml,
            "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>{}</Etag><Content-Length>{}</Content-Length><Content-Type>{}</Content-Type><BlobType>{}</BlobType><AccessTier>{}</AccessTier></Properties></Blob>",
            escape(&name),
            rfc1123_ms(blob.created),
            rfc1123_ms(blob.modified),
            escape(blob.etag.trim_matches('"')),
            blob.length,
            escape(&blob.content_type),
            blob.kind,
            escape(&blob.tier)
        );
    }
    let _ = write!(
        xml,
        "</Blobs><NextMarker>{}</NextMarker></EnumerationResults>",
        escape(next.unwrap_or_default().as_str())
    );
    finish(reply(200).header("content-type", "application/xml"), xml)
}
