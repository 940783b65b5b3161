use super::*;
use crate::estate::CosmosPrice;

fn start() -> DateTime<Utc> {
    "2026-11-02T00:00:00Z".parse().expect("a time")
}

fn scene(minutes: Vec<Option<f64>>) -> Scene {
    Scene {
        load: Load {
            from: start(),
            minutes,
        },
        shape: Shape {
            start: 1000,
            partitions: 2,
            hot_percent: None,
            auto: false,
        },
        lag: 2,
        approves: false,
        region: None,
    }
}

fn policy() -> Policy {
    let yen = Money::new(1_300_000, "JPY".parse().expect("a currency"));
    Policy {
        name: "ours".into(),
        rules: ThroughputRules::default(),
        cooldown: Duration::minutes(10),
        zone: chrono_tz::UTC,
        prices: Prices {
            cosmos: vec![CosmosPrice {
                region: "japaneast".into(),
                hundred_an_hour: yen,
            }],
            apps: Vec::new(),
        },
    }
}

fn of<'r>(report: &'r Report, name: &str) -> &'r Result {
    let found = report.results.iter().find(|result| result.name == name);
    found.expect("a result")
}

/// Two weeks of days: quiet nights, and a hump of four times as much.
fn days() -> Vec<Option<f64>> {
    let minutes = (0..14 * 1440_u32).map(|minute| {
        let hour = f64::from(minute % 1440) / 60.0;
        let hump = (-((hour - 14.0) / 4.0).powi(2)).exp();
        // A little unrest, always the same.
        let unrest = f64::from(minute.wrapping_mul(2_654_435_761) % 1000) / 1000.0;
        Some(600.0 + 3000.0 * hump + 150.0 * unrest)
    });
    minutes.collect()
}

#[test]
fn a_day_after_the_other_needs_less_than_doubling_and_halving() {
    let report = replay(&scene(days()), &policy(), None);
    let (ours, theirs) = (of(&report, "ours"), of(&report, "specification's rule"));
    let (nobody, oracle) = (of(&report, "no scaling"), of(&report, "knows the load"));
    let share = ours.ru_hours_charged / theirs.ru_hours_charged;
    assert!(share < 0.75, "{share}");
    assert!(ours.direction_changes <= theirs.direction_changes);
    assert!(ours.changes >= 10, "it follows the days: {}", ours.changes);
    // It waits until a need is sure, and is refused a little on the way up.
    assert!(ours.refused_percent < 0.1, "{} %", ours.refused_percent);
    assert_eq!((nobody.changes, oracle.throttled_minutes), (0, 0));
    assert!(oracle.ru_hours_charged < ours.ru_hours_charged);
    assert!(nobody.throttled_minutes > 1000);
    let cost = nobody.cost.expect("a price");
    assert_eq!(
        cost.to_string(),
        "JPY 4,368",
        "1,000 RU/s for 336 hours at JPY 1.3"
    );
}

#[test]
fn the_same_load_gives_the_same_bytes() {
    let told = || serde_json::to_string(&replay(&scene(days()), &policy(), None)).expect("JSON");
    assert_eq!(told(), told());
}

#[test]
fn nothing_is_taken_away_while_nothing_is_measured() {
    let mut minutes = vec![Some(80.0); 180];
    minutes.extend(vec![None; 600]);
    let report = replay(&scene(minutes.clone()), &policy(), None);
    let ours = of(&report, "ours");
    let gap = start() + Duration::minutes(180);
    assert!(
        ours.made
            .iter()
            .all(|made| made.at <= gap + Duration::minutes(3)),
        "{ours:?}"
    );
    assert!(ours.held["no-data"] > 100, "{ours:?}");
    minutes.truncate(180);
    minutes.extend(vec![Some(80.0); 600]);
    let known = replay(&scene(minutes), &policy(), None);
    let lowest = of(&known, "ours").made.last().expect("a step down");
    assert_eq!(lowest.to, 400, "with measurements it goes to the floor");
}

#[test]
fn nothing_is_bought_for_a_hot_partition() {
    let mut scene = scene(vec![Some(900.0); 600]);
    scene.shape.partitions = 4;
    scene.shape.hot_percent = Some(85.0);
    let report = replay(&scene, &policy(), None);
    let ours = of(&report, "ours");
    assert_eq!(ours.ups, 0, "{ours:?}");
    assert!(ours.held["hot-partition"] > 100, "{ours:?}");
    scene.shape.hot_percent = None;
    scene.load.minutes = vec![Some(1500.0); 600];
    let even = replay(&scene, &policy(), None);
    assert!(of(&even, "ours").ups > 0, "all partitions busy: more helps");
}

#[test]
fn a_split_waits_for_somebody_and_then_for_hours() {
    let mut scene = scene(vec![Some(16_000.0); 900]);
    scene.shape.start = 10_000;
    scene.shape.partitions = 1;
    let report = replay(&scene, &policy(), None);
    let ours = of(&report, "ours");
    assert_eq!((ours.highest, ours.changes), (10_000, 0));
    assert!(ours.held["awaiting-approval"] > 100, "{ours:?}");
    scene.approves = true;
    let approved = replay(&scene, &policy(), None);
    let ours = of(&approved, "ours");
    assert_eq!((ours.highest, ours.changes), (20_000, 1));
    assert!((240..260).contains(&ours.throttled_minutes), "{ours:?}");
}

#[test]
fn two_policies_are_held_against_each_other() {
    let mut meagre = policy();
    meagre.name = "meagre".into();
    meagre.rules.most = 2000;
    let report = replay(&scene(days()), &meagre, Some(&policy()));
    assert_eq!(report.verdict.against, "ours");
    assert!(!report.verdict.passes, "{:?}", report.verdict);
    let throttled = &report.verdict.counts[0];
    assert_eq!(
        (throttled.of, throttled.better),
        ("throttled minutes", "other")
    );
}
