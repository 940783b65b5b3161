//! Conversions, and questions about a value's type.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::{Function, Naming, columns, nulls, row};
use crate::kql::column::{Column, Datum};
use crate::kql::convert;
use crate::kql::error::Result;
use crate::kql::json::{self, Json};
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let first = Naming::First;
    let mut all: Vec<Function> = [
        ("tostring", "any -> string"),
        ("tobool", "any -> bool"),
        ("toboolean", "any -> bool"),
        ("toint", "any -> int"),
        ("tolong", "any -> long"),
        ("toreal", "any -> real"),
        ("todouble", "any -> real"),
        ("todecimal", "any -> decimal"),
        ("todatetime", "any -> datetime"),
        ("totimespan", "any -> timespan"),
        ("totime", "any -> timespan"),
        ("toguid", "guid -> guid; text -> guid"),
    ]
    .into_iter()
    .map(|(name, signature)| columns(name, signature, first, convert_to))
    .collect();
    // A dynamic value stays what it is: a JSON text inside it is parsed by way of `tostring`.
    for name in ["todynamic", "toobject", "parse_json", "parsejson"] {
        all.push(nulls(
            name,
            "dynamic -> dynamic; string -> dynamic",
            first,
            parse_json,
        ));
    }
    for (name, wanted) in [
        ("isempty", true),
        ("isnotempty", false),
        ("notempty", false),
    ] {
        let f: super::ColumnFn = if wanted { isempty } else { isnotempty };
        all.push(columns(name, "any -> bool", Naming::None, f));
    }
    all.extend([
        columns("isnull", "any -> bool", Naming::None, isnull),
        columns("isnotnull", "any -> bool", Naming::None, isnotnull),
        columns("notnull", "any -> bool", Naming::None, isnotnull),
        row("isnan", "real -> bool", Naming::None, |a| {
            a[0].as_real().map(f64::is_nan).into()
        }),
        row("isinf", "real -> bool", Naming::None, |a| {
            a[0].as_real().map(f64::is_infinite).into()
        }),
        row("isfinite", "real -> bool", Naming::None, |a| {
            a[0].as_real().map(f64::is_finite).into()
        }),
        nulls("gettype", "any -> string", Naming::Own, gettype),
        row("dynamic_to_json", "any -> string", Naming::None, canonical),
    ]);
    all
}

fn convert_to(args: &[Datum], _rows: usize, ty: Type) -> Result<Datum> {
    let Datum::Column(column) = &args[0] else {
        return Ok(convert::cast_datum(args[0].clone(), ty));
    };
    let data: arrow_array::ArrayRef = match (column.ty(), ty) {
        (Type::Int, Type::String) => Arc::new(printed(column.ints().iter())),
        (Type::Long, Type::String) => Arc::new(printed(column.longs().iter())),
        (Type::Dynamic, Type::String) => {
            let texts = column.strings();
            let mut builder = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
            for text in texts {
                builder.append_value(text.map_or(Cow::Borrowed(""), json::unquote));
            }
            Arc::new(builder.finish())
        }
        (Type::String, Type::Int) => {
            Arc::new(read::<i32, Int32Array>(column, Type::Int, |v| match v {
                Value::Int(v) => Some(v),
                _ => None,
            }))
        }
        (Type::String, Type::Long) => {
            Arc::new(read::<i64, Int64Array>(column, Type::Long, |v| v.as_long()))
        }
        (Type::String, Type::Real) => {
            Arc::new(read::<f64, Float64Array>(column, Type::Real, |v| {
                v.as_real()
            }))
        }
        _ => return Ok(convert::cast_datum(args[0].clone(), ty)),
    };
    Ok(Datum::Column(Column::new(ty, data)))
}

fn printed<T: std::fmt::Display>(values: impl ExactSizeIterator<Item = Option<T>>) -> StringArray {
    let mut builder = StringBuilder::with_capacity(values.len(), values.len() * 8);
    for value in values {
        if let Some(value) = value {
            write!(builder, "{value}").expect("writing to memory");
        }
        builder.append_value("");
    }
    builder.finish()
}

/// Plain digits are read at once; the rest goes the common way.
fn read<T: std::str::FromStr, A: FromIterator<Option<T>>>(
    column: &Column,
    ty: Type,
    take: impl Fn(Value<'_>) -> Option<T>,
) -> A {
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let texts = column.strings().iter().map(|text| text.unwrap_or(""));
    texts
        .map(|text| {
            let quick = if plain(text) { text.parse().ok() } else { None };
            quick.or_else(|| take(convert::parse(text, ty)?))
        })
        .collect()
}

/// Text that is not JSON is a dynamic string; no text is no value.
fn parse_json<'a>(args: &[Value<'a>]) -> Value<'a> {
    match &args[0] {
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) if text.trim() == "null" => Value::Null,
        value @ Value::String(_) => convert::cast(value, Type::Dynamic),
        value => value.clone(),
    }
}

fn isnull(args: &[Datum], _rows: usize, ty: Type) -> Result<Datum> {
    Ok(answer(
        &args[0],
        ty,
        |v| v.is_null() || is_json_null(v),
        true,
        |column| {
            let rows = column.len();
            match (column.ty(), column.data().nulls()) {
                (Type::Dynamic, _) => None,
                (Type::String, _) | (_, None) => Some(BooleanBuffer::new_unset(rows)),
                (_, Some(nulls)) => Some(!nulls.inner()),
            }
        },
    ))
}

fn isnotnull(args: &[Datum], _rows: usize, ty: Type) -> Result<Datum> {
    Ok(answer(
        &args[0],
        ty,
        |v| v.is_null() || is_json_null(v),
        false,
        |column| {
            let rows = column.len();
            match (column.ty(), column.data().nulls()) {
                (Type::Dynamic, _) => None,
                (Type::String, _) | (_, None) => Some(BooleanBuffer::new_set(rows)),
                (_, Some(nulls)) => Some(nulls.inner().clone()),
            }
        },
    ))
}

fn isempty(args: &[Datum], _rows: usize, ty: Type) -> Result<Datum> {
    Ok(answer(&args[0], ty, empty, true, |column| {
        lengths(column, true)
    }))
}

fn isnotempty(args: &[Datum], _rows: usize, ty: Type) -> Result<Datum> {
    Ok(answer(&args[0], ty, empty, false, |column| {
        lengths(column, false)
    }))
}

fn empty(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Dynamic(raw) => raw == "null" || raw == "\"\"",
        _ => false,
    }
}

/// Strings answer from their offsets alone.
fn lengths(column: &Column, wanted: bool) -> Option<BooleanBuffer> {
    if column.ty() != Type::String {
        return None;
    }
    let texts = column.strings();
    let offsets = texts.value_offsets();
    Some(BooleanBuffer::collect_bool(texts.len(), |row| {
        (texts.is_null(row) || offsets[row] == offsets[row + 1]) == wanted
    }))
}

fn is_json_null(value: &Value<'_>) -> bool {
    matches!(value, Value::Dynamic(raw) if raw == "null")
}

/// A question about each value: `quick` over a whole column where it can, else value by value.
fn answer(
    datum: &Datum,
    ty: Type,
    question: impl Fn(&Value<'_>) -> bool,
    wanted: bool,
    quick: impl Fn(&Column) -> Option<BooleanBuffer>,
) -> Datum {
    match datum {
        Datum::Value(_, value) => Datum::Value(ty, Value::Bool(question(value) == wanted)),
        Datum::Column(column) => {
            let bits = quick(column).unwrap_or_else(|| {
                BooleanBuffer::collect_bool(column.len(), |row| {
                    question(&column.value(row)) == wanted
                })
            });
            let bools = BooleanArray::new(bits, None::<NullBuffer>);
            Datum::Column(Column::new(ty, Arc::new(bools)))
        }
    }
}

/// The type a value has at run time. Whole numbers in JSON are `int` while they fit.
fn gettype<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Value::Dynamic(raw) = &args[0] else {
        return args[0].ty().map_or("null", Type::name).into();
    };
    Value::from(match Json::parse(raw) {
        None | Some(Json::Null) => "null",
        Some(Json::Bool(_)) => "bool",
        Some(Json::Long(v)) if i32::try_from(v).is_ok() => "int",
        Some(Json::Long(_)) => "long",
        Some(Json::Real(_)) => "real",
        Some(Json::String(_)) => "string",
        Some(Json::Array(_)) => "array",
        Some(Json::Bag(_)) => "dictionary",
    })
}

/// JSON whose keys are sorted, so that equal bags have equal texts.
fn canonical<'a>(args: &[Value<'a>]) -> Value<'a> {
    fn sort(json: &mut Json) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(sort),
            Json::Bag(members) => {
                members.sort_by(|a, b| a.0.cmp(&b.0));
                members.iter_mut().for_each(|(_, value)| sort(value));
            }
            _ => {}
        }
    }
    let Value::Dynamic(raw) = &args[0] else {
        return Value::String(convert::text(&args[0]));
    };
    let Some(mut json) = Json::parse(raw) else {
        return Value::Null;
    };
    sort(&mut json);
    json.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, long};
    use super::*;

    #[test]
    fn values_are_converted_and_questioned() {
        let json = |text: &'static str| Value::dynamic(text);
        for (name, arg, expected) in [
            ("toint", "123".into(), Value::Int(123)),
            ("toint", Value::Real(2.3), Value::Int(2)),
            ("tolong", "not a number".into(), Value::Null),
            ("tobool", "true".into(), true.into()),
            ("tobool", long(123), true.into()),
            ("tostring", Value::Null, "".into()),
            ("tostring", long(123), "123".into()),
            ("tostring", json("\"a\""), "a".into()),
            ("todouble", "1e3".into(), Value::Real(1000.0)),
            ("parse_json", "{ \"a\": 1 }".into(), json("{\"a\":1}")),
            ("parse_json", "text".into(), json("\"text\"")),
            ("parse_json", "".into(), Value::Null),
            ("parse_json", json("\"{}\""), json("\"{}\"")),
            ("isnull", "".into(), false.into()),
            ("isnull", Value::Null, true.into()),
            ("isnotnull", long(1), true.into()),
            ("isempty", "".into(), true.into()),
            ("isempty", json("[]"), false.into()),
            ("isnotempty", Value::Null, false.into()),
            ("isnan", Value::Real(f64::NAN), true.into()),
            ("isinf", Value::Real(f64::INFINITY), true.into()),
            ("isfinite", Value::Real(1.0), true.into()),
            ("gettype", long(1), "long".into()),
            ("gettype", json("1"), "int".into()),
            ("gettype", json("{}"), "dictionary".into()),
            ("gettype", Value::Null, "null".into()),
            (
                "dynamic_to_json",
                json("{\"b\":[{\"d\":1,\"c\":2}],\"a\":0}"),
                { "{\"a\":0,\"b\":[{\"c\":2,\"d\":1}]}".into() },
            ),
        ] {
            assert_eq!(
                call(name, std::slice::from_ref(&arg)),
                expected,
                "{name}({arg:?})"
            );
        }
    }

    #[test]
    fn whole_columns_convert_as_single_values_do() {
        let texts = ["1", "-5", " 7 ", "x", "", "99999999999", "2.5", "0x10"];
        let column = Column::from_values(Type::String, texts.map(Value::from));
        for ty in [Type::Int, Type::Long, Type::Real] {
            let result =
                convert_to(&[Datum::Column(column.clone())], texts.len(), ty).expect("a column");
            for (row, text) in texts.iter().enumerate() {
                let expected = convert::cast(&Value::from(*text), ty);
                assert_eq!(result.value(row), expected, "{text} as {ty}");
            }
        }
        let numbers = [Value::Long(-3), Value::Null, Value::Long(12)];
        let column = Column::from_values(Type::Long, numbers);
        let result =
            convert_to(&[Datum::Column(column.clone())], 3, Type::String).expect("a column");
        assert_eq!(result.value(0).text(), "-3");
        assert_eq!(result.value(1).text(), "");
        let nulls = isnull(&[Datum::Column(column)], 3, Type::Bool).expect("a column");
        assert_eq!(nulls.value(1), Value::Bool(true));
        assert_eq!(nulls.value(2), Value::Bool(false));
    }
}
