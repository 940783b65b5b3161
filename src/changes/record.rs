//! What the store holds of changes and of the resources they change.

use std::collections::VecDeque;

use chrono::{DateTime, Duration, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{Change, ChangeId, ChangeKind, Outcome, ResourceId};
use crate::journal::{Hash, RunId};
use crate::store::{Error, Fenced};

/// A proposed change, as `/api/changes/{id}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    pub id: ChangeId,
    pub change: Change,
    /// What an approval must name.
    pub hash: Hash,
    /// The exact difference, for people.
    pub difference: String,
    pub reversible: bool,
    pub by: String,
    /// The run that proposed it.
    pub run: RunId,
    pub proposed: DateTime<Utc>,
    /// Until when it may be approved.
    pub until: DateTime<Utc>,
    /// How many decisions were made about it: each has a run of its own.
    pub decisions: u32,
    pub outcome: Option<Outcome>,
    /// When the outcome was written.
    pub settled: Option<DateTime<Utc>>,
}

impl ChangeRecord {
    /// The run that a next decision makes.
    #[must_use]
    pub fn decision_run(&self) -> RunId {
        format!("change-{}-{}", self.id, self.decisions + 1)
            .parse()
            .expect("fits a run id")
    }

    /// Which decision a run carries out: the number at the end of its name.
    pub(super) fn number_of(&self, run: &RunId) -> u32 {
        let name = format!("change-{}-", self.id);
        let number = run.as_str().strip_prefix(&name);
        number.and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// The record as it is to be shown: nobody writes down that the time for a decision is over.
    fn seen_at(mut self, now: DateTime<Utc>) -> Self {
        if matches!(self.outcome, Some(Outcome::AwaitingApproval { .. })) && now > self.until {
            self.outcome = Some(Outcome::Expired { at: self.until });
        }
        self
    }

    /// Whether somebody may still decide about it.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        matches!(self.outcome, Some(Outcome::AwaitingApproval { .. })) && now <= self.until
    }
}

/// What is remembered of a resource, and leased while it is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ResourceDocument {
    pub(super) resource: ResourceId,
    pub(super) fence: u64,
    /// The change that is open, and until when it may be.
    pub(super) owner: Option<(ChangeId, DateTime<Utc>)>,
    pub(super) last_change: Option<DateTime<Utc>>,
}

impl Fenced for ResourceDocument {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn set_fence(&mut self, fence: u64) {
        self.fence = fence;
    }
}

impl ResourceDocument {
    /// Where it lies. What does not touch the same thing does not wait for each other: how a container
    /// is indexed and how much throughput it has are two documents.
    pub(super) fn path(kind: ChangeKind, resource: &ResourceId) -> String {
        let mut name = resource.as_str().to_ascii_lowercase();
        match kind {
            ChangeKind::CosmosIndexing => name.push_str(" indexing"),
            ChangeKind::CosmosThroughput
            | ChangeKind::AppReplicas
            | ChangeKind::AppScaleRules
            | ChangeKind::AppRestart
            | ChangeKind::AppTraffic
            | ChangeKind::CacheFlush
            | ChangeKind::LogDeletion => {}
        }
        format!(
            "resources/{}.json",
            &Hash::of(name.as_bytes()).as_str()[..32]
        )
    }
}

pub(super) fn path(id: &ChangeId) -> String {
    format!("changes/{id}.json")
}

/// One change, as it stands now.
pub async fn find(app: &App, id: &ChangeId) -> Result<Option<ChangeRecord>, Error> {
    let stored = app.store()?.get::<ChangeRecord>(&path(id)).await?;
    Ok(stored.map(|s| s.value.seen_at(app.clock.now())))
}

/// The change of a resource that waits for a decision and stands in the way of one of this kind, if
/// there is one.
pub async fn open_on(
    app: &App,
    kind: ChangeKind,
    resource: &ResourceId,
) -> Result<Option<ChangeRecord>, Error> {
    let path = ResourceDocument::path(kind, resource);
    let Some(document) = app.store()?.get::<ResourceDocument>(&path).await? else {
        return Ok(None);
    };
    let Some((owner, _)) = document.value.owner else {
        return Ok(None);
    };
    let found = find(app, &owner).await?;
    Ok(found.filter(|record| record.is_open(app.clock.now())))
}

/// Changes, newest first.
#[derive(Debug, Serialize)]
pub struct ChangePage {
    pub changes: Vec<ChangeRecord>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// One page of changes, newest first; only those with this outcome, if one is named. Of those it
/// may be a few more than `most`, since it reads on until there are enough.
pub async fn all(
    app: &App,
    from: Option<String>,
    most: usize,
    outcome: Option<&str>,
) -> Result<ChangePage, Error> {
    const SCAN: usize = 500;
    let store = app.store()?;
    let (mut changes, mut from) = (Vec::new(), from);
    loop {
        let size = if outcome.is_some() { SCAN } else { most };
        let page = store.list("changes-by-time/", from, size).await?;
        let found = stream::iter(page.names)
            .map(|name| async move {
                match name.rsplit('-').next().and_then(|id| id.parse().ok()) {
                    Some(id) => find(app, &id).await,
                    None => Ok(None),
                }
            })
            .buffered(16)
            .try_collect::<Vec<_>>()
            .await?;
        changes.extend(found.into_iter().flatten().filter(|record| {
            let own = record.outcome.as_ref().map(Outcome::name);
            outcome.is_none_or(|wanted| own == Some(wanted))
        }));
        if page.next.is_none() || changes.len() >= most {
            return Ok(ChangePage {
                changes,
                next: page.next,
            });
        }
        from = page.next;
    }
}

/// Keeps a new proposal and makes it findable. One that is there already is left as it is, and
/// given back.
pub(super) async fn keep(app: &App, fresh: ChangeRecord) -> Result<ChangeRecord, Error> {
    let store = app.store()?;
    store.create(&path(&fresh.id), &fresh).await?;
    let record = find(app, &fresh.id).await?.unwrap_or(fresh);
    let turned = 99_999_999_999_999_i64 - record.proposed.timestamp_millis();
    let name = format!("changes-by-time/{turned:014}-{}", record.id);
    store
        .create_bytes(&name, bytes::Bytes::from_static(b"{}"))
        .await?;
    Ok(record)
}

/// Brings a record up to date, whoever else does so too.
pub(super) async fn update(
    app: &App,
    id: &ChangeId,
    turn: impl Fn(&mut ChangeRecord),
) -> Result<(), Error> {
    let store = app.store()?;
    for _ in 0..10 {
        let Some(stored) = store.get::<ChangeRecord>(&path(id)).await? else {
            return Ok(());
        };
        let mut record = stored.value;
        turn(&mut record);
        match store.replace(&path(id), &record, &stored.etag, None).await {
            Ok(_) => return Ok(()),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict(path(id)))
}

/// When changes of one kind were made, within the last hour.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rate {
    made: VecDeque<DateTime<Utc>>,
}

impl Rate {
    fn forget(&mut self, now: DateTime<Utc>) {
        // What lies in the future was written by a clock that was wrong.
        self.made
            .retain(|at| *at > now - Duration::hours(1) && *at <= now + Duration::minutes(5));
    }
}

fn rate_path(kind: ChangeKind) -> String {
    format!("rates/{kind}.json")
}

/// How many changes of a kind were made within the last hour.
pub(super) async fn within_hour(
    app: &App,
    kind: ChangeKind,
    now: DateTime<Utc>,
) -> Result<u32, Error> {
    let Some(stored) = app.store()?.get::<Rate>(&rate_path(kind)).await? else {
        return Ok(0);
    };
    let mut rate = stored.value;
    rate.forget(now);
    Ok(u32::try_from(rate.made.len()).unwrap_or(u32::MAX))
}

/// Counts a change of this kind as made, unless that would be more than `most` within the hour.
pub(super) async fn count(
    app: &App,
    kind: ChangeKind,
    most: u32,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let (store, path) = (app.store()?, rate_path(kind));
    store.create(&path, &Rate::default()).await?;
    for _ in 0..50 {
        let Some(stored) = store.get::<Rate>(&path).await? else {
            continue;
        };
        let mut rate = stored.value;
        rate.forget(now);
        if rate.made.len() >= most as usize {
            return Ok(false);
        }
        rate.made.push_back(now);
        match store.replace(&path, &rate, &stored.etag, None).await {
            Ok(_) => return Ok(true),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict(path))
}
