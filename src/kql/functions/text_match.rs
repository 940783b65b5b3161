//! Text found in text, with and without case.

use memchr::memmem::Finder;

/// A text that is looked for, prepared once. Without case it is kept in small letters, and ASCII
/// texts are compared with it in place; only others are turned into small letters first.
#[derive(Debug, Clone)]
pub(crate) struct Needle {
    text: String,
    case: bool,
    finder: Finder<'static>,
    /// Without case: a byte no ASCII text can have.
    foreign: bool,
}

impl Needle {
    pub(crate) fn new(text: &str, case_sensitive: bool) -> Self {
        let text = if case_sensitive {
            text.to_owned()
        } else {
            text.to_lowercase()
        };
        Self {
            finder: Finder::new(text.as_bytes()).into_owned(),
            foreign: !text.is_ascii(),
            case: case_sensitive,
            text,
        }
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.case {
            return self.finder.find(text.as_bytes()).is_some();
        }
        if text.is_ascii() {
            return !self.foreign && fold_find(text.as_bytes(), self.text.as_bytes(), 0).is_some();
        }
        self.finder.find(text.to_lowercase().as_bytes()).is_some()
    }

    pub(crate) fn starts(&self, text: &str) -> bool {
        if self.case {
            return text.starts_with(&self.text);
        }
        if text.is_ascii() {
            let head = text.as_bytes().get(..self.text.len());
            return head.is_some_and(|head| head.eq_ignore_ascii_case(self.text.as_bytes()));
        }
        text.to_lowercase().starts_with(&self.text)
    }

    pub(crate) fn ends(&self, text: &str) -> bool {
        if self.case {
            return text.ends_with(&self.text);
        }
        if text.is_ascii() {
            let bytes = text.as_bytes();
            let tail = bytes
                .len()
                .checked_sub(self.text.len())
                .map(|at| &bytes[at..]);
            return tail.is_some_and(|tail| tail.eq_ignore_ascii_case(self.text.as_bytes()));
        }
        text.to_lowercase().ends_with(&self.text)
    }

    pub(crate) fn equals(&self, text: &str) -> bool {
        if self.case {
            text == self.text
        } else if text.is_ascii() {
            text.eq_ignore_ascii_case(&self.text)
        } else {
            text.to_lowercase() == self.text
        }
    }
}

/// Where the needle, in small ASCII letters, stands in the text from `from` on.
fn fold_find(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let Some((first, rest)) = needle.split_first() else {
        return (from <= text.len()).then_some(from);
    };
    let last = text.len().checked_sub(needle.len())?;
    let mut at = from;
    while at <= last {
        let part = &text[at..=last];
        let found = if first.is_ascii_lowercase() {
            memchr::memchr2(*first, first.to_ascii_uppercase(), part)
        } else {
            memchr::memchr(*first, part)
        };
        at += found?;
        if text[at + 1..at + needle.len()].eq_ignore_ascii_case(rest) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Whether the needle stands in the text as a term: with its start (`before`) and its end (`after`)
/// at the edge of a run of letters and digits.
pub(crate) fn has(text: &str, needle: &Needle, before: bool, after: bool) -> bool {
    let wanted = needle.text.as_bytes();
    if wanted.is_empty() {
        return true;
    }
    if needle.case {
        return terms(text, &needle.text, before, after, |from| {
            needle
                .finder
                .find(&text.as_bytes()[from..])
                .map(|at| from + at)
        });
    }
    if text.is_ascii() {
        return !needle.foreign
            && terms(text, &needle.text, before, after, |from| {
                fold_find(text.as_bytes(), wanted, from)
            });
    }
    let text = text.to_lowercase();
    terms(&text, &needle.text, before, after, |from| {
        needle
            .finder
            .find(&text.as_bytes()[from..])
            .map(|at| from + at)
    })
}

fn terms(
    text: &str,
    needle: &str,
    before: bool,
    after: bool,
    next: impl Fn(usize) -> Option<usize>,
) -> bool {
    let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let head = before && part(needle.chars().next());
    let tail = after && part(needle.chars().next_back());
    let step = needle.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    while let Some(at) = next(from) {
        let end = at + needle.len();
        let inside = head && part(text[..at].chars().next_back())
            || tail && part(text[end..].chars().next());
        if !inside {
            return true;
        }
        from = at + step;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_end_where_letters_and_digits_end() {
        for (text, term, case, before, after, expected) in [
            ("North America", "america", false, true, true, true),
            ("North America", "america", true, true, true, false),
            ("North America", "amer", false, true, true, false),
            ("North America", "ame", false, true, false, true),
            ("North America", "rica", false, false, true, true),
            ("North America", "rica", false, true, false, false),
            ("a_b-c", "b", false, true, true, true),
            ("aab ab", "ab", false, true, true, true),
            (
                "Kusto: ad67d136-c1db",
                "ad67d136-c1db",
                false,
                true,
                true,
                true,
            ),
            ("Kusto: ad67d136-c1db", "136-c1db", false, true, true, false),
            ("x.y", ".", false, true, true, true),
            ("abc", "", false, true, true, true),
            ("Größe ÄRGER", "ärger", false, true, true, true),
            ("Größen", "größe", false, true, true, false),
            ("Größe", "gr", false, true, true, false),
            ("ascii", "ä", false, true, true, false),
        ] {
            let needle = Needle::new(term, case);
            assert_eq!(
                has(text, &needle, before, after),
                expected,
                "{text} has {term}"
            );
        }
    }

    #[test]
    fn case_is_ignored_beyond_ascii() {
        for (text, wanted, inside, starts, ends, equals) in [
            ("FabriKam", "BRik", true, false, false, false),
            ("FabriKam", "fab", true, true, false, false),
            ("FabriKam", "KAM", true, false, true, false),
            ("FabriKam", "fabrikam", true, true, true, true),
            ("FabriKam", "fabrikams", false, false, false, false),
            ("ÉTÉ", "été", true, true, true, true),
            ("été", "É", true, true, true, false),
            ("aaab", "AAB", true, false, true, false),
            ("", "", true, true, true, true),
        ] {
            let needle = Needle::new(wanted, false);
            let found = (
                needle.is_in(text),
                needle.starts(text),
                needle.ends(text),
                needle.equals(text),
            );
            assert_eq!(found, (inside, starts, ends, equals), "{text} and {wanted}");
        }
        let exact = Needle::new("Kam", true);
        assert!(exact.is_in("FabriKam") && exact.ends("FabriKam") && !exact.is_in("fabrikam"));
    }
}
