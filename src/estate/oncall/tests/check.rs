//! What of people and levels is refused.

use crate::estate::{Estate, EstateError};

fn problems(text: &str) -> Vec<String> {
    match Estate::parse(text) {
        Ok(_) => Vec::new(),
        Err(EstateError(problems)) => problems
            .iter()
            // What other sections want of this one is held elsewhere.
            .filter(|p| p.key != "incidents")
            .map(|p| format!("{} {}", p.key, p.message))
            .collect(),
    }
}

const PEOPLE: &str = "
[[oncall.calendars]]
name = 'office'
days = ['mon', 'tue', 'wed', 'thu', 'fri']
from = '09:00'
to = '18:00'
japanese_holidays = true
[[oncall.people]]
id = 'a'
contacts = [{ channel = 'mail', to = 'a@example.com' }]
[[channels]]
name = 'mail'
kind = 'smtp'
host = 'smtp.example.com'
from = 'poolkeeper@example.com'
";

/// Three calendars that leave no hour of any day out.
const THIRDS: &str = "
[[oncall.calendars]]
name = 'day'
days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
from = '08:00'
to = '20:00'
[[oncall.calendars]]
name = 'night'
days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
from = '20:00'
to = '00:00'
[[oncall.calendars]]
name = 'morning'
days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
from = '00:00'
to = '08:00'
";

fn level(name: &str, hours: &str, next: &str) -> String {
    let next = match next {
        "" => String::new(),
        next => format!("next = '{next}'\n"),
    };
    format!("[[oncall.levels]]\nname = '{name}'\nhours = '{hours}'\nperson = 'a'\n{next}")
}

#[test]
fn levels_that_reach_nobody_at_some_hour_are_refused() {
    let office = level("x", "office", "");
    let thirds = level("x", "day", "y") + &level("y", "night", "z") + &level("z", "morning", "");
    let ended = thirds.clone() + &level("end", "always", "");
    for (name, text, expected) in [
        (
            "all hours in the end",
            level("x", "office", "y") + &level("y", "always", ""),
            vec![],
        ),
        (
            "business hours alone",
            office.clone(),
            vec!["[0] reaches nobody on Mon from 00:00, through x"],
        ),
        (
            "the first asks all three, the others do not",
            THIRDS.to_owned() + &thirds,
            vec![
                "[1] reaches nobody on Mon from 08:00, through y, z",
                "[2] reaches nobody on Mon from 08:00, through z",
            ],
        ),
        (
            "holidays",
            THIRDS.replace("to = '00:00'", "to = '00:00'\njapanese_holidays = true")
                + &ended.replacen("name = 'z'", "name = 'z'\nnext = 'end'", 1)
                + &level("v", "day", "w")
                + &level("w", "night", "u")
                + &level("u", "morning", ""),
            vec![
                "[4] reaches nobody on holidays that are Mon from 20:00, through v, w, u",
                "[5] reaches nobody on Mon from 08:00, through w, u",
                "[6] reaches nobody on Mon from 08:00, through u",
            ],
        ),
        (
            "a date",
            THIRDS.replace("to = '08:00'", "to = '08:00'\nclosed = ['2026-12-31']") + &thirds,
            vec![
                "[0] reaches nobody on 2026-12-31 (Thu) from 00:00, through x, y, z",
                "[1] reaches nobody on Mon from 08:00, through y, z",
                "[2] reaches nobody on Mon from 08:00, through z",
            ],
        ),
    ] {
        let expected: Vec<String> = expected
            .iter()
            .map(|line| {
                let (index, line) = line.split_once(' ').expect("an index");
                format!(
                    "oncall.levels{index}.next {line}: end it with a level whose `hours` are always"
                )
            })
            .collect();
        assert_eq!(problems(&format!("{PEOPLE}{text}")), expected, "{name}");
    }
}

#[test]
fn what_is_wrong_with_people_and_levels_is_told() {
    let rota = |lines: &str| format!("[[oncall.levels]]\nname = 'x'\n{lines}");
    let cases: Vec<(&str, String, Vec<&str>)> = vec![
        (
            "a loop",
            level("x", "office", "y") + &level("y", "always", "x"),
            vec![
                "oncall.levels[0].next leads back: x, y, x; the last level has no `next`",
                "oncall.levels[1].next leads back: y, x, y; the last level has no `next`",
            ],
        ),
        (
            "a level that is its own next",
            level("x", "always", "X"),
            vec!["oncall.levels[0].next leads back: x, x; the last level has no `next`"],
        ),
        (
            "unknown names",
            "[[oncall.levels]]\nname = 'x'\nhours = 'ofice'\nperson = 'b'\nnext = 'y'\n".into(),
            vec![
                "oncall.levels[0].hours is `ofice`: always, office is possible",
                "oncall.levels[0].person is `b`: nobody in `oncall.people` has that id",
                "oncall.levels[0].next is `y`: the levels are x",
            ],
        ),
        (
            "an empty rota",
            rota("rota = []\nhand_over = 'mon 09:00'\nstarts = '2026-01-05'\n"),
            vec!["oncall.levels[0].rota is empty: name people, or a `person` who is on duty alone"],
        ),
        (
            "a gap in a rota",
            rota("rota = ['a', '']\nhand_over = 'mon 09:00'\nstarts = '2026-01-05'\n"),
            vec!["oncall.levels[0].rota[1] is ``: nobody in `oncall.people` has that id"],
        ),
        (
            "a rota without its times",
            rota("rota = ['a']\n"),
            vec![
                "oncall.levels[0].hand_over is missing: say when one hands over to the next, as mon 09:00",
                "oncall.levels[0].starts is missing: say on which date the first of the rota takes over",
            ],
        ),
        (
            "a start on another weekday",
            rota("rota = ['a']\nhand_over = 'mon 09:00'\nstarts = '2026-01-06'\n"),
            vec!["oncall.levels[0].starts is a Tue, and hand-over is on Mon: take a Mon"],
        ),
        (
            "a rota and somebody alone",
            rota("rota = ['a']\nperson = 'a'\n"),
            vec!["oncall.levels[0].rota belongs to a rota, and there is a `person`: leave out one"],
        ),
        (
            "two of a name",
            level("x", "always", "") + &level("X", "always", ""),
            vec!["oncall.levels[1].name is `x`, as that of another one"],
        ),
        (
            "people without contacts",
            "[[oncall.people]]\nid = 'b'\ncontacts = []\n[[oncall.people]]\nid = 'c'\ncontacts = [{ channel = '' }]\n".into(),
            vec![
                "oncall.people[1].contacts is empty: nobody could tell them anything, name a channel",
                "oncall.people[2].contacts[0].channel is empty: name a channel",
            ],
        ),
        (
            "a contact with something unknown",
            "[[oncall.people]]\nid = 'b'\ncontacts = [{ channel = 'mail', too = 'b' }]\n".into(),
            vec!["oncall.people[1].contacts[0].too is unknown: is `to` meant?"],
        ),
        (
            "hours that are none",
            "[[oncall.calendars]]\nname = 'always'\ndays = []\nfrom = '18:00'\nto = '9'\nclosed = ['31.12.']\n".into(),
            vec![
                "oncall.calendars[1].name is `always`, which means all hours: take another name",
                "oncall.calendars[1].days is empty: name the days, as mon",
                "oncall.calendars[1].to is `9`: a time such as 09:00 is possible",
                "oncall.calendars[1].closed[0] is `31.12.`: a date such as 2026-12-31 is possible",
            ],
        ),
        (
            "hours over midnight",
            "[[oncall.calendars]]\nname = 'n'\ndays = ['mon']\nfrom = '18:00'\nto = '09:00'\n".into(),
            vec!["oncall.calendars[1].to is not after `from`: hours over midnight are two calendars, and 00:00 is the end of the day"],
        ),
        ("an unknown calendar of the business", "[oncall]\nbusiness = 'x'\n".into(), vec!["oncall.business is `x`: office is possible"]),
    ];
    for (name, text, expected) in cases {
        // A table is opened before the lists in it.
        let text = match text.strip_prefix("[oncall]") {
            Some(_) => format!("{text}{PEOPLE}"),
            None => format!("{PEOPLE}{text}"),
        };
        assert_eq!(problems(&text), expected, "{name}");
    }
}
