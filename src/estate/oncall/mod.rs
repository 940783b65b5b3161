//! Who is to be told at which level, at every moment: business hours, people, rotas, and the level
//! that is next where nobody is on duty.

mod calendar;
mod cover;
mod read;
mod shifts;

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

pub use calendar::Calendar;
pub(super) use read::OnCallFile;
pub use shifts::Shift;

use crate::domain::{Contact, Override, first_instant};

/// The people of the estate, and when each of them is on duty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnCall {
    pub calendars: Vec<Calendar>,
    pub people: Vec<Person>,
    /// From the first to be told to the last, as they are written.
    pub levels: Vec<Level>,
    /// The calendar whose hours are those of the business; none if there is no calendar.
    pub(super) business: Option<String>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: String,
    /// The first is tried first.
    pub contacts: Vec<Contact>,
}

/// One level of the escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    pub name: String,
    pub hours: Hours,
    pub turns: Turns,
    /// Who is told where nobody of this level is on duty.
    pub next: Option<String>,
}

/// When somebody of a level is on duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hours {
    Always,
    /// In the hours of the calendar of this name.
    Calendar(String),
}

/// Who of a level is on duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turns {
    One(String),
    /// A week each, one after the other, for ever and since ever.
    Weekly {
        people: Vec<String>,
        /// A day on which the first of them takes over.
        starts: NaiveDate,
        /// When they do so, that weekday of each week.
        at: NaiveTime,
    },
}

/// Who is on duty, and why it is them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Duty {
    pub level: String,
    pub person: String,
    /// The first is tried first.
    pub contacts: Vec<Contact>,
    /// The levels that were asked for before this one and have nobody.
    pub climbed: Vec<String>,
    /// For people.
    pub why: String,
}

impl OnCall {
    /// Who is on duty at a level at a moment; `None` outside its hours, and if there is no such
    /// level. The newest of the overrides that hold counts, whatever the hours; one of somebody who
    /// is not in the estate any more does not.
    #[must_use]
    pub fn duty(
        &self,
        overrides: &[Override],
        level: &str,
        at: DateTime<Utc>,
        zone: Tz,
    ) -> Option<Duty> {
        let level = self.level(level)?;
        let duty = |person: &Person, why: String| Duty {
            level: level.name.clone(),
            person: person.id.clone(),
            contacts: person.contacts.clone(),
            climbed: Vec::new(),
            why,
        };
        let newest = overrides
            .iter()
            .filter(|o| o.level.eq_ignore_ascii_case(&level.name) && o.holds(at))
            .filter_map(|o| Some((o, self.person(&o.person)?)))
            .max_by_key(|(o, _)| (o.added, &o.id));
        if let Some((over, person)) = newest {
            let until = over.ends().with_timezone(&zone).format("%Y-%m-%d %H:%M");
            let why = format!("put there by {} until {until}: {}", over.by, over.reason);
            return Some(duty(person, why));
        }
        let hours = match &level.hours {
            Hours::Always => "at all hours".to_owned(),
            Hours::Calendar(name) => {
                if !self.calendar(name)?.is_open(at, zone) {
                    return None;
                }
                format!("in the hours of `{name}`")
            }
        };
        match &level.turns {
            Turns::One(id) => Some(duty(self.person(id)?, format!("alone, {hours}"))),
            Turns::Weekly {
                people,
                starts,
                at: time,
            } => {
                let week = week(*starts, *time, at, zone)?;
                let count = i64::try_from(people.len()).ok().filter(|n| *n > 0)?;
                let turn = usize::try_from(week.number.rem_euclid(count)).ok()?;
                let since = week.began.with_timezone(&zone).format("%Y-%m-%d %H:%M");
                let why = format!("their week since {since}, {hours}");
                Some(duty(self.person(&people[turn])?, why))
            }
        }
    }

    /// Who is on duty at a level or, where nobody is, at the next one that has somebody.
    #[must_use]
    pub fn reach(
        &self,
        overrides: &[Override],
        level: &str,
        at: DateTime<Utc>,
        zone: Tz,
    ) -> Option<Duty> {
        let mut climbed = Vec::new();
        for level in self.chain(level) {
            if let Some(duty) = self.duty(overrides, &level.name, at, zone) {
                return Some(Duty { climbed, ..duty });
            }
            climbed.push(level.name.clone());
        }
        None
    }

    /// The beginning of the next business hours, `at` itself within them. Without a calendar every
    /// hour is one of business.
    #[must_use]
    pub fn next_business(&self, at: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        let calendar = self.business.as_deref().and_then(|n| self.calendar(n));
        calendar.map_or(at, |calendar| {
            // One that is closed for more than a year by its list of dates holds nothing back.
            calendar.next_open(at, zone).unwrap_or(at)
        })
    }

    /// A level by its name, in any capitals.
    #[must_use]
    pub fn level(&self, name: &str) -> Option<&Level> {
        self.levels
            .iter()
            .find(|l| l.name.eq_ignore_ascii_case(name))
    }

    /// A person by their id.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.id == id)
    }

    fn calendar(&self, name: &str) -> Option<&Calendar> {
        self.calendars.iter().find(|c| c.name == name)
    }

    /// A level and those after it; each once, so it ends even if they loop.
    fn chain(&self, level: &str) -> Vec<&Level> {
        let mut chain: Vec<&Level> = Vec::new();
        let mut next = self.level(level);
        while let Some(level) = next {
            if chain.iter().any(|known| known.name == level.name) {
                break;
            }
            chain.push(level);
            next = level.next.as_deref().and_then(|name| self.level(name));
        }
        chain
    }

    /// Contacts over channels that are not among `known`: the key in the estate file, and what is
    /// wrong there.
    #[must_use]
    pub fn unknown_channels(&self, known: &BTreeSet<String>) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        for (index, person) in self.people.iter().enumerate() {
            for (contact, Contact { channel, .. }) in person.contacts.iter().enumerate() {
                // One without a name has been told already.
                if !channel.trim().is_empty() && !known.contains(channel) {
                    let key = format!("oncall.people[{index}].contacts[{contact}].channel");
                    let names: Vec<&str> = known.iter().map(String::as_str).collect();
                    let message = if names.is_empty() {
                        format!("is `{channel}`, and the estate has no channels: add one")
                    } else {
                        format!("is `{channel}`: the channels are {}", names.join(", "))
                    };
                    wrong.push((key, message));
                }
            }
        }
        wrong
    }
}

/// One week of a rota.
struct Week {
    /// 0 is the one that begins on the day on which the rota starts.
    number: i64,
    began: DateTime<Utc>,
}

/// The week that a moment is in. Weeks begin when the clock on the wall shows the time of the
/// hand-over for the first time, or would have if it is left out; so a repeated hour hands nothing
/// back.
fn week(starts: NaiveDate, time: NaiveTime, at: DateTime<Utc>, zone: Tz) -> Option<Week> {
    let first = starts.and_time(time);
    let passed = at.with_timezone(&zone).naive_local() - first;
    let guess = passed.num_seconds().div_euclid(7 * 24 * 3600);
    // The clocks may have been changed since, by a day at most.
    [guess + 1, guess, guess - 1]
        .into_iter()
        .find_map(|number| {
            let local = first.checked_add_signed(Duration::try_weeks(number)?)?;
            let began = first_instant(zone, local)?;
            (began <= at).then_some(Week { number, began })
        })
}

#[cfg(test)]
mod tests;
