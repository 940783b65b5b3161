//! `analyze_performance_trends`: which operations and which tenants have become slower or fail more often
//! than in the weeks before, and when something changed for good.

mod chance;
mod decide;

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::{DateTime, Duration, DurationRound as _, Utc};

use super::TaskResult;
use crate::app::App;
use crate::azure::logs::{Scope, query};
use crate::azure::{Azure, log_analytics};
use crate::domain::Finding;
use crate::estate::{Estate, Stamp};
use crate::queries::{Param, Query};
use decide::{Changed, Day, What, Worse, changed, worse};

/// So many weeks are looked at; logs are kept 30 days.
const WINDOW: Duration = Duration::days(28);
/// Of each kind so many are told, the worst first.
const MOST: usize = 5;

/// Whose days they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Operation,
    Tenant,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Tenant => "tenant",
        }
    }
}

/// Looks at the days of four weeks, by operation and by tenant. What cannot be read is a finding, and so
/// is a workspace in which no request was logged.
///
/// Errors: the estate cannot be read.
pub(super) async fn run(app: &App) -> anyhow::Result<TaskResult> {
    let (estate, now) = (app.estate()?, app.clock.now());
    let mut findings = Vec::new();
    let (mut looked, mut got_worse, mut went) = (BTreeMap::<&str, u64>::new(), 0, 0);
    for stamp in &estate.stamps {
        for by in [By::Operation, By::Tenant] {
            let read = match app.azure() {
                Ok(azure) => days(azure, estate, stamp, by, now).await,
                Err(error) => Err(error.into()),
            };
            let series = match read {
                Ok(series) => series,
                Err(error) => {
                    let why = format!("requests by {} cannot be read: {error:#}", by.name());
                    findings.push(Finding::new("performance-unread", &stamp.name, why));
                    continue;
                }
            };
            if series.is_empty() {
                let days = WINDOW.num_days();
                let why = format!(
                    "no data: no request of an {} was logged in {days} days",
                    by.name()
                );
                let why = why.replace("an tenant", "a tenant");
                findings.push(Finding::new("performance-no-data", &stamp.name, why));
                continue;
            }
            *looked.entry(by.name()).or_default() += series.len() as u64;
            let end = now.duration_trunc(Duration::days(1))?;
            let judged = judge(&series, end);
            got_worse += judged.worse.len();
            went += judged.changed.len();
            findings.extend(told(stamp, by, judged));
        }
    }
    let count = |name: &str| looked.get(name).copied().unwrap_or_default();
    let (operations, tenants) = (count("operation"), count("tenant"));
    let summary = format!(
        "{operations} operations and {tenants} tenants over {} days: {got_worse} times worse in the last 7 \
         days than before, {went} changes for good",
        WINDOW.num_days()
    );
    let mut result = TaskResult::new(summary, findings);
    for (name, number) in [
        ("operations", operations),
        ("tenants", tenants),
        ("worse", got_worse as u64),
        ("changed", went as u64),
    ] {
        result.counts.insert(name.into(), number);
    }
    Ok(result)
}

type Series = BTreeMap<String, Vec<Day>>;

/// Asks for the days of a stamp's operations or tenants.
async fn days(
    azure: &Azure,
    estate: &Estate,
    stamp: &Stamp,
    by: By,
    now: DateTime<Utc>,
) -> anyhow::Result<Series> {
    let workspace = stamp
        .workspace
        .as_ref()
        .context("the stamp has no workspace")?;
    let scope = Scope::Workspace(match &workspace.customer_id {
        Some(id) => id.clone(),
        None => log_analytics::customer_id(azure, &workspace.id).await?,
    });
    let text = Query::PerformanceTrend.text(&[
        ("by_tenant_", Param::Bool(by == By::Tenant)),
        ("at_", Param::DateTime(now)),
        ("window_", Param::TimeSpan(WINDOW)),
        ("step_", Param::TimeSpan(Duration::days(1))),
        ("lag_", Param::TimeSpan(estate.evaluator.lag)),
    ])?;
    let table = query(azure, &scope, &text, None).await?;
    let mut series = Series::new();
    for row in table.rows() {
        let count = |name: &str| -> anyhow::Result<u64> {
            Ok(u64::try_from(row.long(name)?.unwrap_or_default()).unwrap_or_default())
        };
        let day = Day {
            at: row.datetime("Time")?.context("a day without a date")?,
            requests: count("Requests")?,
            failed: count("Failed")?,
            p95_ms: row.real("P95Ms")?,
        };
        let subject = row.string("Subject")?.unwrap_or_default().to_owned();
        series.entry(subject).or_default().push(day);
    }
    Ok(series)
}

struct Judged {
    worse: Vec<Worse>,
    changed: Vec<Changed>,
}

/// All that is worse, the most harmful first, and all that changed, the clearest first.
fn judge(series: &Series, end: DateTime<Utc>) -> Judged {
    let mut judged = Judged {
        worse: Vec::new(),
        changed: Vec::new(),
    };
    for (subject, days) in series {
        for what in What::ALL {
            judged.worse.extend(worse(subject, days, what, end));
            judged.changed.extend(changed(subject, days, what));
        }
    }
    judged.worse.sort_by(|a, b| b.harm.total_cmp(&a.harm));
    judged.changed.sort_by(|a, b| b.clear.total_cmp(&a.clear));
    judged
}

/// The worst of each, and how many more there are.
fn told(stamp: &Stamp, by: By, judged: Judged) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut more = Vec::new();
    for what in What::ALL {
        let of = |one: &&Worse| one.what == what;
        for one in judged.worse.iter().filter(of).take(MOST) {
            let message = format!(
                "{} {}: {} {} in the last 7 days ({} requests, {} days), {} in the {} days before",
                by.name(),
                one.subject,
                what.name(),
                what.say(one.now),
                one.requests,
                one.days_now,
                what.say(one.before),
                one.days_before
            );
            findings.push(Finding::new("performance-worse", &one.subject, message));
        }
        let left = judged.worse.iter().filter(of).count().saturating_sub(MOST);
        if left > 0 {
            more.push(format!("{left} more are worse in {}", what.name()));
        }
        let of = |one: &&Changed| one.what == what;
        for one in judged.changed.iter().filter(of).take(MOST) {
            let message = format!(
                "{} {}: {} {} since {} (UTC), {} before that",
                by.name(),
                one.subject,
                what.name(),
                what.say(one.after),
                one.at.format("%Y-%m-%d"),
                what.say(one.before)
            );
            findings.push(Finding::new("performance-changed", &one.subject, message));
        }
        let left = judged
            .changed
            .iter()
            .filter(of)
            .count()
            .saturating_sub(MOST);
        if left > 0 {
            more.push(format!("{left} more changed in {}", what.name()));
        }
    }
    if !more.is_empty() {
        let message = format!("of {}s {}", by.name(), more.join("; "));
        findings.push(Finding::new("performance-more", &stamp.name, message));
    }
    findings
}
