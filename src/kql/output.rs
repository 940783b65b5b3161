//! Answers as JSON, as the Logs API and the scorers read them.

use serde_json::{Value as Json, json};

use super::Table;
use super::convert;
use super::value::Value;

/// `{"columns":[{"name","type"}],"rows":[[..]]}`.
#[must_use]
pub fn json(table: &Table) -> Json {
    let columns: Vec<Json> = table
        .schema
        .fields
        .iter()
        .map(|field| json!({ "name": field.name, "type": field.ty.name() }))
        .collect();
    json!({ "columns": columns, "rows": rows(table) })
}

/// The rows, a JSON array each.
#[must_use]
pub fn rows(table: &Table) -> Vec<Vec<Json>> {
    let mut rows = Vec::with_capacity(table.rows());
    for batch in &table.batches {
        for row in 0..batch.rows {
            rows.push(
                batch
                    .columns
                    .iter()
                    .map(|column| cell(&column.value(row)))
                    .collect(),
            );
        }
    }
    rows
}

/// A cell: dynamic values as JSON, datetimes and timespans as text, numbers without a JSON form as
/// `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[must_use]
pub fn cell(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(v) => json!(v),
        Value::Int(v) => json!(v),
        Value::Long(v) => json!(v),
        Value::Real(v) if v.is_finite() => json!(v),
        Value::Dynamic(v) => serde_json::from_str(v).unwrap_or(Json::Null),
        other => json!(convert::text(other)),
    }
}
