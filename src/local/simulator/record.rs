//! Recording of exchanges, one JSON object a line, so that the wire can be held against Azure's
//! published contract. Secrets are removed before anything is written.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::{Map, Value, json};

const REMOVED: &str = "removed";

pub(super) struct Recorder(Mutex<File>);

impl Recorder {
    /// Appends to `simulator-<process>.exchanges.jsonl` in `folder`.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("make the folder `{}`", folder.display()))?;
        let name = format!(
            "simulator-{}.exchanges.jsonl",
            uuid::Uuid::new_v4().simple()
        );
        let path = folder.join(name);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("record to `{}`", path.display()))?;
        Ok(Self(Mutex::new(file)))
    }

    /// Writes one exchange and gives the answer back as it was. What Azure's published contract
    /// does not hold is left out: queues, leases, holds, append blobs, the making of containers, Graph,
    /// and the certificates of environments.
    pub(super) async fn note(&self, parts: &Parts, body: &Bytes, response: Response) -> Response {
        let Some((url, service)) = public_url(parts) else {
            return response;
        };
        let (answer, content) = response.into_parts();
        let content = axum::body::to_bytes(content, usize::MAX)
            .await
            .unwrap_or_default();
        let mut line = json!({
            "method": parts.method.as_str(),
            "url": url,
            "service": service,
            "requestHeaders": headers(&parts.headers),
            "requestBody": readable(&parts.headers, body),
            "status": answer.status.as_u16(),
            "responseHeaders": headers(&answer.headers),
            "responseBody": readable(&answer.headers, &content),
        });
        if service == "arm" {
            // ARM is many services; the path says which.
            line["service"] = Value::Null;
        }
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::error!(%error, "an exchange was not recorded");
        }
        drop(file);
        Response::from_parts(answer, Body::from(content))
    }
}

/// The URL as Azure would have it, without signatures.
fn public_url(parts: &Parts) -> Option<(String, &'static str)> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(
            url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()).filter(
                |(name, _)| {
                    !matches!(
                        name.as_ref(),
                        "sig" | "sv" | "ss" | "srt" | "sp" | "se" | "st" | "spr" | "sip"
                    )
                },
            ),
        )
        .finish();
    let mark = if query.is_empty() { "" } else { "?" };
    let path = parts.uri.path();
    if path == "/msi/token" {
        return Some((
            format!("http://127.0.0.1{path}{mark}{query}"),
            "managedidentity",
        ));
    }
    if super::metrics::is_batch(path) {
        let url = format!("https://japaneast.metrics.monitor.azure.com{path}{mark}{query}");
        return Some((url, "monitor"));
    }
    if path.starts_with("/subscriptions/") {
        let lower = path.to_ascii_lowercase();
        if lower.contains("/managedenvironments/") && lower.contains("/certificates") {
            return None;
        }
        let url = format!("https://management.azure.com{path}{mark}{query}");
        return Some((url, "arm"));
    }
    if path.starts_with("/v1/") {
        let url = format!("https://api.loganalytics.io{path}{mark}{query}");
        return Some((url, "loganalytics"));
    }
    if let Some((vault, rest)) = path
        .strip_prefix("/vault/")
        .and_then(|rest| rest.split_once('/'))
    {
        let url = format!("https://{vault}.vault.azure.net/{rest}{mark}{query}");
        return Some((url, "keyvault"));
    }
    let kind = parts.headers.get("x-ms-blob-type");
    if kind.is_some_and(|kind| kind == "AppendBlob")
        || query.contains("comp=appendblock")
        || query.contains("comp=lease")
        || query.contains("comp=legalhold")
        || query
            .to_ascii_lowercase()
            .contains("comp=immutabilitypolicies")
        || query == "restype=container"
    {
        return None;
    }
    let (account, rest) = path.strip_prefix("/blob/")?.split_once('/')?;
    let url = format!("https://{account}.blob.core.windows.net/{rest}{mark}{query}");
    Some((url, "blobdata"))
}

fn headers(headers: &HeaderMap) -> Value {
    let pairs = headers.iter().map(|(name, value)| {
        let secret = matches!(
            name.as_str(),
            "authorization" | "x-identity-header" | "x-functions-key" | "cookie"
        );
        let text = if secret {
            REMOVED.to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        (name.as_str().to_owned(), Value::String(text))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// A body as JSON where it is JSON, else as text, else as nothing.
fn readable(headers: &HeaderMap, body: &Bytes) -> Value {
    let kind = headers
        .get("content-type")
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if body.is_empty() {
        return Value::Null;
    }
    if kind.starts_with("application/json")
        && let Ok(mut value) = serde_json::from_slice::<Value>(body)
    {
        if let Some(token) = value.get_mut("access_token") {
            *token = REMOVED.into();
        }
        return value;
    }
    std::str::from_utf8(body).map_or(Value::Null, Value::from)
}
