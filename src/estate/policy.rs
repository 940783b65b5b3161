use std::str::FromStr as _;

use chrono::Duration;

use super::{Reader, duration, file};
use crate::domain::{ChangeKind, Mode, Window};

/// What may become of one kind of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    /// Principals who may approve; nobody when empty.
    pub approvers: Vec<String>,
    /// How long a resource is left alone after a change.
    pub cooldown: Duration,
    /// How many things one run may touch.
    pub most_per_run: u64,
    /// How many percent of the things in the same place one run may touch.
    pub most_share_percent: u64,
    /// How many changes of this kind may be made within an hour, over the whole estate.
    pub most_per_hour: u32,
    /// When changes may be made; always when empty.
    pub windows: Vec<Window>,
    /// How long a proposal waits for an approval, and how long an approval is good.
    pub approval_lasts: Duration,
}

impl Policy {
    /// What holds where the estate file says nothing.
    #[must_use]
    pub fn default_of(kind: ChangeKind) -> Self {
        let (minutes, most_per_run, most_share_percent, most_per_hour) = match kind {
            ChangeKind::CosmosThroughput => (10, 4, 100, 10),
            ChangeKind::CosmosIndexing => (24 * 60, 1, 100, 2),
            ChangeKind::AppReplicas => (10, 4, 100, 10),
            ChangeKind::AppScaleRules => (10, 1, 100, 4),
            ChangeKind::AppRestart => (30, 1, 100, 4),
            ChangeKind::AppTraffic => (0, 1, 100, 10),
            ChangeKind::CacheFlush => (60, 1, 100, 2),
            ChangeKind::LogDeletion => (0, 10_000, 50, 50),
        };
        Self {
            mode: Mode::Propose,
            approvers: Vec::new(),
            cooldown: Duration::minutes(minutes),
            most_per_run,
            most_share_percent,
            most_per_hour,
            windows: Vec::new(),
            approval_lasts: Duration::hours(24),
        }
    }
}

impl Reader<'_> {
    pub(super) fn policy(&mut self, kind: ChangeKind, written: file::Policy) -> Policy {
        let key = format!("policy.{kind}");
        let default = Policy::default_of(kind);
        let mut time = |name: &str, text: Option<String>, default: Duration| {
            let Some(text) = text else { return default };
            duration(&text).unwrap_or_else(|| {
                let message = format!("is `{text}`: a time such as 10m, 1h or 1d is possible");
                self.tell(&format!("{key}.{name}"), message);
                default
            })
        };
        let cooldown = time("cooldown", written.cooldown, default.cooldown);
        let approval_lasts = time(
            "approval_lasts",
            written.approval_lasts,
            default.approval_lasts,
        );
        for (name, is_zero) in [
            ("most_per_run", written.most_per_run == Some(0)),
            ("most_share_percent", written.most_share_percent == Some(0)),
            ("most_per_hour", written.most_per_hour == Some(0)),
        ] {
            if is_zero {
                self.tell(
                    &format!("{key}.{name}"),
                    "is 0: to change nothing, the mode is observe",
                );
            }
        }
        if written.most_share_percent.is_some_and(|p| p > 100) {
            self.tell(&format!("{key}.most_share_percent"), "is more than 100");
        }
        let mut windows = Vec::new();
        for (index, text) in written.windows.iter().enumerate() {
            match Window::from_str(text) {
                Ok(window) => windows.push(window),
                Err(why) => self.tell(&format!("{key}.windows[{index}]"), why),
            }
        }
        Policy {
            mode: written.mode,
            approvers: written.approvers,
            cooldown,
            most_per_run: written.most_per_run.map_or(default.most_per_run, u64::from),
            most_share_percent: written
                .most_share_percent
                .map_or(default.most_share_percent, u64::from),
            most_per_hour: written.most_per_hour.unwrap_or(default.most_per_hour),
            windows,
            approval_lasts,
        }
    }
}
