use std::collections::BTreeSet;

use chrono::{TimeDelta, TimeZone as _, Utc};

use super::header::{lets, parts};
use super::*;

/// The tables that queries may read, and whether records of them may stand for several.
const TABLES: &[(&str, bool)] = &[
    ("AADServicePrincipalSignInLogs", false),
    ("AppAvailabilityResults", true),
    ("AppDependencies", true),
    ("AppEvents", true),
    ("AppExceptions", true),
    ("AppMetrics", false),
    ("AppRequests", true),
    ("AppTraces", true),
    ("AzureActivity", false),
    ("AzureMetrics", false),
    ("CDBDataPlaneRequests", false),
    ("CDBPartitionKeyRUConsumption", false),
    ("CDBQueryRuntimeStatistics", false),
    ("SigninLogs", false),
    ("Usage", false),
];

/// Where counting rows is right though a table is sampled, and why.
const COUNTS: &[(Query, &str)] = &[
    // Each event is one row by then.
    (Query::BoundaryViolationSeries, "Violations = count()"),
    // Spans of time.
    (Query::MonthlyLatency, "Spans = count()"),
    (
        Query::MonthlyLatency,
        "SpansOver = countif(SpanP95Ms >= target_ms_)",
    ),
    // Sign-in logs are not sampled.
    (Query::MonthlySecurity, "Occurrences = countif(Failure)"),
];

/// The text without comments and without what stands in quotes.
fn code(source: &str) -> String {
    let mut code = String::new();
    for line in source.lines() {
        let mut quoted = false;
        let mut before = ' ';
        for c in line.chars() {
            if c == '"' {
                quoted = !quoted;
            }
            if !quoted && c == '/' && before == '/' {
                code.pop();
                break;
            }
            if !quoted || c == '"' {
                code.push(c);
            }
            before = c;
        }
        code.push('\n');
    }
    code
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

#[test]
fn every_file_is_a_query_and_every_query_has_its_file() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/queries");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".kql").map(str::to_owned))
        .collect();
    files.sort();
    let names: Vec<&str> = Query::ALL.iter().map(|query| query.name()).collect();
    assert_eq!(names, files);
    for query in Query::ALL {
        assert_eq!(Query::by_name(query.name()), Some(*query));
    }
}

#[test]
fn headers_are_read_and_say_what_the_text_does() {
    for query in Query::ALL {
        let name = query.name();
        let header = header::parse(query.source()).unwrap_or_else(|why| panic!("{name} {why}"));
        let body = code(parts(query.source()).expect("parts").body);
        let read: BTreeSet<&str> = words(&body)
            .filter(|word| TABLES.iter().any(|(table, _)| table == word))
            .collect();
        assert!(
            header.tables.iter().eq(read.iter().copied()),
            "{name} reads {read:?}"
        );
        for param in &header.params {
            assert!(
                words(&body).any(|word| word == param.name),
                "{name} uses {}",
                param.name
            );
            assert!(param.name.ends_with('_'), "{name}: {}", param.name);
        }
        for column in &header.columns {
            assert!(
                words(&body).any(|word| word == column.name),
                "{name} makes {}",
                column.name
            );
        }
        let columns: BTreeSet<_> = header.columns.iter().map(|column| &column.name).collect();
        assert_eq!(columns.len(), header.columns.len(), "{name}");
    }
}

#[test]
fn defaults_are_literals_of_their_type() {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    for query in Query::ALL {
        for param in query.header().params {
            let text = param.default.as_str();
            let fits = match param.ty {
                ParamType::String => serde_json::from_str::<String>(text).is_ok(),
                ParamType::Long => digits(text),
                ParamType::Real => text
                    .split_once('.')
                    .is_some_and(|(a, b)| digits(a) && digits(b)),
                ParamType::Bool => matches!(text, "true" | "false"),
                ParamType::DateTime => {
                    text == "datetime(null)"
                        || text
                            .strip_prefix("datetime(")
                            .and_then(|text| text.strip_suffix(')'))
                            .is_some_and(|text| text.parse::<chrono::DateTime<Utc>>().is_ok())
                }
                ParamType::TimeSpan => text.strip_suffix(['d', 'h', 'm', 's']).is_some_and(digits),
                ParamType::List => text
                    .strip_prefix("dynamic(")
                    .and_then(|text| text.strip_suffix(')'))
                    .is_some_and(|text| serde_json::from_str::<Vec<String>>(text).is_ok()),
            };
            assert!(fits, "{}: {} = {text}", query.name(), param.name);
        }
    }
}

#[test]
fn one_file_asks_one_question() {
    for query in Query::ALL {
        let code = code(query.source());
        let statements: Vec<&str> = code.split(';').map(str::trim).collect();
        let (last, lets) = statements.split_last().expect("a statement");
        assert!(
            !last.is_empty() && !last.starts_with("let "),
            "{}",
            query.name()
        );
        for statement in lets {
            assert!(
                statement.starts_with("let "),
                "{}: {statement}",
                query.name()
            );
        }
    }
}

/// Columns of Log Analytics begin with a capital or `_`; the workspace's own `TenantId` would shadow
/// a `let` of that name without a word.
#[test]
fn no_let_has_the_name_of_a_column_and_no_tenant_that_of_the_workspace() {
    for query in Query::ALL {
        let code = code(query.source());
        for statement in code.split(';') {
            if let Some(rest) = statement.trim().strip_prefix("let ") {
                let name = words(rest).next().expect("a name");
                assert!(
                    name.starts_with(|c: char| c.is_ascii_lowercase()),
                    "{}: {name}",
                    query.name()
                );
            }
        }
        assert!(
            words(&code).all(|word| word != "TenantId"),
            "{}",
            query.name()
        );
    }
}

#[test]
fn every_read_of_a_table_is_bounded_in_time_first() {
    for query in Query::ALL {
        let code = code(query.source());
        for (table, _) in TABLES {
            for (at, _) in code.match_indices(table) {
                let after = &code[at + table.len()..];
                if after.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                    continue;
                }
                let next = after.trim_start();
                assert!(
                    next.starts_with("| where TimeGenerated >= ")
                        && next
                            .lines()
                            .next()
                            .is_some_and(|line| line.contains("TimeGenerated < ")),
                    "{} reads {table} without bounds",
                    query.name()
                );
            }
        }
    }
}

#[test]
fn sampled_records_are_weighed_not_counted() {
    let mut needed = Vec::new();
    for query in Query::ALL {
        let name = query.name();
        let tables = query.header().tables;
        let sampled = |table: &(&str, bool)| table.1 && tables.iter().any(|read| read == table.0);
        if !TABLES.iter().any(sampled) {
            continue;
        }
        let code = code(query.source());
        // How late a record came is a fact about the record, not about what it stands for.
        if *query != Query::IngestionLag {
            for word in ["percentile", "percentiles", "avg", "avgif"] {
                assert!(words(&code).all(|found| found != word), "{name}: {word}");
            }
        }
        for call in [" count()", " countif("] {
            for (at, _) in code.match_indices(call) {
                let start = code[..at].rfind(['\n', ',']).map_or(0, |before| before + 1);
                let column = code[start..]
                    .trim_start()
                    .trim_start_matches("| summarize ");
                let excuse = COUNTS
                    .iter()
                    .find(|(excused, text)| excused == query && column.starts_with(text));
                needed.extend(excuse);
                let told = column.starts_with("Records = ") || column.starts_with("Copies = ");
                let line = column.lines().next().unwrap_or_default();
                assert!(told || excuse.is_some(), "{name}: {line}");
            }
        }
    }
    for excuse in COUNTS {
        assert!(needed.contains(&excuse), "{excuse:?} is not needed");
    }
}

#[test]
fn shared_parts_are_the_same_everywhere() {
    let shared = [
        ("tenant", include_str!("shared/tenant.kql")),
        ("server_failure", include_str!("shared/server_failure.kql")),
    ];
    for query in Query::ALL {
        let mut rest = query.source();
        let mut used = BTreeSet::new();
        while let Some((_, after)) = rest.split_once("// shared ") {
            let (name, after) = after.split_once(" begins\n").expect("a begin");
            let (copy, after) = after
                .split_once(&format!("// shared {name} ends\n"))
                .expect("an end");
            let (_, text) = shared
                .iter()
                .find(|(known, _)| *known == name)
                .expect("a shared part");
            assert_eq!(copy, *text, "{}", query.name());
            used.insert(name);
            rest = after;
        }
        let code = code(query.source());
        assert_eq!(
            used.contains("server_failure"),
            code.contains("ServerFailure"),
            "{}",
            query.name()
        );
        assert_eq!(
            used.contains("tenant"),
            code.contains("Properties.tenantId"),
            "{}",
            query.name()
        );
    }
}

#[test]
fn alerts_look_at_a_window_that_telemetry_has_reached() {
    for query in Query::ALL {
        let params = query.header().params;
        let has = |name: &str| params.iter().any(|param| param.name == name);
        assert!(
            has("at_") != has("from_"),
            "{} is asked at an instant or over a closed span",
            query.name()
        );
        let measures_lag = matches!(query, Query::TelemetryFreshness | Query::IngestionLag);
        assert_eq!(has("at_") && !measures_lag, has("lag_"), "{}", query.name());
        assert!(!code(query.source()).contains("ago("), "{}", query.name());
    }
}

#[test]
fn parameters_take_the_place_of_defaults_and_nothing_else_changes() {
    let at = Utc
        .with_ymd_and_hms(2026, 7, 1, 0, 0, 0)
        .single()
        .expect("an instant");
    let text = Query::ErrorRate
        .text(&[
            ("tenants_", Param::List(vec!["a\"; print 1".into()])),
            ("at_", Param::DateTime(at)),
            ("window_", Param::TimeSpan(TimeDelta::minutes(5))),
            ("lag_", Param::TimeSpan(TimeDelta::minutes(3))),
            ("minimum_requests_", Param::Long(50)),
        ])
        .expect("a text");
    let given = parts(&text).expect("parts");
    let written = parts(Query::ErrorRate.source()).expect("parts");
    assert_eq!((given.head, given.body), (written.head, written.body));
    assert_eq!(
        lets(given.lets).expect("lets"),
        [
            ("at_", "datetime(2026-07-01T00:00:00.0000000Z)"),
            ("window_", "time(300s)"),
            ("lag_", "time(180s)"),
            ("minimum_requests_", "long(50)"),
            ("tenants_", r#"dynamic(["a\"; print 1"])"#),
        ]
    );
}

#[test]
fn parameters_that_do_not_fit_are_refused_by_name() {
    let month = || {
        vec![
            ("from_", Param::DateTime(Utc::now())),
            ("to_", Param::DateTime(Utc::now())),
        ]
    };
    let with = |name, param| {
        let mut params = month();
        params.push((name, param));
        params
    };
    let cases = [
        (
            "missing",
            month()[..1].to_vec(),
            "query `ingestion_by_table` wants the parameter `to_`, a datetime",
        ),
        (
            "unknown",
            with("tenant", Param::Bool(true)),
            "query `ingestion_by_table` has no parameter `tenant`",
        ),
        (
            "twice",
            with("to_", Param::Long(1)),
            "query `ingestion_by_table` is given the parameter `to_` twice",
        ),
        (
            "another type",
            vec![("from_", Param::Long(1)), ("to_", Param::Long(1))],
            "parameter `from_` of query `ingestion_by_table` is a datetime, not a long",
        ),
        (
            "out of range",
            vec![
                ("from_", Param::DateTime(chrono::DateTime::<Utc>::MAX_UTC)),
                ("to_", Param::DateTime(Utc::now())),
            ],
            "parameter `from_` of query `ingestion_by_table` is beyond what a datetime of Kusto holds",
        ),
    ];
    for (name, params, message) in cases {
        let error = Query::IngestionByTable.text(&params).expect_err(name);
        assert_eq!(error.to_string(), message, "{name}");
    }
    assert!(Query::IngestionByTable.text(&month()).is_ok());
}

#[test]
fn hashes_tell_every_query_by_its_bytes() {
    let hashes = hashes();
    assert_eq!(hashes.len(), Query::ALL.len());
    assert!(hashes.values().all(|hash| hash.len() == 64));
    assert_eq!(hashes.values().collect::<BTreeSet<_>>().len(), hashes.len());
    assert_eq!(
        hashes["error_rate"],
        format!("{:x}", Sha256::digest(Query::ErrorRate.source()))
    );
}
