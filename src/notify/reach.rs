//! Where channels may reach: the web by https, this machine, and no address of the platform's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::estate::is_loopback;

/// The address that a request for `url` goes to: itself, or in an embedded estate its stand-in.
///
/// Errors: why nothing is sent there; the URL is not in it.
pub(super) fn place(url: &Url, outside: Option<&str>) -> Result<Url, String> {
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || !url.username().is_empty() || url.password().is_some() {
        return Err("the address has no host, or a user in it".into());
    }
    let number = match url.host() {
        Some(url::Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    };
    if number.is_some_and(|ip| !ip.is_loopback() && is_forbidden(ip)) {
        return Err(format!(
            "`{host}` is an address of the platform: nothing goes there"
        ));
    }
    if is_loopback(host) {
        return match url.scheme() {
            "http" | "https" => Ok(url.clone()),
            _ => Err("the address is neither http nor https".into()),
        };
    }
    if url.scheme() != "https" {
        return Err("the address is not https".into());
    }
    let Some(outside) = outside else {
        return Ok(url.clone());
    };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    Url::parse(&format!(
        "{outside}/outside/{host}{port}{}{query}",
        url.path()
    ))
    .map_err(|_| "the stand-in's address cannot be used".into())
}

/// Addresses that are the platform's own (identities, metadata, its DNS), of one link, or nobody's.
pub(super) fn is_forbidden(ip: IpAddr) -> bool {
    /// Azure's own services answer there, whatever the network.
    const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(ip) => {
            ip.is_link_local()
                || ip.is_loopback()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip.octets()[0] == 0
                || ip == WIRE_SERVER
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_forbidden(IpAddr::V4(ip)),
            None => {
                ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.segments()[0] & 0xffc0 == 0xfe80
                    || ip == METADATA
            }
        },
    }
}

/// The addresses of a host that may be reached. `localhost` may be this machine, no other name may.
pub(super) async fn addresses(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let all: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let good: Vec<SocketAddr> = all
        .into_iter()
        .filter(|at| (is_loopback(host) && at.ip().is_loopback()) || !is_forbidden(at.ip()))
        .collect();
    if good.is_empty() {
        return Err(std::io::Error::other(
            "it has no address that may be reached",
        ));
    }
    Ok(good)
}

/// Looks names up, and leaves out what may not be reached: a name may change after it was judged.
#[derive(Debug)]
pub(super) struct Careful;

impl Resolve for Careful {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let good = addresses(name.as_str(), 0).await?;
            let all: Addrs = Box::new(good.into_iter());
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_requests_go() {
        let stand_in = "http://127.0.0.1:4000";
        for (url, plain, embedded) in [
            (
                "https://hooks.example.com/a/b?sig=x",
                Some("https://hooks.example.com/a/b?sig=x"),
                Some("http://127.0.0.1:4000/outside/hooks.example.com/a/b?sig=x"),
            ),
            (
                "https://hooks.example.com:8443/",
                Some("https://hooks.example.com:8443/"),
                Some("http://127.0.0.1:4000/outside/hooks.example.com:8443/"),
            ),
            (
                "http://127.0.0.1:5000/x",
                Some("http://127.0.0.1:5000/x"),
                Some("http://127.0.0.1:5000/x"),
            ),
            (
                "https://10.0.0.4/x",
                Some("https://10.0.0.4/x"),
                Some("http://127.0.0.1:4000/outside/10.0.0.4/x"),
            ),
            ("http://hooks.example.com/", None, None),
            ("ftp://127.0.0.1/", None, None),
            ("https://user@hooks.example.com/", None, None),
            ("https://169.254.169.254/metadata/identity", None, None),
            ("http://169.254.169.254/metadata/identity", None, None),
            ("https://2852039166/metadata", None, None),
            ("https://168.63.129.16/", None, None),
            ("https://[fe80::1]/", None, None),
            ("https://[::ffff:169.254.169.254]/", None, None),
            ("https://[fd00:ec2::254]/", None, None),
            ("https://0.0.0.0/", None, None),
        ] {
            let parsed = Url::parse(url).expect("a URL");
            let went = |outside| place(&parsed, outside).ok().map(String::from);
            assert_eq!(went(None).as_deref(), plain, "{url}");
            assert_eq!(went(Some(stand_in)).as_deref(), embedded, "{url}");
        }
    }

    #[tokio::test]
    async fn only_localhost_is_this_machine() {
        let own = addresses("localhost", 80).await.expect("an address");
        assert!(own.iter().all(|at| at.ip().is_loopback()));
        assert!(addresses("169.254.169.254", 80).await.is_err());
    }
}
