//! The timer of scaling: one run for each time that it is due, and none beside one that is at work.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::journal::{RunId, Wake, Work};
use crate::operations::capacity;
use crate::operations::work::{Inbox, accept, settle};
use crate::store::Error;

/// How often scaling looks, minutes.
const EVERY: i64 = 5;
/// Of that, so much may be used: the next one is not to come in between.
const WHOLE: Duration = Duration::from_secs(240);
/// With less than this left, forecasts wait for the next tick.
const LEAST_LEFT: Duration = Duration::from_secs(20);
/// A run that is not finished after this keeps no other from beginning.
const LOST: chrono::Duration = chrono::Duration::minutes(30);
const PATH: &str = "scaling-tick.json";

/// The newest run of the timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    run: Option<RunId>,
    at: DateTime<Utc>,
}

/// Scales what is due, and renews forecasts in the time that is left. Safe to repeat, and from any
/// number of processes: a due time names its run.
///
/// Errors: the estate or the store.
pub async fn tick(app: &App) -> anyhow::Result<String> {
    let began = tokio::time::Instant::now();
    let scaling = &app.estate()?.scaling;
    let mut told = if scaling.containers.is_empty() && scaling.apps.is_empty() {
        "the estate lets scaling own nothing".to_owned()
    } else {
        scale(app).await?
    };
    let left = WHOLE.saturating_sub(began.elapsed());
    if left >= LEAST_LEFT {
        match capacity::refresh(app, left).await {
            Ok(refreshed) => told.push_str(&format!("; {refreshed}")),
            Err(error) => {
                // What was scaled is scaled.
                tracing::error!(error = format!("{error:#}"), "forecasts were not renewed");
                told.push_str(&format!("; forecasts were not renewed: {error:#}"));
            }
        }
    }
    Ok(told)
}

async fn scale(app: &App) -> anyhow::Result<String> {
    let now = app.clock.now();
    let run = due(now);
    match begin(app, &run, now).await? {
        Begun::Ours => {}
        Begun::Before => return Ok(format!("{run} was begun before")),
        Begun::Busy(other) => return Ok(format!("{other} is still at work")),
    }
    let work = Work::Autoscale {
        only: None,
        cause: Wake::Schedule,
        dry_run: false,
    };
    accept(app, run.clone(), work).await?;
    let settled = settle(app, &run).await?;
    Ok(format!("{run} {settled}"))
}

/// The run of the time that was due last.
fn due(now: DateTime<Utc>) -> RunId {
    let step = EVERY * 60;
    let at = now.timestamp().div_euclid(step) * step;
    let at = DateTime::from_timestamp(at, 0).unwrap_or(now);
    format!("autoscale-{}", at.format("%Y-%m-%d-%H%M"))
        .parse()
        .expect("digits and hyphens")
}

enum Begun {
    Ours,
    /// This one was begun.
    Before,
    /// Another one is not finished.
    Busy(RunId),
}

/// Takes a due time for this tick, unless it was taken or the one before it is at work.
async fn begin(app: &App, run: &RunId, now: DateTime<Utc>) -> anyhow::Result<Begun> {
    let store = app.store()?;
    let none = Newest { run: None, at: now };
    store.create(PATH, &none).await?;
    let Some(stored) = store.get::<Newest>(PATH).await? else {
        anyhow::bail!("`{PATH}` vanished while it was read");
    };
    if let Some(newest) = &stored.value.run {
        let works = store.get::<Inbox>(&newest.inbox()).await?.is_some();
        let is_lost = (now - stored.value.at).abs() > LOST;
        match (works, newest == run) {
            // Whoever took it may have died before it was accepted, or over it.
            (_, true) if !is_finished(app, run).await? => return Ok(Begun::Ours),
            (_, true) => return Ok(Begun::Before),
            (true, false) if !is_lost => return Ok(Begun::Busy(newest.clone())),
            _ => {}
        }
    }
    let next = Newest {
        run: Some(run.clone()),
        at: now,
    };
    match store.replace(PATH, &next, &stored.etag, None).await {
        Ok(_) => Ok(Begun::Ours),
        // Another process began it.
        Err(Error::Conflict(_)) => Ok(Begun::Before),
        Err(error) => Err(error.into()),
    }
}

async fn is_finished(app: &App, run: &RunId) -> anyhow::Result<bool> {
    let stored = app
        .store()?
        .get::<crate::journal::Run>(&run.document())
        .await?;
    Ok(stored.is_some_and(|stored| stored.value.state.is_final()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_timer_names_the_run_that_was_due() {
        for (time, expected) in [
            ("2026-03-02T03:05:00Z", "autoscale-2026-03-02-0305"),
            ("2026-03-02T03:05:01Z", "autoscale-2026-03-02-0305"),
            ("2026-03-02T03:09:59Z", "autoscale-2026-03-02-0305"),
            ("2026-03-02T03:10:00Z", "autoscale-2026-03-02-0310"),
        ] {
            let now = time.parse().expect("a time");
            assert_eq!(due(now).as_str(), expected, "{time}");
        }
    }
}
