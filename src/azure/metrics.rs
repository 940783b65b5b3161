//! Azure Monitor's metrics: of many resources at once by the batch API, and of one by Resource
//! Manager.
//!
//! A minute that was not measured is absent from an answer or has no number in it. Both are `None`
//! here and never 0.
//!
//! Source: Azure Monitor metrics 2024-02-01, "Metrics Batch - Batch" and "Metrics - List"; "Migrate
//! from the metrics API to the getBatch API".

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use futures::StreamExt as _;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;

use super::{Action, Azure, Call, Error, Plane};
use crate::domain::ResourceId;

pub(super) const API_VERSION: &str = "2024-02-01";

pub const READ_METRICS: Action = Action("Microsoft.Insights/metrics/read");

/// So many resources are taken by one call.
pub const MOST_RESOURCES: usize = 50;
/// An answer can be some megabytes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// So many calls of one batch are under way at once.
const AT_ONCE: usize = 4;
/// A batch that is refused for the sake of some resources is asked for in parts, with so many more
/// calls at most.
const MORE_CALLS: usize = 16;

/// How the measurements of an interval become one number. A metric has some of them only, and what
/// it does not have is refused: metrics that are asked together must all have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    Average,
    Maximum,
    Total,
    Count,
}

impl Aggregation {
    fn name(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Maximum => "maximum",
            Self::Total => "total",
            Self::Count => "count",
        }
    }
}

/// How long the time is that one number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    Minute,
    FiveMinutes,
    Hour,
}

impl Interval {
    fn name(self) -> &'static str {
        match self {
            Self::Minute => "PT1M",
            Self::FiveMinutes => "PT5M",
            Self::Hour => "PT1H",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Query<'a> {
    pub metrics: &'a [&'a str],
    pub aggregation: Aggregation,
    pub interval: Interval,
    /// From the first up to the second.
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Splits by dimensions, and leaves series out: see [`each`] and [`one_of`]. Without one, each
    /// metric is one series.
    pub filter: Option<String>,
    /// With a filter: the most series of one metric of one resource. What is beyond is left out by
    /// Azure without a word, which [`Metric::cut`] tells.
    pub top: u32,
}

/// One metric of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// As it was asked for.
    pub name: String,
    pub series: Vec<Series>,
    /// Why Azure does not tell this one, where it tells others: then there are no series.
    pub failed: Option<String>,
    /// There are as many series as were allowed: more may have been left out.
    pub cut: bool,
}

/// The measurements with the same values of the dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// By the name of the dimension in lower case, as Azure tells it.
    pub dimensions: BTreeMap<String, String>,
    pub points: Vec<Point>,
}

impl Series {
    /// The value of a dimension, whatever the capitals of its name.
    #[must_use]
    pub fn dimension(&self, name: &str) -> Option<&str> {
        let value = self.dimensions.get(&name.to_ascii_lowercase());
        value.map(String::as_str)
    }
}

/// One interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it began.
    pub at: DateTime<Utc>,
    pub value: Option<f64>,
}

/// What came of asking for one resource of a batch.
pub type Answered = (ResourceId, Result<Vec<Metric>, Arc<Error>>);

/// A filter that splits by each of these dimensions.
#[must_use]
pub fn each(dimensions: &[&str]) -> String {
    let parts: Vec<String> = dimensions.iter().map(|d| format!("{d} eq '*'")).collect();
    parts.join(" and ")
}

/// A filter that lets these values of a dimension through, each by itself. It can be joined to
/// others with `and`.
#[must_use]
pub fn one_of(dimension: &str, values: &[&str]) -> String {
    let part = |value: &&str| format!("{dimension} eq '{}'", value.replace('\'', "''"));
    let parts: Vec<String> = values.iter().map(part).collect();
    parts.join(" or ")
}

/// Reads metrics of many resources of one kind, which must all lie in this subscription and region.
/// Each resource has an answer, in the order in which they were given: one that Azure refuses does
/// not take the others with it.
///
/// `namespace` is the kind, such as `Microsoft.App/containerApps`. Asking twice is harmless.
///
/// Errors, for each resource: as [`Azure::send`]; [`Error::Partial`] if the answer leaves it out.
/// What is wrong with one metric only is in [`Metric::failed`].
pub async fn batch(
    azure: &Azure,
    region: &str,
    subscription: &str,
    namespace: &str,
    resources: &[ResourceId],
    query: &Query<'_>,
) -> Vec<Answered> {
    let path = format!("/subscriptions/{subscription}/metrics:getBatch");
    let url = azure.metrics(region, &path).map(|mut url| {
        let pairs = [
            ("starttime", time(query.from)),
            ("endtime", time(query.until)),
        ];
        add(&mut url, namespace, query, "filter", &pairs);
        url
    });
    let url = match url {
        Ok(url) => url,
        Err(error) => return all_fail(resources, error),
    };
    let parts: Vec<_> = resources
        .chunks(MOST_RESOURCES)
        .map(|part| piecemeal(azure, url.clone(), part, query))
        .collect();
    let answers: Vec<Vec<Answered>> = futures::stream::iter(parts)
        .buffered(AT_ONCE)
        .collect()
        .await;
    answers.into_iter().flatten().collect()
}

/// Reads metrics of one resource from Resource Manager, which counts it as one of the reads of the
/// subscription.
///
/// Errors: as [`Azure::send`]. What is wrong with one metric only is in [`Metric::failed`].
pub async fn list(
    azure: &Azure,
    resource: &ResourceId,
    namespace: &str,
    query: &Query<'_>,
) -> Result<Vec<Metric>, Error> {
    let path = format!("{resource}/providers/Microsoft.Insights/metrics");
    let mut url = azure.arm(&path, API_VERSION)?;
    let timespan = format!("{}/{}", time(query.from), time(query.until));
    add(
        &mut url,
        namespace,
        query,
        "$filter",
        &[("timespan", timespan)],
    );
    let what = format!("metrics of {resource}");
    let answer: Metrics = azure.get(Plane::Arm, url, READ_METRICS, &what).await?;
    answer.read(query, &what)
}

/// Asks for all resources at once, and if Azure refuses that for some of them, for ever smaller
/// parts.
async fn piecemeal(
    azure: &Azure,
    url: Url,
    resources: &[ResourceId],
    query: &Query<'_>,
) -> Vec<Answered> {
    let (mut done, mut todo, mut calls) = (Vec::new(), vec![resources], 0);
    while let Some(part) = todo.pop() {
        match ask(azure, url.clone(), part, query).await {
            Ok(answers) => done.extend(answers),
            Err(error) if part.len() > 1 && calls < MORE_CALLS && may_be_of_one(&error) => {
                calls += 2;
                let (first, second) = part.split_at(part.len() / 2);
                todo.extend([second, first]);
            }
            Err(error) => done.extend(all_fail(part, error)),
        }
    }
    done
}

/// Whether a smaller part may be answered.
fn may_be_of_one(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFound { .. } | Error::Denied { .. } | Error::Refused { .. }
    )
}

fn all_fail(resources: &[ResourceId], error: Error) -> Vec<Answered> {
    let error = Arc::new(error);
    let fail = |id: &ResourceId| (id.clone(), Err(Arc::clone(&error)));
    resources.iter().map(fail).collect()
}

async fn ask(
    azure: &Azure,
    url: Url,
    resources: &[ResourceId],
    query: &Query<'_>,
) -> Result<Vec<Answered>, Error> {
    let what = match resources {
        [one] => format!("metrics of {one}"),
        several => format!(
            "metrics of {} resources ({}, …)",
            several.len(),
            several.first().map(ResourceId::short).unwrap_or_default()
        ),
    };
    let ids: Vec<&str> = resources.iter().map(ResourceId::as_str).collect();
    let mut call = Call::new(Plane::Metrics, Method::POST, url, READ_METRICS, &what)
        .body(json!({ "resourceids": ids }));
    // It only asks.
    call.repeatable = true;
    call.patience = Some(PATIENCE);
    let answer: Batch = azure.send(&call).await?.read(&what)?;
    Ok(answer.read(resources, query))
}

/// What both ways of asking have in their query.
fn add(
    url: &mut Url,
    namespace: &str,
    query: &Query<'_>,
    filter_name: &str,
    more: &[(&str, String)],
) {
    {
        let mut pairs = url.query_pairs_mut();
        for (name, value) in more {
            pairs.append_pair(name, value);
        }
        pairs
            .append_pair("interval", query.interval.name())
            .append_pair("metricnamespace", namespace)
            .append_pair("metricnames", &query.metrics.join(","))
            .append_pair("aggregation", query.aggregation.name());
        if let Some(filter) = &query.filter {
            pairs
                .append_pair("top", &query.top.to_string())
                .append_pair(filter_name, filter);
        }
    }
    // A plus sign is a space to most servers, and this is one to all.
    let plain = url.query().map(|query| query.replace('+', "%20"));
    url.set_query(plain.as_deref());
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[derive(Deserialize)]
struct Batch {
    values: Option<Vec<OfResource>>,
}

#[derive(Deserialize)]
struct OfResource {
    resourceid: Option<String>,
    #[serde(flatten)]
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    interval: Option<String>,
    value: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: Named,
    timeseries: Vec<Element>,
    error_code: Option<String>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    value: String,
}

#[derive(Deserialize)]
struct Element {
    metadatavalues: Option<Vec<Dimension>>,
    data: Option<Vec<Datum>>,
}

#[derive(Deserialize)]
struct Dimension {
    name: Option<Named>,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Datum {
    time_stamp: DateTime<Utc>,
    average: Option<f64>,
    maximum: Option<f64>,
    total: Option<f64>,
    count: Option<f64>,
}

impl Batch {
    fn read(self, resources: &[ResourceId], query: &Query<'_>) -> Vec<Answered> {
        let mut found: HashMap<String, Metrics> = HashMap::new();
        for row in self.values.unwrap_or_default() {
            // The only one needs no name.
            let only = (resources.len() == 1).then(|| resources[0].as_str().to_owned());
            if let Some(id) = row.resourceid.or(only) {
                let id = id.trim_matches('/').to_ascii_lowercase();
                found.insert(id, row.metrics);
            }
        }
        let answered = |id: &ResourceId| {
            let what = format!("metrics of {id}");
            let key = id.as_str().trim_matches('/').to_ascii_lowercase();
            let answer = match found.remove(&key) {
                Some(metrics) => metrics.read(query, &what),
                None => Err(Error::Partial {
                    what,
                    code: "LeftOut".into(),
                    why: "the answer leaves this resource out".into(),
                }),
            };
            (id.clone(), answer.map_err(Arc::new))
        };
        resources.iter().map(answered).collect()
    }
}

impl Metrics {
    /// The metrics that were asked for, in that order.
    fn read(self, query: &Query<'_>, what: &str) -> Result<Vec<Metric>, Error> {
        let asked = query.interval.name();
        if let Some(interval) = self.interval.filter(|i| !i.eq_ignore_ascii_case(asked)) {
            // Totals of another interval would be told as if they were of this one.
            return Err(Error::Unexpected {
                what: what.to_owned(),
                why: format!("asked by {asked}, it answers by {interval}"),
            });
        }
        let mut rows = self.value;
        let metric = |name: &&str| {
            let at = rows
                .iter()
                .position(|row| row.name.value.eq_ignore_ascii_case(name));
            match at {
                Some(at) => rows.swap_remove(at).read(name, query),
                None => Metric {
                    name: (*name).to_owned(),
                    series: Vec::new(),
                    failed: Some("the answer leaves it out".into()),
                    cut: false,
                },
            }
        };
        Ok(query.metrics.iter().map(metric).collect())
    }
}

impl Row {
    fn read(self, name: &str, query: &Query<'_>) -> Metric {
        let failed = self.error_code.filter(|code| code != "Success");
        let failed = failed.map(|code| match self.error_message {
            Some(message) => format!("{code}: {message}"),
            None => code,
        });
        let series: Vec<Series> = if failed.is_some() {
            Vec::new()
        } else {
            let elements = self.timeseries.into_iter();
            elements.map(|e| e.read(query.aggregation)).collect()
        };
        let top = usize::try_from(query.top).unwrap_or(usize::MAX);
        Metric {
            name: name.to_owned(),
            cut: query.filter.is_some() && series.len() >= top,
            series,
            failed,
        }
    }
}

impl Element {
    fn read(self, aggregation: Aggregation) -> Series {
        let dimensions = self.metadatavalues.unwrap_or_default();
        let dimensions = dimensions.into_iter().filter_map(|dimension| {
            let name = dimension.name?.value.to_ascii_lowercase();
            Some((name, dimension.value.unwrap_or_default()))
        });
        let points = self.data.unwrap_or_default();
        let points = points.into_iter().map(|datum| Point {
            at: datum.time_stamp,
            value: match aggregation {
                Aggregation::Average => datum.average,
                Aggregation::Maximum => datum.maximum,
                Aggregation::Total => datum.total,
                Aggregation::Count => datum.count,
            },
        });
        Series {
            dimensions: dimensions.collect(),
            points: points.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
