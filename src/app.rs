//! Everything an operation may reach.

mod follow;

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use crate::azure::Azure;
use crate::config::{Config, Identity};
use crate::domain::ResourceId;
use crate::estate::Estate;
use crate::store::{Error, Store};
pub use follow::Followed;

/// What time it is: the system's clock, that of an embedded estate, or one that a test holds still.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    System,
    /// The estate's own, which can be moved ahead: what is due then is seen without waiting.
    Following(&'static Followed),
    Fixed(DateTime<Utc>),
}

impl Clock {
    /// The clock for these settings: the system's, unless Resource Manager is a stand-in on loopback,
    /// which then says what time it is. No setting leads there, so nobody can turn the clock of a real
    /// estate.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        if config.azure.is_public() {
            return Self::System;
        }
        // One for the life of the process.
        let followed = Followed::new(&config.azure.arm_endpoint);
        Self::Following(Box::leak(Box::new(followed)))
    }

    /// Asks an embedded estate for its time, some times a second at most. Other clocks need no asking.
    pub async fn catch_up(&self) {
        if let Self::Following(followed) = self {
            followed.catch_up().await;
        }
    }

    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Following(followed) => followed.now(),
            Self::Fixed(at) => *at,
        }
    }
}

/// One process of Poolkeeper.
///
/// Clients are made when they are first needed: start-up reads settings and binds the port,
/// nothing else, since it is part of every cold start.
pub struct App {
    pub config: Config,
    pub clock: Clock,
    store: OnceLock<Store>,
    anchors: OnceLock<Store>,
    estate: OnceLock<Estate>,
    azure: OnceLock<Azure>,
    outside: OnceLock<reqwest::Client>,
}

impl App {
    #[must_use]
    pub fn new(config: Config, clock: Clock) -> Self {
        Self {
            config,
            clock,
            store: OnceLock::new(),
            anchors: OnceLock::new(),
            estate: OnceLock::new(),
            azure: OnceLock::new(),
            outside: OnceLock::new(),
        }
    }

    /// The estate, read once from its file.
    ///
    /// Errors: the file cannot be read, or all that is wrong in it.
    pub fn estate(&self) -> anyhow::Result<&Estate> {
        if let Some(estate) = self.estate.get() {
            return Ok(estate);
        }
        let path = &self.config.estate;
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read the estate file `{}`", path.display()))?;
        let estate = Estate::parse(&text)?;
        Ok(self.estate.get_or_init(|| estate))
    }

    /// Azure itself.
    pub fn azure(&self) -> Result<&Azure, crate::azure::Error> {
        if let Some(azure) = self.azure.get() {
            return Ok(azure);
        }
        let azure = Azure::open(&self.config.azure)?;
        Ok(self.azure.get_or_init(|| azure))
    }

    /// The client for what is outside of Azure: channels.
    pub(crate) fn outside(&self) -> anyhow::Result<&reqwest::Client> {
        if let Some(client) = self.outside.get() {
            return Ok(client);
        }
        let client = crate::notify::client()?;
        Ok(self.outside.get_or_init(|| client))
    }

    /// The subscription of a resource, if a developer's credential would change it without its
    /// having been named on the command line.
    #[must_use]
    pub fn unnamed_subscription(&self, resource: &ResourceId) -> Option<String> {
        let azure = &self.config.azure;
        if !azure.is_public() || !matches!(azure.identity, Identity::DeveloperTools) {
            return None;
        }
        let subscription = resource.subscription().unwrap_or_default();
        let named = azure
            .named
            .iter()
            .any(|name| name.eq_ignore_ascii_case(subscription));
        (!named).then(|| subscription.to_owned())
    }

    /// Whether a container at a blob endpoint is one of those that we keep our own memory in.
    #[must_use]
    pub fn is_own(&self, endpoint: &reqwest::Url, container: &str) -> bool {
        let store = &self.config.store;
        let ours = [&store.container, &store.anchor_container]
            .iter()
            .any(|name| *name == container);
        // The account is the first part of the host, whatever the rest of it is; on loopback it is
        // in the path.
        let account = |url: &reqwest::Url| match url.host() {
            Some(url::Host::Domain(host)) => host.split('.').next().map(str::to_lowercase),
            _ => Some(url.path().trim_matches('/').to_lowercase()),
        };
        let here = reqwest::Url::parse(store.blob_endpoint.reveal())
            .is_ok_and(|own| account(&own) == account(endpoint));
        ours && here
    }

    /// Documents, journals and work.
    pub fn store(&self) -> Result<&Store, Error> {
        once(&self.store, || Store::open(&self.config.store))
    }

    /// Anchors, in a container of their own.
    pub fn anchors(&self) -> Result<&Store, Error> {
        once(&self.anchors, || Store::open_anchors(&self.config.store))
    }

    /// Tells the outside that a tick has come and gone, when an address for that is set.
    ///
    /// A heartbeat that cannot be sent is logged and changes nothing: its receiver notices.
    pub async fn heartbeat(&self) {
        let Some(url) = &self.config.heartbeat else {
            return;
        };
        let sent = async {
            reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .redirect(reqwest::redirect::Policy::none())
                .build()?
                .get(url.reveal())
                .send()
                .await?
                .error_for_status()
        };
        if let Err(error) = sent.await {
            tracing::warn!(error = %error.without_url(), "the heartbeat was not taken");
        }
    }
}

fn once(
    cell: &OnceLock<Store>,
    open: impl FnOnce() -> Result<Store, Error>,
) -> Result<&Store, Error> {
    if let Some(store) = cell.get() {
        return Ok(store);
    }
    let store = open()?;
    Ok(cell.get_or_init(|| store))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_developers_credential_changes_only_what_was_named() {
        let subscription = "11111111-2222-4333-8444-555555555555";
        let resource = ResourceId::new(subscription, "g", "Microsoft.App/containerApps", "a");
        let app = |extra: &[(&str, &str)], named: &[&str]| {
            let mut pairs = vec![
                (
                    "POOLKEEPER_BLOB_ENDPOINT",
                    "https://a.blob.core.windows.net",
                ),
                (
                    "POOLKEEPER_QUEUE_ENDPOINT",
                    "https://a.queue.core.windows.net",
                ),
            ];
            pairs.extend(extra);
            let lookup = |name: &str| {
                let found = pairs.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let mut config = Config::read(lookup).expect("settings");
            config.azure.named = named.iter().map(|n| (*n).to_owned()).collect();
            App::new(config, Clock::System).unnamed_subscription(&resource)
        };
        let secret = [
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_SECRET", "s"),
        ];
        let simulated = [("POOLKEEPER_ARM_ENDPOINT", "http://127.0.0.1:4000")];
        let managed = [("IDENTITY_ENDPOINT", "http://127.0.0.1:4000/msi/token")];
        for (name, extra, named, expected) in [
            ("not named", &[][..], &[][..], Some(subscription)),
            ("another one named", &[], &["99999999"], Some(subscription)),
            ("named", &[], &[subscription], None),
            ("a managed identity", &managed, &[], None),
            ("a client secret", &secret, &[], None),
            ("a simulated estate", &simulated, &[], None),
        ] {
            assert_eq!(app(extra, named).as_deref(), expected, "{name}");
        }
    }
}
