//! Datetimes and timespans made of numbers.

use crate::kql::convert;
use crate::kql::functions::Naming::First;
use crate::kql::functions::{Function, Naming, row};
use crate::kql::text::datetime::{Civil, UNIX_EPOCH, from_civil};
use crate::kql::text::{TICKS_PER_DAY, TICKS_PER_HOUR, TICKS_PER_MINUTE, TICKS_PER_SECOND};
use crate::kql::types::Type;
use crate::kql::value::Value;

use super::parts::in_range;

pub(super) fn table() -> Vec<Function> {
    let unix = "number -> datetime";
    let none = Naming::None;
    vec![
        row(
            "make_datetime",
            "number, number, number, number?, number?, number? -> datetime; any -> datetime",
            First,
            datetime,
        ),
        row(
            "make_timespan",
            "number, number, number, number -> timespan; number, number, number? -> timespan; \
             any -> timespan",
            First,
            timespan,
        ),
        row("unixtime_seconds_todatetime", unix, none, |args| {
            unixtime(args, TICKS_PER_SECOND, 1)
        }),
        row("unixtime_milliseconds_todatetime", unix, none, |args| {
            unixtime(args, 10_000, 1)
        }),
        row("unixtime_microseconds_todatetime", unix, none, |args| {
            unixtime(args, 10, 1)
        }),
        row("unixtime_nanoseconds_todatetime", unix, none, |args| {
            unixtime(args, 1, 100)
        }),
    ]
}

/// A whole number in a range; the fraction of others is cut.
fn whole(value: Option<&Value<'_>>, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let Some(value) = value else {
        return Some(0);
    };
    let v = match value {
        Value::Int(_) | Value::Long(_) => value.as_long()?,
        other => convert::trunc(other.as_real()?)?,
    };
    range.contains(&v).then_some(v)
}

/// Seconds of a minute, in ticks.
fn seconds(value: Option<&Value<'_>>) -> Option<i64> {
    let Some(value) = value else {
        return Some(0);
    };
    let ticks = (value.as_real()? * TICKS_PER_SECOND as f64).round();
    (0.0..TICKS_PER_MINUTE as f64)
        .contains(&ticks)
        .then_some(ticks as i64)
}

fn datetime<'a>(args: &[Value<'a>]) -> Value<'a> {
    if let [one] = args {
        return convert::cast(one, Type::DateTime);
    }
    let made = || {
        let seconds = seconds(args.get(5))?;
        from_civil(Civil {
            hour: whole(args.get(3), 0..=23)? as u32,
            minute: whole(args.get(4), 0..=59)? as u32,
            second: (seconds / TICKS_PER_SECOND) as u32,
            ticks: (seconds % TICKS_PER_SECOND) as u32,
            ..Civil::date(
                whole(args.first(), 1..=9999)? as i32,
                whole(args.get(1), 1..=12)? as u32,
                whole(args.get(2), 1..=31)? as u32,
            )
        })
    };
    made().map_or(Value::Null, Value::DateTime)
}

fn timespan<'a>(args: &[Value<'a>]) -> Value<'a> {
    if let [one] = args {
        return convert::cast(one, Type::TimeSpan);
    }
    let (days, clock) = match args {
        [days, clock @ ..] if clock.len() == 3 => (Some(days), clock),
        clock => (None, clock),
    };
    let made = || {
        let days = whole(days, 0..=10_675_198)?;
        let hours = whole(clock.first(), 0..=23)?;
        let minutes = whole(clock.get(1), 0..=59)?;
        let seconds = seconds(clock.get(2))?;
        Some(days * TICKS_PER_DAY + hours * TICKS_PER_HOUR + minutes * TICKS_PER_MINUTE + seconds)
    };
    made().map_or(Value::Null, Value::TimeSpan)
}

/// `count` units of `ticks / per` each, after 1970.
fn unixtime<'a>(args: &[Value<'a>], ticks: i64, per: i64) -> Value<'a> {
    let since = match &args[0] {
        Value::Int(_) | Value::Long(_) => args[0]
            .as_long()
            .and_then(|v| v.checked_mul(ticks))
            .map(|v| v.div_euclid(per)),
        other => other
            .as_real()
            .and_then(|v| convert::trunc((v * ticks as f64 / per as f64).round())),
    };
    since
        .and_then(|v| v.checked_add(UNIX_EPOCH))
        .and_then(in_range)
        .map_or(Value::Null, Value::DateTime)
}
