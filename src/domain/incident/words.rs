//! What happened to an incident, for people: pages and the command line say the same.

use super::IncidentEvent;

impl IncidentEvent {
    /// Who did it: a verified person, or what of the machine.
    #[must_use]
    pub fn actor(&self) -> &str {
        match self {
            Self::Fired { signal, .. } => &signal.key.rule,
            Self::Cleared { by, .. }
            | Self::Acknowledged { by, .. }
            | Self::Unacknowledged { by, .. }
            | Self::Mitigated { by, .. }
            | Self::Resolved { by, .. }
            | Self::Reopened { by, .. }
            | Self::Commented { by, .. }
            | Self::Updated { by, .. }
            | Self::Escalated { by, .. }
            | Self::Evidence { by, .. }
            | Self::Quieted { by, .. }
            | Self::Unquieted { by, .. } => by,
            Self::Repair { .. } | Self::Telling { .. } | Self::Posted { .. } => "poolkeeper",
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn headline(&self) -> String {
        match self {
            Self::Fired { signal, .. } => format!("fired: {}", signal.title),
            Self::Cleared { .. } => "cleared".into(),
            Self::Acknowledged { .. } => "acknowledged".into(),
            Self::Unacknowledged { .. } => "given back".into(),
            Self::Mitigated { .. } => "mitigated".into(),
            Self::Resolved { .. } => "resolved".into(),
            Self::Reopened { .. } => "opened again".into(),
            Self::Commented { .. } => "comment".into(),
            Self::Updated { .. } => "more of it".into(),
            Self::Escalated { level: None, .. } => "escalated to the next level".into(),
            Self::Escalated {
                level: Some(level), ..
            } => format!("escalated to {level}"),
            Self::Evidence { title, .. } => format!("evidence: {title}"),
            Self::Repair { action, .. } => format!("repair: {action}"),
            Self::Quieted { .. } => "kept quiet".into(),
            Self::Unquieted { .. } => "no longer quiet".into(),
            Self::Telling { notices, .. } if notices.is_empty() => "nobody to tell".into(),
            Self::Telling { notices, .. } => {
                let mut names: Vec<&str> = notices.iter().map(|n| n.recipient.as_str()).collect();
                names.dedup();
                format!("to be told: {}", names.join(", "))
            }
            Self::Posted { notices } => match notices.len() {
                1 => "one notice in the outbox".into(),
                count => format!("{count} notices in the outbox"),
            },
        }
    }

    /// The rest of it: why, and what is known. May be empty.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Fired { signal, why } => match (signal.text.is_empty(), why.is_empty()) {
                (true, _) => why.clone(),
                (false, true) => signal.text.clone(),
                (false, false) => format!("{}\n{why}", signal.text),
            },
            Self::Cleared { reason, .. }
            | Self::Acknowledged { reason, .. }
            | Self::Unacknowledged { reason, .. }
            | Self::Mitigated { reason, .. }
            | Self::Resolved { reason, .. }
            | Self::Reopened { reason, .. }
            | Self::Updated { reason, .. }
            | Self::Escalated { reason, .. }
            | Self::Quieted { reason, .. }
            | Self::Unquieted { reason, .. } => reason.clone(),
            Self::Commented { text, .. } | Self::Evidence { text, .. } => text.clone(),
            Self::Repair {
                outcome, healthy, ..
            } => format!("{outcome}; {}", health_after(*healthy)),
            Self::Telling { reasons, .. } => reasons.join(", "),
            Self::Posted { .. } => String::new(),
        }
    }
}

/// Whether a repair helped, in words.
#[must_use]
pub fn health_after(healthy: Option<bool>) -> &'static str {
    match healthy {
        Some(true) => "healthy after it",
        Some(false) => "not healthy after it",
        None => "nothing was measured after it",
    }
}
