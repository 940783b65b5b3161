//! When nobody is told: silences and one-off windows that people ask for, and the windows of the
//! estate.
//!
//! Silences are documents under `quiet/silences/`; what was recorded of windows is under
//! `quiet/occasions/`, with a mark under `quiet/open/` for each that is not over. All are kept.

mod tick;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use tick::{Occasion, Turned, tick};

use super::said::{self, Heard, Refusal, Said};
use crate::app::App;
use crate::domain::{Ending, Finding, Matcher, Quiet, QuietKind, Silence};
use crate::journal::{Event, Journal, Run, Work, note};
use crate::store::Error;

const PREFIX: &str = "quiet/silences/";

/// Days that a silence or a one-off window may last.
pub const MOST_DAYS: i64 = 30;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub kind: QuietKind,
    pub matcher: Matcher,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub reason: String,
}

/// What is quiet at one moment, and will be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    pub at: DateTime<Utc>,
    pub in_force: Vec<Quiet>,
    /// Those that were not over by their stated end, ended ones among them.
    pub silences: Vec<Silence>,
    /// Silences and one-off windows that cannot be read: they keep nothing quiet.
    pub unread: Vec<Finding>,
    /// The next occurrence of each window of the estate that has one within five weeks.
    pub next_windows: Vec<Quiet>,
}

/// Everything that is quiet at a moment.
///
/// Errors: the estate or the store cannot be read. Then nothing is known to be quiet, and whoever
/// asks should tell people rather than not.
pub async fn in_force(app: &App, at: DateTime<Utc>) -> anyhow::Result<Heard<Quiet>> {
    let silences = silences(app, at).await?;
    Ok(Heard {
        what: holding(app, &silences.what, at)?,
        unread: silences.unread,
    })
}

fn holding(app: &App, silences: &[Silence], at: DateTime<Utc>) -> anyhow::Result<Vec<Quiet>> {
    let mut found = windows(app, at, at)?;
    let held = silences.iter().filter(|silence| silence.holds(at));
    found.extend(held.map(Silence::quiet));
    Ok(found)
}

/// The silences and one-off windows whose stated end is after `at`, ended ones among them.
pub async fn silences(app: &App, at: DateTime<Utc>) -> Result<Heard<Silence>, Error> {
    said::not_over(app, PREFIX, at).await
}

/// Occurrences of the estate's windows that end after `after` and begin not after `until`.
fn windows(app: &App, after: DateTime<Utc>, until: DateTime<Utc>) -> anyhow::Result<Vec<Quiet>> {
    let estate = app.estate()?;
    let mut found = Vec::new();
    for window in &estate.windows {
        found.extend(window.occurrences(after, until, estate.zone));
    }
    Ok(found)
}

/// What is quiet, what was asked for, and which windows come next.
pub async fn overview(app: &App, at: DateTime<Utc>) -> anyhow::Result<Overview> {
    let estate = app.estate()?;
    let ahead = at + chrono::Duration::days(35);
    let mut next_windows = Vec::new();
    for window in &estate.windows {
        let mut coming = window.occurrences(at, ahead, estate.zone).into_iter();
        next_windows.extend(coming.find(|quiet| quiet.from > at));
    }
    let Heard { what, unread } = silences(app, at).await?;
    Ok(Overview {
        at,
        in_force: holding(app, &what, at)?,
        silences: what,
        unread,
        next_windows,
    })
}

/// One silence or one-off window; `None` if there is none of that id.
pub async fn one(app: &App, id: &str) -> Result<Option<Silence>, Error> {
    if said::end_of(id).is_none() {
        return Ok(None);
    }
    let stored = app.store()?.get::<Silence>(&path(id)).await?;
    Ok(stored.map(|s| s.value))
}

/// Asks for quiet. `key` names it, so that what arrives twice meets itself; `by` is verified, and
/// answers for it.
pub async fn add(app: &App, key: &str, by: &str, wish: Wish) -> Result<Said<Silence>, Refusal> {
    let now = app.clock.now();
    let reason = said::reason(&wish.reason)?;
    if let Some(problem) = wish.matcher.problem() {
        return Err(Refusal::Invalid(format!("the matcher {problem}")));
    }
    // What was told is told: quiet does not begin before it was asked for.
    let (from, until) = said::span(wish.from.max(now), wish.until, MOST_DAYS, now)?;
    let what = Silence {
        id: said::dated_id(until, key),
        kind: wish.kind,
        matcher: wish.matcher,
        owner: by.to_owned(),
        reason,
        from,
        until,
        added: now,
        ended: None,
    };
    let run = super::oncall::run_of("quiet", key)?;
    let work = Work::Silence {
        what: Box::new(what.clone()),
    };
    let holds = said::at_once(app, &run, work).await?;
    let first = super::runs::one(app, &run).await?.map(|run| run.work);
    let what = match first {
        Some(Work::Silence { what }) => *what,
        _ => what,
    };
    Ok(Said { run, what, holds })
}

/// Ends a silence or a one-off window before its time. The first who does so counts.
pub async fn end(app: &App, id: &str, by: &str, reason: &str) -> Result<Said<Silence>, Refusal> {
    let reason = said::reason(reason)?;
    let missing = || Refusal::Missing(format!("silence or one-off window `{id}`"));
    let mut what = one(app, id).await?.ok_or_else(missing)?;
    let now = app.clock.now();
    let by_other =
        |first: &Ending| Refusal::Over(format!("{} has ended it: {}", first.by, first.reason));
    if let Some(ended) = &what.ended {
        return Err(by_other(ended));
    }
    if what.until <= now {
        return Err(Refusal::Over("it is over".into()));
    }
    let ending = Ending {
        at: now,
        by: by.to_owned(),
        reason,
    };
    let key = uuid::Uuid::new_v4().simple().to_string();
    let run = super::oncall::run_of("quiet-end", &key)?;
    let work = Work::SilenceEnd {
        id: id.to_owned(),
        ending: ending.clone(),
    };
    let holds = said::at_once(app, &run, work).await?;
    if holds {
        what = one(app, id).await?.ok_or_else(missing)?;
        if let Some(first) = what.ended.as_ref().filter(|first| **first != ending) {
            return Err(by_other(first));
        }
    }
    Ok(Said { run, what, holds })
}

fn path(id: &str) -> String {
    format!("{PREFIX}{id}.json")
}

/// Carries out what was taken. Safe to repeat.
pub(super) async fn carry_out(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    work: &Work,
) -> anyhow::Result<()> {
    let store = app.store()?;
    let event = match work {
        Work::Silence { what } => {
            store.create(&path(&what.id), what).await?;
            let (id, kind) = (&what.id, what.kind.as_str());
            let (from, until) = (what.from.to_rfc3339(), what.until.to_rfc3339());
            let matcher = serde_json::to_string(&what.matcher)?;
            let text = format!(
                "{kind} {id}: {matcher} is quiet from {from} until {until}, asked for by {}: {}",
                what.owner, what.reason
            );
            Event::Note { text }
        }
        Work::SilenceEnd { id, ending } => match close(app, id, ending).await? {
            None => {
                let (by, reason) = (&ending.by, &ending.reason);
                let text = format!("quiet {id}: ended by {by}: {reason}");
                Event::Note { text }
            }
            Some(why) => Event::Found {
                finding: Finding::new("quiet-not-ended", id, why),
            },
        },
        _ => anyhow::bail!("run `{}` is no silence", run.id),
    };
    note(journal, run, event, app.clock.now()).await?;
    Ok(())
}

/// Writes the end down; why not, if somebody else was first.
async fn close(app: &App, id: &str, ending: &Ending) -> anyhow::Result<Option<String>> {
    let store = app.store()?;
    loop {
        let Some(mut stored) = store.get::<Silence>(&path(id)).await? else {
            return Ok(Some("there is no such silence".into()));
        };
        if let Some(first) = &stored.value.ended {
            let by_other = format!("{} had ended it", first.by);
            return Ok((first != ending).then_some(by_other));
        }
        stored.value.ended = Some(ending.clone());
        let path = path(id);
        match store
            .replace(&path, &stored.value, &stored.etag, None)
            .await
        {
            Ok(_) => return Ok(None),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
