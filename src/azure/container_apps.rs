//! Container Apps: scale, revisions, replicas and custom domains.
//!
//! Source: Container Apps resource provider 2024-03-01.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Action, Azure, Call, Error, Permit, Plane};
use crate::domain::{Replica, Replicas, ResourceId, Utilization, Weight, utilizations};

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

/// The rules of an app by which replicas are added when theirs use much of their CPU or memory, by
/// the name of the resource.
pub async fn scale_rules(azure: &Azure, id: &ResourceId) -> Result<Vec<Utilization>, Error> {
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let body: Value = azure.get(Plane::Arm, url, READ_APP, id.as_str()).await?;
    Ok(by_utilization(written_rules(&body)))
}

/// Replaces the rules by utilization of an app, and waits for Azure. It makes a new revision. Every
/// other rule stays as it is, also what is not known here: all of them are read just before, and
/// sent back. Asking twice for the same is harmless.
///
/// Errors: [`Error::Changed`] if the rules are not `from` any more; nothing is sent then.
///
/// Source: Container Apps, "Set scaling rules", custom rules of types `cpu` and `memory`.
pub async fn set_scale_rules(
    azure: &Azure,
    id: &ResourceId,
    from: &[Utilization],
    to: &[Utilization],
    permit: &dyn Permit,
) -> Result<(), Error> {
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let app: Value = azure
        .get(Plane::Arm, url.clone(), READ_APP, id.as_str())
        .await?;
    let found = written_rules(&app);
    let known = by_utilization(found);
    if known != from {
        return Err(Error::Changed {
            what: id.to_string(),
            code: format!("other scale rules: {}", utilizations(&known)),
        });
    }
    let rules = turned(found, to).map_err(Error::Setting)?;
    let call = Call::new(Plane::Arm, Method::PATCH, url, WRITE_APP, id.as_str())
        .body(json!({
            "location": app["location"],
            "properties": { "template": { "scale": { "rules": rules } } },
        }))
        .permit(permit);
    azure.finish(&call).await
}

fn written_rules(app: &Value) -> &[Value] {
    let rules = app["properties"]["template"]["scale"]["rules"].as_array();
    rules.map_or(&[], Vec::as_slice)
}

fn by_utilization(rules: &[Value]) -> Vec<Utilization> {
    let mut found: Vec<_> = rules.iter().filter_map(utilization).collect();
    found.sort_by(|a, b| a.resource.cmp(&b.resource));
    found
}

/// A rule as one by utilization; `None` if it is of another kind.
fn utilization(rule: &Value) -> Option<Utilization> {
    let custom = &rule["custom"];
    let resource = custom["type"].as_str()?.to_ascii_lowercase();
    let by_share = custom["metadata"]["type"]
        .as_str()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("Utilization"));
    let percent = custom["metadata"]["value"].as_str()?.parse().ok()?;
    (matches!(resource.as_str(), "cpu" | "memory") && by_share)
        .then_some(Utilization { resource, percent })
}

/// The rules with these by utilization: those that are there keep their place and their name.
///
/// Errors: a rule of another kind looks at the same resource; which of them is wanted only people
/// know.
fn turned(found: &[Value], to: &[Utilization]) -> Result<Vec<Value>, String> {
    let mut rules = Vec::new();
    let mut left: Vec<&Utilization> = to.iter().collect();
    for rule in found {
        let Some(known) = utilization(rule) else {
            let kind = rule["custom"]["type"].as_str().unwrap_or_default();
            if to.iter().any(|one| one.resource.eq_ignore_ascii_case(kind)) {
                let name = rule["name"].as_str().unwrap_or_default();
                return Err(format!(
                    "rule `{name}` looks at {kind} as well, and not by utilization"
                ));
            }
            rules.push(rule.clone());
            continue;
        };
        let Some(place) = left.iter().position(|one| one.resource == known.resource) else {
            continue;
        };
        let wanted = left.remove(place);
        let mut rule = rule.clone();
        rule["custom"]["metadata"]["value"] = json!(wanted.percent.to_string());
        rules.push(rule);
    }
    for one in left {
        let mut name = format!("{}-utilization", one.resource);
        while rules.iter().any(|rule| rule["name"] == json!(name)) {
            name.push('-');
            name.push_str("own");
        }
        rules.push(json!({
            "name": name,
            "custom": {
                "type": one.resource,
                "metadata": { "type": "Utilization", "value": one.percent.to_string() },
            },
        }));
    }
    Ok(rules)
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
    use super::*;

    #[test]
    fn rules_by_utilization_change_and_all_others_stay() {
        let rule = |resource: &str, percent| Utilization {
            resource: resource.into(),
            percent,
        };
        let cpu = json!({ "name": "busy", "custom": { "type": "cpu",
            "metadata": { "type": "Utilization", "value": "60" } } });
        let queue = json!({ "name": "queue", "azureQueue": { "queueName": "q", "queueLength": 20,
            "auth": [{ "secretRef": "s", "triggerParameter": "connection" }] } });
        let found = [cpu.clone(), queue.clone()];
        let seventy = json!({ "name": "busy", "custom": { "type": "cpu",
            "metadata": { "type": "Utilization", "value": "70" } } });
        let memory = json!({ "name": "memory-utilization", "custom": { "type": "memory",
            "metadata": { "type": "Utilization", "value": "80" } } });
        for (name, to, expected) in [
            (
                "another value and another rule",
                vec![rule("cpu", 70), rule("memory", 80)],
                vec![seventy, queue.clone(), memory.clone()],
            ),
            ("none left", vec![], vec![queue.clone()]),
            (
                "one for another",
                vec![rule("memory", 80)],
                vec![queue.clone(), memory],
            ),
            ("the same", vec![rule("cpu", 60)], vec![cpu, queue]),
        ] {
            let rules = turned(&found, &to).expect("rules");
            assert_eq!(rules, expected, "{name}");
            assert_eq!(by_utilization(&rules), to, "{name}: read back");
        }
        let absolute = [json!({ "name": "mine", "custom": { "type": "cpu",
            "metadata": { "type": "AverageValue", "value": "500m" } } })];
        let refused = turned(&absolute, &[rule("cpu", 70)]).expect_err("two of cpu");
        assert!(refused.contains("`mine`"), "{refused}");
    }
}
