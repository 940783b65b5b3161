//! What several operators are made of: names, patterns, named values, options, lists of columns.

use super::Parser;
use crate::kql::error::{Error, Result, Span};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{Column, Expr, ExprKind, Name, NamedOption, Pattern, SortKey};

/// Keywords that name things only where a name is given (`extend to = ...`), never where one is used.
const DECLARED_ONLY: &str = " accumulate as by contains datatable earliest externaldata find has in invoke latest \
    materialize mdm of print sample search set sql title to toscalar totable verbose viewers where ";

/// Keywords that name nothing without brackets.
const RESERVED: &str = " and anomalychart areachart asc assert bagexpansion barchart between bin_legacy \
    cachingpolicy callout cancel card columnchart containscs contains_cs cycles dataexport datascope decodeblocks \
    desc encodingpolicy endswith endswith_cs expandoutput extent_tags_retention external_data first flags \
    harddelete hardretention has_any has_all has_cs hasprefix hasprefix_cs hassuffix hassuffix_cs hotcache isfuzzy \
    force_remote journal ladderchart last like likecs linechart matches missing nooptimization notcontains \
    notcontainscs notlike notlikecs or others pathformat piechart pivotchart project queries query_results relaxed \
    restricted_view_access row_level_security rowstore rowstore_references rowstore_sealinfo rowstorepolicy \
    rowstores scatterchart seal seals shards simple softdelete softretention stackedareachart startswith \
    startswith_cs statistics storedqueryresultcontainers tablepurge timechart timeline timepivot treemap union \
    unrestrictedviewers views with_itemindex with_match_id with_step_name writeaheadlog boolean int8 char uint8 \
    byte int16 uint16 int int32 uint uint32 long int64 ulong uint64 float real decimal double string time timespan \
    date datetime uniqueid dynamic typeof ";

/// These are options by the same name, so a name may not be given to them, but one is used.
const USED_ONLY: &str = " kind withsource with_source ";

fn among(list: &str, word: &str) -> bool {
    list.contains(&format!(" {word} "))
}

impl Parser<'_> {
    /// How many tokens the name takes that stands `ahead`; with `given`, a name that is given rather than used.
    pub(super) fn name_length(&self, ahead: usize, given: bool) -> Option<usize> {
        if let Some(word) = self.word_ahead(ahead) {
            let plain = word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
            let allowed = plain
                && !among(RESERVED, word)
                && !among(if given { USED_ONLY } else { DECLARED_ONLY }, word);
            return allowed.then_some(1);
        }
        if !self.sign_ahead(ahead, "[") {
            return None;
        }
        let mut length = 1;
        while matches!(self.ahead(ahead + length).kind, TokenKind::String(_)) {
            length += 1;
        }
        (length > 1 && self.sign_ahead(ahead + length, "]")).then_some(length + 1)
    }

    /// Whether `name(` stands here.
    pub(super) fn call_ahead(&self) -> bool {
        self.name_length(0, false)
            .is_some_and(|length| self.sign_ahead(length, "("))
    }

    /// A name that is used.
    pub(super) fn name(&mut self) -> Result<Name> {
        match self.name_length(0, false) {
            Some(_) => self.read_name(),
            None => Err(self.no_name()),
        }
    }

    /// A name that is given, where most keywords will do.
    pub(super) fn extended_name(&mut self) -> Result<Name> {
        match self.name_length(0, true) {
            Some(_) => self.read_name(),
            None => Err(self.no_name()),
        }
    }

    fn no_name(&self) -> Error {
        let error = self.expected("an expression");
        match self.word_ahead(0) {
            Some(word @ ("where" | "extend" | "project" | "summarize" | "take" | "top")) => {
                let span = self.peek().span;
                Error::syntax(span, format!("`{word}` needs a table before it"))
            }
            Some(word) if word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                error.hint(format!("a column of that name is written `['{word}']`"))
            }
            _ => error,
        }
    }

    fn read_name(&mut self) -> Result<Name> {
        if !self.at("[") {
            return Ok(self.name_here());
        }
        let start = self.expect("[")?;
        let (text, _) = self.string()?;
        let span = start.to(self.expect("]")?);
        Ok(Name { text, span })
    }

    /// Whether a name with a `*` in it stands here.
    pub(super) fn wildcard_ahead(&self) -> bool {
        self.wildcard_length().1
    }

    /// How many tokens side by side are words, numbers and stars, and whether there is a star.
    fn wildcard_length(&self) -> (usize, bool) {
        let mut length = 0;
        let mut star = false;
        loop {
            let token = self.ahead(length);
            let part = match token.kind {
                TokenKind::Word | TokenKind::Long | TokenKind::TimeSpan => true,
                TokenKind::Sign("*") => {
                    star = true;
                    true
                }
                _ => false,
            };
            if !part || (length > 0 && token.spaced) {
                return (length, star);
            }
            length += 1;
        }
    }

    pub(super) fn wildcard(&mut self) -> Result<(String, Span)> {
        let (length, _) = self.wildcard_length();
        if length == 0 {
            return Err(self.expected("a name, with `*` for any part of it"));
        }
        let span = self.peek().span.to(self.ahead(length - 1).span);
        for _ in 0..length {
            self.advance();
        }
        Ok((self.text_of(span).to_owned(), span))
    }

    /// A column's name, which may hold `*`.
    pub(super) fn pattern(&mut self) -> Result<Pattern> {
        if self.wildcard_ahead() {
            let (text, span) = self.wildcard()?;
            return Ok(Pattern { text, span });
        }
        let Name { text, span } = self.name()?;
        Ok(Pattern { text, span })
    }

    /// `expr`, `name = expr`, `(a, b) = expr`
    pub(super) fn column(&mut self) -> Result<Column> {
        let names = if let Some(length) = self.name_length(0, true)
            && self.sign_ahead(length, "=")
        {
            vec![self.extended_name()?]
        } else if self.names_ahead() {
            self.advance();
            let names = self.comma_list(Self::extended_name)?;
            self.expect(")")?;
            names
        } else {
            Vec::new()
        };
        if !names.is_empty() {
            self.expect("=")?;
        }
        let value = self.expr()?;
        Ok(Column { names, value })
    }

    /// Whether `(a, b) =` stands here.
    fn names_ahead(&self) -> bool {
        if !self.sign_ahead(0, "(") {
            return false;
        }
        let mut at = 1;
        while let Some(length) = self.name_length(at, true) {
            at += length;
            if self.sign_ahead(at, ")") {
                return self.sign_ahead(at + 1, "=");
            }
            if !self.sign_ahead(at, ",") {
                return false;
            }
            at += 1;
        }
        false
    }

    pub(super) fn columns(&mut self) -> Result<Vec<Column>> {
        self.comma_list(Self::column)
    }

    /// Whether what an operator is made of has ended.
    pub(super) fn at_operator_end(&self) -> bool {
        matches!(
            self.peek().kind,
            TokenKind::End | TokenKind::Sign("|" | ";" | ")" | "}" | "]")
        )
    }

    pub(super) fn sort_key(&mut self) -> Result<SortKey> {
        let value = self.expr()?;
        let ascending = self.order();
        let nulls_first = if self.eat_word("nulls") {
            let first = self.at_word("first");
            if !first && !self.at_word("last") {
                return Err(self.expected("`first` or `last`"));
            }
            self.advance();
            Some(first)
        } else {
            None
        };
        Ok(SortKey {
            value,
            ascending,
            nulls_first,
        })
    }

    /// `asc` or `desc`, if either is there.
    pub(super) fn order(&mut self) -> Option<bool> {
        if self.eat_word("asc") {
            Some(true)
        } else if self.eat_word("desc") {
            Some(false)
        } else {
            None
        }
    }

    /// `kind=inner hint.strategy=shuffle`: those of `known`, and any hint.
    pub(super) fn options(&mut self, known: &[&str]) -> Result<Vec<NamedOption>> {
        let mut options = Vec::new();
        while let Some(length) = self.option_ahead(known) {
            let span = self.peek().span.to(self.ahead(length - 1).span);
            let text = self.text_of(span).to_owned();
            for _ in 0..length {
                self.advance();
            }
            self.expect("=")?;
            let value = self.option_value()?;
            options.push(NamedOption {
                name: Name { text, span },
                value,
            });
        }
        Ok(options)
    }

    fn option_ahead(&self, known: &[&str]) -> Option<usize> {
        let word = self.word_ahead(0)?;
        if word == "hint" && self.sign_ahead(1, ".") && self.sign_ahead(3, "=") {
            return self.word_ahead(2).map(|_| 3);
        }
        let option = known.contains(&word) || word.starts_with("__");
        (option && self.sign_ahead(1, "=")).then_some(1)
    }

    /// Options, where nothing else can begin with `name =`: an unknown one is named as such.
    pub(super) fn only_options(
        &mut self,
        operator: &str,
        known: &[&str],
    ) -> Result<Vec<NamedOption>> {
        let options = self.options(known)?;
        match self.word_ahead(0) {
            Some(word) if self.sign_ahead(1, "=") => Err(Error::syntax(
                self.peek().span,
                format!("`{operator}` has no option `{word}`"),
            )
            .nearest(word, known.iter().copied())),
            _ => Ok(options),
        }
    }

    /// A literal with a sign perhaps, or a bare word, keyword or not.
    pub(super) fn option_value(&mut self) -> Result<Expr> {
        let start = self.peek().span;
        let minus = self.at("-");
        if minus || self.at("+") {
            self.advance();
            let Some(operand) = self.literal()? else {
                return Err(self.expected("a number"));
            };
            return Ok(Expr {
                kind: ExprKind::Unary {
                    minus,
                    operand: Box::new(operand),
                },
                span: self.since(start),
            });
        }
        if self.at_word("dynamic") && self.sign_ahead(1, "(") {
            return self.dynamic();
        }
        if let Some(literal) = self.literal()? {
            return Ok(literal);
        }
        let name = match self.word_ahead(0) {
            Some(_) => self.name_here(),
            None => self.name()?,
        };
        Ok(Expr {
            span: name.span,
            kind: ExprKind::Name(name.text),
        })
    }

    /// `(name = value, ...)`; a value may be a list of names: `ycolumns = a, b`.
    pub(super) fn properties(&mut self) -> Result<Vec<NamedOption>> {
        self.expect("(")?;
        let mut options = Vec::new();
        while !self.eat(")") {
            options.push(self.property()?);
            if !self.eat(",") && !self.at(")") {
                return Err(self.expected("`,` or `)`"));
            }
        }
        Ok(options)
    }

    pub(super) fn property(&mut self) -> Result<NamedOption> {
        let name = match self.word_ahead(0) {
            Some(_) => self.name_here(),
            None => return Err(self.expected("the name of a property")),
        };
        self.expect("=")?;
        let start = self.peek().span;
        let mut values = vec![self.option_value()?];
        while self.at(",")
            && let Some(length) = self.name_length(1, true)
            && !self.sign_ahead(1 + length, "=")
        {
            self.advance();
            values.push(self.option_value()?);
        }
        let value = match values.len() {
            1 => values.remove(0),
            _ => Expr {
                kind: ExprKind::List(values),
                span: self.since(start),
            },
        };
        Ok(NamedOption { name, value })
    }
}
