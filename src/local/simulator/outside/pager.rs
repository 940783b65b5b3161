//! PagerDuty. Source: Events API v2.

use axum::http::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::kept::{Ticket, put_ticket, tickets_of};
use super::{Answer, Call, Kept};
use crate::local::storage::Refusal;

const SYSTEM: &str = "pagerduty";
const MOST_BYTES: usize = 512 * 1024;

fn invalid(errors: &[String]) -> Answer {
    Answer::json(
        400,
        json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors }),
    )
}

pub(super) fn answer(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let change = match call.path()[..] {
        ["v2", "enqueue"] => false,
        ["v2", "change", "enqueue"] => true,
        _ => return Ok(Answer::empty(404)),
    };
    if call.method != Method::POST {
        return Ok(Answer::empty(405));
    }
    if call.body.len() > MOST_BYTES {
        return Ok(Answer::empty(413));
    }
    let Some(event) = call.json().filter(Value::is_object) else {
        return Ok(invalid(&["the body is not JSON".to_owned()]));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (action, payload) = (text(&event["event_action"]), &event["payload"]);
    let mut key = text(&event["dedup_key"]);
    let mut errors = Vec::new();
    let mut need = |fits: bool, why: &str| {
        if !fits {
            errors.push(why.to_owned());
        }
    };
    need(
        text(&event["routing_key"]).len() == 32,
        "Length of 'routing_key' is incorrect (should be 32 characters)",
    );
    need(
        key.chars().count() <= 255,
        "'dedup_key' is too long (maximum is 255 characters)",
    );
    let opens = action == "trigger";
    if !change {
        let known = matches!(action.as_str(), "trigger" | "acknowledge" | "resolve");
        need(
            known,
            "'event_action' is none of trigger, acknowledge, resolve",
        );
        need(
            opens || !known || !key.is_empty(),
            "'dedup_key' is missing or blank",
        );
    }
    if opens || change {
        let summary = text(&payload["summary"]);
        need(
            !summary.trim().is_empty(),
            "'payload.summary' is missing or blank",
        );
        need(
            summary.chars().count() <= 1024,
            "'payload.summary' is too long (maximum is 1024 characters)",
        );
    }
    if opens {
        need(
            !text(&payload["source"]).trim().is_empty(),
            "'payload.source' is missing or blank",
        );
        let severity = text(&payload["severity"]);
        need(
            matches!(severity.as_str(), "critical" | "error" | "warning" | "info"),
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')",
        );
    }
    if !errors.is_empty() {
        return Ok(invalid(&errors));
    }
    if opens && key.is_empty() {
        key = uuid::Uuid::new_v4().simple().to_string();
    }
    let mut without_key = event.clone();
    without_key["routing_key"] = Value::Null;
    let mut known = tickets_of(db, SYSTEM, &call.host)?
        .into_iter()
        .find(|ticket| ticket.id == key);
    if opens && !known.as_ref().is_some_and(|ticket| ticket.open) {
        known = Some(Ticket {
            system: SYSTEM.to_owned(),
            host: call.host.clone(),
            id: key.clone(),
            title: text(&payload["summary"]),
            state: "triggered".to_owned(),
            open: true,
            changed: chrono::DateTime::UNIX_EPOCH,
            body: json!({ "events": [] }),
        });
    }
    let title = known.as_ref().map(|ticket| ticket.title.clone());
    // What is acknowledged or resolved and was never triggered is taken, and comes to nothing.
    if let Some(mut ticket) = known.filter(|_| !change) {
        let state = match action.as_str() {
            "acknowledge" if ticket.open => "acknowledged".to_owned(),
            "resolve" => "resolved".to_owned(),
            _ => ticket.state.clone(),
        };
        ticket.open = state != "resolved";
        ticket.state = state;
        ticket.changed = chrono::DateTime::from_timestamp_millis(call.now).unwrap_or_default();
        if let Some(events) = ticket.body["events"].as_array_mut() {
            without_key["routing_key"] = "(removed)".into();
            events.push(without_key);
        }
        put_ticket(db, &ticket)?;
    }
    // An acknowledgement and an end name what they are about by its key, and say nothing more.
    let about = title.as_deref().unwrap_or(&key);
    let summary = match (text(&payload["summary"]), action.as_str()) {
        (summary, _) if !summary.is_empty() => summary,
        (_, "resolve") => format!("Resolved: {about}"),
        (_, "acknowledge") => format!("Acknowledged: {about}"),
        _ => about.to_owned(),
    };
    let details = &payload["custom_details"];
    let mut lines = vec![summary.clone()];
    for (name, value) in details.as_object().into_iter().flatten() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        lines.push(format!("{name}: {value}"));
    }
    let kept = Kept {
        channel: SYSTEM,
        kind: if change { "change".to_owned() } else { action },
        to: key.clone(),
        subject: summary,
        text: lines.join("\n"),
        body: event,
    };
    let body = if change {
        json!({ "status": "success", "message": "Change event processed" })
    } else {
        json!({ "status": "success", "message": "Event processed", "dedup_key": key })
    };
    Ok(Answer::json(202, body).keeping(kept))
}
