//! Busy: whether more would help, or one partition, or one tenant, is the trouble.

use super::Judge;
use crate::domain::Finding;
use crate::operations::autoscale::facts::Minute;

/// From so many percent of the load on, somebody alone makes the trouble.
const NOISY: f64 = 50.0;

/// Whether all partitions are busy.
pub(super) enum Spread {
    Alike,
    /// Only one is, and how that is seen.
    One(String),
    /// What is not known.
    Unknown(String),
}

impl Judge<'_> {
    /// Who alone makes others wait.
    pub(super) fn noisy(&self, refused: f64) -> Option<Finding> {
        let share = self.facts.heaviest.as_ref()?;
        (share.percent >= NOISY).then(|| {
            let message = format!(
                "`{}` has {:.0} % of the load, while {refused:.1} % of all requests are refused: others wait for it",
                share.key, share.percent
            );
            Finding::new("noisy-neighbour", self.subject(), message)
        })
    }

    /// Whether this is the trouble of one partition, for which more throughput would be bought in vain.
    pub(super) fn spread(&self, recent: &[Minute]) -> Spread {
        let busy = f64::from(self.rules.up_percent);
        let count = self.facts.partitions.map(|count| count as usize);
        let ranges = &self.facts.ranges;
        let whose = self.facts.heaviest.as_ref().map_or_else(
            || "whose load it is, logs do not say".to_owned(),
            |share| format!("`{}` has {:.0} % of the load", share.key, share.percent),
        );
        if count == Some(1) {
            return Spread::Alike;
        }
        let hottest = ranges.iter().max_by(|a, b| a.used.total_cmp(&b.used));
        if let Some(hottest) = hottest {
            let (hot, told) = (
                ranges.iter().filter(|r| r.used > busy).count(),
                ranges.len(),
            );
            return match count {
                _ if hot > 1 => Spread::Alike,
                Some(count) if told < count => Spread::Unknown(format!(
                    "only {told} of its {count} partitions were measured"
                )),
                _ if told == 1 => Spread::Alike,
                _ => Spread::One(format!(
                    "partition {} is at {:.0} % and the {} others are not busy: more RU/s would hardly help, another partition key would ({whose})",
                    hottest.id,
                    hottest.used,
                    told - 1
                )),
            };
        }
        // Its partitions are not told: what all of it uses tells whether they are busy alike.
        let units = recent.iter().filter_map(|m| m.units).reduce(f64::max);
        let Some(most) = units else {
            return Spread::Unknown("neither its partitions nor all of it were measured".into());
        };
        let share = most / 60.0 / f64::from(self.steps.current) * 100.0;
        // With one full and another half full it would be that much.
        let count = count.unwrap_or(2).max(2) as f64;
        if share < 50.0 {
            Spread::One(format!(
                "its fullest partition is full, and all of it uses {share:.0} %: more RU/s would hardly help, another partition key would ({whose})"
            ))
        } else if share < (count - 0.5) / count * 100.0 {
            let what = format!("its partitions were not measured, and all of it uses {share:.0} %");
            Spread::Unknown(what)
        } else {
            Spread::Alike
        }
    }
}
