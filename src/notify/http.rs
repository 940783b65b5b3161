//! One request to a channel, and what its answer means.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::{pause, reach, words};
use crate::app::App;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// No answer that is read here is longer.
const MOST_BYTES: usize = 64 * 1024;

/// Why something was not taken, split by what is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The same may be taken later.
    Passing,
    /// Too much was sent: later, and nothing else meanwhile.
    Limited,
    /// This message is not taken, now or later.
    Refused,
    /// Nothing is taken as the channel is set up: a missing secret, a wrong key or address.
    Broken,
}

/// Something was not taken. `why` holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) why: String,
    /// What an HTTP server answered with.
    pub(super) status: Option<u16>,
    /// How long the other side asks to be left alone.
    pub(super) pause: Option<Duration>,
}

impl Failure {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self {
            kind,
            why: why.into(),
            status: None,
            pause: None,
        }
    }
}

/// A request. Everything in it but its method may be secret.
#[derive(Clone, PartialEq)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} •••", self.method)
    }
}

impl Request {
    pub(super) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: vec![("accept", "application/json".into())],
            body: Vec::new(),
        }
    }

    pub(super) fn json(method: Method, url: Url, body: &Value) -> Self {
        Self {
            method,
            url,
            headers: vec![
                ("accept", "application/json".into()),
                (CONTENT_TYPE_NAME, "application/json".into()),
            ],
            body: body.to_string().into_bytes(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }
}

const CONTENT_TYPE_NAME: &str = "content-type";

/// What the `Authorization` header says of a user with a password or token.
pub(super) fn basic(user: &str, secret: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{secret}"))
    )
}

/// `base` with more segments at its end; each is one segment, whatever it holds.
pub(super) fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// An answer that is good.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Nothing more may be sent for so long.
    pub(super) pause: Option<Duration>,
}

impl Reply {
    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn is_html(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE);
        kind.and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.starts_with("text/html"))
    }
}

/// The client of all channels.
///
/// Errors: it cannot be made.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .timeout(ANSWER_LIMIT)
        // A redirect would carry keys where nobody checked.
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(std::sync::Arc::new(reach::Careful))
        .no_proxy()
        .user_agent(concat!("poolkeeper/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// Makes a request. Not tried again here.
///
/// Errors: what it was not taken for.
pub(super) async fn exchange(app: &App, request: Request) -> Result<Reply, Failure> {
    let http = app
        .outside()
        .map_err(|error| Failure::new(Kind::Passing, format!("the HTTP client: {error}")))?;
    let url = reach::place(&request.url, app.config.outside.as_deref())
        .map_err(|why| Failure::new(Kind::Broken, why))?;
    let mut call = http.request(request.method.clone(), url).body(request.body);
    for (name, value) in &request.headers {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            Failure::new(
                Kind::Broken,
                format!("the header {name} has a value that none can have"),
            )
        })?;
        value.set_sensitive(*name == AUTHORIZATION.as_str());
        call = call.header(*name, value);
    }
    let unclear = |error: reqwest::Error| {
        let what = if error.is_timeout() {
            "no answer in time"
        } else if error.is_connect() {
            "it cannot be reached"
        } else {
            "the connection broke"
        };
        Failure::new(Kind::Passing, what)
    };
    let mut answer = call.send().await.map_err(unclear)?;
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unclear)? {
        if body.len() + piece.len() > MOST_BYTES {
            let why = format!("status {status}, and an answer of more than 64 KB");
            return Err(Failure::new(Kind::Passing, why));
        }
        body.extend_from_slice(&piece);
    }
    let now = app.clock.now();
    let pause = pause::asked(&headers, !(200..300).contains(&status), now);
    let kind = match status {
        200..=299 => {
            return Ok(Reply {
                status,
                headers,
                body,
                pause,
            });
        }
        429 => Kind::Limited,
        408 | 425 | 500..=599 => Kind::Passing,
        300..=399 | 401 | 403 | 404 | 407 | 410 => Kind::Broken,
        _ => Kind::Refused,
    };
    let why = match said(&body) {
        _ if (300..400).contains(&status) => {
            format!("status {status}: a redirect, which is never followed")
        }
        Some(said) => format!("status {status}: {said}"),
        None => format!("status {status}"),
    };
    Err(Failure {
        kind,
        why,
        status: Some(status),
        pause,
    })
}

/// What a refusal says of itself, the message of its JSON. Whoever shows it takes secrets out of it
/// first and shortens it then, since half a secret is not found.
fn said(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let texts = [
        &body["error"]["message"],
        &body["message"],
        &body["error_description"],
        &body["errorMessages"][0],
        &body["errors"][0],
        &body["error"],
    ];
    let text = texts.iter().find_map(|value| value.as_str())?;
    Some(words::one_line(text, 4000)).filter(|text| !text.is_empty())
}
