//! `parse`, `parse-where` and `parse-kv`: columns out of text.

use super::super::Parser;
use crate::kql::error::Result;
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{OperatorKind, ParsePart};

impl Parser<'_> {
    pub(super) fn parse_operator(&mut self, word: &str, filter: bool) -> Result<OperatorKind> {
        let options = self.only_options(word, &["kind", "flags"])?;
        let source = self.expr()?;
        self.expect_word("with")?;
        let mut pattern = Vec::new();
        while !self.at_operator_end() {
            pattern.push(self.parse_part()?);
        }
        Ok(OperatorKind::Parse {
            options,
            source,
            pattern,
            filter,
        })
    }

    fn parse_part(&mut self) -> Result<ParsePart> {
        if self.eat("*") {
            return Ok(ParsePart::Star);
        }
        if matches!(self.peek().kind, TokenKind::String(_)) {
            let (text, span) = self.string()?;
            return Ok(ParsePart::Text(text, span));
        }
        let name = self.extended_name()?;
        let ty = if self.eat(":") {
            Some(self.type_name()?)
        } else {
            None
        };
        Ok(ParsePart::Capture { name, ty })
    }

    pub(super) fn parse_kv(&mut self) -> Result<OperatorKind> {
        let source = self.expr()?;
        self.expect_word("as")?;
        let columns = self.schema()?;
        let options = if self.eat_word("with") {
            self.properties()?
        } else {
            Vec::new()
        };
        Ok(OperatorKind::ParseKv {
            source,
            columns,
            options,
        })
    }
}
