//! Envelopes: how the host calls timers and queues, and what it wants to hear.

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::web::Problem;

/// What the trigger brought, read from `{"Data": {"<binding>": ...}, "Metadata": ...}`.
///
/// Only `Data` is read: for a queue message that is a JSON object its sender controls `Metadata`.
pub(super) fn data(body: &Bytes, binding: &str) -> Result<Value, Problem> {
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
    let mut envelope: Value =
        serde_json::from_slice(body).map_err(|e| bad(format!("the envelope is not JSON: {e}")))?;
    match envelope.get_mut("Data").and_then(|d| d.get_mut(binding)) {
        Some(value) => Ok(value.take()),
        None => Err(bad(format!("the envelope has no `Data.{binding}`"))),
    }
}

/// The text of a queue message: the host writes it as JSON once more, whatever it is.
pub(super) fn text(value: &Value) -> Result<String, Problem> {
    let bad = |why: &str| Problem::new(StatusCode::BAD_REQUEST, why);
    let outer = value
        .as_str()
        .ok_or_else(|| bad("the queue message is not text"))?;
    serde_json::from_str::<String>(outer)
        .map_err(|_| bad("the queue message is not text written as JSON"))
}

/// The answer that completes an invocation. Never empty: the host would wait for ever.
pub(super) fn done(log: String) -> Json<Value> {
    Json(json!({ "Outputs": {}, "Logs": [log], "ReturnValue": null }))
}
