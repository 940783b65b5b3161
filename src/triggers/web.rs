//! Pages and answers of the HTTP functions.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::App;
use crate::domain::Cadence;
use crate::journal::{Cause, Run, RunId, Work};
use crate::operations::accept;
use crate::operations::maintenance::Task;
use crate::operations::runs::{count, one, recent};
use crate::store::Error;

/// The largest body of any request, bytes.
pub(super) const MOST_BODY_BYTES: usize = 1024 * 1024;

/// A refusal or a failure, with the reason for whoever asked.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    why: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "storage failed");
        match error {
            Error::Unavailable { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the store cannot be reached; nothing was lost or taken, send it again",
            ),
            other => Self::new(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
        }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        let why = format!("{error:#}");
        tracing::error!(error = %why, "invocation failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, why)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.why }))).into_response()
    }
}

/// Where a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A page from here, as its browser says.
    Ours,
    /// A page of another site.
    Foreign,
    /// No browser says anything: a program.
    Unsaid,
}

/// Where a request was made, by the two headers that a page cannot write.
///
/// A page that must not say where it comes from sends `null` as its origin, so that there
/// `Sec-Fetch-Site` decides.
/// Sources: Fetch Standard, "append a request Origin header"; Fetch Metadata Request Headers.
pub(super) fn origin(headers: &HeaderMap) -> Origin {
    let text = |name: &str| headers.get(name).map(|h| h.to_str().unwrap_or_default());
    let host = text("host").unwrap_or_default();
    let named = text("origin").map(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        (origin, authority == Some(host))
    });
    match (text("sec-fetch-site"), named) {
        (Some("same-origin"), None | Some(("null", _)) | Some((_, true))) => Origin::Ours,
        (None, Some((_, true))) => Origin::Ours,
        (None, None) => Origin::Unsaid,
        _ => Origin::Foreign,
    }
}

/// What a body is said to be, without what is said beside it, such as a charset.
pub(super) fn kind_of_body(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

/// Refuses state-changing requests that a page of another site made a browser send.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    if request.method() != Method::GET
        && request.method() != Method::HEAD
        && origin(request.headers()) == Origin::Foreign
    {
        let problem = Problem::new(
            StatusCode::FORBIDDEN,
            "requests that change something are not taken from other sites",
        );
        return super::incidents::refusal(request.headers(), problem);
    }
    next.run(request).await
}

/// A body that nobody wants is read to its end all the same, so far as that is reasonable: whoever
/// still sends it while it is answered would lose the answer with the connection.
pub(super) async fn without_body(request: Request, next: Next) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut pieces = body.into_data_stream();
    let mut left = 4 * MOST_BODY_BYTES;
    while let Some(Ok(piece)) = pieces.next().await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            break;
        }
    }
    next.run(Request::from_parts(parts, Body::empty())).await
}

/// Anonymous, so it says nothing but the version.
pub(super) async fn health() -> Json<Value> {
    Json(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }))
}

#[derive(Deserialize)]
pub(super) struct MaintenanceQuery {
    task: Option<String>,
    #[serde(rename = "dryRun")]
    dry_run: Option<String>,
}

/// Starts maintenance on request. With an `Idempotency-Key` a repetition meets the first run.
pub(super) async fn maintenance(
    State(app): State<Arc<App>>,
    Path(cadence): Path<String>,
    Query(query): Query<MaintenanceQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cadence: Cadence = cadence
        .parse()
        .map_err(|why: String| Problem::new(StatusCode::NOT_FOUND, why))?;
    // Repeated query values arrive joined by commas.
    let tasks: Vec<String> = query
        .task
        .iter()
        .flat_map(|t| t.split(','))
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect();
    Task::choose(cadence, &tasks).map_err(|why| Problem::new(StatusCode::BAD_REQUEST, why))?;
    let dry_run = dry_run(query.dry_run.as_deref())?;
    let name = run_key(&headers, "")?;
    let run: RunId = format!("{cadence}-request-{name}")
        .parse()
        .expect("hexadecimal digits fit");
    let work = Work::Maintenance {
        cadence,
        cause: Cause::Request,
        due: None,
        tasks,
        dry_run,
    };
    let accepted = accept(&app, run, work).await?;
    Ok(taken(&accepted.run, accepted.new))
}

/// Whether nothing is to be changed.
pub(super) fn dry_run(text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(_) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "`dryRun` is true or false",
        )),
    }
}

/// What names a run on request: its `Idempotency-Key` with who sent it, hashed, or a name of its
/// own. `by` is empty where anybody may ask.
pub(super) fn run_key(headers: &HeaderMap, by: &str) -> Result<String, Problem> {
    match headers.get("idempotency-key").map(|k| k.to_str()) {
        None => Ok(uuid::Uuid::new_v4().simple().to_string()),
        Some(Ok(key)) => {
            let name = format!("{by}{key}");
            Ok(crate::journal::Hash::of(name.as_bytes()).as_str()[..32].to_owned())
        }
        Some(Err(_)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "`Idempotency-Key` is not plain text",
        )),
    }
}

/// What a body says.
///
/// Errors: 400 with what is wrong with it.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, format!("the body: {e}")))
}

/// 202 with the place where the run can be watched.
pub(super) fn taken(run: &RunId, new: bool) -> Response {
    let place = format!("/api/runs/{run}");
    let status = if new { "accepted" } else { "duplicate" };
    (
        StatusCode::ACCEPTED,
        [(header::LOCATION, place)],
        Json(json!({ "run": run, "status": status })),
    )
        .into_response()
}

#[derive(Deserialize)]
pub(super) struct RunsQuery {
    from: Option<String>,
    most: Option<usize>,
    count: Option<bool>,
}

/// Runs, newest first; with `count=true` only how many there are.
pub(super) async fn runs(
    State(app): State<Arc<App>>,
    Query(query): Query<RunsQuery>,
) -> Result<Json<Value>, Problem> {
    if query.count == Some(true) {
        return Ok(Json(json!({ "accepted": count(&app).await? })));
    }
    let most = query.most.unwrap_or(50).clamp(1, 500);
    Ok(Json(json!(recent(&app, query.from, most).await?)))
}

/// One run, also when it is accepted and not started yet.
pub(super) async fn run(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Run>, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no such run");
    let id: RunId = id.parse().map_err(|_| missing())?;
    Ok(Json(one(&app, &id).await?.ok_or_else(missing)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_request_was_made_is_what_a_page_cannot_write() {
        for (site, named, expected) in [
            (None, None, Origin::Unsaid),
            (None, Some("https://pool.example"), Origin::Ours),
            (None, Some("https://evil.example"), Origin::Foreign),
            (None, Some("null"), Origin::Foreign),
            (Some("same-origin"), None, Origin::Ours),
            (Some("same-origin"), Some("null"), Origin::Ours),
            (
                Some("same-origin"),
                Some("https://pool.example"),
                Origin::Ours,
            ),
            (
                Some("same-origin"),
                Some("https://evil.example"),
                Origin::Foreign,
            ),
            (
                Some("same-site"),
                Some("https://pool.example"),
                Origin::Foreign,
            ),
            (Some("cross-site"), Some("null"), Origin::Foreign),
            (Some("cross-site"), None, Origin::Foreign),
            (Some("none"), None, Origin::Foreign),
        ] {
            let mut headers = HeaderMap::new();
            let mut put = |name: &'static str, value: Option<&'static str>| {
                if let Some(value) = value {
                    headers.insert(name, header::HeaderValue::from_static(value));
                }
            };
            put("host", Some("pool.example"));
            put("sec-fetch-site", site);
            put("origin", named);
            assert_eq!(origin(&headers), expected, "{site:?} {named:?}");
        }
    }
}
