//! Metrics of a container app: those of its replicas.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::Connection;
use serde_json::Value;

use super::series::Table;
use super::window::Window;
use crate::local::storage::Refusal;
use crate::local::telemetry::random::{hash, hash_text, share};
use crate::local::world::loads::StampLoad;
use crate::local::world::physics::Measured;
use crate::local::world::physics::app::{BEHIND, Copes, STAYS, Scale};
use crate::local::world::pressure::{Pressure, Pressures};
use crate::local::world::troubles::{self, TroubleKind};
use crate::local::world::{Resource, past};

const GIB: f64 = 1_073_741_824.0;

/// An app, as its metrics need it.
pub(super) struct App {
    pub(super) id: String,
    pub(super) location: String,
    /// From which minute on which revisions served.
    revisions: Vec<(i64, Vec<Served>)>,
    pressures: Pressures,
    /// What was wrong with it for everybody, in minutes from the first up to but not the last.
    troubles: Vec<(Range<i64>, TroubleKind)>,
}

/// A revision, as long as it is asked for the same.
struct Served {
    revision: String,
    /// Of the app's requests, from 0 to 1.
    share: f64,
    scale: Scale,
}

impl Served {
    fn read(kept: &Value, share: f64) -> Self {
        Self {
            revision: kept["revision"].as_str().unwrap_or_default().to_owned(),
            share,
            scale: Scale::read(&kept["scale"], &kept["resources"]),
        }
    }

    /// All that served at a time: one, or those of an app with several.
    fn all(kept: &Value) -> Vec<Self> {
        let Some(several) = kept["served"].as_array() else {
            return vec![Self::read(kept, 1.0)];
        };
        let each = several.iter().map(|one| {
            let percent = one["percent"].as_f64().unwrap_or_default();
            Self::read(one, percent / 100.0)
        });
        each.collect()
    }
}

impl App {
    pub(super) fn read(
        db: &Connection,
        app: &Resource,
        pressures: &[Pressure],
        now_ms: i64,
    ) -> Result<Self, Refusal> {
        let held = past::under(db, &app.key)?;
        let text = |name: &str| app.body[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            id: text("id"),
            location: text("location"),
            revisions: held
                .iter()
                .filter(|one| one.id == app.key)
                .map(|one| (one.from, Served::all(&one.body)))
                .collect(),
            troubles: troubles::told(db, app, now_ms)?,
            pressures: Pressures::of(pressures, &app.key),
        })
    }

    /// Adds what was measured of its replicas to the tables.
    pub(super) fn measure(&self, load: StampLoad<'_>, window: &Window, tables: &mut [Table<'_>]) {
        let (from, until) = window.known;
        let before = BEHIND + STAYS;
        let begins = from - before;
        let loads: Vec<f64> = (begins..)
            .zip(load.range(begins, until))
            .map(|(minute, load)| load * self.pressures.factor(minute))
            .collect();
        let mut pods = BTreeMap::new();
        let looked_at = usize::try_from(STAYS + 1).unwrap_or(1);
        // The loads from `before` ago up to now, of each minute.
        for (minute, last) in (from..until).zip(loads.windows(looked_at + 3)) {
            if self.pressures.silent(minute) {
                continue;
            }
            let mut held = self.revisions.iter().rev();
            let Some((_, served)) = held.find(|(since, _)| *since <= minute) else {
                continue;
            };
            let most = last[..looked_at].iter().copied().fold(0.0, f64::max);
            let now = last.last().copied().unwrap_or_default();
            let mut troubles = self.troubles.iter().rev();
            let trouble = troubles.find(|(when, _)| when.contains(&minute));
            let bucket = window.bucket(minute);
            for one in served {
                let replicas = one.scale.replicas(most * one.share);
                let mut copes = one.scale.copes(now * one.share, replicas);
                let status = answered(trouble.map(|(_, kind)| *kind), &mut copes);
                let pods = pods_of(&mut pods, &one.revision, replicas);
                for table in tables.iter_mut() {
                    let told = Told {
                        minute,
                        served: one,
                        pods,
                        copes,
                        status,
                    };
                    told.add(table, bucket);
                }
            }
        }
    }
}

/// The status of all answers under a trouble, and what it does to how replicas cope.
fn answered(trouble: Option<TroubleKind>, copes: &mut Copes) -> u16 {
    match trouble {
        Some(TroubleKind::Hang) => 504,
        Some(TroubleKind::Fail { status }) => status,
        // Nothing runs that could answer, or be busy.
        Some(TroubleKind::Crash | TroubleKind::Close) => {
            (copes.requests, copes.busy) = (0.0, 0.0);
            503
        }
        Some(TroubleKind::Slow { .. } | TroubleKind::Revision) | None => 200,
    }
}

/// The names of so many replicas of a revision.
fn pods_of<'a, 'r>(
    known: &'a mut BTreeMap<&'r str, Vec<String>>,
    revision: &'r str,
    replicas: u32,
) -> &'a [String] {
    let pods = known.entry(revision).or_default();
    while pods.len() < replicas as usize {
        let suffix = hash(&[hash_text(revision), pods.len() as u64]) & 0xf_ffff;
        pods.push(format!("{revision}-6d8c5f9b7-{suffix:05x}"));
    }
    &pods[..replicas as usize]
}

/// What is told of a revision in a minute.
struct Told<'a> {
    minute: i64,
    served: &'a Served,
    pods: &'a [String],
    copes: Copes,
    status: u16,
}

impl Told<'_> {
    fn add(&self, table: &mut Table<'_>, bucket: usize) {
        let (pods, copes, scale) = (self.pods, self.copes, &self.served.scale);
        let of_revision = ("revisionName", self.served.revision.as_str());
        if table.metric.name == "Replicas" {
            let measured = Measured::one(pods.len() as f64);
            table.add(&[of_revision], bucket, &measured);
            return;
        }
        let each = copes.requests / (pods.len() as f64).max(1.0);
        let (code, category) = (self.status.to_string(), self.status / 100);
        let category = format!("{category}xx");
        for (place, pod) in pods.iter().enumerate() {
            // Replicas are not asked for quite the same.
            let own = 0.96 + 0.08 * share(&[self.minute.cast_unsigned(), place as u64]);
            let busy = (copes.busy * own).min(1.0);
            let value = match table.metric.name {
                "CpuPercentage" => busy * 100.0,
                "MemoryPercentage" => copes.memory * 100.0,
                "UsageNanoCores" => (busy * scale.cores * 1e9).round(),
                "WorkingSetBytes" => (copes.memory * scale.gib * GIB).round(),
                // Where nobody was asked there is no count, and no zero.
                _ if each <= 0.0 => continue,
                _ => {
                    let labels = [
                        of_revision,
                        ("podName", pod.as_str()),
                        ("statusCodeCategory", category.as_str()),
                        ("statusCode", code.as_str()),
                    ];
                    table.add(&labels, bucket, &Measured::one(each));
                    continue;
                }
            };
            let labels = [of_revision, ("podName", pod.as_str())];
            table.add(&labels, bucket, &Measured::one(value));
        }
    }
}
