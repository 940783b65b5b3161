//! What the pages show, and what nothing on them can become.

use poolkeeper::app::Clock;
use poolkeeper::domain::{IncidentEvent, Priority};
use poolkeeper::operations::incidents::happened;
use serde_json::json;

use super::{Browser, noon, open, open_at, signal};
use crate::changes::{say, worked};
use crate::world::{OPERATOR, REVIEWER, World};

#[tokio::test]
async fn whatever_stands_in_an_incident_is_text_on_its_pages() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let titles = [
        "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>".to_owned(),
        "\u{202e}drowssap ruoy \u{5d0}\u{5d1}".to_owned(),
        "🔥 応答時間".to_owned(),
        "長い <b>".repeat(1200),
    ];
    for (number, title) in titles.iter().enumerate() {
        let mut hostile = signal(
            &format!("rule-{number}<i>"),
            "tenant-a",
            Priority::Low,
            title,
        );
        hostile.text.clone_from(title);
        hostile.facts = vec![("<u>name</u>".into(), "<s>value</s>\" onload=\"x".into())];
        let id = open(&world, &hostile).await;
        let place = format!("{base}/api/incidents/{id}/comment");
        let comment = json!({ "reason": "</bdi></div><form action=https://evil.example>" });
        let (status, _) = world.post_as(OPERATOR, place, &comment).await;
        assert_eq!(status, 200);
        let browser = Browser::new(&base);
        for path in [
            format!("/api/incidents/{id}"),
            "/api/incidents?refresh=0".into(),
        ] {
            let page = browser.get(&path).await;
            assert_eq!(page.status, 200);
            for tag in [
                "<script",
                "<img",
                "<b>",
                "<i>",
                "<u>",
                "<s>",
                "<form action=https",
                "\" onload=",
            ] {
                assert!(!page.text.contains(tag), "{tag} in {path}: {}", page.text);
            }
            let policy = page.headers["content-security-policy"]
                .to_str()
                .expect("text");
            assert!(
                policy.starts_with("default-src 'none'; style-src 'sha256-"),
                "{policy}"
            );
            assert!(
                !policy.contains("unsafe") && !policy.contains("script"),
                "{policy}"
            );
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert_eq!(page.headers["referrer-policy"], "no-referrer");
            assert_eq!(page.headers["cache-control"], "no-store");
            assert!(page.text.contains("<html lang=\"en\">"));
        }
    }
    // What is shown is all of it, each turn of direction shut in.
    let browser = Browser::new(&base);
    let list = browser.get("/api/incidents").await.text;
    assert!(list.contains("<bdi>\u{202e}drowssap"), "{list}");
    assert!(list.contains("🔥 応答時間"));
    let query = "/api/incidents?text=%22%3E%3Cscript%3E&tenant=%3Cimg&refresh=0";
    let page = browser.get(query).await;
    assert!(
        !page.text.contains("<script") && !page.text.contains("<img"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn the_page_tells_what_was_found_and_tried_and_whether_a_change_was_read_back() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let slow = signal("p95", "tenant-a", Priority::High, "slow");
    let id = open_at(&world, Clock::System, &slow).await;
    let wish = json!({
        "ask": { "kind": "cosmos_throughput", "resource": "cosmos-agents-jpe/agents/threads", "to": { "manual": 1200 } },
        "why": "busy since noon",
    });
    let (_, answer) = world
        .post_as(REVIEWER, format!("{base}/api/changes"), &wish)
        .await;
    let run = worked(&world, &base, &answer).await;
    let change = run["changes"][0].clone();
    let name = run["id"].as_str().expect("a run").to_owned();
    let tried = |outcome: &str, healthy| IncidentEvent::Repair {
        action: "more throughput".into(),
        run: name.clone(),
        change: Some(
            change["id"]
                .as_str()
                .expect("an id")
                .parse()
                .expect("an id"),
        ),
        outcome: outcome.into(),
        healthy,
    };
    let app = world.app(Clock::System);
    let found = IncidentEvent::Evidence {
        by: "poolkeeper/rules".into(),
        title: "429s of one container".into(),
        text: "threads is at its limit".into(),
        facts: vec![("throttled".into(), "38 %".into())],
    };
    happened(&app, &id, found).await.expect("written");
    happened(&app, &id, tried("proposed", None))
        .await
        .expect("written");
    let page = Browser::new(&base)
        .get(&format!("/api/incidents/{id}"))
        .await;
    for part in [
        "nothing was measured after it",
        "not made: waits for an approval",
        "<dt>before</dt><dd><bdi>1000 RU/s</bdi>",
        "<dt>after</dt><dd><bdi>1200 RU/s</bdi>",
        "429s of one container",
        "38 %",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let (status, answer) = say(&world, &base, OPERATOR, &change, "approve").await;
    assert_eq!(status, 202, "{answer}");
    worked(&world, &base, &answer).await;
    happened(&app, &id, tried("made", Some(true)))
        .await
        .expect("written");
    let page = Browser::new(&base)
        .get(&format!("/api/incidents/{id}"))
        .await;
    for part in [
        "healthy after it",
        "yes, read back as 1200 RU/s",
        "Who was told",
        "paged through",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    // No contact of anybody stands on the page.
    assert!(!page.text.contains("@example"), "{}", page.text);
}

#[tokio::test]
async fn the_page_of_a_storm_lists_what_it_swallowed() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let most = crate::world::estate().incidents.storm_incidents;
    let mut storm = None;
    for number in 0..most + 2 {
        let rule = format!("rule-{number}");
        let title = format!("<b>trouble {number}</b>");
        let one = signal(&rule, "tenant-a", Priority::Medium, &title);
        storm = Some(open(&world, &one).await);
    }
    let storm = storm.expect("an incident");
    let page = Browser::new(&base)
        .get(&format!("/api/incidents/{storm}"))
        .await;
    assert!(
        page.text.contains("Swallowed by this storm: 2"),
        "{}",
        page.text
    );
    for number in [most, most + 1] {
        let title = format!("<bdi>&#60;b&#62;trouble {number}&#60;/b&#62;</bdi>");
        assert!(page.text.contains(&title), "{title}: {}", page.text);
    }
    assert!(!page.text.contains("<b>"));
}

#[tokio::test]
async fn an_incident_says_who_is_told_next_and_leads_to_who_is_on_call_and_back() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let shown = world.get(format!("{base}/api/incidents/{id}")).await;
    let who = shown["toldNext"]["who"][0]
        .as_str()
        .expect("somebody")
        .to_owned();
    assert_eq!(shown["toldNext"]["at"], shown["next"], "{shown}");
    let browser = Browser::new(&base);
    let page = browser.get(&format!("/api/incidents/{id}")).await;
    let said = format!("{who} is told (");
    assert!(page.text.contains(&said), "{said}: {}", page.text);
    assert!(page.text.contains("unless somebody acknowledges it."));
    assert!(page.text.contains("href=\"/api/oncall\""));
    let duty = browser.get("/api/oncall").await;
    assert_eq!(duty.status, 200);
    assert!(
        duty.text.contains("href=\"/api/incidents\""),
        "{}",
        duty.text
    );
    let roster = world.get(format!("{base}/api/oncall")).await;
    for level in roster["levels"].as_array().expect("levels") {
        let name = level["level"].as_str().expect("a name");
        assert!(duty.text.contains(name), "{name}: {}", duty.text);
        if let Some(person) = level["reached"]["person"].as_str() {
            assert!(duty.text.contains(person), "{person}: {}", duty.text);
        }
    }
    // And when that time has come, they are who is told.
    let then: chrono::DateTime<chrono::Utc> = shown["next"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time");
    let app = world.app(Clock::Fixed(then));
    poolkeeper::operations::incidents::tick(&app, std::time::Duration::from_secs(60))
        .await
        .expect("a tick");
    let base = world.handler(Clock::Fixed(then)).await;
    let shown = world.get(format!("{base}/api/incidents/{id}")).await;
    let told = shown["told"].as_array().expect("a list");
    assert!(
        told.iter().any(|one| one["recipient"] == who.as_str()),
        "{shown}"
    );
    assert!(shown["toldNext"]["at"].as_str() > Some(then.to_rfc3339().as_str()));
}
