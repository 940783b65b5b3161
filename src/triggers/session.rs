//! Signing in to the pages of an embedded estate, and what a form of a page carries.
//!
//! A browser sends no header of ours, so that there the key of a person is given once and a cookie
//! stands for it. The cookie is no key: it names a person and an end, under a signature that only
//! their key makes. Nothing of it is kept until they sign out: then it is written down, until it
//! would have ended anyway, so that whoever copied the cookie is signed out as well. Another key ends
//! it, too.
//!
//! How often somebody tries to sign in is not limited: a key has at least sixteen characters and
//! whoever guesses may as well do so with the header of programs, while a limit is one more way to
//! keep those out who are on duty.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::config::Secret;
use crate::store::{Created, Error};

const NAME: &str = "poolkeeper-session";
/// How long a cookie counts, hours.
const SESSION: i64 = 12;
/// How long a form counts after its page was made, hours.
const FORM: i64 = 24;
/// Where the key of forms is kept that the platform's users get: they have none of their own.
const FORM_KEY: &str = "controls/form-key.json";

#[derive(Serialize, Deserialize)]
struct FormKey {
    key: String,
}

/// The signature of `parts`, for one purpose.
fn sign(key: &str, purpose: &str, parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length will do");
    for part in [&[purpose], parts].concat() {
        // With its length, so that no two lists are the same text.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac
}

fn signature(mac: Hmac<Sha256>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

fn is_signature(mac: Hmac<Sha256>, given: &str) -> bool {
    // Compared in constant time.
    BASE64_URL_SAFE_NO_PAD
        .decode(given)
        .is_ok_and(|given| mac.verify_slice(&given).is_ok())
}

fn end(now: DateTime<Utc>, hours: i64) -> String {
    (now + Duration::hours(hours)).timestamp().to_string()
}

fn is_over(until: &str, now: DateTime<Utc>) -> bool {
    until
        .parse::<i64>()
        .map_or(true, |until| until <= now.timestamp())
}

/// Whose key this is. Hashed first, so that the time it takes tells nothing.
pub(super) fn owner<'a>(keys: &'a [(String, Secret)], given: &[u8]) -> Option<&'a str> {
    let given = Sha256::digest(given);
    keys.iter()
        .find(|(_, key)| Sha256::digest(key.reveal().as_bytes()) == given)
        .map(|(name, _)| name.as_str())
}

fn key_of<'a>(app: &'a App, name: &str) -> Option<&'a str> {
    let keys = &app.config.principals.keys;
    let found = keys.iter().find(|(known, _)| known == name);
    found.map(|(_, key)| key.reveal())
}

/// The header that signs `name` in; `None` if they are nobody here.
pub(super) fn begin(app: &App, name: &str) -> Option<String> {
    let until = end(app.clock.now(), SESSION);
    // So that each session is one of its own, to be ended alone.
    let number = uuid::Uuid::new_v4().simple().to_string();
    let parts = [name, &until, &number];
    let signed = signature(sign(key_of(app, name)?, "session", &parts));
    let name = BASE64_URL_SAFE_NO_PAD.encode(name);
    Some(format!(
        "{NAME}={name}.{until}.{number}.{signed}; Path=/api; HttpOnly; SameSite=Strict"
    ))
}

/// The header that signs out.
pub(super) fn over() -> String {
    format!("{NAME}=; Path=/api; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// The cookie of a session, as it was sent.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
        .filter(|value| !value.is_empty())
}

/// Who is signed in by a cookie that a key of ours signed and that is not over.
pub(super) fn signed_in(app: &App, headers: &HeaderMap) -> Option<String> {
    let mut parts = cookie(headers)?.split('.');
    let (name, until) = (parts.next()?, parts.next()?);
    let (number, signed) = (parts.next()?, parts.next()?);
    let name = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
    let mac = sign(key_of(app, &name)?, "session", &[&name, until, number]);
    let holds =
        parts.next().is_none() && is_signature(mac, signed) && !is_over(until, app.clock.now());
    holds.then_some(name)
}

/// The key that signs forms of whoever the platform vouches for: made once for all processes.
async fn form_key(app: &App) -> anyhow::Result<String> {
    let store = app.store()?;
    loop {
        if let Some(stored) = store.get::<FormKey>(FORM_KEY).await? {
            return Ok(stored.value.key);
        }
        let half = || uuid::Uuid::new_v4().simple().to_string();
        let key = format!("{}{}", half(), half());
        if let Created::New(_) = store
            .create(FORM_KEY, &FormKey { key: key.clone() })
            .await?
        {
            return Ok(key);
        }
    }
}

async fn form(
    app: &App,
    headers: &HeaderMap,
    by: &str,
    until: &str,
) -> anyhow::Result<Hmac<Sha256>> {
    // A form belongs to one session: signing in anew makes the old ones worthless.
    let session = cookie(headers).unwrap_or_default();
    Ok(match key_of(app, by) {
        Some(key) if !app.config.principals.easy_auth => sign(key, "form", &[by, session, until]),
        _ => sign(&form_key(app).await?, "form", &[by, until]),
    })
}

/// Where it is kept that a session was ended, by when it would have ended: the oldest come first.
const ENDED: &str = "controls/sign-outs/";

/// A session that was ended.
#[derive(Serialize, Deserialize)]
struct Ended {
    at: DateTime<Utc>,
}

/// Where a session's end is kept; `None` if there is none, or it counts for nothing anyway.
fn ended_path(app: &App, headers: &HeaderMap) -> Option<String> {
    signed_in(app, headers)?;
    let cookie = cookie(headers)?;
    // Of a cookie that somebody is signed in by: the time has been compared to be a number.
    let until: i64 = cookie.split('.').nth(1)?.parse().ok()?;
    let hash = crate::journal::Hash::of(cookie.as_bytes());
    Some(format!("{ENDED}{until:012}-{}.json", hash.as_str()))
}

/// Ends a session wherever its cookie has got to, and forgets of others what has ended by itself.
/// Without a session nothing is to be done. Safe to repeat.
///
/// Errors: the store; then the session goes on.
pub(super) async fn sign_out(app: &App, headers: &HeaderMap) -> Result<(), Error> {
    let Some(path) = ended_path(app, headers) else {
        return Ok(());
    };
    let (store, now) = (app.store()?, app.clock.now());
    store.create(&path, &Ended { at: now }).await?;
    for name in store.list(ENDED, None, 20).await?.names {
        let until = name.strip_prefix(ENDED).and_then(|rest| rest.get(..12));
        if until.is_some_and(|until| is_over(until, now)) {
            store.delete(&name).await?;
        }
    }
    Ok(())
}

/// Takes the cookie away from a request if its session was ended: to everything behind this nobody
/// is signed in. Costs one read of the store for requests that have a cookie of ours which counts.
pub(super) async fn forget_ended(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Some(path) = ended_path(&app, headers) {
        let ended = match app.store() {
            Ok(store) => store.bytes(&path).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(None) => {}
            Ok(Some(_)) => {
                request.headers_mut().remove(header::COOKIE);
            }
            // Whether it counts is not known, so nothing is done by it.
            Err(error) => return super::incidents::refusal(headers, error.into()),
        }
    }
    next.run(request).await
}

/// What every form of a page for `by` carries.
pub(super) async fn token(app: &App, headers: &HeaderMap, by: &str) -> anyhow::Result<String> {
    let until = end(app.clock.now(), FORM);
    let signed = signature(form(app, headers, by, &until).await?);
    Ok(format!("{until}.{signed}"))
}

/// Whether a form came from a page of ours that was made for `by`.
pub(super) async fn is_token(
    app: &App,
    headers: &HeaderMap,
    by: &str,
    given: &str,
) -> anyhow::Result<bool> {
    let Some((until, signed)) = given.split_once('.') else {
        return Ok(false);
    };
    let mac = form(app, headers, by, until).await?;
    Ok(is_signature(mac, signed) && !is_over(until, app.clock.now()))
}
