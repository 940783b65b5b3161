//! Azure Resource Manager and the services behind it, as far as they are simulated.

use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use crate::local::storage::{Key, Refusal};
use crate::local::world::World;

/// What a request may be refused with, in ARM's envelope.
pub(super) struct No {
    status: u16,
    code: String,
    message: String,
}

impl No {
    fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::new(500, "InternalServerError", refusal.to_string())
    }
}

impl From<No> for Response {
    fn from(no: No) -> Self {
        let status = axum::http::StatusCode::from_u16(no.status)
            .unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "error": { "code": no.code, "message": no.message } });
        (status, Json(body)).into_response()
    }
}

/// Versions that are spoken, by resource type.
const VERSIONS: [(&str, &str); 1] = [("microsoft.keyvault/vaults", "2023-07-01")];

pub(super) fn query(parts: &Parts, name: &str) -> Option<String> {
    url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.into_owned())
}

/// A token of ours for this audience, or 401.
fn admit(key: &Key, parts: &Parts, audience: &str) -> Result<(), No> {
    let token = parts
        .headers
        .get("authorization")
        .and_then(|a| a.to_str().ok()?.strip_prefix("Bearer "));
    match token.and_then(|token| key.audience(token)) {
        Some(given) if given.trim_end_matches('/') == audience => Ok(()),
        _ => Err(No::new(
            401,
            "InvalidAuthenticationToken",
            "the token is missing, has run out, or is for another service",
        )),
    }
}

/// `/subscriptions/...`: one resource.
pub(super) async fn resource(
    world: &World,
    key: &Key,
    address: &str,
    parts: &Parts,
) -> Result<Response, No> {
    admit(key, parts, "https://management.azure.com")?;
    let id = parts.uri.path();
    let lower = id.to_ascii_lowercase();
    let kind = lower
        .split_once("/providers/")
        .map(|(_, rest)| rest.rsplit_once('/').map_or(rest, |(kind, _)| kind))
        .unwrap_or_default();
    let Some((_, version)) = VERSIONS.iter().find(|(known, _)| *known == kind) else {
        let why = format!("`{kind}` is not simulated");
        return Err(No::new(404, "InvalidResourceType", why));
    };
    if query(parts, "api-version").as_deref() != Some(*version) {
        let why = format!("the api-version of `{kind}` is {version} here");
        return Err(No::new(400, "InvalidApiVersionParameter", why));
    }
    if parts.method != Method::GET {
        let why = format!("{} of `{kind}` is not simulated", parts.method);
        return Err(No::new(405, "MethodNotAllowed", why));
    }
    let mut found = world
        .get(id)
        .await?
        .ok_or_else(|| No::new(404, "ResourceNotFound", format!("`{id}` was not found")))?;
    // The address changes with every start.
    if let Some(name) = found.body["name"].as_str().map(str::to_owned) {
        found.body["properties"]["vaultUri"] = json!(format!("{address}/vault/{name}/"));
    }
    Ok(Json(found.body).into_response())
}

/// `/vault/<name>/<kind>`: what a vault holds, without values.
pub(super) async fn vault(
    world: &World,
    key: &Key,
    address: &str,
    parts: &Parts,
) -> Result<Response, No> {
    admit(key, parts, "https://vault.azure.net")?;
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    let ["vault", name, kind @ ("certificates" | "secrets" | "keys")] = path[..] else {
        return Err(No::new(404, "NotFound", "only lists are simulated"));
    };
    if query(parts, "api-version").as_deref() != Some("7.5") {
        return Err(No::new(400, "BadParameter", "the api-version is 7.5 here"));
    }
    if parts.method != Method::GET {
        return Err(No::new(405, "MethodNotAllowed", "lists are read"));
    }
    let most: i64 = match query(parts, "maxresults") {
        None => 25,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=25).contains(n))
            .ok_or_else(|| No::new(400, "BadParameter", "maxresults is 1 to 25"))?,
    };
    let folder = format!("{}/{kind}", crate::local::world::vault_folder(name));
    let after = query(parts, "$skiptoken").unwrap_or_default();
    let mut rows = world.children(&folder, &after, most + 1).await?;
    let more = rows.len() as i64 > most;
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|(last, _)| {
        let token = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("$skiptoken", last)
            .finish();
        format!("{address}/vault/{name}/{kind}?api-version=7.5&maxresults={most}&{token}")
    });
    let value: Vec<Value> = rows
        .into_iter()
        .map(|(_, mut row)| {
            for field in ["id", "kid"] {
                if let Some(text) = row.body[field].as_str() {
                    let item = text.rsplit('/').next().unwrap_or_default();
                    let id = format!("{address}/vault/{name}/{kind}/{item}");
                    row.body[field] = json!(id);
                }
            }
            row.body
        })
        .collect();
    Ok(Json(json!({ "value": value, "nextLink": next })).into_response())
}
