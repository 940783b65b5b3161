use super::{MAX_DEPTH, parse};
use crate::kql::error::Kind;

#[test]
fn nesting_beyond_the_limit_is_an_error_within_a_small_stack() {
    let cases = [
        (
            "brackets",
            format!("print {}1{}", "(".repeat(5000), ")".repeat(5000)),
        ),
        (
            "calls",
            format!("print {}1{}", "f(".repeat(5000), ")".repeat(5000)),
        ),
        ("unclosed", "print (".to_owned() + &"(".repeat(100_000)),
        ("sums", format!("print 1{}", " + 1".repeat(5000))),
        ("members", format!("print a{}", ".b".repeat(5000))),
        ("indices", format!("print a{}", "[0]".repeat(5000))),
        (
            "nested indices",
            format!("print {}0{}", "a[".repeat(5000), "]".repeat(5000)),
        ),
        (
            "json",
            format!("print dynamic({}1{})", "[".repeat(5000), "]".repeat(5000)),
        ),
        ("functions", format!("{}1", "let f = () { ".repeat(5000))),
        ("forks", format!("T {}", "| fork (".repeat(5000))),
        (
            "sums in sums",
            format!(
                "print {}1{}",
                "(".repeat(40),
                " + 1 + 1 + 1 + 1)".repeat(40)
            ),
        ),
        ("joins", format!("T {}", "| join (T ".repeat(5000))),
    ];
    let run = move || {
        for (name, text) in cases {
            let error = parse(&text).expect_err(name);
            assert_eq!(error.kind, Kind::Syntax, "{name}");
            assert!(error.message.contains("levels deep"), "{name}: {error}");
        }
    };
    small_stack(run);
}

#[test]
fn long_chains_of_and_and_or_are_shallow() {
    let run = || {
        for word in ["and", "or"] {
            let text = format!(
                "T | where a == 0{}",
                format!(" {word} a == 1").repeat(20_000)
            );
            parse(&text).expect("a chain is no nesting");
        }
    };
    small_stack(run);
}

#[test]
fn the_deepest_query_fits_a_small_stack() {
    let run = || {
        let fits = |text: String| parse(&text).is_ok();
        assert!(fits(format!("print 1{}", " + 1".repeat(MAX_DEPTH - 8))));
        assert!(fits(format!(
            "print {}1{}",
            "f(".repeat(MAX_DEPTH - 8),
            ")".repeat(MAX_DEPTH - 8)
        )));
        assert!(fits(format!(
            "print {}1{}",
            "(".repeat(MAX_DEPTH / 2 - 4),
            ")".repeat(MAX_DEPTH / 2 - 4)
        )));
    };
    small_stack(run);
}

/// Half of what a thread gets, so that what is around the parser has room as well.
fn small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(run)
        .expect("a thread starts")
        .join()
        .expect("the parser neither panics nor overflows");
}
