//! Rows picked: `arg_max`, `take_any`.

use super::sums::beats;
use super::{Aggregate, Shape, Slot, Slots, Spec, States, feed};
use crate::kql::column::{Builder, Column, Datum};
use crate::kql::error::Result;
use crate::kql::types::Type;
use crate::kql::value::{Value, order_reals};

pub(crate) fn table() -> Vec<Aggregate> {
    let all = "any+ -> 0";
    let extreme = "orderable, any* -> 0";
    vec![
        Aggregate::new("arg_max", extreme, Shape::Args, arg::<true>),
        Aggregate::new("arg_min", extreme, Shape::Args, arg::<false>),
        Aggregate::new("argmax", extreme, Shape::Chained("max"), arg::<true>),
        Aggregate::new("argmin", extreme, Shape::Chained("min"), arg::<false>),
        Aggregate::new("take_any", all, Shape::Args, any).or_if("take_anyif"),
        Aggregate::new("any", all, Shape::Prefixed("any"), any).or_if("anyif"),
    ]
}

/// A row of values per group, chosen by reference while a batch is read and copied once at its end.
#[derive(Default)]
struct Picked {
    /// The row of this batch that is to be copied, plus one; zero for none.
    pending: u32,
    values: Vec<Value<'static>>,
}

impl Picked {
    fn note(&mut self, row: usize, group: usize, touched: &mut Vec<usize>) {
        if self.pending == 0 {
            touched.push(group);
        }
        self.pending = row as u32 + 1;
    }

    fn copy(&mut self, args: &[Datum]) {
        let row = self.pending as usize - 1;
        self.pending = 0;
        self.values.clear();
        self.values
            .extend(args.iter().map(|arg| arg.value(row).into_owned()));
    }

    fn bytes(&self) -> usize {
        self.values
            .iter()
            .map(|value| size_of::<Value<'_>>() + value.text().len())
            .sum()
    }

    fn columns(spec: &Spec, slots: impl ExactSizeIterator<Item = Self>) -> Vec<Column> {
        let count = slots.len();
        let mut columns: Vec<_> = spec
            .results
            .iter()
            .map(|ty| Builder::new(*ty, count))
            .collect();
        for slot in slots {
            for (i, column) in columns.iter_mut().enumerate() {
                column.push(slot.values.get(i).unwrap_or(&Value::Null));
            }
        }
        columns.iter_mut().map(Builder::finish).collect()
    }
}

/// Compares the first argument and gives all of them, from one row. Rows where it is null count only
/// when there are no others; among equals the first row stays (Kusto: any of them).
fn arg<const LARGEST: bool>(spec: &Spec) -> Box<dyn States> {
    match spec.args.first() {
        Some(ty) if feed::has_longs(*ty) => Slots::<Arg<i64, LARGEST>>::boxed(spec),
        Some(Type::Real) => Slots::<Arg<f64, LARGEST>>::boxed(spec),
        _ => Slots::<Arg<Value<'static>, LARGEST>>::boxed(spec),
    }
}

trait Key: Sized + Send + 'static {
    fn each(groups: &[u32], arg: &Datum, take: impl FnMut(usize, usize, Self));
    fn order(&self, other: &Self) -> std::cmp::Ordering;
}

impl Key for i64 {
    fn each(groups: &[u32], arg: &Datum, take: impl FnMut(usize, usize, Self)) {
        feed::longs(groups, arg, take);
    }
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.cmp(other)
    }
}

impl Key for f64 {
    fn each(groups: &[u32], arg: &Datum, take: impl FnMut(usize, usize, Self)) {
        feed::reals(groups, arg, take);
    }
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        order_reals(*self, *other)
    }
}

impl Key for Value<'static> {
    fn each(groups: &[u32], arg: &Datum, mut take: impl FnMut(usize, usize, Self)) {
        feed::values(groups, arg, |row, group, value| {
            take(row, group, value.into_owned());
        });
    }
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        Value::order(self, other)
    }
}

struct Arg<K, const LARGEST: bool> {
    key: Option<K>,
    picked: Picked,
}

impl<K, const LARGEST: bool> Default for Arg<K, LARGEST> {
    fn default() -> Self {
        Self {
            key: None,
            picked: Picked::default(),
        }
    }
}

impl<K: Key, const LARGEST: bool> Arg<K, LARGEST> {
    fn is_beaten_by(&self, key: &K) -> bool {
        match &self.key {
            Some(old) => beats::<LARGEST>(key.order(old)),
            None => true,
        }
    }
}

impl<K: Key, const LARGEST: bool> Slot for Arg<K, LARGEST> {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        let mut touched = Vec::new();
        K::each(groups, &args[0], |row, group, key| {
            let slot = &mut slots[group];
            if slot.is_beaten_by(&key) {
                slot.key = Some(key);
                slot.picked.note(row, group, &mut touched);
            }
        });
        let nulls = match &args[0] {
            Datum::Value(_, value) => value.is_null(),
            Datum::Column(column) => column.data().null_count() > 0,
        };
        if nulls {
            for (row, group) in groups.iter().enumerate() {
                let slot = &mut slots[*group as usize];
                let free = slot.key.is_none() && slot.picked.values.is_empty();
                if free && slot.picked.pending == 0 {
                    slot.picked.note(row, *group as usize, &mut touched);
                }
            }
        }
        for group in touched {
            slots[group].picked.copy(args);
        }
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        let better = match &other.key {
            Some(key) => self.is_beaten_by(key),
            None => self.picked.values.is_empty(),
        };
        if better {
            *self = other;
        }
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(Picked::columns(
            spec,
            slots.into_iter().map(|slot| slot.picked),
        ))
    }

    fn bytes(&self) -> usize {
        self.picked.bytes()
    }
}

/// A row of the group, here the first. With one argument, the first value that is neither null nor
/// empty, if there is one; with several, all are from one row.
fn any(spec: &Spec) -> Box<dyn States> {
    Slots::<Any>::boxed(spec)
}

#[derive(Default)]
struct Any {
    settled: bool,
    picked: Picked,
}

impl Any {
    fn is_free(&self) -> bool {
        self.picked.values.is_empty() && self.picked.pending == 0
    }
}

impl Slot for Any {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        let mut touched = Vec::new();
        for (row, group) in groups.iter().enumerate() {
            let slot = &mut slots[*group as usize];
            if slot.settled {
                continue;
            }
            let good = args.len() > 1
                || match args[0].value(row) {
                    Value::Null => false,
                    Value::String(text) => !text.is_empty(),
                    _ => true,
                };
            if good || slot.is_free() {
                slot.settled = good;
                slot.picked.note(row, *group as usize, &mut touched);
            }
        }
        for group in touched {
            slots[group].picked.copy(args);
        }
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        if !self.settled && (other.settled || self.is_free()) {
            *self = other;
        }
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        Ok(Picked::columns(
            spec,
            slots.into_iter().map(|slot| slot.picked),
        ))
    }

    fn bytes(&self) -> usize {
        self.picked.bytes()
    }
}
