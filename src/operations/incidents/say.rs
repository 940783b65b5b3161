//! What people do to an incident.

use chrono::Duration;
use serde::Deserialize;

use super::absorb::MOST_EVENTS;
use super::hand_over;
use super::hold::Held;
use super::roster::Surroundings;
use super::state::{Incident, Status};
use crate::app::App;
use crate::domain::{IncidentEvent, IncidentId};

/// What somebody says about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Said {
    /// They have it: for the time that the policy gives, or for this many minutes.
    Ack {
        minutes: Option<i64>,
    },
    /// They give it back.
    Unack,
    Mitigate,
    Resolve,
    Reopen,
    Comment,
    /// Told to this level, or to the next, at once.
    Escalate {
        level: Option<String>,
    },
}

/// Why something is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such incident")]
    Missing,
    /// It does not go with where the incident stands.
    #[error("the incident is {0}: {1}")]
    State(Status, &'static str),
    /// What was said is not enough, or too much.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<crate::store::Error> for Refusal {
    fn from(error: crate::store::Error) -> Self {
        Self::Other(error.into())
    }
}

/// The longest reason or comment, characters.
const MOST_TEXT: usize = 4000;

/// Does what a verified person says. A repetition is written down again and changes nothing more.
///
/// Errors: [`Refusal`], with what to do.
pub async fn say(
    app: &App,
    id: &IncidentId,
    said: &Said,
    by: &str,
    reason: &str,
) -> Result<Incident, Refusal> {
    let reason = reason.trim();
    if reason.chars().count() > MOST_TEXT {
        return Err(Refusal::Invalid(format!(
            "the reason is longer than {MOST_TEXT} characters"
        )));
    }
    let surroundings = Surroundings::read(app).await?;
    let Some(mut held) = Held::take(app, id, None).await? else {
        return Err(Refusal::Missing);
    };
    let event = match judged(&held.incident, said, by, reason, &surroundings, app) {
        Ok(event) => event,
        Err(refusal) => {
            let means = surroundings.means(app, &held.incident);
            held.finish(means.as_ref()).await?;
            return Err(refusal);
        }
    };
    held.add(event).await?;
    let means = surroundings.means(app, &held.incident);
    let (incident, told) = held.finish(means.as_ref()).await?;
    if told {
        hand_over(app, id).await;
    }
    Ok(incident)
}

fn judged(
    incident: &Incident,
    said: &Said,
    by: &str,
    reason: &str,
    surroundings: &Surroundings<'_>,
    app: &App,
) -> Result<IncidentEvent, Refusal> {
    if incident.opened.is_none() {
        return Err(Refusal::Missing);
    }
    let now = app.clock.now();
    let (by, text) = (by.to_owned(), reason.to_owned());
    let needed = |what: &str| {
        if reason.is_empty() {
            Err(Refusal::Invalid(format!("{what} needs a reason")))
        } else {
            Ok(reason.to_owned())
        }
    };
    let status = incident.status_at(now);
    let over = || match status {
        Status::Resolved => Err(Refusal::State(status, "reopen it first")),
        _ => Ok(()),
    };
    match said {
        Said::Ack { minutes } => {
            over()?;
            let line = surroundings
                .policy()
                .line(incident.class, incident.priority);
            let span = match minutes {
                None => line.acknowledge,
                Some(minutes) if *minutes >= 1 => Duration::try_minutes(*minutes)
                    .filter(|span| *span <= line.acknowledge_most)
                    .ok_or_else(|| {
                        Refusal::Invalid(format!(
                            "it can be acknowledged for {} minutes at most",
                            line.acknowledge_most.num_minutes()
                        ))
                    })?,
                Some(_) => return Err(Refusal::Invalid("minutes are 1 or more".into())),
            };
            Ok(IncidentEvent::Acknowledged {
                by,
                reason: text,
                until: now + span,
            })
        }
        Said::Unack if status == Status::Acknowledged => {
            Ok(IncidentEvent::Unacknowledged { by, reason: text })
        }
        Said::Unack => Err(Refusal::State(status, "nobody has it")),
        Said::Mitigate => {
            over()?;
            let reason = needed("mitigating")?;
            Ok(IncidentEvent::Mitigated { by, reason })
        }
        Said::Resolve => {
            over()?;
            let reason = needed("resolving")?;
            Ok(IncidentEvent::Resolved { by, reason })
        }
        Said::Reopen if matches!(status, Status::Resolved | Status::Mitigated) => {
            let reason = needed("opening it again")?;
            Ok(IncidentEvent::Reopened { by, reason })
        }
        Said::Reopen => Err(Refusal::State(status, "it is not over")),
        Said::Comment if incident.events >= 5 * MOST_EVENTS => Err(Refusal::Invalid(
            "there is more to this incident than can be kept: resolve it".into(),
        )),
        Said::Comment => {
            let text = needed("a comment")?;
            Ok(IncidentEvent::Commented { by, text })
        }
        Said::Escalate { level } => {
            over()?;
            let reason = needed("escalating")?;
            if let Some(level) = level
                && !surroundings.knows(level)
            {
                return Err(Refusal::Invalid(format!(
                    "`{level}` is no level of the estate's on-call section"
                )));
            }
            Ok(IncidentEvent::Escalated {
                by,
                reason,
                level: level.clone(),
            })
        }
    }
}
