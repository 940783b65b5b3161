//! What keeps the embedded estate closed: this machine's own programs, and who knows the key.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderName, header};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Listens on loopback; 0 is any port.
pub(super) async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| {
            format!("listen on 127.0.0.1:{port}: is another one running? choose another port")
        })
}

/// Refuses what a page of another site made a browser send, also by a name that was made to point
/// here. A page that came from this very address may send.
pub(super) fn admit(headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|h| h.to_str().ok())
            .unwrap_or_default()
    };
    let host = text(header::HOST);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        return Err("only loopback names are served");
    }
    match headers.get(header::ORIGIN) {
        // A page that must not say where it comes from: its browser says at least that.
        Some(origin) if origin == "null" && text(SITE) == "same-origin" => Ok(()),
        Some(_) if text(header::ORIGIN).strip_prefix("http://") != Some(host) => {
            Err("other sites are not served")
        }
        _ => Ok(()),
    }
}

/// Whether the header `name` holds `key`. Both are hashed first, so that the time it takes tells
/// nothing.
pub(super) fn knows(headers: &HeaderMap, name: &str, key: &str) -> bool {
    let given = headers.get(name).map_or(&b""[..], |given| given.as_bytes());
    Sha256::digest(given) == Sha256::digest(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_page_that_may_not_say_where_it_is_from_is_served_if_its_browser_says_so() {
        for (site, served) in [
            (None, false),
            (Some("cross-site"), false),
            (Some("same-site"), false),
            (Some("same-origin"), true),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_static;
            headers.insert(header::HOST, value("127.0.0.1:7071"));
            headers.insert(header::ORIGIN, value("null"));
            if let Some(site) = site {
                headers.insert(SITE, value(site));
            }
            assert_eq!(admit(&headers).is_ok(), served, "{site:?}");
        }
    }

    #[test]
    fn who_is_served() {
        for (host, origin, served) in [
            ("127.0.0.1:7071", None, true),
            ("localhost:7071", None, true),
            ("[::1]:7071", None, true),
            ("localhost", None, true),
            ("localhost:7071", Some("http://localhost:7071"), true),
            ("localhost:7071", Some("http://localhost:7072"), false),
            ("localhost:7071", Some("https://localhost:7071"), false),
            ("localhost:7071", Some("null"), false),
            ("localhost:7071", Some(""), false),
            ("evil.example:7071", None, false),
            ("evil.example:7071", Some("http://evil.example:7071"), false),
            ("", None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a header"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("a header"));
            }
            assert_eq!(admit(&headers).is_ok(), served, "{host} {origin:?}");
        }
    }

    #[test]
    fn who_knows_the_key() {
        let mut headers = HeaderMap::new();
        assert!(!knows(&headers, "x-key", "k"));
        headers.insert("x-key", "k".parse().expect("a header"));
        assert!(knows(&headers, "x-key", "k"));
        assert!(!knows(&headers, "x-key", "kk"));
    }
}
