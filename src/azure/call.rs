//! One call: paced, allowed, tried again when that is safe.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Action, Azure, Error, Plane};

const TRIES: u32 = 6;
const FIRST_PAUSE_MS: u64 = 250;
/// Longer than this is not waited for within one call: the work comes round again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A call is not tried once more after this time: an invocation has ten minutes.
const LONGEST_CALL: Duration = Duration::from_secs(150);

/// A request of Azure.
pub struct Call<'a> {
    pub plane: Plane,
    pub method: Method,
    pub url: Url,
    /// What permission it needs.
    pub action: Action,
    /// What it is about, for messages: `vault kv-agents-jpe`.
    pub what: &'a str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// Whether a POST may be made twice: it asks, or its effect is the same.
    pub repeatable: bool,
    /// Asked just before each try, however long the call has waited by then.
    pub permit: Option<&'a dyn Permit>,
    /// How long an answer is waited for, where that of all calls is too short.
    pub patience: Option<Duration>,
}

/// Whether a call that changes something may still be made.
pub trait Permit: Send + Sync {
    /// `Err` with why, if it may not any more.
    fn holds(&self) -> BoxFuture<'_, Result<(), String>>;
}

impl<'a> Call<'a> {
    /// A call without a body.
    #[must_use]
    pub fn new(plane: Plane, method: Method, url: Url, action: Action, what: &'a str) -> Self {
        let repeatable = method != Method::POST;
        Self {
            plane,
            method,
            url,
            action,
            what,
            headers: Vec::new(),
            body: None,
            repeatable,
            permit: None,
            patience: None,
        }
    }

    #[must_use]
    pub fn permit(mut self, permit: &'a dyn Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// An earlier try of the same call ended without a clear answer: its effect may have been there
    /// already.
    pub uncertain: bool,
}

impl Answer {
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.header(ETAG.as_str())
    }

    /// The text of a header, whatever the capitals of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; null when it is empty.
    pub fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        let body: &[u8] = if self.body.is_empty() {
            b"null"
        } else {
            &self.body
        };
        serde_json::from_slice(body).map_err(|e| Error::Unexpected {
            what: what.to_owned(),
            why: e.to_string(),
        })
    }

    pub(super) fn asked_pause(&self) -> Option<Duration> {
        asked_pause(&self.headers)
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
        let call = Call::new(plane, Method::GET, url, action, what);
        self.send(&call).await?.read(what)
    }

    /// Makes a call. What Azure asks to be repeated is repeated with growing, jittered pauses, or
    /// the pause that it names. A POST whose outcome is unknown is not repeated.
    pub async fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.check(call.plane, &call.url)?;
        let id = uuid::Uuid::new_v4().to_string();
        let (mut renewed, mut uncertain) = (false, false);
        let mut last = String::new();
        let started = std::time::Instant::now();
        for attempt in 0..TRIES {
            let pause = match self.once(call, &id).await? {
                Once::Done(answer) => {
                    return Ok(Answer {
                        uncertain,
                        ..answer
                    });
                }
                Once::Unauthorized if !renewed => {
                    self.forget_token(call.plane);
                    renewed = true;
                    continue;
                }
                Once::Unauthorized => {
                    return Err(Error::Denied {
                        what: call.what.to_owned(),
                        action: call.action.0,
                        why: "the token is not taken".into(),
                    });
                }
                // What an earlier try may have deleted is gone by our own hand.
                Once::Failed(Error::NotFound { .. })
                    if uncertain && call.method == Method::DELETE =>
                {
                    return Ok(Answer {
                        status: 404,
                        headers: HeaderMap::new(),
                        body: Bytes::new(),
                        uncertain,
                    });
                }
                Once::Failed(error) => return Err(error),
                Once::Again { why, pause, done } => {
                    uncertain |= done;
                    last = why;
                    pause
                }
            };
            let pause = pause.unwrap_or_else(|| growing(attempt));
            let too_long = started.elapsed() + pause > LONGEST_CALL;
            if pause > LONGEST_PAUSE || too_long || attempt + 1 == TRIES {
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
        let scope = scope(&call.url);
        // Before the slot, so that a scope that has to wait keeps nobody else waiting.
        self.pacer.wait(call.plane, &call.method, &scope).await;
        let _slot = self.slot(call.plane).await?;
        let token = self.token(call.plane).await?;
        if let Some(permit) = call.permit
            && let Err(why) = permit.holds().await
        {
            return Err(Error::Stopped {
                what: call.what.to_owned(),
                why,
            });
        }
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header("x-ms-client-request-id", id);
        if let Some(patience) = call.patience {
            request = request.timeout(patience);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        } else if call.method == Method::POST {
            request = request.header("content-length", "0");
        }
        let unclear = |why: String| {
            if call.repeatable {
                Once::Again {
                    why,
                    pause: None,
                    done: true,
                }
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
        if status >= 400 {
            // Azure's support asks for both ids.
            tracing::info!(
                request = id,
                azure_request = text(&headers, "x-ms-request-id"),
                correlation = text(&headers, "x-ms-correlation-request-id"),
                status,
                what = call.what,
                method = %call.method,
                "Azure refused"
            );
        }
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(error) => return Ok(unclear(error.without_url().to_string())),
        };
        Ok(match status {
            200..=299 => Once::Done(Answer {
                status,
                headers,
                body,
                uncertain: false,
            }),
            300..=399 => Once::Failed(Error::Unexpected {
                what: call.what.to_owned(),
                why: format!("a redirect ({status}), which is never followed"),
            }),
            401 => Once::Unauthorized,
            // Log Analytics' own way of saying so.
            403 if call.plane == Plane::Logs && super::error::is_about_the_token(&body) => {
                Once::Unauthorized
            }
            // Refused before anything was done, whatever the method. Others in the same scope wait
            // as well: their calls would only be refused too.
            429 => {
                let pause = asked_pause(&headers);
                let held = pause.unwrap_or(Duration::from_secs(1)).min(LONGEST_PAUSE);
                self.pacer.hold(call.plane, &call.method, &scope, held);
                Once::Again {
                    why: "too many requests".into(),
                    pause: pause.map(spread),
                    done: false,
                }
            }
            503 if call.repeatable => {
                let pause = asked_pause(&headers);
                if let Some(pause) = pause {
                    let held = pause.min(LONGEST_PAUSE);
                    self.pacer.hold(call.plane, &call.method, &scope, held);
                }
                Once::Again {
                    why: "status 503".into(),
                    pause: pause.map(spread),
                    done: true,
                }
            }
            408 | 500 | 502 | 504 if call.repeatable => Once::Again {
                why: format!("status {status}"),
                pause: asked_pause(&headers),
                done: true,
            },
            408 | 500 | 502 | 503 | 504 => unclear(format!("status {status}")),
            400 if call.plane == Plane::Logs => Once::Failed(Error::of_query(&body, call.what)),
            _ => Once::Failed(Error::from_answer(
                status,
                &headers,
                &body,
                call.what,
                call.action,
            )),
        })
    }
}

/// What one try came to.
enum Once {
    Done(Answer),
    Unauthorized,
    Again {
        why: String,
        pause: Option<Duration>,
        /// It may have been done all the same.
        done: bool,
    },
    Failed(Error),
}

/// What shares a limit: a subscription, or a host and the first part of its path.
pub(super) fn scope(url: &Url) -> String {
    let mut segments = url.path().split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some("subscriptions"), Some(subscription)) => subscription.to_ascii_lowercase(),
        // On loopback the account is in the path.
        (Some("blob"), Some(account)) => account.to_owned(),
        _ => url.host_str().unwrap_or_default().to_owned(),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The pause that Azure asks for, in milliseconds or seconds.
fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    number("x-ms-retry-after-ms")
        .map(Duration::from_millis)
        .or(number(RETRY_AFTER.as_str()).map(Duration::from_secs))
}

/// A little later than asked for, so that callers do not come back in step.
fn spread(pause: Duration) -> Duration {
    pause + Duration::from_millis(uuid::Uuid::new_v4().as_u128() as u64 % 100)
}

/// Doubled every time, and between half and the whole of it, so that callers do not come back in
/// step.
fn growing(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE_MS << attempt.min(6);
    let spread = uuid::Uuid::new_v4().as_u128() as u64 % (whole / 2 + 1);
    Duration::from_millis(whole / 2 + spread)
}
