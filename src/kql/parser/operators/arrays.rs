//! `mv-expand` and `mv-apply`: a row for each member of an array.

use super::super::Parser;
use crate::kql::error::{Error, Result, Span};
use crate::kql::syntax::{Expr, ExprKind, Literal, MvColumn, OperatorKind, SubQuery};
use crate::kql::types::Type;

impl Parser<'_> {
    /// The old word `mvexpand` makes no more than 128 rows of one, unless told.
    pub(super) fn mv_expand(&mut self, word: &str, span: Span) -> Result<OperatorKind> {
        let options = self.options(&["kind", "bagexpansion", "with_itemindex"])?;
        let columns = self.comma_list(Self::mv_column)?;
        let limit = if self.eat_word("limit") {
            Some(self.expr()?)
        } else {
            (word == "mvexpand").then_some(Expr {
                kind: ExprKind::Literal(Literal::Long(128)),
                span,
            })
        };
        Ok(OperatorKind::MvExpand {
            options,
            columns,
            limit,
        })
    }

    pub(super) fn mv_apply(&mut self) -> Result<OperatorKind> {
        let options = self.options(&["with_itemindex"])?;
        let columns = self.comma_list(Self::mv_column)?;
        let limit = if self.eat_word("limit") {
            Some(self.expr()?)
        } else {
            None
        };
        let id = if self.eat_word("id") {
            Some(self.name()?)
        } else {
            None
        };
        self.expect_word("on")?;
        let body = Box::new(self.sub_query()?);
        Ok(OperatorKind::MvApply {
            options,
            columns,
            limit,
            id,
            body,
        })
    }

    /// `a`, `b = expr`, each perhaps with `to typeof(long)`.
    fn mv_column(&mut self) -> Result<MvColumn> {
        let mut column = self.column()?;
        if column.names.len() > 1 {
            return Err(Error::syntax(
                column.names[1].span,
                "one array has one name",
            ));
        }
        let to = if self.eat_word("to") {
            Some(self.type_after_to()?)
        } else {
            None
        };
        Ok(MvColumn {
            name: column.names.pop(),
            value: column.value,
            to,
        })
    }

    fn type_after_to(&mut self) -> Result<Type> {
        if !self.at_word("typeof") {
            return Err(self.expected("`typeof(...)`"));
        }
        let span = self.peek().span;
        let ty = self.type_of()?;
        if let ExprKind::Call { args, .. } = &ty.kind
            && let [arg] = &args[..]
            && let ExprKind::Name(name) = &arg.value.kind
            && let Some(ty) = Type::from_name(name)
        {
            return Ok(ty);
        }
        Err(Error::syntax(span, "an array's members have one type"))
    }

    /// `( operator | operator )`
    pub(super) fn sub_query(&mut self) -> Result<SubQuery> {
        let start = self.expect("(")?;
        let operators = self.operator_list()?;
        self.expect(")")?;
        Ok(SubQuery {
            name: None,
            operators,
            span: self.since(start),
        })
    }
}
