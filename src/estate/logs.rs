use std::fmt;

use super::{Reader, file};
use crate::domain::ResourceId;

/// What is kept of logs, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    pub containers: Vec<LogContainer>,
    pub protected: Vec<Protected>,
    /// Least retention of a workspace's tables, days.
    pub tables_keep_days: u32,
    /// Tables with a retention of their own, by name.
    pub tables: Vec<(String, u32)>,
    /// How many calls a second a cleanup may make of one storage account.
    pub calls_per_second: u32,
}

/// A container of log blobs that are deleted when they are old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogContainer {
    /// The storage account.
    pub account: ResourceId,
    pub container: String,
    /// Only blobs whose names begin with this.
    pub prefix: String,
    pub keep_days: u32,
}

/// A container that no cleanup ever touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// Short name of the storage account.
    pub account: String,
    pub container: String,
    pub mark: Mark,
}

/// Why a container is never cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Kept for audits and investigations.
    Evidence,
    /// The journal, or a copy of it.
    Journal,
    /// What reports are made from.
    ReportSource,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evidence => "evidence",
            Self::Journal => "journal",
            Self::ReportSource => "report-source",
        })
    }
}

/// Lower-case letters, digits and hyphens, 3 to 63 of them; or the container that storage keeps its
/// own logs in.
fn fits_container(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name == "$logs" || ((3..=63).contains(&name.len()) && name.bytes().all(plain))
}

impl Reader<'_> {
    /// `account` finds a storage account of the estate by its short name.
    pub(super) fn logs(
        &mut self,
        logs: file::Logs,
        account: impl Fn(&str) -> Option<ResourceId>,
    ) -> Logs {
        let days = |reader: &mut Self, key: &str, days: u32| {
            if !(1..=4383).contains(&days) {
                reader.tell(key, format!("is {days}: 1 to 4383 days are possible"));
            }
        };
        days(self, "logs.keep_days", logs.keep_days);
        days(self, "logs.tables_keep_days", logs.tables_keep_days);
        if !(1..=10_000).contains(&logs.calls_per_second) {
            self.tell("logs.calls_per_second", "wants a number from 1 to 10000");
        }
        let mut protected = Vec::new();
        for (index, place) in logs.protected.into_iter().enumerate() {
            let key = format!("logs.protected[{index}]");
            if account(&place.account).is_none() {
                let message = format!("is `{}`: no storage account of a stamp", place.account);
                self.tell(&format!("{key}.account"), message);
            }
            protected.push(Protected {
                account: place.account,
                container: place.container,
                mark: place.mark,
            });
        }
        let mut containers: Vec<LogContainer> = Vec::new();
        for (index, place) in logs.containers.into_iter().enumerate() {
            let key = format!("logs.containers[{index}]");
            let guarded = protected
                .iter()
                .find(|p| p.account == place.account && p.container == place.container);
            if let Some(guarded) = guarded {
                let message = format!(
                    "is `{}`, which is protected as {}: it cannot be cleaned",
                    place.container, guarded.mark
                );
                self.tell(&format!("{key}.container"), message);
            }
            if !fits_container(&place.container) {
                let message = format!("is `{}`: no name of a container", place.container);
                self.tell(&format!("{key}.container"), message);
            }
            if let Some(keep) = place.keep_days {
                days(self, &format!("{key}.keep_days"), keep);
            }
            let Some(id) = account(&place.account) else {
                let message = format!("is `{}`: no storage account of a stamp", place.account);
                self.tell(&format!("{key}.account"), message);
                continue;
            };
            let overlaps = containers
                .iter()
                .any(|other| other.account == id && other.container == place.container);
            if overlaps {
                self.tell(
                    &format!("{key}.container"),
                    format!(
                        "is `{}`, which is listed before: a container has one entry",
                        place.container
                    ),
                );
            }
            containers.push(LogContainer {
                account: id,
                container: place.container,
                prefix: place.prefix,
                keep_days: place.keep_days.unwrap_or(logs.keep_days),
            });
        }
        for (name, keep) in &logs.tables {
            days(self, &format!("logs.tables.{name}"), *keep);
        }
        Logs {
            containers,
            protected,
            tables_keep_days: logs.tables_keep_days,
            tables: logs.tables.into_iter().collect(),
            calls_per_second: logs.calls_per_second,
        }
    }
}
