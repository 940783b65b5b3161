//! A limit on the requests that fit it, for load: a token bucket, latency, and a share of failures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::service::Service;

/// How much is let through, and how it behaves. It goes by real time, as load does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Only requests whose path and query hold this text.
    pub contains: String,
    /// Requests a second that are let through in the long run.
    pub per_second: f64,
    /// Requests that are let through at once after a rest.
    pub burst: f64,
    /// How long each request takes, besides its work.
    pub latency_ms: u64,
    /// More than this at the same time are refused.
    pub most_in_flight: Option<u32>,
    /// The share of requests that fail, in percent, without their work being done: the same ones in
    /// every run.
    pub fail_percent: u32,
    /// Only what reads in Resource Manager, and each subscription by itself, as Azure has it: 250 at
    /// once and 25 a second.
    pub each_subscription: bool,
}

impl Limit {
    /// What Resource Manager lets be read of each subscription.
    #[must_use]
    pub fn of_arm() -> Self {
        Self {
            per_second: 25.0,
            burst: 250.0,
            each_subscription: true,
            ..Self::default()
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            contains: String::new(),
            per_second: f64::INFINITY,
            burst: f64::INFINITY,
            latency_ms: 0,
            most_in_flight: None,
            fail_percent: 0,
            each_subscription: false,
        }
    }
}

/// What became of the requests that a limit fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub calls: u64,
    /// Answered with less than 500.
    pub done: u64,
    /// Throttled at once.
    pub refused: u64,
    /// Answered with 500 or more.
    pub failed: u64,
    /// The most that were under way at the same time.
    pub most_in_flight: u32,
}

/// The one limit, with a bucket for each subscription, or one for all under no name.
#[derive(Default)]
pub(super) struct Limits(Mutex<Option<(Limit, Buckets)>>);

type Buckets = BTreeMap<String, Arc<Mutex<Bucket>>>;

struct Bucket {
    limit: Limit,
    level: f64,
    filled: Instant,
    in_flight: u32,
    counts: Counts,
}

/// What becomes of one request.
pub(super) enum Verdict {
    /// No limit fits it.
    Free,
    /// It was counted, and may go on; it is under way until this is dropped.
    Go(Pass),
    /// It is answered at once.
    Stop(Response),
}

pub(super) struct Pass {
    bucket: Arc<Mutex<Bucket>>,
    latency: Duration,
    /// The status with which it fails instead of being done.
    fails: Option<u16>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limits {
    /// Sets the one limit, and counts from nothing.
    pub(super) fn set(&self, limit: Limit) {
        *lock(&self.0) = Some((limit, Buckets::new()));
    }

    pub(super) fn clear(&self) {
        *lock(&self.0) = None;
    }

    /// What became of all that the limit fits.
    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for counts in self.counts_of_each().values() {
            all.calls += counts.calls;
            all.done += counts.done;
            all.refused += counts.refused;
            all.failed += counts.failed;
            all.most_in_flight = all.most_in_flight.max(counts.most_in_flight);
        }
        all
    }

    /// The same by subscription; under no name when the limit is one for all.
    pub(super) fn counts_of_each(&self) -> BTreeMap<String, Counts> {
        let kept = lock(&self.0);
        let buckets = kept.iter().flat_map(|(_, buckets)| buckets);
        buckets
            .map(|(name, bucket)| (name.clone(), lock(bucket).counts))
            .collect()
    }

    pub(super) fn enter(&self, service: Service, parts: &Parts) -> Verdict {
        let mut kept = lock(&self.0);
        let Some((limit, buckets)) = kept.as_mut() else {
            return Verdict::Free;
        };
        if !parts.uri.to_string().contains(&limit.contains) {
            return Verdict::Free;
        }
        let mut name = String::new();
        if limit.each_subscription {
            let reads = matches!(parts.method, Method::GET | Method::HEAD);
            let mut path = parts.uri.path().split('/').skip(1);
            let of = (path.next(), path.next());
            let (true, Service::Arm, (Some("subscriptions"), Some(id))) = (reads, service, of)
            else {
                return Verdict::Free;
            };
            name = id.to_ascii_lowercase();
        }
        let bucket = Arc::clone(
            buckets
                .entry(name)
                .or_insert_with(|| Arc::new(Mutex::new(Bucket::full(limit.clone())))),
        );
        drop(kept);
        let mut inside = lock(&bucket);
        inside.counts.calls += 1;
        if let Err(wait) = inside.take(Instant::now()) {
            inside.counts.refused += 1;
            return Verdict::Stop(service.throttle(wait));
        }
        inside.in_flight += 1;
        inside.counts.most_in_flight = inside.counts.most_in_flight.max(inside.in_flight);
        let (latency, number) = (inside.limit.latency_ms, inside.counts.calls);
        let drawn = mixed(number);
        let fails = (drawn % 100 < u64::from(inside.limit.fail_percent))
            .then_some(if drawn & (1 << 40) == 0 { 500 } else { 503 });
        drop(inside);
        Verdict::Go(Pass {
            bucket,
            latency: Duration::from_millis(latency),
            fails,
        })
    }
}

impl Bucket {
    fn full(limit: Limit) -> Self {
        Self {
            level: limit.burst,
            limit,
            filled: Instant::now(),
            in_flight: 0,
            counts: Counts::default(),
        }
    }

    /// Takes one token, or tells how long until there is one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if self
            .limit
            .most_in_flight
            .is_some_and(|most| self.in_flight >= most)
        {
            return Err(Duration::from_millis(self.limit.latency_ms.max(1)));
        }
        let rested = now.duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.level = (self.level + rested * self.limit.per_second).min(self.limit.burst);
        // Without a limit, infinity times no time is no number.
        if self.level.is_nan() || self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.level) / self.limit.per_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_secs(3600)))
    }
}

impl Pass {
    /// Waits as long as a request takes; the failure that it meets, if it does.
    pub(super) async fn wait(&self, service: Service) -> Option<Response> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        self.fails.map(|status| service.fail(status))
    }

    /// Counts the answer.
    pub(super) fn note(&self, response: &Response) {
        let mut inside = lock(&self.bucket);
        if response.status().as_u16() < 500 {
            inside.counts.done += 1;
        } else {
            inside.counts.failed += 1;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        lock(&self.bucket).in_flight -= 1;
    }
}

/// A number that looks drawn, and is the same every time (SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_through_what_it_holds_and_tells_how_long_to_wait() {
        let start = Instant::now();
        let mut bucket = Bucket {
            limit: Limit {
                per_second: 10.0,
                burst: 2.0,
                ..Limit::default()
            },
            level: 2.0,
            filled: start,
            in_flight: 0,
            counts: Counts::default(),
        };
        let ms = Duration::from_millis;
        for (name, at, expected) in [
            ("the first", 0, None),
            ("the second", 0, None),
            ("too many", 0, Some(100)),
            ("too early", 60, Some(40)),
            ("in time", 100, None),
            ("too soon after", 100, Some(100)),
            ("after a rest", 5000, None),
            ("a rest gives no more than the burst", 5000, None),
            ("so the third waits", 5000, Some(100)),
        ] {
            let wait = bucket.take(start + ms(at)).err();
            let rounded = wait.map(|wait| (wait.as_secs_f64() * 1000.0).round() as i64);
            assert_eq!(rounded, expected, "{name}");
        }
    }

    #[test]
    fn each_subscription_has_a_bucket_for_what_reads_in_resource_manager() {
        let limits = Limits::default();
        limits.set(Limit {
            per_second: 0.001,
            burst: 2.0,
            each_subscription: true,
            ..Limit::default()
        });
        let ask = |method: Method, path: &str| {
            let request = axum::http::Request::builder().method(method).uri(path);
            let parts = request.body(()).expect("a request").into_parts().0;
            match limits.enter(Service::of(path), &parts) {
                Verdict::Free => "free",
                Verdict::Go(_) => "go",
                Verdict::Stop(_) => "stop",
            }
        };
        for (method, path, expected) in [
            (Method::GET, "/subscriptions/a/x", "go"),
            (Method::GET, "/subscriptions/A/x", "go"),
            (Method::GET, "/subscriptions/a/y", "stop"),
            (Method::GET, "/subscriptions/b/y", "go"),
            (Method::PUT, "/subscriptions/a/y", "free"),
            (Method::POST, "/subscriptions/a/metrics:getBatch", "free"),
            (Method::GET, "/blob/account/x", "free"),
        ] {
            assert_eq!(ask(method, path), expected, "{path}");
        }
        let each = limits.counts_of_each();
        assert_eq!((each["a"].calls, each["a"].refused), (3, 1));
        assert_eq!((limits.counts().calls, limits.counts().refused), (4, 1));
    }

    #[test]
    fn a_share_of_the_requests_fails() {
        let failing = (1..=10_000).filter(|n| mixed(*n) % 100 < 20).count();
        assert!((1900..2100).contains(&failing), "{failing}");
    }
}
