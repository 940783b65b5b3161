//! A query cut into words, values and signs.

use super::Unread;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number,
    /// A parameter. Numbers are values too where they are asked about.
    Value,
    Sign(&'static str),
}

/// The longer ones first.
const SIGNS: [&str; 29] = [
    ">>>", "!=", "<>", "<=", ">=", "||", "??", "<<", ">>", "(", ")", "[", "]", "{", "}", ",", ".",
    ":", ";", "=", "<", ">", "+", "-", "*", "/", "%", "?", "&",
];
const MORE_SIGNS: [&str; 3] = ["|", "^", "~"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Unread> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment
                .split_once("*/")
                .ok_or("a comment in it has no end")?
                .1;
        } else if first == '\'' || first == '"' {
            let (token, after) = quoted(rest, first)?;
            // Two texts side by side: the quote was doubled, which is another language's way.
            if matches!(out.last(), Some(Token::Text(_))) {
                return Err("a text in it does not end as it begins");
            }
            out.push(token);
            rest = after;
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                .unwrap_or(rest.len());
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if first == '@' {
            let end = rest[1..]
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .map_or(rest.len(), |end| end + 1);
            out.push(Token::Value);
            rest = &rest[end..];
        } else if first.is_ascii_digit() {
            rest = &rest[number(rest)..];
            out.push(Token::Number);
        } else {
            let sign = SIGNS
                .iter()
                .chain(&MORE_SIGNS)
                .find(|sign| rest.starts_with(**sign))
                .ok_or("a sign in it is not known")?;
            out.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
    }
    Ok(out)
}

/// Where a number ends: `0x1f`, `12`, `1.5e-3`.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 1;
    while let Some(byte) = bytes.get(end) {
        let sign = matches!(byte, b'+' | b'-') && matches!(bytes[end - 1], b'e' | b'E');
        // `1.` followed by a name is no number, but nothing else either.
        if !(byte.is_ascii_alphanumeric() || *byte == b'.' || sign) {
            break;
        }
        end += 1;
    }
    end
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), Unread> {
    let (mut value, mut letters) = (String::new(), text.char_indices().skip(1));
    while let Some((at, c)) = letters.next() {
        if c == quote {
            return Ok((Token::Text(value), &text[at + 1..]));
        }
        if c == '\\' {
            // Only names of properties are looked at, and those that need more are not understood.
            match letters.next() {
                Some((_, c @ ('\\' | '"' | '\'' | '/'))) => value.push(c),
                Some((_, 'u')) => value.push('\u{fffd}'),
                Some((_, _)) => value.push(' '),
                None => break,
            }
        } else {
            value.push(c);
        }
    }
    Err("a text in it has no end")
}
