//! Repairs: what fails is restarted, its cache flushed, its replicas raised, each step made through
//! the door of all changes and looked at before the next one.
//!
//! An attempt is a chain of runs, one for each step, so that each is short and may die anywhere.
//! What is known of attempts lies in a document of the app; whoever is killed is followed by the
//! same run, which meets its own change and makes nothing twice.

mod calm;
mod plan;
mod record;
mod rollout;

use anyhow::Context as _;
use chrono::Duration;

use super::accept;
use super::health::{self, Prober, Tried, happened, may_try};
use super::incidents::is_storm;
use crate::app::App;
use crate::changes;
use crate::domain::{Change, ChangeId, Finding, IncidentEvent, Mutation, Outcome, Repair};
use crate::estate::Endpoint;
use crate::journal::{Event, Journal, Run, Work, note};
use crate::store::Error;

pub use plan::{Facts, Next, Seen, plan, to_restart, traffic};
pub use record::{Attempt, Done, End, Recovery, Scaled, all, find};
pub(in crate::operations) use rollout::move_requests;

/// Who proposes, in changes and in the events of incidents.
const BY: &str = "poolkeeper/recovery";
/// An attempt of which nothing is heard for so long has lost its run.
const LOST: Duration = Duration::minutes(30);

/// What decides whether an app may be repaired once more.
pub(super) async fn tried(app: &App) -> Result<Vec<Tried>, Error> {
    let all = record::all(app).await?;
    Ok(all.iter().map(tried_of).collect())
}

fn tried_of(recovery: &Recovery) -> Tried {
    Tried {
        app: recovery.app.clone(),
        stamp: recovery.stamp.clone(),
        open: recovery.open().is_some(),
        began: recovery.attempts.iter().map(|a| a.began).collect(),
        ended: recovery.attempts.last().and_then(|a| a.ended),
    }
}

/// Begins to repair what an endpoint fails by, unless its stamp is taken or enough was tried. Safe
/// to repeat, and from any number of processes.
pub(super) async fn start(app: &App, endpoint: &Endpoint) -> anyhow::Result<()> {
    let record = health::read(app, &endpoint.name).await?;
    let Some(told) = record.told.filter(|_| record.failing) else {
        return Ok(());
    };
    let Some(incident) = told.incident else {
        return Ok(());
    };
    if !record::take_stamp(app, &endpoint.stamp, &endpoint.app).await? {
        return Ok(());
    }
    let (most, now) = (app.estate()?.health.most_attempts, app.clock.now());
    let recovery = record::update(app, &endpoint.app, &endpoint.stamp, |recovery| {
        let may = may_try(&tried_of(recovery), most, now);
        if may {
            recovery.begin(&endpoint.name, &told.occurrence, &incident, now);
        }
        may
    })
    .await?;
    go_on(app, &recovery).await
}

/// Lets the run of the next step of what is under way begin. Whoever has begun it meets it.
async fn go_on(app: &App, recovery: &Recovery) -> anyhow::Result<()> {
    let Some(attempt) = recovery.open() else {
        return Ok(());
    };
    let work = Work::Recovery {
        endpoint: attempt.endpoint.clone(),
        incident: attempt.incident.clone(),
        attempt: attempt.number,
        step: attempt.next,
        undo: false,
    };
    accept(app, attempt.run(&recovery.app), work).await?;
    Ok(())
}

/// Goes on with what waited, and takes scale-ups back when all is calm. What went wrong, a sentence
/// each.
pub(super) async fn tick(app: &App) -> Vec<String> {
    let all = match record::all(app).await {
        Ok(all) => all,
        Err(error) => return vec![format!("read the repairs: {error}")],
    };
    let mut problems = Vec::new();
    for recovery in all {
        if let Err(error) = tick_one(app, &recovery).await {
            problems.push(format!("repair of {}: {error:#}", recovery.app.short()));
        }
    }
    problems
}

async fn tick_one(app: &App, recovery: &Recovery) -> anyhow::Result<()> {
    let Some(attempt) = recovery.open() else {
        return calm::tick(app, recovery).await;
    };
    let endpoints = &app.estate()?.health.endpoints;
    let Some(endpoint) = endpoints.iter().find(|e| e.name == attempt.endpoint) else {
        let why = format!("{} is not in the estate any more", attempt.endpoint);
        return finish(app, recovery, attempt, End::GaveUp, &why).await;
    };
    if let Some(change) = attempt.waiting() {
        let known = changes::find(app, change).await?;
        let waits = known.is_some_and(|known| known.is_open(app.clock.now()));
        if waits && health::read(app, &endpoint.name).await?.failing {
            return Ok(());
        }
    } else if app.clock.now() - attempt.touched() > LOST {
        let why = format!("the repair of {} was lost on the way", attempt.endpoint);
        return finish(app, recovery, attempt, End::GaveUp, &why).await;
    }
    go_on(app, recovery).await
}

/// Makes one step, or finds that none is left. Safe to repeat.
pub(super) async fn run(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    work: &Work,
) -> anyhow::Result<()> {
    let Work::Recovery {
        endpoint: name,
        attempt: number,
        step,
        undo,
        ..
    } = work
    else {
        anyhow::bail!("run `{}` is no repair", run.id);
    };
    let endpoints = &app.estate()?.health.endpoints;
    let Some(endpoint) = endpoints.iter().find(|e| e.name == *name) else {
        return found(app, journal, run, "recovery-without-endpoint", name).await;
    };
    let Some(recovery) = record::find(app, &endpoint.app).await? else {
        return found(app, journal, run, "recovery-unknown", name).await;
    };
    if *undo {
        return calm::undo(app, journal, run, endpoint, *number, *step).await;
    }
    let Some(attempt) = recovery.attempt(*number).filter(|a| a.is_open()).cloned() else {
        return Ok(());
    };
    if attempt.next > *step {
        // It was done by a process that died before it could say so.
        return after(app, journal, run, endpoint, &recovery, *number).await;
    }
    let recovery = match run.changes.first().map(|note| note.what.clone()) {
        Some(change) => make(app, journal, run, endpoint, *number, change).await?,
        None => next(app, journal, run, endpoint, &recovery, attempt).await?,
    };
    match recovery {
        Some(recovery) => after(app, journal, run, endpoint, &recovery, *number).await,
        None => Ok(()),
    }
}

/// Plans and makes the next step; what is known then, `None` if the attempt has ended.
async fn next(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    endpoint: &Endpoint,
    recovery: &Recovery,
    mut attempt: Attempt,
) -> anyhow::Result<Option<Recovery>> {
    let prober = Prober::new(app)?;
    let waiting = attempt.waiting().cloned();
    let mut waited = None;
    if let Some(change) = &waiting {
        let record = changes::find(app, change).await?;
        waited = record.and_then(|record| record.outcome);
    }
    let was_made = waited.as_ref().is_some_and(made);
    let healthy = if was_made {
        prober.settles(endpoint).await.1
    } else {
        prober.is_well(endpoint).await
    };
    if let Some(outcome) = waited.as_ref().filter(|outcome| outcome.is_final()) {
        let recovery = settle(app, run, endpoint, attempt.number, outcome, healthy).await?;
        let settled = recovery.attempt(attempt.number);
        attempt = settled.cloned().context("the attempt has vanished")?;
        say_steps(app, run, &attempt).await?;
    }
    if !record::holds_stamp(app, &endpoint.stamp, &endpoint.app).await? {
        let why = "another app of the stamp is under repair";
        finish(app, recovery, &attempt, End::GaveUp, why).await?;
        return Ok(None);
    }
    let seen = match rollout::gather(app, &endpoint.app).await {
        Ok(seen) => Ok(seen),
        Err(error) => Err(format!("Azure does not say what there is: {error}")),
    };
    let facts = Facts {
        endpoint,
        attempt: &attempt,
        healthy,
        waited,
        seen,
    };
    let (skipped, next) = plan(&facts, app.clock.now());
    for (repair, why) in skipped {
        skip(app, run, endpoint, attempt.number, repair, &why).await?;
    }
    match next {
        Next::Wait => anyhow::bail!("the change that {} waits for is still open", endpoint.name),
        Next::End(end, why) => {
            if let (true, Some(change)) = (end != End::GaveUp, &waiting) {
                withdraw(app, journal, run, change, &why).await?;
            }
            if end == End::GaveUp {
                found(app, journal, run, "recovery-gave-up", &why).await?;
            }
            let recovery = record::find(app, &endpoint.app).await?;
            let recovery = recovery.context("the repairs have vanished")?;
            let attempt = recovery.attempt(attempt.number);
            let attempt = attempt.context("the attempt has vanished")?.clone();
            say_steps(app, run, &attempt).await?;
            finish(app, &recovery, &attempt, end, &why).await?;
            Ok(None)
        }
        Next::Make(repair, mutation) => {
            let resource = match (repair, &endpoint.redis) {
                (Repair::FlushCache, Some(redis)) => redis.clone(),
                _ => endpoint.app.clone(),
            };
            let change = Change::new(resource, mutation, format!("{} is not well", endpoint.name));
            make(app, journal, run, endpoint, attempt.number, change).await
        }
    }
}

fn repair_of(mutation: &Mutation) -> Repair {
    match mutation {
        Mutation::AppRestart { .. } => Repair::Restart,
        Mutation::CacheFlush => Repair::FlushCache,
        _ => Repair::ScaleUp,
    }
}

/// Whether a change may have had an effect.
fn made(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Verified { .. } | Outcome::NotVerified { .. }
    )
}

/// Makes a change, looks at what came of it, and writes it down.
async fn make(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    endpoint: &Endpoint,
    number: u32,
    change: Change,
) -> anyhow::Result<Option<Recovery>> {
    let repair = repair_of(&change.mutation);
    let (id, outcome) = roll_out(app, journal, run, change).await?;
    let healthy = match made(&outcome) {
        true => Some(Prober::new(app)?.settles(endpoint).await.1),
        false => None,
    };
    let scaled = (repair == Repair::ScaleUp)
        .then(|| run.changes.first().cloned())
        .flatten()
        .filter(|note| note.outcome.as_ref().is_some_and(made));
    let now = app.clock.now();
    let recovery = record::update(app, &endpoint.app, &endpoint.stamp, |recovery| {
        let Some(attempt) = recovery.attempt_mut(number) else {
            return false;
        };
        if attempt
            .steps
            .iter()
            .any(|s| s.run == run.id && s.skipped.is_none())
        {
            return false;
        }
        attempt.next += 1;
        attempt.steps.push(Done {
            repair,
            run: run.id.clone(),
            change: Some(id.clone()),
            outcome: Some(outcome.clone()),
            skipped: None,
            healthy,
            at: now,
        });
        let incident = attempt.incident.clone();
        if let Some(note) = &scaled {
            recovery.scaled.push(Scaled {
                change: note.id.clone(),
                endpoint: endpoint.name.clone(),
                incident,
                attempt: number,
                since: now,
                tries: 0,
            });
        }
        true
    })
    .await?;
    Ok(Some(recovery))
}

/// Makes a change. Where it makes another revision beside the one that serves, requests are moved to
/// it as soon as it is ready: not before, and never to one that is not.
async fn roll_out(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    change: Change,
) -> anyhow::Result<(ChangeId, Outcome)> {
    let proposed = change.clone();
    let (id, outcome) = rollout::one(app, journal, run, change, BY).await?;
    if !matches!(outcome, Outcome::Verified { .. }) {
        return Ok((id, outcome));
    }
    let moved = move_requests(app, journal, run, &proposed, BY).await?;
    Ok(moved.unwrap_or((id, outcome)))
}

/// Writes down what became of the step that waited for an approval.
async fn settle(
    app: &App,
    run: &Run,
    endpoint: &Endpoint,
    number: u32,
    outcome: &Outcome,
    healthy: bool,
) -> anyhow::Result<Recovery> {
    let now = app.clock.now();
    let known = record::update(app, &endpoint.app, &endpoint.stamp, |recovery| {
        let Some(attempt) = recovery.attempt_mut(number) else {
            return false;
        };
        if attempt.waiting().is_none() {
            return false;
        }
        let incident = attempt.incident.clone();
        let Some(last) = attempt.steps.last_mut() else {
            return false;
        };
        last.run = run.id.clone();
        last.outcome = Some(outcome.clone());
        last.healthy = made(outcome).then_some(healthy);
        last.at = now;
        let change = last.change.clone();
        if let (Repair::ScaleUp, true, Some(change)) = (last.repair, made(outcome), change) {
            recovery.scaled.push(Scaled {
                change,
                endpoint: endpoint.name.clone(),
                incident,
                attempt: number,
                since: now,
                tries: 0,
            });
        }
        true
    });
    Ok(known.await?)
}

/// Writes down that a step is not possible.
async fn skip(
    app: &App,
    run: &Run,
    endpoint: &Endpoint,
    number: u32,
    repair: Repair,
    why: &str,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    record::update(app, &endpoint.app, &endpoint.stamp, |recovery| {
        let Some(attempt) = recovery.attempt_mut(number) else {
            return false;
        };
        if attempt.steps.iter().any(|step| step.repair == repair) {
            return false;
        }
        attempt.steps.push(Done {
            repair,
            run: run.id.clone(),
            change: None,
            outcome: None,
            skipped: Some(why.to_owned()),
            healthy: None,
            at: now,
        });
        true
    })
    .await?;
    Ok(())
}

/// Takes an open proposal off the table: what it was to repair is well.
async fn withdraw(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    change: &ChangeId,
    why: &str,
) -> anyhow::Result<()> {
    let Some(record) = changes::find(app, change).await? else {
        return Ok(());
    };
    let ours = run.change(change).is_some();
    if record.is_open(app.clock.now()) || ours {
        changes::reject(app, journal, run, &record, BY, why).await?;
    }
    Ok(())
}

/// Tells what a step came to, and goes on.
async fn after(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    endpoint: &Endpoint,
    recovery: &Recovery,
    number: u32,
) -> anyhow::Result<()> {
    let Some(attempt) = recovery.attempt(number) else {
        return Ok(());
    };
    say_steps(app, run, attempt).await?;
    if attempt
        .steps
        .last()
        .is_some_and(|s| s.healthy == Some(true))
    {
        let repair = attempt.steps.last().map(|s| s.repair.as_str());
        let why = format!(
            "{} is well again after {}",
            endpoint.name,
            repair.unwrap_or("nothing")
        );
        return finish(app, recovery, attempt, End::Recovered, &why).await;
    }
    if let Some(change) = attempt.waiting() {
        let text = format!("the repair waits for a decision about change {change}");
        note(journal, run, Event::Note { text }, app.clock.now()).await?;
        return Ok(());
    }
    go_on(app, recovery).await
}

/// Tells the incident of the steps that a run made or found impossible.
async fn say_steps(app: &App, run: &Run, attempt: &Attempt) -> anyhow::Result<()> {
    for step in attempt.steps.iter().filter(|step| step.run == run.id) {
        let outcome = match (&step.outcome, &step.skipped) {
            (Some(outcome), _) => outcome.to_string(),
            (None, Some(why)) => format!("not possible: {why}"),
            (None, None) => "nothing is known of it".into(),
        };
        let event = IncidentEvent::Repair {
            action: step.repair.to_string(),
            run: run.id.to_string(),
            change: step.change.clone(),
            outcome,
            healthy: step.healthy,
        };
        happened(app, &attempt.incident, event).await?;
    }
    Ok(())
}

/// Tells how an attempt ended, and ends it.
async fn finish(
    app: &App,
    recovery: &Recovery,
    attempt: &Attempt,
    end: End,
    why: &str,
) -> anyhow::Result<()> {
    let (now, number) = (app.clock.now(), attempt.number);
    match end {
        End::Recovered => {
            let (by, reason) = (BY.to_owned(), why.to_owned());
            // A storm is more than the one endpoint that is well again.
            let event = if is_storm(&attempt.incident) {
                IncidentEvent::Evidence {
                    by,
                    title: "one of these is well again".into(),
                    text: reason,
                    facts: Vec::new(),
                }
            } else {
                IncidentEvent::Mitigated { by, reason }
            };
            happened(app, &attempt.incident, event).await?;
        }
        End::ByItself => {}
        End::GaveUp => {
            let record = health::read(app, &attempt.endpoint).await?;
            let told = record.told.filter(|t| t.occurrence == attempt.occurrence);
            let event = if told.is_some_and(|told| told.escalated) {
                IncidentEvent::Evidence {
                    by: BY.into(),
                    title: "the repair has ended".into(),
                    text: why.to_owned(),
                    facts: Vec::new(),
                }
            } else {
                IncidentEvent::Escalated {
                    by: BY.into(),
                    reason: why.to_owned(),
                    level: None,
                }
            };
            happened(app, &attempt.incident, event).await?;
            health::escalated(app, &attempt.endpoint, &attempt.occurrence).await?;
        }
    }
    record::update(app, &recovery.app, &recovery.stamp, |recovery| {
        let open = recovery.attempt_mut(number).filter(|a| a.is_open());
        let Some(attempt) = open else { return false };
        attempt.ended = Some(now);
        attempt.end = Some(end);
        true
    })
    .await?;
    Ok(())
}

/// Notes what a person should know, once.
async fn found(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    code: &str,
    message: &str,
) -> anyhow::Result<()> {
    if run.findings.iter().any(|finding| finding.code == code) {
        return Ok(());
    }
    let finding = Finding::new(code, run.id.as_str(), message);
    note(journal, run, Event::Found { finding }, app.clock.now()).await?;
    Ok(())
}
