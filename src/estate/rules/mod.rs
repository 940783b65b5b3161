//! What is watched, and when somebody hears of it.

pub(super) mod file;
mod read;

use chrono::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Estate;
use crate::domain::{Class, Priority};

/// One thing that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Lower-case letters, digits and hyphens.
    pub name: String,
    pub watch: Watch,
    pub class: Class,
    pub of: Of,
    /// While it fires at a stamp, these rules tell of nothing new there that is no more urgent. They
    /// stand after it.
    pub inhibits: Vec<String>,
    /// The most urgent first, each priority once.
    pub levels: Vec<Threshold>,
    /// Evaluations in a row without trouble after which it counts as ended.
    pub clear_after: u32,
    pub response: Response,
    pub enabled: bool,
}

/// Whose requests are judged together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Those of each tenant, by themselves.
    #[default]
    Tenants,
    /// Those of all tenants of a stamp: it fires when no single tenant explains it.
    Service,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// How fast each tenant spends its error budget.
    BurnRate {
        /// Share of requests that must succeed, percent.
        objective: Thousandths,
        least_requests: u32,
        least_failures: u32,
    },
    /// The 95th percentile of each tenant's response times.
    P95 {
        window: Duration,
        least_requests: u32,
    },
    /// The share of each tenant's requests that the service fails.
    ErrorRate {
        window: Duration,
        least_requests: u32,
        least_failures: u32,
    },
    /// How full the fullest partition of each Cosmos account is.
    RequestUnits { window: Duration },
    /// Violations of the boundary between tenants.
    Boundary { window: Duration },
    /// Whether the service tells anything at all.
    Absence { silent_for: Duration },
}

/// From where on a rule fires, and how urgent that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    pub priority: Priority,
    pub above: Above,
    /// Evaluations in a row that must see it.
    pub holds: u32,
    pub every: Duration,
}

/// What a level is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Above {
    /// The budget is spent at least so many times as fast as it lasts, over both windows.
    Burn {
        long: Duration,
        short: Duration,
        factor: Thousandths,
    },
    Seconds(Thousandths),
    Percent(Thousandths),
    /// A single one is enough.
    One,
    /// There is no telemetry; with `probes`, and probes fail as well.
    Silence {
        probes: bool,
    },
}

/// A number to three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thousandths(pub i64);

impl Thousandths {
    /// `None` if the number is none, or has more decimals, or is beyond a million.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        let thousandths = number * 1000.0;
        let whole = thousandths.round();
        (number.abs() <= 1e6 && (thousandths - whole).abs() < 1e-6).then_some(Self(whole as i64))
    }

    #[must_use]
    pub fn number(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// What becomes of it when a rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// People are told.
    #[default]
    Notify,
    /// The automatic repair is tried as well.
    Recover,
    /// Scaling looks at once, at the resource or the apps of the stamp, and gives more if that helps.
    Scale,
}

/// Who evaluates the rules, and how late telemetry may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluator {
    pub mode: EvaluatorMode,
    /// Windows end so long before now.
    pub lag: Duration,
    /// How much longer telemetry may be on its way, when it is late, before windows no longer wait.
    pub most_lag: Duration,
}

/// Who evaluates the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluatorMode {
    /// Poolkeeper, each minute.
    #[default]
    Always,
    /// Azure's own alert rules are deployed, and call the webhook.
    Never,
}

impl Watch {
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::BurnRate { .. } => "burn_rate",
            Self::P95 { .. } => "p95",
            Self::ErrorRate { .. } => "error_rate",
            Self::RequestUnits { .. } => "request_units",
            Self::Boundary { .. } => "boundary",
            Self::Absence { .. } => "absence",
        }
    }

    /// The time that a level looks at: the shorter window of two.
    #[must_use]
    pub fn window(self, above: Above) -> Duration {
        match (self, above) {
            (_, Above::Burn { short, .. }) => short,
            (
                Self::P95 { window, .. }
                | Self::ErrorRate { window, .. }
                | Self::RequestUnits { window }
                | Self::Boundary { window },
                _,
            ) => window,
            (Self::Absence { silent_for }, _) => silent_for,
            (Self::BurnRate { .. }, _) => Duration::zero(),
        }
    }
}

impl Estate {
    /// The rule of that name, whether it is enabled or not.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.name.eq_ignore_ascii_case(name))
    }
}
