//! `search`, `find`, and `*` for all columns in a predicate.

use std::sync::Arc;

use super::super::error::{Error, Result, Span};
use super::super::expr::Expr;
use super::super::functions;
use super::super::plan::{Node, Plan};
use super::super::syntax::{self, Binary, ExprKind, Literal, Name, NamedOption, Search, TextOp};
use super::super::types::{Field, Schema, Type};
use super::super::value::Value;
use super::join::{labelled, option, scanned, united};
use super::{Binder, Binding, Scope};

impl Binder<'_> {
    pub(super) fn search(
        &mut self,
        input: Option<Plan>,
        search: &Search,
        scope: &Scope,
        span: Span,
    ) -> Result<Plan> {
        known_options(&search.options, "search", &["kind"])?;
        let cased = match option(&search.options, "kind")? {
            None => false,
            Some((kind, at)) => match kind.as_str() {
                "default" | "case_insensitive" => false,
                "case_sensitive" => true,
                other => {
                    return Err(Error::semantic(
                        at,
                        format!("no search is of kind `{other}`"),
                    ));
                }
            },
        };
        let tables = match input {
            Some(plan) if search.tables.is_empty() => vec![(None, plan)],
            Some(_) => return Err(Error::semantic(span, "`search in` stands at the start")),
            None => self.searched(&search.tables, scope, span)?,
        };
        let schemas: Vec<&Schema> = tables.iter().map(|(_, plan)| &plan.schema).collect();
        self.somewhere(&search.predicate, &schemas, scope)?;
        let mut found = Vec::with_capacity(tables.len());
        for (at, (name, plan)) in tables.into_iter().enumerate() {
            let label = name
                .or_else(|| scanned(&plan))
                .unwrap_or_else(|| format!("union_arg{at}"));
            let predicate = Terms {
                schema: &plan.schema,
                known: Some(scope),
                cased,
            }
            .rewritten(&search.predicate);
            let filtered = self.filter(plan, &predicate, scope)?;
            found.push(labelled(filtered, "$table", &label));
        }
        Ok(if found.len() == 1 {
            found.remove(0)
        } else {
            united(found, false)
        })
    }

    /// The tables that are named; without names all of the catalog, and the views of the query.
    fn searched(
        &mut self,
        tables: &[syntax::Expr],
        scope: &Scope,
        span: Span,
    ) -> Result<Vec<(Option<String>, Plan)>> {
        let mut found = Vec::new();
        for table in tables {
            found.extend(self.tables_of(table, scope)?);
        }
        if tables.is_empty() {
            let mut names: Vec<String> = scope.names().into_iter().map(str::to_owned).collect();
            names.reverse();
            names.dedup();
            for name in names {
                if let Some(Binding::Function(function, _)) = scope.find(&name)
                    && function.view
                    && function.params.is_empty()
                {
                    found.push((Some(name.clone()), self.named_table(&name, span, scope)?));
                }
            }
            for name in self.catalog.names() {
                let plan = self.named_table(&name, span, &Scope::default())?;
                found.push((Some(name), plan));
            }
        }
        if found.is_empty() {
            return Err(Error::semantic(span, "there is no table to look in"));
        }
        Ok(found)
    }

    /// Each name in the predicate must be a column of one of the tables.
    fn somewhere(
        &self,
        predicate: &syntax::Expr,
        schemas: &[&Schema],
        scope: &Scope,
    ) -> Result<()> {
        let mut used = Vec::new();
        names(predicate, &mut used);
        for (name, span) in used {
            let known = scope.find(name).is_some()
                || schemas.iter().any(|schema| schema.index(name).is_some());
            if !known {
                let columns = schemas.iter().flat_map(|schema| schema.names());
                return Err(
                    Error::semantic(span, format!("no column `{name}`")).nearest(name, columns)
                );
            }
        }
        Ok(())
    }

    /// The predicate of a plain `where` without `*`, if it has any: `* has "x"`.
    pub(super) fn starred(predicate: &syntax::Expr, schema: &Schema) -> Option<syntax::Expr> {
        let mut waiting = vec![predicate];
        while let Some(expr) = waiting.pop() {
            match &expr.kind {
                ExprKind::Binary { left, .. } if matches!(left.kind, ExprKind::Star) => {
                    let terms = Terms {
                        schema,
                        known: None,
                        cased: false,
                    };
                    return Some(terms.rewritten(predicate));
                }
                ExprKind::Binary { left, right, .. } => waiting.extend([&**left, &**right]),
                ExprKind::Call { args, .. } => waiting.extend(args.iter().map(|arg| &arg.value)),
                ExprKind::List(items) => waiting.extend(items),
                _ => {}
            }
        }
        None
    }

    pub(super) fn find_operator(
        &mut self,
        options: &[NamedOption],
        tables: &[syntax::Expr],
        predicate: &syntax::Expr,
        project: &[syntax::Column],
        scope: &Scope,
        span: Span,
    ) -> Result<Plan> {
        known_options(options, "find", &["withsource", "with_source"])?;
        let source = option(options, "withsource")?.or(option(options, "with_source")?);
        let source = source.map_or("source_".to_owned(), |(name, _)| name);
        let tables = self.searched(tables, scope, span)?;
        let schemas: Vec<&Schema> = tables.iter().map(|(_, plan)| &plan.schema).collect();
        self.somewhere(predicate, &schemas, scope)?;
        let mut used = Vec::new();
        names(predicate, &mut used);
        let used: Vec<&str> = used
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| schemas.iter().any(|schema| schema.index(name).is_some()))
            .collect();
        // Tables without any of the predicate's columns have nothing to find.
        let tables: Vec<(Option<String>, Plan)> = tables
            .iter()
            .filter(|(_, plan)| {
                used.is_empty() || used.iter().any(|name| plan.schema.index(name).is_some())
            })
            .cloned()
            .collect();
        let schemas: Vec<Schema> = tables.iter().map(|(_, plan)| plan.schema.clone()).collect();
        let columns = if project.is_empty() {
            smart(&schemas, &used)
        } else {
            projected(&schemas, project)?
        };
        let mut found = Vec::with_capacity(tables.len());
        for (at, (name, plan)) in tables.into_iter().enumerate() {
            let label = name
                .or_else(|| scanned(&plan))
                .unwrap_or_else(|| format!("union_arg{at}"));
            let rewritten = Terms {
                schema: &plan.schema,
                known: Some(scope),
                cased: false,
            }
            .rewritten(predicate);
            let filtered = self.filter(plan, &rewritten, scope)?;
            found.push(labelled(shown(filtered, &columns, span)?, &source, &label));
        }
        Ok(if found.len() == 1 {
            found.remove(0)
        } else {
            united(found, false)
        })
    }
}

/// A column of what `find` gives.
enum Shown {
    /// Of this type; of each table's own when there is none.
    Column(String, Option<Type>),
    /// A bag of all columns, but for those named.
    Pack(Vec<String>),
}

/// The columns that the predicate names and those that all tables share; the rest in a bag.
fn smart(schemas: &[Schema], used: &[&str]) -> Vec<Shown> {
    let mut columns: Vec<Shown> = Vec::new();
    let mut kept: Vec<String> = Vec::new();
    let mut rest = false;
    for field in schemas.iter().flat_map(|schema| &schema.fields) {
        let types: Vec<Type> = schemas
            .iter()
            .filter_map(|schema| schema.index(&field.name).map(|at| schema.fields[at].ty))
            .collect();
        let shared = types.len() == schemas.len();
        let named = used.contains(&field.name.as_str());
        if !shared && !named {
            rest = true;
            continue;
        }
        if kept.contains(&field.name) {
            continue;
        }
        kept.push(field.name.clone());
        let ty = match single(schemas, &field.name) {
            None if !named => Some(Type::Dynamic),
            single => single,
        };
        columns.push(Shown::Column(field.name.clone(), ty));
    }
    if rest {
        columns.push(Shown::Pack(kept));
    }
    columns
}

/// The type of a column, when all tables that have it agree.
fn single(schemas: &[Schema], name: &str) -> Option<Type> {
    let mut types = schemas
        .iter()
        .filter_map(|schema| schema.index(name).map(|at| schema.fields[at].ty));
    let first = types.next()?;
    types.all(|ty| ty == first).then_some(first)
}

fn projected(schemas: &[Schema], project: &[syntax::Column]) -> Result<Vec<Shown>> {
    let mut columns = Vec::new();
    for column in project {
        let value = &column.value;
        let (name, ty) = match &value.kind {
            ExprKind::Name(name) => (name, None),
            ExprKind::Binary { left, right, .. } => match (&left.kind, &right.kind) {
                (ExprKind::Name(name), ExprKind::Name(ty)) => (name, Type::from_name(ty)),
                _ => return Err(Error::semantic(value.span, "a column is needed here")),
            },
            ExprKind::Call { function, args } if function.text == "pack_all" && args.is_empty() => {
                columns.push(Shown::Pack(Vec::new()));
                continue;
            }
            ExprKind::Star => {
                columns.push(Shown::Pack(Vec::new()));
                continue;
            }
            _ => {
                return Err(Error::not_implemented(
                    value.span,
                    "this in `project` of `find`",
                ));
            }
        };
        if ty.is_none() && schemas.iter().all(|schema| schema.index(name).is_none()) {
            let known = schemas.iter().flat_map(Schema::names);
            return Err(
                Error::semantic(value.span, format!("no column `{name}`")).nearest(name, known)
            );
        }
        columns.push(Shown::Column(name.clone(), ty.or(single(schemas, name))));
    }
    // Columns that are shown are not in the bag again.
    let named: Vec<String> = columns
        .iter()
        .filter_map(|column| match column {
            Shown::Column(name, _) => Some(name.clone()),
            Shown::Pack(_) => None,
        })
        .collect();
    for column in &mut columns {
        if let Shown::Pack(without) = column {
            without.clone_from(&named);
        }
    }
    Ok(columns)
}

fn shown(plan: Plan, columns: &[Shown], span: Span) -> Result<Plan> {
    let mut fields = Vec::new();
    let mut exprs = Vec::new();
    for column in columns {
        match column {
            Shown::Column(name, ty) => match plan.schema.index(name) {
                Some(at) => {
                    let own = plan.schema.fields[at].ty;
                    fields.push(Field::new(name.clone(), ty.unwrap_or(own)));
                    exprs.push(Expr::column(at, own).cast(ty.unwrap_or(own)));
                }
                // Another table has it, and the union makes it null here.
                None => {
                    if let Some(ty) = ty {
                        fields.push(Field::new(name.clone(), *ty));
                        exprs.push(Expr::constant(*ty, Value::Null));
                    }
                }
            },
            Shown::Pack(without) => {
                let Some(pack) = functions::find("bag_pack") else {
                    return Err(Error::not_implemented(span, "function `bag_pack`"));
                };
                let mut args = Vec::new();
                for (at, field) in plan.schema.fields.iter().enumerate() {
                    if !without.contains(&field.name) {
                        let name = Value::String(field.name.clone().into());
                        args.push(Expr::constant(Type::String, name));
                        args.push(Expr::column(at, field.ty));
                    }
                }
                let bag = if args.is_empty() {
                    Expr::constant(Type::Dynamic, Value::dynamic("{}"))
                } else {
                    let spans = vec![span; args.len()];
                    super::call::apply(pack, args, &spans, span)?
                };
                fields.push(Field::new("pack_", Type::Dynamic));
                exprs.push(bag);
            }
        }
    }
    Ok(Plan {
        schema: Schema::new(fields),
        ordered: false,
        node: Node::Project {
            input: Arc::new(plan),
            exprs: Arc::new(exprs),
        },
    })
}

fn known_options(options: &[NamedOption], operator: &str, known: &[&str]) -> Result<()> {
    for option in options {
        let name = option.name.text.as_str();
        if !known.contains(&name) && !name.starts_with("hint.") {
            let message = format!("option `{name}` of `{operator}`");
            return Err(Error::not_implemented(option.name.span, message));
        }
    }
    Ok(())
}

/// The names that a predicate reads.
fn names<'a>(expr: &'a syntax::Expr, out: &mut Vec<(&'a str, Span)>) {
    match &expr.kind {
        ExprKind::Name(name) => out.push((name, expr.span)),
        ExprKind::Member { object, .. } => names(object, out),
        ExprKind::Index { object, index } => {
            names(object, out);
            names(index, out);
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| names(&arg.value, out)),
        ExprKind::Unary { operand, .. } => names(operand, out),
        ExprKind::Binary { left, right, .. } => {
            names(left, out);
            names(right, out);
        }
        ExprKind::In { left, list, .. } => {
            names(left, out);
            // A list of one may be a table.
            if list.len() > 1 {
                list.iter().for_each(|item| names(item, out));
            }
        }
        ExprKind::Between {
            left, low, high, ..
        } => {
            names(left, out);
            names(low, out);
            names(high, out);
        }
        ExprKind::List(items) => items.iter().for_each(|item| names(item, out)),
        _ => {}
    }
}

/// Makes plain predicates of terms and stars.
struct Terms<'a> {
    schema: &'a Schema,
    /// Given in `search` and `find`, where a lone text is a term, and where a column that the table
    /// does not have makes its comparison false.
    known: Option<&'a Scope>,
    cased: bool,
}

impl Terms<'_> {
    fn rewritten(&self, expr: &syntax::Expr) -> syntax::Expr {
        let span = expr.span;
        let with = |kind| syntax::Expr { kind, span };
        match &expr.kind {
            ExprKind::Binary {
                op: Binary::And | Binary::Or,
                ..
            } => self.chain(expr),
            ExprKind::List(items) if items.len() == 1 => self.rewritten(&items[0]),
            ExprKind::Call { function, args } if function.text == "not" => {
                let args = args.iter().map(|arg| syntax::Arg {
                    name: arg.name.clone(),
                    value: self.rewritten(&arg.value),
                });
                with(ExprKind::Call {
                    function: function.clone(),
                    args: args.collect(),
                })
            }
            ExprKind::Literal(Literal::String(term)) if self.known.is_some() => {
                self.anywhere(&self.texts(), span, |column| self.term(column, term, span))
            }
            ExprKind::Star if self.known.is_some() => truth(true, span),
            ExprKind::Binary { op, left, right } => {
                let term = match (&right.kind, op) {
                    (
                        ExprKind::Literal(Literal::String(term)),
                        Binary::Text(TextOp::Colon, false),
                    ) => Some(term),
                    _ => None,
                };
                match (&left.kind, term) {
                    (ExprKind::Star, Some(term)) => {
                        self.anywhere(&self.texts(), span, |column| self.term(column, term, span))
                    }
                    (ExprKind::Star, None) => {
                        let columns = self.comparable(*op, right);
                        self.anywhere(&columns, span, |column| {
                            with(ExprKind::Binary {
                                op: self.op(*op),
                                left: Box::new(column),
                                right: right.clone(),
                            })
                        })
                    }
                    _ if self.lacks(expr) => truth(false, span),
                    (ExprKind::Name(name), Some(term)) => {
                        let text = self.schema.index(name).is_some_and(|at| {
                            matches!(self.schema.fields[at].ty, Type::String | Type::Dynamic)
                        });
                        let column = if text {
                            left.as_ref().clone()
                        } else {
                            as_text(left.as_ref().clone())
                        };
                        self.term(column, term, span)
                    }
                    (_, Some(term)) => self.term(left.as_ref().clone(), term, span),
                    _ => with(ExprKind::Binary {
                        op: self.op(*op),
                        left: left.clone(),
                        right: right.clone(),
                    }),
                }
            }
            _ if self.lacks(expr) => truth(false, span),
            _ => expr.clone(),
        }
    }

    /// Long chains lean to the left: walked in a loop, not by recursion.
    fn chain(&self, expr: &syntax::Expr) -> syntax::Expr {
        let mut links = Vec::new();
        let mut at = expr;
        while let ExprKind::Binary {
            op: op @ (Binary::And | Binary::Or),
            left,
            right,
        } = &at.kind
        {
            links.push((*op, at.span, right));
            at = left;
        }
        let mut made = self.rewritten(at);
        for (op, span, right) in links.into_iter().rev() {
            made = syntax::Expr {
                kind: ExprKind::Binary {
                    op,
                    left: Box::new(made),
                    right: Box::new(self.rewritten(right)),
                },
                span,
            };
        }
        made
    }

    /// Whether the expression reads a column that only other tables have.
    fn lacks(&self, expr: &syntax::Expr) -> bool {
        let Some(scope) = self.known else {
            return false;
        };
        let mut used = Vec::new();
        names(expr, &mut used);
        used.iter()
            .any(|(name, _)| self.schema.index(name).is_none() && scope.find(name).is_none())
    }

    fn texts(&self) -> Vec<&str> {
        let text = |field: &&Field| matches!(field.ty, Type::String | Type::Dynamic);
        self.schema
            .fields
            .iter()
            .filter(text)
            .map(|field| field.name.as_str())
            .collect()
    }

    /// The columns that a star stands for beside this operator.
    fn comparable(&self, op: Binary, right: &syntax::Expr) -> Vec<&str> {
        let number = matches!(
            right.kind,
            ExprKind::Literal(Literal::Int(_) | Literal::Long(_) | Literal::Real(_))
        );
        if matches!(op, Binary::Text(..)) || !number {
            return self.texts();
        }
        let number = |field: &&Field| field.ty.is_number();
        self.schema
            .fields
            .iter()
            .filter(number)
            .map(|field| field.name.as_str())
            .collect()
    }

    /// True where the test holds for one of the columns. Halved, not chained: tables are wide.
    fn anywhere(
        &self,
        columns: &[&str],
        span: Span,
        test: impl Fn(syntax::Expr) -> syntax::Expr + Copy,
    ) -> syntax::Expr {
        match columns {
            [] => truth(false, span),
            [one] => test(syntax::Expr {
                kind: ExprKind::Name((*one).to_owned()),
                span,
            }),
            many => {
                let (left, right) = many.split_at(many.len() / 2);
                syntax::Expr {
                    kind: ExprKind::Binary {
                        op: Binary::Or,
                        left: Box::new(self.anywhere(left, span, test)),
                        right: Box::new(self.anywhere(right, span, test)),
                    },
                    span,
                }
            }
        }
    }

    /// A term, whose stars say how it lies in the text.
    fn term(&self, column: syntax::Expr, term: &str, span: Span) -> syntax::Expr {
        let start = term.strip_prefix('*');
        let end = term.strip_suffix('*');
        let inner = term.trim_matches('*');
        let (op, text) = if inner.contains('*') {
            let pieces: Vec<String> = inner.split('*').map(regex::escape).collect();
            let case = if self.cased { "" } else { "(?i)" };
            let before = if start.is_some() { "" } else { r"\b" };
            let after = if end.is_some() { "" } else { r"\b" };
            let pattern = format!("{case}{before}{}{after}", pieces.join(".*"));
            (TextOp::MatchesRegex, pattern)
        } else {
            let op = match (start, end) {
                (None, None) => TextOp::Has,
                (Some(_), None) => TextOp::HasSuffix,
                (None, Some(_)) => TextOp::HasPrefix,
                (Some(_), Some(_)) => TextOp::Contains,
            };
            (op, inner.to_owned())
        };
        syntax::Expr {
            kind: ExprKind::Binary {
                op: self.op(Binary::Text(op, false)),
                left: Box::new(column),
                right: Box::new(syntax::Expr {
                    kind: ExprKind::Literal(Literal::String(text)),
                    span,
                }),
            },
            span,
        }
    }

    /// The operator, minding case when the search does.
    fn op(&self, op: Binary) -> Binary {
        match op {
            Binary::Text(text, not) if self.cased => Binary::Text(
                match text {
                    TextOp::Has => TextOp::HasCs,
                    TextOp::HasPrefix => TextOp::HasPrefixCs,
                    TextOp::HasSuffix => TextOp::HasSuffixCs,
                    TextOp::Contains => TextOp::ContainsCs,
                    TextOp::StartsWith => TextOp::StartsWithCs,
                    TextOp::EndsWith => TextOp::EndsWithCs,
                    TextOp::Like => TextOp::LikeCs,
                    other => other,
                },
                not,
            ),
            Binary::EqualFold if self.cased => Binary::Equal,
            Binary::NotEqualFold if self.cased => Binary::NotEqual,
            other => other,
        }
    }
}

fn truth(value: bool, span: Span) -> syntax::Expr {
    syntax::Expr {
        kind: ExprKind::Literal(Literal::Bool(value)),
        span,
    }
}

fn as_text(expr: syntax::Expr) -> syntax::Expr {
    let span = expr.span;
    syntax::Expr {
        kind: ExprKind::Call {
            function: Name {
                text: "tostring".to_owned(),
                span,
            },
            args: vec![syntax::Arg {
                name: None,
                value: expr,
            }],
        },
        span,
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn terms_are_looked_for_everywhere() {
        for (name, text, expected) in [
            (
                "in two tables",
                r#"let A = datatable(a:long,b:string)[1,"hello world",2,"xyz"]; let B = datatable(b:string,d:real)["say hello",2.5]; search in (A,B) "hello""#,
                r#"$table:string,a:long,b:string,d:real | ["A",1,"hello world",null] ["B",null,"say hello",2.5]"#,
            ),
            (
                "a column of one of them",
                r#"let A = datatable(a:long,b:string)[1,"hello world",2,"xyz"]; let B = datatable(b:string,d:real)["say hello",2.5]; search in (A,B) d > 1 and "hell*""#,
                r#"$table:string,a:long,b:string,d:real | ["B",null,"say hello",2.5]"#,
            ),
            (
                "a column of none",
                r#"let A = datatable(a:long,b:string)[1,"hello world",2,"xyz"]; let B = datatable(b:string,d:real)["say hello",2.5]; search in (A,B) dd > 1"#,
                "no column `dd`",
            ),
            (
                "minding case",
                r#"datatable(a:long,b:string,c:dynamic)[1,"hello world",dynamic(null),2,"xyz",dynamic({"q":"Hello"})] | search kind=case_sensitive "Hello" | project a"#,
                "a:long | [2]",
            ),
            (
                "in a column",
                r#"datatable(a:long,b:string,c:dynamic)[1,"hello world",dynamic(null),2,"xyz",dynamic({"q":"Hello"})] | search b:"hel*ld" or a == 2 | project a"#,
                "a:long | [1] [2]",
            ),
            (
                "inside and outside",
                r#"datatable(a:long,b:string,c:dynamic)[1,"hello world",dynamic(null),2,"xyz",dynamic({"q":"Hello"})] | search "*ell*" and not("world") | project a"#,
                "a:long | [2]",
            ),
            (
                "a star in where",
                r#"datatable(a:long,b:string,c:dynamic)[1,"hello world",dynamic(null),2,"xyz",dynamic({"q":"Hello"})] | where * has "hello" | project a"#,
                "a:long | [1] [2]",
            ),
            (
                "find packs the rest",
                r#"let A = datatable(a:long,b:string)[1,"hello world",2,"xyz"]; let B = datatable(b:string,d:real)["say hello",2.5]; find in (A,B) where b has "hello""#,
                r#"source_:string,b:string,pack_:dynamic | ["A","hello world",{"a":1}] ["B","say hello",{"d":2.5}]"#,
            ),
            (
                "find shows what is named",
                r#"let A = datatable(a:long,b:string)[1,"hello world",2,"xyz"]; let B = datatable(b:string,d:real)["say hello",2.5]; find withsource=s in (A,B) where b has "hello" project d, b:string"#,
                r#"s:string,d:real,b:string | ["A",null,"hello world"] ["B",2.5,"say hello"]"#,
            ),
            (
                "find leaves out tables",
                r#"let A = datatable(a:long,b:string)[1,"hello world",2,"xyz"]; let B = datatable(b:string,d:real)["say hello",2.5]; find in (A,B) where d > 1"#,
                r#"source_:string,b:string,d:real | ["B","say hello",2.5]"#,
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
