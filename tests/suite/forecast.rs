//! `poolkeeper forecast` as a program.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

fn poolkeeper(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_poolkeeper"))
        .arg("forecast")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program");
    let mut stdin = child.stdin.take().expect("its input");
    // A program that refuses its arguments reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("its end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn series(days: i64) -> String {
    let start: DateTime<Utc> = "2026-10-05T00:00:00Z".parse().expect("a time");
    let mut text = "timestamp,value\n".to_owned();
    for hour in 0..days * 24 {
        let at = (start + Duration::hours(hour)).format("%Y-%m-%dT%H:%M:%SZ");
        let value = if hour % 24 < 8 { 10 } else { 100 };
        writeln!(text, "{at},{value}").expect("text");
    }
    text
}

#[test]
fn the_coming_week_is_given_hour_by_hour() {
    let (code, out, error) = poolkeeper(&["--horizon", "168"], &series(28));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 169);
    assert_eq!(lines[0], "timestamp,forecast,lower,upper");
    assert!(
        lines[1].starts_with("2026-11-02T00:00:00Z,10"),
        "{}",
        lines[1]
    );
    assert!(
        lines[9].starts_with("2026-11-02T08:00:00Z,100"),
        "{}",
        lines[9]
    );
    let (code, out, _) = poolkeeper(&["--json", "--horizon", "24"], &series(28));
    assert_eq!(code, Some(0));
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(answer["hours"].as_array().map(Vec::len), Some(24));
    assert_eq!(answer["candidates"].as_array().map(Vec::len), Some(5));
    assert_eq!(answer["preparation"]["hours"], 672);
}

#[test]
fn the_coming_week_is_drawn_as_a_picture_or_for_a_terminal() {
    let (code, out, error) = poolkeeper(&["--chart", "svg", "--unit", "RU/s"], &series(28));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(
        out.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""),
        "{out}"
    );
    assert!(out.trim_end().ends_with("</svg>"));
    assert!(
        out.contains("Forecast until 2026-11-09 00:00 UTC: at most 100 RU/s"),
        "{out}"
    );
    let (code, out, _) = poolkeeper(
        &["--chart", "terminal", "--zone", "Asia/Tokyo"],
        &series(28),
    );
    assert_eq!(code, Some(0));
    assert!(out.contains("forecast 11-02"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    let (code, _, error) = poolkeeper(&["--chart", "svg", "--json"], &series(28));
    assert_eq!(code, Some(2));
    assert!(error.contains("cannot be used with"), "{error}");
}

#[test]
fn what_cannot_be_forecast_says_why_and_how_it_ends() {
    for (arguments, input, code, why) in [
        (&[][..], series(6), 1, "insufficient data: 144 hours"),
        (
            &["--horizon", "900"],
            series(10),
            2,
            "900 is not in 1..=336",
        ),
        (&["--zone", "Nowhere"], series(10), 2, "invalid value"),
        (
            &[],
            "a,b\n1,2\n".into(),
            2,
            "line 2 is no `timestamp,value`",
        ),
        (&["no-such.csv"], String::new(), 2, "open `no-such.csv`"),
    ] {
        let (found, out, error) = poolkeeper(arguments, &input);
        assert_eq!((found, out.as_str()), (Some(code), ""), "{error}");
        assert!(error.contains(why), "{error}");
    }
}
