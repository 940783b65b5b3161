//! What a verified person says that holds for a while: taken like any work, so that it is durable
//! and in the journal, and carried out before they are answered.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, NaiveDateTime, SubsecRound as _, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Settled, accept, settle};
use crate::app::App;
use crate::domain::{Ending, Finding};
use crate::journal::{RunId, Work};
use crate::store::Error;

/// How long it is waited for another process that carries it out, in tries of 50 milliseconds.
const TRIES: u32 = 100;

/// Why it is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no {0}")]
    Missing(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Over(String),
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<T> {
    /// The run that holds who said it and why.
    pub run: RunId,
    /// As it was said first, under the same key.
    pub what: T,
    /// It holds; else it is durable, and holds within minutes.
    pub holds: bool,
}

/// Something that a person says, that holds until its stated end or until somebody ends it. Each is a
/// document, which is kept.
pub(super) trait Standing: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// Where the documents are.
    const PREFIX: &'static str;
    /// What it is, in full and in one word.
    const NAME: &'static str;
    const WORD: &'static str;
    /// What becomes of it when somebody ends it, as a participle.
    const ENDED: &'static str;
    /// What the run that ends it is called.
    const END_RUN: &'static str;

    fn until(&self) -> DateTime<Utc>;
    fn ending(&mut self) -> &mut Option<Ending>;
    /// What a run says, if it says one of these.
    fn of(work: Work) -> Option<Self>;
    /// The work of ending one.
    fn end(id: String, ending: Ending) -> Work;
}

pub(super) fn path<T: Standing>(id: &str) -> String {
    format!("{}{id}.json", T::PREFIX)
}

pub(super) fn run_of(kind: &str, key: &str) -> anyhow::Result<RunId> {
    let run = format!("{kind}-{key}");
    run.parse().with_context(|| format!("name the run `{run}`"))
}

/// One of them; `None` if there is none of that id.
pub(super) async fn one<T: Standing>(app: &App, id: &str) -> Result<Option<T>, Error> {
    if end_of(id).is_none() {
        return Ok(None);
    }
    let stored = app.store()?.get::<T>(&path::<T>(id)).await?;
    Ok(stored.map(|s| s.value))
}

/// Says it. What was said first under the same key counts.
pub(super) async fn say<T: Standing>(
    app: &App,
    run: RunId,
    what: T,
    work: Work,
) -> Result<Said<T>, Refusal> {
    let holds = at_once(app, &run, work).await?;
    let first = super::runs::one(app, &run).await?;
    let what = first.and_then(|run| T::of(run.work)).unwrap_or(what);
    Ok(Said { run, what, holds })
}

/// Ends it before its stated end. The first who does so counts.
pub(super) async fn end<T: Standing>(
    app: &App,
    id: &str,
    by: &str,
    why: &str,
) -> Result<Said<T>, Refusal> {
    let why = reason(why)?;
    let missing = || Refusal::Missing(format!("{} `{id}`", T::NAME));
    let mut what: T = one(app, id).await?.ok_or_else(missing)?;
    let by_other = |first: &Ending| {
        let Ending { by, reason, .. } = first;
        Refusal::Over(format!("{by} has {} it: {reason}", T::ENDED))
    };
    if let Some(first) = what.ending() {
        return Err(by_other(first));
    }
    let now = app.clock.now();
    if what.until() <= now {
        return Err(Refusal::Over("it is over".into()));
    }
    let ending = Ending {
        at: now,
        by: by.to_owned(),
        reason: why,
    };
    let run = run_of(T::END_RUN, &uuid::Uuid::new_v4().simple().to_string())?;
    let work = T::end(id.to_owned(), ending.clone());
    let holds = at_once(app, &run, work).await?;
    if holds {
        what = one(app, id).await?.ok_or_else(missing)?;
        if let Some(first) = what.ending().as_ref().filter(|first| **first != ending) {
            return Err(by_other(first));
        }
    }
    Ok(Said { run, what, holds })
}

/// Writes the end down; why not, if somebody else was first.
pub(super) async fn close<T: Standing>(
    app: &App,
    id: &str,
    ending: &Ending,
) -> Result<Option<String>, Error> {
    let (store, path) = (app.store()?, path::<T>(id));
    loop {
        let Some(mut stored) = store.get::<T>(&path).await? else {
            return Ok(Some(format!("there is no such {}", T::WORD)));
        };
        if let Some(first) = stored.value.ending() {
            let by_other = format!("{} had {} it", first.by, T::ENDED);
            return Ok((first != ending).then_some(by_other));
        }
        *stored.value.ending() = Some(ending.clone());
        match store
            .replace(&path, &stored.value, &stored.etag, None)
            .await
        {
            Ok(_) => return Ok(None),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes it and carries it out. Durable once this has not failed.
async fn at_once(app: &App, run: &RunId, work: Work) -> Result<bool, Refusal> {
    accept(app, run.clone(), work).await?;
    for _ in 0..TRIES {
        match settle(app, run).await {
            Ok(Settled::Done(_) | Settled::Already) => return Ok(true),
            Ok(Settled::Elsewhere | Settled::Later) => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(%run, error, "accepted, and not carried out yet");
                break;
            }
        }
    }
    Ok(false)
}

/// A reason, as it is written down.
pub(super) fn reason(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 1000 {
        let why = "a reason is wanted, of 1000 characters at most";
        return Err(Refusal::Invalid(why.into()));
    }
    Ok(text.to_owned())
}

/// From when until when, in whole seconds: not over, not longer than `most` days, and not further
/// ahead than a year.
pub(super) fn span(
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    most: i64,
    now: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Refusal> {
    let (from, until) = (from.trunc_subsecs(0), until.trunc_subsecs(0));
    let wrong = |why: String| Err(Refusal::Invalid(why));
    let shown = until.to_rfc3339();
    if until <= now {
        return wrong(format!("it would end at {shown}, which is past"));
    }
    if until <= from {
        let from = from.to_rfc3339();
        return wrong(format!(
            "it would end at {shown}, before it begins at {from}"
        ));
    }
    if until - from > chrono::Duration::days(most) {
        return wrong(format!("it would last longer than {most} days"));
    }
    if until - now > chrono::Duration::days(366) {
        return wrong(format!("it would end at {shown}, in more than a year"));
    }
    Ok((from, until))
}

const STAMP: &str = "%Y%m%dt%H%M%Sz";

/// An id that sorts by the end, so that what is over need not be read.
pub(super) fn dated_id(until: DateTime<Utc>, key: &str) -> String {
    let key: String = key.chars().take(16).collect();
    format!("{}-{key}", until.format(STAMP))
}

/// When what has this id ends at the latest; `None` if it is no such id.
fn end_of(id: &str) -> Option<DateTime<Utc>> {
    let (stamp, key) = id.split_once('-')?;
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if key.len() != 16 || !key.bytes().all(hexadecimal) {
        return None;
    }
    let end = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
    Some(end.and_utc())
}

/// What was said, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heard<T> {
    pub what: Vec<T>,
    /// One for each document that cannot be read. Nothing holds of what it said: one that is damaged
    /// must neither silence everything nor keep anybody from being told.
    pub unread: Vec<Finding>,
}

impl<T> Default for Heard<T> {
    fn default() -> Self {
        Self {
            what: Vec::new(),
            unread: Vec::new(),
        }
    }
}

/// Those whose stated end is after `at`, those that end first at the front.
///
/// Errors: the store. A document that is not what it should be is none: it is left out, and told.
pub(super) async fn not_over<T: Standing>(app: &App, at: DateTime<Utc>) -> Result<Heard<T>, Error> {
    let store = app.store()?;
    let names = store.list_all(T::PREFIX).await?;
    let wanted: Vec<String> = names
        .into_iter()
        .filter(|name| {
            name.strip_prefix(T::PREFIX)
                .and_then(|name| name.strip_suffix(".json"))
                .and_then(end_of)
                .is_some_and(|end| end > at)
        })
        .collect();
    let found = stream::iter(wanted)
        .map(|name| async move {
            match store.get::<T>(&name).await {
                Ok(stored) => Ok(stored.map(|s| Ok(s.value))),
                Err(Error::Unreadable { path, why }) => Ok(Some(Err(unread(path, &why)))),
                Err(error) => Err(error),
            }
        })
        .buffered(16)
        .try_collect::<Vec<_>>()
        .await?;
    let mut heard = Heard::default();
    for one in found.into_iter().flatten() {
        match one {
            Ok(what) => heard.what.push(what),
            Err(finding) => heard.unread.push(finding),
        }
    }
    Ok(heard)
}

fn unread(path: String, why: &str) -> Finding {
    let why = format!("it cannot be read, so nothing that it says holds: {why}");
    Finding::new("document-unreadable", path, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    #[test]
    fn an_id_says_when_it_is_over_and_sorts_by_that() {
        let until = utc("2026-12-01T09:00:00Z");
        let id = dated_id(until, "0123456789abcdef0123");
        assert_eq!(id, "20261201t090000z-0123456789abcdef");
        assert_eq!(end_of(&id), Some(until));
        for text in [
            "",
            "20261201t090000z",
            "20261201t090000z-0123456789abcde",
            "20261201t090000z-0123456789abcdeg",
            "20261301t090000z-0123456789abcdef",
            "../20261201t090000z-0123456789abcdef",
        ] {
            assert_eq!(end_of(text), None, "{text}");
        }
    }

    #[test]
    fn how_long_it_may_hold() {
        let now = "2026-11-25T09:00:00Z";
        for (name, from, until, expected) in [
            ("an hour", now, "2026-11-25T10:00:00Z", None),
            ("31 days", now, "2026-12-26T09:00:00Z", None),
            (
                "longer",
                now,
                "2026-12-26T09:00:01Z",
                Some("longer than 31 days"),
            ),
            ("past", "2026-11-01T09:00:00Z", now, Some("which is past")),
            (
                "nothing",
                "2026-11-26T09:00:00Z",
                "2026-11-26T09:00:00Z",
                Some("before it begins"),
            ),
            (
                "far ahead",
                "2027-11-26T09:00:00Z",
                "2027-11-27T09:00:00Z",
                Some("more than a year"),
            ),
        ] {
            let found = span(utc(from), utc(until), 31, utc(now)).map_err(|e| e.to_string());
            match (found, expected) {
                (Ok(_), None) => {}
                (Err(why), Some(part)) => assert!(why.contains(part), "{name}: {why}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
