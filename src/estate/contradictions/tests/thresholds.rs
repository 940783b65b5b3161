//! Thresholds, and what they are held against.

use super::*;

#[test]
fn thresholds_that_never_or_always_fire_are_found() {
    for (name, turns, expected) in [
        (
            "a longer calm than is looked at",
            &[("calm = \"60m\"", "calm = \"90m\"")][..],
            &[(
                NeverFires,
                "scaling.cosmos.calm is 90 minutes, and 60 are looked at",
            )][..],
        ),
        (
            "fuller than full",
            &[("up_percent = 80", "up_percent = 100")][..],
            &[
                (NeverFires, "scaling.cosmos.up_percent is 100: the fullest"),
                (
                    NeverAnswered,
                    "rules[6].levels has medium from 80 % on, and scaling gives more only above 100 %",
                ),
            ][..],
        ),
        (
            "of one container, where it is written",
            &[(FILES, "container = \"files\"\nup_percent = 100")],
            &[(NeverFires, "scaling.containers[0].up_percent is 100")],
        ),
        (
            "more samples than are looked at",
            &[("of_samples = 3", "of_samples = 6")],
            &[(
                NeverFires,
                "scaling.cosmos.of_samples is 6: 5 minutes are looked at",
            )],
        ),
        (
            "no room",
            &[(FILES, "container = \"files\"\nmost = 400")],
            &[(
                NeverFires,
                "scaling.containers[0].most is 400, as `least` is",
            )],
        ),
        (
            "busy after each change",
            &[("target_percent = 80", "target_percent = 85")],
            &[
                (
                    AlwaysFires,
                    "scaling.cosmos.target_percent is 85, and 80 is busy already",
                ),
                (
                    AlwaysFires,
                    "rules[6].levels has medium from 80 % on, and scaling aims for 85 %",
                ),
            ],
        ),
        (
            "calm after each change",
            &[("target_percent = 80", "target_percent = 20")],
            &[(
                AlwaysFires,
                "scaling.cosmos.target_percent is 20, and less than 20 is calm",
            )],
        ),
        (
            "half of it is too little, and twice as much too much",
            &[("down_percent = 20", "down_percent = 40")],
            &[(
                Flapping,
                "scaling.cosmos.down_percent is 40: half as much is up to 80 % full",
            )],
        ),
        (
            "just enough apart",
            &[("down_percent = 20", "down_percent = 39")],
            &[],
        ),
        (
            "an alert for what is aimed for",
            &[("above_percent = 80, for = 2", "above_percent = 70, for = 2")],
            &[
                (
                    NeverAnswered,
                    "rules[6].levels has medium from 70 % on, and scaling gives more only above 80 %",
                ),
                (
                    AlwaysFires,
                    "rules[6].levels has medium from 70 % on, and scaling aims for 80 %",
                ),
            ],
        ),
        (
            "a container says otherwise what is aimed for",
            &[
                (FILES, RUNS),
                (
                    "container = \"runs\"",
                    "container = \"runs\"\nup_percent = 95\ntarget_percent = 85",
                ),
            ],
            &[(
                AlwaysFires,
                "rules[6].levels has medium from 80 % on, and scaling aims for 85 %",
            )],
        ),
        (
            "more than all of it",
            &[("cpu_percent = 70", "cpu_percent = 100")],
            &[(
                NeverFires,
                "scaling.apps.cpu_percent is 100: nothing uses more",
            )],
        ),
        (
            "replicas without room",
            &[("least = 2\nmost = 10\ncpu", "least = 10\nmost = 10\ncpu")],
            &[(NeverFires, "scaling.apps.most is 10, as `least` is")],
        ),
        (
            "more minutes than are looked at",
            &[("of_samples = 3\nburst", "of_samples = 11\nburst")],
            &[(
                NeverFires,
                "scaling.apps.of_samples is 11: 10 minutes are looked at",
            )],
        ),
        (
            "evidence that is gone",
            &[("tables_keep_days = 30", "tables_keep_days = 4")],
            &[(
                NeverFires,
                "indexing.days is 7, and `logs.tables_keep_days` is 4",
            )],
        ),
        (
            "always quiet",
            &[("when = \"sun 02:00-04:00\"", "when = \"00:00-00:00\"")],
            &[(NeverFires, "windows[0].when is always")],
        ),
    ] {
        hold(name, &found(name, turns), expected);
    }
}

/// So many minutes are looked at by the decision itself.
#[test]
fn more_samples_than_are_found_here_are_too_many_for_the_decision_too() {
    use crate::azure::cosmos::Throughput;
    use crate::domain::{Capacity, Replicas};
    use crate::estate::{ReplicaRules, ThroughputRules};
    use crate::operations::autoscale::decide::{self, Because};
    use crate::operations::autoscale::{AppFacts, AppMinute, ContainerFacts, Minute, Past, Supply};
    use chrono::{Duration, TimeZone as _, Utc};

    let now = Utc.with_ymd_and_hms(2026, 1, 5, 3, 30, 0).unwrap();
    let times = (0..66).map(|minute| now - Duration::minutes(65 - minute));
    let container = ContainerFacts {
        resource: ResourceId::from_text("/c"),
        supply: Supply::Own(Throughput {
            capacity: Capacity::Manual(1000),
            minimum: 400,
            instant_maximum: Some(10_000),
            pending: false,
        }),
        minutes: times
            .clone()
            .map(|at| Minute {
                at,
                used: Some(50.0),
                units: Some(30_000.0),
                requests: Some(1000.0),
                refused: Some(0.0),
                latency_ms: Some(5.0),
            })
            .collect(),
        ranges: Vec::new(),
        partitions: None,
        heaviest: None,
        storage_gb: None,
        ahead: None,
        past: Past::default(),
    };
    let app = AppFacts {
        app: ResourceId::from_text("/a"),
        replicas: Ok(Replicas { least: 2, most: 10 }),
        rolling: false,
        failed: None,
        split: None,
        rules: Vec::new(),
        minutes: times
            .map(|at| AppMinute {
                at,
                cpu: Some(50.0),
                memory: Some(50.0),
                requests: None,
                replicas: Some(2.0),
            })
            .collect(),
        raised: None,
    };
    for (of_samples, throughput, replicas) in [
        (5, Because::Steady, Because::Steady),
        (6, Because::NoData, Because::Steady),
        (10, Because::NoData, Because::Steady),
        (12, Because::NoData, Because::NoData),
    ] {
        let rules = ThroughputRules {
            of_samples,
            ..ThroughputRules::default()
        };
        let found = decide::container(&container, &rules, now).because;
        assert_eq!(found, throughput, "{of_samples}");
        let rules = ReplicaRules {
            of_samples,
            ..ReplicaRules::default()
        };
        let found = decide::app(&app, &rules, now).because;
        assert_eq!(found, replicas, "{of_samples}");
    }
}
