use super::ContradictionKind::{
    AlwaysFires, CooldownTooLong, Flapping, NeverAnswered, NeverFires, NeverMade, Overlap,
    TwoWriters,
};
use super::*;
use crate::estate::{Above, EstateError, Response, Rule, Thousandths, Threshold};

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
fn thresholds_that_never_or_always_fire_are_found() {
    for (name, turns, expected) in [
        (
            "fuller than full",
            &[("up_percent = 80", "up_percent = 100")][..],
            &[(NeverFires, "scaling.cosmos.up_percent is 100: the fullest")][..],
        ),
        (
            "of one container, where it is written",
            &[(FILES, "container = \"files\"\nup_percent = 100")],
            &[(NeverFires, "scaling.containers[0].up_percent is 100")],
        ),
        (
            "more samples than are looked at",
            &[("of_samples = 3", "of_samples = 6")],
            &[(
                NeverFires,
                "scaling.cosmos.of_samples is 6: 5 minutes are looked at",
            )],
        ),
        (
            "no room",
            &[(FILES, "container = \"files\"\nmost = 400")],
            &[(
                NeverFires,
                "scaling.containers[0].most is 400, as `least` is",
            )],
        ),
        (
            "busy after each change",
            &[("target_percent = 70", "target_percent = 80")],
            &[
                (
                    AlwaysFires,
                    "scaling.cosmos.target_percent is 80, and 80 is busy already",
                ),
                (
                    AlwaysFires,
                    "rules[6].levels has medium from 80 % on, and scaling aims for 80 %",
                ),
            ],
        ),
        (
            "calm after each change",
            &[("target_percent = 70", "target_percent = 20")],
            &[(
                AlwaysFires,
                "scaling.cosmos.target_percent is 20, and less than 20 is calm",
            )],
        ),
        (
            "half of it is too little, and twice as much too much",
            &[("down_percent = 20", "down_percent = 40")],
            &[(
                Flapping,
                "scaling.cosmos.down_percent is 40: half as much is up to 80 % full",
            )],
        ),
        (
            "just enough apart",
            &[("down_percent = 20", "down_percent = 39")],
            &[],
        ),
        (
            "an alert for what is aimed for",
            &[("above_percent = 80, for = 2", "above_percent = 70, for = 2")],
            &[(
                AlwaysFires,
                "rules[6].levels has medium from 70 % on, and scaling aims for 70 %",
            )],
        ),
        (
            "a container says otherwise what is aimed for",
            &[
                (FILES, RUNS),
                (
                    "container = \"runs\"",
                    "container = \"runs\"\nup_percent = 95\ntarget_percent = 85",
                ),
            ],
            &[(
                AlwaysFires,
                "rules[6].levels has medium from 80 % on, and scaling aims for 85 %",
            )],
        ),
        (
            "more than all of it",
            &[("cpu_percent = 70", "cpu_percent = 100")],
            &[(
                NeverFires,
                "scaling.apps.cpu_percent is 100: nothing uses more",
            )],
        ),
        (
            "replicas without room",
            &[("least = 2\nmost = 10\ncpu", "least = 10\nmost = 10\ncpu")],
            &[(NeverFires, "scaling.apps.most is 10, as `least` is")],
        ),
        (
            "more minutes than are looked at",
            &[("of_samples = 3\nburst", "of_samples = 11\nburst")],
            &[(
                NeverFires,
                "scaling.apps.of_samples is 11: 10 minutes are looked at",
            )],
        ),
        (
            "evidence that is gone",
            &[("tables_keep_days = 30", "tables_keep_days = 4")],
            &[(
                NeverFires,
                "indexing.days is 7, and `logs.tables_keep_days` is 4",
            )],
        ),
        (
            "always quiet",
            &[("when = \"sun 02:00-04:00\"", "when = \"00:00-00:00\"")],
            &[(NeverFires, "windows[0].when is always")],
        ),
    ] {
        hold(name, &found(name, turns), expected);
    }
}

#[test]
fn cooldowns_that_are_longer_than_what_they_hold_up_are_found() {
    for (name, turns, expected) in [
        (
            "a step down",
            &[("cooldown = \"10m\"", "cooldown = \"2h\"")][..],
            &[(
                CooldownTooLong,
                "policy.cosmos_throughput.cooldown is 120 minutes, and there may be another step down after 60 (`scaling.cosmos.between_downs`)",
            )][..],
        ),
        (
            "what is calm",
            &[
                ("cooldown = \"10m\"", "cooldown = \"2h\""),
                ("between_downs = \"1h\"", "between_downs = \"2h\""),
            ],
            &[(
                CooldownTooLong,
                "policy.cosmos_throughput.cooldown is 120 minutes, and there is less after 60",
            )],
        ),
        (
            "a burst, and a scale-up",
            &[("cooldown = \"1m\"", "cooldown = \"31m\"")],
            &[
                (
                    CooldownTooLong,
                    "policy.app_replicas.cooldown is 31 minutes, and a burst is over after 30 (`scaling.apps.burst`)",
                ),
                (
                    CooldownTooLong,
                    "policy.app_replicas.cooldown is 31 minutes, and a scale-up is taken back after 30 that are calm (`health.calm`)",
                ),
            ],
        ),
        (
            "calm for longer than a burst",
            &[("burst = \"30m\"", "burst = \"10m\"")],
            &[(
                CooldownTooLong,
                "scaling.apps.calm is 15 minutes, longer than a burst of 10",
            )],
        ),
        (
            "a window that is over first",
            &[(
                THROUGHPUT,
                "[policy.cosmos_throughput]\nmode = \"act\"\nwindows = [\"01:55-02:05\"]",
            )],
            &[(
                CooldownTooLong,
                "policy.cosmos_throughput.cooldown is 10 minutes, and windows are open for 10 at most",
            )],
        ),
    ] {
        hold(name, &found(name, turns), expected);
    }
}

#[test]
fn policies_that_let_nothing_through_are_found() {
    let acts = |kind: &str, windows: &str| {
        format!("[policy.{kind}]\nmode = \"act\"\nwindows = [{windows}]")
    };
    let throughput = |windows: &str| acts("cosmos_throughput", windows);
    let replicas = |windows: &str| acts("app_replicas", windows);
    let logs = |windows: &str| acts("log_deletion", windows);
    let indexing = |windows: &str| acts("cosmos_indexing", windows);
    const LOGS: &str = "[policy.log_deletion]\nmode = \"propose\"";
    const INDEXING: &str = "[policy.cosmos_indexing]\nmode = \"propose\"";
    for (name, from, to, expected) in [
        (
            "nobody may approve",
            "approvers = [\"operator\", \"reviewer\"]\ncooldown = \"10m\"",
            "cooldown = \"10m\"".to_owned(),
            &[(NeverMade, "policy.cosmos_throughput.approvers names nobody")][..],
        ),
        (
            "one of four is too many",
            "most_per_run = 4\nmost_per_hour = 10",
            "most_share_percent = 20".to_owned(),
            &[(
                NeverMade,
                "policy.cosmos_throughput.most_share_percent is 20, and one of 4 is more",
            )],
        ),
        (
            "one of four is just enough",
            "most_per_run = 4\nmost_per_hour = 10",
            "most_share_percent = 25".to_owned(),
            &[],
        ),
        (
            "between two looks",
            THROUGHPUT,
            throughput("\"02:01-02:04\", \"12:56-13:00\""),
            &[(
                NeverMade,
                "policy.cosmos_throughput.windows are open at no multiple of five",
            )],
        ),
        (
            "never when an hour begins",
            THROUGHPUT,
            throughput("\"02:10-02:55\""),
            &[(
                NeverFires,
                "policy.cosmos_throughput.windows are closed in the first 10 minutes",
            )],
        ),
        ("at night", THROUGHPUT, throughput("\"01:00-05:00\""), &[]),
        (
            "always, in two parts",
            THROUGHPUT,
            throughput("\"12:00-00:00\", \"00:00-12:00\""),
            &[],
        ),
        (
            "raised and never taken back",
            REPLICAS,
            replicas("\"09:00-09:30\""),
            &[
                (
                    NeverMade,
                    "health.calm is 30 minutes, and windows of policy.app_replicas are open for 30 at most",
                ),
                (
                    NeverMade,
                    "scaling.apps.burst is 30 minutes, and windows of policy.app_replicas",
                ),
            ],
        ),
        (
            "taken back in time",
            REPLICAS,
            replicas("\"09:00-09:35\""),
            &[],
        ),
        (
            "not when maintenance runs",
            LOGS,
            logs("\"22:00-02:00\""),
            &[(
                NeverMade,
                "policy.log_deletion.windows are closed for an hour after 02:00",
            )],
        ),
        (
            "when maintenance runs on one day",
            LOGS,
            logs("\"sun 02:30-03:00\""),
            &[],
        ),
        (
            "indexes by day",
            INDEXING,
            indexing("\"mon,tue 10:00-16:00\""),
            &[(
                NeverMade,
                "policy.cosmos_indexing.windows are closed for an hour after 02:00",
            )],
        ),
        (
            "an approval that is over before it is of use",
            LOGS,
            "[policy.log_deletion]\nmode = \"propose\"\nwindows = [\"sun 02:00-04:00\"]".to_owned(),
            &[(
                NeverMade,
                "policy.log_deletion.approval_lasts is 24 h, and windows are closed for up to 166 h",
            )],
        ),
        (
            "one that waits for the night",
            LOGS,
            "[policy.log_deletion]\nmode = \"propose\"\nwindows = [\"02:00-04:00\"]".to_owned(),
            &[],
        ),
        (
            "what is only observed is never wrong",
            THROUGHPUT,
            "[policy.cosmos_throughput]\nmode = \"observe\"\nwindows = [\"02:01-02:04\"]"
                .to_owned(),
            &[],
        ),
    ] {
        hold(name, &found(name, &[(from, &to)]), expected);
    }
}

#[test]
fn rules_that_nothing_answers_are_found() {
    fn rule<'e>(estate: &'e mut Estate, name: &str) -> &'e mut Rule {
        let mut all = estate.rules.iter_mut();
        all.find(|rule| rule.name == name).expect("a rule")
    }
    fn scale(estate: &mut Estate, name: &str) {
        rule(estate, name).response = Response::Scale;
    }
    fn level(estate: &mut Estate) -> &mut Threshold {
        &mut rule(estate, "request-units").levels[0]
    }
    type Case = (
        &'static str,
        fn(&mut Estate),
        &'static [(ContradictionKind, &'static str)],
    );
    let cases: [Case; 10] = [
        ("throughput", |e| scale(e, "request-units"), &[]),
        ("replicas", |e| scale(e, "response-time"), &[]),
        (
            "nothing is owned",
            |e| {
                scale(e, "request-units");
                scale(e, "response-time");
                e.scaling = crate::estate::Scaling::default();
            },
            &[
                (
                    NeverAnswered,
                    "rules[5].response is scale, and `scaling` owns no app",
                ),
                (
                    NeverAnswered,
                    "rules[6].response is scale, and `scaling` owns no container",
                ),
            ],
        ),
        (
            "a violation",
            |e| scale(e, "tenant-boundary"),
            &[(
                NeverAnswered,
                "rules[3].response is scale, and more capacity does not answer boundary",
            )],
        ),
        (
            "silence",
            |e| scale(e, "telemetry-missing"),
            &[(
                NeverAnswered,
                "rules[7].response is scale, and more capacity does not answer absence",
            )],
        ),
        (
            "less than scaling calls busy",
            |e| {
                scale(e, "request-units");
                level(e).above = Above::Percent(Thousandths(75_000));
            },
            &[(
                NeverAnswered,
                "rules[6].levels has medium from 75 % on, and scaling gives more only above 80 %",
            )],
        ),
        (
            "later than it was calm",
            |e| {
                scale(e, "request-units");
                level(e).holds = 11;
            },
            &[(
                NeverAnswered,
                "rules[6].for has medium 60 minutes after it began",
            )],
        ),
        (
            "nothing is repaired",
            |e| e.health.endpoints.clear(),
            &[
                (
                    NeverAnswered,
                    "rules[0].response is recover, and `health` has no endpoint",
                ),
                (NeverAnswered, "rules[2].response is recover"),
                (NeverAnswered, "rules[7].response is recover"),
            ],
        ),
        (
            "nothing, but they are off",
            |e| {
                e.health.endpoints.clear();
                e.rules.iter_mut().for_each(|rule| rule.enabled = false);
            },
            &[],
        ),
        (
            "only told",
            |e| rule(e, "availability").response = Response::Notify,
            &[],
        ),
    ];
    let source = Source::read(SHIPPED).expect("TOML");
    let (shipped, entries) = Estate::read(SHIPPED, &source).expect("the estate");
    let written = Written {
        source: &source,
        entries: &entries,
    };
    for (name, turn, expected) in cases {
        let mut estate = shipped.clone();
        turn(&mut estate);
        hold(name, &find(&estate, &written), expected);
    }
}

#[test]
fn windows_that_say_the_same_at_the_same_time_are_found() {
    let second = |name: &str, when: &str, resource: &str, until: &str| {
        format!(
            "until = \"2027-12-31\"\n[[windows]]\nname = \"{name}\"\nwhen = \"{when}\"\nmatcher = {{ resource = \"{resource}\", highest = \"high\" }}\nowner = \"sre-b\"\nreason = \"x\"\nuntil = \"{until}\"\n"
        )
    };
    const COSMOS: &str = "*/databaseaccounts/cosmos-agents-jpe*";
    let overlap: &[_] = &[(
        Overlap,
        "windows[1].when is open while `sunday-cosmos` is, which matches the same",
    )];
    for (name, when, resource, until, expected) in [
        (
            "at the same time",
            "sun 03:00-05:00",
            COSMOS,
            "2027-12-31",
            overlap,
        ),
        (
            "over midnight",
            "sat 22:00-02:30",
            COSMOS,
            "2027-06-30",
            overlap,
        ),
        ("each night", "01:00-02:15", COSMOS, "2027-12-31", overlap),
        (
            "one after the other",
            "sun 04:00-05:00",
            COSMOS,
            "2027-12-31",
            &[],
        ),
        (
            "on another day",
            "mon 02:00-04:00",
            COSMOS,
            "2027-12-31",
            &[],
        ),
        (
            "of something else",
            "sun 02:00-04:00",
            "*/redis/*",
            "2027-12-31",
            &[],
        ),
    ] {
        let to = second("again", when, resource, until);
        let turns = [("until = \"2027-12-31\"", to.as_str())];
        hold(name, &found(name, &turns), expected);
    }
}

#[test]
fn what_is_written_once_is_told_once_with_its_line() {
    let found = found("all containers", &[("up_percent = 80", "up_percent = 100")]);
    let [one] = found.as_slice() else {
        panic!("{found:?}")
    };
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
