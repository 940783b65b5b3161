//! Microsoft Teams. Source: Microsoft Learn, "Create incoming webhooks with Workflows for Microsoft
//! Teams", and the schema of Adaptive Cards 1.4.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Letter, Taken, secret_url};
use crate::app::App;
use crate::domain::{Act, Message, Priority};
use crate::notify::http::{Failure, Kind, Request, exchange};
use crate::notify::words;

/// What Teams takes of one message.
const MOST_BYTES: usize = 28 * 1024;

pub(super) async fn send(app: &App, key: &str, letter: &Letter<'_>) -> Result<Taken, Failure> {
    let url = secret_url(app, key)?;
    let reply = exchange(app, post(url, letter.message)).await?;
    // Some of Teams' front ends say so within an answer that is good otherwise.
    if String::from_utf8_lossy(&reply.body).contains("HTTP error 429") {
        return Err(Failure::new(Kind::Limited, "too many messages"));
    }
    Ok(Taken {
        pause: reply.pause,
        ..Taken::new("posted")
    })
}

/// The card, shortened until it is taken.
fn post(url: Url, message: &Message) -> Request {
    let mut most = 8000;
    loop {
        let card = card(message, most);
        if most <= 100 || card.to_string().len() <= MOST_BYTES {
            return Request::json(Method::POST, url, &card);
        }
        most /= 2;
    }
}

fn card(message: &Message, most: usize) -> Value {
    let colour = match (message.act, message.priority) {
        (Act::Resolve, _) => "Good",
        (_, Priority::Critical | Priority::High) => "Attention",
        (_, Priority::Medium) => "Warning",
        (_, Priority::Low) => "Default",
    };
    let head = format!(
        "{}: {}",
        words::verb(message.act),
        words::title(message, 300)
    );
    let mut body = vec![json!({
        "type": "TextBlock", "text": plain(&head), "weight": "Bolder", "size": "Medium",
        "wrap": true, "color": colour,
    })];
    let text = words::cut(words::clean(&message.text).trim(), most);
    if !text.is_empty() {
        // A single end of a line is none to Markdown.
        let text = plain(&text).replace('\n', "\n\n");
        body.push(json!({ "type": "TextBlock", "text": text, "wrap": true }));
    }
    let facts = message.facts.iter().take(most / 100).map(|(name, value)| {
        let (name, value) = (
            words::one_line(name, 60),
            words::one_line(value, most.min(300)),
        );
        (name, value)
    });
    let about = words::about(message)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let facts: Vec<Value> = facts
        .chain(about)
        .map(|(name, value)| json!({ "title": plain(&name), "value": plain(&value) }))
        .collect();
    body.push(json!({ "type": "FactSet", "facts": facts }));
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": { "width": "Full" },
    });
    if let Some(link) = message.link.as_deref().filter(|link| words::is_web(link)) {
        content["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open", "url": link }]);
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": content,
        }],
    })
}

/// Text in which Markdown finds no link.
fn plain(text: &str) -> String {
    text.replace("](", "] (")
}

#[cfg(test)]
mod tests {
    use super::super::{body, sample};
    use super::*;

    #[test]
    fn a_card_is_as_documented() {
        let url = Url::parse("https://example.logic.azure.com/x?sig=s").expect("a URL");
        let request = post(url, &sample(Act::Resolve));
        assert_eq!(
            body(&request),
            json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": null,
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.4",
                        "msteams": { "width": "Full" },
                        "body": [
                            { "type": "TextBlock", "text": "Resolved: [high] p95 is <above> 3 s & rising",
                              "weight": "Bolder", "size": "Medium", "wrap": true, "color": "Good" },
                            { "type": "TextBlock", "text": "応答が遅い。\n\nSince 06:00.", "wrap": true },
                            { "type": "FactSet", "facts": [
                                { "title": "p95", "value": "3.4 s" },
                                { "title": "Incident", "value": "inc-0123456789ab-1" },
                                { "title": "Priority", "value": "high" },
                                { "title": "Time", "value": "2026-03-02 06:00:00 UTC" },
                            ] },
                        ],
                        "actions": [{ "type": "Action.OpenUrl", "title": "Open",
                            "url": "https://pool.example.com/incidents/1" }],
                    },
                }],
            })
        );
        assert!(!format!("{request:?}").contains("sig"));
    }

    #[test]
    fn a_long_message_is_cut_to_what_teams_takes() {
        let mut message = sample(Act::Trigger);
        message.title = "遅".repeat(5000);
        message.text = "\u{1}遅い\n".repeat(20_000);
        message.facts = (0..500)
            .map(|n| (format!("{n}"), "値".repeat(2000)))
            .collect();
        let request = post(Url::parse("https://example.com/").expect("a URL"), &message);
        assert!(request.body.len() <= MOST_BYTES, "{}", request.body.len());
        assert!(body(&request)["attachments"][0]["content"]["body"].is_array());
    }
}
