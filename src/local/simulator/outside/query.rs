//! What Jira's JQL and Azure DevOps' WIQL have in common: conditions that are joined by `AND`.

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    In,
    NotIn,
    Contains,
    NotContains,
}

/// One condition; `=` is [`Op::In`] with one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// In lower case, without brackets.
    pub(super) field: String,
    pub(super) op: Op,
    pub(super) values: Vec<String>,
}

impl Condition {
    /// Whether it holds for a field with these values. Comparing does not look at capitals.
    pub(super) fn holds(&self, has: &[&str]) -> bool {
        let (has_lower, wanted): (Vec<String>, Vec<String>) = (
            has.iter().map(|text| text.to_lowercase()).collect(),
            self.values.iter().map(|text| text.to_lowercase()).collect(),
        );
        let is = has_lower.iter().any(|text| wanted.contains(text));
        let contains = has_lower
            .iter()
            .any(|text| wanted.iter().any(|w| text.contains(w.as_str())));
        match self.op {
            Op::In => is,
            Op::NotIn => !is,
            Op::Contains => contains,
            Op::NotContains => !contains,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

const SIGNS: [&str; 9] = ["!=", "<>", "!~", "=", "~", "(", ")", ",", "*"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let quote @ ('"' | '\'') = first {
            let (quoted, after) = quoted(&rest[1..], quote)?;
            out.push(Token::Quoted(quoted));
            rest = after;
        } else if first == '[' {
            let end = rest.find(']').ok_or("a bracket is not closed")?;
            out.push(Token::Word(rest[1..end].to_owned()));
            rest = &rest[end + 1..];
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            out.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let is_word = |c: char| c.is_alphanumeric() || "_.@-".contains(c);
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("`{first}` is not understood here"));
            }
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

/// A text up to its quote, and what comes after. A quote in it is doubled, or follows a backslash.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if quote == '"' => out.extend(letters.next().map(|(_, letter)| letter)),
            _ if letter == quote => {
                if letters.peek().is_some_and(|(_, next)| *next == quote) {
                    letters.next();
                    out.push(quote);
                } else {
                    return Ok((out, &text[at + letter.len_utf8()..]));
                }
            }
            _ => out.push(letter),
        }
    }
    Err("a text is not closed".to_owned())
}

/// The conditions up to `ORDER BY`.
///
/// Errors: what is not understood here.
pub(super) fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let mut all = tokens(text)?.into_iter().peekable();
    let is = |token: Option<&Token>, word: &str| matches!(token, Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
    let mut out = Vec::new();
    while all.peek().is_some() && !is(all.peek(), "order") {
        let field = match all.next() {
            Some(Token::Word(word) | Token::Quoted(word)) => word.to_ascii_lowercase(),
            other => return Err(format!("{other:?} is no field")),
        };
        let not = is(all.peek(), "not") && all.next().is_some();
        let operator = match all.next() {
            Some(Token::Sign(sign)) => sign.to_owned(),
            Some(Token::Word(word)) => word.to_ascii_lowercase(),
            other => return Err(format!("{other:?} is no operator")),
        };
        let op = match (operator.as_str(), not) {
            ("=", false) | ("in", false) => Op::In,
            ("!=" | "<>", false) | ("in", true) => Op::NotIn,
            ("~" | "contains", false) => Op::Contains,
            ("!~", false) | ("contains", true) => Op::NotContains,
            _ => return Err(format!("the operator `{operator}` is not understood here")),
        };
        let mut value = || match all.next() {
            Some(Token::Word(word) | Token::Quoted(word)) => Ok(word),
            other => Err(format!("{other:?} is no value")),
        };
        let mut values = Vec::new();
        if operator == "in" {
            let mut listed = Vec::new();
            for token in all.by_ref() {
                match token {
                    Token::Sign(")") => break,
                    Token::Sign("(" | ",") => {}
                    Token::Word(word) | Token::Quoted(word) => listed.push(word),
                    Token::Sign(sign) => return Err(format!("`{sign}` in a list")),
                }
            }
            values.append(&mut listed);
        } else {
            values.push(value()?);
        }
        out.push(Condition { field, op, values });
        match all.peek() {
            None => {}
            next if is(next, "and") => drop(all.next()),
            next if is(next, "order") => {}
            next => return Err(format!("{next:?} after a condition is not understood here")),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_they_are_written() {
        let one = |field: &str, op, values: &[&str]| Condition {
            field: field.to_owned(),
            op,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        for (text, expected) in [
            ("", vec![]),
            (
                r#"project = OPS AND labels = "inc-1" ORDER BY created DESC"#,
                vec![
                    one("project", Op::In, &["OPS"]),
                    one("labels", Op::In, &["inc-1"]),
                ],
            ),
            (
                r#"statusCategory != Done and labels in ("a", b)"#,
                vec![
                    one("statuscategory", Op::NotIn, &["Done"]),
                    one("labels", Op::In, &["a", "b"]),
                ],
            ),
            (
                "[System.Tags] CONTAINS 'it''s' AND [System.State] NOT IN ('Closed','Done')",
                vec![
                    one("system.tags", Op::Contains, &["it's"]),
                    one("system.state", Op::NotIn, &["Closed", "Done"]),
                ],
            ),
        ] {
            assert_eq!(conditions(text).as_deref(), Ok(&expected[..]), "{text}");
        }
        for wrong in ["a = 1 OR b = 2", "a >= 1", "a = ", "a = 'x", "= b"] {
            assert!(conditions(wrong).is_err(), "{wrong}");
        }
    }
}
