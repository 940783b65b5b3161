//! When nobody is told: silences and one-off windows that people ask for, and the windows of the
//! estate.
//!
//! Silences are documents under `quiet/silences/`; what was recorded of windows is under
//! `quiet/occasions/`, with a mark under `quiet/open/` for each that is not over. All are kept.

mod tick;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use tick::{Occasion, Turned, tick};

use super::said::{self, Heard, Refusal, Said, Standing};
use crate::app::App;
use crate::domain::{Ending, Finding, Matcher, Quiet, QuietKind, Silence};
use crate::journal::{Event, Journal, Run, Work, note};
use crate::store::Error;

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
    said::not_over(app, at).await
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
    said::one(app, id).await
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
    let work = Work::Silence {
        what: Box::new(what.clone()),
    };
    said::say(app, said::run_of("quiet", key)?, what, work).await
}

/// Ends a silence or a one-off window before its time. The first who does so counts.
pub async fn end(app: &App, id: &str, by: &str, reason: &str) -> Result<Said<Silence>, Refusal> {
    said::end(app, id, by, reason).await
}

impl Standing for Silence {
    const PREFIX: &'static str = "quiet/silences/";
    const NAME: &'static str = "silence or one-off window";
    const WORD: &'static str = "silence";
    const ENDED: &'static str = "ended";
    const END_RUN: &'static str = "quiet-end";

    fn until(&self) -> DateTime<Utc> {
        self.until
    }

    fn ending(&mut self) -> &mut Option<Ending> {
        &mut self.ended
    }

    fn of(work: Work) -> Option<Self> {
        match work {
            Work::Silence { what } => Some(*what),
            _ => None,
        }
    }

    fn end(id: String, ending: Ending) -> Work {
        Work::SilenceEnd { id, ending }
    }
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
            store.create(&said::path::<Silence>(&what.id), what).await?;
            let (id, kind) = (&what.id, what.kind.as_str());
            let (from, until) = (what.from.to_rfc3339(), what.until.to_rfc3339());
            let matcher = serde_json::to_string(&what.matcher)?;
            let text = format!(
                "{kind} {id}: {matcher} is quiet from {from} until {until}, asked for by {}: {}",
                what.owner, what.reason
            );
            Event::Note { text }
        }
        Work::SilenceEnd { id, ending } => match said::close::<Silence>(app, id, ending).await? {
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
