//! Incidents: from a signal to whoever has to hear of it, and to the end.
//!
//! Signals of rules, probes and webhooks are [taken](take) into the newest incident of their key
//! (`absorb`), or open the next. What happens is a chain of events in the journal; the document is
//! its projection (`state`). What time makes of it and who is told is a pure plan (`plan`), made
//! whenever something happens and by the minute tick.

mod absorb;
mod ahead;
mod corroborate;
mod forget;
mod hold;
mod plan;
#[cfg(test)]
mod properties;
mod receive;
mod record;
mod roster;
mod say;
mod state;
#[cfg(test)]
mod stories;
mod storm;
mod tell;
mod tick;
mod triage;
mod view;

pub use ahead::Ahead;
pub use corroborate::corroborate;
pub use forget::{Forgotten, forget};
pub use record::{AlertRecord, Target};
pub use say::{Refusal, Said, say};
pub use state::{Acknowledgement, Incident, Occurrence, Quiet, Recipient, Round, Status};
pub use storm::{Member, is_storm};
pub use tick::{Ticked, tick};
pub use triage::{Known, Triage, decide, triage};
pub use view::{Filter, IncidentPage, Line, Shown, begin_with, find, list, show};

pub(super) use receive::receive;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{Alert, Condition, GroupKey, IncidentEvent, IncidentId, Priority, Signal};
use crate::estate::IncidentPolicy;
use crate::journal::Work;
use crate::notify;
use crate::store::{Created, Error};
use absorb::{Verdict, absorb, fitting};
use hold::{Held, document};
use roster::Surroundings;
use storm::{Gate, Kind};

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The incident that it belongs to; `None` if it ends something that nobody knows.
    pub incident: Option<IncidentId>,
    /// False if it was known before.
    pub news: bool,
    /// It opened an incident, or opened one again.
    pub opened: bool,
}

/// Which incident of a key is the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Latest {
    number: u32,
}

fn latest_path(key: &GroupKey) -> String {
    format!("incident-keys/{}.json", key.hash())
}

/// Takes a signal: when this returns, its incident is written, and whoever is to hear of it is in
/// the outbox. Safe to repeat, and from any number of processes.
///
/// Errors: the store, or an estate that cannot be read.
pub async fn take(app: &App, signal: &Signal) -> anyhow::Result<Taken> {
    take_all(app, std::slice::from_ref(signal)).await
}

/// Takes signals of one key and occurrence together: nobody is told of what has ended already.
pub(super) async fn take_all(app: &App, signals: &[Signal]) -> anyhow::Result<Taken> {
    let Some(first) = signals.first() else {
        anyhow::bail!("no signal was given");
    };
    let key = &first.key;
    let surroundings = Surroundings::read(app).await?;
    let policy = surroundings.policy();
    let store = app.store()?;
    let path = latest_path(key);
    let mut listed = None;
    let mut number = match store.get::<Latest>(&path).await? {
        Some(stored) => stored.value.number,
        None if first.condition == Condition::Resolved => {
            return ended_in_a_storm(app, first).await;
        }
        None => 1,
    };
    loop {
        let id = IncidentId::new(key, number);
        let known = store.get::<Incident>(&document(&id)).await?;
        let known = known.map(|stored| stored.value);
        let is_new = known.as_ref().is_none_or(|known| known.opened.is_none());
        if first.condition == Condition::Fired
            && let Some(known) = known.as_ref().filter(|_| !is_new)
            && signals
                .iter()
                .all(|s| absorb(known, s, policy, app.clock.now()) == Verdict::Nothing)
        {
            // What is written never becomes less, so this needs nobody's lease.
            return Ok(Taken {
                incident: Some(id),
                news: false,
                opened: false,
            });
        }
        if first.condition == Condition::Resolved {
            let is_known = known.is_some_and(|k| k.occurrences.contains_key(&first.occurrence));
            // A storm may list what has become an incident of its own since.
            let taken = ended_in_a_storm(app, first).await?;
            if !is_known && (is_new || taken.incident.is_some()) {
                return Ok(taken);
            }
        } else if is_new && storm::may_swallow(first) {
            // Swallowed before: by a process that died over it, or said twice.
            listed = storm::listed(app, first).await?;
            if let Some((storm, member)) = &listed
                && !member.is_less_than(first)
            {
                return Ok(Taken {
                    incident: Some(storm.clone()),
                    news: false,
                    opened: false,
                });
            }
            if let Some(gate) = storm::gate(app, first, policy).await?
                && let Some(taken) = swallowed(app, policy, signals, gate, &listed).await?
            {
                return Ok(taken);
            }
        }
        if is_new {
            put_latest(app, key, number).await?;
        }
        let Some(mut held) = Held::take(app, &id, is_new.then_some(key)).await? else {
            anyhow::bail!("incident {id} has vanished");
        };
        let rounds = held.incident.rounds;
        let (mut news, mut next) = (false, false);
        for signal in signals {
            match absorb(&held.incident, signal, policy, app.clock.now()) {
                Verdict::Events(events) => {
                    for event in events {
                        held.add(event).await?;
                    }
                    news = true;
                }
                Verdict::Next(events) => {
                    for event in events {
                        held.add(event).await?;
                    }
                    next = true;
                    break;
                }
                Verdict::Nothing => {}
            }
        }
        let opened = held.incident.rounds > rounds;
        let means = surroundings.means(app, &held.incident);
        let (_, told) = held.finish(means.as_ref()).await?;
        if told {
            hand_over(app, &id).await;
        }
        if let Some((storm, _)) = &listed {
            storm::forget(app, storm, first).await?;
        }
        if !next {
            let incident = Some(id);
            return Ok(Taken {
                incident,
                news,
                opened,
            });
        }
        number += 1;
    }
}

/// Hands over at once what can be; the minute tick goes on with the rest.
async fn hand_over(app: &App, id: &IncidentId) {
    if let Err(error) = notify::deliver(app, id).await {
        tracing::warn!(incident = %id, error = format!("{error:#}"), "not handed over at once");
    }
}

async fn put_latest(app: &App, key: &GroupKey, number: u32) -> Result<(), Error> {
    let (store, path) = (app.store()?, latest_path(key));
    let latest = Latest { number };
    loop {
        match store.get::<Latest>(&path).await? {
            Some(stored) if stored.value.number >= number => return Ok(()),
            Some(stored) => match store.replace(&path, &latest, &stored.etag, None).await {
                Ok(_) => return Ok(()),
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            },
            None => {
                if let Created::New(_) = store.create(&path, &latest).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// Lists a signal under the incident of the storm that is on, and no longer under that of another;
/// `None` if the storm has been ended: then it is to be taken by itself.
async fn swallowed(
    app: &App,
    policy: &IncidentPolicy,
    signals: &[Signal],
    gate: Gate,
    listed: &Option<(IncidentId, Member)>,
) -> anyhow::Result<Option<Taken>> {
    let signal = &signals[0];
    let named = storm::occurrence(gate.began);
    if let Some(id) = newest_storm(app, gate.kind).await?
        && let Some(stored) = app.store()?.get::<Incident>(&document(&id)).await?
        && stored.value.status == Status::Resolved
        && stored.value.occurrences.contains_key(&named)
    {
        storm::end(app, gate).await?;
        return Ok(None);
    }
    let standing = storm::signal(policy, gate.kind, gate.began, signal.priority);
    // Boxed: a storm's own incident is taken like every other.
    let taken = Box::pin(take(app, &standing)).await?;
    let id = match &taken.incident {
        Some(id) => id.clone(),
        None => anyhow::bail!("the incident of the storm could not be opened"),
    };
    if signal.priority == Priority::Critical {
        announce(app, policy, &id, gate).await?;
    }
    let news = storm::join(app, &id, signal).await?;
    // Whoever ended it meanwhile did not see this one.
    let stored = app.store()?.get::<Incident>(&document(&id)).await?;
    if stored.is_some_and(|stored| stored.value.status == Status::Resolved) {
        storm::forget(app, &id, signal).await?;
        storm::end(app, gate).await?;
        return Ok(None);
    }
    if let Some((other, _)) = listed
        && *other != id
    {
        storm::forget(app, other, signal).await?;
    }
    if let Some(end) = signals.iter().find(|s| s.condition == Condition::Resolved) {
        storm::clear(app, end).await?;
    }
    Ok(Some(Taken {
        incident: Some(id),
        news,
        opened: false,
    }))
}

/// Tells those who have a storm that more of what is critical comes into it, once in a window: what
/// they took was less than that, and nobody else hears of it. As long as nobody has it the clock of
/// the escalation tells it; what is less than critical can be read in the list.
async fn announce(
    app: &App,
    policy: &IncidentPolicy,
    id: &IncidentId,
    gate: Gate,
) -> anyhow::Result<()> {
    let (now, window) = (app.clock.now(), policy.storm_window);
    if gate.announced.is_some_and(|at| (now - at).abs() < window) {
        return Ok(());
    }
    let stored = app.store()?.get::<Incident>(&document(id)).await?;
    let status = stored.map(|stored| stored.value.status_at(now));
    if !matches!(status, Some(Status::Acknowledged | Status::Mitigated)) {
        return Ok(());
    }
    // The same words from however many processes are written once.
    let span = window.num_seconds().max(1);
    let since = now.timestamp().div_euclid(span) * span;
    let since = chrono::DateTime::from_timestamp(since, 0).unwrap_or(now);
    let event = IncidentEvent::Updated {
        by: "poolkeeper/storm".into(),
        reason: format!(
            "since {} more of what is critical comes into this storm: read its list",
            since.format("%Y-%m-%d %H:%M UTC")
        ),
    };
    happened(app, id, event).await?;
    storm::announced(app).await?;
    Ok(())
}

/// The incident of the newest storm of a kind, if there ever was one.
async fn newest_storm(app: &App, kind: Kind) -> Result<Option<IncidentId>, Error> {
    let key = kind.key();
    let latest = app.store()?.get::<Latest>(&latest_path(&key)).await?;
    Ok(latest.map(|latest| IncidentId::new(&key, latest.value.number)))
}

/// The end of something that has no incident of its own: a storm may have swallowed it.
async fn ended_in_a_storm(app: &App, signal: &Signal) -> anyhow::Result<Taken> {
    let (incident, news) = match storm::clear(app, signal).await? {
        Some((id, ended)) => (Some(id), ended),
        None => (None, false),
    };
    Ok(Taken {
        incident,
        news,
        opened: false,
    })
}

/// Writes down that something happened to an incident that is there, and does what follows from it;
/// what comes too late for that is kept as evidence.
/// Safe to repeat: the very same is written once for each time that it fired.
///
/// Errors: there is no such incident, or the store.
pub async fn happened(
    app: &App,
    id: &IncidentId,
    event: IncidentEvent,
) -> anyhow::Result<Incident> {
    let surroundings = Surroundings::read(app).await?;
    let Some(mut held) = Held::take(app, id, None).await? else {
        anyhow::bail!("there is no incident {id}");
    };
    let fitted = fitting(&held.incident, event.clone());
    if !held.has(&event) && !held.has(&fitted) {
        held.add(fitted).await?;
    }
    let means = surroundings.means(app, &held.incident);
    let (incident, told) = held.finish(means.as_ref()).await?;
    if told {
        hand_over(app, id).await;
    }
    Ok(incident)
}

/// The newest incident of a key.
pub async fn current(app: &App, key: &GroupKey) -> anyhow::Result<Option<Incident>> {
    let store = app.store()?;
    let Some(latest) = store.get::<Latest>(&latest_path(key)).await? else {
        return Ok(None);
    };
    let id = IncidentId::new(key, latest.value.number);
    let stored = store.get::<Incident>(&document(&id)).await?;
    Ok(stored.map(|s| s.value).filter(|i| i.opened.is_some()))
}

/// The work that an alert is.
#[must_use]
pub fn work_of(alert: &Alert) -> Work {
    Work::Alert {
        alert_id: triage::shown(&alert.id),
        rule: alert.rule.as_deref().map(triage::shown),
        severity: alert.severity.map(|s| format!("{s:?}")),
        condition: alert.condition.as_str().to_owned(),
    }
}
