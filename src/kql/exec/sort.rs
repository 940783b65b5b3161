//! `sort` and `top`. Equal rows keep their order.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::UInt32Array;

use super::super::column::Column;
use super::super::error::{Error, Result};
use super::super::plan::{Batch, Plan, SortKey};
use super::super::types::Type;
use super::super::value::order_reals;
use super::{BATCH, Run, each, eval, parts};

/// All rows in order, or the first `limit` of them.
pub(crate) fn sort(
    table: &Batch,
    keys: &[SortKey],
    limit: Option<usize>,
    run: &Arc<Run>,
) -> Result<Vec<Batch>> {
    let sorted = sorted(table, keys, limit, run)?;
    run.hold(sorted.bytes())?;
    let starts = (0..sorted.rows).step_by(BATCH);
    Ok(starts
        .map(|at| sorted.slice(at, BATCH.min(sorted.rows - at)))
        .collect())
}

fn sorted(table: &Batch, keys: &[SortKey], limit: Option<usize>, run: &Arc<Run>) -> Result<Batch> {
    let columns = keys
        .iter()
        .map(|key| Ok(eval::eval(&key.expr, table, run)?.into_column(table.rows)))
        .collect::<Result<Vec<Column>>>()?;
    let rows =
        u32::try_from(table.rows).map_err(|_| Error::execution("more rows than can be sorted"))?;
    let mut order: Vec<u32> = (0..rows).collect();
    let compare = |a: &u32, b: &u32| {
        for (column, key) in columns.iter().zip(keys) {
            let order = cells(column, key, *a as usize, *b as usize);
            if order != Ordering::Equal {
                return order;
            }
        }
        a.cmp(b)
    };
    match limit {
        Some(limit) if limit < order.len() => {
            if limit > 0 {
                order.select_nth_unstable_by(limit - 1, compare);
            }
            order.truncate(limit);
            order.sort_unstable_by(compare);
        }
        _ => order.sort_unstable_by(compare),
    }
    run.tick()?;
    let indices = UInt32Array::from(order);
    let columns = table.columns.iter().map(|column| column.take(&indices));
    Ok(Batch {
        columns: columns.collect(),
        rows: indices.len(),
    })
}

fn cells(column: &Column, key: &SortKey, a: usize, b: usize) -> Ordering {
    match (column.is_null(a), column.is_null(b)) {
        (true, true) => return Ordering::Equal,
        (true, false) => {
            return if key.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            };
        }
        (false, true) => {
            return if key.nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            };
        }
        (false, false) => {}
    }
    let order = match column.ty() {
        Type::Long | Type::DateTime | Type::TimeSpan => {
            column.longs().value(a).cmp(&column.longs().value(b))
        }
        Type::Int => column.ints().value(a).cmp(&column.ints().value(b)),
        Type::Real => order_reals(column.reals().value(a), column.reals().value(b)),
        Type::String => column
            .strings()
            .value(a)
            .as_bytes()
            .cmp(column.strings().value(b).as_bytes()),
        _ => column.value(a).order(&column.value(b)),
    };
    if key.ascending {
        order
    } else {
        order.reverse()
    }
}

/// The first `count` rows: each part keeps no more than that many.
pub(crate) fn top(
    input: &Plan,
    keys: &[SortKey],
    count: usize,
    run: &Arc<Run>,
) -> Result<Vec<Batch>> {
    let kept = each(parts(input, run)?, run, |part| {
        let mut best = Batch::concat(&input.schema, &[]);
        let mut waiting = Vec::new();
        let mut rows = 0;
        for batch in part {
            let batch = batch?;
            rows += batch.rows;
            waiting.push(batch);
            if rows > 4 * BATCH {
                waiting.insert(0, best);
                best = sorted(
                    &Batch::concat(&input.schema, &waiting),
                    keys,
                    Some(count),
                    run,
                )?;
                run.hold(best.bytes())?;
                run.release(best.bytes());
                waiting.clear();
                rows = 0;
            }
        }
        waiting.insert(0, best);
        sorted(
            &Batch::concat(&input.schema, &waiting),
            keys,
            Some(count),
            run,
        )
    })?;
    sort(&Batch::concat(&input.schema, &kept), keys, Some(count), run)
}
