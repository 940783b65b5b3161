//! The replicas of one app. The platform's own rules follow the load; this keeps the limits, and
//! raises the least number for a while when a burst is faster than they are.
//!
//! Source: specification 6.1.2 with the correction S9.

use chrono::{DateTime, Duration, Utc};

use super::{Because, Decision, GAPS, STALE, Scale};
use crate::domain::Replicas;
use crate::estate::ReplicaRules;
use crate::operations::autoscale::facts::{AppFacts, AppMinute};

/// Clocks of two processes are so far apart at most.
const AHEAD: Duration = Duration::minutes(5);

/// Decides on the replicas of one app.
#[must_use]
pub fn app(facts: &AppFacts, rules: &ReplicaRules, now: DateTime<Utc>) -> Scale {
    let subject = facts.app.short();
    let has = match &facts.replicas {
        Ok(replicas) => *replicas,
        Err(why) => {
            let why = format!("Azure does not say what it has: {why}");
            return Decision::hold(Because::Unread, why).found("replicas-unread", &subject);
        }
    };
    if let Some(failed) = &facts.failed {
        let why = format!("its newest revision {failed}: another one would be made of the same");
        return Decision::hold(Because::Pending, why).found("revision-failed", &subject);
    }
    if facts.rolling {
        let why = "another revision is on its way: what is changed now would roll out on top of it";
        return Decision::hold(Because::Pending, why);
    }
    if let Some(split) = &facts.split {
        let why = format!(
            "its requests go {split}: a change makes a revision of the newest one, and whether that may serve only people know"
        );
        return Decision::hold(Because::Pending, why).found("traffic-split", &subject);
    }
    let of = rules.of_samples.max(1) as usize;
    let fresh = || facts.minutes.iter().rev().filter(|m| m.at >= now - STALE);
    let within = Replicas {
        least: has.least.clamp(rules.least, rules.most),
        most: has.most.clamp(rules.least, rules.most),
    };
    if within != has {
        let why = format!(
            "it has {has}, and {}-{} are allowed",
            rules.least, rules.most
        );
        let running = fresh().filter_map(|m| m.replicas).reduce(f64::max);
        let ask_first = match running {
            _ if within.most >= has.most && within.least >= has.least => None,
            None => Some("how many run was not measured".to_owned()),
            Some(run) if run > f64::from(within.most) => Some(format!("{run:.0} run now")),
            Some(_) => None,
        };
        return Decision {
            ask_first,
            ..Decision::set(within, Because::OutsideLimits, why)
        };
    }
    let newest: Vec<&AppMinute> = fresh().filter(|m| m.cpu.is_some()).take(of).collect();
    if newest.len() < of {
        let why = format!(
            "only {} of the newest {of} minutes were measured: nothing is changed by what is not known",
            newest.len()
        );
        return Decision::hold(Because::NoData, why).found("replicas-no-data", &subject);
    }
    let over = |minute: &AppMinute| {
        let cpu = minute.cpu.unwrap_or_default() / f64::from(rules.cpu_percent.max(1));
        let memory = minute.memory.unwrap_or_default() / f64::from(rules.memory_percent.max(1));
        cpu.max(memory)
    };
    let busy = newest.iter().filter(|minute| over(minute) > 1.0).count();
    if busy >= rules.hot_samples as usize {
        return burst(&subject, has, rules, &newest, over);
    }
    match &facts.raised {
        Some(raised) if raised.to == has => {
            // What ends later than a burst can was written by a clock that was wrong.
            let lasts = now < raised.until && raised.until <= now + rules.burst + AHEAD;
            let newest = newest.first().map_or(now, |minute| minute.at);
            let calm = || {
                let all = facts.minutes.iter();
                all.filter(|m| m.at > newest - rules.calm)
            };
            if lasts || calm().any(|m| over(m) > 1.0) {
                let why = format!(
                    "raised for a burst until {}",
                    raised.until.format("%H:%M UTC")
                );
                return Decision::hold(Because::Steady, why);
            }
            let known = calm().filter(|m| m.cpu.is_some() && m.memory.is_some());
            let (known, wanted) = (known.count(), rules.calm.num_minutes());
            if (known + GAPS) < usize::try_from(wanted).unwrap_or(usize::MAX) {
                let why = format!(
                    "the burst seems over, but only {known} of {wanted} minutes were measured: nothing is taken away by what is not known"
                );
                return Decision::hold(Because::NoData, why).found("replicas-no-data", &subject);
            }
            Decision::set(raised.from, Because::BurstOver, "the burst is over")
        }
        _ => Decision::hold(Because::Steady, "what runs is enough"),
    }
}

fn burst(
    subject: &str,
    has: Replicas,
    rules: &ReplicaRules,
    newest: &[&AppMinute],
    over: impl Fn(&AppMinute) -> f64,
) -> Scale {
    let running = newest.iter().filter_map(|m| m.replicas).reduce(f64::max);
    let most_over = newest.iter().map(|m| over(m)).fold(0.0, f64::max);
    let running = running.unwrap_or_else(|| f64::from(has.least));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "replicas are few"
    )]
    let wanted = (running * most_over).ceil().max(0.0) as u32;
    let to = wanted.min(has.most);
    let why = format!(
        "{:.0} % of its target with {running:.0} replicas: {wanted} would do",
        most_over * 100.0
    );
    if to <= has.least {
        if has.least >= rules.most || wanted > has.most {
            let why = format!("{why}, and {} are the most", has.most);
            return Decision::hold(Because::AtMost, why).found("replicas-at-most", subject);
        }
        return Decision::hold(Because::Steady, "as many run as a burst needs");
    }
    let mut decision = Decision::set(
        Replicas {
            least: to,
            most: has.most,
        },
        Because::Burst,
        why,
    );
    if wanted > has.most {
        decision = decision.found("replicas-at-most", subject);
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ResourceId;
    use crate::operations::autoscale::facts::Raised;

    fn now() -> DateTime<Utc> {
        "2026-11-26T03:05:00Z".parse().expect("a time")
    }

    fn replicas(least: u32, most: u32) -> Replicas {
        Replicas { least, most }
    }

    fn facts(cpu: f64, running: f64) -> AppFacts {
        let minute = |back| AppMinute {
            at: now() - Duration::minutes(back),
            cpu: Some(cpu),
            memory: Some(40.0),
            requests: Some(100.0),
            replicas: Some(running),
        };
        AppFacts {
            app: ResourceId::new("s", "g", "Microsoft.App/containerApps", "agent-api"),
            replicas: Ok(replicas(2, 10)),
            rolling: false,
            failed: None,
            split: None,
            rules: Vec::new(),
            minutes: (1..=30).rev().map(minute).collect(),
            raised: None,
        }
    }

    fn raised(facts: &mut AppFacts, until: i64) {
        facts.replicas = Ok(replicas(4, 10));
        facts.raised = Some(Raised {
            from: replicas(2, 10),
            to: replicas(4, 10),
            since: now() - Duration::minutes(40),
            until: now() + Duration::minutes(until),
        });
    }

    #[test]
    fn replicas_keep_their_limits_and_follow_a_burst_for_a_while() {
        use Because::{AtMost, Burst, BurstOver, NoData, OutsideLimits, Pending, Steady, Unread};
        type Turn = fn(&mut AppFacts);
        type Case = (&'static str, AppFacts, Turn, Option<(u32, u32)>, Because);
        let cases: &[Case] = &[
            ("calm", facts(30.0, 2.0), |_| {}, None, Steady),
            (
                "105 % of two: three",
                facts(105.0, 2.0),
                |_| {},
                Some((3, 10)),
                Burst,
            ),
            (
                "90 % of four: six",
                facts(90.0, 4.0),
                |_| {},
                Some((6, 10)),
                Burst,
            ),
            (
                "by memory",
                facts(30.0, 2.0),
                |f| f.minutes.iter_mut().for_each(|m| m.memory = Some(96.0)),
                Some((3, 10)),
                Burst,
            ),
            (
                "as many as there may be",
                facts(95.0, 9.0),
                |_| {},
                Some((10, 10)),
                Burst,
            ),
            (
                "and no more",
                facts(95.0, 10.0),
                |f| f.replicas = Ok(replicas(10, 10)),
                None,
                AtMost,
            ),
            (
                "busy in one minute of three",
                facts(30.0, 2.0),
                |f| f.minutes[29].cpu = Some(99.0),
                None,
                Steady,
            ),
            (
                "nothing measured",
                facts(95.0, 2.0),
                |f| f.minutes.clear(),
                None,
                NoData,
            ),
            (
                "nothing measured of late",
                facts(95.0, 2.0),
                |f| f.minutes.truncate(18),
                None,
                NoData,
            ),
            (
                "a rollout is under way",
                facts(95.0, 2.0),
                |f| f.rolling = true,
                None,
                Pending,
            ),
            (
                "one replica alone",
                facts(30.0, 1.0),
                |f| f.replicas = Ok(replicas(1, 10)),
                Some((2, 10)),
                OutsideLimits,
            ),
            (
                "thirty at most",
                facts(30.0, 2.0),
                |f| f.replicas = Ok(replicas(2, 30)),
                Some((2, 10)),
                OutsideLimits,
            ),
            (
                "unread",
                facts(95.0, 2.0),
                |f| f.replicas = Err("403".into()),
                None,
                Unread,
            ),
            (
                "still raised",
                facts(30.0, 4.0),
                |f| raised(f, 5),
                None,
                Steady,
            ),
            (
                "over",
                facts(30.0, 4.0),
                |f| raised(f, -1),
                Some((2, 10)),
                BurstOver,
            ),
            (
                "over, and busy a quarter of an hour ago",
                facts(30.0, 4.0),
                |f| {
                    raised(f, -1);
                    f.minutes[20].cpu = Some(95.0);
                },
                None,
                Steady,
            ),
            (
                "over, but only the newest minutes were measured",
                facts(30.0, 4.0),
                |f| {
                    raised(f, -1);
                    f.minutes.drain(20..27);
                },
                None,
                NoData,
            ),
            (
                "over, but memory was not measured",
                facts(30.0, 4.0),
                |f| {
                    raised(f, -1);
                    f.minutes.iter_mut().for_each(|m| m.memory = None);
                },
                None,
                NoData,
            ),
            (
                "raised until next year, by a clock that was wrong",
                facts(30.0, 4.0),
                |f| raised(f, 500_000),
                Some((2, 10)),
                BurstOver,
            ),
            (
                "the newest revision has failed",
                facts(95.0, 2.0),
                |f| {
                    f.rolling = true;
                    f.failed = Some("v2 could not be provisioned".into());
                },
                None,
                Pending,
            ),
            (
                "a staged revision without requests",
                facts(95.0, 2.0),
                |f| f.split = Some("100% to v1, 0% to v2".into()),
                None,
                Pending,
            ),
            (
                "raised by us, and changed by somebody since",
                facts(30.0, 4.0),
                |f| {
                    raised(f, -1);
                    f.replicas = Ok(replicas(5, 10));
                },
                None,
                Steady,
            ),
        ];
        for (name, facts, turn, to, because) in cases {
            let mut facts = facts.clone();
            turn(&mut facts);
            let decision = app(&facts, &ReplicaRules::default(), now());
            let to = to.map(|(least, most)| replicas(least, most));
            assert_eq!(
                (decision.to, decision.because),
                (to, *because),
                "{name}: {}",
                decision.why
            );
        }
    }

    #[test]
    fn somebody_is_asked_before_replicas_that_run_are_forbidden() {
        let mut facts = facts(60.0, 25.0);
        facts.replicas = Ok(replicas(2, 30));
        let asked = |facts: &AppFacts| {
            let decision = app(facts, &ReplicaRules::default(), now());
            assert_eq!(decision.because, Because::OutsideLimits, "{}", decision.why);
            decision.ask_first
        };
        assert_eq!(asked(&facts).as_deref(), Some("25 run now"));
        facts
            .minutes
            .iter_mut()
            .for_each(|m| m.replicas = Some(9.0));
        assert_eq!(asked(&facts), None);
        facts.minutes.clear();
        assert!(asked(&facts).is_some(), "in a gap nothing is taken away");
        facts.replicas = Ok(replicas(1, 10));
        assert_eq!(asked(&facts), None, "more is no risk");
    }
}
