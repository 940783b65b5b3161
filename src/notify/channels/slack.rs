//! Slack. Source: Slack API, "Sending messages using incoming webhooks", "Block Kit" and "Formatting
//! text for app surfaces".

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Letter, Taken, secret_url};
use crate::app::App;
use crate::domain::Message;
use crate::notify::http::{Failure, Request, exchange};
use crate::notify::words;

pub(super) async fn send(app: &App, key: &str, letter: &Letter<'_>) -> Result<Taken, Failure> {
    let url = secret_url(app, key)?;
    let reply = exchange(app, post(url, letter.message)).await?;
    Ok(Taken {
        pause: reply.pause,
        ..Taken::new("posted")
    })
}

/// The message, with the text that is shown where blocks are not.
fn post(url: Url, message: &Message) -> Request {
    let head = format!(
        "{}: {}",
        words::verb(message.act),
        words::title(message, 2000)
    );
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": words::cut(&head, 150), "emoji": false },
    })];
    let mut section = |text: &str| {
        if !text.is_empty() {
            blocks.push(json!({
                "type": "section", "text": { "type": "mrkdwn", "text": text },
            }));
        }
    };
    section(&within(words::clean(&message.text).trim(), 3000));
    // A section has ten fields at most.
    for facts in message.facts.chunks(10).take(4) {
        let fields: Vec<Value> = facts
            .iter()
            .map(|(name, value)| {
                let name = within(&words::one_line(name, 100), 400);
                let value = within(&words::one_line(value, 1000), 1500);
                json!({ "type": "mrkdwn", "text": format!("*{name}*\n{value}") })
            })
            .collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let mut about: Vec<String> = words::about(message)
        .into_iter()
        .map(|(name, value)| format!("{name}: {}", within(&value, 400)))
        .collect();
    if let Some(link) = message.link.as_deref().filter(|link| words::is_web(link)) {
        // A bar would end the address.
        let link = format!("<{}|Open>", escaped(link).replace('|', "%7C"));
        // Half an address leads nowhere.
        about.extend(Some(link).filter(|link| link.chars().count() <= 1000));
    }
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "mrkdwn", "text": words::cut(&about.join("  "), 2000) }],
    }));
    let body = json!({ "text": escaped(&head), "blocks": blocks });
    Request::json(Method::POST, url, &body)
}

/// The text as Slack takes it, of at most so many characters then: none is cut in its midst, since
/// what is left of it would be shown, or would mean something.
fn within(text: &str, most: usize) -> String {
    let whole = escaped(text);
    if whole.chars().count() <= most {
        return whole;
    }
    let mut short = String::new();
    let mut count = 0;
    for c in text.chars() {
        let next = escaped(&c.to_string());
        count += next.chars().count();
        if count > most.saturating_sub(1) {
            break;
        }
        short.push_str(&next);
    }
    short.push('…');
    short
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::{body, sample};
    use super::*;
    use crate::domain::Act;

    #[test]
    fn a_message_is_as_documented_and_calls_nobody_by_itself() {
        let url = Url::parse("https://hooks.slack.com/services/T/B/x").expect("a URL");
        let mut message = sample(Act::Trigger);
        message.text = "<!channel> look".into();
        let request = post(url, &message);
        assert_eq!(
            body(&request),
            json!({
                "text": "Open: [high] p95 is &lt;above&gt; 3 s &amp; rising",
                "blocks": [
                    { "type": "header", "text": {
                        "type": "plain_text",
                        "text": "Open: [high] p95 is <above> 3 s & rising",
                        "emoji": false,
                    } },
                    { "type": "section", "text": { "type": "mrkdwn", "text": "&lt;!channel&gt; look" } },
                    { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*p95*\n3.4 s" }] },
                    { "type": "context", "elements": [{ "type": "mrkdwn", "text":
                        "Incident: inc-0123456789ab-1  Priority: high  Time: 2026-03-02 06:00:00 UTC  \
                         <https://pool.example.com/incidents/1|Open>" }] },
                ],
            })
        );
    }

    #[test]
    fn long_texts_are_cut_to_what_slack_takes() {
        let mut message = sample(Act::Update);
        message.title = "ü".repeat(4000);
        message.text = format!("ab{}", "&".repeat(4000));
        message.link = Some(format!("https://pool.example.com/{}", "&".repeat(2000)));
        message.facts = (0..100)
            .map(|n| (format!("fact {n}"), "x".repeat(3000)))
            .collect();
        let request = post(
            Url::parse("https://hooks.slack.com/x").expect("a URL"),
            &message,
        );
        let body = body(&request);
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50);
        for block in blocks {
            let text = block["text"]["text"].as_str().unwrap_or_default();
            assert!(text.chars().count() <= 3000);
            // Nothing is left of an escape that was cut off.
            assert!(!text.replace("&amp;", "").contains('&'), "{text}");
            for element in block["elements"].as_array().into_iter().flatten() {
                let text = element["text"].as_str().unwrap_or_default();
                assert!(
                    text.chars().count() <= 2000 && !text.contains('<'),
                    "{text}"
                );
            }
            assert!(
                block["fields"]
                    .as_array()
                    .is_none_or(|fields| fields.len() <= 10)
            );
        }
    }
}
