//! What of the estate is forecast, and where that is kept. Pure.

use crate::domain::ResourceId;
use crate::estate::{Estate, Kind};
use crate::journal::Hash;

use super::kept::FOLDER;

/// What is asked for at once, and kept in one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub kind: PlaceKind,
    /// Of the account, or of the stamp.
    pub name: String,
    pub stamp: String,
    pub subscription: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceKind {
    /// A Cosmos account, and the containers in it.
    Account {
        account: ResourceId,
        containers: Vec<Container>,
    },
    /// The apps of a stamp.
    Apps(Vec<ResourceId>),
}

/// A container, by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub database: String,
    pub container: String,
}

impl Place {
    /// Its document.
    #[must_use]
    pub fn path(&self) -> String {
        let kind = match &self.kind {
            PlaceKind::Account { .. } => "cosmos",
            PlaceKind::Apps(_) => "apps",
        };
        // Names of accounts are Azure's; that of a stamp is whatever somebody wrote.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.chars().all(plain) {
            format!("{FOLDER}{kind}-{}.json", self.name)
        } else {
            let hash = Hash::of(self.name.as_bytes());
            format!("{FOLDER}{kind}_{}.json", &hash.as_str()[..16])
        }
    }

    /// The resources that metrics are asked for.
    #[must_use]
    pub fn resources(&self) -> Vec<&ResourceId> {
        match &self.kind {
            PlaceKind::Account { account, .. } => vec![account],
            PlaceKind::Apps(apps) => apps.iter().collect(),
        }
    }
}

impl Container {
    #[must_use]
    pub fn id(&self, account: &ResourceId) -> ResourceId {
        self.database_id(account)
            .child("containers", &self.container)
    }

    #[must_use]
    pub fn database_id(&self, account: &ResourceId) -> ResourceId {
        account.child("sqlDatabases", &self.database)
    }
}

/// The Cosmos accounts that the estate names, each with its containers: those of the stamps, and those
/// that scaling owns besides.
#[must_use]
pub(super) fn accounts(estate: &Estate) -> Vec<Place> {
    let mut places = Vec::new();
    for stamp in &estate.stamps {
        let Some(cosmos) = &stamp.cosmos else {
            continue;
        };
        let account = ResourceId::new(
            &stamp.subscription,
            &stamp.resource_group,
            Kind::CosmosAccount.azure(),
            &cosmos.account,
        );
        let named = cosmos.containers.iter().map(|container| Container {
            database: cosmos.database.clone(),
            container: container.clone(),
        });
        let mut containers: Vec<Container> = named.collect();
        for (owned, _) in &estate.scaling.containers {
            let container = container_of(&account, owned);
            containers.extend(container.filter(|one| !containers.contains(one)));
        }
        places.push(Place {
            kind: PlaceKind::Account {
                account,
                containers,
            },
            name: cosmos.account.clone(),
            stamp: stamp.name.clone(),
            subscription: stamp.subscription.clone(),
        });
    }
    places
}

/// The container of an account that a resource is; `None` of a database, or of another account.
fn container_of(account: &ResourceId, resource: &ResourceId) -> Option<Container> {
    if !account.holds(resource.as_str()) {
        return None;
    }
    let rest = resource.as_str().get(account.as_str().len() + 1..)?;
    match rest.split('/').collect::<Vec<_>>()[..] {
        [databases, database, containers, container]
            if databases.eq_ignore_ascii_case("sqlDatabases")
                && containers.eq_ignore_ascii_case("containers") =>
        {
            Some(Container {
                database: database.to_owned(),
                container: container.to_owned(),
            })
        }
        _ => None,
    }
}

/// Everything that is forecast: accounts, and the apps of each stamp.
#[must_use]
pub fn places(estate: &Estate) -> Vec<Place> {
    let mut places = accounts(estate);
    for stamp in &estate.stamps {
        let apps: Vec<ResourceId> = estate
            .resources()
            .iter()
            .filter(|resource| resource.kind == Kind::ContainerApp && resource.stamp == stamp.name)
            .map(|resource| resource.id.clone())
            .collect();
        if !apps.is_empty() {
            places.push(Place {
                kind: PlaceKind::Apps(apps),
                name: stamp.name.clone(),
                stamp: stamp.name.clone(),
                subscription: stamp.subscription.clone(),
            });
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::ThroughputRules;

    #[test]
    fn what_the_estate_names_is_forecast_and_each_account_has_one_document() {
        let text = include_str!("../../../infra/estate.toml");
        let mut estate = Estate::parse(text).expect("the estate");
        let account = match &places(&estate)[0].kind {
            PlaceKind::Account { account, .. } => account.clone(),
            PlaceKind::Apps(_) => panic!("accounts come first"),
        };
        let rules = ThroughputRules::default();
        let database = account.child("sqlDatabases", "other");
        let owned = database.child("containers", "notes");
        estate.scaling.containers = vec![
            (owned.clone(), rules),
            (database, rules),
            (
                ResourceId::new("s", "g", Kind::CosmosAccount.azure(), "x"),
                rules,
            ),
        ];
        let places = places(&estate);
        let paths: Vec<String> = places.iter().map(Place::path).collect();
        assert_eq!(
            paths,
            [
                "capacity/forecasts/cosmos-cosmos-agents-jpe.json",
                "capacity/forecasts/apps-jpe.json"
            ]
        );
        let PlaceKind::Account { containers, .. } = &places[0].kind else {
            panic!("accounts come first");
        };
        let ids: Vec<String> = containers.iter().map(|c| c.id(&account).short()).collect();
        assert_eq!(
            ids,
            [
                "cosmos-agents-jpe/agents/threads",
                "cosmos-agents-jpe/agents/messages",
                "cosmos-agents-jpe/agents/runs",
                "cosmos-agents-jpe/agents/files",
                "cosmos-agents-jpe/other/notes",
            ]
        );
        assert_eq!(containers[4].id(&account), owned);
        assert_eq!(places[1].resources().len(), 2);
    }
}
