use super::ContradictionKind::{
    AlwaysFires, CooldownTooLong, Flapping, NeverAnswered, NeverFires, NeverMade, Overlap,
    TwoWriters,
};
use super::*;
use crate::estate::{Above, EstateError, Response, Rule, Thousandths, Threshold};

mod policies;
mod rules;
mod thresholds;

const SHIPPED: &str = include_str!("../../../infra/estate.toml");

/// The estate that ships, with parts of it replaced.
fn with(name: &str, turns: &[(&str, &str)]) -> String {
    let mut text = SHIPPED.to_owned();
    for (from, to) in turns {
        assert!(text.contains(from), "{name}: {from}");
        text = text.replacen(from, to, 1);
    }
    text
}

fn found(name: &str, turns: &[(&str, &str)]) -> Vec<Contradiction> {
    Estate::contradictions(&with(name, turns)).unwrap_or_else(|wrong| panic!("{name}: {wrong}"))
}

/// What is told, without lines.
fn told(found: &[Contradiction]) -> Vec<(ContradictionKind, String)> {
    found
        .iter()
        .map(|one| {
            let Problem { key, message, .. } = &one.problem;
            (one.kind, format!("{key} {message}"))
        })
        .collect()
}

fn hold(name: &str, found: &[Contradiction], expected: &[(ContradictionKind, &str)]) {
    let found = told(found);
    assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.0, expected.0, "{name}: {found:?}");
        assert!(found.1.starts_with(expected.1), "{name}: {found:?}");
    }
}

/// An entry that says something of the container `files` otherwise.
const FILES: &str = "container = \"files\"\nmost = 4000";

const RUNS: &str =
    "container = \"files\"\nmost = 4000\n[[scaling.containers]]\ncontainer = \"runs\"";

const THROUGHPUT: &str = "[policy.cosmos_throughput]\nmode = \"propose\"";

const REPLICAS: &str = "[policy.app_replicas]\nmode = \"propose\"";

#[test]
fn the_estate_that_ships_does_not_contradict_itself() {
    assert_eq!(found("shipped", &[]), Vec::new());
}

#[test]
fn two_writers_of_one_thing_are_found() {
    for (name, turns, expected) in [
        (
            "a repair scales up what scaling owns",
            &[("app = \"agent-api\"\nown = false", "app = \"agent-api\"")][..],
            &[(
                TwoWriters,
                "health.recovery changes the replicas of `agent-api`, which `scaling.apps.own` owns",
            )][..],
        ),
        (
            "an endpoint's own repairs do",
            &[(
                "recovery = [\"restart\", \"flush_cache\"]",
                "recovery = [\"scale_up\"]",
            )],
            &[(
                TwoWriters,
                "health.endpoints[1].recovery changes the replicas of `agent-worker`",
            )],
        ),
        (
            "its entry owns it",
            &[(
                "app = \"agent-api\"\nown = false",
                "app = \"agent-api\"\nown = true",
            )],
            &[(
                TwoWriters,
                "health.recovery changes the replicas of `agent-api`, which `scaling.container_apps[0].own` owns",
            )],
        ),
        (
            "one container is listed twice",
            &[(
                "database = \"agents\"",
                "database = \"agents\"\ncontainers = [\"files\", \"runs\", \"Files\"]",
            )],
            &[(
                TwoWriters,
                "stamps[0].cosmos.containers[2] is `Files`, which is named before",
            )],
        ),
        (
            "repairs without a scale-up leave replicas alone",
            &[
                (", \"scale_up\"]", "]"),
                ("app = \"agent-api\"\nown = false", "app = \"agent-api\""),
            ],
            &[],
        ),
    ] {
        hold(name, &found(name, turns), expected);
    }
}

/// The specification's autoscaler doubles above 80 %, its cost job halves below 20 %, and its capacity
/// advice sets a third value: all of one container.
#[test]
fn a_cost_job_that_halves_what_the_autoscaler_doubles_is_a_second_writer() {
    let container = ResourceId::from_text("/subscriptions/s/containers/threads");
    let writer = |part: &'static str| writers::Writer {
        knob: writers::Knob::Throughput,
        resource: container.clone(),
        part,
        key: part.to_owned(),
    };
    let all = ["scaling", "cost", "capacity", "scaling"].map(writer);
    let found = writers::second(&all);
    let parts: Vec<_> = found.iter().map(|(w, o)| (w.part, o.part)).collect();
    assert_eq!(
        parts,
        [
            ("cost", "scaling"),
            ("capacity", "scaling"),
            ("scaling", "cost")
        ]
    );
    let replicas = writers::Writer {
        knob: writers::Knob::Replicas,
        ..writer("health")
    };
    assert!(writers::second(&[writer("scaling"), replicas]).is_empty());
}

#[test]
fn what_is_written_once_is_told_once_with_its_line() {
    let found = found("all containers", &[("up_percent = 80", "up_percent = 100")]);
    let [one, answer] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(answer.kind, ContradictionKind::NeverAnswered);
    let line = SHIPPED.lines().position(|line| line == "up_percent = 80");
    assert_eq!(one.problem.line, line.map(|line| line + 1));
    let json = serde_json::to_value(one).expect("JSON");
    assert_eq!(json["kind"], "never-fires");
    assert_eq!(json["key"], "scaling.cosmos.up_percent");
}

/// Mistakes of the specification that the reader of the file refuses already.
#[test]
fn alerts_that_are_never_told_and_lines_that_end_at_nobody_are_no_estate() {
    for (name, turns, words) in [
        (
            "more than one violation",
            &[("kind = \"boundary\"", "kind = \"boundary\"\nthreshold = 2")][..],
            "one violation would never be told",
        ),
        ("nobody at night", &[("next = \"L3\"", "")], "oncall.levels"),
        (
            "throughput between two steps",
            &[(FILES, "container = \"files\"\nleast = 625")],
            "400 to 20000 RU/s in steps of 100 are possible",
        ),
    ] {
        let text = with(name, turns);
        let EstateError(problems) = Estate::contradictions(&text).expect_err(name);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|told| told.contains(words)),
            "{name}: {told:?}"
        );
    }
}
