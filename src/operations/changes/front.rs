//! The front doors of changes: what a verified person may say about one, whichever way it comes.

use super::super::runs::one;
use super::super::{Acceptance, accept};
use crate::app::App;
use crate::changes::{find, hash};
use crate::domain::{Ask, ChangeId, same_person};
use crate::journal::{Hash, RunId, Work};
use crate::store::Error;

/// What somebody says about a proposed change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Approve,
    Reject,
}

/// Why it is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no change {0}")]
    Missing(ChangeId),
    #[error("change {id} is not open: {why}")]
    NotOpen { id: ChangeId, why: String },
    #[error("the change is not the one that was looked at: look again, and name its hash {0}")]
    Another(String),
    #[error("{0}")]
    NotAllowed(String),
    #[error("a reason is wanted")]
    NoReason,
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Estate(#[from] anyhow::Error),
}

/// Takes a proposal of an engineer: durable when this returns. `key` names the run, so that what
/// arrives twice meets itself.
pub async fn propose(
    app: &App,
    key: &str,
    by: &str,
    ask: Ask,
    why: &str,
    dry_run: bool,
) -> Result<Acceptance, Refusal> {
    if why.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    let run = RunId::try_from(format!("proposal-{key}")).map_err(|e| Refusal::Estate(e.into()))?;
    let work = Work::Proposal {
        ask,
        why: why.trim().to_owned(),
        by: by.to_owned(),
        dry_run,
    };
    Ok(accept(app, run, work).await?)
}

/// Takes a decision about a proposed change: durable when this returns, and the first one counts.
/// One that comes second and says the opposite is refused.
///
/// `seen` is the hash of the change that was looked at. The guard judges all of this once more
/// when the change is made.
pub async fn decide(
    app: &App,
    id: &ChangeId,
    said: Said,
    by: &str,
    reason: &str,
    seen: &str,
) -> Result<Acceptance, Refusal> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Refusal::NoReason);
    }
    let record = find(app, id)
        .await?
        .ok_or_else(|| Refusal::Missing(id.clone()))?;
    let now = app.clock.now();
    if !record.is_open(now) {
        let why = match &record.outcome {
            _ if now > record.until => format!("it waited until {}", record.until.to_rfc3339()),
            Some(outcome) => outcome.to_string(),
            None => "it is being proposed".into(),
        };
        return Err(Refusal::NotOpen {
            id: id.clone(),
            why,
        });
    }
    let stands: Hash = hash(&record.change);
    if seen != stands.as_str() {
        return Err(Refusal::Another(stands.as_str().to_owned()));
    }
    let kind = record.change.kind();
    let policy = app.estate()?.policy(kind);
    let approvers = &policy.approvers;
    if !approvers.iter().any(|approver| same_person(approver, by)) {
        return Err(Refusal::NotAllowed(if approvers.is_empty() {
            format!("nobody may approve {kind}: policy.{kind}.approvers is empty")
        } else {
            format!("{by} may not decide about {kind}: policy.{kind}.approvers does not name them")
        }));
    }
    if said == Said::Approve && same_person(&record.by, by) {
        return Err(Refusal::NotAllowed(format!(
            "{by} proposed the change: somebody else must approve it"
        )));
    }
    let work = Work::Decision {
        change: id.clone(),
        approve: said == Said::Approve,
        by: by.to_owned(),
        reason: reason.to_owned(),
        hash: stands,
        at: now,
    };
    let accepted = accept(app, record.decision_run(), work).await?;
    if !accepted.new
        && let Some(run) = one(app, &accepted.run).await?
        && let Work::Decision { approve, by, .. } = run.work
        && approve != (said == Said::Approve)
    {
        let why = if approve {
            format!("{by} has approved it, and it is being carried out")
        } else {
            format!("{by} has rejected it")
        };
        return Err(Refusal::NotOpen {
            id: id.clone(),
            why,
        });
    }
    Ok(accepted)
}
