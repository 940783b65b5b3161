//! Jira Cloud. Source: REST API version 3.

use axum::http::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::kept::{Ticket, headline, put_ticket, tickets_of, words};
use super::query::conditions;
use super::{Answer, Call, Kept, Who};
use crate::local::storage::Refusal;

const SYSTEM: &str = "jira";

/// States, with the transition that leads to each and its category.
const STATES: [(&str, &str, &str); 3] = [
    ("11", "To Do", "new"),
    ("21", "In Progress", "indeterminate"),
    ("31", "Done", "done"),
];

fn refuse(status: u16, messages: &[&str], errors: Value) -> Answer {
    Answer::json(
        status,
        json!({ "errorMessages": messages, "errors": errors }),
    )
}

fn no_issue() -> Answer {
    let why = "Issue does not exist or you do not have permission to see it.";
    refuse(404, &[why], json!({}))
}

pub(super) fn answer(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let path = call.path();
    let rest = match &path[..] {
        ["rest", "api", "3", rest @ ..] => rest,
        ["ex", "jira", _, "rest", "api", "3", rest @ ..] => rest,
        _ => {
            return Ok(refuse(
                404,
                &["only version 3 of the REST API is simulated"],
                json!({}),
            ));
        }
    };
    if call.who == Who::Nobody {
        return Ok(Answer::text(
            401,
            "Client must be authenticated to access this resource.",
        ));
    }
    let issue = |key: &str| -> Result<Option<Ticket>, Refusal> {
        let mut all = tickets_of(db, SYSTEM, &call.host)?.into_iter();
        Ok(all.find(|t| t.id.eq_ignore_ascii_case(key) || t.body["id"] == key))
    };
    match (&call.method, rest) {
        (&Method::POST, ["issue"]) => create(db, call),
        (&Method::GET | &Method::POST, ["search", "jql"]) => search(db, call),
        (_, ["search"]) => {
            let why = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.";
            Ok(refuse(410, &[why], json!({})))
        }
        (method, ["issue", key, rest @ ..]) => {
            let Some(ticket) = issue(key)? else {
                return Ok(no_issue());
            };
            match (method, rest) {
                (&Method::GET, []) => Ok(Answer::json(200, ticket.body)),
                (&Method::PUT, []) => edit(db, call, ticket),
                (&Method::POST, ["comment"]) => comment(db, call, ticket),
                (&Method::GET, ["transitions"]) => {
                    let all: Vec<Value> = STATES
                        .iter()
                        .map(|(id, name, category)| {
                            json!({ "id": id, "name": name, "to": status(name, category) })
                        })
                        .collect();
                    let body = json!({ "expand": "transitions", "transitions": all });
                    Ok(Answer::json(200, body))
                }
                (&Method::POST, ["transitions"]) => transition(db, call, ticket),
                _ => Ok(Answer::empty(405)),
            }
        }
        _ => Ok(refuse(404, &["not simulated"], json!({}))),
    }
}

fn status(name: &str, category: &str) -> Value {
    let label = match category {
        "new" => "To Do",
        "done" => "Done",
        _ => "In Progress",
    };
    json!({ "name": name, "statusCategory": { "key": category, "name": label } })
}

/// Whether this is a document of the Atlassian Document Format.
fn is_document(value: &Value) -> bool {
    value["type"] == "doc" && value["version"] == 1 && value["content"].is_array()
}

/// What is wrong with fields that are to be set.
fn wrong(fields: &Value) -> serde_json::Map<String, Value> {
    let mut errors = serde_json::Map::new();
    let mut wrong = |field: &str, why: &str| {
        errors.insert(field.to_owned(), why.into());
    };
    if let Some(summary) = fields.get("summary") {
        let summary = summary.as_str().unwrap_or_default();
        if summary.trim().is_empty() {
            wrong("summary", "You must specify a summary of the issue.");
        } else if summary.contains(['\n', '\r']) {
            wrong(
                "summary",
                "The summary is invalid because it contains newline characters.",
            );
        } else if summary.chars().count() > 255 {
            wrong("summary", "Summary must be less than 255 characters.");
        }
    }
    if fields
        .get("description")
        .is_some_and(|text| !text.is_null() && !is_document(text))
    {
        wrong(
            "description",
            "Operation value must be an Atlassian Document (see the Atlassian Document Format)",
        );
    }
    if let Some(labels) = fields.get("labels") {
        let fits = labels.as_array().is_some_and(|labels| {
            labels.iter().all(|label| {
                let text = label.as_str().unwrap_or_default();
                !text.is_empty()
                    && text.chars().count() <= 255
                    && !text.contains(char::is_whitespace)
            })
        });
        if !fits {
            wrong("labels", "The label contains spaces which is invalid.");
        }
    }
    errors
}

fn now(call: &Call) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(call.now).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn create(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let Some(asked) = call.json().filter(|body| body["fields"].is_object()) else {
        return Ok(refuse(
            400,
            &["Can not deserialize the request: `fields` is missing"],
            json!({}),
        ));
    };
    let fields = &asked["fields"];
    let mut errors = wrong(fields);
    let project = text(&fields["project"]["key"]);
    if project.is_empty()
        || !project
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    {
        errors.insert(
            "project".to_owned(),
            "Specify a valid project ID or key".into(),
        );
    }
    let kind = &fields["issuetype"];
    if text(&kind["name"]).is_empty() && text(&kind["id"]).is_empty() {
        errors.insert("issuetype".to_owned(), "Specify an issue type".into());
    }
    if fields.get("summary").is_none() {
        errors.insert(
            "summary".to_owned(),
            "You must specify a summary of the issue.".into(),
        );
    }
    if !errors.is_empty() {
        return Ok(refuse(400, &[], Value::Object(errors)));
    }
    let all = tickets_of(db, SYSTEM, &call.host)?;
    let prefix = format!("{project}-");
    let number = all.iter().filter(|t| t.id.starts_with(&prefix)).count() + 1;
    let (id, key) = (
        (10_001 + all.len()).to_string(),
        format!("{prefix}{number}"),
    );
    let place = format!("https://{}/rest/api/3/issue/{id}", call.host);
    let mut shown = fields.clone();
    shown["status"] = status(STATES[0].1, STATES[0].2);
    shown["created"] = json!(now(call));
    shown["updated"] = json!(now(call));
    shown["comment"] = json!({ "comments": [] });
    let ticket = Ticket {
        system: SYSTEM.to_owned(),
        host: call.host.clone(),
        id: key.clone(),
        title: text(&fields["summary"]),
        state: STATES[0].1.to_owned(),
        open: true,
        changed: now(call),
        body: json!({ "id": id, "key": key, "self": place, "fields": shown }),
    };
    put_ticket(db, &ticket)?;
    let kept = kept(
        &ticket,
        "create",
        words(&fields["description"]),
        asked.clone(),
    );
    Ok(Answer::json(201, json!({ "id": id, "key": key, "self": place })).keeping(kept))
}

fn kept(ticket: &Ticket, kind: &str, text: String, body: Value) -> Kept {
    Kept {
        channel: SYSTEM,
        kind: kind.to_owned(),
        to: ticket.id.clone(),
        subject: match kind {
            "create" => ticket.title.clone(),
            "transition" => format!("{}: {}", ticket.state, ticket.title),
            _ => headline(&text, &ticket.title),
        },
        text,
        body,
    }
}

fn search(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let body = call.json().unwrap_or_default();
    let asked = |name: &str| match &body[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => call.query(name).map(str::to_owned),
    };
    let jql = asked("jql").unwrap_or_default();
    if jql.trim().is_empty() {
        return Ok(refuse(
            400,
            &[
                "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.",
            ],
            json!({}),
        ));
    }
    let conditions = match conditions(&jql) {
        Ok(conditions) => conditions,
        Err(why) => {
            return Ok(refuse(
                400,
                &[&format!("Error in the JQL Query: {why}")],
                json!({}),
            ));
        }
    };
    let most: usize = asked("maxResults")
        .and_then(|n| n.parse().ok())
        .unwrap_or(50);
    let from: usize = asked("nextPageToken")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let fields: Vec<String> = match &body["fields"] {
        Value::Array(names) => names.iter().map(text).collect(),
        _ => call.query("fields").map_or_else(Vec::new, |names| {
            names.split(',').map(str::to_owned).collect()
        }),
    };
    let mut found = Vec::new();
    for ticket in tickets_of(db, SYSTEM, &call.host)? {
        let of = &ticket.body["fields"];
        let mut fits = true;
        for condition in &conditions {
            let labels: Vec<&str> = of["labels"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let part = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
            let holds = match condition.field.as_str() {
                "labels" => condition.holds(&labels),
                "project" => condition.holds(&[&part(&of["project"]["key"])]),
                "key" | "issue" | "issuekey" => condition.holds(&[&ticket.id]),
                "status" => condition.holds(&[&ticket.state]),
                "statuscategory" => condition.holds(&[
                    &part(&of["status"]["statusCategory"]["name"]),
                    &part(&of["status"]["statusCategory"]["key"]),
                ]),
                "issuetype" | "type" => condition.holds(&[&part(&of["issuetype"]["name"])]),
                "summary" => condition.holds(&[&ticket.title]),
                other => {
                    let why = format!(
                        "Field '{other}' does not exist or you do not have permission to view it."
                    );
                    return Ok(refuse(400, &[&why], json!({})));
                }
            };
            fits = fits && holds;
        }
        if fits {
            found.push(ticket);
        }
    }
    // Newest first, as without an order of one's own.
    found.reverse();
    let more = found.len() > from + most;
    let issues: Vec<Value> = found
        .iter()
        .skip(from)
        .take(most)
        .map(|ticket| {
            let mut issue =
                json!({ "id": ticket.body["id"], "key": ticket.id, "self": ticket.body["self"] });
            let every = fields.iter().any(|f| f.starts_with('*'));
            for (name, value) in ticket.body["fields"].as_object().into_iter().flatten() {
                if every || fields.contains(name) {
                    issue["fields"][name] = value.clone();
                }
            }
            issue
        })
        .collect();
    let mut answer = json!({ "issues": issues, "isLast": !more });
    if more {
        answer["nextPageToken"] = (from + most).to_string().into();
    }
    Ok(Answer::json(200, answer))
}

fn edit(db: &Connection, call: &Call, mut ticket: Ticket) -> Result<Answer, Refusal> {
    let Some(asked) = call.json().filter(|body| body["fields"].is_object()) else {
        return Ok(refuse(
            400,
            &["one of 'fields' or 'update' required"],
            json!({}),
        ));
    };
    let errors = wrong(&asked["fields"]);
    if !errors.is_empty() {
        return Ok(refuse(400, &[], Value::Object(errors)));
    }
    for (name, value) in asked["fields"].as_object().into_iter().flatten() {
        ticket.body["fields"][name] = value.clone();
    }
    ticket.title = text(&ticket.body["fields"]["summary"]);
    touch(db, call, &mut ticket)?;
    let said = words(&asked["fields"]["description"]);
    Ok(Answer::empty(204).keeping(kept(&ticket, "update", said, asked)))
}

fn touch(db: &Connection, call: &Call, ticket: &mut Ticket) -> Result<(), Refusal> {
    ticket.changed = now(call);
    ticket.body["fields"]["updated"] = json!(now(call));
    put_ticket(db, ticket)
}

fn comment(db: &Connection, call: &Call, mut ticket: Ticket) -> Result<Answer, Refusal> {
    let Some(asked) = call.json().filter(|body| is_document(&body["body"])) else {
        return Ok(refuse(
            400,
            &[],
            json!({ "comment": "Comment body is not valid!" }),
        ));
    };
    let comments = &mut ticket.body["fields"]["comment"]["comments"];
    let id = (20_001 + comments.as_array().map_or(0, Vec::len)).to_string();
    let place = format!(
        "https://{}/rest/api/3/issue/{}/comment/{id}",
        call.host, ticket.id
    );
    let comment = json!({ "id": id, "self": place, "body": asked["body"], "created": now(call) });
    if let Some(comments) = comments.as_array_mut() {
        comments.push(comment.clone());
    }
    touch(db, call, &mut ticket)?;
    let said = words(&asked["body"]);
    Ok(Answer::json(201, comment).keeping(kept(&ticket, "comment", said, asked)))
}

fn transition(db: &Connection, call: &Call, mut ticket: Ticket) -> Result<Answer, Refusal> {
    let asked = call.json().unwrap_or_default();
    let id = text(&asked["transition"]["id"]);
    let Some((_, name, category)) = STATES.iter().find(|(known, ..)| *known == id) else {
        let why = if id.is_empty() {
            "Missing 'transition' identifier"
        } else {
            "Transition id is not valid for this issue."
        };
        return Ok(refuse(400, &[why], json!({})));
    };
    ticket.state = (*name).to_owned();
    ticket.open = *category != "done";
    ticket.body["fields"]["status"] = status(name, category);
    touch(db, call, &mut ticket)?;
    Ok(Answer::empty(204).keeping(kept(&ticket, "transition", format!("-> {name}"), asked)))
}
