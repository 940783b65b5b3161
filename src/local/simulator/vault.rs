//! The contents of key vaults, without values. Source: Key Vault REST 7.5.

use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::Shared;
use super::service::{admit, query};
use crate::local::storage::Refusal;
use crate::local::world::{children, vault_folder};

/// What reading each kind of item needs.
fn action(kind: &str) -> &'static str {
    match kind {
        "secrets" => "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        "keys" => "Microsoft.KeyVault/vaults/keys/read",
        _ => "Microsoft.KeyVault/vaults/certificates/read",
    }
}

pub(super) fn denied(parts: &Parts) -> Refusal {
    let kind = parts.uri.path().split('/').nth(3).unwrap_or_default();
    let action = action(kind);
    Refusal::new(
        403,
        "Forbidden",
        format!(
            "Caller is not authorized to perform action on resource.\nAction: '{action}'\nAssignment: (not found)"
        ),
    )
}

/// `/vault/<name>/<kind>`: what a vault holds.
pub(super) async fn answer(shared: &Shared, parts: &Parts) -> Result<Response, Refusal> {
    admit(
        &shared.storage.key,
        &parts.headers,
        "https://vault.azure.net",
    )?;
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    let ["vault", name, kind @ ("certificates" | "secrets" | "keys")] = path[..] else {
        return Err(Refusal::new(404, "NotFound", "only lists are simulated"));
    };
    if query(parts, "api-version").as_deref() != Some("7.5") {
        let why = "the api-version is 7.5 here";
        return Err(Refusal::new(400, "BadParameter", why));
    }
    if parts.method != Method::GET {
        return Err(Refusal::new(405, "MethodNotAllowed", "lists are read"));
    }
    if !shared.permissions.allow(action(kind)) {
        return Err(denied(parts));
    }
    let most: i64 = match query(parts, "maxresults") {
        None => 25,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=25).contains(n))
            .ok_or_else(|| Refusal::new(400, "BadParameter", "maxresults is 1 to 25"))?,
    };
    let folder = format!("{}/{kind}", vault_folder(name));
    let after = query(parts, "$skiptoken").unwrap_or_default();
    let mut rows = shared
        .world
        .run(move |db, _| children(db, &folder, &after, most + 1))
        .await?;
    let more = rows.len() as i64 > most;
    if more {
        rows.pop();
    }
    let address = &shared.address;
    let next = rows.last().filter(|_| more).map(|last| {
        let token = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("$skiptoken", &last.key)
            .finish();
        format!("{address}/vault/{name}/{kind}?api-version=7.5&maxresults={most}&{token}")
    });
    let value: Vec<Value> = rows
        .into_iter()
        .map(|mut row| {
            // The address changes with every start.
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
