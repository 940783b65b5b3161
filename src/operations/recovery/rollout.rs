//! Another template of an app is another revision: what is looked at before, and done after it.

use anyhow::Context as _;

use super::plan::{Seen, to_restart, traffic};
use crate::app::App;
use crate::azure::container_apps;
use crate::changes;
use crate::domain::{Change, ChangeId, Mutation, Outcome, ResourceId};
use crate::journal::{Journal, Run};

/// After a change that was verified: where it has made another revision beside the one that serves,
/// proposes that requests go there, if it is ready. What came of that; `None` where there is nothing
/// to be moved. Safe to repeat: taken up again, a run goes on with what it has proposed.
pub(in crate::operations) async fn move_requests(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    after: &Change,
    by: &str,
) -> anyhow::Result<Option<(ChangeId, Outcome)>> {
    if !matches!(
        after.mutation,
        Mutation::AppReplicas { .. } | Mutation::AppScaleRules { .. }
    ) {
        return Ok(None);
    }
    let resource = &after.resource;
    let mut notes = run.changes.iter();
    let begun = notes.find(|note| {
        matches!(note.what.mutation, Mutation::AppTraffic { .. }) && note.what.resource == *resource
    });
    let moved = match begun {
        Some(note) => Some(note.what.clone()),
        None => {
            let seen = gather(app, resource).await;
            let seen = seen.context("see where requests go after a rollout")?;
            let mutation = traffic(&seen);
            mutation.map(|mutation| Change::new(resource.clone(), mutation, &after.why))
        }
    };
    match moved {
        Some(change) => one(app, journal, run, change, by).await.map(Some),
        None => Ok(None),
    }
}

/// Proposes one change and brings it as far as it goes.
pub(super) async fn one(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    change: Change,
    by: &str,
) -> anyhow::Result<(ChangeId, Outcome)> {
    let notes = changes::apply(app, journal, run, vec![change], by, false).await?;
    let note = notes
        .into_iter()
        .next()
        .context("a change came to nothing")?;
    let outcome = note.outcome.context("a change has no outcome")?;
    Ok((note.id, outcome))
}

/// Reads what Azure says of an app.
pub(super) async fn gather(app: &App, id: &ResourceId) -> Result<Seen, crate::azure::Error> {
    let azure = app.azure()?;
    let found = container_apps::app(azure, id).await?;
    let revisions = container_apps::revisions(azure, id).await?;
    let replicas = match to_restart(&found, &revisions) {
        Some(revision) => container_apps::running(azure, id, &revision.name).await?,
        None => Vec::new(),
    };
    Ok(Seen {
        app: found,
        revisions,
        replicas,
    })
}
