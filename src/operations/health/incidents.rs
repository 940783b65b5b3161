//! The one place from which probes and repairs speak to incidents.
//!
//! What is said is kept under the signal's key, in `signals/`, in the order in which it was said;
//! the same is never kept twice.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{Condition, GroupKey, IncidentEvent, IncidentId, Signal};
use crate::store::Error;

/// What was said about one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Said {
    key: GroupKey,
    /// How many incidents of the key there were.
    number: u32,
    /// Occurrences that have not ended.
    open: Vec<String>,
    events: Vec<(IncidentId, IncidentEvent)>,
}

fn path(hash: &str) -> String {
    format!("signals/{hash}.json")
}

/// Takes a signal; the incident that it belongs to, `None` if it ends what nobody knows. Safe to
/// repeat.
pub(in crate::operations) async fn take(
    app: &App,
    signal: &Signal,
) -> anyhow::Result<Option<IncidentId>> {
    let hash = signal.key.hash();
    let fresh = Said {
        key: signal.key.clone(),
        number: 0,
        open: Vec::new(),
        events: Vec::new(),
    };
    app.store()?.create(&path(&hash), &fresh).await?;
    turn(app, &hash, |said| {
        let is_open = said.open.contains(&signal.occurrence);
        if signal.condition == Condition::Resolved {
            if !is_open {
                return None;
            }
            said.open.retain(|known| *known != signal.occurrence);
            let event = IncidentEvent::Cleared {
                occurrence: signal.occurrence.clone(),
                by: "poolkeeper/health".into(),
                reason: signal.text.clone(),
            };
            return said.say(event);
        }
        if !is_open {
            if said.open.is_empty() {
                said.number += 1;
            }
            said.open.push(signal.occurrence.clone());
        }
        said.say(IncidentEvent::Fired {
            signal: Box::new(signal.clone()),
            why: "a probe".into(),
        })
    })
    .await
}

/// Adds what happened to an incident, unless the very same has been added before.
pub(in crate::operations) async fn happened(
    app: &App,
    incident: &IncidentId,
    event: IncidentEvent,
) -> anyhow::Result<()> {
    let hash = incident.as_str().split('-').nth(1).unwrap_or_default();
    turn(app, hash, |said| {
        let next = (incident.clone(), event.clone());
        if !said.events.contains(&next) {
            said.events.push(next);
        }
        None
    })
    .await
    .map(drop)
}

impl Said {
    fn say(&mut self, event: IncidentEvent) -> Option<IncidentId> {
        let id = IncidentId::new(&self.key, self.number);
        let next = (id.clone(), event);
        if !self.events.contains(&next) {
            self.events.push(next);
        }
        Some(id)
    }
}

async fn turn(
    app: &App,
    hash: &str,
    turn: impl Fn(&mut Said) -> Option<IncidentId>,
) -> anyhow::Result<Option<IncidentId>> {
    let (store, path) = (app.store()?, path(hash));
    for _ in 0..20 {
        let Some(stored) = store.get::<Said>(&path).await? else {
            anyhow::bail!("nothing was said about `{hash}`");
        };
        let mut said = stored.value;
        let id = turn(&mut said);
        match store.replace(&path, &said, &stored.etag, None).await {
            Ok(_) => return Ok(id),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Conflict(path).into())
}
