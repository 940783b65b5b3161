//! `/_sim`: what is asked of the simulator itself, by who knows its key.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Fault, Shared};
use crate::local::loopback;

type Sim = State<Arc<Shared>>;

/// The routes, closed to everybody without `x-sim-key`.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route(
            "/_sim/faults",
            get(list_faults).post(add_fault).delete(clear_faults),
        )
        .route("/_sim/clock", get(clock).post(advance))
        .route_layer(axum::middleware::from_fn_with_state(
            Arc::clone(shared),
            keyed,
        ))
}

/// Lets in who knows this start's key.
async fn keyed(State(shared): Sim, request: Request, next: Next) -> Response {
    if !loopback::knows(request.headers(), "x-sim-key", &shared.sim_key) {
        let body = Json(json!({ "error": "x-sim-key is wrong" }));
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    next.run(request).await
}

/// Reads what was asked for and does it; 400 tells what cannot be read.
fn on<T: DeserializeOwned>(body: &Bytes, act: impl FnOnce(T)) -> Response {
    match serde_json::from_slice(body) {
        Ok(asked) => {
            act(asked);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            let body = Json(json!({ "error": error.to_string() }));
            (StatusCode::BAD_REQUEST, body).into_response()
        }
    }
}

async fn list_faults(State(shared): Sim) -> Response {
    Json(shared.faults.list()).into_response()
}

async fn add_fault(State(shared): Sim, body: Bytes) -> Response {
    on(&body, |fault: Fault| shared.faults.add(fault))
}

async fn clear_faults(State(shared): Sim) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}

async fn clock(State(shared): Sim) -> Response {
    Json(json!({ "now": shared.storage.db.clock.now() })).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    advance_seconds: u32,
}

async fn advance(State(shared): Sim, body: Bytes) -> Response {
    on(&body, |asked: Advance| {
        shared
            .storage
            .db
            .advance(i64::from(asked.advance_seconds) * 1000);
    })
}
