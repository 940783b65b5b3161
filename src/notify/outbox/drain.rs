use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;

use super::work::{Budget, Worked, work};
use super::{PENDING, Pointer};
use crate::app::App;
use crate::domain::{Finding, IncidentId};

/// Lanes of one channel that are worked at the same time. Channels do not wait for each other.
const AT_ONCE: usize = 4;

/// How long handing over begins something new, and how long one letter may take.
const BEGINS: Duration = Duration::from_secs(3);
const ONE: Duration = Duration::from_secs(8);
const ONE_IN_A_DRAIN: Duration = Duration::from_secs(30);

/// What became of the notices of one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Delivered {
    pub delivered: usize,
    /// Given to another contact.
    pub handed_over: usize,
    /// Still to be delivered.
    pub waiting: usize,
}

/// What became of all notices.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Drained {
    /// Lanes in which something waited.
    pub lanes: usize,
    pub delivered: usize,
    /// Given to another contact.
    pub handed_over: usize,
    /// Still to be delivered.
    pub waiting: usize,
    /// Notices that no contact took so far, and lanes that could not be worked.
    pub findings: Vec<Finding>,
}

/// Hands over what is due of one incident, now: some seconds at most. What is not taken stays for
/// [`drain`]. Safe to repeat, and for several processes at once.
///
/// Errors: the store cannot be read.
pub async fn deliver(app: &App, incident: &IncidentId) -> anyhow::Result<Delivered> {
    let budget = Budget {
        until: Instant::now() + BEGINS,
        limit: ONE,
    };
    let mut sum = Delivered::default();
    // What is handed over goes to a lane that may not have been listed.
    for _ in 0..3 {
        let done = round(app, &format!("{PENDING}{incident}/"), budget).await?;
        sum.delivered += done.delivered;
        sum.handed_over += done.handed_over;
        sum.waiting = done.waiting;
        if done.handed_over == 0 {
            break;
        }
    }
    Ok(sum)
}

/// Hands over all that is due, beginning nothing after `within`. Channels do not wait for each other.
/// Safe to repeat, and for several processes at once.
///
/// Errors: the store cannot be read.
pub async fn drain(app: &App, within: Duration) -> anyhow::Result<Drained> {
    let budget = Budget {
        until: Instant::now() + within,
        limit: ONE_IN_A_DRAIN,
    };
    let mut sum = Drained::default();
    for _ in 0..4 {
        let done = round(app, PENDING, budget).await?;
        sum.lanes = sum.lanes.max(done.lanes);
        sum.delivered += done.delivered;
        sum.handed_over += done.handed_over;
        sum.waiting = done.waiting;
        sum.findings = done.findings;
        if done.handed_over == 0 || Instant::now() >= budget.until {
            break;
        }
    }
    Ok(sum)
}

/// Every lane that has something pending below `prefix`, once.
async fn round(app: &App, prefix: &str, budget: Budget) -> anyhow::Result<Drained> {
    let names = app.store()?.list_all(prefix).await?;
    let mut lanes: BTreeMap<(IncidentId, String), Vec<Pointer>> = BTreeMap::new();
    for pointer in names.iter().filter_map(|name| Pointer::read(name)) {
        let key = (pointer.incident.clone(), pointer.lane.clone());
        lanes.entry(key).or_default().push(pointer);
    }
    let count = lanes.len();
    let mut channels: BTreeMap<String, Vec<Vec<Pointer>>> = BTreeMap::new();
    for (_, mut pointers) in lanes {
        pointers.sort();
        if let Some(first) = pointers.first() {
            let channel = first.channel().to_owned();
            channels.entry(channel).or_default().push(pointers);
        }
    }
    let mut all: Vec<BoxFuture<'_, Vec<Worked>>> = Vec::new();
    for lanes in channels.into_values() {
        all.push(Box::pin(channel(app, lanes, budget)));
    }
    let mut sum = Drained {
        lanes: count,
        ..Drained::default()
    };
    for worked in join_all(all).await.into_iter().flatten() {
        sum.delivered += worked.delivered;
        sum.handed_over += worked.handed_over;
        sum.waiting += worked.waiting;
        sum.findings.extend(worked.findings);
    }
    Ok(sum)
}

/// The lanes of one channel, the most urgent first, some at a time.
async fn channel(app: &App, mut lanes: Vec<Vec<Pointer>>, budget: Budget) -> Vec<Worked> {
    let urgency = |lane: &Vec<Pointer>| lane.iter().map(|pointer| pointer.priority).max();
    lanes.sort_by_key(urgency);
    let mut running = FuturesUnordered::new();
    let mut done = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(pointers) = lanes.pop()
        {
            running.push(lane(app, pointers, budget));
        }
        match running.next().await {
            Some(worked) => done.push(worked),
            None => return done,
        }
    }
}

/// A lane that cannot be worked does not keep the others.
async fn lane(app: &App, pointers: Vec<Pointer>, budget: Budget) -> Worked {
    let about = pointers
        .first()
        .map(|p| (p.incident.to_string(), p.lane.clone()));
    let waiting = pointers.len();
    match work(app, pointers, budget).await {
        Ok(worked) => worked,
        Err(error) => {
            let (incident, lane) = about.unwrap_or_default();
            tracing::warn!(
                incident,
                lane,
                error = format!("{error:#}"),
                "a lane cannot be worked"
            );
            let message = format!("notices wait in `{lane}`, which cannot be worked: {error:#}");
            Worked {
                waiting,
                findings: vec![Finding::new("notice-undelivered", incident, message)],
                ..Worked::default()
            }
        }
    }
}
