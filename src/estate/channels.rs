//! Channels: by which ways people and ticket systems are told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Estate, Reader};

/// What a channel is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Smtp,
    AcsEmail,
    Teams,
    Slack,
    Pagerduty,
    Servicenow,
    Jira,
    AzureDevops,
    Webhook,
}

impl ChannelKind {
    pub const ALL: [Self; 9] = [
        Self::Smtp,
        Self::AcsEmail,
        Self::Teams,
        Self::Slack,
        Self::Pagerduty,
        Self::Servicenow,
        Self::Jira,
        Self::AzureDevops,
        Self::Webhook,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::AcsEmail => "acs_email",
            Self::Teams => "teams",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Servicenow => "servicenow",
            Self::Jira => "jira",
            Self::AzureDevops => "azure_devops",
            Self::Webhook => "webhook",
        }
    }

    /// The settings that it has to have, and those that it may have, beside those of all channels.
    fn settings(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Smtp => (
                &["host", "from"],
                &["port", "security", "user", "secret", "to", "authority"],
            ),
            Self::AcsEmail => (&["url", "from"], &["to"]),
            Self::Teams | Self::Slack => (&["secret"], &[]),
            Self::Pagerduty => (&["secret"], &["url"]),
            Self::Servicenow => (
                &["url", "secret"],
                &[
                    "user",
                    "client_id",
                    "assignment_group",
                    "close_code",
                    "close_state",
                ],
            ),
            Self::Jira => (&["url", "user", "secret", "project"], &["item_type"]),
            Self::AzureDevops => (&["url", "project"], &["secret", "item_type", "close_state"]),
            Self::Webhook => (&["secret"], &["url", "url_secret"]),
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How mail is protected on its way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// Begun in the open, and refused if it cannot be encrypted from there on; port 587.
    Starttls,
    /// Encrypted from the first byte; port 465.
    Tls,
    /// Not at all; only to this machine.
    Plain,
}

/// A way by which people or ticket systems are told, as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// As levels and fallbacks name it: lower-case letters, digits and hyphens.
    name: String,
    kind: ChannelKind,
    /// Name of the setting POOLKEEPER_SECRET_<NAME> that holds the password, token, key, or the whole
    /// address of a Teams or Slack workflow; never the secret itself.
    secret: Option<String>,
    /// Another channel, for what this one does not take.
    fallback: Option<String>,
    /// Tenants whose notices it may carry, and no other notice; without it, it carries all.
    tenants: Option<Vec<String>>,
    /// acs_email, servicenow, jira, azure_devops, webhook: base address, as
    /// https://example.service-now.com or https://dev.azure.com/example. pagerduty: only if it is not
    /// https://events.pagerduty.com.
    url: Option<String>,
    /// webhook: name of the secret that is the address, where the address itself is one.
    url_secret: Option<String>,
    /// smtp: server.
    host: Option<String>,
    /// smtp: 587, or 465 with security = "tls".
    port: Option<u16>,
    /// smtp: starttls unless it is written.
    security: Option<MailSecurity>,
    /// smtp: PEM file of one more authority that signs the server's certificate; relative to the
    /// folder of the estate file.
    authority: Option<String>,
    /// smtp, servicenow, jira: who signs in.
    user: Option<String>,
    /// servicenow: id of the OAuth client, for client credentials instead of a user.
    client_id: Option<String>,
    /// Mail: sender, as "Poolkeeper <poolkeeper@example.com>".
    from: Option<String>,
    /// Mail: recipient where a notice names none.
    to: Option<String>,
    /// servicenow: group that incidents are given to.
    assignment_group: Option<String>,
    /// servicenow: how a resolved incident was resolved; "Solution provided" unless it is written.
    close_code: Option<String>,
    /// servicenow: state of a resolved incident, 6 unless it is written. azure_devops: state of a
    /// closed work item, Closed unless it is written.
    close_state: Option<String>,
    /// jira: key of the project. azure_devops: its name.
    project: Option<String>,
    /// jira: type of issues, Task unless it is written. azure_devops: type of work items, Issue unless
    /// it is written.
    item_type: Option<String>,
}

/// A way by which people or ticket systems are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub name: String,
    pub way: Way,
    /// Another channel, for what this one does not take.
    pub fallback: Option<String>,
    /// The tenants whose notices it may carry, and no other notice; `None`: it carries all.
    pub tenants: Option<BTreeSet<String>>,
}

/// What each kind of channel needs. Secrets are names of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    Smtp(Smtp),
    AcsEmail {
        url: Url,
        from: String,
        to: Option<String>,
    },
    /// The secret is the whole address.
    Teams {
        secret: String,
    },
    /// The secret is the whole address.
    Slack {
        secret: String,
    },
    Pagerduty {
        url: Url,
        secret: String,
    },
    Servicenow(Servicenow),
    Jira {
        url: Url,
        user: String,
        secret: String,
        project: String,
        item_type: String,
    },
    AzureDevops {
        url: Url,
        project: String,
        item_type: String,
        close_state: String,
        /// A personal access token; without one, the managed identity signs in.
        secret: Option<String>,
    },
    Webhook {
        target: Target,
        secret: String,
    },
}

/// Mail by SMTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub authority: Option<String>,
    /// Who signs in, and the secret of it.
    pub login: Option<(String, String)>,
    pub from: String,
    pub to: Option<String>,
}

/// Incidents of ServiceNow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servicenow {
    pub url: Url,
    pub login: Login,
    pub secret: String,
    pub assignment_group: Option<String>,
    pub close_code: String,
    pub close_state: String,
}

/// Who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A user with a password.
    User(String),
    /// An OAuth client by its own credentials.
    Client(String),
}

/// Where a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Open(Url),
    /// The secret is the whole address.
    Secret(String),
}

impl Channel {
    #[must_use]
    pub fn kind(&self) -> ChannelKind {
        match &self.way {
            Way::Smtp(_) => ChannelKind::Smtp,
            Way::AcsEmail { .. } => ChannelKind::AcsEmail,
            Way::Teams { .. } => ChannelKind::Teams,
            Way::Slack { .. } => ChannelKind::Slack,
            Way::Pagerduty { .. } => ChannelKind::Pagerduty,
            Way::Servicenow(_) => ChannelKind::Servicenow,
            Way::Jira { .. } => ChannelKind::Jira,
            Way::AzureDevops { .. } => ChannelKind::AzureDevops,
            Way::Webhook { .. } => ChannelKind::Webhook,
        }
    }

    /// Whether a contact of it needs a recipient, since it has none of its own.
    #[must_use]
    pub fn needs_recipient(&self) -> bool {
        match &self.way {
            Way::Smtp(smtp) => smtp.to.is_none(),
            Way::AcsEmail { to, .. } => to.is_none(),
            _ => false,
        }
    }

    /// The names of the secrets that it uses.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        match &self.way {
            Way::Smtp(smtp) => smtp
                .login
                .iter()
                .map(|(_, secret)| secret.as_str())
                .collect(),
            Way::AcsEmail { .. } => Vec::new(),
            Way::Teams { secret }
            | Way::Slack { secret }
            | Way::Pagerduty { secret, .. }
            | Way::Jira { secret, .. } => vec![secret],
            Way::Servicenow(servicenow) => vec![&servicenow.secret],
            Way::AzureDevops { secret, .. } => secret.iter().map(String::as_str).collect(),
            Way::Webhook { target, secret } => match target {
                Target::Open(_) => vec![secret],
                Target::Secret(url) => vec![url, secret],
            },
        }
    }
}

impl Estate {
    /// The channel of this name.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// Files that channels need beside the estate file.
    #[must_use]
    pub fn channel_files(&self) -> BTreeSet<&str> {
        self.channels
            .iter()
            .filter_map(|channel| match &channel.way {
                Way::Smtp(smtp) => smtp.authority.as_deref(),
                _ => None,
            })
            .collect()
    }

    /// The names of all channels, for checking what refers to them.
    #[must_use]
    pub fn channel_names(&self) -> BTreeSet<&str> {
        self.channels.iter().map(|c| c.name.as_str()).collect()
    }
}

impl Reader<'_> {
    pub(super) fn channels(
        &mut self,
        written: Vec<Written>,
        tenants: &BTreeSet<String>,
    ) -> Vec<Channel> {
        let mut channels: Vec<Channel> = Vec::new();
        // By name: which channel takes over, and where that is written.
        let mut fallbacks = BTreeMap::new();
        let names: BTreeSet<String> = written.iter().map(|w| w.name.clone()).collect();
        for (index, written) in written.into_iter().enumerate() {
            let key = format!("channels[{index}]");
            if !fits_name(&written.name) {
                let message = format!(
                    "is `{}`: 1 to 40 lower-case letters, digits and hyphens are possible",
                    written.name
                );
                self.tell(&format!("{key}.name"), message);
            }
            if channels.iter().any(|c| c.name == written.name) {
                let message = format!("is `{}`, as that of another channel", written.name);
                self.tell(&format!("{key}.name"), message);
            }
            if let Some(fallback) = &written.fallback {
                if !names.contains(fallback) {
                    let message = format!("is `{fallback}`: no channel");
                    self.tell(&format!("{key}.fallback"), message);
                }
                fallbacks.insert(written.name.clone(), (fallback.clone(), key.clone()));
            }
            for (at, tenant) in written.tenants.iter().flatten().enumerate() {
                if !tenants.contains(tenant) {
                    let message = format!("is `{tenant}`: no tenant");
                    self.tell(&format!("{key}.tenants[{at}]"), message);
                }
            }
            if written.tenants.as_ref().is_some_and(Vec::is_empty) {
                let message = "is empty: then it carries nothing";
                self.tell(&format!("{key}.tenants"), message);
            }
            if let Some(channel) = self.channel(written, &key) {
                channels.push(channel);
            }
        }
        for (name, (fallback, key)) in &fallbacks {
            let mut seen = BTreeSet::from([name.as_str()]);
            let mut at = fallback.as_str();
            while seen.insert(at) {
                match fallbacks.get(at) {
                    Some((next, _)) => at = next,
                    None => break,
                }
            }
            if at == name {
                let message = format!("is `{fallback}`, which leads back to `{name}`");
                self.tell(&format!("{key}.fallback"), message);
            }
            if channels
                .iter()
                .any(|c| c.name == *fallback && c.needs_recipient())
            {
                let message = format!("is `{fallback}`, which has no recipient of its own: `to`");
                self.tell(&format!("{key}.fallback"), message);
            }
        }
        channels
    }

    /// `None` after something was told that leaves no channel.
    fn channel(&mut self, written: Written, key: &str) -> Option<Channel> {
        let before = self.problems.len();
        self.settings_of(&written, key);
        for (name, secret) in [
            ("secret", &written.secret),
            ("url_secret", &written.url_secret),
        ] {
            if secret.as_deref().is_some_and(|s| !fits_secret(s)) {
                // Not quoted: it may be the secret itself.
                let message = "is no name of a secret: capital letters, digits and _ are possible";
                self.tell(&format!("{key}.{name}"), message);
            }
        }
        for (name, address) in [("from", &written.from), ("to", &written.to)] {
            let wrong = |text: &String| text.parse::<lettre::message::Mailbox>().is_err();
            if let Some(address) = address.as_ref().filter(|text| wrong(text)) {
                let message = format!("is `{address}`: no mail address");
                self.tell(&format!("{key}.{name}"), message);
            }
        }
        let url = match &written.url {
            Some(text) => self.base(text, written.kind, &format!("{key}.url")),
            None => None,
        };
        let smtp = self.smtp(&written, key);
        if self.problems.len() > before {
            return None;
        }
        let secret = written.secret.clone().unwrap_or_default();
        let way = match written.kind {
            ChannelKind::Smtp => Way::Smtp(smtp?),
            ChannelKind::AcsEmail => Way::AcsEmail {
                url: url?,
                from: written.from?,
                to: written.to,
            },
            ChannelKind::Teams => Way::Teams { secret },
            ChannelKind::Slack => Way::Slack { secret },
            ChannelKind::Pagerduty => Way::Pagerduty {
                url: url.unwrap_or_else(|| {
                    Url::parse("https://events.pagerduty.com").expect("an address")
                }),
                secret,
            },
            ChannelKind::Servicenow => Way::Servicenow(Servicenow {
                url: url?,
                login: match (written.user, written.client_id) {
                    (Some(user), None) => Login::User(user),
                    (None, Some(client)) => Login::Client(client),
                    _ => {
                        self.tell(key, "wants either `user` or `client_id`");
                        return None;
                    }
                },
                secret,
                assignment_group: written.assignment_group,
                close_code: written
                    .close_code
                    .unwrap_or_else(|| "Solution provided".into()),
                close_state: written.close_state.unwrap_or_else(|| "6".into()),
            }),
            ChannelKind::Jira => Way::Jira {
                url: url?,
                user: written.user?,
                secret,
                project: written.project?,
                item_type: written.item_type.unwrap_or_else(|| "Task".into()),
            },
            ChannelKind::AzureDevops => Way::AzureDevops {
                url: url?,
                project: written.project?,
                item_type: written.item_type.unwrap_or_else(|| "Issue".into()),
                close_state: written.close_state.unwrap_or_else(|| "Closed".into()),
                secret: written.secret,
            },
            ChannelKind::Webhook => Way::Webhook {
                target: match (url, written.url_secret) {
                    (Some(url), None) => Target::Open(url),
                    (None, Some(secret)) => Target::Secret(secret),
                    _ => {
                        self.tell(key, "wants either `url` or `url_secret`");
                        return None;
                    }
                },
                secret,
            },
        };
        Some(Channel {
            name: written.name,
            way,
            fallback: written.fallback,
            tenants: written.tenants.map(|all| all.into_iter().collect()),
        })
    }

    /// Tells which settings are missing, and which belong to other kinds.
    fn settings_of(&mut self, written: &Written, key: &str) {
        let (needed, possible) = written.kind.settings();
        let empty = |text: &Option<String>| text.as_ref().map(|text| text.trim().is_empty());
        // Whether it is written, and then whether it says nothing.
        let all: [(&str, Option<bool>); 16] = [
            ("secret", empty(&written.secret)),
            ("url", empty(&written.url)),
            ("url_secret", empty(&written.url_secret)),
            ("host", empty(&written.host)),
            ("port", written.port.map(|port| port == 0)),
            ("security", written.security.map(|_| false)),
            ("authority", empty(&written.authority)),
            ("user", empty(&written.user)),
            ("client_id", empty(&written.client_id)),
            ("from", empty(&written.from)),
            ("to", empty(&written.to)),
            ("assignment_group", empty(&written.assignment_group)),
            ("close_code", empty(&written.close_code)),
            ("close_state", empty(&written.close_state)),
            ("project", empty(&written.project)),
            ("item_type", empty(&written.item_type)),
        ];
        for (name, is_written) in all {
            let field = format!("{key}.{name}");
            match is_written {
                None if needed.contains(&name) => {
                    self.tell(&field, format!("is missing: {} needs it", written.kind));
                }
                Some(_) if !needed.contains(&name) && !possible.contains(&name) => {
                    self.tell(&field, format!("does not belong to {}", written.kind));
                }
                Some(true) => self.tell(&field, "is empty"),
                _ => {}
            }
        }
    }

    fn smtp(&mut self, written: &Written, key: &str) -> Option<Smtp> {
        if written.kind != ChannelKind::Smtp {
            return None;
        }
        let host = written.host.clone()?;
        let security = written.security.unwrap_or(MailSecurity::Starttls);
        if security == MailSecurity::Plain && !is_loopback(&host) {
            let message = "is plain, which goes to 127.0.0.1, ::1 or localhost only";
            self.tell(&format!("{key}.security"), message);
        }
        let fits = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':'));
        if !fits {
            self.tell(&format!("{key}.host"), format!("is `{host}`: no host"));
        }
        if written
            .authority
            .as_deref()
            .is_some_and(|path| !fits_file(path))
        {
            let message = "is no file in the folder of the estate file, or below it";
            self.tell(&format!("{key}.authority"), message);
        }
        let login = match (&written.user, &written.secret) {
            (Some(user), Some(secret)) => Some((user.clone(), secret.clone())),
            (None, None) => None,
            _ => {
                self.tell(key, "wants `user` and `secret` together");
                None
            }
        };
        Some(Smtp {
            host,
            port: written.port.unwrap_or(match security {
                MailSecurity::Starttls => 587,
                MailSecurity::Tls => 465,
                MailSecurity::Plain => 25,
            }),
            security,
            authority: written.authority.clone(),
            login,
            from: written.from.clone()?,
            to: written.to.clone(),
        })
    }

    /// An address that paths can be put behind.
    fn base(&mut self, text: &str, kind: ChannelKind, key: &str) -> Option<Url> {
        let url = Url::parse(text.trim_end_matches('/')).ok();
        let plain = |url: &Url| {
            let by_itself = url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
                && (url.query().is_none() || kind == ChannelKind::Webhook);
            let host = url.host_str().unwrap_or_default();
            by_itself && (url.scheme() == "https" || url.scheme() == "http" && is_loopback(host))
        };
        let url = url.filter(plain);
        let fits = url.as_ref().is_some_and(|url| {
            let host = url.host_str().unwrap_or_default();
            kind != ChannelKind::AcsEmail || host.ends_with(".communication.azure.com")
        });
        if fits {
            return url;
        }
        let example = match kind {
            ChannelKind::AcsEmail => "https://example.communication.azure.com",
            _ => "an https address without user, query and fragment",
        };
        self.tell(
            key,
            format!("is no address that can be used: {example} is possible"),
        );
        None
    }
}

/// Names are parts of paths in the store.
fn fits_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A file beside the estate file or below it, wherever that lies.
fn fits_file(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    path.split('/')
        .all(|part| !part.is_empty() && part.bytes().all(plain) && !part.bytes().all(|b| b == b'.'))
}

fn fits_secret(name: &str) -> bool {
    (1..=60).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a host is this machine, by its number or as `localhost`.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::EstateError;

    fn problems(channels: &str) -> Vec<String> {
        match Estate::parse(&format!("[[tenants]]\nid = 'tenant-a'\n{channels}")) {
            Ok(_) => Vec::new(),
            Err(EstateError(problems)) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_is_wrong_with_channels_is_told() {
        let slack = "[[channels]]\nname = 'a'\nkind = 'slack'\nsecret = 'A'\n";
        let mail = "[[channels]]\nname = 'm'\nkind = 'smtp'\nhost = 'h'\nfrom = 'p@example.com'\n";
        for (name, text, expected) in [
            ("nothing", format!("{slack}{mail}"), &[][..]),
            (
                "an unknown kind",
                "[[channels]]\nname = 'a'\nkind = 'fax'\n".into(),
                &["line 5: `channels[0].kind` is `fax`: smtp, acs_email,"],
            ),
            (
                "a name twice, and one that cannot be",
                format!("{slack}{slack}[[channels]]\nname = 'A.b'\nkind = 'slack'\nsecret = 'A'\n"),
                &["`channels[1].name` is `a`, as that", "`channels[2].name` is `A.b`: 1 to 40"],
            ),
            (
                "missing and foreign settings",
                "[[channels]]\nname = 'a'\nkind = 'pagerduty'\nhost = 'h'\n".into(),
                &[
                    "`channels[0].secret` is missing: pagerduty needs it",
                    "`channels[0].host` does not belong to pagerduty",
                ],
            ),
            (
                "a secret itself",
                "[[channels]]\nname = 'a'\nkind = 'slack'\nsecret = 'https://hooks.slack.com/x'\n".into(),
                &["`channels[0].secret` is no name of a secret"],
            ),
            (
                "fallbacks in a circle, and to nobody",
                format!(
                    "{slack}fallback = 'b'\n{}fallback = 'a'\n{}fallback = 'x'\n",
                    slack.replace("'a'", "'b'"),
                    slack.replace("'a'", "'c'"),
                ),
                &[
                    "`channels[2].fallback` is `x`: no channel",
                    "`channels[0].fallback` is `b`, which leads back to `a`",
                    "`channels[1].fallback` is `a`, which leads back to `b`",
                ],
            ),
            (
                "a fallback that knows no recipient",
                format!("{slack}fallback = 'm'\n{mail}"),
                &["`channels[0].fallback` is `m`, which has no recipient of its own"],
            ),
            (
                "tenants that are none",
                format!("{slack}tenants = ['tenant-z']\n{}tenants = []\n", slack.replace("'a'", "'b'")),
                &[
                    "`channels[0].tenants[0]` is `tenant-z`: no tenant",
                    "`channels[1].tenants` is empty",
                ],
            ),
            (
                "mail in the open, to somebody else",
                format!("{mail}security = 'plain'\nauthority = '../ca.pem'\nuser = 'u'\nto = 'nobody'\n"),
                &[
                    "`channels[0].to` is `nobody`: no mail address",
                    "`channels[0].security` is plain, which goes to",
                    "`channels[0].authority` is no file in the folder",
                    "`channels[0]` wants `user` and `secret` together",
                ],
            ),
            (
                "addresses that are not safe",
                "[[channels]]\nname = 'a'\nkind = 'webhook'\nsecret = 'A'\nurl = 'http://example.com'\n
                 [[channels]]\nname = 'b'\nkind = 'acs_email'\nfrom = 'p@example.com'\nurl = 'https://evil.example'\n
                 [[channels]]\nname = 'c'\nkind = 'jira'\nsecret = 'A'\nuser = 'u'\nproject = 'P'\nurl = 'https://u@x.atlassian.net'\n"
                    .into(),
                &[
                    "`channels[0].url` is no address",
                    "`channels[1].url` is no address",
                    "`channels[2].url` is no address",
                ],
            ),
            (
                "neither nor",
                "[[channels]]\nname = 'a'\nkind = 'webhook'\nsecret = 'A'\n
                 [[channels]]\nname = 'b'\nkind = 'servicenow'\nsecret = 'A'\nurl = 'https://x.service-now.com'\n"
                    .into(),
                &["wants either `url` or `url_secret`", "wants either `user` or `client_id`"],
            ),
        ] {
            let found = problems(&text);
            assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{name}: {found} is not {expected}");
            }
            assert!(!found.concat().contains("hooks.slack.com"), "{name}");
        }
    }

    #[test]
    fn the_channels_that_ship_are_known_by_name() {
        let estate = Estate::parse(include_str!("../../infra/estate.toml")).expect("an estate");
        let names: Vec<&str> = estate.channel_names().into_iter().collect();
        assert_eq!(names, ["chat", "mail", "pager", "tickets"]);
        let kinds: Vec<ChannelKind> = estate.channels.iter().map(Channel::kind).collect();
        assert_eq!(
            kinds,
            [
                ChannelKind::Pagerduty,
                ChannelKind::Smtp,
                ChannelKind::Teams,
                ChannelKind::Servicenow,
            ]
        );
        assert!(estate.channel("fax").is_none());
    }
}
