//! Alerts as they become known: stored, paired and held against the estate.

mod record;

pub use record::AlertRecord;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::work::note;
use crate::app::App;
use crate::domain::Alert;
use crate::journal::{Event, Journal, Run, RunState, TaskReport, Work};

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
    let record = record::file(app, &alert, &run.id).await?;
    let report = report(&record, started, app.clock.now());
    note(
        journal,
        run,
        Event::TaskFinished { report },
        app.clock.now(),
    )
    .await?;
    Ok(())
}

fn report(record: &AlertRecord, started: DateTime<Utc>, finished: DateTime<Utc>) -> TaskReport {
    TaskReport {
        task: TASK.into(),
        state: RunState::Succeeded,
        started,
        finished,
        summary: record.summary(),
        findings: Vec::new(),
    }
}
