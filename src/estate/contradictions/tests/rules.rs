//! Rules and windows.

use super::*;

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
    let cases: [Case; 9] = [
        ("throughput", |e| scale(e, "request-units"), &[]),
        ("replicas", |e| scale(e, "response-time"), &[]),
        ("replicas for failures", |e| scale(e, "error-rate"), &[]),
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
            "less than scaling calls busy",
            |e| {
                scale(e, "request-units");
                level(e).above = Above::Percent(Thousandths(75_000));
            },
            &[
                (
                    NeverAnswered,
                    "rules[6].levels has medium from 75 % on, and scaling gives more only above 80 %",
                ),
                (
                    AlwaysFires,
                    "rules[6].levels has medium from 75 % on, and scaling aims for 80 %",
                ),
            ],
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
