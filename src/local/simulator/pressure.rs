//! `/_sim`: load, hot partitions, and metrics that are missing or late, on demand.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Shared;
use super::control::{Sim, refused, told};
use crate::local::storage::Refusal;
use crate::local::world::pressure::{self, Pressure, Span};

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/load", get(bursts).post(burst).delete(no_bursts))
        .route("/_sim/partition", get(hots).post(hot).delete(no_hots))
        .route("/_sim/gaps", get(gaps).post(gap).delete(no_gaps))
        .route("/_sim/lag", post(lag).delete(usual_lag))
}

/// When it holds: from now on and for ever, unless something else is said.
struct When {
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    /// How long, instead of `until`.
    minutes: Option<u32>,
}

/// Bodies name the fields of [`When`] themselves: one that is misspelt would hold for ever, and what
/// is flattened cannot be refused.
macro_rules! when {
    ($asked:expr) => {
        When {
            from: $asked.from,
            until: $asked.until,
            minutes: $asked.minutes,
        }
    };
}

impl When {
    fn span(&self, now: DateTime<Utc>) -> Result<Span, Refusal> {
        let from = minute(self.from.unwrap_or(now));
        let until = match (self.until, self.minutes) {
            (Some(_), Some(_)) => None,
            (Some(until), None) => Some(minute(until)),
            (None, Some(minutes)) => Some(from + i64::from(minutes)),
            (None, None) => Some(i64::MAX),
        };
        let until = until.filter(|until| *until > from).ok_or_else(|| {
            let why = "it ends after it begins, by `until` or after `minutes`";
            Refusal::new(400, "InvalidInput", why)
        })?;
        Ok(Span { from, until })
    }
}

/// The minute since 1970 in which this is.
pub(super) fn minute(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Burst {
    resource: String,
    factor: f64,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    minutes: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hot {
    container: String,
    tenant: Option<String>,
    percent: f64,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    minutes: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {
    resource: String,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    minutes: Option<u32>,
}

/// What to take back: what holds now or will, or with `past` also what is over, as if it had never
/// been.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TakeBack {
    #[serde(default)]
    past: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lag {
    minutes: u32,
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidInput", why)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

fn done(result: Result<(), Refusal>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

impl Shared {
    /// Adds what was asked for, if it makes sense.
    pub(super) async fn press(&self, pressure: Pressure) -> Result<(), Refusal> {
        match &pressure {
            Pressure::Burst { factor, .. } if !(*factor >= 0.0 && factor.is_finite()) => {
                return Err(bad("the factor is 0 or more"));
            }
            Pressure::Hot { percent, .. } if !(0.0..=100.0).contains(percent) => {
                return Err(bad("the percent of one tenant are 0 to 100"));
            }
            Pressure::Hot { tenant, .. } if !self.knows(tenant) => {
                let why = format!("the estate has no tenant `{tenant}`");
                return Err(Refusal::new(404, "ResourceNotFound", why));
            }
            _ => {}
        }
        let added = self.world.run(move |db, _| pressure::add(db, &pressure));
        added.await
    }

    /// Whether it is a tenant of the estate; without an estate anybody is.
    fn knows(&self, tenant: &str) -> bool {
        let estate = self.estate.as_ref();
        estate.is_none_or(|estate| estate.tenants.iter().any(|known| known.id == tenant))
    }

    /// The tenant that has the most, if nothing else is said.
    fn largest_tenant(&self) -> String {
        let estate = self.estate.as_ref();
        let first = estate.and_then(|estate| estate.tenants.first());
        first.map_or_else(|| "tenant-a".to_owned(), |tenant| tenant.id.clone())
    }
}

async fn burst(State(shared): Sim, body: Bytes) -> Response {
    let now = shared.storage.db.clock.now();
    let asked = read(&body).and_then(|asked: Burst| {
        Ok(Pressure::Burst {
            span: when!(asked).span(now)?,
            resource: asked.resource,
            factor: asked.factor,
        })
    });
    done(match asked {
        Ok(pressure) => shared.press(pressure).await,
        Err(refusal) => Err(refusal),
    })
}

async fn hot(State(shared): Sim, body: Bytes) -> Response {
    let now = shared.storage.db.clock.now();
    let asked = read(&body).and_then(|asked: Hot| {
        Ok(Pressure::Hot {
            span: when!(asked).span(now)?,
            container: asked.container,
            tenant: asked.tenant.unwrap_or_else(|| shared.largest_tenant()),
            percent: asked.percent,
        })
    });
    done(match asked {
        Ok(pressure) => shared.press(pressure).await,
        Err(refusal) => Err(refusal),
    })
}

async fn gap(State(shared): Sim, body: Bytes) -> Response {
    let now = shared.storage.db.clock.now();
    let asked = read(&body).and_then(|asked: Gap| {
        Ok(Pressure::Gap {
            span: when!(asked).span(now)?,
            resource: asked.resource,
        })
    });
    done(match asked {
        Ok(pressure) => shared.press(pressure).await,
        Err(refusal) => Err(refusal),
    })
}

async fn lag(State(shared): Sim, body: Bytes) -> Response {
    done(match read::<Lag>(&body) {
        Ok(asked) => {
            let set =
                move |db: &rusqlite::Connection, _| pressure::set_lag(db, Some(asked.minutes));
            shared.world.run(set).await
        }
        Err(refusal) => Err(refusal),
    })
}

async fn usual_lag(State(shared): Sim) -> Response {
    done(shared.world.run(|db, _| pressure::set_lag(db, None)).await)
}

async fn list(shared: &Shared, kind: &'static str) -> Response {
    let found = shared.world.run(move |db, _| {
        let time = |minute: i64| {
            let seconds = minute.checked_mul(60)?;
            DateTime::from_timestamp(seconds, 0)
        };
        let shown = |pressure: &Pressure| {
            let mut shown = json!(pressure);
            let span = shown["span"].take();
            for name in ["from", "until"] {
                shown[name] = json!(span[name].as_i64().and_then(time));
            }
            if let Some(fields) = shown.as_object_mut() {
                fields.remove("span");
                fields.remove("kind");
            }
            shown
        };
        let all = pressure::all(db, Some(kind))?;
        Ok(all.iter().map(shown).collect::<Vec<Value>>())
    });
    told(found.await)
}

async fn take_back(shared: &Shared, kind: &'static str, asked: &TakeBack) -> Response {
    let (past, now) = (asked.past, minute(shared.storage.db.clock.now()));
    let taken = shared.world.run(move |db, _| {
        if past {
            pressure::clear(db, kind)
        } else {
            pressure::end(db, kind, now)
        }
    });
    done(taken.await)
}

async fn bursts(State(shared): Sim) -> Response {
    list(&shared, "burst").await
}

async fn no_bursts(State(shared): Sim, Query(asked): Query<TakeBack>) -> Response {
    take_back(&shared, "burst", &asked).await
}

async fn hots(State(shared): Sim) -> Response {
    list(&shared, "hot").await
}

async fn no_hots(State(shared): Sim, Query(asked): Query<TakeBack>) -> Response {
    take_back(&shared, "hot", &asked).await
}

async fn gaps(State(shared): Sim) -> Response {
    list(&shared, "gap").await
}

async fn no_gaps(State(shared): Sim, Query(asked): Query<TakeBack>) -> Response {
    take_back(&shared, "gap", &asked).await
}
