//! What is remembered of the repairs of an app, and which app of a stamp is under repair.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{ChangeId, IncidentId, Outcome, Repair, ResourceId};
use crate::journal::{Hash, RunId};
use crate::store::Error;

/// Attempts older than this are forgotten, but for the newest.
const KEPT: Duration = Duration::days(1);

/// The repairs of one app: `recoveries/<hash>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    pub app: ResourceId,
    pub stamp: String,
    /// Oldest first; the last one may be under way.
    pub attempts: Vec<Attempt>,
    /// Scale-ups that are to be taken back, the newest last.
    pub scaled: Vec<Scaled>,
}

/// One attempt to repair an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub number: u32,
    pub endpoint: String,
    /// The failure that it is about.
    pub occurrence: String,
    pub incident: IncidentId,
    pub began: DateTime<Utc>,
    pub steps: Vec<Done>,
    /// The number of the run that makes the next step.
    pub next: u32,
    pub ended: Option<DateTime<Utc>>,
    pub end: Option<End>,
}

/// One step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub repair: Repair,
    /// The run that made it, or saw what became of it.
    pub run: RunId,
    /// `None` where it is not possible.
    pub change: Option<ChangeId>,
    pub outcome: Option<Outcome>,
    /// Why it was not made, if nobody proposed it.
    pub skipped: Option<String>,
    /// Whether the endpoint was well after it; `None` if it was not made.
    pub healthy: Option<bool>,
    pub at: DateTime<Utc>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A step helped.
    Recovered,
    /// It was well before anything was done.
    ByItself,
    /// Nothing helped.
    GaveUp,
}

/// A scale-up that helped, or was made at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaled {
    pub change: ChangeId,
    pub endpoint: String,
    pub incident: IncidentId,
    pub attempt: u32,
    /// From when on calm is counted.
    pub since: DateTime<Utc>,
    /// How often it was tried to take it back.
    pub tries: u32,
}

impl Attempt {
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// The change that waits for an approval, if the last step's does.
    #[must_use]
    pub fn waiting(&self) -> Option<&ChangeId> {
        let last = self.steps.last()?;
        match last.outcome {
            Some(Outcome::AwaitingApproval { .. }) => last.change.as_ref(),
            _ => None,
        }
    }

    /// When something last happened in it.
    #[must_use]
    pub fn touched(&self) -> DateTime<Utc> {
        self.steps.last().map_or(self.began, |step| step.at)
    }

    /// The run of its next step.
    #[must_use]
    pub fn run(&self, app: &ResourceId) -> RunId {
        name("recover", &self.endpoint, app, self.number, self.next)
    }
}

/// Runs are named by what they do, so that the same work meets itself.
pub(super) fn name(what: &str, endpoint: &str, app: &ResourceId, one: u32, two: u32) -> RunId {
    let hash = Hash::of(app.as_str().to_ascii_lowercase().as_bytes());
    format!("{what}-{endpoint}-{}-{one}-{two}", &hash.as_str()[..8])
        .parse()
        .expect("an endpoint's name fits a run id")
}

impl Recovery {
    fn fresh(app: &ResourceId, stamp: &str) -> Self {
        Self {
            app: app.clone(),
            stamp: stamp.to_owned(),
            attempts: Vec::new(),
            scaled: Vec::new(),
        }
    }

    /// The attempt that is under way.
    #[must_use]
    pub fn open(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.is_open())
    }

    #[must_use]
    pub fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|a| a.number == number)
    }

    pub(super) fn attempt_mut(&mut self, number: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|a| a.number == number)
    }

    /// Begins an attempt.
    pub(super) fn begin(
        &mut self,
        endpoint: &str,
        occurrence: &str,
        incident: &IncidentId,
        now: DateTime<Utc>,
    ) {
        let number = self.attempts.last().map_or(1, |last| last.number + 1);
        let newest = number.saturating_sub(1);
        self.attempts
            .retain(|a| a.number == newest || now - a.began < KEPT);
        self.attempts.push(Attempt {
            number,
            endpoint: endpoint.to_owned(),
            occurrence: occurrence.to_owned(),
            incident: incident.clone(),
            began: now,
            steps: Vec::new(),
            next: 0,
            ended: None,
            end: None,
        });
    }
}

fn path(app: &ResourceId) -> String {
    let hash = Hash::of(app.as_str().to_ascii_lowercase().as_bytes());
    format!("recoveries/{}.json", &hash.as_str()[..32])
}

/// The repairs of every app that ever had one.
pub async fn all(app: &App) -> Result<Vec<Recovery>, Error> {
    let store = app.store()?;
    let mut found = Vec::new();
    for path in store.list_all("recoveries/").await? {
        found.extend(store.get::<Recovery>(&path).await?.map(|s| s.value));
    }
    Ok(found)
}

/// The repairs of one app.
pub async fn find(app: &App, of: &ResourceId) -> Result<Option<Recovery>, Error> {
    let stored = app.store()?.get::<Recovery>(&path(of)).await?;
    Ok(stored.map(|stored| stored.value))
}

/// Turns what is remembered of an app, whoever else does so too; what it is then. `turn` says false
/// where nothing is to be changed.
pub(super) async fn update(
    app: &App,
    of: &ResourceId,
    stamp: &str,
    turn: impl Fn(&mut Recovery) -> bool,
) -> Result<Recovery, Error> {
    let (store, path) = (app.store()?, path(of));
    for _ in 0..20 {
        let Some(stored) = store.get::<Recovery>(&path).await? else {
            store.create(&path, &Recovery::fresh(of, stamp)).await?;
            continue;
        };
        let mut next = stored.value;
        if !turn(&mut next) {
            return Ok(next);
        }
        match store.replace(&path, &next, &stored.etag, None).await {
            Ok(_) => return Ok(next),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict(path))
}

/// Which app of a stamp is under repair.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Slot {
    app: Option<ResourceId>,
    taken: Option<DateTime<Utc>>,
}

/// So long a stamp is held for an attempt that is not written down yet.
const BEGINNING: Duration = Duration::minutes(2);

fn slot_path(stamp: &str) -> String {
    let hash = Hash::of(stamp.as_bytes());
    format!("recovery-stamps/{}.json", &hash.as_str()[..32])
}

/// Takes a stamp for one app, so that no second one is repaired beside it. An app that held it and
/// has no attempt under way holds it no more.
pub(super) async fn take_stamp(app: &App, stamp: &str, of: &ResourceId) -> Result<bool, Error> {
    let (store, path, now) = (app.store()?, slot_path(stamp), app.clock.now());
    store.create(&path, &Slot::default()).await?;
    let Some(stored) = store.get::<Slot>(&path).await? else {
        return Ok(false);
    };
    if let Some(other) = stored.value.app.as_ref().filter(|other| *other != of) {
        let beginning = |at: DateTime<Utc>| (now - at).abs() < BEGINNING;
        let known = find(app, other).await?;
        let is_open = known.is_some_and(|known| known.open().is_some());
        if is_open || stored.value.taken.is_some_and(beginning) {
            return Ok(false);
        }
    }
    let next = Slot {
        app: Some(of.clone()),
        taken: Some(now),
    };
    match store.replace(&path, &next, &stored.etag, None).await {
        Ok(_) => Ok(true),
        Err(Error::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a stamp is held for this app: a process that was paused may have lost it to another.
pub(super) async fn holds_stamp(app: &App, stamp: &str, of: &ResourceId) -> Result<bool, Error> {
    let stored = app.store()?.get::<Slot>(&slot_path(stamp)).await?;
    Ok(stored.is_some_and(|stored| stored.value.app.as_ref() == Some(of)))
}
