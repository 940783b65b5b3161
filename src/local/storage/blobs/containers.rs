//! Containers: create, properties, delete, list.

use std::fmt::Write as _;

use axum::response::Response;
use quick_xml::escape::escape;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::list::{self, Wanted};
use super::{container_missing, metadata, must_have_container, new_etag};
use crate::local::storage::db::Db;
use crate::local::storage::wire::{Call, Refusal, finish, reply, rfc1123_ms};
use crate::local::storage::{ACCOUNT, shelf::Container};

const COLUMNS: &str = "name, etag, modified, metadata, legal_hold, immutable_days";

impl Container {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let key: String = row.get(0)?;
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        Ok(Self {
            name: name.to_owned(),
            etag: row.get(1)?,
            modified: row.get(2)?,
            metadata: row.get(3)?,
            legal_hold: row.get(4)?,
            immutable_days: row.get(5)?,
        })
    }
}

pub(super) async fn create(db: &Db, call: Call) -> Result<Response, Refusal> {
    let name = call.first.rsplit('/').next().unwrap_or_default();
    if !(3..=63).contains(&name.len()) {
        return Err(Refusal::new(
            400,
            "OutOfRangeInput",
            "the name of a container has 3 to 63 characters",
        ));
    }
    let (etag, now, said) = (new_etag(), call.now, metadata(&call)?);
    let row_etag = etag.clone();
    db.run(move |db| {
        let new = db.execute(
            "INSERT OR IGNORE INTO containers (name, etag, modified, metadata) VALUES (?1, ?2, ?3, ?4)",
            params![call.first, row_etag, now, said],
        )?;
        if new == 0 {
            let why = "the container exists";
            return Err(Refusal::new(409, "ContainerAlreadyExists", why));
        }
        call.note(db, "created")
    })
    .await?;
    finish(
        reply(201)
            .header("etag", etag)
            .header("last-modified", rfc1123_ms(now)),
        "",
    )
}

/// One container; the name has its account before it, as the tables have it.
pub(super) fn find(db: &Connection, key: &str) -> Result<Option<Container>, Refusal> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM containers WHERE name = ?1"))?
        .query_row([key], Container::read)
        .optional()?)
}

/// What keeps a blob keeps its container.
pub(super) async fn delete(db: &Db, call: Call) -> Result<Response, Refusal> {
    db.run(move |db| {
        let found = find(db, &call.first)?.ok_or_else(container_missing)?;
        let kept = match (found.legal_hold, found.immutable_days) {
            (true, _) => Some("ContainerHasLegalHold"),
            (_, Some(_)) => Some("ContainerImmutabilityPolicyLocked"),
            _ => None,
        };
        if let Some(code) = kept {
            return Err(Refusal::new(409, code, "the container must be kept"));
        }
        db.execute("DELETE FROM blobs WHERE container = ?1", [&call.first])?;
        db.execute("DELETE FROM snapshots WHERE container = ?1", [&call.first])?;
        db.execute("DELETE FROM containers WHERE name = ?1", [&call.first])?;
        call.note(db, "deleted")
    })
    .await?;
    finish(reply(202), "")
}

pub(super) async fn properties(db: &Db, call: Call) -> Result<Response, Refusal> {
    let found = db
        .run(move |db| {
            must_have_container(db, &call)?;
            find(db, &call.first)
        })
        .await?
        .ok_or_else(container_missing)?;
    let immutable = found.immutable_days.is_some();
    let mut builder = reply(200)
        .header("etag", found.etag)
        .header("last-modified", rfc1123_ms(found.modified))
        .header("x-ms-has-legal-hold", found.legal_hold.to_string())
        .header("x-ms-has-immutability-policy", immutable.to_string());
    let pairs: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&found.metadata).unwrap_or_default();
    for (name, value) in pairs {
        builder = builder.header(format!("x-ms-meta-{name}"), value);
    }
    finish(builder, "")
}

/// The containers of an account whose names begin with `prefix`, from `from` on, `most` at most.
pub(super) fn page(
    db: &Connection,
    account: &str,
    prefix: &str,
    from: &str,
    most: usize,
) -> Result<Vec<Container>, Refusal> {
    let account = match account {
        ACCOUNT => String::new(),
        other => format!("{other}/"),
    };
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM containers WHERE name >= ?1 AND substr(name, 1, length(?2)) = ?2
         AND instr(substr(name, length(?3) + 1), '/') = 0 ORDER BY name LIMIT ?4"
    ))?;
    let rows = select.query_map(
        params![
            format!("{account}{from}"),
            format!("{account}{prefix}"),
            account,
            i64::try_from(most).unwrap_or(i64::MAX)
        ],
        Container::read,
    )?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// List Containers.
pub(super) async fn list(db: &Db, call: Call) -> Result<Response, Refusal> {
    let wanted = Wanted::read(&call)?;
    let marker = call.param("marker").unwrap_or_default().to_owned();
    let (most, prefix) = (wanted.most, wanted.prefix.clone());
    let mut rows = db
        .run(move |db| {
            let from = marker.max(prefix.clone());
            page(db, &call.account, &prefix, &from, most + 1)
        })
        .await?;
    let next = (rows.len() > most)
        .then(|| rows.pop())
        .flatten()
        .map(|container| container.name);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Prefix>{}</Prefix><MaxResults>{most}</MaxResults><Containers>",
        escape(&wanted.prefix)
    );
    for container in rows {
        let _ = write!(
            xml,
            "<Container><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><HasImmutabilityPolicy>{}</HasImmutabilityPolicy><HasLegalHold>{}</HasLegalHold></Properties>",
            container.name,
            rfc1123_ms(container.modified),
            escape(container.etag.trim_matches('"')),
            container.immutable_days.is_some(),
            container.legal_hold,
        );
        if wanted.metadata {
            list::metadata(&mut xml, &container.metadata);
        }
        xml.push_str("</Container>");
    }
    let _ = write!(
        xml,
        "</Containers><NextMarker>{}</NextMarker></EnumerationResults>",
        next.unwrap_or_default()
    );
    finish(reply(200).header("content-type", "application/xml"), xml)
}
