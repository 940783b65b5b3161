use crate::kql::error::Kind;
use crate::kql::parser::{MAX_DEPTH, parse};

#[test]
fn nesting_beyond_the_limit_is_an_error_within_a_small_stack() {
    let around =
        |open: &str, close: &str| format!("print {}1{}", open.repeat(5000), close.repeat(5000));
    let cases = [
        ("brackets", around("(", ")")),
        ("calls", around("f(", ")")),
        ("indices", around("a[", "]")),
        ("signs", around("-(", ")")),
        ("lists", around("a in (", ")")),
        (
            "every level",
            around("(1 or 1 and 1 == 1 < 1 + 1 * 1 has ", ")"),
        ),
        ("subqueries", around("toscalar(T | where a == ", ")")),
        ("unclosed", format!("print {}", "(".repeat(100_000))),
        ("sums", format!("print 1{}", " + 1".repeat(5000))),
        ("members", format!("print a{}", ".b".repeat(5000))),
        ("members by index", format!("print a{}", "[0]".repeat(5000))),
        ("json", format!("print dynamic({}", "[".repeat(5000))),
        ("functions", "let f = () { ".repeat(5000)),
        ("forks", format!("T {}", "| fork (where a ".repeat(5000))),
        ("joins", format!("T {}", "| join (T ".repeat(5000))),
        ("unions", "union (".repeat(5000)),
        (
            "sums in sums",
            format!(
                "print {}1{}",
                "(".repeat(40),
                " + 1 + 1 + 1 + 1)".repeat(40)
            ),
        ),
    ];
    small_stack(move || {
        for (name, text) in cases {
            let error = parse(&text).expect_err(name);
            assert_eq!(error.kind, Kind::Syntax, "{name}");
            assert!(error.message.contains("levels deep"), "{name}: {error}");
        }
    });
}

#[test]
fn long_chains_of_and_and_or_are_shallow() {
    small_stack(|| {
        for word in ["and", "or"] {
            let text = format!(
                "T | where a == 0{}",
                format!(" {word} a == 1").repeat(20_000)
            );
            let query = parse(&text).expect("a chain is no nesting");
            // Copying and dropping walk the tree as well.
            drop(query.clone());
        }
    });
}

#[test]
fn what_people_nest_is_well_inside_the_limit() {
    small_stack(|| {
        let half = MAX_DEPTH / 2 - 6;
        for text in [
            format!("print 1{}", " + 1".repeat(MAX_DEPTH - 8)),
            format!(
                "print {}1{}",
                "f(".repeat(MAX_DEPTH - 8),
                ")".repeat(MAX_DEPTH - 8)
            ),
            format!("print {}1{}", "(".repeat(half), ")".repeat(half)),
        ] {
            parse(&text).unwrap_or_else(|error| panic!("{error}"));
        }
    });
}

/// Three quarters of what a thread gets: what is around the parser needs room as well.
fn small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(3 << 19)
        .spawn(run)
        .expect("a thread starts")
        .join()
        .expect("the parser neither panics nor overflows");
}
