mod limits;
mod replicas;

use chrono::{DateTime, Duration, Utc};

use super::*;
use crate::azure::cosmos::Throughput;
use crate::domain::Mode;
use crate::estate::{AppPrice, CosmosPrice, Prices, ThroughputRules};
use crate::operations::autoscale::Supply;
use crate::operations::capacity::hourly::Busy;
use crate::operations::capacity::kept::Kept;

fn now() -> DateTime<Utc> {
    "2026-11-02T00:00:00Z".parse().expect("a time")
}

fn yen(amount: i64) -> Money {
    Money::new(amount * 1_000_000, "JPY".parse().expect("a currency"))
}

fn coming_from(values: &[f64], wide: f64) -> Coming {
    Coming {
        start: now(),
        forecast: values.to_vec(),
        lower: values.iter().map(|v| (v - wide).max(0.0)).collect(),
        upper: values.iter().map(|v| v + wide).collect(),
        unknown: Vec::new(),
        candidates: Vec::new(),
        trials: 8,
        error: Some(wide / 2.0),
        error_of_last_week: Some(wide),
        hours: 720,
        missing: 0,
        outliers: 0,
        clock_changes: 0,
        shift: None,
    }
}

fn kept(measure: Measure, values: &[f64], wide: f64, factor: f64) -> Kept {
    Kept {
        measure,
        history: None,
        coming: Some(coming_from(values, wide)),
        why_not: None,
        busy: Busy {
            factor,
            hours: 24,
            ..Busy::default()
        },
    }
}

/// A week: so much by day (nine hours) and so much by night.
fn week(day: f64, night: f64) -> Vec<f64> {
    let hour = |hour: usize| {
        if (9..18).contains(&(hour % 24)) {
            day
        } else {
            night
        }
    };
    (0..168).map(hour).collect()
}

fn throughput(capacity: Capacity) -> Throughput {
    Throughput {
        capacity,
        minimum: match capacity {
            Capacity::Manual(_) => 400,
            Capacity::Autoscale(_) => 1000,
        },
        instant_maximum: Some(10_000),
        pending: false,
    }
}

fn prices() -> Prices {
    Prices {
        cosmos: vec![CosmosPrice {
            region: "japaneast".into(),
            hundred_an_hour: yen(1),
        }],
        apps: vec![AppPrice {
            region: "japaneast".into(),
            vcpu_hour: yen(10),
            gib_hour: yen(1),
        }],
    }
}

fn database() -> ResourceId {
    ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a")
        .child("sqlDatabases", "d")
        .child("containers", "c")
}

fn judge(have: &Throughput, units: Option<&Kept>) -> Recommendation {
    judge_by(have, units, &ThroughputRules::default())
}

fn judge_by(have: &Throughput, units: Option<&Kept>, rules: &ThroughputRules) -> Recommendation {
    judge_scaled(have, units, rules, None)
}

fn judge_scaled(
    have: &Throughput,
    units: Option<&Kept>,
    rules: &ThroughputRules,
    scaled: Option<Mode>,
) -> Recommendation {
    let input = ContainerInput {
        resource: &database(),
        supply: &Supply::Own(have.clone()),
        units,
        rules,
        scaled,
        prices: &prices(),
        location: "Japan East",
        regions: 1,
    };
    container(&input, now()).expect("one of its own")
}

/// `700 RU/s -> 1500 RU/s`, `keep 700 RU/s`, or why nothing is said.
fn short(recommendation: &Recommendation) -> String {
    match &recommendation.advice {
        Advice::Keep { now } => format!("keep {now}"),
        Advice::Resize { now, to } => format!("{now} -> {to}"),
        Advice::Limits { now, to } => format!("{now} -> {to}"),
        Advice::Unknown { why, .. } => why.clone(),
    }
}

#[test]
fn throughput_follows_the_need_of_the_coming_week_in_azures_steps() {
    use Capacity::{Autoscale, Manual};
    for (name, have, day, factor, expected) in [
        ("it will do", Manual(1000), 800.0, 1.0, "keep 1000 RU/s"),
        // 80 % of 1000 are exceeded, and 1.2 times 801 are 961.2: it is the next step.
        (
            "just over the rule",
            Manual(1000),
            801.0,
            1.0,
            "1000 RU/s -> 1100 RU/s",
        ),
        (
            "just over the rule, autoscale",
            Autoscale(4000),
            3300.0,
            1.0,
            "autoscale up to 4000 RU/s -> autoscale up to 5000 RU/s",
        ),
        (
            "over the rule",
            Manual(1000),
            834.0,
            1.0,
            "1000 RU/s -> 1100 RU/s",
        ),
        // F4: 1.2 times 917 are 1100.4.
        (
            "never a number that is no multiple",
            Manual(1000),
            917.0,
            1.0,
            "1000 RU/s -> 1200 RU/s",
        ),
        (
            "an exact multiple stays one",
            Manual(500),
            500.0,
            1.0,
            "500 RU/s -> 600 RU/s",
        ),
        (
            "the busy minute",
            Manual(1000),
            800.0,
            1.5,
            "1000 RU/s -> 1500 RU/s",
        ),
        // F4: both directions.
        (
            "too much",
            Manual(4000),
            1000.0,
            1.0,
            "4000 RU/s -> 1200 RU/s",
        ),
        (
            "a little too much is kept",
            Manual(1400),
            1000.0,
            1.0,
            "keep 1400 RU/s",
        ),
        (
            "next to nothing",
            Manual(1000),
            3.0,
            1.0,
            "1000 RU/s -> 400 RU/s",
        ),
        (
            "autoscale, up",
            Autoscale(2000),
            1700.0,
            1.0,
            "autoscale up to 2000 RU/s -> autoscale up to 3000 RU/s",
        ),
        (
            "autoscale, down",
            Autoscale(10_000),
            1700.0,
            1.0,
            "autoscale up to 10000 RU/s -> autoscale up to 3000 RU/s",
        ),
        (
            "autoscale never below its least",
            Autoscale(1000),
            3.0,
            1.0,
            "keep autoscale up to 1000 RU/s",
        ),
        (
            "no more than is allowed",
            Manual(15_000),
            19_000.0,
            1.0,
            "15000 RU/s -> 20000 RU/s",
        ),
        (
            "nothing beyond what is allowed",
            Manual(20_000),
            30_000.0,
            1.0,
            "keep 20000 RU/s",
        ),
    ] {
        let units = kept(Measure::Units, &week(day, day / 4.0), 0.0, factor);
        let found = judge(&throughput(have), Some(&units));
        assert_eq!(short(&found), expected, "{name}");
    }
}

/// F4: `max` of a forecast is whatever one hour is.
#[test]
fn one_spike_in_a_week_buys_nothing_and_a_rush_each_day_does() {
    let mut spike = week(300.0, 100.0);
    spike[50] = 9000.0;
    let spiked = judge(
        &throughput(Capacity::Manual(400)),
        Some(&kept(Measure::Units, &spike, 0.0, 1.0)),
    );
    assert_eq!(short(&spiked), "keep 400 RU/s");
    assert_eq!(spiked.urgency, Urgency::None);
    let mut rush = week(300.0, 100.0);
    for day in 0..7 {
        rush[day * 24 + 12] = 900.0;
    }
    let rushed = judge(
        &throughput(Capacity::Manual(400)),
        Some(&kept(Measure::Units, &rush, 0.0, 1.0)),
    );
    assert_eq!(short(&rushed), "400 RU/s -> 1100 RU/s");
}

/// F4: the interval counts, not only the line in its middle.
#[test]
fn a_forecast_that_is_unsure_asks_for_more() {
    let judged = |wide| {
        let units = kept(Measure::Units, &week(700.0, 200.0), wide, 1.0);
        judge(&throughput(Capacity::Manual(1000)), Some(&units))
    };
    assert_eq!(short(&judged(0.0)), "keep 1000 RU/s");
    let unsure = judged(300.0);
    assert_eq!(short(&unsure), "1000 RU/s -> 1200 RU/s");
    let evidence = unsure.evidence.expect("evidence");
    assert_eq!((evidence.need, evidence.need_forecast), (1000.0, 700.0));
    assert_eq!(evidence.error_of_last_week, Some(300.0));
}

/// F1 and F3: no guess without data.
#[test]
fn without_data_nothing_is_recommended_and_it_is_said_why() {
    let have = throughput(Capacity::Manual(1000));
    let short_history = Kept {
        coming: None,
        why_not: Some("insufficient data: 100 hours, and at least 168 (7 days) are needed".into()),
        ..kept(Measure::Units, &[], 0.0, 1.0)
    };
    let over = Kept {
        coming: Some(Coming {
            start: now() - Duration::hours(168),
            ..coming_from(&week(100.0, 100.0), 0.0)
        }),
        ..kept(Measure::Units, &[], 0.0, 1.0)
    };
    let begun = |hours| Kept {
        coming: Some(Coming {
            start: now() - Duration::hours(hours),
            ..coming_from(&week(100.0, 100.0), 0.0)
        }),
        ..kept(Measure::Units, &[], 0.0, 1.0)
    };
    let brief = kept(Measure::Units, &[100.0; 119], 0.0, 1.0);
    for (units, why) in [
        (None, "it was not measured yet"),
        (
            Some(&short_history),
            "insufficient data: 100 hours, and at least 168 (7 days) are needed",
        ),
        (Some(&over), "its forecast is over, and was not renewed"),
        (
            Some(&begun(49)),
            "its forecast begins at 2026-10-30 23:00 UTC, and was not renewed for more than 48 hours",
        ),
        (Some(&begun(48)), "1000 RU/s -> 400 RU/s"),
        (
            Some(&brief),
            "only 119 hours are left of its forecast from 2026-11-02 00:00 UTC, and at least 120 are needed",
        ),
    ] {
        let found = judge(&have, units);
        assert_eq!(short(&found), why);
        if matches!(found.advice, Advice::Unknown { .. }) {
            assert_eq!((found.monthly, found.urgency), (None, Urgency::None));
        }
    }
    let input = |supply| {
        let input = ContainerInput {
            resource: &database(),
            supply: &supply,
            units: None,
            rules: &ThroughputRules::default(),
            scaled: None,
            prices: &prices(),
            location: "japaneast",
            regions: 1,
        };
        container(&input, now())
    };
    assert_eq!(input(Supply::Shared), None);
    assert_eq!(input(Supply::Serverless), None);
    let unread = input(Supply::Unread("no".into())).expect("a word");
    assert_eq!(short(&unread), "its throughput cannot be read: no");
}

/// An hour of the week that was never told has a number all the same, which is invented.
#[test]
fn hours_of_which_nothing_is_known_count_neither_for_the_need_nor_for_money() {
    let mut values = week(1000.0, 1.0);
    for value in &mut values[..48] {
        *value = 9000.0;
    }
    let units = Kept {
        coming: Some(Coming {
            unknown: (0..48).collect(),
            ..coming_from(&values, 0.0)
        }),
        ..kept(Measure::Units, &[], 0.0, 1.0)
    };
    let found = judge(&throughput(Capacity::Autoscale(10_000)), Some(&units));
    assert_eq!(
        short(&found),
        "autoscale up to 10000 RU/s -> autoscale up to 2000 RU/s"
    );
    // Five days in which 15 of 24 hours are at the floor of 1,000 RU/s, and then at one of 200.
    let saved = found.monthly.expect("money").amount();
    let expected = -1.5 * 8.0 * 730.0 * 15.0 / 24.0;
    assert!((saved - expected).abs() < 1.0, "{saved} and not {expected}");
    let told = found.notes.join("; ");
    assert!(
        told.contains("48 hours of the coming week are left out"),
        "{told}"
    );
}

#[test]
fn limits_of_the_service_and_of_the_estate_are_kept_and_told() {
    let notes = |have: &Throughput, day: f64, rules: &ThroughputRules| {
        let units = kept(Measure::Units, &week(day, day / 2.0), 0.0, 1.0);
        let found = judge_by(have, Some(&units), rules);
        (short(&found), found.notes.join("; "))
    };
    let usual = ThroughputRules::default();
    let stored = Throughput {
        minimum: 900,
        ..throughput(Capacity::Manual(3000))
    };
    let (advice, told) = notes(&stored, 100.0, &usual);
    assert_eq!(advice, "3000 RU/s -> 900 RU/s");
    assert!(
        told.contains("it stays at 900 RU/s: Azure allows no less"),
        "{told}"
    );
    let odd = Throughput {
        minimum: 850,
        ..throughput(Capacity::Manual(3000))
    };
    assert_eq!(notes(&odd, 100.0, &usual).0, "3000 RU/s -> 900 RU/s");
    let careful = ThroughputRules {
        least: 2000,
        ..usual
    };
    let (advice, told) = notes(&throughput(Capacity::Manual(3000)), 100.0, &careful);
    assert_eq!(advice, "3000 RU/s -> 2000 RU/s");
    assert!(told.contains("the estate allows no less"), "{told}");
    let (_, told) = notes(&throughput(Capacity::Manual(9000)), 12_000.0, &usual);
    assert!(
        told.contains("above 10000 RU/s Azure splits partitions"),
        "{told}"
    );
    let (advice, told) = notes(&throughput(Capacity::Manual(20_000)), 30_000.0, &usual);
    assert_eq!(advice, "keep 20000 RU/s");
    assert!(
        told.contains("20000 RU/s is the most that is allowed"),
        "{told}"
    );
    // What is above the limit, and needed, is not too much.
    let low = ThroughputRules {
        most: 1000,
        ..usual
    };
    let units = kept(Measure::Units, &week(1900.0, 500.0), 0.0, 1.0);
    let found = judge_by(&throughput(Capacity::Manual(2000)), Some(&units), &low);
    assert_eq!(short(&found), "keep 2000 RU/s");
    assert_eq!((found.urgency, found.monthly), (Urgency::Now, None));
    let told = found.notes.join("; ");
    assert!(
        told.contains(
            "it needs 2300 RU/s with its buffer, and 1000 RU/s is the most that is allowed"
        ),
        "{told}"
    );
    // A limit of people that is no step of Azure holds all the same.
    let odd = ThroughputRules {
        most: 2550,
        ..usual
    };
    assert_eq!(
        notes(&throughput(Capacity::Manual(1000)), 9000.0, &odd).0,
        "1000 RU/s -> 2500 RU/s"
    );
}

#[test]
fn how_soon_it_is_needed_is_when_the_forecast_gets_there() {
    let from = |day: usize| {
        let mut values = vec![100.0; 168];
        for value in &mut values[day * 24 + 5..] {
            *value = 2000.0;
        }
        let units = kept(Measure::Units, &values, 0.0, 1.0);
        judge(&throughput(Capacity::Manual(1000)), Some(&units))
    };
    for (day, expected) in [
        (0, Urgency::Now),
        (1, Urgency::WithinDays(1)),
        (5, Urgency::WithinDays(5)),
    ] {
        let found = from(day);
        assert_eq!(found.urgency, expected, "day {day}");
        let crosses = found.evidence.expect("evidence").crosses;
        assert_eq!(crosses, Some(now() + Duration::hours(day as i64 * 24 + 5)));
    }
    let made = from(5);
    for (days, expected) in [
        (0, Urgency::WithinDays(5)),
        (3, Urgency::WithinDays(2)),
        (5, Urgency::Now),
        (7, Urgency::Now),
    ] {
        let found = made.urgency_at(now() + Duration::days(days));
        assert_eq!(found, expected, "{days} days later");
    }
    let less = judge(
        &throughput(Capacity::Manual(4000)),
        Some(&kept(Measure::Units, &week(100.0, 50.0), 0.0, 1.0)),
    );
    assert_eq!(less.urgency_at(now() + Duration::days(6)), Urgency::None);
    assert_eq!(
        less.urgency,
        Urgency::None,
        "what saves money is not urgent"
    );
}

#[test]
fn money_is_what_a_month_of_such_weeks_costs_more_or_less() {
    let monthly = |have, day, night| {
        let units = kept(Measure::Units, &week(day, night), 0.0, 1.0);
        judge(&throughput(have), Some(&units)).monthly
    };
    // 100 RU/s cost 1 an hour.
    assert_eq!(
        monthly(Capacity::Manual(1000), 1000.0, 1.0),
        Some(yen(2 * 730))
    );
    assert_eq!(
        monthly(Capacity::Manual(3000), 1000.0, 1.0),
        Some(yen(-18 * 730))
    );
    assert_eq!(
        monthly(Capacity::Manual(1300), 1000.0, 1.0),
        None,
        "nothing changes"
    );
    // Autoscale is billed for what is used and at least a tenth of its maximum: a lower maximum saves
    // only where the floor was paid. 15 of 24 hours at the floor of 1,000 RU/s, then of 200.
    let saved = monthly(Capacity::Autoscale(10_000), 1500.0, 100.0).expect("money");
    let expected = -1.5 * 8.0 * 730.0 * 15.0 / 24.0;
    assert!((saved.amount() - expected).abs() < 1.0, "{saved}");
    let unknown = ContainerInput {
        resource: &database(),
        supply: &Supply::Own(throughput(Capacity::Manual(1000))),
        units: Some(&kept(Measure::Units, &week(2000.0, 1.0), 0.0, 1.0)),
        rules: &ThroughputRules::default(),
        scaled: None,
        prices: &prices(),
        location: "westeurope",
        regions: 1,
    };
    let found = container(&unknown, now()).expect("one of its own");
    assert_eq!(found.monthly, None, "no price, no amount");
    assert_eq!(short(&found), "1000 RU/s -> 2400 RU/s");
}

#[test]
fn autoscale_is_told_where_the_shape_of_the_load_makes_it_cheaper_or_dearer() {
    let other = |have, values: &[f64]| {
        let units = kept(Measure::Units, values, 0.0, 1.0);
        let found = judge(&throughput(have), Some(&units));
        found.other_mode.map(|other| (other.to, other.percent))
    };
    // An hour a day at 8,000 and else next to nothing: a tenth is paid, half as much again.
    let mut rush = vec![50.0; 168];
    for day in 0..7 {
        rush[day * 24 + 12] = 8000.0;
    }
    let (to, percent) = other(Capacity::Manual(10_000), &rush).expect("cheaper");
    assert_eq!(to, Capacity::Autoscale(10_000));
    // (8000 + 23 * 1000) / 24 * 1.5 of 10,000.
    assert_eq!(percent, 19);
    let even = [1000.0; 168];
    assert_eq!(
        other(Capacity::Autoscale(2000), &even),
        Some((Capacity::Manual(1200), 80)),
        "an even load is cheaper by hand"
    );
    assert_eq!(
        other(Capacity::Manual(1300), &even),
        Some((Capacity::Autoscale(2000), 115)),
        "and dearer by autoscale"
    );
    // Between them it is the same money within a tenth: 1.5 times the mean, and 1.2 times the peak.
    let middling: Vec<f64> = (0..168)
        .map(|h| if h % 5 == 0 { 1000.0 } else { 750.0 })
        .collect();
    assert_eq!(other(Capacity::Manual(1300), &middling), None);
}

/// Autoscale's least is ten times that of manual throughput, since what is stored and what there once was
/// count ten times as much.
#[test]
fn the_other_mode_is_within_what_azure_takes() {
    let mut rush = vec![50.0; 168];
    for day in 0..7 {
        rush[day * 24 + 12] = 900.0;
    }
    let units = kept(Measure::Units, &rush, 0.0, 1.0);
    let other = |capacity, minimum, most| {
        let have = Throughput {
            minimum,
            ..throughput(capacity)
        };
        let rules = ThroughputRules {
            most,
            ..ThroughputRules::default()
        };
        let found = judge_by(&have, Some(&units), &rules);
        found.other_mode.map(|other| other.to)
    };
    use Capacity::{Autoscale, Manual};
    for (name, have, minimum, most, expected) in [
        (
            "nothing stored",
            Manual(3000),
            400,
            20_000,
            Some(Autoscale(2000)),
        ),
        (
            "much stored",
            Manual(3000),
            1200,
            20_000,
            Some(Autoscale(12_000)),
        ),
        ("too much stored", Manual(3000), 2100, 20_000, None),
        ("back", Autoscale(10_000), 1000, 20_000, Some(Manual(1100))),
        (
            "back, much stored",
            Autoscale(20_000),
            20_000,
            20_000,
            Some(Manual(2000)),
        ),
    ] {
        assert_eq!(other(have, minimum, most), expected, "{name}");
    }
}

#[test]
fn a_change_that_is_on_its_way_is_told() {
    let units = kept(Measure::Units, &week(2000.0, 1.0), 0.0, 1.0);
    let have = Throughput {
        pending: true,
        ..throughput(Capacity::Manual(1000))
    };
    let found = judge(&have, Some(&units));
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("still being carried out"))
    );
    assert_eq!(found.other_mode, None);
}
