//! Operators beyond the plain ones, a file each where they are long.

use super::super::column::Builder;
use super::super::error::{Error, Result};
use super::super::json::Json;
use super::super::plan::{Batch, Node, Plan};
use super::super::syntax::{self, Operator, OperatorKind};
use super::super::types::{Schema, Type};
use super::super::value::Value;
use super::expr::Context;
use super::{Binder, Binding, Body, Scope};

use std::sync::Arc;

impl Binder<'_> {
    pub(super) fn more(
        &mut self,
        input: Plan,
        operator: &Operator,
        scope: &mut Scope,
    ) -> Result<Plan> {
        let span = operator.span;
        match &operator.kind {
            OperatorKind::GetSchema => Ok(schema_table(&input.schema)),
            OperatorKind::Invoke { function, args } => {
                let Some(Binding::Function(body, captured)) = scope.find(&function.text).cloned()
                else {
                    return Err(Error::semantic(
                        function.span,
                        format!("no function `{}`", function.text),
                    )
                    .nearest(&function.text, scope.names()));
                };
                let mut given = vec![(None, Binding::Table(Arc::new(input)))];
                given.extend(self.arguments(args, &Context::constant(scope))?);
                match self.function(&body, &captured, given, span)? {
                    Body::Table(plan) => Ok(plan),
                    Body::Scalar(_) => Err(Error::semantic(
                        span,
                        format!("`{}` gives no table", function.text),
                    )),
                }
            }
            OperatorKind::MvExpand {
                options,
                columns,
                limit,
            } => self.mv_expand(input, options, columns, limit.as_ref(), scope),
            OperatorKind::MvApply { id: Some(id), .. } => {
                Err(Error::not_implemented(id.span, "`id` of `mv-apply`"))
            }
            OperatorKind::MvApply {
                options,
                columns,
                limit,
                id: None,
                body,
            } => self.mv_apply(input, options, columns, limit.as_ref(), body, scope),
            OperatorKind::Partition { options, by, body } => {
                self.partition(input, options, by, body, scope)
            }
            OperatorKind::Parse {
                options,
                source,
                pattern,
                filter,
            } => self.parse(input, options, source, pattern, *filter, scope),
            OperatorKind::ParseKv {
                source,
                columns,
                options,
            } => self.parse_kv(input, source, columns, options, span, scope),
            OperatorKind::Evaluate {
                options: _,
                function,
                args,
                schema,
            } => self.evaluate(input, function, args, schema.as_ref(), scope),
            OperatorKind::Search(search) => self.search(Some(input), search, scope, span),
            OperatorKind::Find {
                options,
                tables,
                predicate,
                project,
            } => self.find_operator(options, tables, predicate, project, scope, span),
            OperatorKind::TopNested(levels) => self.top_nested(input, levels, scope),
            OperatorKind::TopHitters { count, of, by } => {
                self.top_hitters(input, count, of, by.as_ref(), span, scope)
            }
            OperatorKind::ProjectByNames(names) => self.project_by_names(input, names, scope),
            OperatorKind::AssertSchema(columns) => {
                let declared = super::table::declared(columns)?;
                if declared == input.schema {
                    return Ok(input);
                }
                let held: Vec<String> = input
                    .schema
                    .fields
                    .iter()
                    .map(|field| format!("{}: {}", field.name, field.ty))
                    .collect();
                let message = format!("the table is not of this schema but ({})", held.join(", "));
                Err(Error::semantic(span, message))
            }
            OperatorKind::MakeSeries(series) => self.make_series(input, series, scope),
            kind => Err(Error::not_implemented(
                span,
                format!("operator `{}`", word(kind)),
            )),
        }
    }

    /// Columns by names that are computed: texts, arrays of texts, patterns with `*`.
    fn project_by_names(
        &mut self,
        input: Plan,
        names: &[syntax::Expr],
        scope: &Scope,
    ) -> Result<Plan> {
        let mut patterns = Vec::new();
        for name in names {
            let value = self.scalar(name, scope)?;
            match (value.ty, value.as_const()) {
                (Type::String, Some(value)) => patterns.push(value.text().to_owned()),
                (Type::Dynamic, Some(value)) => {
                    let list = Json::parse(value.text());
                    let Some(list) = list.as_ref().and_then(Json::as_array) else {
                        return Err(Error::semantic(
                            name.span,
                            "an array of names is needed here",
                        ));
                    };
                    patterns.extend(list.iter().map(Json::to_text));
                }
                _ => return Err(Error::semantic(name.span, "names must be constant texts")),
            }
        }
        // A name that is no column is passed over, as Kusto does.
        let mut places: Vec<usize> = Vec::new();
        for pattern in &patterns {
            for (at, field) in input.schema.fields.iter().enumerate() {
                if super::table::wildcard(pattern, &field.name) && !places.contains(&at) {
                    places.push(at);
                }
            }
        }
        Ok(super::operators::pick(input, |_| places))
    }
}

/// What the operator is called in a query.
fn word(kind: &OperatorKind) -> &'static str {
    match kind {
        OperatorKind::Facet { .. } => "facet",
        OperatorKind::Fork(_) => "fork",
        OperatorKind::Scan(_) => "scan",
        OperatorKind::Reduce { .. } => "reduce",
        _ => "this",
    }
}

/// A row for each column.
fn schema_table(schema: &Schema) -> Plan {
    let shape = Schema::of(&[
        ("ColumnName", Type::String),
        ("ColumnOrdinal", Type::Long),
        ("DataType", Type::String),
        ("ColumnType", Type::String),
    ]);
    let mut builders: Vec<Builder> = shape
        .fields
        .iter()
        .map(|field| Builder::new(field.ty, schema.len()))
        .collect();
    for (ordinal, field) in schema.fields.iter().enumerate() {
        builders[0].push(&Value::string(field.name.as_str()));
        builders[1].push(&Value::Long(i64::try_from(ordinal).unwrap_or(i64::MAX)));
        builders[2].push(&Value::string(clr(field.ty)));
        builders[3].push(&Value::string(field.ty.name()));
    }
    let columns = builders.iter_mut().map(Builder::finish).collect();
    Plan {
        schema: shape,
        ordered: true,
        node: Node::Rows(Arc::new(vec![Batch::new(columns, schema.len())])),
    }
}

/// The name of the type in .NET, which Kusto shows.
fn clr(ty: Type) -> &'static str {
    match ty {
        Type::Bool => "System.SByte",
        Type::Int => "System.Int32",
        Type::Long => "System.Int64",
        Type::Real => "System.Double",
        Type::Decimal => "System.Data.SqlTypes.SqlDecimal",
        Type::String => "System.String",
        Type::DateTime => "System.DateTime",
        Type::TimeSpan => "System.TimeSpan",
        Type::Guid => "System.Guid",
        Type::Dynamic => "System.Object",
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn small_operators_do_what_they_say() {
        for (name, text, expected) in [
            (
                "names that are computed",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | take 1 | project-by-names "v", dynamic(["k*", "none"])"#,
                r#"v:long,k:string | [1,"a"]"#,
            ),
            (
                "a schema that holds",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | take 1 | assert-schema (k:string, j:string, v:long) | count"#,
                "Count:long | [1]",
            ),
            (
                "a schema that does not",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | assert-schema (k:string)"#,
                "the table is not of this schema but (k: string, j: string, v: long)",
            ),
            (
                "refused by name",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | reduce by k"#,
                "operator `reduce` is not implemented",
            ),
            (
                "keys of joins are columns",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | join (print q=1) on $left.v == $right.q + 1"#,
                "a side of a key is a column, `$left.a` or `$right.b`",
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
