use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IndexingPolicy, Money, ResourceId};

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
    /// Scale rules of a container app, by the share of their resources that its replicas use.
    AppScaleRules,
    /// Restart of a container app's revision.
    AppRestart,
    /// Which revisions of a container app get its requests.
    AppTraffic,
    /// Emptying of a cache.
    CacheFlush,
    /// Deletion of old log blobs.
    LogDeletion,
}

impl ChangeKind {
    pub const ALL: [Self; 8] = [
        Self::CosmosThroughput,
        Self::CosmosIndexing,
        Self::AppReplicas,
        Self::AppScaleRules,
        Self::AppRestart,
        Self::AppTraffic,
        Self::CacheFlush,
        Self::LogDeletion,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CosmosThroughput => "cosmos_throughput",
            Self::CosmosIndexing => "cosmos_indexing",
            Self::AppReplicas => "app_replicas",
            Self::AppScaleRules => "app_scale_rules",
            Self::AppRestart => "app_restart",
            Self::AppTraffic => "app_traffic",
            Self::CacheFlush => "cache_flush",
            Self::LogDeletion => "log_deletion",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may become of a proposed change. In order: each may do more than the one before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
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

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "observe" => Ok(Self::Observe),
            "propose" => Ok(Self::Propose),
            "act" => Ok(Self::Act),
            _ => Err(format!("`{text}` is no mode: observe, propose or act")),
        }
    }
}

/// What a Cosmos container or database may use, in RU/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Capacity {
    /// Always this much.
    Manual(u32),
    /// At most this much; at least a tenth of it.
    Autoscale(u32),
}

impl Capacity {
    /// RU/s, however they are provided: what is set, or the most that it scales to.
    #[must_use]
    pub fn ru(self) -> u32 {
        match self {
            Self::Manual(ru) | Self::Autoscale(ru) => ru,
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual(ru) => write!(f, "{ru} RU/s"),
            Self::Autoscale(ru) => write!(f, "autoscale up to {ru} RU/s"),
        }
    }
}

/// How many replicas a container app may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    pub least: u32,
    pub most: u32,
}

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} replicas", self.least, self.most)
    }
}

/// A scale rule of an app: replicas are added when theirs use more than so much of what they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Utilization {
    /// `cpu` or `memory`.
    pub resource: String,
    pub percent: u32,
}

/// Rules for people, in one line.
#[must_use]
pub fn utilizations(rules: &[Utilization]) -> String {
    if rules.is_empty() {
        return "no rule by utilization".into();
    }
    let parts: Vec<_> = rules
        .iter()
        .map(|rule| format!("{} at {} %", rule.resource, rule.percent))
        .collect();
    parts.join(", ")
}

/// One replica of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub name: String,
    pub started: DateTime<Utc>,
}

/// The part of an app's requests that a revision gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// `None`: whatever revision is the newest that is ready.
    pub revision: Option<String>,
    pub percent: u32,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.revision.as_deref().unwrap_or("the newest");
        write!(f, "{}% to {revision}", self.percent)
    }
}

/// Weights for people, in one line.
fn weights(list: &[Weight]) -> String {
    let parts: Vec<_> = list.iter().map(ToString::to_string).collect();
    parts.join(", ")
}

/// What is changed, from what to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Mutation {
    CosmosThroughput {
        from: Capacity,
        to: Capacity,
    },
    CosmosIndexing {
        from: IndexingPolicy,
        to: IndexingPolicy,
        /// What each part of the difference rests on, and what it is expected to bring.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<String>,
    },
    AppReplicas {
        from: Replicas,
        to: Replicas,
    },
    /// The rules by utilization; all others of the app stay as they are.
    AppScaleRules {
        from: Vec<Utilization>,
        to: Vec<Utilization>,
    },
    AppRestart {
        revision: String,
        /// The replicas that run: none of them is left after the restart.
        replicas: Vec<Replica>,
    },
    AppTraffic {
        from: Vec<Weight>,
        to: Vec<Weight>,
    },
    /// Every key of the cache is deleted: of all tenants.
    CacheFlush,
    LogDeletion {
        /// Everything that is listed was last written before this.
        older_than: DateTime<Utc>,
        /// How many blobs go, and how many there are in the same place.
        blobs: u64,
        of_blobs: u64,
        bytes: u64,
        /// SHA-256 of the list of blobs, each with the version that was seen.
        manifest: String,
    },
}

/// A proposed change of the outside, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The very thing that is changed: a Cosmos container, an app, a blob container.
    pub resource: ResourceId,
    #[serde(flatten)]
    pub mutation: Mutation,
    /// One sentence: why.
    pub why: String,
    /// What it adds to the bill of a month of 730 hours; `None` where no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Money>,
    /// Why somebody must approve it even where changes of its kind are made by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_first: Option<String>,
}

impl Change {
    #[must_use]
    pub fn new(resource: ResourceId, mutation: Mutation, why: impl Into<String>) -> Self {
        Self {
            resource,
            mutation,
            why: why.into(),
            monthly: None,
            ask_first: None,
        }
    }

    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        match self.mutation {
            Mutation::CosmosThroughput { .. } => ChangeKind::CosmosThroughput,
            Mutation::CosmosIndexing { .. } => ChangeKind::CosmosIndexing,
            Mutation::AppReplicas { .. } => ChangeKind::AppReplicas,
            Mutation::AppScaleRules { .. } => ChangeKind::AppScaleRules,
            Mutation::AppRestart { .. } => ChangeKind::AppRestart,
            Mutation::AppTraffic { .. } => ChangeKind::AppTraffic,
            Mutation::CacheFlush => ChangeKind::CacheFlush,
            Mutation::LogDeletion { .. } => ChangeKind::LogDeletion,
        }
    }

    /// How many things it touches.
    #[must_use]
    pub fn touches(&self) -> u64 {
        match self.mutation {
            Mutation::LogDeletion { blobs, .. } => blobs,
            _ => 1,
        }
    }

    /// The change that takes this one back, if there is one. Deleted blobs, flushed caches and
    /// restarts stay as they are.
    #[must_use]
    pub fn inverse(&self, why: &str) -> Option<Self> {
        let mutation = match &self.mutation {
            Mutation::CosmosThroughput { from, to } => Mutation::CosmosThroughput {
                from: *to,
                to: *from,
            },
            Mutation::CosmosIndexing { from, to, .. } => Mutation::CosmosIndexing {
                from: to.clone(),
                to: from.clone(),
                evidence: Vec::new(),
            },
            Mutation::AppReplicas { from, to } => Mutation::AppReplicas {
                from: *to,
                to: *from,
            },
            Mutation::AppScaleRules { from, to } => Mutation::AppScaleRules {
                from: to.clone(),
                to: from.clone(),
            },
            // The revision that had the requests may be gone: another rollout takes it back.
            Mutation::AppTraffic { .. } => return None,
            Mutation::AppRestart { .. } | Mutation::CacheFlush | Mutation::LogDeletion { .. } => {
                return None;
            }
        };
        Some(Self {
            monthly: self.monthly.map(|money| -money),
            ..Self::new(self.resource.clone(), mutation, why)
        })
    }

    /// What it adds to a month's bill, for people; `None` where no price is known.
    fn price(&self) -> Option<String> {
        let money = self.monthly?;
        let text = money.to_string();
        // `JPY 12` costs, `JPY -12` saves: the sign is said either way.
        let told = match text.split_once(' ') {
            Some((currency, amount)) if money.micros > 0 => format!("{currency} +{amount}"),
            _ => text,
        };
        Some(format!("{told} a month"))
    }

    /// The exact difference that it makes, in one line, with what that costs where it is known.
    #[must_use]
    pub fn difference(&self) -> String {
        match self.price() {
            Some(price) => format!("{} ({price})", self.bare_difference()),
            None => self.bare_difference(),
        }
    }

    fn bare_difference(&self) -> String {
        let on = self.resource.short();
        match &self.mutation {
            Mutation::CosmosThroughput { from, to } => format!("{on}: {from} -> {to}"),
            Mutation::CosmosIndexing { from, to, .. } => {
                format!("{on}: index {}", from.difference(to))
            }
            Mutation::AppReplicas { from, to } => format!("{on}: {from} -> {to}"),
            Mutation::AppScaleRules { from, to } => {
                format!(
                    "{on}: scale rules {} -> {}",
                    utilizations(from),
                    utilizations(to)
                )
            }
            Mutation::AppRestart { revision, .. } => {
                format!("{on}: restart of revision {revision}")
            }
            Mutation::AppTraffic { from, to } => {
                format!("{on}: requests {} -> {}", weights(from), weights(to))
            }
            Mutation::CacheFlush => format!("{on}: every key deleted, of all tenants"),
            Mutation::LogDeletion {
                older_than,
                blobs,
                of_blobs,
                bytes,
                ..
            } => format!(
                "{on}: {blobs} of {of_blobs} blobs ({bytes} bytes) from before {} deleted",
                older_than.format("%Y-%m-%d %H:%M UTC")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_change_says_and_how_it_is_taken_back() {
        let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "acc");
        let throughput = Change::new(
            account
                .child("sqlDatabases", "agents")
                .child("containers", "threads"),
            Mutation::CosmosThroughput {
                from: Capacity::Manual(1000),
                to: Capacity::Manual(1200),
            },
            "busy",
        );
        assert_eq!(
            throughput.difference(),
            "acc/agents/threads: 1000 RU/s -> 1200 RU/s"
        );
        let back = throughput.inverse("calm").expect("a way back");
        assert_eq!(back.inverse("busy").as_ref(), Some(&throughput));
        let text = serde_json::to_string(&throughput).expect("JSON");
        assert!(text.contains(r#""kind":"cosmos_throughput","from":{"manual":1000}"#));
        assert_eq!(
            serde_json::from_str::<Change>(&text).expect("a change"),
            throughput
        );
        let index = Change {
            mutation: Mutation::CosmosIndexing {
                from: IndexingPolicy::new(serde_json::json!({})),
                to: IndexingPolicy::new(
                    serde_json::json!({ "excludedPaths": [{ "path": "/text/*" }] }),
                ),
                evidence: vec!["nobody filters on it".into()],
            },
            ..throughput.clone()
        };
        assert_eq!(
            index.difference(),
            "acc/agents/threads: index + excluded /text/*"
        );
        let back = index.inverse("slow").expect("a way back");
        assert_eq!(
            back.difference(),
            "acc/agents/threads: index - excluded /text/*"
        );
        let weight = |revision: Option<&str>, percent| Weight {
            revision: revision.map(str::to_owned),
            percent,
        };
        let traffic = Change {
            mutation: Mutation::AppTraffic {
                from: vec![weight(Some("r1"), 90), weight(None, 10)],
                to: vec![weight(Some("r2"), 100)],
            },
            ..throughput.clone()
        };
        assert_eq!(
            traffic.difference(),
            "acc/agents/threads: requests 90% to r1, 10% to the newest -> 100% to r2"
        );
        assert_eq!(traffic.inverse("no"), None);
        let flush = Change {
            mutation: Mutation::CacheFlush,
            ..throughput.clone()
        };
        assert_eq!(flush.inverse("no"), None);
        let rule = |resource: &str, percent| Utilization {
            resource: resource.into(),
            percent,
        };
        let rules = Change {
            mutation: Mutation::AppScaleRules {
                from: vec![],
                to: vec![rule("cpu", 70), rule("memory", 80)],
            },
            ..throughput.clone()
        };
        assert_eq!(
            rules.difference(),
            "acc/agents/threads: scale rules no rule by utilization -> cpu at 70 %, memory at 80 %"
        );
        let back = rules.inverse("no").expect("a way back");
        assert_eq!(
            back.inverse("busy").map(|c| c.mutation),
            Some(rules.mutation)
        );
        for (micros, text) in [
            (12_345_000_000, "JPY +12,345 a month"),
            (-12_345_000_000, "JPY -12,345 a month"),
            (0, "JPY 0 a month"),
        ] {
            let yen = "JPY".parse().expect("a currency");
            let priced = Change {
                monthly: Some(Money::new(micros, yen)),
                ..throughput.clone()
            };
            assert_eq!(
                priced.difference(),
                format!("acc/agents/threads: 1000 RU/s -> 1200 RU/s ({text})")
            );
        }
        let restart = Change {
            mutation: Mutation::AppRestart {
                revision: "r1".into(),
                replicas: Vec::new(),
            },
            ..throughput
        };
        assert_eq!(restart.inverse("no"), None);
        assert_eq!(restart.touches(), 1);
    }
}
