//! Choices: `iff`, `case`, `coalesce`, `max_of`, ...

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Scalar};
use arrow_select::zip::zip;

use super::{Function, Naming, columns, nulls};
use crate::kql::column::{Column, Datum};
use crate::kql::error::{Error, Result};
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let choice = "bool, common, common -> common";
    vec![
        columns("iff", choice, Naming::None, case),
        columns("iif", choice, Naming::None, case),
        columns(
            "case",
            "bool+, common+, common -> common",
            Naming::None,
            case,
        ),
        columns("not", "bool -> bool", Naming::None, not),
        columns("assert", "bool, string -> bool", Naming::None, assert),
        nulls("coalesce", "common+ -> common", Naming::None, coalesce),
        nulls("max_of", "common+ -> common", Naming::None, |args| {
            extreme(args, Ordering::Greater)
        }),
        nulls("min_of", "common+ -> common", Naming::None, |args| {
            extreme(args, Ordering::Less)
        }),
    ]
}

/// Pairs of a predicate and a value, then the value for the rest. A null predicate does not hold.
fn case(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    let (rest, pairs) = args.split_last().expect("a choice has a last argument");
    let mut result = rest.clone();
    for pair in pairs.chunks_exact(2).rev() {
        result = match &pair[0] {
            Datum::Value(_, Value::Bool(true)) => pair[1].clone(),
            Datum::Value(..) => result,
            Datum::Column(mask) => choose(mask.bools(), &pair[1], &result, ty)?,
        };
    }
    // A choice among constants by constants is one value, whatever the number of rows.
    let _ = rows;
    Ok(result)
}

fn choose(mask: &BooleanArray, then: &Datum, other: &Datum, ty: Type) -> Result<Datum> {
    let mask = match mask.nulls() {
        Some(valid) => BooleanArray::new(mask.values() & valid.inner(), None),
        None => mask.clone(),
    };
    let one = |datum: &Datum| -> (ArrayRef, bool) {
        match datum {
            Datum::Value(_, value) => (Column::constant(ty, value, 1).data().clone(), true),
            Datum::Column(column) => (column.data().clone(), false),
        }
    };
    let zipped = match (one(then), one(other)) {
        ((a, true), (b, true)) => zip(&mask, &Scalar::new(a), &Scalar::new(b)),
        ((a, true), (b, false)) => zip(&mask, &Scalar::new(a), &b),
        ((a, false), (b, true)) => zip(&mask, &a, &Scalar::new(b)),
        ((a, false), (b, false)) => zip(&mask, &a, &b),
    };
    let data =
        zipped.map_err(|error| Error::execution(format!("choose between values: {error}")))?;
    Ok(Datum::Column(Column::new(ty, data)))
}

fn not(args: &[Datum], _rows: usize, ty: Type) -> Result<Datum> {
    Ok(match &args[0] {
        Datum::Value(_, value) => Datum::Value(ty, value.as_bool().map(|v| !v).into()),
        Datum::Column(column) => {
            let bools = column.bools();
            let turned = BooleanArray::new(!bools.values(), bools.nulls().cloned());
            Datum::Column(Column::new(ty, Arc::new(turned)))
        }
    })
}

/// Ends the query with the message unless the predicate holds in every row.
fn assert(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    for row in 0..rows {
        if args[0].value(row).as_bool() != Some(true) {
            return Err(Error::execution(format!(
                "assertion failed: {}",
                args[1].value(row).text()
            )));
        }
    }
    Ok(Datum::Value(ty, Value::Bool(true)))
}

/// The first that is neither null nor an empty string.
fn coalesce<'a>(args: &[Value<'a>]) -> Value<'a> {
    let something = |value: &&Value<'a>| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    let found = args.iter().find(something).or(args.last());
    found.cloned().unwrap_or(Value::Null)
}

/// Nulls count only when there is nothing else.
fn extreme<'a>(args: &[Value<'a>], wanted: Ordering) -> Value<'a> {
    let mut best: Option<&Value<'a>> = None;
    for value in args.iter().filter(|value| !value.is_null()) {
        if best.is_none_or(|best| value.order(best) == wanted) {
            best = Some(value);
        }
    }
    best.cloned().unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, long};
    use super::*;

    #[test]
    fn nulls_lose_and_empty_strings_are_passed_over() {
        for (name, args, expected) in [
            ("coalesce", vec![Value::Null, long(42), long(33)], long(42)),
            ("coalesce", vec!["".into(), "b".into()], "b".into()),
            ("coalesce", vec!["".into(), "".into()], "".into()),
            (
                "max_of",
                vec![long(10), long(1), long(-3), long(17)],
                long(17),
            ),
            ("max_of", vec![Value::Null, long(2)], long(2)),
            ("min_of", vec![long(1), Value::Null], long(1)),
            ("min_of", vec![Value::Null, Value::Null], Value::Null),
            ("iff", vec![true.into(), long(1), long(2)], long(1)),
            ("iff", vec![Value::Null, long(1), long(2)], long(2)),
            ("not", vec![Value::Null], Value::Null),
            ("not", vec![false.into()], true.into()),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }

    #[test]
    fn case_takes_the_first_predicate_that_holds_in_each_row() {
        let bools = |values: [Option<bool>; 4]| {
            Datum::Column(Column::from_values(Type::Bool, values.map(Value::from)))
        };
        let args = [
            bools([Some(true), Some(false), None, Some(true)]),
            Datum::Value(Type::String, "small".into()),
            bools([Some(true), Some(true), Some(false), None]),
            Datum::Column(Column::from_values(
                Type::String,
                ["a", "b", "c", "d"].map(Value::from),
            )),
            Datum::Value(Type::String, "large".into()),
        ];
        let result = case(&args, 4, Type::String).expect("strings");
        let texts: Vec<_> = (0..4)
            .map(|row| result.value(row).text().to_owned())
            .collect();
        assert_eq!(texts, ["small", "b", "large", "small"]);
    }
}
