//! One call: paced, allowed, tried again when that is safe.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, IF_MATCH, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Action, Azure, Error, Plane};

const TRIES: u32 = 6;
const FIRST_PAUSE_MS: u64 = 250;
/// Longer than this is not waited for within one call: the work comes round again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A request of Azure.
pub struct Call<'a> {
    pub plane: Plane,
    pub method: Method,
    pub url: Url,
    /// What permission it needs.
    pub action: Action,
    /// What it is about, for messages: `vault kv-agents-jpe`.
    pub what: &'a str,
    pub body: Option<Value>,
    /// Only as it was read.
    pub if_match: Option<&'a str>,
}

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.headers.get(ETAG)?.to_str().ok()
    }

    pub fn read<T: DeserializeOwned>(self, what: &str) -> Result<T, Error> {
        serde_json::from_value(self.body).map_err(|e| Error::Unexpected {
            what: what.to_owned(),
            why: e.to_string(),
        })
    }
}

impl Azure {
    /// Reads something.
    pub async fn get<T: DeserializeOwned>(
        &self,
        plane: Plane,
        url: Url,
        action: Action,
        what: &str,
    ) -> Result<T, Error> {
        let call = Call {
            plane,
            method: Method::GET,
            url,
            action,
            what,
            body: None,
            if_match: None,
        };
        self.send(&call).await?.read(what)
    }

    /// Makes a call. What Azure asks to be repeated is repeated with growing, jittered pauses, or
    /// the pause that it names. A POST whose outcome is unknown is not repeated.
    pub async fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.check(call.plane, &call.url)?;
        let id = uuid::Uuid::new_v4().to_string();
        let mut renewed = false;
        let mut last = String::new();
        for attempt in 0..TRIES {
            let outcome = self.once(call, &id).await?;
            let pause = match outcome {
                Once::Done(answer) => return Ok(answer),
                Once::Unauthorized(_) if !renewed => {
                    self.forget_token(call.plane);
                    renewed = true;
                    continue;
                }
                Once::Unauthorized(body) => {
                    return Err(Error::from_answer(401, &body, call.what, call.action));
                }
                Once::Failed(error) => return Err(error),
                Once::Again { why, pause } => {
                    last = why;
                    pause
                }
            };
            let pause = pause.unwrap_or_else(|| growing(attempt));
            if pause > LONGEST_PAUSE || attempt + 1 == TRIES {
                break;
            }
            tracing::debug!(request = id, what = call.what, why = last, ?pause, "again");
            tokio::time::sleep(pause).await;
        }
        Err(Error::Unavailable {
            what: call.what.to_owned(),
            why: format!("{last} (request {id})"),
        })
    }

    async fn once(&self, call: &Call<'_>, id: &str) -> Result<Once, Error> {
        self.pacer
            .wait(call.plane, &call.method, &scope(&call.url))
            .await;
        let _slot = self.slots.acquire().await.map_err(|_| Error::Unavailable {
            what: call.what.to_owned(),
            why: "this process is stopping".into(),
        })?;
        let token = self.token(call.plane).await?;
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header("x-ms-client-request-id", id);
        if let Some(etag) = call.if_match {
            request = request.header(IF_MATCH, etag);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let safe = call.method != Method::POST;
        let unclear = |why: String| {
            if safe {
                Once::Again { why, pause: None }
            } else {
                Once::Failed(Error::Unavailable {
                    what: call.what.to_owned(),
                    why: format!("{why}; it may have been done"),
                })
            }
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(unclear(error.without_url().to_string())),
        };
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let bytes = match answer.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(unclear(error.without_url().to_string())),
        };
        let body: Value = if bytes.is_empty() {
            Value::Null
        } else {
            match serde_json::from_slice(&bytes) {
                Ok(body) => body,
                Err(_) if status >= 300 => Value::Null,
                Err(error) => {
                    return Ok(Once::Failed(Error::Unexpected {
                        what: call.what.to_owned(),
                        why: error.to_string(),
                    }));
                }
            }
        };
        Ok(match status {
            200..=299 => Once::Done(Answer {
                status,
                headers,
                body,
            }),
            300..=399 => Once::Failed(Error::Unexpected {
                what: call.what.to_owned(),
                why: format!("a redirect ({status}), which is never followed"),
            }),
            401 => Once::Unauthorized(body),
            // Refused before anything was done, whatever the method.
            429 => Once::Again {
                why: "too many requests".into(),
                pause: asked_pause(&headers),
            },
            408 | 500 | 502 | 503 | 504 if safe => Once::Again {
                why: format!("status {status}"),
                pause: asked_pause(&headers),
            },
            408 | 500 | 502 | 503 | 504 => unclear(format!("status {status}")),
            _ => Once::Failed(Error::from_answer(status, &body, call.what, call.action)),
        })
    }
}

/// What one try came to.
enum Once {
    Done(Answer),
    Unauthorized(Value),
    Again {
        why: String,
        pause: Option<Duration>,
    },
    Failed(Error),
}

/// What shares a limit: a subscription, or a host.
fn scope(url: &Url) -> String {
    let mut segments = url.path().split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some("subscriptions"), Some(subscription)) => subscription.to_ascii_lowercase(),
        _ => url.host_str().unwrap_or_default().to_owned(),
    }
}

/// The pause that Azure asks for, in milliseconds or seconds.
fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    number("x-ms-retry-after-ms")
        .map(Duration::from_millis)
        .or(number(RETRY_AFTER.as_str()).map(Duration::from_secs))
}

/// Doubled every time, and between half and the whole of it, so that callers do not come back in
/// step.
fn growing(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE_MS << attempt.min(6);
    let spread = uuid::Uuid::new_v4().as_u128() as u64 % (whole / 2 + 1);
    Duration::from_millis(whole / 2 + spread)
}
