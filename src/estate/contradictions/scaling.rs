//! Rules of scaling that never or always answer, or undo themselves.

use chrono::Duration;

use super::ContradictionKind::{AlwaysFires, CooldownTooLong, Flapping, NeverFires};
use super::Told;
use crate::estate::{Estate, ReplicaRules, ThroughputRules};

/// Throughput is decided by so many of the newest minutes, and replicas by these.
const MOST_SAMPLES: u32 = 5;
const MOST_APP_SAMPLES: u32 = 10;
/// Metrics are read for the last hour, and some minutes more in which they are on their way.
const LOOKED_AT: Duration = Duration::minutes(60);

pub(super) fn find(estate: &Estate, told: &mut Told<'_>) {
    for (id, rules) in &estate.scaling.containers {
        throughput(rules, |kind, field, message| {
            let key = told.written.scaling(id, "cosmos", field);
            told.tell(kind, &key, message);
        });
    }
    for (id, rules) in &estate.scaling.apps {
        replicas(rules, |kind, field, message| {
            let key = told.written.scaling(id, "apps", field);
            told.tell(kind, &key, message);
        });
    }
}

type Kind = super::ContradictionKind;

fn throughput(rules: &ThroughputRules, mut tell: impl FnMut(Kind, &str, String)) {
    let ThroughputRules {
        up_percent: up,
        down_percent: down,
        target_percent: target,
        ..
    } = *rules;
    if rules.least == rules.most {
        let message = format!("is {}, as `least` is: nothing is left to scale", rules.most);
        tell(NeverFires, "most", message);
    }
    if up >= 100 {
        let message = format!("is {up}: the fullest partition is never fuller than that");
        tell(NeverFires, "up_percent", message);
    }
    if rules.of_samples > MOST_SAMPLES {
        let message = format!(
            "is {}: {MOST_SAMPLES} minutes are looked at, so that too few are always known",
            rules.of_samples
        );
        tell(NeverFires, "of_samples", message);
    }
    if rules.calm > LOOKED_AT {
        let message = format!(
            "is {} minutes, and {} are looked at: there is never less",
            rules.calm.num_minutes(),
            LOOKED_AT.num_minutes()
        );
        tell(NeverFires, "calm", message);
    }
    if target > up {
        let message = format!("is {target}, and {up} is busy already: each change calls for more");
        tell(AlwaysFires, "target_percent", message);
    }
    if target <= down {
        let message =
            format!("is {target}, and less than {down} is calm: more is taken away again");
        tell(AlwaysFires, "target_percent", message);
    }
    if down.saturating_mul(2) >= up {
        let message = format!(
            "is {down}: half as much is up to {} % full, and above {up} % there is twice as much again",
            down.saturating_mul(2).min(100)
        );
        tell(Flapping, "down_percent", message);
    }
}

fn replicas(rules: &ReplicaRules, mut tell: impl FnMut(Kind, &str, String)) {
    if rules.least == rules.most {
        let message = format!("is {}, as `least` is: nothing is left to scale", rules.most);
        tell(NeverFires, "most", message);
    }
    for (field, percent) in [
        ("cpu_percent", rules.cpu_percent),
        ("memory_percent", rules.memory_percent),
    ] {
        if percent >= 100 {
            let message = format!("is {percent}: nothing uses more than all that it has");
            tell(NeverFires, field, message);
        }
    }
    if rules.of_samples > MOST_APP_SAMPLES {
        let message = format!(
            "is {}: {MOST_APP_SAMPLES} minutes are looked at, so that too few are always known",
            rules.of_samples
        );
        tell(NeverFires, "of_samples", message);
    }
    if rules.calm > LOOKED_AT {
        let message = format!(
            "is {} minutes, and {} are looked at: what was before is never seen",
            rules.calm.num_minutes(),
            LOOKED_AT.num_minutes()
        );
        tell(NeverFires, "calm", message);
    }
    if rules.calm > rules.burst {
        let message = format!(
            "is {} minutes, longer than a burst of {}: what is raised for a burst stays for longer than it says",
            rules.calm.num_minutes(),
            rules.burst.num_minutes()
        );
        tell(CooldownTooLong, "calm", message);
    }
}
