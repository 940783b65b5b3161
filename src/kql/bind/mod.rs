//! Names become columns, tables and functions; expressions get types; wrong ones are refused with
//! the place in the text.

mod call;
mod compare;
mod evaluate;
mod expand;
mod expr;
mod join;
mod more;
mod names;
mod operators;
mod parse;
mod search;
mod series;
mod summarize;
mod table;
mod top_nested;

use std::sync::Arc;

use super::error::{Error, Result, Span};
use super::exec::Run;
use super::expr::Expr;
use super::plan::{Catalog, Plan};
use super::syntax::{self, LetValue, Statement};
use super::types::{Schema, Type};

/// The columns and rows of an answer, or why there is none, as a line of text.
#[cfg(test)]
pub(super) fn answer(text: &str) -> String {
    use super::source::Tables;
    let table = match super::query(text, &Tables::default(), &super::Options::at(0)) {
        Ok(table) => table,
        Err(error) => return error.message,
    };
    let columns = table.schema.fields.iter();
    let columns: Vec<String> = columns.map(|f| format!("{}:{}", f.name, f.ty)).collect();
    let rows = super::output::rows(&table);
    let rows: Vec<String> = rows
        .into_iter()
        .map(|row| serde_json::Value::Array(row).to_string())
        .collect();
    format!("{} | {}", columns.join(","), rows.join(" "))
}

/// How deep functions and queries may lie in one another.
const DEPTH: usize = 64;

/// How many operators a query may have, those of the functions it calls counted at each call. Plans
/// are worked on recursively: this bounds their depth.
const OPERATORS: usize = 2000;

/// How large a plan may be, what is named twice counted twice.
const NODES: usize = 20_000;

/// How large the expression of a `let` may be.
const TERMS: usize = 10_000;

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Binding {
    Scalar(Expr),
    Table(Arc<Plan>),
    Function(Arc<syntax::Function>, Scope),
}

/// The names in sight: each `let` adds one in front of those before it.
#[derive(Clone, Default)]
pub(super) struct Scope(Option<Arc<Link>>);

pub(super) struct Link {
    name: String,
    binding: Binding,
    before: Scope,
}

impl Scope {
    fn with(&self, name: &str, binding: Binding) -> Self {
        Self(Some(Arc::new(Link {
            name: name.to_owned(),
            binding,
            before: self.clone(),
        })))
    }

    fn find(&self, name: &str) -> Option<&Binding> {
        let mut at = self;
        while let Some(link) = &at.0 {
            if link.name == name {
                return Some(&link.binding);
            }
            at = &link.before;
        }
        None
    }

    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut at = self;
        while let Some(link) = &at.0 {
            names.push(link.name.as_str());
            at = &link.before;
        }
        names
    }
}

/// A bound query: the plan of its last expression, and how the writer wants to see it.
#[derive(Clone)]
pub struct Bound {
    pub plan: Plan,
    /// What `render` names, with its properties as text.
    pub render: Option<Render>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    pub kind: String,
    pub properties: Vec<(String, String)>,
}

pub(super) struct Binder<'a> {
    pub(super) catalog: &'a dyn Catalog,
    /// For the operators whose columns depend on their rows, and for `now()`.
    pub(super) run: &'a Arc<Run>,
    pub(super) render: Option<Render>,
    depth: usize,
    operators: usize,
}

/// What a body gives.
enum Body {
    Table(Plan),
    Scalar(Expr),
}

/// Binds a query.
pub fn bind(query: &syntax::Query, catalog: &dyn Catalog, run: &Arc<Run>) -> Result<Bound> {
    let mut binder = Binder {
        catalog,
        run,
        render: None,
        depth: 0,
        operators: 0,
    };
    let plan = match binder.body(query, &Scope::default())? {
        Body::Table(plan) => plan,
        // A query that is a scalar answers a table of one row.
        Body::Scalar(expr) => table::print(vec![("print_0".into(), expr)]),
    };
    small(&plan, Span::default())?;
    Ok(Bound {
        plan,
        render: binder.render,
    })
}

impl Binder<'_> {
    /// Statements, of which the last expression is the answer.
    fn body(&mut self, query: &syntax::Query, scope: &Scope) -> Result<Body> {
        let mut scope = scope.clone();
        let mut answer = None;
        for statement in &query.statements {
            match statement {
                Statement::Let { name, value } => {
                    let binding = match value {
                        LetValue::Function(function) => {
                            Binding::Function(Arc::new(function.clone()), scope.clone())
                        }
                        LetValue::Expr(expr) => self.let_value(expr, &scope)?,
                    };
                    scope = scope.with(&name.text, binding);
                }
                Statement::Set { name, .. } => {
                    // Options of the service: limits and hints that do not change an answer, but
                    // for this one, which does.
                    if name.text.eq_ignore_ascii_case("query_now") {
                        return Err(Error::not_implemented(name.span, "option `query_now`"));
                    }
                }
                Statement::Parameters(params) => {
                    for param in params {
                        scope = self.parameter(param, &scope)?;
                    }
                }
                Statement::Other { keyword } => {
                    return Err(Error::not_implemented(
                        keyword.span,
                        format!("statement `{}`", keyword.text),
                    ));
                }
                Statement::Expr(expr) => {
                    if answer.is_some() {
                        return Err(Error::not_implemented(
                            expr.span,
                            "a query of several answers",
                        ));
                    }
                    answer = Some(if self.is_table(expr, &scope) {
                        Body::Table(self.table(expr, &scope)?)
                    } else {
                        Body::Scalar(self.scalar(expr, &scope)?)
                    });
                }
            }
        }
        answer.ok_or_else(|| {
            Error::semantic(
                Span::default(),
                "the query has no answer: it ends without a table or an expression",
            )
        })
    }

    fn let_value(&mut self, expr: &syntax::Expr, scope: &Scope) -> Result<Binding> {
        Ok(if self.is_table(expr, scope) {
            let render = self.render.take();
            let plan = self.table(expr, scope)?;
            self.render = render;
            small(&plan, expr.span)?;
            Binding::Table(Arc::new(plan))
        } else {
            let bound = self.scalar(expr, scope)?;
            if bound.size(TERMS) >= TERMS {
                let message = format!("the expression has more than {TERMS} terms");
                return Err(Error::semantic(expr.span, message));
            }
            Binding::Scalar(bound)
        })
    }

    /// Takes note of one more operator.
    fn one_more(&mut self, span: Span) -> Result<()> {
        self.operators += 1;
        if self.operators > OPERATORS {
            let message = format!("the query has more than {OPERATORS} operators");
            return Err(Error::semantic(span, message));
        }
        Ok(())
    }

    /// A parameter of the query: its default, as nobody is here to give another value.
    fn parameter(&mut self, param: &syntax::Param, scope: &Scope) -> Result<Scope> {
        let syntax::ParamKind::Scalar(ty) = param.kind else {
            return Err(Error::semantic(
                param.name.span,
                "a parameter of the query must be a scalar",
            ));
        };
        let Some(default) = &param.default else {
            return Err(Error::semantic(
                param.name.span,
                format!("parameter `{}` has no value", param.name.text),
            ));
        };
        let value = self.scalar(default, scope)?.cast(ty);
        Ok(scope.with(&param.name.text, Binding::Scalar(value)))
    }

    /// A call of a function made by `let`.
    fn function(
        &mut self,
        function: &syntax::Function,
        captured: &Scope,
        args: Vec<(Option<&syntax::Name>, Binding)>,
        span: Span,
    ) -> Result<Body> {
        if self.depth >= DEPTH {
            return Err(Error::semantic(
                span,
                format!("functions call one another more than {DEPTH} deep"),
            ));
        }
        let mut given: Vec<Option<Binding>> = vec![None; function.params.len()];
        for (position, (name, value)) in args.into_iter().enumerate() {
            let at = match name {
                None => position,
                Some(name) => function
                    .params
                    .iter()
                    .position(|param| param.name.text == name.text)
                    .ok_or_else(|| {
                        let known = function.params.iter().map(|param| param.name.text.as_str());
                        Error::semantic(name.span, format!("no parameter `{}`", name.text))
                            .nearest(&name.text, known)
                    })?,
            };
            match given.get_mut(at) {
                Some(slot) => *slot = Some(value),
                None => {
                    let message = format!(
                        "the function takes {} arguments, and got more",
                        function.params.len()
                    );
                    return Err(Error::semantic(span, message));
                }
            }
        }
        let mut scope = captured.clone();
        for (param, value) in function.params.iter().zip(given) {
            let name = &param.name.text;
            let binding = match (&param.kind, value) {
                (syntax::ParamKind::Scalar(ty), Some(Binding::Scalar(expr))) => {
                    if !assignable(expr.ty, *ty) {
                        let message = format!("parameter `{name}` is {ty}, and got {}", expr.ty);
                        return Err(Error::semantic(span, message));
                    }
                    Binding::Scalar(expr.cast(*ty))
                }
                (syntax::ParamKind::Scalar(ty), None) => match &param.default {
                    Some(default) => Binding::Scalar(self.scalar(default, captured)?.cast(*ty)),
                    None => {
                        return Err(Error::semantic(
                            span,
                            format!("parameter `{name}` has no value"),
                        ));
                    }
                },
                (syntax::ParamKind::Table { columns, any }, Some(Binding::Table(plan))) => {
                    for (column, ty) in columns.iter().filter(|_| !any) {
                        match plan.schema.index(&column.text) {
                            Some(at) if plan.schema.fields[at].ty == *ty => {}
                            _ => {
                                let message = format!(
                                    "the table for `{name}` has no column `{}` of {ty}",
                                    column.text
                                );
                                return Err(Error::semantic(span, message));
                            }
                        }
                    }
                    Binding::Table(plan)
                }
                (syntax::ParamKind::Scalar(_), Some(_)) => {
                    return Err(Error::semantic(
                        span,
                        format!("parameter `{name}` is a scalar, and got a table"),
                    ));
                }
                (syntax::ParamKind::Table { .. }, Some(_)) => {
                    return Err(Error::semantic(
                        span,
                        format!("parameter `{name}` is a table, and got a scalar"),
                    ));
                }
                (syntax::ParamKind::Table { .. }, None) => {
                    return Err(Error::semantic(
                        span,
                        format!("parameter `{name}` has no table"),
                    ));
                }
            };
            scope = scope.with(name, binding);
        }
        self.depth += 1;
        let body = self.body(&function.body, &scope);
        self.depth -= 1;
        body
    }

    /// A scalar that looks at no row.
    fn scalar(&mut self, expr: &syntax::Expr, scope: &Scope) -> Result<Expr> {
        let bound = self.expr(expr, &mut expr::Context::constant(scope))?;
        Ok(self.fold(bound))
    }

    /// Whether an expression is a table rather than a scalar.
    fn is_table(&self, expr: &syntax::Expr, scope: &Scope) -> bool {
        use syntax::{ExprKind, TabularFunction};
        match &expr.kind {
            ExprKind::Pipe { .. }
            | ExprKind::Datatable { .. }
            | ExprKind::ExternalData { .. }
            | ExprKind::Print(_)
            | ExprKind::Range { .. }
            | ExprKind::Union { .. }
            | ExprKind::Search(_)
            | ExprKind::Source(_)
            | ExprKind::Wildcard(_) => true,
            ExprKind::Tabular { function, .. } => *function != TabularFunction::ToScalar,
            ExprKind::Name(name) => match scope.find(name) {
                Some(Binding::Table(_)) => true,
                Some(Binding::Scalar(_)) => false,
                Some(Binding::Function(function, _)) => self.function_is_table(function, scope),
                None => self.catalog.table(name).is_some(),
            },
            ExprKind::Call { function, .. } => match scope.find(&function.text) {
                Some(Binding::Function(body, captured)) => self.function_is_table(body, captured),
                _ => table::is_table_function(&function.text),
            },
            ExprKind::Member { object, .. } => {
                matches!(&object.kind, ExprKind::Call { function, .. }
                if table::is_place(&function.text))
                    || matches!(&object.kind, ExprKind::Member { .. })
                        && self.is_table(object, scope)
            }
            _ => false,
        }
    }

    fn function_is_table(&self, function: &syntax::Function, captured: &Scope) -> bool {
        let mut scope = captured.clone();
        for param in &function.params {
            let binding = match &param.kind {
                syntax::ParamKind::Scalar(ty) => {
                    Binding::Scalar(Expr::constant(*ty, super::value::Value::Null))
                }
                syntax::ParamKind::Table { .. } => {
                    Binding::Table(Arc::new(table::nothing(Schema::default())))
                }
            };
            scope = scope.with(&param.name.text, binding);
        }
        for statement in &function.body.statements {
            match statement {
                Statement::Let {
                    name,
                    value: LetValue::Expr(expr),
                } => {
                    let binding = if self.is_table(expr, &scope) {
                        Binding::Table(Arc::new(table::nothing(Schema::default())))
                    } else {
                        Binding::Scalar(Expr::constant(Type::Long, super::value::Value::Null))
                    };
                    scope = scope.with(&name.text, binding);
                }
                Statement::Let {
                    name,
                    value: LetValue::Function(function),
                } => {
                    scope = scope.with(
                        &name.text,
                        Binding::Function(Arc::new(function.clone()), scope.clone()),
                    );
                }
                Statement::Expr(expr) => return self.is_table(expr, &scope),
                _ => {}
            }
        }
        false
    }

    /// Expressions of constants are computed once.
    fn fold(&self, expr: Expr) -> Expr {
        if expr.as_const().is_some() || !expr.is_constant() {
            return expr;
        }
        match super::exec::constant(&expr, self.run) {
            Ok(value) => Expr::constant(expr.ty, value),
            Err(_) => expr,
        }
    }
}

/// Refuses a plan that tables named again and again have made huge.
fn small(plan: &Plan, span: Span) -> Result<()> {
    if plan.size(NODES) < NODES {
        return Ok(());
    }
    Err(Error::semantic(
        span,
        format!("the query has more than {NODES} steps, as tables are named again and again"),
    )
    .hint("`materialize` a table that is used often"))
}

/// Whether a value may be given for a parameter of this type.
fn assignable(from: Type, to: Type) -> bool {
    from == to
        || from == Type::Dynamic
        || (from.is_number() && to.is_number())
        || to == Type::Dynamic
}
