//! The services that are told apart, and how each says no.

use std::time::Duration;

use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{arm, graph, logs, metrics, vault};
use crate::local::storage::{Key, Refusal};

/// A service of Azure that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Azure Resource Manager, and what lies behind it.
    Arm,
    Vault,
    Blob,
    Queue,
    Graph,
    /// The query API of Log Analytics.
    Logs,
    /// Metrics of many resources at once, by the service's own endpoint; those of one are ARM's.
    Metrics,
    /// Tokens of the managed identity.
    Identity,
    /// What is no part of Azure: apps as callers see them, channels, ticket systems.
    Outside,
}

const LOGIN: &str = "https://login.microsoftonline.com/22222222-3333-4444-8555-666666666666";

impl Service {
    pub(super) fn of(path: &str) -> Self {
        let first = path.trim_start_matches('/').split('/').next();
        match first.unwrap_or_default() {
            "subscriptions" if metrics::is_batch(path) => Self::Metrics,
            "subscriptions" | "providers" => Self::Arm,
            "vault" => Self::Vault,
            "graph" => Self::Graph,
            "v1" => Self::Logs,
            "queue" => Self::Queue,
            "msi" => Self::Identity,
            "outside" => Self::Outside,
            _ => Self::Blob,
        }
    }

    /// A refusal in the service's own shape.
    pub(super) fn refuse(self, refusal: Refusal) -> Response {
        let (code, message) = (refusal.code, refusal.message.clone());
        let body = match self {
            Self::Blob | Self::Queue => return refusal.into(),
            Self::Identity => json!({ "statusCode": refusal.status, "message": message }),
            Self::Vault if refusal.status == 403 => json!({ "error": {
                "code": code, "message": message, "innererror": { "code": "ForbiddenByRbac" },
            } }),
            Self::Arm | Self::Vault | Self::Graph | Self::Logs | Self::Metrics | Self::Outside => {
                json!({ "error": { "code": code, "message": message } })
            }
        };
        let status = StatusCode::from_u16(refusal.status).unwrap_or_default();
        let mut response = (status, Json(body)).into_response();
        if let Some(challenge) = self.challenge().filter(|_| refusal.status == 401) {
            let headers = response.headers_mut();
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }

    /// Where a caller without a good token is sent.
    fn challenge(self) -> Option<HeaderValue> {
        let text = match self {
            Self::Arm | Self::Metrics => format!(
                "Bearer authorization_uri=\"{LOGIN}\", error=\"invalid_token\", error_description=\"The authentication failed because of missing 'Authorization' header.\""
            ),
            Self::Vault => {
                format!("Bearer authorization=\"{LOGIN}\", resource=\"https://vault.azure.net\"")
            }
            Self::Graph => format!("Bearer realm=\"\", authorization_uri=\"{LOGIN}\""),
            Self::Blob | Self::Queue | Self::Logs | Self::Identity | Self::Outside => {
                return None;
            }
        };
        HeaderValue::from_str(&text).ok()
    }

    /// Too many requests: come back after `wait`.
    pub(super) fn throttle(self, wait: Duration) -> Response {
        let why = "The request is being throttled.";
        let mut response = self.refuse(match self {
            Self::Blob | Self::Queue => Refusal::new(503, "ServerBusy", why),
            Self::Vault => Refusal::new(429, "Throttled", why),
            Self::Logs => Refusal::new(429, "ThrottledError", why),
            Self::Arm | Self::Graph | Self::Metrics | Self::Identity | Self::Outside => {
                Refusal::new(429, "TooManyRequests", why)
            }
        });
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, seconds.into());
        headers.insert(
            HeaderName::from_static("x-ms-retry-after-ms"),
            millis.into(),
        );
        response
    }

    /// The identity may not do what is asked.
    pub(super) fn deny(self, parts: &Parts) -> Response {
        self.refuse(match self {
            Self::Arm => arm::denied(parts),
            Self::Vault => vault::denied(parts),
            Self::Graph => graph::denied(),
            Self::Logs => logs::denied(),
            Self::Metrics => metrics::denied(parts),
            Self::Blob | Self::Queue | Self::Identity | Self::Outside => Refusal::new(
                403,
                "AuthorizationPermissionMismatch",
                "This request is not authorized to perform this operation using this permission.",
            ),
        })
    }

    /// The service is broken.
    pub(super) fn fail(self, status: u16) -> Response {
        let code = match (self, status) {
            (Self::Arm | Self::Graph | Self::Metrics, 503) => "ServiceUnavailable",
            (Self::Arm | Self::Graph | Self::Metrics, _) => "InternalServerError",
            (Self::Logs, 503) => "UnavailableError",
            (Self::Logs, _) => "InternalServerError",
            (_, 503) => "ServerBusy",
            _ => "InternalError",
        };
        self.refuse(Refusal::new(status, code, "a fault was asked for"))
    }
}

/// A token of ours for this audience, or 401.
pub(super) fn admit(key: &Key, headers: &HeaderMap, audience: &str) -> Result<(), Refusal> {
    let token = headers
        .get("authorization")
        .and_then(|a| a.to_str().ok()?.strip_prefix("Bearer "));
    match token.and_then(|token| key.audience(token)) {
        Some(given) if given.trim_end_matches('/') == audience => Ok(()),
        _ => Err(Refusal::new(
            401,
            "InvalidAuthenticationToken",
            "the token is missing, has run out, or is for another service",
        )),
    }
}

/// A parameter of the query; Azure reads its name without regard to case.
pub(super) fn query(parts: &Parts, name: &str) -> Option<String> {
    url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.into_owned())
}
