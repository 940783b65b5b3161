//! Values as text: what literals, conversions and printed answers share.

pub mod datetime;
pub mod number;
pub mod timespan;

/// 100 ns, the unit of `datetime` and `timespan`.
pub const TICKS_PER_SECOND: i64 = 10_000_000;
pub const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
pub const TICKS_PER_HOUR: i64 = 60 * TICKS_PER_MINUTE;
pub const TICKS_PER_DAY: i64 = 24 * TICKS_PER_HOUR;

/// The digits after a decimal point as ticks; those beyond the seventh are cut.
fn fraction_ticks(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(7)
        .try_fold(0, |sum, digit| Some(sum * 10 + i64::from(digit - b'0')))
}
