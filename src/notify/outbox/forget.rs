use chrono::{DateTime, Utc};

use super::post::Posted;
use super::{LANES, NOTICES, PENDING};
use crate::app::App;
use crate::domain::IncidentId;
use crate::store::Error;

/// The incidents of which something stands in the outbox.
pub async fn kept(app: &App) -> Result<Vec<IncidentId>, Error> {
    let names = app.store()?.list_all(NOTICES).await?;
    let ids = names.iter().filter_map(|name| {
        let id = name.strip_prefix(NOTICES)?.split('/').next()?;
        id.parse().ok()
    });
    let mut ids: Vec<IncidentId> = ids.collect();
    ids.dedup();
    Ok(ids)
}

/// When the last notice of an incident was posted; `None` if there is none.
pub async fn last_posted(app: &App, id: &IncidentId) -> Result<Option<DateTime<Utc>>, Error> {
    let store = app.store()?;
    let mut last = None;
    for name in store.list_all(&format!("{NOTICES}{id}/")).await? {
        if let Some(stored) = store.get::<Posted>(&name).await? {
            last = last.max(Some(stored.value.at));
        }
    }
    Ok(last)
}

/// Forgets who was told of an incident; false, with nothing done, if something is still to be
/// delivered. The notices go last, since [`kept`] finds it by them. Safe to repeat.
///
/// Errors: the store.
pub async fn forget(app: &App, id: &IncidentId, dry_run: bool) -> Result<bool, Error> {
    let store = app.store()?;
    let waiting = store.list(&format!("{PENDING}{id}/"), None, 1).await?;
    if !waiting.names.is_empty() {
        return Ok(false);
    }
    if dry_run {
        return Ok(true);
    }
    for folder in [LANES, NOTICES] {
        for name in store.list_all(&format!("{folder}{id}/")).await? {
            store.delete(&name).await?;
        }
    }
    Ok(true)
}
