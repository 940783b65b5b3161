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

    /// Takes one call out, and says how long to wait before it may be made. Whoever comes later
    /// waits longer, so the order stays.
    fn reserve(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.burst);
        self.at = now;
        self.left -= 1.0;
        if self.left >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.left / self.per_second)
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Pacer(Mutex<HashMap<String, Bucket>>);

impl Pacer {
    /// Waits until a call of this kind may be made.
    pub(super) async fn wait(&self, plane: Plane, method: &Method, scope: &str) {
        let (kind, burst, per_second) = limits(plane, method);
        let pause = {
            let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            buckets
                .entry(format!("{kind} {scope}"))
                .or_insert_with(|| Bucket::new(burst, per_second, now))
                .reserve(now)
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

fn limits(plane: Plane, method: &Method) -> (&'static str, f64, f64) {
    match (plane, method) {
        (Plane::Arm, &Method::GET | &Method::HEAD) => ("arm reads", 250.0, 25.0),
        (Plane::Arm, &Method::DELETE) => ("arm deletes", 200.0, 10.0),
        (Plane::Arm, _) => ("arm writes", 200.0, 10.0),
        // A vault takes 4,000 calls in 10 seconds; others use it too.
        (Plane::Vault, _) => ("vault", 100.0, 100.0),
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
}
