//! Who is told next, and when, if nothing happens until then. Pure.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::plan::{Means, advance};
use super::state::{Incident, Status};
use crate::domain::{Act, IncidentEvent};

/// What the clock alone will do next that somebody hears of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ahead {
    pub at: DateTime<Utc>,
    /// As `L2 (l2-a)`; empty if nobody is on duty then.
    pub who: Vec<String>,
}

impl Ahead {
    /// Says it of an incident that stands there; `at` as whoever reads it has the time.
    #[must_use]
    pub fn sentence(&self, at: &str, status: Status) -> String {
        let unless = match status {
            Status::Open => "somebody acknowledges it",
            Status::Acknowledged => "it is over by then, or kept longer",
            Status::Mitigated | Status::Resolved => "it is over by then",
        };
        match self.who.as_slice() {
            [] => format!("Nobody is on duty to be told ({at}), unless {unless}."),
            [one] => format!("{one} is told ({at}) unless {unless}."),
            [first @ .., last] => {
                format!(
                    "{} and {last} are told ({at}) unless {unless}.",
                    first.join(", ")
                )
            }
        }
    }
}

/// How many moments are looked at: what ends one state begins the next, and then people are told.
const MOST: usize = 8;

/// Who is told next if nobody does anything; `None` if nobody will be.
///
/// The plan itself is made for the moments to come, so that this cannot say anything else than what
/// will be done. Who is on duty, and what is to be quiet, is as it is known now.
pub(super) fn ahead(incident: &Incident, means: &Means<'_>, now: DateTime<Utc>) -> Option<Ahead> {
    let mut incident = incident.clone();
    let mut at = now;
    for _ in 0..MOST {
        at = incident.next?.max(at);
        let then = Means {
            quiet: means.quiet.clone().filter(|(.., until)| *until > at),
            ..*means
        };
        let mut who = Vec::new();
        let mut nobody = false;
        for event in advance(&mut incident, &then, at).events {
            match event {
                IncidentEvent::Telling { notices, .. } => {
                    let paged = notices
                        .into_iter()
                        .filter(|n| n.message.act == Act::Trigger);
                    who.extend(paged.map(|notice| notice.recipient));
                }
                // Nothing else is found out by the clock alone.
                IncidentEvent::Evidence { .. } => nobody = true,
                _ => {}
            }
        }
        if nobody || !who.is_empty() {
            return Some(Ahead { at, who });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::super::plan::{OnDuty, Roster};
    use super::*;
    use crate::domain::{Class, Condition, Contact, GroupKey, IncidentId, Priority, Signal, Trust};
    use crate::estate::IncidentPolicy;

    /// Nobody of L3 is ever there.
    struct Team;

    impl Roster for Team {
        fn reach(&self, level: &str, _: DateTime<Utc>) -> Option<OnDuty> {
            (level != "L3").then(|| OnDuty {
                level: level.into(),
                person: format!("{}-a", level.to_lowercase()),
                contacts: vec![Contact {
                    channel: "pager".into(),
                    to: level.into(),
                }],
            })
        }

        fn next_business(&self, at: DateTime<Utc>) -> DateTime<Utc> {
            at + Duration::hours(9)
        }

        fn above(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn start() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::days(20_000)
    }

    fn at(minutes: i64) -> DateTime<Utc> {
        start() + Duration::minutes(minutes)
    }

    /// What fires at the beginning, after what happened in minutes.
    fn story(trust: Trust, happened: &[(i64, IncidentEvent)]) -> Vec<(i64, String)> {
        let policy = IncidentPolicy::default();
        let means = Means {
            policy: &policy,
            roster: &Team,
            zone: chrono_tz::Asia::Tokyo,
            quiet: None,
            public_url: None,
            tenant: &[],
        };
        let key = GroupKey {
            rule: "p95".into(),
            tenant: None,
            resource: None,
        };
        let signal = Signal {
            key: key.clone(),
            condition: Condition::Fired,
            priority: Priority::High,
            class: Class::Operations,
            title: "slow".into(),
            text: String::new(),
            facts: Vec::new(),
            at: start(),
            occurrence: "a".into(),
            trust,
        };
        let mut incident = Incident::blank(IncidentId::new(&key, 1), key);
        let mut events = Vec::new();
        if let super::super::absorb::Verdict::Events(fired) =
            super::super::absorb::absorb(&incident, &signal, &policy, start())
        {
            events.extend(fired.into_iter().map(|event| (0, event)));
        }
        events.extend(happened.iter().cloned());
        let mut quiet = None;
        let mut now = start();
        for (minutes, event) in events {
            now = at(minutes);
            if let IncidentEvent::Quieted { by, reason, until } = &event {
                quiet = Some((by.clone(), reason.clone(), *until));
            }
            incident.apply(&event, now);
        }
        let means = Means { quiet, ..means };
        advance(&mut incident, &means, now);
        let before = incident.clone();
        let mut found = Vec::new();
        // What is said now is what happens then, each time.
        for _ in 0..3 {
            let Some(next) = ahead(&incident, &means, now) else {
                break;
            };
            found.push(((next.at - start()).num_minutes(), next.who.join(" + ")));
            while now < next.at {
                now = incident.next.expect("something is due").max(now);
                let quiet = means.quiet.clone().filter(|(.., until)| *until > now);
                advance(&mut incident, &Means { quiet, ..means }, now);
            }
        }
        assert_eq!(before.opened, incident.opened);
        found
    }

    #[test]
    fn who_is_told_next_is_who_is_told_then() {
        let confirmed = || Trust::Confirmed { how: "seen".into() };
        let ack = IncidentEvent::Acknowledged {
            by: "ann".into(),
            reason: String::new(),
            until: at(60),
        };
        let quiet = IncidentEvent::Quieted {
            by: "deploy".into(),
            reason: "a rollout".into(),
            until: at(45),
        };
        let resolved = IncidentEvent::Resolved {
            by: "ann".into(),
            reason: "done".into(),
        };
        let mitigated = IncidentEvent::Mitigated {
            by: "ann".into(),
            reason: "rolled back".into(),
        };
        let told = |list: &[(i64, &str)]| -> Vec<(i64, String)> {
            list.iter()
                .map(|(at, who)| (*at, (*who).to_owned()))
                .collect()
        };
        let (l2, architect) = ("L2 (l2-a)", "architect (architect-a)");
        for (name, trust, happened, expected) in [
            (
                "open",
                confirmed(),
                vec![],
                told(&[(60, ""), (120, architect), (180, architect)]),
            ),
            (
                "acknowledged before anybody was told",
                confirmed(),
                vec![(5, ack)],
                told(&[(60, l2), (120, ""), (180, architect)]),
            ),
            (
                "quiet",
                confirmed(),
                vec![(0, quiet)],
                told(&[(45, l2), (105, ""), (165, architect)]),
            ),
            (
                "mitigated, and it still fires",
                confirmed(),
                vec![(5, mitigated)],
                told(&[(1445, l2), (2885, l2), (4325, l2)]),
            ),
            ("over", confirmed(), vec![(5, resolved)], told(&[])),
            (
                "denied",
                Trust::Denied {
                    why: "unknown".into(),
                },
                vec![],
                told(&[]),
            ),
        ] {
            assert_eq!(story(trust, &happened), expected, "{name}");
        }
    }

    #[test]
    fn a_sentence_says_what_keeps_it_from_happening() {
        let next = |who: &[&str]| Ahead {
            at: start(),
            who: who.iter().map(|w| (*w).to_owned()).collect(),
        };
        for (who, status, expected) in [
            (
                &["L2 (l2-a)"][..],
                Status::Open,
                "L2 (l2-a) is told (02:40) unless somebody acknowledges it.",
            ),
            (
                &["L2 (l2-a)", "L3 (l3-a)"],
                Status::Acknowledged,
                "L2 (l2-a) and L3 (l3-a) are told (02:40) unless it is over by then, or kept longer.",
            ),
            (
                &[],
                Status::Open,
                "Nobody is on duty to be told (02:40), unless somebody acknowledges it.",
            ),
        ] {
            assert_eq!(next(who).sentence("02:40", status), expected);
        }
    }
}
