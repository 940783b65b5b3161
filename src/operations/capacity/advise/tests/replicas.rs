//! Replicas, and what was learned of one.

use super::super::learn::{Limit, Way};
use super::*;
use crate::estate::ReplicaRules;
use crate::operations::capacity::hourly::Hourly;
use crate::operations::capacity::kept::Subject;

/// An app whose replicas take a point of CPU for each 10 requests a minute, above 5 points.
fn app_subject(coming_requests: &[f64], memory: impl Fn(f64) -> f64) -> Subject {
    let hours = 240;
    let requests: Vec<f64> = (0..hours)
        .map(|hour| if hour % 24 < 12 { 400.0 } else { 1200.0 })
        .collect();
    let series = |values: Vec<f64>| {
        Some(Hourly {
            start: now() - Duration::hours(hours),
            values: values.into_iter().map(Some).collect(),
        })
    };
    let replicas = 2.0;
    let each = |f: &dyn Fn(f64) -> f64| requests.iter().map(|r| f(r / replicas)).collect();
    let history = |measure, history: Option<Hourly>| Kept {
        measure,
        history,
        coming: None,
        why_not: None,
        busy: Busy::default(),
    };
    Subject {
        resource: ResourceId::new("s", "g", "Microsoft.App/containerApps", "api"),
        series: vec![
            Kept {
                history: series(requests.clone()),
                ..kept(Measure::Requests, coming_requests, 0.0, 1.0)
            },
            history(Measure::Cpu, series(each(&|load| 5.0 + load / 10.0))),
            history(Measure::Memory, series(each(&memory))),
            history(Measure::Replicas, series(vec![replicas; 240])),
        ],
    }
}

fn judge_app(subject: Option<&Subject>, have: Replicas) -> Recommendation {
    let app_id = ResourceId::new("s", "g", "Microsoft.App/containerApps", "api");
    app(
        &AppInput {
            app: &app_id,
            replicas: Ok(have),
            subject,
            rules: &ReplicaRules::default(),
            prices: &prices(),
            location: "japaneast",
            vcpu: Some(0.5),
            gib: Some(1.0),
        },
        now(),
    )
}

/// F5: requests of a replica are learned (650 a minute at 70 % here, and not 100), an exact multiple
/// gets no other replica, and the most is the most, and said to be.
#[test]
fn replicas_follow_what_one_was_seen_to_take() {
    let have = |least, most| Replicas { least, most };
    for (name, peak, least, most, expected) in [
        ("it will do", 2600.0, 2, 5, "keep 2-5 replicas"),
        // 3250 requests with a fifth more are 3900: six times 650.
        (
            "an exact multiple",
            3250.0,
            2,
            5,
            "2-5 replicas -> 2-6 replicas",
        ),
        (
            "a little more",
            3251.0,
            2,
            5,
            "2-5 replicas -> 2-7 replicas",
        ),
        (
            "more than is allowed",
            9000.0,
            2,
            8,
            "2-8 replicas -> 2-10 replicas",
        ),
        ("at the most already", 9000.0, 2, 10, "keep 2-10 replicas"),
        (
            "too many always run",
            600.0,
            6,
            10,
            "6-10 replicas -> 2-10 replicas",
        ),
        (
            "fewer than the estate wants",
            600.0,
            1,
            10,
            "1-10 replicas -> 2-10 replicas",
        ),
        (
            "as many as the quiet hours need",
            6000.0,
            9,
            10,
            "9-10 replicas -> 6-10 replicas",
        ),
    ] {
        let subject = app_subject(&week(peak, peak / 2.0), |_| 40.0);
        let found = judge_app(Some(&subject), have(least, most));
        assert_eq!(short(&found), expected, "{name}: {:?}", found.notes);
        let one = found.per_replica.expect("learned");
        assert!((one.requests - 650.0).abs() < 0.1, "{name}: {one:?}");
        assert_eq!((one.limit, one.way), (Limit::Cpu, Way::Line), "{name}");
    }
    let subject = app_subject(&week(9000.0, 100.0), |_| 40.0);
    let found = judge_app(Some(&subject), have(2, 10));
    let told = found.notes.join("; ");
    assert!(
        told.contains("it needs 17 replicas with its buffer, and 10 are the most"),
        "{told}"
    );
    assert_eq!(found.urgency, Urgency::Now);
}

/// F5: memory is looked at as well.
#[test]
fn memory_limits_a_replica_where_it_follows_the_load_and_is_told_where_nothing_helps() {
    let learned = |memory: &dyn Fn(f64) -> f64| {
        let subject = app_subject(&week(3000.0, 100.0), memory);
        let found = judge_app(Some(&subject), Replicas { least: 2, most: 10 });
        (found.per_replica.expect("learned"), found.notes.join("; "))
    };
    let (one, _) = learned(&|load| 20.0 + load / 8.0);
    assert_eq!(one.limit, Limit::Memory);
    assert!((one.requests - 480.0).abs() < 0.1, "{one:?}");
    let (one, told) = learned(&|_| 90.0);
    assert_eq!((one.limit, one.memory_full), (Limit::Cpu, true));
    assert!(told.contains("more memory for each does"), "{told}");
}

#[test]
fn what_a_replica_takes_is_learned_in_spite_of_wild_hours_or_not_at_all() {
    let hour = |requests: f64, cpu: f64| Usage {
        requests,
        cpu,
        memory: None,
    };
    let usual: Vec<Usage> = (0..100)
        .map(|n| hour(100.0 + f64::from(n), 30.0 + f64::from(n) / 5.0))
        .collect();
    let mut wild = usual.clone();
    for one in wild.iter_mut().step_by(7) {
        one.cpu = 100.0;
    }
    let plain = PerReplica::learn(&usual, 70, 80).expect("learned");
    let robust = PerReplica::learn(&wild, 70, 80).expect("learned");
    // 30 points at 100 requests, and a point for each five more: 70 at 300.
    assert!((plain.requests - 300.0).abs() < 0.1, "{plain:?}");
    assert!(
        (robust.requests / plain.requests - 1.0).abs() < 0.1,
        "{robust:?}"
    );
    let even: Vec<Usage> = (0..100).map(|_| hour(100.0, 20.0)).collect();
    let even = PerReplica::learn(&even, 70, 80).expect("learned");
    assert_eq!((even.way, even.requests), (Way::Ratio, 350.0));
    let error = PerReplica::learn(&usual[..47], 70, 80).expect_err("too few");
    assert!(error.contains("in 47 hours"), "{error}");
    let idle: Vec<Usage> = (0..100).map(|n| hour(f64::from(n + 1), 0.0)).collect();
    assert!(
        PerReplica::learn(&idle, 70, 80).is_err(),
        "no CPU, no answer"
    );
    let found = judge_app(None, Replicas { least: 2, most: 10 });
    assert_eq!(short(&found), "it was not measured yet");
}

#[test]
fn replicas_cost_what_runs_in_each_hour() {
    // 0.5 vCPU and 1 GiB: 6 an hour. Two instead of six in the hours that need one or two.
    let subject = app_subject(&week(600.0, 300.0), |_| 40.0);
    let found = judge_app(Some(&subject), Replicas { least: 6, most: 10 });
    assert_eq!(found.monthly, Some(yen(-4 * 6 * 730)));
}
