//! The one place from which probes and repairs speak to incidents.

use crate::app::App;
use crate::domain::{IncidentEvent, IncidentId, Signal};
use crate::operations::incidents;

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
