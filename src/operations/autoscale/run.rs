//! One run of scaling: look, decide, propose, and remember what came of it.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Supply;
use super::gather::{Gathered, Scope, gather};
use super::judge::{self, Judged, Room};
use super::open::{settle_with_open, withdraw};
use super::record::{self, Came, Known};
use super::remember::{came_of, came_of_notes, remember};
use crate::app::App;
use crate::changes::{self, SCALING};
use crate::domain::{Change, ChangeKind, Finding, IncidentEvent, Mutation, Outcome, ResourceId};
use crate::journal::{
    Chain, ChangeNote, Decided, Event, Journal, Run, RunId, RunState, TaskReport, Wake, Work, note,
};
use crate::operations::capacity::Ahead;
use crate::operations::maintenance::{TaskResult, is_interruption};
use crate::operations::{health, recovery};
use crate::store::Error;
use anyhow::Context as _;

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
    let (mut judged, mut settled, mut later) = (Vec::new(), Vec::new(), 0);
    if proposed.is_empty() {
        let looked = look(app, only).await?;
        settled = looked.settled;
        findings.extend(looked.findings);
        later = looked.later;
        judged = looked.judged;
        if !dry_run {
            move_first(app, journal, run, &mut settled, &mut judged, &mut findings).await?;
        }
        judge::sort(&mut judged);
        let mut room = Room::new(app.estate()?);
        for one in &mut judged {
            if room.is_left(one) {
                settle_with_open(app, journal, run, one, dry_run).await?;
                room.take(one);
            } else if let Some(kind) = looked
                .waiting
                .get(&one.resource.as_str().to_ascii_lowercase())
                && !dry_run
            {
                withdraw(app, journal, run, one, *kind).await?;
            }
        }
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
        let mut came = came_of_notes(app.estate()?, &decided, &notes, app.clock.now());
        for one in &mut came {
            follow(app, journal, run, one, &mut findings).await?;
        }
        came.extend(settled);
        // Last: whoever dies before does all of this once more.
        remember(app, run, &judged, &decided, &came).await?;
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

/// Lets requests follow to what a change made that somebody approved since. Nothing else is proposed
/// for such an app in the same run: an open change would be in the way, and another rollout would be
/// one on top of it.
async fn move_first(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    settled: &mut [Came],
    judged: &mut [Judged],
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    for came in settled {
        let moved = follow(app, journal, run, came, findings).await?;
        let on = &came.change.resource;
        if (moved || came.unmoved)
            && let Some(one) = judged.iter_mut().find(|one| one.resource == *on)
            && one.change.take().is_some()
        {
            one.why.push_str("; its requests are moved first");
        }
    }
    Ok(())
}

/// Lets requests follow to what a change has made; whether they had to. Where that cannot be seen, it
/// is tried again by the next run, and stops nothing else.
async fn follow(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    came: &mut Came,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<bool> {
    if !matches!(came.outcome, Outcome::Verified { .. }) {
        return Ok(false);
    }
    match recovery::move_requests(app, journal, run, &came.change, SCALING).await {
        Ok(moved) => Ok(moved.is_some()),
        Err(error) if is_interruption(&error) => Err(error),
        Err(error) => {
            came.unmoved = true;
            let message = format!(
                "whether its requests went along with {} was not seen: {error:#}",
                came.change.difference()
            );
            let subject = came.change.resource.short();
            findings.push(Finding::new("requests-not-moved", subject, message));
            Ok(false)
        }
    }
}

/// The changes that a run has proposed itself; it may have taken an older one off the table, too.
pub(super) fn own(run: &Run) -> impl Iterator<Item = &ChangeNote> {
    run.changes.iter().filter(|note| {
        let is_traffic = matches!(note.what.mutation, Mutation::AppTraffic { .. });
        !is_traffic && note.id == changes::id(&run.id, note.what.kind(), &note.what.resource)
    })
}

/// What was seen, and what is to become of it.
struct Looked {
    judged: Vec<Judged>,
    /// What became of proposals that waited for a decision: somebody may have made it without us.
    settled: Vec<Came>,
    /// By the resource in lower case: of what a proposal waits for a decision, and what it would change.
    waiting: BTreeMap<String, ChangeKind>,
    findings: Vec<Finding>,
    /// How many things were not looked at for lack of calls.
    later: u64,
}

async fn look(app: &App, only: Option<&ResourceId>) -> anyhow::Result<Looked> {
    let (estate, now) = (app.estate()?, app.clock.now());
    let memory = record::all(app).await?;
    let mut known: BTreeMap<String, Known> = memory.into_iter().flat_map(|m| m.known).collect();
    let (mut settled, mut waits) = (Vec::new(), BTreeMap::new());
    for (name, known) in &mut known {
        for waiting in known.waiting.clone() {
            let Some(record) = changes::find(app, &waiting.change).await? else {
                continue;
            };
            if let Some(came) = came_of(estate, &record, waiting.because) {
                known.learn(&came, now);
                settled.push(came);
            } else {
                waits.insert(name.clone(), record.change.kind());
            }
        }
    }
    let looked = known.iter().filter_map(|(name, known)| {
        // What lies ahead was written by a clock that was wrong.
        let looked = known.looked.filter(|at| *at <= now + record::AHEAD)?;
        Some((name.clone(), looked))
    });
    let looked = looked.collect();
    let scope = Scope {
        only: only.cloned(),
    };
    let Gathered {
        containers,
        apps,
        later,
        mut findings,
    } = gather(app, &scope, &looked)
        .await
        .context("see what there is to scale")?;
    let (ahead, unread) = Ahead::read(app).await.context("read the forecasts")?;
    findings.extend(unread);
    for container in &containers {
        let facts = &container.facts;
        let known = known.get_mut(&facts.resource.as_str().to_ascii_lowercase());
        if let (Supply::Own(throughput), Some(known)) = (&facts.supply, known) {
            known.see(throughput.capacity, now);
        }
    }
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
        settled,
        waiting: waits,
        findings,
        later: later.len() as u64,
    })
}

fn decided_of(one: &Judged) -> Decided {
    Decided {
        resource: one.resource.clone(),
        has: one.has.clone(),
        because: one.because.as_str().to_owned(),
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

/// What a run has decided, of each resource the last, the most urgent first.
///
/// Errors: the store.
pub async fn decisions(app: &App, run: &RunId) -> Result<Vec<Decided>, Error> {
    let log = app.store()?.log(&run.log()).await?.unwrap_or_default();
    let chain = Chain::read(run.as_str(), &log);
    // Whoever was killed may have left decisions that were made once more after it.
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for (_, record) in chain.records.into_iter().rev() {
        if let Event::Scaling { mut decided, .. } = record.event {
            decided.retain(|one| known.insert(one.resource.as_str().to_ascii_lowercase()));
            decided.append(&mut found);
            found = decided;
        }
    }
    Ok(found)
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
