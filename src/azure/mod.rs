//! Azure at arm's length: one careful handle, and free functions over it, one file per service.
//!
//! A token goes only to addresses of Azure, or to the one loopback address that the settings
//! name. Calls are paced before Azure has to ask for it, tried again when that is safe, and every
//! failure says what the caller can do about it.

mod address;
pub mod alerts;
pub mod blobs;
mod call;
pub mod container_apps;
pub mod cosmos;
mod credential;
mod error;
pub mod graph;
pub mod key_vault;
pub mod log_analytics;
pub mod logs;
pub mod metrics;
mod operation;
mod pace;
mod page;
pub mod redis;
pub mod storage;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::time::OffsetDateTime;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Url;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use address::Plane;
pub use call::{Answer, Call, Permit};
pub use credential::credential;
pub use error::{Error, without_queries};

use crate::config::AzureSettings;
use crate::domain::person;
use pace::Pacer;

/// A permission as Azure names it, such as `Microsoft.KeyVault/vaults/read`. Each function of this
/// room declares the one that it needs, and a refusal names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action(pub &'static str);

impl Action {
    /// The permission alone, without what kind of one it is.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.split(" (").next().unwrap_or(self.0)
    }
}

/// Every permission that a function of this room declares. Tests grant these and no other, and hold
/// the README to them.
#[must_use]
pub fn declared() -> Vec<Action> {
    vec![
        alerts::READ_ALERT,
        blobs::LIST,
        blobs::DELETE,
        container_apps::READ_APP,
        container_apps::WRITE_APP,
        container_apps::READ_REVISIONS,
        container_apps::RESTART_REVISION,
        container_apps::READ_REPLICAS,
        container_apps::READ_CERTIFICATE,
        cosmos::READ_ACCOUNT,
        cosmos::READ_CONTAINERS,
        cosmos::WRITE_CONTAINER,
        cosmos::READ_THROUGHPUT,
        cosmos::WRITE_THROUGHPUT,
        cosmos::READ_DATABASE_THROUGHPUT,
        cosmos::WRITE_DATABASE_THROUGHPUT,
        graph::READ_APPLICATIONS,
        key_vault::READ_VAULT,
        key_vault::LIST_CERTIFICATES,
        key_vault::LIST_SECRETS,
        key_vault::LIST_KEYS,
        log_analytics::READ_WORKSPACE,
        log_analytics::READ_TABLES,
        logs::QUERY,
        logs::QUERY_TABLES,
        logs::QUERY_RESOURCE,
        metrics::READ_METRICS,
        redis::READ_CACHE,
        redis::FLUSH_CACHE,
        storage::READ_ACCOUNT,
        storage::READ_CONTAINERS,
        storage::READ_LIFECYCLE,
    ]
}

/// How many calls of one plane may be under way at once.
fn at_once(plane: Plane) -> usize {
    match plane {
        // Azure takes five queries of one caller at the same time.
        Plane::Logs => 5,
        _ => 32,
    }
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// A token that has not come by then does not come.
const TOKEN_LIMIT: Duration = Duration::from_secs(30);
/// A token is renewed when it has less than this left.
const TOKEN_MARGIN: Duration = Duration::from_secs(300);

/// The handle. Opening it touches nothing.
pub struct Azure {
    http: reqwest::Client,
    credential: Arc<dyn TokenCredential>,
    tokens: Mutex<HashMap<&'static str, AccessToken>>,
    /// Held while a token is fetched, so that many callers ask for it once.
    fetching: tokio::sync::Mutex<()>,
    arm: Url,
    logs: Url,
    pacer: Pacer,
    slots: HashMap<Plane, Semaphore>,
}

impl Azure {
    pub fn open(settings: &AzureSettings) -> Result<Self, Error> {
        let arm = Url::parse(&settings.arm_endpoint)
            .map_err(|e| Error::Setting(format!("POOLKEEPER_ARM_ENDPOINT: {e}")))?;
        let logs = Url::parse(&settings.logs_endpoint)
            .map_err(|e| Error::Setting(format!("POOLKEEPER_LOGS_ENDPOINT: {e}")))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            // A redirect would carry the token where nobody checked.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("poolkeeper/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::Setting(format!("the HTTP client: {e}")))?;
        Ok(Self {
            http,
            credential: credential(&settings.identity).map_err(Error::Setting)?,
            tokens: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            arm,
            logs,
            pacer: Pacer::default(),
            slots: Plane::ALL
                .map(|plane| (plane, Semaphore::new(at_once(plane))))
                .into(),
        })
    }

    /// A URL of Azure Resource Manager. `path` begins with a slash.
    ///
    /// Errors: [`Error::Foreign`] if a URL would read the path in another way than it is written,
    /// as one with `..` in it: then it names something else than what was judged.
    pub(crate) fn arm(&self, path: &str, version: &str) -> Result<Url, Error> {
        let mut url = as_written(&self.arm, path)?;
        url.set_query(Some(&format!("api-version={version}")));
        Ok(url)
    }

    /// A URL of Log Analytics' query API. `path` begins with a slash.
    ///
    /// Errors: as for [`Azure::arm`].
    pub(crate) fn logs(&self, path: &str) -> Result<Url, Error> {
        as_written(&self.logs, path)
    }

    /// A URL of Azure Monitor's metrics in a region, which may be written as Azure shows it: `Japan
    /// East`. On loopback they lie beside ARM.
    ///
    /// Errors: as for [`Azure::arm`]; a region that is no part of a host's name.
    pub(crate) fn metrics(&self, region: &str, path: &str) -> Result<Url, Error> {
        let region = region.replace(' ', "").to_ascii_lowercase();
        let plain = !region.is_empty() && region.chars().all(|c| c.is_ascii_alphanumeric());
        if !plain {
            return Err(Error::Foreign("a region that is no name of one".into()));
        }
        let mut base = self.arm.clone();
        if !address::is_loopback(&self.arm) {
            base = Url::parse(&format!("https://{region}.metrics.monitor.azure.com"))
                .map_err(|e| Error::Foreign(e.to_string()))?;
        }
        let mut url = as_written(&base, path)?;
        url.set_query(Some(&format!("api-version={}", metrics::API_VERSION)));
        Ok(url)
    }

    /// A URL of Microsoft Graph. On loopback it lies beside ARM.
    pub(crate) fn graph(&self, path: &str) -> Url {
        if address::is_loopback(&self.arm) {
            let mut url = self.arm.clone();
            url.set_path(&format!("/graph{path}"));
            return url;
        }
        let mut url = Url::parse("https://graph.microsoft.com").expect("a URL");
        url.set_path(path);
        url
    }

    /// Who the credential is: the name that Entra wrote into its token.
    ///
    /// The token came from Entra itself over TLS, so its claims are taken as they are.
    pub async fn principal(&self) -> Result<String, Error> {
        let token = self.token(Plane::Arm).await?;
        name_in(&token).ok_or_else(|| Error::Credential {
            audience: Plane::Arm.audience(),
            why: "the token names nobody".into(),
        })
    }

    /// Sets how many calls a second the storage account behind `url` is given.
    pub fn pace_account(&self, url: &Url, per_second: u32) {
        self.pacer.set(&call::scope(url), f64::from(per_second));
    }

    async fn slot(&self, plane: Plane) -> Result<SemaphorePermit<'_>, Error> {
        self.slots[&plane]
            .acquire()
            .await
            .map_err(|_| Error::Setting("this process is stopping".into()))
    }

    /// A token for `plane`, from memory while it is good.
    async fn token(&self, plane: Plane) -> Result<String, Error> {
        let audience = plane.audience();
        if let Some(token) = self.kept_token(audience) {
            return Ok(token);
        }
        let _alone = self.fetching.lock().await;
        if let Some(token) = self.kept_token(audience) {
            return Ok(token);
        }
        let scopes = [audience];
        let asked = self.credential.get_token(&scopes, None);
        let failed = |why: String| Error::Credential { audience, why };
        let token = tokio::time::timeout(TOKEN_LIMIT, asked)
            .await
            .map_err(|_| failed(format!("none came within {} s", TOKEN_LIMIT.as_secs())))?
            .map_err(|e| failed(without_queries(&e.to_string())))?;
        let secret = token.token.secret().to_owned();
        self.tokens().insert(audience, token);
        Ok(secret)
    }

    fn kept_token(&self, audience: &str) -> Option<String> {
        let now = OffsetDateTime::now_utc();
        self.tokens()
            .get(audience)
            .filter(|token| token.expires_on - TOKEN_MARGIN > now)
            .map(|token| token.token.secret().to_owned())
    }

    /// Forgets a token that Azure no longer takes.
    fn forget_token(&self, plane: Plane) {
        self.tokens().remove(plane.audience());
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, AccessToken>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `path` at `base`, if a URL reads it as it is written.
fn as_written(base: &Url, path: &str) -> Result<Url, Error> {
    let is_odd = |part: &str| part.is_empty() || part == "." || part == "..";
    let plain = path
        .strip_prefix('/')
        .is_some_and(|rest| !rest.split('/').any(is_odd))
        && !path
            .chars()
            .any(|c| c.is_control() || matches!(c, '%' | '?' | '#' | '\\'));
    if !plain {
        return Err(Error::Foreign("a path that a URL reads differently".into()));
    }
    let mut url = base.clone();
    url.set_path(path);
    Ok(url)
}

/// Who the claims of a token name: a person, else an application, with their object id.
fn name_in(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD
        .decode(claims.trim_end_matches('='))
        .ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let claim = |name: &str| claims[name].as_str().filter(|text| !text.is_empty());
    let id = claim("oid")?;
    let name = ["upn", "preferred_username", "unique_name", "appid"]
        .iter()
        .find_map(|name| claim(name));
    Some(person(name.unwrap_or(id), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_a_token_names() {
        let token = |claims: &str| format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims));
        for (token, expected) in [
            (
                token(r#"{"upn":"ann@example.com","oid":"1"}"#),
                Some("ann@example.com <1>"),
            ),
            (token(r#"{"appid":"2","oid":"1"}"#), Some("2 <1>")),
            (token(r#"{"upn":"ann@example.com"}"#), None),
            (token(r#"{"sub":"x"}"#), None),
            ("no token".to_owned(), None),
        ] {
            assert_eq!(name_in(&token).as_deref(), expected);
        }
    }
}
