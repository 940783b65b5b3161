//! Operators of a pipe.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::error::{Error, Result};
use super::super::expr::{Expr, ExprKind};
use super::super::plan::{Node, Plan, SortKey};
use super::super::syntax::{self, Column, Operator, OperatorKind, Pattern, ReorderOrder};
use super::super::types::{Field, Schema, Type};
use super::expr::Context;
use super::names::{self, Namer};
use super::table::{element, wildcard};
use super::{Binder, Binding, Render, Scope};

impl Binder<'_> {
    /// One operator. `scope` grows with `as`.
    pub(super) fn operator(
        &mut self,
        input: Plan,
        operator: &Operator,
        scope: &mut Scope,
    ) -> Result<Plan> {
        let span = operator.span;
        self.one_more(span)?;
        match &operator.kind {
            OperatorKind::Where(predicate) => self.filter(input, predicate, scope),
            OperatorKind::Extend(columns) => self.extend(input, columns, scope),
            OperatorKind::Serialize(columns) => {
                let input = Plan {
                    ordered: true,
                    ..input
                };
                if columns.is_empty() {
                    Ok(input)
                } else {
                    self.extend(input, columns, scope)
                }
            }
            OperatorKind::Project(columns) => self.project(input, columns, scope),
            OperatorKind::ProjectAway(patterns) => {
                self.known_columns(&input, patterns)?;
                let keep =
                    |name: &str| !patterns.iter().any(|pattern| wildcard(&pattern.text, name));
                Ok(pick(input, |schema| {
                    (0..schema.len())
                        .filter(|i| keep(&schema.fields[*i].name))
                        .collect()
                }))
            }
            OperatorKind::ProjectKeep(patterns) => {
                self.known_columns(&input, patterns)?;
                let keep =
                    |name: &str| patterns.iter().any(|pattern| wildcard(&pattern.text, name));
                Ok(pick(input, |schema| {
                    (0..schema.len())
                        .filter(|i| keep(&schema.fields[*i].name))
                        .collect()
                }))
            }
            OperatorKind::ProjectRename(renames) => self.rename(input, renames),
            OperatorKind::ProjectReorder(patterns) => {
                let only: Vec<Pattern> = patterns
                    .iter()
                    .map(|(pattern, _)| pattern.clone())
                    .collect();
                self.known_columns(&input, &only)?;
                Ok(pick(input, |schema| reordered(schema, patterns)))
            }
            OperatorKind::Summarize {
                options: _,
                aggregates,
                by,
            } => self.summarize(input, aggregates, by, span, scope),
            OperatorKind::Distinct(columns) => self.distinct(input, columns, scope),
            OperatorKind::Count { name } => self.count(input, name.as_ref()),
            OperatorKind::Sort { by, .. } => {
                let keys = self.sort_keys(&input, by, scope)?;
                let schema = input.schema.clone();
                Ok(Plan {
                    schema,
                    ordered: true,
                    node: Node::Sort {
                        input: Arc::new(input),
                        keys: Arc::new(keys),
                    },
                })
            }
            OperatorKind::Top { count, by } => {
                let keys = self.sort_keys(&input, by, scope)?;
                let count = self.row_count(count, scope)?;
                let schema = input.schema.clone();
                let node = Node::Top {
                    input: Arc::new(input),
                    keys: Arc::new(keys),
                    count,
                };
                Ok(Plan {
                    schema,
                    ordered: true,
                    node,
                })
            }
            OperatorKind::Take(count) | OperatorKind::Sample(count) => {
                let count = self.row_count(count, scope)?;
                let (schema, ordered) = (input.schema.clone(), input.ordered);
                Ok(Plan {
                    schema,
                    ordered,
                    node: Node::Take {
                        input: Arc::new(input),
                        count,
                    },
                })
            }
            OperatorKind::SampleDistinct { count, of } => {
                let column = Column {
                    names: Vec::new(),
                    value: of.clone(),
                };
                let distinct = self.distinct(input, std::slice::from_ref(&column), scope)?;
                let count = self.row_count(count, scope)?;
                let schema = distinct.schema.clone();
                Ok(Plan {
                    schema,
                    ordered: false,
                    node: Node::Take {
                        input: Arc::new(distinct),
                        count,
                    },
                })
            }
            OperatorKind::Join { options, right, on } => {
                self.join(input, options, right, on, span, scope)
            }
            OperatorKind::Lookup { options, right, on } => {
                self.lookup(input, options, right, on, span, scope)
            }
            OperatorKind::Union { options, tables } => {
                self.union(Some(input), options, tables, scope, span)
            }
            OperatorKind::As { name, .. } => {
                let (schema, ordered) = (input.schema.clone(), input.ordered);
                let shared = super::super::plan::Shared::new(super::super::prune::prune(input));
                let plan = Plan {
                    schema,
                    ordered,
                    node: Node::Shared(Arc::new(shared)),
                };
                *scope = scope.with(&name.text, Binding::Table(Arc::new(plan.clone())));
                Ok(plan)
            }
            OperatorKind::Render { kind, options } => {
                let text = |expr: &syntax::Expr| match &expr.kind {
                    syntax::ExprKind::Name(name) => name.clone(),
                    syntax::ExprKind::Literal(syntax::Literal::String(text)) => text.clone(),
                    syntax::ExprKind::Literal(syntax::Literal::Bool(v)) => v.to_string(),
                    syntax::ExprKind::Literal(syntax::Literal::Long(v)) => v.to_string(),
                    _ => String::new(),
                };
                self.render = Some(Render {
                    kind: kind.text.clone(),
                    properties: options
                        .iter()
                        .map(|o| (o.name.text.clone(), text(&o.value)))
                        .collect(),
                });
                Ok(input)
            }
            OperatorKind::Consume => {
                let none = Plan {
                    schema: input.schema.clone(),
                    ordered: false,
                    node: Node::Take {
                        input: Arc::new(input),
                        count: Expr::constant(Type::Long, super::super::value::Value::Long(0)),
                    },
                };
                Ok(pick(none, |_| Vec::new()))
            }
            OperatorKind::Other { keyword } => Err(Error::not_implemented(
                span,
                format!("operator `{keyword}`"),
            )),
            _ => self.more(input, operator, scope),
        }
    }

    pub(super) fn filter(
        &mut self,
        input: Plan,
        predicate: &syntax::Expr,
        scope: &Scope,
    ) -> Result<Plan> {
        let plain = Self::starred(predicate, &input.schema);
        let bound = self.ordered_expr(plain.as_ref().unwrap_or(predicate), &input, scope)?;
        if !matches!(bound.ty, Type::Bool | Type::Dynamic) {
            return Err(Error::semantic(
                predicate.span,
                format!("`where` needs a bool, and this is {}", bound.ty),
            ));
        }
        Ok(filtered(input, bound.cast(Type::Bool)))
    }

    pub(super) fn extend(
        &mut self,
        input: Plan,
        columns: &[Column],
        scope: &Scope,
    ) -> Result<Plan> {
        let mut schema = input.schema.clone();
        let mut exprs = own_columns(&schema);
        let mut namer = Namer::after(&schema);
        let mut set = |name: String, expr: Expr, schema: &mut Schema| match schema.index(&name) {
            Some(at) => {
                schema.fields[at].ty = expr.ty;
                exprs[at] = expr;
            }
            None => {
                schema.fields.push(Field::new(name, expr.ty));
                exprs.push(expr);
            }
        };
        let mut made: Vec<String> = Vec::new();
        // What is there may be replaced, once.
        let mut given = HashSet::new();
        for name in columns.iter().flat_map(|column| &column.names) {
            if !given.insert(name.text.as_str()) {
                let message = format!("a column `{}` is already there", name.text);
                return Err(Error::semantic(name.span, message));
            }
        }
        for column in columns {
            // A bare name says nothing new.
            if column.names.is_empty()
                && let syntax::ExprKind::Name(name) = &column.value.kind
                && input.schema.index(name).is_some()
            {
                continue;
            }
            let expr = self.ordered_expr(&column.value, &input, scope)?;
            let many = self.several(&column.value, &column.names)?;
            if many.is_empty() {
                // A name that the expression suggests is as good as a given one: the column of that
                // name is replaced, but for one that was made here.
                let name = match (column.names.first(), names::suggested(&column.value)) {
                    (Some(name), _) => name.text.clone(),
                    (None, Some(name)) if !made.contains(&name) => name,
                    (None, suggestion) => namer.unnamed(suggestion, expr.ty),
                };
                made.push(name.clone());
                set(name, expr, &mut schema);
                continue;
            }
            for (at, (name, given, ty)) in many.into_iter().enumerate() {
                let name = if given || !made.contains(&name) {
                    name
                } else {
                    namer.unnamed(Some(name), ty)
                };
                made.push(name.clone());
                set(name, element(expr.clone(), at, ty), &mut schema);
            }
        }
        let ordered = input.ordered;
        Ok(Plan {
            schema,
            ordered,
            node: Node::Project {
                input: Arc::new(input),
                exprs: Arc::new(exprs),
            },
        })
    }

    pub(super) fn project(
        &mut self,
        input: Plan,
        columns: &[Column],
        scope: &Scope,
    ) -> Result<Plan> {
        let mut namer = Namer::default();
        let mut fields = Vec::new();
        let mut exprs = Vec::new();
        for column in columns {
            if matches!(column.value.kind, syntax::ExprKind::Star) {
                for (index, field) in input.schema.fields.iter().enumerate() {
                    namer.given(&field.name, field.ty);
                    fields.push(field.clone());
                    exprs.push(Expr::column(index, field.ty));
                }
                continue;
            }
            let expr = self.ordered_expr(&column.value, &input, scope)?;
            let many = self.several(&column.value, &column.names)?;
            for (at, (name, given, ty)) in many.iter().enumerate() {
                let name = if *given {
                    namer.given(name, *ty);
                    name.clone()
                } else {
                    namer.unnamed(Some(name.clone()), *ty)
                };
                fields.push(Field::new(name, *ty));
                exprs.push(element(expr.clone(), at, *ty));
            }
            if !many.is_empty() {
                continue;
            }
            let named = match (column.names.first(), &column.value.kind) {
                (Some(name), _) => Some((name.text.clone(), name.span)),
                (None, syntax::ExprKind::Name(name)) => Some((name.clone(), column.value.span)),
                _ => None,
            };
            let name = match named {
                Some((name, span)) => {
                    if !namer.given(&name, expr.ty) {
                        return Err(Error::semantic(
                            span,
                            format!("a column `{name}` is already there"),
                        ));
                    }
                    name
                }
                None => namer.unnamed(names::suggested(&column.value), expr.ty),
            };
            fields.push(Field::new(name, expr.ty));
            exprs.push(expr);
        }
        let ordered = input.ordered;
        let node = Node::Project {
            input: Arc::new(input),
            exprs: Arc::new(exprs),
        };
        Ok(Plan {
            schema: Schema::new(fields),
            ordered,
            node,
        })
    }

    /// The columns of a function with several results: their names, whether these were given, and
    /// their types. None when the function has one result.
    pub(super) fn several(
        &mut self,
        value: &syntax::Expr,
        given: &[syntax::Name],
    ) -> Result<Vec<(String, bool, Type)>> {
        let results = match &value.kind {
            syntax::ExprKind::Call { function, args } => {
                let option = |arg: &&syntax::Arg| {
                    matches!(
                        arg.value.kind,
                        syntax::ExprKind::Literal(syntax::Literal::Bool(_))
                    )
                };
                let arrays = args.len() - args.iter().filter(option).count();
                super::super::functions::several(&function.text, arrays)
            }
            .map(|results| (function, args, results)),
            _ => None,
        };
        let Some((function, args, results)) = results else {
            if given.len() > 1 {
                return Err(Error::semantic(
                    value.span,
                    "this gives one column, and several names are given for it",
                ));
            }
            return Ok(Vec::new());
        };
        if given.len() > results.len() {
            let (columns, names) = (results.len(), given.len());
            let message = format!(
                "`{}` gives {columns} columns, and {names} names are given",
                function.text
            );
            return Err(Error::semantic(value.span, message));
        }
        let suggested = |index: usize| args.get(index).and_then(|arg| names::suggested(&arg.value));
        let first = suggested(0).unwrap_or_default();
        let named = |(index, (name, ty)): (usize, (String, Type))| match given.get(index) {
            Some(given) => (given.text.clone(), true, ty),
            None if name.starts_with("{n}") => {
                let own = suggested(index).unwrap_or_else(|| format!("array{index}"));
                (name.replace("{n}", &own), false, ty)
            }
            None => (name.replace("{}", &first), false, ty),
        };
        Ok(results.into_iter().enumerate().map(named).collect())
    }

    fn rename(&mut self, input: Plan, renames: &[(syntax::Name, syntax::Name)]) -> Result<Plan> {
        let mut schema = input.schema.clone();
        for (new, old) in renames {
            let Some(at) = input.schema.index(&old.text) else {
                return Err(
                    Error::semantic(old.span, format!("no column `{}`", old.text))
                        .nearest(&old.text, input.schema.names()),
                );
            };
            schema.fields[at].name.clone_from(&new.text);
        }
        for (new, _) in renames {
            if schema.names().filter(|name| *name == new.text).count() > 1 {
                return Err(Error::semantic(
                    new.span,
                    format!("a column `{}` is already there", new.text),
                ));
            }
        }
        let exprs = own_columns(&schema);
        let ordered = input.ordered;
        Ok(Plan {
            schema,
            ordered,
            node: Node::Project {
                input: Arc::new(input),
                exprs: Arc::new(exprs),
            },
        })
    }

    /// Names without a star must be columns.
    fn known_columns(&self, input: &Plan, patterns: &[Pattern]) -> Result<()> {
        for pattern in patterns {
            if !pattern.text.contains('*') && input.schema.index(&pattern.text).is_none() {
                return Err(
                    Error::semantic(pattern.span, format!("no column `{}`", pattern.text))
                        .nearest(&pattern.text, input.schema.names()),
                );
            }
        }
        Ok(())
    }

    /// Descending unless told otherwise; nulls first when ascending, last when descending.
    pub(super) fn sort_keys(
        &mut self,
        input: &Plan,
        by: &[syntax::SortKey],
        scope: &Scope,
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(by.len());
        for key in by {
            let expr = self.row_expr(&key.value, input, scope)?;
            if expr.ty == Type::Dynamic {
                return Err(Error::semantic(
                    key.value.span,
                    "a dynamic value has no order; convert it first",
                ));
            }
            let ascending = key.ascending.unwrap_or(false);
            keys.push(SortKey {
                expr,
                ascending,
                nulls_first: key.nulls_first.unwrap_or(ascending),
            });
        }
        Ok(keys)
    }

    pub(super) fn row_count(&mut self, count: &syntax::Expr, scope: &Scope) -> Result<Expr> {
        let bound = self.scalar(count, scope)?;
        if !bound.ty.is_number() {
            return Err(Error::semantic(
                count.span,
                format!("a number of rows is needed, and this is {}", bound.ty),
            ));
        }
        Ok(bound.cast(Type::Long))
    }

    /// A context over the columns of a plan.
    pub(super) fn over<'c>(input: &'c Plan, scope: &'c Scope) -> Context<'c> {
        Context::row(scope, &input.schema, false)
    }
}

pub(super) fn filtered(input: Plan, predicate: Expr) -> Plan {
    let (schema, ordered) = (input.schema.clone(), input.ordered);
    Plan {
        schema,
        ordered,
        node: Node::Filter {
            input: Arc::new(input),
            predicate: Arc::new(predicate),
        },
    }
}

/// Each column as it is.
pub(super) fn own_columns(schema: &Schema) -> Vec<Expr> {
    schema
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| Expr::column(index, field.ty))
        .collect()
}

/// The input's columns at some places.
pub(super) fn pick(input: Plan, choose: impl FnOnce(&Schema) -> Vec<usize>) -> Plan {
    let places = choose(&input.schema);
    let fields: Vec<Field> = places
        .iter()
        .map(|at| input.schema.fields[*at].clone())
        .collect();
    let exprs = places
        .iter()
        .map(|at| Expr {
            ty: input.schema.fields[*at].ty,
            kind: ExprKind::Column(*at),
        })
        .collect();
    let ordered = input.ordered;
    let node = Node::Project {
        input: Arc::new(input),
        exprs: Arc::new(exprs),
    };
    Plan {
        schema: Schema::new(fields),
        ordered,
        node,
    }
}

/// Named columns first, in the order of the patterns; the rest as they were.
fn reordered(schema: &Schema, patterns: &[(Pattern, Option<ReorderOrder>)]) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::new();
    for (pattern, order) in patterns {
        let mut found: Vec<usize> = (0..schema.len())
            .filter(|at| !places.contains(at) && wildcard(&pattern.text, &schema.fields[*at].name))
            .collect();
        let name = |at: &usize| schema.fields[*at].name.as_str();
        match order {
            None => {}
            Some(ReorderOrder::Asc) => found.sort_by(|a, b| name(a).cmp(name(b))),
            Some(ReorderOrder::Desc) => found.sort_by(|a, b| name(b).cmp(name(a))),
            Some(ReorderOrder::GrannyAsc) => found.sort_by_key(|at| granny(name(at))),
            Some(ReorderOrder::GrannyDesc) => {
                found.sort_by_key(|at| granny(name(at)));
                found.reverse();
            }
        }
        places.extend(found);
    }
    places.extend(
        (0..schema.len())
            .filter(|at| !places.contains(at))
            .collect::<Vec<_>>(),
    );
    places
}

/// Digits inside a name count as numbers: `a2` before `a10`.
fn granny(name: &str) -> Vec<(String, u64)> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let after = rest[digits..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        pieces.push((
            rest[..digits].to_owned(),
            rest[digits..after].parse().unwrap_or(0),
        ));
        rest = &rest[after..];
    }
    pieces
}
