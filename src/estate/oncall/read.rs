//! The section `oncall` as it is written, and what may be wrong with it.

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate, NaiveTime, Weekday};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Calendar, Hours, Level, OnCall, Person, Turns};
use crate::domain::Contact;
use crate::estate::Reader;

/// Who is told, and when.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct OnCallFile {
    /// The calendar whose hours are those of the business [default: the first].
    business: Option<String>,
    /// Business hours.
    #[serde(default)]
    calendars: Vec<CalendarFile>,
    /// The people who are told.
    #[serde(default)]
    people: Vec<PersonFile>,
    /// The levels of the escalation.
    #[serde(default)]
    levels: Vec<LevelFile>,
}

/// Business hours, in the estate's time zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    name: String,
    /// Days of the week with business hours, as mon, tue.
    days: Vec<String>,
    /// Local time, as 09:00.
    from: String,
    /// Local time, as 18:00; 00:00 is the end of the day.
    to: String,
    /// Closed on the national holidays of Japan.
    #[serde(default)]
    japanese_holidays: bool,
    /// Dates that are closed as well, as 2026-12-31.
    #[serde(default)]
    closed: Vec<String>,
}

/// Somebody who is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PersonFile {
    id: String,
    /// The first is tried first.
    contacts: Vec<ContactFile>,
}

/// Where a message for them goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContactFile {
    /// Name of a channel.
    channel: String,
    /// As the channel understands it; left out where it has one recipient only.
    #[serde(default)]
    to: String,
}

/// One level of the escalation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LevelFile {
    name: String,
    /// When somebody is on duty: always, or the name of a calendar [default: always].
    #[serde(default = "always")]
    hours: String,
    /// The one person who is on duty.
    person: Option<String>,
    /// The people who are on duty a week each, one after the other.
    #[serde(default)]
    rota: Vec<String>,
    /// When one hands over to the next, as mon 09:00, in the estate's time zone.
    hand_over: Option<String>,
    /// A date, on the weekday of the hand-over, on which the first of the rota takes over.
    starts: Option<String>,
    /// The level that is told where nobody of this one is on duty.
    next: Option<String>,
}

fn always() -> String {
    "always".into()
}

impl Reader<'_> {
    pub(in crate::estate) fn oncall(&mut self, file: OnCallFile) -> OnCall {
        let before = self.problems.len();
        let mut names = BTreeSet::new();
        let mut calendars = Vec::new();
        for (index, calendar) in file.calendars.into_iter().enumerate() {
            let key = format!("oncall.calendars[{index}]");
            self.named(&key, "name", &calendar.name, &mut names);
            calendars.push(self.calendar(calendar, &key));
        }
        let mut ids = BTreeSet::new();
        let mut people = Vec::new();
        for (index, person) in file.people.into_iter().enumerate() {
            let key = format!("oncall.people[{index}]");
            self.named(&key, "id", &person.id, &mut ids);
            people.push(self.person(person, &key));
        }
        let mut oncall = OnCall {
            business: file
                .business
                .clone()
                .or_else(|| calendars.first().map(|c: &Calendar| c.name.clone())),
            calendars,
            people,
            levels: Vec::new(),
        };
        if let Some(name) = &file.business {
            self.known_calendar("oncall.business", name, &oncall);
        }
        let mut names = BTreeSet::new();
        let mut levels = Vec::new();
        for (index, level) in file.levels.into_iter().enumerate() {
            let key = format!("oncall.levels[{index}]");
            self.named(&key, "name", &level.name.to_ascii_lowercase(), &mut names);
            levels.push(self.level(level, &key, &oncall));
        }
        oncall.levels = levels;
        self.chains(&oncall);
        // Whether everybody is reached can only be said of levels that are right.
        if self.problems.len() == before {
            self.cover(&oncall);
        }
        oncall
    }

    fn named(&mut self, key: &str, field: &str, name: &str, names: &mut BTreeSet<String>) {
        let key = format!("{key}.{field}");
        let fits = !name.is_empty()
            && name.len() <= 60
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if !fits {
            let message = format!("is `{name}`: letters, digits, `-`, `.` and `_` are possible");
            self.tell(&key, message);
        }
        if !names.insert(name.to_owned()) {
            self.tell(&key, format!("is `{name}`, as that of another one"));
        }
    }

    fn calendar(&mut self, file: CalendarFile, key: &str) -> Calendar {
        if file.name == "always" {
            let field = format!("{key}.name");
            self.tell(
                &field,
                "is `always`, which means all hours: take another name",
            );
        }
        let mut days = Vec::new();
        for (index, text) in file.days.iter().enumerate() {
            match text.parse::<Weekday>() {
                Ok(day) => days.push(day),
                Err(_) => {
                    let field = format!("{key}.days[{index}]");
                    self.tell(&field, format!("is `{text}`: no day of the week"));
                }
            }
        }
        if file.days.is_empty() {
            self.tell(&format!("{key}.days"), "is empty: name the days, as mon");
        }
        let from = self.local_time(&format!("{key}.from"), &file.from);
        let to = self.local_time(&format!("{key}.to"), &file.to);
        if from >= to && to != NaiveTime::MIN {
            let message = "is not after `from`: hours over midnight are two calendars, and 00:00 is the end of the day";
            self.tell(&format!("{key}.to"), message);
        }
        let mut closed = BTreeSet::new();
        for (index, text) in file.closed.iter().enumerate() {
            let field = format!("{key}.closed[{index}]");
            closed.extend(self.date(&field, text));
        }
        Calendar {
            name: file.name,
            days,
            from,
            to,
            japanese_holidays: file.japanese_holidays,
            closed,
        }
    }

    fn person(&mut self, file: PersonFile, key: &str) -> Person {
        if file.contacts.is_empty() {
            let message = "is empty: nobody could tell them anything, name a channel";
            self.tell(&format!("{key}.contacts"), message);
        }
        for (index, contact) in file.contacts.iter().enumerate() {
            if contact.channel.trim().is_empty() {
                let field = format!("{key}.contacts[{index}].channel");
                self.tell(&field, "is empty: name a channel");
            }
        }
        let contacts = file.contacts.into_iter().map(|contact| Contact {
            channel: contact.channel,
            to: contact.to,
        });
        Person {
            id: file.id,
            contacts: contacts.collect(),
        }
    }

    fn level(&mut self, file: LevelFile, key: &str, oncall: &OnCall) -> Level {
        let hours = if file.hours == "always" {
            Hours::Always
        } else {
            self.known_calendar(&format!("{key}.hours"), &file.hours, oncall);
            Hours::Calendar(file.hours)
        };
        let known = |reader: &mut Self, field: &str, id: &str| {
            if oncall.person(id).is_none() {
                let message = format!("is `{id}`: nobody in `oncall.people` has that id");
                reader.tell(&format!("{key}.{field}"), message);
            }
        };
        let turns = match file.person {
            Some(person) => {
                known(self, "person", &person);
                for (field, is_there) in [
                    ("rota", !file.rota.is_empty()),
                    ("hand_over", file.hand_over.is_some()),
                    ("starts", file.starts.is_some()),
                ] {
                    if is_there {
                        let message = "belongs to a rota, and there is a `person`: leave out one";
                        self.tell(&format!("{key}.{field}"), message);
                    }
                }
                Turns::One(person)
            }
            None => {
                if file.rota.is_empty() {
                    let message = "is empty: name people, or a `person` who is on duty alone";
                    self.tell(&format!("{key}.rota"), message);
                }
                for (index, id) in file.rota.iter().enumerate() {
                    known(self, &format!("rota[{index}]"), id);
                }
                self.weekly(file.rota, file.hand_over, file.starts, key)
            }
        };
        Level {
            name: file.name,
            hours,
            turns,
            next: file.next,
        }
    }

    fn weekly(
        &mut self,
        people: Vec<String>,
        hand_over: Option<String>,
        starts: Option<String>,
        key: &str,
    ) -> Turns {
        let (weekday, at) = match &hand_over {
            None => {
                let message = "is missing: say when one hands over to the next, as mon 09:00";
                self.tell(&format!("{key}.hand_over"), message);
                (Weekday::Mon, NaiveTime::MIN)
            }
            Some(text) => match weekday_and_time(text) {
                Some(parsed) => parsed,
                None => {
                    let message =
                        format!("is `{text}`: a weekday and a time are wanted, as mon 09:00");
                    self.tell(&format!("{key}.hand_over"), message);
                    (Weekday::Mon, NaiveTime::MIN)
                }
            },
        };
        let field = format!("{key}.starts");
        let starts = match &starts {
            None => {
                let message = "is missing: say on which date the first of the rota takes over";
                self.tell(&field, message);
                None
            }
            Some(text) => self.date(&field, text),
        };
        if let Some(starts) = starts
            && hand_over
                .as_deref()
                .is_some_and(|text| weekday_and_time(text).is_some())
            && starts.weekday() != weekday
        {
            let day = starts.weekday();
            self.tell(
                &field,
                format!("is a {day}, and hand-over is on {weekday}: take a {weekday}"),
            );
        }
        Turns::Weekly {
            people,
            starts: starts.unwrap_or_default(),
            at,
        }
    }

    /// Every `next` is a level, and none leads back.
    fn chains(&mut self, oncall: &OnCall) {
        for (index, level) in oncall.levels.iter().enumerate() {
            let Some(next) = &level.next else { continue };
            let key = format!("oncall.levels[{index}].next");
            if oncall.level(next).is_none() {
                let names: Vec<&str> = oncall.levels.iter().map(|l| l.name.as_str()).collect();
                let message = format!("is `{next}`: the levels are {}", names.join(", "));
                self.tell(&key, message);
                continue;
            }
            let chain = oncall.chain(&level.name);
            let last = chain.last().and_then(|last| last.next.as_deref());
            let back = last.and_then(|name| oncall.level(name));
            // Told once, at the level at which the chain comes back to where it began.
            if back.is_some_and(|back| back.name == level.name) {
                let mut way: Vec<&str> = chain.iter().map(|l| l.name.as_str()).collect();
                way.push(&level.name);
                let message = format!(
                    "leads back: {}; the last level has no `next`",
                    way.join(", ")
                );
                self.tell(&key, message);
            }
        }
    }

    fn cover(&mut self, oncall: &OnCall) {
        for (index, level) in oncall.levels.iter().enumerate() {
            let Some(gap) = oncall.gap(&level.name) else {
                continue;
            };
            let chain: Vec<&str> = oncall
                .chain(&level.name)
                .iter()
                .map(|l| l.name.as_str())
                .collect();
            let message = format!(
                "reaches nobody {} from {}, through {}: end it with a level whose `hours` are always",
                gap.when,
                gap.from.format("%H:%M"),
                chain.join(", ")
            );
            // The level itself is blamed where it has no `next`.
            self.tell(&format!("oncall.levels[{index}].next"), message);
        }
    }

    fn known_calendar(&mut self, key: &str, name: &str, oncall: &OnCall) {
        if oncall.calendar(name).is_none() {
            let mut names: Vec<&str> = oncall.calendars.iter().map(|c| c.name.as_str()).collect();
            if key != "oncall.business" {
                names.insert(0, "always");
            }
            let message = format!("is `{name}`: {} is possible", names.join(", "));
            self.tell(key, message);
        }
    }

    fn local_time(&mut self, key: &str, text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap_or_else(|_| {
            self.tell(
                key,
                format!("is `{text}`: a time such as 09:00 is possible"),
            );
            NaiveTime::MIN
        })
    }

    pub(in crate::estate) fn date(&mut self, key: &str, text: &str) -> Option<NaiveDate> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .filter(|date| (2000..2200).contains(&date.year()));
        if date.is_none() {
            self.tell(
                key,
                format!("is `{text}`: a date such as 2026-12-31 is possible"),
            );
        }
        date
    }
}

fn weekday_and_time(text: &str) -> Option<(Weekday, NaiveTime)> {
    let (day, time) = text.trim().split_once(' ')?;
    let time = NaiveTime::parse_from_str(time.trim(), "%H:%M").ok()?;
    Some((day.parse().ok()?, time))
}
