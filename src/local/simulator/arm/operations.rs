//! How far a change is: the two addresses that an accepted request may be followed at.
//!
//! Source: Azure Resource Manager, "Track asynchronous Azure operations".

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::path::Path;
use super::{Shared, missing, redis, shown};
use crate::local::storage::Refusal;
use crate::local::world::{self, operations};

const REGION: &str = "japaneast";

/// What an operation says that came to nothing.
struct Failed {
    code: &'static str,
    message: String,
}

impl Failed {
    fn of(why: Option<String>) -> Self {
        let nothing = "The operation failed. Nothing was changed.";
        Self {
            code: if why.is_some() {
                "ContainerAppOperationError"
            } else {
                "OperationFailed"
            },
            message: why.unwrap_or_else(|| nothing.to_owned()),
        }
    }
}

/// A request to be told how far an operation is.
pub(super) struct Poll {
    id: String,
    /// Whether the status is asked for, or the result.
    status: bool,
    /// The subscription, where a cache's provider is asked.
    cache: Option<String>,
}

impl Poll {
    pub(super) fn read(path: &Path) -> Option<Self> {
        let (_, last) = path.kind.split_once("/locations/")?;
        let status = match last {
            "operationsstatus" | "operationstatuses" | "asyncoperations" => true,
            "operationresults" | "containerappoperationresults" => false,
            _ => return None,
        };
        Some(Self {
            id: path.name(1).to_owned(),
            status,
            cache: path
                .kind
                .starts_with("microsoft.cache/")
                .then(|| path.subscription()),
        })
    }

    pub(super) async fn answer(self, shared: &Shared, parts: &Parts) -> Result<Response, Refusal> {
        if parts.method != Method::GET {
            let why = "an operation is only read";
            return Err(Refusal::new(405, "MethodNotAllowed", why));
        }
        let id = self.id.clone();
        let found = shared
            .world
            .run(move |db, now| {
                let operation = operations::find(db, &id)?.ok_or_else(|| missing(&id))?;
                let done = operation.ends <= now;
                let resource = world::find(db, &operation.resource)?;
                Ok((operation, done, resource))
            })
            .await?;
        let (operation, done, resource) = found;
        if self.status {
            return Ok(Json(self.status_of(operation, done)).into_response());
        }
        if done && operation.failed {
            let failed = Failed::of(operation.why);
            return Err(Refusal::new(409, failed.code, failed.message));
        }
        if done && self.cache.is_some() {
            // What was asked for has no result but that it was done.
            return Ok(Json(self.status_of(operation, done)).into_response());
        }
        if done {
            let resource = resource.ok_or_else(|| missing(&operation.resource))?;
            return Ok(shown(&shared.address, resource));
        }
        let here = format!("{}{}", shared.address, parts.uri);
        Ok((StatusCode::ACCEPTED, [("location", here)]).into_response())
    }
}

impl Poll {
    fn status_of(&self, operation: operations::Operation, done: bool) -> Value {
        let text = |ms| {
            let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
            at.to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        let mut body = json!({
            "name": self.id,
            "status": if done { "Succeeded" } else { "InProgress" },
            "startTime": text(operation.began),
        });
        if done {
            body["endTime"] = json!(text(operation.ends));
        }
        if done && operation.failed {
            let failed = Failed::of(operation.why);
            body["status"] = json!("Failed");
            body["error"] = json!({ "code": failed.code, "message": failed.message });
        }
        match &self.cache {
            Some(subscription) => redis::status(subscription, &self.id, body),
            None => body,
        }
    }
}

/// The address at which operation `id` of a provider is followed, with `kind` as the provider calls
/// it.
pub(super) fn place(
    address: &str,
    path: &Path,
    provider: &str,
    kind: &str,
    id: &str,
    version: &str,
) -> String {
    format!(
        "{address}{}/providers/{provider}/locations/{REGION}/{kind}/{id}?api-version={version}",
        path.subscription()
    )
}

/// Accepted, and where to follow it.
pub(super) fn accepted(headers: Vec<(&'static str, String)>) -> Response {
    let mut response = StatusCode::ACCEPTED.into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
