use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// The time of the simulated estate: real time, moved ahead as far as was asked.
///
/// Tokens and signatures keep real time, because their holders do.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// A clock that was moved ahead by `ms` before.
    pub(super) fn ahead(ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(ms)))
    }

    /// Moves it ahead by `ms`; how far it is ahead now.
    pub(super) fn advance(&self, ms: i64) -> i64 {
        self.0.fetch_add(ms, Ordering::SeqCst) + ms
    }

    /// How far it is ahead of real time, in milliseconds.
    pub(super) fn ahead_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Milliseconds since 1970.
    pub(super) fn now_ms(&self) -> i64 {
        Utc::now().timestamp_millis() + self.ahead_ms()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now_ms()).unwrap_or_default()
    }
}
