//! What is to happen to an incident by the clock, and who is to be told. Pure.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use super::absorb::{OURSELVES, ago, is_flapping};
use super::state::{Announcement, Incident, Quiet, Status};
use crate::domain::{Act, Class, Contact, IncidentEvent, Message, Notice, Priority, Trust};
use crate::estate::{After, Escalation, IncidentPolicy, Step};

/// Who is there to be told.
pub(super) trait Roster: Sync {
    /// Whoever is on duty at a level at a time, or above it.
    fn reach(&self, level: &str, at: DateTime<Utc>) -> Option<OnDuty>;
    /// The beginning of the next business hours, or `at` within them.
    fn next_business(&self, at: DateTime<Utc>) -> DateTime<Utc>;
    /// The level after this one.
    fn above(&self, level: &str) -> Option<String>;
}

/// One who is on duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnDuty {
    pub(super) level: String,
    pub(super) person: String,
    pub(super) contacts: Vec<Contact>,
}

/// What a plan is made by, besides the incident.
pub(super) struct Means<'a> {
    pub(super) policy: &'a IncidentPolicy,
    pub(super) roster: &'a dyn Roster,
    pub(super) zone: Tz,
    /// What keeps it quiet now.
    pub(super) quiet: Option<(String, String, DateTime<Utc>)>,
    pub(super) public_url: Option<&'a str>,
    /// Contacts of the incident's own tenant.
    pub(super) tenant: &'a [Contact],
}

/// What happens now, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) events: Vec<IncidentEvent>,
    /// `None` when it is over.
    pub(super) next: Option<DateTime<Utc>>,
}

/// Plans until nothing more is to happen at `now`: the events in order, each already in `incident`.
pub(super) fn advance(incident: &mut Incident, means: &Means<'_>, now: DateTime<Utc>) -> Plan {
    let mut events = Vec::new();
    // Each round makes what the one before it asked for known, so this ends; the bound is for the
    // case that it does not.
    for _ in 0..16 {
        let happening = step(incident, means, now);
        if happening.is_empty() {
            break;
        }
        for event in happening {
            incident.apply(&event, now);
            events.push(event);
        }
    }
    let next = next(incident, means, now);
    incident.next = next;
    Plan { events, next }
}

/// What happens first at `now`.
fn step(incident: &Incident, means: &Means<'_>, now: DateTime<Utc>) -> Vec<IncidentEvent> {
    if incident.opened.is_none() {
        return Vec::new();
    }
    if incident.status != Status::Resolved
        && let Some(event) = by_clock(incident, means, now)
    {
        return vec![event];
    }
    let mut telling = Telling::new(incident, means, now);
    if incident.quiet.is_none() {
        telling.announcements();
        telling.ticket();
        telling.tenant();
        telling.wanted();
        telling.escalation();
        telling.reminder();
    }
    telling.events()
}

/// What time alone makes of it.
fn by_clock(incident: &Incident, means: &Means<'_>, now: DateTime<Utc>) -> Option<IncidentEvent> {
    let by = || OURSELVES.to_owned();
    match (&incident.quiet, &means.quiet) {
        (None, Some((by, reason, until))) if *until > now => {
            return Some(IncidentEvent::Quieted {
                by: by.clone(),
                reason: reason.clone(),
                until: *until,
            });
        }
        (Some(quiet), None) => {
            return Some(IncidentEvent::Unquieted {
                by: by(),
                reason: format!("`{}` is over", quiet.by),
            });
        }
        (Some(quiet), Some((name, reason, until)))
            if (&quiet.by, quiet.until) != (name, *until) && *until > now =>
        {
            return Some(IncidentEvent::Quieted {
                by: name.clone(),
                reason: reason.clone(),
                until: *until,
            });
        }
        _ => {}
    }
    if incident.status == Status::Acknowledged
        && let Some(ack) = &incident.acknowledgement
        && ack.until <= now
    {
        if !incident.is_firing() && !incident.is_for_people() && !incident.kept_open {
            return Some(IncidentEvent::Mitigated {
                by: by(),
                reason: format!(
                    "{} had it until {}, and nothing of it fires now",
                    ack.by,
                    clock(ack.until, means.zone)
                ),
            });
        }
        return Some(IncidentEvent::Unacknowledged {
            by: by(),
            reason: format!(
                "{} had it until {}, and it is not over",
                ack.by,
                clock(ack.until, means.zone)
            ),
        });
    }
    let forged = matches!(incident.trust, Trust::Denied { .. });
    if forged
        && incident
            .last_fired
            .is_some_and(|at| now - at >= means.policy.dedupe)
    {
        return Some(IncidentEvent::Resolved {
            by: by(),
            reason: format!("nothing confirmed it for {}", ago(means.policy.dedupe)),
        });
    }
    if ends_by_itself(incident)
        && calm_since(incident).is_some_and(|since| now - since >= means.policy.calm)
    {
        return Some(IncidentEvent::Resolved {
            by: by(),
            reason: format!("it has been calm for {}", ago(means.policy.calm)),
        });
    }
    None
}

/// Whether it is over once it has been calm: nobody is at it who says otherwise.
fn ends_by_itself(incident: &Incident) -> bool {
    let calms = matches!(incident.status, Status::Mitigated | Status::Acknowledged);
    calms && !incident.is_for_people() && !incident.kept_open
}

/// Since when nothing of a mitigated incident fires; `None` while something does.
fn calm_since(incident: &Incident) -> Option<DateTime<Utc>> {
    if incident.is_firing() {
        return None;
    }
    incident
        .last_cleared
        .max(incident.mitigated)
        .max(incident.paused)
        .max(incident.last_fired)
}

/// Collects whom to tell, and why.
struct Telling<'a> {
    incident: &'a Incident,
    means: &'a Means<'a>,
    now: DateTime<Utc>,
    reasons: Vec<String>,
    notices: Vec<Notice>,
    /// Told to the incident's own page only.
    remarks: Vec<IncidentEvent>,
}

impl<'a> Telling<'a> {
    fn new(incident: &'a Incident, means: &'a Means<'a>, now: DateTime<Utc>) -> Self {
        Self {
            incident,
            means,
            now,
            reasons: Vec::new(),
            notices: Vec::new(),
            remarks: Vec::new(),
        }
    }

    fn events(self) -> Vec<IncidentEvent> {
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
    fn announcements(&mut self) {
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

    fn ticket(&mut self) {
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
    fn tenant(&mut self) {
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
    fn wanted(&mut self) {
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
    fn escalation(&mut self) {
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
    fn reminder(&mut self) {
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

/// When the steps of a round are due.
fn due<'a>(
    line: &'a Escalation,
    round: &'a super::state::Round,
    roster: &'a dyn Roster,
) -> Vec<(usize, DateTime<Utc>)> {
    let first = round.first.min(line.steps.len().saturating_sub(1));
    let base = match line.steps.get(first).map(|step| step.after) {
        Some(After::Time(after)) => after,
        _ => Duration::zero(),
    };
    line.steps
        .iter()
        .enumerate()
        .skip(first)
        .map(|(index, step)| {
            let at = match step.after {
                After::Time(after) => round.since + (after - base).max(Duration::zero()),
                // What was begun once in business hours goes on when it is given back.
                After::Business => roster.next_business(round.since),
            };
            (index, at)
        })
        .collect()
}

/// The last step of a round, how often it is to have been repeated by `now`, and when the next
/// repetition is due. Only the newest repetition counts: missed ones are not made up for.
fn repeats(
    line: &Escalation,
    round: &super::state::Round,
    roster: &dyn Roster,
    now: DateTime<Utc>,
) -> Option<(usize, i64, DateTime<Utc>)> {
    let (index, at) = due(line, round, roster).pop()?;
    let every = line.repeat.num_milliseconds().max(1);
    let passed = (now - at).num_milliseconds().max(0) / every;
    let next = at + Duration::milliseconds(every * (passed + 1));
    Some((index, passed, next))
}

/// How many reminders of a mitigated incident are due by `now`, and when the next is.
fn reminders(
    incident: &Incident,
    means: &Means<'_>,
    now: DateTime<Utc>,
) -> Option<(i64, DateTime<Utc>)> {
    let stays = incident.is_for_people() || incident.is_firing();
    if incident.status != Status::Mitigated || !stays {
        return None;
    }
    let since = incident.last_cleared.max(incident.mitigated)?;
    let every = means.policy.remind.num_milliseconds().max(1);
    let passed = (now - since).num_milliseconds().max(0) / every;
    Some((passed, since + Duration::milliseconds(every * (passed + 1))))
}

/// When something is to be done next. Every incident that is not over has such a time.
fn next(incident: &Incident, means: &Means<'_>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if incident.opened.is_none() || incident.status == Status::Resolved {
        return None;
    }
    if let Some(Quiet { until, .. }) = &incident.quiet {
        return Some(*until);
    }
    let policy = means.policy;
    let line = policy.line(incident.class, incident.priority);
    match incident.status {
        Status::Open => {
            let round = incident.round.as_ref()?;
            let steps = due(line, round, means.roster).into_iter().map(|(_, at)| at);
            let soon = steps.filter(|at| *at > now).min();
            soon.or_else(|| repeats(line, round, means.roster, now).map(|(.., next)| next))
        }
        Status::Acknowledged => {
            let until = incident.acknowledgement.as_ref().map(|ack| ack.until);
            let calm = calm_since(incident).filter(|_| ends_by_itself(incident));
            until
                .into_iter()
                .chain(calm.map(|at| at + policy.calm))
                .min()
        }
        Status::Mitigated => reminders(incident, means, now)
            .map(|(_, next)| next)
            .or_else(|| calm_since(incident).map(|since| since + policy.calm)),
        Status::Resolved => None,
    }
}

fn clock(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string()
}
