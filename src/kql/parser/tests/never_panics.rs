use crate::kql::parser::parse;
use proptest::prelude::*;

const QUERIES: [&str; 8] = [
    "let t = 1h; T | where a between (ago(2 * t) .. now()) and b !in~ ('x', \"y\\n\") | count",
    "T | summarize hint.strategy=shuffle (m, n) = arg_max(a, b), c = percentile(d, 95) by bin(e, 5m), f",
    "T | join kind=leftouter (U | project ['a b'], c) on a, $left.b == $right.c | project-away d*",
    "T | parse kind=regex flags=i a with * @'x\\d' b: long ```y``` * | mv-expand c = d to typeof(real) limit 3",
    "T | make-series a = count() default = 0 on t from datetime(2020-01-01) to now() step 1h by b",
    "union isfuzzy=true withsource=S A*, (B | as C), database('d').E | top 5 by f desc nulls last",
    "print dynamic({'a': [1, -2.5, null, datetime(2020)], \"b\": guid(74be27de-1e4e-49d9-b579-fe0b331d3642)})",
    "let f = (x: long = 1, T: (*)) { T | mv-apply y to typeof(string) on (where y has '😀' | take x) }; f(2, U)",
];

#[test]
fn the_queries_that_are_mutated_parse() {
    for query in QUERIES {
        parse(query).unwrap_or_else(|error| panic!("{}", error.render(query)));
    }
}

/// Whatever comes back, its place must be one in the text.
fn parse_and_render(text: &str) {
    if let Err(error) = parse(text) {
        let _ = error.render(text);
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        parse_and_render(&text);
    }

    #[test]
    fn no_mixture_of_signs_makes_the_parser_panic(text in "[-a-z0-9_ \n'\"`~@h(){}\\[\\],;:.|+*/%<>=!\\\\]{0,60}") {
        parse_and_render(&text);
    }

    #[test]
    fn no_damage_to_a_query_makes_the_parser_panic(
        which in 0..QUERIES.len(),
        cut in any::<prop::sample::Index>(),
        length in 0..12_usize,
        insert in "\\PC{0,3}",
        end in any::<bool>(),
    ) {
        let chars: Vec<char> = QUERIES[which].chars().collect();
        let start = cut.index(chars.len());
        let stop = if end { chars.len() } else { (start + length).min(chars.len()) };
        let text: String = chars[..start].iter().copied().chain(insert.chars()).chain(chars[stop..].iter().copied()).collect();
        parse_and_render(&text);
    }
}
