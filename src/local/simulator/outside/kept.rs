//! What was sent, and the tickets that came of it, in the same state as everything else.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::{Call, Kept};
use crate::local::storage::Refusal;

/// So many characters of a headline are shown.
const MOST_HEADLINE: usize = 240;
/// What stands where a secret was.
const REMOVED: &str = "(removed)";

/// One thing that would have been sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sent {
    /// Counted up from 1.
    pub number: i64,
    pub at: DateTime<Utc>,
    pub host: String,
    /// `pagerduty`, `slack`, `teams`, `servicenow`, `jira`, `azure_devops`, `mail` or `webhook`.
    pub channel: String,
    /// What it does there, as `trigger`, `message`, `create`.
    pub kind: String,
    /// Mail addresses, the ticket, or what the event is grouped by; empty where the channel has one
    /// reader.
    pub to: String,
    pub subject: String,
    /// As a person reads it.
    pub text: String,
    /// As it came, without secrets. A mail is text.
    pub body: Value,
}

/// A ticket, or an incident of a pager, as its system holds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ticket {
    /// `servicenow`, `jira`, `azure_devops` or `pagerduty`.
    pub system: String,
    pub host: String,
    /// `sys_id`, key, number, or `dedup_key`.
    pub id: String,
    pub title: String,
    /// In the system's own words.
    pub state: String,
    pub open: bool,
    pub changed: DateTime<Utc>,
    /// The system's own record.
    pub body: Value,
}

fn time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

pub(super) fn keep(db: &Connection, call: &Call, mut kept: Kept) -> Result<(), Refusal> {
    clean(&mut kept.body);
    db.prepare_cached(
        "INSERT INTO sent (at, host, channel, kind, recipient, subject, text, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        call.now,
        if call.host == "smtp" {
            call.path.first().unwrap_or(&call.host)
        } else {
            &call.host
        },
        kept.channel,
        kept.kind,
        kept.to,
        kept.subject,
        kept.text,
        kept.body.to_string()
    ])?;
    Ok(())
}

/// Takes out what opens doors, and what fills pages.
fn clean(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                let lower = name.to_ascii_lowercase();
                let secret = [
                    "routing_key",
                    "authorization",
                    "password",
                    "api_key",
                    "apikey",
                    "token",
                    "sig",
                ];
                if secret.contains(&lower.as_str()) || lower.contains("secret") {
                    *value = REMOVED.into();
                } else if lower == "contentinbase64" {
                    let letters = value.as_str().map_or(0, str::len);
                    *value = format!("({} bytes)", letters / 4 * 3).into();
                } else {
                    clean(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn read_sent(row: &Row<'_>) -> rusqlite::Result<Sent> {
    Ok(Sent {
        number: row.get(0)?,
        at: time(row.get(1)?),
        host: row.get(2)?,
        channel: row.get(3)?,
        kind: row.get(4)?,
        to: row.get(5)?,
        subject: row.get(6)?,
        text: row.get(7)?,
        body: json(&row.get::<_, String>(8)?),
    })
}

/// Everything that was sent, in order.
pub(in crate::local::simulator) fn sent(db: &Connection) -> Result<Vec<Sent>, Refusal> {
    let mut select = db.prepare_cached("SELECT * FROM sent ORDER BY number")?;
    let rows = select.query_map([], read_sent)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What was sent under this number.
pub(in crate::local::simulator) fn one(
    db: &Connection,
    number: i64,
) -> Result<Option<Sent>, Refusal> {
    let mut select = db.prepare_cached("SELECT * FROM sent WHERE number = ?1")?;
    Ok(select.query_row([number], read_sent).optional()?)
}

fn read_ticket(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    Ok(Ticket {
        system: row.get(0)?,
        host: row.get(1)?,
        id: row.get(2)?,
        title: row.get(3)?,
        state: row.get(4)?,
        open: row.get(5)?,
        changed: time(row.get(6)?),
        body: json(&row.get::<_, String>(7)?),
    })
}

/// Every ticket, in the order in which they were made.
pub(in crate::local::simulator) fn tickets(db: &Connection) -> Result<Vec<Ticket>, Refusal> {
    let mut select = db.prepare_cached("SELECT * FROM tickets ORDER BY rowid")?;
    let rows = select.query_map([], read_ticket)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The tickets of one system.
pub(super) fn tickets_of(
    db: &Connection,
    system: &str,
    host: &str,
) -> Result<Vec<Ticket>, Refusal> {
    let mut select =
        db.prepare_cached("SELECT * FROM tickets WHERE system = ?1 AND host = ?2 ORDER BY rowid")?;
    let rows = select.query_map([system, host], read_ticket)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes a ticket, new or not.
pub(super) fn put_ticket(db: &Connection, ticket: &Ticket) -> Result<(), Refusal> {
    db.prepare_cached(
        "INSERT INTO tickets (system, host, id, title, state, open, changed, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET title = ?4, state = ?5, open = ?6, changed = ?7, body = ?8",
    )?
    .execute(params![
        ticket.system,
        ticket.host,
        ticket.id,
        ticket.title,
        ticket.state,
        ticket.open,
        ticket.changed.timestamp_millis(),
        ticket.body.to_string()
    ])?;
    Ok(())
}

/// What a message is called in a list: the first lines of its first paragraphs, which tell what
/// happened and why; or else this.
pub(super) fn headline(said: &str, otherwise: &str) -> String {
    let paragraphs = said.split("\n\n").filter_map(|paragraph| {
        let mut lines = paragraph.lines().map(str::trim);
        lines.find(|line| !line.is_empty())
    });
    let first: Vec<&str> = paragraphs.take(3).collect();
    let line = match &first[..] {
        [] => otherwise.trim().to_owned(),
        all => all.join(" — "),
    };
    line.chars().take(MOST_HEADLINE).collect()
}

/// The words of HTML, a line for each paragraph, heading and row.
pub(super) fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        match tag {
            "/p" | "/h2" | "/tr" | "br" => text.push('\n'),
            "/th" => text.push_str(": "),
            _ => {}
        }
        rest = after;
    }
    text.push_str(rest);
    for (entity, letter) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, letter);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The words of something nested, a line for each text, and for each pair of a title and a value.
pub(super) fn words(value: &Value) -> String {
    fn walk(value: &Value, lines: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                let part = |name: &str| fields.get(name).and_then(Value::as_str);
                if let (Some(title), Some(value)) = (part("title"), part("value")) {
                    lines.push(format!("{title}: {value}"));
                } else if let Some(text) = part("text") {
                    lines.push(text.to_owned());
                }
                fields.values().for_each(|value| walk(value, lines));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, lines)),
            _ => {}
        }
    }
    let mut lines = Vec::new();
    walk(value, &mut lines);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_headline_is_what_was_said_first() {
        for (said, expected) in [
            (
                "Resolved: it is over\n\nSince 06:00.\nAnd more.",
                "Resolved: it is over — Since 06:00.",
            ),
            ("\n  \n it goes on ", "it goes on"),
            ("", "agent-api is down"),
        ] {
            assert_eq!(headline(said, " agent-api is down"), expected);
        }
        let html = "<h2 style=\"x\">Update: a &lt; b &amp; c</h2>\n<table>\n\
                    <tr><th align=\"left\">p95</th><td>3 s</td></tr>\n</table>";
        assert_eq!(without_tags(html), "Update: a < b & c\np95: 3 s");
    }

    #[test]
    fn secrets_are_taken_out_wherever_they_are() {
        let mut body = json!({
            "routing_key": "k", "dedup_key": "d", "a": [{ "clientSecret": "s", "Token": "t", "text": "x" }],
            "attachments": [{ "name": "n", "contentInBase64": "AAAAAAAA" }],
        });
        clean(&mut body);
        assert_eq!(
            body,
            json!({
                "routing_key": REMOVED, "dedup_key": "d", "a": [{ "clientSecret": REMOVED, "Token": REMOVED, "text": "x" }],
                "attachments": [{ "name": "n", "contentInBase64": "(6 bytes)" }],
            })
        );
    }
}
