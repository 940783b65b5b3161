mod check;

use chrono::TimeZone as _;

use super::*;
use crate::domain::Ending;
use crate::estate::Estate;

const BERLIN: Tz = chrono_tz::Europe::Berlin;
const TOKYO: Tz = chrono_tz::Asia::Tokyo;

/// The wall clock of a zone: `2026-03-07 22:00`.
fn wall(text: &str, zone: Tz) -> DateTime<Utc> {
    let local = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time");
    zone.from_local_datetime(&local)
        .single()
        .expect("one moment")
        .to_utc()
}

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

fn shipped() -> OnCall {
    Estate::parse(include_str!("../../../infra/estate.toml"))
        .expect("the estate")
        .oncall
}

fn over(id: &str, level: &str, person: &str, from: &str, until: &str, added: &str) -> Override {
    Override {
        id: id.into(),
        level: level.into(),
        person: person.into(),
        from: wall(from, TOKYO),
        until: wall(until, TOKYO),
        by: "operator".into(),
        reason: "a swap".into(),
        added: wall(added, TOKYO),
        removed: None,
    }
}

#[test]
fn who_is_reached_at_any_moment() {
    let oncall = shipped();
    // 2026-03-02 is a Monday, eight weeks after the rotas start.
    for (name, level, at, person, climbed) in [
        ("in hours", "L2", "2026-03-02 09:00", "l2-a", &[][..]),
        (
            "before they begin",
            "L2",
            "2026-03-02 08:59",
            "l3-b",
            &["L2"],
        ),
        ("the last minute", "L2", "2026-03-02 17:59", "l2-a", &[]),
        ("night", "L2", "2026-03-02 18:00", "l3-b", &["L2"]),
        ("weekend", "L2", "2026-03-07 12:00", "l3-a", &["L2"]),
        ("a holiday", "L2", "2026-03-20 12:00", "l3-a", &["L2"]),
        (
            "between two holidays",
            "L2",
            "2026-09-22 12:00",
            "l3-a",
            &["L2"],
        ),
        ("closed by name", "L2", "2026-12-29 12:00", "l3-a", &["L2"]),
        ("at all hours", "L1", "2026-03-07 03:00", "l1-c", &[]),
        (
            "a minute before the hand-over",
            "L1",
            "2026-03-09 08:59",
            "l1-c",
            &[],
        ),
        (
            "the minute of the hand-over",
            "L1",
            "2026-03-09 09:00",
            "l1-a",
            &[],
        ),
        (
            "another weekday's hand-over",
            "L3",
            "2026-03-04 09:59",
            "l3-b",
            &[],
        ),
        ("and its minute", "L3", "2026-03-04 10:00", "l3-a", &[]),
        (
            "before the rota started",
            "L1",
            "2026-01-05 08:59",
            "l1-c",
            &[],
        ),
        ("when it started", "L1", "2026-01-05 09:00", "l1-a", &[]),
        ("alone", "CISO", "2026-03-07 03:00", "ciso", &[]),
        (
            "in other capitals",
            "security",
            "2026-03-02 09:00",
            "security-a",
            &[],
        ),
    ] {
        let duty = oncall
            .reach(&[], level, wall(at, TOKYO), TOKYO)
            .expect(name);
        assert_eq!(duty.person, person, "{name}: {}", duty.why);
        assert_eq!(duty.climbed, climbed, "{name}");
        assert_eq!(
            Some(&duty.contacts),
            oncall.person(person).map(|p| &p.contacts),
            "{name}"
        );
    }
    assert_eq!(
        oncall.reach(&[], "L9", wall("2026-03-02 09:00", TOKYO), TOKYO),
        None
    );
    assert_eq!(
        OnCall::default().reach(&[], "L1", utc("2026-03-02T00:00:00Z"), TOKYO),
        None
    );
}

#[test]
fn an_override_takes_a_level_over_whatever_its_hours() {
    let oncall = shipped();
    let long_ago = "2026-01-01 00:00";
    let plain = over(
        "a",
        "L1",
        "l1-b",
        "2026-03-02 12:00",
        "2026-03-02 14:00",
        long_ago,
    );
    let newer = over(
        "b",
        "L1",
        "l2-a",
        "2026-03-02 13:00",
        "2026-03-02 15:00",
        "2026-01-02 00:00",
    );
    let saturday = over(
        "c",
        "L2",
        "l2-b",
        "2026-03-07 10:00",
        "2026-03-07 12:00",
        long_ago,
    );
    let gone = over(
        "d",
        "L1",
        "somebody",
        "2026-03-02 12:00",
        "2026-03-02 14:00",
        "2026-01-03 00:00",
    );
    let late = over(
        "e",
        "L1",
        "l1-b",
        "2026-03-02 12:00",
        "2026-03-02 14:00",
        "2026-03-02 13:00",
    );
    let removed = Override {
        removed: Some(Ending {
            at: wall("2026-03-02 13:00", TOKYO),
            by: "reviewer".into(),
            reason: "not needed".into(),
        }),
        ..plain.clone()
    };
    // The two of a swap: each takes the week of the other.
    let swap = vec![
        over(
            "f",
            "L1",
            "l1-a",
            "2026-03-02 09:00",
            "2026-03-09 09:00",
            long_ago,
        ),
        over(
            "g",
            "L1",
            "l1-c",
            "2026-03-09 09:00",
            "2026-03-16 09:00",
            long_ago,
        ),
    ];
    for (name, overrides, level, at, person) in [
        (
            "before it",
            vec![plain.clone()],
            "L1",
            "2026-03-02 11:59",
            Some("l1-c"),
        ),
        (
            "its first minute",
            vec![plain.clone()],
            "L1",
            "2026-03-02 12:00",
            Some("l1-b"),
        ),
        (
            "its last minute",
            vec![plain.clone()],
            "L1",
            "2026-03-02 13:59",
            Some("l1-b"),
        ),
        (
            "after it",
            vec![plain.clone()],
            "L1",
            "2026-03-02 14:00",
            Some("l1-c"),
        ),
        (
            "another level",
            vec![plain.clone()],
            "L3",
            "2026-03-02 12:00",
            Some("l3-b"),
        ),
        (
            "two at once",
            vec![newer.clone(), plain.clone()],
            "L1",
            "2026-03-02 13:00",
            Some("l2-a"),
        ),
        (
            "the older one",
            vec![newer, plain.clone()],
            "L1",
            "2026-03-02 12:59",
            Some("l1-b"),
        ),
        (
            "outside the hours",
            vec![saturday.clone()],
            "L2",
            "2026-03-07 11:00",
            Some("l2-b"),
        ),
        (
            "and no longer",
            vec![saturday],
            "L2",
            "2026-03-07 12:00",
            None,
        ),
        (
            "somebody who left",
            vec![gone.clone()],
            "L1",
            "2026-03-02 12:30",
            Some("l1-c"),
        ),
        (
            "the next newest",
            vec![gone, plain],
            "L1",
            "2026-03-02 12:30",
            Some("l1-b"),
        ),
        (
            "what was before it was said",
            vec![late.clone()],
            "L1",
            "2026-03-02 12:59",
            Some("l1-c"),
        ),
        (
            "once it was said",
            vec![late],
            "L1",
            "2026-03-02 13:00",
            Some("l1-b"),
        ),
        (
            "until it is removed",
            vec![removed.clone()],
            "L1",
            "2026-03-02 12:59",
            Some("l1-b"),
        ),
        (
            "once it is removed",
            vec![removed],
            "L1",
            "2026-03-02 13:00",
            Some("l1-c"),
        ),
        (
            "a swap",
            swap.clone(),
            "L1",
            "2026-03-03 09:00",
            Some("l1-a"),
        ),
        (
            "the other week of it",
            swap.clone(),
            "L1",
            "2026-03-10 09:00",
            Some("l1-c"),
        ),
        ("and after it", swap, "L1", "2026-03-16 09:00", Some("l1-b")),
    ] {
        let duty = oncall.duty(&overrides, level, wall(at, TOKYO), TOKYO);
        assert_eq!(
            duty.as_ref().map(|d| d.person.as_str()),
            person,
            "{name}: {duty:?}"
        );
    }
}

/// Hand-over and office hours in the hour that the clocks leave out, and repeat.
fn awkward() -> OnCall {
    let text = "time_zone = 'Europe/Berlin'
[[channels]]
name = 'mail'
kind = 'smtp'
host = 'smtp.example.com'
from = 'poolkeeper@example.com'
[incidents]
critical.steps = [{ after = '0m', level = 'week' }]
high.steps = [{ after = '0m', level = 'week' }]
medium.steps = [{ after = '0m', level = 'week' }]
low.steps = [{ after = 'business', level = 'early' }]
security.steps = [{ after = '0m', level = 'week' }]
[[oncall.calendars]]
name = 'early'
days = ['sun']
from = '02:30'
to = '05:00'
[[oncall.people]]
id = 'a'
contacts = [{ channel = 'mail', to = 'a' }]
[[oncall.people]]
id = 'b'
contacts = [{ channel = 'mail', to = 'b' }]
[[oncall.levels]]
name = 'week'
rota = ['a', 'b']
hand_over = 'sun 02:30'
starts = '2026-01-04'
[[oncall.levels]]
name = 'early'
hours = 'early'
person = 'a'
next = 'week'
";
    Estate::parse(text).expect("an estate").oncall
}

#[test]
fn a_rota_goes_on_over_changes_of_the_clocks() {
    let oncall = awkward();
    for (name, at, person) in [
        // 2026-03-29: 02:00 is 03:00, at 01:00 UTC.
        ("before the gap", "2026-03-29T00:59:59Z", "b"),
        ("after the gap", "2026-03-29T01:00:00Z", "a"),
        ("a week later", "2026-04-05T00:29:59Z", "a"),
        ("on the minute again", "2026-04-05T00:30:00Z", "b"),
        // 2026-10-25: 03:00 is 02:00, at 01:00 UTC; 02:30 is at 00:30 and 01:30.
        ("before the first 02:30", "2026-10-25T00:29:59Z", "b"),
        ("the first 02:30", "2026-10-25T00:30:00Z", "a"),
        (
            "the clocks are back, the duty is not",
            "2026-10-25T01:10:00Z",
            "a",
        ),
        ("the second 02:30", "2026-10-25T01:30:00Z", "a"),
    ] {
        let duty = oncall.duty(&[], "week", utc(at), BERLIN).expect(name);
        assert_eq!(duty.person, person, "{name}: {}", duty.why);
    }
}

#[test]
fn business_begins_when_the_clock_on_the_wall_says_so() {
    let shipped = shipped();
    for (name, at, expected) in [
        ("within", "2026-03-02 12:34", "2026-03-02 12:34"),
        ("before", "2026-03-02 03:00", "2026-03-02 09:00"),
        (
            "the end is not within",
            "2026-03-02 18:00",
            "2026-03-03 09:00",
        ),
        ("Friday evening", "2026-03-06 18:30", "2026-03-09 09:00"),
        (
            "a holiday before a weekend",
            "2026-03-19 20:00",
            "2026-03-23 09:00",
        ),
        ("five days in May", "2026-05-01 19:00", "2026-05-07 09:00"),
        (
            "five days in September",
            "2026-09-18 19:00",
            "2026-09-24 09:00",
        ),
        (
            "the turn of the year",
            "2026-12-28 18:00",
            "2027-01-04 09:00",
        ),
    ] {
        let next = shipped.next_business(wall(at, TOKYO), TOKYO);
        assert_eq!(next, wall(expected, TOKYO), "{name}");
    }
    let awkward = awkward();
    for (name, at, expected) in [
        (
            "02:30 is left out",
            "2026-03-29T00:00:00Z",
            "2026-03-29T01:00:00Z",
        ),
        (
            "the first 02:30",
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
        ),
        (
            "it closes as the clocks go back",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
        ),
        (
            "and opens again",
            "2026-10-25T01:30:00Z",
            "2026-10-25T01:30:00Z",
        ),
        ("closed", "2026-10-25T04:00:00Z", "2026-11-01T01:30:00Z"),
    ] {
        assert_eq!(
            awkward.next_business(utc(at), BERLIN),
            utc(expected),
            "{name}"
        );
    }
    let at = utc("2026-03-07T03:00:00Z");
    assert_eq!(OnCall::default().next_business(at, TOKYO), at);
}

#[test]
fn shifts_leave_nothing_out_and_agree_with_who_is_on_duty() {
    let shipped = shipped();
    let swapped = over(
        "a",
        "L2",
        "l2-b",
        "2026-03-03 17:00",
        "2026-03-03 20:00",
        "2026-01-01 00:00",
    );
    let shifts = shipped.hands_over(
        &[swapped],
        "L2",
        wall("2026-03-02 00:00", TOKYO),
        wall("2026-03-05 12:00", TOKYO),
        TOKYO,
    );
    let told: Vec<String> = shifts
        .iter()
        .map(|s| {
            let local = |at: DateTime<Utc>| at.with_timezone(&TOKYO).format("%d %H:%M").to_string();
            format!("{} to {}: {}", local(s.from), local(s.until), s.person)
        })
        .collect();
    assert_eq!(
        told,
        [
            "02 09:00 to 02 18:00: l2-a",
            "03 09:00 to 03 17:00: l2-a",
            "03 17:00 to 03 20:00: l2-b",
            "04 09:00 to 04 18:00: l2-a",
            "05 09:00 to 05 12:00: l2-a",
        ]
    );
    let awkward = awkward();
    for (oncall, level, from, until, zone) in [
        (
            &awkward,
            "week",
            "2026-03-20T00:00:00Z",
            "2026-04-10T00:00:00Z",
            BERLIN,
        ),
        (
            &awkward,
            "early",
            "2026-03-28T00:00:00Z",
            "2026-03-30T00:00:00Z",
            BERLIN,
        ),
        (
            &awkward,
            "early",
            "2026-10-24T00:00:00Z",
            "2026-10-26T00:00:00Z",
            BERLIN,
        ),
        (
            &shipped,
            "L2",
            "2026-03-05T00:00:00Z",
            "2026-03-12T00:00:00Z",
            TOKYO,
        ),
        (
            &shipped,
            "L2",
            "2026-03-25T00:00:00Z",
            "2026-04-01T00:00:00Z",
            BERLIN,
        ),
        // Half an hour of daylight saving.
        (
            &shipped,
            "L1",
            "2026-04-01T00:00:00Z",
            "2026-04-08T00:00:00Z",
            chrono_tz::Australia::Lord_Howe,
        ),
    ] {
        let (from, until) = (utc(from), utc(until));
        let shifts = oncall.hands_over(&[], level, from, until, zone);
        let mut at = from;
        while at < until {
            let duty = oncall.duty(&[], level, at, zone).map(|d| d.person);
            let shift = shifts.iter().find(|s| s.from <= at && at < s.until);
            assert_eq!(
                shift.map(|s| &s.person),
                duty.as_ref(),
                "{level} at {at} in {zone}"
            );
            at += Duration::minutes(5);
        }
    }
}

#[test]
fn contacts_over_channels_that_are_not_there_are_found() {
    let oncall = shipped();
    let all: BTreeSet<String> = ["pager", "mail", "chat"].map(str::to_owned).into();
    assert_eq!(oncall.unknown_channels(&all), []);
    let some: BTreeSet<String> = ["pager", "mail"].map(str::to_owned).into();
    assert_eq!(
        oncall.unknown_channels(&some)[0],
        (
            "oncall.people[7].contacts[1].channel".to_owned(),
            "is `chat`: the channels are mail, pager".to_owned()
        )
    );
    assert_eq!(oncall.unknown_channels(&BTreeSet::new()).len(), 26);
}

/// What the reasoning by sets says, held against every hour of a leap year.
#[test]
fn the_levels_that_ship_reach_somebody_at_every_hour_of_a_leap_year() {
    let oncall = shipped();
    let mut at = wall("2028-01-01 00:00", TOKYO);
    let end = wall("2029-01-01 00:00", TOKYO);
    while at < end {
        for level in &oncall.levels {
            assert!(
                oncall.reach(&[], &level.name, at, TOKYO).is_some(),
                "{} at {at}",
                level.name
            );
        }
        at += Duration::hours(1);
    }
}

#[test]
fn in_every_zone_business_begins_at_the_first_moment_that_is_open_and_weeks_follow_each_other() {
    let calendar = Calendar {
        name: "early".into(),
        days: vec![chrono::Weekday::Fri, chrono::Weekday::Sun],
        from: NaiveTime::from_hms_opt(0, 15, 0).expect("a time"),
        to: NaiveTime::from_hms_opt(2, 45, 0).expect("a time"),
        japanese_holidays: false,
        closed: BTreeSet::new(),
    };
    let starts = NaiveDate::from_ymd_opt(2026, 1, 4).expect("a Sunday");
    // Days before clocks are changed: in Europe, in Egypt (at midnight), in America.
    for (day, hours) in [
        ("2026-03-28T00:00:00Z", 37),
        ("2026-04-23T12:00:00Z", 19),
        ("2026-10-31T00:00:00Z", 41),
    ] {
        for zone in chrono_tz::TZ_VARIANTS {
            let begin = utc(day);
            let next = calendar.next_open(begin, zone).expect("an opening");
            let quarters = (0..).map(|n| begin + Duration::minutes(15 * n));
            let first = quarters.take(700).find(|at| calendar.is_open(*at, zone));
            // Zones are whole quarters off in these years.
            assert_eq!(Some(next), first, "{zone} after {day}");
            let mut before: Option<Week> = None;
            for n in 0..24 {
                let at = begin + Duration::hours(hours * n);
                let this = week(starts, calendar.from, at, zone).expect("a week");
                assert!(
                    this.began <= at && at - this.began < Duration::hours(7 * 24 + 2),
                    "{zone} at {at}"
                );
                if let Some(before) = before.filter(|b| b.number != this.number) {
                    assert_eq!(before.number + 1, this.number, "{zone} at {at}");
                    let length = this.began - before.began;
                    assert!(
                        (length - Duration::weeks(1)).abs() <= Duration::hours(2),
                        "{zone}: {length}"
                    );
                }
                before = Some(this);
            }
        }
    }
}
