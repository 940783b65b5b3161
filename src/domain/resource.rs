use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an Azure resource: `/subscriptions/.../providers/<namespace>/<type>/<name>`.
///
/// Azure compares these without regard to case, and so do equality and order here; it is printed
/// as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(String);

impl ResourceId {
    /// A top-level resource of a resource group.
    #[must_use]
    pub fn new(subscription: &str, group: &str, kind: &str, name: &str) -> Self {
        Self(format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{name}"
        ))
    }

    /// A resource group.
    #[must_use]
    pub fn group(subscription: &str, group: &str) -> Self {
        Self(format!(
            "/subscriptions/{subscription}/resourceGroups/{group}"
        ))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` names this resource or something inside it, such as a database of an
    /// account.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        let text = text.trim_end_matches('/');
        let Some(start) = text.get(..self.0.len()) else {
            return false;
        };
        start.eq_ignore_ascii_case(&self.0)
            && matches!(text.as_bytes().get(self.0.len()), None | Some(b'/'))
    }

    /// Whether `text` names this resource itself.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        text.trim_end_matches('/').eq_ignore_ascii_case(&self.0)
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for ResourceId {}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_resource_holds() {
        let account = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a");
        for (text, holds, is) in [
            (
                "/SUBSCRIPTIONS/s/resourcegroups/G/providers/microsoft.documentdb/databaseaccounts/A",
                true,
                true,
            ),
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.DocumentDB/databaseAccounts/a/",
                true,
                true,
            ),
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.DocumentDB/databaseAccounts/a/sqlDatabases/d",
                true,
                false,
            ),
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.DocumentDB/databaseAccounts/ab",
                false,
                false,
            ),
            ("/subscriptions/s/resourceGroups/g", false, false),
            ("/subscriptions/é", false, false),
            ("", false, false),
        ] {
            assert_eq!(account.holds(text), holds, "{text}");
            assert_eq!(account.is(text), is, "{text}");
        }
    }
}
