use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Capacity, ChangeKind, IndexingPolicy, Replicas, Utilization};

/// Names a proposed change: 20 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChangeId(String);

impl ChangeId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no id of a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a change: 20 hexadecimal digits are")]
pub struct NotAChangeId;

impl FromStr for ChangeId {
    type Err = NotAChangeId;

    fn from_str(text: &str) -> Result<Self, NotAChangeId> {
        let fits = text.len() == 20
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        fits.then(|| Self(text.to_owned())).ok_or(NotAChangeId)
    }
}

impl TryFrom<String> for ChangeId {
    type Error = NotAChangeId;

    fn try_from(text: String) -> Result<Self, NotAChangeId> {
        text.parse()
    }
}

impl From<ChangeId> for String {
    fn from(id: ChangeId) -> Self {
        id.0
    }
}

/// What an engineer asks for. Where it stands now is found out before it becomes a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Ask {
    /// Another throughput for a container, named `account/database/container` or by its id.
    CosmosThroughput { resource: String, to: Capacity },
    /// Another indexing policy for a container, named `account/database/container` or by its id.
    CosmosIndexing {
        resource: String,
        to: IndexingPolicy,
    },
    /// Another number of replicas for an app, named `app` or by its id.
    AppReplicas { resource: String, to: Replicas },
    /// Other rules by utilization for an app, named `app` or by its id.
    AppScaleRules {
        resource: String,
        to: Vec<Utilization>,
    },
    /// A restart of an app's revision: of the newest one, unless it is named.
    AppRestart {
        resource: String,
        revision: Option<String>,
    },
    /// An earlier change taken back.
    Undo { change: ChangeId },
}

impl Ask {
    /// The kind of change that it leads to; unknown for an undo.
    #[must_use]
    pub fn kind(&self) -> Option<ChangeKind> {
        match self {
            Self::CosmosThroughput { .. } => Some(ChangeKind::CosmosThroughput),
            Self::CosmosIndexing { .. } => Some(ChangeKind::CosmosIndexing),
            Self::AppReplicas { .. } => Some(ChangeKind::AppReplicas),
            Self::AppScaleRules { .. } => Some(ChangeKind::AppScaleRules),
            Self::AppRestart { .. } => Some(ChangeKind::AppRestart),
            Self::Undo { .. } => None,
        }
    }
}

/// A person as they are written down: their name, and the id that stays theirs under every name.
#[must_use]
pub fn person(name: &str, id: &str) -> String {
    format!("{} <{}>", name.trim(), id.trim())
}

/// Whether two texts are one person: by the name, in any capitals, or by the id.
#[must_use]
pub fn same_person(a: &str, b: &str) -> bool {
    let parts = |text: &str| {
        let text = text.trim().to_lowercase();
        match text.strip_suffix('>').and_then(|t| t.rsplit_once(" <")) {
            Some((name, id)) => (name.trim().to_owned(), Some(id.to_owned())),
            None => (text, None),
        }
    };
    let ((a, a_id), (b, b_id)) = (parts(a), parts(b));
    a == b || (a_id.is_some() && (a_id == b_id || a_id.as_ref() == Some(&b))) || b_id == Some(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_who() {
        for (a, b, same) in [
            ("ann@example.com", "Ann@Example.com ", true),
            ("ann@example.com <1>", "ann@example.com", true),
            ("ann_example.com#EXT#@t <1>", "ann@example.com <1>", true),
            ("ann@example.com <1>", "1", true),
            ("1", "ann@example.com <1>", true),
            ("ann@example.com <1>", "bob@example.com <2>", false),
            ("ann@example.com", "bob@example.com", false),
            ("ann@example.com <1>", "2", false),
        ] {
            assert_eq!(same_person(a, b), same, "{a} {b}");
        }
    }
}
