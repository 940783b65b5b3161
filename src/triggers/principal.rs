//! Who is asking. Never what a body says, and never a header that anybody could have written.

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::session::{owner, signed_in};
use super::web::{Origin, Problem, kind_of_body, origin};
use crate::app::App;
use crate::domain::person;

/// Set by the platform once it has authenticated the caller, and removed from what callers send.
/// Source: App Service, "Work with user identities in authentication".
const PRINCIPAL: &str = "x-ms-client-principal";
const OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
/// The key of one person of an embedded estate.
const OPERATOR_KEY: &str = "x-poolkeeper-key";

#[derive(Deserialize)]
struct ClientPrincipal {
    /// Who authenticated them: `aad` is Entra.
    auth_typ: Option<String>,
    claims: Vec<Claim>,
    /// Which claim is the name.
    name_typ: Option<String>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// By what somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// The platform has authenticated them.
    Platform,
    /// They sent their key: no page of another site makes a browser do so.
    Key,
    /// Their browser sent the cookie that their key was given for.
    Cookie,
}

/// Whoever sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) means: Means,
}

/// The verified name of whoever sent a request that changes something.
///
/// Errors: 401 with what to do, if nobody vouches for them; 403 if all that does is a cookie, and
/// nothing says that a page of ours sent it; or as [`meant`].
pub(super) fn who(app: &App, headers: &HeaderMap) -> Result<String, Problem> {
    let caller = caller(app, headers)?;
    if caller.means == Means::Cookie && origin(headers) != Origin::Ours {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "a cookie counts for what a page from here sends: send x-poolkeeper-key",
        ));
    }
    meant(&caller, headers)?;
    Ok(caller.name)
}

/// Whether a request that is no form was meant by whoever the platform has authenticated.
///
/// The platform does so by a cookie, too, which a browser adds to whatever a page of anybody sends:
/// as a form or as plain text. JSON it sends to another site only if that allows it, which we never
/// do. And where a cookie came along, a browser sent it, which then says from where; programs send
/// a bearer token.
/// Source: Fetch Standard, "CORS-safelisted request-header" and "CORS-preflight fetch".
///
/// Errors: 415 if it is no JSON; 403 if nothing says that a page of ours sent it.
pub(super) fn meant(caller: &Caller, headers: &HeaderMap) -> Result<(), Problem> {
    if caller.means != Means::Platform {
        return Ok(());
    }
    if !kind_of_body(headers).eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "what changes something is sent as `content-type: application/json`",
        ));
    }
    match origin(headers) {
        Origin::Ours => Ok(()),
        Origin::Unsaid if !headers.contains_key(header::COOKIE) => Ok(()),
        Origin::Unsaid | Origin::Foreign => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "nothing says that a page from here sent this: programs send a bearer token and no cookie",
        )),
    }
}

/// Whoever sent a request, and by what they are known. For what changes something, by a cookie,
/// where it came from is to be asked as well.
///
/// Errors: 401 with what to do, if nobody vouches for them.
pub(super) fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let principals = &app.config.principals;
    let unknown = |why: &str| Problem::new(StatusCode::UNAUTHORIZED, why);
    let known = |name: String, means| Caller { name, means };
    if principals.easy_auth {
        return headers
            .get(PRINCIPAL)
            .and_then(|header| named(header.as_bytes()))
            .map(|name| known(name, Means::Platform))
            .ok_or_else(|| unknown("the platform has not said who is asking: sign in"));
    }
    if principals.keys.is_empty() {
        return Err(unknown(
            "nobody vouches for who is asking: turn on authentication for the app and POOLKEEPER_EASY_AUTH",
        ));
    }
    // Who sends a key means it, whatever cookie comes along.
    if let Some(given) = headers.get(OPERATOR_KEY) {
        return owner(&principals.keys, given.as_bytes())
            .map(|name| known(name.to_owned(), Means::Key))
            .ok_or_else(|| unknown("x-poolkeeper-key is nobody's"));
    }
    signed_in(app, headers)
        .map(|name| known(name, Means::Cookie))
        .ok_or_else(|| {
            unknown(
                "nobody is signed in: send x-poolkeeper-key, or sign in at /api/incidents/sign-in",
            )
        })
}

fn named(header: &[u8]) -> Option<String> {
    let text = BASE64_STANDARD.decode(header).ok()?;
    let principal: ClientPrincipal = serde_json::from_slice(&text).ok()?;
    let claim = |name: &str| {
        principal
            .claims
            .iter()
            .find(|claim| claim.typ == name)
            .map(|claim| claim.val.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    if principal.auth_typ.as_deref() != Some("aad") {
        return None;
    }
    // The id stays theirs, whatever name they have; without it one person could be two.
    let id = claim(OBJECT_ID).or_else(|| claim("oid"))?;
    let name = principal
        .name_typ
        .as_deref()
        .and_then(claim)
        .or_else(|| claim("preferred_username"))
        .or_else(|| claim("appid"));
    Some(person(name.as_deref().unwrap_or(&id), &id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_could_have_been_made_to_send_is_not_taken_for_meant() {
        let by = |means| Caller {
            name: "ann".into(),
            means,
        };
        let json = Some("application/json");
        let ours = Some("same-origin");
        for (name, means, kind, site, cookie, expected) in [
            ("a page of ours", Means::Platform, json, ours, true, None),
            ("a program", Means::Platform, json, None, false, None),
            (
                "a browser that does not say",
                Means::Platform,
                json,
                None,
                true,
                Some(403),
            ),
            (
                "another site",
                Means::Platform,
                json,
                Some("cross-site"),
                true,
                Some(403),
            ),
            (
                "a subdomain",
                Means::Platform,
                json,
                Some("same-site"),
                true,
                Some(403),
            ),
            (
                "plain text",
                Means::Platform,
                Some("text/plain"),
                ours,
                true,
                Some(415),
            ),
            (
                "plain text that mentions JSON",
                Means::Platform,
                Some("text/plain; application/json"),
                ours,
                true,
                Some(415),
            ),
            (
                "JSON with a charset",
                Means::Platform,
                Some("application/json; charset=utf-8"),
                ours,
                true,
                None,
            ),
            ("no kind", Means::Platform, None, None, false, Some(415)),
            ("a key", Means::Key, None, None, false, None),
        ] {
            let mut headers = HeaderMap::new();
            let mut put = |name: &'static str, value: Option<&'static str>| {
                if let Some(value) = value {
                    headers.insert(name, header::HeaderValue::from_static(value));
                }
            };
            put("host", Some("pool.example"));
            put("content-type", kind);
            put("sec-fetch-site", site);
            put("cookie", cookie.then_some("AppServiceAuthSession=x"));
            let came = meant(&by(means), &headers)
                .err()
                .map(|p| p.status().as_u16());
            assert_eq!(came, expected, "{name}");
        }
    }

    #[test]
    fn the_name_that_the_platform_vouches_for() {
        let encode = |json: &str| BASE64_STANDARD.encode(json);
        let id = "http://schemas.microsoft.com/identity/claims/objectidentifier";
        let by = |typ: &str, claims: &str| {
            encode(&format!(
                r#"{{"auth_typ":"{typ}","claims":[{claims}],"name_typ":"upn","role_typ":"roles"}}"#
            ))
        };
        let ann = format!(
            r#"{{"typ":"roles","val":"x"}},{{"typ":"name","val":"Ann"}},{{"typ":"upn","val":"ann@example.com"}},{{"typ":"{id}","val":"1"}}"#
        );
        for (header, expected) in [
            (by("aad", &ann), Some("ann@example.com <1>")),
            (by("facebook", &ann), None),
            (
                by(
                    "aad",
                    r#"{"typ":"preferred_username","val":"bob@example.com"},{"typ":"oid","val":"2"}"#,
                ),
                Some("bob@example.com <2>"),
            ),
            (by("aad", r#"{"typ":"oid","val":"3"}"#), Some("3 <3>")),
            (by("aad", r#"{"typ":"upn","val":"ann@example.com"}"#), None),
            (by("aad", ""), None),
            ("ann@example.com".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(named(header.as_bytes()).as_deref(), expected, "{header}");
        }
    }
}
