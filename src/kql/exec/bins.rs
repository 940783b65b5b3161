//! The bins of `make-series`.

use std::sync::Arc;

use arrow_array::BooleanArray;

use super::super::column::Builder;
use super::super::error::{Error, Result};
use super::super::expr::Expr;
use super::super::json::Json;
use super::super::plan::{Batch, Stage};
use super::super::types::Type;
use super::super::value::Value;
use super::{Run, constant, eval};

/// The most values of a series, as in Kusto.
const LONGEST: i64 = 1 << 20;

/// An axis cut into bins of one size: bin `i` begins at `start + i * step`.
pub(crate) struct Axis {
    /// datetime, timespan, long or real.
    pub(crate) ty: Type,
    pub(crate) value: Expr,
    pub(crate) from: Option<Expr>,
    pub(crate) to: Option<Expr>,
    pub(crate) step: Expr,
    /// `in range(...)`: bins begin at multiples of the step, and the end is inside.
    pub(crate) in_range: bool,
}

/// The axis with its ends known.
pub(crate) struct Ends {
    ty: Type,
    from: Option<Value<'static>>,
    to: Option<Value<'static>>,
    step: Value<'static>,
    in_range: bool,
}

impl Axis {
    pub(crate) fn ends(&self, run: &Arc<Run>) -> Result<Ends> {
        let end = |expr: &Option<Expr>, what: &str| match expr {
            None => Ok(None),
            Some(expr) => match constant(expr, run)? {
                Value::Null => Err(Error::execution(format!(
                    "the {what} of the series is null"
                ))),
                value => Ok(Some(value)),
            },
        };
        let step = constant(&self.step, run)?;
        if step
            .as_real()
            .is_none_or(|step| step.is_nan() || step <= 0.0)
        {
            return Err(Error::execution("the step of a series must be above zero"));
        }
        Ok(Ends {
            ty: self.ty,
            from: end(&self.from, "start")?,
            to: end(&self.to, "end")?,
            step,
            in_range: self.in_range,
        })
    }
}

impl Ends {
    fn start(&self) -> Value<'static> {
        match &self.from {
            Some(from) if !self.in_range => from.clone(),
            _ if self.ty == Type::Real => Value::Real(0.0),
            _ => Value::Long(0),
        }
    }

    /// The bin of a value; none when it lies outside.
    fn bin(&self, value: &Value<'_>) -> Option<i64> {
        if value.is_null() {
            return None;
        }
        let before = |a: &Value<'_>, b: &Value<'_>| a.order(b).is_lt();
        if self.from.as_ref().is_some_and(|from| before(value, from)) {
            return None;
        }
        if let Some(to) = &self.to
            && (before(to, value) || (!self.in_range && !before(value, to)))
        {
            return None;
        }
        self.place(value)
    }

    fn place(&self, value: &Value<'_>) -> Option<i64> {
        if self.ty == Type::Real {
            let place =
                ((value.as_real()? - self.start().as_real()?) / self.step.as_real()?).floor();
            return (place.abs() < 9e18).then_some(place as i64);
        }
        let (value, start) = (value.as_long()?, self.start().as_long()?);
        Some(value.checked_sub(start)?.div_euclid(self.step.as_long()?))
    }

    /// The bins of a series whose rows lie in `found`, the end not included.
    pub(crate) fn bins(&self, found: Option<(i64, i64)>) -> Result<std::ops::Range<i64>> {
        let first = match &self.from {
            Some(from) => self.place(from),
            None => found.map(|(first, _)| first),
        };
        let end = match &self.to {
            Some(to) => self.place(to).map(|place| {
                // A bin that begins at the end is not part of it, unless ends are inside.
                let begins = self.at(place).order(to).is_eq();
                if begins && !self.in_range {
                    place
                } else {
                    place + 1
                }
            }),
            None => found.map(|(_, last)| last + 1),
        };
        let (Some(first), Some(end)) = (first, end) else {
            return Ok(0..0);
        };
        if end.saturating_sub(first) > LONGEST {
            return Err(Error::execution(format!(
                "a series has more than {LONGEST} values"
            )));
        }
        Ok(first..end.max(first))
    }

    /// Where a bin begins.
    fn at(&self, bin: i64) -> Value<'static> {
        if self.ty == Type::Real {
            let start = self.start().as_real().unwrap_or(0.0);
            return Value::Real((bin as f64).mul_add(self.step.as_real().unwrap_or(0.0), start));
        }
        let start = self.start().as_long().unwrap_or(0);
        let at = start.saturating_add(bin.saturating_mul(self.step.as_long().unwrap_or(0)));
        match self.ty {
            Type::DateTime => Value::DateTime(at),
            Type::TimeSpan => Value::TimeSpan(at),
            _ => Value::Long(at),
        }
    }

    pub(crate) fn label(&self, bin: i64) -> Json {
        Json::from_value(&self.at(bin))
    }
}

/// Puts the bin of each row behind its columns, and leaves out rows outside the axis.
pub(crate) struct Bins(pub(crate) Arc<Axis>);

impl Stage for Bins {
    fn name(&self) -> &'static str {
        "bins"
    }

    fn apply(&self, batch: Batch, run: &Arc<Run>) -> Result<Batch> {
        let ends = self.0.ends(run)?;
        let values = eval::eval(&self.0.value, &batch, run)?;
        let mut bins = Builder::new(Type::Long, batch.rows);
        let mut keep = Vec::with_capacity(batch.rows);
        for row in 0..batch.rows {
            let bin = ends.bin(&values.value(row));
            keep.push(bin.is_some());
            bins.push(&Value::Long(bin.unwrap_or(0)));
        }
        let rows = keep.iter().filter(|keep| **keep).count();
        let keep = BooleanArray::from(keep);
        let columns = batch.columns.into_iter().chain([bins.finish()]);
        let columns = columns.map(|column| column.filter(&keep));
        Ok(Batch::new(columns.collect(), rows))
    }

    fn needs(&self, wanted: &[bool], input: usize) -> Vec<bool> {
        let mut below = wanted[..input].to_vec();
        self.0.value.mark(&mut below);
        below
    }
}
