//! Queries of Cosmos, read far enough to know which properties they need an index for.
//!
//! What is not understood is an error, and never guessed at: what is taken for unused would be taken
//! out of an index. No error holds a part of the text, in which there may be what people wrote.
//!
//! Source: Azure Cosmos DB for NoSQL, "Query language".

mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::domain::{PropertyPath, Sort};
use tokens::{Token, tokens};

/// What one query does with the properties of documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Uses {
    /// Filtered on, grouped by, aggregated, or the argument of a function.
    pub(super) filters: BTreeSet<PropertyPath>,
    /// As `filters`, and what lies in them as well.
    pub(super) deep: BTreeSet<PropertyPath>,
    /// Arrays whose elements are joined.
    pub(super) joins: BTreeSet<PropertyPath>,
    /// What the result is sorted by, in order.
    pub(super) sorts: Vec<Sort>,
    /// Only shown.
    pub(super) shown: BTreeSet<PropertyPath>,
}

impl Uses {
    /// Everything that an index may serve.
    pub(super) fn indexed(&self) -> impl Iterator<Item = &PropertyPath> {
        let sorts = self.sorts.iter().map(|sort| &sort.path);
        (self.filters.iter().chain(&self.deep).chain(&self.joins)).chain(sorts)
    }
}

/// Why a query is not understood.
type Unread = &'static str;

/// Reads the text of a query, as it was sent or as logs have it, with its parameters around it.
pub(super) fn read(text: &str) -> Result<Uses, Unread> {
    let text = text.trim();
    let inside = text
        .starts_with('{')
        .then(|| serde_json::from_str::<serde_json::Value>(text).ok())
        .flatten();
    let text = match &inside {
        Some(spec) => spec["query"].as_str().ok_or("it is JSON without a query")?,
        None => text,
    };
    let tokens = tokens(text)?;
    let mut reader = Reader {
        tokens: &tokens,
        uses: Uses::default(),
        depth: 0,
    };
    let end = if tokens.last() == Some(&Token::Sign(";")) {
        tokens.len() - 1
    } else {
        tokens.len()
    };
    reader.query(0..end, &Scope::new())?;
    Ok(reader.uses)
}

/// Names that stand for a part of the document.
type Scope = BTreeMap<String, PropertyPath>;

/// What the properties in an expression are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Shown,
    Filter,
    Deep,
}

/// Words of an expression that name nothing.
const WORDS: &[&str] = &[
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "LIKE",
    "ESCAPE",
    "EXISTS",
    "ARRAY",
    "VALUE",
    "DISTINCT",
    "TOP",
    "NULL",
    "UNDEFINED",
    "TRUE",
    "FALSE",
    "UDF",
];

/// Functions that another index than that of a policy's paths serves, or none.
const STRANGE: &[&str] = &["ST_", "VECTOR", "FULLTEXT", "RRF"];

/// Signs that stand between two values.
const BETWEEN_TWO: &[&str] = &[
    "*", "/", "%", "=", "!=", "<>", "<", "<=", ">", ">=", "||", "??", "?", "&", "|", "^", "<<",
    ">>", ">>>",
];

/// Deeper than anybody nests queries.
const MOST_DEPTH: usize = 32;

struct Reader<'t> {
    tokens: &'t [Token],
    uses: Uses,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn at(&self, at: usize) -> Option<&'t Token> {
        self.tokens.get(at)
    }

    fn is(&self, at: usize, sign: &str) -> bool {
        matches!(self.at(at), Some(Token::Sign(s)) if *s == sign)
    }

    /// Whether there is this word, and not a property of that name.
    fn is_word(&self, at: usize, word: &str) -> bool {
        matches!(self.at(at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
            && !(at > 0 && self.is(at - 1, "."))
    }

    /// Where what opens at `at` closes.
    fn closing(&self, at: usize, end: usize) -> Result<usize, Unread> {
        let mut depth = 0_usize;
        for here in at..end {
            match self.at(here) {
                Some(Token::Sign("(" | "[" | "{")) => depth += 1,
                Some(Token::Sign(")" | "]" | "}")) => {
                    depth = depth.checked_sub(1).ok_or("its brackets do not fit")?;
                    if depth == 0 {
                        return Ok(here);
                    }
                }
                _ => {}
            }
        }
        Err("its brackets do not fit")
    }

    /// The first place in `range`, outside of brackets, that `fits`.
    fn find(
        &self,
        range: Range<usize>,
        fits: impl Fn(&Self, usize) -> bool,
    ) -> Result<Option<usize>, Unread> {
        let mut at = range.start;
        while at < range.end {
            if fits(self, at) {
                return Ok(Some(at));
            }
            at = match self.at(at) {
                Some(Token::Sign("(" | "[" | "{")) => self.closing(at, range.end)? + 1,
                _ => at + 1,
            };
        }
        Ok(None)
    }

    /// Cuts a range at every place that `fits`.
    fn cut(
        &self,
        range: Range<usize>,
        fits: impl Fn(&Self, usize) -> bool,
    ) -> Result<Vec<Range<usize>>, Unread> {
        let (mut parts, mut from) = (Vec::new(), range.start);
        while let Some(at) = self.find(from..range.end, &fits)? {
            parts.push(from..at);
            from = at + 1;
        }
        parts.push(from..range.end);
        Ok(parts)
    }

    /// A query; what `SELECT VALUE` gives, if that is a plain path.
    fn query(
        &mut self,
        range: Range<usize>,
        outer: &Scope,
    ) -> Result<Option<PropertyPath>, Unread> {
        if !self.is_word(range.start, "SELECT") {
            return Err("it does not begin with SELECT");
        }
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err("it is nested too deep");
        }
        const CLAUSES: [&str; 6] = ["FROM", "WHERE", "GROUP", "ORDER", "OFFSET", "LIMIT"];
        let mut starts = vec![];
        let mut from = range.start + 1;
        for (number, word) in CLAUSES.into_iter().enumerate() {
            if let Some(at) = self.find(from..range.end, |r, at| r.is_word(at, word))? {
                starts.push((number, at));
                from = at + 1;
            }
        }
        let first = starts.first().map_or(range.end, |(_, at)| *at);
        let list = range.start + 1..first;
        let clause = |number: usize| {
            let place = starts.iter().position(|(n, _)| *n == number)?;
            let end = starts.get(place + 1).map_or(range.end, |(_, at)| *at);
            Some(starts[place].1 + 1..end)
        };
        let mut scope = outer.clone();
        match clause(0) {
            Some(sources) => self.sources(sources, &mut scope)?,
            None if outer.is_empty() => return Err("it has no FROM"),
            None => {}
        }
        let mut distinct = false;
        let mut from = list.start;
        while ["DISTINCT", "TOP", "VALUE"]
            .iter()
            .any(|w| self.is_word(from, w))
        {
            distinct |= self.is_word(from, "DISTINCT");
            from += if self.is_word(from, "TOP") { 2 } else { 1 };
        }
        if from >= list.end {
            return Err("it selects nothing");
        }
        let role = if distinct { Role::Filter } else { Role::Shown };
        // Everything, and nothing besides it.
        let everything = from + 1 == list.end && self.is(from, "*");
        if !everything {
            self.expression(from..list.end, &scope, role)?;
        }
        let value = match self.path(from, list.end, &scope)? {
            Some((path, end)) if end == list.end && self.is_word(from - 1, "VALUE") => Some(path),
            _ => None,
        };
        if let Some(filter) = clause(1) {
            self.expression(filter, &scope, Role::Filter)?;
        }
        if let Some(group) = clause(2) {
            self.by(group.start)?;
            self.expression(group.start + 1..group.end, &scope, Role::Filter)?;
        }
        if let Some(order) = clause(3) {
            self.by(order.start)?;
            if self.depth > 1 {
                return Err("a query inside it is sorted");
            }
            self.order(order.start + 1..order.end, &scope)?;
        }
        for page in [clause(4), clause(5)].into_iter().flatten() {
            let plain = |at| matches!(self.at(at), Some(Token::Value | Token::Number));
            if page.len() != 1 || !plain(page.start) {
                return Err("its OFFSET or LIMIT is no number");
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    fn by(&self, at: usize) -> Result<(), Unread> {
        if self.is_word(at, "BY") {
            Ok(())
        } else {
            Err("GROUP or ORDER without BY")
        }
    }

    /// What follows FROM.
    fn sources(&mut self, range: Range<usize>, scope: &mut Scope) -> Result<(), Unread> {
        let parts = self.cut(range, |r, at| r.is_word(at, "JOIN"))?;
        for (number, part) in parts.into_iter().enumerate() {
            let is_root = number == 0 && scope.is_empty();
            self.source(part, scope, is_root)?;
        }
        Ok(())
    }

    fn source(
        &mut self,
        range: Range<usize>,
        scope: &mut Scope,
        is_root: bool,
    ) -> Result<(), Unread> {
        let odd = "a source of it is not understood";
        let Range { start, end } = range;
        // `x IN path`: the elements of an array.
        if let (Some(Token::Word(name)), true) = (self.at(start), self.is_word(start + 1, "IN")) {
            let (path, after) = self.source_path(start + 2, end, scope, is_root)?;
            if after != end {
                return Err(odd);
            }
            let elements = path.elements();
            self.uses.joins.insert(elements.clone());
            scope.insert(name.clone(), elements);
            return Ok(());
        }
        let (path, after, default) = if self.is(start, "(") {
            let close = self.closing(start, end)?;
            let value = self.query(start + 1..close, scope)?;
            let path = value.ok_or("it joins a query that makes new values")?;
            (path, close + 1, None)
        } else {
            let (path, after) = self.source_path(start, end, scope, is_root)?;
            let last = match self.at(after - 1) {
                Some(Token::Word(word)) => Some(word.clone()),
                _ => None,
            };
            (path, after, last)
        };
        let named = after + usize::from(self.is_word(after, "AS"));
        let name = match self.at(named) {
            Some(Token::Word(name)) if named < end => {
                if named + 1 != end {
                    return Err(odd);
                }
                name.clone()
            }
            _ if after == end => default.ok_or(odd)?,
            _ => return Err(odd),
        };
        scope.insert(name, path);
        Ok(())
    }

    /// A path after FROM or IN. The first name of the outermost query is that of the container,
    /// whatever it is.
    fn source_path(
        &self,
        at: usize,
        end: usize,
        scope: &Scope,
        is_root: bool,
    ) -> Result<(PropertyPath, usize), Unread> {
        let odd = "a source of it is not understood";
        match (self.at(at), is_root) {
            (Some(Token::Word(_)), true) if at < end => {
                self.steps(PropertyPath::root(), at + 1, end)
            }
            _ => self.path(at, end, scope)?.ok_or(odd),
        }
    }

    /// The path that begins at `at`, and where it ends; `None` if none does.
    fn path(
        &self,
        at: usize,
        end: usize,
        scope: &Scope,
    ) -> Result<Option<(PropertyPath, usize)>, Unread> {
        match self.at(at) {
            Some(Token::Word(word)) if at < end => match scope.get(word) {
                Some(path) => self.steps(path.clone(), at + 1, end).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// `.name`, `["name"]` and `[0]`, as many as there are.
    fn steps(
        &self,
        mut path: PropertyPath,
        mut at: usize,
        end: usize,
    ) -> Result<(PropertyPath, usize), Unread> {
        while at < end {
            if self.is(at, ".") {
                let Some(Token::Word(name)) = self.at(at + 1).filter(|_| at + 1 < end) else {
                    return Err("a property has no name");
                };
                path = path.child(name);
                at += 2;
            } else if self.is(at, "[") {
                path = match self.at(at + 1) {
                    Some(Token::Text(name)) => path.child(name),
                    Some(Token::Number) => path.elements(),
                    _ => return Err("a property is named by a value"),
                };
                if !self.is(at + 2, "]") {
                    return Err("a property is named by a value");
                }
                at += 3;
            } else {
                break;
            }
        }
        Ok((path, at))
    }

    fn ends_a_value(&self, at: usize) -> bool {
        match self.at(at) {
            Some(Token::Sign(sign)) => matches!(*sign, ")" | "]" | "}"),
            other => other.is_some(),
        }
    }

    fn is_between_two(&self, at: usize) -> bool {
        matches!(self.at(at), Some(Token::Sign(sign)) if BETWEEN_TWO.contains(sign))
    }

    fn note(&mut self, path: PropertyPath, role: Role) -> Result<(), Unread> {
        if path.is_root() {
            // The whole document, shown or counted; no index serves a condition on it.
            return match role {
                Role::Shown | Role::Deep => Ok(()),
                Role::Filter => Err("it asks about the document as a whole"),
            };
        }
        match role {
            Role::Shown => self.uses.shown.insert(path),
            Role::Filter => self.uses.filters.insert(path),
            Role::Deep => self.uses.deep.insert(path),
        };
        Ok(())
    }

    fn expression(&mut self, range: Range<usize>, scope: &Scope, role: Role) -> Result<(), Unread> {
        let mut at = range.start;
        if at >= range.end {
            return Err("a part of it is missing");
        }
        while at < range.end {
            match &self.tokens[at] {
                Token::Value | Token::Number | Token::Text(_) => at += 1,
                Token::Sign("(") if self.is_word(at + 1, "SELECT") => {
                    let close = self.closing(at, range.end)?;
                    self.query(at + 1..close, scope)?;
                    at = close + 1;
                }
                Token::Sign("." | ";") => return Err("a point stands alone"),
                Token::Sign(sign) if BETWEEN_TWO.contains(sign) => {
                    // A sign that stands alone stands for something that was removed.
                    let before = at > range.start && self.ends_a_value(at - 1);
                    if !before || at + 1 >= range.end || self.is_between_two(at + 1) {
                        return Err("a value is missing");
                    }
                    at += 1;
                }
                Token::Sign(_) => at += 1,
                Token::Word(word) => {
                    let (word, next) = (word.clone(), at + 1);
                    if let Some((path, end)) = self.path(at, range.end, scope)? {
                        self.note(path, role)?;
                        at = end;
                    } else if word.eq_ignore_ascii_case("UDF") && self.is(next, ".") {
                        at += 2;
                    } else if WORDS.iter().any(|w| w.eq_ignore_ascii_case(&word)) {
                        at += 1;
                    } else if word.eq_ignore_ascii_case("AS") {
                        at += 2;
                    } else if self.is(next, "(") {
                        let close = self.closing(next, range.end)?;
                        self.call(&word, next + 1..close, scope)?;
                        at = close + 1;
                    } else if self.is(next, ":") {
                        // The name of a property of what is made here.
                        at += 1;
                    } else {
                        return Err("it names what is no source of it");
                    }
                }
            }
        }
        Ok(())
    }

    /// The arguments of a function: an index may serve them wherever it is called.
    fn call(&mut self, name: &str, range: Range<usize>, scope: &Scope) -> Result<(), Unread> {
        let name = name.to_ascii_uppercase();
        if STRANGE.iter().any(|start| name.starts_with(start)) {
            return Err("it uses a function that an index of its own serves");
        }
        // They look into what they are given.
        let deep = name.starts_with("ARRAY_")
            || name.starts_with("SET")
            || name.starts_with("OBJECT")
            || name.starts_with("IS_")
            || name == "COUNT";
        if range.is_empty() {
            return Ok(());
        }
        self.expression(range, scope, if deep { Role::Deep } else { Role::Filter })
    }

    fn order(&mut self, range: Range<usize>, scope: &Scope) -> Result<(), Unread> {
        for part in self.cut(range, |r, at| r.is(at, ","))? {
            let Some((path, end)) = self.path(part.start, part.end, scope)? else {
                return Err("it is sorted by what is no property");
            };
            let descending = self.is_word(end, "DESC");
            let named = descending || self.is_word(end, "ASC");
            if path.is_root() || end + usize::from(named) != part.end {
                return Err("it is sorted by what is no property");
            }
            self.uses.sorts.push(Sort { path, descending });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
