//! What holds of an incident whatever comes in whatever order: signals, repetitions, people, clocks
//! that jump.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;

use super::absorb::{Verdict, absorb};
use super::plan::{Means, OnDuty, Roster, advance};
use super::state::{Incident, Round, Status};
use crate::domain::{
    Class, Condition, Contact, GroupKey, IncidentEvent, IncidentId, Priority, Signal, Trust,
};
use crate::estate::{After, IncidentPolicy};

/// Everybody is always there; business hours begin at the full hour.
struct Everybody;

impl Roster for Everybody {
    fn reach(&self, level: &str, _at: DateTime<Utc>) -> Option<OnDuty> {
        Some(OnDuty {
            level: level.into(),
            person: format!("{level}-a"),
            contacts: vec![Contact {
                channel: "pager".into(),
                to: level.into(),
            }],
        })
    }

    fn next_business(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        at + Duration::minutes(30)
    }

    fn above(&self, _level: &str) -> Option<String> {
        None
    }
}

#[derive(Debug, Clone)]
enum Move {
    /// Minutes that pass before it, negative for a clock that is set back.
    Fire(i64, u8, Priority),
    Clear(i64, u8),
    Tick(i64),
    Ack(i64, i64),
    Unack(i64),
    Mitigate(i64),
    Resolve(i64),
    Reopen(i64),
    Escalate(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let minutes = prop_oneof![
        8 => 0_i64..90,
        2 => 90_i64..3000,
        1 => -500_i64..0,
    ];
    let priority = prop::sample::select(Priority::ALL.to_vec());
    let one = (0_u8..9, minutes, 0_u8..4, priority, 1_i64..600).prop_map(
        |(kind, minutes, occurrence, priority, span)| match kind {
            0 | 1 => Move::Fire(minutes, occurrence, priority),
            2 => Move::Clear(minutes, occurrence),
            3 => Move::Tick(minutes),
            4 => Move::Ack(minutes, span),
            5 => Move::Unack(minutes),
            6 => Move::Mitigate(minutes),
            7 => Move::Resolve(minutes),
            8 if span % 2 == 0 => Move::Reopen(minutes),
            _ => Move::Escalate(minutes),
        },
    );
    prop::collection::vec(one, 1..60)
}

fn signal(class: Class, condition: Condition, occurrence: u8, priority: Priority) -> Signal {
    Signal {
        key: GroupKey {
            rule: "r".into(),
            tenant: None,
            resource: None,
        },
        condition,
        priority,
        class,
        title: "t".into(),
        text: String::new(),
        facts: Vec::new(),
        at: DateTime::UNIX_EPOCH,
        occurrence: occurrence.to_string(),
        trust: Trust::Confirmed { how: "seen".into() },
    }
}

/// Plays the moves, with every incident of the key one after the other, and checks after each.
fn play(class: Class, moves: &[Move]) -> Result<(), TestCaseError> {
    let policy = IncidentPolicy::default();
    let means = Means {
        policy: &policy,
        roster: &Everybody,
        zone: chrono_tz::Asia::Tokyo,
        quiet: None,
        public_url: None,
        tenant: &[],
    };
    let key = signal(class, Condition::Fired, 0, Priority::Low).key;
    let mut number = 1;
    let mut incident = Incident::blank(IncidentId::new(&key, number), key.clone());
    let mut now = DateTime::UNIX_EPOCH + Duration::days(20_000);
    let (mut told, mut last) = (BTreeSet::new(), None);
    for one in moves {
        let (passed, event) = match one {
            Move::Fire(m, o, p) => (m, Err(signal(class, Condition::Fired, *o, *p))),
            Move::Clear(m, o) => {
                let signal = signal(class, Condition::Resolved, *o, Priority::Low);
                (m, Err(signal))
            }
            Move::Tick(m) => (m, Ok(None)),
            Move::Ack(m, span) => {
                let until = now + Duration::minutes(*m + *span);
                let (by, reason) = ("ann".into(), String::new());
                (
                    m,
                    Ok(Some(IncidentEvent::Acknowledged { by, reason, until })),
                )
            }
            Move::Unack(m) => {
                let (by, reason) = ("ann".into(), String::new());
                (m, Ok(Some(IncidentEvent::Unacknowledged { by, reason })))
            }
            Move::Mitigate(m) => {
                let (by, reason) = ("ann".into(), String::new());
                (m, Ok(Some(IncidentEvent::Mitigated { by, reason })))
            }
            Move::Resolve(m) => {
                let (by, reason) = ("ann".into(), String::new());
                (m, Ok(Some(IncidentEvent::Resolved { by, reason })))
            }
            Move::Reopen(m) => {
                let (by, reason) = ("ann".into(), String::new());
                (m, Ok(Some(IncidentEvent::Reopened { by, reason })))
            }
            Move::Escalate(m) => {
                let (by, reason, level) = ("ann".into(), String::new(), None);
                (m, Ok(Some(IncidentEvent::Escalated { by, reason, level })))
            }
        };
        now += Duration::minutes(*passed);
        let mut all = Vec::new();
        match event {
            Ok(None) => {}
            Ok(Some(event)) => {
                // What the front door lets through.
                let status = incident.status_at(now);
                let fits = incident.opened.is_some()
                    && match event {
                        IncidentEvent::Unacknowledged { .. } => status == Status::Acknowledged,
                        IncidentEvent::Reopened { .. } => status >= Status::Mitigated,
                        _ => status != Status::Resolved,
                    };
                if fits {
                    incident.apply(&event, now);
                    all.push(event);
                }
            }
            Err(signal) => loop {
                let (events, next) = match absorb(&incident, &signal, &policy, now) {
                    Verdict::Events(events) => (events, false),
                    Verdict::Next(events) => (events, true),
                    Verdict::Nothing => (Vec::new(), false),
                };
                for event in events {
                    incident.apply(&event, now);
                    all.push(event);
                }
                if !next {
                    let lost = signal.condition == Condition::Fired
                        && !incident.occurrences.contains_key(&signal.occurrence);
                    prop_assert!(!lost, "a signal was lost");
                    break;
                }
                all.extend(advance(&mut incident, &means, now).events);
                check(&incident, &all, &mut told, &mut last, &policy, now)?;
                all.clear();
                told.clear();
                number += 1;
                incident = Incident::blank(IncidentId::new(&key, number), key.clone());
            },
        }
        all.extend(advance(&mut incident, &means, now).events);
        check(&incident, &all, &mut told, &mut last, &policy, now)?;
    }
    Ok(())
}

fn check(
    incident: &Incident,
    events: &[IncidentEvent],
    told: &mut BTreeSet<String>,
    last: &mut Option<Round>,
    policy: &IncidentPolicy,
    now: DateTime<Utc>,
) -> Result<(), TestCaseError> {
    for event in events {
        if let IncidentEvent::Telling { reasons, notices } = event {
            for reason in reasons {
                prop_assert!(told.insert(reason.clone()), "told twice: {reason}");
            }
            for notice in notices {
                prop_assert!(told.insert(notice.id.clone()), "sent twice: {}", notice.id);
            }
        }
    }
    if incident.opened.is_none() {
        return Ok(());
    }
    if incident.status == Status::Resolved {
        prop_assert_eq!(incident.next, None);
        return Ok(());
    }
    // A clock that was set back waits for what is written to come true.
    let latest = incident.newest.unwrap_or(now).max(now);
    let next = incident.next;
    prop_assert!(next.is_some(), "nothing is to happen to {incident:?}");
    prop_assert!(next > Some(now), "{next:?} is over at {now}");
    prop_assert!(next <= Some(latest + Duration::days(31)), "{next:?}");
    prop_assert!(incident.announcements.is_empty());
    if incident.status == Status::Open
        && let Some(round) = &incident.round
    {
        let line = policy.line(incident.class, incident.priority);
        let first = &line.steps[round.first.min(line.steps.len() - 1)];
        let due = matches!(first.after, After::Time(_)) && round.since <= now;
        let paged = told_now(events).any(|reason| reason.starts_with("page-"));
        let began = last.as_ref().map(|last| last.number) != Some(round.number);
        prop_assert!(!due || !began || paged, "nobody was told of {round:?}");
    }
    *last = incident.round.clone();
    prop_assert!(incident.status != Status::Open || incident.round.is_some());
    Ok(())
}

fn told_now(events: &[IncidentEvent]) -> impl Iterator<Item = &str> {
    events.iter().flat_map(|event| match event {
        IncidentEvent::Telling { reasons, .. } => reasons.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_incident_is_lost_nobody_is_told_twice_and_what_is_open_has_a_next_time(
        moves in moves(),
    ) {
        play(Class::Operations, &moves)?;
    }

    #[test]
    fn the_same_holds_of_what_only_people_may_end(moves in moves()) {
        play(Class::Security, &moves)?;
    }
}
