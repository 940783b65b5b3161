//! The rules: what telemetry says is held against what the estate wants, each minute.
//!
//! Why not Azure's own rules: a burn rate over two windows, by tenant, that is not calm when telemetry
//! stops, cannot be said in one of them. They remain possible: `evaluator.mode = "never"`.

mod decide;
mod gather;
mod judge;
mod memory;
mod probes;
mod rows;
mod tell;
mod whole;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};

pub use decide::{Around, Decided, Heard, Inhibition, decide, retire};
pub use memory::{Ended, Memory, Series};
pub use probes::{Endpoint, Probes};
pub use rows::Row;

use crate::app::App;
use crate::domain::{Class, Condition, Finding, GroupKey, Signal};
use crate::estate::{Estate, EvaluatorMode, Rule, Threshold};
use crate::operations::incidents::{self, Status};
use crate::store::{Created, Error, Stored};
use gather::{Answers, Asked};
use rows::Question;

/// Of the minute until the next tick, telemetry may take so much.
const ASKING: Duration = Duration::from_secs(30);
/// And all of it together.
const WHOLE: Duration = Duration::from_secs(45);
/// So many signals are told before it is written down that they are.
const TOGETHER: usize = 16;
/// So many incidents are read at once.
const AT_ONCE: usize = 16;

/// What one tick came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tick {
    /// Rules of which a level was due.
    pub evaluated: Vec<String>,
    /// What fired and what ended, for people.
    pub told: Vec<String>,
    pub findings: Vec<Finding>,
    /// Rules that failed, with the reason; the others went on.
    pub failed: Vec<(String, String)>,
}

impl std::fmt::Display for Tick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rules evaluated", self.evaluated.len())?;
        for told in &self.told {
            write!(f, "; {told}")?;
        }
        for finding in &self.findings {
            write!(f, "; {}: {}", finding.subject, finding.message)?;
        }
        for (rule, why) in &self.failed {
            write!(f, "; {rule} failed: {why}")?;
        }
        Ok(())
    }
}

/// Evaluates every rule that is due. Safe to repeat, from any number of processes: of those that
/// evaluate one rule at the same time, one is heard.
///
/// Errors: the estate or the store cannot be read, or 45 seconds were not enough. What was decided
/// by then is remembered, and told by the next tick.
pub async fn tick(app: &App) -> anyhow::Result<Tick> {
    match tokio::time::timeout(WHOLE, all(app)).await {
        Ok(tick) => tick,
        Err(_) => anyhow::bail!("the rules were not evaluated within {} s", WHOLE.as_secs()),
    }
}

async fn all(app: &App) -> anyhow::Result<Tick> {
    let estate = app.estate()?;
    let now = app.clock.now();
    let mut tick = Tick::default();
    retire_others(app, estate, now, &mut tick).await?;
    if estate.evaluator.mode == EvaluatorMode::Never {
        tick.told
            .push("Azure evaluates the rules: evaluator.mode is never".into());
        return Ok(tick);
    }
    let mut due: Vec<Due<'_>> = Vec::new();
    for rule in estate.rules.iter().filter(|rule| rule.enabled) {
        match remembered(app, rule, now, &mut tick).await {
            Ok(Some(found)) => due.push(found),
            Ok(None) => {}
            Err(error) => tick.failed.push((rule.name.clone(), format!("{error:#}"))),
        }
    }
    if due.is_empty() {
        return Ok(tick);
    }
    let mut asked: BTreeSet<Asked> = BTreeSet::new();
    for stamp in &estate.stamps {
        // Also tells how late telemetry is.
        let fresh = Question::freshness(chrono::Duration::zero());
        asked.insert((stamp.name.clone(), fresh));
        for one in &due {
            for level in &one.levels {
                let question = one.question(level, &stamp.name, now);
                asked.insert((stamp.name.clone(), question));
            }
        }
    }
    let azure = app.azure().map_err(|error| error.to_string());
    let asked: Vec<Asked> = asked.into_iter().collect();
    let answers = gather::ask(azure, estate, asked, now, ASKING).await;
    let probes = match probes::probes(app, now).await {
        Ok(probes) => probes,
        Err(error) => {
            tick.findings.push(Finding::new(
                "rule-no-data",
                "probes",
                format!("what probes see could not be read: {error:#}"),
            ));
            Probes::default()
        }
    };
    for one in due {
        let name = one.rule.name.clone();
        if let Err(error) = evaluate(app, estate, one, &answers, &probes, now, &mut tick).await {
            tracing::warn!(rule = %name, error = format!("{error:#}"), "a rule failed");
            tick.failed.push((name, format!("{error:#}")));
        }
    }
    Ok(tick)
}

/// A rule with the levels that are due and what it remembers.
struct Due<'a> {
    rule: &'a Rule,
    levels: Vec<&'a Threshold>,
    memory: Stored<Memory>,
}

impl Due<'_> {
    fn question(&self, level: &Threshold, stamp: &str, now: DateTime<Utc>) -> Question {
        let heard = self.memory.value.heard.get(stamp).copied();
        Question::since(self.rule.watch, level, heard, now)
    }
}

fn document(rule: &str) -> String {
    format!("rules/{rule}.json")
}

/// What a rule remembers, if a level of it is due. What an earlier tick decided and could not tell
/// is told first.
async fn remembered<'a>(
    app: &App,
    rule: &'a Rule,
    now: DateTime<Utc>,
    tick: &mut Tick,
) -> anyhow::Result<Option<Due<'a>>> {
    let store = app.store()?;
    let path = document(&rule.name);
    let mut memory = match store.get::<Memory>(&path).await? {
        Some(memory) => memory,
        None => {
            let memory = Memory::default();
            match store.create(&path, &memory).await? {
                Created::New(etag) => Stored {
                    value: memory,
                    etag,
                },
                // Another process was first, and evaluates it.
                Created::Exists => return Ok(None),
            }
        }
    };
    if !memory.value.untold.is_empty() && !told(app, &path, &mut memory, tick).await? {
        return Ok(None);
    }
    let levels: Vec<&Threshold> = rule
        .levels
        .iter()
        .filter(|level| memory.value.is_due(level, now))
        .collect();
    Ok((!levels.is_empty()).then_some(Due {
        rule,
        levels,
        memory,
    }))
}

async fn evaluate(
    app: &App,
    estate: &Estate,
    due: Due<'_>,
    answers: &Answers,
    probes: &Probes,
    now: DateTime<Utc>,
    tick: &mut Tick,
) -> anyhow::Result<()> {
    let mut heard = Vec::new();
    for level in &due.levels {
        for stamp in &estate.stamps {
            let asked = (stamp.name.clone(), due.question(level, &stamp.name, now));
            let rows = answers
                .get(&asked)
                .cloned()
                .unwrap_or_else(|| Err("it was not asked".into()));
            heard.push(Heard {
                stamp: stamp.name.clone(),
                level: level.priority,
                place: stamp.workspace.as_ref().map(|w| w.id.to_string()),
                rows: rows.map(|rows| named(estate, rows)),
            });
        }
    }
    let Due {
        rule, mut memory, ..
    } = due;
    let around = Around {
        probes: *probes,
        inhibitions: inhibitions(app, estate, rule).await?,
        ended: ended(app, rule, &memory.value).await,
    };
    let decided = decide(rule, &heard, &around, memory.value, now);
    let path = document(&rule.name);
    memory.value = decided.memory;
    memory.value.untold.extend(decided.signals);
    memory.value.findings.clone_from(&decided.findings);
    // Remembered before it is told: whoever is killed between leaves it to the next tick.
    match app
        .store()?
        .replace(&path, &memory.value, &memory.etag, None)
        .await
    {
        Ok(etag) => memory.etag = etag,
        // Another process evaluated the same minute, and tells what came of it.
        Err(Error::Conflict(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    tick.evaluated.push(rule.name.clone());
    for finding in &decided.findings {
        tracing::warn!(
            code = finding.code,
            subject = finding.subject,
            "{}",
            finding.message
        );
    }
    tick.findings.extend(decided.findings);
    if !memory.value.untold.is_empty() {
        told(app, &path, &mut memory, tick).await?;
    }
    Ok(())
}

/// What fires of the rules that inhibit one. They were evaluated before it, by this tick or by whoever
/// was first.
async fn inhibitions(app: &App, estate: &Estate, rule: &Rule) -> anyhow::Result<Vec<Inhibition>> {
    let mut found = Vec::new();
    for source in &estate.rules {
        if !source.enabled || !source.inhibits.contains(&rule.name) {
            continue;
        }
        let stored = app.store()?.get::<Memory>(&document(&source.name)).await?;
        let Some(stored) = stored else { continue };
        found.extend(stored.value.firing().map(|series| Inhibition {
            by: source.name.clone(),
            stamp: series.stamp.clone(),
            level: series.level,
        }));
    }
    Ok(found)
}

/// When the newest incidents of what fires were ended, of those that are over. One that cannot be
/// read keeps no rule from being evaluated.
async fn ended(app: &App, rule: &Rule, memory: &Memory) -> BTreeMap<GroupKey, DateTime<Utc>> {
    let keys: BTreeSet<GroupKey> = memory
        .firing()
        .map(|series| GroupKey {
            rule: rule.name.clone(),
            tenant: series.tenant.clone(),
            resource: series.resource.clone(),
        })
        .collect();
    let all: Vec<_> = keys
        .into_iter()
        .map(|key| async move {
            match incidents::current(app, &key).await {
                Ok(incident) => {
                    let over = incident.filter(|one| one.status == Status::Resolved);
                    over.and_then(|one| Some((key, one.resolved?)))
                }
                Err(error) => {
                    tracing::warn!(%key, error = format!("{error:#}"), "not read");
                    None
                }
            }
        })
        .collect();
    let found = stream::iter(all).buffer_unordered(AT_ONCE);
    let found = found.collect::<Vec<_>>().await;
    found.into_iter().flatten().collect()
}

/// Tells what is decided, and forgets that it is to be told, a few at a time: whoever runs out of time
/// over very many goes on where it was. What could not be told is kept, and keeps nothing else from
/// being told. `false`: another process did it.
async fn told(
    app: &App,
    path: &str,
    memory: &mut Stored<Memory>,
    tick: &mut Tick,
) -> anyhow::Result<bool> {
    let mut rest = std::mem::take(&mut memory.value.untold);
    let mut left: Vec<Signal> = Vec::new();
    while !rest.is_empty() {
        let later = rest.split_off(rest.len().min(TOGETHER));
        let before = left.len();
        let count = rest.len();
        for signal in rest {
            // What comes after something of the same key must not overtake it.
            if left.iter().any(|one| one.key == signal.key) {
                left.push(signal);
                continue;
            }
            if let Err(error) = tell::tell(app, &signal).await {
                let why = format!("tell `{}`: {error:#}", signal.title);
                tracing::error!(rule = signal.key.rule, error = why, "not told");
                tick.failed.push((signal.key.rule.clone(), why));
                left.push(signal);
                continue;
            }
            let what = match signal.condition {
                Condition::Fired => "fired",
                Condition::Resolved => "ended",
            };
            tick.told.push(format!(
                "{} {what} at {}: {}",
                signal.key.rule, signal.priority, signal.title
            ));
        }
        rest = later;
        memory.value.untold = left.iter().chain(&rest).cloned().collect();
        if left.len() - before == count {
            continue;
        }
        let store = app.store()?;
        match store.replace(path, &memory.value, &memory.etag, None).await {
            Ok(etag) => memory.etag = etag,
            Err(Error::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Ends what still fires of rules that are switched off or gone. One of which the memory cannot be
/// read keeps no other from being evaluated.
async fn retire_others(
    app: &App,
    estate: &Estate,
    now: DateTime<Utc>,
    tick: &mut Tick,
) -> anyhow::Result<()> {
    let store = app.store()?;
    let never = estate.evaluator.mode == EvaluatorMode::Never;
    for path in store.list_all("rules/").await? {
        let name = path.trim_start_matches("rules/").trim_end_matches(".json");
        let rule = estate.rule(name);
        if !never && rule.is_some_and(|rule| rule.enabled) {
            continue;
        }
        if let Err(error) = retire_one(app, name, rule, &path, now, tick).await {
            tick.failed.push((name.to_owned(), format!("{error:#}")));
        }
    }
    Ok(())
}

async fn retire_one(
    app: &App,
    name: &str,
    rule: Option<&Rule>,
    path: &str,
    now: DateTime<Utc>,
    tick: &mut Tick,
) -> anyhow::Result<()> {
    let store = app.store()?;
    let Some(mut memory) = store.get::<Memory>(path).await? else {
        return Ok(());
    };
    if memory.value.series.is_empty()
        && memory.value.evaluated.is_empty()
        && memory.value.untold.is_empty()
    {
        return Ok(());
    }
    // Of what is gone it is not known whose it was; only boundary rules keep no series.
    let class = rule.map_or(Class::Operations, |rule| rule.class);
    let mut untold = std::mem::take(&mut memory.value.untold);
    let decided = retire(name, class, memory.value, now);
    untold.extend(decided.signals);
    memory.value = decided.memory;
    memory.value.untold = untold;
    match store.replace(path, &memory.value, &memory.etag, None).await {
        Ok(etag) => memory.etag = etag,
        Err(Error::Conflict(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    told(app, path, &mut memory, tick).await.map(drop)
}

/// Resources as the estate writes them, where it has them.
fn named(estate: &Estate, mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        if let Row::Units { resource, .. } = row
            && let Some(target) = estate.target(resource)
        {
            *resource = target.resource().id.to_string();
        }
    }
    rows
}
