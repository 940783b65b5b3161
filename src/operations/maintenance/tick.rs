use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::accept;
use crate::app::App;
use crate::domain::{Cadence, Occurrence, Schedule, Verdict};
use crate::journal::{Cause, Event, Journal, Run, RunId, RunState, Work, list_by_time};
use crate::store::{Error, Store};

/// How far a cadence has been looked after.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// Every occurrence up to here has a record.
    settled: DateTime<Utc>,
}

/// Starts what is due and records what was missed. Safe to repeat, from any number of processes:
/// an occurrence names its run, so it meets itself.
pub async fn tick(app: &App, cadence: Cadence) -> anyhow::Result<String> {
    let store = app.store()?;
    let estate = app.estate()?;
    let schedule = estate.schedule(cadence);
    let now = app.clock.now();
    let path = format!("schedules/{cadence}.json");
    // What was due before the first tick ever was nobody's duty.
    store.create(&path, &Progress { settled: now }).await?;
    let Some(progress) = store.get::<Progress>(&path).await? else {
        anyhow::bail!("`{path}` vanished while it was read");
    };
    // A clock that once jumped ahead must not silence the schedule for as long.
    let since = progress.value.settled.min(now);
    let mut recorded = Vec::new();
    for occurrence in schedule.occurrences(since, now) {
        if is_recorded(store, &occurrence).await? {
            recorded.push(occurrence);
        }
    }
    let mut told = Vec::new();
    for (occurrence, verdict) in schedule.decide(since, |o| recorded.contains(o), now) {
        told.extend(carry_out(app, schedule, &occurrence, verdict).await?);
    }
    match store
        .replace(&path, &Progress { settled: now }, &progress.etag, None)
        .await
    {
        // Another process ticked as well and came to the same.
        Ok(_) | Err(Error::Conflict(_)) => {}
        Err(e) => return Err(e.into()),
    }
    if told.is_empty() {
        told.push(format!("{cadence} maintenance: nothing due"));
    }
    Ok(told.join("; "))
}

fn run_of(occurrence: &Occurrence) -> RunId {
    occurrence
        .key()
        .parse()
        .expect("a key is made of what a run id allows")
}

async fn is_recorded(store: &Store, occurrence: &Occurrence) -> Result<bool, Error> {
    let run = run_of(occurrence);
    Ok(store.get::<Run>(&run.document()).await?.is_some()
        || store
            .get::<serde_json::Value>(&run.inbox())
            .await?
            .is_some())
}

async fn carry_out(
    app: &App,
    schedule: &Schedule,
    occurrence: &Occurrence,
    verdict: Verdict,
) -> anyhow::Result<Option<String>> {
    let run = run_of(occurrence);
    let work = |cause| Work::Maintenance {
        cadence: schedule.cadence(),
        cause,
        due: Some(occurrence.due),
        tasks: Vec::new(),
        dry_run: false,
    };
    match verdict {
        Verdict::AlreadyDone => Ok(None),
        Verdict::Due => {
            accept(app, run.clone(), work(Cause::Schedule)).await?;
            Ok(Some(format!("{run} started")))
        }
        Verdict::CatchUp { late } => {
            accept(app, run.clone(), work(Cause::CatchUp)).await?;
            Ok(Some(format!(
                "{run} started {} minutes late",
                late.num_minutes()
            )))
        }
        Verdict::Missed { late, superseded } => {
            let event = Event::Missed {
                late_seconds: late.num_seconds(),
                superseded,
            };
            record_missed(app, &run, work(Cause::Schedule), occurrence.due, event).await?;
            tracing::error!(%run, "missed");
            Ok(Some(format!("{run} missed")))
        }
    }
}

/// The chain first, then its place in the list, the document last: a document without a chain would
/// be a claim, and it is the document that says that all is recorded. The run counts as accepted
/// when it was due, so that a repetition after a crash writes the same.
async fn record_missed(
    app: &App,
    run: &RunId,
    work: Work,
    due: DateTime<Utc>,
    event: Event,
) -> anyhow::Result<()> {
    let (store, now) = (app.store()?, app.clock.now());
    let (mut journal, chain) = Journal::open(store, run, 0).await?;
    if chain.records.is_empty() {
        match journal.append(event, now).await {
            // Another process recorded the same miss.
            Ok(()) | Err(Error::Conflict(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut record = Run::accepted(run.clone(), work, due);
    record.state = RunState::Missed;
    record.finished = Some(now);
    list_by_time(store, &record).await?;
    store.create(&run.document(), &record).await?;
    Ok(())
}
