//! One tick in one subscription.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::StreamExt as _;

use super::load::{self, Asked, Loads, Place};
use super::order::{Candidate, Heat, choose};
use super::wanted::{Account, Target, Wanted, looked_at};
use super::{CALLS, Gathered, GatheredContainer, apps, heaviest, plain};
use crate::azure::{Azure, cosmos};
use crate::domain::{Finding, ResourceId};
use crate::operations::autoscale::facts::{ContainerFacts, Past, Supply};

/// Of all calls, for apps and for accounts at most.
const MOST_APPS: usize = 50;
const MOST_ACCOUNTS: usize = 70;
/// Of them, for databases whose containers turn out to share.
const MOST_DATABASES: usize = 20;
const AT_ONCE: usize = 16;

pub(super) struct Tick<'a> {
    pub(super) azure: &'a Azure,
    /// When each resource was last among what was found.
    pub(super) looked: &'a BTreeMap<String, DateTime<Utc>>,
    pub(super) now: DateTime<Utc>,
}

/// An account that was read.
struct Known<'a> {
    wanted: &'a Account,
    account: cosmos::Account,
    loads: Loads,
}

/// Which target of which account.
type At = (usize, usize);

impl Tick<'_> {
    /// Looks at what is wanted of one subscription.
    pub(super) async fn subscription(&self, subscription: &str, wanted: &Wanted) -> Gathered {
        let mut gathered = Gathered::default();
        let apps = self.oldest(&wanted.apps, MOST_APPS, &mut gathered.later);
        let accounts = self.accounts(&wanted.accounts, &mut gathered.later);
        let reads: Vec<_> = accounts
            .iter()
            .map(|account| cosmos::account(self.azure, &account.id))
            .collect();
        let reads = futures::stream::iter(reads)
            .buffered(AT_ONCE)
            .collect::<Vec<_>>();
        let apps_read = apps::read(self.azure, subscription, &apps, self.now);
        let (found, (looked, findings)) = futures::join!(reads, apps_read);
        gathered.apps = looked;
        gathered.findings.extend(findings);

        let mut known = Vec::new();
        for (wanted, found) in accounts.iter().copied().zip(found) {
            match found {
                Ok(account) if account.serverless => {
                    gathered.take_all(wanted, &Supply::Serverless, Some(&account));
                }
                Ok(account) => known.push(Known {
                    wanted,
                    account,
                    loads: Loads::default(),
                }),
                Err(error) => {
                    let why = error.to_string();
                    let finding = Finding::new("account-unread", wanted.id.short(), why.clone());
                    gathered.findings.push(finding);
                    gathered.take_all(wanted, &Supply::Unread(why), None);
                }
            }
        }
        self.measure(subscription, &mut known, &mut gathered).await;
        let calls = CALLS.saturating_sub(apps.len() + accounts.len());
        let looks = self.look(&known, calls, &mut gathered).await;
        let hot = self.tell(&mut known, looks, &mut gathered).await;
        self.explain(&known, &hot, &mut gathered).await;
        gathered
    }

    /// Those that were looked at longest ago, as many as there may be.
    fn oldest(
        &self,
        ids: &[ResourceId],
        most: usize,
        later: &mut Vec<ResourceId>,
    ) -> Vec<ResourceId> {
        let mut ids = ids.to_vec();
        ids.sort_by_key(|id| looked_at(self.looked, id));
        later.extend(ids.split_off(most.min(ids.len())));
        ids
    }

    /// The same of accounts, which are as old as the oldest of what is in them.
    fn accounts<'w>(
        &self,
        accounts: &'w [Account],
        later: &mut Vec<ResourceId>,
    ) -> Vec<&'w Account> {
        let oldest = |account: &&Account| {
            let targets = account.targets.iter();
            let looked = targets.map(|target| looked_at(self.looked, &target.resource));
            looked.min().flatten()
        };
        let mut accounts: Vec<&Account> = accounts.iter().collect();
        accounts.sort_by_key(oldest);
        for account in accounts.split_off(MOST_ACCOUNTS.min(accounts.len())) {
            later.extend(account.targets.iter().map(|target| target.resource.clone()));
        }
        accounts
    }

    /// Reads the metrics of all accounts, a region at a time.
    async fn measure(&self, subscription: &str, known: &mut [Known<'_>], gathered: &mut Gathered) {
        let mut regions: BTreeMap<String, Vec<Asked>> = BTreeMap::new();
        for one in known.iter() {
            let places = one.wanted.targets.iter().map(|target| {
                let name = if target.is_database() {
                    ""
                } else {
                    target.resource.name()
                };
                (target.place.clone(), name.to_owned())
            });
            regions
                .entry(plain(&one.account.location))
                .or_default()
                .push(Asked {
                    account: one.wanted.id.clone(),
                    places: places.collect(),
                    regions: one.account.regions,
                });
        }
        let asked: Vec<_> = regions
            .iter()
            .map(|(region, asked)| load::read(self.azure, region, subscription, asked, self.now))
            .collect();
        let answers: Vec<_> = futures::stream::iter(asked)
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut loads: HashMap<String, Loads> = HashMap::new();
        for (found, findings) in answers {
            loads.extend(found);
            gathered.findings.extend(findings);
        }
        for one in known {
            one.loads = loads.remove(&load::key(&one.wanted.id)).unwrap_or_default();
        }
    }

    /// Reads what containers may use, the hottest first, as many as there are calls for.
    async fn look(
        &self,
        known: &[Known<'_>],
        calls: usize,
        gathered: &mut Gathered,
    ) -> Vec<(At, Supply)> {
        let (mut places, mut candidates) = (Vec::new(), Vec::new());
        for (account, one) in known.iter().enumerate() {
            for (at, target) in one.wanted.targets.iter().enumerate() {
                // A container that shares is as busy as what it shares.
                let of = if one.loads.shares(&target.place) {
                    one.loads.sharing(&target.place.0, &HashSet::new())
                } else {
                    one.places(target, &HashSet::new())
                };
                let minutes = one.loads.minutes(&of, self.now);
                let looked = looked_at(self.looked, &target.resource);
                candidates.push(Candidate::new(&minutes, &target.rules, looked, self.now));
                places.push((account, at));
            }
        }
        let databases = known
            .iter()
            .flat_map(|one| {
                let containers = one.wanted.targets.iter().filter(|t| !t.is_database());
                containers.map(|t| t.database().as_str().to_ascii_lowercase())
            })
            .collect::<BTreeSet<_>>();
        let calls = calls.saturating_sub(databases.len().min(MOST_DATABASES));
        let (now, later) = choose(&candidates, calls);
        let target = |at: usize| {
            let (account, target): At = places[at];
            &known[account].wanted.targets[target]
        };
        let wait = later.into_iter().map(|at| target(at).resource.clone());
        gathered.later.extend(wait);
        let reads: Vec<_> = now
            .iter()
            .map(|at| cosmos::throughput(self.azure, &target(*at).resource))
            .collect();
        let found: Vec<_> = futures::stream::iter(reads)
            .buffered(AT_ONCE)
            .collect()
            .await;
        let supply = |(at, found): (&usize, Result<Option<_>, crate::azure::Error>)| {
            let supply = match found {
                Ok(Some(throughput)) => Supply::Own(throughput),
                // Its containers have their own, as most have.
                Ok(None) if target(*at).is_database() => Supply::Dedicated,
                Ok(None) => Supply::Shared,
                Err(error) => Supply::Unread(error.to_string()),
            };
            (places[*at], supply)
        };
        now.iter().zip(found).map(supply).collect()
    }

    /// Writes down what is known of each container, and looks at the databases whose containers
    /// share. Gives those that are busy.
    async fn tell(
        &self,
        known: &mut [Known<'_>],
        looks: Vec<(At, Supply)>,
        gathered: &mut Gathered,
    ) -> Vec<Hot> {
        let mut own: Vec<HashSet<Place>> = known.iter().map(|_| HashSet::new()).collect();
        let mut databases: BTreeMap<String, (At, ResourceId)> = BTreeMap::new();
        for ((account, at), supply) in &looks {
            let target = &known[*account].wanted.targets[*at];
            match supply {
                Supply::Own(_) => drop(own[*account].insert(target.place.clone())),
                Supply::Shared => {
                    let database = target.database();
                    let owned = known[*account].wanted.targets.iter();
                    // What is owned itself is looked at in its own turn.
                    if !owned.into_iter().any(|t| t.resource == database) {
                        let key = database.as_str().to_ascii_lowercase();
                        databases.entry(key).or_insert(((*account, *at), database));
                    }
                }
                _ => {}
            }
        }
        let mut databases: Vec<(At, ResourceId)> = databases.into_values().collect();
        databases.sort_by_key(|(_, id)| looked_at(self.looked, id));
        let wait = databases.split_off(MOST_DATABASES.min(databases.len()));
        gathered.later.extend(wait.into_iter().map(|(_, id)| id));
        let reads: Vec<_> = databases
            .iter()
            .map(|(_, id)| cosmos::throughput(self.azure, id))
            .collect();
        let found: Vec<_> = futures::stream::iter(reads)
            .buffered(AT_ONCE)
            .collect()
            .await;
        let accounts: BTreeSet<usize> = databases.iter().map(|((a, _), _)| *a).collect();
        self.widen(known, &accounts, &databases, gathered).await;

        let mut hot = Vec::new();
        let mut absent: BTreeMap<String, String> = BTreeMap::new();
        for (((account, at), id), found) in databases.into_iter().zip(found) {
            let one = &known[account];
            let supply = match found {
                Ok(Some(throughput)) => Supply::Own(throughput),
                Ok(None) => {
                    let why = "neither it nor its database has throughput: does it exist?";
                    absent.insert(id.as_str().to_ascii_lowercase(), why.to_owned());
                    continue;
                }
                Err(error) => Supply::Unread(error.to_string()),
            };
            let of = &one.wanted.targets[at];
            let target = Target {
                resource: id,
                place: (of.place.0.clone(), String::new()),
                rules: of.rules,
            };
            hot.extend(self.one(account, one, &target, supply, &own[account], gathered));
        }
        for ((account, at), supply) in looks {
            let one = &known[account];
            let target = &one.wanted.targets[at];
            let absent = absent.get(&target.database().as_str().to_ascii_lowercase());
            let supply = match (supply, absent) {
                (Supply::Shared, Some(why)) => Supply::Unread(why.clone()),
                (supply, _) => supply,
            };
            hot.extend(self.one(account, one, target, supply, &own[account], gathered));
        }
        hot
    }

    /// Asks for all containers of the databases that share, where only some were asked for.
    async fn widen(
        &self,
        known: &mut [Known<'_>],
        accounts: &BTreeSet<usize>,
        databases: &[(At, ResourceId)],
        gathered: &mut Gathered,
    ) {
        for account in accounts {
            let one = &mut known[*account];
            if !one.loads.narrow {
                continue;
            }
            let here = databases.iter().filter(|((a, _), _)| a == account);
            let whole = |(_, id): &(At, ResourceId)| {
                let place = (id.name().to_ascii_lowercase(), String::new());
                (place, String::new())
            };
            let asked = [Asked {
                account: one.wanted.id.clone(),
                places: here.map(whole).collect(),
                regions: one.account.regions,
            }];
            let region = plain(&one.account.location);
            let subscription = one.wanted.id.subscription().unwrap_or_default();
            let (mut found, findings) =
                load::read(self.azure, &region, subscription, &asked, self.now).await;
            gathered.findings.extend(findings);
            if let Some(loads) = found.remove(&load::key(&one.wanted.id)) {
                one.loads = loads;
            }
        }
    }

    fn one(
        &self,
        account: usize,
        one: &Known<'_>,
        target: &Target,
        supply: Supply,
        own: &HashSet<Place>,
        gathered: &mut Gathered,
    ) -> Option<Hot> {
        let places = one.places(target, own);
        let minutes = one.loads.minutes(&places, self.now);
        let heat = Candidate::new(&minutes, &target.rules, None, self.now).heat;
        let is_own = matches!(supply, Supply::Own(_));
        let hot = (is_own && heat <= Heat::Busy).then(|| Hot {
            account,
            container: gathered.containers.len(),
            places: places.iter().map(|place| (*place).clone()).collect(),
        });
        let facts = ContainerFacts {
            resource: target.resource.clone(),
            supply,
            minutes,
            ranges: Vec::new(),
            partitions: one.loads.partitions(&places),
            heaviest: None,
            storage_gb: one.loads.storage_gb(&places),
            ahead: None,
            past: Past::default(),
        };
        gathered.containers.push(GatheredContainer {
            facts,
            location: one.account.location.clone(),
            regions: one.account.regions,
        });
        hot
    }

    /// Asks, of those that are busy, which partitions are, and whose load it is.
    async fn explain(&self, known: &[Known<'_>], hot: &[Hot], gathered: &mut Gathered) {
        let accounts: BTreeSet<usize> = hot.iter().map(|hot| hot.account).collect();
        let questions: Vec<_> = accounts
            .iter()
            .map(|account| async {
                let one = &known[*account];
                let region = plain(&one.account.location);
                let partitions = load::partitions(self.azure, &region, &one.wanted.id, self.now);
                let spent = heaviest::read(self.azure, &one.wanted.id, self.now);
                (*account, futures::join!(partitions, spent))
            })
            .collect();
        let answers: Vec<_> = futures::stream::iter(questions)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (account, (partitions, spent)) in answers {
            let subject = known[account].wanted.id.short();
            let partitions = partitions.unwrap_or_else(|why| {
                let message = format!("which of its partitions are busy was not read: {why}");
                let finding = Finding::new("partitions-unread", subject.clone(), message);
                gathered.findings.push(finding);
                HashMap::new()
            });
            let spent = spent.unwrap_or_else(|error| {
                let message = format!("whose load it is was not read from its logs: {error}");
                let finding = Finding::new("heaviest-unread", subject, message);
                gathered.findings.push(finding);
                Vec::new()
            });
            for hot in hot.iter().filter(|hot| hot.account == account) {
                let places: Vec<&Place> = hot.places.iter().collect();
                let facts = &mut gathered.containers[hot.container].facts;
                let ranges = places.iter().filter_map(|place| partitions.get(*place));
                facts.ranges = ranges.flatten().cloned().collect();
                facts.heaviest = heaviest::of(&spent, &places);
            }
        }
    }
}

/// A busy container, and where it is among what was gathered.
struct Hot {
    account: usize,
    container: usize,
    places: Vec<Place>,
}

impl Known<'_> {
    /// What a target stands for: itself, or what its database has with all containers that live on it.
    fn places<'p>(&'p self, target: &'p Target, own: &HashSet<Place>) -> Vec<&'p Place> {
        if target.is_database() {
            self.loads.sharing(&target.place.0, own)
        } else {
            vec![&target.place]
        }
    }
}

impl Gathered {
    /// All of an account in the same way, without a look at each.
    fn take_all(&mut self, wanted: &Account, supply: &Supply, account: Option<&cosmos::Account>) {
        for target in &wanted.targets {
            self.containers.push(GatheredContainer {
                facts: ContainerFacts {
                    resource: target.resource.clone(),
                    supply: supply.clone(),
                    minutes: Vec::new(),
                    ranges: Vec::new(),
                    partitions: None,
                    heaviest: None,
                    storage_gb: None,
                    ahead: None,
                    past: Past::default(),
                },
                location: account.map(|a| a.location.clone()).unwrap_or_default(),
                regions: account.map_or(1, |a| a.regions),
            });
        }
    }
}
