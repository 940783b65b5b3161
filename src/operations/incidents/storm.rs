//! Storms: when very many new incidents come at once, one incident with a list stands for the rest.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{Class, Condition, GroupKey, IncidentId, Priority, Signal, Trust};
use crate::estate::IncidentPolicy;
use crate::journal::Hash;
use crate::store::{Created, Error};

const PATH: &str = "controls/storm.json";

/// What is known of the rate of new incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Storm {
    /// When the newest incidents began.
    recent: Vec<DateTime<Utc>>,
    /// When the storm that is on, or was on last, began.
    began: Option<DateTime<Utc>>,
    /// It is over when nothing new came until then.
    until: Option<DateTime<Utc>>,
}

impl Storm {
    /// Counts one more incident that would begin now, of something that was not counted yet. Pure.
    fn count(&mut self, policy: &IncidentPolicy, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if let (Some(began), Some(until)) = (self.began, self.until)
            && now < until
        {
            // Not written for each: half of the window is exact enough.
            if until - now < policy.storm_window / 2 {
                self.until = Some(now + policy.storm_window);
            }
            return Some(began);
        }
        self.recent
            .retain(|at| now - *at < policy.storm_window && *at <= now);
        if self.recent.len() < policy.storm_incidents as usize {
            self.recent.push(now);
            return None;
        }
        self.began = Some(now);
        self.until = Some(now + policy.storm_window);
        self.recent.clear();
        Some(now)
    }
}

/// Whether an incident that would begin now is one of a storm: when that storm began.
pub(super) async fn gate(
    app: &App,
    policy: &IncidentPolicy,
) -> Result<Option<DateTime<Utc>>, Error> {
    let (store, now) = (app.store()?, app.clock.now());
    loop {
        let stored = store.get::<Storm>(PATH).await?;
        let mut storm = stored.as_ref().map(|s| s.value.clone()).unwrap_or_default();
        let began = storm.count(policy, now);
        let done = match &stored {
            Some(stored) if stored.value == storm => true,
            Some(stored) => match store.replace(PATH, &storm, &stored.etag, None).await {
                Ok(_) => true,
                Err(Error::Conflict(_)) => false,
                Err(error) => return Err(error),
            },
            None => matches!(store.create(PATH, &storm).await?, Created::New(_)),
        };
        if done {
            return Ok(began);
        }
    }
}

/// When a storm is over, if one is known.
pub(super) async fn ends(app: &App) -> Result<Option<DateTime<Utc>>, Error> {
    let stored = app.store()?.get::<Storm>(PATH).await?;
    Ok(stored.and_then(|s| s.value.until))
}

pub(super) fn key() -> GroupKey {
    GroupKey {
        rule: "alert-storm".into(),
        tenant: None,
        resource: None,
    }
}

/// The signal that stands for all that a storm swallows.
pub(super) fn signal(policy: &IncidentPolicy, began: DateTime<Utc>, priority: Priority) -> Signal {
    let minutes = policy.storm_window.num_minutes();
    Signal {
        key: key(),
        condition: Condition::Fired,
        priority,
        class: Class::Operations,
        title: "A storm of alerts".into(),
        text: format!(
            "More than {} new incidents came within {minutes} minutes. Those that come after them are listed in this one instead of being told one by one.",
            policy.storm_incidents
        ),
        facts: Vec::new(),
        at: began,
        occurrence: format!("storm-{}", began.timestamp_millis()),
        trust: Trust::Confirmed {
            how: "counted here".into(),
        },
    }
}

/// One signal that a storm swallowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub signal: Signal,
    pub at: DateTime<Utc>,
    pub cleared: Option<DateTime<Utc>>,
}

pub(super) fn folder(id: &IncidentId) -> String {
    format!("incident-members/{id}/")
}

fn path(id: &IncidentId, occurrence: &str) -> String {
    let name = Hash::of(occurrence.as_bytes());
    format!("{}{}.json", folder(id), &name.as_str()[..32])
}

/// Lists a signal under the incident of its storm. Safe to repeat.
pub(super) async fn join(app: &App, id: &IncidentId, signal: &Signal) -> Result<bool, Error> {
    let member = Member {
        signal: signal.clone(),
        at: app.clock.now(),
        cleared: None,
    };
    let made = app
        .store()?
        .create(&path(id, &signal.occurrence), &member)
        .await?;
    Ok(matches!(made, Created::New(_)))
}

/// Whether a storm swallowed this.
pub(super) async fn holds(app: &App, id: &IncidentId, occurrence: &str) -> Result<bool, Error> {
    let found = app.store()?.get::<Member>(&path(id, occurrence)).await?;
    Ok(found.is_some())
}

/// Notes that what a storm swallowed has ended; false if this storm did not swallow it.
pub(super) async fn clear(app: &App, id: &IncidentId, occurrence: &str) -> Result<bool, Error> {
    let (store, path) = (app.store()?, path(id, occurrence));
    loop {
        let Some(stored) = store.get::<Member>(&path).await? else {
            return Ok(false);
        };
        if stored.value.cleared.is_some() {
            return Ok(true);
        }
        let mut member = stored.value;
        member.cleared = Some(app.clock.now());
        match store.replace(&path, &member, &stored.etag, None).await {
            Ok(_) => return Ok(true),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a storm swallowed, by name, at most `most` of it, and how much there is in all.
pub(super) async fn members(
    app: &App,
    id: &IncidentId,
    most: usize,
) -> Result<(Vec<Member>, usize), Error> {
    use futures::{StreamExt as _, TryStreamExt as _, stream};
    let store = app.store()?;
    let names = store.list_all(&folder(id)).await?;
    let count = names.len();
    let some: Vec<String> = names.into_iter().take(most).collect();
    let members = stream::iter(some)
        .map(|name| async move { store.get::<Member>(&name).await })
        .buffered(16)
        .try_collect::<Vec<_>>()
        .await?;
    let mut members: Vec<_> = members.into_iter().flatten().map(|s| s.value).collect();
    members.sort_by(|a, b| {
        a.at.cmp(&b.at)
            .then_with(|| a.signal.occurrence.cmp(&b.signal.occurrence))
    });
    Ok((members, count))
}

/// Whether a storm has passed: nothing new came, and all that it swallowed has ended.
pub(super) async fn has_passed(app: &App, id: &IncidentId, calm: Duration) -> Result<bool, Error> {
    let now = app.clock.now();
    if ends(app).await?.is_some_and(|until| now < until + calm) {
        return Ok(false);
    }
    let (members, _) = members(app, id, usize::MAX).await?;
    Ok(members.iter().all(|member| member.cleared.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_are_a_storm_and_the_same_number_over_a_day_is_none() {
        let mut policy = IncidentPolicy::default();
        policy.storm_incidents = 3;
        policy.storm_window = Duration::minutes(5);
        let at = |seconds: i64| DateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let run = |times: &[i64]| {
            let mut storm = Storm::default();
            let each = times.iter().map(|s| storm.count(&policy, at(*s)).is_some());
            each.collect::<Vec<_>>()
        };
        for (name, times, swallowed) in [
            ("slowly", vec![0, 1000, 2000, 3000, 4000], vec![false; 5]),
            (
                "at once",
                vec![0, 0, 0, 0, 1],
                vec![false, false, false, true, true],
            ),
            (
                "it lasts as long as it goes on",
                vec![0, 1, 2, 3, 200, 400, 600],
                vec![false, false, false, true, true, true, true],
            ),
            (
                "it is over after a calm window",
                vec![0, 1, 2, 3, 400],
                vec![false, false, false, true, false],
            ),
            (
                "a clock that was set back counts nothing twice",
                vec![100, 101, 50, 51, 52],
                vec![false; 5],
            ),
        ] {
            assert_eq!(run(&times), swallowed, "{name}");
        }
    }
}
