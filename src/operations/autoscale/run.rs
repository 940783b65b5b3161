//! One run of scaling: look, decide, propose, and remember what came of it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};

use super::decide::Because;
use super::gather::{Gathered, Scope, gather};
use super::judge::{self, Judged};
use super::record::{self, Came, Known, Last, Memory};
use crate::app::App;
use crate::changes::{self, ChangeRecord, SCALING};
use crate::domain::{Change, Finding, IncidentEvent, Mutation, Outcome, ResourceId};
use crate::estate::Estate;
use crate::journal::{
    Chain, ChangeNote, Decided, Event, Journal, Run, RunId, RunState, TaskReport, Wake, Work, note,
};
use crate::operations::capacity::Ahead;
use crate::operations::maintenance::{TaskResult, is_interruption};
use crate::operations::{health, recovery};
use crate::store::Error;

/// What a run of scaling does, as its report names it.
pub(super) const TASK: &str = "autoscale";
/// A record of the journal is kept below so many bytes.
const MOST_RECORD: usize = 256 * 1024;

/// Scales what the work names. Safe to repeat: taken up again, a run brings the changes that it has
/// proposed to their ends, and decides nothing anew.
pub(in crate::operations) async fn run(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    work: &Work,
) -> anyhow::Result<()> {
    let Work::Autoscale {
        only,
        cause,
        dry_run,
    } = work
    else {
        anyhow::bail!("run `{}` scales nothing", run.id);
    };
    if run.has_finished(TASK) {
        return Ok(());
    }
    let started = app.clock.now();
    let task = TASK.to_owned();
    note(journal, run, Event::TaskStarted { task }, started).await?;
    let report = match scale(app, journal, run, only.as_ref(), *dry_run).await {
        Ok((result, decided)) => {
            tell_incident(app, run, cause, &decided).await?;
            let finished = app.clock.now();
            let state = result.state();
            let done = TaskReport::done(TASK, started, finished, result.summary, result.findings);
            TaskReport {
                state: state.unwrap_or(done.state),
                counts: result.counts,
                ..done
            }
        }
        Err(error) if is_interruption(&error) => return Err(error),
        Err(error) => {
            let why = format!("{error:#}");
            tracing::error!(run = %run.id, error = why, "scaling failed");
            let finished = app.clock.now();
            TaskReport {
                state: RunState::Failed,
                ..TaskReport::done(TASK, started, finished, why, Vec::new())
            }
        }
    };
    let now = app.clock.now();
    note(journal, run, Event::TaskFinished { report }, now).await?;
    Ok(())
}

/// Looks, decides and changes; what came of it, and what was decided.
async fn scale(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    only: Option<&ResourceId>,
    dry_run: bool,
) -> anyhow::Result<(TaskResult, Vec<Decided>)> {
    let (mut decided, mut counts, mut findings) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut proposed: Vec<Change> = own(run).map(|note| note.what.clone()).collect();
    let mut judged = Vec::new();
    let mut later = 0;
    if proposed.is_empty() {
        let looked = look(app, only, dry_run).await?;
        findings.extend(looked.findings);
        later = looked.later;
        judged = looked.judged;
        for one in &mut judged {
            settle_with_open(app, journal, run, one, dry_run).await?;
        }
        judge::choose(&mut judged, app.estate()?);
        decided = judged.iter().map(decided_of).collect();
        for decision in &decided {
            *counts
                .entry(decision.because.replace('-', "_"))
                .or_default() += 1;
        }
        write_down(app, journal, run, &decided).await?;
        for one in &mut judged {
            findings.append(&mut one.findings);
        }
        proposed = judged.iter().filter_map(|one| one.change.clone()).collect();
    } else {
        // A process died over it: what it had decided is in the chain.
        decided.extend(decisions(app, &run.id).await?);
    }
    let notes = changes::apply(app, journal, run, proposed, SCALING, dry_run).await?;
    if !dry_run {
        remember(app, run, &judged, &decided, &notes).await?;
        for note in &notes {
            if matches!(note.outcome, Some(Outcome::Verified { .. })) {
                recovery::move_requests(app, journal, run, &note.what, SCALING).await?;
            }
        }
    }
    let mut summary = format!("{} looked at", decided.len());
    for (because, count) in &counts {
        summary.push_str(&format!(", {count} {}", because.replace('_', " ")));
    }
    if later > 0 {
        summary.push_str(&format!("; {later} are looked at by the next runs"));
        counts.insert("later".into(), later);
    }
    let mut result = TaskResult::new(summary, findings);
    result.counts = counts;
    let notes: Vec<ChangeNote> = run.changes.clone();
    result.tell(&notes);
    Ok((result, decided))
}

/// The changes that a run has proposed itself; it may have taken an older one off the table, too.
fn own(run: &Run) -> impl Iterator<Item = &ChangeNote> {
    run.changes.iter().filter(|note| {
        let is_traffic = matches!(note.what.mutation, Mutation::AppTraffic { .. });
        !is_traffic && note.id == changes::id(&run.id, note.what.kind(), &note.what.resource)
    })
}

/// What was seen, and what is to become of it.
struct Looked {
    judged: Vec<Judged>,
    findings: Vec<Finding>,
    /// How many things were not looked at for lack of calls.
    later: u64,
}

async fn look(app: &App, only: Option<&ResourceId>, dry_run: bool) -> anyhow::Result<Looked> {
    let (estate, now) = (app.estate()?, app.clock.now());
    let mut memory = record::all(app).await?;
    if !dry_run {
        for memory in &mut memory {
            settle_waiting(app, memory).await?;
        }
    }
    let known: BTreeMap<String, Known> = memory.into_iter().flat_map(|m| m.known).collect();
    let looked = known
        .iter()
        .filter_map(|(name, known)| Some((name.clone(), known.looked?)))
        .collect();
    let scope = Scope {
        only: only.cloned(),
    };
    let Gathered {
        containers,
        apps,
        later,
        findings,
    } = gather(app, &scope, &looked)
        .await
        .context("see what there is to scale")?;
    let ahead = Ahead::read(app).await.context("read the forecasts")?;
    let of = |resource: &ResourceId| known.get(&resource.as_str().to_ascii_lowercase());
    let mut judged = Vec::new();
    for mut container in containers {
        let facts = &mut container.facts;
        let Some(rules) = estate.scaling.throughput(&facts.resource) else {
            continue;
        };
        facts.past = of(&facts.resource).map_or_else(Default::default, |k| k.past(now));
        facts.ahead = ahead.need(&facts.resource, now, now + rules.ahead);
        let prices = &estate.scaling.prices;
        judged.push(judge::container(&container, rules, prices, now));
    }
    for mut app in apps {
        let Some(rules) = estate.scaling.replicas(&app.facts.app) else {
            continue;
        };
        app.facts.raised = of(&app.facts.app).and_then(|known| known.raised.clone());
        judged.push(judge::app(&app, rules, &estate.scaling.prices, now));
    }
    for one in &mut judged {
        let said = one.change.as_ref().filter(|change| {
            of(&one.resource).is_some_and(|known| known.was_said(&change.mutation, now))
        });
        if let Some(change) = said {
            let difference = change.difference();
            one.why.push_str(&format!(
                "; {difference} was proposed a short while ago, and turned down or only observed"
            ));
            one.change = None;
        }
    }
    Ok(Looked {
        judged,
        findings,
        later: later.len() as u64,
    })
}

/// Learns what became of proposals that waited for a decision: somebody may have made it without us.
async fn settle_waiting(app: &App, memory: &mut Memory) -> anyhow::Result<()> {
    let estate = app.estate()?;
    let mut came = Vec::new();
    let mut gone = Vec::new();
    for known in memory.known.values() {
        for waiting in &known.waiting {
            match changes::find(app, &waiting.change).await? {
                Some(record) => came.extend(came_of(estate, &record, waiting.because)),
                None => gone.push(waiting.change.clone()),
            }
        }
    }
    if came.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let turn = |memory: &mut Memory| {
        for one in &came {
            memory.of(&one.change.resource).learn(one, now);
        }
        for known in memory.known.values_mut() {
            known.waiting.retain(|one| !gone.contains(&one.change));
        }
    };
    turn(memory);
    record::update(app, &memory.place.clone(), turn).await?;
    Ok(())
}

/// What became of a proposal, once it is final.
fn came_of(estate: &Estate, record: &ChangeRecord, because: Because) -> Option<Came> {
    let outcome = record.outcome.clone().filter(Outcome::is_final)?;
    Some(Came {
        id: record.id.clone(),
        change: record.change.clone(),
        because,
        outcome,
        begun: true,
        at: record.settled.unwrap_or(record.proposed),
        burst: burst(estate, &record.change.resource),
        quiet: estate.policy(record.change.kind()).approval_lasts,
    })
}

fn burst(estate: &Estate, app: &ResourceId) -> Duration {
    let rules = estate.scaling.replicas(app);
    rules.map_or_else(Duration::zero, |rules| rules.burst)
}

/// Holds what is wanted against a proposal that is open: the same is not proposed twice, and one of
/// ours that is wrong by now is taken off the table first.
async fn settle_with_open(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    one: &mut Judged,
    dry_run: bool,
) -> anyhow::Result<()> {
    let Some(change) = &one.change else {
        return Ok(());
    };
    let Some(open) = changes::open_on(app, &one.resource).await? else {
        return Ok(());
    };
    if open.by == SCALING && is_overtaken(&open.change, change) && !dry_run {
        let why = format!("overtaken: {}", change.difference());
        changes::reject(app, journal, run, &open, SCALING, &why).await?;
        return Ok(());
    }
    let text = format!(
        "; change {} of {} waits for a decision: {}",
        open.id, open.by, open.difference
    );
    one.why.push_str(&text);
    one.change = None;
    Ok(())
}

/// Whether an open proposal is wrong by now: it goes the other way, or not far enough, or begins
/// where nothing is any more.
fn is_overtaken(open: &Change, wanted: &Change) -> bool {
    use crate::domain::Capacity::{Autoscale, Manual};
    match (&open.mutation, &wanted.mutation) {
        (
            Mutation::CosmosThroughput { from, to },
            Mutation::CosmosThroughput {
                from: now,
                to: want,
            },
        ) => {
            let ru = |capacity| match capacity {
                Manual(ru) | Autoscale(ru) => ru,
            };
            let (from, to, now, want) = (ru(*from), ru(*to), ru(*now), ru(*want));
            from != now || (to > from) != (want > now) || (to > from && want > to)
        }
        (
            Mutation::AppReplicas { from, to },
            Mutation::AppReplicas {
                from: now,
                to: want,
            },
        ) => {
            from != now || to.least < want.least || (to.least > now.least && want.least < now.least)
        }
        // Replicas that are needed now do not wait for rules.
        (Mutation::AppScaleRules { .. }, Mutation::AppReplicas { .. }) => true,
        (open, wanted) => {
            std::mem::discriminant(open) == std::mem::discriminant(wanted) && open != wanted
        }
    }
}

fn decided_of(one: &Judged) -> Decided {
    Decided {
        resource: one.resource.clone(),
        has: one.has.clone(),
        because: one.because.name(),
        why: one.why.clone(),
        to: one.to(),
        facts: one.facts.clone(),
    }
}

/// Writes all decisions down, in as few records as their size allows.
async fn write_down(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    decided: &[Decided],
) -> anyhow::Result<()> {
    let (mut part, mut bytes) = (Vec::new(), 0);
    let mut parts = Vec::new();
    for decision in decided {
        let size = serde_json::to_vec(decision)?.len();
        if bytes + size > MOST_RECORD && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push(decision.clone());
    }
    parts.push(part);
    for decided in parts.into_iter().filter(|part| !part.is_empty()) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for decision in &decided {
            *counts.entry(decision.because.clone()).or_default() += 1;
        }
        let event = Event::Scaling { decided, counts };
        note(journal, run, event, app.clock.now()).await?;
    }
    Ok(())
}

/// What a run has decided, of each resource the last.
///
/// Errors: the store.
pub async fn decisions(app: &App, run: &RunId) -> Result<Vec<Decided>, Error> {
    let log = app.store()?.log(&run.log()).await?.unwrap_or_default();
    let chain = Chain::read(run.as_str(), &log);
    let mut found: BTreeMap<String, Decided> = BTreeMap::new();
    for (_, record) in chain.records {
        if let Event::Scaling { decided, .. } = record.event {
            for one in decided {
                found.insert(one.resource.as_str().to_ascii_lowercase(), one);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Keeps what was seen, what was decided, and what came of it.
async fn remember(
    app: &App,
    run: &Run,
    judged: &[Judged],
    decided: &[Decided],
    notes: &[ChangeNote],
) -> anyhow::Result<()> {
    let (estate, now) = (app.estate()?, app.clock.now());
    let came: Vec<Came> = notes
        .iter()
        .filter_map(|note| {
            let mut all = decided.iter();
            let decision = all.find(|d| d.resource == note.what.resource)?;
            Some(Came {
                id: note.id.clone(),
                change: note.what.clone(),
                because: Because::named(&decision.because)?,
                outcome: note.outcome.clone()?,
                begun: note.begun.is_some(),
                at: now,
                burst: burst(estate, &note.what.resource),
                quiet: estate.policy(note.what.kind()).approval_lasts,
            })
        })
        .collect();
    let mut places: BTreeMap<String, ResourceId> = BTreeMap::new();
    let resources = decided.iter().map(|one| &one.resource);
    for resource in resources {
        let place = record::place(resource);
        places.insert(place.as_str().to_ascii_lowercase(), place);
    }
    let started = run.started.unwrap_or(now);
    for place in places.values() {
        record::update(app, place, |memory| {
            for one in decided
                .iter()
                .filter(|d| record::place(&d.resource) == *place)
            {
                let known = memory.of(&one.resource);
                known.looked = known.looked.max(Some(started));
                let used = judged.iter().find(|j| j.resource == one.resource);
                known.last = last(run, one, used.and_then(|j| j.used), notes, now);
                if stale(known, one) {
                    known.raised = None;
                }
            }
            for one in &came {
                if record::place(&one.change.resource) == *place {
                    memory.of(&one.change.resource).learn(one, now);
                }
            }
        })
        .await?;
    }
    Ok(())
}

fn last(
    run: &Run,
    one: &Decided,
    used: Option<f64>,
    notes: &[ChangeNote],
    now: DateTime<Utc>,
) -> Option<Last> {
    let note = notes.iter().find(|note| note.what.resource == one.resource);
    Some(Last {
        at: now,
        run: run.id.clone(),
        has: one.has.clone(),
        used,
        because: Because::named(&one.because)?,
        why: one.why.clone(),
        to: one.to.clone(),
        change: note.map(|note| note.id.clone()),
        outcome: note.and_then(|note| Some(note.outcome.as_ref()?.to_string())),
    })
}

/// Whether a raise is none any more, since somebody else has changed the replicas.
fn stale(known: &Known, one: &Decided) -> bool {
    let unclear = matches!(
        Because::named(&one.because),
        None | Some(Because::Pending | Because::Unread)
    );
    let raised = known.raised.as_ref().map(|raised| raised.to.to_string());
    !unclear && raised.is_some_and(|raised| raised != one.has)
}

/// Tells the incident that asked for it what scaling came to.
async fn tell_incident(
    app: &App,
    run: &Run,
    cause: &Wake,
    decided: &[Decided],
) -> anyhow::Result<()> {
    let Wake::Incident { incident, .. } = cause else {
        return Ok(());
    };
    let mut facts = vec![("run".to_owned(), run.id.to_string())];
    for note in own(run) {
        let outcome = note.outcome.as_ref().map(ToString::to_string);
        let text = format!("{}: {}", note.difference, outcome.unwrap_or_default());
        facts.push((format!("change {}", note.id), text));
    }
    let changed = own(run).count();
    let title = match changed {
        0 => "scaling has looked and changes nothing".to_owned(),
        1 => "scaling has proposed a change".to_owned(),
        more => format!("scaling has proposed {more} changes"),
    };
    let told = decided.iter().take(10);
    let text: Vec<String> = told
        .map(|one| format!("{}: {} ({})", one.resource.short(), one.why, one.has))
        .collect();
    let event = IncidentEvent::Evidence {
        by: SCALING.into(),
        title,
        text: text.join("; "),
        facts,
    };
    match health::happened(app, incident, event).await {
        Err(error) if is_interruption(&error) => Err(error),
        // What was scaled is scaled, also if the incident is gone by now.
        Err(error) => {
            tracing::warn!(%incident, error = format!("{error:#}"), "not told");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
