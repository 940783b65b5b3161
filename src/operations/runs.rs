//! Reading runs: for the web, and for the command line.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::Inbox;
use crate::app::App;
use crate::journal::{Run, RunId};
use crate::store::Error;

/// Runs, newest first.
#[derive(Debug, Serialize)]
pub struct RunPage {
    pub runs: Vec<Run>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
    /// Accepted runs that nobody has finished, 100 of them at most.
    pub accepted: Vec<String>,
    /// How many those are, counted up to 5,000.
    pub waiting: usize,
    #[serde(rename = "waitingIsMore")]
    pub waiting_is_more: bool,
}

/// One page of runs that were started, newest first.
pub async fn recent(app: &App, from: Option<String>, most: usize) -> Result<RunPage, Error> {
    let store = app.store()?;
    let page = store.list("by-time/", from, most).await?;
    let runs = stream::iter(page.names)
        .map(|name| async move {
            // The name is `by-time/<14 digits>-<run>`.
            match name.get(23..).and_then(|id| id.parse::<RunId>().ok()) {
                Some(id) => Ok(store.get::<Run>(&id.document()).await?.map(|s| s.value)),
                None => Ok::<_, Error>(None),
            }
        })
        .buffered(16)
        .try_collect::<Vec<_>>()
        .await?;
    let waiting = store.list("inbox/", None, 5000).await?;
    Ok(RunPage {
        runs: runs.into_iter().flatten().collect(),
        next: page.next,
        accepted: waiting
            .names
            .iter()
            .take(100)
            .filter_map(|name| name.strip_prefix("inbox/")?.strip_suffix(".json"))
            .map(str::to_owned)
            .collect(),
        waiting: waiting.names.len(),
        waiting_is_more: waiting.next.is_some(),
    })
}

/// One run, also when it is accepted and not started yet; `None` if there is no such run.
pub async fn one(app: &App, id: &RunId) -> anyhow::Result<Option<Run>> {
    let store = app.store()?;
    if let Some(run) = store.get::<Run>(&id.document()).await? {
        return Ok(Some(run.value));
    }
    let Some(inbox) = store.get::<Inbox>(&id.inbox()).await? else {
        return Ok(None);
    };
    let inbox = inbox.value;
    Ok(Some(Run::accepted(
        id.clone(),
        inbox.work()?,
        inbox.accepted,
    )))
}

/// How many runs the store holds: accepted, running and finished. Lists all of their names.
pub async fn count(app: &App) -> Result<usize, Error> {
    let store = app.store()?;
    let mut ids = BTreeSet::new();
    for folder in ["inbox/", "runs/"] {
        let names = store.list_all(folder).await?;
        ids.extend(
            names
                .into_iter()
                .map(|name| name[folder.len()..].to_owned()),
        );
    }
    Ok(ids.len())
}
