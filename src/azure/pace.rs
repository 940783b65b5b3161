//! Pacing on our side, so that nothing is hammered and little is refused.
//!
//! Source: Azure Resource Manager, "request limits and throttling": token buckets per subscription
//! and kind of operation.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;

use super::Plane;

/// A bucket that holds `burst` calls and is filled at `per_second`.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    burst: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn new(burst: f64, per_second: f64, now: Instant) -> Self {
        Self {
            burst,
            per_second,
            left: burst,
            at: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.burst);
        self.at = self.at.max(now);
    }

    /// Takes one call out, and says how long to wait before it may be made. Whoever comes later
    /// waits longer, so the order stays.
    fn reserve(&mut self, now: Instant) -> Duration {
        self.fill(now);
        self.left -= 1.0;
        let short = Duration::from_secs_f64((-self.left).max(0.0) / self.per_second);
        self.at.saturating_duration_since(now) + short
    }

    /// Empties the bucket, and fills it again only after `pause`.
    fn hold(&mut self, now: Instant, pause: Duration) {
        self.fill(now);
        self.left = self.left.min(0.0);
        self.at = self.at.max(now + pause);
    }
}

#[derive(Debug, Default)]
pub(super) struct Pacer {
    buckets: Mutex<HashMap<String, Bucket>>,
    /// Calls a second of one storage account, where the estate says so.
    accounts: Mutex<HashMap<String, f64>>,
}

impl Pacer {
    /// Waits until a call of this kind may be made.
    pub(super) async fn wait(&self, plane: Plane, method: &Method, scope: &str) {
        let pause = self.bucket(plane, method, scope, Bucket::reserve);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Azure asked for patience: nobody calls in this scope before `pause` is over.
    pub(super) fn hold(&self, plane: Plane, method: &Method, scope: &str, pause: Duration) {
        self.bucket(plane, method, scope, |bucket, now| bucket.hold(now, pause));
    }

    /// Sets how many calls a second one storage account is given.
    pub(super) fn set(&self, scope: &str, per_second: f64) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(scope.to_owned(), per_second);
    }

    fn bucket<T>(
        &self,
        plane: Plane,
        method: &Method,
        scope: &str,
        with: impl FnOnce(&mut Bucket, Instant) -> T,
    ) -> T {
        let (kind, mut burst, mut per_second) = limits(plane, method);
        if plane == Plane::Blob {
            let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(set) = accounts.get(scope) {
                // A little less than what is given, since calls arrive unevenly.
                (burst, per_second) = ((set / 8.0).max(1.0), (set * 0.98).max(0.5));
            }
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let bucket = buckets
            .entry(format!("{kind} {scope}"))
            .or_insert_with(|| Bucket::new(burst, per_second, now));
        (bucket.burst, bucket.per_second) = (burst, per_second);
        with(bucket, now)
    }
}

fn limits(plane: Plane, method: &Method) -> (&'static str, f64, f64) {
    match (plane, method) {
        (Plane::Arm, &Method::GET | &Method::HEAD) => ("arm reads", 250.0, 25.0),
        (Plane::Arm, &Method::DELETE) => ("arm deletes", 200.0, 10.0),
        (Plane::Arm, _) => ("arm writes", 200.0, 10.0),
        // A vault takes 4,000 calls in 10 seconds; others use it too.
        (Plane::Vault, _) => ("vault", 100.0, 100.0),
        // An account takes 20,000 calls a second; the product uses it too.
        (Plane::Blob, _) => ("blob", 50.0, 400.0),
        // Graph: 150 reads of applications in 30 seconds and less in some tenants.
        (Plane::Graph, _) => ("graph", 20.0, 5.0),
        // Log Analytics: 200 queries in 30 seconds.
        (Plane::Logs, _) => ("logs", 50.0, 5.0),
        // Metrics of many resources: 360,000 calls an hour of a subscription; others ask too.
        (Plane::Metrics, _) => ("metrics", 50.0, 50.0),
        // Requests of channels are made, and held back, by the outbox.
        (Plane::Email | Plane::DevOps, _) => ("channels", 20.0, 5.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_keeps_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3.0, 2.0, start);
        let waits: Vec<u128> = (0..6).map(|_| bucket.reserve(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 500, 1000, 1500]);
        // Two seconds bring four calls back; three were promised already.
        let later = start + Duration::from_secs(2);
        let waits: Vec<u128> = (0..3).map(|_| bucket.reserve(later).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1000]);
        // A long rest fills the bucket and no more.
        let much_later = start + Duration::from_secs(1000);
        let waits: Vec<u128> = (0..4)
            .map(|_| bucket.reserve(much_later).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 0, 500]);
    }

    #[test]
    fn a_refusal_holds_back_everybody_in_the_scope() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 2.0, start);
        assert_eq!(bucket.reserve(start), Duration::ZERO);
        bucket.hold(start, Duration::from_secs(3));
        let waits: Vec<u128> = (0..2).map(|_| bucket.reserve(start).as_millis()).collect();
        assert_eq!(waits, [3500, 4000]);
        // Two seconds later the rest is still to be waited for.
        let later = start + Duration::from_secs(2);
        assert_eq!(bucket.reserve(later).as_millis(), 2500);
    }
}
