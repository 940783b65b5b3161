use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::envelope::{data, done, text};
use super::web::Problem;
use crate::app::App;
use crate::journal::RunId;
use crate::operations::settle;
use crate::store::Error;

#[derive(Deserialize)]
struct Message {
    run: RunId,
}

/// Brings the run that a message names to its end. A failure answers 500, so the host delivers
/// the message again and parks it in the poison queue in the end.
pub(super) async fn work(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let text = text(&data(&body, "message")?)?;
    let store = app.store()?;
    let message: Message = store.message(&text).await.map_err(|error| match error {
        Error::Unreadable { why, .. } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the queue message names no run: {why}"),
        ),
        other => other.into(),
    })?;
    let settled = settle(&app, &message.run).await?;
    store.forget_message(&text).await?;
    Ok(done(format!("run {}: {settled}", message.run)))
}
