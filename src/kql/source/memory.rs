//! Tables that are held in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::column::Column;
use super::super::error::Result;
use super::super::exec::Run;
use super::super::plan::{Batch, Bound, Catalog, Part, Source};
use super::super::types::Schema;

/// A table in memory, one part.
#[derive(Debug, Clone)]
pub struct Memory {
    schema: Schema,
    batches: Vec<Batch>,
}

impl Memory {
    #[must_use]
    pub fn new(schema: Schema, batches: Vec<Batch>) -> Self {
        Self { schema, batches }
    }

    #[must_use]
    pub fn empty(schema: Schema) -> Self {
        Self::new(schema, Vec::new())
    }
}

impl Source for Memory {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, wanted: &[bool], _bounds: &[Bound], _run: &Arc<Run>) -> Result<Vec<Part>> {
        let wanted = wanted.to_vec();
        let batches = self.batches.clone().into_iter().map(move |batch| {
            let columns = batch.columns.iter().zip(&wanted).map(|(column, wanted)| {
                if *wanted {
                    column.clone()
                } else {
                    Column::absent(column.ty(), batch.rows)
                }
            });
            Ok(Batch {
                columns: columns.collect(),
                rows: batch.rows,
            })
        });
        Ok(vec![Box::new(batches)])
    }
}

/// Tables by name.
#[derive(Clone, Default)]
pub struct Tables(BTreeMap<String, Arc<dyn Source>>);

impl Tables {
    pub fn add(&mut self, name: impl Into<String>, source: Arc<dyn Source>) {
        self.0.insert(name.into(), source);
    }
}

impl Catalog for Tables {
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>> {
        self.0.get(name).cloned().map(Ok)
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}
