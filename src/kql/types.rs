//! Kusto's scalar types and the schemas made of them.

use std::fmt;

/// A scalar type. Only `string` is never null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    Bool,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    Real,
    Decimal,
    String,
    /// Ticks of 100 ns since 0001-01-01 UTC.
    DateTime,
    /// Ticks of 100 ns.
    TimeSpan,
    Guid,
    /// Any JSON value.
    Dynamic,
}

impl Type {
    pub const ALL: [Self; 10] = [
        Self::Bool,
        Self::Int,
        Self::Long,
        Self::Real,
        Self::Decimal,
        Self::String,
        Self::DateTime,
        Self::TimeSpan,
        Self::Guid,
        Self::Dynamic,
    ];

    /// The name Kusto prints.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Long => "long",
            Self::Real => "real",
            Self::Decimal => "decimal",
            Self::String => "string",
            Self::DateTime => "datetime",
            Self::TimeSpan => "timespan",
            Self::Guid => "guid",
            Self::Dynamic => "dynamic",
        }
    }

    /// A type by any of the names that Kusto takes: `boolean`, `double`, `date`, `time`, ...
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "bool" | "boolean" => Self::Bool,
            "int" | "int32" => Self::Int,
            "long" | "int64" => Self::Long,
            "real" | "double" => Self::Real,
            "decimal" => Self::Decimal,
            "string" => Self::String,
            "datetime" | "date" => Self::DateTime,
            "timespan" | "time" => Self::TimeSpan,
            "guid" | "uniqueid" | "uuid" => Self::Guid,
            "dynamic" => Self::Dynamic,
            _ => return None,
        })
    }

    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Int | Self::Long)
    }

    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Real | Self::Decimal)
    }

    /// What may be summed: numbers, time spans.
    #[must_use]
    pub fn is_summable(self) -> bool {
        self.is_number() || self == Self::TimeSpan
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub ty: Type,
}

impl Field {
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self {
            name: name.into(),
            ty,
        }
    }
}

/// Columns in their order. Names are case-sensitive and unique.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    pub fields: Vec<Field>,
}

impl Schema {
    #[must_use]
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    #[must_use]
    pub fn of(fields: &[(&str, Type)]) -> Self {
        Self::new(
            fields
                .iter()
                .map(|(name, ty)| Field::new(*name, *ty))
                .collect(),
        )
    }

    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// `name`, or `name1`, `name2`, ... when it is taken.
    #[must_use]
    pub fn free(&self, name: &str) -> String {
        if self.index(name).is_none() {
            return name.to_owned();
        }
        (1..)
            .map(|n| format!("{name}{n}"))
            .find(|name| self.index(name).is_none())
            .expect("one of endless names is free")
    }
}
