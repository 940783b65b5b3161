//! A plan as a tree for people: what is read, where, and in what order it is worked on.

use std::fmt::{self, Write as _};

use super::convert;
use super::expr::{Expr, ExprKind, Op, Set, Terms};
use super::plan::{Bound, Call, Node, Plan, SortKey, Test};
use super::types::{Schema, Type};
use super::value::Value;

/// The plan, an operator on each line, its inputs below it.
#[must_use]
pub fn explain(plan: &Plan) -> String {
    let mut out = String::new();
    tree(plan, 0, &mut out);
    out
}

fn tree(plan: &Plan, depth: usize, out: &mut String) {
    for _ in 0..depth {
        out.push_str("  ");
    }
    let _ = writeln!(out, "{}", line(plan));
    for input in plan.inputs() {
        tree(input, depth + 1, out);
    }
}

fn line(plan: &Plan) -> String {
    let schema = &plan.schema;
    match &plan.node {
        Node::Scan {
            name,
            source,
            wanted,
            bounds,
        } => scan(name, source.schema(), wanted, bounds),
        Node::Rows(batches) => {
            let rows: usize = batches.iter().map(|batch| batch.rows).sum();
            format!("rows {rows}: {}", names(schema))
        }
        Node::Print(exprs) => format!("print {}", named(schema, exprs, &Schema::default())),
        Node::Range { from, to, step } => {
            let none = Schema::default();
            let name = &schema.fields[0].name;
            format!(
                "range {name} from {} to {} step {}",
                show(from, &none),
                show(to, &none),
                show(step, &none)
            )
        }
        Node::Filter { input, predicate } => format!("where {}", show(predicate, &input.schema)),
        Node::Project { input, exprs } => {
            format!("project {}", named(schema, exprs, &input.schema))
        }
        Node::Summarize { input, keys, calls } => {
            let named_call = |(at, call): (usize, &Call)| {
                let name = schema.fields.get(keys.len() + at);
                let name = name.map_or("", |field| field.name.as_str());
                format!("{name} = {}", aggregate(call, &input.schema))
            };
            let calls: Vec<String> = calls.iter().enumerate().map(named_call).collect();
            let by = named(schema, keys, &input.schema);
            match (calls.is_empty(), keys.is_empty()) {
                (false, true) => format!("summarize {}", calls.join(", ")),
                (true, _) => format!("summarize by {by}"),
                (false, false) => format!("summarize {} by {by}", calls.join(", ")),
            }
        }
        Node::Sort { input, keys } => format!("sort by {}", sorted(keys, &input.schema)),
        Node::Top { input, keys, count } => format!(
            "top {} by {}",
            show(count, &input.schema),
            sorted(keys, &input.schema)
        ),
        Node::Take { input, count } => format!("take {}", show(count, &input.schema)),
        Node::Join(join) => {
            let keys = join.left_keys.iter().zip(&join.right_keys);
            let keys: Vec<String> = keys
                .map(|(left, right)| {
                    let (left, right) = (
                        show(left, &join.left.schema),
                        show(right, &join.right.schema),
                    );
                    format!("$left.{left} == $right.{right}")
                })
                .collect();
            format!(
                "join kind={} on {}",
                format!("{:?}", join.kind).to_lowercase(),
                keys.join(", ")
            )
        }
        Node::Union(inputs) => format!("union of {}", inputs.len()),
        Node::Shared(_) => "computed once".into(),
        Node::Stream { stage, .. } => format!("{} (row by row)", stage.name()),
        Node::Breaker { stage, .. } => format!("{} (whole table)", stage.name()),
    }
}

fn scan(name: &str, schema: &Schema, wanted: &[bool], bounds: &[Bound]) -> String {
    let read: Vec<&str> = schema
        .names()
        .zip(wanted)
        .filter_map(|(name, wanted)| wanted.then_some(name))
        .collect();
    let mut line = format!("scan {name}: ");
    match read.as_slice() {
        [] => line.push_str("no column"),
        read => line.push_str(&read.join(", ")),
    }
    let _ = write!(line, " ({} of {})", read.len(), schema.len());
    if !bounds.is_empty() {
        let bounds: Vec<String> = bounds.iter().map(|bound| bounded(bound, schema)).collect();
        let _ = write!(line, " within {}", bounds.join(" and "));
    }
    line
}

fn bounded(bound: &Bound, schema: &Schema) -> String {
    let Some(field) = schema.fields.get(bound.column) else {
        return "?".into();
    };
    let (name, ty) = (&field.name, field.ty);
    match &bound.test {
        Test::OneOf(values) => match values.as_slice() {
            [one] => format!("{name} == {}", literal(one, ty)),
            many => {
                let values: Vec<String> = many.iter().map(|value| literal(value, ty)).collect();
                format!("{name} in ({})", values.join(", "))
            }
        },
        Test::Above { value, strict } => {
            let sign = if *strict { ">" } else { ">=" };
            format!("{name} {sign} {}", literal(value, ty))
        }
        Test::Below { value, strict } => {
            let sign = if *strict { "<" } else { "<=" };
            format!("{name} {sign} {}", literal(value, ty))
        }
    }
}

fn names(schema: &Schema) -> String {
    schema.names().collect::<Vec<_>>().join(", ")
}

/// Columns with the expressions that make them; what is only passed on is a name alone.
fn named(schema: &Schema, exprs: &[Expr], input: &Schema) -> String {
    let shown = exprs.iter().zip(schema.names()).filter_map(|(expr, name)| {
        let text = show(expr, input);
        match expr.kind {
            ExprKind::Absent => None,
            _ if text == name => Some(text),
            _ => Some(format!("{name} = {text}")),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn sorted(keys: &[SortKey], input: &Schema) -> String {
    let keys = keys.iter().map(|key| {
        let order = if key.ascending { "asc" } else { "desc" };
        // Nulls first is what `asc` means, and last what `desc` does.
        let nulls = match (key.ascending, key.nulls_first) {
            (true, false) => " nulls last",
            (false, true) => " nulls first",
            _ => "",
        };
        format!("{} {order}{nulls}", show(&key.expr, input))
    });
    keys.collect::<Vec<_>>().join(", ")
}

fn aggregate(call: &Call, input: &Schema) -> String {
    let args: Vec<String> = call.args.iter().map(|arg| show(arg, input)).collect();
    let mut text = format!("{}({})", call.aggregate.name, args.join(", "));
    if let Some(filter) = &call.filter {
        let _ = write!(text, " if {}", show(filter, input));
    }
    text
}

fn show(expr: &Expr, input: &Schema) -> String {
    Shown { expr, input }.to_string()
}

struct Shown<'a> {
    expr: &'a Expr,
    input: &'a Schema,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = self.input;
        let of = |expr| Shown { expr, input };
        let list = |args: &[Expr]| {
            let args: Vec<String> = args.iter().map(|arg| show(arg, input)).collect();
            args.join(", ")
        };
        match &self.expr.kind {
            ExprKind::Column(at) => match self.input.fields.get(*at) {
                Some(field) => f.write_str(&field.name),
                None => write!(f, "#{at}"),
            },
            ExprKind::Const(value) => f.write_str(&literal(value, self.expr.ty)),
            ExprKind::Call(function, args) => write!(f, "{}({})", function.name, list(args)),
            ExprKind::Cast(inner) => write!(f, "to{}({})", self.expr.ty, of(inner)),
            ExprKind::Op(op, args) => operator(f, op, args, &of),
            ExprKind::In {
                left,
                set,
                fold,
                not,
            } => {
                let count = match set.as_ref() {
                    Set::Whole(set) => set.len(),
                    Set::Texts(set) => set.len(),
                    Set::Keys(set) => set.len(),
                };
                let (not, fold) = marks(*not, *fold);
                write!(f, "{} {not}in{fold} ({count} values)", of(left))
            }
            ExprKind::InTable {
                left, fold, not, ..
            } => {
                let (not, fold) = marks(*not, *fold);
                write!(f, "{} {not}in{fold} (a table)", of(left))
            }
            ExprKind::HasList { left, terms, all } => {
                let name = if *all { "has_all" } else { "has_any" };
                match terms {
                    Terms::Known(terms) => {
                        write!(f, "{} {name} ({} terms)", of(left), terms.len())
                    }
                    Terms::Table(_) => write!(f, "{} {name} (a table)", of(left)),
                }
            }
            ExprKind::Scalar(_) => f.write_str("toscalar(a table)"),
            ExprKind::Absent => f.write_str("nothing"),
        }
    }
}

fn marks(not: bool, fold: bool) -> (&'static str, &'static str) {
    (if not { "!" } else { "" }, if fold { "~" } else { "" })
}

fn operator<'a>(
    f: &mut fmt::Formatter<'_>,
    op: &Op,
    args: &'a [Expr],
    of: &dyn Fn(&'a Expr) -> Shown<'a>,
) -> fmt::Result {
    let sign = match op {
        Op::Add => "+",
        Op::Subtract => "-",
        Op::Multiply => "*",
        Op::Divide => "/",
        Op::Modulo => "%",
        Op::Equal => "==",
        Op::NotEqual => "!=",
        Op::EqualFold => "=~",
        Op::NotEqualFold => "!~",
        Op::Less => "<",
        Op::LessEqual => "<=",
        Op::Greater => ">",
        Op::GreaterEqual => ">=",
        Op::And => "and",
        Op::Or => "or",
        Op::Text(text, not) => {
            let not = if *not { "!" } else { "" };
            return write!(f, "{} {not}{} {}", of(&args[0]), text.name(), of(&args[1]));
        }
        Op::Negate => return write!(f, "-({})", of(&args[0])),
        Op::Member(name) => return write!(f, "{}.{name}", of(&args[0])),
        Op::Index => return write!(f, "{}[{}]", of(&args[0]), of(&args[1])),
    };
    let side = |f: &mut fmt::Formatter<'_>, arg: &'a Expr| {
        // Brackets wherever an operator is under another, but for chains of one.
        match &arg.kind {
            ExprKind::Op(inner, _)
                if !(matches!(inner, Op::Member(_) | Op::Index)
                    || inner == op && matches!(op, Op::And | Op::Or))
                    && (*op != Op::And || *inner == Op::Or) =>
            {
                write!(f, "({})", of(arg))
            }
            _ => write!(f, "{}", of(arg)),
        }
    };
    for (at, arg) in args.iter().enumerate() {
        if at > 0 {
            write!(f, " {sign} ")?;
        }
        side(f, arg)?;
    }
    Ok(())
}

/// A constant as it would be written in a query.
fn literal(value: &Value<'_>, ty: Type) -> String {
    let text = convert::text(value);
    match value {
        Value::Null => format!("{ty}(null)"),
        Value::String(text) => format!("{text:?}"),
        Value::Bool(_) | Value::Long(_) | Value::Real(_) => text.into_owned(),
        Value::Dynamic(text) => format!("dynamic({text})"),
        _ => format!("{ty}({text})"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::source::{Memory, Tables};
    use super::super::{Options, plan};
    use super::*;

    #[test]
    fn a_plan_tells_what_is_read_and_within_which_bounds() {
        let schema = Schema::of(&[
            ("At", Type::DateTime),
            ("Name", Type::String),
            ("Ms", Type::Real),
            ("More", Type::Dynamic),
        ]);
        let mut tables = Tables::default();
        tables.add("T", Arc::new(Memory::empty(schema)));
        let text = "T | where At > datetime(2026-01-01) and Name has 'x' \
            | summarize n = count(), slow = max(Ms) by Name | top 3 by n | project n, Name, twice = 2 * slow";
        let plan = plan(text, &tables, &Options::at(0)).expect("a plan");
        let tree = explain(&plan);
        let lines: Vec<&str> = tree.lines().map(str::trim_start).collect();
        assert_eq!(
            lines,
            [
                "project n, Name, twice = 2.0 * slow",
                "top 3 by n desc",
                "project Name, n = count0, slow = max0",
                "summarize count0 = count(), max0 = max(Ms) by Name",
                "where At > datetime(2026-01-01T00:00:00.0000000Z) and Name has \"x\"",
                "scan T: At, Name, Ms (3 of 4) within At > datetime(2026-01-01T00:00:00.0000000Z)",
            ]
        );
    }
}
