//! Time zones, by their names in the IANA database.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::parts::in_range;
use crate::kql::functions::{Function, Naming, row};
use crate::kql::json::Json;
use crate::kql::text::TICKS_PER_SECOND;
use crate::kql::text::datetime::UNIX_EPOCH;
use crate::kql::value::Value;

pub(super) fn table() -> Vec<Function> {
    let signature = "datetime, string -> datetime";
    let none = Naming::None;
    vec![
        row("datetime_utc_to_local", signature, none, to_local).checked(check),
        row("datetime_local_to_utc", signature, none, to_utc).checked(check),
        row("datetime_list_timezones", "-> dynamic", none, list),
    ]
}

fn check(constants: &[Option<Value<'static>>]) -> Result<(), String> {
    match constants.get(1) {
        Some(Some(name)) if name.text().parse::<Tz>().is_err() => {
            Err(format!("`{}` is no time zone", name.text()))
        }
        _ => Ok(()),
    }
}

fn naive(ticks: i64) -> Option<NaiveDateTime> {
    let seconds = (ticks - UNIX_EPOCH).div_euclid(TICKS_PER_SECOND);
    Some(DateTime::from_timestamp(seconds, 0)?.naive_utc())
}

fn shifted<'a>(args: &[Value<'a>], offset: impl Fn(Tz, NaiveDateTime) -> Option<i64>) -> Value<'a> {
    let moved = || {
        let ticks = args[0].as_long()?;
        let zone = args[1].text().parse().ok()?;
        in_range(ticks + offset(zone, naive(ticks)?)? * TICKS_PER_SECOND)
    };
    moved().map_or(Value::Null, Value::DateTime)
}

fn seconds(offset: &impl Offset) -> i64 {
    offset.fix().local_minus_utc().into()
}

fn to_local<'a>(args: &[Value<'a>]) -> Value<'a> {
    shifted(args, |zone, at| {
        Some(seconds(&zone.offset_from_utc_datetime(&at)))
    })
}

/// An hour that the clocks skip is read by the offset that follows it, so that 02:00 comes before
/// 03:00 and on 01:00 in UTC; one that comes twice by its later reading, by the same rule.
fn to_utc<'a>(args: &[Value<'a>]) -> Value<'a> {
    shifted(args, |zone, at| {
        let offset = match zone.offset_from_local_datetime(&at) {
            chrono::LocalResult::Single(offset) => seconds(&offset),
            chrono::LocalResult::Ambiguous(_, later) => seconds(&later),
            chrono::LocalResult::None => {
                let after = at.checked_add_signed(TimeDelta::hours(3))?;
                seconds(&zone.offset_from_local_datetime(&after).latest()?)
            }
        };
        Some(-offset)
    })
}

fn list<'a>(_: &[Value<'a>]) -> Value<'a> {
    let mut names: Vec<_> = chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        .collect();
    names.sort_unstable();
    Json::Array(
        names
            .into_iter()
            .map(|name| Json::String(name.to_owned()))
            .collect(),
    )
    .into_value()
}
