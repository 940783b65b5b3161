use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Signal;
use crate::domain::{ChangeId, Notice};

/// One thing that happened to an incident. `by` is a verified person, or `poolkeeper` with what of
/// it acted: `poolkeeper/health`, `poolkeeper/rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum IncidentEvent {
    /// A signal fired: the first opens the incident, `why` says why a later one belongs to it.
    Fired {
        signal: Box<Signal>,
        why: String,
    },
    /// An occurrence ended.
    Cleared {
        occurrence: String,
        by: String,
        reason: String,
    },
    /// Somebody has it, until then: the clock of the escalation stops for so long.
    Acknowledged {
        by: String,
        reason: String,
        until: DateTime<Utc>,
    },
    /// Whoever had it gave it back.
    Unacknowledged {
        by: String,
        reason: String,
    },
    /// It hurts nobody any more; what is behind it may still be there.
    Mitigated {
        by: String,
        reason: String,
    },
    /// It is over.
    Resolved {
        by: String,
        reason: String,
    },
    /// It is not over.
    Reopened {
        by: String,
        reason: String,
    },
    Commented {
        by: String,
        text: String,
    },
    /// Told to a higher level at once: `level`, or the one after the last that was told.
    Escalated {
        by: String,
        reason: String,
        level: Option<String>,
    },
    /// More of the same that everybody who was told has to know; where it stands stays as it is.
    Updated {
        by: String,
        reason: String,
    },
    /// Something that was found out about it.
    Evidence {
        by: String,
        title: String,
        text: String,
        facts: Vec<(String, String)>,
    },
    /// A step of an automatic repair, and whether it helped: `None` if it was not made.
    Repair {
        action: String,
        /// The run that made it.
        run: String,
        change: Option<ChangeId>,
        outcome: String,
        healthy: Option<bool>,
    },
    /// Nobody is told until then.
    Quieted {
        by: String,
        reason: String,
        until: DateTime<Utc>,
    },
    /// People are told again, before the stated end.
    Unquieted {
        by: String,
        reason: String,
    },
    /// These are to be told, for these reasons: decided here, once, and posted after it. A reason
    /// may have nobody to be told.
    Telling {
        reasons: Vec<String>,
        notices: Vec<Notice>,
    },
    /// These are in the outbox.
    Posted {
        notices: Vec<String>,
    },
}
