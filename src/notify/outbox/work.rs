//! One lane, worked by one process at a time.

use std::time::Instant;

use chrono::{DateTime, Duration, Utc};

use super::circuit::{self, Verdict};
use super::lane::{Attempt, Facts, Lane, Onward, Outcome, Stands, Step, patience, step};
use super::post::Pending;
use super::{PENDING, Pointer, lane_document};
use crate::app::App;
use crate::domain::{Act, Contact, Finding, Message, Priority};
use crate::notify::channels::{self, Letter};
use crate::notify::http::{Failure, Kind};
use crate::notify::pause;
use crate::notify::route::may_carry;
use crate::store::{Error, Lease, Store, Stored};

/// Letters that wait in one lane; of more, the oldest updates are merged.
const MOST_WAITING: usize = 50;

/// How much one round of work may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Nothing is begun after this.
    pub(super) until: Instant,
    /// No letter is handed over for longer.
    pub(super) limit: std::time::Duration,
}

/// What was done of a lane.
#[derive(Debug, Default)]
pub(super) struct Worked {
    pub(super) delivered: usize,
    pub(super) handed_over: usize,
    /// Letters that are still in it.
    pub(super) waiting: usize,
    pub(super) findings: Vec<Finding>,
}

/// Delivers what is due of one lane, in order, until something has to wait.
///
/// Errors: the store. What a channel does not take is no error.
pub(super) async fn work(
    app: &App,
    pointers: Vec<Pointer>,
    budget: Budget,
) -> anyhow::Result<Worked> {
    let (store, now) = (app.store()?, app.clock.now());
    let Some(first) = pointers.first() else {
        return Ok(Worked::default());
    };
    let path = lane_document(&first.incident, &first.lane);
    // Without the lease, so that what waits costs one read.
    let known = store.get::<Lane>(&path).await?.map(|stored| stored.value);
    let waits = known
        .as_ref()
        .is_some_and(|lane| is_waiting(lane, &pointers, now));
    if waits || Instant::now() >= budget.until {
        let failed = known
            .iter()
            .flat_map(|lane| &lane.letters)
            .filter(|letter| {
                letter.round > 0 && pointers.iter().any(|p| p.notice == letter.notice)
            });
        return Ok(Worked {
            waiting: pointers.len(),
            findings: failed
                .map(|letter| undelivered(first.incident.as_str(), &letter.notice, letter.round))
                .collect(),
            ..Worked::default()
        });
    }
    if known.is_none() {
        let Some(stored) = store.get::<Pending>(&first.document()).await? else {
            return Ok(Worked::default());
        };
        let Some(contact) = stored.value.posted.route.get(stored.value.contact) else {
            return Ok(Worked::default());
        };
        let lane = Lane::new(first.incident.clone(), &contact.channel, &contact.to);
        store.create(&path, &lane).await?;
    }
    let (lease, lane) = match store.lease::<Lane>(&path).await {
        Ok(Some((lease, stored))) => (lease, stored.value),
        // Somebody else is at it.
        Ok(None) | Err(Error::NotOurs(_)) => {
            return Ok(Worked {
                waiting: pointers.len(),
                ..Worked::default()
            });
        }
        Err(error) => return Err(error.into()),
    };
    let mut worker = Worker {
        app,
        store,
        lease: &lease,
        lane,
        budget,
        worked: Worked::default(),
    };
    let outcome = worker.all(&first.incident.to_string(), &first.lane).await;
    let worked = worker.worked;
    lease.release().await;
    match outcome {
        Ok(()) => Ok(worked),
        // Somebody else goes on with it.
        Err(error) if matches!(error.downcast_ref(), Some(Error::NotOurs(_))) => Ok(worked),
        Err(error) => Err(error),
    }
}

/// Whether the first letter has to wait, so that nothing can be done.
fn is_waiting(lane: &Lane, pointers: &[Pointer], now: DateTime<Utc>) -> bool {
    let Some(first) = pointers.first() else {
        return true;
    };
    let letter = lane
        .letters
        .iter()
        .find(|letter| letter.notice == first.notice);
    matches!(
        letter.map(|letter| &letter.stands),
        Some(Stands::Waiting { until: Some(until), .. })
            if *until > now && *until - now <= Duration::hours(2)
    ) && pointers.len() <= MOST_WAITING
        // A more urgent one behind it may make it leave sooner.
        && pointers.iter().all(|other| other.priority <= first.priority)
}

struct Worker<'a> {
    app: &'a App,
    store: &'a Store,
    lease: &'a Lease,
    lane: Lane,
    budget: Budget,
    worked: Worked,
}

/// Whether the next letter may be looked at.
enum Next {
    GoOn,
    Stop,
}

impl Worker<'_> {
    async fn all(&mut self, incident: &str, lane: &str) -> anyhow::Result<()> {
        // What was listed before the lease may be done by now.
        let names = self
            .store
            .list_all(&format!("{PENDING}{incident}/{lane}/"))
            .await?;
        let mut pointers: Vec<Pointer> = names
            .iter()
            .filter_map(|name| Pointer::read(name))
            .collect();
        pointers.sort();
        self.merge(&mut pointers).await?;
        let urgent = pointers.iter().map(|pointer| pointer.priority).max();
        for (at, pointer) in pointers.iter().enumerate() {
            self.worked.waiting = pointers.len() - at;
            match self.one(pointer, urgent.unwrap_or_default()).await? {
                Next::GoOn => {}
                Next::Stop => return Ok(()),
            }
        }
        self.worked.waiting = 0;
        Ok(())
    }

    async fn save(&self) -> Result<(), Error> {
        if self.lease.is_lost() {
            return Err(Error::NotOurs(self.lane.incident.to_string()));
        }
        self.store.overwrite(&self.lane, self.lease).await
    }

    /// Merges the oldest updates of a lane that has grown too long into the next of them.
    async fn merge(&mut self, pointers: &mut Vec<Pointer>) -> anyhow::Result<()> {
        let over = pointers.len().saturating_sub(MOST_WAITING);
        let updates: Vec<Pointer> = pointers.iter().filter(|p| p.act == 'u').cloned().collect();
        // The newest stays, whatever there is besides.
        let count = over.min(updates.len().saturating_sub(1));
        let Some(into) = updates.get(count).filter(|_| count > 0) else {
            return Ok(());
        };
        for pointer in &updates[..count] {
            let letter = self
                .lane
                .letter(&pointer.notice, Act::Update, pointer.place, 0);
            letter.stands = Stands::Merged {
                into: into.notice.clone(),
            };
        }
        self.save().await?;
        for pointer in &updates[..count] {
            self.store.delete(&pointer.document()).await?;
        }
        pointers.retain(|pointer| !updates[..count].contains(pointer));
        Ok(())
    }

    /// Does what is to be done with one letter.
    async fn one(&mut self, pointer: &Pointer, urgent: u8) -> anyhow::Result<Next> {
        let document = pointer.document();
        let Some(stored) = self.store.get::<Pending>(&document).await? else {
            return Ok(Next::GoOn);
        };
        let pending = &stored.value;
        let message = &pending.posted.notice.message;
        if self.lane.is_done(&pointer.notice, pending.round) {
            self.store.delete(&document).await?;
            return Ok(Next::GoOn);
        }
        self.lane
            .letter(&pointer.notice, message.act, pointer.place, pending.round);
        self.copy(pending).await?;
        if message.act != Act::Resolve && self.lane.is_over_after(pointer.place) {
            self.letter(pending).stands = Stands::Overtaken;
            self.save().await?;
            self.store.delete(&document).await?;
            return Ok(Next::GoOn);
        }
        loop {
            let now = self.app.clock.now();
            let circuit = circuit::read(self.store, &self.lane.channel)
                .await?
                .verdict(now);
            let unfit = self.unfit(message)?;
            let letter = self.letter(pending);
            let facts = Facts {
                priority: of_rank(urgent),
                round: letter.round,
                since: letter.since,
                tries: letter.tries,
                last: letter.last(),
                until: match &letter.stands {
                    Stands::Waiting { until, .. } => (*until).max(pending.not_before),
                    _ => pending.not_before,
                },
                circuit,
                unfit,
            };
            match step(&facts, now) {
                Step::Wait { until, why } => {
                    let letter = self.letter(pending);
                    let since = *letter.since.get_or_insert(now);
                    let until = in_time(until, since, letter.round, urgent);
                    let why = letter.attempts.last().map_or(why, |last| last.said.clone());
                    let waiting = Stands::Waiting {
                        until: Some(until),
                        why,
                    };
                    if letter.stands != waiting {
                        letter.stands = waiting;
                        self.save().await?;
                    }
                    self.tell(pending);
                    return Ok(Next::Stop);
                }
                Step::HandOver { why } => return self.hand_over(&stored, why).await,
                Step::Probe | Step::Send => {
                    if Instant::now() >= self.budget.until {
                        return Ok(Next::Stop);
                    }
                    // Otherwise somebody else looks whether it works again.
                    if facts.circuit == Verdict::HalfOpen
                        && !circuit::claim(self.store, &self.lane.channel, now).await?
                    {
                        continue;
                    }
                    if let Next::GoOn = self.send(pending, urgent, now).await? {
                        self.store.delete(&document).await?;
                        self.worked.delivered += 1;
                        return Ok(Next::GoOn);
                    }
                }
            }
        }
    }

    fn letter(&mut self, pending: &Pending) -> &mut super::lane::Letter {
        let posted = &pending.posted;
        let notice = &posted.notice;
        self.lane
            .letter(&notice.id, notice.message.act, posted.place, pending.round)
    }

    /// Why the channel cannot carry a message at all.
    fn unfit(&self, message: &Message) -> anyhow::Result<Option<String>> {
        let estate = self.app.estate()?;
        Ok(match estate.channel(&self.lane.channel) {
            None => Some(format!("there is no channel `{}`", self.lane.channel)),
            Some(channel) => may_carry(channel, message, estate).err(),
        })
    }

    /// Whoever took over what came before hears of this too.
    async fn copy(&mut self, pending: &Pending) -> anyhow::Result<()> {
        let notice = &pending.posted.notice;
        if notice.message.act == Act::Trigger || self.letter(pending).copied || pending.copy {
            return Ok(());
        }
        let onwards: Vec<Onward> = self
            .lane
            .onwards
            .iter()
            .filter(|onward| onward.recipient == notice.recipient)
            .cloned()
            .collect();
        for onward in onwards {
            let contact = Contact {
                channel: onward.channel,
                to: onward.to,
            };
            let mut copy = pending.clone();
            let known = copy.posted.route.iter().position(|known| *known == contact);
            copy.contact = known.unwrap_or_else(|| {
                copy.posted.route.push(contact);
                copy.posted.route.len() - 1
            });
            copy.copy = true;
            copy.put(self.store).await?;
        }
        self.letter(pending).copied = true;
        Ok(())
    }

    /// Tries once, and writes down what came of it before anything else is done. [`Next::GoOn`]: it
    /// is delivered.
    async fn send(
        &mut self,
        pending: &Pending,
        urgent: u8,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Next> {
        let notice = &pending.posted.notice;
        let channel = self.lane.channel.clone();
        let message = self.with_merged(&notice.message, &notice.id);
        let outcome = match self.app.estate()?.channel(&channel) {
            None => Err(Failure::new(Kind::Broken, "there is no such channel")),
            Some(known) => {
                let letter = Letter {
                    notice: &notice.id,
                    to: &self.lane.to,
                    message: &message,
                    ticket: self.lane.ticket.as_ref(),
                    raised: self.lane.raised,
                    now,
                };
                if self.lease.is_lost() {
                    return Err(Error::NotOurs(self.lane.incident.to_string()).into());
                }
                channels::send(self.app, known, &letter, self.budget.limit).await
            }
        };
        let at = self.app.clock.now();
        let letter = self.letter(pending);
        let since = *letter.since.get_or_insert(at);
        letter.tries = letter.tries.saturating_add(1);
        let (kind, pause, next) = match outcome {
            Ok(taken) => {
                letter.add(Attempt {
                    at,
                    channel: channel.clone(),
                    outcome: Outcome::Taken,
                    said: taken.said,
                });
                letter.stands = Stands::Delivered { at };
                self.lane.ticket = taken.ticket.or(self.lane.ticket.take());
                self.lane.raised = match message.act {
                    Act::Trigger => self.lane.raised.max(Some(message.priority)),
                    Act::Update => self.lane.raised.map(|raised| raised.max(message.priority)),
                    Act::Acknowledge => self.lane.raised,
                    Act::Resolve => None,
                };
                (None, taken.pause, Next::GoOn)
            }
            Err(failure) => {
                let is_final = matches!(failure.kind, Kind::Refused | Kind::Broken);
                tracing::warn!(
                    incident = %message.incident, notice = notice.id, channel, why = failure.why,
                    "a notice was not taken"
                );
                let pause = failure.pause.unwrap_or_default();
                let wait = pause.max(pause::growing(letter.tries, pause::chance()));
                let wait = Duration::from_std(wait).unwrap_or(Duration::minutes(5));
                letter.stands = Stands::Waiting {
                    until: Some(in_time(at + wait, since, letter.round, urgent)),
                    why: failure.why.clone(),
                };
                letter.add(Attempt {
                    at,
                    channel: channel.clone(),
                    outcome: if is_final {
                        Outcome::Refused
                    } else {
                        Outcome::Failed
                    },
                    said: failure.why,
                });
                (Some(failure.kind), failure.pause, Next::Stop)
            }
        };
        self.save().await?;
        circuit::count(self.store, &channel, kind, pause, at).await?;
        Ok(next)
    }

    /// A message that says how many others went into it.
    fn with_merged(&self, message: &Message, id: &str) -> Message {
        let is_in = |stands: &Stands| matches!(stands, Stands::Merged { into } if into == id);
        let merged = self
            .lane
            .letters
            .iter()
            .filter(|letter| is_in(&letter.stands))
            .count();
        let mut message = message.clone();
        if merged > 0 {
            message.text = format!(
                "{}\n\n{merged} updates before this one were not sent, since the channel took nothing.",
                message.text.trim_end()
            );
        }
        message
    }

    /// Gives a letter to the next contact; after the last, all begin anew after a pause.
    async fn hand_over(&mut self, stored: &Stored<Pending>, why: String) -> anyhow::Result<Next> {
        let (now, pending) = (self.app.clock.now(), &stored.value);
        let mut next = pending.clone();
        next.contact += 1;
        next.not_before = None;
        if next.contact >= next.posted.route.len() {
            next.contact = 0;
            next.round = next.round.saturating_add(1);
            let pause = Duration::seconds(30 << pending.round.min(4)).min(Duration::minutes(5));
            next.not_before = Some(now + pause);
        }
        let Some(contact) = next.posted.route.get(next.contact).cloned() else {
            anyhow::bail!("the notice `{}` has no contact", next.posted.notice.id);
        };
        let stays = next.pointer() == pending.pointer();
        let document = pending
            .pointer()
            .map(|pointer| pointer.document())
            .unwrap_or_default();
        if stays {
            match self
                .store
                .replace(&document, &next, &stored.etag, None)
                .await
            {
                Ok(_) => {}
                Err(Error::Conflict(_)) => return Ok(Next::Stop),
                Err(error) => return Err(error.into()),
            }
        } else {
            // There before it is gone from here.
            next.put(self.store).await?;
        }
        let channel = self.lane.channel.clone();
        let all_failed = next.contact == 0;
        let said = if all_failed {
            format!("{why}; no other contact is left, all are tried again")
        } else {
            format!("{why}; `{}` is next", contact.channel)
        };
        tracing::warn!(
            incident = %self.lane.incident, notice = pending.posted.notice.id, channel, why = said,
            "a notice is handed over"
        );
        let letter = self.letter(pending);
        letter.add(Attempt {
            at: now,
            channel,
            outcome: Outcome::HandedOver,
            said: said.clone(),
        });
        letter.stands = if stays {
            letter.round = next.round;
            letter.since = None;
            letter.tries = 0;
            Stands::Waiting {
                until: next.not_before,
                why: said,
            }
        } else {
            Stands::HandedOver {
                to: contact.channel.clone(),
                why: said,
            }
        };
        if !stays {
            let onward = Onward {
                recipient: pending.posted.notice.recipient.clone(),
                channel: contact.channel,
                to: contact.to,
            };
            if next.contact != 0 && !self.lane.onwards.contains(&onward) {
                self.lane.onwards.push(onward);
            }
        }
        self.save().await?;
        if !stays {
            self.store.delete(&document).await?;
        }
        self.worked.handed_over += 1;
        self.tell(&next);
        // What stays holds up what comes after it, so that the order is kept.
        Ok(if stays { Next::Stop } else { Next::GoOn })
    }

    /// Says that nobody could be told, once all have failed.
    fn tell(&mut self, pending: &Pending) {
        if pending.round == 0 {
            return;
        }
        let incident = self.lane.incident.as_str();
        let finding = undelivered(incident, &pending.posted.notice.id, pending.round);
        self.worked.findings.push(finding);
    }
}

/// A wait that ends when the next contact is due at the latest.
fn in_time(until: DateTime<Utc>, since: DateTime<Utc>, round: u32, urgent: u8) -> DateTime<Utc> {
    if round > 0 {
        return until;
    }
    until.min(since + patience(of_rank(urgent)))
}

fn undelivered(incident: &str, notice: &str, rounds: u32) -> Finding {
    Finding::new(
        "notice-undelivered",
        incident,
        format!("no contact took the notice `{notice}` in {rounds} rounds: all are tried again"),
    )
}

fn of_rank(rank: u8) -> Priority {
    match rank {
        0 => Priority::Low,
        1 => Priority::Medium,
        2 => Priority::High,
        _ => Priority::Critical,
    }
}
