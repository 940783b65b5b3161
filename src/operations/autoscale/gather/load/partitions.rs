//! Which partitions of a busy container are full.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Duration, Utc};

use super::question::What;
use super::{NAMESPACE, Place, failed, minute, place};
use crate::azure::Azure;
use crate::azure::metrics::{self, Aggregation, Interval, Metric, Query, each};
use crate::domain::ResourceId;
use crate::operations::autoscale::facts::Range;

/// Partitions are judged by so many of the newest minutes, which are found within some more.
const NEWEST: i64 = 5;
const LOOKS_BACK: Duration = Duration::minutes(12);
/// Of one account's partitions.
const MOST_PARTITIONS: u32 = 20_000;

/// The numbers of a partition.
type Points = Vec<(DateTime<Utc>, f64)>;

/// What the partitions of an account's containers used within the newest minutes.
///
/// Errors: why they are not told.
pub(in crate::operations::autoscale::gather) async fn partitions(
    azure: &Azure,
    region: &str,
    account: &ResourceId,
    now: DateTime<Utc>,
) -> Result<HashMap<Place, Vec<Range>>, String> {
    let until = minute(now);
    let query = Query {
        metrics: What::Used.metrics(),
        aggregation: Aggregation::Maximum,
        interval: Interval::Minute,
        from: until - LOOKS_BACK,
        until,
        filter: Some(each(&[
            "DatabaseName",
            "CollectionName",
            "PartitionKeyRangeId",
        ])),
        top: MOST_PARTITIONS,
    };
    let subscription = account.subscription().unwrap_or_default();
    let accounts = [account.clone()];
    let answers = metrics::batch(azure, region, subscription, NAMESPACE, &accounts, &query).await;
    let Some((_, answer)) = answers.into_iter().next() else {
        return Err("nothing was answered".into());
    };
    let metrics = answer.map_err(|error| error.to_string())?;
    if let Some(why) = failed(&metrics) {
        return Err(why.to_owned());
    }
    if metrics.iter().any(|metric| metric.cut) {
        return Err(format!("it has more than {MOST_PARTITIONS} of them"));
    }
    Ok(ranges(&metrics))
}

pub(super) fn ranges(metrics: &[Metric]) -> HashMap<Place, Vec<Range>> {
    let mut found: HashMap<Place, BTreeMap<String, Points>> = HashMap::new();
    for series in metrics.iter().flat_map(|metric| &metric.series) {
        let range = series.dimension("PartitionKeyRangeId");
        if let (Some(place), Some(range)) = (place(series), range) {
            let points = series.points.iter().filter_map(|p| Some((p.at, p.value?)));
            let of = found.entry(place).or_default();
            of.entry(range.to_owned()).or_default().extend(points);
        }
    }
    let of_container = |ranges: BTreeMap<String, Points>| {
        let newest = ranges.values().flatten().map(|(at, _)| *at).max();
        let from = newest.map(|at| at - Duration::minutes(NEWEST));
        let range = |(id, points): (String, Points)| {
            let recent = points.iter().filter(|(at, _)| Some(*at) > from);
            let used = recent.map(|(_, used)| *used).reduce(f64::max)?;
            Some(Range { id, used })
        };
        ranges.into_iter().filter_map(range).collect()
    };
    found
        .into_iter()
        .map(|(place, ranges)| (place, of_container(ranges)))
        .collect()
}
