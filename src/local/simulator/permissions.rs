//! What the identity may do: everything, or only what is listed.

use std::sync::{Mutex, PoisonError};

/// Actions and data actions as role definitions name them; `*` stands for anything.
#[derive(Default)]
pub(super) struct Permissions(Mutex<Option<Vec<String>>>);

impl Permissions {
    /// Grants these and nothing else; `None` grants everything.
    pub(super) fn grant(&self, only: Option<Vec<String>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = only;
    }

    pub(super) fn allow(&self, action: &str) -> bool {
        let granted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        granted
            .as_ref()
            .is_none_or(|granted| granted.iter().any(|pattern| fits(pattern, action)))
    }
}

fn fits(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    match pattern.split_once('*') {
        None => pattern == action,
        Some((head, tail)) => {
            action.len() >= head.len() + tail.len()
                && action.starts_with(head)
                && action.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn what_a_granted_action_covers() {
        let read = "Microsoft.App/containerApps/read";
        for (pattern, action, expected) in [
            (read, read, true),
            ("microsoft.app/containerapps/read", read, true),
            ("*", read, true),
            ("*/read", read, true),
            ("Microsoft.App/*", read, true),
            ("Microsoft.App/*/read", read, true),
            ("Microsoft.App/containerApps/write", read, false),
            ("Microsoft.App/containerApps", read, false),
            ("Microsoft.Web/*", read, false),
            ("*/write", read, false),
        ] {
            assert_eq!(fits(pattern, action), expected, "{pattern} {action}");
        }
    }
}
