//! The one place from which probes and repairs speak to incidents.

use chrono::{DateTime, Utc};

use crate::app::App;
use crate::domain::{GroupKey, IncidentEvent, IncidentId, Signal};
use crate::operations::incidents::{self, Incident, Status};

/// Takes a signal; the incident that it belongs to, `None` if it ends what nobody knows. Safe to
/// repeat.
pub(in crate::operations) async fn take(
    app: &App,
    signal: &Signal,
) -> anyhow::Result<Option<IncidentId>> {
    Ok(incidents::take(app, signal).await?.incident)
}

/// Adds what happened to an incident, unless the very same has been added before.
pub(in crate::operations) async fn happened(
    app: &App,
    incident: &IncidentId,
    event: IncidentEvent,
) -> anyhow::Result<()> {
    incidents::happened(app, incident, event).await.map(drop)
}

/// When an incident was ended, if it is over.
pub(super) async fn ended(app: &App, id: &IncidentId) -> anyhow::Result<Option<DateTime<Utc>>> {
    let found = incidents::find(app, id).await?;
    Ok(found.and_then(|incident| end_of(&incident)))
}

/// The same of the newest incident of a key.
pub(super) async fn newest_ended(
    app: &App,
    key: &GroupKey,
) -> anyhow::Result<Option<DateTime<Utc>>> {
    let found = incidents::current(app, key).await?;
    Ok(found.and_then(|incident| end_of(&incident)))
}

fn end_of(incident: &Incident) -> Option<DateTime<Utc>> {
    let is_over = incident.status == Status::Resolved;
    incident.resolved.filter(|_| is_over)
}
