//! One change from its proposal to its outcome.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use super::brake::Brake;
use super::ending::settle;
use super::facts::facts;
use super::guard::{Approval, Verdict, judge};
use super::record::{self, ChangeRecord, ResourceDocument};
use super::{act, deletion, hash, id};
use crate::app::App;
use crate::domain::{Change, ChangeId, Hold, Mutation, Outcome};
use crate::estate::Policy;
use crate::journal::{ChangeNote, Event, Journal, Run, Step, note};
use crate::store::{Error, Lease, Stored};

/// How long a resource that somebody else is changing is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever began a change and died is given this long to come back.
const ACTING: chrono::Duration = chrono::Duration::minutes(30);

/// Proposes the changes of a run and brings each as far as its policy allows.
///
/// All are written down before the first is made, so that the guard sees the whole of what the run
/// would touch. A run that is taken up again meets its own proposals. A dry run ends with the
/// proposal.
///
/// Errors: the store or the journal; then nothing is known to be wrong with the changes, and the
/// run is to be taken up again. What Azure refuses is an outcome.
pub async fn apply(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    changes: Vec<Change>,
    by: &str,
    dry_run: bool,
) -> anyhow::Result<Vec<ChangeNote>> {
    let mut ids = Vec::new();
    for change in changes {
        let id = id(&run.id, change.kind(), &change.resource);
        if run.change(&id).is_none() {
            let step = Step::Proposed {
                hash: hash(&change),
                what: change,
                by: by.to_owned(),
            };
            tell(app, journal, run, &id, step).await?;
        }
        ids.push(id);
    }
    let mut notes = Vec::new();
    for id in ids {
        bring(app, journal, run, &id, None, dry_run).await?;
        notes.push(proposal(run, &id)?.clone());
    }
    Ok(notes)
}

/// Makes a change that somebody approved, if the guard still lets it through. Safe to repeat.
pub async fn carry_out(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    record: &ChangeRecord,
    approval: Approval,
) -> anyhow::Result<()> {
    take_over(app, journal, run, record).await?;
    bring(app, journal, run, &record.id, Some(approval), false).await
}

/// Tells in the chain of a decision what it is about.
pub(super) async fn take_over(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    record: &ChangeRecord,
) -> Result<(), Error> {
    if run.change(&record.id).is_some() {
        return Ok(());
    }
    let step = Step::Proposed {
        what: record.change.clone(),
        hash: record.hash.clone(),
        by: record.by.clone(),
    };
    tell(app, journal, run, &record.id, step).await
}

pub(super) fn proposal<'r>(run: &'r Run, id: &ChangeId) -> anyhow::Result<&'r ChangeNote> {
    run.change(id)
        .with_context(|| format!("run `{}` has lost change {id}", run.id))
}

pub(super) async fn tell(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    id: &ChangeId,
    step: Step,
) -> Result<(), Error> {
    let event = Event::Change {
        change: id.clone(),
        step,
    };
    note(journal, run, event, app.clock.now()).await
}

/// Brings one proposal to an outcome, unless it has one.
async fn bring(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    id: &ChangeId,
    approval: Option<Approval>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let own = proposal(run, id)?.clone();
    let decided = approval.is_some();
    if let Some(outcome) = &own.outcome {
        // The process that came to it may have died before it could keep it.
        return settle(app, run, id, outcome, decided).await;
    }
    let policy = app.estate()?.policy(own.what.kind());
    let fresh = ChangeRecord {
        id: id.clone(),
        change: own.what.clone(),
        hash: own.hash.clone(),
        difference: own.difference.clone(),
        reversible: own.what.inverse("").is_some(),
        by: own.by.clone(),
        run: run.id.clone(),
        proposed: own.proposed,
        until: own.proposed + policy.approval_lasts,
        decisions: 0,
        outcome: None,
        settled: None,
    };
    let proposed = record::keep(app, fresh).await?.proposed;
    let outcome = if dry_run {
        Outcome::Planned
    } else {
        under_lease(app, journal, run, &own, &policy, approval, proposed).await?
    };
    tracing::info!(change = %id, what = own.difference, %outcome, "change");
    let to = outcome.clone();
    tell(app, journal, run, id, Step::Came { to }).await?;
    settle(app, run, id, &outcome, decided).await
}

/// Takes the resource for this process alone, and judges and acts while it is held.
async fn under_lease(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    own: &ChangeNote,
    policy: &Policy,
    approval: Option<Approval>,
    proposed: DateTime<Utc>,
) -> anyhow::Result<Outcome> {
    let Some((lease, stored)) = take(app, &own.what).await? else {
        return Ok(Outcome::Held { hold: Hold::Busy });
    };
    let mut document = stored.value;
    let facts = facts(app, run, own, &document, approval, proposed).await?;
    let verdict = judge(policy, &facts, app.estate()?.zone, app.clock.now());
    let outcome = match verdict {
        Verdict::Observe => Outcome::Observed,
        Verdict::Hold(hold) => match seen_done(app, own).await {
            Some(seen) => Outcome::Verified { seen },
            None => Outcome::Held { hold },
        },
        Verdict::Await { until, why } => {
            document.owner = Some((own.id.clone(), until));
            app.store()?.overwrite(&document, &lease).await?;
            lease.release().await;
            return Ok(Outcome::AwaitingApproval { until, why });
        }
        Verdict::Act => make(app, journal, run, own, policy, &mut document, &lease).await?,
    };
    let passes = matches!(&outcome, Outcome::Held { hold } if hold.passes());
    let is_ours = document.owner.as_ref().is_some_and(|(id, _)| *id == own.id);
    if is_ours {
        if !(passes && facts.approval.is_some()) {
            // Nobody is kept waiting for a change of which nothing more can become.
            document.owner = None;
        }
        match app.store()?.overwrite(&document, &lease).await {
            Ok(()) => {}
            Err(Error::NotOurs(_)) => {
                tracing::warn!(change = %own.id, "the lease was lost at the end");
            }
            Err(error) => return Err(error.into()),
        }
    }
    lease.release().await;
    Ok(outcome)
}

/// What is there, if a process that died had made the change: a hold that comes later does not make
/// it undone.
async fn seen_done(app: &App, own: &ChangeNote) -> Option<String> {
    own.begun?;
    let now = act::read(app.azure().ok()?, &own.what).await.ok()?;
    now.is_to.then_some(now.text)
}

/// Counts, writes the intent, acts, reads back. What `document` is to say then is left to the
/// caller to write.
async fn make(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    own: &ChangeNote,
    policy: &Policy,
    document: &mut ResourceDocument,
    lease: &Lease,
) -> anyhow::Result<Outcome> {
    let begun = own.begun.is_some();
    if !begun {
        let now = app.clock.now();
        if !record::count(app, own.what.kind(), policy.most_per_hour, now).await? {
            return Ok(Outcome::Held {
                hold: Hold::RateLimited {
                    most_per_hour: policy.most_per_hour,
                },
            });
        }
    }
    // This write needs the lease to be ours still.
    let owner = document
        .owner
        .replace((own.id.clone(), app.clock.now() + ACTING));
    app.store()?.overwrite(document, lease).await?;
    let brake = Brake::new(app, lease);
    let outcome = match &own.what.mutation {
        Mutation::LogDeletion { .. } => deletion::carry_out(app, journal, run, own, &brake).await?,
        _ => single(app, journal, run, own, &brake).await?,
    };
    if matches!(outcome, Outcome::Held { .. })
        && let Some((_, until)) = owner
    {
        // The approval was spent, the proposal may get another one.
        document.owner = Some((own.id.clone(), until));
    }
    if proposal(run, &own.id)?.begun.is_some() {
        document.last_change = Some(app.clock.now());
    }
    Ok(outcome)
}

async fn single(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    own: &ChangeNote,
    brake: &Brake<'_>,
) -> anyhow::Result<Outcome> {
    let (change, azure) = (&own.what, app.azure()?);
    if own.begun.is_some() {
        return Ok(act::go_on(azure, change, brake).await);
    }
    let before = match act::read(azure, change).await {
        Ok(before) => before,
        Err(error) => {
            return Ok(Outcome::Failed {
                why: format!("it could not be read before the change: {error}"),
            });
        }
    };
    if before.is_to {
        return Ok(Outcome::Verified { seen: before.text });
    }
    if !before.is_from {
        return Ok(Outcome::Held {
            hold: Hold::MovedOn {
                expected: act::expected(change),
                found: before.text,
            },
        });
    }
    let step = Step::Intent {
        batch: None,
        what: own.difference.clone(),
    };
    tell(app, journal, run, &own.id, step).await?;
    Ok(act::make_and_read_back(azure, change, brake).await)
}

/// The resource's document under a lease; `None` if somebody else holds it all the time.
pub(super) async fn take(
    app: &App,
    change: &Change,
) -> anyhow::Result<Option<(Lease, Stored<ResourceDocument>)>> {
    let store = app.store()?;
    let path = ResourceDocument::path(change.kind(), &change.resource);
    let fresh = ResourceDocument {
        resource: change.resource.clone(),
        fence: 0,
        owner: None,
        last_change: None,
    };
    store.create(&path, &fresh).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match store.lease::<ResourceDocument>(&path).await {
            Ok(Some(held)) => return Ok(Some(held)),
            Ok(None) => anyhow::bail!("`{path}` vanished while it was taken"),
            Err(Error::NotOurs(_) | Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if tokio::time::Instant::now() > deadline {
            return Ok(None);
        }
        let pause = 100 + uuid::Uuid::new_v4().as_u128() as u64 % 200;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}
