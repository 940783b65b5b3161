//! Incidents as they are shown.

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::ahead::{Ahead, ahead};
use super::hold::{BY_TIME, FOLDER, document};
use super::roster::Surroundings;
use super::state::{Incident, Status};
use super::storm::{self, Kind, Member};
use crate::app::App;
use crate::domain::{IncidentEvent, IncidentId, Priority};
use crate::journal::{Chain, Event, RunId};
use crate::notify::{self, Told};
use crate::store::Error;

/// Which incidents are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub statuses: Vec<Status>,
    pub priority: Option<Priority>,
    pub tenant: Option<String>,
    /// Part of the title, the rule or the resource, whatever its capitals.
    pub text: Option<String>,
}

impl Filter {
    fn fits(&self, incident: &Incident, now: DateTime<Utc>) -> bool {
        let text = self.text.as_deref().unwrap_or_default().to_lowercase();
        let has = |part: &str| part.to_lowercase().contains(&text);
        let of = &incident.key;
        (self.statuses.is_empty() || self.statuses.contains(&incident.status_at(now)))
            && self.priority.is_none_or(|p| p == incident.priority)
            && self
                .tenant
                .as_ref()
                .is_none_or(|t| of.tenant.as_ref() == Some(t))
            && (text.is_empty()
                || has(&incident.title)
                || has(&of.rule)
                || of.resource.as_deref().is_some_and(has))
    }
}

/// Incidents, newest first.
#[derive(Debug, Serialize)]
pub struct IncidentPage {
    pub incidents: Vec<Incident>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// One event of an incident, as it stands in its chain.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub event: IncidentEvent,
}

/// One incident with everything that is known of it.
#[derive(Debug, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub incident: Incident,
    /// As it stands now: an acknowledgement ends by itself.
    #[serde(rename = "statusNow")]
    pub status_now: Status,
    /// Who is told next if nobody does anything until then.
    #[serde(rename = "toldNext")]
    pub told_next: Option<Ahead>,
    pub timeline: Vec<Line>,
    pub told: Vec<Told>,
    /// Of a storm: what it swallowed, some of it, and how much that is.
    pub members: Vec<Member>,
    #[serde(rename = "memberCount")]
    pub member_count: usize,
    #[serde(rename = "secondsToAcknowledge")]
    pub seconds_to_acknowledge: Option<i64>,
    #[serde(rename = "secondsToMitigate")]
    pub seconds_to_mitigate: Option<i64>,
    #[serde(rename = "secondsToResolve")]
    pub seconds_to_resolve: Option<i64>,
}

/// How many documents a page may read to find what fits.
const MOST_READ: usize = 2000;

/// One page of incidents that fit, newest first. A page may be shorter than `most` and still not be
/// the last.
pub async fn list(
    app: &App,
    filter: &Filter,
    from: Option<String>,
    most: usize,
) -> Result<IncidentPage, Error> {
    let (store, now) = (app.store()?, app.clock.now());
    let (mut incidents, mut next, mut read) = (Vec::new(), from, 0);
    loop {
        let page = store.list(BY_TIME, next.take(), most).await?;
        read += page.names.len();
        let found = stream::iter(page.names)
            .map(|name| async move {
                // The name is `<folder><14 digits>-<incident>`.
                match name
                    .get(BY_TIME.len() + 15..)
                    .and_then(|id| id.parse().ok())
                {
                    Some(id) => Ok(store.get::<Incident>(&document(&id)).await?),
                    None => Ok::<_, Error>(None),
                }
            })
            .buffered(16)
            .try_collect::<Vec<_>>()
            .await?;
        let found = found.into_iter().flatten().map(|s| s.value);
        incidents.extend(found.filter(|i| i.opened.is_some() && filter.fits(i, now)));
        next = page.next;
        if next.is_none() || incidents.len() >= most || read >= MOST_READ {
            return Ok(IncidentPage { incidents, next });
        }
    }
}

/// One incident; `None` if there is no such.
pub async fn find(app: &App, id: &IncidentId) -> Result<Option<Incident>, Error> {
    let stored = app.store()?.get::<Incident>(&document(id)).await?;
    Ok(stored.map(|s| s.value).filter(|i| i.opened.is_some()))
}

/// The incidents whose ids begin so, with their `inc-` or without.
pub async fn begin_with(app: &App, beginning: &str) -> Result<Vec<IncidentId>, Error> {
    let beginning = beginning.strip_prefix("inc-").unwrap_or(beginning);
    if !beginning
        .bytes()
        .all(|b| b.is_ascii_hexdigit() || b == b'-')
    {
        return Ok(Vec::new());
    }
    let names = app
        .store()?
        .list_all(&format!("{FOLDER}inc-{beginning}"))
        .await?;
    let ids = names.iter().filter_map(|name| {
        let name = name.strip_prefix(FOLDER)?.strip_suffix(".json")?;
        name.parse().ok()
    });
    Ok(ids.collect())
}

/// One incident with its timeline, who was told, and what a storm swallowed.
///
/// Errors: the store, or a chain that is broken.
pub async fn show(app: &App, id: &IncidentId) -> anyhow::Result<Option<Shown>> {
    let Some(incident) = find(app, id).await? else {
        return Ok(None);
    };
    let run: RunId = id.as_str().parse()?;
    let log = app.store()?.log(&run.log()).await?.unwrap_or_default();
    let chain = Chain::read(run.as_str(), &log);
    if let Some(broken) = &chain.broken {
        anyhow::bail!("the chain of {id} is broken: {broken}");
    }
    let incident = incident.projected(&chain);
    let timeline = chain
        .records
        .into_iter()
        .filter_map(|(_, record)| match record.event {
            Event::Incident { happened } => Some(Line {
                at: record.at,
                event: happened,
            }),
            _ => None,
        })
        .collect();
    let (members, member_count) = if Kind::of_key(&incident.key).is_some() {
        storm::members(app, id, 500).await?
    } else {
        (Vec::new(), 0)
    };
    let now = app.clock.now();
    let surroundings = Surroundings::read(app).await?;
    let means = surroundings.means(app, &incident);
    let told_next = means.and_then(|means| ahead(&incident, &means, now));
    let seconds = |to| incident.took(to).map(|span| span.num_seconds());
    Ok(Some(Shown {
        status_now: incident.status_at(now),
        told_next,
        timeline,
        told: notify::told(app, id).await?,
        members,
        member_count,
        seconds_to_acknowledge: seconds(incident.acknowledged),
        seconds_to_mitigate: seconds(incident.mitigated),
        seconds_to_resolve: seconds(incident.resolved),
        incident,
    }))
}
