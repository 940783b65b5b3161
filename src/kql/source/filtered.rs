//! A table of which only some rows are seen, by one of its columns.

use std::sync::Arc;

use arrow_array::BooleanArray;

use super::super::column::Column;
use super::super::error::Result;
use super::super::exec::Run;
use super::super::plan::{Bound, Part, Source};
use super::super::types::Schema;

/// The rows of a table that a test lets through.
pub struct Filtered {
    source: Arc<dyn Source>,
    column: usize,
    /// What holds for every row that passes.
    bounds: Vec<Bound>,
    passes: Arc<Test>,
}

type Test = dyn Fn(&Column) -> BooleanArray + Send + Sync;

impl Filtered {
    /// `passes` looks at the column, which is read for it whether it is wanted or not. `bounds` let
    /// the source leave out rows that would not pass; they may be none.
    pub fn new(
        source: Arc<dyn Source>,
        column: usize,
        bounds: Vec<Bound>,
        passes: impl Fn(&Column) -> BooleanArray + Send + Sync + 'static,
    ) -> Self {
        Self {
            source,
            column,
            bounds,
            passes: Arc::new(passes),
        }
    }
}

impl Source for Filtered {
    fn schema(&self) -> &Schema {
        self.source.schema()
    }

    fn scan(&self, wanted: &[bool], bounds: &[Bound], run: &Arc<Run>) -> Result<Vec<Part>> {
        let mut read = wanted.to_vec();
        read[self.column] = true;
        let bounds = [bounds, &self.bounds].concat();
        let (at, shown) = (self.column, wanted[self.column]);
        let filtered = |part: Part| -> Part {
            let passes = self.passes.clone();
            Box::new(part.map(move |batch| {
                let mut batch = batch?;
                let keep = passes(&batch.columns[at]);
                if !shown {
                    batch.columns[at] = Column::absent(batch.columns[at].ty(), batch.rows);
                }
                Ok(batch.filter(&keep))
            }))
        };
        Ok(self
            .source
            .scan(&read, &bounds, run)?
            .into_iter()
            .map(filtered)
            .collect())
    }
}
