//! Faults on demand: how Azure fails when it fails.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Refusal, Service, line, logs};
use crate::local::world::operations::Ending;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429, or 503 `ServerBusy` from storage, with Retry-After; nothing is done.
    Throttle,
    /// 500; nothing is done.
    Error,
    /// 503 without Retry-After; nothing is done.
    Unavailable,
    /// No answer at all; nothing is done.
    Timeout,
    /// The connection is closed without an answer; nothing is done.
    Closed,
    /// The request is done, and the connection is closed without an answer.
    DoneAndClosed,
    /// The request is done, and the answer breaks off.
    HalfAnswer,
    /// The request is done, and the answer is 500 `OperationTimedOut`.
    LostAnswer,
    /// 403 as the service says it; nothing is done.
    Denied,
    /// Resource Manager accepts the change, which fails later. Changes that are done at once are
    /// done.
    OperationFails,
    /// Resource Manager accepts the change and says later that it was done, but nothing is.
    NoEffect,
    /// Log Analytics answers with a part and says so beside it. Other services answer as ever.
    PartialAnswer,
    /// The request is done late, and answered then.
    Latency { ms: u64 },
    /// The request is done, and its answer comes late.
    LateAnswer { ms: u64 },
}

/// A fault for the requests it fits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: FaultKind,
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose path and query hold this text, so `/blob/` or `comp=lease`.
    #[serde(default)]
    pub contains: Option<String>,
    /// Only requests to this service.
    #[serde(default)]
    pub service: Option<Service>,
    /// So many requests; for ever without it.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Default for Fault {
    /// Every request is answered with 500.
    fn default() -> Self {
        Self {
            kind: FaultKind::Error,
            method: None,
            contains: None,
            service: None,
            times: None,
        }
    }
}

#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub(super) fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// The first fault that fits, used up by one.
    pub(super) fn take(&self, service: Service, parts: &Parts) -> Option<FaultKind> {
        let mut faults = self.lock();
        let uri = parts.uri.to_string();
        let at = faults.iter().position(|f| {
            f.method
                .as_deref()
                .is_none_or(|m| parts.method.as_str().eq_ignore_ascii_case(m))
                && f.contains.as_deref().is_none_or(|text| uri.contains(text))
                && f.service.is_none_or(|wanted| wanted == service)
        })?;
        let kind = faults[at].kind;
        if let Some(times) = &mut faults[at].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                faults.remove(at);
            }
        }
        Some(kind)
    }
}

/// What happens instead of the request.
pub(super) async fn before(
    fault: Option<FaultKind>,
    service: Service,
    parts: &Parts,
) -> Option<Response> {
    match fault? {
        FaultKind::Throttle => Some(service.throttle(Duration::from_secs(1))),
        FaultKind::Error => Some(service.fail(500)),
        FaultKind::Unavailable => Some(service.fail(503)),
        FaultKind::Denied => Some(service.deny(parts)),
        FaultKind::Timeout => std::future::pending().await,
        FaultKind::Latency { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            None
        }
        FaultKind::Closed => {
            line::cut(parts);
            Some(service.fail(503))
        }
        FaultKind::DoneAndClosed
        | FaultKind::HalfAnswer
        | FaultKind::LostAnswer
        | FaultKind::PartialAnswer
        | FaultKind::LateAnswer { .. }
        | FaultKind::OperationFails
        | FaultKind::NoEffect => None,
    }
}

/// What becomes of a change that is accepted.
pub(super) fn ending(fault: Option<FaultKind>) -> Ending {
    match fault {
        Some(FaultKind::OperationFails) => Ending::Failed,
        Some(FaultKind::NoEffect) => Ending::NoEffect,
        _ => Ending::Done,
    }
}

/// What happens to the answer.
pub(super) async fn after(
    fault: Option<FaultKind>,
    service: Service,
    parts: &Parts,
    response: Response,
) -> Response {
    match fault {
        Some(FaultKind::DoneAndClosed) => {
            line::cut(parts);
            response
        }
        Some(FaultKind::LateAnswer { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            response
        }
        Some(FaultKind::LostAnswer) => service.refuse(Refusal::new(
            500,
            "OperationTimedOut",
            "it may have been done",
        )),
        Some(FaultKind::HalfAnswer) => {
            let (mut parts, body) = response.into_parts();
            let whole = axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap_or_default();
            // An empty answer breaks off too: more is announced than comes.
            parts
                .headers
                .insert(header::CONTENT_LENGTH, (whole.len() + 1).into());
            let half = whole.slice(..whole.len() / 2);
            let cut = futures::stream::iter([
                Ok::<Bytes, std::io::Error>(half),
                Err(std::io::Error::other("cut off")),
            ]);
            Response::from_parts(parts, Body::from_stream(cut))
        }
        Some(FaultKind::PartialAnswer) if service == Service::Logs => {
            let (mut parts, body) = response.into_parts();
            let whole = axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap_or_default();
            let Ok(mut answer) = serde_json::from_slice::<Value>(&whole) else {
                return Response::from_parts(parts, Body::from(whole));
            };
            if answer["tables"].is_array() {
                answer["error"] = logs::partial("ShardsFailed", "some shards did not answer");
            }
            let body = answer.to_string();
            parts
                .headers
                .insert(header::CONTENT_LENGTH, body.len().into());
            Response::from_parts(parts, Body::from(body))
        }
        _ => response,
    }
}
