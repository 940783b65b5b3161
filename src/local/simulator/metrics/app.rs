//! Metrics of a container app: those of its replicas.

use rusqlite::Connection;

use super::series::Table;
use super::window::Window;
use crate::local::storage::Refusal;
use crate::local::telemetry::random::{hash, hash_text, share};
use crate::local::world::loads::StampLoad;
use crate::local::world::physics::Measured;
use crate::local::world::physics::app::{BEHIND, Copes, STAYS, Scale};
use crate::local::world::pressure::{Pressure, Pressures};
use crate::local::world::{Resource, past};

const GIB: f64 = 1_073_741_824.0;

/// An app, as its metrics need it.
pub(super) struct App {
    pub(super) id: String,
    pub(super) location: String,
    /// From which minute each revision served, and how it scales.
    revisions: Vec<(i64, String, Scale)>,
    pressures: Pressures,
}

impl App {
    pub(super) fn read(
        db: &Connection,
        app: &Resource,
        pressures: &[Pressure],
    ) -> Result<Self, Refusal> {
        let held = past::under(db, &app.key)?;
        let text = |name: &str| app.body[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            id: text("id"),
            location: text("location"),
            revisions: held
                .iter()
                .filter(|one| one.id == app.key)
                .map(|one| {
                    let scale = Scale::read(&one.body["scale"], &one.body["resources"]);
                    let revision = one.body["revision"].as_str().unwrap_or_default();
                    (one.from, revision.to_owned(), scale)
                })
                .collect(),
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
        let mut pods: Vec<String> = Vec::new();
        let mut pods_of = "";
        let looked_at = usize::try_from(STAYS + 1).unwrap_or(1);
        // The loads from `before` ago up to now, of each minute.
        for (minute, last) in (from..until).zip(loads.windows(looked_at + 3)) {
            if self.pressures.silent(minute) {
                continue;
            }
            let held = self
                .revisions
                .iter()
                .rev()
                .find(|(since, ..)| *since <= minute);
            let Some((_, revision, scale)) = held else {
                continue;
            };
            let most = last[..looked_at].iter().copied().fold(0.0, f64::max);
            let now = last.last().copied().unwrap_or_default();
            let replicas = scale.replicas(most);
            let copes = scale.copes(now, replicas);
            if pods_of != revision {
                pods.clear();
                pods_of = revision;
            }
            while pods.len() < replicas as usize {
                let suffix = hash(&[hash_text(revision), pods.len() as u64]) & 0xf_ffff;
                pods.push(format!("{revision}-6d8c5f9b7-{suffix:05x}"));
            }
            let bucket = window.bucket(minute);
            for table in tables.iter_mut() {
                tell(
                    table,
                    bucket,
                    minute,
                    revision,
                    &pods[..replicas as usize],
                    scale,
                    copes,
                );
            }
        }
    }
}

fn tell(
    table: &mut Table<'_>,
    bucket: usize,
    minute: i64,
    revision: &str,
    pods: &[String],
    scale: &Scale,
    copes: Copes,
) {
    let of_revision = ("revisionName", revision);
    if table.metric.name == "Replicas" {
        let measured = Measured::one(pods.len() as f64);
        table.add(&[of_revision], bucket, &measured);
        return;
    }
    let each = copes.requests / (pods.len() as f64).max(1.0);
    for (place, pod) in pods.iter().enumerate() {
        // Replicas are not asked for quite the same.
        let own = 0.96 + 0.08 * share(&[minute.cast_unsigned(), place as u64]);
        let busy = (copes.busy * own).min(1.0);
        let value = match table.metric.name {
            "CpuPercentage" => busy * 100.0,
            "MemoryPercentage" => copes.memory * 100.0,
            "UsageNanoCores" => (busy * scale.cores * 1e9).round(),
            "WorkingSetBytes" => (copes.memory * scale.gib * GIB).round(),
            _ => {
                let labels = [
                    of_revision,
                    ("podName", pod.as_str()),
                    ("statusCodeCategory", "2xx"),
                    ("statusCode", "200"),
                ];
                table.add(&labels, bucket, &Measured::one(each));
                continue;
            }
        };
        let labels = [of_revision, ("podName", pod.as_str())];
        table.add(&labels, bucket, &Measured::one(value));
    }
}
