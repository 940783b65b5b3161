//! Joins by a hash table over one side.
//!
//! Rows come in the order of the left side, and within one left row in the order of the right;
//! right rows without a partner come last.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::UInt32Builder;

use super::super::column::Datum;
use super::super::error::{Error, Result};
use super::super::expr::Expr;
use super::super::plan::{Batch, Join, JoinKind, Plan};
use super::super::value::Value;
use super::keys::Rows;
use super::{BATCH, Run, eval, whole};

pub(crate) fn join(plan: &Plan, join: &Join, run: &Arc<Run>) -> Result<Vec<Batch>> {
    let left = whole(&join.left, run)?;
    let right = whole(&join.right, run)?;
    let left_keys = keys(&join.left_keys, &left, run)?;
    let right_keys = keys(&join.right_keys, &right, run)?;

    // From a key to the right rows that have it: the first, and for each the next.
    let mut first: HashMap<&[u8], (u32, u32), super::group::Hasher> = HashMap::default();
    let mut next: Vec<u32> = vec![NONE; right.rows];
    for row in 0..index(right.rows)? {
        let Some(key) = right_keys.get(row as usize) else {
            continue;
        };
        match first.get_mut(key) {
            Some((_, last)) => {
                next[*last as usize] = row;
                *last = row;
            }
            None => {
                first.insert(key, (row, row));
            }
        }
    }
    let first_of = |row: usize| {
        left_keys
            .get(row)
            .and_then(|key| first.get(key))
            .map_or(NONE, |(first, _)| *first)
    };

    let mut lefts = UInt32Builder::new();
    let mut rights = UInt32Builder::new();
    let mut made = 0usize;
    let mut met = vec![false; right.rows];
    let mut seen: std::collections::HashSet<&[u8]> = std::collections::HashSet::new();
    for row in 0..index(left.rows)? {
        if row.is_multiple_of(65_536) {
            run.tick()?;
            run.hold(0)?;
        }
        if join.kind == JoinKind::InnerUnique
            && left_keys
                .get(row as usize)
                .is_none_or(|key| !seen.insert(key))
        {
            continue;
        }
        let mut alone = true;
        let mut at = first_of(row as usize);
        while at != NONE {
            let partner = at;
            at = next[partner as usize];
            alone = false;
            met[partner as usize] = true;
            match join.kind {
                JoinKind::LeftSemi => {
                    lefts.append_value(row);
                    break;
                }
                JoinKind::LeftAnti => break,
                JoinKind::RightSemi | JoinKind::RightAnti => {}
                _ => {
                    lefts.append_value(row);
                    rights.append_value(partner);
                    made += 1;
                    if made.is_multiple_of(1 << 20) {
                        run.tick()?;
                        run.hold(8 << 20)?;
                    }
                }
            }
        }
        if alone {
            match join.kind {
                JoinKind::LeftAnti => lefts.append_value(row),
                JoinKind::LeftOuter | JoinKind::FullOuter => {
                    lefts.append_value(row);
                    rights.append_null();
                }
                _ => {}
            }
        }
    }
    for row in 0..index(right.rows)? {
        match (join.kind, met[row as usize]) {
            (JoinKind::RightSemi, true) | (JoinKind::RightAnti, false) => rights.append_value(row),
            (JoinKind::RightOuter | JoinKind::FullOuter, false) => {
                lefts.append_null();
                rights.append_value(row);
            }
            _ => {}
        }
    }
    let (lefts, rights) = (lefts.finish(), rights.finish());
    let mut columns = Vec::with_capacity(plan.schema.len());
    if !matches!(join.kind, JoinKind::RightSemi | JoinKind::RightAnti) {
        columns.extend(left.columns.iter().map(|column| column.take(&lefts)));
    }
    if !matches!(join.kind, JoinKind::LeftSemi | JoinKind::LeftAnti) {
        columns.extend(right.columns.iter().map(|column| column.take(&rights)));
    }
    let rows = if matches!(join.kind, JoinKind::RightSemi | JoinKind::RightAnti) {
        &rights
    } else {
        &lefts
    };
    let table = Batch {
        columns,
        rows: arrow_array::Array::len(rows),
    };
    run.hold(table.bytes())?;
    let starts = (0..table.rows).step_by(BATCH);
    Ok(starts
        .map(|at| table.slice(at, BATCH.min(table.rows - at)))
        .collect())
}

const NONE: u32 = u32::MAX;

/// The keys of a side. A null is equal to nothing, not even to another null, so a row with one has
/// no key. <https://learn.microsoft.com/kusto/query/scalar-data-types/null-values>
struct Keys {
    rows: Rows,
    nulls: Vec<bool>,
}

impl Keys {
    fn get(&self, row: usize) -> Option<&[u8]> {
        (!self.nulls[row]).then(|| self.rows.get(row))
    }
}

fn keys(exprs: &[Expr], table: &Batch, run: &Arc<Run>) -> Result<Keys> {
    let keys = exprs
        .iter()
        .map(|expr| eval::eval(expr, table, run))
        .collect::<Result<Vec<Datum>>>()?;
    let mut nulls = vec![false; table.rows];
    for key in &keys {
        match key {
            Datum::Column(column) => {
                nulls
                    .iter_mut()
                    .enumerate()
                    .for_each(|(row, null)| *null |= column.is_null(row));
            }
            Datum::Value(_, Value::Null) => nulls.fill(true),
            Datum::Value(..) => {}
        }
    }
    let rows = Rows::new(&keys, table.rows);
    Ok(Keys { rows, nulls })
}

fn index(rows: usize) -> Result<u32> {
    u32::try_from(rows)
        .ok()
        .filter(|rows| *rows != NONE)
        .ok_or_else(|| Error::execution("more rows than can be joined"))
}
