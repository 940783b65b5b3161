//! What becomes of throughput and replicas. Pure: everything they are judged by is an argument.

mod replicas;
mod throughput;

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::domain::{Capacity, Finding, Replicas};

pub use replicas::app;
pub use throughput::container;

/// Metrics are on their way for some minutes; what is older than this says nothing of now.
const STALE: Duration = Duration::minutes(10);
/// Of the minutes that must have been calm, so many may be missing.
const GAPS: usize = 2;

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<T> {
    /// What is to be; `None`: it stays as it is.
    pub to: Option<T>,
    pub because: Because,
    /// One sentence, with the figures that it was judged by.
    pub why: String,
    /// Why somebody must approve it.
    pub ask_first: Option<String>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Of a container or of what a database shares.
pub type Throughput = Decision<Capacity>;
/// Of an app.
pub type Scale = Decision<Replicas>;

/// What decided, to count and to test by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// Requests are refused: there is more.
    Throttled,
    /// Requests will be refused within minutes: there is more.
    NeededSoon,
    /// It was calm for long: there is less.
    Calm,
    /// It is outside of its limits.
    OutsideLimits,
    /// A burst that the platform is too slow for.
    Burst,
    /// A burst is over.
    BurstOver,
    /// Neither busy nor calm.
    Steady,
    /// Busy, and hardly anything is refused.
    Healthy,
    /// One partition is busy and others are not.
    HotPartition,
    /// Nothing, or too little, was measured.
    NoData,
    /// A change is still under way.
    Pending,
    /// There is no more.
    AtMost,
    /// There is no less.
    AtLeast,
    /// Less would save nothing: the hour is charged already.
    HourCharged,
    /// Less would be too little soon: the forecast says so.
    ForecastNeeds,
    /// It was raised within the time that must be calm.
    JustRaised,
    /// The last step down was just now.
    JustLowered,
    /// It was changed often today.
    OftenToday,
    /// It has none of its own.
    NotItsOwn,
    /// Azure did not say what there is.
    Unread,
}

impl Because {
    /// Its name, as records have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::NeededSoon => "needed-soon",
            Self::Calm => "calm",
            Self::OutsideLimits => "outside-limits",
            Self::Burst => "burst",
            Self::BurstOver => "burst-over",
            Self::Steady => "steady",
            Self::Healthy => "healthy",
            Self::HotPartition => "hot-partition",
            Self::NoData => "no-data",
            Self::Pending => "pending",
            Self::AtMost => "at-most",
            Self::AtLeast => "at-least",
            Self::HourCharged => "hour-charged",
            Self::ForecastNeeds => "forecast-needs",
            Self::JustRaised => "just-raised",
            Self::JustLowered => "just-lowered",
            Self::OftenToday => "often-today",
            Self::NotItsOwn => "not-its-own",
            Self::Unread => "unread",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

impl<T> Decision<T> {
    fn hold(because: Because, why: impl Into<String>) -> Self {
        Self {
            to: None,
            because,
            why: why.into(),
            ask_first: None,
            findings: Vec::new(),
        }
    }

    fn set(to: T, because: Because, why: impl Into<String>) -> Self {
        Self {
            to: Some(to),
            ..Self::hold(because, why)
        }
    }

    /// With a finding that says the same.
    fn found(mut self, code: &str, subject: &str) -> Self {
        self.findings
            .push(Finding::new(code, subject, self.why.clone()));
        self
    }
}
