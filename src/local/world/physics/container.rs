//! Cosmos: what is asked of a container, how it falls on physical partitions, and what becomes of it.

use crate::local::telemetry::random::{Random, hash, hash_text, share};
use crate::local::telemetry::service::{REFUSED_CHARGE, mix};

/// Share of the throughput that it was made for which a container uses at the mean load, in the
/// busiest second of a minute.
pub(in crate::local) const USED_AT_MEAN: f64 = 0.31;
/// The quietest second of a minute, relative to the busiest; the others lie evenly between them.
const QUIETEST: f64 = 0.6;
/// The mean second, relative to the busiest.
const MEAN: f64 = f64::midpoint(1.0, QUIETEST);
/// How much an hour of a container differs from the load, and a partition from its share.
const HOUR: f64 = 0.03;
const PARTITION: f64 = 0.02;
/// Milliseconds that a call takes at the server when nothing is in its way.
const CALM_MS: f64 = 3.2;
/// Milliseconds for which calls that are served wait when twice what there is is asked for, if nobody
/// gave up; it grows with the third power of what lies above the limit, and nobody waits longer than
/// [`WAITS_MS`].
const BACKLOG_MS: f64 = 25_000.0;
const WAITS_MS: f64 = 800.0;

/// What there is for a container.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::local) struct Offer {
    /// RU/s, or the most that it scales to by itself.
    pub(in crate::local) ru: f64,
    pub(in crate::local) autoscale: bool,
    pub(in crate::local) partitions: usize,
}

/// A tenant that has more of a container's load than others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::local) struct Hot {
    /// From 0 to 1.
    pub(in crate::local) share: f64,
    /// See [`spread`].
    pub(in crate::local) tenant: u64,
}

/// By which a tenant is laid on a partition: the remainder, divided by how many there are.
pub(in crate::local) fn spread(tenant: &str) -> u64 {
    hash_text(tenant)
}

/// A container, as its load sees it.
#[derive(Debug, Clone)]
pub(in crate::local) struct Container {
    /// RU/s in the busiest second of a minute with the mean load.
    base: f64,
    seed: u64,
    /// Share and charge of reads, queries, upserts and deletes.
    pub(in crate::local) mix: [(f64, f64); 4],
    /// Request units of the mean call.
    charge: f64,
}

/// What an hour is like for a container.
#[derive(Debug, Clone)]
pub(in crate::local) struct Hour {
    factor: f64,
    /// Of each partition; their mean is 1.
    shares: Vec<f64>,
}

/// What a minute was for a container.
#[derive(Debug, Clone, Default)]
pub(in crate::local) struct Minute {
    /// Percent of its share that each partition used in its busiest second.
    pub(in crate::local) used: Vec<f64>,
    /// Calls that were done, and tries that were refused.
    pub(in crate::local) done: f64,
    pub(in crate::local) refused: f64,
    /// Mean milliseconds at the server.
    pub(in crate::local) latency_ms: f64,
    /// RU/s that are billed: what an autoscale offer scaled to.
    pub(in crate::local) provisioned: f64,
}

impl Container {
    /// `designed`: the RU/s that it was made for. `told`: telemetry tells of it, so it follows the
    /// load as that does; others are asked for more or for less.
    pub(in crate::local) fn new(account: &str, name: &str, designed: f64, told: bool) -> Self {
        let seed = hash(&[hash_text(account), hash_text(name)]);
        let size = if told {
            1.0
        } else {
            0.4 + 1.5 * share(&[seed, 1])
        };
        let mix = mix(name);
        Self {
            base: USED_AT_MEAN * designed * size,
            seed,
            mix,
            charge: mix.iter().map(|(share, charge)| share * charge).sum(),
        }
    }

    /// What an hour since 1970 is like on so many partitions.
    pub(in crate::local) fn hour(&self, hour: i64, partitions: usize) -> Hour {
        let mut random = Random::of(&[self.seed, 2, hour.cast_unsigned()]);
        let factor = random.lognormal(HOUR);
        let mut shares: Vec<f64> = (0..partitions.max(1))
            .map(|_| random.lognormal(PARTITION))
            .collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        shares.iter_mut().for_each(|share| *share /= mean);
        Hour { factor, shares }
    }

    /// What comes of a minute with this load, into `out`.
    pub(in crate::local) fn minute(
        &self,
        load: f64,
        hour: &Hour,
        offer: &Offer,
        hot: Option<&Hot>,
        out: &mut Minute,
    ) {
        let busiest = self.base * hour.factor * load;
        let partitions = hour.shares.len() as f64;
        let most = offer.ru.max(1.0) / partitions;
        let hot_place = hot.map(|hot| hot.tenant % hour.shares.len() as u64);
        let even = 1.0 - hot.map_or(0.0, |hot| hot.share);
        let (mut refused, mut fullest) = (0.0, 0.0_f64);
        let (mut served, mut waited) = (0.0, 0.0);
        out.used.clear();
        for (place, share) in hour.shares.iter().enumerate() {
            let mut part = even * share / partitions;
            if let Some(hot) = hot.filter(|_| hot_place == Some(place as u64)) {
                part += hot.share;
            }
            let ratio = busiest * part / most;
            let refused_here = part * refused_share(ratio);
            refused += refused_here;
            served += part - refused_here;
            waited += (part - refused_here) * latency_ms(ratio);
            fullest = fullest.max(ratio);
            out.used.push((ratio * 100.0).min(100.0).round());
        }
        let refused = refused.clamp(0.0, 1.0);
        let calls = busiest * MEAN * 60.0 / self.charge;
        out.refused = calls * refused;
        out.done = calls - out.refused;
        // Of those calls that were served, wherever they were.
        out.latency_ms = if served > 0.0 {
            (waited / served * 100.0).round() / 100.0
        } else {
            CALM_MS
        };
        out.provisioned = if offer.autoscale {
            (offer.ru * fullest.clamp(0.1, 1.0)).round()
        } else {
            offer.ru
        };
    }

    /// Calls and request units of each kind, and the tries that were refused of each.
    pub(in crate::local) fn kinds(&self, done: f64, refused: f64) -> [Kind; 4] {
        self.mix.map(|(share, charge)| Kind {
            done: (done * share).round(),
            charge,
            refused: (refused * share).round(),
            refused_charge: REFUSED_CHARGE,
        })
    }
}

/// Calls of one kind.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct Kind {
    pub(in crate::local) done: f64,
    pub(in crate::local) charge: f64,
    pub(in crate::local) refused: f64,
    pub(in crate::local) refused_charge: f64,
}

/// The share of what is asked that is refused when the busiest second asks for `ratio` times what
/// there is: all that lies above it, second by second.
pub(in crate::local) fn refused_share(ratio: f64) -> f64 {
    if ratio <= 1.0 {
        return 0.0;
    }
    let limit = 1.0 / ratio;
    if limit <= QUIETEST {
        return 1.0 - limit / MEAN;
    }
    (1.0 - limit).powi(2) / (2.0 * (1.0 - QUIETEST)) / MEAN
}

/// Milliseconds for which a call that is served waits because more is asked of its partition than it
/// has: little while only some seconds are too full, hundreds when most are.
pub(in crate::local) fn backlog_ms(ratio: f64) -> f64 {
    (BACKLOG_MS * (ratio - 1.0).max(0.0).powi(3)).min(WAITS_MS)
}

/// Mean milliseconds of a call: it waits the longer the fuller its partition is.
fn latency_ms(ratio: f64) -> f64 {
    let queued = 0.25 / (1.05 - ratio.min(1.0)) - 0.238;
    CALM_MS * (1.0 + queued) + backlog_ms(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(load: f64, ru: f64, partitions: usize, hot: Option<Hot>) -> Minute {
        let container = Container::new("account", "threads", 1000.0, true);
        let hour = container.hour(400_000, partitions);
        let offer = Offer {
            ru,
            autoscale: false,
            partitions,
        };
        let mut out = Minute::default();
        container.minute(load, &hour, &offer, hot.as_ref(), &mut out);
        out
    }

    #[test]
    fn what_a_minute_comes_to() {
        let calm = minute(1.0, 1000.0, 2, None);
        assert!(
            calm.used.iter().all(|used| (27.0..36.0).contains(used)),
            "{calm:?}"
        );
        assert!(calm.refused <= 0.0 && calm.done > 0.0);
        let twice = minute(1.0, 2000.0, 2, None);
        assert!(twice.used[0] < 0.6 * calm.used[0], "{twice:?}");
        let full = minute(5.0, 1000.0, 2, None);
        assert_eq!(full.used, [100.0, 100.0]);
        assert!(full.refused > 0.0 && full.latency_ms > 2.0 * calm.latency_ms);
        let more = minute(8.0, 1000.0, 2, None);
        assert!(more.refused > full.refused);
        // What is served does not grow beyond what there is.
        let units = |m: &Minute| {
            let container = Container::new("account", "threads", 1000.0, true);
            let kinds = container.kinds(m.done, m.refused);
            kinds
                .iter()
                .map(|kind| kind.done * kind.charge)
                .sum::<f64>()
                / 60.0
        };
        assert!(units(&more) <= 1010.0, "{}", units(&more));
    }

    #[test]
    fn a_hot_tenant_fills_one_partition_whatever_is_bought() {
        let tenant = spread("tenant-a");
        let hot = Hot { share: 0.8, tenant };
        let place = usize::try_from(tenant % 4).expect("small");
        let seen = minute(1.5, 1000.0, 4, Some(hot));
        for (at, used) in seen.used.iter().enumerate() {
            assert_eq!(*used >= 100.0, at == place, "{seen:?}");
        }
        assert!(seen.refused > 0.0);
    }

    #[test]
    fn calls_wait_the_longer_the_more_is_asked_for_than_there_is() {
        for (ratio, least, most) in [
            (0.3, 3.0, 4.0),
            (0.9, 7.0, 9.0),
            (1.0, 18.0, 19.0),
            // Some are refused, and still it is fast enough.
            (1.09, 30.0, 50.0),
            (1.12, 50.0, 100.0),
            (1.2, 200.0, 300.0),
            (1.5, 800.0, 830.0),
            (12.0, 800.0, 830.0),
        ] {
            let ms = latency_ms(ratio);
            assert!((least..most).contains(&ms), "{ratio}: {ms} ms");
        }
        // Whoever is at a calm partition does not wait for a full one.
        let tenant = spread("tenant-a");
        let hot = |share| minute(2.0, 1000.0, 4, Some(Hot { share, tenant })).latency_ms;
        assert!(hot(0.5) < hot(0.9), "{} {}", hot(0.5), hot(0.9));
    }

    #[test]
    fn refusals_begin_when_the_busiest_second_is_full() {
        for (ratio, least, most) in [
            (0.99, 0.0, 0.0),
            (1.0, 0.0, 0.0),
            (1.1, 0.005, 0.03),
            (1.5, 0.1, 0.25),
            (2.5, 0.45, 0.55),
            (10.0, 0.85, 0.9),
        ] {
            let share = refused_share(ratio);
            assert!((least..=most).contains(&share), "{ratio}: {share}");
        }
    }
}
