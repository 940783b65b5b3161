//! Maintenance: the tasks of each cadence, one after another; none stops another.

mod anchor_journal;
mod certificates;
mod tick;

pub use tick::tick;

use super::work::note;
use crate::app::App;
use crate::domain::{Cadence, Finding};
use crate::journal::{Event, Journal, Run, RunId, RunState, TaskReport, Work};

/// Every maintenance task that is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Tells what in the key vaults ends soon.
    CheckCertificateExpiry,
    /// Proves the journal and writes the day's anchor.
    AnchorJournal,
}

/// What a task came to, before it is dated.
pub(crate) struct TaskResult {
    pub(crate) summary: String,
    pub(crate) findings: Vec<Finding>,
}

impl Task {
    pub const ALL: [Self; 2] = [Self::CheckCertificateExpiry, Self::AnchorJournal];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CheckCertificateExpiry => "check_certificate_expiry",
            Self::AnchorJournal => "anchor_journal",
        }
    }

    #[must_use]
    pub fn cadence(self) -> Cadence {
        match self {
            Self::CheckCertificateExpiry | Self::AnchorJournal => Cadence::Daily,
        }
    }

    /// The tasks of a cadence, or those of them that were asked for by name.
    ///
    /// Errors: a sentence naming the first task that the cadence does not have.
    pub fn choose(cadence: Cadence, names: &[String]) -> Result<Vec<Self>, String> {
        let all: Vec<Self> = Self::ALL
            .into_iter()
            .filter(|t| t.cadence() == cadence)
            .collect();
        if names.is_empty() {
            return Ok(all);
        }
        names
            .iter()
            .map(|name| {
                all.iter()
                    .copied()
                    .find(|t| t.name() == name)
                    .ok_or_else(|| {
                        let known: Vec<_> = all.iter().map(|t| t.name()).collect();
                        format!(
                            "`{name}` is no task of {cadence} maintenance; its tasks: {}",
                            known.join(", ")
                        )
                    })
            })
            .collect()
    }

    async fn run(self, app: &App, run: &RunId, dry_run: bool) -> anyhow::Result<TaskResult> {
        match self {
            Self::CheckCertificateExpiry => certificates::run(app).await,
            Self::AnchorJournal => anchor_journal::run(app, run, dry_run).await,
        }
    }
}

/// Does the tasks that the chain does not show as done.
pub(super) async fn run(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    work: &Work,
) -> anyhow::Result<()> {
    let Work::Maintenance {
        cadence,
        tasks,
        dry_run,
        ..
    } = work
    else {
        anyhow::bail!("run `{}` is no maintenance", run.id);
    };
    let tasks = match Task::choose(*cadence, tasks) {
        Ok(tasks) => tasks,
        Err(why) => {
            let finding = Finding::new("unknown-task", run.id.as_str(), why);
            note(journal, run, Event::Found { finding }, app.clock.now()).await?;
            return Ok(());
        }
    };
    if tasks.is_empty() && run.findings.is_empty() {
        let finding = Finding::new(
            "no-tasks",
            cadence.as_str(),
            format!("{cadence} maintenance has no task yet, so nothing was done"),
        );
        note(journal, run, Event::Found { finding }, app.clock.now()).await?;
    }
    for task in tasks {
        if run.has_finished(task.name()) {
            continue;
        }
        let started = app.clock.now();
        note(
            journal,
            run,
            Event::TaskStarted {
                task: task.name().into(),
            },
            started,
        )
        .await?;
        let outcome = task.run(app, &run.id, *dry_run).await;
        let finished = app.clock.now();
        let report = match outcome {
            Ok(r) => TaskReport::done(task.name(), started, finished, r.summary, r.findings),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::error!(run = %run.id, task = task.name(), error = why, "task failed");
                TaskReport {
                    state: RunState::Failed,
                    ..TaskReport::done(task.name(), started, finished, why, Vec::new())
                }
            }
        };
        note(
            journal,
            run,
            Event::TaskFinished { report },
            app.clock.now(),
        )
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_chosen_by_name_among_those_of_its_cadence() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let choose = |cadence, list| Task::choose(cadence, &names(list));
        assert_eq!(choose(Cadence::Daily, &[]), Ok(Task::ALL.to_vec()));
        assert_eq!(
            choose(Cadence::Daily, &["anchor_journal"]),
            Ok(vec![Task::AnchorJournal])
        );
        assert_eq!(choose(Cadence::Weekly, &[]), Ok(vec![]));
        let error = choose(Cadence::Daily, &["anchor"]).expect_err("no such task");
        assert!(error.contains("anchor_journal"), "{error}");
    }
}
