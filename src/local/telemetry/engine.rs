//! The query engine over the estate's telemetry: what answers the simulated Logs API.

use std::path::PathBuf;
use std::sync::Arc;

use super::catalog::catalog;
use crate::domain::ResourceId;
use crate::kql::error::{Error, Kind, Result};
use crate::kql::exec::Limits;
use crate::kql::plan::{Catalog, Source};
use crate::kql::source::{Filtered, Folder, Window, Windowed};
use crate::kql::text::datetime::from_chrono;
use crate::kql::{Options, output, query};
use crate::local::simulator::{
    LogsError, LogsErrorKind, LogsQuery, LogsScope, LogsTable, QueryEngine,
};

/// Columns that hold the time of a row, under their new and their classic name.
const TIMES: &[&str] = &["TimeGenerated", "timestamp"];
/// How often a query is begun again because files were put together under it.
const TRIES: usize = 3;

/// Answers queries over the folder that telemetry is written to.
pub struct Telemetry {
    tables: Arc<Folder>,
    limits: Limits,
}

impl Telemetry {
    /// The folder may fill while queries run.
    pub fn new(dir: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            tables: Arc::new(catalog(dir)),
            limits,
        }
    }

    fn ask(&self, asked: &LogsQuery) -> Result<LogsTable> {
        let options = Options {
            limits: self.limits.clone(),
            ..Options::at_time(asked.now)
        };
        let scoped = Scoped {
            tables: Arc::clone(&self.tables),
            scope: asked.scope.clone(),
        };
        let table = match asked.timespan {
            Some((from, until)) => {
                let window = Window {
                    from: from_chrono(from),
                    until: from_chrono(until),
                    closed: false,
                };
                query(&asked.text, &Windowed::new(scoped, TIMES, window), &options)?
            }
            None => query(&asked.text, &scoped, &options)?,
        };
        let columns = table
            .schema
            .fields
            .iter()
            .map(|field| (field.name.clone(), field.ty.name().to_owned()));
        Ok(LogsTable {
            columns: columns.collect(),
            rows: output::rows(&table),
        })
    }
}

impl QueryEngine for Telemetry {
    fn run(&self, asked: &LogsQuery) -> std::result::Result<LogsTable, LogsError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.ask(asked) {
                Ok(table) => return Ok(table),
                // Parts of an hour go when the hour is one file.
                Err(error)
                    if error.kind == Kind::Execution
                        && error.message.contains("No such file")
                        && tries < TRIES => {}
                Err(error) => return Err(told(&error, &asked.text)),
            }
        }
    }
}

fn told(error: &Error, text: &str) -> LogsError {
    LogsError {
        kind: match error.kind {
            Kind::Syntax => LogsErrorKind::Syntax,
            Kind::Semantic => LogsErrorKind::Semantic,
            Kind::NotImplemented => LogsErrorKind::NotImplemented,
            Kind::Execution => LogsErrorKind::Limit,
        },
        message: error.to_string(),
        place: error.position(text),
    }
}

/// The tables as they look from a scope: from a resource only the rows of it, and of what lies in it,
/// are seen.
struct Scoped {
    tables: Arc<Folder>,
    scope: LogsScope,
}

impl Catalog for Scoped {
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>> {
        let source = match self.tables.table(name)? {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let LogsScope::Resource(resource) = &self.scope else {
            return Some(Ok(source));
        };
        let place = source.schema().index("_ResourceId");
        Some(Ok(match place {
            Some(place) => Arc::new(of_resource(source, place, resource)),
            None => source,
        }))
    }

    fn names(&self) -> Vec<String> {
        self.tables.names()
    }
}

/// The rows of a resource, and of what lies in it, by the column of their resource.
fn of_resource(source: Arc<dyn Source>, place: usize, resource: &ResourceId) -> Filtered {
    let id = resource.as_str().to_lowercase();
    let of = move |text: &str| {
        let text = text.to_lowercase();
        text.strip_prefix(&id)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    Filtered::new(source, place, Vec::new(), move |ids| {
        ids.strings()
            .iter()
            .map(|text| Some(text.is_some_and(&of)))
            .collect()
    })
}
