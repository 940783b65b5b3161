//! A handler that is killed while it tells people, and what the next one makes of it.

use std::time::Duration;

use poolkeeper::local::simulator::{Fault, FaultKind, Sent};
use serde_json::Value;

use crate::alerts::{alert, known};
use crate::processes::{host, kill, run_by_hand, until};
use crate::world::World;

const SOON: Duration = Duration::from_secs(60);

/// What a channel of this kind got that the incident named so is about.
fn to<'s>(sent: &'s [Sent], channel: &str, kinds: &[&str]) -> Vec<&'s Sent> {
    let fits = |one: &&Sent| one.channel == channel && kinds.contains(&one.kind.as_str());
    sent.iter().filter(fits).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_killed_when_a_channel_has_a_notice_tells_it_again_by_the_same_key_and_opens_no_second_ticket()
 {
    let world = World::start().await;
    // Both take what they are given, and are silent about it until after the end of the handler.
    for place in ["events.pagerduty.com", "service-now.com/api/now/table"] {
        world.simulator.fault(Fault {
            kind: FaultKind::LateAnswer { ms: 600_000 },
            method: Some("POST".into()),
            contains: Some(place.into()),
            service: None,
            times: Some(1),
        });
    }
    let host = host(world.settings()).await;
    known(&world, "unheard", "Fired").await;
    let (status, answer) = world
        .post(
            format!("{}/api/alerts", host.url()),
            &alert("unheard", "Fired"),
        )
        .await;
    assert_eq!(status, 202, "{answer}");
    until("both have it", SOON, || async {
        let sent = world.simulator.sent().await;
        let both = !to(&sent, "pagerduty", &["trigger"]).is_empty()
            && !to(&sent, "servicenow", &["create"]).is_empty();
        both.then_some(())
    })
    .await;
    let pid = host.handler_pid().expect("a process");
    kill(pid);
    // Nobody said that it was handed over: it still waits.
    let app = world.app(poolkeeper::app::Clock::System);
    let (_, waiting) = poolkeeper::notify::pending(&app).await.expect("what waits");
    assert!(waiting >= 2, "{waiting} wait");
    // What the dead one holds runs out.
    world.simulator.advance(Duration::from_secs(90));
    until("a new process", SOON, || async {
        host.handler_pid().filter(|new| *new != pid)
    })
    .await;
    host.ready(SOON).await.expect("a handler");
    until("all is told", Duration::from_secs(120), || async {
        run_by_hand(&world, &host, "minute-tick").await;
        let (_, waiting) = poolkeeper::notify::pending(&app).await.expect("what waits");
        (waiting == 0).then_some(())
    })
    .await;

    let sent = world.simulator.sent().await;
    let pages = to(&sent, "pagerduty", &["trigger"]);
    assert_eq!(
        pages.len(),
        2,
        "told again, and not a third time: {pages:#?}"
    );
    let key = |page: &Sent| page.body["dedup_key"].as_str().map(str::to_owned);
    assert!(key(pages[0]).is_some_and(|key| key.starts_with("inc-")));
    assert_eq!(key(pages[0]), key(pages[1]), "PagerDuty makes one of both");

    let tickets = world.simulator.tickets().await;
    let of = |system: &str| tickets.iter().filter(|t| t.system == system).count();
    assert_eq!((of("pagerduty"), of("servicenow")), (1, 1), "{tickets:#?}");
    let notes: Vec<(&str, &Value)> = to(&sent, "servicenow", &["create", "update"])
        .iter()
        .map(|one| (one.kind.as_str(), &one.body["work_notes"]))
        .collect();
    // It was looked up before it was made: the second time there is one, and it is noted there.
    assert_eq!(notes[0], ("create", &Value::Null));
    let more: Vec<&str> = notes[1..].iter().map(|(kind, _)| *kind).collect();
    assert!(!more.is_empty(), "the second try came to nothing");
    assert!(more.iter().all(|kind| *kind == "update"), "{more:?}");
    let noted = notes[1].1.as_str().unwrap_or_default();
    assert!(noted.starts_with("Open: "), "{noted}");
}
