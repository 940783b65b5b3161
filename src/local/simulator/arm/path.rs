//! What a path names.

/// `/<scope>/providers/<namespace>/<type>/<name>/...`, taken apart at the last provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// As it was sent.
    pub(super) id: String,
    /// What lies before the provider.
    pub(super) scope: String,
    /// Namespace and types in lower case, without names.
    pub(super) kind: String,
    /// Names in order, as they were sent.
    pub(super) names: Vec<String>,
    /// Whether the last type has no name: a list, or what is to be done.
    pub(super) is_list: bool,
}

impl Path {
    pub(super) fn read(path: &str) -> Self {
        let id = path.trim_end_matches('/').to_owned();
        let lower = id.to_ascii_lowercase();
        let Some(at) = lower.rfind("/providers/") else {
            return Self {
                scope: id.clone(),
                id,
                kind: String::new(),
                names: Vec::new(),
                is_list: false,
            };
        };
        let scope = id[..at].to_owned();
        let mut segments = id[at + "/providers/".len()..].split('/');
        let mut kind = segments.next().unwrap_or_default().to_ascii_lowercase();
        let mut names = Vec::new();
        let mut is_list = false;
        for (index, segment) in segments.enumerate() {
            is_list = index % 2 == 0;
            if is_list {
                kind.push('/');
                kind.push_str(&segment.to_ascii_lowercase());
            } else {
                names.push(segment.to_owned());
            }
        }
        Self {
            id,
            scope,
            kind,
            names,
            is_list,
        }
    }

    /// The resource in which a list lies; that of a resource group is not simulated.
    pub(super) fn parent(&self) -> Option<Self> {
        let (parent, _) = self.id.rsplit_once('/')?;
        let parent = Self::read(parent);
        (self.is_list && !parent.names.is_empty()).then_some(parent)
    }

    /// The resource on which something is to be done.
    pub(super) fn subject(&self) -> Self {
        let (subject, _) = self.id.rsplit_once('/').unwrap_or_default();
        Self::read(subject)
    }

    pub(super) fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    /// `/subscriptions/<id>`.
    pub(super) fn subscription(&self) -> String {
        self.id.split('/').take(3).collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn what_paths_name() {
        let group = "/subscriptions/s/resourceGroups/g";
        for (path, kind, names, is_list, parent) in [
            (
                "/providers/Microsoft.App/containerApps/a/revisions/r",
                "microsoft.app/containerapps/revisions",
                &["a", "r"][..],
                false,
                None,
            ),
            (
                "/providers/Microsoft.App/containerApps/a/revisions",
                "microsoft.app/containerapps/revisions",
                &["a"],
                true,
                Some("/providers/Microsoft.App/containerApps/a"),
            ),
            (
                "/providers/Microsoft.App/containerApps",
                "microsoft.app/containerapps",
                &[],
                true,
                None,
            ),
            (
                "/providers/A.B/c/d/providers/Microsoft.AlertsManagement/alerts/x",
                "microsoft.alertsmanagement/alerts",
                &["x"],
                false,
                None,
            ),
            ("", "", &[], false, None),
        ] {
            let read = Path::read(&format!("{group}{path}"));
            assert_eq!(read.kind, kind, "{path}");
            assert_eq!(read.names, names, "{path}");
            assert_eq!(read.is_list, is_list, "{path}");
            let above = read.parent().map(|parent| parent.id);
            assert_eq!(above, parent.map(|p| format!("{group}{p}")), "{path}");
        }
    }
}
