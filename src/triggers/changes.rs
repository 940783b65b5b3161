//! `/api/changes`: what was proposed, decisions about it, and the kill switch.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::principal::who;
use super::web::{Problem, read, run_key, taken};
use crate::app::App;
use crate::changes::{KillSwitch, all, find, turn};
use crate::domain::{Ask, ChangeId, Outcome};
use crate::operations::changes::{Refusal, Said, ask_for, say};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Missing(_) => StatusCode::NOT_FOUND,
            Refusal::NotOpen { .. } | Refusal::Another(_) => StatusCode::CONFLICT,
            Refusal::NotAllowed(_) => StatusCode::FORBIDDEN,
            Refusal::NoReason => StatusCode::BAD_REQUEST,
            Refusal::Store(error) => return error.into(),
            Refusal::Estate(error) => return error.into(),
        };
        Self::new(status, refusal.to_string())
    }
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    from: Option<String>,
    most: Option<usize>,
    /// Only those with this outcome, as `awaiting_approval`.
    outcome: Option<String>,
}

/// Changes, newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let most = query.most.unwrap_or(50).clamp(1, 500);
    if let Some(outcome) = &query.outcome
        && !Outcome::NAMES.contains(&outcome.as_str())
    {
        let known = Outcome::NAMES.join(", ");
        let why = format!("`{outcome}` is no outcome: {known}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    let page = all(&app, query.from, most, query.outcome.as_deref()).await?;
    Ok(Json(json!(page)))
}

/// One change, or how the kill switch stands.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    if id == "kill-switch" {
        return Ok(Json(KillSwitch::read(&app).await?).into_response());
    }
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no such change");
    let id: ChangeId = id.parse().map_err(|_| missing())?;
    Ok(Json(find(&app, &id).await?.ok_or_else(missing)?).into_response())
}

#[derive(Deserialize)]
struct ProposeBody {
    ask: Ask,
    why: String,
    #[serde(default, rename = "dryRun")]
    dry_run: bool,
}

/// Takes what an engineer proposes. With an `Idempotency-Key` a repetition meets the first run.
pub(super) async fn propose(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let by = who(&app, &headers)?;
    let body: ProposeBody = read(&body)?;
    let key = run_key(&headers, &by)?;
    let accepted = ask_for(&app, &key, &by, body.ask, &body.why, body.dry_run).await?;
    Ok(taken(&accepted.run, accepted.new))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecideBody {
    /// The hash of the change that was looked at.
    hash: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchBody {
    reason: String,
}

/// The route of the function lets the host pass this on, so it is answered as a page of ours that
/// does not exist.
pub(super) async fn no_page() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "an action has no page: it is asked for with POST",
    )
}

/// Approves or rejects a change, takes one back, or turns the kill switch.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let by = who(&app, &headers)?;
    let nothing = || Problem::new(StatusCode::NOT_FOUND, "there is no such change or action");
    if id == "kill-switch" {
        let on = match action.as_str() {
            "on" => true,
            "off" => false,
            _ => return Err(nothing()),
        };
        let body: SwitchBody = read(&body)?;
        if body.reason.trim().is_empty() {
            return Err(Refusal::NoReason.into());
        }
        // Anybody who is known may stop everything; who may approve may start it again.
        if !on && !app.estate()?.is_approver(&by) {
            let why = format!("{by} may not turn the kill switch off: no policy names them");
            return Err(Problem::new(StatusCode::FORBIDDEN, why));
        }
        let run = turn(&app, on, &by, body.reason.trim()).await?;
        return Ok(Json(json!({ "run": run, "on": on })).into_response());
    }
    let id: ChangeId = id.parse().map_err(|_| nothing())?;
    let said = match action.as_str() {
        "approve" => Said::Approve,
        "reject" => Said::Reject,
        "undo" => {
            let body: SwitchBody = read(&body)?;
            let ask = Ask::Undo { change: id };
            let key = run_key(&headers, &by)?;
            let accepted = ask_for(&app, &key, &by, ask, &body.reason, false).await?;
            return Ok(taken(&accepted.run, accepted.new));
        }
        _ => return Err(nothing()),
    };
    let body: DecideBody = read(&body)?;
    let accepted = say(&app, &id, said, &by, &body.reason, &body.hash).await?;
    Ok(taken(&accepted.run, accepted.new))
}
