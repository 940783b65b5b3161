//! What holds of every query: none brings the engine down, filters combine, parts of a table add up,
//! and limits end what takes too much.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use poolkeeper::kql::column::Column;
use poolkeeper::kql::error::{Kind, Result};
use poolkeeper::kql::exec::{Limits, Run};
use poolkeeper::kql::plan::{Batch, Bound, Part, Source};
use poolkeeper::kql::source::Tables;
use poolkeeper::kql::types::{Schema, Type};
use poolkeeper::kql::value::Value;
use poolkeeper::kql::{Options, output, query};
use proptest::prelude::*;

/// A row of the table `T`.
type Row = (Option<i64>, String, Option<bool>, Option<f64>);

/// A table in parts, each of one batch.
struct Split {
    schema: Schema,
    parts: Vec<Batch>,
}

impl Source for Split {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, wanted: &[bool], _bounds: &[Bound], _run: &Arc<Run>) -> Result<Vec<Part>> {
        let part = |batch: &Batch| -> Part {
            let columns = batch.columns.iter().zip(wanted).map(|(column, wanted)| {
                if *wanted {
                    column.clone()
                } else {
                    Column::absent(column.ty(), batch.rows)
                }
            });
            let batch = Batch::new(columns.collect(), batch.rows);
            Box::new(std::iter::once(Ok(batch)))
        };
        Ok(self.parts.iter().map(part).collect())
    }
}

/// `T (a: long, s: string, b: bool, r: real)` with its rows in parts of this size.
fn tables(rows: &[Row], size: usize) -> Tables {
    let batch = |rows: &[Row]| {
        let columns = vec![
            Column::from_values(Type::Long, rows.iter().map(|row| row.0.into())),
            Column::from_values(Type::String, rows.iter().map(|row| row.1.as_str().into())),
            Column::from_values(Type::Bool, rows.iter().map(|row| row.2.into())),
            Column::from_values(Type::Real, rows.iter().map(|row| row.3.into())),
        ];
        Batch::new(columns, rows.len())
    };
    let mut tables = Tables::default();
    let split = Split {
        schema: Schema::of(&[
            ("a", Type::Long),
            ("s", Type::String),
            ("b", Type::Bool),
            ("r", Type::Real),
        ]),
        parts: rows.chunks(size.max(1)).map(batch).collect(),
    };
    tables.add("T", Arc::new(split));
    tables
}

fn options(threads: usize) -> Options {
    Options {
        limits: Limits {
            time: Duration::from_secs(20),
            memory: 256 << 20,
            threads,
        },
        ..Options::at(638_000_000_000_000_000)
    }
}

fn ask(text: &str, tables: &Tables, threads: usize) -> Vec<Vec<serde_json::Value>> {
    let answer = query(text, tables, &options(threads));
    output::rows(&answer.unwrap_or_else(|error| panic!("{}", error.render(text))))
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Halves, whose sums are exact in any order.
    let real = proptest::option::of((-50_i32..50).prop_map(|n| f64::from(n) / 2.0));
    let row = (
        proptest::option::of(-5_i64..5),
        "[aB ]{0,2}",
        any::<Option<bool>>(),
        real,
    );
    proptest::collection::vec(row, 0..60)
}

fn predicate() -> impl Strategy<Value = String> {
    let sign = prop_oneof![
        Just("=="),
        Just("!="),
        Just("<"),
        Just("<="),
        Just(">"),
        Just(">=")
    ];
    let text = prop_oneof![
        Just("=="),
        Just("=~"),
        Just("has"),
        Just("contains"),
        Just("!startswith")
    ];
    let leaf = prop_oneof![
        (sign.clone(), -5_i64..5).prop_map(|(sign, n)| format!("a {sign} {n}")),
        (sign, -9_i32..9).prop_map(|(sign, n)| format!("r {sign} {n}.5")),
        (text, "[aB]{1,2}").prop_map(|(sign, s)| format!("s {sign} '{s}'")),
        (-5_i64..5, 0_i64..5).prop_map(|(n, more)| format!("a between ({n} .. {})", n + more)),
        (-5_i64..5).prop_map(|n| format!("a in ({n}, 1, 2)")),
        Just("isnull(a)".to_owned()),
        Just("b".to_owned()),
        Just("isempty(s)".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} and {r})")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} or {r})")),
            inner.prop_map(|p| format!("not({p})")),
        ]
    })
}

/// Pieces of queries, most of which do not go together.
fn soup() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(vec![
        "T",
        "|",
        "where",
        "project",
        "extend",
        "summarize",
        "by",
        "sort",
        "join",
        "kind=inner",
        "on",
        "union",
        "let",
        "x",
        "=",
        ";",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "a",
        "s",
        "b",
        "r",
        "==",
        "!",
        "-",
        "*",
        "/",
        "%",
        "1",
        "0",
        "1.5",
        "'t'",
        "\"",
        "@'",
        "```",
        "1d",
        "datetime(2020-01-01)",
        "dynamic({\"a\":[1]})",
        "null",
        "count()",
        "max(a)",
        "arg_max(a, *)",
        "make_list(s)",
        "bin(a, 0)",
        "range",
        "from",
        "to",
        "step",
        "mv-expand",
        "make-series",
        "parse",
        "with",
        "evaluate",
        "bag_unpack",
        "pivot(",
        "between",
        "..",
        "in",
        "has_any",
        "$left",
        "toscalar",
        "materialize",
        "datatable",
        "print",
        "string",
        "long",
        ":",
        "//",
        "\n",
        "9223372036854775807",
        "-9223372036854775808",
        "serialize",
        "prev(a)",
        "top",
        "take",
        "render",
        "case(",
        "iff(",
        "substring(",
        "%",
        "matches regex",
        "'('",
        "todynamic(",
        "split(",
        "strcat(",
        "series_stats(",
        "percentile(a,",
        "top-nested",
    ]);
    proptest::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_bring_the_engine_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = query(&String::from_utf8_lossy(&bytes), &tables(&[], 1), &options(1));
    }

    #[test]
    fn no_pieces_of_queries_bring_the_engine_down(text in soup()) {
        let rows = [(Some(1), "x".into(), None, Some(0.5)), (None, String::new(), Some(true), None)];
        let _ = query(&text, &tables(&rows, 1), &options(1));
        let _ = query(&format!("T | {text}"), &tables(&rows, 1), &options(1));
    }

    #[test]
    fn two_filters_are_one_with_and(rows in rows(), p in predicate(), q in predicate()) {
        let tables = tables(&rows, 7);
        let two = ask(&format!("T | where {p} | where {q}"), &tables, 1);
        prop_assert_eq!(&two, &ask(&format!("T | where {p} and {q}"), &tables, 1));
        prop_assert_eq!(&two, &ask(&format!("T | where {q} | where {p}"), &tables, 1));
    }

    #[test]
    fn a_predicate_its_opposite_and_its_nulls_are_the_whole(rows in rows(), p in predicate()) {
        let tables = tables(&rows, 7);
        let count = |predicate: String| {
            ask(&format!("T | where {predicate} | count"), &tables, 1)[0][0].as_i64()
        };
        let parts = [format!("{p}"), format!("not({p})"), format!("isnull({p})")].map(count);
        let sum: i64 = parts.into_iter().flatten().sum();
        prop_assert_eq!(sum, i64::try_from(rows.len()).expect("few rows"));
    }

    #[test]
    fn parts_of_a_table_add_up_to_the_whole(rows in rows(), size in 1_usize..20, threads in 1_usize..4) {
        let (whole, split) = (tables(&rows, 1000), tables(&rows, size));
        for text in [
            "T | summarize count(), sum(a), min(a), max(r), sum(r), avg(r), dcount(s), countif(b)",
            "T | summarize count(), sum(a), min(r), max(a), dcount(a), make_set(a), make_list(r) by s | sort by s asc",
            "T | summarize arg_max(r, *), percentile(a, 50), stdev(a) by b | project-away stdev_a | sort by b asc",
            "T | where a > 0 | distinct s, b | sort by s asc, b asc",
            "T | top 5 by r desc",
            "T | sort by a asc, r desc | extend n = row_number() | where n % 2 == 0",
            "T | join kind=inner (T | summarize n = count() by a) on a | summarize sum(n), count()",
            "T | take 10",
        ] {
            prop_assert_eq!(ask(text, &whole, 1), ask(text, &split, threads), "{}", text);
        }
    }
}

#[test]
fn limits_end_what_takes_too_much() {
    let none = Tables::default();
    let with = |time: u64, memory: usize| Options {
        limits: Limits {
            time: Duration::from_millis(time),
            memory,
            threads: 2,
        },
        ..Options::at(0)
    };
    let long = "range x from 1 to 100000000000 step 1 | summarize count() by x % 7";
    let wide = "range x from 1 to 1000000 step 1 | summarize make_list(x, 1000000) by x";
    let many = "range x from 1 to 3000 step 1 | extend k = 1 | join kind=inner (range y from 1 to 3000 step 1 | extend k = 1) on k | sort by x asc";
    for (name, text, options, expected) in [
        (
            "time",
            long,
            with(100, 1 << 40),
            "longer than its limit of 0.1 s",
        ),
        (
            "memory of a range",
            long,
            with(60_000, 8 << 20),
            "more memory than its limit of 8 MiB",
        ),
        (
            "memory of groups",
            wide,
            with(60_000, 32 << 20),
            "more memory than its limit of 32 MiB",
        ),
        (
            "memory of a join",
            many,
            with(60_000, 32 << 20),
            "more memory than its limit of 32 MiB",
        ),
    ] {
        let begun = Instant::now();
        let error = query(text, &none, &options).expect_err(name);
        assert_eq!(error.kind, Kind::Execution, "{name}");
        assert!(error.message.contains(expected), "{name}: {error}");
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{name} took {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn a_query_that_is_cancelled_ends() {
    let cancelled: Arc<AtomicBool> = Arc::default();
    let options = Options {
        cancelled: cancelled.clone(),
        ..Options::at(0)
    };
    let text = "range x from 1 to 100000000000 step 1 | count";
    let (none, begun) = (Tables::default(), Instant::now());
    let error = std::thread::scope(|scope| {
        let asked = scope.spawn(|| query(text, &none, &options).expect_err("it is cancelled"));
        cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
        asked.join().expect("it ends")
    });
    assert_eq!(error.to_string(), "the query was cancelled");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn values_of_a_null_column_are_null() {
    let rows = [(None, String::new(), None, None)];
    let answer = query("T", &tables(&rows, 1), &options(1)).expect("an answer");
    let column = |at: usize| answer.batches[0].columns[at].value(0);
    assert_eq!(column(0), Value::Null);
    assert_eq!(column(1), Value::string(""));
}
