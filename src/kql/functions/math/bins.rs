//! `bin` and its kin: values brought down to a multiple of a step.

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type};

use crate::kql::column::{Column, Datum};
use crate::kql::error::Result;
use crate::kql::functions::{Function, Naming, columns, row};
use crate::kql::types::Type;
use crate::kql::value::Value;

const BIN: &str = "integer, integer -> long; wide, wide -> wide; timespan, timespan -> timespan; \
                   datetime, timespan -> datetime; datetime, datetime -> datetime";

pub(super) fn table() -> Vec<Function> {
    vec![
        columns("bin", BIN, Naming::First, bin_columns),
        columns("floor", BIN, Naming::First, bin_columns),
        row(
            "bin_at",
            "integer, integer, integer -> long; wide, wide, wide -> wide; \
             timespan, timespan, timespan -> timespan; datetime, timespan, datetime -> datetime",
            Naming::First,
            bin_at,
        ),
    ]
}

/// A step that is null, zero or negative has no multiples, so the result is null.
fn bin_columns(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    let [value, step] = args else {
        unreachable!("binding has counted the arguments")
    };
    match (value, step) {
        (Datum::Value(_, value), Datum::Value(_, step)) => {
            return Ok(Datum::Value(ty, bin(value, step)));
        }
        (Datum::Column(column), Datum::Value(_, step)) => match (column.ty(), step) {
            (Type::Long | Type::DateTime | Type::TimeSpan, step) if ty != Type::Real => {
                if let Some(step) = step.as_long().filter(|step| *step > 0) {
                    let longs = column.longs().unary_opt::<_, Int64Type>(|v| whole(v, step));
                    return Ok(Datum::Column(Column::new(ty, Arc::new(longs))));
                }
            }
            (Type::Real, Value::Real(step)) if *step > 0.0 => {
                let step = *step;
                let reals = column.reals().unary::<_, Float64Type>(|v| real(v, step));
                return Ok(Datum::Column(Column::new(ty, Arc::new(reals))));
            }
            _ => {}
        },
        _ => {}
    }
    let values = (0..rows).map(|row| bin(&value.value(row), &step.value(row)));
    Ok(Datum::Column(Column::from_values(ty, values)))
}

fn whole(v: i64, step: i64) -> Option<i64> {
    v.checked_sub(v.rem_euclid(step))
}

fn real(v: f64, step: f64) -> f64 {
    (v / step).floor() * step
}

fn bin(value: &Value<'_>, step: &Value<'_>) -> Value<'static> {
    match (value, step) {
        (Value::Null, _) | (_, Value::Null) => Value::Null,
        (Value::Decimal(v), Value::Decimal(step)) => (step.is_sign_positive() && !step.is_zero())
            .then(|| v.checked_div(*step)?.floor().checked_mul(*step))
            .flatten()
            .map_or(Value::Null, Value::Decimal),
        (Value::Real(_), _) | (_, Value::Real(_)) => match (value.as_real(), step.as_real()) {
            (Some(v), Some(step)) if step > 0.0 => Value::Real(real(v, step)),
            _ => Value::Null,
        },
        _ => {
            let binned = match (value.as_long(), step.as_long()) {
                (Some(v), Some(step)) if step > 0 => whole(v, step),
                _ => None,
            };
            like(value, binned)
        }
    }
}

fn like(value: &Value<'_>, whole: Option<i64>) -> Value<'static> {
    match (value, whole) {
        (_, None) => Value::Null,
        (Value::DateTime(_), Some(v)) => Value::DateTime(v),
        (Value::TimeSpan(_), Some(v)) => Value::TimeSpan(v),
        (_, Some(v)) => Value::Long(v),
    }
}

/// Bins that have one of their edges at the fixed point.
fn bin_at<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (value, step, fixed) = (&args[0], &args[1], &args[2]);
    match (value, step, fixed) {
        (Value::Real(v), Value::Real(step), Value::Real(fixed)) if *step > 0.0 => {
            Value::Real(fixed + real(v - fixed, *step))
        }
        (Value::Decimal(v), step @ Value::Decimal(_), Value::Decimal(fixed)) => {
            match v.checked_sub(*fixed).map(|v| bin(&Value::Decimal(v), step)) {
                Some(Value::Decimal(v)) => {
                    v.checked_add(*fixed).map_or(Value::Null, Value::Decimal)
                }
                _ => Value::Null,
            }
        }
        _ => {
            let binned = match (value.as_long(), step.as_long(), fixed.as_long()) {
                (Some(v), Some(step), Some(fixed)) if step > 0 => v
                    .checked_sub(fixed)
                    .and_then(|v| whole(v, step))
                    .and_then(|v| v.checked_add(fixed)),
                _ => None,
            };
            like(value, binned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 864_000_000_000;

    #[test]
    fn bins_go_down_towards_minus_infinity() {
        use Value::{DateTime, Long, Null, Real, TimeSpan};
        for (value, step, expected) in [
            (Long(7), Long(2), Long(6)),
            (Long(-7), Long(2), Long(-8)),
            (Real(4.5), Real(1.0), Real(4.0)),
            (Real(-4.5), Real(1.0), Real(-5.0)),
            (TimeSpan(16 * DAY), TimeSpan(7 * DAY), TimeSpan(14 * DAY)),
            (DateTime(DAY + 5), TimeSpan(DAY), DateTime(DAY)),
            (Long(7), Long(0), Null),
            (Long(7), Long(-2), Null),
            (Real(7.0), Real(0.0), Null),
            (Null, Long(2), Null),
            (Long(i64::MIN), Long(3), Null),
        ] {
            let ty = expected.ty().or(value.ty()).unwrap_or(Type::Long);
            let constants = [
                Datum::Value(ty, value.clone()),
                Datum::Value(step.ty().expect("a type"), step.clone()),
            ];
            let one = bin_columns(&constants, 1, ty).expect("a bin");
            assert_eq!(one.value(0), expected, "bin({value:?}, {step:?})");
            let column = Datum::Column(Column::from_values(ty, [value.clone(), Null]));
            let column = bin_columns(&[column, constants[1].clone()], 2, ty).expect("bins");
            assert_eq!(column.value(0), expected, "column of {value:?}, {step:?}");
            assert_eq!(column.value(1), Null);
        }
    }

    #[test]
    fn a_fixed_point_is_an_edge() {
        use Value::{Real, TimeSpan};
        let hour = DAY / 24;
        for (args, expected) in [
            ([Real(6.5), Real(2.5), Real(7.0)], Real(4.5)),
            (
                [TimeSpan(hour), TimeSpan(DAY), TimeSpan(12 * hour)],
                TimeSpan(-12 * hour),
            ),
            ([Real(6.5), Real(0.0), Real(7.0)], Value::Null),
        ] {
            assert_eq!(bin_at(&args), expected, "{args:?}");
        }
    }
}
