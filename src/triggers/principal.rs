//! Who is asking. Never what a body says, and never a header that anybody could have written.

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::web::Problem;
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

/// The verified name of whoever sent the request.
///
/// Errors: 401 with what to do, if nobody vouches for them.
pub(super) fn who(app: &App, headers: &HeaderMap) -> Result<String, Problem> {
    let principals = &app.config.principals;
    let unknown = |why: &str| Problem::new(StatusCode::UNAUTHORIZED, why);
    if principals.easy_auth {
        return headers
            .get(PRINCIPAL)
            .and_then(|header| named(header.as_bytes()))
            .ok_or_else(|| unknown("the platform has not said who is asking: sign in"));
    }
    if principals.keys.is_empty() {
        return Err(unknown(
            "nobody vouches for who is asking: turn on authentication for the app and POOLKEEPER_EASY_AUTH",
        ));
    }
    let given = headers.get(OPERATOR_KEY).map_or(&b""[..], |k| k.as_bytes());
    // Hashed first, so that the time it takes tells nothing.
    let given = Sha256::digest(given);
    principals
        .keys
        .iter()
        .find(|(_, key)| Sha256::digest(key.reveal().as_bytes()) == given)
        .map(|(name, _)| name.clone())
        .ok_or_else(|| unknown("x-poolkeeper-key is nobody's"))
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
