//! Telemetry beside a running simulator: it follows the estate's clock, and what its resources offer.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use futures::executor::block_on;

use super::simulator::Subject;
use super::storage::Refusal;
use super::telemetry::{Conditions, Keeping, Living, Model, Plan};
use super::world::{World, find, throughput};
use crate::estate::{Estate, Kind};

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait when files cannot be written.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Tells until it is dropped.
///
/// It is a thread of its own and no task: a program that ends waits for no file, and one that is cut
/// off half way is never seen.
pub(super) struct Teller(
    #[expect(dead_code, reason = "the thread ends when it is dropped")] Sender<()>,
);

impl Teller {
    /// Starts with the history that is missing.
    ///
    /// Errors: no thread can be started.
    pub(super) fn start(
        subject: Subject,
        estate: Estate,
        dir: PathBuf,
        rows_per_minute: f64,
    ) -> anyhow::Result<Self> {
        let (open, closed) = channel();
        let tell = move || {
            let plan = Plan {
                rows_per_minute,
                ..Plan::default()
            };
            let model = Model::new(plan, &estate);
            match Living::open(&dir, Keeping::default()) {
                Ok(living) => go_on(&subject, &estate, &model, living, &closed),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "no telemetry is written");
                }
            }
        };
        std::thread::Builder::new()
            .name("telemetry".into())
            .spawn(tell)?;
        Ok(Self(open))
    }
}

fn go_on(
    subject: &Subject,
    estate: &Estate,
    model: &Model,
    mut living: Living,
    closed: &Receiver<()>,
) {
    let mut wait = Duration::ZERO;
    while closed.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let Some((world, faults)) = subject.look() else {
            return;
        };
        let now = world.clock().now_ms().div_euclid(60_000);
        if living.until().is_some_and(|until| until >= now) {
            wait = EVERY;
            continue;
        }
        let offered = block_on(offered(&world, estate));
        drop(world);
        let step = offered
            .map_err(|refusal| anyhow::anyhow!("read the simulated estate: {refusal}"))
            .and_then(|offered| living.step(model, &Conditions { faults, ..offered }, now));
        wait = match step {
            Ok(Some(_)) => Duration::ZERO,
            Ok(None) => EVERY,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "telemetry cannot be written");
                AFTER_FAILURE
            }
        };
    }
}

/// What the estate offers now, relative to what its load was designed for.
async fn offered(world: &World, estate: &Estate) -> Result<Conditions, Refusal> {
    let estate = estate.clone();
    world
        .run(move |db, _| {
            let mut out = Conditions::default();
            let accounts = estate
                .resources()
                .iter()
                .filter(|r| r.kind == Kind::CosmosAccount);
            for account in accounts {
                let stamps = estate
                    .stamps
                    .iter()
                    .filter(|stamp| stamp.name == account.stamp);
                for cosmos in stamps.filter_map(|stamp| stamp.cosmos.as_ref()) {
                    for name in &cosmos.containers {
                        let container = format!(
                            "{}/sqlDatabases/{}/containers/{name}",
                            account.id, cosmos.database
                        );
                        let offer = find(db, &format!("{container}/throughputSettings/default"))?;
                        let value = offer.and_then(|offer| offer.body["value"].as_f64());
                        let (designed, _) = throughput(name);
                        if let Some(value) = value {
                            out.throughput.insert(name.clone(), value / designed as f64);
                        }
                    }
                }
            }
            for app in estate
                .resources()
                .iter()
                .filter(|r| r.kind == Kind::ContainerApp)
            {
                let Some(found) = find(db, &app.id.to_string())? else {
                    continue;
                };
                let scale = &found.body["properties"]["template"]["scale"];
                let count = |name: &str| scale[name].as_u64().and_then(|n| u32::try_from(n).ok());
                if let Some(range) = count("minReplicas").zip(count("maxReplicas")) {
                    out.replicas.insert(app.name.clone(), range);
                }
            }
            Ok(out)
        })
        .await
}
