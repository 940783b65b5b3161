use serde::{Deserialize, Serialize};

/// Something a person should know: wrong, remarkable, or not possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing, in kebab case, to count and filter by.
    pub code: String,
    /// What it is about: a resource, a run, a tenant.
    pub subject: String,
    /// One sentence for a person.
    pub message: String,
}

impl Finding {
    pub fn new(code: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            subject: subject.into(),
            message: message.into(),
        }
    }
}
