//! What a tick would look at, by subscription and account.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::Scope;
use super::load::Place;
use crate::domain::{Finding, ResourceId};
use crate::estate::{Scaling, ThroughputRules};

/// What is wanted of one subscription.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) accounts: Vec<Account>,
    pub(super) apps: Vec<ResourceId>,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: ResourceId,
    pub(super) targets: Vec<Target>,
}

/// A container, or what the containers of a database share.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) resource: ResourceId,
    /// Without a container's name: the database as a whole.
    pub(super) place: Place,
    pub(super) rules: ThroughputRules,
}

impl Target {
    pub(super) fn is_database(&self) -> bool {
        self.place.1.is_empty()
    }

    /// The database that a container is in, or the database itself.
    pub(super) fn database(&self) -> ResourceId {
        if self.is_database() {
            return self.resource.clone();
        }
        let text = self.resource.as_str();
        let end = text.rsplitn(3, '/').nth(2).map_or(text.len(), str::len);
        ResourceId::from_text(&text[..end])
    }
}

/// Where a container or a database is: its account, and its place there.
fn parse(resource: &ResourceId) -> Option<(ResourceId, Place)> {
    let parts: Vec<&str> = resource.as_str().split('/').collect();
    let is = |at: usize, word: &str| parts.get(at).is_some_and(|p| p.eq_ignore_ascii_case(word));
    if !(is(7, "databaseAccounts") && is(9, "sqlDatabases")) {
        return None;
    }
    let container = match parts.len() {
        11 => "",
        13 if is(11, "containers") => parts[12],
        _ => return None,
    };
    let account = ResourceId::from_text(&parts[..9].join("/"));
    let place = (
        parts[10].to_ascii_lowercase(),
        container.to_ascii_lowercase(),
    );
    Some((account, place))
}

/// What scaling owns within a scope, by subscription.
pub(super) fn wanted(scaling: &Scaling, scope: &Scope) -> (BTreeMap<String, Wanted>, Vec<Finding>) {
    // What a database shares is meant when one of its containers is named.
    let is_meant = |id: &ResourceId| {
        scope
            .only
            .as_ref()
            .is_none_or(|only| only.holds(id.as_str()) || id.holds(only.as_str()))
    };
    let subscription = |id: &ResourceId| id.subscription().unwrap_or_default().to_ascii_lowercase();
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let (mut findings, mut seen) = (Vec::new(), BTreeSet::new());
    for (resource, rules) in scaling.containers.iter().filter(|(id, _)| is_meant(id)) {
        if !seen.insert(resource.as_str().to_ascii_lowercase()) {
            continue;
        }
        let Some((account, place)) = parse(resource) else {
            findings.push(Finding::new(
                "not-a-container",
                resource.short(),
                "it is neither a container nor a database of a Cosmos account",
            ));
            continue;
        };
        let of = accounts
            .entry(account.as_str().to_ascii_lowercase())
            .or_insert_with(|| Account {
                id: account,
                targets: Vec::new(),
            });
        of.targets.push(Target {
            resource: resource.clone(),
            place,
            rules: *rules,
        });
    }
    for account in accounts.into_values() {
        let of = wanted.entry(subscription(&account.id)).or_default();
        of.accounts.push(account);
    }
    for (app, _) in scaling.apps.iter().filter(|(id, _)| is_meant(id)) {
        let of = wanted.entry(subscription(app)).or_default();
        if !of.apps.contains(app) {
            of.apps.push(app.clone());
        }
    }
    (wanted, findings)
}

/// When a resource was last looked at.
pub(super) fn looked_at(
    looked: &BTreeMap<String, DateTime<Utc>>,
    id: &ResourceId,
) -> Option<DateTime<Utc>> {
    looked.get(&id.as_str().to_ascii_lowercase()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::ReplicaRules;

    fn account(subscription: &str, name: &str) -> ResourceId {
        let kind = "Microsoft.DocumentDB/databaseAccounts";
        ResourceId::new(subscription, "g", kind, name)
    }

    #[test]
    fn a_scope_means_what_it_holds_and_the_database_that_it_is_in() {
        let database = account("s", "a").child("sqlDatabases", "d");
        let (runs, files) = (
            database.child("containers", "runs"),
            database.child("containers", "files"),
        );
        let other = account("t", "b")
            .child("sqlDatabases", "d")
            .child("containers", "c");
        let app = ResourceId::new("s", "g", "Microsoft.App/containerApps", "api");
        let odd = account("s", "a");
        let owned = |id: &ResourceId| (id.clone(), ThroughputRules::default());
        let scaling = Scaling {
            containers: [&runs, &files, &database, &other, &odd].map(owned).into(),
            apps: vec![(app.clone(), ReplicaRules::default())],
            ..Scaling::default()
        };
        for (name, only, expected) in [
            (
                "everything",
                None,
                vec!["a/d/runs", "a/d/files", "a/d", "api", "b/d/c"],
            ),
            ("a container", Some(runs), vec!["a/d/runs", "a/d"]),
            (
                "a database",
                Some(database),
                vec!["a/d/runs", "a/d/files", "a/d"],
            ),
            ("an account", Some(account("T", "B")), vec!["b/d/c"]),
            ("an app", Some(app), vec!["api"]),
            ("what is not owned", Some(account("s", "c")), vec![]),
        ] {
            let (found, findings) = wanted(&scaling, &Scope { only });
            let mut names = Vec::new();
            for one in found.values() {
                let targets = one.accounts.iter().flat_map(|account| &account.targets);
                names.extend(targets.map(|target| target.resource.short()));
                names.extend(one.apps.iter().map(ResourceId::short));
            }
            assert_eq!(names, expected, "{name}");
            for finding in findings {
                assert_eq!(
                    (&*finding.code, &*finding.subject),
                    ("not-a-container", "a")
                );
            }
        }
    }

    #[test]
    fn the_database_of_a_container_is_named_as_azure_does() {
        let database = account("s", "a").child("sqlDatabases", "D");
        let target = |resource: ResourceId| {
            let (_, place) = parse(&resource).expect("a container");
            Target {
                resource,
                place,
                rules: ThroughputRules::default(),
            }
        };
        let container = target(database.child("containers", "Runs"));
        assert_eq!(container.database().as_str(), database.as_str());
        assert_eq!(container.place, ("d".to_owned(), "runs".to_owned()));
        assert!(target(database).is_database());
    }
}
