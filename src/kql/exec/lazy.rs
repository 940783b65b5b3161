//! `iff`, `case` and `coalesce`-like choices evaluate each branch only for the rows that take it.
//!
//! A branch may be dear (JSON, regular expressions) and its rows few, as in `case(code == 429, ...)`.

use std::sync::Arc;

use arrow_array::{Array, BooleanArray, UInt32Array};

use super::super::column::{Builder, Column, Datum};
use super::super::error::Result;
use super::super::expr::{Expr, ExprKind, Op};
use super::super::plan::Batch;
use super::super::types::Type;
use super::super::value::Value;
use super::{Run, eval};

/// Whether calls of this function are evaluated here.
pub(super) fn is_lazy(name: &str) -> bool {
    matches!(name, "iff" | "iif" | "case")
}

/// `predicate, value, predicate, value, ..., otherwise`. A null predicate does not hold.
pub(super) fn choose(args: &[Expr], batch: &Batch, ty: Type, run: &Arc<Run>) -> Result<Datum> {
    let (otherwise, pairs) = args.split_last().expect("a choice has an argument");
    // The branch of each row: its place among the pieces, and the row in that piece.
    let mut pieces: Vec<(Vec<u32>, Datum)> = Vec::new();
    let mut left: Option<Vec<u32>> = None;
    for pair in pairs.chunks_exact(2) {
        // What is cheap is asked of all rows: taking some of them out would cost more.
        let whole = if cheap(&pair[0]) {
            None
        } else {
            left.as_deref()
        };
        let here = rows_of(batch, whole, &pair[0]);
        let here = here.as_ref().unwrap_or(batch);
        let all = whole.is_none();
        let among = left.as_deref();
        let (taken, rest) = match eval::eval(&pair[0], here, run)? {
            Datum::Value(_, Value::Bool(true)) => {
                (split(among, batch.rows, |_, _| true).0, Vec::new())
            }
            Datum::Value(..) => (Vec::new(), split(among, batch.rows, |_, _| true).0),
            Datum::Column(mask) => {
                let mask = mask.bools();
                split(among, batch.rows, |place, row| {
                    let at = if all { row as usize } else { place };
                    mask.is_valid(at) && mask.value(at)
                })
            }
        };
        if !taken.is_empty() {
            let rows = rows_of(batch, Some(&taken), &pair[1]).expect("some rows were asked for");
            pieces.push((taken, eval::eval(&pair[1], &rows, run)?));
        }
        let done = rest.is_empty();
        left = Some(rest);
        if done {
            break;
        }
    }
    match left {
        None => return eval::eval(otherwise, batch, run),
        Some(rest) if !rest.is_empty() => {
            if pieces.is_empty() {
                return eval::eval(otherwise, batch, run);
            }
            let rows = rows_of(batch, Some(&rest), otherwise).expect("some rows were asked for");
            pieces.push((rest, eval::eval(otherwise, &rows, run)?));
        }
        Some(_) => {}
    }
    if let [(taken, only)] = pieces.as_slice()
        && taken.len() == batch.rows
    {
        return Ok(only.clone());
    }
    Ok(Datum::Column(woven(&pieces, batch.rows, ty)))
}

/// The pieces, each row in its place.
fn woven(pieces: &[(Vec<u32>, Datum)], rows: usize, ty: Type) -> Column {
    if ty == Type::Bool {
        let mut values: Vec<Option<bool>> = vec![None; rows];
        for (taken, value) in pieces {
            for (at, row) in taken.iter().enumerate() {
                values[*row as usize] = value.value(at).as_bool();
            }
        }
        return Column::new(ty, Arc::new(BooleanArray::from(values)));
    }
    let mut from: Vec<(u32, u32)> = vec![(0, 0); rows];
    for (piece, (taken, _)) in pieces.iter().enumerate() {
        for (at, row) in taken.iter().enumerate() {
            from[*row as usize] = (
                u32::try_from(piece).unwrap_or(u32::MAX),
                u32::try_from(at).unwrap_or(u32::MAX),
            );
        }
    }
    let mut builder = Builder::new(ty, rows);
    for (piece, at) in from {
        match pieces.get(piece as usize) {
            Some((_, value)) => builder.push(&value.value(at as usize)),
            None => builder.push(&Value::Null),
        }
    }
    builder.finish()
}

/// The rows of `among` (all without it) for which the test holds, and the others. It is asked with the
/// place among them, and the row.
fn split(
    among: Option<&[u32]>,
    rows: usize,
    holds: impl Fn(usize, u32) -> bool,
) -> (Vec<u32>, Vec<u32>) {
    match among {
        Some(among) => {
            let (mut yes, mut no) = (Vec::new(), Vec::with_capacity(among.len()));
            for (place, row) in among.iter().enumerate() {
                if holds(place, *row) {
                    yes.push(*row)
                } else {
                    no.push(*row)
                }
            }
            (yes, no)
        }
        None => (0..u32::try_from(rows).expect("batches are small"))
            .partition(|row| holds(*row as usize, *row)),
    }
}

/// Whether an expression is a few steps over columns.
fn cheap(expr: &Expr) -> bool {
    let step = match &expr.kind {
        ExprKind::Column(_) | ExprKind::Const(_) | ExprKind::In { .. } => true,
        ExprKind::Op(op, _) => !matches!(
            op,
            Op::Member(_) | Op::Index | Op::Text(..) | Op::EqualFold | Op::NotEqualFold
        ),
        ExprKind::Call(function, _) => {
            matches!(
                function.name,
                "isnull" | "isnotnull" | "not" | "isempty" | "isnotempty"
            )
        }
        _ => false,
    };
    step && expr.children().into_iter().all(cheap)
}

/// Some rows of a batch, with only the columns that the expression reads; `None` for all rows.
fn rows_of(batch: &Batch, rows: Option<&[u32]>, expr: &Expr) -> Option<Batch> {
    let rows = rows?;
    let mut wanted = vec![false; batch.columns.len()];
    expr.mark(&mut wanted);
    let taken = UInt32Array::from(rows.to_vec());
    let columns = batch.columns.iter().zip(wanted).map(|(column, wanted)| {
        if wanted {
            column.take(&taken)
        } else {
            Column::absent(column.ty(), rows.len())
        }
    });
    Some(Batch {
        columns: columns.collect(),
        rows: rows.len(),
    })
}
