//! What Azure itself says of the health of a resource.
//!
//! Source: Resource Health 2020-05-01, `AvailabilityStatuses_GetByResource`.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Action, Azure, Error, Plane};
use crate::domain::ResourceId;

const API_VERSION: &str = "2020-05-01";

pub const READ_HEALTH: Action =
    Action("Microsoft.ResourceHealth/AvailabilityStatuses/current/read");

/// The health of a resource as Azure sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// `Available`, `Unavailable`, `Degraded` or `Unknown`.
    #[serde(rename = "availabilityState")]
    pub state: Option<String>,
    pub summary: Option<String>,
    /// `Planned`, `Unplanned`, `UserInitiated`, ...
    pub reason_type: Option<String>,
    /// Since when; the API's own spelling.
    #[serde(rename = "occuredTime")]
    pub since: Option<DateTime<Utc>>,
}

/// Reads the current health.
///
/// Errors: [`Error::NotFound`] where Azure tells the health of no such kind of resource.
pub async fn current(azure: &Azure, id: &ResourceId) -> Result<Availability, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Availability,
    }
    let path = format!("{id}/providers/Microsoft.ResourceHealth/availabilityStatuses/current");
    let url = azure.arm(&path, API_VERSION)?;
    let what = format!("health of {id}");
    let body: Body = azure.get(Plane::Arm, url, READ_HEALTH, &what).await?;
    Ok(body.properties)
}
