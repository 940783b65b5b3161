use chrono::Duration;

use super::*;
use crate::azure::cosmos::Throughput as Has;
use crate::domain::ResourceId;
use crate::operations::autoscale::facts::{Past, Range, Share};

/// Just after the hour.
fn now() -> DateTime<Utc> {
    "2026-11-26T03:05:00Z".parse().expect("a time")
}

fn rules() -> ThroughputRules {
    ThroughputRules::default()
}

fn minute(back: i64, used: f64) -> Minute {
    Minute {
        at: now() - Duration::minutes(back),
        used: Some(used),
        units: Some(used * 10.0 * 60.0),
        requests: Some(1000.0),
        refused: Some(0.0),
        latency_ms: Some(8.0),
    }
}

/// 1,000 RU/s of its own on two partitions, used to `used` percent for 70 minutes.
fn facts(used: f64) -> ContainerFacts {
    let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "acc");
    let range = |id: &str| Range {
        id: id.to_owned(),
        used,
    };
    ContainerFacts {
        resource: account
            .child("sqlDatabases", "agents")
            .child("containers", "threads"),
        supply: Supply::Own(Has {
            capacity: Capacity::Manual(1000),
            minimum: 400,
            instant_maximum: Some(20_000),
            pending: false,
        }),
        minutes: (1..=70).rev().map(|back| minute(back, used)).collect(),
        ranges: vec![range("0"), range("1")],
        partitions: Some(2),
        heaviest: Some(Share {
            key: "tenant-a".into(),
            percent: 61.0,
        }),
        storage_gb: Some(3.0),
        ahead: None,
        past: Past::default(),
    }
}

/// Full, and every tenth request is refused.
fn throttled() -> ContainerFacts {
    let mut facts = facts(100.0);
    refuse(&mut facts, 10.0);
    facts
}

fn refuse(facts: &mut ContainerFacts, percent: f64) {
    for minute in &mut facts.minutes {
        minute.refused = Some(percent * 10.0);
    }
}

fn has(facts: &mut ContainerFacts, turn: impl FnOnce(&mut Has)) {
    let Supply::Own(has) = &mut facts.supply else {
        panic!("it has none of its own");
    };
    turn(has);
}

fn ago(minutes: i64) -> Option<DateTime<Utc>> {
    Some(now() - Duration::minutes(minutes))
}

type Turn = fn(&mut ContainerFacts);

type Case = (&'static str, ContainerFacts, Turn, Option<u32>, Because);

fn check(cases: &[Case]) {
    for (name, facts, turn, to, because) in cases {
        let mut facts = facts.clone();
        turn(&mut facts);
        let decision = container(&facts, &rules(), now());
        let ru = decision.to.map(|to| match to {
            Capacity::Manual(ru) | Capacity::Autoscale(ru) => ru,
        });
        assert_eq!(
            (ru, decision.because),
            (*to, *because),
            "{name}: {}",
            decision.why
        );
    }
}

#[test]
fn there_is_more_when_requests_are_refused_and_more_helps() {
    use Because::{
        AtMost, Healthy, HotPartition, JustLowered, JustRaised, NeededSoon, NoData, OftenToday,
        OutsideLimits, Pending, Throttled,
    };
    let t = throttled;
    check(&[
        (
            "to the need: 1,111 RU/s at 80 %",
            t(),
            |_| {},
            Some(1400),
            Throttled,
        ),
        (
            "at most doubled",
            t(),
            |f| refuse(f, 80.0),
            Some(2000),
            Throttled,
        ),
        (
            "in steps of 1,000 with autoscale",
            t(),
            |f| {
                has(f, |has| {
                    has.capacity = Capacity::Autoscale(4000);
                    has.minimum = 1000;
                });
            },
            Some(6000),
            Throttled,
        ),
        (
            "at most 20,000",
            t(),
            |f| {
                has(f, |has| {
                    has.capacity = Capacity::Manual(18_000);
                    has.instant_maximum = Some(100_000);
                });
            },
            Some(20_000),
            Throttled,
        ),
        (
            "and not above",
            t(),
            |f| has(f, |has| has.capacity = Capacity::Manual(20_000)),
            None,
            AtMost,
        ),
        (
            "two of three minutes are enough",
            t(),
            |f| f.minutes[68].used = Some(30.0),
            Some(1400),
            Throttled,
        ),
        (
            "one is not",
            t(),
            |f| {
                f.minutes[68].used = Some(30.0);
                f.minutes[69].used = Some(30.0);
            },
            None,
            Because::Steady,
        ),
        ("4 % and quick", t(), |f| refuse(f, 4.0), None, Healthy),
        (
            "4 % and slow",
            t(),
            |f| {
                refuse(f, 4.0);
                f.minutes
                    .iter_mut()
                    .for_each(|m| m.latency_ms = Some(120.0));
            },
            Some(1400),
            Throttled,
        ),
        (
            "half a percent and slow",
            t(),
            |f| {
                refuse(f, 0.5);
                f.minutes
                    .iter_mut()
                    .for_each(|m| m.latency_ms = Some(120.0));
            },
            None,
            Healthy,
        ),
        (
            "full and nothing refused",
            t(),
            |f| refuse(f, 0.0),
            None,
            Healthy,
        ),
        (
            "one partition alone",
            t(),
            |f| f.ranges[1].used = 12.0,
            None,
            HotPartition,
        ),
        (
            "the only partition",
            t(),
            |f| {
                f.ranges.pop();
                f.partitions = Some(1);
            },
            Some(1400),
            Throttled,
        ),
        (
            "the only one that is told, and how many there are is not",
            t(),
            |f| {
                f.ranges.pop();
                f.partitions = None;
            },
            Some(1400),
            Throttled,
        ),
        (
            "one of two partitions is told",
            t(),
            |f| {
                f.ranges.pop();
            },
            None,
            NoData,
        ),
        (
            "two of three are told, and both are full",
            t(),
            |f| f.partitions = Some(3),
            Some(1400),
            Throttled,
        ),
        (
            "partitions not told, and all of it used as one full and one half full would",
            t(),
            |f| {
                f.ranges.clear();
                f.minutes
                    .iter_mut()
                    .for_each(|m| m.units = Some(600.0 * 60.0));
            },
            None,
            NoData,
        ),
        (
            "partitions not told, nor what all of it uses",
            t(),
            |f| {
                f.ranges.clear();
                f.minutes.iter_mut().for_each(|m| m.units = None);
            },
            None,
            NoData,
        ),
        (
            "raised two minutes ago: minutes before it are of another throughput",
            t(),
            |f| f.past.up = ago(2),
            None,
            JustRaised,
        ),
        (
            "lowered two minutes ago",
            t(),
            |f| f.past.down = ago(2),
            None,
            JustLowered,
        ),
        (
            "lowered three minutes ago, and full in all of them",
            t(),
            |f| f.past.down = ago(3),
            Some(1400),
            Throttled,
        ),
        (
            "less than the rules allow, whatever is measured",
            facts(10.0),
            |f| {
                f.minutes.clear();
                has(f, |has| has.capacity = Capacity::Manual(300));
            },
            Some(400),
            OutsideLimits,
        ),
        (
            "partitions not told, and all of it hardly used",
            t(),
            |f| {
                f.ranges.clear();
                f.minutes
                    .iter_mut()
                    .for_each(|m| m.units = Some(200.0 * 60.0));
            },
            None,
            HotPartition,
        ),
        (
            "partitions not told, and all of it used",
            t(),
            |f| f.ranges.clear(),
            Some(1400),
            Throttled,
        ),
        ("nothing measured", t(), |f| f.minutes.clear(), None, NoData),
        (
            "nothing measured of late",
            t(),
            |f| f.minutes.truncate(55),
            None,
            NoData,
        ),
        (
            "refusals not measured",
            t(),
            |f| f.minutes.iter_mut().for_each(|m| m.refused = None),
            None,
            NoData,
        ),
        (
            "still pending",
            t(),
            |f| has(f, |has| has.pending = true),
            None,
            Pending,
        ),
        (
            "changed all day",
            t(),
            |f| f.past.changes = 12,
            None,
            OftenToday,
        ),
        (
            "rising to more than it has",
            facts(90.0),
            |f| {
                for (place, minute) in f.minutes.iter_mut().enumerate() {
                    minute.used = Some(22.0 + place as f64 * 1.1);
                }
            },
            Some(1300),
            NeededSoon,
        ),
        (
            "rising above what it has, of which a little is refused",
            facts(90.0),
            |f| {
                for (place, minute) in f.minutes.iter_mut().enumerate() {
                    let wanted = 90.0 + place as f64 * 0.2;
                    minute.used = Some(wanted.min(100.0));
                    minute.refused = Some((wanted - 100.0).max(0.0) * 10.0);
                }
            },
            Some(1400),
            NeededSoon,
        ),
        ("high and level", facts(90.0), |_| {}, None, Healthy),
        (
            "rising in one partition alone",
            facts(90.0),
            |f| {
                for (place, minute) in f.minutes.iter_mut().enumerate() {
                    minute.used = Some(22.0 + place as f64 * 1.1);
                }
                f.ranges[1].used = 12.0;
            },
            None,
            HotPartition,
        ),
    ]);
}

#[test]
fn there_is_less_after_calm_and_only_when_it_saves_something() {
    use Because::{
        AtLeast, AtMost, Calm, ForecastNeeds, HourCharged, JustLowered, JustRaised, NoData,
        OftenToday, OutsideLimits, Steady,
    };
    check(&[
        ("calm: halved", facts(10.0), |_| {}, Some(500), Calm),
        (
            "not below what Azure allows",
            facts(10.0),
            |f| has(f, |has| has.minimum = 700),
            Some(700),
            Calm,
        ),
        (
            "which is in whole steps",
            facts(10.0),
            |f| has(f, |has| has.minimum = 640),
            Some(700),
            Calm,
        ),
        (
            "nor below the least of the rules",
            facts(10.0),
            |f| has(f, |has| has.capacity = Capacity::Manual(400)),
            None,
            AtLeast,
        ),
        (
            "700 becomes 400, not 350",
            facts(10.0),
            |f| has(f, |has| has.capacity = Capacity::Manual(700)),
            Some(400),
            Calm,
        ),
        (
            "2,500 becomes 1,300, not 1,250",
            facts(10.0),
            |f| has(f, |has| has.capacity = Capacity::Manual(2500)),
            Some(1300),
            Calm,
        ),
        (
            "autoscale by the thousand",
            facts(10.0),
            |f| {
                has(f, |has| {
                    has.capacity = Capacity::Autoscale(5000);
                    has.minimum = 1000;
                });
            },
            Some(3000),
            Calm,
        ),
        (
            "its busiest tenth leaves much free",
            facts(40.0),
            |f| f.minutes[30].used = Some(95.0),
            Some(500),
            Calm,
        ),
        ("little would be free", facts(50.0), |_| {}, None, Steady),
        (
            "not calm for all of the hour",
            facts(10.0),
            |f| {
                f.minutes[20..32]
                    .iter_mut()
                    .for_each(|m| m.used = Some(70.0))
            },
            None,
            Steady,
        ),
        (
            "a gap in the hour",
            facts(10.0),
            |f| {
                f.minutes.drain(30..33);
            },
            None,
            NoData,
        ),
        (
            "refused in two minutes of the hour",
            facts(40.0),
            |f| {
                for minute in &mut f.minutes[30..32] {
                    minute.used = Some(100.0);
                    minute.refused = Some(300.0);
                }
            },
            None,
            Steady,
        ),
        (
            "full in two minutes, and what was refused in them is not known",
            facts(40.0),
            |f| {
                for minute in &mut f.minutes[30..32] {
                    minute.used = Some(100.0);
                    minute.refused = None;
                }
            },
            None,
            Steady,
        ),
        (
            "nothing measured for seven minutes",
            facts(10.0),
            |f| f.minutes.truncate(64),
            None,
            NoData,
        ),
        (
            "more than the rules allow",
            facts(30.0),
            |f| {
                has(f, |has| {
                    has.capacity = Capacity::Manual(30_000);
                    has.instant_maximum = Some(30_000);
                });
            },
            Some(20_000),
            OutsideLimits,
        ),
        (
            "more than the rules allow, and needed",
            facts(70.0),
            |f| {
                has(f, |has| {
                    has.capacity = Capacity::Manual(30_000);
                    has.instant_maximum = Some(30_000);
                });
            },
            None,
            AtMost,
        ),
        (
            "two minutes are no gap",
            facts(10.0),
            |f| {
                f.minutes.drain(30..32);
            },
            Some(500),
            Calm,
        ),
        (
            "half an hour of a past",
            facts(10.0),
            |f| {
                f.minutes.drain(..40);
            },
            None,
            NoData,
        ),
        (
            "lowered half an hour ago",
            facts(10.0),
            |f| f.past.down = ago(30),
            None,
            JustLowered,
        ),
        (
            "lowered at the tick of an hour ago",
            facts(10.0),
            |f| f.past.down = ago(59),
            Some(500),
            Calm,
        ),
        (
            "raised half an hour ago",
            facts(10.0),
            |f| f.past.up = ago(30),
            None,
            JustRaised,
        ),
        (
            "the forecast needs all of it",
            facts(10.0),
            |f| f.ahead = Some(950.0),
            None,
            ForecastNeeds,
        ),
        (
            "the forecast needs more than the half",
            facts(10.0),
            |f| f.ahead = Some(640.0),
            Some(700),
            Calm,
        ),
        (
            "the forecast leaves too little to save",
            facts(40.0),
            |f| f.ahead = Some(640.0),
            None,
            ForecastNeeds,
        ),
        (
            "changed all day",
            facts(10.0),
            |f| f.past.changes = 12,
            None,
            OftenToday,
        ),
    ]);
    let late = container(&facts(10.0), &rules(), now() + Duration::minutes(5));
    assert_eq!((late.to, late.because), (None, HourCharged), "{}", late.why);
}

#[test]
fn each_way_to_be_supplied_has_an_answer() {
    let supplied = |supply| {
        let facts = ContainerFacts {
            supply,
            ..throttled()
        };
        container(&facts, &rules(), now())
    };
    for (name, supply, because, findings) in [
        ("shared", Supply::Shared, Because::NotItsOwn, 0),
        ("dedicated", Supply::Dedicated, Because::NotItsOwn, 0),
        ("serverless", Supply::Serverless, Because::NotItsOwn, 0),
        ("unread", Supply::Unread("403".into()), Because::Unread, 1),
    ] {
        let decision = supplied(supply);
        assert_eq!((decision.to, decision.because), (None, because), "{name}");
        assert_eq!(decision.findings.len(), findings, "{name}");
    }
}

#[test]
fn above_the_instant_maximum_somebody_is_asked() {
    let mut facts = throttled();
    has(&mut facts, |has| {
        has.capacity = Capacity::Manual(9000);
        has.instant_maximum = Some(10_000);
    });
    let up_to_it = container(&facts, &rules(), now());
    assert_eq!(up_to_it.to, Some(Capacity::Manual(10_000)));
    assert_eq!(up_to_it.ask_first, None);
    assert_eq!(up_to_it.findings[0].code, "throughput-needs-split");
    has(&mut facts, |has| has.capacity = Capacity::Manual(10_000));
    let beyond = container(&facts, &rules(), now());
    assert_eq!(beyond.to, Some(Capacity::Manual(13_900)));
    assert!(beyond.ask_first.is_some_and(|why| why.contains("split")));
}

#[test]
fn without_an_instant_maximum_partitions_say_how_much_can_be_had_at_once() {
    for (name, current, partitions, to, asks) in [
        ("within what one has", 8000, None, 10_000, false),
        ("what two have", 12_000, Some(2), 16_700, false),
        ("beyond what is known", 12_000, None, 16_700, true),
        ("beyond what one has", 10_000, Some(1), 13_900, true),
    ] {
        let mut facts = throttled();
        facts.partitions = partitions;
        has(&mut facts, |has| {
            has.capacity = Capacity::Manual(current);
            has.instant_maximum = None;
        });
        let decision = container(&facts, &rules(), now());
        assert_eq!(decision.to, Some(Capacity::Manual(to)), "{name}");
        assert_eq!(decision.ask_first.is_some(), asks, "{name}");
    }
}

#[test]
fn who_makes_others_wait_is_told() {
    let codes = |percent: f64| {
        let mut facts = throttled();
        facts.heaviest.as_mut().expect("a share").percent = percent;
        let decision = container(&facts, &rules(), now());
        assert_eq!(decision.because, Because::Throttled);
        let findings = decision.findings.into_iter();
        findings.map(|f| (f.code, f.message)).collect::<Vec<_>>()
    };
    let told = codes(61.0);
    assert_eq!(told[0].0, "noisy-neighbour");
    assert!(told[0].1.contains("`tenant-a` has 61 %"), "{told:?}");
    assert!(codes(30.0).is_empty(), "many share it");
}

#[test]
fn a_hot_partition_is_told_with_whose_load_it_is() {
    let mut facts = throttled();
    facts.ranges[1].used = 12.0;
    let decision = container(&facts, &rules(), now());
    let finding = &decision.findings[0];
    assert_eq!(finding.code, "hot-partition");
    assert_eq!(finding.subject, "acc/agents/threads");
    assert!(
        finding.message.contains("partition 0 is at 100 %"),
        "{}",
        finding.message
    );
    assert!(
        finding.message.contains("`tenant-a` has 61 %"),
        "{}",
        finding.message
    );
}

#[test]
fn whatever_the_facts_are_a_change_keeps_all_limits() {
    let mut seed = 7_u64;
    let mut next = move |most: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    let mut changed = 0;
    for round in 0..20_000 {
        let auto = next(2) == 0;
        let step = if auto { 1000 } else { 100 };
        let current = u32::try_from(next(230) + 1).expect("small") * step;
        let minimum = u32::try_from(next(30) + 1).expect("small") * 100;
        let instant = u32::try_from(next(4) + 1).expect("small") * 10_000;
        let mut facts = facts(next(101) as f64);
        let refused = next(100) as f64;
        refuse(&mut facts, if next(2) == 0 { refused } else { 0.0 });
        let bend = next(101) as f64;
        facts
            .minutes
            .iter_mut()
            .skip(60)
            .for_each(|m| m.used = Some(bend));
        facts.ahead = (next(2) == 0).then(|| next(30_000) as f64);
        has(&mut facts, |has| {
            *has = Has {
                capacity: if auto {
                    Capacity::Autoscale(current)
                } else {
                    Capacity::Manual(current)
                },
                minimum,
                instant_maximum: Some(instant),
                pending: false,
            };
        });
        let decision = container(&facts, &rules(), now());
        let Some(Capacity::Manual(to) | Capacity::Autoscale(to)) = decision.to else {
            continue;
        };
        changed += 1;
        let told = format!("round {round}: {current} -> {to}, {facts:?}");
        assert_ne!(to, current, "{told}");
        assert_eq!(to % step, 0, "{told}");
        assert_eq!(
            matches!(decision.to, Some(Capacity::Autoscale(_))),
            auto,
            "{told}"
        );
        if current < 400 {
            assert_eq!(to, 400, "{told}");
        } else if to > current {
            assert!(to <= 20_000 && to <= 2 * current, "{told}");
            assert!(to <= instant || decision.ask_first.is_some(), "{told}");
        } else {
            assert!(to >= minimum && to >= 400 && 2 * to >= current, "{told}");
        }
    }
    assert!(changed > 1000, "{changed}");
}
