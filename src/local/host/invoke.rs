//! One call of the handler.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::HOST_VERSION;
use super::handler::Handler;

pub(super) struct Invoker {
    handler: Arc<Handler>,
    pub(super) http: reqwest::Client,
    start_limit: Duration,
    timeout: Duration,
}

impl Invoker {
    pub(super) fn new(
        handler: Arc<Handler>,
        start_limit: Duration,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            handler,
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            start_limit,
            timeout,
        })
    }

    /// Where the handler listens, once it is ready.
    pub(super) async fn base(&self) -> anyhow::Result<String> {
        let port = self.handler.ready(self.start_limit).await?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    /// The headers that every call carries.
    pub(super) fn mark(headers: &mut HeaderMap) {
        let id = uuid::Uuid::new_v4().to_string();
        for (name, value) in [
            ("x-azure-functions-hostversion", HOST_VERSION.to_owned()),
            ("x-azure-functions-invocationid", id),
            ("user-agent", format!("Azure-Functions-Host/{HOST_VERSION}")),
        ] {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
    }

    /// Calls a function with an envelope, sent in chunks without a length, and gives its logs.
    ///
    /// A call that takes longer than the function time-out costs the whole process.
    pub(super) async fn call(
        &self,
        function: &str,
        envelope: &Value,
    ) -> anyhow::Result<Vec<String>> {
        let base = self.base().await?;
        let mut headers = HeaderMap::new();
        Self::mark(&mut headers);
        let text = envelope.to_string();
        let chunk = futures::stream::once(async move { Ok::<_, std::io::Error>(text) });
        let call = async {
            let response = self
                .http
                .post(format!("{base}/{function}"))
                .headers(headers)
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .body(reqwest::Body::wrap_stream(chunk))
                .send()
                .await?;
            let status = response.status();
            anyhow::ensure!(status.is_success(), "the handler answered {status}");
            let kind = response
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_ascii_lowercase();
            let body = response.bytes().await?;
            if body.is_empty() || body.as_ref() == b"null" {
                tracing::error!(function, "answered nothing: the host waits for ever");
                return std::future::pending().await;
            }
            anyhow::ensure!(
                kind.starts_with("application/json") || kind.starts_with("text/json"),
                "the handler answered `{kind}`, not JSON"
            );
            logs(&body)
        };
        match tokio::time::timeout(self.timeout, call).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.handler.restart().await;
                anyhow::bail!(
                    "it took longer than {:?}, the handler is killed",
                    self.timeout
                )
            }
        }
    }
}

/// `Logs` of an answer; a wrong shape fails the invocation.
fn logs(body: &[u8]) -> anyhow::Result<Vec<String>> {
    let answer: Value = serde_json::from_slice(body).context("the answer is not JSON")?;
    let answer = answer.as_object().context("the answer is no JSON object")?;
    let logs = answer
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("logs"))
        .map_or(&Value::Null, |(_, logs)| logs);
    match logs {
        Value::Null => Ok(Vec::new()),
        Value::Array(lines) => lines
            .iter()
            .map(|l| {
                l.as_str()
                    .map(str::to_owned)
                    .context("`Logs` holds strings")
            })
            .collect(),
        _ => anyhow::bail!("`Logs` is no array"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_the_host_reads_it() {
        for (body, lines) in [
            (r"{}", Some(0)),
            (
                r#"{"Outputs":{},"Logs":["a","b"],"ReturnValue":null}"#,
                Some(2),
            ),
            (r#"{"logs":["a"]}"#, Some(1)),
            (r#"{"Logs":[1]}"#, None),
            (r#"{"Logs":"a"}"#, None),
            (r"[]", None),
            (r"so", None),
        ] {
            let read = logs(body.as_bytes()).ok().map(|l| l.len());
            assert_eq!(read, lines, "{body}");
        }
    }
}
