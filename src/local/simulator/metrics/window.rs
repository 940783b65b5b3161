//! The minutes that are asked for, in buckets, and which of them have values.

use chrono::{DateTime, SecondsFormat};

use super::ask::Question;

/// Days after which a value is forgotten.
const KEPT_DAYS: i64 = 93;

/// Minutes since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Of the first bucket.
    from: i64,
    until: i64,
    /// Of one bucket.
    length: i64,
    /// The minutes that have values: from the first, up to but not the second.
    pub(super) known: (i64, i64),
}

impl Window {
    /// `now`, and how many minutes are not told yet.
    pub(super) fn new(question: &Question, now: i64, lag: i64) -> Self {
        let (from, until) = question.minutes();
        let known_from = from.max(now - KEPT_DAYS * 1440);
        Self {
            from,
            until,
            length: question.interval.unwrap_or(until - from).max(1),
            known: (known_from, until.min(now - lag).max(known_from)),
        }
    }

    pub(super) fn buckets(&self) -> usize {
        let minutes = self.until - self.from;
        usize::try_from((minutes + self.length - 1) / self.length).unwrap_or(0)
    }

    pub(super) fn bucket(&self, minute: i64) -> usize {
        usize::try_from((minute - self.from) / self.length).unwrap_or(0)
    }

    /// When each bucket begins.
    pub(super) fn times(&self) -> Vec<String> {
        let starts = (0_i64..).map(|n| self.from + n * self.length);
        starts
            .take(self.buckets())
            .map(|minute| {
                let at = DateTime::from_timestamp(minute * 60, 0).unwrap_or_default();
                at.to_rfc3339_opts(SecondsFormat::Secs, true)
            })
            .collect()
    }
}
