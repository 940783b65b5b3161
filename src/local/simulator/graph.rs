//! App registrations in Microsoft Graph. Source: Graph REST v1.0, "List applications".

use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use super::Shared;
use super::service::{admit, query};
use crate::local::storage::Refusal;
use crate::local::world::{APPLICATIONS, children};

const PERMISSION: &str = "Application.Read.All";
/// So few that callers meet a second page.
const PAGE: usize = 1;

pub(super) fn denied() -> Refusal {
    Refusal::new(
        403,
        "Authorization_RequestDenied",
        format!("Insufficient privileges to complete the operation: {PERMISSION} is needed."),
    )
}

/// `/graph/v1.0/applications`, by `appId` or all of them.
pub(super) async fn answer(shared: &Shared, parts: &Parts) -> Result<Response, Refusal> {
    admit(
        &shared.storage.key,
        &parts.headers,
        "https://graph.microsoft.com",
    )?;
    if (&parts.method, parts.uri.path()) != (&Method::GET, "/graph/v1.0/applications") {
        let why = "only the list of applications is simulated";
        return Err(Refusal::new(404, "Request_ResourceNotFound", why));
    }
    if !shared.permissions.allow(PERMISSION) {
        return Err(denied());
    }
    let wanted = match query(parts, "$filter") {
        None => None,
        Some(filter) => Some(
            filter
                .strip_prefix("appId eq '")
                .and_then(|rest| rest.strip_suffix('\''))
                .map(str::to_owned)
                .ok_or_else(|| {
                    let why = "only `appId eq '...'` is simulated";
                    Refusal::new(400, "Request_UnsupportedQuery", why)
                })?,
        ),
    };
    let after = query(parts, "$skiptoken").unwrap_or_default();
    let mut rows = shared
        .world
        .run(move |db, _| children(db, APPLICATIONS, &after, i64::MAX))
        .await?;
    rows.retain(|row| wanted.as_deref().is_none_or(|id| row.body["appId"] == id));
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let select = query(parts, "$select");
    let mut body = json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#applications",
        "value": rows.iter().map(|row| pick(&row.body, select.as_deref())).collect::<Vec<_>>(),
    });
    if let Some(last) = rows.last().filter(|_| more) {
        let mut rest = url::form_urlencoded::Serializer::new(String::new());
        if let Some(select) = &select {
            rest.append_pair("$select", select);
        }
        let rest = rest.append_pair("$skiptoken", &last.key).finish();
        let link = format!("{}/graph/v1.0/applications?{rest}", shared.address);
        body["@odata.nextLink"] = json!(link);
    }
    Ok(Json(body).into_response())
}

/// Only the properties that were asked for.
fn pick(application: &Value, select: Option<&str>) -> Value {
    let (Some(select), Some(all)) = (select, application.as_object()) else {
        return application.clone();
    };
    let names: Vec<&str> = select.split(',').map(str::trim).collect();
    all.iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map<_, _>>()
        .into()
}
