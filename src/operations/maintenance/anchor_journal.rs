use super::TaskResult;
use crate::app::App;
use crate::domain::Finding;
use crate::journal::{Proof, RunId, verify_all, write_anchor};

/// Holds every chain against the newest anchor, then writes a new one.
///
/// A dry run verifies and writes nothing. Safe to repeat.
pub(super) async fn run(app: &App, run: &RunId, dry_run: bool) -> anyhow::Result<TaskResult> {
    let (store, anchors) = (app.store()?, app.anchors()?);
    let verdict = verify_all(store, anchors).await?;
    let findings: Vec<Finding> = verdict
        .broken()
        .map(|(chain, broken)| Finding::new("journal-broken", chain, broken.to_string()))
        .collect();
    let held_against = match &verdict.proof {
        Proof::Anchored { anchor, .. } => format!("held against `{anchor}`"),
        Proof::TailUnproven => "no anchor yet, so their ends are unproven".to_owned(),
    };
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let chains = verdict.chains.len();
    let checked = format!("{} verified, {held_against}", count(chains, "chain"));
    let summary = if dry_run {
        format!(
            "{checked}; would write an anchor of {}",
            count(chains, "head")
        )
    } else {
        let (name, chains) = write_anchor(store, anchors, run, app.clock.now()).await?;
        format!(
            "{checked}; wrote and read back `{name}` with {}",
            count(chains, "head")
        )
    };
    Ok(TaskResult::new(summary, findings))
}
