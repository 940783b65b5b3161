//! Not busy: whether there is less.

use chrono::{DateTime, Duration, Timelike as _, Utc};

use super::super::{Because, Decision, GAPS, Throughput};
use super::{Judge, Steps};
use crate::operations::autoscale::facts::Minute;

/// Nothing is taken away unless the newest minute is as new as this: later ones may not be calm.
const FRESH: Duration = Duration::minutes(6);
/// A change is made some time after its tick; the tick an hour later is an hour later all the same.
const TICK: Duration = Duration::minutes(5);
/// An hour has just begun for so many minutes.
const JUST_BEGUN: u32 = 10;

impl Judge<'_> {
    /// Not busy: less, if little was needed for long, and stays so.
    pub(super) fn calm(&self) -> Throughput {
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
