use std::fmt;
use std::ops::Neg;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Three capital letters, as ISO 4217 has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(format!("`{text}` is no currency: JPY or USD is one")),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&b| write!(f, "{}", b as char))
    }
}

/// An amount in millionths of a currency's unit. Negative: it is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    pub micros: i64,
    pub currency: Currency,
}

impl Money {
    #[must_use]
    pub const fn new(micros: i64, currency: Currency) -> Self {
        Self { micros, currency }
    }

    /// So many times as much, to the nearest millionth; at the ends of what can be told it stays
    /// there.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "it ends at the limits")]
        let micros = (self.micros as f64 * factor).round() as i64;
        Self { micros, ..self }
    }

    /// The difference; `None` between two currencies.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then(|| Self {
            micros: self.micros.saturating_sub(other.micros),
            ..self
        })
    }

    /// The sum; `None` of two currencies.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then(|| Self {
            micros: self.micros.saturating_add(other.micros),
            ..self
        })
    }

    /// In the currency's unit, for charts.
    #[must_use]
    pub fn amount(self) -> f64 {
        self.micros as f64 / 1e6
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            micros: self.micros.saturating_neg(),
            ..self
        }
    }
}

/// `JPY 12,346`, or with cents what has them: `USD 12.35`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = if self.currency.0 == *b"JPY" || self.currency.0 == *b"KRW" {
            1
        } else {
            100
        };
        let parts = 1_000_000 / cents;
        let rounded = (self.micros.unsigned_abs() + parts / 2) / parts;
        let sign = if self.micros < 0 && rounded > 0 {
            "-"
        } else {
            ""
        };
        let whole = (rounded / cents).to_string();
        let mut grouped = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        write!(f, "{} {sign}{grouped}", self.currency)?;
        if cents == 100 {
            write!(f, ".{:02}", rounded % cents)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_money_is_written_and_counted() {
        let yen = |micros| Money::new(micros, "JPY".parse().expect("a currency"));
        let dollars = |micros| Money::new(micros, "USD".parse().expect("a currency"));
        for (money, text) in [
            (yen(0), "JPY 0"),
            (yen(1_234_567_500_000), "JPY 1,234,568"),
            (yen(-999_600_000), "JPY -1,000"),
            (yen(-400_000), "JPY 0"),
            (dollars(12_345_000), "USD 12.35"),
            (dollars(-1_000_004_000), "USD -1,000.00"),
        ] {
            assert_eq!(money.to_string(), text);
        }
        assert_eq!(yen(2_000_000).times(1.5), yen(3_000_000));
        assert_eq!(yen(1).plus(dollars(1)), None);
        assert_eq!(yen(5).minus(yen(7)), Some(yen(-2)));
        assert_eq!(yen(i64::MAX).plus(yen(1)), Some(yen(i64::MAX)));
        let json = serde_json::to_string(&dollars(5)).expect("JSON");
        assert_eq!(json, r#"{"micros":5,"currency":"USD"}"#);
        assert_eq!(
            serde_json::from_str::<Money>(&json).expect("money"),
            dollars(5)
        );
        assert!(serde_json::from_str::<Money>(r#"{"micros":5,"currency":"usd"}"#).is_err());
    }
}
