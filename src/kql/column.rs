//! Columns: Arrow arrays that know their Kusto type.
//!
//! | type | array |
//! | --- | --- |
//! | bool | `BooleanArray` |
//! | int | `Int32Array` |
//! | long, datetime, timespan | `Int64Array` |
//! | real | `Float64Array` |
//! | string, dynamic | `StringArray`; a string slot is never null, dynamic is compact JSON text |
//! | decimal, guid | `FixedSizeBinaryArray` of 16 bytes |
//!
//! Why not Arrow's timestamps: their 100 ns do not reach from year 1 to 9999.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int32Builder, Int64Builder,
    StringBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array,
    NullArray, StringArray, UInt32Array,
};
use rust_decimal::Decimal;

use super::types::Type;
use super::value::Value;

/// A column of one type.
#[derive(Debug, Clone)]
pub struct Column {
    ty: Type,
    data: ArrayRef,
}

/// An argument: one value for all rows, or a column.
#[derive(Debug, Clone)]
pub enum Datum {
    Value(Type, Value<'static>),
    Column(Column),
}

impl Column {
    /// Takes an array of the physical kind that `ty` has (see the module's table).
    #[must_use]
    pub fn new(ty: Type, data: ArrayRef) -> Self {
        Self { ty, data }
    }

    /// The same value in each of `rows` rows.
    #[must_use]
    pub fn constant(ty: Type, value: &Value<'_>, rows: usize) -> Self {
        let mut builder = Builder::new(ty, rows);
        for _ in 0..rows {
            builder.push(value);
        }
        builder.finish()
    }

    pub fn from_values<'a>(ty: Type, values: impl IntoIterator<Item = Value<'a>>) -> Self {
        let values = values.into_iter();
        let mut builder = Builder::new(ty, values.size_hint().0);
        for value in values {
            builder.push(&value);
        }
        builder.finish()
    }

    #[must_use]
    pub fn empty(ty: Type) -> Self {
        Builder::new(ty, 0).finish()
    }

    /// A column that nobody looks at: it has rows and no values.
    #[must_use]
    pub fn absent(ty: Type, rows: usize) -> Self {
        Self {
            ty,
            data: Arc::new(NullArray::new(rows)),
        }
    }

    #[must_use]
    pub fn ty(&self) -> Type {
        self.ty
    }

    #[must_use]
    pub fn data(&self) -> &ArrayRef {
        &self.data
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Whether it was made by [`Column::absent`].
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.data.as_any().is::<NullArray>()
    }

    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.ty != Type::String && self.data.is_null(row)
    }

    /// The same data under another type with the same physical kind (ticks as long, text as dynamic).
    #[must_use]
    pub fn retyped(&self, ty: Type) -> Self {
        Self {
            ty,
            data: self.data.clone(),
        }
    }

    #[must_use]
    pub fn bools(&self) -> &BooleanArray {
        self.data.as_boolean()
    }

    #[must_use]
    pub fn ints(&self) -> &Int32Array {
        self.data.as_primitive::<Int32Type>()
    }

    /// long, datetime and timespan.
    #[must_use]
    pub fn longs(&self) -> &Int64Array {
        self.data.as_primitive::<Int64Type>()
    }

    #[must_use]
    pub fn reals(&self) -> &Float64Array {
        self.data.as_primitive::<Float64Type>()
    }

    /// string and dynamic.
    #[must_use]
    pub fn strings(&self) -> &StringArray {
        self.data.as_string::<i32>()
    }

    fn fixed(&self) -> &FixedSizeBinaryArray {
        self.data.as_fixed_size_binary()
    }

    /// The value of one row. Panics when `row` is outside, as slices do.
    #[must_use]
    pub fn value(&self, row: usize) -> Value<'_> {
        if self.data.is_null(row) {
            return if self.ty == Type::String {
                Value::string("")
            } else {
                Value::Null
            };
        }
        match self.ty {
            Type::Bool => Value::Bool(self.bools().value(row)),
            Type::Int => Value::Int(self.ints().value(row)),
            Type::Long => Value::Long(self.longs().value(row)),
            Type::DateTime => Value::DateTime(self.longs().value(row)),
            Type::TimeSpan => Value::TimeSpan(self.longs().value(row)),
            Type::Real => Value::Real(self.reals().value(row)),
            Type::String => Value::string(self.strings().value(row)),
            Type::Dynamic => Value::dynamic(self.strings().value(row)),
            Type::Guid => Value::Guid(u128::from_be_bytes(sixteen(self.fixed().value(row)))),
            Type::Decimal => Value::Decimal(Decimal::deserialize(sixteen(self.fixed().value(row)))),
        }
    }

    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        (0..self.len()).map(|row| self.value(row))
    }

    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        Self {
            ty: self.ty,
            data: self.data.slice(from, rows),
        }
    }

    /// The rows at `indices`; a null index is a null (an empty string).
    #[must_use]
    pub fn take(&self, indices: &UInt32Array) -> Self {
        if self.is_absent() {
            return Self::absent(self.ty, indices.len());
        }
        let data = arrow_select::take::take(&self.data, indices, None)
            .expect("indices are inside the column");
        Self { ty: self.ty, data }.without_null_strings()
    }

    /// The rows where `keep` is true.
    #[must_use]
    pub fn filter(&self, keep: &BooleanArray) -> Self {
        if self.is_absent() {
            return Self::absent(self.ty, keep.true_count());
        }
        let data = arrow_select::filter::filter(&self.data, keep)
            .expect("mask and column have the same length");
        Self { ty: self.ty, data }
    }

    /// One below the other. All have the type `ty`.
    #[must_use]
    pub fn concat(ty: Type, parts: &[Column]) -> Self {
        match parts {
            [] => Self::empty(ty),
            [one] => one.clone(),
            many if many.iter().any(Column::is_absent) => {
                Self::absent(ty, many.iter().map(Column::len).sum())
            }
            many => {
                let arrays: Vec<&dyn Array> = many.iter().map(|part| part.data.as_ref()).collect();
                Self {
                    ty,
                    data: arrow_select::concat::concat(&arrays)
                        .expect("columns of one type go together"),
                }
            }
        }
    }

    /// Bytes held, for the memory limit.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.get_array_memory_size()
    }

    /// Null slots of a string column become empty strings.
    #[must_use]
    pub fn without_null_strings(self) -> Self {
        if self.ty != Type::String || self.data.null_count() == 0 || self.is_absent() {
            return self;
        }
        let filled: StringArray = self
            .strings()
            .iter()
            .map(|text| Some(text.unwrap_or("")))
            .collect();
        Self {
            ty: self.ty,
            data: Arc::new(filled),
        }
    }
}

fn sixteen(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().expect("the array holds 16 bytes a row")
}

impl Datum {
    #[must_use]
    pub fn ty(&self) -> Type {
        match self {
            Self::Value(ty, _) => *ty,
            Self::Column(column) => column.ty,
        }
    }

    #[must_use]
    pub fn value(&self, row: usize) -> Value<'_> {
        match self {
            Self::Value(_, value) => value.borrow(),
            Self::Column(column) => column.value(row),
        }
    }

    /// As a column of `rows` rows.
    #[must_use]
    pub fn into_column(self, rows: usize) -> Column {
        match self {
            Self::Value(ty, value) => Column::constant(ty, &value, rows),
            Self::Column(column) => column,
        }
    }

    /// The value, if it is the same for all rows.
    #[must_use]
    pub fn constant(&self) -> Option<&Value<'static>> {
        match self {
            Self::Value(_, value) => Some(value),
            Self::Column(_) => None,
        }
    }
}

/// Builds a column value by value.
#[derive(Debug)]
pub struct Builder {
    ty: Type,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bool(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Real(Float64Builder),
    Text(StringBuilder),
    Fixed(FixedSizeBinaryBuilder),
}

impl Builder {
    #[must_use]
    pub fn new(ty: Type, rows: usize) -> Self {
        let kind = match ty {
            Type::Bool => Kind::Bool(BooleanBuilder::with_capacity(rows)),
            Type::Int => Kind::Int(Int32Builder::with_capacity(rows)),
            Type::Long | Type::DateTime | Type::TimeSpan => {
                Kind::Long(Int64Builder::with_capacity(rows))
            }
            Type::Real => Kind::Real(Float64Builder::with_capacity(rows)),
            Type::String | Type::Dynamic => {
                Kind::Text(StringBuilder::with_capacity(rows, rows * 8))
            }
            Type::Guid | Type::Decimal => {
                Kind::Fixed(FixedSizeBinaryBuilder::with_capacity(rows, 16))
            }
        };
        Self { ty, kind }
    }

    /// Adds a value. One that is not of the column's type becomes null: binding has seen to types,
    /// and whole numbers widen to what the column holds.
    pub fn push(&mut self, value: &Value<'_>) {
        match (&mut self.kind, value) {
            (Kind::Bool(b), Value::Bool(v)) => b.append_value(*v),
            (Kind::Int(b), Value::Int(v)) => b.append_value(*v),
            (Kind::Int(b), Value::Long(v)) => b.append_option(i32::try_from(*v).ok()),
            (Kind::Long(b), Value::Int(v)) => b.append_value(i64::from(*v)),
            (Kind::Long(b), Value::Long(v) | Value::DateTime(v) | Value::TimeSpan(v)) => {
                b.append_value(*v)
            }
            (Kind::Real(b), Value::Real(v)) => b.append_value(*v),
            (Kind::Real(b), other) => b.append_option(other.as_real()),
            (Kind::Text(b), Value::String(v) | Value::Dynamic(v)) => b.append_value(v),
            (Kind::Text(b), _) if self.ty == Type::String => b.append_value(""),
            (Kind::Fixed(b), Value::Guid(v)) => b.append_value(v.to_be_bytes()).expect("16 bytes"),
            (Kind::Fixed(b), Value::Decimal(v)) => b.append_value(v.serialize()).expect("16 bytes"),
            (Kind::Bool(b), _) => b.append_null(),
            (Kind::Int(b), _) => b.append_null(),
            (Kind::Long(b), _) => b.append_null(),
            (Kind::Text(b), _) => b.append_null(),
            (Kind::Fixed(b), _) => b.append_null(),
        }
    }

    #[must_use]
    pub fn finish(&mut self) -> Column {
        let data: ArrayRef = match &mut self.kind {
            Kind::Bool(b) => Arc::new(b.finish()),
            Kind::Int(b) => Arc::new(b.finish()),
            Kind::Long(b) => Arc::new(b.finish()),
            Kind::Real(b) => Arc::new(b.finish()),
            Kind::Text(b) => Arc::new(b.finish()),
            Kind::Fixed(b) => Arc::new(b.finish()),
        };
        Column { ty: self.ty, data }
    }
}
