//! What a storm swallowed. Each member is a document, and as long as it has not ended a marker names it,
//! so that the rest need not be read to know whether all has ended. The marker is written first and
//! holds all of the member: wherever a process dies, nothing that was swallowed is lost.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::newest_storm;
use super::{Kind, hash_of, rate};
use crate::app::App;
use crate::domain::{IncidentId, Signal, Trust};
use crate::estate::IncidentPolicy;
use crate::store::{Created, Error, Store};

/// One signal that a storm swallowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub signal: Signal,
    pub at: DateTime<Utc>,
    pub cleared: Option<DateTime<Utc>>,
}

impl Member {
    /// Whether a signal of the same says that it is worse than was known: then it is news.
    pub(crate) fn is_less_than(&self, signal: &Signal) -> bool {
        let confirmed = |signal: &Signal| matches!(signal.trust, Trust::Confirmed { .. });
        let surer = confirmed(signal) && !confirmed(&self.signal);
        let worse = signal.priority > self.signal.priority;
        // What nothing confirms makes nothing worse that is confirmed.
        let believed = confirmed(signal) || !confirmed(&self.signal);
        self.cleared.is_none() && believed && (surer || worse)
    }

    /// Whether the end that a signal tells is to be believed: no stranger ends what is confirmed.
    fn ends_by(&self, signal: &Signal) -> bool {
        match signal.trust {
            Trust::Confirmed { .. } => true,
            Trust::Unconfirmed { .. } => !matches!(self.signal.trust, Trust::Confirmed { .. }),
            Trust::Denied { .. } => false,
        }
    }
}

/// Where all is that is known of the members of a storm.
pub(crate) fn folders(id: &IncidentId) -> [String; 2] {
    [folder(id), open_folder(id)]
}

fn folder(id: &IncidentId) -> String {
    format!("incident-members/{id}/")
}

fn open_folder(id: &IncidentId) -> String {
    format!("incident-members-open/{id}/")
}

/// The member of a signal, and the marker of it.
fn paths(id: &IncidentId, signal: &Signal) -> (String, String) {
    let hash = hash_of(signal);
    let name = &hash.as_str()[..32];
    (
        format!("{}{name}.json", folder(id)),
        format!("{}{name}.json", open_folder(id)),
    )
}

/// What a marker holds. One that cannot be read says nothing.
async fn marked(store: &Store, open: &str) -> Result<Option<Member>, Error> {
    let bytes = store.bytes(open).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Lists a signal under the incident of its storm: whether it says anything new. Safe to repeat.
pub(crate) async fn join(app: &App, id: &IncidentId, signal: &Signal) -> Result<bool, Error> {
    let member = Member {
        signal: signal.clone(),
        at: app.clock.now(),
        cleared: None,
    };
    let store = app.store()?;
    let (path, open) = paths(id, signal);
    loop {
        let Some(stored) = store.get::<Member>(&path).await? else {
            store.create(&open, &member).await?;
            if let Created::New(_) = store.create(&path, &member).await? {
                return Ok(true);
            }
            continue;
        };
        if !stored.value.is_less_than(signal) {
            return Ok(false);
        }
        let worse = Member {
            signal: signal.clone(),
            ..stored.value
        };
        match store.replace(&path, &worse, &stored.etag, None).await {
            Ok(_) => return Ok(true),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The storm that swallowed this, if one of the newest did.
pub(crate) async fn listed(
    app: &App,
    signal: &Signal,
) -> Result<Option<(IncidentId, Member)>, Error> {
    for kind in Kind::ALL {
        let Some(id) = newest_storm(app, kind).await? else {
            continue;
        };
        let found = app.store()?.get::<Member>(&paths(&id, signal).0).await?;
        if let Some(stored) = found {
            return Ok(Some((id, stored.value)));
        }
    }
    Ok(None)
}

/// Takes a signal off the list: it has an incident of its own, or another list has it. Safe to repeat.
pub(crate) async fn forget(app: &App, id: &IncidentId, signal: &Signal) -> Result<(), Error> {
    let (store, (path, open)) = (app.store()?, paths(id, signal));
    // The member first: what has one is taken for known.
    store.delete(&path).await?;
    store.delete(&open).await
}

/// Notes that what a storm swallowed has ended: the storm that swallowed it, if one of the newest
/// did. An end that is not to be believed changes nothing.
pub(crate) async fn clear(app: &App, signal: &Signal) -> Result<Option<(IncidentId, bool)>, Error> {
    let mut found = None;
    for kind in Kind::ALL {
        if let Some(id) = newest_storm(app, kind).await?
            && let Some(ended) = clear_of(app, &id, signal).await?
        {
            found = found.or(Some((id, ended)));
        }
    }
    Ok(found)
}

/// `None` if this storm did not swallow it, else whether it has just ended.
async fn clear_of(app: &App, id: &IncidentId, signal: &Signal) -> Result<Option<bool>, Error> {
    let (store, (path, open)) = (app.store()?, paths(id, signal));
    loop {
        let Some(stored) = store.get::<Member>(&path).await? else {
            let Some(member) = marked(store, &open).await? else {
                return Ok(None);
            };
            // Whoever swallowed it has not come to the end of that, or died over it.
            store.create(&path, &member).await?;
            continue;
        };
        if stored.value.cleared.is_some() {
            store.delete(&open).await?;
            return Ok(Some(false));
        }
        if !stored.value.ends_by(signal) {
            return Ok(Some(false));
        }
        let mut member = stored.value;
        member.cleared = Some(app.clock.now());
        match store.replace(&path, &member, &stored.etag, None).await {
            Ok(_) => {
                store.delete(&open).await?;
                return Ok(Some(true));
            }
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a storm swallowed, by name, at most `most` of it, and how much there is in all.
pub(crate) async fn members(
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
pub(crate) async fn has_passed(
    app: &App,
    id: &IncidentId,
    kind: Kind,
    policy: &IncidentPolicy,
) -> Result<bool, Error> {
    let (store, now) = (app.store()?, app.clock.now());
    if rate::ends(app, kind, policy)
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
            let path = format!("{}{name}", folder(id));
            match store.get::<Member>(&path).await? {
                Some(stored) if stored.value.cleared.is_none() => return Ok(false),
                Some(_) => store.delete(&open).await?,
                // Whoever swallowed it died before it was written, or is at it now.
                None => match marked(store, &open).await? {
                    Some(member) => {
                        store.create(&path, &member).await?;
                        return Ok(false);
                    }
                    None => store.delete(&open).await?,
                },
            }
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Priority;
    use crate::estate::IncidentPolicy;

    #[test]
    fn what_is_worse_or_surer_is_news_and_no_stranger_makes_or_ends_it() {
        use Priority::{Critical, High};
        let policy = IncidentPolicy::default();
        let one = |priority, trust: &str| {
            let at = DateTime::UNIX_EPOCH;
            let why = || "so".to_owned();
            Signal {
                trust: match trust {
                    "confirmed" => Trust::Confirmed { how: why() },
                    "denied" => Trust::Denied { why: why() },
                    _ => Trust::Unconfirmed { why: why() },
                },
                ..super::super::signal(&policy, Kind::Confirmed, at, priority)
            }
        };
        for (known, said, news, ends) in [
            ((High, "confirmed"), (High, "confirmed"), false, true),
            ((High, "confirmed"), (Critical, "confirmed"), true, true),
            ((Critical, "confirmed"), (High, "confirmed"), false, true),
            ((High, "confirmed"), (Critical, "unconfirmed"), false, false),
            ((High, "unconfirmed"), (High, "unconfirmed"), false, true),
            ((High, "unconfirmed"), (Critical, "unconfirmed"), true, true),
            ((Critical, "unconfirmed"), (High, "confirmed"), true, true),
            ((High, "unconfirmed"), (Critical, "denied"), true, false),
        ] {
            let mut member = Member {
                signal: one(known.0, known.1),
                at: DateTime::UNIX_EPOCH,
                cleared: None,
            };
            let signal = one(said.0, said.1);
            assert_eq!(member.is_less_than(&signal), news, "{known:?} {said:?}");
            assert_eq!(member.ends_by(&signal), ends, "{known:?} {said:?}");
            member.cleared = Some(DateTime::UNIX_EPOCH);
            assert!(!member.is_less_than(&signal), "it has ended");
        }
    }
}
