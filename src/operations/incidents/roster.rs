//! What an incident is judged by besides itself: the policy, who is on duty, what is to be quiet.

use chrono::{DateTime, Utc};

use super::plan::{Means, OnDuty, Roster};
use super::state::Incident;
use crate::app::App;
use crate::domain::Contact;
use crate::domain::{Override, Quiet};
use crate::estate::{Estate, IncidentPolicy};
use crate::operations::{Heard, oncall, quiet};

/// Read once for everything that is done at a time.
pub(super) struct Surroundings<'a> {
    /// `None` if the estate file cannot be read: then incidents are written down, and told when it
    /// can.
    estate: Option<&'a Estate>,
    fallback: IncidentPolicy,
    overrides: Vec<Override>,
    quiet: Vec<Quiet>,
    /// How many documents of these could not be read, and do not hold.
    pub(super) unread: usize,
}

impl<'a> Surroundings<'a> {
    pub(super) async fn read(app: &'a App) -> anyhow::Result<Self> {
        let estate = match app.estate() {
            Ok(estate) => Some(estate),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "nobody can be told");
                None
            }
        };
        let (overrides, quiet) = match estate {
            Some(_) => (
                oncall::overrides(app, app.clock.now()).await?,
                quiet::in_force(app, app.clock.now()).await?,
            ),
            None => (Heard::default(), Heard::default()),
        };
        // One of them that is damaged must not keep everybody from being told of everything.
        let unread = [&overrides.unread[..], &quiet.unread].concat();
        for finding in &unread {
            tracing::error!(
                code = finding.code,
                subject = finding.subject,
                "{}",
                finding.message
            );
        }
        Ok(Self {
            estate,
            fallback: IncidentPolicy::default(),
            overrides: overrides.what,
            quiet: quiet.what,
            unread: unread.len(),
        })
    }

    pub(super) fn policy(&self) -> &IncidentPolicy {
        self.estate
            .map_or(&self.fallback, |estate| &estate.incidents)
    }

    /// What is to be quiet of an incident now, if anything: until the last of it ends.
    fn quiet(&self, incident: &Incident) -> Option<(String, String, DateTime<Utc>)> {
        let covering = self
            .quiet
            .iter()
            .filter(|q| q.covers(&incident.key, incident.priority, incident.class));
        covering
            .max_by_key(|q| q.until)
            .map(|q| (q.name.clone(), q.reason.clone(), q.until))
    }

    /// What a plan of an incident is made by; `None` if nobody can be told now.
    pub(super) fn means(&'a self, app: &'a App, incident: &Incident) -> Option<Means<'a>> {
        let estate = self.estate?;
        let tenant = incident.key.tenant.as_ref();
        let tenant = tenant.and_then(|id| estate.tenants.iter().find(|t| t.id == *id));
        let contacts: &[Contact] = tenant.map_or(&[], |tenant| &tenant.contacts);
        Some(Means {
            policy: self.policy(),
            roster: self,
            zone: estate.zone,
            quiet: self.quiet(incident),
            public_url: app.config.public_url.as_deref(),
            tenant: contacts,
        })
    }

    /// Whether there is such a level.
    pub(super) fn knows(&self, level: &str) -> bool {
        self.estate
            .is_some_and(|estate| estate.oncall.level(level).is_some())
    }

    /// Whether an incident is to be quiet, and is not, or the other way round.
    pub(super) fn turns_quiet(&self, incident: &Incident) -> bool {
        self.quiet(incident).is_some() != incident.quiet.is_some()
    }
}

impl Roster for Surroundings<'_> {
    fn reach(&self, level: &str, at: DateTime<Utc>) -> Option<OnDuty> {
        let estate = self.estate?;
        let duty = estate
            .oncall
            .reach(&self.overrides, level, at, estate.zone)?;
        Some(OnDuty {
            level: duty.level,
            person: duty.person,
            contacts: duty.contacts,
        })
    }

    fn next_business(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        self.estate
            .map_or(at, |estate| estate.oncall.next_business(at, estate.zone))
    }

    fn above(&self, level: &str) -> Option<String> {
        self.estate?.oncall.level(level)?.next.clone()
    }
}
