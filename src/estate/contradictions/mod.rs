//! What is right by itself and cannot be together: two writers of one thing, thresholds that never or
//! always fire, times that never meet.
//!
//! A contradiction is told by `check` and keeps no service from starting: an estate that was right
//! stays right when more of it is understood.

mod open;
mod policies;
mod rules;
mod scaling;
mod windows;
mod writers;

use std::collections::BTreeMap;

use serde::Serialize;

use super::check::Source;
use super::{Estate, Problem};
use crate::domain::ResourceId;

/// Parts of the estate file that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    pub kind: ContradictionKind,
    #[serde(flatten)]
    pub problem: Problem,
}

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContradictionKind {
    /// Two parts of the estate change one thing.
    TwoWriters,
    /// A threshold that nothing can be above or below.
    NeverFires,
    /// A threshold that what is wanted is above or below.
    AlwaysFires,
    /// What one decision leaves is what calls for the opposite one.
    Flapping,
    /// Something is left alone for longer than it is to be answered in.
    CooldownTooLong,
    /// A change that its policy never lets through.
    NeverMade,
    /// A rule asks for what nothing does.
    NeverAnswered,
    /// Two windows say the same at the same time.
    Overlap,
}

impl ContradictionKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwoWriters => "two-writers",
            Self::NeverFires => "never-fires",
            Self::AlwaysFires => "always-fires",
            Self::Flapping => "flapping",
            Self::CooldownTooLong => "cooldown-too-long",
            Self::NeverMade => "never-made",
            Self::NeverAnswered => "never-answered",
            Self::Overlap => "overlap",
        }
    }
}

/// Where what an estate says was written.
pub(super) struct Written<'a> {
    pub(super) source: &'a Source<'a>,
    /// The entry that says of a resource how it is scaled, by its id in lower case.
    pub(super) entries: &'a BTreeMap<String, String>,
}

impl Written<'_> {
    /// The key of a field that holds for a resource: of its own entry, or of the part for all.
    fn scaling(&self, id: &ResourceId, all: &str, field: &str) -> String {
        let own = self.entries.get(&id.as_str().to_ascii_lowercase());
        let own = own.map(|entry| format!("{entry}.{field}"));
        own.filter(|key| self.source.has(key))
            .unwrap_or_else(|| format!("scaling.{all}.{field}"))
    }

    /// The key of a field of an endpoint, which may be said for all of them.
    fn endpoint(&self, index: usize, field: &str) -> String {
        let own = format!("health.endpoints[{index}].{field}");
        if self.source.has(&own) {
            own
        } else {
            format!("health.{field}")
        }
    }
}

/// What was found.
struct Told<'a> {
    written: &'a Written<'a>,
    found: Vec<Contradiction>,
}

impl Told<'_> {
    /// Tells it once, for however many resources it holds.
    fn tell(&mut self, kind: ContradictionKind, key: &str, message: impl Into<String>) {
        let problem = self.written.source.problem(key, message);
        let one = Contradiction { kind, problem };
        if !self.found.contains(&one) {
            self.found.push(one);
        }
    }
}

/// Finds what contradicts itself, in the order of the file.
pub(super) fn find(estate: &Estate, written: &Written<'_>) -> Vec<Contradiction> {
    let found = Vec::new();
    let mut told = Told { written, found };
    writers::find(estate, &mut told);
    scaling::find(estate, &mut told);
    policies::find(estate, &mut told);
    rules::find(estate, &mut told);
    windows::find(estate, &mut told);
    told.found.sort_by_key(|one| one.problem.line);
    told.found
}

#[cfg(test)]
mod tests;
