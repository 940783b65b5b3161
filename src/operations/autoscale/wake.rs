//! What makes scaling look at once: incidents of rules that answer with it, and confirmed alerts of
//! Azure Monitor about what it owns.

use crate::app::App;
use crate::domain::{Alert, Condition, IncidentId, ResourceId, Signal, Trust};
use crate::estate::{Estate, Response};
use crate::journal::{Hash, RunId, Wake, Work};
use crate::operations::work::accept;

/// Lets scaling look at what a signal is about, if its rule says so. Safe to repeat.
///
/// Errors: the estate or the store; then the signal is to be told again.
pub(in crate::operations) async fn on_signal(
    app: &App,
    signal: &Signal,
    incident: &IncidentId,
) -> anyhow::Result<()> {
    let estate = app.estate()?;
    let scales = estate
        .rule(&signal.key.rule)
        .is_some_and(|rule| rule.response == Response::Scale);
    if scales && is_real(signal) {
        wake(app, estate, signal, incident).await?;
    }
    Ok(())
}

/// The same of an alert of a metric, whatever its rule.
pub(in crate::operations) async fn on_alert(
    app: &App,
    alert: &Alert,
    signal: &Signal,
    incident: &IncidentId,
) -> anyhow::Result<()> {
    // Without an estate nothing is owned; the alert is worked all the same.
    let Ok(estate) = app.estate() else {
        return Ok(());
    };
    if alert.service.eq_ignore_ascii_case("Platform") && is_real(signal) {
        wake(app, estate, signal, incident).await?;
    }
    Ok(())
}

fn is_real(signal: &Signal) -> bool {
    signal.condition == Condition::Fired && matches!(signal.trust, Trust::Confirmed { .. })
}

async fn wake(
    app: &App,
    estate: &Estate,
    signal: &Signal,
    incident: &IncidentId,
) -> anyhow::Result<()> {
    for only in targets(estate, signal) {
        let name = format!(
            "{incident} {} {}",
            signal.occurrence,
            only.as_str().to_ascii_lowercase()
        );
        let hash = Hash::of(name.as_bytes());
        let run: RunId = format!("autoscale-alert-{}", &hash.as_str()[..24])
            .parse()
            .expect("hexadecimal digits fit");
        let work = Work::Autoscale {
            only: Some(only),
            cause: Wake::Incident {
                incident: incident.clone(),
                occurrence: signal.occurrence.clone(),
            },
            dry_run: false,
        };
        accept(app, run, work).await?;
    }
    Ok(())
}

/// What is to be looked at: what the signal names, if scaling owns it or something in it; where it
/// names nothing of the kind, the apps of its stamp.
fn targets(estate: &Estate, signal: &Signal) -> Vec<ResourceId> {
    let scaling = &estate.scaling;
    let owned = || {
        let containers = scaling.containers.iter().map(|(id, _)| id);
        containers.chain(scaling.apps.iter().map(|(id, _)| id))
    };
    if let Some(resource) = &signal.key.resource {
        let named = ResourceId::from_text(resource);
        if owned().any(|id| named.holds(id.as_str()) || id.holds(named.as_str())) {
            return vec![named];
        }
        let is_workspace = estate.stamps.iter().any(|stamp| {
            stamp
                .workspace
                .as_ref()
                .is_some_and(|workspace| workspace.id == named)
        });
        if !is_workspace {
            return Vec::new();
        }
    }
    let mut facts = signal.facts.iter();
    let Some((_, stamp)) = facts.find(|(name, _)| name == "stamp") else {
        return Vec::new();
    };
    let apps = scaling.apps.iter().map(|(id, _)| id);
    apps.filter(|id| {
        let target = estate.target(id.as_str());
        target.is_some_and(|target| target.resource().stamp == *stamp)
    })
    .cloned()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Class, GroupKey, Priority};

    fn signal(resource: Option<&str>, stamp: Option<&str>) -> Signal {
        Signal {
            key: GroupKey {
                rule: "r".into(),
                tenant: None,
                resource: resource.map(str::to_owned),
            },
            condition: Condition::Fired,
            priority: Priority::Medium,
            class: Class::Operations,
            title: String::new(),
            text: String::new(),
            facts: stamp
                .map(|s| ("stamp".into(), s.into()))
                .into_iter()
                .collect(),
            at: chrono::DateTime::UNIX_EPOCH,
            occurrence: "o".into(),
            trust: Trust::Confirmed { how: "t".into() },
        }
    }

    #[test]
    fn what_is_looked_at_is_what_is_named_and_owned_or_the_apps_of_the_stamp() {
        let text = include_str!("../../../infra/estate.toml");
        let estate = Estate::parse(text).expect("the estate");
        let container = &estate.scaling.containers[0].0;
        let account = crate::operations::autoscale::record::place(container);
        let vault = ResourceId::new("s", "g", "Microsoft.KeyVault/vaults", "v");
        let short = |resource: Option<&str>, stamp: Option<&str>| {
            let found = targets(&estate, &signal(resource, stamp));
            found.iter().map(ResourceId::short).collect::<Vec<_>>()
        };
        let stamp = estate.stamps[0].name.as_str();
        let stamps_apps = short(None, Some(stamp));
        assert!(!stamps_apps.is_empty());
        assert_eq!(short(Some(account.as_str()), None), [account.short()]);
        assert_eq!(short(Some(container.as_str()), None), [container.short()]);
        assert_eq!(
            short(Some(vault.as_str()), Some(stamp)),
            Vec::<String>::new()
        );
        assert_eq!(short(None, Some("another")), Vec::<String>::new());
        assert_eq!(short(None, None), Vec::<String>::new());
        let workspace = estate.stamps[0].workspace.as_ref().expect("a workspace");
        assert_eq!(short(Some(workspace.id.as_str()), Some(stamp)), stamps_apps);
    }
}
