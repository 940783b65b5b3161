use super::*;
use Type::{
    DateTime as Dt, Decimal as Dec, Dynamic as Dyn, Int, Long, Real, String as Str, TimeSpan as Ts,
};

fn dynamic(json: &str) -> Value<'_> {
    Value::dynamic(json)
}

fn longs<const N: usize>(values: [i64; N]) -> Vec<Value<'static>> {
    values.into_iter().map(Value::Long).collect()
}

fn reals<const N: usize>(values: [f64; N]) -> Vec<Value<'static>> {
    values.into_iter().map(Value::Real).collect()
}

fn texts<const N: usize>(values: [&'static str; N]) -> Vec<Value<'static>> {
    values.into_iter().map(Value::string).collect()
}

type Args = Vec<(Type, Vec<Value<'static>>)>;

/// The results of one group, the rows in one part or in two that are merged.
fn run(name: &str, args: &Args, results: &[Type], split: Option<usize>) -> Vec<Value<'static>> {
    let (aggregate, _) = find(name).expect(name);
    let rows = args.iter().map(|(_, v)| v.len()).max().unwrap_or(3);
    let constant = |values: &Vec<Value<'static>>| values.len() == 1 && rows != 1;
    let spec = Spec {
        args: args.iter().map(|(ty, _)| *ty).collect(),
        constants: args
            .iter()
            .map(|(_, values)| constant(values).then(|| values[0].clone()))
            .collect(),
        results: results.to_vec(),
    };
    let part = |from: usize, to: usize| {
        let mut states = (aggregate.make)(&spec);
        let data: Vec<Datum> = args
            .iter()
            .map(|(ty, values)| {
                if constant(values) {
                    Datum::Value(*ty, values[0].clone())
                } else {
                    Datum::Column(Column::from_values(*ty, values[from..to].iter().cloned()))
                }
            })
            .collect();
        states.update(&vec![0; to - from], 1, &data).expect(name);
        states
    };
    let states = match split {
        None => part(0, rows),
        Some(at) => {
            let mut first = part(0, at);
            first.merge(part(at, rows), &[0], 1).expect(name);
            first
        }
    };
    assert!(states.bytes() > 0);
    let columns = states.finish(1).expect(name);
    columns.iter().map(|c| c.value(0).into_owned()).collect()
}

fn check(name: &str, args: Args, results: &[Type], expected: &[Value<'_>]) {
    let rows = args.iter().map(|(_, v)| v.len()).max().unwrap_or(3);
    for split in std::iter::once(None).chain((0..=rows).map(Some)) {
        let answer = run(name, &args, results, split);
        let same = answer.len() == expected.len()
            && answer.iter().zip(expected).all(|pair| match pair {
                (Value::Real(a), Value::Real(b)) => {
                    a.is_nan() && b.is_nan() || (a - b).abs() < 1e-9 * b.abs().max(1.0)
                }
                (a, b) => a == b,
            });
        assert!(
            same,
            "{name} {args:?} split {split:?}: {answer:?}, not {expected:?}"
        );
    }
}

fn with_null(mut values: Vec<Value<'static>>) -> Vec<Value<'static>> {
    values.insert(1, Value::Null);
    values.push(Value::Null);
    values
}

#[test]
fn sums_and_means_pass_over_nulls() {
    check("count", vec![], &[Long], &[Value::Long(3)]);
    let l = || with_null(longs([4, 1, 7]));
    let r = || with_null(reals([4.0, 1.5, 7.0]));
    check("sum", vec![(Long, l())], &[Long], &[Value::Long(12)]);
    check("sum", vec![(Real, r())], &[Real], &[Value::Real(12.5)]);
    check("avg", vec![(Long, l())], &[Real], &[Value::Real(4.0)]);
    check("min", vec![(Long, l())], &[Long], &[Value::Long(1)]);
    check("max", vec![(Real, r())], &[Real], &[Value::Real(7.0)]);
    let ints = vec![Value::Int(5), Value::Null, Value::Int(-6)];
    check(
        "sum",
        vec![(Int, ints.clone())],
        &[Long],
        &[Value::Long(-1)],
    );
    check("min", vec![(Int, ints)], &[Int], &[Value::Int(-6)]);
    let spans = vec![Value::TimeSpan(10), Value::TimeSpan(21)];
    check(
        "sum",
        vec![(Ts, spans.clone())],
        &[Ts],
        &[Value::TimeSpan(31)],
    );
    check("avg", vec![(Ts, spans)], &[Ts], &[Value::TimeSpan(15)]);
    let times = vec![Value::DateTime(10), Value::DateTime(20)];
    check("avg", vec![(Dt, times)], &[Dt], &[Value::DateTime(15)]);
    let decimal = |text| Value::Decimal(crate::kql::convert::decimal(text).expect(text));
    let decimals = vec![decimal("1.10"), Value::Null, decimal("2.3")];
    check(
        "sum",
        vec![(Dec, decimals.clone())],
        &[Dec],
        &[decimal("3.40")],
    );
    check("avg", vec![(Dec, decimals)], &[Dec], &[decimal("1.7")]);
    check(
        "max",
        vec![(Str, texts(["b", "", "c"]))],
        &[Str],
        &[Value::string("c")],
    );
    check(
        "sum",
        vec![(Long, longs([i64::MAX, 1]))],
        &[Long],
        &[Value::Long(i64::MIN)],
    );
}

#[test]
fn over_no_rows_each_aggregate_has_its_own_answer() {
    let null = || Value::Null;
    for (name, ty, result, expected) in [
        ("sum", Long, Long, Value::Long(0)),
        ("sum", Real, Real, Value::Real(0.0)),
        ("avg", Long, Real, Value::Real(f64::NAN)),
        ("avg", Ts, Ts, null()),
        ("min", Long, Long, null()),
        ("max", Str, Str, Value::string("")),
        ("arg_max", Long, Long, null()),
        ("arg_min", Long, Long, null()),
        ("take_any", Long, Long, null()),
        ("stdev", Long, Real, Value::Real(0.0)),
        ("variance", Long, Real, Value::Real(0.0)),
        ("variancep", Long, Real, null()),
        ("dcount", Str, Long, Value::Long(0)),
        ("count_distinct", Long, Long, Value::Long(0)),
        ("make_list", Long, Dyn, dynamic("[]")),
        ("make_set", Str, Dyn, dynamic("[]")),
        ("make_bag", Dyn, Dyn, dynamic("{}")),
        ("buildschema", Dyn, Dyn, null()),
        ("binary_all_or", Long, Long, null()),
    ] {
        check(
            name,
            vec![(ty, vec![])],
            &[result],
            std::slice::from_ref(&expected),
        );
        // Nulls alone are as nothing.
        if ty != Str {
            check(
                name,
                vec![(ty, vec![null(), null()])],
                &[result],
                &[expected],
            );
        }
    }
    check(
        "percentile",
        vec![(Long, vec![]), (Long, longs([55]))],
        &[Long],
        &[Value::Null],
    );
    check("count", vec![(Long, vec![])], &[Long], &[Value::Long(0)]);
}

#[test]
fn spread_is_that_of_the_sample_or_of_all() {
    let five = || vec![(Long, with_null(longs([1, 2, 3, 4, 5])))];
    check("variance", five(), &[Real], &[Value::Real(2.5)]);
    check("variancep", five(), &[Real], &[Value::Real(2.0)]);
    check("stdev", five(), &[Real], &[Value::Real(2.5f64.sqrt())]);
    check("stdevp", five(), &[Real], &[Value::Real(2f64.sqrt())]);
    check(
        "stdev",
        vec![(Long, longs([7]))],
        &[Real],
        &[Value::Real(0.0)],
    );
    let pairs = || {
        vec![
            (Real, reals([1.0, 2.0, 3.0, 4.0, 5.0])),
            (Real, reals([14.0, 10.0, 17.0, 20.0, 50.0])),
        ]
    };
    check("covariance", pairs(), &[Real], &[Value::Real(20.5)]);
    check("covariancep", pairs(), &[Real], &[Value::Real(16.4)]);
}

#[test]
fn percentiles_are_the_nearest_ranks() {
    let hundred = || (Long, (1..=100).rev().map(Value::Long).collect::<Vec<_>>());
    for (rank, expected) in [
        (0.0, 1),
        (0.5, 1),
        (5.0, 5),
        (55.0, 55),
        (99.9, 100),
        (100.0, 100),
    ] {
        let args = vec![hundred(), (Real, reals([rank]))];
        let (aggregate, _) = find("percentile").expect("percentile");
        assert_eq!(aggregate.shape, Shape::Percentiles(1));
        assert_eq!(
            run("percentile", &args, &[Long], Some(40)),
            [Value::Long(expected)],
            "{rank}"
        );
    }
    let weighted = |ranks: Args| {
        let mut args = vec![(Long, longs([10, 20, 30, 40])), (Long, longs([8, 6, 3, 1]))];
        args.extend(ranks);
        args
    };
    let three = || {
        vec![
            (Long, longs([50])),
            (Long, longs([75])),
            (Real, reals([99.9])),
        ]
    };
    check(
        "percentilesw",
        weighted(three()),
        &[Long; 3],
        &longs([20, 20, 40]),
    );
    check(
        "percentilesw_array",
        weighted(three()),
        &[Dyn],
        &[dynamic("[20,20,40]")],
    );
    let array = vec![(Dyn, vec![Value::dynamic("[50,75,99.9]")])];
    check(
        "percentilesw_array",
        weighted(array),
        &[Dyn],
        &[dynamic("[20,20,40]")],
    );
    check(
        "percentiles",
        vec![
            (Real, reals([3.5, 1.5, 2.5])),
            (Long, longs([50])),
            (Long, longs([100])),
        ],
        &[Real, Real],
        &reals([2.5, 3.5]),
    );
    check(
        "percentile",
        vec![(Str, texts(["b", "a", "c"])), (Long, longs([50]))],
        &[Str],
        &[Value::string("b")],
    );
}

#[test]
fn lists_keep_the_order_of_rows_and_sets_that_of_first_sight() {
    let values = || with_null(longs([3, 1, 3]));
    check(
        "make_list",
        vec![(Long, values())],
        &[Dyn],
        &[dynamic("[3,1,3]")],
    );
    check(
        "make_list_with_nulls",
        vec![(Long, values())],
        &[Dyn],
        &[dynamic("[3,null,1,3,null]")],
    );
    check(
        "make_set",
        vec![(Long, values())],
        &[Dyn],
        &[dynamic("[3,1]")],
    );
    check(
        "make_list",
        vec![(Long, values()), (Long, longs([2]))],
        &[Dyn],
        &[dynamic("[3,1]")],
    );
    check(
        "make_set",
        vec![(
            Dyn,
            vec![dynamic(r#"["A1","A2"]"#), dynamic(r#"["A2","C1"]"#)],
        )],
        &[Dyn],
        &[dynamic(r#"["A1","A2","C1"]"#)],
    );
    check(
        "make_bag",
        vec![(
            Dyn,
            vec![
                dynamic(r#"{"a":1}"#),
                Value::Null,
                dynamic(r#"{"b":[2],"a":3}"#),
            ],
        )],
        &[Dyn],
        &[dynamic(r#"{"a":1,"b":[2]}"#)],
    );
    let many: Vec<_> = (0..200).map(Value::Long).collect();
    let old = run("makelist", &vec![(Long, many)], &[Dyn], None);
    assert_eq!(
        crate::kql::json::elements(old[0].text()).map(|v| v.len()),
        Some(128)
    );
}

#[test]
fn the_row_with_the_extreme_is_picked_and_nulls_only_when_alone() {
    let versions = || {
        (
            Int,
            vec![Value::Null, Value::Int(1), Value::Int(2), Value::Int(2)],
        )
    };
    let colours = || (Str, texts(["grey", "red", "green", "blue"]));
    let picked = |v, c| [Value::Int(v), Value::string(c)];
    check(
        "arg_max",
        vec![versions(), colours()],
        &[Int, Str],
        &picked(2, "green"),
    );
    check(
        "arg_min",
        vec![versions(), colours()],
        &[Int, Str],
        &picked(1, "red"),
    );
    check(
        "arg_min",
        vec![
            (Int, vec![Value::Null, Value::Null]),
            (Str, texts(["yellow", "green"])),
        ],
        &[Int, Str],
        &[Value::Null, Value::string("yellow")],
    );
    check(
        "argmax",
        vec![(Str, texts(["a", "c", "b"])), (Long, longs([1, 2, 3]))],
        &[Str, Long],
        &[Value::string("c"), Value::Long(2)],
    );
    check(
        "take_any",
        vec![(Str, texts(["", "x", "y"]))],
        &[Str],
        &[Value::string("x")],
    );
    check(
        "any",
        vec![
            (Long, vec![Value::Null, Value::Long(1)]),
            (Str, texts(["", "x"])),
        ],
        &[Long, Str],
        &[Value::Null, Value::string("")],
    );
}

#[test]
fn distinct_values_are_counted_without_nulls() {
    check(
        "dcount",
        vec![(Long, with_null(longs([3, 1, 3])))],
        &[Long],
        &[Value::Long(2)],
    );
    check(
        "dcount",
        vec![(Str, texts(["a", "", "a"]))],
        &[Long],
        &[Value::Long(2)],
    );
    check(
        "dcount",
        vec![(Real, reals([0.0, -0.0, 1.0]))],
        &[Long],
        &[Value::Long(2)],
    );
    check(
        "count_distinct",
        vec![(Long, longs([1, 2, 1]))],
        &[Long],
        &[Value::Long(2)],
    );
}

#[test]
fn bits_of_all_values_go_together() {
    for (name, values, expected) in [
        (
            "binary_all_and",
            [0xFFFF_FFFF, 0xFFFF_F00F, 0xCFFF_FFFD, 0xFAFE_FFFF],
            0xCAFE_F00D,
        ),
        (
            "binary_all_or",
            [0x8888_8008, 0x4200_0000, 0x0076_7000, 0x5],
            0xCAFE_F00D,
        ),
        (
            "binary_all_xor",
            [0x4440_4440, 0x1E1E_1E1E, 0x90AB_BA09, 0x000B_105A],
            0xCAFE_F00D,
        ),
    ] {
        check(
            name,
            vec![(Long, longs(values))],
            &[Long],
            &[Value::Long(expected)],
        );
    }
}

#[test]
fn a_schema_names_every_kind_that_a_place_has_seen() {
    let values = [
        r#"{"x":1,"y":3.5}"#,
        r#"{"x":"somevalue","z":[1,2,3]}"#,
        r#"{"y":{"w":"zzz"},"t":["aa","bb"],"z":["foo"]}"#,
    ];
    let expected = r#"{"x":["long","string"],"y":["double",{"w":"string"}],"z":{"indexer":["long","string"]},"t":{"indexer":"string"}}"#;
    let args = vec![(Dyn, values.into_iter().map(Value::dynamic).collect())];
    check("buildschema", args, &[Dyn], &[dynamic(expected)]);
}

#[test]
fn groups_do_not_see_each_other() {
    let (sum, _) = find("sum").expect("sum");
    let spec = Spec {
        args: vec![Long],
        constants: vec![None],
        results: vec![Long],
    };
    let mut states = (sum.make)(&spec);
    let data = Datum::Column(Column::from_values(Long, longs([1, 2, 3, 4])));
    states
        .update(&[1, 0, 1, 2], 3, std::slice::from_ref(&data))
        .expect("sum");
    let mut other = (sum.make)(&spec);
    other.update(&[0, 1, 1, 0], 2, &[data]).expect("sum");
    states.merge(other, &[2, 3], 4).expect("merge");
    let columns = states.finish(4).expect("finish");
    assert_eq!(columns[0].values().collect::<Vec<_>>(), longs([2, 4, 9, 5]));
}

#[test]
fn names_of_columns_follow_the_variant() {
    for (name, prefix) in [
        ("sum", "sum"),
        ("sumif", "sumif"),
        ("make_list_if", "list"),
        ("countif", "countif"),
    ] {
        let (aggregate, predicate) = find(name).expect(name);
        assert_eq!(aggregate.prefix(predicate), Some(prefix), "{name}");
    }
    assert!(names().all(|name| find(name).is_some()));
}
