//! The token endpoint of a managed identity. Source: App Service, "REST endpoint reference" of
//! managed identities, version 2019-08-01.

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::local::loopback;
use crate::local::storage::Key;

const LIVES_SECONDS: i64 = 3600;
const CLIENT_ID: &str = "00000000-0000-0000-0000-00000000c11e";

pub(super) fn answer(key: &Key, secret: &str, parts: &Parts) -> Response {
    let refuse = |status: StatusCode, why: &str| {
        let body = json!({ "statusCode": status.as_u16(), "message": why });
        (status, Json(body)).into_response()
    };
    if !loopback::knows(&parts.headers, "x-identity-header", secret) {
        return refuse(StatusCode::UNAUTHORIZED, "X-IDENTITY-HEADER is wrong");
    }
    let query: Vec<_> = url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes())
        .into_owned()
        .collect();
    let part = |name: &str| query.iter().find(|(k, _)| k == name).map(|(_, v)| v);
    if part("api-version").map(String::as_str) != Some("2019-08-01") {
        return refuse(StatusCode::BAD_REQUEST, "api-version is 2019-08-01");
    }
    let Some(resource) = part("resource").filter(|r| !r.is_empty()) else {
        return refuse(StatusCode::BAD_REQUEST, "resource is missing");
    };
    let expiry = chrono::Utc::now().timestamp() + LIVES_SECONDS;
    Json(json!({
        "access_token": key.token(resource, expiry),
        "expires_on": expiry.to_string(),
        "resource": resource,
        "token_type": "Bearer",
        "client_id": CLIENT_ID,
    }))
    .into_response()
}
