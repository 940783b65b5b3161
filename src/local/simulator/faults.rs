//! Faults on demand: how Azure fails when it fails.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 503 `ServerBusy` with Retry-After; nothing is done.
    Throttle,
    /// 500; nothing is done.
    Error,
    /// No answer at all; nothing is done.
    Timeout,
    /// The request is done, and the answer breaks off.
    HalfAnswer,
    /// The request is done, and the answer is 500 `OperationTimedOut`.
    LostAnswer,
    /// 403 `AuthorizationPermissionMismatch`; nothing is done.
    Denied,
    /// The answer comes late.
    Latency { ms: u64 },
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
    /// So many requests; for ever without it.
    #[serde(default)]
    pub times: Option<u32>,
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
    pub(super) fn take(&self, parts: &Parts) -> Option<FaultKind> {
        let mut faults = self.lock();
        let uri = parts.uri.to_string();
        let at = faults.iter().position(|f| {
            f.method
                .as_deref()
                .is_none_or(|m| parts.method.as_str().eq_ignore_ascii_case(m))
                && f.contains.as_deref().is_none_or(|text| uri.contains(text))
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
pub(super) async fn before(fault: Option<FaultKind>) -> Option<Response> {
    let refusal = match fault? {
        FaultKind::Throttle => {
            let mut response: Response =
                Refusal::new(503, "ServerBusy", "too many requests").into();
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            return Some(response);
        }
        FaultKind::Error => Refusal::new(500, "InternalError", "a fault was asked for"),
        FaultKind::Denied => Refusal::new(
            403,
            "AuthorizationPermissionMismatch",
            "the identity may not do this",
        ),
        FaultKind::Timeout => return std::future::pending().await,
        FaultKind::Latency { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            return None;
        }
        FaultKind::HalfAnswer | FaultKind::LostAnswer => return None,
    };
    Some(refusal.into())
}

/// What happens to the answer.
pub(super) async fn after(fault: Option<FaultKind>, response: Response) -> Response {
    match fault {
        Some(FaultKind::LostAnswer) => {
            Refusal::new(500, "OperationTimedOut", "it may have been done").into()
        }
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
        _ => response,
    }
}
