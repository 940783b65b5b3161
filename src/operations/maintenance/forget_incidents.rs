use super::TaskResult;
use crate::app::App;
use crate::operations::incidents::forget;

/// Forgets incidents, alerts and notices that have been over for long. Safe to repeat.
pub(super) async fn run(app: &App, dry_run: bool) -> anyhow::Result<TaskResult> {
    let done = forget(app, &app.estate()?.retention, dry_run).await?;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let summary = format!(
        "{} {}, the notices of {}, {} of storms and {}{}",
        if dry_run { "would forget" } else { "forgot" },
        count(done.incidents, "incident"),
        count(done.outboxes, "other incident"),
        count(done.members, "member"),
        count(done.alerts, "alert"),
        if done.more {
            "; more are old, and the next run goes on"
        } else {
            ""
        }
    );
    let mut result = TaskResult::new(summary, done.findings);
    for (name, number) in [
        ("incidents", done.incidents),
        ("outboxes", done.outboxes),
        ("members", done.members),
        ("alerts", done.alerts),
    ] {
        result.counts.insert(name.into(), number as u64);
    }
    Ok(result)
}
