//! The cases of `tests/kql/*.kqlt`: sqllogictest's format with KQL inside.
//!
//! - `query TIR` and a query, `----`, then the names of the columns and a line per row. `query error`
//!   and an expression that the message, with its line and column, must match.
//! - Letters are types: T string, I int or long, R real, B bool, D datetime, S timespan, G guid,
//!   J dynamic, N decimal.
//! - Cells: `NULL`, `(empty)` for the empty string, strings with blanks in quotes.
//! - `now()` is 2026-01-15T12:00:00Z. Cases bring their rows, or ask the tables made here.
//!
//! `UPDATE_KQLT=1 cargo test --test suite kqlt` writes the engine's answers into the files. Kusto's
//! documentation judges them, not the engine.

use std::path::PathBuf;
use std::sync::Arc;

use poolkeeper::kql::column::Column;
use poolkeeper::kql::exec::Limits;
use poolkeeper::kql::plan::Batch;
use poolkeeper::kql::source::{Memory, Tables};
use poolkeeper::kql::types::{Schema, Type};
use poolkeeper::kql::value::Value;
use poolkeeper::kql::{self, Options, convert};
use sqllogictest::{ColumnType, DB, DBOutput, Runner, strict_column_validator};

use crate::world::PROJECT;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter(char);

impl ColumnType for Letter {
    fn from_char(value: char) -> Option<Self> {
        "TIRBDSGJN".contains(value).then_some(Self(value))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

fn letter(ty: Type) -> Letter {
    Letter(match ty {
        Type::String => 'T',
        Type::Int | Type::Long => 'I',
        Type::Real => 'R',
        Type::Bool => 'B',
        Type::DateTime => 'D',
        Type::TimeSpan => 'S',
        Type::Guid => 'G',
        Type::Dynamic => 'J',
        Type::Decimal => 'N',
    })
}

struct Engine {
    tables: Tables,
    options: Options,
}

#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Engine {
    fn new() -> Self {
        let now = "2026-01-15T12:00:00Z".parse().expect("an instant");
        let mut options = Options::at_time(now);
        options.limits = Limits {
            memory: 64 << 20,
            threads: 1,
            ..Limits::default()
        };
        Self {
            tables: sample(),
            options,
        }
    }
}

impl DB for Engine {
    type Error = Refused;
    type ColumnType = Letter;

    fn run(&mut self, text: &str) -> Result<DBOutput<Letter>, Refused> {
        let table = kql::query(text, &self.tables, &self.options).map_err(|error| {
            let rendered = error.render(text);
            Refused(rendered.lines().next().unwrap_or("").to_owned())
        })?;
        let types = table.schema.fields.iter().map(|field| letter(field.ty));
        let names = table.schema.names().map(plain).collect();
        let mut rows: Vec<Vec<String>> = vec![names];
        for batch in &table.batches {
            for row in 0..batch.rows {
                let cells = batch.columns.iter().map(|column| cell(&column.value(row)));
                rows.push(cells.collect());
            }
        }
        Ok(DBOutput::Rows {
            types: types.collect(),
            rows,
        })
    }
}

fn cell(value: &Value<'_>) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::String(text) => plain(text),
        Value::Dynamic(json) => json.to_string(),
        other => convert::text(other).into_owned(),
    }
}

/// As it stands, unless a reader could take it for something else.
fn plain(text: &str) -> String {
    if text.is_empty() {
        return "(empty)".into();
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
    if text.contains(odd) || text == "NULL" || text == "(empty)" {
        return format!("{text:?}");
    }
    text.to_owned()
}

/// Two tables of a shop: `Orders`, with nulls, and `Customers`; and one without rows.
fn sample() -> Tables {
    let mut tables = Tables::default();
    let orders = Schema::of(&[
        ("Id", Type::Long),
        ("Customer", Type::String),
        ("At", Type::DateTime),
        ("Amount", Type::Real),
        ("Items", Type::Int),
        ("Paid", Type::Bool),
    ]);
    let rows = [
        ["1", "ann", "2026-01-15T08:00:00Z", "12.5", "3", "true"],
        ["2", "bob", "2026-01-15T08:30:00Z", "7.25", "1", "false"],
        ["3", "ann", "2026-01-15T09:10:00Z", "", "2", "true"],
        ["4", "", "2026-01-15T09:40:00Z", "100", "", ""],
        ["5", "cid", "2026-01-15T11:00:00Z", "0.5", "1", "true"],
    ];
    tables.add("Orders", Arc::new(table(&orders, &rows)));
    let customers = Schema::of(&[("Customer", Type::String), ("City", Type::String)]);
    let rows = [["ann", "Kobe"], ["bob", "Nara"], ["dan", "Kobe"]];
    tables.add("Customers", Arc::new(table(&customers, &rows)));
    tables.add("Empty", Arc::new(Memory::empty(orders)));
    tables
}

fn table<const N: usize>(schema: &Schema, rows: &[[&str; N]]) -> Memory {
    let columns = schema.fields.iter().enumerate().map(|(at, field)| {
        let cells = rows
            .iter()
            .map(|row| convert::parse(row[at], field.ty).unwrap_or(Value::Null));
        Column::from_values(field.ty, cells)
    });
    let batch = Batch::new(columns.collect(), rows.len());
    Memory::new(schema.clone(), vec![batch])
}

#[test]
fn the_cases_of_the_kqlt_files_are_answered_as_kusto_answers() {
    let folder = PathBuf::from(PROJECT).join("tests/kql");
    let files = std::fs::read_dir(folder).expect("the cases");
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == "kqlt"));
    paths.sort();
    assert!(!paths.is_empty());
    let update = std::env::var_os("UPDATE_KQLT").is_some();
    // Blanks count: a cell's own are in quotes.
    #[allow(clippy::ptr_arg)]
    fn trimmed(line: &String) -> String {
        line.trim_end().to_owned()
    }
    let mut wrong = Vec::new();
    for path in paths {
        let mut runner = Runner::new(|| async { Ok(Engine::new()) });
        runner.with_column_validator(strict_column_validator);
        runner.with_normalizer(trimmed);
        if update {
            futures::executor::block_on(runner.update_test_file(
                &path,
                " ",
                sqllogictest::default_validator,
                trimmed,
                strict_column_validator,
            ))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        } else if let Err(error) = runner.run_file(&path) {
            wrong.push(error.display(false).to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
