//! Paths in documents, as policies name them.

use std::fmt;
use std::str::FromStr;

/// Stands for the elements of an array in a path.
const ELEMENTS: &str = "[]";

/// Where in a document a value lies: names from the root, `[]` for the elements of an array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PropertyPath(Vec<String>);

impl PropertyPath {
    /// The whole document.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// The elements of the array that lies here.
    #[must_use]
    pub fn elements(&self) -> Self {
        self.child(ELEMENTS)
    }

    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the two lies in the other, or they are the same.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.holds(other) || other.holds(self)
    }

    fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// `id` and `_ts` are indexed whatever a policy says.
    #[must_use]
    pub fn is_always_indexed(&self) -> bool {
        matches!(&self.0[..], [one] if one == "id" || one == "_ts")
    }
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.0 {
            let mut letters = name.chars();
            let plain = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            if plain || name == ELEMENTS {
                write!(f, "/{name}")?;
            } else {
                write!(
                    f,
                    "/\"{}\"",
                    name.replace('\\', "\\\\").replace('"', "\\\"")
                )?;
            }
        }
        Ok(())
    }
}

/// The text is no path of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path of an index")]
pub struct NotAPath(String);

impl FromStr for PropertyPath {
    type Err = NotAPath;

    /// `/a/"b c"/[]`.
    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let wrong = || NotAPath(text.to_owned());
        let (mut names, mut letters) = (Vec::new(), text.chars().peekable());
        while let Some(slash) = letters.next() {
            if slash != '/' {
                return Err(wrong());
            }
            let mut name = String::new();
            if letters.next_if_eq(&'"').is_some() {
                loop {
                    match letters.next().ok_or_else(wrong)? {
                        '"' => break,
                        '\\' => name.push(letters.next().ok_or_else(wrong)?),
                        c => name.push(c),
                    }
                }
            } else {
                while let Some(c) = letters.next_if(|c| *c != '/') {
                    name.push(c);
                }
            }
            if name.is_empty() {
                return Err(wrong());
            }
            names.push(name);
        }
        Ok(Self(names))
    }
}

/// A path as policies have it: one value, or everything from there on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    pub path: PropertyPath,
    /// Everything from there on.
    pub deep: bool,
}

impl Pattern {
    pub(super) fn covers(&self, path: &PropertyPath) -> bool {
        if self.deep {
            self.path.holds(path)
        } else {
            self.path == *path
        }
    }

    /// The more precise of two patterns counts.
    pub(super) fn precision(&self) -> (usize, bool) {
        (self.path.0.len(), !self.deep)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.path, if self.deep { '*' } else { '?' })
    }
}

impl FromStr for Pattern {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let (path, deep) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text.strip_suffix("/?").unwrap_or(text), false),
        };
        let path = path.parse().map_err(|_| NotAPath(text.to_owned()))?;
        Ok(Self { path, deep })
    }
}

/// One part of a composite index, or of an ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sort {
    pub path: PropertyPath,
    pub descending: bool,
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            self.path,
            if self.descending { "desc" } else { "asc" }
        )
    }
}

/// A composite index, or an ORDER BY, in one line.
#[must_use]
pub fn sorted_by(parts: &[Sort]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    format!("({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_they_are_read() {
        for (text, expected) in [
            ("/*", Some("/*")),
            ("/a/?", Some("/a/?")),
            ("/a/b/*", Some("/a/b/*")),
            ("/a/[]/b/?", Some("/a/[]/b/?")),
            ("/\"a\"/?", Some("/a/?")),
            ("/\"a b\"/\"c/d\"/?", Some("/\"a b\"/\"c/d\"/?")),
            ("/\"_etag\"/?", Some("/\"_etag\"/?")),
            ("a/?", None),
            ("//?", None),
            ("/\"a/?", None),
        ] {
            let read = text.parse::<Pattern>().ok().map(|p| p.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
