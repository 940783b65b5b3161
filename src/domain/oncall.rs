use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Somebody takes a level over for a while, whatever its hours and its rota say. A swap is two of
/// these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    pub id: String,
    pub level: String,
    pub person: String,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Who said so: verified.
    pub by: String,
    pub reason: String,
    pub added: DateTime<Utc>,
    #[serde(default)]
    pub removed: Option<Ending>,
}

impl Override {
    /// When it begins to hold: never before it was said, so that it does not change what was.
    #[must_use]
    pub fn begins(&self) -> DateTime<Utc> {
        self.from.max(self.added)
    }

    /// When it ends to hold: stated, or earlier if it was removed.
    #[must_use]
    pub fn ends(&self) -> DateTime<Utc> {
        match &self.removed {
            Some(removed) => removed.at.min(self.until),
            None => self.until,
        }
    }

    #[must_use]
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        self.begins() <= at && at < self.ends()
    }
}

/// Something was ended before its time: by whom, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
}
