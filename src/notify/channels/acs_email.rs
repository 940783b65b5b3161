//! Mail by Azure Communication Services. Source: Microsoft Learn, REST API "Email - Send" and "Email -
//! Get Send Result", version 2023-03-31.

use reqwest::{Method, Url};
use serde_json::json;
use uuid::Uuid;

use super::{Letter, Taken, fingerprint, smtp, unexpected};
use crate::app::App;
use crate::azure::Plane;
use crate::notify::http::{Failure, Kind, Request, below, exchange};
use crate::notify::words;

const VERSION: &str = "2023-03-31";

pub(super) async fn send(
    app: &App,
    url: &Url,
    from: &str,
    to: Option<&str>,
    letter: &Letter<'_>,
) -> Result<Taken, Failure> {
    let to = smtp::recipient(letter, to)?;
    let token = token(app, Plane::Email, url).await?;
    let id = operation(letter);
    // An earlier try may have been taken unheard: then it is sent, and nobody wants it twice.
    match exchange(app, result(url, id).bearer(&token)).await {
        Ok(reply) => return ended(reply.json()["status"].as_str()),
        // It knows of no such send, in whatever words.
        Err(failure) if failure.status == Some(404) || failure.kind == Kind::Refused => {}
        Err(failure) => return Err(failure),
    }
    let request = mail(url, from, &to, letter)?;
    let reply = exchange(app, request.bearer(&token)).await?;
    match reply.json()["status"].as_str() {
        Some("NotStarted" | "Running") | None => {
            let reply = exchange(app, result(url, id).bearer(&token)).await?;
            ended(reply.json()["status"].as_str())
        }
        status => ended(status),
    }
}

/// What has become of a mail that was taken.
fn ended(status: Option<&str>) -> Result<Taken, Failure> {
    match status {
        Some("Succeeded") => Ok(Taken::new("sent")),
        Some("Failed" | "Canceled") => Err(Failure::new(Kind::Refused, "taken, and then not sent")),
        // Looked at again the next time, and not sent again.
        Some("NotStarted" | "Running") => {
            Err(Failure::new(Kind::Passing, "taken, and not sent yet"))
        }
        _ => Err(unexpected("no status")),
    }
}

/// A token of the managed identity, for an address of the plane only.
pub(super) async fn token(app: &App, plane: Plane, url: &Url) -> Result<String, Failure> {
    let azure = app
        .azure()
        .map_err(|e| Failure::new(Kind::Broken, e.to_string()))?;
    azure.bearer(plane, url).await.map_err(|error| {
        let kind = match error {
            crate::azure::Error::Foreign(_) => Kind::Broken,
            _ => Kind::Passing,
        };
        Failure::new(kind, error.to_string())
    })
}

/// The id of the send, always the same for one letter.
fn operation(letter: &Letter<'_>) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&fingerprint(letter)[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn result(url: &Url, id: Uuid) -> Request {
    let mut url = below(url, &["emails", "operations", &id.to_string()]);
    url.query_pairs_mut().append_pair("api-version", VERSION);
    Request::get(url)
}

fn mail(
    url: &Url,
    from: &str,
    to: &lettre::message::Mailbox,
    letter: &Letter<'_>,
) -> Result<Request, Failure> {
    let from: lettre::message::Mailbox = from
        .parse()
        .map_err(|_| Failure::new(Kind::Broken, "`from` is no mail address"))?;
    let mut url = below(url, &["emails:send"]);
    url.query_pairs_mut().append_pair("api-version", VERSION);
    let mut recipient = json!({ "address": to.email.to_string() });
    if let Some(name) = &to.name {
        recipient["displayName"] = json!(name);
    }
    let body = json!({
        "senderAddress": from.email.to_string(),
        "content": {
            "subject": smtp::subject(letter.message),
            "plainText": words::plain(letter.message),
            "html": words::html(letter.message),
        },
        "recipients": { "to": [recipient] },
        "headers": {
            "References": smtp::thread(letter.message, from.email.domain()),
            "In-Reply-To": smtp::thread(letter.message, from.email.domain()),
        },
    });
    let request = Request::json(Method::POST, url, &body);
    Ok(request.header("operation-id", operation(letter).to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::{body, header, sample, sample_letter};
    use super::*;
    use crate::domain::Act;

    #[test]
    fn a_mail_is_as_documented_and_has_one_id_for_ever() {
        let url = Url::parse("https://example.communication.azure.com").expect("a URL");
        let message = sample(Act::Trigger);
        let letter = sample_letter(&message);
        let to = "当番 <a@example.com>".parse().expect("an address");
        let request = mail(&url, "P <p@example.com>", &to, &letter).expect("a request");
        assert_eq!(
            request.url.as_str(),
            "https://example.communication.azure.com/emails:send?api-version=2023-03-31"
        );
        let thread = "<inc-0123456789ab-1@example.com>";
        assert_eq!(
            body(&request),
            json!({
                "senderAddress": "p@example.com",
                "content": {
                    "subject": "[high] p95 is <above> 3 s & rising (inc-0123456789ab-1)",
                    "plainText": words::plain(&message),
                    "html": words::html(&message),
                },
                "recipients": { "to": [{ "address": "a@example.com", "displayName": "当番" }] },
                "headers": { "References": thread, "In-Reply-To": thread },
            })
        );
        let id = operation(&letter);
        assert_eq!(
            header(&request, "operation-id"),
            Some(id.to_string().as_str())
        );
        assert_eq!(operation(&letter), id);
        let other = Letter {
            notice: "opened.1",
            ..letter
        };
        assert_ne!(operation(&other), id);
        assert_eq!(
            result(&url, id).url.as_str(),
            format!(
                "https://example.communication.azure.com/emails/operations/{id}?api-version=2023-03-31"
            )
        );
    }

    #[test]
    fn what_becomes_of_a_mail() {
        for (status, kind) in [
            (Some("Succeeded"), None),
            (Some("Failed"), Some(Kind::Refused)),
            (Some("Canceled"), Some(Kind::Refused)),
            (Some("Running"), Some(Kind::Passing)),
            (Some("NotStarted"), Some(Kind::Passing)),
            (None, Some(Kind::Passing)),
        ] {
            assert_eq!(
                ended(status).err().map(|failure| failure.kind),
                kind,
                "{status:?}"
            );
        }
    }
}
