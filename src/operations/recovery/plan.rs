//! What is to be done next about an app that fails. Pure.

use chrono::{DateTime, Duration, Utc};

use super::record::{Attempt, Done, End};
use crate::azure::container_apps::{App, Revision};
use crate::domain::{Mutation, Outcome, Repair, Replica, Replicas, Weight};
use crate::estate::Endpoint;

/// What Azure says of an app.
#[derive(Debug, Clone)]
pub struct Seen {
    pub app: App,
    pub revisions: Vec<Revision>,
    /// The replicas of the revision that is to be restarted.
    pub replicas: Vec<Replica>,
}

/// What is known when the next step is planned.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub endpoint: &'a Endpoint,
    pub attempt: &'a Attempt,
    /// The endpoint was well just now, as often as ends a failure.
    pub healthy: bool,
    /// What became of the step that waited for an approval, if one did.
    pub waited: Option<Outcome>,
    /// `Err` with why Azure does not say.
    pub seen: Result<Seen, String>,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing is left to do.
    End(End, String),
    /// A change waits for an approval.
    Wait,
    Make(Repair, Mutation),
}

/// Plans the next step; the steps before it that are not possible, each with why.
#[must_use]
pub fn plan(facts: &Facts<'_>, now: DateTime<Utc>) -> (Vec<(Repair, String)>, Next) {
    let (endpoint, attempt) = (facts.endpoint, facts.attempt);
    if facts.healthy {
        let made = attempt.steps.iter().rev().find(|step| was_made(step));
        let end = match made {
            Some(step) => (
                End::Recovered,
                format!("{} is well again after {}", endpoint.name, step.repair),
            ),
            None => (
                End::ByItself,
                format!("{} is well again, and nothing was done", endpoint.name),
            ),
        };
        return (Vec::new(), Next::End(end.0, end.1));
    }
    if matches!(facts.waited, Some(Outcome::AwaitingApproval { .. })) {
        return (Vec::new(), Next::Wait);
    }
    if now - attempt.began >= endpoint.escalate_after {
        let why = format!(
            "{} was tried to be repaired for {} minutes",
            endpoint.name,
            endpoint.escalate_after.num_minutes()
        );
        return (Vec::new(), Next::End(End::GaveUp, why));
    }
    let mut skipped = Vec::new();
    let left = endpoint.recovery.iter().copied();
    for repair in left.filter(|repair| attempt.steps.iter().all(|step| step.repair != *repair)) {
        match step(repair, facts, now) {
            Ok(mutation) => return (skipped, Next::Make(repair, mutation)),
            Err(why) => skipped.push((repair, why)),
        }
    }
    let why = format!("nothing of what was tried has helped {}", endpoint.name);
    (skipped, Next::End(End::GaveUp, why))
}

/// Whether it may have had an effect.
fn was_made(step: &Done) -> bool {
    matches!(
        step.outcome,
        Some(Outcome::Verified { .. } | Outcome::NotVerified { .. })
    )
}

fn step(repair: Repair, facts: &Facts<'_>, now: DateTime<Utc>) -> Result<Mutation, String> {
    if repair == Repair::FlushCache {
        let redis = facts.endpoint.redis.as_ref();
        return redis
            .map(|_| Mutation::CacheFlush)
            .ok_or_else(|| "the estate names no cache for it".into());
    }
    let seen = facts.seen.as_ref().map_err(Clone::clone)?;
    if let Some(why) = rolls_out(seen, repair) {
        return Err(why);
    }
    match repair {
        Repair::Restart => {
            let revision = to_restart(&seen.app, &seen.revisions)
                .ok_or("no revision has its requests and runs")?;
            if seen.replicas.is_empty() {
                return Err(format!("revision {} has no replica", revision.name));
            }
            let young = |r: &Replica| now - r.started < START && r.started <= now;
            if seen.replicas.iter().all(young) {
                return Err(format!("revision {} has just been started", revision.name));
            }
            Ok(Mutation::AppRestart {
                revision: revision.name.clone(),
                replicas: seen.replicas.clone(),
            })
        }
        Repair::ScaleUp => {
            // The step before it is over: its effect was looked at.
            let last = facts.attempt.steps.last();
            if last.is_some_and(|s| was_made(s) && s.healthy.is_none()) {
                return Err("the step before it has not been looked at".into());
            }
            let from = seen.app.replicas;
            let running = seen.revisions.iter().map(|r| r.replicas).max().unwrap_or(0);
            let limit = facts.endpoint.most_replicas.min(from.most);
            let least = from.least.max(running).max(1).saturating_mul(2).min(limit);
            if least <= from.least {
                return Err(format!("it has {from}, and {limit} is the limit"));
            }
            Ok(Mutation::AppReplicas {
                from,
                to: Replicas { least, ..from },
            })
        }
        Repair::FlushCache => unreachable!("answered above"),
    }
}

/// Replicas younger than this are still starting.
const START: Duration = Duration::minutes(2);

/// Why nothing is changed beside what is being rolled out. What failed to be keeps nobody from
/// restarting what serves meanwhile.
fn rolls_out(seen: &Seen, repair: Repair) -> Option<String> {
    let newest = seen.app.newest_revision.as_ref()?;
    if seen.app.latest_revision.as_ref() == Some(newest) {
        return None;
    }
    let revision = seen.revisions.iter().find(|r| r.name == *newest);
    if !revision.is_some_and(Revision::has_failed) {
        return Some(format!("revision {newest} is being rolled out"));
    }
    (repair == Repair::ScaleUp).then(|| {
        format!("revision {newest} could not be provisioned: another one would not be either")
    })
}

/// The revision that has the requests and fails by Azure's own word, or has most of them.
#[must_use]
pub fn to_restart<'a>(app: &App, revisions: &'a [Revision]) -> Option<&'a Revision> {
    let mut serving: Vec<_> = revisions
        .iter()
        .filter(|r| r.active && (r.traffic > 0 || is_only(app, r)))
        .collect();
    serving.sort_by_key(|r| (!r.fails(), std::cmp::Reverse(r.traffic), &r.name));
    serving.first().copied()
}

/// With one revision at a time, or without ingress, it is the newest that is ready.
fn is_only(app: &App, revision: &Revision) -> bool {
    (!app.multiple || app.traffic.is_empty())
        && app.latest_revision.as_deref() == Some(&revision.name)
}

/// Where requests are to go once a scale-up has made another revision, if they do not go there by
/// themselves. Nothing is moved to a revision that is not ready and well.
#[must_use]
pub fn traffic(seen: &Seen) -> Option<Mutation> {
    let app = &seen.app;
    let follows = app.traffic.iter().any(|part| part.revision.is_none());
    if !app.multiple || app.traffic.is_empty() || follows {
        return None;
    }
    let newest = app.latest_revision.as_ref()?;
    let revision = seen.revisions.iter().find(|r| r.name == *newest)?;
    let to = vec![Weight {
        revision: Some(newest.clone()),
        percent: 100,
    }];
    let ready = revision.is_ready() && app.newest_revision.as_ref() == Some(newest);
    (ready && app.traffic != to).then(|| Mutation::AppTraffic {
        from: app.traffic.clone(),
        to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GroupKey, IncidentId};
    use crate::operations::health::example as endpoint;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_431_200, 0).expect("a time")
    }

    fn revision(name: &str, traffic: u32) -> Revision {
        Revision {
            name: name.into(),
            active: true,
            replicas: 2,
            traffic,
            health: "Healthy".into(),
            provisioning: "Provisioned".into(),
            running: "Running".into(),
            error: None,
        }
    }

    fn replica(minutes: i64) -> Replica {
        Replica {
            name: "r".into(),
            started: noon() - Duration::minutes(minutes),
        }
    }

    fn seen() -> Seen {
        Seen {
            app: App {
                location: "japaneast".into(),
                replicas: Replicas { least: 2, most: 10 },
                latest_revision: Some("one".into()),
                newest_revision: Some("one".into()),
                multiple: false,
                traffic: vec![Weight {
                    revision: None,
                    percent: 100,
                }],
                domains: Vec::new(),
                scale_rules: Vec::new(),
                vcpu: 0.5,
                gib: 1.0,
            },
            revisions: vec![revision("one", 100)],
            replicas: vec![replica(60)],
        }
    }

    fn done(repair: Repair, outcome: Outcome, healthy: Option<bool>) -> Done {
        Done {
            repair,
            run: "r".parse().expect("a run id"),
            change: None,
            outcome: Some(outcome),
            skipped: None,
            healthy,
            at: noon(),
        }
    }

    fn attempt(steps: Vec<Done>) -> Attempt {
        let key = GroupKey {
            rule: "health".into(),
            tenant: None,
            resource: None,
        };
        Attempt {
            number: 1,
            endpoint: "api".into(),
            occurrence: "o".into(),
            incident: IncidentId::new(&key, 1),
            began: noon() - Duration::minutes(3),
            steps,
            next: 0,
            ended: None,
            end: None,
        }
    }

    fn made() -> Outcome {
        Outcome::Verified { seen: "it".into() }
    }

    fn held() -> Outcome {
        Outcome::Held {
            hold: crate::domain::Hold::OutsideWindow,
        }
    }

    fn waits() -> Outcome {
        Outcome::AwaitingApproval {
            until: noon(),
            why: None,
        }
    }

    /// The next step in a word.
    fn word(next: &Next) -> String {
        match next {
            Next::End(end, _) => format!("{end:?}"),
            Next::Wait => "Wait".into(),
            Next::Make(_, Mutation::AppRestart { revision, .. }) => format!("restart {revision}"),
            Next::Make(_, Mutation::AppReplicas { from, to }) => format!("{from} -> {to}"),
            Next::Make(repair, _) => repair.to_string(),
        }
    }

    #[test]
    fn what_is_tried_next() {
        use Repair::{FlushCache, Restart, ScaleUp};
        let restarted = || done(Restart, made(), Some(false));
        let flushed = || done(FlushCache, made(), Some(false));
        let two = || vec![restarted(), flushed()];
        type Given = (
            Vec<Done>,
            Endpoint,
            bool,
            Option<Outcome>,
            Result<Seen, String>,
        );
        let given =
            |steps| -> Given { (steps, endpoint("api", "agent-api"), false, None, Ok(seen())) };
        let with = |steps, turn: &dyn Fn(&mut Given)| {
            let mut one = given(steps);
            turn(&mut one);
            one
        };
        let of = |turn: &dyn Fn(&mut Seen)| {
            let mut one = seen();
            turn(&mut one);
            Ok(one)
        };
        let failed_rollout = || {
            of(&|s| {
                s.app.newest_revision = Some("two".into());
                s.revisions.push(Revision {
                    provisioning: "Failed".into(),
                    ..revision("two", 0)
                });
            })
        };
        let cases: Vec<(&str, Given, &str, usize)> = vec![
            ("first", given(vec![]), "restart one", 0),
            ("then", given(vec![restarted()]), "flush_cache", 0),
            ("last", given(two()), "2-10 replicas -> 4-10 replicas", 0),
            (
                "all were tried",
                given([two(), vec![done(ScaleUp, made(), Some(false))]].concat()),
                "GaveUp",
                0,
            ),
            (
                "held",
                given(vec![done(Restart, held(), None)]),
                "flush_cache",
                0,
            ),
            (
                "another order",
                with(vec![], &|g| g.1.recovery = vec![FlushCache, Restart]),
                "flush_cache",
                0,
            ),
            (
                "nothing may be tried",
                with(vec![], &|g| g.1.recovery = vec![]),
                "GaveUp",
                0,
            ),
            (
                "well before anything",
                with(vec![], &|g| g.2 = true),
                "ByItself",
                0,
            ),
            (
                "well after a step",
                with(vec![restarted()], &|g| g.2 = true),
                "Recovered",
                0,
            ),
            (
                "well, and the step was held",
                with(vec![done(Restart, held(), None)], &|g| g.2 = true),
                "ByItself",
                0,
            ),
            (
                "waiting",
                with(vec![done(Restart, waits(), None)], &|g| g.3 = Some(waits())),
                "Wait",
                0,
            ),
            (
                "waiting, and well",
                with(vec![done(Restart, waits(), None)], &|g| {
                    g.2 = true;
                    g.3 = Some(waits());
                }),
                "ByItself",
                0,
            ),
            (
                "rejected",
                with(vec![done(Restart, waits(), None)], &|g| {
                    g.3 = Some(Outcome::Rejected {
                        by: "x".into(),
                        reason: "y".into(),
                    })
                }),
                "flush_cache",
                0,
            ),
            (
                "no cache",
                with(vec![restarted()], &|g| g.1.redis = None),
                "2-10 replicas -> 4-10 replicas",
                1,
            ),
            (
                "Azure does not say",
                with(vec![], &|g| g.4 = Err("denied".into())),
                "flush_cache",
                1,
            ),
            (
                "just started",
                with(vec![], &|g| g.4 = of(&|s| s.replicas = vec![replica(1)])),
                "flush_cache",
                1,
            ),
            (
                "one of them just started",
                with(vec![], &|g| g.4 = of(&|s| s.replicas.push(replica(1)))),
                "restart one",
                0,
            ),
            (
                "no replica",
                with(vec![], &|g| g.4 = of(&|s| s.replicas.clear())),
                "flush_cache",
                1,
            ),
            (
                "being rolled out",
                with(vec![], &|g| {
                    g.4 = of(&|s| s.app.newest_revision = Some("two".into()))
                }),
                "flush_cache",
                1,
            ),
            (
                "never scaled beside a rollout",
                with(two(), &|g| {
                    g.4 = of(&|s| s.app.newest_revision = Some("two".into()))
                }),
                "GaveUp",
                1,
            ),
            (
                "a rollout that failed",
                with(vec![], &|g| g.4 = failed_rollout()),
                "restart one",
                0,
            ),
            (
                "not after a rollout that failed",
                with(two(), &|g| g.4 = failed_rollout()),
                "GaveUp",
                1,
            ),
            (
                "at the limit",
                with(two(), &|g| g.1.most_replicas = 2),
                "GaveUp",
                1,
            ),
            (
                "near the limit",
                with(two(), &|g| g.1.most_replicas = 3),
                "2-10 replicas -> 3-10 replicas",
                0,
            ),
            (
                "the app's own limit",
                with(two(), &|g| g.4 = of(&|s| s.app.replicas.most = 3)),
                "2-3 replicas -> 3-3 replicas",
                0,
            ),
            (
                "more run than the least",
                with(two(), &|g| g.4 = of(&|s| s.revisions[0].replicas = 4)),
                "2-10 replicas -> 8-10 replicas",
                0,
            ),
            (
                "never together with a restart",
                given(vec![flushed(), done(Restart, made(), None)]),
                "GaveUp",
                1,
            ),
        ];
        for (name, (steps, endpoint, healthy, waited, seen), expected, skipped) in cases {
            let attempt = attempt(steps);
            let facts = Facts {
                endpoint: &endpoint,
                attempt: &attempt,
                healthy,
                waited,
                seen,
            };
            let (told, next) = plan(&facts, noon());
            assert_eq!(
                (word(&next).as_str(), told.len()),
                (expected, skipped),
                "{name}: {told:?}"
            );
        }
    }

    #[test]
    fn an_attempt_ends_when_its_time_is_over() {
        let (endpoint, attempt) = (endpoint("api", "agent-api"), attempt(vec![]));
        let facts = Facts {
            endpoint: &endpoint,
            attempt: &attempt,
            healthy: false,
            waited: None,
            seen: Ok(seen()),
        };
        let (_, next) = plan(&facts, noon() + Duration::minutes(7));
        assert_eq!(word(&next), "GaveUp");
    }

    #[test]
    fn the_revision_that_fails_and_serves_is_restarted() {
        let bad = |name: &str, traffic| Revision {
            health: "Unhealthy".into(),
            ..revision(name, traffic)
        };
        let asleep = |name: &str, traffic| Revision {
            active: false,
            ..revision(name, traffic)
        };
        for (name, multiple, revisions, expected) in [
            ("one", false, vec![revision("one", 100)], Some("one")),
            (
                "no weight is told",
                false,
                vec![revision("one", 0)],
                Some("one"),
            ),
            (
                "most requests",
                true,
                vec![revision("a", 20), revision("b", 80)],
                Some("b"),
            ),
            (
                "the one that fails",
                true,
                vec![bad("a", 20), revision("b", 80)],
                Some("a"),
            ),
            (
                "fails without requests",
                true,
                vec![bad("a", 0), revision("b", 100)],
                Some("b"),
            ),
            ("put away", true, vec![asleep("a", 100)], None),
            ("none", true, vec![], None),
        ] {
            let app = App {
                multiple,
                ..seen().app
            };
            let found = to_restart(&app, &revisions).map(|r| r.name.as_str());
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn requests_go_to_a_new_revision_only_when_it_is_ready() {
        let named = |name: &str| {
            vec![Weight {
                revision: Some(name.into()),
                percent: 100,
            }]
        };
        let rolled = || {
            let mut seen = seen();
            seen.app.multiple = true;
            seen.app.traffic = named("one");
            seen.app.latest_revision = Some("two".into());
            seen.app.newest_revision = Some("two".into());
            seen.revisions.push(revision("two", 0));
            seen
        };
        let with = |turn: &dyn Fn(&mut Seen)| {
            let mut seen = rolled();
            turn(&mut seen);
            seen
        };
        for (name, seen, moved) in [
            ("ready", rolled(), true),
            (
                "one revision at a time",
                with(&|s| s.app.multiple = false),
                false,
            ),
            (
                "they follow the newest",
                with(&|s| s.app.traffic[0].revision = None),
                false,
            ),
            (
                "they are there",
                with(&|s| s.app.traffic = named("two")),
                false,
            ),
            (
                "not ready",
                with(&|s| s.app.latest_revision = Some("one".into())),
                false,
            ),
            (
                "unwell",
                with(&|s| s.revisions[1].health = "Unhealthy".into()),
                false,
            ),
            (
                "failed",
                with(&|s| s.revisions[1].provisioning = "Failed".into()),
                false,
            ),
            ("without ingress", with(&|s| s.app.traffic.clear()), false),
        ] {
            let expected = moved.then(|| Mutation::AppTraffic {
                from: named("one"),
                to: named("two"),
            });
            assert_eq!(traffic(&seen), expected, "{name}");
        }
    }
}
