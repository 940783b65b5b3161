//! What an incident is told by: the words that rules, probes, webhooks, people and channels share.

mod event;
mod words;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use event::IncidentEvent;
pub use words::health_after;

use super::{Condition, Severity};

/// How much an incident matters, in ascending order.
///
/// Source: specification 2.2; Azure's five severities map onto four.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    Medium,
    High,
    Critical,
}

impl Priority {
    /// The most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no priority: critical, high, medium or low"))
    }
}

impl From<Severity> for Priority {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Sev0 => Self::Critical,
            Severity::Sev1 => Self::High,
            Severity::Sev2 => Self::Medium,
            Severity::Sev3 | Severity::Sev4 => Self::Low,
        }
    }
}

/// Whose an incident is: the line that it is escalated along.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Operations,
    /// Told to the security line, never ended by a machine, never swallowed by a storm.
    Security,
}

impl Class {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Security => "security",
        }
    }
}

/// What signals are grouped by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    pub rule: String,
    pub tenant: Option<String>,
    /// The resource, endpoint or operation that it is about.
    pub resource: Option<String>,
}

impl GroupKey {
    /// Twelve hexadecimal digits: the same for the same key, whatever its capitals.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            Some(&self.rule),
            self.tenant.as_ref(),
            self.resource.as_ref(),
        ] {
            hash.update(part.map_or(String::new(), |p| p.to_ascii_lowercase()));
            hash.update([0]);
        }
        format!("{:x}", hash.finalize())[..12].to_owned()
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.rule)?;
        if let Some(tenant) = &self.tenant {
            write!(f, ", tenant {tenant}")?;
        }
        if let Some(resource) = &self.resource {
            write!(f, ", resource {resource}")?;
        }
        Ok(())
    }
}

/// Names an incident: `inc-` with the hash of its key and the how-manieth of that key it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId(String);

/// The text is no incident id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an incident id: inc-<12 hexadecimal digits>-<number> is")]
pub struct NotAnIncidentId;

impl IncidentId {
    #[must_use]
    pub fn new(key: &GroupKey, number: u32) -> Self {
        Self(format!("inc-{}-{number}", key.hash()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IncidentId {
    type Err = NotAnIncidentId;

    fn from_str(text: &str) -> Result<Self, NotAnIncidentId> {
        let fits = text
            .strip_prefix("inc-")
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(hash, number)| {
                hash.len() == 12
                    && hash
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                    && number
                        .parse::<u32>()
                        .is_ok_and(|n| n > 0 && n.to_string() == number)
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnIncidentId)
        }
    }
}

impl TryFrom<String> for IncidentId {
    type Error = NotAnIncidentId;

    fn try_from(text: String) -> Result<Self, NotAnIncidentId> {
        text.parse()
    }
}

impl From<IncidentId> for String {
    fn from(id: IncidentId) -> Self {
        id.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether what a signal says is known to be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "trust")]
pub enum Trust {
    /// Read back from Azure, seen in telemetry, or seen by a probe of ours: how.
    Confirmed { how: String },
    /// It could not be held against anything: people are told, nothing is changed.
    Unconfirmed { why: String },
    /// Azure knows nothing of it: it is recorded, told to Security, and nothing more.
    Denied { why: String },
}

/// One statement that something is wrong, or no longer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    pub key: GroupKey,
    pub condition: Condition,
    pub priority: Priority,
    pub class: Class,
    /// One line, for people.
    pub title: String,
    /// What is known, in a few sentences.
    pub text: String,
    /// Figures and names, as they are shown: `("p95", "3.4 s")`. Only of the signal's own tenant.
    pub facts: Vec<(String, String)>,
    /// When it began or ended, by whoever says so.
    pub at: DateTime<Utc>,
    /// Names the occurrence: the same when it fires and when it ends, another the next time.
    pub occurrence: String,
    pub trust: Trust,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azures_severities_are_four_priorities() {
        for (severity, priority) in [
            (Severity::Sev0, Priority::Critical),
            (Severity::Sev1, Priority::High),
            (Severity::Sev2, Priority::Medium),
            (Severity::Sev3, Priority::Low),
            (Severity::Sev4, Priority::Low),
        ] {
            assert_eq!(Priority::from(severity), priority);
        }
        assert!(Priority::Critical > Priority::High && Priority::Medium > Priority::Low);
    }

    #[test]
    fn what_is_an_incident_id() {
        let key = GroupKey {
            rule: "p95".into(),
            tenant: Some("tenant-a".into()),
            resource: None,
        };
        let id = IncidentId::new(&key, 3);
        assert_eq!(id.as_str().parse::<IncidentId>().as_ref(), Ok(&id));
        let other = GroupKey {
            tenant: None,
            resource: Some("tenant-a".into()),
            ..key.clone()
        };
        assert_ne!(key.hash(), other.hash());
        for text in [
            "",
            "inc-",
            "inc-0123456789ab",
            "inc-0123456789ab-0",
            "inc-0123456789ab-01",
            "inc-0123456789aB-1",
            "inc-0123456789ab-1/..",
        ] {
            assert!(text.parse::<IncidentId>().is_err(), "{text}");
        }
    }
}
