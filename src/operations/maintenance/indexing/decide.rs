//! What the index of a container should be, by the queries that it really answers. Pure.
//!
//! A path that queries filter on or sort by and that is not indexed is to be added, and so is a
//! composite index that an ORDER BY over several properties needs. A join alone needs no index; it
//! only keeps what it touches from being taken out. Something is taken out only if every query of
//! the whole window is understood, there are enough of them, and none of them touches it.

use std::collections::{BTreeMap, BTreeSet};

use super::sql::{self, Uses};
use crate::domain::{IndexingPolicy, Pattern, PropertyPath, Sort, sorted_by};

/// What is asked less often within the window may be somebody who tries something out.
pub(super) const LEAST_RUNS: u64 = 10;

/// One query text on one day.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) text: String,
    /// Whole days since the window began.
    pub(super) day: u32,
    pub(super) runs: u64,
    /// How many of the runs have a logged charge.
    pub(super) charged: u64,
    /// The charge of those, RU.
    pub(super) units: Option<f64>,
}

/// What a container did within the window.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Evidence {
    /// Length of the window.
    pub(super) days: u32,
    pub(super) asked: Vec<Asked>,
    pub(super) writes: u64,
    /// The charge of the writes, RU.
    pub(super) write_units: Option<f64>,
}

/// The index as it stands.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) policy: IndexingPolicy,
    /// Partition and unique keys: used, whatever queries say.
    pub(super) keys: Vec<PropertyPath>,
}

/// What is to be said of a container, as codes and sentences, and what is to become of its index,
/// with a sentence for each part of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Judged {
    pub(super) findings: Vec<(&'static str, String)>,
    pub(super) change: Option<(IndexingPolicy, Vec<String>)>,
    pub(super) runs: u64,
    pub(super) texts: u64,
    pub(super) unread: u64,
}

/// One query text over the whole window.
#[derive(Default)]
struct Query {
    runs: u64,
    charged: u64,
    units: f64,
    uses: Uses,
}

pub(super) fn judge(standing: &Standing, evidence: &Evidence, least_queries: u64) -> Judged {
    let mut judged = Judged {
        runs: evidence.asked.iter().map(|asked| asked.runs).sum(),
        ..Judged::default()
    };
    if judged.runs == 0 {
        judged.findings.push((
            "indexing-no-data",
            format!(
                "no query of it was logged within {} days, so nothing is said about its index",
                evidence.days
            ),
        ));
        return judged;
    }
    let mode = standing.policy.mode();
    if mode != "consistent" {
        let why = format!("its indexing mode is {mode}, which somebody chose: it is left as it is");
        judged.findings.push(("indexing-mode", why));
        return judged;
    }
    let queries = understood(evidence, &mut judged);
    let mut policy = standing.policy.clone();
    let mut evidenced = Vec::new();
    add_paths(&mut policy, &queries, evidence, &mut evidenced);
    add_composites(&mut policy, &queries, evidence, &mut evidenced);
    let mut less = policy.clone();
    let mut taken = Vec::new();
    take_out(&mut less, standing, &queries, evidence, &mut taken);
    if !taken.is_empty() {
        match too_little(evidence, &judged, least_queries) {
            None => {
                policy = less;
                evidenced.append(&mut taken);
            }
            Some(why) => judged.findings.push((
                "indexing-kept",
                format!(
                    "{} parts of its index seem unused and stay: {why}",
                    taken.len()
                ),
            )),
        }
    }
    if !evidenced.is_empty() {
        judged.change = Some((policy, evidenced));
    }
    judged
}

/// The queries that can be read; the others are counted and told.
fn understood(evidence: &Evidence, judged: &mut Judged) -> Vec<Query> {
    let mut texts: BTreeMap<&str, Query> = BTreeMap::new();
    for asked in &evidence.asked {
        let query = texts.entry(&asked.text).or_default();
        query.runs += asked.runs;
        query.charged += asked.charged;
        query.units += asked.units.unwrap_or_default();
    }
    judged.texts = texts.len() as u64;
    let (mut queries, mut unread, mut reasons) = (Vec::new(), 0, BTreeSet::new());
    for (text, query) in texts {
        match sql::read(text) {
            Ok(uses) => queries.push(Query { uses, ..query }),
            Err(why) => {
                judged.unread += 1;
                unread += query.runs;
                reasons.insert(why);
            }
        }
    }
    if judged.unread > 0 {
        let reasons: Vec<&str> = reasons.into_iter().collect();
        judged.findings.push((
            "queries-not-understood",
            format!(
                "{} of {} query texts, which ran {unread} of {} times, are not understood ({}): nothing is taken out of its index",
                judged.unread,
                judged.texts,
                judged.runs,
                reasons.join("; ")
            ),
        ));
    }
    queries
}

/// Why nothing may be taken out, if so.
fn too_little(evidence: &Evidence, judged: &Judged, least_queries: u64) -> Option<String> {
    if judged.unread > 0 {
        return Some("not every query is understood".into());
    }
    let days: BTreeSet<u32> = evidence.asked.iter().map(|asked| asked.day).collect();
    let covered = (0..evidence.days).filter(|day| days.contains(day)).count();
    if covered < evidence.days as usize {
        return Some(format!(
            "queries were logged on {covered} of {} days only",
            evidence.days
        ));
    }
    (judged.runs < least_queries).then(|| {
        format!(
            "{} queries within {} days are fewer than indexing.least_queries, {least_queries}",
            judged.runs, evidence.days
        )
    })
}

/// What queries with a certain use ran and cost, as a sentence.
fn cost<'q>(queries: impl Iterator<Item = &'q Query>, evidence: &Evidence) -> (u64, String) {
    let (mut runs, mut charged, mut units) = (0, 0, 0.0);
    for query in queries {
        runs += query.runs;
        charged += query.charged;
        units += query.units;
    }
    let effect = if charged == 0 {
        "expected effect on queries: no data, as none of them has a logged charge".to_owned()
    } else {
        format!(
            "expected effect on queries: at most the {units:.0} RU that {charged} of them cost are saved, since what they cost with an index is not known"
        )
    };
    (
        runs,
        format!("{runs} queries in {} days; {effect}", evidence.days),
    )
}

fn add_paths(
    policy: &mut IndexingPolicy,
    queries: &[Query],
    evidence: &Evidence,
    evidenced: &mut Vec<String>,
) {
    let mut wanted: BTreeSet<Pattern> = BTreeSet::new();
    for query in queries {
        let sorts = query.uses.sorts.iter().map(|sort| &sort.path);
        let plain = query.uses.filters.iter().chain(sorts);
        wanted.extend(plain.map(|path| Pattern {
            path: path.clone(),
            deep: false,
        }));
        wanted.extend(query.uses.deep.iter().map(|path| Pattern {
            path: path.clone(),
            deep: true,
        }));
    }
    for pattern in wanted {
        // Below a path that is looked into, something must be indexed.
        let inside = pattern.path.elements();
        if policy.indexes(&pattern.path) || (pattern.deep && policy.indexes(&inside)) {
            continue;
        }
        let uses = |query: &&Query| {
            let sorts = query.uses.sorts.iter().map(|sort| &sort.path);
            let plain = query.uses.filters.iter().chain(&query.uses.deep);
            plain.chain(sorts).any(|path| *path == pattern.path)
        };
        let (runs, told) = cost(queries.iter().filter(uses), evidence);
        if runs < LEAST_RUNS {
            continue;
        }
        policy.include(&pattern);
        evidenced.push(format!(
            "add {pattern}: filtered on or sorted by without an index in {told}; writes get dearer: no data by how much"
        ));
    }
}

fn add_composites(
    policy: &mut IndexingPolicy,
    queries: &[Query],
    evidence: &Evidence,
    evidenced: &mut Vec<String>,
) {
    let wanted: BTreeSet<&[Sort]> = queries
        .iter()
        .map(|query| &query.uses.sorts[..])
        .filter(|sorts| sorts.len() > 1)
        .collect();
    for sorts in wanted {
        if policy.composites().iter().any(|index| serves(index, sorts)) {
            continue;
        }
        let uses = |query: &&Query| serves(&query.uses.sorts, sorts);
        let (runs, told) = cost(queries.iter().filter(uses), evidence);
        if runs < LEAST_RUNS {
            continue;
        }
        policy.add_composite(sorts);
        evidenced.push(format!(
            "add composite {}: Azure sorts by several properties with one only, in {told}; writes get dearer: no data by how much",
            sorted_by(sorts)
        ));
    }
}

/// Whether a composite index serves an ORDER BY: the same paths in the same sequence, in the same
/// or all in the other direction.
fn serves(index: &[Sort], sorts: &[Sort]) -> bool {
    let pairs = || index.iter().zip(sorts);
    index.len() == sorts.len()
        && pairs().all(|(a, b)| a.path == b.path)
        && (pairs().all(|(a, b)| a.descending == b.descending)
            || pairs().all(|(a, b)| a.descending != b.descending))
}

/// Takes out what no query touches: paths that are included by name where the rest is not, what is
/// only shown where everything is included, and composite indexes.
fn take_out(
    policy: &mut IndexingPolicy,
    standing: &Standing,
    queries: &[Query],
    evidence: &Evidence,
    taken: &mut Vec<String>,
) {
    let special = standing.policy.special();
    let used: BTreeSet<&PropertyPath> = queries
        .iter()
        .flat_map(|query| query.uses.indexed())
        .chain(&standing.keys)
        .chain(&special)
        .collect();
    let is_used = |path: &PropertyPath| used.iter().any(|used| used.meets(path));
    let everywhere = format!("no query of {} days touches it", evidence.days);
    let own = standing.policy.included();
    let is_root = |pattern: &Pattern| pattern.path.is_root();
    if standing.policy.excluded().iter().any(is_root) {
        let share = match (evidence.write_units, evidence.writes) {
            (Some(units), writes) if writes > 0 => format!(
                "expected effect on writes: at most {:.0} RU, the share of one of {} included paths in the {units:.0} RU of {writes} writes if all cost the same and nothing else does",
                units / own.len().max(1) as f64,
                own.len()
            ),
            _ => "expected effect on writes: no data, as no write has a logged charge".to_owned(),
        };
        for pattern in own.iter().filter(|p| !is_root(p) && !is_used(&p.path)) {
            policy.drop_included(pattern);
            taken.push(format!("take out {pattern}: {everywhere}; {share}"));
        }
    } else if own.is_empty() || own.iter().any(is_root) {
        let shown: BTreeSet<&PropertyPath> =
            queries.iter().flat_map(|query| &query.uses.shown).collect();
        let mut out: Vec<&PropertyPath> = Vec::new();
        for path in shown {
            let by_name = own.iter().any(|p| !is_root(p) && p.path.meets(path));
            let known = out.iter().any(|other| other.meets(path));
            let partly = standing
                .policy
                .excluded()
                .iter()
                .any(|p| p.path.meets(path));
            let gone = by_name || known || partly || path.is_always_indexed();
            if gone || is_used(path) || !policy.indexes(path) {
                continue;
            }
            out.push(path);
            let pattern = Pattern {
                path: path.clone(),
                deep: true,
            };
            policy.exclude(&pattern);
            taken.push(format!(
                "exclude {pattern}: queries only show it, and {everywhere} otherwise; expected effect on writes: no data, as it is not known how many properties a document has"
            ));
        }
    }
    for index in standing.policy.composites() {
        // Filters on two of its paths are served by it as well.
        let touches = |query: &Query| {
            let touched = |sort: &&Sort| query.uses.indexed().any(|path| path.meets(&sort.path));
            index.iter().filter(touched).count() > 1
        };
        if !queries.iter().any(touches) {
            policy.drop_composite(&index);
            taken.push(format!(
                "take out composite {}: no query of {} days filters on or sorts by two of its paths; expected effect on writes: no data",
                sorted_by(&index),
                evidence.days
            ));
        }
    }
}

#[cfg(test)]
mod tests;
