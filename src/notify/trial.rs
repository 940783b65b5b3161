//! One round trip through a channel, so that it is known to work before it is needed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::channels::{self, Letter};
use super::route::may_carry;
use crate::app::App;
use crate::domain::{Act, Class, Finding, GroupKey, IncidentId, Message, Priority};
use crate::estate::Channel;

const LIMIT: Duration = Duration::from_secs(30);

/// What a channel did of an incident that is only a test.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    pub channel: String,
    pub kind: &'static str,
    pub incident: IncidentId,
    pub answers: Vec<Answered>,
    /// By which people know the ticket, where there is one.
    pub ticket: Option<String>,
    /// What keeps the channel from working.
    pub findings: Vec<Finding>,
}

/// What one message was answered with.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    pub act: Act,
    pub taken: bool,
    /// Holds no secret.
    pub said: String,
}

/// Creates, updates and resolves a test incident by one channel, without the outbox.
///
/// What goes wrong is a finding. Not safe to repeat in so far as each trial is another incident.
///
/// Errors: the estate cannot be read, or has no such channel.
pub async fn trial(app: &App, name: &str, to: &str) -> anyhow::Result<Trial> {
    let estate = app.estate()?;
    let Some(channel) = estate.channel(name) else {
        let known: Vec<&str> = estate.channel_names().into_iter().collect();
        anyhow::bail!(
            "there is no channel `{name}`: known are {}",
            known.join(", ")
        );
    };
    let now = app.clock.now();
    let key = GroupKey {
        rule: "notify-test".into(),
        tenant: None,
        resource: Some(name.to_owned()),
    };
    let number = u32::try_from(now.timestamp().rem_euclid(i64::from(u32::MAX))).unwrap_or(1);
    let incident = IncidentId::new(&key, number.max(1));
    let mut trial = Trial {
        channel: name.to_owned(),
        kind: channel.kind().as_str(),
        incident,
        answers: Vec::new(),
        ticket: None,
        findings: Vec::new(),
    };
    for secret in channel.secrets() {
        if !app.config.secrets.contains_key(secret) {
            trial.findings.push(Finding::new(
                "secret-missing",
                name,
                format!("the secret `{secret}` is not set: POOLKEEPER_SECRET_{secret}"),
            ));
        }
    }
    if trial.findings.is_empty() {
        let mut ticket = None;
        let mut raised = None;
        for act in [Act::Trigger, Act::Update, Act::Resolve] {
            let message = message(channel, &trial.incident, act, now);
            may_carry(channel, &message, estate).map_err(anyhow::Error::msg)?;
            let letter = Letter {
                notice: match act {
                    Act::Trigger => "test-trigger.0",
                    Act::Acknowledge | Act::Update => "test-update.0",
                    Act::Resolve => "test-resolve.0",
                },
                to,
                message: &message,
                ticket: ticket.as_ref(),
                raised,
                now: app.clock.now(),
            };
            match channels::send(app, channel, &letter, LIMIT).await {
                Ok(taken) => {
                    ticket = taken.ticket.or(ticket);
                    raised = Some(message.priority);
                    trial.answers.push(Answered {
                        act,
                        taken: true,
                        said: taken.said,
                    });
                }
                Err(failure) => {
                    let text = format!("{act:?} was not taken: {}", failure.why);
                    trial
                        .findings
                        .push(Finding::new("channel-fails", name, text));
                    trial.answers.push(Answered {
                        act,
                        taken: false,
                        said: failure.why,
                    });
                    // Without the first there is nothing to go on with.
                    if act == Act::Trigger {
                        break;
                    }
                }
            }
        }
        trial.ticket = ticket.map(|ticket| ticket.number);
    }
    Ok(trial)
}

fn message(channel: &Channel, incident: &IncidentId, act: Act, at: DateTime<Utc>) -> Message {
    let tenant = channel
        .tenants
        .as_ref()
        .and_then(|all| all.first().cloned());
    Message {
        incident: incident.clone(),
        act,
        priority: Priority::Low,
        class: Class::Operations,
        tenant,
        title: "Test of a channel".into(),
        text: "Nothing is wrong: somebody tests whether this channel works. テストです。".into(),
        facts: vec![("Channel".into(), channel.name.clone())],
        link: None,
        at,
    }
}
