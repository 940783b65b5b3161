//! Text to tokens: where words, literals and signs begin and end.

use super::error::{Error, Result, Span};
use super::text::timespan;
use super::types::Type;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub span: Span,
    /// White space or a comment stands before it.
    pub spaced: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A name or a keyword; which, its place decides. Also `mv-expand`, `in~`, `!has`.
    Word,
    /// A string without its quotes and escapes.
    String(String),
    /// `1`, `0x1F`
    Long,
    /// `1.5`, `1e3`, `1.`
    Real,
    Bool(bool),
    /// `1.5h`
    TimeSpan,
    /// `datetime(2020-01-01)`, `guid(...)`, `long(1)`: everything to the bracket is the literal's own text.
    Typed(Type),
    /// A guid without `guid(...)`, which only JSON may hold.
    Guid,
    Sign(&'static str),
    End,
}

/// Keywords with dashes. They win over a subtraction, as in Kusto.
const DASHED: [&str; 28] = [
    "assert-schema",
    "execute-and-cache",
    "granny-asc",
    "granny-desc",
    "graph-mark-components",
    "graph-match",
    "graph-shortest-paths",
    "graph-to-table",
    "graph-where-edges",
    "graph-where-nodes",
    "macro-expand",
    "make-graph",
    "make-series",
    "materialized-view-combine",
    "mv-apply",
    "mv-expand",
    "parse-kv",
    "parse-where",
    "partitioned-by",
    "project-away",
    "project-by-names",
    "project-keep",
    "project-rename",
    "project-reorder",
    "project-smart",
    "sample-distinct",
    "top-hitters",
    "top-nested",
];

const SIGNS: [&str; 30] = [
    "==", "=~", "!=", "!~", "<>", "<=", ">=", "=>", "..", "(", ")", "[", "]", "{", "}", ",", ";",
    ":", ".", "|", "+", "-", "*", "/", "%", "<", ">", "=", "@", "?",
];

/// Splits a query into tokens; the last is [`TokenKind::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let start = lexer.at;
        lexer.skip_space();
        let spaced = lexer.at > start;
        let start = lexer.at;
        let kind = lexer.token()?;
        let end = kind == TokenKind::End;
        tokens.push(Token {
            kind,
            span: Span::new(start, lexer.at),
            spaced,
        });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + ahead)
            .copied()
            .unwrap_or(0)
    }

    /// How many bytes from `ahead` on are such.
    fn run(&self, ahead: usize, keep: impl Fn(u8) -> bool) -> usize {
        let from = (self.at + ahead).min(self.text.len());
        self.text.as_bytes()[from..]
            .iter()
            .take_while(|b| keep(**b))
            .count()
    }

    fn digits(&self, ahead: usize) -> usize {
        self.run(ahead, |b| b.is_ascii_digit())
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|c: char| {
                c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}'
            });
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
        }
    }

    fn token(&mut self) -> Result<TokenKind> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(TokenKind::End);
        };
        if let Some(prefix) = string_prefix(rest) {
            return self.string(prefix);
        }
        if let Some(length) = raw_guid(rest) {
            self.at += length;
            return Ok(TokenKind::Guid);
        }
        if first.is_ascii_digit()
            && let Some((kind, length)) = self.number()
        {
            self.at += length;
            return Ok(kind);
        }
        if first.is_ascii_alphanumeric() || first == '_' || first == '$' {
            return self.word();
        }
        if first == '!' && self.byte(1).is_ascii_alphabetic() {
            self.at += 1 + self.run(1, is_word_byte);
            if self.byte(0) == b'~' {
                self.at += 1;
            }
            return Ok(TokenKind::Word);
        }
        match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            Some(sign) => {
                self.at += sign.len();
                Ok(TokenKind::Sign(sign))
            }
            None => Err(Error::syntax(
                Span::new(self.at, self.at + first.len_utf8()),
                format!("unexpected character `{}`", first.escape_debug()),
            )),
        }
    }

    fn word(&mut self) -> Result<TokenKind> {
        let rest = self.rest();
        for keyword in DASHED {
            if rest.starts_with(keyword) && !is_word_byte(self.byte(keyword.len())) {
                self.at += keyword.len();
                return Ok(TokenKind::Word);
            }
        }
        let length = 1 + self.run(1, is_word_byte);
        let word = &rest[..length];
        match word {
            "true" | "True" | "TRUE" => {
                self.at += length;
                return Ok(TokenKind::Bool(true));
            }
            "false" | "False" | "FALSE" => {
                self.at += length;
                return Ok(TokenKind::Bool(false));
            }
            "in" if self.byte(length) == b'~' => {
                self.at += length + 1;
                return Ok(TokenKind::Word);
            }
            _ => {}
        }
        if self.byte(length) == b'('
            && let Some(ty) = literal_type(word)
        {
            return self.typed(ty, length);
        }
        self.at += length;
        Ok(TokenKind::Word)
    }

    /// The text in the brackets of a typed literal has its own rules: it runs to the first `)` on the line,
    /// unless it is a string.
    fn typed(&mut self, ty: Type, word: usize) -> Result<TokenKind> {
        let start = self.at;
        self.at += word + 1;
        let before = self.at;
        self.skip_space();
        match string_prefix(self.rest()) {
            Some(prefix) => {
                self.string(prefix)?;
                self.skip_space();
            }
            None => {
                self.at = before;
                self.at += self.run(0, |b| !matches!(b, b')' | b'\n' | b'\r'));
            }
        }
        if self.byte(0) != b')' {
            return Err(Error::syntax(
                Span::new(start, self.at),
                format!("this `{}` literal has no closing `)`", ty.name()),
            ));
        }
        self.at += 1;
        Ok(TokenKind::Typed(ty))
    }

    fn number(&self) -> Option<(TokenKind, usize)> {
        let digits = self.digits(0);
        let ends = |length: usize| !is_word_byte(self.byte(length));
        if let Some(length) = self.real(digits)
            && ends(length)
        {
            return Some((TokenKind::Real, length));
        }
        let mut length = digits;
        if self.byte(length) == b'.' && self.byte(length + 1).is_ascii_digit() {
            length += 1 + self.digits(length + 1);
        }
        let suffix = self.run(length, |b| b.is_ascii_alphabetic());
        if suffix > 0
            && ends(length + suffix)
            && timespan::unit(&self.rest()[length..length + suffix]).is_some()
        {
            return Some((TokenKind::TimeSpan, length + suffix));
        }
        if self.byte(0) == b'0' && matches!(self.byte(1), b'x' | b'X') {
            let hex = self.run(2, |b| b.is_ascii_hexdigit());
            if hex > 0 && ends(2 + hex) {
                return Some((TokenKind::Long, 2 + hex));
            }
        }
        ends(digits).then_some((TokenKind::Long, digits))
    }

    /// The length of `1.5`, `1.`, `1e3`, if there is a point or an exponent. `1..2` is a range.
    fn real(&self, digits: usize) -> Option<usize> {
        let mut length = digits;
        let point = self.byte(length) == b'.'
            && (self.byte(length + 1) != b'.' || self.byte(length + 2) == b'.');
        if point {
            length += 1 + self.digits(length + 1);
        }
        let mut exponent = 0;
        if matches!(self.byte(length), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(length + 1), b'+' | b'-'));
            let count = self.digits(length + 1 + sign);
            if count > 0 {
                exponent = 1 + sign + count;
            }
        }
        (point || exponent > 0).then_some(length + exponent)
    }

    fn string(&mut self, prefix: Prefix) -> Result<TokenKind> {
        let start = self.at;
        self.at += prefix.length;
        let unclosed = |end: usize| {
            Err(Error::syntax(
                Span::new(start, end),
                "this string is not closed",
            ))
        };
        let rest = self.rest();
        if prefix.quote.len() == 3 {
            let Some(length) = rest.find(prefix.quote) else {
                return unclosed(self.text.len());
            };
            self.at += length + 3;
            return Ok(TokenKind::String(rest[..length].to_owned()));
        }
        let quote = prefix.quote.chars().next().unwrap_or('"');
        let mut value = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' | '\r' => return unclosed(self.at + at),
                _ if c == quote => {
                    if prefix.verbatim && rest[at + 1..].starts_with(quote) {
                        value.push(quote);
                        chars.next();
                        continue;
                    }
                    self.at += at + 1;
                    return Ok(TokenKind::String(value));
                }
                '\\' if !prefix.verbatim => {
                    let Some((c, length)) = escape(&rest[at..]) else {
                        let end = rest[at + 1..]
                            .chars()
                            .next()
                            .map_or(1, |c| 1 + c.len_utf8());
                        let escape = &rest[at..at + end];
                        return Err(Error::syntax(
                            Span::new(self.at + at, self.at + at + end),
                            format!("`{}` is no escape", escape.escape_debug()),
                        )
                        .hint("double the backslash, or write the string as @\"...\""));
                    };
                    value.push(c);
                    for _ in 1..length {
                        chars.next();
                    }
                }
                _ => value.push(c),
            }
        }
        unclosed(self.text.len())
    }
}

struct Prefix {
    /// Of everything up to the text: `h@"` is 3.
    length: usize,
    verbatim: bool,
    quote: &'static str,
}

/// How a string starts, if one does: `"`, `'`, three backticks or tildes, with `h` and `@` before.
fn string_prefix(text: &str) -> Option<Prefix> {
    let hidden = usize::from(text.starts_with(['h', 'H']));
    let rest = &text[hidden..];
    let verbatim = rest.starts_with('@');
    let rest = &rest[usize::from(verbatim)..];
    let quote = ["\"", "'", "```", "~~~"]
        .into_iter()
        .find(|quote| rest.starts_with(quote))?;
    Some(Prefix {
        length: hidden + usize::from(verbatim) + quote.len(),
        verbatim,
        quote,
    })
}

/// The character that an escape stands for, and the escape's length (all of it ASCII).
fn escape(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    let simple = |c| Some((c, 2));
    let hex = |count: usize| {
        let digits = text.get(2..2 + count)?;
        let valid = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let code = valid.then(|| u32::from_str_radix(digits, 16).ok())??;
        // Half of a surrogate pair is no character; Kusto shows it as the replacement character too.
        Some((char::from_u32(code).unwrap_or('\u{fffd}'), 2 + count))
    };
    match *bytes.get(1)? {
        c @ (b'\\' | b'\'' | b'"') => simple(char::from(c)),
        b'a' => simple('\u{7}'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\u{b}'),
        b'u' => {
            let (high, length) = hex(4)?;
            surrogate_pair(text).map_or(Some((high, length)), Some)
        }
        b'U' => hex(8),
        b'x' => hex(2),
        b'0'..=b'7' => {
            let most = if bytes[1] <= b'3' { 3 } else { 2 };
            let count = bytes[1..]
                .iter()
                .take(most)
                .take_while(|b| (b'0'..=b'7').contains(*b))
                .count();
            let code = u32::from_str_radix(&text[1..1 + count], 8).ok()?;
            Some((char::from_u32(code)?, 1 + count))
        }
        _ => None,
    }
}

/// `\ud83d\ude00`, one character in two escapes.
fn surrogate_pair(text: &str) -> Option<(char, usize)> {
    let high = u32::from_str_radix(text.get(2..6)?, 16).ok()?;
    let low = u32::from_str_radix(text.get(6..12)?.strip_prefix("\\u")?, 16).ok()?;
    let pair = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
    let code = pair.then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?;
    Some((char::from_u32(code)?, 12))
}

fn raw_guid(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 36
        && bytes[..36].iter().enumerate().all(|(at, b)| {
            if matches!(at, 8 | 13 | 18 | 23) {
                *b == b'-'
            } else {
                b.is_ascii_hexdigit()
            }
        });
    shape.then_some(36)
}

/// The words that, with a bracket right behind them, begin a literal.
fn literal_type(word: &str) -> Option<Type> {
    Some(match word {
        "long" | "int64" => Type::Long,
        "int" | "int32" => Type::Int,
        "real" | "double" => Type::Real,
        "decimal" => Type::Decimal,
        "bool" => Type::Bool,
        "datetime" | "date" => Type::DateTime,
        "timespan" | "time" => Type::TimeSpan,
        "guid" => Type::Guid,
        _ => return None,
    })
}
