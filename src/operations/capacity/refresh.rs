//! Renews what is forecast, a few places at a time.

use std::fmt;

use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use futures::StreamExt as _;

use super::forecast::{WEEK, forecast};
use super::gather::{Found, Measured, OfPlace, gather};
use super::kept::{Coming, Document, Kept, Measure, Subject, read};
use super::places::{Place, PlaceKind, places};
use crate::app::App;
use crate::azure::{Azure, container_apps, cosmos};
use crate::domain::Finding;
use crate::store::{Created, Error, Etag, Stored};

/// A forecast is renewed when it is so old.
pub const RENEWED: Duration = Duration::hours(6);
/// What failed, or was begun by somebody who never came back, is tried again after so long.
const AGAIN: Duration = Duration::minutes(15);
/// The most places that one batch asks for, so that what was asked can be forecast in time.
const MOST_PLACES: usize = 10;
/// Series that are forecast at once: each takes a core for a tenth of a second.
const AT_ONCE: usize = 2;

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refreshed {
    /// Places whose forecasts are new.
    pub made: usize,
    pub failed: usize,
    /// Places that are due and were not come to.
    pub left: usize,
    pub findings: Vec<Finding>,
}

impl fmt::Display for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "forecasts of {} places renewed, {} failed, {} wait",
            self.made, self.failed, self.left
        )
    }
}

/// A place that is due, and its document.
struct Due {
    place: Place,
    stored: Option<Stored<Document>>,
}

/// Renews forecasts that are older than [`RENEWED`], the oldest first, until so much time is over; a
/// batch that was begun is finished. What cannot be renewed stays as it is, and says why.
///
/// Safe to repeat and to run twice at once: whoever begins a place says so in its document first.
///
/// Errors: the estate or the store.
pub async fn refresh(app: &App, within: std::time::Duration) -> anyhow::Result<Refreshed> {
    let (estate, started) = (app.estate()?, std::time::Instant::now());
    let (mut due, mut told) = (Vec::new(), Refreshed::default());
    for place in places(estate) {
        let stored = match read(app, &place).await {
            Err(Error::Unreadable { path, why }) => {
                // It is made anew of what Azure tells, so nothing is lost with it.
                app.store()?.delete(&path).await?;
                let message = format!("`{path}` was no forecast, and is made anew: {why}");
                let finding = Finding::new("forecast-unreadable", &place.name, message);
                told.findings.push(finding);
                None
            }
            read => read?,
        };
        if is_due(stored.as_ref().map(|stored| &stored.value), app.clock.now()) {
            due.push(Due { place, stored });
        }
    }
    due.sort_by_key(|one| one.stored.as_ref().and_then(|stored| stored.value.made));
    while !due.is_empty() {
        if started.elapsed() >= within {
            told.left = due.len();
            break;
        }
        let first = due.remove(0);
        let azure = match app.azure() {
            Ok(azure) => azure,
            Err(error) => {
                told.failed += 1;
                told.findings.push(unread(&first.place, &error.to_string()));
                continue;
            }
        };
        let location = match location(azure, &first).await {
            Ok(location) => location,
            Err(why) => {
                put_off(app, first, &why, &mut told).await?;
                continue;
            }
        };
        let mut together = vec![first];
        let mut index = 0;
        while index < due.len() && together.len() < MOST_PLACES {
            if is_beside(&due[index], &together[0].place, &location) {
                together.push(due.remove(index));
            } else {
                index += 1;
            }
        }
        batch(app, azure, estate.zone, &location, together, &mut told).await?;
    }
    Ok(told)
}

/// Whether a place is to be renewed now.
fn is_due(document: Option<&Document>, now: DateTime<Utc>) -> bool {
    let Some(document) = document else {
        return true;
    };
    let is_old = |at: Option<DateTime<Utc>>, age| at.is_none_or(|at| (now - at).abs() >= age);
    is_old(document.made, RENEWED) && is_old(document.tried, AGAIN)
}

/// Whether another place can be asked for in the same call.
fn is_beside(due: &Due, first: &Place, location: &str) -> bool {
    let same_kind = matches!(
        (&due.place.kind, &first.kind),
        (PlaceKind::Account { .. }, PlaceKind::Account { .. })
            | (PlaceKind::Apps(_), PlaceKind::Apps(_))
    );
    let known = due
        .stored
        .as_ref()
        .and_then(|s| s.value.location.as_deref());
    same_kind
        && due
            .place
            .subscription
            .eq_ignore_ascii_case(&first.subscription)
        && known == Some(location)
}

/// Where a place is, from its document or from Azure.
async fn location(azure: &Azure, due: &Due) -> Result<String, String> {
    let known = due.stored.as_ref().and_then(|s| s.value.location.clone());
    if let Some(known) = known {
        return Ok(known);
    }
    let read = match &due.place.kind {
        PlaceKind::Account { account, .. } => {
            cosmos::account(azure, account).await.map(|a| a.location)
        }
        PlaceKind::Apps(apps) => {
            let first = apps.first().ok_or("the stamp has no app")?;
            container_apps::app(azure, first).await.map(|a| a.location)
        }
    };
    read.map_err(|error| format!("where it is cannot be read: {error}"))
}

/// Notes that a place is begun; `None` if another process has it.
async fn begin(app: &App, due: &Due) -> Result<Option<(Document, Etag)>, Error> {
    let store = app.store()?;
    let mut document = due
        .stored
        .as_ref()
        .map(|s| s.value.clone())
        .unwrap_or_default();
    document.tried = Some(app.clock.now());
    let path = due.place.path();
    let etag = match &due.stored {
        Some(stored) => match store.replace(&path, &document, &stored.etag, None).await {
            Ok(etag) => etag,
            Err(Error::Conflict(_)) => return Ok(None),
            Err(error) => return Err(error),
        },
        None => match store.create(&path, &document).await? {
            Created::New(etag) => etag,
            Created::Exists => return Ok(None),
        },
    };
    Ok(Some((document, etag)))
}

/// Keeps why a place could not be renewed.
async fn put_off(app: &App, due: Due, why: &str, told: &mut Refreshed) -> Result<(), Error> {
    told.failed += 1;
    told.findings.push(unread(&due.place, why));
    if let Some((mut document, etag)) = begin(app, &due).await? {
        document.problem = Some(why.to_owned());
        keep(app, &due.place, &document, &etag).await?;
    }
    Ok(())
}

fn unread(place: &Place, why: &str) -> Finding {
    let message = format!("its load was not told, and its forecast was not renewed: {why}");
    Finding::new("capacity-no-history", &place.name, message)
}

/// Writes what was made. Somebody who wrote meanwhile wins: theirs is as new.
async fn keep(app: &App, place: &Place, document: &Document, etag: &Etag) -> Result<(), Error> {
    match app
        .store()?
        .replace(&place.path(), document, etag, None)
        .await
    {
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Asks for places together, and forecasts and keeps each.
async fn batch(
    app: &App,
    azure: &Azure,
    zone: Tz,
    location: &str,
    together: Vec<Due>,
    told: &mut Refreshed,
) -> anyhow::Result<()> {
    let mut begun = Vec::new();
    for due in together {
        if let Some((document, etag)) = begin(app, &due).await? {
            begun.push((due.place, document, etag));
        }
    }
    let asked: Vec<&Place> = begun.iter().map(|(place, _, _)| place).collect();
    let answers = gather(azure, location, &asked, app.clock.now()).await;
    for ((place, before, etag), answer) in begun.iter().zip(answers) {
        let mut document = Document {
            location: Some(location.to_owned()),
            ..before.clone()
        };
        match of_place(answer, zone).await? {
            Ok(subjects) => {
                document.subjects = subjects;
                document.made = Some(app.clock.now());
                document.problem = None;
                told.made += 1;
            }
            Err(why) => {
                told.failed += 1;
                told.findings.push(unread(place, &why));
                // It may have moved, or never have been there.
                document.location = None;
                document.problem = Some(why);
            }
        }
        keep(app, place, &document, etag).await?;
    }
    Ok(())
}

/// Forecasts all that was told of a place.
async fn of_place(answer: OfPlace, zone: Tz) -> anyhow::Result<Result<Vec<Subject>, String>> {
    let measured = match answer {
        Ok(measured) => measured,
        Err(why) => return Ok(Err(why)),
    };
    let mut subjects: Vec<Subject> = Vec::new();
    let mut work = Vec::new();
    for (subject, Measured { resource, series }) in measured.into_iter().enumerate() {
        subjects.push(Subject {
            resource,
            series: Vec::new(),
        });
        work.extend(series.into_iter().map(|found| (subject, found)));
    }
    let mut made = futures::stream::iter(work)
        .map(|(subject, found)| async move {
            let made = tokio::task::spawn_blocking(move || kept(found, zone)).await;
            (subject, made)
        })
        .buffered(AT_ONCE);
    while let Some((subject, made)) = made.next().await {
        subjects[subject]
            .series
            .push(made.context("make a forecast")?);
    }
    Ok(Ok(subjects))
}

/// One measure with its forecast, or why there is none.
fn kept(found: Found, zone: Tz) -> Kept {
    let points = found.history.as_ref().map(super::hourly::Hourly::points);
    let mut kept = Kept {
        measure: found.measure,
        history: found.history,
        coming: None,
        why_not: found.failed,
        busy: found.busy,
    };
    if kept.measure.is_forecast() && kept.why_not.is_none() {
        match forecast(&points.unwrap_or_default(), WEEK, zone) {
            Ok(forecast) => kept.coming = Coming::of(&forecast),
            Err(why) => kept.why_not = Some(why.to_string()),
        }
    }
    // A percentage of what there is ends where there is no more.
    if matches!(kept.measure, Measure::Cpu | Measure::Memory)
        && let Some(coming) = &mut kept.coming
    {
        let Coming {
            forecast,
            lower,
            upper,
            ..
        } = coming;
        for value in forecast.iter_mut().chain(lower).chain(upper) {
            *value = value.min(100.0);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_is_renewed_when_it_is_old_and_nobody_is_at_it() {
        let now: DateTime<Utc> = "2026-11-01T12:00:00Z".parse().expect("a time");
        let ago = |minutes: i64| Some(now - Duration::minutes(minutes));
        for (name, made, tried, expected) in [
            ("never made", None, None, true),
            ("just begun by somebody", None, ago(1), false),
            ("begun by somebody who was killed", None, ago(15), true),
            ("new", ago(60), ago(60), false),
            ("old", ago(360), ago(360), true),
            ("old, and failed just now", ago(400), ago(5), false),
            ("made by a clock that was ahead", ago(-600), ago(-600), true),
        ] {
            let document = Document {
                made,
                tried,
                ..Document::default()
            };
            assert_eq!(is_due(Some(&document), now), expected, "{name}");
        }
        assert!(is_due(None, now));
    }
}
