//! Counts, sums, means, and the smallest and largest.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array};
use rust_decimal::Decimal;

use super::feed::Item;
use super::{Aggregate, Shape, Slot, Slots, Spec, States, feed};
use crate::kql::column::{Column, Datum};
use crate::kql::error::{Error, Result};
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Aggregate> {
    let one = |prefix| Shape::One { prefix };
    let average = "integer -> real; timespan -> timespan; datetime -> datetime; \
                   real -> real; decimal -> decimal";
    let bits = "int -> int; long -> long";
    vec![
        Aggregate::new("count", "-> long", one("count"), Slots::<Count>::boxed).or_if("countif"),
        Aggregate::new("cnt", "-> long", one("cnt"), Slots::<Count>::boxed),
        Aggregate::new("sum", "summable -> promoted0", one("sum"), sum).or_if("sumif"),
        Aggregate::new("avg", average, one("avg"), avg).or_if("avgif"),
        Aggregate::new("min", "orderable -> 0", one("min"), extreme::<false>).or_if("minif"),
        Aggregate::new("max", "orderable -> 0", one("max"), extreme::<true>).or_if("maxif"),
        Aggregate::new(
            "binary_all_and",
            bits,
            Shape::First,
            Slots::<Bits<0>>::boxed,
        ),
        Aggregate::new("binary_all_or", bits, Shape::First, Slots::<Bits<1>>::boxed),
        Aggregate::new(
            "binary_all_xor",
            bits,
            Shape::First,
            Slots::<Bits<2>>::boxed,
        ),
    ]
}

/// Rows, null or not.
#[derive(Default)]
struct Count(i64);

impl Slot for Count {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], _: &[Datum]) -> Result<()> {
        for group in groups {
            slots[*group as usize].0 += 1;
        }
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.0 += other.0;
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(longs(Type::Long, slots.into_iter().map(|slot| slot.0)))
    }
}

fn longs(ty: Type, values: impl Iterator<Item = i64>) -> Vec<Column> {
    vec![Column::new(
        ty,
        Arc::new(Int64Array::from_iter_values(values)),
    )]
}

/// The sum of no values is zero, not null. Whole numbers wrap around, as Kusto's arithmetic does.
fn sum(spec: &Spec) -> Box<dyn States> {
    match spec.args.first() {
        Some(Type::Real) => Slots::<RealSum>::boxed(spec),
        Some(Type::Decimal) => Slots::<DecimalSum>::boxed(spec),
        _ => Slots::<LongSum>::boxed(spec),
    }
}

#[derive(Default)]
struct LongSum(i64);

impl Slot for LongSum {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::longs(groups, &args[0], |_, group, v| {
            slots[group].0 = slots[group].0.wrapping_add(v);
        });
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.0 = self.0.wrapping_add(other.0);
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(longs(spec.results[0], slots.into_iter().map(|slot| slot.0)))
    }
}

#[derive(Default)]
struct RealSum(f64);

impl Slot for RealSum {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::reals(groups, &args[0], |_, group, v| slots[group].0 += v);
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.0 += other.0;
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(reals(slots.into_iter().map(|slot| slot.0)))
    }
}

fn reals(values: impl Iterator<Item = f64>) -> Vec<Column> {
    vec![Column::new(
        Type::Real,
        Arc::new(Float64Array::from_iter_values(values)),
    )]
}

#[derive(Default)]
struct DecimalSum {
    sum: Decimal,
    count: i64,
}

impl DecimalSum {
    fn add(&mut self, v: Decimal, count: i64) -> Result<()> {
        self.count += count;
        self.sum = self
            .sum
            .checked_add(v)
            .ok_or_else(|| Error::execution("a sum of decimals has more than 28 digits"))?;
        Ok(())
    }
}

impl Slot for DecimalSum {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        let mut done = Ok(());
        feed::values(groups, &args[0], |_, group, value| {
            if let (Value::Decimal(v), true) = (value, done.is_ok()) {
                done = slots[group].add(v, 1);
            }
        });
        done
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.add(other.sum, other.count)
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(feed::column(
            Type::Decimal,
            slots.into_iter().map(|slot| Value::Decimal(slot.sum)),
        ))
    }
}

/// The mean of no numbers is NaN (zero by zero), that of no decimals, datetimes or timespans null.
fn avg(spec: &Spec) -> Box<dyn States> {
    match spec.args.first() {
        Some(Type::Real) => Slots::<RealMean>::boxed(spec),
        Some(Type::Decimal) => Slots::<DecimalMean>::boxed(spec),
        _ => Slots::<LongMean>::boxed(spec),
    }
}

#[derive(Default)]
struct RealMean {
    sum: f64,
    count: i64,
}

impl Slot for RealMean {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::reals(groups, &args[0], |_, group, v| {
            slots[group].sum += v;
            slots[group].count += 1;
        });
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.sum += other.sum;
        self.count += other.count;
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(reals(
            slots.into_iter().map(|slot| slot.sum / slot.count as f64),
        ))
    }
}

/// Sums of whole numbers in 128 bits, so that a mean never overflows.
#[derive(Default)]
struct LongMean {
    sum: i128,
    count: i64,
}

impl Slot for LongMean {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::longs(groups, &args[0], |_, group, v| {
            slots[group].sum += i128::from(v);
            slots[group].count += 1;
        });
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.sum += other.sum;
        self.count += other.count;
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let ty = spec.results[0];
        if ty == Type::Real {
            return Ok(reals(
                slots
                    .into_iter()
                    .map(|slot| slot.sum as f64 / slot.count as f64),
            ));
        }
        Ok(feed::column(
            ty,
            slots.into_iter().map(|slot| {
                let mean = slot.sum.checked_div(i128::from(slot.count));
                mean.map_or(Value::Null, |mean| feed::cell(ty, mean as i64))
            }),
        ))
    }
}

#[derive(Default)]
struct DecimalMean(DecimalSum);

impl Slot for DecimalMean {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        let mut done = Ok(());
        feed::values(groups, &args[0], |_, group, value| {
            if let (Value::Decimal(v), true) = (value, done.is_ok()) {
                done = slots[group].0.add(v, 1);
            }
        });
        done
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.0.add(other.0.sum, other.0.count)
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(feed::column(
            Type::Decimal,
            slots.into_iter().map(|DecimalMean(slot)| {
                slot.sum
                    .checked_div(Decimal::from(slot.count))
                    .map_or(Value::Null, Value::Decimal)
            }),
        ))
    }
}

/// The smallest or largest; null (an empty string) when there is none.
fn extreme<const LARGEST: bool>(spec: &Spec) -> Box<dyn States> {
    match spec.args.first() {
        Some(ty) if feed::has_longs(*ty) => Slots::<Extreme<i64, LARGEST>>::boxed(spec),
        Some(Type::Real) => Slots::<Extreme<f64, LARGEST>>::boxed(spec),
        _ => Slots::<AnyExtreme<LARGEST>>::boxed(spec),
    }
}

/// Whether a new value with this order to the old one takes its place.
pub(super) fn beats<const LARGEST: bool>(order: Ordering) -> bool {
    order
        == if LARGEST {
            Ordering::Greater
        } else {
            Ordering::Less
        }
}

/// The smallest or largest number.
struct Extreme<T, const LARGEST: bool>(Option<T>);

impl<T, const LARGEST: bool> Default for Extreme<T, LARGEST> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Item, const LARGEST: bool> Extreme<T, LARGEST> {
    fn take(&mut self, v: T) {
        if self
            .0
            .as_ref()
            .is_none_or(|old| beats::<LARGEST>(v.order(old)))
        {
            self.0 = Some(v);
        }
    }
}

impl<T: Item, const LARGEST: bool> Slot for Extreme<T, LARGEST> {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        T::each(groups, &args[0], |_, group, v| slots[group].take(v));
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        if let Some(v) = other.0 {
            self.take(v);
        }
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let ty = spec.results[0];
        let values = slots
            .into_iter()
            .map(|slot| slot.0.map_or(Value::Null, |v| v.cell(ty)));
        Ok(feed::column(ty, values))
    }
}

/// As [`Extreme`], for what is dear to keep: a value is copied only when it wins.
#[derive(Default)]
struct AnyExtreme<const LARGEST: bool>(Option<Value<'static>>);

impl<const LARGEST: bool> AnyExtreme<LARGEST> {
    fn take(&mut self, v: Value<'_>) {
        if self
            .0
            .as_ref()
            .is_none_or(|old| beats::<LARGEST>(v.order(old)))
        {
            self.0 = Some(v.into_owned());
        }
    }
}

impl<const LARGEST: bool> Slot for AnyExtreme<LARGEST> {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::values(groups, &args[0], |_, group, v| slots[group].take(v));
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        if let Some(v) = other.0 {
            self.take(v);
        }
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let values = slots.into_iter().map(|slot| slot.0.unwrap_or(Value::Null));
        Ok(feed::column(spec.results[0], values))
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |value| value.text().len())
    }
}

/// Bits of all values put together: 0 and, 1 or, 2 exclusive or. Null when there are no values.
#[derive(Default)]
struct Bits<const HOW: u8>(Option<i64>);

impl<const HOW: u8> Bits<HOW> {
    fn take(&mut self, v: i64) {
        self.0 = Some(match (self.0, HOW) {
            (None, _) => v,
            (Some(old), 0) => old & v,
            (Some(old), 1) => old | v,
            (Some(old), _) => old ^ v,
        });
    }
}

impl<const HOW: u8> Slot for Bits<HOW> {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::longs(groups, &args[0], |_, group, v| slots[group].take(v));
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        if let Some(v) = other.0 {
            self.take(v);
        }
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let ty = spec.results[0];
        let values = slots
            .into_iter()
            .map(|slot| slot.0.map_or(Value::Null, |v| feed::cell(ty, v)));
        Ok(feed::column(ty, values))
    }
}
