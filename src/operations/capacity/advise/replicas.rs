//! Replicas of a container app.

use chrono::{DateTime, Utc};

use super::learn::Limit;
use super::{
    Advice, BUFFER, FULL, Need, PerReplica, Recommendation, Size, Urgency, Usage, coming, reliance,
    urgency,
};
use crate::domain::{Money, Replicas, ResourceId};
use crate::estate::{MONTH_HOURS, Prices, ReplicaRules};
use crate::operations::capacity::hourly::quantile;
use crate::operations::capacity::kept::{Kept, Measure, Subject};

/// The share of hours that are the quiet ones.
const QUIET: f64 = 0.05;

/// All that the replicas of an app are judged by.
#[derive(Debug, Clone, Copy)]
pub struct AppInput<'a> {
    pub app: &'a ResourceId,
    /// `Err`: Azure did not say; why.
    pub replicas: Result<Replicas, &'a str>,
    /// What was measured; `None`: nothing yet.
    pub subject: Option<&'a Subject>,
    pub rules: &'a ReplicaRules,
    pub prices: &'a Prices,
    pub location: &'a str,
    /// What a replica has; `None` if that is not known.
    pub vcpu: Option<f64>,
    pub gib: Option<f64>,
}

/// What the replicas should be.
#[must_use]
pub fn app(input: &AppInput<'_>, now: DateTime<Utc>) -> Recommendation {
    let have = match input.replicas {
        Ok(have) => have,
        Err(why) => {
            let why = format!("its replicas cannot be read: {why}");
            return Recommendation::unknown(input.app, None, why);
        }
    };
    let size = Size::Replicas(have);
    let unknown = |why: String| Recommendation::unknown(input.app, Some(size), why);
    let kept = |measure| input.subject.and_then(|subject| subject.of(measure));
    let (requests, coming_requests) = match coming(kept(Measure::Requests)) {
        Ok(found) => found,
        Err(why) => return unknown(why),
    };
    let need = match Need::of(requests, coming_requests, now) {
        Ok(need) => need,
        Err(why) => return unknown(why),
    };
    let history = |measure| kept(measure).and_then(|kept| kept.history.as_ref());
    let measured = history(Measure::Requests)
        .zip(history(Measure::Replicas))
        .zip(history(Measure::Cpu));
    let hours = measured.map(|((requests, replicas), cpu)| {
        Usage::hours(requests, replicas, cpu, history(Measure::Memory))
    });
    let rules = input.rules;
    let hours = hours.unwrap_or_default();
    let one = match PerReplica::learn(&hours, rules.cpu_percent, rules.memory_percent) {
        Ok(one) => one,
        Err(why) => return unknown(why),
    };
    let mut notes = vec![said(&one, rules)];
    let needed = |need: f64| whole(need * BUFFER / one.requests);
    let raw = needed(need.upper);
    let most = raw.max(rules.least).min(rules.most);
    let room = FULL * f64::from(have.most) * one.requests;
    let evidence = need.evidence(requests, coming_requests, room);
    let more = need.upper > room && most > have.most;
    if raw > rules.most {
        notes.push(format!(
            "it needs {raw} replicas with its buffer, and {} are the most that is allowed: allow more, or \
             give each more CPU",
            rules.most
        ));
    }
    // What the quietest hours need runs anyway; more than that always running is paid for nothing.
    let quiet = needed(quantile(need.hours.clone(), QUIET)).max(rules.least);
    let least = if have.least < rules.least {
        rules.least
    } else {
        have.least.min(quiet)
    };
    let to = Replicas {
        least: least.min(rules.most),
        most: if more { most } else { have.most.max(least) },
    };
    let changed = to != have;
    if to.least < have.least {
        notes.push(format!(
            "the quiet hours need {quiet} replicas, and {} always run",
            have.least
        ));
    } else if to.least > have.least {
        notes.push(format!(
            "the estate wants at least {} replicas",
            rules.least
        ));
    }
    if one.memory_full {
        notes.push(format!(
            "memory is at {:.0} % without load, and {} % is what the rules allow: more replicas do not \
             help, more memory for each does",
            one.memory_base.unwrap_or_default(),
            rules.memory_percent
        ));
    }
    full_of(
        kept(Measure::Cpu),
        rules.cpu_percent,
        "CPU",
        now,
        &mut notes,
    );
    full_of(
        kept(Measure::Memory),
        rules.memory_percent,
        "memory",
        now,
        &mut notes,
    );
    reliance(requests, coming_requests, &mut notes);
    Recommendation {
        resource: input.app.clone(),
        advice: if changed {
            Advice::Resize {
                now: size,
                to: Size::Replicas(to),
            }
        } else {
            Advice::Keep { now: size }
        },
        urgency: if more || raw > rules.most && need.upper > room {
            urgency(evidence.crosses, now)
        } else {
            Urgency::None
        },
        monthly: if changed {
            monthly(input, &one, &need.hours, to)
                .zip(monthly(input, &one, &need.hours, have))
                .and_then(|(new, old)| new.minus(old))
        } else {
            None
        },
        notes,
        evidence: Some(evidence),
        other_mode: None,
        per_replica: Some(one),
    }
}

/// Whole replicas: an exact multiple needs no other one.
fn whole(replicas: f64) -> u32 {
    (replicas - 1e-9).ceil().clamp(1.0, 1e6) as u32
}

fn said(one: &PerReplica, rules: &ReplicaRules) -> String {
    let (percent, of) = match one.limit {
        Limit::Cpu => (rules.cpu_percent, "CPU"),
        Limit::Memory => (rules.memory_percent, "memory"),
    };
    let seen = if one.limit == Limit::Cpu && one.cpu_seen < f64::from(rules.cpu_percent) * 0.8 {
        format!(
            "; no hour was fuller than {:.0} %, so that is a guess beyond it",
            one.cpu_seen
        )
    } else {
        String::new()
    };
    format!(
        "a replica takes {:.0} requests a minute at {percent} % {of}, as {} hours show{seen}",
        one.requests, one.hours
    )
}

/// A note if replicas will be fuller than they should be, whatever requests say.
fn full_of(
    kept: Option<&Kept>,
    percent: u32,
    name: &str,
    now: DateTime<Utc>,
    notes: &mut Vec<String>,
) {
    let Ok((kept, found)) = coming(kept) else {
        return;
    };
    let Ok(need) = Need::of(kept, found, now) else {
        return;
    };
    if need.upper > f64::from(percent) {
        notes.push(format!(
            "{name} may reach {:.0} % in the coming days, and {percent} % is what the rules want",
            need.upper
        ));
    }
}

/// What an average hour costs, as a month: each hour has as many replicas as its requests need.
fn monthly(
    input: &AppInput<'_>,
    one: &PerReplica,
    hours: &[f64],
    within: Replicas,
) -> Option<Money> {
    let hour = input
        .prices
        .replica_hour(input.location, input.vcpu?, input.gib?)?;
    let running = hours.iter().map(|need| {
        let replicas = whole(need / one.requests);
        f64::from(replicas.max(within.least).min(within.most))
    });
    let mean = running.sum::<f64>() / hours.len().max(1) as f64;
    Some(hour.times(mean * MONTH_HOURS))
}
