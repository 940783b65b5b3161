//! Work that is done here and now, with its progress on standard error.

use std::time::Duration;

use crate::app::App;
use crate::journal::{Chain, Decided, Event, Run, RunId, RunState, Step};
use crate::operations::{Settled, runs, settle};

/// How often the journal of a followed run is read.
const LOOK: Duration = Duration::from_millis(300);
/// How often a run that another process works is tried to be taken over.
const AGAIN: Duration = Duration::from_secs(3);

/// Brings an accepted run to its end in this process, or stays with the process that has it, and
/// tells each step as it is written down.
///
/// Errors: the run cannot be worked here; it stays accepted, and the minute tick will take it up.
pub(super) async fn work_out(app: &App, id: &RunId) -> anyhow::Result<Run> {
    let mut told = std::pin::pin!(tell(app, id));
    let mut worked = std::pin::pin!(work(app, id));
    // Told or not, the work is brought to its end: dropped half-way it would keep its lease.
    tokio::select! {
        worked = &mut worked => worked?,
        told = &mut told => {
            told?;
            worked.await?;
        }
    }
    loop {
        if let Some(run) = runs::one(app, id).await?
            && run.state.is_final()
        {
            return Ok(run);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Settles the run, again and again while another process has it: that one may die.
async fn work(app: &App, id: &RunId) -> anyhow::Result<()> {
    let mut alone = true;
    while settle(app, id).await? == Settled::Elsewhere {
        if alone {
            eprintln!("another process works the run; staying with it");
            alone = false;
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

/// Tells the records of a run as they come, until its last one.
async fn tell(app: &App, id: &RunId) -> anyhow::Result<()> {
    let store = app.store()?;
    let mut told = 0;
    loop {
        if let Some(log) = store.log(&id.log()).await? {
            let chain = Chain::read(id.as_str(), &log);
            let from = told;
            for (_, record) in chain.records.iter().filter(|(_, r)| r.seq > from) {
                told = record.seq;
                if let Some(line) = line(&record.event) {
                    eprintln!("{}  {line}", record.at.format("%H:%M:%S"));
                }
                if matches!(record.event, Event::Finished { .. }) {
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a step says to who waits for it.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::TaskStarted { task } => format!("{task} ..."),
        Event::TaskFinished { report } => {
            format!("{}: {}, {}", report.task, report.state, report.summary)
        }
        Event::Found { finding } => format!("{}: {}", finding.code, finding.message),
        Event::Change { change, step } => match step {
            Step::Proposed { what, .. } => format!("change {change}: {}", what.difference()),
            Step::Approved { by, .. } => format!("change {change}: approved by {by}"),
            Step::Intent { what, .. } => format!("change {change}: {what}"),
            Step::BatchDone {
                batch,
                deleted,
                gone,
                spared,
                failed,
            } => format!(
                "change {change}: batch {}: {deleted} deleted, {gone} gone before, {spared} spared, {failed} failed",
                batch + 1
            ),
            Step::Came { to } => format!("change {change}: {to}"),
        },
        Event::Note { text } => text.clone(),
        Event::Scaling { decided, .. } => {
            let lines: Vec<String> = decided.iter().map(decision).collect();
            lines.join("\n          ")
        }
        Event::Accepted { .. }
        | Event::Started
        | Event::Finished { .. }
        | Event::Missed { .. }
        | Event::Incident { .. }
        | Event::KillSwitch { .. } => return None,
    })
}

/// What was decided about one thing, in a line.
fn decision(one: &Decided) -> String {
    let to = one.to.as_ref().map(|to| format!(" -> {to}"));
    format!(
        "{}: {}{}: {}",
        one.resource.short(),
        one.has,
        to.unwrap_or_default(),
        one.why
    )
}

/// 0 done, with findings or without; 1 failed, held back or missed.
pub(super) fn code(state: RunState) -> u8 {
    u8::from(matches!(
        state,
        RunState::Failed | RunState::Held | RunState::Missed
    ))
}
