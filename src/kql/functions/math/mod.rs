//! Functions of numbers.

mod bins;
mod special;
mod units;

use rust_decimal::{Decimal, MathematicalOps, RoundingStrategy};

use super::{Datum, Function, Naming, Result, Type, Value, columns, row};
use crate::kql::column::Column;

pub(crate) fn table() -> Vec<Function> {
    use Naming::{First, None as Unnamed};
    let mut all = vec![
        row(
            "abs",
            "integer -> long; number -> 0; timespan -> timespan",
            First,
            abs,
        ),
        row("sqrt", "number -> real", First, |a| {
            unless(a, |x| x < 0.0, f64::sqrt)
        }),
        row("pow", "number, number -> real", First, pow),
        row("exp", "number -> real", First, |a| of(a, f64::exp)),
        row("exp2", "number -> real", First, |a| of(a, f64::exp2)),
        row("exp10", "number -> real", First, |a| {
            of(a, |x| 10f64.powf(x))
        }),
        row("log", "number -> real", First, |a| {
            unless(a, |x| x < 0.0, f64::ln)
        }),
        row("log2", "number -> real", First, |a| {
            unless(a, |x| x < 0.0, f64::log2)
        }),
        row("log10", "number -> real", First, |a| {
            unless(a, |x| x < 0.0, f64::log10)
        }),
        row("sin", "number -> real", First, |a| of(a, f64::sin)),
        row("cos", "number -> real", First, |a| of(a, f64::cos)),
        row("tan", "number -> real", First, |a| of(a, f64::tan)),
        row("asin", "number -> real", First, |a| {
            unless(a, |x| x.abs() > 1.0, f64::asin)
        }),
        row("acos", "number -> real", First, |a| {
            unless(a, |x| x.abs() > 1.0, f64::acos)
        }),
        row("atan", "number -> real", First, |a| of(a, f64::atan)),
        row("atan2", "number, number -> real", First, |a| {
            pair(a).map(|(y, x)| y.atan2(x)).into()
        }),
        row("cot", "number -> real", Unnamed, |a| {
            of(a, |x| 1.0 / x.tan())
        }),
        row("degrees", "number -> real", Unnamed, |a| {
            of(a, f64::to_degrees)
        }),
        row("radians", "number -> real", Unnamed, |a| {
            of(a, f64::to_radians)
        }),
        row("pi", "-> real", Unnamed, |_| {
            Value::Real(std::f64::consts::PI)
        }),
        row("sign", "number -> real", Unnamed, |a| of(a, sign)),
        row("round", "number, long?! -> 0", First, round),
        row("ceiling", "number -> 0", First, ceiling),
        columns("rand", "integer? -> real", First, rand),
        row("binary_and", "integer, integer -> long", First, |a| {
            bits(a, |x, y| Some(x & y))
        }),
        row("binary_or", "integer, integer -> long", First, |a| {
            bits(a, |x, y| Some(x | y))
        }),
        row("binary_xor", "integer, integer -> long", First, |a| {
            bits(a, |x, y| Some(x ^ y))
        }),
        row("binary_not", "integer -> long", First, |a| {
            a[0].as_long().map(|x| !x).into()
        }),
        row(
            "binary_shift_left",
            "integer, integer -> long",
            First,
            |a| bits(a, |x, by| (by >= 0).then(|| x << (by % 64))),
        ),
        row(
            "binary_shift_right",
            "integer, integer -> long",
            First,
            |a| bits(a, |x, by| (by >= 0).then(|| x >> (by % 64))),
        ),
        row("bitset_count_ones", "integer -> long", First, |a| {
            a[0].as_long().map(|x| i64::from(x.count_ones())).into()
        }),
    ];
    all.extend(bins::table());
    all.extend(special::table());
    all.extend(units::table());
    all
}

fn of<'a>(args: &[Value<'a>], f: fn(f64) -> f64) -> Value<'a> {
    args[0].as_real().map(f).into()
}

/// Null where the function is not defined.
fn unless<'a>(args: &[Value<'a>], outside: fn(f64) -> bool, f: fn(f64) -> f64) -> Value<'a> {
    args[0].as_real().filter(|x| !outside(*x)).map(f).into()
}

fn pair(args: &[Value<'_>]) -> Option<(f64, f64)> {
    Some((args[0].as_real()?, args[1].as_real()?))
}

fn pow<'a>(args: &[Value<'a>]) -> Value<'a> {
    pair(args)
        .map(|(base, exponent)| base.powf(exponent))
        .into()
}

fn bits<'a>(args: &[Value<'a>], f: fn(i64, i64) -> Option<i64>) -> Value<'a> {
    match (args[0].as_long(), args[1].as_long()) {
        (Some(a), Some(b)) => f(a, b).into(),
        _ => Value::Null,
    }
}

pub(super) fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x * 0.0
    }
}

fn abs<'a>(args: &[Value<'a>]) -> Value<'a> {
    match &args[0] {
        Value::Real(v) => Value::Real(v.abs()),
        Value::Decimal(v) => Value::Decimal(v.abs()),
        Value::TimeSpan(v) => v.checked_abs().map_or(Value::Null, Value::TimeSpan),
        other => other.as_long().and_then(i64::checked_abs).into(),
    }
}

/// Halves go away from zero.
fn round<'a>(args: &[Value<'a>]) -> Value<'a> {
    let digits = args.get(1).and_then(Value::as_long).unwrap_or(0);
    match &args[0] {
        Value::Real(v) => Value::Real(round_real(*v, digits)),
        Value::Decimal(v) if digits >= 0 => Value::Decimal(v.round_dp_with_strategy(
            u32::try_from(digits.min(28)).unwrap_or(28),
            RoundingStrategy::MidpointAwayFromZero,
        )),
        Value::Decimal(v) => match Decimal::TEN.checked_powi(-digits) {
            Some(unit) => (v / unit)
                .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
                .checked_mul(unit)
                .map_or(Value::Null, Value::Decimal),
            None => Value::Decimal(Decimal::ZERO),
        },
        Value::Int(v) => round_whole(i64::from(*v), digits)
            .and_then(|v| i32::try_from(v).ok())
            .map_or(Value::Null, Value::Int),
        other => other.as_long().and_then(|v| round_whole(v, digits)).into(),
    }
}

fn round_real(v: f64, digits: i64) -> f64 {
    let Ok(digits) = i32::try_from(digits) else {
        return if digits > 0 { v } else { 0.0 };
    };
    if digits < 0 {
        let unit = 10f64.powi(-digits);
        return if unit.is_finite() {
            (v / unit).round() * unit
        } else {
            0.0
        };
    }
    let unit = 10f64.powi(digits);
    let scaled = v * unit;
    // Beyond that a real has no digits left to round.
    if scaled.abs() < 9e15 {
        scaled.round() / unit
    } else {
        v
    }
}

fn round_whole(v: i64, digits: i64) -> Option<i64> {
    if digits >= 0 {
        return Some(v);
    }
    let unit = 10i128.pow(u32::try_from(digits.unsigned_abs().min(20)).ok()?);
    let half = if v < 0 { -unit / 2 } else { unit / 2 };
    i64::try_from((i128::from(v) + half) / unit * unit).ok()
}

fn ceiling<'a>(args: &[Value<'a>]) -> Value<'a> {
    match &args[0] {
        Value::Real(v) => Value::Real(v.ceil()),
        Value::Decimal(v) => Value::Decimal(v.ceil()),
        other => other.clone(),
    }
}

/// Always a column, since each row has a number of its own. `rand(n)` gives whole numbers below `n`.
fn rand(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // A fresh state differs at each call; the rest is a walk of splitmix from there.
    let mut seed = RandomState::new().build_hasher().finish();
    let values = (0..rows).map(|row| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let unit = (z >> 11) as f64 / (1u64 << 53) as f64;
        match args.first() {
            None => Value::Real(unit),
            Some(below) => match below.value(row).as_long() {
                Some(below) if below > 1 => Value::Real((unit * below as f64).floor()),
                Some(_) => Value::Real(unit),
                None => Value::Null,
            },
        }
    });
    Ok(Datum::Column(Column::from_values(ty, values)))
}

#[cfg(test)]
mod tests {
    use crate::kql::functions::{Eval, find};
    use crate::kql::value::Value::{self, Decimal, Int, Long, Null, Real, TimeSpan};

    fn call<'a>(name: &str, args: &[Value<'a>]) -> Value<'a> {
        match find(name)
            .unwrap_or_else(|| panic!("no function {name}"))
            .eval
        {
            Eval::Row(f) | Eval::Nulls(f) => f(args),
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn numbers_keep_their_type_where_kusto_keeps_it() {
        let decimal = |text: &str| Decimal(text.parse().expect("a decimal"));
        for (name, args, expected) in [
            ("abs", vec![Long(-5)], Long(5)),
            ("abs", vec![Real(-2.5)], Real(2.5)),
            ("abs", vec![TimeSpan(-3)], TimeSpan(3)),
            ("abs", vec![decimal("-1.5")], decimal("1.5")),
            ("round", vec![Real(2.98765), Long(3)], Real(2.988)),
            ("round", vec![Real(2.5)], Real(3.0)),
            ("round", vec![Real(-2.5)], Real(-3.0)),
            ("round", vec![Long(1250), Long(-2)], Long(1300)),
            ("round", vec![Long(7), Long(i64::MIN)], Long(0)),
            ("round", vec![Int(-14), Long(-1)], Int(-10)),
            ("round", vec![decimal("2.345"), Long(2)], decimal("2.35")),
            ("ceiling", vec![Real(-1.1)], Real(-1.0)),
            ("ceiling", vec![Long(4)], Long(4)),
            ("sign", vec![Long(-42)], Real(-1.0)),
            ("sign", vec![Long(0)], Real(0.0)),
            ("log", vec![Long(-1)], Null),
            ("log2", vec![Long(8)], Real(3.0)),
            ("sqrt", vec![Long(-1)], Null),
            ("sqrt", vec![Long(256)], Real(16.0)),
            ("acos", vec![Long(2)], Null),
            ("exp10", vec![Long(3)], Real(1000.0)),
            ("pow", vec![Long(2), Long(10)], Real(1024.0)),
            ("binary_and", vec![Long(5), Long(3)], Long(1)),
            ("binary_not", vec![Long(100)], Long(-101)),
            ("binary_shift_left", vec![Long(1), Long(65)], Long(2)),
            ("binary_shift_left", vec![Long(1), Long(-1)], Null),
            ("binary_shift_right", vec![Long(-8), Long(1)], Long(-4)),
            ("bitset_count_ones", vec![Long(42)], Long(3)),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }
}
