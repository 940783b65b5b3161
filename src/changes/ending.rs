//! What a change came to, kept in its record: by its own run, by a decision, or by giving up.

use chrono::{DateTime, Utc};

use super::apply::{proposal, take, take_over, tell};
use super::record::{self, ChangeRecord, ResourceDocument};
use crate::app::App;
use crate::domain::{ChangeId, Outcome};
use crate::journal::{Journal, Run, Step};
use crate::store::Error;

/// Takes a proposal off the table. Safe to repeat.
pub async fn reject(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    record: &ChangeRecord,
    by: &str,
    reason: &str,
) -> anyhow::Result<()> {
    take_over(app, journal, run, record).await?;
    let outcome = Outcome::Rejected {
        by: by.to_owned(),
        reason: reason.to_owned(),
    };
    if proposal(run, &record.id)?.outcome.is_none() {
        let to = outcome.clone();
        tell(app, journal, run, &record.id, Step::Came { to }).await?;
    }
    settle(app, run, &record.id, &outcome, true).await?;
    let Some((lease, stored)) = take(app, &record.change).await? else {
        // The run is taken up again: what was rejected must not block others.
        let path = ResourceDocument::path(record.change.kind(), &record.change.resource);
        return Err(Error::NotOurs(path).into());
    };
    let mut document = stored.value;
    let owner = document.owner.as_ref();
    if owner.is_some_and(|(id, _)| *id == record.id) {
        document.owner = None;
        app.store()?.overwrite(&document, &lease).await?;
    }
    lease.release().await;
    Ok(())
}

/// Keeps what a change came to in its record. Safe to repeat.
pub(super) async fn settle(
    app: &App,
    run: &Run,
    id: &ChangeId,
    outcome: &Outcome,
    decided: bool,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let number = |record: &ChangeRecord| record.number_of(&run.id);
    record::update(app, id, |record| {
        let is_late = if decided {
            number(record) < record.decisions
        } else {
            record.settled.is_some()
        };
        if is_late {
            // Kept before; somebody has decided about it since.
            return;
        }
        record.outcome = Some(if reopens(record, outcome, decided, now) {
            Outcome::AwaitingApproval {
                until: record.until,
                why: record.change.ask_first.clone(),
            }
        } else {
            outcome.clone()
        });
        record.settled = Some(now);
        if decided {
            record.decisions = number(record);
        }
    })
    .await?;
    Ok(())
}

/// Whether a decision leaves the proposal open for another one: it was held back by something that
/// passes.
fn reopens(record: &ChangeRecord, outcome: &Outcome, decided: bool, now: DateTime<Utc>) -> bool {
    let passes = matches!(outcome, Outcome::Held { hold } if hold.passes());
    decided && passes && now <= record.until
}

/// Ends the changes of a run that is given up: nothing more can become of them by it.
pub async fn give_up(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    decided: Option<&ChangeId>,
) -> anyhow::Result<()> {
    let outcome = Outcome::Failed {
        why: "the run was given up: too many processes died over it. What was begun may have been made".into(),
    };
    let open = run.changes.iter().filter(|note| note.outcome.is_none());
    let mut ids: Vec<ChangeId> = open.map(|note| note.id.clone()).collect();
    for id in &ids {
        let to = outcome.clone();
        tell(app, journal, run, id, Step::Came { to }).await?;
    }
    // A decision that died before it said what it was about is counted all the same.
    ids.extend(decided.filter(|id| run.change(id).is_none()).cloned());
    for id in &ids {
        settle(app, run, id, &outcome, decided.is_some()).await?;
    }
    Ok(())
}
