//! Microsoft Graph: the secrets and certificates of Entra applications, names and dates only.
//!
//! Source: Microsoft Graph v1.0, "List applications".

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Action, Azure, Error, Plane};

pub const READ_APPLICATIONS: Action = Action("Application.Read.All (Microsoft Graph)");

/// A credential of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What people called it, else its key id.
    pub name: String,
    pub is_certificate: bool,
    pub begins: Option<DateTime<Utc>>,
    pub ends: Option<DateTime<Utc>>,
}

/// An application of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    pub name: String,
    pub credentials: Vec<Credential>,
}

/// Reads the application with this application (client) id; `None` if the directory has none.
pub async fn application(azure: &Azure, app_id: &str) -> Result<Option<Application>, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        display_name: Option<String>,
        #[serde(default)]
        password_credentials: Vec<Key>,
        #[serde(default)]
        key_credentials: Vec<Key>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Key {
        key_id: Option<String>,
        display_name: Option<String>,
        start_date_time: Option<DateTime<Utc>>,
        end_date_time: Option<DateTime<Utc>>,
    }
    // The estate file takes nothing but a GUID here.
    let mut url = azure.graph("/v1.0/applications");
    url.query_pairs_mut()
        .append_pair("$filter", &format!("appId eq '{app_id}'"))
        .append_pair(
            "$select",
            "id,appId,displayName,passwordCredentials,keyCredentials",
        );
    let what = format!("application {app_id}");
    let rows: Vec<Row> = azure
        .list(Plane::Graph, url, READ_APPLICATIONS, &what)
        .await?;
    let credential = |key: Key, is_certificate: bool| Credential {
        name: key
            .display_name
            .filter(|name| !name.is_empty())
            .or(key.key_id)
            .unwrap_or_else(|| "without a name".into()),
        is_certificate,
        begins: key.start_date_time,
        ends: key.end_date_time,
    };
    Ok(rows.into_iter().next().map(|row| Application {
        name: row.display_name.unwrap_or_else(|| app_id.to_owned()),
        credentials: row
            .password_credentials
            .into_iter()
            .map(|key| credential(key, false))
            .chain(
                row.key_credentials
                    .into_iter()
                    .map(|key| credential(key, true)),
            )
            .collect(),
    }))
}
