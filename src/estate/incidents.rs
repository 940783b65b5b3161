//! How incidents are merged, escalated and told.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Channel, OnCall, Reader, Tenant, duration};
use crate::domain::{Class, Contact, Priority};

/// How incidents are merged, escalated and told, as it is written.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// How long after it last fired a signal still belongs to the same open incident, as 24h.
    dedupe: Option<String>,
    /// How long after its end the same incident is opened again instead of a new one, as 1h.
    reopen_within: Option<String>,
    /// How long an incident that comes and goes, or is mitigated, must be calm to be over, as 15m.
    calm: Option<String>,
    /// So many turns from calm to firing within `flap_window` are coming and going.
    flaps: Option<u32>,
    flap_window: Option<String>,
    /// More new incidents than this within `storm_window` become one.
    storm_incidents: Option<u32>,
    storm_window: Option<String>,
    /// How often a mitigated incident that only a person may end is told again, as 1d.
    remind: Option<String>,
    /// Channel of tickets; without it there are none.
    tickets: Option<String>,
    /// Incidents of at least this priority have a ticket.
    tickets_from: Option<Priority>,
    critical: Option<WrittenLine>,
    high: Option<WrittenLine>,
    medium: Option<WrittenLine>,
    low: Option<WrittenLine>,
    /// Incidents of the class security, whatever their priority.
    security: Option<WrittenLine>,
}

/// One line of escalation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLine {
    steps: Vec<WrittenStep>,
    /// How long an acknowledgement stops the clock when nothing else is said, and at most.
    acknowledge: Option<String>,
    acknowledge_most: Option<String>,
    /// How often the last step is told again while nobody has it.
    repeat: Option<String>,
}

/// One step of an escalation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenStep {
    /// How long after the beginning, as 0m or 1h; `business`: when business hours next begin.
    after: String,
    /// Level of the on-call section.
    level: String,
    /// Levels that are told as well.
    #[serde(default)]
    also: Vec<String>,
}

/// How incidents are merged, escalated and told.
///
/// Source: specification 2.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentPolicy {
    pub dedupe: Duration,
    pub reopen_within: Duration,
    pub calm: Duration,
    pub flaps: u32,
    pub flap_window: Duration,
    pub storm_incidents: u32,
    pub storm_window: Duration,
    pub remind: Duration,
    pub tickets: Option<Contact>,
    pub tickets_from: Priority,
    lines: BTreeMap<Priority, Escalation>,
    security: Escalation,
}

/// One line of escalation: never empty, its steps in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    pub steps: Vec<Step>,
    pub acknowledge: Duration,
    pub acknowledge_most: Duration,
    pub repeat: Duration,
}

/// One step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub after: After,
    pub level: String,
    pub also: Vec<String>,
}

/// When a step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Time(Duration),
    /// When business hours next begin.
    Business,
}

impl IncidentPolicy {
    /// The line that an incident is escalated along.
    #[must_use]
    pub fn line(&self, class: Class, priority: Priority) -> &Escalation {
        match class {
            Class::Security => &self.security,
            // All four are there from the beginning.
            Class::Operations => &self.lines[&priority],
        }
    }

    /// Every level that is told by some step.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        let lines = self.lines.values().chain([&self.security]);
        lines.flat_map(|line| &line.steps).flat_map(|step| {
            std::iter::once(step.level.as_str()).chain(step.also.iter().map(String::as_str))
        })
    }
}

impl Default for IncidentPolicy {
    fn default() -> Self {
        let lines = Priority::ALL.map(|priority| (priority, line_of(Class::Operations, priority)));
        Self {
            dedupe: Duration::hours(24),
            reopen_within: Duration::hours(1),
            calm: Duration::minutes(15),
            flaps: 3,
            flap_window: Duration::minutes(30),
            storm_incidents: 20,
            storm_window: Duration::minutes(5),
            remind: Duration::hours(24),
            tickets: None,
            tickets_from: Priority::Medium,
            lines: lines.into_iter().collect(),
            security: line_of(Class::Security, Priority::Critical),
        }
    }
}

/// What holds where the estate file says nothing: the specification's own.
fn line_of(class: Class, priority: Priority) -> Escalation {
    let (hour, day) = (Duration::hours(1), Duration::days(1));
    let step = |after: Duration, level: &str, also: &[&str]| Step {
        after: After::Time(after),
        level: level.into(),
        also: also.iter().map(|level| (*level).to_owned()).collect(),
    };
    let now = Duration::zero();
    let (steps, acknowledge, acknowledge_most, repeat) = match (class, priority) {
        (Class::Security, _) => (
            vec![
                step(now, "Security", &[]),
                step(Duration::minutes(30), "CISO", &[]),
            ],
            hour,
            hour * 8,
            hour,
        ),
        (_, Priority::Critical) => (
            vec![
                step(now, "L3", &["architect"]),
                step(Duration::minutes(15), "architect", &[]),
            ],
            hour,
            hour * 4,
            Duration::minutes(15),
        ),
        (_, Priority::High) => (
            vec![
                step(now, "L2", &[]),
                step(hour, "L3", &[]),
                step(hour * 2, "architect", &[]),
            ],
            hour * 2,
            hour * 8,
            hour,
        ),
        (_, Priority::Medium) => (
            vec![step(now, "L1", &[]), step(hour * 4, "L2", &[])],
            hour * 8,
            day,
            hour * 4,
        ),
        (_, Priority::Low) => (
            vec![Step {
                after: After::Business,
                level: "L1".into(),
                also: Vec::new(),
            }],
            day * 3,
            day * 14,
            day,
        ),
    };
    Escalation {
        steps,
        acknowledge,
        acknowledge_most,
        repeat,
    }
}

impl Reader<'_> {
    pub(super) fn incidents(&mut self, written: Written) -> IncidentPolicy {
        let default = IncidentPolicy::default();
        let mut spans = BTreeMap::new();
        for (name, text, default) in [
            ("dedupe", written.dedupe, default.dedupe),
            (
                "reopen_within",
                written.reopen_within,
                default.reopen_within,
            ),
            ("calm", written.calm, default.calm),
            ("flap_window", written.flap_window, default.flap_window),
            ("storm_window", written.storm_window, default.storm_window),
            ("remind", written.remind, default.remind),
        ] {
            spans.insert(name, self.span(&format!("incidents.{name}"), text, default));
        }
        for (name, count) in [
            ("flaps", written.flaps),
            ("storm_incidents", written.storm_incidents),
        ] {
            if count.is_some_and(|count| !(2..=1000).contains(&count)) {
                self.tell(&format!("incidents.{name}"), "is not from 2 to 1000");
            }
        }
        let mut lines = default.lines;
        for (priority, line) in [
            (Priority::Critical, written.critical),
            (Priority::High, written.high),
            (Priority::Medium, written.medium),
            (Priority::Low, written.low),
        ] {
            if let Some(line) = line {
                let default = line_of(Class::Operations, priority);
                let line = self.escalation(&format!("incidents.{priority}"), line, default);
                lines.insert(priority, line);
            }
        }
        let security = match written.security {
            Some(line) => self.escalation("incidents.security", line, default.security),
            None => default.security,
        };
        IncidentPolicy {
            dedupe: spans["dedupe"],
            reopen_within: spans["reopen_within"],
            calm: spans["calm"],
            flaps: written.flaps.unwrap_or(default.flaps),
            flap_window: spans["flap_window"],
            storm_incidents: written.storm_incidents.unwrap_or(default.storm_incidents),
            storm_window: spans["storm_window"],
            remind: spans["remind"],
            tickets: written.tickets.map(|channel| Contact {
                channel,
                to: String::new(),
            }),
            tickets_from: written.tickets_from.unwrap_or(default.tickets_from),
            lines,
            security,
        }
    }

    /// What is told has to reach somebody: levels, channels and contacts that other sections name.
    pub(super) fn reachable(
        &mut self,
        policy: &IncidentPolicy,
        oncall: &OnCall,
        channels: &[Channel],
        tenants: &[Tenant],
    ) {
        let known: BTreeSet<String> = channels.iter().map(|c| c.name.clone()).collect();
        for (key, message) in oncall.unknown_channels(&known) {
            self.tell(&key, message);
        }
        let names = || {
            known
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        if let Some(tickets) = &policy.tickets
            && !known.contains(&tickets.channel)
        {
            let message = format!("is `{}`: the channels are {}", tickets.channel, names());
            self.tell("incidents.tickets", message);
        }
        for (index, tenant) in tenants.iter().enumerate() {
            for (number, contact) in tenant.contacts.iter().enumerate() {
                if !known.contains(&contact.channel) {
                    let key = format!("tenants[{index}].contacts[{number}].channel");
                    let message = format!("is `{}`: the channels are {}", contact.channel, names());
                    self.tell(&key, message);
                }
            }
        }
        // An estate without on-call tells nobody, and has said so by leaving it out.
        if oncall.levels.is_empty() {
            return;
        }
        let mut told = BTreeSet::new();
        for level in policy.levels() {
            if oncall.level(level).is_none() && told.insert(level.to_owned()) {
                let levels: Vec<&str> = oncall.levels.iter().map(|l| l.name.as_str()).collect();
                let message = format!(
                    "tells `{level}`, which is no level of the on-call section: {}",
                    levels.join(", ")
                );
                self.tell("incidents", message);
            }
        }
    }

    fn escalation(&mut self, key: &str, written: WrittenLine, default: Escalation) -> Escalation {
        let acknowledge = self.span(
            &format!("{key}.acknowledge"),
            written.acknowledge,
            default.acknowledge,
        );
        let acknowledge_most = self.span(
            &format!("{key}.acknowledge_most"),
            written.acknowledge_most,
            default.acknowledge_most.max(acknowledge),
        );
        if acknowledge_most < acknowledge {
            self.tell(
                &format!("{key}.acknowledge_most"),
                "is less than `acknowledge`",
            );
        }
        let repeat = self.span(&format!("{key}.repeat"), written.repeat, default.repeat);
        let mut steps = Vec::new();
        for (index, step) in written.steps.into_iter().enumerate() {
            let after = match step.after.as_str() {
                "business" => After::Business,
                text => {
                    match duration(text) {
                        Some(after) => After::Time(after),
                        None => {
                            self.tell(
                            &format!("{key}.steps[{index}].after"),
                            format!("is `{text}`: a time such as 0m or 1h, or `business` is possible"),
                        );
                            After::Time(Duration::zero())
                        }
                    }
                }
            };
            steps.push(Step {
                after,
                level: step.level,
                also: step.also,
            });
        }
        if steps.is_empty() {
            self.tell(&format!("{key}.steps"), "is empty: nobody would be told");
            return default;
        }
        let times = steps.iter().map(|step| match step.after {
            After::Time(after) => Some(after),
            After::Business => None,
        });
        let times: Vec<_> = times.collect();
        if times.len() > 1 && times.iter().any(Option::is_none) {
            self.tell(
                &format!("{key}.steps"),
                "mixes `business` with others: it is possible as the only step",
            );
        } else if !times.is_sorted() {
            self.tell(&format!("{key}.steps"), "is not in the order of `after`");
        }
        Escalation {
            steps,
            acknowledge,
            acknowledge_most,
            repeat,
        }
    }

    /// A time that is not nothing.
    fn span(&mut self, key: &str, text: Option<String>, default: Duration) -> Duration {
        let Some(text) = text else { return default };
        match duration(&text) {
            Some(span) if span > Duration::zero() => span,
            _ => {
                self.tell(
                    key,
                    format!("is `{text}`: a time such as 10m, 1h or 1d is possible"),
                );
                default
            }
        }
    }
}
