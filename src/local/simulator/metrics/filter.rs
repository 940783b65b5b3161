//! `A eq '*' and (B eq 'x' or B eq 'y')`: which series are told, and what they are split by.

/// The dimensions that a filter names, in order, each with its values; none stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter(pub(super) Vec<(String, Vec<String>)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
}

impl Filter {
    /// Errors: it cannot be read, an `or` is between two dimensions, or an operator is not `eq`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut out = Self::default();
        let mut rest = tokens.as_slice();
        let mut open = 0_u32;
        // The dimension whose values an `or` may go on with.
        let mut before: Option<String> = None;
        loop {
            while let [Token::Open, more @ ..] = rest {
                open += 1;
                rest = more;
            }
            let [Token::Word(name), Token::Word(operator), value, more @ ..] = rest else {
                return Err(format!("The filter `{text}` cannot be read."));
            };
            if !operator.eq_ignore_ascii_case("eq") {
                return Err(format!(
                    "The operator `{operator}` of a filter is not supported."
                ));
            }
            let (Token::Text(value) | Token::Word(value)) = value else {
                return Err(format!("The filter `{text}` cannot be read."));
            };
            if before.is_some_and(|before| !before.eq_ignore_ascii_case(name)) {
                return Err(format!(
                    "In the filter `{text}` an `or` is between different dimensions."
                ));
            }
            out.add(name, value);
            rest = more;
            while let [Token::Close, more @ ..] = rest {
                open = open
                    .checked_sub(1)
                    .ok_or_else(|| format!("A bracket of the filter `{text}` opens nowhere."))?;
                rest = more;
            }
            match rest {
                [] => break,
                [Token::Word(word), more @ ..] if word.eq_ignore_ascii_case("and") => {
                    before = None;
                    rest = more;
                }
                [Token::Word(word), more @ ..] if word.eq_ignore_ascii_case("or") => {
                    before = Some(name.clone());
                    rest = more;
                }
                _ => return Err(format!("The filter `{text}` cannot be read.")),
            }
        }
        if open > 0 {
            return Err(format!("A bracket of the filter `{text}` is not closed."));
        }
        Ok(out)
    }

    fn add(&mut self, name: &str, value: &str) {
        let place = self.place(name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Vec::new()));
            self.0.len() - 1
        });
        if value != "*" {
            self.0[place].1.push(value.to_owned());
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        let mut all = self.0.iter();
        all.position(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Whether something with this value of a dimension may be told.
    pub(super) fn lets(&self, name: &str, value: &str) -> bool {
        self.place(name).is_none_or(|place| {
            let values = &self.0[place].1;
            values.is_empty() || values.iter().any(|one| one.eq_ignore_ascii_case(value))
        })
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            ' ' | '\t' => {}
            '(' => out.push(Token::Open),
            ')' => out.push(Token::Close),
            '\'' | '"' => {
                let mut value = String::new();
                loop {
                    match letters.next() {
                        // Twice in a row it is one letter of the value.
                        Some(end) if end == c => {
                            if letters.next_if_eq(&c).is_none() {
                                break;
                            }
                            value.push(c);
                        }
                        Some(letter) => value.push(letter),
                        None => return Err(format!("A quote of the filter `{text}` is open.")),
                    }
                }
                out.push(Token::Text(value));
            }
            _ => {
                let mut word = String::from(c);
                while let Some(c) = letters.next_if(|c| !" \t()'\"".contains(*c)) {
                    word.push(c);
                }
                out.push(Token::Word(word));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_filters_say() {
        for (text, expected) in [
            ("A eq '*'", Some("A=")),
            ("A eq '*' and B eq 'x'", Some("A=;B=x")),
            ("A eq 'x' or A eq 'y' and B eq '*'", Some("A=x,y;B=")),
            (
                "(A eq \"x\" or a eq 'y') and (B eq 'it''s')",
                Some("A=x,y;B=it's"),
            ),
            ("A eq 'x' or B eq 'y'", None),
            ("A ne 'x'", None),
            ("A eq 'x", None),
            ("(A eq 'x'", None),
            ("A eq 'x')", None),
            ("A eq 'x' B eq 'y'", None),
            ("A", None),
            ("", None),
        ] {
            let read = Filter::read(text).ok().map(|filter| {
                let parts = filter.0.iter();
                let parts = parts.map(|(name, values)| format!("{name}={}", values.join(",")));
                parts.collect::<Vec<_>>().join(";")
            });
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
