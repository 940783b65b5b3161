//! `check_certificate_expiry`: what ends soon, has ended, or never will: in the key vaults, at the
//! custom domains of container apps, and of Entra applications.

mod decide;

use futures::{StreamExt as _, stream};

use super::TaskResult;
use crate::app::App;
use crate::azure::key_vault::{Item, ItemKind};
use crate::azure::{Azure, Error, container_apps, graph, key_vault};
use crate::domain::Finding;
use crate::estate::{Kind, Resource};
use decide::judge;

/// How many places are read at once.
const AT_ONCE: usize = 4;

/// Where certificates and secrets are looked for.
enum Place<'a> {
    Vault(&'a Resource),
    /// The custom domains of an app.
    App(&'a Resource),
    /// An Entra application, by its application id.
    Application(&'a str),
}

/// What was found in one place.
#[derive(Default)]
struct Found {
    /// The name of the place, for people.
    place: String,
    items: Vec<Item>,
    findings: Vec<Finding>,
}

/// Reads every vault, app and application of the estate. Changes nothing; safe to repeat.
///
/// A place that cannot be read is a finding, and stops no other. If none can be read the task
/// fails: then nothing is known.
pub(super) async fn run(app: &App) -> anyhow::Result<TaskResult> {
    let (estate, azure, now) = (app.estate()?, app.azure()?, app.clock.now());
    let resources = estate.resources().iter();
    let places: Vec<Place<'_>> = resources
        .filter_map(|r| match r.kind {
            Kind::KeyVault => Some(Place::Vault(r)),
            Kind::ContainerApp => Some(Place::App(r)),
            _ => None,
        })
        .chain(estate.applications.iter().map(|id| Place::Application(id)))
        .collect();
    let vaults = places
        .iter()
        .filter(|p| matches!(p, Place::Vault(_)))
        .count();
    let all = places.len();
    // Made before the stream is: a lazy closure over references is not `Send` enough.
    let reads: Vec<_> = places.iter().map(|place| read(azure, place)).collect();
    let outcomes: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let (mut findings, mut items, mut unread) = (Vec::new(), 0, Vec::new());
    for (place, outcome) in places.iter().zip(outcomes) {
        match outcome {
            Ok(found) => {
                items += found.items.len();
                let told = found
                    .items
                    .iter()
                    .filter_map(|item| judge(&found.place, item, &estate.warn_days, now));
                findings.extend(told);
                findings.extend(found.findings);
            }
            Err(error) => {
                let (code, subject) = match place {
                    Place::Vault(r) => ("vault-unreadable", r.id.as_str()),
                    Place::App(r) => ("app-unreadable", r.id.as_str()),
                    Place::Application(id) => ("application-unreadable", *id),
                };
                unread.push(format!("{subject}: {error}"));
                findings.push(Finding::new(code, subject, error.to_string()));
            }
        }
    }
    if all > 0 && unread.len() == all {
        anyhow::bail!("nothing could be read: {}", unread.join("; "));
    }
    let mut result = TaskResult::new(
        format!(
            "{items} certificates, secrets and keys in {} of {all} places, {vaults} of them vaults; {} findings",
            all - unread.len(),
            findings.len()
        ),
        findings,
    );
    result.counts.insert("items".into(), items as u64);
    result.counts.insert("places".into(), all as u64);
    result
        .counts
        .insert("unreadable".into(), unread.len() as u64);
    Ok(result)
}

async fn read(azure: &Azure, place: &Place<'_>) -> Result<Found, Error> {
    match place {
        Place::Vault(vault) => Ok(Found {
            place: vault.name.clone(),
            items: key_vault::items(azure, &vault.id).await?,
            findings: Vec::new(),
        }),
        Place::App(app) => domains(azure, app).await,
        Place::Application(id) => application(azure, id).await,
    }
}

async fn domains(azure: &Azure, app: &Resource) -> Result<Found, Error> {
    let mut found = Found {
        place: app.name.clone(),
        ..Default::default()
    };
    for domain in container_apps::app(azure, &app.id).await?.domains {
        let subject = format!("{}/domains/{}", app.name, domain.name);
        let Some(certificate) = domain.certificate_id else {
            found.findings.push(Finding::new(
                "domain-without-certificate",
                subject,
                "the custom domain has no certificate, so it is not served over TLS",
            ));
            continue;
        };
        match container_apps::certificate_expires(azure, &certificate).await {
            // Without an end Azure renews it by itself.
            Ok(None) => {}
            Ok(expires) => found.items.push(Item {
                kind: ItemKind::Certificate,
                name: domain.name,
                enabled: true,
                not_before: None,
                expires,
            }),
            Err(error) => found.findings.push(Finding::new(
                "certificate-unreadable",
                subject,
                error.to_string(),
            )),
        }
    }
    Ok(found)
}

async fn application(azure: &Azure, id: &str) -> Result<Found, Error> {
    let Some(application) = graph::application(azure, id).await? else {
        let why = "the estate names the application, and the directory does not know it";
        return Ok(Found {
            findings: vec![Finding::new("application-missing", id, why)],
            ..Default::default()
        });
    };
    let items = application.credentials.into_iter().map(|credential| Item {
        kind: if credential.is_certificate {
            ItemKind::Certificate
        } else {
            ItemKind::Secret
        },
        name: credential.name,
        enabled: true,
        not_before: credential.begins,
        expires: credential.ends,
    });
    Ok(Found {
        place: application.name,
        items: items.collect(),
        findings: Vec::new(),
    })
}
