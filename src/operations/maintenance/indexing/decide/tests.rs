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
fn no_finding_holds_the_text_of_a_query() {
    let evidence = week(&[("SELECT * FROM c WHERE c.name = 'Ann' AND #", 10)]);
    let judged = judged(all_paths(), &evidence);
    assert!(!format!("{judged:?}").contains("Ann"), "{judged:?}");
}
