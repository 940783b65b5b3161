//! ServiceNow. Source: ServiceNow REST API reference, "Table API", and "OAuth client credentials".

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Letter, Taken, Ticket, fits_path, secret, unexpected};
use crate::app::App;
use crate::domain::{Act, Message, Priority};
use crate::estate::{Login, Servicenow};
use crate::notify::http::{Failure, Kind, Request, basic, below, exchange};
use crate::notify::words;

/// A state of an incident in ServiceNow.
const IN_PROGRESS: &str = "2";

pub(super) async fn send(
    app: &App,
    settings: &Servicenow,
    letter: &Letter<'_>,
) -> Result<Taken, Failure> {
    let signed = sign_in(app, settings).await?;
    let act = letter.message.act;
    let known = letter.ticket.filter(|_| act != Act::Trigger);
    let ticket = match known {
        Some(ticket) => Some((ticket.clone(), None)),
        // Also before the first is opened: an earlier try may have done so unheard.
        None => find(app, settings, &signed, letter.message).await?,
    };
    match ticket {
        Some((ticket, state)) => {
            let closed = state.as_deref() == Some(&settings.close_state);
            let request = note(settings, &ticket, letter.message, closed);
            match exchange(app, request.header("authorization", signed)).await {
                Ok(reply) => Ok(Taken {
                    pause: reply.pause,
                    ..Taken::ticket(done(act), ticket)
                }),
                Err(failure) if known.is_some() && failure.status == Some(404) => {
                    let why = format!("ticket {} is gone", ticket.number);
                    Err(Failure::new(Kind::Refused, why))
                }
                Err(failure) => Err(failure),
            }
        }
        None if act == Act::Trigger => {
            let request = open(settings, letter.message);
            let reply = exchange(app, request.header("authorization", signed)).await?;
            let ticket = read(&reply.json()["result"]).ok_or_else(|| unexpected("no number"))?;
            Ok(Taken {
                pause: reply.pause,
                ..Taken::ticket("opened", ticket)
            })
        }
        None => Ok(Taken::new("there is no ticket of it")),
    }
}

fn done(act: Act) -> &'static str {
    match act {
        Act::Trigger => "noted in the ticket that is there",
        Act::Acknowledge | Act::Update => "noted",
        Act::Resolve => "resolved",
    }
}

/// What the `Authorization` header says.
async fn sign_in(app: &App, settings: &Servicenow) -> Result<String, Failure> {
    let key = secret(app, &settings.secret)?;
    match &settings.login {
        Login::User(user) => Ok(basic(user, key)),
        Login::Client(client) => {
            let reply = exchange(app, token(&settings.url, client, key)).await?;
            let body = reply.json();
            let token = body["access_token"]
                .as_str()
                .filter(|token| !token.is_empty());
            let token = token.ok_or_else(|| unexpected("no token"))?;
            Ok(format!("Bearer {token}"))
        }
    }
}

fn token(url: &Url, client: &str, key: &str) -> Request {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client)
        .append_pair("client_secret", key)
        .finish();
    Request {
        method: Method::POST,
        url: below(url, &["oauth_token.do"]),
        headers: vec![
            ("accept", "application/json".into()),
            ("content-type", "application/x-www-form-urlencoded".into()),
        ],
        body: form.into_bytes(),
    }
}

/// The ticket of an incident that is still open, and its state.
async fn find(
    app: &App,
    settings: &Servicenow,
    signed: &str,
    message: &Message,
) -> Result<Option<(Ticket, Option<String>)>, Failure> {
    let request = lookup(&settings.url, message).header("authorization", signed);
    let body = exchange(app, request).await?.json();
    let rows = body["result"]
        .as_array()
        .ok_or_else(|| unexpected("no list"))?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let ticket = read(row).ok_or_else(|| unexpected("no number"))?;
    Ok(Some((ticket, row["state"].as_str().map(str::to_owned))))
}

fn lookup(url: &Url, message: &Message) -> Request {
    let mut url = below(url, &["api", "now", "table", "incident"]);
    let query = format!(
        "correlation_id={}^active=true^ORDERBYDESCsys_created_on",
        message.incident
    );
    url.query_pairs_mut()
        .append_pair("sysparm_query", &query)
        .append_pair("sysparm_fields", "sys_id,number,state")
        .append_pair("sysparm_limit", "1");
    Request::get(url)
}

fn open(settings: &Servicenow, message: &Message) -> Request {
    let mut url = below(&settings.url, &["api", "now", "table", "incident"]);
    url.query_pairs_mut()
        .append_pair("sysparm_fields", "sys_id,number")
        .append_pair("sysparm_input_display_value", "true");
    // ServiceNow makes the priority of these two.
    let (impact, urgency) = match message.priority {
        Priority::Critical => ("1", "1"),
        Priority::High => ("1", "2"),
        Priority::Medium => ("2", "2"),
        Priority::Low => ("3", "3"),
    };
    let mut body = json!({
        "short_description": words::title(message, 160),
        "description": words::cut(&words::plain(message), 4000),
        "impact": impact,
        "urgency": urgency,
        "correlation_id": message.incident.as_str(),
        "correlation_display": "Poolkeeper",
    });
    if let Some(group) = &settings.assignment_group {
        body["assignment_group"] = json!(group);
    }
    Request::json(Method::POST, url, &body)
}

/// What has happened, in the ticket. `closed`: the ticket is resolved at the moment.
fn note(settings: &Servicenow, ticket: &Ticket, message: &Message, closed: bool) -> Request {
    let url = below(
        &settings.url,
        &["api", "now", "table", "incident", &ticket.id],
    );
    let text = words::cut(&words::plain(message), 4000);
    let mut body = json!({ "work_notes": text });
    match message.act {
        Act::Trigger if closed => body["state"] = json!(IN_PROGRESS),
        Act::Acknowledge => body["state"] = json!(IN_PROGRESS),
        Act::Trigger | Act::Update => {}
        Act::Resolve => {
            body["state"] = json!(settings.close_state);
            body["close_code"] = json!(settings.close_code);
            body["close_notes"] = json!(words::cut(&words::plain(message), 1000));
        }
    }
    Request::json(Method::PATCH, url, &body)
}

fn read(row: &Value) -> Option<Ticket> {
    let id = row["sys_id"].as_str().filter(|id| fits_path(id))?;
    let number = row["number"].as_str().unwrap_or(id);
    Some(Ticket {
        id: id.to_owned(),
        number: words::one_line(number, 60),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{body, header, sample};
    use super::*;

    fn settings() -> Servicenow {
        Servicenow {
            url: Url::parse("https://example.service-now.com").expect("a URL"),
            login: Login::User("u".into()),
            secret: "S".into(),
            assignment_group: Some("Cloud Operations".into()),
            close_code: "Solution provided".into(),
            close_state: "6".into(),
        }
    }

    #[test]
    fn requests_are_as_documented() {
        let settings = settings();
        let base = "https://example.service-now.com/api/now/table/incident";
        let message = sample(Act::Trigger);
        let request = lookup(&settings.url, &message);
        assert_eq!(
            request.url.as_str(),
            format!(
                "{base}?sysparm_query=correlation_id%3Dinc-0123456789ab-1%5Eactive%3Dtrue%5E\
                 ORDERBYDESCsys_created_on&sysparm_fields=sys_id%2Cnumber%2Cstate&sysparm_limit=1"
            )
        );
        let request = open(&settings, &message);
        assert_eq!(request.method, Method::POST);
        assert_eq!(
            body(&request),
            json!({
                "short_description": "[high] p95 is <above> 3 s & rising",
                "description": words::plain(&message),
                "impact": "1", "urgency": "2",
                "correlation_id": "inc-0123456789ab-1",
                "correlation_display": "Poolkeeper",
                "assignment_group": "Cloud Operations",
            })
        );
        let ticket = Ticket {
            id: "0a1b".into(),
            number: "INC0010001".into(),
        };
        for (act, closed, state) in [
            (Act::Trigger, false, None),
            (Act::Trigger, true, Some("2")),
            (Act::Acknowledge, false, Some("2")),
            (Act::Update, false, None),
            (Act::Resolve, false, Some("6")),
        ] {
            let message = sample(act);
            let request = note(&settings, &ticket, &message, closed);
            assert_eq!(request.method, Method::PATCH);
            assert_eq!(request.url.as_str(), format!("{base}/0a1b"));
            let body = body(&request);
            assert_eq!(body["work_notes"], words::plain(&message));
            assert_eq!(body["state"].as_str(), state, "{act:?}");
            let code = (act == Act::Resolve).then_some("Solution provided");
            assert_eq!(body["close_code"].as_str(), code, "{act:?}");
        }
        let request = token(&settings.url, "c", "s&s");
        assert_eq!(
            request.url.as_str(),
            "https://example.service-now.com/oauth_token.do"
        );
        assert_eq!(
            String::from_utf8_lossy(&request.body),
            "grant_type=client_credentials&client_id=c&client_secret=s%26s"
        );
        assert_eq!(
            header(&request, "content-type"),
            Some("application/x-www-form-urlencoded")
        );
    }

    #[test]
    fn an_answer_leads_nowhere_else() {
        for id in ["", "a/../b", "a?b", &"a".repeat(100)] {
            assert!(
                read(&json!({ "sys_id": id, "number": "1" })).is_none(),
                "{id}"
            );
        }
    }
}
