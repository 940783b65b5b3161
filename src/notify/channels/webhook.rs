//! A webhook of anybody's: JSON, signed.
//!
//! `X-Poolkeeper-Signature` is `sha256=` and the HMAC-SHA256 of `timestamp.body` in hexadecimal, with
//! `X-Poolkeeper-Timestamp` in seconds since 1970. Receivers refuse what is older than five minutes,
//! and what has an `X-Poolkeeper-Delivery` that they know.

use hmac::{Hmac, Mac as _};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Letter, Taken, fingerprint, secret, secret_url};
use crate::app::App;
use crate::estate::Target;
use crate::notify::http::{Failure, Request, exchange};
use crate::notify::words;

pub(super) async fn send(
    app: &App,
    target: &Target,
    key: &str,
    letter: &Letter<'_>,
) -> Result<Taken, Failure> {
    let url = match target {
        Target::Open(url) => url.clone(),
        Target::Secret(name) => secret_url(app, name)?,
    };
    let reply = exchange(app, post(url, secret(app, key)?, letter)).await?;
    Ok(Taken {
        pause: reply.pause,
        ..Taken::new(format!("taken with status {}", reply.status))
    })
}

fn post(url: Url, key: &str, letter: &Letter<'_>) -> Request {
    let message = letter.message;
    let facts: Vec<Value> = message
        .facts
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let body = json!({
        "incident": message.incident.as_str(),
        "notice": letter.notice,
        "act": words::act(message.act),
        "priority": message.priority.as_str(),
        "class": message.class.as_str(),
        "tenant": message.tenant,
        "title": message.title,
        "text": message.text,
        "facts": facts,
        "link": message.link,
        "at": message.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    });
    let at = letter.now.timestamp().to_string();
    let request = Request::json(Method::POST, url, &body);
    let signature = signature(key, &at, &request.body);
    let delivery: String = fingerprint(letter)[..16]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    request
        .header("x-poolkeeper-delivery", delivery)
        .header("x-poolkeeper-timestamp", at)
        .header("x-poolkeeper-signature", format!("sha256={signature}"))
}

fn signature(key: &str, at: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length will do");
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{body, header, sample, sample_letter};
    use super::*;
    use crate::domain::Act;

    #[test]
    fn a_notice_is_signed_with_its_time() {
        let message = sample(Act::Acknowledge);
        let url = Url::parse("https://hooks.example.com/p").expect("a URL");
        let request = post(url, "0123456789abcdef", &sample_letter(&message));
        assert_eq!(
            header(&request, "x-poolkeeper-timestamp"),
            Some("1772431205")
        );
        let signed = [b"1772431205.".as_slice(), &request.body].concat();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef").expect("a key");
        mac.update(&signed);
        let expected = format!("sha256={:x}", mac.finalize().into_bytes());
        assert_eq!(
            header(&request, "x-poolkeeper-signature"),
            Some(expected.as_str())
        );
        assert_eq!(
            header(&request, "x-poolkeeper-delivery").map(str::len),
            Some(32)
        );
        assert_eq!(
            body(&request),
            json!({
                "incident": "inc-0123456789ab-1", "notice": "opened.0", "act": "acknowledge",
                "priority": "high", "class": "operations", "tenant": null,
                "title": "p95 is <above> 3 s & rising", "text": "応答が遅い。\nSince 06:00.",
                "facts": [{ "name": "p95", "value": "3.4 s" }],
                "link": "https://pool.example.com/incidents/1", "at": "2026-03-02T06:00:00Z",
            })
        );
    }

    #[test]
    fn signatures_are_those_of_others() {
        // printf 'what.do' | openssl dgst -sha256 -hmac Jefe
        assert_eq!(
            signature("Jefe", "what", b"do"),
            "cbd64fd013599db930bc33415e9240f19a534a47580b1e2b0d9c1311f146dbba"
        );
    }
}
