//! What is outside of Azure, asked as the vendors are asked: what they take, what they refuse, what
//! becomes of it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use poolkeeper::local::simulator::{Fault, FaultKind, Service};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SLACK: &str = "hooks.slack.com/services/T000/B000/abcdefgh1234";
const TEAMS: &str = "prod-12.japaneast.logic.azure.com/workflows/1234/triggers/manual/paths/invoke?api-version=2016-06-01&sig=s3cr3t";
const SNOW: &str = "dev1.service-now.com/api/now/table/incident";
const JIRA: &str = "ops.atlassian.net/rest/api/3";
const DEVOPS: &str = "dev.azure.com/org/ops/_apis/wit";
const ACS: &str = "acs-agents.communication.azure.com";

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

fn basic() -> String {
    format!("Basic {}", BASE64_STANDARD.encode("machine:password"))
}

async fn ask(
    world: &World,
    method: Method,
    path: &str,
    auth: &str,
    body: Option<&Value>,
) -> Answer {
    let kind = if path.contains("/_apis/wit/workitems") {
        "application/json-patch+json"
    } else {
        "application/json"
    };
    let url = format!("{}/outside/{path}", world.simulator.url());
    let mut request = world.http.request(method, url);
    if !auth.is_empty() {
        request = request.header("authorization", auth);
    }
    if let Some(body) = body {
        request = request.header("content-type", kind).body(body.to_string());
    }
    let answer = request.send().await.expect("an answer");
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        text: answer.text().await.expect("text"),
    }
}

async fn post(world: &World, path: &str, auth: &str, body: &Value) -> Answer {
    ask(world, Method::POST, path, auth, Some(body)).await
}

fn event(action: &str, key: &str) -> Value {
    json!({
        "routing_key": KEY, "event_action": action, "dedup_key": key,
        "payload": { "summary": "agent-api is down", "source": "poolkeeper", "severity": "critical",
            "custom_details": { "tenant": "all" } },
    })
}

#[tokio::test]
async fn the_pager_takes_what_it_can_use_and_groups_it() {
    let world = World::start().await;
    let enqueue = "events.pagerduty.com/v2/enqueue";
    let with = |path: &[&str], value: Value| {
        let mut event = event("trigger", "inc-1");
        let last = path.iter().fold(&mut event, |at, name| &mut at[*name]);
        *last = value;
        event
    };
    for (name, event, status) in [
        ("a short key", with(&["routing_key"], json!("short")), 400),
        ("no summary", with(&["payload", "summary"], json!("")), 400),
        (
            "a long summary",
            with(&["payload", "summary"], json!("x".repeat(1025))),
            400,
        ),
        ("no source", with(&["payload", "source"], Value::Null), 400),
        (
            "an unknown severity",
            with(&["payload", "severity"], json!("sev1")),
            400,
        ),
        (
            "an unknown action",
            with(&["event_action"], json!("page")),
            400,
        ),
        (
            "a long key",
            with(&["dedup_key"], json!("k".repeat(256))),
            400,
        ),
        (
            "nothing to resolve",
            json!({ "routing_key": KEY, "event_action": "resolve" }),
            400,
        ),
        (
            "too much",
            with(&["payload", "custom_details"], json!("x".repeat(600_000))),
            413,
        ),
        ("what was never triggered", event("resolve", "inc-0"), 202),
        ("a good one", event("trigger", "inc-1"), 202),
    ] {
        let answer = post(&world, enqueue, "", &event).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        if status == 400 {
            assert_eq!(answer.json()["status"], "invalid event", "{name}");
        }
    }
    assert_eq!(
        post(&world, enqueue, "", &event("trigger", "inc-1"))
            .await
            .json()["dedup_key"],
        "inc-1"
    );
    let states = async || -> Vec<(String, String, bool)> {
        let all = world.simulator.tickets().await.into_iter();
        all.map(|t| (t.id, t.state, t.open)).collect()
    };
    assert_eq!(states().await, [("inc-1".into(), "triggered".into(), true)]);
    post(&world, enqueue, "", &event("acknowledge", "inc-1")).await;
    assert_eq!(
        states().await,
        [("inc-1".into(), "acknowledged".into(), true)]
    );
    post(&world, enqueue, "", &event("resolve", "inc-1")).await;
    assert_eq!(states().await, [("inc-1".into(), "resolved".into(), false)]);
    let sent = world.simulator.sent().await;
    let kinds: Vec<&str> = sent.iter().map(|sent| sent.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["resolve", "trigger", "trigger", "acknowledge", "resolve"]
    );
    assert_eq!(sent[1].subject, "agent-api is down");
    assert_eq!(sent[1].to, "inc-1");
    assert!(sent[1].text.contains("tenant: all"));
    let everything = format!("{sent:?}{:?}", world.simulator.tickets().await);
    assert!(!everything.contains(KEY), "the routing key is a secret");
}

#[tokio::test]
async fn chats_take_messages_that_they_can_show() {
    let world = World::start().await;
    let card = |version: &str| {
        json!({ "type": "message", "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": { "type": "AdaptiveCard", "version": version, "body": [
                { "type": "TextBlock", "text": "agent-api は停止しています" },
                { "type": "FactSet", "facts": [{ "title": "tenant", "value": "all" }] },
            ] },
        }] })
    };
    let long = json!({ "text": "x", "blocks": vec![json!({ "type": "divider" }); 51] });
    for (name, path, body, status, text) in [
        (
            "slack",
            SLACK,
            json!({ "text": "agent-api is down" }),
            200,
            "ok",
        ),
        ("no text", SLACK, json!({}), 400, "no_text"),
        ("no object", SLACK, json!("hello"), 400, "invalid_payload"),
        ("51 blocks", SLACK, long, 400, "invalid_blocks"),
        (
            "another place",
            "hooks.slack.com/services/T000",
            json!({ "text": "x" }),
            404,
            "no_service",
        ),
        (
            "another key",
            "hooks.slack.com/services/T000/B000/x",
            json!({ "text": "x" }),
            403,
            "invalid_token",
        ),
        ("teams", TEAMS, card("1.4"), 202, ""),
        (
            "teams, a card that is not shown",
            TEAMS,
            card("1.6"),
            400,
            "TriggerInputSchemaMismatch",
        ),
        (
            "teams, a card of old",
            TEAMS,
            json!({ "@type": "MessageCard" }),
            400,
            "TriggerInputSchemaMismatch",
        ),
        (
            "teams, without its signature",
            TEAMS.split("&sig").next().expect("text"),
            card("1.4"),
            401,
            "DirectApiAuthorizationRequired",
        ),
    ] {
        let answer = post(&world, path, "", &body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        assert!(answer.text.contains(text), "{name}: {}", answer.text);
    }
    let sent = world.simulator.sent().await;
    let shown: Vec<(&str, &str)> = sent
        .iter()
        .map(|s| (s.channel.as_str(), s.text.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("slack", "agent-api is down"),
            ("teams", "agent-api は停止しています\ntenant: all")
        ]
    );
    let everything = format!("{sent:?}");
    assert!(!everything.contains("s3cr3t") && !everything.contains("abcdefgh1234"));
}

#[tokio::test]
async fn servicenow_keeps_incidents_that_are_found_by_their_correlation() {
    let world = World::start().await;
    let auth = basic();
    assert_eq!(post(&world, SNOW, "", &json!({})).await.status, 401);
    let login = format!(
        "{}/outside/dev1.service-now.com/oauth_token.do",
        world.simulator.url()
    );
    for (form, status) in [
        (
            "grant_type=client_credentials&client_id=c&client_secret=s",
            200,
        ),
        ("grant_type=client_credentials&client_id=c", 401),
        ("grant_type=password&client_id=c&client_secret=s", 401),
    ] {
        let answer = world.http.post(&login).body(form).send().await;
        let got = answer.expect("an answer").status().as_u16();
        assert_eq!(got, status, "{form}");
    }
    let made = post(
        &world,
        SNOW,
        &auth,
        &json!({
            "short_description": "agent-api is down", "impact": "1", "urgency": "2",
            "correlation_id": "inc-1", "unheard_of": "x",
        }),
    )
    .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json()["result"].clone();
    assert_eq!(
        (&made["priority"], &made["state"]),
        (&json!("2"), &json!("1"))
    );
    assert!(
        made["number"]
            .as_str()
            .is_some_and(|number| number.starts_with("INC"))
    );
    assert!(made["unheard_of"].is_null());
    let find = async |query: &str| {
        let path =
            format!("{SNOW}?sysparm_query={query}&sysparm_limit=1&sysparm_fields=sys_id,state");
        ask(&world, Method::GET, &path, &auth, None).await
    };
    let found = find("correlation_id%3Dinc-1%5Eactive%3Dtrue").await.json();
    assert_eq!(
        found,
        json!({ "result": [{ "sys_id": made["sys_id"], "state": "1" }] })
    );
    assert_eq!(
        find("correlation_id%3Dinc-2").await.json(),
        json!({ "result": [] })
    );
    assert_eq!(find("correlation_idLIKEinc").await.status, 400);
    let one = format!("{SNOW}/{}", made["sys_id"].as_str().expect("an id"));
    let patch = async |body: Value| ask(&world, Method::PATCH, &one, &auth, Some(&body)).await;
    let noted = patch(json!({ "work_notes": "acknowledged", "state": "2" }))
        .await
        .json();
    assert_eq!(noted["result"]["work_notes"], "");
    let bare = patch(json!({ "state": "6" })).await;
    assert_eq!(bare.status, 403);
    assert!(bare.text.contains("Data Policy Exception"), "{}", bare.text);
    let closed = patch(
        json!({ "state": "6", "close_code": "Solved (Permanently)", "close_notes": "restarted" }),
    )
    .await;
    assert_eq!(closed.json()["result"]["state"], "6");
    let gone = ask(
        &world,
        Method::PATCH,
        &format!("{SNOW}/nothing"),
        &auth,
        Some(&json!({})),
    )
    .await;
    assert_eq!(gone.status, 404);
    let tickets = world.simulator.tickets().await;
    assert_eq!(
        (tickets.len(), tickets[0].state.as_str(), tickets[0].open),
        (1, "Resolved", false)
    );
    let texts: Vec<String> = world
        .simulator
        .sent()
        .await
        .into_iter()
        .map(|s| s.text)
        .collect();
    assert_eq!(texts, ["", "acknowledged", "restarted"]);
}

fn document(text: &str) -> Value {
    json!({ "type": "doc", "version": 1, "content": [
        { "type": "paragraph", "content": [{ "type": "text", "text": text }] },
    ] })
}

#[tokio::test]
async fn jira_keeps_issues_that_are_found_by_their_label() {
    let world = World::start().await;
    let auth = basic();
    let fields = |name: &str, value: Value| {
        let mut fields = json!({
            "project": { "key": "OPS" }, "issuetype": { "name": "Bug" }, "summary": "agent-api is down",
            "labels": ["poolkeeper", "inc-1"], "description": document("it hangs"),
        });
        if !name.is_empty() {
            fields[name] = value;
        }
        json!({ "fields": fields })
    };
    let issue = format!("{JIRA}/issue");
    assert_eq!(
        post(&world, &issue, "", &fields("", Value::Null))
            .await
            .status,
        401
    );
    for (name, value) in [
        ("summary", json!("two\nlines")),
        ("summary", json!("x".repeat(256))),
        ("description", json!("plain text is version 2")),
        ("labels", json!(["with a space"])),
        ("project", json!({})),
        ("issuetype", json!({})),
    ] {
        let answer = post(&world, &issue, &auth, &fields(name, value)).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
        assert!(
            answer.json()["errors"][name].is_string(),
            "{name}: {}",
            answer.text
        );
    }
    let made = post(&world, &issue, &auth, &fields("", Value::Null)).await;
    assert_eq!((made.status, &made.json()["key"]), (201, &json!("OPS-1")));
    let search = async |jql: &str| {
        let body = json!({ "jql": jql, "fields": ["status"], "maxResults": 2 });
        post(&world, &format!("{JIRA}/search/jql"), &auth, &body).await
    };
    let open =
        "project = OPS AND labels = \"inc-1\" AND statusCategory != Done ORDER BY created DESC";
    let found = search(open).await.json();
    assert_eq!(found["issues"][0]["key"], "OPS-1");
    assert_eq!(found["issues"][0]["fields"]["status"]["name"], "To Do");
    assert_eq!(found["isLast"], true);
    assert_eq!(search("colour = red").await.status, 400);
    assert_eq!(search("").await.status, 400);
    let old = ask(
        &world,
        Method::GET,
        &format!("{JIRA}/search?jql=x"),
        &auth,
        None,
    )
    .await;
    assert_eq!(old.status, 410);
    let comment = format!("{issue}/OPS-1/comment");
    let plain = post(&world, &comment, &auth, &json!({ "body": "text" })).await;
    assert_eq!(plain.status, 400);
    let noted = post(
        &world,
        &comment,
        &auth,
        &json!({ "body": document("restarted") }),
    )
    .await;
    assert_eq!(noted.status, 201);
    let transitions = format!("{issue}/OPS-1/transitions");
    let ways = ask(&world, Method::GET, &transitions, &auth, None)
        .await
        .json();
    let done = ways["transitions"].as_array().expect("a list").iter();
    let done = done.filter(|way| way["to"]["statusCategory"]["key"] == "done");
    let id = done.map(|way| way["id"].clone()).next().expect("a way");
    let ended = post(
        &world,
        &transitions,
        &auth,
        &json!({ "transition": { "id": id } }),
    )
    .await;
    assert_eq!((ended.status, ended.text.as_str()), (204, ""));
    assert_eq!(search(open).await.json()["issues"], json!([]));
    let tickets = world.simulator.tickets().await;
    assert_eq!(
        (tickets[0].state.as_str(), tickets[0].open),
        ("Done", false)
    );
    let said: Vec<(String, String)> = world
        .simulator
        .sent()
        .await
        .into_iter()
        .map(|s| (s.kind, s.text))
        .collect();
    assert_eq!(said[0], ("create".to_owned(), "it hangs".to_owned()));
    assert_eq!(said[1], ("comment".to_owned(), "restarted".to_owned()));
}

#[tokio::test]
async fn azure_devops_keeps_work_items_that_are_found_by_their_tag() {
    let world = World::start().await;
    let auth = format!(
        "Bearer {}",
        world.token("499b84ac-1321-427f-aa17-267ca6975798").await
    );
    let other = format!(
        "Bearer {}",
        world.token("https://management.azure.com").await
    );
    let add = |field: &str, value: &str| json!({ "op": "add", "path": format!("/fields/{field}"), "value": value });
    let path = format!("{DEVOPS}/workitems/$Issue?api-version=7.1");
    let item = json!([
        add("System.Title", "agent-api is down"),
        add("System.Tags", "poolkeeper; inc-1")
    ]);
    assert_eq!(post(&world, &path, "", &item).await.status, 401);
    assert_eq!(
        post(&world, &path, &other, &item).await.status,
        401,
        "a token for another service"
    );
    let untitled = post(&world, &path, &auth, &json!([add("System.Tags", "x")])).await;
    assert_eq!(untitled.status, 400);
    assert!(untitled.text.contains("TF401320"), "{}", untitled.text);
    let unversioned = format!("{DEVOPS}/workitems/$Issue");
    assert_eq!(post(&world, &unversioned, &auth, &item).await.status, 400);
    let trial = post(&world, &format!("{path}&validateOnly=true"), &auth, &item).await;
    assert_eq!(trial.status, 200);
    assert!(world.simulator.tickets().await.is_empty());
    let made = post(&world, &path.replace('$', "%24"), &auth, &item).await;
    assert_eq!(
        (made.status, &made.json()["id"]),
        (200, &json!(1)),
        "{}",
        made.text
    );
    let find = async |condition: &str| {
        let query = format!("SELECT [System.Id] FROM WorkItems WHERE {condition}");
        let path = format!("{DEVOPS}/wiql?api-version=7.1");
        post(&world, &path, &auth, &json!({ "query": query })).await
    };
    let tagged = "[System.TeamProject] = @project AND [System.Tags] CONTAINS 'inc-1' AND [System.State] <> 'Closed'";
    assert_eq!(find(tagged).await.json()["workItems"][0]["id"], 1);
    assert_eq!(find("[System.Id] > 1").await.status, 400);
    let one = format!("{DEVOPS}/workitems/1?api-version=7.1");
    let patch = async |body: Value| ask(&world, Method::PATCH, &one, &auth, Some(&body)).await;
    let noted = patch(json!([add("System.History", "restarted")])).await;
    assert_eq!(noted.json()["rev"], 2, "{}", noted.text);
    assert_eq!(
        patch(json!([add("System.State", "Gone")])).await.status,
        400
    );
    let stale =
        json!([{ "op": "test", "path": "/rev", "value": 1 }, add("System.State", "Closed")]);
    assert_eq!(patch(stale).await.status, 412);
    assert_eq!(
        patch(json!([add("System.State", "Closed")])).await.status,
        200
    );
    assert_eq!(find(tagged).await.json()["workItems"], json!([]));
    let tickets = world.simulator.tickets().await;
    assert_eq!(
        (tickets[0].state.as_str(), tickets[0].open),
        ("Closed", false)
    );
}

#[tokio::test]
async fn a_mail_is_accepted_first_and_sent_later() {
    let world = World::start().await;
    let auth = format!(
        "Bearer {}",
        world.token("https://communication.azure.com").await
    );
    let path = format!("{ACS}/emails:send?api-version=2023-03-31");
    let mail = json!({
        "senderAddress": "poolkeeper@example.com",
        "content": { "subject": "agent-api は停止", "plainText": "止まっています" },
        "recipients": { "to": [{ "address": "l1-a@example.com" }] },
        "attachments": [{ "name": "a.pdf", "contentType": "application/pdf", "contentInBase64": "QUJD" }],
    });
    assert_eq!(post(&world, &path, "", &mail).await.status, 401);
    let mut nobody = mail.clone();
    nobody["recipients"]["to"] = json!([]);
    assert_eq!(post(&world, &path, &auth, &nobody).await.status, 400);
    let taken = post(&world, &path, &auth, &mail).await;
    assert_eq!(
        (taken.status, &taken.json()["status"]),
        (202, &json!("Running"))
    );
    let follow = taken.headers["operation-location"]
        .to_str()
        .expect("text")
        .to_owned();
    let follow = follow
        .strip_prefix("https://")
        .expect("the vendor's own address");
    let poll =
        async || ask(&world, Method::GET, follow, &auth, None).await.json()["status"].clone();
    assert_eq!(poll().await, "Running");
    world.simulator.advance(std::time::Duration::from_secs(1));
    assert_eq!(poll().await, "Succeeded");
    let sent = &world.simulator.sent().await[0];
    assert_eq!(
        (sent.channel.as_str(), sent.to.as_str()),
        ("mail", "l1-a@example.com")
    );
    assert_eq!(
        (sent.subject.as_str(), sent.text.as_str()),
        ("agent-api は停止", "止まっています")
    );
    assert_eq!(sent.body["attachments"][0]["contentInBase64"], "(3 bytes)");
}

#[tokio::test]
async fn a_message_that_is_handed_to_a_mail_server_is_read() {
    let world = World::start().await;
    let raw = |head: &str| {
        let text = BASE64_STANDARD.encode("止まっています");
        format!(
            "{head}Date: Wed, 25 Nov 2026 09:00:00 +0900\r\nMessage-ID: <inc-1@example.com>\r\nTo: l1-a@example.com\r\n\
            Subject: =?utf-8?B?{}?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: base64\r\n\r\n{text}\r\n",
            BASE64_STANDARD.encode("停止")
        )
    };
    let good = raw("From: poolkeeper@example.com\r\n");
    let send = async |kind: &str, to: &str, body: String| {
        let url = format!("{}/outside/smtp/mail.example.com", world.simulator.url());
        let request = world.http.post(url).header("content-type", kind).body(body);
        let request = request
            .header("x-mail-from", "poolkeeper@example.com")
            .header("x-mail-to", to);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(
        send("text/plain", "l1-a@example.com", good.clone()).await,
        415
    );
    assert_eq!(send("message/rfc822", "nobody", good.clone()).await, 400);
    assert_eq!(
        send("message/rfc822", "l1-a@example.com", raw("")).await,
        400,
        "from nobody"
    );
    assert_eq!(send("message/rfc822", "l1-a@example.com", good).await, 200);
    let sent = &world.simulator.sent().await[0];
    assert_eq!(
        (sent.host.as_str(), sent.channel.as_str()),
        ("mail.example.com", "mail")
    );
    assert_eq!(
        (sent.subject.as_str(), sent.text.trim()),
        ("停止", "止まっています")
    );
    assert_eq!(sent.body["message_id"], "inc-1@example.com");
}

#[tokio::test]
async fn an_unknown_host_is_a_webhook_and_a_look_at_one_is_not_kept() {
    let world = World::start().await;
    let hook = "hooks.example.net/secret-path";
    assert_eq!(
        post(
            &world,
            hook,
            "Bearer very-secret",
            &json!({ "title": "t", "password": "p" })
        )
        .await
        .status,
        200
    );
    assert_eq!(ask(&world, Method::GET, hook, "", None).await.status, 200);
    assert_eq!(
        ask(&world, Method::DELETE, hook, "", None).await.status,
        405
    );
    let sent = world.simulator.sent().await;
    assert_eq!(
        (
            sent.len(),
            sent[0].channel.as_str(),
            sent[0].subject.as_str()
        ),
        (1, "webhook", "t")
    );
    assert_eq!(sent[0].body["password"], "(removed)");
    assert!(!format!("{sent:?}").contains("secret"));
}

#[tokio::test]
async fn a_host_fails_as_it_is_told_to() {
    let world = World::start().await;
    let fault = |kind, host: &str| {
        world.simulator.fault(Fault {
            kind,
            contains: Some(format!("/outside/{host}/")),
            service: Some(Service::Outside),
            times: Some(1),
            ..Fault::default()
        });
    };
    let hook = "hooks.example.net/x";
    let body = json!({ "text": "x" });
    fault(FaultKind::Throttle, "hooks.example.net");
    let throttled = post(&world, hook, "", &body).await;
    assert_eq!(
        (
            throttled.status,
            throttled.headers["retry-after"].to_str().ok()
        ),
        (429, Some("1"))
    );
    fault(FaultKind::Unavailable, "hooks.example.net");
    assert_eq!(
        post(&world, SLACK, "", &body).await.status,
        200,
        "another host is well"
    );
    assert_eq!(post(&world, hook, "", &body).await.status, 503);
    assert_eq!(world.simulator.sent().await.len(), 1);
    for (kind, kept) in [(FaultKind::Closed, 1), (FaultKind::DoneAndClosed, 2)] {
        fault(kind, "hooks.example.net");
        let url = format!("{}/outside/{hook}", world.simulator.url());
        let answer = world.http.post(url).json(&body).send().await;
        assert!(answer.is_err(), "{kind:?}");
        assert_eq!(world.simulator.sent().await.len(), kept, "{kind:?}");
    }
}

#[tokio::test]
async fn the_inbox_shows_what_was_sent_and_runs_nothing_of_it() {
    let world = World::start_unrecorded().await;
    let url = world.simulator.inbox_url();
    let page = async |path: &str| {
        world
            .http
            .get(format!("{url}{path}"))
            .send()
            .await
            .expect("an answer")
    };
    assert!(
        page("")
            .await
            .text()
            .await
            .expect("text")
            .contains("Nothing was sent yet")
    );
    let hostile = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>";
    let hook = "hooks.example.net/x";
    post(
        &world,
        hook,
        "",
        &json!({ "title": hostile, "text": "停止しています <b>太字</b>" }),
    )
    .await;
    post(&world, SLACK, "", &json!({ "text": "the newest" })).await;
    let mut event = event("trigger", "<i>key</i>");
    event["payload"]["summary"] = json!(hostile);
    post(&world, "events.pagerduty.com/v2/enqueue", "", &event).await;
    let answer = page("").await;
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(policy.contains("default-src 'none'"));
    let list = answer.text().await.expect("text");
    let at = |text: &str| {
        list.find(text)
            .unwrap_or_else(|| panic!("{text} in {list}"))
    };
    assert!(
        at("/inbox/3") < at("/inbox/2") && at("/inbox/2") < at("/inbox/1"),
        "newest first"
    );
    assert!(list.contains("width=device-width"));
    let detail = page("/1").await.text().await.expect("text");
    assert!(detail.contains("停止しています"));
    for text in [&list, &detail] {
        for bad in ["<script", "<img", "<b>", "<i>"] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
    }
    let only = page("?channel=slack").await.text().await.expect("text");
    assert!(only.contains("/inbox/2") && !only.contains("/inbox/1\""));
    assert_eq!(page("/99").await.status(), 404);
    let twin: Value = page(".json").await.json().await.expect("JSON");
    assert_eq!(twin["sent"][0]["number"], 3);
    assert_eq!(twin["tickets"][0]["state"], "triggered");
    let elsewhere = world
        .http
        .get(&url)
        .header("host", "evil.example")
        .send()
        .await;
    assert_eq!(elsewhere.expect("an answer").status(), 403);
}
