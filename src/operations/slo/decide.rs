//! What a rule says, from what was heard and what it remembers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::Probes;
use super::judge::{Judged, Verdict, judge, unheard};
use super::memory::{Ended, Memory, Series};
use super::rows::Row;
use super::whole::whole;
use super::words::span;
use crate::domain::{Class, Condition, Finding, GroupKey, Priority, Signal, Trust};
use crate::estate::{Above, Of, Rule, Threshold, Watch};

/// Names of violations that are remembered: more within two windows are one flood.
const MOST_SEEN: usize = 20_000;
/// Violations that one signal names.
const MOST_NAMED: usize = 10;
/// After so many evaluations that see it, whoever ended the incident of what goes on hears of it again.
const AGAIN: u32 = 3;

/// What telemetry of one stamp answered for one level.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub stamp: String,
    pub level: Priority,
    /// What rules without tenants are about: the workspace.
    pub place: Option<String>,
    /// Or why there is no answer.
    pub rows: Result<Vec<Row>, String>,
}

/// What else is known when a rule is judged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Around {
    pub probes: Probes,
    /// What fires of the rules that inhibit this one.
    pub inhibitions: Vec<Inhibition>,
    /// When the newest incidents of what fires were ended, of those that are over.
    pub ended: BTreeMap<GroupKey, DateTime<Utc>>,
}

/// A rule of the service that fires: its incident stands for those of its tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inhibition {
    pub by: String,
    pub stamp: String,
    pub level: Priority,
}

/// What is to be told, and what is to be remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// What fires first, then what ended: an incident that goes on at another level is not closed.
    pub signals: Vec<Signal>,
    pub memory: Memory,
    pub findings: Vec<Finding>,
}

/// Judges everything that was heard for the levels that are due.
#[must_use]
pub fn decide(
    rule: &Rule,
    heard: &[Heard],
    around: &Around,
    memory: Memory,
    now: DateTime<Utc>,
) -> Decided {
    let mut round = Round {
        rule,
        around,
        now,
        memory,
        fired: Vec::new(),
        ended: Vec::new(),
        findings: Vec::new(),
        inhibited: BTreeMap::new(),
    };
    for level in &rule.levels {
        let mut answers: Vec<&Heard> = heard.iter().filter(|h| h.level == level.priority).collect();
        answers.sort_by(|a, b| a.stamp.cmp(&b.stamp));
        if answers.is_empty() {
            continue;
        }
        for answer in &answers {
            match &answer.rows {
                Err(why) => round.deaf(level, answer, why),
                Ok(rows) if matches!(rule.watch, Watch::Boundary { .. }) => {
                    round.violations(level, &answer.stamp, rows);
                }
                Ok(rows) => round.rows(level, answer, rows),
            }
        }
        for answer in answers.iter().filter(|answer| answer.rows.is_ok()) {
            round.memory.heard.insert(answer.stamp.clone(), now);
        }
        round.gone(level, &answers);
        round.memory.evaluated.insert(level.priority, now);
    }
    round.changed();
    for (by, who) in std::mem::take(&mut round.inhibited) {
        let count = who.len();
        round.findings.push(Finding::new(
            "rule-inhibited",
            &rule.name,
            format!("{count} in trouble: the incident of rule {by} stands for them"),
        ));
    }
    round.memory.series.retain(|s| s.firing || s.hits > 0);
    let mut signals = round.fired;
    signals.append(&mut round.ended);
    Decided {
        signals,
        memory: round.memory,
        findings: round.findings,
    }
}

struct Round<'a> {
    rule: &'a Rule,
    around: &'a Around,
    now: DateTime<Utc>,
    memory: Memory,
    fired: Vec<Signal>,
    ended: Vec<Signal>,
    findings: Vec<Finding>,
    /// Who is in trouble and not told, by what stands for them.
    inhibited: BTreeMap<String, BTreeSet<String>>,
}

impl Round<'_> {
    fn rows(&mut self, level: &Threshold, answer: &Heard, rows: &[Row]) {
        let (place, probes) = (answer.place.as_deref(), &self.around.probes);
        let all: Vec<Judged> = match self.rule.of {
            Of::Service => Vec::from_iter(whole(self.rule, level, rows, place, probes)),
            Of::Tenants => rows
                .iter()
                .filter_map(|row| judge(self.rule, level, row, place, probes))
                .collect(),
        };
        let mut known = Vec::new();
        for judged in all {
            known.push((judged.tenant.clone(), judged.resource.clone()));
            self.one(level, &answer.stamp, &judged);
        }
        let now = self.now;
        let mut silent = Vec::new();
        for series in &mut self.memory.series {
            let here = series.stamp == answer.stamp && series.level == level.priority;
            let told = known
                .iter()
                .any(|(tenant, resource)| series.is(tenant.as_ref(), resource.as_ref()));
            if here && !told && series.firing {
                series.silent.get_or_insert(now);
                silent.push((series.clone(), "telemetry says nothing of it".to_owned()));
            }
        }
        for (series, why) in silent {
            self.stays(&series, &why);
        }
    }

    fn one(&mut self, level: &Threshold, stamp: &str, judged: &Judged) {
        let (tenant, resource) = (judged.tenant.as_ref(), judged.resource.as_ref());
        let series = &self.memory.series;
        let place = series
            .iter()
            .position(|s| s.stamp == stamp && s.level == level.priority && s.is(tenant, resource));
        // While a more urgent level fires, this one has nothing to add.
        let covered = series.iter().any(|s| {
            s.firing && s.stamp == stamp && s.level > level.priority && s.is(tenant, resource)
        });
        match &judged.verdict {
            Verdict::Trouble => {
                let now = self.now;
                let place = place.unwrap_or_else(|| {
                    self.memory.series.push(Series {
                        stamp: stamp.to_owned(),
                        level: level.priority,
                        tenant: judged.tenant.clone(),
                        resource: judged.resource.clone(),
                        hits: 0,
                        since: now,
                        last_hit: now,
                        firing: false,
                        calm: 0,
                        silent: None,
                        title: String::new(),
                        ended: None,
                    });
                    self.memory.series.len() - 1
                });
                let window = self.rule.watch.window(level.above) + level.every;
                let inhibition = self.around.inhibitions.iter();
                let inhibition = inhibition
                    .filter(|one| one.stamp == stamp && one.level >= level.priority)
                    .map(|one| one.by.clone())
                    .next();
                let series = &mut self.memory.series[place];
                // What was seen long ago and not since is not the same trouble.
                if !series.firing && (series.hits == 0 || now - series.last_hit > window) {
                    (series.hits, series.since) = (0, now);
                }
                series.hits = series.hits.saturating_add(1);
                series.last_hit = now;
                series.calm = 0;
                series.silent = None;
                if series.firing {
                    self.goes_on(level, place, judged);
                } else if series.hits >= level.holds && !covered {
                    // Told as soon as nothing stands for it any more, if it is there still.
                    if let Some(by) = inhibition {
                        let who = format!("{stamp} {:?} {:?}", judged.tenant, judged.resource);
                        self.inhibited.entry(by).or_default().insert(who);
                        return;
                    }
                    series.firing = true;
                    series.title = title(judged);
                    let series = series.clone();
                    let signal = self.fires(level, &series, judged);
                    self.fired.push(signal);
                }
            }
            Verdict::Calm => {
                let Some(place) = place else { return };
                let clear_after = self.rule.clear_after;
                let series = &mut self.memory.series[place];
                series.silent = None;
                series.hits = 0;
                if !series.firing {
                    return;
                }
                series.calm += 1;
                if series.calm >= clear_after {
                    let series = self.memory.series.swap_remove(place);
                    let text = format!(
                        "{} for {clear_after} evaluations in a row: {}.",
                        "It is not so any more", judged.value
                    );
                    let facts = judged.facts.clone();
                    let signal = self.ends(&series, &judged.value, text, facts);
                    self.ended.push(signal);
                }
            }
            Verdict::Unknown(why) => {
                let Some(place) = place else { return };
                let series = &mut self.memory.series[place];
                if series.firing {
                    series.silent.get_or_insert(self.now);
                    let series = series.clone();
                    self.stays(&series, why);
                }
            }
        }
    }

    /// It fired before. If its incident was ended, it is told once more, as another occurrence.
    fn goes_on(&mut self, level: &Threshold, place: usize, judged: &Judged) {
        let now = self.now;
        let series = &mut self.memory.series[place];
        let key = GroupKey {
            rule: self.rule.name.clone(),
            tenant: series.tenant.clone(),
            resource: series.resource.clone(),
        };
        let Some(at) = self.around.ended.get(&key).copied() else {
            series.ended = None;
            return;
        };
        let before = series.ended.filter(|ended| ended.at == at);
        let hits = before.map_or(0, |ended| ended.hits) + 1;
        series.ended = Some(Ended { at, hits });
        if hits < AGAIN {
            return;
        }
        series.ended = None;
        let old = series.clone();
        series.since = now;
        let new = series.clone();
        let why = "it goes on as another occurrence";
        let end = self.ends(&old, why, format!("Its incident was ended; {why}."), vec![]);
        self.fired.push(end);
        let mut signal = self.fires(level, &new, judged);
        signal.text.push_str(&format!(
            " It goes on although its incident was ended at {}.",
            at.format("%Y-%m-%d %H:%M UTC")
        ));
        self.fired.push(signal);
    }

    /// Each violation is told once; nothing here ends one.
    fn violations(&mut self, level: &Threshold, stamp: &str, rows: &[Row]) {
        let Watch::Boundary { window } = self.rule.watch else {
            return;
        };
        /// Event, when, and what was asked for.
        type Violation<'a> = (&'a str, DateTime<Utc>, &'a str);
        let mut new: Vec<(Option<String>, Vec<Violation<'_>>)> = Vec::new();
        for row in rows {
            let Row::Violation {
                event,
                tenant,
                at,
                operation,
            } = row
            else {
                continue;
            };
            let name = hash(&[stamp, event]);
            if self.memory.seen.insert(name, *at).is_some() {
                continue;
            }
            let told = (event.as_str(), *at, operation.as_str());
            match new.iter_mut().find(|(known, _)| known == tenant) {
                Some((_, events)) => events.push(told),
                None => new.push((tenant.clone(), vec![told])),
            }
        }
        // A record cannot come back once it is out of the window.
        let oldest = self.now - window * 2;
        self.memory.seen.retain(|_, at| *at >= oldest);
        if self.memory.seen.len() > MOST_SEEN {
            let mut times: Vec<DateTime<Utc>> = self.memory.seen.values().copied().collect();
            times.sort_unstable();
            let from = times[times.len() - MOST_SEEN];
            self.memory.seen.retain(|_, at| *at >= from);
            self.findings.push(Finding::new(
                "rule-flooded",
                &self.rule.name,
                format!("there are more than {MOST_SEEN} violations: some may be told twice"),
            ));
        }
        for (tenant, events) in new {
            let first = events.iter().map(|e| e.1).min().unwrap_or(self.now);
            let who = tenant.as_deref().unwrap_or("somebody who is not known");
            let count = match events.len() {
                1 => "a violation of the boundary between tenants".to_owned(),
                more => format!("{more} violations of the boundary between tenants"),
            };
            let mut facts = vec![("stamp".to_owned(), stamp.to_owned())];
            facts.extend(tenant.iter().map(|t| ("tenant".to_owned(), t.clone())));
            facts.push(("violations".to_owned(), events.len().to_string()));
            for (event, at, operation) in events.iter().take(MOST_NAMED) {
                let at = at.format("%Y-%m-%d %H:%M:%S UTC");
                facts.push((
                    format!("event {event}"),
                    format!("{at}, operation {operation}"),
                ));
            }
            // Which violations it tells of names the occurrence, whoever comes to it and when.
            let mut names: Vec<&str> = events.iter().map(|e| e.0).collect();
            names.sort_unstable();
            let rule = &self.rule.name;
            self.fired.push(Signal {
                key: GroupKey {
                    rule: rule.clone(),
                    tenant: tenant.clone(),
                    resource: None,
                },
                condition: Condition::Fired,
                priority: level.priority,
                class: Class::Security,
                title: format!("{who}: {count}"),
                text: format!(
                    "Requests of {who} reached for what is another tenant's; threshold: 1 within {}. The events hold what was reached for. Only people end this.",
                    span(window)
                ),
                facts,
                at: first,
                occurrence: format!("rules/{rule}/{stamp}/{}", hash(&names)),
                trust: self.trust(stamp),
            });
        }
    }

    /// There is no answer: the rule is deaf there, and what fires goes on firing.
    fn deaf(&mut self, level: &Threshold, answer: &Heard, why: &str) {
        let stamp = answer.stamp.as_str();
        let rule = &self.rule.name;
        self.findings.push(Finding::new(
            "rule-no-data",
            format!("{rule}, stamp {stamp}"),
            format!("{} could not be evaluated: {why}", level.priority),
        ));
        let now = self.now;
        let heard = self.memory.heard.entry(stamp.to_owned()).or_insert(now);
        *heard = now.min(*heard);
        if let (Watch::Absence { silent_for }, Above::Silence { probes: both }) =
            (self.rule.watch, level.above)
            && now - *heard >= silent_for
        {
            // Whether the service tells nothing, or nobody can read it: nothing is known of it.
            let (place, probes) = (answer.place.as_deref(), &self.around.probes);
            let judged = unheard(silent_for, both, now - *heard, why, place, probes);
            self.one(level, stamp, &judged);
            return;
        }
        let mut firing = Vec::new();
        for series in &mut self.memory.series {
            if series.firing && series.stamp == stamp && series.level == level.priority {
                series.silent.get_or_insert(now);
                firing.push(series.clone());
            }
        }
        for series in firing {
            self.stays(&series, "there is no answer");
        }
    }

    fn stays(&mut self, series: &Series, why: &str) {
        let since = series.silent.unwrap_or(self.now);
        self.findings.push(Finding::new(
            "rule-silent",
            format!("{}, {}", self.rule.name, self.subject(series)),
            format!(
                "it still fires at {}, and there has been no data since {}: {why}; that is not taken for calm",
                series.level,
                since.format("%Y-%m-%d %H:%M UTC")
            ),
        ));
    }

    /// Ends what fires at a stamp that is not asked any more.
    fn gone(&mut self, level: &Threshold, answers: &[&Heard]) {
        self.end_all("the stamp is not in the estate any more", |series| {
            series.level == level.priority && !answers.iter().any(|h| h.stamp == series.stamp)
        });
    }

    /// Ends what fires at a level that the rule has no more.
    fn changed(&mut self) {
        let levels: Vec<Priority> = self.rule.levels.iter().map(|l| l.priority).collect();
        self.end_all("the rule has no such level any more", |series| {
            !levels.contains(&series.level)
        });
        self.memory
            .evaluated
            .retain(|level, _| levels.contains(level));
    }

    fn end_all(&mut self, why: &str, is: impl Fn(&Series) -> bool) {
        let all = std::mem::take(&mut self.memory.series);
        for series in all {
            if !is(&series) {
                self.memory.series.push(series);
            } else if series.firing {
                let signal = self.ends(&series, why, format!("No longer watched: {why}."), vec![]);
                self.ended.push(signal);
            }
        }
    }

    fn fires(&self, level: &Threshold, series: &Series, judged: &Judged) -> Signal {
        let mut text = format!("{}: {}", judged.value, judged.against);
        if level.holds > 1 {
            text.push_str(&format!(", {} evaluations in a row", series.hits));
        }
        text.push_str(". ");
        text.push_str(&judged.more);
        let mut facts = vec![("stamp".to_owned(), series.stamp.clone())];
        facts.extend(
            series
                .tenant
                .iter()
                .map(|t| ("tenant".to_owned(), t.clone())),
        );
        facts.extend(judged.facts.iter().cloned());
        self.signal(
            series,
            Condition::Fired,
            format!("{}: {}", self.subject(series), title(judged)),
            capitalized(text.trim_end()),
            facts,
            series.since,
        )
    }

    fn ends(
        &self,
        series: &Series,
        now: &str,
        text: String,
        more: Vec<(String, String)>,
    ) -> Signal {
        let mut facts = vec![("stamp".to_owned(), series.stamp.clone())];
        facts.extend(
            series
                .tenant
                .iter()
                .map(|t| ("tenant".to_owned(), t.clone())),
        );
        facts.extend(more);
        let title = format!("{}: ended: {now}", self.subject(series));
        self.signal(series, Condition::Resolved, title, text, facts, self.now)
    }

    fn signal(
        &self,
        series: &Series,
        condition: Condition,
        title: String,
        text: String,
        facts: Vec<(String, String)>,
        at: DateTime<Utc>,
    ) -> Signal {
        let key = GroupKey {
            rule: self.rule.name.clone(),
            tenant: series.tenant.clone(),
            resource: series.resource.clone(),
        };
        let since = series.since.timestamp();
        Signal {
            occurrence: format!(
                "rules/{}/{}/{}/{}/{since}",
                key.rule,
                series.stamp,
                series.level,
                key.hash()
            ),
            key,
            condition,
            priority: series.level,
            class: self.rule.class,
            title,
            text,
            facts,
            at,
            trust: self.trust(&series.stamp),
        }
    }

    fn subject(&self, series: &Series) -> String {
        match self.rule.of {
            Of::Service => format!("the service at stamp {}", series.stamp),
            Of::Tenants => series.subject(),
        }
    }

    fn trust(&self, stamp: &str) -> Trust {
        Trust::Confirmed {
            how: format!(
                "seen in telemetry of stamp {stamp} by rule {}",
                self.rule.name
            ),
        }
    }
}

impl Series {
    fn is(&self, tenant: Option<&String>, resource: Option<&String>) -> bool {
        self.tenant.as_ref() == tenant && self.resource.as_ref() == resource
    }

    /// Whom or what it is about, for people.
    pub(super) fn subject(&self) -> String {
        match (&self.tenant, &self.resource) {
            (Some(tenant), _) => tenant.clone(),
            (None, Some(resource)) => resource.rsplit('/').next().unwrap_or(resource).to_owned(),
            (None, None) => "requests without a tenant".to_owned(),
        }
    }
}

/// Ends everything that still fires of a rule that is switched off or gone. What is security's stays
/// as it is.
#[must_use]
pub fn retire(name: &str, class: Class, memory: Memory, now: DateTime<Utc>) -> Decided {
    let rule = Rule {
        name: name.to_owned(),
        watch: Watch::Boundary {
            window: chrono::Duration::zero(),
        },
        class,
        of: Of::Tenants,
        inhibits: Vec::new(),
        levels: Vec::new(),
        clear_after: 1,
        response: crate::estate::Response::Notify,
        enabled: false,
    };
    let around = Around::default();
    let mut round = Round {
        rule: &rule,
        around: &around,
        now,
        memory,
        fired: Vec::new(),
        ended: Vec::new(),
        findings: Vec::new(),
        inhibited: BTreeMap::new(),
    };
    match class {
        Class::Operations => round.end_all("the rule is switched off or gone", |_| true),
        Class::Security => round.memory.series.clear(),
    }
    round.memory.evaluated.clear();
    Decided {
        signals: round.ended,
        memory: round.memory,
        findings: Vec::new(),
    }
}

fn title(judged: &Judged) -> String {
    format!("{}, {}", judged.value, judged.against)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Twelve hexadecimal digits.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    format!("{:x}", hash.finalize())[..12].to_owned()
}

#[cfg(test)]
mod tests;
