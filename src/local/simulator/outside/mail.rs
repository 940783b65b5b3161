//! Mail: Azure Communication Services, and whatever is handed to an SMTP server.
//!
//! Source: Communication Services REST, "Email - Send" and "Email - Get Send Result", 2023-03-31.

use axum::http::Method;
use chrono::DateTime;
use mail_parser::decoders::html::html_to_text;
use mail_parser::{Address, MessageParser};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Answer, Call, Kept, Who};
use crate::local::storage::Refusal;
use crate::local::world::{find, put};

/// The largest message, bytes.
const MOST_BYTES: usize = 10 * 1024 * 1024;

/// Takes a raw message, as `POST /outside/smtp/<server>` with what the envelope says in
/// `x-mail-from` and `x-mail-to`. It stands for a whole SMTP session.
pub(super) fn smtp(call: &Call) -> Answer {
    let refuse = |status, reply: &str| Answer::json(status, json!({ "reply": reply }));
    if call.method != Method::POST || call.path.len() != 1 {
        return refuse(404, "502 5.5.1 POST /outside/smtp/<server>");
    }
    if !call.header("content-type").starts_with("message/rfc822") {
        return refuse(415, "500 5.5.2 the body is a message/rfc822");
    }
    let from = call.header("x-mail-from");
    let to: Vec<&str> = call.header("x-mail-to").split(',').map(str::trim).collect();
    let is_address = |text: &&str| {
        let parts = text.rsplit_once('@');
        parts
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !text.contains(' '))
    };
    if !is_address(&from) {
        return refuse(400, "501 5.1.7 bad sender address syntax");
    }
    if !to.iter().all(is_address) {
        return refuse(400, "501 5.1.3 bad recipient address syntax");
    }
    if call.body.len() > MOST_BYTES {
        return refuse(413, "552 5.3.4 message size exceeds fixed limit");
    }
    let raw = String::from_utf8_lossy(&call.body);
    let Some(message) = MessageParser::default().parse(&call.body[..]) else {
        return refuse(400, "554 5.6.0 the message cannot be read");
    };
    let has = [
        ("From", message.from().is_some()),
        ("Date", message.date().is_some()),
        ("Message-ID", message.message_id().is_some()),
    ];
    if let Some((missing, _)) = has.iter().find(|(_, has)| !has) {
        return refuse(400, &format!("550 5.7.1 the header {missing} is missing"));
    }
    let text = message
        .body_text(0)
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default();
    let kept = Kept {
        channel: "mail",
        kind: "message".to_owned(),
        to: to.join(", "),
        subject: message.subject().unwrap_or_default().to_owned(),
        text,
        body: json!({
            "from": from,
            "header_from": addresses(message.from()),
            "header_to": addresses(message.to()),
            "message_id": message.message_id(),
            "in_reply_to": message.in_reply_to().as_text(),
            "attachments": message.attachments().map(|part| {
                use mail_parser::MimeHeaders as _;
                json!({ "name": part.attachment_name(), "bytes": part.len() })
            }).collect::<Vec<_>>(),
            "raw": raw,
        }),
    };
    let id = uuid::Uuid::new_v4().simple().to_string();
    refuse(200, &format!("250 2.0.0 queued as {}", &id[..10])).keeping(kept)
}

fn addresses(list: Option<&Address<'_>>) -> Vec<String> {
    let all = list.into_iter().flat_map(Address::iter);
    all.filter_map(|one| one.address().map(str::to_owned))
        .collect()
}

fn refuse(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "error": { "code": code, "message": message } });
    Answer::json(status, body).with("x-ms-error-code", code.to_owned())
}

/// Azure Communication Services: sends, and tells how far a sending is.
pub(super) fn communication(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let known = match &call.who {
        Who::Identity(audience) => audience == "https://communication.azure.com",
        // An access key signs the request, which takes a date and a hash of the content.
        Who::Other => {
            call.header("authorization").starts_with("HMAC-SHA256 ")
                && !call.header("x-ms-content-sha256").is_empty()
                && !call.header("x-ms-date").is_empty()
        }
        Who::Nobody | Who::Basic => false,
    };
    if !known {
        return Ok(refuse(401, "Denied", "Denied by the resource provider."));
    }
    if call.query("api-version") != Some("2023-03-31") {
        return Ok(refuse(
            400,
            "UnsupportedApiVersion",
            "the api-version is 2023-03-31 here",
        ));
    }
    match (&call.method, &call.path()[..]) {
        (&Method::POST, ["emails:send"]) => send(db, call),
        (&Method::GET, ["emails", "operations", id]) => {
            let Some(found) = find(db, &place(call, id))? else {
                return Ok(refuse(404, "NotFound", "There is no such operation."));
            };
            let done = found.body["ends"].as_i64().unwrap_or_default() <= call.now;
            let status = if done { "Succeeded" } else { "Running" };
            let answer = Answer::json(200, json!({ "id": id, "status": status, "error": null }));
            Ok(if done {
                answer
            } else {
                answer.with("retry-after", "1".to_owned())
            })
        }
        _ => Ok(refuse(404, "NotFound", "not simulated")),
    }
}

/// Where a sending is kept among the resources.
fn place(call: &Call, id: &str) -> String {
    format!("/emails/{}/{id}", call.host)
}

fn send(db: &Connection, call: &Call) -> Result<Answer, Refusal> {
    let bad = |why: &str| Ok(refuse(400, "BadRequest", why));
    if call.body.len() > MOST_BYTES {
        return Ok(refuse(
            413,
            "RequestEntityTooLarge",
            "The message is larger than 10 MB.",
        ));
    }
    let Some(body) = call.json() else {
        return bad("The body is not JSON.");
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (content, sender) = (&body["content"], text(&body["senderAddress"]));
    if !sender.contains('@') {
        return bad("senderAddress is missing or no address.");
    }
    if text(&content["subject"]).is_empty() {
        return bad("content.subject is missing.");
    }
    if text(&content["plainText"]).is_empty() && text(&content["html"]).is_empty() {
        return bad("content.plainText or content.html is missing.");
    }
    let mut to = Vec::new();
    for list in ["to", "cc", "bcc"] {
        for one in body["recipients"][list].as_array().into_iter().flatten() {
            to.push(text(&one["address"]));
        }
    }
    if to.is_empty() || to.len() > 50 || to.iter().any(|address| !address.contains('@')) {
        return bad("recipients are 1 to 50 addresses.");
    }
    let asked = call.header("operation-id");
    if !asked.is_empty() && uuid::Uuid::parse_str(asked).is_err() {
        return bad("Operation-Id is no UUID.");
    }
    let id = if asked.is_empty() {
        uuid::Uuid::new_v4().to_string()
    } else {
        asked.to_ascii_lowercase()
    };
    put(
        db,
        &place(call, &id),
        &json!({ "ends": call.now + call.takes }),
    )?;
    let plain = text(&content["plainText"]);
    let kept = Kept {
        channel: "mail",
        kind: "message".to_owned(),
        to: to.join(", "),
        subject: text(&content["subject"]),
        text: if plain.is_empty() {
            html_to_text(&text(&content["html"]))
        } else {
            plain
        },
        body,
    };
    let follow = format!(
        "https://{}/emails/operations/{id}?api-version=2023-03-31",
        call.host
    );
    let at = DateTime::from_timestamp_millis(call.now).unwrap_or_default();
    Ok(
        Answer::json(202, json!({ "id": id, "status": "Running", "error": null }))
            .with("operation-location", follow)
            .with("retry-after", "1".to_owned())
            .with("date", crate::local::storage::rfc1123(at))
            .keeping(kept),
    )
}
