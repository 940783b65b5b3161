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
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let uses = match read(text) {
            Ok(uses) => uses,
            Err(why) => return format!("! {why}"),
        };
        let list = |name: &str, paths: &BTreeSet<PropertyPath>| {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            (!paths.is_empty()).then(|| format!("{name} {}", paths.join(" ")))
        };
        let sorts: Vec<String> = uses.sorts.iter().map(ToString::to_string).collect();
        let parts = [
            list("filter", &uses.filters),
            list("deep", &uses.deep),
            list("join", &uses.joins),
            (!sorts.is_empty()).then(|| format!("sort {}", sorts.join(", "))),
            list("show", &uses.shown),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    proptest::proptest! {
        #[test]
        fn no_text_ends_the_reader(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "JOIN", "IN", "VALUE", "TOP",
                    "OFFSET", "LIMIT", "AS", "c", "t", ".", ".a", "[", "]", "[0]", "(", ")", "{", "}",
                    "*", "=", ",", ":", "?", "1", "@p", "'x'", "\"y\"", "f(", "-", "--", "é", ";",
                ]),
                0..24,
            ),
            text in ".{0,40}",
        ) {
            let _ = read(&words.join(" "));
            let _ = read(&format!("SELECT * FROM c WHERE {}", words.join(" ")));
            let _ = read(&text);
        }
    }

    #[test]
    fn what_queries_need_an_index_for() {
        for (text, expected) in [
            ("SELECT * FROM c", ""),
            ("select value c from c where c.a = 1", "filter /a"),
            (
                "SELECT c.id, c.content.text AS t FROM c WHERE c.tenantId = @t AND c[\"created at\"] > 5",
                "filter /\"created at\" /tenantId; show /content/text /id",
            ),
            (
                r#"{"query":"SELECT * FROM root r WHERE r.a = @a","parameters":[{"name":"@a","value":"x"}]}"#,
                "filter /a",
            ),
            (
                "SELECT TOP 10 * FROM c WHERE c.a IN ('x', 'y') ORDER BY c.b DESC",
                "filter /a; sort /b desc",
            ),
            (
                "SELECT * FROM c ORDER BY c.a, c.b.c DESC, c.d ASC OFFSET 0 LIMIT @n",
                "sort /a asc, /b/c desc, /d asc",
            ),
            (
                "SELECT c.id, t.name FROM c JOIN t IN c.tags WHERE t.kind = 'x' AND t != 3",
                "filter /tags/[] /tags/[]/kind; join /tags/[]; show /id /tags/[]/name",
            ),
            (
                "SELECT f.x FROM f IN c.children JOIN p IN f.pets WHERE p.x[0].y = 1",
                "filter /children/[]/pets/[]/x/[]/y; join /children/[] /children/[]/pets/[]; show /children/[]/x",
            ),
            (
                "SELECT VALUE COUNT(1) FROM c WHERE NOT (c.a BETWEEN 1 AND 2) AND c.b LIKE 'x%'",
                "filter /a /b",
            ),
            (
                "SELECT c.kind, COUNT(1) AS n, MAX(c.at) FROM c GROUP BY c.kind",
                "filter /at /kind; show /kind",
            ),
            ("SELECT DISTINCT c.kind FROM c", "filter /kind"),
            (
                "SELECT * FROM c WHERE ARRAY_CONTAINS(c.tags, 'x') AND IS_DEFINED(c.y) AND STARTSWITH(c.z, 'a', true)",
                "filter /z; deep /tags /y",
            ),
            (
                "SELECT * FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t.name = 'x')",
                "filter /tags/[]/name; join /tags/[]; show /tags/[]",
            ),
            (
                "SELECT * FROM c JOIN (SELECT VALUE t FROM t IN c.tags WHERE t.name = 'x') AS u WHERE u.age > 3",
                "filter /tags/[]/age /tags/[]/name; join /tags/[]; show /tags/[]",
            ),
            (
                "SELECT { \"a\": c.a, b: c.b ?? c.d, list: [c.e, 1] } AS made FROM c WHERE c.order = 1 -- c.no",
                "filter /order; show /a /b /d /e",
            ),
            (
                "SELECT c.a ? c.x : c.y FROM c WHERE udf.tax(c.z) > 10",
                "filter /z; show /a /x /y",
            ),
            (
                "SELECT a.street FROM c.address a WHERE a.city = 'x'",
                "filter /address/city; show /address/street",
            ),
            (
                "SELECT * FROM Families WHERE Families.a = 'it''s'",
                "! a text in it does not end as it begins",
            ),
            ("SELECT * FROM c WHERE c.a = 'it\\'s'", "filter /a"),
            (
                "SELECT c.id FROM c WHERE c.type = \"m\" AND (NOT IS_DEFINED(c.gone) OR c.gone = false OR c.n = -1)",
                "filter /gone /n /type; deep /gone; show /id",
            ),
            (
                "SELECT VALUE {\"id\": c.id, \"n\": ARRAY_LENGTH(c.items)} FROM c",
                "deep /items; show /id",
            ),
            (
                "SELECT DISTINCT TOP @n VALUE c[\"a\"][\"b\"] FROM c",
                "filter /a/b",
            ),
            ("SELECT VALUE [c.a, SUM(c.b)] FROM c", "filter /b; show /a"),
            (
                "SELECT ARRAY(SELECT VALUE t.name FROM t IN c.tags) AS names FROM c",
                "join /tags/[]; show /tags/[]/name",
            ),
            (
                "SELECT * FROM c WHERE EXISTS (SELECT VALUE 1 FROM t IN c.tags WHERE t = @t) AND c.a LIKE '%x!%' ESCAPE '!'",
                "filter /a /tags/[]; join /tags/[]",
            ),
            (
                "SELECT c.a limit FROM c",
                "! it names what is no source of it",
            ),
            ("SELECT c.* FROM c", "! a property has no name"),
            ("SELECT 1", "! it has no FROM"),
            ("SELECT * FROM c WHERE ***", "! a value is missing"),
            ("SELECT *** FROM c", "! a value is missing"),
            ("SELECT * FROM c WHERE c.a = ?", "! a value is missing"),
            (
                "SELECT * FROM c WHERE c[@name] = 1",
                "! a property is named by a value",
            ),
            (
                "SELECT * FROM c WHERE d.a = 1",
                "! it names what is no source of it",
            ),
            (
                "SELECT * FROM c WHERE a = 1",
                "! it names what is no source of it",
            ),
            (
                "SELECT * FROM c WHERE ST_DISTANCE(c.place, @p) < 3",
                "! it uses a function that an index of its own serves",
            ),
            (
                "SELECT TOP 5 * FROM c ORDER BY VectorDistance(c.v, @v)",
                "! it is sorted by what is no property",
            ),
            (
                "SELECT TOP 5 * FROM c ORDER BY RANK FullTextScore(c.t, ['x'])",
                "! it is sorted by what is no property",
            ),
            (
                "SELECT * FROM c WHERE (c.a = 1",
                "! its brackets do not fit",
            ),
            (
                "SELECT * FROM c WHERE c.a = 1 ORDER c.b",
                "! GROUP or ORDER without BY",
            ),
            ("SELECT * FROM c WHERE", "! a part of it is missing"),
            (
                "SELECT * FROM c JOIN (SELECT t.a, t.b FROM t IN c.x) AS u",
                "! it joins a query that makes new values",
            ),
            ("UPDATE c SET x = 1", "! it does not begin with SELECT"),
            (
                "SELECT * FROM c WHERE c.a = #",
                "! a sign in it is not known",
            ),
            ("{\"text\":1}", "! it is JSON without a query"),
            ("***", "! it does not begin with SELECT"),
            ("", "! it does not begin with SELECT"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }
}
