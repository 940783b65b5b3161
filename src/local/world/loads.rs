//! How much each stamp of the estate is asked for: the one that telemetry tells of with the same
//! chance of a minute as there, every other with a load of its own.

use std::collections::BTreeMap;

use crate::estate::Estate;
use crate::local::telemetry::names::carrier;
use crate::local::telemetry::random::{hash, hash_text, share};
use crate::local::telemetry::{Load, Plan, Trace};

/// The most minutes by which a stamp is early or late.
const SHIFT: f64 = 180.0;

/// The loads of all stamps.
#[derive(Debug)]
pub(in crate::local) struct Loads {
    load: Load,
    told: String,
    /// Stamps, by the lower-case id of what lies in them.
    stamps: BTreeMap<String, String>,
}

impl Loads {
    /// `trace`: a recorded load instead of that of a working week.
    pub(in crate::local) fn new(estate: Option<&Estate>, trace: Option<Trace>) -> Self {
        let zone = estate.map_or(chrono_tz::UTC, |estate| estate.zone);
        let resources = estate.into_iter().flat_map(Estate::resources);
        Self {
            load: Load::new(zone, trace),
            told: estate
                .and_then(carrier)
                .map_or_else(String::new, |stamp| stamp.name.clone()),
            stamps: resources
                .map(|r| (r.id.to_string().to_ascii_lowercase(), r.stamp.clone()))
                .collect(),
        }
    }

    /// The load of the stamp in which an account or an app lies.
    pub(in crate::local) fn of(&self, id: &str) -> StampLoad<'_> {
        let id = id.to_ascii_lowercase();
        let stamp = self.stamps.get(&id).unwrap_or(&id);
        let told = *stamp == self.told;
        let seed = hash_text(stamp);
        StampLoad {
            load: &self.load,
            told,
            seed: if told { Plan::default().seed } else { seed },
            #[expect(clippy::cast_possible_truncation, reason = "some minutes")]
            shift: if told {
                0
            } else {
                ((share(&[seed, 1]) * 2.0 - 1.0) * SHIFT) as i64
            },
            size: if told {
                1.0
            } else {
                0.6 + 0.8 * share(&[seed, 2])
            },
        }
    }
}

/// The load of one stamp.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct StampLoad<'a> {
    load: &'a Load,
    /// Whether telemetry tells of it.
    pub(in crate::local) told: bool,
    seed: u64,
    shift: i64,
    size: f64,
}

impl StampLoad<'_> {
    /// The load at a minute since 1970, relative to the mean that the stamp was made for.
    pub(in crate::local) fn at(&self, minute: i64) -> f64 {
        if self.told {
            return self.load.with_chance(self.seed, minute);
        }
        // Early or late in the shape of the day; the chance is the minute's own.
        let chance = Load::chance(hash(&[self.seed, 3]), minute);
        self.size * self.load.at(minute + self.shift) * chance
    }

    /// Of the minutes from `from` up to but not `until`.
    pub(in crate::local) fn range(&self, from: i64, until: i64) -> Vec<f64> {
        (from..until).map(|minute| self.at(minute)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTATE: &str = include_str!("../../../infra/estate.toml");

    #[test]
    fn each_stamp_has_a_load_of_its_own_and_the_told_one_that_of_telemetry() {
        let estate = Estate::parse(ESTATE).expect("an estate");
        let loads = Loads::new(Some(&estate), None);
        let account = estate
            .resources()
            .iter()
            .find(|r| r.kind == crate::estate::Kind::CosmosAccount)
            .expect("an account");
        let told = loads.of(&account.id.to_string());
        let minute = 29_000_000;
        let telemetry = Load::new(estate.zone, None).with_chance(Plan::default().seed, minute);
        assert!((told.at(minute) - telemetry).abs() < 1e-12);
        let (one, other) = (loads.of("/a/one"), loads.of("/a/other"));
        assert!((one.at(minute) - other.at(minute)).abs() > 1e-6);
        assert!((one.at(minute) - loads.of("/A/ONE").at(minute)).abs() < 1e-12);
    }
}
