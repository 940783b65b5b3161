//! Channels that fail, are slow, or ask for patience.

use std::sync::Arc;
use std::time::Duration;

use poolkeeper::domain::{Act, Priority};
use poolkeeper::notify::{self, Outcome, ToldState};
use tokio::sync::Notify;

use super::outside::Trouble;
use super::{PAGER, Scene, TICKETS, incident, notice};
use crate::processes::until;

const CHAT: &str = "example.logic.azure.com";

#[tokio::test]
async fn a_dead_channel_hands_over_to_the_next_within_two_minutes() {
    let scene = Scene::new().await;
    scene.outside.always(PAGER, Trouble::status(503));
    let app = scene.at(0);
    let opened = notice(1, "opened.0", Act::Trigger, &["pager", "chat"]);
    notify::post(&app, &opened).await.expect("posted");
    notify::deliver(&app, &incident(1)).await.expect("done");
    assert_eq!(scene.tick(60).await.delivered, 0);
    assert!(scene.outside.came(CHAT).is_empty());
    let done = scene.tick(120).await;
    assert_eq!((done.delivered, done.handed_over), (1, 1), "{done:?}");
    assert_eq!(scene.outside.came(CHAT).len(), 1);
    assert_eq!(scene.outside.came(PAGER).len(), 2);
    let told = scene.told(1).await;
    assert_eq!(told[0].channel, "chat");
    let outcomes: Vec<Outcome> = told[0].attempts.iter().map(|a| a.outcome).collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Failed,
            Outcome::Failed,
            Outcome::HandedOver,
            Outcome::Taken
        ]
    );
    assert_eq!(told[0].attempts[0].said, "status 503");
    // Whoever heard of the beginning hears of the end, and so does the pager, which may have heard.
    scene.outside.heal(PAGER);
    let app = scene.at(300);
    let resolved = notice(1, "resolved.0", Act::Resolve, &["pager", "chat"]);
    notify::post(&app, &resolved).await.expect("posted");
    notify::deliver(&app, &incident(1)).await.expect("done");
    scene.tick(360).await;
    let pages = scene.outside.seen(PAGER, "event_action");
    assert_eq!(pages.last().map(String::as_str), Some("resolve"));
    assert_eq!(scene.outside.came(CHAT).len(), 2);
    assert!(scene.outside.came(CHAT)[1].body.contains("Resolved"));
}

#[tokio::test]
async fn what_is_refused_for_good_is_handed_over_at_once() {
    let scene = Scene::new().await;
    for (number, status) in [(1, 400), (2, 403), (3, 301), (4, 422)] {
        let headers = vec![("location", "https://evil.example.com/".to_owned())];
        let refusal = r#"{"message":"no such key"}"#.to_owned();
        scene
            .outside
            .next(PAGER, Trouble::Answer(status, headers, refusal));
        let app = scene.at(0);
        let opened = notice(number, "opened.0", Act::Trigger, &["pager", "chat"]);
        notify::post(&app, &opened).await.expect("posted");
        let done = notify::deliver(&app, &incident(number))
            .await
            .expect("done");
        assert_eq!((done.delivered, done.handed_over), (1, 1), "{status}");
        let told = scene.told(number).await;
        assert_eq!(told[0].attempts[0].outcome, Outcome::Refused, "{status}");
        assert!(
            told[0].attempts[0]
                .said
                .starts_with(&format!("status {status}"))
        );
    }
    assert!(scene.outside.came("evil.example.com").is_empty());
    assert_eq!(scene.outside.came(PAGER).len(), 4);
}

#[tokio::test]
async fn a_channel_is_left_alone_for_as_long_as_it_asks() {
    let scene = Scene::new().await;
    let app = scene.at(0);
    let busy = vec![("retry-after", "30".to_owned())];
    scene
        .outside
        .next(PAGER, Trouble::Answer(429, busy, String::new()));
    notify::post(&app, &notice(1, "opened.0", Act::Trigger, &["pager"]))
        .await
        .expect("posted");
    notify::deliver(&app, &incident(1)).await.expect("done");
    // Another incident does not try either.
    notify::post(&app, &notice(2, "opened.0", Act::Trigger, &["pager"]))
        .await
        .expect("posted");
    notify::deliver(&app, &incident(2)).await.expect("done");
    assert_eq!(scene.tick(20).await.waiting, 2);
    assert_eq!(scene.outside.came(PAGER).len(), 1);
    let done = scene.tick(31).await;
    assert_eq!((done.delivered, done.waiting), (2, 0));
    // Until a date.
    let busy = vec![("retry-after", "Mon, 02 Mar 2026 12:02:00 GMT".to_owned())];
    scene
        .outside
        .next(PAGER, Trouble::Answer(429, busy, String::new()));
    let app = scene.at(60);
    notify::post(&app, &notice(3, "opened.0", Act::Trigger, &["pager"]))
        .await
        .expect("posted");
    notify::deliver(&app, &incident(3)).await.expect("done");
    assert_eq!(scene.tick(110).await.delivered, 0);
    assert_eq!(scene.tick(121).await.delivered, 1);
}

#[tokio::test]
async fn after_five_failures_nobody_tries_and_one_looks_again_a_minute_later() {
    let scene = Scene::new().await;
    scene.outside.always(PAGER, Trouble::status(500));
    let app = scene.at(0);
    for number in 1..=7 {
        notify::post(
            &app,
            &notice(number, "opened.0", Act::Trigger, &["pager", "chat"]),
        )
        .await
        .expect("posted");
        notify::deliver(&app, &incident(number))
            .await
            .expect("done");
    }
    assert_eq!(scene.outside.came(PAGER).len(), 5);
    // The fifth found it open after its own failure, those after it before they tried.
    assert_eq!(scene.outside.came(CHAT).len(), 3);
    let told = scene.told(7).await;
    assert_eq!(told[0].attempts[0].outcome, Outcome::HandedOver);
    // A minute later one of the four that wait looks.
    let app = scene.at(61);
    notify::post(
        &app,
        &notice(8, "opened.0", Act::Trigger, &["pager", "chat"]),
    )
    .await
    .expect("posted");
    let done = notify::deliver(&app, &incident(8)).await.expect("done");
    assert_eq!(done.delivered, 1);
    assert_eq!(scene.outside.came(PAGER).len(), 6);
    scene.outside.heal(PAGER);
    let app = scene.at(130);
    notify::post(
        &app,
        &notice(9, "opened.0", Act::Trigger, &["pager", "chat"]),
    )
    .await
    .expect("posted");
    notify::deliver(&app, &incident(9)).await.expect("done");
    notify::post(
        &app,
        &notice(10, "opened.0", Act::Trigger, &["pager", "chat"]),
    )
    .await
    .expect("posted");
    notify::deliver(&app, &incident(10)).await.expect("done");
    assert_eq!(scene.told(9).await[0].channel, "pager");
    assert_eq!(scene.told(10).await[0].channel, "pager");
}

#[tokio::test]
async fn when_all_fail_nothing_is_lost_and_it_is_told() {
    let scene = Scene::new().await;
    for host in [PAGER, "smtp"] {
        scene.outside.always(host, Trouble::status(400));
    }
    let app = scene.at(0);
    notify::post(&app, &notice(1, "opened.0", Act::Trigger, &["pager"]))
        .await
        .expect("posted");
    notify::post(&app, &notice(1, "resolved.0", Act::Resolve, &["pager"]))
        .await
        .expect("posted");
    let mut findings = 0;
    for minute in 0..12 {
        let done = scene.tick(minute * 60).await;
        assert_eq!(done.delivered, 0);
        findings += done.findings.len();
        if minute > 0 {
            assert_eq!(done.findings[0].code, "notice-undelivered", "{minute}");
        }
    }
    assert!(findings > 0);
    let (waiting, _) = notify::pending(&app).await.expect("pending");
    assert!(
        waiting
            .iter()
            .any(|w| w.notice == "opened.0" && w.rounds > 1),
        "{waiting:?}"
    );
    for host in [PAGER, "smtp"] {
        scene.outside.heal(host);
    }
    for minute in 0..8 {
        scene.tick(720 + minute * 60).await;
    }
    let told = scene.told(1).await;
    let delivered = |t: &notify::Told| matches!(t.state, ToldState::Delivered { .. });
    assert!(
        told.iter()
            .all(|t| delivered(t) || t.state == ToldState::Overtaken),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|t| t.notice == "resolved.0" && delivered(t)),
        "{told:?}"
    );
    assert_eq!(notify::pending(&app).await.expect("pending").1, 0);
}

#[tokio::test]
async fn updates_of_a_channel_that_is_down_are_merged() {
    let scene = Scene::new().await;
    scene.outside.always(TICKETS, Trouble::status(500));
    let app = scene.at(0);
    let of = |id: &str, act: Act| {
        let mut notice = notice(1, id, act, &["tickets"]);
        // Patient, so that the channel keeps it.
        notice.message.priority = Priority::Low;
        notice
    };
    notify::post(&app, &of("opened.0", Act::Trigger))
        .await
        .expect("posted");
    for n in 0..60 {
        notify::post(&app, &of(&format!("update-{n}.0"), Act::Update))
            .await
            .expect("posted");
    }
    notify::post(&app, &of("resolved.0", Act::Resolve))
        .await
        .expect("posted");
    notify::deliver(&app, &incident(1)).await.expect("done");
    assert_eq!(notify::pending(&app).await.expect("pending").1, 50);
    scene.outside.heal(TICKETS);
    let done = scene.tick(60).await;
    assert_eq!((done.delivered, done.waiting), (50, 0), "{done:?}");
    let notes: Vec<_> = scene
        .outside
        .came(TICKETS)
        .into_iter()
        .filter(|came| came.method == "PATCH")
        .collect();
    assert_eq!(notes.len(), 49);
    let text = notes[0].json()["work_notes"].to_string();
    assert!(
        text.contains("12 updates before this one were not sent"),
        "{text}"
    );
    assert_eq!(notes[48].json()["state"], "6");
    let merged = scene
        .told(1)
        .await
        .into_iter()
        .filter(|t| t.state == ToldState::Merged)
        .count();
    assert_eq!(merged, 12);
}

#[tokio::test]
async fn a_slow_channel_delays_no_other() {
    let scene = Scene::new().await;
    let release = Arc::new(Notify::new());
    scene
        .outside
        .next(PAGER, Trouble::Waits(Arc::clone(&release)));
    let app = scene.at(0);
    notify::post(&app, &notice(1, "opened.0", Act::Trigger, &["pager"]))
        .await
        .expect("posted");
    for number in 2..=6 {
        notify::post(&app, &notice(number, "opened.0", Act::Trigger, &["chat"]))
            .await
            .expect("posted");
    }
    let drain = notify::drain(&app, Duration::from_secs(30));
    let others = async {
        until("the others are told", Duration::from_secs(8), || async {
            (scene.outside.came(CHAT).len() == 5).then_some(())
        })
        .await;
        release.notify_one();
    };
    let (done, ()) = tokio::join!(drain, others);
    assert_eq!(done.expect("drained").delivered, 6);
}

#[tokio::test]
async fn an_update_pages_only_when_it_matters_more() {
    let scene = Scene::new().await;
    let app = scene.at(0);
    let of = |id: &str, act: Act, priority: Priority| {
        let mut notice = notice(1, id, act, &["pager"]);
        notice.message.priority = priority;
        notice
    };
    for notice in [
        of("opened.0", Act::Trigger, Priority::Medium),
        of("update-1.0", Act::Update, Priority::Medium),
        of("update-2.0", Act::Update, Priority::Critical),
        of("update-3.0", Act::Update, Priority::High),
        of("resolved.0", Act::Resolve, Priority::Critical),
    ] {
        notify::post(&app, &notice).await.expect("posted");
    }
    notify::deliver(&app, &incident(1)).await.expect("done");
    assert_eq!(
        scene.outside.seen(PAGER, "event_action"),
        ["trigger", "trigger", "resolve"]
    );
    let severity = &scene.outside.came(PAGER)[1].json()["payload"]["severity"];
    assert_eq!(severity, "critical");
    let keys = scene.outside.seen(PAGER, "dedup_key");
    assert!(keys.iter().all(|key| *key == incident(1).to_string()));
}
