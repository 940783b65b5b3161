//! Rows as Arrow columns.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::model::Model;
use super::names::{WORKSPACE, guid};
use super::rows::{Rows, Same, Table, Value};
use super::schemas::schema;
use crate::kql::types::Type;

/// The columns of a table's files: time, what is filled, what is the same in all rows.
pub(super) fn file_schema(table: Table) -> SchemaRef {
    static ALL: LazyLock<Vec<SchemaRef>> = LazyLock::new(|| {
        Table::ALL
            .iter()
            .map(|table| Arc::new(build(*table)))
            .collect()
    });
    Arc::clone(&ALL[table as usize])
}

fn build(table: Table) -> Schema {
    let constant = table.constant().iter().map(|(name, _)| name);
    let names = ["TimeGenerated"]
        .iter()
        .chain(table.filled())
        .chain(constant);
    let field = |name: &&str| Field::new(*name, arrow_type(column_type(table, name)), true);
    Schema::new(names.map(field).collect::<Vec<_>>())
}

/// How a type of Kusto is kept: dynamic as JSON text, guid as text, time in nanoseconds.
pub(super) fn arrow_type(ty: Type) -> DataType {
    match ty {
        Type::Bool => DataType::Boolean,
        Type::Int => DataType::Int32,
        Type::Long | Type::TimeSpan => DataType::Int64,
        Type::Real => DataType::Float64,
        Type::DateTime => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Type::String | Type::Dynamic | Type::Guid | Type::Decimal => DataType::Utf8,
    }
}

fn column_type(table: Table, column: &str) -> Type {
    let schema = schema(table.name()).expect("what is written has a schema");
    schema.fields[schema
        .index(column)
        .expect("what is filled is in the schema")]
    .ty
}

/// The first `count` rows, as they go into a file.
pub(super) fn record_batch(model: &Model, rows: &Rows) -> RecordBatch {
    let table = rows.table;
    let filled = table.filled();
    let times = TimestampNanosecondArray::from(rows.times.clone()).with_timezone("UTC");
    let mut columns: Vec<ArrayRef> = vec![Arc::new(times)];
    for (at, name) in filled.iter().enumerate() {
        let values = rows.values.iter().skip(at).step_by(filled.len());
        columns.push(column(model, column_type(table, name), values, rows.len()));
    }
    for (name, same) in table.constant() {
        columns.push(constant(model, table, name, *same, rows.len()));
    }
    RecordBatch::try_new(file_schema(table), columns).expect("columns follow the schema")
}

fn column<'a>(
    model: &Model,
    ty: Type,
    values: impl Iterator<Item = &'a Value>,
    count: usize,
) -> ArrayRef {
    let wrong = |value: &Value| -> ! { panic!("{value:?} is no {ty}") };
    match ty {
        Type::Bool => Arc::new(BooleanArray::from_iter(values.map(|v| match v {
            Value::Bool(b) => Some(*b),
            Value::Null => None,
            _ => wrong(v),
        }))),
        Type::Int => Arc::new(Int32Array::from_iter(values.map(|v| match v {
            Value::Int(n) => Some(*n),
            Value::Null => None,
            _ => wrong(v),
        }))),
        Type::Real => Arc::new(Float64Array::from_iter(values.map(|v| match v {
            Value::Real(n) => Some(*n),
            Value::Null => None,
            _ => wrong(v),
        }))),
        Type::DateTime => Arc::new(
            TimestampNanosecondArray::from_iter(values.map(|v| match v {
                Value::Time(t) => Some(*t),
                Value::Null => None,
                _ => wrong(v),
            }))
            .with_timezone("UTC"),
        ),
        Type::Long | Type::TimeSpan | Type::Decimal => {
            unreachable!("no column of this type is filled")
        }
        Type::String | Type::Dynamic | Type::Guid => texts(model, ty, values, count),
    }
}

fn texts<'a>(
    model: &Model,
    ty: Type,
    values: impl Iterator<Item = &'a Value>,
    count: usize,
) -> ArrayRef {
    let words = model.words.array();
    let mut out = StringBuilder::with_capacity(count, count * 24);
    let mut digits = [0u8; 32];
    for value in values {
        match value {
            Value::Word(word) => {
                out.append_value(words.value(usize::try_from(word.0).unwrap_or(0)))
            }
            Value::Text(text) => out.append_value(text),
            Value::Span(span) => {
                hex(*span, &mut digits[..16]);
                out.append_value(ascii(&digits[..16]));
            }
            Value::Operation(high, low) => {
                hex(*high, &mut digits[..16]);
                hex(*low, &mut digits[16..]);
                out.append_value(ascii(&digits));
            }
            Value::Guid(high, low) => out.append_value(guid(*high, *low)),
            // A string is never null in Kusto.
            Value::Null if ty == Type::String => out.append_value(""),
            Value::Null => out.append_null(),
            Value::Time(_) | Value::Real(_) | Value::Int(_) | Value::Bool(_) => {
                panic!("{value:?} is no {ty}")
            }
        }
    }
    Arc::new(out.finish())
}

fn hex(number: u64, out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (place, digit) in out.iter_mut().rev().enumerate() {
        *digit = DIGITS[usize::try_from(number >> (4 * place) & 0xf).unwrap_or(0)];
    }
}

fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("hexadecimal digits are ASCII")
}

fn constant(model: &Model, table: Table, column: &str, same: Same, count: usize) -> ArrayRef {
    let names = &model.names;
    if same == Same::Billed {
        debug_assert_eq!(column_type(table, column), Type::Real);
        return Arc::new(Float64Array::from_value(table.billed_bytes(), count));
    }
    let text = match same {
        Same::Type => table.name(),
        Same::Workspace => WORKSPACE,
        Same::Subscription => &names.subscription,
        Same::Application => &names.application,
        Same::Cosmos => &names.cosmos,
        Same::Key => "0b4f7a52-6c1e-4f0e-9d7a-3a5c1e8b2d90",
        Same::Sdk => "dotnet8.0:otel1.9.0:ext1.3.0",
        Same::MaskedIp => "0.0.0.0",
        Same::Pc => "PC",
        Same::Japan => "Japan",
        Same::Azure => "Azure",
        Same::True => "True",
        Same::Billed => unreachable!("bytes are no text"),
    };
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
        text, count,
    )))
}
