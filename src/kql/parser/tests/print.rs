//! A tree as a short line, for tests to compare.

use crate::kql::parser::parse;
use crate::kql::syntax::*;
use crate::kql::text::{datetime, number, timespan};
use crate::kql::types::Type;

/// The tree of `print <text>`.
pub(super) fn expression(text: &str) -> String {
    let text = format!("print {text}");
    let printed = query(&parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let inner = printed
        .strip_prefix("(print ")
        .and_then(|rest| rest.strip_suffix(')'));
    inner.expect("a print").to_owned()
}

/// The tree of the operator in `T | <text>`.
pub(super) fn operator(text: &str) -> String {
    let text = format!("T | {text}");
    let printed = query(&parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let inner = printed
        .strip_prefix("(pipe T ")
        .and_then(|rest| rest.strip_suffix(')'));
    inner.expect("a pipe").to_owned()
}

pub(super) fn query(query: &Query) -> String {
    join(&query.statements, "; ", statement)
}

fn join<T>(items: &[T], between: &str, print: impl Fn(&T) -> String) -> String {
    items.iter().map(print).collect::<Vec<_>>().join(between)
}

/// `(head part part)`, without the empty parts.
fn node(head: &str, parts: &[String]) -> String {
    let mut all = vec![head.to_owned()];
    all.extend(parts.iter().filter(|part| !part.is_empty()).cloned());
    format!("({})", all.join(" "))
}

fn statement(statement: &Statement) -> String {
    match statement {
        Statement::Let {
            name,
            value: LetValue::Expr(value),
        } => format!("let {} {}", name.text, expr(value)),
        Statement::Let {
            name,
            value: LetValue::Function(function),
        } => {
            let view = if function.view { "-view" } else { "" };
            format!(
                "let {} fn{view}[{}]{{{}}}",
                name.text,
                params(&function.params),
                query(&function.body)
            )
        }
        Statement::Set { name, value } => match value {
            Some(value) => format!("set {} {}", name.text, expr(value)),
            None => format!("set {}", name.text),
        },
        Statement::Parameters(list) => format!("parameters[{}]", params(list)),
        Statement::Other { keyword } => format!("other {}", keyword.text),
        Statement::Expr(value) => expr(value),
    }
}

fn params(params: &[Param]) -> String {
    join(params, " ", |param| {
        let kind = match &param.kind {
            ParamKind::Scalar(ty) => ty.to_string(),
            ParamKind::Table { any: true, .. } => "(*)".to_owned(),
            ParamKind::Table { columns, .. } => format!("({})", schema(columns)),
        };
        let default = param
            .default
            .as_ref()
            .map_or(String::new(), |value| format!("={}", expr(value)));
        format!("{}:{kind}{default}", param.name.text)
    })
}

fn schema(columns: &[(Name, Type)]) -> String {
    join(columns, " ", |(name, ty)| format!("{}:{ty}", name.text))
}

fn exprs(list: &[Expr]) -> String {
    join(list, " ", expr)
}

fn names(list: &[Name]) -> String {
    join(list, " ", |name| name.text.clone())
}

fn expr(value: &Expr) -> String {
    match &value.kind {
        ExprKind::Literal(value) => literal(value),
        ExprKind::Name(name) | ExprKind::Wildcard(name) => name.clone(),
        ExprKind::Member { object, member } => node(".", &[expr(object), member.text.clone()]),
        ExprKind::Index { object, index } => node("at", &[expr(object), expr(index)]),
        ExprKind::Call { function, args } => node(&function.text, &[arguments(args)]),
        ExprKind::Unary { minus, operand } => {
            node(if *minus { "-" } else { "+" }, &[expr(operand)])
        }
        ExprKind::Binary { op, left, right } => node(&binary(*op), &[expr(left), expr(right)]),
        ExprKind::In { op, left, list } => {
            let op = match op {
                InOp::In => "in",
                InOp::NotIn => "!in",
                InOp::InFold => "in~",
                InOp::NotInFold => "!in~",
                InOp::HasAny => "has_any",
                InOp::HasAll => "has_all",
            };
            node(op, &[expr(left), exprs(list)])
        }
        ExprKind::Between {
            not,
            left,
            low,
            high,
        } => node(
            if *not { "!between" } else { "between" },
            &[expr(left), expr(low), expr(high)],
        ),
        ExprKind::Star => "*".to_owned(),
        ExprKind::Pipe { source, operators } => node("pipe", &[expr(source), pipe(operators)]),
        ExprKind::Datatable { columns, values } => node(
            "datatable",
            &[format!("[{}]", schema(columns)), exprs(values)],
        ),
        ExprKind::ExternalData { columns } => node("externaldata", &[schema(columns)]),
        ExprKind::Print(list) => node("print", &[columns(list)]),
        ExprKind::Range {
            column,
            from,
            to,
            step,
        } => node(
            "range",
            &[column.text.clone(), expr(from), expr(to), expr(step)],
        ),
        ExprKind::Union {
            options: list,
            tables,
        } => node("union", &[options(list), exprs(tables)]),
        ExprKind::Search(value) => search(value),
        ExprKind::Source(value) => kind(&value.kind),
        ExprKind::Tabular { function, body } => {
            let name = match function {
                TabularFunction::ToScalar => "toscalar",
                TabularFunction::Materialize => "materialize",
                TabularFunction::ToTable => "totable",
            };
            node(name, &[expr(body)])
        }
        ExprKind::List(list) => format!("[{}]", exprs(list)),
        ExprKind::Unsupported(what) => node("unsupported", std::slice::from_ref(what)),
    }
}

fn arguments(args: &[Arg]) -> String {
    join(args, " ", |arg| match &arg.name {
        Some(name) => format!("{}={}", name.text, expr(&arg.value)),
        None => expr(&arg.value),
    })
}

fn binary(op: Binary) -> String {
    let (text, not) = match op {
        Binary::Add => return "+".to_owned(),
        Binary::Subtract => return "-".to_owned(),
        Binary::Multiply => return "*".to_owned(),
        Binary::Divide => return "/".to_owned(),
        Binary::Modulo => return "%".to_owned(),
        Binary::Equal => return "==".to_owned(),
        Binary::NotEqual => return "!=".to_owned(),
        Binary::EqualFold => return "=~".to_owned(),
        Binary::NotEqualFold => return "!~".to_owned(),
        Binary::Less => return "<".to_owned(),
        Binary::LessEqual => return "<=".to_owned(),
        Binary::Greater => return ">".to_owned(),
        Binary::GreaterEqual => return ">=".to_owned(),
        Binary::And => return "and".to_owned(),
        Binary::Or => return "or".to_owned(),
        Binary::Text(op, not) => (op, not),
    };
    format!("{}{}", if not { "!" } else { "" }, text.name())
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => format!("int {value}"),
        Literal::Long(value) => value.to_string(),
        Literal::Real(value) => format!("{value:?}"),
        Literal::Decimal(text) => format!("decimal {text}"),
        Literal::String(text) => format!("{text:?}"),
        Literal::DateTime(ticks) => datetime::format_datetime(*ticks),
        Literal::TimeSpan(ticks) => timespan::format_timespan(*ticks),
        Literal::Guid(guid) => number::format_guid(*guid),
        Literal::Dynamic(json) => format!("dynamic {json}"),
        Literal::Null(ty) => format!("null {ty}"),
    }
}

fn column(column: &Column) -> String {
    match &column.names[..] {
        [] => expr(&column.value),
        [name] => format!("{}={}", name.text, expr(&column.value)),
        several => format!("({})={}", names(several), expr(&column.value)),
    }
}

fn columns(list: &[Column]) -> String {
    join(list, " ", column)
}

fn options(list: &[NamedOption]) -> String {
    join(list, " ", |option| {
        format!("{}={}", option.name.text, expr(&option.value))
    })
}

fn pipe(operators: &[Operator]) -> String {
    join(operators, " ", |operator| kind(&operator.kind))
}

fn search(search: &Search) -> String {
    let tables = match &search.tables[..] {
        [] => String::new(),
        tables => node("in", &[exprs(tables)]),
    };
    node(
        "search",
        &[options(&search.options), tables, expr(&search.predicate)],
    )
}

fn sub(query: &SubQuery) -> String {
    let name = query
        .name
        .as_ref()
        .map_or(String::new(), |name| format!("{}=", name.text));
    format!("{name}({})", pipe(&query.operators))
}

fn after(word: &str, value: Option<String>) -> String {
    value.map_or(String::new(), |value| format!("{word} {value}"))
}

fn order(ascending: Option<bool>) -> String {
    ascending
        .map_or("", |ascending| if ascending { "asc" } else { "desc" })
        .to_owned()
}

fn sort_keys(keys: &[SortKey]) -> String {
    join(keys, " ", |key| {
        let nulls = key
            .nulls_first
            .map(|first| if first { " nulls-first" } else { " nulls-last" });
        let order = order(key.ascending);
        let space = if order.is_empty() { "" } else { " " };
        format!(
            "[{}{space}{order}{}]",
            expr(&key.value),
            nulls.unwrap_or("")
        )
    })
}

fn join_keys(keys: &[JoinKey]) -> String {
    let keys = join(keys, " ", |key| match key {
        JoinKey::Name(name) => name.text.clone(),
        JoinKey::Expr(value) => expr(value),
    });
    format!("on {keys}")
}

fn mv_columns(list: &[MvColumn]) -> String {
    join(list, " ", |column| {
        let name = column
            .name
            .as_ref()
            .map_or(String::new(), |name| format!("{}=", name.text));
        let ty = column.to.map_or(String::new(), |ty| format!(":{ty}"));
        format!("{name}{}{ty}", expr(&column.value))
    })
}

fn patterns(list: &[Pattern]) -> String {
    join(list, " ", |pattern| pattern.text.clone())
}

fn some(value: &Option<Expr>) -> Option<String> {
    value.as_ref().map(expr)
}

fn kind(operator: &OperatorKind) -> String {
    use OperatorKind as Op;
    match operator {
        Op::Where(value) => node("where", &[expr(value)]),
        Op::Extend(list) => node("extend", &[columns(list)]),
        Op::Project(list) => node("project", &[columns(list)]),
        Op::ProjectAway(list) => node("project-away", &[patterns(list)]),
        Op::ProjectKeep(list) => node("project-keep", &[patterns(list)]),
        Op::ProjectRename(list) => node(
            "project-rename",
            &[join(list, " ", |(new, old)| {
                format!("{}={}", new.text, old.text)
            })],
        ),
        Op::ProjectReorder(list) => node(
            "project-reorder",
            &[join(list, " ", |(pattern, order)| match order {
                Some(order) => format!("{}:{order:?}", pattern.text),
                None => pattern.text.clone(),
            })],
        ),
        Op::ProjectByNames(list) => node("project-by-names", &[exprs(list)]),
        Op::Summarize {
            options: list,
            aggregates,
            by,
        } => {
            let by = if by.is_empty() {
                None
            } else {
                Some(columns(by))
            };
            node(
                "summarize",
                &[options(list), columns(aggregates), after("by", by)],
            )
        }
        Op::Distinct(list) => node("distinct", &[columns(list)]),
        Op::Count { name } => node("count", &[names(name.as_slice())]),
        Op::Sort { options: list, by } => node("sort", &[options(list), sort_keys(by)]),
        Op::Take(count) => node("take", &[expr(count)]),
        Op::Top { count, by } => node("top", &[expr(count), sort_keys(by)]),
        Op::TopNested(levels) => node(
            "top-nested",
            &[join(levels, " ", |level| {
                let parts = [
                    some(&level.count).unwrap_or_default(),
                    column(&level.of),
                    after("others", some(&level.others)),
                    column(&level.by),
                    order(level.ascending),
                ];
                node("level", &parts)
            })],
        ),
        Op::TopHitters { count, of, by } => node(
            "top-hitters",
            &[expr(count), expr(of), after("by", some(by))],
        ),
        Op::Sample(count) => node("sample", &[expr(count)]),
        Op::SampleDistinct { count, of } => node("sample-distinct", &[expr(count), expr(of)]),
        Op::Join {
            options: list,
            right,
            on,
        } => node("join", &[options(list), expr(right), join_keys(on)]),
        Op::Lookup {
            options: list,
            right,
            on,
        } => node("lookup", &[options(list), expr(right), join_keys(on)]),
        Op::Union {
            options: list,
            tables,
        } => node("union", &[options(list), exprs(tables)]),
        Op::MvExpand {
            options: list,
            columns,
            limit,
        } => node(
            "mv-expand",
            &[
                options(list),
                mv_columns(columns),
                after("limit", some(limit)),
            ],
        ),
        Op::MvApply {
            options: list,
            columns,
            limit,
            id,
            body,
        } => {
            let parts = [
                options(list),
                mv_columns(columns),
                after("limit", some(limit)),
                after("id", id.as_ref().map(|name| name.text.clone())),
                sub(body),
            ];
            node("mv-apply", &parts)
        }
        Op::Parse {
            options: list,
            source,
            pattern,
            filter,
        } => {
            let pattern = join(pattern, " ", |part| match part {
                ParsePart::Star => "*".to_owned(),
                ParsePart::Text(text, _) => format!("{text:?}"),
                ParsePart::Capture { name, ty: Some(ty) } => format!("{}:{ty}", name.text),
                ParsePart::Capture { name, ty: None } => name.text.clone(),
            });
            let word = if *filter { "parse-where" } else { "parse" };
            node(word, &[options(list), expr(source), pattern])
        }
        Op::ParseKv {
            source,
            columns,
            options: list,
        } => node(
            "parse-kv",
            &[
                expr(source),
                format!("[{}]", schema(columns)),
                options(list),
            ],
        ),
        Op::MakeSeries(series) => {
            let aggregates = join(&series.aggregates, " ", |one| {
                let default = one
                    .default
                    .as_ref()
                    .map_or(String::new(), |value| format!("?{}", expr(value)));
                format!("{}{default}", column(&one.column))
            });
            let by = if series.by.is_empty() {
                None
            } else {
                Some(columns(&series.by))
            };
            let parts = [
                options(&series.options),
                aggregates,
                after("on", Some(column(&series.on))),
                if series.in_range {
                    "in-range".to_owned()
                } else {
                    String::new()
                },
                after("from", some(&series.from)),
                after("to", some(&series.to)),
                after("step", Some(expr(&series.step))),
                after("by", by),
            ];
            node("make-series", &parts)
        }
        Op::Serialize(list) => node("serialize", &[columns(list)]),
        Op::GetSchema => node("getschema", &[]),
        Op::Render {
            kind,
            options: list,
        } => node("render", &[kind.text.clone(), options(list)]),
        Op::As {
            options: list,
            name,
        } => node("as", &[options(list), name.text.clone()]),
        Op::Invoke { function, args } => {
            node("invoke", &[node(&function.text, &[arguments(args)])])
        }
        Op::Evaluate {
            options: list,
            function,
            args,
            schema: output,
        } => {
            let output = output.as_ref().map_or(String::new(), |output| {
                format!(
                    "[{}{}]",
                    if output.star { "* " } else { "" },
                    schema(&output.columns)
                )
            });
            node(
                "evaluate",
                &[
                    options(list),
                    node(&function.text, &[arguments(args)]),
                    output,
                ],
            )
        }
        Op::Search(value) => search(value),
        Op::Find {
            options: list,
            tables,
            predicate,
            project,
        } => node(
            "find",
            &[
                options(list),
                exprs(tables),
                expr(predicate),
                columns(project),
            ],
        ),
        Op::Facet { by, with } => node(
            "facet",
            &[
                names(by),
                with.as_ref().map_or(String::new(), |with| sub(with)),
            ],
        ),
        Op::Fork(branches) => node("fork", &[join(branches, " ", sub)]),
        Op::Partition {
            options: list,
            by,
            body,
        } => node("partition", &[options(list), by.text.clone(), sub(body)]),
        Op::Scan(steps) => node("scan", &[names(steps)]),
        Op::Reduce { by, options: list } => node("reduce", &[expr(by), options(list)]),
        Op::Consume => node("consume", &[]),
        Op::AssertSchema(columns) => node("assert-schema", &[schema(columns)]),
        Op::Other { keyword } => node("other", std::slice::from_ref(keyword)),
    }
}
