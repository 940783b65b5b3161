//! Text operators: `has`, `contains`, `startswith`, `matches regex` and their kind.

use std::sync::Arc;

use regex::Regex;

use super::super::error::{Error, Result};
use super::super::functions::text_match::{Needle, has};
use super::super::syntax::TextOp;

/// An operator with its right side, ready for many texts.
pub(crate) enum Matcher {
    Term {
        needle: Needle,
        before: bool,
        after: bool,
    },
    Contains(Needle),
    Starts(Needle),
    Ends(Needle),
    Regex(Arc<Regex>),
}

impl Matcher {
    pub(crate) fn new(op: TextOp, pattern: &str) -> Result<Self> {
        let needle = |fold: bool| Needle::new(pattern, !fold);
        Ok(match op {
            TextOp::Has | TextOp::Colon => Self::Term {
                needle: needle(true),
                before: true,
                after: true,
            },
            TextOp::HasCs => Self::Term {
                needle: needle(false),
                before: true,
                after: true,
            },
            TextOp::HasPrefix => Self::Term {
                needle: needle(true),
                before: true,
                after: false,
            },
            TextOp::HasPrefixCs => Self::Term {
                needle: needle(false),
                before: true,
                after: false,
            },
            TextOp::HasSuffix => Self::Term {
                needle: needle(true),
                before: false,
                after: true,
            },
            TextOp::HasSuffixCs => Self::Term {
                needle: needle(false),
                before: false,
                after: true,
            },
            TextOp::Contains => Self::Contains(needle(true)),
            TextOp::ContainsCs => Self::Contains(needle(false)),
            TextOp::StartsWith => Self::Starts(needle(true)),
            TextOp::StartsWithCs => Self::Starts(needle(false)),
            TextOp::EndsWith => Self::Ends(needle(true)),
            TextOp::EndsWithCs => Self::Ends(needle(false)),
            TextOp::Like | TextOp::LikeCs => {
                let fold = if op == TextOp::Like { "(?is)" } else { "(?s)" };
                let body: Vec<String> = pattern.split('*').map(regex::escape).collect();
                Self::Regex(compiled(&format!("{fold}^{}$", body.join(".*")))?)
            }
            TextOp::MatchesRegex => Self::Regex(compiled(pattern)?),
        })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Term {
                needle,
                before,
                after,
            } => has(text, needle, *before, *after),
            Self::Contains(needle) => needle.is_in(text),
            Self::Starts(needle) => needle.starts(text),
            Self::Ends(needle) => needle.ends(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

fn compiled(pattern: &str) -> Result<Arc<Regex>> {
    let why = |error: regex::Error| {
        Error::execution(format!("`{pattern}` is no regular expression: {error}"))
    };
    Regex::new(pattern).map(Arc::new).map_err(why)
}

/// Equality that ignores case.
pub(crate) struct Fold(Needle);

impl Fold {
    pub(crate) fn new(text: &str) -> Self {
        Self(Needle::new(text, false))
    }

    pub(crate) fn equals(&self, text: &str) -> bool {
        self.0.equals(text)
    }
}

/// `has_any` and `has_all`.
pub(crate) struct HasList(Vec<Needle>);

impl HasList {
    pub(crate) fn new(terms: &[String]) -> Self {
        Self(terms.iter().map(|term| Needle::new(term, false)).collect())
    }

    pub(crate) fn any(&self, text: &str) -> bool {
        self.0.iter().any(|needle| has(text, needle, true, true))
    }

    pub(crate) fn all(&self, text: &str) -> bool {
        self.0.iter().all(|needle| has(text, needle, true, true))
    }
}
