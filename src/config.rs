//! Settings: the environment, read once, all problems reported at once.
//!
//! Single values are environment variables because that is what app settings of a Functions app
//! become; the estate and its policies are one file, [`crate::estate`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use azure_core::credentials::TokenCredential;
use serde::Deserialize;

use crate::domain::Mode;

/// Every setting that Poolkeeper reads, in the order of the README. A test holds
/// `local.settings.example.json` and the README to this list.
pub const NAMES: &[&str] = &[
    "POOLKEEPER_ESTATE",
    "POOLKEEPER_BLOB_ENDPOINT",
    "POOLKEEPER_QUEUE_ENDPOINT",
    "POOLKEEPER_STORE_CONTAINER",
    "POOLKEEPER_ANCHOR_CONTAINER",
    "POOLKEEPER_QUEUE",
    "POOLKEEPER_ARM_ENDPOINT",
    "POOLKEEPER_LOGS_ENDPOINT",
    "POOLKEEPER_MODE",
    "POOLKEEPER_EASY_AUTH",
    "POOLKEEPER_OPERATOR_KEYS",
    "POOLKEEPER_HEARTBEAT_URL",
    "POOLKEEPER_OUTSIDE_ENDPOINT",
    "POOLKEEPER_PUBLIC_URL",
    "POOLKEEPER_LOG",
];

/// Settings that begin so are secrets that the estate file names: `secret = "PAGER_KEY"` there is
/// `POOLKEEPER_SECRET_PAGER_KEY` here.
pub const SECRET_PREFIX: &str = "POOLKEEPER_SECRET_";

/// Text that prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

/// How lines are logged to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for Azure.
    Json,
    /// For people.
    Text,
}

/// Who Poolkeeper is towards Azure.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The platform's managed identity (`IDENTITY_ENDPOINT` is set); `AZURE_CLIENT_ID` picks a
    /// user-assigned one.
    Managed { client_id: Option<String> },
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`.
    ClientSecret {
        tenant: String,
        client_id: String,
        secret: Secret,
    },
    /// The signed-in `az` or `azd` of a developer.
    DeveloperTools,
    /// A credential that whoever embeds Poolkeeper brings along. No setting leads here.
    Given(Arc<dyn TokenCredential>),
}

/// Where Poolkeeper keeps what it knows.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Blob service URL, with a SAS or without. `POOLKEEPER_BLOB_ENDPOINT`, required.
    pub blob_endpoint: Secret,
    /// Queue service URL, with a SAS or without. `POOLKEEPER_QUEUE_ENDPOINT`, required.
    pub queue_endpoint: Secret,
    /// Container of documents and journals. `POOLKEEPER_STORE_CONTAINER`, default `poolkeeper`.
    pub container: String,
    /// Container of anchors, immutable in the cloud. `POOLKEEPER_ANCHOR_CONTAINER`, default
    /// `poolkeeper-anchors`.
    pub anchor_container: String,
    /// Work queue. `POOLKEEPER_QUEUE`, default `poolkeeper-work`.
    pub queue: String,
    pub identity: Identity,
    /// Client of the SDK; `None` is one with time-outs. Whoever embeds Poolkeeper may bring one that
    /// trusts a certificate of its own.
    pub http: Option<reqwest::Client>,
}

/// How Azure is reached.
#[derive(Debug, Clone)]
pub struct AzureSettings {
    /// Azure Resource Manager. `POOLKEEPER_ARM_ENDPOINT`, default `https://management.azure.com`;
    /// anything else must be a loopback address.
    pub arm_endpoint: String,
    /// Log Analytics' query API. `POOLKEEPER_LOGS_ENDPOINT`, default
    /// `https://api.loganalytics.azure.com`, or where a loopback `POOLKEEPER_ARM_ENDPOINT` is. It is
    /// public where that is, and on loopback where that is.
    pub logs_endpoint: String,
    pub identity: Identity,
    /// Subscriptions that were named on the command line: a developer's credential changes no
    /// other one.
    pub named: Vec<String>,
}

impl AzureSettings {
    /// Whether this is Azure itself, and not a stand-in on loopback.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.arm_endpoint.trim_end_matches('/') == PUBLIC_ARM
    }
}

/// How whoever asks for something is known.
#[derive(Debug, Clone, Default)]
pub struct Principals {
    /// The platform authenticates callers and says who they are in its headers; without it, those
    /// headers are anybody's claim. `POOLKEEPER_EASY_AUTH`, default false.
    pub easy_auth: bool,
    /// Names and keys of the people of an embedded estate, as `operator:KEY,reviewer:KEY`.
    /// `POOLKEEPER_OPERATOR_KEYS`, refused where the estate is not on loopback.
    pub keys: Vec<(String, Secret)>,
}

/// All settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port the host chose. `FUNCTIONS_CUSTOMHANDLER_PORT`; absent outside the host.
    pub port: Option<u16>,
    /// The estate file. `POOLKEEPER_ESTATE`, default `estate.toml` where there is one, else
    /// `infra/estate.toml`; relative to `FUNCTIONS_APP_ROOT_PATH` or the working folder.
    pub estate: PathBuf,
    pub store: StoreSettings,
    pub azure: AzureSettings,
    /// The most that any change may do, whatever its policy says. `POOLKEEPER_MODE`: observe,
    /// propose or act, default act.
    pub ceiling: Mode,
    pub principals: Principals,
    /// Called after each timer tick, so that silence is noticed by something else.
    /// `POOLKEEPER_HEARTBEAT_URL`, default none.
    pub heartbeat: Option<Secret>,
    /// Stand-in for everything outside of Azure: channels and probed endpoints. A request for
    /// `https://host/path` goes to `<this>/outside/host/path` instead. `POOLKEEPER_OUTSIDE_ENDPOINT`,
    /// default none, refused where the estate is not on loopback.
    pub outside: Option<String>,
    /// Where people open the pages, without a slash at the end. `POOLKEEPER_PUBLIC_URL`, default
    /// none: then notices carry no link.
    pub public_url: Option<String>,
    /// By the names that the estate file uses: `POOLKEEPER_SECRET_<NAME>`.
    pub secrets: BTreeMap<String, Secret>,
    pub log: LogFormat,
}

/// What is wrong with the settings, all of it.
#[derive(Debug, thiserror::Error)]
#[error("settings:\n{}", .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<String>);

/// The `Values` of a settings file, in the form of `local.settings.json`.
///
/// Errors: the file cannot be read, or is not of that form.
pub fn settings_file(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File {
        values: BTreeMap<String, String>,
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))?;
    // The error of the parser may quote a value, and values can be secrets.
    let file: File = serde_json::from_str(&text).map_err(|e| {
        anyhow::anyhow!(
            "`{}`, line {}: not of the form {{\"Values\": {{\"NAME\": \"text\"}}}}",
            path.display(),
            e.line()
        )
    })?;
    Ok(file.values)
}

impl Config {
    /// Reads the process's environment, and `settings` for what is not in it.
    pub fn from_env(settings: &BTreeMap<String, String>) -> Result<Self, Problems> {
        let mut config = Self::read(|name| {
            std::env::var(name)
                .ok()
                .or_else(|| settings.get(name).cloned())
        })?;
        let settings = settings.iter().map(|(n, v)| (n.clone(), v.clone()));
        config.add_secrets(settings.chain(std::env::vars()));
        Ok(config)
    }

    /// Takes what begins with [`SECRET_PREFIX`]; of two with one name the last, and none that is
    /// empty.
    pub fn add_secrets(&mut self, settings: impl Iterator<Item = (String, String)>) {
        for (name, value) in settings {
            if let Some(name) = name.strip_prefix(SECRET_PREFIX)
                && !value.trim().is_empty()
            {
                self.secrets.insert(name.to_owned(), Secret::new(value));
            }
        }
    }

    /// Reads settings through `lookup`, so a test passes a map.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let text = |name: &str| lookup(name).filter(|v| !v.trim().is_empty());
        let mut required_url = |name: &str| -> Secret {
            match text(name) {
                None => problems.push(format!("{name} is missing")),
                Some(value) => match url::Url::parse(&value) {
                    Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                        return Secret::new(value);
                    }
                    _ => problems.push(format!("{name} is not an http or https URL")),
                },
            }
            Secret::new("")
        };
        let blob_endpoint = required_url("POOLKEEPER_BLOB_ENDPOINT");
        let queue_endpoint = required_url("POOLKEEPER_QUEUE_ENDPOINT");
        let mut storage_name = |name: &str, default: &str| {
            let value = text(name).unwrap_or_else(|| default.to_owned());
            if !valid_storage_name(&value) {
                problems.push(format!(
                    "{name} is `{value}`: 3 to 63 lower-case letters, digits and single hyphens are allowed"
                ));
            }
            value
        };
        let container = storage_name("POOLKEEPER_STORE_CONTAINER", "poolkeeper");
        let anchor_container = storage_name("POOLKEEPER_ANCHOR_CONTAINER", "poolkeeper-anchors");
        let queue = storage_name("POOLKEEPER_QUEUE", "poolkeeper-work");
        if container == anchor_container {
            problems.push("POOLKEEPER_ANCHOR_CONTAINER must differ from POOLKEEPER_STORE_CONTAINER: an anchor beside what it proves proves nothing".into());
        }
        let arm_endpoint = text("POOLKEEPER_ARM_ENDPOINT").unwrap_or_else(|| PUBLIC_ARM.to_owned());
        let is_public = arm_endpoint.trim_end_matches('/') == PUBLIC_ARM;
        if !is_public && !is_loopback(&arm_endpoint) {
            problems.push(format!(
                "POOLKEEPER_ARM_ENDPOINT is neither {PUBLIC_ARM} nor a loopback address"
            ));
        }
        let logs_endpoint = text("POOLKEEPER_LOGS_ENDPOINT").unwrap_or_else(|| {
            if is_loopback(&arm_endpoint) {
                arm_endpoint.clone()
            } else {
                PUBLIC_LOGS[0].to_owned()
            }
        });
        let is_public_logs = PUBLIC_LOGS.contains(&logs_endpoint.trim_end_matches('/'));
        // With a stand-in nothing is Azure, and with Azure nothing is a stand-in.
        let fits = if is_loopback(&arm_endpoint) {
            is_loopback(&logs_endpoint)
        } else {
            is_public_logs
        };
        if !fits {
            problems.push(format!(
                "POOLKEEPER_LOGS_ENDPOINT is neither {} with Azure itself, nor a loopback address with a stand-in",
                PUBLIC_LOGS.join(" or ")
            ));
        }
        let ceiling = match text("POOLKEEPER_MODE").as_deref().map(str::parse) {
            None => Mode::Act,
            Some(Ok(mode)) => mode,
            Some(Err(why)) => {
                problems.push(format!("POOLKEEPER_MODE: {why}"));
                Mode::Observe
            }
        };
        let easy_auth = match text("POOLKEEPER_EASY_AUTH").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                problems.push(format!("POOLKEEPER_EASY_AUTH is `{other}`: true or false"));
                false
            }
        };
        let mut keys = Vec::new();
        if let Some(value) = text("POOLKEEPER_OPERATOR_KEYS") {
            if is_public {
                problems.push("POOLKEEPER_OPERATOR_KEYS is for an embedded estate: in Azure, turn on POOLKEEPER_EASY_AUTH".into());
            }
            for pair in value.split(',') {
                match pair.split_once(':') {
                    Some((name, key)) if !name.trim().is_empty() && key.len() >= 16 => {
                        keys.push((name.trim().to_owned(), Secret::new(key)));
                    }
                    // The value holds secrets, so it is never quoted.
                    _ => problems.push(
                        "POOLKEEPER_OPERATOR_KEYS is not of the form NAME:KEY,NAME:KEY with keys of 16 letters or more".into(),
                    ),
                }
            }
        }
        let heartbeat = text("POOLKEEPER_HEARTBEAT_URL").map(|value| {
            if !url::Url::parse(&value).is_ok_and(|u| matches!(u.scheme(), "http" | "https")) {
                problems.push("POOLKEEPER_HEARTBEAT_URL is not an http or https URL".into());
            }
            Secret::new(value)
        });
        let outside = text("POOLKEEPER_OUTSIDE_ENDPOINT").map(|value| {
            if is_public || !is_loopback(&value) {
                problems.push("POOLKEEPER_OUTSIDE_ENDPOINT is for an embedded estate: it is a loopback address, and POOLKEEPER_ARM_ENDPOINT is one too".into());
            }
            value.trim_end_matches('/').to_owned()
        });
        let public_url = text("POOLKEEPER_PUBLIC_URL").map(|value| {
            if !url::Url::parse(&value).is_ok_and(|u| matches!(u.scheme(), "http" | "https")) {
                problems.push("POOLKEEPER_PUBLIC_URL is not an http or https URL".into());
            }
            value.trim_end_matches('/').to_owned()
        });
        let log = match text("POOLKEEPER_LOG").as_deref() {
            None | Some("json") => LogFormat::Json,
            Some("text") => LogFormat::Text,
            Some(other) => {
                problems.push(format!("POOLKEEPER_LOG is `{other}`: json or text"));
                LogFormat::Json
            }
        };
        let port = text("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|value| {
            value
                .parse()
                .map_err(|_| {
                    problems.push(format!(
                        "FUNCTIONS_CUSTOMHANDLER_PORT is `{value}`: not a port"
                    ))
                })
                .ok()
        });
        let root = text("FUNCTIONS_APP_ROOT_PATH")
            .map(PathBuf::from)
            .unwrap_or_default();
        let estate = match text("POOLKEEPER_ESTATE") {
            Some(named) => root.join(named),
            // A package has the estate beside host.json, the project has it in infra.
            None if root.join("estate.toml").is_file() => root.join("estate.toml"),
            None => root.join("infra/estate.toml"),
        };
        let identity = match (
            text("IDENTITY_ENDPOINT"),
            text("AZURE_TENANT_ID"),
            text("AZURE_CLIENT_ID"),
            text("AZURE_CLIENT_SECRET"),
        ) {
            (Some(_), _, client_id, _) => Identity::Managed { client_id },
            (None, Some(tenant), Some(client_id), Some(secret)) => Identity::ClientSecret {
                tenant,
                client_id,
                secret: Secret::new(secret),
            },
            _ => Identity::DeveloperTools,
        };
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok(Self {
            port,
            estate,
            store: StoreSettings {
                blob_endpoint,
                queue_endpoint,
                container,
                anchor_container,
                queue,
                identity: identity.clone(),
                http: None,
            },
            azure: AzureSettings {
                arm_endpoint,
                logs_endpoint,
                identity,
                named: Vec::new(),
            },
            ceiling,
            principals: Principals { easy_auth, keys },
            heartbeat,
            outside,
            public_url,
            secrets: BTreeMap::new(),
            log,
        })
    }
}

const PUBLIC_ARM: &str = "https://management.azure.com";
/// The present name, and the one before it.
const PUBLIC_LOGS: [&str; 2] = [
    "https://api.loganalytics.azure.com",
    "https://api.loganalytics.io",
];

fn is_loopback(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Ipv4(ip)) => url.scheme() == "http" && ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => url.scheme() == "http" && ip.is_loopback(),
        _ => false,
    }
}

/// The rule that containers and queues share.
fn valid_storage_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Problems> {
        Config::read(|name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let Err(Problems(problems)) = read(&[
            ("POOLKEEPER_QUEUE_ENDPOINT", "not a url"),
            ("POOLKEEPER_STORE_CONTAINER", "Bad_Name"),
            ("POOLKEEPER_LOG", "xml"),
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "99999"),
            (
                "POOLKEEPER_ARM_ENDPOINT",
                "https://management.azure.com.evil.example",
            ),
            ("POOLKEEPER_MODE", "maybe"),
            ("POOLKEEPER_EASY_AUTH", "yes"),
            ("POOLKEEPER_OPERATOR_KEYS", "operator:short"),
        ]) else {
            panic!("these settings cannot be right");
        };
        assert_eq!(problems.len(), 9, "{problems:?}");
        assert!(
            !problems.iter().any(|p| p.contains("short")),
            "{problems:?}"
        );
    }

    #[test]
    fn logs_are_asked_of_azure_with_azure_and_of_a_stand_in_with_a_stand_in() {
        let endpoint = |arm: &str, logs: &str| {
            let config = read(&[
                (
                    "POOLKEEPER_BLOB_ENDPOINT",
                    "https://a.blob.core.windows.net",
                ),
                (
                    "POOLKEEPER_QUEUE_ENDPOINT",
                    "https://a.queue.core.windows.net",
                ),
                ("POOLKEEPER_ARM_ENDPOINT", arm),
                ("POOLKEEPER_LOGS_ENDPOINT", logs),
            ]);
            config.ok().map(|config| config.azure.logs_endpoint)
        };
        let (arm, here) = ("https://management.azure.com", "http://127.0.0.1:4000");
        let logs = "https://api.loganalytics.azure.com";
        for (arm, given, expected) in [
            (arm, "", Some(logs)),
            (
                arm,
                "https://api.loganalytics.io",
                Some("https://api.loganalytics.io"),
            ),
            (here, "", Some(here)),
            (here, "http://127.0.0.1:4001", Some("http://127.0.0.1:4001")),
            (here, logs, None),
            (arm, here, None),
            (arm, "https://api.loganalytics.azure.com.evil.example", None),
        ] {
            assert_eq!(endpoint(arm, given).as_deref(), expected, "{arm} {given}");
        }
    }

    #[test]
    fn secrets_print_as_dots() {
        let config = read(&[
            (
                "POOLKEEPER_BLOB_ENDPOINT",
                "https://a.blob.core.windows.net?sig=hidden",
            ),
            (
                "POOLKEEPER_QUEUE_ENDPOINT",
                "https://a.queue.core.windows.net?sig=hidden",
            ),
            ("POOLKEEPER_HEARTBEAT_URL", "https://beat.example/hidden"),
        ])
        .expect("valid settings");
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn keys_of_operators_are_for_an_embedded_estate_only() {
        let with = |arm: &str| {
            read(&[
                (
                    "POOLKEEPER_BLOB_ENDPOINT",
                    "https://a.blob.core.windows.net",
                ),
                (
                    "POOLKEEPER_QUEUE_ENDPOINT",
                    "https://a.queue.core.windows.net",
                ),
                ("POOLKEEPER_ARM_ENDPOINT", arm),
                ("POOLKEEPER_OPERATOR_KEYS", "operator:0123456789abcdef"),
            ])
        };
        assert!(with("https://management.azure.com").is_err());
        let config = with("http://127.0.0.1:4000").expect("settings");
        assert_eq!(config.principals.keys[0].0, "operator");
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn an_anchor_lives_apart_from_what_it_proves() {
        let result = read(&[
            (
                "POOLKEEPER_BLOB_ENDPOINT",
                "https://a.blob.core.windows.net",
            ),
            (
                "POOLKEEPER_QUEUE_ENDPOINT",
                "https://a.queue.core.windows.net",
            ),
            ("POOLKEEPER_ANCHOR_CONTAINER", "poolkeeper"),
        ]);
        assert!(result.is_err());
    }
}
