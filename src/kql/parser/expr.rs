//! Operands: literals, names, calls, brackets, what is read from a value (`a.b`, `a[0]`), and one sign before.

use super::Parser;
use crate::kql::error::{Error, Result};
use crate::kql::syntax::{Arg, Expr, ExprKind, Name, TabularFunction};

impl Parser<'_> {
    /// An operand with at most one sign before it.
    pub(super) fn signed(&mut self) -> Result<Expr> {
        if self.at("-") || self.at("+") {
            self.sign()
        } else {
            self.postfix()
        }
    }

    fn sign(&mut self) -> Result<Expr> {
        let start = self.peek().span;
        let minus = self.at("-");
        self.advance();
        self.enter()?;
        let operand = Box::new(self.postfix()?);
        self.leave();
        Ok(Expr {
            kind: ExprKind::Unary { minus, operand },
            span: self.since(start),
        })
    }

    /// A value with what is read from it: `a.b`, `a['b']`, `a[0]`, `database("x").T`.
    pub(super) fn postfix(&mut self) -> Result<Expr> {
        let mut expr = self.primary()?;
        loop {
            if self.eat(".") {
                expr = self.member(expr)?;
            } else if self.at("[") {
                expr = self.index(expr)?;
            } else {
                return Ok(expr);
            }
            self.reach(self.peak.max(self.depth) + 1)?;
        }
    }

    fn member(&mut self, object: Expr) -> Result<Expr> {
        let start = object.span;
        let member = if self.at("[") && self.name_length(0, false).is_none() {
            return self.index(object);
        } else if self.call_ahead() {
            // `cluster("x").database("y")`, `database("x").f()`: another place, which the engine has none of.
            let call = self.call()?;
            let ExprKind::Call { function, .. } = call.kind else {
                return Err(self.expected("a call"));
            };
            return Ok(Expr {
                kind: ExprKind::Unsupported(format!(".{}()", function.text)),
                span: start.to(call.span),
            });
        } else if self.sign_ahead(0, "*") || self.wildcard_ahead() {
            let (text, span) = self.wildcard()?;
            Name { text, span }
        } else {
            self.name()?
        };
        Ok(Expr {
            kind: ExprKind::Member {
                object: Box::new(object),
                member,
            },
            span: self.since(start),
        })
    }

    fn index(&mut self, object: Expr) -> Result<Expr> {
        let start = object.span;
        if self.name_length(0, false).is_some() {
            let member = self.name()?;
            return Ok(Expr {
                kind: ExprKind::Member {
                    object: Box::new(object),
                    member,
                },
                span: self.since(start),
            });
        }
        self.expect("[")?;
        let index = Box::new(self.expr()?);
        self.expect("]")?;
        Ok(Expr {
            kind: ExprKind::Index {
                object: Box::new(object),
                index,
            },
            span: self.since(start),
        })
    }

    // Everything on the way from an expression to the one inside it is kept small: in a debug build each
    // function's frame holds the values of all its branches.
    fn primary(&mut self) -> Result<Expr> {
        if self.at("(") {
            return self.bracketed();
        }
        if let Some(literal) = self.literal()? {
            return Ok(literal);
        }
        if let Some(keyword) = self.primary_keyword()? {
            return Ok(keyword);
        }
        if self.call_ahead() {
            return self.call();
        }
        self.name_expr()
    }

    fn name_expr(&mut self) -> Result<Expr> {
        let name = self.name()?;
        Ok(Expr {
            span: name.span,
            kind: ExprKind::Name(name.text),
        })
    }

    fn bracketed(&mut self) -> Result<Expr> {
        let start = self.expect("(")?;
        let mut inner = self.pipe()?;
        self.expect(")")?;
        inner.span = self.since(start);
        Ok(inner)
    }

    /// What a keyword begins, other than a source.
    fn primary_keyword(&mut self) -> Result<Option<Expr>> {
        let open = self.sign_ahead(1, "(");
        let Some(word) = self.word_ahead(0) else {
            return Ok(None);
        };
        match word {
            "dynamic" if open => self.dynamic(),
            "typeof" if open => self.type_of(),
            "toscalar" => self.tabular(TabularFunction::ToScalar),
            "materialize" => self.tabular(TabularFunction::Materialize),
            "totable" => self.tabular(TabularFunction::ToTable),
            "datatable" => self.datatable(),
            "externaldata" | "external_data" => self.external_data(),
            "materialized-view-combine" | "__contextual_datatable" => self.unsupported(word),
            _ => return Ok(None),
        }
        .map(Some)
    }

    pub(super) fn unsupported(&mut self, word: &str) -> Result<Expr> {
        let start = self.peek().span;
        self.skip_balanced(&["|", ";", ","])?;
        Ok(Expr {
            kind: ExprKind::Unsupported(word.to_owned()),
            span: self.since(start),
        })
    }

    pub(super) fn call(&mut self) -> Result<Expr> {
        let function = self.name()?;
        let args = self.args()?;
        let span = self.since(function.span);
        Ok(Expr {
            kind: ExprKind::Call { function, args },
            span,
        })
    }

    pub(super) fn args(&mut self) -> Result<Vec<Arg>> {
        self.expect("(")?;
        if self.eat(")") {
            return Ok(Vec::new());
        }
        let mut args = Vec::new();
        loop {
            args.push(self.arg()?);
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(args)
    }

    fn arg(&mut self) -> Result<Arg> {
        if self.at("*") && (self.sign_ahead(1, ")") || self.sign_ahead(1, ",")) {
            let value = self.star();
            return Ok(Arg { name: None, value });
        }
        let name = match self.name_length(0, true) {
            Some(length) if self.sign_ahead(length, "=") => {
                let name = self.extended_name()?;
                self.advance();
                Some(name)
            }
            _ => None,
        };
        let value = self.expr()?;
        Ok(Arg { name, value })
    }

    /// `typeof(long)`, `typeof(a: long, *)`: a call whose arguments are types; a named one is a column.
    pub(super) fn type_of(&mut self) -> Result<Expr> {
        let function = self.name_here();
        self.expect("(")?;
        let args = self.comma_list(|parser| {
            if parser.at("*") {
                let value = parser.star();
                return Ok(Arg { name: None, value });
            }
            let name = match parser.name_length(0, true) {
                Some(length) if parser.sign_ahead(length, ":") => {
                    let name = parser.extended_name()?;
                    parser.advance();
                    Some(name)
                }
                _ => None,
            };
            let span = parser.peek().span;
            let ty = parser.type_name()?;
            Ok(Arg {
                name,
                value: Expr {
                    kind: ExprKind::Name(ty.name().to_owned()),
                    span,
                },
            })
        })?;
        self.expect(")")?;
        let span = self.since(function.span);
        Ok(Expr {
            kind: ExprKind::Call { function, args },
            span,
        })
    }

    fn tabular(&mut self, function: TabularFunction) -> Result<Expr> {
        let start = self.peek().span;
        self.advance();
        if self.at_word("kind") && self.sign_ahead(1, "=") {
            let span = self.peek().span;
            return Err(Error::not_implemented(
                span,
                "`kind` of `toscalar` and `totable`",
            ));
        }
        self.expect("(")?;
        let body = Box::new(self.pipe()?);
        self.expect(")")?;
        Ok(Expr {
            kind: ExprKind::Tabular { function, body },
            span: self.since(start),
        })
    }
}
