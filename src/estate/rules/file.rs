//! Rules as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{EvaluatorMode, Of, Response};
use crate::domain::{Class, Priority};

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::estate) enum Kind {
    /// How fast each tenant spends its error budget.
    BurnRate,
    /// The 95th percentile of each tenant's response times.
    P95,
    /// The share of each tenant's requests that the service fails.
    ErrorRate,
    /// How full the fullest partition of each Cosmos account is.
    RequestUnits,
    /// Violations of the boundary between tenants.
    Boundary,
    /// Whether the service tells anything at all.
    Absence,
}

/// One rule. What is left out is as the service's objectives want it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct Rule {
    /// Lower-case letters, digits and hyphens. Incidents are named and grouped by it.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whose its incidents are. Boundary rules are always security.
    pub(super) class: Option<Class>,
    /// burn_rate, error_rate: whether each tenant is judged by itself, or all of a stamp together.
    pub(super) of: Option<Of>,
    /// of service: rules after this one that tell of nothing new while it fires at least as urgently.
    #[serde(default)]
    pub(super) inhibits: Vec<String>,
    /// boundary: how urgent it is. absence: how urgent it is when probes fail as well.
    pub(super) priority: Option<Priority>,
    /// absence: how urgent missing telemetry is by itself.
    pub(super) alone: Option<Priority>,
    /// From where on it fires, one entry for each priority. Not for boundary and absence.
    pub(super) levels: Option<Vec<Threshold>>,
    /// Evaluations in a row that must see it, where a level says nothing else. At first 1.
    #[serde(rename = "for")]
    pub(super) holds: Option<u32>,
    /// Evaluations in a row without trouble after which it has ended. At first 5.
    pub(super) clear_after: Option<u32>,
    /// How often it is evaluated, as 1m. At first 1m for windows of up to five minutes, else 5m.
    pub(super) every: Option<String>,
    #[serde(default)]
    pub(super) response: Response,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// burn_rate: percent of requests that must succeed. At first 99.9.
    pub(super) objective_percent: Option<f64>,
    /// p95, error_rate, request_units, boundary: the time that is looked at, as 5m.
    pub(super) window: Option<String>,
    /// burn_rate, p95, error_rate: fewer requests in the window prove nothing.
    pub(super) least_requests: Option<u32>,
    /// burn_rate, error_rate: fewer failures in the window are chance.
    pub(super) least_failures: Option<u32>,
    /// boundary: how many violations it takes. Only 1 is possible.
    pub(super) threshold: Option<u32>,
    /// absence: how long there must have been no request in telemetry, as 10m.
    pub(super) silent_for: Option<String>,
}

/// From where on a rule fires.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct Threshold {
    pub(super) priority: Priority,
    /// Evaluations in a row that must see it.
    #[serde(rename = "for")]
    pub(super) holds: Option<u32>,
    /// How often it is evaluated, as 5m.
    pub(super) every: Option<String>,
    /// burn_rate: the long window, as 1h.
    pub(super) long: Option<String>,
    /// burn_rate: the short window, which lets it end soon, as 5m.
    pub(super) short: Option<String>,
    /// burn_rate: how many times as fast as the budget lasts it is spent.
    pub(super) factor: Option<f64>,
    /// p95: seconds that it must be longer than.
    pub(super) above_seconds: Option<f64>,
    /// error_rate, request_units: percent that there must be more than.
    pub(super) above_percent: Option<f64>,
}

/// Who evaluates the rules.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct Evaluator {
    #[serde(default)]
    pub(super) mode: EvaluatorMode,
    /// How long telemetry is on its way: windows end so long before now. At first 5m.
    pub(super) lag: Option<String>,
    /// The longest that windows wait for telemetry that is late. At first 20m.
    pub(super) most_lag: Option<String>,
}

fn yes() -> bool {
    true
}
