//! How fast new incidents come. Pure but for the document that the count is kept in.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Kind, hash_of};
use crate::app::App;
use crate::domain::{Priority, Signal};
use crate::estate::IncidentPolicy;
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
    /// Counts this name, if any, and forgets what is older than the window.
    fn count(&mut self, name: Option<&str>, policy: &IncidentPolicy, now: DateTime<Utc>) -> bool {
        let window = policy.storm_window;
        let slice = slice_of(policy);
        let at = now.timestamp_millis().div_euclid(slice) * slice;
        // Another process may have counted a moment later; of a clock that was far ahead nothing stays.
        let from = at - window.num_milliseconds();
        self.slices
            .retain(|start, _| *start > from && *start <= at + slice);
        let most = policy.storm_incidents as usize;
        if let Some(name) = name
            && !self.slices.values().any(|names| names.contains(name))
        {
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

    /// When the newest slice began, unless a clock says so that was far ahead.
    fn newest(&self, policy: &IncidentPolicy, now: DateTime<Utc>) -> Option<i64> {
        let latest = now.timestamp_millis() + slice_of(policy);
        self.slices
            .range(..=latest)
            .next_back()
            .map(|(start, _)| *start)
    }
}

/// Milliseconds of one slice.
fn slice_of(policy: &IncidentPolicy) -> i64 {
    (policy.storm_window / SLICES).num_milliseconds().max(1)
}

/// What is known of the rate of new incidents. What nothing confirms is counted apart and makes a
/// storm of its own, so that nobody who forges alerts keeps a real one from being told by itself, or
/// hides a storm that is real in one that is not. What is critical is told by itself until there is a
/// storm of that alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Rates {
    all: Lane,
    critical: Lane,
    /// When the storm that is on, or was on last, began.
    began: Option<DateTime<Utc>>,
    unconfirmed: Lane,
    unconfirmed_began: Option<DateTime<Utc>>,
    /// When those who have the storm were last told that what comes is critical.
    announced: Option<DateTime<Utc>>,
}

impl Rates {
    /// Counts one more incident that would begin now: when the storm that it is one of began. Pure.
    fn count(
        &mut self,
        signal: &Signal,
        policy: &IncidentPolicy,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let hash = hash_of(signal);
        let name = Some(&hash.as_str()[..12]);
        let (is_on, is_one, began) = match Kind::of(signal) {
            Kind::Confirmed => {
                let is_critical = signal.priority == Priority::Critical;
                let all = self.all.count(name, policy, now);
                let named = name.filter(|_| is_critical);
                let critical = self.critical.count(named, policy, now);
                let is_one = if is_critical { critical } else { all };
                (all || critical, is_one, &mut self.began)
            }
            Kind::Unconfirmed => {
                let on = self.unconfirmed.count(name, policy, now);
                (on, on, &mut self.unconfirmed_began)
            }
        };
        if !is_on {
            *began = None;
        }
        is_one.then(|| *began.get_or_insert(now))
    }

    fn began(&self, kind: Kind) -> Option<DateTime<Utc>> {
        match kind {
            Kind::Confirmed => self.began,
            Kind::Unconfirmed => self.unconfirmed_began,
        }
    }

    fn end(&mut self, kind: Kind) {
        match kind {
            Kind::Confirmed => {
                *self = Self {
                    unconfirmed: std::mem::take(&mut self.unconfirmed),
                    unconfirmed_began: self.unconfirmed_began,
                    ..Self::default()
                };
            }
            Kind::Unconfirmed => {
                self.unconfirmed = Lane::default();
                self.unconfirmed_began = None;
            }
        }
    }

    /// When nothing new has come for a whole window, if a storm is on.
    fn ends(
        &self,
        kind: Kind,
        policy: &IncidentPolicy,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        self.began(kind)?;
        let lane = match kind {
            Kind::Confirmed => &self.all,
            Kind::Unconfirmed => &self.unconfirmed,
        };
        let newest = DateTime::from_timestamp_millis(lane.newest(policy, now)?)?;
        Some(newest + policy.storm_window + policy.storm_window / SLICES)
    }
}

/// Changes what is known, however many processes do so at once.
async fn update<T>(
    app: &App,
    mut change: impl FnMut(&mut Rates, DateTime<Utc>) -> T,
) -> Result<T, Error> {
    let store = app.store()?;
    loop {
        let stored = store.get::<Rates>(PATH).await?;
        let mut rates = stored.as_ref().map(|s| s.value.clone()).unwrap_or_default();
        let result = change(&mut rates, app.clock.now());
        let done = match &stored {
            Some(stored) if stored.value == rates => true,
            Some(stored) => match store.replace(PATH, &rates, &stored.etag, None).await {
                Ok(_) => true,
                Err(Error::Conflict(_)) => false,
                Err(error) => return Err(error),
            },
            None => matches!(store.create(PATH, &rates).await?, Created::New(_)),
        };
        if done {
            return Ok(result);
        }
    }
}

/// The storm that an incident is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) kind: Kind,
    pub(crate) began: DateTime<Utc>,
    /// When those who have it were last told that what comes is critical.
    pub(crate) announced: Option<DateTime<Utc>>,
}

/// Whether an incident that would begin now is one of a storm. Safe to repeat: it is counted once.
pub(crate) async fn gate(
    app: &App,
    signal: &Signal,
    policy: &IncidentPolicy,
) -> Result<Option<Gate>, Error> {
    let kind = Kind::of(signal);
    update(app, |rates, now| {
        let began = rates.count(signal, policy, now)?;
        let announced = rates.announced;
        Some(Gate {
            kind,
            began,
            announced,
        })
    })
    .await
}

/// This storm is over: what comes is told by itself, until it is too much once more.
pub(crate) async fn end(app: &App, gate: Gate) -> Result<(), Error> {
    update(app, |rates, _| {
        if rates.began(gate.kind) == Some(gate.began) {
            rates.end(gate.kind);
        }
    })
    .await
}

/// Those who have the storm were told that what comes is critical.
pub(crate) async fn announced(app: &App) -> Result<(), Error> {
    update(app, |rates, now| rates.announced = Some(now)).await
}

/// When nothing new has come for a whole window, if a storm is on.
pub(super) async fn ends(
    app: &App,
    kind: Kind,
    policy: &IncidentPolicy,
) -> Result<Option<DateTime<Utc>>, Error> {
    let stored = app.store()?.get::<Rates>(PATH).await?;
    Ok(stored.and_then(|stored| stored.value.ends(kind, policy, app.clock.now())))
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;
    use crate::domain::Trust;
    use crate::operations::incidents::storm::signal;

    fn policy(most: u32) -> IncidentPolicy {
        let mut policy = IncidentPolicy::default();
        policy.storm_incidents = most;
        policy.storm_window = Duration::minutes(5);
        policy
    }

    fn one(number: i64, priority: Priority, confirmed: bool) -> Signal {
        let mut one = signal(&policy(3), Kind::Confirmed, DateTime::UNIX_EPOCH, priority);
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
            let (mut storm, policy) = (Rates::default(), policy(most));
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
        let (mut storm, policy) = (Rates::default(), policy(3));
        for _ in 0..50 {
            let one = one(1, Priority::High, true);
            assert_eq!(storm.count(&one, &policy, at(0)), None);
        }
    }

    #[test]
    fn what_is_critical_or_not_confirmed_is_counted_apart() {
        let (mut storm, policy) = (Rates::default(), policy(3));
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
        let (mut storm, policy) = (Rates::default(), policy(20));
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
    fn a_storm_of_what_nothing_confirms_leaves_nothing_to_one_that_is_real() {
        let (mut rates, policy) = (Rates::default(), policy(3));
        let mut began = |from: i64, confirmed, seconds| {
            let each = (from..from + 5).map(|number| {
                let one = one(number, Priority::High, confirmed);
                rates.count(&one, &policy, at(seconds))
            });
            each.last().expect("five")
        };
        assert_eq!(began(0, false, 0), Some(at(0)), "forged");
        assert_eq!(began(10, true, 86_400), Some(at(86_400)), "a day later");
        assert_eq!(began(20, false, 86_401), Some(at(86_401)), "forged again");
        assert_eq!(began(30, true, 86_402), Some(at(86_400)), "still on");
        rates.end(Kind::Unconfirmed);
        assert_eq!(rates.began(Kind::Confirmed), Some(at(86_400)));
        rates.end(Kind::Confirmed);
        assert_eq!(rates, Rates::default());
    }

    #[test]
    fn what_was_counted_and_becomes_critical_begins_no_storm_anew() {
        let (mut rates, policy) = (Rates::default(), policy(3));
        for number in 0..4 {
            rates.count(&one(number, Priority::High, true), &policy, at(0));
        }
        let mut all = BTreeSet::new();
        for number in 0..4 {
            let one = one(number, Priority::Critical, true);
            all.extend(rates.count(&one, &policy, at(200)));
        }
        // Of all there are too few now; the critical ones go on.
        let high = one(10, Priority::High, true);
        assert_eq!(rates.count(&high, &policy, at(310)), None);
        let critical = one(20, Priority::Critical, true);
        all.extend(rates.count(&critical, &policy, at(310)));
        assert_eq!(all, BTreeSet::from([at(0)]));
    }

    #[test]
    fn a_storm_ends_a_window_after_the_newest_whatever_a_clock_said_that_was_ahead() {
        let (mut rates, policy) = (Rates::default(), policy(3));
        assert_eq!(rates.ends(Kind::Confirmed, &policy, at(0)), None);
        for number in 0..5 {
            rates.count(&one(number, Priority::High, true), &policy, at(0));
        }
        let six = Some(at(6 * 60));
        assert_eq!(rates.ends(Kind::Confirmed, &policy, at(10)), six);
        assert_eq!(rates.ends(Kind::Unconfirmed, &policy, at(10)), None);
        assert_eq!(rates.ends(Kind::Confirmed, &policy, at(-9000)), None);
    }
}
