//! Tables turned round: `evaluate bag_unpack` and `evaluate narrow`.

use std::sync::Arc;

use super::super::column::Builder;
use super::super::convert;
use super::super::error::{Error, Result};
use super::super::json;
use super::super::plan::{Batch, Breaker, Stage};
use super::super::types::Type;
use super::super::value::Value;
use super::{BATCH, Run};

/// Members of a bag as columns.
pub(crate) struct Unpack {
    /// The column of the bag.
    pub(crate) bag: usize,
    pub(crate) output: Vec<Slot>,
    /// Members that would be columns which are there already.
    pub(crate) refused: Vec<String>,
}

/// Where a column of the output is from.
pub(crate) enum Slot {
    Column(usize),
    Member(String, Type),
}

impl Stage for Unpack {
    fn name(&self) -> &'static str {
        "bag_unpack"
    }

    fn apply(&self, batch: Batch, _run: &Arc<Run>) -> Result<Batch> {
        let bags = &batch.columns[self.bag];
        for key in &self.refused {
            if bags
                .values()
                .any(|bag| json::member(bag.text(), key).is_some())
            {
                return Err(Error::execution(format!(
                    "`bag_unpack`: `{key}` is a column already; say which one stays with `columnsConflict`"
                )));
            }
        }
        let columns = self.output.iter().map(|slot| match slot {
            Slot::Column(at) => batch.columns[*at].clone(),
            Slot::Member(key, ty) => {
                let mut builder = Builder::new(*ty, batch.rows);
                for bag in bags.values() {
                    match json::member(bag.text(), key) {
                        Some(raw) => builder.push(&json::cast(raw, *ty)),
                        None => builder.push(&Value::Null),
                    }
                }
                builder.finish()
            }
        });
        Ok(Batch::new(columns.collect(), batch.rows))
    }

    fn needs(&self, wanted: &[bool], input: usize) -> Vec<bool> {
        let mut below = vec![false; input];
        below[self.bag] = true;
        for (slot, wanted) in self.output.iter().zip(wanted) {
            if let (Slot::Column(at), true) = (slot, wanted) {
                below[*at] = true;
            }
        }
        below
    }
}

/// A row for each cell: the number of its row, the name of its column, its text.
pub(crate) struct Narrow {
    pub(crate) names: Vec<String>,
}

impl Breaker for Narrow {
    fn name(&self) -> &'static str {
        "narrow"
    }

    fn apply(&self, table: Batch, run: &Arc<Run>) -> Result<Vec<Batch>> {
        let mut batches = Vec::new();
        for from in (0..table.rows).step_by(BATCH) {
            run.tick()?;
            let until = (from + BATCH).min(table.rows);
            let cells = (until - from) * self.names.len();
            let mut rows = Builder::new(Type::Long, cells);
            let mut names = Builder::new(Type::String, cells);
            let mut values = Builder::new(Type::String, cells);
            for row in from..until {
                for (name, column) in self.names.iter().zip(&table.columns) {
                    rows.push(&Value::Long(i64::try_from(row).unwrap_or(i64::MAX)));
                    names.push(&Value::string(name.as_str()));
                    values.push(&Value::String(convert::text(&column.value(row))));
                }
            }
            let columns = vec![rows.finish(), names.finish(), values.finish()];
            let batch = Batch::new(columns, cells);
            run.hold(batch.bytes())?;
            batches.push(batch);
        }
        Ok(batches)
    }
}
