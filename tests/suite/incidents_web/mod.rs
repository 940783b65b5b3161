//! Incidents as people see them and act on them: JSON, pages, forms, commands.

mod browser;
mod forms;
mod keyboard;
mod pages;

use chrono::{DateTime, Utc};
use poolkeeper::app::Clock;
use poolkeeper::domain::{Class, Condition, GroupKey, IncidentId, Priority, Signal, Trust};
use poolkeeper::operations::incidents::take;
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::world::{OPERATOR, REVIEWER, World};

const NOON: &str = "2026-03-02T03:00:00Z";

fn noon() -> DateTime<Utc> {
    NOON.parse().expect("a time")
}

/// A signal of a rule about a tenant.
fn signal(rule: &str, tenant: &str, priority: Priority, title: &str) -> Signal {
    Signal {
        key: GroupKey {
            rule: rule.into(),
            tenant: Some(tenant.into()),
            resource: None,
        },
        condition: Condition::Fired,
        priority,
        class: Class::Operations,
        title: title.into(),
        text: "What is known of it.".into(),
        facts: vec![("p95".into(), "3.4 s".into())],
        at: noon(),
        occurrence: format!("{rule}-{tenant}"),
        trust: Trust::Confirmed {
            how: "seen in telemetry".into(),
        },
    }
}

async fn open(world: &World, signal: &Signal) -> IncidentId {
    open_at(world, Clock::Fixed(noon()), signal).await
}

async fn open_at(world: &World, clock: Clock, signal: &Signal) -> IncidentId {
    let app = world.app(clock);
    let taken = take(&app, signal).await.expect("taken");
    taken.incident.expect("an incident")
}

/// A browser, as far as one is a client of HTTP: it goes nowhere by itself here.
struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

/// What a page was answered with.
struct Answer {
    status: u16,
    place: String,
    cookie: String,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Browser {
    fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none());
        Self {
            http: http.build().expect("a client"),
            base: base.to_owned(),
            cookie: String::new(),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request
            .header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
            .header(COOKIE, &self.cookie)
            .send()
            .await
            .expect("an answer");
        let header = |name| {
            let value = answer.headers().get(name);
            value.map_or(String::new(), |v| v.to_str().expect("text").to_owned())
        };
        Answer {
            status: answer.status().as_u16(),
            place: header(LOCATION),
            cookie: header(SET_COOKIE),
            headers: answer.headers().clone(),
            text: answer.text().await.expect("a text"),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        self.http
            .post(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.finish())
    }

    /// Sends a form as a page from here does.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.form(path, fields);
        self.send(
            form.header("sec-fetch-site", "same-origin")
                .header(ORIGIN, "null"),
        )
        .await
    }

    async fn sign_in(&mut self, key: &str, back: &str) -> Answer {
        let answer = self
            .post("/api/incidents/sign-in", &[("key", key), ("back", back)])
            .await;
        let cookie = answer.cookie.split(';').next().unwrap_or_default();
        self.cookie = cookie.to_owned();
        answer
    }
}

/// What the forms of a page carry.
fn token(page: &str) -> &str {
    let (_, rest) = page
        .split_once("name=\"token\" value=\"")
        .expect("a form with a token");
    rest.split('"').next().expect("its end")
}

async fn status_of(world: &World, base: &str, id: &IncidentId) -> Value {
    let shown = world.get(format!("{base}/api/incidents/{id}")).await;
    shown["statusNow"].clone()
}

#[tokio::test]
async fn the_list_is_filtered_and_says_what_is_no_filter() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let slow = open(
        &world,
        &signal("p95", "tenant-a", Priority::High, "応答が遅い"),
    )
    .await;
    let errors = open(
        &world,
        &signal("errors", "tenant-b", Priority::Critical, "Errors"),
    )
    .await;
    let place = format!("{base}/api/incidents/{errors}/ack");
    let (status, answer) = world
        .post_as(OPERATOR, place, &json!({ "minutes": 5 }))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["acknowledgement"]["by"], "operator");
    for (query, expected) in [
        ("", vec![&errors, &slow]),
        ("?status=open", vec![&slow]),
        ("?status=open,acknowledged", vec![&errors, &slow]),
        ("?status=resolved", vec![]),
        ("?priority=critical", vec![&errors]),
        ("?tenant=tenant-a", vec![&slow]),
        ("?text=%E5%BF%9C%E7%AD%94", vec![&slow]),
        ("?text=ERR", vec![&errors]),
        ("?status=&priority=&tenant=&text=", vec![&errors, &slow]),
    ] {
        let listed = world.get(format!("{base}/api/incidents{query}")).await;
        let mut ids: Vec<&str> = listed["incidents"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        let mut expected: Vec<&str> = expected.into_iter().map(IncidentId::as_str).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected, "{query}: {listed}");
    }
    for (query, part) in [
        (
            "?status=closed",
            "`closed` is no status: open, acknowledged",
        ),
        ("?priority=urgent", "`urgent` is no priority"),
        ("?most=many", "`most` is a number"),
    ] {
        let url = format!("{base}/api/incidents{query}");
        let answer = world.http.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{query}");
        let why: Value = answer.json().await.expect("JSON");
        let why = why["error"].as_str().expect("a reason");
        assert!(why.contains(part), "{query}: {why}");
    }
    let browser = Browser::new(&base);
    let page = browser.get("/api/incidents").await;
    assert_eq!(page.status, 200);
    let first = page.text.find(slow.as_str()).expect("the open one");
    let second = page.text.find(errors.as_str()).expect("the other");
    assert!(first < second, "what nobody has comes first");
    assert!(
        page.text.contains("operator has it until 12:05"),
        "{}",
        page.text
    );
    assert!(page.text.contains("http-equiv=\"refresh\""));
    let page = browser
        .get("/api/incidents?refresh=0&status=resolved")
        .await;
    assert!(!page.text.contains("http-equiv=\"refresh\""));
    assert!(!page.text.contains(slow.as_str()));
}

#[tokio::test]
async fn an_incident_is_acknowledged_escalated_and_ended_by_somebody_who_is_known() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let place = |action: &str| format!("{base}/api/incidents/{id}/{action}");
    let (status, answer) = world.post(place("ack"), &json!({})).await;
    assert_eq!(status, 401, "{answer}");
    let (status, _) = world.post_as("nobody", place("ack"), &json!({})).await;
    assert_eq!(status, 401);
    let because = json!({ "reason": "because" });
    for (action, body, status, part) in [
        ("unack", json!({}), 409, "nobody has it"),
        ("reopen", because.clone(), 409, "it is not over"),
        ("resolve", json!({ "reason": " " }), 400, "needs a reason"),
        ("comment", json!({}), 400, "a comment needs a reason"),
        ("ack", json!({ "minutes": 100_000 }), 400, "minutes at most"),
        ("ack", json!({ "minutes": 0 }), 400, "minutes are 1 or more"),
        (
            "ack",
            json!({ "level": "L2" }),
            400,
            "`level` goes with escalate only",
        ),
        (
            "resolve",
            json!({ "reason": "x", "minutes": 3 }),
            400,
            "`minutes` goes with ack only",
        ),
        (
            "ack",
            json!({ "by": "reviewer" }),
            400,
            "unknown field `by`",
        ),
        (
            "escalate",
            json!({ "reason": "x", "level": "L9" }),
            400,
            "`L9` is no level",
        ),
        ("delete", because.clone(), 404, "there is no such action"),
        (
            "comment",
            json!({ "reason": "x".repeat(4001) }),
            400,
            "longer than 4000",
        ),
    ] {
        let (code, answer) = world.post_as(OPERATOR, place(action), &body).await;
        assert_eq!(code, status, "{action} {body}: {answer}");
        let why = answer["error"].as_str().expect("a reason");
        assert!(why.contains(part), "{action} {body}: {why}");
    }
    for id in ["inc-0123456789ab-1", "inc-0123456789ab-01", "x"] {
        let place = format!("{base}/api/incidents/{id}/ack");
        let (status, answer) = world.post_as(OPERATOR, place, &json!({})).await;
        assert_eq!(status, 404, "{id}: {answer}");
    }
    for (action, body, then) in [
        ("ack", json!({}), "acknowledged"),
        ("unack", json!({}), "open"),
        (
            "ack",
            json!({ "reason": "on it", "minutes": 10 }),
            "acknowledged",
        ),
        ("comment", because.clone(), "acknowledged"),
        (
            "escalate",
            json!({ "reason": "help", "level": "L2" }),
            "acknowledged",
        ),
        ("mitigate", because.clone(), "mitigated"),
        ("resolve", because.clone(), "resolved"),
        ("reopen", because.clone(), "open"),
        ("resolve", because.clone(), "resolved"),
    ] {
        let (status, answer) = world.post_as(REVIEWER, place(action), &body).await;
        assert_eq!(status, 200, "{action}: {answer}");
        assert_eq!(status_of(&world, &base, &id).await, then, "{action}");
    }
    let (status, answer) = world.post_as(OPERATOR, place("ack"), &json!({})).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(answer["error"], "the incident is resolved: reopen it first");
    let shown = world.get(format!("{base}/api/incidents/{id}")).await;
    let said = shown["timeline"].as_array().expect("a timeline").iter();
    let said: Vec<&Value> = said.filter(|line| line["by"] == "reviewer").collect();
    assert_eq!(said.len(), 9, "{shown}");
    assert_eq!(said[2]["until"], "2026-03-02T03:10:00Z");
    let page = Browser::new(&base)
        .get(&format!("/api/incidents/{id}"))
        .await;
    for part in [
        "ended by reviewer",
        "escalated to L2",
        "12:00:00 JST",
        "opened again",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}
