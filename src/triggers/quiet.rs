//! `/api/quiet`: silences, and windows of maintenance.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::oncall::{moment, said};
use super::principal::who;
use super::web::{Problem, read, run_key};
use crate::app::App;
use crate::domain::{Matcher, QuietKind, Silence};
use crate::operations::quiet::{Overview, Wish, add, end, one, overview};

#[derive(Deserialize)]
pub(super) struct AtQuery {
    at: Option<String>,
}

/// What is quiet now, what was asked for, and which windows come next.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(query): Query<AtQuery>,
) -> Result<Json<Overview>, Problem> {
    let at = moment(&app, query.at.as_deref())?;
    Ok(Json(overview(&app, at).await?))
}

/// One silence or one-off window.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Silence>, Problem> {
    let found = one(&app, &id).await?;
    let why = "there is no such silence or one-off window";
    found
        .map(Json)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, why))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddBody {
    #[serde(default = "silence")]
    kind: QuietKind,
    matcher: Matcher,
    from: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    reason: String,
}

fn silence() -> QuietKind {
    QuietKind::Silence
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndBody {
    reason: String,
}

/// Asks for quiet. With an `Idempotency-Key` a repetition meets the first. Anybody who is known may
/// do so, and answers for it.
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let by = who(&app, &headers)?;
    let body: AddBody = read(&body)?;
    let wish = Wish {
        kind: body.kind,
        matcher: body.matcher,
        from: body.from.unwrap_or_else(|| app.clock.now()),
        until: body.until,
        reason: body.reason,
    };
    Ok(said(&add(&app, &run_key(&headers, &by)?, &by, wish).await?))
}

/// Ends a silence or a one-off window before its time.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let by = who(&app, &headers)?;
    if action != "end" {
        let why = "there is no such action: end is";
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    }
    let body: EndBody = read(&body)?;
    Ok(said(&end(&app, &id, &by, &body.reason).await?))
}
