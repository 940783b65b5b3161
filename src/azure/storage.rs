//! Storage accounts through Azure Resource Manager: addresses, containers, lifecycle rules.
//!
//! Source: Storage resource provider 2023-05-01.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::Deserialize;

use super::{Action, Azure, Error, Plane};
use crate::domain::ResourceId;

const API_VERSION: &str = "2023-05-01";

pub const READ_ACCOUNT: Action = Action("Microsoft.Storage/storageAccounts/read");
pub const READ_CONTAINERS: Action =
    Action("Microsoft.Storage/storageAccounts/blobServices/containers/read");
pub const READ_LIFECYCLE: Action =
    Action("Microsoft.Storage/storageAccounts/managementPolicies/read");

/// A blob container, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub legal_hold: bool,
    /// It has an immutability policy.
    pub immutable: bool,
    pub metadata: BTreeMap<String, String>,
}

/// A lifecycle rule that deletes blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionRule {
    pub name: String,
    /// `container/beginning-of-the-name`; every blob when empty.
    pub prefixes: Vec<String>,
    /// Days after the last write.
    pub after_days: u32,
    /// Kinds of blobs that it covers: `blockBlob`, `appendBlob`.
    pub kinds: Vec<String>,
}

/// Where the blobs of an account are.
pub async fn blob_endpoint(azure: &Azure, account: &ResourceId) -> Result<Url, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        primary_endpoints: Endpoints,
    }
    #[derive(Deserialize)]
    struct Endpoints {
        blob: String,
    }
    let url = azure.arm(account.as_str(), API_VERSION)?;
    let body: Body = azure
        .get(Plane::Arm, url, READ_ACCOUNT, account.as_str())
        .await?;
    let endpoint =
        Url::parse(&body.properties.primary_endpoints.blob).map_err(|e| Error::Unexpected {
            what: account.to_string(),
            why: format!("primaryEndpoints.blob: {e}"),
        })?;
    azure.check(Plane::Blob, &endpoint)?;
    Ok(endpoint)
}

/// Reads one container; `None` if it does not exist. Lists of containers leave their metadata out,
/// so each is asked for by itself.
pub async fn container(
    azure: &Azure,
    account: &ResourceId,
    name: &str,
) -> Result<Option<Container>, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        has_legal_hold: Option<bool>,
        has_immutability_policy: Option<bool>,
        metadata: Option<BTreeMap<String, String>>,
    }
    let id = account.blob_container(name);
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let answer: Result<Body, Error> = azure
        .get(Plane::Arm, url, READ_CONTAINERS, id.as_str())
        .await;
    match answer {
        Ok(body) => Ok(Some(Container {
            name: name.to_owned(),
            legal_hold: body.properties.has_legal_hold.unwrap_or(false),
            immutable: body.properties.has_immutability_policy.unwrap_or(false),
            metadata: body.properties.metadata.unwrap_or_default(),
        })),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lifecycle rules of an account that are on and delete blobs, whatever their index tags.
pub async fn deletion_rules(
    azure: &Azure,
    account: &ResourceId,
) -> Result<Vec<DeletionRule>, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    struct Properties {
        policy: Policy,
    }
    #[derive(Deserialize)]
    struct Policy {
        rules: Vec<Rule>,
    }
    #[derive(Deserialize)]
    struct Rule {
        name: String,
        enabled: Option<bool>,
        definition: Definition,
    }
    #[derive(Deserialize)]
    struct Definition {
        actions: Actions,
        filters: Option<Filters>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Actions {
        base_blob: Option<BaseBlob>,
    }
    #[derive(Deserialize)]
    struct BaseBlob {
        delete: Option<Delete>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Delete {
        days_after_modification_greater_than: Option<f64>,
        /// A blob was made no later than it was last written, so this is no later either.
        days_after_creation_greater_than: Option<f64>,
        days_after_last_access_time_greater_than: Option<f64>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Filters {
        prefix_match: Option<Vec<String>>,
        blob_types: Vec<String>,
        blob_index_match: Option<Vec<serde_json::Value>>,
    }
    let url = azure.arm(
        &format!("{account}/managementPolicies/default"),
        API_VERSION,
    )?;
    let answer: Result<Body, Error> = azure
        .get(Plane::Arm, url, READ_LIFECYCLE, account.as_str())
        .await;
    let rules = match answer {
        Ok(body) => body.properties.policy.rules,
        Err(Error::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(rules
        .into_iter()
        .filter(|rule| rule.enabled.unwrap_or(true))
        .filter_map(|rule| {
            let delete = rule.definition.actions.base_blob?.delete?;
            // Who reads a blob puts such a rule off, so it covers nothing.
            if delete.days_after_last_access_time_greater_than.is_some() {
                return None;
            }
            let days = delete
                .days_after_modification_greater_than
                .or(delete.days_after_creation_greater_than)?;
            let filters = rule.definition.filters;
            let by_tag = filters
                .as_ref()
                .and_then(|f| f.blob_index_match.as_ref())
                .is_some_and(|tags| !tags.is_empty());
            (!by_tag).then(|| DeletionRule {
                name: rule.name,
                prefixes: filters
                    .as_ref()
                    .and_then(|f| f.prefix_match.clone())
                    .unwrap_or_default(),
                after_days: days.ceil() as u32,
                kinds: filters.map(|f| f.blob_types).unwrap_or_default(),
            })
        })
        .collect())
}
