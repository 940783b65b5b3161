use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::web::{Problem, taken};
use crate::app::App;
use crate::domain::Alert;
use crate::operations::accept_alert;

/// Action groups wait 10 seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

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
    // Whatever storage says, the sender is told to come again: 503 makes an action group do so.
    let again = |why: &str| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{why}; send it again, a repetition is harmless"),
        )
    };
    match tokio::time::timeout(PATIENCE, accept_alert(&app, &alert, &body)).await {
        Ok(Ok(accepted)) => Ok(taken(&accepted.run, accepted.new)),
        Ok(Err(error)) => {
            tracing::error!(%error, "an alert could not be kept");
            Err(again("the alert could not be kept"))
        }
        Err(_) => {
            tracing::error!("storage did not answer while an alert waited");
            Err(again("storage did not answer in time"))
        }
    }
}
