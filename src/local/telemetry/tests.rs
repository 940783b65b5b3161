//! The whole of it: what comes out agrees with itself, with the world's counters, and with the clock.

mod pressure;

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, TimestampNanosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::estate::Estate;

fn estate() -> Estate {
    Estate::parse(include_str!("../../../infra/estate.toml")).expect("the estate of the project")
}

fn at(text: &str) -> i64 {
    let at = chrono::DateTime::parse_from_rfc3339(text).expect("a time");
    at.timestamp() / 60
}

/// Tuesday, 15:00 in the estate's zone: busy.
fn noon() -> i64 {
    at("2026-11-24T06:00:00Z")
}

fn model_of(plan: Plan) -> Model {
    Model::new(plan, &estate())
}

fn small(rows_per_minute: f64) -> Plan {
    Plan {
        tenants: 6,
        rows_per_minute,
        ..Plan::default()
    }
}

fn rows(model: &Model, from: i64, minutes: i64) -> Batch {
    model.range(from, from + minutes, &Conditions::default()).0
}

fn text(model: &Model, value: &Value) -> String {
    match value {
        Value::Word(word) => model.words().get(*word).to_owned(),
        Value::Text(text) => text.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Real(number) => *number,
        Value::Int(number) => f64::from(*number),
        other => panic!("{other:?} is no number"),
    }
}

/// The rows of a table for which `column` reads `wanted`.
fn with(model: &Model, batch: &Batch, table: Table, column: &str, wanted: &str) -> usize {
    let rows = batch.rows(table);
    let reads = |row: &usize| match rows.get(*row, column) {
        Value::Int(number) => number.to_string() == wanted,
        value => text(model, value) == wanted,
    };
    (0..rows.len()).filter(reads).count()
}

fn fault(text: &str) -> Vec<Fault> {
    vec![text.parse().expect("a fault")]
}

fn read(dir: &Path, table: Table) -> Vec<RecordBatch> {
    let files = files(dir, table.name()).expect("a folder");
    let read = |path| {
        let file = std::fs::File::open(path).expect("a file");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        builder
            .build()
            .expect("a reader")
            .map(|batch| batch.expect("rows"))
            .collect::<Vec<_>>()
    };
    files.iter().flat_map(read).collect()
}

fn count(dir: &Path, table: Table) -> usize {
    read(dir, table).iter().map(RecordBatch::num_rows).sum()
}

#[test]
fn a_minute_is_the_same_wherever_a_range_is_cut() {
    let model = model_of(small(12.0));
    let (whole, counted) = model.range(noon() - 4, noon() + 4, &Conditions::default());
    let (mut cut, mut sum) = model.range(noon() - 4, noon() - 1, &Conditions::default());
    let (mut rest, counted_rest) = model.range(noon() - 1, noon() + 4, &Conditions::default());
    cut.take(&mut rest);
    sum.merge(&counted_rest);
    assert!(cut == whole, "the rows differ");
    let requests = |of: &Counters| of.total(None).requests;
    assert_eq!(
        (requests(&sum), sum.cells.len()),
        (requests(&counted), counted.cells.len())
    );
    let again = model_of(small(12.0));
    assert!(
        rows(&again, noon() - 4, 8) == whole,
        "a second model differs"
    );
    let other = model_of(Plan {
        seed: 2,
        ..small(12.0)
    });
    assert!(
        rows(&other, noon() - 4, 8) != whole,
        "a seed changes nothing"
    );
}

#[test]
fn counters_agree_with_the_rows_in_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = model_of(small(4.0));
    let (from, until) = (at("2026-11-24T00:00:00Z"), at("2026-11-24T09:30:00Z"));
    let written = generate(
        folder.path(),
        &model,
        &Conditions::default(),
        from,
        until,
        &|_, _| {},
    );
    let written = written.expect("it is written");
    let requests = read(folder.path(), Table::Requests);
    let mut seen: BTreeMap<(usize, i64), (u64, u64, u64)> = BTreeMap::new();
    let mut durations: Vec<(f64, u64)> = Vec::new();
    let mut last = i64::MIN;
    for batch in &requests {
        let column = |name: &str| batch.column_by_name(name).expect("a column");
        let times = column("TimeGenerated").as_primitive::<TimestampNanosecondType>();
        let weights = column("ItemCount").as_primitive::<Int32Type>();
        let codes = column("ResultCode").as_string::<i32>();
        let properties = column("Properties").as_string::<i32>();
        let took = column("DurationMs").as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            assert!(times.value(row) >= last, "rows are sorted by time");
            last = times.value(row);
            let properties: serde_json::Value =
                serde_json::from_str(properties.value(row)).expect("JSON");
            let id = properties["tenantId"].as_str().expect("a tenant");
            let tenant = model
                .tenants()
                .position(|tenant| tenant == id)
                .expect("a tenant");
            let weight = u64::try_from(weights.value(row)).expect("positive");
            let cell = seen.entry((tenant, last / 3_600_000_000_000)).or_default();
            cell.0 += weight;
            cell.1 += if codes.value(row).starts_with('5') {
                weight
            } else {
                0
            };
            cell.2 += if codes.value(row).starts_with('4') {
                weight
            } else {
                0
            };
            durations.push((took.value(row), weight));
        }
    }
    for (key, cell) in &written.counters.cells {
        let counted = (cell.requests, cell.server_failures, cell.client_errors);
        assert_eq!(seen.get(key), Some(&counted), "{key:?}");
    }
    assert_eq!(seen.len(), written.counters.cells.len());
    let total = written.counters.total(None);
    assert!(
        total.requests > written.of(Table::Requests),
        "some rows are sampled"
    );
    assert_eq!(written.of(Table::Requests), durations.len() as u64);

    // Request units: as Cosmos logs them, as the platform measures them, as the application does.
    let sum = |table, column: &str, name: Option<(&str, &str)>| -> f64 {
        let mut sum = 0.0;
        for batch in read(folder.path(), table) {
            let values = batch.column_by_name(column).expect("a column");
            let values = values.as_primitive::<Float64Type>().clone();
            for row in 0..batch.num_rows() {
                let fits = name.is_none_or(|(column, name)| {
                    let names = batch.column_by_name(column).expect("a column");
                    names.as_string::<i32>().value(row) == name
                });
                sum += if fits { values.value(row) } else { 0.0 };
            }
        }
        sum
    };
    for told in [
        sum(Table::CosmosRequests, "RequestCharge", None),
        sum(Table::PartitionCharges, "RequestCharge", None),
        sum(
            Table::Metrics,
            "Sum",
            Some(("Name", "cosmos_ru_consumption")),
        ),
        sum(
            Table::AzureMetrics,
            "Total",
            Some(("MetricName", "TotalRequestUnits")),
        ),
    ] {
        assert!(
            (told / total.charge - 1.0).abs() < 1e-6,
            "{told} {}",
            total.charge
        );
    }

    // The weighted 95th percentile, exactly and from the counters.
    durations.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut before = 0;
    let exact = durations.iter().find(|(_, weight)| {
        before += weight;
        before as f64 >= 0.95 * total.requests as f64
    });
    let counted = total.latencies.quantile(0.95).expect("there are some");
    let exact = exact.expect("there are some").0;
    assert!((counted / exact - 1.0).abs() < 0.021, "{counted} {exact}");
}

#[test]
fn few_tenants_ask_for_most_and_the_day_is_busier_than_the_night() {
    let model = model_of(Plan {
        tenants: 40,
        ..small(60.0)
    });
    let (_, day) = model.range(noon(), noon() + 60, &Conditions::default());
    let (_, night) = model.range(noon() - 11 * 60, noon() - 10 * 60, &Conditions::default());
    assert!(day.total(None).requests > 3 * night.total(None).requests);
    let of = |tenant| day.total(Some(tenant)).requests as f64;
    let ratio = of(0) / of(1).max(1.0);
    assert!(
        (1.7..2.7).contains(&ratio),
        "2 to the power of 1.1 is 2.14, not {ratio}"
    );
    let ten: f64 = (0..10).map(of).sum();
    assert!(ten > 0.6 * day.total(None).requests as f64);
}

#[test]
fn only_busy_minutes_are_sampled_at_the_stated_rate() {
    let model = model_of(Plan {
        sampling: 3,
        ..small(20.0)
    });
    for (from, weight) in [(noon(), 3.0), (noon() - 11 * 60, 1.0)] {
        let batch = rows(&model, from, 3);
        for table in [Table::Requests, Table::Dependencies, Table::Traces] {
            let rows = batch.rows(table);
            assert!(!rows.is_empty());
            for row in 0..rows.len() {
                assert!((number(rows.get(row, "ItemCount")) - weight).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn a_week_brings_about_as_many_rows_as_asked_for() {
    let model = model_of(Plan {
        sampling: 4,
        ..small(3.0)
    });
    let monday = at("2026-11-16T00:00:00Z");
    // Every seventh minute, so that it is quick.
    let rows: usize = (0..1440)
        .map(|step| {
            rows(&model, monday + step * 7, 1)
                .rows(Table::Requests)
                .len()
        })
        .sum();
    let wanted = 3.0 * 1440.0;
    assert!(
        (rows as f64 / wanted - 1.0).abs() < 0.05,
        "{rows} of {wanted}"
    );
}

#[test]
fn a_range_can_be_scaled_to_a_number_of_rows() {
    let mut model = model_of(Plan {
        trace: Some(
            Trace::parse("2026-11-02 00:00:00,5\n2026-11-02 00:07:00,9\n").expect("a trace"),
        ),
        ..small(1.0)
    });
    model
        .scale(5000.0, noon(), noon() + 200)
        .expect("there is load");
    let rows = rows(&model, noon(), 200).rows(Table::Requests).len();
    assert!((5000..5100).contains(&rows), "{rows}");
}

#[test]
fn what_belongs_to_an_operation_names_it() {
    let model = model_of(small(30.0));
    let batch = rows(&model, noon(), 2);
    let requests = batch.rows(Table::Requests);
    let operations: Vec<&Value> = (0..requests.len())
        .map(|row| requests.get(row, "OperationId"))
        .collect();
    for table in [Table::Dependencies, Table::Traces, Table::Exceptions] {
        let rows = batch.rows(table);
        for row in 0..rows.len() {
            assert!(operations.contains(&rows.get(row, "OperationId")));
        }
    }
    assert!(batch.rows(Table::Dependencies).len() > requests.len() / 2);
    assert!(!batch.rows(Table::CosmosRequests).is_empty());
}

#[test]
fn faults_show_in_what_is_told() {
    let from = "from=2026-11-24T06:00Z,for=10m";
    let plan = |text: &str| Plan {
        faults: fault(text),
        ..small(20.0)
    };
    let of = |text: &str| {
        let model = model_of(plan(text));
        let batch = rows(&model, noon(), 10);
        (model, batch)
    };
    let calm = model_of(small(20.0));
    let calm_rows = rows(&calm, noon(), 10);
    let requests = |batch: &Batch| batch.rows(Table::Requests).len();
    let failed_probes = |batch: &Batch| {
        let probes = batch.rows(Table::Availability);
        (0..probes.len())
            .filter(|row| *probes.get(*row, "Success") == Value::Bool(false))
            .count()
    };
    assert_eq!(failed_probes(&calm_rows), 0);

    let (model, batch) = of(&format!("outage,{from}"));
    assert_eq!(
        with(&model, &batch, Table::Requests, "ResultCode", "503"),
        requests(&batch)
    );
    assert_eq!(failed_probes(&batch), batch.rows(Table::Availability).len());
    assert!(!batch.rows(Table::Exceptions).is_empty());

    let (_, batch) = of(&format!("silence,{from}"));
    assert_eq!((requests(&batch), batch.rows(Table::Traces).len()), (0, 0));
    assert!(failed_probes(&batch) > 0);

    let (model, batch) = of(&format!("errors,tenant=tenant-a,share=1,{from}"));
    let failed = with(&model, &batch, Table::Requests, "ResultCode", "500");
    assert!(
        failed > requests(&batch) / 5 && failed < requests(&batch),
        "{failed}"
    );

    let (model, batch) = of(&format!("throttle,share=0.6,{from}"));
    let refused = with(&model, &batch, Table::CosmosRequests, "StatusCode", "429");
    assert!(
        refused > batch.rows(Table::CosmosRequests).len() / 3,
        "{refused}"
    );
    // A busy second may meet the limit on a calm day too.
    let calm_refused = with(
        &calm,
        &calm_rows,
        Table::CosmosRequests,
        "StatusCode",
        "429",
    );
    assert!(calm_refused < refused / 20, "{calm_refused}");

    let (model, batch) = of(&format!("boundary,tenant=tenant-b,{from}"));
    let events = with(
        &model,
        &batch,
        Table::Events,
        "Name",
        "tenant_boundary_violation",
    );
    assert_eq!((events, calm_rows.rows(Table::Events).len()), (10, 0));
    let properties = text(&model, batch.rows(Table::Events).get(0, "Properties"));
    assert!(
        properties.contains(r#""tenantId":"tenant-b""#),
        "{properties}"
    );

    let slow = model_of(plan(&format!("slow,factor=4,{from}")));
    let p95 = |model: &Model| {
        let (_, counted) = model.range(noon(), noon() + 10, &Conditions::default());
        counted
            .total(None)
            .latencies
            .quantile(0.95)
            .expect("there are some")
    };
    assert!(p95(&slow) > 2.5 * p95(&calm));
}

#[test]
fn less_throughput_is_met_with_refusals_and_more_with_none() {
    let model = model_of(small(20.0));
    let refused = |offered: f64| {
        let throughput = ["threads", "messages", "runs", "files"].map(|c| (c.to_owned(), offered));
        let conditions = Conditions {
            throughput: throughput.into(),
            ..Conditions::default()
        };
        let (batch, _) = model.range(noon(), noon() + 10, &conditions);
        with(&model, &batch, Table::CosmosRequests, "StatusCode", "429")
    };
    assert!(refused(0.3) > 10);
    assert_eq!(refused(2.0), 0);
}

#[test]
fn parts_become_hours_and_hours_days_and_old_days_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let model = model_of(small(0.5));
    let keeping = Keeping {
        history_days: 1,
        retention_days: 2,
        catch_up_minutes: 120,
    };
    let conditions = Conditions::default();
    let mut living = Living::open(dir, keeping).expect("a folder");
    let mut follow = |now: i64| {
        while living
            .step(&model, &conditions, now)
            .expect("it is written")
            .is_some()
        {}
    };
    let names = || -> Vec<String> {
        let files = files(dir, Table::AzureMetrics.name()).expect("a folder");
        let name =
            |path: &std::path::PathBuf| path.file_stem().map(|n| n.to_string_lossy().into_owned());
        files.iter().filter_map(name).collect()
    };
    let start = at("2026-11-24T01:58:00Z");
    follow(start);
    assert_eq!(names(), ["2026-11-23", "2026-11-24T00", "2026-11-24T0100"]);
    follow(start + 1);
    follow(start + 3);
    assert_eq!(
        names(),
        [
            "2026-11-23",
            "2026-11-24T00",
            "2026-11-24T01",
            "2026-11-24T0200"
        ]
    );
    let minutes = |dir: &Path| {
        let batches = read(dir, Table::Console);
        batches.iter().map(RecordBatch::num_rows).sum::<usize>() / 2
    };
    assert_eq!(
        minutes(dir),
        1440 + 121,
        "each app says something each minute, once"
    );
    // The clock goes on by a day: two hours are made up for, the rest is silence.
    follow(start + 1440);
    assert_eq!(names()[..2], ["2026-11-23", "2026-11-24"]);
    assert_eq!(minutes(dir), 1440 + 121 + 120);
    follow(start + 2880);
    assert_eq!(names()[0], "2026-11-24", "the first day is gone");
}

#[test]
fn what_a_killed_process_left_is_cleaned_and_comes_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let model = model_of(small(1.0));
    let conditions = Conditions::default();
    let keeping = Keeping {
        history_days: 0,
        ..Keeping::default()
    };
    let now = at("2026-11-24T00:30:00Z");
    let mut living = Living::open(dir, keeping).expect("a folder");
    living
        .step(&model, &conditions, now)
        .expect("it is written");
    assert!(Living::open(dir, keeping).is_err(), "one writer at a time");
    drop(living);
    let before = count(dir, Table::Requests);
    let folder = dir.join("AppRequests");
    // Half a file, and a whole one that was not noted any more.
    std::fs::write(folder.join("2026-11-24T0030.new"), "PAR1").expect("a file");
    let part = files(dir, "AppRequests").expect("a folder").remove(0);
    std::fs::copy(&part, folder.join("2026-11-24T0030.parquet")).expect("a file");
    std::fs::write(folder.join("2026-11-24T0031.new"), "PAR1").expect("a file");
    assert_eq!(
        files(dir, "AppRequests").expect("a folder").len(),
        2,
        "half a file is not seen"
    );
    let mut living = Living::open(dir, keeping).expect("a folder");
    assert_eq!(count(dir, Table::Requests), before);
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
    living
        .step(&model, &conditions, now + 5)
        .expect("it is written");
    assert_eq!(living.until(), Some(now + 5));
    let all = rows(&model, at("2026-11-24T00:00:00Z"), 35)
        .rows(Table::Requests)
        .len();
    assert_eq!(count(dir, Table::Requests), all);
}

#[test]
fn telemetry_is_not_generated_over_telemetry() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = model_of(small(1.0));
    let write = || {
        let from = noon();
        generate(
            folder.path(),
            &model,
            &Conditions::default(),
            from,
            from + 3,
            &|_, _| {},
        )
    };
    let written = write().expect("it is written");
    assert_eq!(
        count(folder.path(), Table::Requests) as u64,
        written.of(Table::Requests)
    );
    let error = write().expect_err("there is telemetry").to_string();
    assert!(error.contains("there is telemetry in"), "{error}");
}

#[test]
fn files_have_the_types_that_readers_are_promised() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = model_of(small(5.0));
    let from = noon();
    let written = generate(
        folder.path(),
        &model,
        &Conditions::default(),
        from,
        from + 61,
        &|_, _| {},
    );
    written.expect("it is written");
    for table in Table::ALL {
        for batch in read(folder.path(), *table) {
            assert_eq!(
                batch.schema(),
                columns::file_schema(*table),
                "{}",
                table.name()
            );
            for column in ["Properties", "Status", "LocationDetails"] {
                let Some(column) = batch.column_by_name(column) else {
                    continue;
                };
                for json in column.as_string::<i32>().iter().flatten() {
                    serde_json::from_str::<serde_json::Value>(json).expect("dynamic is JSON");
                }
            }
        }
    }
}
