//! From what is asked for to a change: where it stands now is read first.

use crate::app::App;
use crate::azure::{Error, container_apps, cosmos};
use crate::changes::find;
use crate::domain::{
    Ask, Capacity, Change, ChangeId, Finding, IndexingPolicy, Mutation, Outcome, Replicas,
    ResourceId, Utilization,
};
use crate::estate::{Estate, Kind, Resource};

/// The change that is asked for; `Err` with a finding that says why there is none.
pub(super) async fn gather(
    app: &App,
    ask: &Ask,
    why: &str,
) -> anyhow::Result<Result<Change, Finding>> {
    let estate = app.estate()?;
    let refused = |on: &str, why: String| Ok(Err(Finding::new("change-impossible", on, why)));
    let resource = match ask {
        Ask::Undo { change } => {
            return match back(app, change).await? {
                Ok(ask) => Box::pin(gather(app, &ask, why)).await,
                Err(why) => refused(change.as_str(), why),
            };
        }
        Ask::CosmosThroughput { resource, .. }
        | Ask::CosmosIndexing { resource, .. }
        | Ask::AppReplicas { resource, .. }
        | Ask::AppScaleRules { resource, .. }
        | Ask::AppRestart { resource, .. } => resource,
    };
    let Some(id) = resolve(estate, ask, resource) else {
        return refused(
            resource,
            "it is not in the estate, or not of the kind that can be changed like this".into(),
        );
    };
    let azure = app.azure()?;
    let mutation = match ask {
        Ask::CosmosThroughput { to, .. } => match cosmos::throughput(azure, &id).await {
            Ok(Some(now)) => match capacity(&now, *to) {
                Ok(()) => Ok(Mutation::CosmosThroughput {
                    from: now.capacity,
                    to: *to,
                }),
                Err(why) => return refused(id.as_str(), why),
            },
            Ok(None) => {
                let why = "it has no throughput of its own: it shares that of its database, or the account is serverless";
                return refused(id.as_str(), why.into());
            }
            Err(error) => Err(error),
        },
        Ask::CosmosIndexing { to, .. } => match indexing(app, &id, to).await {
            Ok(Ok(mutation)) => Ok(mutation),
            Ok(Err(why)) => return refused(id.as_str(), why),
            Err(error) => Err(error),
        },
        Ask::AppReplicas { to, .. } => match container_apps::app(azure, &id).await {
            Ok(now) => match replicas(*to) {
                Ok(()) => Ok(Mutation::AppReplicas {
                    from: now.replicas,
                    to: *to,
                }),
                Err(why) => return refused(id.as_str(), why),
            },
            Err(error) => Err(error),
        },
        Ask::AppScaleRules { to, .. } => match container_apps::app(azure, &id).await {
            Ok(now) => {
                let from = container_apps::utilizations(&now.scale_rules);
                let mut to = to.clone();
                to.sort_by(|a, b| a.resource.cmp(&b.resource));
                match scale_rules(&from, &to) {
                    Ok(()) => Ok(Mutation::AppScaleRules { from, to }),
                    Err(why) => return refused(id.as_str(), why),
                }
            }
            Err(error) => Err(error),
        },
        Ask::AppRestart { revision, .. } => restart(app, &id, revision.as_deref()).await,
        Ask::Undo { .. } => unreachable!("answered above"),
    };
    match mutation {
        Ok(mutation) => Ok(Ok(Change::new(id, mutation, why))),
        Err(error) => refused(id.as_str(), error.to_string()),
    }
}

/// What takes an earlier change back: an ask of its own, judged like any other.
async fn back(app: &App, change: &ChangeId) -> anyhow::Result<Result<Ask, String>> {
    let Some(record) = find(app, change).await? else {
        return Ok(Err("there is no such change".into()));
    };
    if !matches!(
        record.outcome,
        Some(Outcome::Verified { .. } | Outcome::NotVerified { .. })
    ) {
        return Ok(Err("it was not made, so it cannot be taken back".into()));
    }
    let resource = record.change.resource.to_string();
    Ok(match record.change.mutation {
        Mutation::CosmosThroughput { from, .. } => Ok(Ask::CosmosThroughput { resource, to: from }),
        Mutation::CosmosIndexing { from, .. } => Ok(Ask::CosmosIndexing { resource, to: from }),
        Mutation::AppReplicas { from, .. } => Ok(Ask::AppReplicas { resource, to: from }),
        Mutation::AppScaleRules { from, .. } => Ok(Ask::AppScaleRules { resource, to: from }),
        Mutation::AppRestart { .. }
        | Mutation::AppTraffic { .. }
        | Mutation::CacheFlush
        | Mutation::LogDeletion { .. } => Err("a change of this kind cannot be taken back".into()),
    })
}

/// Another index for a container; `Err` with why there is none to be had.
async fn indexing(
    app: &App,
    id: &ResourceId,
    to: &IndexingPolicy,
) -> Result<Result<Mutation, String>, Error> {
    if !id.as_str().to_ascii_lowercase().contains("/containers/") {
        return Ok(Err("it is a database: a container has an index".into()));
    }
    if let Err(why) = to.check() {
        return Ok(Err(why));
    }
    let from = cosmos::container(app.azure()?, id).await?.policy;
    if from.is_same(to) {
        return Ok(Err("its index is like that already".into()));
    }
    Ok(Ok(Mutation::CosmosIndexing {
        from,
        to: to.clone(),
        evidence: Vec::new(),
    }))
}

async fn restart(app: &App, id: &ResourceId, revision: Option<&str>) -> Result<Mutation, Error> {
    let azure = app.azure()?;
    let missing = |what: &str| Error::NotFound {
        what: format!("{what} of {id}"),
    };
    let revision = match revision {
        Some(revision) if !is_revision(revision) => {
            return Err(Error::Foreign("a name that no revision has".into()));
        }
        Some(revision) => revision.to_owned(),
        None => container_apps::app(azure, id)
            .await?
            .latest_revision
            .ok_or_else(|| missing("a revision that is ready"))?,
    };
    let replicas = container_apps::running(azure, id, &revision).await?;
    if replicas.is_empty() {
        return Err(missing("a replica that could be restarted"));
    }
    Ok(Mutation::AppRestart { revision, replicas })
}

/// Letters, digits and hyphens, as Container Apps has it.
fn is_revision(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The thing that is named: by its id, or by its names as people write them.
fn resolve(estate: &Estate, ask: &Ask, text: &str) -> Option<ResourceId> {
    let kind = match ask {
        Ask::CosmosThroughput { .. } | Ask::CosmosIndexing { .. } => Kind::CosmosAccount,
        _ => Kind::ContainerApp,
    };
    let (resource, inside): (_, Vec<&str>) = match estate.target(text) {
        Some(target) => {
            let resource = target.resource();
            let rest = text
                .trim_end_matches('/')
                .get(resource.id.as_str().len()..)?;
            (resource, rest.split('/').skip(1).collect())
        }
        None => {
            let mut names = text.split('/');
            let first = names.next()?;
            let named = |r: &&Resource| r.kind == kind && r.name.eq_ignore_ascii_case(first);
            let resource = estate.resources().iter().find(named)?;
            let inside = match names.collect::<Vec<_>>()[..] {
                [] => vec![],
                [database] => vec!["sqlDatabases", database],
                [database, container] => vec!["sqlDatabases", database, "containers", container],
                _ => return None,
            };
            (resource, inside)
        }
    };
    // Made anew, so that one thing has one name.
    match (resource.kind == kind, kind, &inside[..]) {
        (true, Kind::ContainerApp, []) => Some(resource.id.clone()),
        (true, Kind::CosmosAccount, [databases, database, inside @ ..])
            if databases.eq_ignore_ascii_case("sqlDatabases") && is_name(database) =>
        {
            let database = resource.id.child("sqlDatabases", database);
            match inside {
                [] => Some(database),
                [containers, container]
                    if containers.eq_ignore_ascii_case("containers") && is_name(container) =>
                {
                    Some(database.child("containers", container))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// A name, and nothing that a URL reads in another way.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !matches!(text, "." | "..")
}

/// Whether Azure can take this capacity: it moves in steps, and has a floor.
fn capacity(now: &cosmos::Throughput, to: Capacity) -> Result<(), String> {
    let (step, ru, same_mode) = match (to, now.capacity) {
        (Capacity::Manual(ru), Capacity::Manual(_)) => (100, ru, true),
        (Capacity::Autoscale(ru), Capacity::Autoscale(_)) => (1000, ru, true),
        (Capacity::Manual(ru), _) => (100, ru, false),
        (Capacity::Autoscale(ru), _) => (1000, ru, false),
    };
    if !same_mode {
        return Err(format!(
            "it is {} now: changing between manual and autoscale is another operation",
            now.capacity
        ));
    }
    if ru % step != 0 {
        return Err(format!("{ru} RU/s is not a multiple of {step}"));
    }
    if ru < now.minimum {
        return Err(format!(
            "{ru} RU/s is below {} RU/s, the least that Azure allows here now",
            now.minimum
        ));
    }
    if let Some(most) = now.instant_maximum.filter(|most| ru > *most) {
        return Err(format!(
            "{ru} RU/s is above {most} RU/s: partitions would be split for hours, and the least would rise for good"
        ));
    }
    if now.pending {
        return Err("Azure is still at an earlier change of it".into());
    }
    if to == now.capacity {
        return Err(format!("it is {to} already"));
    }
    Ok(())
}

/// Whether these can be the rules by utilization of an app.
fn scale_rules(now: &[Utilization], to: &[Utilization]) -> Result<(), String> {
    for (index, rule) in to.iter().enumerate() {
        if !matches!(rule.resource.as_str(), "cpu" | "memory") {
            return Err(format!("`{}` is neither cpu nor memory", rule.resource));
        }
        if !(1..=100).contains(&rule.percent) {
            return Err(format!("{} % is not from 1 to 100", rule.percent));
        }
        if to[..index].iter().any(|one| one.resource == rule.resource) {
            return Err(format!("{} is there twice", rule.resource));
        }
    }
    if now == to {
        return Err("its rules are like that already".into());
    }
    Ok(())
}

fn replicas(to: Replicas) -> Result<(), String> {
    if to.least > to.most || to.most == 0 || to.most > 1000 {
        return Err(format!(
            "{to} is not possible: the least is at most the most, and that is 1 to 1000"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_throughput_can_be_asked_for() {
        let now = |capacity| cosmos::Throughput {
            capacity,
            minimum: 400,
            instant_maximum: Some(10_000),
            pending: false,
        };
        let manual = now(Capacity::Manual(1000));
        for (to, fits) in [
            (Capacity::Manual(1200), true),
            (Capacity::Manual(400), true),
            (Capacity::Manual(10_000), true),
            (Capacity::Manual(1000), false),
            (Capacity::Manual(1250), false),
            (Capacity::Manual(300), false),
            (Capacity::Manual(10_100), false),
            (Capacity::Autoscale(2000), false),
        ] {
            assert_eq!(capacity(&manual, to).is_ok(), fits, "{to}");
        }
        let auto = now(Capacity::Autoscale(4000));
        assert!(capacity(&auto, Capacity::Autoscale(5000)).is_ok());
        assert!(capacity(&auto, Capacity::Autoscale(5500)).is_err());
        let pending = cosmos::Throughput {
            pending: true,
            ..auto
        };
        assert!(capacity(&pending, Capacity::Autoscale(5000)).is_err());
    }

    #[test]
    fn what_can_be_named() {
        let estate = Estate::parse(include_str!("../../../infra/estate.toml")).expect("the estate");
        let throughput = |resource: &str| Ask::CosmosThroughput {
            resource: resource.into(),
            to: Capacity::Manual(400),
        };
        let group = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers";
        let container = format!(
            "{group}/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe/sqlDatabases/agents/containers/threads"
        );
        for (text, expected) in [
            ("cosmos-agents-jpe/agents/threads", Some(container.as_str())),
            (&container, Some(&container)),
            (&container.to_uppercase(), None),
            ("cosmos-agents-jpe/agents/a/b", None),
            (&container.replace("/sqlDatabases", "/./sqlDatabases"), None),
            (&container.replace("sqlDatabases", "mongodbDatabases"), None),
            ("cosmos-agents-jpe/agents/", None),
            ("cosmos-agents-jpe", None),
            ("cosmos-agents-jpe/../threads", None),
            ("agent-api", None),
            ("other/agents/threads", None),
            (&container.replace("rg-agents-jpe", "rg-other"), None),
            ("", None),
        ] {
            let ask = throughput(text);
            let found = resolve(&estate, &ask, text);
            let found = found.as_ref().map(ResourceId::as_str);
            // Azure reads names without regard to case.
            match expected {
                Some(expected) => assert_eq!(found, Some(expected), "{text}"),
                None if text == container.to_uppercase() => {
                    assert!(found.is_some_and(|f| f.eq_ignore_ascii_case(&container)));
                }
                None => assert_eq!(found, None, "{text}"),
            }
        }
        let restart = Ask::AppRestart {
            resource: "agent-api".into(),
            revision: None,
        };
        let app = resolve(&estate, &restart, "agent-api").expect("an app");
        assert_eq!(
            app.as_str(),
            format!("{group}/Microsoft.App/containerApps/agent-api")
        );
    }
}
