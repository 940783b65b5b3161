//! The estate file: which time zone, and when maintenance is due. Parsed strictly.

use chrono::{Duration, NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

use crate::domain::{Cadence, Rhythm, Schedule};

/// The estate and its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estate {
    pub daily: Schedule,
    pub weekly: Schedule,
    pub monthly: Schedule,
}

/// What is wrong with an estate file, all of it.
#[derive(Debug, thiserror::Error)]
#[error("estate:\n{}", .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct EstateError(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "tokyo")]
    time_zone: String,
    #[serde(default)]
    maintenance: Maintenance,
}

fn tokyo() -> String {
    "Asia/Tokyo".into()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Maintenance {
    #[serde(default)]
    daily: Entry,
    #[serde(default)]
    weekly: Entry,
    #[serde(default)]
    monthly: Entry,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Entry {
    at: Option<String>,
    catch_up: Option<String>,
    weekday: Option<String>,
    day: Option<u32>,
}

impl Estate {
    /// Reads an estate file; unknown keys are errors.
    pub fn parse(text: &str) -> Result<Self, EstateError> {
        let file: File = toml::from_str(text).map_err(|e| EstateError(vec![e.to_string()]))?;
        let mut problems = Vec::new();
        let zone: Tz = file.time_zone.parse().unwrap_or_else(|_| {
            problems.push(format!(
                "`time_zone` is `{}`: no IANA time zone",
                file.time_zone
            ));
            chrono_tz::UTC
        });
        let mut time = |entry: &Entry, name: &str, default: &str| {
            let text = entry.at.as_deref().unwrap_or(default);
            NaiveTime::parse_from_str(text, "%H:%M").unwrap_or_else(|_| {
                problems.push(format!(
                    "`maintenance.{name}.at` is `{text}`: a time such as 02:00 is"
                ));
                NaiveTime::MIN
            })
        };
        let m = &file.maintenance;
        let (daily_at, weekly_at, monthly_at) = (
            time(&m.daily, "daily", "02:00"),
            time(&m.weekly, "weekly", "03:00"),
            time(&m.monthly, "monthly", "04:00"),
        );
        for (name, entry) in [("daily", &m.daily), ("monthly", &m.monthly)] {
            if entry.weekday.is_some() {
                problems.push(format!(
                    "`maintenance.{name}.weekday` belongs to weekly maintenance only"
                ));
            }
        }
        for (name, entry) in [("daily", &m.daily), ("weekly", &m.weekly)] {
            if entry.day.is_some() {
                problems.push(format!(
                    "`maintenance.{name}.day` belongs to monthly maintenance only"
                ));
            }
        }
        let weekday: Weekday = m
            .weekly
            .weekday
            .as_deref()
            .unwrap_or("sunday")
            .parse()
            .unwrap_or_else(|_| {
                problems.push("`maintenance.weekly.weekday` is no day of the week".into());
                Weekday::Sun
            });
        let day = m.monthly.day.unwrap_or(1);
        if !(1..=31).contains(&day) {
            problems.push(format!(
                "`maintenance.monthly.day` is {day}: 1 to 31 is possible"
            ));
        }
        let mut limit = |entry: &Entry, name: &str, default: &str| {
            let text = entry.catch_up.as_deref().unwrap_or(default);
            duration(text).unwrap_or_else(|| {
                problems.push(format!(
                    "`maintenance.{name}.catch_up` is `{text}`: a time such as 90m, 20h or 3d is"
                ));
                Duration::zero()
            })
        };
        let (daily_limit, weekly_limit, monthly_limit) = (
            limit(&m.daily, "daily", "20h"),
            limit(&m.weekly, "weekly", "3d"),
            limit(&m.monthly, "monthly", "5d"),
        );
        if !problems.is_empty() {
            return Err(EstateError(problems));
        }
        let schedule = |rhythm, catch_up| Schedule {
            rhythm,
            zone,
            catch_up,
        };
        Ok(Self {
            daily: schedule(Rhythm::Daily { at: daily_at }, daily_limit),
            weekly: schedule(
                Rhythm::Weekly {
                    weekday,
                    at: weekly_at,
                },
                weekly_limit,
            ),
            monthly: schedule(
                Rhythm::Monthly {
                    day,
                    at: monthly_at,
                },
                monthly_limit,
            ),
        })
    }

    #[must_use]
    pub fn schedule(&self, cadence: Cadence) -> &Schedule {
        match cadence {
            Cadence::Daily => &self.daily,
            Cadence::Weekly => &self.weekly,
            Cadence::Monthly => &self.monthly,
        }
    }
}

/// Minutes, hours or days: `90m`, `20h`, `3d`; a year at most.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok()?;
    let duration = match unit {
        "m" => Duration::try_minutes(number)?,
        "h" => Duration::try_hours(number)?,
        "d" => Duration::try_days(number)?,
        _ => return None,
    };
    (Duration::zero()..=Duration::days(366))
        .contains(&duration)
        .then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estate_that_ships_is_right() {
        Estate::parse(include_str!("../infra/estate.toml")).expect("infra/estate.toml");
    }

    #[test]
    fn all_wrong_values_are_told_at_once_and_unknown_keys_are_errors() {
        let Err(EstateError(problems)) = Estate::parse(
            "time_zone = 'Mars'\n[maintenance.daily]\nat = '25:00'\nday = 3\n[maintenance.monthly]\nday = 40\ncatch_up = '5 d'\n",
        ) else {
            panic!("this file is wrong");
        };
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(Estate::parse("[maintenance.daily]\ncatchup = '20h'").is_err());
    }
}
