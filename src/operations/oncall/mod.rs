//! Who is on duty, and the overrides that people put into effect.
//!
//! The rotas are in the estate; overrides are documents under `oncall/overrides/`. They are kept
//! when they are over, so that who was on duty at any moment can be said later.

mod ical;

use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

pub use ical::calendar;

use super::said::{self, Heard, Refusal, Said};
use crate::app::App;
use crate::domain::{Ending, Finding, Override};
use crate::estate::Duty;
use crate::journal::{Event, Journal, Run, RunId, Work, note};
use crate::store::Error;

const PREFIX: &str = "oncall/overrides/";

/// Days that an override may last.
pub const MOST_DAYS: i64 = 31;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub level: String,
    pub person: String,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub reason: String,
}

/// Who is on duty at one moment, and what changes that.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Roster {
    pub at: DateTime<Utc>,
    pub zone: String,
    pub levels: Vec<OnLevel>,
    /// Those that were not over at that moment, removed ones among them.
    pub overrides: Vec<Override>,
    /// Overrides that cannot be read, and do not hold.
    pub unread: Vec<Finding>,
    /// When the next business hours begin; that moment itself within them.
    pub next_business: DateTime<Utc>,
}

/// One level of the roster.
#[derive(Debug, Serialize)]
pub struct OnLevel {
    pub level: String,
    /// Who is told of what this level is told.
    pub reached: Option<Told>,
}

/// A duty as it is shown: by which channels they are told, and not under which address.
#[derive(Debug, Serialize)]
pub struct Told {
    pub level: String,
    pub person: String,
    pub channels: Vec<String>,
    pub climbed: Vec<String>,
    pub why: String,
}

impl From<Duty> for Told {
    fn from(duty: Duty) -> Self {
        Self {
            level: duty.level,
            person: duty.person,
            channels: duty.contacts.into_iter().map(|c| c.channel).collect(),
            climbed: duty.climbed,
            why: duty.why,
        }
    }
}

/// The overrides whose stated end is after `at`, removed ones among them.
pub async fn overrides(app: &App, at: DateTime<Utc>) -> Result<Heard<Override>, Error> {
    said::not_over(app, PREFIX, at).await
}

/// Who is on duty at a level or above at a moment, with the overrides that hold then.
pub async fn reach(app: &App, level: &str, at: DateTime<Utc>) -> anyhow::Result<Option<Duty>> {
    let estate = app.estate()?;
    let overrides = overrides(app, at).await?.what;
    Ok(estate.oncall.reach(&overrides, level, at, estate.zone))
}

/// Who is on duty at every level at a moment.
pub async fn roster(app: &App, at: DateTime<Utc>) -> anyhow::Result<Roster> {
    let estate = app.estate()?;
    let Heard {
        what: overrides,
        unread,
    } = overrides(app, at).await?;
    let (oncall, zone) = (&estate.oncall, estate.zone);
    let levels = oncall.levels.iter().map(|level| OnLevel {
        level: level.name.clone(),
        reached: oncall
            .reach(&overrides, &level.name, at, zone)
            .map(Told::from),
    });
    Ok(Roster {
        at,
        zone: zone.to_string(),
        levels: levels.collect(),
        next_business: oncall.next_business(at, zone),
        overrides,
        unread,
    })
}

/// The shifts from a week ago to a quarter of a year ahead as an iCalendar stream: of one level, or
/// of all.
///
/// Errors: there is no such level, or what reading the estate and the store gives.
pub async fn shifts(app: &App, level: Option<&str>, now: DateTime<Utc>) -> Result<String, Refusal> {
    let estate = app.estate()?;
    let (from, until) = (now - Duration::days(7), now + Duration::days(92));
    // A week more on both sides, so that a shift is whole and keeps its name from day to day.
    let (early, late) = (from - Duration::days(8), until + Duration::days(8));
    let overrides = overrides(app, early).await?.what;
    let names: Vec<String> = match level {
        None => estate
            .oncall
            .levels
            .iter()
            .map(|l| l.name.clone())
            .collect(),
        Some(name) => {
            let level = estate.oncall.level(name);
            let level = level.ok_or_else(|| Refusal::Missing(format!("level `{name}`")))?;
            vec![level.name.clone()]
        }
    };
    let shifts: Vec<_> = names
        .into_iter()
        .map(|name| {
            let oncall = &estate.oncall;
            let mut shifts = oncall.hands_over(&overrides, &name, early, late, estate.zone);
            shifts.retain(|shift| shift.until > from && shift.from < until);
            (name, shifts)
        })
        .collect();
    Ok(calendar(&shifts, now))
}

/// Puts somebody on duty. `key` names the override, so that what arrives twice meets itself; `by`
/// is verified.
pub async fn put(app: &App, key: &str, by: &str, wish: Wish) -> Result<Said<Override>, Refusal> {
    let now = app.clock.now();
    let oncall = &app.estate()?.oncall;
    let reason = said::reason(&wish.reason)?;
    let Some(level) = oncall.level(&wish.level) else {
        let known: Vec<&str> = oncall.levels.iter().map(|l| l.name.as_str()).collect();
        let why = format!("`{}` is no level: {} are", wish.level, known.join(", "));
        return Err(Refusal::Invalid(why));
    };
    if oncall.person(&wish.person).is_none() {
        let known: Vec<&str> = oncall.people.iter().map(|p| p.id.as_str()).collect();
        let why = format!("`{}` is nobody here: {} are", wish.person, known.join(", "));
        return Err(Refusal::Invalid(why));
    }
    let (from, until) = said::span(wish.from, wish.until, MOST_DAYS, now)?;
    let what = Override {
        id: said::dated_id(until, key),
        level: level.name.clone(),
        person: wish.person,
        from,
        until,
        by: by.to_owned(),
        reason,
        added: now,
        removed: None,
    };
    let run: RunId = run_of("override", key)?;
    let work = Work::Override {
        what: Box::new(what.clone()),
    };
    let holds = said::at_once(app, &run, work).await?;
    let first = super::runs::one(app, &run).await?.map(|run| run.work);
    let what = match first {
        Some(Work::Override { what }) => *what,
        _ => what,
    };
    Ok(Said { run, what, holds })
}

/// Takes an override back before its end. The first who does so counts.
pub async fn remove(
    app: &App,
    id: &str,
    by: &str,
    reason: &str,
) -> Result<Said<Override>, Refusal> {
    let reason = said::reason(reason)?;
    let missing = || Refusal::Missing(format!("override `{id}`"));
    said::end_of(id).ok_or_else(missing)?;
    let mut what = read(app, id).await?.ok_or_else(missing)?;
    let now = app.clock.now();
    if let Some(removed) = &what.removed {
        let why = format!("{} has removed it: {}", removed.by, removed.reason);
        return Err(Refusal::Over(why));
    }
    if what.until <= now {
        return Err(Refusal::Over("it is over".into()));
    }
    let ending = Ending {
        at: now,
        by: by.to_owned(),
        reason,
    };
    let run = run_of("override-end", &uuid::Uuid::new_v4().simple().to_string())?;
    let work = Work::OverrideEnd {
        id: id.to_owned(),
        ending: ending.clone(),
    };
    let holds = said::at_once(app, &run, work).await?;
    if holds {
        what = read(app, id).await?.ok_or_else(missing)?;
        if let Some(first) = what.removed.as_ref().filter(|first| **first != ending) {
            let why = format!("{} has removed it: {}", first.by, first.reason);
            return Err(Refusal::Over(why));
        }
    }
    Ok(Said { run, what, holds })
}

async fn read(app: &App, id: &str) -> Result<Option<Override>, Error> {
    let stored = app.store()?.get::<Override>(&path(id)).await?;
    Ok(stored.map(|s| s.value))
}

fn path(id: &str) -> String {
    format!("{PREFIX}{id}.json")
}

pub(super) fn run_of(kind: &str, key: &str) -> anyhow::Result<RunId> {
    let run = format!("{kind}-{key}");
    run.parse().with_context(|| format!("name the run `{run}`"))
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
        Work::Override { what } => {
            store.create(&path(&what.id), what).await?;
            let Override {
                id,
                level,
                person,
                from,
                until,
                by,
                reason,
                ..
            } = &**what;
            let (from, until) = (from.to_rfc3339(), until.to_rfc3339());
            let text = format!(
                "override {id}: {person} is on duty at {level} from {from} until {until}, put there by {by}: {reason}"
            );
            Event::Note { text }
        }
        Work::OverrideEnd { id, ending } => match end(app, id, ending).await? {
            None => {
                let (by, reason) = (&ending.by, &ending.reason);
                let text = format!("override {id}: removed by {by}: {reason}");
                Event::Note { text }
            }
            Some(why) => Event::Found {
                finding: Finding::new("override-not-removed", id, why),
            },
        },
        _ => anyhow::bail!("run `{}` is no override", run.id),
    };
    note(journal, run, event, app.clock.now()).await?;
    Ok(())
}

/// Writes the end down; why not, if somebody else was first.
async fn end(app: &App, id: &str, ending: &Ending) -> anyhow::Result<Option<String>> {
    let store = app.store()?;
    loop {
        let Some(mut stored) = store.get::<Override>(&path(id)).await? else {
            return Ok(Some("there is no such override".into()));
        };
        if let Some(first) = &stored.value.removed {
            let by_other = format!("{} had removed it", first.by);
            return Ok((first != ending).then_some(by_other));
        }
        stored.value.removed = Some(ending.clone());
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
