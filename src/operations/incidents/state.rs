//! An incident as its chain of events makes it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{
    Act, Class, Contact, GroupKey, IncidentEvent, IncidentId, Notice, Priority, Signal, Trust,
};
use crate::journal::{Chain, Event};
use crate::store::Fenced;

/// How many occurrences that are over are remembered, so that a late repetition is known as one.
const MOST_ENDED: usize = 64;
/// How many turns between firing and not firing are remembered.
const MOST_TURNS: usize = 32;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has it: the clock of the escalation runs.
    Open,
    /// Somebody has it, for a stated time.
    Acknowledged,
    /// It hurts nobody any more.
    Mitigated,
    Resolved,
}

impl Status {
    pub const ALL: [Self; 4] = [
        Self::Open,
        Self::Acknowledged,
        Self::Mitigated,
        Self::Resolved,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Mitigated => "mitigated",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody's word that they have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    pub at: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// A time in which nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    pub by: String,
    pub reason: String,
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// One turn of the escalation's clock: it starts again when somebody gave the incident back, when it
/// fires anew or gets worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// 1, 2, 3, ...
    pub number: u32,
    pub since: DateTime<Utc>,
    /// The step that it begins with.
    pub first: usize,
}

/// One occurrence of what the incident is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// `None` if its end came before its beginning.
    pub fired: Option<DateTime<Utc>>,
    pub cleared: Option<DateTime<Utc>>,
}

/// Something that whoever was told is to hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The reason to tell, unique in the incident.
    pub reason: String,
    pub act: Act,
    pub text: String,
    pub at: DateTime<Utc>,
}

/// Whoever was told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recipient {
    pub name: String,
    /// Left out where others than Poolkeeper read it.
    #[serde(default)]
    pub contacts: Vec<Contact>,
}

/// One incident, as its document keeps it: a projection of its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub key: GroupKey,
    /// How many processes have held it.
    pub fence: u64,
    /// How many events there are.
    pub events: u64,
    /// `None` until its first event is written.
    pub opened: Option<DateTime<Utc>>,
    /// When its newest event was.
    pub newest: Option<DateTime<Utc>>,
    pub status: Status,
    pub priority: Priority,
    pub class: Class,
    pub title: String,
    pub text: String,
    pub facts: Vec<(String, String)>,
    pub trust: Trust,
    /// How often it fired.
    pub fired: u64,
    pub last_fired: Option<DateTime<Utc>>,
    pub last_cleared: Option<DateTime<Utc>>,
    pub occurrences: BTreeMap<String, Occurrence>,
    /// When it turned from quiet to firing again, the newest last.
    pub turns: Vec<DateTime<Utc>>,
    pub acknowledgement: Option<Acknowledgement>,
    pub acknowledged: Option<DateTime<Utc>>,
    pub mitigated: Option<DateTime<Utc>>,
    pub resolved: Option<DateTime<Utc>>,
    /// Who ended it, or did so first where it was reopened.
    pub ended_by: Option<String>,
    pub reopened: u32,
    pub round: Option<Round>,
    /// How many rounds there were.
    pub rounds: u32,
    /// Since when the clock of the escalation stands, because it was mitigated.
    #[serde(default)]
    pub paused: Option<DateTime<Utc>>,
    /// A person says that it is not over, whatever its signals say.
    #[serde(default)]
    pub kept_open: bool,
    /// The round in which it was last looked into.
    #[serde(default)]
    pub looked: u32,
    /// The highest step of the escalation that was told.
    pub reached: Option<usize>,
    pub quiet: Option<Quiet>,
    pub told: BTreeSet<String>,
    pub recipients: BTreeSet<Recipient>,
    pub announcements: Vec<Announcement>,
    /// Decided to be told and not known to be in the outbox.
    pub unposted: Vec<Notice>,
    /// A higher level that somebody asked for, not told yet: the reason to tell, and the level.
    pub wanted: Vec<(String, Option<String>, String)>,
    /// How often a higher level was asked for without naming one.
    pub raised: u32,
    /// When something is to be done about it next; `None` when it is over.
    pub next: Option<DateTime<Utc>>,
}

impl Fenced for Incident {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn set_fence(&mut self, fence: u64) {
        self.fence = fence;
    }
}

/// Whether no person acted.
fn is_ours(by: &str) -> bool {
    by == super::absorb::OURSELVES || by.starts_with("poolkeeper/")
}

impl Incident {
    /// One without events.
    #[must_use]
    pub fn blank(id: IncidentId, key: GroupKey) -> Self {
        Self {
            id,
            key,
            fence: 0,
            events: 0,
            opened: None,
            newest: None,
            status: Status::Open,
            priority: Priority::Low,
            class: Class::Operations,
            title: String::new(),
            text: String::new(),
            facts: Vec::new(),
            trust: Trust::Unconfirmed {
                why: "nothing is known of it yet".into(),
            },
            fired: 0,
            last_fired: None,
            last_cleared: None,
            occurrences: BTreeMap::new(),
            turns: Vec::new(),
            acknowledgement: None,
            acknowledged: None,
            mitigated: None,
            resolved: None,
            ended_by: None,
            reopened: 0,
            round: None,
            rounds: 0,
            paused: None,
            kept_open: false,
            looked: 0,
            reached: None,
            quiet: None,
            told: BTreeSet::new(),
            recipients: BTreeSet::new(),
            announcements: Vec::new(),
            unposted: Vec::new(),
            wanted: Vec::new(),
            raised: 0,
            next: None,
        }
    }

    /// Brings the document to what the chain says, whatever it said before.
    #[must_use]
    pub fn projected(&self, chain: &Chain) -> Self {
        let mut incident = Self::blank(self.id.clone(), self.key.clone());
        incident.fence = self.fence;
        for (_, record) in &chain.records {
            if let Event::Incident { happened } = &record.event {
                incident.apply(happened, record.at);
            }
        }
        incident.next = self.next;
        incident
    }

    /// Where it stands at a time: an acknowledgement ends by itself.
    #[must_use]
    pub fn status_at(&self, now: DateTime<Utc>) -> Status {
        match (&self.status, &self.acknowledgement) {
            (Status::Acknowledged, Some(ack)) if ack.until <= now => Status::Open,
            (status, _) => *status,
        }
    }

    /// Whether only a person may end it.
    #[must_use]
    pub fn is_for_people(&self) -> bool {
        self.class == Class::Security
    }

    /// Whether something of it still fires, by all that is known.
    #[must_use]
    pub fn is_firing(&self) -> bool {
        let mut occurrences = self.occurrences.values();
        occurrences.any(|one| one.fired.is_some() && one.cleared.is_none())
    }

    /// How long it took from its opening; `None` as long as that has not come.
    #[must_use]
    pub fn took(&self, to: Option<DateTime<Utc>>) -> Option<Duration> {
        Some((to? - self.opened?).max(Duration::zero()))
    }

    /// One more event. Time never runs backwards here: a clock that was set back is overruled by what
    /// is written.
    pub fn apply(&mut self, event: &IncidentEvent, at: DateTime<Utc>) {
        self.events += 1;
        let at = self.newest.map_or(at, |newest| at.max(newest));
        self.newest = Some(at);
        let reason = |kind: &str| format!("{kind}-{}", self.events);
        match event {
            IncidentEvent::Fired { signal, why } => self.fire(signal, why, at),
            IncidentEvent::Cleared { occurrence, .. } => {
                let one = self.occurrences.entry(occurrence.clone());
                let one = one.or_insert(Occurrence {
                    fired: None,
                    cleared: None,
                });
                one.cleared.get_or_insert(at);
                self.last_cleared = Some(at);
                self.forget();
            }
            IncidentEvent::Acknowledged { by, until, .. } => {
                let said = reason("acknowledged");
                self.status = Status::Acknowledged;
                self.acknowledged.get_or_insert(at);
                self.acknowledgement = Some(Acknowledgement {
                    by: by.clone(),
                    at,
                    until: *until,
                });
                self.announce(said, Act::Acknowledge, format!("{by} has it."), at);
            }
            IncidentEvent::Unacknowledged { .. } => {
                self.status = Status::Open;
                self.acknowledgement = None;
                self.turn(at, self.reached.unwrap_or(0));
            }
            IncidentEvent::Mitigated { by, reason: why } => {
                let said = reason("mitigated");
                self.status = Status::Mitigated;
                self.mitigated.get_or_insert(at);
                self.acknowledgement = None;
                self.paused.get_or_insert(at);
                self.kept_open = false;
                self.announce(said, Act::Update, format!("Mitigated by {by}: {why}"), at);
            }
            IncidentEvent::Resolved { by, reason: why } => {
                let said = reason("resolved");
                self.status = Status::Resolved;
                self.resolved = Some(at);
                self.mitigated.get_or_insert(at);
                self.ended_by = Some(by.clone());
                self.acknowledgement = None;
                self.round = None;
                self.paused = None;
                self.kept_open = false;
                self.quiet = None;
                self.wanted.clear();
                self.announce(said, Act::Resolve, format!("Resolved by {by}: {why}"), at);
            }
            IncidentEvent::Reopened { by, reason: why } => {
                let said = reason("reopened");
                self.status = Status::Open;
                self.kept_open |= !is_ours(by);
                self.reopened += 1;
                self.resolved = None;
                self.acknowledgement = None;
                self.announce(said, Act::Update, format!("Open again, by {by}: {why}"), at);
                self.turn(at, 0);
            }
            // It is over, and nobody is called to it.
            IncidentEvent::Escalated { .. } if self.status == Status::Resolved => {}
            IncidentEvent::Escalated {
                by,
                level,
                reason: why,
            } => {
                let said = reason("escalated");
                self.kept_open |= !is_ours(by);
                self.go_on(at);
                self.raised += u32::from(level.is_none());
                self.wanted.push((said, level.clone(), why.clone()));
            }
            IncidentEvent::Quieted { by, reason, until } => {
                self.quiet = Some(Quiet {
                    by: by.clone(),
                    reason: reason.clone(),
                    since: at,
                    until: *until,
                });
            }
            IncidentEvent::Unquieted { .. } => self.unquiet(at),
            IncidentEvent::Telling { reasons, notices } => self.tell(reasons, notices),
            IncidentEvent::Posted { notices } => {
                self.unposted.retain(|notice| !notices.contains(&notice.id));
            }
            IncidentEvent::Repair {
                action,
                outcome,
                healthy: Some(healthy),
                ..
            } if self.status != Status::Resolved => {
                let said = reason("repair");
                let state = if *healthy { "healthy" } else { "not healthy" };
                let text = format!("{action}: {outcome}; {state} after it.");
                self.announce(said, Act::Update, text, at);
            }
            IncidentEvent::Updated { by, reason: why } if self.status != Status::Resolved => {
                let said = reason("updated");
                self.announce(said, Act::Update, format!("Said by {by}: {why}"), at);
            }
            IncidentEvent::Evidence { by, .. } => {
                if by != super::absorb::OURSELVES {
                    self.looked = self.rounds;
                }
            }
            IncidentEvent::Commented { .. }
            | IncidentEvent::Repair { .. }
            | IncidentEvent::Updated { .. } => {}
        }
    }

    fn fire(&mut self, signal: &Signal, _why: &str, at: DateTime<Utc>) {
        let first = self.opened.is_none();
        let was_firing = self.is_firing();
        let raised = !first && signal.priority > self.priority;
        if first {
            self.opened = Some(at);
            self.title = signal.title.clone();
            self.class = signal.class;
            self.priority = signal.priority;
        }
        // What is told is the newest that is known; who must hear of it never becomes less.
        self.text = signal.text.clone();
        self.facts = signal.facts.clone();
        if first || !matches!(signal.trust, Trust::Denied { .. }) {
            self.trust = signal.trust.clone();
        }
        self.priority = self.priority.max(signal.priority);
        self.class = self.class.max(signal.class);
        self.fired += 1;
        if !first && !was_firing {
            self.turns.push(at);
            if self.turns.len() > MOST_TURNS {
                self.turns.remove(0);
            }
        }
        self.last_fired = Some(at);
        let one = self.occurrences.entry(signal.occurrence.clone());
        let one = one.or_insert(Occurrence {
            fired: None,
            cleared: None,
        });
        one.fired.get_or_insert(at);
        self.forget();
        self.kept_open = false;
        self.go_on(at);
        if first || raised {
            if raised {
                // What somebody acknowledged was less than this.
                self.status = Status::Open;
                self.acknowledgement = None;
            }
            self.turn(at, 0);
        }
    }

    /// Somebody has to look after it again. The clock did not run while it hurt nobody.
    fn go_on(&mut self, at: DateTime<Utc>) {
        if self.status != Status::Mitigated {
            return;
        }
        self.status = Status::Open;
        if let (Some(since), Some(round)) = (self.paused.take(), &mut self.round) {
            let stood = (at - since).max(Duration::zero());
            round.since = (round.since + stood).min(at);
        }
    }

    fn turn(&mut self, since: DateTime<Utc>, first: usize) {
        self.rounds += 1;
        self.paused = None;
        self.round = Some(Round {
            number: self.rounds,
            since,
            first,
        });
    }

    fn unquiet(&mut self, at: DateTime<Utc>) {
        let Some(quiet) = self.quiet.take() else {
            return;
        };
        if self.reached.is_none() {
            self.turn(at, 0);
        } else if let Some(round) = &mut self.round {
            // It was known before: the clock goes on where it stood.
            let paused = (at.min(quiet.until) - quiet.since).max(Duration::zero());
            round.since = (round.since + paused).min(at);
        }
    }

    fn tell(&mut self, reasons: &[String], notices: &[Notice]) {
        for reason in reasons {
            self.told.insert(reason.clone());
            let step = reason.strip_prefix("page-").and_then(|rest| {
                let mut parts = rest.split('-').skip(1);
                parts.next()?.parse::<usize>().ok()
            });
            self.reached = self.reached.max(step);
        }
        self.announcements
            .retain(|one| !reasons.contains(&one.reason));
        self.wanted.retain(|(reason, ..)| !reasons.contains(reason));
        for notice in notices {
            self.recipients.insert(Recipient {
                name: notice.recipient.clone(),
                contacts: notice.contacts.clone(),
            });
        }
        self.unposted.extend(notices.iter().cloned());
    }

    fn announce(&mut self, reason: String, act: Act, text: String, at: DateTime<Utc>) {
        self.announcements.push(Announcement {
            reason,
            act,
            text,
            at,
        });
    }

    fn forget(&mut self) {
        let over = |one: &Occurrence| one.cleared;
        let ended = self.occurrences.values().filter(|o| over(o).is_some());
        if ended.count() > MOST_ENDED {
            let oldest = self
                .occurrences
                .iter()
                .filter_map(|(name, one)| Some((over(one)?, name.clone())))
                .min();
            if let Some((_, name)) = oldest {
                self.occurrences.remove(&name);
            }
        }
    }
}
