//! `summarize`, `distinct`, `count`.

use std::sync::Arc;

use super::super::aggregates::{self, Shape};
use super::super::error::{Error, Result, Span};
use super::super::expr::Expr;
use super::super::plan::{Call, Node, Plan};
use super::super::syntax::{self, Column, Name};
use super::super::types::{Field, Schema, Type};
use super::names::{self, Namer};
use super::operators::own_columns;
use super::{Binder, Scope};

impl Binder<'_> {
    pub(super) fn summarize(
        &mut self,
        input: Plan,
        aggregates: &[Column],
        by: &[Column],
        span: Span,
        scope: &Scope,
    ) -> Result<Plan> {
        if aggregates.is_empty() && by.is_empty() {
            return Err(Error::semantic(
                span,
                "`summarize` needs an aggregate or a key",
            ));
        }
        let mut namer = Namer::default();
        let (keys, key_fields) = self.keys(&input, by, &mut namer, scope)?;
        let mut calls: Vec<Call> = Vec::new();
        // What the user sees: the keys, then a column for each aggregate expression.
        let mut outputs: Vec<Expr> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| Expr::column(at, key.ty))
            .collect();
        let mut fields: Vec<Field> = Vec::new();
        for column in aggregates {
            let made = self.aggregate_column(&input, column, &keys, &mut calls, scope)?;
            let named = column.names.len();
            for (index, (expr, suggestion)) in made.into_iter().enumerate() {
                let name = match column.names.get(index) {
                    Some(name) => {
                        if !namer.given(&name.text, expr.ty) {
                            return Err(Error::semantic(
                                name.span,
                                format!("a column `{}` is already there", name.text),
                            ));
                        }
                        name.text.clone()
                    }
                    None if named > 1 => continue,
                    None => namer.unnamed(suggestion, expr.ty),
                };
                fields.push(Field::new(name, expr.ty));
                outputs.push(expr);
            }
        }
        let (calls, outputs) = fused(keys.len(), calls, outputs);
        let mut schema = Schema::new(key_fields);
        let mut inner = schema.clone();
        for call in &calls {
            for (index, ty) in call.spec.results.iter().enumerate() {
                inner
                    .fields
                    .push(Field::new(format!("{}{index}", call.aggregate.name), *ty));
            }
        }
        schema.fields.extend(fields);
        let node = Node::Summarize {
            input: Arc::new(input),
            keys: Arc::new(keys),
            calls: Arc::new(calls),
        };
        let summarized = Plan {
            schema: inner,
            ordered: false,
            node,
        };
        let node = Node::Project {
            input: Arc::new(summarized),
            exprs: Arc::new(outputs),
        };
        Ok(Plan {
            schema,
            ordered: false,
            node,
        })
    }

    /// The expressions after `by`, and their columns, whose names go to the namer.
    pub(super) fn keys(
        &mut self,
        input: &Plan,
        by: &[Column],
        namer: &mut Namer,
        scope: &Scope,
    ) -> Result<(Vec<Expr>, Vec<Field>)> {
        let mut keys = Vec::with_capacity(by.len());
        let mut fields = Vec::with_capacity(by.len());
        for column in by {
            let key = self.row_expr(&column.value, input, scope)?;
            if key.ty == Type::Dynamic {
                let message =
                    "a dynamic value cannot be a key; convert it, as with `tostring(...)`";
                return Err(Error::semantic(column.value.span, message));
            }
            let given = match (column.names.first(), &column.value.kind) {
                (Some(name), _) => Some((&name.text, name.span)),
                (None, syntax::ExprKind::Name(name)) => Some((name, column.value.span)),
                _ => None,
            };
            let name = match given {
                Some((name, span)) => {
                    if !namer.given(name, key.ty) {
                        return Err(Error::semantic(
                            span,
                            format!("a column `{name}` is already there"),
                        ));
                    }
                    name.clone()
                }
                None => namer.unnamed(names::suggested(&column.value), key.ty),
            };
            fields.push(Field::new(name, key.ty));
            keys.push(key);
        }
        Ok((keys, fields))
    }

    /// A column of `summarize` or `make-series`: its expressions over what the calls give, with the
    /// names they suggest.
    pub(super) fn aggregate_column(
        &mut self,
        input: &Plan,
        column: &Column,
        keys: &[Expr],
        calls: &mut Vec<Call>,
        scope: &Scope,
    ) -> Result<Vec<(Expr, Option<String>)>> {
        let first_call = keys.len();
        let mut cx = Self::over(input, scope);
        cx.keys = keys;
        if let syntax::ExprKind::Call { function, args } = &column.value.kind
            && let Some((aggregate, predicate)) = aggregates::find(&function.text)
        {
            let (call, suggestions) =
                self.aggregate(aggregate, predicate, function, args, column.value.span, &cx)?;
            let at = first_call
                + calls
                    .iter()
                    .map(|call| call.spec.results.len())
                    .sum::<usize>();
            let made = call
                .spec
                .results
                .iter()
                .enumerate()
                .map(|(i, ty)| Expr::column(at + i, *ty));
            let made = made.zip(suggestions).collect();
            calls.push(call);
            return Ok(made);
        }
        let before = calls.len();
        cx.calls = Some(calls);
        cx.first_call = first_call;
        let expr = self.expr(&column.value, &mut cx)?;
        if calls.len() == before
            && !expr.is_constant()
            && !matches!(expr.kind, super::super::expr::ExprKind::Scalar(_))
        {
            return Err(Error::semantic(
                column.value.span,
                "an aggregate is needed here",
            ));
        }
        Ok(vec![(expr, names::suggested_aggregate(&column.value))])
    }

    pub(super) fn distinct(
        &mut self,
        input: Plan,
        columns: &[Column],
        scope: &Scope,
    ) -> Result<Plan> {
        let star = matches!(
            columns,
            [Column {
                value: syntax::Expr {
                    kind: syntax::ExprKind::Star,
                    ..
                },
                ..
            }]
        );
        let (keys, schema) = if star {
            (own_columns(&input.schema), input.schema.clone())
        } else {
            let mut namer = Namer::default();
            let projected = self.project(input.clone(), columns, scope)?;
            let mut keys = Vec::new();
            for column in columns {
                keys.push(self.row_expr(&column.value, &input, scope)?);
            }
            let _ = &mut namer;
            (keys, projected.schema)
        };
        let node = Node::Summarize {
            input: Arc::new(input),
            keys: Arc::new(keys),
            calls: Arc::new(Vec::new()),
        };
        Ok(Plan {
            schema,
            ordered: false,
            node,
        })
    }

    pub(super) fn count(&mut self, input: Plan, name: Option<&Name>) -> Result<Plan> {
        let (aggregate, _) = aggregates::find("count").expect("`count` is an aggregate");
        let spec = aggregates::Spec {
            args: Vec::new(),
            constants: Vec::new(),
            results: vec![Type::Long],
        };
        let call = Call {
            aggregate,
            args: Vec::new(),
            filter: None,
            spec,
        };
        let name = name.map_or("Count", |name| name.text.as_str());
        let schema = Schema::new(vec![Field::new(name, Type::Long)]);
        let node = Node::Summarize {
            input: Arc::new(input),
            keys: Arc::new(Vec::new()),
            calls: Arc::new(vec![call]),
        };
        Ok(Plan {
            schema,
            ordered: false,
            node,
        })
    }
}

/// Percentiles of the same values are taken together, so that the values are kept and sorted once.
fn fused(keys: usize, calls: Vec<Call>, outputs: Vec<Expr>) -> (Vec<Call>, Vec<Expr>) {
    let before = |call: &Call| match call.aggregate.shape {
        Shape::Percentiles(before) => Some(before),
        _ => None,
    };
    let text = |call: &Call, before: usize| format!("{:?} {:?}", &call.args[..before], call.filter);
    let mut made: Vec<Call> = Vec::new();
    // For each old result: the call it went to, and its place among that call's results.
    let mut went: Vec<(usize, usize)> = Vec::new();
    for call in calls {
        let partner = before(&call).and_then(|own| {
            made.iter().position(|other| {
                before(other) == Some(own) && text(other, own) == text(&call, own)
            })
        });
        match partner {
            Some(at) => {
                let own = before(&call).expect("a partner has percentiles");
                let first = made[at].spec.results.len();
                went.extend((0..call.spec.results.len()).map(|result| (at, first + result)));
                made[at].args.extend_from_slice(&call.args[own..]);
                made[at].spec.args.extend_from_slice(&call.spec.args[own..]);
                made[at]
                    .spec
                    .constants
                    .extend_from_slice(&call.spec.constants[own..]);
                made[at].spec.results.extend(call.spec.results);
            }
            None => {
                went.extend((0..call.spec.results.len()).map(|result| (made.len(), result)));
                made.push(call);
            }
        }
    }
    let place = |at: usize| {
        if at < keys {
            return at;
        }
        let (call, result) = went[at - keys];
        keys + made[..call]
            .iter()
            .map(|call| call.spec.results.len())
            .sum::<usize>()
            + result
    };
    let outputs = outputs.into_iter().map(|expr| expr.moved(&place)).collect();
    (made, outputs)
}
