//! Values as bytes: equal values have equal bytes, and different ones do not. For groups, joins,
//! sets.

use std::collections::HashSet;

use super::super::column::{Column, Datum};
use super::super::convert;
use super::super::json::Json;
use super::super::types::Type;
use super::super::value::Value;

/// Appends a value. Numbers of all types with the same value have the same bytes.
pub(crate) fn append(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(v) => out.extend([1, u8::from(*v)]),
        Value::Int(v) => number(f64::from(*v), Some(i64::from(*v)), out),
        Value::Long(v) => number(*v as f64, Some(*v), out),
        Value::Real(v) => {
            let whole = (v.fract() == 0.0).then(|| convert::trunc(*v)).flatten();
            number(*v, whole, out);
        }
        Value::Decimal(v) => {
            use rust_decimal::prelude::ToPrimitive;
            if v.fract().is_zero() && v.to_i64().is_some() {
                number(0.0, v.to_i64(), out);
            } else {
                out.push(4);
                out.extend(v.normalize().serialize());
            }
        }
        Value::String(v) => {
            out.push(5);
            out.extend((v.len() as u64).to_le_bytes());
            out.extend(v.as_bytes());
        }
        Value::DateTime(v) => {
            out.push(6);
            out.extend(v.to_le_bytes());
        }
        Value::TimeSpan(v) => {
            out.push(7);
            out.extend(v.to_le_bytes());
        }
        Value::Guid(v) => {
            out.push(8);
            out.extend(v.to_le_bytes());
        }
        // A dynamic text, number or bool is equal to the plain one.
        Value::Dynamic(v) => match Json::parse(v) {
            Some(Json::String(text)) => append(&Value::String(text.into()), out),
            Some(Json::Long(v)) => append(&Value::Long(v), out),
            Some(Json::Real(v)) => append(&Value::Real(v), out),
            Some(Json::Bool(v)) => append(&Value::Bool(v), out),
            _ => {
                out.push(9);
                out.extend((v.len() as u64).to_le_bytes());
                out.extend(v.as_bytes());
            }
        },
    }
}

fn number(real: f64, whole: Option<i64>, out: &mut Vec<u8>) {
    match whole {
        Some(v) => {
            out.push(2);
            out.extend(v.to_le_bytes());
        }
        None => {
            out.push(3);
            let bits = if real.is_nan() {
                f64::NAN.to_bits()
            } else {
                real.to_bits()
            };
            out.extend(bits.to_le_bytes());
        }
    }
}

/// The key of a value in a set; `fold` ignores case.
pub(crate) fn key(value: &Value<'_>, fold: bool) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::String(text) if fold => append(&Value::string(text.to_lowercase()), &mut out),
        Value::Dynamic(_) if fold => append(
            &Value::string(convert::text(value).to_lowercase()),
            &mut out,
        ),
        value => append(value, &mut out),
    }
    out
}

/// Adds a value to a set of keys; the elements of a dynamic array one by one.
pub(crate) fn insert(value: &Value<'_>, fold: bool, keys: &mut HashSet<Vec<u8>>) {
    if let Value::Dynamic(raw) = value
        && let Some(items) = super::super::json::elements(raw)
    {
        for item in items {
            insert(&Value::dynamic(item), fold, keys);
        }
        return;
    }
    if !value.is_null() {
        keys.insert(key(value, fold));
    }
}

/// Whether the value is in the set; null is not known to be.
pub(crate) fn is_in(value: &Value<'_>, keys: &HashSet<Vec<u8>>, fold: bool) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        value => Some(keys.contains(&key(value, fold))),
    }
}

/// The keys of the rows of some columns, one buffer for all.
pub(crate) struct Rows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows {
    pub(crate) fn new(columns: &[Datum], rows: usize) -> Self {
        let mut made = Self {
            bytes: Vec::with_capacity(rows * columns.len() * 12),
            ends: Vec::with_capacity(rows),
        };
        for row in 0..rows {
            for column in columns {
                match column {
                    Datum::Column(column) => cell(column, row, &mut made.bytes),
                    Datum::Value(_, value) => append(value, &mut made.bytes),
                }
            }
            made.ends.push(made.bytes.len());
        }
        made
    }

    pub(crate) fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }
}

/// The same as [`append`] of the column's value, without going through it for what is frequent.
fn cell(column: &Column, row: usize, out: &mut Vec<u8>) {
    use arrow_array::Array;
    match column.ty() {
        Type::String => {
            let text = column.strings().value(row);
            out.push(5);
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        }
        Type::DateTime if column.longs().is_valid(row) => {
            out.push(6);
            out.extend(column.longs().value(row).to_le_bytes());
        }
        Type::Long if column.longs().is_valid(row) => {
            out.push(2);
            out.extend(column.longs().value(row).to_le_bytes());
        }
        _ => append(&column.value(row), out),
    }
}
