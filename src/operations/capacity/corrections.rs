//! What the specification's forecasts and recommendations got wrong, each as a case of its own. Its code
//! is told beside them.

use chrono::{DateTime, Datelike as _, Duration, Timelike as _, Utc};
use chrono_tz::Tz;

use super::advise::{Advice, AppInput, ContainerInput, Size, app, container};
use super::forecast::{Insufficient, WEEK, forecast};
use super::hourly::{Busy, Hourly};
use super::kept::{Coming, Kept, Measure, Subject};
use crate::azure::cosmos::Throughput;
use crate::domain::{Capacity, Replicas, ResourceId};
use crate::estate::{Prices, ReplicaRules, ThroughputRules};
use crate::operations::autoscale::Supply;

/// A Monday.
fn start() -> DateTime<Utc> {
    "2026-10-05T00:00:00Z".parse().expect("a time")
}

fn hours(count: i64, value: impl Fn(i64) -> f64) -> Vec<(DateTime<Utc>, f64)> {
    let each = (0..count).map(|hour| (start() + Duration::hours(hour), value(hour)));
    each.collect()
}

/// A day's bend, and growth.
fn growing(hour: i64) -> f64 {
    let turn = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
    800.0 - 400.0 * turn.cos() + 0.4 * hour as f64
}

fn made(points: &[(DateTime<Utc>, f64)], measure: Measure) -> Kept {
    let forecast = forecast(points, WEEK, Tz::UTC);
    Kept {
        measure,
        history: Hourly::new(points, DateTime::<Utc>::MAX_UTC),
        why_not: forecast.as_ref().err().map(ToString::to_string),
        coming: forecast.ok().as_ref().and_then(Coming::of),
        busy: Busy::default(),
    }
}

fn advice(current: u32, units: &Kept) -> Advice {
    let resource = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a");
    let supply = Supply::Own(Throughput {
        capacity: Capacity::Manual(current),
        minimum: 400,
        instant_maximum: None,
        pending: false,
    });
    let input = ContainerInput {
        resource: &resource,
        supply: &supply,
        units: Some(units),
        rules: &ThroughputRules::default(),
        scaled: None,
        prices: &Prices::default(),
        location: "japaneast",
        regions: 1,
    };
    let now = units.coming.as_ref().map_or(start(), |coming| coming.start);
    container(&input, now).expect("one of its own").advice
}

fn throughput(advice: &Advice) -> Option<u32> {
    match advice {
        Advice::Resize {
            to: Size::Throughput(Capacity::Manual(ru)),
            ..
        } => Some(*ru),
        _ => None,
    }
}

/// Its collectors were empty, and 1,000 RU/s and two instances constants.
#[test]
fn f1_without_measurements_nothing_is_assumed() {
    let nothing = made(&[], Measure::Units);
    assert_eq!(
        nothing.why_not.as_deref(),
        Some("insufficient data: there is no value")
    );
    for current in [400, 5000] {
        let said = advice(current, &nothing);
        let Advice::Unknown { now, why } = said else {
            panic!("{said:?}");
        };
        assert_eq!(now, Some(Size::Throughput(Capacity::Manual(current))));
        assert!(why.starts_with("insufficient data"), "{why}");
    }
}

/// A straight line through hour, weekday and day of the month neither bends nor grows, and falls where a
/// month ends.
#[test]
fn f2_a_forecast_bends_with_the_day_grows_and_passes_the_end_of_a_month() {
    // 26 days, so that the week to come goes over the end of October.
    let count = 26 * 24;
    let found = forecast(&hours(count, growing), WEEK, Tz::UTC).expect("a forecast");
    let days: Vec<u32> = found.hours.iter().map(|hour| hour.at.day()).collect();
    assert!(days.contains(&31) && days.contains(&1), "{days:?}");
    for (hour, coming) in found.hours.iter().enumerate() {
        let truth = growing(count + hour as i64);
        let off = (coming.forecast - truth).abs() / truth;
        assert!(
            off < 0.15,
            "{}: {} and not {truth}",
            coming.at,
            coming.forecast
        );
    }
    let mean = |of: &dyn Fn(u32) -> bool| {
        let values = found.hours.iter().filter(|hour| of(hour.at.hour()));
        let values: Vec<f64> = values.map(|hour| hour.forecast).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert!(mean(&|hour| hour == 12) > 1.5 * mean(&|hour| hour == 0));
    assert!(
        found.error < found.error_of_last_week,
        "better than last week: {found:?}"
    );
}

/// Seven rows were seven days.
#[test]
fn f3_seven_days_are_seven_days() {
    let rows = hours(7, growing);
    assert_eq!(
        forecast(&rows, WEEK, Tz::UTC).err(),
        Some(Insufficient::Short { hours: 7 })
    );
    // And seven rows a day apart are no seven days of hours.
    let sparse: Vec<_> = hours(7 * 24, growing).into_iter().step_by(24).collect();
    assert!(forecast(&sparse, WEEK, Tz::UTC).is_err());
    assert!(forecast(&hours(168, growing), WEEK, Tz::UTC).is_ok());
}

/// `int(max * 1.2)` was no multiple of 100, went up only, and followed one spike.
#[test]
fn f4_throughput_is_a_multiple_of_100_goes_both_ways_and_follows_no_spike() {
    let shape = |hour: i64| {
        if (9..18).contains(&(hour % 24)) {
            917.0
        } else {
            130.0
        }
    };
    let usual = made(&hours(28 * 24, shape), Measure::Units);
    let up = throughput(&advice(1000, &usual)).expect("more");
    assert!(up.is_multiple_of(100) && up >= 1200, "{up}");
    let down = throughput(&advice(9000, &usual)).expect("less");
    assert_eq!(down, up, "the same need, from either side");
    let spike = |hour: i64| if hour == 500 { 50_000.0 } else { shape(hour) };
    let spiked = made(&hours(28 * 24, spike), Measure::Units);
    let ru = throughput(&advice(9000, &spiked)).expect("less");
    assert!(ru <= 2 * down, "one hour of four weeks was bought: {ru}");
}

/// A hundred requests a minute were assumed of an instance, one was added at exact multiples, and no end
/// was known.
#[test]
fn f5_replicas_follow_what_one_was_seen_to_take_and_end_where_they_end() {
    let load = |hour: i64| {
        if (9..18).contains(&(hour % 24)) {
            1200.0
        } else {
            300.0
        }
    };
    let id = ResourceId::new("s", "g", "Microsoft.App/containerApps", "api");
    // A replica takes 10 requests a minute for each point of CPU, and so 700 at 70 %.
    let count = 28 * 24;
    let subject = |times: f64| Subject {
        resource: id.clone(),
        series: vec![
            made(&hours(count, |hour| times * load(hour)), Measure::Requests),
            made(&hours(count, |hour| load(hour) / 20.0), Measure::Cpu),
            made(&hours(count, |_| 2.0 * times), Measure::Replicas),
        ],
    };
    let to = |subject: &Subject, most| {
        let input = AppInput {
            app: &id,
            replicas: Ok(Replicas { least: 2, most }),
            subject: Some(subject),
            rules: &ReplicaRules::default(),
            prices: &Prices::default(),
            location: "japaneast",
            vcpu: None,
            gib: None,
        };
        let now = start() + Duration::hours(count);
        app(&input, now)
    };
    let usual = to(&subject(1.0), 2);
    let one = usual.per_replica.expect("learned").requests;
    assert!((one - 700.0).abs() < 1.0, "{one}");
    let Advice::Resize {
        to: Size::Replicas(found),
        ..
    } = usual.advice
    else {
        panic!("{usual:?}");
    };
    let need = usual.evidence.expect("evidence").need;
    assert_eq!(found.most, (need * 1.2 / one).ceil() as u32);
    let much = to(&subject(8.0), 10);
    assert!(matches!(much.advice, Advice::Keep { .. }), "{much:?}");
    let told = much.notes.join("; ");
    assert!(told.contains("10 are the most that is allowed"), "{told}");
}
