//! Scalar expressions: names are resolved, operands are converted to what their operator takes.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::convert;
use super::super::error::{Error, Result, Span};
use super::super::exec::keys;
use super::super::expr::{Expr, ExprKind, Op, Set, Terms};
use super::super::json;
use super::super::plan::{Call, Shared};
use super::super::syntax::{self, Binary, InOp, Literal, TabularFunction, TextOp};
use super::super::types::{Schema, Type};
use super::super::value::Value;
use super::{Binder, Binding, Scope};

/// What an expression may look at.
pub(super) struct Context<'c> {
    pub(super) scope: &'c Scope,
    /// The columns of the row, if there is one.
    pub(super) row: Option<&'c Schema>,
    /// The columns of the right side, in `on $left.a == $right.b`.
    pub(super) right: Option<&'c Schema>,
    /// Whether `prev` and its kind may look at other rows.
    pub(super) ordered: bool,
    /// Where calls of aggregates go, when they may stand here.
    pub(super) calls: Option<&'c mut Vec<Call>>,
    /// The column of the first aggregate in what `summarize` gives.
    pub(super) first_call: usize,
    /// Columns that are keys as they are: `*` in an aggregate does not mean them.
    pub(super) keys: &'c [Expr],
}

impl<'c> Context<'c> {
    pub(super) fn constant(scope: &'c Scope) -> Self {
        Self {
            scope,
            row: None,
            right: None,
            ordered: false,
            calls: None,
            first_call: 0,
            keys: &[],
        }
    }

    pub(super) fn row(scope: &'c Scope, schema: &'c Schema, ordered: bool) -> Self {
        Self {
            row: Some(schema),
            ordered,
            ..Self::constant(scope)
        }
    }

    /// The same without aggregates: for the arguments of one.
    pub(super) fn inner(&self) -> Context<'c> {
        Context {
            scope: self.scope,
            row: self.row,
            right: self.right,
            ordered: self.ordered,
            calls: None,
            first_call: 0,
            keys: self.keys,
        }
    }
}

impl Binder<'_> {
    pub(super) fn expr(&mut self, expr: &syntax::Expr, cx: &mut Context<'_>) -> Result<Expr> {
        use syntax::ExprKind as Syntax;
        let span = expr.span;
        let bound = match &expr.kind {
            Syntax::Literal(literal) => self.literal(literal, span)?,
            Syntax::Name(name) => self.name(name, span, cx)?,
            Syntax::Member { object, member } => self.member(object, member, cx)?,
            Syntax::Index { object, index } => {
                let object_span = object.span;
                let object = self.expr(object, cx)?;
                self.dynamic_only(&object, object_span, "[]")?;
                let index = self.expr(index, cx)?;
                Expr::op(Op::Index, Type::Dynamic, vec![object, index])
            }
            Syntax::Call { function, args } => self.call(function, args, span, cx)?,
            Syntax::Unary { minus, operand } => {
                let operand = self.expr(operand, cx)?;
                if !operand.ty.is_summable() && operand.ty != Type::Dynamic {
                    let sign = if *minus { '-' } else { '+' };
                    return Err(Error::semantic(
                        span,
                        format!("operator `{sign}` is not defined for {}", operand.ty),
                    ));
                }
                if operand.ty == Type::Dynamic {
                    return Err(
                        Error::not_implemented(span, "a sign before a dynamic value")
                            .hint("convert it first"),
                    );
                }
                if *minus {
                    Expr::op(Op::Negate, operand.ty, vec![operand])
                } else {
                    operand
                }
            }
            Syntax::Binary { .. } => self.binary_chain(expr, cx)?,
            Syntax::In { op, left, list } => self.is_in(*op, left, list, span, cx)?,
            Syntax::Between {
                not,
                left,
                low,
                high,
            } => self.between(*not, left, low, high, cx)?,
            Syntax::Tabular {
                function: TabularFunction::ToScalar,
                body,
            } => {
                if self.is_table(body, cx.scope) {
                    let plan = self.table(body, cx.scope)?;
                    let Some(first) = plan.schema.fields.first() else {
                        return Err(Error::semantic(
                            span,
                            "`toscalar` needs a table with a column",
                        ));
                    };
                    let ty = first.ty;
                    Expr {
                        ty,
                        kind: ExprKind::Scalar(Arc::new(Shared::new(super::super::prune::prune(
                            plan,
                        )))),
                    }
                } else {
                    self.scalar(body, cx.scope)?
                }
            }
            Syntax::Star => return Err(Error::semantic(span, "`*` may not stand here")),
            Syntax::List(items) => match items.as_slice() {
                [one] => self.expr(one, cx)?,
                _ => return Err(Error::semantic(span, "a list may not stand here")),
            },
            Syntax::Unsupported(what) => return Err(Error::not_implemented(span, what)),
            _ => {
                return Err(Error::semantic(
                    span,
                    "a table may not stand here; a value is needed",
                ));
            }
        };
        Ok(self.fold(bound))
    }

    fn literal(&mut self, literal: &Literal, span: Span) -> Result<Expr> {
        Ok(match literal {
            Literal::Bool(v) => Expr::constant(Type::Bool, Value::Bool(*v)),
            Literal::Int(v) => Expr::constant(Type::Int, Value::Int(*v)),
            Literal::Long(v) => Expr::constant(Type::Long, Value::Long(*v)),
            Literal::Real(v) => Expr::constant(Type::Real, Value::Real(*v)),
            Literal::Decimal(text) => match convert::decimal(text) {
                Some(v) => Expr::constant(Type::Decimal, Value::Decimal(v)),
                None => {
                    return Err(Error::not_implemented(
                        span,
                        format!("a decimal as long as `{text}`"),
                    ));
                }
            },
            Literal::String(v) => Expr::constant(Type::String, Value::String(v.clone().into())),
            Literal::DateTime(v) => Expr::constant(Type::DateTime, Value::DateTime(*v)),
            Literal::TimeSpan(v) => Expr::constant(Type::TimeSpan, Value::TimeSpan(*v)),
            Literal::Guid(v) => Expr::constant(Type::Guid, Value::Guid(*v)),
            Literal::Dynamic(v) if v == "null" => Expr::constant(Type::Dynamic, Value::Null),
            Literal::Dynamic(v) => match json::compact(v) {
                Some(v) => Expr::constant(Type::Dynamic, Value::Dynamic(v.into())),
                None => {
                    return Err(Error::semantic(
                        span,
                        "the text of `dynamic(...)` is not JSON",
                    ));
                }
            },
            Literal::Null(ty) => Expr::constant(*ty, Value::Null),
        })
    }

    /// A column, before a `let`, before a table: Kusto looks in this order.
    fn name(&mut self, name: &str, span: Span, cx: &mut Context<'_>) -> Result<Expr> {
        if cx.calls.is_some() {
            // Beside aggregates only constants may stand.
            if let Some(Binding::Scalar(expr)) = cx.scope.find(name)
                && cx.row.is_none_or(|schema| schema.index(name).is_none())
            {
                return Ok(expr.clone());
            }
            if cx.row.is_some_and(|schema| schema.index(name).is_some()) {
                let message = format!(
                    "column `{name}` stands outside an aggregate; put it into one, or after `by`"
                );
                return Err(Error::semantic(span, message));
            }
        }
        if let Some(schema) = cx.row
            && let Some(index) = schema.index(name)
        {
            return Ok(Expr::column(index, schema.fields[index].ty));
        }
        match cx.scope.find(name) {
            Some(Binding::Scalar(expr)) => return Ok(expr.clone()),
            Some(Binding::Table(_)) => {
                return Err(Error::semantic(
                    span,
                    format!("`{name}` is a table; a value is needed"),
                ));
            }
            Some(Binding::Function(..)) => {
                return Err(Error::semantic(
                    span,
                    format!("`{name}` is a function; call it as `{name}(...)`"),
                ));
            }
            None => {}
        }
        let columns = cx
            .row
            .map(|schema| schema.names().collect::<Vec<_>>())
            .unwrap_or_default();
        let known = columns
            .into_iter()
            .chain(cx.scope.names())
            .collect::<Vec<_>>();
        let what = if cx.row.is_some() { "column" } else { "name" };
        Err(Error::semantic(span, format!("no {what} `{name}`")).nearest(name, known))
    }

    fn member(
        &mut self,
        object: &syntax::Expr,
        member: &syntax::Name,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        if let syntax::ExprKind::Name(side) = &object.kind
            && (side == "$left" || side == "$right")
        {
            let schema = if side == "$left" { cx.row } else { cx.right };
            let (Some(left), Some(schema)) = (cx.row, schema) else {
                return Err(Error::semantic(
                    object.span,
                    format!("`{side}` is only known in the keys of a join"),
                ));
            };
            let Some(index) = schema.index(&member.text) else {
                return Err(Error::semantic(
                    member.span,
                    format!("no column `{}` on that side", member.text),
                )
                .nearest(&member.text, schema.names()));
            };
            let shift = if side == "$left" { 0 } else { left.len() };
            return Ok(Expr::column(index + shift, schema.fields[index].ty));
        }
        let bound = self.expr(object, cx)?;
        self.dynamic_only(&bound, object.span, ".")?;
        Ok(Expr::op(
            Op::Member(member.text.clone()),
            Type::Dynamic,
            vec![bound],
        ))
    }

    fn dynamic_only(&self, expr: &Expr, span: Span, what: &str) -> Result<()> {
        if expr.ty == Type::Dynamic {
            return Ok(());
        }
        let message = format!("`{what}` needs a dynamic value, and this is {}", expr.ty);
        let error = Error::semantic(span, message);
        Err(if expr.ty == Type::String {
            error.hint("read it with `parse_json(...)` first")
        } else {
            error
        })
    }

    /// Long chains (`a and b and c ...`) lean to the left: walked in a loop, not by recursion.
    fn binary_chain(&mut self, expr: &syntax::Expr, cx: &mut Context<'_>) -> Result<Expr> {
        let mut chain = Vec::new();
        let mut at = expr;
        while let syntax::ExprKind::Binary { op, left, right } = &at.kind {
            chain.push((*op, at.span, right));
            at = left;
        }
        let mut left_span = at.span;
        let mut bound = self.expr(at, cx)?;
        for (op, span, right) in chain.into_iter().rev() {
            let right_bound = self.expr(right, cx)?;
            bound = self.binary(op, bound, left_span, right_bound, right.span, span)?;
            bound = self.fold(bound);
            left_span = span;
        }
        Ok(bound)
    }

    fn binary(
        &mut self,
        op: Binary,
        left: Expr,
        left_span: Span,
        right: Expr,
        right_span: Span,
        span: Span,
    ) -> Result<Expr> {
        let _ = left_span;
        match op {
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Modulo => {
                super::compare::arithmetic(op, left, right, span)
            }
            Binary::And | Binary::Or => {
                let bool_ = |expr: &Expr| matches!(expr.ty, Type::Bool | Type::Dynamic);
                if !bool_(&left) || !bool_(&right) {
                    let word = if op == Binary::And { "and" } else { "or" };
                    let message = format!(
                        "operator `{word}` is not defined for {} and {}",
                        left.ty, right.ty
                    );
                    return Err(Error::semantic(span, message));
                }
                let op = if op == Binary::And { Op::And } else { Op::Or };
                Ok(Expr::op(
                    op,
                    Type::Bool,
                    vec![left.cast(Type::Bool), right.cast(Type::Bool)],
                ))
            }
            Binary::Text(text, not) => {
                if !matches!(left.ty, Type::String | Type::Dynamic) || right.ty != Type::String {
                    let message = format!(
                        "a text operator is not defined for {} and {}",
                        left.ty, right.ty
                    );
                    return Err(Error::semantic(span, message).hint("convert with `tostring(...)`"));
                }
                if text == TextOp::MatchesRegex
                    && let Some(pattern) = right.as_const()
                    && let Err(error) = regex::Regex::new(pattern.text())
                {
                    return Err(Error::semantic(
                        right_span,
                        format!("no regular expression: {error}"),
                    ));
                }
                Ok(Expr::op(
                    Op::Text(text, not),
                    Type::Bool,
                    vec![left.cast(Type::String), right],
                ))
            }
            Binary::EqualFold | Binary::NotEqualFold => {
                let text = |expr: &Expr| matches!(expr.ty, Type::String | Type::Dynamic);
                if !text(&left) || !text(&right) {
                    let message = format!(
                        "operator `=~` is not defined for {} and {}",
                        left.ty, right.ty
                    );
                    return Err(Error::semantic(span, message));
                }
                let op = if op == Binary::EqualFold {
                    Op::EqualFold
                } else {
                    Op::NotEqualFold
                };
                Ok(Expr::op(
                    op,
                    Type::Bool,
                    vec![left.cast(Type::String), right.cast(Type::String)],
                ))
            }
            _ => super::compare::compare(op, left, right, span),
        }
    }

    fn is_in(
        &mut self,
        op: InOp,
        left: &syntax::Expr,
        list: &[syntax::Expr],
        span: Span,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let left_bound = self.expr(left, cx)?;
        let left = left_bound;
        let has = matches!(op, InOp::HasAny | InOp::HasAll);
        let fold = matches!(op, InOp::InFold | InOp::NotInFold);
        if has && !matches!(left.ty, Type::String | Type::Dynamic) {
            return Err(Error::semantic(
                span,
                format!(
                    "`has_any` and `has_all` need a string, and this is {}",
                    left.ty
                ),
            ));
        }
        if let [one] = list
            && self.is_table(one, cx.scope)
            && !matches!(&one.kind, syntax::ExprKind::Name(name)
                if cx.row.is_some_and(|schema| schema.index(name).is_some()))
        {
            let plan = self.table(one, cx.scope)?;
            let Some(first) = plan.schema.fields.first() else {
                return Err(Error::semantic(one.span, "the table has no column"));
            };
            super::compare::comparable(left.ty, first.ty, one.span)?;
            let mut wanted = vec![false; plan.schema.len()];
            wanted[0] = true;
            let table = Arc::new(Shared::new(super::super::prune::prune_to(plan, &wanted)));
            let left = Box::new(left);
            let kind = if has {
                ExprKind::HasList {
                    left,
                    terms: Terms::Table(table),
                    all: op == InOp::HasAll,
                }
            } else {
                ExprKind::InTable {
                    left,
                    table,
                    fold,
                    not: matches!(op, InOp::NotIn | InOp::NotInFold),
                }
            };
            return Ok(Expr {
                ty: Type::Bool,
                kind,
            });
        }
        let items = list
            .iter()
            .map(|item| self.expr(item, cx))
            .collect::<Result<Vec<_>>>()?;
        if has {
            let mut terms = Vec::new();
            for (item, syntax) in items.iter().zip(list) {
                let Some(value) = item.as_const() else {
                    return Err(Error::not_implemented(
                        syntax.span,
                        "`has_any` over values that are not constant",
                    ));
                };
                match value {
                    Value::Dynamic(raw) => match json::elements(raw) {
                        Some(items) => terms.extend(
                            items
                                .into_iter()
                                .map(|item| json::unquote(item).into_owned()),
                        ),
                        None => terms.push(json::unquote(raw).into_owned()),
                    },
                    value => terms.push(convert::text(value).into_owned()),
                }
            }
            let kind = ExprKind::HasList {
                left: Box::new(left),
                terms: Terms::Known(Arc::new(terms)),
                all: op == InOp::HasAll,
            };
            return Ok(Expr {
                ty: Type::Bool,
                kind,
            });
        }
        let not = matches!(op, InOp::NotIn | InOp::NotInFold);
        if items.iter().all(|item| item.as_const().is_some()) {
            let mut values = Vec::new();
            for item in &items {
                let value = item.as_const().expect("all items are constant");
                // A text that stands for a datetime or a guid is compared as one.
                values.push(match (left.ty, value) {
                    (Type::DateTime | Type::TimeSpan | Type::Guid, Value::String(_)) => {
                        convert::cast(value, left.ty)
                    }
                    _ => value.borrow(),
                });
            }
            let set = set_of(left.ty, fold, &values);
            return Ok(Expr {
                ty: Type::Bool,
                kind: ExprKind::In {
                    left: Box::new(left),
                    set: Arc::new(set),
                    fold,
                    not,
                },
            });
        }
        // Some are columns: one comparison each.
        let mut any = Expr::constant(Type::Bool, Value::Bool(false));
        for item in items {
            let equal = if fold {
                Expr::op(
                    Op::EqualFold,
                    Type::Bool,
                    vec![left.clone().cast(Type::String), item.cast(Type::String)],
                )
            } else {
                super::compare::compare(Binary::Equal, left.clone(), item, span)?
            };
            any = Expr::op(Op::Or, Type::Bool, vec![any, equal]);
        }
        if not {
            any = negated(any);
        }
        Ok(any)
    }

    /// Both ends are included. `t between (start .. 1h)` means from the start for that long.
    fn between(
        &mut self,
        not: bool,
        left: &syntax::Expr,
        low: &syntax::Expr,
        high: &syntax::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let span = left.span.to(high.span);
        let (value, from, to) = (
            self.expr(left, cx)?,
            self.expr(low, cx)?,
            self.expr(high, cx)?,
        );
        let to = if from.ty == Type::DateTime && to.ty == Type::TimeSpan {
            self.fold(super::compare::arithmetic(
                Binary::Add,
                from.clone(),
                to,
                high.span,
            )?)
        } else {
            to
        };
        let above = super::compare::compare(Binary::GreaterEqual, value.clone(), from, span)?;
        let below = super::compare::compare(Binary::LessEqual, value, to, span)?;
        let inside = Expr::op(Op::And, Type::Bool, vec![above, below]);
        if not {
            return Ok(negated(inside));
        }
        Ok(inside)
    }
}

/// The set of the values after `in`, for a left side of this type.
fn set_of(ty: Type, fold: bool, values: &[Value<'_>]) -> Set {
    if ty.is_integer()
        && values
            .iter()
            .all(|value| matches!(value, Value::Int(_) | Value::Long(_)))
    {
        return Set::Whole(values.iter().filter_map(Value::as_long).collect());
    }
    if ty == Type::String && !fold && values.iter().all(|value| matches!(value, Value::String(_))) {
        return Set::Texts(values.iter().map(|value| value.text().to_owned()).collect());
    }
    let mut set = HashSet::new();
    for value in values {
        keys::insert(value, fold, &mut set);
    }
    Set::Keys(set)
}

/// Not: null stays null.
fn negated(expr: Expr) -> Expr {
    let not = super::super::functions::find("not").expect("`not` is a function");
    Expr {
        ty: Type::Bool,
        kind: ExprKind::Call(not, vec![expr]),
    }
}
