use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::circuit::Verdict;
use crate::domain::{Act, IncidentId, Priority};
use crate::notify::channels::Ticket;
use crate::notify::http::Kind;
use crate::store::Fenced;

/// Attempts of one letter that are kept: the first ones, and the newest.
const MOST_ATTEMPTS: usize = 30;
/// Letters that a lane remembers.
const MOST_LETTERS: usize = 400;

/// What one channel was told of one incident for one recipient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lane {
    #[serde(default)]
    fence: u64,
    pub(super) incident: IncidentId,
    pub(super) channel: String,
    pub(super) to: String,
    /// In the order in which they came here.
    pub(super) letters: Vec<Letter>,
    pub(super) ticket: Option<Ticket>,
    /// The highest priority that somebody was to be paged for here.
    pub(super) raised: Option<Priority>,
    /// Recipients of whom something was handed over, and to which contact of a route: they hear of
    /// what follows there too.
    pub(super) onwards: Vec<Onward>,
}

/// Something was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Onward {
    pub(super) recipient: String,
    pub(super) channel: String,
    pub(super) to: String,
}

/// What a lane knows of one notice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) notice: String,
    pub(super) act: Act,
    pub(super) place: u32,
    pub(super) round: u32,
    /// When it was first tried, or found that it could not be.
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) attempts: Vec<Attempt>,
    /// All that were made; the middle of a long list is not kept.
    pub(super) tries: u32,
    pub(super) stands: Stands,
    /// It went to those as well who took over before.
    #[serde(default)]
    pub(super) copied: bool,
}

/// Where a letter stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(super) enum Stands {
    Waiting {
        until: Option<DateTime<Utc>>,
        why: String,
    },
    Delivered {
        at: DateTime<Utc>,
    },
    /// To another channel, since this one does not take it.
    HandedOver {
        to: String,
        why: String,
    },
    /// Into a newer update.
    Merged {
        into: String,
    },
    /// It was over before it could be told.
    Overtaken,
}

/// One try to deliver a letter, or why none was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: DateTime<Utc>,
    /// Name of the channel.
    pub channel: String,
    pub outcome: Outcome,
    /// What the channel answered, or what was found; holds no secret.
    pub said: String,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Taken,
    /// Tried again later.
    Failed,
    /// Not taken, now or later.
    Refused,
    /// Given to the next contact.
    HandedOver,
}

impl Fenced for Lane {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn set_fence(&mut self, fence: u64) {
        self.fence = fence;
    }
}

impl Lane {
    pub(super) fn new(incident: IncidentId, channel: &str, to: &str) -> Self {
        Self {
            fence: 0,
            incident,
            channel: channel.to_owned(),
            to: to.to_owned(),
            letters: Vec::new(),
            ticket: None,
            raised: None,
            onwards: Vec::new(),
        }
    }

    /// Whether a letter is done with here: it may come again in a later round.
    pub(super) fn is_done(&self, notice: &str, round: u32) -> bool {
        self.letters
            .iter()
            .find(|l| l.notice == notice)
            .is_some_and(|letter| match letter.stands {
                Stands::Waiting { .. } => false,
                Stands::HandedOver { .. } => letter.round >= round,
                Stands::Delivered { .. } | Stands::Merged { .. } | Stands::Overtaken => true,
            })
    }

    /// The letter of a notice, made when it is seen first, or seen again after everybody failed.
    pub(super) fn letter(&mut self, notice: &str, act: Act, place: u32, round: u32) -> &mut Letter {
        let at = match self
            .letters
            .iter()
            .position(|letter| letter.notice == notice)
        {
            Some(at) => at,
            None => {
                if self.letters.len() >= MOST_LETTERS
                    && let Some(old) = self.letters.iter().position(|l| l.stands.is_final())
                {
                    self.letters.remove(old);
                }
                self.letters.push(Letter {
                    notice: notice.to_owned(),
                    act,
                    place,
                    round,
                    since: None,
                    attempts: Vec::new(),
                    tries: 0,
                    stands: Stands::new(),
                    copied: false,
                });
                self.letters.len() - 1
            }
        };
        let letter = &mut self.letters[at];
        if letter.round < round {
            letter.round = round;
            letter.since = None;
            letter.tries = 0;
            if matches!(letter.stands, Stands::HandedOver { .. }) {
                letter.stands = Stands::new();
            }
        }
        letter
    }

    /// Whether the end of the incident was told here after this place.
    pub(super) fn is_over_after(&self, place: u32) -> bool {
        self.letters.iter().any(|letter| {
            letter.act == Act::Resolve
                && letter.place > place
                && matches!(letter.stands, Stands::Delivered { .. })
        })
    }
}

impl Letter {
    /// What the last try failed for.
    pub(super) fn last(&self) -> Option<Kind> {
        let last = self.attempts.last().filter(|_| self.tries > 0)?;
        match last.outcome {
            Outcome::Failed => Some(Kind::Passing),
            Outcome::Refused => Some(Kind::Refused),
            Outcome::Taken | Outcome::HandedOver => None,
        }
    }

    pub(super) fn add(&mut self, attempt: Attempt) {
        if self.attempts.len() >= MOST_ATTEMPTS {
            self.attempts.remove(MOST_ATTEMPTS / 3);
        }
        self.attempts.push(attempt);
    }
}

impl Stands {
    fn new() -> Self {
        Self::Waiting {
            until: None,
            why: "not tried yet".into(),
        }
    }

    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::Waiting { .. })
    }
}

/// How long a letter waits for its channel before the next contact is used.
pub(super) fn patience(priority: Priority) -> Duration {
    match priority {
        Priority::Critical | Priority::High => Duration::seconds(90),
        Priority::Medium | Priority::Low => Duration::minutes(15),
    }
}

/// What is known of the first letter of a lane.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) priority: Priority,
    pub(super) round: u32,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) tries: u32,
    /// What the last try failed for.
    pub(super) last: Option<Kind>,
    pub(super) until: Option<DateTime<Utc>>,
    pub(super) circuit: Verdict,
    /// Why the channel cannot carry it at all.
    pub(super) unfit: Option<String>,
}

/// What is done with it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Send,
    /// Send, if nobody else looks whether the channel works again.
    Probe,
    Wait {
        until: DateTime<Utc>,
        why: String,
    },
    /// Give it to the next contact, or begin anew after the last.
    HandOver {
        why: String,
    },
}

/// What is done with the first letter of a lane.
pub(super) fn step(facts: &Facts, now: DateTime<Utc>) -> Step {
    if let Some(why) = &facts.unfit {
        return Step::HandOver { why: why.clone() };
    }
    match facts.last {
        Some(Kind::Refused | Kind::Broken) => {
            return Step::HandOver {
                why: "it is not taken, now or later".into(),
            };
        }
        Some(Kind::Passing | Kind::Limited) | None => {}
    }
    if let Verdict::Open(_) = facts.circuit {
        return Step::HandOver {
            why: "the channel has failed several times in a row and is left alone".into(),
        };
    }
    // Once everybody has failed, each has one try in each round.
    if facts.round > 0 && facts.tries > 0 {
        return Step::HandOver {
            why: "it failed again".into(),
        };
    }
    let patience = patience(facts.priority);
    if let Some(since) = facts.since.filter(|_| facts.round == 0) {
        if now - since >= patience {
            let why = format!("it has failed for more than {} s", patience.num_seconds());
            return Step::HandOver { why };
        }
        // A clock that was set back does not stop the clock of a page.
        if since > now + Duration::minutes(5) && facts.tries > 0 {
            return Step::HandOver {
                why: "it has failed before the clock was set back".into(),
            };
        }
    }
    let until = facts
        .until
        .filter(|until| *until > now && *until - now <= Duration::hours(2));
    if let Some(until) = until {
        return Step::Wait {
            until,
            why: "it failed before".into(),
        };
    }
    match facts.circuit {
        Verdict::Paused(_) if facts.round > 0 => Step::HandOver {
            why: "the channel asked for a pause".into(),
        },
        Verdict::Paused(until) => Step::Wait {
            until,
            why: "the channel asked for a pause".into(),
        },
        Verdict::HalfOpen => Step::Probe,
        Verdict::Closed | Verdict::Open(_) => Step::Send,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_the_first_letter() {
        let now: DateTime<Utc> = "2026-03-02T06:00:00Z".parse().expect("a time");
        let ago = |seconds: i64| Some(now - Duration::seconds(seconds));
        let fresh = Facts {
            priority: Priority::Critical,
            round: 0,
            since: None,
            tries: 0,
            last: None,
            until: None,
            circuit: Verdict::Closed,
            unfit: None,
        };
        let failed = Facts {
            since: ago(30),
            tries: 2,
            last: Some(Kind::Passing),
            ..fresh.clone()
        };
        let in_a_minute = now + Duration::minutes(1);
        for (name, facts, expected) in [
            ("fresh", fresh.clone(), "send"),
            (
                "unfit",
                Facts {
                    unfit: Some("no".into()),
                    ..fresh.clone()
                },
                "hand over",
            ),
            ("failed a little", failed.clone(), "send"),
            (
                "failed just now",
                Facts {
                    until: Some(in_a_minute),
                    ..failed.clone()
                },
                "wait",
            ),
            (
                "refused",
                Facts {
                    last: Some(Kind::Refused),
                    ..failed.clone()
                },
                "hand over",
            ),
            (
                "a wrong key",
                Facts {
                    last: Some(Kind::Broken),
                    ..failed.clone()
                },
                "hand over",
            ),
            (
                "failed for long",
                Facts {
                    since: ago(90),
                    ..failed.clone()
                },
                "hand over",
            ),
            (
                "failed for as long, and is not urgent",
                Facts {
                    since: ago(90),
                    priority: Priority::Medium,
                    ..failed.clone()
                },
                "send",
            ),
            (
                "not urgent, for very long",
                Facts {
                    since: ago(900),
                    priority: Priority::Low,
                    ..failed.clone()
                },
                "hand over",
            ),
            (
                "an open circuit",
                Facts {
                    circuit: Verdict::Open(in_a_minute),
                    ..fresh.clone()
                },
                "hand over",
            ),
            (
                "a half-open circuit",
                Facts {
                    circuit: Verdict::HalfOpen,
                    ..fresh.clone()
                },
                "probe",
            ),
            (
                "a pause",
                Facts {
                    circuit: Verdict::Paused(in_a_minute),
                    ..fresh.clone()
                },
                "wait",
            ),
            (
                "a pause for too long",
                Facts {
                    circuit: Verdict::Paused(in_a_minute),
                    since: ago(91),
                    ..failed.clone()
                },
                "hand over",
            ),
            (
                "another round",
                Facts {
                    round: 1,
                    ..fresh.clone()
                },
                "send",
            ),
            (
                "another round, which has waited for its turn",
                Facts {
                    round: 1,
                    since: ago(300),
                    ..fresh.clone()
                },
                "send",
            ),
            (
                "another round, before its turn",
                Facts {
                    round: 1,
                    until: Some(in_a_minute),
                    ..fresh.clone()
                },
                "wait",
            ),
            (
                "another round, and a pause",
                Facts {
                    round: 1,
                    circuit: Verdict::Paused(in_a_minute),
                    ..fresh.clone()
                },
                "hand over",
            ),
            (
                "another round, failed",
                Facts {
                    round: 1,
                    ..failed.clone()
                },
                "hand over",
            ),
            (
                "a clock set back by a year",
                Facts {
                    since: Some(now + Duration::days(365)),
                    until: Some(now + Duration::days(365)),
                    ..failed
                },
                "hand over",
            ),
        ] {
            let found = match step(&facts, now) {
                Step::Send => "send",
                Step::Probe => "probe",
                Step::Wait { .. } => "wait",
                Step::HandOver { .. } => "hand over",
            };
            assert_eq!(found, expected, "{name}");
        }
    }
}
