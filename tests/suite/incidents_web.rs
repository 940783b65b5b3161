//! Incidents as people see them and act on them: JSON, pages, forms.

use chrono::{DateTime, Utc};
use poolkeeper::app::Clock;
use poolkeeper::domain::{
    Class, Condition, GroupKey, IncidentEvent, IncidentId, Priority, Signal, Trust,
};
use poolkeeper::operations::incidents::{happened, take};
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::changes::{say, worked};
use crate::oncall::command;
use crate::world::{OPERATOR, REVIEWER, World};

const NOON: &str = "2026-03-02T03:00:00Z";

fn noon() -> DateTime<Utc> {
    NOON.parse().expect("a time")
}

/// A signal of a rule about a tenant.
pub(crate) fn signal(rule: &str, tenant: &str, priority: Priority, title: &str) -> Signal {
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

pub(crate) async fn open_at(world: &World, clock: Clock, signal: &Signal) -> IncidentId {
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

pub(crate) async fn status_of(world: &World, base: &str, id: &IncidentId) -> Value {
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
async fn a_browser_signs_in_and_acts_and_the_cookie_holds_no_key() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let path = format!("/api/incidents/{id}");
    let mut browser = Browser::new(&base);
    let page = browser.get(&path).await;
    assert!(page.text.contains("action=\"/api/incidents/sign-in\""));
    assert!(!page.text.contains("name=\"token\""));
    let refused = browser.sign_in("wrong-key", id.as_str()).await;
    assert_eq!((refused.status, refused.cookie.as_str()), (401, ""));
    assert!(
        refused.text.contains("this key is nobody&#39;s"),
        "{}",
        refused.text
    );
    let signed = browser.sign_in(OPERATOR, id.as_str()).await;
    assert_eq!((signed.status, signed.place.as_str()), (303, path.as_str()));
    assert!(
        signed
            .cookie
            .ends_with("; Path=/api; HttpOnly; SameSite=Strict"),
        "{}",
        signed.cookie
    );
    assert!(!signed.cookie.contains(OPERATOR));
    let page = browser.get(&path).await;
    let token = token(&page.text).to_owned();
    let done = browser
        .post(
            &format!("{path}/ack"),
            &[("token", &token), ("reason", ""), ("minutes", "")],
        )
        .await;
    assert_eq!(
        (done.status, done.place.as_str()),
        (303, path.as_str()),
        "{}",
        done.text
    );
    assert_eq!(status_of(&world, &base, &id).await, "acknowledged");
    // A refusal is a page, with what to do.
    let refused = browser
        .post(&format!("{path}/resolve"), &[("token", &token)])
        .await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text.contains("resolving needs a reason"),
        "{}",
        refused.text
    );
    let back = format!("<a class=\"target\" href=\"{path}\">");
    assert!(refused.text.contains(&back), "{}", refused.text);
    let done = browser
        .post(
            &format!("{path}/resolve"),
            &[("token", &token), ("reason", "done")],
        )
        .await;
    assert_eq!(done.status, 303);
    assert_eq!(status_of(&world, &base, &id).await, "resolved");
    let elsewhere = browser.sign_in(OPERATOR, "https://evil.example/").await;
    assert_eq!(elsewhere.place, "/api/incidents");
    let out = browser.post("/api/incidents/sign-out", &[]).await;
    assert_eq!(out.status, 303);
    assert!(
        out.cookie.starts_with("poolkeeper-session=;"),
        "{}",
        out.cookie
    );
    assert!(out.cookie.contains("Max-Age=0"));
    for (path, part) in [
        (
            "/api/incidents/inc-0123456789ab-1",
            "there is no such incident",
        ),
        ("/api/incidents/nothing", "there is no such incident"),
        (
            "/api/incidents/inc-0123456789ab-1/ack",
            "an action has no page",
        ),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.text.contains(part), "{path}: {}", page.text);
        assert!(page.text.starts_with("<!doctype html>"), "{path}");
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_or_with_a_cookie_that_was_made_up_does_nothing() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let path = format!("/api/incidents/{id}/ack");
    let mut browser = Browser::new(&base);
    browser.sign_in(OPERATOR, "").await;
    let page = browser.get(&format!("/api/incidents/{id}")).await;
    let own = token(&page.text).to_owned();
    let mut other = Browser::new(&base);
    other.sign_in(REVIEWER, "").await;
    let page = other.get(&format!("/api/incidents/{id}")).await;
    let others = token(&page.text).to_owned();
    let (until, signed) = own.split_once('.').expect("two parts");
    let longer = format!("{}.{signed}", until.parse::<i64>().expect("a number") + 1);

    let ours = ("sec-fetch-site", "same-origin");
    let with = |token: &str| browser.form(&path, &[("token", token)]);
    for (name, form, status) in [
        (
            "foreign origin",
            with(&own).header(ORIGIN, "https://evil.example"),
            403,
        ),
        (
            "another port",
            with(&own).header(ORIGIN, "http://127.0.0.1:1"),
            403,
        ),
        (
            "another site, as its browser says",
            with(&own).header("sec-fetch-site", "cross-site"),
            403,
        ),
        (
            "same site",
            with(&own).header("sec-fetch-site", "same-site"),
            403,
        ),
        (
            "no origin that can be told",
            with(&own).header(ORIGIN, "null"),
            403,
        ),
        ("nothing says where from", with(&own), 403),
        (
            "no token",
            browser.form(&path, &[]).header(ours.0, ours.1),
            403,
        ),
        ("an empty token", with("").header(ours.0, ours.1), 403),
        (
            "a token that was made up",
            with("9999999999.AAAA").header(ours.0, ours.1),
            403,
        ),
        (
            "somebody else's token",
            with(&others).header(ours.0, ours.1),
            403,
        ),
        (
            "a token that was made longer",
            with(&longer).header(ours.0, ours.1),
            403,
        ),
    ] {
        let answer = browser.send(form).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    // JSON with a cookie, to this function and to another one.
    let changes = format!("{base}/api/changes/kill-switch/on");
    for url in [format!("{base}{path}"), changes] {
        let json = browser.http.post(url).json(&json!({ "reason": "x" }));
        assert_eq!(browser.send(json).await.status, 403);
    }
    let own_cookie = browser.cookie.clone();
    let (name, value) = own_cookie.split_once('=').expect("a cookie");
    let parts: Vec<&str> = value.split('.').collect();
    let reviewer = other.cookie.split_once('=').expect("a cookie").1;
    let reviewer = reviewer.split('.').next().expect("a name");
    for (what, forged) in [
        (
            "another's name",
            format!("{reviewer}.{}.{}", parts[1], parts[2]),
        ),
        (
            "another end",
            format!("{}.9999999999.{}", parts[0], parts[2]),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("one part more", format!("{value}.x")),
        ("the key itself", OPERATOR.to_owned()),
        ("nothing", String::new()),
    ] {
        browser.cookie = format!("{name}={forged}");
        let answer = browser.post(&path, &[("token", &own)]).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        assert!(answer.text.contains("sign in"), "{what}: {}", answer.text);
    }
    assert_eq!(status_of(&world, &base, &id).await, "open");
    // Half a day later the same cookie is nobody's.
    let later = noon() + chrono::Duration::hours(12);
    browser.base = world.handler(Clock::Fixed(later)).await;
    browser.cookie.clone_from(&own_cookie);
    assert_eq!(browser.post(&path, &[("token", &own)]).await.status, 401);
    // With another key of the same person it is, too.
    let mut settings = world.settings();
    settings.insert(
        "POOLKEEPER_OPERATOR_KEYS".into(),
        "operator:another-key-0123456789".into(),
    );
    browser.base = world.handler_with(settings, Clock::Fixed(noon())).await;
    assert_eq!(browser.post(&path, &[("token", &own)]).await.status, 401);
    // And what is right is taken.
    browser.base.clone_from(&base);
    assert_eq!(browser.post(&path, &[("token", &own)]).await.status, 303);
    assert_eq!(status_of(&world, &base, &id).await, "acknowledged");
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
async fn where_the_platform_signs_people_in_it_alone_says_who_reads_and_acts() {
    let world = World::start().await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let mut signed = Browser::new(&world.handler(Clock::Fixed(noon())).await);
    signed.sign_in(OPERATOR, "").await;
    let mut settings = world.settings();
    settings.insert("POOLKEEPER_EASY_AUTH".into(), "true".into());
    let base = world.handler_with(settings, Clock::Fixed(noon())).await;
    signed.base.clone_from(&base);
    let path = format!("/api/incidents/{id}");
    for path in ["/api/incidents", &path] {
        let page = signed.get(path).await;
        assert_eq!(page.status, 401, "{path}: a cookie of keys is nothing here");
        assert!(page.text.contains("/.auth/login/aad"), "{}", page.text);
        assert!(!page.text.contains("slow"), "{}", page.text);
        let json = world.http.get(format!("{base}{path}")).send().await;
        assert_eq!(json.expect("an answer").status(), 401, "{path}");
    }
    assert_eq!(signed.sign_in(OPERATOR, "").await.status, 409);
    let principal = |name: &str| {
        use base64::Engine as _;
        let claims = json!({
            "auth_typ": "aad", "name_typ": "upn", "role_typ": "roles",
            "claims": [{ "typ": "upn", "val": name }, { "typ": "oid", "val": "1" }],
        });
        base64::prelude::BASE64_STANDARD.encode(claims.to_string())
    };
    let browser = Browser::new(&base);
    let ann = principal("ann@example.com");
    let by = |request: reqwest::RequestBuilder, who: &str| {
        request.header("x-ms-client-principal", who.to_owned())
    };
    let page = browser
        .send(by(browser.http.get(format!("{base}{path}")), &ann))
        .await;
    assert_eq!(page.status, 200);
    let token = token(&page.text).to_owned();
    let act = format!("{path}/ack");
    let ours = |token: &str| {
        let form = browser.form(&act, &[("token", token)]);
        form.header("sec-fetch-site", "same-origin")
    };
    for (name, form, status) in [
        ("no token", by(ours(""), &ann), 403),
        (
            "of another person",
            by(ours(&token), &principal("bob@example.com")),
            403,
        ),
        (
            "from nowhere",
            by(browser.form(&act, &[("token", &token)]), &ann),
            403,
        ),
        ("of nobody", ours(&token), 401),
        ("right", by(ours(&token), &ann), 303),
    ] {
        let answer = browser.send(form).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    let url = format!("{base}{path}");
    let shown = by(world.http.get(url), &ann)
        .send()
        .await
        .expect("an answer");
    let shown: Value = shown.json().await.expect("JSON");
    assert_eq!(shown["acknowledgement"]["by"], "ann@example.com <1>");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_keyboard_an_incident_is_found_by_a_part_of_its_id_and_ended() {
    let world = World::start().await;
    let esc = "slow \u{1b}[31mred";
    let slow = signal("p95", "tenant-a", Priority::High, esc);
    let id = open_at(&world, Clock::System, &slow).await;
    let other = signal("errors", "tenant-b", Priority::Low, "errors");
    let other = open_at(&world, Clock::System, &other).await;
    let short = &id.as_str()[..8];
    assert_ne!(short, &other.as_str()[..8]);

    let (code, out, err) = command(&world, &["incidents", "list"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
    let wanted = [
        "incidents",
        "list",
        "--status",
        "open",
        "--priority",
        "high",
        "--json",
    ];
    let (_, out, _) = command(&world, &wanted).await;
    let page: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(page["incidents"].as_array().map(Vec::len), Some(1), "{out}");
    let (code, _, err) = command(&world, &["incidents", "list", "--status", "gone"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("`gone` is no status"), "{err}");

    let ack = [
        "incidents",
        "ack",
        short,
        "--minutes",
        "5",
        "--as",
        "reviewer",
        "--json",
    ];
    let (code, out, err) = command(&world, &ack).await;
    assert_eq!(code, Some(0), "{err}");
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(said["acknowledgement"]["by"], "reviewer");
    for (action, then) in [
        (
            vec!["comment", short, "--reason", "looking"],
            "acknowledged",
        ),
        (vec!["unack", short], "open"),
        (
            vec!["escalate", short, "--level", "L2", "--reason", "help"],
            "open",
        ),
        (
            vec!["mitigate", short, "--reason", "rolled back"],
            "mitigated",
        ),
        (vec!["resolve", short, "--reason", "done"], "resolved"),
        (vec!["reopen", short, "--reason", "no"], "open"),
        (vec!["resolve", &short[4..], "--reason", "yes"], "resolved"),
    ] {
        let (code, out, err) = command(&world, &[&["incidents"], &action[..]].concat()).await;
        assert_eq!(code, Some(0), "{action:?}: {err}");
        assert!(out.contains(then), "{action:?}: {out}");
    }
    let (code, _, err) = command(&world, &["incidents", "ack", short]).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("the incident is resolved: reopen it first"),
        "{err}"
    );
    let (code, _, err) = command(&world, &["incidents", "show", "inc-"]).await;
    assert_eq!(code, Some(3));
    assert!(err.contains("more than one begins with `inc-`"), "{err}");
    for nothing in ["inc-xyz", "../runs", "inc-0123456789ab-1"] {
        let (code, _, err) = command(&world, &["incidents", "show", nothing]).await;
        assert_eq!(code, Some(3), "{nothing}");
        assert!(err.contains("there is no incident"), "{err}");
    }
    let (code, out, _) = command(&world, &["incidents", "show", id.as_str()]).await;
    assert_eq!(code, Some(0));
    for part in [
        "escalated to L2",
        "rolled back",
        "resolved after",
        "through",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains('\u{1b}'), "{out}");
}
