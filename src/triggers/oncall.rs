//! `/api/oncall`: who is on duty, as JSON, a page or a calendar, and overrides.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::incidents::{on_call, wants_page};
use super::principal::who;
use super::web::{Problem, read, run_key};
use crate::app::App;
use crate::operations::oncall::{Wish, put, remove, roster, shifts};
use crate::operations::{Refusal, Said};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Missing(_) => StatusCode::NOT_FOUND,
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Over(_) => StatusCode::CONFLICT,
            Refusal::Store(error) => return error.into(),
            Refusal::Other(error) => return error.into(),
        };
        Self::new(status, refusal.to_string())
    }
}

/// 200 with what holds now; 202 if it is durable and will hold.
pub(super) fn said<T: serde::Serialize>(said: &Said<T>) -> Response {
    let place = format!("/api/runs/{}", said.run);
    let (status, word) = if said.holds {
        (StatusCode::OK, "done")
    } else {
        (StatusCode::ACCEPTED, "accepted")
    };
    let body = json!({ "run": said.run, "status": word, "what": said.what });
    (status, [(header::LOCATION, place)], Json(body)).into_response()
}

/// A moment that a query names, else now.
pub(super) fn moment(app: &App, text: Option<&str>) -> Result<DateTime<Utc>, Problem> {
    let Some(text) = text else {
        return Ok(app.clock.now());
    };
    // A plus sign arrives as a space.
    match DateTime::parse_from_rfc3339(&text.trim().replace(' ', "+")) {
        Ok(at) => Ok(at.to_utc()),
        Err(_) => {
            let why = format!("`{text}`: a time such as 2026-12-01T09:00:00+09:00 is possible");
            Err(Problem::new(StatusCode::BAD_REQUEST, why))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct AtQuery {
    at: Option<String>,
    level: Option<String>,
}

/// Who is on duty at every level, or the calendar for who accepts nothing else.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Query(query): Query<AtQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let accepted = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.trim_start().starts_with("text/calendar")) {
        return calendar(&app, query.level.as_deref()).await;
    }
    let at = moment(&app, query.at.as_deref())?;
    let mut roster = roster(&app, at).await?;
    if let Some(level) = &query.level {
        roster
            .levels
            .retain(|l| l.level.eq_ignore_ascii_case(level));
        if roster.levels.is_empty() {
            let why = format!("there is no level `{level}`");
            return Err(Problem::new(StatusCode::NOT_FOUND, why));
        }
    }
    if wants_page(&headers) {
        return on_call(&app, &headers, roster);
    }
    Ok(Json(roster).into_response())
}

/// The page of an action: only the calendar has one.
pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(action): Path<String>,
    Query(query): Query<AtQuery>,
) -> Result<Response, Problem> {
    match action.as_str() {
        "calendar" => calendar(&app, query.level.as_deref()).await,
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such page; override and remove are asked for with POST",
        )),
    }
}

async fn calendar(app: &App, level: Option<&str>) -> Result<Response, Problem> {
    let text = shifts(app, level, app.clock.now()).await?;
    let kind = [(header::CONTENT_TYPE, "text/calendar; charset=utf-8")];
    Ok((kind, text).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideBody {
    level: String,
    person: String,
    from: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveBody {
    id: String,
    reason: String,
}

/// Puts somebody on duty, or takes that back. With an `Idempotency-Key` a repetition meets the
/// first. Anybody who is known may do so, and is named.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path(action): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let by = who(&app, &headers)?;
    match action.as_str() {
        "override" => {
            let body: OverrideBody = read(&body)?;
            let wish = Wish {
                level: body.level,
                person: body.person,
                from: body.from.unwrap_or_else(|| app.clock.now()),
                until: body.until,
                reason: body.reason,
            };
            Ok(said(&put(&app, &run_key(&headers, &by)?, &by, wish).await?))
        }
        "remove" => {
            let body: RemoveBody = read(&body)?;
            Ok(said(&remove(&app, &body.id, &by, &body.reason).await?))
        }
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such action: override and remove are",
        )),
    }
}
