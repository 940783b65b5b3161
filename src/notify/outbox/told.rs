use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::lane::{Attempt, Lane, Stands};
use super::post::{Pending, Posted};
use super::{LANES, NOTICES, PENDING, Pointer, lane_document};
use crate::app::App;
use crate::domain::{Act, IncidentId, Priority};

/// Documents of the outbox that are shown at most.
const MOST_SHOWN: usize = 500;

/// One notice, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Id of the notice.
    pub notice: String,
    pub recipient: String,
    /// The channel that took it, or has it now.
    pub channel: String,
    pub act: Act,
    pub priority: Priority,
    pub title: String,
    pub posted: DateTime<Utc>,
    pub state: ToldState,
    /// By which people know the ticket that it is about.
    pub ticket: Option<String>,
    /// Every try, the first first.
    pub attempts: Vec<Attempt>,
}

/// Where a notice stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum ToldState {
    Waiting {
        until: Option<DateTime<Utc>>,
        why: String,
    },
    Delivered {
        at: DateTime<Utc>,
    },
    /// A newer update was sent instead.
    Merged,
    /// It was over before it could be told.
    Overtaken,
}

/// What was posted of one incident, in order, and what became of it.
///
/// Errors: the store cannot be read.
pub async fn told(app: &App, incident: &IncidentId) -> anyhow::Result<Vec<Told>> {
    let store = app.store()?;
    let mut lanes = Vec::new();
    for name in store.list_all(&format!("{LANES}{incident}/")).await? {
        if let Some(stored) = store.get::<Lane>(&name).await? {
            lanes.push(stored.value);
        }
    }
    let mut all = Vec::new();
    for name in store.list_all(&format!("{NOTICES}{incident}/")).await? {
        if let Some(stored) = store.get::<Posted>(&name).await? {
            all.push(stored.value);
        }
    }
    all.sort_by(|a, b| (a.place, &a.notice.id).cmp(&(b.place, &b.notice.id)));
    Ok(all.iter().map(|posted| one(posted, &lanes)).collect())
}

fn one(posted: &Posted, lanes: &[Lane]) -> Told {
    let notice = &posted.notice;
    let mut told = Told {
        notice: notice.id.clone(),
        recipient: notice.recipient.clone(),
        channel: notice
            .contacts
            .first()
            .map(|c| c.channel.clone())
            .unwrap_or_default(),
        act: notice.message.act,
        priority: notice.message.priority,
        title: notice.message.title.clone(),
        posted: posted.at,
        state: ToldState::Waiting {
            until: None,
            why: "not tried yet".into(),
        },
        ticket: None,
        attempts: Vec::new(),
    };
    // At one time, in the order of the contacts.
    let mut attempts: Vec<(DateTime<Utc>, usize, Attempt)> = Vec::new();
    let mut best = 0;
    for lane in lanes {
        let Some(letter) = lane
            .letters
            .iter()
            .find(|letter| letter.notice == notice.id)
        else {
            continue;
        };
        let contact = posted
            .route
            .iter()
            .position(|contact| contact.channel == lane.channel && contact.to == lane.to);
        let contact = contact.unwrap_or(posted.route.len());
        attempts.extend(
            letter
                .attempts
                .iter()
                .map(|one| (one.at, contact, one.clone())),
        );
        // What was delivered by one is delivered, whatever another still does.
        let (rank, state) = match &letter.stands {
            Stands::Delivered { at } => (5, ToldState::Delivered { at: *at }),
            Stands::Merged { .. } => (4, ToldState::Merged),
            Stands::Overtaken => (3, ToldState::Overtaken),
            Stands::Waiting { until, why } => (
                2,
                ToldState::Waiting {
                    until: *until,
                    why: why.clone(),
                },
            ),
            Stands::HandedOver { why, .. } => (
                1,
                ToldState::Waiting {
                    until: None,
                    why: why.clone(),
                },
            ),
        };
        if rank > best {
            best = rank;
            told.state = state;
            told.channel.clone_from(&lane.channel);
            told.ticket = lane.ticket.as_ref().map(|ticket| ticket.number.clone());
        }
    }
    attempts.sort_by_key(|(at, contact, _)| (*at, *contact));
    told.attempts = attempts
        .into_iter()
        .map(|(_, _, attempt)| attempt)
        .collect();
    told
}

/// A notice that is still to be delivered, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    pub incident: IncidentId,
    pub notice: String,
    pub recipient: String,
    /// The channel that has it now.
    pub channel: String,
    pub act: Act,
    pub priority: Priority,
    pub posted: DateTime<Utc>,
    /// How often all contacts have failed.
    pub rounds: u32,
    pub until: Option<DateTime<Utc>>,
    pub why: String,
}

/// What is still to be delivered, and how much of it there is; 500 are shown at most.
///
/// Errors: the store cannot be read.
pub async fn pending(app: &App) -> anyhow::Result<(Vec<Waiting>, usize)> {
    let store = app.store()?;
    let names = store.list_all(PENDING).await?;
    let mut lanes: BTreeMap<String, Option<Lane>> = BTreeMap::new();
    let mut all = Vec::new();
    for name in names.iter().take(MOST_SHOWN) {
        let Some(pointer) = Pointer::read(name) else {
            continue;
        };
        let Some(stored) = store.get::<Pending>(name).await? else {
            continue;
        };
        let path = lane_document(&pointer.incident, &pointer.lane);
        if !lanes.contains_key(&path) {
            let lane = store.get::<Lane>(&path).await?.map(|stored| stored.value);
            lanes.insert(path.clone(), lane);
        }
        let letter = lanes
            .get(&path)
            .and_then(Option::as_ref)
            .and_then(|lane| lane.letters.iter().find(|l| l.notice == pointer.notice));
        let (until, why) = match letter.map(|letter| &letter.stands) {
            Some(Stands::Waiting { until, why }) => (*until, why.clone()),
            Some(Stands::Delivered { .. }) => (None, "delivered, and not put away yet".into()),
            Some(Stands::HandedOver { why, .. }) => (None, why.clone()),
            _ => (stored.value.not_before, "not tried yet".into()),
        };
        let posted = stored.value.posted;
        all.push(Waiting {
            channel: pointer.channel().to_owned(),
            incident: pointer.incident,
            notice: posted.notice.id,
            recipient: posted.notice.recipient,
            act: posted.notice.message.act,
            priority: posted.notice.message.priority,
            posted: posted.at,
            rounds: stored.value.round,
            until,
            why,
        });
    }
    Ok((all, names.len()))
}
