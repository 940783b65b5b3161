//! `top-nested`: the greatest groups of each level, within those of the level above.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::UInt32Array;

use super::super::column::{Builder, Column};
use super::super::error::{Error, Result};
use super::super::expr::Expr;
use super::super::plan::{Batch, Breaker, Call};
use super::super::types::Schema;
use super::super::value::Value;
use super::group::{Groups, Hasher};
use super::keys::{self, Rows};
use super::{Run, constant, eval};

pub(crate) struct TopNested {
    pub(crate) levels: Vec<Level>,
    pub(crate) schema: Schema,
}

pub(crate) struct Level {
    pub(crate) key: Expr,
    pub(crate) calls: Vec<Call>,
    /// Over the key and what the calls give.
    pub(crate) value: Expr,
    /// How many groups stay; all, when it is not given.
    pub(crate) count: Option<Expr>,
    /// The key of a row for all that did not stay.
    pub(crate) others: Option<Expr>,
    pub(crate) ascending: bool,
}

impl Breaker for TopNested {
    fn name(&self) -> &'static str {
        "top-nested"
    }

    fn apply(&self, table: Batch, run: &Arc<Run>) -> Result<Vec<Batch>> {
        let fields = self.schema.fields.iter();
        let mut out: Vec<Builder> = fields.map(|field| Builder::new(field.ty, 0)).collect();
        let mut rows = 0;
        self.descend(0, &table, &mut Vec::new(), &mut out, &mut rows, run)?;
        let batch = Batch::new(out.iter_mut().map(Builder::finish).collect(), rows);
        run.hold(batch.bytes())?;
        Ok(vec![batch])
    }

    fn needs(&self, _: &[bool], input: usize) -> Vec<bool> {
        let mut below = vec![false; input];
        for level in &self.levels {
            level.key.mark(&mut below);
            for call in &level.calls {
                call.args
                    .iter()
                    .chain(&call.filter)
                    .for_each(|expr| expr.mark(&mut below));
            }
        }
        below
    }
}

impl TopNested {
    fn descend(
        &self,
        at: usize,
        table: &Batch,
        prefix: &mut Vec<Value<'static>>,
        out: &mut [Builder],
        rows: &mut usize,
        run: &Arc<Run>,
    ) -> Result<()> {
        let Some(level) = self.levels.get(at) else {
            prefix
                .iter()
                .zip(out)
                .for_each(|(value, column)| column.push(value));
            *rows += 1;
            return Ok(());
        };
        run.tick()?;
        let groups = level.groups(std::slice::from_ref(&level.key), table, run)?;
        let values = eval::eval(&level.value, &groups, run)?.into_column(groups.rows);
        let mut order: Vec<usize> = (0..groups.rows).collect();
        order.sort_by(|a, b| {
            let (a, b) = (values.value(*a), values.value(*b));
            match (a.is_null(), b.is_null()) {
                (false, false) if level.ascending => a.order(&b),
                (false, false) => b.order(&a),
                (a, b) => a.cmp(&b),
            }
        });
        if let Some(count) = &level.count {
            let count = constant(count, run)?.as_long().unwrap_or(0);
            order.truncate(usize::try_from(count).unwrap_or(0));
        }
        // Rows go to the group that they are of, and to the rest.
        let mut places: HashMap<Vec<u8>, usize, Hasher> = HashMap::default();
        for (place, group) in order.iter().enumerate() {
            places.insert(keys::key(&groups.columns[0].value(*group), false), place);
        }
        let key = eval::eval(&level.key, table, run)?;
        let keyed = Rows::new(&[key], table.rows);
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); order.len() + 1];
        for row in 0..table.rows {
            let place = places.get(keyed.get(row)).copied().unwrap_or(order.len());
            let row = u32::try_from(row).map_err(|_| Error::execution("more rows than fit"))?;
            members[place].push(row);
        }
        let rest = members.pop().unwrap_or_default();
        for (group, members) in order.iter().zip(members) {
            prefix.push(groups.columns[0].value(*group).into_owned());
            prefix.push(values.value(*group).into_owned());
            self.descend(at + 1, &picked(table, members), prefix, out, rows, run)?;
            prefix.truncate(at * 2);
        }
        if rest.is_empty() || self.levels[at..].iter().all(|level| level.others.is_none()) {
            return Ok(());
        }
        // Those that did not stay are one row; it has values where a level names the others.
        let rest = picked(table, rest);
        for level in &self.levels[at..] {
            match &level.others {
                None => prefix.extend([Value::Null, Value::Null]),
                Some(others) => {
                    let mut groups = level.groups(&[], &rest, run)?;
                    let label = constant(others, run)?;
                    groups
                        .columns
                        .insert(0, Column::constant(level.key.ty, &label, groups.rows));
                    prefix.push(label);
                    let value = eval::eval(&level.value, &groups, run)?;
                    prefix.push(value.value(0).into_owned());
                }
            }
        }
        prefix
            .iter()
            .zip(out)
            .for_each(|(value, column)| column.push(value));
        *rows += 1;
        prefix.truncate(at * 2);
        Ok(())
    }
}

impl Level {
    fn groups(&self, keys: &[Expr], table: &Batch, run: &Arc<Run>) -> Result<Batch> {
        let mut groups = Groups::new(keys, &self.calls);
        groups.update(keys, &self.calls, table, run)?;
        let held = groups.held();
        let made = groups.finish()?;
        run.release(held);
        Ok(made)
    }
}

fn picked(table: &Batch, rows: Vec<u32>) -> Batch {
    let rows = UInt32Array::from(rows);
    let columns = table.columns.iter().map(|column| column.take(&rows));
    Batch::new(columns.collect(), rows.len())
}
