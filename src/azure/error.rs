use reqwest::header::HeaderMap;
use serde_json::Value;

use super::Action;

/// How a call of Azure fails, split by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there.
    #[error("{what} does not exist")]
    NotFound { what: String },
    /// Somebody else changed it, or is changing it: read again and decide again.
    #[error("{what} was changed by somebody else ({code})")]
    Changed { what: String, code: String },
    /// A management lock holds it: somebody said that it must not be changed.
    #[error("{what} is locked: a management lock forbids the change")]
    Locked { what: String },
    /// It may not be made any more, and this try of it was not.
    #[error("{what} was not called any more: {why}")]
    Stopped { what: String, why: String },
    /// Azure took the request, and what came of it cannot be told from its answers: read it back.
    #[error("{what} was accepted, and then: {why}")]
    Accepted { what: String, why: String },
    /// An operation did not come to its end within the time that is waited for.
    #[error("{what} is still being changed by Azure: {why}")]
    StillRunning { what: String, why: String },
    /// A permission is missing: give it, or leave it out of the estate.
    #[error("not permitted on {what}: {action} is needed ({why})")]
    Denied {
        what: String,
        action: &'static str,
        why: String,
    },
    /// Azure asked for patience for too long, or could not be reached. The same call may succeed
    /// later.
    #[error("Azure is not available for {what}: {why}")]
    Unavailable { what: String, why: String },
    /// The request itself is wrong. Repeating does not help.
    #[error("Azure refused {what} ({status} {code}): {why}")]
    Refused {
        what: String,
        status: u16,
        code: String,
        why: String,
    },
    /// Log Analytics does not understand the query, or does not answer it as it stands.
    #[error("{what} does not take the query ({code}): {why}")]
    Query {
        what: String,
        code: String,
        why: String,
    },
    /// The answer holds a part of what was asked for. Nothing is told from a part.
    #[error("{what} answered in part only ({code}): {why}")]
    Partial {
        what: String,
        code: String,
        why: String,
    },
    /// The answer is not what Azure's contract says.
    #[error("the answer for {what} cannot be understood: {why}")]
    Unexpected { what: String, why: String },
    /// A URL, perhaps one that came in an answer, leads away from Azure. No token was sent.
    #[error("`{0}` is not an address of Azure: no token goes there")]
    Foreign(String),
    /// No token could be had.
    #[error("no token for {audience}: {why}")]
    Credential { audience: &'static str, why: String },
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// From an answer that is neither success nor to be repeated.
    pub(super) fn from_answer(
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        what: &str,
        action: Action,
    ) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = if body["error"].is_object() {
            &body["error"]
        } else {
            &body
        };
        let code = error["innererror"]["code"]
            .as_str()
            .or(error["code"].as_str())
            .or(headers.get("x-ms-error-code").and_then(|v| v.to_str().ok()))
            .unwrap_or("no code")
            .to_owned();
        let why = error["message"].as_str().unwrap_or("no message");
        let why = without_queries(why.lines().next().unwrap_or_default());
        let what = what.to_owned();
        match status {
            404 | 410 => Self::NotFound { what },
            403 => Self::Denied {
                what,
                action: action.0,
                why: format!("{code}: {why}"),
            },
            409 if code == "ScopeLocked" => Self::Locked { what },
            409 | 412 => Self::Changed { what, code },
            _ => Self::Refused {
                what,
                status,
                code,
                why,
            },
        }
    }
}

impl Error {
    /// From a refusal of a query: the message that lies deepest says what is wrong with it.
    pub(super) fn of_query(body: &[u8], what: &str) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let (code, why) = deepest(&body["error"]);
        Self::Query {
            what: what.to_owned(),
            code,
            why,
        }
    }
}

/// What kind of error it is, and the innermost message: the outer ones say only that there is one.
pub(super) fn deepest(error: &Value) -> (String, String) {
    let (mut at, mut code, mut why) = (error, "no code", "no message");
    // An answer that goes on for ever is cut.
    for depth in 0..16 {
        // The first inner code names the kind; those below it are numbers.
        if depth < 2
            && let Some(found) = at["code"].as_str()
        {
            code = found;
        }
        if let Some(found) = at["message"].as_str().filter(|text| !text.is_empty()) {
            why = found;
        }
        at = &at["innererror"];
        if !at.is_object() {
            break;
        }
    }
    let why = why.lines().next().unwrap_or_default();
    (code.to_owned(), why.to_owned())
}

/// Whether a refusal by Log Analytics is about the token, and not about what it allows.
pub(super) fn is_about_the_token(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["error"]["code"] == "InvalidAuthenticationToken"
}

/// A text without the query of any URL in it: a shared access signature is a secret.
#[must_use]
pub fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut skipping = false;
    for c in text.chars() {
        match c {
            '?' => {
                skipping = true;
                out.push_str("?…");
            }
            ' ' | ')' | '"' | '\'' | '`' => {
                skipping = false;
                out.push(c);
            }
            _ if skipping => {}
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{deepest, without_queries};
    use serde_json::json;

    #[test]
    fn what_is_wrong_with_a_query_is_told_by_the_innermost_message() {
        for (name, error, expected) in [
            (
                "as Kusto has it",
                json!({
                    "code": "BadArgumentError",
                    "message": "The request had some invalid properties",
                    "innererror": {
                        "code": "SemanticError",
                        "message": "A semantic error occurred.",
                        "innererror": { "code": "SEM0100", "message": "no column named 'x'\nmore" },
                    },
                }),
                ("SemanticError", "no column named 'x'"),
            ),
            (
                "without more",
                json!({ "code": "BadArgumentError", "message": "The request is wrong" }),
                ("BadArgumentError", "The request is wrong"),
            ),
            ("nothing", json!(null), ("no code", "no message")),
        ] {
            let (code, why) = deepest(&error);
            assert_eq!((code.as_str(), why.as_str()), expected, "{name}");
        }
    }

    #[test]
    fn a_signature_in_a_url_never_reaches_an_error_message() {
        let text = "error sending request for url (http://h/c/b?sv=1&sig=secret%3D): refused";
        assert_eq!(
            without_queries(text),
            "error sending request for url (http://h/c/b?…): refused"
        );
    }
}
