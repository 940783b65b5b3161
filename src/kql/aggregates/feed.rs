//! Loops over arguments: row, group and value of each row that is not null.

use arrow_array::Array;
use arrow_buffer::NullBuffer;

use crate::kql::column::{Column, Datum};
use crate::kql::types::Type;
use crate::kql::value::{Value, order_reals};

fn run<T: Copy>(
    groups: &[u32],
    values: &[T],
    nulls: Option<&NullBuffer>,
    mut take: impl FnMut(usize, usize, T),
) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => {
            for (row, (group, value)) in groups.iter().zip(values).enumerate() {
                take(row, *group as usize, *value);
            }
        }
        Some(nulls) => {
            for (row, (group, value)) in groups.iter().zip(values).enumerate() {
                if nulls.is_valid(row) {
                    take(row, *group as usize, *value);
                }
            }
        }
    }
}

/// Whole numbers, and the ticks of datetimes and timespans.
pub(crate) fn longs(groups: &[u32], arg: &Datum, mut take: impl FnMut(usize, usize, i64)) {
    match arg {
        Datum::Value(_, value) => {
            if let Some(value) = value.as_long() {
                for (row, group) in groups.iter().enumerate() {
                    take(row, *group as usize, value);
                }
            }
        }
        Datum::Column(column) if column.ty() == Type::Int => {
            let data = column.ints();
            run(groups, data.values(), data.nulls(), |row, group, v| {
                take(row, group, i64::from(v));
            });
        }
        Datum::Column(column) => {
            let data = column.longs();
            run(groups, data.values(), data.nulls(), take);
        }
    }
}

/// Anything summable, as a real.
pub(crate) fn reals(groups: &[u32], arg: &Datum, mut take: impl FnMut(usize, usize, f64)) {
    match arg {
        Datum::Column(column) if column.ty() == Type::Real => {
            let data = column.reals();
            run(groups, data.values(), data.nulls(), take);
        }
        _ if has_longs(arg.ty()) => longs(groups, arg, |row, group, v| take(row, group, v as f64)),
        _ => values(groups, arg, |row, group, v| {
            if let Some(v) = v.as_real() {
                take(row, group, v);
            }
        }),
    }
}

/// Any type, value by value.
pub(crate) fn values(groups: &[u32], arg: &Datum, mut take: impl FnMut(usize, usize, Value<'_>)) {
    for (row, group) in groups.iter().enumerate() {
        let value = arg.value(row);
        if !value.is_null() {
            take(row, *group as usize, value);
        }
    }
}

/// Whether [`longs`] reads this type.
pub(crate) fn has_longs(ty: Type) -> bool {
    matches!(ty, Type::Int | Type::Long | Type::DateTime | Type::TimeSpan)
}

/// Values as a column. Longs may stand for ticks.
pub(crate) fn column(ty: Type, values: impl Iterator<Item = Value<'static>>) -> Vec<Column> {
    vec![Column::from_values(ty, values)]
}

/// A long as a cell of a type that is stored as one.
pub(crate) fn cell(ty: Type, v: i64) -> Value<'static> {
    match ty {
        Type::DateTime => Value::DateTime(v),
        Type::TimeSpan => Value::TimeSpan(v),
        Type::Int => i32::try_from(v).map_or(Value::Null, Value::Int),
        _ => Value::Long(v),
    }
}

/// A value of an argument as a state keeps it.
pub(super) trait Item: Sized + Send + 'static {
    fn each(groups: &[u32], arg: &Datum, take: impl FnMut(usize, usize, Self));
    fn order(&self, other: &Self) -> std::cmp::Ordering;
    fn cell(&self, ty: Type) -> Value<'static>;
    fn bytes(&self) -> usize {
        0
    }
}

impl Item for i64 {
    fn each(groups: &[u32], arg: &Datum, take: impl FnMut(usize, usize, Self)) {
        longs(groups, arg, take);
    }
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.cmp(other)
    }
    fn cell(&self, ty: Type) -> Value<'static> {
        cell(ty, *self)
    }
}

impl Item for f64 {
    fn each(groups: &[u32], arg: &Datum, take: impl FnMut(usize, usize, Self)) {
        reals(groups, arg, take);
    }
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        order_reals(*self, *other)
    }
    fn cell(&self, _: Type) -> Value<'static> {
        Value::Real(*self)
    }
}

impl Item for Value<'static> {
    fn each(groups: &[u32], arg: &Datum, mut take: impl FnMut(usize, usize, Self)) {
        values(groups, arg, |row, group, value| {
            take(row, group, value.into_owned());
        });
    }
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        Value::order(self, other)
    }
    fn cell(&self, _: Type) -> Value<'static> {
        self.clone()
    }
    fn bytes(&self) -> usize {
        self.text().len()
    }
}
