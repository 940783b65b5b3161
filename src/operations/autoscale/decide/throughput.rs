//! The throughput of one container, or of what a database's containers share.
//!
//! Source: specification 6.1.1 with the corrections S1 to S8.

mod calm;
mod foresee;
mod spread;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use super::{Because, Decision, STALE, Throughput};
use crate::azure::cosmos;
use crate::domain::{Capacity, Finding};
use crate::estate::ThroughputRules;
use crate::operations::autoscale::facts::{ContainerFacts, Minute, Supply};
use foresee::TREND;
use spread::Spread;

/// Refusals and partitions are judged over so many of the newest minutes.
const RECENT: usize = 5;
/// From so many percent of refusals on, latency decides whether they matter.
const FEW_REFUSALS: f64 = 1.0;
/// RU/s that a physical partition has at most, which all can have at once.
const PARTITION: u32 = 10_000;

/// Decides on the throughput of one container.
#[must_use]
pub fn container(
    facts: &ContainerFacts,
    rules: &ThroughputRules,
    now: DateTime<Utc>,
) -> Throughput {
    let subject = facts.resource.short();
    let now_has = match &facts.supply {
        Supply::Own(throughput) => throughput,
        Supply::Shared => {
            return Decision::hold(Because::NotItsOwn, "it shares what its database has");
        }
        Supply::Dedicated => {
            let why = "its containers have throughput of their own";
            return Decision::hold(Because::NotItsOwn, why);
        }
        Supply::Serverless => {
            return Decision::hold(Because::NotItsOwn, "its account is serverless");
        }
        Supply::Unread(why) => {
            let why = format!("Azure does not say what it has: {why}");
            return Decision::hold(Because::Unread, why).found("throughput-unread", &subject);
        }
    };
    if now_has.pending {
        let why = "Azure is still at an earlier change of it, which can take hours while partitions split";
        return Decision::hold(Because::Pending, why).found("throughput-pending", &subject);
    }
    let judge = Judge {
        facts,
        rules,
        has: now_has,
        steps: Steps::of(now_has, rules),
        now,
    };
    judge.decide()
}

/// In which values throughput comes.
struct Steps {
    current: u32,
    step: u32,
    /// Of the rules, and of Azure as well.
    floor: u32,
    least: u32,
    most: u32,
    auto: bool,
}

impl Steps {
    fn of(has: &cosmos::Throughput, rules: &ThroughputRules) -> Self {
        let (current, step, auto) = match has.capacity {
            Capacity::Manual(ru) => (ru, 100, false),
            Capacity::Autoscale(ru) => (ru, 1000, true),
        };
        let up = |ru: u32| ru.div_ceil(step).saturating_mul(step);
        let least = up(has.minimum.max(rules.least).max(step));
        Self {
            current,
            step,
            floor: up(rules.least),
            least,
            // Where Azure takes no less, that is the most as well.
            most: (rules.most / step * step).max(least),
            auto,
        }
    }

    fn up(&self, ru: f64) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it ends at the limits"
        )]
        let steps = (ru / f64::from(self.step)).ceil().max(0.0) as u32;
        steps.saturating_mul(self.step)
    }

    fn capacity(&self, ru: u32) -> Capacity {
        if self.auto {
            Capacity::Autoscale(ru)
        } else {
            Capacity::Manual(ru)
        }
    }
}

struct Judge<'a> {
    facts: &'a ContainerFacts,
    rules: &'a ThroughputRules,
    has: &'a cosmos::Throughput,
    steps: Steps,
    now: DateTime<Utc>,
}

impl Judge<'_> {
    fn decide(&self) -> Throughput {
        if self.steps.current < self.steps.floor {
            return self.too_little();
        }
        let recent = self.recent();
        let of = self.rules.of_samples.max(1) as usize;
        let newest: Vec<f64> = recent
            .iter()
            .rev()
            .filter_map(|m| m.used)
            .take(of)
            .collect();
        if newest.len() < of {
            let measured = newest.len();
            if let Some(changed) = self.changed().filter(|at| *at > self.now - STALE) {
                let raised = self.facts.past.up == Some(changed);
                let (because, what) = if raised {
                    (Because::JustRaised, "raised")
                } else {
                    (Because::JustLowered, "lowered")
                };
                let at = changed.format("%H:%M UTC");
                let why =
                    format!("{what} at {at}, and {measured} of {of} minutes were measured since");
                return Decision::hold(because, why);
            }
            let why = format!(
                "only {measured} of the newest {of} minutes were measured: nothing is changed by what is not known"
            );
            return Decision::hold(Because::NoData, why)
                .found("throughput-no-data", &self.subject());
        }
        let busy = newest
            .iter()
            .filter(|used| **used > f64::from(self.rules.up_percent))
            .count();
        if busy >= self.rules.hot_samples as usize {
            return self.busy(recent);
        }
        self.calm()
    }

    fn subject(&self) -> String {
        self.facts.resource.short()
    }

    /// When its throughput was last changed.
    fn changed(&self) -> Option<DateTime<Utc>> {
        self.facts.past.up.max(self.facts.past.down)
    }

    /// It has less than the rules allow.
    fn too_little(&self) -> Throughput {
        let Steps { current, floor, .. } = self.steps;
        if let Some(hold) = self.often() {
            return hold;
        }
        let why = format!("it has {current} RU/s, and {floor} are the least that the rules allow");
        let instant = self.instant();
        let ask_first = (floor > instant).then(|| splits(instant));
        Decision {
            ask_first,
            ..Decision::set(self.steps.capacity(floor), Because::OutsideLimits, why)
        }
    }

    /// What it can have without a split; where Azure does not say, what its partitions have at least.
    fn instant(&self) -> u32 {
        let Steps { current, step, .. } = self.steps;
        let partitions = self.facts.partitions.unwrap_or(1).max(1);
        let known = self.has.instant_maximum;
        let instant = known.unwrap_or(partitions.saturating_mul(PARTITION).max(current));
        instant / step * step
    }

    /// The newest minutes, unless they are too old to speak of now, or are of another throughput.
    fn recent(&self) -> &[Minute] {
        let all = &self.facts.minutes;
        let from = self.now - STALE;
        // Shares of another throughput are no shares of this one.
        let from = self.changed().map_or(from, |at| from.max(at));
        let fresh = all.partition_point(|minute| minute.at < from);
        let fresh = &all[fresh..];
        &fresh[fresh.len().saturating_sub(RECENT)..]
    }

    /// Of the minutes for which it is known: the percent of requests that were refused, and their
    /// mean latency.
    fn refusals(recent: &[Minute]) -> Option<(f64, Option<f64>)> {
        let known = recent
            .iter()
            .filter_map(|m| Some((m.requests?, m.refused?)));
        let (requests, refused) = known.fold((0.0, 0.0), |sum, m| (sum.0 + m.0, sum.1 + m.1));
        if requests <= 0.0 {
            return None;
        }
        let slow: Vec<f64> = recent.iter().filter_map(|m| m.latency_ms).collect();
        let latency = (!slow.is_empty()).then(|| slow.iter().sum::<f64>() / slow.len() as f64);
        Some((refused / requests * 100.0, latency))
    }

    fn busy(&self, recent: &[Minute]) -> Throughput {
        let Some((refused, latency)) = Self::refusals(recent) else {
            let why = "it is busy, and how much is refused was not measured: nothing is bought for what is not known";
            return Decision::hold(Because::NoData, why)
                .found("throughput-no-data", &self.subject());
        };
        let slow = latency.is_some_and(|ms| ms > f64::from(self.rules.good_latency_ms));
        let real =
            refused > f64::from(self.rules.throttled_percent) || (refused >= FEW_REFUSALS && slow);
        let soon = self.foreseen();
        if !real && soon.is_none() {
            let why = format!(
                "above {} %, and {refused:.1} % of requests are refused: what it has is used well",
                self.rules.up_percent
            );
            return Decision::hold(Because::Healthy, why);
        }
        match self.spread(recent) {
            Spread::Alike => {}
            Spread::One(hot) => {
                return Decision::hold(Because::HotPartition, hot)
                    .found("hot-partition", &self.subject());
            }
            Spread::Unknown(what) => {
                let why = format!(
                    "it is busy, and {what}: nothing is bought for what may be one hot partition"
                );
                return Decision::hold(Because::NoData, why)
                    .found("throughput-no-data", &self.subject());
            }
        }
        if real {
            let need = self.need(recent, refused).max(soon.unwrap_or(0.0));
            let why = format!(
                "{refused:.1} % of requests were refused within {RECENT} minutes, and it needs about {need:.0} RU/s"
            );
            let mut decision = self.more(need, Because::Throttled, &why);
            decision.findings.extend(self.noisy(refused));
            return decision;
        }
        let need = soon.unwrap_or_default();
        let why = format!(
            "above {} %, and by the trend of the last {TREND} minutes it needs {need:.0} RU/s within {} minutes: more than it has",
            self.rules.up_percent,
            self.rules.foresee.num_minutes()
        );
        self.more(need, Because::NeededSoon, &why)
    }

    /// RU/s that it would use in the middle one of the newest minutes, if nothing were refused.
    fn need(&self, recent: &[Minute], refused: f64) -> f64 {
        let mut used: Vec<f64> = recent.iter().filter_map(|m| m.used).collect();
        used.sort_by(f64::total_cmp);
        let middle = used.get(used.len() / 2).copied().unwrap_or_default();
        let served = f64::from(self.steps.current) * middle.min(100.0) / 100.0;
        served / (1.0 - refused.min(90.0) / 100.0)
    }

    /// As much as makes `need` the target, at most doubled, within all limits.
    fn more(&self, need: f64, because: Because, why: &str) -> Throughput {
        let Steps {
            current,
            step,
            most,
            ..
        } = self.steps;
        let wanted = self.for_need(need).max(current + step);
        if current >= most {
            let why = format!(
                "{why}; it has {current} RU/s, and {most} are the most that the rules allow"
            );
            return Decision::hold(Because::AtMost, why)
                .found("throughput-at-most", &self.subject());
        }
        if let Some(hold) = self.often() {
            return hold;
        }
        let mut to = wanted
            .min(current.saturating_mul(2).max(current + step))
            .min(most);
        let mut ask_first = None;
        let mut findings = Vec::new();
        let instant = self.instant();
        if to > instant {
            let splits = splits(instant);
            if instant > current {
                to = instant;
                let message = format!("{why}; it gets {to} RU/s, and no more by itself: {splits}");
                findings.push(Finding::new(
                    "throughput-needs-split",
                    self.subject(),
                    message,
                ));
            } else {
                ask_first = Some(splits);
            }
        }
        Decision {
            to: Some(self.steps.capacity(to)),
            because,
            why: why.to_owned(),
            ask_first,
            findings,
        }
    }

    fn often(&self) -> Option<Throughput> {
        let most = self.rules.most_changes_per_day;
        (self.facts.past.changes >= most).then(|| {
            let why = format!("it was changed {most} times within a day: it is left alone, and somebody should look");
            Decision::hold(Because::OftenToday, why).found("throughput-changed-often", &self.subject())
        })
    }

    /// What makes so many RU/s the target.
    fn for_need(&self, need: f64) -> u32 {
        let target = f64::from(self.rules.target_percent.clamp(1, 100)) / 100.0;
        self.steps.up(need / target)
    }
}

fn splits(instant: u32) -> String {
    format!(
        "above {instant} RU/s partitions are split: for hours, and the least that it can have grows for ever"
    )
}
