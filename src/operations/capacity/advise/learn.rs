//! What one replica of an app can take, learned from its history.

use serde::{Deserialize, Serialize};

use crate::operations::capacity::hourly::{Hourly, median, quantile, rounded};

/// With fewer hours nothing is learned.
const LEAST_HOURS: usize = 48;
/// So many hours are looked at pair by pair: each with each.
const MOST_HOURS: usize = 240;
/// A line is drawn where the busy hours have so many times the requests of the quiet ones.
const SPREAD: f64 = 1.3;
/// Memory that moves by fewer points between quiet and busy hours does not follow the load.
const MOVES: f64 = 2.0;

/// What an app did in an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Requests a minute that each replica had.
    pub requests: f64,
    /// Percent of what a replica has.
    pub cpu: f64,
    pub memory: Option<f64>,
}

impl Usage {
    /// The hours in which all was told that is needed, and something ran and was asked.
    #[must_use]
    pub fn hours(
        requests: &Hourly,
        replicas: &Hourly,
        cpu: &Hourly,
        memory: Option<&Hourly>,
    ) -> Vec<Self> {
        let each = requests.points().into_iter().filter_map(|(at, requests)| {
            let replicas = replicas.at(at).filter(|replicas| *replicas >= 0.5)?;
            let cpu = cpu.at(at)?;
            (requests > 0.0).then(|| Self {
                requests: requests / replicas,
                cpu,
                memory: memory.and_then(|memory| memory.at(at)),
            })
        });
        each.collect()
    }
}

/// By what a replica is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    Cpu,
    Memory,
}

/// How it was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A line through quiet and busy hours (Theil-Sen: the middle of the slopes of all pairs).
    Line,
    /// The load hardly moved: CPU for a request, as three in four hours did not exceed it.
    Ratio,
}

/// What a replica can take when it is as full as the scale rules want it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PerReplica {
    /// Requests a minute.
    pub requests: f64,
    pub limit: Limit,
    pub way: Way,
    pub hours: usize,
    /// CPU without requests, percent, and the points that one request a minute adds.
    pub cpu_base: f64,
    pub cpu_per_request: f64,
    /// The fullest that a replica was seen, percent of its CPU; what is fuller is not known.
    pub cpu_seen: f64,
    /// Percent of memory that is used whatever the load, where it is.
    pub memory_base: Option<f64>,
    /// So much memory is used without any load that another replica would not help.
    pub memory_full: bool,
}

/// A line: what there is without load, and what each unit of it adds.
struct Line {
    base: f64,
    slope: f64,
}

/// The line through points, of which some may be wild.
fn line(points: &[(f64, f64)]) -> Option<Line> {
    let step = points.len().div_ceil(MOST_HOURS).max(1);
    let some: Vec<(f64, f64)> = points.iter().copied().step_by(step).collect();
    let mut slopes = Vec::new();
    for (index, (x, y)) in some.iter().enumerate() {
        for (other, height) in &some[index + 1..] {
            if (other - x).abs() > 1e-9 {
                slopes.push((height - y) / (other - x));
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    let slope = median(slopes);
    let bases = some.iter().map(|(x, y)| y - slope * x).collect();
    Some(Line {
        base: median(bases),
        slope,
    })
}

impl PerReplica {
    /// Learns it, for replicas that are to be so full.
    ///
    /// Errors: a sentence why nothing could be learned.
    pub fn learn(hours: &[Usage], cpu_percent: u32, memory_percent: u32) -> Result<Self, String> {
        if hours.len() < LEAST_HOURS {
            return Err(format!(
                "what a replica can take is not known: in {} hours all of requests, replicas and CPU \
                 were told, and at least {LEAST_HOURS} are needed",
                hours.len()
            ));
        }
        let loads: Vec<f64> = hours.iter().map(|hour| hour.requests).collect();
        let (quiet, busy) = (quantile(loads.clone(), 0.1), quantile(loads, 0.9));
        let moves = busy > SPREAD * quiet;
        let points: Vec<_> = hours.iter().map(|hour| (hour.requests, hour.cpu)).collect();
        let drawn = line(&points).filter(|line| moves && line.slope > 0.0);
        let target = f64::from(cpu_percent);
        let seen = quantile(hours.iter().map(|hour| hour.cpu).collect(), 0.99);
        // A line that leaves no room says that it is none; one that begins below nothing begins at nothing,
        // so that a replica is trusted with less rather than more.
        let drawn = drawn.filter(|line| line.base < target);
        let (way, base, slope) = match drawn {
            Some(line) => (Way::Line, line.base.max(0.0), line.slope),
            None => {
                let each = hours.iter().map(|hour| hour.cpu / hour.requests).collect();
                (Way::Ratio, 0.0, quantile(each, 0.75))
            }
        };
        if slope <= 0.0 {
            return Err(
                "what a replica can take is not known: its CPU does not follow requests".into(),
            );
        }
        let mut requests = (target - base) / slope;
        let mut limit = Limit::Cpu;
        let (mut memory_base, mut memory_full) = (None, false);
        let memory: Vec<_> = hours
            .iter()
            .filter_map(|hour| Some((hour.requests, hour.memory?)))
            .collect();
        if memory.len() >= LEAST_HOURS {
            let top = f64::from(memory_percent);
            let usual = median(memory.iter().map(|(_, used)| *used).collect());
            match line(&memory).filter(|l| moves && l.slope * (busy - quiet) > MOVES) {
                Some(line) if line.base < top => {
                    memory_base = Some(rounded(line.base.max(0.0)));
                    let by_memory = (top - line.base) / line.slope;
                    if by_memory < requests {
                        (requests, limit) = (by_memory, Limit::Memory);
                    }
                }
                Some(line) => (memory_base, memory_full) = (Some(rounded(line.base)), true),
                None => (memory_base, memory_full) = (Some(rounded(usual)), usual > top),
            }
        }
        Ok(Self {
            requests: rounded(requests),
            limit,
            way,
            hours: hours.len(),
            cpu_base: rounded(base),
            cpu_per_request: rounded(slope),
            cpu_seen: rounded(seen),
            memory_base,
            memory_full,
        })
    }
}
