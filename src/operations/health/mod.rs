//! Health: every endpoint is probed once a minute, what fails is told, and a repair of it begins.
//!
//! What was seen is counted in the store, a document for each endpoint, so it does not matter which
//! process ticks, or how many do. What is done about it is one pure decision over all endpoints.

mod decide;
mod incidents;
mod probe;
mod record;
mod signal;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use url::Url;

use super::recovery;
use crate::app::{App, Clock};
use crate::domain::{IncidentEvent, Priority};
use crate::estate::Endpoint;
use crate::store::Error;
use decide::certificate_occurrence;

pub use decide::{Decision, Fact, Reach, Tried, decide, may_try};
pub(super) use incidents::{happened, take};
pub use probe::{Kind, Probe, Prober, Trouble};
pub(super) use record::escalated;
pub use record::{Ended, Record, Told, read};
pub(super) use signal::BY;
pub use signal::{key, probe_key};

#[cfg(test)]
pub(in crate::operations) use decide::tests::endpoint as example;

/// How many endpoints are asked at once.
const AT_ONCE: usize = 16;
/// Probes begin within so long, so that endpoints are not all asked in the same instant.
const SPREAD_MS: u64 = 3000;
/// What is not asked by then is asked in the next minute.
const LIMIT: Duration = Duration::from_secs(50);

/// Whether people were told that the probe may be broken: `health-probe.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Suspicion {
    occurrence: Option<String>,
    since: Option<DateTime<Utc>>,
}

/// How long after somebody ended the doubt of the probe it is told once more.
const AGAIN: chrono::Duration = chrono::Duration::minutes(3);
const SUSPICION: &str = "health-probe.json";

/// Probes every endpoint of the estate and does what follows from it; a line about it. Safe to
/// repeat and from any number of processes: a minute is counted once, and what is told twice is
/// told once.
///
/// Errors: the store or the estate; everything else was done as far as it could be.
pub async fn tick(app: &App) -> anyhow::Result<String> {
    let health = &app.estate()?.health;
    let mut problems = forget(app, &health.endpoints).await;
    if health.endpoints.is_empty() {
        return end("no endpoint is to be probed".into(), problems);
    }
    let prober = Prober::new(app)?;
    let looks: Vec<_> = health
        .endpoints
        .iter()
        .map(|endpoint| look(app, &prober, endpoint))
        .collect();
    let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
    let deadline = tokio::time::Instant::now() + LIMIT;
    while let Ok(Some(seen)) = tokio::time::timeout_at(deadline, looks.next()).await {
        if let Err(error) = seen {
            problems.push(format!("{error:#}"));
        }
    }
    drop(looks);
    let mut facts = Vec::new();
    for endpoint in &health.endpoints {
        let record = record::read(app, &endpoint.name).await?;
        let told = record.told.as_ref().filter(|_| record.failing);
        let ended = match told.and_then(|told| told.incident.as_ref()) {
            Some(incident) => incidents::ended(app, incident).await?,
            None => None,
        };
        facts.push(Fact {
            endpoint,
            record,
            ended,
        });
    }
    let failing = facts.iter().filter(|fact| fact.record.failing).count();
    let reach = if failing == 0 {
        Reach::NotAsked
    } else {
        reach(app, &prober, health.known_good.as_ref()).await
    };
    let suspicion = app.store()?.get::<Suspicion>(SUSPICION).await?;
    let suspected = suspicion.is_some_and(|stored| stored.value.occurrence.is_some());
    let tried = recovery::tried(app).await?;
    let now = app.clock.now();
    let decisions = decide(&facts, &reach, suspected, &tried, health.most_attempts, now);
    let did = decisions.len();
    for decision in decisions {
        let about = format!("{decision:?}");
        if let Err(error) = carry_out(app, &health.endpoints, decision).await {
            problems.push(format!("{about}: {error:#}"));
        }
    }
    problems.extend(recovery::tick(app).await);
    let line = format!(
        "{} endpoints, {failing} not well, {did} decisions",
        health.endpoints.len()
    );
    end(line, problems)
}

fn end(line: String, problems: Vec<String>) -> anyhow::Result<String> {
    if problems.is_empty() {
        Ok(line)
    } else {
        anyhow::bail!("{line}; {}", problems.join("; "))
    }
}

/// Probes an endpoint and counts what was seen, unless this minute was counted.
async fn look(app: &App, prober: &Prober, endpoint: &Endpoint) -> anyhow::Result<()> {
    let known = record::read(app, &endpoint.name).await?;
    if known.has_counted(app.clock.now()) {
        return Ok(());
    }
    if matches!(app.clock, Clock::System) {
        let pause = uuid::Uuid::new_v4().as_u128() as u64 % SPREAD_MS;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let now = app.clock.now();
    let probe = prober.ask(endpoint).await;
    if let Some(trouble) = &probe.trouble {
        tracing::info!(endpoint = endpoint.name, why = trouble.text, "not well");
    }
    record::update(app, &endpoint.name, |record| {
        record.count(&probe, endpoint, now)
    })
    .await?;
    Ok(())
}

/// Whether the probe reaches what always answers.
async fn reach(app: &App, prober: &Prober, known_good: Option<&Url>) -> Reach {
    let url = match known_good {
        Some(url) => Ok(url.clone()),
        None => Url::parse(&app.config.azure.arm_endpoint).map_err(|error| error.to_string()),
    };
    let reached = match &url {
        Ok(url) => prober.reaches(url).await,
        Err(why) => Err(why.clone()),
    };
    match reached {
        Ok(()) => Reach::Works,
        Err(why) => Reach::Broken(why),
    }
}

async fn carry_out(app: &App, endpoints: &[Endpoint], decision: Decision) -> anyhow::Result<()> {
    let now = app.clock.now();
    let of = |name: &str| {
        let mut all = endpoints.iter();
        all.find(|endpoint| endpoint.name == name)
    };
    match decision {
        Decision::Suspect { names, why } => suspect(app, &names, &why).await,
        Decision::Trust => trust(app).await,
        Decision::Fire { name, priority } => {
            let Some(endpoint) = of(&name) else {
                return Ok(());
            };
            fire(app, endpoint, priority).await
        }
        Decision::Ended { name, ended } => {
            let record = record::read(app, &name).await?;
            if let Some(told) = record.told {
                record::ended(app, &name, &told.occurrence, ended).await?;
            }
            Ok(())
        }
        Decision::Again { name, priority } => match of(&name) {
            Some(endpoint) => again(app, endpoint, priority).await,
            None => Ok(()),
        },
        Decision::Clear { name } => {
            let Some(endpoint) = of(&name) else {
                return Ok(());
            };
            let why = format!("{} good probes in a row", endpoint.successes);
            clear(app, endpoint, &why).await
        }
        Decision::Escalate { name } => {
            let (Some(endpoint), record) = (of(&name), record::read(app, &name).await?) else {
                return Ok(());
            };
            let Some(told) = record.told else {
                return Ok(());
            };
            if let Some(incident) = &told.incident {
                let event = IncidentEvent::Escalated {
                    by: BY.into(),
                    reason: format!(
                        "{name} has not been well for {} minutes",
                        endpoint.escalate_after.num_minutes()
                    ),
                    level: None,
                };
                happened(app, incident, event).await?;
            }
            escalated(app, &name, &told.occurrence).await?;
            Ok(())
        }
        Decision::Expires { name, at, priority } => {
            let Some(endpoint) = of(&name) else {
                return Ok(());
            };
            let said = certificate_occurrence(at, priority);
            let before = record::read(app, &name).await?.certificate_told;
            take(app, &signal::expires(endpoint, at, priority, &said, now)).await?;
            // The new one first: the incident goes on.
            if let Some(before) = before.filter(|before| *before != said) {
                let text = "It is told anew.";
                take(app, &signal::renewed(endpoint, &before, text, now)).await?;
            }
            remember_certificate(app, &name, Some(said)).await
        }
        Decision::Renewed { name } => {
            let Some(endpoint) = of(&name) else {
                return Ok(());
            };
            if let Some(said) = record::read(app, &name).await?.certificate_told {
                let text = "The certificate that it shows now ends later.";
                take(app, &signal::renewed(endpoint, &said, text, now)).await?;
            }
            remember_certificate(app, &name, None).await
        }
        Decision::Recover { name } => match of(&name) {
            Some(endpoint) => recovery::start(app, endpoint).await,
            None => Ok(()),
        },
    }
}

/// Tells a failure, or that it got worse. What is about to be told is written down first: whoever is
/// killed in between leaves it to the next tick, and its end is told too.
async fn fire(app: &App, endpoint: &Endpoint, priority: Priority) -> anyhow::Result<()> {
    let now = app.clock.now();
    let record = record::update(app, &endpoint.name, |record| {
        let told = Told {
            key: signal::key(endpoint),
            occurrence: signal::occurrence(record, now),
            priority,
            incident: None,
            escalated: false,
            again: None,
            ended: None,
            untold: true,
        };
        let is_new = record.failing && record.told.is_none();
        is_new.then(|| Record {
            told: Some(told),
            ..record.clone()
        })
    })
    .await?;
    hand_over(app, endpoint, &record, priority).await
}

/// Tells a failure once more whose incident was ended while it goes on: as another occurrence, named
/// by that end, so that several processes tell the same.
async fn again(app: &App, endpoint: &Endpoint, priority: Priority) -> anyhow::Result<()> {
    let record = record::read(app, &endpoint.name).await?;
    let now = app.clock.now();
    let Some(told) = &record.told else {
        return Ok(());
    };
    let Some(ended) = told.ended.filter(|_| !told.untold) else {
        return hand_over(app, endpoint, &record, priority).await;
    };
    // Of the one that was ended nothing stays that would fire.
    let why = "it goes on as another occurrence";
    let end = signal::clears(endpoint, told.priority, &told.occurrence, why, now);
    take(app, &end).await?;
    let next = Told {
        occurrence: signal::occurrence_after(&record, ended.at, now),
        escalated: false,
        again: Some(now),
        untold: true,
        ..told.clone()
    };
    let record = record::tell(app, &endpoint.name, &told.occurrence, &next).await?;
    hand_over(app, endpoint, &record, priority).await
}

/// Hands what is written down as to be told to its incident, and remembers that.
async fn hand_over(
    app: &App,
    endpoint: &Endpoint,
    record: &Record,
    priority: Priority,
) -> anyhow::Result<()> {
    let Some(told) = &record.told else {
        return Ok(());
    };
    let now = app.clock.now();
    let mut signal = signal::fires(endpoint, record, priority, &told.occurrence, now);
    if let Some(ended) = told.ended.filter(|_| told.untold) {
        signal.text.push_str(&signal::in_spite_of(ended));
    }
    let incident = take(app, &signal).await?;
    let next = Told {
        key: signal.key,
        priority,
        incident,
        ended: None,
        untold: false,
        ..told.clone()
    };
    record::tell(app, &endpoint.name, &told.occurrence, &next).await?;
    Ok(())
}

async fn remember_certificate(app: &App, name: &str, said: Option<String>) -> anyhow::Result<()> {
    record::update(app, name, |record| {
        Some(Record {
            certificate_told: said.clone(),
            ..record.clone()
        })
    })
    .await?;
    Ok(())
}

/// Tells that a failure is over, and forgets it.
async fn clear(app: &App, endpoint: &Endpoint, why: &str) -> anyhow::Result<()> {
    let record = record::read(app, &endpoint.name).await?;
    let Some(told) = record.told else {
        return Ok(());
    };
    let now = app.clock.now();
    let signal = signal::clears(endpoint, told.priority, &told.occurrence, why, now);
    take(app, &signal).await?;
    record::update(app, &endpoint.name, |record| {
        let same = record.told.as_ref();
        let is_it = same.is_some_and(|known| known.occurrence == told.occurrence);
        is_it.then(|| Record {
            told: None,
            ..record.clone()
        })
    })
    .await?;
    Ok(())
}

async fn suspect(app: &App, names: &[String], why: &str) -> anyhow::Result<()> {
    let (store, now) = (app.store()?, app.clock.now());
    store.create(SUSPICION, &Suspicion::default()).await?;
    let Some(stored) = store.get::<Suspicion>(SUSPICION).await? else {
        anyhow::bail!("`{SUSPICION}` vanished while it was read");
    };
    if let Some(known) = &stored.value.occurrence {
        // Whoever ended it while it lasts hears once that it does.
        let ended = incidents::newest_ended(app, &signal::probe_key()).await?;
        if ended.is_none_or(|at| now - at < AGAIN) {
            return Ok(());
        }
        let text = "It goes on as another occurrence.";
        take(app, &signal::trusts(known, text, now)).await?;
    }
    // The minute names it, so that two processes tell the same.
    let occurrence = now.format("%Y%m%dT%H%MZ").to_string();
    take(app, &signal::suspects(names, why, &occurrence, now)).await?;
    let next = Suspicion {
        occurrence: Some(occurrence),
        since: Some(now),
    };
    match store.replace(SUSPICION, &next, &stored.etag, None).await {
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn trust(app: &App) -> anyhow::Result<()> {
    let store = app.store()?;
    let Some(stored) = store.get::<Suspicion>(SUSPICION).await? else {
        return Ok(());
    };
    let Some(occurrence) = &stored.value.occurrence else {
        return Ok(());
    };
    let text = "Not everything fails any more; what still does is told by itself.";
    take(app, &signal::trusts(occurrence, text, app.clock.now())).await?;
    let next = Suspicion::default();
    match store.replace(SUSPICION, &next, &stored.etag, None).await {
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Ends what was told of endpoints that are not in the estate any more, and forgets them.
async fn forget(app: &App, endpoints: &[Endpoint]) -> Vec<String> {
    let found = async {
        let store = app.store()?;
        for path in store.list_all("health/").await? {
            let name = path.trim_start_matches("health/").trim_end_matches(".json");
            if endpoints.iter().any(|endpoint| endpoint.name == name) {
                continue;
            }
            let record = record::read(app, name).await?;
            if let Some(told) = record.told {
                let signal = signal::forgotten(name, &told, app.clock.now());
                take(app, &signal).await?;
            }
            store.delete(&path).await?;
        }
        anyhow::Ok(())
    };
    match found.await {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("forget endpoints: {error:#}")],
    }
}
