//! What is remembered of an endpoint from one minute to the next.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::probe::{Probe, Trouble};
use crate::app::App;
use crate::domain::{GroupKey, IncidentId, Priority};
use crate::estate::Endpoint;
use crate::store::Error;

/// A gap longer than this says nothing of what was in it: what was counted before it is no row.
const LONGEST_GAP: Duration = Duration::minutes(5);
/// A clock that is so much behind the last count is one that was put right.
const JUMP: Duration = Duration::minutes(2);

/// One endpoint: `health/<name>.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub name: String,
    /// Bad probes in a row, one a minute.
    pub failures: u32,
    /// When the row began that is or was long enough to count as a failure.
    pub first_failure: Option<DateTime<Utc>>,
    /// It failed often enough, and has not been well often enough since.
    #[serde(default)]
    pub failing: bool,
    /// Good probes in a row.
    pub successes: u32,
    /// Since when every probe was good.
    #[serde(default)]
    pub well_since: Option<DateTime<Utc>>,
    pub checked: Option<DateTime<Utc>>,
    /// What was wrong with the last bad probe.
    pub trouble: Option<Trouble>,
    pub latency_ms: Option<u64>,
    #[serde(default)]
    pub certificate_ends: Option<DateTime<Utc>>,
    /// The failure that people were told of.
    #[serde(default)]
    pub told: Option<Told>,
    /// The end of a certificate that people were told of.
    #[serde(default)]
    pub certificate_told: Option<String>,
}

/// A failure that people were told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub key: GroupKey,
    pub occurrence: String,
    pub priority: Priority,
    /// `None` where the failure belongs to no incident of its own.
    pub incident: Option<IncidentId>,
    /// It was escalated because it lasts.
    #[serde(default)]
    pub escalated: bool,
    /// When it was told once more, after its incident had been ended.
    #[serde(default)]
    pub again: Option<DateTime<Utc>>,
    /// Its incident was ended, and it goes on.
    #[serde(default)]
    pub ended: Option<Ended>,
    /// It is about to be told.
    #[serde(default)]
    pub untold: bool,
}

/// The end of an incident whose failure goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub at: DateTime<Utc>,
    /// Bad probes in a row since then.
    pub failures: u32,
}

/// The whole minute in which `at` lies.
fn minute(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

impl Record {
    fn fresh(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Whether this minute, or one after it, was counted.
    #[must_use]
    pub fn has_counted(&self, now: DateTime<Utc>) -> bool {
        self.checked
            .is_some_and(|checked| minute(checked) >= minute(now) && checked - now <= JUMP)
    }

    /// The record after one more probe; `None` if this minute was counted before. A minute that was
    /// missed is neither good nor bad, and what a clock that was wrong has written is put right.
    #[must_use]
    pub fn count(&self, probe: &Probe, endpoint: &Endpoint, now: DateTime<Utc>) -> Option<Self> {
        if self.has_counted(now) {
            return None;
        }
        let mut next = self.clone();
        let gap = self.checked.map(|checked| now - checked);
        if gap.is_some_and(|gap| gap > LONGEST_GAP || gap < Duration::zero()) {
            next.successes = 0;
            next.well_since = None;
            if !next.failing {
                next.failures = 0;
                next.first_failure = None;
            }
        }
        next.first_failure = next.first_failure.map(|at| at.min(now));
        next.checked = Some(now);
        next.latency_ms = Some(probe.latency_ms);
        next.certificate_ends = probe.certificate_ends.or(self.certificate_ends);
        if let Some(ended) = next.told.as_mut().and_then(|told| told.ended.as_mut()) {
            ended.failures = probe.trouble.as_ref().map_or(0, |_| ended.failures + 1);
        }
        match &probe.trouble {
            Some(trouble) => {
                next.failures += 1;
                next.successes = 0;
                next.well_since = None;
                next.first_failure.get_or_insert(now);
                next.failing |= next.failures >= endpoint.failures;
                next.trouble = Some(trouble.clone());
            }
            None => {
                next.failures = 0;
                next.successes += 1;
                next.well_since.get_or_insert(now);
                next.failing &= next.successes < endpoint.successes;
                if !next.failing {
                    next.first_failure = None;
                }
            }
        }
        Some(next)
    }
}

pub(super) fn path(name: &str) -> String {
    format!("health/{name}.json")
}

/// What is known of an endpoint; something new if nothing is.
pub async fn read(app: &App, name: &str) -> Result<Record, Error> {
    let stored = app.store()?.get::<Record>(&path(name)).await?;
    Ok(stored.map_or_else(|| Record::fresh(name), |stored| stored.value))
}

/// Turns the record of an endpoint, whoever else does so too; what it is then. `turn` says `None`
/// where nothing is to be changed.
pub(super) async fn update(
    app: &App,
    name: &str,
    turn: impl Fn(&Record) -> Option<Record>,
) -> Result<Record, Error> {
    let (store, path) = (app.store()?, path(name));
    for _ in 0..20 {
        let Some(stored) = store.get::<Record>(&path).await? else {
            store.create(&path, &Record::fresh(name)).await?;
            continue;
        };
        let Some(next) = turn(&stored.value) else {
            return Ok(stored.value);
        };
        match store.replace(&path, &next, &stored.etag, None).await {
            Ok(_) => return Ok(next),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict(path))
}

/// Remembers what is told of a failure now, unless something else is by now.
pub(super) async fn tell(
    app: &App,
    name: &str,
    occurrence: &str,
    next: &Told,
) -> Result<Record, Error> {
    update(app, name, |record| {
        let known = record.told.as_ref()?;
        let is_it = known.occurrence == occurrence && known != next;
        is_it.then(|| Record {
            told: Some(Told {
                escalated: next.escalated || (known.escalated && !next.untold),
                ..next.clone()
            }),
            ..record.clone()
        })
    })
    .await
}

/// Remembers that the incident of a failure was ended.
pub(super) async fn ended(
    app: &App,
    name: &str,
    occurrence: &str,
    ended: Ended,
) -> Result<(), Error> {
    update(app, name, |record| {
        let is_known = |told: &Told| told.ended.is_some_and(|known| known.at == ended.at);
        let is_it = |told: &&Told| told.occurrence == occurrence && !told.untold;
        let told = record.told.as_ref().filter(is_it)?;
        if is_known(told) {
            return None;
        }
        Some(Record {
            told: Some(Told {
                ended: Some(ended),
                ..told.clone()
            }),
            ..record.clone()
        })
    })
    .await
    .map(drop)
}

/// Remembers that a failure was escalated.
pub(crate) async fn escalated(app: &App, name: &str, occurrence: &str) -> Result<(), Error> {
    let is_it = |told: &Told| told.occurrence == occurrence && !told.escalated;
    update(app, name, |record| {
        let told = record.told.as_ref().filter(|told| is_it(told))?;
        Some(Record {
            told: Some(Told {
                escalated: true,
                ..told.clone()
            }),
            ..record.clone()
        })
    })
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::endpoint;
    use super::super::probe::Kind;
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_431_200 + seconds, 0).expect("a time")
    }

    fn probe(good: bool) -> Probe {
        Probe {
            trouble: (!good).then(|| Trouble {
                kind: Kind::Status,
                text: "status 503".into(),
            }),
            latency_ms: 12,
            certificate_ends: None,
        }
    }

    /// `-` is a bad probe, `+` a good one, each at the second that is given.
    fn after(probes: &[(char, i64)]) -> Record {
        let endpoint = endpoint("api", "agent-api");
        probes
            .iter()
            .fold(Record::fresh("api"), |record, (sign, second)| {
                let next = record.count(&probe(*sign == '+'), &endpoint, at(*second));
                next.unwrap_or(record)
            })
    }

    #[test]
    fn what_is_counted() {
        let min = 60;
        type Case<'a> = (&'a str, &'a [(char, i64)], u32, u32, bool);
        let cases: [Case<'_>; 12] = [
            ("nothing", &[], 0, 0, false),
            ("once", &[('-', 0)], 1, 0, false),
            (
                "three in a row",
                &[('-', 0), ('-', min), ('-', 2 * min)],
                3,
                0,
                true,
            ),
            (
                "a good one between",
                &[('-', 0), ('-', min), ('+', 2 * min), ('-', 3 * min)],
                1,
                0,
                false,
            ),
            (
                "doubled ticks",
                &[('-', 0), ('-', 1), ('-', 59), ('-', min)],
                2,
                0,
                false,
            ),
            (
                "a missed minute",
                &[('-', 0), ('-', 2 * min), ('-', 4 * min)],
                3,
                0,
                true,
            ),
            (
                "an hour missed",
                &[('-', 0), ('-', min), ('-', 62 * min)],
                1,
                0,
                false,
            ),
            (
                "one good one ends nothing",
                &[('-', 0), ('-', min), ('-', 2 * min), ('+', 3 * min)],
                0,
                1,
                true,
            ),
            (
                "two end it",
                &[
                    ('-', 0),
                    ('-', min),
                    ('-', 2 * min),
                    ('+', 3 * min),
                    ('+', 4 * min),
                ],
                0,
                2,
                false,
            ),
            (
                "it goes on after an hour",
                &[('-', 0), ('-', min), ('-', 2 * min), ('-', 62 * min)],
                4,
                0,
                true,
            ),
            (
                "a clock that goes back a little",
                &[('-', 2 * min), ('-', min), ('-', 2 * min)],
                1,
                0,
                false,
            ),
            (
                "a clock that was a day ahead",
                &[('-', 1440 * min), ('-', 0), ('-', min)],
                2,
                0,
                false,
            ),
        ];
        for (name, probes, failures, successes, failing) in cases {
            let record = after(probes);
            assert_eq!(
                (record.failures, record.successes, record.failing),
                (failures, successes, failing),
                "{name}"
            );
            assert!(
                record
                    .first_failure
                    .is_none_or(|first| first <= at(63 * min)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_failure_begins_with_its_first_bad_probe() {
        let record = after(&[('+', 0), ('-', 60), ('-', 120), ('-', 180)]);
        assert_eq!(record.first_failure, Some(at(60)));
        let record = after(&[('-', 60), ('-', 120), ('-', 180), ('+', 240), ('-', 300)]);
        assert_eq!(
            record.first_failure,
            Some(at(60)),
            "one good probe ended nothing"
        );
        let record = after(&[('-', 60), ('-', 120), ('-', 180), ('+', 240), ('+', 300)]);
        assert_eq!(
            (record.first_failure, record.well_since),
            (None, Some(at(240)))
        );
    }
}
