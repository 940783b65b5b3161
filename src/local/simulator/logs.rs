//! Log Analytics' query API. It takes requests as Azure does; what a query means is known by the
//! engine that is plugged in.
//!
//! Source: Log Analytics API v1, "Request format", "Response format", "Errors", "Timeouts",
//! "Limits".

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use crate::domain::ResourceId;
use crate::local::storage::{Key, Refusal};
use crate::local::world;

const AUDIENCES: [&str; 2] = [
    "https://api.loganalytics.io",
    "https://api.loganalytics.azure.com",
];
const READ: &str = "Microsoft.OperationalInsights/workspaces/query/read";
const READ_TABLES: &str = "Microsoft.OperationalInsights/workspaces/query/*/read";
const READ_LOGS: &str = "Microsoft.Insights/logs/*/read";
const MOST_ROWS: usize = 500_000;
/// Seconds that a query may take when nothing is said, and at most.
const WAIT: u64 = 180;
const MOST_WAIT: u64 = 600;

/// A query as it was asked.
#[derive(Debug, Clone)]
pub struct LogsQuery {
    pub text: String,
    pub scope: LogsScope,
    /// From the first up to the second, besides what the text says.
    pub timespan: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The time of the estate.
    pub now: DateTime<Utc>,
}

/// Where a query looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogsScope {
    /// Everything in this workspace.
    Workspace(ResourceId),
    /// What was logged about one resource, or what lies in it.
    Resource(ResourceId),
}

/// What a query answers: columns with Kusto's names of their types, and rows as the API writes
/// them. Without any column there is nothing in the workspace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogsTable {
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<Value>>,
}

/// Why a query is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsError {
    pub kind: LogsErrorKind,
    pub message: String,
    /// From 1, where a place can be named.
    pub place: Option<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogsErrorKind {
    Syntax,
    Semantic,
    /// Kusto knows it, and the engine does not.
    NotImplemented,
    /// It would take too much.
    Limit,
}

/// What answers queries. It is asked off the threads that serve requests.
pub trait QueryEngine: Send + Sync {
    fn run(&self, query: &LogsQuery) -> Result<LogsTable, LogsError>;
}

/// A refusal in the API's own shape, with what lies inside it.
fn refuse(status: u16, code: &str, message: &str, inner: Option<Value>) -> Response {
    let mut error = json!({ "message": message, "code": code });
    if let Some(inner) = inner {
        error["innererror"] = inner;
    }
    let status = StatusCode::from_u16(status).unwrap_or_default();
    (status, Json(json!({ "error": error }))).into_response()
}

fn bad(code: &str, message: &str) -> Response {
    let inner = json!({ "code": code, "message": message });
    refuse(
        400,
        "BadArgumentError",
        "The request had some invalid properties",
        Some(inner),
    )
}

fn lost() -> Response {
    refuse(
        404,
        "PathNotFoundError",
        "The requested path does not exist",
        None,
    )
}

pub(super) fn denied() -> Refusal {
    Refusal::new(
        403,
        "InsufficientAccessError",
        "The provided credentials have insufficient access to perform the requested operation",
    )
}

/// `/v1/workspaces/<customer id>/query` and `/v1/<resource id>/query`.
pub(super) async fn answer(
    shared: &Shared,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response, Refusal> {
    match ask(shared, parts, body).await {
        Ok(response) => Ok(response),
        Err(Failed::Answered(response)) => Ok(*response),
        Err(Failed::Refused(refusal)) => Err(refusal),
    }
}

enum Failed {
    Answered(Box<Response>),
    Refused(Refusal),
}

impl From<Response> for Failed {
    fn from(response: Response) -> Self {
        Self::Answered(Box::new(response))
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn ask(shared: &Shared, parts: &Parts, body: &Bytes) -> Result<Response, Failed> {
    admit(&shared.storage.key, &parts.headers)?;
    let path = parts.uri.path();
    let inside = path
        .strip_prefix("/v1")
        .and_then(|rest| rest.strip_suffix("/query"));
    let (Some(inside), &Method::POST) = (inside, &parts.method) else {
        return Err(lost().into());
    };
    let (scope, needed) = match inside.strip_prefix("/workspaces/") {
        Some(id) => {
            let id = id.to_ascii_lowercase();
            let found = shared
                .world
                .run(move |db, _| world::of_kind(db, "microsoft.operationalinsights/workspaces"))
                .await?;
            let is = |body: &Value| {
                let known = body["properties"]["customerId"].as_str();
                known.is_some_and(|known| known.eq_ignore_ascii_case(&id))
            };
            let workspace = found.into_iter().find(|row| is(&row.body));
            let id = workspace.and_then(|row| row.body["id"].as_str().map(ResourceId::from_text));
            let scope = LogsScope::Workspace(id.ok_or_else(lost)?);
            (scope, &[READ, READ_TABLES][..])
        }
        None => {
            let id = inside.to_owned();
            let found = shared
                .world
                .run(move |db, _| world::find(db, &id))
                .await?
                .ok_or_else(lost)?;
            let id = found.body["id"].as_str().unwrap_or(inside);
            let scope = LogsScope::Resource(ResourceId::from_text(id));
            (scope, &[READ_LOGS][..])
        }
    };
    if !needed.iter().all(|action| shared.permissions.allow(action)) {
        return Err(denied().into());
    }
    let wait = wait(&parts.headers)?;
    // What is not said to be JSON is not read, and answered with nothing.
    let is_json = parts
        .headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json || body.is_empty() {
        return Ok(StatusCode::OK.into_response());
    }
    #[derive(Deserialize)]
    struct Asked {
        query: String,
        timespan: Option<String>,
        #[serde(default)]
        workspaces: Vec<String>,
    }
    let asked: Asked = serde_json::from_slice(body)
        .map_err(|e| bad("InvalidJsonBody", &format!("The body cannot be read: {e}")))?;
    if !asked.workspaces.is_empty() {
        let why = "queries over more than one workspace are not simulated";
        return Err(bad("NotImplemented", why).into());
    }
    let now = shared.storage.db.clock.now();
    let timespan = match asked.timespan {
        None => None,
        Some(text) => Some(timespan(&text, now).ok_or_else(|| {
            bad(
                "InvalidTimespan",
                &format!("`{text}` is no ISO 8601 duration or interval"),
            )
        })?),
    };
    let Some(engine) = shared.engine.clone() else {
        return Err(refuse(
            503,
            "UnavailableError",
            "The query service is temporarily unavailable",
            None,
        )
        .into());
    };
    let query = LogsQuery {
        text: asked.query,
        scope,
        timespan,
        now,
    };
    run(engine, query, wait).await
}

async fn run(
    engine: Arc<dyn QueryEngine>,
    query: LogsQuery,
    wait: Duration,
) -> Result<Response, Failed> {
    let running = tokio::task::spawn_blocking(move || engine.run(&query));
    let Ok(ended) = tokio::time::timeout(wait, running).await else {
        let why = "The query took longer than it was given";
        return Err(refuse(504, "GatewayTimeout", why, None).into());
    };
    let answered = ended.map_err(|error| {
        tracing::error!(%error, "the query engine broke down");
        refuse(
            500,
            "InternalServerError",
            "the query engine broke down",
            None,
        )
    })?;
    match answered {
        Ok(table) => Ok(shown(table)),
        Err(error) => Err(refused(&error).into()),
    }
}

fn shown(mut table: LogsTable) -> Response {
    if table.columns.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let cut = table.rows.len() > MOST_ROWS;
    table.rows.truncate(MOST_ROWS);
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|(name, kind)| json!({ "name": name, "type": kind }))
        .collect();
    let mut body = json!({ "tables": [{
        "name": "PrimaryResult",
        "columns": columns,
        "rows": table.rows,
    }] });
    if cut {
        let why = format!("The results of this query exceed the set limit of {MOST_ROWS} records");
        body["error"] = partial("QueryResultTooLarge", &why);
    }
    Json(body).into_response()
}

/// What stands beside the tables of an answer that is not whole.
pub(super) fn partial(code: &str, why: &str) -> Value {
    json!({
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "innererror": { "code": code, "message": why },
    })
}

fn refused(error: &LogsError) -> Response {
    let (code, outer, number) = match error.kind {
        LogsErrorKind::Syntax => (
            "SyntaxError",
            "A recognition error occurred in the query.",
            "SYN0002",
        ),
        LogsErrorKind::Semantic => ("SemanticError", "A semantic error occurred.", "SEM0100"),
        LogsErrorKind::NotImplemented => (
            "NotImplemented",
            "The query needs what is not simulated.",
            "NotImplemented",
        ),
        LogsErrorKind::Limit => (
            "QueryExecutionLimit",
            "The query exceeded a limit.",
            "QueryExecutionLimit",
        ),
    };
    let message = match error.place {
        None => error.message.clone(),
        Some((line, column)) => format!("{} (line {line}, column {column})", error.message),
    };
    let inner = json!({
        "code": code,
        "message": outer,
        "innererror": { "code": number, "message": message },
    });
    refuse(
        400,
        "BadArgumentError",
        "The request had some invalid properties",
        Some(inner),
    )
}

fn admit(key: &Key, headers: &HeaderMap) -> Result<(), Failed> {
    let Some(header) = headers.get("authorization") else {
        return Err(refuse(
            401,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
            None,
        )
        .into());
    };
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer "));
    let audience = token.and_then(|token| key.audience(token));
    match audience {
        Some(audience) if AUDIENCES.contains(&audience.trim_end_matches('/')) => Ok(()),
        _ => Err(refuse(
            403,
            "InvalidAuthenticationToken",
            "The access token is invalid.",
            None,
        )
        .into()),
    }
}

/// How long a query may take, by `Prefer: wait=<seconds>`. Other preferences are none of ours.
fn wait(headers: &HeaderMap) -> Result<Duration, Failed> {
    let mut seconds = WAIT;
    for value in headers.get_all("prefer") {
        let text = value.to_str().unwrap_or_default();
        for preference in text.split([',', ';']) {
            let Some((name, value)) = preference.split_once('=') else {
                continue;
            };
            if name.trim().eq_ignore_ascii_case("wait") {
                seconds = value
                    .trim()
                    .parse()
                    .ok()
                    .filter(|seconds| (1..=MOST_WAIT).contains(seconds))
                    .ok_or_else(|| {
                        let why = format!("wait is 1 to {MOST_WAIT} seconds");
                        Failed::from(bad("InvalidPreferHeader", &why))
                    })?;
            }
        }
    }
    Ok(Duration::from_secs(seconds))
}

/// ISO 8601: a duration up to now, `start/end`, `start/duration` or `duration/end`.
pub(super) fn timespan(text: &str, now: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let time = |text: &str| {
        let with_zone = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
        // Without a zone it is UTC, and a day begins at midnight.
        let plain = || text.parse::<chrono::NaiveDateTime>().map(|at| at.and_utc());
        let day = || {
            let day = text.parse::<chrono::NaiveDate>().ok()?;
            Some(day.and_hms_opt(0, 0, 0)?.and_utc())
        };
        with_zone.ok().or_else(|| plain().ok()).or_else(day)
    };
    let (from, to) = match text.split_once('/') {
        None => (now.checked_sub_signed(duration(text)?)?, now),
        Some((from, to)) => match (time(from), time(to)) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, from.checked_add_signed(duration(to)?)?),
            (None, Some(to)) => (to.checked_sub_signed(duration(from)?)?, to),
            (None, None) => return None,
        },
    };
    (from <= to).then_some((from, to))
}

/// Weeks, days, hours, minutes and seconds, as `P1DT12H`. Months and years have no one length.
fn duration(text: &str) -> Option<chrono::Duration> {
    let text = text.strip_prefix('P')?;
    let (mut total, mut digits, mut in_time, mut units) = (0.0, String::new(), false, 0);
    for c in text.chars() {
        match c {
            'T' if !in_time && digits.is_empty() => in_time = true,
            '0'..='9' | '.' => digits.push(c),
            _ => {
                let seconds = match (c, in_time) {
                    ('W', false) => 604_800.0,
                    ('D', false) => 86_400.0,
                    ('H', true) => 3600.0,
                    ('M', true) => 60.0,
                    ('S', true) => 1.0,
                    _ => return None,
                };
                total += digits.parse::<f64>().ok()? * seconds;
                digits.clear();
                units += 1;
            }
        }
    }
    let whole = digits.is_empty() && units > 0 && !text.ends_with('T');
    let ms = (total * 1000.0).round();
    (whole && ms < 1e14)
        .then(|| chrono::Duration::try_milliseconds(ms as i64))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_times_a_timespan_names() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let now = at("2026-11-25T12:00:00Z");
        let text = |at: DateTime<Utc>| at.format("%d %H:%M:%S").to_string();
        for (given, expected) in [
            ("PT1H", Some(("25 11:00:00", "25 12:00:00"))),
            ("P1DT12H", Some(("24 00:00:00", "25 12:00:00"))),
            ("P1W", Some(("18 12:00:00", "25 12:00:00"))),
            ("PT1.5S", Some(("25 11:59:58", "25 12:00:00"))),
            (
                "2026-11-01T00:00:00Z/2026-11-02T00:00:00Z",
                Some(("01 00:00:00", "02 00:00:00")),
            ),
            (
                "2026-11-01/2026-11-02T01:00:00",
                Some(("01 00:00:00", "02 01:00:00")),
            ),
            (
                "2026-11-01T00:00:00+09:00/PT1H",
                Some(("31 15:00:00", "31 16:00:00")),
            ),
            (
                "PT1H/2026-11-01T00:00:00Z",
                Some(("31 23:00:00", "01 00:00:00")),
            ),
            ("2026-11-02T00:00:00Z/2026-11-01T00:00:00Z", None),
            ("P1M", None),
            ("PT", None),
            ("P", None),
            ("1H", None),
            ("PT1", None),
            ("P1H", None),
            ("", None),
        ] {
            let found = timespan(given, now).map(|(from, to)| (text(from), text(to)));
            let found = found
                .as_ref()
                .map(|(from, to)| (from.as_str(), to.as_str()));
            assert_eq!(found, expected, "{given}");
        }
    }
}
