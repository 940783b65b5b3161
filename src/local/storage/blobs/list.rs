//! List Blobs, flat or by hierarchy, with paging.

use std::fmt::Write as _;

use axum::response::Response;
use quick_xml::escape::escape;
use rusqlite::{Connection, params};

use super::{Blob, COLUMNS, must_have_container};
use crate::local::storage::db::Db;
use crate::local::storage::wire::{Call, Refusal, finish, reply, rfc1123_ms};

/// One entry of a page.
enum Entry {
    /// Name, the time of its snapshot if it is one, and what is known of it.
    Blob(String, Option<String>, Box<Blob>),
    /// What stands before the next delimiter, for all blobs that share it.
    Prefix(String),
}

/// What the caller wants to see.
pub(super) struct Wanted {
    pub(super) prefix: String,
    delimiter: Option<String>,
    pub(super) metadata: bool,
    snapshots: bool,
    immutability: bool,
    legal_hold: bool,
    pub(super) most: usize,
}

impl Wanted {
    pub(super) fn read(call: &Call) -> Result<Self, Refusal> {
        let most = call
            .number("maxresults", 5000, 1..=i64::from(i32::MAX))?
            .min(5000);
        let include = call.param("include").unwrap_or_default();
        let includes = |what: &str| include.split(',').any(|i| i == what);
        Ok(Self {
            prefix: call.param("prefix").unwrap_or_default().to_owned(),
            delimiter: call
                .param("delimiter")
                .filter(|d| !d.is_empty())
                .map(str::to_owned),
            metadata: includes("metadata"),
            snapshots: includes("snapshots"),
            immutability: includes("immutabilitypolicy"),
            legal_hold: includes("legalhold"),
            most: usize::try_from(most).unwrap_or(5000),
        })
    }
}

pub(super) async fn answer(db: &Db, call: Call) -> Result<Response, Refusal> {
    let wanted = Wanted::read(&call)?;
    // The marker is the name at which the next page begins.
    let marker = call.param("marker").unwrap_or_default().to_owned();
    let (container, now) = (call.first.clone(), call.now);
    let (entries, next, wanted) = db
        .run(move |db| {
            must_have_container(db, &call)?;
            let (entries, next) = page(db, &call.first, &wanted, marker)?;
            Ok((entries, next, wanted))
        })
        .await?;
    let mut xml = String::with_capacity(entries.len() * 512 + 256);
    let _ = write!(
        xml,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"{}\"><Prefix>{}</Prefix><MaxResults>{}</MaxResults>",
        escape(container.rsplit('/').next().unwrap_or_default()),
        escape(&wanted.prefix),
        wanted.most,
    );
    if let Some(delimiter) = &wanted.delimiter {
        let _ = write!(xml, "<Delimiter>{}</Delimiter>", escape(delimiter));
    }
    xml.push_str("<Blobs>");
    for entry in &entries {
        match entry {
            Entry::Prefix(name) => {
                let _ = write!(
                    xml,
                    "<BlobPrefix><Name>{}</Name></BlobPrefix>",
                    escape(name)
                );
            }
            Entry::Blob(name, snapshot, blob) => {
                one(&mut xml, name, snapshot.as_deref(), blob, &wanted, now);
            }
        }
    }
    let _ = write!(
        xml,
        "</Blobs><NextMarker>{}</NextMarker></EnumerationResults>",
        escape(next.unwrap_or_default().as_str())
    );
    finish(reply(200).header("content-type", "application/xml"), xml)
}

/// Reads on from `from` until the page is full. Below a shared prefix it jumps, so that a folder of
/// a million blobs costs one step.
fn page(
    db: &Connection,
    container: &str,
    wanted: &Wanted,
    from: String,
) -> Result<(Vec<Entry>, Option<String>), Refusal> {
    let mut from = if from > wanted.prefix {
        from
    } else {
        wanted.prefix.clone()
    };
    let mut entries = Vec::new();
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, name FROM blobs WHERE container = ?1 AND name >= ?2 AND substr(name, 1, length(?3)) = ?3 ORDER BY name LIMIT ?4"
    ))?;
    'rows: loop {
        let room = i64::try_from(wanted.most + 1 - entries.len().min(wanted.most)).unwrap_or(1);
        let rows = select
            .query_map(params![container, from, wanted.prefix, room], |r| {
                Ok((Blob::read(r)?, r.get::<_, String>(14)?))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let whole = rows.len() as i64 == room;
        for (blob, name) in rows {
            if entries.len() >= wanted.most {
                return Ok((entries, Some(name)));
            }
            let rest = &name[wanted.prefix.len()..];
            let folder = wanted.delimiter.as_ref().and_then(|d| {
                let end = rest.find(d.as_str())? + d.len();
                Some(name[..wanted.prefix.len() + end].to_owned())
            });
            if let Some(folder) = folder {
                // The first name after everything that begins with the folder.
                from = format!("{folder}{}", char::MAX);
                entries.push(Entry::Prefix(folder));
                continue 'rows;
            }
            if wanted.snapshots {
                snapshots(db, container, &name, &mut entries)?;
            }
            from = format!("{name}\0");
            entries.push(Entry::Blob(name, None, Box::new(blob)));
        }
        if !whole {
            return Ok((entries, None));
        }
    }
}

fn snapshots(
    db: &Connection,
    container: &str,
    name: &str,
    entries: &mut Vec<Entry>,
) -> Result<(), Refusal> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, at FROM snapshots WHERE container = ?1 AND name = ?2 ORDER BY at"
    ))?;
    let rows = select.query_map([container, name], |r| {
        Ok((Blob::read(r)?, r.get::<_, String>(14)?))
    })?;
    for row in rows {
        let (blob, at) = row?;
        entries.push(Entry::Blob(name.to_owned(), Some(at), Box::new(blob)));
    }
    Ok(())
}

fn one(
    xml: &mut String,
    name: &str,
    snapshot: Option<&str>,
    blob: &Blob,
    wanted: &Wanted,
    now: i64,
) {
    let _ = write!(xml, "<Blob><Name>{}</Name>", escape(name));
    if let Some(at) = snapshot {
        let _ = write!(xml, "<Snapshot>{at}</Snapshot>");
    }
    let _ = write!(
        xml,
        "<Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>{}</Etag><Content-Length>{}</Content-Length><Content-Type>{}</Content-Type><BlobType>{}</BlobType>",
        rfc1123_ms(blob.created),
        rfc1123_ms(blob.modified),
        escape(blob.etag.trim_matches('"')),
        blob.length,
        escape(&blob.content_type),
        blob.kind,
    );
    if blob.kind == "BlockBlob" {
        let _ = write!(xml, "<AccessTier>{}</AccessTier>", escape(&blob.tier));
    }
    if snapshot.is_none() {
        let leased = blob.held_by(now).is_some();
        let (status, state) = if leased {
            ("locked", "leased")
        } else {
            ("unlocked", "available")
        };
        let _ = write!(
            xml,
            "<LeaseStatus>{status}</LeaseStatus><LeaseState>{state}</LeaseState>"
        );
        if let Some(duration) = blob.lease_duration(now) {
            let _ = write!(xml, "<LeaseDuration>{duration}</LeaseDuration>");
        }
    }
    if let Some(until) = blob.immutable_until.filter(|_| wanted.immutability) {
        let _ = write!(
            xml,
            "<ImmutabilityPolicyUntilDate>{}</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>unlocked</ImmutabilityPolicyMode>",
            rfc1123_ms(until)
        );
    }
    if blob.legal_hold && wanted.legal_hold {
        xml.push_str("<LegalHold>true</LegalHold>");
    }
    xml.push_str("<ServerEncrypted>true</ServerEncrypted></Properties>");
    if wanted.metadata {
        metadata(xml, &blob.metadata);
    }
    xml.push_str("</Blob>");
}

/// What was said about a blob or a container, as lists show it.
pub(super) fn metadata(xml: &mut String, json: &str) {
    let pairs: std::collections::BTreeMap<String, String> =
        serde_json::from_str(json).unwrap_or_default();
    xml.push_str("<Metadata>");
    for (name, value) in pairs {
        let _ = write!(xml, "<{name}>{}</{name}>", escape(&value));
    }
    xml.push_str("</Metadata>");
}
