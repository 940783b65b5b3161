//! The shipped queries and the cases that judge whoever runs them: `tests/kql/queries`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use poolkeeper::kql::column::Column;
use poolkeeper::kql::plan::Batch;
use poolkeeper::kql::source::{Memory, Tables};
use poolkeeper::kql::types::{Field, Schema, Type};
use poolkeeper::kql::value::Value as Cell;
use poolkeeper::kql::{self, Options, convert};
use poolkeeper::queries::{Param, ParamType, Query};
use serde::Deserialize;
use serde_json::Value;

use crate::world::PROJECT;

/// Cases of one query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// A claim.
    pub(crate) name: String,
    /// Corrections of the specification that it holds the query to.
    pub(crate) covers: Vec<String>,
    /// What `now()` answers.
    pub(crate) now: DateTime<Utc>,
    /// All parameters, as JSON; spans of time as `5m`. `null`: the file as it stands.
    pub(crate) params: Option<BTreeMap<String, Value>>,
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) expect: Answer,
}

/// Columns as `name:type`. The column `$ingestion_time`, where there is one, is what
/// `ingestion_time()` answers for the row. Cells are JSON; datetimes are ISO texts in UTC.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Rows in their order; all queries sort. Reals agree to a millionth of their size.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

pub(crate) fn cases(query: Query) -> Vec<Case> {
    let file = Path::new(PROJECT).join(format!("tests/kql/queries/{}.test.json", query.name()));
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let cases: Cases =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    cases.cases
}

impl Case {
    /// The text to run.
    pub(crate) fn text(&self, query: Query) -> String {
        let Some(values) = &self.params else {
            return query.source().to_owned();
        };
        let header = query.header();
        let params: Vec<(&str, Param)> = values
            .iter()
            .map(|(name, value)| {
                let info = header.params.iter().find(|info| info.name == *name);
                let ty = info.map_or(ParamType::String, |info| info.ty);
                let param = param(ty, value)
                    .unwrap_or_else(|| panic!("{}: `{name}` is {value}", self.name));
                (name.as_str(), param)
            })
            .collect();
        query
            .text(&params)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

fn param(ty: ParamType, value: &Value) -> Option<Param> {
    Some(match ty {
        ParamType::String => Param::String(value.as_str()?.to_owned()),
        ParamType::Long => Param::Long(value.as_i64()?),
        ParamType::Real => Param::Real(value.as_f64()?),
        ParamType::Bool => Param::Bool(value.as_bool()?),
        ParamType::DateTime => Param::DateTime(value.as_str()?.parse().ok()?),
        ParamType::TimeSpan => {
            let (number, unit) = value
                .as_str()?
                .split_at_checked(value.as_str()?.len() - 1)?;
            let number = number.parse().ok()?;
            Param::TimeSpan(match unit {
                "d" => TimeDelta::days(number),
                "h" => TimeDelta::hours(number),
                "m" => TimeDelta::minutes(number),
                "s" => TimeDelta::seconds(number),
                _ => return None,
            })
        }
        ParamType::List => Param::List(serde_json::from_value(value.clone()).ok()?),
    })
}

/// Whether JSON may stand for a cell of the type.
fn fits(ty: &str, value: &Value) -> bool {
    match (ty, value) {
        ("dynamic", _) => true,
        ("string", Value::Null) => false,
        (_, Value::Null) => true,
        ("string", value) => value.is_string(),
        ("bool", value) => value.is_boolean(),
        ("int" | "long", value) => value.is_i64(),
        ("real", value) => value.is_f64(),
        ("datetime", value) => value
            .as_str()
            .is_some_and(|text| text.parse::<DateTime<Utc>>().is_ok()),
        _ => false,
    }
}

#[test]
fn every_query_has_cases_that_fit_its_header() {
    for query in Query::ALL {
        let header = query.header();
        let cases = cases(*query);
        assert!(cases.len() > 1, "{}", query.name());
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len(), "{}", query.name());
        for case in &cases {
            let at = format!("{}: {}", query.name(), case.name);
            assert!(case.text(*query).contains("// parameters begin\n"), "{at}");
            assert!(case.now.timestamp() > 0, "{at}");
            assert!(case.tables.keys().eq(header.tables.iter()), "{at}");
            let mut types = Vec::new();
            for (name, table) in &case.tables {
                types.clear();
                for column in &table.columns {
                    let (column, ty) = column.split_once(':').expect("name:type");
                    assert!(
                        !header.params.iter().any(|param| param.name == column),
                        "{at}: {column}"
                    );
                    types.push(ty);
                }
                for row in &table.rows {
                    let right = row.len() == types.len()
                        && row.iter().zip(&types).all(|(cell, ty)| fits(ty, cell));
                    assert!(right, "{at}: {name}: {row:?}");
                }
            }
            assert!(
                case.expect
                    .columns
                    .iter()
                    .eq(header.columns.iter().map(|column| &column.name)),
                "{at}"
            );
            for row in &case.expect.rows {
                let right = row.len() == header.columns.len()
                    && row
                        .iter()
                        .zip(&header.columns)
                        .all(|(cell, column)| fits(&column.ty, cell));
                assert!(right, "{at}: {row:?}");
            }
        }
    }
}

/// Corrections of the specification's queries that answers can show. Q9b is one question a file.
#[test]
fn every_correction_of_the_queries_has_a_case() {
    let mut covered = BTreeSet::new();
    for query in Query::ALL {
        let claimed = query.header().corrections;
        for case in cases(*query) {
            covered.extend(case.covers);
        }
        assert!(!claimed.is_empty(), "{}", query.name());
    }
    for correction in [
        "Q1", "Q2", "Q3", "Q3b", "Q4", "Q5", "Q9", "Q10", "Q11", "Q12", "Q13", "Q14", "Q15", "Q16",
        "A1", "A2", "A4", "A5", "A6", "C1", "C2", "C3", "R1", "R2", "R5", "R6", "R8",
    ] {
        assert!(covered.contains(correction), "{correction}");
    }
}

/// Queries without an answer among their cases would let an engine that answers nothing pass.
#[test]
fn every_query_has_a_case_with_rows_and_one_without_telemetry() {
    for query in Query::ALL {
        let cases = cases(*query);
        let empty = |case: &Case| case.tables.values().all(|table| table.rows.is_empty());
        assert!(
            cases
                .iter()
                .any(|case| !case.expect.rows.is_empty() && !empty(case)),
            "{}",
            query.name()
        );
        let silent = cases.iter().any(|case| {
            empty(case)
                || case.expect.rows.is_empty()
                || case
                    .expect
                    .rows
                    .iter()
                    .any(|row| row.contains(&Value::Null))
        });
        assert!(silent, "{}", query.name());
    }
}

/// What the engine answers to a case, columns as `name:type`.
fn answer(query: Query, case: &Case) -> (Vec<String>, Vec<Vec<Value>>) {
    let mut tables = Tables::default();
    for (name, table) in &case.tables {
        tables.add(name.clone(), Arc::new(memory(table)));
    }
    let text = case.text(query);
    let answer = kql::query(&text, &tables, &Options::at_time(case.now))
        .unwrap_or_else(|error| panic!("{}: {}: {}", query.name(), case.name, error.render(&text)));
    let columns = answer
        .schema
        .fields
        .iter()
        .map(|field| format!("{}:{}", field.name, field.ty))
        .collect();
    (columns, kql::output::rows(&answer))
}

fn memory(table: &Table) -> Memory {
    let fields: Vec<Field> = table
        .columns
        .iter()
        .map(|column| {
            let (name, ty) = column.split_once(':').expect("name:type");
            Field::new(name, Type::from_name(ty).expect("a type of Kusto"))
        })
        .collect();
    let columns = fields.iter().enumerate().map(|(at, field)| {
        Column::from_values(
            field.ty,
            table.rows.iter().map(|row| cell(&row[at], field.ty)),
        )
    });
    let batch = Batch::new(columns.collect(), table.rows.len());
    Memory::new(Schema::new(fields), vec![batch])
}

fn cell(json: &Value, ty: Type) -> Cell<'static> {
    match (json, ty) {
        (Value::Null, _) => Cell::Null,
        (json, Type::Dynamic) => Cell::Dynamic(json.to_string().into()),
        (Value::String(text), _) => convert::parse(text, ty).expect("a cell of its column's type"),
        (json, _) => convert::parse(&json.to_string(), ty).expect("a cell of its column's type"),
    }
}

/// Cells agree when they are the same, reals to a millionth of their size, instants as instants.
fn agree(ty: &str, expected: &Value, got: &Value) -> bool {
    match (ty, expected, got) {
        ("datetime", Value::String(a), Value::String(b)) => {
            a.parse::<DateTime<Utc>>().ok() == b.parse::<DateTime<Utc>>().ok()
        }
        (_, Value::Number(a), Value::Number(b)) => {
            let (a, b) = (
                a.as_f64().unwrap_or(f64::NAN),
                b.as_f64().unwrap_or(f64::NAN),
            );
            (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
        }
        _ => expected == got,
    }
}

#[test]
fn every_query_answers_its_cases_with_the_columns_its_header_tells() {
    let mut wrong = Vec::new();
    for query in Query::ALL {
        let told: Vec<String> = query
            .header()
            .columns
            .iter()
            .map(|column| format!("{}:{}", column.name, column.ty))
            .collect();
        for case in cases(*query) {
            let at = format!("{}: {}", query.name(), case.name);
            let (columns, rows) = answer(*query, &case);
            assert_eq!(columns, told, "{at}");
            let types: Vec<&str> = told
                .iter()
                .map(|column| column.split_once(':').expect("a type").1)
                .collect();
            let same = rows.len() == case.expect.rows.len()
                && rows.iter().zip(&case.expect.rows).all(|(got, expected)| {
                    got.iter()
                        .zip(expected)
                        .zip(&types)
                        .all(|((got, expected), ty)| agree(ty, expected, got))
                });
            if !same {
                wrong.push(format!(
                    "{at}\n  expected {}\n  got      {}",
                    serde_json::to_string(&case.expect.rows).expect("JSON"),
                    serde_json::to_string(&rows).expect("JSON")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
