//! Azure Resource Manager and the services behind it, as far as they are simulated.

mod alerts;
mod apps;
mod containers;
mod cosmos;
mod logs;
mod operations;
mod path;
mod redis;
mod revisions;
mod storage;

pub(super) use alerts::{Raised, raise, write_alert};

use axum::body::Bytes;
use axum::http::header::{ETAG, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::service::{admit, query};
use super::{Shared, metrics};
use crate::local::storage::Refusal;
use crate::local::world::operations::Ending;
use crate::local::world::{self, Resource};
use path::Path;

/// Versions that are spoken, by resource type, and how much of a list comes at a time where Azure
/// has pages: so little that callers meet a second one.
const TYPES: &[(&str, &str, Option<usize>)] = &[
    ("Microsoft.KeyVault/vaults", "2023-07-01", None),
    (cosmos::ACCOUNT, cosmos::VERSION, None),
    (cosmos::DATABASE, cosmos::VERSION, None),
    (cosmos::DATABASE_OFFER, cosmos::VERSION, None),
    (cosmos::CONTAINER, cosmos::VERSION, None),
    (cosmos::CONTAINER_OFFER, cosmos::VERSION, None),
    (
        "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/migrateToAutoscale",
        cosmos::VERSION,
        None,
    ),
    (
        "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/migrateToManualThroughput",
        cosmos::VERSION,
        None,
    ),
    (
        "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/migrateToAutoscale",
        cosmos::VERSION,
        None,
    ),
    (
        "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/migrateToManualThroughput",
        cosmos::VERSION,
        None,
    ),
    (apps::APP, apps::VERSION, Some(1)),
    (apps::REVISION, apps::VERSION, Some(1)),
    (
        "Microsoft.App/containerApps/revisions/restart",
        apps::VERSION,
        None,
    ),
    (
        "Microsoft.App/containerApps/revisions/activate",
        apps::VERSION,
        None,
    ),
    (
        "Microsoft.App/containerApps/revisions/deactivate",
        apps::VERSION,
        None,
    ),
    (apps::REPLICA, apps::VERSION, None),
    ("Microsoft.App/managedEnvironments", apps::VERSION, None),
    (
        "Microsoft.App/managedEnvironments/certificates",
        apps::VERSION,
        None,
    ),
    (storage::ACCOUNT, storage::VERSION, None),
    (storage::SERVICE, storage::VERSION, None),
    (storage::CONTAINER, storage::VERSION, Some(3)),
    (storage::POLICY, storage::VERSION, None),
    (logs::WORKSPACE, "2023-09-01", None),
    (logs::TABLE, "2022-10-01", None),
    (alerts::ALERT, "2019-03-01", None),
    (redis::CACHE, redis::VERSION, Some(1)),
    ("Microsoft.Cache/redis/flush", redis::VERSION, None),
    (metrics::LIST, metrics::VERSION, None),
];

/// One request, with what its path names.
struct Ask<'a> {
    shared: &'a Shared,
    parts: &'a Parts,
    body: &'a Bytes,
    path: Path,
    version: &'static str,
    page: Option<usize>,
    ending: Ending,
}

fn known(kind: &str) -> Option<(&'static str, &'static str, Option<usize>)> {
    let mut all = TYPES.iter().copied();
    all.find(|(known, ..)| known.eq_ignore_ascii_case(kind))
}

/// What Azure asks for a request, as role definitions name it.
fn action(method: &Method, path: &Path) -> String {
    let kind = known(&path.kind).map_or(path.kind.as_str(), |(kind, ..)| kind);
    let verb = match *method {
        Method::GET | Method::HEAD => "read",
        Method::DELETE => "delete",
        Method::POST => "action",
        _ => "write",
    };
    format!("{kind}/{verb}")
}

pub(super) fn denied(parts: &Parts) -> Refusal {
    let path = Path::read(parts.uri.path());
    let action = action(&parts.method, &path);
    Refusal::new(
        403,
        "AuthorizationFailed",
        format!(
            "The client '00000000-0000-0000-0000-00000000c11e' with object id '00000000-0000-0000-0000-00000000c11e' does not have authorization to perform action '{action}' over scope '{}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            path.id
        ),
    )
}

/// `/subscriptions/...`: resources, what is done with them, and how far it is.
pub(super) async fn answer(
    shared: &Shared,
    parts: &Parts,
    body: &Bytes,
    ending: Ending,
) -> Result<Response, Refusal> {
    admit(
        &shared.storage.key,
        &parts.headers,
        "https://management.azure.com",
    )?;
    let path = Path::read(parts.uri.path());
    if let Some(poll) = operations::Poll::read(&path) {
        return poll.answer(shared, parts).await;
    }
    let Some((kind, version, page)) = known(&path.kind) else {
        let why = format!("`{}` is not simulated", path.kind);
        return Err(Refusal::new(404, "InvalidResourceType", why));
    };
    if query(parts, "api-version").as_deref() != Some(version) {
        let why = format!("the api-version of `{kind}` is {version} here");
        return Err(Refusal::new(400, "InvalidApiVersionParameter", why));
    }
    if !shared.permissions.allow(&action(&parts.method, &path)) {
        return Err(denied(parts));
    }
    let ask = Ask {
        shared,
        parts,
        body,
        path,
        version,
        page,
        ending,
    };
    match (&parts.method, kind, ask.path.is_list) {
        (&Method::GET, storage::CONTAINER, true) => storage::list(&ask).await,
        (&Method::GET, storage::CONTAINER, false) => storage::container(&ask).await,
        (&Method::GET, storage::SERVICE, false) => storage::service(&ask).await,
        (&Method::GET, alerts::ALERT, false) => alerts::one(&ask).await,
        (&Method::GET, metrics::LIST, true) => metrics::list(shared, parts, &ask.path.scope).await,
        (&Method::GET, _, true) => ask.list().await,
        (&Method::GET, _, false) => ask.one().await,
        (&Method::PUT, cosmos::DATABASE_OFFER | cosmos::CONTAINER_OFFER, false) => {
            cosmos::set(&ask).await
        }
        (&Method::PUT, cosmos::CONTAINER, false) => containers::set(&ask).await,
        (&Method::POST, _, true) if kind.ends_with("/migrateToAutoscale") => {
            cosmos::migrate(&ask, true).await
        }
        (&Method::POST, _, true) if kind.ends_with("/migrateToManualThroughput") => {
            cosmos::migrate(&ask, false).await
        }
        (&Method::PATCH, apps::APP, false) => apps::update(&ask).await,
        (&Method::POST, "Microsoft.App/containerApps/revisions/restart", true) => {
            apps::restart(&ask).await
        }
        (&Method::POST, "Microsoft.App/containerApps/revisions/activate", true) => {
            revisions::activate(&ask, true).await
        }
        (&Method::POST, "Microsoft.App/containerApps/revisions/deactivate", true) => {
            revisions::activate(&ask, false).await
        }
        (&Method::POST, "Microsoft.Cache/redis/flush", true) => redis::flush(&ask).await,
        (&Method::PUT, storage::POLICY, false) => storage::set_policy(&ask).await,
        (&Method::PATCH, logs::TABLE, false) => logs::update(&ask).await,
        _ => {
            let why = format!("{} of `{kind}` is not simulated", parts.method);
            Err(Refusal::new(405, "MethodNotAllowed", why))
        }
    }
}

impl Ask<'_> {
    async fn one(&self) -> Result<Response, Refusal> {
        let path = self.path.clone();
        let found = self
            .shared
            .world
            .run(move |db, now| {
                let mut found = must_find(db, &path)?;
                revisions::seen(db, now, &mut found)?;
                Ok(found)
            })
            .await?;
        Ok(shown(&self.shared.address, found))
    }

    async fn list(&self) -> Result<Response, Refusal> {
        let id = self.path.id.clone();
        let after = query(self.parts, "$skiptoken").unwrap_or_default();
        let most = self.page.unwrap_or(usize::MAX / 2);
        let limit = i64::try_from(most + 1).unwrap_or(i64::MAX);
        let path = self.path.clone();
        let mut rows = self
            .shared
            .world
            .run(move |db, now| {
                if let Some(parent) = path.parent() {
                    must_find(db, &parent)?;
                }
                let mut rows = world::children(db, &id, &after, limit)?;
                for row in &mut rows {
                    revisions::seen(db, now, row)?;
                }
                Ok(rows)
            })
            .await?;
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(|last| last.key.clone());
        let value: Vec<Value> = rows
            .into_iter()
            .map(|row| show(&self.shared.address, row))
            .collect();
        Ok(self.page_of(value, next))
    }

    /// A page of a list, with a link to the next one if there is one.
    fn page_of(&self, value: Vec<Value>, next: Option<String>) -> Response {
        let mut body = json!({ "value": value });
        if let Some(last) = next {
            let mut rest = url::form_urlencoded::Serializer::new(String::new());
            rest.append_pair("api-version", self.version);
            for (name, value) in
                url::form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes())
            {
                if name == "$maxpagesize" || name == "$filter" {
                    rest.append_pair(&name, &value);
                }
            }
            let rest = rest.append_pair("$skiptoken", &last).finish();
            let path = self.parts.uri.path();
            body["nextLink"] = json!(format!("{}{path}?{rest}", self.shared.address));
        }
        Json(body).into_response()
    }

    /// What the caller says of the resource that it means to change.
    fn if_match(&self) -> Option<String> {
        let header = self.parts.headers.get("if-match")?;
        Some(header.to_str().ok()?.to_owned())
    }

    fn json(&self) -> Result<Value, Refusal> {
        let is_json = self
            .parts
            .headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json {
            let why =
                "The content media type is not supported. Only 'application/json' is supported.";
            return Err(Refusal::new(415, "UnsupportedMediaType", why));
        }
        serde_json::from_slice(self.body).map_err(|e| {
            let why = format!("The request content was invalid and could not be deserialized: {e}");
            Refusal::new(400, "InvalidRequestContent", why)
        })
    }

    /// Milliseconds that a change takes.
    fn takes(&self) -> i64 {
        self.shared
            .operations_take_ms
            .load(std::sync::atomic::Ordering::SeqCst)
    }
}

fn missing(id: &str) -> Refusal {
    Refusal::new(404, "ResourceNotFound", format!("`{id}` was not found"))
}

/// The resource, or why there is none: Cosmos has its own word for it.
fn must_find(db: &Connection, path: &Path) -> Result<Resource, Refusal> {
    world::find(db, &path.id)?.ok_or_else(|| {
        if path
            .kind
            .starts_with("microsoft.documentdb/databaseaccounts/")
        {
            let why = format!(
                "Entity with the specified id does not exist in the system: {}",
                path.id
            );
            return Refusal::new(404, "NotFound", why);
        }
        if path.kind.eq_ignore_ascii_case(storage::POLICY) {
            let why = "No ManagementPolicy found for account";
            return Refusal::new(404, "ManagementPolicyNotFound", why);
        }
        missing(&path.id)
    })
}

/// The resource that is to be changed: it must be as the caller saw it last, and not be changing.
fn must_be_free(db: &Connection, path: &Path, if_match: Option<&str>) -> Result<Resource, Refusal> {
    let found = must_find(db, path)?;
    if if_match.is_some_and(|etag| etag != "*" && etag != found.etag) {
        let why = "The condition specified by the ETag is not satisfied.";
        return Err(Refusal::new(412, "PreconditionFailed", why));
    }
    if world::operations::running(db, &path.id)? {
        let why = "Another operation on this resource is in progress. Please retry later.";
        return Err(Refusal::new(409, "Conflict", why));
    }
    Ok(found)
}

/// A resource as its service shows it. Addresses change with every start.
fn show(address: &str, resource: Resource) -> Value {
    let mut body = resource.body;
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    if resource.key.ends_with("/throughputsettings/default") {
        return cosmos::show(&body, &resource.etag);
    }
    match body["type"].as_str().unwrap_or_default() {
        "Microsoft.KeyVault/vaults" => {
            body["properties"]["vaultUri"] = json!(format!("{address}/vault/{name}/"));
        }
        storage::ACCOUNT => {
            let blob = format!("{address}/blob/{name}/");
            body["properties"]["primaryEndpoints"] = json!({ "blob": blob });
        }
        cosmos::CONTAINER | cosmos::DATABASE => {
            body["properties"]["resource"]["_etag"] = json!(resource.etag);
        }
        _ => {}
    }
    body
}

fn shown(address: &str, resource: Resource) -> Response {
    let etag = HeaderValue::from_str(&resource.etag);
    let mut response = Json(show(address, resource)).into_response();
    if let Ok(etag) = etag {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

fn empty(status: StatusCode) -> Response {
    status.into_response()
}
