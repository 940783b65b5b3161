//! `join`, `lookup`, `union`.

use std::sync::Arc;

use super::super::error::{Error, Result, Span};
use super::super::expr::{Expr, ExprKind, Op};
use super::super::plan::{Join, JoinKind, Node, Plan};
use super::super::syntax::{self, JoinKey, NamedOption};
use super::super::types::{Field, Schema, Type};
use super::super::value::Value;
use super::expr::Context;
use super::operators::{own_columns, pick};
use super::{Binder, Scope, compare};

/// The two sides of a key.
struct Key {
    left: Expr,
    right: Expr,
    /// The right column, when the key is one.
    right_column: Option<usize>,
}

impl Binder<'_> {
    pub(super) fn join(
        &mut self,
        left: Plan,
        options: &[NamedOption],
        right: &syntax::Expr,
        on: &[JoinKey],
        span: Span,
        scope: &Scope,
    ) -> Result<Plan> {
        let kind = match option(options, "kind")? {
            None => JoinKind::InnerUnique,
            Some((kind, at)) => match kind.as_str() {
                "innerunique" => JoinKind::InnerUnique,
                "inner" => JoinKind::Inner,
                "leftouter" => JoinKind::LeftOuter,
                "rightouter" => JoinKind::RightOuter,
                "fullouter" => JoinKind::FullOuter,
                "leftsemi" => JoinKind::LeftSemi,
                "rightsemi" => JoinKind::RightSemi,
                "anti" | "leftanti" | "leftantisemi" => JoinKind::LeftAnti,
                "rightanti" | "rightantisemi" => JoinKind::RightAnti,
                other => return Err(Error::semantic(at, format!("no join is of kind `{other}`"))),
            },
        };
        let right = self.table(right, scope)?;
        let keys = self.keys_of(&left, &right, on, span, scope)?;
        Ok(joined(kind, left, right, keys))
    }

    /// As a left outer join without the right side's keys.
    pub(super) fn lookup(
        &mut self,
        left: Plan,
        options: &[NamedOption],
        right: &syntax::Expr,
        on: &[JoinKey],
        span: Span,
        scope: &Scope,
    ) -> Result<Plan> {
        let kind = match option(options, "kind")? {
            None => JoinKind::LeftOuter,
            Some((kind, at)) => match kind.as_str() {
                "leftouter" => JoinKind::LeftOuter,
                "inner" => JoinKind::Inner,
                other => {
                    return Err(Error::semantic(
                        at,
                        format!("no lookup is of kind `{other}`"),
                    ));
                }
            },
        };
        let right = self.table(right, scope)?;
        let keys = self.keys_of(&left, &right, on, span, scope)?;
        let dropped: Vec<usize> = keys.iter().filter_map(|key| key.right_column).collect();
        let lefts = left.schema.clone();
        let rights = right.schema.clone();
        let plan = joined(kind, left, right, keys);
        // Names are taken as if the keys had never been there.
        let mut schema = lefts.clone();
        for (at, field) in rights.fields.iter().enumerate() {
            if !dropped.contains(&at) {
                let name = schema.free(&field.name);
                schema.fields.push(Field::new(name, field.ty));
            }
        }
        let mut picked = pick(plan, |_| {
            (0..lefts.len() + rights.len())
                .filter(|at| *at < lefts.len() || !dropped.contains(&(at - lefts.len())))
                .collect()
        });
        picked.schema = schema;
        Ok(picked)
    }

    fn keys_of(
        &mut self,
        left: &Plan,
        right: &Plan,
        on: &[JoinKey],
        span: Span,
        scope: &Scope,
    ) -> Result<Vec<Key>> {
        let mut conditions = Vec::new();
        for key in on {
            match key {
                JoinKey::Expr(expr) => conjuncts(expr, &mut conditions),
                JoinKey::Name(name) => conditions.push(Condition::Name(name)),
            }
        }
        if conditions.is_empty() {
            // Keys may be left out: all columns of the same name, as Kusto has it, is a trap; it must be said.
            return Err(Error::semantic(
                span,
                "a join needs its keys: `on column` or `on $left.a == $right.b`",
            ));
        }
        let mut keys = Vec::new();
        for condition in conditions {
            keys.push(match condition {
                Condition::Name(name) => {
                    let side = |schema: &Schema, which: &str| {
                        schema
                            .index(&name.text)
                            .map(|at| (at, schema.fields[at].ty))
                            .ok_or_else(|| {
                                Error::semantic(
                                    name.span,
                                    format!("no column `{}` on the {which} side", name.text),
                                )
                                .nearest(&name.text, schema.names())
                            })
                    };
                    let (l, left_type) = side(&left.schema, "left")?;
                    let (r, right_type) = side(&right.schema, "right")?;
                    key(
                        Expr::column(l, left_type),
                        Expr::column(r, right_type),
                        name.span,
                    )?
                }
                Condition::Equal(a_side, b_side, at) => {
                    let width = left.schema.len();
                    let mut bound = Vec::with_capacity(2);
                    for side in [a_side, b_side] {
                        let mut cx = Context::row(scope, &left.schema, false);
                        cx.right = Some(&right.schema);
                        bound.push(self.expr(side, &mut cx)?);
                    }
                    let (b, a) = (
                        bound.pop().expect("two sides"),
                        bound.pop().expect("two sides"),
                    );
                    for (side, bound) in [a_side, b_side].into_iter().zip([&a, &b]) {
                        if !matches!(bound.kind, ExprKind::Column(_)) {
                            let message = "a side of a key is a column, `$left.a` or `$right.b`";
                            return Err(Error::semantic(side.span, message)
                                .hint("compute it with `extend` before the join"));
                        }
                    }
                    match (side_of(&a, width), side_of(&b, width)) {
                        (Some(false), Some(true)) => key(a, shifted(b, width), at)?,
                        (Some(true), Some(false)) => key(b, shifted(a, width), at)?,
                        _ => {
                            let message =
                                "one side of `==` must be of `$left` and the other of `$right`";
                            return Err(Error::semantic(at, message));
                        }
                    }
                }
                Condition::Other(at) => {
                    return Err(Error::semantic(
                        at,
                        "the keys of a join are names or equalities",
                    ));
                }
            });
        }
        Ok(keys)
    }

    pub(super) fn union(
        &mut self,
        input: Option<Plan>,
        options: &[NamedOption],
        tables: &[syntax::Expr],
        scope: &Scope,
        span: Span,
    ) -> Result<Plan> {
        let inner = match option(options, "kind")? {
            None => false,
            Some((kind, at)) => match kind.as_str() {
                "outer" => false,
                "inner" => true,
                other => {
                    return Err(Error::semantic(
                        at,
                        format!("no union is of kind `{other}`"),
                    ));
                }
            },
        };
        let fuzzy = option(options, "isfuzzy")?.is_some_and(|(value, _)| value == "true");
        let source = option(options, "withsource")?
            .or(option(options, "with_source")?)
            .map(|(name, _)| name);
        let mut all: Vec<(Option<String>, Plan)> =
            input.map(|plan| (None, plan)).into_iter().collect();
        for table in tables {
            match self.tables_of(table, scope) {
                Ok(found) => all.extend(found),
                // What does not exist is left out; at least one must be there.
                Err(error) if fuzzy && error.kind == super::super::error::Kind::Semantic => {}
                Err(error) => return Err(error),
            }
        }
        if all.is_empty() {
            return Err(Error::semantic(
                span,
                "none of the tables of this union exists",
            ));
        }
        if let Some(name) = &source {
            for (index, (table, plan)) in all.iter_mut().enumerate() {
                let label = table
                    .clone()
                    .or_else(|| scanned(plan))
                    .unwrap_or_else(|| format!("union_arg{index}"));
                *plan = labelled(plan.clone(), name, &label);
            }
        }
        let plans: Vec<Plan> = all.into_iter().map(|(_, plan)| plan).collect();
        Ok(united(plans, inner))
    }
}

/// A column in front that says where the rows are from.
pub(super) fn labelled(plan: Plan, name: &str, label: &str) -> Plan {
    let mut fields = vec![Field::new(name, Type::String)];
    fields.extend(plan.schema.fields.iter().cloned());
    let mut exprs = vec![Expr::constant(
        Type::String,
        Value::String(label.to_owned().into()),
    )];
    exprs.extend(own_columns(&plan.schema));
    let node = Node::Project {
        input: Arc::new(plan),
        exprs: Arc::new(exprs),
    };
    Plan {
        schema: Schema::new(fields),
        ordered: false,
        node,
    }
}

/// All columns of all tables, or those they share. A name with several types becomes a column for
/// each, `x_long` and `x_string`.
pub(super) fn united(plans: Vec<Plan>, inner: bool) -> Plan {
    let mut columns: Vec<(String, Vec<Type>)> = Vec::new();
    for plan in &plans {
        for field in &plan.schema.fields {
            match columns.iter_mut().find(|(name, _)| *name == field.name) {
                Some((_, types)) if types.contains(&field.ty) => {}
                Some((_, types)) => types.push(field.ty),
                None => columns.push((field.name.clone(), vec![field.ty])),
            }
        }
    }
    // A name made of a column and its type gives way to a column that is called so.
    let plain: Vec<String> = columns
        .iter()
        .filter(|(_, types)| types.len() == 1)
        .map(|(name, _)| name.clone())
        .collect();
    let mut schema = Schema::default();
    let mut wanted: Vec<(String, Type)> = Vec::new();
    for (name, types) in columns {
        let everywhere = plans.iter().all(|plan| {
            plan.schema
                .fields
                .iter()
                .any(|f| f.name == name && (types.len() == 1 || f.ty == types[0]))
        });
        if inner && !(everywhere && types.len() == 1) {
            continue;
        }
        for ty in &types {
            let shown = if types.len() == 1 {
                name.clone()
            } else {
                let made = format!("{name}_{ty}");
                let taken = |name: &String| plain.contains(name) || schema.index(name).is_some();
                let numbered = (1..).map(|n| format!("{made}{n}"));
                std::iter::once(made.clone())
                    .chain(numbered)
                    .find(|name| !taken(name))
                    .expect("names are endless")
            };
            schema.fields.push(Field::new(shown, *ty));
            wanted.push((name.clone(), *ty));
        }
    }
    let project = |plan: Plan| {
        let exprs = wanted
            .iter()
            .map(|(name, ty)| match plan.schema.index(name) {
                Some(at) if plan.schema.fields[at].ty == *ty => Expr::column(at, *ty),
                _ => Expr::constant(*ty, Value::Null),
            });
        let exprs: Vec<Expr> = exprs.collect();
        let node = Node::Project {
            input: Arc::new(plan),
            exprs: Arc::new(exprs),
        };
        Arc::new(Plan {
            schema: schema.clone(),
            ordered: false,
            node,
        })
    };
    let inputs = plans.into_iter().map(project).collect();
    Plan {
        schema: schema.clone(),
        ordered: false,
        node: Node::Union(inputs),
    }
}

/// The table that a plan does nothing but filter, if so.
pub(super) fn scanned(plan: &Plan) -> Option<String> {
    match &plan.node {
        Node::Scan { name, .. } => Some(name.clone()),
        Node::Filter { input, .. } => scanned(input),
        _ => None,
    }
}

fn joined(kind: JoinKind, left: Plan, right: Plan, keys: Vec<Key>) -> Plan {
    let mut schema = match kind {
        JoinKind::RightSemi | JoinKind::RightAnti => right.schema.clone(),
        _ => left.schema.clone(),
    };
    if !matches!(
        kind,
        JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::RightSemi | JoinKind::RightAnti
    ) {
        for field in &right.schema.fields {
            let name = schema.free(&field.name);
            schema.fields.push(Field::new(name, field.ty));
        }
    }
    let (left_keys, right_keys) = keys.into_iter().map(|key| (key.left, key.right)).unzip();
    let join = Join {
        kind,
        left: Arc::new(left),
        right: Arc::new(right),
        left_keys,
        right_keys,
    };
    Plan {
        schema,
        ordered: false,
        node: Node::Join(Arc::new(join)),
    }
}

fn key(left: Expr, right: Expr, span: Span) -> Result<Key> {
    let right_column = match right.kind {
        ExprKind::Column(at) => Some(at),
        _ => None,
    };
    if left.ty == Type::Dynamic || right.ty == Type::Dynamic {
        return Err(Error::semantic(
            span,
            "a dynamic value cannot be a key; convert it, as with `tostring(...)`",
        ));
    }
    // Equality's own rules decide which types go together.
    let equal = compare::compare(syntax::Binary::Equal, left, right, span)?;
    let ExprKind::Op(Op::Equal, mut sides) = equal.kind else {
        unreachable!("equality is an operator")
    };
    let (right, left) = (
        sides.pop().expect("two sides"),
        sides.pop().expect("two sides"),
    );
    Ok(Key {
        left,
        right,
        right_column,
    })
}

enum Condition<'a> {
    Name(&'a syntax::Name),
    Equal(&'a syntax::Expr, &'a syntax::Expr, Span),
    Other(Span),
}

fn conjuncts<'a>(expr: &'a syntax::Expr, out: &mut Vec<Condition<'a>>) {
    match &expr.kind {
        syntax::ExprKind::Binary {
            op: syntax::Binary::And,
            left,
            right,
        } => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        syntax::ExprKind::Binary {
            op: syntax::Binary::Equal,
            left,
            right,
        } => {
            out.push(Condition::Equal(left, right, expr.span));
        }
        syntax::ExprKind::List(items) => items.iter().for_each(|item| conjuncts(item, out)),
        _ => out.push(Condition::Other(expr.span)),
    }
}

/// `Some(true)` when all columns are of the right side, `Some(false)` when all are of the left.
fn side_of(expr: &Expr, width: usize) -> Option<bool> {
    fn walk(expr: &Expr, width: usize, sides: &mut [bool; 2]) {
        if let ExprKind::Column(at) = expr.kind {
            sides[usize::from(at >= width)] = true;
        }
        expr.children()
            .into_iter()
            .for_each(|child| walk(child, width, sides));
    }
    let mut sides = [false, false];
    walk(expr, width, &mut sides);
    match sides {
        [true, false] => Some(false),
        [false, true] => Some(true),
        _ => None,
    }
}

/// Columns of the right side, counted from its own first.
fn shifted(expr: Expr, by: usize) -> Expr {
    expr.moved(&|at| at - by)
}

/// The value of an option, as text.
pub(super) fn option(options: &[NamedOption], name: &str) -> Result<Option<(String, Span)>> {
    let Some(option) = options
        .iter()
        .find(|option| option.name.text.eq_ignore_ascii_case(name))
    else {
        return Ok(None);
    };
    let span = option.value.span;
    Ok(Some(match &option.value.kind {
        syntax::ExprKind::Name(text) => (text.clone(), span),
        syntax::ExprKind::Literal(syntax::Literal::String(text)) => (text.clone(), span),
        syntax::ExprKind::Literal(syntax::Literal::Bool(v)) => (v.to_string(), span),
        syntax::ExprKind::Literal(syntax::Literal::Long(v)) => (v.to_string(), span),
        _ => {
            return Err(Error::semantic(
                span,
                format!("option `{name}` needs a word"),
            ));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn a_null_key_joins_nothing() {
        for (name, text, expected) in [
            (
                "one left row a key",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | join (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,a:string,k1:long,b:string | [1,"x",1,"p"] [1,"x",1,"q"]"#,
            ),
            (
                "inner",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | join kind=inner (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,a:string,k1:long,b:string | [1,"x",1,"p"] [1,"x",1,"q"] [1,"y",1,"p"] [1,"y",1,"q"]"#,
            ),
            (
                "left outer",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | where k != 1 or isnull(k) | join kind=leftouter (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,a:string,k1:long,b:string | [2,"z",null,""] [null,"n",null,""]"#,
            ),
            (
                "right outer",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | where a == "x" | join kind=rightouter (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,a:string,k1:long,b:string | [1,"x",1,"p"] [1,"x",1,"q"] [null,"",3,"r"] [null,"",null,"m"]"#,
            ),
            (
                "left semi",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | join kind=leftsemi (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,a:string | [1,"x"] [1,"y"]"#,
            ),
            (
                "left anti",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | join kind=leftanti (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,a:string | [2,"z"] [null,"n"]"#,
            ),
            (
                "right semi",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | join kind=rightsemi (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,b:string | [1,"p"] [1,"q"]"#,
            ),
            (
                "right anti",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | join kind=rightantisemi (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,b:string | [3,"r"] [null,"m"]"#,
            ),
            (
                "lookup",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | take 1 | lookup (datatable(k:long,b:string)[1,"p",1,"q",3,"r",long(null),"m"]) on k"#,
                r#"k:long,a:string,b:string | [1,"x","p"] [1,"x","q"]"#,
            ),
            (
                "other names",
                r#"datatable(k:long,a:string)[1,"x",1,"y",2,"z",long(null),"n"] | take 1 | join kind=inner (datatable(j:long)[1]) on $left.k == $right.j"#,
                r#"k:long,a:string,j:long | [1,"x",1]"#,
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
