//! What holds for the query engine whatever the query and the rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poolkeeper::kql::column::Column;
use poolkeeper::kql::error::{Kind, Result};
use poolkeeper::kql::exec::{Limits, Run};
use poolkeeper::kql::plan::{Batch, Bound, Part, Source};
use poolkeeper::kql::source::{Memory, Tables};
use poolkeeper::kql::types::{Schema, Type};
use poolkeeper::kql::value::Value;
use poolkeeper::kql::{self, Options, output};
use proptest::prelude::*;

type Row = (Option<i64>, Option<i8>, String, Option<bool>);

fn schema() -> Schema {
    Schema::of(&[
        ("a", Type::Long),
        ("b", Type::Real),
        ("s", Type::String),
        ("f", Type::Bool),
    ])
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::option::of(-3..4_i64),
        prop::option::of(-2..3_i8),
        "[ab]{0,2}",
        any::<Option<bool>>(),
    );
    prop::collection::vec(row, 0..24)
}

fn batch(rows: &[Row]) -> Batch {
    let a = rows
        .iter()
        .map(|row| row.0.map_or(Value::Null, Value::Long));
    let halves = |v: i8| Value::Real(f64::from(v) / 2.0);
    let b = rows.iter().map(|row| row.1.map_or(Value::Null, halves));
    let s = rows.iter().map(|row| Value::string(row.2.as_str()));
    let f = rows
        .iter()
        .map(|row| row.3.map_or(Value::Null, Value::Bool));
    let columns = vec![
        Column::from_values(Type::Long, a),
        Column::from_values(Type::Real, b),
        Column::from_values(Type::String, s),
        Column::from_values(Type::Bool, f),
    ];
    Batch::new(columns, rows.len())
}

/// A table that comes in several parts.
struct Parts(Schema, Vec<Batch>);

impl Source for Parts {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn scan(&self, _wanted: &[bool], _bounds: &[Bound], _run: &Arc<Run>) -> Result<Vec<Part>> {
        let part = |batch: &Batch| -> Part { Box::new(std::iter::once(Ok(batch.clone()))) };
        Ok(self.1.iter().map(part).collect())
    }
}

fn options() -> Options {
    let mut options = Options::at(639_040_608_000_000_000);
    options.limits = Limits {
        time: Duration::from_secs(20),
        memory: 32 << 20,
        threads: 2,
    };
    options
}

fn answer(text: &str, source: Arc<dyn Source>) -> Vec<Vec<serde_json::Value>> {
    let mut tables = Tables::default();
    tables.add("T", source);
    let table = kql::query(text, &tables, &options())
        .unwrap_or_else(|error| panic!("{}", error.render(text)));
    output::rows(&table)
}

fn predicate() -> impl Strategy<Value = String> {
    let compare = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (compare.clone(), -3..4_i64).prop_map(|(op, value)| format!("a {op} {value}")),
        (compare, -2..3_i8).prop_map(|(op, value)| format!("b {op} {}", f64::from(value) / 2.0)),
        prop::sample::select(vec![
            "f",
            "not(f)",
            "f == true",
            "isnull(a)",
            "isnotnull(b)",
            "a in (1, 2)",
            "a !in (0, -1)",
            "a == b",
            "a > b",
            "a between (0 .. 2)",
            "s == 'a'",
            "s != ''",
            "s has 'ab'",
            "s contains 'b'",
            "s !startswith 'a'",
            "isempty(s)",
            "a == long(null)",
            "strlen(s) > a",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (
            inner.clone(),
            prop::sample::select(vec!["and", "or"]),
            inner,
        )
            .prop_map(|(left, op, right)| format!("({left} {op} {right})"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn two_filters_are_one_with_and(rows in rows(), p in predicate(), q in predicate()) {
        let source: Arc<dyn Source> = Arc::new(Memory::new(schema(), vec![batch(&rows)]));
        let apart = answer(&format!("T | where {p} | where {q}"), source.clone());
        prop_assert_eq!(answer(&format!("T | where {p} and {q}"), source.clone()), apart.clone());
        prop_assert_eq!(answer(&format!("T | where {q} | where {p}"), source.clone()), apart.clone());
        // Behind the rows' reader, where nothing can be pushed down.
        let behind = answer(&format!("T | serialize n = row_number() | where {p} | where {q} | project-away n"), source);
        prop_assert_eq!(behind, apart);
    }

    #[test]
    fn parts_summarize_as_the_whole_does(
        rows in rows(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let whole = batch(&rows);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| whole.slice(pair[0], pair[1] - pair[0])).collect();
        let parts: Arc<dyn Source> = Arc::new(Parts(schema(), parts));
        let whole: Arc<dyn Source> = Arc::new(Parts(schema(), vec![whole]));
        let calls = "count(), sum(a), min(a), max(b), dcount(s), dcount(a), percentile(a, 50), countif(f), make_list(a), arg_max(a, s)";
        for by in ["", " by s", " by a, f"] {
            let text = format!("T | summarize {calls}{by} | sort by count_, sum_a, min_a, max_b, tostring(list_a)");
            prop_assert_eq!(answer(&text, parts.clone()), answer(&text, whole.clone()));
        }
    }

    #[test]
    fn no_bytes_make_a_query_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), head in 0..4_usize) {
        let head = ["", "print ", "T | ", "T | where a == "][head];
        let text = format!("{head}{}", String::from_utf8_lossy(&bytes));
        let mut tables = Tables::default();
        tables.add("T", Arc::new(Memory::empty(schema())));
        if let Err(error) = kql::query(&text, &tables, &options()) {
            let _ = error.render(&text);
        }
    }

    #[test]
    fn no_signs_make_a_query_panic(text in "[-a-cfs0-9 '\"|(){}\\[\\],;:.=<>!+*/%]{0,40}", head in 0..3_usize) {
        let head = ["print ", "T | extend x = ", "T | summarize "][head];
        let text = format!("{head}{text}");
        let mut tables = Tables::default();
        tables.add("T", Arc::new(Memory::empty(schema())));
        if let Err(error) = kql::query(&text, &tables, &options()) {
            let _ = error.render(&text);
        }
    }
}

fn failure(text: &str, options: &Options) -> String {
    let error = kql::query(text, &Tables::default(), options).expect_err(text);
    assert_eq!(error.kind, Kind::Execution, "{text}: {error}");
    error.message
}

#[test]
fn a_query_that_needs_too_much_memory_ends_with_that_error() {
    let mut options = options();
    options.limits.memory = 1 << 20;
    for text in [
        "range x from 1 to 1000000 step 1 | sort by x desc | take 1",
        "print repeat(dynamic({'a': {'b': [1]}}), 9223372036854775807)",
        "range x from 1 to 1024 step 1 | extend s = strrep('a', 1024) | extend s = strcat(s, s, s) | summarize max(strlen(s))",
        "range x from 1 to 1000000 step 1 | summarize count() by x",
        "range x from 1 to 1000000 step 1 | summarize make_list(x)",
        "range x from 1 to 9223372036854775807 step 1 | count",
        "range x from 1 to 30000 step 1 | extend k = 1 | join kind=inner (range y from 1 to 30000 step 1 | extend k = 1) on k | count",
    ] {
        let message = failure(text, &options);
        assert!(
            message.contains("more memory than its limit of 1 MiB"),
            "{text}: {message}"
        );
    }
}

#[test]
fn a_query_that_takes_too_long_ends_with_that_error() {
    let mut options = options();
    options.limits.time = Duration::ZERO;
    let message = failure("range x from 1 to 1000000 step 1 | count", &options);
    assert!(
        message.contains("took longer than its limit of 0 s"),
        "{message}"
    );
}

#[test]
fn a_cancelled_query_ends_with_that_error() {
    let options = options();
    let flag: Arc<AtomicBool> = options.cancelled.clone();
    flag.store(true, Ordering::Relaxed);
    assert_eq!(
        failure("range x from 1 to 1000000 step 1 | count", &options),
        "the query was cancelled"
    );
}

#[test]
fn the_longest_query_runs_on_the_stack_of_a_small_thread_and_a_longer_one_is_refused() {
    let text = |count: usize| format!("print a = 1 {}", "| extend a = a + 1 ".repeat(count));
    let tables = Tables::default();
    let table = kql::query(&text(2000), &tables, &options()).expect("as many as may be");
    assert_eq!(output::rows(&table), [[serde_json::json!(2001)]]);
    let error = kql::query(&text(20_000), &tables, &options()).expect_err("too many");
    assert_eq!(error.message, "the query has more than 2000 operators");
}

#[test]
fn tables_and_expressions_that_double_at_every_step_are_refused() {
    let doubling = |first: &str, next: fn(usize) -> String, last: &str| {
        let steps: String = (0..40).map(next).collect();
        let text = format!("let t0 = {first};{steps}{last}");
        let error = kql::query(&text, &Tables::default(), &options()).expect_err(&text);
        assert_eq!(error.kind, Kind::Semantic, "{error}");
        error.message
    };
    let tables = doubling(
        "print a = 1",
        |i| format!("let t{} = union t{i}, t{i};", i + 1),
        "t40 | count",
    );
    assert!(tables.contains("more than 20000 steps"), "{tables}");
    let terms = doubling(
        "rand()",
        |i| format!("let t{} = t{i} + t{i};", i + 1),
        "print t40",
    );
    assert!(terms.contains("more than 10000 terms"), "{terms}");
}
