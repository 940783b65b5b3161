use std::time::Duration;

use azure_core::http::StatusCode;
use azure_core::http::headers::RETRY_AFTER;

use crate::azure::without_queries;

/// How a storage call fails, split by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else changed it first: read again and decide again.
    #[error("`{0}` was changed by somebody else")]
    Conflict(String),
    /// The lease is held by somebody else, or ours was lost: let go of the work.
    #[error("the lease on `{0}` is not ours")]
    NotOurs(String),
    /// Storage cannot be reached or asks for patience; the same call may succeed later.
    #[error("storage is not available while trying to {doing}: {why}")]
    Unavailable { doing: String, why: String },
    /// Not permitted, or the token or SAS is wrong. Repeating does not help.
    #[error("storage refused to {doing} ({status}): {why}")]
    Refused {
        doing: String,
        status: u16,
        why: String,
    },
    /// What is stored is not what was expected there.
    #[error("`{path}` cannot be read as what it should be: {why}")]
    Unreadable { path: String, why: String },
    /// A setting makes the call impossible.
    #[error("{0}")]
    Setting(String),
}

/// The status and storage error code of an SDK error, when storage answered at all.
pub(super) fn answer(error: &azure_core::Error) -> (Option<StatusCode>, Option<&str>) {
    match error.kind() {
        azure_core::error::ErrorKind::HttpResponse {
            status, error_code, ..
        } => (Some(*status), error_code.as_deref()),
        _ => (None, None),
    }
}

/// How long storage asks to be left alone, its Retry-After in seconds.
pub(super) fn asked_pause(error: &azure_core::Error) -> Option<Duration> {
    let azure_core::error::ErrorKind::HttpResponse {
        raw_response: Some(response),
        ..
    } = error.kind()
    else {
        return None;
    };
    let seconds = response.headers().get_optional_str(&RETRY_AFTER)?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Whether the same call may succeed when it is made again.
pub(super) fn passing(error: &azure_core::Error) -> bool {
    match answer(error).0 {
        None => !matches!(
            error.kind(),
            azure_core::error::ErrorKind::Credential | azure_core::error::ErrorKind::DataConversion
        ),
        Some(status) => matches!(u16::from(status), 408 | 429 | 500 | 502 | 503 | 504),
    }
}

impl Error {
    pub(super) fn from_sdk(doing: impl Into<String>, error: &azure_core::Error) -> Self {
        let doing = doing.into();
        let why = plain(error);
        match answer(error).0 {
            Some(status) if !passing(error) => Self::Refused {
                doing,
                status: status.into(),
                why,
            },
            _ => Self::Unavailable { doing, why },
        }
    }
}

/// The first line of an error, without the query of any URL in it: a SAS is a secret.
fn plain(error: &azure_core::Error) -> String {
    let mut text = String::new();
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(e) = source {
        let line = e.to_string();
        let line = line.lines().next().unwrap_or_default();
        if !text.contains(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        source = e.source();
    }
    without_queries(&text)
}
