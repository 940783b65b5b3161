//! What channels lead to: a server that answers as the documentation of each says, keeps tickets, and
//! writes down every request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) method: String,
    pub(crate) host: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Came {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Trouble that a host has with its next request.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// Nothing is done.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// It is done, and then the answer is lost.
    DoneAndLost,
    /// It is done once somebody says so.
    Waits(Arc<Notify>),
}

impl Trouble {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }
}

#[derive(Default)]
struct Inner {
    came: Vec<Came>,
    /// Per host: for its next requests, and then for all.
    next: BTreeMap<String, VecDeque<Trouble>>,
    always: BTreeMap<String, Trouble>,
    /// Tickets by system: what finds them, and whether they are closed.
    tickets: BTreeMap<String, Vec<(String, bool)>>,
    mails: BTreeMap<String, u32>,
}

#[derive(Clone, Default)]
pub(crate) struct Outside {
    inner: Arc<Mutex<Inner>>,
    pub(crate) base: String,
}

impl Outside {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let outside = Self {
            base: format!("http://{}", listener.local_addr().expect("an address")),
            ..Self::default()
        };
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(outside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        outside
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next(&self, host: &str, trouble: Trouble) {
        self.inner()
            .next
            .entry(host.to_owned())
            .or_default()
            .push_back(trouble);
    }

    /// For every request until [`Outside::heal`].
    pub(crate) fn always(&self, host: &str, trouble: Trouble) {
        self.inner().always.insert(host.to_owned(), trouble);
    }

    pub(crate) fn heal(&self, host: &str) {
        self.inner().always.remove(host);
    }

    /// What came to a host so far.
    pub(crate) fn came(&self, host: &str) -> Vec<Came> {
        self.inner()
            .came
            .iter()
            .filter(|came| came.host == host)
            .cloned()
            .collect()
    }

    /// What is to be seen of each request to a host: `event_action`, say.
    pub(crate) fn seen(&self, host: &str, field: &str) -> Vec<String> {
        let came = self.came(host);
        came.iter()
            .map(|came| came.json()[field].as_str().unwrap_or("-").to_owned())
            .collect()
    }

    /// The tickets of a system, and whether each is closed.
    pub(crate) fn tickets(&self, system: &str) -> Vec<(String, bool)> {
        self.inner()
            .tickets
            .get(system)
            .cloned()
            .unwrap_or_default()
    }
}

async fn answer(
    State(outside): State<Outside>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let whole = uri
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let rest = whole.strip_prefix("/outside/").unwrap_or(&whole);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let came = Came {
        method: method.to_string(),
        host: host.to_owned(),
        path: format!("/{path}"),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let trouble = {
        let mut inner = outside.inner();
        inner.came.push(came.clone());
        let next = inner.next.get_mut(host).and_then(VecDeque::pop_front);
        next.or_else(|| inner.always.get(host).cloned())
    };
    match trouble {
        None => done(&mut outside.inner(), &came),
        Some(Trouble::Answer(status, headers, body)) => {
            let mut answer =
                (StatusCode::from_u16(status).expect("a status"), body).into_response();
            for (name, value) in headers {
                answer
                    .headers_mut()
                    .insert(name, value.parse().expect("a value"));
            }
            answer
        }
        Some(Trouble::DoneAndLost) => {
            done(&mut outside.inner(), &came);
            StatusCode::BAD_GATEWAY.into_response()
        }
        Some(Trouble::Waits(notify)) => {
            notify.notified().await;
            done(&mut outside.inner(), &came)
        }
    }
}

fn said(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, axum::Json(body.clone())).into_response()
}

/// Does what the documentation of each says that a good request does.
fn done(inner: &mut Inner, came: &Came) -> Response {
    let body = came.json();
    let is = |method: &str, path: &str| came.method == method && came.path.starts_with(path);
    match came.host.as_str() {
        "events.pagerduty.com" => said(
            202,
            &json!({ "status": "success", "message": "Event processed", "dedup_key": body["dedup_key"] }),
        ),
        "hooks.slack.com" => "ok".into_response(),
        "example.logic.azure.com" => StatusCode::ACCEPTED.into_response(),
        "hooks.example.com" | "smtp" => StatusCode::OK.into_response(),
        "example.service-now.com" => servicenow(inner, came, &body),
        "example.atlassian.net" => jira(inner, came, &body),
        "dev.azure.com" => devops(inner, came, &body),
        "example.communication.azure.com" => {
            if is("POST", "/emails:send") {
                let id = came.headers["operation-id"].clone();
                inner
                    .mails
                    .entry(id.clone())
                    .and_modify(|n| *n += 1)
                    .or_insert(1);
                inner
                    .tickets
                    .entry("acs".into())
                    .or_default()
                    .push((id.clone(), false));
                return said(202, &json!({ "id": id, "status": "Running" }));
            }
            let id = came.path.trim_start_matches("/emails/operations/");
            let id = id.split('?').next().unwrap_or_default();
            match inner.mails.contains_key(id) {
                true => said(200, &json!({ "id": id, "status": "Succeeded" })),
                false => said(
                    404,
                    &json!({ "error": { "code": "NotFound", "message": "no such" } }),
                ),
            }
        }
        _ => said(404, &json!({ "message": "nobody is here" })),
    }
}

fn servicenow(inner: &mut Inner, came: &Came, body: &Value) -> Response {
    if came.path.starts_with("/oauth_token.do") {
        return said(
            200,
            &json!({ "access_token": "servicenow-token", "expires_in": 1799 }),
        );
    }
    let tickets = inner.tickets.entry("servicenow".into()).or_default();
    let row = |at: usize, closed: bool| {
        json!({ "sys_id": format!("{at:032x}"), "number": format!("INC{:07}", at + 1),
            "state": if closed { "6" } else { "1" } })
    };
    match came.method.as_str() {
        "GET" => {
            let found = tickets.iter().position(|(key, _)| {
                came.path
                    .contains(&format!("correlation_id%3D{key}%5Eactive%3Dtrue"))
            });
            let rows: Vec<Value> = found.map(|at| row(at, tickets[at].1)).into_iter().collect();
            said(200, &json!({ "result": rows }))
        }
        "POST" => {
            let key = body["correlation_id"].as_str().expect("a key").to_owned();
            tickets.push((key, false));
            said(201, &json!({ "result": row(tickets.len() - 1, false) }))
        }
        "PATCH" => {
            let id = came.path.rsplit('/').next().unwrap_or_default();
            let at = usize::from_str_radix(id, 16).expect("a number");
            if body["state"] == "6" {
                tickets[at].1 = true;
            }
            said(200, &json!({ "result": row(at, tickets[at].1) }))
        }
        _ => said(405, &json!({})),
    }
}

fn jira(inner: &mut Inner, came: &Came, body: &Value) -> Response {
    let tickets = inner.tickets.entry("jira".into()).or_default();
    let at_path = || -> usize {
        let key = came.path.split('/').nth(5).expect("a key");
        let number: usize = key.trim_start_matches("OPS-").parse().expect("a number");
        number - 1
    };
    if came.path == "/rest/api/3/search/jql" {
        let jql = body["jql"].as_str().expect("a query");
        let found = tickets
            .iter()
            .position(|(label, _)| jql.contains(&format!("\"{label}\"")));
        let issues: Vec<Value> = found
            .map(|at| {
                let category = if tickets[at].1 { "done" } else { "new" };
                json!({ "id": "1", "key": format!("OPS-{}", at + 1),
                    "fields": { "status": { "statusCategory": { "key": category } } } })
            })
            .into_iter()
            .collect();
        return said(200, &json!({ "issues": issues, "isLast": true }));
    }
    if came.path == "/rest/api/3/issue" {
        let label = body["fields"]["labels"][1]
            .as_str()
            .expect("a label")
            .to_owned();
        tickets.push((label, false));
        let number = tickets.len();
        return said(
            201,
            &json!({ "id": "1", "key": format!("OPS-{number}"), "self": "x" }),
        );
    }
    match (came.method.as_str(), came.path.rsplit('/').next()) {
        ("POST", Some("comment")) => said(201, &json!({ "id": "7" })),
        ("GET", Some("transitions")) => said(
            200,
            &json!({ "transitions": [
                { "id": "11", "to": { "statusCategory": { "key": "new" } } },
                { "id": "31", "to": { "statusCategory": { "key": "done" } } },
            ] }),
        ),
        ("POST", Some("transitions")) => {
            tickets[at_path()].1 = body["transition"]["id"] == "31";
            StatusCode::NO_CONTENT.into_response()
        }
        _ => said(404, &json!({ "errorMessages": ["no such"] })),
    }
}

fn devops(inner: &mut Inner, came: &Came, body: &Value) -> Response {
    let tickets = inner.tickets.entry("azure_devops".into()).or_default();
    if came.path.contains("/_apis/wit/wiql?") {
        let query = body["query"].as_str().expect("a query");
        let found = tickets
            .iter()
            .position(|(tag, _)| query.contains(&format!("'{tag}'")));
        let items: Vec<Value> = found
            .map(|at| json!({ "id": at + 1 }))
            .into_iter()
            .collect();
        return said(200, &json!({ "workItems": items }));
    }
    let kind = came.headers.get("content-type").map(String::as_str);
    assert_eq!(kind, Some("application/json-patch+json"));
    let field = |name: &str| {
        let path = format!("/fields/{name}");
        let all = body.as_array().expect("a patch");
        all.iter()
            .find(|one| one["path"] == path)
            .map(|one| one["value"].clone())
    };
    if came.path.contains("/_apis/wit/workitems/$Issue?") {
        let tags = field("System.Tags").expect("tags");
        let tag = tags
            .as_str()
            .expect("a text")
            .split("; ")
            .nth(1)
            .expect("a tag")
            .to_owned();
        tickets.push((tag, false));
        return said(200, &json!({ "id": tickets.len() }));
    }
    let id = came
        .path
        .rsplit('/')
        .next()
        .and_then(|rest| rest.split('?').next());
    let at: usize = id.expect("an id").parse().expect("a number");
    if field("System.State").is_some_and(|state| state == "Closed") {
        tickets[at - 1].1 = true;
    }
    said(200, &json!({ "id": at }))
}
