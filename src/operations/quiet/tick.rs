//! The begin and the end of windows, each recorded once, however many ticks were missed.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::{silences, windows};
use crate::app::App;
use crate::domain::{IncidentId, Quiet, QuietKind, Silence};
use crate::store::{Created, Error};

const TICKED: &str = "quiet/ticked.json";
const OPEN: &str = "quiet/open/";

/// How far back windows are recorded that came and went while nothing ticked.
const BACK: Duration = Duration::days(35);

/// One occurrence of a window, as it was recorded: `quiet/occasions/<name>-<begin>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    pub quiet: Quiet,
    /// The incidents that were open when it was seen to begin: what it did not bring about.
    pub open: Vec<IncidentId>,
    /// When its begin was recorded.
    pub recorded: DateTime<Utc>,
    /// When it was over: its stated end, or earlier if somebody ended it.
    #[serde(default)]
    pub ended: Option<DateTime<Utc>>,
}

impl Occasion {
    fn key(quiet: &Quiet) -> String {
        format!("{}-{}", quiet.name, quiet.from.format("%Y%m%dt%H%M%Sz"))
    }

    fn path(key: &str) -> String {
        format!("quiet/occasions/{key}.json")
    }

    fn mark(key: &str) -> String {
        format!("{OPEN}{key}.json")
    }
}

/// What a tick recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turned {
    Began(Occasion),
    Ended(Occasion),
}

#[derive(Serialize, Deserialize)]
struct Ticked {
    at: DateTime<Utc>,
}

/// Records the begin and the end of windows, of the estate and one-off, that nobody has recorded
/// yet: also of those that came and went since the last tick, up to five weeks ago. `open` are the
/// incidents that are open now.
///
/// Each is returned by the one call that recorded it, also if something else could not be recorded:
/// that is logged, and made good by the next tick. A process that dies between the two has told
/// nobody: who acts on what is returned has to get by without, and asks [`super::in_force`] for
/// what holds.
///
/// Errors: nothing could be recorded.
pub async fn tick(app: &App, open: &[IncidentId]) -> anyhow::Result<Vec<Turned>> {
    let mut turned = Vec::new();
    match record(app, open, &mut turned).await {
        Err(error) if turned.is_empty() => Err(error),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(error, "not every window was recorded");
            Ok(turned)
        }
        Ok(()) => Ok(turned),
    }
}

async fn record(app: &App, open: &[IncidentId], turned: &mut Vec<Turned>) -> anyhow::Result<()> {
    let (store, now) = (app.store()?, app.clock.now());
    let ticked = match store.get::<Ticked>(TICKED).await {
        Err(error @ Error::Unreadable { .. }) => {
            // Written anew: what began and ended since the last tick is not made up for.
            tracing::error!(%error, "when windows were recorded last is not known any more");
            store.delete(TICKED).await?;
            None
        }
        ticked => ticked?,
    };
    // A clock that went back finds nothing new.
    let since = ticked
        .as_ref()
        .map_or(now, |ticked| ticked.value.at.min(now));
    let since = since.max(now - BACK);
    let candidates = candidates(app, since, now).await?;
    for quiet in &candidates {
        let began = readable(begin(app, quiet, open, now).await)?;
        turned.extend(began.map(Turned::Began));
    }
    for name in store.list_all(OPEN).await? {
        let key = name
            .strip_prefix(OPEN)
            .and_then(|name| name.strip_suffix(".json"));
        if let Some(key) = key {
            let ended = readable(end(app, key, &candidates, now).await)?;
            turned.extend(ended.map(Turned::Ended));
        }
    }
    let this = Ticked { at: now };
    match ticked {
        None => drop(store.create(TICKED, &this).await?),
        Some(before) if before.value.at < now => {
            match store.replace(TICKED, &this, &before.etag, None).await {
                // Another process ticked at the same time.
                Ok(_) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Some(_) => {}
    }
    Ok(())
}

/// An occasion whose document is damaged stops no other.
fn readable(turned: Result<Option<Occasion>, Error>) -> Result<Option<Occasion>, Error> {
    if let Err(error @ Error::Unreadable { .. }) = &turned {
        tracing::error!(%error, "a window is not recorded");
        return Ok(None);
    }
    turned
}

/// Writes the begin of an occasion down; it, if this call did so.
async fn begin(
    app: &App,
    quiet: &Quiet,
    open: &[IncidentId],
    now: DateTime<Utc>,
) -> Result<Option<Occasion>, Error> {
    let store = app.store()?;
    let key = Occasion::key(quiet);
    let path = Occasion::path(&key);
    if store.get::<Occasion>(&path).await?.is_some() {
        return Ok(None);
    }
    // The mark comes first: without it nobody would look for the end.
    store
        .create(&Occasion::mark(&key), &Ticked { at: now })
        .await?;
    let occasion = Occasion {
        quiet: quiet.clone(),
        open: open.to_vec(),
        recorded: now,
        ended: None,
    };
    let created = store.create(&path, &occasion).await?;
    Ok(matches!(created, Created::New(_)).then_some(occasion))
}

/// The windows that were open at any moment after `since`, up to now.
async fn candidates(
    app: &App,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<Quiet>> {
    let mut found = windows(app, since, now)?;
    let once = silences(app, since).await?.what;
    found.extend(
        once.iter()
            .filter(|silence| silence.kind == QuietKind::Window)
            .map(Silence::quiet)
            .filter(|quiet| quiet.from <= now && quiet.until > since && quiet.from < quiet.until),
    );
    Ok(found)
}

/// Writes the end of an occasion down if it is over; it, if this call did so.
async fn end(
    app: &App,
    key: &str,
    candidates: &[Quiet],
    now: DateTime<Utc>,
) -> Result<Option<Occasion>, Error> {
    let store = app.store()?;
    let (path, mark) = (Occasion::path(key), Occasion::mark(key));
    let Some(mut stored) = store.get::<Occasion>(&path).await? else {
        // Marked by a process that died, and no window any more, or it would be recorded by now.
        store.delete(&mark).await?;
        return Ok(None);
    };
    if stored.value.ended.is_some() {
        store.delete(&mark).await?;
        return Ok(None);
    }
    let known = candidates.iter().find(|quiet| Occasion::key(quiet) == key);
    // A window that is not there any more, ended by its owner or taken out of the estate, is over.
    let until = known.map_or(stored.value.quiet.until.min(now), |quiet| quiet.until);
    if until > now {
        return Ok(None);
    }
    stored.value.ended = Some(until);
    match store
        .replace(&path, &stored.value, &stored.etag, None)
        .await
    {
        Ok(_) => {
            if let Err(error) = store.delete(&mark).await {
                tracing::warn!(%error, "a window is over and its mark stays until the next tick");
            }
            Ok(Some(stored.value))
        }
        Err(Error::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
