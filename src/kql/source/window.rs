//! Tables of which only the rows of a stretch of time are seen.

use std::sync::Arc;

use super::super::error::Result;
use super::super::plan::{Bound, Catalog, Source, Test};
use super::super::types::Type;
use super::super::value::Value;
use super::Filtered;

/// A stretch of time in ticks, its begin included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: i64,
    pub until: i64,
    /// Whether a row at `until` is seen.
    pub closed: bool,
}

impl Window {
    fn holds(self, at: i64) -> bool {
        at >= self.from && (at < self.until || self.closed && at == self.until)
    }

    /// The rows of a table whose time, in this column, is in the window.
    fn of(self, source: Arc<dyn Source>, time: usize) -> Filtered {
        let bound = |test| Bound { column: time, test };
        let bounds = vec![
            bound(Test::Above {
                value: Value::DateTime(self.from),
                strict: false,
            }),
            bound(Test::Below {
                value: Value::DateTime(self.until),
                strict: !self.closed,
            }),
        ];
        Filtered::new(source, time, bounds, move |times| {
            times
                .longs()
                .iter()
                .map(|at| Some(at.is_some_and(|at| self.holds(at))))
                .collect()
        })
    }
}

/// A catalog whose tables show only the rows within a window, by the first of some columns that a table
/// has as a datetime. A row without a time is not seen; a table without such a column is seen whole.
pub struct Windowed<C> {
    catalog: C,
    columns: Vec<String>,
    window: Window,
}

impl<C: Catalog> Windowed<C> {
    pub fn new(catalog: C, columns: &[&str], window: Window) -> Self {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Self {
            catalog,
            columns,
            window,
        }
    }
}

impl<C: Catalog> Catalog for Windowed<C> {
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>> {
        let source = match self.catalog.table(name)? {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let schema = source.schema();
        let mut places = self.columns.iter().filter_map(|name| schema.index(name));
        let time = places.find(|at| schema.fields[*at].ty == Type::DateTime);
        Some(Ok(match time {
            Some(time) => Arc::new(self.window.of(source, time)),
            None => source,
        }))
    }

    fn names(&self) -> Vec<String> {
        self.catalog.names()
    }
}
