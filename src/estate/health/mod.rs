//! What is probed each minute, and how what fails is repaired.

pub(super) mod file;

use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::Duration;
use url::{Host, Url};

use super::{Kind, Reader, Resource, Tenant, duration};
use crate::domain::{Repair, ResourceId};

/// What is probed, and what holds for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub endpoints: Vec<Endpoint>,
    /// How often one app may be repaired within an hour.
    pub most_attempts: u32,
    /// An address that always answers; `None` is Azure Resource Manager.
    pub known_good: Option<Url>,
}

/// One address that is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    pub url: Url,
    /// The container app behind it.
    pub app: ResourceId,
    /// Name of the app's stamp.
    pub stamp: String,
    pub tenant: Option<String>,
    pub status: u16,
    pub body: Option<String>,
    pub timeout: std::time::Duration,
    /// Failures in a row before people are told and a repair begins.
    pub failures: u32,
    /// Good probes in a row that end a failure.
    pub successes: u32,
    pub escalate_after: Duration,
    pub recovery: Vec<Repair>,
    /// The cache that is flushed.
    pub redis: Option<ResourceId>,
    pub most_replicas: u32,
    pub calm: Duration,
}

/// Azure's address for its own agents on every machine.
const WIRE_SERVER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(168, 63, 129, 16);
/// Amazon's address for the same by IPv6, kept free in other clouds as well.
const METADATA_V6: std::net::Ipv6Addr =
    std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Why an address is never asked for anything: it could hand out identities of this machine, or is
/// no host at all. `None` where it may be asked; loopback is for the caller to judge.
#[must_use]
pub fn forbidden(ip: IpAddr) -> Option<&'static str> {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_link_local() => Some("a link-local address"),
        IpAddr::V4(ip) if ip == WIRE_SERVER => Some("an address of the platform itself"),
        IpAddr::V4(ip) if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() => {
            Some("no address of a host")
        }
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V6(ip) if ip == METADATA_V6 => Some("an address of the platform itself"),
        IpAddr::V6(ip) if ip.is_unspecified() || ip.is_multicast() => Some("no address of a host"),
        _ => None,
    }
}

/// Whether a URL names this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// An address that may be probed.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    let host = url.host().ok_or("names no host")?.to_owned();
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err("is not https, which is needed but on this machine".into());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("holds a user, a password or a fragment: none is sent".into());
    }
    let why = match &host {
        Host::Ipv4(ip) => forbidden(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => forbidden(IpAddr::V6(*ip)),
        // The names under which clouds hand out identities.
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let is_metadata = [
                "metadata",
                "metadata.google.internal",
                "metadata.azure.internal",
            ]
            .contains(&name)
                || name.ends_with(".internal.cloudapp.net");
            is_metadata.then_some("an address of the platform itself")
        }
    };
    match why {
        Some(why) => Err(format!("is {why}: it is never probed")),
        None => Ok(url),
    }
}

fn fits_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl Reader<'_> {
    pub(super) fn health(
        &mut self,
        written: file::Health,
        resources: &[Resource],
        tenants: &[Tenant],
    ) -> Health {
        self.number("health.most_attempts", written.most_attempts, 1, 10);
        let known_good = written.known_good.as_deref().and_then(|text| {
            let url = address(text);
            url.map_err(|why| self.tell("health.known_good", format!("`{text}` {why}")))
                .ok()
        });
        // What holds for all is checked once, also where nothing is probed.
        self.limits("health", &written);
        let mut names = BTreeSet::new();
        let mut endpoints = Vec::new();
        for (index, one) in written.endpoints.iter().enumerate() {
            let key = format!("health.endpoints[{index}]");
            if !fits_name(&one.name) {
                let message = format!(
                    "is `{}`: 1 to 40 lower-case letters, digits and hyphens are possible",
                    one.name
                );
                self.tell(&format!("{key}.name"), message);
            }
            if !names.insert(&one.name) {
                let message = format!("is `{}`, as that of another endpoint", one.name);
                self.tell(&format!("{key}.name"), message);
            }
            endpoints.extend(self.endpoint(&key, one, &written, resources, tenants));
        }
        Health {
            endpoints,
            most_attempts: written.most_attempts,
            known_good,
        }
    }

    fn endpoint(
        &mut self,
        key: &str,
        one: &file::Endpoint,
        all: &file::Health,
        resources: &[Resource],
        tenants: &[Tenant],
    ) -> Option<Endpoint> {
        let url = address(&one.url)
            .map_err(|why| self.tell(&format!("{key}.url"), format!("`{}` {why}", one.url)))
            .ok();
        let named = |name: &str, kind| {
            let mut all = resources.iter();
            all.find(|r| r.kind == kind && r.name == name)
        };
        let app = named(&one.app, Kind::ContainerApp);
        if app.is_none() {
            let message = format!("is `{}`: no container app of a stamp", one.app);
            self.tell(&format!("{key}.app"), message);
        }
        let recovery = one.recovery.as_ref().unwrap_or(&all.recovery).clone();
        let distinct: BTreeSet<_> = recovery.iter().collect();
        if distinct.len() < recovery.len() {
            self.tell(&format!("{key}.recovery"), "names a step twice");
        }
        let redis = one.redis.as_ref().and_then(|name| {
            let found = named(name, Kind::Redis);
            if found.is_none() {
                let message = format!("is `{name}`: no cache of a stamp");
                self.tell(&format!("{key}.redis"), message);
            }
            found
        });
        if let (Some(app), Some(redis)) = (app, redis)
            && app.stamp != redis.stamp
        {
            let message = format!("is of stamp {}, and the app of {}", redis.stamp, app.stamp);
            self.tell(&format!("{key}.redis"), message);
        }
        let is_known = |tenant: &String| tenants.iter().any(|t| t.id == *tenant);
        if let Some(tenant) = one.tenant.as_ref().filter(|tenant| !is_known(tenant)) {
            let message = format!("is `{tenant}`: no tenant of the estate");
            self.tell(&format!("{key}.tenant"), message);
        }
        if !(200..=599).contains(&one.status) || (300..400).contains(&one.status) {
            let message = format!("is {}: no status of a good answer", one.status);
            self.tell(&format!("{key}.status"), message);
        }
        let own = file::Health {
            timeout_seconds: one.timeout_seconds.unwrap_or(all.timeout_seconds),
            failures: one.failures.unwrap_or(all.failures),
            successes: one.successes.unwrap_or(all.successes),
            escalate_after: (one.escalate_after.as_ref())
                .unwrap_or(&all.escalate_after)
                .clone(),
            most_replicas: one.most_replicas.unwrap_or(all.most_replicas),
            calm: one.calm.as_ref().unwrap_or(&all.calm).clone(),
            ..file::Health::default()
        };
        let says_itself = [
            one.timeout_seconds.is_some(),
            one.failures.is_some(),
            one.successes.is_some(),
            one.escalate_after.is_some(),
            one.most_replicas.is_some(),
            one.calm.is_some(),
        ];
        // What it takes from all is told once, there.
        let before = self.problems.len();
        let (escalate_after, calm) = self.limits(key, &own);
        if !says_itself.contains(&true) {
            self.problems.truncate(before);
        }
        let app = app?;
        Some(Endpoint {
            name: one.name.clone(),
            url: url?,
            app: app.id.clone(),
            stamp: app.stamp.clone(),
            tenant: one.tenant.clone(),
            status: one.status,
            body: one.body.clone(),
            timeout: std::time::Duration::from_secs(own.timeout_seconds.into()),
            failures: own.failures,
            successes: own.successes,
            escalate_after,
            recovery,
            redis: redis.map(|r| r.id.clone()),
            most_replicas: own.most_replicas,
            calm,
        })
    }

    /// Tells what lies outside of its limits; the times of it.
    fn limits(&mut self, key: &str, own: &file::Health) -> (Duration, Duration) {
        self.number(
            &format!("{key}.timeout_seconds"),
            own.timeout_seconds,
            1,
            30,
        );
        self.number(&format!("{key}.failures"), own.failures, 1, 60);
        self.number(&format!("{key}.successes"), own.successes, 1, 60);
        self.number(&format!("{key}.most_replicas"), own.most_replicas, 1, 1000);
        let mut time = |name: &str, text: &str| {
            duration(text).unwrap_or_else(|| {
                let message = format!("is `{text}`: a time such as 10m, 1h or 1d is possible");
                self.tell(&format!("{key}.{name}"), message);
                Duration::zero()
            })
        };
        (
            time("escalate_after", &own.escalate_after),
            time("calm", &own.calm),
        )
    }

    fn number(&mut self, key: &str, number: u32, least: u32, most: u32) {
        if !(least..=most).contains(&number) {
            let message = format!("is {number}: {least} to {most} is possible");
            self.tell(key, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Estate;

    fn with(endpoint: &str) -> String {
        let text = include_str!("../../../infra/estate.toml");
        let (before, _) = text
            .split_once("[[health.endpoints]]")
            .expect("endpoints in the estate");
        let policies = text
            .find("# What may be changed by itself")
            .expect("policies");
        let one = "[[health.endpoints]]\nname = \"one\"\nurl = \"https://one.example/health\"\napp = \"agent-api\"\n";
        format!("{before}{one}{endpoint}\n{}", &text[policies..])
    }

    #[test]
    fn what_is_wrong_with_endpoints_is_told() {
        let second = |rest: &str| {
            format!("[[health.endpoints]]\nname = \"two\"\napp = \"agent-api\"\n{rest}")
        };
        let url = |url: &str| second(&format!("url = \"{url}\""));
        for (name, endpoint, words) in [
            ("nothing", String::new(), None),
            ("all said", second("url = \"https://two.example/h?a=b\"\ntimeout_seconds = 30\nredis = \"redis-agents-jpe\"\ntenant = \"tenant-a\"\nbody = \"ok\"\nrecovery = []"), None),
            ("http here", url("http://127.0.0.1:8080/health"), None),
            ("http there", url("http://two.example/health"), Some("is not https")),
            ("metadata", url("https://169.254.169.254/health"), Some("link-local")),
            ("mapped metadata", url("https://[::ffff:169.254.169.254]/"), Some("link-local")),
            ("decimal metadata", url("https://2852039166/"), Some("link-local")),
            ("wire server", url("https://168.63.129.16/"), Some("platform itself")),
            ("metadata by name", url("https://metadata.google.internal/"), Some("platform itself")),
            ("no host at all", url("https://0.0.0.0/"), Some("no address of a host")),
            ("a password", url("https://a:b@two.example/"), Some("a password")),
            ("a file", url("file:///etc/passwd"), Some("names no host")),
            ("too patient", second("url = \"https://two.example\"\ntimeout_seconds = 31"), Some("1 to 30 is possible")),
            ("no time", second("url = \"https://two.example\"\ncalm = \"soon\""), Some("a time such as")),
            ("twice", "[[health.endpoints]]\nname = \"one\"\nurl = \"https://x.example\"\napp = \"agent-api\"".into(), Some("as that of another endpoint")),
            ("no such app", "[[health.endpoints]]\nname = \"two\"\nurl = \"https://x.example\"\napp = \"agent\"".into(), Some("no container app")),
            ("a bad name", "[[health.endpoints]]\nname = \"../x\"\nurl = \"https://x.example\"\napp = \"agent-api\"".into(), Some("lower-case letters")),
            ("no such cache", second("url = \"https://two.example\"\nredis = \"cache\""), Some("no cache of a stamp")),
            ("no such tenant", second("url = \"https://two.example\"\ntenant = \"nobody\""), Some("no tenant of the estate")),
            ("the same step twice", second("url = \"https://two.example\"\nrecovery = [\"restart\", \"restart\"]"), Some("names a step twice")),
            ("no such step", second("url = \"https://two.example\"\nrecovery = [\"pray\"]"), Some("recovery")),
        ] {
            let found = Estate::parse(&with(&endpoint));
            match words {
                None => assert!(found.is_ok(), "{name}: {found:?}"),
                Some(words) => {
                    let told = found.expect_err(name).to_string();
                    assert!(told.contains(words), "{name}: {told}");
                    assert_eq!(told.matches("\n  - ").count(), 1, "{name}: {told}");
                }
            }
        }
    }
}
