//! One cell.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::types::Type;

/// A cell's value. Its type is the column's: `Null` is a null of any type but `string`, whose empty
/// text stands where other types have null.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Real(f64),
    Decimal(Decimal),
    String(Cow<'a, str>),
    /// Ticks of 100 ns since 0001-01-01 UTC.
    DateTime(i64),
    /// Ticks of 100 ns.
    TimeSpan(i64),
    Guid(u128),
    /// JSON text, compact.
    Dynamic(Cow<'a, str>),
}

impl<'a> Value<'a> {
    pub fn string(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    pub fn dynamic(json: impl Into<Cow<'a, str>>) -> Self {
        Self::Dynamic(json.into())
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(v),
            Self::Int(v) => Value::Int(v),
            Self::Long(v) => Value::Long(v),
            Self::Real(v) => Value::Real(v),
            Self::Decimal(v) => Value::Decimal(v),
            Self::String(v) => Value::String(Cow::Owned(v.into_owned())),
            Self::DateTime(v) => Value::DateTime(v),
            Self::TimeSpan(v) => Value::TimeSpan(v),
            Self::Guid(v) => Value::Guid(v),
            Self::Dynamic(v) => Value::Dynamic(Cow::Owned(v.into_owned())),
        }
    }

    /// The same value, borrowed.
    #[must_use]
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Self::String(v) => Value::String(Cow::Borrowed(v)),
            Self::Dynamic(v) => Value::Dynamic(Cow::Borrowed(v)),
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(*v),
            Self::Int(v) => Value::Int(*v),
            Self::Long(v) => Value::Long(*v),
            Self::Real(v) => Value::Real(*v),
            Self::Decimal(v) => Value::Decimal(*v),
            Self::DateTime(v) => Value::DateTime(*v),
            Self::TimeSpan(v) => Value::TimeSpan(*v),
            Self::Guid(v) => Value::Guid(*v),
        }
    }

    /// The text of a string or of JSON; empty for anything else.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::String(text) | Self::Dynamic(text) => text,
            _ => "",
        }
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// Whole numbers, and the ticks of datetimes and timespans.
    #[must_use]
    pub fn as_long(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(i64::from(*v)),
            Self::Long(v) | Self::DateTime(v) | Self::TimeSpan(v) => Some(*v),
            _ => None,
        }
    }

    /// Any number, as a real; ticks of datetimes and timespans too.
    #[must_use]
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Real(v) => Some(*v),
            Self::Decimal(v) => v.to_f64(),
            other => other.as_long().map(|v| v as f64),
        }
    }

    /// Order among values of one type; nulls first, NaN before other numbers, strings by bytes.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) | (Self::Dynamic(a), Self::Dynamic(b)) => {
                a.as_bytes().cmp(b.as_bytes())
            }
            (Self::Guid(a), Self::Guid(b)) => a.cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => order_reals(*a, *b),
            (a, b) => match (a.as_long(), b.as_long()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => match (a.as_real(), b.as_real()) {
                    (Some(a), Some(b)) => order_reals(a, b),
                    _ => Ordering::Equal,
                },
            },
        }
    }

    /// The type a value of its own has; `Null` has none.
    #[must_use]
    pub fn ty(&self) -> Option<Type> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Long(_) => Type::Long,
            Self::Real(_) => Type::Real,
            Self::Decimal(_) => Type::Decimal,
            Self::String(_) => Type::String,
            Self::DateTime(_) => Type::DateTime,
            Self::TimeSpan(_) => Type::TimeSpan,
            Self::Guid(_) => Type::Guid,
            Self::Dynamic(_) => Type::Dynamic,
        })
    }
}

pub(crate) fn order_reals(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

impl From<bool> for Value<'_> {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}

impl From<i64> for Value<'_> {
    fn from(v: i64) -> Self {
        Self::Long(v)
    }
}

impl From<f64> for Value<'_> {
    fn from(v: f64) -> Self {
        Self::Real(v)
    }
}

impl From<String> for Value<'_> {
    fn from(v: String) -> Self {
        Self::String(Cow::Owned(v))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(v: &'a str) -> Self {
        Self::String(Cow::Borrowed(v))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}
