//! The throughput of one container, or of what a database's containers share.
//!
//! Source: specification 6.1.1 with the corrections S1 to S8.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Duration, Timelike as _, Utc};

use super::{Because, Decision, Throughput};
use crate::azure::cosmos;
use crate::domain::{Capacity, Finding};
use crate::estate::ThroughputRules;
use crate::operations::autoscale::facts::{ContainerFacts, Minute, Supply};

/// Metrics are on their way for some minutes; what is older than this says nothing of now.
const STALE: Duration = Duration::minutes(10);
/// Refusals and partitions are judged over so many of the newest minutes.
const RECENT: usize = 5;
/// From so many percent of refusals on, latency decides whether they matter.
const FEW_REFUSALS: f64 = 1.0;
/// Of the minutes that must have been calm, so many may be missing.
const GAPS: usize = 2;
/// Nothing is taken away unless the newest minute is as new as this: later ones may not be calm.
const FRESH: Duration = Duration::minutes(6);
/// A change is made some time after its tick; the tick an hour later is an hour later all the same.
const TICK: Duration = Duration::minutes(5);
/// RU/s that a physical partition has at most, which all can have at once.
const PARTITION: u32 = 10_000;
/// From so many percent of the load on, somebody alone makes the trouble.
const NOISY: f64 = 50.0;
/// An hour has just begun for so many minutes.
const JUST_BEGUN: u32 = 10;
/// A trend is seen in so many minutes, and not in fewer than so many measurements.
const TREND: i64 = 10;
const LEAST_TREND: usize = 5;

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

/// Whether all partitions are busy.
enum Spread {
    Alike,
    /// Only one is, and how that is seen.
    One(String),
    /// What is not known.
    Unknown(String),
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

    /// Who alone makes others wait.
    fn noisy(&self, refused: f64) -> Option<Finding> {
        let share = self.facts.heaviest.as_ref()?;
        (share.percent >= NOISY).then(|| {
            let message = format!(
                "`{}` has {:.0} % of the load, while {refused:.1} % of all requests are refused: others wait for it",
                share.key, share.percent
            );
            Finding::new("noisy-neighbour", self.subject(), message)
        })
    }

    /// RU/s that it needs by the end of the time that is foreseen, by a straight line through what was
    /// wanted of it in the last minutes: as steep as it is at least, for what they scatter. `None` if
    /// that is no more than it has, or does not rise: what is refused a little and stays so is healthy.
    fn foreseen(&self) -> Option<f64> {
        let from = self.now - Duration::minutes(TREND);
        let from = self.changed().map_or(from, |at| from.max(at));
        let minutes = self.facts.minutes.iter().filter(|m| m.at >= from);
        let points: Vec<(f64, f64)> = minutes
            .filter_map(|m| {
                // What was refused was wanted as well, and a full minute tells no more than full.
                let refused = match (m.requests, m.refused) {
                    (Some(requests), Some(refused)) if requests > 0.0 => refused / requests,
                    _ => 0.0,
                };
                let served = m.used? / 100.0 * f64::from(self.steps.current);
                let used = served / (1.0 - refused.clamp(0.0, 0.9));
                Some(((m.at - self.now).num_seconds() as f64 / 60.0, used))
            })
            .collect();
        if self.rules.foresee <= Duration::zero() || points.len() < LEAST_TREND {
            return None;
        }
        let count = points.len() as f64;
        let (x, y) = points
            .iter()
            .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        let (x, y) = (x / count, y / count);
        let over = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>();
        let under = points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
        let slope = over / under;
        let scatter = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2));
        let scatter = (scatter.sum::<f64>() / count).sqrt();
        let sure = (slope - scatter / under.sqrt()).max(0.0);
        // The newest minute is over, and metrics are late: as long as that is ahead as well.
        let newest = points.last()?.0;
        let ahead = self.rules.foresee.num_seconds() as f64 / 60.0 - newest - 1.0;
        let need = y + slope * (newest - x) + sure * ahead + scatter / 2.0;
        (sure > 0.0 && need > f64::from(self.steps.current)).then_some(need)
    }

    /// Whether this is the trouble of one partition, for which more throughput would be bought in vain.
    fn spread(&self, recent: &[Minute]) -> Spread {
        let busy = f64::from(self.rules.up_percent);
        let count = self.facts.partitions.map(|count| count as usize);
        let ranges = &self.facts.ranges;
        let whose = self.facts.heaviest.as_ref().map_or_else(
            || "whose load it is, logs do not say".to_owned(),
            |share| format!("`{}` has {:.0} % of the load", share.key, share.percent),
        );
        if count == Some(1) {
            return Spread::Alike;
        }
        let hottest = ranges.iter().max_by(|a, b| a.used.total_cmp(&b.used));
        if let Some(hottest) = hottest {
            let (hot, told) = (
                ranges.iter().filter(|r| r.used > busy).count(),
                ranges.len(),
            );
            return match count {
                _ if hot > 1 => Spread::Alike,
                Some(count) if told < count => Spread::Unknown(format!(
                    "only {told} of its {count} partitions were measured"
                )),
                _ if told == 1 => Spread::Alike,
                _ => Spread::One(format!(
                    "partition {} is at {:.0} % and the {} others are not busy: more RU/s would hardly help, another partition key would ({whose})",
                    hottest.id,
                    hottest.used,
                    told - 1
                )),
            };
        }
        // Its partitions are not told: what all of it uses tells whether they are busy alike.
        let units = recent.iter().filter_map(|m| m.units).reduce(f64::max);
        let Some(most) = units else {
            return Spread::Unknown("neither its partitions nor all of it were measured".into());
        };
        let share = most / 60.0 / f64::from(self.steps.current) * 100.0;
        // With one full and another half full it would be that much.
        let count = count.unwrap_or(2).max(2) as f64;
        if share < 50.0 {
            Spread::One(format!(
                "its fullest partition is full, and all of it uses {share:.0} %: more RU/s would hardly help, another partition key would ({whose})"
            ))
        } else if share < (count - 0.5) / count * 100.0 {
            let what = format!("its partitions were not measured, and all of it uses {share:.0} %");
            Spread::Unknown(what)
        } else {
            Spread::Alike
        }
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

    /// Not busy: less, if little was needed for long, and stays so.
    fn calm(&self) -> Throughput {
        let Steps {
            current,
            least,
            most,
            ..
        } = self.steps;
        let all = &self.facts.minutes;
        let newest = all.last().map_or(self.now, |minute| minute.at);
        let from = newest - self.rules.calm;
        let minutes = || all.iter().filter(|minute| minute.at > from);
        let refused = minutes().filter(|minute| self.is_refused(minute)).count();
        let mut looked: Vec<f64> = minutes().filter_map(|minute| minute.used).collect();
        looked.sort_by(f64::total_cmp);
        let busiest = looked.last().copied().unwrap_or_default();
        // One minute that stands out is no need of all the others.
        let tenth = looked
            .get(looked.len() * 9 / 10)
            .copied()
            .unwrap_or_default();
        let used = f64::from(current) * tenth / 100.0;
        let half = self.steps.up(f64::from(current) / 2.0);
        let is_over = current > most;
        if is_over && self.for_need(used) > most {
            let why = format!(
                "it has {current} RU/s and uses {used:.0}; {most} are the most that the rules allow, and are too few for it"
            );
            return Decision::hold(Because::AtMost, why)
                .found("throughput-above-most", &self.subject());
        }
        let to = if is_over {
            half.max(most)
        } else {
            half.max(self.for_need(used)).max(least)
        };
        let is_calm = busiest < f64::from(self.rules.down_percent);
        let saves = |to: u32| {
            let frees = 100.0 - f64::from(to) / f64::from(current) * 100.0;
            is_calm || is_over || frees >= f64::from(self.rules.least_step_percent)
        };
        if !saves(to) {
            let why = format!("at {tenth:.0} % but for its busiest minutes, up to {busiest:.0} %");
            return Decision::hold(Because::Steady, why);
        }
        if refused >= self.rules.hot_samples.max(1) as usize {
            let why = format!(
                "at {tenth:.0} % but for its busiest minutes, and in {refused} of {} requests were refused",
                looked.len()
            );
            return Decision::hold(Because::Steady, why);
        }
        if current <= least {
            let why = format!("calm, and {current} RU/s are the least that it can have");
            return Decision::hold(Because::AtLeast, why);
        }
        if let Some(hold) = self.not_now(looked.len(), newest) {
            return hold;
        }
        let to = to.max(self.facts.ahead.map_or(0, |need| self.steps.up(need)));
        if to >= current || !saves(to) {
            let why = format!(
                "calm, and the forecast needs {:.0} RU/s within {} h",
                self.facts.ahead.unwrap_or_default(),
                self.rules.ahead.num_hours()
            );
            return Decision::hold(Because::ForecastNeeds, why);
        }
        let why = format!(
            "it used {used:.0} RU/s or less in nine of ten minutes for {} minutes, at most {busiest:.0} % of what it has",
            looked.len()
        );
        if is_over {
            let why = format!("{why}; {most} RU/s are the most that the rules allow");
            return Decision::set(self.steps.capacity(to), Because::OutsideLimits, why);
        }
        Decision::set(self.steps.capacity(to), Because::Calm, why)
    }

    /// Whether more of a minute's requests were refused than is good; not known of a full one, it may
    /// be so.
    fn is_refused(&self, minute: &Minute) -> bool {
        match (minute.requests, minute.refused) {
            (Some(requests), Some(refused)) => {
                refused > requests * f64::from(self.rules.throttled_percent) / 100.0
            }
            _ => minute.used.is_some_and(|used| used >= 100.0),
        }
    }

    /// What makes so many RU/s the target.
    fn for_need(&self, need: f64) -> u32 {
        let target = f64::from(self.rules.target_percent.clamp(1, 100)) / 100.0;
        self.steps.up(need / target)
    }

    /// Why there is no less now, though there may be later.
    fn not_now(&self, measured: usize, newest: DateTime<Utc>) -> Option<Throughput> {
        let wanted = usize::try_from(self.rules.calm.num_minutes()).unwrap_or(usize::MAX);
        let unknown = if measured + GAPS < wanted {
            Some(format!("only {measured} of {wanted} minutes were measured"))
        } else if self.now - newest > FRESH {
            let at = newest.format("%H:%M UTC");
            Some(format!("nothing was measured since {at}"))
        } else {
            None
        };
        if let Some(unknown) = unknown {
            let why = format!("calm, but {unknown}: nothing is taken away by what is not known");
            let hold = Decision::hold(Because::NoData, why);
            return Some(hold.found("throughput-no-data", &self.subject()));
        }
        let last = self.facts.past.down;
        if last.is_some_and(|last| self.now - last + TICK < self.rules.between_downs) {
            let why = "calm, and it was lowered just now";
            return Some(Decision::hold(Because::JustLowered, why));
        }
        // Shares of what it had before its last raise are no shares of what it has now.
        let raised = self.facts.past.up;
        if raised.is_some_and(|at| self.now - at < self.rules.calm) {
            let why = "calm, and it was raised within the time that must be calm";
            return Some(Decision::hold(Because::JustRaised, why));
        }
        if self.now.minute() >= JUST_BEGUN {
            let why = "calm; the hour is charged by the most that it had, so less would save nothing before the next one";
            return Some(Decision::hold(Because::HourCharged, why));
        }
        self.often()
    }
}

fn splits(instant: u32) -> String {
    format!(
        "above {instant} RU/s partitions are split: for hours, and the least that it can have grows for ever"
    )
}
