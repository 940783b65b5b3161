//! `mv-expand`, `mv-apply` and `partition`.

use std::sync::Arc;

use super::super::error::{Error, Result};
use super::super::exec::expand::{Expand, Origin};
use super::super::exec::subquery::{Apply, Partition, Side, SubQuery, hole};
use super::super::plan::{Breaker, Node, Plan};
use super::super::syntax::{self, MvColumn, Name, NamedOption};
use super::super::types::{Field, Schema, Type};
use super::join::option;
use super::names::suggested;
use super::parse::staged;
use super::table::scan;
use super::{Binder, Scope};

impl Binder<'_> {
    pub(super) fn mv_expand(
        &mut self,
        input: Plan,
        options: &[NamedOption],
        columns: &[MvColumn],
        limit: Option<&syntax::Expr>,
        scope: &Scope,
    ) -> Result<Plan> {
        let (schema, expand) = self.expansion(&input, options, columns, limit, scope)?;
        Ok(staged(input, schema, expand))
    }

    /// The columns after the expansion, and how they are made.
    fn expansion(
        &mut self,
        input: &Plan,
        options: &[NamedOption],
        columns: &[MvColumn],
        limit: Option<&syntax::Expr>,
        scope: &Scope,
    ) -> Result<(Schema, Expand)> {
        let mut pairs = false;
        for name in ["kind", "bagexpansion"] {
            if let Some((kind, at)) = option(options, name)? {
                pairs = match kind.as_str() {
                    "bag" => false,
                    "array" => true,
                    other => {
                        let message =
                            format!("bags are expanded as `bag` or `array`, not `{other}`");
                        return Err(Error::semantic(at, message));
                    }
                };
            }
        }
        let mut schema = input.schema.clone();
        let mut output: Vec<Origin> = (0..schema.len()).map(Origin::Column).collect();
        let mut sources = Vec::with_capacity(columns.len());
        let mut unnamed = 0;
        for column in columns {
            let value = &column.value;
            let source = self.row_expr(value, input, scope)?;
            if source.ty != Type::Dynamic {
                let message = format!("an array or bag is needed, and this is {}", source.ty);
                let error = Error::semantic(value.span, message);
                return Err(if source.ty == Type::String {
                    error.hint("read it with `parse_json(...)` or `split(...)` first")
                } else {
                    error
                });
            }
            let name = match (&column.name, suggested(value)) {
                (Some(name), _) => name.text.clone(),
                (None, Some(name)) => name,
                (None, None) => loop {
                    unnamed += 1;
                    let name = format!("Column{unnamed}");
                    if schema.index(&name).is_none() {
                        break name;
                    }
                },
            };
            let ty = column.to.unwrap_or(Type::Dynamic);
            let origin = Origin::Member(sources.len());
            sources.push((source, ty));
            match schema.index(&name) {
                Some(at) if matches!(output[at], Origin::Column(_)) => {
                    schema.fields[at].ty = ty;
                    output[at] = origin;
                }
                Some(_) => {
                    let span = column.name.as_ref().map_or(value.span, |name| name.span);
                    let message = format!("a column `{name}` is already there");
                    return Err(Error::semantic(span, message));
                }
                None => {
                    schema.fields.push(Field::new(name, ty));
                    output.push(origin);
                }
            }
        }
        if let Some((name, _)) = option(options, "with_itemindex")? {
            let name = schema.free(&name);
            schema.fields.push(Field::new(name, Type::Long));
            output.push(Origin::Index);
        }
        let limit = limit
            .map(|limit| self.row_count(limit, scope))
            .transpose()?;
        let expand = Expand {
            sources,
            output,
            pairs,
            limit,
        };
        Ok((schema, expand))
    }

    /// The columns of the row but those that were expanded, then what the subquery gives; a result
    /// of the same name takes a column's place.
    pub(super) fn mv_apply(
        &mut self,
        input: Plan,
        options: &[NamedOption],
        columns: &[MvColumn],
        limit: Option<&syntax::Expr>,
        body: &syntax::SubQuery,
        scope: &Scope,
    ) -> Result<Plan> {
        let (expanded, expand) = self.expansion(&input, options, columns, limit, scope)?;
        let (body, results) = self.sub_query(expanded, body, scope)?;
        let mut fields = Vec::new();
        let mut output = Vec::new();
        for (at, field) in input.schema.fields.iter().enumerate() {
            if expand.output[at] == Origin::Column(at) {
                fields.push(field.clone());
                output.push(Side::Row(at));
            }
        }
        for (at, field) in results.fields.iter().enumerate() {
            match fields
                .iter()
                .position(|taken: &Field| taken.name == field.name)
            {
                Some(place) => {
                    fields[place] = field.clone();
                    output[place] = Side::Result(at);
                }
                None => {
                    fields.push(field.clone());
                    output.push(Side::Result(at));
                }
            }
        }
        let apply = Apply {
            expand,
            body,
            output,
        };
        Ok(staged(input, Schema::new(fields), apply))
    }

    /// A subquery over a table of these columns, and the columns that it gives.
    fn sub_query(
        &mut self,
        schema: Schema,
        body: &syntax::SubQuery,
        scope: &Scope,
    ) -> Result<(SubQuery, Schema)> {
        let hole = hole(schema);
        let mut plan = scan("subquery", hole.clone());
        let mut scope = scope.clone();
        for operator in &body.operators {
            plan = self.operator(plan, operator, &mut scope)?;
        }
        let schema = plan.schema.clone();
        Ok((SubQuery::new(plan, hole), schema))
    }

    pub(super) fn partition(
        &mut self,
        input: Plan,
        options: &[NamedOption],
        by: &Name,
        body: &syntax::SubQuery,
        scope: &Scope,
    ) -> Result<Plan> {
        if let Some((strategy, at)) = option(options, "hint.strategy")?
            && !["native", "shuffle", "legacy"].contains(&strategy.as_str())
        {
            let message = format!("no partition has the strategy `{strategy}`");
            return Err(Error::semantic(at, message));
        }
        let Some(at) = input.schema.index(&by.text) else {
            return Err(Error::semantic(by.span, format!("no column `{}`", by.text))
                .nearest(&by.text, input.schema.names()));
        };
        let ty = input.schema.fields[at].ty;
        if ty == Type::Dynamic {
            return Err(Error::semantic(by.span, "a dynamic value cannot be a key"));
        }
        let key = super::super::expr::Expr::column(at, ty);
        let (body, schema) = self.sub_query(input.schema.clone(), body, scope)?;
        Ok(broken(input, schema, Partition { key, body }))
    }
}

pub(super) fn broken(input: Plan, schema: Schema, stage: impl Breaker + 'static) -> Plan {
    Plan {
        schema,
        ordered: false,
        node: Node::Breaker {
            input: Arc::new(input),
            stage: Arc::new(stage),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn arrays_become_rows_side_by_side() {
        for (name, text, expected) in [
            (
                "the longest makes the rows",
                r#"datatable(a:dynamic,b:dynamic)[dynamic([1,2]),dynamic(["x"])] | mv-expand a, b"#,
                r#"a:dynamic,b:dynamic | [1,"x"] [2,null]"#,
            ),
            (
                "a null is a row, an empty array none",
                r#"datatable(a:dynamic,n:long)[dynamic(null),1,dynamic([]),2,dynamic("s"),3] | mv-expand a"#,
                r#"a:dynamic,n:long | [null,1] ["s",3]"#,
            ),
            (
                "an empty array beside a null",
                "datatable(a:dynamic,b:dynamic)[dynamic([]),dynamic(null)] | mv-expand a, b",
                "a:dynamic,b:dynamic | [null,null]",
            ),
            (
                "bags of one",
                r#"datatable(a:dynamic)[dynamic({"k":1,"l":2})] | mv-expand a"#,
                r#"a:dynamic | [{"k":1}] [{"l":2}]"#,
            ),
            (
                "bags as pairs",
                r#"datatable(a:dynamic)[dynamic({"k":1})] | mv-expand bagexpansion=array a"#,
                r#"a:dynamic | [["k",1]]"#,
            ),
            (
                "a text is not read as a number",
                r#"datatable(a:dynamic)[dynamic([1,"2",2.5])] | mv-expand a to typeof(long)"#,
                "a:long | [1] [null] [2]",
            ),
            (
                "places and a limit",
                "datatable(a:dynamic)[dynamic([7,8,9])] | mv-expand with_itemindex=i x=a limit 2",
                "a:dynamic,x:dynamic,i:long | [[7,8,9],7,0] [[7,8,9],8,1]",
            ),
            (
                "the old word has a limit",
                "print r=range(1, 200) | mvexpand r | count",
                "Count:long | [128]",
            ),
            (
                "texts are no arrays",
                r#"print s="a" | mv-expand s"#,
                "an array or bag is needed, and this is string",
            ),
            (
                "a subquery for each row",
                "datatable(a:dynamic,n:long)[dynamic([1,2]),1,dynamic([]),2,dynamic([5]),3] | mv-apply a to typeof(long) on (summarize s=sum(a))",
                "n:long,s:long | [1,3] [3,5]",
            ),
            (
                "results take the places of columns",
                "datatable(a:dynamic,n:long)[dynamic([1,2]),5] | mv-apply x=a to typeof(long) on (extend n=x*n)",
                "a:dynamic,n:long,x:long | [[1,2],5,1] [[1,2],10,2]",
            ),
            (
                "a subquery that looks twice",
                "datatable(a:dynamic)[dynamic([1,3]),dynamic([4])] | mv-apply x=a to typeof(long) on (as T | join kind=inner (T | summarize m=max(x)) on $left.x == $right.m | project x)",
                "a:dynamic,x:long | [[1,3],3] [[4],4]",
            ),
            (
                "groups apart",
                r#"datatable(k:string,v:long)["a",1,"b",2,"a",3] | partition by k (top 1 by v)"#,
                r#"k:string,v:long | ["a",3] ["b",2]"#,
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
