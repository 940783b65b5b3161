//! Comparisons of columns.
//!
//! Two nulls compare to null. A null and a value are not equal, which is known; which of them is
//! greater is not, and so is null.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::super::column::{Column, Datum};
use super::super::expr::Op;
use super::super::types::Type;
use super::super::value::Value;
use super::eval::has_nulls;

/// Both sides have the same type.
pub(crate) fn compare(op: &Op, left: &Datum, right: &Datum, rows: usize) -> Column {
    let result = if has_nulls(left) || has_nulls(right) {
        with_nulls(op, left, right, rows)
    } else {
        match left.ty() {
            Type::Long | Type::DateTime | Type::TimeSpan => {
                let (l, r) = (longs(left), longs(right));
                ordered(op, rows, |i| l.get(i), |i| r.get(i))
            }
            Type::Int => {
                let (l, r) = (ints(left), ints(right));
                ordered(op, rows, |i| l.get(i), |i| r.get(i))
            }
            Type::Real => {
                let (l, r) = (reals(left), reals(right));
                ordered(op, rows, |i| l.get(i), |i| r.get(i))
            }
            Type::String => {
                let (l, r) = (texts(left), texts(right));
                ordered(op, rows, |i| l.get(i).as_bytes(), |i| r.get(i).as_bytes())
            }
            _ => with_nulls(op, left, right, rows),
        }
    };
    Column::new(Type::Bool, Arc::new(result))
}

fn ordered<T: PartialOrd>(
    op: &Op,
    rows: usize,
    left: impl Fn(usize) -> T,
    right: impl Fn(usize) -> T,
) -> BooleanArray {
    let bits = match op {
        Op::Equal => BooleanBuffer::collect_bool(rows, |i| left(i) == right(i)),
        Op::NotEqual => BooleanBuffer::collect_bool(rows, |i| left(i) != right(i)),
        Op::Less => BooleanBuffer::collect_bool(rows, |i| left(i) < right(i)),
        Op::LessEqual => BooleanBuffer::collect_bool(rows, |i| left(i) <= right(i)),
        Op::Greater => BooleanBuffer::collect_bool(rows, |i| left(i) > right(i)),
        _ => BooleanBuffer::collect_bool(rows, |i| left(i) >= right(i)),
    };
    BooleanArray::new(bits, None::<NullBuffer>)
}

fn with_nulls(op: &Op, left: &Datum, right: &Datum, rows: usize) -> BooleanArray {
    (0..rows)
        .map(|row| cells(op, &left.value(row), &right.value(row)))
        .collect()
}

/// One comparison.
pub(crate) fn cells(op: &Op, left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
    match (left.is_null(), right.is_null()) {
        (false, false) => {}
        (true, true) => return None,
        _ => {
            return match op {
                Op::Equal => Some(false),
                Op::NotEqual => Some(true),
                _ => None,
            };
        }
    }
    if let (Value::Real(a), Value::Real(b)) = (left, right)
        && (a.is_nan() || b.is_nan())
    {
        return Some(*op == Op::NotEqual);
    }
    let order = match (left, right) {
        (Value::Dynamic(a), Value::Dynamic(b)) => dynamic(a, b)?,
        (a, b) => a.order(b),
    };
    Some(match op {
        Op::Equal => order == Ordering::Equal,
        Op::NotEqual => order != Ordering::Equal,
        Op::Less => order == Ordering::Less,
        Op::LessEqual => order != Ordering::Greater,
        Op::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

/// Numbers by value, the rest by its text; bags and arrays are equal when their JSON is.
fn dynamic(a: &str, b: &str) -> Option<Ordering> {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.partial_cmp(&b),
        _ => Some(
            super::super::json::unquote(a)
                .as_bytes()
                .cmp(super::super::json::unquote(b).as_bytes()),
        ),
    }
}

/// A column or one value, ready for a loop.
pub(crate) enum Side<'a, A, T> {
    Array(&'a A),
    One(T),
}

impl Side<'_, Int64Array, i64> {
    #[inline]
    pub(crate) fn get(&self, i: usize) -> i64 {
        match self {
            Self::Array(array) => array.value(i),
            Self::One(value) => *value,
        }
    }
}

impl Side<'_, Int32Array, i32> {
    #[inline]
    pub(crate) fn get(&self, i: usize) -> i32 {
        match self {
            Self::Array(array) => array.value(i),
            Self::One(value) => *value,
        }
    }
}

impl Side<'_, Float64Array, f64> {
    #[inline]
    pub(crate) fn get(&self, i: usize) -> f64 {
        match self {
            Self::Array(array) => array.value(i),
            Self::One(value) => *value,
        }
    }
}

impl<'a> Side<'a, StringArray, &'a str> {
    #[inline]
    pub(crate) fn get(&self, i: usize) -> &'a str {
        match self {
            Self::Array(array) => array.value(i),
            Self::One(value) => value,
        }
    }
}

pub(crate) fn longs(datum: &Datum) -> Side<'_, Int64Array, i64> {
    match datum {
        Datum::Column(column) => Side::Array(column.longs()),
        Datum::Value(_, value) => Side::One(value.as_long().unwrap_or_default()),
    }
}

fn ints(datum: &Datum) -> Side<'_, Int32Array, i32> {
    match datum {
        Datum::Column(column) => Side::Array(column.ints()),
        Datum::Value(_, Value::Int(value)) => Side::One(*value),
        Datum::Value(..) => Side::One(0),
    }
}

pub(crate) fn reals(datum: &Datum) -> Side<'_, Float64Array, f64> {
    match datum {
        Datum::Column(column) => Side::Array(column.reals()),
        Datum::Value(_, value) => Side::One(value.as_real().unwrap_or_default()),
    }
}

pub(crate) fn texts(datum: &Datum) -> Side<'_, StringArray, &str> {
    match datum {
        Datum::Column(column) => Side::Array(column.strings()),
        Datum::Value(_, value) => Side::One(value.text()),
    }
}

/// The nulls of either side.
pub(crate) fn nulls(sides: &[&Datum]) -> Option<NullBuffer> {
    let mut all = None;
    for side in sides {
        if let Datum::Column(column) = side {
            all = NullBuffer::union(all.as_ref(), column.data().nulls());
        }
    }
    all
}
