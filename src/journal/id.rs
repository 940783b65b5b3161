use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a run: the same work always has the same name, so work that arrives twice meets itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// The text is no run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a run id: 1 to 80 lower-case letters, digits and hyphens are")]
pub struct NotARunId;

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<Self, NotARunId> {
        let fits = (1..=80).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotARunId)
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = NotARunId;

    fn try_from(text: String) -> Result<Self, NotARunId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RunId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn document(&self) -> String {
        format!("runs/{self}.json")
    }

    #[must_use]
    pub fn log(&self) -> String {
        format!("journal/{self}.log")
    }

    #[must_use]
    pub fn inbox(&self) -> String {
        format!("inbox/{self}.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_can_name_nothing_outside_its_folder() {
        for (text, fits) in [
            ("alert-0a1b", true),
            ("daily-2026-03-02-0200", true),
            ("", false),
            ("../secrets", false),
            ("a/b", false),
            ("A", false),
            ("a b", false),
            (&"a".repeat(81), false),
        ] {
            assert_eq!(text.parse::<RunId>().is_ok(), fits, "{text}");
        }
    }
}
