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

    /// Whether a bucket holds so much that its minutes need not be looked at one by one.
    pub(super) fn is_coarse(&self) -> bool {
        self.length >= 60
    }

    /// The load of the known minutes, in blocks that lie in one hour and one bucket.
    pub(super) fn blocks(&self, loads: &[f64]) -> Vec<Block> {
        let (from, until) = self.known;
        let mut out = Vec::new();
        let mut begins = from;
        while begins < until {
            let hour_ends = (begins.div_euclid(60) + 1) * 60;
            let bucket = self.bucket(begins);
            let bucket_ends = begins + self.length - (begins - self.from).rem_euclid(self.length);
            let ends = hour_ends.min(bucket_ends).min(until);
            let place = |minute: i64| usize::try_from(minute - from).unwrap_or(0);
            let inside = &loads[place(begins)..place(ends)];
            out.push(Block {
                from: begins,
                until: ends,
                bucket,
                sum: inside.iter().sum(),
                least: inside.iter().copied().fold(f64::INFINITY, f64::min),
                most: inside.iter().copied().fold(0.0, f64::max),
            });
            begins = ends;
        }
        out
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

/// Minutes of one hour and one bucket, and the load in them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) bucket: usize,
    pub(super) sum: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}
