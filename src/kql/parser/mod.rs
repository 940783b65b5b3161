//! Tokens to syntax: [`parse`]. Here are the parser's small moves, statements, and pipes; expressions, literals
//! and operators have files of their own.

mod expr;
mod infix;
mod literal;
mod operators;
mod shared;
mod sources;
mod statements;
#[cfg(test)]
mod tests;

use super::error::{Error, Result, Span};
use super::lexer::{self, Token, TokenKind};
use super::syntax::{Expr, ExprKind, Name, Query};

/// How deep a tree may be, counted in nodes from the root. What walks the tree may recurse: this depth keeps a
/// debug build inside the 2 MB stack of a thread.
pub const MAX_DEPTH: usize = 100;

/// Reads a query. The first thing that is wrong ends it, and the error says where. What is KQL and still cannot
/// be meant, such as the 30th of February, is an error of another kind, told when the rest has been read.
pub fn parse(text: &str) -> Result<Query> {
    let mut parser = Parser {
        text,
        tokens: lexer::lex(text)?,
        at: 0,
        depth: 0,
        peak: 0,
        doubt: None,
    };
    let query = parser.query()?;
    match parser.doubt {
        Some(error) => Err(error),
        None => Ok(query),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// Of the node being read.
    depth: usize,
    /// The deepest node of the expression read last, counted from the root.
    peak: usize,
    /// The first thing that is well-formed and has no meaning here, such as the 30th of February.
    doubt: Option<Error>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + count).min(last)]
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn text_of(&self, span: Span) -> &'a str {
        &self.text[span.start..span.end]
    }

    /// The text of the token here.
    fn word_text(&self) -> &'a str {
        self.text_of(self.peek().span)
    }

    /// The text of a word that stands `count` tokens ahead, or nothing.
    fn word_ahead(&self, count: usize) -> Option<&'a str> {
        let token = self.ahead(count);
        (token.kind == TokenKind::Word).then(|| self.text_of(token.span))
    }

    fn at(&self, sign: &'static str) -> bool {
        self.sign_ahead(0, sign)
    }

    fn sign_ahead(&self, count: usize, sign: &'static str) -> bool {
        self.ahead(count).kind == TokenKind::Sign(sign)
    }

    fn at_word(&self, word: &str) -> bool {
        self.word_ahead(0) == Some(word)
    }

    fn at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    fn eat(&mut self, sign: &'static str) -> bool {
        let here = self.at(sign);
        if here {
            self.advance();
        }
        here
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let here = self.at_word(word);
        if here {
            self.advance();
        }
        here
    }

    fn expect(&mut self, sign: &'static str) -> Result<Span> {
        let span = self.peek().span;
        if self.eat(sign) {
            Ok(span)
        } else {
            Err(self.expected(&format!("`{sign}`")))
        }
    }

    fn expect_word(&mut self, word: &'static str) -> Result<Span> {
        let span = self.peek().span;
        if self.eat_word(word) {
            return Ok(span);
        }
        let error = self.expected(&format!("`{word}`"));
        Err(match self.word_ahead(0) {
            Some(found) => error.nearest(found, [word]),
            None => error,
        })
    }

    /// From a span to the token read last.
    fn since(&self, start: Span) -> Span {
        match self.at.checked_sub(1) {
            Some(last) => start.to(self.tokens[last].span),
            None => start,
        }
    }

    fn expected(&self, what: &str) -> Error {
        let token = self.peek();
        let found = match &token.kind {
            TokenKind::End => "the end of the query".to_owned(),
            TokenKind::String(_) => "a string".to_owned(),
            _ => format!("`{}`", self.text_of(token.span)),
        };
        Error::syntax(token.span, format!("expected {what}, found {found}"))
    }

    /// One level down, or no further. An error ends the whole query, so only success goes back up.
    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        self.reach(self.depth)
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Notes that the tree goes as deep as this.
    fn reach(&mut self, depth: usize) -> Result<()> {
        self.peak = self.peak.max(depth);
        if self.peak > MAX_DEPTH {
            return Err(Error::syntax(
                self.peek().span,
                format!("the query is nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        Ok(())
    }

    /// `a, b, c`: at least one.
    fn comma_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// An expression that may be a pipe: a statement, or what stands in brackets.
    fn pipe(&mut self) -> Result<Expr> {
        self.enter()?;
        let source = match self.source()? {
            Some(source) => source,
            None => self.expr()?,
        };
        let pipe = self.pipe_after(source)?;
        self.leave();
        Ok(pipe)
    }

    /// The operators behind a source.
    fn pipe_after(&mut self, source: Expr) -> Result<Expr> {
        if !self.at("|") {
            return Ok(source);
        }
        let mut operators = Vec::new();
        while self.eat("|") {
            operators.push(self.operator()?);
        }
        let span = self.since(source.span);
        Ok(Expr {
            kind: ExprKind::Pipe {
                source: Box::new(source),
                operators,
            },
            span,
        })
    }

    fn name_here(&mut self) -> Name {
        let span = self.peek().span;
        let text = self.text_of(span).to_owned();
        self.advance();
        Name { text, span }
    }
}
