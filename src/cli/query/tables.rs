//! Which tables a query sees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::kql::error::Result;
use crate::kql::json::Json;
use crate::kql::plan::{Catalog, Source};
use crate::kql::source::{Folder, Format, Schemas, Tables, ViewColumn, open};
use crate::kql::types::{Field, Schema, Type};
use crate::local::telemetry::catalog::Known;

/// Where a running embedded estate keeps its telemetry.
const DATA: &str = ".poolkeeper/telemetry";

#[derive(Args)]
pub(super) struct TableArguments {
    /// A folder of tables: `NAME/*.parquet`, `NAME.csv` and so on; also .jsonl, .ndjson and .json with an
    /// object on each line, .csv with a header, and text with .gz [default: .poolkeeper/telemetry when it
    /// exists].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Parquet files, each a table by the name of its file.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    parquet: Vec<PathBuf>,
    /// A table of one file of any of these formats; given again with the same name, the files are one
    /// table.
    #[arg(long = "from", value_name = "NAME=FILE", value_parser = pair)]
    files: Vec<(String, PathBuf)>,
    /// Columns of tables: JSON of the form {"group": {"table": {"column": "type"}}}. A table without files
    /// is empty [default: the tables of the embedded estate].
    #[arg(long, value_name = "FILE", env = "KQL_SCHEMAS", hide_env_values = true)]
    schemas: Option<PathBuf>,
}

fn pair(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.into(), file.into()))
        }
        _ => Err("it is NAME=FILE".into()),
    }
}

impl TableArguments {
    /// The catalog: tables of single files go before those of the folder.
    ///
    /// `bare`: no table is known that nobody named. Queries that come from elsewhere bring their own.
    pub(super) fn catalog(&self, bare: bool) -> anyhow::Result<Layers> {
        let bare = bare && self.data.is_none();
        let known: Arc<dyn Schemas> = match &self.schemas {
            Some(path) => {
                Arc::new(declared(path).with_context(|| format!("read `{}`", path.display()))?)
            }
            None if bare => Arc::new(()),
            None => Arc::new(Known),
        };
        let mut named: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for path in &self.parquet {
            let Some((stem, Format::Parquet)) = Format::of(path) else {
                bail!(
                    "`{}` does not end in .parquet; other files: --from",
                    path.display()
                );
            };
            let files = named.entry(stem.to_owned()).or_default();
            ensure!(
                files.is_empty(),
                "two files would be table `{stem}`: --from names them"
            );
            files.push(path.clone());
        }
        for (name, path) in &self.files {
            named.entry(name.clone()).or_default().push(path.clone());
        }
        let mut files = Tables::default();
        for (name, paths) in named {
            // Types of the estate are not meant here: a file may have any name.
            let declared = self.schemas.as_ref().and_then(|_| known.schema(&name));
            let source = open(&paths, declared.as_ref())?;
            files.add(name, source);
        }
        if let Some(data) = &self.data {
            ensure!(data.is_dir(), "`{}` is no folder", data.display());
        }
        let folder = match &self.data {
            Some(data) => data.as_path(),
            None => Path::new(DATA),
        };
        if bare && self.schemas.is_none() {
            return Ok(Layers(vec![Box::new(files)]));
        }
        let folder = Folder::new(folder, known);
        Ok(Layers(vec![Box::new(files), Box::new(folder)]))
    }
}

/// Several catalogs, of which the first that has a table gives it.
pub(super) struct Layers(Vec<Box<dyn Catalog>>);

impl Catalog for Layers {
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>> {
        self.0.iter().find_map(|catalog| catalog.table(name))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().flat_map(|catalog| catalog.names()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Schemas from a file.
struct Declared(BTreeMap<String, Schema>);

impl Schemas for Declared {
    fn schema(&self, table: &str) -> Option<Schema> {
        self.0.get(table).cloned()
    }

    fn view(&self, _name: &str) -> Option<(String, Vec<ViewColumn>)> {
        None
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Columns keep the order of the file; of two groups with one table the later one's stays.
fn declared(path: &Path) -> anyhow::Result<Declared> {
    let json = Json::parse(&std::fs::read_to_string(path)?).context("it is not JSON")?;
    let mut tables = BTreeMap::new();
    for (_, group) in members(&json)? {
        // A text beside the groups is a note.
        if group.as_str().is_some() {
            continue;
        }
        for (table, columns) in members(group)? {
            let mut fields = Vec::new();
            for (column, ty) in members(columns)? {
                let known = ty.as_str().and_then(Type::from_name);
                let ty =
                    known.with_context(|| format!("`{table}.{column}` has no type of Kusto"))?;
                fields.push(Field::new(column.clone(), ty));
            }
            tables.insert(table.clone(), Schema::new(fields));
        }
    }
    Ok(Declared(tables))
}

fn members(json: &Json) -> anyhow::Result<&[(String, Json)]> {
    match json {
        Json::Bag(members) => Ok(members),
        _ => bail!("it is not of the form {{\"group\": {{\"table\": {{\"column\": \"type\"}}}}}}"),
    }
}
