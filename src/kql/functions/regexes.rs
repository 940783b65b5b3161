//! Compiled regular expressions, kept per thread.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

use crate::kql::value::Value;

/// As many as a thread keeps; patterns that come from rows would grow without end.
const KEPT: usize = 256;

thread_local! {
    static CACHE: RefCell<HashMap<String, Option<Regex>>> = RefCell::new(HashMap::new());
}

/// The pattern, compiled; `None` when it is broken.
pub(crate) fn compiled(pattern: &str) -> Option<Regex> {
    CACHE.with_borrow_mut(|cache| {
        if let Some(known) = cache.get(pattern) {
            return known.clone();
        }
        if cache.len() >= KEPT {
            cache.clear();
        }
        let regex = Regex::new(pattern).ok();
        cache.insert(pattern.to_owned(), regex.clone());
        regex
    })
}

/// What is wrong with the pattern at `index`, when it is constant.
pub(crate) fn check(args: &[Option<Value<'static>>], index: usize) -> Result<(), String> {
    let Some(Some(Value::String(pattern))) = args.get(index) else {
        return Ok(());
    };
    Regex::new(pattern).map(|_| ()).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        format!("`{pattern}` is no regular expression: {reason}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pattern_is_told() {
        assert!(compiled("a+").is_some());
        assert!(compiled("(").is_none());
        let message = check(&[Some("(".into())], 0).expect_err("it is broken");
        assert!(message.contains("unclosed group"), "{message}");
        assert_eq!(check(&[Some("a".into())], 0), Ok(()));
    }
}
