//! What a request for metrics asks for, read as strictly as Azure does.

use axum::http::request::Parts;
use chrono::{DateTime, Utc};

use super::super::logs::timespan;
use super::super::service::query;
use super::definitions::{Aggregation, Definition, of};
use super::filter::Filter;

/// Series that are told of a metric when nothing is said.
const TOP: usize = 10;
/// Metrics that may be asked for at once.
const MOST_METRICS: usize = 20;
const HOUR: i64 = 60;

/// What is asked, in minutes since 1970 where no unit is named.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub(super) kind: String,
    pub(super) metrics: Vec<&'static Definition>,
    /// `None`: the first of each metric.
    pub(super) aggregations: Option<Vec<Aggregation>>,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    /// Of one value; `None`: all is one.
    pub(super) interval: Option<i64>,
    pub(super) filter: Filter,
    pub(super) top: usize,
    /// By what series are ordered, and whether the largest come first.
    pub(super) order: Option<(Aggregation, bool)>,
    /// Dimensions by which series are not split after all.
    pub(super) rolled_up: Vec<String>,
    /// Only which series there are.
    pub(super) names_only: bool,
}

/// Where the two operations call the same thing differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    List,
    Batch,
}

impl Question {
    /// `kind`: the type of the resource, in lower case.
    ///
    /// Errors: why it is a bad request.
    pub(super) fn read(
        parts: &Parts,
        kind: &str,
        operation: Operation,
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let given = |name: &str| query(parts, name).filter(|text| !text.trim().is_empty());
        let known = of(kind);
        let metrics = metrics(given("metricnames").as_deref(), known, kind)?;
        let aggregations = given("aggregation")
            .map(|text| {
                let each = text.split(',').map(|word| {
                    Aggregation::read(word)
                        .ok_or_else(|| format!("Invalid aggregation type: {}", word.trim()))
                });
                each.collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        let (start, end) = span(&given, operation, now)?;
        let filter = match operation {
            Operation::List => given("$filter"),
            Operation::Batch => given("filter"),
        };
        let filter = filter.map_or_else(|| Ok(Filter::default()), |text| Filter::read(&text))?;
        let lenient =
            given("ValidateDimensions").is_some_and(|is| is.eq_ignore_ascii_case("false"));
        let rolled_up: Vec<String> = given("rollupby")
            .map(|text| text.split(',').map(|name| name.trim().to_owned()).collect())
            .unwrap_or_default();
        for metric in metrics.iter().filter(|_| !lenient) {
            let named = filter.0.iter().map(|(name, _)| name).chain(&rolled_up);
            let has = |name: &&String| {
                let mut known = metric.dimensions.iter();
                !known.any(|known| known.eq_ignore_ascii_case(name))
            };
            if named.clone().any(|name| has(&name)) {
                let asked: Vec<&str> = named.map(String::as_str).collect();
                return Err(format!(
                    "Metric: {} does not support requested dimension combination: {}, supported ones are: {}",
                    metric.name,
                    asked.join(","),
                    metric.dimensions.join(",")
                ));
            }
        }
        let adjusts =
            given("AutoAdjustTimegrain").is_some_and(|is| is.eq_ignore_ascii_case("true"));
        let interval = interval(given("interval").as_deref(), &metrics, operation, adjusts)?;
        let top = match given("top") {
            None => TOP,
            Some(text) => text
                .parse()
                .ok()
                .filter(|top| *top > 0)
                .ok_or_else(|| format!("Invalid value of top: {text}"))?,
        };
        let names_only = match given("resultType")
            .map(|text| text.to_ascii_lowercase())
            .as_deref()
        {
            None | Some("data") => false,
            Some("metadata") => true,
            Some(other) => return Err(format!("Invalid resultType: {other}")),
        };
        Ok(Self {
            kind: kind.to_owned(),
            metrics,
            aggregations,
            start,
            end,
            interval,
            filter,
            top,
            order: given("orderby").map(|text| order(&text)).transpose()?,
            rolled_up,
            names_only,
        })
    }

    /// The first minute, and the one after the last.
    pub(super) fn minutes(&self) -> (i64, i64) {
        let from = self.start.timestamp().div_euclid(60);
        let until = self.end.timestamp_millis();
        let until = until.div_euclid(60_000) + i64::from(until.rem_euclid(60_000) > 0);
        (from, until.max(from + 1))
    }

    /// The interval as it is told.
    pub(super) fn interval_text(&self) -> String {
        let (from, until) = self.minutes();
        let minutes = self.interval.unwrap_or(until - from);
        match minutes {
            m if m % 1440 == 0 => format!("P{}D", m / 1440),
            m if m % HOUR == 0 => format!("PT{}H", m / HOUR),
            m if m > HOUR => format!("PT{}H{}M", m / HOUR, m % HOUR),
            m => format!("PT{m}M"),
        }
    }

    /// What is told of a metric; nothing if it has none of what was asked for.
    pub(super) fn told(&self, metric: &Definition) -> Vec<Aggregation> {
        let Some(asked) = &self.aggregations else {
            return metric.aggregations[..1].to_vec();
        };
        let has = |one: &&Aggregation| metric.aggregations.contains(one);
        asked.iter().filter(has).copied().collect()
    }
}

fn metrics(
    names: Option<&str>,
    known: &'static [Definition],
    kind: &str,
) -> Result<Vec<&'static Definition>, String> {
    let Some(names) = names else {
        return Ok(known.iter().take(1).collect());
    };
    let asked: Vec<&str> = names.split(',').map(str::trim).collect();
    if asked.len() > MOST_METRICS {
        return Err(format!(
            "At most {MOST_METRICS} metrics can be asked for at once."
        ));
    }
    let find = |name: &str| {
        let found = known.iter().find(|one| one.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let (provider, types) = kind.split_once('/').unwrap_or((kind, ""));
            let valid: Vec<&str> = known.iter().map(|one| one.name).collect();
            format!(
                "Failed to find metric configuration for provider: {provider}, resource Type: {types}, metric: {name}, Valid metrics: {}",
                valid.join(",")
            )
        })
    };
    asked.into_iter().map(find).collect()
}

fn span(
    given: &impl Fn(&str) -> Option<String>,
    operation: Operation,
    now: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), String> {
    let hour_before = |end: DateTime<Utc>| end - chrono::Duration::hours(1);
    let (start, end) = match operation {
        Operation::List => match given("timespan") {
            None => (hour_before(now), now),
            Some(text) => {
                timespan(&text, now).ok_or_else(|| format!("Invalid timespan: {text}"))?
            }
        },
        Operation::Batch => {
            let time = |name: &str| {
                given(name)
                    .map(|text| {
                        let at = DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
                        at.map_err(|_| format!("Invalid {name}: {text}"))
                    })
                    .transpose()
            };
            let end = time("endtime")?;
            let start = time("starttime")?;
            if end.is_some() && start.is_none() {
                return Err("endtime is given without starttime.".to_owned());
            }
            let end = end.unwrap_or(now);
            (start.unwrap_or_else(|| hour_before(end)), end)
        }
    };
    if start >= end {
        return Err(format!(
            "The start time {start} is not before the end time {end}."
        ));
    }
    Ok((start, end))
}

fn interval(
    text: Option<&str>,
    metrics: &[&Definition],
    operation: Operation,
    adjusts: bool,
) -> Result<Option<i64>, String> {
    let coarsest = metrics.iter().map(|metric| metric.grain).max().unwrap_or(1);
    let minutes = match text {
        // A batch says one minute when it says nothing.
        None if operation == Operation::Batch => 1,
        None => coarsest,
        Some(text) if text.eq_ignore_ascii_case("FULL") => return Ok(None),
        Some(text) => match text.to_ascii_uppercase().as_str() {
            "PT1M" => 1,
            "PT5M" => 5,
            "PT15M" => 15,
            "PT30M" => 30,
            "PT1H" => HOUR,
            "PT6H" => 6 * HOUR,
            "PT12H" => 12 * HOUR,
            "P1D" | "PT24H" => 24 * HOUR,
            _ if adjusts => coarsest,
            _ => {
                return Err(format!(
                    "Invalid time grain duration: {text}, supported ones are: 00:01:00,00:05:00,00:15:00,00:30:00,01:00:00,06:00:00,12:00:00,1.00:00:00"
                ));
            }
        },
    };
    if minutes < coarsest && !adjusts {
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
        return Err(format!(
            "Commonly allowed time grains: 00:05:00,00:15:00,00:30:00,01:00:00,06:00:00,12:00:00,1.00:00:00 between metrics: {}, can not support requested time grain: 00:0{minutes}:00 please adjust your interval parameter to use one of the common grains",
            names.join(",")
        ));
    }
    Ok(Some(minutes.max(coarsest)))
}

fn order(text: &str) -> Result<(Aggregation, bool), String> {
    let mut words = text.split_whitespace();
    let by = words.next().and_then(Aggregation::read);
    let descending = match words.next() {
        None => Some(false),
        Some(word) if word.eq_ignore_ascii_case("asc") => Some(false),
        Some(word) if word.eq_ignore_ascii_case("desc") => Some(true),
        Some(_) => None,
    };
    by.zip(descending)
        .filter(|_| words.next().is_none())
        .ok_or_else(|| format!("Invalid orderby: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "microsoft.documentdb/databaseaccounts";

    fn ask(rest: &str, operation: Operation) -> Result<Question, String> {
        let uri = format!("http://127.0.0.1/metrics?{rest}");
        let request = axum::http::Request::get(uri).body(()).expect("a request");
        let now = "2026-11-25T12:00:30Z".parse().expect("a time");
        Question::read(&request.into_parts().0, KIND, operation, now)
    }

    #[test]
    fn what_is_a_bad_request() {
        for (rest, why) in [
            ("metricnames=Nothing", "Failed to find metric configuration"),
            (
                "metricnames=TotalRequests&aggregation=p99",
                "Invalid aggregation",
            ),
            (
                "metricnames=TotalRequests&interval=PT3M",
                "Invalid time grain",
            ),
            (
                "metricnames=DataUsage&interval=PT1M",
                "Commonly allowed time grains",
            ),
            (
                "metricnames=TotalRequests,DataUsage&interval=PT1M",
                "Commonly allowed time grains",
            ),
            ("metricnames=TotalRequests&top=none", "Invalid value of top"),
            (
                "metricnames=TotalRequests&orderby=count+down",
                "Invalid orderby",
            ),
            (
                "metricnames=NormalizedRUConsumption&$filter=StatusCode+eq+'429'",
                "does not support requested dimension combination: StatusCode",
            ),
            (
                "metricnames=TotalRequests&timespan=soon",
                "Invalid timespan",
            ),
            (
                "metricnames=TotalRequests&timespan=2026-11-25T12:00:00Z/2026-11-25T12:00:00Z",
                "is not before",
            ),
        ] {
            let error = ask(rest, Operation::List).expect_err(rest);
            assert!(error.contains(why), "{rest}: {error}");
        }
        for rest in [
            "metricnames=DataUsage",
            "metricnames=DataUsage&interval=PT1M&AutoAdjustTimegrain=true",
            "metricnames=NormalizedRUConsumption&ValidateDimensions=false&$filter=StatusCode+eq+'429'",
        ] {
            assert!(ask(rest, Operation::List).is_ok(), "{rest}");
        }
    }

    #[test]
    fn when_a_question_begins_and_ends() {
        let asked = ask(
            "metricnames=TotalRequests&starttime=2026-11-25T10:00:30Z&endtime=2026-11-25T10:59:59.5Z&interval=FULL",
            Operation::Batch,
        )
        .expect("a question");
        let (from, until) = asked.minutes();
        assert_eq!((until - from, asked.interval_text().as_str()), (60, "PT1H"));
        let hour = ask("metricnames=TotalRequests", Operation::List).expect("a question");
        let (from, until) = hour.minutes();
        assert_eq!((until - from, hour.interval), (61, Some(1)));
    }
}
