//! How a query fails: where in its text, why, and what the writer may have meant.

use std::fmt;

/// A stretch of the query's text, in bytes: `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start.min(other.start), self.end.max(other.end))
    }
}

/// What sort of failure it is, by what the writer of the query does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The text is not KQL.
    Syntax,
    /// The text is KQL and means nothing: an unknown name, types that do not go together.
    Semantic,
    /// Valid in Kusto, and absent from this engine. Never answered with something near.
    NotImplemented,
    /// The query is sound and its evaluation failed: a limit, a broken file, a cancelled run.
    Execution,
}

/// A failure with the text it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    pub span: Option<Span>,
    pub message: String,
    /// What the writer may have meant.
    pub hint: Option<String>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn syntax(span: Span, message: impl Into<String>) -> Self {
        Self::at(Kind::Syntax, span, message)
    }

    pub fn semantic(span: Span, message: impl Into<String>) -> Self {
        Self::at(Kind::Semantic, span, message)
    }

    /// `what` names the operator, function or option: "operator `reduce`".
    pub fn not_implemented(span: Span, what: impl fmt::Display) -> Self {
        Self::at(
            Kind::NotImplemented,
            span,
            format!("{what} is not implemented"),
        )
    }

    pub fn execution(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Execution,
            span: None,
            message: message.into(),
            hint: None,
        }
    }

    fn at(kind: Kind, span: Span, message: impl Into<String>) -> Self {
        Self {
            kind,
            span: Some(span),
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the nearest of `known`, if one is near enough to be meant.
    #[must_use]
    pub fn nearest<'a>(self, wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(wrong, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Line and column, from one, columns in characters.
    #[must_use]
    pub fn position(&self, text: &str) -> Option<(usize, usize)> {
        let start = floor(text, self.span?.start);
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some((line, column))
    }

    /// The message with the line it is about and a caret under the place.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let mut out = self.to_string();
        let (Some(span), Some((line, column))) = (self.span, self.position(text)) else {
            return out;
        };
        let source = text.lines().nth(line - 1).unwrap_or("");
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let width = text[start..end]
            .lines()
            .next()
            .unwrap_or("")
            .chars()
            .count()
            .max(1);
        let room = source.chars().count().saturating_sub(column - 1).max(1);
        let gutter = line.to_string();
        let pad = " ".repeat(gutter.len());
        let indent: String = source
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        out = format!(
            "{line}:{column}: {out}\n{pad} |\n{gutter} | {source}\n{pad} | {indent}{}",
            "^".repeat(width.min(room))
        );
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The nearest name, if it is within a third of the word.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= (wrong.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_points_at_the_text_it_is_about() {
        let text = "Heartbeat\n| project Compter";
        let error = Error::semantic(Span::new(20, 27), "no column `Compter`")
            .nearest("Compter", ["Computer", "Kind"]);
        assert_eq!(
            error.render(text),
            "2:11: no column `Compter`; did you mean `Computer`?\n  |\n2 | | project Compter\n  |           ^^^^^^^"
        );
    }

    #[test]
    fn nothing_near_is_no_hint() {
        let error = Error::semantic(Span::new(0, 1), "no table `x`").nearest("x", ["Heartbeat"]);
        assert_eq!(error.hint, None);
    }
}
