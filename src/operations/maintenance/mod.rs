//! Maintenance: the tasks of each cadence, one after another; none stops another.

mod anchor_journal;
mod capacity_recommendations;
mod certificates;
mod cleanup;
mod forget_incidents;
mod indexing;
mod performance;
mod tick;

pub use tick::tick;

use crate::app::App;
use std::collections::BTreeMap;

use crate::domain::{Cadence, Finding, Outcome};
use crate::journal::{ChangeNote, Event, Journal, Run, RunState, TaskReport, Work, note};
use crate::store::Error;

/// Every maintenance task that is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Tells what in the key vaults ends soon.
    CheckCertificateExpiry,
    /// Deletes log blobs that are old, and tells which tables keep too little.
    CleanupOldLogs,
    /// Proposes what the indexes of Cosmos containers should be.
    OptimizeCosmosIndexing,
    /// Forgets incidents, alerts and notices that have been over for long.
    ForgetOldIncidents,
    /// Proves the journal and writes the day's anchor.
    AnchorJournal,
    /// Tells what has become slower or fails more often than in the weeks before.
    AnalyzePerformanceTrends,
    /// Says what throughput and replicas should be for the coming week.
    UpdateCapacityRecommendations,
}

/// What a task came to, before it is dated.
pub(crate) struct TaskResult {
    pub(crate) summary: String,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) findings: Vec<Finding>,
    /// What the task came to, if its findings do not say so.
    state: Option<RunState>,
}

impl TaskResult {
    pub(crate) fn new(summary: String, findings: Vec<Finding>) -> Self {
        Self {
            summary,
            counts: BTreeMap::new(),
            findings,
            state: None,
        }
    }

    /// What the task came to, if its findings do not say so.
    pub(crate) fn state(&self) -> Option<RunState> {
        self.state
    }

    /// Adds what became of the changes that the task proposed.
    pub(crate) fn tell(&mut self, notes: &[ChangeNote]) {
        for note in notes {
            let Some(outcome) = &note.outcome else {
                continue;
            };
            let name = format!("changes_{}", outcome.name());
            *self.counts.entry(name).or_default() += 1;
            let code = match outcome {
                Outcome::Verified { .. } => continue,
                Outcome::AwaitingApproval { .. } => "change-proposed",
                Outcome::Planned => "change-planned",
                Outcome::Observed => "change-observed",
                Outcome::Expired { .. } => "change-expired",
                Outcome::Rejected { .. } => "change-rejected",
                Outcome::Held { .. } => "change-held",
                Outcome::NotVerified { .. } => "change-not-verified",
                Outcome::Failed { .. } => "change-failed",
            };
            let message = format!("{} ({outcome})", note.difference);
            self.findings
                .push(Finding::new(code, note.id.as_str(), message));
        }
        let came = |names: &[&str]| notes.iter().any(|note| note.came(names));
        if came(&["failed", "not_verified"]) {
            self.state = Some(RunState::Failed);
        } else if came(&["held"]) {
            self.state = Some(RunState::Held);
        }
    }
}

impl Task {
    pub const ALL: [Self; 7] = [
        Self::CheckCertificateExpiry,
        Self::CleanupOldLogs,
        Self::OptimizeCosmosIndexing,
        Self::ForgetOldIncidents,
        Self::AnchorJournal,
        Self::AnalyzePerformanceTrends,
        Self::UpdateCapacityRecommendations,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CheckCertificateExpiry => "check_certificate_expiry",
            Self::CleanupOldLogs => "cleanup_old_logs",
            Self::OptimizeCosmosIndexing => "optimize_cosmos_indexing",
            Self::ForgetOldIncidents => "forget_old_incidents",
            Self::AnchorJournal => "anchor_journal",
            Self::AnalyzePerformanceTrends => "analyze_performance_trends",
            Self::UpdateCapacityRecommendations => "update_capacity_recommendations",
        }
    }

    #[must_use]
    pub fn cadence(self) -> Cadence {
        match self {
            Self::CheckCertificateExpiry
            | Self::CleanupOldLogs
            | Self::OptimizeCosmosIndexing
            | Self::ForgetOldIncidents
            | Self::AnchorJournal => Cadence::Daily,
            Self::AnalyzePerformanceTrends | Self::UpdateCapacityRecommendations => Cadence::Weekly,
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

    async fn run(
        self,
        app: &App,
        journal: &mut Journal<'_>,
        run: &mut Run,
        dry_run: bool,
    ) -> anyhow::Result<TaskResult> {
        match self {
            Self::CheckCertificateExpiry => certificates::run(app).await,
            Self::CleanupOldLogs => cleanup::run(app, journal, run, dry_run).await,
            Self::OptimizeCosmosIndexing => indexing::run(app, journal, run, dry_run).await,
            Self::ForgetOldIncidents => forget_incidents::run(app, dry_run).await,
            Self::AnchorJournal => anchor_journal::run(app, &run.id, dry_run).await,
            Self::AnalyzePerformanceTrends => performance::run(app).await,
            Self::UpdateCapacityRecommendations => {
                capacity_recommendations::run(app, dry_run).await
            }
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
        let outcome = task.run(app, journal, run, *dry_run).await;
        let finished = app.clock.now();
        let report = match outcome {
            Ok(r) => {
                let done = TaskReport::done(task.name(), started, finished, r.summary, r.findings);
                TaskReport {
                    state: r.state.unwrap_or(done.state),
                    counts: r.counts,
                    ..done
                }
            }
            Err(error) if is_interruption(&error) => return Err(error),
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

/// Whether the run is only interrupted, and is to be taken up again where it was: the store cannot
/// be reached, or another process has the run. What is half done must not be given up for that.
pub(in crate::operations) fn is_interruption(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| {
        matches!(
            error,
            Error::Unavailable { .. } | Error::Conflict(_) | Error::NotOurs(_)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_chosen_by_name_among_those_of_its_cadence() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let choose = |cadence, list| Task::choose(cadence, &names(list));
        assert_eq!(choose(Cadence::Daily, &[]), Ok(Task::ALL[..5].to_vec()));
        assert_eq!(
            choose(Cadence::Daily, &["anchor_journal"]),
            Ok(vec![Task::AnchorJournal])
        );
        assert_eq!(choose(Cadence::Weekly, &[]), Ok(Task::ALL[5..].to_vec()));
        assert_eq!(choose(Cadence::Monthly, &[]), Ok(vec![]));
        let error = choose(Cadence::Daily, &["anchor"]).expect_err("no such task");
        assert!(error.contains("anchor_journal"), "{error}");
    }
}
