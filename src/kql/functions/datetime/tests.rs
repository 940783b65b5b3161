use crate::kql::column::{Column, Datum};
use crate::kql::convert;
use crate::kql::functions::{Eval, find};
use crate::kql::signature::{Accept, Returns};
use crate::kql::types::Type;
use crate::kql::value::Value;

fn at(text: &str) -> Value<'static> {
    convert::parse(text, Type::DateTime).expect(text)
}

fn span(text: &str) -> Value<'static> {
    convert::parse(text, Type::TimeSpan).expect(text)
}

/// Calls a function with constants and, if it runs over columns, with columns: both must agree.
fn call(name: &str, args: &[Value<'static>]) -> Value<'static> {
    let function = find(name).expect(name);
    let signature = function
        .signatures
        .iter()
        .find(|signature| signature.takes(args.len()))
        .expect(name);
    let Returns::Exactly(ty) = signature.returns else {
        panic!("`{name}` has one type");
    };
    match function.eval {
        Eval::Row(f) | Eval::Nulls(f) => f(args).into_owned(),
        Eval::Columns(f) | Eval::Ordered(f) => {
            let typed: Vec<_> = (args.iter().enumerate())
                .map(|(i, value)| {
                    let accept = signature.param(i, args.len()).expect(name).accept;
                    let Accept::Exactly(ty) = accept else {
                        panic!("`{name}` takes fixed types");
                    };
                    Datum::Value(ty, value.clone())
                })
                .collect();
            let alone = f(&typed, 1, ty).expect(name).into_column(1);
            let alone = alone.value(0).into_owned();
            let columns: Vec<_> = (typed.into_iter())
                .map(|datum| match datum {
                    Datum::Value(Type::String, _) => datum,
                    Datum::Value(ty, value) => {
                        Datum::Column(Column::from_values(ty, [value, Value::Null]))
                    }
                    column => column,
                })
                .collect();
            let two = f(&columns, 2, ty).expect(name).into_column(2);
            assert_eq!(two.value(0), alone, "{name} over a column");
            assert_eq!(two.value(1), Value::Null, "{name} of a null");
            alone
        }
    }
}

#[test]
fn days_weeks_months_and_years_begin_and_end_where_they_should() {
    let now = || at("2017-01-01 10:10:17");
    for (name, before, same, after) in [
        ("startofday", "2016-12-31", "2017-01-01", "2017-01-02"),
        ("startofweek", "2016-12-25", "2017-01-01", "2017-01-08"),
        ("startofmonth", "2016-12-01", "2017-01-01", "2017-02-01"),
        ("startofyear", "2016-01-01", "2017-01-01", "2018-01-01"),
        (
            "endofday",
            "2016-12-31 23:59:59.9999999",
            "2017-01-01 23:59:59.9999999",
            "2017-01-02 23:59:59.9999999",
        ),
        (
            "endofweek",
            "2016-12-31 23:59:59.9999999",
            "2017-01-07 23:59:59.9999999",
            "2017-01-14 23:59:59.9999999",
        ),
        (
            "endofmonth",
            "2016-12-31 23:59:59.9999999",
            "2017-01-31 23:59:59.9999999",
            "2017-02-28 23:59:59.9999999",
        ),
        (
            "endofyear",
            "2016-12-31 23:59:59.9999999",
            "2017-12-31 23:59:59.9999999",
            "2018-12-31 23:59:59.9999999",
        ),
    ] {
        assert_eq!(
            call(name, &[now(), Value::Long(-1)]),
            at(before),
            "{name} before"
        );
        assert_eq!(call(name, &[now()]), at(same), "{name}");
        assert_eq!(
            call(name, &[now(), Value::Long(1)]),
            at(after),
            "{name} after"
        );
        assert_eq!(
            call(name, &[at("max"), Value::Long(1)]),
            Value::Null,
            "{name} beyond"
        );
        if name.starts_with("end") && name != "endofweek" {
            assert_eq!(call(name, &[at("max")]), at("max"), "{name} at the end");
        }
    }
}

#[test]
fn parts_of_a_datetime_are_read() {
    let now = || at("2017-10-30 01:02:03.7654321");
    for (part, expected) in [
        ("year", 2017),
        ("quarter", 4),
        ("Month", 10),
        ("week_of_year", 44),
        ("day", 30),
        ("DayOfYear", 303),
        ("hour", 1),
        ("minute", 2),
        ("second", 3),
        ("millisecond", 765),
        ("microsecond", 765_432),
        ("nanosecond", 765_432_100),
    ] {
        let answer = call("datetime_part", &[Value::string(part), now()]);
        assert_eq!(answer, Value::Int(expected), "{part}");
    }
    for (name, text, expected) in [
        ("week_of_year", "2020-12-31", 53),
        ("week_of_year", "2020-06-15", 25),
        ("week_of_year", "1970-01-01", 1),
        ("week_of_year", "2000-01-01", 52),
        ("dayofmonth", "2015-12-14", 14),
        ("dayofyear", "2015-12-14", 348),
        ("hourofday", "2015-12-14 18:54", 18),
        ("getmonth", "2015-10-12", 10),
        ("monthofyear", "2015-12-14", 12),
        ("getyear", "2015-10-12", 2015),
    ] {
        assert_eq!(
            call(name, &[at(text)]),
            Value::Int(expected),
            "{name} {text}"
        );
    }
    assert_eq!(call("dayofweek", &[at("1947-11-30 10:00:05")]), span("0"));
    assert_eq!(call("dayofweek", &[at("1970-05-11")]), span("1"));
}

#[test]
fn periods_are_added_and_counted_by_their_borders() {
    let add = |part, count, text| {
        call(
            "datetime_add",
            &[Value::string(part), Value::Long(count), at(text)],
        )
    };
    for (part, count, from, expected) in [
        ("year", -5, "2017-01-01", "2012-01-01"),
        ("quarter", 12, "2017-01-01", "2020-01-01"),
        ("month", -15, "2017-01-01", "2015-10-01"),
        ("month", 1, "2017-01-31", "2017-02-28"),
        ("Week", 100, "2017-01-01", "2018-12-02"),
        ("day", 1, "2017-01-01", "2017-01-02"),
        (
            "nanosecond",
            250,
            "2017-01-01",
            "2017-01-01 00:00:00.0000002",
        ),
    ] {
        assert_eq!(add(part, count, from), at(expected), "{part} {count}");
    }
    assert_eq!(add("year", 9000, "2017-01-01"), Value::Null);
    for (part, a, b, expected) in [
        ("year", "2017-01-01", "2000-12-31", 17),
        ("quarter", "2017-07-01", "2017-03-30", 2),
        ("month", "2017-01-01", "2015-12-30", 13),
        ("week", "2017-10-29", "2017-09-30 23:59", 5),
        ("day", "2017-10-29", "2017-09-30 23:59", 29),
        ("hour", "2017-10-31 01:00", "2017-10-30 23:59", 2),
        ("minute", "2017-10-30 23:05:01", "2017-10-30 23:00:59", 5),
        (
            "second",
            "2017-10-30 23:00:10.100",
            "2017-10-30 23:00:00.900",
            10,
        ),
        (
            "millisecond",
            "2017-10-30 23:00:00.200100",
            "2017-10-30 23:00:00.100900",
            100,
        ),
        (
            "microsecond",
            "2017-10-30 23:00:00.1009001",
            "2017-10-30 23:00:00.1008009",
            100,
        ),
        (
            "nanosecond",
            "2017-10-30 23:00:00",
            "2017-10-30 23:00:00.0000007",
            -700,
        ),
    ] {
        let answer = call("datetime_diff", &[Value::string(part), at(a), at(b)]);
        assert_eq!(answer, Value::Long(expected), "{part}");
    }
}

#[test]
fn datetimes_and_timespans_print_as_their_format_says() {
    for (text, format, expected) in [
        (
            "2017-01-29 09:00:05",
            "yy-MM-dd [HH:mm:ss]",
            "17-01-29 [09:00:05]",
        ),
        (
            "2017-01-29 09:00:05",
            "yyyy-M-dd [H:mm:ss]",
            "2017-1-29 [9:00:05]",
        ),
        (
            "2017-01-29 09:00:05",
            "yy-MM-dd [hh:mm:ss tt]",
            "17-01-29 [09:00:05 AM]",
        ),
        (
            "2009-06-15 13:45:30.6170000",
            "h hh f fff FFFFFFF tt",
            "1 01 6 617 617 PM",
        ),
        (
            "1900-01-01 00:00:00.05",
            "y yy yyyy F.ff h",
            "0 00 1900 .05 12",
        ),
    ] {
        let answer = call("format_datetime", &[at(text), Value::string(format)]);
        assert_eq!(answer, Value::string(expected), "{format}");
    }
    for (text, format, expected) in [
        ("29.09:00:05.12345", "dd.hh:mm:ss:FF", "29.09:00:05:12"),
        (
            "29.09:00:05.12345",
            "ddd.h:mm:ss [fffffff]",
            "029.9:00:05 [1234500]",
        ),
        ("15.13:45:30", "d H", "15 13"),
    ] {
        let answer = call("format_timespan", &[span(text), Value::string(format)]);
        assert_eq!(answer, Value::string(expected), "{format}");
    }
}

#[test]
fn what_binding_must_refuse_is_refused() {
    let two = |first: &'static str| [Some(Value::string(first)), None];
    let second = |text: &'static str| [None, Some(Value::string(text))];
    for (name, constants, good) in [
        ("datetime_part", two("dayofyear"), true),
        ("datetime_part", two("week"), false),
        ("datetime_add", two("Week"), true),
        ("datetime_add", two("dayofyear"), false),
        ("format_datetime", second("yyyy-MM-dd"), true),
        ("format_datetime", second("yyyy-MM-ddTHH"), false),
        ("format_datetime", second("ddd"), false),
        ("format_timespan", second("ddd"), true),
        ("format_timespan", second("é"), false),
        ("datetime_utc_to_local", second("Europe/Paris"), true),
        ("datetime_utc_to_local", second("Mars/Base"), false),
    ] {
        let check = find(name).expect(name).check.expect(name);
        assert_eq!(check(&constants).is_ok(), good, "{name} {constants:?}");
    }
}

#[test]
fn datetimes_and_timespans_are_made_of_numbers() {
    let longs = |values: &[i64]| values.iter().map(|v| Value::Long(*v)).collect::<Vec<_>>();
    assert_eq!(
        call("make_datetime", &longs(&[2017, 10, 1])),
        at("2017-10-01")
    );
    assert_eq!(
        call("make_datetime", &longs(&[2017, 10, 1, 12, 10])),
        at("2017-10-01 12:10")
    );
    assert_eq!(call("make_datetime", &longs(&[2017, 2, 29])), Value::Null);
    let mut args = longs(&[2017, 10, 1, 12, 11]);
    args.push(Value::Real(0.1234567));
    assert_eq!(
        call("make_datetime", &args),
        at("2017-10-01 12:11:00.1234567")
    );
    let mut args = longs(&[1, 12, 30]);
    args.push(Value::Real(55.123));
    assert_eq!(call("make_timespan", &args), span("1.12:30:55.123"));
    assert_eq!(call("make_timespan", &longs(&[1, 30])), span("01:30"));
    assert_eq!(call("make_timespan", &longs(&[24, 30])), Value::Null);
    for (unit, count) in [
        ("seconds", 1_546_300_800),
        ("milliseconds", 1_546_300_800_000),
        ("microseconds", 1_546_300_800_000_000),
        ("nanoseconds", 1_546_300_800_000_000_000),
    ] {
        let name = format!("unixtime_{unit}_todatetime");
        assert_eq!(call(&name, &longs(&[count])), at("2019-01-01"), "{name}");
        assert_eq!(
            call(&name, &[Value::Real(count as f64)]),
            at("2019-01-01"),
            "{name}"
        );
    }
    let half = call("unixtime_seconds_todatetime", &[Value::Real(-0.5)]);
    assert_eq!(half, at("1969-12-31 23:59:59.5"));
}

#[test]
fn local_time_follows_the_zone() {
    let to = |name, text, zone| call(name, &[at(text), Value::string(zone)]);
    for (local, zone, utc) in [
        ("2020-02-02 20:02:20", "US/Pacific", "2020-02-03 04:02:20"),
        (
            "2020-02-02 20:02:20",
            "America/Chicago",
            "2020-02-03 02:02:20",
        ),
        ("2020-02-02 20:02:20", "Europe/Paris", "2020-02-02 19:02:20"),
        ("2022-03-27 01:00", "Europe/Brussels", "2022-03-27 00:00"),
        ("2022-03-27 02:00", "Europe/Brussels", "2022-03-27 00:00"),
        ("2022-03-27 03:00", "Europe/Brussels", "2022-03-27 01:00"),
    ] {
        assert_eq!(
            to("datetime_local_to_utc", local, zone),
            at(utc),
            "{local} {zone}"
        );
    }
    let back = to(
        "datetime_utc_to_local",
        "2022-07-11 22:18:48.4678620",
        "US/Pacific",
    );
    assert_eq!(back, at("2022-07-11 15:18:48.4678620"));
    let all = call("datetime_list_timezones", &[]);
    assert!(all.text().contains("\"Europe/Brussels\""));
}
