//! What happened: one append-only hash chain per run, and the runs themselves.
//!
//! The chain is the truth; the run's document is a projection of it that is cheap to list. A
//! process that is killed leaves both behind, and whoever takes the run over goes on from the
//! chain.

mod anchor;
mod chain;
mod run;
mod writer;

pub use anchor::{
    Anchor, ChainVerdict, Proof, Verification, newest as newest_anchor, verify_all,
    write as write_anchor,
};
pub use chain::{Broken, Chain, Hash, Head, Record, link};
pub use run::{Cause, Run, RunId, RunState, TaskReport, Work};
pub use writer::Journal;

use serde::{Deserialize, Serialize};

use crate::domain::Finding;

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
}
