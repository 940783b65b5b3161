use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Duration, TimeZone as _, Utc};

use super::partitions::ranges;
use super::question::What;
use super::reader::{Asked, all_names, parts};
use super::{Loads, Place};
use crate::azure::metrics::{Metric, Point, Series};
use crate::domain::ResourceId;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 9, 30, 20).unwrap()
}

fn place(container: &str) -> Place {
    ("agents".into(), container.into())
}

/// A series whose newest point began `ago` minutes before now, each older one a minute earlier.
fn series(dimensions: &[(&str, &str)], ago: i64, values: &[Option<f64>]) -> Series {
    let named = [("databasename", "Agents")];
    let dimensions: BTreeMap<String, String> = named
        .iter()
        .chain(dimensions)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let until = super::minute(now()) - Duration::minutes(ago);
    let count = i64::try_from(values.len()).unwrap();
    let point = |(at, value): (i64, &Option<f64>)| Point {
        at: until - Duration::minutes(count - 1 - at),
        value: *value,
    };
    Series {
        dimensions,
        points: (0..count).zip(values).map(point).collect(),
    }
}

fn metric(series: Vec<Series>) -> Metric {
    Metric {
        name: "M".into(),
        series,
        failed: None,
        cut: false,
    }
}

fn runs(values: &[Option<f64>]) -> Vec<Metric> {
    vec![metric(vec![series(
        &[("collectionname", "Runs")],
        1,
        values,
    )])]
}

#[test]
fn without_data_there_is_no_minute_and_without_a_number_no_zero() {
    let empty = Loads::default();
    assert_eq!(empty.minutes(&[&place("runs")], now()), []);

    let mut loads = Loads::default();
    loads.take(What::Used, &runs(&[Some(50.0), None, Some(70.0)]), None);
    let minutes = loads.minutes(&[&place("runs")], now());
    let told: Vec<_> = minutes
        .iter()
        .map(|m| (m.at.format("%H:%M").to_string(), m.used, m.refused))
        .collect();
    assert_eq!(
        told,
        [
            ("09:27".into(), Some(50.0), None),
            ("09:29".into(), Some(70.0), None),
        ]
    );
    // Another container's minutes are not its own.
    assert_eq!(loads.minutes(&[&place("files")], now()), []);
}

#[test]
fn nothing_was_refused_only_where_requests_were_counted_and_refusals_asked() {
    let mut loads = Loads::default();
    loads.take(What::Requests, &runs(&[Some(100.0), Some(90.0)]), None);
    let refused = |loads: &Loads| -> Vec<Option<f64>> {
        let minutes = loads.minutes(&[&place("runs")], now());
        minutes.iter().map(|m| m.refused).collect()
    };
    assert_eq!(refused(&loads), [Some(0.0), Some(0.0)]);
    loads.take(What::Refused, &runs(&[Some(7.0)]), None);
    assert_eq!(refused(&loads), [Some(0.0), Some(7.0)]);
    loads.missing.insert(What::Refused);
    assert_eq!(refused(&loads), [None, None]);
}

#[test]
fn what_containers_share_is_their_sum_and_their_fullest() {
    let mut loads = Loads::default();
    let both = |runs: f64, files: f64| {
        vec![metric(vec![
            series(&[("collectionname", "runs")], 1, &[Some(runs)]),
            series(&[("collectionname", "files")], 1, &[Some(files)]),
        ])]
    };
    loads.take(What::Used, &both(60.0, 90.0), None);
    loads.take(What::Requests, &both(300.0, 100.0), None);
    loads.take(What::Units, &both(900.0, 600.0), None);
    loads.take(What::Refused, &both(3.0, 30.0), None);
    loads.take(What::Latency, &both(4.0, 8.0), None);
    let (runs, files) = (place("runs"), place("files"));
    let minutes = loads.minutes(&[&runs, &files], now());
    assert_eq!(minutes.len(), 1);
    let minute = minutes[0];
    assert_eq!(
        (minute.used, minute.requests, minute.units, minute.refused),
        (Some(90.0), Some(400.0), Some(1500.0), Some(33.0))
    );
    assert_eq!(minute.latency_ms, Some(5.0));
}

#[test]
fn what_shares_is_told_by_what_has_no_fullness_of_its_own() {
    let of =
        |container: &str, value: f64| series(&[("collectionname", container)], 1, &[Some(value)]);
    let mut loads = Loads::default();
    let used = vec![of("__Empty", 70.0), of("own", 90.0)];
    loads.take(What::Used, &[metric(used)], None);
    let requests = vec![of("own", 1.0), of("a", 10.0), of("b", 20.0), of("c", 40.0)];
    loads.take(What::Requests, &[metric(requests)], None);
    let known = HashSet::from([place("c")]);
    let sharing = loads.sharing("agents", &known);
    assert_eq!(sharing, [&place(""), &place("a"), &place("b")]);
    let minute = loads.minutes(&sharing, now())[0];
    assert_eq!((minute.used, minute.requests), (Some(70.0), Some(30.0)));
    assert!(loads.shares(&place("a")) && !loads.shares(&place("own")));
    // Without a measure of the database nothing is taken for shared.
    let elsewhere = ("other".to_owned(), "a".to_owned());
    assert!(!loads.shares(&elsewhere));
}

#[test]
fn storage_is_data_and_index_of_the_region_that_has_the_most() {
    let at = |region: &str, bytes: &[Option<f64>]| {
        let dimensions = [("collectionname", "runs"), ("region", region)];
        series(&dimensions, 5, bytes)
    };
    let data = vec![
        at("Japan East", &[Some(1e9), Some(8e9), None]),
        at("Japan West", &[Some(7e9)]),
    ];
    let index = vec![
        at("Japan East", &[Some(1e9)]),
        at("Japan West", &[Some(1e9)]),
    ];
    let mut loads = Loads::default();
    loads.take(What::Stored, &[metric(data), metric(index)], None);
    assert_eq!(loads.storage_gb(&[&place("runs")]), Some(9.0));
    assert_eq!(loads.storage_gb(&[&place("files")]), None);
}

#[test]
fn partitions_are_judged_by_their_newest_five_minutes() {
    let of = |range: &str, ago: i64, values: &[Option<f64>]| {
        let dimensions = [("collectionname", "runs"), ("partitionkeyrangeid", range)];
        series(&dimensions, ago, values)
    };
    let hot_once = [
        Some(100.0),
        Some(9.0),
        Some(9.0),
        Some(9.0),
        Some(9.0),
        None,
    ];
    let busy = [Some(40.0), Some(99.0)];
    let found = ranges(&[metric(vec![of("0", 1, &hot_once), of("1", 2, &busy)])]);
    let told: Vec<(&str, f64)> = found[&place("runs")]
        .iter()
        .map(|range| (range.id.as_str(), range.used))
        .collect();
    // The newest number is two minutes old, so what is seven minutes old counts no more.
    assert_eq!(told, [("0", 100.0), ("1", 99.0)]);
    let older = [
        Some(100.0),
        Some(9.0),
        Some(9.0),
        Some(9.0),
        Some(9.0),
        Some(9.0),
    ];
    let found = ranges(&[metric(vec![of("0", 1, &older), of("1", 2, &busy)])]);
    assert_eq!(found[&place("runs")][0].used, 9.0);
}

#[test]
fn one_call_asks_for_few_accounts_and_few_containers() {
    let account = |name: usize, containers: usize| Asked {
        account: ResourceId::new("s", "g", "k", &name.to_string()),
        places: (0..containers)
            .map(|at| (place(&at.to_string()), at.to_string()))
            .collect(),
        regions: 1,
    };
    for (name, accounts, containers, expected) in [
        ("none", 0, 10, vec![]),
        ("few", 10, 4, vec![10]),
        (
            "more accounts than one call takes",
            120,
            4,
            vec![50, 50, 20],
        ),
        ("many containers", 10, 400, vec![2, 2, 2, 2, 2]),
        ("more than one call takes", 2, 2000, vec![1, 1]),
    ] {
        let all: Vec<Asked> = (0..accounts).map(|at| account(at, containers)).collect();
        let sizes: Vec<usize> = parts(&all).iter().map(Vec::len).collect();
        assert_eq!(sizes, expected, "{name}");
    }
    // Few names are asked for by name.
    let (few, many) = (account(0, 4), account(1, 40));
    assert_eq!(all_names(&[&few]).map(|names| names.len()), Some(4));
    assert_eq!(all_names(&[&few, &many]), None);
    let whole = Asked {
        places: vec![(place(""), String::new())],
        ..account(2, 0)
    };
    assert_eq!(all_names(&[&few, &whole]), None);
}
