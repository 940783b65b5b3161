//! Statements: `let`, `set`, `declare query_parameters`, and functions.

use super::Parser;
use crate::kql::error::{Error, Result, Span};
use crate::kql::syntax::{
    Expr, ExprKind, Function, LetValue, Literal, Name, Param, ParamKind, Query, Statement,
};
use crate::kql::types::Type;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query> {
        if self.at_end() {
            return Err(Error::syntax(self.peek().span, "the query is empty"));
        }
        let mut statements = Vec::new();
        loop {
            statements.push(self.statement()?);
            if self.at_end() {
                break;
            }
            if !self.eat(";") {
                return Err(self.after_statement());
            }
            if self.at_end() {
                break;
            }
        }
        Ok(Query { statements })
    }

    fn after_statement(&self) -> Error {
        let error = self.expected("`|`, `;` or the end of the query");
        match self.word_ahead(0) {
            Some("let" | "set" | "declare") => error.hint("a statement ends in `;`"),
            _ => error,
        }
    }

    fn statement(&mut self) -> Result<Statement> {
        let next = self.word_ahead(1);
        match (self.word_ahead(0), next) {
            (Some("let"), _) if self.name_length(1, true).is_some() => self.let_statement(),
            (Some("set"), _) => {
                self.advance();
                let name = self.name()?;
                let value = if self.eat("=") {
                    Some(self.expr()?)
                } else {
                    None
                };
                Ok(Statement::Set { name, value })
            }
            (Some("declare"), Some("query_parameters")) => {
                self.advance();
                self.advance();
                Ok(Statement::Parameters(self.params()?))
            }
            (Some("declare"), Some("pattern"))
            | (Some("alias"), Some("database"))
            | (Some("restrict"), Some("access")) => {
                if self.at_word("declare") {
                    self.advance();
                }
                let keyword = self.name_here();
                self.skip_balanced(&[";"])?;
                Ok(Statement::Other { keyword })
            }
            _ => Ok(Statement::Expr(self.pipe()?)),
        }
    }

    fn let_statement(&mut self) -> Result<Statement> {
        self.advance();
        let name = self.name()?;
        self.expect("=")?;
        let value = if self.at_function() {
            LetValue::Function(self.function()?)
        } else if self.at_word("entity_group") && self.sign_ahead(1, "[") {
            let span = self.peek().span;
            self.skip_balanced(&[";"])?;
            LetValue::Expr(Expr {
                kind: ExprKind::Unsupported("entity_group".to_owned()),
                span: self.since(span),
            })
        } else {
            LetValue::Expr(self.pipe()?)
        };
        Ok(Statement::Let { name, value })
    }

    /// `() {`, `(a: ...`, and either behind `view`.
    fn at_function(&self) -> bool {
        let open = usize::from(self.at_word("view"));
        if !self.sign_ahead(open, "(") {
            return false;
        }
        if self.sign_ahead(open + 1, ")") {
            return true;
        }
        self.name_length(open + 1, true)
            .is_some_and(|length| self.sign_ahead(open + 1 + length, ":"))
    }

    fn function(&mut self) -> Result<Function> {
        self.enter()?;
        let start = self.peek().span;
        let view = self.eat_word("view");
        let params = self.params()?;
        self.expect("{")?;
        let mut statements = Vec::new();
        while !self.at("}") {
            let statement = self.statement()?;
            let last = matches!(statement, Statement::Expr(_));
            statements.push(statement);
            if last {
                self.eat(";");
                break;
            }
            self.expect(";")?;
        }
        self.expect("}")?;
        self.leave();
        Ok(Function {
            view,
            params,
            body: Query { statements },
            span: self.since(start),
        })
    }

    fn params(&mut self) -> Result<Vec<Param>> {
        self.expect("(")?;
        if self.eat(")") {
            return Ok(Vec::new());
        }
        let params = self.comma_list(Self::param)?;
        self.expect(")")?;
        Ok(params)
    }

    fn param(&mut self) -> Result<Param> {
        let name = self.extended_name()?;
        self.expect(":")?;
        let kind = if self.eat("(") {
            if self.eat("*") {
                self.expect(")")?;
                ParamKind::Table {
                    columns: Vec::new(),
                    any: true,
                }
            } else {
                ParamKind::Table {
                    columns: self.columns_to_close()?,
                    any: false,
                }
            }
        } else {
            ParamKind::Scalar(self.type_name()?)
        };
        let default = if self.eat("=") {
            Some(self.default_value()?)
        } else {
            None
        };
        Ok(Param {
            name,
            kind,
            default,
        })
    }

    /// A literal, perhaps with a sign.
    fn default_value(&mut self) -> Result<Expr> {
        let value = self.expr()?;
        let literal = match &value.kind {
            ExprKind::Literal(_) => true,
            ExprKind::Unary { operand, .. } => matches!(operand.kind, ExprKind::Literal(_)),
            _ => false,
        };
        if literal {
            Ok(value)
        } else {
            Err(Error::syntax(value.span, "a default is a literal"))
        }
    }

    /// `(a: long, b: string)`
    pub(super) fn schema(&mut self) -> Result<Vec<(Name, Type)>> {
        self.expect("(")?;
        self.columns_to_close()
    }

    /// The columns up to `)`; a comma may stand at either end.
    pub(super) fn columns_to_close(&mut self) -> Result<Vec<(Name, Type)>> {
        let mut columns = Vec::new();
        self.eat(",");
        while !self.eat(")") {
            let name = self.extended_name()?;
            self.expect(":")?;
            columns.push((name, self.type_name()?));
            if !self.eat(",") && !self.at(")") {
                return Err(self.expected("`,` or `)`"));
            }
        }
        Ok(columns)
    }

    pub(super) fn type_name(&mut self) -> Result<Type> {
        let Some(word) = self.word_ahead(0) else {
            return Err(self.expected("a type"));
        };
        let span = self.peek().span;
        let Some(ty) = Type::from_name(word) else {
            return Err(Error::syntax(span, format!("no type `{word}`"))
                .nearest(word, Type::ALL.map(Type::name)));
        };
        self.advance();
        Ok(ty)
    }

    /// Skips to one of these signs, or to the bracket or the end that closes what is around here.
    pub(super) fn skip_balanced(&mut self, until: &[&'static str]) -> Result<()> {
        use crate::kql::lexer::TokenKind;
        let mut open: Vec<(&'static str, Span)> = Vec::new();
        loop {
            let token = self.peek();
            let span = token.span;
            match token.kind {
                TokenKind::End => {
                    return match open.last() {
                        Some((sign, at)) => {
                            Err(Error::syntax(*at, format!("this `{sign}` is not closed")))
                        }
                        None => Ok(()),
                    };
                }
                TokenKind::Sign(sign) if open.is_empty() && until.contains(&sign) => return Ok(()),
                TokenKind::Sign(sign @ ("(" | "[" | "{")) => open.push((sign, span)),
                TokenKind::Sign(sign @ (")" | "]" | "}")) => match open.pop() {
                    None => return Ok(()),
                    Some((opened, _)) if closes(opened, sign) => {}
                    Some(_) => return Err(self.expected("the bracket that fits")),
                },
                _ => {}
            }
            self.advance();
        }
    }

    /// A string, also in the shape of a literal expression.
    pub(super) fn string_literal(&mut self) -> Result<Expr> {
        let (text, span) = self.string()?;
        Ok(Expr {
            kind: ExprKind::Literal(Literal::String(text)),
            span,
        })
    }
}

fn closes(open: &str, close: &str) -> bool {
    matches!((open, close), ("(", ")") | ("[", "]") | ("{", "}"))
}
