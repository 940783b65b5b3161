//! JSON Lines: an object on each line, its members the columns.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::column::{Builder, Column};
use super::super::convert;
use super::super::error::Result;
use super::super::exec::{BATCH, Run};
use super::super::json;
use super::super::plan::{Batch, Bound, Part, Source};
use super::super::types::{Field, Schema, Type};
use super::super::value::Value;
use super::text::{self, BATCH_BYTES, Guess, SAMPLE, broken, failed, iso, misfit};

/// The longest line that is read.
const LINE: usize = 64 << 20;

/// A table of one or more files of JSON Lines, in the order of their rows.
///
/// A member that is absent or null is null, and `""` in a string column. Members that a declared schema
/// does not have are left out; when types were guessed, a member that the first rows did not have is an
/// error, as is a value of another type.
#[derive(Debug, Clone)]
pub struct JsonLines {
    files: Arc<[PathBuf]>,
    schema: Schema,
    guessed: bool,
}

impl JsonLines {
    /// Opens files. Without a declared schema it is the members of the first rows of each file, in the
    /// order of their coming: whole numbers are long, others real, texts that are all ISO dates
    /// datetime, and what differs in kind is dynamic.
    ///
    /// Errors: a file that cannot be read, and, when types are guessed, a first line that is no object.
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

impl Source for JsonLines {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, wanted: &[bool], _bounds: &[Bound], run: &Arc<Run>) -> Result<Vec<Part>> {
        let (table, wanted, run) = (self.clone(), wanted.to_vec(), run.clone());
        Ok(text::parts(&self.files, move |path| {
            Ok(Box::new(Reader {
                lines: Lines::open(path)?,
                table: table.clone(),
                wanted: wanted.clone(),
                run: run.clone(),
                done: false,
            }))
        }))
    }
}

/// The lines of a file with their numbers, from one; empty ones are left out.
struct Lines {
    path: PathBuf,
    from: Box<dyn BufRead + Send>,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            from: text::reader(path)?,
            number: 0,
            line: Vec::new(),
        })
    }

    /// Reads the next line into `line`; false at the end.
    fn advance(&mut self) -> Result<bool> {
        loop {
            self.line.clear();
            self.number += 1;
            let mut limited = (&mut self.from).take(LINE as u64 + 1);
            let read = limited.read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| failed(&self.path, &error))?;
            if read == 0 {
                return Ok(false);
            }
            if read > LINE {
                let why = format!("is longer than {} MiB", LINE >> 20);
                return Err(broken(&self.path, self.number, &why));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Hands the members of the line to `member`: with what `place` says of the name, where it says
    /// something.
    fn members<'a, K>(
        &'a self,
        place: impl FnMut(&str) -> Option<K>,
        member: impl FnMut(K, &'a str),
    ) -> Result<()> {
        let broken = |why: &dyn fmt::Display| broken(&self.path, self.number, why);
        let line = std::str::from_utf8(&self.line).map_err(|_| broken(&"is not UTF-8"))?;
        if line.trim_start().starts_with('[') {
            return Err(broken(&"is an array; each line must be one object"));
        }
        let mut reader = serde_json::Deserializer::from_str(line);
        let read = reader.deserialize_map(Members { place, member });
        read.and_then(|()| reader.end()).map_err(|error| {
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default();
            broken(&format!(
                "is not a JSON object: {why} (column {})",
                error.column()
            ))
        })
    }
}

/// Visits an object; values that nobody wants are checked and skipped.
struct Members<P, M> {
    place: P,
    member: M,
}

impl<'de, K, P: FnMut(&str) -> Option<K>, M: FnMut(K, &'de str)> Visitor<'de> for Members<P, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Place(&mut self.place))? {
            match key {
                Some(key) => (self.member)(key, map.next_value::<&RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Looks a member's name up without keeping it.
struct Place<'a, P>(&'a mut P);

impl<'de, K, P: FnMut(&str) -> Option<K>> DeserializeSeed<'de> for Place<'_, P> {
    type Value = Option<K>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<K>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<K, P: FnMut(&str) -> Option<K>> Visitor<'_> for Place<'_, P> {
    type Value = Option<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<K>, E> {
        Ok((self.0)(name))
    }
}

fn guess(paths: &[PathBuf]) -> Result<Schema> {
    let mut columns: Vec<(String, Guess)> = Vec::new();
    for path in paths {
        let mut lines = Lines::open(path)?;
        for _ in 0..SAMPLE {
            if !lines.advance()? {
                break;
            }
            let mut seen = Vec::new();
            let place = |name: &str| Some(name.to_owned());
            lines.members(place, |name, raw| seen.push((name, kind(raw))))?;
            for (name, kind) in seen {
                let at = match columns.iter().position(|(known, _)| *known == name) {
                    Some(at) => at,
                    None => {
                        columns.push((name, Guess::Nothing));
                        columns.len() - 1
                    }
                };
                if let Some(ty) = kind {
                    columns[at].1 = columns[at].1.with(ty, Type::Dynamic);
                }
            }
        }
    }
    let fields = columns
        .into_iter()
        .map(|(name, guess)| Field::new(name, guess.ty(Type::Dynamic)));
    Ok(Schema::new(fields.collect()))
}

/// The type that a JSON value would have as a column; none for null.
fn kind(raw: &str) -> Option<Type> {
    Some(match raw.as_bytes()[0] {
        b'n' => return None,
        b't' | b'f' => Type::Bool,
        b'{' | b'[' => Type::Dynamic,
        b'"' if iso(&json::unquote(raw)).is_some() => Type::DateTime,
        b'"' => Type::String,
        _ if raw.parse::<i64>().is_ok() => Type::Long,
        _ => Type::Real,
    })
}

/// A JSON value as a value of a type; `None` when it is none.
fn value(raw: &str, ty: Type) -> Option<Value<'_>> {
    let first = raw.as_bytes()[0];
    let quoted = || (first == b'"').then(|| json::unquote(raw));
    let number = first == b'-' || first.is_ascii_digit();
    if first == b'n' {
        return Some(Value::Null);
    }
    Some(match ty {
        Type::Bool if first == b't' => Value::Bool(true),
        Type::Bool if first == b'f' => Value::Bool(false),
        Type::Bool => return None,
        Type::Int => Value::Int(raw.parse().ok()?),
        Type::Long => Value::Long(raw.parse().ok()?),
        Type::Real if number => Value::Real(raw.parse().ok()?),
        // The forms that JSON has no number for.
        Type::Real => Value::Real(match quoted()?.as_ref() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => return None,
        }),
        Type::Decimal if number => convert::parse(raw, ty)?,
        Type::String if first == b'"' => Value::String(json::unquote(raw)),
        Type::String => Value::String(Cow::Owned(json::compact(raw)?)),
        Type::DateTime => match iso(&quoted()?) {
            Some(ticks) => Value::DateTime(ticks),
            None => convert::parse(&quoted()?, ty)?,
        },
        Type::Decimal | Type::TimeSpan | Type::Guid => convert::parse(&quoted()?, ty)?,
        Type::Dynamic => Value::Dynamic(Cow::Owned(json::compact(raw)?)),
    })
}

/// One file, batch by batch.
struct Reader {
    lines: Lines,
    table: JsonLines,
    wanted: Vec<bool>,
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
        let mut builders: Vec<Option<Builder>> = fields
            .iter()
            .zip(&self.wanted)
            .map(|(field, wanted)| wanted.then(|| Builder::new(field.ty, 0)))
            .collect();
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH && bytes < BATCH_BYTES && self.lines.advance()? {
            if rows % 1024 == 0 {
                self.run.tick()?;
            }
            let mut cells: Vec<&str> = vec!["null"; fields.len()];
            let mut unknown = None;
            let place = |name: &str| {
                let at = self.table.schema.index(name);
                if at.is_none() && self.table.guessed {
                    unknown = Some(name.to_owned());
                }
                at
            };
            self.lines.members(place, |at, raw| cells[at] = raw)?;
            let (path, number) = (&self.lines.path, self.lines.number);
            if let Some(name) = unknown {
                let why = format!("column `{name}` was not in the first {SAMPLE} rows");
                return Err(broken(path, number, &why).hint("declare the columns"));
            }
            for ((builder, raw), field) in builders.iter_mut().zip(cells).zip(fields) {
                let Some(builder) = builder else { continue };
                let value = value(raw, field.ty).ok_or_else(|| {
                    misfit(path, number, &field.name, field.ty, raw, self.table.guessed)
                })?;
                builder.push(&value);
            }
            rows += 1;
            bytes += self.lines.line.len();
        }
        let columns = builders
            .into_iter()
            .zip(fields)
            .map(|(builder, field)| match builder {
                Some(mut builder) => builder.finish(),
                None => Column::absent(field.ty, rows),
            });
        Ok(Batch::new(columns.collect(), rows))
    }
}
