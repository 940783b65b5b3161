//! A folder of tables.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::super::error::{Error, Result};
use super::super::plan::{Catalog, Source};
use super::super::types::Schema;
use super::{Format, Memory, View, ViewColumn, open};

/// What is known of tables before their files are looked at.
pub trait Schemas: Send + Sync {
    /// The columns of a table. A known table without files is empty.
    fn schema(&self, table: &str) -> Option<Schema>;

    /// A name that shows another table: that table's name, and the columns.
    fn view(&self, name: &str) -> Option<(String, Vec<ViewColumn>)>;

    /// All names that one of the two knows.
    fn names(&self) -> Vec<String>;
}

/// Nothing is known: tables are those that have files, with the columns of their files.
impl Schemas for () {
    fn schema(&self, _table: &str) -> Option<Schema> {
        None
    }

    fn view(&self, _name: &str) -> Option<(String, Vec<ViewColumn>)> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Tables in a folder: `Name.csv`, or `Name/` with files in the order of their names, as
/// `2026-01-01.parquet`, `2026-01-01T0930.parquet`. Formats are those of [`Format`]; other files are
/// left alone. A table is opened when it is asked for, and again when its files have changed.
pub struct Folder {
    dir: PathBuf,
    schemas: Arc<dyn Schemas>,
    opened: Mutex<BTreeMap<String, Opened>>,
}

struct Opened {
    files: Vec<Stamp>,
    source: Arc<dyn Source>,
}

/// A file as it was: path, bytes, time of the last change.
type Stamp = (PathBuf, u64, Option<SystemTime>);

impl Folder {
    /// A folder that is not there has no files.
    pub fn new(dir: impl Into<PathBuf>, schemas: Arc<dyn Schemas>) -> Self {
        Self {
            dir: dir.into(),
            schemas,
            opened: Mutex::default(),
        }
    }

    /// The files of each table, in order.
    fn files(&self) -> Result<BTreeMap<String, Vec<PathBuf>>> {
        let mut tables: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for path in entries(&self.dir)? {
            if path.is_dir() {
                let files: Vec<PathBuf> = entries(&path)?
                    .into_iter()
                    .filter(|file| Format::of(file).is_some())
                    .collect();
                let name = path.file_name().and_then(OsStr::to_str);
                if let Some(name) = name.filter(|name| !files.is_empty() && !name.starts_with('.'))
                {
                    tables.entry(name.to_owned()).or_default().extend(files);
                }
            } else if let Some((name, _)) =
                Format::of(&path).filter(|(name, _)| !name.starts_with('.'))
            {
                tables
                    .entry(name.to_owned())
                    .or_default()
                    .push(path.clone());
            }
        }
        Ok(tables)
    }

    fn stored(&self, name: &str, files: &[PathBuf]) -> Result<Arc<dyn Source>> {
        let stamps: Vec<Stamp> = files.iter().map(|path| stamp(path)).collect();
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = opened.get(name).filter(|known| known.files == stamps) {
            return Ok(known.source.clone());
        }
        let source = open(files, self.schemas.schema(name).as_ref())?;
        let entry = Opened {
            files: stamps,
            source: source.clone(),
        };
        opened.insert(name.to_owned(), entry);
        Ok(source)
    }

    fn find(&self, name: &str) -> Result<Option<Arc<dyn Source>>> {
        if let Some(files) = self.files()?.get(name) {
            return self.stored(name, files).map(Some);
        }
        if let Some(schema) = self.schemas.schema(name) {
            return Ok(Some(Arc::new(Memory::empty(schema))));
        }
        let Some((table, columns)) = self.schemas.view(name) else {
            return Ok(None);
        };
        if table == name {
            return Err(Error::execution(format!("the view `{name}` shows itself")));
        }
        match self.find(&table)? {
            Some(source) => Ok(Some(Arc::new(View::new(source, &columns)?))),
            None => Err(Error::execution(format!(
                "the view `{name}` needs table `{table}`"
            ))),
        }
    }
}

impl Catalog for Folder {
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>> {
        self.find(name).transpose()
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.schemas.names();
        names.extend(self.files().unwrap_or_default().into_keys());
        names.sort();
        names.dedup();
        names
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = path.metadata().ok();
    let bytes = metadata.as_ref().map_or(0, std::fs::Metadata::len);
    (
        path.to_owned(),
        bytes,
        metadata.and_then(|m| m.modified().ok()),
    )
}

/// What a folder holds, by name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| {
        Error::execution(format!("cannot read `{}`: {error}", dir.display()))
    };
    let read = match dir.read_dir() {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in read {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}
