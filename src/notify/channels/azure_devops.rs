//! Azure DevOps. Source: Azure DevOps Services REST API 7.1, "Work Items - Create", "Work Items -
//! Update" and "Wiql - Query By Wiql"; sign-in by a personal access token or by Entra.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Letter, Taken, Ticket, label, secret, unexpected};
use crate::app::App;
use crate::azure::Plane;
use crate::domain::{Act, Message};
use crate::estate::Way;
use crate::notify::http::{Failure, Kind, Reply, Request, basic, below, exchange};
use crate::notify::words;

const VERSION: &str = "7.1";

pub(super) async fn send(app: &App, way: &Way, letter: &Letter<'_>) -> Result<Taken, Failure> {
    let Way::AzureDevops {
        url,
        project,
        item_type,
        close_state,
        secret: key,
    } = way
    else {
        return Err(Failure::new(Kind::Broken, "not a channel of Azure DevOps"));
    };
    let signed = match key {
        Some(key) => basic("", secret(app, key)?),
        None => format!(
            "Bearer {}",
            super::acs_email::token(app, Plane::DevOps, url).await?
        ),
    };
    let ask = async |request: Request| -> Result<Reply, Failure> {
        let reply = exchange(app, request.header("authorization", signed.clone())).await?;
        // A token that is not taken leads to a page to sign in at.
        if reply.status == 203 || reply.is_html() {
            return Err(Failure::new(Kind::Broken, "the token is not taken"));
        }
        Ok(reply)
    };
    let (message, act) = (letter.message, letter.message.act);
    let known = letter.ticket.filter(|_| act != Act::Trigger).cloned();
    let found = match known {
        Some(ticket) => Some(ticket),
        None => {
            let body = ask(search(url, project, message)).await?.json();
            let items = body["workItems"]
                .as_array()
                .ok_or_else(|| unexpected("no list"))?;
            match items.first() {
                None => None,
                Some(item) => Some(read(item).ok_or_else(|| unexpected("no id"))?),
            }
        }
    };
    let Some(ticket) = found else {
        if act != Act::Trigger {
            return Ok(Taken::new("there is no work item of it"));
        }
        let reply = ask(create(url, project, item_type, message)).await?;
        let ticket = read(&reply.json()).ok_or_else(|| unexpected("no id"))?;
        return Ok(Taken {
            pause: reply.pause,
            ..Taken::ticket("opened", ticket)
        });
    };
    let reply = ask(note(url, project, &ticket, close_state, message)).await?;
    let said = match act {
        Act::Trigger => "noted in the work item that is there",
        Act::Acknowledge | Act::Update => "noted",
        Act::Resolve => "closed",
    };
    Ok(Taken {
        pause: reply.pause,
        ..Taken::ticket(said, ticket)
    })
}

fn place(url: &Url, project: &str, rest: &[&str]) -> Url {
    let mut url = below(url, &[&[project, "_apis", "wit"], rest].concat());
    url.query_pairs_mut().append_pair("api-version", VERSION);
    url
}

fn search(url: &Url, project: &str, message: &Message) -> Request {
    let query = format!(
        "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project \
         AND [System.Tags] CONTAINS '{}' ORDER BY [System.Id] DESC",
        label(message)
    );
    let mut url = place(url, project, &["wiql"]);
    url.query_pairs_mut().append_pair("$top", "1");
    Request::json(Method::POST, url, &json!({ "query": query }))
}

fn create(url: &Url, project: &str, item_type: &str, message: &Message) -> Request {
    let url = place(url, project, &["workitems", &format!("${item_type}")]);
    let patch = json!([
        field("System.Title", &words::title(message, 250)),
        field("System.Description", &words::html(message)),
        field("System.Tags", &format!("poolkeeper; {}", label(message))),
    ]);
    patched(Method::POST, url, &patch)
}

fn note(
    url: &Url,
    project: &str,
    ticket: &Ticket,
    close_state: &str,
    message: &Message,
) -> Request {
    let url = place(url, project, &["workitems", &ticket.id]);
    let mut patch = vec![field("System.History", &words::html(message))];
    if message.act == Act::Resolve {
        patch.push(field("System.State", close_state));
    }
    patched(Method::PATCH, url, &json!(patch))
}

fn field(name: &str, value: &str) -> Value {
    json!({ "op": "add", "path": format!("/fields/{name}"), "value": value })
}

fn patched(method: Method, url: Url, patch: &Value) -> Request {
    Request::json(method, url, patch).header("content-type", "application/json-patch+json")
}

fn read(item: &Value) -> Option<Ticket> {
    let id = item["id"].as_u64()?.to_string();
    Some(Ticket {
        number: format!("#{id}"),
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{body, header, sample};
    use super::*;

    #[test]
    fn requests_are_as_documented() {
        let url = Url::parse("https://dev.azure.com/example").expect("a URL");
        let base = "https://dev.azure.com/example/Cloud%20Operations/_apis/wit";
        let message = sample(Act::Trigger);
        let request = search(&url, "Cloud Operations", &message);
        assert_eq!(
            request.url.as_str(),
            format!("{base}/wiql?api-version=7.1&%24top=1")
        );
        assert_eq!(
            body(&request),
            json!({ "query": "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project \
                AND [System.Tags] CONTAINS 'poolkeeper-inc-0123456789ab-1' ORDER BY [System.Id] DESC" })
        );
        let request = create(&url, "Cloud Operations", "Issue", &message);
        assert_eq!(
            request.url.as_str(),
            format!("{base}/workitems/$Issue?api-version=7.1")
        );
        assert_eq!(
            header(&request, "content-type"),
            Some("application/json-patch+json")
        );
        assert_eq!(
            body(&request),
            json!([
                { "op": "add", "path": "/fields/System.Title", "value": "[high] p95 is <above> 3 s & rising" },
                { "op": "add", "path": "/fields/System.Description", "value": words::html(&message) },
                { "op": "add", "path": "/fields/System.Tags",
                  "value": "poolkeeper; poolkeeper-inc-0123456789ab-1" },
            ])
        );
        assert!(words::html(&message).contains("p95 is &lt;above&gt; 3 s &amp; rising"));
        let ticket = Ticket {
            id: "42".into(),
            number: "#42".into(),
        };
        for (act, expected) in [(Act::Update, 1), (Act::Resolve, 2)] {
            let message = sample(act);
            let request = note(&url, "Cloud Operations", &ticket, "Closed", &message);
            assert_eq!(request.method, Method::PATCH);
            assert_eq!(
                request.url.as_str(),
                format!("{base}/workitems/42?api-version=7.1")
            );
            let body = body(&request);
            assert_eq!(body.as_array().map(Vec::len), Some(expected));
            assert_eq!(body[0]["path"], "/fields/System.History");
            if act == Act::Resolve {
                assert_eq!(
                    body[1],
                    json!({ "op": "add", "path": "/fields/System.State", "value": "Closed" })
                );
            }
        }
    }
}
