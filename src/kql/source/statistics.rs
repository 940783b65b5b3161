//! What the statistics of a row group say about its rows.

use arrow_schema::{DataType, TimeUnit};
use parquet::file::statistics::Statistics;

use super::super::plan::Test;
use super::super::text::datetime::UNIX;
use super::super::types::Type;
use super::super::value::Value;

/// Whether a row within the test can be there. Unknown is yes.
pub(super) fn may_hold(statistics: &Statistics, data: &DataType, ty: Type, test: &Test) -> bool {
    let Some((low, high)) = ends(statistics, data, ty) else {
        return true;
    };
    use std::cmp::Ordering::{Equal, Greater, Less};
    match test {
        Test::OneOf(values) => values
            .iter()
            .any(|value| value.order(&low) != Less && value.order(&high) != Greater),
        Test::Above { value, strict } => match high.order(value) {
            Greater => true,
            Equal => !strict,
            Less => false,
        },
        Test::Below { value, strict } => match low.order(value) {
            Less => true,
            Equal => !strict,
            Greater => false,
        },
    }
}

/// The smallest and the largest value, when they are known and mean what the column means.
fn ends(
    statistics: &Statistics,
    data: &DataType,
    ty: Type,
) -> Option<(Value<'static>, Value<'static>)> {
    match (statistics, ty) {
        (Statistics::Int64(s), Type::DateTime) => {
            let DataType::Timestamp(unit, _) = data else {
                return None;
            };
            let ticks = |v: i64| {
                Some(Value::DateTime(match unit {
                    TimeUnit::Second => v.checked_mul(10_000_000)?.checked_add(UNIX)?,
                    TimeUnit::Millisecond => v.checked_mul(10_000)?.checked_add(UNIX)?,
                    TimeUnit::Microsecond => v.checked_mul(10)?.checked_add(UNIX)?,
                    TimeUnit::Nanosecond => v.div_euclid(100) + UNIX,
                }))
            };
            Some((ticks(*s.min_opt()?)?, ticks(*s.max_opt()?)?))
        }
        (Statistics::Int64(s), Type::Long) if *data == DataType::Int64 => {
            Some((Value::Long(*s.min_opt()?), Value::Long(*s.max_opt()?)))
        }
        (Statistics::Int32(s), Type::Int) if *data == DataType::Int32 => {
            Some((Value::Int(*s.min_opt()?), Value::Int(*s.max_opt()?)))
        }
        (Statistics::Double(s), Type::Real) => {
            let (low, high) = (*s.min_opt()?, *s.max_opt()?);
            (!low.is_nan() && !high.is_nan()).then_some((Value::Real(low), Value::Real(high)))
        }
        (Statistics::ByteArray(s), Type::String) => {
            // Null slots are empty strings here, and are not part of the statistics.
            if s.null_count_opt().is_none_or(|nulls| nulls > 0) {
                return None;
            }
            // The ends may be cut short: a cut low end is still low, a cut high end was rounded up.
            let text = |bytes: &[u8]| {
                std::str::from_utf8(bytes)
                    .ok()
                    .map(|text| Value::String(text.to_owned().into()))
            };
            Some((text(s.min_opt()?.data())?, text(s.max_opt()?.data())?))
        }
        _ => None,
    }
}
