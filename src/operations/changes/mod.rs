//! Changes that people ask for and decide about.

mod ask;
mod front;

pub use front::{Refusal, Said, decide as say, propose as ask_for};

use anyhow::Context as _;

use crate::app::App;
use crate::changes::guard::Approval;
use crate::changes::{apply, carry_out, find, reject};
use crate::domain::{Change, Finding};
use crate::journal::{Event, Journal, Run, Step, Work, note};

/// Turns what an engineer asked for into a change, and brings it as far as its policy allows.
pub(super) async fn propose(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    work: &Work,
) -> anyhow::Result<()> {
    let Work::Proposal {
        ask,
        why,
        by,
        dry_run,
    } = work
    else {
        anyhow::bail!("run `{}` proposes nothing", run.id);
    };
    // Taken up again, it goes on with what it proposed before.
    let change: Option<Change> = match run.changes.first() {
        Some(note) => Some(note.what.clone()),
        None => match ask::gather(app, ask, why).await? {
            Ok(change) => Some(change),
            Err(finding) => {
                note(journal, run, Event::Found { finding }, app.clock.now()).await?;
                None
            }
        },
    };
    apply(
        app,
        journal,
        run,
        change.into_iter().collect(),
        by,
        *dry_run,
    )
    .await?;
    Ok(())
}

/// Carries out what somebody decided about a proposed change.
pub(super) async fn decide(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    work: &Work,
) -> anyhow::Result<()> {
    let Work::Decision {
        change,
        approve,
        by,
        reason,
        hash,
        at,
    } = work
    else {
        anyhow::bail!("run `{}` decides nothing", run.id);
    };
    let record = find(app, change)
        .await?
        .with_context(|| format!("change {change} is gone"))?;
    // What was proposed is read from the chain of the run that proposed it: the document is a copy
    // that others could have written to.
    let log = app
        .store()?
        .log(&record.run.log())
        .await?
        .unwrap_or_default();
    let chain = crate::journal::Chain::read(record.run.as_str(), &log);
    let is_as_proposed = chain.records.iter().any(|(_, r)| {
        matches!(&r.event, Event::Change { change: id, step: Step::Proposed { what, by, .. } }
            if id == change
                && *what == record.change
                && *by == record.by
                && r.at == record.proposed)
    });
    let edited = !is_as_proposed || chain.broken.is_some();
    if edited && run.findings.is_empty() {
        let finding = Finding::new(
            "change-edited",
            change.as_str(),
            "the change as it is stored is not the one that the journal knows: it was edited",
        );
        tracing::error!(%change, "a stored change was edited");
        note(journal, run, Event::Found { finding }, app.clock.now()).await?;
    }
    if !approve {
        return reject(app, journal, run, &record, by, reason).await;
    }
    if run.change(change).is_none() {
        let step = Step::Approved {
            by: by.clone(),
            reason: reason.clone(),
            hash: hash.clone(),
            at: *at,
        };
        let event = Event::Change {
            change: change.clone(),
            step,
        };
        note(journal, run, event, app.clock.now()).await?;
    }
    let approval = Approval {
        by: by.clone(),
        // An approval of something else than what was proposed approves nothing.
        hash: if edited {
            crate::journal::Hash::genesis()
        } else {
            hash.clone()
        },
        at: *at,
    };
    carry_out(app, journal, run, &record, approval).await
}
