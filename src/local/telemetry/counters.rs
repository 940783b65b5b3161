//! What happened, counted as it happened and not from the rows that tell of it.

use std::collections::BTreeMap;

/// Counters by tenant and hour since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    pub cells: BTreeMap<(usize, i64), Cell>,
}

/// What one tenant's requests came to, sampled ones with their weight.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    pub requests: u64,
    /// 5xx.
    pub server_failures: u64,
    /// 4xx, 429 among them.
    pub client_errors: u64,
    /// Request units charged.
    pub charge: f64,
    pub latencies: Histogram,
}

/// Latencies in buckets that each end 2 % above where they begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<i16, u64>);

const STEP: f64 = 1.02;

impl Histogram {
    pub(super) fn add(&mut self, ms: f64, weight: u64) {
        *self.0.entry(bucket(ms)).or_default() += weight;
    }

    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    /// Milliseconds that this share of the latencies does not exceed, right to 2 %; `None` without
    /// any.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total: u64 = self.0.values().sum();
        let mut before = 0;
        let found = self.0.iter().find(|(_, count)| {
            before += **count;
            before as f64 >= share * total as f64
        });
        found.map(|(bucket, _)| STEP.powf(f64::from(*bucket) + 0.5))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "durations are from microseconds to hours"
)]
fn bucket(ms: f64) -> i16 {
    (ms.max(1e-3).ln() / STEP.ln()).floor() as i16
}

impl Cell {
    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.server_failures += other.server_failures;
        self.client_errors += other.client_errors;
        self.charge += other.charge;
        self.latencies.merge(&other.latencies);
    }
}

impl Counters {
    /// Adds what another stretch of time counted.
    pub fn merge(&mut self, other: &Self) {
        for (at, cell) in &other.cells {
            self.cells.entry(*at).or_default().merge(cell);
        }
    }

    /// All hours of one tenant, or of all.
    #[must_use]
    pub fn total(&self, tenant: Option<usize>) -> Cell {
        let mut total = Cell::default();
        let of = |at: &usize| tenant.is_none_or(|tenant| tenant == *at);
        for cell in self
            .cells
            .iter()
            .filter(|((t, _), _)| of(t))
            .map(|(_, cell)| cell)
        {
            total.merge(cell);
        }
        total
    }
}

/// Counts one minute at a time; cheap for each request, put together at the end of an hour.
#[derive(Debug)]
pub(super) struct Counting {
    hour: i64,
    now: Vec<Cell>,
    done: Counters,
}

impl Counting {
    pub(super) fn new(tenants: usize) -> Self {
        Self {
            hour: i64::MIN,
            now: vec![Cell::default(); tenants],
            done: Counters::default(),
        }
    }

    /// The cell of a tenant at this minute.
    pub(super) fn at(&mut self, minute: i64, tenant: usize) -> &mut Cell {
        let hour = minute.div_euclid(60);
        if hour != self.hour {
            self.put_away();
            self.hour = hour;
        }
        &mut self.now[tenant]
    }

    fn put_away(&mut self) {
        for (tenant, cell) in self.now.iter_mut().enumerate() {
            let cell = std::mem::take(cell);
            if cell != Cell::default() {
                let at = (tenant, self.hour);
                self.done.cells.entry(at).or_default().merge(&cell);
            }
        }
    }

    pub(super) fn finish(mut self) -> Counters {
        self.put_away();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_to_two_percent() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.95), None);
        (1..=1000).for_each(|ms| histogram.add(f64::from(ms), 3));
        for (share, ms) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let found = histogram.quantile(share).expect("there are some");
            assert!((found / ms - 1.0).abs() < 0.02, "{share}: {found}");
        }
    }
}
