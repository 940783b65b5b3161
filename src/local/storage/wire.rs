use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

/// The newest service version that is spoken.
const VERSION: &str = "2025-11-05";

/// An error as storage tells it: status, code and XML body.
#[derive(Debug, Clone)]
pub(in crate::local) struct Refusal {
    pub(in crate::local) status: u16,
    pub(in crate::local) code: &'static str,
    pub(in crate::local) message: String,
}

impl Refusal {
    pub(in crate::local) fn new(
        status: u16,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::new(500, "InternalError", error.to_string())
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            refusal.code,
            quick_xml::escape::escape(&refusal.message)
        );
        reply(refusal.status)
            .header("x-ms-error-code", refusal.code)
            .header("content-type", "application/xml")
            .body(Body::from(body))
            .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// The beginning of every answer.
pub(super) fn reply(status: u16) -> axum::http::response::Builder {
    Response::builder()
        .status(status)
        .header("x-ms-version", VERSION)
        .header("x-ms-request-id", uuid::Uuid::new_v4().to_string())
}

/// Ends an answer. A header that cannot be written is a broken answer, not a lost process.
pub(super) fn finish(
    builder: axum::http::response::Builder,
    body: impl Into<Body>,
) -> Result<Response, Refusal> {
    builder
        .body(body.into())
        .map_err(|e| Refusal::new(500, "InternalError", e.to_string()))
}

pub(in crate::local) fn rfc1123(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

pub(super) fn rfc1123_ms(ms: i64) -> String {
    rfc1123(DateTime::from_timestamp_millis(ms).unwrap_or_default())
}

/// One request, taken apart: `/<service>/<account>/<first>/<rest>`.
pub(super) struct Call {
    /// When it came, by the clock of the estate, in milliseconds.
    pub(super) now: i64,
    pub(super) service: String,
    pub(super) method: Method,
    pub(super) account: String,
    /// Container or queue; that of another account than our own has the account before it.
    pub(super) first: String,
    /// Blob name, or what follows the queue.
    pub(super) rest: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn read(parts: &Parts, body: Bytes, now: i64) -> Result<Self, Refusal> {
        let bad = || Refusal::new(400, "InvalidUri", "the path is not /service/account/...");
        let mut segments = parts.uri.path().splitn(5, '/').skip(1);
        let service = segments.next().ok_or_else(bad)?.to_owned();
        let account = segments.next().ok_or_else(bad)?;
        let mut first = decoded(segments.next().unwrap_or_default())?;
        if account != super::ACCOUNT && !first.is_empty() {
            first = format!("{account}/{first}");
        }
        Ok(Self {
            now,
            service,
            method: parts.method.clone(),
            account: account.to_owned(),
            first,
            rest: decoded(segments.next().unwrap_or_default())?,
            query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .map(|(k, v)| (k.into_owned(), v.into_owned()))
                .collect(),
            headers: parts.headers.clone(),
            body,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A whole number in the query, refused outside `range`.
    pub(super) fn number(
        &self,
        name: &str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, Refusal> {
        let Some(text) = self.param(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|n| range.contains(n))
            .ok_or_else(|| {
                Refusal::new(
                    400,
                    "OutOfRangeQueryParameterValue",
                    format!("`{name}` is out of range"),
                )
            })
    }

    /// Notes a change, unless it is one of our own account.
    pub(super) fn note(&self, db: &rusqlite::Connection, what: &str) -> Result<(), Refusal> {
        if self.account == super::ACCOUNT {
            return Ok(());
        }
        super::note(db, &format!("{}: {what}", self.first))
    }

    pub(super) fn unsupported(&self) -> Refusal {
        Refusal::new(
            501,
            "NotImplemented",
            format!(
                "{} {} of the {} service is not simulated",
                self.method,
                self.param("comp").unwrap_or_default(),
                self.service
            ),
        )
    }
}

fn decoded(segment: &str) -> Result<String, Refusal> {
    let bad = || Refusal::new(400, "InvalidUri", "the path is not percent-encoded UTF-8");
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'%' {
            let hex = segment.get(i + 1..i + 3).ok_or_else(bad)?;
            out.push(u8::from_str_radix(hex, 16).map_err(|_| bad())?);
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8(out).map_err(|_| bad())
}
