use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::column::Column;
use super::super::plan::{Catalog, Source};
use super::super::text::datetime::parse_datetime;
use super::super::types::{Schema, Type};
use super::super::value::Value;
use super::super::{Options, output, query};
use super::{Folder, From, Schemas, Tables, View, ViewColumn, Window, Windowed, open};

const NOON: i64 = 638_000_000_000_000_000;

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
    std::fs::write(&path, text).expect("write the file");
    path
}

fn packed(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).expect("pack");
    out.finish().expect("pack")
}

fn ask(catalog: &dyn Catalog, text: &str) -> Result<String, String> {
    let table = query(text, catalog, &Options::at(NOON)).map_err(|error| error.to_string())?;
    let rows = output::rows(&table);
    Ok(serde_json::to_string(&rows).expect("rows are JSON"))
}

fn one(paths: &[PathBuf], declared: Option<&Schema>) -> Result<Tables, String> {
    let mut tables = Tables::default();
    tables.add(
        "T",
        open(paths, declared).map_err(|error| error.to_string())?,
    );
    Ok(tables)
}

fn types(source: &dyn Source) -> Vec<String> {
    let fields = source.schema().fields.iter();
    fields.map(|f| format!("{}:{}", f.name, f.ty)).collect()
}

#[test]
fn types_are_guessed_from_the_first_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let json = concat!(
        "\u{feff}{\"a\":1,\"b\":1,\"c\":true,\"d\":\"2026-01-02\",\"e\":\"2026-01-02T03:04:05Z\",\"f\":[1],\"g\":1}\n",
        "\n",
        "{\"b\":1.5,\"d\":\"x\",\"e\":null,\"g\":\"x\",\"h\":\"late\",\"i\":null}\n",
    );
    let csv = "a,b,c,d,e,f\n1,1,true,2026-01-02,007,\n2,1.5,,2026-01-02T10:00Z,8,\n";
    for (name, text, expected) in [
        (
            "x.jsonl",
            json.as_bytes().to_vec(),
            "a:long b:real c:bool d:string e:datetime f:dynamic g:dynamic h:string i:dynamic",
        ),
        (
            "x.ndjson.gz",
            packed(json),
            "a:long b:real c:bool d:string e:datetime f:dynamic g:dynamic h:string i:dynamic",
        ),
        (
            "x.csv",
            csv.as_bytes().to_vec(),
            "a:long b:real c:bool d:datetime e:string f:string",
        ),
    ] {
        let source = open(&[write(dir.path(), name, text)], None).expect("opens");
        assert_eq!(types(source.as_ref()).join(" "), expected, "{name}");
    }
}

#[test]
fn absent_and_empty_cells_are_null_and_texts_empty() {
    let dir = tempfile::tempdir().expect("a folder");
    let json = write(
        dir.path(),
        "a.jsonl",
        "{\"n\":1,\"s\":\"a\\n\"}\n{\"n\":null}\n{\"s\":null}\n",
    );
    let csv = write(dir.path(), "a.csv", "n,s\n1,\"a\n\"\n,\n,\n");
    for file in [json, csv] {
        let tables = one(std::slice::from_ref(&file), None).expect("opens");
        let rows = ask(&tables, "T | project n, s, s == ''").expect("an answer");
        let expected = r#"[[1,"a\n",false],[null,"",true],[null,"",true]]"#;
        assert_eq!(rows, expected, "{}", file.display());
    }
}

#[test]
fn what_does_not_fit_is_refused_with_file_line_and_column() {
    let dir = tempfile::tempdir().expect("a folder");
    let ones = "{\"n\":1}\n".repeat(1000);
    let csv_ones = format!("n\n{}", "1\n".repeat(1000));
    let declared = Schema::of(&[("n", Type::Int), ("at", Type::DateTime)]);
    let cases: &[(&str, String, Option<&Schema>, &str)] = &[
        (
            "a.jsonl",
            format!("{ones}{{\"n\":\"x\"}}"),
            None,
            "a.jsonl` line 1001: column `n` is long, and this is none: \"x\"",
        ),
        (
            "b.jsonl",
            format!("{ones}{{\"n\":1.5}}"),
            None,
            "b.jsonl` line 1001: column `n` is long",
        ),
        (
            "c.jsonl",
            format!("{ones}{{\"m\":1}}"),
            None,
            "c.jsonl` line 1001: column `m` was not in the first 1000 rows",
        ),
        (
            "d.jsonl",
            format!("{ones}{{\"n\":1"),
            None,
            "d.jsonl` line 1001: is not a JSON object: EOF",
        ),
        (
            "e.jsonl",
            "{\"n\":1} x".into(),
            None,
            "e.jsonl` line 1: is not a JSON object: trailing characters",
        ),
        (
            "f.jsonl",
            "[1]".into(),
            None,
            "f.jsonl` line 1: is an array",
        ),
        (
            "g.jsonl",
            "{\"n\":3000000000}".into(),
            Some(&declared),
            "g.jsonl` line 1: column `n` is int",
        ),
        (
            "h.jsonl",
            "{\"at\":\"soon\"}".into(),
            Some(&declared),
            "h.jsonl` line 1: column `at` is datetime",
        ),
        (
            "a.csv",
            format!("{csv_ones}x\n"),
            None,
            "a.csv` line 1002: column `n` is long, and this is none: x",
        ),
        (
            "b.csv",
            format!("{csv_ones}007\n"),
            None,
            "b.csv` line 1002: column `n` is long, and this is none: 007",
        ),
        (
            "c.csv",
            "n,m\n1\n".into(),
            None,
            "c.csv` line 2: has 1 cells, and the header has 2",
        ),
        (
            "d.csv",
            "n,n\n1,2\n".into(),
            None,
            "d.csv` line 1: the header names column `n` twice",
        ),
        (
            "e.csv",
            "n\n1.5\n".into(),
            Some(&declared),
            "e.csv` line 2: column `n` is int",
        ),
        (
            "f.txt",
            String::new(),
            None,
            "f.txt` does not end in .parquet, .jsonl",
        ),
    ];
    for (name, text, declared, expected) in cases {
        let file = write(dir.path(), name, text);
        let answer = one(&[file], *declared).and_then(|tables| ask(&tables, "T"));
        let error = answer.expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn files_of_several_formats_make_one_table() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = [
        write(dir.path(), "1.csv", "n,s\n1,a\n"),
        write(dir.path(), "2.jsonl", "{\"s\":\"b\",\"m\":2}\n"),
        write(dir.path(), "3.csv.gz", packed("n\n3\n")),
    ];
    let tables = one(&files, None).expect("opens");
    let rows = ask(&tables, "T | project n, s, m").expect("an answer");
    assert_eq!(rows, r#"[[1,"a",null],[null,"b",2],[3,"",null]]"#);

    let other = write(dir.path(), "4.jsonl", "{\"n\":\"x\"}\n");
    let error = one(&[files[0].clone(), other], None)
        .err()
        .expect("types differ");
    assert!(
        error.contains("column `n` is long in some files and string in"),
        "{error}"
    );
}

struct Known;

impl Schemas for Known {
    fn schema(&self, table: &str) -> Option<Schema> {
        let schema = Schema::of(&[
            ("TimeGenerated", Type::DateTime),
            ("Name", Type::String),
            ("Ms", Type::Real),
        ]);
        ["Requests", "Empty"].contains(&table).then_some(schema)
    }

    fn view(&self, name: &str) -> Option<(String, Vec<ViewColumn>)> {
        let doubled = |ms: &Column| {
            Column::from_values(
                Type::Real,
                ms.reals().iter().map(|v| v.map(|v| v * 2.0).into()),
            )
        };
        (name == "requests").then(|| {
            let columns = vec![
                ViewColumn::new("name", Type::String, From::Column("Name".into())),
                ViewColumn::new(
                    "timestamp",
                    Type::DateTime,
                    From::Column("TimeGenerated".into()),
                ),
                ViewColumn::new("twice", Type::Real, From::Made("Ms".into(), doubled)),
                ViewColumn::new(
                    "kind",
                    Type::String,
                    From::Constant(Value::string("request")),
                ),
                ViewColumn::new("gone", Type::Long, From::Constant(Value::Null)),
            ];
            ("Requests".into(), columns)
        })
    }

    fn names(&self) -> Vec<String> {
        ["Requests", "Empty", "requests"].map(String::from).to_vec()
    }
}

fn folder(dir: &Path) -> Folder {
    write(
        dir,
        "Requests/2026-01-02.jsonl",
        "{\"TimeGenerated\":\"2026-01-02T08:00:00Z\",\"Name\":\"c\",\"Ms\":3}\n",
    );
    write(
        dir,
        "Requests/2026-01-01T0930.jsonl",
        "{\"TimeGenerated\":\"2026-01-01T09:31:00Z\",\"Name\":\"b\",\"Ms\":2}\n",
    );
    write(
        dir,
        "Requests/2026-01-01.csv",
        "TimeGenerated,Name,Ms\n2026-01-01T08:00:00Z,a,1\n,zero,0\n",
    );
    write(dir, "Requests/notes.txt", "not a table");
    write(dir, "Own.csv", "n\n1\n");
    Folder::new(dir, Arc::new(Known))
}

#[test]
fn a_folder_is_a_catalog_with_known_tables_and_views() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = folder(dir.path());
    for (text, expected) in [
        ("Requests | project Name", r#"[["a"],["zero"],["b"],["c"]]"#),
        ("Empty | count", "[[0]]"),
        ("Own | project n", "[[1]]"),
        (
            "requests | where timestamp > datetime(2026-01-01T09:00) | project name, twice, kind, gone",
            r#"[["b",4.0,"request",null],["c",6.0,"request",null]]"#,
        ),
        ("requests | count", "[[4]]"),
    ] {
        assert_eq!(ask(&folder, text).as_deref(), Ok(expected), "{text}");
    }
    let error = ask(&folder, "Request | count").expect_err("no such table");
    assert_eq!(error, "no table `Request`; did you mean `Requests`?");
    assert_eq!(folder.names(), ["Empty", "Own", "Requests", "requests"]);
    assert!(
        ask(&folder, "['../Own'] | count").is_err(),
        "names stay in the folder"
    );

    write(dir.path(), "Own.csv", "n\n1\n22\n");
    assert_eq!(
        ask(&folder, "Own | count").as_deref(),
        Ok("[[2]]"),
        "new rows are seen"
    );
    write(dir.path(), "Own.csv", "n,n\n");
    let error = ask(&folder, "Own | count").expect_err("a broken file is told");
    assert!(error.contains("Own.csv"), "{error}");
}

#[test]
fn a_window_shows_the_rows_of_its_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = folder(dir.path());
    let at = |text: &str| parse_datetime(text).expect("a time");
    for (until, closed, expected) in [
        ("2026-01-02T08:00:00Z", true, r#"[["a"],["b"],["c"]]"#),
        ("2026-01-02T08:00:00Z", false, r#"[["a"],["b"]]"#),
        ("2026-01-01T09:00:00Z", true, r#"[["a"]]"#),
    ] {
        let window = Window {
            from: at("2026-01-01T08:00:00Z"),
            until: at(until),
            closed,
        };
        let seen = Windowed::new(&folder, &["TimeGenerated", "timestamp"], window);
        assert_eq!(
            ask(&seen, "Requests | project Name").as_deref(),
            Ok(expected),
            "until {until}"
        );
        assert_eq!(
            ask(&seen, "requests | project name").as_deref(),
            Ok(expected),
            "until {until}"
        );
        assert_eq!(
            ask(&seen, "Own | count").as_deref(),
            Ok("[[1]]"),
            "a table without a time"
        );
    }
}

#[test]
fn a_view_of_what_is_not_there_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = open(&[write(dir.path(), "a.csv", "n\n1\n")], None).expect("opens");
    let column = ViewColumn::new("x", Type::Long, From::Column("m".into()));
    let error = View::new(source, &[column]).expect_err("no such column");
    assert_eq!(
        error.to_string(),
        "a view needs column `m`, which its table lacks"
    );
}
