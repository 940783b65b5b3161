//! Literals: from a token's text to its value.

use super::Parser;
use crate::kql::error::{Error, Result, Span};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{Arg, Expr, ExprKind, Literal, Name};
use crate::kql::text::{datetime, number, timespan};
use crate::kql::types::Type;

impl Parser<'_> {
    /// A literal that begins here, other than `dynamic(...)`, or nothing.
    pub(super) fn literal(&mut self) -> Result<Option<Expr>> {
        let token = self.peek();
        let span = token.span;
        let literal = match &token.kind {
            TokenKind::String(_) => {
                let (text, span) = self.string()?;
                return Ok(Some(expr(Literal::String(text), span)));
            }
            TokenKind::Bool(value) => Literal::Bool(*value),
            TokenKind::Long => match number::parse_long(self.text_of(span)) {
                Some(value) => Literal::Long(value),
                None => self.unreadable(Type::Long, span, self.text_of(span)),
            },
            TokenKind::Real => match number::parse_real(self.text_of(span)) {
                Some(value) => Literal::Real(value),
                None => self.unreadable(Type::Real, span, self.text_of(span)),
            },
            TokenKind::TimeSpan => match timespan::parse_timespan(self.text_of(span)) {
                Some(ticks) => Literal::TimeSpan(ticks),
                None => self.unreadable(Type::TimeSpan, span, self.text_of(span)),
            },
            TokenKind::Typed(ty) => return self.typed(*ty).map(Some),
            TokenKind::Guid => {
                return Err(Error::syntax(span, "a guid stands in `guid(...)`")
                    .hint(format!("write `guid({})`", self.text_of(span))));
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(expr(literal, span)))
    }

    /// One string, or several side by side, which are one.
    pub(super) fn string(&mut self) -> Result<(String, Span)> {
        let mut span = self.peek().span;
        let mut text = String::new();
        let mut any = false;
        while let TokenKind::String(part) = &self.peek().kind {
            text.push_str(part);
            span = span.to(self.peek().span);
            any = true;
            self.advance();
        }
        if any {
            Ok((text, span))
        } else {
            Err(self.expected("a string"))
        }
    }

    /// `datetime(...)`, `long(...)`, ...: what stands in the brackets.
    fn typed(&mut self, ty: Type) -> Result<Expr> {
        let span = self.peek().span;
        self.advance();
        let text = self.text_of(span);
        let open = text.find('(').map_or(0, |at| at + 1);
        let inner = text[open..text.len() - 1].trim();
        let inner = match inner.chars().next() {
            Some('"' | '\'') if inner.len() > 1 => &inner[1..inner.len() - 1],
            _ => inner,
        };
        if ty == Type::DateTime && inner.is_empty() {
            // `datetime()` is the present instant.
            let function = Name {
                text: "now".to_owned(),
                span,
            };
            let args: Vec<Arg> = Vec::new();
            return Ok(Expr {
                kind: ExprKind::Call { function, args },
                span,
            });
        }
        let literal = match value(ty, inner) {
            Some(literal) => literal,
            None => self.unreadable(ty, span, inner),
        };
        Ok(expr(literal, span))
    }

    /// Well-formed text whose value does not exist, such as the 30th of February: told once the rest of the
    /// query has proved to be KQL.
    fn unreadable(&mut self, ty: Type, span: Span, text: &str) -> Literal {
        let error = Error::semantic(span, format!("`{text}` is no {}", ty.name()));
        self.doubt.get_or_insert(error);
        Literal::Null(ty)
    }

    /// `dynamic(...)`
    pub(super) fn dynamic(&mut self) -> Result<Expr> {
        let start = self.expect_word("dynamic")?;
        self.expect("(")?;
        let mut json = String::new();
        self.json(&mut json)?;
        let span = start.to(self.expect(")")?);
        let literal = if json == "null" {
            Literal::Null(Type::Dynamic)
        } else {
            Literal::Dynamic(json)
        };
        Ok(expr(literal, span))
    }

    fn json(&mut self, out: &mut String) -> Result<()> {
        self.enter()?;
        self.json_value(out)?;
        self.leave();
        Ok(())
    }

    fn json_value(&mut self, out: &mut String) -> Result<()> {
        if self.eat("[") {
            out.push('[');
            while !self.eat("]") {
                self.json(out)?;
                if self.eat(",") {
                    out.push(',');
                    if self.at("]") {
                        return Err(self.expected("a value"));
                    }
                } else if !self.at("]") {
                    return Err(self.expected("`,` or `]`"));
                }
            }
            out.push(']');
            return Ok(());
        }
        if self.eat("{") {
            out.push('{');
            while !self.eat("}") {
                let TokenKind::String(key) = &self.peek().kind else {
                    return Err(self.expected("a name in quotes"));
                };
                quote(key, out);
                self.advance();
                self.expect(":")?;
                out.push(':');
                self.json(out)?;
                if self.eat(",") {
                    out.push(',');
                    if self.at("}") {
                        return Err(self.expected("a name in quotes"));
                    }
                } else if !self.at("}") {
                    return Err(self.expected("`,` or `}`"));
                }
            }
            out.push('}');
            return Ok(());
        }
        let start = self.peek().span;
        if self.eat("-") {
            out.push('-');
            if !matches!(self.peek().kind, TokenKind::Long | TokenKind::Real) {
                return Err(self.expected("a number"));
            }
        }
        if self.at_word("null") {
            self.advance();
            out.push_str("null");
            return Ok(());
        }
        if self.at_word("dynamic") && self.ahead(1).kind == TokenKind::Sign("(") {
            self.advance();
            self.advance();
            self.json(out)?;
            self.expect(")")?;
            return Ok(());
        }
        if self.peek().kind == TokenKind::Guid {
            quote(&self.word_text().to_ascii_lowercase(), out);
            self.advance();
            return Ok(());
        }
        let Some(value) = self.literal()? else {
            return Err(self.expected("a JSON value"));
        };
        let ExprKind::Literal(literal) = value.kind else {
            return Err(Error::not_implemented(
                value.span,
                "the present instant in `dynamic(...)`",
            ));
        };
        match literal {
            Literal::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            Literal::Int(value) => out.push_str(&value.to_string()),
            Literal::Long(value) => out.push_str(&value.to_string()),
            Literal::Real(value) if value.is_finite() => out.push_str(&format!("{value:?}")),
            Literal::Real(_) => {
                let span = start.to(value.span);
                return Err(Error::not_implemented(
                    span,
                    "a number without JSON form in `dynamic(...)`",
                ));
            }
            Literal::Decimal(text) | Literal::String(text) => quote(&text, out),
            Literal::DateTime(ticks) => quote(&datetime::format_datetime(ticks), out),
            Literal::TimeSpan(ticks) => quote(&timespan::format_timespan(ticks), out),
            Literal::Guid(guid) => quote(&number::format_guid(guid), out),
            Literal::Dynamic(json) => out.push_str(&json),
            Literal::Null(_) => out.push_str("null"),
        }
        Ok(())
    }
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn expr(literal: Literal, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Literal(literal),
        span,
    }
}

/// The value of `ty(text)`, or nothing when the text is none.
fn value(ty: Type, text: &str) -> Option<Literal> {
    if text == "null" {
        return Some(Literal::Null(ty));
    }
    Some(match ty {
        Type::Bool => Literal::Bool(match text.to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            _ => number::parse_long(text)? != 0,
        }),
        Type::Int => Literal::Int(i32::try_from(number::parse_long(text)?).ok()?),
        Type::Long => Literal::Long(number::parse_long(text)?),
        Type::Real => Literal::Real(number::parse_real(text)?),
        Type::Decimal => {
            number::parse_real(text).filter(|value| value.is_finite())?;
            Literal::Decimal(text.to_owned())
        }
        Type::DateTime => Literal::DateTime(datetime::parse_datetime(text)?),
        Type::TimeSpan => Literal::TimeSpan(timespan::parse_timespan(text)?),
        Type::Guid => Literal::Guid(number::parse_guid(text)?),
        Type::String | Type::Dynamic => return None,
    })
}
