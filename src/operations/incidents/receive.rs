//! An alert that came by webhook: filed with its pair, held against Azure, taken as a signal.

use serde_json::value::RawValue;

use super::hold::document;
use super::record::{self, AlertRecord, Target};
use super::state::Incident;
use super::triage::shown;
use super::{take_all, triage};
use crate::app::App;
use crate::domain::{Alert, Class, Condition, Finding, GroupKey, Priority, Signal, Trust};
use crate::journal::{Event, Journal, Run, TaskReport, note};
use crate::operations::autoscale;

const TASK: &str = "receive_alert";
/// Of the targets of an alert that are not ours, so many are told of.
const MOST_OUTSIDE: usize = 20;

/// Files an alert with its pair, and takes it into its incident. False if it is too early for that:
/// then it is to be done again. Safe to repeat.
pub(crate) async fn receive(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    payload: &RawValue,
) -> anyhow::Result<bool> {
    if run.has_finished(TASK) {
        return Ok(true);
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
    let (targets, mut findings) = match app.estate() {
        Ok(estate) => {
            let targets = Target::find(&alert, estate);
            let findings = outside(&targets);
            (targets, findings)
        }
        Err(error) => (Vec::new(), vec![unreadable(&error)]),
    };
    let record = record::file(app, &alert, &targets, &run.id).await?;
    let triage = triage::triage(app, &alert, run.accepted, &targets).await?;
    if let Some(text) = triage.early {
        note(journal, run, Event::Note { text }, app.clock.now()).await?;
        return Ok(false);
    }
    findings.extend(triage.findings);
    let mut signal = triage.signal;
    if let Trust::Denied { why } = &signal.trust {
        findings.push(Finding::new("alert-unknown", shown(&alert.id), why));
        signal = unknown(&signal);
    }
    if let (Condition::Resolved, Some(key)) =
        (signal.condition, began_in(app, &record, &signal).await?)
    {
        signal.key = key;
    }
    // Of two deliveries, the one that is worked last knows of both.
    let mut signals = vec![signal];
    if let (Condition::Fired, Some(resolved)) = (alert.condition, &record.resolved) {
        signals.push(Signal {
            condition: Condition::Resolved,
            at: resolved.at,
            text: "the alert was resolved before its firing was worked".into(),
            ..signals[0].clone()
        });
    }
    let taken = take_all(app, &signals).await?;
    let mut summary = record.summary();
    if let Some(incident) = &taken.incident {
        record::belongs(app, &alert, incident).await?;
        // What has ended by now wants nothing.
        if signals.len() == 1 {
            autoscale::on_alert(app, &alert, &signals[0], incident).await?;
        }
        summary.push_str(&format!("; incident {incident}"));
    }
    let report = TaskReport::done(TASK, started, app.clock.now(), summary, findings);
    note(
        journal,
        run,
        Event::TaskFinished { report },
        app.clock.now(),
    )
    .await?;
    Ok(true)
}

/// The key of the incident that an alert was taken into when it fired: its end belongs there, also if
/// more, or less, could be found out about it this time.
async fn began_in(
    app: &App,
    record: &AlertRecord,
    signal: &Signal,
) -> anyhow::Result<Option<GroupKey>> {
    let Some(id) = &record.incident else {
        return Ok(None);
    };
    if matches!(signal.trust, Trust::Denied { .. }) {
        return Ok(None);
    }
    let stored = app.store()?.get::<Incident>(&document(id)).await?;
    let incident = stored.map(|stored| stored.value);
    Ok(incident
        .filter(|incident| incident.occurrences.contains_key(&signal.occurrence))
        .map(|incident| incident.key))
}

/// What Azure knows nothing of is kept apart: it can neither raise nor end a real incident.
fn unknown(signal: &Signal) -> Signal {
    let mut facts = vec![("claimed rule".to_owned(), signal.key.rule.clone())];
    facts.extend(
        signal
            .key
            .resource
            .clone()
            .map(|r| ("claimed resource".into(), r)),
    );
    Signal {
        key: GroupKey {
            rule: "unknown-alert".into(),
            tenant: None,
            resource: None,
        },
        priority: Priority::Low,
        class: Class::Operations,
        title: "An alert that Azure knows nothing of".into(),
        facts,
        ..signal.clone()
    }
}

/// One finding for each target that is not ours, as far as there are not too many to be told.
fn outside(targets: &[Target]) -> Vec<Finding> {
    let others: Vec<&Target> = targets.iter().filter(|t| t.stamp.is_none()).collect();
    let mut findings: Vec<Finding> = others
        .iter()
        .take(MOST_OUTSIDE)
        .map(|target| {
            Finding::new(
                "target-outside-estate",
                shown(&target.id),
                "the alert names something that is not in the estate: it is recorded and never acted on",
            )
        })
        .collect();
    if others.len() > MOST_OUTSIDE {
        findings.push(Finding::new(
            "target-outside-estate",
            "more of them",
            format!(
                "the alert names {} things that are not in the estate",
                others.len()
            ),
        ));
    }
    findings
}

fn unreadable(error: &anyhow::Error) -> Finding {
    Finding::new(
        "estate-unreadable",
        "estate",
        format!("the targets could not be held against the estate: {error:#}"),
    )
}
