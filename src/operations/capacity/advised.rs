//! Recommendations for all that the estate names: made, and kept in one document.

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::advise::{
    Advice, AppInput, ContainerInput, Recommendation, Urgency, app as advise_app,
    container as advise_container,
};
use super::kept::{Document, Measure, read};
use super::places::{Container, Place, PlaceKind, places};
use crate::app::App;
use crate::azure::{Azure, Error, container_apps, cosmos};
use crate::domain::{ChangeKind, Finding, Money, ResourceId};
use crate::estate::Estate;
use crate::operations::autoscale::Supply;
use crate::store::{Created, Error as StoreError};

const PATH: &str = "capacity/recommendations.json";
/// Reads of Azure at once.
const AT_ONCE: usize = 8;

/// All that was recommended at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advised {
    pub made: DateTime<Utc>,
    pub recommendations: Vec<Recommendation>,
    /// What could not be judged at all, and why.
    pub unread: Vec<Finding>,
}

/// What several changes come to in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Together {
    #[serde(flatten)]
    pub money: Money,
    /// So many of the changes have a price, of so many.
    pub priced: usize,
    pub of: usize,
}

impl Together {
    /// Whether some change has no price, so that this is not all of it.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.priced < self.of
    }
}

/// `saves JPY 1,234 a month`.
impl std::fmt::Display for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.money.micros {
            ..0 => write!(f, "saves {} a month", -self.money)?,
            0.. => write!(f, "adds {} a month", self.money)?,
        }
        if self.is_partial() {
            let Self { priced, of, .. } = self;
            write!(f, " by the {priced} of {of} changes that have a price")?;
        }
        Ok(())
    }
}

impl Advised {
    #[must_use]
    pub fn of(&self, resource: &ResourceId) -> Option<&Recommendation> {
        self.recommendations
            .iter()
            .find(|one| one.resource == *resource)
    }

    /// What following all of it adds to the bill of a month; `None` where no price is known, or
    /// there are several currencies.
    #[must_use]
    pub fn monthly(&self) -> Option<Together> {
        let resizes = self
            .recommendations
            .iter()
            .filter(|one| matches!(one.advice, Advice::Resize { .. }));
        let all: Vec<Option<Money>> = resizes.map(|one| one.monthly).collect();
        let mut priced = all.iter().flatten().copied();
        let first = priced.next()?;
        Some(Together {
            money: priced.try_fold(first, Money::plus)?,
            priced: all.iter().flatten().count(),
            of: all.len(),
        })
    }

    /// What a person should know of it: whatever should be another size, cannot be judged, or would
    /// cost less in the other mode.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.unread.clone();
        for one in &self.recommendations {
            let subject = one.resource.short();
            match &one.advice {
                Advice::Unknown { why, .. } => {
                    findings.push(Finding::new("capacity-unknown", &subject, why));
                }
                Advice::Resize { now, to } => {
                    let code = if one.grows() {
                        "capacity-more"
                    } else {
                        "capacity-less"
                    };
                    let message = format!("{now} -> {to}: {}", one.sentence());
                    findings.push(Finding::new(code, &subject, message));
                }
                Advice::Limits { now, to } => {
                    let message = format!("scaling goes {now} -> {to}: {}", one.sentence());
                    findings.push(Finding::new("capacity-limit", &subject, message));
                }
                // What is at its limit is no other size, and yet too small.
                Advice::Keep { now } if one.urgency != Urgency::None => {
                    let message = format!("{now} will not do: {}", one.sentence());
                    findings.push(Finding::new("capacity-limit", &subject, message));
                }
                Advice::Keep { .. } => {}
            }
            if let Some(other) = &one.other_mode
                && other.percent < 100
            {
                let message = format!(
                    "{} would cost {} by the week that is forecast",
                    other.to,
                    other.differs()
                );
                findings.push(Finding::new("capacity-mode", &subject, message));
            }
        }
        findings
    }
}

/// Judges everything by the forecasts that are kept and by what Azure says that there is now. Nothing is
/// written: [`keep`] does that.
///
/// Errors: the estate or the store. What Azure does not tell is in [`Advised::unread`].
pub async fn advise(app: &App) -> anyhow::Result<Advised> {
    let estate = app.estate()?;
    let mut advised = Advised {
        made: app.clock.now(),
        recommendations: Vec::new(),
        unread: Vec::new(),
    };
    for place in places(estate) {
        let document = read(app, &place).await?.map(|stored| stored.value);
        let document = document.unwrap_or_default();
        if let Some(problem) = &document.problem {
            let why = format!("its forecast was not renewed: {problem}");
            advised
                .unread
                .push(Finding::new("capacity-no-history", &place.name, why));
        }
        let judged = match app.azure() {
            Ok(azure) => of_place(azure, estate, &place, &document, advised.made).await,
            Err(error) => Err(error),
        };
        match judged {
            Ok(found) => advised.recommendations.extend(found),
            Err(error) => {
                let why = format!("what there is cannot be read: {error}");
                advised
                    .unread
                    .push(Finding::new("capacity-unread", &place.name, why));
            }
        }
    }
    Ok(advised)
}

async fn of_place(
    azure: &Azure,
    estate: &Estate,
    place: &Place,
    document: &Document,
    now: DateTime<Utc>,
) -> Result<Vec<Recommendation>, Error> {
    match &place.kind {
        PlaceKind::Account {
            account,
            containers,
        } => {
            let found = cosmos::account(azure, account).await?;
            let mut ids: Vec<ResourceId> = containers.iter().map(|one| one.id(account)).collect();
            ids.extend(databases(account, containers));
            let reads: Vec<_> = ids.iter().map(|id| supply(azure, id, &found)).collect();
            let supplies: Vec<Supply> = stream::iter(reads).buffered(AT_ONCE).collect().await;
            let mut made = Vec::new();
            for (id, supply) in ids.iter().zip(&supplies) {
                let subject = document.subject(id);
                let owned = estate.scaling.throughput(id).copied();
                let mode = estate.policy(ChangeKind::CosmosThroughput).mode;
                let rules = owned.unwrap_or_default();
                made.extend(advise_container(
                    &ContainerInput {
                        resource: id,
                        supply,
                        units: subject.and_then(|subject| subject.of(Measure::Units)),
                        rules: &rules,
                        scaled: owned.map(|_| mode),
                        prices: &estate.scaling.prices,
                        location: &found.location,
                        regions: found.regions,
                    },
                    now,
                ));
            }
            Ok(made)
        }
        PlaceKind::Apps(apps) => {
            let reads: Vec<_> = apps
                .iter()
                .map(|app| container_apps::app(azure, app))
                .collect();
            let found: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
            let mut made = Vec::new();
            for (id, found) in apps.iter().zip(found) {
                let rules = estate.scaling.replicas(id).copied().unwrap_or_default();
                let why = found.as_ref().err().map(ToString::to_string);
                let read = found.as_ref().ok();
                // An app that says nothing of its resources has none that a price could be taken of.
                let size = |value: f64| (value > 0.0).then_some(value);
                made.push(advise_app(
                    &AppInput {
                        app: id,
                        replicas: match read {
                            Some(read) => Ok(read.replicas),
                            None => Err(why.as_deref().unwrap_or_default()),
                        },
                        subject: document.subject(id),
                        rules: &rules,
                        prices: &estate.scaling.prices,
                        location: read.map_or("", |read| read.location.as_str()),
                        vcpu: read.and_then(|read| size(read.vcpu)),
                        gib: read.and_then(|read| size(read.gib)),
                    },
                    now,
                ));
            }
            Ok(made)
        }
    }
}

/// The databases of containers, each once: containers of one need not stand beside each other.
fn databases(account: &ResourceId, containers: &[Container]) -> Vec<ResourceId> {
    let mut databases: Vec<ResourceId> = Vec::new();
    for one in containers {
        let database = one.database_id(account);
        if !databases.contains(&database) {
            databases.push(database);
        }
    }
    databases
}

async fn supply(azure: &Azure, id: &ResourceId, account: &cosmos::Account) -> Supply {
    if account.serverless {
        return Supply::Serverless;
    }
    match cosmos::throughput(azure, id).await {
        Ok(Some(throughput)) => Supply::Own(throughput),
        Ok(None) => Supply::Shared,
        Err(error) => Supply::Unread(error.to_string()),
    }
}

/// Keeps recommendations in the place of older ones. If two are made at once, the newer stays.
///
/// Errors: the store.
pub async fn keep(app: &App, advised: &Advised) -> Result<(), StoreError> {
    let store = app.store()?;
    loop {
        let there = store.get::<Advised>(PATH).await?;
        let written = match there {
            None => store.create(PATH, advised).await? != Created::Exists,
            Some(there) if there.value.made > advised.made => true,
            Some(there) => match store.replace(PATH, advised, &there.etag, None).await {
                Ok(_) => true,
                Err(StoreError::Conflict(_)) => false,
                Err(error) => return Err(error),
            },
        };
        if written {
            return Ok(());
        }
    }
}

/// What was recommended last; `None`: nothing yet.
///
/// Errors: the store.
pub async fn last(app: &App) -> Result<Option<Advised>, StoreError> {
    let there = app.store()?.get::<Advised>(PATH).await?;
    Ok(there.map(|there| there.value))
}

/// What is kept of each place, in the order of the estate.
///
/// Errors: the estate or the store.
pub async fn documents(app: &App) -> anyhow::Result<Vec<(Place, Document)>> {
    let mut all = Vec::new();
    for place in places(app.estate()?) {
        let document = read(app, &place).await?.map(|stored| stored.value);
        all.push((place, document.unwrap_or_default()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::advise::Size;
    use super::*;
    use crate::domain::Capacity;

    #[test]
    fn a_sum_says_of_how_many_changes_it_is() {
        let size = Size::Throughput(Capacity::Manual(400));
        let resize = Advice::Resize {
            now: size,
            to: size,
        };
        let yen = |amount: i64| {
            let currency = "JPY".parse().expect("a currency");
            Some(Money::new(amount * 1_000_000, currency))
        };
        let advised = |all: &[(Advice, Option<Money>)]| Advised {
            made: DateTime::UNIX_EPOCH,
            recommendations: all
                .iter()
                .map(|(advice, monthly)| Recommendation {
                    advice: advice.clone(),
                    monthly: *monthly,
                    ..Recommendation::unknown(&ResourceId::new("s", "g", "k", "n"), None, "")
                })
                .collect(),
            unread: Vec::new(),
        };
        let keep = Advice::Keep { now: size };
        for (name, all, expected) in [
            ("nothing", vec![], None),
            ("no price", vec![(resize.clone(), None)], None),
            (
                "more",
                vec![(resize.clone(), yen(7)), (keep.clone(), None)],
                Some("adds JPY 7 a month"),
            ),
            (
                "less",
                vec![(resize.clone(), yen(-7)), (resize.clone(), yen(2))],
                Some("saves JPY 5 a month"),
            ),
            (
                "a part",
                vec![(resize.clone(), yen(-7)), (resize.clone(), None)],
                Some("saves JPY 7 a month by the 1 of 2 changes that have a price"),
            ),
        ] {
            let said = advised(&all).monthly().map(|all| all.to_string());
            assert_eq!(said.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_database_is_judged_once_wherever_its_containers_stand() {
        let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a");
        let container = |database: &str, container: &str| Container {
            database: database.into(),
            container: container.into(),
        };
        let containers = [
            container("one", "a"),
            container("two", "b"),
            container("One", "c"),
        ];
        let found: Vec<String> = databases(&account, &containers)
            .iter()
            .map(|id| id.name().to_owned())
            .collect();
        assert_eq!(found, ["one", "two"]);
    }
}
