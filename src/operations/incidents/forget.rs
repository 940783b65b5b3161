//! Forgets what has been over for long. What is not over is never touched, and no chain of the
//! journal ever is: the anchors prove them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::hold::{BY_TIME, document};
use super::record::AlertRecord;
use super::state::{Incident, Status};
use super::{put_latest, storm};
use crate::app::App;
use crate::domain::{Finding, IncidentId};
use crate::estate::Retention;
use crate::notify;
use crate::store::{Created, Error};

/// So many of each kind are forgotten in one run at most.
const MOST: usize = 200;
/// So many alerts are looked at in one run: their names do not say how old they are.
const MOST_ALERTS: usize = 1000;
/// Where looking at alerts goes on in the next run.
const CURSOR: &str = "controls/forget-alerts.json";
const ALERTS: &str = "alerts/";

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    from: Option<String>,
}

/// What was forgotten.
#[derive(Debug, Default)]
pub struct Forgotten {
    pub incidents: usize,
    /// Incidents of which it is forgotten who was told.
    pub outboxes: usize,
    pub members: usize,
    pub alerts: usize,
    /// More is to be forgotten than one run does.
    pub more: bool,
    /// What is kept though it is old, and why.
    pub findings: Vec<Finding>,
}

/// Whether an incident has been over since before `before`. Pure.
fn is_over(incident: &Incident, before: DateTime<Utc>) -> bool {
    match (incident.opened, incident.resolved) {
        // Whoever made it died before its first event.
        (None, _) => true,
        (Some(_), Some(resolved)) => {
            incident.status == Status::Resolved && incident.unposted.is_empty() && resolved < before
        }
        (Some(_), None) => false,
    }
}

/// When an incident was opened, and which it is: the name is `<folder><14 digits>-<incident>`.
fn by_time(name: &str) -> Option<(DateTime<Utc>, IncidentId)> {
    let (inverse, id) = name.strip_prefix(BY_TIME)?.split_at_checked(14)?;
    let opened = 99_999_999_999_999_i64 - inverse.parse::<i64>().ok()?;
    let opened = DateTime::from_timestamp_millis(opened)?;
    Some((opened, id.strip_prefix('-')?.parse().ok()?))
}

/// The number of an incident among those of its key.
fn number(id: &IncidentId) -> u32 {
    let number = id.as_str().rsplit('-').next();
    number
        .and_then(|number| number.parse().ok())
        .expect("an id ends with a number")
}

/// Forgets what has been over for longer than `retention`, the oldest first. Safe to repeat and to
/// kill: what finds the rest goes last.
///
/// Errors: the store. What was forgotten until then stays so.
pub async fn forget(app: &App, retention: &Retention, dry_run: bool) -> Result<Forgotten, Error> {
    let (store, now) = (app.store()?, app.clock.now());
    let mut sum = Forgotten::default();
    // The newest comes first.
    let names = store.list_all(BY_TIME).await?;
    let mut opened = BTreeMap::new();
    for name in names.iter().rev() {
        let Some((at, id)) = by_time(name) else {
            continue;
        };
        opened.insert(id.clone(), at);
        if at >= now - retention.incidents {
            continue;
        }
        if sum.incidents >= MOST {
            sum.more = true;
        } else if one(app, &id, now - retention.incidents, dry_run, &mut sum).await? {
            if !dry_run {
                store.delete(name).await?;
            }
            sum.incidents += 1;
        }
    }
    outboxes(app, &opened, now - retention.outbox, dry_run, &mut sum).await?;
    alerts(app, now - retention.incidents, dry_run, &mut sum).await?;
    Ok(sum)
}

/// Whether an incident is forgotten with all that hangs on it, except for what it is found by.
async fn one(
    app: &App,
    id: &IncidentId,
    before: DateTime<Utc>,
    dry_run: bool,
    sum: &mut Forgotten,
) -> Result<bool, Error> {
    let store = app.store()?;
    // Without its document it was forgotten by somebody who was killed over the rest.
    if let Some(stored) = store.get::<Incident>(&document(id)).await? {
        if !is_over(&stored.value, before) {
            return Ok(false);
        }
        if !notify::forget(app, id, true).await? {
            sum.findings.push(waits(id));
            return Ok(false);
        }
        if dry_run {
            return Ok(true);
        }
        // Its number is not given again: its chain is there still.
        put_latest(app, &stored.value.key, number(id) + 1).await?;
        match store.delete_version(&document(id), &stored.etag).await {
            Ok(()) => {}
            // Somebody is at it this very moment.
            Err(Error::Conflict(_) | Error::NotOurs(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    if dry_run {
        return Ok(true);
    }
    notify::forget(app, id, false).await?;
    let [members, open] = storm::folders(id);
    for name in store.list_all(&members).await? {
        store.delete(&name).await?;
        sum.members += 1;
    }
    for name in store.list_all(&open).await? {
        store.delete(&name).await?;
    }
    Ok(true)
}

fn waits(id: &IncidentId) -> Finding {
    Finding::new(
        "notice-undelivered",
        id.as_str(),
        "it is over for long and still kept: a notice of it waits to be delivered",
    )
}

/// Who was told of incidents that are kept for longer than that, or that are not there any more.
async fn outboxes(
    app: &App,
    opened: &BTreeMap<IncidentId, DateTime<Utc>>,
    before: DateTime<Utc>,
    dry_run: bool,
    sum: &mut Forgotten,
) -> Result<(), Error> {
    let store = app.store()?;
    for id in notify::kept(app).await? {
        if opened.get(&id).is_some_and(|opened| *opened >= before) {
            continue;
        }
        let is_old = match store.get::<Incident>(&document(&id)).await? {
            Some(stored) => is_over(&stored.value, before),
            None => notify::last_posted(app, &id)
                .await?
                .is_some_and(|at| at < before),
        };
        if !is_old {
            continue;
        }
        if sum.outboxes >= MOST {
            sum.more = true;
            break;
        }
        if notify::forget(app, &id, dry_run).await? {
            sum.outboxes += 1;
        } else if !sum.findings.iter().any(|f| f.subject == id.as_str()) {
            sum.findings.push(waits(&id));
        }
    }
    Ok(())
}

/// Alerts whose last delivery is old, and whose incident is not there any more.
async fn alerts(
    app: &App,
    before: DateTime<Utc>,
    dry_run: bool,
    sum: &mut Forgotten,
) -> Result<(), Error> {
    let store = app.store()?;
    let cursor = store.get::<Cursor>(CURSOR).await?;
    let from = cursor.as_ref().and_then(|c| c.value.from.clone());
    let page = store.list(ALERTS, from, MOST_ALERTS).await?;
    for name in &page.names {
        let Some(stored) = store.get::<AlertRecord>(name).await? else {
            continue;
        };
        let record = &stored.value;
        let last = record
            .fired
            .iter()
            .chain(&record.resolved)
            .map(|d| d.at)
            .max();
        if last.unwrap_or(record.alert.fired) >= before {
            continue;
        }
        if let Some(id) = &record.incident
            && store.bytes(&document(id)).await?.is_some()
        {
            continue;
        }
        if !dry_run {
            match store.delete_version(name, &stored.etag).await {
                Ok(()) => {}
                Err(Error::Conflict(_) | Error::NotOurs(_)) => continue,
                Err(error) => return Err(error),
            }
        }
        sum.alerts += 1;
    }
    if dry_run {
        return Ok(());
    }
    let next = Cursor { from: page.next };
    let written = match cursor {
        Some(known) if known.value == next => Ok(()),
        Some(known) => store
            .replace(CURSOR, &next, &known.etag, None)
            .await
            .map(|_| ()),
        None => store.create(CURSOR, &next).await.map(|made| match made {
            Created::New(_) | Created::Exists => (),
        }),
    };
    match written {
        // Another run went on from there.
        Err(Error::Conflict(_)) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;
    use crate::domain::GroupKey;

    #[test]
    fn only_what_has_been_over_for_long_is_old() {
        let key = GroupKey {
            rule: "p95".into(),
            tenant: None,
            resource: None,
        };
        let start = DateTime::UNIX_EPOCH + Duration::days(20_000);
        let day = |days: i64| start + Duration::days(days);
        let blank = Incident::blank(IncidentId::new(&key, 7), key.clone());
        let with = |status, opened, resolved| Incident {
            status,
            opened,
            resolved,
            ..blank.clone()
        };
        let opened = Some(day(0));
        for (name, incident, expected) in [
            ("open for years", with(Status::Open, opened, None), false),
            (
                "acknowledged",
                with(Status::Acknowledged, opened, None),
                false,
            ),
            ("mitigated", with(Status::Mitigated, opened, None), false),
            (
                "over for long",
                with(Status::Resolved, opened, Some(day(1))),
                true,
            ),
            (
                "over lately",
                with(Status::Resolved, opened, Some(day(10))),
                false,
            ),
            (
                "opened again",
                with(Status::Open, opened, Some(day(1))),
                false,
            ),
            ("never begun", with(Status::Open, None, None), true),
        ] {
            assert_eq!(is_over(&incident, day(10)), expected, "{name}");
        }
        assert_eq!(number(&blank.id), 7);
        let millis = start.timestamp_millis();
        let name = format!(
            "{BY_TIME}{:014}-{}",
            99_999_999_999_999_i64 - millis,
            blank.id
        );
        assert_eq!(by_time(&name), Some((start, blank.id)));
        assert_eq!(by_time("incidents-by-time/x"), None);
    }
}
