//! Scale-ups, taken back when all has been well for long enough.

use super::record::{self, Recovery, Scaled, name};
use super::{BY, found, roll_out};
use crate::app::App;
use crate::changes;
use crate::domain::{IncidentEvent, Outcome};
use crate::estate::Endpoint;
use crate::journal::{Journal, Run, Work};
use crate::operations::accept;
use crate::operations::health::{self, Prober, happened};

/// Begins to take the newest scale-up of an app back, if all of it has been well for long enough.
pub(super) async fn tick(app: &App, recovery: &Recovery) -> anyhow::Result<()> {
    let Some(scaled) = recovery.scaled.last() else {
        return Ok(());
    };
    let now = app.clock.now();
    let of_app = app.estate()?.health.endpoints.iter();
    let of_app: Vec<_> = of_app.filter(|e| e.app == recovery.app).collect();
    if !of_app.iter().any(|e| e.name == scaled.endpoint) {
        // Nobody can say any more whether it is needed: people have to.
        return forget(app, recovery, scaled).await;
    }
    for endpoint in of_app {
        let record = health::read(app, &endpoint.name).await?;
        let well = record
            .well_since
            .is_some_and(|since| now - since >= endpoint.calm);
        if !well || now - scaled.since < endpoint.calm {
            return Ok(());
        }
    }
    let work = Work::Recovery {
        endpoint: scaled.endpoint.clone(),
        incident: scaled.incident.clone(),
        attempt: scaled.attempt,
        step: scaled.tries,
        undo: true,
    };
    let run = name(
        "calm",
        &scaled.endpoint,
        &recovery.app,
        scaled.attempt,
        scaled.tries,
    );
    accept(app, run, work).await?;
    Ok(())
}

async fn forget(app: &App, recovery: &Recovery, scaled: &Scaled) -> anyhow::Result<()> {
    record::update(app, &recovery.app, &recovery.stamp, |recovery| {
        let before = recovery.scaled.len();
        recovery
            .scaled
            .retain(|known| known.change != scaled.change);
        recovery.scaled.len() < before
    })
    .await?;
    Ok(())
}

/// Takes a scale-up back. Safe to repeat.
pub(super) async fn undo(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    endpoint: &Endpoint,
    attempt: u32,
    tries: u32,
) -> anyhow::Result<()> {
    let Some(recovery) = record::find(app, &endpoint.app).await? else {
        return Ok(());
    };
    let mut all = recovery.scaled.iter();
    let Some(scaled) = all.find(|s| s.attempt == attempt && s.tries == tries) else {
        return Ok(());
    };
    let change = match run.changes.first() {
        Some(note) => note.what.clone(),
        None => {
            if recovery.open().is_some() {
                // It fails again: what helped is kept.
                return again(app, &recovery, scaled).await;
            }
            let record = changes::find(app, &scaled.change).await?;
            let why = format!("{} has been well for long enough", endpoint.name);
            let Some(change) = record.and_then(|record| record.change.inverse(&why)) else {
                let why = format!("change {} cannot be taken back", scaled.change);
                found(app, journal, run, "scale-up-stays", &why).await?;
                return forget(app, &recovery, scaled).await;
            };
            change
        }
    };
    let (id, outcome) = roll_out(app, journal, run, change).await?;
    let event = IncidentEvent::Repair {
        action: "scale_back".into(),
        run: run.id.to_string(),
        change: Some(id),
        outcome: outcome.to_string(),
        healthy: match outcome {
            Outcome::Verified { .. } | Outcome::NotVerified { .. } => {
                Some(Prober::new(app)?.is_well(endpoint).await)
            }
            _ => None,
        },
    };
    happened(app, &scaled.incident, event).await?;
    tracing::info!(endpoint = endpoint.name, %outcome, by = BY, "scale-up taken back");
    match outcome {
        Outcome::Held { hold } if hold.passes() => again(app, &recovery, scaled).await,
        _ => forget(app, &recovery, scaled).await,
    }
}

/// Counts calm anew, and tries once more after it.
async fn again(app: &App, recovery: &Recovery, scaled: &Scaled) -> anyhow::Result<()> {
    let now = app.clock.now();
    record::update(app, &recovery.app, &recovery.stamp, |recovery| {
        let mut all = recovery.scaled.iter_mut();
        let known = all.find(|s| s.change == scaled.change && s.tries == scaled.tries);
        let Some(known) = known else { return false };
        known.tries += 1;
        known.since = now;
        true
    })
    .await?;
    Ok(())
}
