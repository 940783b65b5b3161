//! What has become worse, and when something changed for good: from days, by medians, so that one bad
//! day is none. Failures are few, so that their number must besides be more than chance brings. Pure.

use chrono::{DateTime, Duration, Utc};

use super::chance::{CHANCE, CHANCE_OF_MANY, Pool};
use crate::operations::capacity::hourly::{median, quantile};

/// A day with fewer requests proves nothing.
pub(super) const LEAST_REQUESTS: u64 = 50;
/// The week that is judged, days, and how many of them must prove something.
pub(super) const WEEK: i64 = 7;
const LEAST_NOW: usize = 4;
/// Days before that week that must prove something.
const LEAST_BEFORE: usize = 7;
/// Days on either side of a change.
const LEAST_SIDE: usize = 5;
/// So many times what days differ by anyway.
const FAR: f64 = 3.0;
/// A ratio below which nobody notices.
const NOTICED: f64 = 1.2;
/// Milliseconds, and points of a percentage, below which nobody notices.
const LEAST_MS: f64 = 50.0;
const LEAST_POINTS: f64 = 0.1;

/// One day of an operation or of a tenant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Day {
    pub(super) at: DateTime<Utc>,
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) p95_ms: Option<f64>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Latency,
    Failures,
}

impl What {
    pub(super) const ALL: [Self; 2] = [Self::Latency, Self::Failures];

    fn of(self, day: &Day) -> Option<f64> {
        match self {
            Self::Latency => day.p95_ms.filter(|ms| ms.is_finite()),
            Self::Failures => Some(100.0 * day.failed as f64 / day.requests.max(1) as f64),
        }
    }

    /// What days differ by anyway is never less than this.
    fn least_spread(self, usual: f64) -> f64 {
        match self {
            Self::Latency => (0.05 * usual).max(5.0),
            Self::Failures => 0.03,
        }
    }

    /// Whether anybody would notice.
    fn is_noticed(self, low: f64, high: f64) -> bool {
        let least = match self {
            Self::Latency => LEAST_MS,
            Self::Failures => LEAST_POINTS,
        };
        high - low >= least && high >= NOTICED * low
    }

    pub(super) fn say(self, value: f64) -> String {
        match self {
            Self::Latency => format!("{value:.0} ms"),
            Self::Failures => format!("{value:.2} %"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Latency => "95 of 100 requests within",
            Self::Failures => "failures of the service",
        }
    }
}

/// What is worse in the last week than in the weeks before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Worse {
    pub(super) subject: String,
    pub(super) what: What,
    pub(super) before: f64,
    pub(super) now: f64,
    pub(super) days_before: usize,
    pub(super) days_now: usize,
    /// Of the last week.
    pub(super) requests: u64,
    /// How much harm it does: milliseconds, or failures, of all requests of the week.
    pub(super) harm: f64,
}

/// When something went to another level, for better or worse.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Changed {
    pub(super) subject: String,
    pub(super) what: What,
    /// The first day of the new level.
    pub(super) at: DateTime<Utc>,
    pub(super) before: f64,
    pub(super) after: f64,
    /// How many times what days differ by anyway.
    pub(super) clear: f64,
}

/// The days that prove something, in order, each with its value.
fn proving(days: &[Day], what: What) -> Vec<(Day, f64)> {
    let enough = days.iter().filter(|day| day.requests >= LEAST_REQUESTS);
    let mut known: Vec<_> = enough
        .filter_map(|day| Some((*day, what.of(day)?)))
        .collect();
    known.sort_by_key(|(day, _)| day.at);
    known
}

fn values(days: &[(Day, f64)]) -> Vec<f64> {
    days.iter().map(|(_, value)| *value).collect()
}

/// What values usually differ from their middle by, as a standard deviation would have it.
fn spread(values: &[f64]) -> f64 {
    let middle = median(values.to_vec());
    let far = values.iter().map(|value| (value - middle).abs()).collect();
    1.4826 * median(far)
}

/// Whether the last seven days before `end` are worse than those before them.
pub(super) fn worse(subject: &str, days: &[Day], what: What, end: DateTime<Utc>) -> Option<Worse> {
    let cut = end - Duration::days(WEEK);
    let known = proving(days, what);
    let (before, now): (Vec<_>, Vec<_>) = known.into_iter().partition(|(day, _)| day.at < cut);
    if before.len() < LEAST_BEFORE || now.len() < LEAST_NOW {
        return None;
    }
    if what == What::Failures
        && !Pool::usual(&now, end).is_worse_than(Pool::usual(&before, end), CHANCE)
    {
        return None;
    }
    let (old, new) = (values(&before), values(&now));
    let (usual, is) = (median(old.clone()), median(new));
    let spread = spread(&old).max(what.least_spread(usual));
    if is - usual <= FAR * spread || !what.is_noticed(usual, is) {
        return None;
    }
    let week = days.iter().filter(|day| day.at >= cut);
    let requests = week.map(|day| day.requests).sum();
    let share = match what {
        What::Latency => is - usual,
        What::Failures => (is - usual) / 100.0,
    };
    Some(Worse {
        subject: subject.to_owned(),
        what,
        before: usual,
        now: is,
        days_before: before.len(),
        days_now: now.len(),
        requests,
        harm: share * requests as f64,
    })
}

/// The place at which days went to another level and stayed there: where two levels leave the least
/// unexplained.
pub(super) fn changed(subject: &str, days: &[Day], what: What) -> Option<Changed> {
    let known = proving(days, what);
    let mut best: Option<(f64, Changed)> = None;
    for cut in LEAST_SIDE..(known.len() + 1).saturating_sub(LEAST_SIDE) {
        let (first, second) = known.split_at(cut);
        let (old, new) = (values(first), values(second));
        let (before, after) = (median(old.clone()), median(new.clone()));
        let about = |list: &[f64], middle: f64| -> Vec<f64> {
            list.iter().map(|value| value - middle).collect()
        };
        let mut rest = about(&old, before);
        rest.extend(about(&new, after));
        let left: f64 = rest.iter().map(|value| value.abs()).sum();
        if best.as_ref().is_some_and(|(least, _)| left >= *least) {
            continue;
        }
        // Levels that overlap are a slope, or weekends.
        let (lower, upper) = if before < after {
            (&old, &new)
        } else {
            (&new, &old)
        };
        let apart = quantile(lower.clone(), 0.75) < quantile(upper.clone(), 0.25);
        let clear = (after - before).abs() / spread(&rest).max(what.least_spread(before));
        let noticed = what.is_noticed(before.min(after), before.max(after));
        let (less, more) = if before < after {
            (first, second)
        } else {
            (second, first)
        };
        let chance =
            what == What::Failures && !Pool::of(more).is_worse_than(Pool::of(less), CHANCE_OF_MANY);
        if apart && noticed && clear > FAR && !chance {
            let found = Changed {
                subject: subject.to_owned(),
                what,
                at: second[0].0.at,
                before,
                after,
                clear,
            };
            best = Some((left, found));
        }
    }
    best.map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::days(20_000 + day)
    }

    fn days(p95: impl Fn(i64) -> f64, failed: impl Fn(i64) -> u64, requests: u64) -> Vec<Day> {
        (0..28)
            .map(|day| Day {
                at: at(day),
                requests,
                failed: failed(day),
                p95_ms: Some(p95(day)),
            })
            .collect()
    }

    /// Days differ a little, as they do.
    fn noise(day: i64) -> f64 {
        ((day * 7919) % 13) as f64 - 6.0
    }

    #[test]
    fn a_week_is_worse_than_the_weeks_before_only_if_most_of_its_days_are() {
        let latency = |p95: &dyn Fn(i64) -> f64, requests| {
            worse("op", &days(p95, |_| 0, requests), What::Latency, at(28))
                .map(|worse| (worse.before.round(), worse.now.round()))
        };
        let usual = |day: i64| 300.0 + noise(day);
        for (name, p95, requests, expected) in [
            ("as ever", &usual as &dyn Fn(i64) -> f64, 1000, None),
            (
                "twice as long",
                &|d| if d >= 21 { 600.0 } else { usual(d) },
                1000,
                Some((300.0, 600.0)),
            ),
            (
                "one bad day",
                &|d| if d == 23 { 9000.0 } else { usual(d) },
                1000,
                None,
            ),
            (
                "three bad days",
                &|d| if d > 24 { 9000.0 } else { usual(d) },
                1000,
                None,
            ),
            (
                "better",
                &|d| if d >= 21 { 100.0 } else { usual(d) },
                1000,
                None,
            ),
            (
                "too few to notice",
                &|d| if d >= 21 { 340.0 } else { usual(d) },
                1000,
                None,
            ),
            (
                "too few requests",
                &|d| if d >= 21 { 600.0 } else { usual(d) },
                49,
                None,
            ),
            // What differs like that anyway is no news.
            (
                "wild before as well",
                &|d| if d % 2 == 0 { 900.0 } else { 300.0 },
                1000,
                None,
            ),
            (
                "worse for three weeks already",
                &|d| if d >= 7 { 600.0 } else { usual(d) },
                1000,
                None,
            ),
        ] {
            assert_eq!(latency(p95, requests), expected, "{name}");
        }
        let failing = days(|_| 100.0, |d| if d >= 21 { 20 } else { 1 }, 1000);
        let found = worse("op", &failing, What::Failures, at(28)).expect("worse");
        assert_eq!((found.before, found.now, found.requests), (0.1, 2.0, 7000));
        assert!((found.harm - 133.0).abs() < 1e-6, "{found:?}");
        let young = &days(usual, |_| 0, 1000)[15..];
        assert_eq!(
            worse("op", young, What::Latency, at(28)),
            None,
            "six days before"
        );
    }

    /// The same numbers each time (splitmix64).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// So many on average, as chance brings them.
        fn poisson(&mut self, mean: f64) -> u64 {
            let (end, mut product, mut count) = ((-mean).exp(), self.next(), 0);
            while product > end {
                product *= self.next();
                count += 1;
            }
            count
        }

        /// Four weeks of so many failures a day, and so many in the last week.
        fn weeks(&mut self, requests: u64, before: f64, last: f64) -> Vec<Day> {
            let failed: Vec<u64> = (0..28)
                .map(|day| self.poisson(if day < 21 { before } else { last }))
                .collect();
            days(|_| 100.0, |day| failed[day as usize], requests)
        }
    }

    #[test]
    fn a_few_failures_a_day_that_are_as_ever_are_told_in_less_than_one_week_of_a_hundred() {
        let mut random = Random(7);
        for requests in [60, 300, 1000, 5000] {
            for rate in [0.3, 0.5, 0.7, 1.0, 3.0] {
                let (tries, mut worse_weeks, mut changes) = (2000, 0, 0);
                for _ in 0..tries {
                    let days = random.weeks(requests, rate, rate);
                    worse_weeks += i32::from(worse("op", &days, What::Failures, at(28)).is_some());
                    changes += i32::from(changed("op", &days, What::Failures).is_some());
                }
                assert!(
                    worse_weeks * 100 < tries && changes * 100 < tries,
                    "{rate} a day of {requests}: {worse_weeks} and {changes} of {tries}"
                );
            }
        }
    }

    #[test]
    fn failures_that_are_many_more_are_told_and_those_of_one_day_are_not() {
        let mut random = Random(8);
        let told = |found: &dyn Fn(&[Day]) -> bool, random: &mut Random, last| {
            let tries = 200;
            let found = (0..tries).filter(|_| found(&random.weeks(1000, 1.0, last)));
            found.count() * 100 / tries
        };
        let is_worse = |days: &[Day]| worse("op", days, What::Failures, at(28)).is_some();
        let is_changed = |days: &[Day]| changed("op", days, What::Failures).is_some();
        assert!(told(&is_worse, &mut random, 8.0) >= 95);
        assert!(told(&is_changed, &mut random, 10.0) >= 90);
        let bad = |bad: &dyn Fn(i64) -> u64| {
            worse("op", &days(|_| 1.0, bad, 1000), What::Failures, at(28))
        };
        assert_eq!(bad(&|d| if d == 24 { 900 } else { 1 }), None, "one bad day");
        assert_eq!(
            bad(&|d| if d > 24 { 900 } else { 1 }),
            None,
            "three bad days"
        );
        let after = bad(&|d| match d {
            10 => 900,
            21.. => 20,
            _ => 1,
        });
        assert!(after.is_some(), "one bad day before hides nothing");
        assert_eq!(bad(&|d| if d >= 21 { 1 } else { 0 }), None, "seven are few");
    }

    #[test]
    fn a_change_is_where_days_went_to_another_level_and_stayed() {
        let when = |p95: &dyn Fn(i64) -> f64| {
            let found = changed("op", &days(p95, |_| 0, 1000), What::Latency);
            found.map(|one| ((one.at - at(0)).num_days(), one.after > one.before))
        };
        let usual = |day: i64| 300.0 + noise(day);
        for (name, p95, expected) in [
            ("as ever", &usual as &dyn Fn(i64) -> f64, None),
            (
                "slower",
                &|d| if d >= 12 { 600.0 + noise(d) } else { usual(d) },
                Some((12, true)),
            ),
            (
                "faster",
                &|d| if d >= 20 { 100.0 + noise(d) } else { usual(d) },
                Some((20, false)),
            ),
            (
                "too lately",
                &|d| if d >= 25 { 900.0 } else { usual(d) },
                None,
            ),
            (
                "there and back",
                &|d| {
                    if (10..14).contains(&d) {
                        900.0
                    } else {
                        usual(d)
                    }
                },
                None,
            ),
            (
                "weekends",
                &|d| if d % 7 >= 5 { 700.0 } else { usual(d) },
                None,
            ),
        ] {
            assert_eq!(when(p95), expected, "{name}");
        }
    }
}
