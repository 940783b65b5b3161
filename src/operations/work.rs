//! Work from its acceptance to its end.
//!
//! Accepting is one durable write, the inbox document; the queue message beside it is a nudge.
//! Whoever is nudged settles the run: takes it under a lease, does what the chain does not show
//! as done, and clears the inbox. The minute tick settles whatever is still in the inbox, so a
//! lost or hidden message delays nothing for long.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{autoscale, changes, incidents, maintenance, oncall, quiet, recovery};
use crate::app::App;
use crate::changes::give_up;
use crate::domain::{Alert, Finding};
use crate::journal::{Event, Journal, Run, RunId, RunState, Work, list_by_time, note};
use crate::store::{Created, Error};

/// Accepted work that is not finished.
#[derive(Debug, Serialize, Deserialize)]
pub struct Inbox {
    pub run: RunId,
    pub accepted: DateTime<Utc>,
    #[serde(
        default,
        alias = "maintenance",
        skip_serializing_if = "Option::is_none"
    )]
    pub work: Option<Work>,
    /// The payload as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Box<RawValue>>,
}

impl Inbox {
    /// What is to be done.
    pub fn work(&self) -> anyhow::Result<Work> {
        if let Some(work) = &self.work {
            return Ok(work.clone());
        }
        let payload = self
            .alert
            .as_ref()
            .context("the inbox document names no work")?;
        let alert = Alert::parse(payload.get().as_bytes())?;
        Ok(incidents::work_of(&alert))
    }
}

/// What became of an offer of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    pub run: RunId,
    /// False if the same work was accepted before.
    pub new: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Nudge {
    pub(crate) run: RunId,
}

/// Takes an alert: durable when this returns. `payload` is what `alert` was read from.
pub async fn accept_alert(app: &App, alert: &Alert, payload: &Bytes) -> Result<Acceptance, Error> {
    let (run, document) = alert_document(alert, payload, app.clock.now());
    take(app, run, document).await
}

/// The run of an alert, and the inbox document that accepts it.
#[must_use]
pub fn alert_document(alert: &Alert, payload: &Bytes, now: DateTime<Utc>) -> (RunId, Bytes) {
    let run: RunId = format!("alert-{}", alert.fingerprint())
        .parse()
        .expect("a fingerprint is hexadecimal");
    // The payload is JSON already, so it is embedded as it stands instead of being written anew.
    let now = now.to_rfc3339();
    let mut body = Vec::with_capacity(payload.len() + 128);
    body.extend_from_slice(format!(r#"{{"run":"{run}","accepted":"{now}","alert":"#).as_bytes());
    body.extend_from_slice(payload);
    body.push(b'}');
    (run, body.into())
}

/// Takes work that is not an alert: durable when this returns.
pub async fn accept(app: &App, run: RunId, work: Work) -> Result<Acceptance, Error> {
    let inbox = Inbox {
        run: run.clone(),
        accepted: app.clock.now(),
        work: Some(work),
        alert: None,
    };
    let body = serde_json::to_vec(&inbox).map_err(|e| Error::Unreadable {
        path: run.inbox(),
        why: e.to_string(),
    })?;
    take(app, run, body.into()).await
}

async fn take(app: &App, run: RunId, body: Bytes) -> Result<Acceptance, Error> {
    let store = app.store()?;
    let new = matches!(
        store.create_bytes(&run.inbox(), body).await?,
        Created::New(_)
    );
    if new {
        let nudge = Nudge { run: run.clone() };
        if let Err(error) = store.send(&nudge, Duration::ZERO).await {
            tracing::warn!(%run, %error, "accepted, but not nudged: the minute tick will start it");
        }
    }
    Ok(Acceptance { run, new })
}

/// How many processes may die over a run without its coming any further. One that ends each of them would take the whole service
/// down with it: the host gives up on a handler that keeps dying.
const MOST_BEGINNINGS: u32 = 10;

/// What [`settle`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Done by this call.
    Done(RunState),
    /// Nothing was left to do.
    Already,
    /// Another process is at it.
    Elsewhere,
    /// It waits for something outside; the minute tick comes back to it.
    Later,
}

impl std::fmt::Display for Settled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done(state) => state.fmt(f),
            Self::Already => f.write_str("was finished before"),
            Self::Elsewhere => f.write_str("is worked by another process"),
            Self::Later => f.write_str("waits, and is gone on with by the minute tick"),
        }
    }
}

/// Brings one run to its end. Safe to call any number of times, from any number of processes.
///
/// Boxed, because it holds everything that Poolkeeper can do.
pub fn settle<'a>(app: &'a App, id: &'a RunId) -> BoxFuture<'a, anyhow::Result<Settled>> {
    work(app, id).boxed()
}

async fn work(app: &App, id: &RunId) -> anyhow::Result<Settled> {
    let store = app.store()?;
    let Some(inbox) = store.get::<Inbox>(&id.inbox()).await?.map(|s| s.value) else {
        return Ok(Settled::Already);
    };
    let work = inbox
        .work()
        .with_context(|| format!("read the work of run `{id}`"))?;
    store
        .create(
            &id.document(),
            &Run::accepted(id.clone(), work.clone(), inbox.accepted),
        )
        .await?;
    let (lease, stored) = match store.lease::<Run>(&id.document()).await {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(Settled::Already),
        Err(Error::NotOurs(_) | Error::Conflict(_)) => return Ok(Settled::Elsewhere),
        Err(e) => return Err(e.into()),
    };
    let mut run = stored.value;
    if run.state.is_final() {
        // The process that finished it died before it could clear the inbox.
        lease.release().await;
        store.delete(&id.inbox()).await?;
        return Ok(Settled::Already);
    }
    let (mut journal, chain) = Journal::open(store, id, lease.fence()).await?;
    run.project(&chain);
    if chain.records.is_empty() {
        journal
            .append(Event::Accepted { work: work.clone() }, app.clock.now())
            .await?;
    }
    if !run.state.is_final() {
        run.begin(&chain);
        store.overwrite(&run, &lease).await?;
        match carry_out(app, &mut journal, &mut run, &inbox).await {
            Ok(true) => {}
            Ok(false) => {
                run.begun -= 1;
                store.overwrite(&run, &lease).await?;
                lease.release().await;
                return Ok(Settled::Later);
            }
            Err(error) => {
                // It was this attempt that failed, and not the process.
                run.begun -= 1;
                let _ = store.overwrite(&run, &lease).await;
                lease.release().await;
                return Err(error);
            }
        }
    }
    store.overwrite(&run, &lease).await?;
    lease.release().await;
    store.delete(&id.inbox()).await?;
    Ok(Settled::Done(run.state))
}

/// Does what the run is for, as far as its chain does not show it as done. False if it has to wait for
/// something outside.
async fn carry_out(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    inbox: &Inbox,
) -> anyhow::Result<bool> {
    note(journal, run, Event::Started, app.clock.now()).await?;
    list_by_time(app.store()?, run).await?;
    let work = run.work.clone();
    let state = if run.begun > MOST_BEGINNINGS {
        let finding = gave_up(run);
        note(journal, run, Event::Found { finding }, app.clock.now()).await?;
        let decided = match &work {
            Work::Decision { change, .. } => Some(change),
            _ => None,
        };
        give_up(app, journal, run, decided).await?;
        RunState::Failed
    } else {
        match (&work, &inbox.alert) {
            (Work::Alert { .. }, Some(payload)) => {
                let received = incidents::receive(app, journal, run, payload);
                if !received.boxed().await? {
                    return Ok(false);
                }
            }
            (Work::Maintenance { .. }, _) => {
                maintenance::run(app, journal, run, &work).boxed().await?;
            }
            (Work::Proposal { .. }, _) => {
                changes::propose(app, journal, run, &work).boxed().await?
            }
            (Work::Decision { .. }, _) => changes::decide(app, journal, run, &work).boxed().await?,
            (Work::Override { .. } | Work::OverrideEnd { .. }, _) => {
                oncall::carry_out(app, journal, run, &work).boxed().await?;
            }
            (Work::Silence { .. } | Work::SilenceEnd { .. }, _) => {
                quiet::carry_out(app, journal, run, &work).boxed().await?;
            }
            (Work::Recovery { .. }, _) => {
                recovery::run(app, journal, run, &work).boxed().await?;
            }
            (Work::Autoscale { .. }, _) => {
                autoscale::run(app, journal, run, &work).boxed().await?;
            }
            (Work::KillSwitch { .. }, _) => {
                anyhow::bail!("run `{}` is recorded, not worked", run.id)
            }
            (Work::Alert { .. }, None) => {
                anyhow::bail!("run `{}` has lost its payload", run.id)
            }
        }
        run.outcome()
    };
    note(journal, run, Event::Finished { state }, app.clock.now()).await?;
    Ok(true)
}

fn gave_up(run: &Run) -> Finding {
    Finding::new(
        "gave-up",
        run.id.as_str(),
        format!(
            "{MOST_BEGINNINGS} processes died while they worked this run: it may be what ends them"
        ),
    )
}

/// Settles what is in the inbox, until it is empty or `within` is over.
///
/// Returns how many runs were finished; one that cannot be settled stops no other.
pub async fn sweep(app: &App, within: Duration) -> anyhow::Result<usize> {
    let mut names = app.store()?.list_all("inbox/").await?;
    // Somebody may have to be woken: alerts first.
    names.sort_by_key(|name| !name.starts_with("inbox/alert-"));
    let deadline = tokio::time::Instant::now() + within;
    let done = stream::iter(names)
        .map(|name| async move {
            let id = name
                .strip_prefix("inbox/")?
                .strip_suffix(".json")?
                .parse::<RunId>()
                .ok()?;
            if tokio::time::Instant::now() >= deadline {
                return None;
            }
            match settle(app, &id).await {
                Ok(Settled::Done(_)) => Some(()),
                Ok(_) => None,
                Err(error) => {
                    tracing::error!(run = %id, error = format!("{error:#}"), "run not settled");
                    None
                }
            }
        })
        .buffer_unordered(8)
        .filter_map(|done| async move { done })
        .count()
        .await;
    Ok(done)
}
