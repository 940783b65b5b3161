//! Whoever is not known: a webhook that takes what it gets.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Answer, Call, Kept};

pub(super) fn answer(call: &Call) -> Answer {
    match call.method {
        // A probe, or a heartbeat: nothing that anybody reads.
        Method::GET | Method::HEAD => Answer::json(200, json!({ "status": "ok" })),
        Method::POST | Method::PUT => {
            let text = String::from_utf8_lossy(&call.body).into_owned();
            let body = call.json().unwrap_or_else(|| Value::String(text.clone()));
            let shown = ["title", "summary", "subject"]
                .iter()
                .find_map(|name| body[*name].as_str());
            let subject = shown.unwrap_or_default().to_owned();
            let said = body["text"].as_str().map(str::to_owned);
            let kept = Kept {
                channel: "webhook",
                kind: "message".to_owned(),
                subject,
                text: said.unwrap_or_else(|| {
                    let shown = serde_json::to_string_pretty(&body);
                    if body.is_string() {
                        text
                    } else {
                        shown.unwrap_or_default()
                    }
                }),
                body,
                ..Kept::default()
            };
            Answer::json(200, json!({})).keeping(kept)
        }
        _ => Answer::empty(405),
    }
}
