//! The hash chain of one run: each record carries the SHA-256 of the one before.
//!
//! A line is `<hash> <json>`. The hash covers the JSON bytes as they stand, so checking a chain
//! needs no agreement about how JSON is written.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Event;

/// SHA-256, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash(String);

impl Hash {
    /// What the first record of a chain carries.
    #[must_use]
    pub fn genesis() -> Self {
        Self("0".repeat(64))
    }

    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("{:x}", Sha256::digest(bytes)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One record as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// 1, 2, 3, ... without gaps.
    pub seq: u64,
    pub at: DateTime<Utc>,
    /// The run whose chain this is: a record copied from another chain is noticed.
    pub run: String,
    /// Fencing number of the process that wrote it.
    pub fence: u64,
    pub event: Event,
    /// Hash of the record before.
    pub prev: Hash,
}

/// The newest record of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}

impl Head {
    /// The head of a chain without records.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            seq: 0,
            hash: Hash::genesis(),
        }
    }
}

/// How a chain is broken, told to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "broken")]
pub enum Broken {
    /// The record's content does not give the hash that stands beside it.
    Edited { seq: u64 },
    /// The record does not follow the one before it.
    OutOfOrder { expected: u64, found: u64 },
    /// The record names another predecessor than the one before it.
    Relinked { seq: u64 },
    /// The record belongs to another run.
    Foreign { seq: u64, run: String },
    /// The line is no record, or only a part of one.
    Unreadable { after: u64 },
    /// An anchor knows more records than there are.
    Cut { anchored: u64, found: u64 },
    /// An anchor knows another record at this place.
    Rewritten { seq: u64 },
    /// An anchor knows this chain and it is gone.
    Gone { anchored: u64 },
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Edited { seq } => write!(f, "record {seq} was edited"),
            Self::OutOfOrder { expected, found } => {
                write!(
                    f,
                    "record {expected} is missing or out of order: {found} stands there"
                )
            }
            Self::Relinked { seq } => write!(f, "record {seq} does not follow the one before it"),
            Self::Foreign { seq, run } => write!(f, "record {seq} belongs to run `{run}`"),
            Self::Unreadable { after } => write!(f, "no readable record after record {after}"),
            Self::Cut { anchored, found } => {
                write!(
                    f,
                    "cut: an anchor knows {anchored} records, {found} are left"
                )
            }
            Self::Rewritten { seq } => write!(f, "rewritten: an anchor knows another record {seq}"),
            Self::Gone { anchored } => write!(f, "gone: an anchor knows {anchored} records"),
        }
    }
}

/// Writes one record after `head`, and gives the line and the head it makes.
#[must_use]
pub fn link(run: &str, head: &Head, fence: u64, event: Event, at: DateTime<Utc>) -> (Bytes, Head) {
    let record = Record {
        seq: head.seq + 1,
        at,
        run: run.to_owned(),
        fence,
        event,
        prev: head.hash.clone(),
    };
    let json = serde_json::to_vec(&record).expect("a record is plain data with text keys");
    let hash = Hash::of(&json);
    let mut line = Vec::with_capacity(json.len() + 66);
    line.extend_from_slice(hash.as_str().as_bytes());
    line.push(b' ');
    line.extend_from_slice(&json);
    line.push(b'\n');
    (
        line.into(),
        Head {
            seq: record.seq,
            hash,
        },
    )
}

/// A chain as it was read: its good records with their hashes, and the first break if any.
#[derive(Debug, Clone)]
pub struct Chain {
    pub records: Vec<(Hash, Record)>,
    pub broken: Option<Broken>,
}

impl Chain {
    /// Reads and checks a whole log. Never fails: what cannot be read is a break.
    #[must_use]
    pub fn read(run: &str, log: &[u8]) -> Self {
        let mut chain = Self {
            records: Vec::new(),
            broken: None,
        };
        let mut rest = log;
        while !rest.is_empty() {
            let Some(end) = rest.iter().position(|b| *b == b'\n') else {
                chain.broken = Some(Broken::Unreadable {
                    after: chain.head().seq,
                });
                break;
            };
            match chain.check(run, &rest[..end]) {
                Ok(record) => chain.records.push(record),
                Err(broken) => {
                    chain.broken = Some(broken);
                    break;
                }
            }
            rest = &rest[end + 1..];
        }
        chain
    }

    fn check(&self, run: &str, line: &[u8]) -> Result<(Hash, Record), Broken> {
        let head = self.head();
        let unreadable = Broken::Unreadable { after: head.seq };
        let (Some(hash), Some(b' '), Some(json)) = (line.get(..64), line.get(64), line.get(65..))
        else {
            return Err(unreadable);
        };
        let Ok(record) = serde_json::from_slice::<Record>(json) else {
            return Err(unreadable);
        };
        let actual = Hash::of(json);
        if actual.as_str().as_bytes() != hash {
            return Err(Broken::Edited { seq: record.seq });
        }
        if record.run != run {
            return Err(Broken::Foreign {
                seq: record.seq,
                run: record.run,
            });
        }
        if record.seq != head.seq + 1 {
            return Err(Broken::OutOfOrder {
                expected: head.seq + 1,
                found: record.seq,
            });
        }
        if record.prev != head.hash {
            return Err(Broken::Relinked { seq: record.seq });
        }
        Ok((actual, record))
    }

    /// The newest good record.
    #[must_use]
    pub fn head(&self) -> Head {
        self.records
            .last()
            .map_or_else(Head::empty, |(hash, record)| Head {
                seq: record.seq,
                hash: hash.clone(),
            })
    }

    /// Holds the chain against what an anchor once saw of it.
    #[must_use]
    pub fn against(&self, anchored: &Head) -> Option<Broken> {
        if let Some(broken) = &self.broken {
            return Some(broken.clone());
        }
        if anchored.seq == 0 {
            return None;
        }
        let index = usize::try_from(anchored.seq - 1).ok()?;
        match self.records.get(index) {
            None => Some(Broken::Cut {
                anchored: anchored.seq,
                found: self.head().seq,
            }),
            Some((hash, _)) if *hash != anchored.hash => {
                Some(Broken::Rewritten { seq: anchored.seq })
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u32) -> Event {
        Event::Note {
            text: format!("step {n}"),
        }
    }

    fn lines(run: &str, n: u32) -> (Vec<Vec<u8>>, Head) {
        let mut head = Head::empty();
        let mut out = Vec::new();
        for i in 0..n {
            let (line, next) = link(run, &head, 1, event(i), DateTime::UNIX_EPOCH);
            out.push(line.to_vec());
            head = next;
        }
        (out, head)
    }

    #[test]
    fn every_way_to_tamper_with_a_chain_is_found() {
        let (good, head) = lines("r", 4);
        let edited = {
            let mut l = good.clone();
            l[1] = String::from_utf8(l[1].clone())
                .expect("utf-8")
                .replace("step 1", "step 9")
                .into_bytes();
            l
        };
        let dropped = [&good[..1], &good[2..]].concat();
        let swapped = vec![
            good[0].clone(),
            good[2].clone(),
            good[1].clone(),
            good[3].clone(),
        ];
        let torn = {
            let mut l = good.clone();
            l[3].truncate(80);
            l
        };
        let (foreign, _) = lines("other", 4);
        // A forger who writes a fresh, consistent chain is only found by the anchor.
        let mut forged = Vec::new();
        let mut at = Head::empty();
        for i in 0..4 {
            let (line, next) = link("r", &at, 1, event(i + 40), DateTime::UNIX_EPOCH);
            forged.push(line.to_vec());
            at = next;
        }
        let cases = [
            ("untouched", good.clone(), None),
            ("edited", edited, Some(Broken::Edited { seq: 2 })),
            (
                "dropped",
                dropped,
                Some(Broken::OutOfOrder {
                    expected: 2,
                    found: 3,
                }),
            ),
            (
                "reordered",
                swapped,
                Some(Broken::OutOfOrder {
                    expected: 2,
                    found: 3,
                }),
            ),
            ("torn", torn, Some(Broken::Unreadable { after: 3 })),
            (
                "from another run",
                foreign,
                Some(Broken::Foreign {
                    seq: 1,
                    run: "other".into(),
                }),
            ),
            (
                "cut",
                good[..2].to_vec(),
                Some(Broken::Cut {
                    anchored: 4,
                    found: 2,
                }),
            ),
            ("rewritten", forged, Some(Broken::Rewritten { seq: 4 })),
            (
                "emptied",
                Vec::new(),
                Some(Broken::Cut {
                    anchored: 4,
                    found: 0,
                }),
            ),
        ];
        for (name, log, expected) in cases {
            let chain = Chain::read("r", &log.concat());
            assert_eq!(chain.against(&head), expected, "{name}");
        }
    }

    #[test]
    fn a_chain_that_grew_after_its_anchor_is_whole() {
        let (good, _) = lines("r", 4);
        let early = Chain::read("r", &good[..2].concat()).head();
        assert_eq!(Chain::read("r", &good.concat()).against(&early), None);
    }

    #[test]
    fn reading_never_fails_whatever_stands_there() {
        for log in [
            &b""[..],
            b"\n",
            b"\xff\xfe\n",
            b"no hash at all\n",
            &[b'0'; 70],
        ] {
            let chain = Chain::read("r", log);
            assert!(chain.records.is_empty());
        }
    }
}
