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

    /// A name that came as text, taken as it stands.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.trim_end_matches('/').to_owned())
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

    /// Something inside this resource, such as a database of an account.
    #[must_use]
    pub fn child(&self, kind: &str, name: &str) -> Self {
        Self(format!("{}/{kind}/{name}", self.0))
    }

    /// A blob container of this storage account.
    #[must_use]
    pub fn blob_container(&self, name: &str) -> Self {
        self.child("blobServices", "default")
            .child("containers", name)
    }

    /// The last part of the name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The subscription, if the name holds one.
    #[must_use]
    pub fn subscription(&self) -> Option<&str> {
        let mut parts = self.0.split('/').skip(1);
        parts
            .next()
            .filter(|p| p.eq_ignore_ascii_case("subscriptions"))?;
        parts.next()
    }

    /// The names behind the provider, for people: `account/database/container`. Unnamed defaults
    /// are left out.
    #[must_use]
    pub fn short(&self) -> String {
        let Some((_, rest)) = self.0.rsplit_once("/providers/") else {
            return self.name().to_owned();
        };
        let names: Vec<&str> = rest
            .split('/')
            .skip(1)
            .collect::<Vec<_>>()
            .chunks(2)
            .filter_map(|pair| pair.get(1).copied())
            .filter(|name| *name != "default")
            .collect();
        names.join("/")
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
    fn what_a_resource_is_called() {
        let account = ResourceId::new("sub", "g", "Microsoft.Storage/storageAccounts", "acc");
        let container = account.blob_container("logs");
        assert_eq!(container.short(), "acc/logs");
        assert_eq!(container.name(), "logs");
        assert_eq!(container.subscription(), Some("sub"));
        assert_eq!(ResourceId::group("sub", "g").short(), "g");
    }

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
