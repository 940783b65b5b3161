//! Scalar expressions, by falling precedence: `a.b`, `a[0]` and calls; one sign; text operators; `* / %`; `+ -`;
//! `< <= > >=`; `== != in between ...`; `and`; `or`. Text operators, comparisons and equalities do not chain.

use super::Parser;
use crate::kql::error::{Error, Result};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{Arg, Binary, Expr, ExprKind, InOp, Name, TabularFunction, TextOp};

/// How tightly an operator binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Equality,
    Relation,
    Sum,
    Product,
    Text,
}

impl Level {
    fn chains(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Sum | Self::Product)
    }

    fn looser(self) -> Self {
        match self {
            Self::Or | Self::And => Self::Or,
            Self::Equality => Self::And,
            Self::Relation => Self::Equality,
            Self::Sum => Self::Relation,
            Self::Product => Self::Sum,
            Self::Text => Self::Product,
        }
    }

    fn tighter(self) -> Option<Self> {
        Some(match self {
            Self::Or => Self::And,
            Self::And => Self::Equality,
            Self::Equality => Self::Relation,
            Self::Relation => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product => Self::Text,
            Self::Text => return None,
        })
    }
}

#[derive(Clone, Copy)]
enum Infix {
    Binary(Binary),
    In(InOp),
    Between { not: bool },
}

/// Chains of `and` and `or` longer than this become balanced trees: their order does not matter, their depth does.
const BALANCE_FROM: usize = 16;

/// The terms of a chain of `and` or `or`, after the first.
#[derive(Default)]
struct Chain {
    op: Option<Binary>,
    terms: Vec<Expr>,
    /// How deep it is as a chain.
    chained: usize,
    /// The deepest of its terms.
    highest: usize,
}

impl Chain {
    fn takes(&self, infix: Infix) -> bool {
        matches!(infix, Infix::Binary(op) if self.op == Some(op))
    }

    fn push(&mut self, op: Binary, left: usize, term: Expr, peak: usize) {
        if self.op.is_none() {
            (self.chained, self.highest) = (left, left);
        }
        self.op = Some(op);
        self.terms.push(term);
        self.chained = self.chained.max(peak) + 1;
        self.highest = self.highest.max(peak);
    }
}

impl Parser<'_> {
    /// An expression without pipes.
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.enter()?;
        let expr = self.infix(Level::Or)?;
        self.leave();
        Ok(expr)
    }

    /// Operators that bind at least as tightly as `least`, and their operands.
    fn infix(&mut self, least: Level) -> Result<Expr> {
        let outer = std::mem::replace(&mut self.peak, self.depth);
        let mut left = self.first_operand(least)?;
        let mut chain = Chain::default();
        // What may follow: an operator that does not chain leaves only looser ones.
        let mut most = Level::Text;
        while let Some((level, infix, width)) = self.infix_ahead(0)
            && (least..=most).contains(&level)
        {
            for _ in 0..width {
                self.advance();
            }
            if !chain.takes(infix) {
                left = self.end_chain(&mut chain, left)?;
            }
            let left_peak = std::mem::replace(&mut self.peak, self.depth);
            if let Infix::Binary(op @ (Binary::And | Binary::Or)) = infix {
                chain.push(op, left_peak, self.right(level)?, self.peak);
                self.peak = left_peak;
            } else {
                left = self.rest_of(infix, level, left)?;
                self.reach(left_peak.max(self.peak) + 1)?;
            }
            most = if level.chains() {
                level
            } else {
                level.looser()
            };
        }
        left = self.end_chain(&mut chain, left)?;
        self.peak = self.peak.max(outer);
        Ok(left)
    }

    fn right(&mut self, level: Level) -> Result<Expr> {
        let Some(level) = level.tighter() else {
            return self.signed();
        };
        self.enter()?;
        let right = self.infix(level)?;
        self.leave();
        Ok(right)
    }

    fn rest_of(&mut self, infix: Infix, level: Level, left: Expr) -> Result<Expr> {
        match infix {
            Infix::Binary(op) => Ok(binary(op, left, self.right(level)?)),
            Infix::In(op) => self.in_list(op, left),
            Infix::Between { not } => self.between(not, left),
        }
    }

    /// An operand, or the `*` of `* has "x"` and `* == "x"`: any column.
    fn first_operand(&mut self, least: Level) -> Result<Expr> {
        let star = self.at("*")
            && self.infix_ahead(1).is_some_and(|(level, infix, _)| {
                let plain = matches!(infix, Infix::Binary(Binary::Equal));
                level >= least && (level == Level::Text || plain)
            });
        if star { Ok(self.star()) } else { self.signed() }
    }

    /// Puts the terms of a chain of `and` or `or` behind its first.
    fn end_chain(&mut self, chain: &mut Chain, left: Expr) -> Result<Expr> {
        let Chain {
            op: Some(op),
            mut terms,
            chained,
            highest,
        } = std::mem::take(chain)
        else {
            return Ok(left);
        };
        if terms.len() < BALANCE_FROM {
            self.reach(chained)?;
            return Ok(terms
                .into_iter()
                .fold(left, |left, right| binary(op, left, right)));
        }
        terms.insert(0, left);
        self.reach(highest + terms.len().ilog2() as usize + 1)?;
        Ok(balanced(op, terms))
    }

    /// The operator that stands `ahead`, its level and how many tokens it takes.
    fn infix_ahead(&self, ahead: usize) -> Option<(Level, Infix, usize)> {
        let one = |level, op| Some((level, Infix::Binary(op), 1));
        match self.ahead(ahead).kind {
            TokenKind::Sign(sign) => match sign {
                "==" => one(Level::Equality, Binary::Equal),
                "!=" | "<>" => one(Level::Equality, Binary::NotEqual),
                "<" => one(Level::Relation, Binary::Less),
                "<=" => one(Level::Relation, Binary::LessEqual),
                ">" => one(Level::Relation, Binary::Greater),
                ">=" => one(Level::Relation, Binary::GreaterEqual),
                "+" => one(Level::Sum, Binary::Add),
                "-" => one(Level::Sum, Binary::Subtract),
                "*" => one(Level::Product, Binary::Multiply),
                "/" => one(Level::Product, Binary::Divide),
                "%" => one(Level::Product, Binary::Modulo),
                "=~" => one(Level::Text, Binary::EqualFold),
                "!~" => one(Level::Text, Binary::NotEqualFold),
                ":" => one(Level::Text, Binary::Text(TextOp::Colon, false)),
                _ => None,
            },
            TokenKind::Word => {
                let word = self.word_ahead(ahead)?;
                let list = |op| Some((Level::Equality, Infix::In(op), 1));
                match word {
                    "or" => one(Level::Or, Binary::Or),
                    "and" => one(Level::And, Binary::And),
                    // `make-series ... on t in range(...)` is no test of membership.
                    "in" if self.word_ahead(ahead + 1) == Some("range") => None,
                    "in" => list(InOp::In),
                    "!in" => list(InOp::NotIn),
                    "in~" => list(InOp::InFold),
                    "!in~" => list(InOp::NotInFold),
                    "has_any" => list(InOp::HasAny),
                    "has_all" => list(InOp::HasAll),
                    "between" => Some((Level::Equality, Infix::Between { not: false }, 1)),
                    "!between" => Some((Level::Equality, Infix::Between { not: true }, 1)),
                    "matches" if self.word_ahead(ahead + 1) == Some("regex") => Some((
                        Level::Text,
                        Infix::Binary(Binary::Text(TextOp::MatchesRegex, false)),
                        2,
                    )),
                    _ => {
                        let (op, not) = text_operator(word)?;
                        one(Level::Text, Binary::Text(op, not))
                    }
                }
            }
            _ => None,
        }
    }

    fn in_list(&mut self, op: InOp, left: Expr) -> Result<Expr> {
        self.expect("(")?;
        let mut list = vec![self.pipe()?];
        while self.eat(",") {
            list.push(self.expr()?);
        }
        self.expect(")")?;
        let span = self.since(left.span);
        let left = Box::new(left);
        Ok(Expr {
            kind: ExprKind::In { op, left, list },
            span,
        })
    }

    fn between(&mut self, not: bool, left: Expr) -> Result<Expr> {
        self.expect("(")?;
        let low = Box::new(self.expr()?);
        self.expect("..")?;
        let high = Box::new(self.expr()?);
        self.expect(")")?;
        let span = self.since(left.span);
        Ok(Expr {
            kind: ExprKind::Between {
                not,
                left: Box::new(left),
                low,
                high,
            },
            span,
        })
    }

    fn star(&mut self) -> Expr {
        let span = self.peek().span;
        self.advance();
        Expr {
            kind: ExprKind::Star,
            span,
        }
    }

    /// An operand with at most one sign before it.
    fn signed(&mut self) -> Result<Expr> {
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

fn binary(op: Binary, left: Expr, right: Expr) -> Expr {
    let span = left.span.to(right.span);
    let (left, right) = (Box::new(left), Box::new(right));
    Expr {
        kind: ExprKind::Binary { op, left, right },
        span,
    }
}

/// The terms in their order, in a tree as flat as can be.
fn balanced(op: Binary, mut terms: Vec<Expr>) -> Expr {
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut rest = terms.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary(op, left, right),
                None => left,
            });
        }
        terms = pairs;
    }
    terms.remove(0)
}

fn text_operator(word: &str) -> Option<(TextOp, bool)> {
    let (word, not) = match word.strip_prefix('!') {
        Some("containscs" | "like" | "likecs") => return None,
        Some(word) => (word, true),
        None => match word.strip_prefix("not") {
            Some(rest @ ("contains" | "containscs" | "like" | "likecs")) => (rest, true),
            Some(_) => return None,
            None => (word, false),
        },
    };
    let op = match word {
        "has" => TextOp::Has,
        "has_cs" => TextOp::HasCs,
        "hasprefix" => TextOp::HasPrefix,
        "hasprefix_cs" => TextOp::HasPrefixCs,
        "hassuffix" => TextOp::HasSuffix,
        "hassuffix_cs" => TextOp::HasSuffixCs,
        "contains" => TextOp::Contains,
        "contains_cs" | "containscs" => TextOp::ContainsCs,
        "startswith" => TextOp::StartsWith,
        "startswith_cs" => TextOp::StartsWithCs,
        "endswith" => TextOp::EndsWith,
        "endswith_cs" => TextOp::EndsWithCs,
        "like" => TextOp::Like,
        "likecs" => TextOp::LikeCs,
        _ => return None,
    };
    Some((op, not))
}
