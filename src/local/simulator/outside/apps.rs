//! The apps of the estate, as those see them who call them.

use std::time::Duration;

use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use rusqlite::Connection;
use serde_json::json;

use super::{Answer, Call};
use crate::estate::{Estate, Kind};
use crate::local::simulator::{Shared, line};
use crate::local::storage::Refusal;
use crate::local::world::troubles::{self, TroubleKind};
use crate::local::world::{Resource, find, of_kind};

/// What a host is.
enum Host {
    /// An app, by its ingress, its custom domain, or as `<app>.<stamp>.example`.
    App(Box<Resource>),
    /// A name in a domain of the estate that nothing has.
    Unknown,
    /// Somebody else.
    Other,
}

/// Answers for an app of the estate; `None` when the host is none.
pub(super) async fn answer(
    shared: &Shared,
    call: &Call,
    parts: &Parts,
) -> Result<Option<Response>, Refusal> {
    let (host, estate) = (call.host.clone(), shared.estate.clone());
    let named = call.header("x-tenant-id");
    let tenant = Some(named)
        .filter(|tenant| !tenant.is_empty())
        .or_else(|| call.query("tenant"))
        .map(str::to_owned);
    let found = shared
        .world
        .run(move |db, now| {
            let app = match look_up(db, estate.as_ref(), &host)? {
                Host::App(app) => *app,
                Host::Unknown => return Ok(Some(None)),
                Host::Other => return Ok(None),
            };
            let mut wrong = troubles::of(db, &app, now)?;
            wrong.retain(|kept| {
                let only = kept.trouble.tenant.as_deref();
                only.is_none_or(|only| Some(only) == tenant.as_deref())
            });
            let wrong: Vec<TroubleKind> = wrong.iter().map(|kept| kept.trouble.kind).collect();
            Ok(Some(Some((app, wrong))))
        })
        .await?;
    let (app, wrong) = match found {
        None => return Ok(None),
        Some(Some(found)) => found,
        Some(None) => {
            // A name that does not resolve is met as a connection that does not come about.
            line::cut(parts);
            return Ok(Some(Answer::empty(502).into_response()));
        }
    };
    let mut status = 200;
    for kind in wrong {
        match kind {
            TroubleKind::Hang => std::future::pending().await,
            TroubleKind::Close => {
                line::cut(parts);
                return Ok(Some(Answer::empty(502).into_response()));
            }
            TroubleKind::Crash => {
                let text = Answer::text(503, "no healthy upstream");
                return Ok(Some(text.into_response()));
            }
            TroubleKind::Slow { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            TroubleKind::Fail { status: with } => status = with,
            TroubleKind::Revision => {}
        }
    }
    let body = json!({
        "status": if status < 400 { "Healthy" } else { "Unhealthy" },
        "app": app.body["name"],
        "revision": app.body["properties"]["latestReadyRevisionName"],
    });
    let status = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(Some((status, Json(body)).into_response()))
}

fn look_up(db: &Connection, estate: Option<&Estate>, host: &str) -> Result<Host, Refusal> {
    let is = |name: &serde_json::Value| {
        let name = name.as_str().unwrap_or_default();
        name.eq_ignore_ascii_case(host)
    };
    for app in of_kind(db, "microsoft.app/containerapps")? {
        let ingress = &app.body["properties"]["configuration"]["ingress"];
        let own = ingress["customDomains"].as_array();
        if is(&ingress["fqdn"]) || own.is_some_and(|own| own.iter().any(|d| is(&d["name"]))) {
            return Ok(Host::App(Box::new(app)));
        }
    }
    let Some(estate) = estate else {
        return Ok(Host::Other);
    };
    for stamp in &estate.stamps {
        let domain = format!(".{}.example", stamp.name.to_ascii_lowercase());
        let Some(name) = host.strip_suffix(&domain) else {
            continue;
        };
        let mut resources = estate.resources().iter();
        let resource = resources.find(|r| {
            r.kind == Kind::ContainerApp
                && r.stamp == stamp.name
                && r.name.eq_ignore_ascii_case(name)
        });
        let app = match resource {
            Some(resource) => find(db, &resource.id.to_string())?,
            None => None,
        };
        return Ok(app.map_or(Host::Unknown, |app| Host::App(Box::new(app))));
    }
    Ok(Host::Other)
}
