//! The inbox: what would have been sent, for people who look. Only this machine can.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::outside::{self, Sent, Ticket};
use super::{Shared, refuse};
use crate::local::storage::Refusal;

/// A page shows so many of the newest.
const MOST: usize = 500;

#[derive(Template)]
#[template(path = "local/simulator/inbox/list.html")]
struct List {
    now: String,
    channel: String,
    channels: BTreeSet<String>,
    sent: Vec<Sent>,
    tickets: Vec<Ticket>,
}

#[derive(Template)]
#[template(path = "local/simulator/inbox/one.html")]
struct One {
    one: Sent,
    raw: String,
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/inbox", get(list))
        .route("/inbox.json", get(as_json))
        .route("/inbox/{number}", get(one))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    channel: String,
}

async fn all(shared: &Shared) -> Result<(Vec<Sent>, Vec<Ticket>), Refusal> {
    let found = shared
        .world
        .run(|db, _| Ok((outside::sent(db)?, outside::tickets(db)?)));
    let (mut sent, mut tickets) = found.await?;
    sent.reverse();
    tickets.reverse();
    Ok((sent, tickets))
}

/// A page that runs nothing and loads nothing, whatever stands in it.
fn page(template: &impl Template) -> Response {
    let Ok(text) = template.render() else {
        return refuse(500, "InternalError", "the page cannot be written");
    };
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(text)).into_response()
}

async fn list(State(shared): State<Arc<Shared>>, Query(asked): Query<Asked>) -> Response {
    let (mut sent, tickets) = match all(&shared).await {
        Ok(all) => all,
        Err(refusal) => return refusal.into(),
    };
    let channels = sent.iter().map(|sent| sent.channel.clone()).collect();
    sent.retain(|sent| asked.channel.is_empty() || sent.channel == asked.channel);
    sent.truncate(MOST);
    let now: DateTime<Utc> = shared.storage.db.clock.now();
    page(&List {
        now: now.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        channel: asked.channel,
        channels,
        sent,
        tickets,
    })
}

async fn one(State(shared): State<Arc<Shared>>, Path(number): Path<i64>) -> Response {
    let found = shared.world.run(move |db, _| outside::one(db, number));
    match found.await {
        Err(refusal) => refusal.into(),
        Ok(None) => (StatusCode::NOT_FOUND, "There is no such message.").into_response(),
        Ok(Some(mut one)) => {
            // A mail is shown as lines, and not as one text of JSON.
            let mail = one.body.get_mut("raw").map(Value::take);
            let shown = serde_json::to_string_pretty(&one.body).unwrap_or_default();
            let raw = match mail.as_ref().and_then(Value::as_str) {
                Some(mail) => format!("{shown}\n\n{mail}"),
                None => shown,
            };
            page(&One { one, raw })
        }
    }
}

async fn as_json(State(shared): State<Arc<Shared>>) -> Response {
    match all(&shared).await {
        Ok((sent, tickets)) => Json(json!({ "sent": sent, "tickets": tickets })).into_response(),
        Err(refusal) => refusal.into(),
    }
}
