//! `summarize`: each part makes groups of its own, and the groups of all parts are merged in order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, UInt32Array};

use super::super::aggregates::States;
use super::super::column::{Builder, Column, Datum};
use super::super::error::Result;
use super::super::expr::Expr;
use super::super::plan::{Batch, Call, Part, Plan};
use super::super::types::Type;
use super::keys::Rows;
use super::{BATCH, Run, each, eval, parts};

/// The groups of some rows.
pub(crate) struct Groups {
    index: HashMap<Box<[u8]>, u32, Hasher>,
    /// The key columns' values, a row for each group.
    keys: Vec<Builder>,
    states: Vec<Box<dyn States>>,
    /// Bytes of the keys, and the bytes that the run was told of.
    made: usize,
    held: usize,
}

/// Keys are ours, and short: a plain multiplicative hash is enough and fast.
#[derive(Clone, Default)]
pub(crate) struct Hasher;

impl std::hash::BuildHasher for Hasher {
    type Hasher = Fnv;
    fn build_hasher(&self) -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

pub(crate) struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        for byte in chunks.remainder() {
            self.0 = (self.0.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}

impl Groups {
    pub(crate) fn new(keys: &[Expr], calls: &[Call]) -> Self {
        Self {
            index: HashMap::default(),
            keys: keys.iter().map(|key| Builder::new(key.ty, 0)).collect(),
            states: calls
                .iter()
                .map(|call| (call.aggregate.make)(&call.spec))
                .collect(),
            made: 0,
            held: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The group of each row.
    fn assign(&mut self, keys: &[Datum], rows: usize) -> Vec<u32> {
        if keys.is_empty() {
            self.index.entry(Box::default()).or_insert(0);
            return vec![0; rows];
        }
        // One text is its own key.
        if let [Datum::Column(texts)] = keys
            && texts.ty() == Type::String
        {
            let texts = texts.strings();
            let mut groups = Vec::with_capacity(rows);
            for row in 0..rows {
                let text = texts.value(row).as_bytes();
                groups.push(match self.index.get(text) {
                    Some(group) => *group,
                    None => self.add(text, keys, row),
                });
            }
            return groups;
        }
        let bytes = Rows::new(keys, rows);
        let mut groups = Vec::with_capacity(rows);
        let mut last: Option<(usize, u32)> = None;
        for row in 0..rows {
            let key = bytes.get(row);
            // Rows that lie side by side are often of one group.
            if let Some((before, group)) = last
                && bytes.get(before) == key
            {
                groups.push(group);
                continue;
            }
            let group = match self.index.get(key) {
                Some(group) => *group,
                None => self.add(key, keys, row),
            };
            last = Some((row, group));
            groups.push(group);
        }
        groups
    }

    /// A new group, with the key values of this row.
    fn add(&mut self, key: &[u8], keys: &[Datum], row: usize) -> u32 {
        let group = u32::try_from(self.index.len()).expect("groups fit the memory limit");
        self.index.insert(key.into(), group);
        self.made += key.len() + 64;
        for (column, datum) in self.keys.iter_mut().zip(keys) {
            column.push(&datum.value(row));
        }
        group
    }

    pub(crate) fn update(
        &mut self,
        keys: &[Expr],
        calls: &[Call],
        batch: &Batch,
        run: &Arc<Run>,
    ) -> Result<()> {
        let keys = keys
            .iter()
            .map(|key| eval::eval(key, batch, run))
            .collect::<Result<Vec<_>>>()?;
        let groups = self.assign(&keys, batch.rows);
        let count = self.len();
        for (state, call) in self.states.iter_mut().zip(calls) {
            let args = call
                .args
                .iter()
                .map(|arg| eval::eval(arg, batch, run))
                .collect::<Result<Vec<_>>>()?;
            match &call.filter {
                None => state.update(&groups, count, &args)?,
                Some(filter) => {
                    let (groups, args) = filtered(filter, batch, &groups, args, run)?;
                    state.update(&groups, count, &args)?;
                }
            }
        }
        let now = self.made + self.states.iter().map(|state| state.bytes()).sum::<usize>();
        let more = now.saturating_sub(self.held);
        self.held += more;
        run.hold(more)
    }

    /// Bytes that the run was told of.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    fn merge(&mut self, mut other: Self) -> Result<()> {
        self.held += other.held;
        let mut order: Vec<(Box<[u8]>, u32)> = other.index.drain().collect();
        order.sort_by_key(|(_, group)| *group);
        let columns: Vec<Column> = other.keys.iter_mut().map(Builder::finish).collect();
        let mut groups = Vec::with_capacity(order.len());
        for (key, row) in order {
            let next = u32::try_from(self.index.len()).expect("groups fit the memory limit");
            let group = *self.index.entry(key).or_insert(next);
            if group == next {
                for (builder, column) in self.keys.iter_mut().zip(&columns) {
                    builder.push(&column.value(row as usize));
                }
            }
            groups.push(group);
        }
        let count = self.len();
        for (state, other) in self.states.iter_mut().zip(other.states) {
            state.merge(other, &groups, count)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Batch> {
        let rows = self.len();
        let mut columns: Vec<Column> = self.keys.iter_mut().map(Builder::finish).collect();
        for state in self.states {
            columns.extend(state.finish(rows)?);
        }
        Ok(Batch::new(columns, rows))
    }
}

/// The rows where the predicate of `sumif` and its kind holds.
fn filtered(
    filter: &Expr,
    batch: &Batch,
    groups: &[u32],
    args: Vec<Datum>,
    run: &Arc<Run>,
) -> Result<(Vec<u32>, Vec<Datum>)> {
    let mask = eval::eval(filter, batch, run)?.into_column(batch.rows);
    let mask = mask.bools();
    let rows: Vec<u32> = (0..batch.rows)
        .filter(|row| mask.is_valid(*row) && mask.value(*row))
        .map(|row| u32::try_from(row).expect("batches are small"))
        .collect();
    let groups = rows.iter().map(|row| groups[*row as usize]).collect();
    let indices = UInt32Array::from(rows);
    let args = args.into_iter().map(|arg| match arg {
        Datum::Column(column) => Datum::Column(column.take(&indices)),
        value => value,
    });
    Ok((groups, args.collect()))
}

pub(crate) fn summarize(
    plan: &Plan,
    input: &Plan,
    keys: &[Expr],
    calls: &[Call],
    run: &Arc<Run>,
) -> Result<Vec<Batch>> {
    let made = each(parts(input, run)?, run, |part: Part| {
        let mut groups = Groups::new(keys, calls);
        for batch in part {
            groups.update(keys, calls, &batch?, run)?;
        }
        Ok(groups)
    })?;
    let mut all = Groups::new(keys, calls);
    for groups in made {
        all.merge(groups)?;
    }
    // Without keys there is one group, even over no rows.
    if keys.is_empty() {
        all.assign(&[], 0);
    }
    let held = all.held;
    let table = all.finish()?;
    run.release(held);
    debug_assert_eq!(
        table.columns.iter().map(Column::ty).collect::<Vec<Type>>(),
        plan.schema.fields.iter().map(|f| f.ty).collect::<Vec<_>>()
    );
    run.hold(table.bytes())?;
    let starts = (0..table.rows).step_by(BATCH);
    Ok(starts
        .map(|at| table.slice(at, BATCH.min(table.rows - at)))
        .collect())
}
