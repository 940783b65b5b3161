//! Text found in text, with and without case.

/// A text that is looked for, prepared once.
#[derive(Debug, Clone)]
pub(crate) struct Needle {
    text: String,
    case: bool,
}

impl Needle {
    pub(crate) fn new(text: &str, case_sensitive: bool) -> Self {
        Self {
            text: if case_sensitive {
                text.to_owned()
            } else {
                text.to_lowercase()
            },
            case: case_sensitive,
        }
    }

    fn view<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        if self.case {
            text.into()
        } else {
            text.to_lowercase().into()
        }
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.view(text).contains(&self.text)
    }

    pub(crate) fn starts(&self, text: &str) -> bool {
        self.view(text).starts_with(&self.text)
    }

    pub(crate) fn ends(&self, text: &str) -> bool {
        self.view(text).ends_with(&self.text)
    }

    pub(crate) fn equals(&self, text: &str) -> bool {
        self.view(text) == self.text
    }
}

/// Whether the needle stands in the text as a term: with its start (`before`) and its end (`after`)
/// at the edge of a run of letters and digits.
pub(crate) fn has(text: &str, needle: &Needle, before: bool, after: bool) -> bool {
    let text = needle.view(text);
    if needle.text.is_empty() {
        return true;
    }
    let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(&needle.text).any(|(at, found)| {
        let edge_before = !part(text[..at].chars().next_back()) || !part(found.chars().next());
        let edge_after =
            !part(text[at + found.len()..].chars().next()) || !part(found.chars().next_back());
        (!before || edge_before) && (!after || edge_after)
    })
}
