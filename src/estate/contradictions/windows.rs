//! Windows of maintenance that keep everything quiet, or say the same twice.

use chrono::{DateTime, Duration, NaiveTime, Utc};

use super::ContradictionKind::{NeverFires, Overlap};
use super::Told;
use super::open::Open;
use crate::domain::first_instant;
use crate::estate::{Estate, QuietWindow};

pub(super) fn find(estate: &Estate, told: &mut Told<'_>) {
    for (index, window) in estate.windows.iter().enumerate() {
        let key = format!("windows[{index}].when");
        if Open::of(std::slice::from_ref(&window.when), estate.zone).always() {
            let message = "is always: what it matches is told to nobody until its last date";
            told.tell(NeverFires, &key, message);
        }
        let before = estate.windows[..index]
            .iter()
            .find(|other| other.matcher == window.matcher && overlap(estate, other, window));
        if let Some(other) = before {
            let message = format!(
                "is open while `{}` is, which matches the same: whose work it is cannot be told",
                other.name
            );
            told.tell(Overlap, &key, message);
        }
    }
}

/// Whether both are open at once, in the two weeks before the first of them ends for good.
fn overlap(estate: &Estate, a: &QuietWindow, b: &QuietWindow) -> bool {
    let last = a.until.min(b.until);
    let next = last.succ_opt().unwrap_or(last).and_time(NaiveTime::MIN);
    let Some(until) = first_instant(estate.zone, next) else {
        return false;
    };
    let after = until - Duration::days(14);
    let times = |window: &QuietWindow| -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let all = window.occurrences(after, until, estate.zone);
        all.iter().map(|quiet| (quiet.from, quiet.until)).collect()
    };
    let (a, b) = (times(a), times(b));
    a.iter().any(|a| b.iter().any(|b| a.0 < b.1 && b.0 < a.1))
}
