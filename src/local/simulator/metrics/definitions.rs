//! Which metrics there are. Source: Azure Monitor, "Supported metrics" of
//! `Microsoft.DocumentDB/DatabaseAccounts` and `Microsoft.App/containerapps`; Cosmos DB, "Monitoring
//! data reference" (what is told every five minutes only).

use crate::local::world::physics::Measured;

/// How samples are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregation {
    Average,
    Minimum,
    Maximum,
    Total,
    Count,
}

use Aggregation::{Average, Count, Maximum, Minimum, Total};

impl Aggregation {
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "average" => Average,
            "minimum" => Minimum,
            "maximum" => Maximum,
            "total" | "sum" => Total,
            "count" => Count,
            _ => return None,
        })
    }

    pub(super) fn of(self, measured: &Measured) -> f64 {
        match self {
            Average => measured.mean(),
            Minimum => measured.least,
            Maximum => measured.most,
            Total => measured.total,
            Count => measured.count,
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) display: &'static str,
    pub(super) about: &'static str,
    pub(super) unit: &'static str,
    /// The first is the one that is told when nothing is asked for.
    pub(super) aggregations: &'static [Aggregation],
    pub(super) dimensions: &'static [&'static str],
    /// Minutes between two values.
    pub(super) grain: i64,
}

const PLACE: &[&str] = &["DatabaseName", "CollectionName"];
const PLACE_AND_REGION: &[&str] = &["DatabaseName", "CollectionName", "Region"];
const CALLS: &[&str] = &[
    "DatabaseName",
    "CollectionName",
    "Region",
    "StatusCode",
    "OperationType",
    "Status",
];
const POD: &[&str] = &["revisionName", "podName"];
const ALL: &[Aggregation] = &[Average, Total, Maximum, Minimum];

/// Of a Cosmos account.
pub(super) const ACCOUNT: &[Definition] = &[
    Definition {
        name: "NormalizedRUConsumption",
        display: "Normalized RU Consumption",
        about: "Percent of its throughput that the fullest partition used",
        unit: "Percent",
        aggregations: &[Maximum, Average],
        dimensions: &[
            "CollectionName",
            "DatabaseName",
            "Region",
            "PartitionKeyRangeId",
        ],
        grain: 1,
    },
    Definition {
        name: "TotalRequestUnits",
        display: "Total Request Units",
        about: "Request units that were used",
        unit: "Count",
        aggregations: &[Total, Average, Maximum],
        dimensions: CALLS,
        grain: 1,
    },
    Definition {
        name: "TotalRequests",
        display: "Total Requests",
        about: "Requests that were made",
        unit: "Count",
        aggregations: &[Count],
        dimensions: CALLS,
        grain: 1,
    },
    Definition {
        name: "ServerSideLatencyDirect",
        display: "Server Side Latency Direct",
        about: "Milliseconds at the server in direct connection mode",
        unit: "MilliSeconds",
        aggregations: &[Average],
        dimensions: &[
            "DatabaseName",
            "CollectionName",
            "Region",
            "ConnectionMode",
            "OperationType",
        ],
        grain: 1,
    },
    Definition {
        name: "ProvisionedThroughput",
        display: "Provisioned Throughput",
        about: "Throughput that is provisioned",
        unit: "Count",
        aggregations: &[Maximum],
        dimensions: PLACE,
        grain: 5,
    },
    Definition {
        name: "AutoscaleMaxThroughput",
        display: "Autoscale Max Throughput",
        about: "The most throughput of what scales by itself",
        unit: "Count",
        aggregations: &[Maximum],
        dimensions: PLACE,
        grain: 5,
    },
    Definition {
        name: "DataUsage",
        display: "Data Usage",
        about: "Bytes of data",
        unit: "Bytes",
        aggregations: &[Total, Average],
        dimensions: PLACE_AND_REGION,
        grain: 5,
    },
    Definition {
        name: "IndexUsage",
        display: "Index Usage",
        about: "Bytes of indexes",
        unit: "Bytes",
        aggregations: &[Total, Average],
        dimensions: PLACE_AND_REGION,
        grain: 5,
    },
    Definition {
        name: "PhysicalPartitionCount",
        display: "Physical Partition Count",
        about: "Physical partitions",
        unit: "Count",
        aggregations: &[Maximum],
        dimensions: PLACE,
        grain: 5,
    },
];

/// Of a container app.
pub(super) const APP: &[Definition] = &[
    Definition {
        name: "CpuPercentage",
        display: "CPU Usage Percentage (Preview)",
        about: "Percent of the CPU that is allowed",
        unit: "Percent",
        aggregations: ALL,
        dimensions: POD,
        grain: 1,
    },
    Definition {
        name: "MemoryPercentage",
        display: "Memory Percentage (Preview)",
        about: "Percent of the memory that is allowed",
        unit: "Percent",
        aggregations: ALL,
        dimensions: POD,
        grain: 1,
    },
    Definition {
        name: "UsageNanoCores",
        display: "CPU Usage",
        about: "CPU that is used, in billionths of a core",
        unit: "NanoCores",
        aggregations: ALL,
        dimensions: POD,
        grain: 1,
    },
    Definition {
        name: "WorkingSetBytes",
        display: "Memory Working Set Bytes",
        about: "Memory that is used",
        unit: "Bytes",
        aggregations: ALL,
        dimensions: POD,
        grain: 1,
    },
    Definition {
        name: "Requests",
        display: "Requests",
        about: "Requests that were answered",
        unit: "Count",
        aggregations: &[Total, Average, Maximum, Minimum],
        dimensions: &[
            "revisionName",
            "podName",
            "statusCodeCategory",
            "statusCode",
        ],
        grain: 1,
    },
    Definition {
        name: "Replicas",
        display: "Replica Count",
        about: "Replicas that run",
        unit: "Count",
        aggregations: &[Maximum, Average, Total, Minimum],
        dimensions: &["revisionName"],
        grain: 1,
    },
];

/// The metrics of a type of resources, in lower case; nothing of those that are not simulated.
pub(super) fn of(kind: &str) -> &'static [Definition] {
    match kind {
        "microsoft.documentdb/databaseaccounts" => ACCOUNT,
        "microsoft.app/containerapps" => APP,
        _ => &[],
    }
}
