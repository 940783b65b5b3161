//! Where a table comes from: names, `datatable`, `print`, `range`, `union`, pipes.

use std::sync::Arc;

use super::super::column::Builder;
use super::super::error::{Error, Result, Span};
use super::super::expr::Expr;
use super::super::plan::{Batch, Node, Plan, Shared, Source};
use super::super::syntax::{self, ExprKind, Name, TabularFunction};
use super::super::types::{Field, Schema, Type};
use super::expr::Context;
use super::{Binder, Binding, Body, Scope};

/// Functions that name a place: what they hold is looked for in the one catalog there is.
pub(super) fn is_place(function: &str) -> bool {
    matches!(
        function,
        "database" | "cluster" | "workspace" | "app" | "resource" | "adx" | "arg"
    )
}

pub(super) fn is_table_function(function: &str) -> bool {
    matches!(
        function,
        "table" | "materialized_view" | "external_table" | "stored_query_result"
    ) || is_place(function)
}

/// A table of these columns without rows.
pub(super) fn nothing(schema: Schema) -> Plan {
    Plan {
        schema,
        ordered: false,
        node: Node::Rows(Arc::new(Vec::new())),
    }
}

/// One row of expressions.
pub(super) fn print(columns: Vec<(String, Expr)>) -> Plan {
    let fields = columns
        .iter()
        .map(|(name, expr)| Field::new(name.clone(), expr.ty))
        .collect();
    let exprs = columns.into_iter().map(|(_, expr)| expr).collect();
    Plan {
        schema: Schema::new(fields),
        ordered: true,
        node: Node::Print(Arc::new(exprs)),
    }
}

pub(super) fn scan(name: &str, source: Arc<dyn Source>) -> Plan {
    let schema = source.schema().clone();
    let wanted = vec![true; schema.len()];
    Plan {
        schema,
        ordered: false,
        node: Node::Scan {
            name: name.to_owned(),
            source,
            wanted,
            bounds: Vec::new(),
        },
    }
}

impl Binder<'_> {
    pub(super) fn table(&mut self, expr: &syntax::Expr, scope: &Scope) -> Result<Plan> {
        match &expr.kind {
            ExprKind::Pipe { source, operators } => {
                let mut plan = self.table(source, scope)?;
                let mut scope = scope.clone();
                for operator in operators {
                    plan = self.operator(plan, operator, &mut scope)?;
                }
                Ok(plan)
            }
            ExprKind::Name(name) => self.named_table(name, expr.span, scope),
            ExprKind::Datatable { columns, values } => {
                self.datatable(columns, values, expr.span, scope)
            }
            ExprKind::ExternalData { .. } => Err(Error::not_implemented(
                expr.span,
                "`externaldata`: nothing is fetched from elsewhere, and this",
            )),
            ExprKind::Print(columns) => self.print_operator(columns, scope),
            ExprKind::Range {
                column,
                from,
                to,
                step,
            } => self.range(column, from, to, step, scope),
            ExprKind::Union { options, tables } => {
                self.union(None, options, tables, scope, expr.span)
            }
            ExprKind::Search(search) => self.search(None, search, scope, expr.span),
            ExprKind::Source(operator) => {
                let mut scope = scope.clone();
                self.operator(nothing(Schema::default()), operator, &mut scope)
            }
            ExprKind::Tabular {
                function: TabularFunction::Materialize,
                body,
            } => {
                let plan = self.table(body, scope)?;
                let (schema, ordered) = (plan.schema.clone(), plan.ordered);
                Ok(Plan {
                    schema,
                    ordered,
                    node: Node::Shared(Arc::new(Shared::new(super::super::prune::prune(plan)))),
                })
            }
            ExprKind::Tabular { body, .. } => self.table(body, scope),
            ExprKind::Call { function, args } => self.table_call(function, args, expr.span, scope),
            ExprKind::Member { member, .. } => {
                // `workspace("x").T`: there is one catalog, so the place adds nothing.
                self.named_table(&member.text, member.span, scope)
            }
            ExprKind::List(items) if items.len() == 1 => self.table(&items[0], scope),
            ExprKind::Wildcard(_) => {
                let tables = std::slice::from_ref(expr);
                self.union(None, &[], tables, scope, expr.span)
            }
            ExprKind::Unsupported(what) => Err(Error::not_implemented(expr.span, what)),
            _ => Err(Error::semantic(
                expr.span,
                "a table is needed here, and this is a value",
            )),
        }
    }

    pub(super) fn named_table(&mut self, name: &str, span: Span, scope: &Scope) -> Result<Plan> {
        match scope.find(name) {
            Some(Binding::Table(plan)) => return Ok(plan.as_ref().clone()),
            Some(Binding::Function(function, captured)) => {
                let (function, captured) = (function.clone(), captured.clone());
                return match self.function(&function, &captured, Vec::new(), span)? {
                    Body::Table(plan) => Ok(plan),
                    Body::Scalar(_) => Err(Error::semantic(
                        span,
                        format!("`{name}` gives a value; a table is needed"),
                    )),
                };
            }
            Some(Binding::Scalar(_)) => {
                return Err(Error::semantic(
                    span,
                    format!("`{name}` is a value; a table is needed"),
                ));
            }
            None => {}
        }
        match self.catalog.table(name) {
            Some(source) => Ok(scan(name, source?)),
            None => {
                let known = self.catalog.names();
                let known = known.iter().map(String::as_str).chain(scope.names());
                Err(Error::semantic(span, format!("no table `{name}`")).nearest(name, known))
            }
        }
    }

    fn table_call(
        &mut self,
        function: &Name,
        args: &[syntax::Arg],
        span: Span,
        scope: &Scope,
    ) -> Result<Plan> {
        if let Some(Binding::Function(body, captured)) = scope.find(&function.text).cloned() {
            let given = self.arguments(args, &Context::constant(scope))?;
            return match self.function(&body, &captured, given, span)? {
                Body::Table(plan) => Ok(plan),
                Body::Scalar(_) => Err(Error::semantic(
                    span,
                    format!("`{}` gives a value; a table is needed", function.text),
                )),
            };
        }
        if function.text == "table" {
            let [arg] = args else {
                return Err(Error::semantic(span, "`table` takes the name of a table"));
            };
            let name = self.scalar(&arg.value, scope)?;
            let Some(super::super::value::Value::String(name)) = name.as_const().cloned() else {
                return Err(Error::semantic(
                    arg.value.span,
                    "the name of the table must be constant text",
                ));
            };
            return self.named_table(&name, span, scope);
        }
        if is_place(&function.text) || is_table_function(&function.text) {
            return Err(Error::not_implemented(
                span,
                format!("`{}(...)` as a table", function.text),
            ));
        }
        Err(
            Error::semantic(span, format!("no table function `{}`", function.text))
                .nearest(&function.text, scope.names()),
        )
    }

    fn datatable(
        &mut self,
        columns: &[(Name, Type)],
        values: &[syntax::Expr],
        span: Span,
        scope: &Scope,
    ) -> Result<Plan> {
        let schema = declared(columns)?;
        if columns.is_empty() || !values.len().is_multiple_of(columns.len()) {
            let message = format!(
                "{} values do not fill rows of {} columns",
                values.len(),
                columns.len()
            );
            return Err(Error::semantic(span, message));
        }
        let rows = values.len() / columns.len();
        let mut builders: Vec<Builder> = schema
            .fields
            .iter()
            .map(|field| Builder::new(field.ty, rows))
            .collect();
        for row in values.chunks(columns.len()) {
            for ((builder, field), value) in builders.iter_mut().zip(&schema.fields).zip(row) {
                let bound = self.scalar(value, scope)?;
                let known = match bound.as_const() {
                    Some(known) => known.clone(),
                    None => super::super::exec::constant(&bound, self.run)?,
                };
                builder.push(&super::super::convert::cast(&known, field.ty));
            }
        }
        let columns = builders.iter_mut().map(Builder::finish).collect();
        let node = Node::Rows(Arc::new(vec![Batch::new(columns, rows)]));
        Ok(Plan {
            schema,
            ordered: true,
            node,
        })
    }

    fn print_operator(&mut self, columns: &[syntax::Column], scope: &Scope) -> Result<Plan> {
        let mut made: Vec<(String, Expr)> = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let expr = self.scalar(&column.value, scope)?;
            let many = match column.names.len() {
                1 => Vec::new(),
                _ => self.several(&column.value, &column.names)?,
            };
            if !many.is_empty() {
                made.extend(
                    many.into_iter()
                        .enumerate()
                        .map(|(at, (name, _, ty))| (name, element(expr.clone(), at, ty))),
                );
                continue;
            }
            let name = column
                .names
                .first()
                .map_or_else(|| format!("print_{index}"), |name| name.text.clone());
            if made.iter().any(|(taken, _)| *taken == name) {
                let span = column
                    .names
                    .first()
                    .map_or(column.value.span, |name| name.span);
                return Err(Error::semantic(
                    span,
                    format!("a column `{name}` is already there"),
                ));
            }
            made.push((name, expr));
        }
        Ok(print(made))
    }

    fn range(
        &mut self,
        column: &Name,
        from: &syntax::Expr,
        to: &syntax::Expr,
        step: &syntax::Expr,
        scope: &Scope,
    ) -> Result<Plan> {
        let span = from.span.to(step.span);
        let (from, to, step) = (
            self.scalar(from, scope)?,
            self.scalar(to, scope)?,
            self.scalar(step, scope)?,
        );
        let ty = match (from.ty, to.ty, step.ty) {
            (Type::DateTime, Type::DateTime, Type::TimeSpan) => Type::DateTime,
            (Type::TimeSpan, Type::TimeSpan, Type::TimeSpan) => Type::TimeSpan,
            (a, b, c) => {
                let wide =
                    super::compare::widest(a, b).and_then(|wide| super::compare::widest(wide, c));
                match wide {
                    Some(Type::Int) => Type::Long,
                    Some(wide) => wide,
                    None => {
                        return Err(Error::semantic(
                            span,
                            format!("`range` is not defined from {a} to {b} by {c}"),
                        ));
                    }
                }
            }
        };
        let step_type = if ty == Type::DateTime {
            Type::TimeSpan
        } else {
            ty
        };
        let node = Node::Range {
            from: from.cast(ty),
            to: to.cast(ty),
            step: step.cast(step_type),
        };
        Ok(Plan {
            schema: Schema::new(vec![Field::new(column.text.clone(), ty)]),
            ordered: true,
            node,
        })
    }

    /// The tables that a name or pattern in `union`, `find` or `search` means, with their names.
    pub(super) fn tables_of(
        &mut self,
        expr: &syntax::Expr,
        scope: &Scope,
    ) -> Result<Vec<(Option<String>, Plan)>> {
        Ok(match &expr.kind {
            ExprKind::Wildcard(pattern) => {
                let mut names: Vec<String> = self
                    .catalog
                    .names()
                    .into_iter()
                    .filter(|name| wildcard(pattern, name))
                    .collect();
                names.sort();
                if names.is_empty() {
                    return Err(Error::semantic(
                        expr.span,
                        format!("no table is called like `{pattern}`"),
                    ));
                }
                let mut tables = Vec::new();
                for name in names {
                    let plan = self.named_table(&name, expr.span, &Scope::default())?;
                    tables.push((Some(name), plan));
                }
                tables
            }
            ExprKind::Name(name) => vec![(Some(name.clone()), self.table(expr, scope)?)],
            ExprKind::Member { member, .. } => {
                vec![(Some(member.text.clone()), self.table(expr, scope)?)]
            }
            ExprKind::List(items) if items.len() == 1 => self.tables_of(&items[0], scope)?,
            _ => vec![(None, self.table(expr, scope)?)],
        })
    }

    /// A scalar that looks at the columns of a plan.
    pub(super) fn row_expr(
        &mut self,
        expr: &syntax::Expr,
        plan: &Plan,
        scope: &Scope,
    ) -> Result<Expr> {
        let bound = self.expr(expr, &mut Context::row(scope, &plan.schema, false))?;
        Ok(self.fold(bound))
    }

    /// As [`Self::row_expr`], where `prev` and its kind may look at other rows: the operator sees the
    /// whole of an ordered table at once.
    pub(super) fn ordered_expr(
        &mut self,
        expr: &syntax::Expr,
        plan: &Plan,
        scope: &Scope,
    ) -> Result<Expr> {
        let bound = self.expr(expr, &mut Context::row(scope, &plan.schema, plan.ordered))?;
        Ok(self.fold(bound))
    }
}

/// A result of a function with several, which comes as one array.
pub(super) fn element(array: Expr, at: usize, ty: Type) -> Expr {
    use super::super::expr::Op;
    let index = Expr::constant(
        Type::Long,
        super::super::value::Value::Long(i64::try_from(at).unwrap_or(i64::MAX)),
    );
    Expr::op(Op::Index, Type::Dynamic, vec![array, index]).cast(ty)
}

/// Column names with types, each name once.
pub(super) fn declared(columns: &[(Name, Type)]) -> Result<Schema> {
    let mut schema = Schema::default();
    for (name, ty) in columns {
        if schema.index(&name.text).is_some() {
            return Err(Error::semantic(
                name.span,
                format!("a column `{}` is already there", name.text),
            ));
        }
        schema.fields.push(Field::new(name.text.clone(), *ty));
    }
    Ok(schema)
}

/// Whether a name fits a pattern with `*`.
pub(super) fn wildcard(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(pieces.next().unwrap_or("")) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn patterns_hold_stars_anywhere() {
        for (pattern, name, expected) in [
            ("App*", "AppRequests", true),
            ("App*", "MyApp", false),
            ("*", "x", true),
            ("a*b*c", "aXbYc", true),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(wildcard(pattern, name), expected, "{pattern} {name}");
        }
    }
}
