//! What is outside of Azure: `https://host/path` is answered at `/outside/host/path`.
//!
//! The hosts of the estate's apps answer as their apps do. Every other host is a channel or a ticket
//! system, which checks what the vendor's checks, answers as the vendor's does, and keeps what it got
//! without its secrets.

mod apps;
mod azure_devops;
mod chat;
mod jira;
mod kept;
mod mail;
mod pager;
mod query;
mod servicenow;
mod webhook;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Shared;
use crate::local::storage::{Key, Refusal};
pub use kept::{Sent, Ticket};
pub(super) use kept::{one, sent, tickets};

/// One request to a channel.
struct Call {
    method: Method,
    /// In lower case.
    host: String,
    /// Without a slash at either end, decoded.
    path: Vec<String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    who: Who,
    /// Milliseconds since 1970.
    now: i64,
    /// Milliseconds that the vendor works on what it accepted.
    takes: i64,
}

/// How a caller makes itself known.
#[derive(Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    /// Basic, with a user and a password.
    Basic,
    /// A token of the simulated identity, for this audience.
    Identity(String),
    /// Some other token or signature.
    Other,
}

impl Who {
    fn of(key: &Key, headers: &HeaderMap) -> Self {
        let Some(text) = headers.get("authorization").and_then(|h| h.to_str().ok()) else {
            return Self::Nobody;
        };
        match text.split_once(' ') {
            Some(("Basic", pair)) => {
                use base64::Engine as _;
                let pair = base64::prelude::BASE64_STANDARD.decode(pair);
                let known = pair.is_ok_and(|pair| {
                    let at = pair.iter().position(|byte| *byte == b':');
                    at.is_some_and(|at| at + 1 < pair.len())
                });
                if known { Self::Basic } else { Self::Nobody }
            }
            Some(("Bearer", token)) => match key.audience(token) {
                Some(audience) => Self::Identity(audience.trim_end_matches('/').to_owned()),
                None => Self::Other,
            },
            Some((_, rest)) if !rest.is_empty() => Self::Other,
            _ => Self::Nobody,
        }
    }
}

/// What a channel keeps of a request.
#[derive(Debug, Default)]
struct Kept {
    channel: &'static str,
    kind: String,
    to: String,
    subject: String,
    text: String,
    body: Value,
}

/// What a channel says.
struct Answer {
    status: u16,
    content: Content,
    headers: Vec<(&'static str, String)>,
    kept: Option<Kept>,
}

enum Content {
    Nothing,
    Text(&'static str),
    Json(Value),
}

impl Answer {
    fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            content: Content::Json(body),
            headers: Vec::new(),
            kept: None,
        }
    }

    fn text(status: u16, text: &'static str) -> Self {
        Self {
            content: Content::Text(text),
            ..Self::empty(status)
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            content: Content::Nothing,
            headers: Vec::new(),
            kept: None,
        }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn keeping(mut self, kept: Kept) -> Self {
        self.kept = Some(kept);
        self
    }

    fn into_response(self) -> Response {
        let builder = self.headers.iter().fold(
            Response::builder().status(self.status),
            |builder, (name, value)| builder.header(*name, value),
        );
        let whole = match self.content {
            Content::Nothing => builder.body(Body::empty()),
            Content::Text(text) => builder
                .header("content-type", "text/plain; charset=utf-8")
                .body(Body::from(text)),
            Content::Json(body) => builder
                .header("content-type", "application/json; charset=utf-8")
                .body(Body::from(body.to_string())),
        };
        whole.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

impl Call {
    fn read(shared: &Shared, parts: &Parts, body: Bytes) -> Option<Self> {
        let mut path = parts
            .uri
            .path()
            .strip_prefix("/outside/")?
            .split('/')
            .map(|part| {
                percent_encoding::percent_decode_str(part)
                    .decode_utf8_lossy()
                    .into_owned()
            });
        let host = path.next().filter(|host| !host.is_empty())?;
        Some(Self {
            method: parts.method.clone(),
            host: without_port(&host),
            path: path.filter(|part| !part.is_empty()).collect(),
            query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            headers: parts.headers.clone(),
            body,
            who: Who::of(&shared.storage.key, &parts.headers),
            now: shared.storage.db.clock.now_ms(),
            takes: shared
                .operations_take_ms
                .load(std::sync::atomic::Ordering::SeqCst),
        })
    }

    fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    fn query(&self, name: &str) -> Option<&str> {
        let mut all = self.query.iter();
        all.find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn header(&self, name: &str) -> &str {
        let header = self.headers.get(name).and_then(|h| h.to_str().ok());
        header.unwrap_or_default()
    }

    /// The body, where it is JSON and says so.
    fn json(&self) -> Option<Value> {
        let kind = self.header("content-type");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let fits = kind == "application/json" || kind == "application/json-patch+json";
        fits.then(|| serde_json::from_slice(&self.body).ok())
            .flatten()
    }
}

fn without_port(host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.to_ascii_lowercase()
}

/// Answers in the name of whoever the path names.
pub(super) async fn answer(
    shared: &Shared,
    parts: &Parts,
    body: Bytes,
) -> Result<Response, Refusal> {
    let Some(call) = Call::read(shared, parts, body) else {
        let why = "the path is /outside/<host>/<path>";
        return Err(Refusal::new(404, "NotFound", why));
    };
    if let Some(response) = apps::answer(shared, &call, parts).await? {
        return Ok(response);
    }
    let answer = shared
        .world
        .run(move |db, _| {
            let mut answer = channel(db, &call)?;
            if let Some(kept) = answer.kept.take() {
                kept::keep(db, &call, kept)?;
            }
            Ok(answer)
        })
        .await?;
    Ok(answer.into_response())
}

fn channel(db: &rusqlite::Connection, call: &Call) -> Result<Answer, Refusal> {
    let host = call.host.as_str();
    let within = |domain: &str| host.ends_with(domain);
    if host == "smtp" {
        return Ok(mail::smtp(call));
    }
    if matches!(host, "events.pagerduty.com" | "events.eu.pagerduty.com") {
        return pager::answer(db, call);
    }
    if host == "hooks.slack.com" {
        return Ok(chat::slack(call));
    }
    if within(".logic.azure.com") || within(".powerplatform.com") {
        return Ok(chat::teams(call));
    }
    if within(".service-now.com") {
        return servicenow::answer(db, call);
    }
    if within(".atlassian.net") || host == "api.atlassian.com" {
        return jira::answer(db, call);
    }
    if host == "dev.azure.com" {
        return azure_devops::answer(db, call);
    }
    if within(".communication.azure.com") {
        return mail::communication(db, call);
    }
    Ok(webhook::answer(call))
}
