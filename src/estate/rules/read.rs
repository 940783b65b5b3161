//! From what is written to rules that can fire and can end.

use std::collections::BTreeSet;

use chrono::Duration;

use super::file::{self, Kind};
use super::{Above, Evaluator, Of, Response, Rule, Thousandths, Threshold, Watch};
use crate::domain::{Class, Priority};
use crate::estate::{Reader, duration};

/// What the service promises; specification 3.2.
const OBJECTIVE: f64 = 99.9;
const LEAST_REQUESTS: u32 = 100;
/// The 95th percentile of fewer is the longest of them.
const LEAST_TIMED: u32 = 20;
const LEAST_FAILURES: u32 = 3;
const CLEAR_AFTER: u32 = 5;
/// The longest that telemetry is looked back for.
const LONGEST: Duration = Duration::days(30);

/// Where the rule of a level is written, and what it says for all of them.
struct Place<'a> {
    key: &'a str,
    holds: Option<u32>,
    every: Option<Duration>,
    watch: Watch,
}

impl Reader<'_> {
    pub(in crate::estate) fn evaluator(&mut self, written: &file::Evaluator) -> Evaluator {
        let lag = self.time_of("evaluator.lag", written.lag.as_deref(), 5);
        let most_lag = self.time_of("evaluator.most_lag", written.most_lag.as_deref(), 20);
        if lag > Duration::hours(1) {
            self.tell(
                "evaluator.lag",
                "is more than an hour: alerts would be late",
            );
        }
        if most_lag < lag || most_lag > Duration::hours(6) {
            let message = "wants a time from that of `lag` to 6h";
            self.tell("evaluator.most_lag", message);
        }
        Evaluator {
            mode: written.mode,
            lag,
            most_lag,
        }
    }

    pub(in crate::estate) fn rules(
        &mut self,
        written: Vec<file::Rule>,
        evaluator: Evaluator,
    ) -> Vec<Rule> {
        let mut names = BTreeSet::new();
        let mut rules = Vec::new();
        for (index, rule) in written.into_iter().enumerate() {
            let key = format!("rules[{index}]");
            if !fits_name(&rule.name) {
                let message = format!(
                    "is `{}`: 1 to 64 lower-case letters, digits and hyphens are possible",
                    rule.name
                );
                self.tell(&format!("{key}.name"), message);
            }
            if !names.insert(rule.name.clone()) {
                let message = format!("is `{}`, as that of another rule", rule.name);
                self.tell(&format!("{key}.name"), message);
            }
            rules.push(self.rule(rule, &key, evaluator));
        }
        for (index, rule) in rules.iter().enumerate() {
            for name in &rule.inhibits {
                self.inhibited(index, rule, name, &rules);
            }
        }
        rules
    }

    /// Rules are evaluated in their order: what is inhibited stands after what inhibits it, so that
    /// both are judged by the same minute, and none by itself.
    fn inhibited(&mut self, index: usize, rule: &Rule, name: &str, all: &[Rule]) {
        let key = format!("rules[{index}].inhibits");
        if rule.of != Of::Service {
            let message = "belongs to rules of the service: one tenant's trouble hides no other's";
            self.tell(&key, message);
            return;
        }
        match all.iter().position(|other| other.name == name) {
            None => self.tell(&key, format!("names `{name}`, which is no rule")),
            Some(place) if place <= index => {
                let message = format!("names `{name}`, which does not stand after it");
                self.tell(&key, message);
            }
            Some(place) if all[place].class == Class::Security => {
                let message = format!("names `{name}`: what is security's is always told");
                self.tell(&key, message);
            }
            Some(_) => {}
        }
    }

    fn rule(&mut self, written: file::Rule, key: &str, evaluator: Evaluator) -> Rule {
        self.belongs(&written, key);
        let class = written.class.unwrap_or(match written.kind {
            Kind::Boundary => Class::Security,
            _ => Class::Operations,
        });
        if written.kind == Kind::Boundary && class != Class::Security {
            let message = "is operations: a violation of the boundary is a matter of security";
            self.tell(&format!("{key}.class"), message);
        }
        if written.response == Response::Scale
            && !matches!(
                written.kind,
                Kind::RequestUnits | Kind::P95 | Kind::ErrorRate
            )
        {
            let message =
                "is scale: more helps where rules look at request_units, p95 or error_rate";
            self.tell(&format!("{key}.response"), message);
        }
        let clear_after = written.clear_after.unwrap_or(CLEAR_AFTER);
        if !(1..=1000).contains(&clear_after) {
            self.tell(
                &format!("{key}.clear_after"),
                "wants a number from 1 to 1000",
            );
        }
        let watch = self.watch(&written, key, evaluator);
        let every = written.every.as_deref().map(|text| {
            let key = format!("{key}.every");
            self.time_of(&key, Some(text), 1)
        });
        let place = Place {
            key,
            holds: written.holds,
            every,
            watch,
        };
        let levels = self.levels(written.levels, written.priority, written.alone, &place);
        Rule {
            name: written.name,
            watch,
            class,
            of: written.of.unwrap_or_default(),
            inhibits: written.inhibits,
            levels,
            clear_after,
            response: written.response,
            enabled: written.enabled,
        }
    }

    /// Tells what is written and belongs to another kind of rule: it would be ignored.
    fn belongs(&mut self, rule: &file::Rule, key: &str) {
        use Kind::{Absence, Boundary, BurnRate, ErrorRate, P95, RequestUnits};
        let fields: [(&str, bool, &[Kind]); 11] = [
            ("of", rule.of.is_some(), &[BurnRate, ErrorRate]),
            ("priority", rule.priority.is_some(), &[Boundary, Absence]),
            ("alone", rule.alone.is_some(), &[Absence]),
            (
                "levels",
                rule.levels.is_some(),
                &[BurnRate, P95, ErrorRate, RequestUnits],
            ),
            (
                "for",
                rule.holds.is_some(),
                &[BurnRate, P95, ErrorRate, RequestUnits, Absence],
            ),
            (
                "clear_after",
                rule.clear_after.is_some(),
                &[BurnRate, P95, ErrorRate, RequestUnits, Absence],
            ),
            (
                "objective_percent",
                rule.objective_percent.is_some(),
                &[BurnRate],
            ),
            (
                "window",
                rule.window.is_some(),
                &[P95, ErrorRate, RequestUnits, Boundary],
            ),
            (
                "least_requests",
                rule.least_requests.is_some(),
                &[BurnRate, P95, ErrorRate],
            ),
            (
                "least_failures",
                rule.least_failures.is_some(),
                &[BurnRate, ErrorRate],
            ),
            ("silent_for", rule.silent_for.is_some(), &[Absence]),
        ];
        for (name, is_written, kinds) in fields {
            if is_written && !kinds.contains(&rule.kind) {
                let why = match (name, rule.kind) {
                    ("clear_after", Boundary) => {
                        "is not for boundary: people end it, no machine does"
                    }
                    ("for", Boundary) => "is not for boundary: one violation is told at once",
                    ("priority", _) => "belongs to boundary and absence: here levels have it",
                    _ => "belongs to another kind of rule",
                };
                self.tell(&format!("{key}.{name}"), why);
            }
        }
        if let Some(threshold) = rule.threshold {
            let key = format!("{key}.threshold");
            match (rule.kind, threshold) {
                (Boundary, 1) => {}
                (Boundary, 0) => self.tell(&key, "is 0: it would always fire"),
                (Boundary, more) => {
                    let message = format!("is {more}: one violation would never be told");
                    self.tell(&key, message);
                }
                _ => self.tell(&key, "belongs to boundary: here levels have it"),
            }
        }
    }

    fn watch(&mut self, written: &file::Rule, key: &str, evaluator: Evaluator) -> Watch {
        let mut count = |name: &str, number: Option<u32>, default: u32| {
            let number = number.unwrap_or(default);
            if number == 0 {
                self.tell(
                    &format!("{key}.{name}"),
                    "is 0: nothing at all proves nothing",
                );
            }
            number
        };
        let default = if written.kind == Kind::P95 {
            LEAST_TIMED
        } else {
            LEAST_REQUESTS
        };
        let least_requests = count("least_requests", written.least_requests, default);
        let least_failures = count("least_failures", written.least_failures, LEAST_FAILURES);
        let mut window = |minutes: i64, longest: Duration| {
            let key = format!("{key}.window");
            let window = self.time_of(&key, written.window.as_deref(), minutes);
            if window > longest {
                let message = format!("is more than {} minutes", longest.num_minutes());
                self.tell(&key, message);
            }
            window
        };
        match written.kind {
            Kind::BurnRate => {
                let key = format!("{key}.objective_percent");
                let objective = written.objective_percent.unwrap_or(OBJECTIVE);
                if objective <= 0.0 || objective >= 100.0 {
                    let message = format!("is {objective}: there is no budget to spend");
                    self.tell(&key, message);
                }
                Watch::BurnRate {
                    objective: self.thousandths(&key, objective),
                    least_requests,
                    least_failures,
                }
            }
            Kind::P95 => Watch::P95 {
                window: window(5, Duration::days(1)),
                least_requests,
            },
            Kind::ErrorRate => Watch::ErrorRate {
                window: window(5, Duration::days(1)),
                least_requests,
                least_failures,
            },
            Kind::RequestUnits => Watch::RequestUnits {
                window: window(15, Duration::days(1)),
            },
            Kind::Boundary => {
                let longest = Duration::days(1);
                let window = window(30, longest);
                // What comes later than the window is long would never be seen.
                if window < evaluator.most_lag {
                    let message = "is shorter than telemetry may be late (`evaluator.most_lag`)";
                    self.tell(&format!("{key}.window"), message);
                }
                Watch::Boundary { window }
            }
            Kind::Absence => {
                let key = format!("{key}.silent_for");
                let silent_for = self.time_of(&key, written.silent_for.as_deref(), 10);
                if silent_for <= evaluator.lag {
                    let message = "is no longer than telemetry is on its way (`evaluator.lag`): it would always fire";
                    self.tell(&key, message);
                }
                if silent_for > Duration::hours(12) {
                    self.tell(&key, "is more than 12 hours");
                }
                Watch::Absence { silent_for }
            }
        }
    }

    fn levels(
        &mut self,
        written: Option<Vec<file::Threshold>>,
        priority: Option<Priority>,
        alone: Option<Priority>,
        place: &Place<'_>,
    ) -> Vec<Threshold> {
        let field = format!("{}.levels", place.key);
        let mut levels: Vec<Threshold> = match (written, place.watch) {
            (Some(written), _) => {
                if written.is_empty() {
                    self.tell(&field, "is empty: the rule would never fire");
                }
                let all = written.into_iter().enumerate();
                all.filter_map(|(index, level)| {
                    self.threshold(&level, &format!("{field}[{index}]"), place)
                })
                .collect()
            }
            (None, Watch::Boundary { .. }) => {
                vec![made(
                    priority.unwrap_or(Priority::Critical),
                    Above::One,
                    1,
                    place,
                )]
            }
            (None, Watch::Absence { .. }) => {
                let both = priority.unwrap_or(Priority::Critical);
                let alone = alone.unwrap_or(Priority::High);
                if alone >= both {
                    let message = "is not below `priority`, which is for failing probes as well";
                    self.tell(&format!("{}.alone", place.key), message);
                }
                let holds = place.holds.unwrap_or(1);
                vec![
                    made(both, Above::Silence { probes: true }, holds, place),
                    made(alone, Above::Silence { probes: false }, holds, place),
                ]
            }
            (None, watch) => defaults(watch)
                .into_iter()
                .map(|(priority, above, holds)| {
                    made(priority, above, place.holds.unwrap_or(holds), place)
                })
                .collect(),
        };
        levels.sort_by_key(|level| std::cmp::Reverse(level.priority));
        for pair in levels.windows(2) {
            if pair[0].priority == pair[1].priority {
                let message = format!(
                    "has {} twice: each priority is there once",
                    pair[0].priority
                );
                self.tell(&field, message);
            } else if threshold(pair[0].above)
                .zip(threshold(pair[1].above))
                .is_some_and(|(urgent, other)| urgent <= other)
            {
                let message = format!(
                    "has {} from less on than {}, which would never be told",
                    pair[0].priority, pair[1].priority
                );
                self.tell(&field, message);
            }
        }
        for level in &levels {
            self.rhythm(level, place);
        }
        levels
    }

    /// Holds how often, and how often in a row, against the window.
    fn rhythm(&mut self, level: &Threshold, place: &Place<'_>) {
        let window = place.watch.window(level.above);
        let key = |name: &str| format!("{}.{name}", place.key);
        let minutes = |time: Duration| format!("{} minutes", time.num_minutes());
        if level.every < Duration::minutes(1) || level.every > Duration::hours(6) {
            self.tell(&key("every"), "wants a time from 1m to 6h");
        } else if level.every > window {
            let message = format!(
                "is {}, longer than the window of {}: what happens between would not be seen",
                minutes(level.every),
                minutes(window)
            );
            self.tell(&key("every"), message);
        }
        if level.holds == 0 {
            self.tell(&key("for"), "is 0: it would always fire");
        } else if i32::try_from(level.holds)
            .ok()
            .and_then(|holds| level.every.checked_mul(holds))
            .is_none_or(|all| all > window)
        {
            let message = format!(
                "is {} evaluations at {}, longer than the window of {}",
                level.holds,
                level.priority,
                minutes(window)
            );
            self.tell(&key("for"), message);
        }
    }

    fn threshold(
        &mut self,
        written: &file::Threshold,
        key: &str,
        place: &Place<'_>,
    ) -> Option<Threshold> {
        let burns = matches!(place.watch, Watch::BurnRate { .. });
        let times = matches!(place.watch, Watch::P95 { .. });
        for (name, is_written, belongs) in [
            ("long", written.long.is_some(), burns),
            ("short", written.short.is_some(), burns),
            ("factor", written.factor.is_some(), burns),
            ("above_seconds", written.above_seconds.is_some(), times),
            (
                "above_percent",
                written.above_percent.is_some(),
                !burns && !times,
            ),
        ] {
            match (is_written, belongs) {
                (true, false) => {
                    self.tell(&format!("{key}.{name}"), "belongs to another kind of rule");
                }
                (false, true) => self.tell(&format!("{key}.{name}"), "is missing"),
                _ => {}
            }
        }
        let above = match place.watch {
            Watch::BurnRate { objective, .. } => {
                let factor = written.factor?;
                let most = 100.0 / (100.0 - objective.number());
                if factor <= 0.0 {
                    let message = format!("is {factor}: it would always fire");
                    self.tell(&format!("{key}.factor"), message);
                } else if factor > most {
                    let message = format!(
                        "is {factor}: even if all fails, the budget goes only {most:.0} times as fast"
                    );
                    self.tell(&format!("{key}.factor"), message);
                }
                let long = self.time_of(&format!("{key}.long"), written.long.as_deref(), 60);
                let short = self.time_of(&format!("{key}.short"), written.short.as_deref(), 5);
                if short >= long {
                    self.tell(
                        &format!("{key}.short"),
                        "is not shorter than the long window",
                    );
                }
                if long > LONGEST {
                    self.tell(&format!("{key}.long"), "is more than 30 days");
                }
                Above::Burn {
                    long,
                    short,
                    factor: self.thousandths(&format!("{key}.factor"), factor),
                }
            }
            Watch::P95 { .. } => {
                let seconds = written.above_seconds?;
                let key = format!("{key}.above_seconds");
                if seconds <= 0.0 {
                    self.tell(&key, format!("is {seconds}: it would always fire"));
                } else if seconds >= 3600.0 {
                    self.tell(&key, format!("is {seconds}: no request takes an hour"));
                }
                Above::Seconds(self.thousandths(&key, seconds))
            }
            _ => {
                let percent = written.above_percent?;
                let key = format!("{key}.above_percent");
                if percent <= 0.0 {
                    self.tell(&key, format!("is {percent}: it would always fire"));
                } else if percent >= 100.0 {
                    self.tell(&key, format!("is {percent}: nothing is more than all"));
                }
                Above::Percent(self.thousandths(&key, percent))
            }
        };
        let holds = written.holds.or(place.holds).unwrap_or(1);
        let mut level = made(written.priority, above, holds, place);
        if let Some(every) = written.every.as_deref() {
            level.every = self.time_of(&format!("{key}.every"), Some(every), 1);
        }
        Some(level)
    }

    fn thousandths(&mut self, key: &str, number: f64) -> Thousandths {
        Thousandths::new(number).unwrap_or_else(|| {
            self.tell(key, format!("is {number}: three decimals are possible"));
            Thousandths(1)
        })
    }

    fn time_of(&mut self, key: &str, text: Option<&str>, minutes: i64) -> Duration {
        let default = Duration::minutes(minutes);
        let Some(text) = text else { return default };
        duration(text)
            .filter(|time| *time > Duration::zero())
            .unwrap_or_else(|| {
                let message = format!("is `{text}`: a time such as 5m, 1h or 3d is possible");
                self.tell(key, message);
                default
            })
    }
}

fn made(priority: Priority, above: Above, holds: u32, place: &Place<'_>) -> Threshold {
    let window = place.watch.window(above);
    // Whether anything is told at all is asked each minute: it is one small query for all rules.
    let often =
        window <= Duration::minutes(5) || matches!(above, Above::Silence { .. } | Above::One);
    let every = place
        .every
        .unwrap_or(Duration::minutes(if often { 1 } else { 5 }));
    Threshold {
        priority,
        above,
        holds,
        every,
    }
}

/// What is compared between levels; windows of burn rates are not.
fn threshold(above: Above) -> Option<Thousandths> {
    match above {
        Above::Seconds(number) | Above::Percent(number) => Some(number),
        Above::Burn { .. } | Above::One | Above::Silence { .. } => None,
    }
}

/// Specification 3.2 and 5, corrected: burn rates instead of a share over five minutes; slow is warned
/// of before it is a page.
fn defaults(watch: Watch) -> Vec<(Priority, Above, u32)> {
    use Priority::{Critical, High, Low, Medium};
    let burn = |long: i64, short: i64, factor: i64| Above::Burn {
        long: Duration::minutes(long),
        short: Duration::minutes(short),
        factor: Thousandths(factor),
    };
    match watch {
        Watch::BurnRate { .. } => vec![
            (Critical, burn(60, 5, 14_400), 1),
            (High, burn(6 * 60, 30, 6_000), 1),
            (Medium, burn(24 * 60, 2 * 60, 3_000), 1),
            (Low, burn(3 * 24 * 60, 6 * 60, 1_000), 1),
        ],
        Watch::P95 { .. } => vec![
            (High, Above::Seconds(Thousandths(3_000)), 1),
            (Medium, Above::Seconds(Thousandths(2_000)), 3),
        ],
        Watch::ErrorRate { .. } => vec![
            (High, Above::Percent(Thousandths(5_000)), 1),
            (Medium, Above::Percent(Thousandths(500)), 1),
        ],
        Watch::RequestUnits { .. } => vec![(Medium, Above::Percent(Thousandths(80_000)), 2)],
        Watch::Boundary { .. } | Watch::Absence { .. } => Vec::new(),
    }
}

fn fits_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
