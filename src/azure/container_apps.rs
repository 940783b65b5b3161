//! Container Apps: scale, revisions, replicas and custom domains.
//!
//! Source: Container Apps resource provider 2024-03-01.

mod scale_rules;

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Action, Azure, Call, Error, Permit, Plane};
use crate::domain::{Replica, Replicas, ResourceId, Weight};

pub use scale_rules::{set_scale_rules, utilizations};

const API_VERSION: &str = "2024-03-01";

pub const READ_APP: Action = Action("Microsoft.App/containerApps/read");
pub const WRITE_APP: Action = Action("Microsoft.App/containerApps/write");
pub const READ_REVISIONS: Action = Action("Microsoft.App/containerApps/revisions/read");
pub const RESTART_REVISION: Action = Action("Microsoft.App/containerApps/revisions/restart/action");
pub const READ_REPLICAS: Action = Action("Microsoft.App/containerApps/revisions/replicas/read");
pub const READ_CERTIFICATE: Action = Action("Microsoft.App/managedEnvironments/certificates/read");

/// An app, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
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
    /// By what the platform adds and takes away replicas.
    pub scale_rules: Vec<ScaleRule>,
    /// What one replica has, all its containers together.
    pub vcpu: f64,
    pub gib: f64,
}

impl App {
    /// Whether another revision than the one that serves is on its way, or has failed on it.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        self.newest_revision.is_some() && self.newest_revision != self.latest_revision
    }
}

/// A scale rule, as Azure has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleRule(pub Value);

impl ScaleRule {
    #[must_use]
    pub fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// `cpu` or `memory`, and at how many percent of what replicas have it adds one; `None` for a
    /// rule of another kind.
    #[must_use]
    pub fn utilization(&self) -> Option<(&str, u32)> {
        let custom = &self.0["custom"];
        let metadata = &custom["metadata"];
        let kind = custom["type"].as_str()?;
        let by = metadata["type"].as_str().unwrap_or_default();
        let fits = matches!(kind, "cpu" | "memory") && by.eq_ignore_ascii_case("utilization");
        let percent = metadata["value"].as_str()?.parse().ok()?;
        fits.then_some((kind, percent))
    }
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
        containers: Option<Vec<Container>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Scale {
        min_replicas: Option<u32>,
        max_replicas: Option<u32>,
        rules: Option<Vec<Value>>,
    }
    #[derive(Deserialize)]
    struct Container {
        resources: Option<Resources>,
    }
    #[derive(Deserialize)]
    struct Resources {
        cpu: Option<f64>,
        memory: Option<String>,
    }
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let body: Body = azure.get(Plane::Arm, url, READ_APP, id.as_str()).await?;
    let (scale, containers) = body.properties.template.map_or_else(Default::default, |t| {
        (t.scale, t.containers.unwrap_or_default())
    });
    let resources: Vec<Resources> = containers.into_iter().filter_map(|c| c.resources).collect();
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
        scale_rules: scale
            .and_then(|s| s.rules)
            .unwrap_or_default()
            .into_iter()
            .map(ScaleRule)
            .collect(),
        vcpu: resources.iter().filter_map(|r| r.cpu).sum(),
        gib: resources
            .iter()
            .filter_map(|r| gib(r.memory.as_deref()?))
            .sum(),
    })
}

/// `1.5Gi` or `512Mi` in GiB.
fn gib(text: &str) -> Option<f64> {
    let number = |unit: &str| text.strip_suffix(unit)?.trim().parse::<f64>().ok();
    number("Gi").or_else(|| number("Mi").map(|mib| mib / 1024.0))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ScaleRule, gib};

    #[test]
    fn a_scale_rule_of_utilization_is_told_from_others() {
        let custom = |kind: &str, by: &str, value: &str| {
            let metadata = json!({ "type": by, "value": value });
            ScaleRule(json!({ "name": "r", "custom": { "type": kind, "metadata": metadata } }))
        };
        for (name, rule, expected) in [
            ("cpu", custom("cpu", "Utilization", "70"), Some(("cpu", 70))),
            (
                "memory",
                custom("memory", "utilization", "80"),
                Some(("memory", 80)),
            ),
            ("an amount", custom("cpu", "AverageValue", "70"), None),
            ("no number", custom("cpu", "Utilization", "many"), None),
            ("a queue", custom("azure-queue", "Utilization", "5"), None),
            (
                "requests",
                ScaleRule(
                    json!({ "name": "h", "http": { "metadata": { "concurrentRequests": "50" } } }),
                ),
                None,
            ),
        ] {
            assert_eq!(rule.utilization(), expected, "{name}");
        }
    }

    #[test]
    fn memory_is_read_in_gib() {
        for (text, expected) in [
            ("1.5Gi", Some(1.5)),
            ("512Mi", Some(0.5)),
            ("2", None),
            ("", None),
        ] {
            assert_eq!(gib(text), expected, "{text}");
        }
    }
}
