//! What a column is called when nobody named it.

use super::super::aggregates;
use super::super::functions::{self, Naming};
use super::super::syntax::{Arg, Expr, ExprKind, Literal};
use super::super::types::{Field, Schema, Type};

/// The name that an expression suggests, if it does: `b.x` is `b_x`, `tostring(b)` is `b`.
pub(super) fn suggested(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Member { object, member } => {
            Some(format!("{}_{}", suggested(object)?, member.text))
        }
        ExprKind::Index { object, index } => {
            let index = match &index.kind {
                ExprKind::Literal(Literal::Long(v)) => v.to_string(),
                ExprKind::Literal(Literal::Int(v)) => v.to_string(),
                ExprKind::Literal(Literal::String(v)) => v.clone(),
                _ => String::new(),
            };
            Some(format!("{}_{index}", suggested(object)?))
        }
        ExprKind::Call { function, args } => {
            let naming =
                functions::find(&function.text).map_or(Naming::None, |function| function.naming);
            let first = || args.first().and_then(|arg: &Arg| suggested(&arg.value));
            match naming {
                Naming::None => None,
                Naming::First => first(),
                Naming::Own => Some(format!("{}_{}", function.text, first().unwrap_or_default())),
            }
        }
        _ => None,
    }
}

/// Gives columns their names, in order.
#[derive(Default)]
pub(super) struct Namer {
    fields: Vec<Field>,
    unnamed: usize,
}

impl Namer {
    /// Goes on after columns that are there.
    pub(super) fn after(schema: &Schema) -> Self {
        Self {
            fields: schema.fields.clone(),
            unnamed: 0,
        }
    }

    /// A name that was written: taken or not.
    pub(super) fn given(&mut self, name: &str, ty: Type) -> bool {
        let free = self.fields.iter().all(|field| field.name != name);
        self.fields.push(Field::new(name, ty));
        free
    }

    /// A name that was not: the suggestion, with a number when it is taken, or `Column1`.
    pub(super) fn unnamed(&mut self, suggestion: Option<String>, ty: Type) -> String {
        let name = match suggestion {
            Some(name) => Schema::new(self.fields.clone()).free(&name),
            None => loop {
                self.unnamed += 1;
                let name = format!("Column{}", self.unnamed);
                if self.fields.iter().all(|field| field.name != name) {
                    break name;
                }
            },
        };
        self.fields.push(Field::new(name.clone(), ty));
        name
    }
}

/// As [`suggested`], where aggregates are called as columns of `summarize`: `round(avg(x))` is
/// `avg_x`.
pub(super) fn suggested_aggregate(expr: &Expr) -> Option<String> {
    if let ExprKind::Call { function, args } = &expr.kind {
        let first = || {
            args.first()
                .and_then(|arg: &Arg| suggested_aggregate(&arg.value))
        };
        if let Some((aggregate, predicate)) = aggregates::find(&function.text) {
            let argument = args
                .first()
                .and_then(|arg| suggested(&arg.value))
                .unwrap_or_default();
            return Some(match aggregate.prefix(predicate) {
                Some(prefix) => format!("{prefix}_{argument}"),
                None => argument,
            });
        }
        return match functions::find(&function.text).map(|function| function.naming) {
            Some(Naming::First) => first(),
            Some(Naming::Own) => Some(format!("{}_{}", function.text, first().unwrap_or_default())),
            _ => None,
        };
    }
    suggested(expr)
}
