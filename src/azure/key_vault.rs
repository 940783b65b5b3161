//! Key Vault: names and dates only, never a value.
//!
//! Source: Key Vault REST 7.5, `GetCertificates`, `GetSecrets`, `GetKeys`; ARM `Vaults_Get`
//! 2023-07-01.

use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::Deserialize;

use super::{Action, Azure, Error, Plane};
use crate::domain::ResourceId;

pub const READ_VAULT: Action = Action("Microsoft.KeyVault/vaults/read");
pub const LIST_CERTIFICATES: Action =
    Action("Microsoft.KeyVault/vaults/certificates/read (data action)");
pub const LIST_SECRETS: Action =
    Action("Microsoft.KeyVault/vaults/secrets/readMetadata/action (data action)");
pub const LIST_KEYS: Action = Action("Microsoft.KeyVault/vaults/keys/read (data action)");

/// What kind of thing a vault holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    Certificate,
    Secret,
    Key,
}

impl ItemKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Secret => "secret",
            Self::Key => "key",
        }
    }
}

/// The newest version of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: ItemKind,
    pub name: String,
    pub enabled: bool,
    pub not_before: Option<DateTime<Utc>>,
    pub expires: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Vault {
    properties: VaultProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VaultProperties {
    vault_uri: String,
}

#[derive(Deserialize)]
struct Row {
    /// Certificates and secrets have `id`, keys have `kid`.
    #[serde(alias = "kid")]
    id: String,
    attributes: Attributes,
    /// Set on the secret and the key behind a certificate.
    #[serde(default)]
    managed: bool,
}

#[derive(Deserialize)]
struct Attributes {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
}

/// Everything in a vault. The secret and the key behind a certificate are left out: they are the
/// certificate once more.
pub async fn items(azure: &Azure, vault: &ResourceId) -> Result<Vec<Item>, Error> {
    let found: Vault = azure
        .get(
            Plane::Arm,
            azure.arm(vault.as_str(), "2023-07-01")?,
            READ_VAULT,
            vault.as_str(),
        )
        .await?;
    let base = Url::parse(&found.properties.vault_uri).map_err(|e| Error::Unexpected {
        what: vault.to_string(),
        why: format!("vaultUri: {e}"),
    })?;
    let (certificates, secrets, keys) = tokio::try_join!(
        list(
            azure,
            &base,
            vault,
            ItemKind::Certificate,
            LIST_CERTIFICATES
        ),
        list(azure, &base, vault, ItemKind::Secret, LIST_SECRETS),
        list(azure, &base, vault, ItemKind::Key, LIST_KEYS),
    )?;
    Ok([certificates, secrets, keys].concat())
}

async fn list(
    azure: &Azure,
    base: &Url,
    vault: &ResourceId,
    kind: ItemKind,
    action: Action,
) -> Result<Vec<Item>, Error> {
    let mut url = base.clone();
    let path = base.path().trim_end_matches('/');
    url.set_path(&format!("{path}/{}s", kind.as_str()));
    url.set_query(Some("api-version=7.5&maxresults=25"));
    let rows: Vec<Row> = azure
        .list(Plane::Vault, url, action, vault.as_str())
        .await?;
    let time = |seconds: i64| DateTime::from_timestamp(seconds, 0);
    Ok(rows
        .into_iter()
        .filter(|row| !row.managed)
        .map(|row| Item {
            kind,
            name: row.id.rsplit('/').next().unwrap_or_default().to_owned(),
            enabled: row.attributes.enabled.unwrap_or(true),
            not_before: row.attributes.nbf.and_then(time),
            expires: row.attributes.exp.and_then(time),
        })
        .collect())
}
