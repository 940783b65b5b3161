use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::web::{Problem, taken};
use crate::app::App;
use crate::domain::Alert;
use crate::operations::accept_alert;

/// Takes an Azure Monitor alert: read, kept durably, answered. Nothing slow happens while the
/// action group waits.
pub(super) async fn receive(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Problem> {
    if body.is_empty() {
        return Err(Problem::new(
            StatusCode::LENGTH_REQUIRED,
            "the request has no body: send Content-Length, the Functions host drops chunked bodies",
        ));
    }
    let alert = Alert::parse(&body)
        .map_err(|invalid| Problem::new(StatusCode::BAD_REQUEST, invalid.to_string()))?;
    let accepted = accept_alert(&app, &alert, &body).await?;
    Ok(taken(&accepted.run, accepted.new))
}
