//! How a change of a single thing is made, and how what is there now is read.

use std::time::Duration;

use chrono::SecondsFormat;

use super::brake::Brake;
use crate::azure::{Azure, Error, container_apps, cosmos, redis};
use crate::domain::{Change, Mutation, Outcome, ResourceId, Weight, utilizations};

const LONGEST_LOOK: Duration = Duration::from_secs(15);

/// How often what was changed is looked at, with growing pauses: some eight seconds for what Azure
/// has done when it says so, a minute for replicas and revisions, which have to start.
fn looks(mutation: &Mutation) -> u32 {
    match mutation {
        Mutation::AppRestart { .. }
        | Mutation::AppReplicas { .. }
        | Mutation::AppScaleRules { .. } => 10,
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
    /// Nothing more comes of what was begun.
    pub(super) is_over: bool,
}

impl Now {
    fn new(text: String, is_from: bool, is_to: bool) -> Self {
        Self {
            text,
            is_from,
            is_to,
            is_over: false,
        }
    }
}

/// Reads what the change is about.
pub(super) async fn read(azure: &Azure, change: &Change) -> Result<Now, Error> {
    let on = &change.resource;
    match &change.mutation {
        Mutation::CosmosThroughput { from, to } => {
            Ok(match cosmos::throughput(azure, on).await? {
                None => Now::new("no throughput of its own".into(), false, false),
                Some(seen) => Now::new(
                    if seen.pending {
                        format!("{}, and Azure is still at an earlier change", seen.capacity)
                    } else {
                        seen.capacity.to_string()
                    },
                    seen.capacity == *from && !seen.pending,
                    seen.capacity == *to && !seen.pending,
                ),
            })
        }
        Mutation::CosmosIndexing { from, to, .. } => {
            let seen = cosmos::container(azure, on).await?.policy;
            Ok(Now::new(
                seen.to_string(),
                seen.is_same(from),
                seen.is_same(to),
            ))
        }
        Mutation::AppReplicas { from, to } => {
            let seen = container_apps::app(azure, on).await?;
            let now = Now::new(
                seen.replicas.to_string(),
                seen.replicas == *from,
                seen.replicas == *to,
            );
            rolled_out(azure, on, seen, now).await
        }
        Mutation::AppScaleRules { from, to } => {
            let seen = container_apps::app(azure, on).await?;
            let rules = container_apps::utilizations(&seen.scale_rules);
            let now = Now::new(utilizations(&rules), rules == *from, rules == *to);
            rolled_out(azure, on, seen, now).await
        }
        Mutation::AppRestart { revision, replicas } => {
            let running = container_apps::running(azure, on, revision).await?;
            let left = running.iter().filter(|r| replicas.contains(r)).count();
            let is_to = !running.is_empty() && left == 0;
            let oldest = running.iter().map(|r| r.started).min();
            let text = match oldest {
                None => "no replica runs".into(),
                Some(at) => format!(
                    "{} replicas, {left} of them from before, the oldest started at {}",
                    running.len(),
                    at.to_rfc3339_opts(SecondsFormat::Secs, true)
                ),
            };
            Ok(Now::new(text, !is_to, is_to))
        }
        Mutation::AppTraffic { from, to } => {
            let seen = container_apps::app(azure, on).await?.traffic;
            let parts: Vec<_> = seen.iter().map(ToString::to_string).collect();
            Ok(Now::new(parts.join(", "), seen == *from, seen == *to))
        }
        Mutation::CacheFlush => {
            // Whether it was emptied is not to be seen: only that Azure has ended its work.
            let seen = redis::cache(azure, on).await?;
            let text = format!("the cache is {}", seen.state);
            Ok(Now::new(text, seen.is_settled(), false))
        }
        Mutation::LogDeletion { .. } => Err(Error::Setting(
            "blobs are deleted one by one, and not as a single thing".into(),
        )),
    }
}

/// Another template is another revision: it counts when that one runs.
async fn rolled_out(
    azure: &Azure,
    on: &ResourceId,
    seen: container_apps::App,
    mut now: Now,
) -> Result<Now, Error> {
    let is_ready = seen.newest_revision == seen.latest_revision;
    now.is_to &= is_ready;
    if let Some(newest) = seen.newest_revision.filter(|_| !is_ready) {
        let revisions = container_apps::revisions(azure, on).await?;
        let revision = revisions.into_iter().find(|r| r.name == newest);
        now.is_over = revision.as_ref().is_some_and(|r| r.has_failed());
        let state = revision.map_or_else(
            || "unknown".into(),
            |r| match r.error {
                Some(error) => format!("{} ({error})", r.provisioning),
                None => r.provisioning,
            },
        );
        now.text = format!("{}, and revision {newest} is not ready: {state}", now.text);
    }
    Ok(now)
}

/// What was to be there before the change.
pub(super) fn expected(change: &Change) -> String {
    match &change.mutation {
        Mutation::CosmosThroughput { from, .. } => from.to_string(),
        Mutation::CosmosIndexing { from, .. } => from.to_string(),
        Mutation::AppReplicas { from, .. } => from.to_string(),
        Mutation::AppScaleRules { from, .. } => utilizations(from),
        Mutation::AppRestart { .. } => "running as it was proposed".into(),
        Mutation::AppTraffic { from, .. } => parts(from),
        Mutation::CacheFlush => "a cache at which Azure is not at work".into(),
        Mutation::LogDeletion { .. } => "listed".into(),
    }
}

fn parts(weights: &[Weight]) -> String {
    let parts: Vec<_> = weights.iter().map(ToString::to_string).collect();
    parts.join(", ")
}

fn wanted(change: &Change) -> String {
    match &change.mutation {
        Mutation::CosmosThroughput { to, .. } => to.to_string(),
        Mutation::CosmosIndexing { to, .. } => to.to_string(),
        Mutation::AppReplicas { to, .. } => to.to_string(),
        Mutation::AppScaleRules { to, .. } => utilizations(to),
        Mutation::AppRestart { .. } => "new replicas only".into(),
        Mutation::AppTraffic { to, .. } => parts(to),
        Mutation::CacheFlush => "the end of Azure's operation".into(),
        Mutation::LogDeletion { .. } => "gone".into(),
    }
}

/// Makes the change and looks at what came of it.
pub(super) async fn make_and_read_back(
    azure: &Azure,
    change: &Change,
    brake: &Brake<'_>,
) -> Outcome {
    let made = make(azure, change, brake).await;
    if let Err(
        error @ (Error::Denied { .. }
        | Error::Refused { .. }
        | Error::Foreign(_)
        | Error::Locked { .. }
        | Error::NotFound { .. }
        | Error::Credential { .. }
        | Error::Setting(_)),
    ) = &made
    {
        // Azure, or we, refused before anything was taken.
        return Outcome::Failed {
            why: error.to_string(),
        };
    }
    // In every other case it may have been made: what is there decides.
    let stopped = matches!(made, Err(Error::Stopped { .. }));
    let trouble = made.err().map(|error| error.to_string());
    let patient = trouble.is_none();
    if matches!(change.mutation, Mutation::CacheFlush) && patient {
        // The operation has come to its end: more than its end is not to be seen.
        return match read(azure, change).await {
            Ok(seen) if seen.is_from => Outcome::Verified {
                seen: format!("Azure has ended the operation, and {}", seen.text),
            },
            seen => Outcome::NotVerified {
                wanted: wanted(change),
                seen: told(seen),
            },
        };
    }
    match (look(azure, change, patient).await, trouble) {
        (Ok(seen), _) if seen.is_to => Outcome::Verified { seen: seen.text },
        (_, Some(why)) if stopped => match brake.pulled().await {
            Some(hold) => Outcome::Held { hold },
            None => Outcome::Failed { why },
        },
        // A flush leaves nothing to be seen, so it may have been made.
        (Ok(seen), Some(why))
            if seen.is_from && !matches!(change.mutation, Mutation::CacheFlush) =>
        {
            Outcome::Failed { why }
        }
        (seen, trouble) => Outcome::NotVerified {
            wanted: wanted(change),
            seen: [Some(told(seen)), trouble]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; "),
        },
    }
}

/// What came of a change that a process began and did not see the end of. A restart and a flush are
/// never made a second time; anything else is made again if nothing has changed since.
pub(super) async fn go_on(azure: &Azure, change: &Change, brake: &Brake<'_>) -> Outcome {
    let seen = look(azure, change, true).await;
    match &seen {
        Ok(now) if now.is_to => Outcome::Verified {
            seen: now.text.clone(),
        },
        Ok(now) if now.is_from && !is_once(&change.mutation) => {
            make_and_read_back(azure, change, brake).await
        }
        _ => Outcome::NotVerified {
            wanted: wanted(change),
            seen: format!(
                "{}; the process that began it died, and it is not made again",
                told(seen)
            ),
        },
    }
}

/// Whether it must not be made twice, and what is there does not say whether it was made.
fn is_once(mutation: &Mutation) -> bool {
    matches!(mutation, Mutation::AppRestart { .. } | Mutation::CacheFlush)
}

fn told(seen: Result<Now, Error>) -> String {
    match seen {
        Ok(now) => now.text,
        Err(error) => format!("it cannot be read: {error}"),
    }
}

/// Looks until the change is there, or often enough; what was seen last. The impatient look only
/// as long as a refusal needs to be believed.
async fn look(azure: &Azure, change: &Change, patient: bool) -> Result<Now, Error> {
    let mut pause = Duration::from_millis(250);
    let mut last = read(azure, change).await;
    for look in 1..looks(&change.mutation) {
        match &last {
            Ok(seen) if seen.is_to || seen.is_over => break,
            Ok(seen) if seen.is_from && !patient && look > 2 => break,
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
        last = read(azure, change).await;
    }
    last
}

async fn make(azure: &Azure, change: &Change, brake: &Brake<'_>) -> Result<(), Error> {
    let on = &change.resource;
    match &change.mutation {
        Mutation::CosmosThroughput { to, .. } => {
            let location = cosmos::account(azure, &account_of(on)).await?.location;
            cosmos::set_throughput(azure, on, &location, *to, brake).await
        }
        Mutation::CosmosIndexing { from, to, .. } => {
            let account = cosmos::account(azure, &account_of(on)).await?;
            if let Some(capability) = account.hides_indexes {
                return Err(Error::Setting(format!(
                    "the account has {capability}: a part of the indexing policy is not shown and would be lost"
                )));
            }
            cosmos::set_indexing(azure, on, from, to, brake).await
        }
        Mutation::AppReplicas { to, .. } => {
            let location = container_apps::app(azure, on).await?.location;
            container_apps::set_replicas(azure, on, &location, *to, brake).await
        }
        Mutation::AppScaleRules { from, to } => {
            container_apps::set_scale_rules(azure, on, from, to, brake).await
        }
        Mutation::AppRestart { revision, .. } => {
            container_apps::restart(azure, on, revision, brake).await
        }
        Mutation::AppTraffic { to, .. } => {
            let location = container_apps::app(azure, on).await?.location;
            container_apps::set_traffic(azure, on, &location, to, brake).await
        }
        Mutation::CacheFlush => redis::flush(azure, on, brake).await,
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
