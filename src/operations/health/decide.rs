//! What is to be done about what the probes saw. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};

use super::record::{Ended, Record};
use crate::domain::{Priority, ResourceId};
use crate::estate::Endpoint;

/// What turns bad within so long turned bad together.
const TOGETHER: Duration = Duration::minutes(3);
/// A certificate that ends within so long is told.
const CERTIFICATE: Duration = Duration::days(14);
/// So near its end it is urgent.
const CERTIFICATE_URGENT: Duration = Duration::days(3);
/// How long nothing is tried after an attempt has ended.
const PAUSE: Duration = Duration::minutes(10);

/// What is known of one endpoint.
#[derive(Debug, Clone)]
pub struct Fact<'a> {
    pub endpoint: &'a Endpoint,
    pub record: Record,
    /// When the incident that it was told by was ended, if that is over.
    pub ended: Option<DateTime<Utc>>,
}

/// Whether the probe itself can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Nothing fails, so it was not asked.
    NotAsked,
    /// It reaches an address that always answers.
    Works,
    /// It does not, and why.
    Broken(String),
}

/// What is known of the repairs of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub app: ResourceId,
    pub stamp: String,
    /// One is under way.
    pub open: bool,
    /// When attempts were begun.
    pub began: Vec<DateTime<Utc>>,
    /// When the last one ended.
    pub ended: Option<DateTime<Utc>>,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Much fails at once, or the probe reaches nothing: people are told, nothing is repaired.
    Suspect {
        names: Vec<String>,
        why: String,
    },
    /// The probe can be trusted again.
    Trust,
    Fire {
        name: String,
        priority: Priority,
    },
    /// Its incident was ended while it goes on: from here on the probes are counted after which it is
    /// told once more.
    Ended {
        name: String,
        ended: Ended,
    },
    /// Whoever ended its incident hears that it is not over.
    Again {
        name: String,
        priority: Priority,
    },
    Clear {
        name: String,
    },
    /// It has lasted too long.
    Escalate {
        name: String,
    },
    Expires {
        name: String,
        at: DateTime<Utc>,
        priority: Priority,
    },
    Renewed {
        name: String,
    },
    Recover {
        name: String,
    },
}

/// Judges all endpoints together. `suspected`: people were told that the probe may be broken.
#[must_use]
pub fn decide(
    facts: &[Fact<'_>],
    reach: &Reach,
    suspected: bool,
    tried: &[Tried],
    most_attempts: u32,
    now: DateTime<Utc>,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let suspects = suspects(facts, reach);
    match &suspects {
        Some((names, why)) => decisions.push(Decision::Suspect {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            why: why.clone(),
        }),
        None if suspected => decisions.push(Decision::Trust),
        None => {}
    }
    let is_suspect = |name: &str| {
        let names = suspects.as_ref().map(|(names, _)| names);
        names.is_some_and(|names| names.contains(name))
    };
    for fact in facts {
        let (name, record) = (&fact.endpoint.name, &fact.record);
        let told = record.told.as_ref();
        let priority = priority(facts, fact);
        let is_news = told.is_none_or(|told| told.untold || told.priority < priority);
        let is_told = record.failing && told.is_some_and(|told| !told.untold);
        let ended = fact.ended.filter(|_| is_told);
        if let Some(at) = ended {
            let name = name.clone();
            decisions.extend(after_its_end(fact, name, at, priority));
        }
        // What is suspect is told as one, unless it was told by itself before.
        if record.failing && ended.is_none() && is_news && (told.is_some() || !is_suspect(name)) {
            let name = name.clone();
            decisions.push(Decision::Fire { name, priority });
        }
        if !record.failing && told.is_some() {
            decisions.push(Decision::Clear { name: name.clone() });
        }
        let since = told.and_then(|told| told.again).or(record.first_failure);
        let lasts = since.is_some_and(|at| now - at >= fact.endpoint.escalate_after);
        if record.failing
            && ended.is_none()
            && lasts
            && is_told
            && told.is_some_and(|told| !told.escalated)
        {
            decisions.push(Decision::Escalate { name: name.clone() });
        }
        decisions.extend(certificate(fact, now));
    }
    if suspects.is_none() {
        decisions.extend(recoveries(facts, tried, most_attempts, now));
    }
    decisions
}

/// Its incident was ended at this time, and it still fails. As many bad probes as tell a failure at
/// first tell it once more, and less than that only what has become worse.
fn after_its_end(
    fact: &Fact<'_>,
    name: String,
    at: DateTime<Utc>,
    priority: Priority,
) -> Option<Decision> {
    let record = &fact.record;
    let told = record.told.as_ref()?;
    match told.ended.filter(|ended| ended.at == at) {
        Some(ended) => {
            let is_due = ended.failures >= fact.endpoint.failures || told.priority < priority;
            is_due.then_some(Decision::Again { name, priority })
        }
        None => {
            let is_after = record.failures > 0 && record.checked.is_some_and(|time| time > at);
            let failures = u32::from(is_after);
            let ended = Ended { at, failures };
            Some(Decision::Ended { name, ended })
        }
    }
}

/// All endpoints of an app fail: nobody is served.
fn priority(facts: &[Fact<'_>], fact: &Fact<'_>) -> Priority {
    let mut same = facts.iter().filter(|f| f.endpoint.app == fact.endpoint.app);
    if same.all(|f| f.record.failing) {
        Priority::Critical
    } else {
        Priority::High
    }
}

/// What turned bad together, if that is so much that the probe is to be doubted. One endpoint alone
/// is no majority of anything: there, only what the probe reaches counts.
fn suspects<'a>(facts: &[Fact<'a>], reach: &Reach) -> Option<(BTreeSet<&'a str>, String)> {
    if !facts.iter().any(|fact| fact.record.failing) {
        return None;
    }
    let mut bad: Vec<(DateTime<Utc>, &'a str)> = facts
        .iter()
        .filter(|fact| fact.record.successes == 0)
        .filter_map(|fact| Some((fact.record.first_failure?, fact.endpoint.name.as_str())))
        .collect();
    bad.sort_unstable();
    if let Reach::Broken(why) = reach {
        let names = bad.into_iter().map(|(_, name)| name).collect();
        let why = format!("the probe reaches nothing, not even what always answers: {why}");
        return Some((names, why));
    }
    let together = (0..bad.len())
        .map(|first| {
            let within = bad[first..]
                .iter()
                .take_while(|(at, _)| *at - bad[first].0 <= TOGETHER);
            within.map(|(_, name)| *name).collect::<BTreeSet<_>>()
        })
        .max_by_key(BTreeSet::len)?;
    let all = facts.len();
    let is_most = match all {
        0 | 1 => false,
        2 => together.len() == 2,
        _ => together.len() >= 3 && together.len() * 2 > all,
    };
    let why = format!(
        "{} of {all} endpoints turned bad within {} minutes",
        together.len(),
        TOGETHER.num_minutes()
    );
    is_most.then_some((together, why))
}

fn certificate(fact: &Fact<'_>, now: DateTime<Utc>) -> Option<Decision> {
    let (name, record) = (fact.endpoint.name.clone(), &fact.record);
    let told = record.certificate_told.as_ref();
    let at = record.certificate_ends.filter(|at| *at - now < CERTIFICATE);
    let Some(at) = at else {
        return told.map(|_| Decision::Renewed { name });
    };
    let priority = if at - now < CERTIFICATE_URGENT {
        Priority::High
    } else {
        Priority::Medium
    };
    let said = certificate_occurrence(at, priority);
    (told != Some(&said)).then_some(Decision::Expires { name, at, priority })
}

/// What is remembered of the end of a certificate that was told.
pub(super) fn certificate_occurrence(at: DateTime<Utc>, priority: Priority) -> String {
    format!("{}-{priority}", at.format("%Y%m%dT%H%M%SZ"))
}

/// What is to be repaired: of each stamp one app at a time, whatever has failed longest.
fn recoveries(
    facts: &[Fact<'_>],
    tried: &[Tried],
    most_attempts: u32,
    now: DateTime<Utc>,
) -> Vec<Decision> {
    let mut failing: Vec<_> = facts
        .iter()
        .filter(|f| f.record.failing && f.record.successes == 0 && !f.endpoint.recovery.is_empty())
        .collect();
    failing.sort_by_key(|fact| (fact.record.first_failure, &fact.endpoint.name));
    let mut busy: BTreeSet<&str> = tried
        .iter()
        .filter(|tried| tried.open)
        .map(|tried| tried.stamp.as_str())
        .collect();
    let mut decisions = Vec::new();
    for fact in failing {
        let endpoint = fact.endpoint;
        if busy.contains(endpoint.stamp.as_str()) {
            continue;
        }
        let own = tried.iter().find(|tried| tried.app == endpoint.app);
        if own.is_none_or(|own| may_try(own, most_attempts, now)) {
            busy.insert(&endpoint.stamp);
            let name = endpoint.name.clone();
            decisions.push(Decision::Recover { name });
        }
    }
    decisions
}

/// Whether an app may be repaired once more. What a clock that was ahead has written counts until
/// that time is over by the same hour.
#[must_use]
pub fn may_try(tried: &Tried, most_attempts: u32, now: DateTime<Utc>) -> bool {
    let within_hour =
        |at: &&DateTime<Utc>| **at > now - Duration::hours(1) && **at <= now + Duration::hours(1);
    let rested = tried
        .ended
        .is_none_or(|at| now - at >= PAUSE || at - now > Duration::hours(1));
    !tried.open && rested && tried.began.iter().filter(within_hour).count() < most_attempts as usize
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::record::Told;
    use super::*;
    use crate::domain::Repair;

    pub(in crate::operations) fn endpoint(name: &str, app: &str) -> Endpoint {
        Endpoint {
            name: name.into(),
            url: format!("https://{name}.example/health")
                .parse()
                .expect("a URL"),
            app: ResourceId::new("s", "g", "Microsoft.App/containerApps", app),
            stamp: "jpe".into(),
            tenant: None,
            status: 200,
            body: None,
            timeout: std::time::Duration::from_secs(10),
            failures: 3,
            successes: 2,
            escalate_after: Duration::minutes(10),
            recovery: Repair::ALL.to_vec(),
            redis: Some(ResourceId::new("s", "g", "Microsoft.Cache/redis", "cache")),
            most_replicas: 10,
            calm: Duration::minutes(30),
        }
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_431_200, 0).expect("a time")
    }

    fn ago(minutes: i64) -> DateTime<Utc> {
        noon() - Duration::minutes(minutes)
    }

    /// Failing since so many minutes, or well.
    fn record(failing: Option<i64>) -> Record {
        match failing {
            None => Record {
                successes: 5,
                ..Record::default()
            },
            Some(minutes) => Record {
                failures: u32::try_from(minutes + 1).unwrap_or(0),
                failing: minutes >= 2,
                first_failure: Some(ago(minutes)),
                ..Record::default()
            },
        }
    }

    fn told(record: Record, priority: Priority) -> Record {
        Record {
            told: Some(Told {
                key: crate::domain::GroupKey {
                    rule: "health".into(),
                    tenant: None,
                    resource: None,
                },
                occurrence: "o".into(),
                priority,
                incident: None,
                escalated: false,
                again: None,
                ended: None,
                untold: false,
            }),
            ..record
        }
    }

    fn untold(record: Record) -> Record {
        let mut record = told(record, Priority::Critical);
        if let Some(told) = &mut record.told {
            told.untold = true;
        }
        record
    }

    fn fire(name: &str, priority: Priority) -> Decision {
        Decision::Fire {
            name: name.into(),
            priority,
        }
    }

    fn recover(name: &str) -> Decision {
        Decision::Recover { name: name.into() }
    }

    fn clear(name: &str) -> Decision {
        Decision::Clear { name: name.into() }
    }

    fn suspect(names: &[&str], why: &str) -> Decision {
        Decision::Suspect {
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            why: why.into(),
        }
    }

    #[test]
    fn what_is_done_about_what_the_probes_saw() {
        use Priority::{Critical, High};
        let ends = noon() + Duration::days(13);
        let api = |record: Record| ("api", "agent-api", record);
        let worker = |record: Record| ("worker", "agent-worker", record);
        let front = |record: Record| ("front", "agent-api", record);
        let other = |record: Record| ("other", "agent-other", record);
        let three = "3 of 4 endpoints turned bad within 3 minutes";
        let well = || record(None);
        let bad = |minutes| record(Some(minutes));
        type Given<'a> = Vec<(&'a str, &'a str, Record)>;
        let cases: Vec<(&str, Given<'_>, Reach, bool, Vec<Decision>)> = vec![
            (
                "all is well",
                vec![api(well())],
                Reach::NotAsked,
                false,
                vec![],
            ),
            (
                "two failures",
                vec![api(bad(1)), worker(well())],
                Reach::Works,
                false,
                vec![],
            ),
            (
                "the third",
                vec![api(bad(2)), worker(well())],
                Reach::Works,
                false,
                vec![fire("api", Critical), recover("api")],
            ),
            (
                "one of two of an app",
                vec![api(bad(2)), front(well()), worker(well())],
                Reach::Works,
                false,
                vec![fire("api", High), recover("api")],
            ),
            (
                "told before",
                vec![api(told(bad(4), Critical)), worker(well())],
                Reach::Works,
                false,
                vec![recover("api")],
            ),
            (
                "about to be told, and killed",
                vec![api(untold(bad(12))), worker(well())],
                Reach::Works,
                false,
                vec![fire("api", Critical), recover("api")],
            ),
            (
                "about to be told, and well again",
                vec![api(untold(well())), worker(well())],
                Reach::NotAsked,
                false,
                vec![clear("api")],
            ),
            (
                "it got worse",
                vec![
                    api(told(bad(9), High)),
                    front(told(bad(2), Critical)),
                    worker(well()),
                    other(well()),
                ],
                Reach::Works,
                false,
                vec![fire("api", Critical), recover("api")],
            ),
            (
                "well again",
                vec![api(told(well(), High)), worker(well())],
                Reach::NotAsked,
                false,
                vec![clear("api")],
            ),
            (
                "one good probe",
                vec![
                    api(Record {
                        successes: 1,
                        ..told(bad(4), Critical)
                    }),
                    worker(well()),
                ],
                Reach::Works,
                false,
                vec![],
            ),
            (
                "too long",
                vec![api(told(bad(10), Critical)), worker(well())],
                Reach::Works,
                false,
                vec![Decision::Escalate { name: "api".into() }, recover("api")],
            ),
            (
                "not long enough",
                vec![api(told(bad(9), Critical)), worker(well())],
                Reach::Works,
                false,
                vec![recover("api")],
            ),
            (
                "both at once",
                vec![api(bad(2)), worker(bad(3))],
                Reach::Works,
                false,
                vec![suspect(
                    &["api", "worker"],
                    "2 of 2 endpoints turned bad within 3 minutes",
                )],
            ),
            (
                "both, one after the other",
                vec![api(bad(2)), worker(told(bad(9), Critical))],
                Reach::Works,
                false,
                vec![fire("api", Critical), recover("worker")],
            ),
            (
                "most at once",
                vec![api(bad(2)), worker(bad(3)), other(bad(1)), front(well())],
                Reach::Works,
                false,
                vec![suspect(&["api", "other", "worker"], three)],
            ),
            (
                "two of four at once",
                vec![api(bad(2)), worker(bad(3)), other(well()), front(well())],
                Reach::Works,
                false,
                vec![
                    fire("api", High),
                    fire("worker", Critical),
                    recover("worker"),
                ],
            ),
            (
                "three of six at once",
                vec![
                    api(bad(2)),
                    worker(bad(3)),
                    other(bad(2)),
                    front(well()),
                    ("x", "x", well()),
                    ("y", "y", well()),
                ],
                Reach::Works,
                false,
                vec![
                    fire("api", High),
                    fire("worker", Critical),
                    fire("other", Critical),
                    recover("worker"),
                ],
            ),
            (
                "the probe reaches nothing",
                vec![api(bad(2)), worker(well()), other(well())],
                Reach::Broken("no connection".into()),
                false,
                vec![suspect(
                    &["api"],
                    "the probe reaches nothing, not even what always answers: no connection",
                )],
            ),
            (
                "alone, and the probe works",
                vec![api(bad(2))],
                Reach::Works,
                false,
                vec![fire("api", Critical), recover("api")],
            ),
            (
                "alone, and the probe is broken",
                vec![api(bad(2))],
                Reach::Broken("no connection".into()),
                false,
                vec![suspect(
                    &["api"],
                    "the probe reaches nothing, not even what always answers: no connection",
                )],
            ),
            (
                "trusted again",
                vec![api(bad(4)), worker(well())],
                Reach::Works,
                true,
                vec![Decision::Trust, fire("api", Critical), recover("api")],
            ),
            (
                "a certificate",
                vec![api(Record {
                    certificate_ends: Some(ends),
                    ..well()
                })],
                Reach::NotAsked,
                false,
                vec![Decision::Expires {
                    name: "api".into(),
                    at: ends,
                    priority: Priority::Medium,
                }],
            ),
            (
                "a certificate in time",
                vec![api(Record {
                    certificate_ends: Some(noon() + Duration::days(14)),
                    ..well()
                })],
                Reach::NotAsked,
                false,
                vec![],
            ),
            (
                "a certificate that was told",
                vec![api(Record {
                    certificate_ends: Some(ends),
                    certificate_told: Some(certificate_occurrence(ends, Priority::Medium)),
                    ..well()
                })],
                Reach::NotAsked,
                false,
                vec![],
            ),
            (
                "a new certificate",
                vec![api(Record {
                    certificate_ends: Some(noon() + Duration::days(90)),
                    certificate_told: Some("x".into()),
                    ..well()
                })],
                Reach::NotAsked,
                false,
                vec![Decision::Renewed { name: "api".into() }],
            ),
        ];
        for (name, given, reach, suspected, expected) in cases {
            let endpoints: Vec<_> = given.iter().map(|(n, app, _)| endpoint(n, app)).collect();
            let facts: Vec<_> = endpoints
                .iter()
                .zip(given)
                .map(|(endpoint, (_, _, record))| Fact {
                    endpoint,
                    record,
                    ended: None,
                })
                .collect();
            let decided = decide(&facts, &reach, suspected, &[], 2, noon());
            assert_eq!(decided, expected, "{name}");
        }
    }

    #[test]
    fn what_fails_on_after_its_incident_was_ended_is_told_once_more() {
        use Priority::{Critical, High};
        let ended = |at, failures| Some(Ended { at, failures });
        let note = |at, failures| Decision::Ended {
            name: "api".into(),
            ended: Ended { at, failures },
        };
        let again = |priority| Decision::Again {
            name: "api".into(),
            priority,
        };
        type Case<'a> = (
            &'a str,
            Option<DateTime<Utc>>,
            Option<Ended>,
            Priority,
            Vec<Decision>,
        );
        let cases: [Case<'_>; 8] = [
            ("it was not ended", None, None, Critical, vec![]),
            (
                "before the last probe",
                Some(ago(1)),
                None,
                Critical,
                vec![note(ago(1), 1)],
            ),
            (
                "after it",
                Some(noon() + Duration::seconds(1)),
                None,
                Critical,
                vec![note(noon() + Duration::seconds(1), 0)],
            ),
            (
                "two probes since",
                Some(ago(2)),
                ended(ago(2), 2),
                Critical,
                vec![],
            ),
            (
                "three",
                Some(ago(3)),
                ended(ago(3), 3),
                Critical,
                vec![again(Critical)],
            ),
            (
                "it got worse",
                Some(ago(1)),
                ended(ago(1), 1),
                High,
                vec![again(Critical)],
            ),
            (
                "it was opened by hand, and ended again",
                Some(ago(1)),
                ended(ago(8), 7),
                Critical,
                vec![note(ago(1), 1)],
            ),
            (
                "it was opened by hand",
                None,
                ended(ago(8), 7),
                Critical,
                vec![Decision::Escalate { name: "api".into() }],
            ),
        ];
        let mut endpoint = endpoint("api", "agent-api");
        endpoint.recovery = Vec::new();
        for (name, was_ended, known, priority, expected) in cases {
            let mut record = told(record(Some(20)), priority);
            record.checked = Some(noon());
            let since = if name == "it was not ended" { 9 } else { 10 };
            if let Some(told) = &mut record.told {
                told.ended = known;
                told.again = Some(ago(since));
            }
            let fact = Fact {
                endpoint: &endpoint,
                record,
                ended: was_ended,
            };
            let decided = decide(&[fact], &Reach::Works, false, &[], 2, noon());
            assert_eq!(decided, expected, "{name}");
        }
    }

    #[test]
    fn each_limit_alone_stops_a_repair() {
        let tried = |app: &str, open: bool, began: &[i64], ended: Option<i64>| Tried {
            app: ResourceId::new("s", "g", "Microsoft.App/containerApps", app),
            stamp: "jpe".into(),
            open,
            began: began.iter().map(|m| ago(*m)).collect(),
            ended: ended.map(ago),
        };
        let own = endpoint("api", "agent-api");
        let fact = |recovery: Vec<Repair>| Endpoint {
            recovery,
            ..own.clone()
        };
        for (name, tried, recovery, expected) in [
            ("nothing was tried", vec![], Repair::ALL.to_vec(), true),
            (
                "once, a while ago",
                vec![tried("agent-api", false, &[15], Some(10))],
                Repair::ALL.to_vec(),
                true,
            ),
            (
                "just now",
                vec![tried("agent-api", false, &[15], Some(9))],
                Repair::ALL.to_vec(),
                false,
            ),
            (
                "twice within the hour",
                vec![tried("agent-api", false, &[59, 30], Some(20))],
                Repair::ALL.to_vec(),
                false,
            ),
            (
                "twice, the first longer ago",
                vec![tried("agent-api", false, &[61, 30], Some(20))],
                Repair::ALL.to_vec(),
                true,
            ),
            (
                "by a clock that was ahead",
                vec![tried("agent-api", false, &[-120, -121], Some(-115))],
                Repair::ALL.to_vec(),
                true,
            ),
            (
                "under way",
                vec![tried("agent-api", true, &[3], None)],
                Repair::ALL.to_vec(),
                false,
            ),
            (
                "another of the stamp is under way",
                vec![tried("agent-worker", true, &[3], None)],
                Repair::ALL.to_vec(),
                false,
            ),
            (
                "another was",
                vec![tried("agent-worker", false, &[30, 5], Some(1))],
                Repair::ALL.to_vec(),
                true,
            ),
            ("nothing may be tried", vec![], vec![], false),
        ] {
            let endpoint = fact(recovery);
            let facts = [Fact {
                endpoint: &endpoint,
                record: told(record(Some(3)), Priority::Critical),
                ended: None,
            }];
            let decided = decide(&facts, &Reach::Works, false, &tried, 2, noon());
            assert_eq!(!decided.is_empty(), expected, "{name}: {decided:?}");
        }
    }

    #[test]
    fn of_each_stamp_one_app_is_repaired_at_a_time() {
        let mut endpoints = ["a", "b", "c", "d", "e", "f"].map(|name| endpoint(name, name));
        endpoints[2].stamp = "eus".into();
        let minutes = [Some(12), Some(20), Some(30), None, None, None];
        let facts: Vec<_> = endpoints
            .iter()
            .zip(minutes)
            .map(|(endpoint, failing)| Fact {
                endpoint,
                record: told(
                    Record {
                        told: None,
                        ..record(failing)
                    },
                    Priority::Critical,
                ),
                ended: None,
            })
            .collect();
        let decided = decide(&facts, &Reach::Works, false, &[], 2, noon());
        let recovered: Vec<_> = decided
            .into_iter()
            .filter(|d| matches!(d, Decision::Recover { .. }))
            .collect();
        assert_eq!(recovered, [recover("c"), recover("b")]);
    }
}
