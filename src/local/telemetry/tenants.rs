//! The tenants that use the service, and their people.

use std::collections::BTreeSet;

use super::random::{Random, hash, share};
use super::service::CLASSES;
use super::words::{Collector, Word};
use crate::local::world::physics::container::spread;

/// How uneven tenants are: the n-th largest asks for a share of 1/n to this power.
pub(super) const ZIPF: f64 = 1.1;
pub(super) const REGIONS: [&str; 2] = ["japaneast", "japanwest"];
/// All tenants together have about so many people.
const PEOPLE: f64 = 2000.0;

pub(super) struct Tenant {
    pub(super) id: String,
    pub(super) region: &'static str,
    /// `Properties` of metrics: the tenant alone.
    pub(super) properties: Word,
    /// `["ID"]`: how Cosmos writes a partition key.
    pub(super) partition_key: Word,
    /// By which it is laid on a partition.
    pub(super) spread: u64,
    pub(super) people: Vec<Person>,
    /// Latency relative to others.
    pub(super) slow: f64,
    pub(super) failure_rate: f64,
    pub(super) client_error_rate: f64,
}

impl Tenant {
    /// Which of so many partitions holds it.
    pub(super) fn partition_of(&self, partitions: usize) -> usize {
        let place = self.spread % (partitions.max(1) as u64);
        usize::try_from(place).unwrap_or(0)
    }
}

pub(super) struct Person {
    pub(super) id: Word,
    pub(super) city: Word,
    /// `Properties`, by classification.
    pub(super) properties: [Word; CLASSES.len()],
}

/// `count` tenants, those of the estate first, each with its share of all people.
pub(super) fn tenants(
    named: &[String],
    count: usize,
    seed: u64,
    words: &mut Collector,
) -> Vec<Tenant> {
    let ids = ids(named, count, seed);
    let total: f64 = (1..=ids.len()).map(|rank| (rank as f64).powf(-ZIPF)).sum();
    let make = |(rank, id): (usize, String)| {
        let part = ((rank + 1) as f64).powf(-ZIPF) / total;
        tenant(id, rank, part, seed, words)
    };
    ids.into_iter().enumerate().map(make).collect()
}

fn tenant(id: String, rank: usize, part: f64, seed: u64, words: &mut Collector) -> Tenant {
    let mut random = Random::of(&[seed, 0x7E, rank as u64]);
    let region = REGIONS[usize::from(random.chance(0.2))];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small"
    )]
    let count = ((part * PEOPLE) as usize).max(3);
    // Most tenants are well; a few are in chronic trouble.
    let troubled = random.chance(0.05);
    Tenant {
        properties: words.word(format!(r#"{{"tenantId":"{id}","region":"{region}"}}"#)),
        partition_key: words.word(format!(r#"["{id}"]"#)),
        spread: spread(&id),
        people: (0..count)
            .map(|number| person(&id, region, number, seed, words))
            .collect(),
        slow: random.lognormal(0.15) * if troubled { 1.6 } else { 1.0 },
        failure_rate: if troubled {
            random.between(0.001, 0.004)
        } else {
            random.between(0.000_05, 0.000_5)
        },
        client_error_rate: random.between(0.004, 0.02),
        id,
        region,
    }
}

fn person(id: &str, region: &str, number: usize, seed: u64, words: &mut Collector) -> Person {
    let salt = id.bytes().fold(7, |h, b| hash(&[h, u64::from(b)]));
    let name = hash(&[seed, salt, number as u64]);
    let user = format!("u-{:08x}", name >> 32);
    // What identifies a caller when the address itself is masked.
    let address = name & 0xffff_ffff;
    let city = if share(&[name]) < 0.7 {
        "Tokyo"
    } else {
        "Osaka"
    };
    Person {
        city: words.word(city),
        properties: CLASSES.map(|class| {
            words.word(format!(
                r#"{{"tenantId":"{id}","userId":"{user}","region":"{region}","dataClassification":"{class}","ipHash":"{address:08x}"}}"#
            ))
        }),
        id: words.word(user),
    }
}

/// Ids as customers choose them: short names, names in Japanese script, numbers.
fn ids(named: &[String], count: usize, seed: u64) -> Vec<String> {
    const NAMES: [&str; 12] = [
        "sakura", "yamato", "kitakaze", "aozora", "hinode", "minato", "tsubame", "kaede", "fujimi",
        "hayate", "mizuho", "asahi",
    ];
    const TRADES: [&str; 8] = [
        "shoji", "denki", "bussan", "seiyaku", "unyu", "shokuhin", "kensetsu", "ginko",
    ];
    const WRITTEN: [&str; 6] = [
        "山田商事",
        "北風電機",
        "みどり食品",
        "アオゾラ銀行",
        "青葉製薬",
        "大和運輸",
    ];
    let mut taken = BTreeSet::new();
    let mut out = Vec::new();
    let mut add = |id: String| {
        if out.len() < count && taken.insert(id.clone()) {
            out.push(id);
        }
    };
    named.iter().cloned().for_each(&mut add);
    ["contoso", "fabrikam"]
        .map(str::to_owned)
        .into_iter()
        .for_each(&mut add);
    let mut random = Random::of(&[seed, 0x1D]);
    for number in 0..count {
        add(match number % 4 {
            0 | 2 => format!("{}-{}", random.of_these(&NAMES), random.of_these(&TRADES)),
            1 => format!("tenant-{:04}", number + 1),
            _ if number < 4 * WRITTEN.len() => WRITTEN[number / 4].to_owned(),
            _ => format!("{}{}", random.of_these(&WRITTEN), number),
        });
    }
    // Names that were taken already are made up for by numbers.
    (0..)
        .map(|n| format!("customer-{n:05}"))
        .take(count)
        .for_each(&mut add);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_tenants_as_asked_for_and_no_two_are_the_same() {
        for count in [1, 2, 50, 1000] {
            let ids = ids(&["tenant-a".into()], count, 1);
            let unique: BTreeSet<_> = ids.iter().collect();
            assert_eq!((ids.len(), unique.len()), (count, count));
            assert_eq!(ids[0], "tenant-a");
        }
        let ids = ids(&[], 50, 1);
        assert!(ids.iter().any(|id| !id.is_ascii()) && ids.iter().any(|id| id == "contoso"));
    }
}
