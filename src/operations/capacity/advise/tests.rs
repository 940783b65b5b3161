use chrono::{DateTime, Duration, Utc};

use super::learn::{Limit, Way};
use super::*;
use crate::azure::cosmos::Throughput;
use crate::domain::Mode;
use crate::estate::{AppPrice, CosmosPrice, Prices, ReplicaRules, ThroughputRules};
use crate::operations::autoscale::Supply;
use crate::operations::capacity::hourly::{Busy, Hourly};
use crate::operations::capacity::kept::{Kept, Subject};

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

/// At the weekly run it is night, and scaling has given most of it away.
#[test]
fn what_scaling_owns_is_judged_by_its_limits_and_not_by_what_it_has_at_the_moment() {
    use Capacity::{Autoscale, Manual};
    let rules = |least, most| ThroughputRules {
        least,
        most,
        ..ThroughputRules::default()
    };
    for (name, have, minimum, day, rules, expected, urgency) in [
        (
            "low by night",
            Manual(400),
            400,
            900.0,
            rules(400, 20_000),
            "keep 400 RU/s",
            Urgency::None,
        ),
        (
            "high at the moment",
            Manual(9000),
            400,
            900.0,
            rules(400, 20_000),
            "keep 9000 RU/s",
            Urgency::None,
        ),
        (
            "it goes far enough",
            Manual(400),
            400,
            1000.0,
            rules(400, 1000),
            "keep 400 RU/s",
            Urgency::None,
        ),
        (
            "it may not go far enough",
            Manual(400),
            400,
            1001.0,
            rules(400, 1000),
            "from 400 to 1000 RU/s -> from 400 to 1300 RU/s",
            Urgency::Now,
        ),
        (
            "an odd limit",
            Manual(400),
            400,
            1020.0,
            rules(400, 1050),
            "from 400 to 1050 RU/s -> from 400 to 1300 RU/s",
            Urgency::Now,
        ),
        (
            "the least is more than ever is needed",
            Manual(4000),
            400,
            1000.0,
            rules(4000, 20_000),
            "from 4000 to 20000 RU/s -> from 1200 to 20000 RU/s",
            Urgency::None,
        ),
        (
            "a little more is kept",
            Manual(1400),
            400,
            1000.0,
            rules(1400, 20_000),
            "keep 1400 RU/s",
            Urgency::None,
        ),
        (
            "Azure takes no less",
            Manual(4000),
            4000,
            1000.0,
            rules(4000, 20_000),
            "keep 4000 RU/s",
            Urgency::None,
        ),
        (
            "Azure takes a little less",
            Manual(4000),
            3000,
            1000.0,
            rules(4000, 20_000),
            "from 4000 to 20000 RU/s -> from 3000 to 20000 RU/s",
            Urgency::None,
        ),
        (
            "Azure takes no less than above the most",
            Manual(4000),
            4000,
            3500.0,
            rules(400, 3000),
            "keep 4000 RU/s",
            Urgency::None,
        ),
        (
            "autoscale",
            Autoscale(1000),
            1000,
            4500.0,
            rules(400, 4000),
            "from 400 to 4000 RU/s -> from 400 to 6000 RU/s",
            Urgency::Now,
        ),
    ] {
        let have = Throughput {
            minimum,
            ..throughput(have)
        };
        let units = kept(Measure::Units, &week(day, day / 4.0), 0.0, 1.0);
        let found = judge_scaled(&have, Some(&units), &rules, Some(Mode::Act));
        assert_eq!(short(&found), expected, "{name}");
        assert_eq!(found.urgency, urgency, "{name}");
        assert_eq!((found.monthly, &found.other_mode), (None, &None), "{name}");
        let told = found.sentence();
        assert!(
            told.contains("scaling follows the load itself"),
            "{name}: {told}"
        );
        assert_eq!(
            told.contains("over what scaling is allowed within a day"),
            urgency == Urgency::Now,
            "{name}: {told}"
        );
    }
    let units = kept(Measure::Units, &week(900.0, 100.0), 0.0, 1.0);
    let have = throughput(Capacity::Manual(400));
    let usual = ThroughputRules::default();
    let proposed = judge_scaled(&have, Some(&units), &usual, Some(Mode::Propose));
    assert!(proposed.notes[0].contains("waits for somebody who approves it"));
    // Nobody follows the load where it is only recorded what scaling would do.
    let observed = judge_scaled(&have, Some(&units), &usual, Some(Mode::Observe));
    assert_eq!(short(&observed), "400 RU/s -> 1100 RU/s");
    assert!(observed.monthly.is_some());
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
