//! What a pipe starts with, other than an expression.

use super::Parser;
use crate::kql::error::Result;
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{
    Binary, Column, Expr, ExprKind, NamedOption, Operator, OperatorKind, Search, TextOp,
};

const UNION_OPTIONS: [&str; 5] = [
    "kind",
    "withsource",
    "with_source",
    "isfuzzy",
    "best_effort",
];

impl Parser<'_> {
    /// A source that a keyword begins, or nothing.
    pub(super) fn source(&mut self) -> Result<Option<Expr>> {
        let start = self.peek().span;
        let Some(word) = self.word_ahead(0) else {
            return Ok(None);
        };
        let kind = match word {
            "print" => ExprKind::Print(self.print()?),
            "range" if self.range_ahead() => self.range()?,
            "union" => self.union_source()?,
            "search" => {
                self.advance();
                ExprKind::Search(Box::new(self.search()?))
            }
            "find" | "macro-expand" => self.operator_source()?,
            "evaluate" if self.word_ahead(1).is_some() => self.operator_source()?,
            "inline_external_table"
                if self.sign_ahead(1, "(") || self.word_ahead(1) == Some("kind") =>
            {
                return self.unsupported(word).map(Some);
            }
            _ => return Ok(None),
        };
        let span = self.since(start);
        Ok(Some(Expr { kind, span }))
    }

    fn print(&mut self) -> Result<Vec<Column>> {
        self.advance();
        self.columns()
    }

    fn union_source(&mut self) -> Result<ExprKind> {
        self.advance();
        let (options, tables) = self.union()?;
        Ok(ExprKind::Union { options, tables })
    }

    fn operator_source(&mut self) -> Result<ExprKind> {
        Ok(ExprKind::Source(Box::new(self.operator()?)))
    }

    fn range_ahead(&self) -> bool {
        self.name_length(1, false)
            .is_some_and(|length| self.word_ahead(1 + length) == Some("from"))
    }

    fn range(&mut self) -> Result<ExprKind> {
        self.advance();
        let column = self.extended_name()?;
        self.expect_word("from")?;
        let from = Box::new(self.expr()?);
        self.expect_word("to")?;
        let to = Box::new(self.expr()?);
        self.expect_word("step")?;
        let step = Box::new(self.expr()?);
        Ok(ExprKind::Range {
            column,
            from,
            to,
            step,
        })
    }

    /// The options and tables of `union`, the word already read.
    pub(super) fn union(&mut self) -> Result<(Vec<NamedOption>, Vec<Expr>)> {
        let options = self.only_options("union", &UNION_OPTIONS)?;
        let tables = self.comma_list(Self::table)?;
        Ok((options, tables))
    }

    /// A table among others: a name, a pattern, a call, a pipe in brackets.
    fn table(&mut self) -> Result<Expr> {
        if self.wildcard_ahead() {
            let (text, span) = self.wildcard()?;
            return Ok(Expr {
                kind: ExprKind::Wildcard(text),
                span,
            });
        }
        self.enter()?;
        let table = self.postfix()?;
        self.leave();
        Ok(table)
    }

    /// `in (A, B*)`
    fn tables_in(&mut self) -> Result<Vec<Expr>> {
        if !self.eat_word("in") {
            return Ok(Vec::new());
        }
        self.expect("(")?;
        let tables = self.comma_list(Self::table)?;
        self.expect(")")?;
        Ok(tables)
    }

    /// `search`, the word already read.
    pub(super) fn search(&mut self) -> Result<Search> {
        let mut options = self.options(&["kind"])?;
        options.extend(self.options(&["datascope"])?);
        let tables = self.tables_in()?;
        let predicate = self.search_predicate()?;
        Ok(Search {
            options,
            tables,
            predicate,
        })
    }

    /// An expression, or `*`, or `* and expression`.
    fn search_predicate(&mut self) -> Result<Expr> {
        let start = self.peek().span;
        let lone = self.at("*")
            && (matches!(
                self.ahead(1).kind,
                TokenKind::End | TokenKind::Sign("|" | ";" | ")")
            ) || self.word_ahead(1) == Some("and"));
        if !lone {
            return self.expr();
        }
        self.advance();
        let star = Expr {
            kind: ExprKind::Star,
            span: start,
        };
        if !self.eat_word("and") {
            return Ok(star);
        }
        let right = Box::new(self.expr()?);
        Ok(Expr {
            kind: ExprKind::Binary {
                op: Binary::And,
                left: Box::new(star),
                right,
            },
            span: self.since(start),
        })
    }

    /// `find`, the word already read.
    pub(super) fn find(&mut self) -> Result<OperatorKind> {
        let options = self.options(&["datascope", "withsource", "with_source"])?;
        let tables = self.tables_in()?;
        if options.is_empty() && tables.is_empty() {
            self.eat_word("where");
        } else {
            self.expect_word("where")?;
        }
        let predicate = self.expr()?;
        let mut project = Vec::new();
        if self.eat_word("project") {
            project = self.comma_list(Self::found_column)?;
        } else if !self.eat_word("project-smart") && self.at_word("project-away") {
            return Err(crate::kql::error::Error::not_implemented(
                self.peek().span,
                "`project-away` of `find`",
            ));
        }
        Ok(OperatorKind::Find {
            options,
            tables,
            predicate,
            project,
        })
    }

    /// `name`, `name: type` (as a binary `:`), `*`, `pack(*)`.
    fn found_column(&mut self) -> Result<Column> {
        let start = self.peek().span;
        let value = if self.eat("*") {
            Expr {
                kind: ExprKind::Star,
                span: start,
            }
        } else if self.call_ahead() {
            self.call()?
        } else {
            let name = self.name()?;
            let name = Expr {
                span: name.span,
                kind: ExprKind::Name(name.text),
            };
            if self.eat(":") {
                let span = self.peek().span;
                let ty = self.type_name()?;
                Expr {
                    kind: ExprKind::Binary {
                        op: Binary::Text(TextOp::Colon, false),
                        left: Box::new(name),
                        right: Box::new(Expr {
                            kind: ExprKind::Name(ty.name().to_owned()),
                            span,
                        }),
                    },
                    span: start.to(span),
                }
            } else {
                name
            }
        };
        Ok(Column {
            names: Vec::new(),
            value,
        })
    }

    pub(super) fn datatable(&mut self) -> Result<Expr> {
        let start = self.peek().span;
        self.advance();
        let columns = self.schema()?;
        self.expect("[")?;
        let mut values = Vec::new();
        while !self.eat("]") {
            values.push(self.constant()?);
            if !self.eat(",") && !self.at("]") {
                return Err(self.expected("`,` or `]`"));
            }
        }
        Ok(Expr {
            kind: ExprKind::Datatable { columns, values },
            span: self.since(start),
        })
    }

    /// A literal, perhaps with a sign.
    pub(super) fn constant(&mut self) -> Result<Expr> {
        let bare = self.word_ahead(0).is_some_and(|word| word != "dynamic");
        if bare || self.at("[") {
            return Err(self.expected("a literal"));
        }
        self.option_value()
    }

    pub(super) fn external_data(&mut self) -> Result<Expr> {
        let start = self.peek().span;
        self.advance();
        let columns = self.schema()?;
        self.expect("[")?;
        self.comma_list(Self::string_literal)?;
        self.expect("]")?;
        if self.eat_word("with") {
            self.properties()?;
        }
        Ok(Expr {
            kind: ExprKind::ExternalData { columns },
            span: self.since(start),
        })
    }

    /// A pipe without its source, in brackets: each operator works on the outer table.
    pub(super) fn operator_list(&mut self) -> Result<Vec<Operator>> {
        self.enter()?;
        let mut operators = vec![self.operator()?];
        while self.eat("|") {
            operators.push(self.operator()?);
        }
        self.leave();
        Ok(operators)
    }
}
