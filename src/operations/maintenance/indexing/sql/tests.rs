use super::*;

fn told(text: &str) -> String {
    let uses = match read(text) {
        Ok(uses) => uses,
        Err(why) => return format!("! {why}"),
    };
    let list = |name: &str, paths: &BTreeSet<PropertyPath>| {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        (!paths.is_empty()).then(|| format!("{name} {}", paths.join(" ")))
    };
    let sorts: Vec<String> = uses.sorts.iter().map(ToString::to_string).collect();
    let parts = [
        list("filter", &uses.filters),
        list("deep", &uses.deep),
        list("join", &uses.joins),
        (!sorts.is_empty()).then(|| format!("sort {}", sorts.join(", "))),
        list("show", &uses.shown),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

proptest::proptest! {
    #[test]
    fn no_text_ends_the_reader(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "JOIN", "IN", "VALUE", "TOP",
                "OFFSET", "LIMIT", "AS", "c", "t", ".", ".a", "[", "]", "[0]", "(", ")", "{", "}",
                "*", "=", ",", ":", "?", "1", "@p", "'x'", "\"y\"", "f(", "-", "--", "é", ";",
            ]),
            0..24,
        ),
        text in ".{0,40}",
    ) {
        let _ = read(&words.join(" "));
        let _ = read(&format!("SELECT * FROM c WHERE {}", words.join(" ")));
        let _ = read(&text);
    }
}

#[test]
fn what_queries_need_an_index_for() {
    for (text, expected) in [
        ("SELECT * FROM c", ""),
        ("select value c from c where c.a = 1", "filter /a"),
        (
            "SELECT c.id, c.content.text AS t FROM c WHERE c.tenantId = @t AND c[\"created at\"] > 5",
            "filter /\"created at\" /tenantId; show /content/text /id",
        ),
        (
            r#"{"query":"SELECT * FROM root r WHERE r.a = @a","parameters":[{"name":"@a","value":"x"}]}"#,
            "filter /a",
        ),
        (
            "SELECT TOP 10 * FROM c WHERE c.a IN ('x', 'y') ORDER BY c.b DESC",
            "filter /a; sort /b desc",
        ),
        (
            "SELECT * FROM c ORDER BY c.a, c.b.c DESC, c.d ASC OFFSET 0 LIMIT @n",
            "sort /a asc, /b/c desc, /d asc",
        ),
        (
            "SELECT c.id, t.name FROM c JOIN t IN c.tags WHERE t.kind = 'x' AND t != 3",
            "filter /tags/[] /tags/[]/kind; join /tags/[]; show /id /tags/[]/name",
        ),
        (
            "SELECT f.x FROM f IN c.children JOIN p IN f.pets WHERE p.x[0].y = 1",
            "filter /children/[]/pets/[]/x/[]/y; join /children/[] /children/[]/pets/[]; show /children/[]/x",
        ),
        (
            "SELECT VALUE COUNT(1) FROM c WHERE NOT (c.a BETWEEN 1 AND 2) AND c.b LIKE 'x%'",
            "filter /a /b",
        ),
        (
            "SELECT c.kind, COUNT(1) AS n, MAX(c.at) FROM c GROUP BY c.kind",
            "filter /at /kind; show /kind",
        ),
        ("SELECT DISTINCT c.kind FROM c", "filter /kind"),
        (
            "SELECT * FROM c WHERE ARRAY_CONTAINS(c.tags, 'x') AND IS_DEFINED(c.y) AND STARTSWITH(c.z, 'a', true)",
            "filter /z; deep /tags /y",
        ),
        (
            "SELECT * FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t.name = 'x')",
            "filter /tags/[]/name; join /tags/[]; show /tags/[]",
        ),
        (
            "SELECT * FROM c JOIN (SELECT VALUE t FROM t IN c.tags WHERE t.name = 'x') AS u WHERE u.age > 3",
            "filter /tags/[]/age /tags/[]/name; join /tags/[]; show /tags/[]",
        ),
        (
            "SELECT { \"a\": c.a, b: c.b ?? c.d, list: [c.e, 1] } AS made FROM c WHERE c.order = 1 -- c.no",
            "filter /order; show /a /b /d /e",
        ),
        (
            "SELECT c.a ? c.x : c.y FROM c WHERE udf.tax(c.z) > 10",
            "filter /z; show /a /x /y",
        ),
        (
            "SELECT a.street FROM c.address a WHERE a.city = 'x'",
            "filter /address/city; show /address/street",
        ),
        (
            "SELECT * FROM Families WHERE Families.a = 'it''s'",
            "! a text in it does not end as it begins",
        ),
        ("SELECT * FROM c WHERE c.a = 'it\\'s'", "filter /a"),
        (
            "SELECT c.id FROM c WHERE c.type = \"m\" AND (NOT IS_DEFINED(c.gone) OR c.gone = false OR c.n = -1)",
            "filter /gone /n /type; deep /gone; show /id",
        ),
        (
            "SELECT VALUE {\"id\": c.id, \"n\": ARRAY_LENGTH(c.items)} FROM c",
            "deep /items; show /id",
        ),
        (
            "SELECT DISTINCT TOP @n VALUE c[\"a\"][\"b\"] FROM c",
            "filter /a/b",
        ),
        ("SELECT VALUE [c.a, SUM(c.b)] FROM c", "filter /b; show /a"),
        (
            "SELECT ARRAY(SELECT VALUE t.name FROM t IN c.tags) AS names FROM c",
            "join /tags/[]; show /tags/[]/name",
        ),
        (
            "SELECT * FROM c WHERE EXISTS (SELECT VALUE 1 FROM t IN c.tags WHERE t = @t) AND c.a LIKE '%x!%' ESCAPE '!'",
            "filter /a /tags/[]; join /tags/[]",
        ),
        (
            "SELECT c.a limit FROM c",
            "! it names what is no source of it",
        ),
        ("SELECT c.* FROM c", "! a property has no name"),
        ("SELECT 1", "! it has no FROM"),
        ("SELECT * FROM c WHERE ***", "! a value is missing"),
        ("SELECT *** FROM c", "! a value is missing"),
        ("SELECT * FROM c WHERE c.a = ?", "! a value is missing"),
        (
            "SELECT * FROM c WHERE c[@name] = 1",
            "! a property is named by a value",
        ),
        (
            "SELECT * FROM c WHERE d.a = 1",
            "! it names what is no source of it",
        ),
        (
            "SELECT * FROM c WHERE a = 1",
            "! it names what is no source of it",
        ),
        (
            "SELECT * FROM c WHERE ST_DISTANCE(c.place, @p) < 3",
            "! it uses a function that an index of its own serves",
        ),
        (
            "SELECT TOP 5 * FROM c ORDER BY VectorDistance(c.v, @v)",
            "! it is sorted by what is no property",
        ),
        (
            "SELECT TOP 5 * FROM c ORDER BY RANK FullTextScore(c.t, ['x'])",
            "! it is sorted by what is no property",
        ),
        (
            "SELECT * FROM c WHERE (c.a = 1",
            "! its brackets do not fit",
        ),
        (
            "SELECT * FROM c WHERE c.a = 1 ORDER c.b",
            "! GROUP or ORDER without BY",
        ),
        ("SELECT * FROM c WHERE", "! a part of it is missing"),
        (
            "SELECT * FROM c JOIN (SELECT t.a, t.b FROM t IN c.x) AS u",
            "! it joins a query that makes new values",
        ),
        ("UPDATE c SET x = 1", "! it does not begin with SELECT"),
        (
            "SELECT * FROM c WHERE c.a = #",
            "! a sign in it is not known",
        ),
        ("{\"text\":1}", "! it is JSON without a query"),
        ("***", "! it does not begin with SELECT"),
        ("", "! it does not begin with SELECT"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}
