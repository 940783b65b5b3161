//! Tables of which only the rows of a stretch of time are seen.

use std::sync::Arc;

use arrow_array::BooleanArray;

use super::super::column::Column;
use super::super::error::Result;
use super::super::exec::Run;
use super::super::plan::{Batch, Bound, Catalog, Part, Source, Test};
use super::super::types::{Schema, Type};
use super::super::value::Value;

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
            Some(time) => Arc::new(Seen {
                time,
                window: self.window,
                source,
            }),
            None => source,
        }))
    }

    fn names(&self) -> Vec<String> {
        self.catalog.names()
    }
}

struct Seen {
    source: Arc<dyn Source>,
    time: usize,
    window: Window,
}

impl Source for Seen {
    fn schema(&self) -> &Schema {
        self.source.schema()
    }

    fn scan(&self, wanted: &[bool], bounds: &[Bound], run: &Arc<Run>) -> Result<Vec<Part>> {
        let (time, window) = (self.time, self.window);
        let mut read = wanted.to_vec();
        read[time] = true;
        let mut bounds = bounds.to_vec();
        let mut bound = |test| bounds.push(Bound { column: time, test });
        bound(Test::Above {
            value: Value::DateTime(window.from),
            strict: false,
        });
        bound(Test::Below {
            value: Value::DateTime(window.until),
            strict: !window.closed,
        });
        let shown = wanted[time];
        let part = |part: Part| -> Part {
            Box::new(part.map(move |batch| {
                let mut batch = batch?;
                let times = batch.columns[time].longs().iter();
                let keep: BooleanArray = times
                    .map(|at| Some(at.is_some_and(|at| window.holds(at))))
                    .collect();
                let rows = keep.true_count();
                if !shown {
                    batch.columns[time] = Column::absent(Type::DateTime, batch.rows);
                }
                if rows == batch.rows {
                    return Ok(batch);
                }
                let columns = batch.columns.iter().map(|column| column.filter(&keep));
                Ok(Batch::new(columns.collect(), rows))
            }))
        };
        let parts = self.source.scan(&read, &bounds, run)?;
        Ok(parts.into_iter().map(part).collect())
    }
}
