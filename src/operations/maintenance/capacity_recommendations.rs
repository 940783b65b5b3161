//! `update_capacity_recommendations`: what throughput and replicas should be for the coming week.

use std::time::Duration;

use super::TaskResult;
use crate::app::App;
use crate::operations::capacity::advise::{Advice, Urgency};
use crate::operations::capacity::{Advised, advise, keep, refresh};

/// How long forecasts are renewed before they are used as they are.
const FRESH: Duration = Duration::from_secs(180);

/// Renews forecasts, judges everything by them, and keeps that. It only says what should be: scaling and
/// people do it. A dry run keeps no recommendation.
///
/// Errors: the estate or the store.
pub(super) async fn run(app: &App, dry_run: bool) -> anyhow::Result<TaskResult> {
    let renewed = refresh(app, FRESH).await?;
    let advised = advise(app).await?;
    if !dry_run {
        keep(app, &advised).await?;
    }
    let mut result = TaskResult::new(summary(&advised), advised.findings());
    if renewed.left > 0 {
        result.findings.push(crate::domain::Finding::new(
            "capacity-late",
            "forecasts",
            format!(
                "{} places were not come to in {} s: they are judged by the forecasts that there are",
                renewed.left,
                FRESH.as_secs()
            ),
        ));
    }
    for (name, number) in counts(&advised) {
        result.counts.insert(name.into(), number);
    }
    Ok(result)
}

fn counts(advised: &Advised) -> [(&'static str, u64); 4] {
    let count = |is: &dyn Fn(&Advice, bool) -> bool| {
        let all = advised.recommendations.iter();
        all.filter(|one| is(&one.advice, one.grows())).count() as u64
    };
    [
        ("judged", advised.recommendations.len() as u64),
        ("more", count(&|a, grows| is_change(a) && grows)),
        ("less", count(&|a, grows| is_change(a) && !grows)),
        (
            "unknown",
            count(&|a, _| matches!(a, Advice::Unknown { .. })),
        ),
    ]
}

fn is_change(advice: &Advice) -> bool {
    matches!(advice, Advice::Resize { .. } | Advice::Limits { .. })
}

fn summary(advised: &Advised) -> String {
    let [(_, judged), (_, more), (_, less), (_, unknown)] = counts(advised);
    let now = advised
        .recommendations
        .iter()
        .filter(|one| one.urgency == Urgency::Now)
        .count();
    let money = match advised.monthly() {
        Some(together) => format!("; following all of it {together}"),
        None => String::new(),
    };
    format!(
        "{judged} containers, databases and apps: {more} should have more ({now} of all within a day), {less} \
         less, {unknown} cannot be judged{money}"
    )
}
