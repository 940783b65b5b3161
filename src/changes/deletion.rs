//! Deletion of many blobs: by a list that was approved, in batches, each blob only as it was seen.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, stream};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::brake::Brake;
use crate::app::App;
use crate::azure::blobs::Deletion;
use crate::azure::{Azure, blobs, storage};
use crate::domain::{Hold, Mutation, Outcome, ResourceId};
use crate::estate::{Estate, LogContainer, Mark};
use crate::journal::{ChangeNote, Event, Hash, Journal, Run, Step, note};

/// How many blobs one entry of the journal stands for.
const BATCH: usize = 200;
/// How many batches are under way, so that the last calls of one do not keep the next waiting.
const BATCHES_AT_ONCE: usize = 4;
/// How many deletions are under way in one batch.
const AT_ONCE: usize = 32;
/// A cleanup that fails this often is not going to work.
const MOST_FAILURES: u64 = 50;

/// The blobs of one deletion, each as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub account: ResourceId,
    pub container: String,
    pub older_than: DateTime<Utc>,
    pub blobs: Vec<Listed>,
}

/// One blob of a list: name, version, bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed(pub String, pub String, pub u64);

impl Manifest {
    /// The hash of the list, as text.
    pub fn hash(&self) -> anyhow::Result<String> {
        Ok(Hash::of(&serde_json::to_vec(self)?).as_str().to_owned())
    }

    /// Keeps the list under the hash of its text, and gives that hash. Safe to repeat.
    pub async fn keep(&self, app: &App) -> anyhow::Result<String> {
        let text = serde_json::to_vec(self)?;
        let hash = self.hash()?;
        app.store()?.create_bytes(&path(&hash), text.into()).await?;
        Ok(hash)
    }

    /// Reads a list back; `Err` with why, if it is not the one that the hash names.
    async fn read(app: &App, hash: &str) -> anyhow::Result<Result<Self, String>> {
        let Some(text) = app.store()?.bytes(&path(hash)).await? else {
            return Ok(Err("the list of blobs is gone".into()));
        };
        if Hash::of(&text).as_str() != hash {
            return Ok(Err("the list of blobs was edited".into()));
        }
        Ok(serde_json::from_slice(&text).map_err(|e| e.to_string()))
    }
}

fn path(hash: &str) -> String {
    format!("manifests/{hash}.json")
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
struct Counts {
    deleted: u64,
    gone: u64,
    spared: u64,
    failed: u64,
    failure: Option<String>,
    hold: Option<Hold>,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.deleted += other.deleted;
        self.gone += other.gone;
        self.spared += other.spared;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
        self.hold = self.hold.take().or(other.hold);
    }
}

/// Deletes the blobs of a list. Taken up again, it goes on with the batches that are not written
/// down as done.
pub(super) async fn carry_out(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    own: &ChangeNote,
    brake: &Brake<'_>,
) -> anyhow::Result<Outcome> {
    let Mutation::LogDeletion { manifest, .. } = &own.what.mutation else {
        anyhow::bail!("change {} deletes no blobs", own.id);
    };
    let manifest = match Manifest::read(app, manifest).await? {
        Ok(manifest) => manifest,
        Err(why) => return Ok(Outcome::Failed { why }),
    };
    let (estate, azure) = (app.estate()?, app.azure()?);
    let place = match place(estate, &manifest) {
        Ok(place) => place,
        Err(hold) => return Ok(Outcome::Held { hold }),
    };
    let failed = |doing: &str, error: &crate::azure::Error| {
        Ok(Outcome::Failed {
            why: format!("{doing}: {error}"),
        })
    };
    let endpoint = match storage::blob_endpoint(azure, &manifest.account).await {
        Ok(endpoint) => endpoint,
        Err(error) => return failed("find the blobs", &error),
    };
    match storage::containers(azure, &manifest.account).await {
        Ok(found) => {
            if let Some(why) = protected(&found, &place.container) {
                return Ok(Outcome::Held {
                    hold: Hold::Protected { why },
                });
            }
        }
        Err(error) => return failed("look at the container", &error),
    }
    azure.pace_account(&endpoint, estate.logs.calls_per_second);
    let counts = all_batches(app, journal, run, own, &manifest, &endpoint, brake).await?;
    if let Some(hold) = counts.hold {
        return Ok(Outcome::Held { hold });
    }
    verify(azure, &endpoint, &manifest, place, &counts).await
}

/// Batch after batch, two at once, each written down before it is begun and after it is done.
async fn all_batches(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    own: &ChangeNote,
    manifest: &Manifest,
    endpoint: &Url,
    brake: &Brake<'_>,
) -> anyhow::Result<Counts> {
    let azure = app.azure()?;
    let mut total = Counts::default();
    let mut under_way = FuturesUnordered::new();
    let mut waiting = manifest
        .blobs
        .chunks(BATCH)
        .enumerate()
        .map(|(number, blobs)| (number as u32, blobs))
        .filter(|(number, _)| !own.batches.contains(number))
        .collect::<VecDeque<_>>();
    loop {
        let going = total.hold.is_none() && total.failed < MOST_FAILURES;
        while going && under_way.len() < BATCHES_AT_ONCE {
            let Some((number, blobs)) = waiting.pop_front() else {
                break;
            };
            let first = number as usize * BATCH;
            let step = Step::Intent {
                batch: Some(number),
                what: format!(
                    "delete blobs {} to {} of {}",
                    first + 1,
                    first + blobs.len(),
                    manifest.blobs.len()
                ),
            };
            tell(app, journal, run, own, step).await?;
            under_way.push(batch(azure, endpoint, manifest, number, blobs, brake));
        }
        let Some((number, counts)) = under_way.next().await else {
            return Ok(total);
        };
        if counts.hold.is_none() {
            let step = Step::BatchDone {
                batch: number,
                deleted: counts.deleted,
                gone: counts.gone,
                spared: counts.spared,
                failed: counts.failed,
            };
            tell(app, journal, run, own, step).await?;
        }
        total.add(counts);
    }
}

async fn tell(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    own: &ChangeNote,
    step: Step,
) -> anyhow::Result<()> {
    let change = own.id.clone();
    let event = Event::Change { change, step };
    Ok(note(journal, run, event, app.clock.now()).await?)
}

async fn batch(
    azure: &Azure,
    endpoint: &Url,
    manifest: &Manifest,
    number: u32,
    listed: &[Listed],
    brake: &Brake<'_>,
) -> (u32, Counts) {
    // Made before the stream is: a lazy closure over references is not `Send` enough.
    let each: Vec<_> = listed
        .iter()
        .map(|blob| one(azure, endpoint, &manifest.container, blob, brake))
        .collect();
    let total = stream::iter(each)
        .buffer_unordered(AT_ONCE)
        .fold(Counts::default(), |mut total, counts| async move {
            total.add(counts);
            total
        })
        .await;
    (number, total)
}

async fn one(
    azure: &Azure,
    endpoint: &Url,
    container: &str,
    Listed(name, etag, _): &Listed,
    brake: &Brake<'_>,
) -> Counts {
    let mut counts = Counts::default();
    if let Some(hold) = brake.pulled().await {
        counts.hold = Some(hold);
        return counts;
    }
    match blobs::delete(azure, endpoint, container, name, etag).await {
        Ok(Deletion::Deleted) => counts.deleted = 1,
        Ok(Deletion::Gone) => counts.gone = 1,
        Ok(Deletion::Spared) => counts.spared = 1,
        Err(error) => {
            counts.failed = 1;
            counts.failure = Some(error.to_string());
        }
    }
    counts
}

/// Lists once more: what was to go and is still there as it was seen was not deleted.
async fn verify(
    azure: &Azure,
    endpoint: &Url,
    manifest: &Manifest,
    place: &LogContainer,
    counts: &Counts,
) -> anyhow::Result<Outcome> {
    let wanted: std::collections::BTreeMap<&str, &str> = manifest
        .blobs
        .iter()
        .map(|Listed(name, etag, _)| (name.as_str(), etag.as_str()))
        .collect();
    let (mut left, mut newer) = (0_u64, 0_u64);
    let mut from = None;
    loop {
        let listed = blobs::list(
            azure,
            endpoint,
            &place.container,
            &place.prefix,
            from.as_deref(),
        )
        .await;
        let page = match listed {
            Ok(page) => page,
            Err(error) => {
                return Ok(Outcome::NotVerified {
                    wanted: "gone".into(),
                    seen: format!("the container cannot be listed: {error}"),
                });
            }
        };
        for blob in page.blobs.iter().filter(|blob| !blob.is_snapshot) {
            match wanted.get(blob.name.as_str()) {
                Some(etag) if *etag == blob.etag => left += 1,
                Some(_) => newer += 1,
                None => {}
            }
        }
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    let listed = manifest.blobs.len() as u64;
    let seen = format!("{} of {listed} are gone", listed - left - newer);
    let spared = match newer {
        0 => String::new(),
        n => format!("; {n} were written since and are left alone"),
    };
    // Whoever took hold of a blob after it was listed spared it from us.
    let held = left.saturating_sub(counts.failed).min(counts.spared);
    if left > held || counts.failed > 0 {
        let why = counts.failure.clone().unwrap_or_default();
        return Ok(Outcome::NotVerified {
            wanted: format!("{listed} gone"),
            seen: format!("{seen}{spared}; {left} are left {why}")
                .trim()
                .to_owned(),
        });
    }
    let held = match held {
        0 => String::new(),
        n => format!("; {n} are held by somebody and are left alone"),
    };
    Ok(Outcome::Verified {
        seen: format!("{seen}{spared}{held}"),
    })
}

/// The place as the estate lists it now: it may have been taken off the list since.
fn place<'e>(estate: &'e Estate, manifest: &Manifest) -> Result<&'e LogContainer, Hold> {
    let is_protected = estate
        .logs
        .protected
        .iter()
        .any(|p| p.container == manifest.container && p.account == manifest.account.name());
    if is_protected {
        return Err(Hold::Protected {
            why: format!("container {} is protected", manifest.container),
        });
    }
    estate
        .logs
        .containers
        .iter()
        .find(|c| {
            c.account == manifest.account
                && c.container == manifest.container
                && manifest
                    .blobs
                    .iter()
                    .all(|Listed(name, ..)| name.starts_with(&c.prefix))
        })
        .ok_or_else(|| Hold::Protected {
            why: format!(
                "container {} is not listed for cleaning",
                manifest.container
            ),
        })
}

/// Why nothing in a container may be deleted, if so.
pub(crate) fn protected(found: &[storage::Container], container: &str) -> Option<String> {
    let Some(found) = found.iter().find(|c| c.name == container) else {
        return Some(format!("container {container} does not exist"));
    };
    if found.legal_hold {
        return Some(format!("container {container} is under a legal hold"));
    }
    if found.immutable {
        return Some(format!("container {container} has an immutability policy"));
    }
    let mark = found.metadata.iter().find_map(|(name, value)| {
        name.eq_ignore_ascii_case("poolkeeper")
            .then(|| Mark::of(value))
            .flatten()
    });
    mark.map(|mark| format!("container {container} is marked as {mark}"))
}
