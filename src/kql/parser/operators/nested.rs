//! Operators with pipes inside, and those that group in levels: `fork`, `facet`, `partition`, `top-nested`, `scan`.

use super::super::Parser;
use crate::kql::error::{Error, Result};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{Name, NamedOption, OperatorKind, SubQuery, TopNested};

impl Parser<'_> {
    pub(super) fn top_nested(&mut self) -> Result<OperatorKind> {
        let mut levels = Vec::new();
        loop {
            let count = if self.at_word("of") {
                None
            } else {
                Some(self.expr()?)
            };
            self.expect_word("of")?;
            let of = self.column()?;
            let others = if self.eat_word("with") {
                self.expect_word("others")?;
                self.expect("=")?;
                Some(self.expr()?)
            } else {
                None
            };
            self.expect_word("by")?;
            let by = self.column()?;
            let ascending = self.order();
            levels.push(TopNested {
                count,
                of,
                others,
                by,
                ascending,
            });
            if !self.eat(",") {
                return Ok(OperatorKind::TopNested(levels));
            }
            self.expect_word("top-nested")?;
        }
    }

    pub(super) fn facet(&mut self) -> Result<OperatorKind> {
        self.expect_word("by")?;
        let by = self.comma_list(Self::name)?;
        let with = if !self.eat_word("with") {
            None
        } else if self.at("(") {
            Some(Box::new(self.sub_query()?))
        } else {
            let operator = self.operator()?;
            Some(Box::new(SubQuery {
                name: None,
                span: operator.span,
                operators: vec![operator],
            }))
        };
        Ok(OperatorKind::Facet { by, with })
    }

    pub(super) fn fork(&mut self) -> Result<OperatorKind> {
        let mut branches = Vec::new();
        loop {
            let name = match self.name_length(0, true) {
                Some(length) if self.sign_ahead(length, "=") => {
                    let name = self.extended_name()?;
                    self.expect("=")?;
                    Some(name)
                }
                _ => None,
            };
            let mut branch = self.sub_query()?;
            branch.name = name;
            branches.push(branch);
            if self.at_operator_end() {
                return Ok(OperatorKind::Fork(branches));
            }
        }
    }

    pub(super) fn partition(&mut self) -> Result<OperatorKind> {
        let options = self.options(&[])?;
        self.expect_word("by")?;
        let by = self.name()?;
        if !self.at("(") {
            return Err(match self.peek().kind {
                TokenKind::Sign("{" | ".") => Error::not_implemented(
                    self.peek().span,
                    "`partition` over another form than `by column (operators)`",
                ),
                _ if self.at_word("in") => {
                    Error::not_implemented(self.peek().span, "`in` of `partition`")
                }
                _ => self.expected("`(`"),
            });
        }
        let body = Box::new(self.sub_query()?);
        Ok(OperatorKind::Partition { options, by, body })
    }

    /// `scan ... with (step a: condition => x = y; ...)`: the names of the steps.
    pub(super) fn scan(&mut self) -> Result<OperatorKind> {
        self.options(&["kind", "with_match_id"])?;
        while !self.at_word("with") {
            if self.at_operator_end() {
                return Err(self.expected("`with`"));
            }
            if self.at("(") {
                self.advance();
                self.skip_balanced(&[])?;
                self.expect(")")?;
            } else {
                self.advance();
            }
        }
        self.advance();
        self.expect("(")?;
        let mut steps = Vec::new();
        while !self.eat(")") {
            self.expect_word("step")?;
            steps.push(self.name()?);
            self.eat_word("optional");
            self.options(&["output"])?;
            self.expect(":")?;
            self.expr()?;
            if self.eat("=>") {
                self.columns()?;
            }
            if !self.eat(";") && !self.at(")") {
                return Err(self.expected("`;` or `)`"));
            }
        }
        Ok(OperatorKind::Scan(steps))
    }

    pub(super) fn reduce(&mut self) -> Result<OperatorKind> {
        let mut options: Vec<NamedOption> = self.options(&["kind"])?;
        self.expect_word("by")?;
        let by = self.expr()?;
        if self.eat_word("with") {
            options.extend(self.comma_list(|parser| {
                let name: Name = parser.extended_name()?;
                parser.expect("=")?;
                let value = parser.option_value()?;
                Ok(NamedOption { name, value })
            })?);
        }
        Ok(OperatorKind::Reduce { by, options })
    }
}
