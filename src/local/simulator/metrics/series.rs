//! Series of values, split by what a question names.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ask::Question;
use super::definitions::{Aggregation, Definition};
use crate::local::world::physics::Measured;

/// The series of one metric while they fill.
pub(super) struct Table<'a> {
    pub(super) metric: &'static Definition,
    question: &'a Question,
    /// What it is split by, as Azure writes it back.
    split: Vec<String>,
    places: BTreeMap<Vec<String>, usize>,
    rows: Vec<Vec<Measured>>,
    buckets: usize,
}

impl<'a> Table<'a> {
    pub(super) fn new(metric: &'static Definition, question: &'a Question, buckets: usize) -> Self {
        let named = question.filter.0.iter().map(|(name, _)| name);
        let split: Vec<String> = named
            .filter(|name| {
                let is = |one: &str| one.eq_ignore_ascii_case(name);
                let rolled_up = question.rolled_up.iter().any(|one| is(one));
                !rolled_up && metric.dimensions.iter().any(|one| is(one))
            })
            .cloned()
            .collect();
        let mut table = Self {
            metric,
            question,
            places: BTreeMap::new(),
            rows: Vec::new(),
            buckets,
            split,
        };
        if question.filter.0.is_empty() {
            // Not split, there is always one, with values or without.
            table.places.insert(Vec::new(), 0);
            table.rows.push(vec![Measured::NOTHING; buckets]);
        }
        table
    }

    /// Adds to the series of what has these values of dimensions, unless the filter leaves it out.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], bucket: usize, measured: &Measured) {
        if measured.is_empty() || !self.lets(labels) {
            return;
        }
        let value = |name: &String| {
            let label = labels
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            label.map_or_else(String::new, |(_, value)| (*value).to_owned())
        };
        let key: Vec<String> = self.split.iter().map(value).collect();
        let rows = &mut self.rows;
        let place = *self.places.entry(key).or_insert_with(|| {
            rows.push(vec![Measured::NOTHING; self.buckets]);
            rows.len() - 1
        });
        self.rows[place][bucket].add(measured);
    }

    /// Whether the filter lets something with these values pass.
    pub(super) fn lets(&self, labels: &[(&str, &str)]) -> bool {
        let filter = &self.question.filter;
        labels.iter().all(|(name, value)| filter.lets(name, value))
    }

    /// As it is told: `times` are those of the buckets.
    pub(super) fn told<'t>(self, resource: &str, times: &'t [String]) -> Metric<'t> {
        let told = self.question.told(self.metric);
        let name = self.metric.name;
        let mut metric = Metric {
            id: format!("{resource}/providers/Microsoft.Insights/metrics/{name}"),
            kind: "Microsoft.Insights/metrics",
            name: Name::of(name, self.metric.display),
            about: self.metric.about,
            unit: self.metric.unit,
            series: Vec::new(),
            error_message: None,
            error_code: "Success",
        };
        if told.is_empty() {
            metric.error_code = "InvalidSamplingType";
            metric.error_message = Some(format!(
                "Sampling type is not found. Metric:{name} has none of what was asked for."
            ));
            return metric;
        }
        let by = self.question.order.map_or(told[0], |(by, _)| by);
        let mut all: Vec<(f64, Vec<String>, &Vec<Measured>)> = self
            .places
            .into_iter()
            .map(|(key, place)| {
                let row = &self.rows[place];
                let mut whole = Measured::NOTHING;
                row.iter().for_each(|one| whole.add(one));
                (if whole.is_empty() { 0.0 } else { by.of(&whole) }, key, row)
            })
            .collect();
        // Without an order, the largest come first.
        let descending = self.question.order.is_none_or(|(_, descending)| descending);
        all.sort_by(|a, b| {
            let sorted = a.0.total_cmp(&b.0);
            if descending { sorted.reverse() } else { sorted }
        });
        all.truncate(self.question.top);
        let split = &self.split;
        metric.series = all
            .into_iter()
            .map(|(_, key, row)| Series {
                labels: split
                    .iter()
                    .zip(key)
                    .map(|(name, value)| Label {
                        name: Name::of(&name.to_ascii_lowercase(), &name.to_ascii_lowercase()),
                        value,
                    })
                    .collect(),
                data: (!self.question.names_only).then(|| {
                    let points = times.iter().zip(row);
                    points.map(|(at, one)| Point::of(at, one, &told)).collect()
                }),
            })
            .collect();
        metric
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Name {
    value: String,
    #[serde(rename = "localizedValue")]
    localized: String,
}

impl Name {
    fn of(value: &str, localized: &str) -> Self {
        Self {
            value: value.to_owned(),
            localized: localized.to_owned(),
        }
    }
}

/// A metric as Azure shows it.
#[derive(Debug, Serialize)]
pub(super) struct Metric<'t> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    name: Name,
    #[serde(rename = "displayDescription")]
    about: &'static str,
    unit: &'static str,
    #[serde(rename = "timeseries")]
    series: Vec<Series<'t>>,
    #[serde(rename = "errorMessage", skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    #[serde(rename = "errorCode")]
    error_code: &'static str,
}

#[derive(Debug, Serialize)]
struct Series<'t> {
    #[serde(rename = "metadatavalues")]
    labels: Vec<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<Point<'t>>>,
}

#[derive(Debug, Serialize)]
struct Label {
    name: Name,
    value: String,
}

#[derive(Debug, Serialize)]
struct Point<'t> {
    #[serde(rename = "timeStamp")]
    at: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    average: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<f64>,
}

impl<'t> Point<'t> {
    fn of(at: &'t str, measured: &Measured, told: &[Aggregation]) -> Self {
        let value = |one: Aggregation| {
            let asked = told.contains(&one) && !measured.is_empty();
            asked.then(|| one.of(measured))
        };
        Self {
            at,
            average: value(Aggregation::Average),
            minimum: value(Aggregation::Minimum),
            maximum: value(Aggregation::Maximum),
            total: value(Aggregation::Total),
            count: value(Aggregation::Count),
        }
    }
}
