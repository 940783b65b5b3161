//! Asks telemetry: every question once for a stamp, a few at a time.

use std::collections::BTreeMap;
use std::time::Duration as Wait;

use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};
use futures::StreamExt as _;

use super::rows::{Question, Row};
use crate::azure::logs::{Scope, query};
use crate::azure::{Azure, log_analytics};
use crate::estate::{Estate, Stamp};

/// Questions that are asked at the same time.
const AT_ONCE: usize = 4;

/// A question, and the stamp by its name.
pub(super) type Asked = (String, Question);
pub(super) type Answers = BTreeMap<Asked, Result<Vec<Row>, String>>;

/// Asks everything, and waits so long for all of it. What has no answer then says so.
pub(super) async fn ask(
    azure: Result<&Azure, String>,
    estate: &Estate,
    asked: Vec<Asked>,
    now: DateTime<Utc>,
    within: Wait,
) -> Answers {
    let mut answers: Answers = BTreeMap::new();
    for one in &asked {
        let why = format!("there was no answer within {} s", within.as_secs());
        answers.insert(one.clone(), Err(why));
    }
    let azure = match azure {
        Ok(azure) => azure,
        Err(why) => {
            for answer in answers.values_mut() {
                *answer = Err(why.clone());
            }
            return answers;
        }
    };
    let tenants: Vec<String> = estate.tenants.iter().map(|t| t.id.clone()).collect();
    let until = tokio::time::Instant::now() + within;
    let mut scopes: BTreeMap<String, Result<Scope, String>> = BTreeMap::new();
    let mut lags: BTreeMap<String, Duration> = BTreeMap::new();
    // How late telemetry is decides where the other windows end.
    for stamp in &estate.stamps {
        let mine: Vec<&Asked> = asked
            .iter()
            .filter(|(name, _)| *name == stamp.name)
            .collect();
        if mine.is_empty() {
            continue;
        }
        let scope = bounded(until, scope(azure, stamp)).await;
        if let Ok(scope) = &scope {
            for question in mine.iter().map(|(_, question)| *question) {
                if !matches!(question, Question::Freshness { .. }) {
                    continue;
                }
                let zero = Duration::zero();
                let rows = bounded(until, one(azure, scope, question, now, zero, &tenants)).await;
                if let Ok(rows) = &rows {
                    lags.insert(stamp.name.clone(), lag(estate, rows));
                }
                answers.insert((stamp.name.clone(), question), rows);
            }
        }
        scopes.insert(stamp.name.clone(), scope);
    }
    let mut rest = Vec::new();
    for (name, question) in asked {
        let fresh = matches!(question, Question::Freshness { .. });
        match scopes.get(&name) {
            Some(Ok(_)) if fresh => {}
            Some(Ok(scope)) => {
                let lag = lags.get(&name).copied().unwrap_or(estate.evaluator.lag);
                rest.push((name, question, scope.clone(), lag));
            }
            Some(Err(why)) => {
                answers.insert((name, question), Err(why.clone()));
            }
            None => {
                let why = "the stamp is not in the estate".to_owned();
                answers.insert((name, question), Err(why));
            }
        }
    }
    let tenants = &tenants;
    let mut running = futures::stream::iter(rest)
        .map(|(name, question, scope, lag)| async move {
            let rows = bounded(until, one(azure, &scope, question, now, lag, tenants)).await;
            ((name, question), rows)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((asked, rows)) = running.next().await {
        answers.insert(asked, rows);
    }
    answers
}

/// Windows end so long before now: as the estate says, or as late as the newest telemetry is, within
/// bounds. A service that is silent must not stop the clock of its rules.
fn lag(estate: &Estate, rows: &[Row]) -> Duration {
    let evaluator = estate.evaluator;
    let newest = rows.iter().find_map(|row| match row {
        Row::Newest { seconds } => *seconds,
        _ => None,
    });
    newest.map_or(evaluator.lag, |seconds| {
        // To whole minutes, so that the same minute is asked alike.
        let late = Duration::minutes((seconds / 60.0).ceil() as i64);
        late.clamp(evaluator.lag, evaluator.most_lag)
    })
}

async fn bounded<T>(
    until: tokio::time::Instant,
    work: impl Future<Output = anyhow::Result<T>>,
) -> Result<T, String> {
    match tokio::time::timeout_at(until, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err("there was no answer in time".into()),
    }
}

async fn scope(azure: &Azure, stamp: &Stamp) -> anyhow::Result<Scope> {
    let workspace = stamp
        .workspace
        .as_ref()
        .with_context(|| format!("stamp {} has no workspace", stamp.name))?;
    Ok(Scope::Workspace(match &workspace.customer_id {
        Some(id) => id.clone(),
        None => log_analytics::customer_id(azure, &workspace.id).await?,
    }))
}

async fn one(
    azure: &Azure,
    scope: &Scope,
    question: Question,
    now: DateTime<Utc>,
    lag: Duration,
    tenants: &[String],
) -> anyhow::Result<Vec<Row>> {
    let text = question.text(now, lag, tenants)?;
    let table = query(azure, scope, &text, None)
        .await
        .with_context(|| format!("ask `{}`", question.query().name()))?;
    Ok(question.read(&table)?)
}
