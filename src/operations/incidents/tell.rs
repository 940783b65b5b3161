//! Whom a plan tells, why, and in which words. Pure.

use chrono::{DateTime, Utc};

use super::absorb::{OURSELVES, ago, is_flapping};
use super::plan::{Means, due, reminders, repeats};
use super::state::{Announcement, Incident, Status};
use crate::domain::{Act, Class, Contact, IncidentEvent, Message, Notice, Priority, Trust};
use crate::estate::{Escalation, Step};

/// Collects whom to tell, and why.
pub(super) struct Telling<'a> {
    incident: &'a Incident,
    means: &'a Means<'a>,
    now: DateTime<Utc>,
    reasons: Vec<String>,
    notices: Vec<Notice>,
    /// Told to the incident's own page only.
    remarks: Vec<IncidentEvent>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(incident: &'a Incident, means: &'a Means<'a>, now: DateTime<Utc>) -> Self {
        Self {
            incident,
            means,
            now,
            reasons: Vec::new(),
            notices: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn events(self) -> Vec<IncidentEvent> {
        let mut events = self.remarks;
        if !self.reasons.is_empty() {
            events.push(IncidentEvent::Telling {
                reasons: self.reasons,
                notices: self.notices,
            });
        }
        events
    }

    fn is_news(&self, reason: &str) -> bool {
        !self.incident.told.contains(reason) && !self.reasons.iter().any(|r| r == reason)
    }

    /// What a tenant's people are told: that it is so, in our words, and nothing of how we know.
    fn for_tenant(&self, act: Act, said: &str) -> Message {
        let incident = self.incident;
        Message {
            incident: incident.id.clone(),
            act,
            priority: incident.priority,
            class: incident.class,
            tenant: incident.key.tenant.clone(),
            title: "A disturbance of your service".into(),
            text: said.to_owned(),
            facts: Vec::new(),
            link: None,
            at: self.now,
        }
    }

    fn message(&self, act: Act, why: String) -> Message {
        let incident = self.incident;
        let text = match (why.is_empty(), incident.text.is_empty()) {
            (true, _) => incident.text.clone(),
            (false, true) => why,
            (false, false) => format!("{}\n\n{why}", incident.text),
        };
        let link = self
            .means
            .public_url
            .map(|url| format!("{url}/api/incidents/{}", incident.id));
        Message {
            incident: incident.id.clone(),
            act,
            priority: incident.priority,
            class: incident.class,
            tenant: incident.key.tenant.clone(),
            title: incident.title.clone(),
            text,
            facts: incident.facts.clone(),
            link,
            at: self.now,
        }
    }

    /// What happened to it, for everybody who knows of it.
    pub(super) fn announcements(&mut self) {
        let flapping = is_flapping(self.incident, self.means.policy, self.now);
        let mut told = self.incident.told.iter();
        let ended = told.any(|reason| reason.starts_with("resolved-"));
        for one in &self.incident.announcements {
            let Announcement {
                reason, act, text, ..
            } = one;
            let mut text = text.clone();
            let again = reason.starts_with("reopened-");
            if flapping && *act == Act::Update && !again {
                // Each turn told would be noise: that it turns is told once.
                let once = format!("flapping-{}", self.incident.rounds);
                if !self.is_news(&once) {
                    self.reasons.push(reason.clone());
                    continue;
                }
                self.reasons.push(once);
                text = format!(
                    "It comes and goes. You hear of it again when it has been calm for {}, or is given to somebody else.",
                    ago(self.means.policy.calm)
                );
            }
            // Everybody on the way was told of it by the same name and place.
            for (number, to) in self.incident.recipients.iter().enumerate() {
                let audience = Audience::of(&to.name);
                let said = match audience {
                    Audience::Operations => text.clone(),
                    // Who has heard that it is over has to hear of this.
                    Audience::Tenant if again && ended => AGAIN.to_owned(),
                    Audience::Tenant => for_tenants(*act).to_owned(),
                };
                if said.is_empty() {
                    continue;
                }
                self.notices.push(Notice {
                    id: format!("{reason}.{number}"),
                    recipient: to.name.clone(),
                    contacts: to.contacts.clone(),
                    message: match audience {
                        Audience::Operations => self.message(*act, said),
                        Audience::Tenant => self.for_tenant(*act, &said),
                    },
                });
            }
            self.reasons.push(reason.clone());
        }
    }

    pub(super) fn ticket(&mut self) {
        let policy = self.means.policy;
        if let Some(contact) = &policy.tickets
            && self.incident.priority >= policy.tickets_from
            && self.incident.status != Status::Resolved
            && !matches!(self.incident.trust, Trust::Denied { .. })
            && self.is_news("ticket")
        {
            let message = self.message(Act::Trigger, String::new());
            self.say("ticket", "ticket", vec![contact.clone()], message);
        }
    }

    /// The tenant's own people hear of what is confirmed and is theirs.
    pub(super) fn tenant(&mut self) {
        let incident = self.incident;
        let Some(tenant) = &incident.key.tenant else {
            return;
        };
        let theirs = incident.class == Class::Operations
            && incident.priority >= Priority::High
            && incident.status != Status::Resolved
            && matches!(incident.trust, Trust::Confirmed { .. });
        if theirs && !self.means.tenant.is_empty() && self.is_news("tenant") {
            let message = self.for_tenant(Act::Trigger, BEGINS);
            let name = format!("{TENANT}{tenant}");
            self.say("tenant", &name, self.means.tenant.to_vec(), message);
        }
    }

    /// What somebody asked for.
    pub(super) fn wanted(&mut self) {
        let line = self.line();
        for (reason, level, why) in &self.incident.wanted {
            let level = level.clone().or_else(|| {
                let Some(reached) = self.incident.reached else {
                    return line.steps.first().map(|step| step.level.clone());
                };
                // Each time it is asked for, one level higher than was told.
                let last = line.steps.len() - 1;
                let wanted = reached + self.incident.raised as usize;
                match line.steps.get(wanted) {
                    Some(step) => Some(step.level.clone()),
                    None => {
                        let level = &line.steps[last].level;
                        self.means.roster.above(level).or(Some(level.clone()))
                    }
                }
            });
            let Some(level) = level else { continue };
            let why = format!("Escalated to {level}: {why}");
            self.page(reason, &level, &[], why);
        }
    }

    fn line(&self) -> &'a Escalation {
        self.means
            .policy
            .line(self.incident.class, self.incident.priority)
    }

    /// The steps of the escalation that are due.
    pub(super) fn escalation(&mut self) {
        if self.incident.status != Status::Open {
            return;
        }
        let Some(round) = &self.incident.round else {
            return;
        };
        let line = self.line();
        if matches!(self.incident.trust, Trust::Denied { .. }) {
            // What Azure knows nothing of wakes nobody; who looks after security is told once.
            let once = format!("denied-{}", round.number);
            if self.is_news(&once) {
                let line = self
                    .means
                    .policy
                    .line(Class::Security, self.incident.priority);
                let level = line.steps[0].level.clone();
                let why = "Azure knows nothing of this alert: it may be forged. Nothing was done about it.";
                self.page(&once, &level, &[], why.into());
            }
            return;
        }
        let mut newest = None;
        for (index, at) in due(line, round, self.means.roster) {
            if at > self.now {
                break;
            }
            let reason = format!("page-{}-{index}-0", round.number);
            if self.is_news(&reason) {
                let step = &line.steps[index];
                let why = self.why(line, index, step);
                self.page(&reason, &step.level, &step.also, why);
                newest = Some(index);
            }
        }
        if let Some((index, repeat, _)) = repeats(line, round, self.means.roster, self.now)
            && repeat > 0
        {
            let reason = format!("page-{}-{index}-{repeat}", round.number);
            if newest == Some(index) {
                // After ticks that were missed: who is told of the step now is not told twice.
                self.reasons.push(reason);
            } else if self.is_news(&reason) {
                let step = &line.steps[index];
                let why = format!(
                    "Nobody has it yet. {} is told again, and every {} until somebody does.",
                    step.level,
                    ago(line.repeat)
                );
                self.page(&reason, &step.level, &step.also, why);
            }
        }
    }

    fn why(&self, line: &Escalation, index: usize, step: &Step) -> String {
        let incident = self.incident;
        let mut said = format!(
            "{} is told because this is {}",
            step.level,
            match incident.class {
                Class::Operations => incident.priority.to_string(),
                Class::Security => "a security incident".to_owned(),
            }
        );
        if index > 0 {
            said.push_str(" and nobody below has it");
        }
        if is_flapping(incident, self.means.policy, self.now) {
            said.push_str("; it comes and goes");
        }
        if let Trust::Unconfirmed { why } = &incident.trust {
            said.push_str(&format!("; not confirmed: {why}"));
        }
        match line.steps.get(index + 1) {
            Some(next) => said.push_str(&format!(
                ". Without an answer, {} is told next.",
                next.level
            )),
            None => said.push('.'),
        }
        said
    }

    /// A mitigated incident that does not end by itself is not forgotten.
    pub(super) fn reminder(&mut self) {
        let Some((number, _)) = reminders(self.incident, self.means, self.now) else {
            return;
        };
        if number == 0 {
            return;
        }
        let reason = format!("remind-{}-{number}", self.incident.rounds);
        if self.is_news(&reason) {
            let line = self.line();
            let step = self.incident.reached.unwrap_or(0).min(line.steps.len() - 1);
            let level = line.steps[step].level.clone();
            let why = if self.incident.is_firing() {
                "Mitigated, and its alert still fires. Look whether it can be resolved."
            } else {
                "Mitigated, and only a person may end it. Look whether it can be resolved."
            };
            self.page(&reason, &level, &[], why.into());
        }
    }

    /// Tells whoever is on duty at the levels.
    fn page(&mut self, reason: &str, level: &str, also: &[String], why: String) {
        let mut nobody = Vec::new();
        let mut told = Vec::new();
        for level in std::iter::once(level).chain(also.iter().map(String::as_str)) {
            match self.means.roster.reach(level, self.now) {
                Some(duty) if told.contains(&duty.person) => {}
                Some(duty) => {
                    let why = if duty.level == level {
                        why.clone()
                    } else {
                        format!(
                            "{why} Nobody of {level} is on duty, so {} is told.",
                            duty.level
                        )
                    };
                    let message = self.message(Act::Trigger, why);
                    let name = format!("{} ({})", duty.level, duty.person);
                    let id = format!("{reason}.{}", told.len());
                    self.notices.push(Notice {
                        id,
                        recipient: name,
                        contacts: duty.contacts,
                        message,
                    });
                    told.push(duty.person);
                }
                None => nobody.push(level.to_owned()),
            }
        }
        if told.is_empty() {
            self.remarks.push(IncidentEvent::Evidence {
                by: OURSELVES.into(),
                title: "nobody on duty".into(),
                text: format!(
                    "nobody could be told: no duty at or above {}",
                    nobody.join(", ")
                ),
                facts: Vec::new(),
            });
        }
        self.reasons.push(reason.to_owned());
    }

    fn say(&mut self, reason: &str, name: &str, contacts: Vec<Contact>, message: Message) {
        self.notices.push(Notice {
            id: format!("{reason}.0"),
            recipient: name.to_owned(),
            contacts,
            message,
        });
        self.reasons.push(reason.to_owned());
    }
}

const TENANT: &str = "tenant ";

/// Who reads a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Operations,
    Tenant,
}

impl Audience {
    fn of(recipient: &str) -> Self {
        if recipient.starts_with(TENANT) {
            Self::Tenant
        } else {
            Self::Operations
        }
    }
}

const BEGINS: &str = "Something that concerns you does not work as it should. We were told at once and look into it.";
const AGAIN: &str = "It has begun again. We are working on it.";

/// What a tenant is told of how we work: that it goes on, and that it is over.
fn for_tenants(act: Act) -> &'static str {
    match act {
        Act::Trigger => "",
        Act::Acknowledge => "We are working on it.",
        Act::Update => "",
        Act::Resolve => "It is over.",
    }
}
