//! The only room that knows the Functions wire: envelopes, the table of functions, and the web.

mod alerts;
mod autoscale;
mod capacity;
mod changes;
mod envelope;
mod incidents;
mod oncall;
mod principal;
mod queue;
mod quiet;
mod session;
mod table;
mod timers;
mod web;

#[cfg(feature = "local")]
pub(crate) use table::differences;
pub use table::{Function, Kind, table};

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};

use crate::app::App;
use web::Problem;

/// Serves the Functions host on loopback until the process is killed: the host stops a handler
/// with SIGKILL, and one that exits by itself with 0 would never be started again.
pub async fn serve(app: App, port: u16) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("listen on 127.0.0.1:{port}"))?;
    axum::serve(listener, router(Arc::new(app))).await?;
    anyhow::bail!("the listener on 127.0.0.1:{port} ended")
}

/// All routes: HTTP functions at the path the client used, timers and queues at `/<function>`.
pub fn router(app: Arc<App>) -> Router {
    let functions = Router::new()
        .route("/", get(|| async { "poolkeeper" }))
        .route("/api/health", get(web::health))
        .route("/api/alerts", post(alerts::receive))
        .route("/api/autoscale", get(autoscale::show))
        .route(
            "/api/autoscale/{action}",
            get(changes::no_page).post(autoscale::act),
        )
        .route("/api/capacity", get(capacity::show))
        .route("/api/changes", get(changes::list).post(changes::propose))
        .route("/api/changes/{id}", get(changes::show))
        .route(
            "/api/changes/{id}/{action}",
            get(changes::no_page).post(changes::act),
        )
        .route("/api/incidents", get(incidents::list))
        .route(
            "/api/incidents/{id}",
            get(incidents::show).post(incidents::door),
        )
        .route(
            "/api/incidents/{id}/{action}",
            get(incidents::no_page).post(incidents::act),
        )
        .route("/api/maintenance/{cadence}", post(web::maintenance))
        .route("/api/oncall", get(oncall::show))
        .route("/api/oncall/{action}", get(oncall::page).post(oncall::act))
        .route("/api/quiet", get(quiet::list).post(quiet::ask))
        .route("/api/quiet/{id}", get(quiet::show))
        .route(
            "/api/quiet/{id}/{action}",
            get(changes::no_page).post(quiet::act),
        )
        .route("/api/runs", get(web::runs))
        .route("/api/runs/{id}", get(web::run))
        .route("/daily-maintenance", post(timers::daily))
        .route("/weekly-maintenance", post(timers::weekly))
        .route("/monthly-maintenance", post(timers::monthly))
        .route("/minute-tick", post(timers::minute))
        .route("/autoscale-check", post(timers::autoscale))
        .route("/health-check", post(timers::health))
        .route("/rules", post(timers::rules))
        .route("/work", post(queue::work))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&app),
            session::forget_ended,
        ))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&app),
            on_time,
        ))
        .with_state(app);
    guarded(functions)
}

/// In an embedded estate, what a request does happens at the estate's time.
async fn on_time(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    app.clock.catch_up().await;
    next.run(request).await
}

/// What every request passes: the limit of its size, its origin, and answers with a reason where
/// there is no function.
pub fn guarded(functions: Router) -> Router {
    functions
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "there is no such function or page")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this page does not take that method",
            )
        })
        .layer(axum::middleware::from_fn(web::without_body))
        .layer(axum::middleware::from_fn(web::same_origin))
        .layer(DefaultBodyLimit::max(web::MOST_BODY_BYTES))
}
