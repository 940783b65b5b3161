//! Storms: when very many new incidents come at once, one incident with a list stands for the rest.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{Class, Condition, GroupKey, IncidentId, Priority, Signal, Trust};
use crate::estate::IncidentPolicy;
use crate::journal::Hash;
use crate::store::{Created, Error};

const PATH: &str = "controls/storm.json";

/// How many slices the window is counted in.
const SLICES: i32 = 5;

/// New incidents of one kind, counted in slices of the window by when each slice begins. What is
/// counted is named, so that what comes twice counts once; a slice that holds more than a storm needs
/// is not written any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Lane {
    slices: BTreeMap<i64, BTreeSet<String>>,
    /// So many come that they are told as one.
    on: bool,
}

impl Lane {
    fn count(&mut self, name: &str, policy: &IncidentPolicy, now: DateTime<Utc>) -> bool {
        let window = policy.storm_window;
        let slice = (window / SLICES).num_milliseconds().max(1);
        let at = now.timestamp_millis().div_euclid(slice) * slice;
        // Another process may have counted a moment later; of a clock that was far ahead nothing stays.
        let from = at - window.num_milliseconds();
        self.slices
            .retain(|start, _| *start > from && *start <= at + slice);
        let most = policy.storm_incidents as usize;
        let known = self.slices.values().any(|names| names.contains(name));
        if !known {
            let names = self.slices.entry(at).or_default();
            if names.len() <= most {
                names.insert(name.to_owned());
            }
        }
        let count: usize = self.slices.values().map(BTreeSet::len).sum();
        // It ends when it has become half as bad: else one more or less turns it on and off.
        self.on = count > if self.on { most / 2 } else { most };
        self.on
    }

    fn newest(&self) -> Option<i64> {
        self.slices.last_key_value().map(|(start, _)| *start)
    }
}

/// What is known of the rate of new incidents. What nothing confirms is counted apart, so that nobody
/// who forges alerts keeps a real one from being told by itself; and what is critical, which is told
/// by itself until there is a storm of that alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Storm {
    #[serde(default)]
    all: Lane,
    #[serde(default)]
    critical: Lane,
    #[serde(default)]
    unconfirmed: Lane,
    /// When the storm that is on, or was on last, began.
    #[serde(default)]
    began: Option<DateTime<Utc>>,
}

impl Storm {
    /// Counts one more incident that would begin now: when the storm that it is one of began. Pure.
    fn count(
        &mut self,
        signal: &Signal,
        policy: &IncidentPolicy,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let name = name_of(signal);
        let is_one = if matches!(signal.trust, Trust::Confirmed { .. }) {
            let all = self.all.count(&name, policy, now);
            if signal.priority == Priority::Critical {
                self.critical.count(&name, policy, now)
            } else {
                all
            }
        } else {
            self.unconfirmed.count(&name, policy, now)
        };
        if !self.all.on && !self.unconfirmed.on {
            self.began = None;
        }
        is_one.then(|| *self.began.get_or_insert(now))
    }
}

fn name_of(signal: &Signal) -> String {
    let text = format!("{}/{}", signal.key.hash(), signal.occurrence);
    Hash::of(text.as_bytes()).as_str()[..12].to_owned()
}

/// Changes what is known, however many processes do so at once.
async fn update<T>(
    app: &App,
    mut change: impl FnMut(&mut Storm, DateTime<Utc>) -> T,
) -> Result<T, Error> {
    let store = app.store()?;
    loop {
        let stored = store.get::<Storm>(PATH).await?;
        let mut storm = stored.as_ref().map(|s| s.value.clone()).unwrap_or_default();
        let result = change(&mut storm, app.clock.now());
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
            return Ok(result);
        }
    }
}

/// Whether an incident that would begin now is one of a storm: when that storm began.
pub(super) async fn gate(
    app: &App,
    signal: &Signal,
    policy: &IncidentPolicy,
) -> Result<Option<DateTime<Utc>>, Error> {
    update(app, |storm, now| storm.count(signal, policy, now)).await
}

/// A person has ended this storm: what comes is told by itself, until it is too much once more.
pub(super) async fn end(app: &App, began: DateTime<Utc>) -> Result<(), Error> {
    update(app, |storm, _| {
        if storm.began == Some(began) {
            *storm = Storm::default();
        }
    })
    .await
}

/// When nothing new has come for a whole window, if a storm is on.
async fn ends(app: &App, policy: &IncidentPolicy) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(stored) = app.store()?.get::<Storm>(PATH).await? else {
        return Ok(None);
    };
    let storm = stored.value;
    let newest = storm.all.newest().max(storm.unconfirmed.newest());
    let newest = newest.and_then(DateTime::from_timestamp_millis);
    let window = policy.storm_window + policy.storm_window / SLICES;
    Ok(newest
        .filter(|_| storm.began.is_some())
        .map(|at| at + window))
}

pub(super) fn key() -> GroupKey {
    GroupKey {
        rule: "alert-storm".into(),
        tenant: None,
        resource: None,
    }
}

/// Whether an incident is the one of a storm.
#[must_use]
pub fn is_storm(id: &IncidentId) -> bool {
    let first = IncidentId::new(&key(), 1);
    let stem = |id: &IncidentId| {
        id.as_str()
            .rsplit_once('-')
            .map(|(stem, _)| stem.to_owned())
    };
    stem(id) == stem(&first)
}

/// The signal of a storm that began then: what names it.
pub(super) fn occurrence(began: DateTime<Utc>) -> String {
    format!("storm-{}", began.timestamp_millis())
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
        occurrence: occurrence(began),
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

/// Names what has not ended, so that the rest need not be read to know.
fn open_folder(id: &IncidentId) -> String {
    format!("incident-members-open/{id}/")
}

fn open_path(id: &IncidentId, occurrence: &str) -> String {
    let name = Hash::of(occurrence.as_bytes());
    format!("{}{}.json", open_folder(id), &name.as_str()[..32])
}

/// Lists a signal under the incident of its storm. Safe to repeat.
pub(super) async fn join(app: &App, id: &IncidentId, signal: &Signal) -> Result<bool, Error> {
    let member = Member {
        signal: signal.clone(),
        at: app.clock.now(),
        cleared: None,
    };
    let store = app.store()?;
    let path = path(id, &signal.occurrence);
    if store.get::<Member>(&path).await?.is_some() {
        return Ok(false);
    }
    // First the name: what has one and is not there, or is over, is found and forgotten.
    let open = open_path(id, &signal.occurrence);
    store.create_bytes(&open, Bytes::from_static(b"{}")).await?;
    let made = store.create(&path, &member).await?;
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
            store.delete(&open_path(id, occurrence)).await?;
            return Ok(true);
        }
        let mut member = stored.value;
        member.cleared = Some(app.clock.now());
        match store.replace(&path, &member, &stored.etag, None).await {
            Ok(_) => {
                store.delete(&open_path(id, occurrence)).await?;
                return Ok(true);
            }
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
pub(super) async fn has_passed(
    app: &App,
    id: &IncidentId,
    policy: &IncidentPolicy,
) -> Result<bool, Error> {
    let (store, now) = (app.store()?, app.clock.now());
    if ends(app, policy)
        .await?
        .is_some_and(|until| now < until + policy.calm)
    {
        return Ok(false);
    }
    let mut from = None;
    loop {
        let page = store.list(&open_folder(id), from, 100).await?;
        for open in page.names {
            let name = open.rsplit('/').next().unwrap_or_default();
            let member = store
                .get::<Member>(&format!("{}{name}", folder(id)))
                .await?;
            if member.is_some_and(|stored| stored.value.cleared.is_none()) {
                return Ok(false);
            }
            store.delete(&open).await?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    fn policy(most: u32) -> IncidentPolicy {
        let mut policy = IncidentPolicy::default();
        policy.storm_incidents = most;
        policy.storm_window = Duration::minutes(5);
        policy
    }

    fn one(number: i64, priority: Priority, confirmed: bool) -> Signal {
        let mut one = signal(&policy(3), DateTime::UNIX_EPOCH, priority);
        one.key.rule = format!("rule-{number}");
        one.occurrence = number.to_string();
        if !confirmed {
            one.trust = Trust::Unconfirmed {
                why: "no answer".into(),
            };
        }
        one
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(seconds)
    }

    #[test]
    fn many_at_once_are_a_storm_and_the_same_number_over_a_day_is_none() {
        let run = |most: u32, times: &[i64]| {
            let (mut storm, policy) = (Storm::default(), policy(most));
            let each = times.iter().enumerate().map(|(number, seconds)| {
                let one = one(number as i64, Priority::High, true);
                storm.count(&one, &policy, at(*seconds)).is_some()
            });
            each.collect::<Vec<_>>()
        };
        let lasting: Vec<i64> = (0..8).chain([150, 300, 450, 600, 750]).collect();
        for (name, most, times, swallowed) in [
            ("slowly", 3, vec![0, 1000, 2000, 3000, 4000], vec![false; 5]),
            (
                "at once",
                3,
                vec![0, 0, 0, 0, 1],
                vec![false, false, false, true, true],
            ),
            (
                "one new in each half window keeps no storm on",
                6,
                lasting,
                [vec![false; 6], vec![true; 3], vec![false; 4]].concat(),
            ),
            (
                "it lasts as long as it is half as bad",
                4,
                (0..20).map(|n| n * 80).collect(),
                vec![false; 20],
            ),
            (
                "it is over after a calm window",
                3,
                vec![0, 1, 2, 3, 400],
                vec![false, false, false, true, false],
            ),
            (
                "a clock that was set back by hours begins anew",
                3,
                vec![9000, 9001, 9002, 10, 11, 12, 13],
                vec![false, false, false, false, false, false, true],
            ),
        ] {
            assert_eq!(run(most, &times), swallowed, "{name}");
        }
    }

    #[test]
    fn what_comes_twice_is_counted_once() {
        let (mut storm, policy) = (Storm::default(), policy(3));
        for _ in 0..50 {
            let one = one(1, Priority::High, true);
            assert_eq!(storm.count(&one, &policy, at(0)), None);
        }
    }

    #[test]
    fn what_is_critical_or_not_confirmed_is_counted_apart() {
        let (mut storm, policy) = (Storm::default(), policy(3));
        let mut swallowed = |priority, confirmed, from: i64, seconds| {
            let each = (from..from + 5).filter(|number| {
                let one = one(*number, priority, confirmed);
                storm.count(&one, &policy, at(seconds)).is_some()
            });
            each.count()
        };
        assert_eq!(swallowed(Priority::High, false, 0, 0), 2, "forged ones");
        assert_eq!(swallowed(Priority::High, true, 10, 1), 2, "real ones");
        assert_eq!(swallowed(Priority::Critical, true, 20, 2), 2, "critical");
        assert_eq!(swallowed(Priority::Medium, true, 30, 3), 5, "in the storm");
    }

    #[test]
    fn a_storm_is_written_down_in_little_room_and_rarely() {
        let (mut storm, policy) = (Storm::default(), policy(20));
        let mut written = 0;
        for number in 0..5000 {
            let before = storm.clone();
            storm.count(&one(number, Priority::High, true), &policy, at(number / 20));
            written += usize::from(storm != before);
        }
        assert!(written <= 21 * 6, "{written}");
        let size = serde_json::to_vec(&storm).expect("JSON").len();
        assert!(size < 4096, "{size}");
    }

    #[test]
    fn the_incident_of_a_storm_is_known_by_its_id() {
        assert!(is_storm(&IncidentId::new(&key(), 7)));
        let other = one(1, Priority::High, true).key;
        assert!(!is_storm(&IncidentId::new(&other, 7)));
    }
}
