use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of change that Poolkeeper can make to an estate. Each has a policy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// RU/s of a Cosmos container or database.
    CosmosThroughput,
    /// Indexing policy of a Cosmos container.
    CosmosIndexing,
    /// Minimum and maximum replicas of a container app.
    AppReplicas,
    /// Restart of a container app's revision.
    AppRestart,
    /// Deletion of old log blobs.
    LogDeletion,
}

impl ChangeKind {
    pub const ALL: [Self; 5] = [
        Self::CosmosThroughput,
        Self::CosmosIndexing,
        Self::AppReplicas,
        Self::AppRestart,
        Self::LogDeletion,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CosmosThroughput => "cosmos_throughput",
            Self::CosmosIndexing => "cosmos_indexing",
            Self::AppReplicas => "app_replicas",
            Self::AppRestart => "app_restart",
            Self::LogDeletion => "log_deletion",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may become of a proposed change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is recorded.
    Observe,
    /// It waits for an approval.
    #[default]
    Propose,
    /// It is made.
    Act,
}
