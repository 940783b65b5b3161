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
const LEAST_RUNS: u64 = 10;

/// What costs so many times as much as before is told.
const DEARER: f64 = 1.2;

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

/// A change of the index within the window.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) id: String,
    /// Whole days since the window began.
    pub(super) day: u32,
}

/// Whether queries cost more since the index was changed: removing what seemed unused can do that.
/// The day of the change itself is left out, since the index was being built.
pub(super) fn dearer(evidence: &Evidence, changed: &Changed) -> Option<(&'static str, String)> {
    #[derive(Default)]
    struct Cost {
        charged: u64,
        units: f64,
    }
    impl Cost {
        fn each(&self) -> Option<f64> {
            (self.charged >= LEAST_RUNS).then(|| self.units / self.charged as f64)
        }
    }
    let mut texts: BTreeMap<&str, [Cost; 2]> = BTreeMap::new();
    for asked in evidence.asked.iter().filter(|a| a.day != changed.day) {
        let sides = texts.entry(&asked.text).or_default();
        let side = &mut sides[usize::from(asked.day > changed.day)];
        side.charged += asked.charged;
        side.units += asked.units.unwrap_or_default();
    }
    let both: Vec<(f64, f64)> = texts
        .values()
        .filter_map(|[before, after]| Some((before.each()?, after.each()?)))
        .collect();
    let more: Vec<&(f64, f64)> = both.iter().filter(|(b, a)| *a > b * DEARER).collect();
    let (before, after) = more
        .iter()
        .max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))?;
    let why = format!(
        "since its index was changed by {id}, {} of {} query texts cost more than before, one of them {after:.1} RU instead of {before:.1} RU: `poolkeeper changes undo {id}` proposes the way back",
        more.len(),
        both.len(),
        id = changed.id,
    );
    Some(("indexing-dearer", why))
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn all_paths() -> Value {
        json!({
            "indexingMode": "consistent",
            "includedPaths": [{ "path": "/*" }],
            "excludedPaths": [{ "path": "/\"_etag\"/?" }],
        })
    }

    fn some_paths() -> Value {
        json!({
            "indexingMode": "consistent",
            "includedPaths": [{ "path": "/tenantId/?" }, { "path": "/a/?" }, { "path": "/b/*" }],
            "excludedPaths": [{ "path": "/*" }],
            "compositeIndexes": [[{ "path": "/a" }, { "path": "/b" }]],
        })
    }

    /// The queries, each on every day of a week.
    fn week(queries: &[(&str, u64)]) -> Evidence {
        let days = 7;
        let asked = queries.iter().flat_map(|(text, runs)| {
            (0..days).map(|day| Asked {
                text: (*text).to_owned(),
                day,
                runs: *runs,
                charged: *runs,
                units: Some(*runs as f64 * 2.5),
            })
        });
        Evidence {
            days,
            asked: asked.collect(),
            writes: 1000,
            write_units: Some(9000.0),
        }
    }

    fn judged(policy: Value, evidence: &Evidence) -> Judged {
        let standing = Standing {
            policy: IndexingPolicy::new(policy),
            keys: vec![PropertyPath::root().child("tenantId")],
        };
        judge(&standing, evidence, 1000)
    }

    /// What changes, and what is found.
    fn told(policy: Value, evidence: &Evidence) -> (String, Vec<&'static str>) {
        let judged = judged(policy.clone(), evidence);
        let difference = judged
            .change
            .map(|(to, _)| IndexingPolicy::new(policy).difference(&to));
        let codes = judged.findings.iter().map(|(code, _)| *code).collect();
        (difference.unwrap_or_default(), codes)
    }

    #[test]
    fn an_index_becomes_what_queries_need() {
        const BY_A: &str = "SELECT * FROM c WHERE c.a = 1";
        const BY_B: &str = "SELECT * FROM c WHERE c.a = 1 AND c.b.x = 2";
        const OFTEN: u64 = 1000;
        let mut gap = week(&[(BY_A, OFTEN)]);
        gap.asked.retain(|asked| asked.day != 3);
        let none = json!({ "indexingMode": "none" });
        for (name, policy, evidence, expected, codes) in [
            (
                "no data",
                all_paths(),
                week(&[]),
                "",
                &["indexing-no-data"][..],
            ),
            (
                "an index that is off",
                none,
                week(&[(BY_A, OFTEN)]),
                "",
                &["indexing-mode"],
            ),
            ("all is well", all_paths(), week(&[(BY_A, OFTEN)]), "", &[]),
            (
                "a filter and a sort without an index",
                some_paths(),
                week(&[
                    (BY_B, OFTEN),
                    ("SELECT * FROM c WHERE c.new = 1 ORDER BY c.other", 2),
                ]),
                "+ included /new/?, + included /other/?",
                &[],
            ),
            (
                "somebody tries something",
                some_paths(),
                week(&[(BY_B, OFTEN), ("SELECT * FROM c WHERE c.new = 1", 1)]),
                "",
                &[],
            ),
            (
                "an array that is looked into",
                some_paths(),
                week(&[
                    (BY_B, OFTEN),
                    ("SELECT * FROM c WHERE ARRAY_CONTAINS(c.tags, 1)", 2),
                ]),
                "+ included /tags/*",
                &[],
            ),
            (
                "an order by several properties",
                all_paths(),
                week(&[
                    ("SELECT * FROM c ORDER BY c.a, c.b DESC", OFTEN),
                    ("SELECT * FROM c ORDER BY c.a DESC, c.b", OFTEN),
                ]),
                "+ composite (/a asc, /b desc)",
                &[],
            ),
            (
                "what is excluded and filtered on",
                json!({ "includedPaths": [{ "path": "/*" }], "excludedPaths": [{ "path": "/a/?" }] }),
                week(&[(BY_A, OFTEN)]),
                "+ included /a/?, - excluded /a/?",
                &[],
            ),
            (
                "what no query touches, but the partition key",
                some_paths(),
                week(&[(BY_A, OFTEN)]),
                "- included /b/*, - composite (/a asc, /b asc)",
                &[],
            ),
            (
                "what is only shown",
                all_paths(),
                week(&[
                    (BY_A, OFTEN),
                    ("SELECT c.id, c.a, c.text.body, c.tenantId FROM c", OFTEN),
                ]),
                "+ excluded /text/body/*",
                &[],
            ),
            (
                "an index of another kind keeps what it is of",
                json!({
                    "includedPaths": [{ "path": "/*" }],
                    "spatialIndexes": [{ "path": "/place/*", "types": ["Point"] }],
                }),
                week(&[(BY_A, OFTEN), ("SELECT c.place FROM c", OFTEN)]),
                "",
                &[],
            ),
            (
                "a join keeps what it touches",
                all_paths(),
                week(&[("SELECT c.tags, t.x FROM c JOIN t IN c.tags", OFTEN)]),
                "",
                &[],
            ),
            (
                "a day without queries",
                some_paths(),
                gap,
                "",
                &["indexing-kept"],
            ),
            (
                "too few queries",
                some_paths(),
                week(&[(BY_A, 100)]),
                "",
                &["indexing-kept"],
            ),
            (
                "a query that is not understood",
                some_paths(),
                week(&[(BY_A, OFTEN), ("SELECT * FROM c WHERE c[@x] = 1", 1)]),
                "",
                &["queries-not-understood", "indexing-kept"],
            ),
            (
                "and what is missing all the same",
                some_paths(),
                week(&[
                    ("SELECT * FROM c WHERE c.n = 1", OFTEN),
                    ("SELECT *** FROM c", 1),
                ]),
                "+ included /n/?",
                &["queries-not-understood", "indexing-kept"],
            ),
        ] {
            let (difference, found) = told(policy, &evidence);
            assert_eq!(difference, expected, "{name}");
            assert_eq!(found, codes, "{name}");
        }
    }

    #[test]
    fn a_proposal_says_what_it_rests_on_and_what_it_saves() {
        let mut evidence = week(&[("SELECT * FROM c WHERE c.a = 1 AND c.n = 2", 1000)]);
        let change = judged(some_paths(), &evidence).change.expect("a change");
        assert_eq!(
            change.1,
            [
                "add /n/?: filtered on or sorted by without an index in 7000 queries in 7 days; expected effect on queries: at most the 17500 RU that 7000 of them cost are saved, since what they cost with an index is not known; writes get dearer: no data by how much",
                "take out /b/*: no query of 7 days touches it; expected effect on writes: at most 3000 RU, the share of one of 3 included paths in the 9000 RU of 1000 writes if all cost the same and nothing else does",
                "take out composite (/a asc, /b asc): no query of 7 days filters on or sorts by two of its paths; expected effect on writes: no data",
            ]
        );
        (evidence.writes, evidence.write_units) = (0, None);
        for asked in &mut evidence.asked {
            (asked.charged, asked.units) = (0, None);
        }
        let change = judged(some_paths(), &evidence).change.expect("a change");
        assert!(change.1[0].contains("expected effect on queries: no data"));
        assert!(change.1[1].contains("expected effect on writes: no data"));
    }

    #[test]
    fn queries_that_cost_more_since_a_change_are_told() {
        let mut evidence = week(&[("a", 10), ("b", 10), ("c", 1)]);
        for asked in &mut evidence.asked {
            let factor = match (asked.text.as_str(), asked.day) {
                ("a", 4..) | ("c", 4..) => 2.0,
                ("b", 4..) => 1.1,
                (_, 3) => 100.0,
                _ => 1.0,
            };
            asked.units = asked.units.map(|units| units * factor);
        }
        let changed = |day| Changed {
            id: "0123".into(),
            day,
        };
        // One of the three is asked too seldom to tell.
        let (code, why) = dearer(&evidence, &changed(3)).expect("one is dearer");
        assert_eq!(code, "indexing-dearer");
        assert!(
            why.contains("1 of 2 query texts") && why.contains("5.0 RU instead of 2.5 RU"),
            "{why}"
        );
        assert_eq!(
            dearer(&evidence, &changed(6)),
            None,
            "nothing came after it"
        );
        assert_eq!(dearer(&week(&[("a", 10)]), &changed(3)), None);
    }

    #[test]
    fn no_finding_holds_the_text_of_a_query() {
        let evidence = week(&[("SELECT * FROM c WHERE c.name = 'Ann' AND #", 10)]);
        let judged = judged(all_paths(), &evidence);
        assert!(!format!("{judged:?}").contains("Ann"), "{judged:?}");
    }
}
