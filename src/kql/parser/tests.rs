mod depth;
mod never_panics;
mod operators;
mod print;

use super::parse;
use crate::kql::error::Kind;
use print::{expression, operator};

#[test]
fn operators_bind_as_tightly_as_in_kusto() {
    let cases = [
        ("a or b and c", "(or a (and b c))"),
        ("a and b or c and d", "(or (and a b) (and c d))"),
        ("a or b or c", "(or (or a b) c)"),
        ("a == b and c != d", "(and (== a b) (!= c d))"),
        ("a <> b", "(!= a b)"),
        ("a < b == c > d", "(== (< a b) (> c d))"),
        ("a + b * c - d % 2", "(- (+ a (* b c)) (% d 2))"),
        ("a - b - c", "(- (- a b) c)"),
        ("a * b has 'x'", "(* a (has b \"x\"))"),
        ("a + b =~ c", "(+ a (=~ b c))"),
        ("a !~ b or c", "(or (!~ a b) c)"),
        ("-a + b", "(+ (- a) b)"),
        ("-a.b[0]", "(- (at (. a b) 0))"),
        ("a + -1", "(+ a (- 1))"),
        ("(a or b) and c", "(and (or a b) c)"),
        (
            "a !contains_cs 'x' and b notcontains 'y'",
            "(and (!contains_cs a \"x\") (!contains b \"y\"))",
        ),
        ("a matches regex @'\\d'", "(matches regex a \"\\\\d\")"),
        ("a in (1, 2) and b", "(and (in a 1 2) b)"),
        ("a !in~ ('x')", "(!in~ a \"x\")"),
        ("a in (T | project b)", "(in a (pipe T (project b)))"),
        (
            "a has_any ('x', 'y') or b has_all (c)",
            "(or (has_any a \"x\" \"y\") (has_all b c))",
        ),
        (
            "a between (1 .. 2) and b !between (1h..2h)",
            "(and (between a 1 2) (!between b 01:00:00 02:00:00))",
        ),
        ("* has 'x'", "(has * \"x\")"),
        ("* == 1 or a", "(or (== * 1) a)"),
        ("f(a, *, b = 1)", "(f a * b=1)"),
        ("d['a'].b[\"c\"][1][x]", "(at (at (. (. (. d a) b) c) 1) x)"),
        ("['a b'] + [\"c\"]", "(+ a b c)"),
        ("$left.a == $right.b", "(== (. $left a) (. $right b))"),
        ("toscalar(T | count)", "(toscalar (pipe T (count)))"),
        (
            "extract('x', 1, a, typeof(long))",
            "(extract \"x\" 1 a (typeof long))",
        ),
        (
            "kind == 1 and count > 2 and type == range",
            "(and (and (== kind 1) (> count 2)) (== type range))",
        ),
        ("database('x').T", "(. (database \"x\") T)"),
    ];
    for (text, tree) in cases {
        assert_eq!(expression(text), tree, "{text}");
    }
}

#[test]
fn literals_have_the_values_that_are_written() {
    let cases = [
        ("0x1F", "31"),
        ("1.", "1.0"),
        ("1.5e-3", "0.0015"),
        ("true", "true"),
        ("bool(1)", "true"),
        ("int(7)", "int 7"),
        ("long(null)", "null long"),
        ("real(-inf)", "-inf"),
        ("decimal(1.50)", "decimal 1.50"),
        ("1.5h", "01:30:00"),
        ("3days", "3.00:00:00"),
        ("1tick", "00:00:00.0000001"),
        ("time(1.02:03:04.5)", "1.02:03:04.5000000"),
        ("timespan(2)", "2.00:00:00"),
        (
            "datetime(2015-12-31 23:59:59.9)",
            "2015-12-31T23:59:59.9000000Z",
        ),
        ("date(2015)", "2015-01-01T00:00:00.0000000Z"),
        ("datetime('2015-12')", "2015-12-01T00:00:00.0000000Z"),
        ("datetime(null)", "null datetime"),
        ("datetime()", "(now)"),
        (
            "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)",
            "74be27de-1e4e-49d9-b579-fe0b331d3642",
        ),
        (r#""a\tb\"\x41\u00e9\101""#, r#""a\tb\"AéA""#),
        (r#""\ud83d\ude00""#, "\"😀\""),
        (r#"@"a\""b""#, r#""a\\\"b""#),
        ("h'x'", "\"x\""),
        ("h@'\\x'", "\"\\\\x\""),
        ("```a\n'b'```", "\"a\\n'b'\""),
        ("~~~a~~~", "\"a\""),
        ("'a' \"b\" @'c'", "\"abc\""),
        ("dynamic(null)", "null dynamic"),
        (
            "dynamic([1, -2.5, 'x', {\"a\": true}, null, []])",
            "dynamic [1,-2.5,\"x\",{\"a\":true},null,[]]",
        ),
        (
            "dynamic({'t': datetime(2020), 's': 1h})",
            "dynamic {\"t\":\"2020-01-01T00:00:00.0000000Z\",\"s\":\"01:00:00\"}",
        ),
    ];
    for (text, value) in cases {
        assert_eq!(expression(text), value, "{text}");
    }
}

#[test]
fn statements_come_in_their_order() {
    let cases = [
        ("let a = 1; print a;", "let a 1; (print a)"),
        ("set x = 1; set y; T", "set x 1; set y; T"),
        (
            "let f = (a: long = 5, T: (*)) { let b = a; T | take b }; f(1)",
            "let f fn[a:long=5 T:(*)]{let b a; (pipe T (take b))}; (f 1)",
        ),
        ("let f = view () { T; }; f", "let f fn-view[]{T}; f"),
        (
            "let f = (T: (a: long, b: string)) { T }; 1",
            "let f fn[T:(a:long b:string)]{T}; 1",
        ),
        (
            "declare query_parameters(a: long = 1); T",
            "parameters[a:long=1]; T",
        ),
        (
            "alias database d = cluster('x').database('y'); T",
            "other alias; T",
        ),
        (
            "let T = datatable(a: long, b: string)[1, 'x', -2, '']; T | count",
            "let T (datatable [a:long b:string] 1 \"x\" (- 2) \"\"); (pipe T (count))",
        ),
        (
            "range x from 1 to 10 step 2 | count",
            "(pipe (range x 1 10 2) (count))",
        ),
        (
            "union withsource=S A*, (B | take 1), f(1)",
            "(union withsource=S A* (pipe B (take 1)) (f 1))",
        ),
        (
            "search in (A, B*) 'x' and c: 'y'",
            "(search (in A B*) (and \"x\" (: c \"y\")))",
        ),
        ("search *", "(search *)"),
        (
            "// a comment\nprint 'http://x' // another",
            "(print \"http://x\")",
        ),
    ];
    for (text, tree) in cases {
        let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(print::query(&query), tree, "{text}");
    }
}

#[test]
fn an_error_says_where_and_what_was_meant() {
    let cases = [
        (
            "T | summarise count()",
            "1:5: no operator `summarise`; did you mean `summarize`?",
        ),
        (
            "T | where a ==",
            "1:15: expected an expression, found the end of the query",
        ),
        (
            "T\n| where (a",
            "2:11: expected `)`, found the end of the query",
        ),
        (
            "T | join knid=inner (U) on a",
            "1:10: `join` has no option `knid`; did you mean `kind`?",
        ),
        ("print 'abc", "1:7: this string is not closed"),
        (
            "print 'a\\d'",
            "1:9: `\\\\d` is no escape; double the backslash, or write the string as @\"...\"",
        ),
        (
            "let f = (a: lnog) { a }; f(1)",
            "1:13: no type `lnog`; did you mean `long`?",
        ),
        (
            "let a = 1 T",
            "1:11: expected `|`, `;` or the end of the query, found `T`",
        ),
        ("T | sort a", "1:10: expected `by`, found `a`"),
        (
            "print kind = 1",
            "1:12: expected `|`, `;` or the end of the query, found `=`",
        ),
        (
            "T | where first == 1",
            "1:11: expected an expression, found `first`; a column of that name is written `['first']`",
        ),
        ("print 1 ^ 2", "1:9: unexpected character `^`"),
        (
            "print datetime(2020-01-01",
            "1:7: this `datetime` literal has no closing `)`",
        ),
        (
            "T | print 1",
            "1:5: `print` starts a query and has nothing before it",
        ),
        ("where a == 1", "1:1: `where` needs a table before it"),
        ("", "1:1: the query is empty"),
    ];
    for (text, message) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!(error.kind, Kind::Syntax, "{text}");
        let rendered = error.render(text);
        assert_eq!(rendered.lines().next(), Some(message), "{text}");
    }
}

#[test]
fn a_literal_without_a_value_is_told_once_the_rest_is_kql() {
    let error = parse("print datetime(2020-02-30)").expect_err("no such day");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (Kind::Semantic, "`2020-02-30` is no datetime")
    );
    let error = parse("print datetime(2020-02-30) +").expect_err("neither is the rest");
    assert_eq!(error.kind, Kind::Syntax);
    let error = parse("T | where a = 1").expect_err("undocumented");
    assert_eq!(error.kind, Kind::NotImplemented);
    assert_eq!(operator("where a == 1"), "(where (== a 1))");
}
