//! What is asked of the metrics of accounts, and by which filter.

use chrono::{DateTime, Duration, Utc};

use crate::azure::metrics::{Aggregation, Interval, each, one_of};

/// How far back minutes are asked: an hour, and what is not measured yet.
pub(super) const LOOKS_BACK: Duration = Duration::minutes(66);
/// What is stored is measured every five minutes.
const LOOKS_BACK_AT_STORAGE: Duration = Duration::minutes(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Used,
    Requests,
    Units,
    Refused,
    Latency,
    Stored,
    Partitions,
}

impl What {
    /// All but the first, which says whether an account answers at all.
    pub(super) const FURTHER: [Self; 6] = [
        Self::Requests,
        Self::Units,
        Self::Refused,
        Self::Latency,
        Self::Stored,
        Self::Partitions,
    ];

    pub(super) fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Used => &["NormalizedRUConsumption"],
            Self::Requests | Self::Refused => &["TotalRequests"],
            Self::Units => &["TotalRequestUnits"],
            Self::Latency => &["ServerSideLatencyDirect"],
            Self::Stored => &["DataUsage", "IndexUsage"],
            Self::Partitions => &["PhysicalPartitionCount"],
        }
    }

    pub(super) fn aggregation(self) -> Aggregation {
        match self {
            Self::Used | Self::Partitions => Aggregation::Maximum,
            Self::Requests | Self::Refused => Aggregation::Count,
            Self::Units | Self::Stored => Aggregation::Total,
            Self::Latency => Aggregation::Average,
        }
    }

    /// Of the containers with these names, or of all.
    pub(super) fn filter(self, names: Option<&[&str]>) -> String {
        let containers = match names {
            Some(names) => one_of("CollectionName", names),
            None => each(&["CollectionName"]),
        };
        let databases = each(&["DatabaseName"]);
        match self {
            // Each region keeps all of it.
            Self::Stored => format!("{databases} and {} and {containers}", each(&["Region"])),
            Self::Refused => {
                let refused = one_of("StatusCode", &["429"]);
                format!("{databases} and {refused} and {containers}")
            }
            _ => format!("{databases} and {containers}"),
        }
    }

    /// When the minutes of an answer begin.
    pub(super) fn from(self, until: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Stored | Self::Partitions => until - LOOKS_BACK_AT_STORAGE,
            _ => until - LOOKS_BACK,
        }
    }

    pub(super) fn interval(self) -> Interval {
        match self {
            Self::Stored | Self::Partitions => Interval::FiveMinutes,
            _ => Interval::Minute,
        }
    }
}

impl What {
    pub(super) fn slot(self) -> Option<usize> {
        match self {
            Self::Used => Some(0),
            Self::Requests => Some(1),
            Self::Units => Some(2),
            Self::Refused => Some(3),
            Self::Latency => Some(4),
            Self::Stored | Self::Partitions => None,
        }
    }
}
