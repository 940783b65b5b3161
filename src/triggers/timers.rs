use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;

use super::envelope::{data, done};
use super::web::Problem;
use crate::app::App;
use crate::domain::Cadence;
use crate::notify;
use crate::operations::{autoscale, health, incidents, maintenance, slo, sweep};

type Answer = Result<Json<Value>, Problem>;

/// Less than a minute, so that one tick does not run into the next.
const SWEEP: Duration = Duration::from_secs(45);

pub(super) async fn minute(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    data(&body, "tick")?;
    // Beside each other: a long run keeps nobody from being told.
    let (finished, incidents, drained) = tokio::join!(
        sweep(&app, SWEEP),
        incidents::tick(&app, SWEEP),
        notify::drain(&app, SWEEP),
    );
    let (finished, incidents, drained) = (finished?, incidents?, drained?);
    app.heartbeat().await;
    for finding in &drained.findings {
        tracing::warn!(
            code = finding.code,
            subject = finding.subject,
            "{}",
            finding.message
        );
    }
    Ok(done(format!(
        "{finished} runs finished that nobody had started; {incidents}; {} notices delivered, {} wait",
        drained.delivered, drained.waiting
    )))
}

pub(super) async fn health(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    data(&body, "tick")?;
    Ok(done(health::tick(&app).await?))
}

pub(super) async fn rules(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    data(&body, "tick")?;
    Ok(done(slo::tick(&app).await?.to_string()))
}

pub(super) async fn autoscale(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    data(&body, "tick")?;
    Ok(done(autoscale::tick(&app).await?))
}

pub(super) async fn daily(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    tick(&app, &body, Cadence::Daily).await
}

pub(super) async fn weekly(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    tick(&app, &body, Cadence::Weekly).await
}

pub(super) async fn monthly(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    tick(&app, &body, Cadence::Monthly).await
}

async fn tick(app: &App, body: &Bytes, cadence: Cadence) -> Answer {
    data(body, "tick")?;
    let told = maintenance::tick(app, cadence).await?;
    app.heartbeat().await;
    Ok(done(told))
}
