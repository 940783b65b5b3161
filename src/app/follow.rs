//! The clock of an embedded estate, which can be moved ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The estate is asked no more often than this.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);
/// An estate that does not answer costs a request no more than this.
const LIMIT: Duration = Duration::from_millis(500);
/// A clock that is further ahead is no clock of an estate.
const MOST_AHEAD_MS: i64 = 10 * 366 * 24 * 3600 * 1000;

/// Real time, moved ahead as far as an embedded estate says that its own is.
#[derive(Debug)]
pub struct Followed {
    url: String,
    /// Made once: it is asked often.
    http: Option<reqwest::Client>,
    ahead_ms: AtomicI64,
    asked: Mutex<Option<Instant>>,
}

impl Followed {
    pub(super) fn new(estate: &str) -> Self {
        Self {
            url: format!("{}/_sim/now", estate.trim_end_matches('/')),
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(LIMIT)
                .build()
                .ok(),
            ahead_ms: AtomicI64::new(0),
            asked: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// Asks the estate how far it is ahead, if nobody did just now. One that does not
    /// say, such as a storage emulator, leaves the clock as it was.
    pub(super) async fn catch_up(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < AT_MOST_EVERY) {
            return;
        }
        if let Some(ahead) = self.ask().await {
            self.ahead_ms.store(ahead, Ordering::SeqCst);
        }
        *asked = Some(Instant::now());
    }

    async fn ask(&self) -> Option<i64> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            ahead_ms: i64,
        }
        let answer = self.http.as_ref()?.get(&self.url).send().await.ok()?;
        let told: Told = answer.error_for_status().ok()?.json().await.ok()?;
        (0..=MOST_AHEAD_MS)
            .contains(&told.ahead_ms)
            .then_some(told.ahead_ms)
    }
}
