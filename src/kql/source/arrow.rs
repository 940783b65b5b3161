//! Arrow arrays from outside as columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, Int64Array, StringArray};
use arrow_schema::{DataType, TimeUnit};
use rust_decimal::Decimal;

use super::super::column::Column;
use super::super::json::Json;
use super::super::text::datetime::UNIX;
use super::super::types::Type;

/// The type that an Arrow type is read as; `None` for what has no like in Kusto.
pub(super) fn ty(data: &DataType) -> Option<Type> {
    Some(match data {
        DataType::Boolean => Type::Bool,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            Type::Int
        }
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Type::Long,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Type::Real,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::String,
        DataType::Dictionary(_, values) => return ty(values),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Type::DateTime,
        DataType::Duration(_) => Type::TimeSpan,
        DataType::Decimal128(..) => Type::Decimal,
        DataType::FixedSizeBinary(16) => Type::Guid,
        _ => return None,
    })
}

/// An array as the column of its own type.
pub(super) fn column(array: &ArrayRef) -> Result<Column, String> {
    let data = array.data_type();
    let ty = ty(data).ok_or_else(|| format!("a column of {data} cannot be read"))?;
    let cast = |to: &DataType| arrow_cast::cast(array, to).map_err(|error| error.to_string());
    let array = match ty {
        Type::Bool => array.clone(),
        Type::Int => cast(&DataType::Int32)?,
        Type::Long => cast(&DataType::Int64)?,
        Type::Real => cast(&DataType::Float64)?,
        Type::String => cast(&DataType::Utf8)?,
        Type::DateTime => match data {
            DataType::Timestamp(unit, _) => ticks(array, *unit),
            _ => ticks(
                &cast(&DataType::Timestamp(TimeUnit::Second, None))?,
                TimeUnit::Second,
            ),
        },
        Type::TimeSpan => {
            let nanos = cast(&DataType::Duration(TimeUnit::Nanosecond))?;
            let nanos =
                arrow_cast::cast(&nanos, &DataType::Int64).map_err(|error| error.to_string())?;
            Arc::new(
                nanos
                    .as_primitive::<Int64Type>()
                    .unary::<_, Int64Type>(|v| v / 100),
            )
        }
        Type::Decimal => decimals(array),
        Type::Guid | Type::Dynamic => array.clone(),
    };
    Ok(Column::new(ty, array).without_null_strings())
}

/// Ticks since year one. Nanoseconds below 100 are cut.
fn ticks(array: &ArrayRef, unit: TimeUnit) -> ArrayRef {
    let ticks: Int64Array = match unit {
        TimeUnit::Second => array
            .as_primitive::<TimestampSecondType>()
            .unary(|v| v.wrapping_mul(10_000_000).wrapping_add(UNIX)),
        TimeUnit::Millisecond => array
            .as_primitive::<TimestampMillisecondType>()
            .unary(|v| v.wrapping_mul(10_000).wrapping_add(UNIX)),
        TimeUnit::Microsecond => array
            .as_primitive::<TimestampMicrosecondType>()
            .unary(|v| v.wrapping_mul(10).wrapping_add(UNIX)),
        TimeUnit::Nanosecond => array
            .as_primitive::<TimestampNanosecondType>()
            .unary(|v| v.div_euclid(100) + UNIX),
    };
    Arc::new(ticks)
}

fn decimals(array: &ArrayRef) -> ArrayRef {
    let DataType::Decimal128(_, scale) = array.data_type() else {
        return array.clone();
    };
    let scale = u32::try_from(*scale).unwrap_or(0);
    let values = array.as_primitive::<Decimal128Type>().iter().map(|value| {
        value
            .and_then(|value| Decimal::try_from_i128_with_scale(value, scale).ok())
            .map(|value| value.serialize())
    });
    Arc::new(
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 16).expect("16 bytes a value"),
    )
}

/// Text as dynamic: JSON stays as it is, an empty text is null, other text is a JSON string. Where all
/// of a batch look like bags or arrays they are taken for such unread.
pub(super) fn dynamic(column: &Column) -> Column {
    let text = column.strings();
    if text
        .iter()
        .all(|text| text.is_some_and(|text| text.starts_with(['{', '['])))
    {
        return column.retyped(Type::Dynamic);
    }
    let json = text.iter().map(|text| {
        let text = text.filter(|text| !text.is_empty() && *text != "null")?;
        Some(if Json::parse(text).is_some() {
            text.to_owned()
        } else {
            Json::String(text.to_owned()).to_string()
        })
    });
    Column::new(Type::Dynamic, Arc::new(json.collect::<StringArray>()))
}
