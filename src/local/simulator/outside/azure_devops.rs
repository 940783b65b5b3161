//! Azure DevOps. Source: Work Item Tracking REST, 7.1: "Work Items", "Wiql".

use axum::http::Method;
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::kept::{Ticket, headline, put_ticket, tickets_of, without_tags};
use super::query::conditions;
use super::{Answer, Call, Kept, Who};
use crate::local::storage::Refusal;

const SYSTEM: &str = "azure_devops";
/// The application that tokens are for.
const AUDIENCE: &str = "499b84ac-1321-427f-aa17-267ca6975798";
const STATES: [&str; 9] = [
    "New", "To Do", "Active", "Doing", "Proposed", "Resolved", "Closed", "Done", "Removed",
];

fn refuse(status: u16, key: &str, message: &str) -> Answer {
    Answer::json(
        status,
        json!({ "$id": "1", "innerException": null, "message": message, "typeKey": key, "errorCode": 0, "eventId": 3000 }),
    )
}

pub(super) fn answer(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let known = match &call.who {
        Who::Basic => true,
        Who::Identity(audience) => audience == AUDIENCE,
        Who::Nobody | Who::Other => false,
    };
    if !known {
        let why = "TF400813: The user '' is not authorized to access this resource.";
        return Ok(refuse(401, "UnauthorizedRequestException", why));
    }
    if call
        .query("api-version")
        .is_none_or(|version| !version.starts_with("7."))
    {
        let why =
            "No api-version was supplied for the request, or one that is not simulated: 7.1 is.";
        return Ok(refuse(400, "VssVersionNotSpecifiedException", why));
    }
    let path = call.path();
    let (organization, project, rest) = match &path[..] {
        [organization, "_apis", "wit", rest @ ..] => (*organization, "", rest),
        [organization, project, "_apis", "wit", rest @ ..] => (*organization, *project, rest),
        _ => return Ok(refuse(404, "ResourceNotFound", "not simulated")),
    };
    let place = format!("https://{}/{organization}", call.host);
    match (&call.method, rest) {
        (&Method::POST, ["wiql"]) => wiql(db, call, &place, project),
        (&Method::POST, ["workitems", kind]) if kind.starts_with('$') && !project.is_empty() => {
            let number = tickets_of(db, SYSTEM, &call.host)?.len() + 1;
            let mut fields = Map::new();
            for (name, value) in [
                ("System.TeamProject", project),
                ("System.WorkItemType", &kind[1..]),
                ("System.State", "New"),
                ("System.Reason", "New"),
            ] {
                fields.insert(name.to_owned(), value.into());
            }
            fields.insert("System.CreatedDate".to_owned(), json!(now(call)));
            let ticket = Ticket {
                system: SYSTEM.to_owned(),
                host: call.host.clone(),
                id: number.to_string(),
                title: String::new(),
                state: String::new(),
                open: true,
                changed: now(call),
                body: json!({
                    "id": number, "rev": 0, "fields": fields,
                    "url": format!("{place}/_apis/wit/workItems/{number}"),
                }),
            };
            patch(db, call, ticket, "create")
        }
        (method, ["workitems", id]) => {
            let mut all = tickets_of(db, SYSTEM, &call.host)?.into_iter();
            match (all.find(|ticket| ticket.id == *id), method) {
                (None, _) => {
                    let why = format!(
                        "TF401232: Work item {id} does not exist, or you do not have permissions to read it."
                    );
                    Ok(refuse(404, "WorkItemUnauthorizedAccessException", &why))
                }
                (Some(ticket), &Method::GET) => Ok(Answer::json(200, ticket.body)),
                (Some(ticket), &Method::PATCH) => patch(db, call, ticket, "update"),
                _ => Ok(Answer::empty(405)),
            }
        }
        _ => Ok(refuse(404, "ResourceNotFound", "not simulated")),
    }
}

fn now(call: &Call) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(call.now).unwrap_or_default()
}

/// Does what a patch document says: `add`, `replace`, `remove` and `test` of fields.
fn patch(db: &Connection, call: &Call, mut ticket: Ticket, kind: &str) -> Result<Answer, Refusal> {
    let media = call.header("content-type");
    if !media.starts_with("application/json-patch+json") {
        let why = format!(
            "The request indicated a Content-Type of \"{media}\" for method type which is not supported. Valid content types for this method are: application/json-patch+json."
        );
        return Ok(refuse(
            415,
            "VssRequestContentTypeNotSupportedException",
            &why,
        ));
    }
    let Some(Value::Array(steps)) = call.json() else {
        let why = "You must pass a valid patch document in the body of the request.";
        return Ok(refuse(400, "VssPropertyValidationException", why));
    };
    let mut said = Vec::new();
    for step in &steps {
        let (op, path) = (
            step["op"].as_str().unwrap_or_default(),
            step["path"].as_str().unwrap_or_default(),
        );
        let value = &step["value"];
        if op == "test" && path == "/rev" {
            if ticket.body["rev"] != *value {
                let why = "VS403351: Test Operation for path /rev failed.";
                return Ok(refuse(412, "TestPatchOperationFailedException", why));
            }
            continue;
        }
        if path == "/relations/-" && op == "add" {
            if let Some(relations) = ticket.body["relations"].as_array_mut() {
                relations.push(value.clone());
            } else {
                ticket.body["relations"] = json!([value]);
            }
            continue;
        }
        let Some(field) = path
            .strip_prefix("/fields/")
            .filter(|field| field.contains('.'))
        else {
            let why = format!("The path `{path}` is not understood.");
            return Ok(refuse(400, "VssPropertyValidationException", &why));
        };
        match op {
            "add" | "replace" => {
                if field == "System.History" {
                    // The history is added to, and is not a field that is read.
                    let history = &mut ticket.body["_history"];
                    if let Some(history) = history.as_array_mut() {
                        history.push(value.clone());
                    } else {
                        *history = json!([value]);
                    }
                } else {
                    ticket.body["fields"][field] = value.clone();
                }
                if matches!(
                    field,
                    "System.Description" | "System.History" | "Microsoft.VSTS.TCM.ReproSteps"
                ) {
                    said.push(value.as_str().unwrap_or_default().to_owned());
                }
            }
            "remove" => {
                if let Some(fields) = ticket.body["fields"].as_object_mut() {
                    fields.remove(field);
                }
            }
            _ => {
                return Ok(refuse(
                    400,
                    "VssPropertyValidationException",
                    &format!("The operation `{op}` is not understood."),
                ));
            }
        }
    }
    let get = |ticket: &Ticket, name: &str| {
        ticket.body["fields"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    ticket.title = get(&ticket, "System.Title");
    ticket.state = get(&ticket, "System.State");
    let rule = |field: &str, why: &str| {
        refuse(
            400,
            "RuleValidationException",
            &format!("TF401320: Rule Error for field {field}. Error code: {why}."),
        )
    };
    if ticket.title.trim().is_empty() {
        return Ok(rule("Title", "Required, InvalidEmpty"));
    }
    if ticket.title.chars().count() > 255 {
        return Ok(rule("Title", "InvalidTooLong"));
    }
    if !STATES.contains(&ticket.state.as_str()) {
        return Ok(rule("State", "LimitedToValues, InvalidListValue"));
    }
    ticket.open = !matches!(
        ticket.state.as_str(),
        "Resolved" | "Closed" | "Done" | "Removed"
    );
    ticket.changed = now(call);
    ticket.body["fields"]["System.ChangedDate"] = json!(now(call));
    ticket.body["rev"] = json!(ticket.body["rev"].as_u64().unwrap_or_default() + 1);
    let answer = Answer::json(200, ticket.body.clone());
    if call.query("validateOnly") == Some("true") {
        return Ok(answer);
    }
    put_ticket(db, &ticket)?;
    let said = without_tags(&said.join("\n"));
    Ok(answer.keeping(Kept {
        channel: SYSTEM,
        kind: kind.to_owned(),
        to: ticket.id,
        subject: match kind {
            "create" => ticket.title,
            _ => headline(&said, &format!("{}: {}", ticket.state, ticket.title)),
        },
        text: said,
        body: Value::Array(steps),
    }))
}

fn wiql(db: &Connection, call: &Call, place: &str, project: &str) -> Result<Answer, Refusal> {
    let body = call.json().unwrap_or_default();
    let query = body["query"].as_str().unwrap_or_default();
    let wrong = |why: &str| {
        refuse(
            400,
            "WiqlTranslatorException",
            &format!("TF51005: The query could not be read: {why}."),
        )
    };
    let lower = query.to_ascii_lowercase();
    if !lower.trim_start().starts_with("select") || !lower.contains("from workitems") {
        return Ok(wrong("it is SELECT ... FROM WorkItems WHERE ..."));
    }
    let conditions = match lower.find(" where ") {
        None => Vec::new(),
        Some(at) => match conditions(&query[at + " where ".len()..]) {
            Ok(conditions) => conditions,
            Err(why) => return Ok(wrong(&why)),
        },
    };
    let mut found = Vec::new();
    for ticket in tickets_of(db, SYSTEM, &call.host)? {
        let fields = ticket.body["fields"].as_object();
        let mut fits = true;
        for condition in &conditions {
            let has = fields
                .into_iter()
                .flatten()
                .find(|(n, _)| n.eq_ignore_ascii_case(&condition.field));
            let has = match condition.field.as_str() {
                "system.id" => ticket.id.clone(),
                _ => has
                    .and_then(|(_, v)| v.as_str())
                    .unwrap_or_default()
                    .to_owned(),
            };
            let mut condition = condition.clone();
            for value in &mut condition.values {
                if value.eq_ignore_ascii_case("@project") {
                    project.clone_into(value);
                }
            }
            // Tags are compared one by one.
            let parts: Vec<&str> = match condition.field.as_str() {
                "system.tags" => has.split(';').map(str::trim).collect(),
                _ => vec![&has],
            };
            fits = fits && condition.holds(&parts);
        }
        if fits {
            found.push(ticket);
        }
    }
    let items: Vec<Value> = found
        .iter()
        .map(|ticket| json!({ "id": ticket.body["id"], "url": format!("{place}/_apis/wit/workItems/{}", ticket.id) }))
        .collect();
    Ok(Answer::json(
        200,
        json!({
            "queryType": "flat", "queryResultType": "workItem", "asOf": now(call),
            "columns": [{ "referenceName": "System.Id", "name": "ID" }], "workItems": items,
        }),
    ))
}
