//! Expressions over a batch.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, BooleanArray};
use arrow_buffer::BooleanBuffer;

use super::super::column::{Builder, Column, Datum};
use super::super::convert;
use super::super::error::Result;
use super::super::expr::{Expr, ExprKind, Op, Set, Terms};
use super::super::functions::arrays;
use super::super::functions::{Eval, Function, RowFn};
use super::super::json;
use super::super::plan::Batch;
use super::super::types::Type;
use super::super::value::Value;
use super::{Run, compare, compute, keys, lazy, matching};

/// The value of an expression for each row; one value when all rows have the same.
pub(crate) fn eval(expr: &Expr, batch: &Batch, run: &Arc<Run>) -> Result<Datum> {
    Ok(match &expr.kind {
        ExprKind::Column(index) => Datum::Column(batch.columns[*index].clone()),
        ExprKind::Const(value) => Datum::Value(expr.ty, value.clone()),
        ExprKind::Absent => Datum::Column(Column::absent(expr.ty, batch.rows)),
        ExprKind::Cast(inner) if expr.ty == Type::String => match member_text(inner, batch, run)? {
            Some(text) => text,
            None => convert::cast_datum(eval(inner, batch, run)?, expr.ty),
        },
        ExprKind::Cast(inner) => convert::cast_datum(eval(inner, batch, run)?, expr.ty),
        ExprKind::Scalar(shared) => Datum::Value(expr.ty, shared.scalar(run)?),
        ExprKind::Call(function, args)
            if lazy::is_lazy(function.name)
                && batch.rows > 1
                && !args.iter().any(Expr::is_ordered) =>
        {
            lazy::choose(args, batch, expr.ty, run)?
        }
        ExprKind::Call(function, args) => {
            if function.name == "tostring"
                && let Some(text) = member_text(&args[0], batch, run)?
            {
                return Ok(text);
            }
            let args = args
                .iter()
                .map(|arg| eval(arg, batch, run))
                .collect::<Result<Vec<_>>>()?;
            repeats(function, &args, batch.rows, run)?;
            let made = call(function, &args, batch.rows, expr.ty)?;
            // Texts that are put together again and again grow without any row being kept.
            run.fits(match &made {
                Datum::Column(column) => column.bytes(),
                Datum::Value(_, value) => value.text().len(),
            })?;
            made
        }
        ExprKind::Op(op, args) => {
            let args = args
                .iter()
                .map(|arg| eval(arg, batch, run))
                .collect::<Result<Vec<_>>>()?;
            operate(op, &args, batch.rows, expr.ty)?
        }
        ExprKind::In {
            left,
            set,
            fold,
            not,
        } => is_in(&eval(left, batch, run)?, set, *fold, *not, batch.rows),
        ExprKind::InTable {
            left,
            table,
            fold,
            not,
        } => {
            let left = eval(left, batch, run)?;
            let set = table.set(run, |value, keys| keys::insert(value, *fold, keys))?;
            boolean(&left, |value| {
                keys::is_in(value, &set, *fold).map(|found| found != *not)
            })
        }
        ExprKind::HasList { left, terms, all } => {
            let left = eval(left, batch, run)?;
            let terms = match terms {
                Terms::Known(terms) => terms.clone(),
                Terms::Table(table) => {
                    let rows = table.rows(run)?;
                    let values = rows.iter().flat_map(|batch| batch.columns[0].values());
                    Arc::new(
                        values
                            .map(|value| convert::text(&value).into_owned())
                            .collect(),
                    )
                }
            };
            let matcher = matching::HasList::new(&terms);
            boolean(&left, |value| {
                let text = convert::text(value);
                Some(if *all {
                    matcher.all(&text)
                } else {
                    matcher.any(&text)
                })
            })
        }
    })
}

/// The rows where the predicate holds; null does not hold.
pub(crate) fn filter(predicate: &Expr, batch: Batch, run: &Arc<Run>) -> Result<Batch> {
    match eval(predicate, &batch, run)? {
        Datum::Value(_, Value::Bool(true)) => Ok(batch),
        Datum::Value(..) => Ok(batch.slice(0, 0)),
        Datum::Column(mask) => Ok(batch.filter(mask.bools())),
    }
}

pub(crate) fn project(exprs: &[Expr], batch: &Batch, run: &Arc<Run>) -> Result<Batch> {
    let columns = exprs
        .iter()
        .map(|expr| Ok(eval(expr, batch, run)?.into_column(batch.rows)));
    Ok(Batch::new(columns.collect::<Result<_>>()?, batch.rows))
}

/// Refuses to make more copies than memory may hold, before they are made.
fn repeats(function: &Function, args: &[Datum], rows: usize, run: &Run) -> Result<()> {
    if function.name != "repeat" {
        return Ok(());
    }
    let constant = args.iter().all(|arg| arg.constant().is_some());
    let mut bytes = 0_usize;
    for row in 0..if constant { 1 } else { rows } {
        let count = args[1].value(row).as_long().unwrap_or(0);
        let count = usize::try_from(count).unwrap_or(0).min(arrays::MOST);
        let text = convert::text(&args[0].value(row)).len() + 3;
        bytes = bytes.saturating_add(text.saturating_mul(count));
    }
    run.fits(bytes)
}

fn call(function: &Function, args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    match function.eval {
        Eval::Row(f) => Ok(by_row(f, args, rows, ty, false)),
        Eval::Nulls(f) => Ok(by_row(f, args, rows, ty, true)),
        Eval::Columns(f) | Eval::Ordered(f) => f(args, rows, ty),
    }
}

fn by_row(f: RowFn, args: &[Datum], rows: usize, ty: Type, nulls: bool) -> Datum {
    let constant = args.iter().all(|arg| arg.constant().is_some());
    let mut values = Vec::with_capacity(args.len());
    let mut builder = Builder::new(ty, if constant { 1 } else { rows });
    for row in 0..if constant { 1 } else { rows } {
        values.clear();
        values.extend(args.iter().map(|arg| arg.value(row)));
        if !nulls && values.iter().any(Value::is_null) {
            builder.push(&Value::Null);
        } else {
            builder.push(&f(&values));
        }
    }
    let column = builder.finish();
    if constant {
        Datum::Value(ty, column.value(0).into_owned())
    } else {
        Datum::Column(column)
    }
}

fn operate(op: &Op, args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    if args.iter().all(|arg| arg.constant().is_some()) && rows != 1 {
        let one = operate(op, args, 1, ty)?;
        return Ok(match one {
            Datum::Column(column) => Datum::Value(ty, column.value(0).into_owned()),
            value @ Datum::Value(..) => value,
        });
    }
    Ok(match op {
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo | Op::Negate => {
            Datum::Column(compute::arithmetic(op, args, rows, ty))
        }
        Op::Equal | Op::NotEqual | Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => {
            Datum::Column(compare::compare(op, &args[0], &args[1], rows))
        }
        Op::EqualFold | Op::NotEqualFold => {
            let not = *op == Op::NotEqualFold;
            let needle = args[1]
                .constant()
                .map(|value| matching::Fold::new(value.text()));
            let column = pairwise(&args[0], &args[1], rows, |left, right| {
                let equal = match &needle {
                    Some(needle) => needle.equals(left),
                    None => matching::Fold::new(right).equals(left),
                };
                equal != not
            });
            Datum::Column(column)
        }
        Op::And | Op::Or => {
            Datum::Column(compute::logical(*op == Op::And, &args[0], &args[1], rows))
        }
        Op::Text(text, not) => match args[1].constant() {
            Some(pattern) => {
                let matcher = matching::Matcher::new(*text, pattern.text())?;
                boolean(&args[0], |value| {
                    Some(matcher.matches(&convert::text(value)) != *not)
                })
            }
            None => {
                let mut builder = Builder::new(Type::Bool, rows);
                for row in 0..rows {
                    let pattern = args[1].value(row);
                    let matcher = matching::Matcher::new(*text, &convert::text(&pattern))?;
                    builder.push(&Value::Bool(
                        matcher.matches(&convert::text(&args[0].value(row))) != *not,
                    ));
                }
                Datum::Column(builder.finish())
            }
        },
        Op::Member(name) => {
            let member = json::Member::new(name);
            Datum::Column(each_text(&args[0], rows, |json| member.of(json)))
        }
        Op::Index => {
            let column = match args[1].constant() {
                Some(Value::String(name)) => {
                    each_text(&args[0], rows, |json| json::member(json, name))
                }
                Some(index) => {
                    let index = index.as_long();
                    each_text(&args[0], rows, |json| json::element(json, index?))
                }
                None => {
                    let mut builder = Builder::new(Type::Dynamic, rows);
                    for row in 0..rows {
                        let (object, index) = (args[0].value(row), args[1].value(row));
                        let found = match &index {
                            Value::String(name) => json::member(object.text(), name),
                            Value::Dynamic(name) => match name.parse() {
                                Ok(index) => json::element(object.text(), index),
                                Err(_) => json::member(object.text(), &json::unquote(name)),
                            },
                            index => index
                                .as_long()
                                .and_then(|index| json::element(object.text(), index)),
                        };
                        builder.push(
                            &found
                                .filter(|raw| *raw != "null")
                                .map_or(Value::Null, Value::dynamic),
                        );
                    }
                    builder.finish()
                }
            };
            Datum::Column(column)
        }
    })
}

/// `tostring(d.name)` in one step, as it is what queries over telemetry do most; `None` for any
/// other expression.
fn member_text(expr: &Expr, batch: &Batch, run: &Arc<Run>) -> Result<Option<Datum>> {
    let ExprKind::Op(Op::Member(name), args) = &expr.kind else {
        return Ok(None);
    };
    let Datum::Column(object) = eval(&args[0], batch, run)? else {
        return Ok(None);
    };
    let mut builder = StringBuilder::with_capacity(batch.rows, batch.rows * 12);
    let member = json::Member::new(name);
    for bag in object.strings() {
        let raw = bag.and_then(|bag| member.of(bag)).unwrap_or("null");
        builder.append_value(json::unquote(raw));
    }
    Ok(Some(Datum::Column(Column::new(
        Type::String,
        Arc::new(builder.finish()),
    ))))
}

/// Raw JSON taken out of each row's JSON.
fn each_text(
    object: &Datum,
    rows: usize,
    find: impl for<'a> Fn(&'a str) -> Option<&'a str>,
) -> Column {
    let mut builder = Builder::new(Type::Dynamic, rows);
    for row in 0..rows {
        let value = object.value(row);
        let found = find(value.text()).filter(|raw| *raw != "null");
        builder.push(&found.map_or(Value::Null, Value::dynamic));
    }
    builder.finish()
}

/// A null is in no set, which is known.
fn is_in(left: &Datum, set: &Set, fold: bool, not: bool, rows: usize) -> Datum {
    let Datum::Column(column) = left else {
        return boolean(left, |value| Some(contains(set, value, fold) != not));
    };
    let data = column.data();
    let bits = match (set, column.ty()) {
        (Set::Whole(set), Type::Int) => {
            let values = column.ints();
            BooleanBuffer::collect_bool(rows, |i| {
                (data.is_valid(i) && set.contains(&i64::from(values.value(i)))) != not
            })
        }
        (Set::Whole(set), Type::Long) => {
            let values = column.longs();
            BooleanBuffer::collect_bool(rows, |i| {
                (data.is_valid(i) && set.contains(&values.value(i))) != not
            })
        }
        (Set::Texts(set), Type::String) => {
            let values = column.strings();
            BooleanBuffer::collect_bool(rows, |i| set.contains(values.value(i)) != not)
        }
        _ => BooleanBuffer::collect_bool(rows, |i| contains(set, &column.value(i), fold) != not),
    };
    Datum::Column(Column::new(
        Type::Bool,
        Arc::new(BooleanArray::new(bits, None)),
    ))
}

fn contains(set: &Set, value: &Value<'_>, fold: bool) -> bool {
    match set {
        Set::Whole(set) => value.as_long().is_some_and(|value| set.contains(&value)),
        Set::Texts(set) => set.contains(value.text()),
        Set::Keys(set) => keys::is_in(value, set, fold).unwrap_or(false),
    }
}

/// A bool for each row.
fn boolean(left: &Datum, test: impl Fn(&Value<'_>) -> Option<bool>) -> Datum {
    match left {
        Datum::Value(_, value) => Datum::Value(Type::Bool, test(value).into()),
        Datum::Column(column) => Datum::Column(Column::new(
            Type::Bool,
            Arc::new(
                column
                    .values()
                    .map(|value| test(&value))
                    .collect::<BooleanArray>(),
            ),
        )),
    }
}

fn pairwise(left: &Datum, right: &Datum, rows: usize, test: impl Fn(&str, &str) -> bool) -> Column {
    let values = (0..rows).map(|row| {
        let (left, right) = (left.value(row), right.value(row));
        Some(test(&convert::text(&left), &convert::text(&right)))
    });
    Column::new(Type::Bool, Arc::new(values.collect::<BooleanArray>()))
}

/// Whether any row is null.
pub(crate) fn has_nulls(datum: &Datum) -> bool {
    match datum {
        Datum::Value(ty, value) => *ty != Type::String && value.is_null(),
        Datum::Column(column) => column.ty() != Type::String && column.data().null_count() > 0,
    }
}
