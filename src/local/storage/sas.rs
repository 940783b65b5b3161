//! Account shared access signatures: who may call the simulator.
//!
//! Source: Storage REST, "Create an account SAS", the string to sign before version 2020-12-06
//! has no encryption scope.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use rusqlite::OptionalExtension as _;
use sha2::Sha256;

use super::db::Db;
use super::wire::{Call, Refusal};

const VERSION: &str = "2020-10-02";
const EXPIRY: &str = "2099-01-01T00:00:00Z";

/// How a caller was let in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Signature,
    Token,
}

/// The account's key, made once and kept with the state, so that URLs survive a restart.
pub(in crate::local) struct Key(Vec<u8>);

impl Key {
    pub(super) async fn load(db: &Db) -> anyhow::Result<Self> {
        let text = db
            .run(|db| {
                let known: Option<String> = db
                    .query_row("SELECT value FROM facts WHERE name = 'key'", [], |r| {
                        r.get(0)
                    })
                    .optional()?;
                if let Some(key) = known {
                    return Ok(key);
                }
                let mut bytes = uuid::Uuid::new_v4().into_bytes().to_vec();
                bytes.extend(uuid::Uuid::new_v4().into_bytes());
                let key = BASE64_STANDARD.encode(bytes);
                db.execute("INSERT INTO facts (name, value) VALUES ('key', ?1)", [&key])?;
                Ok(key)
            })
            .await
            .map_err(|refusal| anyhow::anyhow!("read the account key: {refusal:?}"))?;
        Ok(Self(BASE64_STANDARD.decode(text)?))
    }

    /// The query of a URL that may do everything in one service of an account, `b` or `q`.
    pub(in crate::local) fn account_sas(&self, account: &str, service: &str) -> String {
        let text = to_sign(
            account, "rwdlacup", service, "sco", "", EXPIRY, "", "http", VERSION,
        );
        let signature = BASE64_STANDARD.encode(self.mac(&text).finalize().into_bytes());
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("sv", VERSION)
            .append_pair("ss", service)
            .append_pair("srt", "sco")
            .append_pair("sp", "rwdlacup")
            .append_pair("se", EXPIRY)
            .append_pair("spr", "http")
            .append_pair("sig", &signature)
            .finish()
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        mac
    }

    /// An access token for `audience`, good until `expiry` (seconds since 1970).
    pub(in crate::local) fn token(&self, audience: &str, expiry: i64) -> String {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(format!("{expiry} {audience}"));
        let mac = self.mac(&claims).finalize().into_bytes();
        format!("{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
    }

    /// The audience of a token that is ours and has not run out.
    pub(in crate::local) fn audience(&self, token: &str) -> Option<String> {
        let (claims, signature) = token.split_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(claims).verify_slice(&signature).ok()?;
        let claims = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let (expiry, audience) = claims.split_once(' ')?;
        (expiry.parse::<i64>().ok()? > Utc::now().timestamp()).then(|| audience.to_owned())
    }

    /// Lets a call in whose signature is ours, fits the service and has not run out, or whose
    /// token is for storage.
    pub(super) fn admit(&self, call: &Call) -> Result<Who, Refusal> {
        if let Some(token) = call
            .header("authorization")
            .and_then(|a| a.strip_prefix("Bearer "))
        {
            return match self.audience(token) {
                Some(audience) if audience.trim_end_matches('/') == "https://storage.azure.com" => {
                    Ok(Who::Token)
                }
                _ => Err(Refusal::new(
                    401,
                    "InvalidAuthenticationInfo",
                    "the token is not for storage, or has run out",
                )),
            };
        }
        let refused = |why: &str| Refusal::new(403, "AuthenticationFailed", why);
        let part = |name| call.param(name).unwrap_or_default();
        let signature = BASE64_STANDARD
            .decode(part("sig"))
            .ok()
            .filter(|s| !s.is_empty())
            .ok_or_else(|| refused("the request carries no signature"))?;
        let text = to_sign(
            &call.account,
            part("sp"),
            part("ss"),
            part("srt"),
            part("st"),
            part("se"),
            part("sip"),
            part("spr"),
            part("sv"),
        );
        // Compared in constant time by the crate.
        self.mac(&text)
            .verify_slice(&signature)
            .map_err(|_| refused("the signature does not fit"))?;
        let letter = if call.service == "blob" { 'b' } else { 'q' };
        if !part("ss").contains(letter) {
            return Err(refused("the signature is for another service"));
        }
        match DateTime::parse_from_rfc3339(part("se")) {
            Ok(expiry) if expiry > Utc::now() => Ok(Who::Signature),
            _ => Err(refused("the signature has run out")),
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the fields of a signature, in their order"
)]
fn to_sign(
    account: &str,
    sp: &str,
    ss: &str,
    srt: &str,
    st: &str,
    se: &str,
    sip: &str,
    spr: &str,
    sv: &str,
) -> String {
    format!("{account}\n{sp}\n{ss}\n{srt}\n{st}\n{se}\n{sip}\n{spr}\n{sv}\n")
}
