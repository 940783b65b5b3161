//! `parse-kv`: columns out of `key=value` pairs.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;

use super::super::column::Builder;
use super::super::convert;
use super::super::error::Result;
use super::super::expr::Expr;
use super::super::plan::{Batch, Stage};
use super::super::types::Type;
use super::super::value::Value;
use super::parse::Origin;
use super::{Run, eval};

/// <https://learn.microsoft.com/kusto/query/parse-kv-operator>
pub(crate) struct ParseKv {
    /// A string.
    pub(crate) source: Expr,
    pub(crate) keys: Vec<(String, Type)>,
    pub(crate) form: Form,
    pub(crate) output: Vec<Origin>,
}

pub(crate) enum Form {
    Delimited {
        pair: String,
        kv: String,
        quoting: Quoting,
        /// A value goes on to the next key.
        greedy: bool,
    },
    /// Whatever is no letter or digit parts words.
    Words(Quoting),
    /// Group one is the key, group two the value.
    Regex(Regex),
}

#[derive(Default)]
pub(crate) struct Quoting {
    /// What opens and what closes.
    pub(crate) quotes: Vec<(char, char)>,
    pub(crate) escapes: Vec<char>,
}

impl Quoting {
    /// What stands in quotes at the start of a text, and what comes after.
    fn quoted<'a>(&self, text: &'a str) -> Option<(Cow<'a, str>, &'a str)> {
        let open = text.chars().next()?;
        let (_, close) = self.quotes.iter().find(|(quote, _)| *quote == open)?;
        let inner = &text[open.len_utf8()..];
        let mut plain: Option<String> = None;
        let mut chars = inner.char_indices();
        while let Some((at, c)) = chars.next() {
            if self.escapes.contains(&c) {
                let own = plain.get_or_insert_with(|| inner[..at].to_owned());
                if let Some((_, escaped)) = chars.next() {
                    own.push(escaped);
                }
            } else if c == *close {
                let value = plain.map_or(Cow::Borrowed(&inner[..at]), Cow::Owned);
                return Some((value, &inner[at + c.len_utf8()..]));
            } else if let Some(own) = &mut plain {
                own.push(c);
            }
        }
        None
    }
}

impl ParseKv {
    fn read<'a>(&self, text: &'a str) -> Vec<Option<Cow<'a, str>>> {
        let mut values = vec![None; self.keys.len()];
        let mut found = |key: &str, value: Cow<'a, str>| {
            let at = self.keys.iter().position(|(name, _)| name == key);
            if let Some(slot) = at.map(|at| &mut values[at])
                && slot.is_none()
            {
                *slot = Some(value);
            }
        };
        match &self.form {
            Form::Regex(regex) => {
                for pair in regex.captures_iter(text) {
                    let group = |at| pair.get(at).map_or("", |part| part.as_str());
                    found(group(1).trim(), Cow::Borrowed(group(2).trim()));
                }
            }
            Form::Words(quoting) => self.words(text, quoting, &mut found),
            Form::Delimited {
                pair,
                kv,
                quoting,
                greedy,
            } => delimited(text, pair, kv, quoting, *greedy, &mut found),
        }
        values
    }

    fn words<'a>(
        &self,
        text: &'a str,
        quoting: &Quoting,
        found: &mut impl FnMut(&str, Cow<'a, str>),
    ) {
        let mut rest = text;
        let mut key: Option<Cow<'a, str>> = None;
        loop {
            let word = match quoting.quoted(rest) {
                Some((word, after)) => {
                    rest = after;
                    word
                }
                None => {
                    let end = rest
                        .find(|c: char| !c.is_alphanumeric())
                        .unwrap_or(rest.len());
                    if end == 0 {
                        let Some(c) = rest.chars().next() else { return };
                        rest = &rest[c.len_utf8()..];
                        continue;
                    }
                    let word = &rest[..end];
                    rest = &rest[end..];
                    Cow::Borrowed(word)
                }
            };
            match key.take() {
                Some(key) => found(&key, word),
                None if self.keys.iter().any(|(name, _)| *name == *word) => key = Some(word),
                None => {}
            }
        }
    }
}

fn delimited<'a>(
    text: &'a str,
    pair: &str,
    kv: &str,
    quoting: &Quoting,
    greedy: bool,
    found: &mut impl FnMut(&str, Cow<'a, str>),
) {
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(pair) {
            rest = after;
            continue;
        }
        // The key, up to its delimiter; what has none is no pair.
        let trimmed = rest.trim_start();
        let (key, after) = match quoting.quoted(trimmed) {
            Some((key, after)) => match after.trim_start().strip_prefix(kv) {
                Some(after) => (key, after),
                None => {
                    rest = past(after, pair);
                    continue;
                }
            },
            None => match (rest.find(kv), rest.find(pair)) {
                (Some(at), end) if end.is_none_or(|end| at < end) => {
                    (Cow::Borrowed(rest[..at].trim()), &rest[at + kv.len()..])
                }
                _ => {
                    rest = past(rest, pair);
                    continue;
                }
            },
        };
        if let Some((value, after)) = quoting.quoted(after.trim_start()) {
            found(&key, value);
            rest = past(after, pair);
            continue;
        }
        let end = if greedy {
            match after.find(kv) {
                Some(next) => after[..next].rfind(pair).unwrap_or(next),
                None => after.len(),
            }
        } else {
            after.find(pair).unwrap_or(after.len())
        };
        found(&key, Cow::Borrowed(after[..end].trim()));
        rest = &after[end..];
        if !rest.starts_with(pair) {
            rest = past(rest, pair);
        }
    }
}

/// What comes after the next delimiter of pairs.
fn past<'a>(text: &'a str, pair: &str) -> &'a str {
    text.find(pair).map_or("", |at| &text[at + pair.len()..])
}

impl Stage for ParseKv {
    fn name(&self) -> &'static str {
        "parse-kv"
    }

    fn apply(&self, batch: Batch, run: &Arc<Run>) -> Result<Batch> {
        let source = eval::eval(&self.source, &batch, run)?;
        let mut builders: Vec<Builder> = self
            .keys
            .iter()
            .map(|(_, ty)| Builder::new(*ty, batch.rows))
            .collect();
        for row in 0..batch.rows {
            let text = source.value(row);
            let values = self.read(text.text());
            for ((builder, value), (_, ty)) in builders.iter_mut().zip(values).zip(&self.keys) {
                builder.push(&match (value, ty) {
                    (None, _) => Value::Null,
                    (Some(value), Type::String) => Value::String(value),
                    (Some(value), ty) => convert::parse(&value, *ty).unwrap_or(Value::Null),
                });
            }
        }
        let captures: Vec<_> = builders.iter_mut().map(Builder::finish).collect();
        let columns = Origin::columns(&self.output, &batch, &captures);
        Ok(Batch::new(columns, batch.rows))
    }

    fn needs(&self, wanted: &[bool], input: usize) -> Vec<bool> {
        Origin::mark(&self.output, wanted, &self.source, input)
    }
}
