//! Container apps in their environment, with a custom domain whose certificate ends soon.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Documents, LOCATION};
use crate::domain::ResourceId;
use crate::estate::{Kind, Resource, Stamp};

/// The certificate of the custom domain ends in so many days.
const CERTIFICATE_DAYS: i64 = 20;
const CERTIFICATE: &str = "agents-example-com";
const DOMAIN: &str = "agents.example.com";

fn environment_id(stamp: &Stamp) -> ResourceId {
    ResourceId::new(
        &stamp.subscription,
        &stamp.resource_group,
        "Microsoft.App/managedEnvironments",
        &format!("cae-{}", stamp.name),
    )
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) fn environment(stamp: &Stamp, now: DateTime<Utc>) -> Documents {
    let id = environment_id(stamp);
    let certificate = format!("{id}/certificates/{CERTIFICATE}");
    vec![
        (
            id.to_string(),
            json!({
                "id": id,
                "name": format!("cae-{}", stamp.name),
                "type": "Microsoft.App/managedEnvironments",
                "location": LOCATION,
                "properties": {
                    "provisioningState": "Succeeded",
                    "defaultDomain": "calmsea-1a2b3c4d.japaneast.azurecontainerapps.io",
                    "zoneRedundant": true,
                },
            }),
        ),
        (
            certificate.clone(),
            json!({
                "id": certificate,
                "name": CERTIFICATE,
                "type": "Microsoft.App/managedEnvironments/certificates",
                "location": LOCATION,
                "properties": {
                    "provisioningState": "Succeeded",
                    "subjectName": format!("CN={DOMAIN}"),
                    "subjectAlternativeNames": [DOMAIN],
                    "issuer": "CN=Example Issuing CA 2",
                    "issueDate": text(now - Duration::days(345)),
                    "expirationDate": text(now + Duration::days(CERTIFICATE_DAYS)),
                    "thumbprint": "7E5A0C6F3B9D41E28A6C0F1B2D3E4F5061728394",
                    "valid": true,
                },
            }),
        ),
    ]
}

/// An app with an old revision that is put away, and one that runs with two replicas. The first app
/// that is public has the custom domain.
pub(super) fn app(stamp: &Stamp, app: &Resource, now: DateTime<Utc>) -> Documents {
    let environment = environment_id(stamp);
    let domain = "calmsea-1a2b3c4d.japaneast.azurecontainerapps.io";
    let public = app.name.ends_with("-api");
    let template = json!({
        "containers": [{
            "image": format!("cragentsjpe.azurecr.io/{}:1.42.0", app.name),
            "name": app.name,
            "resources": { "cpu": 0.5, "memory": "1Gi" },
        }],
        "scale": { "minReplicas": 2, "maxReplicas": 10, "rules": [
            { "name": "cpu", "custom": { "type": "cpu", "metadata": { "type": "Utilization", "value": "70" } } },
        ] },
    });
    let mut ingress = json!({
        "fqdn": format!("{}.{domain}", app.name),
        "external": public,
        "targetPort": 8080,
        "transport": "auto",
        "traffic": [{ "latestRevision": true, "weight": 100 }],
    });
    if public {
        ingress["customDomains"] = json!([{
            "name": DOMAIN,
            "bindingType": "SniEnabled",
            "certificateId": format!("{environment}/certificates/{CERTIFICATE}"),
        }]);
    }
    let running = format!("{}--a1b2c3", app.name);
    let mut out = vec![(
        app.id.to_string(),
        json!({
            "id": app.id,
            "name": app.name,
            "type": Kind::ContainerApp.azure(),
            "location": LOCATION,
            "tags": {},
            "properties": {
                "provisioningState": "Succeeded",
                "managedEnvironmentId": environment,
                "environmentId": environment,
                "latestRevisionName": running,
                "latestReadyRevisionName": running,
                "latestRevisionFqdn": format!("{running}.{domain}"),
                "configuration": { "activeRevisionsMode": "Single", "ingress": ingress },
                "template": template,
            },
        }),
    )];
    let mut old = template.clone();
    old["containers"][0]["image"] = json!(format!("cragentsjpe.azurecr.io/{}:1.41.2", app.name));
    for (suffix, days, active, template) in
        [("0f9e8d", 34, false, &old), ("a1b2c3", 6, true, &template)]
    {
        let created = now - Duration::days(days);
        out.extend(revision(app, suffix, created, active, template));
    }
    out
}

fn revision(
    app: &Resource,
    suffix: &str,
    created: DateTime<Utc>,
    active: bool,
    template: &Value,
) -> Documents {
    let name = format!("{}--{suffix}", app.name);
    let id = format!("{}/revisions/{name}", app.id);
    let replicas: &[&str] = if active { &["k2x9q", "t7v4m"] } else { &[] };
    let mut out = vec![(
        id.clone(),
        json!({
            "id": id,
            "name": name,
            "type": "Microsoft.App/containerApps/revisions",
            "properties": {
                "createdTime": text(created),
                "active": active,
                "replicas": replicas.len(),
                "trafficWeight": if active { 100 } else { 0 },
                "healthState": "Healthy",
                "provisioningState": "Provisioned",
                "runningState": if active { "Running" } else { "Stopped" },
                "template": template,
            },
        }),
    )];
    for suffix in replicas {
        let replica = format!("{name}-6d8c5f9b7-{suffix}");
        let id = format!("{id}/replicas/{replica}");
        out.push((
            id.clone(),
            json!({
                "id": id,
                "name": replica,
                "type": "Microsoft.App/containerApps/revisions/replicas",
                "properties": {
                    "createdTime": text(created),
                    "runningState": "Running",
                    "containers": [{
                        "name": app.name, "ready": true, "started": true, "restartCount": 0,
                        "runningState": "Running",
                    }],
                },
            }),
        ));
    }
    out
}
