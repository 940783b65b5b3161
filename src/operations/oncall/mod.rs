//! Who is on duty, and the overrides that people put into effect.
//!
//! The rotas are in the estate; overrides are documents under `oncall/overrides/`. They are kept
//! when they are over, so that who was on duty at any moment can be said later.

mod ical;

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

pub use ical::calendar;

use super::said::{self, Heard, Refusal, Said, Standing};
use crate::app::App;
use crate::domain::{Ending, Finding, Override};
use crate::estate::Duty;
use crate::journal::{Event, Journal, Run, Work, note};
use crate::store::Error;

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
    said::not_over(app, at).await
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
    let work = Work::Override {
        what: Box::new(what.clone()),
    };
    said::say(app, said::run_of("override", key)?, what, work).await
}

/// Takes an override back before its end. The first who does so counts.
pub async fn remove(
    app: &App,
    id: &str,
    by: &str,
    reason: &str,
) -> Result<Said<Override>, Refusal> {
    said::end(app, id, by, reason).await
}

impl Standing for Override {
    const PREFIX: &'static str = "oncall/overrides/";
    const NAME: &'static str = "override";
    const WORD: &'static str = "override";
    const ENDED: &'static str = "removed";
    const END_RUN: &'static str = "override-end";

    fn until(&self) -> DateTime<Utc> {
        self.until
    }

    fn ending(&mut self) -> &mut Option<Ending> {
        &mut self.removed
    }

    fn of(work: Work) -> Option<Self> {
        match work {
            Work::Override { what } => Some(*what),
            _ => None,
        }
    }

    fn end(id: String, ending: Ending) -> Work {
        Work::OverrideEnd { id, ending }
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
        Work::Override { what } => {
            store
                .create(&said::path::<Override>(&what.id), what)
                .await?;
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
        Work::OverrideEnd { id, ending } => match said::close::<Override>(app, id, ending).await? {
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
