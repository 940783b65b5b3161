//! Operators beyond the plain ones, a file each where they are long.

use super::super::column::Builder;
use super::super::error::{Error, Result};
use super::super::plan::{Batch, Node, Plan};
use super::super::syntax::{self, Operator, OperatorKind};
use super::super::types::{Schema, Type};
use super::super::value::Value;
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
                for arg in args {
                    let value = if self.is_table(&arg.value, scope) {
                        Binding::Table(Arc::new(self.table(&arg.value, scope)?))
                    } else {
                        Binding::Scalar(self.scalar(&arg.value, scope)?)
                    };
                    given.push((arg.name.as_ref(), value));
                }
                match self.function(&body, &captured, given, span)? {
                    Body::Table(plan) => Ok(plan),
                    Body::Scalar(_) => Err(Error::semantic(
                        span,
                        format!("`{}` gives no table", function.text),
                    )),
                }
            }
            kind => Err(Error::not_implemented(
                span,
                format!("operator `{}`", word(kind)),
            )),
        }
    }

    pub(super) fn search_source(
        &mut self,
        _search: &syntax::Search,
        _scope: &Scope,
        span: super::super::error::Span,
    ) -> Result<Plan> {
        Err(Error::not_implemented(span, "operator `search`"))
    }
}

/// What the operator is called in a query.
fn word(kind: &OperatorKind) -> &'static str {
    match kind {
        OperatorKind::MvExpand { .. } => "mv-expand",
        OperatorKind::MvApply { .. } => "mv-apply",
        OperatorKind::Parse { .. } => "parse",
        OperatorKind::ParseKv { .. } => "parse-kv",
        OperatorKind::MakeSeries(_) => "make-series",
        OperatorKind::Evaluate { .. } => "evaluate",
        OperatorKind::Search(_) => "search",
        OperatorKind::Find { .. } => "find",
        OperatorKind::Facet { .. } => "facet",
        OperatorKind::Fork(_) => "fork",
        OperatorKind::Partition { .. } => "partition",
        OperatorKind::Scan(_) => "scan",
        OperatorKind::Reduce { .. } => "reduce",
        OperatorKind::TopNested(_) => "top-nested",
        OperatorKind::TopHitters { .. } => "top-hitters",
        OperatorKind::ProjectByNames(_) => "project-by-names",
        OperatorKind::AssertSchema(_) => "assert-schema",
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
