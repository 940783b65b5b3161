//! Every query that the product asks of Log Analytics.
//!
//! A query is one `.kql` file. It runs unchanged where it is pasted; its leading `let` lines are its
//! parameters, and [`Query::text`] puts values in their place. Tests hold each file to its header.
//!
//! Rules that all of them keep: sampled records count for all they stand for; a failure is what
//! `shared/server_failure.kql` says, a tenant what `shared/tenant.kql` says; windows end before the
//! newest telemetry by a lag; months are half-open and given by the caller, who knows the zone; no
//! telemetry is told as such, as no row, no number or no records, never as zero or as health.
//!
//! Metrics of Container Apps and AI Search reach `AzureMetrics` through diagnostic settings. For metrics
//! of Cosmos Azure's own lists differ by age, the newest says no: queries over them may have no rows, and
//! decisions that need them ask the Metrics API.
//!
//! # What the service must log
//!
//! `Properties` of its telemetry: `tenantId`, `userId`, `clientIpHash` (addresses are masked),
//! `throttledBy` (`tenant_quota` when a 429 is the tenant's own doing), and `eventName` of the events
//! `tenant_boundary_violation` (with `eventId`, `targetTenantId`, `resource`) and `data_access` (with
//! `operation`, `dataClassification`). Metrics: `cosmos_ru_consumption`, `search_query_count`,
//! `storage_transactions`.
//!
//! # Where the queries of the specification went
//!
//! | section | asked for | answered by |
//! |---|---|---|
//! | 4.1.1 | system health | `health_inputs`, `telemetry_freshness`, `resource_health_events` |
//! | 4.1.1 | request rate | `request_rate` |
//! | 4.1.1 | error rate by tenant | `error_rate` |
//! | 4.1.1 | response times | `latency_distribution` |
//! | 4.1.2 | performance of a tenant | `tenant_traffic_series`, `tenant_error_series`, `tenant_latency_series`: one unit a chart |
//! | 4.1.2 | resources of a tenant | `tenant_resource_series`, `ru_share_by_tenant` |
//! | 4.1.2 | tenant boundary | `boundary_violation_series` |
//! | 4.2.1 | failed sign-ins | `failed_sign_ins` (Entra), `access_denied` (the service) |
//! | 4.2.1 | abnormal access | `abnormal_access` |
//! | 4.2.1 | data access | `data_access` |
//! | 5.1.1 | availability | `slo_windows`, `service_availability` |
//! | 5.1.2 | boundary violations | `boundary_violations` |
//! | 5.1.3 | high error rate | `error_rate` |
//! | 5.2.1 | slow responses | `latency_by_tenant` |
//! | 5.2.2 | request units | `ru_by_container`, `ru_normalized`, `ru_per_second`; limits from `throughputSettings`, fullness per container from the Metrics API |
//! | 7.2.1 | cost by day | Cost Management; here only volumes: `ingestion_by_table` |
//! | 7.2.1 | budgets | Budgets API and allocation; here only volume: `ingestion_quota` |
//! | 10.1.1 | monthly SLA | `monthly_sla` |
//! | 10.2.1 | numbers of the report | `monthly_sla`, `monthly_latency`, `monthly_capacity`, `monthly_security`, `sampling_rate` |
//!
//! Two of them cannot be rules that run every minute, as Azure refuses `union` there:
//! `boundary_violations` and `failed_sign_ins` run every five.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

mod encode;
mod header;
#[cfg(test)]
mod tests;

pub use encode::{Param, ParamType};
pub use header::{Column, Header, ParamInfo};

macro_rules! queries {
    ($($query:ident = $name:literal,)*) => {
        /// A shipped query.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Query {
            $($query,)*
        }

        impl Query {
            /// All of them, by name.
            pub const ALL: &[Self] = &[$(Self::$query,)*];

            /// The name of its file, without the ending.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$query => $name,)*
                }
            }

            /// The file, which runs as it is with the parameters that stand in it.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self {
                    $(Self::$query => include_str!(concat!($name, ".kql")),)*
                }
            }
        }
    };
}

queries! {
    AbnormalAccess = "abnormal_access",
    AccessDenied = "access_denied",
    AvailabilityResults = "availability_results",
    BoundaryViolationSeries = "boundary_violation_series",
    BoundaryViolations = "boundary_violations",
    CosmosQueryEvidence = "cosmos_query_evidence",
    CosmosThrottling = "cosmos_throttling",
    DataAccess = "data_access",
    Dependencies = "dependencies",
    ErrorRate = "error_rate",
    Exceptions = "exceptions",
    FailedSignIns = "failed_sign_ins",
    HealthInputs = "health_inputs",
    IngestionByTable = "ingestion_by_table",
    IngestionLag = "ingestion_lag",
    IngestionQuota = "ingestion_quota",
    LatencyByTenant = "latency_by_tenant",
    LatencyDistribution = "latency_distribution",
    MonthlyCapacity = "monthly_capacity",
    MonthlyLatency = "monthly_latency",
    MonthlySecurity = "monthly_security",
    MonthlySla = "monthly_sla",
    PerformanceTrend = "performance_trend",
    RecentChanges = "recent_changes",
    RequestRate = "request_rate",
    ResourceHealthEvents = "resource_health_events",
    RuByContainer = "ru_by_container",
    RuByPartitionKey = "ru_by_partition_key",
    RuHotPartitions = "ru_hot_partitions",
    RuNormalized = "ru_normalized",
    RuPerSecond = "ru_per_second",
    RuShareByTenant = "ru_share_by_tenant",
    SamplingRate = "sampling_rate",
    ServiceAvailability = "service_availability",
    ServiceHealthEvents = "service_health_events",
    SloWindows = "slo_windows",
    TelemetryFreshness = "telemetry_freshness",
    TenantErrorSeries = "tenant_error_series",
    TenantLatencySeries = "tenant_latency_series",
    TenantResourceSeries = "tenant_resource_series",
    TenantTrafficSeries = "tenant_traffic_series",
}

/// Parameters that do not fit a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    #[error("query `{query}` wants the parameter `{name}`, a {}", ty.name())]
    Missing {
        query: &'static str,
        name: String,
        ty: ParamType,
    },
    #[error("query `{query}` has no parameter `{name}`")]
    Unknown { query: &'static str, name: String },
    #[error("query `{query}` is given the parameter `{name}` twice")]
    Twice { query: &'static str, name: String },
    #[error("parameter `{name}` of query `{query}` is a {}, not a {}", wanted.name(), given.name())]
    Type {
        query: &'static str,
        name: String,
        wanted: ParamType,
        given: ParamType,
    },
    #[error("parameter `{name}` of query `{query}` is beyond what a {} of Kusto holds", ty.name())]
    Range {
        query: &'static str,
        name: String,
        ty: ParamType,
    },
}

impl Query {
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|query| query.name() == name)
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(self) -> Header {
        header::parse(self.source()).expect("a test reads the header of every query")
    }

    /// The text with these values for its parameters: all of them, each once, each of its type.
    pub fn text(self, params: &[(&str, Param)]) -> Result<String, ParamError> {
        let query = self.name();
        let infos = self.header().params;
        for (index, (name, _)) in params.iter().enumerate() {
            let name = || (*name).to_owned();
            if !infos.iter().any(|info| info.name == params[index].0) {
                return Err(ParamError::Unknown {
                    query,
                    name: name(),
                });
            }
            if params[..index]
                .iter()
                .any(|(other, _)| *other == params[index].0)
            {
                return Err(ParamError::Twice {
                    query,
                    name: name(),
                });
            }
        }
        let parts = header::parts(self.source()).expect("its header was read");
        let mut text = format!("{}{}", parts.head, header::BEGIN);
        for ParamInfo { name, ty, .. } in infos {
            let Some((_, param)) = params.iter().find(|(given, _)| *given == name) else {
                return Err(ParamError::Missing { query, name, ty });
            };
            if param.ty() != ty {
                return Err(ParamError::Type {
                    query,
                    name,
                    wanted: ty,
                    given: param.ty(),
                });
            }
            let Some(literal) = param.literal() else {
                return Err(ParamError::Range { query, name, ty });
            };
            text.push_str(&format!("let {name} = {literal};\n"));
        }
        text.push_str(header::END);
        text.push_str(parts.body);
        Ok(text)
    }

    /// SHA-256 of the file, hex.
    #[must_use]
    pub fn hash(self) -> String {
        format!("{:x}", Sha256::digest(self.source()))
    }
}

/// SHA-256 of every query by its name, hex: what a deployment was built with.
#[must_use]
pub fn hashes() -> BTreeMap<&'static str, String> {
    Query::ALL
        .iter()
        .map(|query| (query.name(), query.hash()))
        .collect()
}
