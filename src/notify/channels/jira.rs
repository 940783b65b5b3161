//! Jira Cloud. Source: Atlassian developer documentation, "The Jira Cloud platform REST API" v3:
//! issues, issue search (`/search/jql`), comments and transitions; and "Atlassian Document Format".

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Letter, Taken, Ticket, fits_path, label, secret, unexpected};
use crate::app::App;
use crate::domain::{Act, Message};
use crate::estate::Way;
use crate::notify::http::{Failure, Kind, Request, basic, below, exchange};
use crate::notify::words;

/// What is written is found by a search only some seconds later.
const FOUND_AFTER: Duration = Duration::from_secs(15);

pub(super) async fn send(app: &App, way: &Way, letter: &Letter<'_>) -> Result<Taken, Failure> {
    let Way::Jira {
        url,
        user,
        secret: key,
        project,
        item_type,
    } = way
    else {
        return Err(Failure::new(Kind::Broken, "not a channel of Jira"));
    };
    let signed = basic(user, secret(app, key)?);
    let ask = |request: Request| exchange(app, request.header("authorization", signed.clone()));
    let (message, act) = (letter.message, letter.message.act);
    let known = letter.ticket.filter(|_| act != Act::Trigger);
    let found = match known {
        Some(ticket) => Some((ticket.clone(), None)),
        None => {
            let body = ask(search(url, project, message)).await?.json();
            let issues = body["issues"]
                .as_array()
                .ok_or_else(|| unexpected("no list"))?;
            match issues.first() {
                None => None,
                Some(issue) => {
                    let ticket = read(issue).ok_or_else(|| unexpected("no key"))?;
                    Some((
                        ticket,
                        category(&issue["fields"]["status"]).map(str::to_owned),
                    ))
                }
            }
        }
    };
    let Some((ticket, state)) = found else {
        if act != Act::Trigger {
            return Ok(Taken::new("there is no issue of it"));
        }
        // If it was opened unheard, a search finds it some seconds later.
        let later = |failure: Failure| match failure.kind {
            Kind::Passing => Failure {
                pause: Some(failure.pause.unwrap_or_default().max(FOUND_AFTER)),
                ..failure
            },
            _ => failure,
        };
        let reply = ask(create(url, project, item_type, message))
            .await
            .map_err(later)?;
        let ticket = read(&reply.json()).ok_or_else(|| unexpected("no key"))?;
        return Ok(Taken {
            pause: reply.pause,
            ..Taken::ticket("opened", ticket)
        });
    };
    let is_done = state.as_deref() == Some(DONE);
    let reply = ask(comment(url, &ticket, message)).await?;
    let mut said = match act {
        Act::Trigger => "noted in the issue that is there",
        _ => "noted",
    };
    let wanted = match act {
        Act::Resolve => Some(true),
        Act::Trigger if is_done => Some(false),
        _ => None,
    };
    if let Some(to_done) = wanted {
        let body = ask(Request::get(transitions(url, &ticket))).await?.json();
        match transition(&body, to_done) {
            Some(id) => {
                let body = json!({ "transition": { "id": id } });
                let request = Request::json(Method::POST, transitions(url, &ticket), &body);
                ask(request).await?;
                said = if to_done { "closed" } else { "opened again" };
            }
            // Nothing leads out of a state that is done already.
            None => said = "noted; the workflow of the issue has no way there",
        }
    }
    Ok(Taken {
        pause: reply.pause,
        ..Taken::ticket(said, ticket)
    })
}

/// The category of states in which nothing more is to be done.
const DONE: &str = "done";

fn category(status: &Value) -> Option<&str> {
    status["statusCategory"]["key"].as_str()
}

/// The first transition that leads to a state that is done, or to one that is not.
fn transition(answer: &Value, to_done: bool) -> Option<String> {
    let all = answer["transitions"].as_array()?;
    let leads = |t: &&Value| category(&t["to"]).is_some_and(|c| (c == DONE) == to_done);
    let id = all.iter().find(leads)?["id"].as_str()?;
    Some(id.to_owned())
}

fn search(url: &Url, project: &str, message: &Message) -> Request {
    let project = project.replace('\\', "\\\\").replace('"', "\\\"");
    let jql = format!(
        "project = \"{project}\" AND labels = \"{}\" ORDER BY created DESC",
        label(message)
    );
    let body = json!({ "jql": jql, "maxResults": 1, "fields": ["status"] });
    Request::json(
        Method::POST,
        below(url, &["rest", "api", "3", "search", "jql"]),
        &body,
    )
}

fn create(url: &Url, project: &str, item_type: &str, message: &Message) -> Request {
    let body = json!({ "fields": {
        "project": { "key": project },
        "issuetype": { "name": item_type },
        "summary": words::title(message, 250),
        "labels": ["poolkeeper", label(message)],
        "description": document(message),
    } });
    Request::json(
        Method::POST,
        below(url, &["rest", "api", "3", "issue"]),
        &body,
    )
}

fn comment(url: &Url, ticket: &Ticket, message: &Message) -> Request {
    let url = below(url, &["rest", "api", "3", "issue", &ticket.id, "comment"]);
    Request::json(Method::POST, url, &json!({ "body": document(message) }))
}

fn transitions(url: &Url, ticket: &Ticket) -> Url {
    below(
        url,
        &["rest", "api", "3", "issue", &ticket.id, "transitions"],
    )
}

/// The text as a document: a paragraph for each of its own.
fn document(message: &Message) -> Value {
    let text = words::cut(&words::plain(message), 20_000);
    let paragraphs: Vec<Value> = text
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| {
            let mut content = Vec::new();
            for line in paragraph
                .trim()
                .lines()
                .filter(|line| !line.trim().is_empty())
            {
                if !content.is_empty() {
                    content.push(json!({ "type": "hardBreak" }));
                }
                content.push(json!({ "type": "text", "text": line }));
            }
            json!({ "type": "paragraph", "content": content })
        })
        .collect();
    json!({ "type": "doc", "version": 1, "content": paragraphs })
}

fn read(issue: &Value) -> Option<Ticket> {
    let key = issue["key"].as_str().filter(|key| fits_path(key))?;
    Some(Ticket {
        id: key.to_owned(),
        number: key.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{body, sample};
    use super::*;

    #[test]
    fn requests_are_as_documented() {
        let url = Url::parse("https://example.atlassian.net").expect("a URL");
        let message = sample(Act::Trigger);
        let request = search(&url, "OPS", &message);
        assert_eq!(request.url.path(), "/rest/api/3/search/jql");
        assert_eq!(
            body(&request),
            json!({
                "jql": "project = \"OPS\" AND labels = \"poolkeeper-inc-0123456789ab-1\" \
                        ORDER BY created DESC",
                "maxResults": 1,
                "fields": ["status"],
            })
        );
        let request = create(&url, "OPS", "Task", &message);
        assert_eq!(request.url.path(), "/rest/api/3/issue");
        let paragraph = |lines: &[&str]| {
            let mut content = Vec::new();
            for line in lines {
                if !content.is_empty() {
                    content.push(json!({ "type": "hardBreak" }));
                }
                content.push(json!({ "type": "text", "text": line }));
            }
            json!({ "type": "paragraph", "content": content })
        };
        let document = json!({ "type": "doc", "version": 1, "content": [
            paragraph(&["Open: p95 is <above> 3 s & rising"]),
            paragraph(&["応答が遅い。", "Since 06:00."]),
            paragraph(&["p95: 3.4 s"]),
            paragraph(&[
                "Incident: inc-0123456789ab-1",
                "Priority: high",
                "Time: 2026-03-02 06:00:00 UTC",
                "https://pool.example.com/incidents/1",
            ]),
        ] });
        assert_eq!(
            body(&request),
            json!({ "fields": {
                "project": { "key": "OPS" },
                "issuetype": { "name": "Task" },
                "summary": "[high] p95 is <above> 3 s & rising",
                "labels": ["poolkeeper", "poolkeeper-inc-0123456789ab-1"],
                "description": document,
            } })
        );
        let ticket = Ticket {
            id: "OPS-7".into(),
            number: "OPS-7".into(),
        };
        let request = comment(&url, &ticket, &message);
        assert_eq!(request.url.path(), "/rest/api/3/issue/OPS-7/comment");
        assert_eq!(body(&request), json!({ "body": document }));
        assert_eq!(
            transitions(&url, &ticket).path(),
            "/rest/api/3/issue/OPS-7/transitions"
        );
    }

    #[test]
    fn a_transition_is_chosen_by_where_it_leads() {
        let to =
            |id: &str, key: &str| json!({ "id": id, "to": { "statusCategory": { "key": key } } });
        let answer = json!({ "transitions": [to("11", "new"), to("21", "indeterminate"), to("31", "done")] });
        assert_eq!(transition(&answer, true).as_deref(), Some("31"));
        assert_eq!(transition(&answer, false).as_deref(), Some("11"));
        assert_eq!(transition(&json!({ "transitions": [] }), true), None);
    }
}
