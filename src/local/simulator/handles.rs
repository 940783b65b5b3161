//! What tests ask of a running simulator without HTTP.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Fault, Simulator};

impl Simulator {
    /// Makes coming requests fail.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Moves the clock of the estate ahead, also for later starts on the same state.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared.storage.db.advance(ms);
    }

    /// The time of the estate.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.storage.db.clock.now()
    }
}
