//! The Blob service. Source: Blob Service REST API.

mod containers;
mod content;
mod lease;
mod list;
pub(in crate::local) mod shelf;
mod state;

use axum::http::Method;
use axum::response::Response;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::db::Db;
use super::wire::{Call, Refusal};

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
    legal_hold: bool,
    /// Milliseconds since 1970.
    immutable_until: Option<i64>,
}

const COLUMNS: &str = "kind, etag, modified, created, content_type, metadata, tier, length(body), blocks, lease, lease_until, lease_seconds, legal_hold, immutable_until";

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
            legal_hold: row.get(12)?,
            immutable_until: row.get(13)?,
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

    /// Whether the lease that holds now ends by itself.
    fn lease_duration(&self, now: i64) -> Option<&'static str> {
        self.held_by(now)?;
        Some(if self.lease_until.is_none() {
            "infinite"
        } else {
            "fixed"
        })
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
            (&Method::GET, "list") if call.first.is_empty() => containers::list(db, call).await,
            _ if call.first.is_empty() => Err(call.unsupported()),
            (&Method::PUT, "") => containers::create(db, call).await,
            (&Method::DELETE, "") => containers::delete(db, call).await,
            (&Method::GET | &Method::HEAD, "") => containers::properties(db, call).await,
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
        (&Method::PUT, "legalhold") => state::set_legal_hold(db, call).await,
        (&Method::PUT, "immutabilitypolicies" | "immutabilityPolicies") => {
            state::set_immutability(db, call).await
        }
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

/// What Azure asks for a call to an account of the estate, as role definitions name it.
pub(super) fn action(call: &Call) -> &'static str {
    const CONTAINERS: [&str; 3] = [
        "Microsoft.Storage/storageAccounts/blobServices/containers/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/write",
        "Microsoft.Storage/storageAccounts/blobServices/containers/delete",
    ];
    const BLOBS: [&str; 3] = [
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
    ];
    let lists_blobs = !call.first.is_empty() && call.param("comp") == Some("list");
    let names = if call.rest.is_empty() && !lists_blobs {
        CONTAINERS
    } else {
        BLOBS
    };
    match call.method {
        Method::GET | Method::HEAD => names[0],
        Method::DELETE => names[2],
        _ => names[1],
    }
}

/// Refuses to change or delete what must stay: by a legal hold or a time-based policy, of the
/// container or of the blob itself. Source: Blob Service REST, "Blob Service error codes".
fn must_not_be_kept(db: &Connection, call: &Call, blob: &Blob) -> Result<(), Refusal> {
    let (hold, days): (bool, Option<i64>) = db
        .prepare_cached("SELECT legal_hold, immutable_days FROM containers WHERE name = ?1")?
        .query_row([&call.first], |r| Ok((r.get(0)?, r.get(1)?)))?;
    if hold || blob.legal_hold {
        return Err(Refusal::new(
            409,
            "BlobImmutableDueToLegalHold",
            "This operation is not permitted as the blob is immutable due to one or more legal holds.",
        ));
    }
    let by_container = days.map(|days| blob.created + days * 24 * 3600 * 1000);
    if by_container.max(blob.immutable_until) > Some(call.now) {
        return Err(Refusal::new(
            409,
            "BlobImmutableDueToPolicy",
            "This operation is not permitted as the blob is immutable due to a policy.",
        ));
    }
    Ok(())
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
    let since = call
        .header("if-unmodified-since")
        .and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok());
    if let (Some(since), Some(blob)) = (since, blob)
        && blob.modified / 1000 > since.timestamp()
    {
        return Err(unmet());
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
