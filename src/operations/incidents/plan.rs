//! What is to happen to an incident by the clock, and when. Pure.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use super::absorb::{OURSELVES, ago};
use super::state::{Incident, Quiet, Status};
use super::tell::Telling;
use crate::domain::{Contact, IncidentEvent, Trust};
use crate::estate::{After, Escalation, IncidentPolicy};

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

/// When the steps of a round are due.
pub(super) fn due<'a>(
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
pub(super) fn repeats(
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
pub(super) fn reminders(
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
