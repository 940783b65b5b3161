//! CSV with a header, as RFC 4180 has it: commas, double quotes, cells may hold lines.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::StringRecord;

use super::super::column::{Builder, Column};
use super::super::convert;
use super::super::error::Result;
use super::super::exec::{BATCH, Run};
use super::super::json::{self, Json};
use super::super::plan::{Batch, Bound, Part, Source};
use super::super::text::number::parse_long;
use super::super::types::{Field, Schema, Type};
use super::super::value::Value;
use super::text::{self, BATCH_BYTES, Guess, SAMPLE, broken, failed, iso, misfit};

/// A table of one or more CSV files, in the order of their rows.
///
/// An empty cell is null, and `""` in a string column. Columns that a declared schema has and a file
/// has not are null in it; those that it has not are left out.
#[derive(Debug, Clone)]
pub struct Csv {
    files: Arc<[PathBuf]>,
    schema: Schema,
    guessed: bool,
}

impl Csv {
    /// Opens files. Without a declared schema it is the headers of all files, with types by the first
    /// rows: long, real, bool, datetime (ISO 8601), else string. Numbers that begin with a needless
    /// zero are text: they are codes.
    ///
    /// Errors: a file that cannot be read; a header that names a column twice.
    pub fn open(paths: &[PathBuf], declared: Option<&Schema>) -> Result<Self> {
        let schema = match declared {
            Some(schema) => schema.clone(),
            None => guess(paths)?,
        };
        Ok(Self {
            files: paths.into(),
            schema,
            guessed: declared.is_none(),
        })
    }
}

impl Source for Csv {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, wanted: &[bool], _bounds: &[Bound], run: &Arc<Run>) -> Result<Vec<Part>> {
        let (table, wanted, run) = (self.clone(), wanted.to_vec(), run.clone());
        Ok(text::parts(&self.files, move |path| {
            let rows = Rows::open(path)?;
            let places = table
                .schema
                .fields
                .iter()
                .zip(&wanted)
                .map(|(field, wanted)| {
                    let at = rows.header.iter().position(|name| *name == field.name);
                    wanted.then_some(at)
                });
            Ok(Box::new(Reader {
                places: places.collect(),
                rows,
                table: table.clone(),
                run: run.clone(),
                done: false,
            }))
        }))
    }
}

/// The records of a file.
struct Rows {
    path: PathBuf,
    from: csv::Reader<Box<dyn BufRead + Send>>,
    header: Vec<String>,
    record: StringRecord,
    line: u64,
}

impl Rows {
    fn open(path: &Path) -> Result<Self> {
        let mut from = csv::ReaderBuilder::new().from_reader(text::reader(path)?);
        let header = from.headers().map_err(|error| told(path, &error))?;
        let header: Vec<String> = header.iter().map(str::to_owned).collect();
        for (at, name) in header.iter().enumerate() {
            if header[..at].contains(name) {
                return Err(broken(
                    path,
                    1,
                    &format!("the header names column `{name}` twice"),
                ));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            from,
            header,
            record: StringRecord::new(),
            line: 0,
        })
    }

    /// Reads the next record; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let read = self.from.read_record(&mut self.record);
        let read = read.map_err(|error| told(&self.path, &error))?;
        self.line = self.record.position().map_or(0, csv::Position::line);
        Ok(read)
    }
}

fn told(path: &Path, error: &csv::Error) -> super::super::error::Error {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => broken(
            path,
            line,
            &format!("has {len} cells, and the header has {expected_len}"),
        ),
        csv::ErrorKind::Utf8 { .. } => broken(path, line, &"is not UTF-8"),
        _ => failed(path, error),
    }
}

fn guess(paths: &[PathBuf]) -> Result<Schema> {
    let mut columns: Vec<(String, Guess)> = Vec::new();
    for path in paths {
        let mut rows = Rows::open(path)?;
        let mut places = Vec::with_capacity(rows.header.len());
        for name in &rows.header {
            let known = columns.iter().position(|(known, _)| known == name);
            places.push(known.unwrap_or(columns.len()));
            if known.is_none() {
                columns.push((name.clone(), Guess::Nothing));
            }
        }
        for _ in 0..SAMPLE {
            if !rows.advance()? {
                break;
            }
            for (cell, place) in rows.record.iter().zip(&places) {
                if !cell.is_empty() {
                    columns[*place].1 = columns[*place].1.with(kind(cell), Type::String);
                }
            }
        }
    }
    let fields = columns
        .into_iter()
        .map(|(name, guess)| Field::new(name, guess.ty(Type::String)));
    Ok(Schema::new(fields.collect()))
}

/// The type that a cell would have.
fn kind(cell: &str) -> Type {
    if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false") {
        Type::Bool
    } else if is_number(cell) {
        match cell.parse::<i64>() {
            Ok(_) => Type::Long,
            Err(_) => Type::Real,
        }
    } else if iso(cell).is_some() {
        Type::DateTime
    } else {
        Type::String
    }
}

/// Whether it is a number as JSON writes them: no `+`, no needless zero in front, no `NaN`.
fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<serde_json::Number>(cell).is_ok()
}

/// A cell as a value of a type; `None` when it is none.
fn value(cell: &str, ty: Type, guessed: bool) -> Option<Value<'_>> {
    if cell.is_empty() {
        return Some(Value::Null);
    }
    if guessed && ty != Type::String {
        let fits = match kind(cell) {
            Type::Long => matches!(ty, Type::Long | Type::Real),
            other => other == ty,
        };
        if !fits {
            return None;
        }
    }
    Some(match ty {
        Type::String => Value::String(Cow::Borrowed(cell)),
        // Whole numbers only: a fraction would be cut.
        Type::Int => Value::Int(i32::try_from(parse_long(cell)?).ok()?),
        Type::Long => Value::Long(parse_long(cell)?),
        Type::Dynamic => Value::Dynamic(Cow::Owned(
            json::compact(cell).unwrap_or_else(|| Json::String(cell.to_owned()).to_string()),
        )),
        _ => convert::parse(cell, ty)?,
    })
}

/// One file, batch by batch.
struct Reader {
    rows: Rows,
    /// For each column that is wanted, where it is in the file.
    places: Vec<Option<Option<usize>>>,
    table: Csv,
    run: Arc<Run>,
    done: bool,
}

impl Iterator for Reader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.done {
            return None;
        }
        let batch = self.batch();
        self.done = !matches!(&batch, Ok(batch) if batch.rows > 0);
        match batch {
            Ok(batch) if batch.rows == 0 => None,
            batch => Some(batch),
        }
    }
}

impl Reader {
    fn batch(&mut self) -> Result<Batch> {
        let fields = &self.table.schema.fields;
        let mut builders: Vec<Builder> = fields
            .iter()
            .map(|field| Builder::new(field.ty, 0))
            .collect();
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH && bytes < BATCH_BYTES && self.rows.advance()? {
            if rows % 1024 == 0 {
                self.run.tick()?;
            }
            let (path, line) = (&self.rows.path, self.rows.line);
            for ((builder, place), field) in builders.iter_mut().zip(&self.places).zip(fields) {
                let Some(place) = place else { continue };
                let cell = place.and_then(|at| self.rows.record.get(at)).unwrap_or("");
                let value = value(cell, field.ty, self.table.guessed).ok_or_else(|| {
                    misfit(path, line, &field.name, field.ty, cell, self.table.guessed)
                })?;
                builder.push(&value);
            }
            rows += 1;
            bytes += self.rows.record.as_slice().len();
        }
        let columns = builders.iter_mut().zip(&self.places).zip(fields);
        let columns = columns.map(|((builder, place), field)| match place {
            Some(_) => builder.finish(),
            None => Column::absent(field.ty, rows),
        });
        Ok(Batch::new(columns.collect(), rows))
    }
}
