//! `poolkeeper replay` from outside: what it prints, and how it ends.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What is asked in each minute of two weeks: little, and much for eight minutes of each half hour, of
/// which weekends have the half.
fn load() -> String {
    let from = chrono::DateTime::UNIX_EPOCH + chrono::Duration::days(20_000);
    let mut text = "minute,count\n".to_owned();
    for minute in 0..14 * 1440_i64 {
        let at = from + chrono::Duration::minutes(minute);
        let asked = if minute % 30 < 8 { 900 } else { 80 } + minute * 7 % 11;
        let asked = if minute / 1440 % 7 < 5 {
            asked
        } else {
            asked / 2
        };
        writeln!(text, "{},{asked}", at.to_rfc3339()).expect("a text");
    }
    text
}

/// The exit code, standard output and standard error.
fn replay(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_poolkeeper"))
        .arg("replay")
        .args(arguments)
        .env_clear()
        .current_dir(folder)
        .output()
        .expect("the program");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("load.csv"), load()).expect("a load");
    let estate = include_str!("../../infra/estate.toml");
    std::fs::write(folder.path().join("estate.toml"), estate).expect("a policy");
    let roomy = estate.replacen("target_percent = 80", "target_percent = 60", 1);
    assert_ne!(roomy, estate);
    std::fs::write(folder.path().join("copy.toml"), estate).expect("the same");
    std::fs::write(folder.path().join("other.toml"), roomy).expect("another");
    folder
}

const ARGUMENTS: [&str; 4] = ["--load", "load.csv", "--policy", "estate.toml"];

#[test]
fn a_load_with_pauses_is_served_and_each_count_says_who_has_less() {
    let folder = folder();
    let json = [&ARGUMENTS[..], &["--json"]].concat();
    let (code, out, err) = replay(folder.path(), &json);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    assert_eq!(replay(folder.path(), &json).1, out, "the same, to the byte");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let names: Vec<&str> = report["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|one| one["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "estate.toml",
            "specification's rule",
            "no scaling",
            "knows the load"
        ]
    );
    let of = |name: &str, count: &str| {
        let mut all = report["results"].as_array().expect("results").iter();
        let one = all.find(|one| one["name"] == name).expect("it is there");
        one[count].as_f64().expect("a number")
    };
    // It is halved in each pause and too small for each burst; ours has an hour in sight.
    for count in ["throttled_minutes", "direction_changes"] {
        let (ours, theirs) = (of("estate.toml", count), of(names[1], count));
        assert!(ours < theirs / 10.0, "{count}: {ours} and {theirs}");
    }
    assert!(of("estate.toml", "ru_hours_charged") < of("no scaling", "ru_hours_charged"));
    assert_eq!(of("knows the load", "throttled_minutes"), 0.0);
    // What the other has less of is said, too.
    assert_eq!(report["verdict"]["counts"][1]["of"], "RU-hours charged");
    assert_eq!(report["verdict"]["counts"][1]["better"], "other");
    assert_eq!(report["verdict"]["passes"], false);
    let (code, out, _) = replay(folder.path(), &ARGUMENTS);
    assert_eq!(code, Some(1), "{out}");
    for part in [
        "Against specification's rule:",
        "RU-hours charged",
        "the other has less",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn two_policies_are_compared_and_what_is_worse_ends_with_1() {
    let folder = folder();
    let against = |policy: &str, other: &str| {
        let (code, out, err) = replay(
            folder.path(),
            &[
                "--load", "load.csv", "--policy", policy, "--vs", other, "--json",
            ],
        );
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        assert_eq!(report["verdict"]["against"], other);
        assert_eq!(report["specification"]["against"], "specification's rule");
        (
            code,
            report["verdict"]["passes"].as_bool().expect("a verdict"),
        )
    };
    // The other one gives more for the same need: it costs more, and refuses less.
    assert_eq!(against("estate.toml", "other.toml"), (Some(1), false));
    assert_eq!(against("estate.toml", "copy.toml"), (Some(0), true));
}

#[test]
fn what_is_no_load_or_no_policy_is_said_and_ends_with_2() {
    let folder = folder();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write(
        "headless.csv",
        "2026-01-01T00:00:00Z,5\n2026-01-01T00:01:00Z,6\n",
    );
    write("words.csv", "minute,count\n2026-01-01T00:00:00Z,many\n");
    write("empty.csv", "minute,count\n");
    write("broken.toml", "zone = ");
    for (load, policy, expected) in [
        ("headless.csv", "estate.toml", "line 1: a heading is wanted"),
        ("words.csv", "estate.toml", "line 2: `many` is no number"),
        ("empty.csv", "estate.toml", "there is no minute in the load"),
        ("nowhere.csv", "estate.toml", "nowhere.csv"),
        ("load.csv", "broken.toml", "broken.toml"),
    ] {
        let (code, out, err) = replay(folder.path(), &["--load", load, "--policy", policy]);
        assert_eq!(
            (code, out.as_str()),
            (Some(2), ""),
            "{load} {policy}: {err}"
        );
        assert!(err.contains(expected), "{load} {policy}: {err}");
    }
}
