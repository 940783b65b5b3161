//! ServiceNow's incident table. Source: Table API.

use axum::http::Method;
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::kept::{Ticket, headline, put_ticket, tickets_of};
use super::{Answer, Call, Kept, Who};
use crate::local::storage::Refusal;

const SYSTEM: &str = "servicenow";

/// Fields that a caller may set; others are passed over without a word, as the service does.
const FIELDS: &[&str] = &[
    "short_description",
    "description",
    "impact",
    "urgency",
    "category",
    "subcategory",
    "assignment_group",
    "assigned_to",
    "business_service",
    "cmdb_ci",
    "caller_id",
    "contact_type",
    "correlation_id",
    "correlation_display",
    "state",
    "close_code",
    "close_notes",
    "work_notes",
    "comments",
];
/// Journals: what is written is added, and what is read is empty.
const JOURNALS: [&str; 2] = ["work_notes", "comments"];

fn refuse(status: u16, message: &str, detail: &str) -> Answer {
    Answer::json(
        status,
        json!({ "error": { "message": message, "detail": detail }, "status": "failure" }),
    )
}

fn no_record() -> Answer {
    let detail = "Record doesn't exist or ACL restricts the record retrieval";
    refuse(404, "No Record found", detail)
}

pub(super) fn answer(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    if call.path() == ["oauth_token.do"] {
        return Ok(token(call));
    }
    if matches!(call.who, Who::Nobody) && call.header("x-sn-apikey").is_empty() {
        let detail = "Required to provide Auth information";
        let answer = refuse(401, "User Not Authenticated", detail);
        return Ok(answer.with("www-authenticate", "BASIC realm=\"Service-now\"".to_owned()));
    }
    let path = call.path();
    let ["api", "now", rest @ ..] = &path[..] else {
        return Ok(refuse(
            400,
            "Requested URI does not represent any resource",
            "",
        ));
    };
    // The version of the API may be named.
    let rest = match rest {
        ["v1" | "v2", rest @ ..] => rest,
        rest => rest,
    };
    match (&call.method, rest) {
        (&Method::GET, ["table", "incident"]) => list(db, call),
        (&Method::POST, ["table", "incident"]) => create(db, call),
        (&Method::GET, ["table", "incident", id]) => {
            let found = find(db, call, id)?;
            Ok(found.map_or_else(no_record, |found| {
                Answer::json(200, json!({ "result": shown(&found, call) }))
            }))
        }
        (&Method::PATCH | &Method::PUT, ["table", "incident", id]) => match find(db, call, id)? {
            None => Ok(no_record()),
            Some(found) => update(db, call, found),
        },
        (_, ["table", "incident", ..]) => Ok(refuse(405, "Method not supported", "")),
        (_, ["table", table, ..]) => Ok(refuse(400, &format!("Invalid table {table}"), "")),
        _ => Ok(refuse(
            400,
            "Requested URI does not represent any resource",
            "",
        )),
    }
}

/// A token for who brings the credentials of a client, or of a user through one.
fn token(call: &Call) -> Answer {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body)
        .into_owned()
        .collect();
    let has = |name: &str| form.iter().any(|(n, value)| n == name && !value.is_empty());
    let grant = form
        .iter()
        .find(|(name, _)| name == "grant_type")
        .map(|(_, g)| g.as_str());
    let good = match grant {
        Some("client_credentials") => true,
        Some("password") => has("username") && has("password"),
        _ => false,
    };
    if call.method != Method::POST || !good || !has("client_id") || !has("client_secret") {
        let body = json!({ "error_description": "access_denied", "error": "server_error" });
        return Answer::json(401, body);
    }
    let token = uuid::Uuid::new_v4().simple().to_string();
    let body = json!({
        "access_token": token, "scope": "useraccount", "token_type": "Bearer", "expires_in": 1799,
    });
    Answer::json(200, body)
}

fn find(db: &Connection, call: &Call, id: &str) -> Result<Option<Ticket>, Refusal> {
    let mut all = tickets_of(db, SYSTEM, &call.host)?.into_iter();
    Ok(all.find(|ticket| ticket.id == id))
}

/// The record without our own notes, and with the fields that were asked for.
fn shown(ticket: &Ticket, call: &Call) -> Value {
    let only: Option<Vec<&str>> = call
        .query("sysparm_fields")
        .filter(|fields| !fields.is_empty())
        .map(|fields| fields.split(',').map(str::trim).collect());
    let fields = ticket.body.as_object().into_iter().flatten();
    let kept = fields.filter(|(name, _)| {
        *name != "_notes"
            && only
                .as_ref()
                .is_none_or(|only| only.contains(&name.as_str()))
    });
    Value::Object(kept.map(|(n, v)| (n.clone(), v.clone())).collect())
}

fn list(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let query = call.query("sysparm_query").unwrap_or_default();
    let number = |name: &str, default: usize| {
        call.query(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (most, from) = (number("sysparm_limit", 10_000), number("sysparm_offset", 0));
    let mut terms = Vec::new();
    let mut newest_first = false;
    for term in query.split('^').filter(|term| !term.is_empty()) {
        if let Some(field) = term.strip_prefix("ORDERBY") {
            newest_first = field.starts_with("DESC");
            continue;
        }
        let found = ["!=", "NOT IN", "IN", "="].iter().find_map(|op| {
            let (field, value) = term.split_once(op)?;
            let plain =
                !field.is_empty() && field.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            plain.then(|| (field.to_owned(), *op, value.to_owned()))
        });
        match found {
            Some(found) => terms.push(found),
            // The service would pass over a term that it cannot read, and give everything: worse
            // than a refusal for whoever asks.
            None => {
                return Ok(refuse(
                    400,
                    "Invalid query",
                    &format!("`{term}` is not understood here"),
                ));
            }
        }
    }
    // Parameters that name a field are conditions too.
    for (name, value) in call
        .query
        .iter()
        .filter(|(name, _)| !name.starts_with("sysparm_"))
    {
        terms.push((name.clone(), "=", value.clone()));
    }
    let fits = |ticket: &Ticket| {
        terms.iter().all(|(field, op, value)| {
            let has = ticket.body[field].as_str().unwrap_or_default();
            match *op {
                "=" => has == value,
                "!=" => has != value,
                "IN" => value.split(',').any(|v| v == has),
                _ => !value.split(',').any(|v| v == has),
            }
        })
    };
    let mut all: Vec<Ticket> = tickets_of(db, SYSTEM, &call.host)?;
    all.retain(|ticket| fits(ticket));
    if newest_first {
        all.reverse();
    }
    let count = all.len();
    let result: Vec<Value> = all
        .iter()
        .skip(from)
        .take(most)
        .map(|t| shown(t, call))
        .collect();
    Ok(Answer::json(200, json!({ "result": result })).with("x-total-count", count.to_string()))
}

/// What priority comes of impact and urgency, 1 to 3 each.
fn priority(impact: &str, urgency: &str) -> &'static str {
    match (impact, urgency) {
        ("1", "1") => "1",
        ("1", "2") | ("2", "1") => "2",
        ("1", "3") | ("2", "2") | ("3", "1") => "3",
        ("2", "3") | ("3", "2") => "4",
        _ => "5",
    }
}

fn time(ms: i64) -> Value {
    let at = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.format("%Y-%m-%d %H:%M:%S").to_string().into()
}

fn create(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let Some(Value::Object(asked)) = call.json() else {
        return Ok(refuse(
            400,
            "Exception while reading request",
            "The payload is not valid JSON",
        ));
    };
    let number = tickets_of(db, SYSTEM, &call.host)?.len() + 10_001;
    let id = uuid::Uuid::new_v4().simple().to_string();
    let mut record = Map::new();
    for (name, value) in [
        ("impact", "3"),
        ("urgency", "3"),
        ("state", "1"),
        ("short_description", ""),
        ("description", ""),
        ("correlation_id", ""),
        ("correlation_display", ""),
        ("assignment_group", ""),
        ("category", "inquiry"),
        ("close_code", ""),
        ("close_notes", ""),
        ("work_notes", ""),
        ("comments", ""),
        ("sys_mod_count", "0"),
    ] {
        record.insert(name.to_owned(), value.into());
    }
    record.insert("sys_id".to_owned(), id.clone().into());
    record.insert("number".to_owned(), format!("INC{number:07}").into());
    record.insert("opened_at".to_owned(), time(call.now));
    record.insert("sys_created_on".to_owned(), time(call.now));
    record.insert("_notes".to_owned(), json!([]));
    let ticket = Ticket {
        system: SYSTEM.to_owned(),
        host: call.host.clone(),
        id,
        title: String::new(),
        state: String::new(),
        open: true,
        changed: chrono::DateTime::UNIX_EPOCH,
        body: Value::Object(record),
    };
    write(db, call, ticket, &asked, "create")
}

fn update(db: &Connection, call: &Call, found: Ticket) -> Result<Answer, Refusal> {
    match call.json() {
        Some(Value::Object(asked)) => write(db, call, found, &asked, "update"),
        _ => Ok(refuse(
            400,
            "Exception while reading request",
            "The payload is not valid JSON",
        )),
    }
}

fn write(
    db: &Connection,
    call: &Call,
    mut ticket: Ticket,
    asked: &Map<String, Value>,
    kind: &str,
) -> Result<Answer, Refusal> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let record = &mut ticket.body;
    for (name, value) in asked
        .iter()
        .filter(|(name, _)| FIELDS.contains(&name.as_str()))
    {
        let value = text(value);
        if JOURNALS.contains(&name.as_str()) {
            if let Some(notes) = record["_notes"]
                .as_array_mut()
                .filter(|_| !value.is_empty())
            {
                notes.push(json!({ "at": time(call.now), "field": name, "text": value }));
            }
        } else {
            record[name] = value.into();
        }
    }
    let get = |record: &Value, name: &str| text(&record[name]);
    if get(record, "short_description").chars().count() > 160 {
        // The column holds no more.
        record["short_description"] = get(record, "short_description")
            .chars()
            .take(160)
            .collect::<String>()
            .into();
    }
    let (label, active) = match get(record, "state").as_str() {
        "1" => ("New", true),
        "2" => ("In Progress", true),
        "3" => ("On Hold", true),
        "6" => ("Resolved", true),
        "7" => ("Closed", false),
        "8" => ("Canceled", false),
        _ => return Ok(refuse(400, "Invalid state", "state is 1, 2, 3, 6, 7 or 8")),
    };
    let missing: Vec<&str> = [
        ("close_code", "Resolution code"),
        ("close_notes", "Resolution notes"),
    ]
    .into_iter()
    .filter(|(field, _)| matches!(label, "Resolved" | "Closed") && get(record, field).is_empty())
    .map(|(_, label)| label)
    .collect();
    if !missing.is_empty() {
        let detail = format!(
            "Data Policy Exception: The following fields are mandatory: {}",
            missing.join(", ")
        );
        return Ok(refuse(403, "Operation Failed", &detail));
    }
    record["priority"] = priority(&get(record, "impact"), &get(record, "urgency")).into();
    record["active"] = if active { "true" } else { "false" }.into();
    record["sys_updated_on"] = time(call.now);
    let count: u64 = get(record, "sys_mod_count").parse().unwrap_or_default();
    if kind == "update" {
        record["sys_mod_count"] = (count + 1).to_string().into();
    }
    ticket.title = get(&ticket.body, "short_description");
    ticket.state = label.to_owned();
    ticket.open = active && label != "Resolved";
    ticket.changed = chrono::DateTime::from_timestamp_millis(call.now).unwrap_or_default();
    put_ticket(db, &ticket)?;
    let said: Vec<String> = ["description", "comments", "work_notes", "close_notes"]
        .iter()
        .filter_map(|name| asked.get(*name).map(text))
        .filter(|text| !text.is_empty())
        .collect();
    let number = get(&ticket.body, "number");
    let said = said.join("\n");
    let kept = Kept {
        channel: SYSTEM,
        kind: kind.to_owned(),
        to: number,
        subject: match kind {
            "create" => ticket.title.clone(),
            _ => headline(&said, &format!("{}: {}", ticket.state, ticket.title)),
        },
        text: said,
        body: Value::Object(asked.clone()),
    };
    let body = json!({ "result": shown(&ticket, call) });
    if kind == "create" {
        let place = format!("https://{}/api/now/table/incident/{}", call.host, ticket.id);
        return Ok(Answer::json(201, body)
            .with("location", place)
            .keeping(kept));
    }
    Ok(Answer::json(200, body).keeping(kept))
}
