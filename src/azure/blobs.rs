//! The blobs of a storage account of the estate: listed, and deleted only as they were seen.
//!
//! Source: Blob Service REST, "List Blobs" and "Delete Blob". Our own memory goes through the
//! official SDK instead ([`crate::store`]); here every call is paced and judged by this handle.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::{Action, Azure, Call, Error, Permit, Plane};

/// Pinned with the version of the store.
const VERSION: &str = "2025-11-05";

pub const LIST: Action =
    Action("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read (data action)");
pub const DELETE: Action =
    Action("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete (data action)");

/// A blob or a snapshot of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub name: String,
    pub is_snapshot: bool,
    /// The version that was seen.
    pub etag: String,
    pub modified: DateTime<Utc>,
    pub bytes: u64,
    pub leased: bool,
    pub legal_hold: bool,
    /// It must not be deleted before this.
    pub immutable_until: Option<DateTime<Utc>>,
    /// `BlockBlob`, `AppendBlob` or `PageBlob`.
    pub kind: String,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub blobs: Vec<Blob>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    /// It was not there any more.
    Gone,
    /// It was written since it was seen, or somebody holds it.
    Spared,
}

/// One page of the blobs whose names begin with `prefix`, snapshots and holds among them, up to
/// 5,000 of them.
pub async fn list(
    azure: &Azure,
    endpoint: &Url,
    container: &str,
    prefix: &str,
    from: Option<&str>,
) -> Result<Page, Error> {
    let mut url = at(endpoint, &[container]);
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("restype", "container")
            .append_pair("comp", "list")
            .append_pair("include", "snapshots,immutabilitypolicy,legalhold");
        if !prefix.is_empty() {
            query.append_pair("prefix", prefix);
        }
        if let Some(from) = from {
            query.append_pair("marker", from);
        }
    }
    let call =
        Call::new(Plane::Blob, Method::GET, url, LIST, container).header("x-ms-version", VERSION);
    let answer = azure.send(&call).await?;
    let unexpected = |why: String| Error::Unexpected {
        what: container.to_owned(),
        why,
    };
    let text = std::str::from_utf8(&answer.body).map_err(|e| unexpected(e.to_string()))?;
    parse(text.trim_start_matches('\u{feff}')).map_err(unexpected)
}

/// Takes every blob whose name begins with `prefix`, page after page.
pub async fn each(
    azure: &Azure,
    endpoint: &Url,
    container: &str,
    prefix: &str,
    mut take: impl FnMut(Blob),
) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let mut from: Option<String> = None;
    loop {
        let page = list(azure, endpoint, container, prefix, from.as_deref()).await?;
        page.blobs.into_iter().for_each(&mut take);
        let Some(next) = page.next else {
            return Ok(());
        };
        if !seen.insert(next.clone()) {
            return Err(Error::Unexpected {
                what: container.to_owned(),
                why: "the listing goes round in a circle".into(),
            });
        }
        from = Some(next);
    }
}

/// Deletes a blob if it is still the version that was seen. Safe to repeat.
pub async fn delete(
    azure: &Azure,
    endpoint: &Url,
    container: &str,
    name: &str,
    etag: &str,
    permit: &dyn Permit,
) -> Result<Deletion, Error> {
    let mut path = vec![container];
    path.extend(name.split('/'));
    let call = Call::new(
        Plane::Blob,
        Method::DELETE,
        at(endpoint, &path),
        DELETE,
        container,
    )
    .header("x-ms-version", VERSION)
    .header("if-match", etag)
    .permit(permit);
    match azure.send(&call).await {
        // Whoever deleted it at an earlier try was us.
        Ok(answer) if answer.status == 404 => Ok(Deletion::Deleted),
        Ok(_) => Ok(Deletion::Deleted),
        Err(Error::NotFound { .. }) => Ok(Deletion::Gone),
        Err(Error::Changed { .. }) => Ok(Deletion::Spared),
        Err(error) => Err(error),
    }
}

/// `endpoint` with further path segments, each escaped.
fn at(endpoint: &Url, segments: &[&str]) -> Url {
    let mut url = endpoint.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn parse(xml: &str) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Listing {
        #[serde(rename = "Blobs", default)]
        blobs: Rows,
        #[serde(rename = "NextMarker", default)]
        next: String,
    }
    #[derive(Deserialize, Default)]
    struct Rows {
        #[serde(rename = "Blob", default)]
        rows: Vec<Row>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Row {
        name: Name,
        snapshot: Option<String>,
        properties: Properties,
    }
    /// A name that XML cannot hold is percent-encoded, and says so.
    #[derive(Deserialize)]
    struct Name {
        #[serde(rename = "@Encoded")]
        encoded: Option<bool>,
        #[serde(rename = "$text", default)]
        text: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Properties {
        #[serde(rename = "Last-Modified")]
        modified: String,
        etag: String,
        #[serde(rename = "Content-Length")]
        length: Option<u64>,
        blob_type: Option<String>,
        lease_state: Option<String>,
        legal_hold: Option<bool>,
        immutability_policy_until_date: Option<String>,
    }
    let listing: Listing = quick_xml::de::from_str(xml).map_err(|e| e.to_string())?;
    let time = |text: &str| {
        DateTime::parse_from_rfc2822(text)
            .map(|at| at.with_timezone(&Utc))
            .map_err(|_| format!("`{text}` is no time"))
    };
    let blobs = listing
        .blobs
        .rows
        .into_iter()
        .map(|row| {
            let held = row.properties;
            let name = if row.name.encoded == Some(true) {
                percent_decoded(&row.name.text)?
            } else {
                row.name.text
            };
            let etag = held.etag.trim_matches('"');
            Ok(Blob {
                name,
                is_snapshot: row.snapshot.is_some(),
                etag: format!("\"{etag}\""),
                modified: time(&held.modified)?,
                bytes: held.length.unwrap_or(0),
                leased: held.lease_state.as_deref() == Some("leased"),
                legal_hold: held.legal_hold.unwrap_or(false),
                immutable_until: held
                    .immutability_policy_until_date
                    .as_deref()
                    .map(time)
                    .transpose()?,
                kind: held.blob_type.unwrap_or_default(),
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Page {
        blobs,
        next: Some(listing.next).filter(|next| !next.is_empty()),
    })
}

fn percent_decoded(text: &str) -> Result<String, String> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Blob Service REST, "List Blobs", 2025-11-05.
    const LISTING: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="https://st.blob.core.windows.net/" ContainerName="logs">
<Prefix>a</Prefix><MaxResults>3</MaxResults><Blobs>
<Blob><Name>a&amp;b/1 2.log</Name><Properties><Creation-Time>Mon, 05 Oct 2026 01:00:00 GMT</Creation-Time>
<Last-Modified>Mon, 05 Oct 2026 01:02:03 GMT</Last-Modified><Etag>0x8DC1</Etag><Content-Length>12</Content-Length>
<BlobType>AppendBlob</BlobType><LeaseStatus>locked</LeaseStatus><LeaseState>leased</LeaseState></Properties><OrMetadata /></Blob>
<Blob><Name>c</Name><Snapshot>2026-10-06T00:00:00.0000000Z</Snapshot><Properties>
<Last-Modified>Mon, 05 Oct 2026 01:02:03 GMT</Last-Modified><Etag>"0x8DC2"</Etag><Content-Length>5</Content-Length><BlobType>BlockBlob</BlobType>
<ImmutabilityPolicyUntilDate>Fri, 01 Jan 2027 00:00:00 GMT</ImmutabilityPolicyUntilDate><LegalHold>true</LegalHold></Properties></Blob>
<Blob><Name Encoded="true">x%EF%BF%BF</Name><Properties><Last-Modified>Mon, 05 Oct 2026 01:02:03 GMT</Last-Modified>
<Etag>0x8DC3</Etag></Properties></Blob>
</Blobs><NextMarker>2!76!x</NextMarker></EnumerationResults>"#;

    #[test]
    fn a_listing_is_read_as_storage_writes_it() {
        let page = parse(LISTING).expect("a page");
        assert_eq!(page.next.as_deref(), Some("2!76!x"));
        let names: Vec<&str> = page.blobs.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["a&b/1 2.log", "c", "x\u{ffff}"]);
        let (first, second) = (&page.blobs[0], &page.blobs[1]);
        assert!(first.leased && !first.is_snapshot && !first.legal_hold);
        assert_eq!((first.etag.as_str(), first.bytes), ("\"0x8DC1\"", 12));
        assert!(second.is_snapshot && second.legal_hold);
        assert!(second.immutable_until.is_some());
        let empty = parse("<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>");
        assert_eq!(
            empty.expect("a page"),
            Page {
                blobs: Vec::new(),
                next: None
            }
        );
        assert!(parse("<html>no").is_err());
    }

    #[test]
    fn names_are_escaped_part_by_part() {
        let endpoint = Url::parse("http://127.0.0.1:1/blob/st/").expect("a URL");
        let url = at(&endpoint, &["logs", "a b", "ü?#%2F..", "c"]);
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:1/blob/st/logs/a%20b/%C3%BC%3F%23%252F../c"
        );
    }
}
