use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step by which a failing endpoint is repaired.
///
/// Source: specification 6.2.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// The revision that has the requests and fails is restarted.
    Restart,
    /// Every key of the cache is deleted.
    FlushCache,
    /// The least number of replicas is raised, until all is calm.
    ScaleUp,
}

impl Repair {
    pub const ALL: [Self; 3] = [Self::Restart, Self::FlushCache, Self::ScaleUp];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::FlushCache => "flush_cache",
            Self::ScaleUp => "scale_up",
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
