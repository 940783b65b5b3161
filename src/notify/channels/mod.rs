//! The kinds of channels: each turns a message into the request that its documentation describes.

mod acs_email;
mod azure_devops;
mod jira;
mod pagerduty;
mod servicenow;
mod slack;
mod smtp;
mod teams;
mod webhook;

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::http::{Failure, Kind};
use super::words;
use crate::app::App;
use crate::config::Secret;
use crate::domain::{Message, Priority};
use crate::estate::{Channel, Way};

/// What a ticket system calls the ticket of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// By which its interface knows it.
    pub id: String,
    /// By which people know it.
    pub number: String,
}

/// One message on its way to one recipient.
#[derive(Debug, Clone)]
pub(super) struct Letter<'a> {
    /// The id of the notice.
    pub(super) notice: &'a str,
    pub(super) to: &'a str,
    pub(super) message: &'a Message,
    /// The ticket that is known already.
    pub(super) ticket: Option<&'a Ticket>,
    /// The highest priority that the channel has been told to page somebody for.
    pub(super) raised: Option<Priority>,
    pub(super) now: DateTime<Utc>,
}

/// A message was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// What was answered or done, for people.
    pub(super) said: String,
    pub(super) ticket: Option<Ticket>,
    /// The channel asks for nothing more for so long.
    pub(super) pause: Option<Duration>,
}

impl Taken {
    fn new(said: impl Into<String>) -> Self {
        Self {
            said: said.into(),
            ticket: None,
            pause: None,
        }
    }

    fn ticket(said: impl Into<String>, ticket: Ticket) -> Self {
        Self {
            ticket: Some(ticket),
            ..Self::new(said)
        }
    }
}

/// Hands one message to one channel, once, within `limit`, however many requests it takes.
///
/// Errors: why it was not taken, without any secret.
pub(super) async fn send(
    app: &App,
    channel: &Channel,
    letter: &Letter<'_>,
    limit: Duration,
) -> Result<Taken, Failure> {
    let sent = async {
        match &channel.way {
            Way::Smtp(smtp) => smtp::send(app, smtp, letter).await,
            Way::AcsEmail { url, from, to } => {
                acs_email::send(app, url, from, to.as_deref(), letter).await
            }
            Way::Teams { secret } => teams::send(app, secret, letter).await,
            Way::Slack { secret } => slack::send(app, secret, letter).await,
            Way::Pagerduty { url, secret } => pagerduty::send(app, url, secret, letter).await,
            Way::Servicenow(servicenow) => servicenow::send(app, servicenow, letter).await,
            Way::Jira { .. } => jira::send(app, &channel.way, letter).await,
            Way::AzureDevops { .. } => azure_devops::send(app, &channel.way, letter).await,
            Way::Webhook { target, secret } => webhook::send(app, target, secret, letter).await,
        }
    };
    let late = || {
        let why = format!("not done within {} s", limit.as_secs());
        Err(Failure::new(Kind::Passing, why))
    };
    let outcome = tokio::time::timeout(limit, sent)
        .await
        .unwrap_or_else(|_| late());
    let secrets = revealing(app, channel);
    let plain = |text: &str| words::one_line(&words::scrubbed(text, &secrets), 300);
    match outcome {
        Ok(taken) => Ok(Taken {
            said: plain(&taken.said),
            ..taken
        }),
        Err(failure) => Err(Failure {
            why: plain(&failure.why),
            ..failure
        }),
    }
}

/// Every form in which secrets could come back to us.
fn revealing(app: &App, channel: &Channel) -> Vec<String> {
    let user = match &channel.way {
        Way::Smtp(smtp) => smtp.login.as_ref().map_or("", |(user, _)| user),
        Way::Servicenow(servicenow) => match &servicenow.login {
            crate::estate::Login::User(name) | crate::estate::Login::Client(name) => name,
        },
        Way::Jira { user, .. } => user,
        _ => "",
    };
    let mut forms = BTreeSet::new();
    for secret in app.config.secrets.values().map(Secret::reveal) {
        forms.insert(secret.to_owned());
        forms.insert(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string());
        forms.insert(BASE64_STANDARD.encode(secret));
        forms.insert(BASE64_STANDARD.encode(format!("{user}:{secret}")));
        forms.insert(BASE64_STANDARD.encode(format!("\0{user}\0{secret}")));
        if let Ok(url) = Url::parse(secret) {
            forms.insert(url.path().to_owned());
            forms.extend(url.query().map(str::to_owned));
            forms.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        }
    }
    // The longest first, so that no part of one is left when another is taken out of it.
    let mut forms: Vec<String> = forms.into_iter().collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
}

/// The secret of this name.
///
/// Errors: it is not set.
pub(super) fn secret<'a>(app: &'a App, name: &str) -> Result<&'a str, Failure> {
    app.config
        .secrets
        .get(name)
        .map(Secret::reveal)
        .ok_or_else(|| {
            let why = format!("the secret `{name}` is not set: POOLKEEPER_SECRET_{name}");
            Failure::new(Kind::Broken, why)
        })
}

/// The secret of this name, which is an address.
fn secret_url(app: &App, name: &str) -> Result<Url, Failure> {
    Url::parse(secret(app, name)?)
        .map_err(|_| Failure::new(Kind::Broken, format!("the secret `{name}` is no address")))
}

fn unexpected(what: &str) -> Failure {
    Failure::new(
        Kind::Passing,
        format!("the answer cannot be understood: {what}"),
    )
}

/// Part of an address that came in an answer: nothing that would lead elsewhere.
fn fits_path(id: &str) -> bool {
    (1..=80).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// What names a letter for as long as the incident lives: the same each time it is sent.
fn fingerprint(letter: &Letter<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [letter.message.incident.as_str(), letter.notice, letter.to] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().into()
}

/// How a ticket system finds the tickets of an incident.
fn label(message: &Message) -> String {
    format!("poolkeeper-{}", message.incident)
}

/// A message as tests use it.
#[cfg(test)]
pub(in crate::notify) fn sample(act: crate::domain::Act) -> Message {
    Message {
        incident: "inc-0123456789ab-1".parse().expect("an id"),
        act,
        priority: Priority::High,
        class: crate::domain::Class::Operations,
        tenant: None,
        title: "p95 is <above> 3 s & rising".into(),
        text: "応答が遅い。\nSince 06:00.".into(),
        facts: vec![("p95".into(), "3.4 s".into())],
        link: Some("https://pool.example.com/incidents/1".into()),
        at: "2026-03-02T06:00:00Z".parse().expect("a time"),
    }
}

#[cfg(test)]
pub(in crate::notify) fn sample_letter(message: &Message) -> Letter<'_> {
    Letter {
        notice: "opened.0",
        to: "",
        message,
        ticket: None,
        raised: None,
        now: "2026-03-02T06:00:05Z".parse().expect("a time"),
    }
}

#[cfg(test)]
fn body(request: &super::http::Request) -> serde_json::Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

#[cfg(test)]
fn header<'r>(request: &'r super::http::Request, name: &str) -> Option<&'r str> {
    let found = request.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_str())
}
