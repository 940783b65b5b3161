//! Inner loops over columns of datetimes.

use std::cell::Cell;
use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};

use super::parts::{self, Part, in_range};
use crate::kql::column::{Column, Datum};
use crate::kql::error::Result;
use crate::kql::text::TICKS_PER_DAY;
use crate::kql::text::datetime::{Civil, from_civil, to_civil};
use crate::kql::types::Type;
use crate::kql::value::Value;

/// `f(datetime, offset)`; the offset is zero when it is left out, and a null makes a null.
fn shifted(
    args: &[Datum],
    rows: usize,
    ty: Type,
    f: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Datum> {
    let f = |ticks, offset| f(ticks, offset).and_then(in_range);
    let offset = match args.get(1) {
        None => Some(0),
        Some(offset) => offset.constant().and_then(Value::as_long),
    };
    if let (Datum::Column(column), Some(offset)) = (&args[0], offset) {
        let data = column
            .longs()
            .unary_opt::<_, Int64Type>(|ticks| f(ticks, offset));
        return Ok(Datum::Column(Column::new(ty, Arc::new(data))));
    }
    let at = |row| {
        let ticks = args[0].value(row).as_long()?;
        let offset = args
            .get(1)
            .map_or(Some(0), |offset| offset.value(row).as_long())?;
        f(ticks, offset)
    };
    let cell = |row| at(row).map_or(Value::Null, Value::DateTime);
    if args.iter().all(|arg| arg.constant().is_some()) {
        return Ok(Datum::Value(ty, cell(0)));
    }
    Ok(Datum::Column(Column::from_values(ty, (0..rows).map(cell))))
}

fn day(ticks: i64) -> i64 {
    ticks.div_euclid(TICKS_PER_DAY)
}

fn days(first: i64, count: i64) -> Option<i64> {
    first.checked_add(count)?.checked_mul(TICKS_PER_DAY)
}

fn sunday(ticks: i64, weeks: i64) -> Option<i64> {
    // Day 0 was a Monday.
    let day = day(ticks);
    days(day - (day + 1).rem_euclid(7), weeks.checked_mul(7)?)
}

/// Rows next to each other are mostly of one month: the last one is kept.
fn month_start() -> impl Fn(i64, i64) -> Option<i64> {
    let last = Cell::new((0, 0, 0));
    move |ticks, months| {
        let (from, to, start) = last.get();
        if (from..to).contains(&ticks) && months == 0 {
            return Some(start);
        }
        let civil = to_civil(ticks);
        let first = from_civil(Civil::date(civil.year, civil.month, 1))?;
        if months == 0 {
            let next = parts::add_months(first, 1).unwrap_or(first);
            last.set((first, next, first));
            return Some(first);
        }
        parts::add_months(first, months)
    }
}

fn year_start(ticks: i64, years: i64) -> Option<i64> {
    let year = i64::from(to_civil(ticks).year).checked_add(years)?;
    from_civil(Civil::date(i32::try_from(year).ok()?, 1, 1))
}

/// The last tick before the start of the next one; that of the year 9999 has no next.
fn end(start: Option<i64>, next: Option<i64>) -> Option<i64> {
    start.and_then(in_range)?;
    Some(next.unwrap_or(crate::kql::text::datetime::MAX + 1) - 1)
}

pub(super) fn start_of_day(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    shifted(args, rows, ty, |ticks, n| days(day(ticks), n))
}

pub(super) fn end_of_day(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    shifted(args, rows, ty, |ticks, n| {
        Some(days(day(ticks), n.checked_add(1)?)? - 1)
    })
}

pub(super) fn start_of_week(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    shifted(args, rows, ty, sunday)
}

pub(super) fn end_of_week(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    shifted(args, rows, ty, |ticks, n| {
        Some(sunday(ticks, n.checked_add(1)?)? - 1)
    })
}

pub(super) fn start_of_month(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    shifted(args, rows, ty, month_start())
}

pub(super) fn end_of_month(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    let start = month_start();
    shifted(args, rows, ty, |ticks, n| {
        end(start(ticks, n), start(ticks, n.checked_add(1)?))
    })
}

pub(super) fn start_of_year(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    shifted(args, rows, ty, year_start)
}

pub(super) fn end_of_year(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    shifted(args, rows, ty, |ticks, n| {
        end(year_start(ticks, n), year_start(ticks, n.checked_add(1)?))
    })
}

fn number(arg: &Datum, f: impl Fn(i64) -> i64) -> Result<Datum> {
    Ok(match arg {
        Datum::Column(column) => Datum::Column(Column::new(
            Type::Int,
            Arc::new(column.longs().unary::<_, Int32Type>(|v| f(v) as i32)),
        )),
        Datum::Value(_, value) => Datum::Value(
            Type::Int,
            value
                .as_long()
                .map_or(Value::Null, |v| Value::Int(f(v) as i32)),
        ),
    })
}

pub(super) fn hour_of_day(args: &[Datum], _: usize, _: Type) -> Result<Datum> {
    number(&args[0], |v| Part::Hour.read(v))
}

pub(super) fn day_of_month(args: &[Datum], _: usize, _: Type) -> Result<Datum> {
    number(&args[0], |v| Part::Day.read(v))
}

pub(super) fn day_of_year(args: &[Datum], _: usize, _: Type) -> Result<Datum> {
    number(&args[0], parts::day_of_year)
}

pub(super) fn month(args: &[Datum], _: usize, _: Type) -> Result<Datum> {
    number(&args[0], |v| Part::Month.read(v))
}

pub(super) fn year(args: &[Datum], _: usize, _: Type) -> Result<Datum> {
    number(&args[0], |v| Part::Year.read(v))
}

pub(super) fn week_of_year(args: &[Datum], _: usize, _: Type) -> Result<Datum> {
    number(&args[0], parts::week_of_year)
}

pub(super) fn part(args: &[Datum], rows: usize, _: Type) -> Result<Datum> {
    match args[0].constant().map(|name| Part::readable(name.text())) {
        Some(Some(part)) => number(&args[1], |v| part.read(v)),
        // Binding lets only known, constant parts through.
        _ => Ok(Datum::Column(Column::constant(
            Type::Int,
            &Value::Null,
            rows,
        ))),
    }
}

/// Whole days since Sunday, as a timespan.
pub(super) fn day_of_week(args: &[Datum], _: usize, ty: Type) -> Result<Datum> {
    let since = |ticks| (day(ticks) + 1).rem_euclid(7) * TICKS_PER_DAY;
    Ok(match &args[0] {
        Datum::Column(column) => Datum::Column(Column::new(
            ty,
            Arc::new(column.longs().unary::<_, Int64Type>(since)),
        )),
        Datum::Value(_, value) => Datum::Value(
            ty,
            value
                .as_long()
                .map_or(Value::Null, |v| Value::TimeSpan(since(v))),
        ),
    })
}
