//! The intake of alerts with a set in memory where the store is: what validation, naming and our
//! own layers cost. Serves like the handler, for a load generator:
//!
//! `FUNCTIONS_CUSTOMHANDLER_PORT=9000 cargo bench --bench intake`, then POST `/api/alerts`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use poolkeeper::domain::Alert;
use poolkeeper::journal::RunId;
use poolkeeper::operations::alert_document;
use poolkeeper::triggers::guarded;
use serde_json::json;

type Kept = Arc<Mutex<HashSet<RunId>>>;

async fn alerts(State(kept): State<Kept>, body: Bytes) -> Response {
    let alert = match Alert::parse(&body) {
        Ok(alert) => alert,
        Err(why) => return (StatusCode::BAD_REQUEST, why.to_string()).into_response(),
    };
    let (run, document) = alert_document(&alert, &body, chrono::Utc::now());
    std::hint::black_box(document);
    let new = kept
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(run.clone());
    let status = if new { "accepted" } else { "duplicate" };
    (
        StatusCode::ACCEPTED,
        [(header::LOCATION, format!("/api/runs/{run}"))],
        Json(json!({ "run": run, "status": status })),
    )
        .into_response()
}

#[tokio::main]
async fn main() {
    let Some(port) = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT")
        .ok()
        .and_then(|port| port.parse::<u16>().ok())
    else {
        println!("set FUNCTIONS_CUSTOMHANDLER_PORT, and send load to that port");
        return;
    };
    let functions = Router::new()
        .route("/api/health", get(|| async { "ok" }))
        .route("/api/alerts", post(alerts))
        .with_state(Kept::default());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .expect("the port");
    axum::serve(listener, guarded(functions))
        .await
        .expect("a server");
}
