//! Policies that let nothing through, or what they let through too late.

use chrono::Duration;

use super::ContradictionKind::{CooldownTooLong, NeverFires, NeverMade};
use super::Told;
use super::open::{Open, TICK};
use crate::domain::{ChangeKind, Mode, Repair, Rhythm};
use crate::estate::{Estate, Kind, Policy};

/// There is less only when an hour, which is charged by the most that it had, has just begun.
const HOUR_BEGINS: u32 = 10;

pub(super) fn find(estate: &Estate, told: &mut Told<'_>) {
    for kind in ChangeKind::ALL {
        if !is_used(estate, kind) {
            continue;
        }
        let policy = estate.policy(kind);
        let key = |field: &str| format!("policy.{kind}.{field}");
        if policy.mode == Mode::Propose && policy.approvers.is_empty() {
            let message = "names nobody: what is proposed can never be approved";
            told.tell(NeverMade, &key("approvers"), message);
        }
        if policy.mode == Mode::Act && policy.approvers.is_empty() && asks(kind) {
            let message =
                "names nobody: what has to be approved whatever the mode is, can never be approved";
            told.tell(NeverMade, &key("approvers"), message);
        }
        if policy.mode == Mode::Propose && policy.approval_lasts < TICK {
            let message = format!(
                "is {} minutes: a proposal is over before anybody can have read it",
                policy.approval_lasts.num_minutes()
            );
            told.tell(NeverMade, &key("approval_lasts"), message);
        }
        if policy.mode != Mode::Observe {
            let of = things(estate, kind);
            let share = policy.most_share_percent;
            if of.is_some_and(|of| of * share < 100) {
                let message = format!(
                    "is {share}, and one of {} is more: nothing is ever changed",
                    of.unwrap_or_default()
                );
                told.tell(NeverMade, &key("most_share_percent"), message);
            }
        }
        if !policy.windows.is_empty() {
            windows(estate, kind, &policy, told);
        }
    }
    cooldowns(estate, told);
}

/// Whether some changes of a kind have to be approved whatever its mode is: throughput for which
/// partitions are split, and fewer replicas than run.
fn asks(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::CosmosThroughput | ChangeKind::AppReplicas)
}

/// Whether anything of the estate proposes or makes such changes by itself.
fn is_used(estate: &Estate, kind: ChangeKind) -> bool {
    let mut endpoints = estate.health.endpoints.iter();
    match kind {
        ChangeKind::CosmosThroughput => !estate.scaling.containers.is_empty(),
        ChangeKind::CosmosIndexing => estate.stamps.iter().any(|stamp| stamp.cosmos.is_some()),
        ChangeKind::AppReplicas => {
            !estate.scaling.apps.is_empty()
                || endpoints.any(|e| e.recovery.contains(&Repair::ScaleUp))
        }
        ChangeKind::AppScaleRules => !estate.scaling.apps.is_empty(),
        ChangeKind::AppRestart => endpoints.any(|e| e.recovery.contains(&Repair::Restart)),
        // After a scale-up, or other scale rules, requests go to another revision.
        ChangeKind::AppTraffic => {
            !estate.scaling.apps.is_empty()
                || endpoints.any(|e| e.recovery.contains(&Repair::ScaleUp))
        }
        ChangeKind::CacheFlush => {
            endpoints.any(|e| e.redis.is_some() && e.recovery.contains(&Repair::FlushCache))
        }
        ChangeKind::LogDeletion => !estate.logs.containers.is_empty(),
    }
}

/// Of how many one change takes a share; `None` where a change is of many things.
fn things(estate: &Estate, kind: ChangeKind) -> Option<u64> {
    let of_kind = |kind| estate.resources().iter().filter(|r| r.kind == kind).count();
    let count = match kind {
        ChangeKind::CosmosThroughput | ChangeKind::CosmosIndexing => {
            let all = estate
                .stamps
                .iter()
                .filter_map(|stamp| stamp.cosmos.as_ref());
            all.map(|cosmos| cosmos.containers.len()).sum()
        }
        ChangeKind::AppReplicas
        | ChangeKind::AppScaleRules
        | ChangeKind::AppRestart
        | ChangeKind::AppTraffic => of_kind(Kind::ContainerApp),
        ChangeKind::CacheFlush => of_kind(Kind::Redis),
        ChangeKind::LogDeletion => return None,
    };
    Some(count as u64)
}

/// Windows of a policy against when such changes are wanted.
fn windows(estate: &Estate, kind: ChangeKind, policy: &Policy, told: &mut Told<'_>) {
    let open = Open::of(&policy.windows, estate.zone);
    if open.always() {
        return;
    }
    let key = |field: &str| format!("policy.{kind}.{field}");
    let here = key("windows");
    if policy.mode == Mode::Propose {
        let closed = open.longest(false);
        if closed > policy.approval_lasts {
            let message = format!(
                "is {} h, and windows are closed for up to {} h: an approval of meanwhile is over before they open",
                hours(policy.approval_lasts),
                hours(closed)
            );
            told.tell(NeverMade, &key("approval_lasts"), message);
        }
        return;
    }
    if policy.mode != Mode::Act {
        return;
    }
    match kind {
        ChangeKind::CosmosThroughput | ChangeKind::AppReplicas | ChangeKind::AppScaleRules => {
            if open.never() {
                let message =
                    "are open at no multiple of five minutes, which is when scaling looks";
                told.tell(NeverMade, &here, message);
                return;
            }
            if kind == ChangeKind::CosmosThroughput && !open.in_first_minutes(HOUR_BEGINS) {
                let message = format!(
                    "are closed in the first {HOUR_BEGINS} minutes of every hour, the only ones in which there is less"
                );
                told.tell(NeverFires, &here, message);
            }
            let longest = open.longest(true);
            if policy.cooldown >= longest {
                let message = format!(
                    "is {} minutes, and windows are open for {} at most: no change can follow another one",
                    policy.cooldown.num_minutes(),
                    longest.num_minutes()
                );
                told.tell(CooldownTooLong, &key("cooldown"), message);
            }
            if kind == ChangeKind::AppReplicas {
                taken_back(estate, longest, told);
            }
        }
        ChangeKind::CosmosIndexing | ChangeKind::LogDeletion => {
            if let Rhythm::Daily { at } = estate.daily.rhythm
                && !open.within_an_hour_of(at)
            {
                let message = format!(
                    "are closed for an hour after {}, which is when daily maintenance makes such changes",
                    at.format("%H:%M")
                );
                told.tell(NeverMade, &here, message);
            }
        }
        ChangeKind::AppRestart | ChangeKind::AppTraffic | ChangeKind::CacheFlush => {}
    }
}

/// A raise ends when its time is over, if a window is open then.
fn taken_back(estate: &Estate, open: Duration, told: &mut Told<'_>) {
    let message = |time: Duration| {
        format!(
            "is {} minutes, and windows of policy.app_replicas are open for {} at most: what is raised in one is never taken back in it",
            time.num_minutes(),
            open.num_minutes()
        )
    };
    for (id, rules) in &estate.scaling.apps {
        if rules.burst >= open {
            let key = told.written.scaling(id, "apps", "burst");
            told.tell(NeverMade, &key, message(rules.burst));
        }
    }
    for (index, endpoint) in estate.health.endpoints.iter().enumerate() {
        if endpoint.recovery.contains(&Repair::ScaleUp) && endpoint.calm >= open {
            let key = told.written.endpoint(index, "calm");
            told.tell(NeverMade, &key, message(endpoint.calm));
        }
    }
}

/// What is left alone for longer than it is to be answered in.
fn cooldowns(estate: &Estate, told: &mut Told<'_>) {
    let minutes = |time: Duration| time.num_minutes();
    let cooldown = estate.policy(ChangeKind::CosmosThroughput).cooldown;
    let key = "policy.cosmos_throughput.cooldown";
    for (id, rules) in &estate.scaling.containers {
        if cooldown > rules.between_downs {
            let message = format!(
                "is {} minutes, and there may be another step down after {} (`{}`)",
                minutes(cooldown),
                minutes(rules.between_downs),
                told.written.scaling(id, "cosmos", "between_downs")
            );
            told.tell(CooldownTooLong, key, message);
        } else if cooldown > rules.calm {
            let message = format!(
                "is {} minutes, and there is less after {} that are calm (`{}`)",
                minutes(cooldown),
                minutes(rules.calm),
                told.written.scaling(id, "cosmos", "calm")
            );
            told.tell(CooldownTooLong, key, message);
        }
    }
    let cooldown = estate.policy(ChangeKind::AppReplicas).cooldown;
    let key = "policy.app_replicas.cooldown";
    for (id, rules) in &estate.scaling.apps {
        if cooldown > rules.burst {
            let message = format!(
                "is {} minutes, and a burst is over after {} (`{}`)",
                minutes(cooldown),
                minutes(rules.burst),
                told.written.scaling(id, "apps", "burst")
            );
            told.tell(CooldownTooLong, key, message);
        }
    }
    for (index, endpoint) in estate.health.endpoints.iter().enumerate() {
        if endpoint.recovery.contains(&Repair::ScaleUp) && cooldown > endpoint.calm {
            let message = format!(
                "is {} minutes, and a scale-up is taken back after {} that are calm (`{}`)",
                minutes(cooldown),
                minutes(endpoint.calm),
                told.written.endpoint(index, "calm")
            );
            told.tell(CooldownTooLong, key, message);
        }
    }
}

/// With a decimal where it is not whole.
fn hours(time: Duration) -> f64 {
    (time.num_minutes() as f64 / 6.0).round() / 10.0
}
