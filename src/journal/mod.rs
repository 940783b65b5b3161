//! What happened: one append-only hash chain per run, and the runs themselves.
//!
//! The chain is the truth; the run's document is a projection of it that is cheap to list. A
//! process that is killed leaves both behind, and whoever takes the run over goes on from the
//! chain.

mod anchor;
mod chain;
mod id;
mod run;
mod writer;

pub use anchor::{
    Anchor, ChainVerdict, Proof, Verification, newest as newest_anchor, verify_all,
    write as write_anchor,
};
pub use chain::{Broken, Chain, Hash, Head, Record, link};
pub use id::{NotARunId, RunId};
pub use run::{Cause, ChangeNote, Run, RunState, TaskReport, Wake, Work, list_by_time, note};
pub use writer::Journal;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{Change, ChangeId, Finding, IncidentEvent, Outcome, ResourceId};

/// What one record of a chain says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The work was accepted and will be done.
    Accepted { work: Work },
    /// A process took the run; more than once if one died.
    Started,
    /// A task began. Without its end it is done again.
    TaskStarted { task: String },
    /// A task ended.
    TaskFinished { report: TaskReport },
    /// The run ended.
    Finished { state: RunState },
    /// A due time passed without a run.
    Missed { late_seconds: i64, superseded: bool },
    /// Something a reader should know.
    Note { text: String },
    /// Something wrong or remarkable.
    Found { finding: Finding },
    /// What was decided about what is scaled, with how often for which reason.
    Scaling {
        decided: Vec<Decided>,
        counts: BTreeMap<String, u64>,
    },
    /// A proposed change went one step further.
    Change { change: ChangeId, step: Step },
    /// Something happened to an incident; its chain is named like it.
    Incident { happened: IncidentEvent },
    /// The kill switch was turned.
    KillSwitch {
        on: bool,
        by: String,
        reason: String,
    },
}

/// What was decided about one thing that is scaled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    pub resource: ResourceId,
    /// What it had, for people.
    pub has: String,
    /// The name of the reason, to count by.
    pub because: String,
    /// One sentence, with figures.
    pub why: String,
    /// What it is to be; `None`: it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// All that it was judged by, where something came of it: the decision can be made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<serde_json::Value>,
}

/// One step of a proposed change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// What is to be changed, and the hash of it that approvals are bound to.
    Proposed {
        what: Change,
        hash: Hash,
        by: String,
    },
    /// Somebody who may do so approved it.
    Approved {
        by: String,
        reason: String,
        hash: Hash,
        at: DateTime<Utc>,
    },
    /// It is about to be made: whatever comes after this may have happened.
    Intent {
        /// Of a change that is made in many parts.
        batch: Option<u32>,
        what: String,
    },
    /// One part was made.
    BatchDone {
        batch: u32,
        deleted: u64,
        /// Were not there any more.
        gone: u64,
        /// Were written or taken hold of since they were seen, and are left alone.
        spared: u64,
        failed: u64,
    },
    Came {
        to: Outcome,
    },
}
