use chrono::{Datelike as _, Timelike as _};
use proptest::prelude::*;

use super::*;

fn start() -> DateTime<Utc> {
    // A Monday.
    "2026-09-07T00:00:00Z".parse().expect("a time")
}

/// Even numbers from 0 to 1, the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// So many days of a value for each hour.
fn series(days: usize, value: impl Fn(usize) -> f64) -> Vec<(DateTime<Utc>, f64)> {
    (0..days * 24)
        .map(|hour| (start() + Duration::hours(hour as i64), value(hour)))
        .collect()
}

/// What people do in a day and a week.
fn usual(hour: usize) -> f64 {
    let (day, of_day) = (hour / 24 % 7, hour % 24);
    let wave = ((of_day as f64 - 14.0) / 24.0 * std::f64::consts::TAU).cos();
    let workday = if day < 5 { 1.0 } else { 0.4 };
    200.0 + workday * (300.0 + 250.0 * wave)
}

fn noisy(seed: u64, hours: usize) -> Vec<f64> {
    let mut random = Random(seed);
    (0..hours)
        .map(|hour| usual(hour) * (1.0 + 0.1 * (random.next() + random.next() - 1.0)))
        .collect()
}

fn error(forecast: &Forecast, truth: impl Fn(usize) -> f64, from: usize) -> f64 {
    let each = forecast.hours.iter().enumerate();
    let each: Vec<f64> = each
        .map(|(hour, said)| (said.forecast - truth(from + hour)).abs() / truth(from + hour))
        .collect();
    mean(&each)
}

#[test]
fn what_a_series_is_like_is_what_is_forecast() {
    let jump = |hour: usize| if hour >= 25 * 24 { 1.6 } else { 1.0 };
    let growth = |hour: usize| 1.0 + hour as f64 / 720.0 * 0.2;
    type Value = fn(usize) -> f64;
    let cases: [(&str, usize, Value, f64); 7] = [
        ("30 days of the usual", 30, usual, 0.01),
        ("7 days of the usual", 7, usual, 0.02),
        ("10 days of the usual", 10, usual, 0.02),
        ("always the same", 30, |_| 7.0, 1e-9),
        (
            "a little more each day",
            30,
            |h| usual(h) * (1.0 + h as f64 / 3600.0),
            0.04,
        ),
        (
            "another level five days ago",
            30,
            |h| usual(h) * if h >= 25 * 24 { 1.6 } else { 1.0 },
            0.02,
        ),
        (
            "one wild hour",
            30,
            |h| if h == 600 { 9000.0 } else { usual(h) },
            0.05,
        ),
    ];
    for (name, days, value, most) in cases {
        let forecast = forecast(&series(days, value), 168, Tz::UTC).expect(name);
        let truth = |hour| match name {
            "another level five days ago" => usual(hour) * jump(hour),
            "a little more each day" => usual(hour) * growth(hour),
            "always the same" => 7.0,
            _ => usual(hour),
        };
        // The highest hour is forecast by itself, and is not the shape's.
        let error = error(&forecast, truth, days * 24);
        assert!(error <= most, "{name}: {error:.4}");
    }
}

#[test]
fn what_was_done_about_a_series_is_told() {
    let mut points = series(28, usual);
    points.retain(|(at, _)| {
        let hour = (*at - start()).num_hours();
        !(100..103).contains(&hour) && !(300..340).contains(&hour)
    });
    points.push((start(), 250.0));
    points.push((start() + Duration::hours(500), f64::NAN));
    for (at, value) in &mut points {
        if (*at - start()).num_hours() == 200 {
            *value = 90_000.0;
        }
    }
    points.reverse();
    let forecast = forecast(&points, 168, Tz::UTC).expect("a forecast");
    let report = &forecast.preparation;
    assert_eq!((report.hours, report.missing, report.doubled), (672, 43, 1));
    assert_eq!(report.outliers, 1);
    assert_eq!(report.shift, None);
    assert!(error(&forecast, usual, 672) < 0.02);
    let level = series(28, |hour| {
        usual(hour) * if hour >= 24 * 24 { 0.5 } else { 1.0 }
    });
    let shift = super::forecast(&level, 168, Tz::UTC).expect("a forecast");
    let shift = shift.preparation.shift.expect("a shift");
    assert_eq!(shift.at, start() + Duration::days(24));
    assert!((shift.ratio - 0.5).abs() < 0.01, "{}", shift.ratio);
}

#[test]
fn the_shape_follows_the_clock_of_the_people() {
    // Nine to five by the clock of Berlin, which is set back on 25 October 2026.
    let zone = chrono_tz::Europe::Berlin;
    let busy = |at: DateTime<Utc>| {
        use chrono::Timelike as _;
        if (9..17).contains(&at.with_timezone(&zone).hour()) {
            100.0
        } else {
            10.0
        }
    };
    let from: DateTime<Utc> = "2026-09-21T00:00:00Z".parse().expect("a time");
    let points: Vec<_> = (0..30 * 24)
        .map(|hour| from + Duration::hours(hour))
        .map(|at| (at, busy(at)))
        .collect();
    let wrong = |zone| {
        let forecast = forecast(&points, 168, zone).expect("a forecast");
        let off = forecast
            .hours
            .iter()
            .filter(|h| (h.forecast - busy(h.at)).abs() > 1.0);
        off.count()
    };
    assert_eq!(wrong(zone), 0);
    assert!(wrong(Tz::UTC) >= 4, "the change is within the week");
}

#[test]
fn too_little_is_refused_and_says_how_much_there_is() {
    let short = series(6, usual);
    let mut holes = series(20, usual);
    holes.retain(|(at, _)| (*at - start()).num_hours() % 2 == 0);
    for (points, horizon, expected) in [
        (vec![], 168, Insufficient::Empty),
        (short, 168, Insufficient::Short { hours: 144 }),
        (
            holes,
            168,
            Insufficient::Gaps {
                missing: 239,
                hours: 479,
            },
        ),
        (series(8, usual), 0, Insufficient::Horizon(0)),
        (series(8, usual), 337, Insufficient::Horizon(337)),
        (
            vec![(start(), 1.0), (start() + Duration::days(900), 1.0)],
            168,
            Insufficient::Long { hours: 21_601 },
        ),
    ] {
        let found = forecast(&points, horizon, Tz::UTC).expect_err("refused");
        assert_eq!(found, expected);
    }
}

#[test]
fn intervals_hold_and_are_not_wider_than_they_have_to_be() {
    let (mut within, mut all, mut wide) = (0, 0, 0.0);
    for seed in 0..30 {
        let values = noisy(seed, 35 * 24);
        let points = series(28, |hour| values[hour]);
        let forecast = forecast(&points, 168, Tz::UTC).expect("a forecast");
        for (hour, said) in forecast.hours.iter().enumerate() {
            let came = values[28 * 24 + hour];
            within += usize::from(said.lower <= came && came <= said.upper);
            wide += (said.upper - said.lower) / came;
            all += 1;
        }
    }
    let (held, wide) = (within as f64 / all as f64, wide / all as f64);
    assert!((0.92..=0.99).contains(&held), "{held}");
    // The noise alone fills 0.155 of the value in 95 of 100 cases.
    assert!(wide < 0.30, "{wide}");
}

#[test]
fn a_candidate_that_did_better_counts_more_and_all_together_count_one() {
    let values = noisy(7, 28 * 24);
    let forecast = forecast(&series(28, |hour| values[hour]), 168, Tz::UTC).expect("a forecast");
    let sum: f64 = forecast.candidates.iter().map(|c| c.weight).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    for pair in forecast.candidates.windows(2) {
        let better = pair[0].error < pair[1].error;
        assert_eq!(better, pair[0].weight > pair[1].weight, "{pair:?}");
    }
    assert!(forecast.error < forecast.error_of_last_week);
}

/// Lord Howe's clock moves by half an hour, from half past to the full hour; India's stands at half past.
#[test]
fn clocks_that_move_by_half_an_hour_or_stand_at_one_are_followed() {
    for (zone, days, changes) in [
        // Clocks there were set forward on 2026-10-04.
        (chrono_tz::Australia::Lord_Howe, 35, 1),
        (chrono_tz::Asia::Kolkata, 35, 0),
        (chrono_tz::Asia::Tokyo, 35, 0),
    ] {
        let by_clock = |hour: usize| {
            let local = (start() + Duration::hours(hour as i64)).with_timezone(&zone);
            if (9..18).contains(&local.hour()) {
                900.0
            } else {
                100.0
            }
        };
        let points = series(days, by_clock);
        let made = forecast(&points, WEEK, zone).expect("a forecast");
        let done = &made.preparation;
        assert_eq!((done.clock_changes, done.missing), (changes, 0), "{zone}");
        assert_eq!(made.unknown, [0; 0], "{zone}");
        let off = error(&made, by_clock, days * 24);
        assert!(off < 0.02, "{zone}: {off}");
    }
    // A level that it went to is told from an hour on that there is.
    let higher = series(29, |hour| {
        usual(hour) * if hour >= 25 * 24 { 2.0 } else { 1.0 }
    });
    let made = forecast(&higher, WEEK, chrono_tz::Asia::Kolkata).expect("a forecast");
    let at = made.preparation.shift.expect("a shift").at;
    assert_eq!(at, start() + Duration::days(25));
}

/// Measured on weekdays only: what weekends are like is not known, and not what a line says either.
#[test]
fn an_hour_of_the_week_that_never_was_told_may_be_whatever_the_others_are() {
    let weekday = |hour: usize| hour / 24 % 7 < 5;
    let mut points = series(26, usual);
    let mut hour = 0;
    points.retain(|_| {
        hour += 1;
        weekday(hour - 1)
    });
    let made = forecast(&points, WEEK, chrono_tz::UTC).expect("a forecast");
    assert_eq!(made.preparation.never_told, 48);
    assert_eq!(made.unknown.len(), 48);
    let known = |hour: &usize| !made.unknown.contains(hour);
    let known: Vec<&Hour> = (0..WEEK).filter(known).map(|h| &made.hours[h]).collect();
    let lowest = known.iter().map(|h| h.lower).fold(f64::MAX, f64::min);
    let highest = known.iter().map(|h| h.upper).fold(f64::MIN, f64::max);
    for hour in &made.unknown {
        let one = &made.hours[*hour];
        assert!(one.at.weekday().number_from_monday() > 5, "{one:?}");
        assert!(one.lower <= lowest && one.upper >= highest, "{one:?}");
    }
    assert!(known.iter().any(|hour| hour.upper < highest));
    // One value of an hour of the week is one.
    let whole = forecast(&series(26, usual), WEEK, chrono_tz::UTC).expect("a forecast");
    assert_eq!((whole.preparation.never_told, whole.unknown), (0, vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_comes_in_the_answer_is_whole(
        days in 7_usize..30,
        horizon in 1_usize..=336,
        scale in prop::sample::select(vec![0.0, 1e-12, 1.0, 1e12, -5.0]),
        seed in 0_u64..1000,
        missing in 0_u32..30,
    ) {
        let mut random = Random(seed);
        let mut points = Vec::new();
        for (at, value) in series(days, usual) {
            let first_or_last = at == start() || at == start() + Duration::hours(days as i64 * 24 - 1);
            if first_or_last || random.next() * 100.0 >= f64::from(missing) {
                points.push((at, value * scale * random.next().powi(4)));
            }
        }
        let made = forecast(&points, horizon, chrono_tz::America::New_York);
        let Ok(made) = made else { return Ok(()) };
        prop_assert_eq!(made.hours.len(), horizon);
        for (index, hour) in made.hours.iter().enumerate() {
            let at = start() + Duration::hours((days * 24 + index) as i64);
            prop_assert_eq!(hour.at, at);
            prop_assert!(hour.forecast.is_finite() && hour.lower.is_finite() && hour.upper.is_finite());
            prop_assert!(hour.lower <= hour.forecast && hour.forecast <= hour.upper);
        }
    }
}
