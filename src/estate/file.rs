//! The estate file as it is written. Its schema is what editors use, and what the checker walks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::health::file::Health;
use super::logs::Mark;
use super::oncall::OnCallFile;
use super::rules::file::{Evaluator, Rule};
use super::windows::WindowFile;
use crate::domain::{ChangeKind, Contact, Mode};

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
    /// What is kept of logs, and for how long.
    #[serde(default)]
    pub(super) logs: Logs,
    /// What is looked at before another index of a Cosmos container is proposed.
    #[serde(default)]
    pub(super) indexing: Indexing,
    /// How incidents are merged, escalated and told.
    #[serde(default)]
    pub(super) incidents: super::incidents::Written,
    /// How long what is over is kept.
    #[serde(default)]
    pub(super) retention: super::retention::Written,
    /// What is probed each minute, and how what fails is repaired.
    #[serde(default)]
    pub(super) health: Health,
    /// Who evaluates the rules, and how late telemetry may be.
    #[serde(default)]
    pub(super) evaluator: Evaluator,
    /// What is watched.
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    /// What scaling owns, and by which rules. Without it nothing is owned.
    #[serde(default)]
    pub(super) scaling: super::scaling::file::Scaling,
    /// What capacity costs.
    pub(super) prices: Option<super::scaling::file::Prices>,
    /// What may be done by itself, for each kind of change. Without an entry a change is proposed.
    #[serde(default)]
    pub(super) policy: Policies,
    /// Who is told, and when.
    #[serde(default)]
    pub(super) oncall: OnCallFile,
    /// Windows of maintenance that come again and again.
    #[serde(default)]
    pub(super) windows: Vec<WindowFile>,
    /// The ways by which people and ticket systems are told.
    #[serde(default)]
    pub(super) channels: Vec<super::channels::Written>,
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
    /// Customer id of the workspace, by which its contents are asked for. Without it, it is read from
    /// Azure.
    pub(super) workspace_id: Option<String>,
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
    /// Who of the tenant is told of incidents that are its own.
    #[serde(default)]
    pub(super) contacts: Vec<Contact>,
}

/// When certificates, secrets and keys count as near their end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificates {
    /// Days before the end at which the warning becomes more urgent.
    #[serde(default = "warn_days")]
    pub(super) warn_days: Vec<u32>,
    /// Application (client) ids of Entra applications whose secrets and certificates are looked
    /// after as well.
    #[serde(default)]
    pub(super) applications: Vec<String>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self {
            warn_days: warn_days(),
            applications: Vec::new(),
        }
    }
}

fn warn_days() -> Vec<u32> {
    vec![60, 30, 14, 7]
}

/// What is kept of logs, and for how long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logs {
    /// Days after which log blobs are deleted.
    #[serde(default = "thirty")]
    pub(super) keep_days: u32,
    /// Least retention of the workspace's tables, days.
    #[serde(default = "thirty")]
    pub(super) tables_keep_days: u32,
    /// Calls a second that a cleanup may make of one storage account, which others use too.
    #[serde(default = "four_hundred")]
    pub(super) calls_per_second: u32,
    /// The containers that are cleaned.
    #[serde(default)]
    pub(super) containers: Vec<LogContainer>,
    /// Containers that are never cleaned.
    #[serde(default)]
    pub(super) protected: Vec<ProtectedContainer>,
    /// Tables with a least retention of their own, days.
    #[serde(default)]
    pub(super) tables: BTreeMap<String, u32>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            keep_days: thirty(),
            tables_keep_days: thirty(),
            calls_per_second: four_hundred(),
            containers: Vec::new(),
            protected: Vec::new(),
            tables: BTreeMap::new(),
        }
    }
}

fn thirty() -> u32 {
    30
}

fn four_hundred() -> u32 {
    400
}

/// A container of log blobs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogContainer {
    /// Short name of a storage account of a stamp.
    pub(super) account: String,
    pub(super) container: String,
    /// Only blobs whose names begin with this.
    #[serde(default)]
    pub(super) prefix: String,
    /// Days, if not those of all logs.
    pub(super) keep_days: Option<u32>,
}

/// A container that is never cleaned.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtectedContainer {
    /// Short name of a storage account of a stamp.
    pub(super) account: String,
    pub(super) container: String,
    pub(super) mark: Mark,
}

/// What is looked at before another index of a Cosmos container is proposed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Indexing {
    /// Days of queries that are looked at.
    #[serde(default = "seven")]
    pub(super) days: u32,
    /// With fewer queries of a container in that time, nothing is taken out of its index.
    #[serde(default = "thousand")]
    pub(super) least_queries: u32,
    /// Full-text query is turned on for the accounts, so that logs hold the texts of queries as they
    /// were sent. Obfuscated texts are no evidence.
    #[serde(default)]
    pub(super) full_text: bool,
}

impl Default for Indexing {
    fn default() -> Self {
        Self {
            days: seven(),
            least_queries: thousand(),
            full_text: false,
        }
    }
}

fn seven() -> u32 {
    7
}

fn thousand() -> u32 {
    1000
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
    /// Scale rules of container apps, by the share of their resources that replicas use.
    app_scale_rules: Option<Policy>,
    /// Restarts of revisions of container apps.
    app_restart: Option<Policy>,
    /// Which revisions of container apps get their requests.
    app_traffic: Option<Policy>,
    /// Emptying of caches.
    cache_flush: Option<Policy>,
    /// Deletion of old log blobs.
    log_deletion: Option<Policy>,
}

impl Policies {
    pub(super) fn of(&mut self, kind: ChangeKind) -> Option<Policy> {
        match kind {
            ChangeKind::CosmosThroughput => self.cosmos_throughput.take(),
            ChangeKind::CosmosIndexing => self.cosmos_indexing.take(),
            ChangeKind::AppReplicas => self.app_replicas.take(),
            ChangeKind::AppScaleRules => self.app_scale_rules.take(),
            ChangeKind::AppRestart => self.app_restart.take(),
            ChangeKind::AppTraffic => self.app_traffic.take(),
            ChangeKind::CacheFlush => self.cache_flush.take(),
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
    /// How many things one run may touch: containers, apps, blobs.
    pub(super) most_per_run: Option<u32>,
    /// How many percent of the things in the same place one run may touch.
    pub(super) most_share_percent: Option<u32>,
    /// How many changes of this kind may be made within an hour, over the whole estate.
    pub(super) most_per_hour: Option<u32>,
    /// When changes may be made, in the estate's time zone, as 01:00-05:00 or sat,sun 22:00-04:00.
    #[serde(default)]
    pub(super) windows: Vec<String>,
    /// How long a proposal waits for an approval, and an approval is good, as 4h or 1d.
    pub(super) approval_lasts: Option<String>,
}

/// The JSON Schema of the file.
pub(super) fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}
