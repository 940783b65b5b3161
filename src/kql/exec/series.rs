//! `make-series`: the rows of each key become arrays, with a value for each bin.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::column::{Builder, Datum};
use super::super::error::Result;
use super::super::json::Json;
use super::super::plan::{Batch, Breaker};
use super::super::types::Type;
use super::super::value::Value;
use super::Run;
use super::bins::Axis;
use super::group::Hasher;
use super::keys::Rows;

/// Input: the keys, the bin, a value of each aggregate; a row for each bin that has rows.
/// Output: the keys, an array for each aggregate, the array of the axis.
pub(crate) struct Series {
    pub(crate) keys: usize,
    pub(crate) axis: Arc<Axis>,
    /// What stands where a bin has no rows.
    pub(crate) defaults: Vec<Json>,
    /// `kind=nonempty`: without rows there is a series of defaults.
    pub(crate) nonempty: bool,
}

impl Breaker for Series {
    fn name(&self) -> &'static str {
        "make-series"
    }

    fn apply(&self, table: Batch, run: &Arc<Run>) -> Result<Vec<Batch>> {
        let ends = self.axis.ends(run)?;
        let keys: Vec<Datum> = table.columns[..self.keys]
            .iter()
            .map(|column| Datum::Column(column.clone()))
            .collect();
        let keyed = Rows::new(&keys, table.rows);
        let mut index: HashMap<&[u8], usize, Hasher> = HashMap::default();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for row in 0..table.rows {
            let group = *index.entry(keyed.get(row)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(row);
        }
        if groups.is_empty() && self.nonempty && self.keys == 0 {
            groups.push(Vec::new());
        }
        let mut columns: Vec<Builder> = table.columns[..self.keys]
            .iter()
            .map(|column| Builder::new(column.ty(), groups.len()))
            .collect();
        columns
            .extend((0..=self.defaults.len()).map(|_| Builder::new(Type::Dynamic, groups.len())));
        let bins = &table.columns[self.keys];
        for rows in &groups {
            run.tick()?;
            let bin = |row: usize| bins.value(row).as_long().unwrap_or(0);
            let first = rows.iter().map(|row| bin(*row)).min();
            let last = rows.iter().map(|row| bin(*row)).max();
            let range = ends.bins(first.zip(last))?;
            let length = usize::try_from(range.end - range.start).unwrap_or(0);
            for (at, column) in columns.iter_mut().take(self.keys).enumerate() {
                column.push(&table.columns[at].value(rows[0]));
            }
            for (at, default) in self.defaults.iter().enumerate() {
                let mut values = vec![default.clone(); length];
                for row in rows {
                    let place = usize::try_from(bin(*row) - range.start).ok();
                    if let Some(slot) = place.and_then(|place| values.get_mut(place)) {
                        *slot = Json::from_value(&table.columns[self.keys + 1 + at].value(*row));
                    }
                }
                columns[self.keys + at].push(&Value::dynamic(Json::Array(values).to_string()));
            }
            let labels = range.map(|bin| ends.label(bin)).collect();
            let axis = columns.last_mut().expect("the axis has a column");
            axis.push(&Value::dynamic(Json::Array(labels).to_string()));
        }
        let batch = Batch::new(
            columns.iter_mut().map(Builder::finish).collect(),
            groups.len(),
        );
        run.hold(batch.bytes())?;
        Ok(vec![batch])
    }
}
