//! Queues: polling, dequeue counts, visibility and poison.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::envelope::{self, Message};
use super::invoke::Invoker;
use super::package::{Function, QueueOptions, Trigger};

/// A message that is being worked is hidden this long, and the time is renewed half-way.
const HIDDEN: Duration = Duration::from_secs(600);
const SOONEST_POLL: Duration = Duration::from_millis(100);

#[derive(Debug, Deserialize)]
struct Listing {
    #[serde(rename = "QueueMessage", default)]
    messages: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    message_id: String,
    insertion_time: String,
    expiration_time: String,
    pop_receipt: String,
    time_next_visible: String,
    dequeue_count: i64,
    message_text: String,
}

/// Polls one queue for ever: at once while there is work, ever more slowly while there is none.
pub(super) async fn run(
    function: Function,
    queue: String,
    options: QueueOptions,
    invoker: Arc<Invoker>,
    storage: Arc<Connection>,
) {
    let Trigger::Queue { binding, .. } = &function.trigger else {
        return;
    };
    let at_once = options.batch + options.batch / 2;
    let worker = Arc::new(Worker {
        function: function.name.clone(),
        binding: binding.clone(),
        queue,
        options,
        invoker,
        storage,
    });
    let slots = Arc::new(Semaphore::new(at_once));
    let mut pause = SOONEST_POLL;
    loop {
        // A new batch is fetched when half of the last one is done.
        let Ok(slot) = slots.acquire().await else {
            return;
        };
        drop(slot);
        let room = slots.available_permits().clamp(1, options.batch);
        let rows = match worker.receive(room).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(queue = worker.queue, "cannot be polled: {error:#}");
                Vec::new()
            }
        };
        if rows.is_empty() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(options.longest_poll);
            continue;
        }
        pause = SOONEST_POLL;
        for row in rows {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let worker = Arc::clone(&worker);
            tokio::spawn(async move {
                worker.work(row).await;
                drop(slot);
            });
        }
    }
}

struct Worker {
    function: String,
    binding: String,
    queue: String,
    options: QueueOptions,
    invoker: Arc<Invoker>,
    storage: Arc<Connection>,
}

impl Worker {
    async fn receive(&self, most: usize) -> anyhow::Result<Vec<Row>> {
        let query = format!(
            "numofmessages={most}&visibilitytimeout={}",
            HIDDEN.as_secs()
        );
        let answer = self
            .storage
            .queue(Method::GET, &format!("{}/messages", self.queue), &query)
            .send()
            .await
            .map_err(reqwest::Error::without_url)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let text = answer
            .error_for_status()
            .map_err(reqwest::Error::without_url)?
            .text()
            .await?;
        let listing: Listing = quick_xml::de::from_str(&text).context("read the messages")?;
        Ok(listing.messages)
    }

    /// Works one message to its end: deleted, given back, or poisoned.
    async fn work(&self, row: Row) {
        let id = row.message_id.clone();
        if let Err(error) = self.try_work(row).await {
            // It becomes visible again by itself.
            tracing::warn!(queue = self.queue, message = id, "{error:#}");
        }
    }

    async fn try_work(&self, row: Row) -> anyhow::Result<()> {
        let mut receipt = row.pop_receipt.clone();
        let outcome = match read(&row) {
            Ok(message) => {
                let envelope = envelope::queue(&self.function, &self.binding, &message, Utc::now());
                let mut call = std::pin::pin!(self.invoker.call(&self.function, &envelope));
                loop {
                    match tokio::time::timeout(HIDDEN / 2, &mut call).await {
                        Ok(outcome) => break outcome,
                        Err(_) => receipt = self.hide(&row, &receipt, HIDDEN).await?,
                    }
                }
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(logs) => {
                for line in logs {
                    tracing::info!(function = self.function, "{line}");
                }
                self.delete(&row, &receipt).await
            }
            Err(error) if row.dequeue_count >= self.options.most_dequeues => {
                tracing::error!(
                    function = self.function,
                    "failed for the last time: {error:#}"
                );
                self.poison(&row).await?;
                self.delete(&row, &receipt).await
            }
            Err(error) => {
                tracing::warn!(
                    function = self.function,
                    attempt = row.dequeue_count,
                    "failed: {error:#}"
                );
                self.hide(&row, &receipt, self.options.visibility).await?;
                Ok(())
            }
        }
    }

    async fn hide(&self, row: &Row, receipt: &str, time: Duration) -> anyhow::Result<String> {
        let path = format!("{}/messages/{}", self.queue, row.message_id);
        let query = format!(
            "popreceipt={}&visibilitytimeout={}",
            encoded(receipt),
            time.as_secs()
        );
        let answer = self
            .storage
            .queue(Method::PUT, &path, &query)
            .header("content-length", "0")
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(reqwest::Error::without_url)?;
        let receipt = answer.headers().get("x-ms-popreceipt");
        Ok(receipt
            .and_then(|r| r.to_str().ok())
            .context("no new receipt")?
            .to_owned())
    }

    async fn delete(&self, row: &Row, receipt: &str) -> anyhow::Result<()> {
        let path = format!("{}/messages/{}", self.queue, row.message_id);
        self.storage
            .queue(
                Method::DELETE,
                &path,
                &format!("popreceipt={}", encoded(receipt)),
            )
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(reqwest::Error::without_url)?;
        Ok(())
    }

    /// Copies the message to `<queue>-poison`. That queue itself has no poison queue.
    async fn poison(&self, row: &Row) -> anyhow::Result<()> {
        let poison = format!("{}-poison", self.queue);
        let body = format!(
            "<QueueMessage><MessageText>{}</MessageText></QueueMessage>",
            quick_xml::escape::escape(&row.message_text)
        );
        self.storage
            .queue(Method::PUT, &poison, "")
            .header("content-length", "0")
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(reqwest::Error::without_url)?;
        self.storage
            .queue(Method::POST, &format!("{poison}/messages"), "")
            .body(body)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(reqwest::Error::without_url)?;
        Ok(())
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Messages are base64 of UTF-8, the host's default.
fn read(row: &Row) -> anyhow::Result<Message> {
    let time = |text: &str| -> anyhow::Result<DateTime<Utc>> {
        Ok(DateTime::parse_from_rfc2822(text)
            .with_context(|| format!("`{text}` is no date"))?
            .to_utc())
    };
    let bytes = BASE64_STANDARD
        .decode(row.message_text.trim())
        .context("the message is not base64")?;
    Ok(Message {
        id: row.message_id.clone(),
        receipt: row.pop_receipt.clone(),
        text: String::from_utf8(bytes).context("the message is not text")?,
        dequeued: row.dequeue_count,
        inserted: time(&row.insertion_time)?,
        expires: time(&row.expiration_time)?,
        visible: time(&row.time_next_visible)?,
    })
}
