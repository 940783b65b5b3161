//! Values of one type as values of another, and as text.

use std::borrow::Cow;

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use super::column::{Column, Datum};
use super::json;
use super::text::datetime::{format_datetime, parse_datetime};
use super::text::number::{parse_guid, parse_long, parse_real};
use super::text::timespan::{format_timespan, parse_timespan};
use super::types::Type;
use super::value::Value;

/// The text of a value, as `tostring` gives it; null is empty.
#[must_use]
pub fn text<'a>(value: &Value<'a>) -> Cow<'a, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(v) => Cow::Borrowed(if *v { "true" } else { "false" }),
        Value::Int(v) => Cow::Owned(v.to_string()),
        Value::Long(v) => Cow::Owned(v.to_string()),
        Value::Real(v) => Cow::Owned(real(*v)),
        Value::Decimal(v) => Cow::Owned(v.to_string()),
        Value::String(v) => v.clone(),
        Value::DateTime(v) => Cow::Owned(format_datetime(*v)),
        Value::TimeSpan(v) => Cow::Owned(format_timespan(*v)),
        Value::Guid(v) => Cow::Owned(guid(*v)),
        Value::Dynamic(v) => match v {
            Cow::Borrowed(v) => json::unquote(v),
            Cow::Owned(v) => Cow::Owned(json::unquote(v).into_owned()),
        },
    }
}

/// A real with the fewest digits that read back as the same number; whole ones keep `.0`.
#[must_use]
pub fn real(v: f64) -> String {
    if v.is_nan() {
        return "NaN".into();
    }
    if v.is_infinite() {
        return if v > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        };
    }
    let size = v.abs();
    if v != 0.0 && !(1e-4..1e15).contains(&size) {
        let text = format!("{v:E}");
        let (digits, exponent) = text.split_once('E').expect("the exponent was asked for");
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}E{sign}{exponent:0>2}");
    }
    let text = v.to_string();
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

#[must_use]
pub fn guid(v: u128) -> String {
    uuid::Uuid::from_u128(v).to_string()
}

/// Reads a text as a value of a type, as `tolong`, `todatetime`, ... do. `None` when it is none.
#[must_use]
pub fn parse<'a>(text: &str, ty: Type) -> Option<Value<'a>> {
    Some(match ty {
        Type::Bool => Value::Bool(boolean(text.trim())?),
        Type::Int => Value::Int(i32::try_from(whole(text)?).ok()?),
        Type::Long => Value::Long(whole(text)?),
        Type::Real => Value::Real(match parse_real(text) {
            Some(v) => v,
            None => parse_long(text)? as f64,
        }),
        Type::Decimal => Value::Decimal(decimal(text)?),
        Type::String => Value::String(Cow::Owned(text.to_owned())),
        Type::DateTime => Value::DateTime(parse_datetime(text)?),
        Type::TimeSpan => Value::TimeSpan(parse_timespan(text)?),
        Type::Guid => Value::Guid(parse_guid(text)?),
        Type::Dynamic => Value::Dynamic(Cow::Owned(json::compact(text)?)),
    })
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        whole(text).map(|v| v != 0)
    }
}

/// Whole numbers; a text with a point is cut to its whole part.
fn whole(text: &str) -> Option<i64> {
    parse_long(text).or_else(|| trunc(parse_real(text)?))
}

/// The whole part, when it fits.
#[must_use]
pub fn trunc(v: f64) -> Option<i64> {
    (v.is_finite() && v > -9.3e18 && v < 9.223_372_036_854_775e18).then_some(v as i64)
}

/// Reads a decimal number, with or without exponent. Beyond 28 digits there is no exact value here,
/// so there is none at all.
#[must_use]
pub fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text.strip_prefix('+').unwrap_or(text)).ok()
    }
}

/// One value as another type. Texts are read, numbers widened or cut, datetimes and timespans take
/// and give ticks. What has no meaning is null.
#[must_use]
pub fn cast<'a>(value: &Value<'a>, to: Type) -> Value<'a> {
    match (value, to) {
        (Value::Null, Type::String) => Value::string(""),
        (Value::Null, _) => Value::Null,
        (Value::Dynamic(raw), _) if to != Type::Dynamic => match raw {
            Cow::Borrowed(raw) => json::cast(raw, to),
            Cow::Owned(raw) => json::cast(raw, to).into_owned(),
        },
        (_, Type::String) => Value::String(text(value)),
        (Value::String(v), Type::Dynamic) => json::compact(v).map_or_else(
            || Value::Dynamic(json::Json::String(v.to_string()).to_string().into()),
            Value::dynamic,
        ),
        (_, Type::Dynamic) => json::Json::from_value(value).into_value(),
        (Value::String(v), _) => parse(v, to).unwrap_or(Value::Null),
        (Value::Bool(v), Type::Int) => Value::Int(i32::from(*v)),
        (Value::Bool(v), Type::Long) => Value::Long(i64::from(*v)),
        (Value::Bool(v), Type::Real) => Value::Real(f64::from(u8::from(*v))),
        (_, Type::Bool) => match value {
            Value::Bool(v) => Value::Bool(*v),
            Value::Decimal(v) => Value::Bool(!v.is_zero()),
            other => other
                .as_real()
                .map_or(Value::Null, |v| Value::Bool(v != 0.0)),
        },
        (_, Type::Int) => whole_of(value)
            .and_then(|v| i32::try_from(v).ok())
            .map_or(Value::Null, Value::Int),
        (_, Type::Long) => whole_of(value).map_or(Value::Null, Value::Long),
        (_, Type::Real) => value.as_real().map_or(Value::Null, Value::Real),
        (Value::Decimal(v), Type::Decimal) => Value::Decimal(*v),
        (Value::Real(v), Type::Decimal) => {
            Decimal::from_f64(*v).map_or(Value::Null, Value::Decimal)
        }
        (_, Type::Decimal) => value
            .as_long()
            .map_or(Value::Null, |v| Value::Decimal(Decimal::from(v))),
        (_, Type::DateTime) => whole_of(value).map_or(Value::Null, Value::DateTime),
        (_, Type::TimeSpan) => whole_of(value).map_or(Value::Null, Value::TimeSpan),
        (Value::Guid(v), Type::Guid) => Value::Guid(*v),
        (_, Type::Guid) => Value::Null,
    }
}

fn whole_of(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Real(v) => trunc(*v),
        Value::Decimal(v) => v.trunc().to_i64(),
        other => other.as_long(),
    }
}

/// A column or constant as another type.
#[must_use]
pub fn cast_datum(datum: Datum, to: Type) -> Datum {
    use std::sync::Arc;
    if datum.ty() == to {
        return datum;
    }
    match datum {
        Datum::Value(_, value) => Datum::Value(to, cast(&value, to)),
        Datum::Column(column) => Datum::Column(match (column.ty(), to) {
            (Type::Int, Type::Long) => Column::new(
                to,
                Arc::new(
                    column
                        .ints()
                        .unary::<_, arrow_array::types::Int64Type>(i64::from),
                ),
            ),
            (Type::Int, Type::Real) => Column::new(
                to,
                Arc::new(
                    column
                        .ints()
                        .unary::<_, arrow_array::types::Float64Type>(f64::from),
                ),
            ),
            (Type::Long, Type::Real) => Column::new(
                to,
                Arc::new(
                    column
                        .longs()
                        .unary::<_, arrow_array::types::Float64Type>(|v| v as f64),
                ),
            ),
            _ => Column::from_values(to, column.values().map(|value| cast(&value, to))),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_print_their_fewest_digits() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e15, "1E+15"),
            (1.5e-7, "1.5E-07"),
            (0.0, "0.0"),
            (123_456_789.125, "123456789.125"),
        ] {
            assert_eq!(real(value), expected);
        }
    }

    #[test]
    fn what_has_no_meaning_is_null() {
        for (value, to, expected) in [
            (Value::string("12"), Type::Long, Value::Long(12)),
            (Value::string("x"), Type::Long, Value::Null),
            (Value::Real(2.9), Type::Long, Value::Long(2)),
            (Value::Real(f64::NAN), Type::Long, Value::Null),
            (Value::Long(1 << 40), Type::Int, Value::Null),
            (Value::dynamic("\"5\""), Type::Int, Value::Int(5)),
            (Value::dynamic("[5]"), Type::Int, Value::Null),
            (Value::Null, Type::String, Value::string("")),
            (Value::string("a"), Type::Guid, Value::Null),
            (Value::Long(3), Type::Dynamic, Value::dynamic("3")),
        ] {
            assert_eq!(cast(&value, to), expected, "{value:?} as {to}");
        }
    }
}
