//! Calls: of what `let` made, of scalar functions, of aggregates.

use super::super::aggregates::{self, Aggregate, Shape, Spec};
use super::super::error::{Error, Result, Span};
use super::super::expr::{Expr, ExprKind};
use super::super::functions::{self, Eval, Function};
use super::super::json::Json;
use super::super::plan::Call;
use super::super::signature::{Accept, Returns, Signature};
use super::super::syntax::{self, Arg};
use super::super::types::{Schema, Type};
use super::super::value::Value;
use super::expr::Context;
use super::{Binder, Binding, Body, compare};

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        name: &syntax::Name,
        args: &[Arg],
        span: Span,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        if let Some(Binding::Function(function, captured)) = cx.scope.find(&name.text).cloned() {
            let given = self.arguments(args, cx)?;
            return match self.function(&function, &captured, given, span)? {
                Body::Scalar(expr) => Ok(expr),
                Body::Table(_) => Err(Error::semantic(
                    span,
                    format!("`{}` gives a table; a value is needed", name.text),
                )),
            };
        }
        if let Some((aggregate, predicate)) = aggregates::find(&name.text) {
            return self.aggregate_value(aggregate, predicate, name, args, span, cx);
        }
        if let Some(special) = self.special(name, args, span, cx)? {
            return Ok(special);
        }
        let Some(function) = functions::find(&name.text) else {
            return Err(unknown(name, cx));
        };
        if let Some(named) = args.iter().find_map(|arg| arg.name.as_ref()) {
            return Err(Error::semantic(
                named.span,
                format!("`{}` takes no named arguments", name.text),
            ));
        }
        if matches!(function.eval, Eval::Ordered(_)) && !cx.ordered {
            let message = format!("`{}` needs an ordered table", name.text);
            return Err(Error::semantic(span, message).hint(
                "it stands in `extend`, `project` or `where`, after `serialize` or `sort by`",
            ));
        }
        let mut bound = Vec::with_capacity(args.len());
        for arg in args {
            bound.push(self.expr(&arg.value, cx)?);
        }
        let spans: Vec<Span> = args.iter().map(|arg| arg.value.span).collect();
        let expr = apply(function, bound, &spans, span)?;
        Ok(self.fold(expr))
    }

    /// What is given to a function made by `let`, tables and scalars, with the names written before them.
    pub(super) fn arguments<'s>(
        &mut self,
        args: &'s [Arg],
        cx: &Context<'_>,
    ) -> Result<Vec<(Option<&'s syntax::Name>, Binding)>> {
        let mut given = Vec::with_capacity(args.len());
        for arg in args {
            let value = if self.is_table(&arg.value, cx.scope) {
                Binding::Table(std::sync::Arc::new(self.table(&arg.value, cx.scope)?))
            } else {
                Binding::Scalar(self.expr(&arg.value, &mut cx.inner())?)
            };
            given.push((arg.name.as_ref(), value));
        }
        Ok(given)
    }

    /// Functions that are part of the language rather than of a table.
    fn special(
        &mut self,
        name: &syntax::Name,
        args: &[Arg],
        span: Span,
        cx: &mut Context<'_>,
    ) -> Result<Option<Expr>> {
        let count = |wanted: std::ops::RangeInclusive<usize>| {
            if wanted.contains(&args.len()) {
                Ok(())
            } else {
                Err(Error::semantic(
                    span,
                    format!("`{}` does not take {} arguments", name.text, args.len()),
                ))
            }
        };
        Ok(Some(match name.text.as_str() {
            "now" => {
                count(0..=1)?;
                let now = Expr::constant(Type::DateTime, Value::DateTime(self.run.now));
                match args.first() {
                    None => now,
                    Some(offset) => {
                        let offset_bound = self.expr(&offset.value, cx)?;
                        compare::arithmetic(syntax::Binary::Add, now, offset_bound, span)?
                    }
                }
            }
            "ago" => {
                count(1..=1)?;
                let offset = self.expr(&args[0].value, cx)?;
                if offset.ty != Type::TimeSpan {
                    let message = format!("`ago` takes a timespan, and this is {}", offset.ty);
                    return Err(Error::semantic(args[0].value.span, message));
                }
                let now = Expr::constant(Type::DateTime, Value::DateTime(self.run.now));
                compare::arithmetic(syntax::Binary::Subtract, now, offset, span)?
            }
            "typeof" => {
                count(1..=1)?;
                match &args[0].value.kind {
                    syntax::ExprKind::Name(text) if Type::from_name(text).is_some() => {
                        Expr::constant(Type::String, Value::String(text.clone().into()))
                    }
                    _ => return Err(Error::semantic(args[0].value.span, "no type of this name")),
                }
            }
            "column_ifexists" | "columnifexists" => {
                count(2..=2)?;
                let column = self.expr(&args[0].value, cx)?;
                let Some(Value::String(column)) = column.as_const().cloned() else {
                    return Err(Error::semantic(
                        args[0].value.span,
                        "the name of the column must be constant text",
                    ));
                };
                let found = cx
                    .row
                    .and_then(|schema| schema.index(&column).map(|at| (at, schema.fields[at].ty)));
                match found {
                    Some((index, ty)) => Expr::column(index, ty),
                    None => self.expr(&args[1].value, cx)?,
                }
            }
            "pack_all" => {
                count(0..=1)?;
                let schema = cx
                    .row
                    .ok_or_else(|| Error::semantic(span, "`pack_all` needs a row"))?;
                let ignore = match args.first() {
                    Some(arg) => self
                        .expr(&arg.value, cx)?
                        .as_const()
                        .and_then(Value::as_bool)
                        .unwrap_or(false),
                    None => false,
                };
                let columns: Vec<usize> = (0..schema.len()).collect();
                self.pack(
                    schema,
                    &columns,
                    if ignore {
                        "$bag_pack_filled"
                    } else {
                        "bag_pack"
                    },
                    span,
                )?
            }
            "bag_pack_columns" | "pack_columns" => {
                let schema = cx
                    .row
                    .ok_or_else(|| Error::semantic(span, "`bag_pack_columns` needs a row"))?;
                let mut columns = Vec::new();
                for arg in args {
                    match &arg.value.kind {
                        syntax::ExprKind::Name(name) if schema.index(name).is_some() => {
                            columns.extend(schema.index(name));
                        }
                        _ => {
                            return Err(Error::semantic(
                                arg.value.span,
                                "the name of a column is needed",
                            ));
                        }
                    }
                }
                self.pack(schema, &columns, "bag_pack", span)?
            }
            "pack_array"
                if matches!(
                    args,
                    [Arg {
                        value: syntax::Expr {
                            kind: syntax::ExprKind::Star,
                            ..
                        },
                        ..
                    }]
                ) =>
            {
                let schema = cx
                    .row
                    .ok_or_else(|| Error::semantic(span, "`pack_array(*)` needs a row"))?;
                let columns = (0..schema.len())
                    .map(|i| Expr::column(i, schema.fields[i].ty))
                    .collect::<Vec<_>>();
                let spans = vec![span; columns.len()];
                let function = functions::find("pack_array").ok_or_else(|| unknown(name, cx))?;
                apply(function, columns, &spans, span)?
            }
            "ingestion_time" => {
                count(0..=0)?;
                // Rows are there as soon as they are written: the time of the row is all that is known.
                let schema = cx
                    .row
                    .ok_or_else(|| Error::semantic(span, "`ingestion_time` needs a row"))?;
                match schema
                    .index("$ingestion_time")
                    .or_else(|| schema.index("TimeGenerated"))
                {
                    Some(at) if schema.fields[at].ty == Type::DateTime => {
                        Expr::column(at, Type::DateTime)
                    }
                    _ => Expr::constant(Type::DateTime, Value::Null),
                }
            }
            "bag_has_key" | "rand" if functions::find(&name.text).is_none() => {
                return Err(Error::not_implemented(
                    name.span,
                    format!("function `{}`", name.text),
                ));
            }
            _ => return Ok(None),
        }))
    }

    /// `bag_pack("a", a, "b", b)` over columns.
    fn pack(
        &mut self,
        schema: &Schema,
        columns: &[usize],
        function: &str,
        span: Span,
    ) -> Result<Expr> {
        let mut args = Vec::with_capacity(columns.len() * 2);
        for at in columns {
            let field = &schema.fields[*at];
            args.push(Expr::constant(
                Type::String,
                Value::String(field.name.clone().into()),
            ));
            args.push(Expr::column(*at, field.ty));
        }
        let spans = vec![span; args.len()];
        let function = functions::find(function)
            .ok_or_else(|| Error::not_implemented(span, "packing only filled columns"))?;
        apply(function, args, &spans, span)
    }

    /// An aggregate where one value is meant: in arithmetic, or alone with one column.
    fn aggregate_value(
        &mut self,
        aggregate: &'static Aggregate,
        predicate: bool,
        name: &syntax::Name,
        args: &[Arg],
        span: Span,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        // `max_of`-like names never collide; an aggregate outside `summarize` is a mistake.
        if cx.calls.is_none() {
            let message = format!(
                "aggregate `{}` may only stand in `summarize` and `make-series`",
                name.text
            );
            return Err(Error::semantic(span, message));
        }
        let (call, _) = self.aggregate(aggregate, predicate, name, args, span, cx)?;
        let ty = call.spec.results[0];
        if call.spec.results.len() > 1 {
            return Err(Error::semantic(
                span,
                format!("`{}` gives several columns; one value is needed", name.text),
            ));
        }
        let calls = cx.calls.as_deref_mut().expect("aggregates may stand here");
        let at = cx.first_call
            + calls
                .iter()
                .map(|call| call.spec.results.len())
                .sum::<usize>();
        calls.push(call);
        Ok(Expr::column(at, ty))
    }

    /// A call of an aggregate, and the names its columns suggest.
    pub(super) fn aggregate(
        &mut self,
        aggregate: &'static Aggregate,
        predicate: bool,
        name: &syntax::Name,
        args: &[Arg],
        span: Span,
        cx: &Context<'_>,
    ) -> Result<(Call, Vec<Option<String>>)> {
        let mut inner = cx.inner();
        let mut args: Vec<(Option<&syntax::Name>, &syntax::Expr)> = args
            .iter()
            .map(|arg| (arg.name.as_ref(), &arg.value))
            .collect();
        let mut filter = None;
        // `count(p)` and `countif(p)` have their predicate alone; the others after the first.
        let at = match (predicate, aggregate.name) {
            (true, "count") => Some(0),
            (false, "count")
                if args.len() == 1 && !matches!(args[0].1.kind, syntax::ExprKind::Star) =>
            {
                Some(0)
            }
            (true, "covariance" | "covariancep") => Some(2),
            (true, _) => Some(1),
            _ => None,
        };
        if let Some(at) = at {
            if at >= args.len() {
                return Err(Error::semantic(
                    span,
                    format!("`{}` needs a predicate", name.text),
                ));
            }
            let (_, syntax) = args.remove(at);
            let bound = self.expr(syntax, &mut inner)?;
            if !matches!(bound.ty, Type::Bool | Type::Dynamic) {
                let message = format!(
                    "the predicate of `{}` must be bool, and is {}",
                    name.text, bound.ty
                );
                return Err(Error::semantic(syntax.span, message));
            }
            filter = Some(bound.cast(Type::Bool));
        }
        if aggregate.name == "count"
            && matches!(args.as_slice(), [(_, syntax)] if matches!(syntax.kind, syntax::ExprKind::Star))
        {
            args.clear();
        }
        let mut bound = Vec::new();
        let mut spans = Vec::new();
        let mut suggestions = Vec::new();
        for (given, syntax) in &args {
            if matches!(syntax.kind, syntax::ExprKind::Star) {
                let schema = cx
                    .row
                    .ok_or_else(|| Error::semantic(syntax.span, "`*` needs a row"))?;
                let taken: Vec<Option<String>> = suggestions.clone();
                for (index, field) in schema.fields.iter().enumerate() {
                    // `arg_max(x, *)` gives the compared column once.
                    let key = |key: &Expr| matches!(key.kind, ExprKind::Column(at) if at == index);
                    if taken.contains(&Some(field.name.clone())) || cx.keys.iter().any(key) {
                        continue;
                    }
                    bound.push(Expr::column(index, field.ty));
                    spans.push(syntax.span);
                    suggestions.push(Some(field.name.clone()));
                }
                continue;
            }
            bound.push(self.expr(syntax, &mut inner)?);
            spans.push(syntax.span);
            suggestions.push(
                given
                    .map(|name| name.text.clone())
                    .or_else(|| super::names::suggested(syntax)),
            );
        }
        // Percentiles may be given as one array.
        if let Shape::Percentiles(before) = aggregate.shape
            && let [ranks] = &bound[before.min(bound.len())..]
            && let Some(Value::Dynamic(raw)) = ranks.as_const()
            && let Some(Json::Array(items)) = Json::parse(raw)
        {
            let span = spans[before];
            bound.truncate(before);
            spans.truncate(before);
            for item in items {
                bound.push(Expr::constant(
                    Type::Real,
                    item.as_real().map_or(Value::Null, Value::Real),
                ));
                spans.push(span);
            }
        }
        let (args, ty) = matched(name, &aggregate.signatures, bound, &spans, span)?;
        let first = suggestions.first().cloned().flatten();
        let (results, names) = match aggregate.shape {
            Shape::One { .. } => {
                let prefix = aggregate.prefix(predicate).unwrap_or_default();
                (
                    vec![ty],
                    vec![Some(format!("{prefix}_{}", first.unwrap_or_default()))],
                )
            }
            Shape::First => (vec![ty], vec![first]),
            Shape::Args => (args.iter().map(|arg| arg.ty).collect(), suggestions),
            Shape::Prefixed(word) => {
                let named =
                    |name: Option<String>| Some(format!("{word}_{}", name.unwrap_or_default()));
                (
                    args.iter().map(|arg| arg.ty).collect(),
                    suggestions.into_iter().map(named).collect(),
                )
            }
            Shape::Chained(word) => {
                let stem = format!("{word}_{}", first.unwrap_or_default());
                let named = |(at, name): (usize, Option<String>)| match at {
                    0 => Some(stem.clone()),
                    _ => Some(format!("{stem}_{}", name.unwrap_or_default())),
                };
                (
                    args.iter().map(|arg| arg.ty).collect(),
                    suggestions.into_iter().enumerate().map(named).collect(),
                )
            }
            Shape::Percentiles(before) => {
                let mut names = Vec::new();
                for rank in &args[before.min(args.len())..] {
                    let rank = rank.as_const().and_then(Value::as_real).ok_or_else(|| {
                        Error::semantic(
                            span,
                            format!("the percentiles of `{}` must be constant", name.text),
                        )
                    })?;
                    let rank = rank.to_string().replace('.', "_");
                    names.push(Some(format!(
                        "percentile_{}_{rank}",
                        first.clone().unwrap_or_default()
                    )));
                }
                (vec![ty; names.len()], names)
            }
        };
        if results.is_empty() {
            return Err(Error::semantic(
                span,
                format!("`{}` needs more arguments", name.text),
            ));
        }
        let spec = Spec {
            args: args.iter().map(|arg| arg.ty).collect(),
            constants: args.iter().map(|arg| arg.as_const().cloned()).collect(),
            results,
        };
        Ok((
            Call {
                aggregate,
                args,
                filter,
                spec,
            },
            names,
        ))
    }
}

fn unknown(name: &syntax::Name, cx: &Context<'_>) -> Error {
    if functions::known::is_kusto(&name.text) {
        return Error::not_implemented(name.span, format!("function `{}`", name.text));
    }
    let mut known: Vec<String> = cx.scope.names().into_iter().map(str::to_owned).collect();
    known.extend(
        functions::names()
            .chain(aggregates::names())
            .map(str::to_owned),
    );
    Error::semantic(name.span, format!("no function `{}`", name.text))
        .nearest(&name.text, known.iter().map(String::as_str))
}

/// A call of a scalar function over arguments that are bound.
pub(super) fn apply(
    function: &'static Function,
    args: Vec<Expr>,
    spans: &[Span],
    span: Span,
) -> Result<Expr> {
    let name = syntax::Name {
        text: function.name.to_owned(),
        span,
    };
    let (args, ty) = matched(&name, &function.signatures, args, spans, span)?;
    if let Some(check) = function.check {
        let constants: Vec<_> = args.iter().map(|arg| arg.as_const().cloned()).collect();
        check(&constants)
            .map_err(|message| Error::semantic(span, format!("`{}`: {message}", function.name)))?;
    }
    Ok(Expr {
        ty,
        kind: ExprKind::Call(function, args),
    })
}

/// The first signature that takes the arguments; they come back converted.
fn matched(
    name: &syntax::Name,
    signatures: &[Signature],
    args: Vec<Expr>,
    spans: &[Span],
    span: Span,
) -> Result<(Vec<Expr>, Type)> {
    let counted: Vec<&Signature> = signatures
        .iter()
        .filter(|signature| signature.takes(args.len()))
        .collect();
    if counted.is_empty() {
        return Err(Error::semantic(
            span,
            format!("`{}` does not take {} arguments", name.text, args.len()),
        ));
    }
    let mut first_problem = None;
    for exactly in [true, false] {
        for signature in &counted {
            match conversions(signature, &args, spans, exactly) {
                Ok(targets) => {
                    let converted: Vec<Expr> = args
                        .into_iter()
                        .zip(&targets)
                        .map(|(arg, target)| target.map_or(arg.clone(), |ty| arg.cast(ty)))
                        .collect();
                    let ty = returned(signature, &converted);
                    return Ok((converted, ty));
                }
                Err(problem) if !exactly => first_problem = first_problem.or(Some(problem)),
                Err(_) => {}
            }
        }
    }
    let (at, message) = first_problem.expect("a signature that does not match says why");
    Err(Error::semantic(at, format!("`{}`: {message}", name.text)))
}

type Problem = (Span, String);

/// The type each argument is converted to, if any. `exactly` allows no conversion but that of the
/// common type, so that the nearest overload is chosen first.
fn conversions(
    signature: &Signature,
    args: &[Expr],
    spans: &[Span],
    exactly: bool,
) -> std::result::Result<Vec<Option<Type>>, Problem> {
    let mut common: Option<Type> = None;
    let mut wide: Option<Type> = None;
    for (index, arg) in args.iter().enumerate() {
        let Some(param) = signature.param(index, args.len()) else {
            continue;
        };
        match param.accept {
            Accept::Common => {
                let null = arg.as_const().is_some_and(Value::is_null);
                common = Some(match common {
                    None => arg.ty,
                    Some(ty) if ty == arg.ty => ty,
                    Some(ty) => match compare::widest(ty, arg.ty) {
                        Some(wide) => wide,
                        None if null => ty,
                        None => Type::Dynamic,
                    },
                });
            }
            Accept::Wide if arg.ty.is_number() => {
                wide = Some(match wide {
                    None => arg.ty,
                    Some(ty) => compare::widest(ty, arg.ty).expect("both are numbers"),
                });
            }
            _ => {}
        }
    }
    // Kusto widens whole numbers to long.
    let wide = wide.map(|ty| if ty == Type::Int { Type::Long } else { ty });
    let mut targets = Vec::with_capacity(args.len());
    for (index, arg) in args.iter().enumerate() {
        let at = spans.get(index).copied().unwrap_or_default();
        let param = signature
            .param(index, args.len())
            .expect("the number of arguments was looked at");
        if param.constant && arg.as_const().is_none() {
            return Err((at, format!("argument {} must be constant", index + 1)));
        }
        let ty = arg.ty;
        let dynamic = ty == Type::Dynamic && !exactly;
        let target = match param.accept {
            Accept::Any => Ok(None),
            Accept::Exactly(wanted) if ty == wanted => Ok(None),
            Accept::Exactly(wanted @ Type::Long) if ty == Type::Int && !exactly => Ok(Some(wanted)),
            Accept::Exactly(wanted @ Type::Real) if ty.is_integer() && !exactly => Ok(Some(wanted)),
            Accept::Exactly(wanted @ Type::Real) if ty == Type::Decimal && !exactly => {
                Ok(Some(wanted))
            }
            Accept::Exactly(wanted @ Type::Decimal) if ty.is_number() && !exactly => {
                Ok(Some(wanted))
            }
            Accept::Exactly(wanted) if dynamic => Ok(Some(wanted)),
            // A null has any type.
            Accept::Exactly(wanted) if arg.as_const().is_some_and(Value::is_null) && !exactly => {
                Ok(Some(wanted))
            }
            Accept::Exactly(wanted) => Err(wanted.name().to_owned()),
            Accept::Integer if ty == Type::Long => Ok(None),
            Accept::Integer if ty == Type::Int || dynamic => Ok(Some(Type::Long)),
            Accept::Integer => Err("a whole number".into()),
            Accept::Number if ty.is_number() => Ok(None),
            Accept::Number if dynamic => Ok(Some(Type::Real)),
            Accept::Number => Err("a number".into()),
            Accept::Summable if ty.is_summable() || ty == Type::DateTime => Ok(None),
            Accept::Summable if dynamic => Ok(Some(Type::Real)),
            Accept::Summable => Err("a number, datetime or timespan".into()),
            Accept::Orderable if ty != Type::Dynamic || !exactly => Ok(None),
            Accept::Orderable => Err("a value that has an order".into()),
            Accept::Text if matches!(ty, Type::String | Type::Dynamic) => Ok(Some(Type::String)),
            Accept::Text => Err("a string".into()),
            Accept::AnyText => Ok(Some(Type::String)),
            Accept::Common => Ok(common),
            Accept::Wide if ty.is_number() => Ok(wide),
            Accept::Wide if dynamic => Ok(wide.or(Some(Type::Real))),
            Accept::Wide => Err("a number".into()),
            Accept::TypeLiteral if ty == Type::String => Ok(None),
            Accept::TypeLiteral => Err("`typeof(...)`".into()),
        };
        targets.push(target.map_err(|wanted| {
            (
                at,
                format!("argument {} must be {wanted}, and is {ty}", index + 1),
            )
        })?);
    }
    Ok(targets)
}

fn returned(signature: &Signature, args: &[Expr]) -> Type {
    let arg = |index: usize| args.get(index).map_or(Type::Dynamic, |arg| arg.ty);
    match signature.returns {
        Returns::Exactly(ty) => ty,
        Returns::Arg(index) => arg(index),
        Returns::Promoted(index) => match arg(index) {
            Type::Int => Type::Long,
            ty => ty,
        },
        Returns::Common => (0..args.len())
            .find(|index| {
                signature
                    .param(*index, args.len())
                    .is_some_and(|p| matches!(p.accept, Accept::Common | Accept::Wide))
            })
            .map_or(Type::Dynamic, arg),
        Returns::Literal(index) => args
            .get(index)
            .and_then(|arg| arg.as_const())
            .and_then(|value| Type::from_name(value.text()))
            .unwrap_or(Type::String),
    }
}
