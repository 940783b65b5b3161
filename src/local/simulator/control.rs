//! `/_sim`: what is asked of the simulator itself, by who knows its key.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{
    AlertRule, Fault, Heals, Limit, Shared, Told, Trouble, TroubleKind, alarms, arm, outside,
    pressure,
};
use crate::local::loopback;
use crate::local::storage::Refusal;
use crate::local::world::troubles;

pub(super) type Sim = State<Arc<Shared>>;

/// The routes, closed to everybody without `x-sim-key`.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route(
            "/_sim/faults",
            get(list_faults).post(add_fault).delete(clear_faults),
        )
        .route(
            "/_sim/telemetry/faults",
            get(list_troubles).post(add_trouble).delete(clear_troubles),
        )
        .route(
            "/_sim/apps",
            get(list_apps).post(begin_app).delete(heal_apps),
        )
        .route(
            "/_sim/rules",
            get(list_rules).post(add_rule).delete(clear_rules),
        )
        .route("/_sim/rules/look", post(look_at_rules))
        .route("/_sim/outside", get(sent))
        .route("/_sim/clock", get(clock).post(advance))
        .route("/_sim/changes", get(changes))
        .route("/_sim/mutations", get(mutations))
        .route("/_sim/permissions", post(grant).delete(grant_all))
        .route("/_sim/operations", post(operations_take))
        .route("/_sim/limit", get(counts).post(limit).delete(no_limit))
        .route("/_sim/alerts", post(raise))
        .merge(pressure::router())
        .route_layer(axum::middleware::from_fn_with_state(
            Arc::clone(shared),
            keyed,
        ))
        // What time it is may be known by everybody who may ask at all.
        .route("/_sim/now", get(now))
}

/// Lets in who knows this start's key.
async fn keyed(State(shared): Sim, request: Request, next: Next) -> Response {
    if !loopback::knows(request.headers(), "x-sim-key", &shared.sim_key) {
        let body = Json(json!({ "error": "x-sim-key is wrong" }));
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    next.run(request).await
}

/// Reads what was asked for and does it; 400 tells what cannot be read.
fn on<T: DeserializeOwned>(body: &Bytes, act: impl FnOnce(T)) -> Response {
    match serde_json::from_slice(body) {
        Ok(asked) => {
            act(asked);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            let body = Json(json!({ "error": error.to_string() }));
            (StatusCode::BAD_REQUEST, body).into_response()
        }
    }
}

async fn list_faults(State(shared): Sim) -> Response {
    Json(shared.faults.list()).into_response()
}

async fn add_fault(State(shared): Sim, body: Bytes) -> Response {
    on(&body, |fault: Fault| shared.faults.add(fault))
}

async fn clear_faults(State(shared): Sim) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedTrouble {
    /// As `poolkeeper telemetry generate --fault` takes it; it begins now when it names no time.
    fault: String,
}

async fn list_troubles(State(shared): Sim) -> Response {
    let troubles = shared
        .troubles
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let texts: Vec<&String> = troubles.iter().map(|(text, _)| text).collect();
    Json(texts).into_response()
}

async fn add_trouble(State(shared): Sim, body: Bytes) -> Response {
    let now = shared.storage.db.clock.now_ms().div_euclid(60_000);
    let asked = serde_json::from_slice::<AskedTrouble>(&body).map_err(|error| error.to_string());
    let read = asked.and_then(|asked| Ok((Told::beginning(&asked.fault, now)?, asked.fault)));
    match read {
        Ok((trouble, text)) => {
            let mut troubles = shared
                .troubles
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            troubles.push((text, trouble));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response(),
    }
}

async fn clear_troubles(State(shared): Sim) -> StatusCode {
    let mut troubles = shared
        .troubles
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    troubles.clear();
    StatusCode::NO_CONTENT
}

/// What the state says, as JSON.
pub(super) fn told<T: serde::Serialize>(found: Result<T, Refusal>) -> Response {
    match found {
        Ok(found) => Json(found).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

pub(super) fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or_default();
    let body = Json(json!({ "error": refusal.message }));
    (status, body).into_response()
}

async fn list_apps(State(shared): Sim) -> Response {
    let found = shared.world.run(|db, now| {
        let all = troubles::all(db, now)?.into_iter();
        Ok(all
            .map(|kept| {
                let time = chrono::DateTime::from_timestamp_millis;
                json!({
                    "app": kept.app, "trouble": kept.trouble, "began": time(kept.began),
                    "until": kept.until.and_then(time),
                })
            })
            .collect::<Vec<_>>())
    });
    told(found.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedApp {
    app: String,
    kind: TroubleKind,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    heals: Heals,
}

async fn begin_app(State(shared): Sim, body: Bytes) -> Response {
    let asked: AskedApp = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let body = Json(json!({ "error": error.to_string() }));
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
    };
    let trouble = Trouble {
        kind: asked.kind,
        tenant: asked.tenant,
        heals: asked.heals,
    };
    let begun = shared
        .world
        .run(move |db, now| troubles::begin(db, &asked.app, &trouble, now));
    match begun.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

async fn list_rules(State(shared): Sim) -> Response {
    told(shared.world.run(|db, _| alarms::list(db)).await)
}

async fn add_rule(State(shared): Sim, body: Bytes) -> Response {
    let rule: AlertRule = match serde_json::from_slice(&body) {
        Ok(rule) => rule,
        Err(error) => {
            let body = Json(json!({ "error": error.to_string() }));
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
    };
    let added = shared.world.run(move |db, _| alarms::add(db, &rule));
    match added.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// Looks at the rules now; what is due is posted when this is answered.
async fn look_at_rules(State(shared): Sim) -> Response {
    match alarms::look(&shared).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

#[derive(Deserialize)]
struct Named {
    /// Only rules whose name begins so.
    #[serde(default)]
    prefix: String,
}

async fn clear_rules(
    State(shared): Sim,
    axum::extract::Query(named): axum::extract::Query<Named>,
) -> Response {
    let cleared = shared
        .world
        .run(move |db, _| alarms::clear(db, &named.prefix));
    match cleared.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

#[derive(Deserialize)]
struct Which {
    app: Option<String>,
}

async fn heal_apps(
    State(shared): Sim,
    axum::extract::Query(which): axum::extract::Query<Which>,
) -> Response {
    let ended = shared
        .world
        .run(move |db, now| troubles::end(db, which.app.as_deref(), now));
    match ended.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

async fn sent(State(shared): Sim) -> Response {
    let found = shared
        .world
        .run(|db, _| Ok(json!({ "sent": outside::sent(db)?, "tickets": outside::tickets(db)? })));
    told(found.await)
}

async fn now(State(shared): Sim) -> Response {
    let clock = &shared.storage.db.clock;
    Json(json!({ "now": clock.now(), "aheadMs": clock.ahead_ms() })).into_response()
}

async fn clock(State(shared): Sim) -> Response {
    Json(json!({ "now": shared.storage.db.clock.now() })).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    advance_seconds: u32,
}

async fn advance(State(shared): Sim, body: Bytes) -> Response {
    on(&body, |asked: Advance| {
        shared
            .storage
            .db
            .advance(i64::from(asked.advance_seconds) * 1000);
    })
}

async fn changes(State(shared): Sim) -> Response {
    match shared.world.changes().await {
        Ok(lines) => Json(lines).into_response(),
        Err(refusal) => refusal.into(),
    }
}

async fn mutations(State(shared): Sim) -> Response {
    let mutations = shared.mutations.lock();
    Json(mutations.unwrap_or_else(PoisonError::into_inner).clone()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// Actions, with `*` for anything; nothing else may be done.
    only: Vec<String>,
}

async fn grant(State(shared): Sim, body: Bytes) -> Response {
    on(&body, |asked: Grant| {
        shared.permissions.grant(Some(asked.only));
    })
}

async fn grant_all(State(shared): Sim) -> StatusCode {
    shared.permissions.grant(None);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Operations {
    take_ms: u32,
}

async fn operations_take(State(shared): Sim, body: Bytes) -> Response {
    on(&body, |asked: Operations| {
        let ms = i64::from(asked.take_ms);
        shared.operations_take_ms.store(ms, Ordering::SeqCst);
    })
}

async fn counts(State(shared): Sim) -> Response {
    let mut all = json!(shared.limits.counts());
    let mut each = shared.limits.counts_of_each();
    each.retain(|name, _| !name.is_empty());
    if !each.is_empty() {
        all["subscriptions"] = json!(each);
    }
    Json(all).into_response()
}

async fn limit(State(shared): Sim, body: Bytes) -> Response {
    on(&body, |limit: Limit| shared.limits.set(limit))
}

async fn no_limit(State(shared): Sim) -> StatusCode {
    shared.limits.clear();
    StatusCode::NO_CONTENT
}

async fn raise(State(shared): Sim, body: Bytes) -> Response {
    let asked: arm::Raised = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let body = Json(json!({ "error": error.to_string() }));
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
    };
    match arm::raise(&shared.world, asked).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal.into(),
    }
}
