//! How a channel does, for all lanes and processes: after failures in a row nobody tries for a while.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::notify::http::Kind;
use crate::store::{Created, Error, Store};

/// Failures in a row after which a channel is left alone.
const MOST_FAILURES: u32 = 5;
/// How long it is left alone before one letter tries it again.
const OPEN: Duration = Duration::minutes(1);
/// How long that letter has for it before another may.
const PROBE: Duration = Duration::minutes(1);

/// How a channel does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(super) struct Circuit {
    /// In a row.
    pub(super) failures: u32,
    /// Nobody tries before then, but the one that looks whether it works again.
    pub(super) open_until: Option<DateTime<Utc>>,
    /// The channel asked for this.
    pub(super) paused_until: Option<DateTime<Utc>>,
}

/// Whether a channel may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Closed,
    /// One letter may look whether it works again.
    HalfOpen,
    Open(DateTime<Utc>),
    Paused(DateTime<Utc>),
}

impl Circuit {
    pub(super) fn verdict(&self, now: DateTime<Utc>) -> Verdict {
        // A clock that was set back must not close a channel for years.
        let longest = now + Duration::hours(2);
        match (self.open_until, self.paused_until) {
            (Some(until), _) if until > now && until < longest => Verdict::Open(until),
            (_, Some(until)) if until > now && until < longest => Verdict::Paused(until),
            (Some(_), _) => Verdict::HalfOpen,
            _ => Verdict::Closed,
        }
    }

    /// After something was taken.
    fn worked(&mut self, pause: Option<Duration>, now: DateTime<Utc>) {
        self.failures = 0;
        self.open_until = None;
        self.paused_until = pause.map(|pause| now + pause);
    }

    /// After something was not taken.
    fn failed(&mut self, kind: Kind, pause: Option<Duration>, now: DateTime<Utc>) {
        if let Some(pause) = pause {
            self.paused_until = Some(now + pause);
        }
        match kind {
            // The channel works: it refuses one letter, or has too many.
            Kind::Refused => {
                self.failures = 0;
                self.open_until = None;
            }
            Kind::Limited => {}
            Kind::Passing | Kind::Broken => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= MOST_FAILURES {
                    self.open_until = Some(now + OPEN);
                }
            }
        }
    }
}

fn document(channel: &str) -> String {
    format!("outbox/circuits/{channel}.json")
}

/// How a channel does now.
pub(super) async fn read(store: &Store, channel: &str) -> Result<Circuit, Error> {
    let stored = store.get::<Circuit>(&document(channel)).await?;
    Ok(stored.map(|stored| stored.value).unwrap_or_default())
}

/// Whether this letter is the one that looks whether the channel works again: others find it open.
pub(super) async fn claim(store: &Store, channel: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let path = document(channel);
    let Some(stored) = store.get::<Circuit>(&path).await? else {
        return Ok(true);
    };
    match stored.value.verdict(now) {
        Verdict::Closed => return Ok(true),
        Verdict::HalfOpen => {}
        Verdict::Open(_) | Verdict::Paused(_) => return Ok(false),
    }
    let claimed = Circuit {
        open_until: Some(now + PROBE),
        ..stored.value
    };
    match store.replace(&path, &claimed, &stored.etag, None).await {
        Ok(_) => Ok(true),
        Err(Error::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Counts what one try came to: `None`, it was taken.
pub(super) async fn count(
    store: &Store,
    channel: &str,
    failed: Option<Kind>,
    pause: Option<std::time::Duration>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let path = document(channel);
    let pause = pause.and_then(|pause| Duration::from_std(pause).ok());
    // Lanes of one channel count at the same time.
    for _ in 0..8 {
        let stored = store.get::<Circuit>(&path).await?;
        let before = stored.as_ref().map(|s| s.value.clone()).unwrap_or_default();
        let mut after = before.clone();
        match failed {
            None => after.worked(pause, now),
            Some(kind) => after.failed(kind, pause, now),
        }
        if after == before {
            return Ok(());
        }
        let written = match &stored {
            None => match store.create(&path, &after).await? {
                Created::New(_) => return Ok(()),
                Created::Exists => continue,
            },
            Some(stored) => store.replace(&path, &after, &stored.etag, None).await,
        };
        match written {
            Err(Error::Conflict(_)) => {}
            written => return written.map(drop),
        }
    }
    // Others count the same failures.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_opens_after_five_failures_in_a_row() {
        let start: DateTime<Utc> = "2026-03-02T06:00:00Z".parse().expect("a time");
        let at = |seconds: i64| start + Duration::seconds(seconds);
        let mut circuit = Circuit::default();
        for n in 0..4 {
            circuit.failed(Kind::Passing, None, at(n));
            assert_eq!(circuit.verdict(at(n)), Verdict::Closed);
        }
        // What one letter is refused for says that the channel works.
        circuit.failed(Kind::Refused, None, at(4));
        for n in 0..4 {
            circuit.failed(Kind::Broken, None, at(5 + n));
        }
        assert_eq!(circuit.verdict(at(9)), Verdict::Closed);
        circuit.failed(Kind::Passing, None, at(10));
        assert_eq!(circuit.verdict(at(11)), Verdict::Open(at(70)));
        assert_eq!(circuit.verdict(at(70)), Verdict::HalfOpen);
        circuit.failed(Kind::Passing, None, at(71));
        assert_eq!(circuit.verdict(at(72)), Verdict::Open(at(131)));
        circuit.worked(None, at(140));
        assert_eq!(circuit, Circuit::default());
    }

    #[test]
    fn a_pause_is_kept_and_is_no_failure() {
        let start: DateTime<Utc> = "2026-03-02T06:00:00Z".parse().expect("a time");
        let mut circuit = Circuit::default();
        circuit.failed(Kind::Limited, Some(Duration::seconds(30)), start);
        let end = start + Duration::seconds(30);
        assert_eq!(circuit.verdict(start), Verdict::Paused(end));
        assert_eq!(circuit.verdict(end), Verdict::Closed);
        assert_eq!(circuit.failures, 0);
        // A clock that was years ahead does not silence a channel.
        circuit.paused_until = Some(start + Duration::days(900));
        assert_eq!(circuit.verdict(start), Verdict::Closed);
    }
}
