//! What the guard judges by, read while the lease on the resource is held.

use chrono::{DateTime, Utc};

use super::guard::{Approval, Facts};
use super::record::{self, ResourceDocument};
use super::{KillSwitch, SCALING, hash};
use crate::app::App;
use crate::domain::{ChangeKind, Mutation};
use crate::estate::{Estate, Kind};
use crate::journal::{ChangeNote, Run};

/// Reads everything that decides whether `own`, one of the changes of `run`, may be made.
pub(super) async fn facts(
    app: &App,
    run: &Run,
    own: &ChangeNote,
    document: &ResourceDocument,
    approval: Option<Approval>,
    proposed: DateTime<Utc>,
) -> anyhow::Result<Facts> {
    let (estate, now) = (app.estate()?, app.clock.now());
    let kind = own.what.kind();
    // What the run has taken off the table touches nothing.
    let same_kind = || {
        let notes = run.changes.iter().filter(|note| note.what.kind() == kind);
        notes.filter(|note| !note.came(&["rejected"]))
    };
    let touches = same_kind().map(|note| note.what.touches()).sum();
    let part = match &own.what.mutation {
        Mutation::LogDeletion {
            blobs, of_blobs, ..
        } => (*blobs, *of_blobs),
        _ => (same_kind().count() as u64, in_estate(estate, kind)),
    };
    let owner = document
        .owner
        .as_ref()
        .filter(|(id, until)| *id != own.id && *until > now)
        .map(|(id, _)| id.clone());
    Ok(Facts {
        stopped: KillSwitch::read(app).await?.stopped(),
        in_estate: estate.target(own.what.resource.as_str()).is_some(),
        unnamed: app.unnamed_subscription(&own.what.resource),
        ceiling: app.config.ceiling,
        owner,
        touches,
        part,
        last_change: document.last_change,
        within_hour: record::within_hour(app, kind, now).await?,
        hash: hash(&own.what),
        approval,
        ask_first: own.what.ask_first.clone(),
        scaled_by: scaled_by(estate, own),
        proposer: own.by.clone(),
        proposed,
        begun: own.begun.is_some(),
    })
}

/// Who alone scales what a change is about, unless that is who proposed it.
fn scaled_by(estate: &Estate, own: &ChangeNote) -> Option<String> {
    let (scaling, on) = (&estate.scaling, &own.what.resource);
    let is_owned = match own.what.kind() {
        ChangeKind::CosmosThroughput => scaling.throughput(on).is_some(),
        ChangeKind::AppReplicas | ChangeKind::AppScaleRules => scaling.replicas(on).is_some(),
        ChangeKind::CosmosIndexing
        | ChangeKind::AppRestart
        | ChangeKind::AppTraffic
        | ChangeKind::CacheFlush
        | ChangeKind::LogDeletion => false,
    };
    (is_owned && own.by != SCALING).then(|| SCALING.to_owned())
}

/// How many things of a kind the estate has.
fn in_estate(estate: &Estate, kind: ChangeKind) -> u64 {
    let count = match kind {
        ChangeKind::CosmosThroughput | ChangeKind::CosmosIndexing => estate
            .stamps
            .iter()
            .filter_map(|stamp| stamp.cosmos.as_ref())
            .map(|cosmos| cosmos.containers.len())
            .sum(),
        ChangeKind::AppReplicas
        | ChangeKind::AppScaleRules
        | ChangeKind::AppRestart
        | ChangeKind::AppTraffic => of_kind(estate, Kind::ContainerApp),
        ChangeKind::CacheFlush => of_kind(estate, Kind::Redis),
        ChangeKind::LogDeletion => estate.logs.containers.len(),
    };
    count as u64
}

fn of_kind(estate: &Estate, kind: Kind) -> usize {
    let resources = estate.resources().iter();
    resources.filter(|r| r.kind == kind).count()
}
