//! When windows are open, over two weeks in which the clocks stay as they are.

use chrono::{DateTime, Duration, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;

use crate::domain::Window;

/// How often scaling looks.
pub(super) const TICK: Duration = Duration::minutes(5);
const TICKS: usize = 14 * 24 * 12;

/// Whether any of some windows is open, at each tick of two weeks.
pub(super) struct Open {
    zone: Tz,
    begin: DateTime<Utc>,
    ticks: Vec<bool>,
}

impl Open {
    pub(super) fn of(windows: &[Window], zone: Tz) -> Self {
        let begin = Utc.with_ymd_and_hms(2026, 1, 5, 0, 0, 0);
        let begin = begin.single().expect("a time there is");
        let mut open = Self {
            zone,
            begin,
            ticks: Vec::new(),
        };
        let all = (0..TICKS).map(|tick| open.at(tick));
        open.ticks = all
            .map(|at| windows.is_empty() || windows.iter().any(|w| w.holds(at, zone)))
            .collect();
        open
    }

    fn at(&self, tick: usize) -> DateTime<Utc> {
        self.begin + TICK * i32::try_from(tick).unwrap_or(i32::MAX)
    }

    pub(super) fn always(&self) -> bool {
        self.ticks.iter().all(|open| *open)
    }

    pub(super) fn never(&self) -> bool {
        !self.ticks.contains(&true)
    }

    /// Whether it is ever open so early in an hour, as Azure counts hours.
    pub(super) fn in_first_minutes(&self, minutes: u32) -> bool {
        let mut all = self.ticks.iter().enumerate();
        all.any(|(tick, open)| *open && self.at(tick).minute() < minutes)
    }

    /// Whether it is open within an hour after a time of the day, on any day.
    pub(super) fn within_an_hour_of(&self, time: chrono::NaiveTime) -> bool {
        let mut all = self.ticks.iter().enumerate();
        all.any(|(tick, open)| {
            let since = self.at(tick).with_timezone(&self.zone).time() - time;
            let since = since.num_minutes().rem_euclid(24 * 60);
            *open && since < 60
        })
    }

    /// The longest time in which it stays open, or stays closed.
    pub(super) fn longest(&self, wanted: bool) -> Duration {
        let runs = self.ticks.chunk_by(|a, b| a == b);
        let of_kind = runs.filter(|run| run.first() == Some(&wanted));
        let longest = of_kind.map(<[bool]>::len).max().unwrap_or(0);
        TICK * i32::try_from(longest).unwrap_or(i32::MAX)
    }
}
