//! One incident, held by this process alone while something happens to it.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::plan::{Means, Plan, advance};
use super::state::Incident;
use crate::app::App;
use crate::domain::{GroupKey, IncidentEvent, IncidentId};
use crate::journal::{Event, Journal, RunId};
use crate::notify;
use crate::store::{Error, Lease};

/// How long an incident that somebody else is at is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const OPEN: &str = "open-incidents/";
pub(super) const BY_TIME: &str = "incidents-by-time/";

pub(super) const FOLDER: &str = "incidents/";

pub(super) fn document(id: &IncidentId) -> String {
    format!("{FOLDER}{id}.json")
}

fn run(id: &IncidentId) -> RunId {
    id.as_str().parse().expect("an incident id is a run id")
}

/// An incident under a lease, with its chain.
pub(super) struct Held<'a> {
    app: &'a App,
    pub(super) incident: Incident,
    journal: Journal<'a>,
    lease: Lease,
    changed: bool,
    /// What happened to it, as its chain has it.
    events: Vec<IncidentEvent>,
    /// It is found by the minute tick.
    marked: bool,
}

impl<'a> Held<'a> {
    /// Takes the incident, which is made if `key` is given and it is not there; `None` if it is not.
    ///
    /// Errors: [`Error::NotOurs`] if somebody else holds it all the time.
    pub(super) async fn take(
        app: &'a App,
        id: &IncidentId,
        key: Option<&GroupKey>,
    ) -> Result<Option<Held<'a>>, Error> {
        let store = app.store()?;
        let path = document(id);
        if let Some(key) = key {
            store
                .create(&path, &Incident::blank(id.clone(), key.clone()))
                .await?;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let (lease, stored) = loop {
            match store.lease::<Incident>(&path).await {
                Ok(Some(held)) => break held,
                Ok(None) => return Ok(None),
                Err(Error::NotOurs(_) | Error::Conflict(_))
                    if tokio::time::Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
            let pause = 20 + uuid::Uuid::new_v4().as_u128() as u64 % 80;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        };
        let (journal, chain) = Journal::open(store, &run(id), lease.fence()).await?;
        let incident = stored.value.projected(&chain);
        // A process that died may have written records and not the document.
        let changed = incident.events != stored.value.events;
        let marked = incident.next.is_some();
        let events = chain
            .records
            .into_iter()
            .filter_map(|(_, record)| match record.event {
                Event::Incident { happened } => Some(happened),
                _ => None,
            })
            .collect();
        Ok(Some(Held {
            app,
            incident,
            journal,
            lease,
            changed,
            events,
            marked,
        }))
    }

    /// Whether the very same has happened since it last fired or was opened again: then it is said a
    /// second time by somebody who does not know that it was heard.
    pub(super) fn has(&self, event: &IncidentEvent) -> bool {
        let begins = |one: &IncidentEvent| {
            matches!(
                one,
                IncidentEvent::Fired { .. } | IncidentEvent::Reopened { .. }
            )
        };
        let since = self.events.iter().rposition(begins).unwrap_or(0);
        self.events[since..].contains(event)
    }

    /// Writes one more event.
    pub(super) async fn add(&mut self, event: IncidentEvent) -> Result<(), Error> {
        let now = self.app.clock.now();
        self.mark(now).await?;
        let happened = event.clone();
        self.journal
            .append(Event::Incident { happened }, now)
            .await?;
        self.incident.apply(&event, now);
        self.events.push(event);
        self.changed = true;
        Ok(())
    }

    fn marker(&self) -> String {
        format!("{OPEN}{}", self.incident.id)
    }

    /// Makes it be found, before anything of it is written: an incident that is not over is never
    /// forgotten.
    async fn mark(&mut self, now: DateTime<Utc>) -> Result<(), Error> {
        if self.marked {
            return Ok(());
        }
        let store = self.app.store()?;
        let nothing = || Bytes::from_static(b"{}");
        store.create_bytes(&self.marker(), nothing()).await?;
        let opened = self.incident.opened.unwrap_or(now).timestamp_millis();
        let id = &self.incident.id;
        let place = format!("{BY_TIME}{:014}-{id}", 99_999_999_999_999_i64 - opened);
        store.create_bytes(&place, nothing()).await?;
        self.marked = true;
        Ok(())
    }

    /// Does what is due, hands what is to be told to the outbox, and lets go. Gives the incident as
    /// it is then, and whether anything was told. Without `means` nothing is done yet: the minute
    /// tick comes back to it.
    pub(super) async fn finish(
        mut self,
        means: Option<&Means<'_>>,
    ) -> anyhow::Result<(Incident, bool)> {
        let (store, now) = (self.app.store()?, self.app.clock.now());
        if self.incident.opened.is_none() {
            // Whoever made it died before its first event: its signal comes again, and marks it anew.
            store.delete(&self.marker()).await?;
            self.lease.release().await;
            return Ok((self.incident, false));
        }
        let before = self.incident.next;
        let mut ahead = self.incident.clone();
        let plan = match means {
            Some(means) => advance(&mut ahead, means, now),
            None => Plan {
                events: Vec::new(),
                next: Some(now),
            },
        };
        for event in plan.events {
            self.add(event).await?;
        }
        let told = !self.incident.unposted.is_empty();
        if told {
            let mut posted = Vec::new();
            for notice in &self.incident.unposted {
                notify::post(self.app, notice)
                    .await
                    .with_context(|| format!("post notice `{}`", notice.id))?;
                posted.push(notice.id.clone());
            }
            self.add(IncidentEvent::Posted { notices: posted }).await?;
        }
        self.incident.next = plan.next;
        if self.changed || before != plan.next {
            store.overwrite(&self.incident, &self.lease).await?;
        }
        // As long as something is to come, or an end was told to nobody yet, a tick must find it.
        let waits = !self.incident.unposted.is_empty() || !self.incident.announcements.is_empty();
        if plan.next.is_none() && !waits {
            store.delete(&self.marker()).await?;
        }
        self.lease.release().await;
        Ok((self.incident, told))
    }
}
