//! Envelopes as the host writes them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// When a timer ran and runs: `None` is the year 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) last: Option<DateTime<Utc>>,
    pub(super) next: DateTime<Utc>,
    pub(super) updated: Option<DateTime<Utc>>,
}

/// One message as the queue gave it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) receipt: String,
    pub(super) text: String,
    pub(super) dequeued: i64,
    pub(super) inserted: DateTime<Utc>,
    pub(super) expires: DateTime<Utc>,
    pub(super) visible: DateTime<Utc>,
}

/// The envelope of a timer.
pub(super) fn timer(
    function: &str,
    binding: &str,
    status: Option<Status>,
    past_due: bool,
    now: DateTime<Utc>,
) -> Value {
    let status = status.map(|s| {
        json!({
            "Last": s.last.map_or_else(never, seconds),
            "Next": seconds(s.next),
            "LastUpdated": s.updated.map_or_else(never, seconds),
        })
    });
    json!({
        "Data": { binding: {
            "Schedule": { "AdjustForDST": true },
            "ScheduleStatus": status,
            "IsPastDue": past_due,
        }},
        "Metadata": { "sys": system(function, now) },
    })
}

/// The envelope of a queue message: its text written as JSON once more, whatever it is.
///
/// What the text holds, when it is a JSON object, lies over the host's own metadata.
pub(super) fn queue(function: &str, binding: &str, message: &Message, now: DateTime<Utc>) -> Value {
    let mut metadata = Map::new();
    metadata.insert(
        "DequeueCount".into(),
        twice(&message.dequeued.to_string(), false),
    );
    metadata.insert("ExpirationTime".into(), seconds(message.expires).into());
    metadata.insert("Id".into(), twice(&message.id, true));
    metadata.insert("InsertionTime".into(), seconds(message.inserted).into());
    metadata.insert("NextVisibleTime".into(), seconds(message.visible).into());
    metadata.insert("PopReceipt".into(), twice(&message.receipt, true));
    metadata.insert("sys".into(), system(function, now));
    if let Ok(Value::Object(properties)) = serde_json::from_str(&message.text) {
        for (name, value) in properties {
            let Some(value) = property(value) else {
                continue;
            };
            let known = metadata
                .keys()
                .find(|k| k.eq_ignore_ascii_case(&name))
                .cloned();
            metadata.insert(known.unwrap_or(name), value);
        }
    }
    json!({
        "Data": { binding: twice(&message.text, true) },
        "Metadata": metadata,
    })
}

/// A property of a message as metadata: scalars as .NET prints them, lists not at all.
fn property(value: Value) -> Option<Value> {
    match value {
        Value::Array(_) | Value::Null => None,
        Value::Object(_) => Some(value),
        Value::Bool(true) => Some(twice("True", true)),
        Value::Bool(false) => Some(twice("False", true)),
        Value::Number(number) => Some(twice(&number.to_string(), true)),
        Value::String(text) => Some(match DateTime::parse_from_rfc3339(&text) {
            Ok(at) => twice(&at.to_utc().format("%m/%d/%Y %H:%M:%S").to_string(), true),
            Err(_) => twice(&text, true),
        }),
    }
}

/// A string that holds JSON: of a string, or of a number.
fn twice(text: &str, is_text: bool) -> Value {
    if is_text {
        Value::String(Value::String(text.to_owned()).to_string())
    } else {
        Value::String(text.to_owned())
    }
}

fn system(function: &str, now: DateTime<Utc>) -> Value {
    let ticks = now.timestamp_subsec_nanos() / 100;
    json!({
        "MethodName": function,
        "UtcNow": format!("{}.{ticks:07}Z", now.format("%Y-%m-%dT%H:%M:%S")),
        "RandGuid": uuid::Uuid::new_v4().to_string(),
    })
}

fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, false)
}

fn never() -> String {
    "0001-01-01T00:00:00+00:00".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    #[test]
    fn a_timer_that_never_ran_says_year_one() {
        let status = Status {
            last: None,
            next: at("2026-05-04T10:15:00Z"),
            updated: None,
        };
        let envelope = timer(
            "tick",
            "t",
            Some(status),
            false,
            at("2026-05-04T10:15:00.0123456Z"),
        );
        let t = &envelope["Data"]["t"];
        assert_eq!(t["ScheduleStatus"]["Last"], "0001-01-01T00:00:00+00:00");
        assert_eq!(t["ScheduleStatus"]["Next"], "2026-05-04T10:15:00+00:00");
        assert_eq!(t["IsPastDue"], false);
        assert_eq!(
            envelope["Metadata"]["sys"]["UtcNow"],
            "2026-05-04T10:15:00.0123456Z"
        );
        assert!(
            timer("tick", "t", None, false, Utc::now())["Data"]["t"]["ScheduleStatus"].is_null()
        );
    }

    #[test]
    fn what_a_message_holds_lies_over_the_hosts_metadata() {
        let message = Message {
            id: "m-1".into(),
            receipt: "r".into(),
            text: r#"{"ID":"mine","sure":true,"n":2.5,"when":"2026-05-04T10:15:00Z","list":[1],"more":{"a":1}}"#.into(),
            dequeued: 3,
            inserted: at("2026-05-04T10:00:00Z"),
            expires: at("2026-05-11T10:00:00Z"),
            visible: at("2026-05-04T10:10:00Z"),
        };
        let envelope = queue("work", "item", &message, Utc::now());
        let text: String =
            serde_json::from_str(envelope["Data"]["item"].as_str().expect("text")).expect("JSON");
        assert_eq!(text, message.text);
        let metadata = &envelope["Metadata"];
        for (name, value) in [
            ("DequeueCount", json!("3")),
            ("Id", json!("\"mine\"")),
            ("sure", json!("\"True\"")),
            ("n", json!("\"2.5\"")),
            ("when", json!("\"05/04/2026 10:15:00\"")),
            ("more", json!({"a": 1})),
            ("list", Value::Null),
            ("InsertionTime", json!("2026-05-04T10:00:00+00:00")),
        ] {
            assert_eq!(metadata[name], value, "{name}");
        }
    }
}
