//! Azure Monitor's metrics of the simulated estate. Sources: Monitor REST, "Metrics - List" and
//! "Metrics Batch - Batch", version 2024-02-01.
//!
//! Nothing is stored: a value is worked out from the load of its minute and from what there was then.

mod account;
mod app;
mod ask;
mod definitions;
mod filter;
mod series;
mod window;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use chrono::SecondsFormat;
use rusqlite::Connection;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use super::Shared;
use super::service::{admit, query};
use crate::local::storage::Refusal;
use crate::local::world::loads::Loads;
use crate::local::world::pressure::{self, Pressure};
use crate::local::world::{self, Resource};
use account::Account;
use app::App;
use ask::{Operation, Question};
use series::{Metric, Table};
use window::Window;

pub(super) const VERSION: &str = "2024-02-01";
/// The list, as a type of resources.
pub(super) const LIST: &str = "Microsoft.Insights/metrics";
const READ: &str = "Microsoft.Insights/metrics/read";
const AUDIENCE: &str = "https://metrics.monitor.azure.com";
/// Resources that a batch may name.
const MOST_RESOURCES: usize = 50;

/// Whether a path is that of a batch.
pub(super) fn is_batch(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with("/metrics:getbatch")
}

/// What has metrics.
enum Subject {
    Account(Account),
    App(App),
}

impl Subject {
    fn read(
        db: &Connection,
        found: Resource,
        pressures: &[Pressure],
        now_ms: i64,
    ) -> Result<Self, Refusal> {
        let is_app = kind_of(&found.key) == "microsoft.app/containerapps";
        if is_app {
            App::read(db, &found, pressures, now_ms).map(Self::App)
        } else {
            Account::read(db, found, pressures).map(Self::Account)
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Account(one) => &one.id,
            Self::App(one) => &one.id,
        }
    }

    /// The region, as metrics write it.
    fn region(&self) -> String {
        let location = match self {
            Self::Account(one) => &one.location,
            Self::App(one) => &one.location,
        };
        location.to_ascii_lowercase().replace(' ', "")
    }

    fn measure<'t>(
        &self,
        question: &Question,
        window: &Window,
        loads: &Loads,
        times: &'t [String],
    ) -> Vec<Metric<'t>> {
        let metrics = question.metrics.iter();
        let mut tables: Vec<Table<'_>> = metrics
            .map(|metric| Table::new(metric, question, window.buckets()))
            .collect();
        match self {
            Self::Account(one) => one.measure(loads.of(&one.id), window, &mut tables),
            Self::App(one) => one.measure(loads.of(&one.id), window, &mut tables),
        }
        let told = tables.into_iter();
        told.map(|table| table.told(self.id(), times)).collect()
    }
}

/// What there is to measure at a time.
struct Seen {
    subjects: Vec<Subject>,
    /// Minutes since 1970.
    now: i64,
    lag: i64,
}

/// Looks at resources by their ids; 404 if one is not there.
async fn look(shared: &Shared, ids: Vec<String>) -> Result<Seen, Refusal> {
    shared
        .world
        .run(move |db, now| {
            let pressures = pressure::all(db, None)?;
            let mut subjects = Vec::new();
            for id in ids {
                let found = world::find(db, &id)?.ok_or_else(|| {
                    let why = format!("The resource '{id}' was not found.");
                    Refusal::new(404, "ResourceNotFound", why)
                })?;
                subjects.push(Subject::read(db, found, &pressures, now)?);
            }
            let lag = pressure::lag(db)?;
            Ok(Seen {
                subjects,
                now: now.div_euclid(60_000),
                lag,
            })
        })
        .await
}

/// The type of the resource with this id, in lower case.
fn kind_of(id: &str) -> String {
    let lower = id.trim_end_matches('/').to_ascii_lowercase();
    let place = lower
        .rsplit_once("/providers/")
        .map_or("", |(_, place)| place);
    let mut parts = place.split('/');
    let namespace = parts.next().unwrap_or_default();
    let types: Vec<&str> = parts.step_by(2).collect();
    format!("{namespace}/{}", types.join("/"))
}

#[derive(Serialize)]
struct Listed<'t> {
    cost: i64,
    timespan: String,
    interval: String,
    namespace: String,
    resourceregion: String,
    value: Vec<Metric<'t>>,
}

/// Metrics - List, of the resource with this id.
pub(super) async fn list(shared: &Shared, parts: &Parts, id: &str) -> Result<Response, Refusal> {
    let kind = kind_of(id);
    let now = shared.storage.db.clock.now();
    if definitions::of(&kind).is_empty() {
        let why = format!("Metrics of `{kind}` are not simulated.");
        return Ok(bad(&why));
    }
    let namespace = query(parts, "metricnamespace").filter(|text| !text.is_empty());
    if namespace.is_some_and(|text| !text.eq_ignore_ascii_case(&kind)) {
        return Ok(bad(&format!("The namespace of `{kind}` is its type.")));
    }
    let question = match Question::read(parts, &kind, Operation::List, now) {
        Ok(question) => question,
        Err(why) => return Ok(bad(&why)),
    };
    let seen = look(shared, vec![id.to_owned()]).await?;
    let loads = shared.loads();
    work(move || {
        let window = Window::new(&question, seen.now, seen.lag);
        let times = window.times();
        let (from, until) = question.minutes();
        let subject = seen.subjects.first()?;
        let body = Listed {
            cost: (until - from) * i64::try_from(question.metrics.len()).unwrap_or(1) - 1,
            timespan: format!("{}/{}", time(&question.start), time(&question.end)),
            interval: question.interval_text(),
            namespace: question.kind.clone(),
            resourceregion: subject.region(),
            value: subject.measure(&question, &window, &loads, &times),
        };
        serde_json::to_vec(&body).ok()
    })
    .await
}

/// A bad request, as this operation says it: without an envelope.
fn bad(why: &str) -> Response {
    let body = Json(json!({ "code": "BadRequest", "message": why }));
    (StatusCode::BAD_REQUEST, body).into_response()
}

fn time(at: &chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    resourceids: Vec<String>,
}

#[derive(Serialize)]
struct Batched<'t> {
    values: Vec<OfOne<'t>>,
}

#[derive(Serialize)]
struct OfOne<'t> {
    starttime: String,
    endtime: String,
    interval: String,
    namespace: String,
    resourceregion: String,
    resourceid: String,
    value: Vec<Metric<'t>>,
}

/// Metrics Batch - Batch.
pub(super) async fn batch(
    shared: &Shared,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response, Refusal> {
    admit(&shared.storage.key, &parts.headers, AUDIENCE)?;
    if parts.method != Method::POST {
        return Err(Refusal::new(405, "MethodNotAllowed", "a batch is posted"));
    }
    let refuse = |why: String| Refusal::new(400, "BadRequest", why);
    if query(parts, "api-version").as_deref() != Some(VERSION) {
        return Err(refuse(format!("The api-version is {VERSION} here.")));
    }
    let subscription = parts.uri.path().split('/').nth(2).unwrap_or_default();
    if !shared.permissions.allow(READ) {
        return Err(denied(parts));
    }
    let is_json = parts.headers.get(header::CONTENT_TYPE);
    let is_json = is_json.and_then(|kind| kind.to_str().ok());
    if !is_json.is_some_and(|kind| kind.starts_with("application/json")) {
        let why = "The body is application/json.";
        return Err(Refusal::new(415, "UnsupportedMediaType", why));
    }
    let asked: Resources = serde_json::from_slice(body)
        .map_err(|e| refuse(format!("The body cannot be read: {e}")))?;
    let ids = asked.resourceids;
    if ids.is_empty() || ids.len() > MOST_RESOURCES {
        return Err(refuse(format!(
            "A batch names 1 to {MOST_RESOURCES} resources, not {}.",
            ids.len()
        )));
    }
    for required in ["metricnamespace", "metricnames"] {
        if query(parts, required).is_none_or(|text| text.trim().is_empty()) {
            return Err(refuse(format!(
                "The query parameter {required} is missing."
            )));
        }
    }
    let kind = query(parts, "metricnamespace").unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let prefix = format!("/subscriptions/{subscription}/").to_ascii_lowercase();
    for id in &ids {
        if !id.to_ascii_lowercase().starts_with(&prefix) {
            let why = format!("The resource `{id}` is not in subscription `{subscription}`.");
            return Err(refuse(why));
        }
        if kind_of(id) != kind {
            let why = format!("The resource `{id}` is not of the namespace `{kind}`.");
            return Err(refuse(why));
        }
    }
    if definitions::of(&kind).is_empty() {
        return Err(refuse(format!("Metrics of `{kind}` are not simulated.")));
    }
    let now = shared.storage.db.clock.now();
    let question = Question::read(parts, &kind, Operation::Batch, now).map_err(refuse)?;
    let seen = look(shared, ids).await?;
    let loads = shared.loads();
    work(move || {
        let window = Window::new(&question, seen.now, seen.lag);
        let times = window.times();
        let values = seen.subjects.iter().map(|subject| OfOne {
            starttime: time(&question.start),
            endtime: time(&question.end),
            interval: question.interval_text(),
            namespace: question.kind.clone(),
            resourceregion: subject.region(),
            resourceid: subject.id().to_owned(),
            value: subject.measure(&question, &window, &loads, &times),
        });
        let body = Batched {
            values: values.collect(),
        };
        serde_json::to_vec(&body).ok()
    })
    .await
}

pub(super) fn denied(parts: &Parts) -> Refusal {
    let why = format!(
        "The client does not have authorization to perform action '{READ}' over scope '{}'.",
        parts
            .uri
            .path()
            .rsplit_once('/')
            .map_or("", |(scope, _)| scope)
    );
    Refusal::new(403, "AuthorizationFailed", why)
}

/// Works out an answer off the threads that serve requests.
async fn work(job: impl FnOnce() -> Option<Vec<u8>> + Send + 'static) -> Result<Response, Refusal> {
    let broken = || {
        Refusal::new(
            500,
            "InternalServerError",
            "metrics could not be worked out",
        )
    };
    let bytes = tokio::task::spawn_blocking(job)
        .await
        .map_err(|error| {
            tracing::error!(%error, "metrics broke down");
            broken()
        })?
        .ok_or_else(broken)?;
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    Ok((kind, bytes).into_response())
}
