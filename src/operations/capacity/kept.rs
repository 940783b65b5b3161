//! Forecasts as they are kept: one document for each Cosmos account, and one for the apps of a stamp.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::forecast::{self, Forecast};
use super::hourly::{Busy, Hourly, rounded};
use super::places::Place;
use crate::app::App;
use crate::domain::{Finding, ResourceId};
use crate::store::{Error, Stored};

/// Where they lie.
pub(super) const FOLDER: &str = "capacity/forecasts/";
/// A forecast that could not be renewed for so long is none any more.
pub const STALE: Duration = Duration::hours(48);

/// What is measured of a container or an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Request units a second.
    Units,
    /// Requests a minute.
    Requests,
    /// Percent of what the replicas have, the mean of all.
    Cpu,
    Memory,
    /// How many replicas ran, the mean of the hour; they are not forecast, as they follow the rest.
    Replicas,
}

impl Measure {
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Units => "RU/s",
            Self::Requests => "requests/min",
            Self::Cpu => "% CPU",
            Self::Memory => "% memory",
            Self::Replicas => "replicas",
        }
    }

    /// Whether it is forecast.
    #[must_use]
    pub fn is_forecast(self) -> bool {
        self != Self::Replicas
    }
}

/// What a candidate counted for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub name: String,
    pub weight: f64,
    pub error: Option<f64>,
}

/// A level that a series went to, and how much higher it is, as a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    pub at: DateTime<Utc>,
    pub ratio: f64,
}

/// A forecast as it is kept, hour by hour from `start`, with what it was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coming {
    pub start: DateTime<Utc>,
    pub forecast: Vec<f64>,
    /// The interval that is to hold 95 of 100 values.
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    /// Places of hours of the week that never had a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<usize>,
    pub candidates: Vec<Candidate>,
    /// How many earlier times of the series were tried.
    pub trials: usize,
    /// The mean absolute error at those, and that of saying what last week had.
    pub error: Option<f64>,
    pub error_of_last_week: Option<f64>,
    /// Hours of history, and how many of them had no value or one that was unlike.
    pub hours: usize,
    pub missing: usize,
    pub outliers: usize,
    pub clock_changes: usize,
    pub shift: Option<Shift>,
}

impl Coming {
    /// `None` of a forecast without hours.
    pub(super) fn of(forecast: &Forecast) -> Option<Self> {
        let each = |value: fn(&forecast::Hour) -> f64| {
            let values = forecast.hours.iter().map(value).map(rounded);
            values.collect()
        };
        let done = &forecast.preparation;
        Some(Self {
            start: forecast.hours.first()?.at,
            forecast: each(|hour| hour.forecast),
            lower: each(|hour| hour.lower),
            upper: each(|hour| hour.upper),
            unknown: forecast.unknown.clone(),
            candidates: forecast
                .candidates
                .iter()
                .map(|one| Candidate {
                    name: one.name.to_owned(),
                    weight: rounded(one.weight),
                    error: one.error.map(rounded),
                })
                .collect(),
            trials: forecast.trials,
            error: forecast.error.map(rounded),
            error_of_last_week: forecast.error_of_last_week.map(rounded),
            hours: done.hours,
            missing: done.missing,
            outliers: done.outliers,
            clock_changes: done.clock_changes,
            shift: done.shift.map(|shift| Shift {
                at: shift.at,
                ratio: rounded(shift.ratio),
            }),
        })
    }

    /// When an hour of it begins.
    #[must_use]
    pub fn hour(&self, place: usize) -> DateTime<Utc> {
        self.start + Duration::hours(place as i64)
    }

    /// When its last hour is over.
    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        self.hour(self.forecast.len())
    }
}

/// One measure of a resource: what was, and what is to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub measure: Measure,
    /// `None`: there was no value at all.
    pub history: Option<Hourly>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coming: Option<Coming>,
    /// Why nothing is forecast, where it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    #[serde(default)]
    pub busy: Busy,
}

/// All that is kept of a container, of what a database's containers use together, or of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub resource: ResourceId,
    pub series: Vec<Kept>,
}

impl Subject {
    #[must_use]
    pub fn of(&self, measure: Measure) -> Option<&Kept> {
        self.series.iter().find(|kept| kept.measure == measure)
    }
}

/// The document of an account, or of a stamp's apps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Document {
    /// Where Azure keeps it, once that was read.
    #[serde(default)]
    pub location: Option<String>,
    /// When the forecasts were made.
    pub made: Option<DateTime<Utc>>,
    /// When that was last tried: a process that began is not joined by another one.
    pub tried: Option<DateTime<Utc>>,
    /// Why it did not work, if it did not.
    #[serde(default)]
    pub problem: Option<String>,
    #[serde(default)]
    pub subjects: Vec<Subject>,
}

impl Document {
    #[must_use]
    pub fn subject(&self, resource: &ResourceId) -> Option<&Subject> {
        self.subjects.iter().find(|one| one.resource == *resource)
    }
}

/// Reads the document of a place; `None` if it was never begun.
///
/// Errors: the store.
pub(super) async fn read(app: &App, place: &Place) -> Result<Option<Stored<Document>>, Error> {
    app.store()?.get(&place.path()).await
}

/// What was forecast, for whoever asks what is needed soon. A few reads, one for each account.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ahead {
    /// By the resource's name in lower case.
    hours: BTreeMap<String, Needs>,
}

/// What will be needed, hour by hour: the forecast, in the usual busy minutes of an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    start: DateTime<Utc>,
    hours: Vec<f64>,
}

impl Needs {
    /// By a forecast of the hours from `start`, and by how much more minutes need than their hour.
    #[must_use]
    pub fn new(start: DateTime<Utc>, forecast: &[f64], busy: &Busy) -> Self {
        Self {
            start,
            hours: forecast.iter().map(|hour| hour * busy.usual).collect(),
        }
    }

    /// The most that is needed between two times; `None` unless all of that time was forecast.
    #[must_use]
    pub fn most(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<f64> {
        if from < self.start || until < from {
            return None;
        }
        let first = usize::try_from((from - self.start).num_hours()).ok()?;
        // The hour in which it ends counts, unless it ends where that begins.
        let last = usize::try_from((until - self.start - Duration::nanoseconds(1)).num_hours());
        let last = last.unwrap_or(0).max(first);
        let hours = self.hours.get(first..=last)?;
        hours.iter().copied().reduce(f64::max)
    }
}

impl Ahead {
    /// Reads what is kept for all Cosmos accounts of the estate. Forecasts that are too old are left out,
    /// as is what was never forecast; so is what lies there and is none, with a finding.
    ///
    /// Errors: the store cannot be read. An estate that cannot be read has none.
    pub async fn read(app: &App) -> Result<(Self, Vec<Finding>), Error> {
        let Ok(estate) = app.estate() else {
            return Ok(Default::default());
        };
        let (mut documents, mut findings) = (Vec::new(), Vec::new());
        for place in super::places::accounts(estate) {
            match read(app, &place).await {
                Ok(found) => documents.extend(found.map(|stored| stored.value)),
                Err(Error::Unreadable { path, why }) => {
                    let message = format!("`{path}` is no forecast, and is not gone by: {why}");
                    findings.push(Finding::new("forecast-unreadable", &place.name, message));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((Self::of(&documents, app.clock.now()), findings))
    }

    #[must_use]
    pub fn of(documents: &[Document], now: DateTime<Utc>) -> Self {
        let mut hours = BTreeMap::new();
        let fresh = documents
            .iter()
            .filter(|document| document.made.is_some_and(|made| now - made < STALE));
        for subject in fresh.flat_map(|document| &document.subjects) {
            let Some(kept) = subject.of(Measure::Units) else {
                continue;
            };
            if let Some(coming) = &kept.coming {
                let needs = Needs::new(coming.start, &coming.forecast, &kept.busy);
                hours.insert(subject.resource.as_str().to_ascii_lowercase(), needs);
            }
        }
        Self { hours }
    }

    /// The most RU/s that are needed between two times; `None` unless all of that time was forecast.
    #[must_use]
    pub fn need(
        &self,
        resource: &ResourceId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Option<f64> {
        let needs = self.hours.get(&resource.as_str().to_ascii_lowercase())?;
        needs.most(from, until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn coming(start: &str, upper: &[f64]) -> Coming {
        Coming {
            start: utc(start),
            forecast: upper.to_vec(),
            lower: upper.to_vec(),
            upper: upper.to_vec(),
            unknown: Vec::new(),
            candidates: Vec::new(),
            trials: 0,
            error: None,
            error_of_last_week: None,
            hours: 168,
            missing: 0,
            outliers: 0,
            clock_changes: 0,
            shift: None,
        }
    }

    #[test]
    fn what_is_needed_soon_is_the_highest_of_the_hours_that_it_lies_in() {
        let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a");
        let container = account.child("sqlDatabases", "d").child("containers", "c");
        let document = |made: &str| Document {
            made: Some(utc(made)),
            subjects: vec![Subject {
                resource: container.clone(),
                series: vec![Kept {
                    measure: Measure::Units,
                    history: None,
                    coming: Some(coming("2026-11-01T00:00:00Z", &[100.0, 400.0, 200.0, 50.0])),
                    why_not: None,
                    busy: Busy {
                        factor: 3.0,
                        usual: 1.5,
                        hours: 24,
                    },
                }],
            }],
            ..Document::default()
        };
        let now = utc("2026-11-01T00:30:00Z");
        let ahead = Ahead::of(&[document("2026-11-01T00:00:00Z")], now);
        let shouted = ResourceId::from_text(&container.as_str().to_uppercase());
        for (name, from, until, expected) in [
            ("within an hour", "00:10", "00:20", Some(150.0)),
            ("up to the next", "00:10", "01:00", Some(150.0)),
            ("into the next", "00:10", "01:01", Some(600.0)),
            ("two hours", "01:30", "03:30", Some(600.0)),
            ("one moment", "02:00", "02:00", Some(300.0)),
            ("until its end", "03:00", "04:00", Some(75.0)),
            ("beyond its end", "03:00", "04:01", None),
            ("the wrong way round", "03:00", "02:00", None),
        ] {
            let time = |clock: &str| utc(&format!("2026-11-01T{clock}:00Z"));
            let need = ahead.need(&shouted, time(from), time(until));
            assert_eq!(need, expected, "{name}");
        }
        let before = utc("2026-10-31T23:59:00Z");
        assert_eq!(ahead.need(&container, before, now), None, "before it");
        assert_eq!(ahead.need(&account, now, now), None, "never forecast");
        let old = Ahead::of(&[document("2026-10-30T00:30:00Z")], now);
        assert_eq!(old.need(&container, now, now), None, "too old");
    }
}
