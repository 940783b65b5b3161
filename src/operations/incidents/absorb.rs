//! What a signal does to the newest incident of its key. Pure.

use chrono::{DateTime, Duration, Utc};

use super::state::{Incident, Status};
use crate::domain::{Condition, IncidentEvent, Signal, Trust};
use crate::estate::IncidentPolicy;

/// Who acts when no person does.
pub(super) const OURSELVES: &str = "poolkeeper";

/// How many occurrences that have not ended an incident holds.
const MOST_FIRING: usize = 64;
/// How many events an incident has before what fires anew opens the next one: its chain is read
/// whole, and a blob takes no more than 50,000 appended blocks.
pub(super) const MOST_EVENTS: u64 = 2000;

/// What is to be done about a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These happen to the incident.
    Events(Vec<IncidentEvent>),
    /// These happen to the incident, which is over then; the signal opens the next one of its key.
    Next(Vec<IncidentEvent>),
    /// It is known, or there is nothing that it could be about.
    Nothing,
}

/// Judges a signal by the incident as it stands; a blank incident is one that begins now.
pub(super) fn absorb(
    incident: &Incident,
    signal: &Signal,
    policy: &IncidentPolicy,
    now: DateTime<Utc>,
) -> Verdict {
    match signal.condition {
        Condition::Fired => fired(incident, signal, policy, now),
        Condition::Resolved => cleared(incident, signal, policy, now),
    }
}

fn fired(
    incident: &Incident,
    signal: &Signal,
    policy: &IncidentPolicy,
    now: DateTime<Utc>,
) -> Verdict {
    let fire = |why: String| IncidentEvent::Fired {
        signal: Box::new(signal.clone()),
        why,
    };
    if incident.opened.is_none() {
        return Verdict::Events(vec![fire("the first of its kind".into())]);
    }
    let known = incident.occurrences.get(&signal.occurrence);
    if known.is_some_and(|one| one.fired.is_some()) {
        // Said before. Only what has become worse since is news.
        let worse = signal.priority > incident.priority;
        let open = known.is_some_and(|one| one.cleared.is_none());
        if worse && open && incident.status != Status::Resolved {
            let why = format!("the same occurrence, and {} now", signal.priority);
            return Verdict::Events(vec![fire(why)]);
        }
        return Verdict::Nothing;
    }
    // Its end came first, by another way: it is over, and nobody needs to be woken.
    if known.is_some_and(|one| one.cleared.is_some()) {
        return Verdict::Nothing;
    }
    if incident.status == Status::Resolved {
        let ended = incident.resolved.unwrap_or(now);
        return if now - ended <= policy.reopen_within {
            let ago = ago(now - ended);
            let reason = format!("it fired again {ago} after it was resolved");
            Verdict::Events(vec![
                IncidentEvent::Reopened {
                    by: OURSELVES.into(),
                    reason: reason.clone(),
                },
                fire(reason),
            ])
        } else {
            Verdict::Next(Vec::new())
        };
    }
    let last = incident.last_fired.unwrap_or(now);
    let since = now - last;
    if since > policy.dedupe {
        // Whoever knows of the old one does not know of this.
        let reason = format!(
            "it fires again after {}, longer than signals are taken for the same ({})",
            ago(since),
            ago(policy.dedupe)
        );
        return if incident.is_for_people() {
            Verdict::Events(vec![
                fire(reason.clone()),
                IncidentEvent::Reopened {
                    by: OURSELVES.into(),
                    reason,
                },
            ])
        } else {
            Verdict::Next(vec![IncidentEvent::Resolved {
                by: OURSELVES.into(),
                reason: format!("{reason}: it goes on as a new incident"),
            }])
        };
    }
    if incident.events >= MOST_EVENTS {
        // Only a person ends what is for people: it stays, beside the next.
        return Verdict::Next(if incident.is_for_people() {
            Vec::new()
        } else {
            vec![IncidentEvent::Resolved {
                by: OURSELVES.into(),
                reason: format!(
                    "so much happened ({} events) that it goes on as a new incident",
                    incident.events
                ),
            }]
        });
    }
    // Rules without a state fire anew each minute and never end: what is one of very many is known
    // by its own record, and told again when the lifetime is over.
    let firing = incident
        .occurrences
        .values()
        .filter(|one| one.cleared.is_none());
    if firing.count() >= MOST_FIRING && signal.priority <= incident.priority {
        return Verdict::Nothing;
    }
    let why = format!(
        "same {}; it last fired {} ago, within {}",
        incident.key,
        ago(since),
        ago(policy.dedupe)
    );
    let mut events = vec![fire(why)];
    if incident.status == Status::Mitigated && !is_flapping(incident, policy, now) {
        events.push(IncidentEvent::Reopened {
            by: OURSELVES.into(),
            reason: "it fired again".into(),
        });
    }
    Verdict::Events(events)
}

fn cleared(
    incident: &Incident,
    signal: &Signal,
    policy: &IncidentPolicy,
    now: DateTime<Utc>,
) -> Verdict {
    if incident.opened.is_none() || matches!(signal.trust, Trust::Denied { .. }) {
        return Verdict::Nothing;
    }
    let known = incident.occurrences.get(&signal.occurrence);
    if known.is_some_and(|one| one.cleared.is_some()) {
        return Verdict::Nothing;
    }
    let is_full = incident.occurrences.len() >= MOST_FIRING * 2;
    if known.is_none() && (incident.status == Status::Resolved || is_full) {
        return Verdict::Nothing;
    }
    if let (Trust::Unconfirmed { why }, Trust::Confirmed { .. }) = (&signal.trust, &incident.trust)
    {
        // Nobody stops being told on the word of a stranger: a person ends it.
        return if incident.status != Status::Resolved && known.is_some() {
            Verdict::Events(vec![IncidentEvent::Evidence {
                by: OURSELVES.into(),
                title: "an end that is not confirmed".into(),
                text: format!(
                    "its end was reported, and could not be confirmed: {why}. It goes on until a person ends it."
                ),
                facts: Vec::new(),
            }])
        } else {
            Verdict::Nothing
        };
    }
    let mut events = vec![IncidentEvent::Cleared {
        occurrence: signal.occurrence.clone(),
        by: OURSELVES.into(),
        reason: signal.text.clone(),
    }];
    let others = incident.occurrences.iter().any(|(name, one)| {
        *name != signal.occurrence && one.fired.is_some() && one.cleared.is_none()
    });
    if known.is_none() || others || matches!(incident.status, Status::Resolved) {
        return Verdict::Events(events);
    }
    let by = || OURSELVES.to_owned();
    if incident.is_for_people() {
        if incident.status != Status::Mitigated {
            events.push(IncidentEvent::Mitigated {
                by: by(),
                reason: "it fires no more; only a person may end it".into(),
            });
        }
    } else if is_flapping(incident, policy, now) {
        // Whoever has it keeps it: it ends like a mitigated one when it has been calm.
        if incident.status == Status::Open {
            events.push(IncidentEvent::Mitigated {
                by: by(),
                reason: format!(
                    "it comes and goes: it is over when it has been calm for {}",
                    ago(policy.calm)
                ),
            });
        }
    } else {
        events.push(IncidentEvent::Resolved {
            by: by(),
            reason: signal.text.clone(),
        });
    }
    Verdict::Events(events)
}

/// Whether it turned between firing and not firing so often that neither is to be believed.
pub(super) fn is_flapping(
    incident: &Incident,
    policy: &IncidentPolicy,
    now: DateTime<Utc>,
) -> bool {
    let recent = incident
        .turns
        .iter()
        .filter(|at| now - **at <= policy.flap_window);
    recent.count() >= policy.flaps as usize
}

/// What a probe or a repair says of an incident, as far as it goes with where that stands: what comes
/// too late, or again, is kept as evidence and tells nobody.
pub(super) fn fitting(incident: &Incident, event: IncidentEvent) -> IncidentEvent {
    let status = incident.status;
    let is_over = status == Status::Resolved;
    let (by, title, text) = match event {
        IncidentEvent::Mitigated { by, reason } if is_over || status == Status::Mitigated => {
            (by, "mitigated, as it was already", reason)
        }
        IncidentEvent::Resolved { by, reason } if is_over => {
            (by, "resolved, as it was already", reason)
        }
        IncidentEvent::Escalated { by, reason, .. } if is_over => {
            (by, "an escalation after the end", reason)
        }
        IncidentEvent::Reopened { by, reason } if status < Status::Mitigated => {
            (by, "reported again while it is open", reason)
        }
        fits => return fits,
    };
    let (title, facts) = (title.to_owned(), Vec::new());
    IncidentEvent::Evidence {
        by,
        title,
        text,
        facts,
    }
}

/// A span as people say it.
pub(super) fn ago(span: Duration) -> String {
    let minutes = span.num_minutes().max(0);
    match minutes {
        0 => "less than a minute".into(),
        1 => "1 minute".into(),
        2..=119 => format!("{minutes} minutes"),
        120..=2879 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Class, GroupKey, IncidentId, Priority};

    fn incident() -> Incident {
        let key = GroupKey {
            rule: "r".into(),
            tenant: None,
            resource: None,
        };
        Incident::blank(IncidentId::new(&key, 1), key)
    }

    fn signal(condition: Condition, occurrence: u32, class: Class) -> Signal {
        Signal {
            key: incident().key,
            condition,
            priority: Priority::Medium,
            class,
            title: String::new(),
            text: String::new(),
            facts: Vec::new(),
            at: DateTime::UNIX_EPOCH,
            occurrence: occurrence.to_string(),
            trust: Trust::Confirmed { how: "seen".into() },
        }
    }

    #[test]
    fn what_is_said_too_late_or_again_is_evidence_and_else_it_happens() {
        let said = |what: &str| {
            let (by, reason) = ("poolkeeper/health".to_owned(), "so it is".to_owned());
            let level = None;
            match what {
                "mitigated" => IncidentEvent::Mitigated { by, reason },
                "resolved" => IncidentEvent::Resolved { by, reason },
                "escalated" => IncidentEvent::Escalated { by, reason, level },
                _ => IncidentEvent::Reopened { by, reason },
            }
        };
        let all = ["mitigated", "resolved", "escalated", "reopened"];
        for (status, happens) in [
            (Status::Open, vec!["mitigated", "resolved", "escalated"]),
            (
                Status::Acknowledged,
                vec!["mitigated", "resolved", "escalated"],
            ),
            (Status::Mitigated, vec!["resolved", "escalated", "reopened"]),
            (Status::Resolved, vec!["reopened"]),
        ] {
            let mut incident = incident();
            incident.status = status;
            for what in all {
                let fitted = fitting(&incident, said(what));
                let kept =
                    matches!(&fitted, IncidentEvent::Evidence { text, .. } if text == "so it is");
                assert_eq!(
                    fitted == said(what),
                    happens.contains(&what),
                    "{status} {what}"
                );
                assert_eq!(kept, !happens.contains(&what), "{status} {what}");
            }
        }
    }

    #[test]
    fn an_end_that_nothing_confirms_ends_nothing() {
        let policy = IncidentPolicy::default();
        let now = DateTime::UNIX_EPOCH;
        for class in [Class::Operations, Class::Security] {
            let mut incident = incident();
            let fired = signal(Condition::Fired, 0, class);
            if let Verdict::Events(events) = absorb(&incident, &fired, &policy, now) {
                events.iter().for_each(|e| incident.apply(e, now));
            }
            let mut end = signal(Condition::Resolved, 0, class);
            end.trust = Trust::Unconfirmed {
                why: "no answer".into(),
            };
            let Verdict::Events(events) = absorb(&incident, &end, &policy, now) else {
                panic!("{class:?}: nothing is kept of it");
            };
            assert!(matches!(events[..], [IncidentEvent::Evidence { .. }]));
            events.iter().for_each(|e| incident.apply(e, now));
            assert_eq!(incident.status, Status::Open, "{class:?}");
        }
    }

    #[test]
    fn what_comes_and_goes_for_weeks_goes_on_as_another_incident_in_time() {
        let policy = IncidentPolicy::default();
        for (class, left) in [
            (Class::Operations, Status::Resolved),
            (Class::Security, Status::Mitigated),
        ] {
            let mut incident = incident();
            let mut ended = None;
            for minute in 0..20_000 {
                let now = DateTime::UNIX_EPOCH + Duration::minutes(minute);
                let condition = match minute % 2 {
                    0 => Condition::Fired,
                    _ => Condition::Resolved,
                };
                let occurrence = u32::try_from(minute / 2).expect("small");
                match absorb(
                    &incident,
                    &signal(condition, occurrence, class),
                    &policy,
                    now,
                ) {
                    Verdict::Events(events) => events.iter().for_each(|e| incident.apply(e, now)),
                    Verdict::Nothing => panic!("{class:?}: a turn was lost"),
                    Verdict::Next(events) => {
                        events.iter().for_each(|e| incident.apply(e, now));
                        ended = Some(incident.events);
                        break;
                    }
                }
            }
            assert!(ended.is_some_and(|n| n < MOST_EVENTS + 4), "{ended:?}");
            assert_eq!(incident.status, left, "{class:?}");
        }
    }

    #[test]
    fn a_rule_that_fires_each_minute_for_a_month_fills_nothing_and_is_told_each_day() {
        let policy = IncidentPolicy::default();
        let key = GroupKey {
            rule: "stateless".into(),
            tenant: None,
            resource: None,
        };
        let (mut number, mut largest) = (1, 0);
        let mut incident = Incident::blank(IncidentId::new(&key, number), key.clone());
        for minute in 0..30 * 24 * 60 {
            let now = DateTime::UNIX_EPOCH + Duration::minutes(minute);
            let signal = Signal {
                key: key.clone(),
                condition: Condition::Fired,
                priority: Priority::Medium,
                class: Class::Operations,
                title: String::new(),
                text: String::new(),
                facts: Vec::new(),
                at: now,
                occurrence: minute.to_string(),
                trust: Trust::Confirmed { how: "seen".into() },
            };
            match absorb(&incident, &signal, &policy, now) {
                Verdict::Events(events) => events.iter().for_each(|e| incident.apply(e, now)),
                Verdict::Nothing => {}
                Verdict::Next(_) => {
                    number += 1;
                    incident = Incident::blank(IncidentId::new(&key, number), key.clone());
                }
            }
            largest = largest.max(incident.events);
        }
        assert_eq!(largest, MOST_FIRING as u64);
        // After 64 minutes and a day each.
        assert_eq!(number, 29);
    }
}
