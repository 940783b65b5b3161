//! Whether failures are more than chance brings. Of something that fails less than once a day, medians and
//! their spread are 0, so that any few failures would look like news. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::decide::{Day, WEEK};

/// With fewer failures in the worse days nothing is said of them.
const LEAST_FAILURES: u64 = 10;
/// How likely chance may at most have brought what is told of failures in a week, and at a place that was
/// looked for among many.
pub(super) const CHANCE: f64 = 1e-3;
pub(super) const CHANCE_OF_MANY: f64 = 1e-4;

/// Requests and failures of several days together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pool {
    requests: u64,
    failed: u64,
}

impl Pool {
    pub(super) fn of(days: &[(Day, f64)]) -> Self {
        days.iter().fold(Self::default(), |pool, (day, _)| Self {
            requests: pool.requests + day.requests,
            failed: pool.failed + day.failed.min(day.requests),
        })
    }

    /// The same without the worst day of each week, counted backwards from `end`: one bad day is none,
    /// now as before.
    pub(super) fn usual(days: &[(Day, f64)], end: DateTime<Utc>) -> Self {
        let mut weeks: BTreeMap<i64, Vec<(Day, f64)>> = BTreeMap::new();
        for one in days {
            let before = (end - one.0.at - Duration::seconds(1)).num_days();
            weeks.entry(before / WEEK).or_default().push(*one);
        }
        let mut kept = Vec::new();
        for mut week in weeks.into_values() {
            week.sort_by(|a, b| a.1.total_cmp(&b.1));
            if week.len() > 1 {
                week.pop();
            }
            kept.extend(week);
        }
        Self::of(&kept)
    }

    /// Whether chance would hardly bring so many failures here, were they as likely as in `other`. Of all
    /// failures so many would fall here as requests do; Chernoff's bound on that binomial distribution
    /// says more than its tail, never less.
    pub(super) fn is_worse_than(self, other: Self, chance: f64) -> bool {
        let (requests, failed) = (
            (self.requests + other.requests) as f64,
            (self.failed + other.failed) as f64,
        );
        if self.failed < LEAST_FAILURES || requests == 0.0 {
            return false;
        }
        let expected = self.requests as f64 / requests;
        let share = self.failed as f64 / failed;
        let part = |share: f64, expected: f64| match share > 0.0 {
            true => share * (share / expected).ln(),
            false => 0.0,
        };
        let apart = part(share, expected) + part(1.0 - share, 1.0 - expected);
        share > expected && (-failed * apart).exp() < chance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_worse_if_chance_would_hardly_bring_it() {
        let pool = |requests, failed| Pool { requests, failed };
        for (name, now, before, expected) in [
            ("the same", pool(1000, 20), pool(3000, 60), false),
            ("better", pool(1000, 10), pool(3000, 300), false),
            ("nothing before", pool(1000, 10), pool(3000, 0), true),
            ("too few", pool(1000, 9), pool(3000, 0), false),
            ("by chance", pool(1000, 14), pool(3000, 20), false),
            ("much more", pool(1000, 40), pool(3000, 20), true),
            (
                "a little more of very many",
                pool(1_000_000, 11_000),
                pool(3_000_000, 30_000),
                true,
            ),
            ("no requests", pool(0, 0), pool(0, 0), false),
            (
                "everything failed, as before",
                pool(1000, 1000),
                pool(3000, 3000),
                false,
            ),
        ] {
            assert_eq!(now.is_worse_than(before, CHANCE), expected, "{name}");
        }
    }

    #[test]
    fn the_worst_day_of_each_week_is_left_out() {
        let end = DateTime::UNIX_EPOCH + Duration::days(20_014);
        let days: Vec<(Day, f64)> = (0..14)
            .map(|back| {
                let failed = if back == 3 || back == 10 { 90 } else { 1 };
                let day = Day {
                    at: end - Duration::days(back + 1),
                    requests: 100,
                    failed,
                    p95_ms: None,
                };
                (day, failed as f64)
            })
            .collect();
        let usual = Pool::usual(&days, end);
        assert_eq!((usual.requests, usual.failed), (1200, 12));
        assert_eq!(Pool::of(&days).failed, 192);
    }
}
