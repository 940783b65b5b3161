//! PagerDuty. Source: PagerDuty developer documentation, "Events API v2".

use reqwest::{Method, Url};
use serde_json::{Map, json};

use super::{Letter, Taken, secret};
use crate::app::App;
use crate::domain::{Act, Priority};
use crate::notify::http::{Failure, Request, below, exchange};
use crate::notify::words;

pub(super) async fn send(
    app: &App,
    url: &Url,
    key: &str,
    letter: &Letter<'_>,
) -> Result<Taken, Failure> {
    let Some(request) = event(url, secret(app, key)?, letter) else {
        return Ok(Taken::new("nothing to page for"));
    };
    let reply = exchange(app, request).await?;
    let said = match letter.message.act {
        Act::Trigger | Act::Update => "queued",
        Act::Acknowledge => "acknowledged",
        Act::Resolve => "resolved",
    };
    Ok(Taken {
        pause: reply.pause,
        ..Taken::new(said)
    })
}

/// The event. `None`: an update pages nobody, unless it matters more than what was paged for.
fn event(url: &Url, key: &str, letter: &Letter<'_>) -> Option<Request> {
    let message = letter.message;
    let action = match message.act {
        Act::Trigger => "trigger",
        Act::Acknowledge => "acknowledge",
        Act::Resolve => "resolve",
        Act::Update
            if letter
                .raised
                .is_some_and(|raised| message.priority > raised) =>
        {
            "trigger"
        }
        Act::Update => return None,
    };
    let mut event = json!({
        "routing_key": key,
        "event_action": action,
        // One alert of PagerDuty's for each incident, however often it is told.
        "dedup_key": message.incident.as_str(),
    });
    if action == "trigger" {
        let mut details = Map::new();
        let text = words::clean(&message.text);
        details.insert("text".into(), json!(words::cut(&text, 8000)));
        for (name, value) in message.facts.iter().take(50) {
            let value = words::one_line(value, 1000);
            // One fact, or the text, does not take the place of another of the same name.
            let mut name = words::one_line(name, 100);
            while details.contains_key(&name) {
                name.push('\'');
            }
            details.insert(name, json!(value));
        }
        event["payload"] = json!({
            "summary": words::title(message, 1024),
            "source": message.tenant.as_deref().unwrap_or("poolkeeper"),
            "severity": match message.priority {
                Priority::Critical => "critical",
                Priority::High => "error",
                Priority::Medium => "warning",
                Priority::Low => "info",
            },
            "timestamp": message.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "class": message.class.as_str(),
            "custom_details": details,
        });
        event["client"] = json!("Poolkeeper");
        if let Some(link) = message.link.as_deref().filter(|link| words::is_web(link)) {
            event["client_url"] = json!(link);
            event["links"] = json!([{ "href": link, "text": "Incident" }]);
        }
    }
    Some(Request::json(
        Method::POST,
        below(url, &["v2", "enqueue"]),
        &event,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{body, sample, sample_letter};
    use super::*;

    #[test]
    fn the_longest_event_is_within_what_is_taken() {
        let url = Url::parse("https://events.pagerduty.com").expect("a URL");
        let mut message = sample(Act::Trigger);
        message.title = "遅".repeat(3000);
        message.text = "\u{1F525}\"".repeat(100_000);
        message.facts = (0..200)
            .map(|n| (format!("\"{n}"), "\"値".repeat(5000)))
            .collect();
        let request = event(&url, "k", &sample_letter(&message)).expect("an event");
        assert!(request.body.len() < 512 * 1024, "{}", request.body.len());
        let summary = body(&request)["payload"]["summary"].clone();
        assert_eq!(summary.as_str().map(|s| s.chars().count()), Some(1024));
    }

    #[test]
    fn events_are_as_documented() {
        let url = Url::parse("https://events.pagerduty.com").expect("a URL");
        for (act, raised, action) in [
            (Act::Trigger, None, Some("trigger")),
            (Act::Acknowledge, None, Some("acknowledge")),
            (Act::Update, None, None),
            (Act::Update, Some(Priority::High), None),
            (Act::Update, Some(Priority::Medium), Some("trigger")),
            (Act::Resolve, Some(Priority::High), Some("resolve")),
        ] {
            let message = sample(act);
            let letter = Letter {
                raised,
                ..sample_letter(&message)
            };
            let request = event(&url, "0123456789abcdef0123456789abcdef", &letter);
            let found = request.as_ref().map(body);
            let found = found.as_ref().map(|event| &event["event_action"]);
            assert_eq!(found.and_then(|a| a.as_str()), action, "{act:?} {raised:?}");
        }
        let message = sample(Act::Trigger);
        let request = event(&url, "k", &sample_letter(&message)).expect("an event");
        assert_eq!(
            request.url.as_str(),
            "https://events.pagerduty.com/v2/enqueue"
        );
        assert_eq!(
            body(&request),
            json!({
                "routing_key": "k",
                "event_action": "trigger",
                "dedup_key": "inc-0123456789ab-1",
                "payload": {
                    "summary": "[high] p95 is <above> 3 s & rising",
                    "source": "poolkeeper",
                    "severity": "error",
                    "timestamp": "2026-03-02T06:00:00Z",
                    "class": "operations",
                    "custom_details": { "p95": "3.4 s", "text": "応答が遅い。\nSince 06:00." },
                },
                "client": "Poolkeeper",
                "client_url": "https://pool.example.com/incidents/1",
                "links": [{ "href": "https://pool.example.com/incidents/1", "text": "Incident" }],
            })
        );
        let mut message = sample(Act::Trigger);
        message.text = "a\u{0}\u{1b}b\r\nc".into();
        message.facts = ["text", "p95", "p95"]
            .map(|name| (name.to_owned(), "1".to_owned()))
            .into();
        let request = event(&url, "k", &sample_letter(&message)).expect("an event");
        assert_eq!(
            body(&request)["payload"]["custom_details"],
            json!({ "text": "ab\nc", "text'": "1", "p95": "1", "p95'": "1" })
        );
        let message = sample(Act::Resolve);
        let request = event(&url, "k", &sample_letter(&message)).expect("an event");
        assert_eq!(
            body(&request),
            json!({
                "routing_key": "k", "event_action": "resolve", "dedup_key": "inc-0123456789ab-1",
            })
        );
    }
}
