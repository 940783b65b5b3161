//! Timers: when they fire, what they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use super::connection::Connection;
use super::envelope::{self, Status};
use super::invoke::Invoker;
use super::monitor::{self, Kept};
use super::package::{Function, TimerTrigger};
use crate::local::clock::Clock;

/// The clock is looked at this often while waiting, so that one that jumps is noticed.
const LOOK: Duration = Duration::from_millis(100);
/// One that is this much late has jumped. The handler may know the old time for a moment yet.
const JUMPED: chrono::TimeDelta = chrono::TimeDelta::seconds(3);
const UNTIL_KNOWN: Duration = Duration::from_millis(250);

/// When each timer fires next. One that runs just now has no time.
#[derive(Debug, Clone, Default)]
pub(super) struct Dials(Arc<Mutex<BTreeMap<String, Option<DateTime<Utc>>>>>);

impl Dials {
    fn set(&self, function: &str, next: Option<DateTime<Utc>>) {
        let mut dials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dials.insert(function.to_owned(), next);
    }

    /// Whether each of them waits for a time after this one.
    pub(super) fn wait_beyond(&self, now: DateTime<Utc>) -> bool {
        let dials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dials
            .values()
            .all(|next| next.is_some_and(|next| next > now))
    }
}

/// Reads an NCRONTAB expression: six fields, or five without seconds.
pub(super) fn cron(text: &str) -> anyhow::Result<Cron> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .dom_and_dow(true)
        .build()
        .parse(text)
        .with_context(|| format!("`{text}` is not an NCRONTAB expression"))
}

fn after(cron: &Cron, at: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    cron.find_next_occurrence(&at, false)
        .context("the schedule has no next occurrence")
}

/// Fires one timer for ever. It never overlaps itself: what falls due while it runs is skipped.
pub(super) async fn run(
    function: Function,
    timer: TimerTrigger,
    invoker: Arc<Invoker>,
    storage: Arc<Connection>,
    clock: Clock,
    dials: Dials,
) {
    // Until it is known when it fires.
    dials.set(&function.name, None);
    let fires = fire_for_ever(&function, &timer, &invoker, &storage, &clock, &dials);
    if let Err(error) = fires.await {
        tracing::error!(function = function.name, "the timer ended: {error:#}");
    }
}

async fn fire_for_ever(
    function: &Function,
    timer: &TimerTrigger,
    invoker: &Invoker,
    storage: &Connection,
    clock: &Clock,
    dials: &Dials,
) -> anyhow::Result<()> {
    let cron = cron(&timer.schedule)?;
    let first = after(&cron, clock.now())?;
    // A schedule that fires more than once a minute is not remembered.
    let monitored = timer.monitored && after(&cron, first)? - first >= chrono::Duration::minutes(1);
    let known = if monitored {
        monitor::read(storage, &function.name).await?
    } else {
        None
    };
    let mut kept = known.unwrap_or(Kept {
        last: None,
        next: first,
        last_updated: None,
    });
    let mut past_due = known.is_some_and(|k| clock.now() > k.next);
    if !past_due {
        kept.next = first;
        if monitored {
            monitor::write(storage, &function.name, &kept).await?;
        }
    }
    let mut at_once = past_due || timer.at_start;
    loop {
        if !at_once {
            dials.set(&function.name, Some(kept.next));
            until(clock, kept.next).await;
        }
        dials.set(&function.name, None);
        let now = clock.now();
        let status = monitored.then_some(Status {
            last: kept.last,
            next: kept.next,
            updated: kept.last_updated,
        });
        let envelope = envelope::timer(&function.name, &timer.binding, status, past_due, now);
        fire(function, invoker, &envelope).await;
        kept = Kept {
            last: Some(kept.next.min(now)),
            next: after(&cron, clock.now().max(kept.next))?,
            last_updated: Some(now),
        };
        if monitored && let Err(error) = monitor::write(storage, &function.name, &kept).await {
            tracing::warn!(function = function.name, "its state is not kept: {error:#}");
        }
        (at_once, past_due) = (false, false);
    }
}

/// Calls a timer's function once. A failure is told and not repeated.
pub(super) async fn fire(function: &Function, invoker: &Invoker, envelope: &serde_json::Value) {
    match invoker.call(&function.name, envelope).await {
        Ok(logs) => {
            for line in logs {
                tracing::info!(function = function.name, "{line}");
            }
        }
        Err(error) => tracing::error!(function = function.name, "failed: {error:#}"),
    }
}

/// The envelope of a run by hand: never past due.
pub(super) async fn by_hand(
    function: &Function,
    timer: &TimerTrigger,
    storage: &Connection,
    clock: &Clock,
) -> anyhow::Result<serde_json::Value> {
    let kept = monitor::read(storage, &function.name).await?;
    let status = kept.map(|k| Status {
        last: k.last,
        next: k.next,
        updated: k.last_updated,
    });
    let now = clock.now();
    Ok(envelope::timer(
        &function.name,
        &timer.binding,
        status,
        false,
        now,
    ))
}

async fn until(clock: &Clock, at: DateTime<Utc>) {
    while let Ok(left) = (at - clock.now()).to_std() {
        tokio::time::sleep(left.min(LOOK) + Duration::from_millis(1)).await;
    }
    if clock.now() - at > JUMPED {
        tokio::time::sleep(UNTIL_KNOWN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_fall_due_as_the_host_reads_them() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        for (schedule, from, next) in [
            (
                "0 */15 * * * *",
                "2026-05-04T10:15:00Z",
                "2026-05-04T10:30:00Z",
            ),
            (
                "0 * * * * *",
                "2026-05-04T10:15:01Z",
                "2026-05-04T10:16:00Z",
            ),
            (
                "*/15 * * * * *",
                "2026-05-04T10:15:01Z",
                "2026-05-04T10:15:15Z",
            ),
            (
                "*/5 * * * *",
                "2026-05-04T10:15:01Z",
                "2026-05-04T10:20:00Z",
            ),
            (
                "0 30 9 * * 1-5",
                "2026-05-08T10:00:00Z",
                "2026-05-11T09:30:00Z",
            ),
            // Day of month and day of week must both fit: the next Friday the 13th.
            (
                "0 0 0 13 * 5",
                "2026-05-04T00:00:00Z",
                "2026-11-13T00:00:00Z",
            ),
        ] {
            let cron = cron(schedule).expect(schedule);
            assert_eq!(
                after(&cron, at(from)).expect(schedule),
                at(next),
                "{schedule}"
            );
        }
        assert!(cron("every minute").is_err());
    }
}
