//! What scaling remembers: one document for all containers of an account, one for the apps of a
//! resource group. Written with etags, so that any number of processes may learn at once.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::decide::Because;
use super::facts::{Past, Raised};
use crate::app::App;
use crate::changes::SCALING;
use crate::domain::{Capacity, Change, ChangeId, Mutation, Outcome, ResourceId};
use crate::journal::{Hash, RunId};
use crate::store::Error;

const FOLDER: &str = "scaling/";
/// Changes are counted for so long.
const DAY: Duration = Duration::hours(24);
/// What lies further ahead was written by a clock that was wrong.
pub(super) const AHEAD: Duration = Duration::minutes(5);
/// What is only watched is written down again after this.
const WATCHED: Duration = Duration::hours(1);

/// What is remembered of what lies in one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// An account, or a resource group.
    pub(super) place: ResourceId,
    /// By the resource in lower case.
    pub(super) known: BTreeMap<String, Known>,
}

/// What is remembered of one container, of what a database shares, or of one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) resource: ResourceId,
    pub(super) looked: Option<DateTime<Utc>>,
    /// Changes that scaling made: of the last day, and the newest of each direction.
    pub(super) made: Vec<Made>,
    /// Its proposals that wait for a decision.
    pub(super) waiting: Vec<Waiting>,
    /// What it had when it was last looked at or changed by scaling.
    #[serde(default)]
    pub(super) had: Option<Capacity>,
    /// The newest change that others made, when it was seen, and whether it gave more.
    #[serde(default)]
    pub(super) turned: Option<(DateTime<Utc>, bool)>,
    /// What was said and is not to be said again so soon: by hash of the mutation, until when.
    pub(super) said: BTreeMap<String, DateTime<Utc>>,
    pub(super) raised: Option<Raised>,
    pub(super) last: Option<Last>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) change: ChangeId,
    pub(super) at: DateTime<Utc>,
    /// It gave more; `None`: neither more nor less.
    pub(super) up: Option<bool>,
}

/// A change that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) change: ChangeId,
    pub(super) because: Because,
}

/// What was decided last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Last {
    pub at: DateTime<Utc>,
    pub run: RunId,
    /// What it had, for people.
    pub has: String,
    /// The most that was used within the newest minutes, percent.
    pub used: Option<f64>,
    pub because: Because,
    pub why: String,
    /// What it was to be.
    pub to: Option<String>,
    pub change: Option<ChangeId>,
    pub outcome: Option<String>,
}

/// What became of a change that scaling proposed.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) id: ChangeId,
    pub(super) change: Change,
    pub(super) because: Because,
    pub(super) outcome: Outcome,
    /// Whether it was begun by us: what was there already was made by somebody else.
    pub(super) begun: bool,
    pub(super) at: DateTime<Utc>,
    /// How long a raise lasts.
    pub(super) burst: Duration,
    /// How long a proposal that was turned down is not made again.
    pub(super) quiet: Duration,
    /// Requests could not be let follow yet: it is looked at again.
    pub(super) unmoved: bool,
}

impl Known {
    pub(super) fn new(resource: &ResourceId) -> Self {
        Self {
            resource: resource.clone(),
            looked: None,
            made: Vec::new(),
            waiting: Vec::new(),
            had: None,
            turned: None,
            said: BTreeMap::new(),
            raised: None,
            last: None,
        }
    }

    /// What earlier changes say to the next decision.
    pub(super) fn past(&self, now: DateTime<Utc>) -> Past {
        let known = || self.made.iter().filter(|made| made.at <= now + AHEAD);
        let newest = |up: bool| {
            let own = known().filter(|made| made.up == Some(up));
            let others = self
                .turned
                .filter(|(at, to)| *to == up && *at <= now + AHEAD);
            own.map(|made| made.at)
                .chain(others.map(|(at, _)| at))
                .max()
        };
        let today = known().filter(|made| made.up.is_some() && now - made.at < DAY);
        Past {
            up: newest(true),
            down: newest(false),
            changes: u32::try_from(today.count()).unwrap_or(u32::MAX),
        }
    }

    /// Sees what it has: what scaling has not made of it, others have.
    pub(super) fn see(&mut self, capacity: Capacity, now: DateTime<Utc>) {
        let has = capacity.ru();
        if let Some(had) = self.had.map(Capacity::ru).filter(|had| *had != has) {
            self.turned = Some((now, has > had));
        }
        self.had = Some(capacity);
    }

    /// Keeps what a run that began at `started` saw, unless it has seen less than is known.
    pub(super) fn looked(
        &mut self,
        capacity: Option<Capacity>,
        started: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        // What lies ahead was written by a clock that was wrong.
        let before = self.looked.filter(|at| *at <= now + AHEAD);
        let changed = self.made.iter().map(|made| made.at).max();
        if before <= Some(started)
            && changed <= Some(started)
            && let Some(capacity) = capacity
        {
            self.see(capacity, started);
        }
        self.looked = before.max(Some(started));
    }

    /// Whether the very same was said and turned down, or only watched, a short while ago.
    pub(super) fn was_said(&self, mutation: &Mutation, now: DateTime<Utc>) -> bool {
        self.said
            .get(&name(mutation))
            .is_some_and(|until| now < *until)
    }

    /// Learns what became of a change. Safe to repeat.
    pub(super) fn learn(&mut self, came: &Came, now: DateTime<Utc>) {
        self.said.retain(|_, until| *until > now);
        match &came.outcome {
            Outcome::AwaitingApproval { .. } => {
                let known = self.waiting.iter().any(|one| one.change == came.id);
                let made = self.made.iter().any(|one| one.change == came.id);
                if !known && !made {
                    self.waiting.push(Waiting {
                        change: came.id.clone(),
                        because: came.because,
                    });
                }
                return;
            }
            // What scaling has withdrawn itself may be right once more.
            Outcome::Rejected { by, .. } if by != SCALING => {
                let until = came.at + came.quiet;
                self.said.insert(name(&came.change.mutation), until);
            }
            Outcome::Observed => {
                let until = came.at + WATCHED;
                self.said.insert(name(&came.change.mutation), until);
            }
            // One that could not be verified may have been made all the same.
            Outcome::Verified { .. } | Outcome::NotVerified { .. } if came.begun => {
                self.made(came, now);
            }
            _ => {}
        }
        self.waiting.retain(|one| one.change != came.id);
        if came.unmoved && now - came.at < DAY {
            self.waiting.push(Waiting {
                change: came.id.clone(),
                because: came.because,
            });
        }
    }

    fn made(&mut self, came: &Came, now: DateTime<Utc>) {
        if self.made.iter().any(|one| one.change == came.id) {
            return;
        }
        self.made.push(Made {
            change: came.id.clone(),
            at: came.at,
            up: direction(&came.change.mutation),
        });
        if let (Mutation::CosmosThroughput { to, .. }, Outcome::Verified { .. }) =
            (&came.change.mutation, &came.outcome)
        {
            self.had = Some(*to);
        }
        let past = self.past(now);
        self.made.retain(|made| {
            let is_newest = Some(made.at) == past.up || Some(made.at) == past.down;
            now - made.at < DAY || is_newest
        });
        if let Mutation::AppReplicas { from, to } = &came.change.mutation {
            let before = self.raised.take().filter(|raised| raised.to == *from);
            self.raised = match came.because {
                // Raised once more, it is taken back to where it was before the first time.
                Because::Burst => Some(Raised {
                    from: before.as_ref().map_or(*from, |raised| raised.from),
                    to: *to,
                    since: before.map_or(came.at, |raised| raised.since),
                    until: came.at + came.burst,
                }),
                _ => None,
            };
        }
    }
}

/// Whether a mutation gives more.
fn direction(mutation: &Mutation) -> Option<bool> {
    match mutation {
        Mutation::CosmosThroughput { from, to } => Some(to.ru() > from.ru()),
        Mutation::AppReplicas { from, to } => Some((to.least, to.most) > (from.least, from.most)),
        _ => None,
    }
}

/// A mutation by the hash of what it says.
fn name(mutation: &Mutation) -> String {
    let text = serde_json::to_vec(mutation).expect("a mutation is plain data");
    Hash::of(&text).as_str()[..20].to_owned()
}

impl Memory {
    fn new(place: ResourceId) -> Self {
        Self {
            place,
            known: BTreeMap::new(),
        }
    }

    pub(super) fn of(&mut self, resource: &ResourceId) -> &mut Known {
        let key = resource.as_str().to_ascii_lowercase();
        let known = self.known.entry(key);
        known.or_insert_with(|| Known::new(resource))
    }
}

/// Where what is known of a resource is written: with its account, or with its resource group.
pub(super) fn place(resource: &ResourceId) -> ResourceId {
    let text = resource.as_str();
    let lower = text.to_ascii_lowercase();
    let end = match lower.find("/sqldatabases/") {
        Some(end) => end,
        None => lower.find("/providers/").unwrap_or(text.len()),
    };
    ResourceId::from_text(&text[..end])
}

fn path(place: &ResourceId) -> String {
    let hash = Hash::of(place.as_str().to_ascii_lowercase().as_bytes());
    format!("{FOLDER}{}.json", &hash.as_str()[..32])
}

/// All that is remembered.
pub(super) async fn all(app: &App) -> Result<Vec<Memory>, Error> {
    let store = app.store()?;
    let paths = store.list_all(FOLDER).await?;
    let found: Vec<_> = stream::iter(paths)
        .map(|path| async move { store.get::<Memory>(&path).await })
        .buffer_unordered(8)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().map(|s| s.value).collect())
}

/// Turns what is remembered of a place, whoever else does so too.
pub(super) async fn update(
    app: &App,
    place: &ResourceId,
    turn: impl Fn(&mut Memory),
) -> Result<(), Error> {
    let (store, path) = (app.store()?, path(place));
    for _ in 0..20 {
        let Some(stored) = store.get::<Memory>(&path).await? else {
            store.create(&path, &Memory::new(place.clone())).await?;
            continue;
        };
        let mut next = stored.value.clone();
        turn(&mut next);
        if next == stored.value {
            return Ok(());
        }
        match store.replace(&path, &next, &stored.etag, None).await {
            Ok(_) => return Ok(()),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Replicas;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_431_200, 0).expect("a time")
    }

    fn app() -> ResourceId {
        ResourceId::new("s", "g", "Microsoft.App/containerApps", "api")
    }

    fn came(number: u32, mutation: Mutation, because: Because, minutes: i64) -> Came {
        Came {
            id: format!("{number:020}").parse().expect("an id"),
            change: Change::new(app(), mutation, "why"),
            because,
            outcome: Outcome::Verified { seen: "it".into() },
            begun: true,
            at: noon() + Duration::minutes(minutes),
            burst: Duration::minutes(30),
            unmoved: false,
            quiet: Duration::hours(24),
        }
    }

    fn ru(from: u32, to: u32) -> Mutation {
        Mutation::CosmosThroughput {
            from: Capacity::Manual(from),
            to: Capacity::Manual(to),
        }
    }

    fn replicas(from: u32, to: u32) -> Mutation {
        let of = |least| Replicas { least, most: 10 };
        Mutation::AppReplicas {
            from: of(from),
            to: of(to),
        }
    }

    #[test]
    fn what_was_verified_is_counted_once_and_forgotten_after_a_day() {
        let mut known = Known::new(&app());
        let now = noon();
        for came in [
            came(1, ru(400, 800), Because::Throttled, -25 * 60),
            came(2, ru(800, 400), Because::Calm, -60),
            came(3, ru(400, 800), Because::Throttled, -30),
            came(3, ru(400, 800), Because::Throttled, -30),
            // A clock was wrong.
            came(4, ru(800, 400), Because::Calm, 600),
        ] {
            known.learn(&came, now);
        }
        let expected = Past {
            up: Some(noon() - Duration::minutes(30)),
            down: Some(noon() - Duration::minutes(60)),
            changes: 2,
        };
        assert_eq!(known.past(now), expected);
        let mut other = came(5, ru(800, 1600), Because::Throttled, 0);
        other.begun = false;
        known.learn(&other, now);
        other.begun = true;
        other.outcome = Outcome::Failed { why: "no".into() };
        known.learn(&other, now);
        assert_eq!(known.past(now).changes, 2, "others made it, or nobody did");
        let later = now + Duration::hours(48);
        known.learn(&came(6, ru(400, 800), Because::Throttled, 48 * 60), later);
        assert_eq!(known.past(later).changes, 1);
        assert!(
            known
                .made
                .iter()
                .all(|made| made.change.as_str() != format!("{:020}", 1))
        );
    }

    #[test]
    fn a_raise_is_remembered_only_if_it_was_made_and_ends_where_it_began() {
        let mut known = Known::new(&app());
        let held = Came {
            outcome: Outcome::Failed { why: "no".into() },
            ..came(1, replicas(2, 4), Because::Burst, 0)
        };
        known.learn(&held, noon());
        assert_eq!(known.raised, None);
        let waits = Outcome::AwaitingApproval {
            until: noon(),
            why: None,
        };
        let mut raise = Came {
            outcome: waits,
            ..came(2, replicas(2, 4), Because::Burst, 0)
        };
        known.learn(&raise, noon());
        assert_eq!((known.raised.as_ref(), known.waiting.len()), (None, 1));
        raise.outcome = Outcome::Verified { seen: "4".into() };
        known.learn(&raise, noon());
        known.learn(&raise, noon());
        assert!(known.waiting.is_empty());
        known.learn(&came(3, replicas(4, 6), Because::Burst, 10), noon());
        let raised = known.raised.clone().expect("a raise");
        assert_eq!((raised.from.least, raised.to.least), (2, 6));
        assert_eq!(raised.since, noon());
        assert_eq!(raised.until, noon() + Duration::minutes(40));
        known.learn(&came(4, replicas(6, 2), Because::BurstOver, 50), noon());
        assert_eq!(known.raised, None);
    }

    #[test]
    fn what_was_turned_down_is_not_proposed_again_at_once() {
        let mut known = Known::new(&app());
        let no = Outcome::Rejected {
            by: "ann".into(),
            reason: "no".into(),
        };
        let rejected = Came {
            outcome: no,
            ..came(1, ru(400, 800), Because::Throttled, 0)
        };
        known.learn(&rejected, noon());
        assert!(known.was_said(&ru(400, 800), noon() + Duration::hours(23)));
        assert!(!known.was_said(&ru(400, 900), noon()));
        assert!(!known.was_said(&ru(400, 800), noon() + Duration::hours(25)));
    }

    #[test]
    fn what_lies_together_is_written_together() {
        let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a");
        let database = account.child("sqlDatabases", "d");
        assert_eq!(place(&database.child("containers", "c")), account);
        assert_eq!(place(&database), account);
        assert_eq!(place(&app()), ResourceId::group("s", "g"));
    }
}
