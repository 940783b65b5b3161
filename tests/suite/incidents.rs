//! Incidents through the front door, told as they would be read the next morning: what happened when,
//! who was told through what, and what was verified. The stories are kept in `tests/stories`; they are
//! written anew with `UPDATE_STORIES=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeZone as _, Utc};
use poolkeeper::app::{App, Clock};
use poolkeeper::domain::{Class, Condition, GroupKey, IncidentId, Priority, Signal, Trust};
use poolkeeper::local::simulator::{Fault, Heals, Trouble, TroubleKind};
use poolkeeper::notify::ToldState;
use poolkeeper::operations::incidents::{self, Filter, Said, Shown};
use serde_json::{Value, json};

use crate::alerts::{alert, known};
use crate::world::{OPERATOR, PROJECT, World};

/// An embedded estate at a time that the story moves. Every step is another process: whatever goes on
/// after it was kept.
struct Story {
    world: World,
    settings: BTreeMap<String, String>,
    now: DateTime<Utc>,
    lines: Vec<String>,
    /// What was told before: events of each incident, notices of each with their state.
    known: BTreeMap<IncidentId, (usize, BTreeSet<String>)>,
}

impl Story {
    async fn start(turn: impl FnOnce(&str) -> String) -> Self {
        let world = World::start_unrecorded().await;
        let settings = world.settings_with_estate(turn);
        Self {
            world,
            settings,
            now: DateTime::UNIX_EPOCH,
            lines: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    fn app(&self) -> App {
        World::app_with(&self.settings, Clock::Fixed(self.now))
    }

    async fn handler(&self) -> String {
        let clock = Clock::Fixed(self.now);
        self.world.handler_with(self.settings.clone(), clock).await
    }

    /// Moves the clock to a time in Tokyo, as `2026-03-02 10:00`.
    fn at(&mut self, local: &str) -> &mut Self {
        let naive = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").expect("a time");
        let zone = chrono_tz::Asia::Tokyo;
        let at = zone.from_local_datetime(&naive).single().expect("a time");
        self.now = at.to_utc();
        self
    }

    async fn signal(&mut self, signal: &Signal) {
        incidents::take(&self.app(), signal).await.expect("taken");
        self.tell().await;
    }

    async fn tick(&mut self) {
        let base = self.handler().await;
        self.world.tick(&base, "minute-tick").await;
        self.tell().await;
    }

    /// Ticks each minute up to a time.
    async fn until(&mut self, local: &str) {
        let end = {
            let now = self.now;
            let end = self.at(local).now;
            self.now = now;
            end
        };
        while self.now < end {
            self.now += chrono::Duration::minutes(1);
            let base = self.handler().await;
            self.world.tick(&base, "health-check").await;
            self.world.tick(&base, "minute-tick").await;
            self.tell().await;
        }
    }

    async fn say(&mut self, id: &IncidentId, said: Said, reason: &str) {
        incidents::say(&self.app(), id, &said, "operator", reason)
            .await
            .expect("said");
        self.tell().await;
    }

    async fn webhook(&mut self, payload: &Value) {
        let base = self.handler().await;
        let (status, answer) = self.world.post(format!("{base}/api/alerts"), payload).await;
        assert_eq!(status, 202, "{answer}");
        let run = answer["run"].as_str().expect("a run");
        assert_eq!(self.world.deliver(&base, run).await, 200);
        self.tell().await;
    }

    /// Writes down what has happened since the last time.
    async fn tell(&mut self) {
        let app = self.app();
        let page = incidents::list(&app, &Filter::default(), None, 500).await;
        let mut found: Vec<_> = page.expect("a page").incidents;
        found.sort_by(|a, b| a.opened.cmp(&b.opened).then_with(|| a.id.cmp(&b.id)));
        for incident in found {
            let shown = incidents::show(&app, &incident.id).await.expect("shown");
            self.tell_one(&shown.expect("an incident"));
        }
    }

    fn tell_one(&mut self, shown: &Shown) {
        let id = &shown.incident.id;
        let (events, told) = self.known.remove(id).unwrap_or_default();
        let mut fresh = Vec::new();
        for line in &shown.timeline[events..] {
            fresh.extend(said(&json!(line.event)));
        }
        let mut states = told.clone();
        for notice in &shown.told {
            let what = match &notice.state {
                ToldState::Delivered { .. } => "told",
                ToldState::Waiting { .. } => "not told yet:",
                ToldState::Merged => "spared",
                ToldState::Overtaken => "overtaken:",
            };
            let act = format!("{:?}", notice.act).to_lowercase();
            let line = format!(
                "{what} {} through {}, {act}",
                notice.recipient, notice.channel
            );
            if states.insert(format!("{} {what} {}", notice.notice, notice.channel)) {
                fresh.push(line);
            }
        }
        if !fresh.is_empty() {
            let at = self.now.with_timezone(&chrono_tz::Asia::Tokyo);
            let name = &shown.incident.title;
            let status = shown.status_now;
            self.lines
                .push(format!("{}  {name}: {status}", at.format("%a %m-%d %H:%M")));
            self.lines
                .extend(fresh.into_iter().map(|line| format!("    {line}")));
        }
        self.known
            .insert(id.clone(), (shown.timeline.len(), states));
    }

    /// Holds what was told against the story that is kept, and closes with what the outside got.
    async fn ends(mut self, name: &str) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for sent in self.world.simulator.sent().await {
            *counts
                .entry(format!("{} {}", sent.channel, sent.kind))
                .or_default() += 1;
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(what, n)| format!("{what} {n}"))
            .collect();
        self.lines
            .push(format!("sent in all: {}", counts.join(", ")));
        let changes = self.world.simulator.changes().await;
        if !changes.is_empty() {
            self.lines.push("changed in Azure:".into());
            self.lines.extend(
                changes
                    .into_iter()
                    .map(|line| format!("    {}", plain(&line))),
            );
        }
        let told = self.lines.join("\n") + "\n";
        let path = Path::new(PROJECT)
            .join("tests/stories")
            .join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_STORIES").is_some() {
            std::fs::write(&path, &told).expect("a file");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            told,
            kept,
            "{name} is told differently from {}",
            path.display()
        );
    }
}

/// What is named anew each time is left out.
fn plain(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        let revision = word
            .split_once("--")
            .map(|(app, _)| app.to_owned() + "--(revision)");
        words.push(match revision {
            Some(app) if word.ends_with(':') => app + ":",
            Some(app) => app,
            None => word.to_owned(),
        });
    }
    words.join(" ")
}

/// One event in a line; what is only the incident's own book-keeping in none.
fn said(event: &Value) -> Option<String> {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    Some(match event["what"].as_str().unwrap_or_default() {
        "fired" => {
            let signal = &event["signal"];
            let trust = signal["trust"]["trust"].as_str().unwrap_or_default();
            let priority = signal["priority"].as_str().unwrap_or_default();
            let unsure = signal["trust"]["why"]
                .as_str()
                .map(|why| format!(" ({why})"));
            let unsure = unsure.unwrap_or_default();
            format!("fired, {priority}, {trust}{unsure}: {}", text("why"))
        }
        "telling" | "posted" => return None,
        // What telemetry says of it is held elsewhere.
        "evidence" if text("title") != "nobody on duty" => return None,
        "repair" => {
            let healthy = match event["healthy"].as_bool() {
                Some(true) => "healthy after it",
                Some(false) => "not healthy after it",
                None => "not made",
            };
            let outcome = plain(&text("outcome"));
            // Times and counts of replicas are those of the machine.
            let outcome = outcome.split(", the oldest").next().unwrap_or_default();
            format!("repair {}: {outcome}: {healthy}", text("action"))
        }
        what => format!("{what} by {}: {}", text("by"), plain(&text("reason"))),
    })
}

fn slow(condition: Condition, occurrence: &str, priority: Priority, at: DateTime<Utc>) -> Signal {
    Signal {
        key: GroupKey {
            rule: "response-time".into(),
            tenant: Some("tenant-a".into()),
            resource: None,
        },
        condition,
        priority,
        class: Class::Operations,
        title: "tenant-a is slow".into(),
        text: "p95 3.4 s, above 3 s in 5 min".into(),
        facts: vec![("p95".into(), "3.4 s".into())],
        at,
        occurrence: occurrence.into(),
        trust: Trust::Confirmed {
            how: "seen in telemetry".into(),
        },
    }
}

fn whole(estate: &str) -> String {
    estate.to_owned()
}

impl Story {
    async fn fires(&mut self, occurrence: &str, priority: Priority) -> IncidentId {
        let signal = slow(Condition::Fired, occurrence, priority, self.now);
        self.signal(&signal).await;
        let current = incidents::current(&self.app(), &signal.key).await;
        current.expect("an answer").expect("an incident").id
    }

    async fn ends_of(&mut self, occurrence: &str) {
        let signal = slow(Condition::Resolved, occurrence, Priority::Low, self.now);
        self.signal(&Signal {
            text: "p95 below 3 s again".into(),
            ..signal
        })
        .await;
    }
}

/// Each priority at three times: on a working day, at night, and on a national holiday.
#[tokio::test]
async fn each_priority_in_hours_out_of_hours_and_on_a_holiday() {
    for (time, day, next) in [
        ("in-hours", "2026-03-02 10:00", "2026-03-02 15:00"),
        ("at-night", "2026-03-03 02:00", "2026-03-03 09:00"),
        ("on-a-holiday", "2026-05-04 11:00", "2026-05-07 09:00"),
    ] {
        for priority in Priority::ALL {
            let mut story = Story::start(whole).await;
            story.at(day).fires("a", priority).await;
            for minutes in [16, 61, 241] {
                story.at(day);
                story.now += chrono::Duration::minutes(minutes);
                story.tick().await;
            }
            story.at(next).tick().await;
            story.ends_of("a").await;
            story.ends(&format!("{priority}-{time}")).await;
        }
    }
}

#[tokio::test]
async fn security_day_and_night_is_ended_by_people_only() {
    let mut story = Story::start(whole).await;
    story.at("2026-03-07 03:00");
    let violation = |condition, at| Signal {
        key: GroupKey {
            rule: "tenant-boundary".into(),
            tenant: Some("tenant-b".into()),
            resource: None,
        },
        class: Class::Security,
        title: "tenant-b: the boundary between tenants was crossed".into(),
        ..slow(condition, "once", Priority::Critical, at)
    };
    story.signal(&violation(Condition::Fired, story.now)).await;
    story.at("2026-03-07 03:31").tick().await;
    story
        .signal(&violation(Condition::Resolved, story.now))
        .await;
    let id = IncidentId::new(&violation(Condition::Fired, story.now).key, 1);
    story.at("2026-03-08 03:32").tick().await;
    story.at("2026-03-08 04:00");
    story
        .say(
            &id,
            Said::Resolve,
            "one request, answered with 403; the token was revoked",
        )
        .await;
    story.ends("security").await;
}

#[tokio::test]
async fn what_is_acknowledged_and_fires_again() {
    let mut story = Story::start(whole).await;
    let id = story
        .at("2026-03-02 10:00")
        .fires("a", Priority::High)
        .await;
    story.at("2026-03-02 10:05");
    story
        .say(&id, Said::Ack { minutes: Some(60) }, "looking at it")
        .await;
    story
        .at("2026-03-02 10:20")
        .fires("b", Priority::High)
        .await;
    story.at("2026-03-02 11:04").tick().await;
    story.at("2026-03-02 11:05").tick().await;
    story.at("2026-03-02 11:06").ends_of("a").await;
    story.at("2026-03-02 11:07").ends_of("b").await;
    story
        .at("2026-03-02 11:30")
        .fires("c", Priority::High)
        .await;
    story.at("2026-03-02 11:31").ends_of("c").await;
    story
        .at("2026-03-09 10:00")
        .fires("d", Priority::High)
        .await;
    story.ends("acknowledged-and-again").await;
}

#[tokio::test]
async fn what_was_resolved_while_the_estate_could_not_be_read_is_told_when_it_can() {
    let mut story = Story::start(whole).await;
    let id = story
        .at("2026-03-02 10:00")
        .fires("a", Priority::High)
        .await;
    let readable = story.settings.clone();
    let (name, nowhere) = ("POOLKEEPER_ESTATE", "there-is-no-such-file.toml");
    story.settings.insert(name.into(), nowhere.into());
    story.at("2026-03-02 10:05");
    story.say(&id, Said::Resolve, "it was a deployment").await;
    story.settings = readable.clone();
    story.at("2026-03-02 10:06").tick().await;
    story.settings.insert(name.into(), nowhere.into());
    story.at("2026-03-02 10:10");
    story.say(&id, Said::Reopen, "it is still slow").await;
    story.settings = readable;
    story.at("2026-03-02 10:11").tick().await;
    story.at("2026-03-02 11:10").tick().await;
    story.ends("estate-unreadable").await;
}

#[tokio::test]
async fn what_comes_and_goes() {
    let mut story = Story::start(whole).await;
    for (minute, fires) in [
        (0, true),
        (2, false),
        (4, true),
        (6, false),
        (8, true),
        (10, false),
        (12, true),
        (14, false),
        (16, true),
        (18, false),
    ] {
        story.at("2026-03-02 10:00");
        story.now += chrono::Duration::minutes(minute);
        let name = format!("o-{}", minute - minute % 4);
        if fires {
            story.fires(&name, Priority::Medium).await;
        } else {
            story.ends_of(&name).await;
        }
    }
    story.at("2026-03-02 10:34").tick().await;
    story.ends("flapping").await;
}

#[tokio::test]
async fn a_window_keeps_quiet_what_it_names_and_nothing_that_was_down_before_is_told_again() {
    let mut story = Story::start(|estate| {
        estate.replace(
            "[[windows]]\n",
            "[[windows]]\nname = \"monday\"\nwhen = \"mon 10:30-11:30\"\nmatcher = { tenant = \"tenant-a\" }\nowner = \"sre-a\"\nreason = \"a rollout\"\nuntil = \"2027-12-31\"\n\n[[windows]]\n",
        )
    })
    .await;
    story
        .at("2026-03-02 10:00")
        .fires("before", Priority::High)
        .await;
    story.at("2026-03-02 10:30").tick().await;
    let mut other = slow(Condition::Fired, "within", Priority::High, story.now);
    other.key.rule = "error-rate".into();
    other.title = "tenant-a fails".into();
    story.at("2026-03-02 10:40").signal(&other).await;
    let mut passing = other.clone();
    passing.key.rule = "availability".into();
    passing.title = "tenant-a spends its budget".into();
    passing.occurrence = "passing".into();
    story.at("2026-03-02 10:41").signal(&passing).await;
    passing.condition = Condition::Resolved;
    story.at("2026-03-02 10:50").signal(&passing).await;
    story.at("2026-03-02 11:29").tick().await;
    story.at("2026-03-02 11:30").tick().await;
    story.at("2026-03-02 12:01").tick().await;
    story.ends("window").await;
}

#[tokio::test]
async fn an_escalation_outlives_a_night_without_any_process() {
    let mut story = Story::start(whole).await;
    story
        .at("2026-03-02 17:50")
        .fires("a", Priority::High)
        .await;
    // Nothing runs for four hours: neither ticks nor processes.
    story.at("2026-03-02 21:50").tick().await;
    story.at("2026-03-02 21:51").tick().await;
    story.ends("restart").await;
}

#[tokio::test]
async fn a_channel_that_is_down_hands_over_to_the_next() {
    let mut story = Story::start(whole).await;
    let fault: Fault = serde_json::from_value(json!({
        "service": "outside", "contains": "/outside/events.pagerduty.com/", "kind": "unavailable"
    }))
    .expect("a fault");
    story.world.simulator.fault(fault);
    story
        .at("2026-03-02 10:00")
        .fires("a", Priority::High)
        .await;
    for minute in 1..=3 {
        story.at("2026-03-02 10:00");
        story.now += chrono::Duration::minutes(minute);
        story.tick().await;
    }
    story.world.simulator.clear_faults();
    story.at("2026-03-02 10:10").ends_of("a").await;
    story.at("2026-03-02 10:11").tick().await;
    story.ends("channel-down").await;
}

#[tokio::test]
async fn an_alert_that_azure_does_not_know_is_believed_by_nobody() {
    let mut story = Story::start(whole).await;
    story
        .at("2026-03-02 10:00")
        .webhook(&alert("forged", "Fired"))
        .await;
    known(&story.world, "real", "Fired").await;
    story
        .at("2026-03-02 10:01")
        .webhook(&alert("real", "Fired"))
        .await;
    // The end of the real one, claimed by somebody else, changes nothing.
    story
        .at("2026-03-02 10:02")
        .webhook(&alert("forged", "Resolved"))
        .await;
    known(&story.world, "real", "Resolved").await;
    story
        .at("2026-03-02 10:03")
        .webhook(&alert("real", "Resolved"))
        .await;
    // Only now it is certain that Azure does not merely not know of it yet.
    story.at("2026-03-02 10:09").tick().await;
    story.at("2026-03-02 10:12").tick().await;
    story.ends("forged").await;
}

#[tokio::test]
async fn a_storm_is_one_incident_with_a_list() {
    let mut story =
        Story::start(|estate| estate.replace("storm_incidents = 20", "storm_incidents = 2")).await;
    story.at("2026-03-02 10:00");
    let one = one_of_many;
    for number in 1..=6 {
        let priority = if number == 5 {
            Priority::Critical
        } else {
            Priority::Medium
        };
        story
            .signal(&one(number, Condition::Fired, priority, story.now))
            .await;
        // Said twice, it is one.
        story
            .signal(&one(number, Condition::Fired, priority, story.now))
            .await;
    }
    story.at("2026-03-02 10:20");
    for number in 1..=6 {
        story
            .signal(&one(number, Condition::Resolved, Priority::Low, story.now))
            .await;
    }
    story.at("2026-03-02 10:21").tick().await;
    let members = {
        let page = incidents::list(
            &story.app(),
            &Filter {
                text: Some("storm".into()),
                ..Filter::default()
            },
            None,
            10,
        )
        .await;
        let id = page.expect("a page").incidents[0].id.clone();
        incidents::show(&story.app(), &id)
            .await
            .expect("shown")
            .expect("a storm")
            .member_count
    };
    assert_eq!(members, 3);
    story.ends("storm").await;
}

fn one_of_many(
    number: usize,
    condition: Condition,
    priority: Priority,
    at: DateTime<Utc>,
) -> Signal {
    let mut signal = slow(condition, &format!("s-{number}"), priority, at);
    signal.key.tenant = None;
    signal.key.rule = format!("rule-{number}");
    signal.title = format!("rule {number}");
    signal
}

#[tokio::test]
async fn a_storm_that_a_person_ended_swallows_nothing_more() {
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&one).await;
    }
    story.at("2026-03-02 10:01");
    let id = IncidentId::new(&storm_of("alert-storm"), 1);
    let why = "a rule was written wrong, it is taken back";
    story.say(&id, Said::Resolve, why).await;
    story.at("2026-03-02 10:02");
    for number in 5..=7 {
        let one = one_of_many(number, Condition::Fired, Priority::High, story.now);
        story.signal(&one).await;
    }
    story.ends("storm-ended-by-a-person").await;
}

#[tokio::test]
async fn an_app_that_was_one_of_a_storm_recovers_and_the_storm_goes_on() {
    let mut story = Story::start(|estate| {
        acting(estate).replace("storm_incidents = 20", "storm_incidents = 2")
    })
    .await;
    let trouble = Trouble::new(TroubleKind::Fail { status: 503 }, Heals::Restart);
    story.at("2026-03-02 10:00").until("2026-03-02 10:01").await;
    story
        .world
        .simulator
        .app_trouble("agent-api", trouble)
        .await;
    story.until("2026-03-02 10:02").await;
    for number in 1..=3 {
        let one = one_of_many(number, Condition::Fired, Priority::Critical, story.now);
        story.signal(&one).await;
    }
    story.until("2026-03-02 10:08").await;
    story.ends("recovered-in-a-storm").await;
}

fn few(estate: &str) -> String {
    estate.replace("storm_incidents = 20", "storm_incidents = 2")
}

fn storm_of(rule: &str) -> GroupKey {
    GroupKey {
        rule: rule.into(),
        tenant: None,
        resource: None,
    }
}

fn unconfirmed(signal: Signal) -> Signal {
    Signal {
        trust: Trust::Unconfirmed {
            why: "no answer".into(),
        },
        ..signal
    }
}

impl Story {
    async fn storm(&self) -> Shown {
        let id = IncidentId::new(&storm_of("alert-storm"), 1);
        let shown = incidents::show(&self.app(), &id).await.expect("shown");
        shown.expect("a storm")
    }
}

#[tokio::test]
async fn what_becomes_worse_in_a_storm_is_told_by_itself_and_keeps_the_storm_no_longer() {
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&one).await;
    }
    story.at("2026-03-02 10:01");
    for _ in 0..2 {
        let worse = one_of_many(4, Condition::Fired, Priority::Critical, story.now);
        story.signal(&worse).await;
    }
    story.at("2026-03-02 10:40");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Resolved, Priority::Low, story.now);
        story.signal(&one).await;
    }
    story.at("2026-03-02 10:41").tick().await;
    story.ends("worse-in-a-storm").await;
}

#[tokio::test]
async fn what_begins_at_the_same_moment_is_listed_each_by_itself() {
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    let one = |number, condition, at| Signal {
        occurrence: "20260302T010000Z".into(),
        ..one_of_many(number, condition, Priority::Medium, at)
    };
    for number in 1..=5 {
        story
            .signal(&one(number, Condition::Fired, story.now))
            .await;
    }
    assert_eq!(story.storm().await.member_count, 3);
    story.at("2026-03-02 10:40");
    story.signal(&one(3, Condition::Resolved, story.now)).await;
    story.tick().await;
    let storm = story.storm().await;
    let ended = storm.members.iter().filter(|m| m.cleared.is_some()).count();
    assert_eq!((ended, storm.incident.resolved), (1, None));
}

#[tokio::test]
async fn nobody_ends_a_storm_by_ends_that_nothing_confirms() {
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&one).await;
    }
    story.at("2026-03-02 10:40");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Resolved, Priority::Low, story.now);
        story.signal(&unconfirmed(one)).await;
    }
    story.tick().await;
    let storm = story.storm().await;
    assert_eq!(storm.incident.resolved, None);
    assert!(storm.members.iter().all(|member| member.cleared.is_none()));
}

#[tokio::test]
async fn alerts_that_nothing_confirms_hide_no_storm_that_is_real() {
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&unconfirmed(one)).await;
    }
    // A day later the forged ones have not ended.
    story.at("2026-03-03 10:00");
    for number in 5..=8 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&one).await;
    }
    story.ends("storm-beside-forged-ones").await;
}

#[tokio::test]
async fn what_is_critical_in_a_storm_that_somebody_has_is_never_silent() {
    let mut story = Story::start(few).await;
    let storm = IncidentId::new(&storm_of("alert-storm"), 1);
    let minutes = Said::Ack { minutes: Some(120) };
    story.at("2026-03-02 10:00");
    for number in 1..=3 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&one).await;
    }
    story.say(&storm, minutes.clone(), "on it").await;
    story.at("2026-03-02 10:01");
    for number in 4..=6 {
        let one = one_of_many(number, Condition::Fired, Priority::Critical, story.now);
        story.signal(&one).await;
    }
    story.at("2026-03-02 10:02");
    story.say(&storm, minutes, "on it, as it is worse").await;
    for (minute, numbers) in [("10:03", 7..=10), ("10:05", 11..=14), ("10:08", 15..=18)] {
        story.at(&format!("2026-03-02 {minute}"));
        for number in numbers {
            let one = one_of_many(number, Condition::Fired, Priority::Critical, story.now);
            story.signal(&one).await;
            // A message that is doubled says nothing anew.
            story.signal(&one).await;
        }
    }
    story.ends("critical-in-a-storm").await;
}

#[tokio::test]
async fn a_storm_outlives_a_process_that_died_over_one_of_it() {
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&one).await;
    }
    let id = IncidentId::new(&storm_of("alert-storm"), 1);
    let (members, open) = (
        format!("incident-members/{id}/"),
        format!("incident-members-open/{id}/"),
    );
    let app = story.app();
    let store = app.store().expect("a store");
    let names = store.list_all(&members).await.expect("names");
    assert_eq!(names.len(), 2);
    // One died between the name of what has not ended and the member: it is one of the storm.
    store.delete(&names[0]).await.expect("deleted");
    story.at("2026-03-02 10:40").tick().await;
    let storm = story.storm().await;
    assert_eq!((storm.member_count, storm.incident.resolved), (2, None));
    // Its end may come before anybody looked.
    store.delete(&names[0]).await.expect("deleted");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Resolved, Priority::Low, story.now);
        story.signal(&one).await;
    }
    let storm = story.storm().await;
    assert!(storm.members.iter().all(|member| member.cleared.is_some()));
    // One died between an end and the name of what has not ended: the name is found, and goes.
    let left = store.list_all(&open).await.expect("names");
    assert_eq!(left, Vec::<String>::new());
    let stale = names[0].replace("incident-members/", "incident-members-open/");
    let nothing = || bytes::Bytes::from_static(b"{}");
    store.create_bytes(&stale, nothing()).await.expect("made");
    story.at("2026-03-02 10:41").tick().await;
    let left = store.list_all(&open).await.expect("names");
    assert_eq!(left, Vec::<String>::new());
    assert!(story.storm().await.incident.resolved.is_some());
}

#[tokio::test]
async fn many_processes_at_the_gate_at_once_count_each_once() {
    let few = |estate: &str| estate.replace("storm_incidents = 20", "storm_incidents = 5");
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    let (now, settings) = (story.now, story.settings.clone());
    let tasks = (0..60).map(|number| {
        // Each said twice.
        let one = one_of_many(number / 2, Condition::Fired, Priority::Medium, now);
        let settings = settings.clone();
        tokio::spawn(async move {
            let app = World::app_with(&settings, Clock::Fixed(now));
            incidents::take(&app, &one).await.expect("taken")
        })
    });
    futures::future::join_all(tasks.collect::<Vec<_>>()).await;
    let page = incidents::list(&story.app(), &Filter::default(), None, 500).await;
    let found = page.expect("a page").incidents;
    assert_eq!(found.len(), 5 + 1, "told");
    // Of two deliveries at the same moment one may be told and the other listed: none is lost.
    let listed = story.storm().await.members;
    let listed = listed.iter().map(|member| member.signal.key.rule.clone());
    let mut all: BTreeSet<String> = listed.collect();
    assert!(all.len() >= 25, "{} listed", all.len());
    all.extend(found.iter().map(|incident| incident.key.rule.clone()));
    assert_eq!(all.len(), 30 + 1);
}

#[tokio::test]
async fn what_a_person_opened_again_of_a_storm_is_ended_by_nobody_else() {
    let mut story = Story::start(few).await;
    story.at("2026-03-02 10:00");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Fired, Priority::Medium, story.now);
        story.signal(&one).await;
    }
    let id = IncidentId::new(&storm_of("alert-storm"), 1);
    story.say(&id, Said::Resolve, "it is over").await;
    story.say(&id, Said::Reopen, "it is not").await;
    story.at("2026-03-02 10:40");
    for number in 1..=4 {
        let one = one_of_many(number, Condition::Resolved, Priority::Low, story.now);
        story.signal(&one).await;
    }
    story.tick().await;
    assert_eq!(story.storm().await.incident.resolved, None);
}

fn acting(estate: &str) -> String {
    estate
        .replace("mode = \"propose\"", "mode = \"act\"")
        .replace("cooldown = \"30m\"", "cooldown = \"0m\"")
}

#[tokio::test]
async fn an_app_that_fails_is_repaired_by_what_helps() {
    for (name, heals) in [
        ("restart", Heals::Restart),
        ("flush", Heals::Flush),
        ("scale-up", Heals::Scale { replicas: 3 }),
        ("nothing", Heals::Never),
    ] {
        let mut story = Story::start(acting).await;
        let trouble = Trouble::new(TroubleKind::Fail { status: 503 }, heals);
        story.at("2026-03-02 10:00").until("2026-03-02 10:01").await;
        story
            .world
            .simulator
            .app_trouble("agent-api", trouble)
            .await;
        story.until("2026-03-02 10:20").await;
        story.ends(&format!("repaired-by-{name}")).await;
    }
}

#[tokio::test]
async fn when_everything_fails_at_once_nothing_is_restarted() {
    let mut story = Story::start(acting).await;
    story.at("2026-03-02 10:00").until("2026-03-02 10:01").await;
    for app in ["agent-api", "agent-worker"] {
        let trouble = Trouble::new(TroubleKind::Fail { status: 503 }, Heals::Never);
        story.world.simulator.app_trouble(app, trouble).await;
    }
    story.until("2026-03-02 10:08").await;
    story.ends("everything-fails").await;
    let _ = OPERATOR;
}
