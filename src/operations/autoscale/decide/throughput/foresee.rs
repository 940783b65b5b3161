//! Busy: what is needed within minutes.

use chrono::Duration;

use super::Judge;

/// A trend is seen in so many minutes, and not in fewer than so many measurements.
pub(super) const TREND: i64 = 10;
const LEAST_TREND: usize = 5;

impl Judge<'_> {
    /// RU/s that it needs by the end of the time that is foreseen, by a straight line through what was
    /// wanted of it in the last minutes: as steep as it is at least, for what they scatter. `None` if
    /// that is no more than it has, or does not rise: what is refused a little and stays so is healthy.
    pub(super) fn foreseen(&self) -> Option<f64> {
        let from = self.now - Duration::minutes(TREND);
        let from = self.changed().map_or(from, |at| from.max(at));
        let minutes = self.facts.minutes.iter().filter(|m| m.at >= from);
        let points: Vec<(f64, f64)> = minutes
            .filter_map(|m| {
                // What was refused was wanted as well, and a full minute tells no more than full.
                let refused = match (m.requests, m.refused) {
                    (Some(requests), Some(refused)) if requests > 0.0 => refused / requests,
                    _ => 0.0,
                };
                let served = m.used? / 100.0 * f64::from(self.steps.current);
                let used = served / (1.0 - refused.clamp(0.0, 0.9));
                Some(((m.at - self.now).num_seconds() as f64 / 60.0, used))
            })
            .collect();
        if self.rules.foresee <= Duration::zero() || points.len() < LEAST_TREND {
            return None;
        }
        let count = points.len() as f64;
        let (x, y) = points
            .iter()
            .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        let (x, y) = (x / count, y / count);
        let over = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>();
        let under = points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
        let slope = over / under;
        let scatter = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2));
        let scatter = (scatter.sum::<f64>() / count).sqrt();
        let sure = (slope - scatter / under.sqrt()).max(0.0);
        // The newest minute is over, and metrics are late: as long as that is ahead as well.
        let newest = points.last()?.0;
        let ahead = self.rules.foresee.num_seconds() as f64 / 60.0 - newest - 1.0;
        let need = y + slope * (newest - x) + sure * ahead + scatter / 2.0;
        (sure > 0.0 && need > f64::from(self.steps.current)).then_some(need)
    }
}
