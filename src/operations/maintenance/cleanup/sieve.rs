//! Which log blobs go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use crate::azure::blobs::Blob;
use crate::changes::Listed;

/// Why a blob that is old enough stays all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skip {
    Leased,
    LegalHold,
    Immutable,
    HasSnapshot,
    /// Its name has parts that a URL cannot carry, so it cannot be named safely.
    OddName,
    /// A disk, and no log.
    PageBlob,
    /// A lifecycle rule deletes blobs of its kind here.
    LeftToLifecycle,
}

impl Skip {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::LegalHold => "legal_hold",
            Self::Immutable => "immutable",
            Self::HasSnapshot => "has_snapshot",
            Self::OddName => "odd_name",
            Self::PageBlob => "page_blob",
            Self::LeftToLifecycle => "left_to_lifecycle",
        }
    }
}

/// Sorts the blobs of one place as they are listed, page after page, and keeps only what goes.
#[derive(Debug)]
pub(super) struct Sieve {
    older_than: DateTime<Utc>,
    now: DateTime<Utc>,
    /// Kinds of blobs that a lifecycle rule deletes here.
    covered: Vec<&'static str>,
    /// No more than so many may go at once: what is beyond it is only counted.
    most: u64,
    /// Version and bytes by name.
    going: BTreeMap<String, (String, u64)>,
    /// Old enough to go, and not among them: how many, and their bytes.
    beyond: (u64, u64),
    with_snapshots: BTreeSet<String>,
    skipped: BTreeMap<Skip, u64>,
    seen: u64,
}

/// What a place comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sieved {
    pub(super) older_than: DateTime<Utc>,
    /// In the order of names; of more than may go at once only the first.
    pub(super) going: Vec<Listed>,
    /// How many are old enough to go.
    pub(super) old: u64,
    pub(super) bytes: u64,
    pub(super) skipped: BTreeMap<Skip, u64>,
    /// Blobs, without snapshots.
    pub(super) seen: u64,
}

impl Sieve {
    pub(super) fn new(
        keep_days: u32,
        covered: Vec<&'static str>,
        most: u64,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            older_than: now - Duration::days(i64::from(keep_days)),
            now,
            covered,
            most,
            going: BTreeMap::new(),
            beyond: (0, 0),
            with_snapshots: BTreeSet::new(),
            skipped: BTreeMap::new(),
            seen: 0,
        }
    }

    /// Takes one entry of a listing. The snapshots of a blob may come on another page than itself.
    pub(super) fn take(&mut self, blob: Blob) {
        if blob.is_snapshot {
            self.with_snapshots.insert(blob.name);
            return;
        }
        self.seen += 1;
        if blob.modified >= self.older_than {
            return;
        }
        let skip = if blob.leased {
            Some(Skip::Leased)
        } else if blob.legal_hold {
            Some(Skip::LegalHold)
        } else if blob.immutable_until.is_some_and(|until| until > self.now) {
            Some(Skip::Immutable)
        } else if blob.name.chars().any(char::is_control)
            || blob.name.split('/').any(|part| matches!(part, "." | ".."))
        {
            Some(Skip::OddName)
        } else if blob.kind == "PageBlob" {
            Some(Skip::PageBlob)
        } else if self
            .covered
            .iter()
            .any(|kind| kind.eq_ignore_ascii_case(&blob.kind))
        {
            Some(Skip::LeftToLifecycle)
        } else {
            None
        };
        match skip {
            Some(skip) => *self.skipped.entry(skip).or_default() += 1,
            None if self.going.len() as u64 > self.most => {
                self.beyond.0 += 1;
                self.beyond.1 += blob.bytes;
            }
            None => {
                self.going.insert(blob.name, (blob.etag, blob.bytes));
            }
        }
    }

    pub(super) fn done(mut self) -> Sieved {
        for name in &self.with_snapshots {
            if self.going.remove(name).is_some() {
                *self.skipped.entry(Skip::HasSnapshot).or_default() += 1;
            }
        }
        let listed = |(name, (etag, bytes))| Listed(name, etag, bytes);
        let going: Vec<Listed> = self.going.into_iter().map(listed).collect();
        let listed = going.len() as u64;
        // Snapshots may have made room: then what is listed is a whole of its own, and the rest
        // comes the next time.
        let (beyond, beyond_bytes) = if listed > self.most {
            self.beyond
        } else {
            (0, 0)
        };
        Sieved {
            older_than: self.older_than,
            old: listed + beyond,
            bytes: going.iter().map(|blob| blob.2).sum::<u64>() + beyond_bytes,
            going,
            skipped: self.skipped,
            seen: self.seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_431_200, 0).expect("a time")
    }

    fn blob(name: &str, age_days: i64) -> Blob {
        Blob {
            name: name.into(),
            is_snapshot: false,
            etag: "\"1\"".into(),
            modified: now() - Duration::days(age_days),
            bytes: 10,
            leased: false,
            legal_hold: false,
            immutable_until: None,
            kind: "BlockBlob".into(),
        }
    }

    #[test]
    fn which_blobs_go() {
        let until = |days| Some(now() + Duration::days(days));
        let cases: Vec<(&str, Blob, bool, Option<Skip>)> = vec![
            ("old", blob("a", 31), true, None),
            ("young", blob("a", 29), false, None),
            ("on the day", blob("a", 30), false, None),
            (
                "leased",
                Blob {
                    leased: true,
                    ..blob("a", 31)
                },
                false,
                Some(Skip::Leased),
            ),
            (
                "leased and young",
                Blob {
                    leased: true,
                    ..blob("a", 1)
                },
                false,
                None,
            ),
            (
                "under a legal hold",
                Blob {
                    legal_hold: true,
                    ..blob("a", 31)
                },
                false,
                Some(Skip::LegalHold),
            ),
            (
                "immutable",
                Blob {
                    immutable_until: until(1),
                    ..blob("a", 31)
                },
                false,
                Some(Skip::Immutable),
            ),
            (
                "immutable no more",
                Blob {
                    immutable_until: until(-1),
                    ..blob("a", 31)
                },
                true,
                None,
            ),
            (
                "a name that leads elsewhere",
                blob("a/../b", 31),
                false,
                Some(Skip::OddName),
            ),
            ("a line break", blob("a\nb", 31), false, Some(Skip::OddName)),
            ("dots in a name", blob("a/..b/c.", 31), true, None),
            (
                "a disk",
                Blob {
                    kind: "PageBlob".into(),
                    ..blob("a", 31)
                },
                false,
                Some(Skip::PageBlob),
            ),
        ];
        for (name, blob, goes, skip) in cases {
            let mut sieve = Sieve::new(30, Vec::new(), 1000, now());
            sieve.take(blob);
            let sieved = sieve.done();
            assert_eq!(sieved.going.len() == 1, goes, "{name}");
            assert_eq!(sieved.skipped.keys().next().copied(), skip, "{name}");
            assert_eq!(sieved.seen, 1, "{name}");
        }
    }

    #[test]
    fn more_than_may_go_at_once_is_counted_and_not_kept() {
        let mut sieve = Sieve::new(30, Vec::new(), 2, now());
        for name in ["a", "b", "c", "d", "e"] {
            sieve.take(blob(name, 31));
        }
        let sieved = sieve.done();
        assert_eq!((sieved.going.len(), sieved.old, sieved.bytes), (3, 5, 50));
    }

    #[test]
    fn where_snapshots_make_room_what_is_listed_goes_and_the_rest_waits() {
        let mut sieve = Sieve::new(30, Vec::new(), 2, now());
        for name in ["a", "b", "c", "d"] {
            sieve.take(blob(name, 31));
        }
        sieve.take(Blob {
            is_snapshot: true,
            ..blob("a", 31)
        });
        let sieved = sieve.done();
        assert_eq!((sieved.going.len(), sieved.old, sieved.bytes), (2, 2, 20));
    }

    #[test]
    fn what_a_lifecycle_rule_deletes_is_left_to_it() {
        let mut sieve = Sieve::new(30, vec!["appendBlob"], 1000, now());
        sieve.take(blob("block", 31));
        sieve.take(Blob {
            kind: "AppendBlob".into(),
            ..blob("append", 31)
        });
        let sieved = sieve.done();
        assert_eq!(sieved.going[0].0, "block");
        assert_eq!(sieved.skipped[&Skip::LeftToLifecycle], 1);
    }

    #[test]
    fn a_blob_with_snapshots_stays_wherever_they_are_listed() {
        let snapshot = |name| Blob {
            is_snapshot: true,
            ..blob(name, 40)
        };
        let mut sieve = Sieve::new(30, Vec::new(), 1000, now());
        for entry in [
            snapshot("a"),
            blob("a", 40),
            blob("b", 40),
            blob("c", 40),
            snapshot("c"),
        ] {
            sieve.take(entry);
        }
        let sieved = sieve.done();
        let going: Vec<&str> = sieved.going.iter().map(|l| l.0.as_str()).collect();
        assert_eq!((going, sieved.seen), (vec!["b"], 3));
        assert_eq!(sieved.skipped[&Skip::HasSnapshot], 2);
    }
}
