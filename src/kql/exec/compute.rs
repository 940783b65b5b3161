//! Arithmetic and logic of columns.
//!
//! Whole numbers wrap around, as Kusto's do; dividing them by zero is null. Null makes null.

use std::sync::Arc;

use arrow_array::{BooleanArray, Float64Array, Int64Array};
use arrow_buffer::NullBuffer;

use super::super::column::{Column, Datum};
use super::super::convert;
use super::super::expr::Op;
use super::super::text::datetime;
use super::super::types::Type;
use super::super::value::Value;
use super::compare::{longs, nulls, reals};

/// `ty` is the result's type; operands are of types that [`super::super::bind`] lets through.
pub(crate) fn arithmetic(op: &Op, args: &[Datum], rows: usize, ty: Type) -> Column {
    if let Some(fast) = fast(op, args, rows, ty) {
        return fast;
    }
    Column::from_values(
        ty,
        (0..rows).map(|row| {
            let values: Vec<_> = args.iter().map(|arg| arg.value(row)).collect();
            cells(op, &values, ty).into_owned()
        }),
    )
}

fn fast(op: &Op, args: &[Datum], rows: usize, ty: Type) -> Option<Column> {
    let [left, right] = args else { return None };
    if [left, right]
        .iter()
        .any(|side| side.constant().is_some_and(Value::is_null))
    {
        return None;
    }
    let whole = |ty: Type| matches!(ty, Type::Long | Type::DateTime | Type::TimeSpan);
    let none = nulls(&[left, right]);
    if whole(left.ty()) && whole(right.ty()) && whole(ty) {
        let (l, r) = (longs(left), longs(right));
        if ty != Type::Long {
            let valid = |i: usize| none.as_ref().is_none_or(|nulls| nulls.is_valid(i));
            let values = (0..rows).map(|i| time(op, l.get(i), r.get(i), ty).filter(|_| valid(i)));
            let values: Int64Array = values.collect();
            return Some(Column::new(ty, Arc::new(values)));
        }
        let values: Vec<i64> = match op {
            Op::Add => (0..rows).map(|i| l.get(i).wrapping_add(r.get(i))).collect(),
            Op::Subtract => (0..rows).map(|i| l.get(i).wrapping_sub(r.get(i))).collect(),
            Op::Multiply => (0..rows).map(|i| l.get(i).wrapping_mul(r.get(i))).collect(),
            _ => return None,
        };
        return Some(Column::new(
            ty,
            Arc::new(Int64Array::new(values.into(), none)),
        ));
    }
    if left.ty() == Type::Real && right.ty() == Type::Real && ty == Type::Real {
        let (l, r) = (reals(left), reals(right));
        let values: Vec<f64> = match op {
            Op::Add => (0..rows).map(|i| l.get(i) + r.get(i)).collect(),
            Op::Subtract => (0..rows).map(|i| l.get(i) - r.get(i)).collect(),
            Op::Multiply => (0..rows).map(|i| l.get(i) * r.get(i)).collect(),
            Op::Divide => (0..rows).map(|i| l.get(i) / r.get(i)).collect(),
            _ => (0..rows).map(|i| modulo(l.get(i), r.get(i))).collect(),
        };
        return Some(Column::new(
            ty,
            Arc::new(Float64Array::new(values.into(), none)),
        ));
    }
    None
}

/// Ticks of a datetime or timespan; none beyond what the type holds.
fn time(op: &Op, a: i64, b: i64, ty: Type) -> Option<i64> {
    let ticks = match op {
        Op::Add => a.checked_add(b),
        Op::Subtract => a.checked_sub(b),
        Op::Multiply => a.checked_mul(b),
        Op::Divide => a.checked_div(b),
        _ => a.checked_rem_euclid(b),
    };
    ticks.filter(|ticks| ty != Type::DateTime || (0..=datetime::MAX).contains(ticks))
}

/// What is left is never negative, whatever the signs: `-7 % 3` is 2.
fn modulo(a: f64, b: f64) -> f64 {
    a.rem_euclid(b)
}

fn cells<'a>(op: &Op, values: &[Value<'a>], ty: Type) -> Value<'a> {
    if values.iter().any(Value::is_null) {
        return Value::Null;
    }
    if *op == Op::Negate {
        return match &values[0] {
            Value::Int(v) => Value::Int(v.wrapping_neg()),
            Value::Long(v) => Value::Long(v.wrapping_neg()),
            Value::TimeSpan(v) => v.checked_neg().map_or(Value::Null, Value::TimeSpan),
            Value::Real(v) => Value::Real(-v),
            Value::Decimal(v) => Value::Decimal(-*v),
            other => other
                .as_long()
                .map_or(Value::Null, |v| Value::Long(v.wrapping_neg())),
        };
    }
    let (left, right) = (&values[0], &values[1]);
    if let (Value::Decimal(a), Value::Decimal(b)) = (left, right) {
        let result = match op {
            Op::Add => a.checked_add(*b),
            Op::Subtract => a.checked_sub(*b),
            Op::Multiply => a.checked_mul(*b),
            Op::Divide => a.checked_div(*b),
            _ => a.checked_rem(*b),
        };
        return result.map_or(Value::Null, Value::Decimal);
    }
    let real =
        matches!(left, Value::Real(_)) || matches!(right, Value::Real(_)) || ty == Type::Real;
    if real {
        let (Some(a), Some(b)) = (left.as_real(), right.as_real()) else {
            return Value::Null;
        };
        let result = match op {
            Op::Add => a + b,
            Op::Subtract => a - b,
            Op::Multiply => a * b,
            Op::Divide => a / b,
            _ => modulo(a, b),
        };
        return ticks(result, ty);
    }
    let (Some(a), Some(b)) = (left.as_long(), right.as_long()) else {
        return Value::Null;
    };
    if matches!(ty, Type::DateTime | Type::TimeSpan) {
        return match (time(op, a, b, ty), ty) {
            (None, _) => Value::Null,
            (Some(ticks), Type::DateTime) => Value::DateTime(ticks),
            (Some(ticks), _) => Value::TimeSpan(ticks),
        };
    }
    let result = match op {
        Op::Add => Some(a.wrapping_add(b)),
        Op::Subtract => Some(a.wrapping_sub(b)),
        Op::Multiply => Some(a.wrapping_mul(b)),
        Op::Divide => a.checked_div(b),
        _ => a.checked_rem_euclid(b),
    };
    let Some(result) = result else {
        return Value::Null;
    };
    match ty {
        Type::Int => Value::Int(result as i32),
        _ => Value::Long(result),
    }
}

fn ticks<'a>(v: f64, ty: Type) -> Value<'a> {
    match ty {
        Type::TimeSpan => convert::trunc(v.round()).map_or(Value::Null, Value::TimeSpan),
        Type::Long => convert::trunc(v).map_or(Value::Null, Value::Long),
        _ => Value::Real(v),
    }
}

/// `and`, `or`: with three values, so that `null and false` is false.
pub(crate) fn logical(and: bool, left: &Datum, right: &Datum, rows: usize) -> Column {
    use arrow_array::Array;
    if let (Datum::Column(l), Datum::Column(r)) = (left, right) {
        let (l, r) = (l.bools(), r.bools());
        if l.null_count() == 0 && r.null_count() == 0 {
            let bits = if and {
                l.values() & r.values()
            } else {
                l.values() | r.values()
            };
            return Column::new(
                Type::Bool,
                Arc::new(BooleanArray::new(bits, None::<NullBuffer>)),
            );
        }
    }
    let values = (0..rows).map(|row| {
        let (l, r) = (left.value(row).as_bool(), right.value(row).as_bool());
        if l == Some(!and) || r == Some(!and) {
            Some(!and)
        } else if l.is_none() || r.is_none() {
            None
        } else {
            Some(and)
        }
    });
    Column::new(Type::Bool, Arc::new(values.collect::<BooleanArray>()))
}
