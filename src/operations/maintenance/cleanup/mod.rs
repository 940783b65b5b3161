//! `cleanup_old_logs`: log blobs that are older than the policy says go; what tables keep is told.

mod decide;
mod sieve;

use std::collections::BTreeMap;

use super::TaskResult;
use crate::app::App;
use crate::azure::{Error, blobs, log_analytics, storage};
use crate::changes::{Manifest, apply, id, open_on, protected};
use crate::domain::{Change, ChangeKind, Finding, Mutation, ResourceId};
use crate::estate::{Estate, Kind, LogContainer};
use crate::journal::{Journal, Run};
use decide::{KINDS, Lifecycle, lifecycle, short_tables};
use sieve::{Sieve, Sieved};

/// Who proposes what this task finds.
const PROPOSER: &str = "poolkeeper";

/// What the task has found so far.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    counts: BTreeMap<String, u64>,
    /// Places that could not be read.
    unread: Vec<String>,
}

impl Told {
    fn count(&mut self, name: &str, n: u64) {
        *self.counts.entry(name.to_owned()).or_default() += n;
    }

    fn find(&mut self, code: &str, subject: String, message: impl Into<String>) {
        self.findings.push(Finding::new(code, subject, message));
    }
}

/// Cleans every container that the estate lists, and looks at the tables of every workspace.
///
/// Containers under a hold, with an immutability policy or a mark, and those that a lifecycle rule
/// covers, are left alone and told. Everything that goes is proposed in one list per container.
/// Taken up again, it goes on with the lists that were proposed before. What a dry run would propose
/// is recorded as planned, and nobody can approve it.
///
/// Errors: the store or the journal, or nothing at all could be read.
pub(super) async fn run(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    dry_run: bool,
) -> anyhow::Result<TaskResult> {
    let estate = app.estate()?;
    let mut told = Told::default();
    let mut changes = Vec::new();
    for place in &estate.logs.containers {
        let resource = place.account.blob_container(&place.container);
        let known = id(&run.id, ChangeKind::LogDeletion, &resource);
        if let Some(note) = run.change(&known) {
            changes.push(note.what.clone());
            continue;
        }
        if let Some(open) = open_on(app, ChangeKind::LogDeletion, &resource).await? {
            told.count("changes_waiting", 1);
            let message = format!(
                "{} (proposed before, waits for a decision)",
                open.difference
            );
            told.find("change-waiting", open.id.to_string(), message);
            continue;
        }
        match gather(app, estate, place, &mut told).await {
            Ok(Some(sieved)) => {
                changes.extend(propose(app, place, resource, sieved, &mut told, dry_run).await?);
            }
            Ok(None) => {}
            Err(error) => {
                told.unread.push(format!("{}: {error}", name(place)));
                told.find("container-unreadable", name(place), error.to_string());
            }
        }
    }
    tables(app, &mut told).await?;
    let places = estate.logs.containers.len();
    if places > 0 && told.unread.len() == places {
        anyhow::bail!("no container could be read: {}", told.unread.join("; "));
    }
    let notes = apply(app, journal, run, changes, PROPOSER, dry_run).await?;
    let going: u64 = notes.iter().map(|note| note.what.touches()).sum();
    told.count("blobs_old", going);
    let mut result = TaskResult::new(
        format!(
            "{} blobs in {places} containers looked at, {going} old enough to go; {} tables looked at",
            told.counts.get("blobs_seen").unwrap_or(&0),
            told.counts.get("tables_seen").unwrap_or(&0),
        ),
        told.findings,
    );
    result.counts = told.counts;
    result.tell(&notes);
    Ok(result)
}

fn name(place: &LogContainer) -> String {
    format!("{}/{}", place.account.name(), place.container)
}

/// Lists one place, unless it is not to be cleaned.
async fn gather(
    app: &App,
    estate: &Estate,
    place: &LogContainer,
    told: &mut Told,
) -> Result<Option<Sieved>, Error> {
    let (azure, now) = (app.azure()?, app.clock.now());
    let (found, rules, endpoint) = tokio::try_join!(
        storage::container(azure, &place.account, &place.container),
        storage::deletion_rules(azure, &place.account),
        storage::blob_endpoint(azure, &place.account),
    )?;
    if found.is_none() {
        told.find(
            "container-missing",
            name(place),
            "the estate lists it for cleaning, and it does not exist",
        );
        return Ok(None);
    }
    let is_own = app.is_own(&endpoint, &place.container);
    if let Some(why) = protected(found.as_ref(), &place.container, is_own) {
        told.count("containers_protected", 1);
        told.find(
            "container-protected",
            name(place),
            format!("{why}: nothing is deleted"),
        );
        return Ok(None);
    }
    let covered = by_lifecycle(&rules, place, told);
    if covered.len() == KINDS.len() {
        told.count("containers_covered", 1);
        return Ok(None);
    }
    azure.pace_account(&endpoint, estate.logs.calls_per_second);
    let most = estate.policy(ChangeKind::LogDeletion).most_per_run;
    let mut sieve = Sieve::new(place.keep_days, covered, most, now);
    let (container, prefix) = (&place.container, &place.prefix);
    blobs::each(azure, &endpoint, container, prefix, |blob| sieve.take(blob)).await?;
    Ok(Some(sieve.done()))
}

/// The kinds of blobs that lifecycle rules delete in time here. What they do not do is told.
fn by_lifecycle(
    rules: &[storage::DeletionRule],
    place: &LogContainer,
    told: &mut Told,
) -> Vec<&'static str> {
    let (mut covered, mut late) = (Vec::new(), None);
    for kind in KINDS {
        match lifecycle(
            rules,
            &place.container,
            &place.prefix,
            kind,
            place.keep_days,
        ) {
            Lifecycle::Covers { rule, after_days } => {
                let container = name(place);
                tracing::info!(
                    container,
                    kind,
                    rule,
                    after_days,
                    "left to its lifecycle rule"
                );
                covered.push(kind);
            }
            Lifecycle::TooLate { rule, after_days } => late = Some((rule, after_days)),
            Lifecycle::None => {}
        }
    }
    if let Some((rule, after_days)) = late {
        told.find(
            "lifecycle-too-late",
            name(place),
            format!(
                "lifecycle rule `{rule}` deletes after {after_days} days, and the policy says {}",
                place.keep_days
            ),
        );
    } else if covered.is_empty() {
        told.find(
            "no-lifecycle-rule",
            name(place),
            format!(
                "no lifecycle rule deletes blobs here after {} days: one would do so at no cost",
                place.keep_days
            ),
        );
    }
    covered
}

async fn propose(
    app: &App,
    place: &LogContainer,
    resource: ResourceId,
    sieved: Sieved,
    told: &mut Told,
    dry_run: bool,
) -> anyhow::Result<Option<Change>> {
    told.count("blobs_seen", sieved.seen);
    for (skip, n) in &sieved.skipped {
        told.count(&format!("skipped_{}", skip.as_str()), *n);
    }
    let skipped: u64 = sieved.skipped.values().sum();
    if skipped > 0 {
        let why: Vec<String> = sieved
            .skipped
            .iter()
            .map(|(skip, n)| format!("{n} {}", skip.as_str().replace('_', " ")))
            .collect();
        told.find(
            "blobs-skipped",
            name(place),
            format!("{skipped} old blobs stay: {}", why.join(", ")),
        );
    }
    if sieved.going.is_empty() {
        return Ok(None);
    }
    let blobs = sieved.old;
    if blobs > sieved.going.len() as u64 {
        told.find(
            "too-many-at-once",
            name(place),
            format!(
                "{blobs} blobs are old enough to go, and policy.log_deletion.most_per_run is less: nothing is deleted until it is raised"
            ),
        );
    }
    let manifest = Manifest {
        account: place.account.clone(),
        container: place.container.clone(),
        older_than: sieved.older_than,
        blobs: sieved.going,
    };
    let bytes = sieved.bytes;
    let hash = if dry_run {
        manifest.hash()?
    } else {
        manifest.keep(app).await?
    };
    let mutation = Mutation::LogDeletion {
        older_than: sieved.older_than,
        blobs,
        of_blobs: sieved.seen,
        bytes,
        manifest: hash,
    };
    let why = format!("logs are kept for {} days", place.keep_days);
    Ok(Some(Change::new(resource, mutation, why)))
}

async fn tables(app: &App, told: &mut Told) -> anyhow::Result<()> {
    let (estate, azure) = (app.estate()?, app.azure()?);
    for workspace in estate
        .resources()
        .iter()
        .filter(|r| r.kind == Kind::Workspace)
    {
        match log_analytics::tables(azure, &workspace.id).await {
            Ok(tables) => {
                told.count("tables_seen", tables.len() as u64);
                told.findings
                    .extend(short_tables(&workspace.name, &tables, &estate.logs));
            }
            Err(error) => {
                told.find(
                    "workspace-unreadable",
                    workspace.name.clone(),
                    error.to_string(),
                );
            }
        }
    }
    Ok(())
}
