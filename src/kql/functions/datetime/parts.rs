//! Years to nanoseconds: reading them, adding them, counting them.

use crate::kql::text::datetime::{Civil, MAX, days_in_month, from_civil, to_civil};
use crate::kql::text::{TICKS_PER_DAY, TICKS_PER_HOUR, TICKS_PER_MINUTE, TICKS_PER_SECOND};
use crate::kql::value::Value;

/// A period by its name, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    Quarter,
    Month,
    Week,
    WeekOfYear,
    Day,
    DayOfYear,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl Part {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "year" => Self::Year,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" => Self::Week,
            "week_of_year" => Self::WeekOfYear,
            "day" => Self::Day,
            "dayofyear" => Self::DayOfYear,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Millisecond,
            "microsecond" => Self::Microsecond,
            "nanosecond" => Self::Nanosecond,
            _ => return None,
        })
    }

    /// What `datetime_part` reads.
    pub(super) fn readable(name: &str) -> Option<Self> {
        Self::from_name(name).filter(|part| *part != Self::Week)
    }

    /// What `datetime_add` and `datetime_diff` count in.
    fn period(name: &str) -> Option<Self> {
        Self::from_name(name).filter(|part| !matches!(part, Self::WeekOfYear | Self::DayOfYear))
    }

    /// Ticks of a period of fixed length, at least one.
    fn ticks(self) -> Option<i64> {
        Some(match self {
            Self::Week => 7 * TICKS_PER_DAY,
            Self::Day => TICKS_PER_DAY,
            Self::Hour => TICKS_PER_HOUR,
            Self::Minute => TICKS_PER_MINUTE,
            Self::Second => TICKS_PER_SECOND,
            Self::Millisecond => 10_000,
            Self::Microsecond => 10,
            _ => return None,
        })
    }

    pub(super) fn read(self, ticks: i64) -> i64 {
        let fraction = ticks.rem_euclid(TICKS_PER_SECOND);
        match self {
            Self::Hour => ticks.rem_euclid(TICKS_PER_DAY) / TICKS_PER_HOUR,
            Self::Minute => ticks.rem_euclid(TICKS_PER_HOUR) / TICKS_PER_MINUTE,
            Self::Second => ticks.rem_euclid(TICKS_PER_MINUTE) / TICKS_PER_SECOND,
            Self::Millisecond => fraction / 10_000,
            Self::Microsecond => fraction / 10,
            Self::Nanosecond => fraction * 100,
            Self::WeekOfYear => week_of_year(ticks),
            Self::DayOfYear => day_of_year(ticks),
            Self::Year => to_civil(ticks).year.into(),
            Self::Quarter => i64::from(to_civil(ticks).month.div_ceil(3)),
            Self::Month => to_civil(ticks).month.into(),
            Self::Day | Self::Week => to_civil(ticks).day.into(),
        }
    }
}

pub(super) fn day_of_year(ticks: i64) -> i64 {
    let first = from_civil(Civil::date(to_civil(ticks).year, 1, 1)).unwrap_or(0);
    (ticks - first) / TICKS_PER_DAY + 1
}

/// ISO 8601: weeks begin on Monday, and the first one of a year has its first Thursday.
pub(super) fn week_of_year(ticks: i64) -> i64 {
    let day = ticks.div_euclid(TICKS_PER_DAY);
    // Day 0, 0001-01-01, was a Monday.
    let thursday = day - day.rem_euclid(7) + 3;
    (day_of_year(thursday * TICKS_PER_DAY) - 1) / 7 + 1
}

fn name_of<'a>(constants: &'a [Option<Value<'static>>]) -> Option<&'a str> {
    constants.first()?.as_ref().map(Value::text)
}

pub(super) fn check_readable(constants: &[Option<Value<'static>>]) -> Result<(), String> {
    match name_of(constants) {
        Some(name) if Part::readable(name).is_none() => Err(format!(
            "`{name}` is no part of a datetime: year, quarter, month, week_of_year, day, dayofyear, \
             hour, minute, second, millisecond, microsecond or nanosecond"
        )),
        _ => Ok(()),
    }
}

pub(super) fn check_period(constants: &[Option<Value<'static>>]) -> Result<(), String> {
    match name_of(constants) {
        Some(name) if Part::period(name).is_none() => Err(format!(
            "`{name}` is no period: year, quarter, month, week, day, hour, minute, second, \
             millisecond, microsecond or nanosecond"
        )),
        _ => Ok(()),
    }
}

/// A datetime, or null when it is beyond the calendar.
pub(super) fn in_range(ticks: i64) -> Option<i64> {
    (0..=MAX).contains(&ticks).then_some(ticks)
}

/// The same day and time so many months later; the last day of the month when it is shorter.
pub(super) fn add_months(ticks: i64, months: i64) -> Option<i64> {
    let civil = to_civil(ticks);
    let month = (i64::from(civil.year) * 12 + i64::from(civil.month) - 1).checked_add(months)?;
    let year = i32::try_from(month.div_euclid(12)).ok()?;
    let month = month.rem_euclid(12) as u32 + 1;
    from_civil(Civil {
        year,
        month,
        day: civil.day.min(days_in_month(year, month)),
        ..civil
    })
}

pub(super) fn add<'a>(args: &[Value<'a>]) -> Value<'a> {
    let [part, Value::Long(count), Value::DateTime(at)] = args else {
        return Value::Null;
    };
    let sum = match Part::period(part.text()) {
        None => None,
        Some(Part::Year) => count.checked_mul(12).and_then(|n| add_months(*at, n)),
        Some(Part::Quarter) => count.checked_mul(3).and_then(|n| add_months(*at, n)),
        Some(Part::Month) => add_months(*at, *count),
        Some(Part::Nanosecond) => at.checked_add(count / 100),
        Some(part) => part
            .ticks()
            .and_then(|ticks| count.checked_mul(ticks))
            .and_then(|ticks| at.checked_add(ticks)),
    };
    sum.and_then(in_range).map_or(Value::Null, Value::DateTime)
}

/// How many borders of a period lie between two datetimes: from 23:59 to 00:01 it is a day. Weeks
/// begin on Sunday.
pub(super) fn diff<'a>(args: &[Value<'a>]) -> Value<'a> {
    let [part, Value::DateTime(a), Value::DateTime(b)] = args else {
        return Value::Null;
    };
    let Some(part) = Part::period(part.text()) else {
        return Value::Null;
    };
    let place = |ticks: i64| match part {
        Part::Year => i64::from(to_civil(ticks).year),
        Part::Quarter => {
            let civil = to_civil(ticks);
            i64::from(civil.year) * 4 + i64::from((civil.month - 1) / 3)
        }
        Part::Month => {
            let civil = to_civil(ticks);
            i64::from(civil.year) * 12 + i64::from(civil.month)
        }
        Part::Week => (ticks.div_euclid(TICKS_PER_DAY) + 1).div_euclid(7),
        part => ticks.div_euclid(part.ticks().unwrap_or(1)),
    };
    if part == Part::Nanosecond {
        return (a - b).checked_mul(100).into();
    }
    Value::Long(place(*a) - place(*b))
}
