//! One question to one endpoint, asked so that nobody is led astray: names that lead to the
//! platform's own addresses are refused, redirects are not followed, and little is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::app::{App, Clock};
use crate::estate::{Endpoint, forbidden};

/// So much of a body is read.
const MOST_BODY: usize = 64 * 1024;
/// How long an app has after a repair until it must be well.
const PATIENCE: Duration = Duration::from_secs(90);
/// The pause between two probes of that time.
const PAUSE: Duration = Duration::from_secs(5);
/// Probes of that time under a clock that stands still.
const PROBES: u32 = 6;

/// What one probe came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `None`: it is well.
    pub trouble: Option<Trouble>,
    pub latency_ms: u64,
    /// When the certificate ends that it showed.
    pub certificate_ends: Option<DateTime<Utc>>,
}

/// What is wrong with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub kind: Kind,
    /// For people; nothing of what it answered but the status.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Its name leads nowhere, or where nothing is asked.
    Address,
    /// It takes no connection.
    Connect,
    /// Its certificate is not taken.
    Tls,
    Timeout,
    /// It answers with another status.
    Status,
    /// Its answer lacks what it should have, or breaks off.
    Body,
}

/// Asks endpoints.
pub struct Prober {
    http: reqwest::Client,
    outside: Option<String>,
    waits: bool,
}

impl Prober {
    /// Errors: the TLS library cannot be set up, which the settings have no part in.
    pub fn new(app: &App) -> anyhow::Result<Self> {
        Ok(Self {
            http: client(Checked, None)?,
            outside: app.config.outside.clone(),
            waits: matches!(app.clock, Clock::System),
        })
    }

    /// Asks once. That it is not well is an answer, and no error.
    pub async fn ask(&self, endpoint: &Endpoint) -> Probe {
        let started = Instant::now();
        let mut ends = None;
        let asked = self.once(endpoint, &mut ends);
        let trouble = match tokio::time::timeout(endpoint.timeout, asked).await {
            Ok(Ok(())) => None,
            Ok(Err(trouble)) => Some(trouble),
            Err(_) => Some(Trouble {
                kind: Kind::Timeout,
                text: format!("no answer within {} s", endpoint.timeout.as_secs()),
            }),
        };
        Probe {
            trouble,
            latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            certificate_ends: ends,
        }
    }

    /// Asks until it is well as often in a row as ends a failure, or its app has had time enough to
    /// start. The last probe, and whether it is well.
    pub async fn settles(&self, endpoint: &Endpoint) -> (Probe, bool) {
        let deadline = Instant::now() + PATIENCE;
        let (mut row, mut asked) = (0, 0);
        loop {
            let probe = self.ask(endpoint).await;
            asked += 1;
            row = if probe.trouble.is_none() { row + 1 } else { 0 };
            if row >= endpoint.successes {
                return (probe, true);
            }
            let is_over = if self.waits {
                Instant::now() + PAUSE > deadline
            } else {
                asked >= PROBES.max(endpoint.successes)
            };
            if is_over {
                return (probe, false);
            }
            if self.waits {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Whether it is well now: asked at once, as often as ends a failure, and no more after one bad
    /// answer.
    pub async fn is_well(&self, endpoint: &Endpoint) -> bool {
        for _ in 0..endpoint.successes {
            if self.ask(endpoint).await.trouble.is_some() {
                return false;
            }
        }
        true
    }

    /// Whether an address answers, whatever it says; `Err` with what is wrong.
    pub async fn reaches(&self, url: &Url) -> Result<(), String> {
        let url = self.place(url).map_err(|trouble| trouble.text)?;
        let request = self.http.get(url).timeout(Duration::from_secs(10));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(trouble(&error).text),
        }
    }

    async fn once(
        &self,
        endpoint: &Endpoint,
        ends: &mut Option<DateTime<Utc>>,
    ) -> Result<(), Trouble> {
        let url = self.place(&endpoint.url)?;
        let request = self.http.get(url).timeout(endpoint.timeout);
        let mut answer = request.send().await.map_err(|error| trouble(&error))?;
        *ends = answer
            .extensions()
            .get::<reqwest::tls::TlsInfo>()
            .and_then(|tls| certificate_ends(tls.peer_certificate()?));
        let status = answer.status().as_u16();
        if status != endpoint.status {
            return Err(Trouble {
                kind: Kind::Status,
                text: format!("status {status}"),
            });
        }
        let Some(wanted) = &endpoint.body else {
            return Ok(());
        };
        let mut body = Vec::new();
        while body.len() < MOST_BODY
            && let Some(part) = answer.chunk().await.map_err(|error| trouble(&error))?
        {
            body.extend_from_slice(&part);
        }
        body.truncate(MOST_BODY);
        if String::from_utf8_lossy(&body).contains(wanted) {
            return Ok(());
        }
        Err(Trouble {
            kind: Kind::Body,
            text: "the answer lacks the text that it should have".into(),
        })
    }

    /// Where a request for `url` goes.
    fn place(&self, url: &Url) -> Result<Url, Trouble> {
        let refused = |why: &str| Trouble {
            kind: Kind::Address,
            text: format!("its address is refused: {why}"),
        };
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        if let Some(why) = ip.and_then(forbidden) {
            return Err(refused(why));
        }
        let is_here = ip.is_some_and(|ip| ip.is_loopback()) || url.host_str() == Some("localhost");
        let Some(outside) = self.outside.as_ref().filter(|_| !is_here) else {
            return Ok(url.clone());
        };
        let host = url.host_str().unwrap_or_default();
        let query = url
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        let text = format!("{outside}/outside/{host}{}{query}", url.path());
        Url::parse(&text).map_err(|error| refused(&error.to_string()))
    }
}

/// The client of all probes: names lead where `names` says; `trusted` is trusted instead of what this
/// machine trusts.
fn client(
    names: impl Resolve + 'static,
    trusted: Option<reqwest::Certificate>,
) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        // Each probe sees for itself whether a connection can be made.
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(names))
        .tls_info(true)
        .user_agent(concat!("poolkeeper/", env!("CARGO_PKG_VERSION")));
    if let Some(trusted) = trusted {
        builder = builder.tls_certs_only([trusted]);
    }
    builder.build().context("set up the client of the probes")
}

/// Resolves names, and refuses what they must not lead to. Since the very addresses that were
/// checked are connected to, a name that changes in between leads nowhere else.
struct Checked;

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            for address in &found {
                let ip = address.ip();
                if ip.to_canonical().is_loopback() && name != "localhost" {
                    return Err(Refused(format!("{name} leads to this machine")).into());
                }
                if let Some(why) = forbidden(ip) {
                    return Err(Refused(format!("{name} leads to {ip}, {why}")).into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A name that leads where nothing is asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// What is wrong, by what lies beneath the error.
fn trouble(error: &reqwest::Error) -> Trouble {
    let mut chain = Vec::new();
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        chain.push(error.to_string());
        source = error.source();
    }
    let deepest = chain.last().cloned().unwrap_or_default();
    let says = |words: &str| chain.iter().any(|text| text.contains(words));
    let (kind, text) = if error.is_timeout() {
        (Kind::Timeout, "no answer in time".into())
    } else if says("certificate") || says("TLS") || says("tls") {
        (Kind::Tls, format!("no trusted connection: {deepest}"))
    } else if says("dns error") {
        (Kind::Address, format!("its name leads nowhere: {deepest}"))
    } else if error.is_connect() {
        (Kind::Connect, format!("no connection: {deepest}"))
    } else {
        (Kind::Body, format!("the answer broke off: {deepest}"))
    };
    Trouble { kind, text }
}

/// When a certificate ends.
fn certificate_ends(der: &[u8]) -> Option<DateTime<Utc>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_certificate_ends_is_read_from_it() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["api.example".into()]).expect("names");
        params.not_after = rcgen::date_time_ymd(2031, 5, 17);
        let certificate = params.self_signed(&key).expect("a certificate");
        let ends = certificate_ends(certificate.der());
        assert_eq!(
            ends.map(|at| at.to_rfc3339()),
            Some("2031-05-17T00:00:00+00:00".into())
        );
        assert_eq!(certificate_ends(b"none"), None);
    }

    /// Every name is this machine's.
    struct Here;

    impl Resolve for Here {
        fn resolve(&self, _: Name) -> Resolving {
            let here = SocketAddr::from(([127, 0, 0, 1], 0));
            Box::pin(async move { Ok(Box::new(std::iter::once(here)) as Addrs) })
        }
    }

    /// Answers every request on a port of this machine, with a certificate for this name that ends so
    /// many days from now; what trusts it.
    async fn listener(name: &str, days: i64) -> (u16, reqwest::Certificate) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        use tokio_rustls::rustls::{self, pki_types::PrivateKeyDer};

        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let (from, until) = (
            Utc::now() - chrono::Duration::days(30),
            Utc::now() + chrono::Duration::days(days),
        );
        let date = |at: DateTime<Utc>| {
            let part = |format: &str| at.format(format).to_string();
            let number = |format: &str| part(format).parse::<u8>().expect("a number");
            let year = part("%Y").parse().expect("a year");
            rcgen::date_time_ymd(year, number("%m"), number("%d"))
        };
        (params.not_before, params.not_after) = (date(from), date(until));
        let certificate = params.self_signed(&key).expect("a certificate");
        let trusted = reqwest::Certificate::from_der(certificate.der()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .expect("a certificate");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let socket = socket.expect("a port");
        let port = socket.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, trusted)
    }

    /// What a probe makes of a certificate that a listener shows to it.
    async fn shown(name: &str, days: i64) -> Probe {
        let (port, trusted) = listener(name, days).await;
        let prober = Prober {
            http: client(Here, Some(trusted)).expect("a client"),
            outside: None,
            waits: false,
        };
        let mut endpoint = super::super::decide::tests::endpoint("api", "agent-api");
        endpoint.url = format!("https://api.example:{port}/health")
            .parse()
            .expect("a URL");
        endpoint.body = Some("ok".into());
        prober.ask(&endpoint).await
    }

    #[tokio::test]
    async fn a_certificate_that_ends_soon_is_told_while_all_is_well() {
        use super::super::decide::{Decision, Fact, Reach, decide, tests::endpoint};
        use super::super::record::Record;
        use crate::domain::Priority;

        for (days, expected) in [
            (60, None),
            (10, Some(Priority::Medium)),
            (2, Some(Priority::High)),
        ] {
            let probe = shown("api.example", days).await;
            assert_eq!(probe.trouble, None, "{days} days");
            let (endpoint, now) = (endpoint("api", "agent-api"), Utc::now());
            let record = Record::default().count(&probe, &endpoint, now);
            let fact = Fact {
                endpoint: &endpoint,
                record: record.expect("counted"),
                ended: None,
            };
            let decided = decide(&[fact], &Reach::NotAsked, false, &[], 2, now);
            let told = decided.iter().map(|decision| match decision {
                Decision::Expires { priority, .. } => *priority,
                other => panic!("{days} days: {other:?}"),
            });
            assert_eq!(told.collect::<Vec<_>>(), Vec::from_iter(expected), "{days}");
        }
    }

    #[tokio::test]
    async fn a_certificate_that_is_over_or_another_ones_is_no_answer_and_why_is_said() {
        for (name, days, says) in [
            ("api.example", -2, "expired"),
            ("other.example", 60, "not valid for name \"api.example\""),
        ] {
            let probe = shown(name, days).await;
            let trouble = probe.trouble.expect("trouble");
            assert_eq!(trouble.kind, Kind::Tls, "{}", trouble.text);
            assert!(trouble.text.contains(says), "{}", trouble.text);
            assert_eq!(probe.certificate_ends, None);
        }
        // One that nobody here trusts.
        let (port, _) = listener("api.example", 60).await;
        let (_, others) = listener("api.example", 60).await;
        let http = client(Here, Some(others)).expect("a client");
        let url = format!("https://api.example:{port}/");
        let error = http.get(url).send().await.expect_err("no trust");
        assert_eq!(trouble(&error).kind, Kind::Tls);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused() {
        // The name of this machine for itself is in every hosts file.
        for (name, taken) in [("localhost", true), ("LOCALHOST.", false)] {
            let found = Checked.resolve(name.parse().expect("a name")).await;
            assert_eq!(found.is_ok(), taken, "{name}");
        }
    }
}
