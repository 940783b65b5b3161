use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Capacity, ChangeKind, Replicas};

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
    /// Another number of replicas for an app, named `app` or by its id.
    AppReplicas { resource: String, to: Replicas },
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
            Self::AppReplicas { .. } => Some(ChangeKind::AppReplicas),
            Self::AppRestart { .. } => Some(ChangeKind::AppRestart),
            Self::Undo { .. } => None,
        }
    }
}

/// Whether two names are one person's: directories write them in any capitals.
#[must_use]
pub fn same_person(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}
