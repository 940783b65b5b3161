//! Telemetry beside a running simulator: it follows the estate's clock, what its resources offer, and
//! what is wrong with its apps.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use futures::executor::block_on;

use super::simulator::Subject;
use super::storage::Refusal;
use super::telemetry::names::carrier;
use super::telemetry::{Conditions, Fault, FaultKind, Keeping, Living, Model, Plan, Trace};
use super::world::physics::app::Scale;
use super::world::pressure::{self, Pressures};
use super::world::troubles::{self, Heals, Kept, TroubleKind};
use super::world::{World, find, partitions_serving, throughput};
use crate::estate::{Estate, Kind};

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// What ended in this time may be told yet.
const LOOKED_BACK_MS: i64 = 6 * 3600 * 1000;
/// How long to wait when files cannot be written.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Tells until it is dropped.
///
/// It is a thread of its own and no task: a program that ends waits for no file, and one that is cut
/// off half way is never seen.
pub(super) struct Teller {
    #[expect(dead_code, reason = "the thread ends when it is dropped")]
    open: Sender<()>,
    pace: Arc<Pace>,
}

/// How far it is to tell beyond the clock, and how far it has told, in minutes since 1970.
#[derive(Debug, Default)]
struct Pace {
    wanted: AtomicI64,
    told: AtomicI64,
}

impl Teller {
    /// Starts with the history that is missing.
    ///
    /// Errors: no thread can be started.
    pub(super) fn start(
        subject: Subject,
        estate: Estate,
        dir: PathBuf,
        rows_per_minute: f64,
        trace: Option<Trace>,
    ) -> anyhow::Result<Self> {
        let (open, closed) = channel();
        let pace = Arc::<Pace>::default();
        let paced = Arc::clone(&pace);
        let tell = move || {
            let plan = Plan {
                rows_per_minute,
                trace,
                ..Plan::default()
            };
            let model = Model::new(plan, &estate);
            match Living::open(&dir, Keeping::default()) {
                Ok(living) => go_on(&subject, &estate, &model, living, &closed, &paced),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "no telemetry is written");
                }
            }
        };
        std::thread::Builder::new()
            .name("telemetry".into())
            .spawn(tell)?;
        Ok(Self { open, pace })
    }

    /// Tells up to this minute now, before the clock is there: whoever moves it ahead finds that
    /// nothing is missing. Whether it has been told already; asked again and again, it will be.
    pub(super) fn has_told(&self, minute: i64) -> bool {
        self.pace.wanted.fetch_max(minute, Ordering::SeqCst);
        self.pace.told.load(Ordering::SeqCst) >= minute
    }
}

fn go_on(
    subject: &Subject,
    estate: &Estate,
    model: &Model,
    mut living: Living,
    closed: &Receiver<()>,
    pace: &Pace,
) {
    let mut wait = Duration::ZERO;
    while closed.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let Some((world, faults)) = subject.look() else {
            return;
        };
        let now = world.clock().now_ms().div_euclid(60_000);
        let now = now.max(pace.wanted.load(Ordering::SeqCst));
        let told = living.until().unwrap_or_default();
        pace.told.store(told, Ordering::SeqCst);
        if living.until().is_some_and(|until| until >= now) {
            wait = EVERY;
            continue;
        }
        let offered = block_on(offered(&world, estate));
        drop(world);
        let step = offered
            .map_err(|refusal| anyhow::anyhow!("read the simulated estate: {refusal}"))
            .and_then(|mut offered| {
                offered.faults.extend(faults);
                living.step(model, &offered, now)
            });
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

/// What the estate offers now, relative to what its load was designed for, and what is or was wrong
/// with its apps.
async fn offered(world: &World, estate: &Estate) -> Result<Conditions, Refusal> {
    let estate = estate.clone();
    world
        .run(move |db, now| {
            let mut out = Conditions::default();
            let pressures = pressure::all(db, None)?;
            // Telemetry tells of one stamp.
            let told = carrier(&estate).map_or("", |stamp| stamp.name.as_str());
            let ours = estate.resources().iter().filter(|r| r.stamp == told);
            let accounts = ours.clone().filter(|r| r.kind == Kind::CosmosAccount);
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
                        let number = |of: &str| offer.as_ref()?.body[of].as_f64();
                        let (designed, _) = throughput(name);
                        if let Some(value) = number("value") {
                            out.throughput.insert(name.clone(), value / designed as f64);
                        }
                        if let Some(most) = number("instant_maximum") {
                            let partitions = partitions_serving(most);
                            out.partitions.insert(name.clone(), partitions);
                        }
                        let pressed = Pressures::of(&pressures, &container.to_ascii_lowercase());
                        out.pressures.insert(name.clone(), pressed);
                    }
                }
            }
            for app in ours.filter(|r| r.kind == Kind::ContainerApp) {
                let Some(found) = find(db, &app.id.to_string())? else {
                    continue;
                };
                let template = &found.body["properties"]["template"];
                let scale =
                    Scale::read(&template["scale"], &template["containers"][0]["resources"]);
                out.scales.insert(app.name.clone(), scale);
                let pressed = Pressures::of(&pressures, &found.key);
                out.pressures.insert(app.name.clone(), pressed);
                // What more replicas hold off is on until they are there, and is not looked back for.
                let on = troubles::of(db, &found, now)?;
                out.faults.extend(on.iter().filter_map(fault));
            }
            let past = troubles::all(db, now - LOOKED_BACK_MS)?;
            let over = past.iter().filter(|kept| {
                kept.until.is_some_and(|until| until <= now)
                    && !matches!(kept.trouble.heals, Heals::Scale { .. })
            });
            out.faults.extend(over.filter_map(fault));
            Ok(out)
        })
        .await
}

/// What telemetry tells of an app's trouble. A trouble of less than half a minute is not seen in it.
fn fault(kept: &Kept) -> Option<Fault> {
    let kind = match kept.trouble.kind {
        TroubleKind::Hang => FaultKind::Hang,
        TroubleKind::Crash | TroubleKind::Close => FaultKind::Outage,
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of an answer")]
        TroubleKind::Slow { ms } => FaultKind::Delay(ms as f64),
        TroubleKind::Fail { status } if status >= 500 => FaultKind::Errors(1.0),
        // What a caller did wrong is no failure of the service, and a bad revision serves nobody.
        TroubleKind::Fail { .. } | TroubleKind::Revision => return None,
    };
    let minute = |ms: i64| (ms + 30_000).div_euclid(60_000);
    let (from, until) = (minute(kept.began), kept.until.map_or(i64::MAX, minute));
    (from < until).then(|| Fault {
        kind,
        from,
        until,
        tenant: kept.trouble.tenant.clone(),
        region: None,
        app: Some(kept.app.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::world::troubles::Trouble;

    #[test]
    fn what_is_wrong_with_an_app_is_told_for_as_long_as_it_is() {
        let minute = |n: i64| n * 60_000;
        for (name, kind, began, until, expected) in [
            (
                "a crash",
                TroubleKind::Crash,
                minute(10),
                Some(minute(13)),
                Some((FaultKind::Outage, 10, 13)),
            ),
            (
                "one that goes on",
                TroubleKind::Hang,
                minute(10) + 40_000,
                None,
                Some((FaultKind::Hang, 11, i64::MAX)),
            ),
            (
                "slow answers",
                TroubleKind::Slow { ms: 4000 },
                minute(10),
                Some(minute(11)),
                Some((FaultKind::Delay(4000.0), 10, 11)),
            ),
            (
                "errors",
                TroubleKind::Fail { status: 500 },
                minute(10),
                Some(minute(11)),
                Some((FaultKind::Errors(1.0), 10, 11)),
            ),
            (
                "errors of the caller",
                TroubleKind::Fail { status: 404 },
                minute(10),
                None,
                None,
            ),
            (
                "a moment",
                TroubleKind::Close,
                minute(10),
                Some(minute(10) + 20_000),
                None,
            ),
        ] {
            let kept = Kept {
                app: "agent-api".into(),
                trouble: Trouble::new(kind, Heals::Restart),
                began,
                until,
            };
            let told = fault(&kept).map(|fault| (fault.kind, fault.from, fault.until));
            assert_eq!(told, expected, "{name}");
        }
    }
}
