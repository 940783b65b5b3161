//! The estate file as it is written. Its schema is what editors use, and what the checker walks.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::{ChangeKind, Mode};

/// The estate and its policies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Poolkeeper estate")]
pub(super) struct File {
    /// IANA time zone in which maintenance is due and months begin.
    #[serde(default = "tokyo")]
    pub(super) time_zone: String,
    #[serde(default)]
    pub(super) maintenance: Maintenance,
    /// The deployments that make up the service, one for each region or ring.
    #[serde(default)]
    pub(super) stamps: Vec<Stamp>,
    /// The tenants that share the service.
    #[serde(default)]
    pub(super) tenants: Vec<Tenant>,
    /// When certificates, secrets and keys count as near their end.
    #[serde(default)]
    pub(super) certificates: Certificates,
    /// What may be done by itself, for each kind of change. Without an entry a change is proposed.
    #[serde(default)]
    pub(super) policy: Policies,
}

fn tokyo() -> String {
    "Asia/Tokyo".into()
}

/// When maintenance is due.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Maintenance {
    #[serde(default)]
    pub(super) daily: Entry,
    #[serde(default)]
    pub(super) weekly: Entry,
    #[serde(default)]
    pub(super) monthly: Entry,
}

/// One rhythm.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Local time, as 02:00.
    pub(super) at: Option<String>,
    /// How late it may still be started, as 90m, 20h or 3d. Later it is recorded as missed.
    pub(super) catch_up: Option<String>,
    /// Weekly maintenance only: the day of the week.
    pub(super) weekday: Option<String>,
    /// Monthly maintenance only: 1 to 31; in a shorter month its last day.
    pub(super) day: Option<u32>,
}

/// One deployment of the service. Resources are named by their short names; all lie in the
/// stamp's resource group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stamp {
    /// Short name, as jpe.
    pub(super) name: String,
    /// Subscription id.
    pub(super) subscription: String,
    pub(super) resource_group: String,
    pub(super) cosmos: Option<Cosmos>,
    #[serde(default)]
    pub(super) container_apps: Vec<String>,
    #[serde(default)]
    pub(super) search: Vec<String>,
    #[serde(default)]
    pub(super) storage_accounts: Vec<String>,
    #[serde(default)]
    pub(super) key_vaults: Vec<String>,
    #[serde(default)]
    pub(super) redis: Vec<String>,
    /// Container registry.
    pub(super) registry: Option<String>,
    /// Log Analytics workspace.
    pub(super) workspace: Option<String>,
}

/// The Cosmos account of a stamp.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cosmos {
    pub(super) account: String,
    pub(super) database: String,
    #[serde(default = "containers")]
    pub(super) containers: Vec<String>,
}

fn containers() -> Vec<String> {
    ["threads", "messages", "runs", "files"]
        .map(str::to_owned)
        .to_vec()
}

/// One tenant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenant {
    /// As telemetry has it in `Properties.tenantId`.
    pub(super) id: String,
    /// As people know it.
    pub(super) name: Option<String>,
}

/// When certificates, secrets and keys count as near their end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificates {
    /// Days before the end at which the warning becomes more urgent.
    #[serde(default = "warn_days")]
    pub(super) warn_days: Vec<u32>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self {
            warn_days: warn_days(),
        }
    }
}

fn warn_days() -> Vec<u32> {
    vec![60, 30, 14, 7]
}

/// One policy for each kind of change.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Policies {
    /// RU/s of Cosmos containers and databases.
    cosmos_throughput: Option<Policy>,
    /// Indexing policies of Cosmos containers.
    cosmos_indexing: Option<Policy>,
    /// Minimum and maximum replicas of container apps.
    app_replicas: Option<Policy>,
    /// Restarts of revisions of container apps.
    app_restart: Option<Policy>,
    /// Deletion of old log blobs.
    log_deletion: Option<Policy>,
}

impl Policies {
    pub(super) fn of(&mut self, kind: ChangeKind) -> Option<Policy> {
        match kind {
            ChangeKind::CosmosThroughput => self.cosmos_throughput.take(),
            ChangeKind::CosmosIndexing => self.cosmos_indexing.take(),
            ChangeKind::AppReplicas => self.app_replicas.take(),
            ChangeKind::AppRestart => self.app_restart.take(),
            ChangeKind::LogDeletion => self.log_deletion.take(),
        }
    }
}

/// What may become of one kind of change.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(default)]
    pub(super) mode: Mode,
    /// Who may approve: principals as the platform names them.
    #[serde(default)]
    pub(super) approvers: Vec<String>,
    /// How long the same resource is left alone after a change, as 10m or 1h.
    pub(super) cooldown: Option<String>,
    /// How many resources one run may change.
    pub(super) most_per_run: Option<u32>,
}

/// The JSON Schema of the file.
pub(super) fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}
