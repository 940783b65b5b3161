//! Where scaling stands, for pages and for the command line.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::facts::{Past, Raised};
use super::record::{self, Known, Last};
use crate::app::App;
use crate::domain::{ChangeId, ResourceId};

/// All that scaling owns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    pub containers: Vec<One>,
    pub apps: Vec<One>,
}

/// One thing that scaling owns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct One {
    pub resource: ResourceId,
    /// For people.
    pub name: String,
    /// When it was looked at last; `None`: not yet.
    pub looked: Option<DateTime<Utc>>,
    /// What was decided last.
    pub last: Option<Last>,
    pub past: Past,
    /// Its proposals that wait for a decision.
    pub waiting: Vec<ChangeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised: Option<Raised>,
}

/// What was decided last about everything that scaling owns, in the order of the estate.
///
/// Errors: the estate or the store.
pub async fn show(app: &App) -> anyhow::Result<Shown> {
    let (scaling, now) = (&app.estate()?.scaling, app.clock.now());
    let memory = record::all(app).await?;
    let one = |resource: &ResourceId| {
        let key = resource.as_str().to_ascii_lowercase();
        let known: Option<&Known> = memory.iter().find_map(|memory| memory.known.get(&key));
        One {
            resource: resource.clone(),
            name: resource.short(),
            looked: known.and_then(|known| known.looked),
            last: known.and_then(|known| known.last.clone()),
            past: known.map_or_else(Past::default, |known| known.past(now)),
            waiting: known.map_or_else(Vec::new, |known| {
                known.waiting.iter().map(|w| w.change.clone()).collect()
            }),
            raised: known.and_then(|known| known.raised.clone()),
        }
    };
    Ok(Shown {
        containers: scaling.containers.iter().map(|(id, _)| one(id)).collect(),
        apps: scaling.apps.iter().map(|(id, _)| one(id)).collect(),
    })
}
