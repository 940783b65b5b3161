//! Container apps: how many replicas the platform runs for a load, and how they cope.

use serde_json::Value;

/// Replicas of [`CORES`] that would be busy to the last at the mean load.
const WORK: f64 = 1.5;
/// Requests a minute that such a replica answers when it is busy to the last.
const SERVES: f64 = 3000.0;
/// What the load is measured in.
const CORES: f64 = 0.5;
/// GiB that a replica takes at rest, and more when it is busy.
const RESTS_GIB: f64 = 0.44;
const BUSY_GIB: f64 = 0.18;
/// Seconds that an answer takes, for rules by concurrent requests.
const ANSWER_SECONDS: f64 = 0.15;
/// What the platform adds replicas by when an app has no rule: requests at the same time.
const DEFAULT_CONCURRENT: f64 = 10.0;
/// Minutes until a replica that is needed serves.
pub(in crate::local) const BEHIND: i64 = 3;
/// Minutes for which it stays after that.
pub(in crate::local) const STAYS: i64 = 5;

/// What the platform scales an app by.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::local) struct Scale {
    pub(in crate::local) least: u32,
    pub(in crate::local) most: u32,
    /// Of one replica.
    pub(in crate::local) cores: f64,
    pub(in crate::local) gib: f64,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    /// Share of the CPU, from 0 to 1.
    Cpu(f64),
    /// Share of the memory.
    Memory(f64),
    /// Requests at the same time.
    Concurrent(f64),
}

impl Scale {
    /// From `scale` and `resources` of a template. Rules that look at what is not simulated, such as
    /// queues, ask for no replica.
    pub(in crate::local) fn read(scale: &Value, resources: &Value) -> Self {
        let number = |value: &Value| {
            let text = value.as_str().and_then(|text| text.parse::<f64>().ok());
            value.as_f64().or(text)
        };
        let count = |name: &str| scale[name].as_u64().and_then(|n| u32::try_from(n).ok());
        let rules = scale["rules"].as_array().into_iter().flatten();
        let rules: Vec<Option<Rule>> = rules
            .map(|rule| {
                let custom = &rule["custom"];
                let value = number(&custom["metadata"]["value"]).map(|percent| percent / 100.0);
                match custom["type"].as_str() {
                    Some("cpu") => value.map(Rule::Cpu),
                    Some("memory") => value.map(Rule::Memory),
                    _ => number(&rule["http"]["metadata"]["concurrentRequests"])
                        .map(Rule::Concurrent),
                }
            })
            .collect();
        let by_default = rules
            .is_empty()
            .then_some(Rule::Concurrent(DEFAULT_CONCURRENT));
        let gib = resources["memory"]
            .as_str()
            .and_then(|text| text.strip_suffix("Gi")?.parse().ok());
        Self {
            least: count("minReplicas").unwrap_or(0),
            most: count("maxReplicas").unwrap_or(10).max(1),
            cores: number(&resources["cpu"])
                .filter(|cores| *cores > 0.0)
                .unwrap_or(CORES),
            gib: gib.filter(|gib| *gib > 0.0).unwrap_or(2.0 * CORES),
            rules: rules.into_iter().flatten().chain(by_default).collect(),
        }
    }

    /// Between so many replicas of the usual size, by a share of the CPU alone.
    pub(in crate::local) fn by_cpu(least: u32, most: u32, share: f64) -> Self {
        Self {
            least,
            most: most.max(least).max(1),
            cores: CORES,
            gib: 2.0 * CORES,
            rules: vec![Rule::Cpu(share)],
        }
    }

    /// How many replicas run when the load was at most this, between the minutes [`BEHIND`] and
    /// [`BEHIND`] + [`STAYS`] ago.
    pub(in crate::local) fn replicas(&self, load: f64) -> u32 {
        let work = self.work(load);
        let needs = |rule: &Rule| match *rule {
            Rule::Cpu(share) => work / share.max(0.01),
            // It takes some when it rests: below that, no number of replicas is enough.
            Rule::Memory(share) => match share * self.gib - RESTS_GIB {
                room if room <= 0.0 => f64::INFINITY,
                room => BUSY_GIB * work / room,
            },
            Rule::Concurrent(most) => load * WORK * SERVES / 60.0 * ANSWER_SECONDS / most.max(1.0),
        };
        let wanted = self.rules.iter().map(needs).fold(0.0, f64::max).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most what is allowed"
        )]
        let wanted = wanted.min(f64::from(self.most)) as u32;
        wanted.clamp(self.least.min(self.most), self.most)
    }

    /// In replicas of this size that would be busy to the last.
    fn work(&self, load: f64) -> f64 {
        WORK * load * CORES / self.cores
    }

    /// What comes of a load on so many replicas.
    pub(in crate::local) fn copes(&self, load: f64, replicas: u32) -> Copes {
        let asked = load * WORK * SERVES;
        if replicas == 0 {
            return Copes::default();
        }
        let wanted = self.work(load) / f64::from(replicas);
        let busy = wanted.min(1.0);
        let gib = RESTS_GIB + BUSY_GIB * busy;
        Copes {
            busy,
            wanted,
            memory: (gib / self.gib).min(1.0),
            requests: (asked * (busy / wanted).min(1.0)).round(),
        }
    }
}

/// How replicas cope.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::local) struct Copes {
    /// Share of their CPU that is used.
    pub(in crate::local) busy: f64,
    /// Share that would be, if they had more.
    pub(in crate::local) wanted: f64,
    /// Share of their memory.
    pub(in crate::local) memory: f64,
    /// Requests that were answered in a minute.
    pub(in crate::local) requests: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scale(rules: &Value) -> Scale {
        let scale = json!({ "minReplicas": 2, "maxReplicas": 10, "rules": rules });
        Scale::read(&scale, &json!({ "cpu": 0.5, "memory": "1Gi" }))
    }

    fn custom(kind: &str, value: &str) -> Value {
        json!({ "name": kind, "custom": {
            "type": kind, "metadata": { "type": "Utilization", "value": value },
        } })
    }

    #[test]
    fn how_many_replicas_run() {
        let cpu = scale(&json!([custom("cpu", "70")]));
        for (name, scale, load, expected) in [
            ("a calm night", &cpu, 0.3, 2),
            ("a busy noon", &cpu, 2.0, 5),
            ("more than there may be", &cpu, 9.0, 10),
            (
                "memory that is never enough",
                &scale(&json!([custom("cpu", "70"), custom("memory", "40")])),
                0.3,
                10,
            ),
            (
                "memory that is",
                &scale(&json!([custom("cpu", "70"), custom("memory", "80")])),
                0.3,
                2,
            ),
            ("no rule: ten requests at once", &scale(&json!([])), 3.0, 4),
            (
                "a queue is not looked at",
                &scale(&json!([custom("azure-queue", "5")])),
                3.0,
                2,
            ),
        ] {
            assert_eq!(scale.replicas(load), expected, "{name}");
        }
    }

    #[test]
    fn more_replicas_are_less_busy_and_full_ones_answer_no_more() {
        let cpu = scale(&json!([custom("cpu", "70")]));
        let (two, four) = (cpu.copes(1.0, 2), cpu.copes(1.0, 4));
        assert!((two.busy - 0.75).abs() < 1e-9 && (four.busy - 0.375).abs() < 1e-9);
        assert!(two.memory > four.memory);
        let full = cpu.copes(4.0, 2);
        assert!((full.busy - 1.0).abs() < 1e-9 && full.requests <= 2.0 * SERVES);
        let large = Scale { cores: 1.0, ..cpu };
        assert!((large.copes(1.0, 2).busy - 0.375).abs() < 1e-9);
    }
}
