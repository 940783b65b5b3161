//! What incidents come to, told in minutes: each line is what happened at a time, and below it whom
//! it made be told.

use chrono::{DateTime, Duration, Utc};

use super::absorb::{Verdict, absorb};
use super::plan::{Means, OnDuty, Roster, advance};
use super::state::{Incident, Status};
use crate::domain::{
    Act, Class, Condition, Contact, GroupKey, IncidentEvent, IncidentId, Priority, Signal, Trust,
};
use crate::estate::IncidentPolicy;

/// L2 works for the first ten hours of the story; business begins a day after it.
struct Team;

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::days(20_000)
}

impl Roster for Team {
    fn reach(&self, level: &str, at: DateTime<Utc>) -> Option<OnDuty> {
        let works = level != "L2" || at - start() < Duration::hours(10);
        let level = if works { level } else { "L3" };
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
        at.max(start() + Duration::days(1))
    }

    fn above(&self, level: &str) -> Option<String> {
        (level == "L2").then(|| "L3".into())
    }
}

/// Plays lines such as `0 fire a high`, `10 ack 60`, `90 tick`, and tells what came of them.
fn play(class: Class, trust: &Trust, lines: &str) -> String {
    let policy = IncidentPolicy::default();
    let key = GroupKey {
        rule: "p95".into(),
        tenant: Some("tenant-a".into()),
        resource: None,
    };
    let tenant = [Contact {
        channel: "mail".into(),
        to: "tenant-a@example.jp".into(),
    }];
    let mut incident = Incident::blank(IncidentId::new(&key, 1), key.clone());
    let mut told = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let minutes: i64 = words[0].parse().expect("minutes");
        let now = start() + Duration::minutes(minutes);
        let quiet = words.contains(&"quiet");
        let means = Means {
            policy: &policy,
            roster: &Team,
            zone: chrono_tz::Asia::Tokyo,
            quiet: quiet.then(|| {
                (
                    "deploy".into(),
                    "a rollout".into(),
                    now + Duration::minutes(60),
                )
            }),
            public_url: None,
            tenant: &tenant,
        };
        let before = incident.status;
        let signal = |condition| Signal {
            key: key.clone(),
            condition,
            priority: words
                .get(3)
                .map_or(Priority::High, |p| p.parse().expect("a priority")),
            class,
            title: "slow".into(),
            text: String::new(),
            facts: Vec::new(),
            at: now,
            occurrence: words.get(2).unwrap_or(&"").to_string(),
            trust: trust.clone(),
        };
        let (by, reason) = ("ann".to_owned(), "because".to_owned());
        let taken =
            |incident: &mut Incident, signal: &Signal| match absorb(incident, signal, &policy, now)
            {
                Verdict::Events(events) => {
                    for event in &events {
                        incident.apply(event, now);
                    }
                    ""
                }
                Verdict::Next(events) => {
                    for event in &events {
                        incident.apply(event, now);
                    }
                    ", and another is opened"
                }
                Verdict::Nothing => ", which was known",
            };
        let mut remark = "";
        let event = match words[1] {
            "fire" => {
                remark = taken(&mut incident, &signal(Condition::Fired));
                None
            }
            "clear" => {
                remark = taken(&mut incident, &signal(Condition::Resolved));
                None
            }
            "ack" => Some(IncidentEvent::Acknowledged {
                by,
                reason,
                until: now + Duration::minutes(words[2].parse().expect("minutes")),
            }),
            "unack" => Some(IncidentEvent::Unacknowledged { by, reason }),
            "mitigate" => Some(IncidentEvent::Mitigated { by, reason }),
            "resolve" => Some(IncidentEvent::Resolved { by, reason }),
            "reopen" => Some(IncidentEvent::Reopened { by, reason }),
            "escalate" => Some(IncidentEvent::Escalated {
                by,
                reason,
                level: None,
            }),
            _ => None,
        };
        if let Some(event) = event {
            incident.apply(&event, now);
        }
        let plan = advance(&mut incident, &means, now);
        let mut said = Vec::new();
        for event in &plan.events {
            match event {
                IncidentEvent::Telling { notices, .. } => said.extend(notices.iter().map(|n| {
                    let act = match n.message.act {
                        Act::Trigger => "told",
                        Act::Acknowledge => "acknowledged to",
                        Act::Update => "updated",
                        Act::Resolve => "resolved to",
                    };
                    format!("{act} {}", n.recipient)
                })),
                IncidentEvent::Unacknowledged { .. } => said.push("given back".into()),
                IncidentEvent::Resolved { .. } => said.push("over by itself".into()),
                IncidentEvent::Quieted { .. } => said.push("quiet".into()),
                IncidentEvent::Unquieted { .. } => said.push("no longer quiet".into()),
                _ => {}
            }
        }
        let next = plan.next.map(|at| (at - start()).num_minutes());
        let next = next.map_or("never".to_owned(), |at| at.to_string());
        let status = if before == incident.status && incident.status != Status::Open {
            format!("still {}", incident.status)
        } else {
            incident.status.to_string()
        };
        let words = words[1..].join(" ");
        told.push(format!("{minutes} {words}{remark}: {status}, next {next}"));
        told.extend(said.into_iter().map(|one| format!("  {one}")));
    }
    told.join("\n")
}

#[test]
fn what_incidents_come_to() {
    let confirmed = Trust::Confirmed { how: "seen".into() };
    let forged = Trust::Denied {
        why: "unknown".into(),
    };
    let cases = [
        (
            "critical: L3 and the architect at once, and again until somebody has it",
            Class::Operations,
            &confirmed,
            "0 fire a critical
             14 tick
             15 tick
             47 tick",
            "0 fire a critical: open, next 15
               told tenant tenant-a
               told L3 (L3-a)
               told architect (architect-a)
             14 tick: open, next 15
             15 tick: open, next 30
               told architect (architect-a)
             47 tick: open, next 60
               told architect (architect-a)",
        ),
        (
            "high: L2 within the hour, then L3, whatever ticks are missed",
            Class::Operations,
            &confirmed,
            "0 fire a high
             150 tick",
            "0 fire a high: open, next 60
               told tenant tenant-a
               told L2 (L2-a)
             150 tick: open, next 180
               told L3 (L3-a)
               told architect (architect-a)",
        ),
        (
            "high while L2 is away: whoever is on duty above",
            Class::Operations,
            &confirmed,
            "700 fire a high",
            "700 fire a high: open, next 760
               told tenant tenant-a
               told L3 (L3-a)",
        ),
        (
            "low waits for business hours",
            Class::Operations,
            &confirmed,
            "0 fire a low
             1439 tick
             1440 tick",
            "0 fire a low: open, next 1440
             1439 tick: open, next 1440
             1440 tick: open, next 2880
               told L1 (L1-a)",
        ),
        (
            "an acknowledgement stops the clock for its time only, and a firing more wakes nobody",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             10 ack 60
             20 fire b medium
             71 tick
             80 clear a
             90 clear b",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             10 ack 60: acknowledged, next 70
               acknowledged to L1 (L1-a)
             20 fire b medium: still acknowledged, next 70
             71 tick: open, next 311
               given back
               told L1 (L1-a)
             80 clear a: open, next 311
             90 clear b: resolved, next never
               resolved to L1 (L1-a)",
        ),
        (
            "what gets worse is told although somebody has it",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             5 ack 600
             9 fire b critical",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             5 ack 600: acknowledged, next 605
               acknowledged to L1 (L1-a)
             9 fire b critical: open, next 24
               told tenant tenant-a
               told L3 (L3-a)
               told architect (architect-a)",
        ),
        (
            "what comes and goes is told once that it does, and is over when it is calm",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             2 clear a
             4 fire b medium
             6 clear b
             8 fire c medium
             9 clear c
             11 fire d medium
             12 clear d
             13 fire e medium
             14 clear e
             29 tick",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             2 clear a: resolved, next never
               resolved to L1 (L1-a)
             4 fire b medium: open, next 244
               updated L1 (L1-a)
               told L1 (L1-a)
             6 clear b: resolved, next never
               resolved to L1 (L1-a)
             8 fire c medium: open, next 248
               updated L1 (L1-a)
               told L1 (L1-a)
             9 clear c: resolved, next never
               resolved to L1 (L1-a)
             11 fire d medium: open, next 251
               updated L1 (L1-a)
               told L1 (L1-a)
             12 clear d: mitigated, next 27
               updated L1 (L1-a)
             13 fire e medium: open, next 252
             14 clear e: mitigated, next 29
             29 tick: resolved, next never
               over by itself
               resolved to L1 (L1-a)",
        ),
        (
            "who has what comes and goes keeps it, and nobody else is told",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             1 clear a
             2 fire b medium
             3 clear b
             4 fire c medium
             5 clear c
             6 fire d medium
             7 ack 600
             8 clear d
             9 fire e medium
             10 clear e
             24 tick
             25 tick",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             1 clear a: resolved, next never
               resolved to L1 (L1-a)
             2 fire b medium: open, next 242
               updated L1 (L1-a)
               told L1 (L1-a)
             3 clear b: resolved, next never
               resolved to L1 (L1-a)
             4 fire c medium: open, next 244
               updated L1 (L1-a)
               told L1 (L1-a)
             5 clear c: resolved, next never
               resolved to L1 (L1-a)
             6 fire d medium: open, next 246
               updated L1 (L1-a)
               told L1 (L1-a)
             7 ack 600: acknowledged, next 607
               acknowledged to L1 (L1-a)
             8 clear d: still acknowledged, next 23
             9 fire e medium: still acknowledged, next 607
             10 clear e: still acknowledged, next 25
             24 tick: still acknowledged, next 25
             25 tick: resolved, next never
               over by itself
               resolved to L1 (L1-a)",
        ),
        (
            "a time that somebody had it ends while nothing fires: nobody is told to go on",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             1 mitigate
             2 clear a
             3 fire b medium
             4 clear b
             5 fire c medium
             6 clear c
             7 fire d medium
             8 clear d
             9 fire e medium
             10 ack 8
             11 clear e
             18 tick
             26 tick",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             1 mitigate: mitigated, next 1441
               updated L1 (L1-a)
             2 clear a: resolved, next never
               resolved to L1 (L1-a)
             3 fire b medium: open, next 243
               updated L1 (L1-a)
               told L1 (L1-a)
             4 clear b: resolved, next never
               resolved to L1 (L1-a)
             5 fire c medium: open, next 245
               updated L1 (L1-a)
               told L1 (L1-a)
             6 clear c: resolved, next never
               resolved to L1 (L1-a)
             7 fire d medium: open, next 247
               updated L1 (L1-a)
               told L1 (L1-a)
             8 clear d: mitigated, next 23
               updated L1 (L1-a)
             9 fire e medium: open, next 248
             10 ack 8: acknowledged, next 18
               acknowledged to L1 (L1-a)
             11 clear e: still acknowledged, next 18
             18 tick: mitigated, next 33
             26 tick: still mitigated, next 33",
        ),
        (
            "what a person opened again is ended by nobody else",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             2 clear a
             3 reopen
             5 ack 60
             64 tick
             65 tick
             80 mitigate
             95 tick",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             2 clear a: resolved, next never
               resolved to L1 (L1-a)
             3 reopen: open, next 243
               updated L1 (L1-a)
               told L1 (L1-a)
             5 ack 60: acknowledged, next 65
               acknowledged to L1 (L1-a)
             64 tick: still acknowledged, next 65
             65 tick: open, next 305
               given back
               told L1 (L1-a)
             80 mitigate: mitigated, next 95
               updated L1 (L1-a)
             95 tick: resolved, next never
               over by itself
               resolved to L1 (L1-a)",
        ),
        (
            "a tenant hears that it is over, and that it began again",
            Class::Operations,
            &confirmed,
            "0 fire a high
             5 clear a
             7 fire b high
             9 clear b",
            "0 fire a high: open, next 60
               told tenant tenant-a
               told L2 (L2-a)
             5 clear a: resolved, next never
               resolved to L2 (L2-a)
               resolved to tenant tenant-a
             7 fire b high: open, next 67
               updated L2 (L2-a)
               updated tenant tenant-a
               told L2 (L2-a)
             9 clear b: resolved, next never
               resolved to L2 (L2-a)
               resolved to tenant tenant-a",
        ),
        (
            "security is ended by people, and not forgotten",
            Class::Security,
            &confirmed,
            "0 fire a critical
             31 tick
             40 clear a
             1481 tick
             1500 resolve",
            "0 fire a critical: open, next 30
               told Security (Security-a)
             31 tick: open, next 90
               told CISO (CISO-a)
             40 clear a: mitigated, next 1480
               updated CISO (CISO-a)
               updated Security (Security-a)
             1481 tick: still mitigated, next 2920
               told CISO (CISO-a)
             1500 resolve: resolved, next never
               resolved to CISO (CISO-a)
               resolved to Security (Security-a)",
        ),
        (
            "after its lifetime a firing is no longer taken for the same",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             10 ack 600
             5000 fire b medium",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             10 ack 600: acknowledged, next 610
               acknowledged to L1 (L1-a)
             5000 fire b medium, and another is opened: resolved, next never
               resolved to L1 (L1-a)",
        ),
        (
            "in a window nobody is told before it is over, and then only if it is still so",
            Class::Operations,
            &confirmed,
            "0 fire a high quiet
             59 tick quiet
             61 tick",
            "0 fire a high quiet: open, next 60
               quiet
             59 tick quiet: open, next 119
               quiet
             61 tick: open, next 121
               no longer quiet
               told tenant tenant-a
               told L2 (L2-a)",
        ),
        (
            "what was down before a window is not told again after it: its clock goes on",
            Class::Operations,
            &confirmed,
            "0 fire a high
             20 tick quiet
             80 tick
             119 tick
             120 tick",
            "0 fire a high: open, next 60
               told tenant tenant-a
               told L2 (L2-a)
             20 tick quiet: open, next 80
               quiet
             80 tick: open, next 120
               no longer quiet
             119 tick: open, next 120
             120 tick: open, next 180
               told L3 (L3-a)",
        ),
        (
            "somebody asks for the next level, and the one after it",
            Class::Operations,
            &confirmed,
            "0 fire a high
             5 escalate
             6 escalate",
            "0 fire a high: open, next 60
               told tenant tenant-a
               told L2 (L2-a)
             5 escalate: open, next 60
               told L3 (L3-a)
             6 escalate: open, next 60
               told architect (architect-a)",
        ),
        (
            "what Azure knows nothing of wakes nobody but who looks after security",
            Class::Operations,
            &forged,
            "0 fire a critical
             60 tick
             1440 tick",
            "0 fire a critical: open, next 15
               told Security (Security-a)
             60 tick: open, next 75
             1440 tick: resolved, next never
               over by itself
               resolved to Security (Security-a)",
        ),
        (
            "repetitions and ends that come twice change nothing",
            Class::Operations,
            &confirmed,
            "0 fire a medium
             1 fire a medium
             2 clear a
             3 clear a
             4 fire a medium",
            "0 fire a medium: open, next 240
               told L1 (L1-a)
             1 fire a medium, which was known: open, next 240
             2 clear a: resolved, next never
               resolved to L1 (L1-a)
             3 clear a, which was known: still resolved, next never
             4 fire a medium, which was known: still resolved, next never",
        ),
    ];
    let mut different = Vec::new();
    for (name, class, trust, lines, expected) in cases {
        let expected: Vec<String> = expected
            .lines()
            .map(|line| match line.trim() {
                line if line.starts_with(|c: char| c.is_ascii_digit()) => line.to_owned(),
                line => format!("  {line}"),
            })
            .collect();
        let got = play(class, trust, lines);
        if got != expected.join("\n") {
            different.push(format!("{name}:\n{got}\n"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
