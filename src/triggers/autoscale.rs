//! `/api/autoscale`: what scaling decided, and runs on request.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::principal::who;
use super::web::{Problem, dry_run, run_key, taken};
use crate::app::App;
use crate::operations::autoscale::{self, Refused, Shown, ask};

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => error.into(),
            Refused::Estate(error) => error.into(),
            Refused::NotOwned(_) | Refused::Ambiguous { .. } => {
                Self::new(StatusCode::BAD_REQUEST, refused.to_string())
            }
        }
    }
}

/// What was decided last about everything that scaling owns.
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Shown>, Problem> {
    Ok(Json(autoscale::show(&app).await?))
}

#[derive(Deserialize)]
pub(super) struct RunQuery {
    resource: Option<String>,
    #[serde(rename = "dryRun")]
    dry_run: Option<String>,
}

/// Lets scaling look, at one resource or at all of them. With an `Idempotency-Key` a repetition meets
/// the first run.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path(action): Path<String>,
    Query(query): Query<RunQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let by = who(&app, &headers)?;
    if action != "run" {
        let why = "scaling takes no such action: run is possible";
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    }
    let dry_run = dry_run(query.dry_run.as_deref())?;
    let resource = query.resource.as_deref().filter(|text| !text.is_empty());
    let key = run_key(&headers, &by)?;
    let accepted = ask(&app, &key, &by, resource, dry_run).await?;
    Ok(taken(&accepted.run, accepted.new))
}
