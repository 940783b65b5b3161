//! Operators between operands, by rising tightness: `or`; `and`; `== != in between ...`; `< <= > >=`; `+ -`;
//! `* / %`; text operators. Equalities, comparisons and text operators do not chain.

use super::Parser;
use crate::kql::error::Result;
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{Binary, Expr, ExprKind, InOp, TextOp};

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

    pub(super) fn star(&mut self) -> Expr {
        let span = self.peek().span;
        self.advance();
        Expr {
            kind: ExprKind::Star,
            span,
        }
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
