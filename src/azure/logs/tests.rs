use super::*;

fn table(kind: &str, cells: &[Value]) -> Table {
    let rows: Vec<_> = cells.iter().map(|cell| json!([cell])).collect();
    let body = json!({ "tables": [{
        "name": "PrimaryResult",
        "columns": [{ "name": "C", "type": kind }],
        "rows": rows,
    }] });
    read(200, body.to_string().as_bytes(), "w").expect("a table")
}

/// Each cell as it is read, as text; `-` for null and `!` for an error.
fn told<T: fmt::Debug>(
    kind: &str,
    cells: &[Value],
    with: impl Fn(Row<'_>) -> Result<Option<T>, Error>,
) -> Vec<String> {
    let table = table(kind, cells);
    let read = table.rows().map(|row| match with(row) {
        Ok(Some(value)) => format!("{value:?}"),
        Ok(None) => "-".to_owned(),
        Err(_) => "!".to_owned(),
    });
    read.collect()
}

#[test]
fn cells_are_read_by_the_types_of_their_columns() {
    let null = Value::Null;
    assert_eq!(
        told(
            "string",
            &[json!("a"), json!(""), null.clone(), json!(1)],
            |row| row.string("C").map(|text| text.map(str::to_owned))
        ),
        ["\"a\"", "\"\"", "-", "!"]
    );
    assert_eq!(
        told(
            "long",
            &[
                json!(7),
                json!("-8"),
                json!(i64::MAX),
                null.clone(),
                json!(1.5),
                json!("x")
            ],
            |row| row.long("C")
        ),
        ["7", "-8", "9223372036854775807", "-", "!", "!"]
    );
    assert_eq!(
        told(
            "real",
            &[
                json!(1.5),
                json!(2),
                json!("NaN"),
                json!("-Infinity"),
                null.clone(),
                json!({})
            ],
            |row| row.real("C")
        ),
        ["1.5", "2.0", "NaN", "-inf", "-", "!"]
    );
    assert_eq!(
        told(
            "datetime",
            &[
                json!("2026-11-25T01:02:03.1234567Z"),
                null.clone(),
                json!("soon")
            ],
            |row| row
                .datetime("C")
                .map(|at| at.map(|at| at.timestamp_subsec_nanos()))
        ),
        ["123456700", "-", "!"]
    );
    assert_eq!(
        told(
            "dynamic",
            &[
                json!({ "a": 1 }),
                json!("{\"a\":1}"),
                json!("plain"),
                json!("null"),
                null.clone()
            ],
            |row| row.dynamic("C").map(|v| v.map(|v| v.to_string()))
        ),
        [
            r#""{\"a\":1}""#,
            r#""{\"a\":1}""#,
            r#""\"plain\"""#,
            "-",
            "-"
        ]
    );
    assert_eq!(
        told("bool", &[json!(true), json!(0), null], |row| row
            .boolean("C")),
        ["true", "false", "-"]
    );
    assert_eq!(told("string", &[json!("1")], |row| row.long("C")), ["!"]);
    assert_eq!(told("long", &[json!(1)], |row| row.long("D")), ["!"]);
}

#[test]
fn a_part_of_an_answer_is_no_answer() {
    let table = |rows: Value| json!({ "name": "PrimaryResult", "columns": [{ "name": "C", "type": "long" }], "rows": rows });
    let many: Vec<_> = (0..MOST_ROWS).map(|n| json!([n])).collect();
    let error = json!({
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "innererror": { "code": "TooLarge", "message": "the result is cut" },
    });
    for (name, status, body, expected) in [
        (
            "whole",
            200,
            json!({ "tables": [table(json!([[1]]))] }).to_string(),
            "1 rows",
        ),
        (
            "with an error",
            200,
            json!({ "tables": [table(json!([[1]]))], "error": error }).to_string(),
            "w answered in part only (TooLarge): the result is cut",
        ),
        (
            "cut",
            200,
            json!({ "tables": [table(json!(many))] }).to_string(),
            "w answered in part only (TooManyRows): an answer is cut at 500000 rows",
        ),
        ("an empty workspace", 204, String::new(), "0 rows"),
        (
            "empty",
            200,
            String::new(),
            "the answer for w cannot be understood: it is empty",
        ),
        (
            "no table",
            200,
            json!({ "tables": [] }).to_string(),
            "the answer for w cannot be understood: none of its 0 tables is the primary one",
        ),
        (
            "ragged",
            200,
            json!({ "tables": [table(json!([[1, 2]]))] }).to_string(),
            "the answer for w cannot be understood: a row does not fit its 1 columns",
        ),
    ] {
        let told = match read(status, body.as_bytes(), "w") {
            Ok(table) => format!("{} rows", table.rows().len()),
            Err(error) => error.to_string(),
        };
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn what_is_answered_is_in_no_log() {
    let table = table("string", &[json!("a secret")]);
    assert!(!format!("{table:?}").contains("secret"), "{table:?}");
}

#[test]
fn times_are_written_as_iso_8601_has_them() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
    let between = Timespan::Between(at("2026-11-01T00:00:00Z"), at("2026-11-08T12:00:00Z"));
    assert_eq!(
        between.to_string(),
        "2026-11-01T00:00:00Z/2026-11-08T12:00:00Z"
    );
    assert_eq!(
        Timespan::Last(Duration::from_secs(3600)).to_string(),
        "PT3600S"
    );
}
