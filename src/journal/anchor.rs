//! Anchors: the heads of all chains, kept where they cannot be changed.
//!
//! A chain alone cannot show that its end was cut off or that all of it was written anew. An
//! anchor in an immutable container, made each day, can.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{Broken, Chain, Hash, Head, RunId};
use crate::store::{Created, Store};

/// How many chains are read at once.
const AT_ONCE: usize = 16;

/// The heads of all chains at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub at: DateTime<Utc>,
    /// The run that wrote it.
    pub run: RunId,
    /// Name and hash of the anchor before this one, so that anchors form a chain themselves.
    pub previous: Option<(String, Hash)>,
    pub heads: BTreeMap<String, Head>,
}

/// What is known of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainVerdict {
    pub run: String,
    pub records: u64,
    /// Up to which record an anchor proves the chain; 0 if none does.
    pub proven: u64,
    pub broken: Option<Broken>,
}

/// How far a verification could go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "proof")]
pub enum Proof {
    /// Held against this anchor.
    Anchored { anchor: String, at: DateTime<Utc> },
    /// There is no anchor yet: records may have been cut off without a trace.
    TailUnproven,
}

/// The verdict on all chains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    #[serde(flatten)]
    pub proof: Proof,
    pub chains: Vec<ChainVerdict>,
}

impl Verification {
    pub fn broken(&self) -> impl Iterator<Item = (&str, &Broken)> {
        self.chains
            .iter()
            .filter_map(|c| c.broken.as_ref().map(|b| (c.run.as_str(), b)))
    }
}

/// The newest anchor with its name.
pub async fn newest(anchors: &Store) -> anyhow::Result<Option<(String, Anchor)>> {
    let Some(name) = anchors
        .list_all("anchor/")
        .await
        .context("list anchors")?
        .pop()
    else {
        return Ok(None);
    };
    let anchor = anchors
        .get::<Anchor>(&name)
        .await
        .with_context(|| format!("read anchor `{name}`"))?;
    Ok(anchor.map(|stored| (name, stored.value)))
}

/// Reads every chain and holds it against the newest anchor.
pub async fn verify_all(store: &Store, anchors: &Store) -> anyhow::Result<Verification> {
    // The anchor is read first: a chain that grows meanwhile is still proven by it.
    let anchor = newest(anchors).await?;
    let mut chains = each_chain(store, |run, chain| {
        let head = anchor.as_ref().and_then(|(_, a)| a.heads.get(run));
        let broken = match head {
            Some(head) => chain.against(head),
            None => chain.broken.clone(),
        };
        ChainVerdict {
            run: run.to_owned(),
            records: chain.head().seq,
            proven: head.filter(|_| broken.is_none()).map_or(0, |h| h.seq),
            broken,
        }
    })
    .await?;
    if let Some((_, anchor)) = &anchor {
        for (run, head) in &anchor.heads {
            chains.entry(run.clone()).or_insert_with(|| ChainVerdict {
                run: run.clone(),
                records: 0,
                proven: 0,
                broken: Some(Broken::Gone { anchored: head.seq }),
            });
        }
    }
    Ok(Verification {
        proof: match anchor {
            Some((name, anchor)) => Proof::Anchored {
                anchor: name,
                at: anchor.at,
            },
            None => Proof::TailUnproven,
        },
        chains: chains.into_values().collect(),
    })
}

/// Writes the heads of all chains as they stand. A broken chain is anchored as far as it is
/// good; one that an earlier anchor proves to be cut or rewritten keeps its earlier head, so that
/// the damage stays visible.
///
/// Safe to repeat: the anchor's name comes from the run, and an anchor that is there stays.
pub async fn write(
    store: &Store,
    anchors: &Store,
    run: &RunId,
    now: DateTime<Utc>,
) -> anyhow::Result<(String, usize)> {
    let previous = newest(anchors).await?;
    let mut heads = each_chain(store, |run, chain| {
        let before = previous.as_ref().and_then(|(_, a)| a.heads.get(run));
        match before {
            Some(before) if chain.against(before).is_some() => before.clone(),
            _ => chain.head(),
        }
    })
    .await?;
    for (name, head) in previous.iter().flat_map(|(_, a)| &a.heads) {
        heads.entry(name.clone()).or_insert_with(|| head.clone());
    }
    let chains = heads.len();
    let anchor = Anchor {
        at: now,
        run: run.clone(),
        previous: match &previous {
            Some((name, anchor)) => {
                let bytes = serde_json::to_vec(anchor).context("write the previous anchor")?;
                Some((name.clone(), Hash::of(&bytes)))
            }
            None => None,
        },
        heads,
    };
    let name = format!("anchor/{}-{run}.json", now.format("%Y%m%dT%H%M%S"));
    match anchors
        .create(&name, &anchor)
        .await
        .context("write the anchor")?
    {
        Created::New(_) | Created::Exists => {}
    }
    let read_back = anchors
        .get::<Anchor>(&name)
        .await
        .context("read the anchor back")?
        .context("the anchor that was just written is not there")?;
    anyhow::ensure!(
        read_back.value == anchor,
        "the anchor `{name}` holds something else than was written"
    );
    Ok((name, chains))
}

/// What `judge` makes of each chain. A chain is let go when it is judged, so that memory holds a
/// few of them and not all.
async fn each_chain<T>(
    store: &Store,
    judge: impl Fn(&str, &Chain) -> T,
) -> anyhow::Result<BTreeMap<String, T>> {
    let names = store
        .list_all("journal/")
        .await
        .context("list the journal")?;
    let judge = &judge;
    stream::iter(names)
        .map(|name| async move {
            let run = name
                .strip_prefix("journal/")
                .and_then(|n| n.strip_suffix(".log"))
                .unwrap_or(&name)
                .to_owned();
            let log = store
                .log(&name)
                .await
                .with_context(|| format!("read `{name}`"))?
                .unwrap_or_default();
            let judged = judge(&run, &Chain::read(&run, &log));
            Ok((run, judged))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
