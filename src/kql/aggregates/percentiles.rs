//! Percentiles, exact.
//!
//! Kusto estimates the nearest-rank percentile; here it is computed, so that answers over small sets
//! are Kusto's and those over large ones are what Kusto's come near to. Percentile 0 is the smallest
//! value, percentile 100 the largest.
//! <https://learn.microsoft.com/kusto/query/percentiles-aggregation-function>

use super::feed::Item;
use super::{Aggregate, Shape, Slot, Slots, Spec, States, feed};
use crate::kql::column::{Column, Datum};
use crate::kql::error::{Error, Kind, Result};
use crate::kql::exec::{cores, spread};
use crate::kql::json::Json;
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Aggregate> {
    // int is long in the result, decimal is real; the order of these lines decides.
    let plain = overloads("", "number+!", None);
    let weighted = overloads("long, ", "number+!", None);
    let array = overloads("", "number+!", Some("dynamic"));
    let weighted_array = overloads("long, ", "number+!", Some("dynamic"));
    let list = Shape::One {
        prefix: "percentiles",
    };
    vec![
        Aggregate::new(
            "percentile",
            &overloads("", "number!", None),
            Shape::Percentiles(1),
            plainly,
        ),
        Aggregate::new("percentiles", &plain, Shape::Percentiles(1), plainly),
        Aggregate::new(
            "percentilew",
            &overloads("long, ", "number!", None),
            Shape::Percentiles(2),
            weighed,
        ),
        Aggregate::new("percentilesw", &weighted, Shape::Percentiles(2), weighed),
        Aggregate::new("percentiles_array", &array, list, plainly),
        Aggregate::new("percentilesw_array", &weighted_array, list, weighed),
    ]
}

fn overloads(weight: &str, ranks: &str, result: Option<&str>) -> String {
    let mut all = Vec::new();
    for (value, own) in [
        ("integer", "long"),
        ("real", "real"),
        ("decimal", "real"),
        ("any", "0"),
    ] {
        let result = result.unwrap_or(own);
        all.push(format!("{value}, {weight}{ranks} -> {result}"));
        if result == "dynamic" {
            all.push(format!("{value}, {weight}dynamic! -> {result}"));
        }
    }
    all.join("; ")
}

fn plainly(spec: &Spec) -> Box<dyn States> {
    choose::<false>(spec)
}

/// A value counts as often as its weight says; weights below one are none.
fn weighed(spec: &Spec) -> Box<dyn States> {
    choose::<true>(spec)
}

fn choose<const WEIGHED: bool>(spec: &Spec) -> Box<dyn States> {
    match spec.args.first() {
        Some(ty) if feed::has_longs(*ty) => Slots::<Sample<i64, WEIGHED>>::boxed(spec),
        Some(Type::Real | Type::Decimal) => Slots::<Sample<f64, WEIGHED>>::boxed(spec),
        _ => Slots::<Sample<Value<'static>, WEIGHED>>::boxed(spec),
    }
}

/// The percentiles asked for, 0 to 100.
fn ranks(spec: &Spec, first: usize) -> Result<Vec<f64>> {
    let mut ranks = Vec::new();
    for constant in spec.constants.iter().skip(first) {
        match constant {
            Some(Value::Dynamic(raw)) => {
                let items = match Json::parse(raw) {
                    Some(Json::Array(items)) => items,
                    _ => Vec::new(),
                };
                ranks.extend(items.iter().map(|item| item.as_real().unwrap_or(f64::NAN)));
            }
            Some(value) => ranks.push(value.as_real().unwrap_or(f64::NAN)),
            None => ranks.push(f64::NAN),
        }
    }
    if ranks.is_empty() || ranks.iter().any(|rank| !(0.0..=100.0).contains(rank)) {
        return Err(Error::execution(
            "percentiles must be constant numbers from 0 to 100",
        ));
    }
    Ok(ranks)
}

/// All values of a group; weights beside them when there are any.
struct Sample<T, const WEIGHED: bool> {
    items: Vec<T>,
    weights: Vec<i64>,
    bytes: usize,
}

impl<T, const WEIGHED: bool> Default for Sample<T, WEIGHED> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            weights: Vec::new(),
            bytes: 0,
        }
    }
}

impl<T: Item, const WEIGHED: bool> Sample<T, WEIGHED> {
    /// The values at the ranks; nothing when there are no values.
    fn at(mut self, ranks: &[f64], ty: Type) -> Option<Vec<Value<'static>>> {
        if self.items.is_empty() {
            return None;
        }
        if !WEIGHED {
            let count = self.items.len();
            let place = |rank: &f64| nearest(*rank, count as i128) as usize - 1;
            if let [rank] = ranks {
                let (_, item, _) = self
                    .items
                    .select_nth_unstable_by(place(rank), |a, b| a.order(b));
                return Some(vec![item.cell(ty)]);
            }
            self.items.sort_unstable_by(|a, b| a.order(b));
            return Some(
                ranks
                    .iter()
                    .map(|rank| self.items[place(rank)].cell(ty))
                    .collect(),
            );
        }
        let total: i128 = self.weights.iter().map(|weight| i128::from(*weight)).sum();
        let mut pairs: Vec<(T, i64)> = self.items.into_iter().zip(self.weights).collect();
        pairs.sort_unstable_by(|a, b| a.0.order(&b.0));
        let found = ranks.iter().map(|rank| {
            let mut left = nearest(*rank, total);
            let item = pairs.iter().find(|(_, weight)| {
                left -= i128::from(*weight);
                left <= 0
            });
            item.map_or(Value::Null, |(item, _)| item.cell(ty))
        });
        Some(found.collect())
    }
}

/// The work for each slot, on all cores when there is much to sort; results in the slots' order.
fn each_slot<T: Item, R: Send, const WEIGHED: bool>(
    slots: Vec<Sample<T, WEIGHED>>,
    work: impl Fn(Sample<T, WEIGHED>) -> R + Sync,
) -> Result<Vec<R>> {
    let much = slots.iter().map(|slot| slot.items.len()).sum::<usize>() >= 100_000;
    spread(slots, if much { cores() } else { 1 }, |slot| Ok(work(slot)))
}

/// The place, from one, of a percentile among so many values.
fn nearest(rank: f64, count: i128) -> i128 {
    // 55 percent of 100 is 55.00000000000001 in binary.
    let exact = rank * count as f64 / 100.0;
    let place = if (exact - exact.round()).abs() < 1e-9 * exact.max(1.0) {
        exact.round()
    } else {
        exact.ceil()
    };
    (place as i128).clamp(1, count.max(1))
}

impl<T: Item, const WEIGHED: bool> Slot for Sample<T, WEIGHED> {
    fn feed(spec: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        ranks(spec, 1 + usize::from(WEIGHED))?;
        if spec.args[0] == Type::Dynamic {
            return Err(Error {
                kind: Kind::NotImplemented,
                ..Error::execution("a percentile of dynamic values is not implemented")
            });
        }
        T::each(groups, &args[0], |row, group, item| {
            let slot = &mut slots[group];
            if WEIGHED {
                match args[1].value(row).as_long() {
                    Some(weight) if weight > 0 => slot.weights.push(weight),
                    _ => return,
                }
            }
            slot.bytes += item.bytes();
            slot.items.push(item);
        });
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.items.extend(other.items);
        self.weights.extend(other.weights);
        self.bytes += other.bytes;
        Ok(())
    }

    fn finish(spec: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let ranks = ranks(spec, 1 + usize::from(WEIGHED))?;
        if spec.results == [Type::Dynamic] {
            let ty = spec.args[0];
            let arrays = each_slot(slots, |slot| slot.at(&ranks, ty))?
                .into_iter()
                .map(|found| match found {
                    Some(found) => {
                        Json::Array(found.iter().map(Json::from_value).collect()).into_value()
                    }
                    None => Value::Null,
                });
            return Ok(feed::column(Type::Dynamic, arrays));
        }
        let mut columns: Vec<Vec<Value<'static>>> = vec![Vec::new(); ranks.len()];
        for found in each_slot(slots, |slot| slot.at(&ranks, spec.results[0]))? {
            match found {
                Some(found) => {
                    for (column, value) in columns.iter_mut().zip(found) {
                        column.push(value);
                    }
                }
                None => columns
                    .iter_mut()
                    .for_each(|column| column.push(Value::Null)),
            }
        }
        Ok(columns
            .into_iter()
            .zip(&spec.results)
            .map(|(values, ty)| Column::from_values(*ty, values))
            .collect())
    }

    fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>() + self.weights.capacity() * 8 + self.bytes
    }
}
