//! Where a token may go.

use reqwest::Url;

use super::{Azure, Error};

/// A service of Azure with tokens of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Azure Resource Manager.
    Arm,
    /// The contents of a key vault.
    Vault,
    /// The contents of a storage account.
    Blob,
    /// Microsoft Graph: applications of the directory.
    Graph,
    /// Log Analytics' query API: what is in a workspace.
    Logs,
    /// Azure Monitor's metrics of many resources at once.
    Metrics,
    /// Azure Communication Services: sending mail.
    Email,
    /// Azure DevOps Services: work items.
    DevOps,
}

impl Plane {
    pub(super) const ALL: [Self; 8] = [
        Self::Arm,
        Self::Vault,
        Self::Blob,
        Self::Graph,
        Self::Logs,
        Self::Metrics,
        Self::Email,
        Self::DevOps,
    ];

    /// The scope that a token is asked for.
    #[must_use]
    pub fn audience(self) -> &'static str {
        match self {
            Self::Arm => "https://management.azure.com/.default",
            Self::Vault => "https://vault.azure.net/.default",
            Self::Blob => "https://storage.azure.com/.default",
            Self::Graph => "https://graph.microsoft.com/.default",
            // Also where the API is asked by its newer name.
            Self::Logs => "https://api.loganalytics.io/.default",
            Self::Metrics => "https://metrics.monitor.azure.com/.default",
            Self::Email => "https://communication.azure.com/.default",
            // The application id of Azure DevOps, the same in every directory.
            Self::DevOps => "499b84ac-1321-427f-aa17-267ca6975798/.default",
        }
    }

    /// Hosts of the public cloud. ARM's own long-running operations may be polled at a regional
    /// host; metrics have one in each region.
    fn is_host(self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self {
            Self::Arm => host == "management.azure.com" || host.ends_with(".management.azure.com"),
            Self::Vault => host.ends_with(".vault.azure.net"),
            Self::Blob => host.ends_with(".blob.core.windows.net"),
            Self::Graph => host == "graph.microsoft.com",
            Self::Logs => matches!(
                host.as_str(),
                "api.loganalytics.azure.com" | "api.loganalytics.io"
            ),
            Self::Metrics => host.ends_with(".metrics.monitor.azure.com"),
            Self::Email => host.ends_with(".communication.azure.com"),
            Self::DevOps => host == "dev.azure.com",
        }
    }
}

impl Azure {
    /// A token for a request that is made elsewhere, to this address of the public cloud. In an
    /// embedded estate the token is the stand-in's, and so is whatever answers.
    ///
    /// Errors: [`Error::Foreign`] for an address that is none of the plane's; no token could be had.
    pub(crate) async fn bearer(&self, plane: Plane, url: &Url) -> Result<String, Error> {
        if !is_public(plane, url) {
            return Err(Error::Foreign(
                url.host_str().unwrap_or("no host").to_owned(),
            ));
        }
        self.token(plane).await
    }

    /// Lets only addresses of the plane through: of Azure by https, or of the loopback address
    /// that the settings name. Links that came in an answer pass here too.
    pub(super) fn check(&self, plane: Plane, url: &Url) -> Result<(), Error> {
        let plain = url.username().is_empty() && url.password().is_none();
        let azure = is_public(plane, url);
        // With a stand-in nothing is Azure, and with Azure nothing is a stand-in.
        let stand_in = match plane {
            Plane::Logs => &self.logs,
            _ => &self.arm,
        };
        let fits = if is_loopback(stand_in) {
            url.origin() == stand_in.origin()
        } else {
            azure
        };
        if plain && fits {
            Ok(())
        } else {
            Err(Error::Foreign(
                url.host_str().unwrap_or("no host").to_owned(),
            ))
        }
    }
}

/// Whether a URL is one of the public cloud's for this plane.
fn is_public(plane: Plane, url: &Url) -> bool {
    url.scheme() == "https"
        && url.port_or_known_default() == Some(443)
        && url.username().is_empty()
        && url.password().is_none()
        && url.host_str().is_some_and(|host| plane.is_host(host))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AzureSettings, Identity, Secret};

    fn azure(arm: &str) -> Azure {
        Azure::open(&AzureSettings {
            arm_endpoint: arm.into(),
            logs_endpoint: if arm.starts_with("http:") {
                arm.into()
            } else {
                "https://api.loganalytics.azure.com".into()
            },
            identity: Identity::ClientSecret {
                tenant: "11111111-2222-4333-8444-555555555555".into(),
                client_id: "c".into(),
                secret: Secret::new("s"),
            },
            named: Vec::new(),
        })
        .expect("a handle")
    }

    #[test]
    fn a_token_goes_to_azure_and_nowhere_else() {
        let (cloud, local) = (
            azure("https://management.azure.com"),
            azure("http://127.0.0.1:4000"),
        );
        for (url, plane, to_cloud, to_local) in [
            (
                "https://management.azure.com/subscriptions/s",
                Plane::Arm,
                true,
                false,
            ),
            (
                "https://japaneast.management.azure.com/x",
                Plane::Arm,
                true,
                false,
            ),
            (
                "https://MANAGEMENT.azure.com:443/x",
                Plane::Arm,
                true,
                false,
            ),
            ("http://management.azure.com/x", Plane::Arm, false, false),
            (
                "https://management.azure.com:444/x",
                Plane::Arm,
                false,
                false,
            ),
            (
                "https://management.azure.com.evil.example/x",
                Plane::Arm,
                false,
                false,
            ),
            (
                "https://evilmanagement.azure.com/x",
                Plane::Arm,
                false,
                false,
            ),
            (
                "https://user@management.azure.com/x",
                Plane::Arm,
                false,
                false,
            ),
            (
                "https://kv.vault.azure.net/certificates",
                Plane::Vault,
                true,
                false,
            ),
            (
                "https://kv.vault.azure.net/certificates",
                Plane::Arm,
                false,
                false,
            ),
            ("https://vault.azure.net/x", Plane::Vault, false, false),
            (
                "https://st.blob.core.windows.net/c",
                Plane::Blob,
                true,
                false,
            ),
            (
                "https://blob.core.windows.net.evil.example/c",
                Plane::Blob,
                false,
                false,
            ),
            (
                "https://graph.microsoft.com/v1.0",
                Plane::Graph,
                true,
                false,
            ),
            (
                "https://evil.graph.microsoft.com/",
                Plane::Graph,
                false,
                false,
            ),
            (
                "https://api.loganalytics.azure.com/v1/x",
                Plane::Logs,
                true,
                false,
            ),
            ("https://api.loganalytics.io/v1/x", Plane::Logs, true, false),
            (
                "https://evil.loganalytics.azure.com/v1/x",
                Plane::Logs,
                false,
                false,
            ),
            (
                "https://api.loganalytics.azure.com/v1/x",
                Plane::Arm,
                false,
                false,
            ),
            (
                "https://japaneast.metrics.monitor.azure.com/subscriptions/s",
                Plane::Metrics,
                true,
                false,
            ),
            (
                "https://japaneast.metrics.monitor.azure.com/subscriptions/s",
                Plane::Arm,
                false,
                false,
            ),
            (
                "https://metrics.monitor.azure.com.evil.example/x",
                Plane::Metrics,
                false,
                false,
            ),
            (
                "https://management.azure.com/x",
                Plane::Metrics,
                false,
                false,
            ),
            ("http://127.0.0.1:4000/x", Plane::Metrics, false, true),
            (
                "https://a.communication.azure.com/emails:send",
                Plane::Email,
                true,
                false,
            ),
            (
                "https://communication.azure.com.evil.example/",
                Plane::Email,
                false,
                false,
            ),
            ("https://dev.azure.com/o/p", Plane::DevOps, true, false),
            (
                "https://evil.dev.azure.com/o/p",
                Plane::DevOps,
                false,
                false,
            ),
            ("http://127.0.0.1:4000/v1/x", Plane::Logs, false, true),
            ("https://management.azure.com/x", Plane::Vault, false, false),
            ("http://127.0.0.1:4000/x", Plane::Arm, false, true),
            ("http://127.0.0.1:4000/vault/kv", Plane::Vault, false, true),
            ("http://127.0.0.1:4001/x", Plane::Arm, false, false),
            ("http://localhost:4000/x", Plane::Arm, false, false),
            ("http://169.254.169.254/metadata", Plane::Arm, false, false),
            ("file:///etc/passwd", Plane::Arm, false, false),
        ] {
            let parsed = Url::parse(url).expect("a URL");
            assert_eq!(cloud.check(plane, &parsed).is_ok(), to_cloud, "cloud {url}");
            assert_eq!(local.check(plane, &parsed).is_ok(), to_local, "local {url}");
        }
    }
}
