//! Aggregate functions: a row each in the table of its subject.

mod buildschema;
mod collect;
mod distinct;
mod feed;
mod percentiles;
mod pick;
mod statistics;
mod sums;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::column::{Builder, Column, Datum};
use super::error::Result;
use super::signature::Signature;
use super::types::Type;
use super::value::Value;

/// What a call of an aggregate is made of, known when the query is bound.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The arguments' types, after conversion.
    pub args: Vec<Type>,
    /// Those of the arguments that are constant.
    pub constants: Vec<Option<Value<'static>>>,
    /// The types of the result columns: one, but for `arg_max`, `take_any`, `percentiles`.
    pub results: Vec<Type>,
}

/// The states of one aggregate for all groups of a `summarize`.
pub trait States: Send {
    /// Takes rows: row `i` belongs to group `groups[i]`, all below `count`.
    fn update(&mut self, groups: &[u32], count: usize, args: &[Datum]) -> Result<()>;

    /// Takes the states of another part of the rows: its group `i` is ours `groups[i]`. Parts are
    /// merged in the order of their rows.
    fn merge(&mut self, other: Box<dyn States>, groups: &[u32], count: usize) -> Result<()>;

    /// The results of groups `0..count`, a column each.
    fn finish(self: Box<Self>, count: usize) -> Result<Vec<Column>>;

    /// Bytes held, for the memory limit.
    fn bytes(&self) -> usize;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// An aggregate that is written for one group and one row at a time.
pub trait Group: Default + Send + 'static {
    fn add(&mut self, spec: &Spec, args: &[Value<'_>]);
    fn merge(&mut self, spec: &Spec, other: Self);
    /// A value for each result column.
    fn finish(self, spec: &Spec) -> Vec<Value<'static>>;
    /// Bytes beyond the size of the state itself.
    fn bytes(&self) -> usize {
        0
    }
}

/// The state of one group in an aggregate whose inner loop runs over arrays.
pub(crate) trait Slot: Default + Send + 'static {
    /// Takes rows: row `i` goes to `slots[groups[i]]`.
    fn feed(spec: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()>;
    /// Takes the state of later rows.
    fn merge(&mut self, spec: &Spec, other: Self) -> Result<()>;
    /// A column for each result.
    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>>;
    /// Bytes beyond the size of the state itself.
    fn bytes(&self) -> usize {
        0
    }
}

impl<G: Group> Slot for G {
    fn feed(spec: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        let mut values = Vec::with_capacity(args.len());
        for (row, group) in groups.iter().enumerate() {
            values.clear();
            values.extend(args.iter().map(|arg| arg.value(row)));
            slots[*group as usize].add(spec, &values);
        }
        Ok(())
    }

    fn merge(&mut self, spec: &Spec, other: Self) -> Result<()> {
        Group::merge(self, spec, other);
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let mut columns: Vec<_> = spec
            .results
            .iter()
            .map(|ty| Builder::new(*ty, slots.len()))
            .collect();
        for slot in slots {
            let values = Group::finish(slot, spec);
            debug_assert_eq!(values.len(), columns.len());
            for (column, value) in columns.iter_mut().zip(&values) {
                column.push(value);
            }
        }
        Ok(columns.iter_mut().map(Builder::finish).collect())
    }

    fn bytes(&self) -> usize {
        Group::bytes(self)
    }
}

/// [`States`] made of a [`Slot`] each.
pub(crate) struct Slots<S> {
    spec: Spec,
    slots: Vec<S>,
}

impl<S: Slot> Slots<S> {
    pub(crate) fn boxed(spec: &Spec) -> Box<dyn States> {
        Box::new(Self {
            spec: spec.clone(),
            slots: Vec::new(),
        })
    }

    fn grow(&mut self, count: usize) {
        if self.slots.len() < count {
            self.slots.resize_with(count, S::default);
        }
    }
}

impl<S: Slot> States for Slots<S> {
    fn update(&mut self, groups: &[u32], count: usize, args: &[Datum]) -> Result<()> {
        self.grow(count);
        S::feed(&self.spec, &mut self.slots, groups, args)
    }

    fn merge(&mut self, other: Box<dyn States>, groups: &[u32], count: usize) -> Result<()> {
        self.grow(count);
        let other = other
            .into_any()
            .downcast::<Self>()
            .expect("states of one aggregate are merged");
        for (state, group) in other.slots.into_iter().zip(groups) {
            self.slots[*group as usize].merge(&self.spec, state)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, count: usize) -> Result<Vec<Column>> {
        self.grow(count);
        S::finish(&self.spec, self.slots)
    }

    fn bytes(&self) -> usize {
        self.slots.len() * size_of::<S>() + self.slots.iter().map(Slot::bytes).sum::<usize>()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// How many columns an aggregate gives, and what they are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One column, `prefix_arg` when it is not named.
    One { prefix: &'static str },
    /// One column, called as its argument.
    First,
    /// `arg_max(x, a, b)`: a column for each argument, called as the argument; `*` is all others.
    Args,
    /// As `Args`, with the word before each name: `any(a, b)` is `any_a`, `any_b`.
    Prefixed(&'static str),
    /// As `Args`, with the word and the first name before each: `argmax(x, a)` is `max_x`, `max_x_a`.
    Chained(&'static str),
    /// `percentiles(x, 5, 95)`: a column for each percentile, `percentile_x_5`. The number is how
    /// many arguments come before the percentiles.
    Percentiles(usize),
}

/// An aggregate function. `sumif(x, p)` is `sum` over the rows where `p` holds: variants with a
/// predicate are made of the plain function and not in the tables, but for their names.
#[derive(Debug)]
pub struct Aggregate {
    pub name: &'static str,
    pub signatures: Vec<Signature>,
    pub shape: Shape,
    /// The name of the variant that takes a predicate after the first argument: `sumif`.
    pub with_predicate: Option<&'static str>,
    pub make: fn(&Spec) -> Box<dyn States>,
}

impl Aggregate {
    pub(crate) fn new(
        name: &'static str,
        signature: &str,
        shape: Shape,
        make: fn(&Spec) -> Box<dyn States>,
    ) -> Self {
        Self {
            name,
            signatures: Signature::parse(signature),
            shape,
            with_predicate: None,
            make,
        }
    }

    /// What a column is called before its argument's name, where the shape is [`Shape::One`] or
    /// [`Shape::Prefixed`]: `sum_x`, `sumif_x`, but `list_x` for both `make_list` and `make_list_if`.
    #[must_use]
    pub fn prefix(&self, predicate: bool) -> Option<&'static str> {
        let (Shape::One { prefix } | Shape::Prefixed(prefix)) = self.shape else {
            return None;
        };
        match self.with_predicate {
            Some(variant) if predicate && prefix == self.name => Some(variant),
            _ => Some(prefix),
        }
    }

    pub(crate) fn or_if(mut self, name: &'static str) -> Self {
        self.with_predicate = Some(name);
        self
    }
}

static TABLE: LazyLock<HashMap<&'static str, Aggregate>> = LazyLock::new(|| {
    let tables = [
        buildschema::table(),
        collect::table(),
        distinct::table(),
        percentiles::table(),
        pick::table(),
        statistics::table(),
        sums::table(),
    ];
    let mut all = HashMap::new();
    for aggregate in tables.into_iter().flatten() {
        let name = aggregate.name;
        assert!(
            all.insert(name, aggregate).is_none(),
            "`{name}` is in two tables"
        );
    }
    all
});

/// The aggregate of this name, and whether the name is that of its variant with a predicate.
#[must_use]
pub fn find(name: &str) -> Option<(&'static Aggregate, bool)> {
    match TABLE.get(name) {
        Some(aggregate) => Some((aggregate, false)),
        None => TABLE
            .values()
            .find(|a| a.with_predicate == Some(name))
            .map(|aggregate| (aggregate, true)),
    }
}

pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE
        .values()
        .flat_map(|aggregate| std::iter::once(aggregate.name).chain(aggregate.with_predicate))
}
