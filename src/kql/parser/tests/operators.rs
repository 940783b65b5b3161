use super::print::operator;

#[test]
fn every_operator_is_read_with_its_parts() {
    let cases = [
        ("where a", "(where a)"),
        ("filter a has 'x'", "(where (has a \"x\"))"),
        (
            "extend a = 1, ['b c'] = 2, (d, e) = f(x)",
            "(extend a=1 b c=2 (d e)=(f x))",
        ),
        ("project a, count = b, c.d", "(project a count=b (. c d))"),
        ("project-away a*, *b, c", "(project-away a* *b c)"),
        ("project-keep *", "(project-keep *)"),
        (
            "project-rename a = b, ['c d'] = e",
            "(project-rename a=b c d=e)",
        ),
        (
            "project-reorder a* asc, b granny-desc, c",
            "(project-reorder a*:Asc b:GrannyDesc c)",
        ),
        (
            "project-by-names 'a', dynamic(['b'])",
            "(project-by-names \"a\" dynamic [\"b\"])",
        ),
        (
            "summarize hint.strategy=shuffle n = count(), arg_max(t, *) by bin(t, 1h), b",
            "(summarize hint.strategy=shuffle n=(count) (arg_max t *) by (bin t 01:00:00) b)",
        ),
        ("summarize by a", "(summarize by a)"),
        ("distinct *", "(distinct *)"),
        ("distinct a, b", "(distinct a b)"),
        ("count as n", "(count n)"),
        (
            "order by a asc nulls last, b",
            "(sort [a asc nulls-last] [b])",
        ),
        ("sort by a desc", "(sort [a desc])"),
        ("limit 5", "(take 5)"),
        ("top 5 by a nulls first", "(top 5 [a nulls-first])"),
        (
            "top-nested 2 of a with others = 'x' by count() desc, top-nested of b by m = max(c)",
            "(top-nested (level 2 a others \"x\" (count) desc) (level b m=(max c)))",
        ),
        ("top-hitters 2 of a by b", "(top-hitters 2 a by b)"),
        ("sample 5", "(sample 5)"),
        ("sample-distinct 5 of a", "(sample-distinct 5 a)"),
        (
            "join kind=leftouter hint.remote=auto (U | count) on a, $left.b == $right.c",
            "(join kind=leftouter hint.remote=auto (pipe U (count)) on a (== (. $left b) (. $right c)))",
        ),
        ("lookup U on a", "(lookup U on a)"),
        ("union isfuzzy=true A*, B", "(union isfuzzy=true A* B)"),
        (
            "mvexpand bagexpansion=array with_itemindex=i a, b = c to typeof(long) limit 9",
            "(mv-expand bagexpansion=array with_itemindex=i a b=c:long limit 9)",
        ),
        (
            "mv-apply a = b to typeof(string) limit 2 on (where a has 'x' | count)",
            "(mv-apply a=b:string limit 2 ((where (has a \"x\")) (count)))",
        ),
        (
            "parse kind=regex flags=Ui a with * 'x' b: long 'y' c",
            "(parse kind=regex flags=Ui a * \"x\" b:long \"y\" c)",
        ),
        ("parse-where a with 'x' b", "(parse-where a \"x\" b)"),
        (
            "parse-kv a as (b: long, c: string) with (pair_delimiter=';', greedy=true)",
            "(parse-kv a [b:long c:string] pair_delimiter=\";\" greedy=true)",
        ),
        (
            "make-series n = count() default = 0, avg(a) on t from 1 to 2 step 3 by b",
            "(make-series n=(count)?0 (avg a) on t from 1 to 2 step 3 by b)",
        ),
        (
            "make-series count() on t in range(1, 2, 3)",
            "(make-series (count) on t in-range from 1 to 2 step 3)",
        ),
        ("serialize n = row_number()", "(serialize n=(row_number))"),
        ("getschema", "(getschema)"),
        (
            "render timechart with (title='x', ycolumns=a, b, ymin=-1)",
            "(render timechart title=\"x\" ycolumns=[a b] ymin=(- 1))",
        ),
        (
            "render columnchart kind=stacked",
            "(render columnchart kind=stacked)",
        ),
        (
            "as hint.materialized=true A",
            "(as hint.materialized=true A)",
        ),
        ("invoke f(1)", "(invoke (f 1))"),
        (
            "evaluate hint.distribution=single bag_unpack(a) : (*, b: long)",
            "(evaluate hint.distribution=single (bag_unpack a) [* b:long])",
        ),
        (
            "search kind=case_sensitive 'x' or a: 'y'",
            "(search kind=case_sensitive (or \"x\" (: a \"y\")))",
        ),
        ("facet by a, b with (take 1)", "(facet a b ((take 1)))"),
        (
            "fork (count) n = (take 1 | count)",
            "(fork ((count)) n=((take 1) (count)))",
        ),
        (
            "partition hint.strategy=native by a (top 1 by b)",
            "(partition hint.strategy=native a ((top 1 [b])))",
        ),
        (
            "scan with_match_id=m order by t asc declare (x: long = 0) with (step s1: true => x = 1; step s2: a > s1.b;)",
            "(scan s1 s2)",
        ),
        (
            "reduce by a with threshold=0.2, characters='x'",
            "(reduce a threshold=0.2 characters=\"x\")",
        ),
        ("consume", "(consume)"),
        ("assert-schema (a: long)", "(assert-schema a:long)"),
        ("make-graph a --> b with T on c", "(other make-graph)"),
        (
            "graph-match (a)-[e]->(b) where e.x == '|' project a.n",
            "(other graph-match)",
        ),
    ];
    for (text, tree) in cases {
        assert_eq!(operator(text), tree, "{text}");
    }
}
