//! Channels of chats. Sources: Slack, "Sending messages using incoming webhooks"; Power Automate,
//! "When a Teams webhook request is received".

use axum::http::Method;
use serde_json::{Value, json};

use super::kept::words;
use super::{Answer, Call, Kept};

/// What a Teams message may weigh, bytes.
const MOST_CARD_BYTES: usize = 28 * 1024;

pub(super) fn slack(call: &Call) -> Answer {
    if call.method != Method::POST {
        return Answer::text(405, "method_not_allowed");
    }
    let ["services", workspace, app, secret] = call.path()[..] else {
        return Answer::text(404, "no_service");
    };
    if !workspace.starts_with('T') || !app.starts_with('B') || secret.len() < 8 {
        return Answer::text(403, "invalid_token");
    }
    let Some(body) = call.json().filter(Value::is_object) else {
        return Answer::text(400, "invalid_payload");
    };
    let text = body["text"].as_str().unwrap_or_default().to_owned();
    if body
        .get("blocks")
        .is_some_and(|blocks| !good_blocks(blocks))
    {
        return Answer::text(400, "invalid_blocks");
    }
    if text.trim().is_empty() && body["blocks"].is_null() {
        return Answer::text(400, "no_text");
    }
    let kept = Kept {
        channel: "slack",
        kind: "message".to_owned(),
        subject: text.lines().next().unwrap_or_default().to_owned(),
        text: words(&body),
        body,
        ..Kept::default()
    };
    Answer::text(200, "ok").keeping(kept)
}

/// Up to fifty blocks, each of a type; texts within what Slack takes.
fn good_blocks(blocks: &Value) -> bool {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    blocks.as_array().is_some_and(|blocks| {
        blocks.len() <= 50
            && blocks.iter().all(|block| match block["type"].as_str() {
                Some("header") => (1..=150).contains(&length(&block["text"]["text"])),
                Some("section") => {
                    let fields = block["fields"].as_array();
                    length(&block["text"]["text"]) <= 3000
                        && (!block["text"].is_null() || fields.is_some())
                        && fields.is_none_or(|fields| {
                            fields.len() <= 10 && fields.iter().all(|f| length(&f["text"]) <= 2000)
                        })
                }
                Some(_) => true,
                None => false,
            })
    })
}

pub(super) fn teams(call: &Call) -> Answer {
    let refuse = |status, code: &str, message: &str| {
        Answer::json(
            status,
            json!({ "error": { "code": code, "message": message } }),
        )
    };
    if call.method != Method::POST {
        return refuse(405, "MethodNotAllowed", "the trigger takes POST");
    }
    if !call.path.iter().any(|part| part == "workflows")
        || !call.path.iter().any(|part| part == "triggers")
    {
        return refuse(404, "WorkflowNotFound", "The workflow could not be found.");
    }
    if call.query("sig").is_none_or(str::is_empty) {
        return refuse(
            401,
            "DirectApiAuthorizationRequired",
            "The request must be authenticated by a shared access signature.",
        );
    }
    let Some(body) = call.json() else {
        return refuse(
            400,
            "TriggerInputSchemaMismatch",
            "The input body is not JSON.",
        );
    };
    if call.body.len() > MOST_CARD_BYTES {
        return refuse(
            413,
            "RequestEntityTooLarge",
            "The message is larger than 28 KB.",
        );
    }
    let cards = body["attachments"].as_array();
    let good = body["type"] == "message"
        && cards.is_some_and(|cards| {
            !cards.is_empty()
                && cards.iter().all(|card| {
                    card["contentType"] == "application/vnd.microsoft.card.adaptive"
                        && card["content"]["type"] == "AdaptiveCard"
                        && card["content"]["body"].is_array()
                        // What is newer is not shown.
                        && matches!(card["content"]["version"].as_str(), Some("1.0" | "1.1" | "1.2" | "1.3" | "1.4" | "1.5"))
                })
        });
    if !good {
        return refuse(
            400,
            "TriggerInputSchemaMismatch",
            "The input body is no message with an adaptive card.",
        );
    }
    let text = words(&body["attachments"]);
    let kept = Kept {
        channel: "teams",
        kind: "message".to_owned(),
        subject: text.lines().next().unwrap_or_default().to_owned(),
        text,
        body,
        ..Kept::default()
    };
    Answer::empty(202).keeping(kept)
}
