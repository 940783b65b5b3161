use crate::domain::{Class, Priority};
use crate::estate::{Above, Estate, EstateError, Response, Watch};

const STAMP: &str = "[[stamps]]
name = 'a'
subscription = '11111111-2222-4333-8444-555555555555'
resource_group = 'g'
workspace = 'w'
";

fn problems(rules: &str) -> Vec<String> {
    match Estate::parse(&format!("{STAMP}{rules}")) {
        Ok(_) => Vec::new(),
        Err(EstateError(problems)) => problems
            .iter()
            .map(|problem| format!("`{}` {}", problem.key, problem.message))
            .collect(),
    }
}

fn rule(kind: &str, rest: &str) -> String {
    format!("[[rules]]\nname = 'r'\nkind = '{kind}'\n{rest}\n")
}

#[test]
fn what_is_not_written_is_as_the_objectives_want_it() {
    let text: String = [
        "burn_rate",
        "p95",
        "error_rate",
        "request_units",
        "boundary",
        "absence",
    ]
    .iter()
    .map(|kind| {
        format!(
            "[[rules]]\nname = '{}'\nkind = '{kind}'\n",
            kind.replace('_', "-")
        )
    })
    .collect();
    let estate = Estate::parse(&format!("{STAMP}{text}")).expect("an estate");
    let told = |name: &str| -> Vec<(Priority, String, u32, i64)> {
        let rule = estate.rule(name).expect("a rule");
        assert!(rule.enabled && rule.response == Response::Notify);
        let levels = rule.levels.iter();
        levels
            .map(|level| {
                let above = match level.above {
                    Above::Burn {
                        long,
                        short,
                        factor,
                    } => format!(
                        "{}/{}x{}",
                        long.num_minutes(),
                        short.num_minutes(),
                        factor.number()
                    ),
                    Above::Seconds(n) => format!("{} s", n.number()),
                    Above::Percent(n) => format!("{} %", n.number()),
                    other => format!("{other:?}"),
                };
                (
                    level.priority,
                    above,
                    level.holds,
                    level.every.num_minutes(),
                )
            })
            .collect()
    };
    use Priority::{Critical, High, Low, Medium};
    let row = |p, text: &str, holds, every| (p, text.to_owned(), holds, every);
    assert_eq!(
        told("burn-rate"),
        [
            row(Critical, "60/5x14.4", 1, 1),
            row(High, "360/30x6", 1, 5),
            row(Medium, "1440/120x3", 1, 5),
            row(Low, "4320/360x1", 1, 5),
        ]
    );
    assert_eq!(
        told("p95"),
        [row(High, "3 s", 1, 1), row(Medium, "2 s", 3, 1)]
    );
    assert_eq!(
        told("error-rate"),
        [row(High, "5 %", 1, 1), row(Medium, "0.5 %", 1, 1)]
    );
    assert_eq!(told("request-units"), [row(Medium, "80 %", 2, 5)]);
    assert_eq!(told("boundary"), [row(Critical, "One", 1, 1)]);
    assert_eq!(
        told("absence"),
        [
            row(Critical, "Silence { probes: true }", 1, 1),
            row(High, "Silence { probes: false }", 1, 1),
        ]
    );
    let boundary = estate.rule("boundary").expect("a rule");
    assert_eq!(boundary.class, Class::Security);
    let Watch::BurnRate { objective, .. } = estate.rule("burn-rate").expect("a rule").watch else {
        panic!("another kind");
    };
    assert!((objective.number() - 99.9).abs() < 1e-9);
}

#[test]
fn rules_that_could_never_fire_or_always_would_are_refused() {
    let burn = |rest: &str| {
        rule(
            "burn_rate",
            &format!("levels = [{{ priority = 'high', long = '1h', short = '5m', {rest} }}]"),
        )
    };
    let p95 = |levels: &str| rule("p95", &format!("levels = [{levels}]"));
    for (name, text, told) in [
        (
            "a boundary of two",
            rule("boundary", "threshold = 2"),
            "never be told",
        ),
        (
            "a boundary of none",
            rule("boundary", "threshold = 0"),
            "always fire",
        ),
        (
            "a boundary that a machine ends",
            rule("boundary", "clear_after = 3"),
            "people end it",
        ),
        (
            "a boundary of operations",
            rule("boundary", "class = 'operations'"),
            "security",
        ),
        (
            "a boundary seen too briefly",
            rule("boundary", "window = '5m'"),
            "may be late",
        ),
        (
            "an error rate of nothing",
            rule(
                "error_rate",
                "levels = [{ priority = 'high', above_percent = 0 }]",
            ),
            "always fire",
        ),
        (
            "more than all",
            rule(
                "error_rate",
                "levels = [{ priority = 'high', above_percent = 100 }]",
            ),
            "more than all",
        ),
        (
            "a burn beyond all failing",
            burn("factor = 1001"),
            "only 1000 times",
        ),
        ("a burn of nothing", burn("factor = 0"), "always fire"),
        (
            "a level without its number",
            burn("for = 1"),
            "factor` is missing",
        ),
        (
            "no budget",
            rule("burn_rate", "objective_percent = 100"),
            "no budget",
        ),
        ("no level", p95(""), "never fire"),
        (
            "the urgent one first",
            p95(
                "{ priority = 'high', above_seconds = 2 }, { priority = 'low', above_seconds = 3 }",
            ),
            "never be told",
        ),
        (
            "a priority twice",
            p95("{ priority = 'low', above_seconds = 2 }, { priority = 'low', above_seconds = 3 }"),
            "twice",
        ),
        (
            "in a row for longer than the window",
            rule("p95", "for = 6"),
            "longer than the window",
        ),
        ("not once", rule("p95", "for = 0"), "always fire"),
        (
            "more seldom than it looks back",
            rule("p95", "every = '10m'"),
            "would not be seen",
        ),
        (
            "an hour",
            p95("{ priority = 'low', above_seconds = 3600 }"),
            "no request",
        ),
        (
            "silent for no longer than telemetry takes",
            rule("absence", "silent_for = '5m'"),
            "always fire",
        ),
        (
            "alone as urgent as both",
            rule("absence", "alone = 'critical'"),
            "not below",
        ),
        (
            "nothing proves something",
            rule("p95", "least_requests = 0"),
            "proves nothing",
        ),
        (
            "what more does not help against",
            rule("boundary", "response = 'scale'"),
            "more helps where",
        ),
        (
            "another kind's number",
            rule("p95", "objective_percent = 99"),
            "another kind",
        ),
        (
            "a priority beside levels",
            rule("p95", "priority = 'high'"),
            "levels have it",
        ),
        (
            "a name that is a path",
            "[[rules]]\nname = '../x'\nkind = 'p95'\n".into(),
            "lower-case",
        ),
        ("twice", rule("p95", "") + &rule("p95", ""), "another rule"),
        (
            "a lag of a day",
            "[evaluator]\nlag = '1d'\n".into(),
            "an hour",
        ),
        (
            "waits less than always",
            "[evaluator]\nmost_lag = '1m'\n".into(),
            "most_lag",
        ),
    ] {
        let problems = problems(&text);
        assert!(
            problems.iter().any(|problem| problem.contains(told)),
            "{name}: {problems:?}"
        );
    }
    assert_eq!(problems(&rule("p95", "for = 3")), Vec::<String>::new());
}

#[test]
fn what_inhibits_what_is_checked() {
    let service = |rest: &str| rule("error_rate", &format!("of = 'service'\n{rest}"));
    let later = |kind: &str| format!("[[rules]]\nname = 'later'\nkind = '{kind}'\n");
    for (name, text, expected) in [
        (
            "right",
            service("inhibits = ['later']") + &later("error_rate"),
            None,
        ),
        (
            "no rule",
            service("inhibits = ['later']"),
            Some("`rules[0].inhibits` names `later`, which is no rule"),
        ),
        (
            "one before it",
            later("error_rate") + &service("inhibits = ['later']"),
            Some("`rules[1].inhibits` names `later`, which does not stand after it"),
        ),
        (
            "itself",
            service("inhibits = ['r']"),
            Some("`rules[0].inhibits` names `r`, which does not stand after it"),
        ),
        (
            "security's",
            service("inhibits = ['later']") + &later("boundary"),
            Some("`rules[0].inhibits` names `later`: what is security's is always told"),
        ),
        (
            "of tenants",
            rule("error_rate", "inhibits = ['later']") + &later("error_rate"),
            Some(
                "`rules[0].inhibits` belongs to rules of the service: one tenant's trouble hides no other's",
            ),
        ),
        (
            "of what has no tenants",
            rule("p95", "of = 'service'"),
            Some("`rules[0].of` belongs to another kind of rule"),
        ),
    ] {
        assert_eq!(problems(&text), Vec::from_iter(expected), "{name}");
    }
}
