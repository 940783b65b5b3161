//! Spread: variance, deviation, covariance.

use super::{Aggregate, Shape, Slot, Slots, Spec, feed};
use crate::kql::column::{Column, Datum};
use crate::kql::error::Result;
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Aggregate> {
    let one = |prefix| Shape::One { prefix };
    let (single, pair) = ("summable -> real", "summable, summable -> real");
    vec![
        Aggregate::new(
            "variance",
            single,
            one("variance"),
            Slots::<Spread<true, false>>::boxed,
        )
        .or_if("varianceif"),
        Aggregate::new(
            "variancep",
            single,
            one("variancep"),
            Slots::<Spread<false, false>>::boxed,
        )
        .or_if("variancepif"),
        Aggregate::new(
            "stdev",
            single,
            one("stdev"),
            Slots::<Spread<true, true>>::boxed,
        )
        .or_if("stdevif"),
        Aggregate::new(
            "stdevp",
            single,
            one("stdevp"),
            Slots::<Spread<false, true>>::boxed,
        ),
        Aggregate::new(
            "covariance",
            pair,
            one("covariance"),
            Slots::<Pairs<true>>::boxed,
        )
        .or_if("covarianceif"),
        Aggregate::new(
            "covariancep",
            pair,
            one("covariancep"),
            Slots::<Pairs<false>>::boxed,
        )
        .or_if("covariancepif"),
    ]
}

/// Variance or, as `ROOT`, its root. Of a `SAMPLE` of fewer than two values it is zero, of a
/// population of none null: <https://learn.microsoft.com/kusto/query/summarize-operator>.
#[derive(Default)]
struct Spread<const SAMPLE: bool, const ROOT: bool> {
    count: f64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl<const SAMPLE: bool, const ROOT: bool> Slot for Spread<SAMPLE, ROOT> {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::reals(groups, &args[0], |_, group, v| {
            let slot = &mut slots[group];
            slot.count += 1.0;
            let distance = v - slot.mean;
            slot.mean += distance / slot.count;
            slot.squares += distance * (v - slot.mean);
        });
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        if other.count > 0.0 {
            let count = self.count + other.count;
            let distance = other.mean - self.mean;
            self.mean += distance * other.count / count;
            self.squares += other.squares + distance * distance * self.count * other.count / count;
            self.count = count;
        }
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let values =
            slots
                .into_iter()
                .map(|slot| match average::<SAMPLE>(slot.squares, slot.count) {
                    Some(v) if ROOT => Value::Real(v.sqrt()),
                    v => v.into(),
                });
        Ok(feed::column(Type::Real, values))
    }
}

fn average<const SAMPLE: bool>(sum: f64, count: f64) -> Option<f64> {
    if SAMPLE {
        Some(if count > 1.0 {
            sum / (count - 1.0)
        } else {
            0.0
        })
    } else {
        (count > 0.0).then(|| sum / count)
    }
}

/// Covariance. Rows count where both values are there; of no rows it is null.
#[derive(Default)]
struct Pairs<const SAMPLE: bool> {
    count: f64,
    x: f64,
    y: f64,
    products: f64,
}

impl<const SAMPLE: bool> Slot for Pairs<SAMPLE> {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        feed::reals(groups, &args[0], |row, group, x| {
            if let Some(y) = args[1].value(row).as_real() {
                let slot = &mut slots[group];
                slot.count += 1.0;
                let distance = x - slot.x;
                slot.x += distance / slot.count;
                slot.y += (y - slot.y) / slot.count;
                slot.products += distance * (y - slot.y);
            }
        });
        Ok(())
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        if other.count > 0.0 {
            let count = self.count + other.count;
            let (x, y) = (other.x - self.x, other.y - self.y);
            self.x += x * other.count / count;
            self.y += y * other.count / count;
            self.products += other.products + x * y * self.count * other.count / count;
            self.count = count;
        }
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let values = slots.into_iter().map(|slot| {
            (slot.count > 0.0)
                .then(|| average::<SAMPLE>(slot.products, slot.count))
                .flatten()
                .into()
        });
        Ok(feed::column(Type::Real, values))
    }
}
