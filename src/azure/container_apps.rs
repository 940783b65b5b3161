//! Container Apps: scale, revisions, replicas and custom domains.
//!
//! Source: Container Apps resource provider 2024-03-01.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Action, Azure, Call, Error, Permit, Plane};
use crate::domain::{Replica, Replicas, ResourceId, Weight};

const API_VERSION: &str = "2024-03-01";

pub const READ_APP: Action = Action("Microsoft.App/containerApps/read");
pub const WRITE_APP: Action = Action("Microsoft.App/containerApps/write");
pub const READ_REVISIONS: Action = Action("Microsoft.App/containerApps/revisions/read");
pub const RESTART_REVISION: Action = Action("Microsoft.App/containerApps/revisions/restart/action");
pub const READ_REPLICAS: Action = Action("Microsoft.App/containerApps/revisions/replicas/read");
pub const READ_CERTIFICATE: Action = Action("Microsoft.App/managedEnvironments/certificates/read");

/// An app, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub location: String,
    pub replicas: Replicas,
    /// The newest revision that is ready.
    pub latest_revision: Option<String>,
    /// The newest revision, ready or not.
    pub newest_revision: Option<String>,
    /// Several revisions run beside each other, and requests go where `traffic` says.
    pub multiple: bool,
    /// What part of the requests goes where; empty without ingress.
    pub traffic: Vec<Weight>,
    pub domains: Vec<Domain>,
}

/// A name of its own under which an app is reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    pub name: String,
    /// The certificate in the app's environment; a name without one is served without TLS.
    pub certificate_id: Option<String>,
}

/// A version of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub name: String,
    pub active: bool,
    /// How many replicas run now.
    pub replicas: u32,
    /// Percent.
    pub traffic: u32,
    /// What Azure's own probes say: `Healthy`, `Unhealthy` or `None`.
    pub health: String,
    /// `Provisioning`, `Provisioned`, `Failed`, `Deprovisioning` or `Deprovisioned`.
    pub provisioning: String,
    /// `Running`, `Processing`, `Stopped`, `Degraded`, `Failed` or `Unknown`.
    pub running: String,
    /// Why it could not be provisioned.
    pub error: Option<String>,
}

impl Revision {
    /// Whether Azure itself says that it does not do what it should.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.health == "Unhealthy"
            || matches!(self.running.as_str(), "Degraded" | "Failed")
            || self.has_failed()
    }

    /// Whether it will never run.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.provisioning == "Failed"
    }

    /// Whether it may be given requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.active && self.provisioning == "Provisioned" && !self.fails()
    }
}

/// Reads an app.
pub async fn app(azure: &Azure, id: &ResourceId) -> Result<App, Error> {
    #[derive(Deserialize)]
    struct Body {
        location: String,
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        latest_ready_revision_name: Option<String>,
        latest_revision_name: Option<String>,
        configuration: Option<Configuration>,
        template: Option<Template>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Configuration {
        active_revisions_mode: Option<String>,
        ingress: Option<Ingress>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Ingress {
        custom_domains: Option<Vec<Domain>>,
        traffic: Option<Vec<Part>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Part {
        revision_name: Option<String>,
        latest_revision: Option<bool>,
        weight: Option<u32>,
    }
    #[derive(Deserialize)]
    struct Template {
        scale: Option<Scale>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Scale {
        min_replicas: Option<u32>,
        max_replicas: Option<u32>,
    }
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let body: Body = azure.get(Plane::Arm, url, READ_APP, id.as_str()).await?;
    let scale = body.properties.template.and_then(|t| t.scale);
    let configuration = body.properties.configuration;
    let mode = configuration
        .as_ref()
        .and_then(|c| c.active_revisions_mode.as_deref());
    let multiple = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("multiple"));
    let ingress = configuration.and_then(|c| c.ingress);
    let (domains, parts) = ingress.map_or_else(Default::default, |i| {
        (
            i.custom_domains.unwrap_or_default(),
            i.traffic.unwrap_or_default(),
        )
    });
    Ok(App {
        location: body.location,
        // What Azure assumes where nothing is written.
        replicas: Replicas {
            least: scale.as_ref().and_then(|s| s.min_replicas).unwrap_or(0),
            most: scale.as_ref().and_then(|s| s.max_replicas).unwrap_or(10),
        },
        latest_revision: body.properties.latest_ready_revision_name,
        newest_revision: body.properties.latest_revision_name,
        multiple,
        traffic: parts
            .into_iter()
            .map(|part| Weight {
                revision: part
                    .revision_name
                    .filter(|_| part.latest_revision != Some(true)),
                percent: part.weight.unwrap_or(0),
            })
            .collect(),
        domains,
    })
}

/// Sets how many replicas an app may have, and waits for Azure. It makes a new revision. Asking
/// twice for the same is harmless.
pub async fn set_replicas(
    azure: &Azure,
    id: &ResourceId,
    location: &str,
    to: Replicas,
    permit: &dyn Permit,
) -> Result<(), Error> {
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let call = Call::new(Plane::Arm, Method::PATCH, url, WRITE_APP, id.as_str())
        .body(json!({
            "location": location,
            "properties": {
                "template": { "scale": { "minReplicas": to.least, "maxReplicas": to.most } },
            },
        }))
        .permit(permit);
    azure.finish(&call).await
}

/// Sets what part of an app's requests goes where, and waits for Azure. It makes no revision.
/// Asking twice for the same is harmless.
pub async fn set_traffic(
    azure: &Azure,
    id: &ResourceId,
    location: &str,
    to: &[Weight],
    permit: &dyn Permit,
) -> Result<(), Error> {
    let parts: Vec<_> = to
        .iter()
        .map(|part| match &part.revision {
            Some(revision) => json!({ "revisionName": revision, "weight": part.percent }),
            None => json!({ "latestRevision": true, "weight": part.percent }),
        })
        .collect();
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let call = Call::new(Plane::Arm, Method::PATCH, url, WRITE_APP, id.as_str())
        .body(json!({
            "location": location,
            "properties": { "configuration": { "ingress": { "traffic": parts } } },
        }))
        .permit(permit);
    azure.finish(&call).await
}

/// The revisions of an app.
pub async fn revisions(azure: &Azure, id: &ResourceId) -> Result<Vec<Revision>, Error> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        active: Option<bool>,
        replicas: Option<u32>,
        traffic_weight: Option<u32>,
        health_state: Option<String>,
        provisioning_state: Option<String>,
        running_state: Option<String>,
        provisioning_error: Option<String>,
    }
    let url = azure.arm(&format!("{id}/revisions"), API_VERSION)?;
    let rows: Vec<Row> = azure
        .list(Plane::Arm, url, READ_REVISIONS, id.as_str())
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Revision {
            name: row.name,
            active: row.properties.active.unwrap_or(false),
            replicas: row.properties.replicas.unwrap_or(0),
            traffic: row.properties.traffic_weight.unwrap_or(0),
            health: row.properties.health_state.unwrap_or_default(),
            provisioning: row.properties.provisioning_state.unwrap_or_default(),
            running: row.properties.running_state.unwrap_or_default(),
            error: row.properties.provisioning_error,
        })
        .collect())
}

/// Restarts the replicas of a revision. Not repeated by itself when the answer is lost: whether it
/// happened is seen from [`running`].
pub async fn restart(
    azure: &Azure,
    id: &ResourceId,
    revision: &str,
    permit: &dyn Permit,
) -> Result<(), Error> {
    let url = azure.arm(&format!("{id}/revisions/{revision}/restart"), API_VERSION)?;
    let call =
        Call::new(Plane::Arm, Method::POST, url, RESTART_REVISION, id.as_str()).permit(permit);
    azure.finish(&call).await
}

/// The replicas of a revision, each with when it was started.
pub async fn running(
    azure: &Azure,
    id: &ResourceId,
    revision: &str,
) -> Result<Vec<Replica>, Error> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        created_time: DateTime<Utc>,
    }
    let path = format!("{id}/revisions/{revision}/replicas");
    let url = azure.arm(&path, API_VERSION)?;
    let rows: Vec<Row> = azure
        .list(Plane::Arm, url, READ_REPLICAS, id.as_str())
        .await?;
    let replica = |row: Row| Replica {
        name: row.name,
        started: row.properties.created_time,
    };
    Ok(rows.into_iter().map(replica).collect())
}

/// When a certificate of an environment ends; `None` where Azure renews it by itself, as it does
/// with managed ones, which are not asked for.
pub async fn certificate_expires(
    azure: &Azure,
    certificate: &str,
) -> Result<Option<DateTime<Utc>>, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        expiration_date: Option<DateTime<Utc>>,
    }
    if certificate
        .to_ascii_lowercase()
        .contains("/managedcertificates/")
    {
        return Ok(None);
    }
    let url = azure.arm(certificate, API_VERSION)?;
    let body: Body = azure
        .get(Plane::Arm, url, READ_CERTIFICATE, certificate)
        .await?;
    Ok(body.properties.expiration_date)
}
