//! Files by what their names say they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::{Error, Result};
use super::super::exec::Run;
use super::super::plan::{Bound, Part, Source};
use super::super::types::{Schema, Type};
use super::{Csv, JsonLines, Parquet};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Parquet,
    JsonLines,
    Csv,
}

/// The endings that are known, with what they mean.
const ENDINGS: &[(&str, Format)] = &[
    (".parquet", Format::Parquet),
    (".jsonl", Format::JsonLines),
    (".ndjson", Format::JsonLines),
    (".json", Format::JsonLines),
    (".csv", Format::Csv),
];

impl Format {
    /// By the ending of the name; text may be packed too (`.csv.gz`). Gives the name without it.
    #[must_use]
    pub fn of(path: &Path) -> Option<(&str, Self)> {
        let name = path.file_name()?.to_str()?;
        let plain = name.strip_suffix(".gz");
        let (ending, format) = ENDINGS
            .iter()
            .find(|(ending, _)| plain.unwrap_or(name).ends_with(ending))?;
        if plain.is_some() && *format == Self::Parquet {
            return None;
        }
        let stem = plain.unwrap_or(name).strip_suffix(ending)?;
        (!stem.is_empty()).then_some((stem, *format))
    }
}

/// One table of all the files, in their order. Files of several formats may follow one another.
///
/// Errors: no file; a name that tells no format; a file that cannot be read; without a declared schema, a
/// column that has one type in files of one format and another in another's.
pub fn open(paths: &[PathBuf], declared: Option<&Schema>) -> Result<Arc<dyn Source>> {
    let mut runs: Vec<(Format, Vec<PathBuf>)> = Vec::new();
    for path in paths {
        let Some((_, format)) = Format::of(path) else {
            let known: Vec<&str> = ENDINGS.iter().map(|(ending, _)| *ending).collect();
            let known = known.join(", ");
            return Err(Error::execution(format!(
                "`{}` does not end in {known}, or one of the latter with .gz",
                path.display()
            )));
        };
        match runs.last_mut() {
            Some((last, files)) if *last == format => files.push(path.clone()),
            _ => runs.push((format, vec![path.clone()])),
        }
    }
    if let [(format, files)] = runs.as_slice() {
        return one(*format, files, declared);
    }
    let schema = match declared {
        Some(schema) => schema.clone(),
        None => common(&runs)?,
    };
    if runs.is_empty() && declared.is_none() {
        return Err(Error::execution("a table of no file has no columns"));
    }
    let sources = runs
        .iter()
        .map(|(format, files)| one(*format, files, Some(&schema)));
    Ok(Arc::new(Chain {
        sources: sources.collect::<Result<_>>()?,
        schema,
    }))
}

fn one(format: Format, files: &[PathBuf], declared: Option<&Schema>) -> Result<Arc<dyn Source>> {
    Ok(match format {
        Format::Parquet => Arc::new(Parquet::open(files, declared)?),
        Format::JsonLines => Arc::new(JsonLines::open(files, declared)?),
        Format::Csv => Arc::new(Csv::open(files, declared)?),
    })
}

/// The columns of all files.
fn common(runs: &[(Format, Vec<PathBuf>)]) -> Result<Schema> {
    let mut schema = Schema::default();
    for (format, files) in runs {
        for field in &one(*format, files, None)?.schema().fields {
            match schema.index(&field.name) {
                None => schema.fields.push(field.clone()),
                Some(at) if schema.fields[at].ty == field.ty => {}
                Some(at) => {
                    let (name, before): (&str, Type) = (&field.name, schema.fields[at].ty);
                    return Err(Error::execution(format!(
                        "column `{name}` is {before} in some files and {} in `{}`",
                        field.ty,
                        files[0].display()
                    )));
                }
            }
        }
    }
    Ok(schema)
}

/// Tables of one schema, one below the other.
struct Chain {
    schema: Schema,
    sources: Vec<Arc<dyn Source>>,
}

impl Source for Chain {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, wanted: &[bool], bounds: &[Bound], run: &Arc<Run>) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for source in &self.sources {
            parts.extend(source.scan(wanted, bounds, run)?);
        }
        Ok(parts)
    }
}
