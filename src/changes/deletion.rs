//! Deletion of many blobs: by a list that was approved, in batches, each blob only as it was seen.

use std::collections::{BTreeMap, VecDeque};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use reqwest::Url;

use super::apply::tell;
use super::brake::Brake;
use super::protection::{place, protected};
use super::{Listed, Manifest};
use crate::app::App;
use crate::azure::blobs::Deletion;
use crate::azure::{Azure, blobs, storage};
use crate::domain::{Hold, Mutation, Outcome};
use crate::estate::LogContainer;
use crate::journal::{ChangeNote, Journal, Run, Step};
use crate::store::Error;

/// How many blobs one entry of the journal stands for.
const BATCH: usize = 100;
/// How many deletions are under way.
const AT_ONCE: usize = 32;
/// A cleanup that fails this often is not going to work.
const MOST_FAILURES: u64 = 50;

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
    let place = match place(estate, own, &manifest, app.clock.now()) {
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
    match storage::container(azure, &manifest.account, &place.container).await {
        Ok(found) => {
            let own = app.is_own(&endpoint, &place.container);
            if let Some(why) = protected(found.as_ref(), &place.container, own) {
                return Ok(Outcome::Held {
                    hold: Hold::Protected { why },
                });
            }
        }
        Err(error) => return failed("look at the container", &error),
    }
    azure.pace_account(&endpoint, estate.logs.calls_per_second);
    // What a process that died had deleted is not asked for again, one by one.
    let left = match own.begun {
        None => None,
        Some(_) => match there(azure, &endpoint, place).await {
            Ok(there) => Some(there),
            Err(error) => return failed("look at what is left", &error),
        },
    };
    let going = batches(&manifest, &own.batches, left.as_ref());
    let with = With {
        azure,
        endpoint: &endpoint,
        manifest: &manifest,
        brake,
    };
    let mut counts = all_batches(app, journal, run, own, going, &with).await?;
    counts.spared += own.spared;
    if let Some(hold) = counts.hold {
        return Ok(Outcome::Held { hold });
    }
    verify(azure, &endpoint, &manifest, place, &counts).await
}

/// Blob after blob in the order of the list, so many at once. Each batch is written down before its
/// first blob goes and after its last one has.
async fn all_batches(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    own: &ChangeNote,
    going: Vec<Batch<'_>>,
    with: &With<'_>,
) -> anyhow::Result<Counts> {
    let mut total = Counts::default();
    let mut under_way = FuturesUnordered::new();
    let mut results = VecDeque::new();
    let mut open: BTreeMap<u32, (usize, Counts)> = BTreeMap::new();
    let mut waiting: VecDeque<Batch<'_>> = going.into();
    let mut next: VecDeque<(u32, &Listed)> = VecDeque::new();
    loop {
        let going = total.hold.is_none() && total.failed < MOST_FAILURES;
        while going && under_way.len() < AT_ONCE {
            if next.is_empty() {
                let Some(batch) = waiting.pop_front() else {
                    break;
                };
                let step = Step::Intent {
                    batch: Some(batch.number),
                    what: batch.what(with.manifest),
                };
                let told = tell(app, journal, run, &own.id, step);
                meanwhile(told, &mut under_way, &mut results).await?;
                let counts = Counts {
                    gone: batch.gone,
                    ..Counts::default()
                };
                open.insert(batch.number, (batch.left.len(), counts));
                next.extend(batch.left.into_iter().map(|blob| (batch.number, blob)));
                if next.is_empty() {
                    // All of it was deleted before this process began.
                    results.push_back((batch.number, None));
                    break;
                }
            }
            if let Some((number, blob)) = next.pop_front() {
                under_way.push(one(number, blob, with));
            }
        }
        let result = match results.pop_front() {
            Some(result) => Some(result),
            None => under_way.next().await,
        };
        let Some((number, counts)) = result else {
            return Ok(total);
        };
        let Some((left, batch)) = open.get_mut(&number) else {
            continue;
        };
        if let Some(counts) = counts {
            *left -= 1;
            total.hold = total.hold.take().or(counts.hold.clone());
            total.failed += counts.failed;
            total.failure = total.failure.take().or(counts.failure.clone());
            batch.add(counts);
        }
        if *left == 0 && batch.hold.is_none() {
            let step = Step::BatchDone {
                batch: number,
                deleted: batch.deleted,
                gone: batch.gone,
                spared: batch.spared,
                failed: batch.failed,
            };
            total.deleted += batch.deleted;
            total.gone += batch.gone;
            total.spared += batch.spared;
            open.remove(&number);
            let told = tell(app, journal, run, &own.id, step);
            meanwhile(told, &mut under_way, &mut results).await?;
        }
    }
}

/// Waits for the journal without leaving what is under way alone.
async fn meanwhile<F: Future>(
    told: impl Future<Output = Result<(), Error>>,
    under_way: &mut FuturesUnordered<F>,
    results: &mut VecDeque<F::Output>,
) -> Result<(), Error> {
    let mut told = std::pin::pin!(told);
    loop {
        tokio::select! {
            told = &mut told => return told,
            Some(result) = under_way.next(), if !under_way.is_empty() => results.push_back(result),
        }
    }
}

/// What all deletions of one change share.
struct With<'a> {
    azure: &'a Azure,
    endpoint: &'a Url,
    manifest: &'a Manifest,
    brake: &'a Brake<'a>,
}

/// A part of a list.
struct Batch<'a> {
    number: u32,
    /// What is still to be deleted of it.
    left: Vec<&'a Listed>,
    /// How many of its blobs are not there any more.
    gone: u64,
}

impl Batch<'_> {
    fn what(&self, manifest: &Manifest) -> String {
        let first = self.number as usize * BATCH;
        let last = (first + BATCH).min(manifest.blobs.len());
        format!(
            "delete blobs {} to {last} of {}",
            first + 1,
            manifest.blobs.len()
        )
    }
}

/// The batches that are not done. `there` is what is left, if that was looked up.
fn batches<'a>(
    manifest: &'a Manifest,
    done: &[u32],
    there: Option<&BTreeMap<String, String>>,
) -> Vec<Batch<'a>> {
    let is_there = |Listed(name, etag, _): &&Listed| {
        there.is_none_or(|there| there.get(name).is_some_and(|found| found == etag))
    };
    let parts = manifest.blobs.chunks(BATCH).enumerate();
    parts
        .map(|(number, blobs)| {
            let left: Vec<&Listed> = blobs.iter().filter(is_there).collect();
            Batch {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                gone: (blobs.len() - left.len()) as u64,
                left,
            }
        })
        .filter(|batch| !done.contains(&batch.number))
        .collect()
}

async fn one(number: u32, blob: &Listed, with: &With<'_>) -> (u32, Option<Counts>) {
    let Listed(name, etag, _) = blob;
    let mut counts = Counts::default();
    let With {
        azure,
        endpoint,
        manifest,
        brake,
    } = with;
    match blobs::delete(azure, endpoint, &manifest.container, name, etag, *brake).await {
        Ok(Deletion::Deleted) => counts.deleted = 1,
        Ok(Deletion::Gone) => counts.gone = 1,
        Ok(Deletion::Spared) => counts.spared = 1,
        Err(error) => match brake.pulled().await {
            Some(hold) => counts.hold = Some(hold),
            None => {
                counts.failed = 1;
                counts.failure = Some(error.to_string());
            }
        },
    }
    (number, Some(counts))
}

/// Every blob of a place with the version that is there now, snapshots left out.
async fn there(
    azure: &Azure,
    endpoint: &Url,
    place: &LogContainer,
) -> Result<BTreeMap<String, String>, crate::azure::Error> {
    let mut found = BTreeMap::new();
    let (container, prefix) = (&place.container, &place.prefix);
    blobs::each(azure, endpoint, container, prefix, |blob| {
        if !blob.is_snapshot {
            found.insert(blob.name, blob.etag);
        }
    })
    .await?;
    Ok(found)
}

/// Lists once more: what was to go and is still there as it was seen was not deleted.
async fn verify(
    azure: &Azure,
    endpoint: &Url,
    manifest: &Manifest,
    place: &LogContainer,
    counts: &Counts,
) -> anyhow::Result<Outcome> {
    let there = match there(azure, endpoint, place).await {
        Ok(there) => there,
        Err(error) => {
            return Ok(Outcome::NotVerified {
                wanted: "gone".into(),
                seen: format!("the container cannot be listed: {error}"),
            });
        }
    };
    let (mut left, mut newer) = (0_u64, 0_u64);
    for Listed(name, etag, _) in &manifest.blobs {
        match there.get(name) {
            Some(found) if found == etag => left += 1,
            Some(_) => newer += 1,
            None => {}
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
