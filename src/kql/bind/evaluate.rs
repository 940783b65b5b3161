//! `evaluate`: plugins. The columns of some depend on rows, so their input runs when they are bound,
//! unless the writer declares the columns.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::aggregates;
use super::super::column::Builder;
use super::super::convert;
use super::super::error::{Error, Result, Span};
use super::super::exec::unpack::{Narrow, Slot, Unpack};
use super::super::exec::{collect, keys};
use super::super::expr::Expr;
use super::super::json::Json;
use super::super::plan::{Batch, Node, Plan, Shared};
use super::super::prune::prune;
use super::super::syntax::{self, Arg, Column, ExprKind, Name, OutputSchema};
use super::super::types::{Field, Schema, Type};
use super::super::value::Value;
use super::expand::broken;
use super::parse::staged;
use super::{Binder, Scope};

/// Which column stays when a member of a bag is called as a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conflict {
    Error,
    ReplaceSource,
    KeepSource,
}

impl Binder<'_> {
    pub(super) fn evaluate(
        &mut self,
        input: Plan,
        function: &Name,
        args: &[Arg],
        declared: Option<&OutputSchema>,
        scope: &Scope,
    ) -> Result<Plan> {
        match function.text.as_str() {
            "bag_unpack" => self.bag_unpack(input, function.span, args, declared, scope),
            "pivot" => self.pivot(input, function.span, args, declared, scope),
            "narrow" => {
                if let Some(arg) = args.first() {
                    return Err(Error::semantic(
                        arg.value.span,
                        "`narrow` takes no arguments",
                    ));
                }
                if declared.is_some() {
                    return Err(Error::not_implemented(
                        function.span,
                        "a declared schema of `evaluate narrow`",
                    ));
                }
                let schema = Schema::of(&[
                    ("Row", Type::Long),
                    ("Column", Type::String),
                    ("Value", Type::String),
                ]);
                let names = input.schema.names().map(str::to_owned).collect();
                Ok(broken(input, schema, Narrow { names }))
            }
            other => Err(Error::not_implemented(
                function.span,
                format!("`evaluate {other}`"),
            )),
        }
    }

    fn bag_unpack(
        &mut self,
        input: Plan,
        span: Span,
        args: &[Arg],
        declared: Option<&OutputSchema>,
        scope: &Scope,
    ) -> Result<Plan> {
        let Some((bag, options)) = args.split_first() else {
            return Err(Error::semantic(
                span,
                "`bag_unpack` takes the column of the bag",
            ));
        };
        let at = match &bag.value.kind {
            ExprKind::Name(name) => column(&input.schema, name, bag.value.span)?,
            _ => {
                return Err(Error::semantic(
                    bag.value.span,
                    "the name of a column is needed here",
                ));
            }
        };
        if input.schema.fields[at].ty != Type::Dynamic {
            let message = format!(
                "a bag is dynamic, and this is {}",
                input.schema.fields[at].ty
            );
            return Err(Error::semantic(bag.value.span, message));
        }
        let mut prefix = String::new();
        let mut conflict = Conflict::Error;
        let mut ignored: Vec<String> = Vec::new();
        for (position, option) in options.iter().enumerate() {
            let name = option
                .name
                .as_ref()
                .map(|name| name.text.to_ascii_lowercase());
            let value = self.scalar(&option.value, scope)?;
            let value = super::super::exec::constant(&value, self.run)?;
            match (name.as_deref(), position) {
                (Some("outputcolumnprefix" | "columnprefix"), _) | (None, 0) => {
                    value.text().clone_into(&mut prefix);
                }
                (Some("columnsconflict"), _) | (None, 1) => {
                    conflict = match value.text() {
                        "error" => Conflict::Error,
                        "replace_source" => Conflict::ReplaceSource,
                        "keep_source" => Conflict::KeepSource,
                        other => {
                            let message = format!("no conflict of columns ends in `{other}`");
                            return Err(Error::semantic(option.value.span, message));
                        }
                    }
                }
                (Some("ignoredproperties"), _) | (None, 2) => {
                    let list = Json::parse(value.text());
                    let list = list.as_ref().and_then(Json::as_array).unwrap_or_default();
                    ignored.extend(list.iter().map(Json::to_text));
                }
                _ => {
                    let message = "an argument that `bag_unpack` does not have";
                    return Err(Error::semantic(option.value.span, message));
                }
            }
        }
        let source = |name: &str| input.schema.index(name).filter(|place| *place != at);
        let mut fields = Vec::new();
        let mut output = Vec::new();
        let mut refused = Vec::new();
        if let Some(declared) = declared {
            let star = declared
                .star
                .then(|| (0..input.schema.len()).filter(|place| *place != at));
            for place in star.into_iter().flatten() {
                fields.push(input.schema.fields[place].clone());
                output.push(Slot::Column(place));
            }
            for (name, ty) in &declared.columns {
                let key = name.text.strip_prefix(prefix.as_str()).map(str::to_owned);
                let key = key.filter(|key| !ignored.contains(key));
                let slot = match (source(&name.text), key, conflict) {
                    (Some(place), key, Conflict::Error) => {
                        refused.extend(key);
                        Slot::Column(place)
                    }
                    (Some(place), None, _) | (Some(place), Some(_), Conflict::KeepSource) => {
                        Slot::Column(place)
                    }
                    (_, Some(key), _) => Slot::Member(key, *ty),
                    (None, None, _) => Slot::Member(String::new(), *ty),
                };
                if let Slot::Column(place) = slot
                    && input.schema.fields[place].ty != *ty
                {
                    let held = input.schema.fields[place].ty;
                    let message = format!("`{}` is {held}, and is declared {ty}", name.text);
                    return Err(Error::semantic(name.span, message));
                }
                let field = Field::new(name.text.clone(), *ty);
                match fields
                    .iter()
                    .position(|taken: &Field| taken.name == name.text)
                {
                    Some(taken) => {
                        fields[taken] = field;
                        output[taken] = slot;
                    }
                    None => {
                        fields.push(field);
                        output.push(slot);
                    }
                }
            }
            let stage = Unpack {
                bag: at,
                output,
                refused,
            };
            return Ok(staged(input, Schema::new(fields), stage));
        }
        let schema = input.schema.clone();
        let ordered = input.ordered;
        let shared = Arc::new(Shared::new(prune(input)));
        let mut members: BTreeMap<String, Option<Type>> = BTreeMap::new();
        for batch in shared.rows(self.run)?.iter() {
            for bag in batch.columns[at].values() {
                let Some(Json::Bag(slots)) = Json::parse(bag.text()) else {
                    continue;
                };
                for (key, value) in slots {
                    let seen = members.entry(key).or_default();
                    *seen = match (*seen, kind(&value)) {
                        (seen, None) => seen,
                        (None, found) => found,
                        (Some(seen), Some(found)) if seen == found => Some(seen),
                        _ => Some(Type::Dynamic),
                    };
                }
            }
        }
        members.retain(|key, _| !ignored.contains(key));
        for (place, field) in schema
            .fields
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != at)
        {
            let key = field.name.strip_prefix(prefix.as_str());
            let member = key
                .filter(|key| members.contains_key(*key))
                .map(str::to_owned);
            match (member, conflict) {
                (Some(_), Conflict::Error) => {
                    let message = format!(
                        "`bag_unpack`: `{}` is a column already; say which one stays with `columnsConflict`",
                        field.name
                    );
                    return Err(Error::semantic(span, message));
                }
                (Some(key), Conflict::ReplaceSource) => {
                    let ty = members.remove(&key).flatten().unwrap_or(Type::Dynamic);
                    fields.push(Field::new(field.name.clone(), ty));
                    output.push(Slot::Member(key, ty));
                }
                (member, _) => {
                    if let Some(key) = member {
                        members.remove(&key);
                    }
                    fields.push(field.clone());
                    output.push(Slot::Column(place));
                }
            }
        }
        for (key, ty) in members {
            let ty = ty.unwrap_or(Type::Dynamic);
            fields.push(Field::new(format!("{prefix}{key}"), ty));
            output.push(Slot::Member(key, ty));
        }
        let computed = Plan {
            schema,
            ordered,
            node: Node::Shared(shared),
        };
        let stage = Unpack {
            bag: at,
            output,
            refused,
        };
        Ok(staged(computed, Schema::new(fields), stage))
    }

    /// A row for each value of the plain columns, a column for each value of the pivoted one.
    fn pivot(
        &mut self,
        input: Plan,
        span: Span,
        args: &[Arg],
        declared: Option<&OutputSchema>,
        scope: &Scope,
    ) -> Result<Plan> {
        let name_of = |arg: &Arg| match &arg.value.kind {
            ExprKind::Name(name) => column(&input.schema, name, arg.value.span),
            _ => Err(Error::semantic(
                arg.value.span,
                "the name of a column is needed here",
            )),
        };
        let Some((pivot, rest)) = args.split_first() else {
            return Err(Error::semantic(span, "`pivot` takes the column to turn"));
        };
        let pivoted = name_of(pivot)?;
        let (call, rest) = match rest.split_first() {
            Some((arg, rest)) if matches!(arg.value.kind, ExprKind::Call { .. }) => {
                (arg.value.clone(), rest)
            }
            _ => {
                let function = Name {
                    text: "count".to_owned(),
                    span,
                };
                let kind = ExprKind::Call {
                    function,
                    args: Vec::new(),
                };
                (syntax::Expr { kind, span }, rest)
            }
        };
        let ExprKind::Call { function, .. } = &call.kind else {
            unreachable!("only calls are taken for aggregates")
        };
        if aggregates::find(&function.text).is_none() {
            let message = format!("`{}` is no aggregate", function.text);
            return Err(Error::semantic(function.span, message));
        }
        let sums = ["sum", "count", "dcount"].contains(&function.text.as_str());
        let mut calls = Vec::new();
        let aggregate = Column {
            names: Vec::new(),
            value: call.clone(),
        };
        // First the aggregate alone, to know which columns it reads.
        let values = self.aggregate_column(&input, &aggregate, &[], &mut calls, scope)?;
        let [(value, _)] = values.as_slice() else {
            return Err(Error::semantic(
                call.span,
                "`pivot` takes an aggregate of one column",
            ));
        };
        let value_type = value.ty;
        let mut read = vec![false; input.schema.len()];
        for call in &calls {
            call.args
                .iter()
                .chain(&call.filter)
                .for_each(|arg| arg.mark(&mut read));
        }
        let by: Vec<usize> = if rest.is_empty() {
            (0..input.schema.len())
                .filter(|at| *at != pivoted && !read[*at])
                .collect()
        } else {
            rest.iter().map(name_of).collect::<Result<_>>()?
        };
        let empty = self.aggregated(empty_of(&input), Vec::new(), &aggregate, scope)?;
        let empty = collect(&empty, self.run)?;
        let missing = empty
            .first()
            .map_or(Value::Null, |batch| batch.columns[0].value(0));
        let missing = match missing {
            Value::Null if sums => convert::cast(&Value::Long(0), value_type),
            other => other,
        };
        let missing = missing.into_owned();
        let mut fields: Vec<Field> = by
            .iter()
            .map(|at| input.schema.fields[*at].clone())
            .collect();
        let grouped: Vec<usize> = by.iter().copied().chain([pivoted]).collect();
        let grouped = self.aggregated(input, grouped, &aggregate, scope)?;
        let table = Batch::concat(
            &grouped.schema,
            &collect(&prune(grouped.clone()), self.run)?,
        );

        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for value in table.columns[by.len()].values() {
            names.insert(convert::text(&value).into_owned(), 0);
        }
        if let Some(declared) = declared {
            if declared.star {
                return Err(Error::not_implemented(
                    span,
                    "`*` in a declared schema of `pivot`",
                ));
            }
            for (name, ty) in &declared.columns {
                let own = fields.iter().find(|field| field.name == name.text);
                if own.is_none() {
                    names.entry(name.text.clone()).or_default();
                }
                let held = own.map_or(value_type, |own| own.ty);
                if held != *ty {
                    let message = format!("`{}` is {held}, and is declared {ty}", name.text);
                    return Err(Error::semantic(name.span, message));
                }
            }
            let known = |name: &str| declared.columns.iter().any(|(own, _)| own.text == name);
            let all = fields
                .iter()
                .map(|field| field.name.as_str())
                .chain(names.keys().map(String::as_str));
            if let Some(other) = all.into_iter().find(|name| !known(name)) {
                return Err(Error::execution(format!(
                    "`pivot` gives a column `{other}`, which is not declared"
                )));
            }
        }
        for (name, place) in &mut names {
            if name.is_empty() || fields.iter().any(|field| field.name == *name) {
                return Err(Error::execution(format!(
                    "`pivot`: a value `{name}` cannot be the name of a column"
                )));
            }
            *place = fields.len();
            fields.push(Field::new(name.clone(), value_type));
        }
        let mut rows: Vec<(usize, HashMap<usize, usize>)> = Vec::new();
        let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
        for row in 0..table.rows {
            let mut key = Vec::new();
            for column in &table.columns[..by.len()] {
                keys::append(&column.value(row), &mut key);
            }
            let at = *index.entry(key).or_insert_with(|| {
                rows.push((row, HashMap::new()));
                rows.len() - 1
            });
            let name = table.columns[by.len()].value(row);
            rows[at].1.insert(names[convert::text(&name).as_ref()], row);
        }
        let mut order: Vec<usize> = (0..fields.len()).collect();
        if let Some(declared) = declared {
            let wanted = |at: &usize| {
                let name = &fields[*at].name;
                declared
                    .columns
                    .iter()
                    .position(|(own, _)| own.text == *name)
            };
            order.sort_by_key(wanted);
        }
        let mut columns = Vec::with_capacity(fields.len());
        for at in &order {
            let mut builder = Builder::new(fields[*at].ty, rows.len());
            for (first, cells) in &rows {
                if *at < by.len() {
                    builder.push(&table.columns[*at].value(*first));
                    continue;
                }
                match cells.get(at) {
                    Some(row) => builder.push(&table.columns[by.len() + 1].value(*row)),
                    None => builder.push(&missing),
                }
            }
            columns.push(builder.finish());
        }
        let fields = order.iter().map(|at| fields[*at].clone()).collect();
        let batch = Batch::new(columns, rows.len());
        Ok(Plan {
            schema: Schema::new(fields),
            ordered: false,
            node: Node::Rows(Arc::new(vec![batch])),
        })
    }

    /// Columns as keys, and one aggregate.
    fn aggregated(
        &mut self,
        input: Plan,
        by: Vec<usize>,
        aggregate: &Column,
        scope: &Scope,
    ) -> Result<Plan> {
        let mut fields: Vec<Field> = by
            .iter()
            .map(|at| input.schema.fields[*at].clone())
            .collect();
        let keys: Vec<Expr> = by
            .iter()
            .map(|at| Expr::column(*at, input.schema.fields[*at].ty))
            .collect();
        let mut calls = Vec::new();
        let values = self.aggregate_column(&input, aggregate, &keys, &mut calls, scope)?;
        let mut outputs: Vec<Expr> = fields
            .iter()
            .enumerate()
            .map(|(at, field)| Expr::column(at, field.ty))
            .collect();
        let mut shown = fields.clone();
        for (value, _) in values {
            shown.push(Field::new("value", value.ty));
            outputs.push(value);
        }
        for call in &calls {
            fields.extend(call.spec.results.iter().map(|ty| Field::new("result", *ty)));
        }
        let summarized = Plan {
            schema: Schema::new(fields),
            ordered: false,
            node: Node::Summarize {
                input: Arc::new(input),
                keys: Arc::new(keys),
                calls: Arc::new(calls),
            },
        };
        Ok(Plan {
            schema: Schema::new(shown),
            ordered: false,
            node: Node::Project {
                input: Arc::new(summarized),
                exprs: Arc::new(outputs),
            },
        })
    }
}

fn column(schema: &Schema, name: &str, span: Span) -> Result<usize> {
    schema.index(name).ok_or_else(|| {
        Error::semantic(span, format!("no column `{name}`")).nearest(name, schema.names())
    })
}

fn empty_of(plan: &Plan) -> Plan {
    Plan {
        schema: plan.schema.clone(),
        ordered: true,
        node: Node::Rows(Arc::new(Vec::new())),
    }
}

/// The type of a column of such members; none for null, which goes with all.
fn kind(value: &Json) -> Option<Type> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(_) => Type::Bool,
        Json::Long(_) => Type::Long,
        Json::Real(_) => Type::Real,
        Json::String(_) => Type::String,
        Json::Array(_) | Json::Bag(_) => Type::Dynamic,
    })
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn plugins_turn_tables_round() {
        for (name, text, expected) in [
            (
                "a column of both",
                r#"datatable(x:string,d:dynamic)["p",dynamic({"a":1,"b":"t"}),"q",dynamic({"a":2.5,"x":"own"})] | evaluate bag_unpack(d)"#,
                "`bag_unpack`: `x` is a column already; say which one stays with `columnsConflict`",
            ),
            (
                "prefix",
                r#"datatable(x:string,d:dynamic)["p",dynamic({"a":1,"b":"t"}),"q",dynamic({"a":2.5,"x":"own"})] | evaluate bag_unpack(d, "p_")"#,
                r#"x:string,p_a:dynamic,p_b:string,p_x:string | ["p",1,"t",""] ["q",2.5,"","own"]"#,
            ),
            (
                "keep",
                r#"datatable(x:string,d:dynamic)["p",dynamic({"a":1,"b":"t"}),"q",dynamic({"a":2.5,"x":"own"})] | evaluate bag_unpack(d, columnsConflict="keep_source", ignoredProperties=dynamic(["b"]))"#,
                r#"x:string,a:dynamic | ["p",1] ["q",2.5]"#,
            ),
            (
                "replace",
                r#"datatable(x:string,d:dynamic)["p",dynamic({"a":1,"b":"t"}),"q",dynamic({"a":2.5,"x":"own"})] | project x, d=bag_pack("x", d.a) | evaluate bag_unpack(d, columnsConflict="replace_source")"#,
                "x:dynamic | [1] [2.5]",
            ),
            (
                "declared",
                r#"datatable(x:string,d:dynamic)["p",dynamic({"a":1,"b":"t"}),"q",dynamic({"a":2.5,"x":"own"})] | evaluate bag_unpack(d, columnsConflict="replace_source") : (a:long, x:string)"#,
                r#"a:long,x:string | [1,""] [2,"own"]"#,
            ),
            (
                "declared with the rest",
                r#"datatable(x:string,d:dynamic)["p",dynamic({"a":1,"b":"t"}),"q",dynamic({"a":2.5,"x":"own"})] | evaluate bag_unpack(d, columnsConflict="keep_source") : (*, a:real)"#,
                r#"x:string,a:real | ["p",1.0] ["q",2.5]"#,
            ),
            (
                "pivot by a sum",
                r#"datatable(x:string,k:string,v:long)["p","A",1,"q","B",2,"p","B",3] | evaluate pivot(k, sum(v))"#,
                r#"x:string,A:long,B:long | ["p",1,3] ["q",0,2]"#,
            ),
            (
                "pivot counts",
                r#"datatable(x:string,k:string,v:long)["p","A",1,"q","B",2,"p","B",3] | project x, k | evaluate pivot(k)"#,
                r#"x:string,A:long,B:long | ["p",1,1] ["q",0,1]"#,
            ),
            (
                "pivot declared",
                r#"datatable(x:string,k:string,v:long)["p","A",1,"q","B",2,"p","B",3] | project x, k | evaluate pivot(k) : (x:string, B:long, A:long, Z:long)"#,
                r#"x:string,B:long,A:long,Z:long | ["p",1,1,0] ["q",1,0,0]"#,
            ),
            (
                "narrow",
                r#"datatable(x:string,v:long)["p",1] | evaluate narrow()"#,
                r#"Row:long,Column:string,Value:string | [0,"x","p"] [0,"v","1"]"#,
            ),
            (
                "others",
                "print x=1 | evaluate autocluster()",
                "`evaluate autocluster` is not implemented",
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
