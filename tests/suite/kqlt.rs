//! `tests/kql/*.kqlt`: queries with their answers, in the format of sqllogictest.
//!
//! A case is `query TYPES`, the query, `----`, the names of the columns, and a line for each row; or
//! `query error PATTERN` and the query. Types are a letter for each column: B bool, I int, L long, R real,
//! C decimal, T string, D datetime, S timespan, G guid, J dynamic. Cells are as `tostring` prints them, with
//! ` | ` between them; `(null)` and `(empty)` are what they say, line ends are `\n`. An error is
//! `KIND LINE:COLUMN: MESSAGE; HINT`. Tables are those of `tests/kql/sample`; it is noon of 2026-01-15.
//!
//! `UPDATE_KQLT=1 cargo test kqlt` writes the answers of the engine into the files: read them then.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use poolkeeper::kql::convert;
use poolkeeper::kql::error::Error;
use poolkeeper::kql::source::Folder;
use poolkeeper::kql::text::datetime::parse_datetime;
use poolkeeper::kql::types::Type;
use poolkeeper::kql::value::Value;
use poolkeeper::kql::{self, Options};
use sqllogictest::{ColumnType, DB, DBOutput, Runner};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter(Type);

const LETTERS: [(char, Type); 10] = [
    ('B', Type::Bool),
    ('I', Type::Int),
    ('L', Type::Long),
    ('R', Type::Real),
    ('C', Type::Decimal),
    ('T', Type::String),
    ('D', Type::DateTime),
    ('S', Type::TimeSpan),
    ('G', Type::Guid),
    ('J', Type::Dynamic),
];

impl ColumnType for Letter {
    fn from_char(letter: char) -> Option<Self> {
        let found = LETTERS.iter().find(|(l, _)| *l == letter);
        found.map(|(_, ty)| Self(*ty))
    }

    fn to_char(&self) -> char {
        let found = LETTERS.iter().find(|(_, ty)| *ty == self.0);
        found.map_or('?', |(letter, _)| *letter)
    }
}

/// A failure as the files have it.
#[derive(Debug)]
struct Told(String);

impl Told {
    fn new(error: &Error, text: &str) -> Self {
        let place = match error.position(text) {
            Some((line, column)) => format!(" {line}:{column}"),
            None => String::new(),
        };
        Self(format!("{:?}{place}: {error}", error.kind))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Told {}

struct Engine(Folder);

impl DB for Engine {
    type Error = Told;
    type ColumnType = Letter;

    fn run(&mut self, text: &str) -> Result<DBOutput<Letter>, Told> {
        let now = parse_datetime("2026-01-15T12:00:00Z").expect("an instant");
        let table =
            kql::query(text, &self.0, &Options::at(now)).map_err(|e| Told::new(&e, text))?;
        let names: Vec<&str> = table.schema.names().collect();
        let mut rows = vec![vec![names.join(" | ")]];
        for batch in &table.batches {
            for row in 0..batch.rows {
                let cells = batch.columns.iter().map(|column| cell(&column.value(row)));
                rows.push(vec![cells.collect::<Vec<_>>().join(" | ")]);
            }
        }
        let types = table.schema.fields.iter().map(|field| Letter(field.ty));
        Ok(DBOutput::Rows {
            types: types.collect(),
            rows,
        })
    }

    fn engine_name(&self) -> &'static str {
        "poolkeeper"
    }
}

fn cell(value: &Value<'_>) -> String {
    match value {
        Value::Null => "(null)".into(),
        Value::String(text) if text.is_empty() => "(empty)".into(),
        Value::Dynamic(json) => json.clone().into_owned(),
        other => convert::text(other).replace('\n', "\\n"),
    }
}

/// Spaces count.
#[expect(clippy::ptr_arg, reason = "the runner asks for it")]
fn as_it_is(text: &String) -> String {
    text.trim_end().to_owned()
}

fn runner() -> Runner<Engine, impl sqllogictest::MakeConnection<Conn = Engine>> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kql/sample");
    let mut runner = Runner::new(move || {
        let engine = Engine(Folder::new(sample.clone(), Arc::new(())));
        async { Ok(engine) }
    });
    runner.with_normalizer(as_it_is);
    runner.with_column_validator(sqllogictest::strict_column_validator);
    runner
}

#[tokio::test]
async fn answers_are_those_of_the_kqlt_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kql");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "kqlt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are cases");
    let mut wrong = Vec::new();
    for file in &files {
        if std::env::var_os("UPDATE_KQLT").is_some() {
            let mut runner = runner();
            let updated = runner.update_test_file(
                file,
                " | ",
                sqllogictest::default_validator,
                as_it_is,
                sqllogictest::strict_column_validator,
            );
            updated.await.expect("the file is written");
            continue;
        }
        let mut runner = runner();
        // Every case that is wrong is told, not only the first.
        for record in sqllogictest::parse_file(file).expect("a file of cases") {
            if let Err(error) = runner.run_async(record).await {
                wrong.push(error.to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
