//! What is asked of telemetry, and its answers as the rules read them.

use chrono::{DateTime, Duration, Utc};

use crate::azure::Error;
use crate::azure::logs::Table;
use crate::estate::{Above, Thousandths, Threshold, Watch};
use crate::queries::{Param, ParamError, Query};

/// The table whose silence is that of the service.
const REQUESTS: &str = "AppRequests";
/// Exported metrics come in steps of minutes; these are told apart.
const STEP: Duration = Duration::minutes(5);
/// How far back violations are looked for after a gap, at most.
const FARTHEST: Duration = Duration::days(7);
/// How far back the newest record is looked for, at least.
const FRESH: Duration = Duration::hours(2);

/// One question for a stamp. Rules that ask the same share the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Burn {
        long: Duration,
        short: Duration,
        objective: Thousandths,
        least: u32,
    },
    Errors {
        window: Duration,
        least: u32,
    },
    Latency {
        window: Duration,
        least: u32,
    },
    Units {
        window: Duration,
    },
    Violations {
        window: Duration,
    },
    Freshness {
        window: Duration,
    },
}

/// One row of an answer. A share or a time of nothing is `None`.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    Burn {
        tenant: Option<String>,
        requests: i64,
        failed: i64,
        long: Option<f64>,
        short: Option<f64>,
        /// Of the short window.
        short_requests: i64,
        short_failed: i64,
        enough: bool,
    },
    Errors {
        tenant: Option<String>,
        requests: i64,
        failed: i64,
        percent: Option<f64>,
        enough: bool,
    },
    Latency {
        tenant: Option<String>,
        requests: i64,
        p95_ms: Option<f64>,
        enough: bool,
    },
    /// The newest step of a Cosmos account.
    Units {
        resource: String,
        percent: Option<f64>,
        at: DateTime<Utc>,
    },
    Violation {
        event: String,
        tenant: Option<String>,
        at: DateTime<Utc>,
        operation: String,
    },
    /// Seconds since the newest request; `None`: there is none as far back as is looked.
    Newest { seconds: Option<f64> },
}

impl Question {
    /// What a level of a rule asks.
    pub(super) fn of(watch: Watch, level: &Threshold) -> Self {
        match (watch, level.above) {
            (
                Watch::BurnRate {
                    objective,
                    least_requests,
                    ..
                },
                Above::Burn { long, short, .. },
            ) => Self::Burn {
                long,
                short,
                objective,
                least: least_requests,
            },
            (
                Watch::ErrorRate {
                    window,
                    least_requests,
                    ..
                },
                _,
            ) => Self::Errors {
                window,
                least: least_requests,
            },
            (
                Watch::P95 {
                    window,
                    least_requests,
                },
                _,
            ) => Self::Latency {
                window,
                least: least_requests,
            },
            (Watch::RequestUnits { window }, _) => Self::Units { window },
            (Watch::Boundary { window }, _) => Self::Violations { window },
            (Watch::Absence { silent_for }, _) => Self::freshness(silent_for),
            (Watch::BurnRate { .. }, _) => unreachable!("levels of burn rates have two windows"),
        }
    }

    /// What a level asks of a stamp that answered last at `heard`. Whatever violated the boundary while
    /// nobody asked, or nobody answered, is looked for as well.
    pub(super) fn since(
        watch: Watch,
        level: &Threshold,
        heard: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let question = Self::of(watch, level);
        let Self::Violations { window } = question else {
            return question;
        };
        let gap = heard.map_or(Duration::zero(), |at| now - at);
        if gap <= level.every * 2 {
            return question;
        }
        // To whole minutes, so that the same minute is asked alike.
        let gap = Duration::minutes(gap.num_minutes() + 1);
        Self::Violations {
            window: (window + gap).min(FARTHEST.max(window)),
        }
    }

    /// When the newest record came, looked for over at least so long twice.
    pub(super) fn freshness(silent_for: Duration) -> Self {
        Self::Freshness {
            window: FRESH.max(silent_for * 2),
        }
    }

    /// The shipped query, and its name.
    pub(super) fn query(self) -> Query {
        match self {
            Self::Burn { .. } => Query::SloWindows,
            Self::Errors { .. } => Query::ErrorRate,
            Self::Latency { .. } => Query::LatencyByTenant,
            Self::Units { .. } => Query::RuNormalized,
            Self::Violations { .. } => Query::BoundaryViolations,
            Self::Freshness { .. } => Query::TelemetryFreshness,
        }
    }

    /// The text to send. Violations are looked for up to now: a late one is still within the window
    /// the next minutes.
    pub(super) fn text(
        self,
        now: DateTime<Utc>,
        lag: Duration,
        tenants: &[String],
    ) -> Result<String, ParamError> {
        let span = Param::TimeSpan;
        let at = ("at_", Param::DateTime(now));
        let lag = ("lag_", span(lag));
        let least = |least: u32| ("minimum_requests_", Param::Long(i64::from(least)));
        let tenants = || ("tenants_", Param::List(tenants.to_vec()));
        let params = match self {
            Self::Burn {
                long,
                short,
                objective,
                least: requests,
            } => vec![
                at,
                lag,
                ("long_", span(long)),
                ("short_", span(short)),
                ("objective_", Param::Real(objective.number() / 100.0)),
                least(requests),
                tenants(),
            ],
            Self::Errors {
                window,
                least: requests,
            } => vec![
                at,
                lag,
                ("window_", span(window)),
                least(requests),
                tenants(),
            ],
            Self::Latency {
                window,
                least: requests,
            } => vec![at, lag, ("window_", span(window)), least(requests)],
            Self::Units { window } => {
                vec![
                    at,
                    lag,
                    ("window_", span(window)),
                    ("step_", span(STEP.min(window))),
                ]
            }
            Self::Violations { window } => vec![
                at,
                ("lag_", span(Duration::zero())),
                ("window_", span(window)),
            ],
            Self::Freshness { window } => vec![at, ("window_", span(window))],
        };
        self.query().text(&params)
    }

    /// Reads an answer.
    ///
    /// Errors: a column is missing or of another type.
    pub(super) fn read(self, table: &Table) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        for row in table.rows() {
            let text = |name: &str| -> Result<String, Error> {
                Ok(row.string(name)?.unwrap_or_default().to_owned())
            };
            let count = |name: &str| -> Result<i64, Error> { Ok(row.long(name)?.unwrap_or(0)) };
            // Not a number is no number.
            let number = |name: &str| -> Result<Option<f64>, Error> {
                Ok(row.real(name)?.filter(|number| number.is_finite()))
            };
            let tenant = || -> Result<Option<String>, Error> {
                Ok(Some(text("Tenant")?).filter(|t| !t.is_empty() && t != "(none)"))
            };
            let enough = || -> Result<bool, Error> { Ok(row.boolean("Enough")?.unwrap_or(false)) };
            match self {
                Self::Burn { .. } => rows.push(Row::Burn {
                    tenant: tenant()?,
                    requests: count("LongRequests")?,
                    failed: count("LongFailed")?,
                    long: number("LongBurn")?,
                    short: number("ShortBurn")?,
                    short_requests: count("ShortRequests")?,
                    short_failed: count("ShortFailed")?,
                    enough: enough()?,
                }),
                Self::Errors { .. } => rows.push(Row::Errors {
                    tenant: tenant()?,
                    requests: count("Requests")?,
                    failed: count("Failed")?,
                    percent: number("ErrorRatePercent")?,
                    enough: enough()?,
                }),
                Self::Latency { .. } => rows.push(Row::Latency {
                    tenant: tenant()?,
                    requests: count("Requests")?,
                    p95_ms: number("P95Ms")?,
                    enough: enough()?,
                }),
                Self::Units { .. } => {
                    let Some(at) = row.datetime("Time")? else {
                        continue;
                    };
                    let resource = text("ResourceId")?;
                    let percent = number("MaxPercent")?;
                    // Rows are sorted by time within a resource: the last one stays.
                    rows.retain(
                        |known| !matches!(known, Row::Units { resource: r, .. } if *r == resource),
                    );
                    rows.push(Row::Units {
                        resource,
                        percent,
                        at,
                    });
                }
                Self::Violations { .. } => rows.push(Row::Violation {
                    event: text("EventId")?,
                    tenant: tenant()?,
                    at: row.datetime("FirstSeen")?.unwrap_or_default(),
                    operation: text("OperationId")?,
                }),
                Self::Freshness { .. } => {
                    if text("TableName")? == REQUESTS {
                        rows.push(Row::Newest {
                            seconds: number("AgeSeconds")?,
                        });
                    }
                }
            }
        }
        if matches!(self, Self::Freshness { .. }) && rows.is_empty() {
            return Err(Error::Unexpected {
                what: "telemetry_freshness".into(),
                why: format!("it says nothing of {REQUESTS}"),
            });
        }
        Ok(rows)
    }
}
