use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Chain, Event, Hash, Journal, RunId, Step};
use crate::domain::{
    Ask, Cadence, Change, ChangeId, Ending, Finding, IncidentId, Outcome, Override, ResourceId,
    Silence,
};
use crate::store::{Error, Fenced, Store};

/// Why a maintenance run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// On time.
    Schedule,
    /// Late, because nobody was there when it was due.
    CatchUp,
    /// Somebody asked for it.
    Request,
}

/// Why scaling looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Wake {
    /// On time.
    Schedule,
    /// An incident wants it.
    Incident {
        incident: IncidentId,
        /// What fired.
        occurrence: String,
    },
    /// Somebody asked for it.
    Request { by: String },
}

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Work {
    Alert {
        alert_id: String,
        rule: Option<String>,
        severity: Option<String>,
        condition: String,
    },
    /// An engineer asked for a change.
    Proposal {
        ask: Ask,
        why: String,
        by: String,
        dry_run: bool,
    },
    /// Somebody decided on a proposed change.
    Decision {
        change: ChangeId,
        approve: bool,
        by: String,
        reason: String,
        /// Hash of the change that was decided on.
        hash: Hash,
        at: DateTime<Utc>,
    },
    /// One step of the repair of an endpoint that fails.
    Recovery {
        endpoint: String,
        incident: IncidentId,
        /// Which attempt at the endpoint's app it belongs to, and which of its steps it is.
        attempt: u32,
        step: u32,
        /// It takes a scale-up back, now that all is calm.
        #[serde(default)]
        undo: bool,
    },
    /// Throughput and replicas are held against the load.
    Autoscale {
        /// A container, a database, an account or an app; `None`: all that scaling owns.
        only: Option<ResourceId>,
        cause: Wake,
        dry_run: bool,
    },
    /// The kill switch was turned.
    KillSwitch { on: bool, by: String },
    /// Somebody takes a level of the rotas over for a while.
    Override { what: Box<Override> },
    /// An override is taken back.
    OverrideEnd { id: String, ending: Ending },
    /// Nobody is to be told of something for a while.
    Silence { what: Box<Silence> },
    /// A silence or a one-off window is ended before its time.
    SilenceEnd { id: String, ending: Ending },
    Maintenance {
        cadence: Cadence,
        cause: Cause,
        /// When it was due; `None` for a run on request.
        due: Option<DateTime<Utc>>,
        /// Task names; empty means all tasks of the cadence.
        tasks: Vec<String>,
        dry_run: bool,
    },
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Accepted,
    Running,
    Succeeded,
    SucceededWithFindings,
    /// A change that it wanted was held back.
    Held,
    Failed,
    /// Its due time passed and it was not run.
    Missed,
}

impl RunState {
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Accepted | Self::Running)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::SucceededWithFindings => "succeeded with findings",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Missed => "missed",
        })
    }
}

/// What one task came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    pub task: String,
    pub state: RunState,
    pub started: DateTime<Utc>,
    pub finished: DateTime<Utc>,
    /// One sentence: what was done.
    pub summary: String,
    /// What was counted on the way, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    pub findings: Vec<Finding>,
}

impl TaskReport {
    /// The report of a task that was carried out: with findings if it has any.
    #[must_use]
    pub fn done(
        task: &str,
        started: DateTime<Utc>,
        finished: DateTime<Utc>,
        summary: String,
        findings: Vec<Finding>,
    ) -> Self {
        Self {
            task: task.to_owned(),
            state: if findings.is_empty() {
                RunState::Succeeded
            } else {
                RunState::SucceededWithFindings
            },
            started,
            finished,
            summary,
            counts: BTreeMap::new(),
            findings,
        }
    }
}

/// A change that a run proposed, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNote {
    pub id: ChangeId,
    pub what: Change,
    pub hash: Hash,
    pub by: String,
    #[serde(default)]
    pub proposed: DateTime<Utc>,
    /// The difference that it makes, for people.
    pub difference: String,
    /// When the first intent to make it was written: from then on it may have been made.
    pub begun: Option<DateTime<Utc>>,
    /// Parts of it that are done.
    #[serde(default)]
    pub batches: Vec<u32>,
    /// How many of their blobs were left alone.
    #[serde(default)]
    pub spared: u64,
    pub outcome: Option<Outcome>,
}

impl ChangeNote {
    /// Whether it came to an outcome with one of these names.
    #[must_use]
    pub fn came(&self, names: &[&str]) -> bool {
        let outcome = self.outcome.as_ref();
        outcome.is_some_and(|outcome| names.contains(&outcome.name()))
    }
}

/// One run, as `/api/runs/{id}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub state: RunState,
    pub work: Work,
    pub accepted: DateTime<Utc>,
    pub started: Option<DateTime<Utc>>,
    pub finished: Option<DateTime<Utc>>,
    /// How many processes have held the run; more than one after a crash.
    pub fence: u64,
    /// How many processes began it since it last came further, and have not said how it went: those
    /// that died, and the one that is at it.
    #[serde(default)]
    pub begun: u32,
    /// How far it had come when the newest process began it, in records that say so.
    #[serde(default)]
    pub progress: u64,
    pub tasks: Vec<TaskReport>,
    #[serde(default)]
    pub changes: Vec<ChangeNote>,
    pub findings: Vec<Finding>,
}

impl Fenced for Run {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn set_fence(&mut self, fence: u64) {
        self.fence = fence;
    }
}

impl Run {
    #[must_use]
    pub fn accepted(id: RunId, work: Work, at: DateTime<Utc>) -> Self {
        Self {
            id,
            state: RunState::Accepted,
            work,
            accepted: at,
            started: None,
            finished: None,
            fence: 0,
            begun: 0,
            progress: 0,
            tasks: Vec::new(),
            changes: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Brings the document to what the chain says, whatever it said before.
    pub fn project(&mut self, chain: &Chain) {
        self.tasks.clear();
        self.changes.clear();
        self.findings.clear();
        for (_, record) in &chain.records {
            self.apply(&record.event, record.at);
        }
    }

    /// One step of [`Run::project`].
    pub fn apply(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::Accepted { .. } => self.accepted = at,
            Event::Started => {
                self.state = RunState::Running;
                self.started.get_or_insert(at);
            }
            Event::TaskFinished { report } => self.tasks.push(report.clone()),
            Event::Finished { state } => {
                self.state = *state;
                self.finished = Some(at);
            }
            Event::Missed { .. } => {
                self.state = RunState::Missed;
                self.finished = Some(at);
            }
            Event::Found { finding } => self.findings.push(finding.clone()),
            Event::Change { change, step } => self.step(change, step, at),
            Event::TaskStarted { .. }
            | Event::Note { .. }
            | Event::Scaling { .. }
            | Event::Incident { .. }
            | Event::KillSwitch { .. } => {}
        }
    }

    /// Counts one more process that begins, from nothing if the ones before it came further.
    pub fn begin(&mut self, chain: &Chain) {
        let is_progress = |event: &Event| match event {
            Event::TaskFinished { .. } => true,
            Event::Change { step, .. } => !matches!(step, Step::Intent { .. }),
            _ => false,
        };
        let records = chain.records.iter();
        let progress = records.filter(|(_, r)| is_progress(&r.event)).count() as u64;
        if progress > self.progress {
            self.progress = progress;
            self.begun = 0;
        }
        self.begun += 1;
    }

    fn step(&mut self, id: &ChangeId, step: &Step, at: DateTime<Utc>) {
        if let Step::Proposed { what, hash, by } = step {
            if self.change(id).is_none() {
                self.changes.push(ChangeNote {
                    id: id.clone(),
                    what: what.clone(),
                    hash: hash.clone(),
                    by: by.clone(),
                    proposed: at,
                    difference: what.difference(),
                    begun: None,
                    batches: Vec::new(),
                    spared: 0,
                    outcome: None,
                });
            }
            return;
        }
        let Some(note) = self.changes.iter_mut().find(|note| note.id == *id) else {
            return;
        };
        match step {
            Step::Intent { .. } => {
                note.begun.get_or_insert(at);
            }
            Step::BatchDone { batch, spared, .. } => {
                note.batches.push(*batch);
                note.spared += spared;
            }
            Step::Came { to } => note.outcome = Some(to.clone()),
            Step::Proposed { .. } | Step::Approved { .. } => {}
        }
    }

    /// What is known of a change that this run proposed.
    #[must_use]
    pub fn change(&self, id: &ChangeId) -> Option<&ChangeNote> {
        self.changes.iter().find(|note| note.id == *id)
    }

    /// What the run came to, given its tasks: failed visibly if any of them did.
    #[must_use]
    pub fn outcome(&self) -> RunState {
        let states = || self.tasks.iter().map(|t| t.state);
        let came = |names: &[&str]| self.changes.iter().any(|note| note.came(names));
        if states().any(|s| s == RunState::Failed) || came(&["failed", "not_verified"]) {
            RunState::Failed
        } else if states().any(|s| s == RunState::Held) || came(&["held"]) {
            RunState::Held
        } else if !self.findings.is_empty()
            || states().any(|s| s == RunState::SucceededWithFindings)
        {
            RunState::SucceededWithFindings
        } else {
            RunState::Succeeded
        }
    }

    #[must_use]
    pub fn has_finished(&self, task: &str) -> bool {
        self.tasks.iter().any(|t| t.task == task)
    }
}

/// Writes a record and brings the run up to it.
///
/// Errors: [`Error::Conflict`] if another process has gone on with the run: stop at once.
pub async fn note(
    journal: &mut Journal<'_>,
    run: &mut Run,
    event: Event,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    journal.append(event.clone(), now).await?;
    run.apply(&event, now);
    Ok(())
}

/// Makes the run findable by when it began, newest first in the order of names.
pub async fn list_by_time(store: &Store, run: &Run) -> Result<(), Error> {
    let began = run.started.unwrap_or(run.accepted).timestamp_millis();
    let path = format!("by-time/{:014}-{}", 99_999_999_999_999_i64 - began, run.id);
    store
        .create_bytes(&path, bytes::Bytes::from_static(b"{}"))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_task_fails_the_run_and_stops_no_other() {
        let at = DateTime::UNIX_EPOCH;
        let work = Work::Maintenance {
            cadence: Cadence::Daily,
            cause: Cause::Request,
            due: None,
            tasks: vec![],
            dry_run: false,
        };
        let report = |state| Event::TaskFinished {
            report: TaskReport {
                task: "t".into(),
                state,
                started: at,
                finished: at,
                summary: String::new(),
                counts: BTreeMap::new(),
                findings: vec![],
            },
        };
        let cases = [
            (
                "nothing to say",
                vec![RunState::Succeeded],
                RunState::Succeeded,
            ),
            (
                "one finding",
                vec![RunState::Succeeded, RunState::SucceededWithFindings],
                RunState::SucceededWithFindings,
            ),
            (
                "one failure",
                vec![RunState::Failed, RunState::SucceededWithFindings],
                RunState::Failed,
            ),
        ];
        for (name, states, expected) in cases {
            let mut run = Run::accepted("r".parse().expect("an id"), work.clone(), at);
            for state in states {
                run.apply(&report(state), at);
            }
            assert_eq!(run.outcome(), expected, "{name}");
        }
    }
}
