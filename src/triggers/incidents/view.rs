//! What the pages show, in words. Pure.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use crate::changes::ChangeRecord;
use crate::domain::{Act, IncidentEvent, Mutation, Outcome, Trust, health_after, utilizations};
use crate::notify::{self, Told, ToldState};
use crate::operations::incidents::{Incident, Shown, Status};

/// A moment, for machines and for people.
pub(in crate::triggers) struct Moment {
    pub(in crate::triggers) iso: String,
    pub(in crate::triggers) text: String,
}

pub(in crate::triggers) fn moment(at: DateTime<Utc>, zone: Tz) -> Moment {
    Moment {
        iso: at.to_rfc3339(),
        text: at
            .with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S %Z")
            .to_string(),
    }
}

/// A span, as exact as somebody who is in a hurry wants it.
pub(super) fn span(span: Duration) -> String {
    let minutes = span.num_minutes().max(0);
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{} s", span.num_seconds().max(0)),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// When something is to be, as seen from now.
pub(super) fn ahead(at: DateTime<Utc>, now: DateTime<Utc>, zone: Tz) -> String {
    let clock = at.with_timezone(&zone);
    if at <= now {
        return "now".into();
    }
    let date = if clock.date_naive() == now.with_timezone(&zone).date_naive() {
        clock.format("%H:%M")
    } else {
        clock.format("%Y-%m-%d %H:%M")
    };
    format!("{date}, in {}", span(at - now))
}

/// A status by its shape: never by colour alone.
pub(super) fn mark(status: Status) -> &'static str {
    match status {
        Status::Open => "●",
        Status::Acknowledged => "◐",
        Status::Mitigated => "◇",
        Status::Resolved => "✓",
    }
}

/// No more than so many characters.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most).collect();
    short.push('…');
    short
}

/// One line of the list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) status: &'static str,
    pub(super) mark: &'static str,
    pub(super) priority: &'static str,
    pub(super) security: bool,
    pub(super) tenant: Option<String>,
    pub(super) opened: Moment,
    pub(super) age: String,
    /// Who has it, what is next.
    pub(super) stands: String,
}

pub(super) fn row(incident: &Incident, now: DateTime<Utc>, zone: Tz) -> Row {
    let status = incident.status_at(now);
    let opened = incident.opened.unwrap_or(now);
    let due = |what: &str| {
        incident
            .next
            .map(|at| format!("{what} {}", ahead(at, now, zone)))
    };
    let stands = match (status, &incident.acknowledgement) {
        (Status::Acknowledged, Some(ack)) => {
            format!("{} has it until {}", ack.by, ahead(ack.until, now, zone))
        }
        (Status::Resolved, _) => match (&incident.ended_by, incident.took(incident.resolved)) {
            (Some(by), Some(took)) => format!("ended by {by} after {}", span(took)),
            _ => String::new(),
        },
        (Status::Mitigated, _) => due("looked at again").unwrap_or_default(),
        _ if incident.quiet.as_ref().is_some_and(|q| q.until > now) => {
            due("kept quiet; next").unwrap_or_default()
        }
        _ => due("nobody has it; next").unwrap_or_else(|| "nobody has it".into()),
    };
    Row {
        id: incident.id.to_string(),
        title: short(&incident.title, 200),
        status: status.as_str(),
        mark: mark(status),
        priority: incident.priority.as_str(),
        security: incident.is_for_people(),
        tenant: incident.key.tenant.clone(),
        opened: moment(opened, zone),
        age: span(now - opened),
        stands,
    }
}

/// What happens next, in a sentence.
pub(super) fn next(incident: &Incident, now: DateTime<Utc>, zone: Tz) -> String {
    let due = incident.next.map(|at| ahead(at, now, zone));
    let due = due.map_or_else(String::new, |at| format!(" What is due next: {at}."));
    if let Some(quiet) = incident.quiet.as_ref().filter(|quiet| quiet.until > now) {
        let until = ahead(quiet.until, now, zone);
        return format!(
            "Kept quiet by {} until {until}: {}. Nobody is told before.",
            quiet.by, quiet.reason
        );
    }
    match (incident.status_at(now), &incident.acknowledgement) {
        (Status::Acknowledged, Some(ack)) => {
            let until = ahead(ack.until, now, zone);
            format!(
                "{} has it until {until}. Without an end by then, the clock of the escalation runs again.",
                ack.by
            )
        }
        (Status::Mitigated, _) => {
            format!("It hurts nobody any more; what is behind it may still be there.{due}")
        }
        (Status::Resolved, _) => {
            let by = incident.ended_by.as_deref().unwrap_or("nobody known");
            format!("It is over, ended by {by}. Nobody is told any more.")
        }
        _ => format!(
            "Nobody has it: the clock of the escalation runs until somebody acknowledges it.{due}"
        ),
    }
}

/// Who is told next, and what keeps it from happening.
pub(super) fn told_next(shown: &Shown, now: DateTime<Utc>, zone: Tz) -> Option<String> {
    let next = shown.told_next.as_ref()?;
    let at = ahead(next.at, now, zone);
    Some(next.sentence(&at, shown.status_now))
}

pub(super) fn trust(trust: &Trust) -> String {
    match trust {
        Trust::Confirmed { how } => format!("confirmed: {how}"),
        Trust::Unconfirmed { why } => format!("not confirmed: {why}"),
        Trust::Denied { why } => format!("denied: {why}"),
    }
}

/// One event of the timeline.
pub(super) struct Happened {
    pub(super) at: Moment,
    pub(super) actor: String,
    pub(super) what: String,
    pub(super) detail: String,
    pub(super) facts: Vec<(String, String)>,
}

pub(super) fn happened(event: &IncidentEvent, at: DateTime<Utc>, zone: Tz) -> Happened {
    Happened {
        at: moment(at, zone),
        actor: event.actor().to_owned(),
        what: event.headline(),
        detail: event.detail(),
        facts: match event {
            IncidentEvent::Evidence { facts, .. } => facts.clone(),
            IncidentEvent::Fired { signal, .. } => signal.facts.clone(),
            _ => Vec::new(),
        },
    }
}

/// One step of a repair, with the change that it was.
pub(super) struct Repair {
    pub(super) at: Moment,
    pub(super) action: String,
    pub(super) outcome: String,
    pub(super) healthy: &'static str,
    pub(super) run: String,
    pub(super) change: Option<Changed>,
}

/// A change, before and after.
pub(super) struct Changed {
    pub(super) id: String,
    pub(super) difference: String,
    pub(super) why: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) verified: String,
    pub(super) by: String,
    pub(super) settled: Option<Moment>,
}

pub(super) fn repair(
    event: &IncidentEvent,
    at: DateTime<Utc>,
    record: Option<&ChangeRecord>,
    zone: Tz,
) -> Option<Repair> {
    let IncidentEvent::Repair {
        action,
        run,
        outcome,
        healthy,
        ..
    } = event
    else {
        return None;
    };
    Some(Repair {
        at: moment(at, zone),
        action: action.clone(),
        outcome: outcome.clone(),
        healthy: health_after(*healthy),
        run: run.clone(),
        change: record.map(|record| changed(record, zone)),
    })
}

fn changed(record: &ChangeRecord, zone: Tz) -> Changed {
    let (before, after) = sides(&record.change.mutation);
    let verified = match &record.outcome {
        None => "not decided yet".into(),
        Some(Outcome::Verified { seen }) => format!("yes, read back as {seen}"),
        Some(Outcome::NotVerified { wanted, seen }) => {
            format!("no: wanted {wanted}, and {seen} was read back")
        }
        Some(other) => format!("not made: {other}"),
    };
    Changed {
        id: record.id.to_string(),
        difference: record.difference.clone(),
        why: record.change.why.clone(),
        before,
        after,
        verified,
        by: record.by.clone(),
        settled: record.settled.map(|at| moment(at, zone)),
    }
}

/// What was, and what was to be.
fn sides(mutation: &Mutation) -> (String, String) {
    let weights = |list: &[crate::domain::Weight]| {
        let parts: Vec<_> = list.iter().map(ToString::to_string).collect();
        parts.join(", ")
    };
    match mutation {
        Mutation::CosmosThroughput { from, to } => (from.to_string(), to.to_string()),
        Mutation::AppReplicas { from, to } => (from.to_string(), to.to_string()),
        Mutation::AppScaleRules { from, to } => (utilizations(from), utilizations(to)),
        Mutation::AppTraffic { from, to } => (weights(from), weights(to)),
        Mutation::CosmosIndexing { from, to, .. } => {
            ("the index as it was".into(), from.difference(to))
        }
        Mutation::AppRestart { revision, replicas } => {
            let names: Vec<_> = replicas.iter().map(|r| r.name.as_str()).collect();
            (
                format!(
                    "{revision} with {} ({})",
                    count(names.len(), "replica"),
                    names.join(", ")
                ),
                "none of these replicas left, others in their place".into(),
            )
        }
        Mutation::CacheFlush => ("the keys of all tenants".into(), "no key".into()),
        Mutation::LogDeletion {
            blobs, of_blobs, ..
        } => (
            format!("{of_blobs} blobs"),
            format!("{} blobs", of_blobs.saturating_sub(*blobs)),
        ),
    }
}

fn count(number: usize, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {of}{plural}")
}

/// One notice, and what came of it.
pub(super) struct Notified {
    pub(super) posted: Moment,
    pub(super) recipient: String,
    pub(super) channel: String,
    pub(super) act: &'static str,
    pub(super) state: String,
    pub(super) ticket: Option<String>,
    pub(super) tries: Vec<(Moment, String)>,
}

pub(super) fn notified(told: &Told, zone: Tz) -> Notified {
    let at = |at: DateTime<Utc>| moment(at, zone).text;
    Notified {
        posted: moment(told.posted, zone),
        recipient: told.recipient.clone(),
        channel: told.channel.clone(),
        act: match told.act {
            Act::Trigger => "paged",
            Act::Acknowledge => "told that somebody has it",
            Act::Update => "told an update",
            Act::Resolve => "told that it is over",
        },
        state: match &told.state {
            ToldState::Waiting { until: None, why } => format!("waits: {why}"),
            ToldState::Waiting {
                until: Some(until),
                why,
            } => format!("waits until {}: {why}", at(*until)),
            ToldState::Delivered { at: when } => format!("delivered {}", at(*when)),
            ToldState::Merged => "a newer update was sent instead".into(),
            ToldState::Overtaken => "it was over before it could be told".into(),
        },
        ticket: told.ticket.clone(),
        tries: told
            .attempts
            .iter()
            .map(|one| {
                let outcome = match one.outcome {
                    notify::Outcome::Taken => "taken",
                    notify::Outcome::Failed => "failed, and tried again",
                    notify::Outcome::Refused => "refused",
                    notify::Outcome::HandedOver => "handed over to the next contact",
                };
                let said = format!("{}: {outcome}: {}", one.channel, short(&one.said, 500));
                (moment(one.at, zone), said)
            })
            .collect(),
    }
}

/// Something that can be done now.
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) what: &'static str,
    pub(super) needs_reason: bool,
    pub(super) minutes: bool,
    pub(super) level: bool,
    /// Shown without being asked for.
    pub(super) first: bool,
}

/// What can be done about an incident that stands there.
pub(super) fn actions(status: Status) -> Vec<Action> {
    let action = |name, label, what| Action {
        name,
        label,
        what,
        needs_reason: true,
        minutes: false,
        level: false,
        first: false,
    };
    let ack = |label, first| Action {
        needs_reason: false,
        minutes: true,
        first,
        ..action(
            "ack",
            label,
            "You have it: the clock of the escalation stops for a while.",
        )
    };
    let unack = Action {
        needs_reason: false,
        ..action(
            "unack",
            "Give back",
            "The clock of the escalation runs again.",
        )
    };
    let mitigate = action(
        "mitigate",
        "Mitigated",
        "It hurts nobody any more; it stays on the list.",
    );
    let resolve = action(
        "resolve",
        "Resolve",
        "It is over: tickets are closed, nobody is told any more.",
    );
    let reopen = action(
        "reopen",
        "Reopen",
        "It is not over: whoever is on duty is told.",
    );
    let comment = action("comment", "Comment", "Kept in the timeline.");
    let escalate = Action {
        level: true,
        ..action("escalate", "Escalate", "A higher level is told at once.")
    };
    match status {
        Status::Open => vec![
            ack("Acknowledge", true),
            resolve,
            mitigate,
            escalate,
            comment,
        ],
        Status::Acknowledged => vec![
            Action {
                first: true,
                ..resolve
            },
            mitigate,
            ack("Keep it longer", false),
            unack,
            escalate,
            comment,
        ],
        Status::Mitigated => vec![
            Action {
                first: true,
                ..resolve
            },
            ack("Acknowledge", false),
            reopen,
            escalate,
            comment,
        ],
        Status::Resolved => vec![reopen, comment],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_exact_as_they_matter() {
        for (seconds, expected) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3660, "1 h 1 min"),
            (86_400, "1 d 0 h"),
            (180_000, "2 d 2 h"),
        ] {
            assert_eq!(span(Duration::seconds(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn a_moment_ahead_names_its_day_only_if_it_is_another() {
        let now = DateTime::UNIX_EPOCH + Duration::hours(14);
        let zone = chrono_tz::Asia::Tokyo;
        assert_eq!(ahead(now, now, zone), "now");
        assert_eq!(
            ahead(now + Duration::minutes(30), now, zone),
            "23:30, in 30 min"
        );
        assert_eq!(
            ahead(now + Duration::minutes(90), now, zone),
            "1970-01-02 00:30, in 1 h 30 min"
        );
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(short("日本語", 3), "日本語");
        assert_eq!(short("日本語です", 3), "日本語…");
    }
}
