//! Alerts as they become known: stored, paired and held against the estate.

mod corroborate;
mod record;
mod triage;

pub use corroborate::corroborate;
pub use record::{AlertRecord, Target};
pub use triage::{Known, Triage, decide, triage};

use serde_json::value::RawValue;

use crate::app::App;
use crate::domain::{Alert, Finding};
use crate::journal::{Event, Journal, Run, TaskReport, Work, note};

const TASK: &str = "receive_alert";

/// The work that an alert is.
#[must_use]
pub fn work_of(alert: &Alert) -> Work {
    Work::Alert {
        alert_id: alert.id.clone(),
        rule: alert.rule.clone(),
        severity: alert.severity.map(|s| format!("{s:?}")),
        condition: alert.condition.as_str().to_owned(),
    }
}

/// Files an alert with its pair. Safe to repeat.
pub(super) async fn receive(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    payload: &RawValue,
) -> anyhow::Result<()> {
    if run.has_finished(TASK) {
        return Ok(());
    }
    let started = app.clock.now();
    note(
        journal,
        run,
        Event::TaskStarted { task: TASK.into() },
        started,
    )
    .await?;
    let alert = Alert::parse(payload.get().as_bytes())?;
    // An alert is filed even if the estate file is broken: that night it is needed most.
    let (targets, findings) = match app.estate() {
        Ok(estate) => {
            let targets = Target::find(&alert, estate);
            let findings = targets.iter().filter(|t| t.stamp.is_none()).map(outside);
            let findings = findings.collect();
            (targets, findings)
        }
        Err(error) => (Vec::new(), vec![unreadable(&error)]),
    };
    let record = record::file(app, &alert, &targets, &run.id).await?;
    let report = TaskReport::done(TASK, started, app.clock.now(), record.summary(), findings);
    note(
        journal,
        run,
        Event::TaskFinished { report },
        app.clock.now(),
    )
    .await?;
    Ok(())
}

fn outside(target: &Target) -> Finding {
    Finding::new(
        "target-outside-estate",
        &target.id,
        "the alert names something that is not in the estate: it is recorded and never acted on",
    )
}

fn unreadable(error: &anyhow::Error) -> Finding {
    Finding::new(
        "estate-unreadable",
        "estate",
        format!("the targets could not be held against the estate: {error:#}"),
    )
}
