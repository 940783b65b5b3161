//! What a container would have done under a load: a simple model of Cosmos, the same for whoever
//! scales it.

use chrono::{DateTime, Duration, Utc};

use crate::azure::cosmos::Throughput;
use crate::domain::Capacity;

/// RU/s of one partition, by Azure.
const PARTITION: u32 = 10_000;
/// How long partitions take to split, at worst.
const SPLIT: Duration = Duration::hours(4);

/// How the container is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// RU/s that it begins with.
    pub start: u32,
    pub partitions: u32,
    /// Percent of the load that falls on one partition; all alike without it.
    pub hot_percent: Option<f64>,
    /// Throughput scales by itself up to what is set.
    pub auto: bool,
}

/// A container at work.
#[derive(Debug, Clone)]
pub(super) struct Plant {
    shape: Shape,
    current: u32,
    highest: u32,
    partitions: u32,
    /// A split that is under way: until when, and what there is then.
    splitting: Option<(DateTime<Utc>, u32)>,
}

/// A minute of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// Percent of the fullest partition.
    pub(super) used: f64,
    /// RU/s that were served.
    pub(super) served: f64,
    /// Share of the load that was refused, 0 to 1.
    pub(super) refused: f64,
    /// Percent of each partition.
    pub(super) ranges: Vec<f64>,
}

impl Plant {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            current: shape.start,
            highest: shape.start,
            partitions: shape.partitions.max(shape.start.div_ceil(PARTITION)).max(1),
            splitting: None,
        }
    }

    pub(super) fn current(&self) -> u32 {
        self.current
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Brings to its end what is over by now.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) {
        if let Some((until, to)) = self.splitting
            && now >= until
        {
            self.partitions = self.partitions.max(to.div_ceil(PARTITION));
            self.current = to;
            self.splitting = None;
        }
    }

    /// As Azure shows it.
    pub(super) fn throughput(&self) -> Throughput {
        let (capacity, least, share) = if self.shape.auto {
            (Capacity::Autoscale(self.current), 1000, 10)
        } else {
            (Capacity::Manual(self.current), 400, 100)
        };
        let step = if self.shape.auto { 1000 } else { 100 };
        let history = self.highest.div_ceil(share).div_ceil(step) * step;
        Throughput {
            capacity,
            minimum: history.max(least),
            instant_maximum: Some(self.partitions * PARTITION),
            pending: self.splitting.is_some(),
        }
    }

    /// Sets another throughput; above what its partitions can have, it is there after a split.
    pub(super) fn set(&mut self, to: u32, now: DateTime<Utc>) {
        if self.splitting.is_some() {
            return;
        }
        self.highest = self.highest.max(to);
        if to > self.partitions * PARTITION {
            self.splitting = Some((now + SPLIT, to));
        } else {
            self.current = to;
        }
    }

    /// The part of the load that falls on a partition.
    fn share(&self, place: u32) -> f64 {
        let count = f64::from(self.partitions);
        match self.shape.hot_percent.filter(|_| self.partitions > 1) {
            None => 1.0 / count,
            Some(percent) if place == 0 => percent / 100.0,
            Some(percent) => (1.0 - percent / 100.0) / (count - 1.0),
        }
    }

    /// The part that falls on the one that has the most.
    pub(super) fn hottest_share(&self) -> f64 {
        let shares = (0..self.partitions).map(|place| self.share(place));
        shares.fold(0.0, f64::max)
    }

    /// A minute under a load of so many RU/s.
    pub(super) fn minute(&self, load: f64) -> Measured {
        let each = f64::from(self.current) / f64::from(self.partitions);
        let loads: Vec<f64> = (0..self.partitions)
            .map(|place| load * self.share(place))
            .collect();
        let served: f64 = loads.iter().map(|load| load.min(each)).sum();
        let ranges: Vec<f64> = loads
            .iter()
            .map(|load| (load / each * 100.0).min(100.0))
            .collect();
        Measured {
            used: ranges.iter().copied().fold(0.0, f64::max),
            served,
            refused: if load > 0.0 { 1.0 - served / load } else { 0.0 },
            ranges,
        }
    }

    /// RU/s that are charged for a minute: what is set, or with autoscale what it scaled to for its
    /// fullest partition, a tenth at least.
    pub(super) fn charged(&self, load: f64) -> f64 {
        let current = f64::from(self.current);
        if self.shape.auto {
            let fullest = load * self.hottest_share() * f64::from(self.partitions);
            fullest.clamp(current / 10.0, current)
        } else {
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            start: 1000,
            partitions: 2,
            hot_percent: None,
            auto: false,
        }
    }

    #[test]
    fn what_is_above_what_it_has_is_refused() {
        let plant = Plant::new(shape());
        let calm = plant.minute(250.0);
        assert_eq!((calm.used, calm.served, calm.refused), (25.0, 250.0, 0.0));
        let busy = plant.minute(2000.0);
        assert_eq!((busy.used, busy.served, busy.refused), (100.0, 1000.0, 0.5));
        assert_eq!(plant.minute(0.0).refused, 0.0);
    }

    #[test]
    fn one_hot_partition_is_full_while_the_other_rests() {
        let plant = Plant::new(Shape {
            hot_percent: Some(90.0),
            ..shape()
        });
        let seen = plant.minute(1000.0);
        assert_eq!(seen.ranges[0], 100.0);
        assert!((seen.ranges[1] - 20.0).abs() < 1e-9);
        assert!((seen.refused - 0.4).abs() < 1e-9);
    }

    #[test]
    fn a_split_takes_hours_and_raises_the_floor() {
        let now = DateTime::from_timestamp(0, 0).expect("a time");
        let mut plant = Plant::new(Shape {
            partitions: 1,
            ..shape()
        });
        plant.set(50_000, now);
        plant.set(2000, now);
        plant.settle(now + Duration::hours(3));
        assert!(plant.throughput().pending && plant.current() == 1000);
        plant.settle(now + Duration::hours(4));
        let seen = plant.throughput();
        assert_eq!(
            (seen.pending, plant.current(), seen.minimum),
            (false, 50_000, 500)
        );
        assert_eq!(seen.instant_maximum, Some(50_000));
    }

    #[test]
    fn autoscale_is_charged_by_what_it_scaled_to() {
        let plant = Plant::new(Shape {
            start: 4000,
            auto: true,
            ..shape()
        });
        let charged = [0.0, 1500.0, 9000.0].map(|load| plant.charged(load));
        assert_eq!(charged, [400.0, 1500.0, 4000.0]);
        let hot = Plant::new(Shape {
            hot_percent: Some(75.0),
            ..plant.shape
        });
        assert_eq!(hot.charged(1000.0), 1500.0, "by the fullest of two");
    }
}
