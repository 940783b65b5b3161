//! Functions that see an ordered table: `prev`, `next`, `row_number`, ...

use super::{ColumnFn, Eval, Function, Naming};
use crate::kql::column::{Builder, Datum};
use crate::kql::convert;
use crate::kql::error::{Error, Result};
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let ordered = |name, signature, f: ColumnFn| {
        Function::new(name, signature, Naming::None, Eval::Ordered(f))
    };
    vec![
        ordered("prev", "any, long?, any?! -> 0", |args, rows, ty| {
            neighbour(args, rows, ty, -1)
        }),
        ordered("next", "any, long?, any?! -> 0", |args, rows, ty| {
            neighbour(args, rows, ty, 1)
        }),
        ordered("row_number", "long?, bool? -> long", row_number),
        ordered("row_cumsum", "number, bool? -> 0", row_cumsum),
        ordered(
            "row_rank_dense",
            "orderable, bool? -> long",
            |args, rows, _| row_rank(args, rows, true),
        ),
        ordered(
            "row_rank_min",
            "orderable, bool? -> long",
            |args, rows, _| row_rank(args, rows, false),
        ),
        ordered(
            "row_window_session",
            "datetime, timespan, timespan, bool? -> datetime",
            row_window_session,
        ),
    ]
}

fn built(ty: Type, rows: usize, mut cell: impl FnMut(usize) -> Value<'static>) -> Datum {
    let mut builder = Builder::new(ty, rows);
    for row in 0..rows {
        builder.push(&cell(row));
    }
    Datum::Column(builder.finish())
}

/// Whether the row begins anew; a null does not.
fn restarts(arg: Option<&Datum>, row: usize) -> bool {
    arg.is_some_and(|arg| arg.value(row) == Value::Bool(true))
}

/// The value so many rows away, or the default (null) where the table has no such row.
fn neighbour(args: &[Datum], rows: usize, ty: Type, direction: i64) -> Result<Datum> {
    let default = match args.get(2) {
        None => Value::Null,
        Some(default) if rows == 0 => convert::cast(default.constant().unwrap_or(&Value::Null), ty),
        Some(default) => convert::cast(&default.value(0), ty).into_owned(),
    };
    let mut builder = Builder::new(ty, rows);
    for row in 0..rows {
        let offset = match args.get(1) {
            None => Some(1),
            Some(offset) => offset.value(row).as_long(),
        };
        let other = offset
            .and_then(|offset| offset.checked_mul(direction))
            .and_then(|offset| (row as i64).checked_add(offset))
            .and_then(|other| usize::try_from(other).ok())
            .filter(|other| *other < rows);
        match other {
            Some(other) => builder.push(&args[0].value(other)),
            None => builder.push(&default),
        }
    }
    Ok(Datum::Column(builder.finish()))
}

fn row_number(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    let start = |row| args.first().map_or(Some(1), |arg| arg.value(row).as_long());
    let mut number = None;
    Ok(built(ty, rows, |row| {
        number = if row == 0 || restarts(args.get(1), row) {
            start(row)
        } else {
            number.map(|number: i64| number.wrapping_add(1))
        };
        number.into()
    }))
}

/// A null adds nothing.
fn row_cumsum(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    let mut long = 0i64;
    let mut real = 0.0;
    let mut decimal = rust_decimal::Decimal::ZERO;
    let mut overflow = false;
    let sums = built(ty, rows, |row| {
        if restarts(args.get(1), row) {
            (long, real, decimal) = (0, 0.0, rust_decimal::Decimal::ZERO);
        }
        match args[0].value(row) {
            Value::Int(v) => long = i64::from((long as i32).wrapping_add(v)),
            Value::Long(v) => long = long.wrapping_add(v),
            Value::Real(v) => real += v,
            Value::Decimal(v) => match decimal.checked_add(v) {
                Some(sum) => decimal = sum,
                None => overflow = true,
            },
            _ => {}
        }
        match ty {
            Type::Real => Value::Real(real),
            Type::Decimal => Value::Decimal(decimal),
            _ => Value::Long(long),
        }
    });
    if overflow {
        return Err(Error::execution(
            "a sum of decimals has more than 28 digits",
        ));
    }
    Ok(sums)
}

/// Equal neighbours share a rank; the next one is one more (`dense`), or the number of its row.
fn row_rank(args: &[Datum], rows: usize, dense: bool) -> Result<Datum> {
    let (mut rank, mut place) = (0, 0);
    Ok(built(Type::Long, rows, |row| {
        if row == 0 || restarts(args.get(1), row) {
            (rank, place) = (1, 1);
        } else {
            place += 1;
            if args[0].value(row) != args[0].value(row - 1) {
                rank = if dense { rank + 1 } else { place };
            }
        }
        Value::Long(rank)
    }))
}

/// The datetime at which each row's session began. A session ends when the distance from its start or
/// from the row before reaches its limit, after a null, and where `restart` holds.
fn row_window_session(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    let reaches =
        |at: i64, from: Option<i64>, limit: &Datum, row| match (from, limit.value(row).as_long()) {
            (Some(from), Some(limit)) => at >= from.saturating_add(limit),
            (None, _) => true,
            (_, None) => false,
        };
    let mut start = None;
    let mut before = None;
    Ok(built(ty, rows, |row| {
        let at = args[0].value(row).as_long();
        start = at.map(|at| match start {
            Some(start)
                if !reaches(at, Some(start), &args[1], row)
                    && !reaches(at, before, &args[2], row)
                    && !restarts(args.get(3), row) =>
            {
                start
            }
            _ => at,
        });
        before = at;
        start.map_or(Value::Null, Value::DateTime)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql::column::Column;
    use crate::kql::functions::find;

    fn longs<const N: usize>(values: [i64; N]) -> Vec<Value<'static>> {
        values.into_iter().map(Value::Long).collect()
    }

    fn column(ty: Type, values: Vec<Value<'static>>) -> Datum {
        Datum::Column(Column::from_values(ty, values))
    }

    fn constant(ty: Type, value: Value<'static>) -> Datum {
        Datum::Value(ty, value)
    }

    fn check(name: &str, args: &[Datum], rows: usize, ty: Type, expected: &[Value<'_>]) {
        let function = find(name).expect(name);
        let Eval::Ordered(f) = function.eval else {
            panic!("`{name}` sees the whole table");
        };
        let answer = f(args, rows, ty).expect(name).into_column(rows);
        assert_eq!(
            answer.values().collect::<Vec<_>>(),
            expected,
            "{name} {args:?}"
        );
        assert!(f(args, 0, ty).is_ok(), "{name} of no rows");
    }

    fn restart() -> Datum {
        let flags = [false, false, true, false].map(Value::Bool);
        column(Type::Bool, flags.to_vec())
    }

    #[test]
    fn neighbours_are_found_and_missing_ones_are_the_default() {
        let values = || column(Type::Long, longs([1, 2, 3]));
        let null = Value::Null;
        let one = |v| constant(Type::Long, Value::Long(v));
        let [a, b, c] = [Value::Long(1), Value::Long(2), Value::Long(3)];
        let ty = Type::Long;
        check(
            "prev",
            &[values()],
            3,
            ty,
            &[null.clone(), a.clone(), b.clone()],
        );
        check(
            "next",
            &[values()],
            3,
            ty,
            &[b.clone(), c.clone(), null.clone()],
        );
        check(
            "prev",
            &[values(), one(2), one(7)],
            3,
            ty,
            &[Value::Long(7), Value::Long(7), a],
        );
        check("next", &[values(), one(2)], 3, ty, &[c, null.clone(), null]);
        let texts = column(Type::String, vec!["a".into(), "b".into()]);
        check("prev", &[texts], 2, Type::String, &["".into(), "a".into()]);
    }

    #[test]
    fn rows_are_numbered_summed_and_ranked_from_each_restart_on() {
        let ty = Type::Long;
        let start = || constant(ty, Value::Long(7));
        check("row_number", &[], 3, ty, &longs([1, 2, 3]));
        check("row_number", &[start()], 3, ty, &longs([7, 8, 9]));
        check(
            "row_number",
            &[start(), restart()],
            4,
            ty,
            &longs([7, 8, 7, 8]),
        );
        let terms = || column(ty, longs([2, 2, 2, 5]));
        check("row_cumsum", &[terms()], 4, ty, &longs([2, 4, 6, 11]));
        check(
            "row_cumsum",
            &[terms(), restart()],
            4,
            ty,
            &longs([2, 4, 2, 7]),
        );
        let scores = || column(ty, longs([2, 3, 3, 3, 100]));
        check(
            "row_rank_dense",
            &[scores()],
            5,
            ty,
            &longs([1, 2, 2, 2, 3]),
        );
        check("row_rank_min", &[scores()], 5, ty, &longs([1, 2, 2, 2, 5]));
        check(
            "row_rank_min",
            &[terms(), restart()],
            4,
            ty,
            &longs([1, 1, 1, 2]),
        );
    }

    #[test]
    fn sessions_end_by_length_by_silence_by_null_and_by_restart() {
        let times = |values: &[Option<i64>]| {
            let cell = |v: &Option<i64>| v.map_or(Value::Null, Value::DateTime);
            values.iter().map(cell).collect::<Vec<_>>()
        };
        let limits = [
            constant(Type::TimeSpan, Value::TimeSpan(60)),
            constant(Type::TimeSpan, Value::TimeSpan(30)),
        ];
        for (name, given, expected) in [
            (
                "silence",
                [Some(0), Some(29), Some(59)],
                [Some(0), Some(0), Some(59)],
            ),
            (
                "length",
                [Some(0), Some(29), Some(58)],
                [Some(0), Some(0), Some(0)],
            ),
            ("null", [Some(0), None, Some(5)], [Some(0), None, Some(5)]),
        ] {
            let [first, second] = limits.clone();
            let args = [column(Type::DateTime, times(&given)), first, second];
            let function = find("row_window_session").expect(name);
            let Eval::Ordered(f) = function.eval else {
                panic!("ordered");
            };
            let answer = f(&args, 3, Type::DateTime).expect(name).into_column(3);
            assert_eq!(
                answer.values().collect::<Vec<_>>(),
                times(&expected),
                "{name}"
            );
        }
        let [first, second] = limits;
        let at = [Some(0), Some(20), Some(40), Some(59), Some(65)];
        let flags = [false, true, false, false, false].map(Value::Bool).to_vec();
        let args = [
            column(Type::DateTime, times(&at)),
            first,
            second,
            column(Type::Bool, flags),
        ];
        let expected = times(&[Some(0), Some(20), Some(20), Some(20), Some(20)]);
        check("row_window_session", &args, 5, Type::DateTime, &expected);
    }
}
