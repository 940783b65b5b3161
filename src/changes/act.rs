//! How a change of a single thing is made, and how what is there now is read.

use std::time::Duration;

use chrono::SecondsFormat;

use crate::azure::{Azure, Error, container_apps, cosmos};
use crate::domain::{Change, Mutation, Outcome, ResourceId};

const LONGEST_LOOK: Duration = Duration::from_secs(15);

/// How often what was changed is looked at, with growing pauses: some eight seconds for what Azure
/// has done when it says so, a minute for replicas, which have to start.
fn looks(mutation: &Mutation) -> u32 {
    match mutation {
        Mutation::AppRestart { .. } => 10,
        _ => 6,
    }
}

/// What is there now, held against the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Now {
    /// For people.
    pub(super) text: String,
    /// It is what it was to be before the change.
    pub(super) is_from: bool,
    /// It is what the change makes of it.
    pub(super) is_to: bool,
}

/// Reads what the change is about.
pub(super) async fn read(azure: &Azure, change: &Change) -> Result<Now, Error> {
    let on = &change.resource;
    match &change.mutation {
        Mutation::CosmosThroughput { from, to } => {
            Ok(match cosmos::throughput(azure, on).await? {
                None => Now {
                    text: "no throughput of its own".into(),
                    is_from: false,
                    is_to: false,
                },
                Some(seen) => Now {
                    text: if seen.pending {
                        format!("{}, and Azure is still at an earlier change", seen.capacity)
                    } else {
                        seen.capacity.to_string()
                    },
                    is_from: seen.capacity == *from && !seen.pending,
                    is_to: seen.capacity == *to && !seen.pending,
                },
            })
        }
        Mutation::AppReplicas { from, to } => {
            let seen = container_apps::app(azure, on).await?.replicas;
            Ok(Now {
                text: seen.to_string(),
                is_from: seen == *from,
                is_to: seen == *to,
            })
        }
        Mutation::AppRestart {
            revision,
            newest_replica,
        } => {
            let started = container_apps::started(azure, on, revision).await?;
            let is_newer = |at| newest_replica.is_none_or(|newest| at > newest);
            let oldest = started.iter().min();
            Ok(Now {
                text: match oldest {
                    None => "no replica runs".into(),
                    Some(at) => format!(
                        "{} replicas, the oldest started at {}",
                        started.len(),
                        at.to_rfc3339_opts(SecondsFormat::Secs, true)
                    ),
                },
                is_from: started.iter().max().copied() == *newest_replica,
                is_to: !started.is_empty() && started.iter().all(|at| is_newer(*at)),
            })
        }
        Mutation::LogDeletion { .. } => Err(Error::Setting(
            "blobs are deleted one by one, and not as a single thing".into(),
        )),
    }
}

/// What was to be there before the change.
pub(super) fn expected(change: &Change) -> String {
    match &change.mutation {
        Mutation::CosmosThroughput { from, .. } => from.to_string(),
        Mutation::AppReplicas { from, .. } => from.to_string(),
        Mutation::AppRestart { .. } => "not restarted since it was proposed".into(),
        Mutation::LogDeletion { .. } => "listed".into(),
    }
}

fn wanted(change: &Change) -> String {
    match &change.mutation {
        Mutation::CosmosThroughput { to, .. } => to.to_string(),
        Mutation::AppReplicas { to, .. } => to.to_string(),
        Mutation::AppRestart { .. } => "replicas that were started since".into(),
        Mutation::LogDeletion { .. } => "gone".into(),
    }
}

/// Makes the change and looks at what came of it.
pub(super) async fn make_and_read_back(azure: &Azure, change: &Change) -> Outcome {
    let made = make(azure, change).await;
    let refused = match &made {
        Ok(()) => None,
        Err(
            error @ (Error::Denied { .. }
            | Error::Refused { .. }
            | Error::Foreign(_)
            | Error::Locked { .. }
            | Error::NotFound { .. }
            | Error::Credential { .. }
            | Error::Setting(_)),
        ) => {
            return Outcome::Failed {
                why: error.to_string(),
            };
        }
        // It may have been made all the same: what is there decides.
        Err(error) => Some(error.to_string()),
    };
    let mut pause = Duration::from_millis(250);
    let mut last = None;
    for look in 0..looks(&change.mutation) {
        if look > 0 {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        match read(azure, change).await {
            Ok(seen) if seen.is_to => return Outcome::Verified { seen: seen.text },
            Ok(seen) => {
                // Refused and unchanged: there is nothing to wait for.
                if refused.is_some() && seen.is_from && look > 1 {
                    break;
                }
                last = Some(seen.text);
            }
            Err(error) => last = Some(format!("it cannot be read: {error}")),
        }
    }
    match (refused, last) {
        (Some(why), None) => Outcome::Failed { why },
        (why, last) => Outcome::NotVerified {
            wanted: wanted(change),
            seen: [last, why]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; "),
        },
    }
}

async fn make(azure: &Azure, change: &Change) -> Result<(), Error> {
    let on = &change.resource;
    match &change.mutation {
        Mutation::CosmosThroughput { to, .. } => {
            let location = cosmos::account(azure, &account_of(on)).await?.location;
            cosmos::set_throughput(azure, on, &location, *to).await
        }
        Mutation::AppReplicas { to, .. } => {
            let location = container_apps::app(azure, on).await?.location;
            container_apps::set_replicas(azure, on, &location, *to).await
        }
        Mutation::AppRestart { revision, .. } => container_apps::restart(azure, on, revision).await,
        Mutation::LogDeletion { .. } => Err(Error::Setting(
            "blobs are deleted one by one, and not as a single thing".into(),
        )),
    }
}

/// The account that a container or database lies in.
fn account_of(id: &ResourceId) -> ResourceId {
    let text = id.as_str();
    let end = text
        .to_ascii_lowercase()
        .find("/sqldatabases/")
        .unwrap_or(text.len());
    ResourceId::from_text(&text[..end])
}
