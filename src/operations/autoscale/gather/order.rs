//! Which resources are looked at when there are not calls enough for all. Pure.

use chrono::{DateTime, Duration, Utc};

use crate::estate::ThroughputRules;
use crate::operations::autoscale::facts::Minute;

/// A calm container that was looked at within this time has been judged in this hour already.
const LOOKED_JUST_NOW: Duration = Duration::minutes(30);
/// Refusals count when they are as new as this.
const RECENT: Duration = Duration::minutes(10);
/// One of so many places is kept for what was looked at longest ago, whatever it measures: nothing
/// waits for ever.
const FOR_THE_OLDEST: usize = 10;

/// How much a resource wants to be looked at, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heat {
    /// As many of its newest minutes are busy as its rules want.
    Busy,
    /// Some requests were refused.
    Refused,
    /// Calm for long: it may be given less.
    Calm,
    Rest,
}

/// One resource that wants to be looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) heat: Heat,
    /// The most of its newest minutes, percent.
    pub(super) used: u32,
    /// When it was last looked at.
    pub(super) looked: Option<DateTime<Utc>>,
}

impl Candidate {
    /// What the minutes of a resource make of it.
    pub(super) fn new(
        minutes: &[Minute],
        rules: &ThroughputRules,
        looked: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let of = rules.of_samples.max(1) as usize;
        let recent = |minute: &&Minute| minute.at >= now - RECENT;
        let newest: Vec<f64> = minutes
            .iter()
            .rev()
            .take_while(recent)
            .filter_map(|minute| minute.used)
            .take(of)
            .collect();
        let up = f64::from(rules.up_percent);
        let busy = newest.iter().filter(|used| **used > up).count();
        let refused = minutes
            .iter()
            .rev()
            .take_while(recent)
            .any(|minute| minute.refused.is_some_and(|refused| refused > 0.0));
        let calm_since = now - rules.calm;
        let mut measured = minutes
            .iter()
            .filter(|minute| minute.at >= calm_since)
            .filter_map(|minute| minute.used)
            .peekable();
        let calm = measured.peek().is_some()
            && measured.all(|used| used < f64::from(rules.down_percent))
            && looked.is_none_or(|at| now - at >= LOOKED_JUST_NOW);
        let heat = if busy >= rules.hot_samples.max(1) as usize {
            Heat::Busy
        } else if refused {
            Heat::Refused
        } else if calm {
            Heat::Calm
        } else {
            Heat::Rest
        };
        let used = newest.iter().copied().fold(0.0, f64::max).clamp(0.0, 100.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 100"
        )]
        let used = used as u32;
        Self { heat, used, looked }
    }
}

/// The places of those that are looked at now, hottest first, and of those that have to wait.
///
/// Among the busy and the refused those that use the most come first, and among equals those that
/// were looked at longest ago.
pub(super) fn choose(candidates: &[Candidate], calls: usize) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|at| {
        let one = &candidates[*at];
        let used = match one.heat {
            Heat::Busy | Heat::Refused => one.used,
            Heat::Calm | Heat::Rest => 0,
        };
        (one.heat, std::cmp::Reverse(used), one.looked)
    });
    if order.len() <= calls {
        return (order, Vec::new());
    }
    let hot = calls - calls / FOR_THE_OLDEST;
    let mut rest = order.split_off(hot);
    // A stable sort: among those that were looked at together the hotter one stays before.
    rest.sort_by_key(|at| candidates[*at].looked);
    let later = rest.split_off(calls - hot);
    order.extend(rest);
    (order, later)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 2, 9, 30, 0).unwrap()
    }

    fn minutes(used: &[Option<f64>], refused: f64) -> Vec<Minute> {
        let long = i64::try_from(used.len()).unwrap();
        let minute = |(ago, used): (i64, &Option<f64>)| Minute {
            at: now() - Duration::minutes(long - ago),
            used: *used,
            units: None,
            requests: Some(100.0),
            refused: Some(refused),
            latency_ms: None,
        };
        (0..long).zip(used).map(minute).collect()
    }

    #[test]
    fn what_a_resource_measures_says_how_much_it_wants_to_be_looked_at() {
        let ago = |minutes| Some(now() - Duration::minutes(minutes));
        let calm = vec![Some(5.0); 60];
        for (name, minutes, looked, expected) in [
            (
                "two of three are busy",
                minutes(&[Some(95.0), Some(40.0), Some(90.0)], 0.0),
                None,
                Heat::Busy,
            ),
            (
                "one of three is busy",
                minutes(&[Some(10.0), Some(40.0), Some(90.0)], 0.0),
                None,
                Heat::Rest,
            ),
            (
                "a minute that was not measured is not one of the three",
                minutes(&[Some(95.0), Some(40.0), Some(90.0), None], 0.0),
                None,
                Heat::Busy,
            ),
            (
                "some are refused",
                minutes(&[Some(50.0), Some(50.0)], 2.0),
                None,
                Heat::Refused,
            ),
            (
                "calm, and never looked at",
                minutes(&calm, 0.0),
                None,
                Heat::Calm,
            ),
            (
                "calm, and looked at long ago",
                minutes(&calm, 0.0),
                ago(40),
                Heat::Calm,
            ),
            (
                "calm, and looked at just now",
                minutes(&calm, 0.0),
                ago(10),
                Heat::Rest,
            ),
            ("nothing measured is not calm", Vec::new(), None, Heat::Rest),
        ] {
            let found = Candidate::new(&minutes, &ThroughputRules::default(), looked, now());
            assert_eq!(found.heat, expected, "{name}");
        }
        // Busy an hour ago says nothing of now.
        let mut old = minutes(&[Some(95.0); 3], 9.0);
        for minute in &mut old {
            minute.at -= Duration::hours(1);
        }
        let found = Candidate::new(&old, &ThroughputRules::default(), None, now());
        assert_eq!(found.heat, Heat::Rest);
    }

    #[test]
    fn the_hottest_come_first_and_nothing_waits_for_ever() {
        let one = |heat, used, ago: i64| Candidate {
            heat,
            used,
            looked: (ago > 0).then(|| now() - Duration::minutes(ago)),
        };
        let candidates = [
            one(Heat::Rest, 50, 5),
            one(Heat::Calm, 3, 40),
            one(Heat::Busy, 90, 5),
            one(Heat::Busy, 100, 5),
            one(Heat::Refused, 60, 5),
            one(Heat::Calm, 9, 50),
            one(Heat::Rest, 40, 0),
            one(Heat::Busy, 90, 10),
        ];
        let (now, later) = choose(&candidates, 8);
        assert_eq!((now, later), (vec![3, 7, 2, 4, 5, 1, 6, 0], vec![]));
        let (now, later) = choose(&candidates, 3);
        assert_eq!((now, later), (vec![3, 7, 2], vec![6, 5, 1, 4, 0]));
        assert_eq!(choose(&candidates, 0).0, Vec::<usize>::new());

        // Of thirty that are always busy and of one that never is, each is looked at within some
        // ticks of ten calls.
        let mut all = vec![one(Heat::Busy, 100, 0); 30];
        all.push(one(Heat::Rest, 50, 0));
        let mut at = super::tests::now();
        let mut ticks = 0;
        while all.iter().any(|candidate| candidate.looked.is_none()) {
            for index in choose(&all, 10).0 {
                all[index].looked = Some(at);
            }
            at += Duration::minutes(5);
            ticks += 1;
            assert!(ticks < 6, "somebody waits for ever");
        }
    }
}
