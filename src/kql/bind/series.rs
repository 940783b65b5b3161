//! `make-series`.

use std::sync::Arc;

use super::super::error::{Error, Result, Span};
use super::super::exec::bins::{Axis, Bins};
use super::super::exec::series::Series;
use super::super::expr::Expr;
use super::super::json::Json;
use super::super::plan::{Node, Plan};
use super::super::syntax::{self, MakeSeries};
use super::super::types::{Field, Schema, Type};
use super::expand::broken;
use super::join::option;
use super::names::{self, Namer};
use super::parse::staged;
use super::{Binder, Scope, compare};

impl Binder<'_> {
    /// A `summarize` by the keys and the bin, whose rows then become arrays.
    pub(super) fn make_series(
        &mut self,
        input: Plan,
        series: &MakeSeries,
        scope: &Scope,
    ) -> Result<Plan> {
        let nonempty = match option(&series.options, "kind")? {
            None => false,
            Some((kind, _)) if kind == "nonempty" => true,
            Some((kind, at)) => {
                return Err(Error::semantic(
                    at,
                    format!("no series is of kind `{kind}`"),
                ));
            }
        };
        let axis = Arc::new(self.axis(&input, series, scope)?);
        let mut namer = Namer::default();
        let (keys, mut fields) = self.keys(&input, &series.by, &mut namer, scope)?;
        let mut calls = Vec::new();
        let mut outputs: Vec<Expr> = (0..keys.len())
            .map(|at| Expr::column(at, keys[at].ty))
            .collect();
        let bin = keys.len();
        outputs.push(Expr::column(bin, Type::Long));
        let mut defaults = Vec::new();
        let mut all_keys = keys.clone();
        all_keys.push(Expr::column(input.schema.len(), Type::Long));
        for column in &series.aggregates {
            let value = &column.column;
            let made = self.aggregate_column(&input, value, &all_keys, &mut calls, scope)?;
            let mut made = made.into_iter();
            let (Some((expr, suggestion)), None) = (made.next(), made.next()) else {
                return Err(Error::not_implemented(
                    value.value.span,
                    "an aggregate of several columns in `make-series`",
                ));
            };
            let name = match value.names.first() {
                Some(name) if namer.given(&name.text, Type::Dynamic) => name.text.clone(),
                Some(name) => {
                    let message = format!("a column `{}` is already there", name.text);
                    return Err(Error::semantic(name.span, message));
                }
                None => namer.unnamed(suggestion, Type::Dynamic),
            };
            fields.push(Field::new(name, Type::Dynamic));
            defaults.push(match &column.default {
                Some(default) => self.default(default, expr.ty, scope)?,
                None if expr.ty == Type::Real => Json::Real(0.0),
                None => Json::Long(0),
            });
            outputs.push(expr);
        }
        let name = match (series.on.names.first(), &series.on.value.kind) {
            (Some(name), _) => name.text.clone(),
            (None, syntax::ExprKind::Name(name)) => {
                namer.unnamed(Some(name.clone()), Type::Dynamic)
            }
            _ => namer.unnamed(names::suggested(&series.on.value), Type::Dynamic),
        };
        fields.push(Field::new(name, Type::Dynamic));

        let mut binned = input.schema.clone();
        binned
            .fields
            .push(Field::new(binned.free("bin"), Type::Long));
        let input = staged(input, binned, Bins(axis.clone()));
        let mut inner = Schema::new(fields[..bin].to_vec());
        inner.fields.push(Field::new(inner.free("bin"), Type::Long));
        for call in &calls {
            for ty in &call.spec.results {
                inner
                    .fields
                    .push(Field::new(inner.free(call.aggregate.name), *ty));
            }
        }
        let key_count = keys.len();
        let summarized = Plan {
            schema: inner,
            ordered: false,
            node: Node::Summarize {
                input: Arc::new(input),
                keys: Arc::new(all_keys),
                calls: Arc::new(calls),
            },
        };
        let shown = outputs.iter().enumerate();
        let shown = shown.map(|(at, expr)| Field::new(format!("c{at}"), expr.ty));
        let projected = Plan {
            schema: Schema::new(shown.collect()),
            ordered: false,
            node: Node::Project {
                input: Arc::new(summarized),
                exprs: Arc::new(outputs),
            },
        };
        let stage = Series {
            keys: key_count,
            axis,
            defaults,
            nonempty,
        };
        Ok(broken(projected, Schema::new(fields), stage))
    }

    fn default(&mut self, default: &syntax::Expr, ty: Type, scope: &Scope) -> Result<Json> {
        let value = self.scalar(default, scope)?;
        let value = super::super::exec::constant(&value, self.run)?;
        Ok(match Json::from_value(&value) {
            Json::Long(v) if ty == Type::Real => Json::Real(v as f64),
            Json::Real(v) if v.is_nan() => Json::Null,
            other => other,
        })
    }

    fn axis(&mut self, input: &Plan, series: &MakeSeries, scope: &Scope) -> Result<Axis> {
        let span = series.on.value.span;
        let value = self.row_expr(&series.on.value, input, scope)?;
        let from = series
            .from
            .as_ref()
            .map(|from| self.bound_end(from, scope))
            .transpose()?;
        let to = series
            .to
            .as_ref()
            .map(|to| self.bound_end(to, scope))
            .transpose()?;
        let step_span = series.step.span;
        let step = self.scalar(&series.step, scope)?;
        let ends = [&from, &to].into_iter().flatten();
        let ends: Vec<(Type, Span)> = ends.map(|(expr, span)| (expr.ty, *span)).collect();
        let ty = match value.ty {
            Type::DateTime | Type::TimeSpan => value.ty,
            Type::Int | Type::Long | Type::Real => {
                let mut types = ends.iter().map(|(ty, _)| *ty).chain([step.ty]);
                let wide = types.try_fold(value.ty, compare::widest);
                match wide {
                    Some(Type::Int | Type::Long) => Type::Long,
                    Some(Type::Real) => Type::Real,
                    _ => {
                        let message =
                            format!("an axis of {} does not go with these ends", value.ty);
                        return Err(Error::semantic(span, message));
                    }
                }
            }
            Type::Decimal => {
                return Err(Error::not_implemented(
                    span,
                    "an axis of decimals in `make-series`",
                ));
            }
            other => {
                let message = format!("an axis is a time or a number, and this is {other}");
                return Err(Error::semantic(span, message));
            }
        };
        if matches!(ty, Type::DateTime | Type::TimeSpan) {
            if let Some((other, at)) = ends.iter().find(|(end, _)| *end != ty) {
                let message = format!("the axis is {ty}, and this end is {other}");
                return Err(Error::semantic(*at, message));
            }
            if step.ty != Type::TimeSpan {
                let message = format!("the step of a {ty} axis is a timespan, not {}", step.ty);
                return Err(Error::semantic(step_span, message));
            }
        }
        let step_type = if ty == Type::DateTime {
            Type::TimeSpan
        } else {
            ty
        };
        Ok(Axis {
            ty,
            value: value.cast(ty),
            from: from.map(|(expr, _)| expr.cast(ty)),
            to: to.map(|(expr, _)| expr.cast(ty)),
            step: step.cast(step_type),
            in_range: series.in_range,
        })
    }

    fn bound_end(&mut self, end: &syntax::Expr, scope: &Scope) -> Result<(Expr, Span)> {
        Ok((self.scalar(end, scope)?, end.span))
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn rows_become_series() {
        for (name, text, expected) in [
            (
                "bins from the start",
                "range n from 1 to 10 step 1 | make-series c=count(), m=max(n)-min(n) on n from 0 to 12 step 4",
                "c:dynamic,m:dynamic,n:dynamic | [[3,4,3],[2,3,2],[0,4,8]]",
            ),
            (
                "ends of each series from its rows",
                r#"datatable(n:long,k:string)[1,"a",3,"a",2,"b"] | make-series c=count() default=-1 on n step 1 by k"#,
                r#"k:string,c:dynamic,n:dynamic | ["a",[1,-1,1],[1,2,3]] ["b",[1],[2]]"#,
            ),
            (
                "a range includes its end",
                "range n from 1 to 10 step 1 | make-series c=count() on n in range(4, 8, 4)",
                "c:dynamic,n:dynamic | [[4,1],[4,8]]",
            ),
            (
                "no rows, no series",
                "range n from 1 to 10 step 1 | take 0 | make-series c=count() on n from 0 to 4 step 2",
                "c:dynamic,n:dynamic | ",
            ),
            (
                "unless told",
                "range n from 1 to 10 step 1 | take 0 | make-series kind=nonempty c=count() default=7 on n from 0 to 4 step 2",
                "c:dynamic,n:dynamic | [[7,7],[0,2]]",
            ),
            (
                "times",
                "datatable(t:datetime,v:real)[datetime(2020-01-01),1.5] | make-series sum(v) on t from datetime(2020-01-01) to datetime(2020-01-02 12:00) step 1d",
                r#"sum_v:dynamic,t:dynamic | [[1.5,0.0],["2020-01-01T00:00:00.0000000Z","2020-01-02T00:00:00.0000000Z"]]"#,
            ),
            (
                "a step without length",
                "range n from 1 to 2 step 1 | make-series c=count() on n step 0",
                "the step of a series must be above zero",
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
