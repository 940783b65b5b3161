//! `top-nested` and `top-hitters`.

use super::super::aggregates;
use super::super::error::{Error, Result, Span};
use super::super::exec::top_nested::{Level, TopNested};
use super::super::plan::Plan;
use super::super::syntax::{self, Arg, Column, ExprKind, Name, Operator, OperatorKind, SortKey};
use super::super::types::{Field, Schema, Type};
use super::expand::broken;
use super::names;
use super::{Binder, Scope};

impl Binder<'_> {
    pub(super) fn top_nested(
        &mut self,
        input: Plan,
        levels: &[syntax::TopNested],
        scope: &Scope,
    ) -> Result<Plan> {
        let mut schema = Schema::default();
        let mut made = Vec::with_capacity(levels.len());
        for level in levels {
            let key = self.row_expr(&level.of.value, &input, scope)?;
            if key.ty == Type::Dynamic {
                let message =
                    "a dynamic value cannot be a key; convert it, as with `tostring(...)`";
                return Err(Error::semantic(level.of.value.span, message));
            }
            let key_name = match level.of.names.first() {
                Some(name) => name.text.clone(),
                None => {
                    schema.free(&names::suggested(&level.of.value).unwrap_or("Column1".to_owned()))
                }
            };
            push(&mut schema, key_name.clone(), key.ty, level.of.value.span)?;
            let mut calls = Vec::new();
            let values = {
                let keys = std::slice::from_ref(&key);
                self.aggregate_column(&input, &level.by, keys, &mut calls, scope)?
            };
            let mut values = values.into_iter();
            let (Some((value, _)), None) = (values.next(), values.next()) else {
                return Err(Error::semantic(
                    level.by.value.span,
                    "one value orders a level",
                ));
            };
            let value_name = match level.by.names.first() {
                Some(name) => name.text.clone(),
                None => schema.free(&format!("aggregated_{key_name}")),
            };
            push(&mut schema, value_name, value.ty, level.by.value.span)?;
            let count = level.count.as_ref();
            let others = level.others.as_ref();
            made.push(Level {
                count: count
                    .map(|count| self.row_count(count, scope))
                    .transpose()?,
                others: others
                    .map(|others| Ok(self.scalar(others, scope)?.cast(key.ty)))
                    .transpose()?,
                key,
                calls,
                value,
                ascending: level.ascending.unwrap_or(false),
            });
        }
        let stage = TopNested {
            levels: made,
            schema: schema.clone(),
        };
        Ok(broken(input, schema, stage))
    }

    /// Kusto counts approximately; here the counts are exact.
    pub(super) fn top_hitters(
        &mut self,
        input: Plan,
        count: &syntax::Expr,
        of: &syntax::Expr,
        by: Option<&syntax::Expr>,
        span: Span,
        scope: &mut Scope,
    ) -> Result<Plan> {
        let column = |expr: &syntax::Expr| match &expr.kind {
            ExprKind::Name(name) => Ok(name.clone()),
            _ => Err(Error::semantic(
                expr.span,
                "the name of a column is needed here",
            )),
        };
        let (name, function, args) = match by {
            None => (
                format!("approximate_count_{}", column(of)?),
                "count",
                Vec::new(),
            ),
            Some(by) => {
                let arg = Arg {
                    name: None,
                    value: by.clone(),
                };
                (format!("approximate_sum_{}", column(by)?), "sum", vec![arg])
            }
        };
        debug_assert!(aggregates::find(function).is_some());
        let named = |text: &str| Name {
            text: text.to_owned(),
            span,
        };
        let aggregate = Column {
            names: vec![named(&name)],
            value: syntax::Expr {
                kind: ExprKind::Call {
                    function: named(function),
                    args,
                },
                span: by.map_or(span, |by| by.span),
            },
        };
        let key = Column {
            names: Vec::new(),
            value: of.clone(),
        };
        let summarized = self.summarize(input, &[aggregate], &[key], span, scope)?;
        let top = Operator {
            kind: OperatorKind::Top {
                count: count.clone(),
                by: vec![SortKey {
                    value: syntax::Expr {
                        kind: ExprKind::Name(name),
                        span,
                    },
                    ascending: Some(false),
                    nulls_first: None,
                }],
            },
            span,
        };
        self.operator(summarized, &top, scope)
    }
}

fn push(schema: &mut Schema, name: String, ty: Type, span: Span) -> Result<()> {
    if schema.index(&name).is_some() {
        return Err(Error::semantic(
            span,
            format!("a column `{name}` is already there"),
        ));
    }
    schema.fields.push(Field::new(name, ty));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::answer;

    #[test]
    fn the_greatest_of_each_level_stay() {
        for (name, text, expected) in [
            (
                "others",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | top-nested 2 of k with others="rest" by sum(v), top-nested 1 of j by m=max(v) asc"#,
                r#"k:string,aggregated_k:long,j:string,m:long | ["b",10,"x",10] ["c",4,"z",4] ["rest",3,"",null]"#,
            ),
            (
                "others of a lower level",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | top-nested 1 of k by sum(v), top-nested 1 of j with others="other" by max(v)"#,
                r#"k:string,aggregated_k:long,j:string,aggregated_j:long | ["b",10,"x",10] ["",null,"other",4]"#,
            ),
            (
                "all of a level",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | top-nested of k by i=max(1), top-nested 1 of v by l=max(v) | project-away i, l"#,
                r#"k:string,v:long | ["a",2] ["b",10] ["c",4]"#,
            ),
            (
                "hitters by count",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | top-hitters 1 of k"#,
                r#"k:string,approximate_count_k:long | ["a",2]"#,
            ),
            (
                "hitters by sum",
                r#"datatable(k:string,j:string,v:long)["a","x",1,"a","y",2,"b","x",10,"c","z",4] | top-hitters 1 of k by v"#,
                r#"k:string,approximate_sum_v:long | ["b",10]"#,
            ),
        ] {
            assert_eq!(answer(text), expected, "{name}");
        }
    }
}
