//! Distinct values, counted.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow_array::Int64Array;

use super::{Aggregate, Shape, Slot, Slots, Spec, States, feed};
use crate::kql::column::{Column, Datum};
use crate::kql::error::{Error, Result};
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Aggregate> {
    let one = |prefix| Shape::One { prefix };
    vec![
        Aggregate::new("dcount", "any, integer!? -> long", one("dcount"), distinct)
            .or_if("dcountif"),
        Aggregate::new(
            "count_distinct",
            "orderable -> long",
            one("count_distinct"),
            distinct,
        )
        .or_if("count_distinctif"),
    ]
}

/// How many different values there are, nulls aside; the empty string is a value. Always exact:
/// Kusto's `dcount` is an estimate, and its accuracy (0 to 4) only tells how near it comes.
fn distinct(spec: &Spec) -> Box<dyn States> {
    match spec.args.first() {
        Some(Type::String | Type::Dynamic) => Slots::<Texts>::boxed(spec),
        Some(Type::Guid | Type::Decimal) => Slots::<Wides>::boxed(spec),
        _ => Slots::<Words>::boxed(spec),
    }
}

fn check_accuracy(spec: &Spec) -> Result<()> {
    match spec.constants.get(1) {
        Some(Some(value)) if !value.as_long().is_some_and(|v| (0..=4).contains(&v)) => Err(
            Error::execution("the accuracy of `dcount` must be from 0 to 4"),
        ),
        _ => Ok(()),
    }
}

/// Mixes the bits of one or two words; the sets hold data of the asker's own, so nobody gains by
/// making them collide.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, v: u64) {
        let wide = u128::from(self.0 ^ v ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }

    fn write_u128(&mut self, v: u128) {
        self.write_u64(v as u64);
        self.write_u64((v >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Set<T> = HashSet<T, BuildHasherDefault<Mix>>;

fn counts(sizes: impl Iterator<Item = usize>) -> Vec<Column> {
    vec![Column::new(
        Type::Long,
        Arc::new(Int64Array::from_iter_values(sizes.map(|size| size as i64))),
    )]
}

/// Whole numbers, ticks, bools, and reals by their bits.
#[derive(Default)]
struct Words(Set<u64>);

/// One zero and one NaN.
fn real_bits(v: f64) -> u64 {
    if v == 0.0 {
        0
    } else if v.is_nan() {
        f64::NAN.to_bits()
    } else {
        v.to_bits()
    }
}

impl Slot for Words {
    fn feed(spec: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        check_accuracy(spec)?;
        match args[0].ty() {
            Type::Real => feed::reals(groups, &args[0], |_, group, v| {
                slots[group].0.insert(real_bits(v));
            }),
            Type::Bool => feed::values(groups, &args[0], |_, group, v| {
                slots[group].0.insert(u64::from(v == Value::Bool(true)));
            }),
            _ => feed::longs(groups, &args[0], |_, group, v| {
                slots[group].0.insert(v as u64);
            }),
        }
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.0.extend(other.0);
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(counts(slots.iter().map(|slot| slot.0.len())))
    }

    fn bytes(&self) -> usize {
        self.0.capacity() * 9
    }
}

#[derive(Default)]
struct Wides(Set<u128>);

impl Slot for Wides {
    fn feed(spec: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        check_accuracy(spec)?;
        feed::values(groups, &args[0], |_, group, v| {
            let key = match v {
                Value::Guid(v) => v,
                // 1.0 and 1.00 are one number.
                Value::Decimal(v) => u128::from_be_bytes(v.normalize().serialize()),
                _ => return,
            };
            slots[group].0.insert(key);
        });
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.0.extend(other.0);
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(counts(slots.iter().map(|slot| slot.0.len())))
    }

    fn bytes(&self) -> usize {
        self.0.capacity() * 17
    }
}

#[derive(Default)]
struct Texts {
    seen: HashSet<Box<str>>,
    bytes: usize,
}

impl Texts {
    fn take(&mut self, text: &str) {
        if !self.seen.contains(text) {
            self.bytes += text.len() + 24;
            self.seen.insert(text.into());
        }
    }
}

impl Slot for Texts {
    fn feed(spec: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        check_accuracy(spec)?;
        feed::values(groups, &args[0], |_, group, v| slots[group].take(v.text()));
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        for text in &other.seen {
            self.take(text);
        }
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(counts(slots.iter().map(|slot| slot.seen.len())))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
