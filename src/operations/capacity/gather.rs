//! Asks Azure Monitor for the history of accounts and apps: three calls for up to 50 of a
//! subscription and region together. Which containers share what a database has is asked besides.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use futures::StreamExt as _;

use super::hourly::{Busy, Hourly};
use super::kept::Measure;
use super::places::{Place, PlaceKind};
use crate::azure::metrics::{Aggregation, Answered, Interval, Metric, Query, batch, each};
use crate::azure::{Azure, Error, cosmos};
use crate::domain::ResourceId;
use crate::estate::Kind;

/// So much history is asked for; telemetry is kept as long.
const DAYS: i64 = 30;
/// The most series of one metric of an account: its containers times its regions.
const MOST_SERIES: u32 = 2000;
/// Reads of containers at once.
const AT_ONCE: usize = 8;

/// Values in order of time.
type Points = BTreeMap<DateTime<Utc>, f64>;

/// What was measured of a container, a database or an app.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) resource: ResourceId,
    pub(super) series: Vec<Found>,
}

/// One measure of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) measure: Measure,
    pub(super) history: Option<Hourly>,
    pub(super) busy: Busy,
    /// Why Azure did not tell it.
    pub(super) failed: Option<String>,
}

/// All of a place, or why nothing was told of it.
pub(super) type OfPlace = Result<Vec<Measured>, String>;

/// The hours, and the minutes of the last day, that are asked for.
#[derive(Debug, Clone, Copy)]
struct Spans {
    from: DateTime<Utc>,
    minutes_from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Spans {
    fn before(now: DateTime<Utc>) -> Self {
        let until = now.duration_trunc(Duration::hours(1)).unwrap_or(now);
        Self {
            from: until - Duration::days(DAYS),
            minutes_from: until - Duration::days(1),
            until,
        }
    }

    fn hours<'a>(
        self,
        metrics: &'a [&'a str],
        aggregation: Aggregation,
        filter: Option<String>,
    ) -> Query<'a> {
        Query {
            metrics,
            aggregation,
            interval: Interval::Hour,
            from: self.from,
            until: self.until,
            filter,
            top: MOST_SERIES,
        }
    }

    fn minutes<'a>(self, metrics: &'a [&'a str], filter: Option<String>) -> Query<'a> {
        Query {
            interval: Interval::Minute,
            from: self.minutes_from,
            ..self.hours(metrics, Aggregation::Total, filter)
        }
    }
}

/// Asks for the history of places of one kind, which lie in one subscription and region. Each has an
/// answer, in the order given.
pub(super) async fn gather(
    azure: &Azure,
    region: &str,
    places: &[&Place],
    now: DateTime<Utc>,
) -> Vec<OfPlace> {
    let Some(first) = places.first() else {
        return Vec::new();
    };
    let of = places.iter().flat_map(|place| place.resources());
    let resources: Vec<ResourceId> = of.cloned().collect();
    let spans = Spans::before(now);
    let subscription = first.subscription.as_str();
    match &first.kind {
        PlaceKind::Account { .. } => {
            let kind = Kind::CosmosAccount.azure();
            // Throughput is provisioned in each region, and the busiest one needs the most.
            let by = || Some(each(&["DatabaseName", "CollectionName", "Region"]));
            let (units, requests, minutes) = (
                spans.hours(&["TotalRequestUnits"], Aggregation::Total, by()),
                spans.hours(&["TotalRequests"], Aggregation::Count, by()),
                spans.minutes(&["TotalRequestUnits"], by()),
            );
            let (units, requests, minutes) = tokio::join!(
                batch(azure, region, subscription, kind, &resources, &units),
                batch(azure, region, subscription, kind, &resources, &requests),
                batch(azure, region, subscription, kind, &resources, &minutes),
            );
            let mut all = Vec::new();
            for place in places {
                all.push(match Told::of(place, &units, &requests, &minutes) {
                    Ok(told) => Ok(of_account(azure, place, &told, now).await),
                    Err(why) => Err(why),
                });
            }
            all
        }
        PlaceKind::Apps(_) => {
            let kind = Kind::ContainerApp.azure();
            let (requests, full, minutes) = (
                spans.hours(&["Requests"], Aggregation::Total, None),
                spans.hours(
                    &["CpuPercentage", "MemoryPercentage", "Replicas"],
                    Aggregation::Average,
                    None,
                ),
                spans.minutes(&["Requests"], None),
            );
            let (requests, full, minutes) = tokio::join!(
                batch(azure, region, subscription, kind, &resources, &requests),
                batch(azure, region, subscription, kind, &resources, &full),
                batch(azure, region, subscription, kind, &resources, &minutes),
            );
            let each = places.iter().map(|place| {
                let mut found = Vec::new();
                for app in place.resources() {
                    let requests = of_one(&requests, app)?;
                    let full = of_one(&full, app)?;
                    let minutes = of_one(&minutes, app)?;
                    found.push(of_app(app, requests, full, minutes, now));
                }
                Ok(found)
            });
            each.collect()
        }
    }
}

/// What was told of a resource.
fn of_one<'a>(answers: &'a [Answered], resource: &ResourceId) -> Result<&'a [Metric], String> {
    match answers.iter().find(|(id, _)| id == resource) {
        Some((_, Ok(metrics))) => Ok(metrics),
        Some((_, Err(error))) => Err(error.to_string()),
        None => Err(format!("nothing was told of {}", resource.short())),
    }
}

/// What is added up.
#[derive(Debug, Clone, Copy)]
enum Wanted<'a> {
    Container {
        database: &'a str,
        container: &'a str,
    },
    /// The containers of a database that live on what it shares.
    Sharing {
        database: &'a str,
        containers: &'a [String],
    },
}

/// What was told of an account.
struct Told<'a> {
    units: &'a [Metric],
    requests: &'a [Metric],
    minutes: &'a [Metric],
}

/// All containers of an account that the estate names, and what databases share.
async fn of_account(
    azure: &Azure,
    place: &Place,
    told: &Told<'_>,
    now: DateTime<Utc>,
) -> Vec<Measured> {
    let PlaceKind::Account {
        account,
        containers,
    } = &place.kind
    else {
        return Vec::new();
    };
    let mut all: Vec<Measured> = containers
        .iter()
        .map(|one| {
            let wanted = Wanted::Container {
                database: &one.database,
                container: &one.container,
            };
            told.about(one.id(account), wanted, now)
        })
        .collect();
    let mut databases: Vec<&str> = containers.iter().map(|c| c.database.as_str()).collect();
    databases.sort_unstable();
    databases.dedup();
    for database in databases {
        let id = account.child("sqlDatabases", database);
        match sharing(azure, &id).await {
            Ok(None) => {}
            Ok(Some(containers)) if containers.is_empty() => {
                let why = "no container of the database lives on what it shares";
                all.push(unknown(id, why.into()));
            }
            Ok(Some(containers)) => {
                let containers = &containers;
                let wanted = Wanted::Sharing {
                    database,
                    containers,
                };
                all.push(told.about(id, wanted, now));
            }
            Err(error) => {
                let why = format!("which containers share it cannot be read: {error}");
                all.push(unknown(id, why));
            }
        }
    }
    all
}

fn unknown(resource: ResourceId, why: String) -> Measured {
    Measured {
        resource,
        series: vec![Found {
            measure: Measure::Units,
            history: None,
            busy: Busy::default(),
            failed: Some(why),
        }],
    }
}

/// The containers that live on what a database shares; `None` if it shares nothing.
async fn sharing(azure: &Azure, database: &ResourceId) -> Result<Option<Vec<String>>, Error> {
    if cosmos::throughput(azure, database).await?.is_none() {
        return Ok(None);
    }
    let names = cosmos::containers(azure, database).await?;
    let ids: Vec<ResourceId> = names
        .iter()
        .map(|n| database.child("containers", n))
        .collect();
    let reads: Vec<_> = ids.iter().map(|id| cosmos::throughput(azure, id)).collect();
    let own: Vec<_> = futures::stream::iter(reads)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut sharing = Vec::new();
    for (name, own) in names.into_iter().zip(own) {
        if own?.is_none() {
            sharing.push(name);
        }
    }
    Ok(Some(sharing))
}

impl<'a> Told<'a> {
    fn of(
        place: &Place,
        units: &'a [Answered],
        requests: &'a [Answered],
        minutes: &'a [Answered],
    ) -> Result<Self, String> {
        let PlaceKind::Account { account, .. } = &place.kind else {
            return Err("it is no account".into());
        };
        Ok(Self {
            units: of_one(units, account)?,
            requests: of_one(requests, account)?,
            minutes: of_one(minutes, account)?,
        })
    }

    fn about(&self, resource: ResourceId, wanted: Wanted<'_>, now: DateTime<Utc>) -> Measured {
        let (units, failed) = summed(self.units, wanted, true);
        let (minutes, _) = summed(self.minutes, wanted, true);
        let (requests, no_requests) = summed(self.requests, wanted, false);
        // RU a minute: a factor has no unit.
        let minutes: Vec<_> = minutes.into_iter().collect();
        Measured {
            resource,
            series: vec![
                Found {
                    measure: Measure::Units,
                    history: hourly(&units, 3600.0, now),
                    busy: Busy::learn(&minutes),
                    failed,
                },
                Found {
                    measure: Measure::Requests,
                    history: hourly(&requests, 60.0, now),
                    busy: Busy::default(),
                    failed: no_requests,
                },
            ],
        }
    }
}

/// The totals of a container, or of all that share what a database has, and why there are none. Of
/// several regions the busiest of each moment, or all together.
fn summed(metrics: &[Metric], wanted: Wanted<'_>, busiest: bool) -> (Points, Option<String>) {
    let Some(metric) = metrics.first() else {
        return (Points::new(), Some("Azure did not tell it".into()));
    };
    if let Some(why) = &metric.failed {
        return (Points::new(), Some(why.clone()));
    }
    let mut regions: BTreeMap<&str, Points> = BTreeMap::new();
    let mut cut = metric.cut;
    for series in &metric.series {
        let told = |name: &str| series.dimension(name).unwrap_or_default();
        let (of, one) = (told("DatabaseName"), told("CollectionName"));
        let fits = match wanted {
            Wanted::Container {
                database,
                container,
            } => of.eq_ignore_ascii_case(database) && one.eq_ignore_ascii_case(container),
            Wanted::Sharing {
                database,
                containers,
            } => {
                of.eq_ignore_ascii_case(database)
                    && containers.iter().any(|name| name.eq_ignore_ascii_case(one))
            }
        };
        if !fits {
            continue;
        }
        // What was told of one container is whole, whatever was left out besides.
        cut &= matches!(wanted, Wanted::Sharing { .. });
        let points = regions.entry(told("Region")).or_default();
        for point in &series.points {
            if let Some(value) = point.value {
                *points.entry(point.at).or_default() += value;
            }
        }
    }
    let mut all = Points::new();
    for (at, value) in regions.into_values().flatten() {
        let there = all.entry(at).or_insert(0.0);
        *there = if busiest {
            there.max(value)
        } else {
            *there + value
        };
    }
    let why = format!("there are more than {MOST_SERIES} series, and Azure left some out");
    (all, cut.then_some(why))
}

fn hourly(points: &Points, per: f64, now: DateTime<Utc>) -> Option<Hourly> {
    let rates: Vec<_> = points
        .iter()
        .map(|(at, value)| (*at, value / per))
        .collect();
    Hourly::new(&rates, now)
}

fn of_app(
    app: &ResourceId,
    requests: &[Metric],
    full: &[Metric],
    minutes: &[Metric],
    now: DateTime<Utc>,
) -> Measured {
    let points = |metrics: &[Metric], name: &str| -> (Points, Option<String>) {
        let Some(metric) = metrics.iter().find(|metric| metric.name == name) else {
            return (Points::new(), Some("Azure did not tell it".into()));
        };
        let each = metric.series.iter().flat_map(|series| &series.points);
        let told = each.filter_map(|point| Some((point.at, point.value?)));
        (told.collect(), metric.failed.clone())
    };
    let (busy, _) = points(minutes, "Requests");
    let busy: Vec<_> = busy.into_iter().collect();
    let wanted = [
        (Measure::Requests, requests, "Requests", 60.0),
        (Measure::Cpu, full, "CpuPercentage", 1.0),
        (Measure::Memory, full, "MemoryPercentage", 1.0),
        (Measure::Replicas, full, "Replicas", 1.0),
    ];
    let series = wanted.map(|(measure, metrics, name, per)| {
        let (told, failed) = points(metrics, name);
        Found {
            measure,
            history: hourly(&told, per, now),
            busy: if measure == Measure::Requests {
                Busy::learn(&busy)
            } else {
                Busy::default()
            },
            failed,
        }
    });
    Measured {
        resource: app.clone(),
        series: series.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::metrics::{Point, Series};

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::hours(hour)
    }

    fn series(dimensions: &[(&str, &str)], values: &[Option<f64>]) -> Series {
        let points = values.iter().enumerate().map(|(hour, value)| Point {
            at: at(hour as i64),
            value: *value,
        });
        Series {
            dimensions: dimensions
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
                .collect(),
            points: points.collect(),
        }
    }

    fn metric(series: Vec<Series>, cut: bool) -> Metric {
        Metric {
            name: "TotalRequestUnits".into(),
            series,
            failed: None,
            cut,
        }
    }

    #[test]
    fn a_container_is_its_busiest_region_and_a_database_all_of_its_containers() {
        let of = |collection: &'static str, region: &'static str, values: &[Option<f64>]| {
            let dimensions = [
                ("DatabaseName", "Agents"),
                ("CollectionName", collection),
                ("Region", region),
            ];
            series(&dimensions, values)
        };
        let told = metric(
            vec![
                of("threads", "Japan East", &[Some(10.0), None, Some(30.0)]),
                of("threads", "Japan West", &[Some(20.0), None, Some(5.0)]),
                of("runs", "Japan East", &[Some(1.0), Some(1.0), Some(1.0)]),
            ],
            false,
        );
        let told = [told];
        let sharing = ["Threads".to_owned(), "runs".to_owned()];
        let one = |container| Wanted::Container {
            database: "agents",
            container,
        };
        let both = Wanted::Sharing {
            database: "agents",
            containers: &sharing,
        };
        let threads = Wanted::Sharing {
            database: "agents",
            containers: &sharing[..1],
        };
        for (name, wanted, busiest, expected) in [
            (
                "the busiest region",
                one("THREADS"),
                true,
                vec![(0, 20.0), (2, 30.0)],
            ),
            (
                "all requests",
                one("threads"),
                false,
                vec![(0, 30.0), (2, 35.0)],
            ),
            // By region first: the regions of a database are provisioned alike.
            (
                "a database",
                both,
                true,
                vec![(0, 20.0), (1, 1.0), (2, 31.0)],
            ),
            (
                "without what has its own",
                threads,
                true,
                vec![(0, 20.0), (2, 30.0)],
            ),
            ("one that has none", one("files"), true, vec![]),
        ] {
            let (points, failed) = summed(&told, wanted, busiest);
            let expected: Points = expected.into_iter().map(|(h, v)| (at(h), v)).collect();
            assert_eq!((points, failed), (expected, None), "{name}");
        }
    }

    #[test]
    fn what_azure_left_out_or_refused_is_told_and_not_taken_for_none() {
        let dimensions = [("DatabaseName", "agents"), ("CollectionName", "runs")];
        let cut = [metric(vec![series(&dimensions, &[Some(1.0)])], true)];
        let one = |container| Wanted::Container {
            database: "agents",
            container,
        };
        let all = ["runs".to_owned()];
        let sharing = Wanted::Sharing {
            database: "agents",
            containers: &all,
        };
        let why = |wanted| summed(&cut, wanted, true).1;
        assert_eq!(why(one("runs")), None, "this one was told");
        assert!(
            why(one("files")).is_some(),
            "this one may have been left out"
        );
        assert!(why(sharing).is_some(), "so may one of the database's");
        let refused = Metric {
            failed: Some("no".into()),
            ..metric(Vec::new(), false)
        };
        let (points, failed) = summed(&[refused], one("runs"), true);
        assert_eq!((points.len(), failed.as_deref()), (0, Some("no")));
    }

    #[test]
    fn totals_of_an_hour_are_told_as_rates() {
        let now = at(4);
        let told = metric(
            vec![series(&[], &[Some(7200.0), None, Some(3600.0)])],
            false,
        );
        let requests = Metric {
            name: "Requests".into(),
            ..told
        };
        let found = of_app(
            &ResourceId::from_text("/x"),
            std::slice::from_ref(&requests),
            &[],
            &[],
            now,
        );
        let history = found.series[0].history.as_ref().expect("values");
        assert_eq!(history.values, [Some(120.0), None, Some(60.0)]);
        assert_eq!(found.series[1].history, None);
        assert!(found.series[1].failed.is_some(), "Azure told no CPU");
    }
}
